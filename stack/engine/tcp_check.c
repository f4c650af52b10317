/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tcp_check.c - may this block be run?  Is it as it should be?
 *
 * tcp_check() stands between the engine and memory that a hostile application
 * writes.  It asks only for what the other files rely on: that indices stay
 * in their arrays, that loops end, and that an owner is never told of octets
 * beyond so_snd.  A block may pass and still be nonsense; then it harms its
 * own connection and nothing else.
 *
 * tcp_invariant() is for tests and asks for sense: it is run after
 * tcp_output() has returned 0.
 */
#include <errno.h>

#include "stack/engine/tcp_fsm.h"
#include "stack/engine/tcp_var.h"

/* @seq lies in [@from, @to]. */
static bool seq_within(uint32_t from, uint32_t seq, uint32_t to)
{
	return seq - from <= to - from;
}

static bool limits_ok(const struct tcpcb *tp)
{
	return tp->state < TCPS_NSTATES && tp->ca_state < TCP_CA_NSTATES &&
	       !(tp->flags & ~TF_ALL) && !(tp->uflags & ~TU_ALL) &&
	       tp->keep_idle_ms <= TCP_KEEP_MAX_MS && tp->keep_intvl_ms <= TCP_KEEP_MAX_MS &&
	       tp->snd_scale <= TCP_WSCALE_MAX && tp->rcv_scale <= TCP_WSCALE_MAX &&
	       tp->n_runs <= TCP_N_RUNS && tp->n_ooo <= TCP_N_OOO &&
	       tp->quickack <= TCP_QUICKACKS && tp->cc_algo < TCP_CC_N &&
	       tp->frto < FRTO_N && !(tp->rec_flags & ~RF_ALL) &&
	       (!(tp->uflags & TU_FO_OPT) ||
		(tp->fo_kind < TCP_FO_N && tp->fo_len <= TCP_FO_MAX));
}

static bool sizes_ok(const struct tcpcb *tp)
{
	return tp->snd_mss >= TCP_MSS_MIN && tp->rcv_mss &&
	       (tp->path_mss ? tp->path_mss >= TCP_MSS_MIN : !(tp->uflags & TU_SEARCH) ||
		!tcps_synchronized(tp->state)) && tp->base_mss >= TCP_MSS_MIN &&
	       (!tp->eff_mss_max || tp->eff_mss_max >= TCP_MSS_MIN - 12) &&
	       tp->rcv_buf <= TCP_WND_MAX && tp->rcv_wnd <= TCP_WND_MAX &&
	       tp->snd_wnd <= TCP_WND_MAX && tp->max_sndwnd <= TCP_WND_MAX &&
	       tp->snd_cwnd && tp->snd_cwnd <= TCP_CWND_MAX &&
	       tp->snd_ssthresh <= TCP_CWND_MAX &&
	       tp->prior_cwnd <= TCP_CWND_MAX && tp->prior_ssthresh <= TCP_CWND_MAX;
}

static bool times_ok(const struct tcpcb *tp)
{
	return tp->rto_us >= TCP_CLOCK_US && tp->rto_us <= TCP_RTO_MAX_US &&
	       tp->rto_min_us <= TCP_RTO_MAX_US &&
	       tp->srtt_us <= TCP_RTT_MAX_US && tp->rttvar_us <= TCP_RTT_MAX_US &&
	       tp->rack_rtt_us <= TCP_RTT_MAX_US &&
	       tp->msl_us && tp->msl_us <= TCP_TIME_MAX_US &&
	       tp->fin_wait_2_us && tp->fin_wait_2_us <= TCP_TIME_MAX_US &&
	       (tp->keep_intvl_ms || !tp->keep_idle_ms);
}

/* What is outstanding is in so_snd, but for SYN and FIN. */
static bool outstanding_ok(const struct tcpcb *tp, const struct tcp_view *v)
{
	uint32_t out = tcp_flight_size(tp), probe = tp->snd_max - tp->snd_nxt;

	/* A full window, and FIN, which needs none. */
	if (out > TCP_WND_MAX + 1 || probe > 1 || (probe && out))
		return false;
	switch (tp->state) {
	case TCPS_CLOSED:
		return true;
	case TCPS_LISTEN:
		return !out && !probe;
	case TCPS_SYN_SENT:
	case TCPS_SYN_RECEIVED:
		return tp->snd_una == tp->iss && !probe &&
		       (out <= 1 || ((tp->uflags & TU_SYN_DATA) && out - 1 <= v->snd_cc));
	case TCPS_FIN_WAIT_2:
	case TCPS_TIME_WAIT:
		return !out && !probe;
	default:
		break;
	}
	if (tcp_fin_outstanding(tp))
		return out && out - 1 == v->snd_cc && !probe;
	return out <= v->snd_cc && probe <= v->snd_cc;
}

static bool recovery_ok(const struct tcpcb *tp)
{
	/* prr() divides by it. */
	if (tp->ca_state == TCP_CA_RECOVERY && !tp->recover_fs)
		return false;
	return tp->ca_state == TCP_CA_OPEN ||
	       (tp->recover != tp->snd_una &&
		seq_within(tp->snd_una, tp->recover, tp->snd_nxt));
}

/* Ascending, from SND.UNA to SND.NXT; the sums are right. */
static bool scoreboard_ok(const struct tcpcb *tp)
{
	uint32_t left = tp->snd_una, sacked = 0, lost = 0;
	unsigned int i;

	for (i = 0; i < tp->n_runs; i++) {
		const struct tcp_run *r = &tp->run[i];

		if (!seq_within(left, r->end, tp->snd_nxt) || r->end == left)
			return false;
		if (r->mark & RUN_SACKED)
			sacked += r->end - left;
		else if (r->mark & RUN_LOST)
			lost += r->end - left;
		left = r->end;
	}
	if (sacked != tp->sacked_out || lost != tp->lost_out)
		return false;
	/* A SYN is not in it. */
	return tcps_synchronized(tp->state) ? left == tp->snd_nxt : !tp->n_runs;
}

/* Disjoint, with gaps, within (RCV.NXT, RCV.NXT + RCV.WND]. */
static bool out_of_order_ok(const struct tcpcb *tp)
{
	uint32_t edge = tp->rcv_nxt + tp->rcv_wnd;
	unsigned int i, j;

	for (i = 0; i < tp->n_ooo; i++) {
		const struct tcp_range *r = &tp->ooo[i];

		if (!seq_within(tp->rcv_nxt, r->start, edge) || r->start == tp->rcv_nxt ||
		    !seq_within(r->start, r->end, edge) || r->end == r->start)
			return false;
		for (j = 0; j < i; j++)
			if (seq_leq(r->start, tp->ooo[j].end) && seq_leq(tp->ooo[j].start, r->end))
				return false;
	}
	if (tp->n_ooo && !tcps_may_receive(tp->state))
		return false;
	return !(tp->flags & TF_RCVFIN) || seq_within(tp->rcv_nxt, tp->rcv_fin, edge);
}

int tcp_check(const struct tcpcb *tp, const struct tcp_view *v)
{
	if (!limits_ok(tp) || !sizes_ok(tp) || !times_ok(tp))
		return -EUCLEAN;
	if (tp->state == TCPS_CLOSED)
		return tp->n_runs || tp->n_ooo ? -EUCLEAN : 0;
	if (!outstanding_ok(tp, v) || !recovery_ok(tp) || !scoreboard_ok(tp) ||
	    !out_of_order_ok(tp))
		return -EUCLEAN;
	return 0;
}

/* --- for tests ---------------------------------------------------------------- */

static const char *timers_invariant(const struct tcpcb *tp, const struct tcp_view *v)
{
	bool outstanding = tcp_is_outstanding(tp);
	bool rexmt = tp->t_rexmt_us != TCP_NEVER;
	bool persist = tp->flags & TF_PERSIST;

	if (tp->state == TCPS_CLOSED)
		return tcp_poll_at(tp) == TCP_NEVER ? NULL : "a timer runs in CLOSED";
	if (tp->state == TCPS_TIME_WAIT && tp->t_2msl_us == TCP_NEVER)
		return "TIME-WAIT has no end";
	if (outstanding && (!rexmt || persist))
		return "something is outstanding and no retransmission timer runs";
	if (persist && (!rexmt || !tcps_may_send(tp->state)))
		return "persisting without a timer";
	if (!outstanding && rexmt && !persist)
		return "the retransmission timer runs for nothing";
	if (!outstanding && tcps_may_send(tp->state) && v->snd_cc && !persist)
		return "data waits and no timer runs";
	if (tcps_fin_pending(tp->state) && !v->snd_cc && !outstanding)
		return "FIN waits and no timer runs";
	if (v->closed && tp->state == TCPS_FIN_WAIT_2 && tp->t_2msl_us == TCP_NEVER)
		return "FIN-WAIT-2 has no end";
	if (tcps_synchronized(tp->state) && tp->last_ack_sent != tp->rcv_nxt &&
	    tp->t_delack_us == TCP_NEVER)
		return "an ACK is owed and no timer runs";
	return NULL;
}

const char *tcp_invariant(const struct tcpcb *tp, const struct tcp_view *v)
{
	const uint32_t due = TF_ACKNOW | TF_SYN_DUE | TF_RST_DUE | TF_KEEP_DUE | TF_TLP_DUE |
			     TF_PROBE_DUE;

	if (tcp_check(tp, v))
		return "tcp_check() refuses the block";
	if (tp->flags & due)
		return "tcp_output() left something unsent";
	if (tcps_synchronized(tp->state)) {
		if (tcp_eff_mss(tp) < 1 || tp->snd_cwnd < tcp_eff_mss(tp))
			return "cwnd < SMSS";
		if (tcp_flight_size(tp) > tp->max_sndwnd + 1)
			return "more in flight than the peer ever had room for";
		if (tp->ca_state == TCP_CA_OPEN && (tp->lost_out || tp->frto))
			return "something is lost and nobody recovers it";
		if (tcp_pipe(tp) > tcp_flight_size(tp))
			return "more in the network than outstanding";
		if (seq_gt(tp->last_ack_sent, tp->rcv_nxt))
			return "acknowledged what did not come";
	}
	return timers_invariant(tp, v);
}
