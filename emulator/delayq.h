/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * delayq.h - frames that arrive later than the ring has them there
 *
 * A frame's source takes its memory back when the ring is done with it, so what
 * waits here is a private copy.  How many frames a pair may have here is
 * impair.c's business; together they are bounded by DELAYQ_OCTETS_MAX.  Taken
 * out in the order in which they are due, equals in the order they came.
 *
 * Runs in jetringd.
 */
#ifndef EMULATOR_DELAYQ_H
#define EMULATOR_DELAYQ_H

#include "emulator/capture.h"
#include "emulator/emu.h"

#define DELAYQ_OCTETS_MAX	(256u << 20)	/* two seconds of a ring at 1 Gbit/s */
#define DELAYQ_NEVER		UINT64_MAX

struct delayed {
	uint64_t at_ns;			/* ring time: due */
	uint64_t order;			/* of those due at the same time */
	struct frame f;			/* one piece, in sdu[]; done, owner: none */
	uint8_t dst;			/* Ring ID of the receiver */
	int64_t flip;			/* bit of the SDU that arrives inverted, -1 none */
	uint16_t rx_flags;		/* JS_RX_* it is given out with */
	struct capture_facts facts;	/* of its arrival, but for what the adapter says */
	uint8_t sdu[];
};

/* Would one more frame with @sdu_len octets of SDU be within the bound? */
bool delayq_has_room(uint32_t sdu_len);
/* A copy of @f that waits until @at_ns, for the caller to fill in the rest;
 * the queue's.  NULL: no memory. */
struct delayed *delayq_put(const struct frame *f, uint64_t at_ns);
/* When the next is due, or DELAYQ_NEVER. */
uint64_t delayq_next(void);
/* The next one if it is due: the caller's, to be given to delayq_free().  Or NULL. */
struct delayed *delayq_take(uint64_t now_ns);
void delayq_free(struct delayed *d);
/* Free all that wait. */
void delayq_fini(void);

#endif
