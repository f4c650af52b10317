/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * clients.c - clients of pools: they send, receive and answer; jet-bench
 *
 * The worker opens the ports and tells each its peer's VCI; the process that
 * uses one is forked after that.  Nobody sleeps: who has nothing to do calls
 * sched_yield() and looks again, as jetringd does while there is work.
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

#include "common/clock.h"
#include "common/util.h"
#include "stack/pool/poolc.h"
#include "tests/bench/bench.h"

#define BURST		64u	/* small packets in a script; events taken before buffers go back */
#define RX_LIMIT	8192u	/* buffers */
#define PACKET_BUFS	(SDU_BULK / JS_BUF_SIZE + 1)

struct end {
	struct poolc pc;
	struct poolc_queue q;
	uint16_t pool;
	js_vci_t rxvci;
};

struct clients {
	struct end from, to;
	struct stream *s;
	struct rounds *r;
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
	poolc_close(&cl->from.pc);
	poolc_close(&cl->to.pc);
	free(cl);
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

struct packet {				/* one of the window */
	uint16_t ids[PACKET_BUFS];
	uint32_t op;			/* its SEND */
	bool is_out;			/* … has been pushed once */
};

/* Tx buffers for each packet of the window, in pieces as large as an ALLOC. */
static struct packet *make_window(struct end *e, const struct stream *s)
{
	unsigned int n_buf = (s->sdu_len - PACKET_HDR + JS_BUF_SIZE - 1) / JS_BUF_SIZE;
	struct packet *w = calloc(s->window, sizeof(*w));
	struct bufcache bc;

	if (!w || bufcache_init(&bc, &e->q, e->pool, 0, 1) < 0)
		die("out of memory");
	for (unsigned int i = 0; i < s->window; i++) {
		for (unsigned int n = 0; n < n_buf;) {
			int got = bufcache_get(&bc, w[i].ids + n, n_buf - n, true);

			if (got < 0)
				die("no Tx buffers: %s", strerror(-got));
			n += (unsigned int)got;
		}
	}
	return w;
}

/* Copy packet @nr into its buffers and push the SEND. */
static void send_big(struct end *e, struct packet *pk, uint32_t sdu_len, uint64_t nr)
{
	struct js_seg seg[PACKET_BUFS];
	uint32_t len = sdu_len - PACKET_HDR, at = 0;
	unsigned int n = 0;
	uint8_t hdr[PACKET_HDR];

	while (pk->is_out && !poolc_is_done(&e->q, pk->op))
		idle(e);
	for (; at < len; at += seg[n++].len) {
		seg[n] = (struct js_seg) {
			.buf = pk->ids[n], .len = (uint16_t)MIN(len - at, (uint32_t)JS_BUF_SIZE),
		};
		memcpy(poolc_buf(&e->pc, pk->ids[n]), packet_text() + at, seg[n].len);
	}
	memcpy(poolc_buf(&e->pc, pk->ids[0]), &nr, sizeof(nr));
	packet_header(hdr, sdu_len, nr);
	pk->is_out = true;
	pk->op = poolc_tail(&e->q);
	while (poolc_send(&e->q, e->pool, 0, hdr, PACKET_HDR, seg, n) < 0)
		idle(e);
}

/* The whole packet in the op; false: no room. */
static bool send_small(struct end *e, uint32_t sdu_len, uint64_t nr)
{
	uint8_t sdu[JS_OP_HDR_MAX];

	packet_header(sdu, sdu_len, nr);
	memcpy(sdu + PACKET_HDR, packet_text(), sdu_len - PACKET_HDR);
	memcpy(sdu + PACKET_HDR, &nr, sizeof(nr));
	return poolc_send(&e->q, e->pool, 0, sdu, sdu_len, NULL, 0) == 0;
}

static void stream_sender(struct crew_ctl *ctl, void *arg)
{
	struct clients *cl = arg;
	struct end *e = &cl->from;
	struct stream *s = cl->s;
	bool is_small = s->sdu_len <= JS_OP_HDR_MAX;
	struct packet *w = is_small ? NULL : make_window(e, s);
	uint64_t nr = 0;

	packet_text();
	crew_ready(ctl);
	while (!crew_stopped(ctl)) {
		uint64_t room = atomic_load_explicit(&s->taken, memory_order_acquire) + s->window - nr;
		uint64_t n = MIN(room, (uint64_t)(is_small ? BURST : 1)), i;

		for (i = 0; i < n; i++, nr++) {
			if (!is_small)
				send_big(e, &w[nr % s->window], s->sdu_len, nr);
			else if (!send_small(e, s->sdu_len, nr))
				break;
		}
		if (i)
			go(e);
		else
			idle(e);
	}
	free(w);
}

/* Copy out and check one packet; its buffers are added to @ids. */
static unsigned int take(struct end *e, const struct js_event *ev, uint64_t nr, uint16_t *ids)
{
	static uint8_t sdu[SDU_BULK + JS_BUF_SIZE];

	if (ev->n_buf > PACKET_BUFS)
		die("a packet of %u octets", ev->sdu_len);
	for (unsigned int i = 0; i < ev->n_buf; i++)
		memcpy(sdu + i * JS_BUF_SIZE, poolc_buf(&e->pc, ev->buf[i]),
		       MIN(ev->sdu_len - i * JS_BUF_SIZE, (uint32_t)JS_BUF_SIZE));
	packet_check(sdu, ev->sdu_len, nr);
	memcpy(ids, ev->buf, ev->n_buf * sizeof(*ids));
	return ev->n_buf;
}

static void stream_receiver(struct crew_ctl *ctl, void *arg)
{
	struct clients *cl = arg;
	struct end *e = &cl->to;
	struct stream *s = cl->s;
	uint16_t ids[BURST + PACKET_BUFS];
	struct js_event ev;
	uint64_t nr = 0;

	packet_text();
	crew_ready(ctl);
	while (next_packet(e, ctl, &ev)) {
		unsigned int n = 0;

		do {
			if (ev.sdu_len != s->sdu_len)
				die("a packet of %u octets", ev.sdu_len);
			n += take(e, &ev, nr++, ids + n);
		} while (n < BURST && poolc_event_peek(&e->pc, &ev) && next_packet(e, ctl, &ev));
		give_back(e, ids, n);
		atomic_store_explicit(&s->taken, nr, memory_order_release);
	}
}

struct clients *clients_stream(struct crew *c, struct stream *s, unsigned int from, unsigned int to)
{
	struct clients *cl = clients_new(from, to, 0);

	cl->s = s;
	crew_add(c, stream_sender, cl);
	crew_add(c, stream_receiver, cl);
	return cl;
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
