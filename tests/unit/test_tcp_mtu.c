/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_tcp_mtu.c - ICMP errors, and how large a segment the path passes: RFC 1191, 4821, 5927, 8201
 */
#include "tests/unit/t_tcp.h"
#include "stack/engine/tcp_var.h"

#define USUAL	.mss = 1000, .wnd = 60000, .cfg.cc = TCP_CC_RENO

/* Octets [@from, @to) go at @ms, in segments of @mss.  How many segments. */
static unsigned int drain(struct tcpcb *tp, uint64_t ms, uint32_t from, uint32_t to, uint32_t mss)
{
	unsigned int n = 0;
	struct tcp_seg seg;

	while (from != to) {
		t_at(tp, ms);
		assert_int_equal(tcp_output(tp, &t.v, t_us(ms), &seg), 1);
		assert_int_equal(seg.seq, T_ISS + from);
		assert_int_equal(seg.len, min_u32(mss, to - from));
		from += seg.len;
		n++;
	}
	T_NOTHING(tp, ms);
	return n;
}

static void acked(struct tcpcb *tp, uint64_t ms, uint32_t ack)
{
	T_RX(tp, ms, .flags = TH_ACK, .seq = 1, .ack = ack, .wnd = 60000);
}

static enum tcp_icmp too_big(struct tcpcb *tp, uint64_t ms, uint32_t seq, uint32_t mss)
{
	return tcp_icmp_too_big(tp, T_ISS + seq, mss, t_us(ms));
}

/* --- errors --------------------------------------------------------------------------- */

/* RFC 5927, 4.1: what is not outstanding was not refused. */
static void error_must_be_outstanding(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL);

	(void)state;
	t_send(tp, 2000);
	drain(tp, 0, 1, 2001, 1000);
	assert_int_equal(tcp_icmp_error(tp, T_ISS, t_us(0)), TCP_ICMP_IGNORED);
	assert_int_equal(tcp_icmp_error(tp, T_ISS + 2002, t_us(0)), TCP_ICMP_IGNORED);
	assert_int_equal(too_big(tp, 0, 0, 500), TCP_ICMP_IGNORED);
	assert_int_equal(too_big(tp, 0, 2002, 500), TCP_ICMP_IGNORED);
	assert_int_equal(tcp_eff_mss(tp), 1000);
	T_NOTHING(tp, 0);
	assert_int_equal(tcp_icmp_error(tp, T_ISS + 1, t_us(0)), TCP_ICMP_SOFT);
	assert_int_equal(tcp_icmp_error(tp, T_ISS + 2001, t_us(0)), TCP_ICMP_SOFT);
	t_end(tp);
}

/* RFC 9293, 3.9.2.2, MUST-56: no error ends a connection; but an attempt, as in Linux. */
static void error_ends_only_an_attempt(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL);

	(void)state;
	assert_int_equal(tcp_icmp_error(tp, T_ISS + 1, t_us(0)), TCP_ICMP_SOFT);
	T_STATE(tp, "ESTABLISHED");
	tp = t_syn_received((struct t_opts){ USUAL });
	assert_int_equal(tcp_icmp_error(tp, T_ISS, t_us(0)), TCP_ICMP_SOFT);
	T_STATE(tp, "SYN-RECEIVED");
	tp = t_syn_sent((struct t_opts){ USUAL });
	assert_int_equal(tcp_icmp_error(tp, T_ISS - 1, t_us(0)), TCP_ICMP_IGNORED);
	T_STATE(tp, "SYN-SENT");
	assert_int_equal(too_big(tp, 0, 0, 500), TCP_ICMP_SOFT);
	T_STATE(tp, "SYN-SENT");
	assert_int_equal(tcp_icmp_error(tp, T_ISS, t_us(0)), TCP_ICMP_FATAL);
	T_STATE(tp, "CLOSED");
	T_NOTHING(tp, 10000);
	assert_int_equal(tcp_icmp_error(tp, T_ISS, t_us(0)), TCP_ICMP_IGNORED);
}

/* --- too big --------------------------------------------------------------------------- */

/* RFC 1191, 6.4: sent again at once, smaller, and cwnd stays. */
static void too_big_is_no_congestion(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL);
	uint32_t cwnd = tp->snd_cwnd;

	(void)state;
	t_send(tp, 4000);
	drain(tp, 0, 1, 4001, 1000);
	assert_int_equal(too_big(tp, 10, 1, 600), TCP_ICMP_SOFT);
	assert_int_equal(tcp_eff_mss(tp), 600);
	assert_int_equal(drain(tp, 10, 1, 4001, 600), 7);
	assert_int_equal(tp->snd_cwnd, cwnd);
	/* Again, for one of the others: nothing new. */
	assert_int_equal(too_big(tp, 11, 1001, 600), TCP_ICMP_SOFT);
	assert_int_equal(too_big(tp, 11, 1001, 900), TCP_ICMP_SOFT);
	T_NOTHING(tp, 11);
	/* RTO counts from now. */
	T_NOTHING(tp, 209);
	acked(tp, 209, 4001);
	T_NOTHING(tp, 209);
	assert_int_equal(tp->ca_state, TCP_CA_OPEN);
	assert_true(tp->snd_cwnd >= cwnd);
	assert_int_equal(tp->n_rto_total, 0);
	t_end(tp);
}

/* What was small enough all along is not sent again. */
static void too_big_leaves_small_segments(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL);

	(void)state;
	t_send(tp, 500);
	drain(tp, 0, 1, 501, 1000);
	assert_int_equal(too_big(tp, 10, 1, 600), TCP_ICMP_SOFT);
	T_NOTHING(tp, 10);
	assert_int_equal(tcp_eff_mss(tp), 600);
}

/* Nothing makes us send less than 48 octets, options included, in a segment. */
static void too_big_has_a_floor(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL, .ts = true);

	(void)state;
	t_send(tp, 900);
	drain(tp, 0, 1, 901, 988);
	assert_int_equal(too_big(tp, 10, 1, 0), TCP_ICMP_SOFT);
	assert_int_equal(tcp_eff_mss(tp), 36);
	drain(tp, 10, 1, 901, 36);
}

/* RFC 1191, 6.3; RFC 8201, 4: after ten minutes the path may be better. */
static void too_big_is_forgotten(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL);

	(void)state;
	assert_int_equal(too_big(tp, 10, 1, 600), TCP_ICMP_SOFT);
	t_send(tp, 1000);
	drain(tp, 598000, 1, 1001, 600);
	acked(tp, 598001, 1001);
	t_send(tp, 1000);
	drain(tp, 601000, 1001, 2001, 1000);
	acked(tp, 601001, 2001);
	t_end(tp);
}

/* --- the search ------------------------------------------------------------------------- */

#define SEARCH	.mss = 1460, .wnd = 60000, .cfg.cc = TCP_CC_RENO, \
		.cfg.mtu_probing = TCP_MTU_PROBING_ON, .cfg.base_mss = 512

/* A connection that has grown its cwnd beyond 11 segments.  SND.NXT is @next. */
static struct tcpcb *searching(struct t_opts o, uint32_t *next)
{
	struct tcpcb *tp = t_established(o);
	uint32_t i;

	assert_int_equal(tcp_eff_mss(tp), 512);
	t_send(tp, 10 * 512);
	drain(tp, 0, 1, 1 + 10 * 512, 512);
	for (i = 1; i <= 10; i++)
		acked(tp, 50, 1 + i * 512);
	T_NOTHING(tp, 50);
	*next = 1 + 10 * 512;
	return tp;
}

/* The probe goes half-way between, first; then the usual segments. */
static uint32_t probe_goes(struct tcpcb *tp, uint64_t ms, uint32_t next, uint32_t size, uint32_t mss)
{
	struct tcp_seg seg;

	t_send(tp, size + 5 * mss);
	t_at(tp, ms);
	assert_int_equal(tcp_output(tp, &t.v, t_us(ms), &seg), 1);
	assert_int_equal(seg.seq, T_ISS + next);
	assert_int_equal(seg.len, size);
	drain(tp, ms, next + size, next + size + 5 * mss, mss);
	return next + size + 5 * mss;
}

/* RFC 4821, 7.2 and 7.6.1 */
static void probe_arrives(void **state)
{
	uint32_t next, end;
	struct tcpcb *tp = searching((struct t_opts){ SEARCH, .sack = true }, &next);

	(void)state;
	end = probe_goes(tp, 100, next, (512 + 1460) / 2, 512);
	acked(tp, 150, end);
	T_NOTHING(tp, 150);
	assert_int_equal(tcp_eff_mss(tp), 986);
	t_end(tp);
}

/* RFC 4821, 7.6.2: it was too large; there is no congestion. */
static void probe_is_lost(void **state)
{
	uint32_t next, end, cwnd, i;
	struct tcpcb *tp = searching((struct t_opts){ SEARCH, .sack = true }, &next);

	(void)state;
	end = probe_goes(tp, 100, next, 986, 512);
	cwnd = tp->snd_cwnd;
	for (i = 1; i <= 5; i++)
		T_RX(tp, 150, .flags = TH_ACK, .seq = 1, .ack = next, .wnd = 60000, .n_sack = 1,
		     .sack = { { next + 986, next + 986 + i * 512 } });
	t_at(tp, 160);
	drain(tp, 160, next, next + 986, 512);
	assert_int_equal(tp->snd_cwnd, cwnd);
	acked(tp, 200, end);
	T_NOTHING(tp, 200);
	assert_true(tp->snd_cwnd >= cwnd);
	assert_int_equal(tp->ca_state, TCP_CA_OPEN);
	assert_int_equal(tcp_eff_mss(tp), 512);
	/* The next is between 512 and 985. */
	probe_goes(tp, 300, end, (512 + 985) / 2, 512);
	t_end(tp);
}

/* Without SACK, three duplicate ACKs say so. */
static void probe_is_lost_newreno(void **state)
{
	uint32_t next, cwnd, i;
	struct tcpcb *tp = searching((struct t_opts){ SEARCH }, &next);

	(void)state;
	probe_goes(tp, 100, next, 986, 512);
	t_send(tp, 2 * 512);
	drain(tp, 100, next + 986 + 5 * 512, next + 986 + 7 * 512, 512);
	cwnd = tp->snd_cwnd;
	for (i = 1; i <= 3; i++)
		acked(tp, 150, next);
	drain(tp, 150, next, next + 986, 512);
	assert_int_equal(tp->snd_cwnd, cwnd);
	/* What else was in flight says nothing new. */
	for (i = 4; i <= 7; i++)
		acked(tp, 151, next);
	T_NOTHING(tp, 151);
	assert_int_equal(tp->snd_cwnd, cwnd);
	acked(tp, 200, next + 986 + 7 * 512);
	T_NOTHING(tp, 200);
	assert_true(tp->snd_cwnd >= cwnd);
	assert_int_equal(tp->ca_state, TCP_CA_OPEN);
	t_end(tp);
}

/* Where the probe's loss could not be told from RTO's, none goes. */
static void probe_needs_company(void **state)
{
	uint32_t next;
	struct tcpcb *tp = searching((struct t_opts){ SEARCH, .sack = true }, &next);

	(void)state;
	t_send(tp, 986 + 3 * 512);
	drain(tp, 100, next, next + 986 + 3 * 512, 512);
	t_end(tp);
}

/* RFC 4821, 7.7: the third RTO in a row makes segments smaller, and again. */
static void black_hole(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(.mss = 8000, .wnd = 60000, .cfg.cc = TCP_CC_RENO,
					 .cfg.mtu_probing = TCP_MTU_PROBING_BLACK_HOLE);
	static const uint32_t sizes[] = { 8000, 8000, 1024, 512, 256, 128, 64, 48, 48 };
	uint64_t ms = 0, rto = 200;
	struct tcp_seg seg;
	unsigned int i;

	(void)state;
	t_send(tp, 16000);
	drain(tp, 0, 1, 16001, 8000);
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		ms += rto;
		rto = rto * 2 < 120000 ? rto * 2 : 120000;
		t_at(tp, ms);
		assert_int_equal(tcp_output(tp, &t.v, t_us(ms), &seg), 1);
		assert_int_equal(seg.seq, T_ISS + 1);
		assert_int_equal(seg.len, sizes[i]);
		T_NOTHING(tp, ms);
	}
	t_end(tp);
}

/* What a search has found is doubted like that: it begins again where it is told to. */
static void black_hole_after_search(void **state)
{
	static const uint32_t sizes[] = { 4256, 4256, 512 };
	struct tcp_seg seg;
	uint32_t next, i;
	struct tcpcb *tp = searching((struct t_opts){ .mss = 8000, .wnd = 60000, .sack = true,
		.cfg.cc = TCP_CC_RENO, .cfg.mtu_probing = TCP_MTU_PROBING_ON, .cfg.base_mss = 512 }, &next);

	(void)state;
	next = probe_goes(tp, 100, next, 4256, 512);
	acked(tp, 150, next);
	T_NOTHING(tp, 150);
	t_send(tp, 4256);
	drain(tp, 160, next, next + 4256, 4256);
	/* The tail loss probe */
	tcp_timers(tp, &t.v, tp->t_loss_us, &t.rx);
	assert_int_equal(tcp_output(tp, &t.v, t_us(160), &seg), 1);
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		tcp_timers(tp, &t.v, tp->t_rexmt_us, &t.rx);
		assert_int_equal(tcp_output(tp, &t.v, tp->t_rexmt_us, &seg), 1);
		assert_int_equal(seg.seq, T_ISS + next);
		assert_int_equal(seg.len, sizes[i]);
	}
}

/* ... and is not suspected unless asked for. */
static void black_hole_off(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(.mss = 8000, .wnd = 60000);
	uint64_t ms = 0, rto = 200;
	struct tcp_seg seg;
	int i;

	(void)state;
	t_send(tp, 16000);
	drain(tp, 0, 1, 16001, 8000);
	for (i = 0; i < 6; i++, rto *= 2) {
		ms += rto;
		t_at(tp, ms);
		assert_int_equal(tcp_output(tp, &t.v, t_us(ms), &seg), 1);
		assert_int_equal(seg.len, 8000);
		T_NOTHING(tp, ms);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(error_must_be_outstanding),
		cmocka_unit_test(error_ends_only_an_attempt),
		cmocka_unit_test(too_big_is_no_congestion),
		cmocka_unit_test(too_big_leaves_small_segments),
		cmocka_unit_test(too_big_has_a_floor),
		cmocka_unit_test(too_big_is_forgotten),
		cmocka_unit_test(probe_arrives),
		cmocka_unit_test(probe_is_lost),
		cmocka_unit_test(probe_is_lost_newreno),
		cmocka_unit_test(probe_needs_company),
		cmocka_unit_test(black_hole),
		cmocka_unit_test(black_hole_after_search),
		cmocka_unit_test(black_hole_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
