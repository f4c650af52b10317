/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tcp_cc.c - congestion control: NewReno
 *
 * The seam: the rest of the engine tells this file what happened, by the six
 * functions below, and reads snd_cwnd and snd_ssthresh.  Another algorithm
 * goes behind the same six, with its state in cc_priv[].  What was lost, and
 * what to send, is not decided here but in tcp_loss.c and tcp_output.c.
 *
 * All in octets.  Supported standards: RFC 5681, RFC 6928, RFC 3465.
 */
#include "stack/engine/tcp_var.h"

/* IW (RFC 6928, 2); one segment if the SYN had to be sent again (RFC 5681, 3.1). */
static uint32_t initial_window(const struct tcpcb *tp)
{
	uint32_t smss = tcp_eff_mss(tp);

	if (tp->flags & TF_SYN_REXMT)
		return smss;
	return min_u32(10 * smss, max_u32(2 * smss, 14600));
}

/* The connection is ESTABLISHED. */
void tcp_cc_init(struct tcpcb *tp)
{
	tp->snd_cwnd = initial_window(tp);
	tp->snd_ssthresh = TCP_CWND_MAX;
	tp->cwnd_acked = 0;
}

/**
 * tcp_cc_acked() - @acked octets were newly acknowledged
 * @flight:	FlightSize before that
 * Not called in fast recovery.
 */
void tcp_cc_acked(struct tcpcb *tp, uint32_t acked, uint32_t flight)
{
	uint32_t smss = tcp_eff_mss(tp);
	uint32_t limit;

	/* A window that was not used says nothing about the path (RFC 7661). */
	if (flight < tp->snd_cwnd / 2)
		return;

	if (tp->snd_cwnd < tp->snd_ssthresh) {
		/* Slow start, RFC 3465: L is 2, but 1 after a time-out. */
		limit = tp->ca_state == TCP_CA_LOSS ? smss : 2 * smss;
		tp->snd_cwnd += min_u32(acked, limit);
	} else {
		/* Congestion avoidance: SMSS for each cwnd acknowledged. */
		tp->cwnd_acked += min_u32(acked, tp->snd_cwnd);
		if (tp->cwnd_acked < tp->snd_cwnd)
			return;
		tp->cwnd_acked -= tp->snd_cwnd;
		tp->snd_cwnd += smss;
	}
	tp->snd_cwnd = min_u32(tp->snd_cwnd, TCP_CWND_MAX);
}

/* RFC 5681, (4).  FlightSize is what was out when the loss was found. */
static void halve(struct tcpcb *tp)
{
	tp->snd_ssthresh = max_u32(tcp_flight_size(tp) / 2, 2 * tcp_eff_mss(tp));
	tp->cwnd_acked = 0;
}

/* Loss was found otherwise than by RTO: fast recovery begins. */
void tcp_cc_loss(struct tcpcb *tp)
{
	halve(tp);
	/* Without inflation: tcp_pipe() deflates the flight instead (RFC 6675, 5). */
	tp->snd_cwnd = tp->snd_ssthresh;
}

/* Fast recovery is over; RFC 6582, 3.2, (3), the choice that avoids a burst. */
void tcp_cc_recovered(struct tcpcb *tp)
{
	uint32_t smss = tcp_eff_mss(tp);

	tp->snd_cwnd = min_u32(tp->snd_ssthresh, max_u32(tcp_flight_size(tp), smss) + smss);
}

/* RTO expired. */
void tcp_cc_rto(struct tcpcb *tp)
{
	/* ssthresh is held when the same segment times out again. */
	if (tp->n_rto <= 1)
		halve(tp);
	tp->snd_cwnd = tcp_eff_mss(tp);
	tp->cwnd_acked = 0;
}

/* Nothing was sent for longer than RTO: RFC 5681, 4.1. */
void tcp_cc_idle(struct tcpcb *tp)
{
	tp->snd_cwnd = min_u32(tp->snd_cwnd, initial_window(tp));
}
