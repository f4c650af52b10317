/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spawn.c - starts each node's jetconnd, and starts it again when it dies
 *
 * jetringd is the lab's root: what it starts ends with it (PR_SET_PDEATHSIG),
 * and one that dies is started again after BACKOFF_MIN_NS, twice as much each
 * time up to BACKOFF_MAX_NS, and BACKOFF_MIN_NS again once it has lived for
 * LIVED_NS.  A node without a namespace gets none.
 *
 * One that is to end is asked first (SIGTERM) and needs its port for that: it
 * gives IP_DIVERT back.  So nobody waits for it but the loop.
 *
 * Runs in jetringd.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/util.h"
#include "emulator/lab.h"

#define BACKOFF_MIN_NS	100000000ull
#define BACKOFF_MAX_NS	2000000000ull
#define LIVED_NS	10000000000ull
#define STOP_WAIT_NS	1000000000ull	/* from SIGTERM to SIGKILL */
#define GONE_WAIT_NS	3000000000ull	/* from SIGTERM on, for the last of all */
#define TIMERSLACK_NS	50000ul	/* the kernel's default */

enum connd_state {
	CONND_OFF,			/* not asked for, or the lab ends */
	CONND_RUNNING,
	CONND_ENDING,			/* asked to end; the timer kills it */
	CONND_BACKOFF,			/* died; the timer starts it again */
	CONND_MISSING,			/* there is no such program */
	CONND_N_STATES
};

static const char *const state_names[] = {
	[CONND_OFF] = "off",
	[CONND_RUNNING] = "running",
	[CONND_ENDING] = "ending",
	[CONND_BACKOFF] = "backoff",
	[CONND_MISSING] = "missing",
};

static_assert(ARRAY_SIZE(state_names) == CONND_N_STATES, "a name for each state");

/* A node's connection server, by Ring ID. */
static struct connd {
	enum connd_state state;
	struct loop_fd pidfd;		/* readable: it has died */
	struct loop_timer timer;	/* CONND_BACKOFF: start it again; CONND_ENDING: kill it */
	bool wanted;			/* CONND_ENDING: its node has come back, start another */
	pid_t pid;
	unsigned int n_restarts;
	uint64_t started_ns, backoff_ns;
} connds[JS_N_RING_IDS];

static void start(struct connd *c);

/*
 * In the new process: become jetconnd in the node's namespace, or exit.  What
 * it says goes to its log file from the first word on.
 */
static void __attribute__((noreturn)) become_connd(const struct station *s, pid_t parent)
{
	char node[8], port_sock[128], log_path[128];
	char *argv[] = {
		lab.connd, "--lab", lab.name, "--node", node, "--addr", lab.addr[s->ring_id],
		"--port-sock", port_sock, "--run", lab.run, NULL
	};
	sigset_t none;
	int null, log, ns;

	snprintf(node, sizeof(node), "%u", lab.node[s->ring_id]);
	snprintf(port_sock, sizeof(port_sock), "%s/%s.sock", lab.run, s->name);
	snprintf(log_path, sizeof(log_path), "%s/%s-connd.log", lab.run, s->name);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	log = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (null < 0 || log < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(log, 2) < 0)
		_exit(127);
	/* jetringd may have died before prctl(): nobody would tell us. */
	if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != parent)
		_exit(127);
	ns = open(s->netns, O_RDONLY | O_CLOEXEC);
	if (ns < 0 || setns(ns, CLONE_NEWNET) < 0) {
		log_error("cannot enter %s: %s", s->netns, strerror(errno));
		_exit(127);
	}
	/* It shall have neither our ignored signals nor our precise timers. */
	prctl(PR_SET_TIMERSLACK, TIMERSLACK_NS);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
	signal(SIGBUS, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execv(lab.connd, argv);
	log_error("cannot run %s: %s", lab.connd, strerror(errno));
	_exit(127);
}

static struct station *station_of(const struct connd *c)
{
	return &stations[c - connds];
}

/* Start it again later, and later still the next time. */
static void back_off(struct connd *c)
{
	uint64_t now = now_ns();

	if (!c->backoff_ns || now - c->started_ns > LIVED_NS)
		c->backoff_ns = BACKOFF_MIN_NS;
	c->state = CONND_BACKOFF;
	loop_timer_set(&c->timer, now + c->backoff_ns);
	c->backoff_ns = MIN(c->backoff_ns * 2, BACKOFF_MAX_NS);
}

/* Its pidfd is readable: collect it. */
static void died(struct loop_fd *lf, uint32_t events)
{
	struct connd *c = container_of(lf, struct connd, pidfd);
	const char *name = station_of(c)->name;
	pid_t pid = c->pid;
	int status;

	(void)events;
	if (waitpid(c->pid, &status, WNOHANG) != c->pid)
		return;
	loop_del(lf);
	close(lf->fd);
	lf->fd = -1;
	c->pid = 0;
	if (c->state == CONND_ENDING) {
		loop_timer_del(&c->timer);
		c->state = CONND_OFF;
		if (c->wanted)
			start(c);
		return;
	}
	if (WIFSIGNALED(status))
		log_warn("%s: jetconnd (%d) was killed by signal %d, starting it again", name,
			 (int)pid, WTERMSIG(status));
	else
		log_warn("%s: jetconnd (%d) exited with status %d, starting it again", name,
			 (int)pid, WEXITSTATUS(status));
	back_off(c);
}

/* The timer has fired. */
static void on_timer(struct loop_timer *lt, uint64_t now)
{
	struct connd *c = container_of(lt, struct connd, timer);

	(void)now;
	if (c->state == CONND_ENDING) {
		log_warn("n%u: jetconnd (%d) did not end, killed", lab.node[c - connds], (int)c->pid);
		kill(c->pid, SIGKILL);
		return;
	}
	c->n_restarts++;
	start(c);
}

static void start(struct connd *c)
{
	struct station *s = station_of(c);
	pid_t parent = getpid();

	c->timer.fire = on_timer;
	c->started_ns = now_ns();
	c->wanted = false;
	if (access(lab.connd, X_OK) < 0) {
		if (c->state != CONND_MISSING)
			log_error("%s: cannot start jetconnd: %s: %s", s->name, lab.connd,
				  strerror(errno));
		c->state = CONND_MISSING;
		return;
	}
	c->pid = fork();
	if (c->pid == 0)
		become_connd(s, parent);
	if (c->pid < 0) {
		log_error("%s: cannot start jetconnd: %s", s->name, strerror(errno));
		c->pid = 0;
		back_off(c);
		return;
	}
	c->state = CONND_RUNNING;
	c->pidfd.ready = died;
	c->pidfd.fd = (int)syscall(SYS_pidfd_open, c->pid, 0);
	if (c->pidfd.fd >= 0 && !loop_add(&c->pidfd, EPOLLIN)) {
		log_info("%s: jetconnd is process %d", s->name, (int)c->pid);
		return;
	}
	/* One that we cannot watch we do not want. */
	log_error("%s: cannot watch jetconnd: %s", s->name, strerror(errno));
	kill(c->pid, SIGKILL);
	waitpid(c->pid, NULL, 0);
	if (c->pidfd.fd >= 0)
		close(c->pidfd.fd);
	c->pid = 0;
	back_off(c);
}

int spawn_start(void)
{
	if (!lab.has_connd)
		return 0;
	for (unsigned int id = 0; id < JS_N_RING_IDS; id++) {
		struct connd *c = &connds[id];

		if (!stations[id].used || !stations[id].netns[0])
			continue;
		if (c->state == CONND_RUNNING)
			continue;
		if (c->state == CONND_ENDING) {
			c->wanted = true;
			continue;
		}
		loop_timer_del(&c->timer);
		start(c);
		if (c->state == CONND_MISSING)
			return -ENOENT;
	}
	return 0;
}

void spawn_end(const struct station *s)
{
	struct connd *c = &connds[s->ring_id];

	c->wanted = false;
	if (c->state == CONND_ENDING)
		return;
	loop_timer_del(&c->timer);
	c->n_restarts = 0;
	c->backoff_ns = 0;
	if (c->state != CONND_RUNNING) {
		c->state = CONND_OFF;
		return;
	}
	c->state = CONND_ENDING;
	kill(c->pid, SIGTERM);
	loop_timer_set(&c->timer, now_ns() + STOP_WAIT_NS);
}

static bool all_gone(void)
{
	for (unsigned int id = 0; id < JS_N_RING_IDS; id++)
		if (connds[id].pid)
			return false;
	return true;
}

void spawn_stop(void)
{
	for (unsigned int id = 0; id < JS_N_RING_IDS; id++)
		if (stations[id].used)
			spawn_end(&stations[id]);
	if (!run_until(all_gone, now_ns() + GONE_WAIT_NS))
		log_error("a jetconnd does not end, left behind");
}

const char *spawn_state(const struct station *s, int *pid, unsigned int *n_restarts)
{
	const struct connd *c = &connds[s->ring_id];

	*pid = (int)c->pid;
	*n_restarts = c->n_restarts;
	return state_names[c->state];
}
