/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench.c - measure: bench; jet
 *
 * The benchmarks are a program of their own, jet-bench (tests/bench), which
 * makes and takes down its own labs; jet becomes it.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "netns/jet.h"

#define BENCH_ARGS	8

int verb_bench(const struct opts *o)
{
	char path[PATH_MAX], runs[24], seconds[32];
	char *argv[BENCH_ARGS + 1] = { path };
	int n = 1;

	if (o->n_args != 1)
		return bad_usage("which benchmark? \"jet bench pool\", \"ring\", \"loss\" or \"engine\"");
	if (beside("jet-bench", path, sizeof(path)))
		return fail("jet-bench is not beside jet; build it with \"make\"");
	argv[n++] = o->args[0];
	if (o->json)
		argv[n++] = (char *)"--json";
	if (o->quick)
		argv[n++] = (char *)"--quick";
	if (o->runs) {
		snprintf(runs, sizeof(runs), "--runs=%u", o->runs);
		argv[n++] = runs;
	}
	if (o->seconds > 0) {
		snprintf(seconds, sizeof(seconds), "--seconds=%g", o->seconds);
		argv[n++] = seconds;
	}
	execv(path, argv);
	return fail("cannot run %s: %s", path, strerror(errno));
}
