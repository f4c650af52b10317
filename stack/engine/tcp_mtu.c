/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tcp_mtu.c - how large a segment the path passes, and what ICMP says
 *
 * DOC: the path's MTU
 *
 * The engine counts in MSS, as the option does: MTU less the IP header and 20.
 * path_mss bounds what we send, beside the peer's MSS (tcp_path_mss()).  It is
 * known in two ways.
 *
 * - A router says so: "fragmentation needed", "packet too big" (RFC 1191, RFC
 *   8201).  What is outstanding is sent again in smaller segments; that is no
 *   sign of congestion.  After ten minutes it is forgotten: the path may be
 *   another one.
 * - We search (RFC 4821; as Linux's tcp_mtu_probing).  path_mss is then what is
 *   known to pass, probe_high what may.  A segment half-way between, of octets
 *   that have to go in any case, is a probe: if it is acknowledged path_mss
 *   rises, if it is lost alone probe_high falls and cwnd stays.  The search
 *   begins with the connection, or when the third RTO in a row looks like a
 *   router that says nothing; it begins anew ten minutes after its last result.
 *
 * DOC: whom to believe
 *
 * Anybody can send ICMP.  It counts only if the sequence number it quotes is
 * outstanding (RFC 5927, 4.1), and in a synchronized state it never ends a
 * connection (RFC 5927, 5.2; RFC 9293, 3.9.2.2, MUST-56).
 *
 * Supported standards: RFC 1191, RFC 8201, RFC 4821, RFC 5927.
 */
#include "stack/engine/tcp_fsm.h"
#include "stack/engine/tcp_var.h"

#define PATH_DOUBT_S	600	/* RFC 1191, 6.3; RFC 8201, 4: ten minutes */
#define SEARCH_ENOUGH	8u	/* octets: a smaller gain is not worth a probe; as Linux */
#define SEARCH_CWND	11u	/* segments, likewise: a lost probe must be noticed soon */

/* --- what is believed ------------------------------------------------------------- */

/* The largest MSS that makes any sense. */
static uint32_t largest(const struct tcpcb *tp)
{
	uint32_t mss = tp->eff_mss_max + (tp->flags & TF_TS ? 12u : 0);

	return tp->eff_mss_max ? min_u32(mss, tp->snd_mss) : tp->snd_mss;
}

static void believe_until(struct tcpcb *tp, uint64_t now_us)
{
	tp->path_until_s = (uint32_t)(now_us / 1000000) + PATH_DOUBT_S;
}

/* Segments may be larger now: one of them goes at least. */
static void grown(struct tcpcb *tp)
{
	tp->snd_cwnd = max_u32(tp->snd_cwnd, tcp_eff_mss(tp));
}

/* The peer's MSS is known. */
void tcp_mtu_established(struct tcpcb *tp)
{
	if (!(tp->uflags & TU_SEARCH))
		return;
	/* What ICMP said of our SYN stays. */
	tp->probe_high = (uint16_t)min_u32(tcp_path_mss(tp), largest(tp));
	tp->path_mss = (uint16_t)min_u32(tp->base_mss, tp->probe_high);
}

/* What was learnt ten minutes ago need not be so. */
void tcp_mtu_age(struct tcpcb *tp, uint64_t now_us)
{
	if (!tp->path_until_s || now_us / 1000000 < tp->path_until_s)
		return;
	tp->path_until_s = 0;
	if (tp->uflags & TU_SEARCH)
		tp->probe_high = (uint16_t)largest(tp);
	else
		tp->path_mss = 0;
	grown(tp);
}

/* --- the search --------------------------------------------------------------------- */

/**
 * tcp_mtu_probe() - Should the next segment be a probe?
 * @avail:	Octets of so_snd that were never sent
 * @usable:	Octets the peer's window takes beyond SND.NXT
 *
 * Only if enough follows it that its loss is noticed without RTO.
 * Return: its payload, octets; 0 no; TCP_MTU_WAIT yes, but it does not fit yet:
 * nothing else should go
 */
uint32_t tcp_mtu_probe(const struct tcpcb *tp, uint32_t avail, uint32_t usable)
{
	uint32_t mss = tcp_eff_mss(tp), pipe = tcp_pipe(tp), size, need;
	uint32_t high = min_u32(tp->probe_high, largest(tp));

	if (tp->probe_mss || tp->ca_state != TCP_CA_OPEN || tp->sacked_out || tp->n_ooo ||
	    (tp->rec_flags & RF_DSACK) || tp->snd_cwnd < SEARCH_CWND * mss ||
	    high < tp->path_mss + SEARCH_ENOUGH)
		return 0;
	size = (tp->path_mss + high) / 2 - (tp->flags & TF_TS ? 12u : 0);
	need = size + (TCP_DUPTHRESH + 1u) * mss;
	if (size <= mss || avail < need || tp->snd_wnd < need || tp->snd_cwnd < size)
		return 0;
	if (usable < need || pipe > tp->snd_cwnd - size)
		return pipe ? TCP_MTU_WAIT : 0;
	return size;
}

/* @len octets from @seq went as a probe. */
void tcp_mtu_probe_sent(struct tcpcb *tp, uint32_t seq, uint32_t len)
{
	tp->probe_seq = seq;
	tp->probe_mss = (uint16_t)(len + (tp->flags & TF_TS ? 12 : 0));
}

static uint32_t probe_end(const struct tcpcb *tp)
{
	return tp->probe_seq + tp->probe_mss - (tp->flags & TF_TS ? 12 : 0);
}

/* SND.UNA has moved. */
void tcp_mtu_acked(struct tcpcb *tp, uint64_t now_us)
{
	if (!tp->probe_mss || seq_lt(tp->snd_una, probe_end(tp)))
		return;
	tp->path_mss = (uint16_t)max_u32(tp->path_mss, tp->probe_mss);
	tp->probe_mss = 0;
	believe_until(tp, now_us);
	grown(tp);
}

/* [@start, @end) is sent again, in segments of a size that is known to pass: if
 * the probe is in it, its ACK says nothing any more. */
void tcp_mtu_again(struct tcpcb *tp, uint32_t start, uint32_t end)
{
	if (tp->probe_mss && seq_lt(start, probe_end(tp)) && seq_gt(end, tp->probe_seq))
		tp->probe_mss = 0;
}

static void probe_failed(struct tcpcb *tp, uint64_t now_us)
{
	tp->probe_high = (uint16_t)min_u32(tp->probe_high, tp->probe_mss - 1u);
	tp->probe_mss = 0;
	believe_until(tp, now_us);
}

/**
 * tcp_mtu_lost() - Something was lost in state Open: was it just the probe?
 * @end:	If so: behind its last octet
 * Then it was too large, and there is no congestion (RFC 4821, 7.6.2).
 */
bool tcp_mtu_lost(struct tcpcb *tp, uint64_t now_us, uint32_t *end)
{
	if (!tp->probe_mss || tp->snd_una != tp->probe_seq ||
	    tp->lost_out > probe_end(tp) - tp->probe_seq)
		return false;
	*end = probe_end(tp);
	probe_failed(tp, now_us);
	return true;
}

/* Does the retransmission that is due for the third time or more look as if
 * large segments vanished without a word?  Then smaller ones, and a search. */
static void black_hole(struct tcpcb *tp, uint64_t now_us)
{
	uint32_t mss = tp->base_mss;

	if (tp->uflags & TU_SEARCH)
		mss = max_u32(min_u32(tp->base_mss, tp->path_mss / 2u), TCP_MSS_MIN);
	if (mss >= tcp_path_mss(tp))
		mss = max_u32(tcp_path_mss(tp) / 2, TCP_MSS_MIN);
	if (!(tp->uflags & TU_SEARCH))
		tp->probe_high = (uint16_t)min_u32(tcp_path_mss(tp), largest(tp));
	tp->uflags |= TU_SEARCH;
	tp->path_mss = (uint16_t)mss;
	believe_until(tp, now_us);
}

/* RTO, before it is acted upon.  It has counted in n_unanswered: beyond R1 (RFC
 * 9293, 3.8.3) the path is suspected. */
void tcp_mtu_rto(struct tcpcb *tp, uint64_t now_us)
{
	/* RFC 4821, 7.6.4: what else was lost is congestion all the same. */
	if (tp->probe_mss && tp->snd_una == tp->probe_seq)
		probe_failed(tp, now_us);
	tp->probe_mss = 0;
	if ((tp->uflags & TU_BLACKHOLE) && tp->n_unanswered >= TCP_R1)
		black_hole(tp, now_us);
}

/* --- ICMP ----------------------------------------------------------------------------- */

/* RFC 5927, 4.1; as Linux, SND.NXT too: a pure ACK or a window probe.  The SYN,ACK
 * of a Fast Open lies before SND.UNA. */
static bool is_outstanding(const struct tcpcb *tp, uint32_t seq)
{
	return tp->state != TCPS_CLOSED && tp->state != TCPS_LISTEN &&
	       seq_geq(seq, tp->snd_una - !!(tp->uflags & TU_SYN_OUT)) && seq_leq(seq, tp->snd_nxt);
}

enum tcp_icmp tcp_icmp_error(struct tcpcb *tp, uint32_t seq, uint64_t now_us)
{
	if (!is_outstanding(tp, seq))
		return TCP_ICMP_IGNORED;
	if (tp->state != TCPS_SYN_SENT)
		return TCP_ICMP_SOFT;
	tcp_set_state(tp, TCPS_CLOSED, now_us);
	return TCP_ICMP_FATAL;
}

enum tcp_icmp tcp_icmp_too_big(struct tcpcb *tp, uint32_t seq, uint32_t mss, uint64_t now_us)
{
	uint32_t old = tcp_eff_mss(tp);

	if (!is_outstanding(tp, seq))
		return TCP_ICMP_IGNORED;
	mss = max_u32(mss, TCP_MSS_MIN);
	if ((tp->uflags & TU_SEARCH) && mss < tp->probe_high) {
		tp->probe_high = (uint16_t)mss;
		believe_until(tp, now_us);
	}
	/* Before its SYN has come the peer's MSS is not known. */
	if (mss >= (tp->state != TCPS_SYN_SENT ? tcp_path_mss(tp) :
		    tp->path_mss ? tp->path_mss : UINT16_MAX))
		return TCP_ICMP_SOFT;
	tp->path_mss = (uint16_t)mss;
	believe_until(tp, now_us);
	/* A SYN with data: a plain one, now.  The way back is likely to be as
	 * narrow: our MSS says so, as Linux's. */
	if (tp->state == TCPS_SYN_SENT) {
		tp->rcv_mss = (uint16_t)min_u32(tp->rcv_mss, mss);
		if (tp->uflags & TU_SYN_DATA)
			tp->flags |= TF_SYN_DUE;
	}
	if (tcps_may_send(tp->state) && tcp_eff_mss(tp) < old &&
	    tcp_flight_size(tp) > tcp_eff_mss(tp)) {
		tcp_loss_all(tp);
		tcp_timer_again(tp, now_us);
	}
	return TCP_ICMP_SOFT;
}
