/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_tcp_uto.c - how long there may be no progress: RFC 5482, TCP_USER_TIMEOUT, TCP_LINGER2
 */
#include "tests/unit/t_tcp.h"
#include "stack/engine/tcp_var.h"

#define USUAL	.mss = 1000, .wnd = 8192

/* A connection that says ADV_UTO @adv, and hears @field in the SYN,ACK. */
static struct tcpcb *agreed(uint16_t adv, uint16_t field, uint32_t user_ms)
{
	struct tcp_user_opts o = { .adv_uto_s = adv, .user_timeout_ms = user_ms };
	struct tcpcb *tp = t_init((struct t_opts){ USUAL });
	struct tcp_seg seg;

	tcp_user_opts(tp, &o, t_us(0));
	assert_int_equal(tcp_user_open_active(tp, T_ISS, t_us(0)), 0);
	assert_int_equal(tcp_output(tp, &t.v, t_us(0), &seg), 1);
	assert_int_equal(seg.uto, tcp_uto_field(adv));
	T_RX(tp, 0, .flags = TH_SYN | TH_ACK, .ack = 1, .wnd = 8192, .mss = 1000,
	     .wscale = TCP_WS_NONE, .uto = field);
	/* Once more, in the first segment without SYN (3.2) */
	assert_int_equal(tcp_output(tp, &t.v, t_us(0), &seg), 1);
	assert_int_equal(seg.uto, tcp_uto_field(adv));
	t_send(tp, 100);
	assert_int_equal(tcp_output(tp, &t.v, t_us(0), &seg), 1);
	assert_int_equal(seg.uto, 0);
	T_NOTHING(tp, 0);
	return tp;
}

/* The peer does not answer any more.  When it ends, ms. */
static uint64_t end_of(struct tcpcb *tp)
{
	struct tcp_seg seg;
	uint64_t at = 0;

	while (tp->state != TCPS_CLOSED) {
		at = tcp_poll_at(tp);
		assert_true(at < t_us(10000000));
		t_at(tp, (at - T_EPOCH_US + 999) / 1000);
		while (tcp_output(tp, &t.v, at, &seg) > 0)
			;
	}
	return (at - T_EPOCH_US) / 1000;
}

/* RFC 5482, 3.1 */
static void the_longer_counts(void **state)
{
	static const struct { uint16_t adv, field; uint64_t ms; } table[] = {
		{ 300, 200, 300000 }, { 200, 300, 300000 },
		{ 10, 20, 100000 },				/* L_LIMIT */
		{ 200, TCP_UTO_MINUTES | 10, 600000 },
		{ 200, TCP_UTO_MINUTES | 0x7fff, 3600000 },	/* U_LIMIT */
		{ 65535, 1, 3600000 },
	};
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		assert_int_equal(end_of(agreed(table[i].adv, table[i].field, 0)), table[i].ms);
		assert_true(t.events & TCP_EV_TIMEDOUT);
	}
}

/* The retries decide if the peer says nothing, or 0, or we do not use the option;
 * TCP_USER_TIMEOUT wins over it. */
static void unless(void **state)
{
	uint64_t retries;

	(void)state;
	retries = end_of(agreed(0, 0, 0));
	assert_int_equal(end_of(agreed(0, 300, 0)), retries);
	assert_int_equal(end_of(agreed(300, 0, 0)), retries);
	assert_int_equal(end_of(agreed(300, TCP_UTO_MINUTES, 0)), retries);
	assert_int_equal(end_of(agreed(300, 200, 5000)), 5000);
}

/* A shut window is no reason to give up, however long, while probes are answered:
 * RFC 9293, MUST-37.  The user's own bound counts, as in Linux. */
static void not_while_the_window_is_shut(void **state)
{
	struct tcpcb *tp = agreed(100, 100, 0);
	struct tcp_seg seg;
	uint64_t ms, last = 0;

	(void)state;
	t_send(tp, 100);
	T_RX(tp, 1, .flags = TH_ACK, .seq = 1, .ack = 101, .wnd = 0);
	T_NOTHING(tp, 1);
	for (ms = 2; ms < 3600000; ms = (tcp_poll_at(tp) - T_EPOCH_US + 999) / 1000) {
		t_at(tp, ms);
		T_STATE(tp, "ESTABLISHED");
		if (tcp_output(tp, &t.v, t_us(ms), &seg) <= 0)
			continue;
		T_RX(tp, ms, .flags = TH_ACK, .seq = 1, .ack = 101, .wnd = 0);
		last = ms;
	}
	/* And when they are not any more, what was agreed on counts. */
	assert_in_range(end_of(tp), last + 100000, last + 240000);
	assert_true(t.events & TCP_EV_TIMEDOUT);

	tp = agreed(0, 0, 5000);
	t_send(tp, 100);
	T_RX(tp, 1, .flags = TH_ACK, .seq = 1, .ack = 101, .wnd = 0);
	T_NOTHING(tp, 1);
	for (ms = 2; tp->state != TCPS_CLOSED; ms = (tcp_poll_at(tp) - T_EPOCH_US + 999) / 1000) {
		last = ms;
		t_at(tp, ms);
		if (tcp_output(tp, &t.v, t_us(ms), &seg) > 0)
			T_RX(tp, ms, .flags = TH_ACK, .seq = 1, .ack = 101, .wnd = 0);
	}
	assert_int_equal(last, 5001);
}

/* It changes, and goes with the next segment that has room for it. */
static void changes(void **state)
{
	struct tcp_user_opts o = { .adv_uto_s = 40000 };
	struct tcpcb *tp = T_ESTABLISHED(USUAL);
	struct tcp_seg seg;

	(void)state;
	tcp_user_opts(tp, &o, t_us(0));
	t_send(tp, 1500);
	assert_int_equal(tcp_output(tp, &t.v, t_us(0), &seg), 1);
	assert_int_equal(seg.len, 1000);
	assert_int_equal(seg.uto, 0);
	assert_int_equal(tcp_output(tp, &t.v, t_us(0), &seg), 1);
	assert_int_equal(seg.len, 500);
	assert_int_equal(seg.uto, TCP_UTO_MINUTES | 667);
	T_NOTHING(tp, 0);
	/* The peer's comes later, too. */
	T_RX(tp, 10, .flags = TH_ACK, .seq = 1, .ack = 1001, .wnd = 8192, .uto = 200);
	assert_int_equal(end_of(tp), 3600010);
}

/* Octets, there and back */
static void on_the_wire(void **state)
{
	struct tcp_seg seg = { .flags = TH_SYN, .wscale = 7, .mss = 1460, .sack_permitted = true,
			       .has_ts = true, .uto = 0x8123 }, got;
	uint8_t th[TCP_HDR_MAX];
	int len;

	(void)state;
	len = tcp_seg_build(&seg, th);
	assert_int_equal(len, 44);
	assert_int_equal(tcp_seg_parse(&got, th, (size_t)len), len);
	assert_int_equal(got.uto, 0x8123);
	assert_int_equal(got.wscale, 7);
	/* Where it does not fit, the rest is what it was. */
	seg = (struct tcp_seg){ .flags = TH_ACK, .has_ts = true, .n_sack = 3, .uto = 5 };
	len = tcp_seg_build(&seg, th);
	assert_int_equal(len, 60);
	assert_int_equal(tcp_seg_parse(&got, th, (size_t)len), len);
	assert_int_equal(got.uto, 0);
	assert_int_equal(got.n_sack, 3);
}

/* Who closes and was impatient, still is; who was patient, is no more. */
static void outlives_its_user(void **state)
{
	static const struct { uint32_t user_ms; uint64_t ms; } table[] = {
		{ 3000, 3000 }, { 60000, 60000 }, { 60001, 0 }, { 0xffffffff, 0 }, { 0, 0 },
	};
	uint64_t retries = 0, ms;
	struct tcp_user_opts o = { 0 };
	unsigned int i;

	(void)state;
	for (i = sizeof(table) / sizeof(table[0]); i--; ) {
		struct tcpcb *tp = T_ESTABLISHED(USUAL);

		o.user_timeout_ms = table[i].user_ms;
		tcp_user_opts(tp, &o, t_us(0));
		tcp_disown(tp, 0, t_us(0));
		t.v.closed = true;
		tcp_user_close(tp, t_us(0));
		T_TX(tp, 0, .flags = TH_FIN | TH_ACK, .seq = 1, .ack = 1);
		ms = end_of(tp);
		retries = retries ? retries : ms;
		assert_int_equal(ms, table[i].ms ? table[i].ms : retries);
	}
}

/* TCP_LINGER2 below 0: RST as soon as our FIN is acknowledged, as Linux. */
static void no_fin_wait_2(void **state)
{
	struct tcp_user_opts o = { .fin_wait_2_us = 1 };
	struct tcpcb *tp = T_ESTABLISHED(USUAL);

	(void)state;
	tcp_user_opts(tp, &o, t_us(0));
	tcp_disown(tp, 0, t_us(0));
	t.v.closed = true;
	tcp_user_close(tp, t_us(0));
	T_TX(tp, 0, .flags = TH_FIN | TH_ACK, .seq = 1, .ack = 1);
	T_RX(tp, 10, .flags = TH_ACK, .seq = 1, .ack = 2, .wnd = 8192);
	T_NOTHING(tp, 10);
	T_TX(tp, 11, .flags = TH_RST | TH_ACK, .seq = 2, .ack = 1);
	T_STATE(tp, "CLOSED");
	T_NOTHING(tp, 100000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_longer_counts),
		cmocka_unit_test(unless),
		cmocka_unit_test(not_while_the_window_is_shut),
		cmocka_unit_test(changes),
		cmocka_unit_test(on_the_wire),
		cmocka_unit_test(outlives_its_user),
		cmocka_unit_test(no_fin_wait_2),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
