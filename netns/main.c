/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * main.c - jet: verbs and options, and the usage, all from two tables
 *
 * The only file that exits.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "abi/capture.h"
#include "common/util.h"
#include "netns/cap.h"
#include "netns/jet.h"

/* Which options a verb takes. */
enum {
	O_LAB		= 1 << 0,
	O_JSON		= 1 << 1,
	O_DRY		= 1 << 2,
	O_TOPO		= 1 << 3,	/* -t --nodes --rate and the ring's others, --kernel-only --ipv6 */
	O_CMD		= 1 << 4,	/* -T --user */
	O_FALLBACK	= 1 << 5,
	O_CAPTURE	= 1 << 6,	/* -w -r --format --ring --rx --tokens --duration -s */
	O_COUNT		= 1 << 7,
	O_BENCH		= 1 << 8,	/* --quick --runs --seconds */
	O_ALL		= ~0,
};

struct option_row {
	const char *name;
	int key;
	const char *arg;		/* NULL: takes none */
	int of;				/* verbs with this bit take it */
	const char *help;
};

enum { K_JSON = 256, K_DRY, K_NODES, K_RATE, K_PRESET, K_LATENCY, K_PROPAGATION, K_HOLD, K_NODE_MEM, K_KERNEL, K_IPV6, K_USER, K_FALLBACK, K_RX, K_TOKENS, K_DURATION, K_FORMAT,
       K_RING, K_QUICK, K_RUNS, K_SECONDS };

static const struct option_row options[] = {
	{ "lab",	 'n',	     "LAB",	O_LAB,	    "the lab's name; \"lab\" if not given" },
	{ "topology",	 't',	     "FILE",	O_TOPO,	    "topology file; ./jetstream.ini if there is one" },
	{ "nodes",	 K_NODES,    "N",	O_TOPO,	    "N nodes, without a topology file; 2 if not given" },
	{ "rate",	 K_RATE,     "RATE",	O_TOPO,	    "the ring's: 1g, 100m, unlimited, …" },
	{ "preset",	 K_PRESET,   "NAME",	O_TOPO,	    "paper (1g, 1m of memory), default (1g), unlimited" },
	{ "latency",	 K_LATENCY,  "TIME",	O_TOPO,	    "of each station: 200ns" },
	{ "propagation", K_PROPAGATION, "TIME",	O_TOPO,	    "from each station to the next: 50ns" },
	{ "hold",	 K_HOLD,     "TIME",	O_TOPO,	    "token holding time: 500us" },
	{ "node-mem",	 K_NODE_MEM, "SIZE",	O_TOPO,	    "buffer memory of each node: 1g" },
	{ "kernel-only", K_KERNEL,   NULL,	O_TOPO,	    "no connection servers: the kernel's TCP only" },
	{ "ipv6",	 K_IPV6,     NULL,	O_TOPO,	    "IPv6, too: node K has " TOPO_PREFIX6 "K" },
	{ "dry-run",	 K_DRY,	     NULL,	O_DRY,	    "only say what would be done" },
	{ "json",	 K_JSON,     NULL,	O_JSON,	    "JSON on standard output" },
	{ "timeout",	 'T',	     "SECONDS", O_CMD,	    "end the command after that time, with status 124" },
	{ "user",	 K_USER,     "NAME",	O_CMD,	    "run it as this user" },
	{ "fallback",	 K_FALLBACK, NULL,	O_FALLBACK, "use the kernel's TCP if ours is not there" },
	{ "write",	 'w',	     "FILE",	O_CAPTURE,  "file to write, \"-\" (the default) for standard output" },
	{ "read",	 'r',	     "FILE",	O_CAPTURE,  "take frames from this capture, not from a lab" },
	{ "format",	 K_FORMAT,   "FORMAT",	O_CAPTURE,  "pcapng (the default); pcap, sunatm, raw for other tools" },
	{ "ring",	 K_RING,     "files:N,size:S", O_CAPTURE, "begin a new file at S KiB (or 10m, 1g); N stay" },
	{ "rx",		 K_RX,	     NULL,	O_CAPTURE,  "record arrivals as well as departures" },
	{ "tokens",	 K_TOKENS,   NULL,	O_CAPTURE,  "record token and management frames, too" },
	{ "snaplen",	 's',	     "N",	O_CAPTURE,  "the first N octets of each frame only" },
	{ "duration",	 K_DURATION, "SECONDS", O_CAPTURE,  "stop after that time" },
	{ "count",	 'c',	     "N",	O_COUNT,    "stop after N (frames captured; pings of each pair)" },
	{ "runs",	 K_RUNS,     "N",	O_BENCH,    "measure each case N times; figures are medians" },
	{ "seconds",	 K_SECONDS,  "S",	O_BENCH,    "how long one of them takes" },
	{ "quick",	 K_QUICK,    NULL,	O_BENCH,    "only see that it works: the figures say nothing" },
	{ "quiet",	 'q',	     NULL,	O_ALL,	    "no news on standard error, only errors" },
	{ "help",	 'h',	     NULL,	O_ALL,	    "this text" },
};

struct verb {
	const char *name;
	const char *args;
	int (*run)(const struct opts *o);
	int opts;
	const char *help;		/* one line */
	const char *example;
};

static int verb_help(const struct opts *o);

static const struct verb verbs[] = {
	{ "up", "", verb_up, O_LAB | O_TOPO | O_DRY, "make a lab, or mend what is broken of it",
	  "jet up --nodes 4" },
	{ "down", "[NODE…]", verb_down, O_LAB | O_DRY,
	  "end a lab, or take nodes off its ring; nothing of them stays", "jet down   or   jet down n3" },
	{ "list", "", verb_list, O_JSON, "the labs of this machine", "jet list" },
	{ "status", "", verb_status, O_LAB | O_JSON, "nodes of a lab, and what went over its ring",
	  "jet status --json" },
	{ "exec", "NODE [--] COMMAND…", verb_exec, O_LAB | O_CMD, "run a command in a node, with the kernel's TCP",
	  "jet exec n1 -- iperf3 -c 10.74.0.2" },
	{ "run", "NODE [--] COMMAND…", verb_run, O_LAB | O_CMD | O_FALLBACK,
	  "run a command in a node, with TCP in user space", "jet run n1 -- iperf3 -c 10.74.0.2" },
	{ "shell", "NODE", verb_shell, O_LAB | O_CMD, "a shell in a node", "jet shell n1" },
	{ "ping", "", verb_ping, O_LAB | O_JSON | O_COUNT, "ping each node from each other", "jet ping" },
	{ "capture", "[NODE…] [FILTER…]", verb_capture, O_LAB | O_CAPTURE | O_COUNT, "record frames, for Wireshark",
	  "jet capture -w ring.pcapng node n1 and tcp port 80   or   jet capture | wireshark -k -i -" },
	{ "link", "show | set LINK KEY=VALUE… | reset [LINK] | rule ACTION LINK data=K | token lose|duplicate", verb_link, O_LAB | O_JSON,
	  "impairments: delay, loss, errors and more; show them, set them",
	  "jet link set 'n1->n2' delay=20ms loss=1% seed=7" },
	{ "bench", "pool | ring | loss | engine", verb_bench, O_JSON | O_BENCH,
	  "measure, in a lab of its own", "sudo jet bench pool" },
	{ "check", "", verb_check, O_JSON, "is all there that a lab needs?", "sudo jet check" },
	{ "validate", "[FILE]", verb_validate, O_TOPO, "read a topology file and say what it makes",
	  "jet validate two-nodes.ini" },
	{ "version", "", verb_version, O_JSON, "the version", "jet version" },
	{ "help", "[VERB]", verb_help, 0, "this text, or a verb's", "jet help capture" },
};

static void usage(FILE *to)
{
	size_t i;

	fprintf(to, "usage: jet VERB [OPTION…] [ARGUMENT…]\n\n"
		"A ring of Linux nodes joined by an emulated HP Jetstream, with two TCPs on each:\n"
		"the kernel's, and one in user space.\n\n"
		"  sudo jet up --nodes 2\n"
		"  sudo jet ping\n"
		"  sudo jet exec n2 -- iperf3 -s -D\n"
		"  sudo jet exec n1 -- iperf3 -c 10.74.0.2\n"
		"  sudo jet down\n\nverbs:\n");
	for (i = 0; i < ARRAY_SIZE(verbs); i++)
		fprintf(to, "  %-9s %s\n", verbs[i].name, verbs[i].help);
	fprintf(to, "\n\"jet help VERB\" tells more.  Exit status: 0 done, 1 failed, 2 usage, 3 a check failed;\n"
		"exec and run: the command's own, or 124 time is up, 125 jet failed, 126, 127.\n");
}

static void usage_verb(FILE *to, const struct verb *v)
{
	size_t i;

	fprintf(to, "usage: jet %s [OPTION…]%s%s\n\n%s\n\n", v->name, *v->args ? " " : "", v->args, v->help);
	for (i = 0; i < ARRAY_SIZE(options); i++) {
		const struct option_row *o = &options[i];
		char left[40];

		if (o->of != O_ALL && !(o->of & v->opts))
			continue;
		snprintf(left, sizeof(left), "%s%c%s--%s%s%s", o->key < 256 ? "-" : " ", o->key < 256 ? o->key : ' ',
			 o->key < 256 ? ", " : "  ", o->name, o->arg ? " " : "", o->arg ? o->arg : "");
		fprintf(to, "  %-24s %s\n", left, o->help);
	}
	fprintf(to, "\nexample: %s\n", v->example);
}

static const struct verb *find_verb(const char *name)
{
	const char *names[ARRAY_SIZE(verbs)];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(verbs); i++) {
		if (!strcmp(verbs[i].name, name))
			return &verbs[i];
		names[i] = verbs[i].name;
	}
	bad_usage("there is no verb \"%s\"%s (\"jet help\" lists them)", name,
		  did_you_mean(name, names, ARRAY_SIZE(names)));
	return NULL;
}

static int verb_help(const struct opts *o)
{
	const struct verb *v;

	if (!o->n_args) {
		usage(stdout);
		return ST_OK;
	}
	v = find_verb(o->args[0]);
	if (!v)
		return ST_USAGE;
	usage_verb(stdout, v);
	return ST_OK;
}

int verb_version(const struct opts *o)
{
	if (o->json)
		printf("{ \"version\": \"" JET_VERSION "\" }\n");
	else
		printf("jet " JET_VERSION "\n");
	return ST_OK;
}

/* A number from @lo to @hi; says otherwise. */
static int number(const char *name, const char *s, double lo, double hi, bool whole, double *to)
{
	char *end;
	double v = strtod(s, &end);

	if (end == s || *end || !(v >= lo && v <= hi) || (whole && v != (double)(long)v))
		return bad_usage("--%s is \"%s\", but should be a %snumber from %g to %g", name, s,
				 whole ? "whole " : "", lo, hi);
	*to = v;
	return ST_OK;
}

/* One option into @o. */
static int set_option(struct opts *o, int key, const char *arg)
{
	double v = 0;
	int st = ST_OK;

	switch (key) {
	case 'n':
		if (!lab_name_ok(arg))
			return bad_usage("\"%s\" is no name for a lab: up to %d letters, digits, \"-\", \"_\" and \".\"",
					 arg, LAB_NAME_MAX);
		o->lab = arg;
		break;
	case 't':	o->topo = arg; break;
	case 'w':	o->out = arg; break;
	case 'r':	o->in = arg; break;
	case 'q':	talk_quiet = true; break;
	case K_RATE:	o->rate = arg; break;
	case K_PRESET:	o->preset = arg; break;
	case K_LATENCY:	o->latency = arg; break;
	case K_PROPAGATION: o->propagation = arg; break;
	case K_HOLD:	o->hold = arg; break;
	case K_NODE_MEM: o->node_mem = arg; break;
	case K_USER:	o->user = arg; break;
	case K_JSON:	o->json = true; break;
	case K_DRY:	o->dry_run = true; break;
	case K_KERNEL:	o->kernel_only = true; break;
	case K_IPV6:	o->ipv6 = true; break;
	case K_FALLBACK: o->fallback = true; break;
	case K_RX:	o->rx = true; break;
	case K_TOKENS:	o->tokens = true; break;
	case 'T':	return number("timeout", arg, 0.001, 1e7, false, &o->timeout_s);
	case K_FORMAT:	o->format = arg; break;
	case K_RING:	o->ring = arg; break;
	case K_DURATION: return number("duration", arg, 0.001, 1e7, false, &o->for_s);
	case K_QUICK:	o->quick = true; break;
	case K_RUNS:
		st = number("runs", arg, 1, 1000, true, &v);
		o->runs = (unsigned int)v;
		break;
	case K_SECONDS: return number("seconds", arg, 0.01, 3600, false, &o->seconds);
	case K_NODES:
		st = number("nodes", arg, 1, NODES_MAX, true, &v);
		o->nodes = (unsigned int)v;
		break;
	case 's':
		st = number("snaplen", arg, 32, JS_CAP_SNAPLEN - sizeof(struct js_cap_hdr), true, &v);
		o->snaplen = (unsigned int)v;
		break;
	case 'c':
		st = number("count", arg, 1, 1e15, true, &v);
		o->count = (uint64_t)v;
		break;
	}
	return st;
}

static int unknown_option(const char *word, const struct option *longs, size_t n)
{
	const char *names[ARRAY_SIZE(options)];
	size_t i, len = strcspn(word, "=");
	char name[32];

	for (i = 0; i < n; i++)
		names[i] = longs[i].name;
	snprintf(name, sizeof(name), "%.*s", (int)len, word);
	return bad_usage("there is no option %s%s (\"jet help %s\" lists them)", name,
			 strncmp(name, "--", 2) ? "" : did_you_mean(name + 2, names, n), talk_verb);
}

/* The options of @v, up to the first argument for exec and its like. */
static int parse(const struct verb *v, int argc, char **argv, struct opts *o, bool *help)
{
	struct option longs[ARRAY_SIZE(options) + 1] = { { 0 } };
	char shorts[3 * ARRAY_SIZE(options) + 3] = "";
	size_t i, n = 0;
	int c, st, at;

	/* The command's own options are not ours. */
	strcat(shorts, v->opts & O_CMD ? "+:" : ":");
	for (i = 0; i < ARRAY_SIZE(options); i++) {
		const struct option_row *row = &options[i];
		char s[3] = { (char)row->key, row->arg ? ':' : '\0', '\0' };

		if (row->of != O_ALL && !(row->of & v->opts))
			continue;
		longs[n].name = row->name;
		longs[n].has_arg = row->arg ? required_argument : no_argument;
		longs[n++].val = row->key;
		if (row->key < 256)
			strcat(shorts, s);
	}
	opterr = 0;
	optind = 0;
	for (;;) {
		at = optind ? optind : 1;
		c = getopt_long(argc, argv, shorts, longs, NULL);
		if (c < 0)
			break;
		if (c == ':')
			return bad_usage("%s needs a value", argv[at < argc ? at : argc - 1]);
		if (c == '?')
			return unknown_option(argv[optind > at ? optind - 1 : at], longs, n);
		if (c == 'h') {
			*help = true;
			return ST_OK;
		}
		st = set_option(o, c, optarg);
		if (st)
			return st;
	}
	o->args = argv + optind;
	o->n_args = argc - optind;
	return ST_OK;
}

/* 0 to 2 are open, whoever started us: else our files would become them. */
static void need_stdio(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= 2);
	if (fd > 2)
		close(fd);
}

int main(int argc, char **argv)
{
	struct opts o = { 0 };
	const struct verb *v;
	bool help = false;
	int at = 1, st;

	need_stdio();
	if (argc && !strcmp(basename(argv[0]), "jetextcap"))
		return extcap_main(argc, argv);
	if (argc < 2) {
		usage(stderr);
		return ST_USAGE;
	}
	/* "jet -n LAB VERB" and "jet --help" are what people type, too. */
	if (!strcmp(argv[1], "-n") && argc > 3) {
		st = set_option(&o, 'n', argv[2]);
		if (st)
			return st;
		at = 3;
	}
	if (!strcmp(argv[at], "--help") || !strcmp(argv[at], "-h")) {
		usage(stdout);
		return ST_OK;
	}
	if (!strcmp(argv[at], "--version"))
		return verb_version(&o);
	v = find_verb(argv[at]);
	if (!v)
		return ST_USAGE;
	talk_verb = v->name;
	st = parse(v, argc - at, argv + at, &o, &help);
	if (!st && help)
		usage_verb(stdout, v);
	else if (!st)
		st = v->run(&o);
	else if (v->opts & O_CMD)
		st = ST_OURS;
	if (fflush(stdout) || ferror(stdout))
		st = st ? st : fail("cannot write to standard output: %s", strerror(errno));
	return st;
}
