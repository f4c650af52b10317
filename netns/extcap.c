/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * extcap.c - jet as Wireshark starts it, under the name jetextcap
 *
 * Wireshark asks the programs in its extcap directories for interfaces, and
 * starts them to capture (extcap(4), doc/README.extcap).  Each lab that is up
 * is an interface, jetstream:LAB; the nodes are a choice within it.
 *
 *	jetextcap --extcap-interfaces
 *	jetextcap --extcap-interface jetstream:lab --extcap-dlts | --extcap-config
 *	jetextcap --extcap-interface jetstream:lab --capture --fifo PATH
 *		[--extcap-capture-filter FILTER] [--nodes n1,n2] [--rx true]
 *		[--tokens true] [--snaplen N]
 *	jetextcap --extcap-interface jetstream:lab --extcap-capture-filter FILTER
 *		says what is wrong with the filter, nothing if nothing is
 *
 * What we do not know is ignored, as later versions may ask for more.  What
 * is written to standard error becomes a dialog: errors only.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "netns/cap.h"
#include "netns/jet.h"

#define IF_PREFIX	"jetstream:"

struct asked {
	bool interfaces, dlts, config, capture;
	const char *interface, *fifo, *filter, *nodes, *snaplen;
	bool rx, tokens;
};

static bool yes(const char *s)
{
	return !*s || !strcmp(s, "true") || !strcmp(s, "1");
}

/* "--name" or "--name=value"; *val is behind "=" or NULL. */
static bool is_option(const char *arg, const char *name, const char **val)
{
	size_t n = strlen(name);

	if (strncmp(arg, "--", 2) || strncmp(arg + 2, name, n) || (arg[2 + n] && arg[2 + n] != '='))
		return false;
	*val = arg[2 + n] ? arg + 2 + n + 1 : NULL;
	return true;
}

/* An option with a value; *i moves on if that is the next word. */
static bool value_of(char **argv, int argc, int *i, const char *name, const char **to)
{
	const char *val;

	if (!is_option(argv[*i], name, &val))
		return false;
	if (!val && *i + 1 < argc)
		val = argv[++*i];
	*to = val ? val : "";
	return true;
}

/* A flag: alone, or with a value as Wireshark gives it. */
static bool flag_of(char **argv, int argc, int *i, const char *name, bool *to)
{
	const char *val;

	if (!is_option(argv[*i], name, &val))
		return false;
	if (!val && *i + 1 < argc && strncmp(argv[*i + 1], "--", 2))
		val = argv[++*i];
	*to = yes(val ? val : "");
	return true;
}

static void parse(struct asked *a, int argc, char **argv)
{
	const char *version;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--extcap-interfaces"))
			a->interfaces = true;
		else if (!strcmp(argv[i], "--extcap-dlts"))
			a->dlts = true;
		else if (!strcmp(argv[i], "--extcap-config"))
			a->config = true;
		else if (!strcmp(argv[i], "--capture"))
			a->capture = true;
		else if (value_of(argv, argc, &i, "extcap-interface", &a->interface) ||
			 value_of(argv, argc, &i, "fifo", &a->fifo) ||
			 value_of(argv, argc, &i, "extcap-capture-filter", &a->filter) ||
			 value_of(argv, argc, &i, "nodes", &a->nodes) ||
			 value_of(argv, argc, &i, "snaplen", &a->snaplen) ||
			 value_of(argv, argc, &i, "extcap-version", &version) ||
			 flag_of(argv, argc, &i, "rx", &a->rx) || flag_of(argv, argc, &i, "tokens", &a->tokens))
			continue;
	}
}

static int interfaces(void)
{
	struct dirent **names;
	int i, n = scandir(JS_RUN_DIR, &names, NULL, alphasort);

	printf("extcap {version=" JET_VERSION "}{display=Jetstream testbed}\n");
	for (i = 0; i < n; i++) {
		struct lab l;

		if (lab_name_ok(names[i]->d_name) && !lab_open(&l, names[i]->d_name)) {
			if (proc_alive(&l.ringd))
				printf("interface {value=" IF_PREFIX "%s}{display=Jetstream ring %s}\n", l.name, l.name);
			lab_close(&l);
		}
		free(names[i]);
	}
	if (n >= 0)
		free(names);
	return ST_OK;
}

static int dlts(void)
{
	printf("dlt {number=%d}{name=USER10}{display=HP Jetstream}\n", JS_DLT);
	return ST_OK;
}

/* Every argument has a default, so that nobody must open the dialog. */
static int config(const char *lab)
{
	struct opts o = { .lab = lab };
	unsigned int k;
	struct lab l;

	printf("arg {number=0}{call=--nodes}{display=Nodes}{type=multicheck}"
	       "{tooltip=Nodes that record; all if none is checked}\n"
	       "arg {number=1}{call=--rx}{display=Arrivals}{type=boolflag}{default=false}"
	       "{tooltip=Record what nodes take from the ring, too}\n"
	       "arg {number=2}{call=--tokens}{display=Token frames}{type=boolflag}{default=false}"
	       "{tooltip=Record token and management frames, too}\n"
	       "arg {number=3}{call=--snaplen}{display=Octets of each frame}{type=unsigned}"
	       "{range=0,%zu}{default=0}{tooltip=Keep the first octets only; 0: all}\n",
	       JS_CAP_SNAPLEN - sizeof(struct js_cap_hdr));
	if (lab_need(&o, &l, false))
		return ST_FAILED;
	for (k = 1; k <= l.topo.n_nodes; k++)
		printf("value {arg=0}{value=n%u}{display=n%u}{default=false}\n", k, k);
	lab_close(&l);
	return ST_OK;
}

/* "n1,n2" and the filter as the words of jet capture. */
static int capture(const struct asked *a, const char *lab)
{
	struct opts o = { .lab = lab, .out = a->fifo, .rx = a->rx, .tokens = a->tokens };
	char *words[NODES_MAX + 1], *nodes = strdup(a->nodes ? a->nodes : ""), *save = NULL, *w;
	unsigned long snaplen = a->snaplen ? strtoul(a->snaplen, NULL, 10) : 0;
	int st;

	if (!nodes)
		return fail("out of memory");
	o.args = words;
	for (w = strtok_r(nodes, ",", &save); w && o.n_args < NODES_MAX; w = strtok_r(NULL, ",", &save))
		words[o.n_args++] = w;
	if (a->filter && *a->filter)
		words[o.n_args++] = (char *)a->filter;
	if (snaplen)
		o.snaplen = snaplen < 32 ? 32 : snaplen > JS_CAP_SNAPLEN - sizeof(struct js_cap_hdr) ?
			(unsigned int)(JS_CAP_SNAPLEN - sizeof(struct js_cap_hdr)) : (unsigned int)snaplen;
	talk_quiet = true;
	st = verb_capture(&o);
	free(nodes);
	return st;
}

static int check_filter(const char *filter)
{
	struct cap_filter *f = malloc(sizeof(*f));
	char why[400] = "";

	if (!f)
		return fail("out of memory");
	if (capfilter_compile(f, filter, why, sizeof(why)))
		printf("%s\n", why);
	free(f);
	return ST_OK;
}

int extcap_main(int argc, char **argv)
{
	struct asked a = { 0 };
	const char *lab = NULL;

	talk_verb = "extcap";
	parse(&a, argc, argv);
	if (a.interfaces)
		return interfaces();
	if (a.interface && !strncmp(a.interface, IF_PREFIX, strlen(IF_PREFIX)))
		lab = a.interface + strlen(IF_PREFIX);
	if (a.interface && (!lab || !lab_name_ok(lab)))
		return fail("there is no interface \"%s\": they are called " IF_PREFIX "LAB", a.interface);
	if (lab && a.dlts)
		return dlts();
	if (lab && a.config)
		return config(lab);
	if (lab && a.capture && a.fifo)
		return capture(&a, lab);
	if (lab && a.filter && !a.capture)
		return check_filter(a.filter);
	fprintf(stderr, "jetextcap is started by Wireshark, from its extcap directory:\n"
		"  jetextcap --extcap-interfaces\n"
		"  jetextcap --extcap-interface " IF_PREFIX "LAB --extcap-dlts | --extcap-config\n"
		"  jetextcap --extcap-interface " IF_PREFIX "LAB --capture --fifo PATH\n");
	return argc > 1 && !strcmp(argv[1], "--help") ? ST_OK : ST_USAGE;
}
