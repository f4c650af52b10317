/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_ring.c - emulator/ring.c with stations and a clock of our own
 *
 * Four stations 1, 2, 3 and 0 (n16) at 1 Gbit/s; H is 250 ns, a full frame
 * (61541 octets) takes 492328 ns, the smallest (53 octets) 424 ns.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "emulator/ring.h"

#define GBIT	1000000000ull
#define H	((uint64_t)RING_STATION_NS + RING_PROP_NS)
#define FULL	492328u		/* ns */
#define SMALL	424u		/* ns */
#define N_LOG	4096

static struct ring ring;
static uint64_t now;

/* Station i has left[i] frames to send. */
static struct frame frames[JS_N_RING_IDS];
static int left[JS_N_RING_IDS];

/* What arrived. */
static struct { unsigned int src; struct ring_tx tx; } arrivals[N_LOG];
static int n_arrivals;

static struct frame *fake_head(unsigned int id)
{
	return left[id] ? &frames[id] : NULL;
}

static bool fake_arrived(unsigned int id, struct frame *f, const struct ring_tx *tx)
{
	assert_ptr_equal(f, &frames[id]);
	assert_true(n_arrivals < N_LOG);
	arrivals[n_arrivals].src = id;
	arrivals[n_arrivals++].tx = *tx;
	return --left[id];
}

static const struct ring_ops fake_ops = { .head = fake_head, .arrived = fake_arrived };

/* Station @src has @n frames of @sdu_len octets for @dst, now. */
static void offer(unsigned int src, js_vci_t vci, uint32_t sdu_len, int n)
{
	frames[src] = (struct frame) { .vci = vci, .sdu_len = sdu_len, .src = (uint8_t)src };
	left[src] = n;
	ring_request(&ring, src, now);
}

/* Let time pass to @until, looking whenever the ring asks for it. */
static void run_until(uint64_t until)
{
	for (;;) {
		uint64_t next = ring_step(&ring, now);

		if (next > until)
			break;
		if (next > now)
			now = next;
	}
	now = until;
}

static void start(uint64_t rate_bps)
{
	now = 1000000;
	n_arrivals = 0;
	memset(left, 0, sizeof(left));
	ring_init(&ring, &fake_ops, rate_bps, now);
	for (unsigned int k = 1; k <= 3; k++)
		ring_add(&ring, k);
	ring_add(&ring, 0);
}

static int setup(void **state)
{
	(void)state;
	start(GBIT);
	return 0;
}

static void hops_in_ring_order(void **state)
{
	(void)state;
	assert_int_equal(ring_hops(&ring, 1, 2), 1);
	assert_int_equal(ring_hops(&ring, 3, 0), 1);	/* 4 to 15 are not there */
	assert_int_equal(ring_hops(&ring, 2, 1), 3);
	assert_int_equal(ring_hops(&ring, 1, 1), 4);
}

static void idle_wants_no_clock(void **state)
{
	(void)state;
	assert_true(ring_step(&ring, now) == RING_IDLE);
	assert_true(ring_step(&ring, now + GBIT) == RING_IDLE);
	assert_int_equal(ring.token_passes, 0);
}

/* It arrives with its last bit, having travelled the hops between. */
static void one_frame(void **state)
{
	uint64_t t0;

	(void)state;
	offer(1, vci_make(3, 40), JS_MTU, 1);
	run_until(now + 4 * H);
	assert_non_null(ring.frame);
	t0 = ring.tx.start_ns;
	run_until(t0 + FULL + 2 * H - 1);
	assert_int_equal(n_arrivals, 0);
	run_until(t0 + FULL + 2 * H);
	assert_int_equal(n_arrivals, 1);
	assert_int_equal(arrivals[0].tx.arrive_ns, t0 + FULL + 2 * H);
	assert_int_equal(arrivals[0].tx.token_id, 1);
	assert_int_equal(ring.bytes, 61541);
	assert_true(ring_step(&ring, now) == RING_IDLE);
}

/* The idle token goes round: whenever one asks, it comes within a rotation. */
static void idle_token_circulates(void **state)
{
	(void)state;
	for (int i = 0; i < 1000; i++) {
		uint64_t asked;

		run_until(now + 12347);
		asked = now;
		offer(2, vci_make(3, 40), 40, 1);
		run_until(now + 4 * H + SMALL + H);
		assert_int_equal(n_arrivals, i + 1);
		assert_in_range(arrivals[i].tx.start_ns, asked, asked + 4 * H - 1);
		/* It passes station 2 at whole rotations from where it was left. */
		assert_int_equal((arrivals[i].tx.start_ns - arrivals[0].tx.start_ns -
				  (uint64_t)i * SMALL) % (4 * H), 0);
	}
}

/* Two stations with full frames alternate, each with the token. */
static void saturating_stations_alternate(void **state)
{
	(void)state;
	offer(1, vci_make(2, 40), JS_MTU, 100);
	offer(2, vci_make(1, 40), JS_MTU, 100);
	run_until(now + 250 * FULL);
	assert_int_equal(n_arrivals, 200);
	for (int i = 1; i < n_arrivals; i++) {
		assert_int_not_equal(arrivals[i].src, arrivals[i - 1].src);
		assert_int_equal(arrivals[i].tx.token_id, arrivals[i - 1].tx.token_id + 1);
		/* The last frame has been stripped before the next begins. */
		assert_true(arrivals[i].tx.start_ns >=
			    arrivals[i - 1].tx.start_ns + FULL + 4 * H);
	}
}

/* Small frames: a holding time each, so neither starves. */
static void holding_time_bounds_a_turn(void **state)
{
	uint64_t held = 0, octets = 0;

	(void)state;
	offer(1, vci_make(2, 40), 40, 1200);
	offer(3, vci_make(2, 40), 40, 1200);
	run_until(now + 100 * FULL);
	assert_int_equal(n_arrivals, 2400);
	for (int i = 0; i < n_arrivals; i++) {
		if (!i || arrivals[i].tx.token_id != arrivals[i - 1].tx.token_id) {
			held = arrivals[i].tx.token_id;
			octets = 0;
		}
		assert_int_equal(arrivals[i].tx.token_id, held);
		octets += 53;
		assert_true(octets <= 62500);
	}
	assert_int_equal(ring.token_passes, 4);
}

/* The ring keeps its rate although we look at it much too late. */
static void lateness_does_not_accumulate(void **state)
{
	uint64_t t0 = now;

	(void)state;
	offer(1, vci_make(2, 40), JS_MTU, 1000);
	while (left[1]) {
		now += 777777;
		while (ring_step(&ring, now) <= now)
			;
	}
	assert_in_range(arrivals[999].tx.arrive_ns - t0, 1000ull * FULL, 1000ull * (FULL + 10 * H));
	assert_in_range(now - t0, 1000ull * FULL, 1000ull * (FULL + 10 * H) + 2 * 777777);
	assert_true(ring.late_frames > 0);
	assert_int_equal(ring.stalls, 0);
}

/* Who asks while the ring is late does not wait until it has caught up. */
static void a_late_ring_is_fair(void **state)
{
	(void)state;
	offer(1, vci_make(2, 40), JS_MTU, 100);
	run_until(now + 10 * FULL);
	now += 50 * FULL;
	offer(2, vci_make(1, 40), JS_MTU, 20);
	run_until(now + 100 * FULL);
	assert_int_equal(n_arrivals, 120);
	for (int i = 12; i < 50; i++)
		assert_int_not_equal(arrivals[i].src, arrivals[i - 1].src);

	/* An idle ring is not late, however long it was idle. */
	run_until(now + GBIT);
	offer(3, vci_make(2, 40), 40, 1);
	run_until(now + 100 * H);
	assert_true(arrivals[120].tx.start_ns >= now - 100 * H);
	assert_int_equal(ring.stalls, 0);
}

/* Stopped for long, the ring does not make up for it. */
static void a_stopped_ring_stands_still(void **state)
{
	(void)state;
	offer(1, vci_make(2, 40), JS_MTU, 100);
	run_until(now + 10 * FULL);
	now += 10 * GBIT;
	while (ring_step(&ring, now) <= now)
		;
	assert_int_equal(ring.stalls, 1);
	assert_in_range(n_arrivals, 9, 11);
}

/* Multicast has arrived when the farthest station has it. */
static void multicast_goes_all_the_way(void **state)
{
	(void)state;
	offer(1, vci_mcast(JS_STREAM_ARP), 40, 1);
	run_until(now + 100 * H);
	assert_int_equal(n_arrivals, 1);
	assert_int_equal(arrivals[0].tx.arrive_ns, arrivals[0].tx.start_ns + SMALL + 3 * H);
}

/* A source that has nothing after all costs no pass of the token. */
static void withdrawn_request(void **state)
{
	(void)state;
	offer(2, vci_make(1, 40), 40, 0);
	run_until(now + 100 * H);
	assert_int_equal(n_arrivals, 0);
	assert_int_equal(ring.token_passes, 0);
	assert_true(ring_step(&ring, now) == RING_IDLE);
}

static void unlimited_does_not_wait(void **state)
{
	(void)state;
	start(0);
	offer(1, vci_make(2, 40), JS_MTU, 10);
	offer(2, vci_make(1, 40), JS_MTU, 10);
	while (ring_step(&ring, now) != RING_IDLE)
		;
	assert_int_equal(n_arrivals, 20);
	for (int i = 0; i < n_arrivals; i++) {
		assert_int_equal(arrivals[i].tx.arrive_ns, now);
		if (i)
			assert_int_not_equal(arrivals[i].src, arrivals[i - 1].src);
	}
	assert_int_equal(ring.late_frames, 0);
}

/* Nobody waits for the rest of a slow frame once the rate is raised. */
static void rate_is_raised_in_mid_frame(void **state)
{
	(void)state;
	start(1000);
	offer(1, vci_make(2, 40), JS_MTU, 2);
	run_until(now + GBIT);
	assert_int_equal(n_arrivals, 0);
	ring_set_rate(&ring, GBIT, now);
	run_until(now + 2 * FULL + 20 * H);
	assert_int_equal(n_arrivals, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(hops_in_ring_order, setup),
		cmocka_unit_test_setup(idle_wants_no_clock, setup),
		cmocka_unit_test_setup(one_frame, setup),
		cmocka_unit_test_setup(idle_token_circulates, setup),
		cmocka_unit_test_setup(saturating_stations_alternate, setup),
		cmocka_unit_test_setup(holding_time_bounds_a_turn, setup),
		cmocka_unit_test_setup(lateness_does_not_accumulate, setup),
		cmocka_unit_test_setup(a_late_ring_is_fair, setup),
		cmocka_unit_test_setup(a_stopped_ring_stands_still, setup),
		cmocka_unit_test_setup(multicast_goes_all_the_way, setup),
		cmocka_unit_test_setup(withdrawn_request, setup),
		cmocka_unit_test_setup(unlimited_does_not_wait, setup),
		cmocka_unit_test_setup(rate_is_raised_in_mid_frame, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
