/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pd_time.c - the clock, and who may run
 *
 * packetdrill has two threads: the main one, which sniffs packets, and one for
 * calls that block.  Virtual time passes while one of them waits for the time
 * of an event, while the main one waits for a packet, and while it blocks in a
 * call.  Before any time passes, everybody who sleeps has looked at what the last moment brought, and who woke up has come
 * back with its next call (which asks for the time): otherwise time would run
 * away from a thread the machine has not scheduled yet.
 *
 * Takes the lock: pd_enter().
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "common/clock.h"
#include "common/util.h"
#include "stack/api/api.h"
#include "stack/packetdrill/pd.h"

#define START_US	1000000000	/* virtual time begins here; any would do, but 0 */
#define RETURN_S	2		/* real: a woken thread that does not come back was not ours to wait for */

/* Replaced by the linker: see the Makefile. */
uint64_t __wrap_now_us(void);
uint64_t __wrap_now_ns(void);
uint64_t __wrap_real_us(uint64_t at_us);
uint64_t __real_now_us(void);
int __wrap_futex_wait(_Atomic uint32_t *word, uint32_t val, uint64_t timeout_us);
int __wrap_usock_wait(struct usock *u, int which, uint32_t seq, uint64_t deadline);

struct sleeper {
	struct sleeper *next;
	uint64_t deadline;
	uint32_t seen;		/* changes, when it looked last */
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t moved;	/* changes, sleepers, n_returning, now */
	pthread_t driver;
	bool is_real;
	uint64_t now;		/* virtual */
	uint32_t changes;
	struct sleeper *sleepers;
	unsigned int n_returning;
	uint32_t pardons;	/* times that we gave up waiting for one */
} clk = { .lock = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER };

/* This thread has slept; is on its way back to packetdrill. */
static __thread bool has_slept, is_returning;
static __thread uint32_t my_pardons;

void pd_time_init(bool real)
{
	clk.driver = pthread_self();
	clk.is_real = real;
	clk.now = START_US;
	clk.n_returning = 0;
	clk.pardons++;
	has_slept = is_returning = false;
}

uint64_t pd_now(void)
{
	return clk.is_real ? __real_now_us() : clk.now;
}

uint64_t __wrap_now_us(void)
{
	return pd_now();
}

uint64_t __wrap_now_ns(void)
{
	return pd_now() * 1000;
}

/* packetdrill has no other clock. */
uint64_t __wrap_real_us(uint64_t at_us)
{
	return at_us;
}

void pd_enter(void)
{
	pthread_mutex_lock(&clk.lock);
	if (is_returning && my_pardons == clk.pardons) {
		clk.n_returning--;
		pthread_cond_broadcast(&clk.moved);
	}
	is_returning = false;
}

void pd_leave_quickly(void)
{
	if (has_slept && !pthread_equal(pthread_self(), clk.driver)) {
		is_returning = true;
		my_pardons = clk.pardons;
		clk.n_returning++;
	}
	has_slept = false;
	pthread_mutex_unlock(&clk.lock);
}

void pd_leave(void)
{
	int err = errno;	/* of the call that is over */

	if (pd_settle())
		pd_changed();
	pd_leave_quickly();
	errno = err;
}

void pd_changed(void)
{
	clk.changes++;
	pthread_cond_broadcast(&clk.moved);
}

static bool all_is_quiet(void)
{
	if (clk.n_returning)
		return false;
	for (const struct sleeper *s = clk.sleepers; s; s = s->next) {
		if (s->seen != clk.changes)
			return false;
	}
	return true;
}

/* Until nobody has anything to do at this moment. */
static void wait_for_quiet(void)
{
	struct timespec end;

	if (all_is_quiet())
		return;
	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += RETURN_S;
	while (!all_is_quiet()) {
		if (pthread_cond_timedwait(&clk.moved, &clk.lock, &end) == ETIMEDOUT) {
			clk.n_returning = 0;
			clk.pardons++;
			return;
		}
	}
}

/* The next moment at which anything is due. */
static uint64_t next_deadline(void)
{
	uint64_t next = pd_next_us();

	for (const struct sleeper *s = clk.sleepers; s; s = s->next)
		next = MIN(next, s->deadline);
	return next;
}

/* Real time: wait for a change, or until @end. */
static void real_wait(uint64_t end)
{
	uint64_t now = pd_now();
	struct timespec ts;

	if (end == UINT64_MAX) {
		pthread_cond_wait(&clk.moved, &clk.lock);
		return;
	}
	if (end <= now)
		return;
	clock_gettime(CLOCK_REALTIME, &ts);
	end -= now;
	ts.tv_sec += (time_t)(end / 1000000);
	ts.tv_nsec += (long)(end % 1000000) * 1000;
	if (ts.tv_nsec >= 1000000000) {
		ts.tv_nsec -= 1000000000;
		ts.tv_sec++;
	}
	pthread_cond_timedwait(&clk.moved, &clk.lock, &ts);
}

bool pd_step(uint64_t limit)
{
	uint32_t seen = clk.changes;
	uint64_t next;

	if (!clk.is_real)
		wait_for_quiet();
	/* Somebody else has done something meanwhile, sent a packet perhaps. */
	if (clk.changes != seen)
		return true;
	if (pd_settle()) {
		pd_changed();
		return true;
	}
	next = next_deadline();
	if (clk.is_real) {
		real_wait(MIN(next, limit));
		if (pd_settle())
			pd_changed();
		return pd_now() < limit;
	}
	if (next > limit || next == UINT64_MAX) {
		if (limit != UINT64_MAX)
			clk.now = MAX(clk.now, limit);
		return false;
	}
	clk.now = MAX(clk.now, next);
	pd_settle();
	pd_changed();
	return true;
}

void pd_tick(void)
{
	if (clk.is_real)
		return;
	if (clk.now + 1 < next_deadline())
		clk.now++;
	else
		pd_step(clk.now + 1);
}

/* Not the driver: somebody else moves the clock. */
static int follow(uint64_t deadline)
{
	struct sleeper me = { .next = clk.sleepers, .deadline = deadline, .seen = clk.changes };
	struct sleeper **at;

	clk.sleepers = &me;
	has_slept = true;
	pthread_cond_broadcast(&clk.moved);
	while (me.seen == clk.changes && pd_now() < deadline) {
		if (clk.is_real)
			real_wait(MIN(deadline, pd_next_us()));
		else
			pthread_cond_wait(&clk.moved, &clk.lock);
		if (clk.is_real && pd_settle())
			pd_changed();
	}
	for (at = &clk.sleepers; *at != &me; at = &(*at)->next)
		;
	*at = me.next;
	return me.seen == clk.changes ? -ETIMEDOUT : 0;
}

int pd_sleep(uint64_t deadline)
{
	if (pd_settle()) {
		pd_changed();
		return 0;
	}
	if (pd_now() >= deadline)
		return -ETIMEDOUT;
	if (pthread_equal(pthread_self(), clk.driver))
		return pd_step(deadline) ? 0 : -ETIMEDOUT;
	return follow(deadline);
}

/* Where a socket call sleeps. */
int __wrap_futex_wait(_Atomic uint32_t *word, uint32_t val, uint64_t timeout_us)
{
	uint64_t deadline = timeout_us ? pd_now() + timeout_us : UINT64_MAX;
	int err = 0;

	while (!err && atomic_load(word) == val)
		err = pd_sleep(deadline);
	return atomic_load(word) == val ? err : 0;
}

/* Without the spinning: it would last for ever. */
int __wrap_usock_wait(struct usock *u, int which, uint32_t seq, uint64_t deadline)
{
	uint64_t now = pd_now();

	if (deadline != NO_DEADLINE && now >= deadline)
		return -ETIMEDOUT;
	return so_wait(u->stk, u->sock, which, seq, deadline == NO_DEADLINE ? 0 : deadline - now);
}
