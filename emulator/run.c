/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * run.c - when to look, when to spin and when to sleep
 *
 * Sleeping and being woken by another core costs 40 to 45 us, a look at
 * everything with a sched_yield() about 1 us (DESIGN 12).  So after work we
 * look for SPIN_NS longer before we sleep, and a sleep that has to end at a
 * given ring time ends SLEEP_MARGIN_NS early; the rest is spun.  Yielding lets
 * whoever produces or consumes have this core meanwhile.  With nothing on the
 * ring and nobody at work we sleep until a descriptor is ready: 0 % CPU.
 *
 * No lost wake-up: what descriptors tell is level-triggered or stays pending
 * in epoll; ports are told that we sleep, and look once more, by ports_sleep().
 *
 * Runs in jetringd.
 */
#include <sched.h>

#include "common/clock.h"
#include "common/util.h"
#include "emulator/delayq.h"
#include "emulator/lab.h"
#include "emulator/loop.h"
#include "emulator/station.h"

#define SPIN_NS		30000u	/* after the last work; below a wake-up's cost */
#define SLEEP_MARGIN_NS	60000u	/* a timed sleep may come back so much too late */
#define LATE_NS		50000u	/* look at descriptors between frames if the ring is so late */
#define LOOK_NS		2000u	/* between looks at descriptors while we do not sleep */
#define RING_BURST	32	/* things the ring does before others have their turn */

/* Queues of ports that think we are awake. */
static bool poll_ports(void)
{
	bool any = false;

	for (int i = 0; i < JS_N_RING_IDS; i++) {
		if (!stations[i].used || !ports_poll(&stations[i]))
			continue;
		ring_kick(&stations[i]);
		any = true;
	}
	return any;
}

/*
 * Let the ring, and what waits behind it, do what is due.  *next_ns: when
 * either wants to be called again.
 * Return: whether it did anything
 */
static bool run_ring(uint64_t *next_ns)
{
	bool any = false;

	for (int i = 0; i < RING_BURST; i++) {
		uint64_t delayed_ns, now = now_ns();

		any |= station_serve(now);
		/* If we are late: what is due first, first. */
		delayed_ns = delayq_next();
		if (delayed_ns <= now && delayed_ns <= ring_arrival(&lab.ring)) {
			station_delayed(now);
			*next_ns = now;
			any = true;
			continue;
		}
		*next_ns = ring_step(&lab.ring, now);
		*next_ns = MIN(*next_ns, delayed_ns);
		if (*next_ns > now)
			return any;
		any = true;
		if (delayed_ns <= now)
			continue;
		/* A frame that starts and arrives now needs one clock reading. */
		*next_ns = ring_step(&lab.ring, now);
		delayed_ns = delayq_next();
		*next_ns = MIN(*next_ns, delayed_ns);
		if (*next_ns > now)
			return any;
		/* Late: there may be others who have waited for as long. */
		if (lab.ring.p.rate_bps && now - *next_ns > LATE_NS)
			break;
	}
	return any;
}

static bool ports_may_sleep(void)
{
	bool may = true;

	for (int i = 0; i < JS_N_RING_IDS && may; i++)
		if (stations[i].used)
			may = ports_sleep(&stations[i]);
	return may;
}

/* Sleep until a descriptor is ready or it is @until_ns. */
static void sleep_until(uint64_t until_ns)
{
	if (ports_may_sleep()) {
		uint64_t now = now_ns();

		if (until_ns == LOOP_FOREVER)
			loop_wait(LOOP_FOREVER);
		else if (until_ns > now)
			loop_wait(until_ns - now);
	}
	for (int i = 0; i < JS_N_RING_IDS; i++)
		if (stations[i].used)
			ports_wake(&stations[i]);
}

/* One look at everything, and a sleep if there was nothing: until @limit_ns at most. */
static void turn(uint64_t limit_ns)
{
	static uint64_t worked_ns, looked_ns;
	uint64_t ring_ns, timer_ns, now = now_ns();
	bool worked = false;

	if (now - looked_ns >= LOOK_NS) {
		worked = loop_wait(0);
		looked_ns = now;
	}
	timer_ns = loop_timers(now);
	worked |= poll_ports();
	/* Behind all that may ring_kick(): a kick is never slept over. */
	worked |= run_ring(&ring_ns);
	now = now_ns();
	if (worked) {
		worked_ns = now;
		return;
	}
	if (ring_ns != RING_IDLE)
		ring_ns -= MIN(ring_ns, SLEEP_MARGIN_NS);
	if (now - worked_ns < SPIN_NS || ring_ns <= now)
		sched_yield();
	else
		sleep_until(MIN(ring_ns, MIN(timer_ns, limit_ns)));
}

void run_loop(void)
{
	while (!lab.ending)
		turn(LOOP_FOREVER);
}

bool run_until(bool (*is_done)(void), uint64_t limit_ns)
{
	while (!is_done() && now_ns() < limit_ns)
		turn(limit_ns);
	return is_done();
}
