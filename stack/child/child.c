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
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "abi/aal5.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/util.h"
#include "stack/child/child_int.h"

#define BURY_US		1000	/* look again whether a pool's last SEND has left */
#define STALL_US	60000000	/* no frame of ours left the ring: somebody wrote what says so */
#define SPIN_US		30	/* looked for more work before sleeping */

/* --- start --------------------------------------------------------------------- */

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

/* A number of the node's net.ipv4: what is set there holds for both of its TCPs. */
static int node_sysctl(const char *name, int dflt)
{
	char path[64], text[16];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv4/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return dflt;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return dflt;
	text[n] = '\0';
	return (int)strtol(text, NULL, 10);	/* 2^32 - 1: -1 */
}

/* TCP_NOTSENT_LOWAT of sockets that do not set it; 0: no such bound. */
static uint32_t notsent_lowat(void)
{
	int v = node_sysctl("tcp_notsent_lowat", -1);

	return v > 0 ? (uint32_t)v : 0;	/* the kernel's default is 2^32 - 1 */
}

static void take_sysctls(struct child *c)
{
	struct tcp_config *w = &c->wishes;

	/* 0 never, 1 ask for it, 2, and whatever else it may mean, if asked */
	switch (node_sysctl("tcp_ecn", 2)) {
	case 0:
		w->ecn = TCP_ECN_OFF;
		break;
	case 1:
		w->ecn = TCP_ECN_ACTIVE;
		break;
	default:
		w->ecn = TCP_ECN_PASSIVE;
		break;
	}
	w->mtu_probing = (uint8_t)MIN(MAX(node_sysctl("tcp_mtu_probing", 0), 0),
				      (int)TCP_MTU_PROBING_ON);
	w->base_mss = (uint16_t)MIN(MAX(node_sysctl("tcp_base_mss", 0), 0), 65535);
	c->orphan_retries = (uint8_t)MIN(MAX(node_sysctl("tcp_orphan_retries", 0), 0), UINT8_MAX);
}

static int start(struct child *c)
{
	int err;

	raise_nofile();
	take_sysctls(c);
	c->notsent_lowat = notsent_lowat();
	c->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (c->epoll_fd < 0)
		return -errno;
	err = poolc_open(&c->stk.pc, c->args.port_sock, 0, 0);
	if (err)
		return err;
	err = child_make_stack(c);
	if (!err)
		err = child_watch(c, c->stk.pc.wake_fd, EPOLLIN, EP_WAKE, 0);
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
	child_watch_rings(c);
	until = MIN(until, c->rings_us);
	if (c->want_sweep)
		until = MIN(until, c->sweep_us);
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
			child_messages(c);
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
		child_dispatch(c, &evs[i]);
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

		if (child_turn(c)) {
			idle_since = 0;
			if (++busy % 16 == 0)
				child_messages(c);
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
	c->mtu = JS_MTU;
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
