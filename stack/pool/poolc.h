/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * poolc.h - pools from the client's side: ports, scripts, events, buffers
 *
 * Used in a child, in the connection server and in applications, and by other
 * protocols that are written on pools (installed as jetstream/pool.h).  What
 * goes over the control socket (poolc_open() to poolc_free_bufs()) is for the
 * port's opener.  An application has only the memory and the doorbell
 * (poolc_attach()): it can run scripts in its own queue and look at events.
 *
 *	struct poolc		one mapping of one port; its sizes are private
 *				copies, range-checked when it was mapped
 *	struct poolc_queue	producer's state of one script queue
 *	struct bufcache		free Tx buffers of one process (paper, 4.5.1)
 *
 * These structs are the caller's memory and private to one process.  Nothing
 * here allocates on the heap, has a global, or takes a lock: one queue, its
 * caches and the consuming of events are for one thread at a time.
 *
 * Whatever stands in the shared memory, no function here reads or writes
 * outside the mapping, returns a buffer id >= n_bufs, or loops without bound.
 *
 * A script:
 *	bufcache_get(&bc, ids, n, true);	buffers, rarely a crossing
 *	memcpy(poolc_buf(pc, ids[0]), …)
 *	poolc_send(&q, pool, 0, hdr, hdr_len, seg, n_seg);
 *	poolc_free(&q, old_ids, n_old);
 *	poolc_publish(&q);			now jetringd may see all of it
 *	poolc_ring(pc);				and does
 *
 * Return values: 0 or a count, else -Exxx.  -ENETDOWN: jetringd or the port
 * is gone.  -ESTALE: the queue was revoked or closed by jetringd.
 */
#ifndef STACK_POOL_POOLC_H
#define STACK_POOL_POOLC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/aal5.h"
#include "abi/pool.h"
#include "abi/portctl.h"
#include "abi/vci.h"

/* --- the port ------------------------------------------------------------- */

struct poolc {
	uint8_t *map;			/* the port's memory, shared; NULL: not mapped */
	size_t size;			/* octets of it */
	struct js_port_hdr *hdr;	/* = map */
	struct js_event *eq;
	struct js_queue *sq;
	uint8_t *buf;			/* buffer 0 */
	uint32_t n_events;		/* a power of two */
	uint32_t n_queues;
	uint32_t n_bufs;
	uint8_t ring_id;		/* of this node */
	int sock;			/* control socket; -1 in an application */
	int memfd;			/* the port's memory, to be passed on */
	int doorbell_fd;		/* eventfd, we write */
	int app_doorbell_fd;		/* opener: another, for those it passes the port on to */
	int wake_fd;			/* eventfd, we poll and read; -1: not given */
};

/* Open a port at @path (nK.sock).  @flags: JS_PORT_*; @n_bufs 0: jetringd's
 * default.  0, -ENETDOWN (nobody listens), -EACCES (not root), -EPROTO, … */
int poolc_open(struct poolc *pc, const char *path, uint32_t flags, uint32_t n_bufs);
/* Map a port somebody else opened.  Descriptors become ours on success (and
 * are closed by poolc_close()); @wake_fd may be -1.  0, -EPROTO, -errno. */
int poolc_attach(struct poolc *pc, int memfd, int doorbell_fd, int wake_fd);
/* Unmap, close.  Closing the last copy of sock ends the port. */
void poolc_close(struct poolc *pc);
/* 0, or -ENETDOWN once jetringd has closed the port or the ring has ended. */
int poolc_closed(const struct poolc *pc);

/* The 4096 octets of a buffer; NULL if @id is out of range. */
static inline uint8_t *poolc_buf(const struct poolc *pc, uint16_t id)
{
	return id < pc->n_bufs ? pc->buf + (size_t)id * JS_BUF_SIZE : NULL;
}

/* --- control: the opener only; each is one round trip to jetringd ----------- */

/* @req: zero what is not wanted.  Return 0; *pool and, if there is one, the
 * first RxVCI in *rxvci (may be NULL).  -ENOSPC: no stream; -EADDRINUSE: the
 * flow is taken (nothing was created). */
int poolc_pool_create(struct poolc *pc, const struct js_pool_req *req,
		      uint16_t *pool, js_vci_t *rxvci);
/* The same with a flow (req->has_flow).  @proof_fd: a kernel socket of the node
 * that is bound to the flow's dst and dport (abi/portctl.h), stays the
 * caller's; -1 in the connection server.  Also -EPERM: it proves nothing. */
int poolc_pool_create_flow(struct poolc *pc, const struct js_pool_req *req, int proof_fd,
			   uint16_t *pool, js_vci_t *rxvci);
/* @which: JS_PS_*.  0, -ENOENT, -EINVAL, -EPERM. */
int poolc_pool_set(struct poolc *pc, uint16_t pool, uint32_t which,
		   const struct js_pool_req *req);
int poolc_pool_destroy(struct poolc *pc, uint16_t pool);
/* @vci: a stream of this node, vci_make(pc->ring_id, stream), or a multicast
 * one; JS_STREAM_ANY: a free private stream.  *vci is set to what was bound. */
int poolc_vci_bind(struct poolc *pc, uint16_t pool, js_vci_t *vci);
int poolc_vci_unbind(struct poolc *pc, uint16_t pool, js_vci_t vci);
int poolc_rule_add(struct poolc *pc, uint16_t pool, const struct js_flow *flow, int proof_fd);
int poolc_rule_del(struct poolc *pc, const struct js_flow *flow);
/* A script queue for one more process.  Index (1 to n_queues - 1), -ENOSPC. */
int poolc_queue_open(struct poolc *pc);
/* Nothing that @idx's process publishes from now on is run; SENDs fetched
 * before go on.  When they have left, queue 0 is open again by itself (take it
 * with poolc_queue_init(), -ESTALE until then), others may be opened: numbers
 * are reused first-in first-out. */
int poolc_queue_revoke(struct poolc *pc, unsigned int idx);
/* The first half of that: the queue is nobody else's before it is revoked, for
 * its process may still write there. */
int poolc_queue_stop(struct poolc *pc, unsigned int idx);
/* Who owns buffers [first, first + n): 0 to JS_PC_QUERY_MAX entries written
 * to @own.  Return how many; 0: first is behind the last buffer. */
int poolc_query(struct poolc *pc, uint32_t first, struct js_buf_own own[JS_PC_QUERY_MAX]);
/* FREE over the control socket, any number.  -EPERM: some were not ours;
 * the others were freed. */
int poolc_free_bufs(struct poolc *pc, const uint16_t *bufs, unsigned int n);

/* --- scripts ------------------------------------------------------------------ */

#define POOLC_ALLOCS	8	/* ALLOCs of a queue whose result was not read yet, at most */

struct bufcache;

struct poolc_queue {
	struct poolc *pc;
	struct js_queue *sq;		/* shared */
	uint32_t idx;			/* of the queue */
	uint32_t epoch;			/* sq->epoch when we took it */
	uint32_t tail;			/* next slot to fill, absolute */
	uint32_t published;		/* what sq->tail was last set to */
	uint32_t done;			/* sq->done as last seen */
	uint32_t n_alloc;		/* ALLOCs in alloc[], oldest first */
	struct {
		uint32_t slot;		/* absolute */
		struct bufcache *bc;	/* gets the result; lives as long as the queue */
		uint16_t n;		/* buffers asked for */
	} alloc[POOLC_ALLOCS];
};

/* Take over queue @idx as its producer.  0, -EINVAL, -ESTALE (not open). */
int poolc_queue_init(struct poolc_queue *q, struct poolc *pc, unsigned int idx);
/* -ESTALE, -ENETDOWN or 0. */
int poolc_queue_check(const struct poolc_queue *q);

/* What is finished cannot be what we have published: others write there, too.
 * Else *@done is set to it. */
bool poolc_queue_broken(const struct poolc_queue *q, uint32_t *done);

/* Ops that can be pushed now, 0 to JS_QUEUE_OPS.  Reads results of ALLOCs. */
uint32_t poolc_space(struct poolc_queue *q);
/* The next slot, zeroed but for hdr, seg and bufs; NULL if there is none.
 * It counts when poolc_push() was called. */
struct js_op *poolc_op(struct poolc_queue *q);
void poolc_push(struct poolc_queue *q);

/* Whole ops, pushed but not published.  0, -EAGAIN no slot, -EINVAL. */
int poolc_send(struct poolc_queue *q, uint16_t pool, uint16_t flags,
	       const void *hdr, unsigned int hdr_len,
	       const struct js_seg *seg, unsigned int n_seg);
int poolc_send_raw(struct poolc_queue *q, uint16_t pool, js_vci_t vci, uint16_t uucpi,
		   const void *hdr, unsigned int hdr_len,
		   const struct js_seg *seg, unsigned int n_seg);
/* FREE of any number of buffers; takes (n + JS_OP_BUFS - 1) / JS_OP_BUFS
 * slots, -EAGAIN and nothing pushed if there are fewer. */
int poolc_free(struct poolc_queue *q, const uint16_t *bufs, unsigned int n);

/* Let jetringd see everything pushed.  Return: ops published. */
uint32_t poolc_publish(struct poolc_queue *q);
/* Ring the doorbell if jetringd sleeps.  Return: whether it was rung. */
bool poolc_ring(struct poolc *pc);

/* Absolute number of the op that is pushed next; it is finished, and its
 * buffers are not read any more, once poolc_is_done() of it. */
static inline uint32_t poolc_tail(const struct poolc_queue *q)
{
	return q->tail;
}
bool poolc_is_done(struct poolc_queue *q, uint32_t op);
/* Ask for JS_EV_SPACE when half the queue is free.  Return false if it is
 * already: no event will come. */
bool poolc_want_space(struct poolc_queue *q);

/* --- the buffer cache (paper, 4.5.1) -------------------------------------------- */

#define BUFCACHE_MAX	512	/* ids in a cache, at most */

struct bufcache {
	struct poolc_queue *q;		/* ALLOC and FREE go here */
	uint16_t pool;			/* buffers are charged to */
	uint16_t n;			/* ids in id[] */
	uint16_t low;			/* fewer: ask for more, without waiting */
	uint16_t high;			/* more: give back down to (low + high) / 2 */
	uint16_t asked;			/* in ALLOCs not answered yet */
	bool starved;			/* the last ALLOC got less than it asked for */
	uint8_t n_scattered;		/* portions that were no neighbours, since id[] was sorted */
	uint16_t id[BUFCACHE_MAX];	/* used as a stack of what was put together: the last is warm */
};

/* @low < @high <= BUFCACHE_MAX.  0, -EINVAL. */
int bufcache_init(struct bufcache *bc, struct poolc_queue *q, uint16_t pool,
		  unsigned int low, unsigned int high);
/**
 * bufcache_get() - Take up to @n free Tx buffers
 * @ids:	Written
 * @wait:	If there is none, run an ALLOC and wait for it, at most
 *		BUFCACHE_WAIT_US: the paper's ioctl() would have waited for
 *		the driver, too, also on a non-blocking socket.  First with
 *		sched_yield(), then asleep.  This publishes what was pushed
 *		before: commit first.
 * Below the low-water mark an ALLOC is pushed (not published: it goes with
 * the caller's next script).  Buffers come in the order in which they were
 * allocated or put: pieces of a SEND that are neighbours in memory are one to
 * the driver.
 * Return: 1 to @n; -EAGAIN none yet; -ENOBUFS limit of pool or node;
 * -ESTALE; -ENETDOWN
 */
int bufcache_get(struct bufcache *bc, uint16_t *ids, unsigned int n, bool wait);
#define BUFCACHE_WAIT_US	250000
/* Put buffers back.  One whose SEND may still be queued (poolc_is_done())
 * should be poolc_free()d instead, or it goes out with what is written next.
 * Above the high-water mark FREEs are pushed, not published.  Cannot fail:
 * what neither the cache nor the queue can take is returned as a count, and
 * is still the caller's (the last ones of @ids). */
unsigned int bufcache_put(struct bufcache *bc, const uint16_t *ids, unsigned int n);
/* Push FREEs for all but @keep buffers.  Return how many could not be. */
unsigned int bufcache_flush(struct bufcache *bc, unsigned int keep);

/* --- events -------------------------------------------------------------------- */

/* Copy the next event.  1; 0 none.  n_buf, buf[], sdu_len of a JS_EV_RX are in
 * range and agree with each other; one that does not is given as JS_EV_NONE,
 * without buffers: to be skipped. */
int poolc_event_peek(const struct poolc *pc, struct js_event *ev);
/* The same for the @n-th event that was not consumed; 0 is the next. */
int poolc_event_look(const struct poolc *pc, uint32_t n, struct js_event *ev);
/* An event was written, and what stands there is not it: somebody has broken
 * the queue, and nothing will ever be consumed again. */
bool poolc_events_broken(const struct poolc *pc);
/* Consume the event that was peeked.  False: somebody else did. */
bool poolc_event_done(struct poolc *pc, const struct js_event *ev);

/*
 * Sleeping: prepare; poll or epoll on wake_fd; done.  poolc_sleep_prepare()
 * returns false if there is an event already (and cancels itself).
 */
bool poolc_sleep_prepare(struct poolc *pc);
void poolc_sleep_done(struct poolc *pc);	/* also cancels; empties wake_fd */

/*
 * The same for a thread in a blocking call that does its own receive
 * processing (paper, section 7).  One leads at a time, from begin to end:
 *
 *	if (poolc_lead_begin(pc) == 0) {	-EBUSY: be a follower
 *		for (;;) {
 *			consume events; if it has what it wants: break
 *			if (poolc_lead_prepare(pc))	false: there is an event
 *				poolc_lead_wait(pc, timeout);
 *		}
 *		if (poolc_lead_end(pc))
 *			there is an event: promote a follower, or tell the child
 *	}
 *
 * While one leads, jetringd wakes nobody else, unless it consumes nothing for
 * some milliseconds.  A condition other than an event is checked between
 * prepare and wait; who makes it true calls poolc_lead_wake() after it.
 */
int poolc_lead_begin(struct poolc *pc);		/* 0, -EBUSY */
bool poolc_lead_prepare(struct poolc *pc);	/* like poolc_sleep_prepare() */
/* @timeout_us UINT64_MAX: none (so that SA_RESTART works).  0 woken,
 * -ETIMEDOUT, -EINTR. */
int poolc_lead_wait(struct poolc *pc, uint64_t timeout_us);
void poolc_lead_cancel(struct poolc *pc);	/* of a prepare, instead of wait */
bool poolc_lead_end(struct poolc *pc);		/* whether an event is waiting */
/* From any process: wake the leader if it sleeps.  Whether it did. */
bool poolc_lead_wake(struct poolc *pc);
/* The leader is dead: nobody leads any more. */
void poolc_lead_evict(struct poolc *pc);

#endif
