/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tcpcb.h - the transmission control block of one connection
 *
 * Included by tcp.h, which defines struct tcp_range, TCP_N_* and TCPCB_MAX.
 * No pointers, no padding that matters: copied with memcpy.  Every index,
 * count and shift in here is looked at by tcp_check(); a field that is added
 * is added there too.
 *
 * The sender's sequence space.  SND.NXT never goes back: what has to be sent
 * again is marked in run[], the scoreboard (tcp_sack.c).
 *
 *	 snd_una                                snd_nxt   snd_max
 *	----[ run[0] )[ run[1] )[ ... run[n - 1] )--|--------|-->
 *	    | in flight, SACKed or lost             | window |
 *	    |                                       | probe  |
 *
 * The receiver's.  Ranges in ooo[] lie to the right of RCV.NXT.
 *
 *	 rcv_nxt                       rcv_nxt + rcv_wnd
 *	----|----[ooo]-----[ooo]---------------|-->
 */
#ifndef STACK_ENGINE_TCPCB_H
#define STACK_ENGINE_TCPCB_H

#include <assert.h>

/* flags */
#define TF_NODELAY	0x00000001u	/* Nagle's algorithm is off */
#define TF_REQ_SACK	0x00000002u	/* we offer SACK, timestamps, window scale */
#define TF_REQ_TS	0x00000004u
#define TF_REQ_WS	0x00000008u
#define TF_SACK		0x00000010u	/* both sides offered it */
#define TF_TS		0x00000020u
#define TF_WS		0x00000040u
#define TF_CLOSE	0x00000100u	/* CLOSE was called: FIN after so_snd */
#define TF_SENTFIN	0x00000200u	/* our FIN is below SND.NXT */
#define TF_RCVFIN	0x00000400u	/* rcv_fin is the peer's FIN, not yet in order */
#define TF_ACKNOW	0x00000800u	/* owed: an ACK, at once */
#define TF_SYN_DUE	0x00001000u	/* owed: SYN or SYN,ACK */
#define TF_RST_DUE	0x00002000u	/* owed: RST with rst_seq, rst_ack */
#define TF_RST_ACK	0x00004000u	/* that RST carries ACK */
#define TF_KEEP_DUE	0x00008000u	/* owed: a keep-alive probe */
#define TF_TLP_DUE	0x00010000u	/* owed: a tail loss probe */
#define TF_PROBE_DUE	0x00020000u	/* owed: a window probe */
#define TF_PERSIST	0x00040000u	/* t_rexmt_us is the persist timer */
#define TF_TLP_OUT	0x00080000u	/* a tail loss probe is out, up to tlp_end */
#define TF_TLP_REXMT	0x00100000u	/* ... which sent old data again */
#define TF_RTT		0x00200000u	/* rtt_seq, rtt_start_us: a segment is being timed */
#define TF_SRTT		0x00400000u	/* srtt_us holds a measurement */
#define TF_TS_RECENT	0x00800000u	/* ts_recent is valid */
#define TF_SYN_REXMT	0x01000000u	/* our SYN was sent more than once */
#define TF_RESCUE	0x02000000u	/* the rescue retransmission of this recovery was made */
#define TF_REO		0x04000000u	/* t_loss_us is the end of a reordering window */
#define TF_SHORT	0x08000000u	/* a short segment with PSH waits for the delayed ACK */
#define TF_PINGPONG	0x10000000u	/* we answer what comes: the answer brings the ACK */
#define TF_ALL		0x1fffff7fu

/* rec_flags: more about recovery */
#define RF_RACK		0x0001	/* rack_* are valid */
#define RF_MIN_RTT	0x0002	/* min_rtt_us is a measurement */
#define RF_REORDERING	0x0004	/* the path has been seen to reorder */
#define RF_DSACK_ROUND	0x0008	/* a D-SACK came; the next that counts is beyond dsack_end */
#define RF_UNDO		0x0010	/* prior_* are what cwnd and ssthresh were */
#define RF_AGAIN	0x0020	/* something was sent again since then: again_ts, undo_octets */
#define RF_DSACK	0x0040	/* owed: a D-SACK for [dup_start, dup_end) */
#define RF_ECN_ASK	0x0080	/* from the configuration: our SYN asks for ECN */
#define RF_ECN_OFF	0x0100	/* from the configuration: never ECN */
#define RF_ECN		0x0200	/* both sides agreed on it */
#define RF_ECE		0x0400	/* CE has come: ACKs carry ECE until CWR comes */
#define RF_CWR_DUE	0x0800	/* cwnd was reduced: the next new data carries CWR */
#define RF_ECN_CWR	0x1000	/* ECE reduces no more before CWR was sent and ecn_end is
				 * acknowledged; with RF_CWR_DUE: ECE has reduced */
#define RF_LEAP		0x2000	/* duplicate ACKs in Loss tell nothing: the ACK before passed more
				 * than a few segments, they have told already, or it was no RTO */
#define RF_PARTIAL	0x4000	/* this recovery, without SACK, has had a partial ACK */
#define RF_ALL		0x7fff

/* frto: where F-RTO is, RFC 5682, 2.1 */
enum tcp_frto {
	FRTO_NONE,
	FRTO_FIRST,		/* step 1: the first segment was, or will be, sent again */
	FRTO_NEW,		/* step 2b: new data instead of what is lost */
	FRTO_N
};

/* uflags: what the user asked for, and urgent data */
#define TU_CORK		0x00000001u	/* TCP_CORK: no segment below SMSS, for RTO at most */
#define TU_MORE		0x00000002u	/* MSG_MORE: likewise, until the next SEND or ACK */
#define TU_PUSH		0x00000004u	/* neither Nagle nor cork until the next SEND */
#define TU_SND_UP	0x00000008u	/* snd_up is valid: we are in urgent mode */
#define TU_RCV_UP	0x00000010u	/* rcv_up is valid, and not below RCV.NXT */
#define TU_MSS		0x00000020u	/* rcv_mss was the user's wish: it binds sending, too */
#define TU_SEARCH	0x00000040u	/* the path's MTU is searched for: probe_* (RFC 4821) */
#define TU_BLACKHOLE	0x00000080u	/* from the configuration: ... if RTO suggests it */

/* ... and Fast Open, RFC 7413 */
#define TU_FO_OPT	0x00010000u	/* fo_* say what the next SYN or SYN,ACK carries */
#define TU_FO_ACCEPT	0x00020000u	/* LISTEN: the data of the SYN that comes next is taken */
#define TU_FO_ASKED	0x00040000u	/* our SYN had the option: a cookie may come */
#define TU_SYN_OUT	0x00080000u	/* ESTABLISHED and later: our SYN,ACK is not acknowledged */
#define TU_SYN_DATA	0x00100000u	/* our SYN carried data */
#define TU_SYN_DATA_OK	0x00200000u	/* data in a SYN was acknowledged, by the peer or by us */
#define TU_FO_REFUSED	0x00400000u	/* our data in the SYN was not, */
#define TU_FO_LOST	0x00800000u	/* ... and the SYN had been sent more than once */
#define TU_FO_NOCOOKIE	0x01000000u	/* there was no cookie to send data with */
#define TU_UTO_DUE	0x00000100u	/* the next segment that has room carries the User Timeout option */
#define TU_CHALLENGE	0x02000000u	/* the ACK that is owed is a challenge (RFC 5961) */
#define TU_ACK_NXT	0x04000000u	/* ACKs come from SND.NXT though the peer's window has shrunk */
#define TU_ALL		0x07ff01ffu

/* ca_state: what the congestion window is about */
enum tcp_ca {
	TCP_CA_OPEN,		/* nothing is known to be lost */
	TCP_CA_RECOVERY,	/* fast recovery, until SND.UNA reaches recover */
	TCP_CA_LOSS,		/* RTO expired: slow start, until SND.UNA reaches recover */
	TCP_CA_NSTATES
};

struct tcpcb {
	uint8_t state;			/* enum tcp_state; changed by tcp_set_state() alone */
	uint8_t ca_state;		/* enum tcp_ca */
	uint8_t snd_scale;		/* Snd.Wind.Shift, RFC 7323, 2.2 */
	uint8_t rcv_scale;		/* Rcv.Wind.Shift */
	uint32_t flags;			/* TF_* */
	uint32_t uflags;		/* TU_* */

	/* Send sequence variables, RFC 9293, 3.3.1 */
	uint32_t snd_una;		/* oldest unacknowledged */
	uint32_t snd_nxt;		/* next new octet to be sent */
	uint32_t snd_wnd;		/* peer's window, octets from snd_una */
	uint32_t snd_wl1;		/* SEG.SEQ of the last window update */
	uint32_t snd_wl2;		/* SEG.ACK of the last window update */
	uint32_t iss;			/* initial send sequence number */

	/* Receive sequence variables, RFC 9293, 3.3.1 */
	uint32_t rcv_nxt;		/* next octet expected */
	uint32_t rcv_wnd;		/* octets from rcv_nxt we have promised to take */
	uint32_t irs;			/* initial receive sequence number */

	/* More about sending */
	uint32_t snd_max;		/* snd_nxt, or one more: a window probe was sent */
	uint32_t snd_up;		/* SND.UP: behind the last urgent octet, if TU_SND_UP */
	uint32_t snd_sml;		/* end of the last segment below SMSS: Nagle after Minshall */
	uint32_t max_sndwnd;		/* largest window the peer ever offered */
	uint16_t snd_mss;		/* peer's MSS option, or 536 */
	uint16_t eff_mss_max;		/* from the configuration; 0: no bound */
	uint8_t train_n;		/* segments of the train that is being sent */
	uint8_t train_left;		/* ... that it may still have */
	uint8_t train_min;		/* from the configuration: a train is no shorter, if there is data */
	uint8_t cc_algo;		/* enum tcp_cc_algo */
	uint32_t train_start;		/* where the last train of new data began */
	uint32_t train_end;		/* behind the last segment of the train */

	/* The path's MTU, RFC 1191, RFC 4821: less the IP header and 20 octets */
	uint16_t path_mss;		/* it passes no more, or with TU_SEARCH surely that; 0: not known */
	uint16_t probe_high;		/* TU_SEARCH: more does not pass */
	uint16_t probe_mss;		/* a segment that would need this is out: a probe; 0: none */
	uint16_t base_mss;		/* from the configuration: where a search begins */
	uint32_t probe_seq;		/* its first octet */
	uint32_t path_until_s;		/* seconds: then all this is doubted; 0: not */

	/* More about receiving */
	uint8_t quickack;		/* segments still to be acknowledged at once */
	uint16_t rcv_mss;		/* from the configuration: announced */
	uint32_t rcv_seg;		/* largest payload seen: what a full segment is */
	uint32_t rcv_buf;		/* from the configuration: size of so_rcv */
	uint32_t window_clamp;		/* octets never to be exceeded by rcv_wnd; 0: no such bound */
	uint32_t rcv_up;		/* RCV.UP: behind the last urgent octet, if TU_RCV_UP */
	uint32_t last_ack_sent;		/* Last.ACK.sent, RFC 7323, 4.3 */
	uint32_t rcv_fin;		/* sequence number of the peer's FIN, if TF_RCVFIN */
	uint32_t rst_seq, rst_ack;	/* of the RST owed */

	/* Timestamps, RFC 7323 */
	uint32_t ts_offset;		/* added to our clock */
	uint32_t ts_recent;		/* TS.Recent */
	uint16_t adv_uto_s;		/* ADV_UTO, RFC 5482; 0: the option is not used */
	uint16_t remote_uto_s;		/* REMOTE_UTO; 0: none came */
	uint32_t ts_recent_s;		/* when ts_recent was taken, seconds; void after 24 days */
	uint16_t ack_ts;		/* TSval, low half, of our last ACK that lets the peer send more */
	uint16_t n_steady;		/* segments in a row, in order, and no delayed ACK was due; as far as it counts */

	/* Round-trip time, RFC 6298 */
	uint64_t rtt_start_us;		/* when the segment being timed was sent */
	uint32_t rtt_seq;		/* its last octet: below SEG.ACK, it is acknowledged */
	uint32_t srtt_us;		/* SRTT, if TF_SRTT */
	uint32_t rttvar_us;		/* RTTVAR */
	uint32_t rto_us;		/* RTO, backed off */
	uint32_t rto_min_us;		/* from the configuration */

	/* Congestion control, RFC 5681 */
	uint32_t snd_cwnd;		/* cwnd, octets */
	uint32_t snd_ssthresh;		/* ssthresh, octets */
	uint32_t cwnd_acked;		/* octets acknowledged towards the next increase */
	uint32_t cwnd_full_end;		/* SND.NXT when cwnd was last full, or kept data back */
	union {
		struct {		/* CUBIC, RFC 9438: after the first slow start */
			uint32_t cubic_w_max;		/* W_max, octets; 0: none */
			uint32_t cubic_prior;		/* cwnd_prior, octets */
			uint32_t cubic_w_est;		/* W_est, octets */
			uint32_t cubic_est_acked;	/* octets towards its next increase */
			uint32_t cubic_epoch_ms;	/* t_epoch; 0: not begun */
			uint32_t cubic_k_ms;		/* K */
		};
		struct {		/* HyStart++, RFC 9406: in the first slow start */
			uint32_t hs_end;		/* windowEnd: when the round is over */
			uint32_t hs_min_us;		/* currentRoundMinRTT */
			uint32_t hs_last_min_us;	/* lastRoundMinRTT */
			uint32_t hs_baseline_us;	/* cssBaselineMinRtt; UINT32_MAX: not in CSS */
			uint32_t hs_flight;		/* most octets outstanding in this round */
			uint8_t hs_samples;		/* rttSampleCount, up to what is needed */
			uint8_t hs_css_rounds;		/* rounds of CSS */
		};
	};

	/* Loss recovery, RFC 6582, RFC 6675, RFC 8985 */
	uint32_t recover;		/* SND.NXT when recovery began */
	uint32_t tlp_end;		/* SND.NXT when the tail loss probe was sent */
	uint32_t sacked_out, lost_out;	/* octets of run[] with these marks */
	uint32_t rack_sent;		/* RACK.xmit_ts, as tcp_run.sent */
	uint32_t rack_end;		/* RACK.end_seq */
	uint32_t rack_rtt_us;		/* RACK.rtt */
	uint32_t min_rtt_us;		/* RACK.min_RTT, if RF_MIN_RTT */
	uint32_t min_rtt_s;		/* when it was measured, seconds */
	uint32_t dsack_end;		/* RACK.dsack_round, if RF_DSACK_ROUND */
	uint32_t prior_cwnd;		/* before recovery or RTO, if RF_UNDO */
	uint32_t prior_ssthresh;
	union {
		struct {
			uint32_t prr_delivered;	/* of RFC 9937, octets */
			uint32_t prr_out;
			uint32_t recover_fs;	/* RecoverFS, not 0 in recovery */
			uint32_t undo_octets;	/* sent again and not D-SACKed yet */
			uint32_t again_ts;	/* TSval of the first that was sent again */
		};
		struct {		/* if TU_FO_OPT: before anything could be lost */
			uint8_t fo_cookie[TCP_FO_MAX];
			uint8_t fo_kind;	/* enum tcp_fo_kind */
			uint8_t fo_len;		/* octets of cookie; 0: a request */
			uint16_t fo_room;	/* octets of data that our SYN may carry */
		};
	};
	uint32_t ecn_end;		/* behind the segment with CWR, if RF_ECN_CWR */
	uint32_t dup_start, dup_end;	/* received twice, if RF_DSACK */
	uint16_t rec_flags;		/* RF_* */
	uint8_t reo_mult;		/* RACK.reo_wnd_mult, less one */
	uint8_t reo_persist;		/* RACK.reo_wnd_persist: recoveries left */
	uint8_t frto;			/* enum tcp_frto */
	uint8_t reordering;		/* segments: the furthest seen, if RF_REORDERING; for TCP_INFO */
	uint16_t dupacks;		/* duplicate ACKs in a row */
	uint8_t n_rto;			/* RTOs, or window probes, in a row: the back-off */
	uint8_t n_unanswered;		/* ... since anything came back: the limit */

	/* Limits and durations, from the configuration */
	uint8_t syn_retries;
	uint8_t data_retries;
	uint8_t keep_count;		/* unanswered keep-alive probes before giving up */
	uint8_t n_keep;			/* keep-alive probes in a row */
	uint32_t msl_us;		/* maximum segment lifetime */
	uint32_t fin_wait_2_us;		/* how long FIN-WAIT-2 may last */
	uint32_t keep_idle_ms;		/* silence before the first probe; 0: no keep-alive */
	uint32_t keep_intvl_ms;		/* between probes */
	uint32_t user_timeout_ms;	/* the longest without progress; 0: the retries decide */

	/* Deadlines, absolute; TCP_NEVER if not running.  tcp_timer.c's alone. */
	uint64_t t_rexmt_us;		/* retransmission, or persist if TF_PERSIST */
	uint64_t t_loss_us;		/* tail loss probe, or reordering window */
	uint64_t t_delack_us;		/* delayed ACK */
	uint64_t t_2msl_us;		/* TIME-WAIT; FIN-WAIT-2 */
	uint64_t t_keep_us;		/* keep-alive */

	/* Moments, absolute */
	uint64_t heard_us;		/* last segment from the peer */
	uint64_t sent_us;		/* last data sent */
	uint64_t stuck_us;		/* no progress since: what is oldest was sent, or window shut */
	uint64_t oow_us;		/* no answer to an empty unacceptable segment before */

	/* Counted for TCP_INFO */
	uint32_t n_rexmt_total;		/* segments sent again */
	uint32_t n_rto_total;		/* retransmission timeouts */
	uint32_t n_undo_total;		/* recoveries that were in vain */
	uint16_t syn_len;		/* octets of data in our SYN */
	uint32_t n_delivered;		/* segments that have arrived, SYN and FIN too; as octets say */

	/* Ranges */
	uint8_t n_runs;			/* in run[] */
	uint8_t n_ooo;			/* in ooo[] */
	struct tcp_run run[TCP_N_RUNS];		/* scoreboard: SND.UNA to SND.NXT without gaps */
	struct tcp_range ooo[TCP_N_OOO];	/* received out of order, disjoint, latest first */
};

static_assert(sizeof(struct tcpcb) <= TCPCB_MAX, "the owner needs the rest of the 1 KiB block");

#endif
