/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tcp_timer.c - what happens when nothing happens
 *
 * Retransmission: a SYN, data or FIN is unacknowledged for RTO.         RFC 6298, 5
 * Persist: the peer's window is shut and we have data.                  RFC 9293, 3.8.6.1
 * Loss: a tail loss probe, or the end of a reordering window.           RFC 8985, 6.2, 7
 * Delayed ACK: a segment came and we have not acknowledged it.          RFC 9293, 3.8.6.3
 * 2MSL: TIME-WAIT; FIN-WAIT-2 of a socket that nobody holds.            RFC 9293, 3.6
 * Keep-alive: nothing was heard for long.                               RFC 9293, 3.8.4
 *
 * Other files do not arm timers.  They say what happened, with the functions
 * at the end of this file.  A timer that expires is stopped or set to the
 * future, so that no block makes its owner spin.
 *
 * Supported standards: RFC 6298, RFC 6582, RFC 9293, RFC 8985, RFC 5482.
 */
#include <string.h>

#include "stack/engine/tcp_fsm.h"
#include "stack/engine/tcp_var.h"

/* --- expiry ------------------------------------------------------------------ */

static void timed_out(struct tcpcb *tp, uint64_t now_us, struct tcp_rx *rx)
{
	tcp_set_state(tp, TCPS_CLOSED, now_us);
	rx->events |= TCP_EV_TIMEDOUT | TCP_EV_CLOSED;
}

/*
 * The user's bound on how long there may be no progress (RFC 9293, 3.8.3, R2); 0:
 * the retries decide.  If the user has none, both sides may agree on one: RFC
 * 5482, 3.1.
 */
static uint64_t patience_us(const struct tcpcb *tp)
{
	uint32_t s = max_u32(max_u32(tp->adv_uto_s, tp->remote_uto_s), TCP_UTO_MIN_S);

	if (tp->user_timeout_ms)
		return tp->user_timeout_ms * 1000ull;
	return tp->adv_uto_s && tp->remote_uto_s ? min_u32(s, TCP_UTO_MAX_S) * 1000000ull : 0;
}

static bool is_too_long(const struct tcpcb *tp, uint64_t now_us)
{
	uint64_t us = patience_us(tp);

	return us && now_us > tp->stuck_us && now_us - tp->stuck_us >= us;
}

/* @at, or when the user's patience ends, if that is earlier. */
static uint64_t before_too_long(const struct tcpcb *tp, uint64_t at, uint64_t now_us)
{
	uint64_t us = patience_us(tp), end = tp->stuck_us + us;

	return us && end > now_us && end < at ? end : at;
}

static void count_expiry(struct tcpcb *tp)
{
	if (tp->n_rto < UINT8_MAX)
		tp->n_rto++;
	if (tp->n_unanswered < UINT8_MAX)
		tp->n_unanswered++;
}

/* RTO, doubled for each expiry in a row. */
static uint64_t persist_interval(const struct tcpcb *tp)
{
	uint64_t us = (uint64_t)tp->rto_us << (tp->n_rto < 16 ? tp->n_rto : 16);

	return us < TCP_RTO_MAX_US ? us : TCP_RTO_MAX_US;
}

/* RFC 9293, 3.8.6.1.  A shut window is no reason to give up while the peer
 * answers (MUST-37): any acceptable ACK sets n_unanswered to 0. */
static void persist_expired(struct tcpcb *tp, uint64_t now_us, struct tcp_rx *rx)
{
	if (is_too_long(tp, now_us) ||
	    (!patience_us(tp) && tp->n_unanswered >= tp->data_retries)) {
		timed_out(tp, now_us, rx);
		return;
	}
	count_expiry(tp);
	tp->flags |= TF_PROBE_DUE;
	tp->t_rexmt_us = before_too_long(tp, now_us + persist_interval(tp), now_us);
}

/* RFC 6298, 5.4 to 5.7 */
static void rexmt_expired(struct tcpcb *tp, uint64_t now_us, struct tcp_rx *rx)
{
	/* Before our SYN,ACK is acknowledged nothing else is sent again. */
	bool is_syn = tp->state == TCPS_SYN_SENT || tp->state == TCPS_SYN_RECEIVED ||
		      (tp->uflags & TU_SYN_OUT);

	tp->t_rexmt_us = TCP_NEVER;
	if (!tcp_is_outstanding(tp))
		return;
	/* RFC 9293, 3.8.3: R2 */
	if (is_too_long(tp, now_us) ||
	    (is_syn && tp->n_unanswered >= tp->syn_retries) ||
	    (!is_syn && !patience_us(tp) && tp->n_unanswered >= tp->data_retries)) {
		timed_out(tp, now_us, rx);
		return;
	}
	count_expiry(tp);
	tp->n_rto_total++;
	tcp_rtt_backoff(tp);
	tp->t_rexmt_us = before_too_long(tp, now_us + tp->rto_us, now_us);
	tp->t_loss_us = TCP_NEVER;
	tp->flags &= ~TF_REO;
	if (is_syn) {
		tp->flags |= TF_SYN_DUE | TF_SYN_REXMT;
		tcp_rtt_cancel(tp);
	} else {
		tcp_mtu_rto(tp, now_us);
		tcp_loss_rto(tp);
	}
}

/* RFC 8985, 6.2 and 7.3 */
static void loss_expired(struct tcpcb *tp, const struct tcp_view *v, uint64_t now_us)
{
	tp->t_loss_us = TCP_NEVER;
	if (!tcp_is_outstanding(tp) || !tcps_may_send(tp->state))
		return;
	if (tp->flags & TF_REO) {
		tp->flags &= ~TF_REO;
		tcp_loss_reordering(tp, v, now_us);
	} else if (tp->ca_state != TCP_CA_LOSS && !is_too_long(tp, now_us)) {
		/* Whether a probe goes or not: RFC 8985, 7.3 */
		tp->flags |= TF_TLP_DUE;
		tp->t_rexmt_us = before_too_long(tp, now_us + tp->rto_us, now_us);
	}
}

/* Has the peer been silent for too long?  As Linux: the user's patience counts
 * instead of the number of probes, if there is such a bound. */
static bool is_dead(const struct tcpcb *tp, uint64_t now_us)
{
	uint64_t us = patience_us(tp);

	if (!us)
		return tp->n_keep >= tp->keep_count;
	return tp->n_keep && now_us > tp->heard_us && now_us - tp->heard_us >= us;
}

static void keep_expired(struct tcpcb *tp, uint64_t now_us, struct tcp_rx *rx)
{
	uint64_t idle_us = tp->keep_idle_ms * 1000ull;

	tp->t_keep_us = TCP_NEVER;
	if (!tcps_synchronized(tp->state) || tp->state == TCPS_TIME_WAIT || !tp->keep_idle_ms)
		return;
	/* Nothing since the handshake: the silence began with it, or when
	 * keep-alive was asked for. */
	if (!tp->heard_us && now_us > idle_us)
		tp->heard_us = now_us - idle_us;
	/* Outstanding data has a timer of its own. */
	if (tcp_is_outstanding(tp)) {
		tp->t_keep_us = now_us + idle_us;
	} else if (now_us < tp->heard_us || now_us - tp->heard_us < idle_us) {
		tp->t_keep_us = now_us + idle_us;
		if (now_us > tp->heard_us)
			tp->t_keep_us -= now_us - tp->heard_us;
	} else if (is_dead(tp, now_us)) {
		timed_out(tp, now_us, rx);
	} else {
		tp->n_keep++;
		tp->flags |= TF_KEEP_DUE;
		tp->t_keep_us = now_us + tp->keep_intvl_ms * 1000ull;
	}
}

void tcp_timers(struct tcpcb *tp, const struct tcp_view *v, uint64_t now_us, struct tcp_rx *rx)
{
	memset(rx, 0, sizeof(*rx));

	if (now_us >= tp->t_delack_us) {
		tp->t_delack_us = TCP_NEVER;
		tp->n_steady = 0;
		tp->flags |= TF_ACKNOW;
		/* The answer did not come in time. */
		tp->flags &= ~TF_PINGPONG;
	}
	/* Before the retransmission timer: if we come late, and both are due,
	 * a probe is the cheaper answer. */
	if (now_us >= tp->t_loss_us)
		loss_expired(tp, v, now_us);
	if (now_us >= tp->t_rexmt_us) {
		if (tp->flags & TF_PERSIST)
			persist_expired(tp, now_us, rx);
		else
			rexmt_expired(tp, now_us, rx);
	}
	if (now_us >= tp->t_keep_us)
		keep_expired(tp, now_us, rx);
	if (now_us >= tp->t_2msl_us) {
		/* No time for FIN-WAIT-2: the peer is told, as Linux does. */
		if (tp->state == TCPS_FIN_WAIT_2 && tp->fin_wait_2_us == 1)
			tcp_user_abort(tp, now_us);
		tcp_set_state(tp, TCPS_CLOSED, now_us);
		rx->events |= TCP_EV_CLOSED;
	}
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t tcp_poll_at(const struct tcpcb *tp)
{
	uint64_t t = earlier(tp->t_rexmt_us, tp->t_loss_us);

	t = earlier(t, tp->t_delack_us);
	t = earlier(t, tp->t_2msl_us);
	return earlier(t, tp->t_keep_us);
}

/* --- what others tell --------------------------------------------------------- */

void tcp_timer_init(struct tcpcb *tp)
{
	tp->t_rexmt_us = TCP_NEVER;
	tp->t_loss_us = TCP_NEVER;
	tp->t_delack_us = TCP_NEVER;
	tp->t_2msl_us = TCP_NEVER;
	tp->t_keep_us = TCP_NEVER;
}

/* The state is a new one. */
void tcp_timer_state(struct tcpcb *tp, uint64_t now_us)
{
	switch (tp->state) {
	case TCPS_CLOSED:
		tcp_timer_init(tp);
		break;
	case TCPS_TIME_WAIT:
		tcp_timer_init(tp);
		tp->t_2msl_us = now_us + 2ull * tp->msl_us;
		break;
	case TCPS_ESTABLISHED:
		tcp_timer_keep(tp, now_us);
		break;
	default:
		break;
	}
}

/* A tail loss probe, unless a reordering window runs. */
static void loss_timer_set(struct tcpcb *tp, uint64_t now_us)
{
	uint64_t pto;

	if (tp->flags & TF_REO)
		return;
	tp->t_loss_us = TCP_NEVER;
	if ((tp->flags & (TF_SACK | TF_SRTT)) != (TF_SACK | TF_SRTT) ||
	    !tcp_is_outstanding(tp) || !tcps_may_send(tp->state))
		return;
	/* RFC 8985, 7.2: one probe, and not while RACK has what it needs; in
	 * recovery, the rescue. */
	if (tp->ca_state == TCP_CA_LOSS || tp->n_rto)
		return;
	if (tp->ca_state == TCP_CA_OPEN ? tp->sacked_out || (tp->flags & TF_TLP_OUT) :
					  tp->lost_out || (tp->flags & TF_RESCUE))
		return;
	pto = 2ull * tp->srtt_us;
	if (tcp_flight_size(tp) <= tcp_eff_mss(tp))
		pto += tp->srtt_us > TCP_PTO_DELACK_US ? TCP_PTO_FAR_US : TCP_PTO_DELACK_US;
	if (pto < TCP_PTO_MIN_US)
		pto = TCP_PTO_MIN_US;
	tp->t_loss_us = now_us + pto;
	/* Where two round trips are longer than RTO the probe goes in its place; in
	 * recovery there would be no use for it. */
	if (tp->t_loss_us >= tp->t_rexmt_us)
		tp->t_loss_us = tp->ca_state == TCP_CA_OPEN ? tp->t_rexmt_us : TCP_NEVER;
}

/* A segment with data or SYN or FIN was sent.  RFC 6298, 5.1 */
void tcp_timer_data_sent(struct tcpcb *tp, const struct tcp_seg *seg, uint64_t now_us)
{
	if (tp->t_rexmt_us == TCP_NEVER) {
		tp->stuck_us = now_us;
		tp->t_rexmt_us = before_too_long(tp, now_us + tp->rto_us, now_us);
	}
	tp->sent_us = now_us;
	if (!seg->is_rexmt || (tp->flags & TF_TLP_OUT) || tp->ca_state == TCP_CA_RECOVERY)
		loss_timer_set(tp, now_us);
}

/* A segment with ACK was sent. */
void tcp_timer_ack_sent(struct tcpcb *tp)
{
	tp->t_delack_us = TCP_NEVER;
}

/* RFC 6582, 3.2, (3): of a recovery's partial ACKs only the first resets the timer.
 * Where many are lost slow start after RTO is sooner done than a hole each round trip. */
static bool is_later_partial_ack(struct tcpcb *tp)
{
	bool was = tp->rec_flags & RF_PARTIAL;

	if (tp->ca_state != TCP_CA_RECOVERY || (tp->flags & TF_SACK))
		return false;
	tp->rec_flags |= RF_PARTIAL;
	return was;
}

/* SND.UNA moved.  RFC 6298, 5.2 and 5.3 */
void tcp_timer_acked(struct tcpcb *tp, uint64_t now_us)
{
	tp->n_rto = 0;
	tp->n_unanswered = 0;
	tp->stuck_us = now_us;
	/* A tail probe that is due is not any more: RFC 8985, 7.2 */
	tp->flags &= ~(TF_PERSIST | TF_PROBE_DUE | TF_TLP_DUE);
	/* Where the user is impatient it may run for him, and he sees progress. */
	if (!is_later_partial_ack(tp) || patience_us(tp))
		tp->t_rexmt_us = tcp_is_outstanding(tp) ?
			before_too_long(tp, now_us + tp->rto_us, now_us) : TCP_NEVER;
	if (!tcp_is_outstanding(tp))
		tp->flags &= ~TF_REO;
	loss_timer_set(tp, now_us);
}

/* RACK wants to look again in @wait_us (RFC 8985, 6.2, step 5); 0: not. */
void tcp_timer_reordering(struct tcpcb *tp, uint64_t now_us, uint32_t wait_us)
{
	bool was = (tp->flags & TF_REO) || tp->ca_state == TCP_CA_RECOVERY;

	tp->flags &= ~TF_REO;
	if (wait_us) {
		tp->flags |= TF_REO;
		tp->t_loss_us = now_us + wait_us;
	} else if (was) {
		loss_timer_set(tp, now_us);
	}
}

/* Data came that need not be acknowledged at once, but in @wait_us. */
void tcp_timer_ack_owed(struct tcpcb *tp, uint64_t now_us, uint32_t wait_us)
{
	if (tp->t_delack_us > now_us + wait_us)
		tp->t_delack_us = now_us + wait_us;
}

/* A segment came. */
void tcp_timer_heard(struct tcpcb *tp, uint64_t now_us)
{
	tp->heard_us = now_us;
	tp->n_keep = 0;
	if (tp->snd_wnd && !(tp->flags & TF_PERSIST))
		return;
	tp->n_unanswered = 0;
	/* Only the user's own bound is one for a window that stays shut (as Linux),
	 * not what both sides agree on (RFC 9293, MUST-37). */
	if (!tp->user_timeout_ms)
		tp->stuck_us = now_us;
}

/* There is something to send, nothing outstanding, and the window forbids it. */
void tcp_timer_window_shut(struct tcpcb *tp, uint64_t now_us)
{
	if (tp->flags & TF_PERSIST)
		return;
	tp->flags |= TF_PERSIST;
	tp->n_rto = 0;
	tp->n_unanswered = 0;
	tp->stuck_us = now_us;
	tp->t_rexmt_us = before_too_long(tp, now_us + persist_interval(tp), now_us);
}

/* ... no longer. */
void tcp_timer_window_open(struct tcpcb *tp)
{
	if (!(tp->flags & TF_PERSIST))
		return;
	tp->flags &= ~(TF_PERSIST | TF_PROBE_DUE);
	tp->n_rto = 0;
	tp->n_unanswered = 0;
	tp->t_rexmt_us = TCP_NEVER;
}

/* Nobody holds the socket any more: FIN-WAIT-2 shall end. */
void tcp_timer_orphan(struct tcpcb *tp, uint64_t now_us)
{
	if (tp->state == TCPS_FIN_WAIT_2 && tp->t_2msl_us == TCP_NEVER)
		tp->t_2msl_us = now_us + tp->fin_wait_2_us;
}

/* The peer's FIN came once more: our last ACK was lost.  RFC 9293, 3.10.7.4, eighth */
void tcp_timer_peer_fin_again(struct tcpcb *tp, uint64_t now_us)
{
	if (tp->state == TCPS_TIME_WAIT)
		tp->t_2msl_us = now_us + 2ull * tp->msl_us;
}

/* Keep-alive was turned on or off, or is to begin. */
void tcp_timer_keep(struct tcpcb *tp, uint64_t now_us)
{
	tp->t_keep_us = TCP_NEVER;
	tp->n_keep = 0;
	if (tp->keep_idle_ms && tcps_synchronized(tp->state) && tp->state != TCPS_TIME_WAIT)
		tp->t_keep_us = now_us + tp->keep_idle_ms * 1000ull;
}

/* The user's patience has changed. */
void tcp_timer_user(struct tcpcb *tp, uint64_t now_us)
{
	if (tp->t_rexmt_us != TCP_NEVER)
		tp->t_rexmt_us = before_too_long(tp, tp->t_rexmt_us, now_us);
}

/* Deadlines were perhaps not set by us: none is later than we would set it. */
void tcp_timer_bound(struct tcpcb *tp, uint64_t now_us)
{
	if (tp->state == TCPS_CLOSED)
		return;
	if (tcp_is_outstanding(tp) || (tp->flags & TF_PERSIST))
		tp->t_rexmt_us = earlier(tp->t_rexmt_us, now_us + persist_interval(tp));
	if (tp->state == TCPS_TIME_WAIT)
		tp->t_2msl_us = earlier(tp->t_2msl_us, now_us + 2ull * tp->msl_us);
	else if (tp->state == TCPS_FIN_WAIT_2)
		tp->t_2msl_us = earlier(tp->t_2msl_us, now_us + tp->fin_wait_2_us);
}

/* Everything outstanding is about to be sent again: by a new owner, or in smaller
 * segments. */
void tcp_timer_again(struct tcpcb *tp, uint64_t now_us)
{
	tp->flags &= ~TF_REO;
	tp->t_loss_us = TCP_NEVER;
	tp->t_rexmt_us = before_too_long(tp, now_us + tp->rto_us, now_us);
}
