/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * loss.c - goodput on a bad network, our TCP against the kernel's: jet bench
 * loss; jet-bench
 *
 * iperf3, as it is, sends from n1 to n2 over a ring of 1 Gbit/s, with CUBIC:
 * once with both ends in user space, once with both in the kernel.  The link
 * n1->n2, where the data goes, is impaired in the same way with the same seed;
 * the seed is another in each run.  Each transfer has a lab of its own: no TCP
 * knows anything from the last one, and no impairment is further on in its
 * sequence.  Bursts end as frames pass: whoever has lost all that was in flight
 * waits for RTO after RTO, and one transfer says little.  So there each run is
 * several shorter ones, each with a seed of its own; the medians are of all.  The kernel's lab has no connection servers: all its frames take
 * the kernel's own way.
 *
 * Goodput is what the receiving iperf3 says it got.  A transfer that fails
 * counts as 0, and is counted.
 */
#include <json-c/json.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/util.h"
#include "tests/bench/bench.h"

#define ADDR		"10.74.0.2"
#define TRANSFER_S	3.0	/* of a transfer, for each of --seconds */
#define BURST_SEEDS	7	/* transfers of a run where there are bursts, */
#define BURST_S		2.0	/* and of each of them */
#define LEAST_MBPS	0.1	/* a ratio to nothing is none */
#define GRACE_S		30.0	/* … and so much more for its beginning and end */
#define CONNECT_TRIES	200	/* until the server listens */
#define CONNECT_NAP_NS	50000000

static const struct loss_case {
	const char *name;
	const char *set[4];		/* of jet link set 'n1->n2', besides the seed */
	bool in_quick, is_bursty;
} cases[] = {
	{ "no loss", { NULL }, false, false },
	{ "0.1 %", { "loss=0.1%" }, false, false },
	{ "1 %", { "loss=1%" }, true, false },
	{ "5 %", { "loss=5%" }, false, false },
	{ "bursts", { "loss=gemodel:1%,30%" }, false, true },
	{ "no loss, 20 ms", { "delay=20ms" }, false, false },
	{ "0.1 %, 20 ms", { "delay=20ms", "loss=0.1%" }, false, false },
	{ "1 %, 20 ms", { "delay=20ms", "loss=1%" }, false, false },
	{ "5 %, 20 ms", { "delay=20ms", "loss=5%" }, false, false },
	{ "bursts, 20 ms", { "delay=20ms", "loss=gemodel:1%,30%" }, false, true },
	{ "3 % reordered, 20 ms", { "delay=20ms", "reorder=3%" }, true, false },
};

/* What the client says: Mbit/s that arrived, -1 it has not got through. */
static double goodput(const char *text)
{
	struct json_object *j = json_tokener_parse(text), *v;
	double mbps = -1;

	if (!j)
		return -1;
	if (!json_object_object_get_ex(j, "error", NULL) && json_object_object_get_ex(j, "end", &v) &&
	    json_object_object_get_ex(v, "sum_received", &v) &&
	    json_object_object_get_ex(v, "bits_per_second", &v))
		mbps = json_object_get_double(v) / 1e6;
	json_object_put(j);
	return mbps;
}

/* Did it end before it had begun: nobody listened yet. */
static bool was_refused(const char *text)
{
	return strstr(text, "refused") != NULL;
}

/* One transfer; the lab and its impairments are there. */
static double transfer(const struct loss_case *lc, bool is_user)
{
	const struct timespec nap = { .tv_nsec = CONNECT_NAP_NS };
	double seconds = ceil(bench_opts.seconds * (lc->is_bursty ? BURST_S : TRANSFER_S));
	const char *verb = is_user ? "run" : "exec";
	char amount[24], limit[24], *text = NULL;
	double mbps;
	pid_t server;

	snprintf(amount, sizeof(amount), "%.0f", seconds);
	snprintf(limit, sizeof(limit), "%.0f", seconds + GRACE_S);
	server = lab_jet_start(-1, verb, "n2", "--", "iperf3", "-s", "-1", NULL);
	for (unsigned int i = 0; i < CONNECT_TRIES; i++) {
		free(text);
		lab_jet_try(&text, verb, "-T", limit, "n1", "--", "iperf3", "-c", ADDR, "-J", "-C", "cubic",
			    "-t", amount, NULL);
		if (!was_refused(text))
			break;
		nanosleep(&nap, NULL);
	}
	mbps = goodput(text);
	free(text);
	lab_jet_end(server, SIGKILL);
	return mbps;
}

/* A lab for it, and what is wrong with its ring. */
static double run_case(const struct loss_case *lc, bool is_user, unsigned int run)
{
	char seed[32];

	lab_up(2, "1g", is_user);
	/* Neighbours find each other while nothing is lost. */
	free(lab_jet("ping", "-c", "1", NULL));
	snprintf(seed, sizeof(seed), "seed=%u", run + 1);
	if (lc->set[0])
		free(lab_jet("link", "set", "n1->n2", seed, lc->set[0], lc->set[1], NULL));
	return transfer(lc, is_user);
}

static void one_case(const struct loss_case *lc)
{
	unsigned int n = bench_opts.runs * (lc->is_bursty ? BURST_SEEDS : 1);
	double *user = calloc(n, sizeof(*user)), *kernel = calloc(n, sizeof(*kernel));
	double *ratio = calloc(n, sizeof(*ratio)), m;
	unsigned int failed_user = 0, failed_kernel = 0;
	char what[80];
	struct row *r;

	if (!user || !kernel || !ratio)
		die("out of memory");
	for (unsigned int i = 0; i < n; i++) {
		user[i] = run_case(lc, true, i);
		kernel[i] = run_case(lc, false, i);
		failed_user += user[i] < 0;
		failed_kernel += kernel[i] < 0;
		user[i] = MAX(user[i], 0);
		kernel[i] = MAX(kernel[i], 0);
		ratio[i] = user[i] / MAX(kernel[i], LEAST_MBPS);
	}
	m = median(ratio, n);
	r = report_row("loss");
	row_text(r, "case", lc->name);
	row_num(r, "user_mbit_per_s", median(user, n));
	row_num(r, "kernel_mbit_per_s", median(kernel, n));
	row_num(r, "ratio", m);
	row_num(r, "ratio_min", ratio[0]);
	row_num(r, "ratio_max", ratio[n - 1]);
	row_int(r, "transfers", n);
	row_int(r, "user_failed", failed_user);
	row_int(r, "kernel_failed", failed_kernel);
	snprintf(what, sizeof(what), "goodput, of the kernel's: %s", lc->name);
	report_bar(what, m, 1, false);
	free(user);
	free(kernel);
	free(ratio);
}

/* A sysctl of the kernel's side, as it is in a new node. */
static void note_sysctl(const char *name, const char *path)
{
	char *text = lab_jet("exec", "n1", "--", "cat", path, NULL);

	text[strcspn(text, "\n")] = '\0';
	report_note("kernel: %s = %s", name, text);
	free(text);
}

void bench_loss(void)
{
	lab_up(2, "1g", false);
	note_sysctl("net.ipv4.tcp_rmem", "/proc/sys/net/ipv4/tcp_rmem");
	note_sysctl("net.ipv4.tcp_wmem", "/proc/sys/net/ipv4/tcp_wmem");
	report_note("segments: kernel up to 61464 octets, user space 61440; both CUBIC, buffers default; "
		    "delay on n1->n2 only");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (!bench_opts.quick || cases[i].in_quick)
			one_case(&cases[i]);
}
