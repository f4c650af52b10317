/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tcp_short.c - many short connections, one after the other
 *
 *	tcp_short serve PORT N
 *	tcp_short connect ADDR PORT N client|server [LOCAL-PORT]
 *
 * In each, the client sends one octet and both read to the end of file; it
 * says which side closes first, and so has TIME-WAIT.  With LOCAL-PORT all
 * have this port (SO_REUSEADDR).  The client prints "sent" when it has sent all
 * of its first connection, and if it closes first all of that was acknowledged;
 * both "done N" at the end, or the errno of what failed, and return 1.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int fail(const char *what, unsigned long at)
{
	printf("%s %d in %lu: %s\n", what, errno, at, strerror(errno));
	return 1;
}

static int to_the_end(int fd)
{
	char buf[64];
	ssize_t n;

	while ((n = recv(fd, buf, sizeof(buf), 0)) > 0)
		;
	return (int)n;
}

static int serve(struct sockaddr_in *sin, unsigned long n)
{
	int one = 1, l = socket(AF_INET, SOCK_STREAM, 0);

	if (setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
	    bind(l, (struct sockaddr *)sin, sizeof(*sin)) < 0 || listen(l, 128) < 0)
		return fail("listen", 0);
	for (unsigned long i = 0; i < n; i++) {
		int fd = accept(l, NULL, NULL);
		char first;

		if (fd < 0)
			return fail("accept", i);
		if (recv(fd, &first, 1, 0) != 1)
			return fail("recv", i);
		if (first == 's' && shutdown(fd, SHUT_WR) < 0)
			return fail("shutdown", i);
		if (to_the_end(fd) < 0)
			return fail("end", i);
		close(fd);
	}
	return 0;
}

/* Wait until the FIN that was sent is acknowledged, or more than that has happened. */
static int wait_for_ack(int fd)
{
	struct tcp_info ti;
	socklen_t len = sizeof(ti);

	do {
		usleep(1000);
		if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &ti, &len) < 0)
			return -1;
	} while (ti.tcpi_state == TCP_FIN_WAIT1);
	return 0;
}

static int short_one(const struct sockaddr_in *to, const struct sockaddr_in *from, char first,
		     unsigned long i)
{
	int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0)
		return fail("socket", i);
	if (from->sin_port &&
	    (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
	     bind(fd, (const struct sockaddr *)from, sizeof(*from)) < 0))
		return fail("bind", i);
	if (connect(fd, (const struct sockaddr *)to, sizeof(*to)) < 0)
		return fail("connect", i);
	if (send(fd, &first, 1, 0) != 1)
		return fail("send", i);
	if (first == 'c' && shutdown(fd, SHUT_WR) < 0)
		return fail("shutdown", i);
	if (!i) {
		if (first == 'c' && wait_for_ack(fd) < 0)
			return fail("acknowledged", i);
		puts("sent");
		fflush(stdout);
	}
	if (to_the_end(fd) < 0)
		return fail("end", i);
	close(fd);
	return 0;
}

int main(int argc, char **argv)
{
	struct sockaddr_in to = { .sin_family = AF_INET }, from = to;
	unsigned long n;
	int ret = 0;

	if (argc == 4 && !strcmp(argv[1], "serve")) {
		to.sin_port = htons((unsigned short)atoi(argv[2]));
		n = strtoul(argv[3], NULL, 0);
		ret = serve(&to, n);
	} else if (argc >= 6 && !strcmp(argv[1], "connect") &&
		   inet_pton(AF_INET, argv[2], &to.sin_addr) == 1) {
		to.sin_port = htons((unsigned short)atoi(argv[3]));
		n = strtoul(argv[4], NULL, 0);
		if (argc > 6)
			from.sin_port = htons((unsigned short)atoi(argv[6]));
		for (unsigned long i = 0; i < n && !ret; i++)
			ret = short_one(&to, &from, argv[5][0], i);
	} else {
		fprintf(stderr, "usage: tcp_short serve PORT N\n"
			"       tcp_short connect ADDR PORT N client|server [LOCAL-PORT]\n");
		return 2;
	}
	if (!ret)
		printf("done %lu\n", n);
	return ret;
}
