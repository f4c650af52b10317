/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tcp_rack.c - RACK: lost is what was sent well before something that arrived
 *
 * RFC 8985, 6.  Each run of the scoreboard knows when it was last sent.  When
 * something arrives, what was sent earlier and is still in flight a
 * reordering window later is lost: whether it was sent for the first time or
 * again, and however few segments there are.
 *
 * The reordering window is 0 while this connection has seen no reordering and
 * DupThresh segments are SACKed, or fewer if fewer are in flight and there is
 * nothing new to send (RFC 5827: our windows are often four segments); else a
 * quarter of the least round trip, times what D-SACKs teach (6.2, step 4).
 *
 * Supported standards: RFC 8985, 6; RFC 2883 and RFC 3708, as a sender.
 */
#include "stack/engine/tcp_var.h"

#define REO_PERSIST	16	/* recoveries for which a wider window is kept */
#define REO_MULT_MAX	20	/* times min_RTT/4: five round trips; SRTT bounds it anyway */
#define MIN_RTT_AGE_S	300	/* seconds after which min_RTT is measured anew, as Linux */

static bool sent_after(uint32_t sent1, uint32_t end1, uint32_t sent2, uint32_t end2)
{
	int32_t d = run_clock_diff(sent2, sent1);

	return d > 0 || (!d && seq_gt(end1, end2));
}

static void min_rtt(struct tcpcb *tp, uint32_t rtt_us, uint64_t now_us)
{
	uint32_t now_s = (uint32_t)(now_us / 1000000);

	if ((tp->rec_flags & RF_MIN_RTT) && rtt_us > tp->min_rtt_us &&
	    now_s - tp->min_rtt_s <= MIN_RTT_AGE_S)
		return;
	tp->rec_flags |= RF_MIN_RTT;
	tp->min_rtt_us = rtt_us;
	tp->min_rtt_s = now_s;
}

/* Is the ACK for an earlier transmission of @run?  6.2, step 2 */
static bool is_ambiguous(const struct tcpcb *tp, const struct tcp_ack *ack, uint32_t rtt_us)
{
	if ((tp->flags & TF_TS) && ack->seg->has_ts &&
	    seq_lt(ack->seg->tsecr, tcp_tsval(tp, ack->now_us - rtt_us)))
		return true;
	return !(tp->rec_flags & RF_MIN_RTT) || rtt_us < tp->min_rtt_us;
}

/* Octets from @start on arrived after all below @top. */
static void reordered(struct tcpcb *tp, uint32_t start, uint32_t top)
{
	uint32_t smss = tcp_eff_mss(tp);
	uint32_t n = (top - start + smss - 1) / smss;

	tp->rec_flags |= RF_REORDERING;
	tp->reordering = (uint8_t)min_u32(max_u32(tp->reordering, n), UINT8_MAX);
}

/* Octets [@start, @end) of @run have arrived: 6.2, steps 1 to 3. */
void tcp_rack_arrived(struct tcpcb *tp, struct tcp_ack *ack, const struct tcp_run *run,
		      uint32_t start, uint32_t end)
{
	int32_t rtt = run_clock_diff(run->sent, run_clock(ack->now_us));
	uint32_t rtt_us = min_u32((uint32_t)rtt, TCP_RTT_MAX_US);

	/* Sent so long ago that tcp_run.sent has wrapped: it tells nothing. */
	if (rtt < 0)
		return;
	if (run->mark & RUN_AGAIN) {
		if (is_ambiguous(tp, ack, rtt_us))
			return;
	} else {
		if (seq_leq(end, tp->recover))
			ack->orig = true;
		if (seq_lt(end, ack->top))
			reordered(tp, start, ack->top);
		if (!ack->has_rtt || rtt_us < ack->rtt_us)
			ack->rtt_us = rtt_us;
		ack->has_rtt = true;
		min_rtt(tp, rtt_us, ack->now_us);
	}
	/* Of what arrived last, whenever it was sent: what comes late shows how
	 * late others may. */
	tp->rack_rtt_us = rtt_us;
	if ((tp->rec_flags & RF_RACK) && !sent_after(run->sent, end, tp->rack_sent, tp->rack_end))
		return;
	tp->rec_flags |= RF_RACK;
	tp->rack_sent = run->sent;
	tp->rack_end = end;
}

/* So many SACKed segments are enough where nothing is ever reordered. */
static uint32_t dup_thresh(const struct tcpcb *tp, const struct tcp_view *v)
{
	uint32_t smss = tcp_eff_mss(tp);
	uint32_t oseg = (tcp_flight_size(tp) + smss - 1) / smss;
	bool fin;

	if (oseg > TCP_DUPTHRESH || tcp_sendable(tp, v, &fin) || fin)
		return TCP_DUPTHRESH;
	/* Nothing follows a lone segment: a duplicate ACK is not about it.  A
	 * SACK would be; then it was two short ones. */
	if (oseg < 2 && !(tp->flags & TF_SACK))
		return TCP_DUPTHRESH;
	return oseg > 2 ? oseg - 1 : 1;
}

/* Have DupThresh segments arrived above a hole?  RFC 5681, 3.2; RFC 5827, 3 */
bool tcp_rack_is_dupthresh(const struct tcpcb *tp, const struct tcp_view *v)
{
	uint32_t thresh = dup_thresh(tp, v);

	return tp->dupacks >= thresh || tp->sacked_out > (thresh - 1) * tcp_eff_mss(tp);
}

/* 6.2, step 4: RACK.reo_wnd */
static uint32_t reo_wnd(const struct tcpcb *tp, const struct tcp_view *v)
{
	uint64_t us;

	if (!(tp->rec_flags & RF_REORDERING) &&
	    (tp->ca_state != TCP_CA_OPEN || tcp_rack_is_dupthresh(tp, v)))
		return 0;
	us = (uint64_t)tp->min_rtt_us * (1u + tp->reo_mult) / 4;
	us = us < tp->srtt_us ? us : tp->srtt_us;
	return max_u32((uint32_t)us, TCP_REO_MIN_US);
}

/**
 * tcp_rack_detect() - 6.2, step 5: mark what is lost
 * @wait_us:	Set: when to look again; 0: no need
 * Return: octets found lost
 */
uint32_t tcp_rack_detect(struct tcpcb *tp, const struct tcp_view *v, uint64_t now_us,
			 uint32_t *wait_us)
{
	uint32_t start = tp->snd_una, lost = 0, now = run_clock(now_us), wnd = 0;
	bool has_wnd = false;
	int32_t left, age;
	unsigned int i;

	*wait_us = 0;
	if (!(tp->rec_flags & RF_RACK) || !(tp->flags & TF_SACK))
		return 0;
	for (i = 0; i < tp->n_runs; start = tp->run[i++].end) {
		struct tcp_run *r = &tp->run[i];

		if (r->mark & (RUN_SACKED | RUN_LOST))
			continue;
		age = run_clock_diff(r->sent, now);
		/* From the future: its clock has wrapped, it is minutes old. */
		if (age < 0)
			age = RUN_CLOCK_MASK;
		else if (!sent_after(tp->rack_sent, tp->rack_end, r->sent, r->end))
			continue;
		/* Where all is in order nobody needs it. */
		if (!has_wnd)
			wnd = reo_wnd(tp, v);
		has_wnd = true;
		left = (int32_t)(tp->rack_rtt_us + wnd) - age;
		if (left <= 0) {
			r->mark |= RUN_LOST;
			lost += r->end - start;
		} else {
			*wait_us = max_u32(*wait_us, (uint32_t)left);
		}
	}
	if (lost)
		tcp_sb_lost(tp);
	return lost;
}

/**
 * tcp_rack_dsack() - Does the first SACK block say that octets came twice?
 * RFC 2883, 4: it lies below SEG.ACK, or within the second block.  Something
 * was sent again without need; 6.2, step 4 widens the reordering window, once
 * a round trip.
 */
void tcp_rack_dsack(struct tcpcb *tp, struct tcp_ack *ack)
{
	const struct tcp_seg *seg = ack->seg;
	uint32_t start = seg->sack[0].start, end = seg->sack[0].end;

	if (!(tp->flags & TF_SACK) || !seg->n_sack || seq_geq(start, end) ||
	    seq_lt(start, tp->snd_una - tp->max_sndwnd) || seq_gt(end, tp->snd_nxt))
		return;
	if (seq_gt(end, seg->ack) &&
	    (seg->n_sack < 2 || seq_lt(start, seg->sack[1].start) ||
	     seq_gt(end, seg->sack[1].end)))
		return;
	ack->dsack = end - start;
	if (!(tp->rec_flags & RF_DSACK_ROUND) || seq_geq(seg->ack, tp->dsack_end)) {
		tp->rec_flags |= RF_DSACK_ROUND;
		tp->dsack_end = tp->snd_nxt;
		if (tp->reo_mult < REO_MULT_MAX)
			tp->reo_mult++;
	}
	tp->reo_persist = REO_PERSIST;
}

/* A recovery is over. */
void tcp_rack_recovered(struct tcpcb *tp)
{
	if (tp->reo_persist && --tp->reo_persist == 0)
		tp->reo_mult = 0;
}

/* rack_sent wraps: after minutes without an arrival it seems to be ahead of us,
 * and nothing that arrives would ever be later. */
void tcp_rack_age(struct tcpcb *tp, uint64_t now_us)
{
	if (run_clock_diff(tp->rack_sent, run_clock(now_us)) < 0)
		tp->rec_flags &= (uint16_t)~RF_RACK;
}

/* SND.UNA has moved: what is compared with it must not stay behind for ever. */
void tcp_rack_una(struct tcpcb *tp)
{
	/* Nor rack_sent, which wraps: nothing is left to compare it with. */
	if (tp->snd_una == tp->snd_nxt)
		tp->rec_flags &= (uint16_t)~RF_RACK;
	if ((tp->rec_flags & RF_DSACK_ROUND) && seq_geq(tp->snd_una, tp->dsack_end))
		tp->rec_flags &= (uint16_t)~RF_DSACK_ROUND;
	if ((tp->rec_flags & (RF_ECN_CWR | RF_CWR_DUE)) == RF_ECN_CWR &&
	    seq_geq(tp->snd_una, tp->ecn_end))
		tp->rec_flags &= (uint16_t)~RF_ECN_CWR;
}
