/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spawn.c - children are forked for Spawn (paper, 4.4.1), and reaped
 *
 * Runs in jetconnd, up to fork(); then the new process is stack/child's.
 *
 * Anybody in the namespace may write to the users' socket.  What we believe
 * is the credentials, which the kernel has checked, and the descriptor, once
 * we have looked what it is.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "connserver/children.h"
#include "connserver/spawn.h"
#include "stack/shm/cm.h"

#define USER_MSGS_MAX	32	/* before anything else has its turn */
#define USER_FD		3	/* the channel's number in a child */

struct kid {
	pid_t pid;
	uid_t uid;			/* of its user */
};

struct cs_spawn {
	struct cs_watch w;
	unsigned int n;
	struct kid kid[CS_CHILDREN_MAX];	/* ours: what waitpid() will tell of */
};

struct cs_spawn *cs_spawn_new(void)
{
	struct cs_spawn *sp = calloc(1, sizeof(*sp));

	if (sp)
		sp->w.fd = -1;
	return sp;
}

void cs_spawn_free(struct cs_spawn *sp)
{
	free(sp);
}

/* --- fork ----------------------------------------------------------------- */

static _Noreturn void be_child(struct cs_server *cs, struct child_args *args)
{
	sigset_t none;

	/* What happens to the server's session must not happen to children. */
	setsid();
	if (args->user_fd != USER_FD && dup2(args->user_fd, USER_FD) < 0)
		_exit(1);
	args->user_fd = USER_FD;
	if (fcntl(USER_FD, F_SETFD, FD_CLOEXEC) < 0 || close_range(USER_FD + 1, ~0u, 0) < 0)
		_exit(1);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	_exit(cs->cfg.child_main(args));
}

static int spawn(struct cs_server *cs, const struct cm_msg *m, int user_fd,
		 const struct ucred *cred)
{
	struct cs_spawn *sp = cs->spawn;
	struct child_args args = {
		.node = cs->cfg.node, .user_fd = user_fd, .user_pid = cred->pid,
		.user_uid = cred->uid, .user_gid = cred->gid,
		.node_addr = cs->cfg.addr, .spawn_id = m->id,
	};
	pid_t pid;

	memcpy(args.secret, cs->secret, sizeof(args.secret));
	snprintf(args.port_sock, sizeof(args.port_sock), "%s", cs->cfg.port_sock);
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		be_child(cs, &args);
	sp->kid[sp->n++] = (struct kid){ .pid = pid, .uid = cred->uid };
	log_trace("child %d forked for process %d of user %u", pid, cred->pid, cred->uid);
	return 0;
}

void cs_spawn_reap(struct cs_server *cs)
{
	struct cs_spawn *sp = cs->spawn;
	unsigned int i;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (WIFSIGNALED(status))
			log_warn("child %d was killed by signal %d (%s)", pid, WTERMSIG(status),
				 strsignal(WTERMSIG(status)));
		else if (WEXITSTATUS(status))
			log_info("child %d ended with status %d", pid, WEXITSTATUS(status));
		for (i = 0; i < sp->n; i++) {
			if (sp->kid[i].pid != pid)
				continue;
			sp->kid[i] = sp->kid[--sp->n];
			break;
		}
	}
}

/* --- messages ------------------------------------------------------------- */

/* Two counts, because neither sees all: those we forked, which may not have
 * said Hello yet, and those that said it, which an earlier server forked. */
static bool is_within_limits(const struct cs_server *cs, uid_t uid)
{
	const struct cs_spawn *sp = cs->spawn;
	unsigned int i, forked = 0, greeted = 0;
	const struct cs_child *c;

	if (sp->n >= CS_CHILDREN_MAX || cs->n_children >= CS_CHILDREN_MAX)
		return false;
	if (uid == 0)
		return true;
	for (i = 0; i < sp->n; i++)
		forked += sp->kid[i].uid == uid;
	LIST_FOREACH(c, &cs->children, all)
		greeted += c->has_hello && c->uid == uid;
	return MAX(forked, greeted) < CS_CHILDREN_PER_UID;
}

static void on_spawn(struct cs_server *cs, const struct cm_msg *m, int user_fd,
		     const struct ucred *cred)
{
	struct cm_msg reply = { .type = CM_INIT_REPLY, .id = m->id };

	if (!is_within_limits(cs, cred->uid)) {
		cs_count(cs, CS_SPAWN_LIMIT);
		reply.err = -EAGAIN;
	} else {
		reply.err = spawn(cs, m, user_fd, cred);
		if (!reply.err) {
			cs_count(cs, CS_SPAWNED);
			return;
		}
		cs_count(cs, CS_SPAWN_FAILED);
		log_warn("cannot fork a child: %s", strerror(-reply.err));
	}
	/* The user may have filled the channel: that is its own loss. */
	if (cm_send_to(user_fd, &reply, NULL, 0, MSG_DONTWAIT, NULL, 0))
		cs_count(cs, CS_MSG_LATE);
}

/* "Is there a server?"  Answered where it came from, or over a channel that
 * came along. */
static void on_ping(struct cs_server *cs, const struct cm_msg *m, int fd,
		    const struct cm_sender *from)
{
	const struct cm_msg reply = { .type = CM_GENERAL_REPLY, .id = m->id };
	int err;

	if (fd >= 0)
		err = cm_send_to(fd, &reply, NULL, 0, MSG_DONTWAIT, NULL, 0);
	else if (from->addr_len > sizeof(sa_family_t))
		err = cm_send_to(cs->spawn->w.fd, &reply, NULL, 0, MSG_DONTWAIT,
				 &from->addr, from->addr_len);
	else
		err = -EDESTADDRREQ;
	if (err)
		cs_count(cs, CS_MSG_LATE);
}

void cs_user_msg(struct cs_server *cs, const struct cm_msg *m, const int *fds, int n_fds,
		 const struct cm_sender *from)
{
	const struct ucred *cred = &from->cred;
	int i, fd = n_fds > 0 ? fds[0] : -1;

	cs_count(cs, CS_MSGS);
	if (cred->pid <= 0 || cred->uid == (uid_t)-1)
		cs_count(cs, CS_MSG_NO_CRED);
	else if (m->type != CM_SPAWN && m->type != CM_PING)
		cs_count(cs, CS_MSG_UNEXPECTED);
	else if (fd >= 0 ? !cm_is_channel(fd) : m->type == CM_SPAWN)
		cs_count(cs, CS_MSG_NO_FD);
	else if (m->type == CM_SPAWN)
		on_spawn(cs, m, fd, cred);
	else
		on_ping(cs, m, fd, from);
	for (i = 0; i < n_fds; i++)
		close(fds[i]);
}

static void users_ready(struct cs_server *cs, struct cs_watch *w, uint32_t events)
{
	int i;

	(void)events;
	for (i = 0; i < USER_MSGS_MAX; i++) {
		int fds[CM_MAX_FDS], n_fds = 0;
		struct cm_sender from;
		struct cm_msg m;
		int err = cm_recv_from(w->fd, &m, fds, CM_MAX_FDS, &n_fds, MSG_DONTWAIT, &from);

		if (err == 1)
			cs_user_msg(cs, &m, fds, n_fds, &from);
		else if (err == -EBADMSG || err == 0)
			cs_count(cs, CS_MSG_BAD);
		else
			break;
	}
}

int cs_spawn_start(struct cs_server *cs, const char **what)
{
	struct sockaddr_un sun;
	socklen_t len = cm_name_to_sun(CM_SERVER_NAME, &sun);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int one = 1;

	*what = "the users' socket";
	if (fd < 0)
		return -errno;
	cs->spawn->w = (struct cs_watch){ .fd = fd, .ready = users_ready };
	if (setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &one, sizeof(one)) < 0 ||
	    bind(fd, (struct sockaddr *)&sun, len) < 0)
		return -errno;
	return cs_watch_add(cs->epoll_fd, &cs->spawn->w, EPOLLIN);
}

void cs_spawn_stop(struct cs_server *cs)
{
	cs_watch_close(cs->epoll_fd, &cs->spawn->w);
}
