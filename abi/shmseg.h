/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * shmseg.h - the stack: what the two halves of a TCP share
 *
 * Two memfds for each stack, made by the child, sealed against resizing:
 *
 *	stack	mapped by the child and by every attached process, all may
 *		write: struct js_stack.  The child treats it as something a
 *		hostile application writes while it looks: copy in, check, run,
 *		commit.
 *	guard	written by the child alone (F_SEAL_FUTURE_WRITE: the others
 *		can only map it read-only): addresses, ports and pools.
 *
 * Nothing here is a pointer: a socket is an index, a buffer an id of the port
 * (abi/pool.h), a queue position a free-running number.
 *
 * Letters: [I] set before sharing, read-only.  [L] under the stack's lock.
 * [C] written by the child only.  [A] atomic, any side.  [B] a block: written
 * while it is the spare one, valid once committed (stack/shm/commit.h).
 */
#ifndef ABI_SHMSEG_H
#define ABI_SHMSEG_H

#include <assert.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/pool.h"

#define JS_STACK_MAGIC		0x4a535354u	/* "JSST" */
#define JS_GUARD_MAGIC		0x4a534755u	/* "JSGU" */
#define JS_STACK_VERSION	5

#define JS_N_SOCKS		1024	/* sockets of a stack */
#define JS_N_POOLS		4096	/* pool ids of a port that a stack can name */
#define JS_SND_ENTRIES		2048	/* buffers of so_snd, a power of two: at most 8 MiB */
#define JS_RCV_ENTRIES		4096	/* pieces of so_rcv, a power of two */
#define JS_OOO_WORDS		3
#define JS_OOO_ENTRIES		(JS_OOO_WORDS * 64)	/* segments kept out of order: more than JS_BUF_MAX has full ones of 61440 octets */
#define JS_BLOCK_SIZE		1024
#define JS_TCPCB_SIZE		832

#define JS_SOCK_NONE		0xffffffffu
#define JS_BUF_DEFAULT		245760	/* octets of so_snd and so_rcv at the start; paper, section 5 */
#define JS_BUF_MAX		(8u << 20)	/* octets: as far as they grow, and the largest SO_*BUF */

/* --- blocks --------------------------------------------------------------- */

/*
 * A piece of a buffer in a queue.  In js_rings.snd and .rcv the upper three bits
 * of off and of len are js_sock.fences when it was written, modulo 64: so a
 * thread that was fenced does not write over what another has put there since
 * (so_piece_put() of stack/shm/commit.h).
 */
struct js_piece {
	uint16_t buf;
	uint16_t off;
	uint16_t len;
	uint16_t sum;		/* so_snd: partial checksum of the piece, folded */
};

/*
 * What of a socket changes with the protocol: cursors of so_snd and so_rcv,
 * errors, counters.  Behind the tcpcb in each block.  The last piece of each
 * queue is here, not in the ring, because it still grows.
 */
struct js_so {
	uint32_t snd_head, snd_tail;	/* pieces; ring index modulo JS_SND_ENTRIES */
	uint32_t snd_cc;		/* octets in so_snd */
	uint32_t rcv_head, rcv_tail;	/* pieces; ring index modulo JS_RCV_ENTRIES */
	uint32_t rcv_cc;		/* octets in so_rcv */
	uint32_t snd_head_off;		/* octets of piece snd_head that are acknowledged */
	uint32_t rcv_head_off;		/* octets of piece rcv_head that were taken */
	struct js_piece snd_last;	/* piece snd_tail - 1: counts instead of the ring's */
	struct js_piece rcv_last;	/* piece rcv_tail - 1, likewise */
	uint64_t ooo_map[JS_OOO_WORDS];	/* bit i: ooo[i] is in use */
	uint32_t ev_seq;		/* last packet of the pool that was processed */
	uint32_t snd_hiwat, rcv_hiwat;	/* octets: SO_SNDBUF, SO_RCVBUF */
	uint32_t rexmt_high;		/* sequence number up to which octets were sent more than once */
	uint32_t flags;			/* JS_SOF_* */
	int16_t error;			/* so_error: errno, 0 none */
	int16_t soft_error;		/* errno of the last ICMP error that was believed, 0 none; until an ACK comes */
	uint32_t data_ms;		/* when data came last, or ESTABLISHED was entered; 0 never */
	uint32_t rexmt_segs;		/* segments sent again */
	uint64_t snd_bytes, rcv_bytes;	/* octets moved through send() and recv() */
	uint64_t snd_copied, rcv_copied; /* octets copied for that, also to compact */
	uint32_t dropped;		/* segments not accepted */
	uint16_t fence_seen;		/* js_sock.fences, modulo 65536, when snd_last was begun: else a fenced process may write there */
	uint16_t rcv_fence;		/* ... when rcv_last was begun: likewise */
	uint32_t urg_seq;		/* sequence number of the urgent octet, if urg */
	uint32_t urg;			/* JS_URG_* | the octet */
	uint32_t segs_out, segs_in;	/* segments, for TCP_INFO */
	uint32_t data_segs_out, data_segs_in; /* of them with payload */
	uint32_t rcvq_us;		/* auto-tuning: since then (low half; 0: not begun), */
	uint32_t rcvq_bytes;		/* when rcv_bytes was this, low half */
	union {
		uint32_t rcvq_space;	/* octets taken in the best round trip so far */
		uint32_t fo_room;	/* octets that the SYN may carry, if JS_SOF_FASTOPEN */
	};
	uint32_t zc_next;		/* MSG_ZEROCOPY: number of the next send, from 0 on */
	uint32_t zc_told;		/* those below were read from the error queue */
	uint32_t icmp_ignored;		/* ICMP errors that quoted nothing outstanding */
};

/* js_so.urg: one octet out of band, as sockets have it */
#define JS_URG_NOTYET		0x100	/* announced, has not arrived */
#define JS_URG_VALID		0x200	/* the octet is in the low bits */
#define JS_URG_READ		0x400	/* recv(MSG_OOB) took it */

#define JS_SOF_CONNECTING	0x0001	/* connect() was called, no answer yet */
#define JS_SOF_CONNECTED	0x0002	/* has been ESTABLISHED */
#define JS_SOF_RD_SHUT		0x0004	/* shutdown(SHUT_RD) */
#define JS_SOF_WR_SHUT		0x0008	/* shutdown(SHUT_WR), or closed: FIN after so_snd */
#define JS_SOF_EOF		0x0010	/* the peer's FIN has arrived */
#define JS_SOF_CLOSED		0x0020	/* TCP is CLOSED after having been something */
#define JS_SOF_ORPHAN		0x0040	/* no descriptor is left */
#define JS_SOF_LISTENING	0x0080
#define JS_SOF_DEFER		0x0100	/* TCP_DEFER_ACCEPT: the child waits for data */
#define JS_SOF_SNDBUF		0x0200	/* SO_SNDBUF was set: no auto-tuning */
#define JS_SOF_RCVBUF		0x0400	/* SO_RCVBUF was set */
#define JS_SOF_ANNOUNCE		0x0800	/* the peer does not use our RxVCI yet: announce it */
#define JS_SOF_FASTOPEN		0x10000	/* connect() was put off: the SYN waits for data (RFC 7413) */
#define JS_SOF_RESET		0x20000	/* the peer has reset it; read or not */
#define JS_SOF_RECORDS		0x40000	/* MSG_EOR: a piece of so_snd that is not full ends a record */
#define JS_SOF_EOR		0x80000	/* ... and so does snd_last: what follows begins a buffer of its own */
#define JS_SOF_SMALL_MTU	0x1000	/* the path's MTU is below our floor: routers may fragment */

static_assert(sizeof(struct js_so) <= JS_BLOCK_SIZE - JS_TCPCB_SIZE, "js_so fits");

struct js_block {
	alignas(64) uint8_t tcpcb[JS_TCPCB_SIZE];	/* [B] struct tcpcb */
	struct js_so so;				/* [B] */
};

#define JS_BLOCK_NONE		0xffffu

static_assert(sizeof(struct js_block) == JS_BLOCK_SIZE, "js_block layout");

/* A segment kept out of order: sequence numbers [seq, seq + len). */
struct js_ooo {
	uint32_t seq, len;
	uint16_t off;		/* of the first octet in buf[0] */
	uint8_t n_buf;
	uint8_t resv;
	uint16_t buf[18];
};

static_assert(sizeof(struct js_ooo) == 48, "js_ooo layout");

/* SO_TIMESTAMPING (so_stamp.c): a write, by its last octet */
enum {
	JS_STAMP_SCHED,		/* was handed on */
	JS_STAMP_SND,		/* left */
	JS_STAMP_ACK,		/* was acknowledged */
	JS_N_STAMP_KINDS
};
#define JS_STAMPS	32	/* writes of which something is to be told */

struct js_stamp {
	uint64_t at_us[JS_N_STAMP_KINDS];	/* engine time; 0: not yet */
	uint32_t end;		/* sequence number behind its last octet */
	uint32_t key;		/* ee_data: octets from where keys begin */
	uint8_t want, told;	/* bits 1 << JS_STAMP_* */
	uint8_t resv[6];
};

static_assert(sizeof(struct js_stamp) == 40, "js_stamp layout");

/* --- a socket -------------------------------------------------------------- */

/* js_sock.opts: what needs no protocol */
#define JS_SO_NONBLOCK		0x0001
#define JS_SO_NODELAY		0x0002
#define JS_SO_KEEPALIVE		0x0004
#define JS_SO_REUSEADDR		0x0008
#define JS_SO_LINGER		0x0010
#define JS_SO_V6		0x0020	/* AF_INET6 */
#define JS_SO_OOBINLINE		0x0040
#define JS_SO_CORK		0x0080
#define JS_SO_QUICKACK		0x0100
#define JS_SO_ZEROCOPY		0x0200
#define JS_SO_INQ		0x0400	/* TCP_INQ */
#define JS_SO_RENO		0x1000	/* TCP_CONGESTION: "reno", not "cubic" */
#define JS_SO_V6ONLY		0x2000	/* IPV6_V6ONLY: the child looks at it in bind() and listen() */
#define JS_SO_REUSEPORT		0x4000	/* likewise */
#define JS_SO_FO_CONNECT	0x10000	/* TCP_FASTOPEN_CONNECT */
#define JS_SO_FO_NO_COOKIE	0x20000	/* TCP_FASTOPEN_NO_COOKIE */
#define JS_SO_ASYNC		0x40000	/* O_ASYNC: each JS_WAIT_RX brings a token, and that SIGIO */
#define JS_SO_OWNED		0x80000	/* F_SETOWN: urgent data brings JS_ANCHOR_URGENT, and that SIGURG */

/* js_sock.topt: numbers that options set; 0 is the default */
enum {
	JS_TOPT_KEEPIDLE,	/* s */
	JS_TOPT_KEEPINTVL,	/* s */
	JS_TOPT_KEEPCNT,
	JS_TOPT_USER_TIMEOUT,	/* ms */
	JS_TOPT_SYNCNT,
	JS_TOPT_LINGER2,	/* s; JS_TOPT_AT_ONCE */
	JS_TOPT_MAXSEG,		/* octets */
	JS_TOPT_WINDOW_CLAMP,	/* octets */
	JS_TOPT_NOTSENT_LOWAT,	/* octets */
	JS_TOPT_DEFER_ACCEPT,	/* s */
	JS_TOPT_TOS,		/* IP_TOS, IPV6_TCLASS */
	JS_TOPT_TTL,		/* IP_TTL, IPV6_UNICAST_HOPS */
	JS_TOPT_FASTOPEN,	/* TCP_FASTOPEN: one more than connections that are opened fast and not acknowledged */
	JS_TOPT_MTU_DISCOVER,	/* IP_MTU_DISCOVER, IPV6_MTU_DISCOVER: IP_PMTUDISC_*, and one */
	JS_TOPT_UTO,		/* JET_TCP_UTO, s */
	JS_TOPT_TIMESTAMPING,	/* SO_TIMESTAMPING: SOF_TIMESTAMPING_* */
	JS_N_TOPTS
};
#define JS_TOPT_AT_ONCE		0xffffffffu

/* js_sock.chrono; the time of all but the last is counted */
enum {
	JS_CHRONO_BUSY,		/* for nothing but the network */
	JS_CHRONO_RWND,		/* for the peer's window */
	JS_CHRONO_SNDBUF,	/* all is sent, and a writer waits for room */
	JS_N_CHRONOS,
	JS_CHRONO_IDLE = JS_N_CHRONOS	/* so_snd is empty */
};

/* js_sock.notify, and which of two futex words */
#define JS_WAIT_RX		0	/* data, EOF, error, a state */
#define JS_WAIT_TX		1	/* room, connected, error */
#define JS_WAIT_URG		2	/* urgent data was announced; in notify: to be told.  No futex word */

struct js_sock {
	/* sleeping: first, all of it on one line */
	alignas(64) _Atomic uint32_t seq[2];	/* [A] futex words: count changes, JS_WAIT_* */
	_Atomic uint32_t waiters[2];		/* [A] threads in FUTEX_WAIT, or about to be */
	_Atomic uint32_t notify;		/* [A] bits 1 << JS_WAIT_*: somebody polls the anchor: send a token */
	_Atomic uint32_t opts;			/* [A] JS_SO_* */
	_Atomic uint32_t gen;			/* [C] of this index's use; odd: in use */
	_Atomic uint32_t mode;			/* [C] JS_ANCHOR_MODE_* */
	_Atomic uint64_t rcvtimeo_us, sndtimeo_us; /* [A] 0: none */
	_Atomic uint32_t linger_s;		/* [A] */
	_Atomic uint32_t backlog;		/* [C] */
	_Atomic uint32_t accepted;		/* [A] accept() has returned it: its listener's backlog has room again */
	_Atomic uint32_t pending;		/* [A] output was cut short: queue full, or no buffer */

	/* the control block */
	alignas(64) _Atomic uint64_t commit;	/* [A] generation << 16 | the block that is live; 0: the socket was never used */
	_Atomic uint64_t ooo_retired;		/* [C] of js_rings.ooo: those a fenced process may write into: bit i for all entries that are i modulo 64 */
	_Atomic uint64_t deadline_us;		/* [A] tcp_poll_at() of the last commit */
	_Atomic uint32_t fences;		/* [C] fences so far: see js_so.fence_seen */
	_Atomic uint32_t chrono;		/* [L] JS_CHRONO_*: what sending waits for; for TCP_INFO */
	_Atomic uint64_t chrono_since_us;	/* [L] ... since then, */
	_Atomic uint64_t chrono_us[JS_N_CHRONOS]; /* [L] and how long before */
	_Atomic uint32_t topt[JS_N_TOPTS];	/* [A] JS_TOPT_* */
};

static_assert(sizeof(struct js_sock) == 192, "js_sock is three lines");

/* The queues of a socket, on pages of their own. */
struct js_rings {
	alignas(4096) struct js_piece snd[JS_SND_ENTRIES];	/* [L] append-only between head and tail */
	struct js_piece rcv[JS_RCV_ENTRIES];	/* [L] */
	struct js_ooo ooo[JS_OOO_ENTRIES];	/* [L] entries whose bit is not set may be written */
	_Atomic uint32_t stamp_base;		/* [L] sequence number that key 0 is */
	_Atomic uint32_t n_stamps;		/* [L] in stamp[] */
	_Atomic uint32_t stamp_events;		/* [L] of them, untold */
	struct js_stamp stamp[JS_STAMPS];	/* [L] in no block: what is lost is a timestamp */
};

#define JS_N_PLACES	JS_N_QUEUES	/* of a stack: the child, and attached processes */
#define JS_N_BLOCKS	(JS_N_SOCKS + 1 + JS_N_PLACES)	/* live; the spare one; that of each place which may be fenced */

struct js_left {
	_Atomic uint64_t map[65536 / 64];	/* [A] */
};

struct js_stack_hdr {
	uint32_t magic, version;	/* [I] */
	uint64_t size;			/* [I] */
	uint32_t n_socks;		/* [I] JS_N_SOCKS */
	uint32_t sock_off;		/* [I] of struct js_stack */
	uint32_t lock_kind;		/* [I] enum lock_kind of stack/shm/lock.h */
	uint32_t child_pid;		/* [I] */
	uint32_t ring_id;		/* [I] */
	uint32_t notsent_lowat;		/* [I] octets: TCP_NOTSENT_LOWAT where it is 0; 0: no such bound */
	alignas(64) _Atomic uint32_t lock;	/* [A] stack/shm/lock.h */
	_Atomic uint64_t spare;			/* [L] the block that is written next: count << 16 | index */
	_Atomic uint64_t send_order;		/* [L] SENDs made so far, by all processes: js_op.cookie */
	_Atomic uint32_t n_held;		/* [C] in held[] */
	_Atomic uint16_t held[2 * JS_N_PLACES];	/* [C] buffers that a fenced thread may write into: not FREEd before it has come back */
	/* The socket that a place's thread works on, or worked on last: one for each,
	 * as a thread that was fenced may write it late. */
	_Atomic uint16_t lock_sock[JS_N_PLACES];	/* [L] */
	alignas(64) _Atomic uint32_t dead;	/* [A] not 0: child or ring has gone; an errno */
	_Atomic uint32_t child_work;		/* [A] JS_WORK_*: left for the child */
	alignas(64) _Atomic uint64_t app_deadline_us;	/* [A] earliest deadline that a process set; child takes it with exchange */
	_Atomic uint64_t child_until_us;		/* [C] the child sleeps until then at most */
	alignas(64) _Atomic uint32_t fault_point;	/* [A] tests: stop here, see stack/shm/fault.h; 0 */
	_Atomic uint64_t work_map[JS_N_SOCKS / 64];	/* [A] bit i: socket i wants the child's look */
	_Atomic uint64_t moved_map[JS_N_SOCKS / 64];	/* [A] bit i: socket i's deadline_us was written; child takes it with exchange */
	_Atomic uint64_t rings_map[JS_N_SOCKS / 64];	/* [A] bit i: socket i's rings were written; child clears it when it gives their memory back */
	/* Buffers to be FREEd for which a process's script queue had no room,
	 * by its place (Init_Reply; the child's is 0): bit i, buffer i.  Set
	 * after the commit that gave them up, then JS_WORK_LEFT; the child
	 * takes them with exchange.  Untouched ones cost no page. */
	alignas(4096) struct js_left left[JS_N_PLACES];
};

/*
 * A socket has one block, at first that of its index + 1.  A commit makes the
 * spare one its block, and the one that it had the spare.
 *
 * An idle connection costs 1216 octets, its words and its block; they lie side
 * by side with those of others.  Its rings cost pages when they are written,
 * until the child finds that the socket has been quiet for a while.
 */
struct js_stack {
	struct js_stack_hdr hdr;
	struct js_sock sock[JS_N_SOCKS];
	struct js_block block[JS_N_BLOCKS];
	struct js_rings rings[JS_N_SOCKS];
};

#define JS_WORK_TOKENS		0x0001	/* a socket in work_map needs a token */
#define JS_WORK_EVENTS		0x0002	/* the next event is the child's to process */
#define JS_WORK_LOOK		0x0004	/* a socket in work_map changed its state */
#define JS_WORK_LOCK		0x0008	/* take the lock: somebody waits for it in vain */
#define JS_WORK_LEFT		0x0010	/* buffers in left[] */
#define JS_WORK_SWEEP		0x0020	/* some buffers may be nobody's */

/* --- the guard --------------------------------------------------------------- */

struct js_guard_sock {
	uint32_t gen;			/* [C] as js_sock.gen; store-release last, 0: not connected */
	uint16_t pool;			/* [C] pool id */
	uint16_t rxvci, txvci;		/* [C] */
	uint16_t lport, pport;		/* [C] host order */
	uint8_t resv[2];
	uint8_t laddr[16], paddr[16];	/* [C] v4-mapped */
};

static_assert(sizeof(struct js_guard_sock) == 48, "js_guard_sock layout");

struct js_guard_hdr {
	uint32_t magic, version;	/* [I] */
	uint64_t size;			/* [I] */
	uint32_t n_socks;		/* [I] */
	uint16_t tx_pool;		/* [I] pool that Tx buffers of the stack are charged to */
	uint16_t resv;			/* [I] 0 */
	_Atomic uint32_t n_attached;	/* [C] processes that ever attached: from the second on, Tx buffers change hands */
	uint32_t resv2;			/* [I] 0 */
	struct js_guard_sock sock[JS_N_SOCKS];		/* [C] */
	_Atomic uint16_t sock_by_pool[JS_N_POOLS];	/* [C] socket index, 0xffff none */
};

#endif
