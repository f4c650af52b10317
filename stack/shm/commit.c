/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * commit.c - private copies of control blocks, and making them live
 *
 * Application and child.  See commit.h for the order of events.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "stack/shm/commit.h"

static_assert(sizeof(struct tcpcb) <= JS_TCPCB_SIZE, "tcpcb fits its block");

#define SLOT(c)		((unsigned int)((c) & 0xff))
#define GEN(c)		((c) >> 8)
#define COMMIT(gen, slot) ((gen) << 8 | (slot))

/* The slot a commit that saw @seen writes: the first that is not retired, so
 * that the others' pages are not touched.  There is one: each process retires
 * one at most before it comes back. */
static unsigned int free_slot(const struct js_sock *so, uint64_t seen)
{
	uint32_t used = atomic_load_explicit(&so->retired, memory_order_relaxed);
	unsigned int slot;

	if (SLOT(seen) < JS_N_SLOTS)
		used |= 1u << SLOT(seen);
	slot = (unsigned int)__builtin_ctz(~(used & ((1u << JS_N_SLOTS) - 1)));
	/* Others can write what is retired: then anything will do. */
	return slot < JS_N_SLOTS ? slot : 0;
}

/* The same of ooo[]; -1 none. */
static int free_ooo(const struct js_sock *so, const struct js_so *s)
{
	uint64_t retired = atomic_load_explicit(&so->ooo_retired, memory_order_relaxed);

	for (int w = 0; w < JS_OOO_WORDS; w++) {
		uint64_t used = s->ooo_map[w] | retired;

		if (~used)
			return w * 64 + __builtin_ctzll(~used);
	}
	return -1;
}

/* Cursors and pieces of the socket buffers are within their rings. */
static bool so_sane(const struct js_so *s)
{
	uint32_t n_snd = s->snd_tail - s->snd_head;
	uint32_t n_rcv = s->rcv_tail - s->rcv_head;

	if (n_snd > JS_SND_ENTRIES || n_rcv > JS_RCV_ENTRIES)
		return false;
	if (s->snd_cc > n_snd * JS_BUF_SIZE || s->rcv_cc > n_rcv * JS_BUF_SIZE)
		return false;
	if (s->snd_head_off > JS_BUF_SIZE || s->rcv_head_off > JS_BUF_SIZE)
		return false;
	if (s->snd_hiwat > JS_SND_ENTRIES * JS_BUF_SIZE ||
	    s->rcv_hiwat > JS_RCV_ENTRIES * JS_BUF_SIZE)
		return false;
	return s->snd_last.off + s->snd_last.len <= JS_BUF_SIZE &&
	       s->rcv_last.off + s->rcv_last.len <= JS_BUF_SIZE;
}

int so_begin(struct js_sock *so, struct so_txn *t)
{
	struct tcp_view v;

	t->so = so;
	t->room = false;
	for (int tries = 0; ; tries++) {
		const struct js_block *b;

		/* load-acquire: pairs with the release of so_commit() */
		t->seen = atomic_load_explicit(&so->commit, memory_order_acquire);
		if (SLOT(t->seen) >= JS_N_SLOTS || tries == 1000)
			return -EUCLEAN;
		b = &so->slot[SLOT(t->seen)];
		memcpy(&t->tcb, b->tcpcb, sizeof(t->tcb));
		memcpy(&t->s, &b->so, sizeof(t->s));
		/* A reader without the lock may have been overtaken. */
		atomic_thread_fence(memory_order_acquire);
		if (atomic_load_explicit(&so->commit, memory_order_relaxed) == t->seen)
			break;
	}
	t->slot = free_slot(so, t->seen);
	t->ooo_slot = free_ooo(so, &t->s);
	t->fences = atomic_load_explicit(&so->fences, memory_order_relaxed);
	if (!so_sane(&t->s))
		return -EUCLEAN;
	v = (struct tcp_view){ .snd_cc = t->s.snd_cc };
	return tcp_check(&t->tcb, &v);
}

int so_commit(struct so_txn *t)
{
	struct js_sock *so = t->so;
	struct js_block *b = &so->slot[t->slot];
	uint64_t seen = t->seen;
	uint64_t next = COMMIT(GEN(seen) + 1, t->slot);

	/* Already lost: do not even write.  (A thread that is stopped behind
	 * this line and fenced then writes into a retired slot.) */
	if (atomic_load_explicit(&so->commit, memory_order_relaxed) != seen)
		return -ESTALE;
	memcpy(b->tcpcb, &t->tcb, sizeof(t->tcb));
	memcpy(&b->so, &t->s, sizeof(t->s));
	fault_here(FAULT_BEFORE_COMMIT);
	if (!atomic_compare_exchange_strong_explicit(&so->commit, &seen, next,
						     memory_order_release,
						     memory_order_relaxed))
		return -ESTALE;
	t->seen = next;
	t->slot = free_slot(so, next);
	t->ooo_slot = free_ooo(so, &t->s);
	fault_here(FAULT_AFTER_COMMIT);
	return 0;
}

void so_fence(struct js_sock *so, bool may_run)
{
	uint64_t seen = atomic_load_explicit(&so->commit, memory_order_acquire);
	uint32_t retire = may_run ? 1u << free_slot(so, seen) : 0;
	int ooo = may_run && SLOT(seen) < JS_N_SLOTS ?
		free_ooo(so, &so->slot[SLOT(seen)].so) : -1;

	while (!atomic_compare_exchange_weak_explicit(&so->commit, &seen,
						      COMMIT(GEN(seen) + 1, SLOT(seen)),
						      memory_order_acq_rel,
						      memory_order_acquire))
		;
	if (may_run) {
		atomic_fetch_or_explicit(&so->retired, retire, memory_order_relaxed);
		if (ooo >= 0)
			atomic_fetch_or_explicit(&so->ooo_retired, 1ull << ooo % 64,
						 memory_order_relaxed);
		atomic_fetch_add_explicit(&so->fences, 1, memory_order_relaxed);
	}
}

void so_piece_put(struct so_txn *t, struct js_piece *at, struct js_piece p)
{
	typedef uint64_t __attribute__((may_alias)) word_t;
	/* acquire: the look at commit comes behind it */
	uint64_t new, old = __atomic_load_n((word_t *)at, __ATOMIC_ACQUIRE);

	p.off |= (uint16_t)(t->fences << 13);
	p.len |= (uint16_t)(t->fences >> 3 << 13);
	memcpy(&new, &p, sizeof(new));
	do {
		/* What we loaded may be another's, but if we were not fenced by
		 * now it is from before: then we write over that or not at all. */
		if (atomic_load_explicit(&t->so->commit, memory_order_relaxed) != t->seen)
			return;
		fault_here(FAULT_IN_QUEUE);
	} while (!__atomic_compare_exchange_n((word_t *)at, &old, new, false,
					      __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
}

void so_unretire(struct js_sock *so)
{
	atomic_store_explicit(&so->retired, 0, memory_order_relaxed);
	atomic_store_explicit(&so->ooo_retired, 0, memory_order_relaxed);
}

void so_init_block(struct js_sock *so, const struct tcpcb *tcb, const struct js_so *s)
{
	uint64_t seen = atomic_load_explicit(&so->commit, memory_order_acquire);
	unsigned int slot = free_slot(so, SLOT(seen) < JS_N_SLOTS ? seen : 0);

	memset(&so->slot[slot], 0, sizeof(so->slot[slot]));
	memcpy(so->slot[slot].tcpcb, tcb, sizeof(*tcb));
	memcpy(&so->slot[slot].so, s, sizeof(*s));
	atomic_store_explicit(&so->commit, COMMIT(GEN(seen) + 1, slot), memory_order_release);
}

/* --- fault points ----------------------------------------------------------- */

static enum fault fault_wanted;
static int fault_signal;
static _Atomic int fault_count;
static int fault_period, fault_left;

void fault_init(void)
{
	static const char *const names[] = {
		[FAULT_BEFORE_COMMIT] = "before-commit",
		[FAULT_AFTER_COMMIT] = "after-commit",
		[FAULT_AFTER_PUBLISH] = "after-publish",
		[FAULT_IN_QUEUE] = "in-queue",
		[FAULT_IN_COPY] = "in-copy",
	};
	const char *want = getauxval(AT_SECURE) ? NULL : getenv("JETSTREAM_FAULT");
	const char *times;

	fault_signal = SIGKILL;
	if (want && !strncmp(want, "stop-", 5)) {
		fault_signal = SIGSTOP;
		want += 5;
	}
	for (unsigned int f = FAULT_BEFORE_COMMIT; want && f < FAULT_N; f++) {
		size_t len = strlen(names[f]);

		if (strncmp(want, names[f], len) || (want[len] && want[len] != ':'))
			continue;
		fault_period = want[len] ? atoi(want + len + 1) : 1;
		times = want[len] ? strchr(want + len + 1, ':') : NULL;
		fault_left = times ? atoi(times + 1) : 1;
		atomic_store(&fault_count, fault_period);
		fault_wanted = (enum fault)f;
	}
}

void fault_here(enum fault f)
{
	if (__builtin_expect(fault_wanted != f, 1) || atomic_fetch_sub(&fault_count, 1) != 1)
		return;
	if (--fault_left > 0)
		atomic_store(&fault_count, fault_period);
	raise(fault_signal);
}
