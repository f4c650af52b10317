/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tcp_input.c - a segment arrives
 *
 * DOC: the order of checks
 *
 * RFC 9293, 3.10.7, step by step, one function a step.  A step returns false
 * if the segment goes no further.  Nothing is sent from here: what is owed is
 * noted in flags, for tcp_output().
 *
 *	input_listen()		3.10.7.2
 *	input_syn_sent()	3.10.7.3
 *	input_others()		3.10.7.4:
 *	  check_paws()		RFC 7323, 5.3, R1
 *	  check_sequence()	first
 *	  check_rst()		second (third is security)
 *	  check_syn()		fourth
 *	  check_ack()		fifth
 *	  check_urg()		sixth
 *	  process_text()	seventh
 *	  process_fin()		eighth
 *
 * Supported standards: RFC 9293, 5961, 6093, 7323, 2018, 2883, 3168, 5681, 6582,
 * 6675, 7413.
 *
 * DOC: Fast Open (RFC 7413)
 *
 * Who listens tells before each SYN whether its cookie is good
 * (tcp_user_fastopen()).  If so the connection is ESTABLISHED by the SYN and its
 * data is taken; that our SYN,ACK is not acknowledged is a flag, TU_SYN_OUT,
 * with the retransmission timer running for it and nothing else being sent
 * again.  Else data of a SYN to a listener is not taken, the peer sends it
 * again.  Text on SYN,ACK is: the ACK shows that it answers our SYN.
 *
 * As the one who opens: what the SYN,ACK does not acknowledge of the data in our
 * SYN is lost, but not by congestion: it is sent again at once, by itself.
 *
 * DOC: a segment without timestamps, where they were agreed on
 *
 * Is taken, as Linux does.  RFC 7323, 3.2, would rather have it dropped (SHOULD):
 * then whoever meets a middlebox that strips options, or a peer that leaves them
 * out of some segments, hangs until it gives up.  PAWS loses nothing: the old
 * duplicates it is about are copies of segments, with their timestamps.  Who
 * guesses sequence numbers saves the guess of a TSval, which every second one
 * would pass; RFC 5961 holds for both.
 */
#include <string.h>

#include "stack/engine/tcp_fsm.h"
#include "stack/engine/tcp_var.h"

/* Segments in a row after which there may be an ACK for three, not for two. */
#define STEADY	256

/* A segment on its way through the steps. */
struct arrival {
	struct tcpcb *tp;
	const struct tcp_view *v;
	const struct tcp_seg *seg;
	struct tcp_rx *rx;
	uint64_t now_us;
	uint32_t seq;		/* SEG.SEQ; one more if an expected SYN was taken off */
	uint8_t flags;		/* likewise without TH_SYN */
	bool completes;		/* it acknowledges our SYN,ACK, after data has passed */
};

static bool drop(struct arrival *a)
{
	a->rx->events |= TCP_EV_DROP;
	return false;
}

static uint32_t seconds(uint64_t us)
{
	return (uint32_t)(us / 1000000);
}

static void ack_now(struct arrival *a)
{
	a->tp->flags |= TF_ACKNOW;
}

/* An ACK for what should not have come.  Two peers that find each other's
 * empty segments unacceptable must not answer for ever, and nobody shall make
 * us send at will: RFC 5961, 7. */
static void challenge(struct arrival *a)
{
	if (a->now_us < a->tp->oow_us)
		return;
	a->tp->oow_us = a->now_us + TCP_OOW_US;
	a->tp->uflags |= TU_CHALLENGE;
	ack_now(a);
}

static void closed(struct arrival *a, uint32_t events)
{
	tcp_set_state(a->tp, TCPS_CLOSED, a->now_us);
	a->rx->events |= events | TCP_EV_CLOSED;
}

/* --- SYN -------------------------------------------------------------------- */

/* RFC 3168, 6.1.1: SYN asks with ECE and CWR, SYN,ACK answers with ECE alone.  If
 * our SYN had to be sent again it did not ask, in case that was why.  When both
 * open, both must have asked. */
static void take_syn_ecn(struct arrival *a)
{
	struct tcpcb *tp = a->tp;
	uint8_t both = a->seg->flags & (TCP_TH_ECE | TCP_TH_CWR);
	bool asked = (tp->rec_flags & RF_ECN_ASK) && !(tp->flags & TF_SYN_REXMT);
	bool agreed;

	if (a->seg->flags & TH_ACK)
		agreed = asked && both == TCP_TH_ECE;
	else
		agreed = (asked || tp->state == TCPS_LISTEN) && !(tp->rec_flags & RF_ECN_OFF) &&
			 both == (TCP_TH_ECE | TCP_TH_CWR);
	tp->rec_flags &= (uint16_t)~RF_ECN;
	if (agreed)
		tp->rec_flags |= RF_ECN;
}

/* RFC 3168, 6.1.3: what the network and the peer say of congestion on the way to us. */
static void take_ecn(struct arrival *a)
{
	struct tcpcb *tp = a->tp;

	if (!(tp->rec_flags & RF_ECN))
		return;
	if (a->flags & TCP_TH_CWR)
		tp->rec_flags &= (uint16_t)~RF_ECE;
	if (a->seg->ecn != TCP_ECN_CE)
		return;
	if (!(tp->rec_flags & RF_ECE))
		ack_now(a);
	tp->rec_flags |= RF_ECE;
}

/* RFC 5482, 3.1: only if we use it as well, and 0 means nothing. */
static void take_uto(struct arrival *a)
{
	struct tcpcb *tp = a->tp;
	uint32_t s = a->seg->uto & (uint16_t)~TCP_UTO_MINUTES;

	if (!s || !tp->adv_uto_s)
		return;
	if (a->seg->uto & TCP_UTO_MINUTES)
		s *= 60;
	tp->remote_uto_s = (uint16_t)min_u32(s, TCP_UTO_MAX_S);
	tcp_timer_user(tp, a->now_us);
}

/* SEG.SEQ and the options of the peer's SYN. */
static void take_syn(struct arrival *a)
{
	struct tcpcb *tp = a->tp;
	const struct tcp_seg *seg = a->seg;

	tp->irs = seg->seq;
	tp->rcv_nxt = seg->seq + 1;
	tp->last_ack_sent = tp->rcv_nxt;
	take_syn_ecn(a);
	take_uto(a);

	/* Without the option it stays what tcp_init() made it (MUST-15). */
	if (seg->mss)
		tp->snd_mss = seg->mss > TCP_MSS_MIN ? seg->mss : TCP_MSS_MIN;
	if ((tp->uflags & TU_MSS) && tp->snd_mss > tp->rcv_mss && tp->rcv_mss >= TCP_MSS_MIN)
		tp->snd_mss = tp->rcv_mss;
	tp->flags &= ~(TF_SACK | TF_TS | TF_WS);
	if ((tp->flags & TF_REQ_SACK) && seg->sack_permitted)
		tp->flags |= TF_SACK;
	if ((tp->flags & TF_REQ_TS) && seg->has_ts) {
		tp->flags |= TF_TS | TF_TS_RECENT;
		tp->ts_recent = seg->tsval;
		tp->ts_recent_s = seconds(a->now_us);
	}
	if ((tp->flags & TF_REQ_WS) && seg->wscale != TCP_WS_NONE) {
		tp->flags |= TF_WS;
		tp->snd_scale = seg->wscale < TCP_WSCALE_MAX ? seg->wscale : TCP_WSCALE_MAX;
	} else {
		/* Both scale, or neither (RFC 7323, 2.2). */
		tp->snd_scale = 0;
		tp->rcv_scale = 0;
	}
}

/* SND.WND as it is in the field: in a SYN, it is not scaled. */
static void take_window(struct arrival *a, unsigned int shift)
{
	struct tcpcb *tp = a->tp;

	tp->snd_wnd = (uint32_t)a->seg->wnd << shift;
	tp->snd_wl1 = a->seq;
	tp->snd_wl2 = a->seg->ack;
	tp->max_sndwnd = max_u32(tp->max_sndwnd, tp->snd_wnd);
}

/* RFC 7413, 4.2.2: what of our SYN's data has arrived? */
static void syn_data_acked(struct arrival *a)
{
	struct tcpcb *tp = a->tp;

	if (!(tp->uflags & TU_SYN_DATA))
		return;
	a->rx->acked = min_u32(tp->snd_una - tp->iss - 1, a->v->snd_cc);
	if (a->rx->acked)
		a->rx->events |= TCP_EV_ACKED;
	if (tp->snd_una == tp->snd_nxt) {
		tp->uflags |= TU_SYN_DATA_OK;
		return;
	}
	tp->uflags |= TU_FO_REFUSED;
	if (tp->flags & TF_SYN_REXMT)
		tp->uflags |= TU_FO_LOST;
	/* What the peer has no room for now goes when it has. */
	tp->snd_nxt = seq_min(tp->snd_nxt, tp->snd_una + tp->snd_wnd);
	tp->snd_max = tp->snd_nxt;
}

/* Our SYN is acknowledged and the peer's has come. */
static void established(struct arrival *a)
{
	struct tcpcb *tp = a->tp;

	tp->snd_una = a->seg->ack;
	tp->n_delivered++;
	syn_data_acked(a);
	tp->snd_sml = tp->snd_una;
	tcp_rtt_acked(tp, a->seg, a->now_us);
	/* RFC 6298, 5.7 */
	if ((tp->flags & TF_SYN_REXMT) && !(tp->flags & TF_SRTT))
		tp->rto_us = max_u32(TCP_RTO_SYN_US, tp->rto_min_us);
	tcp_mtu_established(tp);
	tcp_loss_init(tp);
	tcp_cc_init(tp);
	if (tp->snd_una != tp->snd_nxt)
		tcp_loss_refused(tp, a->now_us);
	tp->flags &= ~TF_SYN_DUE;
	tcp_timer_acked(tp, a->now_us);
	tcp_set_state(tp, TCPS_ESTABLISHED, a->now_us);
	if (tp->flags & TF_CLOSE)
		tcp_set_state(tp, TCPS_FIN_WAIT_1, a->now_us);
	a->rx->events |= TCP_EV_CONNECTED;
}

static void take_text_of_syn(struct arrival *a);

/* RFC 7413, 4.2.1: the SYN had a good cookie.  Our SYN,ACK is due; as if it were
 * acknowledged, both may send. */
static void opened_fast(struct arrival *a)
{
	struct tcpcb *tp = a->tp;

	tp->uflags |= TU_SYN_OUT;
	tp->flags |= TF_SYN_DUE;
	tp->snd_una = tp->iss + 1;
	tp->snd_nxt = tp->snd_una;
	tp->snd_max = tp->snd_una;
	tp->snd_sml = tp->snd_una;
	tcp_mtu_established(tp);
	tcp_loss_init(tp);
	tcp_cc_init(tp);
	tcp_set_state(tp, TCPS_ESTABLISHED, a->now_us);
	tcp_timer_heard(tp, a->now_us);
	a->rx->events |= TCP_EV_CONNECTED;
	/* Nothing was offered yet: what we can take of it. */
	tp->rcv_wnd = min_u32(a->v->rcv_space, 65535);
	take_text_of_syn(a);
	if (a->rx->advance)
		tp->uflags |= TU_SYN_DATA_OK;
}

/* Our SYN,ACK is acknowledged: the handshake is complete. */
static void syn_acked(struct arrival *a)
{
	struct tcpcb *tp = a->tp;

	a->completes = true;
	tp->n_delivered++;
	tp->uflags &= ~TU_SYN_OUT;
	tp->flags &= ~TF_SYN_DUE;
	tcp_rtt_acked(tp, a->seg, a->now_us);
	/* RFC 6298, 5.7 */
	if ((tp->flags & TF_SYN_REXMT) && !(tp->flags & TF_SRTT))
		tp->rto_us = max_u32(TCP_RTO_SYN_US, tp->rto_min_us);
	tcp_timer_acked(tp, a->now_us);
	a->rx->events |= TCP_EV_SYN_ACKED;
}

/* RFC 9293, 3.10.7.2 */
static void input_listen(struct arrival *a)
{
	struct tcpcb *tp = a->tp;

	/* First, check for a RST */
	if (a->flags & TH_RST) {
		drop(a);
		return;
	}
	/* Second, check for an ACK */
	if (a->flags & TH_ACK) {
		tcp_respond_rst(tp, a->seg->ack);
		drop(a);
		return;
	}
	/* Third, check for a SYN */
	if (!(a->flags & TH_SYN)) {
		drop(a);
		return;
	}
	take_syn(a);
	take_window(a, 0);
	if (tp->uflags & TU_FO_ACCEPT) {
		tp->uflags &= ~TU_FO_ACCEPT;
		opened_fast(a);
		return;
	}
	tp->flags |= TF_SYN_DUE;
	tcp_set_state(tp, TCPS_SYN_RECEIVED, a->now_us);
}

/* RFC 9293, 3.10.7.3 */
static void input_syn_sent(struct arrival *a)
{
	struct tcpcb *tp = a->tp;
	const struct tcp_seg *seg = a->seg;
	bool has_ack = a->flags & TH_ACK;

	/* First, check the ACK bit: ISS < SEG.ACK =< SND.NXT */
	if (has_ack && (seq_leq(seg->ack, tp->iss) || seq_gt(seg->ack, tp->snd_nxt))) {
		if (!(a->flags & TH_RST))
			tcp_respond_rst(tp, seg->ack);
		drop(a);
		return;
	}
	/* And SEG.TSecr, if any: a TSval of ours since the first SYN (as Linux). */
	if (has_ack && !(a->flags & TH_RST) && (tp->flags & TF_REQ_TS) && seg->has_ts &&
	    seg->tsecr && (seq_lt(seg->tsecr, tcp_tsval(tp, tp->stuck_us)) ||
			   seq_gt(seg->tsecr, tcp_tsval(tp, a->now_us)))) {
		tcp_respond_rst(tp, seg->ack);
		drop(a);
		return;
	}
	/* Second, check the RST bit */
	if (a->flags & TH_RST) {
		if (has_ack)
			closed(a, TCP_EV_REFUSED);
		else
			drop(a);
		return;
	}
	/* Fourth, check the SYN bit */
	if (!(a->flags & TH_SYN)) {
		drop(a);
		return;
	}
	take_syn(a);
	take_window(a, 0);
	if (has_ack) {
		/* Data that waits for it is an answer to it (TF_PINGPONG). */
		if (a->v->snd_cc > tp->snd_nxt - tp->iss - 1)
			tcp_timer_heard(tp, a->now_us);
		established(a);
		ack_now(a);
		take_text_of_syn(a);
		return;
	}
	/* Simultaneous open */
	tp->flags |= TF_SYN_DUE;
	tcp_set_state(tp, TCPS_SYN_RECEIVED, a->now_us);
}

/* --- steps of 3.10.7.4 -------------------------------------------------------- */

/* RFC 7323, 5.3, R1 */
static bool check_paws(struct arrival *a)
{
	struct tcpcb *tp = a->tp;
	uint32_t idle_s;

	if (!(tp->flags & TF_TS) || !a->seg->has_ts || (a->flags & TH_RST))
		return true;
	/* SEG.TSval < TS.Recent, and TS.Recent is valid */
	if (!(tp->flags & TF_TS_RECENT) || seq_geq(a->seg->tsval, tp->ts_recent))
		return true;
	/* 5.5: a clock that stood still this long may have wrapped. */
	idle_s = seconds(a->now_us) - tp->ts_recent_s;
	if (idle_s > TCP_PAWS_IDLE_S && idle_s <= INT32_MAX) {
		tp->flags &= ~TF_TS_RECENT;
		return true;
	}
	if (a->seg->len || (a->flags & TH_FIN))
		ack_now(a);
	else
		challenge(a);
	return drop(a);
}

/* RFC 7323, 4.3: the timestamp of the segment that is acknowledged next. */
static void take_timestamp(struct arrival *a)
{
	struct tcpcb *tp = a->tp;

	if (!(tp->flags & TF_TS) || !a->seg->has_ts)
		return;
	/* SEG.TSval >= TS.Recent and SEG.SEQ <= Last.ACK.sent */
	if ((tp->flags & TF_TS_RECENT) && seq_lt(a->seg->tsval, tp->ts_recent))
		return;
	if (seq_gt(a->seq, tp->last_ack_sent))
		return;
	tp->flags |= TF_TS_RECENT;
	tp->ts_recent = a->seg->tsval;
	tp->ts_recent_s = seconds(a->now_us);
}

/* The peer's SYN once more, in SYN-RECEIVED.  Return: go on with the segment? */
static bool syn_again(struct arrival *a)
{
	const uint8_t both = TCP_TH_ECE | TCP_TH_CWR;

	/* Simultaneous open: SYN,ACK answers our SYN, and the ACK is news. */
	if ((a->flags & TH_ACK) && !(a->flags & TH_RST)) {
		a->flags &= (uint8_t)~TH_SYN;
		a->seq++;
		return true;
	}
	/* Our SYN,ACK was lost.  RFC 9293 would have us send an ACK, which does
	 * not help a peer in SYN-SENT: we do as everyone does. */
	if (!(a->flags & TH_RST)) {
		a->tp->flags |= TF_SYN_DUE;
		/* The peer does not ask for ECN any more (RFC 3168, 6.1.1.1). */
		if ((a->flags & both) != both)
			a->tp->rec_flags &= (uint16_t)~RF_ECN;
	}
	return drop(a);
}

/* The peer sends again what has come: our ACK was lost, or it is not acceptable.
 * Where the peer's window has shrunk, or somebody on the way has made it smaller,
 * RCV.NXT of the peer may be at most its edge as we know it, or may be SND.NXT: we
 * do not know what it had taken before.  So each is tried in turn; two peers that
 * both guess wrong would find each other's ACKs unacceptable for ever. */
static void ack_from_elsewhere(struct tcpcb *tp)
{
	if (tcp_wnd_has_shrunk(tp))
		tp->uflags ^= TU_ACK_NXT;
	else
		tp->uflags &= ~TU_ACK_NXT;
}

/*
 * First, check sequence number (RFC 9293, 3.10.7.4)
 *
 *	SEG.LEN	RCV.WND
 *	0	0	SEG.SEQ = RCV.NXT
 *	0	>0	RCV.NXT =< SEG.SEQ =< RCV.NXT+RCV.WND
 *	>0	0	SEG.SEQ = RCV.NXT, for its ACK; the text is not taken
 *	>0	>0	SEG.SEQ < RCV.NXT+RCV.WND and RCV.NXT < SEG.SEQ+SEG.LEN
 *
 * More lenient than the RFC's table in two points, as BSD and Linux are.  An
 * empty segment may lie at the right edge: a peer that has filled our window
 * acknowledges from there.  FIN needs no room and may lie there, too.
 */
static bool check_sequence(struct arrival *a)
{
	struct tcpcb *tp = a->tp;
	uint32_t len = a->seg->len;
	uint32_t end = a->seq + len + !!(a->flags & TH_SYN) + !!(a->flags & TH_FIN);
	uint32_t edge = tp->rcv_nxt + tp->rcv_wnd;
	bool left, right;

	left = end != a->seq ? seq_gt(end, tp->rcv_nxt) : seq_geq(a->seq, tp->rcv_nxt);
	right = len && tp->rcv_wnd ? seq_lt(a->seq, edge) : seq_leq(a->seq, edge);
	if (left && right)
		return true;

	if (a->flags & TH_RST)
		return drop(a);
	/* The peer's FIN again */
	if ((a->flags & TH_FIN) && end == tp->rcv_nxt)
		tcp_timer_peer_fin_again(tp, a->now_us);
	tcp_reass_twice(tp, a->seq, seq_min(a->seq + len, tp->rcv_nxt));
	if (end != a->seq && seq_leq(end, tp->rcv_nxt))
		ack_from_elsewhere(tp);
	/* <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK> */
	if (len || (a->flags & TH_FIN))
		ack_now(a);
	else
		challenge(a);
	return drop(a);
}

/* Second, check the RST bit (RFC 5961, 3.2) */
static bool check_rst(struct arrival *a)
{
	struct tcpcb *tp = a->tp;

	if (!(a->flags & TH_RST))
		return true;
	/* In the window, but it could be a guess. */
	if (a->seq != tp->rcv_nxt) {
		challenge(a);
		return drop(a);
	}
	switch (tp->state) {
	case TCPS_SYN_RECEIVED:
		closed(a, TCP_EV_REFUSED);
		break;
	case TCPS_CLOSING:
	case TCPS_LAST_ACK:
	case TCPS_TIME_WAIT:
		closed(a, 0);
		break;
	default:
		closed(a, TCP_EV_RESET);
		break;
	}
	return false;
}

/* Fourth, check the SYN bit (RFC 5961, 4.2): a peer that really began anew
 * answers our ACK with RST. */
static bool check_syn(struct arrival *a)
{
	if (!(a->flags & TH_SYN))
		return true;
	challenge(a);
	return drop(a);
}

/* SND.UNA < SEG.ACK =< SND.NXT: take it, and tell everyone. */
static void advance_una(struct arrival *a, struct tcp_ack *ack)
{
	struct tcpcb *tp = a->tp;
	uint32_t acked = a->seg->ack - tp->snd_una;
	bool fin = tcp_fin_outstanding(tp) && a->seg->ack == tp->snd_nxt;

	tp->snd_una = a->seg->ack;
	tp->uflags &= ~TU_MORE;
	if ((tp->uflags & TU_SND_UP) && seq_leq(tp->snd_up, tp->snd_una))
		tp->uflags &= ~TU_SND_UP;
	/* A window probe was accepted. */
	tp->snd_nxt = seq_max(tp->snd_nxt, tp->snd_una);

	a->rx->acked = min_u32(acked - fin, a->v->snd_cc);
	if (a->rx->acked)
		a->rx->events |= TCP_EV_ACKED;
	tcp_rtt_acked(tp, a->seg, a->now_us);
	ack->acked = acked;
	tcp_loss_acked(tp, ack);
	tcp_timer_acked(tp, a->now_us);
	if (!fin)
		return;
	a->rx->events |= TCP_EV_FIN_ACKED;
	if (tp->state == TCPS_FIN_WAIT_1) {
		tcp_set_state(tp, TCPS_FIN_WAIT_2, a->now_us);
	} else if (tp->state == TCPS_CLOSING) {
		tcp_set_state(tp, TCPS_TIME_WAIT, a->now_us);
		a->rx->events |= TCP_EV_TIME_WAIT;
	} else {
		closed(a, 0);
	}
}

/* For TCP_INFO: what has arrived, in segments. */
static void count_delivered(struct tcpcb *tp, uint32_t octets)
{
	uint32_t mss = tcp_eff_mss(tp);

	if (octets > mss)
		tp->n_delivered += (octets + mss - 1) / mss;
	else if (octets)
		tp->n_delivered++;
}

/* SND.UNA =< SEG.ACK =< SND.NXT: what it says of window, loss and progress. */
static void process_ack(struct arrival *a)
{
	struct tcpcb *tp = a->tp;
	const struct tcp_seg *seg = a->seg;
	struct tcp_ack ack = { .seg = seg, .now_us = a->now_us };
	uint32_t old_wnd = tp->snd_wnd;
	uint32_t wnd = (uint32_t)seg->wnd << tp->snd_scale;
	bool advanced = seq_gt(seg->ack, tp->snd_una);
	struct tcp_view v;
	bool same, dup;

	/* SND.WL1 < SEG.SEQ or (SND.WL1 = SEG.SEQ and SND.WL2 =< SEG.ACK).
	 * And whenever SND.UNA moves: what acknowledges more was sent later,
	 * even if it is a retransmission with an old SEG.SEQ; and SND.WND counts
	 * from SND.UNA, so the old one would be wrong.  Of two with the same
	 * SEG.SEQ and SEG.ACK the larger window is the later one, unless it
	 * closes: ACKs of one peer may overtake each other, because several of
	 * its processes send (Linux has the same rule). */
	if (advanced || seq_lt(tp->snd_wl1, a->seq) ||
	    (tp->snd_wl1 == a->seq && seq_leq(tp->snd_wl2, seg->ack) &&
	     (seg->ack != tp->snd_wl2 || wnd >= tp->snd_wnd || !wnd)))
		take_window(a, tp->snd_scale);

	/* RFC 5681, 2: what a duplicate ACK is; the first is none */
	same = !advanced && !a->completes && !seg->len && !(a->flags & TH_FIN) && tp->snd_wnd == old_wnd;
	dup = same && tp->snd_una != tp->snd_nxt;

	tcp_loss_ack_begin(tp, &ack);
	/* The probe's own may come when nothing is outstanding any more. */
	if (advanced || same || ack.dsack)
		tcp_loss_tlp_acked(tp, &ack, advanced);
	if (advanced)
		advance_una(a, &ack);
	if (!tcps_may_send(tp->state))
		return;
	tcp_sb_sack(tp, &ack);
	if (ack.sacked || (dup && !(tp->flags & TF_SACK)))
		tcp_loss_dupack(tp, &ack);
	if (ack.sacked)
		tcp_rtt_sacked(tp, a->now_us);
	/* What was acknowledged is still in the owner's so_snd. */
	v = *a->v;
	v.snd_cc -= a->rx->acked;
	count_delivered(tp, ack.delivered);
	tcp_loss_detect(tp, &v, &ack);
	if ((a->seg->flags & (TCP_TH_ECE | TH_SYN)) == TCP_TH_ECE)
		tcp_loss_ecn(tp);
}

/* SND.UNA - MAX.SND.WND =< SEG.ACK < SND.UNA: the ACK was overtaken.  What it SACKs
 * may be news all the same (RFC 6675, 5, has any ACK with SACK update the
 * scoreboard). */
static void process_old_ack(struct arrival *a)
{
	struct tcpcb *tp = a->tp;
	struct tcp_ack ack = { .seg = a->seg, .now_us = a->now_us };

	if (!a->seg->n_sack || !tcps_may_send(tp->state))
		return;
	tcp_loss_ack_begin(tp, &ack);
	tcp_sb_sack(tp, &ack);
	if (!ack.sacked && !ack.dsack)
		return;
	if (ack.sacked)
		tcp_loss_dupack(tp, &ack);
	count_delivered(tp, ack.delivered);
	tcp_loss_detect(tp, a->v, &ack);
}

/* Fifth, check the ACK field */
static bool check_ack(struct arrival *a)
{
	struct tcpcb *tp = a->tp;
	uint32_t ack = a->seg->ack;

	if (!(a->flags & TH_ACK))
		return drop(a);
	if ((tp->uflags & TU_SYN_OUT) && seq_geq(ack, tp->iss + 1) && seq_leq(ack, tp->snd_max))
		syn_acked(a);

	if (tp->state == TCPS_SYN_RECEIVED) {
		/* SND.UNA < SEG.ACK =< SND.NXT */
		if (seq_leq(ack, tp->snd_una) || seq_gt(ack, tp->snd_nxt)) {
			tcp_respond_rst(tp, ack);
			return drop(a);
		}
		/* SYN,ACK of a simultaneous open does not scale either. */
		take_window(a, a->seg->flags & TH_SYN ? 0 : tp->snd_scale);
		established(a);
		/* The peer's SYN came twice; and if our SYN,ACK is lost, this does
		 * for it. */
		if (a->seg->flags & TH_SYN) {
			tcp_reass_twice(tp, tp->irs, tp->irs + 1);
			ack_now(a);
		}
		return true;
	}
	/* RFC 5961, 5.2: SND.UNA - MAX.SND.WND =< SEG.ACK, or it is a guess. */
	if (seq_lt(ack, tp->snd_una - tp->max_sndwnd)) {
		challenge(a);
		return drop(a);
	}
	/* SEG.ACK > SND.NXT: it acknowledges what was not sent. */
	if (seq_gt(ack, tp->snd_max)) {
		challenge(a);
		return drop(a);
	}
	/* SEG.ACK < SND.UNA: an old one; its text may still be new. */
	if (seq_geq(ack, tp->snd_una))
		process_ack(a);
	else
		process_old_ack(a);
	return tp->state != TCPS_CLOSED;
}

/*
 * May the ACK of a second full segment wait for the third?  RFC 5681, 4.2 asks
 * for one for each 2 * RMSS octets; segments with options, and ours of whole
 * buffers, are a little less than RMSS.  Only in a long stream without loss or
 * pause, and if the peer had not got our last ACK when it sent this segment:
 * that is on its way and will have the peer send more, so it does not wait for
 * this one.  If it pauses now, this ACK is late by a round trip at most, and the
 * next to wait is that of another long stream.
 */
static bool may_wait_for_third(const struct arrival *a)
{
	const struct tcpcb *tp = a->tp;

	return tp->n_steady == STEADY && (tp->flags & TF_TS) &&
		(int16_t)((uint16_t)a->seg->tsecr - tp->ack_ts) < 0 &&
		tp->rcv_seg + TCP_HDR_MAX > tp->rcv_mss &&
		tp->rcv_nxt - tp->last_ack_sent < 2u * tp->rcv_mss;
}

static uint32_t third_wait_us(const struct arrival *a)
{
	uint32_t rtt = tcp_tsval(a->tp, a->now_us) - a->seg->tsecr;

	return min_u32(rtt, TCP_THIRD_US / TCP_CLOCK_US) * TCP_CLOCK_US;
}

/* When to acknowledge @len octets that came in order: RFC 5681, 4.2. */
static void acknowledge(struct arrival *a, uint32_t len)
{
	struct tcpcb *tp = a->tp;

	tp->rcv_seg = max_u32(tp->rcv_seg, min_u32(len, 65535));
	tp->n_steady = (uint16_t)min_u32(tp->n_steady + 1u, STEADY);
	if (tp->quickack && !(tp->flags & TF_PINGPONG)) {
		/* At the start the peer's cwnd needs every ACK; but not if an
		 * answer is going to carry it. */
		tp->quickack--;
		ack_now(a);
	} else if (tp->rcv_nxt - tp->last_ack_sent > tp->rcv_seg) {
		/* More than a full segment: at least every second one */
		if (may_wait_for_third(a))
			tcp_timer_ack_owed(tp, a->now_us, third_wait_us(a));
		else
			ack_now(a);
	} else {
		if ((a->flags & TH_PUSH) && len + TCP_HDR_MAX < tp->rcv_mss)
			tp->flags |= TF_SHORT;
		tcp_timer_ack_owed(tp, a->now_us, TCP_DELACK_US);
	}
}

/*
 * Sixth, check the URG bit: RCV.UP <- max(RCV.UP, SEG.UP), and the user is told
 * once.  SEG.UP points behind the last urgent octet (RFC 6093, 3.1); 0 does not
 * mean anything, and is taken for 1 as everyone does.
 */
static void check_urg(struct arrival *a)
{
	struct tcpcb *tp = a->tp;
	uint32_t up = a->seq + (a->seg->up ? a->seg->up : 1);

	if (!(a->flags & TH_URG) || !tcps_may_receive(tp->state))
		return;
	/* What was passed already, or FIN stands before it */
	if (seq_leq(up, tp->rcv_nxt) || ((tp->flags & TF_RCVFIN) && seq_gt(up, tp->rcv_fin)))
		return;
	if ((tp->uflags & TU_RCV_UP) && seq_leq(up, tp->rcv_up))
		return;
	tp->uflags |= TU_RCV_UP;
	tp->rcv_up = up;
	a->rx->events |= TCP_EV_URG;
}

/* [start, end) of the segment is new and in the window. */
static void take_text(struct arrival *a, uint32_t start, uint32_t end)
{
	struct tcpcb *tp = a->tp;
	uint32_t old = tp->rcv_nxt;
	bool had_hole = tp->n_ooo;

	if (start != tp->rcv_nxt) {
		/* Out of order: a duplicate ACK at once (RFC 5681, 4.2). */
		tp->n_steady = 0;
		ack_now(a);
		if (!a->v->ooo_room || !tcp_reass_insert(tp, &start, &end)) {
			drop(a);
			return;
		}
	} else {
		tp->rcv_nxt = end;
		tcp_reass_advance(tp);
		a->rx->advance = tp->rcv_nxt - old;
		if ((tp->uflags & TU_RCV_UP) && seq_leq(tp->rcv_up, tp->rcv_nxt))
			tp->uflags &= ~TU_RCV_UP;
		tp->rcv_wnd -= min_u32(tp->rcv_wnd, a->rx->advance);
		if (had_hole)
			ack_now(a);
		else
			acknowledge(a, end - start);
	}
	a->rx->events |= TCP_EV_DATA;
	a->rx->data_seq = start;
	a->rx->data_off = start - a->seq;
	a->rx->data_len = end - start;
}

/*
 * Seventh, process the segment text: cut it to what is new and in the window
 *
 *	    SEG.SEQ				SEG.SEQ+SEG.LEN
 *	       [-----------------------------------------)
 *		    RCV.NXT			 RCV.NXT+RCV.WND
 *		       [---------------------------)
 *
 * Return: false if the segment's FIN, if any, is not to be looked at
 */
static bool process_text(struct arrival *a)
{
	struct tcpcb *tp = a->tp;
	uint32_t start = seq_max(a->seq, tp->rcv_nxt);
	uint32_t end = a->seq + a->seg->len;
	/* The owner may have less room than we once promised. */
	uint32_t edge = tp->rcv_nxt + min_u32(tp->rcv_wnd, a->v->rcv_space);
	bool whole = true;

	if (!tcps_may_receive(tp->state)) {
		/* After its FIN the peer has nothing to say (but FIN again). */
		if (a->flags & TH_FIN)
			tcp_timer_peer_fin_again(tp, a->now_us);
		if (a->seg->len || (a->flags & TH_FIN)) {
			ack_now(a);
			drop(a);
		}
		return false;
	}
	/* Nobody will ever read it: SHLD-3. */
	if (a->v->closed && tp->state != TCPS_ESTABLISHED && seq_lt(start, end)) {
		tcp_respond_rst(tp, a->seg->ack);
		closed(a, TCP_EV_DROP);
		return false;
	}
	if (tp->flags & TF_RCVFIN)
		end = seq_min(end, tp->rcv_fin);
	if (seq_gt(end, edge)) {
		end = edge;
		whole = false;
	}
	if (a->seg->len)
		tcp_reass_twice(tp, a->seq, seq_min(start, end));
	if (seq_lt(start, end)) {
		take_text(a, start, end);
		/* What we could not keep brings its FIN again. */
		whole = whole && !(a->rx->events & TCP_EV_DROP);
	} else if (a->seg->len) {
		ack_now(a);
		drop(a);
	}
	if (!whole) {
		ack_now(a);
		drop(a);
	}
	return whole;
}

/* Eighth, check the FIN bit.  It may be ahead of RCV.NXT: then it is noted. */
static void note_fin(struct arrival *a)
{
	struct tcpcb *tp = a->tp;
	uint32_t fin = a->seq + a->seg->len;
	unsigned int i;

	if (!(a->flags & TH_FIN) || (tp->flags & TF_RCVFIN) || seq_lt(fin, tp->rcv_nxt))
		return;
	/* Nothing comes after FIN; a peer that contradicts itself is not believed. */
	for (i = 0; i < tp->n_ooo; i++)
		if (seq_gt(tp->ooo[i].end, fin))
			return;
	tp->flags |= TF_RCVFIN;
	tp->rcv_fin = fin;
	ack_now(a);
}

static void process_fin(struct arrival *a)
{
	struct tcpcb *tp = a->tp;

	if (!(tp->flags & TF_RCVFIN) || tp->rcv_nxt != tp->rcv_fin ||
	    !tcps_may_receive(tp->state))
		return;
	tp->flags &= ~TF_RCVFIN;
	tp->rcv_nxt++;
	tp->rcv_wnd -= min_u32(tp->rcv_wnd, 1);
	tp->n_ooo = 0;
	ack_now(a);
	a->rx->events |= TCP_EV_FIN;

	if (tp->state == TCPS_ESTABLISHED) {
		tcp_set_state(tp, TCPS_CLOSE_WAIT, a->now_us);
	} else if (tp->state == TCPS_FIN_WAIT_1) {
		tcp_set_state(tp, TCPS_CLOSING, a->now_us);
	} else {
		tcp_set_state(tp, TCPS_TIME_WAIT, a->now_us);
		a->rx->events |= TCP_EV_TIME_WAIT;
	}
}

/* Behind a SYN that is taken with its text: from the sixth step on. */
static void take_text_of_syn(struct arrival *a)
{
	a->seq++;
	a->flags &= (uint8_t)~TH_SYN;
	check_urg(a);
	if (process_text(a))
		note_fin(a);
	process_fin(a);
}

/* RFC 9293, 3.10.7.4 */
static void input_others(struct arrival *a)
{
	struct tcpcb *tp = a->tp;

	if (!check_paws(a))
		return;
	if ((tp->state == TCPS_SYN_RECEIVED || (tp->uflags & TU_SYN_OUT)) &&
	    (a->flags & TH_SYN) && a->seq == tp->irs && !syn_again(a))
		return;
	if (!check_sequence(a) || !check_rst(a) || !check_syn(a))
		return;
	tcp_timer_heard(tp, a->now_us);
	take_ecn(a);
	if (!check_ack(a))
		return;
	/* Not before: what acknowledges nonsense may also have a timestamp
	 * from the future, and would keep the peer out. */
	take_timestamp(a);
	take_uto(a);
	check_urg(a);
	if (process_text(a))
		note_fin(a);
	process_fin(a);
}

bool tcp_may_wait(struct tcpcb *tp, const struct tcp_rx *rx, uint64_t now_us)
{
	if (tp->state != TCPS_ESTABLISHED || !rx->advance || tp->n_ooo ||
	    rx->events & ~(uint32_t)(TCP_EV_DATA | TCP_EV_ACKED) ||
	    (tp->rec_flags & (RF_DSACK | RF_ECE)) || (tp->flags & (TF_SYN_DUE | TF_RST_DUE)))
		return false;
	/* The peer shall send while we look at what waits. */
	if (tp->rcv_nxt - tp->last_ack_sent > tp->rcv_buf / 8)
		return false;
	tcp_timer_ack_owed(tp, now_us, TCP_DELACK_US);
	return true;
}

void tcp_input(struct tcpcb *tp, const struct tcp_view *v, const struct tcp_seg *seg,
	       uint64_t now_us, struct tcp_rx *rx)
{
	struct arrival a = { .tp = tp, .v = v, .seg = seg, .rx = rx, .now_us = now_us,
			     .seq = seg->seq, .flags = seg->flags };

	memset(rx, 0, sizeof(*rx));
	switch (tp->state) {
	case TCPS_CLOSED:
		/* Whoever holds no connection answers with tcp_reset_for(). */
		drop(&a);
		break;
	case TCPS_LISTEN:
		input_listen(&a);
		break;
	case TCPS_SYN_SENT:
		input_syn_sent(&a);
		break;
	default:
		input_others(&a);
		break;
	}
}
