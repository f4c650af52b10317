/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sim.h - two engines, a simulated network, and a virtual clock
 *
 *	main.c	a seed becomes a conversation; what must be true of each
 *	net.c	the network and the clock: delay, loss, duplication, order, rate, queue,
 *		what is too large, ICMP
 *	middle.c	a middlebox: options, MSS, windows, segments split and merged
 *	host.c	an owner of a control block, as a real one is, and its application
 *	plan.c	what a seed makes of the hosts
 *	watch.c	what must be true of what a host sends, seen from outside
 *	goodput.c	bulk over paths with faults: a table of figures
 *
 * Everything follows from the seed: no clock, no libc random numbers.
 */
#ifndef TESTS_SIM_SIM_H
#define TESTS_SIM_SIM_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stack/engine/tcp.h"

/* --- random numbers: splitmix64 (Steele, Lea and Flood) ------------------------- */

struct prng {
	uint64_t x;
};

static inline uint64_t prng_next(struct prng *r)
{
	uint64_t z = r->x += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* 0 to @n - 1 */
static inline uint64_t prng_below(struct prng *r, uint64_t n)
{
	return n ? prng_next(r) % n : 0;
}

static inline uint64_t prng_range(struct prng *r, uint64_t lo, uint64_t hi)
{
	return lo + prng_below(r, hi - lo + 1);
}

/* True @n times in a million. */
static inline bool prng_ppm(struct prng *r, uint32_t n)
{
	return prng_below(r, 1000000) < n;
}

/* @lo to @hi, every order of magnitude as likely as another. */
static inline uint64_t prng_log(struct prng *r, uint64_t lo, uint64_t hi)
{
	unsigned int doublings = 0;
	uint64_t top;

	while (lo << (doublings + 1) <= hi)
		doublings++;
	top = lo << prng_below(r, doublings + 1);
	return prng_range(r, top, 2 * top < hi ? 2 * top : hi);
}

/* --- network --------------------------------------------------------------------- */

/* Options that a middlebox takes away, in one direction */
#define MID_MSS		0x01u
#define MID_SACK_OK	0x02u
#define MID_WS		0x04u
#define MID_TS		0x08u
#define MID_FO		0x10u
#define MID_UTO		0x20u
#define MID_SACK	0x40u	/* blocks, though both have agreed on them */
#define MID_ALL		0x7fu

struct middle {
	uint32_t strip;			/* MID_*: of every segment */
	uint16_t mss;			/* a SYN's is no larger; 0: no matter */
	uint32_t split_ppm;		/* of segments with text: becomes several */
	uint32_t merge_ppm;		/* ... waits for the next one, to be one with it, */
	uint64_t merge_us;		/* ... so long at most */
	uint32_t wnd_ppm;		/* of segments: their window is made smaller */
	struct packet *held;		/* it waits */
	uint64_t held_until_us;
};

/* One direction. */
struct link {
	uint64_t delay_us, jitter_us;	/* propagation, and what is added at random */
	uint32_t loss_ppm;		/* each packet by itself */
	uint32_t corrupt_ppm;		/* a bit is turned over: the checksum must tell */
	uint32_t mark_ppm;		/* of ECT packets: CE is set, */
	uint64_t mark_us;		/* and on those that would wait longer; 0: none */
	uint32_t burst_ppm;		/* a burst of losses begins */
	uint32_t burst_len;		/* how long it is at most, packets */
	uint32_t dup_ppm, reorder_ppm;
	uint64_t reorder_us;		/* how much later one that is overtaken comes */
	uint64_t ns_per_octet;		/* 0: no rate */
	uint64_t queue_us;		/* a packet that would wait longer is dropped */
	uint64_t free_us;		/* when the line is free */
	uint32_t path_mss;		/* a larger segment vanishes; 0: none does */
	uint64_t path_from_us;		/* ... from then on; before, all pass */
	uint32_t then_mss;		/* another path, likewise, */
	uint64_t then_from_us;		/* ... from then on; UINT64_MAX: never */
	bool has_icmp;			/* ... and ICMP says so, if it is not lost */
	uint32_t forge_ppm;		/* of packets: somebody sends ICMP at random, too */
	uint32_t unreach_ppm;		/* of lost packets: ICMP says that they were not delivered */
	uint32_t burst_left;
	uint64_t burst_until_us;	/* a burst is short in time as well */
	struct middle middle;
};

enum event_kind { EV_PACKET, EV_TIMER, EV_APP, EV_ICMP, EV_MIDDLE };

struct event {
	uint64_t at_us, order;
	enum event_kind kind;
	unsigned int host;
	struct packet *pkt;
};

/* An IP packet, or an ICMP message. */
struct packet {
	uint32_t len;
	uint32_t ip_len;	/* octets of the IP header */
	uint8_t octets[];
};

#define LEAPS_MAX	10	/* fewer than the probes of keep-alive */
#define IP_LEN_MAX	40

static inline uint8_t *packet_th(struct packet *pkt)
{
	return pkt->octets + pkt->ip_len;
}

/* --- host -------------------------------------------------------------------------- */

/* Octets an owner keeps: a pool buffer, as it were. */
struct piece {
	struct piece *next;
	uint32_t seq;		/* of octets[0]; of no use in so_snd and so_rcv */
	uint32_t len, off;	/* octets [off, len) are still there */
	uint8_t octets[];
};

struct queue {
	struct piece *head, **tail;
	uint32_t cc;
};

/* What the application is going to do. */
struct plan {
	uint64_t n_write;	/* octets, then CLOSE */
	uint64_t pause_us;	/* between calls, at most */
	uint32_t long_pause_ppm;	/* of a call: then seconds, so windows shut */
	uint32_t chunk;		/* octets for each call, at most */
	uint64_t abort_at;	/* octets read and written before ABORT; UINT64_MAX: never */
	uint64_t quit_at;	/* ... before it closes its socket without reading on */
	uint32_t stop_ppm;	/* of a call: its clock leaps, as if it had been stopped */
	uint32_t inherit_ppm;	/* of a call: the owner dies and another inherits */
	uint32_t snd_buf;
	uint32_t record;	/* octets: where segments must end; 0: nowhere */
	uint32_t max_ooo;	/* segments kept out of order, at most */
	struct tcp_fo fo;	/* Fast Open: what the SYN, or the answer to one, carries */
	uint32_t fo_good_ppm;	/* of SYNs that come: their cookie is good */
	struct tcp_user_opts opts;	/* from the start */
	bool is_cookie;		/* who listens remembers nothing of a SYN: SYN cookies */
	bool hands_over;	/* TIME-WAIT goes on without a control block */
	bool vanishes;		/* abort_at: without a word, as if the host had lost its power */
	bool is_mute;		/* ... and nobody answers for it */
	bool resets;		/* quit_at: what was not read is answered with RST (RFC 2525, 2.17) */
	uint32_t urg_ppm;	/* of writes: urgent, */
	uint32_t more_ppm;	/* MSG_MORE */
	uint32_t lowat;		/* SO_RCVLOWAT */
	uint32_t fiddle_ppm;	/* of a call: an option changes */
};

/* What one host was told and has said; see watch.c. */
struct watch {
	bool syn_heard, ws_heard, ts_heard;	/* the peer's SYN came: its options */
	uint16_t mss;
	uint8_t wscale;
	bool ws_said, ts_said;		/* our SYN has had the option */
	bool has_edge;			/* right edge of the largest window that was offered us */
	uint32_t edge;
	bool has_said;			/* an ACK was sent: */
	uint32_t ack, said_edge;	/* ... ACK, and right edge of the window */
	uint32_t urg_end;		/* octets of our stream up to the last urgent one */
	uint32_t urg_told;		/* of the peer's: the furthest we were told of */
	uint64_t unacked_us;		/* something came in order that was not acknowledged; 0: nothing */
	uint32_t rcv_nxt;
	uint64_t heard_us;
	unsigned int n_leaps;		/* of our clock, since */
	uint64_t progress_us;		/* SND.UNA moved, or there was nothing to send */
	bool had_work, had_flight;
	uint32_t una;
	uint16_t adv_uto_s, remote_uto_s;
	unsigned int n_connected;

	uint32_t dup_una, dup_top, n_dup;	/* duplicate ACKs with news, for SND.UNA */
	bool una_resent;
	uint64_t rto_at, rto_gap;
	uint32_t rto_srtt, rto_rttvar;	/* then: a new sample ends the back-off */
	uint32_t rto_una;
	uint32_t pipe;		/* in the network, before a segment goes */
	uint32_t eff_mss;	/* then */
	uint32_t peak;		/* the most that was ever in flight */
	uint32_t smss;		/* the largest Eff.snd.MSS ever */
	uint8_t rto_n;
};

struct host {
	struct sim *sim;
	unsigned int idx;
	struct tcpcb tp;
	struct tcp_config cfg;
	struct plan plan;
	struct queue so_snd, so_rcv;
	struct piece *ooo;	/* ascending by seq, overlaps as they came */
	uint32_t n_ooo;
	uint32_t rcv_nxt;	/* as the owner counts it */
	uint64_t n_written, n_read;
	bool eof, shut, closed, dead, app_armed;
	uint64_t timer_at;	/* of the common clock */
	uint64_t ahead_us;	/* our clock is ahead of the common one */
	struct tcp_user_opts opts;
	struct tcp_tw tw;	/* if in_tw: until timer_at */
	bool in_tw;
	unsigned int life;	/* the last that it has begun */
	struct tcp_seg cookie_syn;	/* as far as its SYN,ACK has it: see cookie_syn() */
	uint32_t iss;		/* of who listens */
	uint32_t tsval;		/* the last that was sent, if has_tsval; all lives */
	bool has_tsval;
	struct watch w;
};

struct sim {
	uint64_t seed, now_us, n_order, n_events, n_segs;
	struct prng prng;
	struct prng path_prng;	/* what has to do with the path's MTU, and middleboxes */
	struct prng user_prng;	/* options, and what else applications wish */
	struct ip_pair pair[2];	/* from host i */
	unsigned int life, n_lives;	/* connections of the same pair of ports, one after another */
	bool may_break;		/* an end other than by FIN is all right */
	struct link link[2];	/* [i]: from host i */
	struct host host[2];
	struct event *heap;
	size_t n_heap, max_heap;
	int n_pieces;		/* buffers in use, both hosts */
	bool is_goodput;	/* plans are goodput.c's: */
	unsigned int path;	/* the line of its table, */
	uint8_t cc;		/* and enum tcp_cc_algo */
	uint64_t start_us, eof_us;	/* when it began; when B saw FIN */
	bool verbose;
	const char *wrong;
	char why[200];
	jmp_buf failed;
};

/* Ends the conversation: @fmt says what was wrong. */
_Noreturn void sim_fail(struct sim *sim, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

void net_plan(struct sim *sim);
void net_schedule(struct sim *sim, uint64_t at_us, enum event_kind kind, unsigned int host,
		  struct packet *pkt);
bool net_next(struct sim *sim, struct event *ev);
bool net_send(struct sim *sim, unsigned int from, struct packet *pkt);

struct packet *packet_build(const struct sim *sim, unsigned int from, const struct tcp_seg *seg,
			    const uint8_t *text);
int packet_parse(const struct packet *pkt, struct tcp_seg *seg);
void middle_plan(struct sim *sim);
bool middle_send(struct sim *sim, unsigned int from, struct packet *pkt);
void middle_release(struct sim *sim, unsigned int from);
bool net_forward(struct sim *sim, unsigned int from, struct packet *pkt);

void host_init(struct sim *sim, unsigned int idx);
void host_plan(struct sim *sim);
uint32_t host_iss(struct host *h);
void host_next_life(struct host *h, bool active);
void host_start(struct host *h, bool active, uint32_t iss);
void host_packet(struct host *h, const struct packet *pkt);
void host_icmp(struct host *h, const struct packet *pkt);
void host_timer(struct host *h);
void host_app(struct host *h);
bool host_is_over(const struct host *h);
void host_end(struct host *h);

/* Octet @i of what host @idx writes in life @life. */
static inline uint8_t pattern(unsigned int idx, unsigned int life, uint64_t i)
{
	return (uint8_t)(i * 167 + (i >> 8) * 13 + (i >> 16) * 7 + idx * 101 + life * 59);
}

/* Our clock; it never stands still, but it may leap. */
static inline uint64_t clock_us(const struct host *h)
{
	return h->sim->now_us + h->ahead_us;
}

void watch_init(struct host *h);
void watch_syn(struct host *h, const struct tcp_seg *seg);
void watch_heard(struct host *h, const struct tcp_seg *seg);
void watch_dupack(struct host *h, const struct tcp_seg *seg, bool was_open);
void watch_events(struct host *h, const struct tcp_rx *rx);
void watch_sent(struct host *h, const struct tcp_seg *seg, uint32_t n_opt, const uint8_t *text);
void watch_tsval(struct host *h, const struct tcp_seg *seg);
void watch_before(struct host *h);
void watch_output(struct host *h, const struct tcp_seg *seg);
void watch_idle(struct host *h);
void watch_timer(struct host *h);

void goodput_plan(struct sim *sim);
int goodput(unsigned int only, bool verbose, int (*run)(struct sim *sim));

#endif
