/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reclaim.c - processes that died, or were stopped holding the lock
 *
 * The child.  What a process held is: the lock; its script queue; buffers.  The
 * first two are taken from it at once.  So is what it had given up: FREEs it
 * has published and that were not fetched, and what it left to us
 * (js_stack_hdr.left).
 *
 * Other buffers are found by subtraction, in a sweep: what jetringd says the
 * port owns, less what committed blocks and unread events reach.  Tx buffers
 * only of the queues of those that have ended: one that lives has some of its
 * own in a cache.  Rx buffers are nobody's own; under the lock, and when all
 * published FREEs were fetched, none is in between.  Those that a process was
 * to give back when it was killed, behind the commit, are found so; but of Tx
 * buffers that another's queue had allocated only when that other ends, too.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/util.h"
#include "stack/child/child_int.h"

#define FETCH_WAIT_US	500000	/* jetringd fetches what is published in this time, */
#define FETCH_SPIN_US	1000	/* in this if it runs: then we let others run, too */
#define SETTLE_US	1000	/* a sweep waits so long for FREEs to be fetched, */
#define SWEEP_AGAIN_US	5000	/* and is tried again then */

/* jetringd has fetched all that was published in queue @sq up to now, or does
 * so until @until. */
static bool is_fetched(const struct js_queue *sq, uint32_t tail, uint64_t until)
{
	uint64_t begin = now_us(), now;

	while ((int32_t)(atomic_load(&sq->fetched) - tail) < 0) {
		now = now_us();
		if (now > until)
			return false;
		if (now - begin < FETCH_SPIN_US)
			sched_yield();
		else
			usleep(FETCH_SPIN_US / 4);
	}
	return true;
}

void reclaim_wait_fetched(struct child *c)
{
	/* Once for each time that we hold the lock: many sockets may be
	 * released in it. */
	if (!c->fetch_until)
		c->fetch_until = now_us() + FETCH_WAIT_US;
	poolc_ring(&c->stk.pc);
	for (int i = 0; i < MAX_PROCS; i++) {
		const struct js_queue *sq = &c->stk.pc.sq[c->procs[i].queue];

		if (c->procs[i].used && !c->procs[i].fenced)
			is_fetched(sq, atomic_load(&sq->tail), c->fetch_until);
	}
}

/* --- buffers that processes gave up -------------------------------------------- */

/* Buffers to be FREEd. */
struct batch {
	struct child *c;
	unsigned int n;
	uint16_t ids[JS_PC_FREE_MAX];
};

/* By a request: our queue may have no room, either. */
static void batch_free(struct batch *b)
{
	if (b->n)
		poolc_free_bufs(&b->c->stk.pc, b->ids, b->n);
	b->n = 0;
}

static void batch_put(struct batch *b, uint16_t id)
{
	b->ids[b->n++] = id;
	if (b->n == ARRAY_SIZE(b->ids))
		batch_free(b);
}

static void batch_map(struct batch *b, unsigned int w, uint64_t map)
{
	for (; map; map &= map - 1)
		batch_put(b, (uint16_t)(w * 64 + (unsigned int)__builtin_ctzll(map)));
}

/* What stands in a place of js_stack_hdr.left; @forget: it is not to be
 * trusted, the sweep has found it or will. */
static void take_left(struct child *c, uint32_t place, bool forget)
{
	struct js_left *left = &c->stk.hdr->left[place];
	struct batch b = { .c = c };

	for (unsigned int w = 0; w < ARRAY_SIZE(left->map); w++) {
		uint64_t map = atomic_load_explicit(&left->map[w], memory_order_relaxed);

		if (map)
			map = atomic_exchange(&left->map[w], 0);
		if (!forget)
			batch_map(&b, w, map);
	}
	batch_free(&b);
}

void reclaim_left(struct child *c)
{
	/* Not before what was published first: it may send of them. */
	reclaim_wait_fetched(c);
	take_left(c, c->stk.place, false);
	for (int i = 0; i < MAX_PROCS; i++) {
		/* A fenced one may put there what is another's by now. */
		if (c->procs[i].used && !c->procs[i].fenced)
			take_left(c, PLACE(i), false);
	}
}

/* Nothing that it publishes is run any more; but what it had given up by then
 * it has given up.  @keep: it may still write there, and that must not be into
 * what another process is about to publish.  Lock held. */
static void close_queue(struct child *c, struct proc *p, bool keep)
{
	const struct js_queue *sq = &c->stk.pc.sq[p->queue];
	struct batch b = { .c = c };
	uint32_t at, tail;

	take_left(c, PLACE(p - c->procs), false);
	p->is_kept = keep && poolc_queue_stop(&c->stk.pc, p->queue) == 0;
	if (!keep)
		poolc_queue_revoke(&c->stk.pc, p->queue);
	/* The answer has come: what stands in fetched is final. */
	at = atomic_load(&sq->fetched);
	tail = atomic_load(&sq->tail);
	for (; at != tail && tail - at <= JS_QUEUE_OPS; at++) {
		const struct js_op *op = &sq->op[at % JS_QUEUE_OPS];
		unsigned int n = op->n;

		for (unsigned int k = 0; op->code == JS_OP_FREE && k < n && k < JS_OP_BUFS; k++)
			batch_put(&b, op->bufs[k]);
	}
	batch_free(&b);
}

void reclaim_let_queue(struct child *c, int i)
{
	struct proc *p = &c->procs[i];

	if (p->is_kept)
		poolc_queue_revoke(&c->stk.pc, p->queue);
	p->is_kept = false;
}

/* --- the sweep ------------------------------------------------------------------- */

typedef uint64_t buf_map[65536 / 64];

static bool is_queue_used(const struct child *c, uint32_t queue)
{
	for (int i = 0; i < MAX_PROCS; i++) {
		const struct proc *p = &c->procs[i];

		if (p->used && (p->queue == queue || (p->has_old && p->old_queue == queue)))
			return true;
	}
	return false;
}

void reclaim_want_sweep(struct child *c)
{
	c->want_sweep = true;
	c->sweep_us = 0;
}

/*
 * No FREE is under way, by us or by a process that lives: a buffer we find and
 * free would be freed twice, the second time from under somebody else.  A
 * queue that was closed, by us or by jetringd, is not fetched from any more.
 */
static bool frees_settled(struct child *c)
{
	uint64_t until = now_us() + SETTLE_US;

	if (!is_fetched(c->stk.q.sq, poolc_tail(&c->stk.q), until))
		return false;
	for (int i = 0; i < MAX_PROCS; i++) {
		const struct js_queue *sq = &c->stk.pc.sq[c->procs[i].queue];

		if (c->procs[i].used && !c->procs[i].fenced && atomic_load(&sq->epoch) & 1 &&
		    !is_fetched(sq, atomic_load(&sq->tail), until))
			return false;
	}
	return true;
}

/*
 * What the port owns and may be lost: all Rx buffers, and the Tx buffers that
 * the queues in @queues allocated; a process that lives has some of its own in
 * its cache.
 */
static void find_owned(struct child *c, uint32_t queues, uint64_t *map)
{
	static struct js_buf_own own[JS_PC_QUERY_MAX];
	int got;

	for (uint32_t first = 0; (got = poolc_query(&c->stk.pc, first, own)) > 0;
	     first += (uint32_t)got) {
		for (uint32_t i = 0; i < (uint32_t)got; i++) {
			uint32_t id = first + i;

			if (own[i].kind == 2 || (own[i].kind == 1 && queues >> own[i].queue & 1))
				map[id / 64] |= 1ull << id % 64;
		}
	}
}

/* Buffers that a committed block or an event that was not consumed reaches. */
static void find_reached(struct child *c, uint64_t *map)
{
	struct js_event ev;

	for (uint32_t n = 0; n < JS_N_EVENTS && poolc_event_look(&c->stk.pc, n, &ev); n++) {
		for (unsigned int k = 0; k < ev.n_buf; k++)
			map[ev.buf[k] / 64] |= 1ull << ev.buf[k] % 64;
	}
	for (uint32_t i = 0; i < c->max_sock; i++) {
		struct so_txn t;

		if (c->socks[i].kind != CK_FREE && so_begin(c->stk.mem, i, &t) == 0)
			so_mark_bufs(&t, map);
	}
}

/* And those that nobody FREEs before a fenced thread has come back. */
static void mark_held(const struct child *c, uint64_t *map)
{
	for (uint32_t i = 0; i < c->n_held; i++)
		map[c->held[i] / 64] |= 1ull << c->held[i] % 64;
}

void reclaim_sweep(struct child *c)
{
	static buf_map owned, reached;
	struct batch b = { .c = c };
	uint32_t queues = 0, n = 0;

	reclaim_left(c);
	poolc_publish(&c->stk.q);
	poolc_ring(&c->stk.pc);
	if (!frees_settled(c)) {
		c->sweep_us = now_us() + SWEEP_AGAIN_US;
		return;
	}
	c->want_sweep = false;
	for (uint32_t q = 0; q < JS_N_QUEUES; q++) {
		if (c->lost_queues >> q & 1 && !is_queue_used(c, q))
			queues |= 1u << q;
	}
	c->lost_queues &= ~queues;
	memset(owned, 0, sizeof(owned));
	memset(reached, 0, sizeof(reached));
	mark_held(c, reached);
	/* In this order: of what arrives meanwhile there is an event. */
	find_owned(c, queues, owned);
	find_reached(c, reached);
	for (unsigned int w = 0; w < ARRAY_SIZE(owned); w++) {
		uint64_t lost = owned[w] & ~reached[w];

		n += (uint32_t)__builtin_popcountll(lost);
		batch_map(&b, w, lost);
	}
	batch_free(&b);
	if (n)
		log_trace("%u buffers were nobody's any more", n);
}

/* --- what a fenced thread may still write into ------------------------------------ */

/* Of all processes, for stk_free(). */
static void list_held(struct child *c)
{
	c->n_held = 0;
	for (int i = 0; i < MAX_PROCS; i++) {
		for (unsigned int k = 0; k < c->procs[i].n_held; k++) {
			atomic_store(&c->stk.hdr->held[c->n_held], c->procs[i].held[k]);
			c->held[c->n_held++] = c->procs[i].held[k];
		}
	}
	atomic_store(&c->stk.hdr->n_held, c->n_held);
}

/* The last buffers of the socket that it was working on.  What follows them it
 * had allocated itself. */
static void hold(struct child *c, struct proc *p)
{
	uint32_t idx = atomic_load(&c->stk.hdr->lock_sock[PLACE(p - c->procs)]);
	struct so_txn t;

	p->n_held = 0;
	if (idx >= c->max_sock || so_begin(c->stk.mem, idx, &t))
		return;
	if (t.s.snd_tail != t.s.snd_head)
		p->held[p->n_held++] = t.s.snd_last.buf;
	if (t.s.rcv_tail != t.s.rcv_head)
		p->held[p->n_held++] = t.s.rcv_last.buf;
	list_held(c);
}

/* It has come back, or is gone: what it held is FREEd if it was given up
 * meanwhile, as nobody did (stk_free()), and no other holds it. */
static void let_go(struct child *c, struct proc *p)
{
	static buf_map reached;
	struct batch b = { .c = c };
	unsigned int n = p->n_held;

	p->n_held = 0;
	list_held(c);
	if (!n)
		return;
	memset(reached, 0, sizeof(reached));
	find_reached(c, reached);
	mark_held(c, reached);
	for (unsigned int k = 0; k < n; k++) {
		if (!(reached[p->held[k] / 64] >> p->held[k] % 64 & 1))
			batch_put(&b, p->held[k]);
	}
	batch_free(&b);
}

uint64_t reclaim_ooo(const struct child *c, uint32_t idx)
{
	uint64_t map = 0;

	for (int place = 0; place < JS_N_PLACES; place++) {
		if (c->ooo_retired[place][idx])
			map |= 1ull << (c->ooo_retired[place][idx] - 1);
	}
	return map;
}

/* What this process might still have written into may be used again. */
static void unretire(struct child *c, struct proc *p)
{
	uint32_t place = PLACE(p - c->procs);

	c->blocks.retired[place] = JS_BLOCK_NONE;
	let_go(c, p);
	/* Of sockets that are free conn_new() sees to it. */
	memset(c->ooo_retired[place], 0, sizeof(c->ooo_retired[place]));
	for (uint32_t k = 0; k < c->max_sock; k++)
		so_unretire(&c->stk.socks[k], reclaim_ooo(c, k));
}

/* --- processes ---------------------------------------------------------------------- */

/* The process of a thread, from /proc; 0 if it has gone. */
static pid_t tgid_of(uint32_t tid)
{
	char path[40], line[128];
	pid_t tgid = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%u/status", tid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	while (!tgid && fgets(line, sizeof(line), f))
		sscanf(line, "Tgid: %d", &tgid);
	fclose(f);
	return tgid;
}

/*
 * Look at every connection anew; lock held.  Whoever had the lock may have
 * committed and then not told anybody: not the deadline, not who sleeps on the
 * socket, not us that its state is another; nor published its segments.
 */
static void look_at_all(struct child *c)
{
	const unsigned int both = 1u << JS_WAIT_RX | 1u << JS_WAIT_TX;

	for (uint32_t k = 0; k < c->max_sock; k++) {
		if (c->socks[k].kind != CK_CONN)
			continue;
		conn_deadline(c, k);
		so_wakeup(&c->stk, k, both);
		so_tell_child(&c->stk, k);
	}
	c->want_scan = true;
}

/*
 * Who polls has asked for a token, and whoever was to tell us of it may have
 * taken the wish (js_sock.notify) and no more.  One too many harms nobody: who
 * polls looks at the state.
 */
static void wake_pollers(struct child *c)
{
	for (uint32_t k = 0; k < c->max_sock; k++) {
		if (c->socks[k].kind == CK_CONN)
			conn_token(c, k);
	}
}

/* The process that thread @tid is of; NULL: it has gone, or is not known. */
static struct proc *proc_of(struct child *c, uint32_t tid)
{
	pid_t pid = tgid_of(tid);

	for (int i = 0; pid && i < MAX_PROCS; i++) {
		if (c->procs[i].used && c->procs[i].pid == pid)
			return &c->procs[i];
	}
	return NULL;
}

/* Commits that were begun fail.  @may_run: who began one is at @place, and may
 * write all the same; but not into what is used from now on. */
static void fence_all(struct child *c, uint32_t place, bool may_run)
{
	uint16_t block;

	for (uint32_t i = 0; i < c->max_sock; i++) {
		uint64_t bit = c->socks[i].kind != CK_FREE ?
			so_fence(c->stk.mem, i, may_run) : 0;

		if (may_run && bit)
			c->ooo_retired[place][i] = (uint8_t)(1 + __builtin_ctzll(bit));
	}
	block = so_fence_spare(c->stk.mem, &c->blocks, may_run);
	if (block != JS_BLOCK_NONE)
		c->blocks.retired[place] = block;
}

void reclaim_robbed(struct child *c, uint32_t owner, bool may_run)
{
	struct proc *p = may_run ? proc_of(c, owner) : NULL;

	log_trace("lock taken from thread %u, %s", owner, may_run ? "stopped" : "dead");
	/* If it was fenced before, nobody in it has begun anything since: what
	 * it may write is known. */
	if (p && p->fenced)
		may_run = false;
	fence_all(c, p ? PLACE(p - c->procs) : 0, may_run);
	if (p && may_run) {
		/* Not sooner: if it runs again it may have committed until then,
		 * and given up what it was writing to. */
		hold(c, p);
		close_queue(c, p, true);
		p->fenced = true;
	}
	reclaim_want_sweep(c);
	look_at_all(c);
	wake_pollers(c);
}

void reclaim_back(struct child *c, int i, uint32_t queue)
{
	struct proc *p = &c->procs[i];

	/* Whoever is robbed by this is one more of the fenced. */
	child_lock(c);
	reclaim_let_queue(c, i);
	if (p->fenced)
		take_left(c, PLACE(i), true);
	else
		close_queue(c, p, false);
	/* If it did not take the last one, that was never used. */
	if (!p->has_old)
		p->old_queue = p->queue;
	p->has_old = true;
	p->queue = queue;
	p->fenced = false;
	unretire(c, p);
	look_at_all(c);		/* it may have written since, as if it had the lock */
	child_unlock(c);
	log_trace("process %d has come back, script queue %u instead of %u", (int)p->pid,
		  queue, p->old_queue);
}

void reclaim_old(struct child *c, int i)
{
	struct proc *p = &c->procs[i];

	if (!p->has_old)
		return;
	p->has_old = false;
	c->lost_queues |= 1u << p->old_queue;
	reclaim_want_sweep(c);
}

void reclaim_proc(struct child *c, int i)
{
	struct proc *p = &c->procs[i];

	child_unwatch(c, p->fd);
	close(p->fd);
	for (uint32_t k = 0; k < c->max_sock; k++) {
		if (c->socks[k].who == i)
			c->socks[k].who = -1;
	}
	/* If it died holding the lock, this robs it. */
	child_lock(c);
	/* A fenced one's was closed then. */
	if (p->fenced)
		take_left(c, PLACE(i), true);
	else
		close_queue(c, p, false);
	reclaim_let_queue(c, i);
	p->used = false;
	c->lost_queues |= 1u << p->queue;
	if (p->has_old)
		c->lost_queues |= 1u << p->old_queue;
	reclaim_want_sweep(c);
	unretire(c, p);
	so_part_blocks(c->stk.mem, &c->blocks);
	look_at_all(c);
	child_unlock(c);
}
