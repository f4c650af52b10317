/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tcp_path.c - octets over a path, and what the socket says of it
 *
 *	tcp_path listen PORT		on ::, for ever: read to the end, answer how
 *					many octets that were, close
 *	tcp_path ADDR PORT BYTES [HOW]	connect, send, shut down, read the answer;
 *					HOW is IP_MTU_DISCOVER's or IPV6_MTU_DISCOVER's
 *
 * The latter writes "received N mtu M", what the other side had and IP_MTU at
 * the end; or "CALL ERRNO", with exit status 1.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int failed(const char *call)
{
	printf("%s %s\n", call, strerrorname_np(errno));
	return 1;
}

/* Read to the end; how many octets. */
static unsigned long long drain(int fd)
{
	unsigned long long n = 0;
	static char buf[65536];
	ssize_t r;

	while ((r = read(fd, buf, sizeof(buf))) > 0)
		n += (unsigned long long)r;
	return n;
}

static int listen_on(uint16_t port)
{
	struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	int fd = socket(AF_INET6, SOCK_STREAM, 0), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&sin6, sizeof(sin6)) || listen(fd, 8))
		return failed("listen");
	printf("ready\n");
	fflush(stdout);
	for (;;) {
		int c = accept(fd, NULL, NULL), n;
		char text[32];

		if (c < 0)
			return failed("accept");
		n = snprintf(text, sizeof(text), "%llu", drain(c));
		if (write(c, text, (size_t)n) != n)
			return failed("write");
		close(c);
	}
}

static int talk(struct sockaddr_storage *ss, socklen_t len, unsigned long long bytes, int how)
{
	bool is_v6 = ss->ss_family == AF_INET6;
	int level = is_v6 ? IPPROTO_IPV6 : IPPROTO_IP;
	int fd = socket(ss->ss_family, SOCK_STREAM, 0), mtu = 0;
	static char buf[100000];
	socklen_t mtu_len = sizeof(mtu);
	ssize_t n;

	if (how >= 0 && setsockopt(fd, level, is_v6 ? IPV6_MTU_DISCOVER : IP_MTU_DISCOVER, &how,
				   sizeof(how)))
		return failed("setsockopt");
	if (connect(fd, (struct sockaddr *)ss, len))
		return failed("connect");
	for (; bytes; bytes -= (unsigned long long)n) {
		n = write(fd, buf, bytes < sizeof(buf) ? bytes : sizeof(buf));
		if (n <= 0)
			return failed("write");
	}
	shutdown(fd, SHUT_WR);
	n = read(fd, buf, sizeof(buf) - 1);
	if (n <= 0)
		return failed("read");
	buf[n] = '\0';
	if (getsockopt(fd, level, is_v6 ? IPV6_MTU : IP_MTU, &mtu, &mtu_len))
		return failed("getsockopt");
	printf("received %s mtu %d\n", buf, mtu);
	return 0;
}

int main(int argc, char **argv)
{
	struct sockaddr_storage ss = { 0 };
	struct sockaddr_in *sin = (struct sockaddr_in *)&ss;
	struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)&ss;

	if (argc == 3 && !strcmp(argv[1], "listen"))
		return listen_on((uint16_t)atoi(argv[2]));
	if (argc < 4)
		return 2;
	if (inet_pton(AF_INET, argv[1], &sin->sin_addr) == 1) {
		sin->sin_family = AF_INET;
		sin->sin_port = htons((uint16_t)atoi(argv[2]));
	} else if (inet_pton(AF_INET6, argv[1], &sin6->sin6_addr) == 1) {
		sin6->sin6_family = AF_INET6;
		sin6->sin6_port = htons((uint16_t)atoi(argv[2]));
	} else {
		return 2;
	}
	return talk(&ss, ss.ss_family == AF_INET ? sizeof(*sin) : sizeof(*sin6),
		    strtoull(argv[3], NULL, 0), argc > 4 ? atoi(argv[4]) : -1);
}
