/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * medium.c - what can be set of a ring, and presets; jet
 *
 * The words are the same in topology files, as options (--hold) and to
 * jetringd ("ring set hold=…"); what they mean is at the head of
 * emulator/ring.h.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/units.h"
#include "common/util.h"
#include "netns/jet.h"

#define DELAY_MAX_NS	1000000000u	/* emulator/ring.h */
#define HOLD_MAX_NS	100000000u
#define MEM_MIN		(128u << 10)	/* octets: two of the largest SDUs */
#define MEM_MAX		(1ull << 40)

static int parse_delay(const char *s, uint64_t *ns)
{
	return units_time(s, DELAY_MAX_NS, ns) ? 0 : -EINVAL;
}

static int parse_hold(const char *s, uint64_t *ns)
{
	return units_time(s, HOLD_MAX_NS, ns) ? 0 : -EINVAL;
}

/* "1048576", "64k", "1m", "2g": octets, powers of 1024. */
static int parse_mem(const char *s, uint64_t *octets)
{
	static const char suffixes[] = "kmg";
	const char *suffix;
	unsigned long long v;
	long shift = 0;
	char *end;

	if (*s < '0' || *s > '9')
		return -EINVAL;
	errno = 0;
	v = strtoull(s, &end, 10);
	if (errno)
		return -EINVAL;
	if (*end) {
		suffix = strchr(suffixes, *end | 0x20);
		if (!suffix || end[1])
			return -EINVAL;
		shift = 10 * (suffix - suffixes + 1);
	}
	if (v > MEM_MAX >> shift || v << shift < MEM_MIN)
		return -EINVAL;
	*octets = v << shift;
	return 0;
}

static const struct medium_key {
	const char *name;
	int (*parse)(const char *s, uint64_t *v);
	size_t off;
	const char *like;
} keys[] = {
	{ "rate", parse_rate, offsetof(struct medium, rate_bps), "1g, 100m or unlimited" },
	{ "latency", parse_delay, offsetof(struct medium, latency_ns), "200ns, at most 1s" },
	{ "propagation", parse_delay, offsetof(struct medium, propagation_ns), "50ns or 1ms, at most 1s" },
	{ "hold", parse_hold, offsetof(struct medium, hold_ns), "500us, at most 100ms" },
	{ "node-mem", parse_mem, offsetof(struct medium, node_mem), "1m or 512k, at least 128k" },
};

int medium_set(struct medium *m, const char *key, const char *value, const char **like)
{
	size_t i;

	if (!strcmp(key, "preset")) {
		*like = "paper, default or unlimited";
		return medium_preset(m, value);
	}
	for (i = 0; i < ARRAY_SIZE(keys); i++) {
		if (strcmp(key, keys[i].name))
			continue;
		*like = keys[i].like;
		return keys[i].parse(value, (uint64_t *)((char *)m + keys[i].off));
	}
	return -ENOENT;
}

/*
 * paper: what section 2 says of Jetstream and Afterburner: 1 Gbit/s, 1 MiB of
 * buffer memory.  The MTU, 61504, is that of section 5 with every preset.
 */
int medium_preset(struct medium *m, const char *name)
{
	struct medium made = {
		.rate_bps = 1000000000,
		.latency_ns = 200,
		.propagation_ns = 50,
		.hold_ns = 500000,
		.node_mem = 1ull << 30,
	};

	if (!strcmp(name, "paper"))
		made.node_mem = 1u << 20;
	else if (!strcmp(name, "unlimited"))
		made.rate_bps = 0;
	else if (strcmp(name, "default"))
		return -EINVAL;
	*m = made;
	return 0;
}

int medium_options(const struct opts *o, struct medium *m)
{
	const struct { const char *key, *value; } given[] = {
		{ "preset", o->preset }, { "rate", o->rate }, { "latency", o->latency },
		{ "propagation", o->propagation }, { "hold", o->hold }, { "node-mem", o->node_mem },
	};
	const char *like;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(given); i++)
		if (given[i].value && medium_set(m, given[i].key, given[i].value, &like))
			return bad_usage("--%s is \"%s\", but should be like %s", given[i].key, given[i].value,
					 like);
	return ST_OK;
}

bool medium_given(const struct opts *o)
{
	return o->preset || o->rate || o->latency || o->propagation || o->hold || o->node_mem;
}

const char *medium_text(const struct medium *m, const char *between, const char *is, char buf[MEDIUM_TEXT_MAX])
{
	char rate[32], t[3][UNITS_TEXT_MAX];

	snprintf(buf, MEDIUM_TEXT_MAX, "rate%s%s%slatency%s%s%spropagation%s%s%shold%s%s%snode-mem%s%llu", is,
		 m->rate_bps ? rate_text(m->rate_bps, rate) : "unlimited", between, is,
		 units_time_text(m->latency_ns, t[0]), between, is, units_time_text(m->propagation_ns, t[1]),
		 between, is, units_time_text(m->hold_ns, t[2]), between, is, (unsigned long long)m->node_mem);
	return buf;
}
