/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * idle.c - many connections that do little, then nothing
 *
 *	idle PORT		accepts what comes; sends back what comes on the first
 *				100, of others the first octet
 *	idle ADDRESS PORT	does what each line of standard input says, then
 *				prints "ready":
 *		open N			N connections more, an octet each way
 *		echo FIRST N TIMES LEN	on N of them, from FIRST on: LEN octets
 *					there and back on all at a time, so often
 *		bulk FIRST N LEN	on N of them, from FIRST on: LEN octets
 *					there and back, sent as fast as it goes
 *
 * Both hold what they have until they are killed, or standard input ends.  What
 * they use themselves is there from the start: an idle connection costs them
 * nothing, nor is it polled.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX	2048
#define N_TALK	100	/* connections that the server polls */

static struct pollfd fds[MAX];
static int n_fds;
static char buf[65536];

static void die(const char *what)
{
	fprintf(stderr, "idle: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void add(int fd)
{
	if (n_fds == MAX)
		die("too many");
	fds[n_fds++] = (struct pollfd){ .fd = fd, .events = POLLIN };
}

static void send_all(int fd, size_t len)
{
	for (size_t done = 0; done < len; ) {
		ssize_t n = send(fd, buf + done, len - done, 0);

		if (n <= 0)
			die("cannot send");
		done += (size_t)n;
	}
}

static void recv_all(int fd, size_t len)
{
	if (recv(fd, buf, len, MSG_WAITALL) != (ssize_t)len)
		die("not all came");
}

static void echo(struct pollfd *p)
{
	ssize_t n = recv(p->fd, buf, sizeof(buf), 0);

	if (n > 0) {
		send_all(p->fd, (size_t)n);
		return;
	}
	close(p->fd);
	p->fd = -1;
}

static void serve(struct sockaddr_in *sin)
{
	int fd, l = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	if (l < 0 || setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(l, (struct sockaddr *)sin, sizeof(*sin)) < 0 || listen(l, 128) < 0)
		die("cannot listen");
	add(l);
	while (poll(fds, (nfds_t)(n_fds < N_TALK + 1 ? n_fds : N_TALK + 1), -1) > 0) {
		for (int i = 1; i < n_fds && i <= N_TALK; i++) {
			if (fds[i].revents)
				echo(&fds[i]);
		}
		if (!fds[0].revents)
			continue;
		fd = accept(l, NULL, NULL);
		if (fd < 0)
			die("cannot accept");
		add(fd);
		if (n_fds > N_TALK + 1) {
			recv_all(fd, 1);
			send_all(fd, 1);
		}
	}
	die("cannot poll");
}

static void open_one(const struct sockaddr_in *sin)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)sin, sizeof(*sin)) < 0)
		die("cannot connect");
	send_all(fd, 1);
	recv_all(fd, 1);
	add(fd);
}

static void echoes(const struct pollfd *p, int n, int times, size_t len)
{
	while (times-- > 0) {
		for (int i = 0; i < n; i++)
			send_all(p[i].fd, len);
		for (int i = 0; i < n; i++)
			recv_all(p[i].fd, len);
	}
}

/* Send without waiting for what comes back, but take it as it comes. */
static void bulk(int fd, size_t len)
{
	size_t sent = 0, got = 0;

	while (got < len) {
		struct pollfd p = { .fd = fd, .events = POLLIN | (sent < len ? POLLOUT : 0) };
		ssize_t n;

		if (poll(&p, 1, -1) < 0)
			die("cannot poll");
		if (p.revents & POLLOUT) {
			n = send(fd, buf, len - sent < sizeof(buf) ? len - sent : sizeof(buf),
				 MSG_DONTWAIT);
			if (n < 0 && errno != EAGAIN)
				die("cannot send");
			sent += n > 0 ? (size_t)n : 0;
		}
		if (p.revents & POLLIN) {
			n = recv(fd, buf, sizeof(buf), 0);
			if (n <= 0)
				die("no echo");
			got += (size_t)n;
		}
	}
}

static void obey(const struct sockaddr_in *sin, const char *line)
{
	int n, first, times;
	size_t len;

	if (sscanf(line, "open %d", &n) == 1) {
		while (n-- > 0)
			open_one(sin);
	} else if (sscanf(line, "echo %d %d %d %zu", &first, &n, &times, &len) == 4 &&
		   len <= sizeof(buf)) {
		if (first < 0 || n < 0 || first + n > n_fds)
			die("so many there are not");
		echoes(&fds[first], n, times, len);
	} else if (sscanf(line, "bulk %d %d %zu", &first, &n, &len) == 3) {
		for (int i = first; i < first + n && i < n_fds; i++)
			bulk(fds[i].fd, len);
	} else {
		fprintf(stderr, "idle: what is that? %s", line);
		exit(2);
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	struct rlimit lim = { 4096, 4096 };
	char line[80];

	if (argc < 2 || argc > 3)
		return 2;
	setrlimit(RLIMIT_NOFILE, &lim);
	/* Its pages are there, whatever is read into them. */
	memset(fds, 0xff, sizeof(fds));
	memset(buf, 'x', sizeof(buf));
	sin.sin_port = htons((uint16_t)atoi(argv[argc - 1]));
	if (argc == 2)
		serve(&sin);
	if (inet_pton(AF_INET, argv[1], &sin.sin_addr) != 1)
		return 2;
	while (fgets(line, sizeof(line), stdin)) {
		obey(&sin, line);
		puts("ready");
		fflush(stdout);
	}
	return 0;
}
