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

/* RFC 5482, 3.2: it is said when it changes, and not when it does not; once, and by a
 * segment that it fits in, without SACK blocks.  0 is that the option is not used. */
static void said_when_it_changes(void **state)
{
	struct tcp_user_opts o = { .adv_uto_s = 200 };
	struct tcpcb *tp = T_ESTABLISHED(.mss = 1004, .wnd = 60000, .cfg.eff_mss_max = 1000);
	struct tcp_seg seg;
	uint32_t i;

	(void)state;
	t_send(tp, 20000);
	for (i = 0; i < 6; i++) {
		/* Not, 200, not again, 300, 200 that was taken back, not */
		static const uint16_t adv[] = { 0, 200, 200, 300, 0, 0 }, said[] = { 0, 200, 0, 300, 0, 0 };

		if (i == 4) {
			o.adv_uto_s = 200;
			tcp_user_opts(tp, &o, t_us(0));
		}
		o.adv_uto_s = adv[i];
		tcp_user_opts(tp, &o, t_us(0));
		assert_int_equal(tp->adv_uto_s, adv[i]);
		assert_int_equal(tcp_output(tp, &t.v, t_us(0), &seg), 1);
		assert_int_equal(seg.len, 1000);
		assert_int_equal(seg.uto, said[i]);
	}
	/* What the peer had said is void with it. */
	o.adv_uto_s = 200;
	tcp_user_opts(tp, &o, t_us(0));
	T_RX(tp, 1, .flags = TH_ACK, .seq = 1, .ack = 1001, .wnd = 60000, .uto = 250);
	assert_int_equal(tp->remote_uto_s, 250);
	o.adv_uto_s = 0;
	tcp_user_opts(tp, &o, t_us(1));
	o.adv_uto_s = 200;
	tcp_user_opts(tp, &o, t_us(1));
	assert_int_equal(tp->remote_uto_s, 0);

	/* SACK blocks go first; and where data fills the segment there is no room. */
	tp = T_ESTABLISHED(.mss = 1000, .wnd = 60000, .sack = true);
	tcp_user_opts(tp, &o, t_us(0));
	T_RX(tp, 1, .flags = TH_ACK, .seq = 101, .len = 100, .ack = 1, .wnd = 60000);
	assert_int_equal(tcp_output(tp, &t.v, t_us(1), &seg), 1);
	assert_int_equal(seg.n_sack, 1);
	assert_int_equal(seg.uto, 0);
	T_RX(tp, 2, .flags = TH_ACK, .seq = 1, .len = 100, .ack = 1, .wnd = 60000);
	t_send(tp, 1997);
	assert_int_equal(tcp_output(tp, &t.v, t_us(2), &seg), 1);
	assert_int_equal(seg.len, 1000);
	assert_int_equal(seg.uto, 0);
	assert_int_equal(tcp_output(tp, &t.v, t_us(2), &seg), 1);
	assert_int_equal(seg.len, 997);
	assert_int_equal(seg.uto, 0);
	t_send(tp, 996);
	tp->snd_sml = tp->snd_una;
	assert_int_equal(tcp_output(tp, &t.v, t_us(2), &seg), 1);
	assert_int_equal(seg.len, 996);
	assert_int_equal(seg.uto, 200);
}

/* The retransmissions are far apart when both agree on less: it ends when that is over,
 * as it does when the user becomes impatient, and not at the next retransmission. */
static void agreed_on_late(void **state)
{
	struct tcp_user_opts o = { .adv_uto_s = 150 };
	struct tcp_seg seg;
	struct tcpcb *tp;
	uint32_t k;

	(void)state;
	for (k = 0; k < 2; k++) {
		tp = T_ESTABLISHED(USUAL);
		if (k == 0)
			tcp_user_opts(tp, &o, t_us(0));
		t_send(tp, 100);
		while (tp->n_rto < 9) {
			while (tcp_output(tp, &t.v, t_us(0), &seg) > 0)
				;
			tcp_timers(tp, &t.v, tp->t_rexmt_us, &t.rx);
		}
		assert_int_equal(tp->t_rexmt_us, t_us(204600));
		if (k == 0) {
			T_RX(tp, 103000, .flags = TH_ACK, .seq = 1, .ack = 1, .wnd = 8192, .uto = 120);
		} else {
			o.user_timeout_ms = 150000;
			tcp_user_opts(tp, &o, t_us(103000));
		}
		assert_int_equal(end_of(tp), 150000);
		assert_true(t.events & TCP_EV_TIMEDOUT);
	}
}

/* What the user does not change begins nothing anew: tcp_user_opts() gets all of it each
 * time. */
static void only_what_changes(void **state)
{
	struct tcp_user_opts o = { .nodelay = true, .cork = true, .keep_idle_us = 10000000,
				   .keep_count = 3 };
	struct tcpcb *tp = T_ESTABLISHED(USUAL);
	uint64_t at;
	uint32_t i;

	(void)state;
	tcp_user_opts(tp, &o, t_us(0));
	/* Setting TCP_NODELAY sends what cork holds; not having set it. */
	tp->uflags &= ~TU_PUSH;
	t_send(tp, 100);
	T_NOTHING(tp, 0);
	tcp_user_opts(tp, &o, t_us(1));
	T_NOTHING(tp, 1);
	o.nodelay = false;
	tcp_user_opts(tp, &o, t_us(1));
	T_NOTHING(tp, 1);
	o.nodelay = true;
	tcp_user_opts(tp, &o, t_us(1));
	T_TX(tp, 1, .flags = TH_ACK | TH_PUSH, .seq = 1, .len = 100, .ack = 1);
	/* Taking TCP_CORK away sends what Nagle holds; not its absence. */
	o.nodelay = false;
	o.cork = false;
	tcp_user_opts(tp, &o, t_us(1));
	t_send(tp, 100);
	T_NOTHING(tp, 1);
	tcp_user_opts(tp, &o, t_us(2));
	T_NOTHING(tp, 2);
	o.cork = true;
	tcp_user_opts(tp, &o, t_us(2));
	T_NOTHING(tp, 2);
	o.cork = false;
	tcp_user_opts(tp, &o, t_us(2));
	T_TX(tp, 2, .flags = TH_ACK | TH_PUSH, .seq = 101, .len = 100, .ack = 1);

	/* Keep-alive counts from when it was changed; no interval is the idle time. */
	for (i = 0; i < 5; i++) {
		at = tp->t_keep_us;
		tcp_user_opts(tp, &o, t_us(1000 + i));
		assert_int_equal(tp->t_keep_us, at);
		if (i == 0)
			o.keep_idle_us += 1000;
		else if (i == 1)
			o.keep_intvl_us = 5000000;
		else if (i == 2)
			o.keep_intvl_us += 1000;
		else
			o.keep_count++;
		tcp_user_opts(tp, &o, t_us(2000 + i));
		assert_int_equal(tp->t_keep_us, t_us(2000 + i) + o.keep_idle_us);
		assert_int_equal(tp->keep_count, o.keep_count);
	}
	/* Off, and nothing of it remains. */
	o.keep_idle_us = 0;
	tcp_user_opts(tp, &o, t_us(3000));
	assert_true(tp->t_keep_us == TCP_NEVER);
	tcp_user_opts(tp, &o, t_us(3001));
	assert_true(tp->t_keep_us == TCP_NEVER);
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
		cmocka_unit_test(said_when_it_changes),
		cmocka_unit_test(agreed_on_late),
		cmocka_unit_test(only_what_changes),
		cmocka_unit_test(on_the_wire),
		cmocka_unit_test(outlives_its_user),
		cmocka_unit_test(no_fin_wait_2),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
