/* SPDX-License-Identifier: BSD-2-Clause */
/* wheel.c - many timers: a hierarchical timing wheel */
#include <string.h>

#include "common/wheel.h"

#define SLOT_BITS	6

static unsigned int slot_of(uint64_t tick, unsigned int level)
{
	return tick >> (level * SLOT_BITS) & (WHEEL_SLOTS - 1);
}

/* Where a timer for @tick waits, seen from the present. */
static unsigned int level_of(const struct wheel *w, uint64_t tick)
{
	uint64_t differs = tick ^ w->tick;

	return differs ? (63u - (unsigned int)__builtin_clzll(differs)) / SLOT_BITS : 0;
}

static void insert(struct wheel *w, uint32_t i)
{
	struct wheel_timer *t = &w->timer[i];
	unsigned int level = level_of(w, t->tick), s = slot_of(t->tick, level);
	uint32_t *first = &w->slot[level][s];

	if (w->busy[level] & 1ull << s) {
		t->next = *first;
		t->prev = w->timer[*first].prev;
		w->timer[t->prev].next = i;
		w->timer[t->next].prev = i;
		return;
	}
	*first = t->next = t->prev = i;
	w->busy[level] |= 1ull << s;
}

static void take_out(struct wheel *w, uint32_t i)
{
	struct wheel_timer *t = &w->timer[i];
	unsigned int level = level_of(w, t->tick), s = slot_of(t->tick, level);

	if (t->next == i) {
		w->busy[level] &= ~(1ull << s);
		return;
	}
	w->timer[t->prev].next = t->next;
	w->timer[t->next].prev = t->prev;
	if (w->slot[level][s] == i)
		w->slot[level][s] = t->next;
}

/* Go to @tick, before which nothing fires; its slots of higher levels, which
 * begin now, are dealt out to the lower ones. */
static void go_to(struct wheel *w, uint64_t tick)
{
	w->tick = tick;
	for (unsigned int level = WHEEL_LEVELS - 1; level; level--) {
		unsigned int s = slot_of(tick, level);
		uint32_t i, last;

		if (!(w->busy[level] & 1ull << s))
			continue;
		w->busy[level] &= ~(1ull << s);
		i = w->slot[level][s];
		last = w->timer[i].prev;
		for (;;) {
			uint32_t next = w->timer[i].next;

			insert(w, i);
			if (i == last)
				break;
			i = next;
		}
	}
}

/* The first tick from the present on at which something fires or a slot of a
 * higher level begins.  Timers of a level wait right of the present one. */
static uint64_t next_tick(const struct wheel *w)
{
	for (unsigned int level = 0; level < WHEEL_LEVELS; level++) {
		unsigned int shift = level * SLOT_BITS, s;

		if (!w->busy[level])
			continue;
		s = (unsigned int)__builtin_ctzll(w->busy[level]);
		return (w->tick >> shift >> SLOT_BITS << SLOT_BITS | s) << shift;
	}
	return WHEEL_NEVER;
}

void wheel_init(struct wheel *w, struct wheel_timer *timers, uint32_t n, uint64_t now_us)
{
	memset(w, 0, sizeof(*w));
	w->timer = timers;
	w->n = n;
	w->tick = now_us / WHEEL_TICK_US;
	for (uint32_t i = 0; i < n; i++)
		timers[i].tick = WHEEL_NEVER;
}

void wheel_set(struct wheel *w, uint32_t i, uint64_t at_us)
{
	/* Rounded up: never early.  What is beyond the last level is never. */
	const uint64_t end = 1ull << (WHEEL_LEVELS * SLOT_BITS);
	uint64_t tick = at_us / WHEEL_TICK_US + !!(at_us % WHEEL_TICK_US);
	struct wheel_timer *t = &w->timer[i];

	if (t->tick != WHEEL_NEVER)
		take_out(w, i);
	t->tick = WHEEL_NEVER;
	if (tick >= end)
		return;
	t->tick = tick > w->tick ? tick : w->tick;
	insert(w, i);
}

uint32_t wheel_expire(struct wheel *w, uint64_t now_us)
{
	uint64_t now = now_us / WHEEL_TICK_US;

	for (;;) {
		uint64_t tick = next_tick(w);
		unsigned int s = slot_of(w->tick, 0);
		uint32_t i;

		if (w->busy[0] & 1ull << s) {
			if (w->tick > now)
				return WHEEL_NONE;
			i = w->slot[0][s];
			take_out(w, i);
			w->timer[i].tick = WHEEL_NEVER;
			return i;
		}
		if (tick > now)
			break;
		go_to(w, tick);
	}
	/* Nothing waits between: the slots that begin at the present are empty. */
	if (now > w->tick)
		go_to(w, now);
	return WHEEL_NONE;
}

uint64_t wheel_next_us(const struct wheel *w)
{
	uint64_t tick = next_tick(w);

	return tick == WHEEL_NEVER ? WHEEL_NEVER : tick * WHEEL_TICK_US;
}
