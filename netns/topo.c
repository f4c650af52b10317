/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * topo.c - what a lab should be: topology files; jet
 *
 * An INI file (inih reads it):
 *
 *	[lab]				; everything may be left out
 *	name = lab
 *	nodes = 4			; n1 to n4; at most 16
 *	preset = default		; or paper, unlimited; what follows overrides it
 *	rate = 1g			; or unlimited
 *	latency = 200ns			; of a station
 *	propagation = 50ns		; to the next station
 *	hold = 500us			; token holding time
 *	node-mem = 1g			; octets of buffer memory a node
 *	prefix = 10.74.0.0/24		; node K gets address K of it
 *
 *	[node n2]
 *	address = 10.74.0.20
 *	propagation = 1ms		; to the next node, if not as for all
 *	absent = no			; yes: it has left the ring
 *	kernel-tx-vci = ip		; auto, ip or ip_divert
 *
 *	[link n1->n2]			; or n1<->n2, n1, *->n2, ring
 *	delay = 20ms			; all keys: common/linkset.h
 *	loss = gemodel:1%,25%
 *	seed = 7
 *
 * The record of a lab that is up is such a file, too.  We count lines as they
 * are read, so that each complaint, also about a heading, has its line.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/units.h"
#include "common/util.h"
#include "netns/jet.h"

/* A file being read. */
struct reading {
	struct topo *t;
	FILE *f;
	const char *path;
	int line;		/* the one inih has now */
	bool bad;		/* said so already */
	bool has_nodes;		/* nodes= was given */
	unsigned int highest;	/* node named in a heading */
	int highest_line;
	int link_line[LINKS_MAX];
};

static int wrong(struct reading *r, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Only the first mistake is told. */
static int wrong(struct reading *r, const char *fmt, ...)
{
	char text[400];
	va_list ap;

	if (r->bad)
		return 0;
	r->bad = true;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fail("%s:%d: %s", r->path, r->line, text);
	return 0;
}

int parse_rate(const char *s, uint64_t *bps)
{
	double v;
	char *end;

	if (!strcmp(s, "unlimited")) {
		*bps = 0;
		return 0;
	}
	v = strtod(s, &end);
	if (end == s)
		return -EINVAL;
	switch (*end) {
	case 'k': case 'K': v *= 1e3; end++; break;
	case 'm': case 'M': v *= 1e6; end++; break;
	case 'g': case 'G': v *= 1e9; end++; break;
	}
	if (!strcmp(end, "bit") || !strcmp(end, "bps"))
		end += 3;
	/* Below 10 kbit/s one frame would take a minute. */
	if (*end || !(v >= 1e4 && v <= 1e12))
		return -EINVAL;
	*bps = (uint64_t)(v + 0.5);
	return 0;
}

const char *rate_text(uint64_t bps, char buf[32])
{
	if (!bps)
		snprintf(buf, 32, "unlimited");
	else if (bps % 1000000000 == 0)
		snprintf(buf, 32, "%llug", (unsigned long long)bps / 1000000000);
	else if (bps % 1000000 == 0)
		snprintf(buf, 32, "%llum", (unsigned long long)bps / 1000000);
	else
		snprintf(buf, 32, "%llu", (unsigned long long)bps);
	return buf;
}

bool lab_name_ok(const char *name)
{
	static const char may[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";

	return *name && !strchr("_.-", *name) && strlen(name) <= LAB_NAME_MAX &&
	       strspn(name, may) == strlen(name);
}

static int parse_prefix(const char *s, struct in_addr *addr, unsigned int *len)
{
	char buf[32], *slash, *end;
	unsigned long n;

	if (strlen(s) >= sizeof(buf))
		return -EINVAL;
	strcpy(buf, s);
	slash = strchr(buf, '/');
	if (!slash)
		return -EINVAL;
	*slash++ = '\0';
	n = strtoul(slash, &end, 10);
	/* Sixteen nodes, the network's and the broadcast address. */
	if (*end || end == slash || n < 8 || n > 27 || inet_pton(AF_INET, buf, addr) != 1 ||
	    ntohl(addr->s_addr) << n != 0)
		return -EINVAL;
	*len = (unsigned int)n;
	return 0;
}

static bool in_prefix(const struct topo *t, struct in_addr a)
{
	uint32_t host = (1u << (32 - t->prefix_len)) - 1;

	return (ntohl(a.s_addr) & ~host) == ntohl(t->prefix.s_addr) &&
	       (ntohl(a.s_addr) & host) != 0 && (ntohl(a.s_addr) & host) != host;
}

/* "n1" to "n16" -> 1 to 16; 0 not a node's name. */
static unsigned int node_number(const char *s)
{
	char *end;
	unsigned long k;

	if (*s != 'n' || s[1] < '1' || s[1] > '9')
		return 0;
	k = strtoul(s + 1, &end, 10);
	return *end || k > NODES_MAX ? 0 : (unsigned int)k;
}

static int lab_key(struct reading *r, const char *key, const char *value)
{
	static const char *const keys[] = {
		"name", "nodes", "preset", "rate", "latency", "propagation", "hold", "node-mem", "prefix",
		"kernel-only", "ipv6",
	};
	struct topo *t = r->t;
	const char *like;
	char *end;
	int err = medium_set(&t->medium, key, value, &like);

	if (!strcmp(key, "name")) {
		if (!lab_name_ok(value))
			return wrong(r, "\"%s\" is no name for a lab: up to %d letters, digits, \"-\", \"_\" and \".\"",
				     value, LAB_NAME_MAX);
		strcpy(t->name, value);
		t->name_given = true;
	} else if (!strcmp(key, "nodes")) {
		unsigned long n = strtoul(value, &end, 10);

		if (*end || end == value || n < 1 || n > NODES_MAX)
			return wrong(r, "nodes is \"%s\", but a ring has 1 to %d of them", value, NODES_MAX);
		t->n_nodes = (unsigned int)n;
		r->has_nodes = true;
	} else if (!strcmp(key, "prefix")) {
		if (parse_prefix(value, &t->prefix, &t->prefix_len))
			return wrong(r, "prefix is \"%s\", but should be like 10.74.0.0/24, /8 to /27", value);
	} else if (!strcmp(key, "kernel-only")) {
		if (strcmp(value, "yes") && strcmp(value, "no"))
			return wrong(r, "kernel-only is \"%s\", but should be yes or no", value);
		t->kernel_only = !strcmp(value, "yes");
	} else if (!strcmp(key, "ipv6")) {
		if (strcmp(value, "yes") && strcmp(value, "no"))
			return wrong(r, "ipv6 is \"%s\", but should be yes or no", value);
		t->ipv6 = !strcmp(value, "yes");
	} else if (err != -ENOENT) {
		if (err)
			return wrong(r, "%s is \"%s\", but should be like %s", key, value, like);
	} else {
		return wrong(r, "[lab] has no \"%s\"%s", key, did_you_mean(key, keys, ARRAY_SIZE(keys)));
	}
	return 1;
}

static int node_key(struct reading *r, const char *name, const char *key, const char *value)
{
	static const char *const keys[] = { "address", "absent", "propagation", "kernel-tx-vci" };
	struct topo_node *node = &r->t->node[node_number(name)];

	if (!strcmp(key, "address")) {
		if (inet_pton(AF_INET, value, &node->addr) != 1 || !node->addr.s_addr)
			return wrong(r, "\"%s\" is no IPv4 address", value);
		if (!in_prefix(r->t, node->addr))
			return wrong(r, "%s is no host's address in %s/%u, the lab's prefix", value,
				     inet_ntoa(r->t->prefix), r->t->prefix_len);
	} else if (!strcmp(key, "absent")) {
		if (strcmp(value, "yes") && strcmp(value, "no"))
			return wrong(r, "absent is \"%s\", but should be yes or no", value);
		node->absent = !strcmp(value, "yes");
	} else if (!strcmp(key, "propagation")) {
		struct medium m;
		const char *like;

		if (medium_set(&m, key, value, &like))
			return wrong(r, "propagation is \"%s\", but should be like %s", value, like);
		node->has_propagation = true;
		node->propagation_ns = m.propagation_ns;
	} else if (!strcmp(key, "kernel-tx-vci")) {
		if (strcmp(value, "auto") && strcmp(value, "ip") && strcmp(value, "ip_divert"))
			return wrong(r, "kernel-tx-vci is \"%s\", but should be auto, ip or ip_divert", value);
		strcpy(node->tx_vci, value);
	} else {
		return wrong(r, "[node %s] has no \"%s\"%s", name, key,
			     did_you_mean(key, keys, ARRAY_SIZE(keys)));
	}
	return 1;
}

static int link_line(struct reading *r, const char *name, const char *value)
{
	struct topo_link *link = &r->t->link[r->t->n_links - 1];
	int key = link_key(name);

	if (key < 0)
		return wrong(r, "a link has no \"%s\"%s", name,
			     did_you_mean(name, link_key_names, LINK_N_KEYS));
	if (!link_set_value(&link->set, (enum link_key)key, value))
		return wrong(r, "%s is \"%s\", but should be %s", name, value,
			     link_key_form((enum link_key)key));
	return 1;
}

static bool link_end_ok(const char *end)
{
	return *end == '*' || node_number(end);
}

static void seen_node(struct reading *r, const char *name)
{
	unsigned int k = node_number(name);

	if (k > r->highest) {
		r->highest = k;
		r->highest_line = r->line;
	}
}

/* A heading, as we saw it pass by. */
static void heading(struct reading *r, const char *name)
{
	struct topo *t = r->t;

	if (!strcmp(name, "lab"))
		return;
	if (!strncmp(name, "node ", 5)) {
		if (!node_number(name + 5))
			wrong(r, "\"%s\" is no node: they are called n1 to n%d", name + 5, NODES_MAX);
		else
			seen_node(r, name + 5);
	} else if (!strncmp(name, "link ", 5)) {
		struct topo_link *link = &t->link[t->n_links];

		if (t->n_links == LINKS_MAX) {
			wrong(r, "more than %d [link …]: use *->n2, n1 or ring", LINKS_MAX);
			return;
		}
		link_set_default(&link->set);
		if (!link_scope_parse(name + 5, &link->scope) || !link_end_ok(link->scope.src) ||
		    !link_end_ok(link->scope.dst)) {
			wrong(r, "\"%s\" is no link: write [link n1->n2], [link n1<->n2], [link n1] or [link ring]",
			      name + 5);
			return;
		}
		seen_node(r, link->scope.src);
		seen_node(r, link->scope.dst);
		r->link_line[t->n_links++] = r->line;
	} else {
		wrong(r, "[%s] is unknown: there are [lab], [node nK] and [link nJ->nK]", name);
	}
}

/* inih asks for a line. */
static char *next_line(char *buf, int size, void *arg)
{
	struct reading *r = arg;
	char *p, *end;

	if (!fgets(buf, size, r->f))
		return NULL;
	r->line++;
	if (!strchr(buf, '\n') && !feof(r->f))
		wrong(r, "the line is too long");
	for (p = buf; *p == ' ' || *p == '\t'; p++)
		;
	end = strchr(p, ']');
	if (*p == '[' && end) {
		char name[64];

		snprintf(name, sizeof(name), "%.*s", (int)(end - p - 1), p + 1);
		heading(r, name);
	} else if (*p == '[') {
		wrong(r, "the heading has no \"]\"");
	}
	return buf;
}

static int on_key(void *arg, const char *section, const char *key, const char *value)
{
	struct reading *r = arg;

	if (r->bad)
		return 0;
	if (!strcmp(section, "lab"))
		return lab_key(r, key, value);
	if (!strncmp(section, "node ", 5))
		return node_key(r, section + 5, key, value);
	if (!strncmp(section, "link ", 5))
		return link_line(r, key, value);
	return wrong(r, "\"%s\" stands before any heading; start with [lab]", key);
}

void topo_default(struct topo *t)
{
	memset(t, 0, sizeof(*t));
	strcpy(t->name, "lab");
	t->n_nodes = 2;
	medium_preset(&t->medium, "default");
	inet_pton(AF_INET, "10.74.0.0", &t->prefix);
	t->prefix_len = 24;
}

int topo_finish(struct topo *t)
{
	unsigned int j, k;

	for (k = 1; k <= t->n_nodes; k++)
		if (!t->node[k].addr.s_addr)
			t->node[k].addr.s_addr = htonl(ntohl(t->prefix.s_addr) + k);
	for (k = 1; k <= t->n_nodes; k++)
		for (j = 1; j < k; j++)
			if (t->node[j].addr.s_addr == t->node[k].addr.s_addr)
				return fail("n%u and n%u both have the address %s", j, k,
					    inet_ntoa(t->node[k].addr));
	return ST_OK;
}

int topo_read(struct topo *t, const char *path)
{
	struct reading r = { .t = t, .path = path };
	int line;

	topo_default(t);
	r.f = fopen(path, "re");
	if (!r.f)
		return fail("cannot read the topology %s: %s", path, strerror(errno));
	line = ini_parse_stream(next_line, &r, on_key, &r);
	fclose(r.f);
	if (!r.bad && line) {
		r.line = line > 0 ? line : 0;
		wrong(&r, "this is neither a [heading], nor key = value, nor a comment");
	}
	if (!r.bad && !r.has_nodes && r.highest > t->n_nodes)
		t->n_nodes = r.highest;
	if (!r.bad && r.highest > t->n_nodes) {
		r.line = r.highest_line;
		wrong(&r, "n%u, but [lab] says nodes = %u", r.highest, t->n_nodes);
	}
	if (!r.bad && !topo_count(t)) {
		r.line = 1;
		wrong(&r, "every node is absent");
	}
	return r.bad ? ST_FAILED : topo_finish(t);
}

static void write_link(FILE *f, const struct topo_link *link)
{
	char scope[LINK_SCOPE_MAX], value[LINK_TEXT_MAX];

	fprintf(f, "\n[link %s]\n", link_scope_text(&link->scope, scope));
	for (int i = 0; i < LINK_N_KEYS; i++)
		if (link->set.has >> i & 1)
			fprintf(f, "%s = %s\n", link_key_names[i],
				link_value_text(&link->set, (enum link_key)i, value));
}

int topo_write(const struct topo *t, int dir_fd, const char *name)
{
	char ring[MEDIUM_TEXT_MAX], ns[UNITS_TEXT_MAX];
	unsigned int i;
	FILE *f;
	int fd;

	fd = openat(dir_fd, ".topology", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	f = fdopen(fd, "w");
	if (!f) {
		close(fd);
		return -ENOMEM;
	}
	fprintf(f, "; written by jet up; the lab as it is\n[lab]\nname = %s\nnodes = %u\n%s\nprefix = %s/%u\nkernel-only = %s\nipv6 = %s\n",
		t->name, t->n_nodes, medium_text(&t->medium, "\n", " = ", ring), inet_ntoa(t->prefix), t->prefix_len,
		t->kernel_only ? "yes" : "no", t->ipv6 ? "yes" : "no");
	for (i = 1; i <= t->n_nodes; i++) {
		fprintf(f, "\n[node n%u]\naddress = %s\n", i, inet_ntoa(t->node[i].addr));
		if (t->node[i].has_propagation)
			fprintf(f, "propagation = %s\n", units_time_text(t->node[i].propagation_ns, ns));
		if (t->node[i].absent)
			fprintf(f, "absent = yes\n");
		if (*t->node[i].tx_vci)
			fprintf(f, "kernel-tx-vci = %s\n", t->node[i].tx_vci);
	}
	for (i = 0; i < t->n_links; i++)
		write_link(f, &t->link[i]);
	if (fclose(f) || renameat(dir_fd, ".topology", dir_fd, name))
		return -errno;
	return 0;
}

bool topo_has(const struct topo *t, unsigned int k)
{
	return k >= 1 && k <= t->n_nodes && !t->node[k].absent;
}

unsigned int topo_count(const struct topo *t)
{
	unsigned int k, n = 0;

	for (k = 1; k <= t->n_nodes; k++)
		n += topo_has(t, k);
	return n;
}

const char *topo_differs(const struct topo *is, const struct topo *wanted)
{
	static char text[128];
	char a[INET_ADDRSTRLEN], b[INET_ADDRSTRLEN];
	unsigned int k;

	/* Nodes may come by themselves; who goes takes processes along. */
	if (is->n_nodes > wanted->n_nodes) {
		snprintf(text, sizeof(text), "with %u node%s, not %u", is->n_nodes,
			 is->n_nodes == 1 ? "" : "s", wanted->n_nodes);
		return text;
	}
	if (is->prefix_len != wanted->prefix_len) {
		snprintf(text, sizeof(text), "with a /%u prefix, not a /%u", is->prefix_len, wanted->prefix_len);
		return text;
	}
	for (k = 1; k <= is->n_nodes; k++) {
		if (is->node[k].addr.s_addr == wanted->node[k].addr.s_addr)
			continue;
		inet_ntop(AF_INET, &is->node[k].addr, a, sizeof(a));
		inet_ntop(AF_INET, &wanted->node[k].addr, b, sizeof(b));
		snprintf(text, sizeof(text), "with %s as n%u's address, not %s", a, k, b);
		return text;
	}
	return "";
}

int topo_wanted(const struct opts *o, struct topo *t, bool *asked)
{
	const char *path = o->topo;
	int st;

	if (o->topo && o->nodes)
		return bad_usage("-t and --nodes both say how many nodes there are; give one of them");
	if (!path && !o->nodes && !access(TOPO_DEFAULT_FILE, F_OK))
		path = TOPO_DEFAULT_FILE;
	if (path) {
		st = topo_read(t, path);
		if (st)
			return st;
		t->from_file = true;
	} else {
		topo_default(t);
		if (o->nodes)
			t->n_nodes = o->nodes;
		st = topo_finish(t);
		if (st)
			return st;
	}
	*asked = path || o->nodes;
	if (o->lab)
		strcpy(t->name, o->lab);
	st = medium_options(o, &t->medium);
	if (st)
		return st;
	if (o->kernel_only)
		t->kernel_only = true;
	if (o->ipv6)
		t->ipv6 = true;
	return ST_OK;
}

int lab_wanted(const struct opts *o, char name[LAB_NAME_MAX + 1])
{
	struct topo t;

	topo_default(&t);
	if (o->lab)
		strcpy(t.name, o->lab);
	else if (!access(TOPO_DEFAULT_FILE, F_OK) && topo_read(&t, TOPO_DEFAULT_FILE))
		return ST_FAILED;
	strcpy(name, t.name);
	return ST_OK;
}

/* validate [FILE]: read it, say what it makes. */
int verb_validate(const struct opts *o)
{
	struct opts with = *o;
	struct topo t;
	bool asked;
	char rate[32];
	int st;

	if (o->n_args > 1)
		return bad_usage("validate takes one file");
	if (o->n_args)
		with.topo = o->args[0];
	st = topo_wanted(&with, &t, &asked);
	if (st)
		return st;
	if (!asked)
		return fail("there is no %s here; name a file", &TOPO_DEFAULT_FILE[2]);
	printf("lab %s: %u nodes, %s, %s/%u, %u link setting%s\n", t.name, topo_count(&t),
	       rate_text(t.medium.rate_bps, rate), inet_ntoa(t.prefix), t.prefix_len, t.n_links,
	       t.n_links == 1 ? "" : "s");
	return ST_OK;
}
