/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * children.c - the children's channels: who they are, what they say
 *
 * Runs in jetconnd.  A channel's end drops what its child claimed; the end of
 * the process is told to the users of its stack.  The two are not the same: a
 * child hangs up when it thinks its server gone, and connects again.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "abi/shmseg.h"
#include "common/log.h"
#include "common/util.h"
#include "connserver/children.h"
#include "connserver/resolve.h"
#include "connserver/syn.h"
#include "connserver/timewait.h"
#include "stack/shm/cm.h"

#define MSGS_MAX	64	/* of one child before the next has its turn */
#define ROUNDS_MAX	64	/* of turns, before packets have theirs */

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD	77	/* Linux 6.5 */
#endif

struct cs_claims *cs_child_claims(struct cs_child *child)
{
	return &child->claims;
}

/* --- life ----------------------------------------------------------------- */

void cs_child_hangup(struct cs_server *cs, struct cs_child *c)
{
	if (c->chan.fd < 0)
		return;
	cs_watch_close(cs->children_fd, &c->chan);
	cs_ports_drop_child(c);
	cs_syn_drop_child(cs, c);
	cs_resolve_drop_child(cs, c);
}

/* The process is no more. */
static void child_died(struct cs_server *cs, struct cs_child *c)
{
	cs_child_hangup(cs, c);
	cs_watch_close(cs->children_fd, &c->pidfd);
	cs_stackmem_mark_dead(&c->stack);
	cs_stackmem_unmap(&c->stack);
	cs_count(cs, CS_CHILD_DIED);
	log_trace("child %d has ended", c->pid);
	cs->n_children--;
	/* Its watches may still be in the list epoll_wait() gave. */
	LIST_REMOVE(c, all);
	LIST_INSERT_HEAD(&cs->graves, c, all);
}

static void bury(struct cs_server *cs)
{
	struct cs_child *c;

	while ((c = LIST_FIRST(&cs->graves))) {
		LIST_REMOVE(c, all);
		free(c);
	}
}

static void pidfd_ready(struct cs_server *cs, struct cs_watch *w, uint32_t events)
{
	(void)events;
	child_died(cs, container_of(w, struct cs_child, pidfd));
}

static void chan_ready(struct cs_server *cs, struct cs_watch *w, uint32_t events)
{
	struct cs_child *c = container_of(w, struct cs_child, chan);
	int i, err = 0;

	for (i = 0; i < MSGS_MAX && w->fd >= 0; i++) {
		int fds[CM_MAX_FDS], n_fds = 0;
		struct cm_msg m;

		err = cm_recv(w->fd, &m, fds, CM_MAX_FDS, &n_fds, NULL, MSG_DONTWAIT);
		if (err == 1)
			cs_child_msg(cs, c, &m, fds, n_fds);
		else if (err == -EBADMSG)
			cs_count(cs, CS_MSG_BAD);
		else
			break;
	}
	if (w->fd < 0)
		return;
	/* What was sent before the end has been read by now. */
	if (err == 0 || (err < 0 && err != -EAGAIN && err != -EBADMSG) ||
	    (err == -EAGAIN && (events & (EPOLLHUP | EPOLLERR)))) {
		cs_child_hangup(cs, c);
		if (c->pidfd.fd < 0)
			child_died(cs, c);
	}
}

struct cs_child *cs_child_new(struct cs_server *cs, int chan, pid_t pid, int pidfd)
{
	struct cs_child *c = calloc(1, sizeof(*c));

	if (!c) {
		close(chan);
		if (pidfd >= 0)
			close(pidfd);
		return NULL;
	}
	c->pid = pid;
	c->stack.fd = -1;
	c->chan = (struct cs_watch){ .fd = chan, .ready = chan_ready };
	c->pidfd = (struct cs_watch){ .fd = pidfd, .ready = pidfd_ready };
	LIST_INSERT_HEAD(&cs->children, c, all);
	cs->n_children++;
	if (cs_watch_add(cs->children_fd, &c->chan, EPOLLIN) < 0 ||
	    (pidfd >= 0 && cs_watch_add(cs->children_fd, &c->pidfd, EPOLLIN) < 0)) {
		log_warn("child %d: cannot be watched: %s", pid, strerror(errno));
		child_died(cs, c);
		return NULL;
	}
	return c;
}

int cs_child_send(struct cs_server *cs, struct cs_child *c, const struct cm_msg *m, int fd,
		  bool is_answer)
{
	int err;

	if (c->chan.fd < 0)
		return -EPIPE;
	err = cm_send_to(c->chan.fd, m, &fd, fd >= 0 ? 1 : 0, MSG_DONTWAIT, NULL, 0);
	if (err && is_answer) {
		cs_count(cs, CS_DROP_CHILD_FULL);
		log_warn("child %d: no answer can be sent: %s", c->pid, strerror(-err));
		/* Seen as the end of file, in the course of the loop. */
		shutdown(c->chan.fd, SHUT_RDWR);
	}
	return err;
}

/* --- what they say -------------------------------------------------------- */

/* A claim that was refused is answered; one that was not needs no answer. */
static void refuse(struct cs_server *cs, struct cs_child *c, const struct cm_msg *m, int err)
{
	const struct cm_msg reply = {
		.type = CM_GENERAL_REPLY, .id = m->id, .err = err,
		.sock = m->sock, .gen = m->gen,
	};

	switch (err) {
	case -EADDRINUSE:
		cs_count(cs, CS_MSG_IN_USE);
		break;
	case -ENOENT:
		cs_count(cs, CS_MSG_STALE);
		break;
	case -ENOSPC:
	case -ENOMEM:
		cs_count(cs, CS_MSG_TABLE_FULL);
		break;
	default:
		cs_count(cs, CS_MSG_BAD_VALUE);
	}
	cs_child_send(cs, c, &reply, -1, true);
}

static void on_hello(struct cs_server *cs, struct cs_child *c, const struct cm_msg *m,
		     int *fds, int n_fds)
{
	int err;

	if (n_fds < 1) {
		cs_count(cs, CS_MSG_NO_FD);
		return;
	}
	err = cs_stackmem_map(&c->stack, fds[0]);
	fds[0] = -1;
	if (err) {
		/* It can serve its application all the same; but if it dies,
		 * its waiters are not told by us. */
		cs_count(cs, CS_MSG_NO_FD);
		log_warn("child %d: its stack cannot be mapped: %s", c->pid, strerror(-err));
	}
	c->has_hello = true;
	c->uid = m->uid;
}

static void on_listen(struct cs_server *cs, struct cs_child *c, const struct cm_msg *m)
{
	int err;

	if (!m->local.port || m->sock >= JS_N_SOCKS)
		err = -EINVAL;
	else if (!m->on)
		err = cs_ports_unlisten(cs->ports, c, &m->local, m->sock, m->gen);
	else if (!cm_addr_is_any(&m->local) && !cs->net->is_local(cs, &m->local))
		err = -EADDRNOTAVAIL;
	else
		err = cs_ports_listen(cs->ports, c, m);
	if (err)
		refuse(cs, c, m, err);
}

static void on_forward(struct cs_server *cs, struct cs_child *c, const struct cm_msg *m)
{
	int err;

	if (!m->local.port || !m->peer.port || (m->on && !cs_vci_is_ours(cs, m->vci)))
		err = -EINVAL;
	else if (!m->on)
		err = cs_ports_unforward(cs->ports, c, &m->local, &m->peer);
	else
		err = cs_ports_forward(cs->ports, c, &m->local, &m->peer, m->vci);
	/* It was in TIME-WAIT here, but this child has opened it anew. */
	if (!err && m->on)
		cs_timewait_forget(cs, &m->local, &m->peer);
	if (err)
		refuse(cs, c, m, err);
}

static void on_time_wait(struct cs_server *cs, struct cs_child *c, const struct cm_msg *m,
			 int *fds, int n_fds)
{
	const struct cs_forward *f = cs_ports_connection(cs->ports, &m->local, &m->peer);
	int err;

	if (!f || f->child != c) {
		err = -ENOENT;
	} else if (m->ring_id >= JS_N_RING_IDS) {
		err = -EINVAL;
	} else {
		err = cs_timewait_add(cs, m, n_fds ? fds[0] : -1);
		if (n_fds)
			fds[0] = -1;
	}
	/* The child has let it go: it ends early. */
	if (err)
		refuse(cs, c, m, err);
}

void cs_child_msg(struct cs_server *cs, struct cs_child *c, const struct cm_msg *m,
		  int *fds, int n_fds)
{
	static void (*const handlers[CM_N_TYPES])(struct cs_server *, struct cs_child *,
						  const struct cm_msg *) = {
		[CM_LISTEN]	= on_listen,
		[CM_FORWARD]	= on_forward,
		[CM_DIVERT]	= cs_syn_divert,
		[CM_BIND_POINT]	= cs_bind_point,
		[CM_RESOLVE]	= cs_resolve,
		[CM_FASTOPEN]	= cs_fastopen,
	};
	int i;

	cs_count(cs, CS_MSGS);
	/* Hello comes first, and once. */
	if (m->type == CM_HELLO && !c->has_hello)
		on_hello(cs, c, m, fds, n_fds);
	else if (c->has_hello && m->type == CM_TIME_WAIT)
		on_time_wait(cs, c, m, fds, n_fds);
	else if (c->has_hello && handlers[m->type])
		handlers[m->type](cs, c, m);
	else
		cs_count(cs, CS_MSG_UNEXPECTED);
	for (i = 0; i < n_fds; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

/* --- the listener --------------------------------------------------------- */

/* A pidfd of the process at the other end; -1 if it is dead already. */
static int peer_pidfd(int chan, pid_t pid)
{
	int fd;
	socklen_t len = sizeof(fd);

	/* Only this one cannot meet a new process of the same number. */
	if (getsockopt(chan, SOL_SOCKET, SO_PEERPIDFD, &fd, &len) == 0)
		return fd;
	return pidfd_open(pid, 0);
}

/* Descriptors are out: take the connection and close it, or epoll would tell
 * us of it for ever. */
static void refuse_connection(struct cs_server *cs)
{
	int fd;

	close(cs->spare_fd);
	fd = accept4(cs->listen_w.fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd >= 0)
		close(fd);
	cs->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	cs_count(cs, CS_CHILD_REFUSED);
}

static void listen_ready(struct cs_server *cs, struct cs_watch *w, uint32_t events)
{
	int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct ucred cred;
	socklen_t len = sizeof(cred);

	(void)events;
	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE)
			refuse_connection(cs);
		return;
	}
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0 || cred.uid != 0) {
		cs_count(cs, CS_CHILD_NOT_ROOT);
		close(fd);
	} else if (cs->n_children >= 2 * CS_CHILDREN_MAX) {
		/* Twice: those that hung up and live are records, too. */
		cs_count(cs, CS_CHILD_REFUSED);
		close(fd);
	} else if (!cs_child_new(cs, fd, cred.pid, peer_pidfd(fd, cred.pid))) {
		cs_count(cs, CS_CHILD_REFUSED);
	}
}

void cs_children_poll(struct cs_server *cs)
{
	int i;

	for (i = 0; i < ROUNDS_MAX; i++) {
		int n = cs_watch_run(cs, cs->children_fd, 0);

		bury(cs);
		if (n <= 0)
			break;
	}
}

static void children_ready(struct cs_server *cs, struct cs_watch *w, uint32_t events)
{
	(void)w;
	(void)events;
	cs_children_poll(cs);
}

int cs_children_start(struct cs_server *cs, const char **what)
{
	struct sockaddr_un sun;
	socklen_t len = cm_name_to_sun(CM_CHILDREN_NAME, &sun);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int err;

	*what = "the children's socket";
	if (fd < 0)
		return -errno;
	cs->listen_w = (struct cs_watch){ .fd = fd, .ready = listen_ready };
	if (bind(fd, (struct sockaddr *)&sun, len) < 0 || listen(fd, 128) < 0)
		return -errno;
	cs->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	cs->children_w = (struct cs_watch){ .fd = cs->children_fd, .ready = children_ready };
	err = cs_watch_add(cs->epoll_fd, &cs->children_w, EPOLLIN);
	return err ? err : cs_watch_add(cs->epoll_fd, &cs->listen_w, EPOLLIN);
}

void cs_children_stop(struct cs_server *cs)
{
	struct cs_child *c, *next;

	cs_watch_close(cs->epoll_fd, &cs->listen_w);
	if (cs->spare_fd >= 0)
		close(cs->spare_fd);
	cs->spare_fd = -1;
	for (c = LIST_FIRST(&cs->children); c; c = next) {
		next = LIST_NEXT(c, all);
		cs_child_hangup(cs, c);
		cs_watch_close(cs->children_fd, &c->pidfd);
		cs_stackmem_unmap(&c->stack);
		LIST_REMOVE(c, all);
		cs->n_children--;
		free(c);
	}
	bury(cs);
}
