/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * main.c - jetringd: options, start and end
 *
 * One process, one thread, in the foreground; `jet up' puts it in the
 * background and learns through --ready-fd when the ring is up, or why not.
 * This is the only file of the emulator that exits.
 *
 * Exit status: 0 orderly end, 1 failed, 2 usage.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/sched.h>
#include <linux/sched/types.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/units.h"
#include "emulator/capture.h"
#include "emulator/delayq.h"
#include "emulator/impair.h"
#include "emulator/lab.h"
#include "emulator/loop.h"
#include "emulator/port.h"
#include "emulator/ringctl.h"
#include "emulator/sock.h"
#include "emulator/station.h"

#define N_FILES		65536	/* descriptors: three a port, and some */
#define NICE		(-5)
#define SLICE_NS	100000u	/* the least that the kernel allows */

static struct ring_params params;
static struct loop_fd signals = { .fd = -1 };
static int ready_fd = -1;		/* --ready-fd, until it has been told */
static char error_text[512];		/* why it failed, a sentence */

static const char usage[] =
	"usage: jetringd --lab NAME --run DIR --node K[=NETNS[,ADDR/LEN]]… [OPTION]…\n"
	"\n"
	"Runs the ring of a Jetstream lab in the foreground: normally started by `jet up'.\n"
	"\n"
	"  --lab NAME           name of the lab\n"
	"  --run DIR            directory for ring.sock, capture.sock and nK.sock\n"
	"  --node K[=NETNS[,ADDR/LEN]]\n"
	"                       node nK, K 1 to 16, with TAP jet0 in the network namespace\n"
	"                       with path NETNS; without NETNS a node without a kernel\n"
	"  --rate BPS           ring rate in bit/s, as in 1000000000, 10M, 1G, or unlimited;\n"
	"                       default 1G\n"
	"  --latency TIME       of each station, as in 200ns (the default)\n"
	"  --propagation TIME   from each station to the next; default 50ns\n"
	"  --hold TIME          token holding time; default 500us\n"
	"  --node-mem BYTES     bound on a node's buffer memory in use\n"
	"  --connd PATH         the connection server; default: jetconnd beside jetringd\n"
	"  --no-connd           a lab without connection servers\n"
	"  --seed N             seed of loss and corruption; default: random, see status\n"
	"  --log FILE           append log lines to FILE, not to standard error\n"
	"  --ready-fd N         write \"ok\" or \"error: why\" to descriptor N when up\n"
	"  --help               this text\n"
	"  --version            version\n"
	"\n"
	"Exit status: 0 orderly end (SIGTERM, SIGINT, or stop on ring.sock), 1 failed, 2 usage.\n";

/* Keep the sentence for --ready-fd; log it.  Returns 1, the exit status. */
static int failed(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static int failed(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(error_text, sizeof(error_text), fmt, ap);
	va_end(ap);
	log_error("%s", error_text);
	return 1;
}

static int usage_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static int usage_error(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(error_text, sizeof(error_text), fmt, ap);
	va_end(ap);
	fprintf(stderr, "jetringd: %s\nTry jetringd --help.\n", error_text);
	return 2;
}

/* Whoever waits for us learns how it went.  It may be gone: SIGPIPE is ignored. */
static void tell_ready(void)
{
	char line[sizeof(error_text) + 16];
	int n;

	if (ready_fd < 0)
		return;
	if (error_text[0])
		n = snprintf(line, sizeof(line), "error: %s\n", error_text);
	else
		n = snprintf(line, sizeof(line), "ok\n");
	if (write(ready_fd, line, (size_t)n) < 0)
		log_warn("--ready-fd: %s", strerror(errno));
	close(ready_fd);
	ready_fd = -1;
}

/* --- options ------------------------------------------------------------------------ */

/* By Ring ID; k 0: none. */
static struct lab_node nodes[JS_N_RING_IDS];

/* Returns 0 or an exit status. */
static int add_node(const char *arg)
{
	struct lab_node n;
	char why[LAB_WHY_MAX];

	if (lab_node_parse(arg, &n, why))
		return usage_error("--node: %s", why);
	if (nodes[n.k % JS_N_RING_IDS].k)
		return usage_error("--node %u is given twice", n.k);
	nodes[n.k % JS_N_RING_IDS] = n;
	return 0;
}

/* jetconnd is installed where jetringd is. */
static void default_connd(void)
{
	ssize_t n = readlink("/proc/self/exe", lab.connd, sizeof(lab.connd) - sizeof("jetconnd"));
	char *slash;

	lab.connd[n > 0 ? n : 0] = '\0';
	slash = strrchr(lab.connd, '/');
	strcpy(slash ? slash + 1 : lab.connd, "jetconnd");
}

static int copy_option(char *to, size_t size, const char *name, const char *from)
{
	if (!*from || strlen(from) >= size)
		return usage_error("--%s wants 1 to %zu characters", name, size - 1);
	strcpy(to, from);
	return 0;
}

static int number_option(const char *name, const char *arg, uint64_t *v)
{
	char *end;

	errno = 0;
	*v = strtoull(arg, &end, 10);
	if (*arg < '0' || *arg > '9' || *end || errno)
		return usage_error("--%s wants a number, not \"%s\"", name, arg);
	return 0;
}

static int open_log(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	if (fd < 0)
		return failed("cannot open %s: %s", path, strerror(errno));
	/* Standard error goes there too: what libraries say belongs in the log. */
	if (dup2(fd, 2) < 0)
		return failed("cannot write to %s: %s", path, strerror(errno));
	close(fd);
	return 0;
}

enum { OPT_LAB = 256, OPT_RUN, OPT_RATE, OPT_LATENCY, OPT_PROPAGATION, OPT_HOLD, OPT_NODE_MEM, OPT_CONND, OPT_NO_CONND, OPT_SEED,
       OPT_LOG, OPT_READY_FD, OPT_NODE, OPT_HELP, OPT_VERSION };

static const struct option long_options[] = {
	{ "lab", required_argument, NULL, OPT_LAB },
	{ "run", required_argument, NULL, OPT_RUN },
	{ "rate", required_argument, NULL, OPT_RATE },
	{ "latency", required_argument, NULL, OPT_LATENCY },
	{ "propagation", required_argument, NULL, OPT_PROPAGATION },
	{ "hold", required_argument, NULL, OPT_HOLD },
	{ "node-mem", required_argument, NULL, OPT_NODE_MEM },
	{ "connd", required_argument, NULL, OPT_CONND },
	{ "no-connd", no_argument, NULL, OPT_NO_CONND },
	{ "seed", required_argument, NULL, OPT_SEED },
	{ "log", required_argument, NULL, OPT_LOG },
	{ "ready-fd", required_argument, NULL, OPT_READY_FD },
	{ "node", required_argument, NULL, OPT_NODE },
	{ "help", no_argument, NULL, OPT_HELP },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ NULL, 0, NULL, 0 },
};

static int time_option(const char *name, const char *arg, uint64_t max_ns, uint64_t *ns)
{
	if (!units_time(arg, max_ns, ns))
		return usage_error("--%s wants a time, as in 200ns or 1ms, not \"%s\"", name, arg);
	return 0;
}

/* Times of the model. */
static int ring_option(int opt, const char *arg)
{
	uint64_t ns = 0;
	int status;

	switch (opt) {
	case OPT_LATENCY:
		status = time_option("latency", arg, RING_DELAY_MAX_NS, &ns);
		params.station_ns = (uint32_t)ns;
		return status;
	case OPT_PROPAGATION:
		status = time_option("propagation", arg, RING_DELAY_MAX_NS, &ns);
		for (unsigned int id = 0; id < JS_N_RING_IDS; id++)
			params.prop_ns[id] = (uint32_t)ns;
		return status;
	default:
		status = time_option("hold", arg, RING_HOLD_MAX_NS, &ns);
		params.hold_ns = (uint32_t)ns;
		return status;
	}
}

/* One option.  0, an exit status, or -1: done, exit with 0. */
static int option(int opt, const char *arg)
{
	uint64_t v = 0;
	int status;

	switch (opt) {
	case OPT_LAB:
		return copy_option(lab.name, sizeof(lab.name), "lab", arg);
	case OPT_RUN:
		return copy_option(lab.run, sizeof(lab.run), "run", arg);
	case OPT_RATE:
		if (!units_rate(arg, &params.rate_bps))
			return usage_error("--rate wants bits per second, as in 10M or 1G, or unlimited, not \"%s\"", arg);
		return 0;
	case OPT_LATENCY:
	case OPT_PROPAGATION:
	case OPT_HOLD:
		return ring_option(opt, arg);
	case OPT_NODE_MEM:
		status = number_option("node-mem", arg, &node_mem_max);
		if (!status && node_mem_max < NODE_MEM_MIN)
			return usage_error("--node-mem wants at least %llu octets, not \"%s\"",
					   (unsigned long long)NODE_MEM_MIN, arg);
		return status;
	case OPT_CONND:
		return copy_option(lab.connd, sizeof(lab.connd), "connd", arg);
	case OPT_NO_CONND:
		lab.has_connd = false;
		return 0;
	case OPT_SEED:
		return number_option("seed", arg, &lab.seed);
	case OPT_LOG:
		return open_log(arg);
	case OPT_READY_FD:
		status = number_option("ready-fd", arg, &v);
		if (!status && (v < 3 || v > N_FILES || fcntl((int)v, F_SETFD, FD_CLOEXEC) < 0))
			return usage_error("--ready-fd: %s is no open descriptor above 2", arg);
		if (!status)
			ready_fd = (int)v;
		return status;
	case OPT_NODE:
		return add_node(arg);
	case OPT_HELP:
		fputs(usage, stdout);
		return -1;
	case OPT_VERSION:
		puts("jetringd " LAB_VERSION);
		return -1;
	default:
		return usage_error("an option was not understood");
	}
}

static int parse_options(int argc, char **argv)
{
	bool any = false;
	int opt;

	default_connd();
	ring_params_default(&params);
	lab.seed = now_ns() ^ (uint64_t)getpid() << 40;
	while ((opt = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		int status = option(opt, optarg);

		if (status)
			return status;
	}
	if (optind < argc)
		return usage_error("\"%s\" is no option", argv[optind]);
	for (int i = 0; i < JS_N_RING_IDS; i++)
		any |= nodes[i].k != 0;
	if (!lab.name[0] || !lab.run[0] || !any)
		return usage_error("--lab, --run and at least one --node are needed");
	return 0;
}

/* --- start ---------------------------------------------------------------------------- */

static void run_path(char *path, size_t size, const char *name)
{
	snprintf(path, size, "%s/%s", lab.run, name);
}

static void signal_ready(struct loop_fd *lf, uint32_t events)
{
	struct signalfd_siginfo si;

	(void)events;
	if (read(lf->fd, &si, sizeof(si)) != sizeof(si))
		return;
	log_info("signal %u from process %u: ending", si.ssi_signo, si.ssi_pid);
	lab.ending = true;
}

/*
 * A medium that is late is a wrong medium: we go before ordinary work, and in
 * short slices, so that a sched_yield() costs us one of those and a wake-up
 * gets us the core (Linux 6.12 and up: sched_runtime of an ordinary process is
 * its slice).  With two busy cores this halves the frames that are late.  Not
 * inherited.  Refused without privilege, and no harm.
 */
static void set_priority(void)
{
	struct sched_attr attr = {
		.size = sizeof(attr),
		.sched_policy = SCHED_NORMAL,
		.sched_flags = SCHED_FLAG_RESET_ON_FORK,
		.sched_nice = NICE,
		.sched_runtime = SLICE_NS,
	};

	if (syscall(SYS_sched_setattr, 0, &attr, 0) < 0)
		log_warn("runs with ordinary priority: %s", strerror(errno));
	prctl(PR_SET_TIMERSLACK, 1ul);
}

/* Signals as descriptors, and as many descriptors as ports may need. */
static int start_process(void)
{
	struct rlimit rl;
	sigset_t set;
	int err;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	prctl(PR_SET_NAME, "jetringd");
	set_priority();
	if (!getrlimit(RLIMIT_NOFILE, &rl) && rl.rlim_cur < N_FILES) {
		rl.rlim_cur = N_FILES;
		if (rl.rlim_max < N_FILES)
			rl.rlim_max = N_FILES;
		setrlimit(RLIMIT_NOFILE, &rl);
	}
	err = loop_init();
	if (err)
		return failed("cannot make an epoll descriptor: %s", strerror(-err));
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signals.fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	signals.ready = signal_ready;
	if (signals.fd < 0 || loop_add(&signals, EPOLLIN))
		return failed("cannot watch signals: %s", strerror(errno));
	return 0;
}

static int start_lab(void)
{
	struct timespec wall;
	char path[128], why[LAB_WHY_MAX];
	int err;

	if (mkdir(lab.run, 0755) < 0 && errno != EEXIST)
		return failed("cannot make %s: %s", lab.run, strerror(errno));
	run_path(path, sizeof(path), "ring.sock");
	if (sock_is_alive(SOCK_SEQPACKET, path))
		return failed("lab %s is up already: a jetringd answers on %s", lab.name, path);

	lab.start_ns = now_ns();
	clock_gettime(CLOCK_REALTIME, &wall);
	lab.epoch_ns = (uint64_t)wall.tv_sec * 1000000000u + (uint64_t)wall.tv_nsec - lab.start_ns;
	impair_init(lab.seed);
	ring_init(&lab.ring, &station_ops, &params, lab.start_ns);
	for (int i = 0; i < JS_N_RING_IDS; i++)
		if (nodes[i].k && lab_join(&nodes[i], why))
			return failed("%s", why);
	run_path(path, sizeof(path), "capture.sock");
	err = capture_start(path);
	if (err)
		return failed("cannot listen on %s: %s", path, strerror(-err));
	/* Last: who finds ring.sock finds everything. */
	run_path(path, sizeof(path), "ring.sock");
	err = ringctl_start(path);
	if (err)
		return failed("cannot listen on %s: %s", path, strerror(-err));
	return 0;
}

/* --- end ------------------------------------------------------------------------------ */

static void unlink_in_run(const char *name)
{
	char path[128];

	run_path(path, sizeof(path), name);
	if (unlink(path) < 0 && errno != ENOENT)
		log_warn("cannot remove %s: %s", path, strerror(errno));
}

/*
 * In an order that tells everybody: servers first, while their ports still
 * work; then waiting frames go back to their ports, which are told that the
 * ring has ended; captures get the last of it.
 */
static void stop_lab(void)
{
	spawn_stop();
	ringctl_stop();
	for (int i = 0; i < JS_N_RING_IDS; i++)
		if (stations[i].used)
			lab_leave(&stations[i]);
	delayq_fini();
	capture_stop();
	unlink_in_run("capture.sock");
	unlink_in_run("ring.sock");
	loop_fini();
}

int main(int argc, char **argv)
{
	static char who[sizeof("jetringd ") + LAB_NAME_MAX];
	int status;

	log_init("jetringd", 2);
	signal(SIGPIPE, SIG_IGN);
	status = parse_options(argc, argv);
	if (status < 0)
		return 0;
	if (!status) {
		snprintf(who, sizeof(who), "jetringd %s", lab.name);
		log_init(who, 2);
		status = start_process();
	}
	if (!status)
		status = start_lab();
	tell_ready();
	if (status)
		return status;
	log_info("up: rate %llu bit/s, seed %llu", (unsigned long long)params.rate_bps,
		 (unsigned long long)lab.seed);
	run_loop();
	stop_lab();
	log_info("down");
	return 0;
}
