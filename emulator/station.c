/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * station.c - one node's adapter between its sources and the ring
 *
 * Sending: each source (the TAP, the ports) shows one frame at a time.  A
 * frame to this node itself is delivered at once, without the token.  Others
 * wait in station.ready[] for the token; if both sources have one, they take
 * turns.  Arriving: impairments, which may keep a copy for later (delayq.h),
 * then the VCI table says who gets it.
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
#include "emulator/delayq.h"
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

/* What became of a frame, over all its receivers. */
struct outcome {
	unsigned int n_dst;		/* receivers */
	struct {			/* of its first copies, and of its second */
		unsigned int n;		/* that arrive, now or later */
		unsigned int n_later, n_corrupted, n_overtook, n_copied;
	} copy[2];
	unsigned int n_rx;		/* copies that arrived now, in ring order: */
	struct {
		uint8_t ring_id;
		uint16_t flags;		/* JS_CAP_F_* of the record */
	} rx[2 * JS_N_RING_IDS];
};

static uint16_t copied_flag(bool copied)
{
	return copied ? JS_CAP_F_COPIED : JS_CAP_F_DISCARD;
}

/* What impairments made of a copy, for the record of its arrival. */
static uint16_t copy_flags(const struct impair_copy *c)
{
	uint16_t flags = 0;

	if (c->dup)
		flags |= JS_CAP_F_DUP;
	if (c->flip >= 0)
		flags |= JS_CAP_F_CORRUPT;
	if (c->holds)
		flags |= JS_CAP_F_DELAYED;
	if (c->overtakes)
		flags |= JS_CAP_F_REORDER;
	return flags;
}

/* Ring time of a frame's first bit at @dst. */
static uint64_t first_bit_ns(const struct frame *f, const struct ring_tx *tx, unsigned int dst)
{
	if (f->src == dst)
		return tx->start_ns;	/* local */
	return tx->start_ns + ring_travel_ns(ring, f->src, dst);
}

/* Keep a copy until it is due.  Return: false: there is no memory; counted */
static bool arrive_later(struct station *dst, const struct frame *f, const struct ring_tx *tx,
			 const struct impair_copy *c, uint16_t rx_flags)
{
	struct delayed *d = delayq_put(f, c->at_ns);

	if (!d) {
		impair_release(f->src, dst->ring_id, 0, true);
		return false;
	}
	d->dst = dst->ring_id;
	d->flip = c->flip;
	d->rx_flags = rx_flags;
	d->facts = (struct capture_facts) {
		.station = dst->ring_id,
		.dir = JS_CAP_RX,
		.flags = copy_flags(c) | (tx->frame_id ? JS_CAP_F_TOKEN : 0),
		.frame_id = tx->frame_id,
		.token_id = tx->token_id,
		.ring_ns = first_bit_ns(f, tx, dst->ring_id) + (c->at_ns - tx->arrive_ns),
	};
	return true;
}

/* The frame's last bit is at @dst: what impairments let through, now or later. */
static void arrive(struct station *dst, const struct frame *f, const struct ring_tx *tx,
		   uint16_t rx_flags, struct outcome *o)
{
	struct impair_verdict v = impair_frame(f->src, dst->ring_id, f, tx->arrive_ns);
	struct station *src = &stations[f->src];

	o->n_dst++;
	for (unsigned int i = 0; i < v.n; i++) {
		const struct impair_copy *c = &v.copy[i];
		bool copied = false;

		if (c->holds && !arrive_later(dst, f, tx, c, rx_flags))
			continue;
		if (!c->holds) {
			copied = deliver(dst, f, c->flip, rx_flags);
			o->rx[o->n_rx].ring_id = dst->ring_id;
			o->rx[o->n_rx++].flags = copy_flags(c) | copied_flag(copied);
		}
		o->copy[c->dup].n++;
		o->copy[c->dup].n_later += c->holds;
		o->copy[c->dup].n_corrupted += c->flip >= 0;
		o->copy[c->dup].n_overtook += c->overtakes;
		o->copy[c->dup].n_copied += copied;
		src->st.corrupted += c->flip >= 0;
	}
	src->st.lost += !v.n;
}

/*
 * What the sender's record says of its first copies, or of the second ones: the
 * ring has seen those that wait copied.
 */
static uint16_t sent_flags(const struct outcome *o, bool dup)
{
	uint16_t flags = dup ? JS_CAP_F_DUP : 0;

	if (o->n_dst && !o->copy[dup].n)
		return flags | JS_CAP_F_LOST;
	if (o->copy[dup].n_corrupted)
		flags |= JS_CAP_F_CORRUPT;
	if (o->copy[dup].n_later)
		flags |= JS_CAP_F_DELAYED;
	if (o->copy[dup].n_overtook)
		flags |= JS_CAP_F_REORDER;
	return flags | copied_flag(o->copy[dup].n_copied || o->copy[dup].n_later);
}

/* Records of a frame in the order of their time stamps: sent, then arrivals. */
static void record(const struct frame *f, const struct ring_tx *tx, const struct outcome *o)
{
	bool local = !tx->frame_id;
	struct capture_facts facts = {
		.station = f->src,
		.dir = local ? JS_CAP_LOCAL : JS_CAP_TX,
		.flags = (tx->cut ? JS_CAP_F_LOST : sent_flags(o, false)) |
			 (local ? 0 : JS_CAP_F_TOKEN),
		.frame_id = tx->frame_id,
		.token_id = tx->token_id,
		.ring_ns = tx->start_ns,
	};

	capture_frame(f, &facts);
	if (o->copy[1].n) {
		facts.flags = sent_flags(o, true);
		capture_frame(f, &facts);
	}
	if (local)
		return;		/* its record is that of its arrival, too */
	facts.dir = JS_CAP_RX;
	for (unsigned int i = 0; i < o->n_rx && capture_wants_arrivals(); i++) {
		facts.station = o->rx[i].ring_id;
		facts.flags = o->rx[i].flags | JS_CAP_F_TOKEN;
		facts.ring_ns = first_bit_ns(f, tx, facts.station);
		capture_frame(f, &facts);
	}
}

/* What waited until now arrives. */
static void arrive_delayed(struct delayed *d, uint64_t now)
{
	struct station *dst = &stations[d->dst];

	impair_release(d->f.src, d->dst, now - d->at_ns, false);
	if (!dst->used) {
		stations[d->f.src].st.tx_not_copied++;	/* it has left the ring */
		return;
	}
	d->facts.flags |= copied_flag(deliver(dst, &d->f, d->flip, d->rx_flags));
	if (capture_wants_arrivals())
		capture_frame(&d->f, &d->facts);
}

uint64_t station_delayed(uint64_t now)
{
	struct delayed *d = delayq_take(now);

	if (!d)
		return delayq_next();
	arrive_delayed(d, now);
	delayq_free(d);
	return now;
}

/* A frame to one's own Ring ID: inside the adapter, no token. */
static void deliver_local(struct station *s, struct frame *f)
{
	struct outcome o = { .n_dst = 0 };
	struct ring_tx tx = { .start_ns = now_ns() };

	tx.arrive_ns = tx.start_ns;
	aal5_make(f);
	count_tx(s, f);
	s->st.local_frames++;
	arrive(s, f, &tx, JS_RX_LOCAL, &o);
	if (capture_active())
		record(f, &tx, &o);
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
				arrive(dst, f, tx, 0, &o);
		}
	} else if (stations[vci_ring_id(f->vci)].used) {
		arrive(&stations[vci_ring_id(f->vci)], f, tx, 0, &o);
	}
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
