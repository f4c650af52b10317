/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sockopts.c - what every option of a socket does, said line by line
 *
 *	sockopts ADDRESS PORT
 *	sockopts others
 *	sockopts inherited PORT 0|1
 *
 * On a new socket, one that listens, and one that is connected to ADDRESS (where
 * somebody accepts), of both families: getsockopt() of each number at four levels
 * with four lengths, and setsockopt() of some values with what is read back.  With
 * the kernel's TCP and with ours the output should be the same.
 *
 *	inet6 connected TCP 10 get 256: 4 = 1
 *	inet new SOCKET 7 set 4096 (4): 0, then 4608
 *
 * Values that are about the moment, or chosen by the kernel, are not told.  "others" are
 * the options that are left out, because they differ: set to 1 on a new socket.
 * "inherited": all that a socket has that was accepted from a listener with options of
 * TCP (1) or of the other levels (0).  It says "ready" when it listens.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>


#include "common/util.h"

#define BUF	512

static const struct {
	const char *name;
	int level, last;
} levels[] = {
	{ "SOCKET", SOL_SOCKET, 84 },
	{ "IP", IPPROTO_IP, 54 },
	{ "IPV6", IPPROTO_IPV6, 82 },
	{ "TCP", IPPROTO_TCP, 46 },
	{ "none", 12345, 2 },
};

enum state { NEW, LISTENING, CONNECTED, N_STATES };
static const char *const states[N_STATES] = { "new", "listening", "connected" };

static struct sockaddr_in peer;
static char text[80];

struct opt {
	int level, name;
};

/* Of these only errors and lengths are told: buffers, clocks, what TCP is doing. */
static const struct opt moments[] = {
	{ SOL_SOCKET, SO_SNDBUF }, { SOL_SOCKET, SO_RCVBUF }, { SOL_SOCKET, SO_INCOMING_CPU },
	{ SOL_SOCKET, SO_MEMINFO }, { SOL_SOCKET, SO_COOKIE }, { IPPROTO_TCP, TCP_MAXSEG },
	{ IPPROTO_TCP, TCP_WINDOW_CLAMP }, { IPPROTO_TCP, TCP_INFO }, { IPPROTO_TCP, TCP_QUICKACK },
	{ IPPROTO_TCP, TCP_TIMESTAMP },
};

/* Left out: docs/man/jetstream.3 has those that matter. */
static const struct opt others[] = {
	{ SOL_SOCKET, SO_PEEK_OFF }, { SOL_SOCKET, 37 /* SO_TIMESTAMPING_OLD */ },
	{ SOL_SOCKET, 65 /* SO_TIMESTAMPING_NEW */ }, { IPPROTO_IPV6, IPV6_ADDRFORM },
	{ IPPROTO_IPV6, IPV6_PATHMTU }, { IPPROTO_IP, 52 /* IP_PROTOCOL: our port, for TCP */ },
	{ IPPROTO_TCP, TCP_MD5SIG }, { IPPROTO_TCP, TCP_REPAIR }, { IPPROTO_TCP, TCP_MD5SIG_EXT },
	{ IPPROTO_TCP, TCP_TX_DELAY }, { IPPROTO_TCP, 38 }, { IPPROTO_TCP, 39 },
	{ IPPROTO_TCP, 40 }, { IPPROTO_TCP, 41 }, { IPPROTO_TCP, 42 /* TCP_AO_* */ },
};

/* Left out of what is inherited: multicast is none of TCP's, TCP_SAVE_SYN saves nothing,
 * and IP_TOS makes a priority. */
static const struct opt apart[] = {
	{ SOL_SOCKET, SO_PRIORITY }, { IPPROTO_IP, IP_MULTICAST_TTL },
	{ IPPROTO_IPV6, IPV6_MULTICAST_IF }, { IPPROTO_IPV6, IPV6_MULTICAST_HOPS },
	{ IPPROTO_TCP, TCP_SAVED_SYN },
};

static bool is_in(const struct opt *list, size_t n, int level, int name)
{
	for (; n; n--, list++)
		if (list->level == level && list->name == name)
			return true;
	return false;
}

static bool is_moment(int level, int name)
{
	return is_in(moments, ARRAY_SIZE(moments), level, name);
}

static const char *err(int r)
{
	return r < 0 ? strerrorname_np(errno) : "0";
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* A socket in @state. */
static int make(int family, enum state state)
{
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = peer.sin_port };
	int fd = socket(family, SOCK_STREAM, 0), r = 0;

	if (fd < 0)
		die("socket");
	/* TCP_CC_INFO is as long as that says. */
	if (setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5) < 0)
		die("cubic");
	v6.sin6_addr.s6_addr[10] = v6.sin6_addr.s6_addr[11] = 0xff;
	memcpy(v6.sin6_addr.s6_addr + 12, &peer.sin_addr, 4);
	if (state == LISTENING)
		r = listen(fd, 5);
	else if (state == CONNECTED && family == AF_INET)
		r = connect(fd, (struct sockaddr *)&peer, sizeof(peer));
	else if (state == CONNECTED)
		r = connect(fd, (struct sockaddr *)&v6, sizeof(v6));
	if (r < 0)
		die(states[state]);
	return fd;
}

static void show(const char *where, int fd, int level, int name, socklen_t len)
{
	uint8_t buf[BUF];
	socklen_t was = len;
	int r;

	memset(buf, 0xa5, sizeof(buf));
	r = getsockopt(fd, level, name, buf, &len);
	printf("%s get %u: %s", where, was, err(r));
	if (r == 0)
		printf(" %u", len);
	if (r == 0 && !is_moment(level, name)) {
		printf(" =");
		for (socklen_t i = 0; i < len && i < 16; i++)
			printf(" %02x", buf[i]);
	}
	/* Nothing is written behind what it says. */
	for (size_t i = len; r == 0 && i < sizeof(buf); i++)
		if (buf[i] != 0xa5) {
			printf(" and beyond");
			break;
		}
	printf("\n");
}

static void try(const char *where, int fd, int level, int name, int value, socklen_t len)
{
	int vals[BUF / 4] = { value }, got = 0, r, g;
	socklen_t got_len = sizeof(got);

	r = setsockopt(fd, level, name, vals, len);
	printf("%s set %d (%u): %s", where, value, len, err(r));
	if (r == 0 && !is_moment(level, name)) {
		g = getsockopt(fd, level, name, &got, &got_len);
		if (g < 0)
			printf(", then %s", err(g));
		else
			printf(", then %d", got);
	}
	printf("\n");
}

/* What is no int. */
static void try_bytes(const char *where, int fd, int level, int name, const void *val, socklen_t len)
{
	printf("%s %d %d set %u octets: %s\n", where, level, name, len,
	       err(setsockopt(fd, level, name, val, len)));
	snprintf(text, sizeof(text), "%s %d %d", where, level, name);
	show(text, fd, level, name, 64);
}

static void structs(const char *where, int fd)
{
	static const struct timeval times[] = {
		{ 0, 0 }, { 1, 500000 }, { -1, 0 }, { 0, 1000000 }, { 0, -1 },
		{ (time_t)1 << 60, 0 },
	};
	static const struct linger lingers[] = { { 1, 5 }, { 0, 7 }, { 2, 30000 } };
	static const char *const names[] = { "reno", "cubic", "nonsense", "", "a name that is too long" };
	static const uint8_t key[33] = { 1, 2, 3, [17] = 4 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(times); i++) {
		try_bytes(where, fd, SOL_SOCKET, SO_RCVTIMEO, &times[i], sizeof(times[i]));
		try_bytes(where, fd, SOL_SOCKET, SO_SNDTIMEO, &times[i], sizeof(times[i]));
	}
	try_bytes(where, fd, SOL_SOCKET, SO_SNDTIMEO, &times[0], 8);
	for (i = 0; i < ARRAY_SIZE(lingers); i++)
		try_bytes(where, fd, SOL_SOCKET, SO_LINGER, &lingers[i], sizeof(lingers[i]));
	try_bytes(where, fd, SOL_SOCKET, SO_LINGER, &lingers[0], 4);
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		socklen_t len = (socklen_t)strlen(names[i]);

		try_bytes(where, fd, IPPROTO_TCP, TCP_CONGESTION, names[i], len);
		try_bytes(where, fd, IPPROTO_TCP, TCP_CONGESTION, names[i], len + 1);
		try_bytes(where, fd, SOL_SOCKET, SO_BINDTODEVICE, names[i], len);
	}
	try_bytes(where, fd, IPPROTO_TCP, TCP_ULP, "nonsense", 8);
	for (i = 15; i <= 33; i++)
		try_bytes(where, fd, IPPROTO_TCP, TCP_FASTOPEN_KEY, key, (socklen_t)i);
	/* Nowhere */
	printf("%s nowhere: %s", where, err(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, NULL, 4)));
	printf(" %s", err(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, NULL, 4)));
	printf(" %s", err(setsockopt(fd, IPPROTO_IP, IP_TTL, NULL, 4)));
	printf(" %s", err(getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, NULL, NULL)));
	printf(" %s\n", err(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, NULL, NULL)));
}

static void try_others(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		int fd = make(AF_INET6, NEW), one[BUF / 4] = { 1 };

		printf("%d %d: %s\n", others[i].level, others[i].name,
		       err(setsockopt(fd, others[i].level, others[i].name, one, sizeof(one))));
		close(fd);
	}
}

/* What servers set, in two parts: so many are kept to be read back (OPT_MAX). */
static void set_usual(int fd, bool tcp)
{
	static const struct {
		int level, name, value;
	} usual[] = {
		{ SOL_SOCKET, SO_KEEPALIVE, 1 }, { SOL_SOCKET, SO_OOBINLINE, 1 },
		{ SOL_SOCKET, SO_PRIORITY, 3 }, { SOL_SOCKET, SO_MARK, 7 },
		{ SOL_SOCKET, SO_TIMESTAMP, 1 }, { SOL_SOCKET, SO_RCVLOWAT, 5 },
		{ SOL_SOCKET, SO_MAX_PACING_RATE, 123456 }, { SOL_SOCKET, SO_BUSY_POLL, 50 },
		{ IPPROTO_IP, IP_TOS, 0x10 }, { IPPROTO_IP, IP_TTL, 33 },
		{ IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO }, { IPPROTO_IP, IP_RECVERR, 1 },
		{ IPPROTO_IP, IP_PKTINFO, 1 }, { IPPROTO_IP, IP_FREEBIND, 1 },
		{ IPPROTO_IPV6, IPV6_TCLASS, 0x20 }, { IPPROTO_IPV6, IPV6_UNICAST_HOPS, 44 },
		{ IPPROTO_IPV6, IPV6_RECVPKTINFO, 1 }, { IPPROTO_IPV6, IPV6_RECVERR, 1 },
		{ IPPROTO_TCP, TCP_NODELAY, 1 }, { IPPROTO_TCP, TCP_CORK, 1 },
		{ IPPROTO_TCP, TCP_KEEPIDLE, 11 }, { IPPROTO_TCP, TCP_KEEPINTVL, 12 },
		{ IPPROTO_TCP, TCP_KEEPCNT, 3 }, { IPPROTO_TCP, TCP_SYNCNT, 4 },
		{ IPPROTO_TCP, TCP_LINGER2, 5 }, { IPPROTO_TCP, TCP_DEFER_ACCEPT, 1 },
		{ IPPROTO_TCP, TCP_WINDOW_CLAMP, 30000 }, { IPPROTO_TCP, TCP_QUICKACK, 0 },
		{ IPPROTO_TCP, TCP_USER_TIMEOUT, 6000 }, { IPPROTO_TCP, TCP_NOTSENT_LOWAT, 7000 },
		{ IPPROTO_TCP, TCP_FASTOPEN, 9 }, { IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS, 1 },
		{ IPPROTO_TCP, TCP_SAVE_SYN, 1 }, { IPPROTO_TCP, TCP_INQ, 1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(usual); i++)
		if ((usual[i].level == IPPROTO_TCP) == tcp &&
		    setsockopt(fd, usual[i].level, usual[i].name, &usual[i].value, 4) < 0)
			die("setsockopt");
}

static void inherited(int port, bool tcp)
{
	static const struct timeval tv = { 30, 0 };
	static const struct linger linger = { 1, 7 };
	struct sockaddr_in6 sa = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };
	int l = socket(AF_INET6, SOCK_STREAM, 0), fd, one = 1;
	char where[64];

	setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(l, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		die("bind");
	set_usual(l, tcp);
	/* Not the node's: TCP_CC_INFO says which. */
	setsockopt(l, IPPROTO_TCP, TCP_CONGESTION, "reno", 4);
	if (!tcp) {
		setsockopt(l, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
		setsockopt(l, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
		setsockopt(l, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	}
	if (listen(l, 5) < 0)
		die("listen");
	fprintf(stderr, "ready\n");
	fd = accept(l, NULL, NULL);
	if (fd < 0)
		die("accept");
	for (size_t i = 0; i < ARRAY_SIZE(levels); i++) {
		for (int name = 0; name <= levels[i].last; name++) {
			snprintf(where, sizeof(where), "inherited %s %d", levels[i].name, name);
			if (!is_in(others, ARRAY_SIZE(others), levels[i].level, name) &&
			    !is_in(apart, ARRAY_SIZE(apart), levels[i].level, name))
				show(where, fd, levels[i].level, name, 64);
		}
	}
	/* Or the peer is reset. */
	while (recv(fd, where, sizeof(where), 0) > 0)
		;
}

int main(int argc, char **argv)
{
	static const int families[] = { AF_INET, AF_INET6 };
	static const socklen_t lens[] = { 256, 4, 2, 0 };
	static const int values[] = { 0, 1, -1, 2, 255, 1000, 70000 };
	char where[64];

	if (argc == 2 && !strcmp(argv[1], "others")) {
		try_others();
		return 0;
	}
	if (argc == 4 && !strcmp(argv[1], "inherited")) {
		inherited(atoi(argv[2]), atoi(argv[3]));
		return 0;
	}
	if (argc != 3 || inet_pton(AF_INET, argv[1], &peer.sin_addr) != 1) {
		fprintf(stderr, "usage: sockopts ADDRESS PORT | others | inherited PORT 0|1\n");
		return 2;
	}
	peer.sin_family = AF_INET;
	peer.sin_port = htons((uint16_t)atoi(argv[2]));
	for (size_t f = 0; f < 2; f++) {
		for (enum state s = NEW; s < N_STATES; s++) {
			int fd = make(families[f], s);

			snprintf(where, sizeof(where), "%s %s", f ? "inet6" : "inet", states[s]);
			structs(where, fd);
			close(fd);
		}
	}
	for (size_t f = 0; f < 2; f++)
	for (enum state s = NEW; s < N_STATES; s++)
	for (size_t l = 0; l < ARRAY_SIZE(levels); l++)
	for (int name = 0; name <= levels[l].last; name++) {
		int fd;

		if (is_in(others, ARRAY_SIZE(others), levels[l].level, name))
			continue;
		fd = make(families[f], s);
		snprintf(where, sizeof(where), "%s %s %s %d", f ? "inet6" : "inet", states[s],
			 levels[l].name, name);
		for (size_t i = 0; i < ARRAY_SIZE(lens); i++)
			show(where, fd, levels[l].level, name, lens[i]);
		for (size_t i = 0; i < ARRAY_SIZE(values); i++)
			try(where, fd, levels[l].level, name, values[i], 4);
		try(where, fd, levels[l].level, name, 1, 0);
		try(where, fd, levels[l].level, name, 1, 1);
		try(where, fd, levels[l].level, name, 1, 3);
		try(where, fd, levels[l].level, name, 1, 64);
		close(fd);
	}
	return 0;
}
