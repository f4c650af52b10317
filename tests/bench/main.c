/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * main.c - jet-bench: options, and the process that cleans up
 *
 * `jet bench NAME` becomes this program.  Runs as root: it makes labs and
 * opens ports.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/util.h"
#include "tests/bench/bench.h"

#define RUNS_DEFAULT	5
#define SECONDS_DEFAULT	1.0
#define RUNS_QUICK	1
#define SECONDS_QUICK	0.05

struct bench_opts bench_opts = { .runs = RUNS_DEFAULT, .seconds = SECONDS_DEFAULT };

static const struct {
	const char *name;
	void (*run)(void);
	const char *help;
} benches[] = {
	{ "pool", bench_pool, "packets between pools, against a bare pipeline: bulk, small, round trips" },
	{ "ring", bench_ring, "the ring against its model: rate, fairness, departure error" },
	{ "loss", bench_loss, "goodput on a bad network: our TCP against the kernel's" },
	{ "engine", bench_engine, "the TCP engine: time and instructions a segment, timers, sizes" },
};

void die(const char *fmt, ...)
{
	char line[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	fprintf(stderr, "jet bench: %s\n", line);
	/* Of a crew we share stdout's buffer with the worker: not exit(). */
	_exit(1);
}

static int usage(FILE *to)
{
	fprintf(to, "usage: jet-bench NAME [--json] [--runs N] [--seconds S] [--quick]\n\n");
	for (size_t i = 0; i < ARRAY_SIZE(benches); i++)
		fprintf(to, "  %-6s %s\n", benches[i].name, benches[i].help);
	return to == stdout ? 0 : 2;
}

static double number(const char *name, const char *s, double lo, double hi)
{
	char *end;
	double v = strtod(s, &end);

	if (end == s || *end || !(v >= lo && v <= hi)) {
		fprintf(stderr, "jet bench: --%s is \"%s\", but should be a number from %g to %g\n",
			name, s, lo, hi);
		exit(2);
	}
	return v;
}

/* Returns the index of the benchmark, or exits. */
static size_t parse(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "json", no_argument, NULL, 'j' }, { "quick", no_argument, NULL, 'q' },
		{ "runs", required_argument, NULL, 'r' }, { "seconds", required_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' }, { 0 },
	};
	size_t i;
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) >= 0) {
		switch (c) {
		case 'j': bench_opts.json = true; break;
		case 'q':
			bench_opts.quick = true;
			bench_opts.runs = RUNS_QUICK;
			bench_opts.seconds = SECONDS_QUICK;
			break;
		case 'r': bench_opts.runs = (unsigned int)number("runs", optarg, 1, 1000); break;
		case 's': bench_opts.seconds = number("seconds", optarg, 0.01, 3600); break;
		case 'h': exit(usage(stdout));
		default: exit(usage(stderr));
		}
	}
	if (optind + 1 != argc)
		exit(usage(stderr));
	for (i = 0; i < ARRAY_SIZE(benches); i++)
		if (!strcmp(benches[i].name, argv[optind]))
			return i;
	fprintf(stderr, "jet bench: there is no benchmark \"%s\"; \"jet-bench --help\" lists them\n",
		argv[optind]);
	exit(2);
}

static volatile sig_atomic_t got_signal;

static void on_signal(int sig)
{
	got_signal = sig;
}

static const int deadly[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };

/* Until the worker ends, or we are told to: its status, or -1. */
static int wait_worker(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) != pid)
		if (got_signal)
			return -1;
	return status;
}

/* The worker's group is killed in any case: a crew may have outlived it. */
static int supervise(pid_t pid)
{
	int status = wait_worker(pid);

	kill(-pid, SIGKILL);
	if (status < 0)
		waitpid(pid, NULL, 0);
	lab_down();
	if (status < 0) {
		signal(got_signal, SIG_DFL);
		raise(got_signal);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static void work(size_t which, pid_t parent)
{
	for (size_t i = 0; i < ARRAY_SIZE(deadly); i++)
		signal(deadly[i], SIG_DFL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	report_begin(benches[which].name);
	benches[which].run();
	report_print();
	if (fflush(stdout) || ferror(stdout))
		die("cannot write to standard output: %s", strerror(errno));
	_exit(0);
}

int main(int argc, char **argv)
{
	/* No SA_RESTART: waitpid() shall return. */
	struct sigaction sa = { .sa_handler = on_signal };
	pid_t parent = getpid(), pid;
	size_t which;

	if (argc == 3 && !strcmp(argv[1], "--engine-case"))
		return engine_case(atoi(argv[2]));
	which = parse(argc, argv);

	if (geteuid() != 0)
		die("this makes network namespaces and needs root: use sudo");
	lab_init();
	for (size_t i = 0; i < ARRAY_SIZE(deadly); i++)
		sigaction(deadly[i], &sa, NULL);
	pid = fork();
	if (pid < 0)
		die("cannot fork: %s", strerror(errno));
	if (pid == 0) {
		setpgid(0, 0);
		work(which, parent);
	}
	setpgid(pid, pid);
	return supervise(pid);
}
