/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wheel.h - many timers: a hierarchical timing wheel
 *
 * After Varghese and Lauck (SOSP 1987), scheme 7.  Setting, clearing and
 * expiring cost the same with ten timers and with a hundred thousand.  No heap
 * and no clock: the timers are the caller's array, and a timer is its index.
 *
 *	level 0		64 slots of one tick of 64 us
 *	level 1		64 slots of 64 ticks, ...
 *	level 7		64 slots of 2^42 ticks: 570 years
 *
 * A timer waits in the highest level in which its tick differs from the
 * present one.  When the present reaches a slot of a higher level, its timers
 * move down; each at most once a level.
 *
 * A timer never fires early, and at most one tick late.  One thread at a time.
 */
#ifndef COMMON_WHEEL_H
#define COMMON_WHEEL_H

#include <stdint.h>

#define WHEEL_LEVELS	8
#define WHEEL_SLOTS	64
#define WHEEL_TICK_US	64u
#define WHEEL_NONE	UINT32_MAX	/* no timer */
#define WHEEL_NEVER	UINT64_MAX	/* no time */

struct wheel_timer {
	uint64_t tick;			/* when it fires; WHEEL_NEVER: not set */
	uint32_t next, prev;		/* in its slot, a ring */
};

struct wheel {
	struct wheel_timer *timer;	/* the caller's, n of them */
	uint32_t n;
	uint64_t tick;			/* all before it have fired */
	uint64_t busy[WHEEL_LEVELS];	/* bit s: slot s has timers */
	uint32_t slot[WHEEL_LEVELS][WHEEL_SLOTS];	/* first of the ring */
};

void wheel_init(struct wheel *w, struct wheel_timer *timers, uint32_t n, uint64_t now_us);

/* Timer @i fires at @at_us; it may have been set before.  WHEEL_NEVER clears
 * it.  A time that has passed: it fires at the next wheel_expire(). */
void wheel_set(struct wheel *w, uint32_t i, uint64_t at_us);

/* The next timer that is due at @now_us, cleared; WHEEL_NONE: no more.  To be
 * called until then: it may be set again at once, for later. */
uint32_t wheel_expire(struct wheel *w, uint64_t now_us);

/* When to call wheel_expire() next: no timer fires before, but it may be that
 * none does then.  WHEEL_NEVER if none is set. */
uint64_t wheel_next_us(const struct wheel *w);

#endif
