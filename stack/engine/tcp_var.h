/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tcp_var.h - what the engine's files know of each other
 *
 * Nobody outside stack/engine includes this, but for its own tests.
 */
#ifndef STACK_ENGINE_TCP_VAR_H
#define STACK_ENGINE_TCP_VAR_H

#include "stack/engine/tcp.h"
#include "stack/engine/tcp_seq.h"

#define TCP_NEVER	UINT64_MAX	/* a deadline that is not running */

/* --- constants, with their origin ------------------------------------------ */

/* TCP_MSS_DEFAULT, 536 (RFC 9293, 3.7.1, MUST-15), is in <netinet/tcp.h>; for
 * IPv6 the owner says 1220. */
#define TCP_MSS_MIN		48		/* least send MSS we believe, as Linux */
#define TCP_BASE_MSS		1024		/* as Linux: tcp_base_mss */
#define TCP_WND_MAX		(65535u << 14)	/* RFC 7323, 2.3 */
#define TCP_WSCALE_MAX		14		/* RFC 7323, 2.3 */
#define TCP_CWND_MAX		TCP_WND_MAX	/* more could not be in flight */
static_assert(TCP_SSTHRESH_INF == TCP_CWND_MAX, "no loss yet");

#define TCP_RTO_INIT_US		1000000u	/* RFC 6298, 2.1 */
#define TCP_RTO_SYN_US		3000000u	/* RFC 6298, 5.7 */
#define TCP_RTO_MIN_US		200000u		/* as Linux; RFC 6298, 2.4 would have 1 s */
#define TCP_RTO_MAX_US		120000000u	/* RFC 6298, 2.5 */
#define TCP_CLOCK_US		1000u		/* G of RFC 6298, and our timestamp clock */
#define TCP_RTT_MAX_US		60000000u	/* larger measurements are cut off */

#define TCP_SYN_RETRIES		6		/* as Linux: tcp_syn_retries, */
#define TCP_DATA_RETRIES	15		/* tcp_retries2, */
#define TCP_ORPHAN_RETRIES	8		/* tcp_orphan_retries */

#define TCP_UTO_MIN_S		100u		/* L_LIMIT of RFC 5482, 3.1: R2 of RFC 9293, 3.8.3 */
#define TCP_UTO_MAX_S		3600u		/* U_LIMIT: nobody makes us keep a connection longer */
#define TCP_ORPHAN_MS		60000u		/* a user timeout that outlives its user is not longer */
#define TCP_R1			3		/* RFC 9293, 3.8.3; as Linux: tcp_retries1 */

#define TCP_DELACK_US		40000u		/* RFC 9293, MUST-40: below 500 ms */
#define TCP_THIRD_US		8000u		/* ... if it waits for a third segment: below TCP_PTO_MIN_US and Linux's */
#define TCP_QUICKACKS		16		/* segments acknowledged at once after the start */
#define TCP_MSL_US		30000000u	/* TIME-WAIT of 60 s, as Linux */
#define TCP_FIN_WAIT_2_US	60000000u	/* as Linux */
#define TCP_KEEP_MAX_MS		32767000u	/* as Linux: MAX_TCP_KEEPIDLE, in ms */
#define TCP_OOW_US		500000u		/* RFC 5961, 7: at most two answers a second */
#define TCP_PAWS_IDLE_S		(24u * 86400)	/* RFC 7323, 5.5 */
#define TCP_PTO_MIN_US		10000u		/* RFC 8985, 7.2; below it we measure the scheduler */
#define TCP_PTO_DELACK_US	50000u		/* TLP.max_ack_delay: ours and Linux's 40 ms, and some; */
#define TCP_PTO_FAR_US		200000u		/* as Linux: who is far away may be any TCP */
#define TCP_REO_MIN_US		1000u		/* least reordering window */
#define TCP_TIME_MAX_US		1000000000u	/* bound on every configured duration */

#define TCP_TRAIN_MIN		2		/* segments, as Linux: tcp_min_tso_segs, */
#define TCP_TRAIN_MAX		65536u		/* octets: and what TSO takes at most */

#define TCP_DUPTHRESH		3		/* RFC 5681, 3.2 */

/* --- quantities that follow from others --------------------------------------- */

/* FlightSize, without what is SACKed (RFC 5681, 2). */
static inline uint32_t tcp_flight_size(const struct tcpcb *tp)
{
	return tp->snd_nxt - tp->snd_una;
}

/* SYN, data or FIN that is not acknowledged: the retransmission timer runs. */
static inline bool tcp_is_outstanding(const struct tcpcb *tp)
{
	return tp->snd_nxt != tp->snd_una || (tp->uflags & TU_SYN_OUT);
}

/* Right edge of the peer's window. */
static inline uint32_t tcp_wnd_end(const struct tcpcb *tp)
{
	return tp->snd_una + tp->snd_wnd;
}

/* The same as the peer meant it: what does not fill the field's unit is rounded
 * away, and so its window may seem to shrink by less than one (RFC 7323, 2.4). */
static inline uint32_t tcp_wnd_end_meant(const struct tcpcb *tp)
{
	return tcp_wnd_end(tp) + (1u << tp->snd_scale) - 1;
}

/* Has the peer taken back its window: more has been sent than it takes now? */
static inline bool tcp_wnd_has_shrunk(const struct tcpcb *tp)
{
	return seq_gt(tp->snd_nxt, tcp_wnd_end_meant(tp));
}

/* SND.NXT; but if the peer has taken back its window, its right edge, or it would
 * not accept an ACK or RST from us: unless TU_ACK_NXT. */
static inline uint32_t tcp_acceptable_seq(const struct tcpcb *tp)
{
	return tcp_wnd_has_shrunk(tp) && !(tp->uflags & TU_ACK_NXT) ? tcp_wnd_end(tp) : tp->snd_nxt;
}

/* Our clock as others see it. */
static inline uint32_t tcp_tsval(const struct tcpcb *tp, uint64_t now_us)
{
	return (uint32_t)(now_us / TCP_CLOCK_US) + tp->ts_offset;
}

/* The UTO field (RFC 5482, 2), rounded up to what it can express. */
static inline uint16_t tcp_uto_field(uint32_t s)
{
	return (uint16_t)(s < TCP_UTO_MINUTES ? s : TCP_UTO_MINUTES | (s + 59) / 60);
}

/* --- tcp_timer.c: tell the timers what happened ---------------------------------- */

void tcp_timer_init(struct tcpcb *tp);
void tcp_timer_state(struct tcpcb *tp, uint64_t now_us);
void tcp_timer_data_sent(struct tcpcb *tp, const struct tcp_seg *seg, uint64_t now_us);
void tcp_timer_probe_sent(struct tcpcb *tp, uint64_t now_us);
void tcp_timer_ack_sent(struct tcpcb *tp);
void tcp_timer_acked(struct tcpcb *tp, uint64_t now_us);
void tcp_timer_reordering(struct tcpcb *tp, uint64_t now_us, uint32_t wait_us);
void tcp_timer_ack_owed(struct tcpcb *tp, uint64_t now_us, uint32_t wait_us);
void tcp_timer_heard(struct tcpcb *tp, uint64_t now_us);
void tcp_timer_window_shut(struct tcpcb *tp, uint64_t now_us);
void tcp_timer_window_open(struct tcpcb *tp);
void tcp_timer_orphan(struct tcpcb *tp, uint64_t now_us);
void tcp_timer_peer_fin_again(struct tcpcb *tp, uint64_t now_us);
void tcp_timer_keep(struct tcpcb *tp, uint64_t now_us);
void tcp_timer_user(struct tcpcb *tp, uint64_t now_us);
void tcp_timer_again(struct tcpcb *tp, uint64_t now_us);
void tcp_timer_bound(struct tcpcb *tp, uint64_t now_us);

/* --- tcp_output.c ------------------------------------------------------------- */

void tcp_respond_rst(struct tcpcb *tp, uint32_t seq);
uint32_t tcp_select_window(const struct tcpcb *tp, const struct tcp_view *v);
uint32_t tcp_sendable(const struct tcpcb *tp, const struct tcp_view *v, bool *fin);

/* --- tcp_mtu.c --------------------------------------------------------------- */

#define TCP_MTU_WAIT	UINT32_MAX

void tcp_mtu_established(struct tcpcb *tp);
void tcp_mtu_age(struct tcpcb *tp, uint64_t now_us);
uint32_t tcp_mtu_probe(const struct tcpcb *tp, uint32_t avail, uint32_t usable);
void tcp_mtu_probe_sent(struct tcpcb *tp, uint32_t seq, uint32_t len);
void tcp_mtu_acked(struct tcpcb *tp, uint64_t now_us);
void tcp_mtu_again(struct tcpcb *tp, uint32_t start, uint32_t end);
bool tcp_mtu_lost(struct tcpcb *tp, uint64_t now_us, uint32_t *end);
void tcp_mtu_rto(struct tcpcb *tp, uint64_t now_us);

/* --- tcp_rtt.c --------------------------------------------------------------- */

void tcp_rtt_init(struct tcpcb *tp);
void tcp_rtt_sent(struct tcpcb *tp, uint32_t seq, uint32_t end, bool is_rexmt, uint64_t now_us);
void tcp_rtt_acked(struct tcpcb *tp, const struct tcp_seg *seg, uint64_t now_us);
void tcp_rtt_sacked(struct tcpcb *tp, uint64_t now_us);
void tcp_rtt_cancel(struct tcpcb *tp);
void tcp_rtt_backoff(struct tcpcb *tp);

/* --- tcp_cc.c ---------------------------------------------------------------- */

void tcp_cc_init(struct tcpcb *tp);
void tcp_cc_sent(struct tcpcb *tp);
void tcp_cc_acked(struct tcpcb *tp, uint32_t acked, uint64_t now_us);
void tcp_cc_rtt(struct tcpcb *tp, uint32_t rtt_us);
void tcp_cc_loss(struct tcpcb *tp);
void tcp_cc_undo(struct tcpcb *tp);
void tcp_cc_rto(struct tcpcb *tp);
void tcp_cc_idle(struct tcpcb *tp, uint64_t idle_us);

/* --- what one ACK has told ------------------------------------------------------ */

struct tcp_ack {
	const struct tcp_seg *seg;
	uint64_t now_us;
	uint32_t top;		/* before it: right edge of what had arrived */
	uint32_t acked;		/* octets SND.UNA moved over */
	uint32_t sacked;	/* octets SACKed that were not before */
	uint32_t delivered;	/* octets it says have arrived: DeliveredData of RFC 9937 */
	uint32_t lost;		/* octets found lost by it */
	uint32_t dsack;		/* octets that the peer received twice */
	uint32_t rtt_us;	/* the least round trip of what was sent once, if has_rtt */
	bool has_rtt;
	bool orig;		/* octets below `recover' that were sent once have arrived */
	bool dup;		/* a duplicate ACK */
};

/* tcp_run.sent */
#define RUN_CLOCK_MASK	0x1fffffffu

static inline uint32_t run_clock(uint64_t now_us)
{
	return (uint32_t)now_us & RUN_CLOCK_MASK;
}

/* Microseconds from @from to @to; negative if @to is the earlier. */
static inline int32_t run_clock_diff(uint32_t from, uint32_t to)
{
	return (int32_t)((to - from) << 3) >> 3;
}

/* --- tcp_loss.c --------------------------------------------------------------- */

void tcp_loss_init(struct tcpcb *tp);
void tcp_loss_sent(struct tcpcb *tp, uint32_t start, uint32_t end, bool again, uint64_t now_us);
void tcp_loss_ack_begin(struct tcpcb *tp, struct tcp_ack *ack);
void tcp_loss_acked(struct tcpcb *tp, struct tcp_ack *ack);
void tcp_loss_dupack(struct tcpcb *tp, struct tcp_ack *ack);
void tcp_loss_detect(struct tcpcb *tp, const struct tcp_view *v, struct tcp_ack *ack);
void tcp_loss_ecn(struct tcpcb *tp);
void tcp_loss_reordering(struct tcpcb *tp, const struct tcp_view *v, uint64_t now_us);
void tcp_loss_rto(struct tcpcb *tp);
void tcp_loss_all(struct tcpcb *tp);
void tcp_loss_refused(struct tcpcb *tp, uint64_t now_us);
void tcp_loss_tlp_acked(struct tcpcb *tp, const struct tcp_ack *ack, bool advanced);
bool tcp_loss_rescue(struct tcpcb *tp, uint32_t *start, uint32_t *end);

/* --- tcp_rack.c --------------------------------------------------------------- */

void tcp_rack_arrived(struct tcpcb *tp, struct tcp_ack *ack, const struct tcp_run *run,
		      uint32_t start, uint32_t end);
bool tcp_rack_is_dupthresh(const struct tcpcb *tp, const struct tcp_view *v);
uint32_t tcp_rack_detect(struct tcpcb *tp, const struct tcp_view *v, uint64_t now_us,
			 uint32_t *wait_us);
void tcp_rack_age(struct tcpcb *tp, uint64_t now_us);
void tcp_rack_dsack(struct tcpcb *tp, struct tcp_ack *ack);
void tcp_rack_recovered(struct tcpcb *tp);
void tcp_rack_una(struct tcpcb *tp);

/* --- tcp_sack.c: the sender's scoreboard ------------------------------------------ */

void tcp_sb_sent(struct tcpcb *tp, uint32_t end, uint64_t now_us);
uint32_t tcp_sb_again(struct tcpcb *tp, uint32_t start, uint32_t end, uint64_t now_us);
bool tcp_sb_acked(struct tcpcb *tp, struct tcp_ack *ack);
void tcp_sb_sack(struct tcpcb *tp, struct tcp_ack *ack);
uint32_t tcp_sb_top(const struct tcpcb *tp);
bool tcp_sb_is_sacked(const struct tcpcb *tp, uint32_t seq);
void tcp_sb_forget(struct tcpcb *tp);
void tcp_sb_lose_all(struct tcpcb *tp, bool is_lost);
void tcp_sb_lose_first(struct tcpcb *tp);
void tcp_sb_lose_to(struct tcpcb *tp, uint32_t end);
void tcp_sb_lost(struct tcpcb *tp);
bool tcp_sb_next(const struct tcpcb *tp, uint32_t *start, uint32_t *end);
bool tcp_sb_last(const struct tcpcb *tp, uint32_t *start, uint32_t *end);
uint32_t tcp_pipe(const struct tcpcb *tp);

/* --- tcp_reass.c: the receiver's out-of-order ranges --------------------------------- */

bool tcp_reass_insert(struct tcpcb *tp, uint32_t *start, uint32_t *end);
void tcp_reass_advance(struct tcpcb *tp);
void tcp_reass_sack(struct tcpcb *tp, struct tcp_seg *out, unsigned int max);
void tcp_reass_twice(struct tcpcb *tp, uint32_t start, uint32_t end);

#endif
