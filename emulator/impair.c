/* SPDX-License-Identifier: BSD-2-Clause */
/* impair.c - what goes wrong with a frame, by chance from a seed or by rule; see impair.h */
#include <errno.h>
#include <string.h>

#include "common/util.h"
#include "emulator/delayq.h"
#include "emulator/impair.h"
#include "emulator/ring.h"

#define GOLDEN	0x9e3779b97f4a7c15u

static struct impair_link links[JS_N_RING_IDS][JS_N_RING_IDS];
static struct impair_rule rules[IMPAIR_N_RULES];
static unsigned int n_rules;
static uint64_t default_seed;

/* --- chance ------------------------------------------------------------------ */

/*
 * splitmix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number
 * Generators, 2014): the k-th output is a hash of start + k * GOLDEN, so any
 * of them can be had without those before it.
 */
static uint64_t splitmix64(uint64_t z)
{
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

/* Numbers of the kinds behind DRAW_COPY are the second copy's. */
static uint64_t draw_bits(const struct impair_link *link, enum impair_draw kind, unsigned int copy)
{
	unsigned int i = (unsigned int)kind + copy * (DRAW_N - DRAW_COPY);

	return splitmix64(link->stream[i] + link->k * GOLDEN);
}

/* Uniform in [0, 1): 53 bits, a double's precision. */
static double draw(const struct impair_link *link, enum impair_draw kind, unsigned int copy)
{
	return (double)(draw_bits(link, kind, copy) >> 11) * 0x1p-53;
}

/* The pair is mixed in, so that one seed for all does not hit all alike. */
static void seed_link(unsigned int src, unsigned int dst, uint64_t seed)
{
	struct impair_link *link = &links[src][dst];
	uint64_t state = seed ^ ((uint64_t)src << 8 | dst) << 32;

	link->set.seed = seed;
	for (unsigned int i = 0; i < IMPAIR_N_DRAWS; i++)
		link->stream[i] = splitmix64(splitmix64(state += GOLDEN) + i);
	link->k = 0;
	link->bad = false;
	link->waited = 0;
}

/* --- settings ---------------------------------------------------------------- */

void impair_reset(unsigned int src, unsigned int dst)
{
	struct impair_link *link = &links[src][dst];
	uint64_t n_waiting = link->n_waiting;

	*link = (struct impair_link) { .n_waiting = n_waiting };
	link_set_default(&link->set);
	seed_link(src, dst, default_seed);
}

void impair_init(uint64_t seed)
{
	memset(links, 0, sizeof(links));
	impair_rules_drop();
	default_seed = seed;
	for (unsigned int src = 0; src < JS_N_RING_IDS; src++)
		for (unsigned int dst = 0; dst < JS_N_RING_IDS; dst++)
			impair_reset(src, dst);
}

const struct impair_link *impair_link(unsigned int src, unsigned int dst)
{
	return &links[src][dst];
}

void impair_set(unsigned int src, unsigned int dst, const struct link_set *set)
{
	struct impair_link *link = &links[src][dst];
	struct link_set *now = &link->set;

	link_set_apply(now, set);
	if (set->has >> LINK_SEED & 1)
		seed_link(src, dst, set->seed);
	if (set->has >> LINK_LOSS & 1)
		link->bad = false;
	if (set->has >> LINK_RATE & 1)
		link->line_free_ns = 0;
	link->active = now->delay_ns || now->jitter_ns || now->rate_bps || now->loss.gemodel ||
		       now->loss.lose_good > 0 || now->duplicate > 0 || now->corrupt > 0;
}

/* --- rules ------------------------------------------------------------------- */

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

void impair_rules_drop(void)
{
	memset(rules, 0, sizeof(rules));
	n_rules = 0;
}

static bool rule_matches(const struct impair_rule *rule, unsigned int src,
			 unsigned int dst, const struct frame *f)
{
	int stream = (int)vci_stream(f->vci);

	if (!rule->used || !(rule->pairs.to[src] >> dst & 1) || f->sdu_len < rule->sdu_min)
		return false;
	if (rule->vci != JS_VCI_NONE && rule->vci != f->vci)
		return false;
	if (rule->stream == IMPAIR_STREAM_USER)
		return !vci_is_mcast(f->vci) && stream >= JS_STREAM_FIRST;
	return rule->stream == IMPAIR_STREAM_ANY || rule->stream == stream;
}

/* What rules say of one frame. */
struct ruling {
	bool lose, corrupt, duplicate;
	uint64_t delay_ns;
};

static struct ruling ask_rules(unsigned int src, unsigned int dst, const struct frame *f)
{
	struct ruling r = { .delay_ns = 0 };

	for (unsigned int i = 0; n_rules && i < IMPAIR_N_RULES; i++) {
		struct impair_rule *rule = &rules[i];

		if (!rule_matches(rule, src, dst, f) || --rule->left)
			continue;
		r.lose |= rule->action == IMPAIR_LOSE;
		r.corrupt |= rule->action == IMPAIR_CORRUPT;
		r.duplicate |= rule->action == IMPAIR_DUPLICATE;
		if (rule->action == IMPAIR_DELAY)
			r.delay_ns += rule->delay_ns;
		rule->used = false;
		n_rules--;
	}
	return r;
}

/* --- a frame ----------------------------------------------------------------- */

static bool is_lost(struct impair_link *link)
{
	const struct link_loss *loss = &link->set.loss;
	double lose = link->bad ? loss->lose_bad : loss->lose_good;
	bool lost = draw(link, DRAW_LOSS, 0) < lose;

	if (loss->gemodel &&
	    draw(link, DRAW_MOVE, 0) < (link->bad ? loss->to_good : loss->to_bad))
		link->bad = !link->bad;
	return lost;
}

/* Delay and jitter of a copy: 0 or more. */
static uint64_t delay_of(const struct impair_link *link, unsigned int copy)
{
	double ns = (double)link->set.delay_ns;

	if (!link->set.jitter_ns)
		return link->set.delay_ns;
	ns += (2 * draw(link, DRAW_DELAY, copy) - 1) * (double)link->set.jitter_ns;
	return ns > 0 ? (uint64_t)ns : 0;
}

static bool may_overtake(const struct impair_link *link, unsigned int copy)
{
	const struct link_set *set = &link->set;

	return (set->delay_ns || set->jitter_ns || set->rate_bps) &&
	       link->waited + 1 >= set->gap && draw(link, DRAW_REORDER, copy) < set->reorder;
}

/* What @f takes on the pair's own line. */
static uint64_t line_ns(const struct impair_link *link, const struct frame *f)
{
	uint64_t bits = (uint64_t)aal5_frame_len(f->sdu_len) * 8;

	if (!link->set.rate_bps)
		return 0;
	return (bits * 1000000000u + link->set.rate_bps - 1) / link->set.rate_bps;
}

/* A frame may wait until @at_ns; counted. */
static bool may_wait(struct impair_link *link, const struct frame *f)
{
	return link->n_waiting < link->set.limit && delayq_has_room(f->sdu_len);
}

/*
 * When copy @c of @f is due: sets its at_ns and how.
 * Return: false: there is no room for it to wait
 */
static bool schedule(struct impair_link *link, const struct frame *f, uint64_t arrive_ns,
		     uint64_t rule_ns, unsigned int copy, struct impair_copy *c)
{
	uint64_t line = line_ns(link, f), free_ns = MAX(link->line_free_ns, arrive_ns);

	c->overtakes = may_overtake(link, copy);
	c->at_ns = arrive_ns;
	if (c->overtakes) {
		free_ns += line;
	} else {
		c->at_ns += delay_of(link, copy);
		if (line)
			c->at_ns = MAX(c->at_ns, link->line_free_ns) + line;
		free_ns = c->at_ns;
	}
	c->at_ns += rule_ns;
	c->holds = c->at_ns > arrive_ns;
	if (c->holds && !may_wait(link, f))
		return false;
	if (line)
		link->line_free_ns = free_ns;
	link->waited = c->overtakes ? 0 : link->waited + 1;
	return true;
}

/* One arrival of @f, unless it is dropped. */
static void add_copy(struct impair_link *link, const struct frame *f, uint64_t arrive_ns,
		     const struct ruling *ruling, unsigned int copy, struct impair_verdict *v)
{
	struct impair_copy c = { .flip = -1, .dup = copy };

	if (!schedule(link, f, arrive_ns, ruling->delay_ns, copy, &c)) {
		link->st.limit_drops++;
		return;
	}
	/* A rule means the frame, not a copy that chance made of it. */
	if ((ruling->corrupt && !copy) || draw(link, DRAW_CORRUPT, copy) < link->set.corrupt)
		c.flip = (int64_t)(draw_bits(link, DRAW_BIT, copy) % ((uint64_t)f->sdu_len * 8));
	link->n_waiting += c.holds;
	link->st.delayed += c.holds;
	link->st.reordered += c.overtakes;
	link->st.corrupted += c.flip >= 0;
	v->copy[v->n++] = c;
}

struct impair_verdict impair_frame(unsigned int src, unsigned int dst, const struct frame *f,
				   uint64_t arrive_ns)
{
	struct impair_link *link = &links[src][dst];
	struct impair_verdict v = { .n = 0 };
	struct ruling ruling;
	bool lost, twice;

	link->st.frames++;
	if (!link->active && !n_rules) {
		link->k++;
		v.n = 1;
		v.copy[0] = (struct impair_copy) { .at_ns = arrive_ns, .flip = -1 };
		return v;
	}
	ruling = ask_rules(src, dst, f);
	lost = is_lost(link) || ruling.lose;
	twice = draw(link, DRAW_DUPLICATE, 0) < link->set.duplicate || ruling.duplicate;
	if (lost) {
		link->st.lost++;
	} else {
		link->st.duplicated += twice;
		for (unsigned int copy = 0; copy <= twice; copy++)
			add_copy(link, f, arrive_ns, &ruling, copy, &v);
	}
	link->k++;
	return v;
}

void impair_release(unsigned int src, unsigned int dst, uint64_t late_ns, bool dropped)
{
	struct impair_link *link = &links[src][dst];

	link->n_waiting--;
	link->st.late += late_ns >= RING_LATE_NS;
	link->st.limit_drops += dropped;
}
