/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conn.c - connections in the child: pools, VCIs, anchors, birth to release
 *
 * The active side: bind-point, Resolve, pool, SYN to the peer's connection
 * server; the peer's RxVCI comes back in the SYN+ACK's trailer (paper, 4.4.7).
 * The passive side: Syn from our server, pool, Divert; the SYN follows into
 * the pool, the SYN+ACK goes straight to the connector's RxVCI.
 *
 * A socket is released when its last descriptor is closed (the anchor hangs
 * up) and TCP is CLOSED.  The child.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "abi/aal5.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/util.h"
#include "stack/child/child_int.h"
#include "stack/child/secret.h"

#define MSS_SENT	61440		/* octets: 15 buffers */
#define MSS_DEFAULT_V6	1220		/* octets: RFC 9293, 3.7.1 */
#define RX_EXTRA	64		/* buffers of a pool beyond twice so_rcv */
#define LOOK_AHEAD	64		/* events */
#define BURY_MAX_US	1000000		/* a pool waits so long for its last SEND to leave */
#define ORPHAN_RTO_US	600000		/* see orphan_patience() */
#define ORPHAN_MIN_US	60000000	/* FIN-WAIT-2 lasts so long */
#define EVICT_US	20000		/* a handshake may take so long, also when SYNs pour in */
#define HALF_PRIVATE	16		/* of them with a stream of their own */
#define HALF_MAX	(JS_N_SOCKS / 4)	/* half-open connections of all listeners */
#define DEFER_MAX_S	3600		/* TCP_DEFER_ACCEPT, seconds */
#define JUNK_READS	16		/* of what must not come over an anchor, at a time */
#define HANDOVER_US	10000		/* the server has much to read: offer again then */

/* --- sockets and anchors -------------------------------------------------------------- */

int conn_new(struct child *c, uint16_t family, uid_t uid)
{
	uint32_t octets = MIN(so_buf_max(&c->stk), (uint32_t)JS_BUF_DEFAULT);
	struct tcp_config cfg = { .mss = (uint16_t)(c->mtu - 40), .rcv_buf = octets };
	struct js_so so = { .snd_hiwat = octets, .rcv_hiwat = octets };
	static const struct clistener none;
	struct js_sock *sh;
	struct csock *s;
	struct tcpcb tcb;
	uint32_t idx;

	for (idx = 0; idx < JS_N_SOCKS && c->socks[idx].kind != CK_FREE; idx++)
		;
	if (idx == JS_N_SOCKS)
		return -ENFILE;
	child_lock(c);
	s = &c->socks[idx];
	*s = (struct csock){
		.kind = CK_NEW, .gen = s->gen + 1, .anchor = -1, .bp = -1,
		.family = family, .uid = uid, .who = -1, .parent = JS_SOCK_NONE,
		.snd_buf = octets, .rcv_buf = octets, .born_us = now_us(),
	};
	/* Only looked at, it costs nothing. */
	if (memcmp(&c->listeners[idx], &none, sizeof(none)))
		c->listeners[idx] = none;
	c->n_socks++;
	c->max_sock = MAX(c->max_sock, idx + 1);
	sh = &c->stk.socks[idx];
	so_unretire(sh, reclaim_ooo(c, idx));	/* from before it was released */
	tcp_init(&tcb, &cfg);
	so.fence_seen = so.rcv_fence = (uint16_t)atomic_load(&sh->fences);
	so_init_block(c->stk.mem, &c->blocks, idx, &tcb, &so);
	atomic_store(&sh->notify, 0);
	atomic_store(&sh->opts, family == AF_INET6 ? JS_SO_V6 : 0);
	atomic_store(&sh->mode, JS_ANCHOR_MODE_TOKEN);
	atomic_store(&sh->rcvtimeo_us, 0);
	atomic_store(&sh->sndtimeo_us, 0);
	atomic_store(&sh->linger_s, 0);
	for (int i = 0; i < JS_N_TOPTS; i++)
		atomic_store(&sh->topt[i], 0);
	atomic_store(&sh->topt[JS_TOPT_NOTSENT_LOWAT], c->notsent_lowat);
	atomic_store(&sh->chrono, JS_CHRONO_IDLE);
	for (int i = 0; i < JS_N_CHRONOS; i++)
		atomic_store(&sh->chrono_us[i], 0);
	atomic_store(&sh->pending, 0);
	atomic_store(&sh->accepted, 0);
	atomic_store(&sh->deadline_us, UINT64_MAX);
	/* store-release: who sees the generation sees the rest */
	atomic_store_explicit(&sh->gen, s->gen, memory_order_release);
	child_unlock(c);
	return (int)idx;
}

int conn_anchor(struct child *c, uint32_t idx)
{
	struct csock *s = &c->socks[idx];
	int sv[2], err;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
		return -errno;
	err = child_watch(c, sv[0], EPOLLIN, EP_ANCHOR, idx);
	if (err) {
		close(sv[0]);
		close(sv[1]);
		return err;
	}
	s->anchor = sv[0];
	s->anchored = true;
	s->anchor_shut = false;
	return sv[1];
}

/* What we wait for at an anchor, besides its end. */
static void rewatch_anchor(struct child *c, uint32_t idx, bool want_room)
{
	const struct csock *s = &c->socks[idx];
	struct epoll_event ev = {
		.events = (s->anchor_shut ? 0u : EPOLLIN) | (want_room ? EPOLLOUT : 0u),
		.data.u64 = (uint64_t)EP_ANCHOR << 32 | idx,
	};

	epoll_ctl(c->epoll_fd, EPOLL_CTL_MOD, s->anchor, &ev);
}

void conn_token(void *ctx, uint32_t idx)
{
	struct child *c = ctx;
	const struct csock *s = &c->socks[idx];
	uint32_t urg = 1u << JS_WAIT_URG;
	char token = JS_ANCHOR_TOKEN;
	int flags = MSG_DONTWAIT | MSG_NOSIGNAL;

	if (s->kind == CK_FREE || !s->anchored || s->kind == CK_LISTENER)
		return;
	/* The kernel knows whose SIGURG it is.  It may have been built without. */
	if (atomic_fetch_and(&c->stk.socks[idx].notify, ~urg) & urg) {
		token = JS_ANCHOR_URGENT;
		if (send(s->anchor, &token, 1, flags | MSG_OOB) == 1)
			return;
		token = JS_ANCHOR_TOKEN;
	}
	/* A full anchor is readable: as good as one more token. */
	send(s->anchor, &token, 1, flags);
}

/* --- pools ------------------------------------------------------------------------------ */

static bool is_v4(const struct cm_addr *a)
{
	return cm_addr_is_v4(a);
}

/* What this connection may send: paper, 4.7. */
static void make_template(const struct csock *s, struct js_template *t)
{
	uint16_t ports[2] = { htons(s->local.port), htons(s->peer.port) };

	memset(t, 0, sizeof(*t));
	if (is_v4(&s->local)) {
		t->ip_len = 20;
		t->ip_value[0] = 0x45;		/* version, header length */
		t->ip_mask[0] = 0xff;
		t->ip_mask[6] = 0xbf;		/* DF as you like, no fragment */
		t->ip_mask[7] = 0xff;
		t->ip_value[9] = IPPROTO_TCP;
		t->ip_mask[9] = 0xff;
		memcpy(t->ip_value + 12, s->local.addr + 12, 4);
		memcpy(t->ip_value + 16, s->peer.addr + 12, 4);
		memset(t->ip_mask + 12, 0xff, 8);
	} else {
		t->ip_len = 40;
		t->ip_value[0] = 0x60;
		t->ip_mask[0] = 0xf0;
		t->ip_value[6] = IPPROTO_TCP;
		t->ip_mask[6] = 0xff;
		memcpy(t->ip_value + 8, s->local.addr, 16);
		memcpy(t->ip_value + 24, s->peer.addr, 16);
		memset(t->ip_mask + 8, 0xff, 32);
	}
	t->tp_len = 4;
	memcpy(t->tp_value, ports, 4);
	memset(t->tp_mask, 0xff, 4);
}

static uint32_t rx_limit(const struct csock *s)
{
	uint32_t octets = s->fixed & JS_SOF_RCVBUF ? s->rcv_buf : JS_BUF_MAX;

	return 2 * octets / JS_BUF_SIZE + RX_EXTRA;
}

/* Ask for the pool of @req, with the shared stream. */
static int pool_on_shared(struct child *c, struct csock *s, struct js_pool_req *req, int proof)
{
	int err;

	req->stream = JS_STREAM_NO;
	req->inject = c->shared_vci;
	err = poolc_pool_create_flow(&c->stk.pc, req, proof, &s->pool, NULL);
	if (err)
		return err;
	s->rxvci = c->shared_vci;
	s->is_shared = true;
	return 0;
}

/*
 * Streams are scarce (DESIGN 5).  Who is half open, and there are many, may never
 * need one: the shared one will do until ESTABLISHED, and for good if there is
 * none left.  A few have theirs at once, which saves a crossing.
 */
static int pool_with_stream(struct child *c, struct csock *s, struct js_pool_req *req, int proof)
{
	bool can_share = c->shared_vci != JS_VCI_NONE;
	int err;

	if (can_share && s->parent != JS_SOCK_NONE && c->n_half >= HALF_PRIVATE)
		return pool_on_shared(c, s, req, proof);
	err = poolc_pool_create_flow(&c->stk.pc, req, proof, &s->pool, &s->rxvci);
	return err == -ENOSPC && can_share ? pool_on_shared(c, s, req, proof) : err;
}

/* Pool, private stream, template and flow rule: one crossing. */
static int make_pool(struct child *c, struct csock *s)
{
	struct js_pool_req req = {
		.stream = JS_STREAM_ANY, .txvci = s->txvci, .queues = 0xffff,
		.rx_limit = rx_limit(s), .has_flow = 1,
	};
	int err;

	memcpy(req.flow.src, s->peer.addr, 16);
	memcpy(req.flow.dst, s->local.addr, 16);
	req.flow.sport_be = htons(s->peer.port);
	req.flow.dport_be = htons(s->local.port);
	req.flow.proto = IPPROTO_TCP;
	make_template(s, &req.tmpl);
	/* Its bind-point, or its listener's, shows that the port is ours. */
	err = pool_with_stream(c, s, &req, s->bp < 0 && s->parent != JS_SOCK_NONE ?
			       c->socks[s->parent].bp : s->bp);
	if (err)
		return err;
	if (s->pool >= JS_N_POOLS) {
		poolc_pool_destroy(&c->stk.pc, s->pool);
		return -ENOSPC;
	}
	s->has_pool = true;
	return 0;
}

static void tell_forward(struct child *c, uint32_t idx, bool on)
{
	struct csock *s = &c->socks[idx];
	struct cm_msg m = { .type = CM_FORWARD, .sock = idx, .gen = s->gen, .on = on,
			    .vci = s->rxvci, .local = s->local, .peer = s->peer };

	ctl_server_send(c, &m, NULL, 0);
}

static void write_guard(struct child *c, uint32_t idx)
{
	const struct csock *s = &c->socks[idx];
	struct js_guard_sock *g = &c->stk.guard->sock[idx];

	g->pool = s->pool;
	g->rxvci = s->rxvci;
	g->txvci = s->txvci;
	g->lport = s->local.port;
	g->pport = s->peer.port;
	memcpy(g->laddr, s->local.addr, 16);
	memcpy(g->paddr, s->peer.addr, 16);
	__atomic_store_n(&g->gen, s->gen, __ATOMIC_RELEASE);
	atomic_store_explicit(&c->stk.guard->sock_by_pool[s->pool], (uint16_t)idx,
			      memory_order_release);
}

/* @closed: TCP is CLOSED there; else somebody else may answer in its place. */
static void drop_pool(struct child *c, uint32_t idx, bool closed)
{
	struct csock *s = &c->socks[idx];

	if (!s->has_pool)
		return;
	atomic_store(&c->stk.guard->sock_by_pool[s->pool], 0xffff);
	tell_forward(c, idx, false);
	s->has_pool = false;
	if (c->n_dying == MAX_DYING) {
		poolc_pool_destroy(&c->stk.pc, s->pool);
		return;
	}
	c->dying[c->n_dying++] = (struct dying){
		.pool = s->pool, .closed = closed, .op = poolc_tail(&c->stk.q), .until_us = now_us() + BURY_MAX_US,
	};
}

bool conn_stray(void *ctx, uint16_t pool)
{
	struct child *c = ctx;

	for (unsigned int i = 0; i < c->n_dying; i++) {
		if (c->dying[i].pool != pool || !c->dying[i].closed)
			continue;
		/* The answer is pushed next; it shall leave, too. */
		c->dying[i].op = poolc_tail(&c->stk.q) + 1;
		return true;
	}
	return false;
}

/* Something has come for it, which could not be answered without it. */
static bool is_awaited(struct child *c, uint16_t pool)
{
	struct js_event ev;

	for (uint32_t n = 0; n < LOOK_AHEAD && poolc_event_look(&c->stk.pc, n, &ev); n++) {
		if (ev.pool == pool)
			return true;
	}
	return false;
}

void conn_bury(struct child *c)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < c->n_dying; i++) {
		struct dying d = c->dying[i];

		/* Done is a word that applications can write, too. */
		if ((poolc_is_done(&c->stk.q, d.op - 1) && !is_awaited(c, d.pool)) ||
		    now_us() >= d.until_us)
			poolc_pool_destroy(&c->stk.pc, d.pool);
		else
			c->dying[n++] = d;
	}
	c->n_dying = n;
}

/* TCP_MAXSEG, octets; 0: none that binds. */
static uint16_t maxseg_of(const struct js_sock *sh)
{
	uint32_t maxseg = so_topt(sh, JS_TOPT_MAXSEG);

	return maxseg < JS_MTU ? (uint16_t)maxseg : 0;
}

/* The SYN, as far as a cookie has kept it. */
static struct tcp_seg rebuild_syn(const struct cm_cookie *ck)
{
	return (struct tcp_seg){
		.seq = ck->irs, .mss = ck->mss,
		.flags = TH_SYN | (ck->opts & CM_COOKIE_ECN ? TCP_TH_ECE | TCP_TH_CWR : 0),
		.wscale = ck->opts & CM_COOKIE_WS ? (uint8_t)ck->wscale : TCP_WS_NONE,
		.sack_permitted = ck->opts & CM_COOKIE_SACK,
		.has_ts = ck->opts & CM_COOKIE_TS, .tsval = ck->tsval,
	};
}

/* @cookie: the SYN was answered so.  Else NULL. */
static void open_passive(struct so_txn *t, uint32_t iss, const struct cm_cookie *cookie,
			 uint64_t now)
{
	struct tcp_seg syn;
	struct tcp_view v;

	if (!cookie) {
		tcp_user_open_passive(&t->tcb, iss, now);
		return;
	}
	syn = rebuild_syn(cookie);
	so_view(t, &v);
	tcp_user_open_answered(&t->tcb, &v, iss, &syn, now);
	if (cookie->opts & CM_COOKIE_RXVCI)
		t->s.flags |= JS_SOF_ANNOUNCE;
}

int conn_open(struct child *c, uint32_t idx, bool active, const struct cm_cookie *cookie)
{
	struct csock *s = &c->socks[idx];
	struct js_sock *sh = &c->stk.socks[idx];
	uint32_t mark = poolc_tail(&c->stk.q);
	uint64_t now = now_us();
	struct tcp_config cfg = c->wishes;
	uint16_t maxseg = maxseg_of(sh);
	struct tcp_user_opts opts;
	struct so_txn t;
	uint32_t iss;
	int err = make_pool(c, s);

	if (err)
		return err;
	cfg.mss = (uint16_t)(c->mtu - (is_v4(&s->local) ? 40 : 60));
	cfg.mss_default = is_v4(&s->local) ? 0 : MSS_DEFAULT_V6;
	cfg.eff_mss_max = MSS_SENT;
	cfg.rcv_buf = s->rcv_buf;
	/* Also with SO_RCVBUF, as Linux: a window scale of 8. */
	cfg.rcv_buf_max = JS_BUF_MAX;
	cfg.cc = atomic_load(&sh->opts) & JS_SO_RENO ? TCP_CC_RENO : TCP_CC_CUBIC;
	if (maxseg && maxseg < cfg.mss) {
		cfg.mss = maxseg;
		cfg.mss_binds = true;
	}
	s->kind = CK_CONN;
	write_guard(c, idx);
	if (active)
		tell_forward(c, idx, true);
	secret_numbers(c->args.secret, &s->local, &s->peer, now, &iss, &cfg.ts_offset);
	if (cookie && cookie->opts & CM_COOKIE_TS)
		cfg.ts_offset = cookie->ts_offset;
	if (s->has_iss)
		iss = s->iss;
	child_lock(c);
	err = so_begin(c->stk.mem, idx, &t);
	if (!err) {
		tcp_init(&t.tcb, &cfg);
		so_user_opts(sh, &opts);
		tcp_user_opts(&t.tcb, &opts, now);
		if (s->defer_us)
			t.s.flags |= JS_SOF_DEFER;
		t.s.flags |= s->fixed;
		t.s.snd_hiwat = s->snd_buf;
		t.s.rcv_hiwat = s->rcv_buf;
		t.s.ev_seq = 0;
		t.s.flags &= ~(uint32_t)JS_SOF_FASTOPEN;
		if (active) {
			fo_open(s, &t.tcb);
			tcp_user_open_active(&t.tcb, iss, now);
			t.s.flags |= JS_SOF_CONNECTING;
			so_output(&c->stk, idx, &t, now);
		} else {
			open_passive(&t, iss, cookie, now);
		}
		err = so_finish(&c->stk, idx, &t, mark, 0);
	}
	child_unlock(c);
	if (err)
		drop_pool(c, idx, false);
	return err;
}

int conn_rxvci(void *ctx, uint32_t idx, uint16_t rxvci)
{
	struct child *c = ctx;
	struct csock *s = &c->socks[idx];
	struct js_pool_req req = { .txvci = rxvci };

	/* None: the kernel's TCP; it listens on its IP stream (txvci is that). */
	if (!rxvci || rxvci == s->txvci)
		return 0;
	/* IP_DIVERT: a cookie from its connection server. */
	if (vci_is_mcast(rxvci) ||
	    (vci_stream(rxvci) < JS_STREAM_FIRST && vci_stream(rxvci) != JS_STREAM_IP_DIVERT) ||
	    vci_ring_id(rxvci) != s->ring_id)
		return -EINVAL;
	s->txvci = rxvci;
	c->stk.guard->sock[idx].txvci = rxvci;
	return poolc_pool_set(&c->stk.pc, s->pool, JS_PS_TXVCI, &req);
}

/* --- the backlog ------------------------------------------------------------------------- */

/* Count @s in this queue of its listener's from now on. */
static void queue_move(struct child *c, struct csock *s, enum csock_queue to)
{
	struct clistener *l = s->parent == JS_SOCK_NONE ? NULL : &c->listeners[s->parent];

	if (s->queue == CQ_HALF) {
		c->n_half--;
		if (l)
			l->n_half--;
	} else if (s->queue == CQ_ACCEPT && l) {
		l->n_accept--;
	}
	s->queue = l ? to : CQ_NONE;
	if (s->queue == CQ_HALF) {
		c->n_half++;
		l->n_half++;
	} else if (s->queue == CQ_ACCEPT) {
		l->n_accept++;
	}
}

/* accept() does not keep up with @idx, as Linux means it. */
static bool is_accept_full(struct child *c, uint32_t idx)
{
	const struct clistener *l = &c->listeners[idx];

	if (l->n_accept <= l->backlog)
		return false;
	for (uint32_t i = 0; i < c->max_sock; i++) {
		struct csock *s = &c->socks[i];

		if (s->kind == CK_CONN && s->parent == idx && s->queue == CQ_ACCEPT &&
		    s->delivered && atomic_load(&c->stk.socks[i].accepted))
			queue_move(c, s, CQ_NONE);
	}
	return l->n_accept > l->backlog;
}

/* No more half-open connections for listener @idx. */
static bool is_half_full(const struct child *c, uint32_t idx)
{
	const struct clistener *l = &c->listeners[idx];

	return l->n_half >= MAX(l->backlog, 1u) || c->n_half >= HALF_MAX ||
	       c->n_socks == JS_N_SOCKS;
}

/* What the server must know to answer a SYN for @idx. */
static struct cm_listen listen_told(const struct child *c, uint32_t idx)
{
	return (struct cm_listen){
		.rcv_buf = c->socks[idx].rcv_buf, .mss = maxseg_of(&c->stk.socks[idx]),
		.ecn = c->wishes.ecn,
	};
}

void conn_tell_listener(struct child *c, uint32_t idx, bool on)
{
	const struct csock *s = &c->socks[idx];
	struct cm_msg m = { .type = CM_LISTEN, .sock = idx, .gen = s->gen, .on = on,
			    .local = s->local, .listen = listen_told(c, idx) };

	/* As its bind-point has it: the kernel knows who may have the address. */
	m.flags = (s->bp_flags & CM_BP_V6ONLY ? CM_LS_V6ONLY : 0) |
		  (s->bp_flags & CM_BP_REUSEPORT ? CM_LS_REUSEPORT : 0);
	ctl_server_send(c, &m, NULL, 0);
}

/* --- the end ----------------------------------------------------------------------------- */

static void release(struct child *c, uint32_t idx)
{
	struct csock *s = &c->socks[idx];
	struct js_sock *sh = &c->stk.socks[idx];
	struct so_txn t;

	drop_pool(c, idx, false);
	queue_move(c, s, CQ_NONE);
	fo_settled(c, s, false);
	if (s->anchored)
		close(s->anchor);
	if (s->bp >= 0)
		close(s->bp);
	if (so_begin(c->stk.mem, idx, &t) == 0) {
		/* Our FREEs must not overtake what was sent last before a reset. */
		if (t.s.snd_cc)
			reclaim_wait_fetched(c);
		so_drop_all(&c->stk, &t);
		so_commit(&t);
		stk_flush(&c->stk);
		poolc_publish(&c->stk.q);
	}
	c->stk.guard->sock[idx].gen = 0;
	s->kind = CK_FREE;
	s->gen++;
	atomic_store_explicit(&sh->gen, s->gen, memory_order_release);
	atomic_store(&sh->deadline_us, UINT64_MAX);
	c->n_socks--;
	while (c->max_sock && c->socks[c->max_sock - 1].kind == CK_FREE)
		c->max_sock--;
}

void conn_release(struct child *c, uint32_t idx)
{
	child_lock(c);
	release(c, idx);
	child_unlock(c);
}

static void deliver(struct child *c, uint32_t idx);

/* TCP_DEFER_ACCEPT: nobody is told of a connection before it has brought
 * something, or time is up. */
static bool is_deferred(const struct csock *s, const struct so_txn *t)
{
	return s->defer_us && !t->s.rcv_cc && !(t->s.flags & (JS_SOF_EOF | JS_SOF_CLOSED)) &&
	       now_us() < s->defer_us;
}

/* A connection has done its work: one line that adds it up. */
static void sum_up(struct child *c, uint32_t idx, const struct so_txn *t)
{
	struct csock *s = &c->socks[idx];
	char from[CM_ADDR_STRLEN], to[CM_ADDR_STRLEN];

	/* Half a handshake has nothing to add up, and who sends SYNs could
	 * fill the disk with such lines. */
	if (s->summed || !s->has_pool || !(t->s.flags & JS_SOF_CONNECTED))
		return;
	s->summed = true;
	log_info("closed %s > %s sent=%llu received=%llu copied_in=%llu copied_out=%llu "
		 "rexmt=%u dropped=%u icmp_ignored=%u",
		 cm_addr_str(&s->local, from), cm_addr_str(&s->peer, to),
		 (unsigned long long)t->s.snd_bytes, (unsigned long long)t->s.rcv_bytes,
		 (unsigned long long)t->s.snd_copied, (unsigned long long)t->s.rcv_copied,
		 t->s.rexmt_segs, t->s.dropped, t->s.icmp_ignored);
}

/* TIME-WAIT of a connection without a descriptor, to the server with its
 * bind-point (DESIGN 5): whether it has it.  If the server is away we keep
 * both, for 2 MSL at most. */
static bool hand_over(struct child *c, uint32_t idx, const struct so_txn *t)
{
	struct csock *s = &c->socks[idx];
	struct cm_msg m = { .type = CM_TIME_WAIT, .sock = idx, .gen = s->gen,
			    .ring_id = s->ring_id, .local = s->local, .peer = s->peer };
	struct tcp_tw tw;
	int err;

	tcp_tw_init(&tw, &t->tcb);
	m.tw = (struct cm_time_wait){
		.snd_nxt = tw.snd_nxt, .rcv_nxt = tw.rcv_nxt, .wnd = tw.wnd, .has_ts = tw.has_ts,
		.ts_offset = tw.ts_offset, .ts_recent = tw.ts_recent,
	};
	err = ctl_server_send(c, &m, &s->bp, s->bp >= 0);
	if (err == -EAGAIN)
		c->handover_us = now_us() + HANDOVER_US;
	return !err;
}

void conn_hand_over(struct child *c)
{
	c->handover_us = UINT64_MAX;
	child_lock(c);
	/* Until there is none left, or the server must first read what it has. */
	for (uint32_t i = 0; i < c->max_sock && c->handover_us == UINT64_MAX; i++)
		if (!c->socks[i].anchored)
			conn_review(c, i);
	child_unlock(c);
}

/* ESTABLISHED on the shared stream: take one of its own, if there is one, and
 * announce it. */
static void take_stream(struct child *c, uint32_t idx, struct so_txn *t)
{
	struct csock *s = &c->socks[idx];
	js_vci_t vci = JS_STREAM_ANY;

	s->has_looked = true;
	if (poolc_vci_bind(&c->stk.pc, s->pool, &vci))
		return;
	s->rxvci = vci;
	s->is_shared = false;
	c->stk.guard->sock[idx].rxvci = vci;
	tell_forward(c, idx, true);
	/* A kernel has no use for it. */
	if (vci_stream(s->txvci) == JS_STREAM_IP)
		return;
	t->s.flags |= JS_SOF_ANNOUNCE;
	so_finish(&c->stk, idx, t, poolc_tail(&c->stk.q), 0);
}

void conn_review(struct child *c, uint32_t idx)
{
	struct csock *s = &c->socks[idx];
	struct so_txn t;

	if (s->kind != CK_CONN)
		return;
	if (so_begin(c->stk.mem, idx, &t)) {
		/* Somebody wrote nonsense: nothing can be said for it any more. */
		drop_pool(c, idx, false);
		if (!s->anchored)
			release(c, idx);
		return;
	}
	if (!(t.tcb.uflags & TU_SYN_OUT) || t.s.flags & JS_SOF_CLOSED)
		fo_settled(c, s, t.tcb.uflags & TU_SYN_OUT && t.s.flags & JS_SOF_RESET);
	if (s->is_shared && !s->has_looked && s->has_pool && t.s.flags & JS_SOF_CONNECTED)
		take_stream(c, idx, &t);
	if (s->parent != JS_SOCK_NONE && !s->delivered && t.s.flags & JS_SOF_CONNECTED &&
	    !is_deferred(s, &t)) {
		if (s->queue == CQ_HALF)
			queue_move(c, s, CQ_ACCEPT);
		deliver(c, idx);
	}
	if (t.tcb.state == TCPS_TIME_WAIT || t.s.flags & JS_SOF_CLOSED)
		sum_up(c, idx, &t);
	if (t.tcb.state == TCPS_TIME_WAIT && t.s.flags & JS_SOF_ORPHAN && !s->anchored &&
	    s->has_pool && hand_over(c, idx, &t)) {
		release(c, idx);
		return;
	}
	if (!(t.s.flags & JS_SOF_CLOSED))
		return;
	drop_pool(c, idx, true);
	if (!s->anchored)
		release(c, idx);
}

void conn_event(void *ctx, uint32_t idx, uint32_t tcp_events)
{
	(void)tcp_events;
	if (idx < JS_N_SOCKS)
		conn_review(ctx, idx);
}

/*
 * How long nothing may be heard of the peer of a connection that has no descriptor:
 * as long as all retransmissions take that the node allows it, 5 min for 8 of
 * them.  Long before that it ends by itself; unless its application has left a
 * block that waits for nothing.
 */
static uint64_t orphan_patience(const struct child *c)
{
	unsigned int n = MIN(c->orphan_retries ? c->orphan_retries : 8u, 12u);

	return MAX((uint64_t)ORPHAN_RTO_US << (n + 1), (uint64_t)ORPHAN_MIN_US);
}

/* The engine's part of a close by the last descriptor; lock held. */
static void close_conn(struct child *c, uint32_t idx)
{
	uint32_t mark = poolc_tail(&c->stk.q);
	struct js_sock *sh = &c->stk.socks[idx];
	uint32_t opts = atomic_load(&sh->opts);
	uint64_t now = now_us();
	struct so_txn t;

	/* Without a pool: its block was nonsense once, whatever stands there now. */
	if (!c->socks[idx].has_pool || so_begin(c->stk.mem, idx, &t) || t.tcb.state == TCPS_CLOSED) {
		release(c, idx);
		return;
	}
	/* From here on it is ours alone, and must come to an end. */
	tcp_disown(&t.tcb, c->orphan_retries, now);
	c->socks[idx].orphan_us = now + orphan_patience(c);
	conn_timer_set(c, idx);
	c->socks[idx].orphan_heard = t.tcb.heard_us;
	t.s.flags |= JS_SOF_ORPHAN | JS_SOF_WR_SHUT | JS_SOF_RD_SHUT;
	/* Unread data, or linger for no time: RST, as Linux (RFC 2525, 2.17).
	 * In TIME-WAIT there is nobody left to be told. */
	if (t.tcb.state < TCPS_ESTABLISHED ||
	    (t.tcb.state != TCPS_TIME_WAIT &&
	     (t.s.rcv_cc || (opts & JS_SO_LINGER && !atomic_load(&sh->linger_s)))))
		tcp_user_abort(&t.tcb, now);
	else
		tcp_user_close(&t.tcb, now);
	so_output(&c->stk, idx, &t, now);
	if (t.tcb.state == TCPS_CLOSED)
		t.s.flags |= JS_SOF_CLOSED;
	if (so_finish(&c->stk, idx, &t, mark, 0))
		release(c, idx);	/* we hold the lock: somebody writes nonsense */
	else
		conn_review(c, idx);
}

/* An orphan, @now or later: does it still have a peer?  What its block says
 * of timers may not be true. */
static void look_after_orphan(struct child *c, uint32_t idx, uint64_t now)
{
	struct csock *s = &c->socks[idx];
	struct so_txn t;

	if (now < s->orphan_us)
		return;
	if (so_begin(c->stk.mem, idx, &t) || t.tcb.heard_us == s->orphan_heard) {
		release(c, idx);
		return;
	}
	s->orphan_heard = t.tcb.heard_us;
	s->orphan_us = now + orphan_patience(c);
}

static void close_listener(struct child *c, uint32_t idx)
{
	conn_tell_listener(c, idx, false);
	for (uint32_t i = 0; i < c->max_sock; i++) {
		struct csock *k = &c->socks[i];

		if (k->kind != CK_CONN || k->parent != idx)
			continue;
		queue_move(c, k, CQ_NONE);
		k->parent = JS_SOCK_NONE;
		if (!k->delivered)
			close_conn(c, i);
	}
	release(c, idx);
}

void conn_anchor_ready(struct child *c, uint32_t idx, uint32_t events)
{
	struct csock *s = &c->socks[idx];
	char junk[256];

	if (s->kind == CK_FREE || !s->anchored)
		return;
	if (events & EPOLLOUT && s->kind == CK_LISTENER) {
		rewatch_anchor(c, idx, false);
		child_lock(c);
		for (uint32_t i = 0; i < c->max_sock; i++) {
			if (c->socks[i].kind == CK_CONN && c->socks[i].parent == idx)
				conn_review(c, i);
		}
		child_unlock(c);
	}
	/* Nothing is said over an anchor in this direction. */
	if (events & EPOLLIN && !(events & EPOLLHUP)) {
		ssize_t n = 1;

		for (int i = 0; i < JUNK_READS && n > 0; i++)
			n = recv(s->anchor, junk, sizeof(junk), MSG_DONTWAIT);
		if (!n) {
			s->anchor_shut = true;
			rewatch_anchor(c, idx, false);
		}
	}
	if (!(events & (EPOLLHUP | EPOLLERR)))
		return;
	close(s->anchor);
	s->anchor = -1;
	s->anchored = false;
	s->who = -1;
	child_lock(c);
	if (s->kind == CK_LISTENER)
		close_listener(c, idx);
	else if (s->kind == CK_CONN)
		close_conn(c, idx);
	else
		release(c, idx);
	child_unlock(c);
}

void conn_fail(struct child *c, uint32_t idx, int err)
{
	struct so_txn t;

	child_lock(c);
	if (so_begin(c->stk.mem, idx, &t) == 0) {
		t.s.error = (int16_t)err;
		t.s.flags &= ~JS_SOF_CONNECTING;
		t.s.flags |= JS_SOF_CLOSED;
		so_finish(&c->stk, idx, &t, poolc_tail(&c->stk.q),
			  1u << JS_WAIT_RX | 1u << JS_WAIT_TX);
	}
	child_unlock(c);
}

/* --- listening ------------------------------------------------------------------------------ */

void conn_listening(struct child *c, uint32_t idx, uint32_t backlog)
{
	struct csock *s = &c->socks[idx];
	struct so_txn t;
	int err = 0;

	/* The kernel listens too: our own node, loopback, other interfaces. */
	if (listen(s->bp, (int)backlog) < 0)
		err = -errno;
	if (!err && s->kind != CK_LISTENER)
		err = child_watch(c, s->bp, EPOLLIN, EP_BINDPOINT, idx);
	if (err) {
		ctl_reply(c, s, CM_GENERAL_REPLY, err);
		return;
	}
	s->kind = CK_LISTENER;
	c->listeners[idx].backlog = backlog;
	atomic_store(&c->stk.socks[idx].backlog, backlog);
	atomic_store(&c->stk.socks[idx].mode, JS_ANCHOR_MODE_LISTENER);
	child_lock(c);
	if (so_begin(c->stk.mem, idx, &t) == 0) {
		t.s.flags |= JS_SOF_LISTENING;
		so_finish(&c->stk, idx, &t, poolc_tail(&c->stk.q), 0);
	}
	child_unlock(c);
	conn_tell_listener(c, idx, true);
	ctl_reply(c, s, CM_GENERAL_REPLY, 0);
}

/* Send @fd (and the record) over a listener's anchor.  0 or -EAGAIN, … */
static int pass(int anchor, const struct js_anchor_accept *rec, int fd)
{
	union { struct cmsghdr h; char buf[CMSG_SPACE(sizeof(int))]; } ctl = { 0 };
	struct iovec iov = { .iov_base = (void *)rec, .iov_len = sizeof(*rec) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &ctl,
			      .msg_controllen = sizeof(ctl) };

	ctl.h.cmsg_level = SOL_SOCKET;
	ctl.h.cmsg_type = SCM_RIGHTS;
	ctl.h.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&ctl.h), &fd, sizeof(int));
	return sendmsg(anchor, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* A connection is ESTABLISHED: its anchor to who accepts. */
static void deliver(struct child *c, uint32_t idx)
{
	struct csock *s = &c->socks[idx];
	struct csock *l = &c->socks[s->parent];
	struct js_anchor_accept rec = { .magic = JS_ANCHOR_ACCEPT, .sock = idx, .gen = s->gen,
					.local = s->local, .peer = s->peer };
	int fd, err;

	if (l->kind != CK_LISTENER || !l->anchored)
		return;
	fd = conn_anchor(c, idx);
	if (fd < 0)
		return;
	err = pass(l->anchor, &rec, fd);
	close(fd);
	if (!err) {
		s->delivered = true;
		return;
	}
	/* No room for more: later, when some were accepted.  The anchor we
	 * made has hung up; forget it. */
	close(s->anchor);
	s->anchor = -1;
	s->anchored = false;
	if (err == -EAGAIN)
		rewatch_anchor(c, s->parent, true);
}

/* A connection through the kernel's TCP to our listener's port. */
void conn_bindpoint_ready(struct child *c, uint32_t idx)
{
	struct csock *s = &c->socks[idx];
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct js_anchor_accept rec = { .magic = JS_ANCHOR_ACCEPT, .is_kernel = 1 };
	int fd;

	if (s->kind != CK_LISTENER)
		return;
	fd = accept4(s->bp, (struct sockaddr *)&ss, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	cm_addr_from_sa(&rec.peer, (struct sockaddr *)&ss, len);
	len = sizeof(ss);
	if (getsockname(fd, (struct sockaddr *)&ss, &len) == 0)
		cm_addr_from_sa(&rec.local, (struct sockaddr *)&ss, len);
	pass(s->anchor, &rec, fd);
	close(fd);	/* not passed: the peer gets a FIN or RST, as with a full backlog */
}

/* SYNs pour in: the oldest connection of a listener whose handshake has not
 * ended makes room.  Without a word: if it is honest, its SYN comes again. */
static bool evict_half_open(struct child *c, uint32_t listener)
{
	uint64_t oldest = now_us() - EVICT_US;
	uint32_t victim = JS_SOCK_NONE;

	for (uint32_t i = 0; i < c->max_sock; i++) {
		const struct csock *s = &c->socks[i];

		if (s->kind == CK_CONN && s->parent == listener && s->queue == CQ_HALF &&
		    s->born_us < oldest) {
			oldest = s->born_us;
			victim = i;
		}
	}
	if (victim == JS_SOCK_NONE)
		return false;
	conn_release(c, victim);
	return true;
}

/* May listener @idx have the connection of the Syn @m?  0; -EAGAIN: no more that
 * are half open; -EUSERS: none before some are accepted. */
static int admit(struct child *c, uint32_t idx, const struct cm_msg *m)
{
	if (is_accept_full(c, idx))
		return -EUSERS;
	/* The peer of a cookie is no forged address. */
	if (m->flags & CM_COOKIE ? c->n_socks < JS_N_SOCKS : !is_half_full(c, idx))
		return 0;
	if (m->flags & CM_MAY_REFUSE || !evict_half_open(c, idx))
		return -EAGAIN;
	return 0;
}

/* What a connection has from its listener. */
static void inherit(struct child *c, uint32_t idx, uint32_t listener)
{
	const struct js_sock *from = &c->stk.socks[listener];
	const struct csock *l = &c->socks[listener];
	struct js_sock *to = &c->stk.socks[idx];
	struct csock *s = &c->socks[idx];
	uint32_t defer_s;

	s->parent = listener;
	s->snd_buf = l->snd_buf;
	s->rcv_buf = l->rcv_buf;
	s->fixed = l->fixed;
	/* Not what belongs to the open file. */
	atomic_store(&to->opts, atomic_load(&from->opts) &
		     ~(uint32_t)(JS_SO_NONBLOCK | JS_SO_ASYNC | JS_SO_OWNED));
	for (unsigned int i = 0; i < JS_N_TOPTS; i++)
		atomic_store(&to->topt[i], so_topt(from, i));
	if (so_topt(to, JS_TOPT_TIMESTAMPING)) {
		struct js_rings *r = &c->stk.mem->rings[idx];

		so_note_rings(&(struct so_txn){ .st = c->stk.mem, .sock = idx });
		atomic_store(&r->n_stamps, 0);
		atomic_store(&r->stamp_events, 0);
	}
	defer_s = so_topt(to, JS_TOPT_DEFER_ACCEPT);
	if (defer_s)
		s->defer_us = now_us() + MIN(defer_s, (uint32_t)DEFER_MAX_S) * 1000000ull;
}

/* The connection of the Syn @m, to listener @l: its index, or -Exxx. */
static int make_passive(struct child *c, const struct csock *l, const struct cm_msg *m)
{
	int idx = conn_new(c, l->family, l->uid);
	struct csock *s;
	int err;

	if (idx < 0)
		return idx;
	s = &c->socks[idx];
	s->local = m->local;
	s->peer = m->peer;
	s->ring_id = m->ring_id & 0xf;
	s->txvci = m->rxvci ? m->rxvci : vci_make(s->ring_id, JS_STREAM_IP);
	s->has_iss = m->flags & CM_ISS;
	s->iss = m->n;
	inherit(c, (uint32_t)idx, m->sock);
	err = conn_open(c, (uint32_t)idx, false, m->flags & CM_COOKIE ? &m->cookie : NULL);
	if (err) {
		s->parent = JS_SOCK_NONE;
		conn_release(c, (uint32_t)idx);
		return err;
	}
	queue_move(c, s, CQ_HALF);
	conn_timer_set(c, (uint32_t)idx);
	return idx;
}

void conn_syn(struct child *c, const struct cm_msg *m)
{
	struct cm_msg r = { .type = CM_DIVERT, .id = m->id, .local = m->local, .peer = m->peer };
	struct csock *l = m->sock < JS_N_SOCKS ? &c->socks[m->sock] : NULL;
	int idx = -1;

	if (!l || l->kind != CK_LISTENER || l->gen != m->gen)
		r.err = -ECONNREFUSED;
	else
		r.err = admit(c, m->sock, m);
	if (!r.err)
		idx = make_passive(c, l, m);
	if (!r.err && idx < 0)
		r.err = idx;
	if (!r.err) {
		r.vci = c->socks[idx].rxvci;
		r.sock = (uint32_t)idx;
		r.gen = c->socks[idx].gen;
	}
	if (r.err == -EAGAIN)
		r.listen = listen_told(c, m->sock);
	ctl_server_send(c, &r, NULL, 0);
}

void conn_icmp(struct child *c, const struct cm_msg *m)
{
	for (uint32_t i = 0; i < c->max_sock; i++) {
		const struct csock *s = &c->socks[i];

		if (s->kind != CK_CONN || !s->has_pool || !cm_addr_equal(&s->local, &m->local) ||
		    !cm_addr_equal(&s->peer, &m->peer))
			continue;
		child_lock(c);
		so_icmp(&c->stk, i, &m->icmp);
		conn_review(c, i);
		child_unlock(c);
		return;
	}
}

/* --- timers, options ------------------------------------------------------------------------- */

static void one_timer(struct child *c, uint32_t idx, uint64_t now)
{
	uint32_t mark = poolc_tail(&c->stk.q);
	struct tcp_view v;
	struct tcp_rx rx;
	struct so_txn t;
	unsigned int wake;

	if (so_begin(c->stk.mem, idx, &t)) {
		atomic_store(&c->stk.socks[idx].deadline_us, UINT64_MAX);
		conn_review(c, idx);
		return;
	}
	so_view(&t, &v);
	tcp_timers(&t.tcb, &v, now, &rx);
	wake = so_note_events(&t, rx.events);
	so_output(&c->stk, idx, &t, now);
	so_finish(&c->stk, idx, &t, mark, wake);
	if (rx.events)
		conn_review(c, idx);
}

static uint64_t timer_of(const struct child *c, uint32_t idx)
{
	uint64_t at = atomic_load_explicit(&c->stk.socks[idx].deadline_us, memory_order_relaxed);

	if (c->socks[idx].kind != CK_CONN)
		return UINT64_MAX;
	if (c->socks[idx].defer_us)
		at = MIN(at, c->socks[idx].defer_us);
	return c->socks[idx].orphan_us ? MIN(at, c->socks[idx].orphan_us) : at;
}

void conn_deadline(struct child *c, uint32_t idx)
{
	struct js_sock *sh = &c->stk.socks[idx];
	struct so_txn t;

	if (so_begin(c->stk.mem, idx, &t) == 0)
		atomic_store(&sh->deadline_us, tcp_poll_at(&t.tcb));
	conn_timer_set(c, idx);
}

void conn_timer_set(struct child *c, uint32_t idx)
{
	uint64_t at = timer_of(c, idx);

	wheel_set(&c->wheel, idx, at);
	c->next_us = MIN(c->next_us, at);
}

/* Whose deadline was written since we looked. */
static void note_moved(struct child *c)
{
	for (uint32_t w = 0; w < JS_N_SOCKS / 64; w++) {
		_Atomic uint64_t *moved = &c->stk.hdr->moved_map[w];
		uint64_t map = atomic_load(moved) ? atomic_exchange(moved, 0) : 0;

		for (; map; map &= map - 1) {
			uint32_t idx = w * 64 + (uint32_t)__builtin_ctzll(map);

			wheel_set(&c->wheel, idx, timer_of(c, idx));
		}
	}
}

void conn_timers(struct child *c, uint64_t now)
{
	uint64_t next;
	uint32_t i;

	note_moved(c);
	while ((i = wheel_expire(&c->wheel, now)) != WHEEL_NONE) {
		if (c->socks[i].kind == CK_CONN && c->socks[i].orphan_us)
			look_after_orphan(c, i, now);
		if (c->socks[i].kind == CK_CONN && c->socks[i].defer_us &&
		    now >= c->socks[i].defer_us) {
			c->socks[i].defer_us = 0;
			conn_review(c, i);
		}
		if (c->socks[i].kind == CK_CONN &&
		    atomic_load_explicit(&c->stk.socks[i].deadline_us, memory_order_relaxed) <= now)
			one_timer(c, i, now);
		/* A deadline that stays in the past (a hostile word) costs one
		 * look a millisecond, no more. */
		wheel_set(&c->wheel, i, MAX(timer_of(c, i), now + 1000));
	}
	/* What this round itself set, too.  In this order: one that was robbed
	 * may be writing between the two. */
	atomic_store(&c->stk.hdr->app_deadline_us, UINT64_MAX);
	note_moved(c);
	next = wheel_next_us(&c->wheel);
	c->next_us = next == WHEEL_NEVER ? next : MAX(next, now + 1000);
}

void conn_scan_pending(struct child *c)
{
	c->want_scan = false;
	for (uint32_t i = 0; i < c->max_sock; i++) {
		struct js_sock *sh = &c->stk.socks[i];
		uint32_t mark = poolc_tail(&c->stk.q);
		struct so_txn t;

		if (c->socks[i].kind != CK_CONN || !atomic_exchange(&sh->pending, 0) ||
		    so_begin(c->stk.mem, i, &t))
			continue;
		so_output(&c->stk, i, &t, now_us());
		so_finish(&c->stk, i, &t, mark, 0);
	}
}

int conn_set_bufs(struct child *c, uint32_t idx, uint32_t octets, bool tx)
{
	struct csock *s = &c->socks[idx];
	struct so_txn t;
	int err;

	/* so_snd takes up to twice SO_SNDBUF: so_snd_room(). */
	if (tx)
		octets = MIN(octets, so_buf_max(&c->stk) / 2);
	else
		octets = MIN(MAX(octets, (uint32_t)JS_BUF_SIZE), so_buf_max(&c->stk));
	s->fixed |= (uint16_t)(tx ? JS_SOF_SNDBUF : JS_SOF_RCVBUF);
	if (tx)
		s->snd_buf = octets;
	else
		s->rcv_buf = octets;
	if (s->has_pool && !tx) {
		struct js_pool_req req = { .rx_limit = rx_limit(s) };

		err = poolc_pool_set(&c->stk.pc, s->pool, JS_PS_RX_LIMIT, &req);
		if (err)
			return err;
	}
	child_lock(c);
	err = so_begin(c->stk.mem, idx, &t);
	if (!err) {
		t.s.flags |= s->fixed;
		if (tx) {
			t.s.snd_hiwat = octets;
		} else {
			t.s.rcv_hiwat = octets;
			tcp_user_rcv_buf(&t.tcb, octets);
		}
		err = so_finish(&c->stk, idx, &t, poolc_tail(&c->stk.q),
				tx ? 1u << JS_WAIT_TX : 0);
	}
	child_unlock(c);
	return err;
}
