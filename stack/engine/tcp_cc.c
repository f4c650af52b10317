/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tcp_cc.c - congestion control: CUBIC, NewReno, and HyStart++ for both
 *
 * The seam: the rest of the engine tells this file what happened, by the
 * functions below, and reads snd_cwnd and snd_ssthresh.  What was lost, and
 * what to send, is not decided here but in tcp_loss.c and tcp_output.c; nor is
 * cwnd during fast recovery, which is tcp_loss.c's (PRR).
 *
 * All in octets, microseconds and whole numbers: RFC 9438's cwnd of segments
 * is cwnd / SMSS here, and its reals are fractions with a remainder kept in
 * the block, so that small segments lose nothing by rounding.
 *
 * cwnd grows only by what shows that cwnd was the limit (RFC 7661, RFC 9438,
 * 5.8): octets that were in flight when tcp_output() last found cwnd full.
 *
 * Supported standards: RFC 5681, RFC 6928, RFC 3465, RFC 9438, RFC 9406.
 * As Linux rather than the RFC: IW is ten segments also where they are large;
 * CUBIC reduces from cwnd, not FlightSize (RFC 9438, 4.6 permits it to whom
 * does not let an unused cwnd grow); after a pause cwnd is halved for each RTO.
 */
#include "stack/engine/tcp_var.h"

#define CUBIC_T_MAX_MS	400000	/* (t - K) beyond which W_cubic(t) is not computed: 64 bits */

const char *const tcp_cc_names[TCP_CC_N] = {
	[TCP_CC_CUBIC] = "cubic", [TCP_CC_RENO] = "reno",
};

/* HyStart++, RFC 9406, 4.3 */
#define HS_RTT_MIN_US	4000	/* MIN_RTT_THRESH */
#define HS_RTT_MAX_US	16000	/* MAX_RTT_THRESH */
#define HS_RTT_DIVISOR	8	/* MIN_RTT_DIVISOR */
#define HS_SAMPLES	8	/* N_RTT_SAMPLE */
#define HS_CSS_DIVISOR	4	/* CSS_GROWTH_DIVISOR */
#define HS_CSS_ROUNDS	5	/* CSS_ROUNDS */
#define HS_NONE		UINT32_MAX

/* IW; one segment if the SYN had to be sent again (RFC 5681, 3.1). */
static uint32_t initial_window(const struct tcpcb *tp)
{
	uint32_t smss = tcp_eff_mss(tp);

	return tp->flags & TF_SYN_REXMT ? smss : 10 * smss;
}

/* A round begins, with @flight octets outstanding. */
static void hystart_round(struct tcpcb *tp, uint32_t flight)
{
	tp->hs_flight = flight;
	tp->hs_last_min_us = tp->hs_min_us;
	tp->hs_min_us = HS_NONE;
	tp->hs_samples = 0;
	tp->hs_end = tp->snd_nxt;
}

/* The connection is ESTABLISHED. */
void tcp_cc_init(struct tcpcb *tp)
{
	tp->snd_cwnd = initial_window(tp);
	tp->snd_ssthresh = TCP_CWND_MAX;
	tp->cwnd_acked = 0;
	tp->cwnd_full_end = tp->snd_una;
	tp->hs_css_rounds = 0;
	tp->hs_min_us = HS_NONE;
	tp->hs_baseline_us = HS_NONE;
	hystart_round(tp, 0);
}

/* The first slow start: nothing is known of the path. */
static bool is_first_slow_start(const struct tcpcb *tp)
{
	return tp->snd_ssthresh == TCP_CWND_MAX;
}

/* The fields of HyStart++ are CUBIC's from now on. */
static void end_first_slow_start(struct tcpcb *tp)
{
	if (!is_first_slow_start(tp))
		return;
	tp->cubic_w_max = 0;
	tp->cubic_prior = 0;
	tp->cubic_epoch_ms = 0;
}

/* --- slow start ----------------------------------------------------------------- */

/**
 * tcp_cc_rtt() - A round trip took @rtt_us
 * HyStart++ (RFC 9406, 4.2): when the round trips of a round are longer than
 * those of the one before, slow start is about to fill the queue.  Then it
 * goes on at a quarter of the pace, for five rounds, or until they are shorter
 * again because it was jitter.
 */
void tcp_cc_rtt(struct tcpcb *tp, uint32_t rtt_us)
{
	uint32_t thresh;

	if (!is_first_slow_start(tp))
		return;
	tp->hs_min_us = min_u32(tp->hs_min_us, rtt_us);
	if (tp->hs_samples < HS_SAMPLES)
		tp->hs_samples++;
	if (tp->hs_samples < HS_SAMPLES)
		return;

	if (tp->hs_baseline_us != HS_NONE) {
		if (tp->hs_min_us < tp->hs_baseline_us) {
			tp->hs_baseline_us = HS_NONE;
			tp->hs_css_rounds = 0;
		}
		return;
	}
	if (tp->hs_last_min_us == HS_NONE)
		return;
	thresh = max_u32(HS_RTT_MIN_US, min_u32(tp->hs_last_min_us / HS_RTT_DIVISOR,
						HS_RTT_MAX_US));
	if (tp->hs_min_us >= tp->hs_last_min_us + thresh)
		tp->hs_baseline_us = tp->hs_min_us;
}

/* A round is over.  Return: so is the first slow start */
static bool round_over(struct tcpcb *tp, uint32_t acked)
{
	if (tp->hs_baseline_us != HS_NONE && ++tp->hs_css_rounds >= HS_CSS_ROUNDS) {
		end_first_slow_start(tp);
		tp->snd_ssthresh = tp->snd_cwnd;
		return true;
	}
	hystart_round(tp, tcp_flight_size(tp) + acked);
	return false;
}

/* cwnd grows by all that was acknowledged, however few ACKs said so: L of RFC 9406
 * is infinite, as if we paced. */
static void slow_start(struct tcpcb *tp, uint32_t acked)
{
	/* RFC 3465: L is 1 after a time-out. */
	if (tp->ca_state == TCP_CA_LOSS)
		acked = min_u32(acked, tcp_eff_mss(tp));
	if (is_first_slow_start(tp) && tp->hs_baseline_us != HS_NONE) {
		/* A quarter of little segments may be nothing: keep the rest. */
		tp->cwnd_acked += acked;
		acked = tp->cwnd_acked / HS_CSS_DIVISOR;
		tp->cwnd_acked %= HS_CSS_DIVISOR;
	}
	tp->snd_cwnd += min_u32(acked, tp->snd_ssthresh - tp->snd_cwnd);
}

/* --- congestion avoidance --------------------------------------------------------- */

/* RFC 5681, 3.1: SMSS for each cwnd acknowledged. */
static void reno_acked(struct tcpcb *tp, uint32_t acked)
{
	tp->cwnd_acked += min_u32(acked, tp->snd_cwnd);
	if (tp->cwnd_acked < tp->snd_cwnd)
		return;
	tp->cwnd_acked -= tp->snd_cwnd;
	tp->snd_cwnd += tcp_eff_mss(tp);
}

/* The largest r with r * r * r =< @x, bit by bit from the top. */
static uint32_t cube_root(uint64_t x)
{
	uint64_t r = 0, t;
	int bit;

	for (bit = 21; bit >= 0; bit--) {
		t = r | 1ull << bit;
		if (t <= 2642245 && t * t * t <= x)	/* the cube root of 2^64 */
			r = t;
	}
	return (uint32_t)r;
}

/* 0 means that no stage of congestion avoidance has begun. */
static uint32_t epoch_ms(uint64_t now_us)
{
	uint32_t ms = (uint32_t)(now_us / 1000);

	return ms ? ms : 1;
}

/* A stage of congestion avoidance begins: RFC 9438, 4.2, K by figure 2. */
static void cubic_begin(struct tcpcb *tp, uint64_t now_us)
{
	uint64_t below;

	tp->cubic_epoch_ms = epoch_ms(now_us);
	tp->cubic_w_est = tp->snd_cwnd;
	tp->cubic_est_acked = 0;
	tp->cwnd_acked = 0;
	tp->cubic_k_ms = 0;
	if (tp->snd_cwnd >= tp->cubic_w_max) {
		tp->cubic_w_max = tp->snd_cwnd;
		return;
	}
	/* (W_max - cwnd) / C, C being 2/5; in ms^3 */
	below = tp->cubic_w_max - tp->snd_cwnd;
	tp->cubic_k_ms = cube_root(below * 2500000000u / tcp_eff_mss(tp));
}

/* W_cubic(@t_ms), octets: RFC 9438, figure 1 */
static uint32_t w_cubic(const struct tcpcb *tp, uint32_t t_ms)
{
	bool is_below = t_ms < tp->cubic_k_ms;
	uint64_t d = is_below ? tp->cubic_k_ms - t_ms : t_ms - tp->cubic_k_ms;
	uint64_t delta, w;

	d = d < CUBIC_T_MAX_MS ? d : CUBIC_T_MAX_MS;
	delta = d * d * d / 1000 * tcp_eff_mss(tp) / 5 * 2 / 1000000;
	if (is_below)
		return delta < tp->cubic_w_max ? tp->cubic_w_max - (uint32_t)delta : 0;
	w = tp->cubic_w_max + delta;
	return w < TCP_CWND_MAX ? (uint32_t)w : TCP_CWND_MAX;
}

/* RFC 9438, 4.3: what NewReno with our beta would have, figure 4 */
static void cubic_reno(struct tcpcb *tp, uint32_t acked)
{
	/* alpha is 3 * (1 - 0.7) / (1 + 0.7) = 9/17, but 1 once W_est has
	 * reached the cwnd of before. */
	uint64_t need = tp->cubic_w_est < tp->cubic_prior ? (uint64_t)tp->snd_cwnd * 17 / 9 :
							    tp->snd_cwnd;
	uint64_t sum = (uint64_t)tp->cubic_est_acked + min_u32(acked, tp->snd_cwnd);

	if (sum >= need) {
		sum -= need;
		tp->cubic_w_est = min_u32(tp->cubic_w_est + tcp_eff_mss(tp), TCP_CWND_MAX);
	}
	/* Below 17/9 of TCP_CWND_MAX */
	tp->cubic_est_acked = (uint32_t)(sum < need ? sum : 0);
}

static void cubic_acked(struct tcpcb *tp, uint32_t acked, uint64_t now_us)
{
	uint32_t t_ms, target, smss = tcp_eff_mss(tp);
	uint64_t need, sum, n;

	if (!tp->cubic_epoch_ms)
		cubic_begin(tp, now_us);
	cubic_reno(tp, acked);
	t_ms = (uint32_t)(now_us / 1000) - tp->cubic_epoch_ms;
	/* A clock that stepped back, or an epoch that is not ours */
	if (t_ms > INT32_MAX)
		t_ms = 0;
	if (w_cubic(tp, t_ms) < tp->cubic_w_est) {
		tp->snd_cwnd = max_u32(tp->snd_cwnd, tp->cubic_w_est);
		return;
	}
	/* 4.4 and 4.5: (target - cwnd) / cwnd for each segment acknowledged;
	 * that is, one segment for each `need' octets. */
	target = w_cubic(tp, t_ms + tp->srtt_us / 1000);
	target = min_u32(target, tp->snd_cwnd + tp->snd_cwnd / 2);
	if (target <= tp->snd_cwnd)
		return;
	need = (uint64_t)smss * tp->snd_cwnd / (target - tp->snd_cwnd);
	/* What was saved up when more was needed is one segment at most, and an
	 * ACK that leaps over a hole counts for one cwnd: no further than the
	 * curve. */
	sum = (tp->cwnd_acked < need ? tp->cwnd_acked : need) + min_u32(acked, tp->snd_cwnd);
	n = sum / need;
	sum -= n * need;
	tp->cwnd_acked = (uint32_t)(sum < TCP_CWND_MAX ? sum : TCP_CWND_MAX);
	tp->snd_cwnd += (uint32_t)n * smss;
}

/* cwnd was not used: that time is not CUBIC's real time (RFC 9438, 5.8).  A
 * new stage begins where cwnd is on the old one's curve. */
static void cubic_pause(struct tcpcb *tp)
{
	if (!is_first_slow_start(tp))
		tp->cubic_epoch_ms = 0;
}

/* Was cwnd full while what is acknowledged now was in flight?  In slow start,
 * half of it is enough, as Linux: in the first, at any time of the round. */
static bool is_cwnd_limited(const struct tcpcb *tp, uint32_t acked)
{
	uint32_t most = tcp_flight_size(tp) + acked;

	if (seq_lt(tp->snd_una - acked, tp->cwnd_full_end))
		return true;
	if (is_first_slow_start(tp))
		most = max_u32(most, tp->hs_flight);
	return tp->snd_cwnd < tp->snd_ssthresh && tp->snd_cwnd / 2 < most;
}

/* New octets were sent. */
void tcp_cc_sent(struct tcpcb *tp)
{
	if (is_first_slow_start(tp))
		tp->hs_flight = max_u32(tp->hs_flight, tcp_flight_size(tp));
}

/**
 * tcp_cc_acked() - SND.UNA moved over @acked octets
 * Not called in fast recovery.
 */
void tcp_cc_acked(struct tcpcb *tp, uint32_t acked, uint64_t now_us)
{
	bool is_limited = is_cwnd_limited(tp, acked);

	/* So that it does not fall behind by half of the sequence space. */
	tp->cwnd_full_end = seq_max(tp->cwnd_full_end, tp->snd_una);
	if (is_first_slow_start(tp) && seq_geq(tp->snd_una, tp->hs_end) && round_over(tp, acked))
		return;
	if (!is_limited) {
		cubic_pause(tp);
		return;
	}
	if (tp->snd_cwnd < tp->snd_ssthresh)
		slow_start(tp, acked);
	else if (tp->cc_algo == TCP_CC_RENO)
		reno_acked(tp, acked);
	else
		cubic_acked(tp, acked, now_us);
	tp->snd_cwnd = min_u32(tp->snd_cwnd, TCP_CWND_MAX);
}

/* --- congestion -------------------------------------------------------------------- */

/* RFC 5681, (4); RFC 9438, 4.6 and 4.7 */
static void reduce(struct tcpcb *tp)
{
	uint32_t floor = 2 * tcp_eff_mss(tp), cwnd = tp->snd_cwnd;

	tp->cwnd_acked = 0;
	/* RFC 3168, 6.1.2: the peer learns that it was done. */
	if (tp->rec_flags & RF_ECN)
		tp->rec_flags |= RF_CWR_DUE;
	end_first_slow_start(tp);
	if (tp->cc_algo == TCP_CC_RENO) {
		/* What limited transmit has sent beyond cwnd does not count (3.2, (2)). */
		tp->snd_ssthresh = max_u32(min_u32(tcp_flight_size(tp), cwnd) / 2, floor);
		return;
	}
	/* Fast convergence: less than last time, so somebody else has come. */
	tp->cubic_w_max = cwnd < tp->cubic_w_max ? (uint32_t)((uint64_t)cwnd * 17 / 20) : cwnd;
	tp->cubic_prior = cwnd;
	tp->cubic_epoch_ms = 0;
	tp->snd_ssthresh = max_u32((uint32_t)((uint64_t)cwnd * 7 / 10), floor);
}

/* Loss was found otherwise than by RTO, or a mark (ECN). */
void tcp_cc_loss(struct tcpcb *tp)
{
	reduce(tp);
	tp->snd_cwnd = min_u32(tp->snd_cwnd, tp->snd_ssthresh);
}

/* There was no congestion: cwnd and ssthresh were restored. */
void tcp_cc_undo(struct tcpcb *tp)
{
	tp->cwnd_acked = 0;
	/* What held back was the reduced cwnd. */
	tp->cwnd_full_end = tp->snd_una;
	if (is_first_slow_start(tp)) {
		/* HyStart++ begins anew. */
		tp->hs_css_rounds = 0;
		tp->hs_min_us = HS_NONE;
		tp->hs_baseline_us = HS_NONE;
		hystart_round(tp, tcp_flight_size(tp));
		return;
	}
	tp->cubic_w_max = max_u32(tp->cubic_w_max, tp->cubic_prior);
	tp->cubic_epoch_ms = 0;
}

/* RTO expired. */
void tcp_cc_rto(struct tcpcb *tp)
{
	/* ssthresh is held when the same segment times out again. */
	if (tp->n_rto <= 1) {
		reduce(tp);
		/* RFC 9438, 4.8: afterwards K is 0, W_max the cwnd of then. */
		tp->cubic_w_max = 0;
	}
	tp->snd_cwnd = tcp_eff_mss(tp);
	tp->cwnd_acked = 0;
}

/* Nothing was sent for @idle_us, longer than RTO: RFC 5681, 4.1.  As Linux,
 * half of cwnd is forgotten for each RTO, down to IW; ssthresh remembers. */
void tcp_cc_idle(struct tcpcb *tp, uint64_t idle_us)
{
	uint32_t least = min_u32(tp->snd_cwnd, 10 * tcp_eff_mss(tp));
	uint32_t old = tp->snd_cwnd;
	uint64_t n = idle_us / tp->rto_us;

	if (!is_first_slow_start(tp))
		tp->snd_ssthresh = max_u32(tp->snd_ssthresh, old / 4 * 3);
	tp->snd_cwnd = max_u32(n < 31 ? old >> n : 0, least);
	tp->cwnd_acked = 0;
	cubic_pause(tp);
}

/**
 * tcp_user_congestion() - TCP_CONGESTION
 * @algo:	enum tcp_cc_algo; anything else is CUBIC
 * cwnd and ssthresh stay; what the other algorithm remembers is forgotten.
 */
void tcp_user_congestion(struct tcpcb *tp, uint8_t algo)
{
	algo = algo == TCP_CC_RENO ? TCP_CC_RENO : TCP_CC_CUBIC;
	if (algo == tp->cc_algo)
		return;
	tp->cc_algo = algo;
	if (is_first_slow_start(tp))
		return;
	tp->cwnd_acked = 0;
	tp->cubic_w_max = 0;
	tp->cubic_prior = 0;
	tp->cubic_epoch_ms = 0;
}
