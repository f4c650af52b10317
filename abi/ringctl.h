/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ringctl.h - ring.sock and capture.sock: talking to jetringd about the ring
 *
 * ring.sock is a UNIX SOCK_SEQPACKET socket, mode 0600.  A client sends one
 * command a packet, a line of words separated by single blanks, no newline;
 * jetringd answers each with one packet of at most JS_CTL_REPLY_MAX octets:
 * "ok", "ok " and JSON (status), or "error: " and a sentence.  Words follow
 * netem where netem has one.
 *
 *	ping				ok
 *	start				start jetconnd on every node
 *	status				ok {"lab":…,"rate_bps":…,"nodes":[…]}
 *	link set SCOPE KEY=VALUE…	impairments: common/linkset.h; what is not
 *					named stays
 *	link reset [SCOPE]		as at the start, counters too; without a
 *					scope also drops all rules
 *	link show			ok [{"src":…,"dst":…,"set":…,…}]
 *	rule add ACTION SCOPE data=K|frame=K [stream=N|user|any] [vci=N] [by=TIME]
 *					ACTION: lose, corrupt, duplicate, delay
 *					(by TIME): once, the K-th from now of the
 *					frames so described; data=: with payload
 *	rule show			ok [{"action":…,…}], those to come
 *	tx-vci NODE auto|ip|ip_divert	the kernel's transmit VCI (paper 4.4.8)
 *	rate BPS|unlimited		change the ring's rate
 *	ring set [NODE] KEY=VALUE…	the model (emulator/ring.h): rate=1G latency=200ns
 *					propagation=50ns hold=500us node-mem=OCTETS;
 *					of a NODE propagation= only, to the next one
 *	token lose|duplicate		a fault of the ring: its token is lost when it
 *					is next released, or there are two
 *	node add K=NETNS[,ADDR/LEN]	a node comes: node nK with TAP jet0 in NETNS
 *	node del NODE			it leaves the ring, at once; never the last one
 *	stop				orderly end of the lab
 *
 * The ring knows no TCP, so a rule's "with payload" is a matter of length: an
 * SDU of at least JS_RULE_PAYLOAD_MIN octets, more than any IP and TCP headers
 * with all their options.
 *
 * capture.sock is a UNIX SOCK_SEQPACKET socket, mode 0660.  A client sends one
 * packet, a line of words "capture [nodes=n1,n2] [rx=1] [tokens=1] [snaplen=N]
 * [filter=HEX]", at most JS_CAP_REQUEST_MAX octets.  nodes= are the recording
 * stations, all by default; rx=1 records arrivals too; tokens=1 token and
 * management frames (abi/ring.h) too; snaplen counts struct js_cap_hdr too;
 * filter= is classic BPF, run on each frame before it is queued (struct
 * js_cap_facts), 16 digits an instruction: code 4, jt 2, jf 2, k 8.  A line
 * that is not understood is answered with "error: " and a sentence, and the
 * end.  Else the answer is "ok" and the descriptor of a queue, memory that the
 * client can map but not write: struct js_cap_queue, and from JS_CAP_QUEUE_HEAD
 * on blocks of JS_CAP_BLOCK octets.  What passes through them is a pcapng stream
 * (abi/capture.h), always whole records.  Blocks are used again in whatever
 * order, the last that was given back first: its memory is still in a cache.
 *
 * jetringd sends a packet, of any one octet, when there is more in the queue:
 * not for every record, but soon.  The client sends struct js_cap_taken when
 * what it has taken ends a block, or several: they have room again.  A client
 * that says what cannot be is cut off; one that says nothing misses records,
 * which are counted.  One that has taken enough shuts down its sending side:
 * jetringd queues the interfaces' statistics and closes.  What is in the queue
 * by then stays there for who has it mapped.
 */
#ifndef ABI_RINGCTL_H
#define ABI_RINGCTL_H

#include <assert.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define JS_CTL_CMD_MAX		1024
#define JS_CTL_REPLY_MAX	(256 * 1024)
#define JS_RULE_PAYLOAD_MIN	201	/* octets of SDU: "rule add", see above */
#define JS_CAP_REQUEST_MAX	(16 * 1024)
#define JS_CAP_QUEUE_MAGIC	0x4a63617051756575ull	/* "JcapQueu" */
#define JS_CAP_QUEUE_HEAD	4096	/* octets before the blocks: struct js_cap_queue */
#define JS_CAP_BLOCK		(1u << 20)
#define JS_CAP_BLOCKS_MAX	64
#define JS_CAP_KEEP_BPS		2000000000u	/* captures of rings up to this rate are to be complete */
#define JS_RUN_DIR		"/run/jetstream"	/* then /LAB/ring.sock, nK.sock, capture.sock */

/* A capture's queue; jetringd writes, and never reads. */
struct js_cap_queue {
	uint64_t magic;			/* JS_CAP_QUEUE_MAGIC */
	uint32_t n_blocks;		/* a power of two */
	_Atomic uint32_t ring_first;	/* 1: the ring is faster than JS_CAP_KEEP_BPS: it is to keep its
					   speed, a client does not compete with it for the processors */
	uint8_t resv[48];
	alignas(64) _Atomic uint64_t tail;	/* octets queued ever; store-release, pairs with the client's load-acquire */
	/* Where octets k * JS_CAP_BLOCK to (k + 1) * JS_CAP_BLOCK - 1 stand: block order[k % n_blocks].
	 * Set before tail passes the first of them. */
	_Atomic uint8_t order[JS_CAP_BLOCKS_MAX];
};

static_assert(offsetof(struct js_cap_queue, tail) == 64, "capture queue layout");
static_assert(sizeof(struct js_cap_queue) <= JS_CAP_QUEUE_HEAD, "the ring begins behind it");

struct js_cap_taken {
	uint64_t n;			/* octets that were taken ever: never less, at most tail */
};

#endif
