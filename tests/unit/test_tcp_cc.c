/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_tcp_cc.c - how cwnd grows and shrinks: RFC 5681, 9438, 9406, 3168
 *
 * The algorithms are told of round trips through their own interface, and
 * CUBIC is compared with RFC 9438's formulas in floating point.
 */
#include "tests/unit/t_tcp.h"
#include "common/util.h"
#include "stack/engine/tcp_var.h"

/* A connection whose cwnd is @cwnd and always full. */
static struct tcpcb *full(struct tcpcb *tp, uint32_t cwnd)
{
	tp->snd_cwnd = cwnd;
	tp->snd_nxt = tp->snd_una + cwnd;
	tp->cwnd_full_end = tp->snd_nxt;
	return tp;
}

/* One round trip of @rtt_us: an ACK for each @per_ack segments of cwnd. */
static uint64_t round_trip_of(struct tcpcb *tp, uint64_t now_us, uint32_t rtt_us, bool is_full,
			      uint32_t per_ack)
{
	uint32_t smss = per_ack * tcp_eff_mss(tp), n = tp->snd_cwnd / smss, i;

	tp->srtt_us = rtt_us;
	full(tp, tp->snd_cwnd);
	if (!is_full)
		tp->cwnd_full_end = tp->snd_una;
	for (i = 0; i < n; i++) {
		now_us += rtt_us / n;
		tp->snd_una += smss;
		/* What cwnd permits goes at once. */
		tp->snd_nxt = tp->snd_una + tp->snd_cwnd;
		if (is_full)
			tp->cwnd_full_end = tp->snd_nxt;
		else
			tp->snd_nxt = tp->snd_una;
		tcp_cc_acked(tp, smss, now_us);
	}
	return now_us;
}

static uint64_t round_trip(struct tcpcb *tp, uint64_t now_us, uint32_t rtt_us, bool is_full)
{
	return round_trip_of(tp, now_us, rtt_us, is_full, 1);
}

/* RFC 9438, 4.2: concave, the plateau at W_max, convex */
static void cubic_is_the_formula(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(.mss = 1000, .wnd = 60000);
	uint64_t start = T_EPOCH_US, now = start;
	const double k = 9.0856;	/* the cube root of 1000 * 0.3 / 0.4 */
	double s, w, off;
	unsigned int n = 0;

	(void)state;
	full(tp, 1000 * 1000);
	tcp_cc_loss(tp);
	assert_int_equal(tp->snd_ssthresh, 700000);
	assert_int_equal(tp->snd_cwnd, 700000);
	while (now < start + 20000000) {
		now = round_trip(tp, now, 100000, true);
		s = (double)(now - start) / 1e6;
		w = 0.4 * (s - k) * (s - k) * (s - k) + 1000;
		off = tp->snd_cwnd / 1000.0 - w;
		/* A round trip ahead or behind: 1.2 (t - K)^2 / 10, and rounding */
		if (off * off > (2 + 0.24 * (s - k) * (s - k)) * (2 + 0.24 * (s - k) * (s - k)))
			fail_msg("at %.1f s: %.1f, not %.1f segments", s, tp->snd_cwnd / 1000.0, w);
		n++;
	}
	assert_true(n > 190);
	assert_true(tp->snd_cwnd > 1200000);
}

/* RFC 9438, 4.4 counts segments, however many an ACK stands for: far below the curve
 * cwnd grows by half in a round trip. */
static void cubic_of_joined_acks(void **state)
{
	static const uint32_t per_ack[] = { 1, 2, 3, 10, 60 };
	unsigned int i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(per_ack); i++) {
		struct tcpcb *tp = T_ESTABLISHED(.mss = 1000, .wnd = 60000);

		full(tp, 1000 * 1000);
		tcp_cc_loss(tp);
		round_trip(tp, T_EPOCH_US, 100000, true);
		tp->cubic_w_est = 0;
		tp->snd_ssthresh = 100 * 1000;
		full(tp, 120 * 1000);
		tp->cwnd_acked = 0;
		round_trip_of(tp, T_EPOCH_US + 200000, 100000, true, per_ack[i]);
		if (tp->snd_cwnd < 177 * 1000 || tp->snd_cwnd > 180 * 1000)
			fail_msg("ACKs of %u: %u octets", per_ack[i], tp->snd_cwnd);

		/* Saved up when one segment took many octets: one segment, no more. */
		full(tp, 120 * 1000);
		tp->cubic_w_est = 0;
		tp->cwnd_acked = 500 * 1000;
		tp->snd_una += per_ack[i] * 1000;
		tcp_cc_acked(tp, per_ack[i] * 1000, T_EPOCH_US + 400000);
		assert_int_equal(tp->snd_cwnd, (120 + 1 + per_ack[i] / 2) * 1000);

		/* A hole was filled, and much more than cwnd is acknowledged. */
		full(tp, 120 * 1000);
		tp->cubic_w_est = 0;
		tp->cwnd_acked = 0;
		tp->snd_una += 3000 * 1000;
		tcp_cc_acked(tp, 3000 * 1000, T_EPOCH_US + 500000);
		assert_int_equal(tp->snd_cwnd, 180 * 1000);
	}
}

/* RFC 9438, 4.3: with short round trips it is as fast as NewReno with beta 0.7,
 * alpha 9/17 until W_max, then 1 */
static void cubic_is_friendly_to_reno(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(.mss = 1000, .wnd = 60000);
	uint64_t now = T_EPOCH_US;
	double w = 70;
	int i;

	(void)state;
	full(tp, 100 * 1000);
	tcp_cc_loss(tp);
	for (i = 0; i < 100; i++) {
		now = round_trip(tp, now, 1000, true);
		w += w < 100 ? 9.0 / 17 : 1;
		if (tp->snd_cwnd / 1000.0 < w - 3 || tp->snd_cwnd / 1000.0 > w + 3)
			fail_msg("round %d: %.1f, not %.1f segments", i, tp->snd_cwnd / 1000.0, w);
	}
}

/* ... also with the largest cwnd: 17/9 of it must be acknowledged. */
static void cubic_of_a_huge_cwnd(void **state)
{
	struct tcpcb *tp = full(T_ESTABLISHED(.mss = 1000, .wnd = 60000), TCP_CWND_MAX);
	uint32_t acked = 0, w_est;

	(void)state;
	tcp_cc_loss(tp);
	for (w_est = 0; acked < 1500000000; acked += 100000000) {
		full(tp, tp->snd_cwnd);
		tp->snd_una += 100000000;
		tcp_cc_acked(tp, 100000000, T_EPOCH_US);
		w_est = w_est ? w_est : tp->cubic_w_est;
	}
	assert_int_equal(tp->cubic_w_est, w_est + 1000);
}

/* Segments of 48 octets, and of 60 KiB, lose nothing by rounding. */
static void cubic_of_any_size(void **state)
{
	static const uint16_t mss[] = { 48, 1448, 61440 };
	unsigned int i;
	int j;

	(void)state;
	for (i = 0; i < 3; i++) {
		struct tcpcb *tp = T_ESTABLISHED(.mss = mss[i], .wnd = 60000);
		uint64_t now = T_EPOCH_US;

		full(tp, 20u * mss[i]);
		tcp_cc_loss(tp);
		for (j = 0; j < 10; j++)
			now = round_trip(tp, now, 200, true);
		assert_in_range(tp->snd_cwnd / mss[i], 18, 20);
	}
}

/* ... nor with windows of 200 MB, where K is almost a minute. */
static void cubic_of_a_long_epoch(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(.mss = 1000, .wnd = 60000);
	uint64_t now = T_EPOCH_US;

	(void)state;
	full(tp, 200 * 1000 * 1000);
	tcp_cc_loss(tp);
	/* K is 53.13 s: 10 s on, 0.4 (t - K)^3 is -32094 segments. */
	while (now < T_EPOCH_US + 10000000)
		now = round_trip(tp, now, 1000000, true);
	assert_in_range(tp->snd_cwnd / 1000, 165500, 170500);
}

/* RFC 9438, 4.8: after RTO K is 0, and W_max what cwnd is when slow start ends; but
 * not if it was spurious (4.9.1). */
static void cubic_after_rto(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(.mss = 1000, .wnd = 60000);
	uint64_t start, now = T_EPOCH_US;

	(void)state;
	full(tp, 1000 * 1000);
	tcp_cc_rto(tp);
	assert_int_equal(tp->snd_ssthresh, 700000);
	assert_int_equal(tp->snd_cwnd, 1000);
	while (tp->snd_cwnd < tp->snd_ssthresh)
		now = round_trip(tp, now, 100000, true);
	for (start = now; now < start + 10000000;)
		now = round_trip(tp, now, 100000, true);
	/* 700 + 0.4 * 10^3, and some for the round trip ahead */
	assert_in_range(tp->snd_cwnd / 1000, 1095, 1120);

	full(tp, 1000 * 1000);
	tcp_cc_rto(tp);
	tcp_cc_undo(tp);
	assert_int_equal(tp->cubic_w_max, 1000000);
}

/* RFC 9438, 4.7 */
static void fast_convergence(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(.mss = 1000, .wnd = 60000);

	(void)state;
	full(tp, 100000);
	tcp_cc_loss(tp);
	assert_int_equal(tp->cubic_w_max, 100000);
	full(tp, 80000);
	tcp_cc_loss(tp);
	assert_int_equal(tp->cubic_w_max, 68000);
	full(tp, 90000);
	tcp_cc_loss(tp);
	assert_int_equal(tp->cubic_w_max, 90000);
}

/* RFC 9438, 5.8: what was not used neither grows nor ages. */
static void unused_cwnd_does_not_grow(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(.mss = 1000, .wnd = 60000);
	uint64_t now = T_EPOCH_US;
	uint32_t cwnd;
	int i;

	(void)state;
	full(tp, 200000);
	tcp_cc_loss(tp);
	for (i = 0; i < 5; i++)
		now = round_trip(tp, now, 100000, true);
	cwnd = tp->snd_cwnd;
	for (i = 0; i < 600; i++)
		now = round_trip(tp, now, 100000, false);
	assert_int_equal(tp->snd_cwnd, cwnd);
	/* A minute later it goes on where it was, not with a leap. */
	now = round_trip(tp, now, 100000, true);
	assert_in_range(tp->snd_cwnd, cwnd, cwnd + 20000);
}

/* RFC 5681, 3.1, (4): from FlightSize */
static void reno_halves(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(.mss = 1000, .wnd = 60000, .cfg.cc = TCP_CC_RENO);
	uint64_t now = T_EPOCH_US;
	int i;

	(void)state;
	full(tp, 40000);
	tcp_cc_loss(tp);
	assert_int_equal(tp->snd_cwnd, 20000);
	for (i = 0; i < 10; i++)
		now = round_trip(tp, now, 100000, true);
	assert_in_range(tp->snd_cwnd, 29000, 30000);
}

/* Slow start counts octets, however few ACKs tell (RFC 3465), up to ssthresh. */
static void one_ack_for_a_window(void **state)
{
	struct tcpcb *tp = full(T_ESTABLISHED(.mss = 1000, .wnd = 60000), 20000);

	(void)state;
	tp->snd_una += 20000;
	tcp_cc_acked(tp, 20000, T_EPOCH_US);
	assert_int_equal(tp->snd_cwnd, 40000);

	full(tp, 20000);
	tp->snd_ssthresh = 30000;
	tp->snd_una += 20000;
	tcp_cc_acked(tp, 20000, T_EPOCH_US);
	assert_int_equal(tp->snd_cwnd, 30000);
}

/* Nine of ten segments are used: cwnd grows to twice as many, whenever in the round
 * they are acknowledged; one at a time, it does not grow. */
static void cwnd_by_what_the_round_had(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(.mss = 1000, .wnd = 60000);
	uint32_t seq = 1;

	(void)state;
	t_send(tp, 9000);
	for (; seq < 9001; seq += 1000)
		T_TX(tp, 0, .flags = TH_ACK | (seq == 8001 ? TH_PUSH : 0), .seq = seq, .len = 1000,
		     .ack = 1);
	for (seq = 2001; seq <= 8001; seq += 2000) {
		T_RX(tp, 50, .flags = TH_ACK, .seq = 1, .ack = seq, .wnd = 60000);
		assert_int_equal(tp->snd_cwnd, 10000 + seq - 1);
	}
	T_RX(tp, 51, .flags = TH_ACK, .seq = 1, .ack = 9001, .wnd = 60000);
	assert_int_equal(tp->snd_cwnd, 18000);
	for (seq = 9001; seq < 29001; seq += 1000) {
		t_send(tp, 1000);
		T_TX(tp, 51, .flags = TH_ACK | TH_PUSH, .seq = seq, .len = 1000, .ack = 1);
		T_RX(tp, 52, .flags = TH_ACK, .seq = 1, .ack = seq + 1000, .wnd = 60000);
		assert_int_equal(tp->snd_cwnd, 18000);
	}
}

/* A round of slow start in which every round trip takes @rtt_us. */
static void hystart_round_of(struct tcpcb *tp, uint32_t rtt_us)
{
	uint32_t n = tp->snd_cwnd / 1000, i;

	for (i = 0; i < n; i++) {
		tcp_cc_rtt(tp, rtt_us);
		tp->snd_una += 1000;
		tp->snd_nxt = tp->snd_una + tp->snd_cwnd;
		tp->cwnd_full_end = tp->snd_nxt;
		tcp_cc_acked(tp, 1000, T_EPOCH_US);
	}
}

/* RFC 9406, 4.2: a round trip that grows by an eighth, 4 ms at least */
static void hystart_leaves_slow_start(void **state)
{
	struct tcpcb *tp = full(T_ESTABLISHED(.mss = 1000, .wnd = 60000), 10000);
	uint32_t cwnd;
	int i;

	(void)state;
	hystart_round_of(tp, 40000);
	hystart_round_of(tp, 40000);
	hystart_round_of(tp, 42000);
	assert_in_range(tp->snd_cwnd, 70000, 80000);
	/* Six milliseconds more: conservative slow start, a quarter of the pace */
	hystart_round_of(tp, 48000);
	cwnd = tp->snd_cwnd;
	hystart_round_of(tp, 48000);
	assert_in_range(tp->snd_cwnd, cwnd + cwnd / 5, cwnd + cwnd / 3);
	assert_int_equal(tp->snd_ssthresh, TCP_CWND_MAX);
	/* Five rounds of it, and slow start is over. */
	for (i = 0; i < 5; i++)
		hystart_round_of(tp, 48000);
	assert_true(tp->snd_ssthresh < 1000000);
	assert_true(tp->snd_cwnd >= tp->snd_ssthresh);
}

/* ... unless it was jitter. */
static void hystart_goes_back(void **state)
{
	struct tcpcb *tp = full(T_ESTABLISHED(.mss = 1000, .wnd = 60000), 10000);
	uint32_t cwnd;

	(void)state;
	hystart_round_of(tp, 40000);
	hystart_round_of(tp, 40000);
	hystart_round_of(tp, 50000);
	hystart_round_of(tp, 40000);
	cwnd = tp->snd_cwnd;
	hystart_round_of(tp, 40000);
	assert_in_range(tp->snd_cwnd, 2 * cwnd - cwnd / 8, 2 * cwnd);
	assert_int_equal(tp->snd_ssthresh, TCP_CWND_MAX);
}

/* TCP_CONGESTION in mid-connection; and a block somebody else has filled */
static void algorithms_change(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(.mss = 1000, .wnd = 60000);
	uint64_t now = T_EPOCH_US;
	uint32_t cwnd;
	int i;

	(void)state;
	full(tp, 100000);
	tcp_cc_loss(tp);
	now = round_trip(tp, now, 1000, true);
	tcp_user_congestion(tp, TCP_CC_RENO);
	now = round_trip(tp, now, 1000, true);
	/* Each does what it does. */
	cwnd = tp->snd_cwnd;
	for (i = 0; i < 10; i++)
		now = round_trip(tp, now, 1000, true);
	assert_in_range(tp->snd_cwnd, cwnd + 9000, cwnd + 11000);
	full(tp, 100000);
	tcp_cc_loss(tp);
	assert_int_equal(tp->snd_cwnd, 50000);
	tcp_user_congestion(tp, TCP_CC_CUBIC);
	full(tp, 100000);
	tcp_cc_loss(tp);
	assert_int_equal(tp->snd_cwnd, 70000);
	assert_int_equal(tp->cubic_w_max, 100000);
	now = round_trip(tp, now, 1000, true);
	assert_in_range(tp->snd_cwnd, 70000, 72000);
	memset(&tp->cubic_w_max, 0xff, 6 * sizeof(uint32_t));
	tp->snd_ssthresh = 2000;
	now = round_trip(tp, now, 1000, true);
	tcp_cc_loss(tp);
	round_trip(tp, now, 1000, true);
	assert_in_range(tp->snd_cwnd, 1, TCP_CWND_MAX);
}

/* --- ECN, RFC 3168 ---------------------------------------------------------------- */

/* The next segment that @tp sends, now. */
static struct tcp_seg next_seg(struct tcpcb *tp, uint64_t ms)
{
	struct tcp_seg seg;

	assert_int_equal(tcp_output(tp, &t.v, t_at(tp, ms), &seg), 1);
	return seg;
}

/* A connection that the peer has made, with ECN in its SYN. */
static struct tcpcb *with_ecn(struct t_opts o, uint8_t answer)
{
	struct tcpcb *tp = t_init(o);

	assert_int_equal(tcp_user_open_passive(tp, T_ISS, t_us(0)), 0);
	t_rx(tp, 0, t_peer_syn(o, TH_SYN | TCP_TH_ECE | TCP_TH_CWR));
	assert_int_equal(next_seg(tp, 0).flags, TH_SYN | TH_ACK | answer);
	T_RX(tp, 0, .flags = TH_ACK, .seq = 1, .ack = 1, .wnd = (uint16_t)o.wnd);
	T_STATE(tp, "ESTABLISHED");
	return tp;
}

/* 6.1.1: who asks, who agrees */
static void ecn_is_agreed_on(void **state)
{
	struct t_opts o = { .mss = 1000, .wnd = 60000 };
	struct tcpcb *tp;

	(void)state;
	assert_true(with_ecn(o, TCP_TH_ECE)->rec_flags & RF_ECN);
	o.cfg.ecn = TCP_ECN_OFF;
	assert_false(with_ecn(o, 0)->rec_flags & RF_ECN);

	o.cfg.ecn = TCP_ECN_ACTIVE;
	tp = t_init(o);
	assert_int_equal(tcp_user_open_active(tp, T_ISS, t_us(0)), 0);
	assert_int_equal(next_seg(tp, 0).flags, TH_SYN | TCP_TH_ECE | TCP_TH_CWR);
	t_rx(tp, 0, t_peer_syn(o, TH_SYN | TH_ACK | TCP_TH_ECE));
	assert_true(tp->rec_flags & RF_ECN);
	/* Some reflect what they do not know. */
	tp = t_init(o);
	assert_int_equal(tcp_user_open_active(tp, T_ISS, t_us(0)), 0);
	next_seg(tp, 0);
	t_rx(tp, 0, t_peer_syn(o, TH_SYN | TH_ACK | TCP_TH_ECE | TCP_TH_CWR));
	assert_false(tp->rec_flags & RF_ECN);
	/* 6.1.1.1: the SYN was lost, perhaps because of it. */
	tp = t_init(o);
	assert_int_equal(tcp_user_open_active(tp, T_ISS, t_us(0)), 0);
	next_seg(tp, 0);
	assert_int_equal(next_seg(tp, 1000).flags, TH_SYN);
	t_rx(tp, 1001, t_peer_syn(o, TH_SYN | TH_ACK | TCP_TH_ECE));
	assert_false(tp->rec_flags & RF_ECN);
}

/* 6.1.1.1: the peer's SYN comes again and does not ask any more. */
static void ecn_is_given_up(void **state)
{
	struct t_opts o = { .mss = 1000, .wnd = 60000 };
	struct tcpcb *tp = t_init(o);

	(void)state;
	assert_int_equal(tcp_user_open_passive(tp, T_ISS, t_us(0)), 0);
	t_rx(tp, 0, t_peer_syn(o, TH_SYN | TCP_TH_ECE | TCP_TH_CWR));
	assert_int_equal(next_seg(tp, 0).flags, TH_SYN | TH_ACK | TCP_TH_ECE);
	t_rx(tp, 1, t_peer_syn(o, TH_SYN));
	assert_int_equal(next_seg(tp, 1).flags, TH_SYN | TH_ACK);
	/* The first one again is old. */
	t_rx(tp, 2, t_peer_syn(o, TH_SYN | TCP_TH_ECE | TCP_TH_CWR));
	assert_int_equal(next_seg(tp, 2).flags, TH_SYN | TH_ACK);
	assert_false(tp->rec_flags & RF_ECN);
}

/* Both open: both must have asked. */
static void ecn_in_simultaneous_open(void **state)
{
	struct t_opts o = { .mss = 1000, .wnd = 60000 };
	struct tcpcb *tp = t_syn_sent(o);

	(void)state;
	t_rx(tp, 0, t_peer_syn(o, TH_SYN | TCP_TH_ECE | TCP_TH_CWR));
	assert_int_equal(next_seg(tp, 0).flags, TH_SYN | TH_ACK);
	assert_false(tp->rec_flags & RF_ECN);
	o.cfg.ecn = TCP_ECN_ACTIVE;
	tp = t_init(o);
	assert_int_equal(tcp_user_open_active(tp, T_ISS, t_us(0)), 0);
	next_seg(tp, 0);
	t_rx(tp, 0, t_peer_syn(o, TH_SYN | TCP_TH_ECE | TCP_TH_CWR));
	assert_int_equal(next_seg(tp, 0).flags, TH_SYN | TH_ACK | TCP_TH_ECE);
}

/* 6.1.3: ECE in every ACK from CE until CWR */
static void ce_is_echoed(void **state)
{
	struct tcpcb *tp = with_ecn((struct t_opts){ .mss = 1000, .wnd = 60000 }, TCP_TH_ECE);

	(void)state;
	tp->quickack = 0;
	T_RX(tp, 1, .flags = TH_ACK, .seq = 1, .len = 1000, .ack = 1, .wnd = 60000,
	     .ecn = TCP_ECN_ECT0);
	T_NOTHING(tp, 1);
	/* At once, and again */
	T_RX(tp, 1, .flags = TH_ACK, .seq = 1001, .len = 10, .ack = 1, .wnd = 60000,
	     .ecn = TCP_ECN_CE);
	T_TX(tp, 1, .flags = TH_ACK | TCP_TH_ECE, .seq = 1, .ack = 1011);
	T_RX(tp, 2, .flags = TH_ACK, .seq = 1011, .len = 1000, .ack = 1, .wnd = 60000);
	T_RX(tp, 2, .flags = TH_ACK, .seq = 2011, .len = 1000, .ack = 1, .wnd = 60000);
	T_TX(tp, 2, .flags = TH_ACK | TCP_TH_ECE, .seq = 1, .ack = 3011);
	T_RX(tp, 3, .flags = TH_ACK | TCP_TH_CWR, .seq = 3011, .len = 1000, .ack = 1, .wnd = 60000);
	T_TX(tp, 43, .flags = TH_ACK, .seq = 1, .ack = 4011);
}

/* 6.1.2, 6.1.5: ECT on new data alone; one reduction a window, told by CWR */
static void ece_reduces_cwnd_once(void **state)
{
	struct tcpcb *tp = with_ecn((struct t_opts){ .mss = 1000, .wnd = 60000,
						     .cfg.cc = TCP_CC_RENO }, TCP_TH_ECE);
	struct tcp_seg seg;
	int i;

	(void)state;
	t_send(tp, 30000);
	for (i = 0; i < 10; i++) {
		seg = next_seg(tp, 0);
		assert_int_equal(seg.ecn, TCP_ECN_ECT0);
		assert_false(seg.flags & TCP_TH_CWR);
	}
	T_NOTHING(tp, 0);
	T_RX(tp, 1, .flags = TH_ACK | TCP_TH_ECE, .seq = 1, .ack = 2001, .wnd = 60000);
	assert_int_equal(tp->snd_cwnd, 4000);
	T_NOTHING(tp, 1);
	T_RX(tp, 1, .flags = TH_ACK | TCP_TH_ECE, .seq = 1, .ack = 4001, .wnd = 60000);
	T_RX(tp, 1, .flags = TH_ACK | TCP_TH_ECE, .seq = 1, .ack = 8001, .wnd = 60000);
	assert_in_range(tp->snd_cwnd, 4000, 5000);
	assert_int_equal(next_seg(tp, 1).flags, TH_ACK | TCP_TH_CWR);
	assert_int_equal(next_seg(tp, 1).flags & TCP_TH_CWR, 0);
	/* The next window: again */
	T_RX(tp, 2, .flags = TH_ACK, .seq = 1, .ack = 10001, .wnd = 60000);
	while (tcp_output(tp, &t.v, t_us(2), &seg) > 0)
		;
	T_RX(tp, 3, .flags = TH_ACK | TCP_TH_ECE, .seq = 1, .ack = 12001, .wnd = 60000);
	assert_int_equal(tp->snd_cwnd, 2000);
	/* Sent again: not ECT */
	seg = next_seg(tp, 500);
	assert_true(seg.is_rexmt);
	assert_int_equal(seg.ecn, TCP_ECN_NOT_ECT);
}

/* An ACK, with one SACK block if @end, and perhaps ECE. */
static void rx_ack(struct tcpcb *tp, uint64_t ms, uint8_t ece, uint32_t ack, uint32_t start,
		   uint32_t end)
{
	T_RX(tp, ms, .flags = TH_ACK | ece, .seq = 1, .ack = ack, .wnd = 60000,
	     .n_sack = end ? 1 : 0, .sack = { { start, end } });
}

/* 6.1.2: a window begins with the segment that carries CWR, when it is sent. */
static void ece_until_cwr_arrives(void **state)
{
	struct tcpcb *tp = with_ecn((struct t_opts){ .mss = 1000, .wnd = 60000 }, TCP_TH_ECE);

	(void)state;
	t_send(tp, 2000);
	next_seg(tp, 0);
	next_seg(tp, 0);
	rx_ack(tp, 1, TCP_TH_ECE, 1001, 0, 0);
	assert_int_equal(tp->snd_cwnd, 7000);
	/* All is acknowledged, and CWR could not be sent yet. */
	rx_ack(tp, 1, TCP_TH_ECE, 2001, 0, 0);
	assert_int_equal(tp->snd_cwnd, 7000);
	t_send(tp, 2000);
	assert_int_equal(next_seg(tp, 2).flags & TCP_TH_CWR, TCP_TH_CWR);
	/* CWR is under way. */
	rx_ack(tp, 2, TCP_TH_ECE, 2001, 0, 0);
	assert_int_equal(tp->snd_cwnd, 7000);
	/* It has arrived. */
	assert_int_equal(next_seg(tp, 3).flags & TCP_TH_CWR, 0);
	rx_ack(tp, 3, TCP_TH_ECE, 3001, 0, 0);
	assert_int_equal(tp->snd_cwnd, 4900);
}

/* Six segments, of which RACK takes the first for lost; all arrive. */
static void needless_recovery(struct tcpcb *tp, uint64_t ms, uint32_t from)
{
	int i;

	t_send(tp, 6000);
	for (i = 0; i < 6; i++)
		next_seg(tp, ms);
	rx_ack(tp, ms + 5, 0, from, from + 1000, from + 5000);
	assert_true(next_seg(tp, ms + 5).is_rexmt);
	rx_ack(tp, ms + 6, 0, from + 6000, 0, 0);
	assert_int_equal(tp->ca_state, TCP_CA_OPEN);
}

/* A D-SACK undoes what the loss did, not what ECE did afterwards, */
static void ece_is_not_undone(void **state)
{
	struct tcpcb *tp = with_ecn((struct t_opts){ .mss = 1000, .wnd = 60000, .sack = true },
				    TCP_TH_ECE);

	(void)state;
	needless_recovery(tp, 0, 1);
	t_send(tp, 1000);
	assert_int_equal(next_seg(tp, 7).flags & TCP_TH_CWR, TCP_TH_CWR);
	assert_int_equal(tp->snd_cwnd, 7000);
	rx_ack(tp, 8, TCP_TH_ECE, 7001, 0, 0);
	assert_int_equal(tp->snd_cwnd, 4900);
	rx_ack(tp, 9, 0, 7001, 1, 1001);
	assert_int_equal(tp->snd_cwnd, 4900);
	assert_int_equal(tp->n_undo_total, 0);
}

/* nor what a tail loss probe did, */
static void probe_is_not_undone(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(.mss = 1000, .wnd = 60000, .sack = true);
	uint32_t cwnd;

	(void)state;
	needless_recovery(tp, 0, 1);
	t_send(tp, 1000);
	next_seg(tp, 7);
	assert_true(next_seg(tp, 100).is_rexmt);
	rx_ack(tp, 101, 0, 7001, 0, 0);
	t_send(tp, 1000);
	next_seg(tp, 102);
	cwnd = tp->snd_cwnd;
	rx_ack(tp, 103, 0, 8001, 0, 0);
	assert_true(tp->snd_cwnd < cwnd);
	cwnd = tp->snd_cwnd;
	rx_ack(tp, 104, 0, 8001, 1, 1001);
	/* The copy of the probed segment is not told, so octets are left. */
	rx_ack(tp, 104, 0, 8001, 6001, 7001);
	assert_int_equal(tp->snd_cwnd, cwnd);
	assert_int_equal(tp->n_undo_total, 0);
}

/* and the peer still learns of the latter. */
static void cwr_is_not_undone(void **state)
{
	struct tcpcb *tp = with_ecn((struct t_opts){ .mss = 1000, .wnd = 60000, .sack = true },
				    TCP_TH_ECE);
	int i;

	(void)state;
	t_send(tp, 6000);
	for (i = 0; i < 6; i++)
		next_seg(tp, 0);
	rx_ack(tp, 1, TCP_TH_ECE, 1, 0, 0);
	assert_int_equal(tp->snd_cwnd, 7000);
	rx_ack(tp, 5, 0, 1, 1001, 5001);
	assert_true(next_seg(tp, 5).is_rexmt);
	rx_ack(tp, 6, 0, 6001, 0, 0);
	assert_true(tp->snd_cwnd < 7000);
	rx_ack(tp, 7, 0, 6001, 1, 1001);
	assert_int_equal(tp->snd_cwnd, 7000);
	t_send(tp, 1000);
	assert_int_equal(next_seg(tp, 8).flags & TCP_TH_CWR, TCP_TH_CWR);
}

/* RFC 5681, 4.1, as Linux: after a pause cwnd is small, and ssthresh three quarters of what it
 * was; but nothing is known of the path before the first loss. */
static void ssthresh_remembers(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(.mss = 1000, .wnd = 60000);

	(void)state;
	tp->snd_cwnd = 80000;
	tcp_cc_idle(tp, 10000000);
	assert_int_equal(tp->snd_cwnd, 10000);
	assert_int_equal(tp->snd_ssthresh, TCP_CWND_MAX);
	full(tp, 200000);
	tcp_cc_loss(tp);
	tp->snd_cwnd = 400000;
	tcp_cc_idle(tp, 2ull * tp->rto_us);
	assert_int_equal(tp->snd_cwnd, 100000);
	assert_int_equal(tp->snd_ssthresh, 300000);
	tcp_cc_idle(tp, 2ull * tp->rto_us);
	assert_int_equal(tp->snd_ssthresh, 300000);
}

/* RFC 9406, 4.2: RttThresh is an eighth of the round trip, between 4 and 16 ms. */
static void hystart_is_proportional(void **state)
{
	static const struct { uint32_t rtt_ms, not_ms, out_ms; } table[] = {
		{ 10, 13, 14 }, { 80, 89, 90 }, { 400, 415, 416 },
	};
	unsigned int i, k;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		for (k = 0; k < 2; k++) {
			struct tcpcb *tp = full(T_ESTABLISHED(.mss = 1000, .wnd = 60000), 10000);
			uint32_t cwnd;

			hystart_round_of(tp, table[i].rtt_ms * 1000);
			hystart_round_of(tp, table[i].rtt_ms * 1000);
			hystart_round_of(tp, (k ? table[i].out_ms : table[i].not_ms) * 1000);
			cwnd = tp->snd_cwnd;
			hystart_round_of(tp, (k ? table[i].out_ms : table[i].not_ms) * 1000);
			if (k)
				assert_in_range(tp->snd_cwnd, cwnd + 1, cwnd + cwnd / 3);
			else
				assert_in_range(tp->snd_cwnd, cwnd + cwnd * 9 / 10, 2 * cwnd);
		}
	}
}

/* 4.2: five rounds of conservative slow start, no more and no less. */
static void hystart_rounds_of_css(void **state)
{
	struct tcpcb *tp = full(T_ESTABLISHED(.mss = 1000, .wnd = 60000), 10000);
	uint32_t rounds = 0;

	(void)state;
	hystart_round_of(tp, 40000);
	hystart_round_of(tp, 40000);
	while (tp->hs_baseline_us == UINT32_MAX)
		hystart_round_of(tp, 48000);
	while (tp->snd_ssthresh == TCP_CWND_MAX && rounds++ < 20)
		hystart_round_of(tp, 48000);
	assert_int_equal(rounds, 5);

	/* And eight round trips of a round before any of it (N_RTT_SAMPLE) */
	tp = full(T_ESTABLISHED(.mss = 1000, .wnd = 60000), 10000);
	hystart_round_of(tp, 40000);
	hystart_round_of(tp, 40000);
	for (rounds = 0; tp->hs_last_min_us != 40000 || tp->hs_samples; rounds++) {
		assert_true(rounds < 1000);
		tp->snd_una += 1000;
		tp->snd_nxt = tp->snd_una + tp->snd_cwnd;
		tcp_cc_acked(tp, 1000, T_EPOCH_US);
	}
	for (rounds = 0; tp->hs_baseline_us == UINT32_MAX && rounds < 20; rounds++)
		tcp_cc_rtt(tp, 48000);
	assert_int_equal(rounds, 8);
}

/* RFC 5681, 3.1, RFC 7661: cwnd was the limit also where what is left of it is less than a
 * segment. */
static void cwnd_that_does_not_divide(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(.mss = 1000, .wnd = 60000, .cfg.cc = TCP_CC_RENO);
	struct tcp_seg seg;

	(void)state;
	tp->snd_cwnd = 4500;
	tp->snd_ssthresh = 4000;
	t_send(tp, 20000);
	while (tcp_output(tp, &t.v, t_us(0), &seg) > 0)
		;
	assert_int_equal(tp->snd_nxt, T_ISS + 4001);
	T_RX(tp, 1, .flags = TH_ACK, .seq = 1, .ack = 4001, .wnd = 60000);
	while (tcp_output(tp, &t.v, t_us(1), &seg) > 0)
		;
	T_RX(tp, 2, .flags = TH_ACK, .seq = 1, .ack = 8001, .wnd = 60000);
	assert_int_equal(tp->snd_cwnd, 5500);
}

/* RFC 3168, 6.1.2: the window that a loss has reduced begins with CWR as well: ECE until it
 * is acknowledged reduces nothing. */
static void ece_after_a_loss(void **state)
{
	struct tcpcb *tp = with_ecn((struct t_opts){ .mss = 1000, .wnd = 60000, .sack = true,
						     .cfg.cc = TCP_CC_RENO }, TCP_TH_ECE);
	struct tcp_seg seg;
	uint32_t cwnd, end;

	(void)state;
	t_send(tp, 10000);
	while (tcp_output(tp, &t.v, t_us(0), &seg) > 0)
		;
	rx_ack(tp, 1, 0, 1, 1001, 10001);
	while (tcp_output(tp, &t.v, t_us(1), &seg) > 0)
		assert_false(seg.flags & TCP_TH_CWR);
	rx_ack(tp, 2, 0, 10001, 0, 0);
	cwnd = tp->snd_cwnd;
	assert_int_equal(cwnd, 5000);
	t_send(tp, 20000);
	seg = next_seg(tp, 2);
	assert_true(seg.flags & TCP_TH_CWR);
	end = seg.seq + seg.len - T_ISS;
	while (tcp_output(tp, &t.v, t_us(2), &seg) > 0)
		assert_false(seg.flags & TCP_TH_CWR);
	T_RX(tp, 3, .flags = TH_ACK | TCP_TH_ECE, .seq = 1, .ack = end - 500, .wnd = 60000);
	assert_true(tp->snd_cwnd >= cwnd);
	T_RX(tp, 4, .flags = TH_ACK | TCP_TH_ECE, .seq = 1, .ack = end, .wnd = 60000);
	assert_true(tp->snd_cwnd < cwnd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cubic_is_the_formula),
		cmocka_unit_test(cubic_of_joined_acks),
		cmocka_unit_test(cubic_is_friendly_to_reno),
		cmocka_unit_test(cubic_of_a_huge_cwnd),
		cmocka_unit_test(cubic_of_any_size),
		cmocka_unit_test(cubic_of_a_long_epoch),
		cmocka_unit_test(cubic_after_rto),
		cmocka_unit_test(fast_convergence),
		cmocka_unit_test(unused_cwnd_does_not_grow),
		cmocka_unit_test(reno_halves),
		cmocka_unit_test(one_ack_for_a_window),
		cmocka_unit_test(cwnd_by_what_the_round_had),
		cmocka_unit_test(hystart_leaves_slow_start),
		cmocka_unit_test(hystart_goes_back),
		cmocka_unit_test(ssthresh_remembers),
		cmocka_unit_test(hystart_is_proportional),
		cmocka_unit_test(hystart_rounds_of_css),
		cmocka_unit_test(cwnd_that_does_not_divide),
		cmocka_unit_test(ece_after_a_loss),
		cmocka_unit_test(algorithms_change),
		cmocka_unit_test(ecn_is_agreed_on),
		cmocka_unit_test(ce_is_echoed),
		cmocka_unit_test(ece_reduces_cwnd_once),
		cmocka_unit_test(ecn_is_given_up),
		cmocka_unit_test(ecn_in_simultaneous_open),
		cmocka_unit_test(ece_until_cwr_arrives),
		cmocka_unit_test(ece_is_not_undone),
		cmocka_unit_test(probe_is_not_undone),
		cmocka_unit_test(cwr_is_not_undone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
