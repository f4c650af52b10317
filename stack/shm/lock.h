/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lock.h - the one lock of a stack (paper, 4.4.3)
 *
 * Coarse: whoever runs protocol code holds it.  It is for speed only;
 * correctness rests on commit.h.  The word holds the owner's thread id and,
 * while somebody sleeps, LOCK_WAITERS; it lies in memory that applications
 * can write, so nobody waits for it without bound: the child takes it from a
 * holder that is dead, or stopped for longer than LOCK_FENCE_US, and fences
 * that holder (commit.h).  A word that names the living for LOCK_FAULT_US, or
 * changes all the time, is no lock any more: then the stack is ended.
 *
 * futex is right on any machine.  Peterson's, semaphore's and Edwards' locks
 * of the paper go behind the same three calls.
 */
#ifndef STACK_SHM_LOCK_H
#define STACK_SHM_LOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "abi/shmseg.h"

enum lock_kind { LOCK_FUTEX };

#define LOCK_WAITERS	0x80000000u
#define LOCK_FENCE_US	20000	/* a holder stopped for longer is fenced */
#define LOCK_FAULT_US	5000000	/* one that runs, and keeps it for longer, is out of its mind */

/* What the word holds while the calling thread has the lock. */
uint32_t lock_self(void);

/**
 * lock_take() - Wait for the lock and take it
 * @me:		lock_self()
 *
 * Spins a little, then sleeps, for LOCK_FENCE_US in all: so that the end of
 * the stack is noticed, and a holder that is dead or stopped.
 * Context: application.  Not re-entrant.
 * Return: 0; -ENETDOWN if the stack has ended; -ETIME: somebody has it all the
 *	time, have the child look who (JS_WORK_LOCK) and try again
 */
int lock_take(struct js_stack_hdr *h, uint32_t me);

/* Take it if it is free. */
bool lock_try(struct js_stack_hdr *h, uint32_t me);

/* Nobody has robbed @me of it up to now. */
static inline bool lock_is_held(const struct js_stack_hdr *h, uint32_t me)
{
	return (atomic_load_explicit(&h->lock, memory_order_relaxed) & ~LOCK_WAITERS) == me;
}

/* Give it back.  False: it was not ours any more; we have been fenced. */
bool lock_release(struct js_stack_hdr *h, uint32_t me);

/**
 * lock_take_child() - The child's way: wait, but not for the dead or stopped
 * @owner:	Set to the thread that was robbed
 * Return: 0 taken; -EOWNERDEAD taken from a thread that is no more;
 *	-ETIME taken from a thread that is stopped; -ETIMEDOUT taken by force
 *	after LOCK_FAULT_US: the stack is to be ended
 */
int lock_take_child(struct js_stack_hdr *h, uint32_t *owner);

/* Take it, whoever has it. */
void lock_force(struct js_stack_hdr *h);

/* futex(2) on a word that processes share.  0 or -Exxx. */
int futex_wait(_Atomic uint32_t *word, uint32_t val, uint64_t timeout_us);	/* 0: for ever */
int futex_wake(_Atomic uint32_t *word, int n);

#endif
