/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * watch.c - what must be true of what a host sends, seen from outside
 *
 * A watcher counts for itself what its host was told and has said; the control
 * block it asks where nothing else knows: cwnd, the scoreboard, the state.
 * Each function that fails says which rule was broken, and by whom.
 *
 *	watch_heard()	a segment has come
 *	watch_events()	what the engine made of it, or of time
 *	watch_sent()	a segment goes, whoever made it
 *	watch_output()	... and the block is as it was left behind it
 *	watch_idle()	tcp_output() has nothing more to say
 *	watch_timer()	tcp_timers() was run
 */
#include <inttypes.h>
#include <string.h>

#include "tests/sim/sim.h"
#include "stack/engine/tcp_seq.h"

#define RTO_MAX_US	120000000u	/* RFC 6298, 2.5 */
#define ACK_MAX_US	500000u		/* RFC 9293, MUST-40 */
#define UTO_MIN_S	100u		/* RFC 5482, 3.1 */
#define UTO_MAX_S	3600u

static char name(const struct host *h)
{
	return "AB"[h->idx];
}

static struct host *peer_of(struct host *h)
{
	return &h->sim->host[!h->idx];
}

/* RFC 2883, 4: the first block may say what came twice. */
static bool is_dsack(const struct tcp_seg *seg)
{
	return seg->n_sack && (seq_leq(seg->sack[0].end, seg->ack) ||
			       (seg->n_sack > 1 && seq_leq(seg->sack[1].start, seg->sack[0].start) &&
				seq_geq(seg->sack[1].end, seg->sack[0].end)));
}

/* Every SACK block is of octets that this host really keeps. */
static void watch_sack(struct host *h, const struct tcp_seg *seg)
{
	unsigned int i;

	for (i = 0; i < seg->n_sack; i++) {
		bool twice = !i && is_dsack(seg);
		uint32_t at = seg->sack[i].start;
		const struct piece *p;

		if (twice && seq_leq(seg->sack[i].end, h->rcv_nxt))
			continue;
		if (twice)
			at = seq_max(at, h->rcv_nxt);

		/* Ascending, so one pass is enough. */
		for (p = h->ooo; p; p = p->next)
			if (seq_leq(p->seq, at) && seq_gt(p->seq + p->len, at))
				at = p->seq + p->len;
		if (seq_lt(at, seg->sack[i].end) ||
		    (!twice && seq_leq(seg->sack[i].start, h->rcv_nxt)))
			sim_fail(h->sim, "%c SACKs what it does not hold", name(h));
		for (p = h->ooo; p; p = p->next)
			if (p->seq + p->len == at && at != seg->sack[i].end && !twice)
				sim_fail(h->sim, "%c SACKs less than it holds", name(h));
	}
}

/* RFC 7661: cwnd is no more than twice what the path has been shown to take, and what
 * one ACK adds to it then; and in recovery no more than was in flight. */
static void watch_cwnd(struct host *h)
{
	const struct tcpcb *tp = &h->tp;
	uint32_t smss = tcp_eff_mss(tp);

	if (tp->state < TCPS_ESTABLISHED)
		return;
	h->w.peak = max_u32(h->w.peak, tp->snd_nxt - tp->snd_una);
	smss = h->w.smss = max_u32(h->w.smss, smss);
	if (tp->snd_cwnd > max_u32(10 * smss, 3 * h->w.peak) + 9 * smss)
		sim_fail(h->sim, "%c: cwnd is %" PRIu32 ", but never more than %" PRIu32
			 " were in flight", name(h), tp->snd_cwnd, h->w.peak);
	if (tp->ca_state == TCP_CA_RECOVERY &&
	    tp->snd_cwnd > max_u32(h->w.peak, tp->snd_ssthresh) + 2 * smss)
		sim_fail(h->sim, "%c: in recovery cwnd is %" PRIu32 ", ssthresh %" PRIu32,
			 name(h), tp->snd_cwnd, tp->snd_ssthresh);
}

/* RFC 3168: ECT where both agreed, on new data alone; CWR only where ECT is. */
static void watch_ecn(struct host *h, const struct tcp_seg *seg)
{
	bool agreed = h->tp.rec_flags & RF_ECN;

	if (seg->ecn && (!agreed || !seg->len || seg->is_rexmt))
		sim_fail(h->sim, "%c: ECT where it must not be", name(h));
	if ((seg->flags & TCP_TH_CWR) && !(seg->flags & TH_SYN) && !seg->ecn)
		sim_fail(h->sim, "%c: CWR without ECT", name(h));
}

/* RFC 6298, 5.5: between expiries for the same octet the RTO doubles, unless a
 * round trip was measured meanwhile (SACK told of new data). */
static void watch_backoff(struct host *h, const struct tcp_seg *seg)
{
	uint64_t now = clock_us(h), gap = now - h->w.rto_at;

	if (!seg->n_rexmt || seg->seq != h->tp.snd_una || seg->n_rexmt == h->w.rto_n)
		return;
	if (h->w.rto_n && h->w.rto_una == seg->seq && seg->n_rexmt == h->w.rto_n + 1 &&
	    h->w.rto_srtt == h->tp.srtt_us && h->w.rto_rttvar == h->tp.rttvar_us) {
		if (h->w.rto_gap && gap + 2000 < min_u32(RTO_MAX_US, 2 * (uint32_t)h->w.rto_gap))
			sim_fail(h->sim, "%c does not back off: %" PRIu64 " us after %" PRIu64,
				 name(h), gap, h->w.rto_gap);
		/* Far longer than RTO: the timer had been set before a measurement. */
		h->w.rto_gap = gap < 2ull * h->tp.rto_us ? gap : 0;
	} else {
		h->w.rto_gap = 0;
	}
	h->w.rto_srtt = h->tp.srtt_us;
	h->w.rto_rttvar = h->tp.rttvar_us;
	h->w.rto_at = now;
	h->w.rto_una = seg->seq;
	h->w.rto_n = seg->n_rexmt;
}

/* RFC 5681, 3.2: before the third duplicate ACK has been answered, count.  What
 * is not acceptable is no duplicate: its ACK is not looked at (RFC 9293,
 * 3.10.7.4, first). */
void watch_dupack(struct host *h, const struct tcp_seg *seg, bool was_open)
{
	uint32_t top = seg->flags & TH_ACK ? seg->ack : h->tp.snd_una;
	unsigned int i;

	for (i = is_dsack(seg); i < seg->n_sack; i++)
		top = seq_max(top, seg->sack[i].end);
	/* What moves SND.UNA is no duplicate. */
	if (h->w.dup_una != h->tp.snd_una) {
		h->w.dup_una = h->tp.snd_una;
		h->w.dup_top = top;
		h->w.n_dup = 0;
		h->w.una_resent = false;
		return;
	}
	if (!was_open || seg->ack != h->tp.snd_una || h->tp.state < TCPS_ESTABLISHED ||
	    seq_leq(top, h->w.dup_top) || seq_gt(top, h->tp.snd_nxt))
		return;
	h->w.dup_top = top;
	h->w.n_dup++;
}

/* What should be in the network (RFC 6675, 4): FlightSize less what is SACKed and lost.
 * After RTO duplicate ACKs are for what was sent again, until something new was. */
static uint32_t pipe_of(const struct tcpcb *tp)
{
	uint32_t out = tp->lost_out, flight = tp->snd_nxt - tp->snd_una;

	if (tp->flags & TF_SACK)
		out += tp->sacked_out;
	else if (tp->ca_state != TCP_CA_LOSS || seq_gt(tp->snd_nxt, tp->recover))
		out += min_u32(tp->dupacks * tcp_eff_mss(tp), flight);
	return flight > out ? flight - out : 0;
}

/* Where the path reorders, RACK waits for a part of a round trip. */
static void watch_fast_rexmt(struct host *h)
{
	if (h->tp.rec_flags & RF_REORDERING)
		return;
	/* All that has arrived was sent before leaps of the clock, so many
	 * minutes ago that it tells RACK nothing: RTO has to do. */
	if (!(h->tp.rec_flags & RF_RACK))
		return;
	/* Sent again when it was not the first yet, later than what is SACKed */
	if (h->tp.n_runs && (h->tp.run[0].mark & RUN_AGAIN))
		return;
	/* A tail loss probe went over what is SACKed now: RACK cannot tell which
	 * of the two has arrived (RFC 8985, 6.2, step 2). */
	if (h->tp.flags & TF_TLP_OUT)
		return;
	/* A probe for a larger MTU was lost, no congestion; but there was a mark, and
	 * cwnd has no room for it yet. */
	if (h->tp.ca_state == TCP_CA_LOSS && pipe_of(&h->tp) + tcp_eff_mss(&h->tp) > h->tp.snd_cwnd)
		return;
	if (h->tp.state >= TCPS_ESTABLISHED && h->w.dup_una == h->tp.snd_una &&
	    h->w.n_dup >= 3 && !h->w.una_resent && (h->tp.flags & TF_SACK))
		sim_fail(h->sim, "%c: three duplicate ACKs and no fast retransmit", name(h));
}

/* --- what was said and heard -------------------------------------------------------- */

/* Snd.Wind.Shift or Rcv.Wind.Shift, RFC 7323, 2.2: both sides have the option, or none. */
static unsigned int shift(const struct host *h, unsigned int option)
{
	return h->w.ws_said && h->w.ws_heard ? min_u32(option, 14) : 0;
}

/* The peer's SYN, which was taken. */
void watch_syn(struct host *h, const struct tcp_seg *seg)
{
	struct watch *w = &h->w;

	w->syn_heard = true;
	w->mss = seg->mss;
	w->ws_heard = seg->wscale != TCP_WS_NONE;
	w->wscale = seg->wscale;
	w->ts_heard = seg->has_ts;
	/* Opened fast, we may use its window before it has acknowledged anything. */
	if (seg->flags & TH_ACK)
		return;
	w->edge = h->iss + 1 + seg->wnd;
	w->has_edge = true;
}

/* Wholly below RCV.NXT as it was: not acceptable, no sign of life. */
static bool is_old(const struct host *h, const struct tcp_seg *seg)
{
	uint32_t end = seg->seq + seg->len + !!(seg->flags & TH_SYN) + !!(seg->flags & TH_FIN);

	if (!h->w.n_connected)
		return false;
	return end != seg->seq ? seq_leq(end, h->rcv_nxt) : seq_lt(seg->seq, h->rcv_nxt);
}

/* After tcp_input() has judged it; the owner has not yet taken what came. */
void watch_heard(struct host *h, const struct tcp_seg *seg)
{
	struct watch *w = &h->w;
	uint32_t edge;

	if (!is_old(h, seg)) {
		w->heard_us = clock_us(h);
		w->n_leaps = 0;
		/* MUST-37: what answers probes of a shut window is progress, but for a
		 * user who has said otherwise. */
		if (!h->opts.user_timeout_ms && (!h->tp.snd_wnd || (h->tp.flags & TF_PERSIST)))
			w->progress_us = w->heard_us;
	}
	if (seg->flags & TH_RST)
		return;
	if (seg->flags & TH_SYN && !w->syn_heard && seg->seq == h->tp.irs)
		watch_syn(h, seg);
	if (seg->uto & 0x7fff && w->adv_uto_s)
		w->remote_uto_s = (uint16_t)min_u32(UTO_MAX_S, (seg->uto & 0x7fff) *
						    (seg->uto & TCP_UTO_MINUTES ? 60u : 1));
	/* An ACK of the connection before says nothing. */
	if (!(seg->flags & TH_ACK) || !w->syn_heard || seq_leq(seg->ack, h->iss) ||
	    seq_gt(seg->ack, h->tp.snd_max))
		return;
	/* However late it comes: what was offered once may be used. */
	edge = seg->ack + ((uint32_t)seg->wnd << (seg->flags & TH_SYN ? 0 : shift(h, w->wscale)));
	if (!w->has_edge || seq_gt(edge, w->edge))
		w->edge = edge;
	w->has_edge = true;
}

/* Nothing beyond the largest window that was offered, but FIN and a probe of one octet
 * when nothing else is on its way (RFC 9293, 3.8.6.1). */
static void watch_window(struct host *h, const struct tcp_seg *seg)
{
	const struct watch *w = &h->w;
	bool is_probe = seg->len == 1 && seg->seq == h->tp.snd_una && seg->seq == w->edge;

	if (!seg->len || (seg->flags & TH_SYN) || !w->has_edge)
		return;
	if (seq_gt(seg->seq + seg->len, w->edge + is_probe))
		sim_fail(h->sim, "%c sends beyond the window: %" PRIu32 " octets", name(h),
			 seg->seq + seg->len - w->edge);
}

/* RFC 6691: text and options together are no more than the peer's MSS, or the default;
 * what the owner allows at most is of text alone. */
static void watch_mss(struct host *h, const struct tcp_seg *seg, uint32_t n_opt)
{
	uint32_t mss = h->w.mss ? h->w.mss : h->cfg.mss_default ? h->cfg.mss_default : 536;

	if (h->cfg.eff_mss_max && seg->len > h->cfg.eff_mss_max)
		sim_fail(h->sim, "%c: %" PRIu32 " octets of text", name(h), seg->len);
	/* 48: no less is believed. */
	if (h->w.syn_heard && seg->len && !(seg->flags & TH_SYN) &&
	    seg->len + n_opt > (mss < 48 ? 48 : mss))
		sim_fail(h->sim, "%c: %" PRIu32 " and %" PRIu32 " octets, to an MSS of %" PRIu32,
			 name(h), seg->len, n_opt, mss);
}

/* ACK never goes back, the window's right edge is never taken back (SHLD-14): but for
 * what the scale cannot express. */
static void watch_ack(struct host *h, const struct tcp_seg *seg)
{
	unsigned int s = seg->flags & TH_SYN ? 0 : shift(h, h->tp.rcv_scale);
	struct watch *w = &h->w;
	uint32_t edge = seg->ack + ((uint32_t)seg->wnd << s);

	if (!(seg->flags & TH_ACK) || (seg->flags & TH_RST))
		return;
	if (w->has_said && seq_lt(seg->ack, w->ack))
		sim_fail(h->sim, "%c: ACK goes back by %" PRIu32, name(h), w->ack - seg->ack);
	/* A SYN,ACK that is sent again cannot say more. */
	if (w->has_said && !(seg->flags & TH_SYN) && seq_leq(edge + (1u << s), w->said_edge))
		sim_fail(h->sim, "%c: the window shrinks by %" PRIu32, name(h), w->said_edge - edge);
	w->ack = seg->ack;
	w->said_edge = w->has_said ? seq_max(w->said_edge, edge) : edge;
	w->has_said = true;
	if (seg->ack == h->tp.rcv_nxt)
		w->unacked_us = 0;
}

/* RFC 7323: once agreed on, in every segment; TSval never goes back, and TSecr is one
 * that the peer has sent. */
void watch_tsval(struct host *h, const struct tcp_seg *seg)
{
	const struct host *peer = peer_of(h);

	if (!seg->has_ts) {
		if (h->w.ts_said && h->w.ts_heard && !(seg->flags & TH_RST))
			sim_fail(h->sim, "%c: no timestamp", name(h));
		return;
	}
	if (h->has_tsval && seq_lt(seg->tsval, h->tsval))
		sim_fail(h->sim, "%c: TSval goes back by %" PRIu32, name(h), h->tsval - seg->tsval);
	h->tsval = seg->tsval;
	h->has_tsval = true;
	if ((seg->flags & TH_ACK) && !(seg->flags & TH_RST) &&
	    (!peer->has_tsval || seq_gt(seg->tsecr, peer->tsval)))
		sim_fail(h->sim, "%c: TSecr was never sent", name(h));
}

/* What is sent again is what was sent: octet by octet of the stream, wherever it is cut. */
static void watch_text(struct host *h, const struct tcp_seg *seg, const uint8_t *text)
{
	uint32_t at = seg->seq + !!(seg->flags & TH_SYN) - (h->iss + 1);

	if (!seg->len)
		return;
	if (text[0] != pattern(h->idx, h->sim->life, at) ||
	    text[seg->len - 1] != pattern(h->idx, h->sim->life, at + seg->len - 1))
		sim_fail(h->sim, "%c: other octets than belong at %" PRIu32, name(h), at);
}

/* RFC 9293, 3.8.5: what precedes the end of urgent data says where it is. */
static void watch_urgent(struct host *h, const struct tcp_seg *seg)
{
	uint32_t at = seg->seq - (h->iss + 1);
	uint32_t end = h->w.urg_end;
	bool is_open = seq_gt(h->iss + 1 + end, h->tp.snd_una);
	bool precedes = end && is_open && !(seg->flags & (TH_SYN | TH_RST)) && (int32_t)(end - at) > 0;

	if (precedes != !!(seg->flags & TH_URG))
		sim_fail(h->sim, "%c: URG %s", name(h), precedes ? "is missing" : "for nothing");
	if (precedes && seg->up != min_u32(end - at, 65535))
		sim_fail(h->sim, "%c: SEG.UP is %u, not %" PRIu32, name(h), seg->up, end - at);
}

/* @seg goes, with @n_opt octets of options. */
void watch_sent(struct host *h, const struct tcp_seg *seg, uint32_t n_opt, const uint8_t *text)
{
	if (seg->flags & TH_SYN) {
		h->w.ws_said = seg->wscale != TCP_WS_NONE;
		h->w.ts_said = seg->has_ts;
	}
	watch_window(h, seg);
	watch_mss(h, seg, n_opt);
	watch_ack(h, seg);
	watch_tsval(h, seg);
	watch_text(h, seg, text);
	watch_urgent(h, seg);
}

/* --- cwnd ----------------------------------------------------------------------------- */

/* Before tcp_output() decides. */
void watch_before(struct host *h)
{
	h->w.pipe = pipe_of(&h->tp);
	h->w.eff_mss = tcp_eff_mss(&h->tp);
}

/* RFC 5681: what goes has room in cwnd, or is alone.  A probe for a lost tail, the rescue
 * and the first segment after a partial ACK without SACK do not ask. */
static void watch_cwnd_sent(struct host *h, const struct tcp_seg *seg)
{
	const struct tcpcb *tp = &h->tp;
	uint32_t end = seg->seq + seg->len + !!(seg->flags & TH_FIN), pipe = h->w.pipe;

	if (!seg->len || (seg->flags & TH_SYN) || !pipe || pipe + seg->len <= tp->snd_cwnd)
		return;
	/* The window may cut a probe of old octets. */
	if ((tp->flags & TF_TLP_OUT) && tp->tlp_end == tp->snd_nxt &&
	    (end == tp->snd_nxt || (tp->flags & TF_TLP_REXMT)))
		return;
	if (seg->is_rexmt && ((tp->flags & TF_RESCUE) || !(tp->flags & TF_SACK)))
		return;
	/* Just then the path's MTU was forgotten: a duplicate ACK stands for more. */
	if (!(tp->flags & TF_SACK) && tp->dupacks && tcp_eff_mss(tp) != h->w.eff_mss)
		return;
	sim_fail(h->sim, "%c: %" PRIu32 " octets in the network and %" PRIu32 " more, cwnd is %"
		 PRIu32, name(h), pipe, seg->len, tp->snd_cwnd);
}

/* --- no stall -------------------------------------------------------------------------- */

/* Octets that were never sent. */
static uint32_t unsent(const struct host *h)
{
	const struct tcpcb *tp = &h->tp;
	uint32_t flight = tp->snd_nxt - tp->snd_una;

	if (tp->state < TCPS_ESTABLISHED || tp->state >= TCPS_FIN_WAIT_2 ||
	    (tp->flags & TF_SENTFIN) || h->so_snd.cc < flight)
		return 0;
	return h->so_snd.cc - flight;
}

/* Something is to be sent, or was and is not acknowledged. */
static bool has_work(const struct host *h)
{
	const struct tcpcb *tp = &h->tp;

	if (tp->state == TCPS_CLOSED || tp->state == TCPS_LISTEN)
		return false;
	return tp->snd_nxt != tp->snd_una || unsent(h) ||
	       ((tp->flags & TF_CLOSE) && !(tp->flags & TF_SENTFIN));
}

/* What could go has gone: a full segment that window and cwnd have room for; all there
 * is, if nothing is on its way (neither Nagle nor SWS avoidance says otherwise). */
static void watch_stall(struct host *h)
{
	const struct tcpcb *tp = &h->tp;
	uint32_t avail = unsent(h), mss = tcp_eff_mss(tp), pipe = pipe_of(tp);
	uint32_t usable = seq_diff(tp->snd_nxt, tp->snd_una + tp->snd_wnd);
	bool corked = tp->uflags & (TU_CORK | TU_MORE);

	if (!avail)
		return;
	/* RFC 4821: what will be a probe waits for room. */
	if (avail >= mss && usable >= mss && (!pipe || (pipe <= tp->snd_cwnd &&
	    mss <= tp->snd_cwnd - pipe)) && !(pipe && (tp->uflags & TU_SEARCH)))
		sim_fail(h->sim, "%c: a full segment could go, and does not", name(h));
	if (tp->snd_nxt == tp->snd_una && usable >= avail && !corked)
		sim_fail(h->sim, "%c: nothing is on its way, and nothing goes", name(h));
}

/* Who has something to do looks again in RTO's maximum at last. */
static void watch_patience(struct host *h)
{
	uint64_t at = tcp_poll_at(&h->tp), now = clock_us(h);

	if (has_work(h) && (at == UINT64_MAX || (at > now && at - now > RTO_MAX_US)))
		sim_fail(h->sim, "%c: nothing is going to happen soon, in %s", name(h),
			 tcps_names[h->tp.state]);
}

/* RFC 9293, MUST-40: no ACK waits for half a second. */
static void watch_delayed_ack(struct host *h)
{
	struct watch *w = &h->w;

	if (h->tp.state < TCPS_ESTABLISHED) {
		w->unacked_us = 0;
		return;
	}
	if (h->rcv_nxt == w->rcv_nxt) {
		if (w->unacked_us && clock_us(h) - w->unacked_us > ACK_MAX_US)
			sim_fail(h->sim, "%c: an ACK waits for %" PRIu64 " us", name(h),
				 clock_us(h) - w->unacked_us);
		return;
	}
	w->rcv_nxt = h->rcv_nxt;
	if (!w->unacked_us && w->ack != h->rcv_nxt)
		w->unacked_us = clock_us(h);
}

/* --- how long it is tried --------------------------------------------------------------- */

/* RFC 9293, 3.8.3, R2, and RFC 5482, 3.1.  0: the retries decide. */
static uint64_t patience_us(const struct host *h)
{
	uint32_t s = max_u32(max_u32(h->w.adv_uto_s, h->w.remote_uto_s), UTO_MIN_S);

	if (h->opts.user_timeout_ms)
		return h->opts.user_timeout_ms * 1000ull;
	return h->w.adv_uto_s && h->w.remote_uto_s ? min_u32(s, UTO_MAX_S) * 1000000ull : 0;
}

static void watch_progress(struct host *h)
{
	struct watch *w = &h->w;

	/* What Nagle or cork held back counts from when it goes. */
	if (w->una != h->tp.snd_una || !w->had_work ||
	    (!w->had_flight && h->tp.snd_nxt != h->tp.snd_una))
		w->progress_us = clock_us(h);
	w->had_flight = h->tp.snd_nxt != h->tp.snd_una;
	w->una = h->tp.snd_una;
	w->had_work = has_work(h);
}

/* Not before the user's time is over, nor long after it: but for a clock that leaps. */
static void watch_end(struct host *h)
{
	uint64_t us = patience_us(h), now = clock_us(h), for_us = now - h->w.progress_us;

	/* A silence counts likewise, where keep-alive asks. */
	if (us && for_us < us && now - h->w.heard_us < us)
		sim_fail(h->sim, "%c gives up after %" PRIu64 " us of %" PRIu64, name(h), for_us, us);
	if (us && for_us > us + 1000 && h->w.had_work && !h->plan.stop_ppm)
		sim_fail(h->sim, "%c gives up only after %" PRIu64 " us of %" PRIu64, name(h),
			 for_us, us);
}

/* ... nor long after it. */
void watch_timer(struct host *h)
{
	uint64_t us = patience_us(h), now = clock_us(h);

	if (us && has_work(h) && now - h->w.progress_us > us + 1000)
		sim_fail(h->sim, "%c does not give up after %" PRIu64 " us of %" PRIu64, name(h),
			 now - h->w.progress_us, us);
}

/* --- what others call ------------------------------------------------------------------- */

void watch_init(struct host *h)
{
	h->w = (struct watch){ .dup_una = h->tp.snd_una, .una = h->tp.snd_una,
			       .progress_us = clock_us(h), .heard_us = clock_us(h), .adv_uto_s = h->opts.adv_uto_s };
}

void watch_events(struct host *h, const struct tcp_rx *rx)
{
	struct watch *w = &h->w;
	uint32_t up = h->tp.rcv_up - (h->tp.irs + 1);

	if (rx->events & TCP_EV_CONNECTED && w->n_connected++)
		sim_fail(h->sim, "%c is connected twice", name(h));
	if (rx->events & TCP_EV_SYN_ACKED)
		w->progress_us = clock_us(h);
	if (rx->events & TCP_EV_TIMEDOUT)
		watch_end(h);
	if (!(rx->events & TCP_EV_URG))
		return;
	if (up <= w->urg_told || up > peer_of(h)->w.urg_end)
		sim_fail(h->sim, "%c is told of urgent data up to %" PRIu32 ", before %" PRIu32
			 ", there is %" PRIu32, name(h), up, w->urg_told, peer_of(h)->w.urg_end);
	w->urg_told = up;
}

void watch_output(struct host *h, const struct tcp_seg *seg)
{
	watch_sack(h, seg);
	watch_backoff(h, seg);
	watch_ecn(h, seg);
	watch_cwnd_sent(h, seg);
	if (seg->is_rexmt && seg->seq == h->tp.snd_una)
		h->w.una_resent = true;
}

void watch_idle(struct host *h)
{
	watch_fast_rexmt(h);
	watch_cwnd(h);
	watch_stall(h);
	watch_patience(h);
	watch_delayed_ack(h);
	watch_progress(h);
}
