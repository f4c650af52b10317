/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * api_tune.c - buffers grow with the round trip, unless they were set
 *
 *	api_tune ADDRESS PORT [CASE...]		the peer: api_peer
 *
 * For a path with a round trip of 100 ms or more: then the windows, not the
 * machine, decide how much is in flight.
 */
#include "api_test.h"

#define START	(2 * 245760)	/* as SO_RCVBUF gives it: doubled */
#define MUCH	6000000

static int size_of(int fd, int name)
{
	int v = 0;
	socklen_t len = sizeof(v);

	CHECK(getsockopt(fd, SOL_SOCKET, name, &v, &len) == 0);
	return v;
}

/* Take MUCH octets; how large so_rcv is then. */
static int take(int fixed)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), size;
	static uint8_t buf[65536];
	char what[32];
	size_t at = 0;

	CHECK(fd >= 0);
	if (fixed)
		CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &fixed, sizeof(fixed)) == 0);
	CHECK(connect(fd, (struct sockaddr *)&t_peer, sizeof(t_peer)) == 0);
	snprintf(what, sizeof(what), "source %d", MUCH);
	t_say(fd, what);
	while (at < MUCH) {
		ssize_t n = recv(fd, buf, sizeof(buf), 0);

		CHECK(n > 0);
		at += (size_t)n;
	}
	size = size_of(fd, SO_RCVBUF);
	close(fd);
	return size;
}

/* Give MUCH octets; how large so_snd is then. */
static int give(int fixed)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), size;
	static uint8_t buf[65536];
	size_t at;

	CHECK(fd >= 0);
	if (fixed)
		CHECK(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &fixed, sizeof(fixed)) == 0);
	CHECK(connect(fd, (struct sockaddr *)&t_peer, sizeof(t_peer)) == 0);
	t_say(fd, "sink");
	for (at = 0; at < MUCH; at += sizeof(buf))
		CHECK(t_send_all(fd, buf, sizeof(buf)));
	size = size_of(fd, SO_SNDBUF);
	close(fd);
	return size;
}

static void receive_grows(void)
{
	CHECK(take(0) > START);
}

static void receive_fixed(void)
{
	CHECK(take(400000) == 800000);
}

static void send_grows(void)
{
	CHECK(give(0) > START);
}

static void send_fixed(void)
{
	CHECK(give(400000) == 800000);
}

static const struct t_case cases[] = {
	{ "receive_grows", receive_grows },
	{ "receive_fixed", receive_fixed },
	{ "send_grows", send_grows },
	{ "send_fixed", send_fixed },
};

int main(int argc, char **argv)
{
	return t_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
