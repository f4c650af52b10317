/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * call.c - a socket's life: one function for each call
 *
 * Sending and receiving are in io.c, options in opt.c, polling in poll.c and
 * epoll.c.  Each call looks its descriptor up; what is not a user-space
 * socket goes to libc unchanged.
 */
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/util.h"
#include "stack/api/api.h"

#define REBIND_US	1000000	/* for the child to let go of a bind-point */

/* --- socket ------------------------------------------------------------------------------ */

static bool is_ours(int family, int type, int protocol)
{
	return (family == AF_INET || family == AF_INET6) &&
		(type & ~(SOCK_CLOEXEC | SOCK_NONBLOCK)) == SOCK_STREAM &&
		(protocol == 0 || protocol == IPPROTO_TCP);
}

/* Descriptor flags as socket() and accept4() take them; @fd is close-on-exec,
 * as cm_recv() gives it. */
static void set_flags(struct usock *u, int type)
{
	if (!(type & SOCK_CLOEXEC))
		libc()->fcntl(u->fd, F_SETFD, 0);
	if (type & SOCK_NONBLOCK) {
		libc()->fcntl(u->fd, F_SETFL, O_RDWR | O_NONBLOCK);
		usock_opt_bit(u, JS_SO_NONBLOCK, true);
	}
}

static int socket_new(int family, int type)
{
	struct cm_msg m = { .type = CM_NEW_SOCKET, .family = (uint16_t)family };
	struct usock u;
	int fd, r;

	r = link_request(&m, &fd);
	if (!r)
		r = m.err;
	if (!r && fd < 0)
		r = -EMFILE;	/* the kernel could not give us the anchor */
	if (!r)
		r = usock_enter(fd, m.sock, m.gen, family, &u);
	if (r) {
		if (fd >= 0)
			libc()->close(fd);
		return r;
	}
	if (family == AF_INET6)
		usock_opt_bit(&u, JS_SO_V6, true);
	set_flags(&u, type);
	return fd;
}

int jet_socket(int family, int type, int protocol)
{
	int r;

	if (!is_ours(family, type, protocol))
		return libc()->socket(family, type, protocol);
	r = link_open();
	if (r == LINK_FALLBACK)
		return libc()->socket(family, type, protocol);
	return (int)api_ret(r ? r : socket_new(family, type));
}

/* --- bind, listen ------------------------------------------------------------------------- */

static int do_bind(struct usock *u, const struct sockaddr *sa, socklen_t len)
{
	struct cm_msg m = usock_msg(u, CM_BIND);
	int r = addr_in(&m.local, u->rec->family, sa, len);

	/* inet_bind(): AF_UNSPEC is AF_INET if the address is the wildcard. */
	if (r == -EAFNOSUPPORT && u->rec->family == AF_INET && len >= sizeof(struct sockaddr_in) &&
	    sa->sa_family == AF_UNSPEC &&
	    ((const struct sockaddr_in *)(const void *)sa)->sin_addr.s_addr == INADDR_ANY) {
		struct sockaddr_in in = *(const struct sockaddr_in *)(const void *)sa;

		in.sin_family = AF_INET;
		r = addr_in(&m.local, AF_INET, (struct sockaddr *)&in, sizeof(in));
	}
	if (r)
		return r;
	if (u->rec->bound)
		return -EINVAL;
	r = link_request(&m, NULL);
	if (!r)
		r = m.err;
	if (r)
		return r;
	u->rec->local = m.local;
	u->rec->bound = true;
	return 0;
}

int jet_bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	struct usock u;
	int r = usock_get(fd, &u);

	if (!r)
		return libc()->bind(fd, addr, len);
	return (int)api_ret(r < 0 ? r : do_bind(&u, addr, len));
}

/* listen() without bind(): any port. */
static int autobind(struct usock *u)
{
	struct sockaddr_storage any = { .ss_family = u->rec->family };
	socklen_t len = any.ss_family == AF_INET ? sizeof(struct sockaddr_in) :
						   sizeof(struct sockaddr_in6);

	return u->rec->bound ? 0 : do_bind(u, (struct sockaddr *)&any, len);
}

static int do_listen(struct usock *u, int backlog)
{
	struct cm_msg m = usock_msg(u, CM_LISTEN_CHILD);
	bool was = usock_is_listener(u);
	int r = was ? 0 : autobind(u);

	if (r)
		return r;
	/* inet_listen() takes it as unsigned, cut to somaxconn. */
	m.n = (unsigned int)backlog > SOMAXCONN ? SOMAXCONN : (uint32_t)backlog;
	if (!was)
		token_take(u);	/* what follows on the anchor are connections */
	r = link_simple(&m);
	if (!r && !was)
		epoll_to_kernel(u->fd, u);
	return r;
}

int jet_listen(int fd, int backlog)
{
	struct usock u;
	int r = usock_get(fd, &u);

	if (!r)
		return libc()->listen(fd, backlog);
	return (int)api_ret(r < 0 ? r : do_listen(&u, backlog));
}

/* --- accept ---------------------------------------------------------------------------------- */

/* Take one connection off a listener's anchor: its descriptor, or -Exxx. */
static int accept_one(struct usock *u, struct js_anchor_accept *a, int flags)
{
	union { struct cmsghdr align; char buf[CMSG_SPACE(sizeof(int))]; } control;
	struct iovec iov = { a, sizeof(*a) };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;
	ssize_t n;
	int fd;

	do {
		mh.msg_control = control.buf;
		/* Without the padding, in which a second descriptor has room. */
		mh.msg_controllen = CMSG_LEN(sizeof(int));
		n = libc()->recvmsg(u->fd, &mh, flags & SOCK_CLOEXEC ? MSG_CMSG_CLOEXEC : 0);
		if (n < 0)
			return -errno;
		/* shutdown() of the listener; else the child has gone. */
		if (n == 0)
			return u->rec->shut ? -EINVAL : -ENETDOWN;
		c = CMSG_FIRSTHDR(&mh);
		/* A token from before listen(). */
	} while (!c && *(uint8_t *)a == JS_ANCHOR_TOKEN);
	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS ||
	    c->cmsg_len != CMSG_LEN(sizeof(int)))
		return mh.msg_flags & MSG_CTRUNC ? -EMFILE : -EPROTO;
	memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	if (n == sizeof(*a) && a->magic == JS_ANCHOR_ACCEPT)
		return fd;
	libc()->close(fd);
	return -EPROTO;
}

static int do_accept(struct usock *l, struct sockaddr *sa, socklen_t *len, int flags)
{
	struct js_anchor_accept a;
	struct usock u;
	int fd, r;

	if (flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK))
		return -EINVAL;
	if (!usock_is_listener(l))
		return -EINVAL;
	fd = accept_one(l, &a, flags);
	if (fd < 0)
		return fd;
	if (a.is_kernel) {
		fdtable_drop(fd);
		libc()->fcntl(fd, F_SETFL, O_RDWR | (flags & SOCK_NONBLOCK ? O_NONBLOCK : 0));
	} else {
		r = usock_enter(fd, a.sock, a.gen, l->rec->family, &u);
		if (r) {
			libc()->close(fd);
			return r;
		}
		u.rec->local = a.local;
		u.rec->peer = a.peer;
		u.rec->bound = true;
		u.rec->was_connected = true;
		atomic_store(&u.js->accepted, 1);
		opt_inherit(&u, l);
		set_flags(&u, flags | SOCK_CLOEXEC);	/* recvmsg() has set that */
	}
	addr_out(&a.peer, l->rec->family, sa, len);
	return fd;
}

int jet_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
	struct usock u;
	int r = usock_get(fd, &u);

	if (!r)
		return libc()->accept4(fd, addr, len, flags);
	return (int)api_ret(r < 0 ? r : do_accept(&u, addr, len, flags));
}

int jet_accept(int fd, struct sockaddr *addr, socklen_t *len)
{
	struct usock u;
	int r = usock_get(fd, &u);

	if (!r)
		return libc()->accept(fd, addr, len);
	return (int)api_ret(r < 0 ? r : do_accept(&u, addr, len, 0));
}

/* --- connect ------------------------------------------------------------------------------------ */

/* The kernel's bind() may have to wait until the child has seen the hang-up
 * of our anchor and let its bind-point go. */
static int rebind(int fd, const struct sockrec *rec)
{
	uint64_t end = now_us() + REBIND_US;
	struct sockaddr_storage ss;
	int len = cm_addr_to_sa(&rec->local, rec->family, &ss);

	if (len < 0)
		return len;
	while (libc()->bind(fd, (struct sockaddr *)&ss, (socklen_t)len) < 0) {
		if (errno != EADDRINUSE || now_us() > end)
			return -errno;
		libc()->poll(NULL, 0, 1);
	}
	return 0;
}

/* Who is sent which signals. */
static void signals_move(int from, int to)
{
	struct f_owner_ex owner;
	int sig = libc()->fcntl(from, F_GETSIG);

	if (libc()->fcntl(from, F_GETOWN_EX, &owner) == 0)
		libc()->fcntl(to, F_SETOWN_EX, &owner);
	if (sig > 0)
		libc()->fcntl(to, F_SETSIG, sig);
}

/*
 * Put a kernel socket in the place of a user-space one that is not connected:
 * under all its numbers in this process, with its options, flags, address and
 * epoll registrations.  Copies in other processes stay what they are.
 */
static int hand_over(struct usock *u)
{
	struct fd_ent e = fdtable_get(u->fd);
	const struct sockrec rec = *u->rec;
	struct epoll_moved moved;
	int k, fd, flags;
	bool is_async;

	k = libc()->socket(rec.family, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
	if (k < 0)
		return -errno;
	opt_replay(u->rec, k);
	flags = libc()->fcntl(u->fd, F_GETFL);
	if (flags >= 0)
		libc()->fcntl(k, F_SETFL, flags & ~O_ASYNC);
	signals_move(u->fd, k);
	is_async = flags >= 0 && flags & O_ASYNC;
	for (fd = fdtable_next(0, FD_USER); fd >= 0; fd = fdtable_next(fd + 1, FD_USER)) {
		struct usock copy = *u;

		if (!fd_ent_equal(fdtable_get(fd), e))
			continue;
		copy.fd = fd;
		flags = libc()->fcntl(fd, F_GETFD);
		epoll_move_out(&copy, &moved);
		fdtable_drop(fd);
		libc()->dup3(k, fd, flags & FD_CLOEXEC ? O_CLOEXEC : 0);
		epoll_move_in(fd, &moved);
	}
	libc()->close(k);
	/* By the number that siginfo will tell. */
	if (is_async)
		libc()->fcntl(u->fd, F_SETFL, libc()->fcntl(u->fd, F_GETFL) | O_ASYNC);
	return rec.bound ? rebind(u->fd, &rec) : 0;
}

/* What became of a connect() that has begun: 0, -EINPROGRESS, or its error. */
static int connect_state(struct usock *u)
{
	struct so_info info;
	int r = so_info(u->stk, u->sock, u->gen, &info);

	if (r)
		return r;
	if (info.flags & JS_SOF_CONNECTED)
		return 0;
	if (info.flags & JS_SOF_CONNECTING && !info.error)
		return -EINPROGRESS;
	r = so_error_take(u->stk, u->sock, u->gen);
	u->rec->connecting = false;
	return r ? -r : -ECONNABORTED;
}

/* inet_wait_for_connect().  @begun: what to say if there is no end yet. */
int usock_connect_wait(struct usock *u, int begun)
{
	uint64_t deadline = 0;
	int r;

	for (;;) {
		uint32_t seq = so_seq(u->stk, u->sock, JS_WAIT_TX);

		r = connect_state(u);
		if (r != -EINPROGRESS)
			break;
		if (usock_nonblock(u, 0))
			return begun;
		if (!deadline)
			deadline = usock_deadline(u, SO_SNDTIMEO);
		r = usock_wait(u, JS_WAIT_TX, seq, deadline);
		if (r == -ETIMEDOUT)
			return begun;
		if (r)
			return r;
	}
	if (!r) {
		u->rec->connecting = false;
		u->rec->was_connected = true;
	}
	return r;
}

/* Connect.  -EINPROGRESS: it has begun; 0 (with CM_FO): the SYN waits for data. */
static int connect_ask(struct usock *u, const struct cm_addr *peer, uint32_t flags)
{
	struct cm_msg m = usock_msg(u, CM_CONNECT);
	int r;

	m.peer = *peer;
	m.flags = flags;
	r = link_request(&m, NULL);
	if (!r)
		r = m.err;
	if (r && r != -EINPROGRESS)
		return r;
	u->rec->local = m.local;
	u->rec->peer = *peer;
	if (flags & CM_FO && m.n)
		return 0;
	u->rec->connecting = true;
	return -EINPROGRESS;
}

/* TCP_FASTOPEN_CONNECT, or sendto(), has put the SYN off until there is data. */
static bool is_put_off(struct usock *u)
{
	struct so_info info;

	return so_info(u->stk, u->sock, u->gen, &info) == 0 && info.flags & JS_SOF_FASTOPEN;
}

static int connect_ours(struct usock *u, const struct cm_addr *peer)
{
	int r = -EOPNOTSUPP;

	if (usock_opts(u) & JS_SO_FO_CONNECT)
		r = connect_ask(u, peer, CM_FO);
	if (r == -EOPNOTSUPP)
		r = connect_ask(u, peer, 0);
	if (r != -EINPROGRESS)
		return r;
	/* An answer may be there already; but who does not wait expects to be
	 * told by poll() and SO_ERROR. */
	return usock_nonblock(u, 0) ? -EINPROGRESS : usock_connect_wait(u, -EINPROGRESS);
}

/* 1: it is the kernel's socket now, connect that. */
static int do_connect(struct usock *u, const struct sockaddr *sa, socklen_t len)
{
	struct cm_addr peer;
	int r;

	if (!sa)
		return -EFAULT;
	if (len < sizeof(sa->sa_family))
		return -EINVAL;
	if (usock_is_listener(u) || u->rec->was_connected)
		return -EISCONN;
	if (u->rec->connecting)
		return usock_connect_wait(u, -EALREADY);
	if (is_put_off(u))
		return -EISCONN;
	/* Dissolves an association: here there is none. */
	if (sa->sa_family == AF_UNSPEC)
		return 0;
	r = addr_in(&peer, u->rec->family, sa, len);
	if (r)
		return r;
	if (addr_is_user(&peer))
		return connect_ours(u, &peer);
	r = hand_over(u);
	return r ? r : 1;
}

int usock_connect_fast(struct usock *u, const struct sockaddr *sa, socklen_t len)
{
	struct cm_addr peer;
	int r;

	if (sa && len >= sizeof(sa->sa_family) && sa->sa_family == AF_UNSPEC)
		return -EOPNOTSUPP;
	if (usock_is_listener(u) || u->rec->was_connected)
		return -EISCONN;
	if (u->rec->connecting) {
		r = usock_connect_wait(u, -EALREADY);
		return r ? r : FAST_CONNECTED;
	}
	if (is_put_off(u))
		return 0;
	if (!sa)
		return -EINVAL;
	r = addr_in(&peer, u->rec->family, sa, len);
	if (r)
		return r;
	if (addr_is_user(&peer))
		return connect_ask(u, &peer, CM_FO);
	r = hand_over(u);
	return r ? r : FAST_KERNEL;
}

int usock_connect_go(struct usock *u)
{
	struct cm_msg m = usock_msg(u, CM_CONNECT);
	int r;

	m.on = 1;
	r = link_request(&m, NULL);
	if (!r)
		r = m.err;
	if (r == -EINPROGRESS)
		u->rec->connecting = true;
	return r;
}

int jet_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	struct usock u;
	int r = usock_get(fd, &u);

	if (r > 0)
		r = do_connect(&u, addr, len);
	else if (r == 0)
		r = 1;
	return r == 1 ? libc()->connect(fd, addr, len) : (int)api_ret(r);
}

/* --- names --------------------------------------------------------------------------------------- */

static int names(struct usock *u, bool peer, struct sockaddr *sa, socklen_t *len)
{
	struct cm_addr a = { .port = 0 };
	struct so_info info;
	int r = so_info(u->stk, u->sock, u->gen, &info);

	if (r)
		return r;
	if (!sa || !len)
		return -EFAULT;
	if (peer && (!(info.flags & JS_SOF_CONNECTED) || info.flags & JS_SOF_CLOSED))
		return -ENOTCONN;
	if (info.has_addr)
		a = peer ? info.peer : info.local;
	else if (peer)
		a = u->rec->peer;
	else if (u->rec->bound || u->rec->connecting || u->rec->was_connected)
		a = u->rec->local;
	addr_out(&a, u->rec->family, sa, len);
	return 0;
}

int usock_peername(struct usock *u, struct sockaddr *sa, socklen_t *len)
{
	return names(u, true, sa, len);
}

int jet_getsockname(int fd, struct sockaddr *addr, socklen_t *len)
{
	struct usock u;
	int r = usock_get(fd, &u);

	if (!r)
		return libc()->getsockname(fd, addr, len);
	return (int)api_ret(r < 0 ? r : names(&u, false, addr, len));
}

int jet_getpeername(int fd, struct sockaddr *addr, socklen_t *len)
{
	struct usock u;
	int r = usock_get(fd, &u);

	if (!r)
		return libc()->getpeername(fd, addr, len);
	return (int)api_ret(r < 0 ? r : names(&u, true, addr, len));
}

/* --- options, shutdown ------------------------------------------------------------------------------ */

int jet_getsockopt(int fd, int level, int name, void *val, socklen_t *len)
{
	struct usock u;
	int r = usock_get(fd, &u);

	if (!r)
		return libc()->getsockopt(fd, level, name, val, len);
	return (int)api_ret(r < 0 ? r : usock_getopt(&u, level, name, val, len));
}

int jet_setsockopt(int fd, int level, int name, const void *val, socklen_t len)
{
	struct usock u;
	int r = usock_get(fd, &u);

	if (!r)
		return libc()->setsockopt(fd, level, name, val, len);
	return (int)api_ret(r < 0 ? r : usock_setopt(&u, level, name, val, len));
}

static int do_shutdown(struct usock *u, int how)
{
	if (how != SHUT_RD && how != SHUT_WR && how != SHUT_RDWR)
		return -EINVAL;
	if (!usock_is_listener(u))
		return usock_may_enter() ? so_shutdown(u->stk, u->sock, u->gen, how) : -EAGAIN;
	if (how == SHUT_WR)
		return 0;
	/* Both ends see it: accept() ends with EINVAL, the child stops
	 * listening. */
	u->rec->shut = true;
	return (int)api_err(libc()->shutdown(u->fd, SHUT_RDWR));
}

int jet_shutdown(int fd, int how)
{
	struct usock u;
	int r = usock_get(fd, &u);

	if (!r)
		return libc()->shutdown(fd, how);
	return (int)api_ret(r < 0 ? r : do_shutdown(&u, how));
}

/* --- close --------------------------------------------------------------------------------------------- */

/* Has the FIN been acknowledged, or the connection ended? */
static bool is_gone(struct usock *u)
{
	struct so_info info;

	if (so_info(u->stk, u->sock, u->gen, &info) || info.flags & JS_SOF_CLOSED)
		return true;
	return info.tcp_state == TCPS_FIN_WAIT_2 || info.tcp_state == TCPS_TIME_WAIT ||
		info.tcp_state == TCPS_CLOSED;
}

/*
 * SO_LINGER with a time: the last close() waits for it, non-blocking or not,
 * as Linux does.  Only this process knows of no other copy, so after a fork()
 * nobody lingers: the child delivers what was sent in any case.
 */
static void linger(struct usock *u, struct fd_ent e)
{
	uint32_t s = atomic_load(&u->js->linger_s);
	uint64_t deadline;
	struct so_info info;

	if (!(usock_opts(u) & JS_SO_LINGER) || !s || usock_is_listener(u) ||
	    u->rec->fork_mark != link_fork_mark() || fdtable_count(e) != 1 || !usock_may_enter())
		return;
	/* Unread data: a reset, at once. */
	if (so_info(u->stk, u->sock, u->gen, &info) || info.rcv_cc)
		return;
	if (so_shutdown(u->stk, u->sock, u->gen, SHUT_WR))
		return;
	deadline = deadline_in_us((uint64_t)s * 1000000);
	for (;;) {
		uint32_t seq = so_seq(u->stk, u->sock, JS_WAIT_TX);
		uint64_t now = now_us();

		if (is_gone(u) || now >= deadline)
			return;
		if (so_wait(u->stk, u->sock, JS_WAIT_TX, seq, deadline - now) == -EINTR)
			return;
	}
}

void call_forget(int fd)
{
	struct fd_ent e = fdtable_get(fd);
	struct usock u;

	/* After vfork() the table is our parent's. */
	if (e.kind == FD_NONE || e.kind == FD_OWN || link_is_vfork())
		return;
	if (e.kind == FD_USER && usock_get(fd, &u) > 0) {
		linger(&u, e);
		epoll_fd_gone(&u);
	}
	fdtable_drop_if(fd, e);
	if (e.kind == FD_EPOLL)
		epoll_set_gone(e);
}

int jet_close(int fd)
{
	if (fdtable_get(fd).kind == FD_OWN)
		return (int)api_ret(-EBADF);
	call_forget(fd);
	return libc()->close(fd);
}

/* Close [first, last] but what is ours. */
static int close_around(unsigned int first, unsigned int last, int flags)
{
	const unsigned int top = MIN(last, (unsigned int)INT_MAX - 1);
	unsigned int from = first;
	int own = -1, r;

	while (from <= top) {
		own = fdtable_next((int)from, FD_OWN);
		if (own < 0 || (unsigned int)own > top)
			break;
		if ((unsigned int)own > from) {
			r = libc()->close_range(from, (unsigned int)own - 1, flags);
			if (r < 0)
				return r;
		}
		from = (unsigned int)own + 1;
	}
	return from > last ? 0 : libc()->close_range(from, last, flags);
}

int jet_close_range(unsigned int first, unsigned int last, int flags)
{
	enum fd_kind kinds[] = { FD_USER, FD_EPOLL };
	size_t i;
	int fd;

	/* CLOEXEC only marks them; the kernel checks the rest of the flags. */
	if (!(flags & CLOSE_RANGE_CLOEXEC) && first <= last && first < INT_MAX) {
		for (i = 0; i < ARRAY_SIZE(kinds); i++) {
			fd = fdtable_next((int)first, kinds[i]);
			while (fd >= 0 && (unsigned int)fd <= last) {
				call_forget(fd);
				fd = fdtable_next(fd + 1, kinds[i]);
			}
		}
	}
	return close_around(first, last, flags);
}

void jet_closefrom(int first)
{
	jet_close_range(first < 0 ? 0 : (unsigned int)first, ~0u, 0);
}

/* --- copies of descriptors ---------------------------------------------------------------------------- */

/* @to is a copy of @from now. */
static int copied(int from, int to)
{
	struct fd_ent e = fdtable_get(from);

	if (to < 0 || from == to || link_is_vfork())
		return to;
	if ((e.kind == FD_USER || e.kind == FD_EPOLL) && fdtable_set(to, e) == 0)
		return to;
	if (fdtable_get(to).kind != FD_NONE)
		fdtable_drop(to);
	return to;
}

/* dup2() is about to close @to. */
static int make_way(int from, int to)
{
	struct fd_ent e = fdtable_get(to);

	if (from == to || e.kind == FD_NONE)
		return 0;
	if (e.kind == FD_OWN)
		return link_move_own(to);
	/* Not if dup2() will fail: then @to stays open. */
	if (libc()->fcntl(from, F_GETFD) < 0)
		return -EBADF;
	call_forget(to);
	return 0;
}

int jet_dup(int fd)
{
	return copied(fd, libc()->dup(fd));
}

int jet_dup2(int from, int to)
{
	int r = make_way(from, to);

	return r ? (int)api_ret(r) : copied(from, libc()->dup2(from, to));
}

int jet_dup3(int from, int to, int flags)
{
	int r = from == to || flags & ~O_CLOEXEC ? 0 : make_way(from, to);

	return r ? (int)api_ret(r) : copied(from, libc()->dup3(from, to, flags));
}

/* What it has set at the anchor counts for our part, too. */
static void note_fcntl(struct usock *u, int cmd, void *arg)
{
	if (cmd == F_SETFL) {
		usock_opt_bit(u, JS_SO_NONBLOCK, (uintptr_t)arg & O_NONBLOCK);
		usock_opt_bit(u, JS_SO_ASYNC, (uintptr_t)arg & O_ASYNC);
	} else {
		usock_opt_bit(u, JS_SO_OWNED, cmd == F_SETOWN ? (intptr_t)arg != 0 :
						((struct f_owner_ex *)arg)->pid != 0);
	}
}

int jet_fcntl(int fd, int cmd, ...)
{
	struct usock u;
	va_list ap;
	void *arg;
	int r;

	va_start(ap, cmd);
	arg = va_arg(ap, void *);	/* an int or a pointer, as libc takes it */
	va_end(ap);
	r = libc()->fcntl(fd, cmd, arg);
	if (r < 0 || fdtable_get(fd).kind == FD_NONE)
		return r;
	if (cmd == F_DUPFD || cmd == F_DUPFD_CLOEXEC)
		return copied(fd, r);
	/* The flag is in the anchor, for whoever has no library, and in the
	 * shared state, for those who look at it at each call. */
	if ((cmd == F_SETFL || cmd == F_SETOWN || cmd == F_SETOWN_EX) && usock_get(fd, &u) > 0)
		note_fcntl(&u, cmd, arg);
	return r;
}

int jet_ioctl(int fd, unsigned long req, ...)
{
	struct usock u;
	va_list ap;
	void *arg;
	int r;

	va_start(ap, req);
	arg = va_arg(ap, void *);
	va_end(ap);
	r = usock_get(fd, &u);
	if (!r)
		return libc()->ioctl(fd, req, arg);
	return (int)api_ret(r < 0 ? r : usock_ioctl(&u, req, arg));
}
