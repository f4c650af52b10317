/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * link.c - this process, its stack and its child
 *
 * The first user-space socket of a process makes a channel to a child: Spawn
 * to the connection server, Init_Reply on the channel.  After fork() the
 * stack is shared; the new process says Attach over the channel it inherited,
 * at its first use, and gets a channel of its own.  Until then it touches
 * nothing: fork() may happen at any moment of any thread.
 *
 * Descriptors of ours are close-on-exec, have high numbers and do not exist
 * for the application: it cannot close them, and who takes their number by
 * dup2() makes us move.
 *
 * A process that was stopped while it held the stack's lock may find itself
 * fenced: its script queue was revoked.  The thread that notices says Attach
 * without a channel and is given another (reattach()).
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "stack/api/api.h"

#define REPLY_SPAWN_MS	5000	/* the server forks, the child opens its port */
#define REPLY_MS	10000	/* a child that is stopped for longer: -ENETDOWN */
#define REATTACH_TRIES	1000	/* ten seconds: no queue is free */
#define OWN_FD_MIN	900	/* our descriptors start here, if the limit allows */

enum link_state {
	LINK_NONE,	/* no user-space socket was ever asked for */
	LINK_UP,
	LINK_DOWN,	/* the stack has ended, or there never was a server */
	LINK_KERNEL,	/* no server, and JETSTREAM_FALLBACK */
};

static struct {
	struct stk stk;
	_Atomic int state;		/* enum link_state; store-release after stk is ready */
	_Atomic int down_err;		/* LINK_DOWN: what calls give; 0: ENETDOWN */
	_Atomic unsigned int fork_gen;	/* of the process */
	_Atomic unsigned int link_gen;	/* fork_gen when we attached */
	_Atomic unsigned int forks;	/* fork()s by us and our ancestors */
	int channel;
	uint32_t next_id;
	pid_t pid;			/* who we are, but for vfork() */
	bool rx_child;			/* JETSTREAM_RX=child */
	pthread_mutex_t lock;
} link_ = { .channel = -1, .lock = PTHREAD_MUTEX_INITIALIZER };

/* --- fork -------------------------------------------------------------------- */

static void fork_in_parent(void)
{
	atomic_fetch_add_explicit(&link_.forks, 1, memory_order_relaxed);
}

/* Only memory: other threads of the parent held what they held. */
static void fork_in_child(void)
{
	atomic_fetch_add_explicit(&link_.forks, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&link_.fork_gen, 1, memory_order_relaxed);
	link_.lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	link_.pid = getpid();
}

unsigned int link_fork_gen(void)
{
	return atomic_load_explicit(&link_.fork_gen, memory_order_relaxed);
}

unsigned int link_fork_mark(void)
{
	return atomic_load_explicit(&link_.forks, memory_order_relaxed);
}

bool link_is_vfork(void)
{
	return link_.pid && getpid() != link_.pid;
}

/* --- our own descriptors -------------------------------------------------------- */

/* Where a number of ours is kept. */
static int *own_slot(int fd)
{
	int *const slots[] = { &link_.channel, &link_.stk.kick_fd, &link_.stk.pc.doorbell_fd };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(slots); i++)
		if (*slots[i] == fd)
			return slots[i];
	return NULL;
}

/* A copy out of the application's way; -EMFILE. */
static int dup_high(int fd)
{
	struct rlimit rl;
	int from = OWN_FD_MIN, high;

	if (getrlimit(RLIMIT_NOFILE, &rl) == 0 && rl.rlim_cur / 2 < OWN_FD_MIN)
		from = (int)(rl.rlim_cur / 2);
	high = libc()->fcntl(fd, F_DUPFD_CLOEXEC, from);
	if (high < 0)
		high = libc()->fcntl(fd, F_DUPFD_CLOEXEC, 3);
	return high < 0 ? -errno : high;
}

int link_own_fd(int fd)
{
	int high = dup_high(fd), err;

	libc()->close(fd);
	if (high < 0)
		return high;
	err = fdtable_set(high, (struct fd_ent){ .kind = FD_OWN });
	if (!err)
		return high;
	libc()->close(high);
	return err;
}

void link_own_close(int fd)
{
	if (fd < 0)
		return;
	fdtable_drop_if(fd, (struct fd_ent){ .kind = FD_OWN });
	libc()->close(fd);
}

int link_move_own(int fd)
{
	int *slot = own_slot(fd), high;

	/* Those of epoll sets stay: they would have to be added anew. */
	if (!slot)
		return -EBADF;
	high = dup_high(fd);
	if (high < 0)
		return high;
	if (fdtable_set(high, (struct fd_ent){ .kind = FD_OWN }) < 0) {
		libc()->close(high);
		return -EBADF;
	}
	*slot = high;
	fdtable_drop(fd);
	return 0;
}

/* --- start ------------------------------------------------------------------------- */

/* setuid programs do not listen to their caller's environment. */
static const char *env(const char *name)
{
	return getauxval(AT_SECURE) ? NULL : getenv(name);
}

/* Neither empty nor 0. */
static bool is_set(const char *name)
{
	const char *v = env(name);

	return v && *v && strcmp(v, "0");
}

static void read_environment(void)
{
	const char *rx = env("JETSTREAM_RX");

	link_.rx_child = rx && !strcmp(rx, "child");
	if (env("JETSTREAM_TRACE"))
		log_init("libjetstream", 2);
}

/* Wait for the next message of the child; -ETIMEDOUT.  Signals are blocked. */
static int channel_recv(int fd, struct cm_msg *m, int *fds, int max_fds, int *n_fds,
			struct ucred *cred, int timeout_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int r = libc()->poll(&p, 1, timeout_ms);

	if (r < 0)
		return -errno;
	if (r == 0)
		return -ETIMEDOUT;
	r = cm_recv(fd, m, fds, max_fds, n_fds, cred, MSG_DONTWAIT);
	if (r == 0)
		return -EPIPE;
	return r == 1 || r == -EBADMSG || r == -EAGAIN ? 0 : r;
}

static void close_all(const int *fds, int n)
{
	while (n > 0)
		libc()->close(fds[--n]);
}

/*
 * The child's first message on a new channel: its descriptors, and our place.
 * The far end is a child only if root says so.
 */
static int init_reply(int channel)
{
	int fds[CM_INIT_NFDS], n_fds = 0, r;
	struct cm_msg m = { .type = CM_NONE };
	struct ucred cred;

	r = channel_recv(channel, &m, fds, CM_INIT_NFDS, &n_fds, &cred, REPLY_SPAWN_MS);
	if (r < 0)
		return r;
	r = -EPROTO;
	if (m.type == CM_INIT_REPLY && m.err)
		r = m.err;
	if (m.type != CM_INIT_REPLY || m.err || cred.uid != 0 || n_fds != CM_INIT_NFDS)
		goto close_fds;
	r = link_own_fd(fds[CM_INIT_DOORBELL]);
	fds[CM_INIT_DOORBELL] = r;
	if (r < 0)
		goto close_fds;
	r = link_own_fd(fds[CM_INIT_KICK]);
	fds[CM_INIT_KICK] = r;
	if (r < 0)
		goto close_fds;
	r = stk_attach(&link_.stk, fds, m.n, m.sock);
	if (!r)
		return 0;
close_fds:
	for (; n_fds > 0; n_fds--)
		link_own_close(fds[n_fds - 1]);
	return r;
}

/* A channel: our end in *ours, with the sender's credentials; the child's is
 * returned. */
static int channel_make(int *ours)
{
	int pair[2], one = 1;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	libc()->setsockopt(pair[0], SOL_SOCKET, SO_PASSCRED, &one, sizeof(one));
	/* The child's end too: an option of the receiver, and it is that now. */
	libc()->setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &one, sizeof(one));
	*ours = link_own_fd(pair[0]);
	if (*ours >= 0)
		return pair[1];
	libc()->close(pair[1]);
	return *ours;
}

static int reattach(struct stk *stk);

static int send_spawn(int theirs)
{
	struct cm_msg m = { .type = CM_SPAWN, .id = ++link_.next_id };
	struct sockaddr_un server;
	socklen_t len = cm_name_to_sun(CM_SERVER_NAME, &server);
	int fd = libc()->socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int r;

	if (fd < 0)
		return -errno;
	r = cm_send_to(fd, &m, &theirs, 1, 0, &server, len);
	libc()->close(fd);
	return r;
}

static int spawn(void)
{
	int channel = -1, theirs = channel_make(&channel);
	int r;

	if (theirs < 0)
		return theirs;
	r = send_spawn(theirs);
	libc()->close(theirs);
	if (!r)
		r = init_reply(channel);
	if (r) {
		link_own_close(channel);
		return r;
	}
	link_.channel = channel;
	link_.stk.on_lost = reattach;
	return 0;
}

/* Say Attach over @old; *@channel is ours then. */
static int attach_once(int old, int *channel)
{
	struct cm_msg m = { .type = CM_ATTACH, .id = ++link_.next_id };
	int theirs = channel_make(channel), r;

	if (theirs < 0)
		return theirs;
	r = cm_send(old, &m, &theirs, 1);
	libc()->close(theirs);
	if (!r)
		r = init_reply(*channel);
	if (!r)
		return 0;
	link_own_close(*channel);
	*channel = -1;
	return r;
}

/* In a forked process: what we inherited leads to the stack, but the channel
 * is our parent's and so is the place in the queue. */
static int attach(void)
{
	const struct timespec nap = { .tv_nsec = 10000000 };
	int old = link_.channel, channel = -1, r;

	fdtable_drop(link_.stk.kick_fd);
	fdtable_drop(link_.stk.pc.doorbell_fd);
	stk_detach(&link_.stk);
	r = attach_once(old, &channel);
	/* Queues whose last SENDs are still to leave cannot be had yet. */
	for (int tries = 0; r == -ENOSPC && tries < REATTACH_TRIES; tries++) {
		nanosleep(&nap, NULL);
		r = attach_once(old, &channel);
	}
	/* Our copies must not outlive our parent: the child watches for that. */
	link_own_close(old);
	link_.channel = channel;
	link_.stk.on_lost = reattach;
	return r;
}

/* --- taking the lock ------------------------------------------------------------------ */

/*
 * Signals are blocked while it is held: a handler that makes a request would
 * wait for its own thread.  So is cancellation.  Control requests are round
 * trips to another process; two system calls more do not matter.
 */
struct held {
	sigset_t mask;
	int cancel;
};

static void take(struct held *h)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &h->mask);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &h->cancel);
	pthread_mutex_lock(&link_.lock);
}

static void release(const struct held *h)
{
	pthread_mutex_unlock(&link_.lock);
	pthread_setcancelstate(h->cancel, NULL);
	pthread_sigmask(SIG_SETMASK, &h->mask, NULL);
}

static bool is_current(void)
{
	return atomic_load_explicit(&link_.link_gen, memory_order_relaxed) == link_fork_gen();
}

/* Attach again if we were forked.  Lock held. */
static void refresh(void)
{
	if (link_.state == LINK_UP && !is_current()) {
		int r;

		usock_forked();
		r = attach();
		if (r == -EUSERS) {
			log_warn("process %d cannot share its parent's sockets: "
				 "as many as can be do already", (int)getpid());
			atomic_store(&link_.down_err, EUSERS);
		}
		if (r)
			atomic_store(&link_.state, LINK_DOWN);
	}
	atomic_store_explicit(&link_.link_gen, link_fork_gen(), memory_order_release);
}

static void first_open(void)
{
	static bool once;
	int r;

	if (!once) {
		read_environment();
		pthread_atfork(NULL, fork_in_parent, fork_in_child);
		once = true;
	}
	link_.pid = getpid();
	r = spawn();
	if (!r) {
		/* store-release, pairs with load-acquire in link_stk() */
		atomic_store_explicit(&link_.state, LINK_UP, memory_order_release);
		return;
	}
	if (is_set("JETSTREAM_FALLBACK")) {
		log_warn("no connection server here (%s): using the kernel's TCP", strerror(-r));
		atomic_store(&link_.state, LINK_KERNEL);
	}
	/* Else the next socket() tries again: a server may be starting. */
}

int link_open(void)
{
	struct held h;
	int state;

	if (atomic_load_explicit(&link_.state, memory_order_acquire) != LINK_UP || !is_current()) {
		take(&h);
		if (link_.state == LINK_NONE)
			first_open();
		refresh();
		release(&h);
	}
	state = atomic_load_explicit(&link_.state, memory_order_acquire);
	if (state == LINK_UP)
		return stk_dead(&link_.stk);
	return state == LINK_KERNEL ? LINK_FALLBACK : link_down_err();
}

int link_down_err(void)
{
	int err = atomic_load_explicit(&link_.down_err, memory_order_relaxed);

	return err ? -err : -ENETDOWN;
}

struct stk *link_stk(void)
{
	struct held h;

	if (__builtin_expect(!is_current(), 0)) {
		take(&h);
		refresh();
		release(&h);
	}
	return atomic_load_explicit(&link_.state, memory_order_acquire) == LINK_UP ?
		&link_.stk : NULL;
}

bool link_rx_self(void)
{
	return !link_.rx_child;
}

/* --- requests ------------------------------------------------------------------------------ */

/* Wait for the answer to @id; late ones to requests that were given up are
 * thrown away. */
static int wait_answer(uint32_t id, struct cm_msg *m, int *fd)
{
	int got[CM_MAX_FDS], n_got, r;

	for (;;) {
		m->id = id - 1;		/* a bad message leaves *m as it was */
		n_got = 0;
		r = channel_recv(link_.channel, m, got, CM_MAX_FDS, &n_got, NULL, REPLY_MS);
		if (r == -ETIMEDOUT)
			return -ENETDOWN;
		if (r < 0) {
			atomic_store(&link_.state, LINK_DOWN);
			return -ENETDOWN;
		}
		if (m->id != id) {
			close_all(got, n_got);
			continue;
		}
		if (fd && n_got > 0)
			*fd = got[--n_got];
		close_all(got, n_got);
		return 0;
	}
}

/* Queues whose last SENDs are still to leave cannot be had yet. */
static int new_queue(uint32_t *queue)
{
	const struct timespec nap = { .tv_nsec = 10000000 };
	int r = 0;

	for (int tries = 0; tries < REATTACH_TRIES; tries++) {
		struct cm_msg m = { .type = CM_ATTACH, .id = ++link_.next_id };

		r = cm_send(link_.channel, &m, NULL, 0);
		if (!r)
			r = wait_answer(m.id, &m, NULL);
		if (r)
			return r;
		*queue = m.n;
		r = m.err;
		if (r != -ENOSPC)
			break;
		nanosleep(&nap, NULL);
	}
	return r;
}

/* stk.on_lost */
static int reattach(struct stk *stk)
{
	struct cm_msg done = { .type = CM_ATTACH, .on = 1 };
	struct held h;
	int r = 0;

	take(&h);
	if (link_.state != LINK_UP) {
		r = -ENETDOWN;
	} else if (atomic_load(&stk->lost)) {	/* else another thread was here first */
		r = stk_come_back(stk, new_queue);
		done.id = ++link_.next_id;
		if (!r)
			cm_send(link_.channel, &done, NULL, 0);
	}
	release(&h);
	return r ? -ENETDOWN : 0;
}

int link_request(struct cm_msg *m, int *fd)
{
	struct held h;
	uint32_t id;
	int r;

	if (fd)
		*fd = -1;
	take(&h);
	refresh();
	if (link_.state != LINK_UP) {
		release(&h);
		return link_down_err();
	}
	id = m->id = ++link_.next_id;
	r = cm_send(link_.channel, m, NULL, 0);
	if (r)
		atomic_store(&link_.state, LINK_DOWN);
	else
		r = wait_answer(id, m, fd);
	release(&h);
	return r ? -ENETDOWN : 0;
}

int link_simple(struct cm_msg *m)
{
	int r = link_request(m, NULL);

	return r ? r : m->err;
}
