/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tcp_timewait.c - TIME-WAIT without a control block
 *
 * What is left of a connection that both sides have closed: enough to answer
 * for it, 32 octets or so.  The owner keeps the time.
 *
 * DOC: what may arrive
 *
 *	bare SYN	a new connection, if it cannot be a duplicate of the
 *			old one: RFC 6191, 2; RFC 9293, MAY-2
 *	RST		ignored: RFC 1337, 3, fix F1
 *	the peer's FIN	our last ACK was lost: ACK, and 2 MSL anew
 *	<SEQ=RCV.NXT>, empty: nothing to say
 *	all else	not acceptable: ACK; if it is empty, at most two a
 *			second, for two peers could answer each other for ever
 *
 * Supported standards: RFC 9293, 3.10.7.4; RFC 1337; RFC 5961, 7; RFC 6191;
 * RFC 7323, 5.3.
 */
#include <string.h>

#include "stack/engine/tcp_var.h"

void tcp_tw_init(struct tcp_tw *tw, const struct tcpcb *tp)
{
	uint32_t wnd = tp->rcv_wnd >> tp->rcv_scale;

	*tw = (struct tcp_tw){
		.snd_nxt = tp->snd_nxt, .rcv_nxt = tp->rcv_nxt,
		.has_ts = tp->flags & TF_TS,
		.ts_offset = tp->ts_offset, .ts_recent = tp->ts_recent,
		.wnd = (uint16_t)(wnd < 65535 ? wnd : 65535),
	};
}

/* RFC 6191, 2: may @seg, a SYN, begin a new connection? */
static bool is_newer(const struct tcp_tw *tw, const struct tcp_seg *seg)
{
	if (seg->has_ts && !tw->has_ts)
		return true;
	if (seg->has_ts && seg->tsval != tw->ts_recent)
		return seq_gt(seg->tsval, tw->ts_recent);
	/* RFC 9293, MAY-2: larger than the largest of the old connection */
	return seq_gt(seg->seq, tw->rcv_nxt);
}

/* RFC 5961, 7, as for a connection with a block. */
static enum tcp_tw_verdict challenge(struct tcp_tw *tw, uint64_t now_us)
{
	if (now_us < tw->oow_us)
		return TCP_TW_IGNORE;
	tw->oow_us = now_us + TCP_OOW_US;
	return TCP_TW_ANSWER;
}

/* <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK> */
static void build_ack(const struct tcp_tw *tw, uint64_t now_us, struct tcp_seg *out)
{
	memset(out, 0, sizeof(*out));
	out->seq = tw->snd_nxt;
	out->ack = tw->rcv_nxt;
	out->flags = TH_ACK;
	out->wnd = tw->wnd;
	out->wscale = TCP_WS_NONE;
	if (tw->has_ts) {
		out->has_ts = true;
		out->tsval = (uint32_t)(now_us / TCP_CLOCK_US) + tw->ts_offset;
		out->tsecr = tw->ts_recent;
	}
}

static enum tcp_tw_verdict judge(struct tcp_tw *tw, const struct tcp_seg *seg, uint64_t now_us)
{
	bool fin = seg->flags & TH_FIN;
	/* Occupies sequence space: an answer may be owed, whatever it is. */
	bool is_empty = !seg->len && !fin;

	if (seg->flags & TH_RST)
		return TCP_TW_IGNORE;
	if (seg->flags & TH_SYN) {
		if (!(seg->flags & (TH_ACK | TH_FIN)) && is_newer(tw, seg))
			return TCP_TW_OPEN;
		return challenge(tw, now_us);
	}
	/* RFC 7323, 5.3, R1.  TS.Recent is minutes old at most: 5.5 does not apply.
	 * Without the option: as in tcp_input.c. */
	if (tw->has_ts && seg->has_ts && seq_lt(seg->tsval, tw->ts_recent))
		return is_empty ? challenge(tw, now_us) : TCP_TW_ANSWER;
	if (seg->seq + seg->len + fin != tw->rcv_nxt)
		return is_empty ? challenge(tw, now_us) : TCP_TW_ANSWER;
	/* RFC 7323, 4.3: its SEG.SEQ is not beyond Last.ACK.sent. */
	tw->ts_recent = seg->has_ts ? seg->tsval : tw->ts_recent;
	if (fin)
		return TCP_TW_FIN;
	return is_empty ? TCP_TW_IGNORE : TCP_TW_ANSWER;
}

enum tcp_tw_verdict tcp_tw_input(struct tcp_tw *tw, const struct tcp_seg *seg,
				 uint64_t now_us, struct tcp_seg *out)
{
	enum tcp_tw_verdict verdict = judge(tw, seg, now_us);

	if (verdict == TCP_TW_ANSWER || verdict == TCP_TW_FIN)
		build_ack(tw, now_us, out);
	return verdict;
}

uint32_t tcp_tw_iss(const struct tcp_tw *tw)
{
	/* Beyond the largest window without scale, as BSD and Linux: what is
	 * late of the old connection is not in the new one's window. */
	return tw->snd_nxt + 65535 + 2;
}
