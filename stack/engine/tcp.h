/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tcp.h - the TCP engine: every entry point, and the control block
 *
 * Pure: no clock, no I/O, no heap, no lock, no global.  Time is an argument
 * (now_us, microseconds, monotonic, never 0).  Data is never seen: the owner
 * keeps so_snd, so_rcv and what arrived out of order, the engine says which
 * octets of the sequence space go where.  So one object serves application,
 * child, simulator and fuzzer.
 *
 * A control block holds no pointer and may be copied with memcpy: the owner
 * runs the engine on a private copy and commits it (stack/shm/commit.h).
 * Memory that others write is given to tcp_check() first; a block that passes
 * makes no entry point read or write out of bounds, or loop without bound,
 * whatever else is in it.
 *
 * The owner's loop, for anything that happens:
 *	tcp_input() | tcp_timers() | tcp_user_*()	never send
 *	while (tcp_output(tp, &view, now, &seg) > 0) transmit seg
 *	arm one timer at tcp_poll_at(tp)
 *
 * Words and names: RFC 9293.  Sequence numbers are host order throughout.
 */
#ifndef STACK_ENGINE_TCP_H
#define STACK_ENGINE_TCP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <netinet/tcp.h>

/* --- a segment, parsed ---------------------------------------------------- */

#define TCP_SEG_SACKS	4	/* blocks in one segment, RFC 2018 */
#define TCP_HDR_MAX	60	/* octets of header with options */
#define TCP_WS_NONE	0xff	/* no window scale option */

/* Fast Open option, RFC 7413, 4.1.1: which form of it */
enum tcp_fo_kind {
	TCP_FO_NONE,		/* none, or one whose cookie cannot be */
	TCP_FO_OPT,		/* kind 34 */
	TCP_FO_EXP,		/* kind 254 with F989h: before there was an RFC; some peers know no other */
	TCP_FO_N
};
#define TCP_FO_MIN	4	/* octets of a cookie; even */
#define TCP_FO_MAX	16

struct tcp_seg {
	uint32_t seq;		/* SEG.SEQ */
	uint32_t ack;		/* SEG.ACK, if TH_ACK */
	uint32_t len;		/* octets of payload, without SYN and FIN */
	uint16_t wnd;		/* the window field, unscaled */
	uint16_t up;		/* SEG.UP */
	uint16_t sport, dport;	/* host order */
	uint8_t flags;		/* TH_* of <netinet/tcp.h>, and TCP_TH_ECE, TCP_TH_CWR */
	uint8_t wscale;		/* shift, or TCP_WS_NONE */
	uint16_t mss;		/* 0: no option */
	bool sack_permitted;
	bool has_ts;
	uint32_t tsval, tsecr;
	uint8_t ecn;		/* the ECN field of the IP header: TCP_ECN_NOT_ECT ... */
	uint8_t n_sack;
	struct { uint32_t start, end; } sack[TCP_SEG_SACKS];
	uint16_t uto;		/* User Timeout option as it stands there (RFC 5482): TCP_UTO_*; 0: none */
	uint8_t fo_kind;	/* enum tcp_fo_kind; of a segment with SYN */
	uint8_t fo_len;		/* octets of cookie; 0: a request for one */
	uint8_t fo_cookie[TCP_FO_MAX];

	/* tcp_output() only */
	uint32_t off;		/* payload begins this far into so_snd (SND.UNA is 0) */
	uint8_t n_rexmt;	/* RTOs in a row behind this segment: 0 if it is none */
	bool is_rexmt;		/* some of it was sent before */
	bool asks;		/* is our peer still there?  Whoever has its port now should answer: RST, if not */
};

/* RFC 3168, 5: the two low bits of the TOS octet.  tcp_output() gives NOT_ECT or
 * ECT0; tcp_input() wants what came. */
#define TCP_ECN_NOT_ECT	0
#define TCP_ECN_ECT1	1
#define TCP_ECN_ECT0	2
#define TCP_ECN_CE	3

/* RFC 5482, 2: seconds, or minutes */
#define TCP_UTO_MINUTES	0x8000

#define TCP_TH_ECE	0x40
#define TCP_TH_CWR	0x80

/**
 * tcp_seg_parse() - Read a TCP header with its options
 * @seg:	Filled
 * @th:		@len octets from the first of the header: header and payload
 * Unknown options are skipped; malformed ones end the list (RFC 9293 MUST-6,
 * MUST-7).  The checksum is not looked at.
 * Return: octets of header, 20 to 60; -EBADMSG if the header does not fit
 */
int tcp_seg_parse(struct tcp_seg *seg, const uint8_t *th, size_t len);

/**
 * tcp_seg_build() - Write a TCP header with its options, checksum 0
 * @th:		At least TCP_HDR_MAX octets
 * Options in Linux's order: SYN: mss, sackOK TS (or nop nop sackOK), nop
 * wscale, Fast Open and nops behind it; else nop nop TS, nop nop SACK.
 * Return: octets written, 20 to 60
 */
int tcp_seg_build(const struct tcp_seg *seg, uint8_t *th);

/* --- states ---------------------------------------------------------------- */

/* Order matters: comparisons like state >= TCPS_ESTABLISHED are used. */
enum tcp_state {
	TCPS_CLOSED, TCPS_LISTEN, TCPS_SYN_SENT, TCPS_SYN_RECEIVED,
	TCPS_ESTABLISHED, TCPS_CLOSE_WAIT, TCPS_FIN_WAIT_1, TCPS_CLOSING,
	TCPS_LAST_ACK, TCPS_FIN_WAIT_2, TCPS_TIME_WAIT, TCPS_NSTATES
};
extern const char *const tcps_names[TCPS_NSTATES];	/* RFC spelling: "SYN-RECEIVED" */

/* --- the control block ----------------------------------------------------- */

#define TCP_N_RUNS	34	/* runs in the sender's scoreboard */
#define TCP_N_OOO	16	/* out-of-order ranges at the receiver */
struct tcp_range { uint32_t start, end; };	/* [start, end) in sequence space */

/* Congestion control, TCP_CONGESTION */
enum tcp_cc_algo { TCP_CC_CUBIC, TCP_CC_RENO, TCP_CC_N };
extern const char *const tcp_cc_names[TCP_CC_N];	/* as Linux has them: "cubic", "reno" */

/* Explicit Congestion Notification, RFC 3168; 0 is what Linux does unless told. */
enum tcp_ecn {
	TCP_ECN_PASSIVE,	/* if the peer asks for it */
	TCP_ECN_ACTIVE,		/* ask for it */
	TCP_ECN_OFF
};

/* Packetization layer path MTU discovery, RFC 4821; as Linux's sysctl. */
enum tcp_mtu_probing {
	TCP_MTU_PROBING_OFF,
	TCP_MTU_PROBING_BLACK_HOLE,	/* when large segments seem to vanish */
	TCP_MTU_PROBING_ON		/* from the start */
};

/* What the owner wishes; copied into the block by tcp_init(). */
struct tcp_config {
	uint16_t mss;		/* octets we can receive in a segment: announced */
	uint16_t eff_mss_max;	/* octets we send at most in a segment, before options; 0: no such bound */
	uint16_t mss_default;	/* the peer's MSS if it names none: 1220 for IPv6; 0: 536 */
	uint32_t rcv_buf;	/* octets of so_rcv: the largest window now */
	uint32_t rcv_buf_max;	/* to which it may grow: decides the scale; 0: rcv_buf */
	uint32_t rto_min_us;	/* 0: 200000 as Linux */
	uint32_t msl_us;	/* 0: 30 s: TIME-WAIT lasts twice this */
	uint32_t fin_wait_2_us;	/* 0: 60 s, for a closed socket */
	uint8_t syn_retries;	/* 0: 6 */
	uint8_t data_retries;	/* 0: 15 */
	bool no_sack, no_ts, no_ws;
	bool nodelay;		/* TCP_NODELAY: Nagle off */
	bool mss_binds;		/* mss is TCP_MAXSEG: what we send is not larger either */
	uint32_t ts_offset;	/* added to TSval (RFC 7323, 5.4) */
	uint8_t cc;		/* enum tcp_cc_algo */
	uint8_t train_min;	/* segments of a train (PSH), at least; 0: 2 */
	uint8_t ecn;		/* enum tcp_ecn */
	uint8_t mtu_probing;	/* enum tcp_mtu_probing */
	uint16_t base_mss;	/* where its search begins; 0: 1024 */
};


/* Octets of the sender's scoreboard with the same fate, up to @end. */
struct tcp_run {
	uint32_t end;
	uint32_t sent : 29;	/* when last, microseconds, modulo nine minutes */
	uint32_t mark : 3;	/* RUN_* */
};
#define RUN_SACKED	1
#define RUN_LOST	2	/* and not sent again yet */
#define RUN_AGAIN	4	/* sent more than once */

#define TCP_SSTHRESH_INF (65535u << 14)	/* snd_ssthresh before any loss */

#define TCPCB_MAX	832	/* octets; the rest of the 1 KiB block is the owner's */

#include "stack/engine/tcpcb.h"	/* struct tcpcb, in RFC order; reviewed with tcp_check() */

/* --- what the owner knows --------------------------------------------------- */

/* Given to each call: the state of the owner's queues, octets. */
struct tcp_view {
	uint32_t snd_cc;	/* in so_snd from SND.UNA on: sent or not */
	uint32_t rcv_space;	/* so_rcv could take this many more, before what is out of order */
	uint32_t ooo_room;	/* out-of-order segments the owner could still keep; 0: drop them */
	bool closed;		/* no descriptor is left: FIN-WAIT-2 times out, data gets RST */
	/* Records in so_snd (MSG_EOR), or NULL: octets from so_snd[@off] to where a
	 * record ends, 1 at least; UINT32_MAX if none does.  No segment goes beyond. */
	uint32_t (*record)(const void *owner, uint32_t off);
	const void *owner;
};

/* --- what tcp_input() and tcp_timers() found -------------------------------- */

#define TCP_EV_CONNECTED	0x0001	/* ESTABLISHED was entered */
#define TCP_EV_ACKED		0x0002	/* rx.acked octets left so_snd */
#define TCP_EV_DATA		0x0004	/* rx.data_len octets are to be kept */
#define TCP_EV_FIN		0x0008	/* the peer will send no more, all before it has arrived */
#define TCP_EV_RESET		0x0010	/* ECONNRESET; state is CLOSED */
#define TCP_EV_REFUSED		0x0020	/* ECONNREFUSED; state is CLOSED */
#define TCP_EV_TIMEDOUT		0x0040	/* ETIMEDOUT; state is CLOSED */
#define TCP_EV_CLOSED		0x0080	/* CLOSED was entered: release everything */
#define TCP_EV_TIME_WAIT	0x0100	/* TIME-WAIT was entered */
#define TCP_EV_FIN_ACKED	0x0200	/* our FIN was acknowledged */
#define TCP_EV_URG		0x0800	/* rcv_up, behind the last urgent octet, moved on */
#define TCP_EV_DROP		0x0400	/* the segment, or its data, was not acceptable: count it */
#define TCP_EV_SYN_ACKED	0x1000	/* opened fast by the peer: the handshake is complete */

/*
 * What to do with the payload of a segment.  Octets [data_off, data_off +
 * data_len) of it have sequence number data_seq.  If data_seq is the RCV.NXT
 * from before the call they go to so_rcv, else the owner keeps them aside.
 * RCV.NXT moved over `advance' octets (a FIN not counted): that many octets
 * are now in order, first this segment's, then from what was kept aside.
 */
struct tcp_rx {
	uint32_t events;	/* TCP_EV_* */
	uint32_t acked;		/* octets to drop at the front of so_snd */
	uint32_t data_off, data_len, data_seq;
	uint32_t advance;
};

/* --- entry points ----------------------------------------------------------- */

void tcp_init(struct tcpcb *tp, const struct tcp_config *cfg);

/* OPEN.  @iss by RFC 6528 is the owner's business.  0 or -EISCONN. */
int tcp_user_open_active(struct tcpcb *tp, uint32_t iss, uint64_t now_us);
int tcp_user_open_passive(struct tcpcb *tp, uint32_t iss, uint64_t now_us);	/* LISTEN: the next SYN is its peer */

/* What is said about Fast Open (RFC 7413) before a SYN is sent or answered. */
struct tcp_fo {
	uint8_t kind;			/* enum tcp_fo_kind of the option; NONE: no option */
	uint8_t len;			/* octets of cookie; 0: ask for one */
	uint8_t cookie[TCP_FO_MAX];
	uint16_t room;			/* octets of so_snd that the SYN may carry */
	bool accept;			/* LISTEN: data in the SYN is taken, and ours may go before its ACK */
};

/**
 * tcp_user_fastopen() - Fast Open: what the next SYN carries, or the answer to it
 * @fo:		Copied.  In LISTEN, for the segment that is given to tcp_input() next
 * After tcp_init() and before OPEN active; or in LISTEN.  The option goes in
 * the first SYN or SYN,ACK only, data in the first SYN only: who does not hear
 * them gets a plain one.
 * With @accept the connection is ESTABLISHED (TCP_EV_CONNECTED) by the SYN;
 * until TCP_EV_SYN_ACKED its peer may be anybody who knows a cookie.
 */
void tcp_user_fastopen(struct tcpcb *tp, const struct tcp_fo *fo);

/* Octets that a SYN to a peer with MSS @mss (0: not known) may carry, if ours
 * is @own: all of the room for options is left free, as Linux does. */
uint16_t tcp_fastopen_room(uint16_t own, uint16_t mss);

/* Why data in our SYN was of no use, in the numbers of TCP_INFO's
 * tcpi_fastopen_client_fail; 0: it was, or there was none. */
enum tcp_fo_fail {
	TCP_FO_FAIL_NONE,
	TCP_FO_FAIL_COOKIE,		/* there was no cookie */
	TCP_FO_FAIL_REFUSED,		/* SYN,ACK came at once and did not acknowledge it */
	TCP_FO_FAIL_SYN_LOST		/* the SYN had to be sent again */
};
enum tcp_fo_fail tcp_fastopen_fail(const struct tcpcb *tp);

/* OPEN passive where @syn was answered by somebody else, with @iss and as we
 * would have: SYN-RECEIVED, and nothing to be sent (SYN cookies, RFC 4987, 3.6).
 * When it was answered is not known: the ACK is no measurement.  0 or -EISCONN. */
int tcp_user_open_answered(struct tcpcb *tp, const struct tcp_view *v, uint32_t iss,
			   const struct tcp_seg *syn, uint64_t now_us);

/* SEND: octets were appended to so_snd (already in view->snd_cc).
 * 0, -ENOTCONN, -EPIPE after close. */
int tcp_user_send(struct tcpcb *tp, const struct tcp_view *v, uint64_t now_us);

/* RECEIVE: the application took octets; a window update may be due.  0. */
int tcp_user_recv(struct tcpcb *tp, const struct tcp_view *v, uint64_t now_us);

/* so_rcv holds @octets now: what a window update is measured by. */
void tcp_user_rcv_buf(struct tcpcb *tp, uint32_t octets);

/* CLOSE (the sending direction): FIN after all of so_snd.  0, -ENOTCONN. */
int tcp_user_close(struct tcpcb *tp, uint64_t now_us);

/* ABORT: RST if the state asks for it, then CLOSED.  The RST is what
 * tcp_output() gives next. */
void tcp_user_abort(struct tcpcb *tp, uint64_t now_us);

/* TCP_CONGESTION: @algo is an enum tcp_cc_algo.  In any state. */
void tcp_user_congestion(struct tcpcb *tp, uint8_t algo);

/* SEND with MSG_MORE: what does not fill a segment waits for more, until the
 * next SEND, an ACK, or RTO. */
void tcp_user_more(struct tcpcb *tp);

/* SEND of urgent data: all of so_snd is urgent up to its end now (RFC 9293,
 * 3.8.5; RFC 6093).  After the octets were appended. */
void tcp_user_urgent(struct tcpcb *tp, const struct tcp_view *v);

/* TCP_NODELAY changes; on: what Nagle or cork held back goes. */
void tcp_user_nodelay(struct tcpcb *tp, bool on);

/* TCP_QUICKACK: on: an ACK that waits goes, and the next are not delayed;
 * off: they are. */
void tcp_user_quickack(struct tcpcb *tp, bool on);

/* SO_KEEPALIVE: probe after @idle_us of silence, every @intvl_us (0:
 * @idle_us), give up after @count unanswered.  @idle_us 0: off.  Milliseconds count, 32767 s at most.
 * May be called in any state. */
void tcp_user_keepalive(struct tcpcb *tp, uint64_t idle_us, uint64_t intvl_us, uint8_t count,
			uint64_t now_us);

/* What the user may wish for at any time.  0 members mean the default. */
struct tcp_user_opts {
	bool nodelay, cork;		/* TCP_NODELAY, TCP_CORK */
	uint64_t keep_idle_us;		/* as above; 0: no keep-alive */
	uint64_t keep_intvl_us;
	uint8_t keep_count;
	uint8_t syn_retries;		/* TCP_SYNCNT */
	uint32_t user_timeout_ms;	/* TCP_USER_TIMEOUT (RFC 9293, 3.8.3, R2) */
	uint16_t adv_uto_s;		/* ADV_UTO of RFC 5482: told to the peer, whose own is heard; 0: neither */
	uint32_t fin_wait_2_us;		/* TCP_LINGER2; 1: RST instead of FIN-WAIT-2 */
	uint32_t window_clamp;		/* TCP_WINDOW_CLAMP, octets */
};

/* Only what differs from before takes effect: a call for one changes no other. */
void tcp_user_opts(struct tcpcb *tp, const struct tcp_user_opts *o, uint64_t now_us);

/* The owner has thrown away what it kept out of order. */
void tcp_renege(struct tcpcb *tp);

/**
 * tcp_may_wait() - More segments wait behind this one: may its answer wait for them?
 * @rx:		Of tcp_input(), just now
 * RFC 9293, 3.10.7.4, MUST-58 and MUST-59.  Not what has to be acknowledged for
 * itself, because of a hole or as a duplicate; nor more than an eighth of so_rcv,
 * or the peer would stand still while we work.  If so, tcp_output() is called
 * behind the last of them; in case it is not, the delayed ACK's timer runs.
 */
bool tcp_may_wait(struct tcpcb *tp, const struct tcp_rx *rx, uint64_t now_us);

/* An heir takes the block over from an owner that died: so_snd and so_rcv are
 * intact, what was kept out of order is gone, what was sent may not have left. */
void tcp_inherit(struct tcpcb *tp, uint64_t now_us);

/**
 * tcp_input() - A segment arrives (RFC 9293, 3.10.7)
 * @seg:	Parsed; checksum and addresses are the caller's business
 * @rx:		Filled
 * Never sends: notes what is owed; call tcp_output() until it returns 0.
 */
void tcp_input(struct tcpcb *tp, const struct tcp_view *v, const struct tcp_seg *seg,
	       uint64_t now_us, struct tcp_rx *rx);

/* What became of an ICMP error about a segment of ours. */
enum tcp_icmp {
	TCP_ICMP_IGNORED,	/* not about anything that is outstanding: forged, or late */
	TCP_ICMP_SOFT,		/* believed; the connection goes on */
	TCP_ICMP_FATAL		/* believed, in SYN-SENT: state is CLOSED, release everything */
};

/**
 * tcp_icmp_error() - A segment of ours could not be delivered
 * @seq:	SEG.SEQ that the ICMP error quotes (RFC 5927, 4.1)
 * Which error it was the owner remembers.  In SYN-SENT any of them ends the
 * attempt, as in Linux (RFC 5461, 4.1); later none does (RFC 9293, MUST-56).
 */
enum tcp_icmp tcp_icmp_error(struct tcpcb *tp, uint32_t seq, uint64_t now_us);

/**
 * tcp_icmp_too_big() - A segment of ours was too big for a link (RFC 1191, RFC 8201)
 * @seq:	As above
 * @mss:	What that link takes: its MTU less the IP header and 20 octets; not
 *		below the owner's floor
 * Never TCP_ICMP_FATAL.  Only a lower MSS than before has any effect.
 */
enum tcp_icmp tcp_icmp_too_big(struct tcpcb *tp, uint32_t seq, uint32_t mss, uint64_t now_us);

/* The MSS that peer and path allow, without regard to options: what the path's
 * MTU is taken for, less the IP header and 20 octets. */
static inline uint32_t tcp_path_mss(const struct tcpcb *tp)
{
	return tp->path_mss && tp->path_mss < tp->snd_mss ? tp->path_mss : tp->snd_mss;
}

/**
 * tcp_output() - Decide what should be sent, if anything; fill one segment
 * @out:	Filled, but for sport and dport.  Payload is so_snd[off, off + len)
 * The last full segment of a train of two or more carries PSH: a train is what
 * Linux would hand to its adapter as one TSO packet.
 * Return: 1 a segment was built and counts as sent; 0 nothing to send
 */
int tcp_output(struct tcpcb *tp, const struct tcp_view *v, uint64_t now_us,
	       struct tcp_seg *out);

/* Time passed: run what is due.  @rx tells events only. */
void tcp_timers(struct tcpcb *tp, const struct tcp_view *v, uint64_t now_us,
		struct tcp_rx *rx);

/* Next deadline in us, UINT64_MAX if none. */
uint64_t tcp_poll_at(const struct tcpcb *tp);

/* The answer to a segment that belongs to no connection (RFC 9293, 3.10.7.1).
 * Return: 1 and @out is the RST; 0 if it gets none. */
int tcp_reset_for(const struct tcp_seg *in, struct tcp_seg *out);

/* --- TIME-WAIT without a control block (tcp_timewait.c) ----------------------- */

/* What is left of a connection in TIME-WAIT.  Its owner keeps 2 MSL. */
struct tcp_tw {
	uint32_t snd_nxt, rcv_nxt;
	uint32_t ts_offset;	/* added to our clock, if has_ts */
	uint32_t ts_recent;	/* TS.Recent, if has_ts */
	uint16_t wnd;		/* our window field, as it was last */
	bool has_ts;		/* timestamps were in use */
	uint64_t oow_us;	/* no answer to an empty unacceptable segment before */
};

enum tcp_tw_verdict {
	TCP_TW_IGNORE,		/* no answer */
	TCP_TW_ANSWER,		/* send the answer */
	TCP_TW_FIN,		/* the peer's FIN again: send the answer, 2 MSL begin anew */
	TCP_TW_OPEN		/* a SYN that may begin a new connection, or be refused: forget this one */
};

/* @tp is in TIME-WAIT. */
void tcp_tw_init(struct tcp_tw *tw, const struct tcpcb *tp);

/**
 * tcp_tw_input() - A segment arrives for a connection in TIME-WAIT
 * @seg:	Parsed; checksum and addresses are the caller's business
 * @out:	Filled for TCP_TW_ANSWER and TCP_TW_FIN, but for sport and dport
 */
enum tcp_tw_verdict tcp_tw_input(struct tcp_tw *tw, const struct tcp_seg *seg,
				 uint64_t now_us, struct tcp_seg *out);

/* The ISS for the connection that takes the pair over: larger than what the
 * old one used (RFC 1122, 4.2.2.13). */
uint32_t tcp_tw_iss(const struct tcp_tw *tw);

/**
 * tcp_disown() - No user is left; the last one may have written anything
 * Configured durations and limits are the defaults again, keep-alive is off,
 * and no deadline lies further ahead than it could have been set: so the
 * connection ends.
 * @retries:	What is sent and not answered is sent again so often before it is
 *		given up; 0: 8 times, as Linux (100 s)
 */
void tcp_disown(struct tcpcb *tp, uint8_t retries, uint64_t now_us);

/**
 * tcp_check() - May this block be run?
 * Every index, count, shift, state and window is within its range and the
 * sequence variables are in order.
 * Return: 0 or -EUCLEAN
 */
int tcp_check(const struct tcpcb *tp, const struct tcp_view *v);

/* Effective send MSS: octets of payload in a full segment now. */
uint32_t tcp_eff_mss(const struct tcpcb *tp);

/* Invariants for tests: NULL, or what is wrong. */
const char *tcp_invariant(const struct tcpcb *tp, const struct tcp_view *v);

/* --- lines of text ---------------------------------------------------------- */

/* One segment in tcpdump's notation, NUL-terminated in @buf.  Returns @buf. */
char *tcp_seg_str(const struct tcp_seg *seg, char *buf, size_t size);

/* --- Internet checksum and IP headers (ip_hdr.c) ------------------------------ */

/* Partial one's-complement sum of @len octets, added to @sum.  @odd: the first
 * octet has an odd position in the packet.  Folded by ip_csum_fold(). */
uint64_t ip_csum_add(uint64_t sum, const void *data, size_t len);
uint16_t ip_csum_fold(uint64_t sum);		/* the checksum, complemented, in memory order */
/* Sum of a part that begins at an odd offset: swap its bytes before adding. */
uint64_t ip_csum_swap(uint64_t sum);
/* memcpy and sum in one pass. */
uint64_t ip_csum_copy(void *dst, const void *src, size_t len);

/* An address pair; IPv4 is v4-mapped. */
struct ip_pair {
	uint8_t src[16], dst[16];
};
bool ip_is_mapped(const uint8_t addr[16]);

/**
 * ip_build() - Write an IPv4 or IPv6 header for TCP
 * @ip:		At least 40 octets
 * @tcp_len:	Octets of TCP header and payload
 * @tos:	DSCP and ECN
 * @ttl:	Time to live, hop limit; 0: 64
 * Return: octets written: 20 or 40
 */
int ip_build(uint8_t *ip, const struct ip_pair *pair, uint32_t tcp_len, uint8_t tos,
	     uint8_t ttl, uint16_t id);

/**
 * ip_parse() - Check an IP header that should carry TCP
 * Version, header length, total length == @len, no fragment, protocol 6,
 * IPv4 header checksum; IPv6 without extension headers, and without v4-mapped
 * addresses (as Linux: RFC 4291 has them in APIs, not on the wire).
 * Return: octets of IP header; -EBADMSG malformed; -EPROTONOSUPPORT not TCP
 */
int ip_parse(const uint8_t *ip, size_t len, struct ip_pair *pair, uint8_t *tos);

/* The datagram at @ip, which ip_build() wrote for IPv4, may be fragmented: DF is
 * taken away, and @id tells its fragments from others' (RFC 6864). */
void ip_clear_df(uint8_t *ip, uint16_t id);

/* --- ICMP errors (icmp_hdr.c) --------------------------------------------------- */

struct icmp_error {
	struct ip_pair pair;	/* of the segment that is quoted: src is who sent it */
	uint16_t sport, dport;	/* likewise, host order */
	uint32_t seq;		/* SEG.SEQ */
	bool is_too_big;	/* fragmentation needed, packet too big: */
	uint32_t mtu;		/* octets that would have passed, as a router says */
	int err;		/* else: the errno that Linux has for it, > 0 */
};

/**
 * icmp_parse() - Read an ICMP or ICMPv6 error that quotes a TCP segment
 * @msg:	From the ICMP header on; may be cut behind what is quoted, ICMPv4
 *		not: its checksum is looked at.  ICMPv6's is the caller's business
 * Return: 0; -EBADMSG malformed; -EPROTONOSUPPORT not an error, none that TCP
 *	acts upon (Redirect, Source Quench), or about another protocol
 */
int icmp_parse(const uint8_t *msg, size_t len, bool is_v6, struct icmp_error *e);

/* Sum of the TCP pseudo-header. */
uint64_t ip_pseudo_sum(const struct ip_pair *pair, uint32_t tcp_len);

#endif
