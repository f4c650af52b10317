/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_pool_cost.c - what a SEND costs, printed; fails only if it is absurd
 *
 * Client and driver take turns in one thread, so that the figures are work and
 * not waiting: ops are filled and published, fetched and checked, handed to a
 * ring that takes no time, received (copy and CRC), consumed and freed.
 */
#include "tests/unit/poolrig.h"

#define N_BATCH		64u	/* small packets in a script */
#define N_BATCH_BIG	4u	/* big ones, about a default socket buffer */
#define ABSURD_NS	100000u	/* a packet, under any sanitizer */

struct cost {
	uint64_t fill_ns, fetch_ns, ring_ns, consume_ns;
};

/* One script of @n SENDs of @len octets behind the header, and its way. */
static void one_batch(struct client *a, struct client *b, struct port *pa, struct port *pb,
		      const uint16_t *ids, uint32_t len, unsigned int n, struct cost *c)
{
	struct js_seg seg[JS_SDU_BUFS];
	uint64_t t[5];
	unsigned int n_seg = 0;
	struct js_event ev;
	uint8_t hdr[RIG_HDR];
	struct frame *f;

	for (uint32_t at = 0; at < len; at += JS_BUF_SIZE, n_seg++)
		seg[n_seg] = (struct js_seg) {
			.buf = ids[n_seg], .len = (uint16_t)MIN(len - at, (uint32_t)JS_BUF_SIZE),
		};
	t[0] = now_ns();
	for (unsigned int i = 0; i < n; i++) {
		rig_header(hdr, RIG_HDR + len);
		assert_int_equal(poolc_send(&a->q, a->pool, 0, hdr, RIG_HDR, seg, n_seg), 0);
	}
	poolc_publish(&a->q);
	t[1] = now_ns();
	while (port_fetch(pa))
		;
	t[2] = now_ns();
	while ((f = ports_tx_next(&stations[1])))
		rig_arrive(f);
	t[3] = now_ns();
	while (poolc_event_peek(&b->pc, &ev)) {
		poolc_event_done(&b->pc, &ev);
		assert_int_equal(poolc_free(&b->q, ev.buf, ev.n_buf), 0);
	}
	poolc_publish(&b->q);
	while (port_fetch(pb))
		;
	t[4] = now_ns();
	c->fill_ns += t[1] - t[0];
	c->fetch_ns += t[2] - t[1];
	c->ring_ns += t[3] - t[2];
	c->consume_ns += t[4] - t[3];
}

static int cmp_cost(const void *a, const void *b)
{
	const struct cost *x = a, *y = b;
	uint64_t sx = x->fill_ns + x->fetch_ns + x->ring_ns + x->consume_ns;
	uint64_t sy = y->fill_ns + y->fetch_ns + y->ring_ns + y->consume_ns;

	return (sx > sy) - (sx < sy);
}

static void measure(struct client *a, struct client *b, const uint16_t *ids, uint32_t sdu_len)
{
	struct port *pa = TAILQ_FIRST(&stations[1].ports->all);
	struct port *pb = TAILQ_FIRST(&stations[2].ports->all);
	unsigned int n = sdu_len > JS_BUF_SIZE ? N_BATCH_BIG : N_BATCH;
	static struct cost c[201];
	const struct cost *m = &c[ARRAY_SIZE(c) / 2];
	uint64_t sum;

	memset(c, 0, sizeof(c));
	for (unsigned int i = 0; i < ARRAY_SIZE(c); i++)
		one_batch(a, b, pa, pb, ids, sdu_len - RIG_HDR, n, &c[i]);
	qsort(c, ARRAY_SIZE(c), sizeof(c[0]), cmp_cost);
	sum = (m->fill_ns + m->fetch_ns + m->ring_ns + m->consume_ns) / n;
	print_message("SDU of %u octets, ns: fill and publish %llu, fetch and check %llu, "
		      "frame, CRC, copy, CRC, event %llu, consume and FREE %llu; in all %llu: "
		      "%.2f M SDU/s, %.1f Gbit/s\n", sdu_len,
		      (unsigned long long)m->fill_ns / n,
		      (unsigned long long)m->fetch_ns / n,
		      (unsigned long long)m->ring_ns / n,
		      (unsigned long long)m->consume_ns / n,
		      (unsigned long long)sum, 1e3 / (double)sum, 8.0 * sdu_len / (double)sum);
	assert_true(sum < ABSURD_NS);
}

static void cost_of_a_send(void **state)
{
	struct client a, b;
	uint16_t ids[16];

	(void)state;
	rig_start(false);
	client_pair(&a, &b);
	client_alloc(&a, ids, 16);
	rig_end_thread();
	measure(&a, &b, ids, 48);
	measure(&a, &b, ids, 1500);
	measure(&a, &b, ids, JS_MTU);
	/* The thread has ended: only its join is missing in rig_stop(). */
	atomic_store(&rig.stop, false);
	assert_int_equal(pthread_create(&rig.thread, NULL, rig_main, NULL), 0);
	poolc_close(&a.pc);
	poolc_close(&b.pc);
	rig_stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cost_of_a_send),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
