/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sock.h - the socket layer: what both halves do with a socket
 *
 * 4.3BSD's uipc_socket and tcp_usrreq, over the committed control block.  The
 * same code runs in the application (top half) and in the child (bottom
 * half); struct stk says which.  No call here blocks, but for the stack's
 * lock; stack/api waits, with so_wait().
 *
 * Every call that names a socket takes its index and generation.  A
 * generation that is not current gives -EBADF: the socket was released.
 * -ENETDOWN: the child or the ring has gone.
 * -ESTALE never leaves this layer: a commit that lost against a fence is
 * tried again.  A process that was fenced while it was stopped has lost its
 * script queue: its next stk_lock() gets a new one from the child (on_lost).
 *
 * Context: any thread of an attached process, or the child.  Thread-safe by
 * the stack's lock.  Not to be called from a signal handler that interrupted
 * a call on the same stack: stk_busy() tells.
 */
#ifndef STACK_SOCK_SOCK_H
#define STACK_SOCK_SOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <netinet/tcp.h>

#include "abi/ctlmsg.h"
#include "abi/shmseg.h"
#include "common/util.h"
#include "stack/engine/tcp.h"
#include "stack/pool/poolc.h"
#include "stack/shm/lock.h"

/* Buffers that one transaction can give up: all that a socket may hold, and a
 * packet. */
#define STK_DEFER_MAX	(JS_SND_ENTRIES + JS_RCV_ENTRIES + JS_OOO_ENTRIES * 18 + JS_SDU_BUFS)
/* Fences during one call; then somebody writes there who has no business to: -ENETDOWN */
#define SO_STALE_TRIES	16
#define JS_TCPI_PMTU	61504u	/* octets: the MTU of the ring, as TCP_INFO tells it */

/* One process's view of a stack.  Private memory; one per process. */
struct stk {
	struct js_stack *mem;		/* mapped */
	struct js_stack_hdr *hdr;	/* = &mem->hdr */
	struct js_sock *socks;		/* = mem->sock */
	struct js_guard_hdr *guard;	/* mapped; read-only but in the child */
	struct poolc pc;		/* the port */
	struct poolc_queue q;		/* this process's script queue */
	struct bufcache bc;		/* Tx buffers of this process, not in any queue */
	int kick_fd;			/* wakes the child */
	bool is_child;
	uint32_t place;			/* index into hdr->left and hdr->lock_sock */
	/* Buffers to FREE when the transaction is committed.  Under the lock;
	 * empty outside. */
	uint16_t n_defer;
	bool came_back;			/* stk_reattach(): jetringd knows some of our buffers as the old queue's */
	uint16_t defer[STK_DEFER_MAX];
	/* Likewise, but for our cache: Tx buffers that so_snd is done with. */
	uint16_t n_reuse;
	uint16_t reuse[JS_SND_ENTRIES];
	/* The child's, when it runs input and output; NULL in applications.
	 * ctx is passed back. */
	void *ctx;
	void (*on_event)(void *ctx, uint32_t sock, uint32_t tcp_events);	/* TCP_EV_*, after commit, lock held */
	void (*on_token)(void *ctx, uint32_t sock);	/* the anchor wants a token */
	/* A SYN for a connection in LISTEN, before the engine gets it; and the
	 * SYN,ACK that has completed our own opening. */
	void (*on_syn)(void *ctx, uint32_t sock, const struct tcp_seg *seg, struct tcpcb *tp);
	void (*on_syn_ack)(void *ctx, uint32_t sock, const struct tcp_seg *seg,
			   const struct tcpcb *tp);
	bool (*on_stray)(void *ctx, uint16_t pool);	/* a segment for a connection that has been released: it is CLOSED, answer RST */
	int (*on_rxvci)(void *ctx, uint32_t sock, uint16_t rxvci);	/* a SYN or ACK announced one (0: none), before the answer */
	uint64_t n_stale;		/* commits lost */
	uint32_t owes;			/* so_input_events(): this socket, and one, has not answered its last segment; 0 none */
	/* An application's thread that believes it has the lock: one that was
	 * fenced still works with what is private here, so others wait for it. */
	_Atomic uint32_t holder;	/* lock_self(), 0 none; under the lock, but for the fenced */
	_Atomic uint32_t lost;		/* our script queue was taken: see stk_reattach() */
	int (*on_lost)(struct stk *stk);	/* get a new one, and stk_reattach(); 0, -ENETDOWN */
};

/**
 * stk_attach() - Map a stack into this process
 * @fds:	CM_INIT_NFDS descriptors in the order of CM_INIT_*; stack, guard
 *		and port are closed by this call, doorbell and kick are kept
 * @queue:	The script queue the child opened for this process
 * @place:	Its place among the attached, from 1
 * Return: 0; -EINVAL no such place; -EPROTO if a header is not what this library was built for;
 *	-ENOMEM and other errors of mmap
 */
int stk_attach(struct stk *stk, const int fds[CM_INIT_NFDS], uint32_t queue, uint32_t place);
void stk_detach(struct stk *stk);

/**
 * stk_reattach() - Go on with script queue @queue, after ours was revoked
 *
 * The buffers of the cache are given back through the new one.  Nothing else:
 * what the old queue had published, and what a thread that was fenced had still
 * to give back, the child has found or will find, and it may be another's by
 * now.  SENDs that were not fetched count as lost on the ring.
 *
 * Context: application, lock not held; one thread at a time
 * Return: 0; -ESTALE @queue is not open; -ENETDOWN
 */
int stk_reattach(struct stk *stk, uint32_t queue);

/**
 * stk_come_back() - stk_reattach() with a queue from @new_queue
 * @new_queue:	Asks the child; 0 and the queue, or -Exxx
 *
 * Asks again if that one is revoked before it is ours: all threads of this
 * process were stopped again, and one that had the lock only to look was
 * robbed of it.
 *
 * Context: application, lock not held; one thread at a time
 * Return: 0; -Exxx of the two; -ESTALE: none was ever open for long enough
 */
int stk_come_back(struct stk *stk, int (*new_queue)(uint32_t *queue));
/* Look whether jetringd still listens to our queue; if not, the next
 * stk_lock() will see to it.  Lock held. */
void stk_check_queue(struct stk *stk);

/* 0, or the error every call gives: ENETDOWN. */
int stk_dead(const struct stk *stk);

/* This thread is inside a call on this stack (a signal handler may ask). */
bool stk_busy(void);

/* --- data ------------------------------------------------------------------ */

/**
 * so_send() - Append octets to so_snd and send what may be sent
 * @flags:	MSG_MORE, MSG_OOB, MSG_EOR; others do not matter here
 * Copies what fits; one copy, checksummed as it is made.
 * Return: octets taken, > 0; -EAGAIN no room; -EPIPE; -ENOTCONN; so_error;
 *	-EINPROGRESS the SYN waits for them: so_send_syn()
 */
ssize_t so_send(struct stk *stk, uint32_t sock, uint32_t gen,
		const struct iovec *iov, int n_iov, int flags);

/**
 * so_send_syn() - Append octets that the SYN will carry (RFC 7413)
 * @more:	And what is to follow at once when it is answered
 * Only while it waits for them: JS_SOF_FASTOPEN.  Nothing is sent.
 * Return: octets taken; -EAGAIN no room for more; -EALREADY it has left; -ENOBUFS
 */
ssize_t so_send_syn(struct stk *stk, uint32_t sock, uint32_t gen,
		    const struct iovec *iov, int n_iov, bool more);

/**
 * so_recv() - Take octets from so_rcv
 * @flags:	MSG_PEEK, MSG_TRUNC (drop instead of copy)
 * Return: octets; 0 end of file; -EAGAIN nothing yet; -ENOTCONN; so_error
 *	(which is then cleared)
 */
ssize_t so_recv(struct stk *stk, uint32_t sock, uint32_t gen,
		const struct iovec *iov, int n_iov, int flags);

/**
 * so_recv_oob() - recv(MSG_OOB): the urgent octet
 * @flags:	MSG_PEEK
 * Return: 1 and *@octet; 0 end of file came first; -EINVAL there is none, it
 *	was read, or it is in line (SO_OOBINLINE); -EAGAIN it was announced and has
 *	not arrived; -ENOTCONN
 */
int so_recv_oob(struct stk *stk, uint32_t sock, uint32_t gen, uint8_t *octet, int flags);

/**
 * so_zerocopy_sent() - A send with MSG_ZEROCOPY is done
 * It is numbered, from 0 on, and the number goes to the error queue at once:
 * the octets were copied, so the buffers are the application's again.  There is
 * POLLERR until it is read.
 * Return: 0; -EBADF; -ENETDOWN
 */
int so_zerocopy_sent(struct stk *stk, uint32_t sock, uint32_t gen);

/* recvmsg(MSG_ERRQUEUE): all numbers that are there, as one range, as Linux joins
 * them.  0; -EAGAIN there are none; -EBADF; -ENETDOWN */
int so_zerocopy_take(struct stk *stk, uint32_t sock, uint32_t gen, uint32_t *first,
		     uint32_t *last);

/* What the error queue tells of a write. */
struct so_stamp {
	unsigned int kind;		/* JS_STAMP_*, which are SCM_TSTAMP_* in another order */
	uint32_t key;			/* ee_data, with SOF_TIMESTAMPING_OPT_ID */
	uint64_t at_us;			/* engine time */
	uint32_t flags;			/* SOF_TIMESTAMPING_* of the socket */
};

/**
 * so_stamping() - SO_TIMESTAMPING, for what is sent
 * @flags:	SOF_TIMESTAMPING_*; what is asked of writes from now on, and how it is told
 * Return: 0; -EINVAL: SOF_TIMESTAMPING_OPT_ID before connect(); -EBADF; -ENETDOWN
 */
int so_stamping(struct stk *stk, uint32_t sock, uint32_t gen, uint32_t flags);

/* A write is done: @flags, SOF_TIMESTAMPING_TX_*, are asked of its last octet, which
 * is the last of so_snd.  Where too many wait to be told nothing is said of it,
 * as with Linux.  0; -EBADF; -ENETDOWN. */
int so_stamp_sent(struct stk *stk, uint32_t sock, uint32_t gen, uint32_t flags);

/* recvmsg(MSG_ERRQUEUE): the earliest.  0; -EAGAIN there is none; -EBADF; -ENETDOWN */
int so_stamp_take(struct stk *stk, uint32_t sock, uint32_t gen, struct so_stamp *out);

/* SHUT_RD, SHUT_WR, SHUT_RDWR.  0, -ENOTCONN, -EINVAL. */
int so_shutdown(struct stk *stk, uint32_t sock, uint32_t gen, int how);

/* --- state: read without the lock, from the committed block ------------------- */

/* POLLIN, POLLPRI, POLLOUT, POLLRDHUP, POLLHUP, POLLERR (and RDNORM, WRNORM) that are
 * true now.  Listeners: none (their anchor is the truth). */
unsigned int so_poll(struct stk *stk, uint32_t sock, uint32_t gen);

/* A copy of what a socket is. */
struct so_info {
	uint8_t tcp_state;		/* enum tcp_state */
	uint32_t flags;			/* JS_SOF_* */
	int error;			/* so_error, not cleared */
	uint32_t path_mtu;		/* octets; IP_MTU */
	uint32_t rcv_cc;		/* octets in so_rcv */
	uint32_t rcv_inq;		/* SIOCINQ: up to the urgent mark, if that comes first */
	uint32_t unsent;		/* SIOCOUTQNSD */
	bool at_mark;			/* SIOCATMARK */
	uint32_t snd_cc;		/* SIOCOUTQ: not acknowledged, SYN and FIN not counted */
	uint32_t snd_hiwat, rcv_hiwat;
	bool has_addr;
	struct cm_addr local, peer;	/* of a connection */
	uint16_t pool, rxvci, txvci;
};
int so_info(struct stk *stk, uint32_t sock, uint32_t gen, struct so_info *info);

/* SO_ERROR: errno value (>= 0), cleared; if there is none, what ICMP said last. */
int so_error_take(struct stk *stk, uint32_t sock, uint32_t gen);

/* TCP_INFO in Linux's layout: what <netinet/tcp.h> has, and what Linux 6.18 has
 * behind it.  Rates are octets a second, times us; what we do not know is 0. */
struct so_tcp_info {
	struct tcp_info base;
	uint64_t pacing_rate, max_pacing_rate;
	uint64_t bytes_acked, bytes_received;
	uint32_t segs_out, segs_in;
	uint32_t notsent_bytes, min_rtt;
	uint32_t data_segs_in, data_segs_out;
	uint64_t delivery_rate;
	uint64_t busy_time, rwnd_limited, sndbuf_limited;
	uint32_t delivered, delivered_ce;
	uint64_t bytes_sent, bytes_retrans;
	uint32_t dsack_dups, reord_seen, rcv_ooopack, snd_wnd;
	uint32_t rcv_wnd, rehash;
	uint16_t total_rto, total_rto_recoveries;
	uint32_t total_rto_time;
	uint32_t accecn[8];	/* received_ce, and what counts accurate ECN */
};
static_assert(sizeof(struct so_tcp_info) == 280, "TCP_INFO layout");
int so_tcp_info(struct stk *stk, uint32_t sock, uint32_t gen, struct so_tcp_info *ti);

/* The options in js_sock (opts, topt) have changed: the control block learns of
 * them, and what was held back may go.  0; -EBADF, -ENETDOWN. */
int so_opts_changed(struct stk *stk, uint32_t sock, uint32_t gen);

/* TCP_NODELAY is set: likewise; and whether or not it was, what Nagle's
 * algorithm, a cork or MSG_MORE holds back goes. */
int so_push(struct stk *stk, uint32_t sock, uint32_t gen);

/* TCP_QUICKACK: an ACK that waits may go. */
int so_quickack(struct stk *stk, uint32_t sock, uint32_t gen, bool on);

/* TCP_CONGESTION of a connection: @algo is an enum tcp_cc_algo.  0; -EBADF; -ENETDOWN. */
int so_congestion(struct stk *stk, uint32_t sock, uint32_t gen, uint8_t algo);

/* --- waiting ---------------------------------------------------------------- */

/* The word to sample before a check and to give to so_wait(). */
uint32_t so_seq(struct stk *stk, uint32_t sock, int which);	/* JS_WAIT_* */

/**
 * so_wait() - Sleep until the word is not @seq any more
 * @timeout_us:	0 for ever (then a signal handler with SA_RESTART does not
 *		end it: FUTEX_WAIT without time-out restarts), else microseconds
 * Return: 0 woken or changed; -EINTR; -ETIMEDOUT
 */
int so_wait(struct stk *stk, uint32_t sock, int which, uint32_t seq, uint64_t timeout_us);

/* Somebody will poll the anchor: the next change of these (bits 1 <<
 * JS_WAIT_*) sends a token.  Then look at so_poll() once more. */
void so_notify(struct stk *stk, uint32_t sock, unsigned int bits);

/* A token, whether anything has changed or not.  In a signal handler, too. */
void so_ask_token(struct stk *stk, uint32_t sock);

/* --- inside the socket layer and the child ------------------------------------- */

struct so_txn;

/* so_begin() of a socket by index and generation.  0, -EBADF, -ENETDOWN. */
int so_txn_begin(struct stk *stk, uint32_t sock, uint32_t gen, struct so_txn *t);

/* Lock and unlock, in an application.  stk_lock() gives -ENETDOWN; it asks the
 * child for a script queue if ours was taken.  stk_unlock() rings the doorbell
 * for what was published. */
int stk_lock(struct stk *stk);
void stk_unlock(struct stk *stk);
/* In an application's stk_lock(): it is not ours any more. */
static inline bool stk_is_robbed(const struct stk *stk)
{
	return !stk->is_child &&
	       !lock_is_held(stk->hdr, atomic_load_explicit(&stk->holder, memory_order_relaxed));
}

/* tcp_output() until nothing is left or the queue is full: ops are pushed,
 * not published.  @mark: poolc_tail() from before the transaction's first op. */
void so_output(struct stk *stk, uint32_t sock, struct so_txn *t, uint64_t now);

/**
 * so_finish() - Commit, then publish, then wake who waits
 * @mark:	As above: on failure these ops are made void
 * @wake:	Bits 1 << JS_WAIT_*
 * Return: 0; -ESTALE
 */
int so_finish(struct stk *stk, uint32_t sock, struct so_txn *t, uint32_t mark,
	      unsigned int wake);

/* If this thread is fenced, it may have been writing to this socket's buffers. */
static inline void stk_works_on(struct stk *stk, uint32_t sock)
{
	atomic_store_explicit(&stk->hdr->lock_sock[stk->place], (uint16_t)sock,
			      memory_order_relaxed);
}

/* FREE with the next so_finish() or stk_flush(); not at all if the transaction
 * fails. */
void stk_free(struct stk *stk, const uint16_t *bufs, unsigned int n);
/* Into our cache, likewise. */
void stk_reuse(struct stk *stk, const uint16_t *bufs, unsigned int n);
/* Push the FREEs: they are committed.  What the queue has no room for is left
 * to the child, so that none waits for what this process does next. */
void stk_flush(struct stk *stk);

/* The events of the engine into flags and error of the block; which waiters
 * are concerned. */
unsigned int so_note_events(struct so_txn *t, uint32_t tcp_events);

/*
 * How large so_snd and so_rcv may get, octets.  Of the node's memory sending
 * and receiving get three quarters at most; half of that is one socket's, so
 * that the window, segments of which a little lies in a buffer of its own, and
 * the segment that fills a hole fit.  Anybody may write the word: at worst TCP
 * gets slow, or discards.
 */
static inline uint32_t so_buf_max(const struct stk *stk)
{
	uint64_t n = atomic_load_explicit(&stk->pc.hdr->node_bufs, memory_order_relaxed);
	uint64_t octets = n ? n * JS_BUF_SIZE * 3 / 8 : JS_BUF_MAX;

	return (uint32_t)MIN(MAX(octets, (uint64_t)JS_BUF_SIZE), (uint64_t)JS_BUF_MAX);
}

/* so_stamp.c, for so_output() and so_poll(): see what has happened; is there
 * something to tell? */
void so_stamps_look(struct so_txn *t, uint64_t now);
bool so_has_stamps(const struct so_txn *t);

/* What the engine should know of the socket buffers. */
void so_view(const struct so_txn *t, struct tcp_view *v);

/* A number that an option set: js_sock.topt, which anybody may write. */
static inline uint32_t so_topt(const struct js_sock *so, unsigned int i)
{
	return atomic_load_explicit(&so->topt[i], memory_order_relaxed);
}

/* The options of a socket as the engine wants them; clamped. */
void so_user_opts(const struct js_sock *so, struct tcp_user_opts *o);

/* Octets of so_snd that were never sent. */
uint32_t so_unsent(const struct so_txn *t);

/* Is so_snd filled packet by packet, as Linux's? */
bool so_sends_in_packets(const struct so_txn *t);

/* Octets that may be appended to so_snd now; if it is filled packet by packet, what
 * may be sent is to be sent before asking again. */
uint32_t so_snd_room(const struct so_txn *t);

/* Is POLLOUT true, as far as so_snd and TCP_NOTSENT_LOWAT say? */
bool so_is_writable(const struct so_txn *t);

/* --- so_icmp.c: what routers say --------------------------------------------------- */

/**
 * so_icmp() - An ICMP error quotes a segment of this connection
 * @m:	Checked for its form only: anybody may have sent it
 * The child, lock held.  @sock is in use and has a pool; it may be CLOSED after this.
 */
void so_icmp(struct stk *stk, uint32_t sock, const struct cm_icmp *m);

/* The MTU that the path is taken for, octets. */
uint32_t so_path_mtu(const struct stk *stk, uint32_t sock, const struct so_txn *t);

/* Must the segments of this socket not be fragmented?  As Linux's ip_dont_fragment(). */
bool so_dont_fragment(const struct so_txn *t);

/* --- so_urg.c: one octet out of band ---------------------------------------------- */

/* The engine's RCV.UP moved on: another octet is the urgent one. */
void so_urg_announced(struct so_txn *t);
/* Octets were put into so_rcv: is it there?  True: it has just come. */
bool so_urg_arrived(struct stk *stk, struct so_txn *t);
/* Octets of so_rcv before the urgent one; UINT32_MAX if it is not in there. */
uint32_t so_urg_offset(const struct so_txn *t);
/* It is not to be read in line: recv() skips it. */
bool so_urg_is_out_of_line(const struct so_txn *t);
/* Octets were taken from so_rcv: the urgent one may have been passed. */
void so_urg_passed(struct so_txn *t);

/* Ask the child to look at a socket's state. */
void so_tell_child(struct stk *stk, uint32_t sock);

/* Increment the futex words and wake; tokens for pollers. */
void so_wakeup(struct stk *stk, uint32_t sock, unsigned int wake);

/* Drop @n acknowledged octets from so_snd; buffers go back. */
void so_snd_drop(struct stk *stk, struct so_txn *t, uint32_t n, uint32_t una_before);

/* All buffers reached from a block, into a bitmap of 65536 bits. */
void so_mark_bufs(const struct so_txn *t, uint64_t *map);

/* Free all of so_snd, so_rcv and what is out of order. */
void so_drop_all(struct stk *stk, struct so_txn *t);

/* --- for the child (stack/child) and for draining by either side ----------------- */

/* RFC 9293, 3.10.7.1: the answer of a CLOSED connection to @seg, through the pool
 * that it had; pushed, not published.  Child. */
void so_answer_rst(struct stk *stk, uint16_t pool, const struct ip_pair *from,
		   const struct tcp_seg *seg);

/* Process events of the port that this side may process, until none is left
 * or @max.  Lock held.  Return: events processed; -EAGAIN the next is
 * the child's (already told). */
int so_input_events(struct stk *stk, int max);

#endif
