/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * turn.c - the stack a child serves, and one turn of serving it
 *
 * What does not care whether it runs in a process of its own: no sleeping, no
 * privileges.  child.c is that process; stack/packetdrill turns it by hand.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/util.h"
#include "stack/child/child_int.h"

#define TX_POOL_BUFS	8192	/* limit of the pool that Tx buffers are charged to: 32 MiB */
#define BATCH		64	/* events under one hold of the lock */
#define RINGS_BATCH	32	/* sockets, likewise */
#define RINGS_US	1000000	/* a socket that has been quiet for so long needs no memory for its queues */
#define RINGS_NAP_MAX_US 64000000

int child_watch(struct child *c, int fd, uint32_t events, unsigned int what, uint32_t idx)
{
	struct epoll_event ev = {
		.events = events, .data.u64 = (uint64_t)what << 32 | idx,
	};

	return epoll_ctl(c->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

void child_lock(struct child *c)
{
	uint32_t owner;
	int ret;

	c->fetch_until = 0;
	if (c->is_faulty) {
		lock_force(c->stk.hdr);
		return;
	}
	ret = lock_take_child(c->stk.hdr, &owner);
	if (ret)
		reclaim_robbed(c, owner, ret != -EOWNERDEAD);
	if (ret == -ETIMEDOUT)
		child_fault(c, "its lock is not let go");
}

void child_fault(struct child *c, const char *why)
{
	if (!c->is_faulty)
		log_warn("the stack is ended: %s", why);
	c->is_faulty = true;
}

void child_unwatch(struct child *c, int fd)
{
	/* Not left to close(): its user may have kept a copy, and then epoll
	 * would tell us of it for ever. */
	epoll_ctl(c->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

void child_unlock(struct child *c)
{
	lock_release(c->stk.hdr, lock_self());
	poolc_ring(&c->stk.pc);
}

/* --- the stack ----------------------------------------------------------------- */

static void *new_segment(const char *name, size_t size, int *fd)
{
	void *p;

	*fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (*fd < 0 || ftruncate(*fd, (off_t)size) < 0)
		return NULL;
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	return p == MAP_FAILED ? NULL : p;
}

static int make_segments(struct child *c)
{
	struct js_stack *st = new_segment("jetstream-stack", sizeof(*st), &c->stack_fd);
	struct js_guard_hdr *g = new_segment("jetstream-guard", sizeof(*g), &c->guard_fd);

	struct js_stack_hdr *h;

	if (!st || !g)
		return -errno;
	h = &st->hdr;
	h->magic = JS_STACK_MAGIC;
	h->version = JS_STACK_VERSION;
	h->size = sizeof(*st);
	h->n_socks = JS_N_SOCKS;
	h->sock_off = offsetof(struct js_stack, sock);
	h->lock_kind = LOCK_FUTEX;
	h->child_pid = (uint32_t)getpid();
	h->ring_id = c->stk.pc.ring_id;
	h->notsent_lowat = c->notsent_lowat;
	h->app_deadline_us = UINT64_MAX;
	g->magic = JS_GUARD_MAGIC;
	g->version = JS_STACK_VERSION;
	g->size = sizeof(*g);
	g->n_socks = JS_N_SOCKS;
	memset((void *)g->sock_by_pool, 0xff, sizeof(g->sock_by_pool));
	c->stk.mem = st;
	c->stk.hdr = h;
	c->stk.socks = st->sock;
	c->stk.guard = g;
	so_blocks_init(&c->blocks);
	c->rings_us = UINT64_MAX;
	if (fcntl(c->stack_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return -errno;
	/* From here on nobody can map the guard for writing; we have. */
	if (fcntl(c->guard_fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SHRINK | F_SEAL_GROW |
		  F_SEAL_SEAL) < 0)
		return -errno;
	return 0;
}

/* The pool of all Tx buffers, which takes no packet, and has the shared stream. */
static int make_tx_pool(struct child *c)
{
	struct js_pool_req req = {
		.stream = JS_STREAM_SHARED, .queues = 0xffff,
		.tx_limit = MIN((uint32_t)TX_POOL_BUFS, c->stk.pc.n_bufs / 2),
	};
	uint16_t pool;
	int err = poolc_pool_create(&c->stk.pc, &req, &pool, &c->shared_vci);

	/* The node has none left: we can still be the one who waits for it. */
	if (err == -ENOSPC) {
		c->shared_vci = JS_VCI_NONE;
		req.stream = JS_STREAM_NO;
		err = poolc_pool_create(&c->stk.pc, &req, &pool, NULL);
	}
	if (err)
		return err;
	c->stk.guard->tx_pool = pool;
	return bufcache_init(&c->stk.bc, &c->stk.q, pool, 0, 64);
}

int child_make_stack(struct child *c)
{
	int err = poolc_queue_init(&c->stk.q, &c->stk.pc, 0);

	wheel_init(&c->wheel, c->timers, JS_N_SOCKS, now_us());
	if (!err)
		err = make_segments(c);
	if (!err)
		err = make_tx_pool(c);
	if (err)
		return err;
	/* Not the port's wake eventfd: an application could fill that up and
	 * make jetringd's write block. */
	c->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->kick_fd < 0)
		return -errno;
	c->stk.kick_fd = c->kick_fd;
	c->stk.is_child = true;
	c->stk.ctx = c;
	c->stk.on_event = conn_event;
	c->stk.on_token = conn_token;
	c->stk.on_rxvci = conn_rxvci;
	c->stk.on_syn = fo_on_syn;
	c->stk.on_syn_ack = fo_on_syn_ack;
	c->stk.on_stray = conn_stray;
	return child_watch(c, c->kick_fd, EPOLLIN | EPOLLET, EP_KICK, 0);
}

/* --- a turn -------------------------------------------------------------------- */

/* What applications left for us. */
static void do_work(struct child *c)
{
	struct js_stack_hdr *h = c->stk.hdr;
	uint32_t what = atomic_exchange(&h->child_work, 0);

	if (what & JS_WORK_EVENTS)
		c->want_scan = true;
	if (what & JS_WORK_LEFT)
		reclaim_left(c);
	if (what & JS_WORK_SWEEP)
		reclaim_want_sweep(c);
	for (uint32_t w = 0; w < JS_N_SOCKS / 64; w++) {
		uint64_t map;

		if (!atomic_load_explicit(&h->work_map[w], memory_order_relaxed))
			continue;
		map = atomic_exchange(&h->work_map[w], 0);
		for (; map; map &= map - 1) {
			uint32_t idx = w * 64 + (uint32_t)__builtin_ctzll(map);

			if (what & JS_WORK_TOKENS)
				conn_token(c, idx);
			if (c->socks[idx].kind == CK_CONN)
				conn_deadline(c, idx);
			conn_review(c, idx);
		}
	}
}

/* --- rings ---------------------------------------------------------------------- */

/* Nothing is in them, nor will be soon. */
static bool are_rings_idle(struct child *c, uint32_t idx, uint64_t now)
{
	uint64_t any = 0;
	struct so_txn t;

	if (c->socks[idx].kind == CK_FREE || so_begin(c->stk.mem, idx, &t))
		return true;
	for (int w = 0; w < JS_OOO_WORDS; w++)
		any |= t.s.ooo_map[w];
	return t.s.snd_head == t.s.snd_tail && t.s.rcv_head == t.s.rcv_tail && !any &&
	       now - t.tcb.sent_us >= RINGS_US &&
	       (uint32_t)(now / 1000) - t.s.data_ms >= RINGS_US / 1000;
}

/*
 * Give back the memory of rings that are not needed.  Their entries are zeros
 * then.  A thread that was fenced writes into rings only over what it has seen
 * there, and that is not zero unless nobody has written there before.
 */
static void give_back_rings(struct child *c)
{
	unsigned int given = 0, left = 0;
	uint64_t now = now_us();	/* not before what was committed last */

	for (uint32_t idx = 0; idx < JS_N_SOCKS && given < RINGS_BATCH; idx++) {
		_Atomic uint64_t *map = &c->stk.hdr->rings_map[idx / 64];
		uint64_t bit = 1ull << idx % 64;

		if (!(atomic_load_explicit(map, memory_order_relaxed) & bit))
			continue;
		/* js_rings.stamp goes on where it was. */
		if (c->socks[idx].kind != CK_FREE &&
		    so_topt(&c->stk.socks[idx], JS_TOPT_TIMESTAMPING)) {
			left++;
			continue;
		}
		if (!are_rings_idle(c, idx, now)) {
			left++;
			continue;
		}
		atomic_fetch_and(map, ~bit);
		madvise(&c->stk.mem->rings[idx], sizeof(struct js_rings), MADV_REMOVE);
		given++;
	}
	/* What is in use now may be so for long. */
	c->rings_nap_us = given ? RINGS_US : MIN(2 * c->rings_nap_us, (uint64_t)RINGS_NAP_MAX_US);
	c->rings_us = given == RINGS_BATCH ? now : left ? now + c->rings_nap_us : UINT64_MAX;
}

void child_watch_rings(struct child *c)
{
	uint64_t any = 0;

	if (c->rings_us != UINT64_MAX)
		return;
	for (uint32_t w = 0; w < JS_N_SOCKS / 64; w++)
		any |= atomic_load_explicit(&c->stk.hdr->rings_map[w], memory_order_relaxed);
	if (!any)
		return;
	c->rings_nap_us = RINGS_US;
	c->rings_us = now_us() + RINGS_US;
}

bool child_turn(struct child *c)
{
	struct js_stack_hdr *h = c->stk.hdr;
	uint64_t app = atomic_exchange(&h->app_deadline_us, UINT64_MAX);
	uint64_t now = now_us();
	struct js_event ev;
	bool sweep = c->want_sweep && now >= c->sweep_us, some = false;

	c->next_us = MIN(c->next_us, app);
	if (now < c->next_us && now < c->rings_us && !c->want_scan && !sweep && !c->n_dying &&
	    !atomic_load(&h->child_work) && !poolc_event_peek(&c->stk.pc, &ev))
		return false;
	child_lock(c);
	some = so_input_events(&c->stk, BATCH) > 0;
	if (atomic_load(&h->child_work)) {
		do_work(c);
		some = true;
	}
	if (sweep)
		reclaim_sweep(c);
	if (c->want_scan)
		conn_scan_pending(c);
	/* Our own commits set deadlines too. */
	app = atomic_exchange(&h->app_deadline_us, UINT64_MAX);
	c->next_us = MIN(c->next_us, app);
	if (now >= c->next_us)
		conn_timers(c, now);
	if (now >= c->rings_us)
		give_back_rings(c);
	child_unlock(c);
	conn_bury(c);
	return some;
}

void child_dispatch(struct child *c, const struct epoll_event *ev)
{
	uint32_t idx = (uint32_t)ev->data.u64;

	switch (ev->data.u64 >> 32) {
	case EP_KICK:
		/* Edge-triggered, and never read: O_NONBLOCK belongs to the
		 * open file, an application could make the read block us. */
		break;
	case EP_SERVER:
		ctl_server_ready(c, ev->events);
		break;
	case EP_PROC:
		ctl_proc_ready(c, (int)idx, ev->events);
		break;
	case EP_ANCHOR:
		conn_anchor_ready(c, idx, ev->events);
		break;
	case EP_BINDPOINT:
		conn_bindpoint_ready(c, idx);
		break;
	default:
		/* EP_WAKE: the loop looks anyway.  Index 1 is the control
		 * socket, on which nothing comes unasked but its end. */
		if (idx == 1)
			c->ring_gone = true;
		break;
	}
}

int child_messages(struct child *c)
{
	struct epoll_event evs[32];
	int n = epoll_wait(c->epoll_fd, evs, ARRAY_SIZE(evs), 0);

	for (int i = 0; i < n; i++)
		child_dispatch(c, &evs[i]);
	return n > 0 ? n : 0;
}
