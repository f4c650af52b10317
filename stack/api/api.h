/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * api.h - inside libjetstream: what its files share
 *
 * All of it runs in the application.  Errors travel as -Exxx; only the jet_*
 * functions turn them into -1 and errno, with api_ret().
 *
 * Locks, each for a short time, never two of one kind, in this order:
 *	struct ep.lock		one epoll set
 *	link's request lock	one control request at a time
 *	the stack's lock	inside stack/sock
 * The descriptor table is read and written without a lock.
 *
 * Signal handlers may interrupt any of this and call us again.  Requests
 * block signals while they hold their lock; who finds his own thread inside
 * an epoll set or the stack does not wait for himself but returns -EAGAIN.
 */
#ifndef STACK_API_API_H
#define STACK_API_API_H

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>

#include "abi/anchor.h"
#include "stack/api/jetstream.h"
#include "stack/shm/cm.h"
#include "stack/sock/sock.h"

#define API_TLS		static __thread __attribute__((tls_model("initial-exec")))

static inline ssize_t api_ret(ssize_t r)
{
	if (r >= 0)
		return r;
	errno = (int)-r;
	return -1;
}

/* What a libc call returned, as -Exxx. */
static inline ssize_t api_err(ssize_t r)
{
	return r < 0 ? -errno : r;
}

/* --- libc.c: the functions behind ours ---------------------------------------- */

struct libc_calls {
	_Atomic bool ready;
	int (*socket)(int, int, int);
	int (*bind)(int, const struct sockaddr *, socklen_t);
	int (*listen)(int, int);
	int (*accept)(int, struct sockaddr *, socklen_t *);
	int (*accept4)(int, struct sockaddr *, socklen_t *, int);
	int (*connect)(int, const struct sockaddr *, socklen_t);
	int (*shutdown)(int, int);
	int (*getsockname)(int, struct sockaddr *, socklen_t *);
	int (*getpeername)(int, struct sockaddr *, socklen_t *);
	int (*getsockopt)(int, int, int, void *, socklen_t *);
	int (*setsockopt)(int, int, int, const void *, socklen_t);
	ssize_t (*send)(int, const void *, size_t, int);
	ssize_t (*sendto)(int, const void *, size_t, int, const struct sockaddr *, socklen_t);
	ssize_t (*sendmsg)(int, const struct msghdr *, int);
	int (*sendmmsg)(int, struct mmsghdr *, unsigned int, int);
	ssize_t (*recv)(int, void *, size_t, int);
	ssize_t (*recvfrom)(int, void *, size_t, int, struct sockaddr *, socklen_t *);
	ssize_t (*recvmsg)(int, struct msghdr *, int);
	int (*recvmmsg)(int, struct mmsghdr *, unsigned int, int, struct timespec *);
	ssize_t (*read)(int, void *, size_t);
	ssize_t (*readv)(int, const struct iovec *, int);
	ssize_t (*preadv2)(int, const struct iovec *, int, off_t, int);
	ssize_t (*write)(int, const void *, size_t);
	ssize_t (*writev)(int, const struct iovec *, int);
	ssize_t (*pwritev2)(int, const struct iovec *, int, off_t, int);
	ssize_t (*sendfile)(int, int, off_t *, size_t);
	ssize_t (*splice)(int, off_t *, int, off_t *, size_t, unsigned int);
	int (*close)(int);
	int (*close_range)(unsigned int, unsigned int, int);
	int (*dup)(int);
	int (*dup2)(int, int);
	int (*dup3)(int, int, int);
	int (*fcntl)(int, int, ...);
	int (*ioctl)(int, unsigned long, ...);
	int (*poll)(struct pollfd *, nfds_t, int);
	int (*ppoll)(struct pollfd *, nfds_t, const struct timespec *, const sigset_t *);
	int (*select)(int, fd_set *, fd_set *, fd_set *, struct timeval *);
	int (*pselect)(int, fd_set *, fd_set *, fd_set *, const struct timespec *,
		       const sigset_t *);
	int (*epoll_ctl)(int, int, int, struct epoll_event *);
	int (*epoll_wait)(int, struct epoll_event *, int, int);
	int (*epoll_pwait)(int, struct epoll_event *, int, int, const sigset_t *);
	int (*epoll_pwait2)(int, struct epoll_event *, int, const struct timespec *,
			    const sigset_t *);
	int (*fclose)(void *);
};
extern struct libc_calls libc_table;
void libc_resolve(void);

/* libjetstream-preload.so only, exported: its table of them, for a library
 * that has descriptors of its own kind in the same process and puts itself
 * behind ours (stack/packetdrill).  @size: of the table as that library knows
 * it; NULL if that is another. */
JET_API struct libc_calls *jet_behind(size_t size);

/* Also right before our constructor ran: other libraries' constructors may
 * call us first. */
static inline const struct libc_calls *libc(void)
{
	if (__builtin_expect(!atomic_load_explicit(&libc_table.ready,
						   memory_order_acquire), 0))
		libc_resolve();
	return &libc_table;
}

/* --- fdtable.c: what a descriptor is -------------------------------------------- */

enum fd_kind {
	FD_NONE,	/* ask the kernel */
	FD_USER,	/* anchor of a user-space socket: idx is the socket */
	FD_EPOLL,	/* an epoll set with user-space sockets in it: idx is the record */
	FD_OWN,		/* the library's: not there, to the application */
};

/* One word, so that it is read and replaced whole. */
struct fd_ent {
	uint8_t kind;		/* enum fd_kind */
	uint8_t stack;		/* which stack; 0, the process's own */
	uint16_t idx;
	uint32_t gen;		/* of the socket or record */
};
static_assert(sizeof(struct fd_ent) == 8, "fd_ent is one word");

#define FD_CHUNK	1024
#define FD_CHUNKS	1024	/* 2^20 descriptors: the kernel's default fs.nr_open */

extern _Atomic(_Atomic(uint64_t) *) fd_chunk[FD_CHUNKS];

static inline struct fd_ent fdtable_get(int fd)
{
	struct fd_ent e = { .kind = FD_NONE };
	_Atomic(uint64_t) *chunk;
	uint64_t word;

	if ((unsigned int)fd >= FD_CHUNK * FD_CHUNKS)
		return e;
	/* load-acquire, pairs with the exchange that put the chunk in */
	chunk = atomic_load_explicit(&fd_chunk[(unsigned int)fd / FD_CHUNK], memory_order_acquire);
	if (!chunk)
		return e;
	word = atomic_load_explicit(&chunk[(unsigned int)fd % FD_CHUNK], memory_order_acquire);
	__builtin_memcpy(&e, &word, sizeof(e));
	return e;
}

static inline bool fd_ent_equal(struct fd_ent a, struct fd_ent b)
{
	return !__builtin_memcmp(&a, &b, sizeof(a));
}

/* 0; -ENOMEM, -EMFILE too high. */
int fdtable_set(int fd, struct fd_ent e);
/* Forget @fd; what it was. */
struct fd_ent fdtable_drop(int fd);
/* Forget @fd if it still is @e. */
void fdtable_drop_if(int fd, struct fd_ent e);
/* The first descriptor >= @from of @kind, or -1. */
int fdtable_next(int from, enum fd_kind kind);
/* How many descriptors are exactly @e. */
unsigned int fdtable_count(struct fd_ent e);

/* --- link.c: the stack and the child ---------------------------------------------- */

#define LINK_FALLBACK	1	/* link_open(): use the kernel's sockets */

/**
 * link_open() - See that this process has a stack
 * Return: 0; LINK_FALLBACK; -ENETDOWN no connection server, or the stack has
 *	ended; -EMFILE, -ENOMEM
 */
int link_open(void);
/* The stack of a descriptor that exists, after fork() attached again.
 * NULL: it has ended. */
struct stk *link_stk(void);
/* Why there is none: -ENETDOWN; -EUSERS: we were forked by one of as many
 * processes as can share it. */
int link_down_err(void);
/* Packets may be processed while we wait (JETSTREAM_RX=child: no). */
bool link_rx_self(void);
/**
 * link_request() - Ask the child, wait for its answer
 * @m:	The request; then the answer
 * @fd:	If not NULL: set to the descriptor that came along, or -1
 * Return: 0, whatever m->err is; -ENETDOWN
 */
int link_request(struct cm_msg *m, int *fd);
/* The same for a request about a socket whose answer is only m->err. */
int link_simple(struct cm_msg *m);
/* Grows with each fork(), in the child. */
unsigned int link_fork_gen(void);
/* fork() was called here or in an ancestor after @mark was taken. */
unsigned int link_fork_mark(void);
/* Does the table belong to this process?  Not after vfork(). */
bool link_is_vfork(void);
/* @fd is taken: move what the library has there elsewhere.  0, -EBADF. */
int link_move_own(int fd);
/* A descriptor of the library's own: close-on-exec, out of the way, marked. */
int link_own_fd(int fd);
void link_own_close(int fd);

/* --- usock.c: a user-space socket, seen from this process --------------------------- */

#define OPT_VAL_MAX	32
#define OPT_MAX		24

/* An option that was set, to be read back and to be set on a kernel socket. */
struct opt_val {
	int level, name;
	uint8_t len;
	uint8_t val[OPT_VAL_MAX];
};

/* How long it pays to spin before sleeping. */
struct spin {
	_Atomic uint8_t us;
	_Atomic uint8_t skipped;
};

/*
 * What a process keeps of a socket beside the shared state.  By index; valid
 * while gen matches.  Copied by fork().
 */
struct sockrec {
	_Atomic uint32_t gen;
	bool bound;		/* local is what bind() gave */
	bool connecting;	/* connect() began and was not told the end: SS_CONNECTING */
	bool was_connected;	/* connect() said so: a second one is EISCONN */
	bool shut;		/* a listener on which shutdown() was called */
	uint16_t family;
	struct cm_addr local, peer;
	unsigned int fork_mark;	/* link_fork_mark() when we got it */
	uint32_t rcvlowat;
	_Atomic uint32_t nospace;	/* sends that found no room: edges of EPOLLOUT */
	_Atomic uint32_t pollers;	/* threads asleep in poll() on the anchor, TOKEN_DRAINING */
	_Atomic uint32_t n_reg;		/* epoll registrations */
	struct spin spin[2];		/* JS_WAIT_* */
	uint16_t n_opts;	/* usock_opt_val() */
};

struct usock {
	int fd;
	uint32_t sock, gen;
	struct stk *stk;
	struct js_sock *js;
	struct sockrec *rec;
};

/* Is @fd a user-space socket?  1 yes, *u is filled; 0 ask the kernel;
 * -ENETDOWN it was, its stack has ended. */
int usock_get_slow(int fd, struct fd_ent e, struct usock *u);
static inline int usock_get(int fd, struct usock *u)
{
	struct fd_ent e = fdtable_get(fd);

	if (__builtin_expect(e.kind != FD_USER, 1))
		return 0;
	return usock_get_slow(fd, e, u);
}

/* Enter a new descriptor for socket @sock; its record starts empty. */
int usock_enter(int fd, uint32_t sock, uint32_t gen, int family, struct usock *u);
/* After fork(): what other threads of the parent were doing is over. */
void usock_forked(void);

/* SO_TIMESTAMPING: SOF_TIMESTAMPING_* */
static inline uint32_t usock_stamps(const struct usock *u)
{
	return so_topt(u->js, JS_TOPT_TIMESTAMPING);
}

static inline uint32_t usock_opts(const struct usock *u)
{
	return atomic_load_explicit(&u->js->opts, memory_order_relaxed);
}

static inline bool usock_is_listener(const struct usock *u)
{
	return atomic_load_explicit(&u->js->mode, memory_order_acquire) == JS_ANCHOR_MODE_LISTENER;
}

static inline bool usock_nonblock(const struct usock *u, int msg_flags)
{
	return (msg_flags & MSG_DONTWAIT) || (usock_opts(u) & JS_SO_NONBLOCK);
}

/* Option @i that was set: of OPT_MAX. */
struct opt_val *usock_opt_val(const struct sockrec *rec, unsigned int i);
/* Set or clear a bit of the shared options; whether it was set. */
bool usock_opt_bit(struct usock *u, uint32_t bit, bool on);
/* A request about this socket. */
struct cm_msg usock_msg(const struct usock *u, uint16_t type);
/* This thread may use the stack; in a handler that interrupted it, not. */
static inline bool usock_may_enter(void)
{
	return !stk_busy();
}

/* --- wait.c ------------------------------------------------------------------------- */

#define NO_DEADLINE	UINT64_MAX

uint64_t deadline_in_us(uint64_t timeout_us);
/* Timespec to deadline; NULL is NO_DEADLINE.  -EINVAL if not normal. */
int deadline_of(const struct timespec *ts, uint64_t *deadline);
/* What is left, rounded up to ms for poll(): -1 if there is no deadline. */
int deadline_ms(uint64_t deadline);

/* Sleep until so_seq(@which) is not @seq: 0; -EINTR; -ETIMEDOUT. */
int usock_wait(struct usock *u, int which, uint32_t seq, uint64_t deadline);

/* Microseconds to spin, maybe 0; afterwards say if it helped. */
unsigned int spin_budget(struct spin *s);
void spin_result(struct spin *s, bool hit);
/* While a thread spins: process packets that have arrived, whosever they are
 * (paper, section 7).  @stk may be NULL; nothing if JETSTREAM_RX=child. */
void rx_self(struct stk *stk);

/* Poll events that are true now, SO_RCVLOWAT considered. */
unsigned int usock_ready(struct usock *u);

/* Tokens on an anchor; see wait.c. */
void token_enter(struct usock *u, unsigned int events);
void token_leave(struct usock *u, bool readable);
/* For epoll: false if a thread in poll() must see the tokens first. */
bool token_take(struct usock *u);

/* --- addr.c --------------------------------------------------------------------------- */

/* Ours: in JETSTREAM_PREFIXES and not an address of this node. */
bool addr_is_user(const struct cm_addr *a);
/* Copy out as Linux does: cut to *len, set *len to the true length. */
void addr_out(const struct cm_addr *a, int family, struct sockaddr *sa, socklen_t *len);
/* Copy in for a socket of @family: 0, -EINVAL, -EAFNOSUPPORT. */
int addr_in(struct cm_addr *a, int family, const struct sockaddr *sa, socklen_t len);

/* --- opt.c ------------------------------------------------------------------------------ */

int usock_setopt(struct usock *u, int level, int name, const void *val, socklen_t len);
int usock_getopt(struct usock *u, int level, int name, void *val, socklen_t *len);
int usock_peername(struct usock *u, struct sockaddr *sa, socklen_t *len);	/* getpeername() */
/* Set on kernel socket @fd what was set on @rec's. */
/* call.c, for sendto() with MSG_FASTOPEN.
 * usock_connect_fast() - 0: the SYN waits for data (so_send_syn(), then
 * usock_connect_go()); -EINPROGRESS: it has left, without; FAST_CONNECTED: it
 * was on its way and has arrived; FAST_KERNEL: the kernel's socket now;
 * else what connect() would say, -EOPNOTSUPP: not here. */
enum { FAST_CONNECTED = 1, FAST_KERNEL };
int usock_connect_fast(struct usock *u, const struct sockaddr *sa, socklen_t len);
int usock_connect_go(struct usock *u);		/* -EINPROGRESS, or an error */
int usock_connect_wait(struct usock *u, int begun);

void opt_replay(const struct sockrec *rec, int fd);
/* An accepted socket starts with its listener's. */
void opt_inherit(struct usock *u, const struct usock *listener);
/* SO_RCVTIMEO or SO_SNDTIMEO as a deadline from now. */
uint64_t usock_deadline(const struct usock *u, int which);
/* ioctl(2) that a TCP socket answers but an anchor does not. */
int usock_ioctl(struct usock *u, unsigned long req, void *arg);

/* --- io.c --------------------------------------------------------------------------------- */

ssize_t usock_send(struct usock *u, const struct iovec *iov, size_t n_iov, int flags);
ssize_t usock_recv(struct usock *u, const struct iovec *iov, size_t n_iov, int flags);

/* ctl.c: control messages.  What recvmsg() tells with data: TCP_INQ. */
void ctl_received(struct usock *u, struct msghdr *msg);
/* MSG_ERRQUEUE: the next of the error queue into @msg (NULL: dropped).  0, -EAGAIN. */
int ctl_errqueue(struct usock *u, struct msghdr *msg);

/* What timestamps a control message of sendmsg() asks for, into @flags
 * (SOF_TIMESTAMPING_TX_*), if one does.  0; -EINVAL */
int ctl_stamps(const struct msghdr *msg, uint32_t *flags);

/* --- epoll.c ------------------------------------------------------------------------------- */

/* @fd is about to be closed or replaced: its registrations go. */
void epoll_fd_gone(struct usock *u);
/* listen() has made it a listener: the kernel can watch it from now on. */
void epoll_to_kernel(int fd, struct usock *u);
/* Take registrations out before a kernel socket replaces @fd; put them back
 * as the kernel's.  At most EPOLL_MOVE_MAX sets. */
#define EPOLL_MOVE_MAX	8
struct epoll_moved {
	int n;
	struct { int epfd; struct epoll_event ev; } set[EPOLL_MOVE_MAX];
};
void epoll_move_out(struct usock *u, struct epoll_moved *mv);
void epoll_move_in(int fd, const struct epoll_moved *mv);
/* A descriptor of an epoll set was closed. */
void epoll_set_gone(struct fd_ent e);
/* Tokens were taken off an anchor that may be in other sets: wake who sleeps. */
void epoll_poke_others(const void *ep);
/* poll() on an epoll set: something of ours is ready.  @arm: and otherwise
 * its descriptor will become readable. */
bool epoll_is_ready(struct fd_ent e, bool arm);
/* Its descriptor was readable: was it for more than tokens? */
bool epoll_readable(int epfd, struct fd_ent e);

/* --- call.c -------------------------------------------------------------------------------- */

/* Before @fd is closed or replaced by the kernel: forget it. */
void call_forget(int fd);

#endif
