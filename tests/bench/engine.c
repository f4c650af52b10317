/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * engine.c - what the TCP engine costs: time and instructions per segment
 *
 * Two engines in this process, without data, network, lock or commit: what is
 * counted is tcp_seg_parse(), tcp_input(), tcp_output(), tcp_seg_build() and
 * the user calls.  Segments go in batches, and each side's work on a batch is
 * timed by itself.  Time is virtual.
 *
 * Instructions are callgrind's: this program runs itself under valgrind, a case
 * at a time, and has what happens in the case's work function counted.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/util.h"
#include "common/wheel.h"
#include "stack/engine/tcp.h"
#include "tests/bench/bench.h"

#define BATCH		16
#define MSS		1448u		/* of payload: 1460 less timestamps */
#define RCV_BUF		(4u << 20)
#define WARM_BATCHES	50
#define BATCHES_INSTR	200	/* under valgrind */
#define TIMERS_FEW	1000u
#define TIMERS_MANY	100000u

struct end {
	struct tcpcb tp;
	struct tcp_view v;
};

struct wire {
	uint8_t th[TCP_HDR_MAX];
	uint32_t hdr_len, len;
};

/* A connection, and a batch of segments each way. */
struct pair {
	struct end a, b;
	uint64_t now_us;
	struct wire data[BATCH], ack[BATCH * 2];
	unsigned int n_data, n_ack;
};

/* --- work, which is what is measured --------------------------------------------- */

static void put(struct wire *w, const struct tcp_seg *seg)
{
	w->hdr_len = (uint32_t)tcp_seg_build(seg, w->th);
	w->len = seg->len;
}

/* The payload is counted in the length; nobody reads it. */
static void get(const struct wire *w, struct tcp_seg *seg)
{
	if (tcp_seg_parse(seg, w->th, w->hdr_len) < 0)
		die("a segment cannot be read");
	seg->len = w->len;
}

static void drain(struct end *e, struct wire *w, unsigned int *n, unsigned int max, uint64_t now_us)
{
	struct tcp_seg seg;

	while (*n < max && tcp_output(&e->tp, &e->v, now_us, &seg) > 0)
		put(&w[(*n)++], &seg);
}

/* A function that callgrind can tell by its name, called for nothing else. */
#define WORK	__attribute__((noinline, noclone, no_icf))

static inline unsigned int send_batch(struct pair *p)
{
	p->n_data = 0;
	for (unsigned int i = 0; i < BATCH; i++) {
		p->a.v.snd_cc += MSS;
		tcp_user_send(&p->a.tp, &p->a.v, p->now_us);
		drain(&p->a, p->data, &p->n_data, BATCH, p->now_us);
	}
	return p->n_data;
}

WORK static unsigned int work_send(struct pair *p)
{
	return send_batch(p);
}

static void take(struct end *e, const struct wire *w, uint64_t now_us)
{
	struct tcp_seg seg;
	struct tcp_rx rx;

	get(w, &seg);
	tcp_input(&e->tp, &e->v, &seg, now_us, &rx);
	e->v.snd_cc -= rx.acked;
}

static inline unsigned int receive_data(struct pair *p, unsigned int first)
{
	p->n_ack = 0;
	for (unsigned int i = first; i < p->n_data; i++) {
		take(&p->b, &p->data[i], p->now_us);
		drain(&p->b, p->ack, &p->n_ack, ARRAY_SIZE(p->ack), p->now_us);
	}
	return p->n_data - first;
}

static inline unsigned int receive_acks(struct pair *p)
{
	p->n_data = 0;
	for (unsigned int i = 0; i < p->n_ack; i++) {
		take(&p->a, &p->ack[i], p->now_us);
		drain(&p->a, p->data, &p->n_data, BATCH, p->now_us);
	}
	return p->n_ack;
}

WORK static unsigned int work_data(struct pair *p)
{
	return receive_data(p, 0);
}

WORK static unsigned int work_out_of_order(struct pair *p)
{
	return receive_data(p, 1);
}

WORK static unsigned int work_acks(struct pair *p)
{
	return receive_acks(p);
}

WORK static unsigned int work_sacks(struct pair *p)
{
	return receive_acks(p);
}

static void open_pair(struct pair *p)
{
	struct tcp_config cfg = { .mss = MSS + 12, .rcv_buf = RCV_BUF, .nodelay = true };

	p->a.v = p->b.v = (struct tcp_view){ .rcv_space = RCV_BUF, .ooo_room = 64 };
	tcp_init(&p->a.tp, &cfg);
	tcp_init(&p->b.tp, &cfg);
	tcp_user_open_passive(&p->b.tp, 7000, p->now_us);
	tcp_user_open_active(&p->a.tp, 1000, p->now_us);
}

/* Segments go to and fro until nobody has any. */
static void exchange(struct pair *p)
{
	p->n_data = 0;
	do {
		drain(&p->a, p->data, &p->n_data, BATCH, p->now_us);
		p->now_us += 50;
		receive_data(p, 0);
		drain(&p->b, p->ack, &p->n_ack, ARRAY_SIZE(p->ack), p->now_us);
		p->now_us += 50;
		receive_acks(p);
	} while (p->n_data || p->n_ack);
}

/* SYN to TIME-WAIT and CLOSED, both ends, no data. */
WORK static unsigned int work_connection(struct pair *p)
{
	open_pair(p);
	exchange(p);
	tcp_user_close(&p->a.tp, p->now_us);
	exchange(p);
	tcp_user_close(&p->b.tp, p->now_us);
	exchange(p);
	if (p->a.tp.state != TCPS_TIME_WAIT || p->b.tp.state != TCPS_CLOSED)
		die("a connection was not closed: %s, %s", tcps_names[p->a.tp.state],
		    tcps_names[p->b.tp.state]);
	return 1;
}

/* What the owner of a shared block does in addition, for each event. */
WORK static unsigned int work_copy(struct pair *p)
{
	static struct tcpcb block[4];
	struct tcpcb copy;

	for (unsigned int i = 0; i < BATCH; i++) {
		memcpy(&copy, &block[i % 2], sizeof(copy));
		/* The first time there is nothing in it yet. */
		if (tcp_check(&copy, &p->a.v))
			copy = p->a.tp;
		memcpy(&block[i % 2], &copy, sizeof(copy));
	}
	return BATCH;
}

/* --- cases ------------------------------------------------------------------------- */

enum { C_SEND, C_DATA, C_ACK, C_OOO, C_SACK, C_CONN, C_COPY, N_CASES };

static const struct {
	const char *name, *work;
} cases[N_CASES] = {
	[C_SEND] = { "data sent", "work_send" },
	[C_DATA] = { "data received in order", "work_data" },
	[C_ACK] = { "pure ACK received", "work_acks" },
	[C_OOO] = { "data received out of order, SACK sent", "work_out_of_order" },
	[C_SACK] = { "SACK received", "work_sacks" },
	[C_CONN] = { "connection opened and closed, both ends", "work_connection" },
	[C_COPY] = { "block copied in, checked, copied out", "work_copy" },
};

struct cost {
	uint64_t ns, n;
};

#define TIMED(c, call)	do { \
		uint64_t t_ = now_ns(); \
		(c)->n += (call); \
		(c)->ns += now_ns() - t_; \
	} while (0)

static void pass_time(struct end *e, uint64_t now_us)
{
	struct tcp_rx rx;

	if (tcp_poll_at(&e->tp) <= now_us)
		tcp_timers(&e->tp, &e->v, now_us, &rx);
}

/* A connection under way, its windows open. */
static void warm_up(struct pair *p)
{
	p->now_us = 1000000;
	open_pair(p);
	exchange(p);
	for (int i = 0; i < WARM_BATCHES; i++) {
		/* More than cwnd, so that it grows. */
		p->a.v.snd_cc += 16 * BATCH * MSS;
		tcp_user_send(&p->a.tp, &p->a.v, p->now_us);
		exchange(p);
	}
	/* The last ACK is a delayed one. */
	p->now_us += 50000;
	pass_time(&p->b, p->now_us);
	exchange(p);
	if (p->a.v.snd_cc)
		die("the engines do not talk: %u octets are left", p->a.v.snd_cc);
}

static void in_order(struct pair *p, struct cost *cost)
{
	TIMED(&cost[C_SEND], work_send(p));
	if (p->n_data != BATCH)
		die("%u segments were sent, not %u", p->n_data, BATCH);
	p->now_us += 100;
	TIMED(&cost[C_DATA], work_data(p));
	p->now_us += 100;
	TIMED(&cost[C_ACK], work_acks(p));
}

/* The first of each batch is lost. */
static void out_of_order(struct pair *p, const struct pair *warm, struct cost *cost)
{
	*p = *warm;
	send_batch(p);
	p->now_us += 100;
	TIMED(&cost[C_OOO], work_out_of_order(p));
	if (p->n_ack < BATCH - 1)
		die("%u duplicate ACKs, not %u", p->n_ack, BATCH - 1);
	p->now_us += 100;
	TIMED(&cost[C_SACK], work_sacks(p));
}

static void run_case(int which, struct pair *p, struct pair *warm, struct cost *cost)
{
	switch (which) {
	case C_SEND: case C_DATA: case C_ACK:
		in_order(p, cost);
		break;
	case C_OOO: case C_SACK:
		out_of_order(p, warm, cost);
		break;
	case C_CONN:
		TIMED(&cost[C_CONN], work_connection(p));
		break;
	default:
		TIMED(&cost[C_COPY], work_copy(p));
		break;
	}
}

/* --- instructions ---------------------------------------------------------------------- */

/* For callgrind: one case alone, and how many it was. */
int engine_case(int which)
{
	static struct pair p, warm;
	struct cost cost[N_CASES] = { 0 };

	if (which < 0 || which >= N_CASES)
		return 2;
	warm_up(&warm);
	p = warm;
	for (int i = 0; i < BATCHES_INSTR; i++)
		run_case(which, &p, &warm, cost);
	printf("%llu\n", (unsigned long long)cost[which].n);
	return 0;
}

/* Instructions a segment, or -1: no valgrind, or it did not say. */
static double instructions(int which)
{
	unsigned long long n = 0, collected = 0;
	char self[256], cmd[800], line[256];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	FILE *f;

	if (len < 0)
		return -1;
	self[len] = '\0';
	snprintf(cmd, sizeof(cmd),
		 "valgrind --tool=callgrind --callgrind-out-file=/dev/null --toggle-collect=%s "
		 "'%s' --engine-case %d 2>&1", cases[which].work, self, which);
	f = popen(cmd, "r");
	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f)) {
		const char *at = strstr(line, "Collected : ");

		if (at)
			collected = strtoull(at + 12, NULL, 10);
		else if (line[0] >= '0' && line[0] <= '9')
			n = strtoull(line, NULL, 10);
	}
	if (pclose(f) != 0 || !n || !collected)
		return -1;
	return (double)collected / (double)n;
}

/* --- timers -------------------------------------------------------------------------------- */

static uint64_t next_random(uint64_t *x)
{
	*x = *x * 6364136223846793005u + 1442695040888963407u;
	return *x >> 33;
}

/* @n connections: each event moves a timer, and those that are due fire and
 * are set again.  ns for each set, fired ones included. */
static double timers_ns(uint32_t n)
{
	struct wheel_timer *t = calloc(n, sizeof(*t));
	uint64_t x = 1, now = 1000000, n_set = 0, start, until;
	struct wheel w;

	if (!t)
		die("no memory");
	wheel_init(&w, t, n, now);
	for (uint32_t i = 0; i < n; i++)
		wheel_set(&w, i, now + 200000 + next_random(&x) % 1000000);
	start = now_ns();
	until = start + (uint64_t)(bench_opts.seconds * 1e9 / 4);
	do {
		for (int k = 0; k < 1000; k++) {
			uint32_t i = (uint32_t)(next_random(&x) % n);

			now += 10;
			wheel_set(&w, i, now + 200000 + next_random(&x) % 1000000);
			n_set++;
			while ((i = wheel_expire(&w, now)) != WHEEL_NONE) {
				wheel_set(&w, i, now + 200000 + next_random(&x) % 1000000);
				n_set++;
			}
		}
	} while (now_ns() < until);
	free(t);
	return (double)(now_ns() - start) / (double)n_set;
}

/* --- the benchmark --------------------------------------------------------------------------- */

static void measure_case(int which, struct pair *p, struct pair *warm)
{
	double *ns = figures(), instr;
	struct row *r;

	for (unsigned int run = 0; run < bench_opts.runs; run++) {
		struct cost cost[N_CASES] = { 0 };
		uint64_t until = now_ns() + (uint64_t)(bench_opts.seconds * 1e9 / N_CASES);

		*p = *warm;
		do
			run_case(which, p, warm, cost);
		while (now_ns() < until);
		ns[run] = (double)cost[which].ns / (double)cost[which].n;
	}
	instr = bench_opts.quick ? -1 : instructions(which);
	r = report_row("segments");
	row_text(r, "what", cases[which].name);
	row_num(r, "each_ns", median(ns, bench_opts.runs));
	row_num(r, "instructions", instr);
	free(ns);
}

static void measure_timers(void)
{
	double *few = figures(), *many = figures();
	struct row *r;

	for (unsigned int run = 0; run < bench_opts.runs; run++) {
		few[run] = timers_ns(TIMERS_FEW);
		many[run] = timers_ns(TIMERS_MANY);
	}
	for (int i = 0; i < 2; i++) {
		r = report_row("timers");
		row_int(r, "connections", i ? TIMERS_MANY : TIMERS_FEW);
		row_num(r, "each_ns", median(i ? many : few, bench_opts.runs));
	}
	free(few);
	free(many);
}

void bench_engine(void)
{
	static struct pair p, warm;

	warm_up(&warm);
	for (int i = 0; i < N_CASES; i++)
		measure_case(i, &p, &warm);
	measure_timers();
	report_bar("octets of a control block", (double)sizeof(struct tcpcb), 1024, true);
	report_note("segments of %u octets with timestamps and SACK; instructions by callgrind, -1: not counted",
		    MSS);
}
