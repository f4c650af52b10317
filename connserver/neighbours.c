/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * neighbours.c - IP address -> Ring ID, from the kernel's tables
 *
 * Runs in jetconnd.  Two netlink sockets: one for questions, which the kernel
 * answers before sendmsg() returns, so nothing waits; one for notices, which
 * only say "look again".  A lost notice costs time, not truth: what waits has
 * a deadline and looks again then.
 *
 * A station's MAC is 02:4a:53:00:00:RR with RR its Ring ID (DESIGN 4); any
 * other is not on this ring.
 */
#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <fcntl.h>
#include <net/if.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/route/neighbour.h>
#include <netlink/route/route.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/util.h"
#include "connserver/neighbours.h"
#include "connserver/resolve.h"
#include "connserver/syn.h"
#include "stack/shm/cm.h"

#define SYNCOOKIES_FILE	"/proc/sys/net/ipv4/tcp_syncookies"

struct cs_neigh {
	struct nl_sock *ask;
	struct nl_sock *notices;
	struct cs_watch notices_w;
	int ifindex;			/* of jet0 */
};

/* What to do with an answer: nl_recvmsgs() gives it to parse(). */
struct question {
	int (*parse)(struct nlmsghdr *nlh, void *arg);
	void *arg;
	int err;			/* of the answer, -Exxx */
};

/* --- questions ------------------------------------------------------------ */

static int on_valid(struct nl_msg *msg, void *arg)
{
	struct question *q = arg;

	q->err = q->parse ? q->parse(nlmsg_hdr(msg), q->arg) : 0;
	return NL_OK;
}

static int on_ack(struct nl_msg *msg, void *arg)
{
	struct question *q = arg;

	(void)msg;
	q->err = 0;
	return NL_STOP;
}

static int on_error(struct sockaddr_nl *nla, struct nlmsgerr *e, void *arg)
{
	struct question *q = arg;

	(void)nla;
	q->err = e->error;
	return NL_STOP;
}

/* Send @msg, now ours, and take its one answer. */
static int ask(struct cs_neigh *n, struct nl_msg *msg, struct question *q)
{
	struct nl_cb *cb = nl_cb_alloc(NL_CB_DEFAULT);
	int err = cb ? nl_send_auto(n->ask, msg) : -NLE_NOMEM;

	nlmsg_free(msg);
	q->err = -EIO;
	if (err >= 0) {
		nl_cb_set(cb, NL_CB_VALID, NL_CB_CUSTOM, on_valid, q);
		nl_cb_set(cb, NL_CB_ACK, NL_CB_CUSTOM, on_ack, q);
		nl_cb_err(cb, NL_CB_CUSTOM, on_error, q);
		/* Its own result says no more than q->err does. */
		nl_recvmsgs(n->ask, cb);
	}
	if (cb)
		nl_cb_put(cb);
	return q->err;
}

/* The address part of netlink messages: 4 or 16 octets. */
static int nl_addr_of(const struct cm_addr *a, const void **data)
{
	bool is_v4 = cm_addr_is_v4(a);

	*data = is_v4 ? a->addr + 12 : a->addr;
	return is_v4 ? 4 : 16;
}

static int nl_family(const struct cm_addr *a)
{
	return cm_addr_is_v4(a) ? AF_INET : AF_INET6;
}

/* --- routes --------------------------------------------------------------- */

struct route {
	int type;			/* RTN_* */
	int ifindex;
	bool has_gateway;
	struct cm_addr gateway;		/* port 0 */
	struct cm_addr source;		/* preferred; port 0 */
	bool has_source;
};

static bool addr_of_nl(const struct nl_addr *from, struct cm_addr *to)
{
	struct sockaddr_storage ss = { 0 };	/* no port in nl_addr */
	socklen_t len = sizeof(ss);

	return !nl_addr_fill_sockaddr(from, (struct sockaddr *)&ss, &len) &&
	       cm_addr_from_sa(to, (struct sockaddr *)&ss, len) > 0;
}

static int route_parse(struct nlmsghdr *nlh, void *arg)
{
	struct route *r = arg;
	struct rtnl_route *rt;
	struct rtnl_nexthop *nh;
	struct nl_addr *src;

	if (rtnl_route_parse(nlh, &rt) < 0)
		return -EIO;
	r->type = rtnl_route_get_type(rt);
	nh = rtnl_route_nexthop_n(rt, 0);
	if (nh) {
		struct nl_addr *via = rtnl_route_nh_get_gateway(nh);

		r->ifindex = rtnl_route_nh_get_ifindex(nh);
		r->has_gateway = via && !nl_addr_iszero(via);
		if (r->has_gateway && !addr_of_nl(via, &r->gateway))
			r->ifindex = 0;
	}
	src = rtnl_route_get_pref_src(rt);
	r->has_source = src && addr_of_nl(src, &r->source);
	rtnl_route_put(rt);
	return 0;
}

/* As the kernel would route to @peer.  0; -ENETUNREACH and others of the
 * kernel. */
static int route_get(struct cs_neigh *n, const struct cm_addr *peer, struct route *r)
{
	struct question q = { .parse = route_parse, .arg = r };
	const void *data;
	int len = nl_addr_of(peer, &data);
	struct rtmsg rtm = {
		.rtm_family = (unsigned char)nl_family(peer),
		.rtm_dst_len = (unsigned char)(8 * len),
	};
	struct nl_msg *msg = nlmsg_alloc_simple(RTM_GETROUTE, 0);

	memset(r, 0, sizeof(*r));
	if (!msg)
		return -ENOMEM;
	if (nlmsg_append(msg, &rtm, sizeof(rtm), NLMSG_ALIGNTO) < 0 ||
	    nla_put(msg, RTA_DST, len, data) < 0) {
		nlmsg_free(msg);
		return -ENOMEM;
	}
	return ask(n, msg, &q);
}

/* --- the neighbour table -------------------------------------------------- */

struct entry {
	int state;			/* NUD_* */
	uint8_t mac[6];
	bool has_mac;
};

static int entry_parse(struct nlmsghdr *nlh, void *arg)
{
	struct entry *e = arg;
	struct rtnl_neigh *neigh;
	struct nl_addr *mac;

	if (rtnl_neigh_parse(nlh, &neigh) < 0)
		return -EIO;
	e->state = rtnl_neigh_get_state(neigh);
	if (e->state < 0)
		e->state = NUD_NONE;
	mac = rtnl_neigh_get_lladdr(neigh);
	e->has_mac = mac && nl_addr_get_len(mac) == sizeof(e->mac);
	if (e->has_mac)
		memcpy(e->mac, nl_addr_get_binary_addr(mac), sizeof(e->mac));
	rtnl_neigh_put(neigh);
	return 0;
}

static struct nl_msg *entry_msg(struct cs_neigh *n, const struct cm_addr *peer, int type,
				int flags, uint8_t ntf)
{
	struct nl_msg *msg = nlmsg_alloc_simple(type, flags);
	const void *data;
	int len = nl_addr_of(peer, &data);
	struct ndmsg ndm = {
		.ndm_family = (uint8_t)nl_family(peer), .ndm_ifindex = n->ifindex,
		.ndm_state = NUD_NONE, .ndm_flags = ntf,
	};

	if (msg && (nlmsg_append(msg, &ndm, sizeof(ndm), NLMSG_ALIGNTO) < 0 ||
		    nla_put(msg, NDA_DST, len, data) < 0)) {
		nlmsg_free(msg);
		msg = NULL;
	}
	return msg;
}

static int entry_get(struct cs_neigh *n, const struct cm_addr *peer, struct entry *e)
{
	struct question q = { .parse = entry_parse, .arg = e };
	struct nl_msg *msg = entry_msg(n, peer, RTM_GETNEIGH, 0, 0);

	memset(e, 0, sizeof(*e));
	return msg ? ask(n, msg, &q) : -ENOMEM;
}

/* As if the kernel had a packet for @peer: it makes an entry and asks, or
 * verifies one that is stale.  "ip neigh add … use" does the same. */
static int entry_use(struct cs_neigh *n, const struct cm_addr *peer)
{
	struct question q = { 0 };
	struct nl_msg *msg = entry_msg(n, peer, RTM_NEWNEIGH,
				       NLM_F_CREATE | NLM_F_REPLACE | NLM_F_ACK, NTF_USE);

	return msg ? ask(n, msg, &q) : -ENOMEM;
}

/* 0 and the Ring ID; -EHOSTUNREACH not one of ours. */
static int mac_to_ring_id(const struct entry *e, unsigned int *ring_id)
{
	static const uint8_t ours[5] = { 0x02, 0x4a, 0x53, 0x00, 0x00 };

	if (!e->has_mac || memcmp(e->mac, ours, sizeof(ours)) || e->mac[5] >= JS_N_RING_IDS)
		return -EHOSTUNREACH;
	*ring_id = e->mac[5];
	return 0;
}

/* A neighbour on jet0.  0; -EAGAIN being resolved; -EHOSTUNREACH. */
static int neighbour(struct cs_neigh *n, const struct cm_addr *peer, bool may_ask,
		     unsigned int *ring_id)
{
	struct entry e;
	int err = entry_get(n, peer, &e);

	if (err && err != -ENOENT)
		return err;
	if (!err && (e.state & (NUD_REACHABLE | NUD_PERMANENT | NUD_DELAY | NUD_PROBE)))
		return mac_to_ring_id(&e, ring_id);
	if (!err && (e.state & NUD_STALE)) {
		/* Good until somebody knows better: as the kernel does. */
		if (may_ask)
			entry_use(n, peer);
		return mac_to_ring_id(&e, ring_id);
	}
	if (!err && (e.state & NUD_INCOMPLETE))
		return -EAGAIN;
	/* None, or it has failed. */
	if (!may_ask)
		return -EHOSTUNREACH;
	err = entry_use(n, peer);
	return err ? err : -EAGAIN;
}

/* --- what the server asks ------------------------------------------------- */

static bool is_loopback(const struct cm_addr *a)
{
	static const uint8_t lo6[16] = { [15] = 1 };

	if (cm_addr_is_v4(a))
		return a->addr[12] == 127;
	return !memcmp(a->addr, lo6, sizeof(lo6));
}

static int net_ring_id(struct cs_server *cs, const struct cm_addr *peer, bool may_ask,
		       unsigned int *ring_id, struct cm_addr *local)
{
	struct route r;
	int err;

	*local = cs->cfg.addr;
	if (is_loopback(peer))
		return -EADDRNOTAVAIL;
	err = route_get(cs->neigh, peer, &r);
	if (err)
		return err;
	if (r.has_source)
		*local = r.source;
	switch (r.type) {
	case RTN_LOCAL:
		*ring_id = cs->ring_id;
		return 0;
	case RTN_UNICAST:
		break;
	default:
		/* Broadcast and multicast: what connect() says of them. */
		return -ENETUNREACH;
	}
	if (r.ifindex != cs->neigh->ifindex)
		return -EHOSTUNREACH;
	/* Beyond a station that is a router: the frames go to that one. */
	return neighbour(cs->neigh, r.has_gateway ? &r.gateway : peer, may_ask, ring_id);
}

static bool net_is_local(struct cs_server *cs, const struct cm_addr *a)
{
	struct route r;

	if (cm_addr_same_host(a, &cs->cfg.addr))
		return true;
	return !route_get(cs->neigh, a, &r) && r.type == RTN_LOCAL;
}

static int net_syncookies(struct cs_server *cs)
{
	int fd = open(SYNCOOKIES_FILE, O_RDONLY | O_CLOEXEC);
	char digit = '1';

	(void)cs;
	if (fd < 0)
		return 1;
	if (read(fd, &digit, 1) != 1)
		digit = '1';
	close(fd);
	return digit == '0' ? 0 : digit == '2' ? 2 : 1;
}

const struct cs_net cs_neigh_net = {
	.ring_id = net_ring_id, .is_local = net_is_local, .syncookies = net_syncookies,
};

/* --- notices -------------------------------------------------------------- */

static void notices_ready(struct cs_server *cs, struct cs_watch *w, uint32_t events)
{
	char buf[8192];
	ssize_t n;

	(void)events;
	/* ENOBUFS: some were lost.  What they said is in the table all the same. */
	do
		n = recv(w->fd, buf, sizeof(buf), MSG_DONTWAIT);
	while (n > 0 || (n < 0 && (errno == EINTR || errno == ENOBUFS)));
	cs_resolve_retry(cs);
	cs_syn_retry(cs);
}

static struct nl_sock *open_socket(void)
{
	struct nl_sock *sk = nl_socket_alloc();

	if (!sk)
		return NULL;
	nl_socket_disable_auto_ack(sk);
	/* An entry or a route fits libnl's buffer: do not look first. */
	nl_socket_disable_msg_peek(sk);
	if (nl_connect(sk, NETLINK_ROUTE) < 0 || nl_socket_set_nonblocking(sk) < 0) {
		nl_socket_free(sk);
		return NULL;
	}
	return sk;
}

int cs_neigh_start(struct cs_server *cs, const char **what)
{
	struct cs_neigh *n = calloc(1, sizeof(*n));

	*what = "netlink";
	if (!n)
		return -ENOMEM;
	n->notices_w.fd = -1;
	cs->neigh = n;
	n->ifindex = (int)if_nametoindex(cs->cfg.dev);
	if (!n->ifindex) {
		*what = cs->cfg.dev;
		return -ENODEV;
	}
	n->ask = open_socket();
	n->notices = open_socket();
	if (!n->ask || !n->notices ||
	    nl_socket_add_memberships(n->notices, RTNLGRP_NEIGH, RTNLGRP_NONE) < 0)
		return -EPROTO;
	n->notices_w = (struct cs_watch){
		.fd = nl_socket_get_fd(n->notices), .ready = notices_ready,
	};
	return cs_watch_add(cs->epoll_fd, &n->notices_w, EPOLLIN);
}

void cs_neigh_stop(struct cs_server *cs)
{
	struct cs_neigh *n = cs->neigh;

	if (!n)
		return;
	if (n->ask)
		nl_socket_free(n->ask);
	/* Closes the descriptor that is watched: epoll forgets it with that. */
	if (n->notices)
		nl_socket_free(n->notices);
	free(n);
	cs->neigh = NULL;
}
