/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_pool.c - the driver side of pools, through a real client
 *
 * What is sent arrives; what is refused is refused, counted and hurts nobody;
 * what a dead port held is reclaimed.  See poolrig.h for what runs where.
 */
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "tests/unit/poolrig.h"

static int setup(void **state)
{
	(void)state;
	rig_start(false);
	return 0;
}

static int setup_real(void **state)
{
	(void)state;
	rig_start(true);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_stop();
	return 0;
}

/* A counter of the driver, read under its lock. */
#define DRIVER(expr) ({ rig_lock(); uint64_t value_ = (expr); rig_unlock(); value_; })

/* --- sending and receiving -------------------------------------------------------- */

/* A SEND of @len octets of payload in @n buffers; what arrives is compared. */
static void exchange(struct client *a, struct client *b, const uint16_t *ids, unsigned int n,
		     uint32_t len)
{
	static uint32_t nr;
	struct js_seg seg[JS_SDU_BUFS];
	uint8_t hdr[RIG_HDR], *want = test_malloc(RIG_HDR + len);
	struct js_event ev;
	uint32_t i, at;

	rig_header(hdr, RIG_HDR + len);
	memcpy(want, hdr, RIG_HDR);
	for (i = 0; i < len; i++)
		want[RIG_HDR + i] = (uint8_t)(nr * 31 + i + (i >> 8));
	nr++;
	for (i = at = 0; i < n; i++) {
		uint32_t k = MIN(len - at, (uint32_t)JS_BUF_SIZE);

		memcpy(poolc_buf(&a->pc, ids[i]), want + RIG_HDR + at, k);
		seg[i] = (struct js_seg) { .buf = ids[i], .len = (uint16_t)k };
		at += k;
	}
	assert_int_equal(at, len);
	assert_int_equal(poolc_send(&a->q, a->pool, 0, hdr, RIG_HDR, seg, n), 0);
	assert_int_equal(client_run(a), JS_ST_DONE);

	client_event(b, &ev);
	assert_int_equal(ev.type, JS_EV_RX);
	assert_int_equal(ev.pool, b->pool);
	assert_int_equal(ev.sdu_len, RIG_HDR + len);
	assert_int_equal(ev.vci, b->rxvci);
	assert_int_equal(ev.uucpi, 0);
	assert_int_equal(ev.n_buf, (RIG_HDR + len + JS_BUF_SIZE - 1) / JS_BUF_SIZE);
	for (at = i = 0; i < ev.n_buf; i++, at += JS_BUF_SIZE)
		assert_memory_equal(poolc_buf(&b->pc, ev.buf[i]), want + at,
				    MIN(ev.sdu_len - at, (uint32_t)JS_BUF_SIZE));
	for (; i < JS_SDU_BUFS; i++)
		assert_int_equal(ev.buf[i], JS_BUF_NONE);
	client_free(b, ev.buf, ev.n_buf);
	test_free(want);
}

static void packets_of_all_sizes_arrive(void **state)
{
	static const uint32_t sizes[] = {
		1, 8, 40, 4056, 4057, 8191, 30000, 61440, JS_MTU - RIG_HDR,
	};
	struct client a, b;
	uint16_t ids[16];

	(void)state;
	client_pair(&a, &b);
	client_alloc(&a, ids, 16);
	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++)
		exchange(&a, &b, ids, (sizes[i] + JS_BUF_SIZE - 1) / JS_BUF_SIZE, sizes[i]);
	assert_int_equal(DRIVER(stations[1].st.tx_bad_op + stations[1].st.tx_template), 0);
	assert_int_equal(DRIVER(stations[2].st.rx_frames), ARRAY_SIZE(sizes));
	client_free(&a, ids, 16);
	assert_int_equal(client_owns(&a, BUF_TX), 0);
	assert_int_equal(client_owns(&b, BUF_RX), 0);
	assert_int_equal(DRIVER(stations[1].ports->n_used + stations[2].ports->n_used), 0);
	poolc_close(&a.pc);
	poolc_close(&b.pc);
}

/* Neighbours in memory are sent and received as one piece.  They stay in order
 * when they are freed together, and any other order arrives as well. */
static void neighbours_stay_neighbours(void **state)
{
	static const unsigned int mixed[] = { 4, 5, 2, 0, 1, 3, 7, 6 };
	uint16_t ids[8], again[8], other[8];
	struct client a, b;

	(void)state;
	client_pair(&a, &b);
	client_alloc(&a, ids, 8);
	for (unsigned int i = 1; i < 8; i++)
		assert_int_equal(ids[i], ids[0] + i);
	for (unsigned int i = 0; i < 8; i++)
		other[i] = ids[mixed[i]];
	exchange(&a, &b, ids, 8, 8 * JS_BUF_SIZE);
	exchange(&a, &b, other, 8, 8 * JS_BUF_SIZE - 100);
	exchange(&a, &b, ids, 8, 8 * JS_BUF_SIZE);
	client_free(&a, ids, 8);
	client_alloc(&a, again, 8);
	assert_memory_equal(again, ids, sizeof(ids));
	client_free(&a, other, 8);
	client_alloc(&a, again, 8);
	assert_memory_equal(again, other, sizeof(other));
	exchange(&a, &b, again, 8, 8 * JS_BUF_SIZE);
	poolc_close(&a.pc);
	poolc_close(&b.pc);
}

/* Both in one node: delivered inside the adapter; the real ring's station.c. */
static void packets_to_ones_own_node_arrive(void **state)
{
	struct client a, b;
	struct js_event ev;
	uint16_t id;

	(void)state;
	client_open(&a, 1, 0);
	client_open(&b, 1, 0);
	client_set_txvci(&a, b.rxvci);
	client_alloc(&a, &id, 1);
	client_push(&a, id, 100, 0);
	assert_int_equal(client_run(&a), JS_ST_DONE);
	client_event(&b, &ev);
	assert_int_equal(ev.flags, JS_RX_LOCAL);
	assert_int_equal(DRIVER(stations[1].st.local_frames), 1);
	poolc_close(&a.pc);
	poolc_close(&b.pc);
}

/* Paper, 4.4.7: the driver inserts the connector's RxVCI; paper, 4.4.8: and
 * without a rule it goes to IP_DIVERT of the other node. */
static void inject_and_divert(void **state)
{
	struct js_pool_req req = { .stream = JS_STREAM_NO, .queues = 1, .tx_limit = 8 };
	struct client a, b, server;
	js_vci_t divert = vci_make(2, JS_STREAM_IP_DIVERT);
	struct js_event ev;
	uint16_t pool;

	(void)state;
	client_pair(&a, &b);
	client_open(&server, 2, JS_PORT_TRUSTED);
	assert_int_equal(poolc_vci_bind(&server.pc, server.pool, &divert), 0);

	client_push(&a, 0, 0, JS_SEND_INJECT | JS_SEND_DIVERT);
	assert_int_equal(client_run(&a), JS_ST_DONE);
	client_event(&server, &ev);
	assert_int_equal(ev.vci, vci_make(2, JS_STREAM_IP_DIVERT));
	assert_int_equal(ev.uucpi, JS_UUCPI_RXVCI | a.rxvci);
	client_push(&a, 0, 0, JS_SEND_INJECT);
	assert_int_equal(client_run(&a), JS_ST_DONE);
	client_event(&b, &ev);
	assert_int_equal(ev.uucpi, JS_UUCPI_RXVCI | a.rxvci);

	/* A pool without a stream announces the port's shared one, if told. */
	rig_template(&req.tmpl);
	req.txvci = b.rxvci;
	req.inject = b.rxvci;		/* a foreign one */
	assert_int_equal(poolc_pool_create(&a.pc, &req, &pool, NULL), -EPERM);
	req.inject = 0;
	assert_int_equal(poolc_pool_create(&a.pc, &req, &pool, NULL), 0);
	a.pool = pool;
	client_push(&a, 0, 0, JS_SEND_INJECT);
	assert_int_equal(client_run(&a), JS_ST_EPERM);
	req.inject = a.rxvci;
	assert_int_equal(poolc_pool_set(&a.pc, pool, JS_PS_INJECT, &req), 0);
	client_push(&a, 0, 0, JS_SEND_INJECT);
	assert_int_equal(client_run(&a), JS_ST_DONE);
	client_event(&b, &ev);
	assert_int_equal(ev.uucpi, JS_UUCPI_RXVCI | a.rxvci);
	poolc_close(&a.pc);
	poolc_close(&b.pc);
	poolc_close(&server.pc);
}

/* --- refusals ------------------------------------------------------------------------ */

static void foreign_and_malformed_ops_are_refused(void **state)
{
	struct js_op op, ok = { .code = JS_OP_SEND, .n_seg = 1, .hdr_len = RIG_HDR };
	struct client a, b;
	uint64_t refused = 0;
	uint16_t ids[2];

	(void)state;
	client_pair(&a, &b);
	client_alloc(&a, ids, 2);
	ok.pool = a.pool;
	ok.seg[0] = (struct js_seg) { .buf = ids[0], .len = 100 };
	rig_header(ok.hdr, RIG_HDR + 100);
	assert_int_equal(client_op(&a, &ok), JS_ST_DONE);

#define REFUSED(change, want) do {					\
		op = ok;						\
		change;							\
		assert_int_equal(client_op(&a, &op), want);		\
		refused++;						\
	} while (0)
	REFUSED(op.code = 77, JS_ST_EINVAL);
	REFUSED(op.pool = 0, JS_ST_EPERM);
	REFUSED(op.pool = (uint16_t)(a.pool + 1), JS_ST_EPERM);
	REFUSED(op.pool = 0xffff, JS_ST_EPERM);
	REFUSED(op.flags = 0x8000, JS_ST_EINVAL);
	REFUSED(op.hdr_len = JS_OP_HDR_MAX + 1, JS_ST_EINVAL);
	REFUSED(op.hdr_len = 0xffff, JS_ST_EINVAL);
	REFUSED(op.n_seg = JS_SDU_BUFS + 1, JS_ST_EINVAL);
	REFUSED(op.n_seg = 0xff, JS_ST_EINVAL);
	REFUSED(op.n_seg = 0; op.hdr_len = 0, JS_ST_EINVAL);
	REFUSED(op.seg[0].buf = (uint16_t)a.pc.n_bufs, JS_ST_EPERM);
	REFUSED(op.seg[0].buf = 0xffff, JS_ST_EPERM);
	REFUSED(op.seg[0].buf = ids[1] + 1, JS_ST_EPERM);		/* nobody's */
	REFUSED(op.seg[0].len = 0, JS_ST_EINVAL);
	REFUSED(op.seg[0].off = JS_BUF_SIZE - 99, JS_ST_EINVAL);
	REFUSED(op.seg[0].off = 0xffff; op.seg[0].len = 0xffff, JS_ST_EINVAL);
	REFUSED(op.code = JS_OP_ALLOC; op.n = 0, JS_ST_EINVAL);
	REFUSED(op.code = JS_OP_ALLOC; op.n = JS_OP_BUFS + 1, JS_ST_EINVAL);
	REFUSED(op.code = JS_OP_ALLOC; op.n = 1; op.pool = 9999, JS_ST_EPERM);
	REFUSED(op.code = JS_OP_FREE; op.n = 0, JS_ST_EINVAL);
	REFUSED(op.code = JS_OP_FREE; op.n = JS_OP_BUFS + 1, JS_ST_EINVAL);
	REFUSED(op.code = JS_OP_FREE; op.n = 1; op.bufs[0] = 0xfffe, JS_ST_EPERM);
	REFUSED(op.flags = JS_SEND_RAW; op.vci = b.rxvci, JS_ST_EPERM);	/* not trusted */
#undef REFUSED
	assert_int_equal(DRIVER(stations[1].st.tx_bad_op), refused);
	assert_int_equal(DRIVER(stations[1].st.tx_template), 0);

	/* More than the MTU, of the same buffer. */
	op = ok;
	op.n_seg = 16;
	for (unsigned int i = 0; i < 16; i++)
		op.seg[i] = (struct js_seg) { .buf = ids[0], .len = JS_BUF_SIZE };
	rig_header(op.hdr, 16 * JS_BUF_SIZE + RIG_HDR - 65536);
	assert_int_equal(client_op(&a, &op), JS_ST_EINVAL);

	/* The first of them has arrived, and nothing else. */
	assert_int_equal(DRIVER(stations[2].st.rx_frames), 1);
	/* Double free: the second is refused. */
	client_free(&a, ids, 1);
	assert_int_equal(poolc_free(&a.q, ids, 2), 0);
	assert_int_equal(client_run(&a), JS_ST_EPERM);
	assert_int_equal(client_owns(&a, BUF_TX), 0);		/* but ids[1] was freed */
	/* A SEND from a buffer that was freed. */
	assert_int_equal(client_op(&a, &ok), JS_ST_EPERM);
	poolc_close(&a.pc);
	poolc_close(&b.pc);
}

/* Paper, 4.7.  Each octet that the template fixes, each length. */
static void template_mismatches_are_refused(void **state)
{
	static const uint8_t fixed[] = { 0, 6, 7, 9, 12, 13, 14, 15, 16, 17, 18, 19,
					 20, 21, 22, 23 };
	struct js_op op, ok = { .code = JS_OP_SEND, .hdr_len = RIG_HDR };
	struct client a, b;
	uint64_t refused = 0;
	unsigned int i;

	(void)state;
	client_pair(&a, &b);
	ok.pool = a.pool;
	rig_header(ok.hdr, RIG_HDR);
	assert_int_equal(client_op(&a, &ok), JS_ST_DONE);
	for (i = 0; i < ARRAY_SIZE(fixed); i++, refused++) {
		op = ok;
		op.hdr[fixed[i]] ^= 0x01;
		assert_int_equal(client_op(&a, &op), JS_ST_EPERM);
	}
	/* What it does not fix may be anything: TTL, identification, flags. */
	op = ok;
	op.hdr[8] = op.hdr[4] = op.hdr[33] = 0x5a;
	assert_int_equal(client_op(&a, &op), JS_ST_DONE);
	/* IP's length is not the SDU's. */
	op = ok;
	op.hdr[3]++;
	assert_int_equal(client_op(&a, &op), JS_ST_EPERM);
	/* IHL that points elsewhere: other octets would be the ports. */
	op = ok;
	op.hdr[0] = 0x46;
	assert_int_equal(client_op(&a, &op), JS_ST_EPERM);
	/* The header does not hold both parts. */
	op = ok;
	op.hdr_len = 23;
	op.hdr[3] = 23;
	assert_int_equal(client_op(&a, &op), JS_ST_EPERM);
	op.hdr_len = 10;
	op.hdr[3] = 10;
	assert_int_equal(client_op(&a, &op), JS_ST_EPERM);
	refused += 4;
	assert_int_equal(DRIVER(stations[1].st.tx_template), refused);
	assert_int_equal(DRIVER(stations[1].st.tx_bad_op), 0);
	assert_int_equal(DRIVER(stations[2].st.rx_frames), 2);

	/* No template: nothing may be sent. */
	struct js_pool_req none = { 0 };

	assert_int_equal(poolc_pool_set(&a.pc, a.pool, JS_PS_TMPL, &none), 0);
	assert_int_equal(client_op(&a, &ok), JS_ST_EPERM);
	poolc_close(&a.pc);
	poolc_close(&b.pc);
}

/* A mask that looks at the IHL only through tp_off: the ports move with it. */
static void template_finds_ports_behind_options(void **state)
{
	struct js_pool_req req = rig_pool_req(0);
	struct js_op op = { .code = JS_OP_SEND, .hdr_len = 64 };
	struct client a, b;

	(void)state;
	client_pair(&a, &b);
	req.tmpl.ip_value[0] = 0x40;
	req.tmpl.ip_mask[0] = 0xf0;
	assert_int_equal(poolc_pool_set(&a.pc, a.pool, JS_PS_TMPL, &req), 0);
	op.pool = a.pool;
	rig_header(op.hdr, 64);
	memmove(op.hdr + 60, op.hdr + 20, 4);
	op.hdr[0] = 0x4f;
	assert_int_equal(client_op(&a, &op), JS_ST_DONE);
	op.hdr[63] ^= 1;
	assert_int_equal(client_op(&a, &op), JS_ST_EPERM);
	op.hdr[63] ^= 1;
	op.hdr[0] = 0x44;	/* 16 octets of header: impossible */
	assert_int_equal(client_op(&a, &op), JS_ST_EPERM);
	op.hdr[0] = 0x4f;
	op.hdr_len = 63;
	op.hdr[3] = 63;
	assert_int_equal(client_op(&a, &op), JS_ST_EPERM);
	poolc_close(&a.pc);
	poolc_close(&b.pc);
}

static void queues_and_ports_do_not_share_pools_or_buffers(void **state)
{
	struct js_pool_req req = { .queues = 1 };
	struct client a, b, a1, thief;
	struct js_op op = { .code = JS_OP_FREE, .n = 4 };
	struct js_event ev;
	uint16_t ids[4];
	int idx;

	(void)state;
	client_pair(&a, &b);
	client_open(&thief, 1, 0);
	client_alloc(&a, ids, 4);
	/* Ids are per port: a's are not the thief's, whatever their numbers. */
	memcpy(op.bufs, ids, sizeof(ids));
	assert_int_equal(client_op(&thief, &op), JS_ST_EPERM);
	assert_int_equal(client_owns(&a, BUF_TX), 4);

	/* A second process of a's stack, whose queue the pool is closed to. */
	idx = poolc_queue_open(&a.pc);
	assert_true(idx > 0);
	a1 = a;
	assert_int_equal(poolc_queue_init(&a1.q, &a.pc, (unsigned int)idx), 0);
	client_push(&a1, ids[0], 10, 0);
	assert_int_equal(client_run(&a1), JS_ST_DONE);
	assert_int_equal(poolc_pool_set(&a.pc, a.pool, JS_PS_QUEUES, &req), 0);
	client_push(&a1, ids[0], 10, 0);
	assert_int_equal(client_run(&a1), JS_ST_EPERM);
	client_push(&a, ids[0], 10, 0);
	assert_int_equal(client_run(&a), JS_ST_DONE);
	client_event(&b, &ev);
	client_event(&b, &ev);
	assert_int_equal(ev.seq, 2);
	poolc_close(&a.pc);
	poolc_close(&b.pc);
	poolc_close(&thief.pc);
}

static void raw_is_for_the_connection_server(void **state)
{
	struct client server, b;
	struct js_event ev;
	struct js_seg seg = { .len = 200 };
	uint16_t id;

	(void)state;
	client_open(&server, 1, JS_PORT_TRUSTED);
	client_open(&b, 2, 0);
	client_alloc(&server, &id, 1);
	memset(poolc_buf(&server.pc, id), 0x77, 200);
	seg.buf = id;
	assert_int_equal(poolc_send_raw(&server.q, server.pool, b.rxvci, 0x8123, NULL, 0, &seg, 1), 0);
	assert_int_equal(client_run(&server), JS_ST_DONE);
	client_event(&b, &ev);
	assert_int_equal(ev.sdu_len, 200);
	assert_int_equal(ev.uucpi, 0x8123);
	for (unsigned int i = 0; i < 200; i++)
		assert_int_equal(poolc_buf(&b.pc, ev.buf[0])[i], 0x77);
	/* Even trusted: no token frames, no nonsense. */
	poolc_send_raw(&server.q, server.pool, vci_mcast(0), 0, NULL, 0, &seg, 1);
	assert_int_equal(client_run(&server), JS_ST_EINVAL);
	poolc_send_raw(&server.q, server.pool, 0x8001, 0, NULL, 0, &seg, 1);
	assert_int_equal(client_run(&server), JS_ST_EINVAL);
	poolc_close(&server.pc);
	poolc_close(&b.pc);
}

/* --- limits ---------------------------------------------------------------------------- */

static void limits_hold(void **state)
{
	struct js_pool_req req = { .tx_limit = 5 };
	struct js_op op = { .code = JS_OP_ALLOC, .n = 8 };
	struct client a, b;
	struct js_event ev;
	struct js_op *slot;
	uint16_t id;

	(void)state;
	client_pair(&a, &b);
	op.pool = a.pool;
	assert_int_equal(poolc_pool_set(&a.pc, a.pool, JS_PS_TX_LIMIT, &req), 0);
	slot = &a.q.sq->op[poolc_tail(&a.q) % JS_QUEUE_OPS];
	assert_int_equal(client_op(&a, &op), JS_ST_DONE);
	assert_int_equal(slot->n, 5);
	id = slot->bufs[0];
	assert_int_equal(client_op(&a, &op), JS_ST_ENOBUFS);

	/* The node's bound is shared by its ports, not with other nodes. */
	rig_lock();
	node_mem_max = 8 * JS_BUF_SIZE;
	rig_unlock();
	struct client c;

	client_open(&c, 1, 0);
	op.pool = c.pool;
	slot = &c.q.sq->op[poolc_tail(&c.q) % JS_QUEUE_OPS];
	assert_int_equal(client_op(&c, &op), JS_ST_DONE);
	assert_int_equal(slot->n, 1);
	op.pool = b.pool;
	slot = &b.q.sq->op[poolc_tail(&b.q) % JS_QUEUE_OPS];
	assert_int_equal(client_op(&b, &op), JS_ST_DONE);
	assert_int_equal(slot->n, 6);
	/* A node whose senders have all they can get still receives. */
	client_push(&a, id, 10, 0);
	assert_int_equal(client_run(&a), JS_ST_DONE);
	client_event(&b, &ev);
	assert_int_equal(ev.sdu_len, RIG_HDR + 10);
	poolc_close(&a.pc);
	poolc_close(&b.pc);
	poolc_close(&c.pc);
	RIG_UNTIL(DRIVER(stations[1].ports->n_used + stations[2].ports->n_used) == 0);
}

/* Paper, 3: "If the pool already has all of its Rx buffers in use the packet
 * is discarded." */
static void a_full_pool_discards(void **state)
{
	struct js_pool_req req = { .rx_limit = 3 };
	struct client a, b;
	struct js_event ev;
	uint16_t id, id_b = JS_BUF_NONE;

	(void)state;
	client_pair(&a, &b);
	assert_int_equal(poolc_pool_set(&b.pc, b.pool, JS_PS_RX_LIMIT, &req), 0);
	client_alloc(&a, &id, 1);
	for (unsigned int i = 0; i < 5; i++)
		client_push(&a, id, 10, 0);
	assert_int_equal(client_run(&a), JS_ST_DONE);
	assert_int_equal(DRIVER(stations[2].st.rx_pool_full), 2);
	for (unsigned int i = 1; i <= 3; i++) {
		client_event(&b, &ev);
		assert_int_equal(ev.seq, i);
		id_b = ev.buf[0];
	}
	/* Each discard is told. */
	for (unsigned int i = 0; i < 2; i++) {
		client_event(&b, &ev);
		assert_int_equal(ev.type, JS_EV_DISCARD);
		assert_int_equal(ev.pool, b.pool);
		assert_int_equal(ev.n_buf, 0);
	}
	assert_int_equal(poolc_event_peek(&b.pc, &ev), 0);
	client_free(&b, &id_b, 1);
	client_push(&a, id, 10, 0);
	assert_int_equal(client_run(&a), JS_ST_DONE);
	client_event(&b, &ev);
	assert_int_equal(ev.seq, 4);
	poolc_close(&a.pc);
	poolc_close(&b.pc);
}

/* Short packets may use what was kept for them when bulk has filled the pool. */
static void a_reserve_is_for_short_packets(void **state)
{
	struct js_pool_req req = { .rx_limit = 3, .rx_reserve = 2 };
	struct js_seg seg[2];
	struct client a, b;
	struct js_event ev;
	uint8_t hdr[RIG_HDR];
	uint16_t id;

	(void)state;
	client_pair(&a, &b);
	assert_int_equal(poolc_pool_set(&b.pc, b.pool, JS_PS_RX_LIMIT | JS_PS_RX_RESERVE, &req), 0);
	client_alloc(&a, &id, 1);
	seg[0] = seg[1] = (struct js_seg) { .buf = id, .len = 4000 };
	rig_header(hdr, RIG_HDR + 8000);
	/* Two buffers; two more do not fit, reserve or not. */
	for (unsigned int i = 0; i < 2; i++)
		assert_int_equal(poolc_send(&a.q, a.pool, 0, hdr, RIG_HDR, seg, 2), 0);
	/* One within the limit, two of the reserve, one too many. */
	for (unsigned int i = 0; i < 4; i++)
		client_push(&a, id, 10, 0);
	assert_int_equal(client_run(&a), JS_ST_DONE);
	assert_int_equal(DRIVER(stations[2].st.rx_pool_full), 2);
	for (unsigned int i = 1; i <= 4; i++) {
		client_event(&b, &ev);
		assert_int_equal(ev.seq, i);
		assert_int_equal(ev.n_buf, i == 1 ? 2 : 1);
		if (i == 1 || i == 4) {
			client_event(&b, &ev);
			assert_int_equal(ev.type, JS_EV_DISCARD);
		}
	}
	assert_int_equal(poolc_event_peek(&b.pc, &ev), 0);
	rig_lock();
	assert_int_equal(pool_find(TAILQ_FIRST(&stations[2].ports->all), b.pool)->st.rx_reserved, 2);
	rig_unlock();
	poolc_close(&a.pc);
	poolc_close(&b.pc);
}

static void a_full_event_queue_discards(void **state)
{
	struct js_pool_req req = { .rx_limit = 10000 };
	struct client a, b;
	struct js_event ev;
	unsigned int i, n = 0;
	uint16_t id;

	(void)state;
	client_pair(&a, &b);
	assert_int_equal(poolc_pool_set(&b.pc, b.pool, JS_PS_RX_LIMIT, &req), 0);
	client_alloc(&a, &id, 1);
	for (i = 0; i < JS_N_EVENTS; i++) {
		RIG_UNTIL(poolc_space(&a.q));
		client_push(&a, id, 10, 0);
		client_go(&a);
	}
	RIG_UNTIL(poolc_is_done(&a.q, poolc_tail(&a.q) - 1));
	assert_int_equal(DRIVER(stations[2].st.rx_event_full), JS_N_QUEUES);
	/* Those that did not fit hold no buffer. */
	assert_int_equal(client_owns(&b, BUF_RX), JS_N_EVENTS - JS_N_QUEUES);
	/* A SPACE event still fits: their slots are kept for that. */
	atomic_store(&b.q.sq->want_space, 1);
	poolc_push(&b.q);
	assert_int_equal(client_run(&b), JS_ST_DONE);
	while (poolc_event_peek(&b.pc, &ev)) {
		assert_true(poolc_event_done(&b.pc, &ev));
		n++;
		assert_int_equal(ev.type, n <= JS_N_EVENTS - JS_N_QUEUES ? JS_EV_RX : JS_EV_SPACE);
	}
	assert_int_equal(n, JS_N_EVENTS - JS_N_QUEUES + 1);
	poolc_close(&a.pc);
	poolc_close(&b.pc);
}

static void a_flipped_bit_is_caught_by_the_crc(void **state)
{
	struct client a, b;
	struct js_event ev;
	uint16_t id;

	(void)state;
	client_pair(&a, &b);
	client_alloc(&a, &id, 1);
	rig_lock();
	rig.flip_next = 137;
	rig_unlock();
	client_push(&a, id, 100, 0);
	assert_int_equal(client_run(&a), JS_ST_DONE);
	assert_int_equal(DRIVER(stations[2].st.rx_bad_crc), 1);
	assert_int_equal(poolc_event_peek(&b.pc, &ev), 0);
	assert_int_equal(client_owns(&b, BUF_RX), 0);
	poolc_close(&a.pc);
	poolc_close(&b.pc);
}

/* --- order, and what is freed while it is sent ------------------------------------------- */

static void a_buffer_freed_while_queued_is_not_used_again_before(void **state)
{
	struct js_op op = { .code = JS_OP_ALLOC, .n = 2 };
	struct js_pool_req req = { .tx_limit = 2 };
	struct client a, b;
	struct js_event ev;
	uint16_t id;

	(void)state;
	client_pair(&a, &b);
	assert_int_equal(poolc_pool_set(&a.pc, a.pool, JS_PS_TX_LIMIT, &req), 0);
	client_alloc(&a, &id, 1);
	memset(poolc_buf(&a.pc, id), 0xaa, 100);
	atomic_store(&rig.hold, true);
	client_push(&a, id, 100, 0);
	client_push(&a, id, 50, 0);
	assert_int_equal(poolc_free(&a.q, &id, 1), 0);
	/* The port has it no more, also if it says so again. */
	assert_int_equal(poolc_free(&a.q, &id, 1), 0);
	client_push(&a, id, 10, 0);
	op.pool = a.pool;
	struct js_op *slot = poolc_op(&a.q);

	memcpy(slot, &op, sizeof(op));
	poolc_push(&a.q);
	client_go(&a);
	/* ALLOC is answered although the SENDs before it have not left; the
	 * buffer is still charged. */
	RIG_UNTIL(atomic_load(&slot->status) != JS_ST_PENDING);
	assert_int_equal(atomic_load(&slot->status), JS_ST_DONE);
	assert_int_equal(slot->n, 1);
	assert_int_not_equal(slot->bufs[0], id);
	assert_int_equal(atomic_load(&(slot - 1)->status), JS_ST_EPERM);	/* SEND */
	assert_int_equal(atomic_load(&(slot - 2)->status), JS_ST_EPERM);	/* FREE */
	assert_int_equal(atomic_load(&(slot - 3)->status), JS_ST_DONE);
	assert_int_equal(atomic_load(&(slot - 5)->status), JS_ST_PENDING);
	assert_false(poolc_is_done(&a.q, poolc_tail(&a.q) - 3));
	assert_int_equal(client_owns(&a, BUF_TX), 1);
	rig_lock();
	rig_release();
	rig_unlock();
	RIG_UNTIL(poolc_is_done(&a.q, poolc_tail(&a.q) - 1));
	client_event(&b, &ev);
	for (unsigned int i = RIG_HDR; i < ev.sdu_len; i++)
		assert_int_equal(poolc_buf(&b.pc, ev.buf[0])[i], 0xaa);
	/* Now it may be had again. */
	assert_int_equal(client_op(&a, &op), JS_ST_DONE);
	poolc_close(&a.pc);
	poolc_close(&b.pc);
}

static void a_destroyed_pool_drops_its_queued_sends(void **state)
{
	struct client a, b;
	struct js_event ev;
	uint16_t id, old;
	uint32_t last;

	(void)state;
	client_pair(&a, &b);
	client_alloc(&a, &id, 1);
	rig_lock();		/* nothing is taken by the ring … */
	rig.n_held = RIG_HELD;
	rig_unlock();
	for (unsigned int i = 0; i < 10; i++)
		client_push(&a, id, 10, 0);
	client_go(&a);
	RIG_UNTIL(atomic_load(&a.q.sq->fetched) == poolc_tail(&a.q));
	last = poolc_tail(&a.q) - 1;
	assert_false(poolc_is_done(&a.q, last));
	old = a.pool;
	assert_int_equal(poolc_pool_destroy(&a.pc, a.pool), 0);
	assert_true(poolc_is_done(&a.q, last));
	assert_int_equal(atomic_load(&a.q.sq->op[last % JS_QUEUE_OPS].status), JS_ST_EPERM);
	assert_int_equal(poolc_pool_destroy(&a.pc, old), -ENOENT);
	assert_int_equal(poolc_pool_set(&a.pc, old, 0, &(struct js_pool_req) { 0 }), -ENOENT);
	rig_lock();
	rig.n_held = 0;
	rig_unlock();

	/* The buffer is still the port's, charged to the dead pool; a new pool
	 * has another id, and may send it. */
	assert_int_equal(client_owns(&a, BUF_TX), 1);
	client_pool(&a, b.rxvci);
	assert_int_not_equal(a.pool, old);
	client_push(&a, id, 10, 0);
	assert_int_equal(client_run(&a), JS_ST_DONE);
	client_event(&b, &ev);
	assert_int_equal(ev.seq, 1);
	client_free(&a, &id, 1);
	assert_int_equal(DRIVER(TAILQ_FIRST(&stations[1].ports->all)->n_pools), 1);
	poolc_close(&a.pc);
	poolc_close(&b.pc);
}

/* --- the end of a port -------------------------------------------------------------------- */

static void a_port_may_die_with_sends_queued_and_in_flight(void **state)
{
	struct client a, b, c;
	struct js_event ev;
	uint16_t ids[16];
	int memfd, wake;

	(void)state;
	client_pair(&a, &b);
	client_open(&c, 1, 0);
	client_set_txvci(&c, b.rxvci);
	client_alloc(&a, ids, 16);
	memset(poolc_buf(&a.pc, ids[0]), 0x5a, JS_BUF_SIZE);
	rig_lock();
	atomic_store(&rig.hold, true);
	rig.n_held = RIG_HELD - 3;	/* the ring takes three */
	rig_unlock();
	for (unsigned int i = 0; i < 100; i++)
		client_push(&a, ids[0], 1000, 0);
	client_go(&a);
	RIG_UNTIL(DRIVER(rig.n_held) == RIG_HELD);
	/* In any order: memory first, the connection last. */
	memfd = dup(a.pc.memfd);
	wake = dup(a.pc.wake_fd);
	poolc_close(&a.pc);
	RIG_UNTIL(DRIVER(stations[1].ports->closed) == 1);
	/* Who still has the memory is told. */
	struct poolc left;

	assert_int_equal(poolc_attach(&left, memfd, -1, wake), 0);
	assert_int_equal(poolc_closed(&left), -ENETDOWN);
	assert_false(poolc_sleep_prepare(&left));
	/* What was in flight comes from memory that is still there. */
	rig_lock();
	memmove(rig.held, rig.held + RIG_HELD - 3, 3 * sizeof(rig.held[0]));
	rig.n_held = 3;
	rig_release();
	rig_unlock();
	for (unsigned int i = 0; i < 3; i++) {
		client_event(&b, &ev);
		assert_int_equal(ev.sdu_len, 1000 + RIG_HDR);
		assert_int_equal(poolc_buf(&b.pc, ev.buf[0])[500], 0x5a);
	}
	assert_int_equal(poolc_event_peek(&b.pc, &ev), 0);
	assert_int_equal(DRIVER(stations[1].ports->n_used), 0);
	/* Others go on. */
	client_push(&c, 0, 0, 0);
	assert_int_equal(client_run(&c), JS_ST_DONE);
	client_event(&b, &ev);
	poolc_close(&left);
	poolc_close(&b.pc);
	poolc_close(&c.pc);
}

/* For teardown's sake. */
static void start_again(void)
{
	assert_int_equal(ports_start(&stations[1], rig.path[1]), 0);
	atomic_store(&rig.stop, false);
	assert_int_equal(pthread_create(&rig.thread, NULL, rig_main, NULL), 0);
}

static void the_end_of_the_ring_reaches_all(void **state)
{
	struct client a, b;

	(void)state;
	client_pair(&a, &b);
	client_push(&a, 0, 0, 0);
	client_go(&a);
	assert_true(poolc_sleep_prepare(&a.pc));
	rig_end_thread();
	ports_stop(&stations[1]);
	assert_int_equal(poolc_closed(&a.pc), -ENETDOWN);
	assert_int_equal(poll(&(struct pollfd) { .fd = a.pc.wake_fd, .events = POLLIN }, 1, 0), 1);
	assert_int_equal(poolc_pool_destroy(&a.pc, a.pool), -ENETDOWN);
	assert_int_equal(poolc_queue_check(&a.q), -ENETDOWN);
	poolc_close(&a.pc);
	poolc_close(&b.pc);
	start_again();
	assert_int_equal(poolc_open(&a.pc, "/nonexistent/n1.sock", 0, 0), -ENETDOWN);
}

/* What ends with the ports tells who waits for room; of the stations that are
 * gone no timer is left. */
static void the_end_of_the_ring_leaves_no_timer(void **state)
{
	struct client a, b, a2;

	(void)state;
	client_pair(&a, &b);
	/* A frame that is out keeps what is looked at. */
	client_open(&a2, 1, 0);
	client_set_txvci(&a2, b.rxvci);
	atomic_store(&rig.hold, true);
	client_push(&a2, 0, 0, 0);
	client_go(&a2);
	RIG_UNTIL(DRIVER(rig.n_held) == 1);
	rig_end_thread();
	while (poolc_op(&a.q))
		client_push(&a, 0, 0, 0);
	client_go(&a);
	assert_true(poolc_want_space(&a.q));
	loop_wait(0);
	ports_poll(&stations[1]);
	ports_stop(&stations[1]);
	assert_int_equal(loop_timers(0), LOOP_FOREVER);
	poolc_close(&a.pc);
	poolc_close(&a2.pc);
	poolc_close(&b.pc);
	start_again();
}

/* A station that leaves has no server that could come again. */
static void the_end_of_the_ring_parks_nothing(void **state)
{
	struct client server;
	js_vci_t divert = vci_make(1, JS_STREAM_IP_DIVERT);

	(void)state;
	client_open(&server, 1, JS_PORT_TRUSTED);
	assert_int_equal(poolc_vci_bind(&server.pc, server.pool, &divert), 0);
	assert_string_equal(vcitab_divert_holder(&stations[1]), "pool");
	rig_end_thread();
	ports_stop(&stations[1]);
	assert_string_equal(vcitab_divert_holder(&stations[1]), "kernel");
	poolc_close(&server.pc);
	start_again();
}

/* What processes of a stack publish in their queues leaves in the order in
 * which they made it (js_op.cookie), whichever queue is looked at first. */
static void queues_leave_in_the_order_they_were_made(void **state)
{
	struct client a, b, a1;
	struct js_event ev;
	uint16_t ids[2];
	int idx;

	(void)state;
	client_pair(&a, &b);
	client_alloc(&a, ids, 2);
	idx = poolc_queue_open(&a.pc);
	assert_true(idx > 0);
	a1 = a;
	assert_int_equal(poolc_queue_init(&a1.q, &a.pc, (unsigned int)idx), 0);
	for (uint64_t k = 1; k < 40; k += 2) {
		rig_lock();
		client_push(&a1, ids[0], 200, 0);
		a1.q.sq->op[(poolc_tail(&a1.q) - 1) % JS_QUEUE_OPS].cookie = k + (k & 2 ? 1 : 0);
		client_push(&a, ids[1], 100, 0);
		a.q.sq->op[(poolc_tail(&a.q) - 1) % JS_QUEUE_OPS].cookie = k + (k & 2 ? 0 : 1);
		client_go(&a1);
		client_go(&a);
		rig_unlock();
		client_event(&b, &ev);
		assert_int_equal(ev.sdu_len < 200, (k & 2) != 0);
		client_free(&b, ev.buf, ev.n_buf);
		client_event(&b, &ev);
		assert_int_equal(ev.sdu_len < 200, (k & 2) == 0);
		client_free(&b, ev.buf, ev.n_buf);
	}
}

/* --- queues ----------------------------------------------------------------------------------- */

static void a_revoked_queue_publishes_nothing(void **state)
{
	struct poolc_queue stale;
	struct client a, b, a1;
	struct js_event ev;
	int idx, first;

	(void)state;
	client_pair(&a, &b);
	first = poolc_queue_open(&a.pc);
	assert_true(first > 0);
	a1 = a;
	assert_int_equal(poolc_queue_init(&a1.q, &a.pc, (unsigned int)first), 0);
	/* Fetched, then revoked: goes on. */
	atomic_store(&rig.hold, true);
	client_push(&a1, 0, 0, 0);
	client_go(&a1);
	RIG_UNTIL(atomic_load(&a1.q.sq->fetched) == poolc_tail(&a1.q));
	assert_int_equal(poolc_queue_revoke(&a.pc, (unsigned int)first), 0);
	assert_int_equal(poolc_queue_check(&a1.q), -ESTALE);
	assert_int_equal(poolc_queue_init(&stale, &a.pc, (unsigned int)first), -ESTALE);
	/* Published too late: never runs. */
	client_push(&a1, 0, 0, 0);
	client_go(&a1);
	/* As long as its SEND is out it is not handed out; the other 14 are. */
	for (unsigned int i = 0; i < JS_N_QUEUES - 2; i++) {
		idx = poolc_queue_open(&a.pc);
		assert_true(idx > 0 && idx != first);
	}
	assert_int_equal(poolc_queue_open(&a.pc), -ENOSPC);
	rig_lock();
	rig_release();
	rig_unlock();
	client_event(&b, &ev);
	assert_int_equal(poolc_event_peek(&b.pc, &ev), 0);
	assert_int_equal(poolc_queue_open(&a.pc), first);

	/* The stale producer wakes up in the new one's queue: its tail is out of
	 * range, so the queue breaks instead of sending. */
	client_push(&a1, 0, 0, 0);
	client_go(&a1);
	RIG_UNTIL(DRIVER(TAILQ_FIRST(&stations[1].ports->all)->st.queues_broken) == 1);
	assert_int_equal(poolc_event_peek(&b.pc, &ev), 0);
	/* Oldest first: revoke two, the first of them comes back first. */
	assert_int_equal(poolc_queue_revoke(&a.pc, 9), 0);
	assert_int_equal(poolc_queue_revoke(&a.pc, 4), 0);
	assert_int_equal(poolc_queue_revoke(&a.pc, 4), -ENOENT);
	assert_int_equal(poolc_queue_revoke(&a.pc, JS_N_QUEUES), -EINVAL);
	assert_int_equal(poolc_queue_open(&a.pc), 9);
	assert_int_equal(poolc_queue_open(&a.pc), 4);
	/* One that is only stopped is nobody's. */
	assert_int_equal(poolc_queue_stop(&a.pc, 4), 0);
	assert_int_equal(poolc_queue_open(&a.pc), -ENOSPC);
	assert_int_equal(poolc_queue_revoke(&a.pc, 4), 0);
	assert_int_equal(poolc_queue_open(&a.pc), 4);
	poolc_close(&a.pc);
	poolc_close(&b.pc);
}

/* Not yet fetched ops of a revoked queue say so. */
static void revoked_ops_say_so(void **state)
{
	struct client a, a1;
	uint32_t slot;
	int idx;

	(void)state;
	client_open(&a, 1, 0);
	idx = poolc_queue_open(&a.pc);
	a1 = a;
	assert_int_equal(poolc_queue_init(&a1.q, &a.pc, (unsigned int)idx), 0);
	slot = poolc_tail(&a1.q);
	rig_lock();
	/* As the revocation sees it, in the driver's thread. */
	assert_non_null(poolc_op(&a1.q));
	poolc_push(&a1.q);
	poolc_publish(&a1.q);
	squeue_revoke(&TAILQ_FIRST(&stations[1].ports->all)->q[idx], false);
	rig_unlock();
	assert_int_equal(atomic_load(&a1.q.sq->op[slot % JS_QUEUE_OPS].status), JS_ST_EREVOKED);
	poolc_close(&a.pc);
}

static void a_tail_that_jumps_closes_its_queue_only(void **state)
{
	static const uint32_t jumps[] = { JS_QUEUE_OPS + 1, 0x80000000, 0xffffffff };
	struct client a, b;
	struct js_event ev;

	(void)state;
	client_pair(&a, &b);
	for (unsigned int i = 0; i < ARRAY_SIZE(jumps); i++) {
		struct poolc_queue q1;
		int idx = poolc_queue_open(&a.pc);

		assert_true(idx > 0);
		assert_int_equal(poolc_queue_init(&q1, &a.pc, (unsigned int)idx), 0);
		atomic_fetch_add(&q1.sq->tail, jumps[i]);
		poolc_ring(&a.pc);
		RIG_UNTIL(poolc_queue_check(&q1) == -ESTALE);
	}
	assert_int_equal(DRIVER(TAILQ_FIRST(&stations[1].ports->all)->st.queues_broken),
			 ARRAY_SIZE(jumps));
	client_push(&a, 0, 0, 0);
	assert_int_equal(client_run(&a), JS_ST_DONE);
	client_event(&b, &ev);
	/* Queue 0 can be broken, too: the opener revokes it and begins anew. */
	atomic_fetch_add(&a.q.sq->tail, 4711);
	poolc_ring(&a.pc);
	RIG_UNTIL(poolc_queue_check(&a.q) == -ESTALE);
	assert_int_equal(poolc_queue_revoke(&a.pc, 0), 0);
	assert_int_equal(poolc_queue_init(&a.q, &a.pc, 0), 0);
	client_push(&a, 0, 0, 0);
	assert_int_equal(client_run(&a), JS_ST_DONE);
	client_event(&b, &ev);
	poolc_close(&a.pc);
	poolc_close(&b.pc);
}

/* Two ports and two queues of one of them: frames leave in turn. */
static void nobody_starves(void **state)
{
	struct client a, a1, c, b;
	unsigned int by_port[2] = { 0 };
	int idx;

	(void)state;
	client_pair(&a, &b);
	client_open(&c, 1, 0);
	client_set_txvci(&c, b.rxvci);
	idx = poolc_queue_open(&a.pc);
	a1 = a;
	assert_int_equal(poolc_queue_init(&a1.q, &a.pc, (unsigned int)idx), 0);
	rig_lock();
	atomic_store(&rig.hold, true);
	rig.n_held = RIG_HELD;
	rig_unlock();
	for (unsigned int i = 0; i < 200; i++) {
		client_push(&a, 0, 0, 0);
		client_push(&a1, 0, 0, 0);
	}
	for (unsigned int i = 0; i < 20; i++)
		client_push(&c, 0, 0, 0);
	client_go(&a);
	client_go(&a1);
	client_go(&c);
	RIG_UNTIL(atomic_load(&a.q.sq->fetched) == poolc_tail(&a.q) &&
		  atomic_load(&a1.q.sq->fetched) == poolc_tail(&a1.q) &&
		  atomic_load(&c.q.sq->fetched) == poolc_tail(&c.q));
	rig_lock();
	rig.n_held = 0;
	rig_unlock();
	RIG_UNTIL(DRIVER(rig.n_held) == 420);
	rig_lock();
	for (unsigned int i = 0; i < 40; i++) {
		struct port *p = ((struct send *)rig.held[i]->owner)->q->port;

		by_port[p == TAILQ_FIRST(&stations[1].ports->all) ? 0 : 1]++;
	}
	rig_release();
	rig_unlock();
	assert_int_equal(by_port[0], 20);
	assert_int_equal(by_port[1], 20);
	poolc_close(&a.pc);
	poolc_close(&b.pc);
	poolc_close(&c.pc);
}

static void space_is_told_when_half_is_free(void **state)
{
	struct client a, b;
	struct js_event ev;

	(void)state;
	client_pair(&a, &b);
	assert_false(poolc_want_space(&a.q));
	atomic_store(&rig.hold, true);
	for (unsigned int i = 0; i < JS_QUEUE_OPS; i++)
		client_push(&a, 0, 0, 0);
	assert_null(poolc_op(&a.q));
	client_go(&a);
	assert_true(poolc_want_space(&a.q));
	assert_int_equal(poolc_event_peek(&a.pc, &ev), 0);
	RIG_UNTIL(DRIVER(rig.n_held) == JS_QUEUE_OPS);
	rig_lock();
	rig_release();
	rig_unlock();
	client_event(&a, &ev);
	assert_int_equal(ev.type, JS_EV_SPACE);
	assert_int_equal(ev.pool, 0);
	assert_true(poolc_space(&a.q) >= JS_QUEUE_OPS / 2);
	assert_int_equal(poolc_event_peek(&a.pc, &ev), 0);	/* once */
	poolc_close(&a.pc);
	poolc_close(&b.pc);
}

/* --- control ------------------------------------------------------------------------------------ */

static void streams_are_bound_by_those_who_may(void **state)
{
	js_vci_t divert = vci_make(1, JS_STREAM_IP_DIVERT), any = JS_STREAM_ANY, vci;
	struct client a, server, other;

	(void)state;
	client_open(&a, 1, 0);
	client_open(&server, 1, JS_PORT_TRUSTED);
	client_open(&other, 1, JS_PORT_TRUSTED);
#define BIND(c, v) ({ vci = (js_vci_t)(v); poolc_vci_bind(&(c).pc, (c).pool, &vci); })
	assert_int_equal(BIND(a, divert), -EPERM);
	assert_int_equal(BIND(a, vci_mcast(JS_STREAM_IP)), -EPERM);
	assert_int_equal(BIND(a, vci_make(2, 500)), -EINVAL);		/* another node's */
	assert_int_equal(BIND(a, vci_make(1, 0)), -EINVAL);
	assert_int_equal(BIND(server, vci_make(1, 5)), -EINVAL);	/* reserved */
	assert_int_equal(BIND(server, vci_mcast(0)), -EINVAL);
	assert_int_equal(BIND(server, 0x8000), -EINVAL);
	assert_int_equal(BIND(a, server.rxvci), -EADDRINUSE);
	assert_int_equal(BIND(a, vci_mcast(77)), 0);
	assert_int_equal(BIND(server, vci_mcast(77)), -EADDRINUSE);
	assert_int_equal(BIND(server, divert), 0);
	assert_int_equal(BIND(other, divert), -EADDRINUSE);
	assert_int_equal(poolc_vci_unbind(&other.pc, other.pool, divert), -ENOENT);
	assert_int_equal(poolc_vci_unbind(&server.pc, server.pool, divert), 0);
	assert_int_equal(BIND(other, divert), 0);
	assert_int_equal(poolc_vci_bind(&a.pc, a.pool, &any), 0);
	assert_int_equal(vci_ring_id(any), 1);
	assert_int_equal(poolc_vci_unbind(&a.pc, a.pool, any), 0);
	for (unsigned int i = 2; i < POOL_RXVCIS; i++)
		assert_int_equal(BIND(a, JS_STREAM_ANY), 0);
	assert_int_equal(BIND(a, JS_STREAM_ANY), -ENOBUFS);
#undef BIND
	poolc_close(&a.pc);
	poolc_close(&server.pc);
	poolc_close(&other.pc);
}

/* DESIGN 7: taken, returned in good order, parked when its holder dies. */
static void ip_divert_is_taken_returned_parked(void **state)
{
	js_vci_t divert = vci_make(2, JS_STREAM_IP_DIVERT);
	struct client a, b, server;
	struct js_event ev;

	(void)state;
	client_pair(&a, &b);
	client_push(&a, 0, 0, JS_SEND_DIVERT);
	client_run(&a);
	assert_int_equal(atomic_load(&rig.to_kernel), 1);
	assert_string_equal(vcitab_divert_holder(&stations[2]), "kernel");

	client_open(&server, 2, JS_PORT_TRUSTED);
	assert_int_equal(poolc_vci_bind(&server.pc, server.pool, &divert), 0);
	client_push(&a, 0, 0, JS_SEND_DIVERT);
	client_run(&a);
	client_event(&server, &ev);
	assert_string_equal(vcitab_divert_holder(&stations[2]), "pool");
	/* Orderly: the pool goes, then the port. */
	assert_int_equal(poolc_pool_destroy(&server.pc, server.pool), 0);
	client_push(&a, 0, 0, JS_SEND_DIVERT);
	client_run(&a);
	assert_int_equal(atomic_load(&rig.to_kernel), 2);
	poolc_close(&server.pc);

	client_open(&server, 2, JS_PORT_TRUSTED);
	assert_int_equal(poolc_vci_bind(&server.pc, server.pool, &divert), 0);
	poolc_close(&server.pc);
	RIG_UNTIL(DRIVER(stations[2].ports->closed) == 2);
	client_push(&a, 0, 0, JS_SEND_DIVERT);
	client_run(&a);
	assert_int_equal(DRIVER(stations[2].st.rx_parked), 1);
	assert_string_equal(vcitab_divert_holder(&stations[2]), "parked");
	assert_int_equal(atomic_load(&rig.to_kernel), 2);
	/* A new one. */
	client_open(&server, 2, JS_PORT_TRUSTED);
	assert_int_equal(poolc_vci_bind(&server.pc, server.pool, &divert), 0);
	client_push(&a, 0, 0, JS_SEND_DIVERT);
	client_run(&a);
	client_event(&server, &ev);
	poolc_close(&server.pc);
	poolc_close(&a.pc);
	poolc_close(&b.pc);
}

/* Kernel sockets of a namespace of their own, where every port is free. */
struct bound {
	int ours, other, udp;	/* TCP port 80, TCP port 81, UDP port 80 */
	uint64_t cookie;	/* of the namespace */
};

static int bound_socket(int type, uint16_t port)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htobe16(port) };
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	return fd >= 0 && !bind(fd, (struct sockaddr *)&in, sizeof(in)) ? fd : -1;
}

static void *bind_elsewhere(void *arg)
{
	struct bound *b = arg;
	socklen_t len = sizeof(b->cookie);

	b->ours = -1;
	if (unshare(CLONE_NEWNET) < 0)
		return NULL;
	b->ours = bound_socket(SOCK_STREAM, 80);
	b->other = bound_socket(SOCK_STREAM, 81);
	b->udp = bound_socket(SOCK_DGRAM, 80);
	if (getsockopt(b->ours, SOL_SOCKET, SO_NETNS_COOKIE, &b->cookie, &len) < 0)
		b->ours = -1;
	return NULL;
}

static void rules_come_with_the_pool_or_not_at_all(void **state)
{
	struct js_flow flow = {
		.src = { [10] = 0xff, 0xff, 10, 74, 0, 1 }, .dst = { [10] = 0xff, 0xff, 10, 74, 0, 2 },
		.sport_be = htobe16(0x1234), .dport_be = htobe16(80), .proto = 6,
	};
	struct js_pool_req req = rig_pool_req(JS_VCI_NONE);
	struct client a, b, b2;
	struct js_event ev;
	struct bound sk;
	pthread_t t;
	uint64_t n_streams;
	uint16_t pool;

	(void)state;
	assert_int_equal(pthread_create(&t, NULL, bind_elsewhere, &sk), 0);
	pthread_join(t, NULL);
	assert_true(sk.ours >= 0 && sk.other >= 0 && sk.udp >= 0);
	client_pair(&a, &b);
	client_open(&b2, 2, 0);
	req.has_flow = 1;
	req.flow = flow;
	/* Whose port is not shown to be the client's gets nothing. */
	assert_int_equal(poolc_pool_create(&b.pc, &req, &pool, NULL), -EPERM);
	assert_int_equal(poolc_pool_create_flow(&b.pc, &req, sk.other, &pool, NULL), -EPERM);
	assert_int_equal(poolc_pool_create_flow(&b.pc, &req, sk.udp, &pool, NULL), -EPERM);
	assert_int_equal(poolc_pool_create_flow(&b.pc, &req, b.pc.memfd, &pool, NULL), -EPERM);
	DRIVER(stations[2].netns_cookie = sk.cookie + 1);
	assert_int_equal(poolc_pool_create_flow(&b.pc, &req, sk.ours, &pool, NULL), -EPERM);
	DRIVER(stations[2].netns_cookie = sk.cookie);
	assert_int_equal(DRIVER(TAILQ_LAST(&stations[2].ports->all, ports_list)->n_pools), 1);
	rig_lock();
	assert_int_equal(TAILQ_FIRST(&stations[2].ports->all)->st.rules_refused, 5);
	rig_unlock();
	assert_int_equal(DRIVER(TAILQ_LAST(&stations[2].ports->all, ports_list)->n_pools), 1);
	assert_int_equal(poolc_pool_create_flow(&b.pc, &req, sk.ours, &pool, NULL), 0);
	client_push(&a, 0, 0, JS_SEND_DIVERT);
	client_run(&a);
	client_event(&b, &ev);
	assert_int_equal(ev.pool, pool);
	assert_int_equal(ev.flags, JS_RX_RULE);
	/* Taken: the second pool is not made, and no stream is lost. */
	n_streams = DRIVER(TAILQ_LAST(&stations[2].ports->all, ports_list)->n_pools);
	assert_int_equal(poolc_pool_create_flow(&b2.pc, &req, sk.ours, &pool, NULL), -EADDRINUSE);
	assert_int_equal(DRIVER(TAILQ_LAST(&stations[2].ports->all, ports_list)->n_pools), n_streams);
	assert_int_equal(poolc_rule_del(&b2.pc, &flow), -EPERM);
	assert_int_equal(poolc_rule_add(&b2.pc, b2.pool, &flow, sk.ours), -EADDRINUSE);
	assert_int_equal(poolc_rule_del(&b.pc, &flow), 0);
	assert_int_equal(poolc_rule_del(&b.pc, &flow), -ENOENT);
	assert_int_equal(poolc_rule_add(&b2.pc, b2.pool, &flow, sk.ours), 0);
	/* It dies: its rules with it. */
	poolc_close(&b2.pc);
	RIG_UNTIL(DRIVER(stations[2].ports->closed) == 1);
	client_push(&a, 0, 0, JS_SEND_DIVERT);
	client_run(&a);
	assert_int_equal(atomic_load(&rig.to_kernel), 1);
	poolc_close(&a.pc);
	poolc_close(&b.pc);
	close(sk.ours);
	close(sk.other);
	close(sk.udp);
}

static int n_open_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* However many come with a request, and whether or not it wants one. */
static void descriptors_that_come_are_closed(void **state)
{
	struct js_pc_req req = { .op = JS_PC_FREE, .version = JS_PC_VERSION };
	union { struct cmsghdr h; char buf[CMSG_SPACE(3 * sizeof(int))]; } ctl = { .buf = { 0 } };
	struct iovec iov = { .iov_base = &req, .iov_len = sizeof(req) };
	struct js_pc_rep rep;
	struct client a;
	int n;

	(void)state;
	client_open(&a, 1, 0);
	n = n_open_fds();
	ctl.h.cmsg_level = SOL_SOCKET;
	ctl.h.cmsg_type = SCM_RIGHTS;
	for (unsigned int i = 1; i <= 3; i++) {
		struct msghdr msg = {
			.msg_iov = &iov, .msg_iovlen = 1,
			.msg_control = ctl.buf, .msg_controllen = CMSG_SPACE(i * sizeof(int)),
		};

		ctl.h.cmsg_len = CMSG_LEN(i * sizeof(int));
		memcpy(CMSG_DATA(&ctl.h), (int[]) { 0, 1, 2 }, i * sizeof(int));
		assert_int_equal(sendmsg(a.pc.sock, &msg, MSG_NOSIGNAL), sizeof(req));
		assert_int_equal(recv(a.pc.sock, &rep, sizeof(rep), 0), JS_PC_REP_SHORT);
		assert_int_equal(rep.err, -EINVAL);
		/* The next answer: the driver is done with the last request. */
		assert_int_equal(client_owns(&a, BUF_TX), 0);
		assert_int_equal(n_open_fds(), n);
	}
	poolc_close(&a.pc);
}

/* A connection that says nonsense gets -EINVAL; others are not hurt. */
static void malformed_requests_are_answered(void **state)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct js_pc_req req = { .op = JS_PC_QUERY, .version = JS_PC_VERSION };
	struct js_pool_req pool_req = rig_pool_req(JS_VCI_NONE);
	struct js_pc_rep rep;
	uint8_t junk[2000];
	struct client a;
	uint16_t pool;
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	(void)state;
	strcpy(sun.sun_path, rig.path[1]);
	assert_int_equal(connect(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
#define ANSWER(buf, len, want) do {						\
		assert_int_equal(send(fd, buf, len, 0), len);			\
		assert_int_equal(recv(fd, &rep, sizeof(rep), 0), JS_PC_REP_SHORT);	\
		assert_int_equal(rep.err, want);				\
	} while (0)
	ANSWER(&req, sizeof(req), -EINVAL);		/* before OPEN */
	ANSWER(&req, 1, -EINVAL);
	ANSWER(&req, sizeof(req) - 1, -EINVAL);
	memset(junk, 0xff, sizeof(junk));
	ANSWER(junk, sizeof(junk), -EINVAL);
	ANSWER(junk, sizeof(req), -EINVAL);
	req.op = JS_PC_OPEN;
	req.arg = 0x80;
	ANSWER(&req, sizeof(req), -EINVAL);
	req.arg = 0;
	req.n = PORT_BUFS_MAX + 1;
	ANSWER(&req, sizeof(req), -EINVAL);
	req.n = 1;
	req.version = 99;
	ANSWER(&req, sizeof(req), -EINVAL);
	req.version = JS_PC_VERSION;
	ANSWER(&req, sizeof(req), 0);
	assert_int_equal(rep.n, 1);
	ANSWER(&req, sizeof(req), -EINVAL);		/* a second OPEN */
	/* Zero octets: a packet, but no request. */
	assert_int_equal(send(fd, "", 0, 0), 0);
	assert_int_equal(recv(fd, &rep, sizeof(rep), 0), 0);
	close(fd);
#undef ANSWER

	client_open(&a, 1, 0);
	pool_req.tmpl.ip_len = 21;
	assert_int_equal(poolc_pool_create(&a.pc, &pool_req, &pool, NULL), -EINVAL);
	rig_template(&pool_req.tmpl);
	pool_req.tmpl.tp_len = 9;
	assert_int_equal(poolc_pool_create(&a.pc, &pool_req, &pool, NULL), -EINVAL);
	rig_template(&pool_req.tmpl);
	pool_req.tmpl.ip_mask[3] = 0;
	pool_req.tmpl.ip_value[3] = 1;
	assert_int_equal(poolc_pool_create(&a.pc, &pool_req, &pool, NULL), -EINVAL);
	pool_req = rig_pool_req(vci_mcast(40));
	assert_int_equal(poolc_pool_create(&a.pc, &pool_req, &pool, NULL), -EPERM);
	pool_req.txvci = vci_make(2, 7);
	assert_int_equal(poolc_pool_create(&a.pc, &pool_req, &pool, NULL), -EINVAL);
	pool_req.txvci = 0;
	pool_req.stream = 5;
	assert_int_equal(poolc_pool_create(&a.pc, &pool_req, &pool, NULL), -EINVAL);
	pool_req.stream = JS_STREAM_NO;
	pool_req.has_flow = 1;
	pool_req.flow.resv[0] = 1;
	assert_int_equal(poolc_pool_create(&a.pc, &pool_req, &pool, NULL), -EINVAL);
	assert_int_equal(poolc_pool_set(&a.pc, a.pool, 0x8000, &pool_req), -EINVAL);
	assert_int_equal(poolc_free_bufs(&a.pc, (uint16_t[]) { 5 }, 1), -EPERM);
	poolc_close(&a.pc);
}

/* Asks and asks and does not read: loses its port, nobody waits for it. */
static void who_takes_no_answers_loses_its_port(void **state)
{
	struct js_pc_req req = { .op = JS_PC_QUERY, .version = JS_PC_VERSION };
	struct client a, b;
	struct js_event ev;

	(void)state;
	client_pair(&a, &b);
	RIG_UNTIL(send(a.pc.sock, &req, sizeof(req), MSG_DONTWAIT | MSG_NOSIGNAL) < 0 &&
		  errno == EPIPE);
	assert_int_equal(poolc_closed(&a.pc), -ENETDOWN);
	poolc_close(&a.pc);
	client_open(&a, 1, 0);
	client_set_txvci(&a, b.rxvci);
	client_push(&a, 0, 0, 0);
	assert_int_equal(client_run(&a), JS_ST_DONE);
	client_event(&b, &ev);
	poolc_close(&a.pc);
	poolc_close(&b.pc);
}

/* One whose pools are many: ids are not reused soon, and none is lost. */
static void thousands_of_pools(void **state)
{
	struct js_pool_req req = { .stream = JS_STREAM_NO };
	static uint16_t pools[5000];
	uint16_t again, prev;
	struct client a;

	(void)state;
	client_open(&a, 1, 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(pools); i++)
		assert_int_equal(poolc_pool_create(&a.pc, &req, &pools[i], NULL), 0);
	prev = pools[4999];
	assert_int_equal(poolc_pool_destroy(&a.pc, prev), 0);
	assert_int_equal(poolc_pool_create(&a.pc, &req, &again, NULL), 0);
	assert_int_not_equal(again, prev);
	for (unsigned int i = 0; i < ARRAY_SIZE(pools) - 1; i++)
		assert_int_equal(poolc_pool_destroy(&a.pc, pools[i]), 0);
	assert_int_equal(DRIVER(TAILQ_FIRST(&stations[1].ports->all)->n_pools), 2);
	poolc_close(&a.pc);
}

static void not_root_may_not_open(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	if (getuid() != 0)
		skip();
	assert_int_equal(chmod(rig.path[1], 0666), 0);
	pid = fork();
	if (!pid) {
		struct poolc pc;

		if (setgid(65534) < 0 || setuid(65534) < 0)
			_exit(2);
		_exit(poolc_open(&pc, rig.path[1], 0, 0) == -ENETDOWN ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(DRIVER(stations[1].ports->refused), 1);
}

/* --- memory ---------------------------------------------------------------------------------------- */

static uint64_t blocks_of(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return (uint64_t)st.st_blocks / 8;	/* pages */
}

static void pages_of_freed_buffers_are_given_back(void **state)
{
	struct client a;
	static uint16_t ids[112 * 40];
	uint64_t before;

	(void)state;
	client_open(&a, 1, 0);
	before = blocks_of(a.pc.memfd);
	struct js_pool_req req = { .tx_limit = 10000 };

	assert_int_equal(poolc_pool_set(&a.pc, a.pool, JS_PS_TX_LIMIT, &req), 0);
	for (unsigned int i = 0; i < 40; i++)
		client_alloc(&a, ids + 112 * i, 112);
	for (unsigned int i = 0; i < ARRAY_SIZE(ids); i++)
		memset(poolc_buf(&a.pc, ids[i]), 1, JS_BUF_SIZE);
	assert_true(blocks_of(a.pc.memfd) >= before + ARRAY_SIZE(ids));
	client_free(&a, ids, ARRAY_SIZE(ids));
	/* At once, beyond the high mark; in time, beyond the low one. */
	assert_true(blocks_of(a.pc.memfd) <= before + PORT_WARM_HIGH + PORT_PUNCH_BATCH + 100);
	RIG_UNTIL(blocks_of(a.pc.memfd) <= before + PORT_WARM_LOW + 100);
	/* And they come again. */
	client_alloc(&a, ids, 112);
	memset(poolc_buf(&a.pc, ids[111]), 2, JS_BUF_SIZE);
	poolc_close(&a.pc);
}

/* The driver writes to a page that has gone and cannot come back: here a
 * truncated mapping of its own, as sealing forbids it to everybody else. */
static void a_page_that_cannot_be_had_closes_its_port_only(void **state)
{
	struct client a, b, c;
	struct port *p;
	struct js_event ev;
	int fd;

	(void)state;
	client_pair(&a, &b);
	client_open(&c, 2, 0);
	fd = memfd_create("hole", MFD_CLOEXEC);
	rig_lock();
	/* cmocka has put its own handler of SIGBUS in place of the driver's. */
	assert_int_equal(ports_start(&stations[3], "/tmp/poolrig-sigbus.sock"), 0);
	ports_stop(&stations[3]);
	p = TAILQ_FIRST(&stations[2].ports->all);	/* b's */
	assert_ptr_not_equal(mmap(p->mem, (size_t)p->n_bufs * JS_BUF_SIZE, PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_FIXED, fd, 0), MAP_FAILED);
	rig_unlock();
	client_push(&a, 0, 0, 0);
	assert_int_equal(client_run(&a), JS_ST_DONE);
	RIG_UNTIL(poolc_closed(&b.pc));
	assert_int_equal(atomic_load(&b.pc.hdr->closed), JS_CLOSED_FAULT);
	assert_int_equal(DRIVER(stations[2].ports->faults), 1);
	client_set_txvci(&a, c.rxvci);
	client_push(&a, 0, 0, 0);
	assert_int_equal(client_run(&a), JS_ST_DONE);
	client_event(&c, &ev);
	close(fd);
	poolc_close(&a.pc);
	poolc_close(&b.pc);
	poolc_close(&c.pc);
}

/* Brackets and quotes are closed in order, and nothing follows. */
static bool is_balanced(const char *at)
{
	char open[16];
	int depth = 0;
	bool quoted = false;

	for (; *at; at++) {
		if (*at == '"')
			quoted = !quoted;
		else if (!quoted && (*at == '[' || *at == '{'))
			open[depth++] = *at;
		else if (!quoted && (*at == ']' || *at == '}')) {
			if (!depth || open[--depth] != *at - 2)
				return false;
			if (!depth)
				return !at[1];
		}
		if (depth == (int)sizeof(open))
			return false;
	}
	return false;
}

static void status_is_json_at_any_size(void **state)
{
	static char buf[64 * 1024];
	struct js_pool_req req = rig_pool_req(JS_VCI_NONE);
	struct client a, b, a2;
	size_t n, full;

	(void)state;
	client_pair(&a, &b);
	client_open(&a2, 1, 0);
	for (unsigned int i = 0; i < 5; i++)
		assert_int_equal(poolc_pool_create(&a2.pc, &req, &a2.pool, NULL), 0);
	rig_lock();
	full = ports_status(&stations[1], buf, sizeof(buf));
	assert_int_equal(full, strlen(buf));
	assert_non_null(strstr(buf, "\"rx_pool_full\":0"));
	assert_null(strstr(buf, "truncated"));
	for (size_t size = 0; size <= full + 40; size++) {
		memset(buf, 'x', sizeof(buf));
		n = ports_status(&stations[1], buf, size);
		assert_true(n < size || !n);
		for (size_t i = MAX(size, (size_t)1); i < sizeof(buf); i++)
			assert_int_equal(buf[i], 'x');
		if (!n)
			continue;
		assert_int_equal(buf[n], 0);
		if (!is_balanced(buf) || strstr(buf, ",]") || strstr(buf, ",}") ||
		    strstr(buf, "[,") || strstr(buf, "{,"))
			fail_msg("at size %zu: %s", size, buf);
	}
	rig_unlock();
	poolc_close(&a.pc);
	poolc_close(&a2.pc);
	poolc_close(&b.pc);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define REAL(f) cmocka_unit_test_setup_teardown(f, setup_real, teardown)
	const struct CMUnitTest tests[] = {
		REAL(packets_of_all_sizes_arrive),
		REAL(neighbours_stay_neighbours),
		REAL(packets_to_ones_own_node_arrive),
		CASE(inject_and_divert),
		CASE(foreign_and_malformed_ops_are_refused),
		CASE(template_mismatches_are_refused),
		CASE(template_finds_ports_behind_options),
		CASE(queues_and_ports_do_not_share_pools_or_buffers),
		CASE(raw_is_for_the_connection_server),
		CASE(limits_hold),
		CASE(a_full_pool_discards),
		CASE(a_reserve_is_for_short_packets),
		CASE(a_full_event_queue_discards),
		CASE(a_flipped_bit_is_caught_by_the_crc),
		CASE(a_buffer_freed_while_queued_is_not_used_again_before),
		CASE(a_destroyed_pool_drops_its_queued_sends),
		CASE(a_port_may_die_with_sends_queued_and_in_flight),
		CASE(the_end_of_the_ring_reaches_all),
		CASE(the_end_of_the_ring_leaves_no_timer),
		CASE(the_end_of_the_ring_parks_nothing),
		CASE(queues_leave_in_the_order_they_were_made),
		CASE(a_revoked_queue_publishes_nothing),
		CASE(revoked_ops_say_so),
		CASE(a_tail_that_jumps_closes_its_queue_only),
		CASE(nobody_starves),
		CASE(space_is_told_when_half_is_free),
		CASE(streams_are_bound_by_those_who_may),
		CASE(ip_divert_is_taken_returned_parked),
		CASE(rules_come_with_the_pool_or_not_at_all),
		CASE(malformed_requests_are_answered),
		CASE(descriptors_that_come_are_closed),
		CASE(who_takes_no_answers_loses_its_port),
		CASE(thousands_of_pools),
		CASE(not_root_may_not_open),
		CASE(pages_of_freed_buffers_are_given_back),
		CASE(a_page_that_cannot_be_had_closes_its_port_only),
		CASE(status_is_json_at_any_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
