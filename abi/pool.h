/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pool.h - the memory of a port: script queues, event queue, buffers
 *
 * One memfd for each port, made by jetringd at its full size and sealed
 * against resizing.  Mapped by jetringd and by the port's clients: the child
 * (or the connection server) and each process attached to its stack.  Layout
 * only; the client's side is stack/pool, the driver's emulator/script.c.
 *
 * jetringd keeps who owns which pool, buffer, VCI and queue in private memory
 * (it calls that the truth), reads each word here once into private memory,
 * checks it, then uses it.  Clients treat what jetringd writes as true.
 *
 *	offset 0		struct js_port_hdr
 *	hdr.eq_off		struct js_event  eq[hdr.n_events]
 *	hdr.sq_off		struct js_queue  sq[hdr.n_queues]
 *	hdr.buf_off		n_bufs buffers of JS_BUF_SIZE octets
 *
 * Operations (the paper's ioctl interface, section 3).  A client fills ops in
 * its script queue and publishes them together with one release-store of
 * tail: that is a script, and ringing the doorbell is the crossing.
 *
 * Order of events in a queue
 *	producer: fill op[tail % N]; … ; store-release tail
 *	jetringd: load-acquire tail; copy op; run it; store-release op.status;
 *		  store-release done when that op and all before are finished
 *	producer: may refill a slot once done has passed it
 * ALLOC and FREE finish when they are fetched.  SEND is checked when fetched
 * and finishes when its last octet has left: from then on the buffers named
 * in it are not read again.
 *
 * Memory-ordering partners are named at each _Atomic member.
 *
 * Letters: [I] set before sharing, read-only.  [P] written by the queue's one
 * producer.  [D] written by jetringd, the driver.  [A] atomic, any side.
 */
#ifndef ABI_POOL_H
#define ABI_POOL_H

#include <assert.h>
#include <stdalign.h>
#include <stdint.h>

#define JS_PORT_MAGIC		0x4a53504fu	/* "JSPO" */
#define JS_PORT_VERSION		2

#define JS_BUF_SIZE		4096	/* octets; paper, 4.5.1 */
#define JS_N_QUEUES		16	/* queue 0: the port's opener; others: attached processes */
#define JS_QUEUE_OPS		256	/* ops in a script queue, a power of two */
#define JS_N_EVENTS		4096	/* events of a port, a power of two */
#define JS_SDU_BUFS		17	/* buffers of the largest SDU, any alignment of its first octet */
#define JS_OP_HDR_MAX		112	/* octets of header in a SEND */
#define JS_OP_BUFS		112	/* buffer ids in an ALLOC or FREE */
#define JS_BUF_NONE		0xffffu

/* js_op.code */
#define JS_OP_NOP		0
#define JS_OP_ALLOC		1	/* n buffers for transmission, charged to pool */
#define JS_OP_FREE		2	/* n buffers, of either kind, back to the adapter */
#define JS_OP_SEND		3	/* one SDU: header, then n_seg pieces of buffers */

/* js_op.flags, for SEND */
#define JS_SEND_INJECT		0x0001	/* put the pool's first RxVCI in the trailer */
#define JS_SEND_DIVERT		0x0002	/* to stream IP_DIVERT of TxVCI's node, not to TxVCI */
#define JS_SEND_RAW		0x0004	/* trusted ports only: to op.vci, trailer op.uucpi */

/* js_op.status */
#define JS_ST_PENDING		0	/* written by the producer */
#define JS_ST_DONE		1	/* ALLOC: n and bufs[] hold the result, n may be less than asked */
#define JS_ST_EINVAL		2	/* malformed: counted, nothing done */
#define JS_ST_EPERM		3	/* pool, buffer or VCI not this port's; or template mismatch */
#define JS_ST_ENOBUFS		4	/* limit of the pool or the node */
#define JS_ST_EREVOKED		5	/* the queue was revoked before this op was fetched */

/* A piece of a buffer. */
struct js_seg {
	uint16_t buf;			/* buffer id, < n_bufs */
	uint16_t off;			/* octets into the buffer */
	uint16_t len;			/* octets, off + len <= JS_BUF_SIZE, not 0 */
};

struct js_op {
	_Atomic uint16_t status;	/* [P] PENDING, then [D]; store-release, read by load-acquire */
	uint8_t code;			/* [P] JS_OP_* */
	uint8_t n_seg;			/* [P] SEND: pieces, 0 to JS_SDU_BUFS */
	uint16_t pool;			/* [P] pool id */
	uint16_t flags;			/* [P] JS_SEND_* */
	uint16_t n;			/* [P] ALLOC, FREE: buffers; [D] ALLOC: buffers got */
	uint16_t hdr_len;		/* [P] SEND: octets of hdr, 0 to JS_OP_HDR_MAX */
	uint16_t vci;			/* [P] SEND_RAW: destination */
	uint16_t uucpi;			/* [P] SEND_RAW: UU||CPI */
	uint64_t cookie;		/* [P] SEND: its place in order among the port's queues; 0 any */
	union {
		struct {
			uint8_t hdr[JS_OP_HDR_MAX];		/* [P] first octets of the SDU */
			struct js_seg seg[JS_SDU_BUFS];		/* [P] the rest of it */
		};
		uint16_t bufs[JS_OP_BUFS];	/* [P] FREE, [D] ALLOC */
	};
	uint8_t resv[8];		/* 0 */
};

static_assert(sizeof(struct js_seg) == 6, "js_seg layout");
static_assert(sizeof(struct js_op) == 256, "js_op layout");

/* A script queue: one producer, one consumer (jetringd). */
struct js_queue {
	alignas(64) _Atomic uint32_t tail;	/* [P] ops published; store-release, pairs with jetringd's load-acquire */
	_Atomic uint32_t epoch;			/* [D] odd: open; moves on when the queue is opened, revoked or closed.  A hint: jetringd's own is private */
	alignas(64) _Atomic uint32_t done;	/* [D] ops finished; store-release, pairs with the producer's load-acquire */
	_Atomic uint32_t fetched;		/* [D] ops fetched */
	_Atomic uint32_t want_space;		/* [A] producer: tell me (JS_EV_SPACE) when done has passed tail - N/2 */
	alignas(64) struct js_op op[JS_QUEUE_OPS];
};

/* js_event.type */
#define JS_EV_NONE		0
#define JS_EV_RX		1	/* a packet in n_buf buffers, now the port's */
#define JS_EV_SPACE		2	/* queue `pool' has room again */
#define JS_EV_DISCARD		3	/* a packet for `pool' was discarded: no Rx buffer; not written if the queue is full */

struct js_event {
	_Atomic uint32_t idx;		/* [D] this event's absolute number + 1; store-release, last */
	uint8_t type;			/* [D] JS_EV_* */
	uint8_t n_buf;			/* [D] RX: buffers */
	uint16_t pool;			/* [D] pool id */
	uint32_t seq;			/* [D] RX: number of the packet in this pool, from 1 */
	uint32_t sdu_len;		/* [D] RX: octets; in buf[0] from 0, all buffers but the last full */
	uint16_t vci;			/* [D] RX: the VCI it was sent to */
	uint16_t uucpi;			/* [D] RX: UU||CPI of its trailer */
	uint16_t flags;			/* [D] JS_RX_* */
	uint16_t buf[JS_SDU_BUFS];	/* [D] RX: buffer ids; the rest JS_BUF_NONE */
	uint16_t resv[2];		/* [D] 0 */
	uint32_t resv2;
};

#define JS_RX_LOCAL		0x0001	/* came from this node itself */
#define JS_RX_RULE		0x0002	/* a flow rule chose this pool */

static_assert(sizeof(struct js_event) == 64, "js_event layout");

/*
 * Sleeping.  A consumer of events that is about to sleep stores JS_ASLEEP in
 * eq_sleep, fences (seq_cst), looks at the next event once more, then sleeps
 * on the port's wake eventfd.  jetringd stores the event, fences, exchanges
 * eq_sleep with JS_AWAKE and, if it was JS_ASLEEP, writes the eventfd.
 * The doorbell goes the other way round, but whoever rings it may be killed at
 * any instruction, or stopped there for as long as you like, and others rely on
 * it.  So a client stores tail, fences, and if db_sleep is odd writes the
 * doorbell eventfd first; then it makes that word JS_AWAKE by compare-and-swap,
 * which spares others the system call.  Each sleep is another odd number
 * (JS_ASLEEP + 2 n): who comes late does not wipe out a later sleep.
 *
 * leader is for a thread that is blocked in a socket call and does its own
 * receive processing: a futex word, JS_ASLEEP with the thread waiting on it.
 * jetringd prefers it to the eventfd: it makes JS_ASLEEP JS_LEADING and wakes
 * the thread, and leaves the eventfd alone while it finds JS_LEADING.  If
 * nothing was consumed some milliseconds later it writes the eventfd too.  No
 * such thread: JS_AWAKE; who leaves stores that, fences, looks once more.
 */
#define JS_AWAKE		0u
#define JS_ASLEEP		1u
#define JS_LEADING		2u	/* leader only: that thread is up and looks at the next event before it sleeps or leaves */

struct js_port_hdr {
	uint32_t magic;			/* [I] JS_PORT_MAGIC */
	uint32_t version;		/* [I] JS_PORT_VERSION */
	uint64_t size;			/* [I] octets of the whole memory */
	uint32_t eq_off;		/* [I] offset of the event queue */
	uint32_t n_events;		/* [I] JS_N_EVENTS */
	uint32_t sq_off;		/* [I] offset of the script queues */
	uint32_t n_queues;		/* [I] JS_N_QUEUES */
	uint32_t buf_off;		/* [I] offset of buffer 0 */
	uint32_t n_bufs;		/* [I] buffers, at most 65535 */
	uint8_t ring_id;		/* [I] of this node */
	uint8_t resv0[3];		/* [I] 0 */
	_Atomic uint32_t node_bufs;		/* [D] buffers that all ports of this node may have in use; may change at any time; 0: not told */
	alignas(64) _Atomic uint32_t eq_prod;	/* [D] events written; store-release, pairs with load-acquire of a consumer */
	_Atomic uint32_t closed;		/* [D] not 0: the port is closed, see JS_CLOSED_* */
	alignas(64) _Atomic uint32_t eq_cons;	/* [A] events consumed; moved on by compare-and-swap only */
	_Atomic uint32_t eq_sleep;		/* [A] JS_ASLEEP: write the wake eventfd */
	_Atomic uint32_t leader;		/* [A] see above */
	alignas(64) _Atomic uint32_t db_sleep;	/* [A] odd: write the doorbell eventfd */
};

#define JS_CLOSED_RING		1u	/* the ring has ended */
#define JS_CLOSED_FAULT		2u	/* this port broke the rules, or its pages could not be had */
#define JS_CLOSED_OPENER	3u	/* its opener has closed it, or is dead */

static_assert(sizeof(struct js_port_hdr) == 256, "js_port_hdr layout");

#endif
