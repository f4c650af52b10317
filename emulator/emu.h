/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * emu.h - what the parts of jetringd know of each other
 *
 * One process, one thread, no lock.  Parts and the way of a frame:
 *
 *	tap.c    port.c/script.c      sources: a frame waits in each
 *	   \        /
 *	   station.c                  picks a source in turn; rx: VCI table
 *	       |
 *	    ring.c                    the token; time on the ring
 *	       |
 *	   impair.c delayq.c          what happens to it; where a copy waits if it is delayed
 *	       |    capture.c         who records it
 *	       |
 *	   station.c -> tap.c | pool.c   arrival: CRC, copy, or count
 *
 * A frame is not copied while it waits or travels: it points to its source's
 * memory until frame->done() is called, at the moment its last octet arrived.
 * The memory of a port may change at any time: what decides anything (header
 * of the SDU, VCI, lengths) is in private memory of the frame or its source.
 */
#ifndef EMULATOR_EMU_H
#define EMULATOR_EMU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "abi/aal5.h"
#include "abi/pool.h"
#include "abi/portctl.h"
#include "abi/vci.h"

struct station;
struct pool;

/* --- loop.c: one epoll loop ------------------------------------------------- */

struct loop_fd {			/* embedded in its owner */
	int fd;
	void (*ready)(struct loop_fd *lf, uint32_t events);
};
/* 0 or -Exxx.  A loop_fd may be removed in its own or another's ready(). */
int loop_add(struct loop_fd *lf, uint32_t events);
int loop_mod(struct loop_fd *lf, uint32_t events);
void loop_del(struct loop_fd *lf);	/* does not close fd */

struct loop_timer {			/* embedded in its owner; zeroed before first use */
	void (*fire)(struct loop_timer *lt, uint64_t now_ns);
	uint64_t at_ns;
	bool armed;
	struct loop_timer *next;
};
void loop_timer_set(struct loop_timer *lt, uint64_t at_ns);	/* again: moves it */
void loop_timer_del(struct loop_timer *lt);

/* --- frame -------------------------------------------------------------------- */

#define FRAME_IOV	(1 + JS_SDU_BUFS)
#define FRAME_PEEK	128	/* octets of SDU that are always private and contiguous in iov[0], if the SDU has them and its source could promise it */

struct frame {
	js_vci_t vci;			/* destination */
	uint16_t uucpi;			/* UU||CPI */
	uint32_t sdu_len;		/* octets */
	uint8_t src;			/* Ring ID of the sender */
	int n_iov;
	struct iovec iov[FRAME_IOV];	/* the SDU, in order; iov[0] is private memory */
	uint32_t crc;			/* of the CPCS-PDU, set by aal5_make() */
	void (*done)(struct frame *f);	/* the source's: memory is not read any more */
	void *owner;			/* the source's */
};

/* --- aal5.c --------------------------------------------------------------------- */

/* Fill f->crc from the pieces, pad and trailer. */
void aal5_make(struct frame *f);
/* Write the 5-octet header for @vci. */
void aal5_header(uint8_t hdr[JS_HDR_LEN], js_vci_t vci);
uint8_t aal5_hec(const uint8_t hdr[4]);
/* CRC of a CPCS-PDU whose SDU is @iov, with this trailer. */
uint32_t aal5_crc(const struct iovec *iov, int n_iov, uint32_t sdu_len, uint16_t uucpi);
/* PAD and trailer, for a capture or a test: returns octets written (8 to 55). */
size_t aal5_tail(uint8_t *tail, uint32_t sdu_len, uint16_t uucpi, uint32_t crc);

/* --- station: one node's adapter -------------------------------------------------- */

/* Counters of a station, named in status as here. */
struct station_stats {
	uint64_t tx_frames, tx_bytes;		/* bytes: octets of SDU */
	uint64_t rx_frames, rx_bytes;
	uint64_t local_frames;
	uint64_t rx_bad_crc;			/* arrived corrupt */
	uint64_t rx_unbound;			/* nobody has bound the VCI */
	uint64_t rx_pool_full;			/* all Rx buffers of the pool in use */
	uint64_t rx_event_full;			/* the port's event queue is full */
	uint64_t rx_tap_drop;			/* the TAP would not take it, or there is none */
	uint64_t rx_bad_proto;			/* for the kernel, but neither IPv4, IPv6 nor ARP */
	uint64_t rx_parked;			/* IP_DIVERT without a connection server, a bind-point's port */
	uint64_t tx_no_ring_id;			/* TAP: destination MAC is no station */
	uint64_t tx_bad_ether;			/* TAP: too short, or neither IP nor ARP */
	uint64_t tx_not_copied;			/* no station took it: none has that Ring ID */
	uint64_t tx_cut;			/* destroyed on the ring: a purge, or this station left */
	uint64_t tx_template;			/* refused: template mismatch */
	uint64_t tx_bad_op;			/* refused: malformed op, or not its owner */
	uint64_t lost, corrupted;		/* by impairment or rule or, lost, for lack of room to wait; of frames sent by this station */
	uint64_t crossings, ops;		/* doorbells served; ops run */
};

/* Where a frame for a stream of this station goes. */
enum rx_target {
	RX_NONE,			/* nobody has bound the VCI: the caller counts rx_unbound */
	RX_KERNEL,
	RX_POOL,
	RX_PARKED,			/* TCP to parked IP_DIVERT: discard, vcitab_lookup() has counted it */
};

struct vci_binding {
	struct pool *pool;		/* RX_POOL */
	uint64_t free_at_ns;		/* a freed number may be reused after this */
	enum rx_target target;
	bool was_kernel;		/* goes back to the kernel's pool at unbind */
};

struct station {
	bool used;
	uint8_t ring_id;
	char name[16];			/* "n1" */
	char netns[64];			/* path of the namespace, "" none */
	uint64_t netns_cookie;		/* of it: SO_NETNS_COOKIE; 0 unknown */
	struct station_stats st;
	struct vci_binding vci[JS_N_STREAMS];	/* unicast; vcitab.c */
	struct tap *tap;		/* tap.c; NULL: none */
	struct ports *ports;		/* port.c */
	struct vcitab *vcitab;		/* vcitab.c: flow rules, multicast bindings, free streams */
	unsigned int next_source;	/* round robin: TAP, ports */
	/* station.c */
	struct frame *ready[2];		/* by source: its next frame for the ring; NULL none */
	struct frame *head;		/* that of them which is being sent or is next; NULL none chosen */
};

extern struct station stations[JS_N_RING_IDS];

/* A source has (or may have) something to send: let the token find it. */
void ring_kick(struct station *s);

/* --- sources: the TAP (tap.c) and the ports (port.c, script.c) ------------------------ */

/* The next frame of this source, or NULL.  It is the source's until done().
 * At most one frame a source is out at a time for the TAP; ports keep a FIFO
 * of fetched SENDs and hand out its head. */
struct frame *tap_tx_next(struct station *s);
struct frame *ports_tx_next(struct station *s);
bool tap_tx_pending(const struct station *s);
bool ports_tx_pending(const struct station *s);

/* --- arrival ------------------------------------------------------------------------- */

/* @flip: impairment: -1 none, else a bit of the SDU that arrives inverted. */
/* Octets go into new Rx buffers of the pool, CRC is checked over what was
 * copied; bad ones are counted and the buffers taken back.  Counts. */
bool pool_rx(struct station *s, struct pool *p, const struct frame *f, int64_t flip, uint16_t flags);
/* Ethernet header rebuilt, written to the TAP.  Counts. */
bool tap_rx(struct station *s, const struct frame *f, int64_t flip);

/* vcitab.c: the pool or kernel for a frame that arrives at @s: flow rules
 * first (streams IP and IP_DIVERT), then the VCI. */
enum rx_target vcitab_lookup(struct station *s, const struct frame *f, struct pool **pool, bool *by_rule);
void vcitab_init(struct station *s);	/* IP, IP_DIVERT, ARP are the kernel's */
void vcitab_fini(struct station *s);	/* after ports_stop() */
/* @stream: a stream, or JS_VCI_MCAST | stream. */
int vcitab_bind(struct station *s, unsigned int stream, struct pool *p);	/* 0, -EADDRINUSE */
void vcitab_unbind(struct station *s, unsigned int stream, struct pool *p, uint64_t now_ns);
/* Who has IP_DIVERT: "kernel", "pool" or "parked". */
const char *vcitab_divert_holder(const struct station *s);
/* Buffers that the station's ports have in use; node_mem_max is their bound. */
uint64_t ports_bufs_used(const struct station *s);
/* The holder of a stream died.  IP_DIVERT is parked if it was the kernel's
 * (DESIGN 7), any other is unbound. */
void vcitab_orphan(struct station *s, unsigned int stream, struct pool *p, uint64_t now_ns);
int vcitab_alloc(struct station *s, struct pool *p, uint64_t now_ns);	/* stream >= 32, first-in first-out; -ENOSPC */
int rule_add(struct station *s, const struct js_flow *flow, struct pool *p);	/* 0, -EADDRINUSE, -ENOMEM */
int rule_del(struct station *s, const struct js_flow *flow, const struct pool *p);	/* 0, -ENOENT */
struct pool *rule_find(struct station *s, const struct js_flow *flow);	/* or NULL */
void rules_drop_pool(struct station *s, const struct pool *p);

/* --- port.c ---------------------------------------------------------------------------- */

/* Listen on @path (nK.sock, 0600) for ports of this station.  0 or -Exxx. */
int ports_start(struct station *s, const char *path);
void ports_stop(struct station *s);	/* all ports get JS_CLOSED_RING and a wake */
/* Look at queues of ports that did not ring because they think we are awake.
 * Returns whether anything was found.  Called from the loop before it sleeps
 * and while it spins. */
bool ports_poll(struct station *s);
/* We are about to sleep / have woken: sets db_sleep of every port.
 * ports_sleep() returns false if something came meanwhile: do not sleep. */
bool ports_sleep(struct station *s);
void ports_wake(struct station *s);
void ports_tell_memory(struct station *s);	/* node_mem_max has changed */
/* JSON array of pools and ports for "status", appended to @buf: octets written. */
size_t ports_status(const struct station *s, char *buf, size_t size);

/* Node-wide bound on buffer memory, octets; --node-mem. */
#define NODE_MEM_MIN	(JS_SDU_BUFS * (uint64_t)JS_BUF_SIZE)	/* a packet of any size */
extern uint64_t node_mem_max;

#endif
