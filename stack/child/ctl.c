/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ctl.c - the child's control messages (paper, A.3)
 *
 * Users are not trusted: every member is checked against what the sender may
 * name.  The server is; its messages are checked for sense all the same.
 * The child; never blocks: a user that does not read its answers loses them.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/util.h"
#include "stack/child/child_int.h"

#define SERVER_ROOM_MS	200	/* of a full channel */
#define SERVER_RETRY_US	200000	/* the server is away: look again */

/* --- users ------------------------------------------------------------------------ */

/* Give process @i its queue and the descriptors of the stack. */
static int init_reply(struct child *c, int i, uint32_t id)
{
	struct cm_msg m = {
		.type = CM_INIT_REPLY, .version = CM_VERSION, .id = id,
		.n = c->procs[i].queue, .sock = PLACE(i), .ring_id = c->stk.pc.ring_id,
	};
	int fds[CM_INIT_NFDS] = {
		[CM_INIT_STACK] = c->stack_fd, [CM_INIT_GUARD] = c->guard_fd,
		[CM_INIT_PORT] = c->stk.pc.memfd, [CM_INIT_DOORBELL] = c->stk.pc.app_doorbell_fd,
		[CM_INIT_KICK] = c->kick_fd,
	};

	return cm_send_to(c->procs[i].fd, &m, fds, CM_INIT_NFDS, MSG_DONTWAIT, NULL, 0);
}

int ctl_add_proc(struct child *c, int fd, pid_t pid)
{
	int on = 1, queue, err, i;

	for (i = 0; i < MAX_PROCS && c->procs[i].used; i++)
		;
	if (i == MAX_PROCS) {
		if (!c->has_warned_full)
			log_warn("process %d cannot share this application's sockets: %d do",
				 (int)pid, MAX_PROCS);
		c->has_warned_full = true;
		return -EUSERS;
	}
	queue = poolc_queue_open(&c->stk.pc);
	if (queue < 0)
		return queue;
	setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
	c->procs[i] = (struct proc){ .used = true, .fd = fd, .pid = pid,
				     .queue = (uint32_t)queue };
	/* Before it can allocate. */
	atomic_fetch_add(&c->stk.guard->n_attached, 1);
	err = child_watch(c, fd, EPOLLIN | EPOLLRDHUP, EP_PROC, (uint32_t)i);
	if (!err)
		err = init_reply(c, i, c->args.spawn_id);
	if (err) {
		child_unwatch(c, fd);
		c->procs[i].used = false;
		poolc_queue_revoke(&c->stk.pc, (unsigned int)queue);
	}
	return err;
}

/* The socket a request names, if its sender may: in use, right generation. */
static struct csock *named(struct child *c, const struct cm_msg *m)
{
	struct csock *s = m->sock < JS_N_SOCKS ? &c->socks[m->sock] : NULL;

	return s && s->kind != CK_FREE && s->gen == m->gen ? s : NULL;
}

static void answer(struct child *c, int i, const struct cm_msg *req, uint16_t type, int err)
{
	struct cm_msg m = { .type = type, .version = CM_VERSION, .id = req->id, .err = err,
			    .sock = req->sock, .gen = req->gen };

	cm_send_to(c->procs[i].fd, &m, NULL, 0, MSG_DONTWAIT, NULL, 0);
}

/* The answer to the request that socket @s has open. */
void ctl_reply(struct child *c, struct csock *s, uint16_t type, int err)
{
	uint32_t idx = (uint32_t)(s - c->socks);
	struct cm_msg m = { .type = type, .version = CM_VERSION, .id = s->req_id, .err = err,
			    .sock = idx, .gen = s->gen, .local = s->local };

	if (s->who >= 0 && c->procs[s->who].used)
		cm_send_to(c->procs[s->who].fd, &m, NULL, 0, MSG_DONTWAIT, NULL, 0);
	s->who = -1;
}

static void on_new_socket(struct child *c, int i, const struct cm_msg *req, uid_t uid)
{
	struct cm_msg m = { .type = CM_GENERAL_REPLY, .version = CM_VERSION, .id = req->id };
	int idx, fd = -1;

	if (req->family != AF_INET && req->family != AF_INET6) {
		answer(c, i, req, CM_GENERAL_REPLY, -EAFNOSUPPORT);
		return;
	}
	idx = conn_new(c, req->family, uid);
	if (idx >= 0)
		fd = conn_anchor(c, (uint32_t)idx);
	if (idx < 0 || fd < 0) {
		if (idx >= 0)
			conn_release(c, (uint32_t)idx);
		answer(c, i, req, CM_GENERAL_REPLY, idx < 0 ? idx : fd);
		return;
	}
	m.sock = (uint32_t)idx;
	m.gen = c->socks[idx].gen;
	cm_send_to(c->procs[i].fd, &m, &fd, 1, MSG_DONTWAIT, NULL, 0);
	close(fd);	/* if it was not received, the anchor hangs up */
}

/* What the socket's options ask of a bind-point. */
static uint32_t bindpoint_flags(const struct child *c, const struct csock *s)
{
	uint32_t opts = atomic_load(&c->stk.socks[s - c->socks].opts);

	return (opts & JS_SO_V6ONLY ? CM_BP_V6ONLY : 0) |
	       (opts & JS_SO_REUSEPORT ? CM_BP_REUSEPORT : 0);
}

/* Ask the server for a bind-point; the answer goes on with @wait. */
static int ask_bindpoint(struct child *c, struct csock *s, enum csock_wait wait,
			 uint32_t flags)
{
	/* Once: what applications write into opts later is not what it has. */
	uint32_t bp_flags = s->wait == CW_NONE ? bindpoint_flags(c, s) : s->bp_flags;
	struct cm_msg m = {
		.type = CM_BIND_POINT, .family = s->family, .local = s->local,
		.peer = s->peer, .uid = s->uid, .on = s->reuse, .n = c->listeners[s - c->socks].backlog,
		.flags = flags | bp_flags,
		.sock = (uint32_t)(s - c->socks), .gen = s->gen,
	};

	s->wait = wait;
	s->bp_flags = (uint8_t)bp_flags;
	s->srv_id = m.id = ++c->next_srv_id;
	return ctl_server_send(c, &m, NULL, 0);
}

static void on_bind(struct child *c, int i, struct csock *s, const struct cm_msg *req)
{
	if (s->kind != CK_NEW || s->bp >= 0 || s->wait != CW_NONE) {
		answer(c, i, req, CM_BIND_REPLY, -EINVAL);
		return;
	}
	s->local = req->local;
	s->who = i;
	s->req_id = req->id;
	ask_bindpoint(c, s, CW_BIND, 0);
}

static void listen_done(struct child *c, struct csock *s)
{
	conn_listening(c, (uint32_t)(s - c->socks), c->listeners[s - c->socks].backlog);
}

static void on_listen(struct child *c, int i, struct csock *s, const struct cm_msg *req)
{
	if ((s->kind != CK_NEW && s->kind != CK_LISTENER) || s->wait != CW_NONE || s->fo.ready) {
		answer(c, i, req, CM_GENERAL_REPLY, -EINVAL);
		return;
	}
	c->listeners[s - c->socks].backlog = MIN(req->n, 4096u);
	s->who = i;
	s->req_id = req->id;
	if (s->bp < 0)
		ask_bindpoint(c, s, CW_LISTEN, 0);
	else
		listen_done(c, s);
}

static void ask_resolve(struct child *c, struct csock *s)
{
	struct cm_msg m = { .type = CM_RESOLVE, .peer = s->peer, .local = s->local,
			    .sock = (uint32_t)(s - c->socks), .gen = s->gen };

	s->wait = CW_RESOLVE;
	s->srv_id = m.id = ++c->next_srv_id;
	ctl_server_send(c, &m, NULL, 0);
}

/* Open fast: there is a cookie, or none is needed.  The SYN waits for data. */
static void connect_ready(struct child *c, struct csock *s)
{
	uint32_t idx = (uint32_t)(s - c->socks);
	struct cm_msg m = { .type = CM_CONNECT_REPLY, .version = CM_VERSION, .id = s->req_id,
			    .err = -EINPROGRESS, .sock = idx, .gen = s->gen, .local = s->local,
			    .n = s->fo.room };
	struct so_txn t;

	s->fo.ready = true;
	child_lock(c);
	if (so_begin(c->stk.mem, idx, &t) == 0) {
		t.s.flags |= JS_SOF_FASTOPEN;
		t.s.fo_room = s->fo.room;
		t.s.error = 0;
		so_finish(&c->stk, idx, &t, poolc_tail(&c->stk.q), 0);
	}
	child_unlock(c);
	if (s->who >= 0 && c->procs[s->who].used)
		cm_send_to(c->procs[s->who].fd, &m, NULL, 0, MSG_DONTWAIT, NULL, 0);
	s->who = -1;
}

/* connect() has begun: from here on its end is told by the shared state. */
static void connect_begun(struct child *c, struct csock *s)
{
	struct so_txn t;
	uint32_t idx = (uint32_t)(s - c->socks);

	child_lock(c);
	if (so_begin(c->stk.mem, idx, &t) == 0) {
		t.s.flags |= JS_SOF_CONNECTING;
		t.s.flags &= ~(uint32_t)JS_SOF_FASTOPEN;
		t.s.error = 0;
		so_finish(&c->stk, idx, &t, poolc_tail(&c->stk.q), 0);
	}
	child_unlock(c);
	s->fo.ready = false;
	ctl_reply(c, s, CM_CONNECT_REPLY, -EINPROGRESS);
	ask_resolve(c, s);
}

/* There is a bind-point.  How to open, or open. */
static void connect_bound(struct child *c, struct csock *s)
{
	if (s->fo.wanted && fo_ask(c, s) == 0)
		return;
	/* The server is away, and its cookies may be lost: ask the peer for one. */
	s->wait = CW_NONE;
	s->fo.form = TCP_FO_OPT;
	connect_begun(c, s);
}

static void on_fastopen(struct child *c, struct csock *s, const struct cm_msg *m)
{
	s->wait = CW_NONE;
	fo_answered(c, s, &m->fo);
	if (s->fo.room)
		connect_ready(c, s);
	else
		connect_begun(c, s);
}

/* An AF_INET6 socket that is bound, or IPV6_V6ONLY, may be of one family only, as
 * with tcp_v6_connect().  0, or connect()'s errno. */
static int check_family(const struct child *c, const struct csock *s, const struct cm_addr *peer)
{
	bool v4 = cm_addr_is_v4(peer), bound_v4 = s->bp >= 0 && cm_addr_is_v4(&s->local);

	if (s->family != AF_INET6)
		return 0;
	if (!v4)
		return bound_v4 ? -EAFNOSUPPORT : 0;
	if (atomic_load(&c->stk.socks[s - c->socks].opts) & JS_SO_V6ONLY)
		return -ENETUNREACH;
	return bound_v4 || cm_addr_is_any(&s->local) ? 0 : -ENETUNREACH;
}

static void on_connect(struct child *c, int i, struct csock *s, const struct cm_msg *req)
{
	int err;

	/* The data is there, or there is none. */
	if (s->kind == CK_NEW && s->wait == CW_NONE && s->fo.ready && req->on) {
		s->who = i;
		s->req_id = req->id;
		connect_begun(c, s);
		return;
	}
	if (req->on || s->fo.ready) {
		answer(c, i, req, CM_CONNECT_REPLY, s->fo.ready ? -EISCONN : -EALREADY);
		return;
	}
	if (req->flags & CM_FO && !(fo_settings(c)->bits & FO_CLIENT)) {
		answer(c, i, req, CM_CONNECT_REPLY, -EOPNOTSUPP);
		return;
	}
	if (s->kind != CK_NEW || s->wait != CW_NONE || !req->peer.port) {
		answer(c, i, req, CM_CONNECT_REPLY,
		       s->kind == CK_CONN ? -EISCONN :
		       s->wait == CW_RESOLVE ? -EALREADY : -EINVAL);
		return;
	}
	err = check_family(c, s, &req->peer);
	if (err) {
		answer(c, i, req, CM_CONNECT_REPLY, err);
		return;
	}
	s->peer = req->peer;
	s->who = i;
	s->req_id = req->id;
	s->fo.wanted = req->flags & CM_FO;
	if (s->bp < 0)
		ask_bindpoint(c, s, CW_CONNECT, CM_BP_SILENT);
	else
		connect_bound(c, s);
}

/* A process has lost its queue: a new one.  Or it has taken that. */
static void on_reattach(struct child *c, int i, const struct cm_msg *req)
{
	struct cm_msg m = { .type = CM_INIT_REPLY, .version = CM_VERSION, .id = req->id,
			    .ring_id = c->stk.pc.ring_id };
	int queue;

	if (req->on) {
		reclaim_old(c, i);
		return;
	}
	/* There may be no other. */
	reclaim_let_queue(c, i);
	queue = poolc_queue_open(&c->stk.pc);
	m.err = queue < 0 ? queue : 0;
	if (queue >= 0) {
		reclaim_back(c, i, (uint32_t)queue);
		m.n = (uint32_t)queue;
	}
	cm_send_to(c->procs[i].fd, &m, NULL, 0, MSG_DONTWAIT, NULL, 0);
}

static void on_attach(struct child *c, int i, const struct cm_msg *req, int fd,
		      const struct ucred *cred)
{
	struct cm_msg no = { .type = CM_INIT_REPLY, .version = CM_VERSION, .id = req->id };
	int err;

	if (fd < 0) {
		on_reattach(c, i, req);
		return;
	}
	if (!cm_is_channel(fd)) {
		close(fd);
		answer(c, i, req, CM_GENERAL_REPLY, -EINVAL);
		return;
	}
	c->args.spawn_id = req->id;
	err = ctl_add_proc(c, fd, cred->pid);
	if (!err)
		return;
	no.err = err;
	cm_send_to(fd, &no, NULL, 0, MSG_DONTWAIT, NULL, 0);
	close(fd);
}

/* Users cause these lines: one for each of them, or they could fill the disk. */
static void warn_once(struct child *c, int i, const char *what)
{
	if (!c->procs[i].has_warned)
		log_warn("process %d: control message %s", (int)c->procs[i].pid, what);
	c->procs[i].has_warned = true;
}

/* One request.  @fd: a descriptor that came with it, or -1; ours. */
static void on_request(struct child *c, int i, const struct cm_msg *req, int fd,
		       const struct ucred *cred)
{
	struct csock *s = named(c, req);

	if (req->type == CM_ATTACH) {
		on_attach(c, i, req, fd, cred);
		return;
	}
	if (fd >= 0)
		close(fd);
	if (req->type == CM_NEW_SOCKET) {
		on_new_socket(c, i, req, cred->uid);
		return;
	}
	if (!s) {
		answer(c, i, req, CM_GENERAL_REPLY, -EBADF);
		return;
	}
	switch (req->type) {
	case CM_BIND:
		on_bind(c, i, s, req);
		break;
	case CM_LISTEN_CHILD:
		on_listen(c, i, s, req);
		break;
	case CM_CONNECT:
		on_connect(c, i, s, req);
		break;
	case CM_SET_TX_BUFS:
	case CM_SET_RX_BUFS:
		answer(c, i, req, CM_GENERAL_REPLY,
		       conn_set_bufs(c, req->sock, req->n, req->type == CM_SET_TX_BUFS));
		if (s->kind == CK_LISTENER)
			conn_tell_listener(c, req->sock, true);
		break;
	case CM_SET_REUSE_ADDR:
		s->reuse = req->on;
		if (s->bp >= 0) {
			int on = req->on;

			setsockopt(s->bp, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
		}
		answer(c, i, req, CM_GENERAL_REPLY, 0);
		break;
	case CM_FASTOPEN_KEY:
		answer(c, i, req, CM_GENERAL_REPLY, fo_set_key(c, s, req));
		break;
	default:
		warn_once(c, i, "refused");
		answer(c, i, req, CM_GENERAL_REPLY, -EINVAL);
		break;
	}
}

void ctl_proc_ready(struct child *c, int i, uint32_t events)
{
	struct ucred cred;
	struct cm_msg m;
	int fd = -1, n_fds, ret = -EAGAIN;

	if (!c->procs[i].used)
		return;
	for (int k = 0; k < 64; k++) {
		fd = -1;
		ret = cm_recv(c->procs[i].fd, &m, &fd, 1, &n_fds, &cred, MSG_DONTWAIT);
		if (ret == -EBADMSG) {
			warn_once(c, i, "malformed");
			continue;
		}
		if (ret <= 0)
			break;
		on_request(c, i, &m, n_fds ? fd : -1, &cred);
	}
	/* Not before all is read: a process that it forked may have said Attach
	 * here.  We are called again if there is more. */
	if (ret == 0 || (ret < 0 && ret != -EAGAIN && ret != -EBADMSG) ||
	    (ret == -EAGAIN && events & (EPOLLHUP | EPOLLERR)))
		reclaim_proc(c, i);
}

/* --- the server ---------------------------------------------------------------------- */

static void server_lost(struct child *c)
{
	close(c->server_fd);
	c->server_fd = -1;
	c->server_retry_us = now_us() + SERVER_RETRY_US;
}

/* The server is trusted and does not wait for us: a full channel has room
 * again soon.  If not, it is as good as dead, and is told all when it is back. */
int ctl_server_send(struct child *c, struct cm_msg *m, const int *fds, int n_fds)
{
	struct pollfd p = { .fd = c->server_fd, .events = POLLOUT };
	int err;

	m->version = CM_VERSION;
	if (c->server_fd < 0)
		return -ENOTCONN;	/* said again when it is back */
	err = cm_send_to(c->server_fd, m, fds, n_fds, MSG_DONTWAIT, NULL, 0);
	if (err == -EAGAIN && poll(&p, 1, SERVER_ROOM_MS) > 0)
		err = cm_send_to(c->server_fd, m, fds, n_fds, MSG_DONTWAIT, NULL, 0);
	if (!err)
		return 0;
	log_warn("cannot tell the connection server %s: %s", cm_names[m->type], strerror(-err));
	if (err == -EAGAIN)
		server_lost(c);
	return err;
}

/* Is the other end of @fd root's? */
static bool is_root(int fd)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0 && cred.uid == 0;
}

/* What a (new) server must know: who we are, listeners, connections, and the
 * requests that it, or its predecessor, has not answered. */
static void tell_server(struct child *c)
{
	struct cm_msg hello = { .type = CM_HELLO, .uid = c->args.user_uid,
				.n = (uint32_t)getpid(), .id = (uint32_t)c->args.user_pid };

	ctl_server_send(c, &hello, &c->stack_fd, 1);
	for (uint32_t i = 0; i < c->max_sock; i++) {
		struct csock *s = &c->socks[i];
		struct cm_msg m = { .sock = i, .gen = s->gen, .on = 1,
				    .local = s->local, .peer = s->peer };

		if (s->kind == CK_LISTENER) {
			conn_tell_listener(c, i, true);
		} else if (s->kind == CK_CONN && s->has_pool) {
			m.type = CM_FORWARD;
			m.vci = s->rxvci;
			ctl_server_send(c, &m, NULL, 0);
		}
		if (s->wait == CW_RESOLVE)
			ask_resolve(c, s);
		else if (s->wait == CW_FASTOPEN)
			fo_ask(c, s);
		else if (s->wait != CW_NONE)
			ask_bindpoint(c, s, s->wait,
				      s->wait == CW_CONNECT ? CM_BP_SILENT : 0);
	}
	/* Also what is in TIME-WAIT, that no server was there to take. */
	c->handover_us = 0;
}

void ctl_server_connect(struct child *c, uint64_t now)
{
	struct sockaddr_un sun;
	socklen_t len = cm_name_to_sun(CM_CHILDREN_NAME, &sun);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	c->server_retry_us = now + SERVER_RETRY_US;
	if (fd < 0)
		return;
	if (connect(fd, (struct sockaddr *)&sun, len) < 0 || !is_root(fd) ||
	    child_watch(c, fd, EPOLLIN | EPOLLRDHUP, EP_SERVER, 0)) {
		close(fd);
		return;
	}
	c->server_fd = fd;
	tell_server(c);
}

static void on_bindpoint(struct child *c, struct csock *s, const struct cm_msg *m, int fd)
{
	enum csock_wait wait = s->wait;

	s->wait = CW_NONE;
	if (m->err || fd < 0) {
		if (fd >= 0)
			close(fd);
		ctl_reply(c, s, wait == CW_BIND ? CM_BIND_REPLY :
			  wait == CW_CONNECT ? CM_CONNECT_REPLY : CM_GENERAL_REPLY,
			  m->err ? m->err : -EIO);
		return;
	}
	s->bp = fd;
	s->local = m->local;
	if (wait == CW_BIND)
		ctl_reply(c, s, CM_BIND_REPLY, 0);
	else if (wait == CW_LISTEN)
		listen_done(c, s);
	else
		connect_bound(c, s);
}

static void on_resolve(struct child *c, struct csock *s, const struct cm_msg *m)
{
	uint32_t idx = (uint32_t)(s - c->socks);
	int err = m->err;

	s->wait = CW_NONE;
	if (!err) {
		s->ring_id = m->ring_id & 0xf;
		s->has_iss = m->flags & CM_ISS;
		s->iss = m->n;
		if (cm_addr_is_any(&s->local))
			memcpy(s->local.addr, m->local.addr, sizeof(s->local.addr));
		/* The SYN goes to the connection server's VCI there. */
		s->txvci = vci_make(s->ring_id, JS_STREAM_IP);
		err = conn_open(c, idx, true, NULL);
		/* The pair's flow is somebody's: what Linux calls that. */
		if (err == -EADDRINUSE)
			err = -EADDRNOTAVAIL;
	}
	if (err)
		conn_fail(c, idx, -err);
}

static void on_server_msg(struct child *c, const struct cm_msg *m, int fd)
{
	struct csock *s = m->sock < JS_N_SOCKS ? &c->socks[m->sock] : NULL;

	if (m->type == CM_SYN) {
		conn_syn(c, m);
	} else if (m->type == CM_ICMP) {
		conn_icmp(c, m);
	} else if (m->type == CM_BIND_POINT_REPLY && s && s->kind != CK_FREE &&
		   s->srv_id == m->id && s->wait != CW_NONE && s->wait != CW_RESOLVE &&
		   s->wait != CW_FASTOPEN) {
		on_bindpoint(c, s, m, fd);
		return;
	} else if (m->type == CM_RESOLVE_REPLY && s && s->kind != CK_FREE &&
		   s->srv_id == m->id && s->wait == CW_RESOLVE) {
		on_resolve(c, s, m);
	} else if (m->type == CM_FASTOPEN_REPLY && s && s->kind != CK_FREE &&
		   s->srv_id == m->id && s->wait == CW_FASTOPEN) {
		on_fastopen(c, s, m);
	} else if (m->type != CM_GENERAL_REPLY) {
		log_trace("stale message %s from the server", cm_names[m->type]);
	}
	if (fd >= 0)
		close(fd);
}

void ctl_server_ready(struct child *c, uint32_t events)
{
	struct cm_msg m;
	int fd, n_fds, ret = -EAGAIN;

	if (c->server_fd < 0)
		return;
	for (int k = 0; k < 256; k++) {
		fd = -1;
		ret = cm_recv(c->server_fd, &m, &fd, 1, &n_fds, NULL, MSG_DONTWAIT);
		if (ret == -EBADMSG)
			continue;
		if (ret <= 0)
			break;
		on_server_msg(c, &m, n_fds ? fd : -1);
	}
	if (ret == 0 || (ret < 0 && ret != -EAGAIN && ret != -EBADMSG) || events & (EPOLLHUP | EPOLLERR))
		server_lost(c);
}
