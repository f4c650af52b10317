/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_ring.c - emulator/ring.c with stations and a clock of our own
 *
 * Four stations 1, 2, 3 and 0 (n16) at 1 Gbit/s; H is 250 ns, a full frame
 * (61541 octets) takes 492328 ns, the smallest (53 octets) 424 ns.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "abi/ring.h"
#include "common/util.h"
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

/* What the monitor sent, and passes of the token. */
static struct ring_mgmt mgmts[N_LOG];
static int n_mgmts;

static void fake_mgmt(const struct ring_mgmt *m)
{
	assert_true(n_mgmts < N_LOG);
	mgmts[n_mgmts++] = *m;
}

static bool fake_arrived(unsigned int id, struct frame *f, const struct ring_tx *tx)
{
	assert_ptr_equal(f, &frames[id]);
	assert_true(n_arrivals < N_LOG);
	arrivals[n_arrivals].src = id;
	arrivals[n_arrivals++].tx = *tx;
	return --left[id];
}

static const struct ring_ops fake_ops = {
	.head = fake_head, .arrived = fake_arrived, .mgmt = fake_mgmt,
};

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
	struct ring_params p;

	now = 1000000;
	n_arrivals = n_mgmts = 0;
	memset(left, 0, sizeof(left));
	ring_params_default(&p);
	p.rate_bps = rate_bps;
	ring_init(&ring, &fake_ops, &p, now);
	for (unsigned int id = 0; id <= 3; id++)
		ring_add(&ring, id, now);
}

static int setup(void **state)
{
	(void)state;
	start(GBIT);
	return 0;
}

static void travel_in_ring_order(void **state)
{
	struct ring_params p = ring.p;

	(void)state;
	assert_int_equal(ring_travel_ns(&ring, 1, 2), H);
	assert_int_equal(ring_travel_ns(&ring, 3, 0), H);	/* 4 to 15 are not there */
	assert_int_equal(ring_travel_ns(&ring, 2, 1), 3 * H);
	assert_int_equal(ring_travel_ns(&ring, 1, 1), 4 * H);

	/* A delay for each hop, one latency for all. */
	p.station_ns = 1000;
	p.prop_ns[2] = 70000;
	p.prop_ns[3] = 0;
	p.prop_ns[9] = 12345;
	ring_set(&ring, &p, now);
	assert_int_equal(ring_travel_ns(&ring, 1, 2), 1050);
	assert_int_equal(ring_travel_ns(&ring, 2, 3), 71000);
	assert_int_equal(ring_travel_ns(&ring, 3, 1), 1000 + 1050);
	assert_int_equal(ring.round_ns, 1050 + 71000 + 1000 + 1050);
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
	struct ring_params p;

	(void)state;
	start(1000);
	p = ring.p;
	offer(1, vci_make(2, 40), JS_MTU, 2);
	run_until(now + GBIT);
	assert_int_equal(n_arrivals, 0);
	p.rate_bps = GBIT;
	ring_set(&ring, &p, now);
	run_until(now + 2 * FULL + 20 * H);
	assert_int_equal(n_arrivals, 2);
}

/* Frames of the monitor, too: at 1 kbit/s a purge takes half a second. */
static void rate_is_raised_while_the_token_is_made(void **state)
{
	static const enum ring_token at[] = { RING_TOKEN_PURGE, RING_TOKEN_CLAIM };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(at); i++) {
		struct ring_params p;

		start(1000);
		p = ring.p;
		if (at[i] == RING_TOKEN_PURGE)
			assert_int_equal(ring_fault(&ring, RING_FAULT_DUPLICATE, now), 0);
		else
			ring_del(&ring, 0, now);
		run_until(now + 1000000);
		assert_int_equal(ring.token, at[i]);
		p.rate_bps = GBIT;
		ring_set(&ring, &p, now);
		run_until(now + 2 * (SMALL + 4 * H));
		assert_int_equal(ring.token, RING_TOKEN_OK);
		assert_in_range(ring.recovery_max_ns, 1000000, 1000000 + 2 * (SMALL + 4 * H));
	}
}

/* T is exact at any rate, and each hop counts with its own delay. */
static void times_are_exact_at_any_setting(void **state)
{
	static const uint64_t rates[] = { 1000000, 9600000, 100000000, GBIT, 10 * GBIT };
	struct ring_params p;

	(void)state;
	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		const uint64_t bits = 61541 * 8ull;
		uint64_t t, way;

		start(rates[i]);
		p = ring.p;
		p.station_ns = 300;
		for (unsigned int id = 0; id < JS_N_RING_IDS; id++)
			p.prop_ns[id] = 1000 * id;
		ring_set(&ring, &p, now);
		assert_int_equal(ring.round_ns, 4 * 300 + 6000);
		offer(1, vci_make(3, 40), JS_MTU, 1);
		run_until(now + ring.round_ns);
		t = (bits * GBIT + rates[i] - 1) / rates[i];
		way = 300 + 1000 + 300 + 2000;
		run_until(ring.tx.start_ns + t + way - 1);
		assert_int_equal(n_arrivals, 0);
		run_until(now + 1);
		assert_int_equal(n_arrivals, 1);
		/* To a station that is not there: back where it came from. */
		offer(2, vci_make(7, 40), JS_MTU, 1);
		run_until(now + 2 * (t + ring.round_ns));
		assert_int_equal(n_arrivals, 2);
		assert_int_equal(arrivals[1].tx.arrive_ns - arrivals[1].tx.start_ns,
				 t + ring.round_ns);
	}
}

static void holding_time_can_be_set(void **state)
{
	struct ring_params p = ring.p;

	(void)state;
	p.hold_ns = 3 * SMALL;
	ring_set(&ring, &p, now);
	offer(1, vci_make(2, 40), 40, 30);
	offer(3, vci_make(2, 40), 40, 30);
	run_until(now + FULL);
	assert_int_equal(n_arrivals, 60);
	for (int i = 0; i < 60; i++)
		assert_int_equal(arrivals[i].src, i / 3 % 2 == 0 ? arrivals[0].src : 4 - arrivals[0].src);
	assert_int_equal(ring.token_passes, 20);
}

/* A pass of the token is told with where it left and when it was taken. */
static void token_passes_are_told(void **state)
{
	(void)state;
	run_until(now + 123456);
	offer(2, vci_make(1, 40), 40, 1);
	run_until(now + 100 * H);
	assert_int_equal(n_mgmts, 1);
	assert_int_equal(mgmts[0].type, JS_MGMT_TOKEN);
	assert_int_equal(mgmts[0].src, 0);
	assert_int_equal(mgmts[0].to, 2);
	assert_int_equal(mgmts[0].arrive_ns, arrivals[0].tx.start_ns);
	assert_int_equal(mgmts[0].start_ns, mgmts[0].arrive_ns - 2 * H);
	assert_int_equal(mgmts[0].token_id, 0);
	assert_int_equal(arrivals[0].tx.token_id, 1);
	assert_int_not_equal(mgmts[0].frame_id, arrivals[0].tx.frame_id);
}

#define TIMEOUT	(RING_TOKEN_TIMEOUT_NS + 65573 * 8 + 4 * H)

/* The monitor hears nothing for the timeout, purges, and issues a token. */
static void idle_token_is_lost(void **state)
{
	uint64_t lost, heard;

	(void)state;
	run_until(now + 77 * H + 10);
	lost = now;
	/* It left station 0, the monitor, at 1 ms. */
	heard = lost - (lost - 1000000) % (4 * H);
	assert_int_equal(ring_fault(&ring, RING_FAULT_LOSE, now), 0);
	assert_int_equal(ring_fault(&ring, RING_FAULT_LOSE, now), -EBUSY);
	assert_int_equal(ring_fault(&ring, RING_FAULT_DUPLICATE, now), -EBUSY);
	offer(2, vci_make(3, 40), 40, 1);
	run_until(heard + TIMEOUT - 1);
	assert_int_equal(n_mgmts, 0);
	assert_int_equal(n_arrivals, 0);
	run_until(heard + TIMEOUT + GBIT);
	assert_int_equal(n_mgmts, 2);
	assert_int_equal(mgmts[0].type, JS_MGMT_PURGE);
	assert_int_equal(mgmts[0].reason, JS_MGMT_R_LOST);
	assert_int_equal(mgmts[0].src, 0);
	assert_int_equal(mgmts[0].start_ns, heard + TIMEOUT);
	assert_int_equal(mgmts[0].arrive_ns, heard + TIMEOUT + SMALL + 4 * H);
	/* The new token leaves the monitor when the purge is back. */
	assert_int_equal(mgmts[1].type, JS_MGMT_TOKEN);
	assert_int_equal(mgmts[1].src, 0);
	assert_int_equal(mgmts[1].start_ns, mgmts[0].arrive_ns);
	assert_int_equal(n_arrivals, 1);
	assert_int_equal(arrivals[0].tx.start_ns, mgmts[0].arrive_ns + 2 * H);
	assert_int_equal(ring.tokens_lost, 1);
	assert_int_equal(ring.purges, 1);
	assert_int_equal(ring.tokens_issued, 2);
	assert_int_equal(ring.recovery_max_ns, mgmts[0].arrive_ns - lost);
	assert_true(ring_step(&ring, now) == RING_IDLE);
}

/* Lost while a frame is on the ring: the frame arrives, then silence. */
static void held_token_is_lost(void **state)
{
	uint64_t t0, free_ns;

	(void)state;
	offer(1, vci_make(3, 40), JS_MTU, 5);
	run_until(now + 5 * H);
	t0 = ring.tx.start_ns;
	assert_int_equal(ring_fault(&ring, RING_FAULT_LOSE, now), 0);
	run_until(t0 + 5 * FULL);
	assert_int_equal(n_arrivals, 1);
	assert_int_equal(ring.cut_frames, 0);
	free_ns = t0 + FULL + 4 * H;
	/* Its last bit passed station 0 three hops after it had left station 1. */
	run_until(t0 + FULL + 3 * H + TIMEOUT - 1);
	assert_int_equal(ring.purges, 0);
	run_until(now + 1);
	assert_int_equal(ring.purges, 1);
	run_until(now + 10 * FULL);
	assert_int_equal(n_arrivals, 5);
	assert_int_equal(ring.recovery_max_ns, t0 + FULL + 3 * H + TIMEOUT + SMALL + 4 * H - free_ns);
}

/* A second token is found by the monitor; the frame on the ring dies of the purge. */
static void duplicate_token_is_purged(void **state)
{
	(void)state;
	assert_int_equal(ring_fault(&ring, RING_FAULT_DUPLICATE, now), 0);
	run_until(now + 100 * H);
	assert_int_equal(n_mgmts, 1);
	assert_int_equal(mgmts[0].type, JS_MGMT_PURGE);
	assert_int_equal(mgmts[0].reason, JS_MGMT_R_DUPLICATE);
	assert_int_equal(mgmts[0].start_ns, 1000000 + H);
	assert_int_equal(ring.cut_frames, 0);
	assert_true(ring_step(&ring, now) == RING_IDLE);

	offer(1, vci_make(3, 40), JS_MTU, 3);
	run_until(now + FULL / 2);
	assert_int_equal(ring_fault(&ring, RING_FAULT_DUPLICATE, now), 0);
	assert_int_equal(ring_fault(&ring, RING_FAULT_LOSE, now), -EBUSY);
	run_until(now + 10 * FULL);
	assert_int_equal(ring.cut_frames, 1);
	assert_int_equal(ring.tokens_duplicated, 2);
	assert_int_equal(ring.purges, 2);
	assert_int_equal(n_arrivals, 3);
	assert_true(arrivals[0].tx.cut);
	assert_false(arrivals[1].tx.cut || arrivals[2].tx.cut);
	assert_int_equal(ring.frames, 2);
}

/* The lowest Ring ID is the monitor, and says so when it becomes it. */
static void the_monitor_is_elected_anew(void **state)
{
	(void)state;
	run_until(now + 10 * H);
	ring_del(&ring, 0, now);
	assert_int_equal(ring_monitor(&ring), 1);
	run_until(now + 100 * H);
	assert_int_equal(n_mgmts, 2);
	assert_int_equal(mgmts[0].type, JS_MGMT_CLAIM);
	assert_int_equal(mgmts[0].reason, JS_MGMT_R_MONITOR);
	assert_int_equal(mgmts[0].src, 1);
	assert_int_equal(mgmts[1].type, JS_MGMT_PURGE);
	assert_int_equal(mgmts[1].start_ns, mgmts[0].start_ns + SMALL + 3 * H);

	/* A lower one comes while a frame is on the ring: that is not disturbed. */
	offer(2, vci_make(3, 40), JS_MTU, 2);
	run_until(now + FULL / 2);
	ring_add(&ring, 0, now);
	run_until(now + 4 * FULL);
	assert_int_equal(ring.cut_frames, 0);
	assert_int_equal(n_arrivals, 2);
	assert_int_equal(ring.claims, 2);
	assert_int_equal(mgmts[3].type, JS_MGMT_CLAIM);
	assert_int_equal(mgmts[3].src, 0);
	assert_int_equal(mgmts[3].start_ns, arrivals[0].tx.start_ns + FULL + 3 * H);

	/* The monitor leaves while its timer runs: the next one does not wait for it. */
	assert_int_equal(ring_fault(&ring, RING_FAULT_LOSE, now), 0);
	run_until(now + FULL);
	ring_del(&ring, 0, now);
	offer(2, vci_make(3, 40), 40, 1);
	run_until(now + 100 * H);
	assert_int_equal(n_arrivals, 3);
	/* Leaving and coming of others is none of the monitor's business. */
	ring_del(&ring, 3, now);
	ring_add(&ring, 3, now);
	run_until(now + 100 * H);
	assert_int_equal(ring.claims, 3);
}

/* Who leaves takes only its own frame along. */
static void a_station_leaves_while_it_sends(void **state)
{
	uint64_t gone;

	(void)state;
	offer(2, vci_make(3, 40), JS_MTU, 2);
	run_until(now + FULL / 2);
	offer(1, vci_make(3, 40), JS_MTU, 1);
	gone = now;
	ring_del(&ring, 2, now);
	assert_int_equal(n_arrivals, 1);
	assert_true(arrivals[0].tx.cut);
	assert_int_equal(ring.cut_frames, 1);
	run_until(now + 2 * FULL);
	assert_int_equal(n_arrivals, 2);
	assert_int_equal(arrivals[1].src, 1);
	assert_false(arrivals[1].tx.cut);
	/* The token went on from where it was: 3, 0, 1. */
	assert_int_equal(arrivals[1].tx.start_ns, gone + 3 * H);
	assert_int_equal(ring.round_ns, 3 * H);
	assert_int_equal(ring.purges, 0);
}

static void a_receiver_leaves_before_it_arrives(void **state)
{
	(void)state;
	offer(1, vci_make(3, 40), JS_MTU, 1);
	run_until(now + FULL / 2);
	ring_del(&ring, 3, now);
	offer(2, vci_make(1, 40), JS_MTU, 1);
	run_until(now + 4 * FULL);
	assert_int_equal(n_arrivals, 2);
	assert_int_equal(ring.cut_frames, 0);
	assert_int_equal(ring.frames, 2);
}

/* The idle token is where it was, whoever comes or goes. */
static void the_idle_token_does_not_jump(void **state)
{
	uint64_t t0 = now;

	(void)state;
	/* It left 0 at t0: 8.5 hops later it is on the way from 0 to 1. */
	run_until(t0 + 8 * H + H / 2);
	ring_add(&ring, 7, now);
	offer(7, vci_make(1, 40), 40, 1);
	run_until(now + 20 * H);
	assert_int_equal(arrivals[0].tx.start_ns, t0 + 12 * H);
	assert_int_equal(ring.round_ns, 5 * H);
	ring_del(&ring, 7, now);
	offer(3, vci_make(1, 40), 40, 1);
	run_until(now + 20 * H);
	assert_int_equal(n_arrivals, 2);
}

/* The last one goes, another comes: it has a token. */
static void an_empty_ring_begins_anew(void **state)
{
	(void)state;
	for (unsigned int id = 0; id <= 3; id++)
		ring_del(&ring, id, now);
	assert_true(ring_step(&ring, now) == RING_IDLE);
	assert_int_equal(ring_fault(&ring, RING_FAULT_LOSE, now), -ENOENT);
	run_until(now + GBIT);
	ring_add(&ring, 9, now);
	ring_add(&ring, 2, now);
	offer(9, vci_make(2, 40), 40, 1);
	run_until(now + 100 * H);
	assert_true(arrivals[n_arrivals - 1].tx.start_ns >= GBIT);
	assert_int_equal(arrivals[n_arrivals - 1].src, 9);
}

static uint64_t rng = 4711;

static unsigned int pick(unsigned int n)
{
	rng = rng * 6364136223846793005u + 1442695040888963407u;
	return (unsigned int)(rng >> 33) % n;
}

/* One of the things that may happen to a ring. */
static void anything(void)
{
	struct ring_params p = ring.p;
	unsigned int id = pick(JS_N_RING_IDS), on = ring.stations >> id & 1;

	switch (pick(16)) {
	case 0:
		if (on && (ring.stations & (ring.stations - 1))) {
			ring_del(&ring, id, now);
			left[id] = 0;
		}
		break;
	case 1:
	case 2:
		if (!on)
			ring_add(&ring, id, now);
		break;
	case 3:
		ring_fault(&ring, (enum ring_fault)pick(2), now);
		break;
	case 4:
		p.prop_ns[id] = pick(3) ? 50 : pick(100000);
		p.rate_bps = pick(4) ? GBIT : pick(3) * 100000000ull;
		ring_set(&ring, &p, now);
		break;
	default:
		if (on && !left[id])
			offer(id, pick(4) ? vci_make(pick(16), 40) : vci_mcast(40), 1 + pick(JS_MTU),
			      1 + (int)pick(4));
	}
}

/*
 * Whatever happens: one frame at a time, time and tokens go forward, each frame
 * is given back exactly once, and in the end all have been sent.
 */
static void nothing_gets_stuck(void **state)
{
	uint64_t last_start = 0, last_token = 0, frames_seen = 0, cut_seen = 0;

	(void)state;
	for (int round = 0; round < 2000; round++) {
		n_arrivals = n_mgmts = 0;
		for (int i = 0; i < 8; i++) {
			anything();
			run_until(now + pick(200000));
			if (!pick(50))
				now += pick(2) ? 300000 : 100000000;	/* late; stopped */
		}
		for (int i = 0; i < n_arrivals; i++) {
			const struct ring_tx *tx = &arrivals[i].tx;

			assert_true(tx->start_ns >= last_start);
			assert_true(tx->arrive_ns >= tx->start_ns);
			assert_true(tx->token_id >= last_token);
			last_start = tx->start_ns;
			last_token = tx->token_id;
			frames_seen++;
			cut_seen += tx->cut;
		}
		assert_int_equal(ring.frames + ring.cut_frames, frames_seen);
		assert_int_equal(ring.cut_frames, cut_seen);
	}
	n_arrivals = n_mgmts = 0;
	run_until(now + 10 * GBIT);
	assert_true(ring_step(&ring, now) == RING_IDLE);
	for (unsigned int id = 0; id < JS_N_RING_IDS; id++)
		assert_int_equal(left[id], 0);
	assert_int_equal(ring.token, RING_TOKEN_OK);
	assert_true(ring.claims > 10 && ring.tokens_lost > 10 && ring.cut_frames > 10);
}

/* Quantiles are upper bounds, an eighth above at most. */
static void errors_are_kept_in_buckets(void **state)
{
	uint64_t t0;

	(void)state;
	/* Each of 100 frames is looked at i us too late. */
	for (unsigned int i = 1; i <= 100; i++) {
		offer(1, vci_make(2, 40), 40, 1);
		while (!ring.frame)
			now = MAX(now, ring_step(&ring, now));
		t0 = ring.tx.arrive_ns;
		now = t0 + i * 1000;
		run_until(now);
		run_until(now + 100 * H);
	}
	assert_int_equal(ring.errors.n, 100);
	assert_int_equal(ring.errors.max_ns, 100000);
	assert_in_range(ring_errors_quantile(&ring.errors, 0.5), 50000, 50000 * 9 / 8);
	assert_in_range(ring_errors_quantile(&ring.errors, 0.99), 99000, 100000);
	assert_int_equal(ring_errors_quantile(&ring.errors, 1), 100000);
	assert_int_equal(ring.late_frames, 0);
	for (unsigned int i = 1; i < RING_ERR_BUCKETS; i++)
		assert_true(ring_errors_bound_ns(i) > ring_errors_bound_ns(i - 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(travel_in_ring_order, setup),
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
		cmocka_unit_test_setup(rate_is_raised_while_the_token_is_made, setup),
		cmocka_unit_test_setup(times_are_exact_at_any_setting, setup),
		cmocka_unit_test_setup(holding_time_can_be_set, setup),
		cmocka_unit_test_setup(token_passes_are_told, setup),
		cmocka_unit_test_setup(idle_token_is_lost, setup),
		cmocka_unit_test_setup(held_token_is_lost, setup),
		cmocka_unit_test_setup(duplicate_token_is_purged, setup),
		cmocka_unit_test_setup(the_monitor_is_elected_anew, setup),
		cmocka_unit_test_setup(a_station_leaves_while_it_sends, setup),
		cmocka_unit_test_setup(a_receiver_leaves_before_it_arrives, setup),
		cmocka_unit_test_setup(the_idle_token_does_not_jump, setup),
		cmocka_unit_test_setup(an_empty_ring_begins_anew, setup),
		cmocka_unit_test_setup(nothing_gets_stuck, setup),
		cmocka_unit_test_setup(errors_are_kept_in_buckets, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
