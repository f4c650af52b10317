/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lock.c - the one lock of a stack; application and child
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "stack/shm/lock.h"

#define SPINS		100	/* looks at the word before anything else */
#define YIELDS		10	/* then sched_yield(), the holder may be on our core */

int futex_wait(_Atomic uint32_t *word, uint32_t val, uint64_t timeout_us)
{
	struct timespec ts = {
		.tv_sec = (time_t)(timeout_us / 1000000),
		.tv_nsec = (long)(timeout_us % 1000000) * 1000,
	};

	if (syscall(SYS_futex, word, FUTEX_WAIT, val, timeout_us ? &ts : NULL, NULL, 0) == 0)
		return 0;
	return errno == EAGAIN ? 0 : -errno;
}

int futex_wake(_Atomic uint32_t *word, int n)
{
	long ret = syscall(SYS_futex, word, FUTEX_WAKE, n, NULL, NULL, 0);

	return ret < 0 ? -errno : (int)ret;
}

/* Our thread id.  fork() gives a thread a new one without telling us, so the
 * process id is compared; getpid() is cheap beside the work under the lock. */
uint32_t lock_self(void)
{
	static __thread struct { uint32_t tid; pid_t pid; } me;
	pid_t pid = getpid();

	if (me.pid != pid) {
		me.tid = (uint32_t)syscall(SYS_gettid);
		me.pid = pid;
	}
	return me.tid;
}

bool lock_try(struct js_stack_hdr *h, uint32_t me)
{
	uint32_t old = 0;

	return atomic_compare_exchange_strong_explicit(&h->lock, &old, me,
						       memory_order_acquire,
						       memory_order_relaxed);
}

/* Spin, yield.  True: taken. */
static bool take_soon(struct js_stack_hdr *h, uint32_t me)
{
	for (int i = 0; i < SPINS + YIELDS; i++) {
		if (!atomic_load_explicit(&h->lock, memory_order_relaxed) && lock_try(h, me))
			return true;
		if (i >= SPINS)
			sched_yield();
		else
			__builtin_ia32_pause();
	}
	return false;
}

/* One sleep for the lock; who wakes from it takes the lock with the waiters'
 * mark, because others may still sleep.  True: taken. */
static bool take_sleeping(struct js_stack_hdr *h, uint32_t me, uint32_t *seen)
{
	uint32_t word = atomic_load_explicit(&h->lock, memory_order_relaxed);

	while (!word) {
		if (atomic_compare_exchange_weak_explicit(&h->lock, &word,
							  me | LOCK_WAITERS,
							  memory_order_acquire,
							  memory_order_relaxed))
			return true;
	}
	if (!(word & LOCK_WAITERS)) {
		if (!atomic_compare_exchange_strong_explicit(&h->lock, &word,
							     word | LOCK_WAITERS,
							     memory_order_relaxed,
							     memory_order_relaxed))
			return false;
		word |= LOCK_WAITERS;
	}
	*seen = word;
	futex_wait(&h->lock, word, LOCK_FENCE_US);
	return false;
}

int lock_take(struct js_stack_hdr *h, uint32_t me)
{
	uint32_t seen;
	uint64_t since;

	if (take_soon(h, me))
		return 0;
	for (since = now_us(); !take_sleeping(h, me, &seen); ) {
		if (atomic_load_explicit(&h->dead, memory_order_relaxed))
			return -ENETDOWN;
		if (now_us() - since >= LOCK_FENCE_US)
			return -ETIME;
	}
	return 0;
}

bool lock_release(struct js_stack_hdr *h, uint32_t me)
{
	uint32_t word = me;

	/* store-release: what we wrote under the lock is seen by the next */
	if (atomic_compare_exchange_strong_explicit(&h->lock, &word, 0,
						    memory_order_release,
						    memory_order_relaxed))
		return true;
	if (word != (me | LOCK_WAITERS))
		return false;
	if (!atomic_compare_exchange_strong_explicit(&h->lock, &word, 0,
						     memory_order_release,
						     memory_order_relaxed))
		return false;
	futex_wake(&h->lock, 1);
	return true;
}

/* The state letter of a thread from /proc, 0 if it is no more. */
static char thread_state(uint32_t tid)
{
	char path[32], buf[512];
	const char *p;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%u/stat", tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	if (n <= 0)
		return 0;
	buf[n] = 0;
	p = strrchr(buf, ')');
	return p && p[1] == ' ' ? p[2] : 0;
}

static bool is_gone(char state)
{
	return !state || state == 'Z' || state == 'X';
}

void lock_force(struct js_stack_hdr *h)
{
	/* With the waiters' mark: whoever sleeps is woken when we release. */
	atomic_store_explicit(&h->lock, lock_self() | LOCK_WAITERS, memory_order_seq_cst);
}

int lock_take_child(struct js_stack_hdr *h, uint32_t *owner)
{
	uint32_t me = lock_self(), seen = 0;
	uint64_t since;

	if (take_soon(h, me))
		return 0;
	for (since = now_us(); now_us() - since < LOCK_FAULT_US; ) {
		uint32_t word;
		char state;

		if (take_sleeping(h, me, &seen))
			return 0;
		word = atomic_load_explicit(&h->lock, memory_order_relaxed);
		if ((word | LOCK_WAITERS) != seen || !word)
			continue;	/* it changed hands: wait for the next */
		*owner = word & ~LOCK_WAITERS;
		state = thread_state(*owner);
		if (!is_gone(state) && state != 'T' && state != 't')
			continue;	/* it runs, or will */
		if (atomic_compare_exchange_strong_explicit(&h->lock, &word,
							    me | LOCK_WAITERS,
							    memory_order_acquire,
							    memory_order_relaxed))
			return is_gone(state) ? -EOWNERDEAD : -ETIME;
	}
	*owner = seen & ~LOCK_WAITERS;
	lock_force(h);
	return -ETIMEDOUT;
}
