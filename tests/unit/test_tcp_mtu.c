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

#define SEARCH_OF(most, base)	.mss = (most), .wnd = 60000, .cfg.cc = TCP_CC_RENO, \
		.cfg.mtu_probing = TCP_MTU_PROBING_ON, .cfg.base_mss = (base)
#define SEARCH	SEARCH_OF(1460, 512)

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
	assert_int_equal(tcp_pipe(tp), 986 + 7 * 512);
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

/* --- the search's bounds ------------------------------------------------------------------- */

/* What goes at @ms while there is a lot to send; how large the probe among it was, 0 none. */
static uint32_t flight(struct tcpcb *tp, uint64_t ms, uint32_t *probe_seq)
{
	uint32_t mss = tcp_eff_mss(tp), probe = 0;
	struct tcp_seg seg;

	t.v.snd_cc = 40000;
	t_at(tp, ms);
	while (tcp_output(tp, &t.v, t_us(ms), &seg) > 0) {
		if (seg.len <= mss)
			continue;
		assert_int_equal(probe, 0);
		probe = seg.len;
		*probe_seq = seg.seq;
	}
	assert_int_equal(tcp_check(tp, &t.v), 0);
	return probe;
}

/* All of it arrives, but the probe if @lost; and at @ms + 5 that, too. */
static void flight_ends(struct tcpcb *tp, uint64_t ms, bool lost, uint32_t probe_seq, uint32_t size)
{
	uint32_t end = tp->snd_nxt - T_ISS, start = probe_seq - T_ISS;
	struct tcp_seg seg;

	if (lost) {
		T_RX(tp, ms, .flags = TH_ACK, .seq = 1, .ack = start, .wnd = 60000, .n_sack = 1,
		     .sack = { { start + size, end } });
		t_at(tp, ms + 2);
		while (tcp_output(tp, &t.v, t_us(ms + 2), &seg) > 0)
			assert_true(seg.len <= tcp_eff_mss(tp));
	}
	acked(tp, ms + 5, tp->snd_nxt - T_ISS);
	assert_int_equal(tp->ca_state, TCP_CA_OPEN);
}

/* RFC 4821, 7.2 and 7.3: half-way between what passes and what may, until a larger one
 * would be worth nothing; with timestamps, too, whose octets the path has to pass as well.
 * No probe that is lost is congestion. */
static void search_finds_the_path(void **state)
{
	static const struct { uint16_t passes; bool ts; } table[] = {
		{ 1460, false }, { 1460, true }, { 1300, false }, { 1300, true },
		{ 900, true }, { 700, false }, { 520, true }, { 512, false },
	};
	uint32_t size, seq, low, high, ts, cwnd;
	unsigned int i, n;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct tcpcb *tp = T_ESTABLISHED(SEARCH, .sack = true, .ts = table[i].ts);

		ts = table[i].ts ? 12 : 0;
		assert_int_equal(tcp_eff_mss(tp), 512 - ts);
		tp->snd_cwnd = 15 * 512;
		low = 512;
		high = 1460;
		for (n = 0; n < 20; n++) {
			size = flight(tp, 100 + n * 10, &seq);
			if (!size)
				break;
			assert_int_equal(size, (low + high) / 2 - ts);
			cwnd = tp->snd_cwnd;
			flight_ends(tp, 101 + n * 10, size + ts > table[i].passes, seq, size);
			assert_true(tp->snd_cwnd >= cwnd);
			if (size + ts > table[i].passes)
				high = size + ts - 1;
			else
				low = size + ts;
			assert_int_equal(tp->path_mss, low);
			assert_int_equal(tcp_eff_mss(tp), low - ts);
			assert_int_equal(tp->probe_mss, 0);
			tp->snd_cwnd = 15 * low;
		}
		assert_in_range(n, 2, 10);
		assert_true(high < low + 8 && table[i].passes >= low && table[i].passes <= high);
		assert_int_equal(tp->n_rto_total, 0);
		assert_int_equal(tp->path_until_s, t_us(100) / 1000000 + 600);
		/* For ten minutes: RFC 4821, 7.3; then what was too large may pass. */
		acked(tp, 1000, tp->snd_nxt - T_ISS);
		assert_int_equal(flight(tp, 599000, &seq), 0);
		acked(tp, 599001, tp->snd_nxt - T_ISS);
		tp->snd_cwnd = 15 * low;
		size = flight(tp, 602000, &seq);
		assert_int_equal(size, high < 1460 || low < 1460 - 7 ? (low + 1460) / 2 - ts : 0);
	}
}

/* Does a probe go first, with @avail octets to send? */
static bool probes(struct tcpcb *tp, uint64_t ms, uint32_t avail)
{
	struct tcp_seg seg;

	t.v.snd_cc = avail;
	t_at(tp, ms);
	return tcp_output(tp, &t.v, t_us(ms), &seg) == 1 && seg.len > tcp_eff_mss(tp);
}

/* RFC 4821, 7.4: a probe goes only if its loss would be noticed by what follows it and be
 * told from congestion.  Each of these conditions by itself forbids it. */
static void probe_needs(void **state)
{
	const uint32_t need = 986 + 4 * 512;
	uint32_t next, i;
	struct tcpcb *tp;

	(void)state;
	for (i = 0; i < 9; i++) {
		tp = searching((struct t_opts){ SEARCH, .sack = true }, &next);
		tp->snd_cwnd = 11 * 512;
		if (i == 0) {			/* none of them */
			assert_true(probes(tp, 100, need));
		} else if (i == 1) {		/* enough data behind it */
			assert_false(probes(tp, 100, need - 1));
		} else if (i == 2) {		/* a cwnd of some segments */
			tp->snd_cwnd = 11 * 512 - 1;
			assert_false(probes(tp, 100, need));
		} else if (i == 3) {		/* a window that takes all that */
			T_RX(tp, 98, .flags = TH_ACK, .seq = 1, .len = 1, .ack = next, .wnd = 60000);
			T_RX(tp, 98, .flags = TH_ACK, .seq = 2, .len = 1, .ack = next, .wnd = (uint16_t)(need - 1));
			assert_false(probes(tp, 99, need));
			tp = searching((struct t_opts){ SEARCH, .sack = true }, &next);
			T_RX(tp, 98, .flags = TH_ACK, .seq = 1, .len = 1, .ack = next, .wnd = 60000);
			T_RX(tp, 98, .flags = TH_ACK, .seq = 2, .len = 1, .ack = next, .wnd = (uint16_t)need);
			assert_true(probes(tp, 99, need));
		} else if (i == 4) {		/* SACK blocks of ours would not fit */
			T_RX(tp, 99, .flags = TH_ACK, .seq = 11, .len = 10, .ack = next, .wnd = 60000);
			T_TX(tp, 99, .flags = TH_ACK, .seq = next, .ack = 1);
			assert_false(probes(tp, 100, need));
		} else if (i == 5) {		/* nor a D-SACK */
			T_RX(tp, 98, .flags = TH_ACK, .seq = 1, .len = 10, .ack = next, .wnd = 60000);
			T_TX(tp, 98, .flags = TH_ACK, .seq = next, .ack = 11);
			T_RX(tp, 99, .flags = TH_ACK, .seq = 1, .len = 10, .ack = next, .wnd = 60000);
			tp->flags &= ~TF_ACKNOW;
			assert_false(probes(tp, 100, need));
		} else if (i == 6) {		/* one at a time */
			assert_true(probes(tp, 100, 40000));
			tp->snd_cwnd = 60000;
			assert_false(probes(tp, 100, 40000));
		} else if (i == 7) {		/* nothing that is SACKed, */
			t_send(tp, 1024);
			drain(tp, 99, next, next + 1024, 512);
			tp->snd_cwnd = 60000;
			t.v.snd_cc = 40000;
			T_RX(tp, 99, .flags = TH_ACK, .seq = 1, .ack = next, .wnd = 60000, .n_sack = 1,
			     .sack = { { next + 512, next + 1024 } });
			assert_int_equal(tp->ca_state, TCP_CA_OPEN);
			assert_false(probes(tp, 99, 40000));
		} else {			/* nor lost */
			t_send(tp, 512);
			drain(tp, 99, next, next + 512, 512);
			tp->t_loss_us = TCP_NEVER;
			t_at(tp, 600);
			assert_int_equal(tp->ca_state, TCP_CA_LOSS);
			acked(tp, 610, next + 256);
			tp->snd_cwnd = 60000;
			tp->frto = FRTO_NEW;
			assert_false(probes(tp, 610, 40000));
		}
	}
}

/* As long as what is in flight leaves no room for the probe nothing else goes, or there
 * never would be; with nothing in flight all goes as usual. */
static void probe_waits(void **state)
{
	uint32_t next;
	struct tcpcb *tp = searching((struct t_opts){ SEARCH, .sack = true }, &next);

	(void)state;
	tp->snd_cwnd = 11 * 512;
	t_send(tp, 10 * 512);
	tp->uflags &= ~TU_SEARCH;
	drain(tp, 100, next, next + 10 * 512, 512);
	tp->uflags |= TU_SEARCH;
	t_send(tp, 20 * 512);
	T_NOTHING(tp, 100);
	/* 512 octets of cwnd are free: that many more and it goes. */
	acked(tp, 110, next + 986 - 512 - 1);
	tp->snd_cwnd = 11 * 512;
	T_NOTHING(tp, 110);
	acked(tp, 111, next + 986 - 512);
	tp->snd_cwnd = 11 * 512;
	T_TX(tp, 111, .flags = TH_ACK, .seq = next + 10 * 512, .len = 986, .ack = 1);

	/* The window, likewise */
	tp = searching((struct t_opts){ SEARCH, .sack = true }, &next);
	t_send(tp, 512);
	drain(tp, 100, next, next + 512, 512);
	t_send(tp, 20 * 512);
	T_RX(tp, 101, .flags = TH_ACK, .seq = 1, .len = 1, .ack = next, .wnd = 60000);
	T_RX(tp, 101, .flags = TH_ACK, .seq = 2, .len = 1, .ack = next, .wnd = 986 + 4 * 512 + 511);
	T_TX(tp, 101, .flags = TH_ACK, .seq = next + 512, .ack = 3);
	T_NOTHING(tp, 101);
	T_RX(tp, 102, .flags = TH_ACK, .seq = 3, .len = 1, .ack = next, .wnd = 986 + 4 * 512 + 512);
	T_TX(tp, 102, .flags = TH_ACK, .seq = next + 512, .len = 986, .ack = 4);
	/* ... and then the usual ones */
	T_TX(tp, 102, .flags = TH_ACK, .seq = next + 512 + 986, .len = 512, .ack = 4);

	/* A window that the probe would never fit in is no reason to wait. */
	tp = searching((struct t_opts){ SEARCH, .sack = true }, &next);
	t_send(tp, 512);
	drain(tp, 100, next, next + 512, 512);
	t_send(tp, 20 * 512);
	T_RX(tp, 101, .flags = TH_ACK, .seq = 1, .len = 1, .ack = next, .wnd = 60000);
	T_RX(tp, 101, .flags = TH_ACK, .seq = 2, .len = 1, .ack = next, .wnd = 2000);
	T_TX(tp, 101, .flags = TH_ACK, .seq = next + 512, .len = 512, .ack = 3);
}

/* RFC 4821, 7.6.2 and 7.6.4: if not the probe alone was lost, that is congestion, and
 * says nothing of the MTU; nor does the ACK of its octets, which went again in segments
 * that are known to pass.  Then it is probed once more. */
static void probe_and_more_is_lost(void **state)
{
	static const struct { uint32_t before, more; } table[] = { { 0, 1 }, { 1, 0 }, { 1, 1 } };
	uint32_t next, end, first, i, k;
	struct tcp_seg seg;
	struct tcpcb *tp;

	(void)state;
	for (k = 0; k < 3; k++) {
		tp = searching((struct t_opts){ SEARCH, .sack = true }, &next);
		if (table[k].before) {
			t_send(tp, 512);
			drain(tp, 99, next, next + 512, 512);
		}
		first = next;
		next += table[k].before * 512;
		tp->snd_cwnd = 20 * 512;
		end = probe_goes(tp, 100, next, 986, 512);
		/* What was before it, perhaps, the probe, and one behind it, perhaps */
		T_RX(tp, 150, .flags = TH_ACK, .seq = 1, .ack = first, .wnd = 60000, .n_sack = 1,
		     .sack = { { next + 986 + table[k].more * 512, end } });
		t_at(tp, 160);
		assert_int_equal(tp->ca_state, TCP_CA_RECOVERY);
		assert_int_equal(tp->snd_ssthresh, (end - first) / 2);
		for (i = 0; i < 20; i++) {
			if (tcp_output(tp, &t.v, t_us(170 + i * 10), &seg) > 0)
				assert_true(seg.len <= 512);
			T_RX(tp, 170 + i * 10, .flags = TH_ACK, .seq = 1, .ack = seg.len ? seg.seq + seg.len - T_ISS :
			     end, .wnd = 60000, .n_sack = seg.len ? 1 : 0,
			     .sack = { { next + 986 + table[k].more * 512, end } });
			if (tp->snd_una == T_ISS + end)
				break;
		}
		assert_int_equal(tp->snd_una, T_ISS + end);
		assert_int_equal(tp->path_mss, 512);
		assert_int_equal(tp->probe_high, 1460);
		assert_int_equal(tp->probe_mss, 0);
		tp->snd_cwnd = 20 * 512;
		probe_goes(tp, 500, end, 986, 512);
	}
}

/* RFC 4821, 7.6.4: RTO is congestion all the same.  If the probe is what is not
 * acknowledged it was too large; else nothing is known of it. */
static void probe_and_rto(void **state)
{
	uint32_t next, k;
	struct tcpcb *tp;

	(void)state;
	for (k = 0; k < 2; k++) {
		tp = searching((struct t_opts){ SEARCH }, &next);
		if (k) {
			t_send(tp, 512);
			drain(tp, 99, next, next + 512, 512);
		}
		tp->snd_cwnd = 20 * 512;
		probe_goes(tp, 100, next + k * 512, 986, 512);
		t_at(tp, 100 + tp->rto_us / 1000 + 1);
		assert_int_equal(tp->n_rto, 1);
		assert_int_equal(tp->snd_cwnd, 512);
		assert_int_equal(tp->probe_mss, 0);
		assert_int_equal(tp->probe_high, k ? 1460 : 985);
		assert_int_equal(tp->path_mss, 512);
	}
}


/* RFC 4821, 7.6.1: the probe has arrived when its last octet is acknowledged, not
 * before; that it was SACKed and that others are sent again takes nothing from it. */
static void probe_arrives_whole(void **state)
{
	uint32_t next, end, k;
	struct tcp_seg seg;
	struct tcpcb *tp;

	(void)state;
	for (k = 0; k < 2; k++) {
		tp = T_ESTABLISHED(SEARCH, .sack = true, .ts = k);
		tp->snd_cwnd = 20 * 512;
		next = 1;
		probe_goes(tp, 100, next, 986 - 12 * k, 512 - 12 * k);
		acked(tp, 150, next + 986 - 12 * k - 1);
		assert_int_equal(tp->path_mss, 512);
		assert_int_equal(tp->probe_high, 1460);
		acked(tp, 151, next + 986 - 12 * k);
		assert_int_equal(tp->path_mss, 986);
		assert_int_equal(tp->path_until_s, t_us(151) / 1000000 + 600);
	}

	/* 512 before it and 512 behind it are lost: that is congestion. */
	tp = searching((struct t_opts){ SEARCH, .sack = true }, &next);
	t_send(tp, 512);
	drain(tp, 99, next, next + 512, 512);
	tp->snd_cwnd = 20 * 512;
	end = probe_goes(tp, 100, next + 512, 986, 512);
	T_RX(tp, 150, .flags = TH_ACK, .seq = 1, .ack = next, .wnd = 60000, .n_sack = 2,
	     .sack = { { next + 512 + 986 + 512, end }, { next + 512, next + 512 + 986 } });
	t_at(tp, 160);
	assert_int_equal(tp->ca_state, TCP_CA_RECOVERY);
	tp->snd_cwnd = 20 * 512;
	while (tcp_output(tp, &t.v, t_us(160), &seg) > 0)
		assert_int_equal(seg.len, 512);
	assert_int_equal(tp->n_rexmt_total, 2);
	acked(tp, 200, end);
	assert_int_equal(tp->path_mss, 986);

	/* Without SACK: duplicate ACKs for what was before it are not about it. */
	tp = searching((struct t_opts){ SEARCH }, &next);
	t_send(tp, 512);
	drain(tp, 99, next, next + 512, 512);
	tp->snd_cwnd = 20 * 512;
	end = probe_goes(tp, 100, next + 512, 986, 512);
	for (k = 0; k < 3; k++)
		acked(tp, 150, next);
	assert_int_equal(tp->ca_state, TCP_CA_RECOVERY);
	assert_int_equal(tp->probe_high, 1460);
	T_TX(tp, 150, .flags = TH_ACK, .seq = next, .len = 512, .ack = 1);
	acked(tp, 200, end);
	assert_int_equal(tp->path_mss, 986);
}

/* Eight octets more are worth a probe, seven are not; and no probe is larger than cwnd. */
static void probe_is_worth_it(void **state)
{
	struct tcpcb *tp;
	uint32_t next;

	(void)state;
	tp = searching((struct t_opts){ SEARCH, .sack = true }, &next);
	assert_int_equal(too_big(tp, 60, next, 519), TCP_ICMP_SOFT);
	assert_false(probes(tp, 100, 40000));
	tp = searching((struct t_opts){ SEARCH, .sack = true }, &next);
	assert_int_equal(too_big(tp, 60, next, 520), TCP_ICMP_SOFT);
	probe_goes(tp, 100, next, 516, 512);

	tp = T_ESTABLISHED(SEARCH_OF(16000, 512), .sack = true);
	tp->snd_cwnd = (512 + 16000) / 2 - 1;
	assert_false(probes(tp, 0, 40000));
	tp = T_ESTABLISHED(SEARCH_OF(16000, 512), .sack = true);
	tp->snd_cwnd = (512 + 16000) / 2;
	assert_true(probes(tp, 0, 40000));
}

/* Where a search begins and ends: at what it is told, the peer's MSS, our own bound (which
 * is without options), or what ICMP has said of the SYN. */
static void search_has_bounds(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(SEARCH_OF(600, 1024));

	(void)state;
	assert_int_equal(tp->path_mss, 600);
	assert_int_equal(tp->probe_high, 600);
	tp = T_ESTABLISHED(SEARCH_OF(1460, 512), .cfg.eff_mss_max = 700);
	assert_int_equal(tp->path_mss, 512);
	assert_int_equal(tp->probe_high, 700);
	tp = T_ESTABLISHED(SEARCH_OF(1460, 512), .cfg.eff_mss_max = 700, .ts = true);
	assert_int_equal(tp->probe_high, 712);
	tp = T_ESTABLISHED(SEARCH_OF(650, 512), .cfg.eff_mss_max = 700);
	assert_int_equal(tp->probe_high, 650);

	tp = t_syn_sent((struct t_opts){ SEARCH });
	assert_int_equal(too_big(tp, 1, 0, 800), TCP_ICMP_SOFT);
	T_RX(tp, 2, .flags = TH_SYN | TH_ACK, .ack = 1, .wnd = 60000, .mss = 1460,
	     .wscale = TCP_WS_NONE);
	assert_int_equal(tp->path_mss, 512);
	assert_int_equal(tp->probe_high, 800);
}

/* RFC 4821, 7.5 (RFC 8201, 4): a router's word is a bound of the search, which another
 * router's does not lift. */
static void too_big_in_search(void **state)
{
	uint32_t next;
	struct tcpcb *tp = searching((struct t_opts){ SEARCH, .sack = true }, &next);

	(void)state;
	assert_int_equal(too_big(tp, 60, next, 1400), TCP_ICMP_SOFT);
	assert_int_equal(tp->probe_high, 1400);
	assert_int_equal(tp->path_mss, 512);
	assert_int_equal(tp->path_until_s, t_us(60) / 1000000 + 600);
	assert_int_equal(too_big(tp, 1000000, next, 1450), TCP_ICMP_SOFT);
	assert_int_equal(tp->probe_high, 1400);
	probe_goes(tp, 100, next, (512 + 1400) / 2, 512);
}

/* RFC 1191, 6.4, before there is a connection: the least that was said counts, our MSS
 * does not grow by it, and a SYN without data was not too big. */
static void too_big_before_established(void **state)
{
	struct tcpcb *tp = t_syn_sent((struct t_opts){ USUAL });

	(void)state;
	assert_int_equal(too_big(tp, 1, 0, 1200), TCP_ICMP_SOFT);
	assert_int_equal(tp->rcv_mss, 1000);
	assert_int_equal(tp->path_mss, 1200);
	assert_int_equal(too_big(tp, 2, 0, 800), TCP_ICMP_SOFT);
	assert_int_equal(too_big(tp, 3, 0, 900), TCP_ICMP_SOFT);
	assert_int_equal(tp->rcv_mss, 800);
	assert_int_equal(tp->path_mss, 800);
	T_NOTHING(tp, 3);
}

/* What is sent again, and what not: only what may have been too large.  And when it is
 * forgotten one segment may go at least. */
static void too_big_again(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL);

	(void)state;
	t_send(tp, 600);
	drain(tp, 0, 1, 601, 1000);
	assert_int_equal(too_big(tp, 10, 1, 600), TCP_ICMP_SOFT);
	T_NOTHING(tp, 10);
	assert_int_equal(tp->path_until_s, t_us(10) / 1000000 + 600);

	tp = T_ESTABLISHED(USUAL, .cfg.eff_mss_max = 500);
	t_send(tp, 2000);
	drain(tp, 0, 1, 2001, 500);
	assert_int_equal(too_big(tp, 10, 1, 800), TCP_ICMP_SOFT);
	T_NOTHING(tp, 10);

	tp = T_ESTABLISHED(USUAL);
	assert_int_equal(too_big(tp, 10, 1, 600), TCP_ICMP_SOFT);
	t_send(tp, 600);
	drain(tp, 20, 1, 601, 600);
	T_TX(tp, 220, .flags = TH_ACK | TH_PUSH, .seq = 1, .len = 600, .ack = 1);
	assert_int_equal(tp->snd_cwnd, 600);
	T_NOTHING(tp, 221);
	tcp_mtu_age(tp, t_us(601000));
	assert_int_equal(tcp_eff_mss(tp), 1000);
	assert_int_equal(tp->snd_cwnd, 1000);
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

/* Smaller than what did not pass, in each case: below what it is told to begin with, and
 * below what a search has found.  Then it is searched for, up to what did not. */
static void black_hole_halves(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(.mss = 800, .wnd = 60000, .sack = true, .cfg.cc = TCP_CC_RENO,
					 .cfg.mtu_probing = TCP_MTU_PROBING_BLACK_HOLE);
	struct tcp_seg seg;
	uint32_t next, i;

	(void)state;
	t_send(tp, 1600);
	drain(tp, 0, 1, 1601, 800);
	tp->t_loss_us = TCP_NEVER;
	for (i = 0; i < 3; i++) {
		assert_int_equal(tcp_eff_mss(tp), 800);
		tcp_timers(tp, &t.v, tp->t_rexmt_us, &t.rx);
		assert_int_equal(tcp_output(tp, &t.v, tp->t_rexmt_us, &seg), 1);
	}
	assert_int_equal(tcp_eff_mss(tp), 400);
	assert_int_equal(seg.len, 400);
	assert_int_equal(tp->probe_high, 800);
	assert_true(tp->path_until_s > t_us(0) / 1000000 + 600);
	acked(tp, 2000, 1601);
	tp->snd_cwnd = 20 * 400;
	probe_goes(tp, 2000, 1601, 600, 400);

	/* Found by a search: 700, which is less than twice what it began with. */
	tp = searching((struct t_opts){ SEARCH_OF(888, 512), .sack = true }, &next);
	next = probe_goes(tp, 100, next, 700, 512);
	acked(tp, 150, next);
	T_NOTHING(tp, 150);
	assert_int_equal(tcp_eff_mss(tp), 700);
	t_send(tp, 700);
	drain(tp, 160, next, next + 700, 700);
	tp->t_loss_us = TCP_NEVER;
	for (i = 0; i < 3; i++)
		tcp_timers(tp, &t.v, tp->t_rexmt_us, &t.rx);
	assert_int_equal(tcp_eff_mss(tp), 350);
	assert_int_equal(tp->probe_high, 888);
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
		cmocka_unit_test(search_finds_the_path),
		cmocka_unit_test(probe_needs),
		cmocka_unit_test(probe_waits),
		cmocka_unit_test(probe_and_more_is_lost),
		cmocka_unit_test(probe_and_rto),
		cmocka_unit_test(probe_arrives_whole),
		cmocka_unit_test(probe_is_worth_it),
		cmocka_unit_test(search_has_bounds),
		cmocka_unit_test(too_big_in_search),
		cmocka_unit_test(too_big_before_established),
		cmocka_unit_test(too_big_again),
		cmocka_unit_test(black_hole),
		cmocka_unit_test(black_hole_halves),
		cmocka_unit_test(black_hole_after_search),
		cmocka_unit_test(black_hole_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
