/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * impair.h - what goes wrong with a frame between two stations
 *
 * DOC: the model
 *
 * A frame crosses the ring as ring.h says, without fault.  Behind the ring, in
 * front of each receiver's adapter, stands this, once for each directed pair:
 *
 *	the ring --> loss --> duplicate --> corrupt --> delay, jitter --> rate --> adapter
 *	                                         \----- reorder -------/
 *
 * So the token does not wait for a delay, the sender sees the copied
 * indication of the ring, and a multicast frame is decided for each receiver.
 * Words and meaning are netem's (common/linkset.h).  In particular:
 *
 * - Delay: a frame is due at the adapter @delay (+- jitter, uniformly) after
 *   the ring has it there; less than 0 is 0.  Frames are given out in the order
 *   in which they are due, so jitter larger than the distance of two frames
 *   reorders them, as it does with netem.
 * - Rate: the pair has a line of its own behind the delay: a frame begins when
 *   it is due and the line is free, and is there when its last octet is.  So
 *   with rate= set jitter does not reorder (nor does it with netem).
 * - Reorder: with that chance a frame does not wait at all, neither for the
 *   delay nor for the line, of which it takes its share; gap=N makes candidates
 *   only of frames behind N - 1 others that did wait.  Without delay and rate
 *   nobody waits, and nothing is overtaken.
 * - Limit: so many frames may wait for delay and rate; one more is dropped, and
 *   counted.  So it is when all frames that wait fill DELAYQ_OCTETS_MAX.
 * - Corrupt inverts one bit of the SDU: a CRC-32 finds every single-bit error,
 *   so the receiver's adapter counts and drops the frame.
 * - Gilbert-Elliott: the state a frame finds decides whether it is lost; then
 *   the state may change.
 * - A frame that is lost is not duplicated (with netem it may be).
 *
 * Chance: the k-th frame since the seed was set is decided by numbers that are
 * functions of seed, pair, k and kind of decision, and of nothing else: not of
 * time, of traffic elsewhere, or of what other impairments are set.  There are
 * no correlations of netem's kind: they change the probability itself, and
 * bursts are what gemodel is for.
 *
 * Runs in jetringd.  No clock, no descriptor: ring time is given.
 */
#ifndef EMULATOR_IMPAIR_H
#define EMULATOR_IMPAIR_H

#include "abi/ringctl.h"
#include "common/linkset.h"
#include "emulator/emu.h"

/* One arrival of a frame at one receiver. */
struct impair_copy {
	uint64_t at_ns;			/* ring time: due at the adapter */
	int64_t flip;			/* this bit of its SDU is inverted; -1: intact */
	bool dup;			/* the second copy */
	bool overtakes;			/* goes past those that wait */
	bool holds;			/* waits: to be given back by impair_release() */
};

/* What impair_frame() decided for one frame and one receiver. */
struct impair_verdict {
	unsigned int n;			/* copies that arrive, 0 to 2 */
	struct impair_copy copy[2];
};

enum impair_draw {			/* kinds of decision */
	DRAW_LOSS, DRAW_MOVE, DRAW_DUPLICATE,
	DRAW_COPY,			/* from here on for each copy: */
	DRAW_CORRUPT = DRAW_COPY, DRAW_BIT, DRAW_DELAY, DRAW_REORDER,
	DRAW_N
};
#define IMPAIR_N_DRAWS	(DRAW_N + (DRAW_N - DRAW_COPY))

/*
 * Of frames that went this way.  What arrived in the end, or still waits, is
 * frames - lost - limit_drops + duplicated.
 */
struct impair_stats {
	uint64_t frames;
	uint64_t lost;			/* by chance or rule */
	uint64_t duplicated;
	uint64_t corrupted, delayed, reordered;	/* copies */
	uint64_t limit_drops;		/* copies that found no room to wait */
	uint64_t late;			/* copies given out RING_LATE_NS or more behind their time */
};

/* One directed pair of stations; changed by impair_set() only. */
struct impair_link {
	struct link_set set;		/* in force; set.has: given by a command */
	struct impair_stats st;
	bool active;			/* anything may happen to a frame */
	uint64_t stream[IMPAIR_N_DRAWS]; /* start of each kind's numbers */
	uint64_t k;			/* frames since the seed */
	bool bad;			/* Gilbert-Elliott: the state */
	uint64_t waited;		/* frames in a row that did not overtake */
	uint64_t line_free_ns;		/* rate: the last frame's last octet is there */
	uint64_t n_waiting;		/* frames, bounded by set.limit */
};

/* A set of directed pairs: bit d of to[s] is s -> d. */
struct impair_pairs {
	uint16_t to[JS_N_RING_IDS];
};

enum impair_action { IMPAIR_LOSE, IMPAIR_CORRUPT, IMPAIR_DUPLICATE, IMPAIR_DELAY, IMPAIR_N_ACTIONS };

#define IMPAIR_STREAM_ANY	(-1)	/* any stream */
#define IMPAIR_STREAM_USER	(-2)	/* any handed-out one: JS_STREAM_FIRST and up */
#define IMPAIR_N_RULES		64	/* at a time */

/* Once: the @left-th frame from now that it describes. */
struct impair_rule {
	bool used;
	enum impair_action action;
	struct link_scope scope;	/* as given; what counts is: */
	struct impair_pairs pairs;
	int stream;			/* or IMPAIR_STREAM_* */
	js_vci_t vci;			/* or JS_VCI_NONE: any */
	uint32_t sdu_min;		/* octets: shorter frames are not counted */
	uint64_t delay_ns;		/* IMPAIR_DELAY */
	uint64_t left;			/* frames to go, 1: the next */
};

/* All pairs clean, no rule; each pair's seed is made from @seed and the two Ring IDs. */
void impair_init(uint64_t seed);
const struct impair_link *impair_link(unsigned int src, unsigned int dst);
/* What @set has is set; a seed begins anew, also if it is the same. */
void impair_set(unsigned int src, unsigned int dst, const struct link_set *set);
/* As after impair_init(), but for frames that wait: they go on. */
void impair_reset(unsigned int src, unsigned int dst);
int impair_rule_add(const struct impair_rule *rule);	/* 0, -ENOSPC */
const struct impair_rule *impair_rule(unsigned int i);	/* i < IMPAIR_N_RULES */
void impair_rules_drop(void);
/*
 * To be called once for each frame and receiver, in the order of the ring;
 * @arrive_ns: ring time at which the frame is there.
 */
struct impair_verdict impair_frame(unsigned int src, unsigned int dst, const struct frame *f,
				   uint64_t arrive_ns);
/* A copy with .holds does not wait any more: it was given out @late_ns behind its
 * time, or (dropped) there was no memory to keep it. */
void impair_release(unsigned int src, unsigned int dst, uint64_t late_ns, bool dropped);

#endif
