/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * impair.c - loss and corruption, by chance from a seed or by rule
 *
 * Each directed pair of stations has a generator of its own and draws three
 * numbers for every frame, whatever its settings are.  So what happens to the
 * k-th frame from n1 to n2 depends on the seed and k only, not on traffic
 * elsewhere, and setting corrupt= does not change what loss= hits.
 *
 * Corruption inverts one bit of the SDU, as it arrives: a CRC-32 finds every
 * single-bit error, so the receiver's adapter counts and drops the frame.
 *
 * Runs in jetringd.
 */
#include <errno.h>
#include <string.h>

#include "emulator/impair.h"

static struct impair_link links[JS_N_RING_IDS][JS_N_RING_IDS];
static struct impair_rule rules[IMPAIR_N_RULES];
static unsigned int n_rules;

/* Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators (2014). */
static uint64_t splitmix64(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

/* Uniform in [0, 1): 53 bits, a double's precision. */
static double uniform(uint64_t *state)
{
	return (double)(splitmix64(state) >> 11) * 0x1p-53;
}

/* The pair is mixed in, so that one seed for all does not hit all alike. */
void impair_seed(unsigned int src, unsigned int dst, uint64_t seed)
{
	uint64_t state = seed ^ ((uint64_t)src << 8 | dst) << 32;

	links[src][dst].seed = seed;
	links[src][dst].rng = splitmix64(&state);
}

void impair_init(uint64_t seed)
{
	memset(links, 0, sizeof(links));
	memset(rules, 0, sizeof(rules));
	n_rules = 0;
	for (unsigned int src = 0; src < JS_N_RING_IDS; src++)
		for (unsigned int dst = 0; dst < JS_N_RING_IDS; dst++)
			impair_seed(src, dst, seed);
}

struct impair_link *impair_link(unsigned int src, unsigned int dst)
{
	return &links[src][dst];
}

int impair_rule_add(const struct impair_rule *rule)
{
	for (int i = 0; i < IMPAIR_N_RULES; i++) {
		if (rules[i].used)
			continue;
		rules[i] = *rule;
		rules[i].used = true;
		n_rules++;
		return 0;
	}
	return -ENOSPC;
}

const struct impair_rule *impair_rule(unsigned int i)
{
	return &rules[i];
}

static bool rule_matches(const struct impair_rule *rule, unsigned int src,
			 unsigned int dst, const struct frame *f)
{
	int stream = (int)vci_stream(f->vci);

	if (!rule->used || !(rule->src >> src & 1) || !(rule->dst >> dst & 1))
		return false;
	if (f->sdu_len < JS_RULE_PAYLOAD_MIN)
		return false;
	if (rule->stream == IMPAIR_STREAM_USER)
		return !vci_is_mcast(f->vci) && stream >= JS_STREAM_FIRST;
	return rule->stream == IMPAIR_STREAM_ANY || rule->stream == stream;
}

/**
 * impair_frame() - What happens to a frame on its way to one receiver
 * @src:	Ring ID of the sender
 * @dst:	Ring ID of the receiver
 * @f:		The frame
 *
 * To be called once for each frame and receiver, in the order of arrival:
 * each call draws from the pair's generator and counts down rules.
 */
struct impair_verdict impair_frame(unsigned int src, unsigned int dst, const struct frame *f)
{
	struct impair_link *link = &links[src][dst];
	bool lost = uniform(&link->rng) < link->loss;
	bool corrupted = uniform(&link->rng) < link->corrupt;
	uint64_t bit = splitmix64(&link->rng) % ((uint64_t)f->sdu_len * 8);

	for (unsigned int i = 0; n_rules && i < IMPAIR_N_RULES; i++) {
		struct impair_rule *rule = &rules[i];

		if (!rule_matches(rule, src, dst, f) || --rule->left)
			continue;
		lost |= rule->action == IMPAIR_LOSE;
		corrupted |= rule->action == IMPAIR_CORRUPT;
		rule->used = false;
		n_rules--;
	}
	corrupted &= !lost;
	link->frames++;
	link->lost += lost;
	link->corrupted += corrupted;
	return (struct impair_verdict) { .lost = lost, .flip = corrupted ? (int64_t)bit : -1 };
}
