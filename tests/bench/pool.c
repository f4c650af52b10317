/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pool.c - packets from pool to pool: jet bench pool; jet-bench
 *
 *	bulk	61504 octets: through the ring, and through the bare pipeline
 *	small	48 octets
 *	template	the same with and without a template to match
 *	round	8 octets there and back: between two clients, over a bare relay
 *	captured	bulk again, with and without a capture to a file
 *
 * On an unlimited ring of two nodes.
 */
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/util.h"
#include "tests/bench/bench.h"

#define BULK_WINDOW	16u	/* packets under way: 1 MiB of buffers on each side */
#define SMALL_WINDOW	1024u

#define BULK_BAR	0.8
#define SMALL_BAR	1e6
#define ROUND_BAR	2.0
#define CAPTURE_BAR	0.7
#define CAPTURE_TRIES	1000

/* Which processor each has: -1 any. */
struct placement {
	const char *name;
	int sender, ring, receiver;
};

static const struct placement placements[] = {
	{ "any", -1, -1, -1 },
	{ "all on one", 0, 0, 0 },
	{ "sender | ring, receiver", 0, 1, 1 },
	{ "sender, receiver | ring", 0, 1, 0 },
};

static void pin(pid_t pid, int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (cpu < 0 || i == cpu)
			CPU_SET(i, &set);
	if (sched_setaffinity(pid, sizeof(set), &set) < 0)
		die("cannot place process %d on processor %d: %s", (int)pid, cpu, strerror(errno));
}

/* The crew of a stream: sender, (the bare relay,) receiver. */
static void place(const struct crew *c, bool is_bare, const struct placement *pl)
{
	pin(c->pid[0], pl->sender);
	pin(is_bare ? c->pid[1] : lab_ringd(), pl->ring);
	pin(c->pid[c->n - 1], pl->receiver);
}

/* How packets go. */
enum way {
	WAY_POOLS,	/* from pool to pool */
	WAY_TRUSTED,	/* likewise, of ports whose packets need not match a template */
	WAY_BARE	/* through the bare pipeline */
};

/* Packets a second of one run. */
static double run_stream(enum way way, uint32_t sdu_len, uint32_t window, const struct placement *pl)
{
	struct stream *s = crew_shared(sizeof(*s));
	struct clients *cl = NULL;
	struct crew c;
	double rate;

	s->sdu_len = sdu_len;
	s->window = window;
	s->trusted = way == WAY_TRUSTED;
	crew_init(&c);
	if (way == WAY_BARE)
		bare_stream(&c, s);
	else
		cl = clients_stream(&c, s, 1, 2);
	place(&c, way == WAY_BARE, pl);
	crew_go(&c);
	rate = crew_rate(&c, &s->taken);
	crew_end(&c);
	if (cl)
		clients_close(cl);
	crew_unshare(s, sizeof(*s));
	return rate;
}

static double gbit(double packets_per_s, uint32_t sdu_len)
{
	return packets_per_s * sdu_len * 8 / 1e9;
}

struct pair {			/* of two cases that take turns */
	double a, b, ratio;
};

/* Medians of both, and of the ratios a/b of neighbours. */
static struct pair medians(double *a, double *b)
{
	double *ratio = figures();
	struct pair p;

	for (unsigned int i = 0; i < bench_opts.runs; i++)
		ratio[i] = a[i] / b[i];
	p.ratio = median(ratio, bench_opts.runs);
	p.a = median(a, bench_opts.runs);
	p.b = median(b, bench_opts.runs);
	free(ratio);
	return p;
}

static void bulk_row(const struct placement *pl)
{
	double *pools = figures(), *bare = figures();
	struct pair p;
	struct row *r;

	for (unsigned int i = 0; i < bench_opts.runs; i++) {
		pools[i] = gbit(run_stream(WAY_POOLS, SDU_BULK, BULK_WINDOW, pl), SDU_BULK);
		bare[i] = gbit(run_stream(WAY_BARE, SDU_BULK, BULK_WINDOW, pl), SDU_BULK);
	}
	p = medians(pools, bare);
	r = report_row("bulk");
	row_text(r, "processors", pl->name);
	row_int(r, "sdu_octets", SDU_BULK);
	row_int(r, "window_packets", BULK_WINDOW);
	row_num(r, "pools_gbit_per_s", p.a);
	row_num(r, "bare_gbit_per_s", p.b);
	row_num(r, "ratio", p.ratio);
	if (pl == &placements[0])
		report_bar("bulk, of the bare pipeline", p.ratio, BULK_BAR, false);
	free(pools);
	free(bare);
}

static void bench_bulk(void)
{
	bool is_multi = sysconf(_SC_NPROCESSORS_ONLN) > 1;

	for (size_t i = 0; i < (is_multi ? ARRAY_SIZE(placements) : 1); i++)
		bulk_row(&placements[i]);
	pin(lab_ringd(), -1);
}

static void bench_small(void)
{
	double *v = figures(), m;
	struct row *r;

	for (unsigned int i = 0; i < bench_opts.runs; i++)
		v[i] = run_stream(WAY_POOLS, SDU_SMALL, SMALL_WINDOW, &placements[0]);
	m = median(v, bench_opts.runs);
	r = report_row("small");
	row_int(r, "sdu_octets", SDU_SMALL);
	row_int(r, "window_packets", SMALL_WINDOW);
	row_num(r, "packets_per_s", m);
	report_bar("small packets a second", m, SMALL_BAR, false);
	free(v);
}

/* What it costs to match each packet with its pool's template: all on one
 * processor, where the time for a packet is what all three spend on it. */
static void bench_template(void)
{
	static const struct placement *pl = &placements[1];
	double *with = figures(), *without = figures();
	struct pair p;
	struct row *r;

	for (unsigned int i = 0; i < bench_opts.runs; i++) {
		with[i] = run_stream(WAY_POOLS, SDU_SMALL, SMALL_WINDOW, pl);
		without[i] = run_stream(WAY_TRUSTED, SDU_SMALL, SMALL_WINDOW, pl);
	}
	pin(lab_ringd(), -1);
	p = medians(with, without);
	r = report_row("template");
	row_int(r, "sdu_octets", SDU_SMALL);
	row_text(r, "processors", pl->name);
	row_num(r, "matched_packets_per_s", p.a);
	row_num(r, "trusted_packets_per_s", p.b);
	row_num(r, "ratio", p.ratio);
	row_num(r, "matching_ns", 1e9 / p.a - 1e9 / p.b);
	free(with);
	free(without);
}

/* Microseconds of a round trip; each of them is counted in @sum. */
static double run_rounds(bool is_bare, struct hist *sum)
{
	struct rounds *rd = crew_shared(sizeof(*rd));
	struct clients *cl = NULL;
	struct crew c;
	double rate;

	crew_init(&c);
	if (is_bare)
		bare_rounds(&c, rd);
	else
		cl = clients_rounds(&c, rd, 1, 2);
	crew_go(&c);
	rate = crew_rate(&c, &rd->n);
	crew_end(&c);
	if (cl)
		clients_close(cl);
	hist_sum(sum, &rd->h);
	crew_unshare(rd, sizeof(*rd));
	return 1e6 / rate;
}

static void round_row(const char *name, double us, const struct hist *h)
{
	struct row *r = report_row("round");

	row_text(r, "case", name);
	row_int(r, "sdu_octets", SDU_ROUND);
	row_num(r, "mean_us", us);
	row_num(r, "p50_us", (double)hist_percentile(h, 50) / 1e3);
	row_num(r, "p99_us", (double)hist_percentile(h, 99) / 1e3);
	row_num(r, "rounds_per_s", 1e6 / us);
}

static void bench_round(void)
{
	double *pools = figures();
	double *bare = figures();
	static struct hist hp, hb;
	struct pair p;

	for (unsigned int i = 0; i < bench_opts.runs; i++) {
		pools[i] = run_rounds(false, &hp);
		bare[i] = run_rounds(true, &hb);
	}
	p = medians(pools, bare);
	round_row("pools", p.a, &hp);
	round_row("bare", p.b, &hb);
	report_bar("round trip, times the bare relay's", p.ratio, ROUND_BAR, true);
	free(pools);
	free(bare);
}

/* --- captured ---------------------------------------------------------------------- */

/* What jetringd has counted for captures. */
static uint64_t capture_count(const char *key)
{
	struct json_object *status = lab_status(), *j;
	uint64_t n;

	if (!json_object_object_get_ex(status, "capture", &j) || !json_object_object_get_ex(j, key, &j))
		die("\"jet status\" does not say how many %s of captures there are", key);
	n = (uint64_t)json_object_get_int64(j);
	json_object_put(status);
	return n;
}

/* A file without a name: it is gone with the last who has it open. */
static int nameless_file(void)
{
	const char *dir = getenv("TMPDIR");
	int fd = open(dir && *dir ? dir : "/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0)
		die("cannot make a file for the capture: %s", strerror(errno));
	return fd;
}

struct captured {
	uint64_t records, dropped, octets;	/* of all runs */
};

/* Bulk while `jet capture` writes all of it to a file. */
static double run_captured(struct captured *sum)
{
	const struct timespec nap = { .tv_nsec = 10000000 };
	uint64_t records = capture_count("records"), dropped = capture_count("dropped");
	int fd = nameless_file(), tries = 0, status;
	pid_t pid = lab_jet_start(fd, "capture", "-q", NULL);
	double rate;
	off_t end;

	while (!capture_count("consumers")) {
		if (++tries > CAPTURE_TRIES)
			die("\"jet capture\" does not begin");
		nanosleep(&nap, NULL);
	}
	rate = run_stream(WAY_POOLS, SDU_BULK, BULK_WINDOW, &placements[0]);
	sum->records += capture_count("records") - records;
	sum->dropped += capture_count("dropped") - dropped;
	status = lab_jet_end(pid, SIGINT);
	end = lseek(fd, 0, SEEK_END);
	close(fd);
	if (status || end <= 0)
		die("\"jet capture\" has failed");
	sum->octets += (uint64_t)end;
	return rate;
}

static void bench_captured(void)
{
	double *with = figures(), *without = figures();
	struct captured sum = { 0 };
	struct pair p;
	struct row *r;

	for (unsigned int i = 0; i < bench_opts.runs; i++) {
		with[i] = gbit(run_captured(&sum), SDU_BULK);
		without[i] = gbit(run_stream(WAY_POOLS, SDU_BULK, BULK_WINDOW, &placements[0]), SDU_BULK);
	}
	p = medians(with, without);
	r = report_row("captured");
	row_int(r, "sdu_octets", SDU_BULK);
	row_num(r, "with_gbit_per_s", p.a);
	row_num(r, "without_gbit_per_s", p.b);
	row_num(r, "ratio", p.ratio);
	row_int(r, "records", sum.records);
	row_int(r, "records_dropped", sum.dropped);
	row_num(r, "file_mbytes", (double)sum.octets / 1e6);
	report_bar("bulk while captured, of bulk", p.ratio, CAPTURE_BAR, false);
	free(with);
	free(without);
}

void bench_pool(void)
{
	lab_up(2, "unlimited", false);
	bench_bulk();
	bench_small();
	bench_template();
	bench_round();
	bench_captured();
}
