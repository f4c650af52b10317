/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * portctl.h - nK.sock: opening a port and owning pools
 *
 * A UNIX SOCK_SEQPACKET socket of jetringd for each node, mode 0600.  One
 * connection is one port: it lives as long as the connection (every copy of
 * the descriptor) and everything it owns is reclaimed when that ends.  Only
 * the child and the connection server hold it.  A request is one packet,
 * struct js_pc_req; its answer one packet, struct js_pc_rep, in order.
 * jetringd checks SO_PEERCRED: root only.
 *
 * Descriptors: the answer to OPEN carries four by SCM_RIGHTS: the port's
 * memory (abi/pool.h), its doorbell eventfd (the opener writes), its wake
 * eventfd (the opener reads), and a second doorbell to be passed on: a write
 * to it may block, if who else has it wants that.
 *
 * A request that claims a flow (POOL_CREATE with has_flow, RULE_ADD) carries
 * one: the proof that the flow is the client's to claim.  It is a kernel
 * socket of the node's namespace, bound to the flow's dst and dport with the
 * flow's protocol (a bind-point: paper, 4.4.5); bound to the wildcard will do.
 * So it is the node's kernel that says whose a port is.  A trusted port needs
 * none.
 */
#ifndef ABI_PORTCTL_H
#define ABI_PORTCTL_H

#include <assert.h>
#include <stdint.h>

#include "abi/pool.h"

#define JS_PC_VERSION		2

/* js_pc_req.op */
#define JS_PC_OPEN		1	/* first request; arg: JS_PORT_* flags; n: buffers wanted, 0 default */
#define JS_PC_POOL_CREATE	2	/* pool: out; u.pool; answer: pool, vci (its first RxVCI or 0) */
#define JS_PC_POOL_SET		3	/* pool; u.pool, arg: which members (JS_PS_*) */
#define JS_PC_POOL_DESTROY	4	/* pool; queued SENDs are dropped, buffers stay the port's until FREEd */
#define JS_PC_VCI_BIND		5	/* pool, vci: a stream of this node, or a multicast one, or JS_STREAM_ANY; taken from the kernel's pool if that has it; answer: vci */
#define JS_PC_VCI_UNBIND	6	/* pool, vci: given back to the kernel's pool if it was that's */
#define JS_PC_RULE_ADD		7	/* pool, u.flow: exact match, before VCI look-up, on streams IP and IP_DIVERT; with a proof, see below */
#define JS_PC_RULE_DEL		8	/* u.flow */
#define JS_PC_QUEUE_OPEN	9	/* answer: n = queue index, 1 to JS_N_QUEUES - 1 */
#define JS_PC_QUEUE_REVOKE	10	/* n: queue; not fetched ops get EREVOKED and the queue is closed, free to be opened anew once its fetched SENDs have left (queue 0: is then, by itself) */
#define JS_QUEUE_KEEP		1	/* arg of it: only closed, and free when it is revoked again */
#define JS_PC_QUERY		11	/* n: first buffer; answer: n = how many follow in u.own[] */
#define JS_PC_FREE		12	/* u.bufs, n: FREE by the port's opener, whatever queue allocated them */

/* JS_PC_OPEN arg */
#define JS_PORT_TRUSTED		0x0001	/* the connection server: may SEND_RAW, may bind IP_DIVERT */

/* JS_PC_POOL_SET arg */
#define JS_PS_TXVCI		0x0001
#define JS_PS_TMPL		0x0002
#define JS_PS_TX_LIMIT		0x0004
#define JS_PS_RX_LIMIT		0x0008
#define JS_PS_QUEUES		0x0010
#define JS_PS_INJECT		0x0020
#define JS_PS_RX_RESERVE	0x0040

/*
 * A template: what SEND may transmit from a pool (paper, 4.7).  The header of
 * the op must satisfy (octet & mask) == value for each octet of both parts:
 * ip[] from its first octet on, tp[] from the octet that the IP header length
 * gives (IHL * 4 if the first nibble is 4; 40 if it is 6).  Besides, always:
 * the IP length field equals the SDU's length and the header holds both parts.
 * ip_len 0: no template, all SENDs refused unless the port is trusted.
 */
struct js_template {
	uint8_t ip_len;			/* octets compared of the IP header: 20 or 40; 0 none */
	uint8_t tp_len;			/* octets compared behind it, at most 8 */
	uint8_t resv[6];		/* 0 */
	uint8_t ip_value[40], ip_mask[40];
	uint8_t tp_value[8], tp_mask[8];
};

/* An exact flow: IPv4 as v4-mapped; ports in network order; as in the packet. */
struct js_flow {
	uint8_t src[16], dst[16];
	uint16_t sport_be, dport_be;
	uint8_t proto;
	uint8_t resv[3];		/* 0 */
};

#define JS_STREAM_ANY		0xffffu	/* a private stream, first free */
#define JS_STREAM_SHARED	0xfffeu	/* a private stream that pools of this port may announce (inject): frames go by flow rule first, to a pool of this port */
#define JS_STREAM_NO		0u	/* none: the pool only transmits, or is bound later */

struct js_pool_req {
	uint16_t stream;		/* JS_STREAM_ANY, JS_STREAM_SHARED, JS_STREAM_NO */
	uint16_t txvci;			/* or JS_VCI_NONE: nothing can be sent yet */
	uint16_t queues;		/* bit i: queue i may name this pool */
	uint16_t inject;		/* RxVCI that SEND_INJECT announces if the pool has none of its own: one this port has bound (a shared stream), or 0 */
	uint32_t tx_limit, rx_limit;	/* buffers */
	uint32_t rx_reserve;		/* policy on overrun: buffers beyond rx_limit for packets of one buffer; 0: all are discarded (paper, 3) */
	uint32_t has_flow;		/* 1: flow is added as a rule with the pool, atomically; with a proof */
	struct js_flow flow;
	struct js_template tmpl;
};

#define JS_PC_FREE_MAX		256
#define JS_PC_QUERY_MAX		1024

struct js_pc_req {
	uint16_t op;
	uint16_t version;		/* JS_PC_VERSION */
	uint32_t arg;
	uint16_t pool, vci;
	uint32_t n;
	union {
		struct js_pool_req pool;
		struct js_flow flow;
		uint16_t bufs[JS_PC_FREE_MAX];
	} u;
};

/* One buffer in the answer to QUERY. */
struct js_buf_own {
	uint16_t pool;			/* it is charged to */
	uint8_t kind;			/* 0 not the port's, 1 Tx, 2 Rx */
	uint8_t queue;			/* Tx: the queue that allocated it */
};

struct js_pc_rep {
	uint16_t op;			/* of the request */
	uint16_t pool, vci, ring_id;
	int32_t err;			/* 0, or -Exxx: EINVAL, EPERM, ENOENT, ENOBUFS, ENOSPC (no stream), EADDRINUSE, EBUSY */
	uint32_t n;
	struct js_buf_own own[JS_PC_QUERY_MAX];	/* QUERY only; else not sent */
};

#define JS_PC_REP_SHORT		16	/* octets of an answer without own[] */

static_assert(sizeof(struct js_template) == 104, "js_template layout");
static_assert(sizeof(struct js_flow) == 40, "js_flow layout");
static_assert(sizeof(struct js_pc_req) == 16 + 512, "js_pc_req layout");
static_assert(sizeof(struct js_pc_rep) == JS_PC_REP_SHORT + 4096, "js_pc_rep layout");

#endif
