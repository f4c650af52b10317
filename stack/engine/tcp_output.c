/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tcp_output.c - should something be sent?  A decision, then a construction
 *
 * DOC: the order of decisions
 *
 * tcp_output() gives one segment for each call, the most urgent first: an RST
 * that is owed; a SYN; an ACK that must not wait for data, because duplicate
 * ACKs and SACK blocks speak best alone; what was lost; new data and FIN; the
 * probes, for a shut window, a lost tail, a silent peer; an ACK.  Each call
 * uses up what made it speak, so the owner's loop ends.
 *
 * The sending side is in one of three states (4.4BSD's words):
 *	idle		nothing outstanding, nothing to send
 *	persisting	something to send, nothing outstanding, window shut
 *	transmitting	something outstanding: the retransmission timer runs
 *
 * Whether new data goes is tcp_sendable(): the peer's window, cwnd against
 * tcp_pipe(), silly window avoidance and Nagle.  How much the peer may send
 * is tcp_select_window().
 *
 * Supported standards: RFC 9293, 5681, 6675, 7323, 2018, 2883, 3042, 3168, 7413, 8985,
 * 4821.
 * Nagle is Minshall's variant, as in Linux: a short segment waits only for
 * another short one.  With segments of 60 KiB and delayed ACKs the original
 * would hold the tail of most writes for 40 ms.
 */
#include <string.h>

#include "stack/engine/tcp_fsm.h"
#include "stack/engine/tcp_var.h"

#define NO_CWND		UINT32_MAX

/* --- how much --------------------------------------------------------------- */

/**
 * tcp_eff_mss() - Eff.snd.MSS of RFC 9293, 3.7.1: payload of a full segment
 *
 * Where the owner's bound is a multiple of its 4 KiB buffers, segments that
 * are large are as well: then each begins at the start of a buffer.
 */
uint32_t tcp_eff_mss(const struct tcpcb *tp)
{
	uint32_t mss = tcp_path_mss(tp);

	if (tp->flags & TF_TS)
		mss -= 12;
	if (tp->eff_mss_max && mss > tp->eff_mss_max)
		mss = tp->eff_mss_max;
	if (tp->eff_mss_max >= 8192 && tp->eff_mss_max % 4096 == 0 && mss >= 8192)
		mss -= mss % 4096;
	return mss;
}

/* Octets of so_snd beyond SND.NXT. */
static uint32_t unsent(const struct tcpcb *tp, const struct tcp_view *v)
{
	uint32_t out = tcp_flight_size(tp);

	if (!tcps_may_send(tp->state) || tcp_fin_outstanding(tp))
		return 0;
	return v->snd_cc > out ? v->snd_cc - out : 0;
}

/* Octets the peer's window takes beyond SND.NXT. */
static uint32_t usable_window(const struct tcpcb *tp)
{
	return seq_diff(tp->snd_nxt, tcp_wnd_end(tp));
}

/* Octets from @seq to the end of a record; UINT32_MAX: there is none. */
static uint32_t record(const struct tcpcb *tp, const struct tcp_view *v, uint32_t seq)
{
	return v->record ? max_u32(v->record(v->owner, seq - tp->snd_una), 1) : UINT32_MAX;
}

/* May @len new octets go, as far as cwnd is concerned? */
static bool cwnd_allows(const struct tcpcb *tp, uint32_t len, uint32_t cwnd)
{
	uint32_t pipe = tcp_pipe(tp);

	return !pipe || (pipe <= cwnd && len <= cwnd - pipe);
}

static uint32_t sendable(const struct tcpcb *tp, const struct tcp_view *v, uint32_t cwnd,
			 bool *fin)
{
	uint32_t avail = unsent(tp, v);
	uint32_t usable = usable_window(tp);
	uint32_t rec = record(tp, v, tp->snd_nxt);
	uint32_t mss = tcp_eff_mss(tp);
	uint32_t len = min_u32(min_u32(avail, usable), min_u32(mss, rec));

	/* FIN needs no room at the receiver: it goes even if the window is shut. */
	*fin = tcps_fin_pending(tp->state) && !(tp->flags & TF_SENTFIN) && len == avail;

	if (!len || !cwnd_allows(tp, len, cwnd)) {
		*fin = *fin && !len;
		return 0;
	}
	/* RFC 9293, 3.8.6.2.1: (1) a full segment, or one that nothing can fill
	 * because a record ends and more follows; */
	if (len == mss || (len == rec && len < avail) || *fin)
		return len;
	/* (2) all there is, unless cork or Nagle say otherwise, */
	if (len == avail) {
		if (tp->uflags & (TU_SND_UP | TU_PUSH))
			return len;
		if (tp->uflags & (TU_CORK | TU_MORE))
			return 0;
		if ((tp->flags & TF_NODELAY) || seq_leq(tp->snd_sml, tp->snd_una) ||
		    seq_gt(tp->snd_sml, tp->snd_nxt))
			return len;
		return 0;
	}
	/* (3) a good part of the peer's buffer; (4) is the persist timer. */
	if (len >= tp->max_sndwnd / 2)
		return len;
	return 0;
}

/* Nothing new went: if cwnd was why, it may grow (tcp_cc.c). */
static void note_cwnd_full(struct tcpcb *tp, const struct tcp_view *v, uint32_t cwnd)
{
	uint32_t len = min_u32(min_u32(unsent(tp, v), usable_window(tp)), tcp_eff_mss(tp));

	len = min_u32(len, record(tp, v, tp->snd_nxt));
	if (len && !cwnd_allows(tp, len, cwnd))
		tp->cwnd_full_end = tp->snd_nxt;
}

/**
 * tcp_sendable() - What could be sent for the first time now?
 * @fin:	Set: FIN would go, with the data or alone
 * Return: octets
 */
uint32_t tcp_sendable(const struct tcpcb *tp, const struct tcp_view *v, bool *fin)
{
	return sendable(tp, v, tp->snd_cwnd, fin);
}

/* The largest window we ever offer: what the field can express, and the user's
 * bound; but not so little that the field would be 0. */
static uint32_t largest_window(const struct tcpcb *tp)
{
	uint32_t max = 65535u << tp->rcv_scale;

	if (tp->window_clamp)
		max = min_u32(max, max_u32(tp->window_clamp, 1u << tp->rcv_scale));
	return max;
}

/**
 * tcp_select_window() - The window to offer, octets from RCV.NXT
 *
 * Never less than we promised (SHLD-14).  More only if it is worth it:
 * Fr * RCV.BUFF or Eff.snd.MSS, with Fr 1/2 (RFC 9293, 3.8.6.2.2); of what we
 * ever offer, half is always worth it.
 */
uint32_t tcp_select_window(const struct tcpcb *tp, const struct tcp_view *v)
{
	uint32_t max = largest_window(tp);
	uint32_t space = min_u32(v->rcv_space, max);
	uint32_t step = min_u32(tp->rcv_mss, tp->rcv_buf / 2);

	step = min_u32(step, max_u32(max / 2, 1));
	if (space <= tp->rcv_wnd || space - tp->rcv_wnd < step)
		return tp->rcv_wnd;
	return space;
}

/* --- construction ------------------------------------------------------------ */

/* SACK blocks, as many as header, peer's MSS and path leave room for. */
static void fill_sack(struct tcpcb *tp, struct tcp_seg *out)
{
	uint32_t opt = out->has_ts ? 12 : 0;
	uint32_t room = 40 - opt, mss = tcp_path_mss(tp);

	if (!(tp->flags & TF_SACK) || (!tp->n_ooo && !(tp->rec_flags & RF_DSACK)))
		return;
	if (out->len)
		room = min_u32(room, mss - min_u32(mss, opt + out->len));
	if (room >= 12)
		tcp_reass_sack(tp, out, (room - 4) / 8);
}

/* RFC 5482, 3.2: also in the first segment without SYN, in case that was dropped,
 * and when it changes. */
static void fill_uto(struct tcpcb *tp, struct tcp_seg *out)
{
	uint32_t used = (out->has_ts ? 12 : 0) + out->len;

	if (!(tp->uflags & TU_UTO_DUE) || out->n_sack || used + 4 > tcp_path_mss(tp))
		return;
	tp->uflags &= ~TU_UTO_DUE;
	out->uto = tcp_uto_field(tp->adv_uto_s);
}

/* ACK, window and options of a segment that is sent when synchronized. */
static void fill_ack(struct tcpcb *tp, const struct tcp_view *v, uint64_t now_us,
		     struct tcp_seg *out)
{
	uint32_t wnd = tcp_select_window(tp, v) >> tp->rcv_scale;
	uint32_t old = tp->rcv_wnd;

	out->flags |= TH_ACK;
	if (tp->rec_flags & RF_ECE)
		out->flags |= TCP_TH_ECE;
	out->ack = tp->rcv_nxt;
	out->wnd = (uint16_t)min_u32(wnd, 65535);
	/* What rounding hides from the peer stays promised. */
	tp->rcv_wnd = max_u32(tp->rcv_wnd, (uint32_t)out->wnd << tp->rcv_scale);

	if (tp->flags & TF_TS) {
		out->has_ts = true;
		out->tsval = tcp_tsval(tp, now_us);
		out->tsecr = tp->ts_recent;
		/* It acknowledges, and the window's right edge moves. */
		if (tp->rcv_nxt != tp->last_ack_sent && tp->rcv_wnd > old)
			tp->ack_ts = (uint16_t)out->tsval;
	}
	fill_sack(tp, out);
	fill_uto(tp, out);
	tp->last_ack_sent = tp->rcv_nxt;
	tp->flags &= ~(TF_ACKNOW | TF_SHORT);
	tp->uflags &= ~TU_CHALLENGE;
	tcp_timer_ack_sent(tp);
}

/* RFC 9293, 3.8.5: while urgent data is outstanding, whatever precedes it says
 * where it ends. */
static void fill_urg(const struct tcpcb *tp, struct tcp_seg *out)
{
	if (!(tp->uflags & TU_SND_UP) || seq_geq(out->seq, tp->snd_up))
		return;
	out->flags |= TH_URG;
	out->up = (uint16_t)min_u32(tp->snd_up - out->seq, 65535);
}

static int send_rst(struct tcpcb *tp, uint64_t now_us, struct tcp_seg *out)
{
	out->seq = tp->rst_seq;
	out->flags = TH_RST;
	if (tp->flags & TF_RST_ACK) {
		out->flags |= TH_ACK;
		out->ack = tp->rst_ack;
		/* RFC 7323, 3.2 */
		if (tp->flags & TF_TS) {
			out->has_ts = true;
			out->tsval = tcp_tsval(tp, now_us);
			out->tsecr = tp->ts_recent;
		}
	}
	tp->flags &= ~(TF_RST_DUE | TF_RST_ACK);
	return 1;
}

/* RFC 7413: the option and, in a SYN, data; once.  Return: octets of data */
static uint32_t fill_fastopen(struct tcpcb *tp, const struct tcp_view *v, bool is_answer,
			      struct tcp_seg *out)
{
	if (!(tp->uflags & TU_FO_OPT))
		return 0;
	out->fo_kind = tp->fo_kind;
	out->fo_len = tp->fo_len;
	memcpy(out->fo_cookie, tp->fo_cookie, sizeof(out->fo_cookie));
	if (!is_answer)
		out->len = min_u32(v->snd_cc, tp->fo_room);
	/* The cookie's place is recovery's now. */
	memset(tp->fo_cookie, 0, sizeof(tp->fo_cookie));
	tp->fo_kind = 0;
	tp->fo_len = 0;
	tp->fo_room = 0;
	tp->uflags &= ~TU_FO_OPT;
	if (!is_answer && out->fo_kind)
		tp->uflags |= TU_FO_ASKED;
	if (out->len)
		tp->uflags |= TU_SYN_DATA;
	tp->syn_len = (uint16_t)out->len;
	return out->len;
}

/* <SEQ=ISS><CTL=SYN> or <SEQ=ISS><ACK=RCV.NXT><CTL=SYN,ACK> */
static int send_syn(struct tcpcb *tp, const struct tcp_view *v, uint64_t now_us,
		    struct tcp_seg *out)
{
	bool is_answer = tp->state != TCPS_SYN_SENT;
	/* An answer offers what the SYN offered (RFC 7323, 1.3). */
	uint32_t has = is_answer ? tp->flags : (tp->flags & TF_REQ_SACK ? TF_SACK : 0) |
					       (tp->flags & TF_REQ_TS ? TF_TS : 0) |
					       (tp->flags & TF_REQ_WS ? TF_WS : 0);

	out->seq = tp->iss;
	out->flags = TH_SYN;
	/* The window of a SYN is not scaled (RFC 7323, 2.2). */
	out->wnd = (uint16_t)min_u32(min_u32(v->rcv_space, largest_window(tp)), 65535);
	out->mss = tp->rcv_mss;
	out->uto = tcp_uto_field(tp->adv_uto_s);
	out->sack_permitted = has & TF_SACK;
	out->wscale = has & TF_WS ? tp->rcv_scale : TCP_WS_NONE;
	if (has & TF_TS) {
		out->has_ts = true;
		out->tsval = tcp_tsval(tp, now_us);
		tp->ack_ts = (uint16_t)out->tsval;
	}
	/* RFC 3168, 6.1.1, and 6.1.1.1: again without, if it was in vain. */
	if (!is_answer && (tp->rec_flags & RF_ECN_ASK) && !(tp->flags & TF_SYN_REXMT))
		out->flags |= TCP_TH_ECE | TCP_TH_CWR;
	if (is_answer) {
		if (tp->rec_flags & RF_ECN)
			out->flags |= TCP_TH_ECE;
		out->flags |= TH_ACK;
		out->ack = tp->rcv_nxt;
		out->tsecr = has & TF_TS ? tp->ts_recent : 0;
		tp->last_ack_sent = tp->rcv_nxt;
		tp->flags &= ~TF_ACKNOW;
		tcp_timer_ack_sent(tp);
	}
	tp->rcv_wnd = max_u32(tp->rcv_wnd, out->wnd);

	tp->flags &= ~TF_SYN_DUE;
	out->is_rexmt = tp->uflags & TU_SYN_OUT ? tp->t_rexmt_us != TCP_NEVER :
						  tp->snd_nxt != tp->iss;
	out->n_rexmt = out->is_rexmt ? tp->n_rto : 0;
	if (tp->snd_nxt == tp->iss) {
		tp->snd_nxt = tp->iss + 1 + fill_fastopen(tp, v, is_answer, out);
		tp->snd_max = tp->snd_nxt;
	} else if (!out->is_rexmt) {
		fill_fastopen(tp, v, is_answer, out);
	}
	if (out->is_rexmt)
		tp->n_rexmt_total++;
	/* What answers it is the answer to the SYN, whatever of the data it takes. */
	tcp_rtt_sent(tp, out->seq, out->seq + 1, out->is_rexmt, now_us);
	tcp_timer_data_sent(tp, out, now_us);
	return 1;
}

/* @len octets of so_snd from @seq, and FIN if asked for. */
static int send_data(struct tcpcb *tp, const struct tcp_view *v, uint64_t now_us,
		     struct tcp_seg *out, uint32_t seq, uint32_t len, bool fin)
{
	uint32_t end = seq + len + fin;

	out->seq = seq;
	out->len = len;
	out->off = seq - tp->snd_una;
	if (fin)
		out->flags |= TH_FIN;
	/* Nothing follows in so_snd, nor soon; or nothing followed in our SYN; or
	 * a record ends. */
	if (len && (record(tp, v, seq) == len || (out->off + len == v->snd_cc && !(tp->uflags & TU_MORE)) ||
		    ((tp->uflags & TU_FO_REFUSED) && seq + len == tp->iss + 1 + tp->syn_len)))
		out->flags |= TH_PUSH;
	fill_urg(tp, out);
	fill_ack(tp, v, now_us, out);

	out->is_rexmt = seq_lt(seq, tp->snd_max);
	/* RFC 3168, 6.1.5: not on what is sent again, nor (6.1.6) on probes */
	if ((tp->rec_flags & RF_ECN) && len && !out->is_rexmt && !(tp->flags & TF_PERSIST)) {
		out->ecn = TCP_ECN_ECT0;
		if (tp->rec_flags & RF_CWR_DUE) {
			out->flags |= TCP_TH_CWR;
			tp->rec_flags |= RF_ECN_CWR;
			tp->ecn_end = end;
		}
		tp->rec_flags &= (uint16_t)~RF_CWR_DUE;
	}
	if (out->is_rexmt) {
		out->n_rexmt = tp->flags & TF_PERSIST ? 0 : tp->n_rto;
		out->asks = tp->flags & TF_PERSIST && tp->n_unanswered >= 2;
		tp->n_rexmt_total++;
	}
	tcp_rtt_sent(tp, seq, end, out->is_rexmt, now_us);
	return 1;
}

static int send_ack(struct tcpcb *tp, const struct tcp_view *v, uint64_t now_us,
		    struct tcp_seg *out, uint32_t seq)
{
	out->seq = seq;
	out->asks = tp->uflags & TU_CHALLENGE;
	fill_urg(tp, out);
	fill_ack(tp, v, now_us, out);
	return 1;
}

/* --- trains -------------------------------------------------------------------
 *
 * DOC: PSH
 *
 * What ends so_snd carries PSH (RFC 9293, 3.9.1.2).  So does the last full segment
 * of each train of two or more, so that the peer need not wait: Linux's TCP sends
 * that way, and what is tested against it expects it.  A train is what Linux
 * hands to its adapter at once (TSO): about a millisecond of what it would pace
 * at, more where a round trip is short, no more than half of cwnd, and two
 * segments at least.  Nothing else depends on it: each segment goes at once.
 */

/* Octets of a train, as Linux's tcp_tso_autosize() has it. */
static uint32_t train_octets(const struct tcpcb *tp)
{
	/* Linux paces at twice cwnd a round trip while it looks for ssthresh,
	 * then at 6/5 of it. */
	uint32_t rtt = tp->rec_flags & RF_MIN_RTT ? tp->min_rtt_us : tp->srtt_us;
	bool slow = tp->snd_cwnd < tp->snd_ssthresh / 2;
	uint64_t octets = (uint64_t)tp->snd_cwnd * (slow ? 10 : 6) / 5 * 1000000 /
			  max_u32(tp->srtt_us, 1) / 1024;

	if (rtt >> 9 < 32)
		octets += TCP_TRAIN_MAX >> (rtt >> 9);
	return (uint32_t)(octets < TCP_TRAIN_MAX ? octets : TCP_TRAIN_MAX);
}

/* How many segments a train that begins now may have. */
static uint8_t train_limit(const struct tcpcb *tp)
{
	uint32_t smss = tcp_eff_mss(tp), pipe = tcp_pipe(tp);
	uint32_t n = max_u32(train_octets(tp) / smss, tp->train_min);
	uint32_t room = pipe < tp->snd_cwnd ? (tp->snd_cwnd - pipe) / smss : 0;

	n = min_u32(n, max_u32(tp->snd_cwnd / smss / 2, 1));
	return (uint8_t)min_u32(min_u32(n, max_u32(room, 1)), UINT8_MAX);
}

/* Octets [@start, @end) are sent for the first time. */
static void train_goes_on(struct tcpcb *tp, uint32_t start, uint32_t end)
{
	if (!tp->train_left) {
		tp->train_left = train_limit(tp);
		tp->train_n = 0;
		tp->train_start = start;
	}
	tp->train_left--;
	tp->train_n++;
	tp->train_end = end;
}

/* Octets [@start, @end) are sent again.  Linux sends again the packets of before,
 * but for what was acknowledged of them: we take the least, pairs, and count from
 * where the last train began. */
static void train_again(struct tcpcb *tp, uint32_t start, uint32_t end)
{
	uint32_t smss = tcp_eff_mss(tp);
	uint32_t back = tp->train_start - start;

	tp->train_left = 0;
	if (tp->train_n && start == tp->train_end && back % (2 * smss) == smss)
		tp->train_n = 2;
	else
		tp->train_n = 1;
	tp->train_end = end;
}

static bool train_ends(const struct tcpcb *tp)
{
	return !tp->train_left;
}

static void train_push(const struct tcpcb *tp, struct tcp_seg *out)
{
	if (out->len && tp->train_n >= 2)
		out->flags |= TH_PUSH;
}

/* --- decisions ---------------------------------------------------------------- */

/* Send [@start, @end) again, or as much of it as one segment holds and the
 * peer's window takes.  Return: 1, or 0 if nothing went. */
static int send_again(struct tcpcb *tp, const struct tcp_view *v, uint64_t now_us,
			   struct tcp_seg *out, uint32_t start, uint32_t end)
{
	uint32_t len = min_u32(min_u32(end - start, tcp_eff_mss(tp)), record(tp, v, start));
	uint32_t data_end = tp->snd_nxt - tcp_fin_outstanding(tp);
	uint32_t data, room;
	bool fin;

	fin = start + len == tp->snd_nxt && tcp_fin_outstanding(tp);
	data = seq_diff(start, seq_min(start + len, data_end));

	/* A window that was taken back (SHLD-15): but the first octet always
	 * goes, so that the peer has something to answer. */
	room = seq_diff(start, tcp_wnd_end_meant(tp));
	if (start == tp->snd_una)
		room = max_u32(room, 1);
	if (data > room) {
		data = room;
		fin = false;
	}
	if (!data && !fin)
		return 0;
	train_again(tp, start, start + data);
	send_data(tp, v, now_us, out, start, data, fin);
	train_push(tp, out);
	tcp_loss_sent(tp, start, start + data + fin, true, now_us);
	tcp_timer_data_sent(tp, out, now_us);
	return 1;
}

/* What was lost, as far as cwnd allows. */
static int output_lost(struct tcpcb *tp, const struct tcp_view *v, uint64_t now_us,
		       struct tcp_seg *out)
{
	uint32_t start, end, n;

	/* F-RTO would rather know whether it is (RFC 5682, 2.1, step 2b). */
	if (tp->frto == FRTO_NEW || !tcp_sb_next(tp, &start, &end))
		return 0;
	/* After a partial ACK the first one does not ask cwnd (RFC 6582, 3.2, (3)),
	 * nor where duplicate ACKs tell that it is lost again after RTO (4.1). */
	n = min_u32(min_u32(end - start, tcp_eff_mss(tp)), record(tp, v, start));
	if (!cwnd_allows(tp, n, tp->snd_cwnd) && ((tp->flags & TF_SACK) || start != tp->snd_una))
		return 0;
	return send_again(tp, v, now_us, out, start, end);
}

/* Data and FIN that were never sent. */
static int output_new(struct tcpcb *tp, const struct tcp_view *v, uint64_t now_us,
		      struct tcp_seg *out, uint32_t cwnd)
{
	uint32_t len, more, probe = 0;
	bool fin, more_fin, ends_record;

	/* As mostly when an ACK comes */
	if (!unsent(tp, v) && !tcps_fin_pending(tp->state))
		return 0;
	len = sendable(tp, v, cwnd, &fin);
	if (len && (tp->uflags & TU_SEARCH) && cwnd != NO_CWND && !v->record)
		probe = tcp_mtu_probe(tp, unsent(tp, v), usable_window(tp));
	if (probe == TCP_MTU_WAIT)
		return 0;
	if (probe) {
		len = probe;
		fin = false;
		tcp_mtu_probe_sent(tp, tp->snd_nxt, len);
	}
	if (!len && !fin) {
		note_cwnd_full(tp, v, cwnd);
		return 0;
	}
	/* RFC 5681, 4.1: after a pause the path is not known any more.  Only
	 * now, so that each pause counts once. */
	if (tp->snd_nxt == tp->snd_una && now_us > tp->sent_us &&
	    now_us - tp->sent_us > tp->rto_us)
		tcp_cc_idle(tp, now_us - tp->sent_us);
	tcp_timer_window_open(tp);
	ends_record = record(tp, v, tp->snd_nxt) == len;
	train_goes_on(tp, tp->snd_nxt, tp->snd_nxt + len);
	send_data(tp, v, now_us, out, tp->snd_nxt, len, fin);

	tcp_loss_sent(tp, tp->snd_nxt, tp->snd_nxt + len + fin, false, now_us);
	tp->snd_nxt += len + fin;
	tp->snd_max = seq_max(tp->snd_max, tp->snd_nxt);
	tcp_cc_sent(tp);
	if (tcp_pipe(tp) >= tp->snd_cwnd)
		tp->cwnd_full_end = tp->snd_nxt;
	if (fin)
		tp->flags |= TF_SENTFIN;
	if (len && len < tcp_eff_mss(tp))
		tp->snd_sml = tp->snd_nxt;

	if (len && now_us - tp->heard_us < TCP_DELACK_US)
		tp->flags |= TF_PINGPONG;
	more = tcp_sendable(tp, v, &more_fin);
	if (train_ends(tp) || (more < tcp_eff_mss(tp) && (more || !more_fin)))
		train_push(tp, out);
	if (ends_record)
		tp->train_left = 0;
	tcp_timer_data_sent(tp, out, now_us);
	return 1;
}

/* The window is shut, or too small to be worth it: what fits goes now, or an
 * octet that does not fit (RFC 9293, 3.8.6.1, MUST-35).  SND.NXT passes only
 * what the window covers. */
static int output_window_probe(struct tcpcb *tp, const struct tcp_view *v, uint64_t now_us,
			       struct tcp_seg *out)
{
	uint32_t usable = usable_window(tp);
	uint32_t len = min_u32(unsent(tp, v), tcp_eff_mss(tp));

	len = min_u32(len, record(tp, v, tp->snd_nxt));
	tp->flags &= ~TF_PROBE_DUE;
	if (!len || tp->snd_nxt != tp->snd_una)
		return 0;
	if (!usable) {
		send_data(tp, v, now_us, out, tp->snd_nxt, 1, false);
		tp->snd_max = tp->snd_nxt + 1;
		return 1;
	}
	len = min_u32(len, usable);
	tcp_timer_window_open(tp);
	send_data(tp, v, now_us, out, tp->snd_nxt, len, false);
	tcp_loss_sent(tp, tp->snd_nxt, tp->snd_nxt + len, false, now_us);
	out->flags |= TH_PUSH;
	tp->snd_nxt += len;
	tp->snd_max = seq_max(tp->snd_max, tp->snd_nxt);
	tp->snd_sml = tp->snd_nxt;
	tcp_timer_data_sent(tp, out, now_us);
	return 1;
}

/* Where the last segment of [@start, @end) begins. */
static uint32_t last_segment(const struct tcpcb *tp, const struct tcp_view *v, uint32_t start,
			     uint32_t end)
{
	uint32_t n;

	start = seq_max(start, end - tcp_eff_mss(tp));
	while (seq_lt(start, end) && (n = record(tp, v, start)) < end - start)
		start += n;
	return start;
}

/* In recovery: the last segment in flight again, whatever cwnd says. */
static int output_rescue(struct tcpcb *tp, const struct tcp_view *v, uint64_t now_us,
			 struct tcp_seg *out)
{
	uint32_t start, end;

	if (!tcp_loss_rescue(tp, &start, &end))
		return 0;
	return send_again(tp, v, now_us, out, last_segment(tp, v, start, end), end);
}

/* RFC 8985, 7.3: a new segment if there is one, else the last again. */
static int output_tail_probe(struct tcpcb *tp, const struct tcp_view *v, uint64_t now_us,
			     struct tcp_seg *out)
{
	uint32_t start;

	tp->flags &= ~TF_TLP_DUE;
	if (tp->ca_state == TCP_CA_RECOVERY)
		return output_rescue(tp, v, now_us, out);
	/* What it should have provoked may have come just now. */
	if (tp->snd_nxt == tp->snd_una || tp->ca_state != TCP_CA_OPEN || tp->sacked_out)
		return 0;
	tp->flags |= TF_TLP_OUT;
	tp->flags &= ~TF_TLP_REXMT;
	if (output_new(tp, v, now_us, out, NO_CWND)) {
		tp->tlp_end = tp->snd_nxt;
		return 1;
	}
	tp->flags |= TF_TLP_REXMT;
	tp->tlp_end = tp->snd_nxt;
	start = last_segment(tp, v, tp->snd_una, tp->snd_nxt);
	if (send_again(tp, v, now_us, out, start, tp->snd_nxt))
		return 1;
	tp->flags &= ~TF_TLP_OUT;
	return 0;
}

/* Synchronized, and both directions may have something to say. */
static int output_synchronized(struct tcpcb *tp, const struct tcp_view *v, uint64_t now_us,
			       struct tcp_seg *out)
{
	/* Opened fast: nothing goes before the SYN,ACK. */
	if (tp->flags & TF_SYN_DUE)
		return send_syn(tp, v, now_us, out);
	if ((tp->flags & TF_ACKNOW) && (tp->n_ooo || (tp->rec_flags & RF_DSACK)))
		return send_ack(tp, v, now_us, out, tcp_acceptable_seq(tp));

	if (tcps_may_send(tp->state)) {
		if (output_lost(tp, v, now_us, out))
			return 1;
		if (output_new(tp, v, now_us, out, tp->snd_cwnd))
			return 1;
		if ((tp->flags & TF_PROBE_DUE) && output_window_probe(tp, v, now_us, out))
			return 1;
		if ((tp->flags & TF_TLP_DUE) && output_tail_probe(tp, v, now_us, out))
			return 1;
		/* output_new() refused: not because of cwnd or Nagle, with
		 * nothing outstanding. */
		if (!tcp_is_outstanding(tp) && unsent(tp, v))
			tcp_timer_window_shut(tp, now_us);
	}
	if (tp->flags & TF_KEEP_DUE) {
		/* An old sequence number must be answered (RFC 9293, 3.8.4). */
		tp->flags &= ~TF_KEEP_DUE;
		send_ack(tp, v, now_us, out, tp->snd_una - 1);
		out->asks |= tp->n_keep >= 2;
		return 1;
	}
	if (tp->flags & TF_ACKNOW)
		return send_ack(tp, v, now_us, out, tcp_acceptable_seq(tp));
	return 0;
}

int tcp_output(struct tcpcb *tp, const struct tcp_view *v, uint64_t now_us, struct tcp_seg *out)
{
	int n = 0;

	memset(out, 0, sizeof(*out));
	out->wscale = TCP_WS_NONE;

	if (tp->flags & TF_RST_DUE)
		return send_rst(tp, now_us, out);

	switch (tp->state) {
	case TCPS_CLOSED:
	case TCPS_LISTEN:
		break;
	case TCPS_SYN_SENT:
	case TCPS_SYN_RECEIVED:
		if (tp->flags & TF_SYN_DUE)
			n = send_syn(tp, v, now_us, out);
		else if ((tp->flags & TF_ACKNOW) && tp->state == TCPS_SYN_RECEIVED)
			n = send_ack(tp, v, now_us, out, tp->snd_nxt);
		break;
	default:
		if (v->closed)
			tcp_timer_orphan(tp, now_us);
		tcp_mtu_age(tp, now_us);
		n = output_synchronized(tp, v, now_us, out);
		break;
	}
	if (!n) {
		tp->train_n = 0;
		tp->train_left = 0;
	}
	return n;
}

/* <SEQ=@seq><CTL=RST>, from the next tcp_output(). */
void tcp_respond_rst(struct tcpcb *tp, uint32_t seq)
{
	tp->flags |= TF_RST_DUE;
	tp->flags &= ~TF_RST_ACK;
	tp->rst_seq = seq;
}

/* RFC 9293, 3.10.7.1 */
int tcp_reset_for(const struct tcp_seg *in, struct tcp_seg *out)
{
	memset(out, 0, sizeof(*out));
	out->wscale = TCP_WS_NONE;
	out->sport = in->dport;
	out->dport = in->sport;
	if (in->flags & TH_RST)
		return 0;
	out->flags = TH_RST;
	if (in->flags & TH_ACK) {
		/* <SEQ=SEG.ACK><CTL=RST> */
		out->seq = in->ack;
	} else {
		/* <SEQ=0><ACK=SEG.SEQ+SEG.LEN><CTL=RST,ACK> */
		out->flags |= TH_ACK;
		out->ack = in->seq + in->len + !!(in->flags & TH_SYN) + !!(in->flags & TH_FIN);
	}
	return 1;
}
