/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tcp_user.c - the user asks: OPEN, SEND, RECEIVE, CLOSE, ABORT
 *
 * RFC 9293, 3.10.1 to 3.10.5.  Nothing is sent here; tcp_output() is next.
 * STATUS is reading the block.
 */
#include <errno.h>
#include <string.h>

#include "stack/engine/tcp_fsm.h"
#include "stack/engine/tcp_var.h"

static uint32_t or_default(uint32_t value, uint32_t dflt, uint32_t max)
{
	return value ? min_u32(value, max) : dflt;
}

/**
 * tcp_init() - Prepare a block
 * @cfg:	Copied; 0 members mean the default
 */
void tcp_init(struct tcpcb *tp, const struct tcp_config *cfg)
{
	uint32_t max;

	memset(tp, 0, sizeof(*tp));
	tp->state = TCPS_CLOSED;
	tp->rcv_mss = cfg->mss ? cfg->mss : TCP_MSS_DEFAULT;
	tp->eff_mss_max = cfg->eff_mss_max;
	if (tp->eff_mss_max && tp->eff_mss_max < TCP_MSS_MIN - 12)
		tp->eff_mss_max = TCP_MSS_MIN - 12;
	tp->snd_mss = cfg->mss_default ? cfg->mss_default : TCP_MSS_DEFAULT;
	if (tp->snd_mss < TCP_MSS_MIN)
		tp->snd_mss = TCP_MSS_MIN;
	if (cfg->mss_binds)
		tp->uflags |= TU_MSS;
	tp->rcv_buf = min_u32(cfg->rcv_buf, TCP_WND_MAX);
	tp->rcv_seg = min_u32(TCP_MSS_DEFAULT, tp->rcv_mss);
	tp->quickack = TCP_QUICKACKS;
	tp->ts_offset = cfg->ts_offset;
	if (cfg->ecn == TCP_ECN_ACTIVE)
		tp->rec_flags |= RF_ECN_ASK;
	else if (cfg->ecn == TCP_ECN_OFF)
		tp->rec_flags |= RF_ECN_OFF;
	tp->base_mss = (uint16_t)max_u32(cfg->base_mss ? cfg->base_mss : TCP_BASE_MSS, TCP_MSS_MIN);
	if (cfg->mtu_probing >= TCP_MTU_PROBING_BLACK_HOLE)
		tp->uflags |= TU_BLACKHOLE;
	if (cfg->mtu_probing == TCP_MTU_PROBING_ON)
		tp->uflags |= TU_SEARCH;
	tp->train_min = cfg->train_min ? cfg->train_min : TCP_TRAIN_MIN;
	tp->cc_algo = cfg->cc == TCP_CC_RENO ? TCP_CC_RENO : TCP_CC_CUBIC;

	tp->rto_min_us = or_default(cfg->rto_min_us, TCP_RTO_MIN_US, TCP_RTO_MAX_US);
	tp->msl_us = or_default(cfg->msl_us, TCP_MSL_US, TCP_TIME_MAX_US);
	tp->fin_wait_2_us = or_default(cfg->fin_wait_2_us, TCP_FIN_WAIT_2_US, TCP_TIME_MAX_US);
	tp->syn_retries = cfg->syn_retries ? cfg->syn_retries : TCP_SYN_RETRIES;
	tp->data_retries = cfg->data_retries ? cfg->data_retries : TCP_DATA_RETRIES;

	if (cfg->nodelay)
		tp->flags |= TF_NODELAY;
	if (!cfg->no_sack)
		tp->flags |= TF_REQ_SACK;
	if (!cfg->no_ts)
		tp->flags |= TF_REQ_TS;
	if (!cfg->no_ws) {
		tp->flags |= TF_REQ_WS;
		max = min_u32(max_u32(cfg->rcv_buf_max, cfg->rcv_buf), TCP_WND_MAX);
		while (tp->rcv_scale < TCP_WSCALE_MAX && (65535u << tp->rcv_scale) < max)
			tp->rcv_scale++;
	}
	tcp_timer_init(tp);
	tcp_rtt_init(tp);
	tp->snd_cwnd = TCP_MSS_DEFAULT;
	tp->snd_ssthresh = TCP_CWND_MAX;
}

static int user_open(struct tcpcb *tp, uint32_t iss, enum tcp_state state, uint64_t now_us)
{
	if (tp->state != TCPS_CLOSED)
		return -EISCONN;
	tp->iss = iss;
	tp->snd_una = iss;
	tp->snd_nxt = iss;
	tp->snd_max = iss;
	tp->snd_sml = iss;
	tcp_loss_init(tp);
	tcp_set_state(tp, state, now_us);
	return 0;
}

int tcp_user_open_active(struct tcpcb *tp, uint32_t iss, uint64_t now_us)
{
	int ret = user_open(tp, iss, TCPS_SYN_SENT, now_us);

	if (!ret)
		tp->flags |= TF_SYN_DUE;
	return ret;
}

int tcp_user_open_passive(struct tcpcb *tp, uint32_t iss, uint64_t now_us)
{
	return user_open(tp, iss, TCPS_LISTEN, now_us);
}

uint16_t tcp_fastopen_room(uint16_t own, uint16_t mss)
{
	mss = mss && mss < own ? mss : own;
	return mss > TCP_HDR_MAX - 20 ? (uint16_t)(mss - (TCP_HDR_MAX - 20)) : 0;
}

void tcp_user_fastopen(struct tcpcb *tp, const struct tcp_fo *fo)
{
	tp->uflags &= ~(TU_FO_OPT | TU_FO_ACCEPT | TU_FO_NOCOOKIE);
	if (fo->accept)
		tp->uflags |= TU_FO_ACCEPT;
	if (fo->kind == TCP_FO_NONE && !fo->room)
		return;
	tp->uflags |= TU_FO_OPT;
	if (tp->state == TCPS_CLOSED && fo->kind && !fo->len)
		tp->uflags |= TU_FO_NOCOOKIE;
	tp->fo_kind = fo->kind;
	tp->fo_len = fo->len;
	tp->fo_room = fo->room;
	memcpy(tp->fo_cookie, fo->cookie, sizeof(tp->fo_cookie));
}

enum tcp_fo_fail tcp_fastopen_fail(const struct tcpcb *tp)
{
	if (tp->uflags & TU_FO_REFUSED)
		return tp->uflags & TU_FO_LOST ? TCP_FO_FAIL_SYN_LOST : TCP_FO_FAIL_REFUSED;
	return tp->uflags & TU_FO_NOCOOKIE ? TCP_FO_FAIL_COOKIE : TCP_FO_FAIL_NONE;
}

int tcp_user_open_answered(struct tcpcb *tp, const struct tcp_view *v, uint32_t iss,
			   const struct tcp_seg *syn, uint64_t now_us)
{
	int ret = tcp_user_open_passive(tp, iss, now_us);
	struct tcp_seg sent;
	struct tcp_rx rx;

	if (ret)
		return ret;
	tcp_input(tp, v, syn, now_us, &rx);
	tcp_output(tp, v, now_us, &sent);
	/* Timed, but from no moment that there is. */
	tp->rtt_start_us = UINT64_MAX;
	return 0;
}

/* RFC 9293, 3.10.2.  The octets are in so_snd; tcp_output() finds them there. */
int tcp_user_send(struct tcpcb *tp, const struct tcp_view *v, uint64_t now_us)
{
	(void)v;
	(void)now_us;
	tp->uflags &= ~(TU_PUSH | TU_MORE);
	switch (tp->state) {
	case TCPS_SYN_SENT:
	case TCPS_SYN_RECEIVED:
		return tp->flags & TF_CLOSE ? -EPIPE : 0;
	case TCPS_ESTABLISHED:
	case TCPS_CLOSE_WAIT:
		return 0;
	case TCPS_CLOSED:
	case TCPS_LISTEN:
		return -ENOTCONN;
	default:
		return -EPIPE;
	}
}

/**
 * tcp_user_recv() - RFC 9293, 3.10.3: the application took octets
 *
 * A window update goes out if the window opens by two full segments and an
 * eighth of the buffer, or half of it; or if what the peer sees is less than a segment, so that it
 * probably waits for just this.  Not as long as the peer has the better part of
 * what our SYN offered: the ACK of what it sends brings it more.  And as Linux: when the last of a short
 * segment was read and nobody seems to be about to answer, the peer need not
 * wait for the delayed ACK; its Nagle would hold the next short segment.
 */
int tcp_user_recv(struct tcpcb *tp, const struct tcp_view *v, uint64_t now_us)
{
	uint32_t more;

	(void)now_us;
	/* Opened fast: our SYN,ACK says it, if the peer is there. */
	if (!tcps_may_receive(tp->state) || (tp->uflags & TU_SYN_OUT))
		return 0;
	if ((tp->flags & (TF_SHORT | TF_PINGPONG)) == TF_SHORT && v->rcv_space >= tp->rcv_buf)
		tp->flags |= TF_ACKNOW;
	if (tp->rcv_nxt - tp->irs <= UINT16_MAX && tp->rcv_wnd > UINT16_MAX / 2)
		return 0;
	more = tcp_select_window(tp, v) - tp->rcv_wnd;
	/* What the window field cannot express is no news. */
	if (more >> tp->rcv_scale == 0)
		return 0;
	if ((more / 2 >= tp->rcv_mss && more >= tp->rcv_buf / 8) || more >= tp->rcv_buf / 2 || tp->rcv_wnd < tp->rcv_mss)
		tp->flags |= TF_ACKNOW;
	return 0;
}

void tcp_user_rcv_buf(struct tcpcb *tp, uint32_t octets)
{
	tp->rcv_buf = min_u32(octets, TCP_WND_MAX);
}

/* RFC 9293, 3.10.4 */
int tcp_user_close(struct tcpcb *tp, uint64_t now_us)
{
	switch (tp->state) {
	case TCPS_CLOSED:
		return -ENOTCONN;
	case TCPS_LISTEN:
	case TCPS_SYN_SENT:
		tcp_set_state(tp, TCPS_CLOSED, now_us);
		return 0;
	case TCPS_SYN_RECEIVED:
		/* FIN-WAIT-1 as soon as we are ESTABLISHED. */
		break;
	case TCPS_ESTABLISHED:
		tcp_set_state(tp, TCPS_FIN_WAIT_1, now_us);
		break;
	case TCPS_CLOSE_WAIT:
		tcp_set_state(tp, TCPS_LAST_ACK, now_us);
		break;
	default:
		return 0;
	}
	tp->flags |= TF_CLOSE;
	return 0;
}

/* RFC 9293, 3.10.5 */
void tcp_user_abort(struct tcpcb *tp, uint64_t now_us)
{
	switch (tp->state) {
	case TCPS_SYN_RECEIVED:
	case TCPS_ESTABLISHED:
	case TCPS_FIN_WAIT_1:
	case TCPS_FIN_WAIT_2:
	case TCPS_CLOSE_WAIT:
		/* <SEQ=SND.NXT><CTL=RST>; with ACK, as Linux. */
		tcp_respond_rst(tp, tcps_synchronized(tp->state) ? tcp_acceptable_seq(tp) :
								  tp->snd_nxt);
		tp->flags |= TF_RST_ACK;
		tp->rst_ack = tp->rcv_nxt;
		break;
	default:
		break;
	}
	tcp_set_state(tp, TCPS_CLOSED, now_us);
}

void tcp_user_more(struct tcpcb *tp)
{
	tp->uflags |= TU_MORE;
}

void tcp_user_urgent(struct tcpcb *tp, const struct tcp_view *v)
{
	/* Before our SYN is acknowledged, SND.UNA is the SYN's. */
	tp->snd_up = tp->snd_una + v->snd_cc + !tcps_synchronized(tp->state);
	tp->uflags |= TU_SND_UP;
}

void tcp_user_nodelay(struct tcpcb *tp, bool on)
{
	tp->flags &= ~TF_NODELAY;
	if (on) {
		tp->flags |= TF_NODELAY;
		tp->uflags |= TU_PUSH;
	}
}

static void user_cork(struct tcpcb *tp, bool on)
{
	tp->uflags &= ~TU_CORK;
	if (on)
		tp->uflags |= TU_CORK;
	else
		tp->uflags |= TU_PUSH;
}

void tcp_user_quickack(struct tcpcb *tp, bool on)
{
	if (on) {
		tp->quickack = TCP_QUICKACKS;
		tp->flags &= ~TF_PINGPONG;
		if (tp->t_delack_us != TCP_NEVER)
			tp->flags |= TF_ACKNOW;
	} else {
		tp->quickack = 0;
		tp->flags |= TF_PINGPONG;
	}
}

static uint32_t keep_ms(uint64_t us)
{
	if (us >= TCP_KEEP_MAX_MS * 1000ull)
		return TCP_KEEP_MAX_MS;
	return us ? max_u32((uint32_t)(us / 1000), 1) : 0;
}

void tcp_user_keepalive(struct tcpcb *tp, uint64_t idle_us, uint64_t intvl_us, uint8_t count,
			uint64_t now_us)
{
	tp->keep_idle_ms = keep_ms(idle_us);
	tp->keep_intvl_ms = intvl_us ? keep_ms(intvl_us) : tp->keep_idle_ms;
	tp->keep_count = count;
	tcp_timer_keep(tp, now_us);
}

void tcp_user_opts(struct tcpcb *tp, const struct tcp_user_opts *o, uint64_t now_us)
{
	uint64_t intvl_us = o->keep_intvl_us ? o->keep_intvl_us : o->keep_idle_us;

	if (o->nodelay != !!(tp->flags & TF_NODELAY))
		tcp_user_nodelay(tp, o->nodelay);
	if (o->cork != !!(tp->uflags & TU_CORK))
		user_cork(tp, o->cork);
	if (keep_ms(o->keep_idle_us) != tp->keep_idle_ms ||
	    keep_ms(intvl_us) != tp->keep_intvl_ms || o->keep_count != tp->keep_count)
		tcp_user_keepalive(tp, o->keep_idle_us, intvl_us, o->keep_count, now_us);
	tp->syn_retries = o->syn_retries ? o->syn_retries : TCP_SYN_RETRIES;
	tp->fin_wait_2_us = or_default(o->fin_wait_2_us, TCP_FIN_WAIT_2_US, TCP_TIME_MAX_US);
	tp->window_clamp = o->window_clamp;
	if (tp->adv_uto_s != o->adv_uto_s) {
		tp->adv_uto_s = o->adv_uto_s;
		tp->uflags &= ~TU_UTO_DUE;
		if (tp->adv_uto_s)
			tp->uflags |= TU_UTO_DUE;
		else
			tp->remote_uto_s = 0;
	}
	if (tp->user_timeout_ms != o->user_timeout_ms) {
		tp->user_timeout_ms = o->user_timeout_ms;
		tcp_timer_user(tp, now_us);
	}
}

void tcp_disown(struct tcpcb *tp, uint8_t retries, uint64_t now_us)
{
	tp->rto_min_us = TCP_RTO_MIN_US;
	tp->msl_us = TCP_MSL_US;
	tp->fin_wait_2_us = min_u32(tp->fin_wait_2_us, TCP_FIN_WAIT_2_US);
	tp->uflags &= ~(TU_CORK | TU_MORE);
	tp->syn_retries = TCP_SYN_RETRIES;
	tp->data_retries = retries ? retries : TCP_ORPHAN_RETRIES;
	tp->rto_us = min_u32(tp->rto_us, TCP_RTO_SYN_US);
	/* The retries decide, or a user who was less patient. */
	if (tp->user_timeout_ms > TCP_ORPHAN_MS)
		tp->user_timeout_ms = 0;
	tp->adv_uto_s = 0;
	tp->remote_uto_s = 0;
	tp->uflags &= ~TU_UTO_DUE;
	tp->stuck_us = now_us;
	tcp_user_keepalive(tp, 0, 0, 0, now_us);
	tcp_timer_bound(tp, now_us);
}

/**
 * tcp_renege() - What was received out of order is gone
 *
 * RFC 2018, 8 permits it.  That a FIN was seen stays known.
 */
void tcp_renege(struct tcpcb *tp)
{
	tp->n_ooo = 0;
	tp->rec_flags &= (uint16_t)~RF_DSACK;
}

/**
 * tcp_inherit() - Another owner takes the connection over
 *
 * What was received out of order is gone, which RFC 2018, 8 permits; what is
 * outstanding may never have left, so all of it is sent again.
 */
void tcp_inherit(struct tcpcb *tp, uint64_t now_us)
{
	tcp_renege(tp);
	tp->flags &= ~TF_RCVFIN;
	tp->train_n = 0;
	tp->train_left = 0;
	if (tp->state == TCPS_SYN_SENT || tp->state == TCPS_SYN_RECEIVED) {
		tp->flags |= TF_SYN_DUE;
		return;
	}
	if (!tcps_synchronized(tp->state))
		return;
	tp->flags |= TF_ACKNOW;
	if (tp->uflags & TU_SYN_OUT)
		tp->flags |= TF_SYN_DUE;
	if (tcps_may_send(tp->state) && tp->snd_nxt != tp->snd_una) {
		tcp_sb_forget(tp);
		tcp_loss_all(tp);
		tcp_timer_again(tp, now_us);
	}
}
