/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_mcast.c - a multicast reaches every other station that has bound its stream
 *
 *	1 ---> 2 ---> 3 ---> 4 ---> 1		1 sends; 2 and 4 have bound it
 *
 * The real ring, stations, VCI tables and pools (poolrig.h), four stations.
 */
#define RIG_STATIONS	4
#include "tests/unit/poolrig.h"

#define STREAM	vci_mcast(40)

static struct client c[RIG_STATIONS + 1];

static int setup(void **state)
{
	(void)state;
	rig_start(true);
	for (unsigned int id = 1; id <= RIG_STATIONS; id++)
		client_open(&c[id], id, JS_PORT_TRUSTED);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (unsigned int id = 1; id <= RIG_STATIONS; id++)
		poolc_close(&c[id].pc);
	rig_stop();
	return 0;
}

static void bind_stream(unsigned int id)
{
	js_vci_t vci = STREAM;

	assert_int_equal(poolc_vci_bind(&c[id].pc, c[id].pool, &vci), 0);
	assert_int_equal(vci, STREAM);
}

/* @n octets, made from @seed, from station @id to @vci. */
static void send_to(unsigned int id, js_vci_t vci, uint16_t n, unsigned int seed)
{
	struct js_seg seg = { .len = n };

	client_alloc(&c[id], &seg.buf, 1);
	for (unsigned int i = 0; i < n; i++)
		poolc_buf(&c[id].pc, seg.buf)[i] = (uint8_t)(seed + i);
	assert_int_equal(poolc_send_raw(&c[id].q, c[id].pool, vci, 0, NULL, 0, &seg, 1), 0);
	assert_int_equal(client_run(&c[id]), JS_ST_DONE);
	client_free(&c[id], &seg.buf, 1);
}

static void got(unsigned int id, js_vci_t vci, uint16_t n, unsigned int seed)
{
	struct js_event ev;

	client_event(&c[id], &ev);
	assert_int_equal(ev.type, JS_EV_RX);
	assert_int_equal(ev.vci, vci);
	assert_int_equal(ev.sdu_len, n);
	for (unsigned int i = 0; i < n; i++)
		assert_int_equal(poolc_buf(&c[id].pc, ev.buf[0])[i], (uint8_t)(seed + i));
}

static void got_nothing(unsigned int id)
{
	struct js_event ev;

	assert_false(poolc_event_peek(&c[id].pc, &ev));
}

static void all_that_have_bound_it_and_no_others(void **state)
{
	(void)state;
	/* The sender has bound it, too: it does not hear itself. */
	bind_stream(1);
	bind_stream(2);
	bind_stream(4);
	for (unsigned int i = 0; i < 50; i++) {
		send_to(1, STREAM, (uint16_t)(1 + i * 80), i);
		got(2, STREAM, (uint16_t)(1 + i * 80), i);
		got(4, STREAM, (uint16_t)(1 + i * 80), i);
	}
	send_to(4, STREAM, 9, 1);
	got(1, STREAM, 9, 1);
	got(2, STREAM, 9, 1);
	/* What is sent later has arrived, so nothing is on its way any more. */
	send_to(1, c[3].rxvci, 7, 2);
	got(3, c[3].rxvci, 7, 2);
	for (unsigned int id = 1; id <= RIG_STATIONS; id++)
		got_nothing(id);
	rig_lock();
	assert_int_equal(rig.ring.frames, 52);
	assert_int_equal(stations[1].st.tx_frames, 51);
	assert_int_equal(stations[3].st.rx_frames, 1);
	/* Who has not bound a multicast is not a station that has lost something. */
	assert_int_equal(stations[3].st.rx_unbound, 0);
	assert_int_equal(stations[1].st.tx_not_copied, 0);
	rig_unlock();
}

/* One receiver without room does not keep the others from theirs. */
static void a_full_receiver_is_no_ones_business(void **state)
{
	struct js_pool_req req = { .rx_limit = 1 };
	struct js_event ev;

	(void)state;
	bind_stream(2);
	bind_stream(3);
	assert_int_equal(poolc_pool_set(&c[2].pc, c[2].pool, JS_PS_RX_LIMIT, &req), 0);
	for (unsigned int i = 0; i < 5; i++) {
		send_to(1, STREAM, 100, i);
		got(3, STREAM, 100, i);
	}
	got(2, STREAM, 100, 0);
	for (unsigned int i = 1; i < 5; i++) {
		client_event(&c[2], &ev);
		assert_int_equal(ev.type, JS_EV_DISCARD);
	}
	got_nothing(2);
	rig_lock();
	assert_int_equal(stations[2].st.rx_pool_full, 4);
	rig_unlock();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(all_that_have_bound_it_and_no_others, setup, teardown),
		cmocka_unit_test_setup_teardown(a_full_receiver_is_no_ones_business, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
