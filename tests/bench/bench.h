/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench.h - what the benchmarks share; jet-bench
 *
 * jet-bench is three generations of processes.  The first (main.c) waits; it
 * owns the lab's name, and whatever happens to the others it takes the lab
 * down.  The second, the worker, runs one benchmark and prints its figures.
 * The third are those that send and receive (crew.c): they end with the
 * worker, the worker with the first.
 *
 *	main.c		options; the first process
 *	lab.c		a lab of our own, by running jet
 *	crew.c		processes that work while one measures
 *	figures.c	medians, percentiles, tables, JSON, bars
 *	packet.c	what is sent, and that it arrived
 *	clients.c	clients of pools: bulk, small packets, round trips
 *	bare.c		the same work without ring, driver and pools
 *	pool.c ring.c …	a benchmark each
 *
 * What cannot go on says so in one sentence and exits: die().  The figures of
 * one benchmark are of one run of jet-bench; cases that are compared take
 * turns in it, so that what disturbs one disturbs the other.
 */
#ifndef TESTS_BENCH_BENCH_H
#define TESTS_BENCH_BENCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "abi/portctl.h"

/* --- main.c ---------------------------------------------------------------- */

struct bench_opts {
	bool json;			/* --json */
	bool quick;			/* --quick: does it work?  Its figures say nothing */
	unsigned int runs;		/* --runs: of each case; figures are medians */
	double seconds;			/* --seconds: that one run measures */
};
extern struct bench_opts bench_opts;

/* "jet bench: SENTENCE" on stderr, then exit(1). */
void die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

void bench_pool(void);
void bench_ring(void);
void bench_loss(void);
void bench_engine(void);
/* engine.c runs this program under callgrind, as "jet-bench --engine-case N". */
int engine_case(int which);

/* --- lab.c ------------------------------------------------------------------- */

extern const char *lab_name;		/* "bench-PID" */

/* Find jet beside this program; name the lab.  Dies if there is no jet. */
void lab_init(void);
/* `jet up`; a lab that is up already is taken down first.  @rate: as --rate
 * takes it.  @servers: with connection servers. */
void lab_up(unsigned int n_nodes, const char *rate, bool servers);
/* `jet down`: quietly, also if there is none.  Does not die. */
void lab_down(void);
/* What `jet status --json` says; to be json_object_put(). */
struct json_object;
struct json_object *lab_status(void);
/* The process of the lab's jetringd. */
pid_t lab_ringd(void);
/* Path of node @k's nK.sock.  Static memory, good for four calls. */
const char *lab_sock(unsigned int k);

#define LAB_ARGS	24	/* words after the verb, at most */
/*
 * Run `jet VERB -n LAB ARG…` (the last argument is NULL) and wait for it.
 * Return: its standard output, malloc'ed; dies if its status is not 0.
 */
char *lab_jet(const char *verb, ...) __attribute__((sentinel));
/* The same for one that may fail; its status as waitpid() has it. */
int lab_jet_try(char **text, const char *verb, ...) __attribute__((sentinel));
/* The same in the background, standard output to @out_fd (-1: /dev/null). */
pid_t lab_jet_start(int out_fd, const char *verb, ...) __attribute__((sentinel));
/* @sig to it, and wait for its end.  Its status as waitpid() has it. */
int lab_jet_end(pid_t pid, int sig);

/* --- crew.c -------------------------------------------------------------------- */

#define CREW_MAX	40

struct crew_ctl {			/* shared by the worker and the crew */
	alignas(64) _Atomic uint32_t n_ready;
	_Atomic bool go;		/* all are ready: begin */
	_Atomic bool stop;		/* end as soon as you can */
};

struct crew {
	struct crew_ctl *ctl;
	unsigned int n;
	pid_t pid[CREW_MAX];
};

/* Zeroed memory that processes forked from now on share; pages exist. */
void *crew_shared(size_t size);
void crew_unshare(void *p, size_t size);
/* A crew of nobody. */
void crew_init(struct crew *c);
/* One more: calls @fn(@ctl, @arg) in a process of its own, which ends when @fn
 * returns. */
void crew_add(struct crew *c, void (*fn)(struct crew_ctl *ctl, void *arg), void *arg);
/* Called in @fn when it is set up: returns when all are. */
void crew_ready(struct crew_ctl *ctl);
static inline bool crew_stopped(struct crew_ctl *ctl)
{
	return atomic_load_explicit(&ctl->stop, memory_order_relaxed);
}
/* In the worker: let them begin, sleep (one that died ends us), end them. */
void crew_go(struct crew *c);
void crew_sleep(struct crew *c, double seconds);
/* What is counted in *@n goes up by so many a second: warms up first, measures
 * --seconds, and for longer if the machine is so busy that nothing moved. */
double crew_rate(struct crew *c, _Atomic uint64_t *n);
/* The same for @n_rates counters at once, CREW_MAX at most, @stride octets apart. */
void crew_rates(struct crew *c, _Atomic uint64_t *n, size_t stride, unsigned int n_rates, double *rate);
void crew_end(struct crew *c);

/* --- figures.c ------------------------------------------------------------------ */

/* The median of @n figures, which are sorted. */
double median(double *v, unsigned int n);
/* Room for a figure of each run. */
double *figures(void);

/* A histogram of times: 1 ns to 2^40 ns, each octave in 16 parts. */
#define HIST_SUB	16
#define HIST_OCTAVES	40
struct hist {
	uint64_t n, sum, max;
	uint32_t at[HIST_OCTAVES * HIST_SUB];
};
void hist_add(struct hist *h, uint64_t ns);
void hist_sum(struct hist *to, const struct hist *h);
/* The time that @percent of those counted did not exceed, within 1/16. */
uint64_t hist_percentile(const struct hist *h, double percent);

/*
 * What is printed at the end: tables of rows, bars, notes.  Keys are JSON's
 * and the heads of columns; they end with the unit (_gbit_per_s, _us).
 */
struct row;
void report_begin(const char *bench);
/* A row of @table; columns of a table are those of its first row. */
struct row *report_row(const char *table);
void row_text(struct row *r, const char *key, const char *text);
void row_num(struct row *r, const char *key, double v);
void row_int(struct row *r, const char *key, uint64_t v);
/* What has to hold: @value at least (or, @is_max, at most) @bar. */
void report_bar(const char *what, double value, double bar, bool is_max);
void report_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void report_print(void);

/* --- packet.c -------------------------------------------------------------------------- */

#define SDU_BULK	61504u	/* the paper's PDU size; MTU of the ring */
#define SDU_SMALL	48u
#define SDU_ROUND	8u

#define PACKET_HDR	40u
#define PACKET_WHOLE	16u

/* Packet @nr: a header, then a fixed text that begins with the number instead;
 * one shorter than a header is the number alone. */
void packet_header(uint8_t hdr[PACKET_HDR], uint32_t sdu_len, uint64_t nr);
const uint8_t *packet_text(void);
/* The template of a pool that may send such packets, and no others. */
void packet_template(struct js_template *t);
/* Dies if these octets are not packet @nr: header and number of each are
 * looked at, all octets of one in PACKET_WHOLE. */
void packet_check(const uint8_t *sdu, uint32_t sdu_len, uint64_t nr);

/* --- clients.c and bare.c: what moves ---------------------------------------------- */

/*
 * A stream of packets between two processes, in shared memory.  The sender
 * has at most @window packets under way that the receiver has not taken.
 */
struct stream {
	uint32_t sdu_len;		/* octets of each */
	uint32_t window;		/* packets */
	bool trusted;			/* clients.c: by trusted ports, whose pools need no template */
	alignas(64) _Atomic uint64_t taken;	/* by the receiver, whole and checked */
	alignas(64) _Atomic uint64_t done;	/* bare.c: relayed */
	alignas(64) _Atomic uint64_t made;	/* bare.c: offered */
};

/* Round trips, in shared memory; written by the one who asks. */
struct rounds {
	alignas(64) _Atomic uint64_t n;
	struct hist h;			/* read when its process has ended */
};

/*
 * clients.c: through the ring of the lab that is up, from node @from to node
 * @to; ports of their own, each process its own memory.  Adds the processes to
 * @c; clients_close() after crew_end().
 */
struct clients;
struct clients *clients_stream(struct crew *c, struct stream *s, unsigned int from, unsigned int to);
struct clients *clients_rounds(struct crew *c, struct rounds *r, unsigned int from, unsigned int to);
/* @n streams s[0] to s[@n - 1], from n1 to n2, from n2 to n3, …, the last to n1
 * (if it is one, to n2), all in one process that sleeps when it can. */
struct clients *clients_load(struct crew *c, struct stream *s, unsigned int n);
void clients_close(struct clients *cl);

/* bare.c: three processes and shared memory. */
void bare_stream(struct crew *c, struct stream *s);
void bare_rounds(struct crew *c, struct rounds *r);

#endif
