/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * goodput.c - how fast is the engine on a path that loses, delays, reorders?
 *
 * Bulk from A to B in virtual time, so that the figures are the engine's
 * alone: no processor, no scheduler.  Each figure is the mean of some seeds.
 * The same seed and path give the same figure everywhere.
 */
#include <inttypes.h>
#include <stdio.h>

#include "tests/sim/sim.h"

#define N_SEEDS		10

struct path {
	const char *name;
	uint16_t mss;
	uint32_t buf;		/* octets: so_snd and so_rcv */
	uint64_t octets;	/* to be moved */
	uint64_t rate_mbps, delay_us;
	uint32_t loss_ppm, burst_ppm, burst_len, reorder_ppm;
	uint64_t reorder_us;
	uint32_t least;			/* Mbit/s: less is a failure, with either algorithm */
};

/* The ring: 1 Gbit/s, 61440 octets a segment, some 50 us to wake a process */
#define RING	.mss = 61464, .buf = 245760, .octets = 20000000, .rate_mbps = 1000, .delay_us = 50
#define RING_2M	.mss = 61464, .buf = 2000000, .octets = 20000000, .rate_mbps = 1000, .delay_us = 50
#define FAR	.mss = 61464, .buf = 2000000, .octets = 20000000, .rate_mbps = 1000, .delay_us = 10000
#define SMALL	.mss = 1448, .buf = 2000000, .octets = 10000000, .rate_mbps = 100, .delay_us = 10000

static const struct path paths[] = {
	{ "ring, no loss", RING, .least = 990 },
	{ "ring, 0.1 %", RING, .loss_ppm = 1000, .least = 980 },
	{ "ring, 1 %", RING, .loss_ppm = 10000, .least = 850 },
	{ "ring, 5 %", RING, .loss_ppm = 50000, .least = 450 },
	{ "ring, bursts of up to 4", RING, .burst_ppm = 2000, .burst_len = 4, .least = 700 },
	{ "ring, 3 % reordered", RING, .reorder_ppm = 30000, .reorder_us = 1500, .least = 930 },
	{ "ring, 2 MB, no loss", RING_2M, .least = 990 },
	{ "ring, 2 MB, 0.1 %", RING_2M, .loss_ppm = 1000, .least = 980 },
	{ "ring, 2 MB, 1 %", RING_2M, .loss_ppm = 10000, .least = 970 },
	{ "ring, 2 MB, 5 %", RING_2M, .loss_ppm = 50000, .least = 600 },
	{ "ring, 2 MB, 3 % reordered", RING_2M, .reorder_ppm = 30000, .reorder_us = 1500, .least = 930 },
	{ "20 ms, no loss", FAR, .least = 530 },
	{ "20 ms, 0.1 %", FAR, .loss_ppm = 1000, .least = 480 },
	{ "20 ms, 1 %", FAR, .loss_ppm = 10000, .least = 280 },
	{ "20 ms, 3 % reordered", FAR, .reorder_ppm = 30000, .reorder_us = 5000, .least = 530 },
	{ "small, no loss", SMALL, .least = 82 },
	{ "small, 0.1 %", SMALL, .loss_ppm = 1000, .least = 25 },
	{ "small, 1 %", SMALL, .loss_ppm = 10000, .least = 6 },
	{ "small, 3 % reordered", SMALL, .reorder_ppm = 30000, .reorder_us = 5000, .least = 80 },
};

#define N_PATHS	(sizeof(paths) / sizeof(paths[0]))

/* In place of net_plan() and host_plan() */
void goodput_plan(struct sim *sim)
{
	const struct path *p = &paths[sim->path];
	unsigned int i;

	for (i = 0; i < 2; i++) {
		struct link *l = &sim->link[i];
		struct host *h = &sim->host[i];

		l->delay_us = p->delay_us;
		l->ns_per_octet = 8000 / p->rate_mbps;
		l->queue_us = 1000000;
		host_init(sim, i);
		h->cfg = (struct tcp_config){
			.mss = p->mss, .eff_mss_max = 61440,
			.rcv_buf = p->buf, .cc = sim->cc,
		};
		h->plan = (struct plan){
			.chunk = p->buf, .abort_at = UINT64_MAX, .quit_at = UINT64_MAX,
			.snd_buf = p->buf, .max_ooo = UINT32_MAX,
		};
	}
	/* Faults in the direction of the data */
	sim->link[0].loss_ppm = p->loss_ppm;
	sim->link[0].burst_ppm = p->burst_ppm;
	sim->link[0].burst_len = p->burst_len;
	sim->link[0].reorder_ppm = p->reorder_ppm;
	sim->link[0].reorder_us = p->reorder_us;
	sim->host[0].plan.n_write = p->octets;
}

/* A line for each path; @only: only that one, or all if it is not a path.  1: one is
 * too slow, or wrong. */
int goodput(unsigned int only, bool verbose, int (*run)(struct sim *sim))
{
	uint64_t us, rexmt, rto, undo, n;
	int failed = 0;
	double mbps;
	unsigned int i;
	uint8_t cc;

	printf("%-28s%8s%8s%10s%8s%8s\n", "path", "cc", "Mbit/s", "sent again", "RTOs", "undone");
	for (i = 0; i < N_PATHS; i++) {
		if (only < N_PATHS && only != i)
			continue;
		for (cc = 0; cc < TCP_CC_N; cc++) {
			us = rexmt = rto = undo = 0;
			for (n = 1; n <= N_SEEDS; n++) {
				struct sim sim = { .seed = n, .verbose = verbose, .path = i,
						   .is_goodput = true, .cc = cc };

				if (run(&sim))
					return 1;
				us += sim.eof_us - sim.start_us;
				rexmt += sim.host[0].tp.n_rexmt_total;
				rto += sim.host[0].tp.n_rto_total;
				undo += sim.host[0].tp.n_undo_total;
			}
			mbps = (double)(N_SEEDS * paths[i].octets * 8) / (double)us;
			printf("%-28s%8s%8.1f%10.1f%8.1f%8.1f%s\n", paths[i].name,
			       tcp_cc_names[cc], mbps, (double)rexmt / N_SEEDS,
			       (double)rto / N_SEEDS, (double)undo / N_SEEDS,
			       mbps < paths[i].least ? "  too slow" : "");
			failed |= mbps < paths[i].least;
		}
	}
	return failed;
}
