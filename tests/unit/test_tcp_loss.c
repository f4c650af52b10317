/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_tcp_loss.c - what is lost is sent again: RFC 5681, 5827, 2883, 3522, 3708, 5682, 6298,
 * 6582, 6675, 8985, 9937
 */
#include "tests/unit/t_tcp.h"
#include "stack/engine/tcp_var.h"

/* NewReno has rounder numbers. */
#define USUAL	.mss = 1000, .wnd = 8192, .cfg.cc = TCP_CC_RENO

/* Octets [@from, @to), in segments of 1000, the last with PSH. */
static void tx_burst(struct tcpcb *tp, uint64_t ms, uint32_t from, uint32_t to)
{
	for (; from + 1000 < to; from += 1000)
		T_TX(tp, ms, .flags = TH_ACK, .seq = from, .len = 1000, .ack = 1);
	T_TX(tp, ms, .flags = TH_ACK | TH_PUSH, .seq = from, .len = to - from, .ack = 1);
	T_NOTHING(tp, ms);
}

/* A duplicate ACK at @ack, with a SACK block if @end. */
static void rx_dup(struct tcpcb *tp, uint64_t ms, uint32_t ack, uint32_t start, uint32_t end)
{
	T_RX(tp, ms, .flags = TH_ACK, .seq = 1, .ack = ack, .wnd = 8192, .n_sack = end ? 1 : 0,
	     .sack = { { start, end } });
}

/* RFC 6298, 5: the exact times; ssthresh and cwnd by RFC 5681, 3.1 */
static void rto_backs_off(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL);
	uint64_t ms = 0, rto = 200;
	struct tcp_seg seg;
	int i;

	(void)state;
	t_send(tp, 4000);
	tx_burst(tp, 0, 1, 4001);
	for (i = 1; i <= 15; i++) {
		T_NOTHING(tp, ms + rto - 1);
		ms += rto;
		t_at(tp, ms);
		assert_int_equal(tcp_output(tp, &t.v, t_us(ms), &seg), 1);
		assert_int_equal(seg.seq, T_ISS + 1);
		assert_int_equal(seg.len, 1000);
		assert_true(seg.is_rexmt);
		assert_int_equal(seg.n_rexmt, i);
		T_NOTHING(tp, ms);
		assert_int_equal(tp->snd_cwnd, 1000);
		assert_int_equal(tp->snd_ssthresh, 2000);
		rto = rto * 2 < 120000 ? rto * 2 : 120000;
	}
	T_NOTHING(tp, ms + rto - 1);
	T_STATE(tp, "ESTABLISHED");
	T_NOTHING(tp, ms + rto);
	T_EVENTS(TCP_EV_TIMEDOUT | TCP_EV_CLOSED);
	T_STATE(tp, "CLOSED");
}

/* After RTO: slow start over what is lost (go-back-N without SACK). */
static void rto_then_slow_start(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL);

	(void)state;
	t_send(tp, 4000);
	tx_burst(tp, 0, 1, 4001);
	T_TX(tp, 200, .flags = TH_ACK, .seq = 1, .len = 1000, .ack = 1);
	T_NOTHING(tp, 200);
	T_RX(tp, 210, .flags = TH_ACK, .seq = 1, .ack = 1001, .wnd = 8192);
	T_TX(tp, 210, .flags = TH_ACK, .seq = 1001, .len = 1000, .ack = 1);
	T_TX(tp, 210, .flags = TH_ACK, .seq = 2001, .len = 1000, .ack = 1);
	T_NOTHING(tp, 210);
	T_RX(tp, 220, .flags = TH_ACK, .seq = 1, .ack = 4001, .wnd = 8192);
	T_NOTHING(tp, 220);
	assert_int_equal(tp->ca_state, TCP_CA_OPEN);
}

/* RFC 5681, 3.2: the third duplicate ACK; RFC 3042: new data on the first two */
static void third_dupack_retransmits(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL);

	(void)state;
	tp->snd_cwnd = 4000;
	t_send(tp, 8000);
	tx_burst(tp, 0, 1, 4001);
	rx_dup(tp, 1, 1, 0, 0);
	T_TX(tp, 1, .flags = TH_ACK, .seq = 4001, .len = 1000, .ack = 1);
	T_NOTHING(tp, 1);
	rx_dup(tp, 1, 1, 0, 0);
	T_TX(tp, 1, .flags = TH_ACK, .seq = 5001, .len = 1000, .ack = 1);
	T_NOTHING(tp, 1);
	rx_dup(tp, 1, 1, 0, 0);
	T_TX(tp, 1, .flags = TH_ACK, .seq = 1, .len = 1000, .ack = 1);
	T_NOTHING(tp, 1);
	/* Half of four: what limited transmit has sent does not count. */
	assert_int_equal(tp->snd_ssthresh, 2000);
	/* Each further one stands for a segment that has left: three, two, */
	rx_dup(tp, 2, 1, 0, 0);
	T_NOTHING(tp, 2);
	rx_dup(tp, 2, 1, 0, 0);
	T_TX(tp, 2, .flags = TH_ACK, .seq = 6001, .len = 1000, .ack = 1);
	T_NOTHING(tp, 2);
	/* and the full ACK ends it (RFC 6582, 3.2, (3)). */
	T_RX(tp, 3, .flags = TH_ACK, .seq = 1, .ack = 7001, .wnd = 8192);
	assert_int_equal(tp->ca_state, TCP_CA_OPEN);
	assert_int_equal(tp->snd_cwnd, 2000);
	T_TX(tp, 3, .flags = TH_ACK | TH_PUSH, .seq = 7001, .len = 1000, .ack = 1);
	T_NOTHING(tp, 3);
}

/* What is no duplicate ACK: data, another window, FIN (RFC 5681, 2) */
static void not_every_ack_is_a_duplicate(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL);

	(void)state;
	t_send(tp, 5000);
	tx_burst(tp, 0, 1, 5001);
	T_RX(tp, 1, .flags = TH_ACK, .seq = 1, .ack = 1, .wnd = 8191);
	T_RX(tp, 1, .flags = TH_ACK, .seq = 1, .ack = 1, .wnd = 8190);
	T_RX(tp, 1, .flags = TH_ACK, .seq = 1, .ack = 1, .wnd = 8189);
	T_RX(tp, 1, .flags = TH_ACK, .seq = 1, .len = 5, .ack = 1, .wnd = 8189);
	T_RX(tp, 1, .flags = TH_ACK, .seq = 6, .len = 5, .ack = 1, .wnd = 8189);
	T_RX(tp, 1, .flags = TH_ACK, .seq = 11, .len = 5, .ack = 1, .wnd = 8189);
	T_TX(tp, 1, .flags = TH_ACK, .seq = 5001, .ack = 16);
	T_NOTHING(tp, 1);
}

/* RFC 6582: a partial ACK sends the next hole at once. */
static void newreno_partial_ack(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL);
	int i;

	(void)state;
	t_send(tp, 6000);
	tx_burst(tp, 0, 1, 6001);
	for (i = 0; i < 3; i++)
		rx_dup(tp, 1, 1, 0, 0);
	T_TX(tp, 1, .flags = TH_ACK, .seq = 1, .len = 1000, .ack = 1);
	T_NOTHING(tp, 1);
	rx_dup(tp, 1, 1, 0, 0);
	T_NOTHING(tp, 1);
	T_RX(tp, 2, .flags = TH_ACK, .seq = 1, .ack = 3001, .wnd = 8192);
	T_TX(tp, 2, .flags = TH_ACK, .seq = 3001, .len = 1000, .ack = 1);
	T_NOTHING(tp, 2);
	assert_int_equal(tp->ca_state, TCP_CA_RECOVERY);
	T_RX(tp, 3, .flags = TH_ACK, .seq = 1, .ack = 6001, .wnd = 8192);
	T_NOTHING(tp, 3);
	assert_int_equal(tp->ca_state, TCP_CA_OPEN);
}

/* RFC 6582, 4.1: what was sent again after RTO is lost again.  Duplicate ACKs
 * tell, without another RTO. */
static void lost_again_after_rto(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL);
	int i;

	(void)state;
	t_send(tp, 8000);
	tx_burst(tp, 0, 1, 8001);
	T_TX(tp, 200, .flags = TH_ACK, .seq = 1, .len = 1000, .ack = 1);
	T_RX(tp, 210, .flags = TH_ACK, .seq = 1, .ack = 1001, .wnd = 8192);
	T_TX(tp, 210, .flags = TH_ACK, .seq = 1001, .len = 1000, .ack = 1);
	T_TX(tp, 210, .flags = TH_ACK, .seq = 2001, .len = 1000, .ack = 1);
	T_RX(tp, 220, .flags = TH_ACK, .seq = 1, .ack = 3001, .wnd = 8192);
	T_TX(tp, 220, .flags = TH_ACK, .seq = 3001, .len = 1000, .ack = 1);
	T_TX(tp, 220, .flags = TH_ACK, .seq = 4001, .len = 1000, .ack = 1);
	T_TX(tp, 220, .flags = TH_ACK, .seq = 5001, .len = 1000, .ack = 1);
	T_NOTHING(tp, 220);
	/* 3001 is lost; the others bring duplicate ACKs, which cwnd does not count: if
	 * they have only said that 4001 and 5001 had come, more like them is in vain. */
	rx_dup(tp, 230, 3001, 0, 0);
	rx_dup(tp, 230, 3001, 0, 0);
	T_NOTHING(tp, 230);
	rx_dup(tp, 240, 3001, 0, 0);
	T_TX(tp, 240, .flags = TH_ACK, .seq = 3001, .len = 1000, .ack = 1);
	T_NOTHING(tp, 240);
	/* Once is enough. */
	rx_dup(tp, 240, 3001, 0, 0);
	T_NOTHING(tp, 240);
	T_RX(tp, 250, .flags = TH_ACK, .seq = 1, .ack = 8001, .wnd = 8192);
	assert_int_equal(tp->ca_state, TCP_CA_OPEN);
	assert_int_equal(tp->n_rto_total, 1);

	/* But not if the ACK before leapt over what had arrived: then they
	 * answer what was sent again in vain. */
	tp = T_ESTABLISHED(USUAL);
	t_send(tp, 8000);
	tx_burst(tp, 0, 1, 8001);
	T_TX(tp, 200, .flags = TH_ACK, .seq = 1, .len = 1000, .ack = 1);
	T_RX(tp, 210, .flags = TH_ACK, .seq = 1, .ack = 5001, .wnd = 8192);
	T_TX(tp, 210, .flags = TH_ACK, .seq = 5001, .len = 1000, .ack = 1);
	T_TX(tp, 210, .flags = TH_ACK, .seq = 6001, .len = 1000, .ack = 1);
	for (i = 0; i < 4; i++)
		rx_dup(tp, 220, 5001, 0, 0);
	T_NOTHING(tp, 220);
}

/* RFC 6675: only the holes, more than one in a round trip */
static void sack_recovers_several(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL, .sack = true);

	(void)state;
	t_send(tp, 8000);
	tx_burst(tp, 0, 1, 8001);
	/* 1 and 3 are lost. */
	rx_dup(tp, 1, 1, 1001, 2001);
	T_NOTHING(tp, 1);
	rx_dup(tp, 1, 1, 3001, 4001);
	T_NOTHING(tp, 1);
	rx_dup(tp, 1, 1, 3001, 5001);
	T_TX(tp, 1, .flags = TH_ACK, .seq = 1, .len = 1000, .ack = 1);
	T_NOTHING(tp, 1);
	rx_dup(tp, 1, 1, 3001, 6001);
	T_TX(tp, 1, .flags = TH_ACK, .seq = 2001, .len = 1000, .ack = 1);
	T_NOTHING(tp, 1);
	rx_dup(tp, 1, 1, 3001, 8001);
	T_NOTHING(tp, 1);
	T_RX(tp, 2, .flags = TH_ACK, .seq = 1, .ack = 2001, .wnd = 8192, .n_sack = 1,
	     .sack = { { 3001, 8001 } });
	T_NOTHING(tp, 2);
	T_RX(tp, 2, .flags = TH_ACK, .seq = 1, .ack = 8001, .wnd = 8192);
	T_NOTHING(tp, 2);
	assert_int_equal(tp->ca_state, TCP_CA_OPEN);
	assert_int_equal(tp->sacked_out, 0);
}

/* RFC 5827: with less than four segments in flight, and no more to send */
static void early_retransmit(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL, .sack = true);

	(void)state;
	t_send(tp, 2000);
	tx_burst(tp, 0, 1, 2001);
	rx_dup(tp, 1, 1, 1001, 2001);
	T_TX(tp, 1, .flags = TH_ACK, .seq = 1, .len = 1000, .ack = 1);
	T_NOTHING(tp, 1);
	T_RX(tp, 2, .flags = TH_ACK, .seq = 1, .ack = 2001, .wnd = 8192);
	T_NOTHING(tp, 2);

	/* Without SACK as well */
	tp = T_ESTABLISHED(USUAL);
	t_send(tp, 3000);
	tx_burst(tp, 0, 1, 3001);
	rx_dup(tp, 1, 1, 0, 0);
	T_NOTHING(tp, 1);
	rx_dup(tp, 1, 1, 0, 0);
	T_TX(tp, 1, .flags = TH_ACK, .seq = 1, .len = 1000, .ack = 1);
	T_NOTHING(tp, 1);
}

/* Four segments of 60 KiB fill the window and the third is lost: no RTO. */
static void one_of_four_huge_ones(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(.mss = 61464, .wnd = 61440, .scale = 2, .sack = true,
					 .cfg.eff_mss_max = 61440);
	const uint32_t n = 61440;
	uint32_t i;

	(void)state;
	tp->snd_cwnd = 10 * n;
	T_RX(tp, 0, .flags = TH_ACK, .seq = 1, .ack = 1, .wnd = 61440);
	t_send(tp, 8 * n);
	for (i = 0; i < 4; i++)
		T_TX(tp, 0, .flags = TH_ACK | (i == 3 ? TH_PUSH : 0), .seq = 1 + i * n, .len = n,
		     .ack = 1);
	T_NOTHING(tp, 0);
	T_RX(tp, 1, .flags = TH_ACK, .seq = 1, .ack = 1 + 2 * n, .wnd = 30720);
	T_NOTHING(tp, 1);
	/* Two in flight; one SACKed is enough: early retransmit. */
	T_RX(tp, 1, .flags = TH_ACK, .seq = 1, .ack = 1 + 2 * n, .wnd = 30720, .n_sack = 1,
	     .sack = { { 1 + 3 * n, 1 + 4 * n } });
	T_TX(tp, 1, .flags = TH_ACK, .seq = 1 + 2 * n, .len = n, .ack = 1);
	T_NOTHING(tp, 1);
}

/* RFC 8985, 6.2: a hole that does not close in a quarter of a round trip */
static void reordering_window(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL, .sack = true);

	(void)state;
	t_send(tp, 4000);
	tx_burst(tp, 0, 1, 4001);
	/* 1 and 2 are lost: not enough for IsLost(). */
	rx_dup(tp, 10, 1, 2001, 4001);
	T_NOTHING(tp, 10);
	/* The handshake took no time: 1 ms is the least. */
	T_TX(tp, 11, .flags = TH_ACK, .seq = 1, .len = 1000, .ack = 1);
	T_NOTHING(tp, 11);
	T_RX(tp, 22, .flags = TH_ACK, .seq = 1, .ack = 1001, .wnd = 8192, .n_sack = 1,
	     .sack = { { 2001, 4001 } });
	T_TX(tp, 22, .flags = TH_ACK, .seq = 1001, .len = 1000, .ack = 1);
	T_NOTHING(tp, 22);
	T_RX(tp, 23, .flags = TH_ACK, .seq = 1, .ack = 4001, .wnd = 8192);
	T_NOTHING(tp, 23);
	assert_int_equal(tp->n_rto_total, 0);

	/* It closes in time: nothing is sent. */
	tp = T_ESTABLISHED(USUAL, .sack = true);
	t_send(tp, 4000);
	tx_burst(tp, 0, 1, 4001);
	rx_dup(tp, 10, 1, 2001, 4001);
	T_NOTHING(tp, 10);
	T_RX(tp, 10, .flags = TH_ACK, .seq = 1, .ack = 4001, .wnd = 8192);
	T_NOTHING(tp, 100);
}

/* RFC 8985, 7: the tail is lost; one probe, which the SACK answers. */
static void tail_loss_probe(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL, .sack = true);

	(void)state;
	t_send(tp, 3000);
	tx_burst(tp, 0, 1, 3001);
	T_RX(tp, 5, .flags = TH_ACK, .seq = 1, .ack = 1001, .wnd = 8192);
	/* SRTT is 0.6 ms; 10 ms is the least. */
	T_NOTHING(tp, 14);
	T_TX(tp, 15, .flags = TH_ACK | TH_PUSH, .seq = 2001, .len = 1000, .ack = 1);
	T_NOTHING(tp, 100);
	rx_dup(tp, 101, 1001, 2001, 3001);
	T_TX(tp, 101, .flags = TH_ACK, .seq = 1001, .len = 1000, .ack = 1);
	T_NOTHING(tp, 101);
	T_RX(tp, 102, .flags = TH_ACK, .seq = 1, .ack = 3001, .wnd = 8192);
	T_NOTHING(tp, 102);
	assert_int_equal(tp->n_rto_total, 0);
}

/* RFC 8985, 7.2: where two round trips are longer than RTO the probe goes when RTO
 * would expire, and RTO begins anew. */
static void tail_loss_probe_before_rto(void **state)
{
	struct tcpcb *tp = t_syn_sent((struct t_opts){ USUAL, .sack = true });
	uint64_t ms;
	uint32_t n;

	(void)state;
	T_RX(tp, 400, .flags = TH_SYN | TH_ACK, .ack = 1, .wnd = 8192, .mss = 1000,
	     .sack_permitted = true, .wscale = TCP_WS_NONE);
	T_TX(tp, 400, .flags = TH_ACK, .seq = 1, .ack = 1);
	for (n = 0, ms = 400; n < 20; n++, ms += 400) {
		t_send(tp, 1000);
		tx_burst(tp, ms, 1000 * n + 1, 1000 * n + 1001);
		T_RX(tp, ms + 400, .flags = TH_ACK, .seq = 1, .ack = 1000 * n + 1001, .wnd = 8192);
	}
	assert_in_range(tp->rto_us, 595000, 2 * tp->srtt_us - 1);
	t_send(tp, 2000);
	tx_burst(tp, ms, 20001, 22001);
	n = (tp->rto_us + 999) / 1000;
	T_NOTHING(tp, ms + n - 1);
	T_TX(tp, ms + n, .flags = TH_ACK | TH_PUSH, .seq = 21001, .len = 1000, .ack = 1);
	T_NOTHING(tp, ms + n);
	assert_int_equal(tp->n_rto_total, 0);
	/* One probe is out: RTO is next. */
	T_NOTHING(tp, ms + 2 * n - 2);
	T_TX(tp, ms + 2 * n, .flags = TH_ACK, .seq = 20001, .len = 1000, .ack = 1);
	assert_int_equal(tp->n_rto_total, 1);
}

/* RFC 8985, 7.4: only the tail was lost, and the probe repaired it. */
static void tail_loss_probe_repairs(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL, .sack = true);
	uint32_t cwnd = tp->snd_cwnd;

	(void)state;
	t_send(tp, 2000);
	tx_burst(tp, 0, 1, 2001);
	T_TX(tp, 10, .flags = TH_ACK | TH_PUSH, .seq = 1001, .len = 1000, .ack = 1);
	T_NOTHING(tp, 10);
	T_RX(tp, 11, .flags = TH_ACK, .seq = 1, .ack = 2001, .wnd = 8192);
	assert_int_equal(tp->snd_cwnd, cwnd);
	t_send(tp, 500);
	T_TX(tp, 12, .flags = TH_ACK | TH_PUSH, .seq = 2001, .len = 500, .ack = 1);
	T_RX(tp, 13, .flags = TH_ACK, .seq = 1, .ack = 2501, .wnd = 8192);
	assert_true(tp->snd_cwnd < cwnd);

	/* A duplicate ACK: both arrived, no harm done. */
	tp = T_ESTABLISHED(USUAL, .sack = true);
	t_send(tp, 2000);
	tx_burst(tp, 0, 1, 2001);
	T_TX(tp, 10, .flags = TH_ACK | TH_PUSH, .seq = 1001, .len = 1000, .ack = 1);
	T_RX(tp, 11, .flags = TH_ACK, .seq = 1, .ack = 2001, .wnd = 8192);
	t_send(tp, 500);
	T_TX(tp, 11, .flags = TH_ACK | TH_PUSH, .seq = 2001, .len = 500, .ack = 1);
	rx_dup(tp, 11, 2001, 0, 0);
	T_RX(tp, 13, .flags = TH_ACK, .seq = 1, .ack = 2501, .wnd = 8192);
	assert_int_equal(tp->snd_cwnd, cwnd);
}

/* RFC 8985, 7.4.2: the ACK of the segment was late, and the probe's comes when
 * nothing is outstanding: a duplicate, or a D-SACK, here on data. */
static void tail_loss_probe_was_needless(void **state)
{
	uint32_t len;

	(void)state;
	for (len = 0; len <= 5; len += 5) {
		struct tcpcb *tp = T_ESTABLISHED(USUAL, .sack = true);
		uint32_t cwnd = tp->snd_cwnd;

		t_send(tp, 2000);
		tx_burst(tp, 0, 1, 2001);
		T_TX(tp, 10, .flags = TH_ACK | TH_PUSH, .seq = 1001, .len = 1000, .ack = 1);
		T_RX(tp, 11, .flags = TH_ACK, .seq = 1, .ack = 2001, .wnd = 8192);
		T_RX(tp, 12, .flags = TH_ACK, .seq = 1, .len = len, .ack = 2001, .wnd = 8192,
		     .n_sack = !!len, .sack = { { 1001, 2001 } });
		t_send(tp, 500);
		T_TX(tp, 12, .flags = TH_ACK | TH_PUSH, .seq = 2001, .len = 500, .ack = 1 + len);
		T_RX(tp, 13, .flags = TH_ACK, .seq = 1 + len, .ack = 2501, .wnd = 8192);
		assert_int_equal(tp->snd_cwnd, cwnd);
	}
}

/* What was sent again is lost again: seen by what was sent after it. */
static void lost_again(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL, .sack = true);

	(void)state;
	t_send(tp, 4000);
	tx_burst(tp, 0, 1, 4001);
	rx_dup(tp, 1, 1, 1001, 4001);
	T_TX(tp, 1, .flags = TH_ACK, .seq = 1, .len = 1000, .ack = 1);
	t_send(tp, 4000);
	T_TX(tp, 1, .flags = TH_ACK, .seq = 4001, .len = 1000, .ack = 1);
	T_NOTHING(tp, 1);
	/* 4001 was sent after it, and has arrived. */
	rx_dup(tp, 2, 1, 1001, 5001);
	T_TX(tp, 2, .flags = TH_ACK, .seq = 1, .len = 1000, .ack = 1);
	T_TX(tp, 2, .flags = TH_ACK, .seq = 5001, .len = 1000, .ack = 1);
	T_NOTHING(tp, 2);
	rx_dup(tp, 3, 1, 1001, 6001);
	T_TX(tp, 3, .flags = TH_ACK, .seq = 1, .len = 1000, .ack = 1);
	T_NOTHING(tp, 3);
	assert_int_equal(tp->n_rto_total, 0);
}

/* RFC 2018, 8: the peer has thrown away what it had SACKed. */
static void reneging(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL, .sack = true);

	(void)state;
	t_send(tp, 4000);
	tx_burst(tp, 0, 1, 4001);
	rx_dup(tp, 1, 1, 1001, 4001);
	T_TX(tp, 1, .flags = TH_ACK, .seq = 1, .len = 1000, .ack = 1);
	T_NOTHING(tp, 1);
	T_RX(tp, 2, .flags = TH_ACK, .seq = 1, .ack = 1001, .wnd = 8192);
	T_TX(tp, 2, .flags = TH_ACK, .seq = 1001, .len = 1000, .ack = 1);
	T_TX(tp, 2, .flags = TH_ACK, .seq = 2001, .len = 1000, .ack = 1);
	T_NOTHING(tp, 2);
	assert_int_equal(tp->sacked_out, 0);
	T_RX(tp, 3, .flags = TH_ACK, .seq = 1, .ack = 3001, .wnd = 8192);
	T_TX(tp, 3, .flags = TH_ACK | TH_PUSH, .seq = 3001, .len = 1000, .ack = 1);
	T_NOTHING(tp, 3);
}

/* SACK blocks that cannot be: ignored */
static void bad_sack_blocks(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL, .sack = true);

	(void)state;
	t_send(tp, 4000);
	tx_burst(tp, 0, 1, 4001);
	rx_dup(tp, 1, 1, 2001, 1001);
	rx_dup(tp, 1, 1, 4001, 5001);
	rx_dup(tp, 1, 1, 3001, 4002);
	rx_dup(tp, 1, 1, 1, 1001);
	rx_dup(tp, 1, 1, 0, 1001);
	rx_dup(tp, 1, 1, 1001, 1001);
	rx_dup(tp, 1, 1, 1001, 0x80000000u);
	assert_int_equal(tp->sacked_out, 0);
	T_NOTHING(tp, 1);
}

/* Karn: no measurement from what was sent twice, unless by timestamp. */
static void karn(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL);

	(void)state;
	t_send(tp, 1000);
	tx_burst(tp, 0, 1, 1001);
	T_TX(tp, 200, .flags = TH_ACK | TH_PUSH, .seq = 1, .len = 1000, .ack = 1);
	T_RX(tp, 250, .flags = TH_ACK, .seq = 1, .ack = 1001, .wnd = 8192);
	assert_int_equal(tp->srtt_us, 0);
	/* And RTO stays backed off until there is one (RFC 6298, 5). */
	assert_int_equal(tp->rto_us, 400000);

	tp = T_ESTABLISHED(USUAL, .ts = true);
	t_send(tp, 988);
	T_TX(tp, 0, .flags = TH_ACK | TH_PUSH, .seq = 1, .len = 988, .ack = 1);
	T_TX(tp, 200, .flags = TH_ACK | TH_PUSH, .seq = 1, .len = 988, .ack = 1);
	T_RX(tp, 250, .flags = TH_ACK, .seq = 1, .ack = 989, .wnd = 8192, .has_ts = true,
	     .tsval = 1001, .tsecr = 5000200);
	assert_int_equal(tp->srtt_us, 50000 / 8);
}

/* One segment at a time, and an ACK is lost: the next one echoes what was sent
 * first, RTO ago.  That is no round trip (RFC 7323, 4.3); but what comes before
 * an answer to the second can have come is one. */
static void echo_of_the_first(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL, .ts = true);
	uint32_t srtt, rto, rto_ms;

	(void)state;
	t_send(tp, 988);
	T_TX(tp, 0, .flags = TH_ACK | TH_PUSH, .seq = 1, .len = 988, .ack = 1);
	T_RX(tp, 40, .flags = TH_ACK, .seq = 1, .ack = 989, .wnd = 8192, .has_ts = true,
	     .tsval = 1001, .tsecr = 5000000);
	srtt = tp->srtt_us;
	rto = tp->rto_us;
	rto_ms = rto / 1000 + 1;
	t_send(tp, 988);
	T_TX(tp, 100, .flags = TH_ACK | TH_PUSH, .seq = 989, .len = 988, .ack = 1);
	T_TX(tp, 100 + rto_ms, .flags = TH_ACK | TH_PUSH, .seq = 989, .len = 988, .ack = 1);
	T_RX(tp, 140 + rto_ms, .flags = TH_ACK, .seq = 1, .ack = 1977, .wnd = 8192, .has_ts = true,
	     .tsval = 1002, .tsecr = 5000100);
	assert_int_equal(tp->srtt_us, srtt);
	assert_int_equal(tp->rto_us, 2 * rto);

	rto_ms = tp->rto_us / 1000 + 1;
	t_send(tp, 988);
	T_TX(tp, 1000, .flags = TH_ACK | TH_PUSH, .seq = 1977, .len = 988, .ack = 1);
	T_TX(tp, 1000 + rto_ms, .flags = TH_ACK | TH_PUSH, .seq = 1977, .len = 988, .ack = 1);
	/* A small segment was back a little sooner than the least there ever was. */
	T_RX(tp, 1038 + rto_ms, .flags = TH_ACK, .seq = 1, .ack = 2965, .wnd = 8192, .has_ts = true,
	     .tsval = 1003, .tsecr = 5001000);
	assert_int_equal(tp->srtt_us, srtt);

	rto_ms = tp->rto_us / 1000 + 1;
	t_send(tp, 988);
	T_TX(tp, 4000, .flags = TH_ACK | TH_PUSH, .seq = 2965, .len = 988, .ack = 1);
	T_TX(tp, 4000 + rto_ms, .flags = TH_ACK | TH_PUSH, .seq = 2965, .len = 988, .ack = 1);
	T_RX(tp, 4010 + rto_ms, .flags = TH_ACK, .seq = 1, .ack = 3953, .wnd = 8192, .has_ts = true,
	     .tsval = 1004, .tsecr = 5004000);
	assert_int_equal(tp->srtt_us, (7 * srtt + (10 + rto_ms) * 1000) / 8);
}

/* Karn: no segment that is sent again is timed, and RTO stays backed off; but where the
 * copies before are too old to be answered, it is.  Only the first one: the next may
 * have come long ago. */
static void like_new_after_a_minute(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL);
	uint32_t srtt, rto, ms = 100, copy;

	(void)state;
	t_send(tp, 1000);
	T_TX(tp, 0, .flags = TH_ACK | TH_PUSH, .seq = 1, .len = 1000, .ack = 1);
	T_RX(tp, 40, .flags = TH_ACK, .seq = 1, .ack = 1001, .wnd = 8192);
	srtt = tp->srtt_us;
	t_send(tp, 2000);
	T_TX(tp, ms, .flags = TH_ACK, .seq = 1001, .len = 1000, .ack = 1);
	T_TX(tp, ms, .flags = TH_ACK | TH_PUSH, .seq = 2001, .len = 1000, .ack = 1);
	do {
		rto = tp->rto_us;
		copy = rto / 1000 + 1;
		ms += copy;
		T_TX(tp, ms, .flags = TH_ACK, .seq = 1001, .len = 1000, .ack = 1);
		assert_false(tp->flags & TF_RTT && copy <= 60000);
	} while (copy <= 60000);
	T_RX(tp, ms + 40, .flags = TH_ACK, .seq = 1, .ack = 2001, .wnd = 8192);
	assert_int_equal(tp->srtt_us, (7 * srtt + 40000) / 8);
	assert_true(tp->rto_us < 1000000);

	/* The second was sent two minutes ago, and is the first now. */
	srtt = tp->srtt_us;
	ms += 40;
	T_TX(tp, ms, .flags = TH_ACK | TH_PUSH, .seq = 2001, .len = 1000, .ack = 1);
	assert_true(tp->flags & TF_RTT);
	/* Lost; this copy is young. */
	ms += tp->rto_us / 1000 + 1;
	T_TX(tp, ms, .flags = TH_ACK | TH_PUSH, .seq = 2001, .len = 1000, .ack = 1);
	assert_false(tp->flags & TF_RTT);
	rto = tp->rto_us;
	T_RX(tp, ms + 40, .flags = TH_ACK, .seq = 1, .ack = 3001, .wnd = 8192);
	assert_int_equal(tp->srtt_us, srtt);
	assert_int_equal(tp->rto_us, rto);
}

/* RFC 6298, 2.2, 2.3: the first measurement, and the second */
static void srtt_and_rttvar(void **state)
{
	struct tcpcb *tp = t_syn_sent((struct t_opts){ USUAL });

	(void)state;
	T_RX(tp, 80, .flags = TH_SYN | TH_ACK, .ack = 1, .wnd = 8192, .mss = 1000,
	     .wscale = TCP_WS_NONE);
	assert_int_equal(tp->srtt_us, 80000);
	assert_int_equal(tp->rttvar_us, 40000);
	assert_int_equal(tp->rto_us, 80000 + 200000);
	T_TX(tp, 80, .flags = TH_ACK, .seq = 1, .ack = 1);
	t_send(tp, 1000);
	tx_burst(tp, 80, 1, 1001);
	T_RX(tp, 80 + 160, .flags = TH_ACK, .seq = 1, .ack = 1001, .wnd = 8192);
	assert_int_equal(tp->rttvar_us, (3 * 40000 + 80000) / 4);
	assert_int_equal(tp->srtt_us, (7 * 80000 + 160000) / 8);
	assert_int_equal(tp->rto_us, 90000 + 200000);
	/* 4 * RTTVAR, once it is more than the least. */
	t_send(tp, 1000);
	tx_burst(tp, 240, 1001, 2001);
	T_RX(tp, 240 + 230, .flags = TH_ACK, .seq = 1, .ack = 2001, .wnd = 8192);
	assert_int_equal(tp->rttvar_us, (3 * 50000 + 140000) / 4);
	assert_int_equal(tp->rto_us, (7 * 90000 + 230000) / 8 + 4 * 72500);
}

/* FIN is lost, alone and with data. */
static void lost_fin(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL);

	(void)state;
	t_send(tp, 1500);
	tcp_user_close(tp, t_us(0));
	T_TX(tp, 0, .flags = TH_ACK, .seq = 1, .len = 1000, .ack = 1);
	T_TX(tp, 0, .flags = TH_ACK | TH_PUSH | TH_FIN, .seq = 1001, .len = 500, .ack = 1);
	T_RX(tp, 1, .flags = TH_ACK, .seq = 1, .ack = 1001, .wnd = 8192);
	T_NOTHING(tp, 201);
	T_TX(tp, 202, .flags = TH_ACK | TH_PUSH | TH_FIN, .seq = 1001, .len = 500, .ack = 1);
	T_RX(tp, 202, .flags = TH_ACK, .seq = 1, .ack = 1501, .wnd = 8192);
	T_NOTHING(tp, 602);
	T_TX(tp, 603, .flags = TH_ACK | TH_FIN, .seq = 1501, .ack = 1);
	T_NOTHING(tp, 603);
	T_RX(tp, 603, .flags = TH_ACK, .seq = 1, .ack = 1502, .wnd = 8192);
	T_STATE(tp, "FIN-WAIT-2");
	T_NOTHING(tp, 603);
}

/* RFC 2883, 3708: the hole closes by itself after the fast retransmit, and a
 * D-SACK reports the copy: cwnd is what it was, and from now on RACK waits. */
static void undone_by_dsack(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL, .sack = true);
	uint32_t cwnd = tp->snd_cwnd;

	(void)state;
	t_send(tp, 6000);
	tx_burst(tp, 0, 1, 6001);
	rx_dup(tp, 10, 1, 1001, 5001);
	T_TX(tp, 10, .flags = TH_ACK, .seq = 1, .len = 1000, .ack = 1);
	T_RX(tp, 11, .flags = TH_ACK, .seq = 1, .ack = 6001, .wnd = 8192);
	T_NOTHING(tp, 11);
	assert_int_equal(tp->ca_state, TCP_CA_OPEN);
	assert_true(tp->snd_cwnd < cwnd);
	rx_dup(tp, 12, 6001, 1, 1001);
	T_NOTHING(tp, 12);
	assert_int_equal(tp->snd_cwnd, cwnd);
	assert_int_equal(tp->n_undo_total, 1);
	/* Only once */
	rx_dup(tp, 12, 6001, 1, 1001);
	assert_int_equal(tp->n_undo_total, 1);

	t_send(tp, 6000);
	tx_burst(tp, 20, 6001, 12001);
	rx_dup(tp, 30, 6001, 7001, 11001);
	T_NOTHING(tp, 30);
	T_TX(tp, 40, .flags = TH_ACK, .seq = 6001, .len = 1000, .ack = 1);
}

/* RFC 3522: the ACK echoes the time of the first transmission. */
static void undone_by_timestamp(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL, .sack = true, .ts = true);
	uint32_t cwnd = tp->snd_cwnd, smss = 988, sent = tcp_tsval(tp, t_us(0));

	(void)state;
	t_send(tp, 6 * smss);
	while (tcp_output(tp, &t.v, t_us(0), &(struct tcp_seg){ 0 }) > 0)
		;
	rx_dup(tp, 10, 1, 1 + smss, 1 + 5 * smss);
	T_TX(tp, 10, .flags = TH_ACK, .seq = 1, .len = smss, .ack = 1);
	T_RX(tp, 11, .flags = TH_ACK, .seq = 1, .ack = 1 + 5 * smss, .wnd = 8192, .has_ts = true,
	     .tsval = t.tsval, .tsecr = sent);
	T_NOTHING(tp, 11);
	assert_int_equal(tp->snd_cwnd, cwnd);
	assert_int_equal(tp->ca_state, TCP_CA_OPEN);

	/* ... or of the second: then it was lost. */
	tp = T_ESTABLISHED(USUAL, .sack = true, .ts = true);
	t_send(tp, 6 * smss);
	while (tcp_output(tp, &t.v, t_us(0), &(struct tcp_seg){ 0 }) > 0)
		;
	rx_dup(tp, 10, 1, 1 + smss, 1 + 5 * smss);
	T_TX(tp, 10, .flags = TH_ACK, .seq = 1, .len = smss, .ack = 1);
	T_RX(tp, 20, .flags = TH_ACK, .seq = 1, .ack = 1 + 6 * smss, .wnd = 8192, .has_ts = true,
	     .tsval = t.tsval, .tsecr = sent + 10);
	assert_true(tp->snd_cwnd < cwnd);
	assert_int_equal(tp->n_undo_total, 0);
}

/* RFC 5682, 2.1: everything was late, nothing was lost. */
static void frto_finds_spurious_rto(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL);

	(void)state;
	tp->snd_cwnd = 4000;
	t_send(tp, 8000);
	tx_burst(tp, 0, 1, 4001);
	T_TX(tp, 200, .flags = TH_ACK, .seq = 1, .len = 1000, .ack = 1);
	T_NOTHING(tp, 200);
	assert_int_equal(tp->snd_cwnd, 1000);
	/* Step 2b: two new ones, instead of 1001 */
	T_RX(tp, 210, .flags = TH_ACK, .seq = 1, .ack = 1001, .wnd = 8192);
	T_TX(tp, 210, .flags = TH_ACK, .seq = 4001, .len = 1000, .ack = 1);
	T_TX(tp, 210, .flags = TH_ACK | TH_PUSH, .seq = 5001, .len = 1000, .ack = 1);
	T_NOTHING(tp, 210);
	/* Step 3b */
	T_RX(tp, 211, .flags = TH_ACK, .seq = 1, .ack = 2001, .wnd = 8192);
	assert_int_equal(tp->ca_state, TCP_CA_OPEN);
	assert_int_equal(tp->snd_cwnd, 4000);
	assert_int_equal(tp->snd_ssthresh, TCP_CWND_MAX);
	T_NOTHING(tp, 211);
}

/* ... and when it was not spurious: step 3a */
static void frto_finds_loss(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL, .sack = true);

	(void)state;
	tp->snd_cwnd = 4000;
	t_send(tp, 8000);
	tx_burst(tp, 0, 1, 4001);
	/* The tail loss probe is lost, too. */
	T_TX(tp, 10, .flags = TH_ACK, .seq = 4001, .len = 1000, .ack = 1);
	T_TX(tp, 300, .flags = TH_ACK, .seq = 1, .len = 1000, .ack = 1);
	T_NOTHING(tp, 300);
	T_RX(tp, 310, .flags = TH_ACK, .seq = 1, .ack = 1001, .wnd = 8192);
	T_TX(tp, 310, .flags = TH_ACK, .seq = 5001, .len = 1000, .ack = 1);
	T_TX(tp, 310, .flags = TH_ACK | TH_PUSH, .seq = 6001, .len = 1000, .ack = 1);
	T_NOTHING(tp, 310);
	rx_dup(tp, 320, 1001, 5001, 6001);
	T_TX(tp, 320, .flags = TH_ACK, .seq = 1001, .len = 1000, .ack = 1);
	T_NOTHING(tp, 320);
	assert_int_equal(tp->ca_state, TCP_CA_LOSS);
	assert_int_equal(tp->n_undo_total, 0);
}

/* RFC 9937, 6.2: of 20 segments one is lost; cwnd goes down to half in
 * proportion to what arrives, without silence and without a burst. */
static void rate_is_reduced_in_proportion(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(.mss = 1000, .wnd = 60000, .sack = true,
					 .cfg.cc = TCP_CC_RENO);
	struct tcp_seg seg;
	uint32_t i, n = 0, burst;

	(void)state;
	tp->snd_cwnd = 20000;
	t_send(tp, 60000);
	while (tcp_output(tp, &t.v, t_us(0), &seg) > 0)
		;
	assert_int_equal(tcp_flight_size(tp), 20000);
	for (i = 2; i <= 20; i++) {
		T_RX(tp, 10, .flags = TH_ACK, .seq = 1, .ack = 1, .wnd = 60000, .n_sack = 1,
		     .sack = { { 1001, i * 1000 + 1 } });
		for (burst = 0; tcp_output(tp, &t.v, t_us(10), &seg) > 0; burst++)
			;
		assert_true(burst <= 1);
		n += burst;
	}
	assert_int_equal(tp->snd_ssthresh, 10000);
	/* Two new ones before it was known (RFC 3042), then one for every two */
	assert_in_range(n, 10, 12);
	assert_in_range(tcp_pipe(tp), 9000, 11000);
}

/* A scoreboard with more ranges than it has room for: something is forgotten,
 * nothing is wrong, and all of it is delivered in the end. */
static void scoreboard_overflows(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(.mss = 100, .wnd = 60000, .sack = true);
	struct tcp_seg seg;
	uint32_t i, rounds, n_again = 0;

	(void)state;
	tp->snd_cwnd = 20000;
	t_send(tp, 20000);
	for (i = 0; tcp_output(tp, &t.v, t_us(0) + i * 10, &seg) > 0; i++)
		assert_int_equal(tcp_check(tp, &t.v), 0);
	assert_int_equal(i, 200);
	/* Every second one arrives. */
	for (i = 1; i < 200; i += 2) {
		rx_dup(tp, 100, 1, i * 100 + 1, (i + 1) * 100 + 1);
		assert_int_equal(tcp_check(tp, &t.v), 0);
		assert_true(tcp_pipe(tp) <= 20000);
		while (tcp_output(tp, &t.v, t_us(100), &seg) > 0)
			n_again++;
	}
	assert_true(n_again >= 20);
	for (rounds = 0; tp->snd_una != tp->snd_nxt && rounds < 50; rounds++) {
		uint32_t ms = 200 + rounds * 100;

		T_RX(tp, ms, .flags = TH_ACK, .seq = 1, .wnd = 60000,
		     .ack = (tp->snd_una - T_ISS) + seq_min(20001 - (tp->snd_una - T_ISS), 1000));
		while (tcp_output(tp, &t.v, t_us(ms), &seg) > 0)
			assert_int_equal(tcp_check(tp, &t.v), 0);
	}
	assert_int_equal(tp->snd_una, T_ISS + 20001);
	T_NOTHING(tp, 10000);
}

/* --- the scoreboard is full --------------------------------------------------------------
 *
 * RFC 6675, 3 wants to know of each octet whether it is SACKed, RFC 8985 when it was
 * sent.  With TCP_N_RUNS runs something must be given up: nothing that would make an
 * octet SACKed or lost that is not, or lose sight of one.
 */

/* One segment of 1000 goes at each of @n moments, @us[]. */
static struct tcpcb *sent_at(const uint64_t *us, uint32_t n)
{
	struct tcpcb *tp = T_ESTABLISHED(.mss = 1000, .wnd = 60000, .sack = true);
	struct tcp_seg seg;
	uint32_t i;

	tp->snd_cwnd = 60000;
	t_send(tp, n * 1000);
	for (i = 0; i < n; i++) {
		assert_int_equal(tcp_output(tp, &t.v, us[i], &seg), 1);
		assert_int_equal(seg.seq, T_ISS + 1 + i * 1000);
		assert_int_equal(tcp_check(tp, &t.v), 0);
	}
	return tp;
}

static void rx_sack(struct tcpcb *tp, uint64_t ms, uint32_t start, uint32_t end)
{
	T_RX(tp, ms, .flags = TH_ACK, .seq = 1, .ack = 1, .wnd = 60000, .n_sack = 1,
	     .sack = { { start, end } });
}

/* The two neighbours that were sent with the least time between become one, with the
 * earlier time: what is later would not make RACK wait for what was sent before. */
static void full_of_moments(void **state)
{
	static const uint32_t where[] = { 0, 15, TCP_N_RUNS - 2 };
	uint64_t us[TCP_N_RUNS + 1], at;
	uint32_t i, j, k;
	struct tcpcb *tp;

	(void)state;
	for (k = 0; k < 3; k++) {
		for (i = 0, at = t_us(0); i <= TCP_N_RUNS; i++) {
			us[i] = at;
			at += i == where[k] ? 300 : i == 20 ? 400 : 1000;
		}
		tp = sent_at(us, TCP_N_RUNS);
		assert_int_equal(tp->n_runs, TCP_N_RUNS);
		tp = sent_at(us, TCP_N_RUNS + 1);
		assert_int_equal(tp->n_runs, TCP_N_RUNS);
		for (i = 0, j = 0; i < TCP_N_RUNS; i++, j++) {
			assert_int_equal(tp->run[i].sent, run_clock(us[j]));
			j += j == where[k];
			assert_int_equal(tp->run[i].end, T_ISS + 1 + (j + 1) * 1000);
		}
	}
}

/* As long as there is room, each moment has its run; then what was sent within an eighth
 * of a round trip is one. */
static void half_full_of_moments(void **state)
{
	uint64_t us[TCP_N_RUNS / 2 + 4];
	struct tcp_seg seg;
	struct tcpcb *tp;
	uint32_t i;

	(void)state;
	for (i = 0; i < sizeof(us) / sizeof(us[0]); i++)
		us[i] = t_us(i * 5);
	tp = sent_at(us, TCP_N_RUNS / 2 - 1);
	tp->srtt_us = 80000;
	t_send(tp, 5000);
	for (i = TCP_N_RUNS / 2 - 1; i < TCP_N_RUNS / 2 + 4; i++)
		assert_int_equal(tcp_output(tp, &t.v, us[i], &seg), 1);
	assert_int_equal(tp->n_runs, TCP_N_RUNS / 2 + 2);
	for (i = 0; i < TCP_N_RUNS / 2; i++)
		assert_int_equal(tp->run[i].sent, run_clock(us[i]));
	/* Two of 10 ms, the fifth by itself */
	assert_int_equal(tp->run[i - 1].end, T_ISS + 1 + (i + 1) * 1000);
	assert_int_equal(tp->run[i].sent, run_clock(us[i + 1]));
	assert_int_equal(tp->run[i].end, T_ISS + 1 + (i + 3) * 1000);
	assert_int_equal(tp->run[i + 1].sent, run_clock(us[i + 3]));
	/* Nor is it one with what was SACKed, or sent again. */
	tp = sent_at(us, 1);
	t_send(tp, 1000);
	rx_sack(tp, 1, 501, 1001);
	assert_int_equal(tcp_output(tp, &t.v, us[0], &seg), 1);
	assert_int_equal(tp->n_runs, 3);
	assert_int_equal(tp->sacked_out, 500);
}

/* @n segments of 1000 go, and every second one is SACKed; but of @short_one, if there is
 * such a pair, only 700 octets, and then of the last 500. */
static struct tcpcb *full_of_holes(uint32_t n, uint32_t short_one)
{
	struct tcpcb *tp = T_ESTABLISHED(.mss = 1000, .wnd = 60000, .sack = true);
	uint32_t i, start, end;
	struct tcp_seg seg;

	tp->snd_cwnd = 60000;
	t_send(tp, n * 1000);
	for (i = 0; i < n; i++)
		assert_int_equal(tcp_output(tp, &t.v, t_us(0), &seg), 1);
	for (i = n / 2; i-- > 0; ) {
		start = i * 2000 + 1001;
		end = start + (i == short_one ? 700 : 1000);
		if (i == n / 2 - 1 && short_one < i)
			start += 500;
		rx_sack(tp, 1, start, end);
		assert_int_equal(tcp_check(tp, &t.v), 0);
	}
	assert_int_equal(tp->n_runs, n);
	return tp;
}

/* The shortest that was SACKed is forgotten, and will be sent again; but not the last,
 * above which nothing is lost.  All else stays known. */
static void full_of_sacks(void **state)
{
	static const uint32_t where[] = { 0, 7, TCP_N_RUNS / 2 - 2 };
	struct tcpcb *tp;
	uint32_t i, k;

	(void)state;
	for (k = 0; k < 3; k++) {
		tp = full_of_holes(TCP_N_RUNS, where[k]);
		rx_sack(tp, 2, 6201, 6301);
		assert_int_equal(tcp_check(tp, &t.v), 0);
		assert_int_equal(tp->n_runs, TCP_N_RUNS);
		for (i = 0; i < TCP_N_RUNS / 2; i++) {
			assert_int_equal(tcp_sb_is_sacked(tp, T_ISS + i * 2000 + 1600), i != where[k]);
			assert_false(tcp_sb_is_sacked(tp, T_ISS + 1 + i * 2000));
		}
		assert_true(tcp_sb_is_sacked(tp, T_ISS + 6250));
		assert_int_equal(tcp_sb_top(tp), T_ISS + 1 + TCP_N_RUNS * 1000);
		assert_int_equal(tp->sacked_out, (TCP_N_RUNS / 2 - 2) * 1000 + 500 + 100);
		assert_int_equal(tp->lost_out, TCP_N_RUNS * 1000 - tp->sacked_out);
		t_end(tp);
	}
}

/* Karn: is @seq known to have been sent twice? */
static bool is_again(const struct tcpcb *tp, uint32_t seq)
{
	unsigned int i;

	for (i = 0; i < tp->n_runs && seq_leq(tp->run[i].end, seq); i++)
		;
	return tp->run[i].mark & RUN_AGAIN;
}

/* Nothing is SACKed any more (RFC 2018, 8: after the second RTO the peer is not believed),
 * and segments are smaller now.  What was sent once is lost like what was sent twice: that
 * is what is forgotten, and all of it is lost until it is sent. */
static void full_of_lost(void **state)
{
	struct tcpcb *tp = full_of_holes(TCP_N_RUNS - 2, TCP_N_RUNS);
	uint32_t lost = (TCP_N_RUNS - 2) * 1000, end = 1 + lost, i;
	struct tcp_seg seg;
	uint64_t us;

	(void)state;
	us = tp->t_rexmt_us;
	tp->t_loss_us = TCP_NEVER;
	tcp_timers(tp, &t.v, us, &t.rx);
	assert_int_equal(tp->n_rto, 1);
	tp->snd_cwnd = 60000;
	while (tcp_output(tp, &t.v, us, &seg) > 0)
		assert_int_equal(seg.len, 1000);
	assert_int_equal(tp->lost_out, 0);
	assert_int_equal(tp->sacked_out, lost / 2);
	us = tp->t_rexmt_us;
	tcp_timers(tp, &t.v, us, &t.rx);
	assert_int_equal(tp->n_rto, 2);
	assert_int_equal(tcp_icmp_too_big(tp, T_ISS + 1, 400, us), TCP_ICMP_SOFT);
	assert_int_equal(tp->n_runs, TCP_N_RUNS - 2);
	assert_int_equal(tp->sacked_out, 0);
	assert_int_equal(tp->lost_out, lost);
	tp->snd_cwnd = 60000;
	while (lost) {
		assert_int_equal(tcp_output(tp, &t.v, us, &seg), 1);
		assert_int_equal(seg.seq, T_ISS + end - lost);
		lost -= seg.len;
		assert_int_equal(tp->lost_out, lost);
		for (i = 0; i < (TCP_N_RUNS - 2) / 2; i++)
			assert_true(is_again(tp, T_ISS + i * 2000 + 1000));
		assert_int_equal(tcp_check(tp, &t.v), 0);
	}
	assert_int_equal(tcp_output(tp, &t.v, us, &seg), 0);
}

/* The scoreboard's clock wraps after nine minutes: what arrived that long ago
 * was not sent later than what is in flight. */
static void idle_for_long(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL, .sack = true);

	(void)state;
	t_send(tp, 1000);
	T_TX(tp, 0, .flags = TH_ACK | TH_PUSH, .seq = 1, .len = 1000, .ack = 1);
	T_RX(tp, 1, .flags = TH_ACK, .seq = 1, .ack = 1001, .wnd = 8192);
	t_send(tp, 3000);
	tx_burst(tp, 400000, 1001, 4001);
	T_RX(tp, 400009, .flags = TH_ACK, .seq = 1, .ack = 2001, .wnd = 8192);
	T_NOTHING(tp, 400009);
	assert_int_equal(tp->ca_state, TCP_CA_OPEN);
	assert_int_equal(tp->n_rexmt_total, 0);
}

/* ... nor is it a round trip, if the answer takes so long. */
static void answered_after_long(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL, .sack = true);
	struct tcp_seg seg;
	uint64_t ms;

	(void)state;
	t_send(tp, 4000);
	tx_burst(tp, 0, 1, 4001);
	for (ms = 10; ms <= 300000; ms += 10)
		while (tcp_output(tp, &t.v, t_at(tp, ms), &seg) > 0)
			;
	T_RX(tp, 300001, .flags = TH_ACK, .seq = 1, .ack = 4001, .wnd = 8192);
	assert_false(tp->rec_flags & RF_MIN_RTT);
	T_NOTHING(tp, 300001);
}

/* What is lost becomes one run, with the time of the earliest: if it has
 * arrived all the same, it took no less. */
static void lost_run_is_old(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL, .sack = true);

	(void)state;
	t_send(tp, 1000);
	T_TX(tp, 0, .flags = TH_ACK | TH_PUSH, .seq = 1, .len = 1000, .ack = 1);
	t_send(tp, 3000);
	tx_burst(tp, 5, 1001, 4001);
	tcp_loss_all(tp);
	assert_int_equal(tp->n_runs, 1);
	rx_dup(tp, 6, 1, 1001, 2001);
	assert_int_equal(tp->min_rtt_us, 6000);
	assert_int_equal(tp->rack_rtt_us, 6000);
}

/* Something is outstanding for so long that the scoreboard's clock has wrapped
 * since the last arrival: RACK goes on with the next. */
static void rack_after_long(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL, .sack = true);
	struct tcp_seg seg;

	(void)state;
	t_send(tp, 2000);
	tx_burst(tp, 0, 1, 2001);
	T_RX(tp, 100, .flags = TH_ACK, .seq = 1, .ack = 1001, .wnd = 8192);
	t_send(tp, 4000);
	while (tcp_output(tp, &t.v, t_at(tp, 300000), &seg) > 0)
		;
	T_RX(tp, 300001, .flags = TH_ACK, .seq = 1, .ack = 2001, .wnd = 8192);
	assert_int_equal(tp->ca_state, TCP_CA_OPEN);
	assert_int_equal(tcp_flight_size(tp), 4000);
	rx_dup(tp, 300002, 2001, 3001, 6001);
	T_TX(tp, 300002, .flags = TH_ACK, .seq = 2001, .len = 1000, .ack = 1);
	assert_int_equal(tp->ca_state, TCP_CA_RECOVERY);

	/* And it is what is that old that is lost. */
	tp = T_ESTABLISHED(USUAL, .sack = true);
	t_send(tp, 1000);
	T_TX(tp, 0, .flags = TH_ACK | TH_PUSH, .seq = 1, .len = 1000, .ack = 1);
	t_send(tp, 4000);
	T_TX(tp, 300000, .flags = TH_ACK, .seq = 1001, .len = 1000, .ack = 1);
	T_TX(tp, 300000, .flags = TH_ACK, .seq = 2001, .len = 1000, .ack = 1);
	T_TX(tp, 300000, .flags = TH_ACK, .seq = 3001, .len = 1000, .ack = 1);
	T_TX(tp, 300000, .flags = TH_ACK | TH_PUSH, .seq = 4001, .len = 1000, .ack = 1);
	rx_dup(tp, 300002, 1, 1001, 4001);
	T_TX(tp, 300002, .flags = TH_ACK, .seq = 1, .len = 1000, .ack = 1);
	T_NOTHING(tp, 300002);
}

/* Without SACK: more than 2 GiB without a loss, and then one */
static void loss_after_much(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(.mss = 60000, .wnd = 65535, .scale = 2,
					 .cfg.cc = TCP_CC_RENO);
	struct tcp_seg seg;
	uint32_t una = 1;
	int i;

	(void)state;
	/* The SYN's window was not scaled. */
	T_RX(tp, 0, .flags = TH_ACK, .seq = 1, .ack = 1, .wnd = 65535);
	while (una < 0x90000000u) {
		t_send(tp, 240000);
		while (tcp_output(tp, &t.v, t_us(0), &seg) > 0)
			;
		una += 240000;
		T_RX(tp, 0, .flags = TH_ACK, .seq = 1, .ack = una, .wnd = 65535);
	}
	t_send(tp, 240000);
	while (tcp_output(tp, &t.v, t_us(0), &seg) > 0)
		;
	for (i = 0; i < 3; i++)
		T_RX(tp, 1, .flags = TH_ACK, .seq = 1, .ack = una, .wnd = 65535);
	assert_int_equal(tp->ca_state, TCP_CA_RECOVERY);
	T_TX(tp, 1, .flags = TH_ACK, .seq = una, .len = 60000, .ack = 1);
}

/* Nothing follows a lone segment that could be a reason for duplicate ACKs. */
static void stray_duplicate(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL);

	(void)state;
	t_send(tp, 1000);
	tx_burst(tp, 0, 1, 1001);
	rx_dup(tp, 1, 1, 0, 0);
	T_NOTHING(tp, 1);
	assert_int_equal(tp->ca_state, TCP_CA_OPEN);
}

/* RFC 9937, 6.1: what had been SACKed before, and is acknowledged by the ACK
 * that begins recovery, was not in flight. */
static void recover_fs(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(.mss = 1000, .wnd = 60000, .sack = true);

	(void)state;
	t_send(tp, 4000);
	tx_burst(tp, 0, 1, 4001);
	t_send(tp, 6000);
	tx_burst(tp, 9, 4001, 10001);
	T_RX(tp, 10, .flags = TH_ACK, .seq = 1, .ack = 1, .wnd = 60000, .n_sack = 1,
	     .sack = { { 1001, 2001 } });
	assert_int_equal(tp->ca_state, TCP_CA_OPEN);
	T_RX(tp, 10, .flags = TH_ACK, .seq = 1, .ack = 2001, .wnd = 60000, .n_sack = 1,
	     .sack = { { 5001, 8001 } });
	assert_int_equal(tp->ca_state, TCP_CA_RECOVERY);
	assert_int_equal(tp->recover_fs, 9000);
}

/* What is sent again is lost again and the window is shut: no RTO. */
static void rescue(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(.mss = 1000, .wnd = 4000, .sack = true);

	(void)state;
	t_send(tp, 8000);
	tx_burst(tp, 0, 1, 4001);
	T_RX(tp, 1, .flags = TH_ACK, .seq = 1, .ack = 1, .wnd = 4000, .n_sack = 1,
	     .sack = { { 1001, 4001 } });
	T_TX(tp, 1, .flags = TH_ACK, .seq = 1, .len = 1000, .ack = 1);
	T_NOTHING(tp, 10);
	T_TX(tp, 100, .flags = TH_ACK, .seq = 1, .len = 1000, .ack = 1);
	T_NOTHING(tp, 100);
	assert_int_equal(tp->n_rto_total, 0);
	T_RX(tp, 101, .flags = TH_ACK, .seq = 1, .ack = 4001, .wnd = 4000);
	T_TX(tp, 101, .flags = TH_ACK, .seq = 4001, .len = 1000, .ack = 1);
}

/* How far segments have been overtaken, in segments: what TCP_INFO tells. */
static void reordering_is_measured(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL, .sack = true);

	(void)state;
	t_send(tp, 6000);
	tx_burst(tp, 0, 1, 6001);
	rx_dup(tp, 10, 1, 5001, 6001);
	assert_false(tp->rec_flags & RF_REORDERING);
	/* [2001, 3001) comes after [5001, 6001): by four segments. */
	T_RX(tp, 10, .flags = TH_ACK, .seq = 1, .ack = 1, .wnd = 8192, .n_sack = 2,
	     .sack = { { 2001, 3001 }, { 5001, 6001 } });
	assert_true(tp->rec_flags & RF_REORDERING);
	assert_int_equal(tp->reordering, 4);
	/* The furthest stays. */
	T_RX(tp, 10, .flags = TH_ACK, .seq = 1, .ack = 1, .wnd = 8192, .n_sack = 2,
	     .sack = { { 4001, 6001 }, { 2001, 3001 } });
	assert_int_equal(tp->reordering, 4);
	T_RX(tp, 10, .flags = TH_ACK, .seq = 1, .ack = 6001, .wnd = 8192);
	assert_int_equal(tp->reordering, 6);
	T_NOTHING(tp, 10);
}

/* RFC 8985, 6.2, step 2: RACK.rtt is that of what arrived last, also if it was sent
 * before RACK.segment: what is late shows that others may be. */
static void late_arrival(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(.mss = 1000, .wnd = 60000, .cfg.cc = TCP_CC_RENO,
					 .sack = true);

	(void)state;
	t_send(tp, 10000);
	tx_burst(tp, 0, 1, 10001);
	T_RX(tp, 10, .flags = TH_ACK, .seq = 1, .ack = 1, .wnd = 60000, .n_sack = 2,
	     .sack = { { 8001, 9001 }, { 1001, 3001 } });
	T_TX(tp, 10, .flags = TH_ACK, .seq = 1, .len = 1000, .ack = 1);
	assert_int_equal(tp->lost_out, 5000);
	/* What was sent again has come, and [3001, 4001), which was not lost: so
	 * [9001, 10001) has the same 22 ms, and some. */
	T_RX(tp, 22, .flags = TH_ACK, .seq = 1, .ack = 4001, .wnd = 60000, .n_sack = 1,
	     .sack = { { 8001, 9001 } });
	assert_int_equal(tp->rack_rtt_us, 22000);
	assert_int_equal(tp->lost_out, 4000);
	t_at(tp, 23);
	assert_int_equal(tp->lost_out, 5000);
}

/* An ACK that was overtaken still tells what has arrived. */
static void sack_of_an_old_ack(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL, .sack = true);

	(void)state;
	t_send(tp, 6000);
	tx_burst(tp, 0, 1, 6001);
	T_RX(tp, 1, .flags = TH_ACK, .seq = 1, .ack = 2001, .wnd = 8192);
	T_NOTHING(tp, 1);
	/* Its window is not believed. */
	T_RX(tp, 1, .flags = TH_ACK, .seq = 1, .ack = 1001, .wnd = 100, .n_sack = 1,
	     .sack = { { 3001, 6001 } });
	assert_int_equal(tp->snd_wnd, 8192);
	assert_int_equal(tp->snd_una, T_ISS + 2001);
	T_TX(tp, 1, .flags = TH_ACK, .seq = 2001, .len = 1000, .ack = 1);
	T_NOTHING(tp, 1);
	/* Without news it is nothing. */
	T_RX(tp, 1, .flags = TH_ACK, .seq = 1, .ack = 1001, .wnd = 100, .n_sack = 1,
	     .sack = { { 3001, 6001 } });
	assert_int_equal(tp->dupacks, 1);
	T_NOTHING(tp, 1);
}

/* RFC 8985, 7.2: a lone segment may be acknowledged late, by somebody far away by
 * 200 ms; but no probe is later than RTO, whose place it takes. */
static void probe_in_place_of_rto(void **state)
{
	struct t_opts o = { USUAL, .sack = true };
	struct tcpcb *tp = t_syn_sent(o);

	(void)state;
	t_rx(tp, 100, t_peer_syn(o, TH_SYN | TH_ACK));
	T_TX(tp, 100, .flags = TH_ACK, .seq = 1, .ack = 1);
	t_send(tp, 1000);
	T_TX(tp, 100, .flags = TH_ACK | TH_PUSH, .seq = 1, .len = 1000, .ack = 1);
	T_RX(tp, 200, .flags = TH_ACK, .seq = 1, .ack = 1001, .wnd = 8192);
	t_send(tp, 1000);
	T_TX(tp, 200, .flags = TH_ACK | TH_PUSH, .seq = 1001, .len = 1000, .ack = 1);
	T_NOTHING(tp, 499);
	T_TX(tp, 500, .flags = TH_ACK | TH_PUSH, .seq = 1001, .len = 1000, .ack = 1);
	assert_int_equal(tp->n_rto_total, 0);
	/* RTO begins anew, not twice as long. */
	T_NOTHING(tp, 799);
	T_TX(tp, 800, .flags = TH_ACK | TH_PUSH, .seq = 1001, .len = 1000, .ack = 1);
	assert_int_equal(tp->n_rto_total, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rto_backs_off),
		cmocka_unit_test(rto_then_slow_start),
		cmocka_unit_test(third_dupack_retransmits),
		cmocka_unit_test(not_every_ack_is_a_duplicate),
		cmocka_unit_test(newreno_partial_ack),
		cmocka_unit_test(lost_again_after_rto),
		cmocka_unit_test(sack_recovers_several),
		cmocka_unit_test(early_retransmit),
		cmocka_unit_test(one_of_four_huge_ones),
		cmocka_unit_test(reordering_window),
		cmocka_unit_test(tail_loss_probe),
		cmocka_unit_test(tail_loss_probe_before_rto),
		cmocka_unit_test(tail_loss_probe_repairs),
		cmocka_unit_test(tail_loss_probe_was_needless),
		cmocka_unit_test(lost_again),
		cmocka_unit_test(reneging),
		cmocka_unit_test(bad_sack_blocks),
		cmocka_unit_test(karn),
		cmocka_unit_test(echo_of_the_first),
		cmocka_unit_test(like_new_after_a_minute),
		cmocka_unit_test(srtt_and_rttvar),
		cmocka_unit_test(lost_fin),
		cmocka_unit_test(undone_by_dsack),
		cmocka_unit_test(undone_by_timestamp),
		cmocka_unit_test(frto_finds_spurious_rto),
		cmocka_unit_test(frto_finds_loss),
		cmocka_unit_test(rate_is_reduced_in_proportion),
		cmocka_unit_test(scoreboard_overflows),
		cmocka_unit_test(full_of_moments),
		cmocka_unit_test(half_full_of_moments),
		cmocka_unit_test(full_of_sacks),
		cmocka_unit_test(full_of_lost),
		cmocka_unit_test(idle_for_long),
		cmocka_unit_test(lost_run_is_old),
		cmocka_unit_test(rack_after_long),
		cmocka_unit_test(answered_after_long),
		cmocka_unit_test(loss_after_much),
		cmocka_unit_test(stray_duplicate),
		cmocka_unit_test(recover_fs),
		cmocka_unit_test(reordering_is_measured),
		cmocka_unit_test(rescue),
		cmocka_unit_test(late_arrival),
		cmocka_unit_test(sack_of_an_old_ack),
		cmocka_unit_test(probe_in_place_of_rto),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
