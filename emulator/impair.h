/* SPDX-License-Identifier: BSD-2-Clause */
/* impair.h - what goes wrong with a frame between two stations */
#ifndef EMULATOR_IMPAIR_H
#define EMULATOR_IMPAIR_H

#include "abi/ringctl.h"
#include "emulator/emu.h"

/* What impair_frame() decided for one frame and one receiver. */
struct impair_verdict {
	bool lost;			/* it does not arrive */
	int64_t flip;			/* it arrives with this bit of its SDU inverted; -1: intact */
};

/* One directed pair of stations. */
struct impair_link {
	double loss, corrupt;		/* probabilities, 0 to 1 */
	uint64_t seed;
	uint64_t rng;			/* state of splitmix64 */
	uint64_t frames, lost, corrupted; /* that went this way; of them, by chance or rule */
};

enum impair_action { IMPAIR_LOSE, IMPAIR_CORRUPT };

#define IMPAIR_STREAM_ANY	(-1)	/* any stream */
#define IMPAIR_STREAM_USER	(-2)	/* any handed-out one: JS_STREAM_FIRST and up */
#define IMPAIR_N_RULES		64	/* at a time */

/* Once: the @left-th frame from now, with payload, from @src to @dst. */
struct impair_rule {
	bool used;
	enum impair_action action;
	uint16_t src, dst;		/* sets of Ring IDs */
	int stream;			/* or IMPAIR_STREAM_* */
	uint64_t left;			/* frames to go, 1: the next */
};

/* All pairs clean; each pair's seed is made from @seed and the two Ring IDs. */
void impair_init(uint64_t seed);
struct impair_link *impair_link(unsigned int src, unsigned int dst);
void impair_seed(unsigned int src, unsigned int dst, uint64_t seed);
int impair_rule_add(const struct impair_rule *rule);	/* 0, -ENOSPC */
const struct impair_rule *impair_rule(unsigned int i);	/* i < IMPAIR_N_RULES */
struct impair_verdict impair_frame(unsigned int src, unsigned int dst, const struct frame *f);

#endif
