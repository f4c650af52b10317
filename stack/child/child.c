/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * child.c - the child process: start and loop (paper, 4.4.1)
 *
 * Forked by the connection server for one application, lives until the last
 * socket of that application has been closed at both ends, whatever becomes
 * of the application.  Waits for packets, deadlines and messages; never
 * blocks on anything but that, and never for long on the stack's lock.
 */
#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/util.h"
#include "stack/child/child_int.h"

#define STACK_SIZE	(sizeof(struct js_stack_hdr) + JS_N_SOCKS * sizeof(struct js_sock))
#define TX_POOL_BUFS	8192	/* limit of the pool that Tx buffers are charged to: 32 MiB */
#define BATCH		64	/* events under one hold of the lock */
#define BURY_US		1000	/* look again whether a pool's last SEND has left */
#define STALL_US	60000000	/* no frame of ours left the ring: somebody wrote what says so */
#define SPIN_US		30	/* looked for more work before sleeping */

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

/* --- start --------------------------------------------------------------------- */

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
	struct js_stack_hdr *h = new_segment("jetstream-stack", STACK_SIZE, &c->stack_fd);
	struct js_guard_hdr *g = new_segment("jetstream-guard", sizeof(*g), &c->guard_fd);

	if (!h || !g)
		return -errno;
	h->magic = JS_STACK_MAGIC;
	h->version = JS_STACK_VERSION;
	h->size = STACK_SIZE;
	h->n_socks = JS_N_SOCKS;
	h->sock_off = sizeof(*h);
	h->lock_kind = LOCK_FUTEX;
	h->child_pid = (uint32_t)getpid();
	h->ring_id = c->stk.pc.ring_id;
	h->app_deadline_us = UINT64_MAX;
	g->magic = JS_GUARD_MAGIC;
	g->version = JS_STACK_VERSION;
	g->size = sizeof(*g);
	g->n_socks = JS_N_SOCKS;
	memset((void *)g->sock_by_pool, 0xff, sizeof(g->sock_by_pool));
	c->stk.hdr = h;
	c->stk.socks = (struct js_sock *)(h + 1);
	c->stk.guard = g;
	if (fcntl(c->stack_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return -errno;
	/* From here on nobody can map the guard for writing; we have. */
	if (fcntl(c->guard_fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SHRINK | F_SEAL_GROW |
		  F_SEAL_SEAL) < 0)
		return -errno;
	return 0;
}

static int make_tx_pool(struct child *c)
{
	struct js_pool_req req = {
		.stream = JS_STREAM_NO, .queues = 0xffff,
		.tx_limit = MIN(TX_POOL_BUFS, c->stk.pc.n_bufs / 2),
	};
	uint16_t pool;
	int err = poolc_pool_create(&c->stk.pc, &req, &pool, NULL);

	if (err)
		return err;
	c->stk.guard->tx_pool = pool;
	return bufcache_init(&c->stk.bc, &c->stk.q, pool, 0, 64);
}

static void raise_nofile(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) == 0) {
		rl.rlim_cur = rl.rlim_max;
		setrlimit(RLIMIT_NOFILE, &rl);
	}
}

/* No capability, no way back to one, nobody may look into our memory. */
static int drop_privileges(void)
{
	capng_clear(CAPNG_SELECT_BOTH);
	if (capng_apply(CAPNG_SELECT_BOTH) < 0)
		return -EPERM;
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	return 0;
}

static int start(struct child *c)
{
	int err;

	raise_nofile();
	c->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (c->epoll_fd < 0)
		return -errno;
	err = poolc_open(&c->stk.pc, c->args.port_sock, 0, 0);
	if (err)
		return err;
	err = poolc_queue_init(&c->stk.q, &c->stk.pc, 0);
	if (err)
		return err;
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
	err = child_watch(c, c->stk.pc.wake_fd, EPOLLIN, EP_WAKE, 0);
	if (!err)
		err = child_watch(c, c->kick_fd, EPOLLIN | EPOLLET, EP_KICK, 0);
	if (!err)
		err = child_watch(c, c->stk.pc.sock, EPOLLRDHUP, EP_WAKE, 1);
	if (err)
		return err;
	ctl_server_connect(c, now_us());
	err = drop_privileges();
	if (err)
		return err;
	return ctl_add_proc(c, c->args.user_fd, c->args.user_pid);
}

/* --- loop ------------------------------------------------------------------------ */

/* What applications left for us. */
static void do_work(struct child *c)
{
	struct js_stack_hdr *h = c->stk.hdr;
	uint32_t what = atomic_exchange(&h->child_work, 0);

	if (what & JS_WORK_EVENTS)
		c->want_scan = true;
	for (uint32_t w = 0; w < JS_N_SOCKS / 64; w++) {
		uint64_t map;

		if (!atomic_load_explicit(&h->work_map[w], memory_order_relaxed))
			continue;
		map = atomic_exchange(&h->work_map[w], 0);
		for (; map; map &= map - 1) {
			uint32_t idx = w * 64 + (uint32_t)__builtin_ctzll(map);

			if (what & JS_WORK_TOKENS)
				conn_token(c, idx);
			conn_review(c, idx);
		}
	}
}

/* One turn under the lock.  Whether anything happened. */
static bool turn(struct child *c)
{
	struct js_stack_hdr *h = c->stk.hdr;
	uint64_t app = atomic_exchange(&h->app_deadline_us, UINT64_MAX);
	uint64_t now = now_us();
	struct js_event ev;
	bool some = false;

	c->next_us = MIN(c->next_us, app);
	if (now < c->next_us && !c->want_scan && !c->n_dying && !atomic_load(&h->child_work) &&
	    !poolc_event_peek(&c->stk.pc, &ev))
		return false;
	child_lock(c);
	some = so_input_events(&c->stk, BATCH) > 0;
	if (atomic_load(&h->child_work)) {
		do_work(c);
		some = true;
	}
	if (c->want_scan)
		conn_scan_pending(c);
	/* Our own commits set deadlines too. */
	app = atomic_exchange(&h->app_deadline_us, UINT64_MAX);
	c->next_us = MIN(c->next_us, app);
	if (now >= c->next_us)
		conn_timers(c, now);
	child_unlock(c);
	conn_bury(c);
	return some;
}

static void dispatch(struct child *c, const struct epoll_event *ev)
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

/* Messages and hang-ups while we are busy. */
static void look_at_messages(struct child *c)
{
	struct epoll_event evs[32];
	int n = epoll_wait(c->epoll_fd, evs, ARRAY_SIZE(evs), 0);

	for (int i = 0; i < n; i++)
		dispatch(c, &evs[i]);
}

/* Of what an application can write there is some that we cannot go on
 * without.  Before we sleep, or nothing might ever wake us. */
static void look_for_faults(struct child *c)
{
	uint64_t now = now_us();
	uint32_t done = 0;

	if (poolc_queue_check(&c->stk.q) == -ESTALE || poolc_queue_broken(&c->stk.q, &done))
		child_fault(c, "our script queue is broken");
	else if (done != c->done_seen || done == poolc_tail(&c->stk.q))
		c->done_since_us = now;
	else if (now - c->done_since_us >= STALL_US)
		child_fault(c, "our script queue does not move");
	c->done_seen = done;
	if (poolc_events_broken(&c->stk.pc))
		child_fault(c, "the event queue is broken");
}

/*
 * Sleep until a packet, a message or a deadline.  Order: child_until_us,
 * then the last look at app_deadline_us; an application writes its deadline,
 * then looks at child_until_us and kicks.
 */
static void sleep_once(struct child *c)
{
	struct js_stack_hdr *h = c->stk.hdr;
	struct epoll_event evs[32];
	uint64_t until = c->next_us, now;
	struct timespec ts;
	bool forever;
	int n;

	if (c->server_fd < 0)
		until = MIN(until, c->server_retry_us);
	until = MIN(until, c->handover_us);
	if (c->done_seen != poolc_tail(&c->stk.q))
		until = MIN(until, c->done_since_us + STALL_US);
	if (c->n_dying)
		until = MIN(until, now_us() + BURY_US);
	atomic_store(&h->child_until_us, until);
	if (atomic_load(&h->app_deadline_us) < until || atomic_load(&h->child_work) ||
	    !poolc_sleep_prepare(&c->stk.pc)) {
		atomic_store(&h->child_until_us, 0);
		/* An application may see to it that this is always so. */
		if (++c->n_awake % 64 == 0)
			look_at_messages(c);
		return;
	}
	forever = until == UINT64_MAX;
	now = now_us();
	until = until > now ? until - now : 0;
	ts.tv_sec = (time_t)(until / 1000000);
	ts.tv_nsec = (long)(until % 1000000) * 1000;
	n = epoll_pwait2(c->epoll_fd, evs, ARRAY_SIZE(evs),
			 forever ? NULL : &ts, NULL);
	atomic_store(&h->child_until_us, 0);
	poolc_sleep_done(&c->stk.pc);
	for (int i = 0; i < n; i++)
		dispatch(c, &evs[i]);
}

static bool is_done(const struct child *c)
{
	for (int i = 0; i < MAX_PROCS; i++) {
		if (c->procs[i].used)
			return false;
	}
	return !c->n_socks && !c->n_dying;
}

/* Wake every sleeper: the stack has ended. */
static void end_stack(struct child *c)
{
	atomic_store(&c->stk.hdr->dead, ENETDOWN);
	for (uint32_t i = 0; i < JS_N_SOCKS; i++) {
		struct js_sock *so = &c->stk.socks[i];

		if (!(atomic_load(&so->gen) & 1))
			continue;
		for (int w = JS_WAIT_RX; w <= JS_WAIT_TX; w++) {
			atomic_fetch_add(&so->seq[w], 1);
			futex_wake(&so->seq[w], INT32_MAX);
		}
	}
	futex_wake(&c->stk.hdr->lock, INT32_MAX);
}

static void run(struct child *c)
{
	uint64_t idle_since = 0;
	unsigned int busy = 0;

	while (!is_done(c) && !c->ring_gone && !c->is_faulty && !poolc_closed(&c->stk.pc)) {
		uint64_t now;

		if (turn(c)) {
			idle_since = 0;
			if (++busy % 16 == 0)
				look_at_messages(c);
			continue;
		}
		now = now_us();
		if (c->server_fd < 0 && now >= c->server_retry_us)
			ctl_server_connect(c, now);
		if (now >= c->handover_us)
			conn_hand_over(c);
		if (!idle_since)
			idle_since = now;
		if (busy && now - idle_since < SPIN_US) {
			sched_yield();
			continue;
		}
		busy = 0;
		idle_since = 0;
		look_for_faults(c);
		if (!is_done(c) && !c->is_faulty)
			sleep_once(c);
	}
}

int child_main(const struct child_args *args)
{
	static char who[32];
	struct child *c = calloc(1, sizeof(*c));
	int err;

	if (!c)
		return 1;
	c->args = *args;
	c->server_fd = -1;
	c->next_us = c->handover_us = UINT64_MAX;
	snprintf(who, sizeof(who), "child n%d/%d", args->node, (int)args->user_pid);
	log_init(who, 2);
	prctl(PR_SET_NAME, "jet-child", 0, 0, 0);
	err = start(c);
	if (err) {
		struct cm_msg m = { .type = CM_INIT_REPLY, .version = CM_VERSION, .err = err };

		log_error("cannot start: %s", strerror(-err));
		cm_send(args->user_fd, &m, NULL, 0);
		return 1;
	}
	run(c);
	end_stack(c);
	log_trace("done");
	return 0;
}
