/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * poolrig.h - a driver in a thread, for tests of pools
 *
 * Stations 1 to RIG_STATIONS (2 if the test says no other) with their real sockets, loop, scripts, pools and VCI
 * tables run in a thread of the test; clients are the test's other threads,
 * through stack/pool.  Two rings to choose from: the real one (unlimited), or
 * one of ours that delivers at once and can be told to hold frames.
 *
 * The driver's memory is its thread's.  A test that looks into it takes the
 * lock with rig_lock().
 */
#ifndef TESTS_UNIT_POOLRIG_H
#define TESTS_UNIT_POOLRIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/util.h"
#include "emulator/loop.h"
#include "emulator/port.h"
#include "emulator/station.h"
#include "stack/pool/poolc.h"

#ifndef RIG_STATIONS
#define RIG_STATIONS	2
#endif
#define RIG_HELD	1024
#define RIG_SPIN	64	/* fruitless turns before the driver sleeps: rig.spin */
#define RIG_WAIT_US	20000000	/* nothing in a test takes longer, however busy the machine */

static struct {
	pthread_t thread;
	pthread_mutex_t mu;
	_Atomic int wants;		/* threads that want the lock */
	_Atomic bool stop;
	struct loop_fd kick;
	char path[JS_N_RING_IDS][64];
	struct ring ring;
	bool is_real;
	_Atomic bool hold;		/* our ring: keep frames */
	struct frame *held[RIG_HELD];
	unsigned int n_held;
	_Atomic uint64_t to_kernel;	/* frames for the kernel's pool */
	_Atomic int spin;
	_Atomic uint64_t sleeps;
	int flip_next;			/* a bit of the next frame, or -1 */
} rig;

static inline void rig_kicked(struct loop_fd *lf, uint32_t events)
{
	uint64_t n;

	(void)events;
	assert_true(read(lf->fd, &n, sizeof(n)) == sizeof(n));
}

static inline void rig_kick(void)
{
	uint64_t one = 1;

	assert_true(write(rig.kick.fd, &one, sizeof(one)) == sizeof(one));
}

static inline void rig_lock(void)
{
	atomic_fetch_add(&rig.wants, 1);
	rig_kick();
	pthread_mutex_lock(&rig.mu);
	atomic_fetch_sub(&rig.wants, 1);
}

static inline void rig_unlock(void)
{
	pthread_mutex_unlock(&rig.mu);
}

/* Our ring: the frame arrives. */
static inline void rig_arrive(struct frame *f)
{
	struct station *dst = &stations[vci_ring_id(f->vci)];
	struct pool *pool;
	bool by_rule;

	aal5_make(f);
	switch (vcitab_lookup(dst, f, &pool, &by_rule)) {
	case RX_POOL:
		pool_rx(dst, pool, f, rig.flip_next, by_rule ? JS_RX_RULE : 0);
		rig.flip_next = -1;
		break;
	case RX_KERNEL:
		atomic_fetch_add(&rig.to_kernel, 1);
		break;
	case RX_NONE:
		dst->st.rx_unbound++;
		break;
	case RX_PARKED:
		break;
	}
	f->done(f);
}

static inline bool rig_move_frames(void)
{
	bool any = false;

	for (unsigned int id = 1; id <= RIG_STATIONS; id++) {
		struct frame *f;
		int burst = 64;

		while (burst-- && rig.n_held < RIG_HELD && (f = ports_tx_next(&stations[id]))) {
			any = true;
			if (atomic_load(&rig.hold))
				rig.held[rig.n_held++] = f;
			else
				rig_arrive(f);
		}
	}
	return any;
}

/* With the lock: let the frames that were held arrive. */
static inline void rig_release(void)
{
	atomic_store(&rig.hold, false);
	for (unsigned int i = 0; i < rig.n_held; i++)
		rig_arrive(rig.held[i]);
	rig.n_held = 0;
}

static inline bool rig_turn(void)
{
	bool any = loop_wait(0);

	for (unsigned int id = 1; id <= RIG_STATIONS; id++)
		any |= ports_poll(&stations[id]);
	if (rig.is_real) {
		for (int i = 0; i < 32; i++) {
			any |= station_serve(now_ns());
			if (ring_step(&rig.ring, now_ns()) == RING_IDLE)
				break;
			any = true;
		}
	} else {
		any |= rig_move_frames();
	}
	loop_timers(now_ns());
	return any;
}

static inline bool rig_may_sleep(void)
{
	bool may = true;

	for (unsigned int id = 1; id <= RIG_STATIONS && may; id++)
		may = ports_sleep(&stations[id]);
	return may;
}

static inline void *rig_main(void *arg)
{
	int idle = 0;

	(void)arg;
	pthread_mutex_lock(&rig.mu);
	while (!atomic_load(&rig.stop)) {
		if (rig_turn()) {
			idle = 0;
		} else if (++idle > atomic_load(&rig.spin)) {
			if (rig_may_sleep()) {
				uint64_t now = now_ns(), at = loop_timers(now);

				atomic_fetch_add(&rig.sleeps, 1);
				loop_wait(at == LOOP_FOREVER ? at : MAX(at, now) - now);
			}
			for (unsigned int id = 1; id <= RIG_STATIONS; id++)
				ports_wake(&stations[id]);
			idle = 0;
		}
		pthread_mutex_unlock(&rig.mu);
		do
			sched_yield();
		while (atomic_load(&rig.wants));
		pthread_mutex_lock(&rig.mu);
	}
	pthread_mutex_unlock(&rig.mu);
	return NULL;
}

static inline void rig_start(bool is_real)
{
	static char who[] = "rig";
	struct ring_params params;

	log_init(who, 2);
	log_level = LOG_ERROR;
	memset(&rig, 0, sizeof(rig));
	pthread_mutex_init(&rig.mu, NULL);
	rig.is_real = is_real;
	rig.flip_next = -1;
	rig.spin = RIG_SPIN;
	node_mem_max = 1024ull * 1024 * 1024;
	assert_int_equal(loop_init(), 0);
	ring_params_default(&params);
	params.rate_bps = 0;
	ring_init(&rig.ring, &station_ops, &params, now_ns());
	for (unsigned int id = 1; id <= RIG_STATIONS; id++) {
		struct station *s = &stations[id];

		memset(s, 0, sizeof(*s));
		s->used = true;
		s->ring_id = (uint8_t)id;
		snprintf(s->name, sizeof(s->name), "n%u", id);
		snprintf(rig.path[id], sizeof(rig.path[id]), "/tmp/poolrig-%d-n%u.sock",
			 (int)getpid(), id);
		vcitab_init(s);
		assert_int_equal(ports_start(s, rig.path[id]), 0);
		station_start(&rig.ring, s);
	}
	rig.kick.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	rig.kick.ready = rig_kicked;
	assert_int_equal(loop_add(&rig.kick, EPOLLIN), 0);
	assert_int_equal(pthread_create(&rig.thread, NULL, rig_main, NULL), 0);
}

static inline void rig_end_thread(void)
{
	atomic_store(&rig.stop, true);
	rig_kick();
	pthread_join(rig.thread, NULL);
}

static inline void rig_stop(void)
{
	rig_end_thread();
	for (unsigned int id = 1; id <= RIG_STATIONS; id++) {
		station_stop(&stations[id]);
		ports_stop(&stations[id]);
	}
	rig_release();
	for (unsigned int id = 1; id <= RIG_STATIONS; id++)
		vcitab_fini(&stations[id]);
	close(rig.kick.fd);
	loop_fini();
}

/* --- clients ----------------------------------------------------------------- */

/* Until @cond, not for longer than RIG_WAIT_US. */
#define RIG_UNTIL(cond)							\
	do {								\
		uint64_t rig_until = now_us() + RIG_WAIT_US;		\
									\
		while (!(cond)) {					\
			if (now_us() > rig_until)			\
				fail_msg("waited in vain for " #cond);	\
			sched_yield();					\
		}							\
	} while (0)

struct client {
	struct poolc pc;
	struct poolc_queue q;
	uint16_t pool;
	js_vci_t rxvci;
};

/* Octets of a header that the template of rig_template() lets pass. */
#define RIG_HDR		40

/* An IPv4 and TCP header, 40 octets, of @sdu_len octets in all. */
static inline void rig_header(uint8_t *hdr, uint32_t sdu_len)
{
	static const uint8_t proto[RIG_HDR] = {
		0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 74, 0, 1, 10, 74, 0, 2,
		0x12, 0x34, 0, 80, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x10,
	};

	memcpy(hdr, proto, sizeof(proto));
	hdr[2] = (uint8_t)(sdu_len >> 8);
	hdr[3] = (uint8_t)sdu_len;
}

/* What rig_header() writes: version and IHL, no fragment but DF, protocol,
 * addresses, ports. */
static inline void rig_template(struct js_template *t)
{
	static const uint8_t fixed[] = { 0, 6, 7, 9, 12, 13, 14, 15, 16, 17, 18, 19 };
	uint8_t hdr[RIG_HDR];

	rig_header(hdr, 0);
	memset(t, 0, sizeof(*t));
	t->ip_len = 20;
	t->tp_len = 4;
	for (unsigned int i = 0; i < sizeof(fixed); i++) {
		t->ip_value[fixed[i]] = hdr[fixed[i]];
		t->ip_mask[fixed[i]] = 0xff;
	}
	memcpy(t->tp_value, hdr + 20, 4);
	memset(t->tp_mask, 0xff, 4);
}

static inline struct js_pool_req rig_pool_req(js_vci_t txvci)
{
	struct js_pool_req req = {
		.stream = JS_STREAM_ANY, .txvci = txvci, .queues = 0xffff,
		.tx_limit = 4096, .rx_limit = 4096,
	};

	rig_template(&req.tmpl);
	return req;
}

static inline void client_pool(struct client *c, js_vci_t txvci)
{
	struct js_pool_req req = rig_pool_req(txvci);

	assert_int_equal(poolc_pool_create(&c->pc, &req, &c->pool, &c->rxvci), 0);
	assert_int_equal(vci_ring_id(c->rxvci), c->pc.ring_id);
	assert_true(vci_stream(c->rxvci) >= JS_STREAM_FIRST);
}

/* A port on station @id with one pool that sends nowhere yet. */
static inline void client_open(struct client *c, unsigned int id, uint32_t flags)
{
	memset(c, 0, sizeof(*c));
	assert_int_equal(poolc_open(&c->pc, rig.path[id], flags, 0), 0);
	assert_int_equal(c->pc.ring_id, id);
	assert_int_equal(poolc_queue_init(&c->q, &c->pc, 0), 0);
	client_pool(c, JS_VCI_NONE);
}

static inline void client_set_txvci(struct client *c, js_vci_t txvci)
{
	struct js_pool_req req = { .txvci = txvci };

	assert_int_equal(poolc_pool_set(&c->pc, c->pool, JS_PS_TXVCI, &req), 0);
}

/* One on each station, each sending to the other. */
static inline void client_pair(struct client *a, struct client *b)
{
	client_open(a, 1, 0);
	client_open(b, 2, 0);
	client_set_txvci(a, b->rxvci);
	client_set_txvci(b, a->rxvci);
}

static inline void client_go(struct client *c)
{
	poolc_publish(&c->q);
	poolc_ring(&c->pc);
}

/* Run what was pushed and wait for the last op.  Its status. */
static inline uint16_t client_run(struct client *c)
{
	uint32_t last = poolc_tail(&c->q) - 1;

	client_go(c);
	RIG_UNTIL(poolc_is_done(&c->q, last));
	return atomic_load(&c->q.sq->op[last % JS_QUEUE_OPS].status);
}

/* The same for an op that the test fills. */
static inline uint16_t client_op(struct client *c, const struct js_op *op)
{
	struct js_op *slot = poolc_op(&c->q);

	assert_non_null(slot);
	memcpy(slot, op, sizeof(*op));
	poolc_push(&c->q);
	return client_run(c);
}

/* ALLOC of @n buffers, which must succeed. */
static inline void client_alloc(struct client *c, uint16_t *ids, unsigned int n)
{
	struct js_op op = { .code = JS_OP_ALLOC, .pool = c->pool, .n = (uint16_t)n };
	uint32_t slot = poolc_tail(&c->q);

	assert_int_equal(client_op(c, &op), JS_ST_DONE);
	assert_int_equal(c->q.sq->op[slot % JS_QUEUE_OPS].n, n);
	memcpy(ids, c->q.sq->op[slot % JS_QUEUE_OPS].bufs, n * sizeof(*ids));
}

/* Push a SEND of RIG_HDR octets of header and @len of one buffer. */
static inline void client_push(struct client *c, uint16_t id, uint16_t len, uint16_t flags)
{
	struct js_seg seg = { .buf = id, .len = len };
	uint8_t hdr[RIG_HDR];

	rig_header(hdr, RIG_HDR + len);
	assert_int_equal(poolc_send(&c->q, c->pool, flags, hdr, RIG_HDR, &seg, len ? 1 : 0), 0);
}

/* The next event, which must come. */
static inline void client_event(struct client *c, struct js_event *ev)
{
	RIG_UNTIL(poolc_event_peek(&c->pc, ev));
	assert_true(poolc_event_done(&c->pc, ev));
}

static inline void client_free(struct client *c, const uint16_t *ids, unsigned int n)
{
	assert_int_equal(poolc_free(&c->q, ids, n), 0);
	assert_int_equal(client_run(c), JS_ST_DONE);
}

/* Buffers of a port that it owns, by kind. */
static inline unsigned int client_owns(struct client *c, int kind)
{
	static struct js_buf_own own[JS_PC_QUERY_MAX];
	unsigned int n = 0, first = 0;
	int got;

	while ((got = poolc_query(&c->pc, first, own)) > 0) {
		for (int i = 0; i < got; i++)
			n += own[i].kind == kind;
		first += (unsigned int)got;
	}
	assert_int_equal(got, 0);
	return n;
}

#endif
