/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * port.h - what port.c, portctl.c, script.c, pool.c and vcitab.c share
 *
 * All of this is jetringd's private memory, and it is the truth: who owns a
 * buffer, a pool, a VCI, a queue.  What stands in a port's mapped memory is
 * the client's word; it is read once, checked, used (script.c).
 */
#ifndef EMULATOR_PORT_H
#define EMULATOR_PORT_H

#include <signal.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "emulator/emu.h"

#define PORT_BUFS_DEFAULT	16384	/* buffers: 64 MiB of address space, pages appear on use */
#define PORT_BUFS_MAX		65535	/* ids are 16 bits, JS_BUF_NONE is the last */
#define PORT_WARM_LOW		256	/* free buffers of a port that always keep their page */
#define PORT_WARM_HIGH		2048	/* … and those that were not needed for PORT_TRIM_NS, at most */
#define PORT_PUNCH_BATCH	512	/* pages punched in one go */
#define PORT_TRIM_NS		250000000u
#define PORT_IDLE_POLLS		4096	/* fruitless looks at an awake port before it must ring again */
#define PORT_IDLE_SLEEPS	16	/* … or our sleeps without work from it */
#define PORT_FETCH_MAX		64	/* ops fetched from one queue before the next queue's turn */
#define PORT_GRACE_NS		2000000	/* a woken leader that has consumed nothing by then has not understood */
#define POOL_RXVCIS		16	/* RxVCIs of a pool, at most */
#define STREAM_REUSE_NS		1000000	/* a freed stream rests that long: more than a frame's way round the ring; not than the delays that links may have */
#define PARK_NS			10000000000u	/* IP_DIVERT without a server, DESIGN 7 */

/* --- pool ------------------------------------------------------------------- */

struct pool_stats {			/* named in status as here; a pool is small, so what is rare may wrap */
	uint64_t tx_frames, tx_bytes, rx_frames, rx_bytes;
	uint32_t rx_pool_full;		/* rx_limit reached */
	uint32_t rx_reserved;		/* … and got in through rx_reserve */
	uint32_t rx_node_full;		/* the port's or the node's buffers are out */
	uint32_t rx_event_full, rx_bad_crc;
	uint32_t tx_template;
	uint32_t tx_limited;		/* ALLOC got less than it asked for */
	uint32_t tx_dropped;		/* SENDs still queued when the pool was destroyed */
};

/*
 * A template as it is compared.  The masks of most pools of a port are the
 * same: they are kept once.
 */
struct masks {
	uint32_t refs;			/* pools, and the port that offers them to the next one */
	uint8_t ip[40], tp[8];
};

struct pool_tmpl {
	struct masks *masks;		/* NULL: no template */
	uint8_t ip_len, tp_len;		/* as in struct js_template; octets behind them are 0, here and in masks */
	uint8_t ip_value[40], tp_value[8];
};

/* Leads a flow to its pool, which owns it; in a hash chain and in pool->rules. */
struct rule {
	struct rule *next;
	LIST_ENTRY(rule) of_pool;
	struct pool *pool;		/* NULL: pool->first is not in use */
	struct js_flow flow;
};

/* Owner: its port.  Destroyed by the client or with the port; then dead, its
 * id not reused, until no buffer is charged to it and no SEND of it is out. */
struct pool {
	struct port *port;
	uint16_t id;			/* in the port, from 1 */
	uint16_t queues;		/* bit i: queue i may name it */
	js_vci_t txvci;			/* JS_VCI_NONE: cannot send */
	js_vci_t inject;		/* announced if there is no rxvci[0]; or 0 */
	bool dead : 1;
	bool is_shared : 1;		/* its streams are: flow rules first */
	uint8_t n_rxvci;
	js_vci_t rxvci[POOL_RXVCIS];	/* in the order they were bound */
	uint16_t tx_used, rx_used;	/* buffers charged now */
	uint16_t n_sends;		/* fetched SENDs, queued or on the ring: a slot of a queue each */
	uint32_t tx_limit, rx_limit;	/* buffers */
	uint32_t rx_reserve;		/* beyond rx_limit, for packets of one buffer */
	uint32_t seq;			/* packets received */
	struct pool_tmpl tmpl;
	LIST_HEAD(, rule) rules;	/* flow rules that lead here */
	struct rule first;		/* one of them; most pools have no more */
	struct pool_stats st;
};

/* --- buffers ------------------------------------------------------------------ */

enum { BUF_FREE, BUF_TX, BUF_RX };	/* js_buf_own.kind */

struct pbuf {
	uint16_t pool;			/* id, charged to */
	uint8_t kind;
	uint8_t queue;			/* BUF_TX: allocated it */
	uint32_t sends:31;		/* pieces of it in fetched SENDs */
	uint32_t freed:1;		/* FREEd meanwhile: ours again when sends is 0 */
};

/* --- script queues -------------------------------------------------------------- */

enum send_state { SEND_NONE, SEND_QUEUED, SEND_OUT };

/* A fetched SEND; one for each slot of an open queue. */
struct send {
	struct frame f;			/* f.owner = this */
	uint8_t peek[FRAME_PEEK];	/* header, and more if nothing checked it; iov[0] */
	STAILQ_ENTRY(send) next;	/* SEND_QUEUED: in squeue.pend */
	struct squeue *q;
	struct pool *pool;
	uint32_t slot;			/* absolute number of the op */
	uint64_t order;			/* js_op.cookie: among the queues of the port */
	enum send_state state;
	unsigned int n_buf;
	uint16_t buf[JS_SDU_BUFS];	/* of the pieces; each has one in pbuf.sends */
};

enum squeue_state {
	SQ_FREE,			/* may be opened */
	SQ_OPEN,
	SQ_BROKEN,			/* its producer broke the rules, or it is kept; waits for the opener to revoke it */
	SQ_DRAIN,			/* revoked; fetched SENDs are still to leave */
};

struct squeue {
	struct port *port;
	struct js_queue *sh;		/* shared */
	uint8_t idx;
	enum squeue_state state;
	uint32_t epoch;			/* js_queue.epoch; odd while SQ_OPEN */
	uint32_t fetched, done;		/* the truth of js_queue.fetched, .done */
	uint64_t fin[JS_QUEUE_OPS / 64];	/* bit slot % N: finished, done has not passed it */
	uint64_t freed_nr;		/* order in which queues became SQ_FREE */
	struct send *send;		/* [JS_QUEUE_OPS]; NULL while SQ_FREE */
	STAILQ_HEAD(, send) pend;	/* checked, not yet on the ring, in order */
	TAILQ_ENTRY(squeue) tx;		/* in port.tx while pend is not empty */
};

/* --- port --------------------------------------------------------------------------- */

struct port_stats {
	uint64_t doorbells, ops, bad_ops, tx_template, sends, events, wakes;
	uint64_t queues_broken;		/* tail jumped */
	uint64_t rules_refused;		/* flows that were not its to claim */
	uint64_t grace_wakes;		/* leader woken in vain, then the opener */
};

/* Owner: its connection; freed when that is gone and no frame is out. */
struct port {
	struct ports *ps;
	TAILQ_ENTRY(port) all, act, tx;
	bool is_active;			/* in ps->act: looked at without doorbells */
	bool is_tx;			/* in ps->tx: has SENDs queued */
	bool is_open;			/* OPEN was answered: memory and queues exist */
	bool is_closing;		/* connection gone, frames still out */
	bool is_trusted;
	volatile sig_atomic_t fault;	/* a page of its memory could not be had */
	pid_t pid;
	uid_t uid;
	struct loop_fd conn;		/* the connection */
	struct loop_fd doorbell;	/* the opener's alone */
	struct loop_fd app_doorbell;	/* that it passes on: see port.c */
	int wake_fd;

	uint8_t *map;
	size_t size;
	struct js_port_hdr *hdr;	/* = map */
	struct js_event *eq;
	uint8_t *mem;			/* buffer 0 */
	uint32_t eq_prod;		/* the truth of hdr->eq_prod */
	uint32_t space_due;		/* bit i: queue i is owed a JS_EV_SPACE */
	bool grace;			/* a leader was woken when eq_cons was: */
	uint32_t grace_cons;
	unsigned int idle;		/* looks without finding an op */
	uint32_t db_sleep;		/* number of its last sleep, even */

	uint32_t n_bufs, n_used, n_rx;	/* buffers; of these handed out; of those for reception */
	struct pbuf *buf;
	uint16_t *warm;			/* ring of free ids with a page; newest at warm_head + n_warm - 1 */
	uint32_t warm_head, n_warm;
	uint32_t warm_min;		/* n_warm at its lowest since the last trim: so many were not needed */
	unsigned int n_scattered;	/* ALLOCs and packets that got no neighbours, since warm was sorted */
	uint16_t *cold;			/* stack of free ids without */
	uint32_t n_cold;

	unsigned int n_out;		/* frames that point into map, given to the ring */
	uint64_t freed_nr;
	uint32_t open_mask;		/* bit i: q[i] is SQ_OPEN */
	struct squeue q[JS_N_QUEUES];
	TAILQ_HEAD(, squeue) tx_queues;

	struct pool **pool;		/* by id; [0] is not used */
	uint32_t n_pool_slots, n_pools, next_pool;
	struct masks *masks[2];		/* those that were used last: for IPv4, IPv6; or NULL */
	struct port_stats st;
};

struct ports {
	struct station *s;
	char path[108];
	struct loop_fd listen;
	struct loop_timer grace_timer;	/* armed only while something waits for it */
	struct loop_timer trim_timer;	/* … while a port has more than PORT_WARM_LOW */
	bool is_stopping;
	int spare_fd;			/* to refuse connections when descriptors are out */
	TAILQ_HEAD(ports_list, port) all, act, tx;
	uint64_t n_used, n_rx;		/* buffers handed out on this node; of those for reception */
	uint64_t opened, closed, faults, refused;
};

/* port.c */
void port_close(struct port *p, uint32_t why);	/* why: 0 or JS_CLOSED_*; p may be freed */
void port_unref_frame(struct port *p);		/* a frame came back; p may be freed */
void port_wake(struct port *p);			/* an event was written */
void ports_grace_arm(struct ports *ps);
void ports_trim_arm(struct ports *ps);
extern volatile sig_atomic_t ports_fault;	/* some port.fault is set */
int port_open_memory(struct port *p, uint32_t n_bufs);	/* returns the memfd, or -Exxx */

/* portctl.c */
/* Answer one request.  @fd: came with it, stays the caller's; -1 none.
 * Returns 0, or -Exxx: close the port. */
int portctl_request(struct port *p, const struct js_pc_req *req, size_t len, int fd);

/* script.c */
int squeue_open(struct squeue *q);		/* 0, -ENOMEM */
void squeue_revoke(struct squeue *q, bool keep);	/* keep: nobody gets it before it is revoked again */
void squeue_free(struct squeue *q);
void squeue_space_events(struct port *p);	/* try again what space_due says */
void script_drop_pool(struct port *p, const struct pool *pool);
bool port_fetch(struct port *p);		/* whether an op was found */
void port_activate(struct port *p);
void port_db_sleep(struct port *p);		/* no doorbell, no look */

/* pool.c */
int buf_init(struct port *p);
void buf_fini(struct port *p);
/* Up to @n buffers charged to @pool.  Returns how many. */
unsigned int buf_alloc(struct pool *pool, int kind, unsigned int queue, uint16_t *ids, unsigned int n);
int buf_free(struct port *p, uint16_t id);	/* by its owner: 0, -EPERM */
bool buf_is_owned(const struct port *p, uint16_t id);
void buf_send_done(struct port *p, uint16_t id);
bool buf_trim(struct port *p, uint32_t keep);	/* true: there is more to do */
bool event_put(struct port *p, const struct js_event *ev, bool is_rx);
struct pool *pool_find(const struct port *p, uint16_t id);	/* NULL: none, or dead */
int pool_new(struct port *p, struct pool **pool);	/* 0, -ENOMEM, -ENOBUFS */
void pool_destroy(struct pool *pool, bool port_died);
void pool_put(struct pool *pool);		/* free it if dead and nothing refers to it */
/* 0, -ENOMEM.  @t: valid, and 0 behind its lengths. */
int pool_set_template(struct pool *pool, const struct js_template *t);
void masks_put(struct masks *m);		/* NULL is all right */
int pool_bind(struct pool *pool, js_vci_t vci);
int pool_bind_any(struct pool *pool, js_vci_t *vci);
int pool_unbind(struct pool *pool, js_vci_t vci);
/* The RxVCI that INJECT announces, or JS_VCI_NONE. */
js_vci_t pool_announced(const struct pool *pool);

/* vcitab.c */
/* The pool that has bound @vci on this station, or NULL. */
struct pool *vcitab_holder(const struct station *s, js_vci_t vci);

#endif
