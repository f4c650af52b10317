/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tcp_loss.c - what was lost, and when recovery begins and ends
 *
 * DOC: what says that octets were lost
 *
 * - Three duplicate ACKs, or with SACK what IsLost() of RFC 6675 says:
 *   tcp_loss_detect().
 * - Fewer, if fewer than four segments are in flight and nothing new can be
 *   sent (early retransmit, RFC 5827).  Our segments are large and windows a
 *   few segments, so this is no corner case here.
 * - A hole below a SACKed range that does not close within a quarter of a
 *   round trip: tcp_loss_reordering().  This is RFC 8985's reordering window;
 *   we need no time per segment because below a SACKed range everything was
 *   sent earlier.
 * - Octets that were sent for the first time after the last retransmission are
 *   SACKed, and what was retransmitted is not: then that is lost again.
 * - RTO: tcp_loss_rto().
 *
 * All of them only move lost_end.  tcp_output() sends again what lies between
 * high_rxt and lost_end and is not SACKed, as far as cwnd allows.  Without
 * SACK a partial ACK moves both to the next segment (NewReno).
 *
 * Supported standards: RFC 5681, 5827, 6582, 6675; RFC 8985 in part.
 */
#include "stack/engine/tcp_var.h"

/* SND.UNA was set: nothing is outstanding. */
void tcp_loss_init(struct tcpcb *tp)
{
	tp->ca_state = TCP_CA_OPEN;
	tp->lost_end = tp->snd_una;
	tp->high_rxt = tp->snd_una;
	/* Below SND.UNA, so that the first duplicate ACKs count (RFC 6582, 3.2). */
	tp->recover = tp->iss;
	tp->tlp_end = tp->snd_una;
	tp->reo_end = tp->snd_una;
	tp->dupacks = 0;
	tp->n_sacked = 0;
}

static void enter(struct tcpcb *tp, enum tcp_ca ca)
{
	tp->ca_state = (uint8_t)ca;
	tp->recover = tp->snd_nxt;
	tp->high_rxt = tp->snd_una;
	tp->flags &= ~(TF_RESCUE | TF_TLP_OUT | TF_TLP_DUE);
}

/* Fast retransmit, then fast recovery.  What is below @edge is lost, and in
 * any case the first segment outstanding (RFC 6675, 5, 4.3). */
static void enter_recovery(struct tcpcb *tp, uint32_t edge)
{
	uint32_t start, end;

	tcp_cc_loss(tp);
	enter(tp, TCP_CA_RECOVERY);
	tcp_sack_hole(tp, tp->snd_una, tp->snd_nxt, &start, &end);
	end = seq_min(end, tp->snd_una + tcp_eff_mss(tp));
	tp->lost_end = seq_max(edge, end);
}

static void leave_recovery(struct tcpcb *tp)
{
	if (tp->ca_state == TCP_CA_RECOVERY)
		tcp_cc_recovered(tp);
	tp->ca_state = TCP_CA_OPEN;
	tp->dupacks = 0;
	tp->lost_end = tp->snd_una;
	tp->high_rxt = tp->snd_una;
}

/* RFC 6582, 3.2, (3), partial ACK: the segment it ends at is lost as well. */
static void newreno_partial_ack(struct tcpcb *tp, uint32_t acked)
{
	uint32_t smss = tcp_eff_mss(tp);
	uint32_t segs = (acked + smss - 1) / smss;

	/* One segment was the hole; the others had been counted by duplicate ACKs. */
	tp->dupacks = (uint16_t)(tp->dupacks - min_u32(tp->dupacks, segs - 1));
	tp->high_rxt = tp->snd_una;
	tp->lost_end = tp->snd_una + min_u32(smss, tcp_flight_size(tp));
}

/* SND.UNA moved over @acked octets. */
void tcp_loss_acked(struct tcpcb *tp, uint32_t acked, uint64_t now_us)
{
	bool reneged = !tcp_sack_acked(tp);

	tp->high_rxt = seq_max(tp->high_rxt, tp->snd_una);
	tp->lost_end = seq_max(tp->lost_end, tp->snd_una);

	if (tp->ca_state != TCP_CA_RECOVERY)
		tcp_cc_acked(tp, acked, now_us);

	if (tp->ca_state == TCP_CA_OPEN) {
		tp->dupacks = 0;
		tp->lost_end = tp->snd_una;
		tp->high_rxt = tp->snd_una;
	} else if (seq_geq(tp->snd_una, tp->recover)) {
		leave_recovery(tp);
	} else if (tp->ca_state == TCP_CA_RECOVERY && !(tp->flags & TF_SACK)) {
		newreno_partial_ack(tp, acked);
	}
	if (reneged)
		tcp_loss_all(tp);
}

/* A duplicate ACK (RFC 5681, 2), or one that SACKs something new (RFC 6675, 2). */
void tcp_loss_dupack(struct tcpcb *tp)
{
	if (tp->dupacks < UINT16_MAX)
		tp->dupacks++;
}

/* How many duplicate ACKs are enough: RFC 5827, 3.1 and 3.2. */
static uint32_t dup_thresh(const struct tcpcb *tp, const struct tcp_view *v)
{
	uint32_t smss = tcp_eff_mss(tp);
	uint32_t oseg = (tcp_flight_size(tp) + smss - 1) / smss;
	bool fin;

	if (oseg > TCP_DUPTHRESH || tcp_sendable(tp, v, &fin) || fin)
		return TCP_DUPTHRESH;
	return oseg > 2 ? oseg - 1 : 1;
}

/* What was sent again is lost again, if more than two segments that were sent
 * after it have arrived: all of it goes once more, but for what is SACKed. */
static void detect_lost_again(struct tcpcb *tp)
{
	if (tp->high_rxt == tp->snd_una || !tp->n_sacked || seq_lt(tp->rxt_mark, tp->snd_una))
		return;
	if (tcp_sack_octets(tp, tp->rxt_mark, tp->snd_nxt) >
	    (TCP_DUPTHRESH - 1) * tcp_eff_mss(tp))
		tp->high_rxt = tp->snd_una;
}

/* After an ACK was processed: has something been lost? */
void tcp_loss_detect(struct tcpcb *tp, const struct tcp_view *v)
{
	uint32_t edge, thresh;

	if (tp->snd_una == tp->snd_nxt)
		return;
	if (tp->ca_state != TCP_CA_OPEN)
		detect_lost_again(tp);
	if (tp->ca_state == TCP_CA_LOSS)
		return;
	if (tp->ca_state == TCP_CA_RECOVERY) {
		edge = tcp_sack_lost_edge(tp, TCP_DUPTHRESH);
		tp->lost_end = seq_max(tp->lost_end, edge);
		return;
	}
	if (!tp->dupacks && !tp->n_sacked)
		return;

	thresh = dup_thresh(tp, v);
	if (tp->flags & TF_SACK) {
		edge = tcp_sack_lost_edge(tp, thresh);
		if (seq_gt(edge, tp->snd_una) || tp->dupacks >= thresh)
			enter_recovery(tp, edge);
	} else if (tp->dupacks >= thresh && seq_gt(tp->snd_una, tp->recover)) {
		/* Not for duplicates that our own retransmissions cause (RFC 6582, 3.2). */
		enter_recovery(tp, tp->snd_una);
	}
}

/* The reordering window is over: the holes below reo_end did not close. */
void tcp_loss_reordering(struct tcpcb *tp)
{
	if (tp->ca_state == TCP_CA_LOSS || !tp->n_sacked || seq_leq(tp->reo_end, tp->snd_una))
		return;
	if (tp->ca_state == TCP_CA_OPEN)
		enter_recovery(tp, tp->reo_end);
	else
		tp->lost_end = seq_max(tp->lost_end, tp->reo_end);
}

/* Everything outstanding is lost, though not by congestion. */
void tcp_loss_all(struct tcpcb *tp)
{
	enter(tp, TCP_CA_LOSS);
	tp->lost_end = tp->snd_nxt;
	tp->dupacks = 0;
	tcp_rtt_cancel(tp);
}

/* RTO expired, for the n_rto'th time in a row. */
void tcp_loss_rto(struct tcpcb *tp)
{
	tcp_cc_rto(tp);
	/* The first time we still believe the scoreboard, then we do not: the
	 * peer may have reneged (RFC 6675, 5.1). */
	if (tp->n_rto > 1)
		tp->n_sacked = 0;
	tcp_loss_all(tp);
}

/**
 * tcp_loss_tlp_acked() - RFC 8985, 7.4: did the tail loss probe repair a loss?
 * @advanced:	SEG.ACK moved SND.UNA
 *
 * If so nobody else will notice, and cwnd must be reduced here.  A duplicate
 * ACK at tlp_end says that both the segment and the probe arrived.
 */
void tcp_loss_tlp_acked(struct tcpcb *tp, const struct tcp_seg *seg, bool advanced)
{
	if (!(tp->flags & TF_TLP_OUT) || seq_lt(seg->ack, tp->tlp_end))
		return;
	if (!(tp->flags & TF_TLP_REXMT)) {
		tp->flags &= ~TF_TLP_OUT;
	} else if (seq_gt(seg->ack, tp->tlp_end)) {
		tp->flags &= ~TF_TLP_OUT;
		if (tp->ca_state == TCP_CA_OPEN)
			tcp_cc_loss(tp);
	} else if (!advanced) {
		tp->flags &= ~TF_TLP_OUT;
	}
}

/* What to send again next: NextSeg() of RFC 6675, 4, rule 1.  False: nothing. */
bool tcp_loss_next(const struct tcpcb *tp, uint32_t *start, uint32_t *end)
{
	return tcp_sack_hole(tp, seq_max(tp->high_rxt, tp->snd_una), tp->lost_end, start, end);
}

/**
 * tcp_loss_next_more() - NextSeg() of RFC 6675, 4, rules 3 and 4
 *
 * In recovery, when there is nothing lost left and nothing new to send: first
 * the holes below the highest SACKed octet, then, once, the last segment, in
 * case the end of the flight was lost as well.
 */
bool tcp_loss_next_more(struct tcpcb *tp, uint32_t *start, uint32_t *end)
{
	uint32_t top = tp->snd_una;

	if (tp->ca_state != TCP_CA_RECOVERY || !(tp->flags & TF_SACK))
		return false;
	if (tp->n_sacked) {
		top = tp->sacked[tp->n_sacked - 1].end;
		tp->lost_end = seq_max(tp->lost_end, tp->sacked[tp->n_sacked - 1].start);
		if (tcp_loss_next(tp, start, end))
			return true;
	}
	if (tp->flags & TF_RESCUE)
		return false;
	tp->flags |= TF_RESCUE;
	*end = tp->snd_nxt;
	*start = seq_max(seq_max(top, tp->high_rxt), tp->snd_nxt - tcp_eff_mss(tp));
	return seq_lt(*start, *end);
}
