/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ring.c - the token, and time on the ring
 *
 * The model is described in ring.h.  No clock, no descriptor and no memory of
 * others: a test drives it with stations and a clock of its own.
 *
 * Runs in jetringd.
 */
#include <assert.h>
#include <string.h>

#include "common/util.h"
#include "emulator/ring.h"

/* From one station to the next. */
static uint64_t hop_ns(const struct ring *r)
{
	return r->rate_bps ? RING_STATION_NS + RING_PROP_NS : 0;
}

/* The ring is occupied by @octets; at 64 bits exact for any frame and rate. */
static uint64_t octets_ns(const struct ring *r, uint64_t octets)
{
	if (!r->rate_bps)
		return 0;
	return (octets * 8 * 1000000000u + r->rate_bps - 1) / r->rate_bps;
}

/* Octets that leave within the holding time. */
static uint64_t hold_octets(const struct ring *r)
{
	uint64_t rate_bps = r->rate_bps ? r->rate_bps : RING_RATE_DEFAULT;

	return rate_bps / 8 * RING_HOLD_NS / 1000000000u;
}

unsigned int ring_hops(const struct ring *r, unsigned int from, unsigned int to)
{
	unsigned int n = 0, id = from;

	do {
		id = (id + 1) % JS_N_RING_IDS;
		n += r->stations >> id & 1;
	} while (id != to);
	return n;
}

uint64_t ring_travel_ns(const struct ring *r, unsigned int from, unsigned int to)
{
	return ring_hops(r, from, to) * hop_ns(r);
}

void ring_init(struct ring *r, const struct ring_ops *ops, uint64_t rate_bps, uint64_t now_ns)
{
	memset(r, 0, sizeof(*r));
	r->ops = ops;
	r->rate_bps = rate_bps;
	r->free_ns = now_ns;
}

/* The token starts at the station that comes first. */
void ring_add(struct ring *r, unsigned int id)
{
	if (!r->stations)
		r->at = id;
	r->stations |= (uint16_t)(1u << id);
}

/**
 * ring_set_rate() - Change the ring's rate
 * @r:		The ring
 * @rate_bps:	Bits per second, 0 unlimited
 * @now_ns:	Ring time
 *
 * A frame that is on the ring arrives as if it had been sent at the new rate
 * from now on, if that is sooner: nobody wants to wait for the rest of a frame
 * at 1 kbit/s.
 */
void ring_set_rate(struct ring *r, uint64_t rate_bps, uint64_t now_ns)
{
	r->rate_bps = rate_bps;
	r->hold_left = MIN(r->hold_left, hold_octets(r));
	if (r->frame) {
		uint64_t t = now_ns + octets_ns(r, aal5_frame_len(r->frame->sdu_len));

		r->tx.arrive_ns = MIN(r->tx.arrive_ns, t);
	}
}

/*
 * How far the ring is: @now_ns, or less if it is late.  Then it stands at the
 * end of the frame on it, or where the first who waits may have the token.
 */
static uint64_t reached(const struct ring *r, uint64_t now_ns)
{
	uint64_t first_ns = UINT64_MAX;

	if (r->frame)
		return MIN(now_ns, r->tx.arrive_ns);
	for (unsigned int id = 0; id < JS_N_RING_IDS; id++)
		if (r->wants >> id & 1)
			first_ns = MIN(first_ns, r->want_ns[id]);
	return MIN(now_ns, MAX(first_ns, r->free_ns));
}

/**
 * ring_request() - A station has something to send
 * @r:		The ring
 * @id:		Ring ID of the station, which is on the ring
 * @now_ns:	Ring time
 *
 * A late ring takes it as asked at the time the ring has reached, not now:
 * else who was sending when we fell behind would send alone until we have
 * caught up.
 */
void ring_request(struct ring *r, unsigned int id, uint64_t now_ns)
{
	assert(r->stations >> id & 1);
	if (r->wants >> id & 1)
		return;
	r->want_ns[id] = reached(r, now_ns);
	r->wants |= (uint16_t)(1u << id);
}

/*
 * When the token, passed on by r->at at free_ns, is at @id for the first time
 * not before @id wants it.
 */
static uint64_t pass_time(const struct ring *r, unsigned int id)
{
	uint64_t first = r->free_ns + ring_travel_ns(r, r->at, id);
	uint64_t round = (unsigned int)__builtin_popcount(r->stations) * hop_ns(r);

	if (r->want_ns[id] <= first)
		return first;
	if (!round)
		return r->want_ns[id];
	return first + (r->want_ns[id] - first + round - 1) / round * round;
}

/*
 * Who sends next, and when: r->at again if it holds the token and had its next
 * frame when the last was stripped, else whom the token reaches first.
 */
static int next_sender(struct ring *r, uint64_t now_ns, uint64_t *start_ns)
{
	int best = -1;
	unsigned int best_hops = 0;

	if (!r->wants)
		return -1;
	if (r->holding) {
		struct frame *f = NULL;

		/* Not decided before the last frame is stripped. */
		*start_ns = r->free_ns;
		if (now_ns < r->free_ns)
			return (int)r->at;

		if (r->wants >> r->at & 1 && r->want_ns[r->at] <= r->free_ns)
			f = r->ops->head(r->at);
		if (f && aal5_frame_len(f->sdu_len) <= r->hold_left)
			return (int)r->at;
		r->holding = false;
	}
	for (unsigned int id = 0; id < JS_N_RING_IDS; id++) {
		unsigned int hops;
		uint64_t t;

		if (!(r->wants >> id & 1))
			continue;
		t = pass_time(r, id);
		hops = ring_hops(r, r->at, id);
		if (best < 0 || t < *start_ns || (t == *start_ns && hops < best_hops)) {
			best = (int)id;
			best_hops = hops;
			*start_ns = t;
		}
	}
	return best;
}

/* Put the first bit of station @id's frame on the ring at @start_ns. */
static void start(struct ring *r, unsigned int id, uint64_t start_ns)
{
	struct frame *f = r->ops->head(id);
	unsigned int hops;
	uint64_t octets;

	if (!f) {
		/* Its source took it back: the token was not wanted. */
		r->wants &= (uint16_t)~(1u << id);
		return;
	}
	if (!r->holding) {
		r->at = id;
		r->holding = true;
		r->hold_left = hold_octets(r);
		r->token_passes++;
	}
	octets = aal5_frame_len(f->sdu_len);
	r->hold_left -= MIN(r->hold_left, octets);
	if (vci_is_mcast(f->vci))
		hops = (unsigned int)__builtin_popcount(r->stations) - 1;
	else
		hops = ring_hops(r, id, vci_ring_id(f->vci));
	r->frame = f;
	r->tx = (struct ring_tx) {
		.start_ns = start_ns,
		.arrive_ns = start_ns + octets_ns(r, octets) + hops * hop_ns(r),
		.token_id = r->token_passes,
		.frame_id = r->tx.frame_id + 1,
	};
	/* Stripped after a whole round; arrived() does not have to wait for it. */
	r->free_ns = start_ns + octets_ns(r, octets) +
		     (unsigned int)__builtin_popcount(r->stations) * hop_ns(r);
}

/* The frame on the ring has arrived. */
static void finish(struct ring *r, uint64_t now_ns)
{
	struct frame *f = r->frame;
	uint64_t late_ns = now_ns - r->tx.arrive_ns;

	r->frames++;
	r->bytes += aal5_frame_len(f->sdu_len);
	if (r->rate_bps && late_ns > RING_LATE_NS)
		r->late_frames++;
	if (r->rate_bps)
		r->late_max_ns = MAX(r->late_max_ns, late_ns);
	/* The rate may have been raised while it was on the way. */
	r->free_ns = MIN(r->free_ns, r->tx.arrive_ns +
			 (unsigned int)__builtin_popcount(r->stations) * hop_ns(r));
	r->frame = NULL;
	r->wants &= (uint16_t)~(1u << r->at);
	if (r->ops->arrived(r->at, f, &r->tx))
		ring_request(r, r->at, r->tx.arrive_ns);
}

/**
 * ring_step() - Let the ring do what is due
 * @r:		The ring
 * @now_ns:	Ring time; does not go back
 *
 * Starts a frame, or delivers the one on the ring, or neither if it is not
 * time yet.  So a caller can look at other things between two frames, and
 * gives the time of each thing as it happens.
 *
 * Return: ring time of the next thing; up to @now_ns: call again; RING_IDLE:
 *	   not before a ring_request()
 */
uint64_t ring_step(struct ring *r, uint64_t now_ns)
{
	uint64_t start_ns = 0;
	int id;

	if (r->frame) {
		if (r->tx.arrive_ns > now_ns)
			return r->tx.arrive_ns;
		finish(r, now_ns);
		return now_ns;
	}
	id = next_sender(r, now_ns, &start_ns);
	if (id < 0)
		return RING_IDLE;
	if (start_ns > now_ns)
		return start_ns;
	if (!r->rate_bps) {
		start_ns = now_ns;	/* no pace to keep */
	} else if (now_ns - start_ns > RING_STALL_NS) {
		r->stalls++;
		start_ns = now_ns;
	}
	start(r, (unsigned int)id, start_ns);
	return r->frame ? r->tx.arrive_ns : now_ns;
}
