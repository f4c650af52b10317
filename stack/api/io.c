/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * io.c - octets in and out: the loops of tcp_sendmsg() and tcp_recvmsg()
 *
 * A blocking send() returns when all of it is queued; a blocking recv() when
 * there is something, or all with MSG_WAITALL.  What was moved before a
 * signal, a time-out or an error is the result; the error is told next time.
 */
#include <limits.h>
#include <string.h>
#include <time.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "common/util.h"
#include "stack/api/api.h"

#define WINDOW		16	/* pieces handed to the stack at once */
#define NOBUF_NAP_NS	5000000	/* until others have given some back */
#define NOBUF_TRIES	6000	/* 30 s: the node is out of buffers for good */
#define COPY_SIZE	16384	/* octets of sendfile() between two system calls */

/* --- a position in the application's buffers ------------------------------------------ */

struct pos {
	const struct iovec *iov;
	size_t n_iov;
	size_t off;		/* into iov[0] */
	size_t left;		/* octets behind us */
};

/* Octets of @iov; -EFAULT, -EINVAL as the kernel's import_iovec().  @used:
 * the buffers will be touched. */
static ssize_t iov_check(const struct iovec *iov, size_t n_iov, bool used)
{
	size_t sum = 0, i;

	if (n_iov && !iov)
		return -EFAULT;
	for (i = 0; i < n_iov; i++) {
		if (iov[i].iov_len > SSIZE_MAX)
			return -EINVAL;
		if (used && iov[i].iov_len && !iov[i].iov_base)
			return -EFAULT;
		sum += MIN(iov[i].iov_len, (size_t)SSIZE_MAX - sum);
	}
	return (ssize_t)sum;
}

static int pos_init(struct pos *p, const struct iovec *iov, size_t n_iov, bool used)
{
	ssize_t sum = iov_check(iov, n_iov, used);

	*p = (struct pos){ .iov = iov, .n_iov = n_iov, .left = sum > 0 ? (size_t)sum : 0 };
	return sum < 0 ? (int)sum : 0;
}

static void pos_advance(struct pos *p, size_t n)
{
	p->left -= n;
	p->off += n;
	while (p->n_iov && p->off >= p->iov[0].iov_len) {
		p->off -= p->iov[0].iov_len;
		p->iov++;
		p->n_iov--;
	}
}

/* The next pieces, into @win. */
static int pos_window(const struct pos *p, struct iovec win[WINDOW])
{
	int n = (int)MIN(p->n_iov, (size_t)WINDOW);

	memcpy(win, p->iov, (size_t)n * sizeof(*win));
	if (n) {
		win[0].iov_base = (char *)win[0].iov_base + p->off;
		win[0].iov_len -= p->off;
	}
	return n;
}

/* False: from a signal handler, in a thread that is inside. */
static bool enter(struct usock *u)
{
	uint32_t opts = usock_opts(u);

	if (!usock_may_enter()) {
		/* The signal was in vain, another will come. */
		if (opts & JS_SO_ASYNC)
			so_ask_token(u->stk, u->sock);
		return false;
	}
	/* Nobody else takes off the tokens that brought signals; but whoever is in
	 * poll() shall see his, and takes them off himself. */
	if (opts & (JS_SO_ASYNC | JS_SO_OWNED) &&
	    !atomic_load_explicit(&u->rec->pollers, memory_order_relaxed))
		token_take(u);
	return true;
}

/* --- send ------------------------------------------------------------------------------- */

/* Something is wrong with the connection that the next call will tell. */
static bool has_error(struct usock *u)
{
	struct so_info info;

	return so_info(u->stk, u->sock, u->gen, &info) || info.error;
}

static ssize_t send_fail(ssize_t err, int flags)
{
	/* tcp_sendmsg() calls a socket that was never connected a broken pipe. */
	if (err == -ENOTCONN)
		err = -EPIPE;
	if (err == -EPIPE && !(flags & MSG_NOSIGNAL))
		raise(SIGPIPE);
	return err;
}

/* Whoever has asked for signals gets one when there is room. */
static void ask_for_room(struct usock *u)
{
	so_notify(u->stk, u->sock, 1u << JS_WAIT_TX);
	if (so_poll(u->stk, u->sock, u->gen) & POLLOUT)
		so_ask_token(u->stk, u->sock);
}

/* No room: wait for some.  0, -EAGAIN, -EINTR. */
static int send_wait(struct usock *u, uint32_t seq, uint64_t *deadline, int flags)
{
	int r;

	atomic_fetch_add_explicit(&u->rec->nospace, 1, memory_order_relaxed);
	if (usock_nonblock(u, flags)) {
		if (usock_opts(u) & JS_SO_ASYNC)
			ask_for_room(u);
		return -EAGAIN;
	}
	if (!*deadline)
		*deadline = usock_deadline(u, SO_SNDTIMEO);
	r = usock_wait(u, JS_WAIT_TX, seq, *deadline);
	return r == -ETIMEDOUT ? -EAGAIN : r;
}

/* The socket has become the kernel's: ask it. */
#define SEND_KERNEL	(-ELNRNG)

static ssize_t send_fast(struct usock *u, struct pos *p, int flags, const struct sockaddr *to,
			 socklen_t to_len);

/* What is left behind @p; @done octets went before. */
static ssize_t send_pos(struct usock *u, struct pos *p, ssize_t done, int flags)
{
	struct iovec win[WINDOW];
	uint64_t deadline = 0;
	int nobuf = 0;
	ssize_t n;

	do {
		uint32_t seq = so_seq(u->stk, u->sock, JS_WAIT_TX);
		int n_win = pos_window(p, win);
		/* What does not fit in win follows at once. */
		int more = (size_t)n_win < p->n_iov ? MSG_MORE : flags & (MSG_MORE | MSG_EOR);

		n = so_send(u->stk, u->sock, u->gen, win, n_win, more | (flags & MSG_OOB));
		if (n >= 0) {
			pos_advance(p, (size_t)n);
			done += n;
			continue;
		}
		/* The kernel's TCP waits for memory as for room.  Nobody wakes
		 * us when a node has buffers again: look now and then. */
		if (n == -ENOBUFS && nobuf++ < NOBUF_TRIES) {
			n = send_wait(u, seq, &deadline, flags);
			if (!n)
				nanosleep(&(struct timespec){ .tv_nsec = NOBUF_NAP_NS }, NULL);
		} else if (n == -EAGAIN) {
			n = send_wait(u, seq, &deadline, flags);
		}
		if (n == 0 && done && has_error(u))
			return done;
		if (n == -EINPROGRESS && !done)
			return send_fast(u, p, flags, NULL, 0);
		if (n)
			return done ? done : send_fail(n, flags);
	} while (p->left);
	return done;
}

/*
 * sendto() with MSG_FASTOPEN, and the first write to a socket whose connect()
 * was put off (tcp_sendmsg_fastopen()): connect and send in one.  The SYN takes
 * what it has room for; if we may wait, the rest follows when it is answered.
 */
static ssize_t send_fast(struct usock *u, struct pos *p, int flags, const struct sockaddr *to,
			 socklen_t to_len)
{
	struct iovec win[WINDOW];
	ssize_t done = 0, n = 1;
	int r = usock_connect_fast(u, to, to_len);

	if (r == FAST_CONNECTED)
		return send_pos(u, p, 0, flags);
	if (r == 0) {
		while (p->left && n > 0) {
			n = so_send_syn(u->stk, u->sock, u->gen, win, pos_window(p, win),
					!usock_nonblock(u, flags));
			if (n <= 0)
				break;
			pos_advance(p, (size_t)n);
			done += n;
		}
		/* No buffers: a SYN without data is as good. */
		if (n < 0 && n != -EAGAIN && n != -ENOBUFS)
			return n;
		r = usock_connect_go(u);
	}
	if (r == FAST_KERNEL)
		return SEND_KERNEL;
	if (r == -EINPROGRESS && !usock_nonblock(u, flags))
		r = usock_connect_wait(u, -EINPROGRESS);
	if (r == -EINPROGRESS)
		return done ? done : r;
	if (r || !p->left)
		return r ? send_fail(r, flags) : done;
	return send_pos(u, p, done, flags);
}

static ssize_t send_any(struct usock *u, const struct iovec *iov, size_t n_iov, int flags,
			const struct sockaddr *to, socklen_t to_len)
{
	struct pos p;
	int r = pos_init(&p, iov, n_iov, true);

	if (r)
		return r;
	if (!enter(u))
		return -EAGAIN;
	return flags & MSG_FASTOPEN ? send_fast(u, &p, flags, to, to_len) :
				      send_pos(u, &p, 0, flags);
}

/* With an address, at which a stream does not look unless it opens fast. */
static ssize_t send_to(struct usock *u, const struct iovec *iov, size_t n_iov, int flags,
		       const struct sockaddr *to, socklen_t to_len, uint32_t stamps)
{
	ssize_t n = send_any(u, iov, n_iov, flags, to, to_len);

	if (stamps && n > 0)
		so_stamp_sent(u->stk, u->sock, u->gen, stamps);
	if (flags & MSG_ZEROCOPY && n > 0 && usock_opts(u) & JS_SO_ZEROCOPY)
		so_zerocopy_sent(u->stk, u->sock, u->gen);
	return n;
}

ssize_t usock_send(struct usock *u, const struct iovec *iov, size_t n_iov, int flags)
{
	return send_to(u, iov, n_iov, flags & ~MSG_FASTOPEN, NULL, 0, usock_stamps(u));
}

/* --- recv ------------------------------------------------------------------------------- */

/* Nothing there: wait for more.  0, -EAGAIN, -EINTR. */
static int recv_wait(struct usock *u, uint32_t seq, uint64_t *deadline, int flags)
{
	int r;

	if (usock_nonblock(u, flags))
		return -EAGAIN;
	if (!*deadline)
		*deadline = usock_deadline(u, SO_RCVTIMEO);
	r = usock_wait(u, JS_WAIT_RX, seq, *deadline);
	return r == -ETIMEDOUT ? -EAGAIN : r;
}

/* MSG_PEEK takes nothing, so it waits until all it wants is there at once. */
static ssize_t recv_peek(struct usock *u, const struct pos *p, size_t target, int flags)
{
	uint64_t deadline = 0;
	struct iovec win[WINDOW];
	struct so_info info;
	ssize_t n;
	int r;

	for (;;) {
		uint32_t seq = so_seq(u->stk, u->sock, JS_WAIT_RX);
		const int end = JS_SOF_EOF | JS_SOF_RD_SHUT | JS_SOF_CLOSED;

		r = so_info(u->stk, u->sock, u->gen, &info);
		if (r)
			return r;
		/* A window that is full will not become fuller. */
		if (info.rcv_cc >= MIN(target, (size_t)info.rcv_hiwat / 2) ||
		    info.error || info.flags & end)
			break;
		if (!(info.flags & (JS_SOF_CONNECTED | JS_SOF_CONNECTING)))
			return -ENOTCONN;
		r = recv_wait(u, seq, &deadline, flags);
		if (r && !info.rcv_cc)
			return r;
		if (r)
			break;
	}
	n = so_recv(u->stk, u->sock, u->gen, win, pos_window(p, win),
		    MSG_PEEK | (flags & MSG_TRUNC));
	return n;
}

/* recv(MSG_OOB): one octet, whatever is asked for. */
static ssize_t recv_oob(struct usock *u, const struct pos *p, int flags)
{
	struct iovec win[WINDOW];
	uint8_t octet;
	int n, i;

	if (!enter(u)) {
		/* From SIGURG's handler: likewise. */
		if (usock_opts(u) & JS_SO_OWNED) {
			so_notify(u->stk, u->sock, 1u << JS_WAIT_URG);
			so_ask_token(u->stk, u->sock);
		}
		return -EAGAIN;
	}
	n = so_recv_oob(u->stk, u->sock, u->gen, &octet, flags & MSG_PEEK);
	if (n <= 0)
		return n;
	for (i = 0, n = pos_window(p, win); i < n; i++) {
		if (!win[i].iov_len)
			continue;
		if (!(flags & MSG_TRUNC))
			*(uint8_t *)win[i].iov_base = octet;
		break;
	}
	return 1;
}

/* recv() does not go on beyond the urgent mark. */
static bool is_at_mark(struct usock *u)
{
	struct so_info info;

	return so_info(u->stk, u->sock, u->gen, &info) == 0 && info.at_mark;
}

ssize_t usock_recv(struct usock *u, const struct iovec *iov, size_t n_iov, int flags)
{
	size_t target, done = 0;
	struct iovec win[WINDOW];
	uint64_t deadline = 0;
	struct pos p;
	ssize_t n;
	int r = pos_init(&p, iov, n_iov, !(flags & MSG_TRUNC));

	if (r)
		return r;
	if (flags & MSG_ERRQUEUE)
		return ctl_errqueue(u, NULL);
	if (flags & MSG_OOB)
		return recv_oob(u, &p, flags);
	if (!enter(u))
		return -EAGAIN;
	/* sock_rcvlowat() */
	target = flags & MSG_WAITALL ? p.left : MIN(p.left, (size_t)u->rec->rcvlowat);
	target = target ? target : 1;
	if (flags & MSG_PEEK)
		return recv_peek(u, &p, target, flags);
	for (;;) {
		uint32_t seq = so_seq(u->stk, u->sock, JS_WAIT_RX);

		n = so_recv(u->stk, u->sock, u->gen, win, pos_window(&p, win), flags & MSG_TRUNC);
		if (n > 0) {
			pos_advance(&p, (size_t)n);
			done += (size_t)n;
		} else if (n == 0) {
			return (ssize_t)done;	/* end of file, or nothing was wanted */
		}
		if (!p.left || (n > 0 && done >= target))
			return (ssize_t)done;
		if (n > 0 && is_at_mark(u))
			return (ssize_t)done;
		if (n == -EAGAIN)
			n = recv_wait(u, seq, &deadline, flags);
		else if (n > 0)
			continue;
		/* The error is told next time: data first. */
		if (n)
			return done ? (ssize_t)done : n;
		if (done && has_error(u))
			return (ssize_t)done;
	}
}

/* --- the calls ------------------------------------------------------------------------------ */

ssize_t jet_sendto(int fd, const void *buf, size_t len, int flags,
		   const struct sockaddr *to, socklen_t to_len)
{
	struct iovec iov = { (void *)buf, len };
	struct usock u;
	int r = usock_get(fd, &u);
	ssize_t n;

	if (!r)
		return libc()->sendto(fd, buf, len, flags, to, to_len);
	if (r < 0)
		return api_ret(r);
	n = send_to(&u, &iov, 1, flags, to, to_len, usock_stamps(&u));
	return n == SEND_KERNEL ? libc()->sendto(fd, buf, len, flags, to, to_len) : api_ret(n);
}

ssize_t jet_send(int fd, const void *buf, size_t len, int flags)
{
	struct iovec iov = { (void *)buf, len };
	struct usock u;
	int r = usock_get(fd, &u);

	if (!r)
		return libc()->send(fd, buf, len, flags);
	return api_ret(r < 0 ? r : send_to(&u, &iov, 1, flags, NULL, 0, usock_stamps(&u)));
}

ssize_t jet_write(int fd, const void *buf, size_t len)
{
	struct iovec iov = { (void *)buf, len };
	struct usock u;
	int r = usock_get(fd, &u);

	if (!r)
		return libc()->write(fd, buf, len);
	return api_ret(r < 0 ? r : usock_send(&u, &iov, 1, 0));
}

ssize_t jet_writev(int fd, const struct iovec *iov, int n_iov)
{
	struct usock u;
	int r = usock_get(fd, &u);

	if (!r)
		return libc()->writev(fd, iov, n_iov);
	if (n_iov < 0 || n_iov > IOV_MAX)
		return api_ret(-EINVAL);
	return api_ret(r < 0 ? r : usock_send(&u, iov, (size_t)n_iov, 0));
}

ssize_t jet_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	struct usock u;
	int r = usock_get(fd, &u);
	uint32_t stamps;
	ssize_t n;

	if (!r)
		return libc()->sendmsg(fd, msg, flags);
	if (!msg)
		return api_ret(-EFAULT);
	if (msg->msg_iovlen > IOV_MAX)
		return api_ret(-EMSGSIZE);
	if (r < 0)
		return api_ret(r);
	stamps = usock_stamps(&u);
	r = ctl_stamps(msg, &stamps);
	if (r)
		return api_ret(r);
	n = send_to(&u, msg->msg_iov, msg->msg_iovlen, flags, msg->msg_name, msg->msg_namelen,
		    stamps);
	return n == SEND_KERNEL ? libc()->sendmsg(fd, msg, flags) : api_ret(n);
}

int jet_sendmmsg(int fd, struct mmsghdr *msgs, unsigned int n, int flags)
{
	struct usock u;
	int r = usock_get(fd, &u);
	unsigned int i;

	if (!r)
		return libc()->sendmmsg(fd, msgs, n, flags);
	for (i = 0; i < n && i < IOV_MAX; i++) {
		ssize_t sent = jet_sendmsg(fd, &msgs[i].msg_hdr, flags);

		if (sent < 0)
			return i ? (int)i : -1;
		msgs[i].msg_len = (unsigned int)sent;
	}
	return (int)i;
}

ssize_t jet_recv(int fd, void *buf, size_t len, int flags)
{
	struct iovec iov = { buf, len };
	struct usock u;
	int r = usock_get(fd, &u);

	if (!r)
		return libc()->recv(fd, buf, len, flags);
	return api_ret(r < 0 ? r : usock_recv(&u, &iov, 1, flags));
}

ssize_t jet_recvfrom(int fd, void *buf, size_t len, int flags,
		     struct sockaddr *from, socklen_t *from_len)
{
	struct iovec iov = { buf, len };
	struct usock u;
	ssize_t n = usock_get(fd, &u);

	if (!n)
		return libc()->recvfrom(fd, buf, len, flags, from, from_len);
	if (n > 0)
		n = usock_recv(&u, &iov, 1, flags);
	if (n >= 0 && from && from_len)
		*from_len = 0;		/* a stream has no addresses */
	return api_ret(n);
}

ssize_t jet_read(int fd, void *buf, size_t len)
{
	struct iovec iov = { buf, len };
	struct usock u;
	int r = usock_get(fd, &u);

	if (!r)
		return libc()->read(fd, buf, len);
	if (r > 0 && !len)
		return 0;		/* read() of nothing does not wait, recv() does */
	return api_ret(r < 0 ? r : usock_recv(&u, &iov, 1, 0));
}

ssize_t jet_readv(int fd, const struct iovec *iov, int n_iov)
{
	struct usock u;
	ssize_t r = usock_get(fd, &u);

	if (!r)
		return libc()->readv(fd, iov, n_iov);
	if (n_iov < 0 || n_iov > IOV_MAX)
		return api_ret(-EINVAL);
	if (r > 0) {
		r = iov_check(iov, (size_t)n_iov, true);
		if (r > 0)
			r = usock_recv(&u, iov, (size_t)n_iov, 0);
	}
	return api_ret(r);
}

ssize_t jet_recvmsg(int fd, struct msghdr *msg, int flags)
{
	struct usock u;
	ssize_t n = usock_get(fd, &u);

	if (!n)
		return libc()->recvmsg(fd, msg, flags);
	if (!msg)
		return api_ret(-EFAULT);
	if (msg->msg_iovlen > IOV_MAX)
		return api_ret(-EMSGSIZE);
	if (n > 0 && flags & MSG_ERRQUEUE)
		return api_ret(ctl_errqueue(&u, msg));
	if (n > 0) {
		n = usock_recv(&u, msg->msg_iov, msg->msg_iovlen, flags);
		if (n >= 0)
			ctl_received(&u, msg);
	}
	return api_ret(n);
}

int jet_recvmmsg(int fd, struct mmsghdr *msgs, unsigned int n, int flags,
		 struct timespec *timeout)
{
	uint64_t deadline;
	struct usock u;
	int r = usock_get(fd, &u);
	unsigned int i;

	if (!r)
		return libc()->recvmmsg(fd, msgs, n, flags, timeout);
	if (deadline_of(timeout, &deadline))
		return (int)api_ret(-EINVAL);
	for (i = 0; i < n && i < IOV_MAX; i++) {
		ssize_t got = jet_recvmsg(fd, &msgs[i].msg_hdr, flags & ~MSG_WAITFORONE);

		if (got < 0)
			return i ? (int)i : -1;
		msgs[i].msg_len = (unsigned int)got;
		if (flags & MSG_WAITFORONE)
			flags |= MSG_DONTWAIT;
		/* As the kernel: looked at after a message only. */
		if (!deadline_ms(deadline)) {
			i++;
			break;
		}
	}
	return (int)i;
}

/* RWF_* of a stream: only "do not wait" means something. */
static bool rwf_ok(off_t offset, int flags)
{
	return offset == -1 && !(flags & ~RWF_NOWAIT);
}

ssize_t jet_preadv2(int fd, const struct iovec *iov, int n_iov, off_t offset, int flags)
{
	struct usock u;
	int r = usock_get(fd, &u);

	if (r <= 0 || !rwf_ok(offset, flags))
		return libc()->preadv2(fd, iov, n_iov, offset, flags);
	if (n_iov < 0 || n_iov > IOV_MAX)
		return api_ret(-EINVAL);
	return api_ret(usock_recv(&u, iov, (size_t)n_iov, flags ? MSG_DONTWAIT : 0));
}

ssize_t jet_pwritev2(int fd, const struct iovec *iov, int n_iov, off_t offset, int flags)
{
	struct usock u;
	int r = usock_get(fd, &u);

	if (r <= 0 || !rwf_ok(offset, flags))
		return libc()->pwritev2(fd, iov, n_iov, offset, flags);
	if (n_iov < 0 || n_iov > IOV_MAX)
		return api_ret(-EINVAL);
	return api_ret(usock_send(&u, iov, (size_t)n_iov, flags ? MSG_DONTWAIT : 0));
}

/* --- sendfile ----------------------------------------------------------------------------------- */

/* Copy from @at of @in; octets sent, or the error before the first. */
static ssize_t copy_file(struct usock *u, int in, off_t at, size_t count)
{
	char buf[COPY_SIZE];
	size_t done = 0;

	while (done < count) {
		struct iovec iov = { buf, MIN(count - done, sizeof(buf)) };
		ssize_t got = pread(in, buf, iov.iov_len, at + (off_t)done);
		ssize_t sent;

		if (got <= 0)
			return done ? (ssize_t)done : api_err(got);
		iov.iov_len = (size_t)got;
		sent = usock_send(u, &iov, 1, done + (size_t)got < count ? MSG_MORE : 0);
		if (sent < 0)
			return done ? (ssize_t)done : sent;
		done += (size_t)sent;
		if (sent < got)
			break;
	}
	return (ssize_t)done;
}

ssize_t jet_sendfile(int out, int in, off_t *offset, size_t count)
{
	struct usock u, from;
	int r = usock_get(out, &u);
	ssize_t n;
	off_t at;

	if (!r)
		return libc()->sendfile(out, in, offset, count);
	if (r < 0)
		return api_ret(r);
	if (usock_get(in, &from))
		return api_ret(-EINVAL);
	at = offset ? *offset : lseek(in, 0, SEEK_CUR);
	if (at < 0)
		return api_ret(-EINVAL);	/* a pipe: callers copy by themselves then */
	n = copy_file(&u, in, at, count);
	if (n > 0 && offset)
		*offset = at + n;
	else if (n > 0)
		lseek(in, at + n, SEEK_SET);
	return api_ret(n);
}

ssize_t jet_splice(int in, off_t *off_in, int out, off_t *off_out, size_t len,
		   unsigned int flags)
{
	struct usock u;

	/* The kernel would move tokens; callers fall back on EINVAL. */
	if (usock_get(in, &u) || usock_get(out, &u))
		return api_ret(-EINVAL);
	return libc()->splice(in, off_in, out, off_out, len, flags);
}
