/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ring.c - the ring against its model: jet bench ring; jet-bench
 *
 * The model (emulator/ring.h) says what senders that always have a frame get.
 * A frame takes T = its octets * 8 / rate; once round the ring takes R.  What
 * comes next leaves when the frame has been stripped, so a frame costs T + R.
 * A station sends as many frames, k, as fit the holding time, one at least; in
 * one turn of the token round the ring each of S stations sends k:
 *
 *	S * k frames in S * k * (T + R) + R
 *
 * All senders and receivers are one process that sleeps between two looks, so
 * that on two processors jetringd has one to itself.  Each run has a ring of
 * its own: what jetringd counts is of that run.
 */
#include <json-c/json.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "abi/aal5.h"
#include "common/util.h"
#include "tests/bench/bench.h"

#define STATION_NS	250.0	/* a station and the cable to the next: the defaults */
#define HOLD_NS		500000.0
#define WINDOW_NS	8e6	/* frames that a sender has queued, as time on the ring … */
#define WINDOW_MIN	8u	/* … and in number */
#define WINDOW_MAX	192u

#define RATE_BAR	0.01
#define JAIN_BAR	0.99
#define P99_BAR_US	50.0

static const struct ring_case {
	const char *name;
	unsigned int senders, nodes;
	const char *rate;
	double rate_bps;
	uint32_t sdu_len;
	bool in_quick;
} cases[] = {
	{ "bulk", 1, 2, "1g", 1e9, SDU_BULK, true },
	{ "9180 octets", 1, 2, "1g", 1e9, 9180, false },
	{ "1500 octets", 1, 2, "1g", 1e9, 1500, false },
	{ "slow", 1, 2, "100m", 1e8, SDU_BULK, false },
	{ "fast", 1, 2, "10g", 1e10, SDU_BULK, false },
	{ "2 senders", 2, 2, "1g", 1e9, SDU_BULK, true },
	{ "4 senders", 4, 4, "1g", 1e9, SDU_BULK, false },
	{ "8 senders", 8, 8, "1g", 1e9, SDU_BULK, false },
	{ "16 senders", 16, 16, "1g", 1e9, SDU_BULK, false },
};

/* What came of a case, each figure of each run. */
struct outcome {
	double *gbps, *jain, *p50_us, *p99_us;
	double max_us;
	uint64_t frames, late, stalls;
};

static double frame_ns(const struct ring_case *rc)
{
	return aal5_frame_len(rc->sdu_len) * 8 / rc->rate_bps * 1e9;
}

/* Packets a second, of all senders, as the model says. */
static double model_rate(const struct ring_case *rc)
{
	double round_ns = rc->nodes * STATION_NS, n;
	unsigned int k = (unsigned int)(HOLD_NS / frame_ns(rc));

	n = rc->senders * MAX(k, 1u);
	return n * 1e9 / (n * (frame_ns(rc) + round_ns) + round_ns);
}

/* Jain's index of fairness: 1 all alike, 1/n one has all. */
static double jain(const double *v, unsigned int n)
{
	double sum = 0, squares = 0;

	for (unsigned int i = 0; i < n; i++) {
		sum += v[i];
		squares += v[i] * v[i];
	}
	return squares > 0 ? sum * sum / (n * squares) : 0;
}

/* Member @key of object @in of jetringd's status; @or if there is none. */
static double counted(struct json_object *status, const char *in, const char *key, double or)
{
	struct json_object *j;

	if (json_object_object_get_ex(status, in, &j) && json_object_object_get_ex(j, key, &j))
		return json_object_get_double(j);
	return or;
}

/* What jetringd has counted on this ring. */
static void read_status(struct outcome *o, unsigned int run)
{
	struct json_object *status = lab_status();

	o->frames += (uint64_t)counted(status, "ring", "frames", 0);
	o->late += (uint64_t)counted(status, "ring", "late_frames", 0);
	o->stalls += (uint64_t)counted(status, "ring", "stalls", 0);
	o->max_us = MAX(o->max_us, counted(status, "ring", "late_max_ns", 0) / 1e3);
	o->p50_us[run] = counted(status, "ring", "late_p50_ns", NAN) / 1e3;
	o->p99_us[run] = counted(status, "ring", "late_p99_ns", NAN) / 1e3;
	json_object_put(status);
}

static void run_case(const struct ring_case *rc, struct outcome *o, unsigned int run)
{
	double window = WINDOW_NS / frame_ns(rc);
	size_t size = rc->senders * sizeof(struct stream);
	struct stream *s = crew_shared(size);
	double rate[CREW_MAX], sum = 0;
	struct clients *cl;
	struct crew c;

	lab_up(rc->nodes, rc->rate, false);
	for (unsigned int i = 0; i < rc->senders; i++) {
		s[i].sdu_len = rc->sdu_len;
		s[i].window = (uint32_t)MIN(MAX(window, WINDOW_MIN), WINDOW_MAX);
	}
	crew_init(&c);
	cl = clients_load(&c, s, rc->senders);
	crew_go(&c);
	crew_rates(&c, &s[0].taken, sizeof(s[0]), rc->senders, rate);
	crew_end(&c);
	clients_close(cl);
	for (unsigned int i = 0; i < rc->senders; i++)
		sum += rate[i];
	o->gbps[run] = sum * rc->sdu_len * 8 / 1e9;
	o->jain[run] = jain(rate, rc->senders);
	read_status(o, run);
	crew_unshare(s, size);
}

static double least(const double *v)
{
	double min = v[0];

	for (unsigned int i = 1; i < bench_opts.runs; i++)
		min = MIN(min, v[i]);
	return min;
}

static void one_case(const struct ring_case *rc)
{
	double model = model_rate(rc) * rc->sdu_len * 8 / 1e9, gbps, p99;
	struct outcome o = {
		.gbps = figures(), .jain = figures(), .p50_us = figures(), .p99_us = figures(),
	};
	bool is_bulk = rc == &cases[0];
	char fair[40];
	struct row *r;

	snprintf(fair, sizeof(fair), "%s, Jain's index", rc->name);
	for (unsigned int i = 0; i < bench_opts.runs; i++)
		run_case(rc, &o, i);
	gbps = median(o.gbps, bench_opts.runs);
	p99 = median(o.p99_us, bench_opts.runs);
	r = report_row("ring");
	row_text(r, "case", rc->name);
	row_int(r, "senders", rc->senders);
	row_text(r, "rate", rc->rate);
	row_int(r, "sdu_octets", rc->sdu_len);
	row_num(r, "model_gbit_per_s", model);
	row_num(r, "measured_gbit_per_s", gbps);
	row_num(r, "ratio", gbps / model);
	row_num(r, "jain", least(o.jain));
	row_num(r, "error_p50_us", median(o.p50_us, bench_opts.runs));
	row_num(r, "error_p99_us", p99);
	row_num(r, "error_max_us", o.max_us);
	row_int(r, "frames", o.frames);
	row_int(r, "late_frames", o.late);
	row_int(r, "stalls", o.stalls);
	if (is_bulk) {
		report_bar("bulk, part it is off the model", fabs(gbps / model - 1), RATE_BAR, true);
		report_bar("departure error of one sender, p99, us", p99, P99_BAR_US, true);
	}
	if (rc->senders > 1)
		report_bar(fair, least(o.jain), JAIN_BAR, false);
	free(o.gbps);
	free(o.jain);
	free(o.p50_us);
	free(o.p99_us);
}

void bench_ring(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (!bench_opts.quick || cases[i].in_quick)
			one_case(&cases[i]);
}
