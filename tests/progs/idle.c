/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * idle.c - many connections that do nothing
 *
 *	idle PORT		accepts what comes, echoes an octet on each
 *	idle ADDRESS PORT	opens as many as each line of standard input says,
 *				exchanges an octet on each, then prints "ready"
 *
 * Both hold what they have until they are killed, or standard input ends.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static void die(const char *what)
{
	fprintf(stderr, "idle: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void serve(struct sockaddr_in *sin)
{
	int fd, l = socket(AF_INET, SOCK_STREAM, 0), on = 1;
	char c;

	if (l < 0 || setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(l, (struct sockaddr *)sin, sizeof(*sin)) < 0 || listen(l, 128) < 0)
		die("cannot listen");
	puts("ready");
	fflush(stdout);
	while ((fd = accept(l, NULL, NULL)) >= 0)
		if (recv(fd, &c, 1, 0) != 1 || send(fd, &c, 1, 0) != 1)
			die("cannot echo");
	die("cannot accept");
}

static void open_one(const struct sockaddr_in *sin)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	char c = 'x';

	if (fd < 0 || connect(fd, (const struct sockaddr *)sin, sizeof(*sin)) < 0)
		die("cannot connect");
	if (send(fd, &c, 1, 0) != 1 || recv(fd, &c, 1, 0) != 1)
		die("no echo");
}

int main(int argc, char **argv)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	struct rlimit lim = { 4096, 4096 };
	char line[20];

	if (argc < 2 || argc > 3)
		return 2;
	setrlimit(RLIMIT_NOFILE, &lim);
	sin.sin_port = htons((uint16_t)atoi(argv[argc - 1]));
	if (argc == 2)
		serve(&sin);
	if (inet_pton(AF_INET, argv[1], &sin.sin_addr) != 1)
		return 2;
	while (fgets(line, sizeof(line), stdin)) {
		for (int n = atoi(line); n > 0; n--)
			open_one(&sin);
		puts("ready");
		fflush(stdout);
	}
	return 0;
}
