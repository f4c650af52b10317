/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_tcp_corners.c - what the RFCs ask for where it seldom matters
 *
 * Each test is one rule, in the case in which nothing else would have the same
 * effect: RFC 9293, 5961, 6582, 6675, 6298, 5682, 8985, 9937, 3708, 7323,
 * 3168.
 */
#include <errno.h>

#include "tests/unit/t_tcp.h"
#include "stack/engine/tcp_var.h"

#define USUAL	.mss = 1000, .wnd = 8192
#define WND	.wnd = 8192

/* Octets [@from, @to) go now in segments of 1000. */
static void burst(struct tcpcb *tp, uint64_t ms, uint32_t from, uint32_t to)
{
	struct tcp_seg seg;

	for (; from < to; from += seg.len) {
		assert_int_equal(tcp_output(tp, &t.v, t_at(tp, ms), &seg), 1);
		assert_int_equal(seg.seq, T_ISS + from);
		assert_in_range(seg.len, 1, to - from);
	}
	T_NOTHING(tp, ms);
}

static void ack_at(struct tcpcb *tp, uint64_t ms, uint32_t ack)
{
	T_RX(tp, ms, .flags = TH_ACK, .seq = 1, .ack = ack, WND);
}

/* ACK of @ack, and [@start, @end) has come. */
static void sack_at(struct tcpcb *tp, uint64_t ms, uint32_t ack, uint32_t start, uint32_t end)
{
	T_RX(tp, ms, .flags = TH_ACK, .seq = 1, .ack = ack, WND, .n_sack = 1,
	     .sack = { { start, end } });
}

/* --- RFC 9293, 3.10.7.4 ------------------------------------------------------------- */

/* Fifth: without ACK a segment is dropped, whatever it holds. */
static void no_ack_bit(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL);

	(void)state;
	T_RX(tp, 0, .seq = 1, .len = 10, .ack = 1, WND);
	assert_int_equal(t.rx.events, TCP_EV_DROP);
	T_RX(tp, 0, .flags = TH_FIN | TH_URG, .seq = 1, .up = 3, WND);
	assert_int_equal(t.rx.events, TCP_EV_DROP);
	T_NOTHING(tp, 0);
	T_STATE(tp, "ESTABLISHED");
	tp = t_syn_received((struct t_opts){ USUAL });
	T_RX(tp, 0, .seq = 1, .len = 10, WND);
	T_STATE(tp, "SYN-RECEIVED");
}

/* Sixth to eighth: behind its FIN the peer has nothing to say, and is told so. */
static void after_fin(void **state)
{
	struct tcpcb *tp = t_close_wait((struct t_opts){ USUAL });

	(void)state;
	T_RX(tp, 1, .flags = TH_ACK | TH_URG, .seq = 2, .len = 10, .up = 10, .ack = 1, WND);
	assert_int_equal(t.rx.events, TCP_EV_DROP);
	T_TX(tp, 1, .flags = TH_ACK, .seq = 1, .ack = 2);
	T_NOTHING(tp, 1);
	T_RX(tp, 2, .flags = TH_ACK | TH_FIN, .seq = 2, .ack = 1, WND);
	assert_int_equal(t.rx.events, TCP_EV_DROP);
	T_TX(tp, 2, .flags = TH_ACK, .seq = 1, .ack = 2);
	T_NOTHING(tp, 2);
	T_STATE(tp, "CLOSE-WAIT");
}

/* What ends where the FIN did is no FIN: 2 MSL do not begin anew. */
static void old_data_in_time_wait(void **state)
{
	struct tcpcb *tp = t_time_wait((struct t_opts){ USUAL });

	(void)state;
	T_RX(tp, 30000, .flags = TH_ACK, .seq = 1, .len = 1, .ack = 2, WND);
	T_TX(tp, 30000, .flags = TH_ACK, .seq = 2, .ack = 2);
	T_NOTHING(tp, 59999);
	T_NOTHING(tp, 60000);
	T_STATE(tp, "CLOSED");
}

/* An urgent pointer that lies behind FIN, when FIN has come before the rest */
static void urgent_behind_fin(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL);

	(void)state;
	T_RX(tp, 0, .flags = TH_ACK | TH_FIN, .seq = 11, .len = 10, .ack = 1, WND);
	T_TX(tp, 0, .flags = TH_ACK, .seq = 1, .ack = 1);
	t.events = 0;
	T_RX(tp, 0, .flags = TH_ACK | TH_URG, .seq = 1, .len = 5, .up = 21, .ack = 1, WND);
	T_EVENTS(TCP_EV_DATA);
	T_RX(tp, 0, .flags = TH_ACK | TH_URG, .seq = 6, .len = 5, .up = 15, .ack = 1, WND);
	T_EVENTS(TCP_EV_DATA | TCP_EV_FIN | TCP_EV_URG);
}

/* SYN-RECEIVED answers what is not acceptable, too (RFC 5961, 3.2 and 4.2). */
static void challenge_in_syn_received(void **state)
{
	struct tcpcb *tp = t_syn_received((struct t_opts){ USUAL });

	(void)state;
	T_RX(tp, 1, .flags = TH_RST, .seq = 5);
	T_TX(tp, 1, .flags = TH_ACK, .seq = 1, .ack = 1);
	T_STATE(tp, "SYN-RECEIVED");
	T_RX(tp, 600, .flags = TH_SYN, .seq = 5, WND);
	T_TX(tp, 600, .flags = TH_ACK, .seq = 1, .ack = 1);
	T_STATE(tp, "SYN-RECEIVED");
	/* An ACK of our SYN's own number acknowledges nothing. */
	T_RX(tp, 601, .flags = TH_ACK, .seq = 1, .ack = 0, WND);
	T_TX(tp, 601, .flags = TH_RST, .seq = 0);
	T_STATE(tp, "SYN-RECEIVED");
}

/* SHLD-14: where room was taken away the window stays as it was promised, and what
 * comes within it beyond the room is dropped; the edge does not go back. */
static void edge_never_goes_back(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL, .cfg.rcv_buf = 6000);

	(void)state;
	t.v.rcv_space = 2000;
	T_RX(tp, 0, .flags = TH_ACK, .seq = 1, .len = 1000, .ack = 1, WND);
	T_TX_EXACT(tp, 0, .flags = TH_ACK, .seq = 1, .ack = 1001, .wnd = 5000,
		   .wscale = TCP_WS_NONE);
	T_RX(tp, 0, .flags = TH_ACK, .seq = 1001, .len = 2000, .ack = 1, WND);
	assert_int_equal(t.rx.advance, 1000);
	T_TX_EXACT(tp, 0, .flags = TH_ACK, .seq = 1, .ack = 2001, .wnd = 4000,
		   .wscale = TCP_WS_NONE);
	T_NOTHING(tp, 0);
}

/* Urgent data of any length, also beyond what SEG.UP can express (MUST-31) */
static void much_that_is_urgent(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(.mss = 1000, .wnd = 1500);

	(void)state;
	t_send(tp, 100000);
	tcp_user_urgent(tp, &t.v);
	T_TX_EXACT(tp, 0, .flags = TH_ACK | TH_URG, .seq = 1, .len = 1000, .ack = 1,
		   .wnd = 60000, .up = 65535, .wscale = TCP_WS_NONE);
	T_RX(tp, 1, .flags = TH_ACK, .seq = 1, .ack = 1001, .wnd = 0);
	assert_true(tp->uflags & TU_SND_UP);
}

/* --- windows that shrink, RFC 9293, 3.8.6 -------------------------------------------- */

/* Nothing new goes (SHLD-15); an answered time-out is none, though it was the sixteenth
 * (SHLD-17); and shrunk to nothing, it is probed (MUST-35). */
static void shrunk_to_nothing(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(.mss = 1000, .wnd = 2000);
	uint64_t ms = 1, gap = 200;
	struct tcp_seg seg;
	int n = 0;

	(void)state;
	t_send(tp, 9000);
	burst(tp, 0, 1, 2001);
	T_RX(tp, 1, .flags = TH_ACK, .seq = 1, .ack = 1, .wnd = 0);
	T_NOTHING(tp, 1);
	for (; n < 20; ms = (tcp_poll_at(tp) - T_EPOCH_US + 999) / 1000) {
		if (tcp_output(tp, &t.v, t_at(tp, ms), &seg) <= 0)
			continue;
		n++;
		assert_int_equal(seg.seq, T_ISS + 1);
		assert_int_equal(seg.len, 1);
		T_RX(tp, ms, .flags = TH_ACK, .seq = 1, .ack = 1, .wnd = 0);
		T_NOTHING(tp, ms);
	}
	T_STATE(tp, "ESTABLISHED");
	/* All has arrived, and nothing more is wanted. */
	T_RX(tp, ms, .flags = TH_ACK, .seq = 1, .ack = 2001, .wnd = 0);
	T_NOTHING(tp, ms);
	gap = (tcp_poll_at(tp) - T_EPOCH_US + 999) / 1000;
	T_TX(tp, gap, .flags = TH_ACK, .seq = 2001, .len = 1, .ack = 1);
	T_NOTHING(tp, gap);
}

/* The back-off of probes begins anew with each window that shuts. */
static void persist_begins_anew(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(.mss = 1000, .wnd = 1000);
	uint32_t i, end;

	(void)state;
	t_send(tp, 3000);
	for (i = 0; i < 2; i++) {
		uint64_t ms = 1000 * i;

		end = 1000 * i + 1001;
		burst(tp, ms, end - 1000, end);
		T_RX(tp, ms, .flags = TH_ACK, .seq = 1, .ack = end, .wnd = 0);
		T_NOTHING(tp, ms);
		T_NOTHING(tp, ms + 199);
		T_TX(tp, ms + 200, .flags = TH_ACK, .seq = end, .len = 1, .ack = 1);
		T_NOTHING(tp, ms + 599);
		T_TX(tp, ms + 600, .flags = TH_ACK, .seq = end, .len = 1, .ack = 1);
		T_NOTHING(tp, ms + 601);
		T_RX(tp, ms + 1000, .flags = TH_ACK, .seq = 1, .ack = end, .wnd = 1000);
	}
}

/* --- RTO, RFC 6298 --------------------------------------------------------------------- */

/* Karn: a segment that is sent again by fast retransmit is not timed, either. */
static void karn_in_recovery(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL);
	int i;

	(void)state;
	t_send(tp, 5000);
	burst(tp, 0, 1, 5001);
	for (i = 0; i < 3; i++)
		ack_at(tp, 100, 1);
	T_TX(tp, 100, .flags = TH_ACK, .seq = 1, .len = 1000, .ack = 1);
	ack_at(tp, 150, 5001);
	assert_int_equal(tp->srtt_us, 0);
}

/* A SACK is a measurement: behind a hole there is none other. */
static void sack_is_a_measurement(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL, .sack = true);

	(void)state;
	t_send(tp, 2000);
	burst(tp, 0, 1, 2001);
	ack_at(tp, 0, 1001);
	assert_int_equal(tp->srtt_us, 0);
	/* The second is lost, the third timed. */
	t_send(tp, 1000);
	burst(tp, 5, 2001, 3001);
	sack_at(tp, 13, 1001, 2001, 3001);
	assert_int_equal(tp->srtt_us, 1000);
}

/* What was acknowledged makes the next time-out the first again: F-RTO looks, ssthresh
 * falls, and the scoreboard is still believed (RFC 6675, 5.1); the second one in a row
 * does none of that. */
static void first_rto_again(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL, .sack = true);
	uint32_t ssthresh;

	(void)state;
	t_send(tp, 4000);
	burst(tp, 0, 1, 4001);
	tp->t_loss_us = TCP_NEVER;
	T_TX(tp, 200, .flags = TH_ACK, .seq = 1, .len = 1000, .ack = 1);
	assert_int_equal(tp->frto, FRTO_FIRST);
	ack_at(tp, 210, 4001);
	T_NOTHING(tp, 210);
	assert_int_equal(tp->ca_state, TCP_CA_OPEN);
	tp->snd_cwnd = 4000;

	t_send(tp, 4000);
	burst(tp, 1000, 4001, 8001);
	sack_at(tp, 1001, 4001, 7001, 8001);
	tp->t_loss_us = TCP_NEVER;
	tp->flags &= ~TF_REO;
	t_at(tp, 1000 + tp->rto_us / 1000 + 1);
	assert_int_equal(tp->n_rto, 1);
	assert_int_equal(tp->frto, FRTO_FIRST);
	assert_int_equal(tp->sacked_out, 1000);
	ssthresh = tp->snd_ssthresh;
	assert_int_equal(ssthresh, 2800);
	T_TX(tp, 1500, .flags = TH_ACK, .seq = 4001, .len = 1000, .ack = 1);
	T_NOTHING(tp, 1500);
	t_at(tp, (tcp_poll_at(tp) - T_EPOCH_US + 999) / 1000);
	assert_int_equal(tp->n_rto, 2);
	assert_int_equal(tp->frto, FRTO_NONE);
	assert_int_equal(tp->sacked_out, 0);
	assert_int_equal(tp->snd_ssthresh, ssthresh);
}

/* An echo from the future, which is one of weeks ago, is no measurement. */
static void absurd_echo(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL, .ts = true);

	(void)state;
	t_send(tp, 988);
	burst(tp, 0, 1, 989);
	T_TX(tp, 200, .flags = TH_ACK | TH_PUSH, .seq = 1, .len = 988, .ack = 1);
	T_RX(tp, 201, .flags = TH_ACK, .seq = 1, .ack = 989, WND, .has_ts = true, .tsval = 1001,
	     .tsecr = tcp_tsval(tp, t_us(201)) + 100000);
	assert_int_equal(tp->srtt_us, 0);
	assert_int_equal(tp->rto_us, 400000);
}

/* --- NewReno, RFC 6582 ------------------------------------------------------------------- */

/* 3.2: what our own retransmissions bring back does not begin another recovery. */
static void duplicates_of_our_own(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL);
	int i;

	(void)state;
	t_send(tp, 4000);
	burst(tp, 0, 1, 4001);
	T_TX(tp, 200, .flags = TH_ACK, .seq = 1, .len = 1000, .ack = 1);
	ack_at(tp, 210, 4001);
	assert_int_equal(tp->ca_state, TCP_CA_OPEN);
	t_send(tp, 4000);
	tp->snd_cwnd = 8000;
	burst(tp, 210, 4001, 8001);
	for (i = 0; i < 3; i++)
		ack_at(tp, 211, 4001);
	T_NOTHING(tp, 211);
	assert_int_equal(tp->ca_state, TCP_CA_OPEN);
	/* Beyond `recover' they tell. */
	ack_at(tp, 212, 5001);
	tp->snd_cwnd = 3000;
	for (i = 0; i < 3; i++)
		ack_at(tp, 213, 5001);
	T_TX(tp, 213, .flags = TH_ACK, .seq = 5001, .len = 1000, .ack = 1);
	assert_int_equal(tp->ca_state, TCP_CA_RECOVERY);
}

/* Lost again after RTO: that is congestion once more (4.1). */
static void congestion_in_loss(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL);
	uint32_t cwnd, i;

	(void)state;
	t_send(tp, 8000);
	burst(tp, 0, 1, 8001);
	T_TX(tp, 200, .flags = TH_ACK, .seq = 1, .len = 1000, .ack = 1);
	ack_at(tp, 210, 1001);
	burst(tp, 210, 1001, 3001);
	ack_at(tp, 220, 3001);
	burst(tp, 220, 3001, 6001);
	tp->snd_cwnd = 8000;
	burst(tp, 220, 6001, 8001);
	cwnd = tp->snd_cwnd;
	for (i = 0; i < 3; i++)
		ack_at(tp, 230, 3001);
	assert_true(tp->snd_cwnd < cwnd);
	T_TX(tp, 230, .flags = TH_ACK, .seq = 3001, .len = 1000, .ack = 1);
}

/* Without SACK, the window never in the way: @n segments of 1000 go at 0 ms, @more octets wait. */
static struct tcpcb *newreno(uint32_t n, uint32_t more)
{
	struct tcpcb *tp = T_ESTABLISHED(.mss = 1000, .wnd = 60000, .cfg.cc = TCP_CC_RENO);

	tp->snd_cwnd = n * 1000;
	t_send(tp, n * 1000 + more);
	burst(tp, 0, 1, n * 1000 + 1);
	return tp;
}

/* @n ACKs of @ack; what goes in answer is, first, sent again, and then [@from, @to). */
static void acks(struct tcpcb *tp, uint64_t ms, uint32_t ack, uint32_t n)
{
	while (n--)
		T_RX(tp, ms, .flags = TH_ACK, .seq = 1, .ack = ack, .wnd = 60000);
}

/* 3.2, (3): a partial ACK deflates cwnd by what it acknowledges and adds a segment for
 * the one that the hole was.  So the hole it ends at and one new segment go, and what
 * is in the network stays ssthresh. */
static void partial_ack_deflates(void **state)
{
	struct tcpcb *tp = newreno(10, 10000);

	(void)state;
	/* Of ten the first, fourth and eighth are lost; two go by limited transmit. */
	acks(tp, 10, 1, 1);
	burst(tp, 10, 10001, 11001);
	acks(tp, 10, 1, 1);
	burst(tp, 10, 11001, 12001);
	acks(tp, 10, 1, 1);
	T_TX(tp, 10, .flags = TH_ACK, .seq = 1, .len = 1000, .ack = 1);
	acks(tp, 10, 1, 4);
	T_NOTHING(tp, 10);
	assert_int_equal(tp->snd_ssthresh, 5000);
	acks(tp, 10, 1, 1);
	burst(tp, 10, 12001, 13001);
	acks(tp, 10, 1, 1);
	burst(tp, 10, 13001, 14001);
	assert_int_equal(tcp_pipe(tp), 5000);

	acks(tp, 20, 3001, 1);
	T_TX(tp, 20, .flags = TH_ACK, .seq = 3001, .len = 1000, .ack = 1);
	burst(tp, 20, 14001, 15001);
	assert_int_equal(tcp_pipe(tp), 5000);
	acks(tp, 20, 3001, 2);
	burst(tp, 20, 15001, 17001);
	acks(tp, 30, 7001, 1);
	T_TX(tp, 30, .flags = TH_ACK, .seq = 7001, .len = 1000, .ack = 1);
	burst(tp, 30, 17001, 18001);
	assert_int_equal(tcp_pipe(tp), 5000);
	assert_int_equal(tp->ca_state, TCP_CA_RECOVERY);
	/* The full ACK */
	acks(tp, 40, 17001, 1);
	assert_int_equal(tp->ca_state, TCP_CA_OPEN);
	assert_int_equal(tp->snd_cwnd, 5000);
	burst(tp, 40, 18001, 20001);
	assert_int_equal(tp->n_rto_total, 0);
}

/* 3.2, (3): the first unacknowledged segment goes also where cwnd, not yet down at
 * ssthresh, would let nothing go; and nothing else does. */
static void partial_ack_does_not_ask_cwnd(void **state)
{
	struct tcpcb *tp = newreno(10, 10000);

	(void)state;
	acks(tp, 10, 1, 2);
	burst(tp, 10, 10001, 12001);
	acks(tp, 10, 1, 1);
	T_TX(tp, 10, .flags = TH_ACK, .seq = 1, .len = 1000, .ack = 1);
	T_NOTHING(tp, 10);
	acks(tp, 20, 3001, 1);
	assert_true(tp->snd_cwnd < tcp_pipe(tp) + 1000);
	T_TX(tp, 20, .flags = TH_ACK, .seq = 3001, .len = 1000, .ack = 1);
	T_NOTHING(tp, 20);

	/* With SACK it waits for its turn (RFC 6675, 5, (C)). */
	tp = T_ESTABLISHED(.mss = 1000, .wnd = 60000, .sack = true, .cfg.cc = TCP_CC_RENO);
	tp->snd_cwnd = 20000;
	t_send(tp, 20000);
	burst(tp, 0, 1, 20001);
	sack_at(tp, 5, 1, 3001, 6001);
	T_TX(tp, 5, .flags = TH_ACK, .seq = 1, .len = 1000, .ack = 1);
	T_NOTHING(tp, 5);
	sack_at(tp, 6, 1001, 3001, 6001);
	T_TX(tp, 6, .flags = TH_ACK, .seq = 1001, .len = 1000, .ack = 1);
	sack_at(tp, 6, 2001, 3001, 6001);
	assert_int_equal(tp->lost_out, 1000);
	T_NOTHING(tp, 6);
	sack_at(tp, 6, 2001, 3001, 7001);
	T_TX(tp, 6, .flags = TH_ACK, .seq = 2001, .len = 1000, .ack = 1);
	T_NOTHING(tp, 6);
}

/* What duplicate ACKs said has arrived, the partial ACK does not say again: RFC 9937,
 * 6.2 gives one segment for two of these until what is in flight is down to ssthresh. */
static void partial_ack_counts_nothing_twice(void **state)
{
	struct tcpcb *tp = newreno(20, 10000);

	(void)state;
	acks(tp, 10, 1, 2);
	burst(tp, 10, 20001, 22001);
	acks(tp, 10, 1, 1);
	T_TX(tp, 10, .flags = TH_ACK, .seq = 1, .len = 1000, .ack = 1);
	acks(tp, 10, 1, 5);
	burst(tp, 10, 22001, 23001);
	/* Nine segments, eight of them known: the one that was sent again */
	acks(tp, 20, 9001, 1);
	assert_int_equal(tp->prr_delivered, 7000);
	assert_int_equal(tp->dupacks, 0);
	T_TX(tp, 20, .flags = TH_ACK, .seq = 9001, .len = 1000, .ack = 1);
	T_NOTHING(tp, 20);
	assert_int_equal(tcp_pipe(tp), 14000);
	/* Six of which nobody knew: the ACKs before were lost. */
	acks(tp, 30, 15001, 1);
	assert_int_equal(tp->prr_delivered, 13000);
	T_TX(tp, 30, .flags = TH_ACK, .seq = 15001, .len = 1000, .ack = 1);
	burst(tp, 30, 23001, 25001);
}

/* 3.2, (3): of a recovery's partial ACKs only the first resets the retransmission timer;
 * in the next recovery the first does again; with SACK, and where the user is impatient,
 * each does. */
static void first_partial_ack_resets_the_timer(void **state)
{
	struct tcp_user_opts o = { .user_timeout_ms = 1000 };
	struct tcpcb *tp = newreno(10, 0);
	uint32_t i;

	(void)state;
	acks(tp, 100, 1, 3);
	burst(tp, 100, 1, 1001);
	assert_int_equal(tp->t_rexmt_us, t_us(200));
	for (i = 1; i <= 3; i++) {
		acks(tp, 100 + i * 60, i * 1000 + 1, 1);
		T_TX(tp, 100 + i * 60, .flags = TH_ACK, .seq = i * 1000 + 1, .len = 1000, .ack = 1);
		T_NOTHING(tp, 100 + i * 60);
		assert_int_equal(tp->t_rexmt_us, t_us(360));
	}
	/* The full ACK does. */
	acks(tp, 300, 10001, 1);
	assert_int_equal(tp->ca_state, TCP_CA_OPEN);
	t_send(tp, 5000);
	burst(tp, 300, 10001, 15001);
	assert_int_equal(tp->t_rexmt_us, t_us(500));
	acks(tp, 310, 11001, 1);
	acks(tp, 320, 11001, 3);
	burst(tp, 320, 11001, 12001);
	assert_int_equal(tp->t_rexmt_us, t_us(310) + tp->rto_us);
	acks(tp, 330, 12001, 1);
	assert_int_equal(tp->t_rexmt_us, t_us(330) + tp->rto_us);
	burst(tp, 330, 12001, 13001);
	acks(tp, 340, 13001, 1);
	assert_int_equal(tp->t_rexmt_us, t_us(330) + tp->rto_us);
	burst(tp, 340, 13001, 14001);
	T_NOTHING(tp, 531);
	assert_int_equal(tp->n_rto_total, 0);
	/* And then it is slow start. */
	T_TX(tp, 532, .flags = TH_ACK, .seq = 13001, .len = 1000, .ack = 1);
	T_NOTHING(tp, 532);
	assert_int_equal(tp->n_rto_total, 1);
	assert_int_equal(tp->ca_state, TCP_CA_LOSS);
	assert_int_equal(tp->snd_cwnd, 1000);
	acks(tp, 540, 14001, 1);
	assert_int_equal(tp->t_rexmt_us, t_us(540) + tp->rto_us);

	tp = newreno(10, 0);
	tcp_user_opts(tp, &o, t_us(0));
	acks(tp, 100, 1, 3);
	burst(tp, 100, 1, 1001);
	for (i = 1; i <= 2; i++) {
		acks(tp, 100 + i * 10, i * 1000 + 1, 1);
		burst(tp, 100 + i * 10, i * 1000 + 1, i * 1000 + 1001);
		assert_int_equal(tp->t_rexmt_us, t_us(300 + i * 10));
	}

	tp = T_ESTABLISHED(USUAL, .sack = true);
	t_send(tp, 8000);
	burst(tp, 0, 1, 8001);
	sack_at(tp, 5, 1, 3001, 8001);
	burst(tp, 5, 1, 3001);
	for (i = 1; i <= 2; i++) {
		sack_at(tp, 5 + i, i * 1000 + 1, 3001, 8001);
		assert_int_equal(tp->ca_state, TCP_CA_RECOVERY);
		assert_int_equal(tp->t_rexmt_us, t_us(5 + i) + tp->rto_us);
	}
}

/* --- recovery in vain, RFC 3708 ---------------------------------------------------------------- */

/* Two were sent again: not until both came twice was it in vain. */
static void undone_when_all_came_twice(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL, .sack = true);
	uint32_t cwnd = tp->snd_cwnd;

	(void)state;
	t_send(tp, 8000);
	burst(tp, 0, 1, 8001);
	sack_at(tp, 10, 1, 2001, 8001);
	T_TX(tp, 10, .flags = TH_ACK, .seq = 1, .len = 1000, .ack = 1);
	T_TX(tp, 10, .flags = TH_ACK, .seq = 1001, .len = 1000, .ack = 1);
	T_NOTHING(tp, 10);
	ack_at(tp, 11, 8001);
	assert_true(tp->snd_cwnd < cwnd);
	sack_at(tp, 12, 8001, 1, 1001);
	assert_int_equal(tp->n_undo_total, 0);
	assert_true(tp->snd_cwnd < cwnd);
	sack_at(tp, 13, 8001, 1001, 2001);
	assert_int_equal(tp->n_undo_total, 1);
	assert_int_equal(tp->snd_cwnd, cwnd);
}

/* Nothing is undone without a D-SACK, though nothing was sent again but in a recovery
 * that is over. */
static void not_undone_without_dsack(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL, .sack = true);
	uint32_t cwnd = tp->snd_cwnd;

	(void)state;
	t_send(tp, 5000);
	burst(tp, 0, 1, 5001);
	sack_at(tp, 10, 1, 1001, 5001);
	T_TX(tp, 10, .flags = TH_ACK, .seq = 1, .len = 1000, .ack = 1);
	ack_at(tp, 19, 5001);
	t_send(tp, 1000);
	burst(tp, 20, 5001, 6001);
	ack_at(tp, 30, 6001);
	assert_int_equal(tp->n_undo_total, 0);
	assert_true(tp->snd_cwnd < cwnd);
}

/* --- tail loss probes, RFC 8985, 7 ---------------------------------------------------------------- */

/* A probe of new data, all of which arrives, has repaired nothing. */
static void probe_of_new_data(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL, .sack = true);
	uint32_t cwnd;

	(void)state;
	tp->snd_cwnd = 2000;
	t_send(tp, 3000);
	burst(tp, 0, 1, 2001);
	T_TX(tp, 10, .flags = TH_ACK | TH_PUSH, .seq = 2001, .len = 1000, .ack = 1);
	T_NOTHING(tp, 10);
	ack_at(tp, 12, 3001);
	cwnd = tp->snd_cwnd;
	t_send(tp, 1000);
	burst(tp, 12, 3001, 4001);
	ack_at(tp, 13, 4001);
	assert_true(tp->snd_cwnd >= cwnd);
	assert_int_equal(tp->snd_ssthresh, TCP_CWND_MAX);
}

/* One that sends old data again, after one that did not, is told from it. */
static void probe_after_probe(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL, .sack = true);

	(void)state;
	t_send(tp, 1000);
	burst(tp, 0, 1, 1001);
	T_TX(tp, 50, .flags = TH_ACK | TH_PUSH, .seq = 1, .len = 1000, .ack = 1);
	ack_at(tp, 51, 1001);
	sack_at(tp, 51, 1001, 1, 1001);
	assert_int_equal(tp->snd_ssthresh, TCP_CWND_MAX);
	tp->snd_cwnd = 2000;
	t_send(tp, 3000);
	burst(tp, 60, 1001, 3001);
	T_TX(tp, 171, .flags = TH_ACK | TH_PUSH, .seq = 3001, .len = 1000, .ack = 1);
	ack_at(tp, 172, 4001);
	t_send(tp, 1000);
	burst(tp, 172, 4001, 5001);
	ack_at(tp, 173, 5001);
	assert_int_equal(tp->snd_ssthresh, TCP_CWND_MAX);

	/* A D-SACK says as much as a duplicate ACK, if the ACK before was lost. */
	tp = T_ESTABLISHED(USUAL, .sack = true);
	t_send(tp, 1000);
	burst(tp, 0, 1, 1001);
	T_TX(tp, 50, .flags = TH_ACK | TH_PUSH, .seq = 1, .len = 1000, .ack = 1);
	sack_at(tp, 51, 1001, 1, 1001);
	t_send(tp, 1000);
	burst(tp, 51, 1001, 2001);
	ack_at(tp, 52, 2001);
	assert_int_equal(tp->snd_ssthresh, TCP_CWND_MAX);
}

/* --- RACK, RFC 8985, 6 -------------------------------------------------------------------------------- */

/* A recovery whose D-SACK says that it was needless; twice, but that is one round
 * trip.  Return: its next octet */
static uint32_t needless(struct tcpcb *tp, uint64_t ms, uint32_t from)
{
	struct tcp_seg seg;

	t_send(tp, 6000);
	tp->snd_cwnd = 8000;
	burst(tp, ms, from, from + 6000);
	sack_at(tp, ms + 10, from, from + 1000, from + 5000);
	while (tp->ca_state == TCP_CA_OPEN)
		t_at(tp, (tcp_poll_at(tp) - T_EPOCH_US + 999) / 1000);
	while (tcp_output(tp, &t.v, tp->sent_us + 1, &seg) > 0)
		;
	sack_at(tp, ms + 20, from + 5000, from, from + 1000);
	sack_at(tp, ms + 20, from + 5000, from + 1000, from + 2000);
	ack_at(tp, ms + 21, from + 6000);
	return from + 6000;
}

/* 6.2, step 4: the window grows by a quarter of min_RTT with each round trip that has
 * D-SACKs, however many, and is small again after 16 recoveries, of which the last
 * of those was one. */
static void reordering_window_grows(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL, .sack = true);
	uint32_t from = 1, i;

	(void)state;
	for (i = 1; i <= 3; i++) {
		from = needless(tp, 1000 * i, from);
		assert_int_equal(tp->reo_mult, i);
	}
	for (i = 1; i < 16; i++) {
		assert_int_equal(tp->reo_mult, 3);
		t_send(tp, 5000);
		tp->snd_cwnd = 8000;
		burst(tp, 10000 + 1000 * i, from, from + 5000);
		sack_at(tp, 10010 + 1000 * i, from, from + 1000, from + 5000);
		while (tp->ca_state == TCP_CA_OPEN)
			t_at(tp, (tcp_poll_at(tp) - T_EPOCH_US + 999) / 1000);
		T_TX(tp, 10050 + 1000 * i, .flags = TH_ACK, .seq = from, .len = 1000, .ack = 1);
		from += 5000;
		ack_at(tp, 10051 + 1000 * i, from);
		assert_int_equal(tp->ca_state, TCP_CA_OPEN);
	}
	assert_int_equal(tp->reo_mult, 0);
}

/* 6.2, step 2: without timestamps, what is acknowledged sooner than any round trip
 * after it was sent again was not that copy. */
static void too_soon_for_the_copy(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL, .sack = true);

	(void)state;
	tp->min_rtt_us = 50000;
	tp->min_rtt_s = (uint32_t)(t_us(0) / 1000000);
	tp->rec_flags |= RF_MIN_RTT;
	t_send(tp, 6000);
	burst(tp, 0, 1, 6001);
	sack_at(tp, 60, 1, 1001, 5001);
	T_TX(tp, 60, .flags = TH_ACK, .seq = 1, .len = 1000, .ack = 1);
	assert_int_equal(tp->rack_rtt_us, 60000);
	sack_at(tp, 61, 1001, 1001, 5001);
	assert_int_equal(tp->rack_rtt_us, 60000);
	/* And what was sent before the latest does not make RACK go back. */
	assert_int_equal(tp->rack_end, T_ISS + 5001);
}

/* D-SACKs for what was never sent, or far in the past, are none (RFC 2883, 4). */
static void bad_dsacks(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL, .sack = true);
	uint32_t mult;

	(void)state;
	t_send(tp, 4000);
	burst(tp, 0, 1, 4001);
	ack_at(tp, 1, 2001);
	mult = tp->reo_mult;
	sack_at(tp, 2, 2001, 1001, 9001);
	sack_at(tp, 2, 2001, 0u - 9000, 1);
	sack_at(tp, 2, 2001, 1001, 1001);
	T_RX(tp, 2, .flags = TH_ACK, .seq = 1, .ack = 2001, WND, .n_sack = 2,
	     .sack = { { 5001, 6001 }, { 4501, 7001 } });
	assert_int_equal(tp->reo_mult, mult);
	sack_at(tp, 2, 2001, 1001, 2001);
	assert_int_equal(tp->reo_mult, mult + 1);
}

/* --- ECN, RFC 3168 ---------------------------------------------------------------------- */

/* A connection that both sides want ECN for. */
static struct tcpcb *with_ecn(bool active)
{
	struct t_opts o = { .mss = 1000, .wnd = 60000, .cfg.ecn = TCP_ECN_ACTIVE };
	struct tcpcb *tp = t_init(o);
	struct tcp_seg seg;

	if (active) {
		assert_int_equal(tcp_user_open_active(tp, T_ISS, t_us(0)), 0);
		assert_int_equal(tcp_output(tp, &t.v, t_us(0), &seg), 1);
		t_rx(tp, 0, t_peer_syn(o, TH_SYN | TH_ACK | TCP_TH_ECE));
	} else {
		assert_int_equal(tcp_user_open_passive(tp, T_ISS, t_us(0)), 0);
		t_rx(tp, 0, t_peer_syn(o, TH_SYN | TCP_TH_ECE | TCP_TH_CWR));
	}
	assert_int_equal(tcp_output(tp, &t.v, t_us(0), &seg), 1);
	assert_true(tp->rec_flags & RF_ECN);
	return tp;
}

/* 6.1.2: an ACK without ECE reduces nothing. */
static void ece_must_be_said(void **state)
{
	struct tcpcb *tp = with_ecn(true);
	uint32_t cwnd = tp->snd_cwnd;

	(void)state;
	t_send(tp, 3000);
	burst(tp, 1, 1, 3001);
	T_RX(tp, 2, .flags = TH_ACK, .seq = 1, .ack = 1001, .wnd = 60000);
	assert_true(tp->snd_cwnd >= cwnd);
	T_RX(tp, 3, .flags = TH_ACK | TCP_TH_ECE, .seq = 1, .ack = 2001, .wnd = 60000);
	assert_true(tp->snd_cwnd < cwnd);
}

/* 6.1.1: who asks again, and for ECN as before, has it. */
static void syn_asks_again(void **state)
{
	struct tcpcb *tp = with_ecn(false);
	struct t_opts o = { .mss = 1000, .wnd = 60000 };
	struct tcp_seg seg;

	(void)state;
	t_rx(tp, 1, t_peer_syn(o, TH_SYN | TCP_TH_ECE | TCP_TH_CWR));
	assert_int_equal(tcp_output(tp, &t.v, t_us(1), &seg), 1);
	assert_int_equal(seg.flags, TH_SYN | TH_ACK | TCP_TH_ECE);
}

/* --- F-RTO and recovery's pace ------------------------------------------------------------ */

/* RFC 5682, 2.1, 3a: a duplicate ACK after the new data says that RTO was right. */
static void frto_needs_more_than_a_duplicate(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL);

	(void)state;
	tp->snd_cwnd = 4000;
	t_send(tp, 8000);
	burst(tp, 0, 1, 4001);
	T_TX(tp, 200, .flags = TH_ACK, .seq = 1, .len = 1000, .ack = 1);
	ack_at(tp, 210, 1001);
	burst(tp, 210, 4001, 6001);
	ack_at(tp, 211, 1001);
	assert_int_equal(tp->frto, FRTO_NONE);
	T_TX(tp, 211, .flags = TH_ACK, .seq = 1001, .len = 1000, .ack = 1);
	ack_at(tp, 212, 3001);
	assert_int_equal(tp->n_undo_total, 0);
	/* 2a: and so does one before */
	tp = T_ESTABLISHED(USUAL);
	tp->snd_cwnd = 4000;
	t_send(tp, 8000);
	burst(tp, 0, 1, 4001);
	T_TX(tp, 200, .flags = TH_ACK, .seq = 1, .len = 1000, .ack = 1);
	ack_at(tp, 210, 1);
	assert_int_equal(tp->frto, FRTO_NONE);
}

/* RFC 5682, 2.1: in fast recovery RTO is no question. */
static void no_frto_in_recovery(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL);
	int i;

	(void)state;
	t_send(tp, 5000);
	burst(tp, 0, 1, 5001);
	for (i = 0; i < 3; i++)
		ack_at(tp, 10, 1);
	T_TX(tp, 10, .flags = TH_ACK, .seq = 1, .len = 1000, .ack = 1);
	T_NOTHING(tp, 10);
	T_TX(tp, 300, .flags = TH_ACK, .seq = 1, .len = 1000, .ack = 1);
	assert_int_equal(tp->ca_state, TCP_CA_LOSS);
	assert_int_equal(tp->frto, FRTO_NONE);
}

/* RFC 9937, 6.2: below ssthresh an ACK that makes progress and finds nothing lost lets
 * one segment more go than has arrived. */
static void safe_ack(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(.mss = 1000, .wnd = 60000, .sack = true);
	uint32_t room;

	(void)state;
	tp->snd_cwnd = 10000;
	t_send(tp, 10000);
	burst(tp, 0, 1, 10001);
	/* Three of ten have arrived, 1 to 3 are lost, then 5 to 6. */
	T_RX(tp, 10, .flags = TH_ACK, .seq = 1, .ack = 1, .wnd = 60000, .n_sack = 1,
	     .sack = { { 7001, 10001 } });
	assert_int_equal(tp->ca_state, TCP_CA_RECOVERY);
	assert_int_equal(tp->lost_out, 7000);
	T_TX(tp, 10, .flags = TH_ACK, .seq = 1, .len = 1000, .ack = 1);
	while (tcp_output(tp, &t.v, t_us(10), &(struct tcp_seg){ 0 }) > 0)
		;
	room = tp->snd_cwnd - tcp_pipe(tp);
	assert_true(room < 1000);
	T_RX(tp, 20, .flags = TH_ACK, .seq = 1, .ack = 1001, .wnd = 60000, .n_sack = 1,
	     .sack = { { 7001, 10001 } });
	assert_true(tcp_pipe(tp) < tp->snd_ssthresh);
	assert_int_equal(tp->snd_cwnd - tcp_pipe(tp), 2000);
}

/* RFC 8985, 6.2, step 4: a quarter of min_RTT once reordering was seen, more with
 * D-SACKs, but never more than SRTT. */
static void reordering_window_is_a_quarter(void **state)
{
	static const struct { uint8_t mult; uint32_t ms; } c[] = {
		{ 0, 10 }, { 1, 20 }, { 2, 30 }, { 3, 40 }, { 9, 40 },
	};
	struct tcpcb *tp;
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		tp = t_syn_sent((struct t_opts){ USUAL, .sack = true });
		T_RX(tp, 40, .flags = TH_SYN | TH_ACK, .ack = 1, WND, .mss = 1000,
		     .sack_permitted = true, .wscale = TCP_WS_NONE);
		T_TX(tp, 40, .flags = TH_ACK, .seq = 1, .ack = 1);
		tp->rec_flags |= RF_REORDERING;
		tp->reo_mult = c[i].mult;
		t_send(tp, 6000);
		burst(tp, 100, 1, 6001);
		sack_at(tp, 140, 1, 1001, 5001);
		T_NOTHING(tp, 140 + c[i].ms - 1);
		T_TX(tp, 140 + c[i].ms, .flags = TH_ACK, .seq = 1, .len = 1000, .ack = 1);
	}
}

/* A challenge ACK asks whether the peer is still there; others do not. */
static void challenge_asks(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL);
	struct tcp_seg seg;

	(void)state;
	T_RX(tp, 0, .flags = TH_SYN, .seq = 500, WND);
	assert_int_equal(tcp_output(tp, &t.v, t_us(0), &seg), 1);
	assert_true(seg.asks);
	T_RX(tp, 1, .flags = TH_ACK, .seq = 1, .len = 1, .ack = 1, WND);
	assert_int_equal(tcp_output(tp, &t.v, t_us(1), &seg), 1);
	assert_false(seg.asks);
}

/* --- what else is told -------------------------------------------------------------------------------- */

/* A connection whose SYN somebody else answered with a cookie (RFC 4987, 3.6): all that
 * the SYN said counts, and the ACK is no measurement. */
static void answered_by_another(void **state)
{
	struct tcpcb *tp = t_init((struct t_opts){ .mss = 1000, .sack = true, .ts = true, .scale = 3 });
	struct tcp_seg syn = t_peer_syn((struct t_opts){ .mss = 700, .wnd = 5000, .sack = true,
							 .ts = true, .scale = 3 }, TH_SYN);

	(void)state;
	syn.seq += T_IRS;
	assert_int_equal(tcp_user_open_answered(tp, &t.v, T_ISS, &syn, t_us(0)), 0);
	T_STATE(tp, "SYN-RECEIVED");
	T_NOTHING(tp, 0);
	T_RX(tp, 1, .flags = TH_ACK, .seq = 1, .ack = 1, .wnd = 1000);
	T_STATE(tp, "ESTABLISHED");
	assert_int_equal(tp->snd_mss, 700);
	assert_int_equal(tp->snd_wnd, 8000);
	assert_true((tp->flags & (TF_SACK | TF_TS)) == (TF_SACK | TF_TS));
	assert_false(tp->flags & TF_SRTT);
	assert_int_equal(tcp_user_open_answered(tp, &t.v, T_ISS, &syn, t_us(0)), -EISCONN);
}

/* When nobody is left nothing waits for him: cork is gone, keep-alive off, and the time
 * without progress begins now. */
static void nobody_left(void **state)
{
	struct tcp_user_opts o = { .cork = true, .keep_idle_us = 1000000, .keep_intvl_us = 1000000,
				   .keep_count = 1, .user_timeout_ms = 30000,
				   .fin_wait_2_us = 1000000000 };
	struct tcpcb *tp = T_ESTABLISHED(USUAL);

	(void)state;
	tcp_user_opts(tp, &o, t_us(0));
	t_send(tp, 10);
	tcp_disown(tp, 0, t_us(0));
	T_TX(tp, 0, .flags = TH_ACK | TH_PUSH, .seq = 1, .len = 10, .ack = 1);
	ack_at(tp, 1, 11);
	T_NOTHING(tp, 100000);
	T_STATE(tp, "ESTABLISHED");
	tcp_user_close(tp, t_us(100000));
	t.v.closed = true;
	T_TX(tp, 100000, .flags = TH_ACK | TH_FIN, .seq = 11, .ack = 1);
	ack_at(tp, 100000, 12);
	T_NOTHING(tp, 100000);
	T_NOTHING(tp, 159999);
	T_NOTHING(tp, 160000);
	T_STATE(tp, "CLOSED");

	/* What was outstanding for long has the same time again. */
	o.user_timeout_ms = 30000;
	tp = T_ESTABLISHED(USUAL);
	tcp_user_opts(tp, &o, t_us(0));
	t_send(tp, 1000);
	burst(tp, 0, 1, 1001);
	while (tp->n_rto < 6)
		t_at(tp, (tcp_poll_at(tp) - T_EPOCH_US + 999) / 1000);
	tcp_disown(tp, 0, t_us(20000));
	while (tp->state != TCPS_CLOSED && tcp_poll_at(tp) < t_us(49990))
		t_at(tp, (tcp_poll_at(tp) - T_EPOCH_US + 999) / 1000);
	T_STATE(tp, "ESTABLISHED");
	t_at(tp, 50001);
	T_STATE(tp, "CLOSED");
}

/* SACK blocks fill what data leaves of the segment, to the octet. */
static void sack_beside_data(void **state)
{
	static const struct { uint32_t len, blocks; } c[] = {
		{ 1000, 0 }, { 989, 0 }, { 988, 1 }, { 981, 1 }, { 980, 2 }, { 972, 3 }, { 964, 4 },
		{ 10, 4 },
	};
	struct tcp_seg seg;
	unsigned int i, j;

	(void)state;
	for (i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		struct tcpcb *tp = T_ESTABLISHED(USUAL, .sack = true);

		for (j = 1; j <= 5; j++) {
			T_RX(tp, 0, .flags = TH_ACK, .seq = 200 * j, .len = 100, .ack = 1, WND);
			assert_int_equal(tcp_output(tp, &t.v, t_us(0), &seg), 1);
			assert_int_equal(seg.n_sack, j < 4 ? j : 4);
		}
		t_send(tp, c[i].len);
		assert_int_equal(tcp_output(tp, &t.v, t_us(0), &seg), 1);
		assert_int_equal(seg.len, c[i].len);
		assert_int_equal(seg.n_sack, c[i].blocks);
	}
}

/* A new owner says at once where it stands, and sends all again. */
static void heir_speaks(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL);

	(void)state;
	tcp_inherit(tp, t_us(1));
	T_TX(tp, 1, .flags = TH_ACK, .seq = 1, .ack = 1);
	T_NOTHING(tp, 1);
}

/* RFC 7323, 3.2: RST carries a timestamp where the others do, if it has ACK. */
static void rst_has_a_timestamp(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL, .ts = true);
	struct tcp_seg seg;

	(void)state;
	tcp_user_abort(tp, t_us(7));
	assert_int_equal(tcp_output(tp, &t.v, t_us(7), &seg), 1);
	assert_int_equal(seg.flags, TH_RST | TH_ACK);
	assert_true(seg.has_ts);
	assert_int_equal(seg.tsval, tcp_tsval(tp, t_us(7)));
	assert_int_equal(seg.tsecr, t.tsval);
}

/* --- what is due when something else comes ------------------------------------------------ */

/* RFC 8985, 7.2: an ACK of something new begins the probe's time anew, also if it comes
 * just when the probe is due. */
static void stale_tail_probe(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL, .sack = true);

	(void)state;
	t_send(tp, 2000);
	burst(tp, 0, 1, 2001);
	ack_at(tp, 30, 2001);
	assert_int_equal(tp->snd_una, tp->snd_nxt);
	t_send(tp, 1000);
	T_TX(tp, 31, .flags = TH_ACK | TH_PUSH, .seq = 2001, .len = 1000, .ack = 1);
	T_NOTHING(tp, 31);
	assert_int_equal(tp->n_rexmt_total, 0);
	assert_true(tp->t_loss_us > t_us(31));
}

/* RFC 8985, 7.2: PTO is two round trips. */
static void probe_after_two_round_trips(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL, .sack = true);

	(void)state;
	tp->srtt_us = 40000;
	t_send(tp, 3000);
	burst(tp, 0, 1, 3001);
	T_NOTHING(tp, 79);
	T_TX(tp, 80, .flags = TH_ACK | TH_PUSH, .seq = 2001, .len = 1000, .ack = 1);
}

/* RFC 3708: what the recovery before had sent again is its own matter. */
static void undone_by_the_second(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL, .sack = true);

	(void)state;
	tp->snd_cwnd = 8000;
	t_send(tp, 8000);
	burst(tp, 0, 1, 8001);
	/* Two are lost, and sent again. */
	sack_at(tp, 1, 1, 2001, 8001);
	burst(tp, 1, 1, 2001);
	assert_int_equal(tp->undo_octets, 2000);
	ack_at(tp, 20, 8001);
	assert_int_equal(tp->ca_state, TCP_CA_OPEN);
	tp->snd_cwnd = 8000;
	t_send(tp, 8000);
	burst(tp, 30, 8001, 16001);
	/* One is late. */
	sack_at(tp, 31, 8001, 9001, 16001);
	burst(tp, 31, 8001, 9001);
	assert_true(tp->snd_cwnd < 8000);
	T_RX(tp, 50, .flags = TH_ACK, .seq = 1, .ack = 16001, WND);
	T_RX(tp, 51, .flags = TH_ACK, .seq = 1, .ack = 16001, WND, .n_sack = 1,
	     .sack = { { 8001, 9001 } });
	assert_int_equal(tp->n_undo_total, 1);
	assert_int_equal(tp->snd_cwnd, 8000);
}

/* RFC 3522: also if the ACK that tells is the one that ends recovery. */
static void undone_by_the_last_ack(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL, .sack = true, .ts = true, .cfg.cc = TCP_CC_RENO);
	uint32_t early;

	(void)state;
	tp->snd_cwnd = 4 * 988;
	t_send(tp, 4 * 988);
	burst(tp, 0, 1, 1 + 4 * 988);
	early = tcp_tsval(tp, t_us(0));
	T_RX(tp, 20, .flags = TH_ACK, .seq = 1, .ack = 1, WND, .n_sack = 1,
	     .sack = { { 989, 1 + 4 * 988 } }, .has_ts = true, .tsval = 1001, .tsecr = early);
	T_TX(tp, 20, .flags = TH_ACK, .seq = 1, .len = 988, .ack = 1);
	assert_int_equal(tp->ca_state, TCP_CA_RECOVERY);
	T_RX(tp, 21, .flags = TH_ACK, .seq = 1, .ack = 1 + 4 * 988, WND, .has_ts = true,
	     .tsval = 1002, .tsecr = early);
	assert_int_equal(tp->ca_state, TCP_CA_OPEN);
	assert_int_equal(tp->n_undo_total, 1);
	assert_true(tp->snd_cwnd >= 4 * 988);
	assert_int_equal(tp->snd_ssthresh, TCP_CWND_MAX);
}

/* RFC 6582, 4.1: an ACK that passes much makes duplicates tell nothing, until one that does
 * not has come. */
static void leap_is_forgotten(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL);
	int i;

	(void)state;
	tp->snd_cwnd = 8000;
	t_send(tp, 8000);
	burst(tp, 0, 1, 8001);
	T_TX(tp, 200, .flags = TH_ACK, .seq = 1, .len = 1000, .ack = 1);
	ack_at(tp, 210, 1 + 4001);
	burst(tp, 210, 4002, 6002);
	assert_true(tp->rec_flags & RF_LEAP);
	ack_at(tp, 220, 5002);
	tp->snd_cwnd = 5000;
	burst(tp, 220, 6002, 8001);
	for (i = 0; i < 3; i++)
		ack_at(tp, 221, 5002);
	T_TX(tp, 221, .flags = TH_ACK, .seq = 5002, .len = 1000, .ack = 1);
}

/* Karn: what is acknowledged together with what RTO sent again had waited for that. */
static void no_measurement_over_rto(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL, .sack = true);
	uint32_t srtt;

	(void)state;
	t_send(tp, 2000);
	burst(tp, 0, 1, 2001);
	ack_at(tp, 5, 1001);
	srtt = tp->srtt_us;
	t_send(tp, 1000);
	burst(tp, 5, 2001, 3001);
	assert_true(tp->flags & TF_RTT);
	tp->t_loss_us = TCP_NEVER;
	t_at(tp, 400);
	assert_int_equal(tp->n_rto, 1);
	T_TX(tp, 400, .flags = TH_ACK, .seq = 1001, .len = 1000, .ack = 1);
	ack_at(tp, 405, 3001);
	assert_int_equal(tp->srtt_us, srtt);
}

/* --- what comes in -------------------------------------------------------------------------- */

/* RFC 9293, 3.10.7.4, first: text at the right edge is not acceptable, nor is its ACK. */
static void edge_is_no_place_for_text(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL);

	(void)state;
	t_send(tp, 1000);
	burst(tp, 0, 1, 1001);
	T_RX(tp, 1, .flags = TH_ACK, .seq = 60001, .len = 10, .ack = 1001, WND);
	assert_int_equal(tp->snd_una, T_ISS + 1);
	T_TX(tp, 1, .flags = TH_ACK, .seq = 1001, .ack = 1);
	T_RX(tp, 2, .flags = TH_ACK, .seq = 60000, .len = 10, .ack = 1001, WND);
	assert_int_equal(tp->snd_una, T_ISS + 1001);
}

/* RFC 7323, 4.3: who leaves the timestamp out has not said that it is 0. */
static void no_timestamp_no_change(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL, .ts = true);
	struct tcp_seg seg = { .flags = TH_ACK, .seq = T_IRS + 1, .ack = T_ISS + 1, .wnd = 8192,
			       .len = 10, .wscale = TCP_WS_NONE };

	(void)state;
	assert_int_equal(tp->ts_recent, 1000);
	tp->ts_recent = 0xfffffff0;
	tcp_input(tp, &t.v, &seg, t_us(1), &t.rx);
	assert_int_equal(t.rx.advance, 10);
	assert_int_equal(tp->ts_recent, 0xfffffff0);
}

/* RFC 9293, 3.8.5: urgent mode ends when all that was urgent is acknowledged; then Nagle
 * holds short segments again. */
static void urgent_is_over(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL);

	(void)state;
	t_send(tp, 10);
	tcp_user_urgent(tp, &t.v);
	T_TX(tp, 0, .flags = TH_ACK | TH_PUSH | TH_URG, .seq = 1, .len = 10, .ack = 1, .up = 10);
	t_send(tp, 10);
	T_TX(tp, 0, .flags = TH_ACK | TH_PUSH, .seq = 11, .len = 10, .ack = 1);
	ack_at(tp, 1, 11);
	t_send(tp, 10);
	T_NOTHING(tp, 1);
	ack_at(tp, 2, 21);
	T_TX(tp, 2, .flags = TH_ACK | TH_PUSH, .seq = 21, .len = 10, .ack = 1);

	/* SEG.UP of 0 is taken for 1. */
	T_RX(tp, 3, .flags = TH_ACK | TH_URG, .seq = 1, .ack = 21, WND, .up = 0);
	assert_int_equal(tp->rcv_up, T_IRS + 2);
}

/* A new owner sets each deadline that the old one may have put off for ever. */
static void reset_deadlines(void **state)
{
	const uint64_t late = t_us(1000000000);
	struct tcpcb *tp = T_ESTABLISHED(USUAL, .cfg.rto_min_us = 1000000, .cfg.syn_retries = 200);

	(void)state;
	t_send(tp, 1000);
	burst(tp, 0, 1, 1001);
	tp->t_rexmt_us = late;
	tcp_disown(tp, 0, t_us(10));
	assert_in_range(tp->t_rexmt_us, t_us(10), t_us(10) + 3000000);
	assert_int_equal(tp->rto_min_us, TCP_RTO_MIN_US);
	assert_int_equal(tp->syn_retries, TCP_SYN_RETRIES);
	/* The persist timer */
	T_RX(tp, 11, .flags = TH_ACK, .seq = 1, .ack = 1001, .wnd = 0);
	t_send(tp, 1000);
	T_NOTHING(tp, 11);
	assert_true(tp->flags & TF_PERSIST);
	tp->t_rexmt_us = late;
	tcp_disown(tp, 0, t_us(20));
	assert_in_range(tp->t_rexmt_us, t_us(20), t_us(20) + 3000000);

	tp = t_fin_wait_2((struct t_opts){ USUAL });
	tp->t_2msl_us = late;
	tcp_disown(tp, 0, t_us(10));
	assert_int_equal(tp->t_2msl_us, t_us(10) + TCP_FIN_WAIT_2_US);
	tp = t_time_wait((struct t_opts){ USUAL });
	tp->t_2msl_us = late;
	tcp_disown(tp, 0, t_us(10));
	assert_int_equal(tp->t_2msl_us, t_us(10) + 2 * TCP_MSL_US);
	/* Nothing begins that was over. */
	tp = T_ESTABLISHED(USUAL);
	t_send(tp, 1000);
	burst(tp, 0, 1, 1001);
	tcp_user_abort(tp, t_us(20));
	tcp_disown(tp, 0, t_us(20));
	assert_true(tcp_poll_at(tp) == TCP_NEVER);
}

/* RFC 2018, 3: a block is all that is contiguous; what comes twice is taken once; and where
 * there is no room for another range there is for more of one. */
static void ranges_that_touch(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(.mss = 1000, .wnd = 60000, .sack = true);
	struct tcp_seg seg;
	uint32_t i;

	(void)state;
	for (i = TCP_N_OOO; i > 0; i--) {
		T_RX(tp, 0, .flags = TH_ACK, .seq = 1 + i * 1000, .len = 100, .ack = 1, .wnd = 60000);
		assert_int_equal(tcp_output(tp, &t.v, t_us(0), &seg), 1);
	}
	assert_int_equal(tp->n_ooo, TCP_N_OOO);
	T_RX(tp, 1, .flags = TH_ACK, .seq = 501, .len = 100, .ack = 1, .wnd = 60000);
	assert_int_equal(t.rx.data_len, 0);
	assert_int_equal(tcp_output(tp, &t.v, t_us(1), &seg), 1);
	for (i = 0; i < 2; i++) {
		T_RX(tp, 2, .flags = TH_ACK, .seq = i ? 4901 : 5101, .len = 100, .ack = 1, .wnd = 60000);
		assert_int_equal(t.rx.data_len, 100);
		assert_int_equal(tcp_output(tp, &t.v, t_us(2), &seg), 1);
		assert_int_equal(seg.sack[0].start, T_IRS + (i ? 4901 : 5001));
		assert_int_equal(seg.sack[0].end, T_IRS + 5201);
		assert_int_equal(tp->n_ooo, TCP_N_OOO);
	}
	/* A part of the latest again, and something new behind it */
	T_RX(tp, 3, .flags = TH_ACK, .seq = 5151, .len = 100, .ack = 1, .wnd = 60000);
	assert_int_equal(t.rx.data_seq, T_IRS + 5201);
	assert_int_equal(t.rx.data_off, 50);
	assert_int_equal(t.rx.data_len, 50);
	assert_int_equal(tcp_output(tp, &t.v, t_us(3), &seg), 1);
	assert_int_equal(seg.sack[0].start, T_IRS + 5151);
	assert_int_equal(seg.sack[0].end, T_IRS + 5201);
	assert_int_equal(seg.sack[1].end, T_IRS + 5251);
}

/* RFC 9293, MUST-40: an ACK is not delayed by what comes meanwhile. */
static void delayed_ack_is_not_delayed_again(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL);

	(void)state;
	t_no_quickack(tp, 1000, 8192);
	T_RX(tp, 100, .flags = TH_ACK, .seq = 16001, .len = 10, .ack = 1, WND);
	T_NOTHING(tp, 100);
	T_RX(tp, 130, .flags = TH_ACK, .seq = 16011, .len = 10, .ack = 1, WND);
	T_NOTHING(tp, 139);
	T_TX(tp, 140, .flags = TH_ACK, .seq = 1, .ack = 16021);
}

/* RFC 8985, 6.2, step 2: min_RTT is the least of some minutes, not the last. */
static void min_rtt_is_kept(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL, .sack = true);
	uint32_t i, from;
	static const struct { uint32_t at_s, rtt_ms, min_us; } table[] = {
		{ 1, 20, 20000 }, { 100, 50, 20000 }, { 200, 30, 20000 }, { 400, 40, 40000 },
		{ 500, 10, 10000 },
	};

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		from = 1 + i * 1000;
		t_send(tp, 1000);
		burst(tp, table[i].at_s * 1000, from, from + 1000);
		ack_at(tp, table[i].at_s * 1000 + table[i].rtt_ms, from + 1000);
		assert_int_equal(tp->min_rtt_us, table[i].min_us);
		/* HyStart++ hears of each (RFC 9406, 4.2): each was a round. */
		assert_int_equal(tp->hs_last_min_us, table[i].rtt_ms * 1000);
	}
}

/* What a configuration says is kept within what makes sense. */
static void odd_configuration(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL, .ts = true, .cfg.eff_mss_max = 1);
	struct tcp_seg seg;

	(void)state;
	assert_int_equal(tcp_eff_mss(tp), TCP_MSS_MIN - 12);
	tp = t_init((struct t_opts){ USUAL, .cfg.mss_default = 1 });
	assert_int_equal(tcp_path_mss(tp), TCP_MSS_MIN);
	tp = T_ESTABLISHED(USUAL, .ts = true, .cfg.ts_offset = 12345);
	t_send(tp, 10);
	assert_int_equal(tcp_output(tp, &t.v, t_us(7), &seg), 1);
	assert_int_equal(seg.tsval, t_us(7) / 1000 + 12345);
	/* SEND before the connection is there is queued. */
	tp = t_syn_sent((struct t_opts){ USUAL });
	assert_int_equal(tcp_user_send(tp, &t.v, t_us(1)), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_ack_bit),
		cmocka_unit_test(after_fin),
		cmocka_unit_test(old_data_in_time_wait),
		cmocka_unit_test(urgent_behind_fin),
		cmocka_unit_test(challenge_in_syn_received),
		cmocka_unit_test(edge_never_goes_back),
		cmocka_unit_test(much_that_is_urgent),
		cmocka_unit_test(shrunk_to_nothing),
		cmocka_unit_test(persist_begins_anew),
		cmocka_unit_test(karn_in_recovery),
		cmocka_unit_test(sack_is_a_measurement),
		cmocka_unit_test(first_rto_again),
		cmocka_unit_test(absurd_echo),
		cmocka_unit_test(duplicates_of_our_own),
		cmocka_unit_test(congestion_in_loss),
		cmocka_unit_test(partial_ack_deflates),
		cmocka_unit_test(partial_ack_does_not_ask_cwnd),
		cmocka_unit_test(partial_ack_counts_nothing_twice),
		cmocka_unit_test(first_partial_ack_resets_the_timer),
		cmocka_unit_test(undone_when_all_came_twice),
		cmocka_unit_test(not_undone_without_dsack),
		cmocka_unit_test(probe_of_new_data),
		cmocka_unit_test(probe_after_probe),
		cmocka_unit_test(reordering_window_grows),
		cmocka_unit_test(too_soon_for_the_copy),
		cmocka_unit_test(bad_dsacks),
		cmocka_unit_test(ece_must_be_said),
		cmocka_unit_test(syn_asks_again),
		cmocka_unit_test(frto_needs_more_than_a_duplicate),
		cmocka_unit_test(no_frto_in_recovery),
		cmocka_unit_test(safe_ack),
		cmocka_unit_test(reordering_window_is_a_quarter),
		cmocka_unit_test(challenge_asks),
		cmocka_unit_test(answered_by_another),
		cmocka_unit_test(nobody_left),
		cmocka_unit_test(stale_tail_probe),
		cmocka_unit_test(probe_after_two_round_trips),
		cmocka_unit_test(undone_by_the_second),
		cmocka_unit_test(undone_by_the_last_ack),
		cmocka_unit_test(leap_is_forgotten),
		cmocka_unit_test(no_measurement_over_rto),
		cmocka_unit_test(edge_is_no_place_for_text),
		cmocka_unit_test(no_timestamp_no_change),
		cmocka_unit_test(urgent_is_over),
		cmocka_unit_test(reset_deadlines),
		cmocka_unit_test(ranges_that_touch),
		cmocka_unit_test(delayed_ack_is_not_delayed_again),
		cmocka_unit_test(min_rtt_is_kept),
		cmocka_unit_test(odd_configuration),
		cmocka_unit_test(sack_beside_data),
		cmocka_unit_test(heir_speaks),
		cmocka_unit_test(rst_has_a_timestamp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
