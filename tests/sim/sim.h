/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sim.h - two engines, a simulated network, and a virtual clock
 *
 *	main.c	a seed becomes a conversation; what must be true of each
 *	net.c	the network and the clock: delay, loss, duplication, order, rate, queue
 *	goodput.c	bulk over paths with faults: a table of figures
 *	host.c	an owner of a control block, as a real one is, and its application
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
	bool has_icmp;			/* ... and ICMP says so, if it is not lost */
	uint32_t forge_ppm;		/* of packets: somebody sends ICMP at random, too */
	uint32_t burst_left;
	uint64_t burst_until_us;	/* a burst is short in time as well */
};

enum event_kind { EV_PACKET, EV_TIMER, EV_APP, EV_ICMP };

struct event {
	uint64_t at_us, order;
	enum event_kind kind;
	unsigned int host;
	struct packet *pkt;
};

struct packet {
	uint32_t len;
	uint8_t ecn;		/* of the IP header */
	uint32_t mss;		/* of ICMP: what would have passed; 0: unreachable */
	uint8_t octets[];	/* of ICMP: the header that is quoted */
};

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
	bool may_break;		/* an end other than by FIN is all right */
	uint64_t timer_at;	/* of the common clock */
	uint64_t ahead_us;	/* our clock is ahead of the common one */

	/* watching what is sent */
	uint32_t dup_una, dup_top, n_dup;	/* duplicate ACKs with news, for SND.UNA */
	bool una_resent;
	uint64_t rto_at, rto_gap;
	uint32_t rto_srtt;	/* SRTT then: a new sample ends the back-off */
	uint32_t rto_una;
	uint32_t peak;		/* the most that was ever in flight */
	uint32_t smss;		/* the largest Eff.snd.MSS ever */
	uint8_t rto_n;
};

struct sim {
	uint64_t seed, now_us, n_order, n_events, n_segs;
	struct prng prng;
	struct prng path_prng;	/* what has to do with the path's MTU */
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

void host_init(struct sim *sim, unsigned int idx);
void host_plan(struct sim *sim);
void host_start(struct host *h);
void host_packet(struct host *h, const struct packet *pkt);
void host_icmp(struct host *h, const struct packet *pkt);
void host_timer(struct host *h);
void host_app(struct host *h);
void host_end(struct host *h);

void goodput_plan(struct sim *sim);
int goodput(unsigned int only, bool verbose, int (*run)(struct sim *sim));

#endif
