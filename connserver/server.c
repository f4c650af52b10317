/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * server.c - the connection server as a whole: start, loop, counters, end
 *
 * Runs in jetconnd.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/util.h"
#include "connserver/children.h"
#include "connserver/divert.h"
#include "connserver/flood.h"
#include "connserver/icmp.h"
#include "connserver/neighbours.h"
#include "connserver/resolve.h"
#include "connserver/spawn.h"
#include "connserver/syn.h"
#include "connserver/timewait.h"

#define EPOLL_BATCH	64
#define LEARN_US	500000	/* a new server's time to learn what children claim */

const char *const cs_counter_names[CS_N_COUNTERS] = {
	[CS_PACKETS]		= "packets",
	[CS_TO_KERNEL]		= "to_kernel",
	[CS_FORWARDED]		= "forwarded",
	[CS_SYNS]		= "syns",
	[CS_DIVERTED]		= "diverted",
	[CS_HELD]		= "held",
	[CS_SYNCOOKIES_SENT]	= "syncookies_sent",
	[CS_SYNCOOKIES_RECV]	= "syncookies_recv",
	[CS_SYNCOOKIES_FAILED]	= "syncookies_failed",
	[CS_LISTEN_OVERFLOWS]	= "listen_overflows",
	[CS_TIME_WAITS]		= "time_waits",
	[CS_TW_ANSWERED]	= "tw_answered",
	[CS_TW_REOPENED]	= "tw_reopened",
	[CS_TW_EVICTED]		= "tw_evicted",
	[CS_DROP_QUEUE_FULL]	= "drop_queue_full",
	[CS_DROP_PENDING_FULL]	= "drop_pending_full",
	[CS_DROP_NO_NEIGHBOUR]	= "drop_no_neighbour",
	[CS_DROP_BAD_RXVCI]	= "drop_bad_rxvci",
	[CS_DROP_MARTIAN]	= "drop_martian",
	[CS_DROP_CHANGED]	= "drop_changed",
	[CS_DROP_CHILD_FULL]	= "drop_child_full",
	[CS_DROP_CHILD_GONE]	= "drop_child_gone",
	[CS_DROP_EXPIRED]	= "drop_expired",
	[CS_DROP_REFUSED]	= "drop_refused",
	[CS_DROP_BAD_DIVERT]	= "drop_bad_divert",
	[CS_DROP_TIME_WAIT]	= "drop_time_wait",
	[CS_DROP_CHECKSUM]	= "drop_checksum",
	[CS_ICMP_TOLD]		= "icmp_told",
	[CS_ICMP_NOT_OURS]	= "icmp_not_ours",
	[CS_ICMP_BAD]		= "icmp_bad",
	[CS_ICMP_TOO_MANY]	= "icmp_too_many",
	[CS_MSGS]		= "msgs",
	[CS_MSG_BAD]		= "msg_bad",
	[CS_MSG_UNEXPECTED]	= "msg_unexpected",
	[CS_MSG_NO_FD]		= "msg_no_fd",
	[CS_MSG_NO_CRED]	= "msg_no_cred",
	[CS_MSG_BAD_VALUE]	= "msg_bad_value",
	[CS_MSG_STALE]		= "msg_stale",
	[CS_MSG_IN_USE]		= "msg_in_use",
	[CS_MSG_TABLE_FULL]	= "msg_table_full",
	[CS_MSG_LATE]		= "msg_late",
	[CS_SPAWNED]		= "spawned",
	[CS_SPAWN_LIMIT]	= "spawn_limit",
	[CS_SPAWN_FAILED]	= "spawn_failed",
	[CS_CHILD_NOT_ROOT]	= "child_not_root",
	[CS_CHILD_REFUSED]	= "child_refused",
	[CS_CHILD_DIED]		= "child_died",
};

void cs_log_counters(const struct cs_server *cs)
{
	int i;

	for (i = 0; i < CS_N_COUNTERS; i++)
		if (cs->count[i])
			log_info("%s %llu", cs_counter_names[i],
				 (unsigned long long)cs->count[i]);
}

/* --- watches -------------------------------------------------------------- */

int cs_watch_add(int epoll_fd, struct cs_watch *w, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = w };

	return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, w->fd, &ev) < 0 ? -errno : 0;
}

void cs_watch_close(int epoll_fd, struct cs_watch *w)
{
	if (w->fd < 0)
		return;
	/* Not left to close(): a forked child may have had a copy. */
	epoll_ctl(epoll_fd, EPOLL_CTL_DEL, w->fd, NULL);
	close(w->fd);
	w->fd = -1;
}

int cs_watch_run(struct cs_server *cs, int epoll_fd, int timeout_ms)
{
	struct epoll_event ev[EPOLL_BATCH];
	int i, n = epoll_wait(epoll_fd, ev, EPOLL_BATCH, timeout_ms);

	if (timeout_ms)
		cs->now_us = now_us();
	for (i = 0; i < n; i++) {
		struct cs_watch *w = ev[i].data.ptr;

		/* One before it in the list may have closed it. */
		if (w->fd >= 0)
			w->ready(cs, w, ev[i].events);
	}
	return n;
}

/* --- life ----------------------------------------------------------------- */

int cs_init(struct cs_server *cs, const struct cs_config *cfg)
{
	memset(cs, 0, sizeof(*cs));
	cs->cfg = *cfg;
	cs->now_us = now_us();
	cs->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	cs->children_fd = epoll_create1(EPOLL_CLOEXEC);
	cs->spare_fd = -1;
	cs->listen_w.fd = cs->signal_w.fd = cs->icmp_w.fd = cs->icmp6_w.fd = -1;
	cs->ports = cs_ports_new();
	cs->syn = cs_syn_new();
	cs->flood = cs_flood_new();
	cs->timewait = cs_timewait_new();
	cs->resolve = cs_resolve_new();
	cs->fo = cs_fastopen_new();
	cs->spawn = cs_spawn_new();
	if (cs->epoll_fd >= 0 && cs->children_fd >= 0 &&
	    cs->ports && cs->syn && cs->flood && cs->timewait && cs->resolve && cs->fo &&
	    cs->spawn &&
	    getrandom(cs->secret, sizeof(cs->secret), 0) == sizeof(cs->secret))
		return 0;
	cs_fini(cs);
	return -ENOMEM;
}

void cs_fini(struct cs_server *cs)
{
	cs_children_stop(cs);
	cs_spawn_free(cs->spawn);
	cs_fastopen_free(cs->fo);
	cs_resolve_free(cs->resolve);
	cs_timewait_free(cs->timewait);
	cs_flood_free(cs->flood);
	cs_syn_free(cs->syn);
	cs_ports_free(cs->ports);
	if (cs->children_fd >= 0)
		close(cs->children_fd);
	if (cs->epoll_fd >= 0)
		close(cs->epoll_fd);
}

static void signal_ready(struct cs_server *cs, struct cs_watch *w, uint32_t events)
{
	struct signalfd_siginfo si;

	(void)events;
	while (read(w->fd, &si, sizeof(si)) == (ssize_t)sizeof(si)) {
		if (si.ssi_signo == SIGCHLD)
			cs_spawn_reap(cs);
		else if (si.ssi_signo == SIGUSR1)
			cs_log_counters(cs);
		else
			cs->ending = true;
	}
}

static int start_signals(struct cs_server *cs, const char **what)
{
	sigset_t set;

	*what = "signalfd";
	/* A reader of our log that has gone must not end us. */
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGUSR1);
	if (sigprocmask(SIG_SETMASK, &set, NULL) < 0)
		return -errno;
	cs->signal_w = (struct cs_watch){
		.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), .ready = signal_ready,
	};
	if (cs->signal_w.fd < 0)
		return -errno;
	return cs_watch_add(cs->epoll_fd, &cs->signal_w, EPOLLIN);
}

/* A server of this node ran before us: its children may live, and what they
 * claim comes only when they have found us.  The lab's directory remembers. */
static void start_learning(struct cs_server *cs)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/n%d.connd", cs->cfg.run_dir, cs->cfg.node);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd >= 0)
		close(fd);
	else
		cs->hold_until_us = now_us() + LEARN_US;
}

int cs_start(struct cs_server *cs, const char **what)
{
	int err;

	cs->sink = &cs_divert_sink;
	cs->net = &cs_neigh_net;
	err = start_signals(cs, what);
	cs_fastopen_key();
	if (!err)
		err = cs_neigh_start(cs, what);
	if (!err)
		err = cs_children_start(cs, what);
	/* The port before the users' socket: who can reach us is served. */
	if (!err)
		err = cs_divert_start(cs, what);
	if (!err)
		err = cs_spawn_start(cs, what);
	if (err)
		return err;
	cs_icmp_start(cs);
	start_learning(cs);
	return err;
}

/* --- the loop ------------------------------------------------------------- */

void cs_timers(struct cs_server *cs)
{
	cs_resolve_timers(cs);
	cs_syn_timers(cs);
	cs_timewait_timers(cs);
}

/* Milliseconds for epoll_wait(), rounded up; -1 for ever. */
static int timeout_ms(const struct cs_server *cs)
{
	uint64_t at = MIN(MIN(cs_resolve_deadline(cs), cs_syn_deadline(cs)),
			  cs_timewait_deadline(cs));
	uint64_t now = now_us();

	if (at == UINT64_MAX)
		return -1;
	return at <= now ? 0 : (int)((at - now + 999) / 1000);
}

int cs_loop(struct cs_server *cs)
{
	while (!cs->ending) {
		int wait_ms = timeout_ms(cs);
		/* False: a packet is there already. */
		bool may_sleep = wait_ms && poolc_sleep_prepare(&cs->pc);

		if (cs_watch_run(cs, cs->epoll_fd, may_sleep ? wait_ms : 0) < 0 && errno != EINTR)
			return -errno;
		if (may_sleep)
			poolc_sleep_done(&cs->pc);
		cs->now_us = now_us();
		cs_divert_run(cs);
		cs_timers(cs);
		cs_divert_flush(cs);
		if (poolc_closed(&cs->pc))
			cs->ring_gone = cs->ending = true;
	}
	return cs->ring_gone ? -ENETDOWN : 0;
}

void cs_stop(struct cs_server *cs)
{
	/* In this order: no new users; IP_DIVERT back, with the claims still
	 * known; then the children, who go on without us. */
	cs_spawn_stop(cs);
	cs_divert_stop(cs);
	cs_children_stop(cs);
	cs_neigh_stop(cs);
	cs_icmp_stop(cs);
	cs_watch_close(cs->epoll_fd, &cs->signal_w);
	cs_log_counters(cs);
}
