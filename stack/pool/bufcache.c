/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bufcache.c - free Tx buffers kept by a process (paper, 4.5.1)
 *
 * "When a buffer is requested, one is returned from the cache if possible.  If
 * not, a number of buffers are allocated in a single script and added to the
 * cache."  Here the number is asked for before the cache is empty, so that the
 * answer is there when it is needed: below the low-water mark an ALLOC goes
 * with the next script, and its answer is read in its slot (poolc_harvest()).
 * Above the high-water mark buffers are freed, for other users of the pool.
 *
 * Runs in applications and children.  Differs from the paper: refilling does
 * not wait; flushing is by high-water mark instead of by time, and bufcache_
 * flush() for the time of its caller's choosing.
 */
#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/ids.h"
#include "common/util.h"
#include "stack/pool/poolc_int.h"

#define BUFCACHE_YIELD_US	2000

/*
 * Push @n ids, the last one first: they are taken in the order they came, and
 * what came in order is mostly neighbours in memory, which the driver sends as
 * one piece.
 */
static void push_ids(struct bufcache *bc, const uint16_t *ids, unsigned int n)
{
	while (n)
		bc->id[bc->n++] = ids[--n];
}

int bufcache_init(struct bufcache *bc, struct poolc_queue *q, uint16_t pool,
		  unsigned int low, unsigned int high)
{
	if (low >= high || high > BUFCACHE_MAX)
		return -EINVAL;
	memset(bc, 0, sizeof(*bc));
	bc->q = q;
	bc->pool = pool;
	bc->low = (uint16_t)low;
	bc->high = (uint16_t)high;
	return 0;
}

void bufcache_take(struct bufcache *bc, const struct js_op *op, uint16_t status, unsigned int asked)
{
	uint16_t ids[JS_OP_BUFS];
	unsigned int i, n = 0, got = op->n;

	bc->asked = (uint16_t)(bc->asked - asked);
	if (status != JS_ST_DONE)
		got = 0;
	if (got > asked)
		got = asked;
	bc->starved = got < asked;
	memcpy(ids, op->bufs, got * sizeof(ids[0]));
	/* The copy is what is checked and kept. */
	atomic_signal_fence(memory_order_seq_cst);
	/* There is room: put counts what was asked for as if it were there. */
	for (i = 0; i < got; i++)
		if (ids[i] < bc->q->pc->n_bufs)
			ids[n++] = ids[i];
	push_ids(bc, ids, MIN(n, BUFCACHE_MAX - (unsigned int)bc->n));
}

/* Push an ALLOC that fills the cache half way between its marks, and @n more
 * if it can.  False: no slot, or nothing to ask for. */
static bool ask(struct bufcache *bc, unsigned int n)
{
	struct poolc_queue *q = bc->q;
	unsigned int want = MIN((bc->low + bc->high + 1u) / 2 + n, (unsigned int)BUFCACHE_MAX);
	struct js_op *op;

	if (bc->n + bc->asked >= want || q->n_alloc == POOLC_ALLOCS)
		return false;
	want = MIN(want - bc->n - bc->asked, (unsigned int)JS_OP_BUFS);
	op = poolc_op(q);
	if (!op)
		return false;
	op->code = JS_OP_ALLOC;
	op->pool = bc->pool;
	op->n = (uint16_t)want;
	q->alloc[q->n_alloc].slot = q->tail;
	q->alloc[q->n_alloc].bc = bc;
	q->alloc[q->n_alloc].n = (uint16_t)want;
	q->n_alloc++;
	bc->asked = (uint16_t)(bc->asked + want);
	poolc_push(q);
	return true;
}

/* An id that is there twice, which is a hostile sharer's doing, is so once. */
static void sort(struct bufcache *bc)
{
	struct id_set set = { 0 };

	for (unsigned int i = 0; i < bc->n; i++)
		id_set_add(&set, bc->id[i]);
	bc->n = (uint16_t)id_set_list(&set, bc->id);
	bc->n_scattered = 0;
}

static unsigned int take(struct bufcache *bc, uint16_t *ids, unsigned int n)
{
	unsigned int i, got;

	if (bc->n_scattered >= IDS_SCATTERED)
		sort(bc);
	got = MIN(n, (unsigned int)bc->n);
	for (i = 0; i < got; i++)
		ids[i] = bc->id[--bc->n];
	bc->n_scattered = (uint8_t)(bc->n_scattered + ids_scattered(ids, got));
	return got;
}

/* The driver has the crossing: give it the processor; if that does not help
 * for long, sleep, so that whoever has it can finish. */
static void let_it_run(uint64_t waited_us)
{
	const struct timespec nap = { .tv_nsec = 50000 };

	if (waited_us < BUFCACHE_YIELD_US)
		sched_yield();
	else
		nanosleep(&nap, NULL);
}

/* Run an ALLOC and wait for its answer, in the manner of the paper. */
static int get_now(struct bufcache *bc, uint16_t *ids, unsigned int n)
{
	uint64_t start = now_us();
	bool has_asked = bc->asked;
	int err;

	for (;;) {
		uint64_t waited;

		if (!has_asked)
			has_asked = ask(bc, n);
		if (poolc_publish(bc->q))
			poolc_ring(bc->q->pc);
		poolc_harvest(bc->q);
		if (bc->n)
			return (int)take(bc, ids, n);
		if (has_asked && !bc->asked)
			return -ENOBUFS;
		err = poolc_queue_check(bc->q);
		if (err)
			return err;
		waited = now_us() - start;
		if (waited >= BUFCACHE_WAIT_US)
			return -EAGAIN;
		let_it_run(waited);
	}
}

int bufcache_get(struct bufcache *bc, uint16_t *ids, unsigned int n, bool wait)
{
	unsigned int got;
	int err;

	if (!n)
		return 0;
	if (bc->asked)
		poolc_harvest(bc->q);
	got = take(bc, ids, n);
	/* A pool at its limit is asked again when somebody waits, or after
	 * something was put back. */
	if (bc->n < bc->low && !bc->starved)
		ask(bc, 0);
	if (got)
		return (int)got;
	if (wait)
		return get_now(bc, ids, n);
	err = poolc_queue_check(bc->q);
	if (err)
		return err;
	return bc->starved ? -ENOBUFS : -EAGAIN;
}

/* Push FREEs for the @n buffers that were not used for longest, in the order
 * in which they would have been taken. */
static bool give_back(struct bufcache *bc, unsigned int n)
{
	uint16_t ids[BUFCACHE_MAX];

	if (!n)
		return true;
	for (unsigned int i = 0; i < n; i++)
		ids[i] = bc->id[n - 1 - i];
	if (poolc_free(bc->q, ids, n) < 0)
		return false;
	bc->n = (uint16_t)(bc->n - n);
	memmove(bc->id, bc->id + n, bc->n * sizeof(bc->id[0]));
	return true;
}

unsigned int bufcache_put(struct bufcache *bc, const uint16_t *ids, unsigned int n)
{
	unsigned int left = n;

	bc->starved = false;
	while (left) {
		unsigned int room;

		if (bc->n + bc->asked >= BUFCACHE_MAX &&
		    !give_back(bc, bc->n > bc->low ? bc->n - bc->low : bc->n))
			break;
		/* All that is there may be on its way: then nothing fits. */
		if (bc->n + bc->asked >= BUFCACHE_MAX)
			break;
		room = MIN(left, BUFCACHE_MAX - (unsigned int)bc->n - bc->asked);
		push_ids(bc, ids + n - left, room);
		left -= room;
	}
	if (bc->n > bc->high)
		give_back(bc, bc->n - (bc->low + bc->high) / 2u);
	return left;
}

unsigned int bufcache_flush(struct bufcache *bc, unsigned int keep)
{
	if (bc->asked)
		poolc_harvest(bc->q);
	if (bc->n <= keep || give_back(bc, bc->n - keep))
		return 0;
	return bc->n - keep;
}
