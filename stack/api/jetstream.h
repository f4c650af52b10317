/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * jetstream.h - sockets of the Jetstream testbed's user-space TCP
 * (installed as jetstream/socket.h; link with -ljetstream)
 *
 * Each function is the socket call of the same name without "jet_", for
 * AF_INET and AF_INET6 (v4-mapped, too) stream sockets served by our TCP; given any
 * other descriptor it calls libc's.  So one program can use both, and
 * libjetstream-preload.so is these functions under libc's names.  Meaning,
 * arguments, results and errno are Linux's; below is what differs or what is
 * worth saying.  Descriptors are real ones: fstat(), dup() and
 * fork() count them, but read and write them only through this library.  Across
 * exec() and SCM_RIGHTS they do not work.
 *
 * Context: any thread.  In a signal handler: a call that finds its own thread
 * inside this library gives EAGAIN instead of waiting for itself.  The calls
 * that block are points where cancellation is tested, but a thread that sleeps
 * on a user-space socket is not woken by it.
 *
 * Any call: ENETDOWN, no connection server in this network namespace, or the
 * child or the ring has gone (with JETSTREAM_FALLBACK=1 jet_socket() gives
 * kernel sockets instead).
 *
 * Environment (not of setuid programs): JETSTREAM_PREFIXES, addresses that
 * our TCP reaches, default 10.74.0.0/16,fd4a:5300::/64; JETSTREAM_FALLBACK;
 * JETSTREAM_RX=child, threads that wait do not process packets;
 * JETSTREAM_TRACE, control messages on standard error.
 */
#ifndef JETSTREAM_SOCKET_H
#define JETSTREAM_SOCKET_H

#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

#define JET_API		__attribute__((visibility("default")))

/* --- a socket's life ----------------------------------------------------------- */

/* AF_INET or AF_INET6, SOCK_STREAM, protocol 0 or IPPROTO_TCP are ours.  The
 * first one of a process makes its stack and its child.  ENFILE: the stack has
 * no socket left. */
JET_API int jet_socket(int family, int type, int protocol);
/* The address is reserved in the kernel too.  EADDRINUSE, EADDRNOTAVAIL,
 * EACCES as the kernel says. */
JET_API int jet_bind(int fd, const struct sockaddr *addr, socklen_t len);
/* Also for the kernel's TCP: loopback and other interfaces. */
JET_API int jet_listen(int fd, int backlog);
/* A connection that came by the kernel's TCP is a plain kernel socket. */
JET_API int jet_accept(int fd, struct sockaddr *addr, socklen_t *len);
JET_API int jet_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags);
/* Out of JETSTREAM_PREFIXES, and to this node's own addresses: a kernel socket
 * takes the descriptor's place, with its options, address and epoll
 * registrations.  AF_UNSPEC on a connection: EISCONN. */
JET_API int jet_connect(int fd, const struct sockaddr *addr, socklen_t len);
/* Reading from a listener: accept() ends with EINVAL, for good. */
JET_API int jet_shutdown(int fd, int how);
/* What send() accepted is delivered, also if the process is killed.  Waits
 * only with SO_LINGER, and not in a process that has forked. */
JET_API int jet_close(int fd);
JET_API int jet_close_range(unsigned int first, unsigned int last, int flags);
JET_API void jet_closefrom(int first);

/* --- data ------------------------------------------------------------------------- */

/* MSG_DONTWAIT, MSG_NOSIGNAL, MSG_MORE, MSG_OOB.  Control data is not looked
 * at. */
JET_API ssize_t jet_send(int fd, const void *buf, size_t len, int flags);
JET_API ssize_t jet_sendto(int fd, const void *buf, size_t len, int flags,
			   const struct sockaddr *to, socklen_t to_len);
JET_API ssize_t jet_sendmsg(int fd, const struct msghdr *msg, int flags);
JET_API int jet_sendmmsg(int fd, struct mmsghdr *msgs, unsigned int n, int flags);
JET_API ssize_t jet_write(int fd, const void *buf, size_t len);
JET_API ssize_t jet_writev(int fd, const struct iovec *iov, int n_iov);
/* Offset -1 only: a stream has none. */
JET_API ssize_t jet_pwritev2(int fd, const struct iovec *iov, int n_iov, off_t offset, int flags);
/* MSG_DONTWAIT, MSG_PEEK, MSG_TRUNC (drop), MSG_WAITALL, MSG_OOB.  With both of the
 * latter's kin, MSG_PEEK | MSG_WAITALL waits for at most half of SO_RCVBUF. */
JET_API ssize_t jet_recv(int fd, void *buf, size_t len, int flags);
JET_API ssize_t jet_recvfrom(int fd, void *buf, size_t len, int flags,
			     struct sockaddr *from, socklen_t *from_len);
JET_API ssize_t jet_recvmsg(int fd, struct msghdr *msg, int flags);
JET_API int jet_recvmmsg(int fd, struct mmsghdr *msgs, unsigned int n, int flags,
			 struct timespec *timeout);
JET_API ssize_t jet_read(int fd, void *buf, size_t len);
JET_API ssize_t jet_readv(int fd, const struct iovec *iov, int n_iov);
JET_API ssize_t jet_preadv2(int fd, const struct iovec *iov, int n_iov, off_t offset, int flags);
/* Copies through a buffer.  EINVAL if @in is no file: fall back on copying. */
JET_API ssize_t jet_sendfile(int out, int in, off_t *offset, size_t count);
/* EINVAL for user-space sockets: fall back on copying. */
JET_API ssize_t jet_splice(int in, off_t *off_in, int out, off_t *off_out, size_t len,
			   unsigned int flags);

/* --- names and options ---------------------------------------------------------------- */

JET_API int jet_getsockname(int fd, struct sockaddr *addr, socklen_t *len);
JET_API int jet_getpeername(int fd, struct sockaddr *addr, socklen_t *len);
/* TCP_USER_TIMEOUT that both sides agree on (RFC 5482), at IPPROTO_TCP; an int,
 * seconds, 0 to 65535.  Not 0: the User Timeout option tells the peer that a
 * connection may be without progress for so long, and if the peer says the same,
 * the longer counts here, from 100 s to an hour; unless TCP_USER_TIMEOUT is set,
 * which wins.  0, the default: the option is neither sent nor heard. */
#define JET_TCP_UTO	0x55544f

/* Honoured: SO_ERROR TYPE DOMAIN PROTOCOL ACCEPTCONN REUSEADDR LINGER SNDBUF
 * RCVBUF RCVLOWAT RCVTIMEO SNDTIMEO KEEPALIVE OOBINLINE; TCP_NODELAY CORK
 * QUICKACK INFO MAXSEG CONGESTION KEEPIDLE KEEPINTVL KEEPCNT USER_TIMEOUT
 * SYNCNT LINGER2 DEFER_ACCEPT WINDOW_CLAMP NOTSENT_LOWAT; IP_TOS TTL.
 * Others are checked by the kernel, kept, and read back. */
JET_API int jet_getsockopt(int fd, int level, int name, void *val, socklen_t *len);
JET_API int jet_setsockopt(int fd, int level, int name, const void *val, socklen_t len);
/* FIONREAD, SIOCOUTQ, FIONBIO …; interface requests are the kernel's. */
JET_API int jet_ioctl(int fd, unsigned long req, ...);
JET_API int jet_fcntl(int fd, int cmd, ...);
JET_API int jet_dup(int fd);
JET_API int jet_dup2(int from, int to);
JET_API int jet_dup3(int from, int to, int flags);

/* --- waiting: sockets of both kinds and any other descriptors ------------------------------ */

JET_API int jet_poll(struct pollfd *fds, nfds_t n, int timeout_ms);
JET_API int jet_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout,
		      const sigset_t *mask);
JET_API int jet_select(int nfds, fd_set *r, fd_set *w, fd_set *x, struct timeval *timeout);
JET_API int jet_pselect(int nfds, fd_set *r, fd_set *w, fd_set *x,
			const struct timespec *timeout, const sigset_t *mask);
/* Sets are made with epoll_create1().  A registration goes when the descriptor
 * it was made with is closed, also if a copy remains.  A set with user-space
 * sockets in it cannot be watched by another epoll set, but by poll(). */
JET_API int jet_epoll_ctl(int epfd, int op, int fd, struct epoll_event *ev);
JET_API int jet_epoll_wait(int epfd, struct epoll_event *evs, int max, int timeout_ms);
JET_API int jet_epoll_pwait(int epfd, struct epoll_event *evs, int max, int timeout_ms,
			    const sigset_t *mask);
JET_API int jet_epoll_pwait2(int epfd, struct epoll_event *evs, int max,
			     const struct timespec *timeout, const sigset_t *mask);

#ifdef __cplusplus
}
#endif

#endif
