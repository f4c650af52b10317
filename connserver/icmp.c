/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * icmp.c - ICMP errors about our children's segments
 *
 * Runs in jetconnd.  Anybody can send them, and as many as they like: so few of
 * them are read in a turn of the loop, and few are told in a second.  A child
 * that does not read its messages is not told.
 */
#include <errno.h>
#include <linux/icmp.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/log.h"
#include "common/util.h"
#include "connserver/children.h"
#include "connserver/icmp.h"
#include "stack/engine/tcp.h"

#define BATCH		32	/* of them, before others have their turn */
#define PACKET_MAX	2048	/* octets; what is longer is not an error: those quote 1280 at most */
#define RATE		1000	/* told in a second; as what Linux sends: icmp_msgs_per_sec */
#define BURST		100	/* ... and at once */

/* May one more be told now?  A token bucket. */
static bool may_tell(struct cs_server *cs)
{
	uint64_t full_us = BURST * 1000000ull / RATE;

	if (cs->icmp_us + full_us < cs->now_us)
		cs->icmp_us = cs->now_us - full_us;
	if (cs->icmp_us + 1000000 / RATE > cs->now_us)
		return false;
	cs->icmp_us += 1000000 / RATE;
	return true;
}

static void tell(struct cs_server *cs, const struct icmp_error *e)
{
	struct cm_msg m = {
		.type = CM_ICMP, .icmp = {
			.seq = e->seq, .mtu = e->mtu, .is_too_big = e->is_too_big,
			.err = (uint16_t)e->err,
		},
	};
	const struct cs_forward *f;

	memcpy(m.local.addr, e->pair.src, 16);
	memcpy(m.peer.addr, e->pair.dst, 16);
	m.local.port = e->sport;
	m.peer.port = e->dport;
	f = cs_ports_connection(cs->ports, &m.local, &m.peer);
	if (!f)
		cs_count(cs, CS_ICMP_NOT_OURS);
	else if (!may_tell(cs) || cs_child_send(cs, f->child, &m, -1, false))
		cs_count(cs, CS_ICMP_TOO_MANY);
	else
		cs_count(cs, CS_ICMP_TOLD);
}

void cs_icmp_packet(struct cs_server *cs, const uint8_t *pkt, size_t len, bool is_v6)
{
	struct icmp_error e;
	size_t hlen = 0;
	int err = -EBADMSG;

	if (!is_v6)
		hlen = len ? (pkt[0] & 0xfu) * 4 : SIZE_MAX;
	if (hlen <= len)
		err = icmp_parse(pkt + hlen, len - hlen, is_v6, &e);
	if (!err)
		tell(cs, &e);
	else
		cs_count(cs, err == -EBADMSG ? CS_ICMP_BAD : CS_ICMP_NOT_OURS);
}

static void ready(struct cs_server *cs, struct cs_watch *w, uint32_t events)
{
	uint8_t pkt[PACKET_MAX];
	ssize_t n;
	int i;

	(void)events;
	for (i = 0; i < BATCH; i++) {
		n = recv(w->fd, pkt, sizeof(pkt), MSG_DONTWAIT | MSG_TRUNC);
		if (n < 0)
			break;
		if ((size_t)n > sizeof(pkt))
			cs_count(cs, CS_ICMP_BAD);
		else
			cs_icmp_packet(cs, pkt, (size_t)n, w == &cs->icmp6_w);
	}
}

/* Only errors; the kernel need not wake us for anybody's ping. */
static int filter_v4(int fd)
{
	struct icmp_filter f = {
		.data = ~(1u << ICMP_DEST_UNREACH | 1u << ICMP_TIME_EXCEEDED |
			  1u << ICMP_PARAMETERPROB),
	};

	return setsockopt(fd, SOL_RAW, ICMP_FILTER, &f, sizeof(f));
}

static int filter_v6(int fd)
{
	struct icmp6_filter f;

	ICMP6_FILTER_SETBLOCKALL(&f);
	ICMP6_FILTER_SETPASS(ICMP6_DST_UNREACH, &f);
	ICMP6_FILTER_SETPASS(ICMP6_PACKET_TOO_BIG, &f);
	ICMP6_FILTER_SETPASS(ICMP6_TIME_EXCEEDED, &f);
	ICMP6_FILTER_SETPASS(ICMP6_PARAM_PROB, &f);
	return setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &f, sizeof(f));
}

static void open_one(struct cs_server *cs, struct cs_watch *w, bool is_v6)
{
	w->ready = ready;
	w->fd = socket(is_v6 ? AF_INET6 : AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
		       is_v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
	if (w->fd >= 0 && !(is_v6 ? filter_v6(w->fd) : filter_v4(w->fd)) &&
	    !cs_watch_add(cs->epoll_fd, w, EPOLLIN))
		return;
	log_warn("ICMP%s is not heard: %s", is_v6 ? "v6" : "", strerror(errno));
	cs_watch_close(cs->epoll_fd, w);
}

void cs_icmp_start(struct cs_server *cs)
{
	open_one(cs, &cs->icmp_w, false);
	open_one(cs, &cs->icmp6_w, true);
}

void cs_icmp_stop(struct cs_server *cs)
{
	cs_watch_close(cs->epoll_fd, &cs->icmp_w);
	cs_watch_close(cs->epoll_fd, &cs->icmp6_w);
}
