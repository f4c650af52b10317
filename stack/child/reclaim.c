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

void reclaim_robbed(struct child *c, uint32_t owner, bool may_run)
{
	pid_t pid = may_run ? tgid_of(owner) : 0;

	log_trace("lock taken from thread %u, %s", owner, may_run ? "stopped" : "dead");
	for (uint32_t i = 0; i < c->max_sock; i++) {
		if (c->socks[i].kind != CK_FREE)
			so_fence(&c->stk.socks[i], may_run);
	}
	for (int i = 0; may_run && i < MAX_PROCS; i++) {
		if (c->procs[i].used && c->procs[i].pid == pid) {
			poolc_queue_revoke(&c->stk.pc, c->procs[i].queue);
			c->procs[i].fenced = true;
		}
	}
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

/* Free the Tx buffers that queue @queue allocated and no block reaches; lock
 * held.  Our own FREEs must have been run first, or one would be freed twice
 * and the second time be somebody else's. */
static void reclaim_bufs(struct child *c, uint32_t queue)
{
	static struct js_buf_own own[JS_PC_QUERY_MAX];
	static uint64_t map[65536 / 64];
	uint64_t until = now_us() + FETCH_WAIT_US;
	uint16_t ids[JS_PC_FREE_MAX];
	unsigned int n = 0;
	int got;

	stk_flush(&c->stk);
	poolc_publish(&c->stk.q);
	poolc_ring(&c->stk.pc);
	while (atomic_load(&c->stk.q.sq->fetched) != poolc_tail(&c->stk.q)) {
		if (now_us() > until)
			return;		/* they stay the port's until it ends */
		sched_yield();
	}
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

void reclaim_proc(struct child *c, int i)
{
	struct proc *p = &c->procs[i];

	child_unwatch(c, p->fd);
	close(p->fd);
	p->used = false;
	poolc_queue_revoke(&c->stk.pc, p->queue);
	for (uint32_t k = 0; k < c->max_sock; k++) {
		if (c->socks[k].who == i)
			c->socks[k].who = -1;
	}
	/* If it died holding the lock, this robs it. */
	child_lock(c);
	reclaim_bufs(c, p->queue);
	for (uint32_t k = 0; k < c->max_sock; k++) {
		struct js_sock *so = &c->stk.socks[k];
		struct so_txn t;

		if (c->socks[k].kind != CK_CONN)
			continue;
		if (p->fenced)
			so_unretire(so);
		/* It may have died between commit and telling the deadline, or
		 * before its segments were published. */
		if (so_begin(so, &t) == 0)
			atomic_store(&so->deadline_us, tcp_poll_at(&t.tcb));
	}
	c->next_us = 0;		/* look at all of them */
	c->want_scan = true;
	child_unlock(c);
}
