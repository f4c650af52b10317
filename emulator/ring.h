/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ring.h - the token ring: who may send, and when it arrives
 *
 * DOC: the model
 *
 * N stations stand on a ring in the order of their Ring IDs and pass one
 * token.  Ring time is nanoseconds of CLOCK_MONOTONIC, given by the caller:
 * ring.c reads no clock and touches no descriptor.  What can be set is in
 * struct ring_params.
 *
 *	     H         H = station latency + propagation delay, from one station
 *	  1 ---> 2         to the next; every hop may have a delay of its own
 *	  ^      |      T = octets of the frame * 8 / rate
 *	  |      v      R = the sum of all H, once round the ring
 *	  4 <--- 3      station 1 starts to send to 3 at t:
 *	                   last bit leaves 1	t + T
 *	                   last bit at 3	t + T + H12 + H23	the frame arrives
 *	                   last bit back at 1	t + T + R		stripped
 *
 * - Nobody sends without the token.  While nobody wants to, the token goes
 *   round and round: that is computed when somebody asks (pass_time()), not
 *   simulated.  A station that asks at time t gets the token when it passes
 *   next, on average half a rotation later; ring order decides who is first.
 * - The token is a frame (abi/ring.h), taken while it is being repeated: the
 *   station sends its own frame in its place, as in IEEE 802.5.  So the
 *   token's octets cost no time beyond the latency of the stations it passes.
 * - The frame exists in its source's memory until its last bit arrives: then
 *   ring_ops.arrived() copies it to the destination or, of a multicast, to
 *   all others at the time the farthest has it.  One for a Ring ID that is not
 *   on the ring comes back uncopied.
 * - The source takes its frame from the ring (source stripping) and sees then
 *   whether a station copied it (the copied indication).  There is one frame
 *   on the ring at a time: what comes next, another frame or the token, leaves
 *   when the frame has been stripped.  This costs R a frame, 4 us of a ring of
 *   16 with the default latencies against 492 us of the largest frame.
 * - Having sent, a station may go on as long as what it has sent since it got
 *   the token, with the next frame, fits the holding time at the ring's rate;
 *   one frame it may always send.  The default holding time just exceeds the
 *   largest frame at 1 Gbit/s, so two stations with large frames alternate
 *   frame by frame.
 * - Unlimited: T and H are 0 and nothing waits for a clock.  The holding time
 *   counts octets as if the rate were RING_RATE_DEFAULT.
 *
 * The token's number (token_id) counts passes to a station that then sent, and
 * tokens issued anew.
 *
 * The monitor is the station with the lowest Ring ID.  It starts its timer
 * anew with each token and each last bit of a frame that passes.  If neither
 * comes for RING_TOKEN_TIMEOUT_NS + T of the largest frame + R, the token is
 * lost: it sends a purge, a frame which removes what there is on the ring, and
 * when that has come back a new token.  If two tokens pass it within R, one is
 * a duplicate: it purges, too; a frame on the ring is destroyed by that ("cut").
 * When another station becomes the lowest, that one takes the token as soon as
 * the ring is free, claims (a frame, once round), purges, and issues one.  The
 * monitor itself is not watched: as a process, it ends with the whole ring.
 *
 * Faults for tests: ring_fault() loses the token, when it is next released or
 * at once if nobody holds it, or has the station before the monitor put a
 * second one on the ring.
 *
 * Stations come and go between two frames.  A frame on the ring keeps the way
 * it had; the ring it leaves behind is the new one.  Who goes while it sends
 * takes its frame with it (cut) and passes the token on.
 *
 * When the process is late: ring_step() handles events at their ring time, so
 * frames that queue while we slept leave back to back, as they would have, and
 * the ring keeps its rate over any time longer than the lateness.  What a
 * source offers while the ring catches up counts as offered at the ring time
 * reached (ring_request()).  If the ring is late by more than RING_STALL_NS (the process was
 * stopped) it does not catch up: it stood still.  How late each frame was
 * handed over, against its arrival in the model, is kept (struct ring_errors).
 *
 * Differences from the paper: it says only "token-ring" (section 2).  Times,
 * holding rule, stripping and monitor here are ours, in the manner of IEEE
 * 802.5, where the highest address wins a claim.
 */
#ifndef EMULATOR_RING_H
#define EMULATOR_RING_H

#include "emulator/emu.h"

#define RING_RATE_DEFAULT	1000000000ull	/* bit/s; paper, section 2 */
#define RING_RATE_MAX		1000000000000ull /* bit/s: 1 Tbit/s, 8 ps an octet */
#define RING_STATION_NS		200u		/* a station's latency: 25 octets of elastic buffer */
#define RING_PROP_NS		50u		/* to the next station: 10 m of coaxial cable */
#define RING_HOLD_NS		500000u		/* token holding time; see above */
#define RING_DELAY_MAX_NS	1000000000u	/* of a station, of a hop */
#define RING_HOLD_MAX_NS	100000000u
#define RING_TOKEN_TIMEOUT_NS	10000000u	/* the monitor's timer; TVX of IEEE 802.5 */
#define RING_LATE_NS		100000u		/* an arrival later than this is counted late */
#define RING_STALL_NS		50000000u	/* later than this: the ring stood still */
#define RING_IDLE		UINT64_MAX	/* ring_step(): nothing to wait for */

struct ring_params {
	uint64_t rate_bps;		/* 0: unlimited */
	uint32_t station_ns;		/* latency of a station */
	uint32_t prop_ns[JS_N_RING_IDS]; /* from station i to the next on the ring */
	uint32_t hold_ns;		/* token holding time */
};

/* One transmission. */
struct ring_tx {
	uint64_t start_ns;		/* ring time: its first bit leaves the source */
	uint64_t arrive_ns;		/* its last bit is at the (farthest) destination */
	uint64_t token_id;		/* passes of the token before it */
	uint32_t frame_id;		/* number of the frame on this ring */
	bool cut;			/* destroyed on the way: a purge, or its sender left */
};

/* A token that was passed to a station which took it, or what the monitor sent. */
struct ring_mgmt {
	uint8_t type, reason;		/* JS_MGMT_*, abi/ring.h */
	uint8_t src;			/* Ring ID of who sent it; of a token: who released it */
	uint8_t to;			/* of a token: who takes it */
	uint64_t start_ns;		/* ring time: its first bit leaves @src, last */
	uint64_t arrive_ns;		/* it is at @to, or back at @src */
	uint64_t token_id;
	uint32_t frame_id;
};

/* What the ring needs of its stations; @id is a Ring ID. */
struct ring_ops {
	/* The frame @id sends if it gets the token now: the same one until it
	 * has arrived.  NULL: it has none after all. */
	struct frame *(*head)(unsigned int id);
	/* It has arrived: deliver, record, done().  If tx->cut it has not: only
	 * record and done().  Then whether @id has another. */
	bool (*arrived)(unsigned int id, struct frame *f, const struct ring_tx *tx);
	/* For the record only; may be NULL. */
	void (*mgmt)(const struct ring_mgmt *m);
};

/*
 * How late frames were handed over, against their arrival in the model.
 * Buckets are eighths of powers of two, from 128 ns on: bounds within 12.5 %.
 */
#define RING_ERR_SHIFT		7		/* log2 of the first bucket's bound, ns */
#define RING_ERR_OCTAVES	24		/* up to 2 s */
#define RING_ERR_BUCKETS	(1 + 8 * RING_ERR_OCTAVES)

struct ring_errors {
	uint64_t n, max_ns;
	uint64_t bucket[RING_ERR_BUCKETS]; /* [0]: below 128 ns; the last: all above */
};

enum ring_token {
	RING_TOKEN_OK,			/* there is one */
	RING_TOKEN_LOST,		/* the monitor's timer runs */
	RING_TOKEN_CLAIM,		/* a claim is on the ring */
	RING_TOKEN_PURGE,		/* a purge is */
	RING_TOKEN_N_STATES
};

enum ring_fault { RING_FAULT_LOSE, RING_FAULT_DUPLICATE };

struct ring {
	const struct ring_ops *ops;
	struct ring_params p;
	uint16_t stations;		/* bit i: Ring ID i is on the ring */
	uint16_t wants;			/* bit i: station i waits for the token */
	uint64_t want_ns[JS_N_RING_IDS]; /* since when */
	uint64_t pos_ns[JS_N_RING_IDS];	/* of the stations: travel from the lowest */
	uint64_t round_ns;		/* R */

	unsigned int at;		/* who has the token, or had it last */
	bool holding;			/* @at may still send */
	uint64_t free_ns;		/* @at has stripped its frame: it may send or pass on */
	uint64_t hold_left;		/* octets @at may still send in this holding time */
	struct frame *frame;		/* on the ring, or NULL */
	struct ring_tx tx;		/* its transmission */
	uint32_t frame_ids;		/* given so far */

	enum ring_token token;
	uint64_t until_ns;		/* not OK: when that state ends */
	uint64_t duplicate_ns;		/* a second token is at the monitor; RING_IDLE none */
	uint64_t broken_ns;		/* since when there has been no (single) token */
	uint8_t reason;			/* JS_MGMT_R_* of the purge to come */
	bool lose;			/* when @at releases the token it is lost */
	bool elect;			/* when the ring is free the monitor claims */

	uint64_t token_id;		/* passes to stations that then sent, and tokens issued anew */
	uint64_t token_passes;		/* the former only */
	uint64_t frames, bytes;		/* arrived; bytes: octets of whole frames */
	uint64_t late_frames;		/* handled more than RING_LATE_NS after their arrival */
	uint64_t stalls;		/* how often the ring stood still */
	struct ring_errors errors;
	uint64_t cut_frames;		/* destroyed on the ring */
	uint64_t tokens_lost, tokens_duplicated; /* faults */
	uint64_t tokens_issued;		/* by monitors, the first token too */
	uint64_t claims, purges;
	uint64_t recovery_max_ns;	/* from a fault, or a change of the monitor, to the new token */
};

/* 1 Gbit/s and the latencies above. */
void ring_params_default(struct ring_params *p);
void ring_init(struct ring *r, const struct ring_ops *ops, const struct ring_params *p,
	       uint64_t now_ns);
/* Change what is set, from @now_ns on. */
void ring_set(struct ring *r, const struct ring_params *p, uint64_t now_ns);
/* A station comes; the first one gets the token.  It must not be there. */
void ring_add(struct ring *r, unsigned int id, uint64_t now_ns);
/* A station goes.  Its frame on the ring, if any, is given back: arrived(), cut. */
void ring_del(struct ring *r, unsigned int id, uint64_t now_ns);
/* Station @id has something to send since @now_ns. */
void ring_request(struct ring *r, unsigned int id, uint64_t now_ns);
/* When the frame that is on the ring arrives; RING_IDLE: none is. */
static inline uint64_t ring_arrival(const struct ring *r)
{
	return r->frame ? r->tx.arrive_ns : RING_IDLE;
}
/* Do what is due at @now_ns, one thing at most; when to call again. */
uint64_t ring_step(struct ring *r, uint64_t now_ns);
/* 0; -EBUSY: the ring is without a token, or has two already; -ENOENT: no station. */
int ring_fault(struct ring *r, enum ring_fault fault, uint64_t now_ns);
/* The monitor's Ring ID; there is a station. */
unsigned int ring_monitor(const struct ring *r);
/* What a bit takes from @from to @to, which are on the ring; once round if they are the same. */
uint64_t ring_travel_ns(const struct ring *r, unsigned int from, unsigned int to);
/* When the monitor takes the token for lost. */
uint64_t ring_token_timeout_ns(const struct ring *r);
/* Upper bound of bucket @i, ns; the last one has none. */
uint64_t ring_errors_bound_ns(unsigned int i);
/* The smallest bound, ns, that @part (0 to 1) of all frames did not exceed; 0: no frame. */
uint64_t ring_errors_quantile(const struct ring_errors *e, double part);

#endif
