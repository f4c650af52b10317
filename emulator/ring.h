/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ring.h - the token ring: who may send, and when it arrives
 *
 * DOC: the model
 *
 * N stations stand on a ring in the order of their Ring IDs and pass one
 * token.  Ring time is nanoseconds of CLOCK_MONOTONIC, given by the caller:
 * ring.c reads no clock and touches no descriptor.
 *
 *	     H         H = RING_STATION_NS + RING_PROP_NS, from one station
 *	  1 ---> 2         to the next
 *	  ^      |      T = octets of the frame * 8 / rate
 *	  |      v
 *	  4 <--- 3      station 1 starts to send to 3 at t:
 *	                   last bit leaves 1	t + T
 *	                   last bit at 3	t + T + 2 H	the frame arrives
 *	                   last bit back at 1	t + T + 4 H	stripped
 *
 * - Nobody sends without the token.  While nobody wants to, the token goes
 *   round and round: that is computed when somebody asks (pass_time()), not
 *   simulated.  A station that asks at time t gets the token when it passes
 *   next, on average half a rotation later; ring order decides who is first.
 * - The frame exists in its source's memory until its last bit arrives: then
 *   ring_ops.arrived() copies it to the destination or, of a multicast, to
 *   all others at the time the farthest has it.
 * - The source takes its frame from the ring (source stripping) and sees then
 *   whether a station copied it (the copied indication).  There is one frame
 *   on the ring at a time: what comes next, another frame or the token, leaves
 *   when the frame has been stripped.  This costs N * H a frame, 4 us of the
 *   largest ring against 492 us of the largest frame.
 * - Having sent, a station may go on as long as what it has sent since it got
 *   the token, with the next frame, fits RING_HOLD_NS at the ring's rate; one
 *   frame it may always send.  RING_HOLD_NS just exceeds the largest frame at
 *   1 Gbit/s, so two stations with large frames alternate frame by frame.
 * - Unlimited: T and H are 0 and nothing waits for a clock.  The holding time
 *   counts octets as if the rate were RING_RATE_DEFAULT.
 *
 * The token's number (token_id) counts passes to a station that then sent.
 *
 * When the process is late: ring_step() handles events at their ring time, so
 * frames that queue while we slept leave back to back, as they would have, and
 * the ring keeps its rate over any time longer than the lateness.  What a
 * source offers while the ring catches up counts as offered at the ring time
 * reached (ring_request()).  If the ring is late by more than RING_STALL_NS (the process was
 * stopped) it does not catch up: it stood still.  Both are counted.
 *
 * Differences from the paper: it says only "token-ring" (section 2).  Times,
 * holding rule and stripping here are ours, in the manner of IEEE 802.5.
 */
#ifndef EMULATOR_RING_H
#define EMULATOR_RING_H

#include "emulator/emu.h"

#define RING_RATE_DEFAULT	1000000000ull	/* bit/s; paper, section 2 */
#define RING_RATE_MAX		1000000000000ull /* bit/s: 1 Tbit/s, 8 ps an octet */
#define RING_STATION_NS		200u		/* a station's latency: 25 octets of elastic buffer */
#define RING_PROP_NS		50u		/* to the next station: 10 m of coaxial cable */
#define RING_HOLD_NS		500000u		/* token holding time; see above */
#define RING_LATE_NS		100000u		/* an arrival later than this is counted late */
#define RING_STALL_NS		50000000u	/* later than this: the ring stood still */
#define RING_IDLE		UINT64_MAX	/* ring_step(): nothing to wait for */

/* One transmission. */
struct ring_tx {
	uint64_t start_ns;		/* ring time: its first bit leaves the source */
	uint64_t arrive_ns;		/* its last bit is at the (farthest) destination */
	uint64_t token_id;		/* passes of the token before it */
	uint32_t frame_id;		/* number of the frame on this ring */
};

/* What the ring needs of its stations; @id is a Ring ID. */
struct ring_ops {
	/* The frame @id sends if it gets the token now: the same one until it
	 * has arrived.  NULL: it has none after all. */
	struct frame *(*head)(unsigned int id);
	/* It has arrived: deliver, record, done().  Then whether @id has another. */
	bool (*arrived)(unsigned int id, struct frame *f, const struct ring_tx *tx);
};

struct ring {
	const struct ring_ops *ops;
	uint64_t rate_bps;		/* 0: unlimited */
	uint16_t stations;		/* bit i: Ring ID i is on the ring */
	uint16_t wants;			/* bit i: station i waits for the token */
	uint64_t want_ns[JS_N_RING_IDS]; /* since when */

	unsigned int at;		/* who has the token, or had it last */
	bool holding;			/* @at may still send */
	uint64_t free_ns;		/* @at has stripped its frame: it may send or pass on */
	uint64_t hold_left;		/* octets @at may still send in this holding time */
	struct frame *frame;		/* on the ring, or NULL */
	struct ring_tx tx;		/* its transmission */

	uint64_t token_passes;		/* to stations that then sent */
	uint64_t frames, bytes;		/* arrived; bytes: octets of whole frames */
	uint64_t late_frames;		/* handled more than RING_LATE_NS after their arrival */
	uint64_t late_max_ns;		/* the latest of all */
	uint64_t stalls;		/* how often the ring stood still */
};

void ring_init(struct ring *r, const struct ring_ops *ops, uint64_t rate_bps, uint64_t now_ns);
void ring_add(struct ring *r, unsigned int id);
void ring_set_rate(struct ring *r, uint64_t rate_bps, uint64_t now_ns);
/* Station @id has something to send since @now_ns. */
void ring_request(struct ring *r, unsigned int id, uint64_t now_ns);
/* Do what is due at @now_ns, one thing at most; when to call again. */
uint64_t ring_step(struct ring *r, uint64_t now_ns);
/* Stations passed on the way from @from to @to, 1 to N; N if they are the same. */
unsigned int ring_hops(const struct ring *r, unsigned int from, unsigned int to);
/* What a bit takes from @from to @to. */
uint64_t ring_travel_ns(const struct ring *r, unsigned int from, unsigned int to);

#endif
