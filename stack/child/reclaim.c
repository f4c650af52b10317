/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reclaim.c - processes that died, or were stopped holding the lock
 *
 * The child.  What a process held is: the lock; its script queue; buffers it
 * had taken from jetringd and not yet put in a committed queue.  The first
 * two are taken from it at once.  The last are found by subtraction: what
 * jetringd says its queue allocated, less what committed blocks reach.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "stack/child/child_int.h"

#define FETCH_WAIT_US	20000	/* jetringd fetches our FREEs in this time */

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

void reclaim_robbed(struct child *c, uint32_t owner, bool may_run)
{
	pid_t pid = may_run ? tgid_of(owner) : 0;

	log_trace("lock taken from thread %u, %s", owner, may_run ? "stopped" : "dead");
	for (uint32_t i = 0; i < c->max_sock; i++) {
		if (c->socks[i].kind != CK_FREE)
			so_fence(&c->stk.socks[i], may_run);
	}
	for (int i = 0; may_run && i < MAX_PROCS; i++) {
		if (c->procs[i].used && c->procs[i].pid == pid && !c->procs[i].fenced) {
			poolc_queue_revoke(&c->stk.pc, c->procs[i].queue);
			c->procs[i].fenced = true;
		}
	}
	look_at_all(c);
}

/* Buffers that some committed block, our cache or an unread event reaches. */
static void mark_reached(struct child *c, uint64_t *map)
{
	for (uint32_t i = 0; i < c->max_sock; i++) {
		struct so_txn t;

		if (c->socks[i].kind != CK_FREE && so_begin(&c->stk.socks[i], &t) == 0)
			so_mark_bufs(&c->stk.socks[i], &t, map);
	}
}

/* jetringd has fetched all that was published in queue @sq up to now, or does
 * so until @until. */
static bool is_fetched(const struct js_queue *sq, uint32_t tail, uint64_t until)
{
	while ((int32_t)(atomic_load(&sq->fetched) - tail) < 0) {
		if (now_us() > until)
			return false;
		sched_yield();
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

/*
 * No FREE is under way, by us or by a process that lives: a buffer we find and
 * free would be freed twice, the second time from under somebody else.  Those
 * of a fenced process come when it comes back.
 */
static bool frees_settled(struct child *c)
{
	uint64_t until = now_us() + FETCH_WAIT_US;
	uint32_t deferring = atomic_load(&c->stk.hdr->deferring);

	if (!is_fetched(c->stk.q.sq, poolc_tail(&c->stk.q), until))
		return false;
	for (int i = 0; i < MAX_PROCS; i++) {
		const struct proc *p = &c->procs[i];
		const struct js_queue *sq = &c->stk.pc.sq[p->queue];

		if (p->used && (p->fenced || deferring >> p->queue & 1 ||
				!is_fetched(sq, atomic_load(&sq->tail), until)))
			return false;
	}
	return true;
}

/* Free the Tx buffers that queue @queue allocated and no block reaches; lock
 * held. */
static void reclaim_bufs(struct child *c, uint32_t queue)
{
	static struct js_buf_own own[JS_PC_QUERY_MAX];
	static uint64_t map[65536 / 64];
	uint16_t ids[JS_PC_FREE_MAX];
	unsigned int n = 0;
	int got;

	stk_flush(&c->stk);
	poolc_publish(&c->stk.q);
	poolc_ring(&c->stk.pc);
	if (!frees_settled(c))
		return;		/* they stay the port's until it ends */
	memset(map, 0, sizeof(map));
	mark_reached(c, map);
	for (uint32_t first = 0; (got = poolc_query(&c->stk.pc, first, own)) > 0;
	     first += (uint32_t)got) {
		for (uint32_t i = 0; i < (uint32_t)got; i++) {
			uint32_t id = first + i;

			if (own[i].kind != 1 || own[i].queue != queue || map[id / 64] >> id % 64 & 1)
				continue;
			ids[n++] = (uint16_t)id;
			if (n == JS_PC_FREE_MAX) {
				poolc_free_bufs(&c->stk.pc, ids, n);
				n = 0;
			}
		}
	}
	if (n)
		poolc_free_bufs(&c->stk.pc, ids, n);
}

/* The fenced may write into slots as long as one of them has not come back. */
static void unretire(struct child *c)
{
	for (int i = 0; i < MAX_PROCS; i++) {
		if (c->procs[i].used && c->procs[i].fenced)
			return;
	}
	for (uint32_t k = 0; k < c->max_sock; k++)
		so_unretire(&c->stk.socks[k]);
}

static bool is_queue_used(const struct child *c, uint32_t queue)
{
	for (int i = 0; i < MAX_PROCS; i++) {
		if (c->procs[i].used && c->procs[i].queue == queue)
			return true;
	}
	return false;
}

void reclaim_back(struct child *c, int i, uint32_t queue)
{
	struct proc *p = &c->procs[i];

	/* Whoever is robbed by this is one more of the fenced. */
	child_lock(c);
	if (!p->fenced)
		poolc_queue_revoke(&c->stk.pc, p->queue);
	atomic_fetch_and(&c->stk.hdr->deferring, ~(1u << p->queue));
	/* If it did not take the last one, that was never used. */
	if (!p->has_old)
		p->old_queue = p->queue;
	p->has_old = true;
	p->queue = queue;
	p->fenced = false;
	unretire(c);
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
	child_lock(c);
	if (!is_queue_used(c, p->old_queue))
		reclaim_bufs(c, p->old_queue);
	child_unlock(c);
}

void reclaim_proc(struct child *c, int i)
{
	struct proc *p = &c->procs[i];

	child_unwatch(c, p->fd);
	close(p->fd);
	p->used = false;
	/* A fenced one's was revoked then, and may be another's by now. */
	if (!p->fenced)
		poolc_queue_revoke(&c->stk.pc, p->queue);
	for (uint32_t k = 0; k < c->max_sock; k++) {
		if (c->socks[k].who == i)
			c->socks[k].who = -1;
	}
	/* If it died holding the lock, this robs it. */
	child_lock(c);
	atomic_fetch_and(&c->stk.hdr->deferring, ~(1u << p->queue));
	if (!is_queue_used(c, p->queue))
		reclaim_bufs(c, p->queue);
	if (p->has_old && !is_queue_used(c, p->old_queue))
		reclaim_bufs(c, p->old_queue);
	unretire(c);
	look_at_all(c);
	child_unlock(c);
}
