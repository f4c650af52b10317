/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * preload.c - libc's names for our functions
 *
 * libjetstream-preload.so only.  Programs run unmodified with it in
 * LD_PRELOAD.  What libc calls inside itself (stdio on a socket, the
 * resolver) does not come by here.
 *
 * The names are libc's to declare, with attributes and argument types of its
 * own; each is defined here under a name of ours and given its symbol by
 * __asm__, so that no header has a say.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "stack/api/api.h"

/* Define @ret @name@args, as libc's @name. */
#define PRELOAD(ret, name, args)				\
	JET_API ret preload_##name args __asm__(#name);		\
	JET_API ret preload_##name args

struct libc_calls *jet_behind(size_t size)
{
	libc();		/* so that it is complete */
	return size == sizeof(libc_table) ? &libc_table : NULL;
}

/* --- a socket's life ----------------------------------------------------------- */

PRELOAD(int, socket, (int family, int type, int protocol))
{
	return jet_socket(family, type, protocol);
}

PRELOAD(int, bind, (int fd, const struct sockaddr *addr, socklen_t len))
{
	return jet_bind(fd, addr, len);
}

PRELOAD(int, listen, (int fd, int backlog))
{
	return jet_listen(fd, backlog);
}

PRELOAD(int, accept, (int fd, struct sockaddr *addr, socklen_t *len))
{
	return jet_accept(fd, addr, len);
}

PRELOAD(int, accept4, (int fd, struct sockaddr *addr, socklen_t *len, int flags))
{
	return jet_accept4(fd, addr, len, flags);
}

PRELOAD(int, connect, (int fd, const struct sockaddr *addr, socklen_t len))
{
	return jet_connect(fd, addr, len);
}

PRELOAD(int, shutdown, (int fd, int how))
{
	return jet_shutdown(fd, how);
}

PRELOAD(int, close, (int fd))
{
	return jet_close(fd);
}

PRELOAD(int, close_range, (unsigned int first, unsigned int last, int flags))
{
	return jet_close_range(first, last, flags);
}

PRELOAD(void, closefrom, (int first))
{
	jet_closefrom(first);
}

/* stdio closes inside libc. */
PRELOAD(int, fclose, (FILE *f))
{
	int fd = fileno(f);

	if (fd >= 0 && fdtable_get(fd).kind == FD_USER) {
		fflush(f);
		call_forget(fd);
	}
	return libc()->fclose(f);
}

/* --- data ------------------------------------------------------------------------- */

PRELOAD(ssize_t, send, (int fd, const void *buf, size_t len, int flags))
{
	return jet_send(fd, buf, len, flags);
}

PRELOAD(ssize_t, sendto, (int fd, const void *buf, size_t len, int flags,
			  const struct sockaddr *to, socklen_t to_len))
{
	return jet_sendto(fd, buf, len, flags, to, to_len);
}

PRELOAD(ssize_t, sendmsg, (int fd, const struct msghdr *msg, int flags))
{
	return jet_sendmsg(fd, msg, flags);
}

PRELOAD(int, sendmmsg, (int fd, struct mmsghdr *msgs, unsigned int n, int flags))
{
	return jet_sendmmsg(fd, msgs, n, flags);
}

PRELOAD(ssize_t, write, (int fd, const void *buf, size_t len))
{
	return jet_write(fd, buf, len);
}

PRELOAD(ssize_t, writev, (int fd, const struct iovec *iov, int n_iov))
{
	return jet_writev(fd, iov, n_iov);
}

PRELOAD(ssize_t, pwritev2, (int fd, const struct iovec *iov, int n_iov, off_t off, int flags))
{
	return jet_pwritev2(fd, iov, n_iov, off, flags);
}

PRELOAD(ssize_t, pwritev64v2, (int fd, const struct iovec *iov, int n_iov, off_t off, int flags))
{
	return jet_pwritev2(fd, iov, n_iov, off, flags);
}

PRELOAD(ssize_t, recv, (int fd, void *buf, size_t len, int flags))
{
	return jet_recv(fd, buf, len, flags);
}

PRELOAD(ssize_t, recvfrom, (int fd, void *buf, size_t len, int flags,
			    struct sockaddr *from, socklen_t *from_len))
{
	return jet_recvfrom(fd, buf, len, flags, from, from_len);
}

PRELOAD(ssize_t, recvmsg, (int fd, struct msghdr *msg, int flags))
{
	return jet_recvmsg(fd, msg, flags);
}

PRELOAD(int, recvmmsg, (int fd, struct mmsghdr *msgs, unsigned int n, int flags,
			struct timespec *timeout))
{
	return jet_recvmmsg(fd, msgs, n, flags, timeout);
}

PRELOAD(ssize_t, read, (int fd, void *buf, size_t len))
{
	return jet_read(fd, buf, len);
}

PRELOAD(ssize_t, readv, (int fd, const struct iovec *iov, int n_iov))
{
	return jet_readv(fd, iov, n_iov);
}

PRELOAD(ssize_t, preadv2, (int fd, const struct iovec *iov, int n_iov, off_t off, int flags))
{
	return jet_preadv2(fd, iov, n_iov, off, flags);
}

PRELOAD(ssize_t, preadv64v2, (int fd, const struct iovec *iov, int n_iov, off_t off, int flags))
{
	return jet_preadv2(fd, iov, n_iov, off, flags);
}

PRELOAD(ssize_t, sendfile, (int out, int in, off_t *offset, size_t count))
{
	return jet_sendfile(out, in, offset, count);
}

PRELOAD(ssize_t, sendfile64, (int out, int in, off_t *offset, size_t count))
{
	return jet_sendfile(out, in, offset, count);
}

PRELOAD(ssize_t, splice, (int in, off_t *off_in, int out, off_t *off_out, size_t len,
			  unsigned int flags))
{
	return jet_splice(in, off_in, out, off_out, len, flags);
}

/* --- programs built with _FORTIFY_SOURCE ------------------------------------------------ */

/* glibc's way to end: it also names the program. */
void chk_fail(void) __asm__("__chk_fail") __attribute__((noreturn));

PRELOAD(ssize_t, __read_chk, (int fd, void *buf, size_t len, size_t size))
{
	if (len > size)
		chk_fail();
	return jet_read(fd, buf, len);
}

PRELOAD(ssize_t, __recv_chk, (int fd, void *buf, size_t len, size_t size, int flags))
{
	if (len > size)
		chk_fail();
	return jet_recv(fd, buf, len, flags);
}

PRELOAD(ssize_t, __recvfrom_chk, (int fd, void *buf, size_t len, size_t size, int flags,
				  struct sockaddr *from, socklen_t *from_len))
{
	if (len > size)
		chk_fail();
	return jet_recvfrom(fd, buf, len, flags, from, from_len);
}

PRELOAD(int, __poll_chk, (struct pollfd *fds, nfds_t n, int timeout_ms, size_t size))
{
	if (size / sizeof(*fds) < n)
		chk_fail();
	return jet_poll(fds, n, timeout_ms);
}

PRELOAD(int, __ppoll_chk, (struct pollfd *fds, nfds_t n, const struct timespec *timeout,
			   const sigset_t *mask, size_t size))
{
	if (size / sizeof(*fds) < n)
		chk_fail();
	return jet_ppoll(fds, n, timeout, mask);
}

/* --- names, options, copies ---------------------------------------------------------------- */

PRELOAD(int, getsockname, (int fd, struct sockaddr *addr, socklen_t *len))
{
	return jet_getsockname(fd, addr, len);
}

PRELOAD(int, getpeername, (int fd, struct sockaddr *addr, socklen_t *len))
{
	return jet_getpeername(fd, addr, len);
}

PRELOAD(int, getsockopt, (int fd, int level, int name, void *val, socklen_t *len))
{
	return jet_getsockopt(fd, level, name, val, len);
}

PRELOAD(int, setsockopt, (int fd, int level, int name, const void *val, socklen_t len))
{
	return jet_setsockopt(fd, level, name, val, len);
}

PRELOAD(int, ioctl, (int fd, unsigned long req, ...))
{
	va_list ap;
	void *arg;

	va_start(ap, req);
	arg = va_arg(ap, void *);
	va_end(ap);
	return jet_ioctl(fd, req, arg);
}

PRELOAD(int, fcntl, (int fd, int cmd, ...))
{
	va_list ap;
	void *arg;

	va_start(ap, cmd);
	arg = va_arg(ap, void *);
	va_end(ap);
	return jet_fcntl(fd, cmd, arg);
}

PRELOAD(int, fcntl64, (int fd, int cmd, ...))
{
	va_list ap;
	void *arg;

	va_start(ap, cmd);
	arg = va_arg(ap, void *);
	va_end(ap);
	return jet_fcntl(fd, cmd, arg);
}

PRELOAD(int, dup, (int fd))
{
	return jet_dup(fd);
}

PRELOAD(int, dup2, (int from, int to))
{
	return jet_dup2(from, to);
}

PRELOAD(int, dup3, (int from, int to, int flags))
{
	return jet_dup3(from, to, flags);
}

/* --- waiting --------------------------------------------------------------------------------- */

PRELOAD(int, poll, (struct pollfd *fds, nfds_t n, int timeout_ms))
{
	return jet_poll(fds, n, timeout_ms);
}

PRELOAD(int, ppoll, (struct pollfd *fds, nfds_t n, const struct timespec *timeout,
		     const sigset_t *mask))
{
	return jet_ppoll(fds, n, timeout, mask);
}

PRELOAD(int, select, (int nfds, fd_set *r, fd_set *w, fd_set *x, struct timeval *timeout))
{
	return jet_select(nfds, r, w, x, timeout);
}

PRELOAD(int, pselect, (int nfds, fd_set *r, fd_set *w, fd_set *x,
		       const struct timespec *timeout, const sigset_t *mask))
{
	return jet_pselect(nfds, r, w, x, timeout, mask);
}

PRELOAD(int, epoll_ctl, (int epfd, int op, int fd, struct epoll_event *ev))
{
	return jet_epoll_ctl(epfd, op, fd, ev);
}

PRELOAD(int, epoll_wait, (int epfd, struct epoll_event *evs, int max, int timeout_ms))
{
	return jet_epoll_wait(epfd, evs, max, timeout_ms);
}

PRELOAD(int, epoll_pwait, (int epfd, struct epoll_event *evs, int max, int timeout_ms,
			   const sigset_t *mask))
{
	return jet_epoll_pwait(epfd, evs, max, timeout_ms, mask);
}

PRELOAD(int, epoll_pwait2, (int epfd, struct epoll_event *evs, int max,
			    const struct timespec *timeout, const sigset_t *mask))
{
	return jet_epoll_pwait2(epfd, evs, max, timeout, mask);
}
