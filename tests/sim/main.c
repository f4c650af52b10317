/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * main.c - tcp-sim: many conversations between two engines, each from a seed
 *
 * tcp-sim --seeds A-B	all of them, and a line at the end
 * tcp-sim --seed N -v	one of them, in tcpdump's notation
 * tcp-sim --goodput	how fast bulk is on paths with faults (goodput.c)
 *
 * What must be true is checked after every event (watch.c, tcp_check.c), and at
 * the end: everything written was read, in order; both ends are CLOSED, TIME-WAIT
 * included; no buffer and no timer is left.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/sim/sim.h"

#define MAX_TIME_US	(24ull * 3600 * 1000000)	/* of the virtual clock */
#define MAX_EVENTS	20000000u

static uint64_t n_segs;
static const char *name;	/* argv[0] */

void sim_fail(struct sim *sim, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(sim->why, sizeof(sim->why), fmt, ap);
	va_end(ap);
	longjmp(sim->failed, 1);
}

/* In one of three, IPv6. */
static void plan_addresses(struct sim *sim)
{
	static const uint8_t v4[16] = { [10] = 0xff, 0xff, 10, 74, 0, 1 }, v6[16] = { 0xfd, [15] = 1 };
	const uint8_t *addr = sim->is_goodput || prng_below(&sim->user_prng, 3) ? v4 : v6;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		memcpy(sim->pair[i].src, addr, 16);
		memcpy(sim->pair[i].dst, addr, 16);
		sim->pair[i].src[15] = (uint8_t)(1 + i);
		sim->pair[i].dst[15] = (uint8_t)(2 - i);
	}
}

static void say_plan(const struct sim *sim)
{
	unsigned int i;

	for (i = 0; i < 2; i++) {
		const struct host *h = &sim->host[i];
		const struct link *l = &sim->link[i];
		const struct middle *m = &l->middle;

		printf("# %c: mss %u, eff_mss_max %u, rcv_buf %" PRIu32 ", snd_buf %" PRIu32
		       ", writes %" PRIu64 "\n", "AB"[i], h->cfg.mss, h->cfg.eff_mss_max,
		       h->cfg.rcv_buf, h->plan.snd_buf, h->plan.n_write);
		printf("#    path %" PRIu32 ", then %" PRIu32 "; middlebox: strips %#x, mss %u, splits %"
		       PRIu32 ", merges %" PRIu32 ", cuts windows of %" PRIu32 " ppm\n", l->path_mss,
		       l->then_mss, m->strip, m->mss, m->split_ppm, m->merge_ppm, m->wnd_ppm);
	}
}

/* Both ends are done with a connection: another one between the same ports, opened by the
 * one who is not in TIME-WAIT. */
static void go_on_living(struct sim *sim)
{
	struct host *a = &sim->host[0], *b = &sim->host[1];

	if (sim->life + 1 >= sim->n_lives || sim->may_break || !host_is_over(a) ||
	    !host_is_over(b) || (a->in_tw && b->in_tw))
		return;
	host_end(a);
	host_end(b);
	sim->life++;
	if (!a->in_tw && !b->in_tw)
		host_next_life(b, false);
	host_next_life(a->in_tw ? b : a, true);
}

static void converse(struct sim *sim)
{
	struct event ev;

	plan_addresses(sim);
	if (sim->is_goodput) {
		goodput_plan(sim);
	} else {
		net_plan(sim);
		host_plan(sim);
	}
	if (sim->verbose)
		say_plan(sim);
	/* The listener first; but both may open. */
	host_start(&sim->host[1], prng_below(&sim->prng, 10) == 0, host_iss(&sim->host[1]));
	host_start(&sim->host[0], true, host_iss(&sim->host[0]));

	while (net_next(sim, &ev)) {
		struct host *h = &sim->host[ev.host];

		if (sim->now_us > MAX_TIME_US || sim->n_events > MAX_EVENTS) {
			free(ev.pkt);
			host_end(&sim->host[0]);
			host_end(&sim->host[1]);
			sim_fail(sim, "it does not end");
		}
		switch (ev.kind) {
		case EV_PACKET:
			host_packet(h, ev.pkt);
			free(ev.pkt);
			break;
		case EV_ICMP:
			host_icmp(h, ev.pkt);
			free(ev.pkt);
			break;
		case EV_TIMER:
			host_timer(h);
			break;
		case EV_APP:
			host_app(h);
			break;
		case EV_MIDDLE:
			if (sim->link[ev.host].middle.held_until_us <= sim->now_us)
				middle_release(sim, ev.host);
			break;
		}
		go_on_living(sim);
	}
	if (sim->life + 1 < sim->n_lives && !sim->may_break)
		sim_fail(sim, "%u connections of %u", sim->life + 1, sim->n_lives);
	host_end(&sim->host[0]);
	host_end(&sim->host[1]);
	if (sim->n_pieces)
		sim_fail(sim, "%d buffers are left", sim->n_pieces);
}

/* seed, verbose and plan are set.  Return: 0, or 1 if something was wrong */
static int run(struct sim *sim)
{
	int failed;
	size_t i;

	sim->prng.x = sim->seed;
	/* Apart, so that what is drawn of it changes no other conversation. */
	sim->path_prng.x = sim->seed * 0x9e3779b97f4a7c15u + 1;
	sim->user_prng.x = sim->seed * 0xd1b54a32d192ed03u + 2;
	sim->now_us = 1000000 + prng_below(&sim->prng, 1000000000);
	sim->start_us = sim->now_us;

	failed = setjmp(sim->failed);
	if (!failed) {
		converse(sim);
	} else {
		printf("seed %" PRIu64 ": %s, at %.6f s\n    %s --seed %" PRIu64 " -v\n",
		       sim->seed, sim->why, (double)sim->now_us / 1e6, name, sim->seed);
	}
	n_segs += sim->n_segs;
	/* A failed one leaks its buffers; we are about to say so anyway. */
	for (i = 0; i < sim->n_heap; i++)
		free(sim->heap[i].pkt);
	free(sim->heap);
	for (i = 0; i < 2; i++)
		free(sim->link[i].middle.held);
	return failed;
}

static int run_seed(uint64_t seed, bool verbose)
{
	static struct sim sim;

	memset(&sim, 0, sizeof(sim));
	sim.seed = seed;
	sim.verbose = verbose;
	return run(&sim);
}

static int usage(void)
{
	fprintf(stderr, "usage: tcp-sim [-v] [-x] --seeds A-B | --seed N\n"
			"       tcp-sim [-v] --goodput [PATH]\n"
			"  -x  stop at the first failure\n");
	return 2;
}

int main(int argc, char **argv)
{
	uint64_t from = 1, to = 0, seed, n_failed = 0;
	bool verbose = false, stop = false;
	struct timespec t0, t1;
	double s;
	int i;

	name = argv[0];
	for (i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "-v"))
			verbose = true;
		else if (!strcmp(argv[i], "-x"))
			stop = true;
		else if (!strcmp(argv[i], "--seed") && i + 1 < argc)
			from = to = strtoull(argv[++i], NULL, 0);
		else if (!strcmp(argv[i], "--seeds") && i + 1 < argc &&
			 sscanf(argv[++i], "%" SCNu64 "-%" SCNu64, &from, &to) == 2)
			continue;
		else if (!strcmp(argv[i], "--goodput"))
			return goodput(i + 1 < argc ? (unsigned int)atoi(argv[i + 1]) : UINT32_MAX,
				       verbose, run);
		else
			return usage();
	}
	if (to < from)
		return usage();

	clock_gettime(CLOCK_MONOTONIC, &t0);
	for (seed = from; seed <= to; seed++) {
		n_failed += (uint64_t)run_seed(seed, verbose);
		if (n_failed && stop) {
			seed++;
			break;
		}
	}
	clock_gettime(CLOCK_MONOTONIC, &t1);
	s = (double)(t1.tv_sec - t0.tv_sec) + (double)(t1.tv_nsec - t0.tv_nsec) / 1e9;
	printf("%" PRIu64 " seeds, %" PRIu64 " failed, %" PRIu64 " segments, %.1f s, %.0f seeds/s\n",
	       seed - from, n_failed, n_segs, s, (double)(seed - from) / s);
	return n_failed ? 1 : 0;
}
