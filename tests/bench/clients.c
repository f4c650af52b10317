/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * clients.c - clients of pools: they send, receive and answer; jet-bench
 *
 * The worker opens the ports and tells each its peer's VCI; the process that
 * uses one is forked after that.  Who has nothing to do calls sched_yield() and
 * looks again, as jetringd does while there is work; only a load sleeps.
 *
 * Bulk: sixteen Tx buffers for each packet of the window are allocated once
 * and used again when their SEND is done, so a packet costs its copies and one
 * op, and the receiver one FREE.  What fits an op's header (JS_OP_HDR_MAX) has
 * no buffer at all.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/util.h"
#include "stack/pool/poolc.h"
#include "tests/bench/bench.h"

#define BURST		64u	/* small packets in a script; events taken before buffers go back */
#define RX_LIMIT	8192u	/* buffers */
#define NAP_NS		100000	/* of a load that has nothing to do */
#define PACKET_BUFS	(SDU_BULK / JS_BUF_SIZE + 1)

struct end {
	struct poolc pc;
	struct poolc_queue q;
	uint16_t pool;
	js_vci_t rxvci;
};

struct packet {				/* one of a window */
	uint16_t ids[PACKET_BUFS];
	uint32_t op;			/* its SEND, if it */
	bool was_sent;
};

struct clients {
	struct end from, to;
	struct stream *s;
	struct packet *packet;		/* the sender's; NULL: they fit into ops */
	uint64_t sent;			/* packets */
	struct rounds *r;
	struct clients *next;		/* of a load */
};

/* --- set-up ------------------------------------------------------------------ */

static void end_open(struct end *e, unsigned int node, uint32_t flags)
{
	struct js_pool_req req = {
		.stream = JS_STREAM_ANY, .txvci = JS_VCI_NONE, .queues = 1,
		.tx_limit = RX_LIMIT, .rx_limit = RX_LIMIT,
	};
	int err = poolc_open(&e->pc, lab_sock(node), flags, 0);

	if (!flags)
		packet_template(&req.tmpl);
	if (!err)
		err = poolc_queue_init(&e->q, &e->pc, 0);
	if (!err)
		err = poolc_pool_create(&e->pc, &req, &e->pool, &e->rxvci);
	if (err)
		die("cannot open a port of n%u: %s", node, strerror(-err));
}

static void end_aim(struct end *e, js_vci_t txvci)
{
	struct js_pool_req req = { .txvci = txvci };
	int err = poolc_pool_set(&e->pc, e->pool, JS_PS_TXVCI, &req);

	if (err)
		die("cannot set a pool's TxVCI: %s", strerror(-err));
}

static struct clients *clients_new(unsigned int from, unsigned int to, uint32_t flags)
{
	struct clients *cl = calloc(1, sizeof(*cl));

	if (!cl)
		die("out of memory");
	end_open(&cl->from, from, flags);
	end_open(&cl->to, to, flags);
	end_aim(&cl->from, cl->to.rxvci);
	end_aim(&cl->to, cl->from.rxvci);
	return cl;
}

void clients_close(struct clients *cl)
{
	while (cl) {
		struct clients *next = cl->next;

		poolc_close(&cl->from.pc);
		poolc_close(&cl->to.pc);
		free(cl);
		cl = next;
	}
}

/* --- what each does with its port ------------------------------------------------ */

static void go(struct end *e)
{
	if (poolc_publish(&e->q))
		poolc_ring(&e->pc);
}

/* Nothing to do: let another have the processor.  A port that was closed
 * would let us wait for ever. */
static void idle(struct end *e)
{
	int err = poolc_queue_check(&e->q);

	if (err)
		die("the ring has ended under us: %s", strerror(-err));
	sched_yield();
}

/* The next packet's event; false: stop. */
static bool next_packet(struct end *e, struct crew_ctl *ctl, struct js_event *ev)
{
	while (!poolc_event_peek(&e->pc, ev)) {
		if (crew_stopped(ctl))
			return false;
		idle(e);
	}
	poolc_event_done(&e->pc, ev);
	if (ev->type != JS_EV_RX)
		die("an event of type %u", ev->type);
	return true;
}

static void give_back(struct end *e, const uint16_t *ids, unsigned int n)
{
	while (n && poolc_free(&e->q, ids, n) < 0) {
		go(e);
		idle(e);
	}
	go(e);
}

/* --- a stream ------------------------------------------------------------------------ */

/* Tx buffers for each packet of the window. */
static void make_window(struct clients *cl)
{
	const struct stream *s = cl->s;
	unsigned int n_buf = (s->sdu_len - PACKET_HDR + JS_BUF_SIZE - 1) / JS_BUF_SIZE;
	struct bufcache bc;

	packet_text();
	if (s->sdu_len <= JS_OP_HDR_MAX)
		return;
	cl->packet = calloc(s->window, sizeof(*cl->packet));
	if (!cl->packet || bufcache_init(&bc, &cl->from.q, cl->from.pool, 0, 1) < 0)
		die("out of memory");
	for (unsigned int i = 0; i < s->window; i++) {
		for (unsigned int n = 0; n < n_buf;) {
			int got = bufcache_get(&bc, cl->packet[i].ids + n, n_buf - n, true);

			if (got == -EAGAIN)
				continue;	/* a busy machine; crew_go() has no patience for ever */
			if (got < 0)
				die("no Tx buffers: %s", strerror(-got));
			n += (unsigned int)got;
		}
	}
}

/* Copy packet @nr into its buffers and push the SEND.  False: not yet. */
static bool send_big(struct clients *cl, uint64_t nr)
{
	uint32_t sdu_len = cl->s->sdu_len, len = sdu_len - PACKET_HDR, at = 0;
	struct packet *pk = &cl->packet[nr % cl->s->window];
	struct js_seg seg[PACKET_BUFS];
	struct end *e = &cl->from;
	uint8_t hdr[PACKET_HDR];
	unsigned int n = 0;

	if ((pk->was_sent && !poolc_is_done(&e->q, pk->op)) || !poolc_space(&e->q))
		return false;
	for (; at < len; at += seg[n++].len) {
		seg[n] = (struct js_seg) {
			.buf = pk->ids[n], .len = (uint16_t)MIN(len - at, (uint32_t)JS_BUF_SIZE),
		};
		memcpy(poolc_buf(&e->pc, pk->ids[n]), packet_text() + at, seg[n].len);
	}
	memcpy(poolc_buf(&e->pc, pk->ids[0]), &nr, sizeof(nr));
	packet_header(hdr, sdu_len, nr);
	pk->was_sent = true;
	pk->op = poolc_tail(&e->q);
	return poolc_send(&e->q, e->pool, 0, hdr, PACKET_HDR, seg, n) == 0;
}

/* The whole packet in the op. */
static bool send_small(struct clients *cl, uint64_t nr)
{
	uint32_t sdu_len = cl->s->sdu_len;
	uint8_t sdu[JS_OP_HDR_MAX];

	packet_header(sdu, sdu_len, nr);
	memcpy(sdu + PACKET_HDR, packet_text(), sdu_len - PACKET_HDR);
	memcpy(sdu + PACKET_HDR, &nr, sizeof(nr));
	return poolc_send(&cl->from.q, cl->from.pool, 0, sdu, sdu_len, NULL, 0) == 0;
}

/* Send what the window has room for: big ones one in a script. */
static bool send_some(struct clients *cl)
{
	struct stream *s = cl->s;
	uint64_t room = atomic_load_explicit(&s->taken, memory_order_acquire) + s->window - cl->sent;
	unsigned int n = 0, burst = cl->packet ? 1 : BURST;

	while (n < MIN(room, burst) && (cl->packet ? send_big : send_small)(cl, cl->sent)) {
		cl->sent++;
		n++;
	}
	go(&cl->from);
	return n;
}

/* Copy out and check one packet; its buffers are added to @ids. */
static unsigned int take(struct clients *cl, const struct js_event *ev, uint64_t nr, uint16_t *ids)
{
	static uint8_t sdu[SDU_BULK + JS_BUF_SIZE];

	if (ev->type != JS_EV_RX || ev->sdu_len != cl->s->sdu_len || ev->n_buf > PACKET_BUFS)
		die("event %u, packet of %u octets", ev->type, ev->sdu_len);
	for (unsigned int i = 0; i < ev->n_buf; i++)
		memcpy(sdu + i * JS_BUF_SIZE, poolc_buf(&cl->to.pc, ev->buf[i]),
		       MIN(ev->sdu_len - i * JS_BUF_SIZE, (uint32_t)JS_BUF_SIZE));
	packet_check(sdu, ev->sdu_len, nr);
	memcpy(ids, ev->buf, ev->n_buf * sizeof(*ids));
	return ev->n_buf;
}

/* Take what has come. */
static bool take_some(struct clients *cl)
{
	uint64_t nr = atomic_load_explicit(&cl->s->taken, memory_order_relaxed);
	uint16_t ids[BURST + PACKET_BUFS];
	unsigned int n = 0;
	struct js_event ev;

	while (n < BURST && poolc_event_peek(&cl->to.pc, &ev)) {
		n += take(cl, &ev, nr++, ids + n);
		poolc_event_done(&cl->to.pc, &ev);
	}
	if (!n)
		return false;
	give_back(&cl->to, ids, n);
	atomic_store_explicit(&cl->s->taken, nr, memory_order_release);
	return true;
}

static void stream_sender(struct crew_ctl *ctl, void *arg)
{
	struct clients *cl = arg;

	make_window(cl);
	crew_ready(ctl);
	while (!crew_stopped(ctl))
		if (!send_some(cl))
			idle(&cl->from);
}

static void stream_receiver(struct crew_ctl *ctl, void *arg)
{
	struct clients *cl = arg;

	packet_text();
	crew_ready(ctl);
	while (!crew_stopped(ctl))
		if (!take_some(cl))
			idle(&cl->to);
}

struct clients *clients_stream(struct crew *c, struct stream *s, unsigned int from, unsigned int to)
{
	struct clients *cl = clients_new(from, to, s->trusted ? JS_PORT_TRUSTED : 0);

	cl->s = s;
	crew_add(c, stream_sender, cl);
	crew_add(c, stream_receiver, cl);
	return cl;
}

/* --- many streams, all in one process that sleeps ------------------------------------ */

static void load_all(struct crew_ctl *ctl, void *arg)
{
	const struct timespec nap = { .tv_nsec = NAP_NS };
	struct clients *first = arg, *cl;

	for (cl = first; cl; cl = cl->next)
		make_window(cl);
	crew_ready(ctl);
	while (!crew_stopped(ctl)) {
		bool any = false;

		for (cl = first; cl; cl = cl->next) {
			while (send_some(cl))
				any = true;
			any |= take_some(cl);
		}
		if (any)
			continue;
		if (poolc_queue_check(&first->from.q))
			die("the ring has ended under us");
		nanosleep(&nap, NULL);
	}
}

struct clients *clients_load(struct crew *c, struct stream *s, unsigned int n)
{
	struct clients *first = NULL;

	for (unsigned int i = n; i-- > 0;) {
		struct clients *cl = clients_new(i + 1, i + 1 < n || n == 1 ? i + 2 : 1, 0);

		cl->s = &s[i];
		cl->next = first;
		first = cl;
	}
	crew_add(c, load_all, first);
	return first;
}

/* --- round trips ----------------------------------------------------------------------- */

/* FREE what came and SEND @nr: one script. */
static void reply(struct end *e, const struct js_event *ev, uint64_t nr)
{
	int err = 0;

	if (ev)
		err = poolc_free(&e->q, ev->buf, ev->n_buf);
	if (!err)
		err = poolc_send(&e->q, e->pool, 0, &nr, sizeof(nr), NULL, 0);
	if (err)
		die("no room for two ops");
	go(e);
}

static void rounds_asker(struct crew_ctl *ctl, void *arg)
{
	struct clients *cl = arg;
	struct end *e = &cl->from;
	struct js_event ev;
	uint64_t nr = 0, began, now;

	crew_ready(ctl);
	began = now_ns();
	reply(e, NULL, nr);
	while (next_packet(e, ctl, &ev)) {
		packet_check(poolc_buf(&e->pc, ev.buf[0]), ev.sdu_len, nr);
		now = now_ns();
		hist_add(&cl->r->h, now - began);
		began = now;
		atomic_store_explicit(&cl->r->n, ++nr, memory_order_relaxed);
		reply(e, &ev, nr);
	}
}

static void rounds_answerer(struct crew_ctl *ctl, void *arg)
{
	struct clients *cl = arg;
	struct end *e = &cl->to;
	struct js_event ev;
	uint64_t nr = 0;

	crew_ready(ctl);
	while (next_packet(e, ctl, &ev)) {
		packet_check(poolc_buf(&e->pc, ev.buf[0]), ev.sdu_len, nr);
		reply(e, &ev, nr++);
	}
}

/* Trusted: no template fits 8 octets. */
struct clients *clients_rounds(struct crew *c, struct rounds *r, unsigned int from, unsigned int to)
{
	struct clients *cl = clients_new(from, to, JS_PORT_TRUSTED);

	cl->r = r;
	crew_add(c, rounds_asker, cl);
	crew_add(c, rounds_answerer, cl);
	return cl;
}
