/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tcp_loss.c - what was lost, when recovery begins and ends, and if it was in vain
 *
 * DOC: what says that octets were lost
 *
 * - With SACK: RACK (tcp_rack.c), after each ACK and when its reordering
 *   window ends.  It finds lost retransmissions as well.
 * - Without: three duplicate ACKs, or fewer where fewer are in flight and
 *   nothing new can be sent (RFC 5827); then each partial ACK (RFC 6582).
 *   After RTO as well, where they cannot be answers to what we sent in vain.
 * - RTO: tcp_loss_rto().
 *
 * All of them mark runs of the scoreboard (tcp_sack.c).  tcp_output() sends
 * what is marked, as far as cwnd allows; and in fast recovery cwnd is what
 * proportional rate reduction says (RFC 9937, which is RFC 6937 with SafeACK).
 *
 * DOC: what says that they were not
 *
 * The first retransmission was needless if its ACK echoes an older timestamp
 * (RFC 3522), or if D-SACKs report all that was sent again (RFC 3708).  RTO was
 * spurious if, before anything else was sent again, octets arrive that were
 * sent once (F-RTO, RFC 5682, 3).  Then cwnd and ssthresh are what they were,
 * and the reordering that deceived us is remembered.
 *
 * Supported standards: RFC 5681, 5827, 6582, 6675, 8985, 9937, 5682, 3522,
 * 3708, 3168.
 */
#include "stack/engine/tcp_var.h"

/* An ACK that passes more had segments waiting behind a hole; what of them is
 * sent again comes back as duplicate ACKs (RFC 6582, 4.1). */
#define LEAP_SEGS	4

/* SND.UNA was set: nothing is outstanding. */
void tcp_loss_init(struct tcpcb *tp)
{
	tp->ca_state = TCP_CA_OPEN;
	/* Below SND.UNA, so that the first duplicate ACKs count (RFC 6582, 3.2). */
	tp->recover = tp->iss;
	tp->tlp_end = tp->snd_una;
	tp->dupacks = 0;
	tp->n_runs = 0;
	tp->sacked_out = 0;
	tp->lost_out = 0;
}

/* --- in and out -------------------------------------------------------------------- */

static void enter(struct tcpcb *tp, enum tcp_ca ca)
{
	tp->ca_state = (uint8_t)ca;
	tp->recover = tp->snd_nxt;
	tp->flags &= ~(TF_RESCUE | TF_TLP_OUT | TF_TLP_DUE);
	tp->rec_flags &= (uint16_t)~RF_PARTIAL;
}

/* What must be restored if it was all in vain. */
static void remember(struct tcpcb *tp)
{
	tp->prior_cwnd = tp->snd_cwnd;
	tp->prior_ssthresh = tp->snd_ssthresh;
	tp->undo_octets = 0;
	tp->rec_flags |= RF_UNDO;
	tp->rec_flags &= (uint16_t)~RF_AGAIN;
}

/* Congestion that no D-SACK of what was sent again can deny. */
static void congested(struct tcpcb *tp)
{
	tcp_cc_loss(tp);
	tp->rec_flags &= (uint16_t)~RF_UNDO;
}

/* The probe for a larger MTU was lost, and nothing else: it goes again in smaller
 * segments, and cwnd is what it was (RFC 4821, 7.6.2). */
static void lose_probe(struct tcpcb *tp, uint32_t end)
{
	enter(tp, TCP_CA_LOSS);
	tcp_sb_lose_to(tp, end);
	tp->dupacks = 0;
	tp->frto = FRTO_NONE;
	tp->rec_flags &= (uint16_t)~RF_UNDO;
	/* Duplicate ACKs of what was in flight with it are still to come. */
	tp->rec_flags |= RF_LEAP;
	tcp_rtt_cancel(tp);
}

/* Fast retransmit, then fast recovery. */
static void enter_recovery(struct tcpcb *tp, const struct tcp_ack *ack)
{
	uint32_t delivered;

	remember(tp);
	tcp_cc_loss(tp);
	enter(tp, TCP_CA_RECOVERY);
	tp->prr_delivered = 0;
	tp->prr_out = 0;
	/* RFC 9937, 6.1: FlightSize, as it was before this ACK, without what
	 * had been SACKed by then */
	delivered = tp->flags & TF_SACK ? ack->delivered : ack->acked;
	tp->recover_fs = max_u32(tcp_flight_size(tp) + delivered - tp->sacked_out, 1);
}

static void leave(struct tcpcb *tp)
{
	if (tp->ca_state == TCP_CA_RECOVERY)
		tp->snd_cwnd = max_u32(tp->snd_ssthresh, tcp_eff_mss(tp));
	tp->ca_state = TCP_CA_OPEN;
	tp->dupacks = 0;
	tp->frto = FRTO_NONE;
	if (tp->lost_out)
		tcp_sb_lose_all(tp, false);
	tcp_rack_recovered(tp);
}

static void undo(struct tcpcb *tp)
{
	uint32_t cwnd = max_u32(tp->snd_cwnd, tp->prior_cwnd);
	uint32_t ssthresh = max_u32(tp->snd_ssthresh, tp->prior_ssthresh);

	if (tp->ca_state != TCP_CA_OPEN)
		leave(tp);
	tp->snd_cwnd = cwnd;
	tp->snd_ssthresh = ssthresh;
	tp->rec_flags |= RF_REORDERING;
	tp->rec_flags &= (uint16_t)~RF_UNDO;
	/* What ECE asked for was not in vain. */
	if (!(tp->rec_flags & RF_ECN_CWR))
		tp->rec_flags &= (uint16_t)~RF_CWR_DUE;
	tp->n_undo_total++;
	tcp_cc_undo(tp);
}

/* Was everything sent again in vain?  D-SACKs may say so when it is over. */
static bool was_needless(const struct tcpcb *tp, const struct tcp_ack *ack)
{
	if ((tp->rec_flags & (RF_UNDO | RF_AGAIN)) != (RF_UNDO | RF_AGAIN))
		return false;
	if (ack->dsack && !tp->undo_octets)
		return true;
	return tp->ca_state != TCP_CA_OPEN && (tp->flags & TF_TS) && ack->seg->has_ts &&
		ack->acked && seq_lt(ack->seg->tsecr, tp->again_ts);
}

/* --- what happened -------------------------------------------------------------------- */

/* [@start, @end) was sent, or sent @again. */
void tcp_loss_sent(struct tcpcb *tp, uint32_t start, uint32_t end, bool again, uint64_t now_us)
{
	if (again) {
		tcp_mtu_again(tp, start, end);
		tp->undo_octets += tcp_sb_again(tp, start, end, now_us);
		if (!(tp->rec_flags & RF_AGAIN))
			tp->again_ts = tcp_tsval(tp, now_us);
		tp->rec_flags |= RF_AGAIN;
	} else {
		tcp_sb_sent(tp, end, now_us);
	}
	if (tp->ca_state == TCP_CA_RECOVERY)
		tp->prr_out += end - start;
}

/* A segment with ACK has come: before anything of it is used. */
void tcp_loss_ack_begin(struct tcpcb *tp, struct tcp_ack *ack)
{
	ack->top = tcp_sb_top(tp);
	tcp_rack_age(tp, ack->now_us);
	tcp_rack_dsack(tp, ack);
	if (ack->dsack)
		tp->undo_octets -= min_u32(tp->undo_octets, ack->dsack);
}

/* RFC 6582, 3.2, (3), partial ACK: the segment it ends at is lost as well. */
static void newreno_partial_ack(struct tcpcb *tp, struct tcp_ack *ack)
{
	uint32_t smss = tcp_eff_mss(tp);
	uint32_t segs = (ack->acked + smss - 1) / smss;
	uint32_t known = min_u32(tp->dupacks, segs - 1);

	/* One segment was the hole; the others had been counted by duplicate ACKs. */
	tp->dupacks = (uint16_t)(tp->dupacks - known);
	ack->delivered -= min_u32(ack->delivered, known * smss);
	ack->lost += min_u32(smss, tcp_flight_size(tp));
	tcp_sb_lose_first(tp);
}

/* What lets cwnd grow: octets that this ACK says have arrived; not those that
 * SACK or duplicate ACKs had said of before. */
static uint32_t newly_arrived(const struct tcpcb *tp, const struct tcp_ack *ack)
{
	uint32_t smss = tcp_eff_mss(tp);

	if (tp->flags & TF_SACK)
		return ack->delivered;
	if (ack->acked <= smss)
		return ack->acked;
	return ack->acked - min_u32(ack->acked - smss, tp->dupacks * smss);
}

/* SND.UNA moved over ack->acked octets. */
void tcp_loss_acked(struct tcpcb *tp, struct tcp_ack *ack)
{
	bool honest = tcp_sb_acked(tp, ack);

	tcp_rack_una(tp);
	tcp_mtu_acked(tp, ack->now_us);
	if (ack->has_rtt)
		tcp_cc_rtt(tp, ack->rtt_us);
	if (tp->ca_state != TCP_CA_RECOVERY)
		tcp_cc_acked(tp, newly_arrived(tp, ack), ack->now_us);

	tp->rec_flags &= (uint16_t)~RF_LEAP;
	if (ack->acked > LEAP_SEGS * tcp_eff_mss(tp))
		tp->rec_flags |= RF_LEAP;
	if (tp->ca_state != TCP_CA_RECOVERY)
		tp->dupacks = 0;
	if (tp->ca_state == TCP_CA_OPEN) {
		/* Nothing to leave. */
	} else if (seq_geq(tp->snd_una, tp->recover)) {
		if (was_needless(tp, ack))
			undo(tp);
		else
			leave(tp);
	} else if (tp->ca_state == TCP_CA_RECOVERY && !(tp->flags & TF_SACK)) {
		newreno_partial_ack(tp, ack);
	}
	if (!honest)
		tcp_loss_all(tp);
	/* `recover' is of the past: it must not stay behind by half of the
	 * sequence space. */
	if (tp->ca_state == TCP_CA_OPEN && seq_gt(tp->snd_una, tp->recover))
		tp->recover = tp->snd_una - 1;
}

/* A duplicate ACK (RFC 5681, 2), or one that SACKs something new (RFC 6675, 2). */
void tcp_loss_dupack(struct tcpcb *tp, struct tcp_ack *ack)
{
	if (tp->dupacks < UINT16_MAX)
		tp->dupacks++;
	if (!(tp->flags & TF_SACK))
		ack->delivered += tcp_eff_mss(tp);
	ack->dup = true;
}

/* F-RTO: RFC 5682, 3.1.  Return: RTO was spurious */
static bool frto_step(struct tcpcb *tp, const struct tcp_view *v, const struct tcp_ack *ack)
{
	bool fin;

	/* 3b: what was sent once has arrived, and not because a hole was filled
	 * that all else had waited for */
	if (ack->orig && (ack->sacked || tp->frto == FRTO_NEW))
		return true;
	if (tp->frto == FRTO_NEW) {
		if (ack->dup || ack->sacked)
			tp->frto = FRTO_NONE;		/* 3a */
	} else if (!ack->acked) {
		if (ack->dup || ack->sacked)
			tp->frto = FRTO_NONE;		/* 2a */
	} else {
		/* 2b: something new, so that its ACK tells */
		tp->frto = tcp_sendable(tp, v, &fin) ? FRTO_NEW : FRTO_NONE;
	}
	return false;
}

/* Proportional rate reduction: RFC 9937, 6.2 */
static void prr(struct tcpcb *tp, const struct tcp_ack *ack)
{
	uint32_t smss = tcp_eff_mss(tp), pipe = tcp_pipe(tp);
	int64_t n;

	tp->prr_delivered += ack->delivered;
	if (pipe > tp->snd_ssthresh) {
		n = (int64_t)(((uint64_t)tp->prr_delivered * tp->snd_ssthresh +
			       tp->recover_fs - 1) / tp->recover_fs) - tp->prr_out;
	} else {
		n = (int64_t)tp->prr_delivered - tp->prr_out;
		n = n > ack->delivered ? n : ack->delivered;
		/* SafeACK: progress, and nothing more is lost: slow start's pace */
		if (ack->acked && !ack->lost)
			n += smss;
		n = n < tp->snd_ssthresh - pipe ? n : tp->snd_ssthresh - pipe;
	}
	/* The fast retransmit goes in any case. */
	if (!tp->prr_out && n < smss)
		n = smss;
	n = n > 0 ? n : 0;
	tp->snd_cwnd = max_u32((uint32_t)(n < TCP_CWND_MAX - pipe ? pipe + n : TCP_CWND_MAX), smss);
}

/* Without SACK, DupThresh duplicate ACKs have come. */
static void dupacks_detect(struct tcpcb *tp, struct tcp_ack *ack)
{
	uint32_t end;

	if (tp->ca_state == TCP_CA_OPEN) {
		/* Not for duplicates that our own retransmissions cause (RFC 6582, 3.2). */
		if (seq_leq(tp->snd_una, tp->recover))
			return;
		if (tcp_mtu_lost(tp, ack->now_us, &end)) {
			lose_probe(tp, end);
			return;
		}
		enter_recovery(tp, ack);
	} else if (tp->ca_state == TCP_CA_LOSS && !(tp->rec_flags & RF_LEAP) &&
		   tp->snd_cwnd > tcp_eff_mss(tp)) {
		/* They are not: what was sent again after RTO is lost again
		 * (RFC 6582, 4.1).  Once, until SND.UNA moves. */
		tp->rec_flags |= RF_LEAP;
		congested(tp);
	} else {
		return;
	}
	tcp_sb_lose_first(tp);
}

static void detect(struct tcpcb *tp, const struct tcp_view *v, struct tcp_ack *ack)
{
	uint32_t wait_us, end;

	if (tp->flags & TF_SACK) {
		ack->lost += tcp_rack_detect(tp, v, ack->now_us, &wait_us);
		tcp_timer_reordering(tp, ack->now_us, wait_us);
		if (tp->ca_state != TCP_CA_OPEN || !tp->lost_out)
			return;
		if (tcp_mtu_lost(tp, ack->now_us, &end))
			lose_probe(tp, end);
		else
			enter_recovery(tp, ack);
	} else if (tp->dupacks && tcp_rack_is_dupthresh(tp, v)) {
		dupacks_detect(tp, ack);
	}
}

/* An ACK was processed: has something been lost? */
void tcp_loss_detect(struct tcpcb *tp, const struct tcp_view *v, struct tcp_ack *ack)
{
	if (was_needless(tp, ack))
		undo(tp);
	if (tp->snd_una == tp->snd_nxt)
		return;
	if (tp->ca_state == TCP_CA_LOSS && tp->frto && frto_step(tp, v, ack))
		undo(tp);
	detect(tp, v, ack);
	if (tp->ca_state == TCP_CA_RECOVERY && (ack->delivered || ack->lost || !tp->prr_out))
		prr(tp, ack);
}

/* An ACK with ECE: RFC 3168, 6.1.2.  As if a segment were lost, but nothing is
 * sent again; once for each window, which begins with CWR, and not while we
 * recover anyway. */
void tcp_loss_ecn(struct tcpcb *tp)
{
	if (!(tp->rec_flags & RF_ECN) || (tp->rec_flags & (RF_ECN_CWR | RF_CWR_DUE)) ||
	    tp->ca_state != TCP_CA_OPEN)
		return;
	congested(tp);
	tp->rec_flags |= RF_ECN_CWR;
	tp->ecn_end = tp->snd_nxt;
}

/* The reordering window is over. */
void tcp_loss_reordering(struct tcpcb *tp, const struct tcp_view *v, uint64_t now_us)
{
	struct tcp_ack ack = { .now_us = now_us };

	detect(tp, v, &ack);
	if (tp->ca_state == TCP_CA_RECOVERY && ack.lost)
		prr(tp, &ack);
}

static void all_lost(struct tcpcb *tp)
{
	enter(tp, TCP_CA_LOSS);
	tcp_sb_lose_all(tp, true);
	tp->dupacks = 0;
	tp->frto = FRTO_NONE;
	tp->rec_flags &= (uint16_t)~RF_UNDO;
	tcp_rtt_cancel(tp);
}

/* Everything outstanding is lost, though not by congestion.  What had arrived of
 * it, and what arrives still, comes back as duplicate ACKs. */
void tcp_loss_all(struct tcpcb *tp)
{
	all_lost(tp);
	tp->rec_flags |= RF_LEAP;
}

/* Our SYN is acknowledged, but not all of its data: that is lost (RFC 7413, 4.2.2),
 * not by congestion either.  Behind tcp_loss_init(). */
void tcp_loss_refused(struct tcpcb *tp, uint64_t now_us)
{
	tcp_sb_sent(tp, tp->snd_nxt, now_us);
	tcp_loss_all(tp);
}

/* RTO expired, for the n_rto'th time in a row. */
void tcp_loss_rto(struct tcpcb *tp)
{
	bool first = tp->n_rto == 1 && tp->ca_state == TCP_CA_OPEN;

	if (tp->ca_state == TCP_CA_OPEN)
		remember(tp);
	tcp_cc_rto(tp);
	/* The first time we still believe the scoreboard, then we do not: the
	 * peer may have reneged (RFC 6675, 5.1). */
	if (tp->n_rto > 1)
		tcp_sb_forget(tp);
	all_lost(tp);
	if (first) {
		tp->frto = FRTO_FIRST;
		tp->rec_flags |= RF_UNDO;
	}
}

/**
 * tcp_loss_tlp_acked() - RFC 8985, 7.4: did the tail loss probe repair a loss?
 * @advanced:	SEG.ACK moved SND.UNA
 *
 * If so nobody else will notice, and cwnd must be reduced here.  A duplicate
 * ACK at tlp_end, or a D-SACK, says that both the segment and the probe arrived.
 */
void tcp_loss_tlp_acked(struct tcpcb *tp, const struct tcp_ack *ack, bool advanced)
{
	if (!(tp->flags & TF_TLP_OUT) || seq_lt(ack->seg->ack, tp->tlp_end))
		return;
	if (!(tp->flags & TF_TLP_REXMT) || ack->dsack) {
		tp->flags &= ~TF_TLP_OUT;
	} else if (seq_gt(ack->seg->ack, tp->tlp_end)) {
		tp->flags &= ~TF_TLP_OUT;
		if (tp->ca_state == TCP_CA_OPEN)
			congested(tp);
	} else if (!advanced) {
		tp->flags &= ~TF_TLP_OUT;
	}
}

/**
 * tcp_loss_rescue() - NextSeg() of RFC 6675, 4, rule 4
 * In recovery, once, the last segment in flight, in case the end of the flight
 * was lost as well, or what was sent again in a window that is shut.  Not at
 * once as in the RFC, but when a tail loss probe would be due: the ACK of the
 * segment itself would be taken for that of the rescue, and RACK misled.
 */
bool tcp_loss_rescue(struct tcpcb *tp, uint32_t *start, uint32_t *end)
{
	if (tp->ca_state != TCP_CA_RECOVERY || !(tp->flags & TF_SACK) ||
	    (tp->flags & TF_RESCUE) || tp->lost_out)
		return false;
	tp->flags |= TF_RESCUE;
	return tcp_sb_last(tp, start, end);
}
