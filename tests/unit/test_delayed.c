/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_delayed.c - emulator/station.c: impairments between the ring and the adapters
 *
 * Stations without a TAP count what arrives for their kernel as rx_tap_drop:
 * that is how the tests with virtual time see an arrival.  Those with pools see
 * the octets.
 */
#include "tests/unit/poolrig.h"

#include "emulator/delayq.h"
#include "emulator/impair.h"

#define MS	1000000ull
#define SECOND	(1000 * MS)

static void set(unsigned int src, unsigned int dst, const char *words)
{
	struct link_set s;
	char line[200], *save = NULL;
	int key;

	link_set_default(&s);
	strcpy(line, words);
	for (char *w = strtok_r(line, " ", &save); w; w = strtok_r(NULL, " ", &save))
		assert_int_equal(link_set_word(&s, w, &key), 0);
	impair_set(src, dst, &s);
}

/* --- virtual time ------------------------------------------------------------------ */

static struct ring ring;
static unsigned int n_done;

static void frame_done(struct frame *f)
{
	memset(f->iov[0].iov_base, 0xff, f->iov[0].iov_len);
	n_done++;
}

static int five_stations(void **state)
{
	struct ring_params params;

	(void)state;
	impair_init(1);
	ring_params_default(&params);
	ring_init(&ring, &station_ops, &params, 0);
	memset(stations, 0, sizeof(stations));
	for (unsigned int id = 1; id <= 5; id++) {
		stations[id].used = true;
		stations[id].ring_id = (uint8_t)id;
		vcitab_init(&stations[id]);
		station_start(&ring, &stations[id]);
	}
	n_done = 0;
	return 0;
}

static int no_stations(void **state)
{
	(void)state;
	delayq_fini();
	for (unsigned int id = 1; id <= 5; id++)
		vcitab_fini(&stations[id]);
	memset(stations, 0, sizeof(stations));
	return 0;
}

/* A frame from station 1 has arrived at @now. */
static void arrives(js_vci_t vci, uint64_t now)
{
	uint8_t sdu[300] = { 0x45 };
	struct frame f = {
		.vci = vci, .sdu_len = sizeof(sdu), .src = 1, .n_iov = 1,
		.iov[0] = { sdu, sizeof(sdu) }, .done = frame_done,
	};
	struct ring_tx tx = { .start_ns = now, .arrive_ns = now, .token_id = 1, .frame_id = 1 };

	aal5_make(&f);
	station_ops.arrived(1, &f, &tx);
}

static uint64_t arrived_at(unsigned int id)
{
	return stations[id].st.rx_tap_drop;
}

/* Everything due at @now. */
static void run_until(uint64_t now)
{
	while (station_delayed(now) <= now)
		;
}

static void multicast_is_decided_for_each_receiver(void **state)
{
	(void)state;
	set(1, 2, "loss=100%");
	set(1, 3, "delay=5ms");
	set(1, 5, "duplicate=100%");
	arrives(vci_mcast(JS_STREAM_IP), 1 * MS);
	assert_int_equal(n_done, 1);
	assert_int_equal(arrived_at(1), 0);
	assert_int_equal(arrived_at(2), 0);
	assert_int_equal(arrived_at(3), 0);
	assert_int_equal(arrived_at(4), 1);
	assert_int_equal(arrived_at(5), 2);
	assert_int_equal(stations[1].st.lost, 1);
	assert_int_equal(station_delayed(6 * MS - 1), 6 * MS);
	assert_int_equal(arrived_at(3), 0);
	run_until(6 * MS);
	assert_int_equal(arrived_at(3), 1);
	assert_true(station_delayed(UINT64_MAX - 1) == UINT64_MAX);
	assert_int_equal(impair_link(1, 3)->n_waiting, 0);
	assert_int_equal(impair_link(1, 3)->st.late, 0);
}

/* Out of its own pair's queue only; a late process delivers all, and counts. */
static void what_is_due_comes(void **state)
{
	(void)state;
	set(1, 2, "delay=20ms");
	set(1, 3, "rate=100M");
	for (uint64_t i = 0; i < 10; i++) {
		arrives(vci_make(2, JS_STREAM_IP), i * MS);
		arrives(vci_make(3, JS_STREAM_IP), i * MS);
	}
	run_until(19 * MS);
	assert_int_equal(arrived_at(2), 0);
	assert_int_equal(arrived_at(3), 10);
	run_until(22 * MS);
	assert_int_equal(arrived_at(2), 3);
	assert_int_equal(impair_link(1, 2)->n_waiting, 7);
	run_until(SECOND);
	assert_int_equal(arrived_at(2), 10);
	/* All but that which was due at 22 ms. */
	assert_int_equal(impair_link(1, 2)->st.late, 9);
}

/* Who has left the ring gets nothing; the frame is counted and forgotten. */
static void receiver_leaves(void **state)
{
	(void)state;
	set(1, 2, "delay=20ms");
	arrives(vci_make(2, JS_STREAM_IP), 0);
	stations[2].used = false;
	run_until(SECOND);
	assert_int_equal(arrived_at(2), 0);
	assert_int_equal(stations[1].st.tx_not_copied, 1);
	assert_int_equal(impair_link(1, 2)->n_waiting, 0);
	stations[2].used = true;
}

/* --- pools ------------------------------------------------------------------------- */

static int rig_up(void **state)
{
	(void)state;
	impair_init(1);
	rig_start(true);
	return 0;
}

static int rig_down(void **state)
{
	(void)state;
	rig_stop();
	delayq_fini();
	return 0;
}

static void send_one(struct client *c, uint16_t id)
{
	client_push(c, id, 1000, 0);
	assert_int_equal(client_run(c), JS_ST_DONE);
}

/* Its source has the buffer back at once and writes to it: what arrives later is what was sent. */
static void delayed_frame_is_a_copy(void **state)
{
	struct client a, b;
	struct js_event ev;
	uint64_t now;
	uint16_t id;

	(void)state;
	client_pair(&a, &b);
	client_alloc(&a, &id, 1);
	memset(poolc_buf(&a.pc, id), 1, JS_BUF_SIZE);
	rig_lock();
	set(1, 2, "delay=60s");
	rig_unlock();
	send_one(&a, id);
	memset(poolc_buf(&a.pc, id), 2, JS_BUF_SIZE);
	now = now_ns();
	rig_lock();
	assert_true(station_delayed(now) > now);
	rig_unlock();
	assert_false(poolc_event_peek(&b.pc, &ev));
	rig_lock();
	run_until(now + 61 * SECOND);
	rig_unlock();
	client_event(&b, &ev);
	assert_int_equal(ev.sdu_len, RIG_HDR + 1000);
	assert_int_equal(((uint8_t *)poolc_buf(&b.pc, ev.buf[0]))[RIG_HDR], 1);
	assert_int_equal(((uint8_t *)poolc_buf(&b.pc, ev.buf[0]))[RIG_HDR + 999], 1);
	assert_int_equal(stations[2].st.rx_bad_crc, 0);
	poolc_close(&a.pc);
	poolc_close(&b.pc);
}

/* An inverted bit is found also when the frame has waited. */
static void corrupt_and_delayed(void **state)
{
	struct client a, b;
	struct js_event ev;
	uint16_t id;

	(void)state;
	client_pair(&a, &b);
	client_alloc(&a, &id, 1);
	rig_lock();
	set(1, 2, "delay=60s corrupt=100%");
	rig_unlock();
	send_one(&a, id);
	rig_lock();
	run_until(now_ns() + 61 * SECOND);
	assert_int_equal(stations[2].st.rx_bad_crc, 1);
	assert_int_equal(stations[1].st.corrupted, 1);
	rig_unlock();
	assert_false(poolc_event_peek(&b.pc, &ev));
	poolc_close(&a.pc);
	poolc_close(&b.pc);
}

/* Inside the adapter: only what names n1->n1 concerns it. */
static void local_frames(void **state)
{
	struct client a, b;
	struct js_event ev;
	uint16_t id;

	(void)state;
	client_open(&a, 1, 0);
	client_open(&b, 1, 0);
	client_set_txvci(&a, b.rxvci);
	client_alloc(&a, &id, 1);
	rig_lock();
	set(1, 2, "loss=100%");
	set(2, 1, "loss=100%");
	rig_unlock();
	send_one(&a, id);
	client_event(&b, &ev);
	assert_int_equal(ev.flags, JS_RX_LOCAL);
	rig_lock();
	set(1, 1, "duplicate=100%");
	rig_unlock();
	send_one(&a, id);
	for (int i = 0; i < 2; i++) {
		client_event(&b, &ev);
		assert_int_equal(ev.flags, JS_RX_LOCAL);
	}
	rig_lock();
	set(1, 1, "duplicate=0% delay=60s");
	rig_unlock();
	send_one(&a, id);
	rig_lock();
	run_until(now_ns() + 61 * SECOND);
	assert_int_equal(stations[1].st.local_frames, 3);
	rig_unlock();
	client_event(&b, &ev);
	assert_int_equal(ev.flags, JS_RX_LOCAL);
	assert_false(poolc_event_peek(&b.pc, &ev));
	poolc_close(&a.pc);
	poolc_close(&b.pc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(multicast_is_decided_for_each_receiver, five_stations, no_stations),
		cmocka_unit_test_setup_teardown(what_is_due_comes, five_stations, no_stations),
		cmocka_unit_test_setup_teardown(receiver_leaves, five_stations, no_stations),
		cmocka_unit_test_setup_teardown(delayed_frame_is_a_copy, rig_up, rig_down),
		cmocka_unit_test_setup_teardown(corrupt_and_delayed, rig_up, rig_down),
		cmocka_unit_test_setup_teardown(local_frames, rig_up, rig_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
