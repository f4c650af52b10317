/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * station.c - one node's adapter between its sources and the ring
 *
 * Sending: each source (the TAP, the ports) shows one frame at a time.  A
 * frame to this node itself is delivered at once, without the token.  Others
 * wait in station.ready[] for the token; if both sources have one, they take
 * turns.  Arriving: impairments, then the VCI table says who gets it.
 *
 * Token and management frames (abi/ring.h) are the ring's own: no station's
 * source sends them and none delivers them.  They are made here when a
 * capture wants them, with the times that the ring gives.
 *
 * Runs in jetringd.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <string.h>

#include "abi/ring.h"
#include "common/clock.h"
#include "common/util.h"
#include "emulator/capture.h"
#include "emulator/impair.h"
#include "emulator/station.h"

#define N_SOURCES	2
#define LOCAL_BURST	64	/* local frames of a source, then others have their turn */

struct station stations[JS_N_RING_IDS];

static struct ring *ring;
static uint16_t kicked;			/* bit i: see what station i's sources have */

static struct frame *(*const source_next[N_SOURCES])(struct station *s) = {
	tap_tx_next, ports_tx_next,
};

static_assert(ARRAY_SIZE(stations[0].ready) == N_SOURCES, "a ready frame for each source");

void ring_kick(struct station *s)
{
	kicked |= (uint16_t)(1u << s->ring_id);
}

void station_start(struct ring *r, struct station *s)
{
	ring = r;
	ring_add(r, s->ring_id, now_ns());
}

/*
 * @f for station @s, through its VCI table.  @flip is the impairment's bit or
 * -1.  Multicast that no one here wants is no error.
 * Return: whether somebody took it
 */
static bool deliver(struct station *s, const struct frame *f, int64_t flip, uint16_t flags)
{
	struct pool *pool = NULL;
	bool by_rule = false;

	switch (vcitab_lookup(s, f, &pool, &by_rule)) {
	case RX_KERNEL:
		return tap_rx(s, f, flip);
	case RX_POOL:
		return pool_rx(s, pool, f, flip, by_rule ? flags | JS_RX_RULE : flags);
	case RX_NONE:
		s->st.rx_unbound += !vci_is_mcast(f->vci);
		return false;
	case RX_PARKED:
		break;			/* counted */
	}
	return false;
}

static void count_tx(struct station *s, const struct frame *f)
{
	s->st.tx_frames++;
	s->st.tx_bytes += f->sdu_len;
}

/* A frame to one's own Ring ID: inside the adapter, no token, no impairment. */
static void deliver_local(struct station *s, struct frame *f)
{
	bool copied;

	aal5_make(f);
	count_tx(s, f);
	s->st.local_frames++;
	copied = deliver(s, f, -1, JS_RX_LOCAL);
	if (capture_active()) {
		struct capture_facts facts = {
			.station = s->ring_id,
			.dir = JS_CAP_LOCAL,
			.flags = copied ? JS_CAP_F_COPIED : JS_CAP_F_DISCARD,
			.frame_id = 0,
			.ring_ns = now_ns(),
		};

		capture_frame(f, &facts);
	}
	f->done(f);
}

static bool is_local(const struct station *s, const struct frame *f)
{
	return !vci_is_mcast(f->vci) && vci_ring_id(f->vci) == s->ring_id;
}

/* Look for frames in sources that show none.  Whether the ring has one to send. */
static bool fill(struct station *s)
{
	bool any = false;

	for (unsigned int i = 0; i < N_SOURCES; i++) {
		int burst = LOCAL_BURST;

		while (!s->ready[i]) {
			struct frame *f;

			if (!burst--) {
				ring_kick(s);
				break;
			}
			f = source_next[i](s);
			if (!f)
				break;
			if (is_local(s, f))
				deliver_local(s, f);
			else
				s->ready[i] = f;
		}
		any |= s->ready[i] != NULL;
	}
	return any;
}

bool station_serve(uint64_t now)
{
	uint16_t todo = kicked;

	kicked = 0;
	for (unsigned int id = 0; todo >> id; id++)
		if (todo >> id & 1 && stations[id].used && fill(&stations[id]))
			ring_request(ring, id, now);
	return todo;
}

/* ring_ops.head: choose among the sources, once for each frame. */
static struct frame *head(unsigned int id)
{
	struct station *s = &stations[id];

	for (unsigned int i = 0; i < N_SOURCES && !s->head; i++) {
		s->head = s->ready[s->next_source];
		if (s->head)
			aal5_make(s->head);
		s->next_source = (s->next_source + 1) % N_SOURCES;
	}
	return s->head;
}

/* What became of a frame, over all its receivers. */
struct outcome {
	unsigned int n_dst, n_lost, n_corrupted, n_copied;
	unsigned int n_rx;		/* of them it reached, in ring order: */
	struct {
		uint8_t ring_id;
		bool corrupted, copied;
	} rx[JS_N_RING_IDS];
};

/* The frame's last bit is at @dst. */
static void arrive(struct station *dst, const struct frame *f, struct outcome *o)
{
	struct impair_verdict v = impair_frame(f->src, dst->ring_id, f);
	bool copied;

	o->n_dst++;
	if (v.lost) {
		o->n_lost++;
		return;
	}
	copied = deliver(dst, f, v.flip, 0);
	o->n_corrupted += v.flip >= 0;
	o->n_copied += copied;
	o->rx[o->n_rx].ring_id = dst->ring_id;
	o->rx[o->n_rx].corrupted = v.flip >= 0;
	o->rx[o->n_rx].copied = copied;
	o->n_rx++;
}

/* Records of a frame in the order of their time stamps: sent, then arrivals. */
static void record(const struct frame *f, const struct ring_tx *tx, const struct outcome *o)
{
	struct capture_facts facts = {
		.station = f->src,
		.dir = JS_CAP_TX,
		.flags = JS_CAP_F_TOKEN,
		.frame_id = tx->frame_id,
		.token_id = tx->token_id,
		.ring_ns = tx->start_ns,
	};

	if (tx->cut || (o->n_lost && o->n_lost == o->n_dst))
		facts.flags |= JS_CAP_F_LOST;
	else if (!o->n_copied)
		facts.flags |= JS_CAP_F_DISCARD;
	if (o->n_corrupted)
		facts.flags |= JS_CAP_F_CORRUPT;
	if (o->n_copied)
		facts.flags |= JS_CAP_F_COPIED;
	capture_frame(f, &facts);

	facts.dir = JS_CAP_RX;
	for (unsigned int i = 0; i < o->n_rx && capture_wants_arrivals(); i++) {
		facts.station = o->rx[i].ring_id;
		facts.flags = JS_CAP_F_TOKEN;
		facts.flags |= o->rx[i].copied ? JS_CAP_F_COPIED : JS_CAP_F_DISCARD;
		if (o->rx[i].corrupted)
			facts.flags |= JS_CAP_F_CORRUPT;
		facts.ring_ns = tx->start_ns + ring_travel_ns(ring, f->src, facts.station);
		capture_frame(f, &facts);
	}
}

/*
 * ring_ops.arrived.  @f is station @id's head: copy it to its receivers, record
 * what came of it, and only then let its source have the memory back.  One
 * that was cut on the ring has reached nobody.
 */
static bool arrived(unsigned int id, struct frame *f, const struct ring_tx *tx)
{
	struct station *s = &stations[id];
	struct outcome o = { .n_dst = 0 };

	count_tx(s, f);
	if (tx->cut) {
		s->st.tx_cut++;
	} else if (vci_is_mcast(f->vci)) {
		for (unsigned int i = 1; i < JS_N_RING_IDS; i++) {
			struct station *dst = &stations[(id + i) % JS_N_RING_IDS];

			if (dst->used)
				arrive(dst, f, &o);
		}
	} else if (stations[vci_ring_id(f->vci)].used) {
		arrive(&stations[vci_ring_id(f->vci)], f, &o);
	}
	s->st.lost += o.n_lost;
	s->st.corrupted += o.n_corrupted;
	s->st.tx_not_copied += !o.n_dst && !tx->cut;
	if (capture_active())
		record(f, tx, &o);

	for (unsigned int i = 0; i < N_SOURCES; i++)
		if (s->ready[i] == f)
			s->ready[i] = NULL;
	s->head = NULL;
	f->done(f);
	return fill(s);
}

/* The frame of @m and its facts into a capture: sent, and for a token taken. */
static void record_mgmt(struct frame *f, const struct ring_mgmt *m)
{
	struct capture_facts facts = {
		.station = m->src,
		.dir = JS_CAP_TX,
		.flags = JS_CAP_F_COPIED,
		.frame_id = m->frame_id,
		.token_id = m->token_id,
		.ring_ns = m->start_ns,
	};

	if (m->type == JS_MGMT_TOKEN)
		facts.flags |= JS_CAP_F_TOKEN;
	capture_frame(f, &facts);
	if (m->type != JS_MGMT_TOKEN || !capture_wants_arrivals())
		return;
	facts.station = m->to;
	facts.dir = JS_CAP_RX;
	facts.ring_ns = m->arrive_ns;
	capture_frame(f, &facts);
}

/* ring_ops.mgmt */
static void mgmt(const struct ring_mgmt *m)
{
	struct js_mgmt sdu = {
		.version = JS_MGMT_VERSION,
		.type = m->type,
		.src = m->src,
		.monitor = (uint8_t)ring_monitor(ring),
		.stations_be = htons(ring->stations),
		.reason = m->reason,
		.to = m->to,
		.token_id_be = htobe64(m->token_id),
		.issued_be = htonl((uint32_t)ring->tokens_issued),
		.hold_ns_be = htonl(ring->p.hold_ns),
	};
	struct frame f = {
		.vci = vci_mcast(JS_STREAM_MGMT),
		.sdu_len = sizeof(sdu),
		.src = m->src,
		.n_iov = 1,
		.iov = { { &sdu, sizeof(sdu) } },
	};

	if (!capture_wants_tokens())
		return;
	aal5_make(&f);
	record_mgmt(&f, m);
}

const struct ring_ops station_ops = { .head = head, .arrived = arrived, .mgmt = mgmt };

void station_stop(struct station *s)
{
	if (ring)
		ring_del(ring, s->ring_id, now_ns());
	for (unsigned int i = 0; i < N_SOURCES; i++) {
		struct frame *f = s->ready[i];

		s->ready[i] = NULL;
		if (f)
			f->done(f);
	}
	s->head = NULL;
}
