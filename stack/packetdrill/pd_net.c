/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pd_net.c - packets from outside, and a connection server for one child
 *
 * The server's part of connections: bind-points, Resolve, the SYN of a
 * listener, answers for connections in TIME-WAIT and for those that do not
 * exist.  What it says is the engine's business, as in connserver/.
 *
 * Ports are only among ourselves here: a bind-point is a descriptor without
 * meaning.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "abi/aal5.h"
#include "common/focache.h"
#include "common/util.h"
#include "stack/packetdrill/pd.h"

#define PEER_RING_ID	2		/* everybody else's */
#define N_TIME_WAIT	64
#define TIME_WAIT_US	60000000	/* 2 MSL */
#define PORT_FIRST	32768
#define PORT_LAST	60999

struct tw_record {
	uint64_t until_us;		/* 0: not in use */
	struct cm_addr local, peer;
	struct tcp_tw tw;
};

static struct tw_record records[N_TIME_WAIT];
static struct fo_cache fo_cache;
static uint16_t next_port = PORT_FIRST;

void pd_net_reset(void)
{
	memset(&fo_cache, 0, sizeof(fo_cache));
	memset(records, 0, sizeof(records));
	next_port = PORT_FIRST;
}

/* --- what we send --------------------------------------------------------------------- */

/* A segment without payload from @pair->src. */
static void answer(const struct ip_pair *pair, const struct tcp_seg *seg)
{
	uint8_t pkt[40 + TCP_HDR_MAX], th[TCP_HDR_MAX];
	int tcp_len = tcp_seg_build(seg, th);
	int ip_len = ip_build(pkt, pair, (uint32_t)tcp_len, 0, 0, 0);
	uint64_t sum = ip_csum_add(ip_pseudo_sum(pair, (uint32_t)tcp_len), th, (size_t)tcp_len);
	uint16_t csum = ip_csum_fold(sum);

	memcpy(th + 16, &csum, sizeof(csum));
	memcpy(pkt + ip_len, th, (size_t)tcp_len);
	pd_port_sent(pkt, (size_t)(ip_len + tcp_len));
}

/* --- TIME-WAIT ---------------------------------------------------------------------------- */

static struct tw_record *tw_find(const struct cm_addr *local, const struct cm_addr *peer)
{
	for (int i = 0; i < N_TIME_WAIT; i++) {
		struct tw_record *r = &records[i];

		if (r->until_us > pd_now() && cm_addr_equal(&r->local, local) &&
		    cm_addr_equal(&r->peer, peer))
			return r;
	}
	return NULL;
}

static void tw_add(const struct cm_msg *m)
{
	struct tw_record *r = &records[0];

	/* The one that expires first, or has. */
	for (int i = 1; i < N_TIME_WAIT; i++) {
		if (records[i].until_us < r->until_us)
			r = &records[i];
	}
	*r = (struct tw_record){
		.until_us = pd_now() + TIME_WAIT_US, .local = m->local, .peer = m->peer,
		.tw = {
			.snd_nxt = m->tw.snd_nxt, .rcv_nxt = m->tw.rcv_nxt,
			.ts_offset = m->tw.ts_offset, .ts_recent = m->tw.ts_recent,
			.wnd = m->tw.wnd, .has_ts = m->tw.has_ts,
		},
	};
}

/* --- ports ---------------------------------------------------------------------------------- */

static bool is_taken(const struct cm_addr *local, const struct csock *but, bool reuse)
{
	struct child *c = pd_child();

	for (uint32_t i = 0; i < c->max_sock; i++) {
		const struct csock *s = &c->socks[i];

		if (s == but || s->kind == CK_FREE || s->bp < 0 || s->local.port != local->port)
			continue;
		if (!cm_addr_same_host(&s->local, local) && !cm_addr_is_any(&s->local) &&
		    !cm_addr_is_any(local))
			continue;
		if (s->kind == CK_LISTENER || !s->reuse || !reuse)
			return true;
	}
	return false;
}

static int choose_port(struct cm_addr *local)
{
	for (int n = PORT_FIRST; n <= PORT_LAST; n++) {
		local->port = next_port;
		next_port = (uint16_t)(next_port == PORT_LAST ? PORT_FIRST : next_port + 1);
		if (!is_taken(local, NULL, false))
			return 0;
	}
	return -EADDRINUSE;
}

/* Something that can be listened on, and that nobody will ever connect to. */
static int make_bind_point(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&sun, sizeof(sun.sun_family)) == 0)
		return fd;
	close(fd);
	return -errno;
}

static void on_bind_point(int fd, const struct cm_msg *m)
{
	struct cm_msg r = { .type = CM_BIND_POINT_REPLY, .version = CM_VERSION, .id = m->id,
			    .sock = m->sock, .gen = m->gen, .local = m->local };
	int bp = -1;

	if (!r.local.port)
		r.err = choose_port(&r.local);
	else if (m->sock < JS_N_SOCKS &&
		 is_taken(&r.local, &pd_child()->socks[m->sock], m->on))
		r.err = -EADDRINUSE;
	if (!r.err) {
		bp = make_bind_point();
		r.err = MIN(bp, 0);
	}
	cm_send(fd, &r, &bp, bp >= 0);
	if (bp >= 0)
		close(bp);
}

static void on_resolve(int fd, const struct cm_msg *m)
{
	struct cm_msg r = { .type = CM_RESOLVE_REPLY, .version = CM_VERSION, .id = m->id,
			    .sock = m->sock, .gen = m->gen, .ring_id = PEER_RING_ID };
	struct cm_addr local = m->local;
	struct tw_record *tw;

	r.local = cm_addr_is_v4(&m->peer) ? pd_flags()->local4 : pd_flags()->local6;
	if (cm_addr_is_any(&local))
		memcpy(local.addr, r.local.addr, sizeof(local.addr));
	tw = tw_find(&local, &m->peer);
	if (tw && !tw->tw.has_ts) {
		r.err = -EADDRNOTAVAIL;
	} else if (tw) {
		r.flags = CM_ISS;
		r.n = tcp_tw_iss(&tw->tw);
		tw->until_us = 0;
	}
	cm_send(fd, &r, NULL, 0);
}

/* "ip tcp_metrics flush", as far as a script's commands can tell us. */
static bool is_told_to_forget(void)
{
	return pd_flags()->forget && unlink(pd_flags()->forget) == 0;
}

static void on_fastopen(int fd, const struct cm_msg *m)
{
	struct cm_msg r;

	if (is_told_to_forget())
		memset(&fo_cache, 0, sizeof(fo_cache));
	if (cm_fastopen(&fo_cache, m, pd_now(), &r))
		cm_send(fd, &r, NULL, 0);
}

bool pd_net_serve(int fd)
{
	bool some = false;
	struct cm_msg m;
	int got, n_got;

	for (;;) {
		got = -1;
		n_got = 0;
		if (cm_recv(fd, &m, &got, 1, &n_got, NULL, MSG_DONTWAIT) <= 0)
			return some;
		some = true;
		if (m.type == CM_BIND_POINT)
			on_bind_point(fd, &m);
		else if (m.type == CM_RESOLVE)
			on_resolve(fd, &m);
		else if (m.type == CM_TIME_WAIT)
			tw_add(&m);
		else if (m.type == CM_FASTOPEN)
			on_fastopen(fd, &m);
		if (n_got)
			close(got);
	}
}

/* --- what arrives ------------------------------------------------------------------------------ */

struct arrival {
	const uint8_t *pkt;
	size_t len;
	struct ip_pair pair;
	struct tcp_seg seg;
	struct cm_addr local, peer;
};

static bool to_pool(const struct arrival *a)
{
	struct js_flow flow = {
		.sport_be = htons(a->seg.sport), .dport_be = htons(a->seg.dport),
		.proto = IPPROTO_TCP,
	};
	int pool;

	memcpy(flow.src, a->pair.src, 16);
	memcpy(flow.dst, a->pair.dst, 16);
	pool = pd_port_find(&flow);
	if (pool >= 0)
		pd_port_receive((unsigned int)pool, a->pkt, a->len);
	return pool >= 0;
}

static void turn_round(struct arrival *a, struct tcp_seg *seg)
{
	struct ip_pair back;

	memcpy(back.src, a->pair.dst, sizeof(back.src));
	memcpy(back.dst, a->pair.src, sizeof(back.dst));
	seg->sport = a->seg.dport;
	seg->dport = a->seg.sport;
	answer(&back, seg);
}

/* A pair in TIME-WAIT.  False: the segment is for a listener, if there is one;
 * *@iss is set then. */
static bool to_time_wait(struct arrival *a, struct tw_record *r, uint32_t *iss)
{
	struct tcp_seg out;

	switch (tcp_tw_input(&r->tw, &a->seg, pd_now(), &out)) {
	case TCP_TW_FIN:
		r->until_us = pd_now() + TIME_WAIT_US;
		turn_round(a, &out);
		return true;
	case TCP_TW_ANSWER:
		turn_round(a, &out);
		return true;
	case TCP_TW_OPEN:
		*iss = tcp_tw_iss(&r->tw);
		r->until_us = 0;
		return false;
	default:
		return true;
	}
}

static struct csock *find_listener(const struct cm_addr *local)
{
	struct child *c = pd_child();
	struct csock *any = NULL;

	for (uint32_t i = 0; i < c->max_sock; i++) {
		struct csock *s = &c->socks[i];

		if (s->kind != CK_LISTENER || s->local.port != local->port)
			continue;
		if (cm_addr_same_host(&s->local, local))
			return s;
		/* "::" takes both families, "0.0.0.0" one. */
		if (cm_addr_is_any(&s->local) &&
		    (!cm_addr_is_v4(&s->local) || cm_addr_is_v4(local)))
			any = s;
	}
	return any;
}

/* A SYN for @l: the child makes a connection, whose pool then gets it. */
static void to_listener(struct arrival *a, const struct csock *l, bool has_iss, uint32_t iss)
{
	struct child *c = pd_child();
	struct cm_msg m = {
		.type = CM_SYN, .version = CM_VERSION, .sock = (uint32_t)(l - c->socks),
		.gen = l->gen, .local = a->local, .peer = a->peer, .ring_id = PEER_RING_ID,
		.flags = has_iss ? CM_ISS : 0, .n = iss,
	};

	conn_syn(c, &m);
	/* Refused: the backlog is full, and Linux says nothing. */
	to_pool(a);
}

static bool checksum_ok(const struct arrival *a, int ip_len)
{
	uint32_t tcp_len = (uint32_t)a->len - (uint32_t)ip_len;

	return ip_csum_fold(ip_csum_add(ip_pseudo_sum(&a->pair, tcp_len), a->pkt + ip_len,
					tcp_len)) == 0;
}

/* An ICMP or ICMPv6 error: as connserver/icmp.c tells a child. */
static bool to_icmp(const uint8_t *pkt, size_t len)
{
	bool is_v6 = len && pkt[0] >> 4 == 6;
	size_t hlen = is_v6 ? 40 : len ? (pkt[0] & 0xfu) * 4u : 0;
	struct cm_msg m = { .type = CM_ICMP, .version = CM_VERSION };
	struct icmp_error e;

	if (len < 20 || hlen > len || (is_v6 ? pkt[6] != IPPROTO_ICMPV6 : pkt[9] != IPPROTO_ICMP))
		return false;
	if (icmp_parse(pkt + hlen, len - hlen, is_v6, &e))
		return true;
	memcpy(m.local.addr, e.pair.src, 16);
	memcpy(m.peer.addr, e.pair.dst, 16);
	m.local.port = e.sport;
	m.peer.port = e.dport;
	m.icmp = (struct cm_icmp){ .seq = e.seq, .mtu = e.mtu, .is_too_big = e.is_too_big,
				   .err = (uint16_t)e.err };
	conn_icmp(pd_child(), &m);
	return true;
}

void pd_net_input(const uint8_t *pkt, size_t len)
{
	struct arrival a = { .pkt = pkt, .len = len };
	struct tcp_seg out;
	struct tw_record *r;
	const struct csock *l;
	bool has_iss = false;
	uint32_t iss = 0;
	uint8_t tos;
	int ip_len = ip_parse(pkt, len, &a.pair, &tos);

	if (ip_len < 0 && to_icmp(pkt, len))
		return;
	if (ip_len < 0 || tcp_seg_parse(&a.seg, pkt + ip_len, len - (size_t)ip_len) < 0)
		return;
	if (to_pool(&a) || !checksum_ok(&a, ip_len))
		return;
	memcpy(a.local.addr, a.pair.dst, 16);
	memcpy(a.peer.addr, a.pair.src, 16);
	a.local.port = a.seg.dport;
	a.peer.port = a.seg.sport;
	r = tw_find(&a.local, &a.peer);
	if (r) {
		if (to_time_wait(&a, r, &iss))
			return;
		has_iss = true;
	}
	pd_fastopen();
	l = find_listener(&a.local);
	if (l && (a.seg.flags & (TH_SYN | TH_ACK | TH_RST | TH_FIN)) == TH_SYN)
		to_listener(&a, l, has_iss, iss);
	else if ((!l || a.seg.flags & TH_ACK) && tcp_reset_for(&a.seg, &out))
		turn_round(&a, &out);
}
