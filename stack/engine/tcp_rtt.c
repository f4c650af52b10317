/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tcp_rtt.c - how long a round trip takes, and so the retransmission time-out
 *
 * One segment in flight is timed in microseconds; a segment that was sent
 * twice is not (Karn), but where the first copy is too old to be answered.  A
 * SACK block is as good as an ACK: behind a hole it is the only measurement for
 * long, and without one RTO stays backed off.  Where that gives nothing, because
 * everything outstanding was sent twice, the echoed timestamp does, in
 * milliseconds (RFC 7323, 4).  On a ring a round trip takes far less than the
 * timestamp clock's tick, hence this order.
 *
 * Supported standards: RFC 6298; RFC 7323, 4.
 */
#include "stack/engine/tcp_var.h"

void tcp_rtt_init(struct tcpcb *tp)
{
	tp->flags &= ~(TF_SRTT | TF_RTT);
	tp->srtt_us = 0;
	tp->rttvar_us = 0;
	tp->rto_us = max_u32(TCP_RTO_INIT_US, tp->rto_min_us);
}

/* RFC 6298, 2.2 to 2.5 */
static void rtt_measured(struct tcpcb *tp, uint64_t measured_us)
{
	uint32_t r = (uint32_t)(measured_us < TCP_RTT_MAX_US ? measured_us : TCP_RTT_MAX_US);
	uint32_t delta;

	if (!(tp->flags & TF_SRTT)) {
		tp->flags |= TF_SRTT;
		tp->srtt_us = r;
		tp->rttvar_us = r / 2;
	} else {
		/* RTTVAR first: it needs the old SRTT. */
		delta = r > tp->srtt_us ? r - tp->srtt_us : tp->srtt_us - r;
		tp->rttvar_us = (3 * tp->rttvar_us + delta) / 4;
		tp->srtt_us = (7 * tp->srtt_us + r) / 8;
	}
	/* The floor is under the variance, as Linux has it: where a round trip
	 * is as long as RTO's least, a delayed ACK does not make it expire. */
	tp->rto_us = tp->srtt_us + max_u32(max_u32(TCP_CLOCK_US, tp->rto_min_us),
					   4 * tp->rttvar_us);
	tp->rto_us = min_u32(tp->rto_us, TCP_RTO_MAX_US);
}

/* Karn's ambiguity ends: an ACK for a copy that left more than TCP_RTT_MAX_US ago
 * would be a round trip longer than RTO has to serve (RFC 6298, 2.5), so an ACK of
 * this one is for this one.  At SND.UNA only: what lies behind it may have come.
 * Without it RTO would stay at its longest while all of a large window is sent
 * again, for nothing of that could be timed. */
static bool is_like_new(const struct tcpcb *tp, uint32_t seq, uint64_t now_us)
{
	int32_t age;

	if (seq != tp->snd_una || !tp->n_runs)
		return false;
	age = run_clock_diff(tp->run[0].sent, run_clock(now_us));
	return age < 0 || age > (int32_t)TCP_RTT_MAX_US;
}

/* Octets [@seq, @end) were sent; the scoreboard does not know it yet. */
void tcp_rtt_sent(struct tcpcb *tp, uint32_t seq, uint32_t end, bool is_rexmt, uint64_t now_us)
{
	if (is_rexmt) {
		/* Karn: an ACK could be for either copy.  And without SACK it is
		 * late if something below is sent again. */
		if ((tp->flags & TF_RTT) && seq_leq(seq, tp->rtt_seq) &&
		    (!(tp->flags & TF_SACK) || seq_gt(end, tp->rtt_seq)))
			tp->flags &= ~TF_RTT;
		if (!is_like_new(tp, seq, now_us))
			return;
	}
	if (tp->flags & TF_RTT)
		return;
	tp->flags |= TF_RTT;
	tp->rtt_seq = end - 1;
	tp->rtt_start_us = now_us;
}

/* SEG.ACK was sent for what was sent again, perhaps, but TSecr is older: the
 * first copy had arrived, its ACK was lost, and RFC 7323, 4.3 has the second
 * one echo the first.  That is how long RTO was, not the network.  But what
 * comes far sooner than any round trip after the second copy is for the first.
 * (Half of the least: a smaller segment is back a little sooner than a larger.) */
static bool is_ambiguous(const struct tcpcb *tp, const struct tcp_seg *seg, uint64_t now_us)
{
	int32_t since;

	if (!tp->n_runs || !(tp->run[0].mark & RUN_AGAIN))
		return false;
	since = run_clock_diff(tp->run[0].sent, run_clock(now_us));
	if (since < 0)
		return true;
	if ((tp->rec_flags & RF_MIN_RTT) && (uint32_t)since < tp->min_rtt_us / 2)
		return false;
	return seq_lt(seg->tsecr, tcp_tsval(tp, now_us - (uint32_t)since));
}

/* SEG.ACK moved SND.UNA; the scoreboard does not know it yet. */
void tcp_rtt_acked(struct tcpcb *tp, const struct tcp_seg *seg, uint64_t now_us)
{
	uint32_t ticks;

	if (tp->flags & TF_RTT) {
		if (seq_leq(seg->ack, tp->rtt_seq))
			return;
		tp->flags &= ~TF_RTT;
		if (now_us >= tp->rtt_start_us)
			rtt_measured(tp, now_us - tp->rtt_start_us);
		return;
	}
	if (!(tp->flags & TF_TS) || !seg->has_ts || is_ambiguous(tp, seg, now_us))
		return;
	/* An echo from the future or the far past is no measurement. */
	ticks = tcp_tsval(tp, now_us) - seg->tsecr;
	if (ticks <= TCP_RTT_MAX_US / TCP_CLOCK_US)
		rtt_measured(tp, (uint64_t)ticks * TCP_CLOCK_US);
}

/* The scoreboard has grown: over the segment being timed? */
void tcp_rtt_sacked(struct tcpcb *tp, uint64_t now_us)
{
	if (!(tp->flags & TF_RTT) || !tcp_sb_is_sacked(tp, tp->rtt_seq))
		return;
	tp->flags &= ~TF_RTT;
	if (now_us >= tp->rtt_start_us)
		rtt_measured(tp, now_us - tp->rtt_start_us);
}

/* What is in flight is no longer worth timing. */
void tcp_rtt_cancel(struct tcpcb *tp)
{
	tp->flags &= ~TF_RTT;
}

/* RFC 6298, 5.5 */
void tcp_rtt_backoff(struct tcpcb *tp)
{
	tp->rto_us = tp->rto_us > TCP_RTO_MAX_US / 2 ? TCP_RTO_MAX_US : 2 * tp->rto_us;
}
