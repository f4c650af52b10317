/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * linkset.h - impairments of links, as users write them
 *
 * jet reads them from its arguments and from topology files, jetringd from
 * ring.sock: one grammar, so that what jet lets pass jetringd understands.
 *
 *	delay=20ms		arrives so much later than the ring would have it
 *	jitter=5ms		more or less than delay, uniformly
 *	loss=1%			at random
 *	loss=gemodel:P,R[,B[,G]]	in bursts: Gilbert-Elliott.  A frame moves
 *				good to bad with P, bad to good with R, and is
 *				lost with B (100 %) in bad, G (0 %) in good
 *	duplicate=1%		arrives twice
 *	reorder=25%		goes at once, past those that wait
 *	gap=5			reorder only each fifth and later since the last
 *	corrupt=0.1%		arrives with one bit of its SDU inverted
 *	rate=10M		the pair's own line; unlimited: none
 *	limit=1000		frames that may wait for delay and rate
 *	seed=7			of all chances of this link
 *
 * The words and what they mean are netem's (tc-netem(8)), but that a percentage
 * has its % and a time its unit.
 *
 * Scopes: "n1->n2", "n1<->n2", "n1" (from and to n1), "ring".  An end may be
 * "*": any other node.  Only n1->n1 names the frames of a node to itself.
 */
#ifndef COMMON_LINKSET_H
#define COMMON_LINKSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINK_TIME_MAX_NS	60000000000ull	/* of delay and jitter each */
#define LINK_LIMIT_DEFAULT	1000u		/* frames; netem's */
#define LINK_LIMIT_MAX		100000u
#define LINK_GAP_MAX		1000000u
#define LINK_RATE_MIN		1000u		/* bit/s: the largest frame takes 8 minutes */
#define LINK_TEXT_MAX		512		/* octets of all settings of a link, with the 0 */
#define LINK_SCOPE_MAX		20		/* octets of a scope, with the 0 */

enum link_key {
	LINK_DELAY, LINK_JITTER, LINK_LOSS, LINK_DUPLICATE, LINK_REORDER, LINK_GAP,
	LINK_CORRUPT, LINK_RATE, LINK_LIMIT, LINK_SEED, LINK_N_KEYS
};

extern const char *const link_key_names[LINK_N_KEYS];

/* Probabilities are 0 to 1. */
struct link_loss {
	bool gemodel;			/* false: lose_good is all there is */
	double to_bad, to_good;		/* P, R */
	double lose_bad, lose_good;	/* B, G */
};

struct link_set {
	uint32_t has;			/* bit i: link_key i was given */
	uint64_t delay_ns, jitter_ns;
	struct link_loss loss;
	double duplicate, reorder, corrupt;
	uint64_t gap;
	uint64_t rate_bps;		/* 0: none */
	uint64_t limit;			/* frames */
	uint64_t seed;
};

/* Nothing is impaired, nothing was given. */
void link_set_default(struct link_set *set);
/* The key of that name, or -1. */
int link_key(const char *name);
/* @value for @key.  false: it is none, and @set as it was; link_key_form()
 * says what it should be, for "… should be %s". */
bool link_set_value(struct link_set *set, enum link_key key, const char *value);
const char *link_key_form(enum link_key key);
/* "KEY=VALUE".  0; -ENOENT no such key; -EINVAL a bad value, *key is set. */
int link_set_word(struct link_set *set, const char *word, int *key);
/* Whatever @more was given. */
void link_set_apply(struct link_set *set, const struct link_set *more);
/* The value of @key as link_set_value() reads it. */
const char *link_value_text(const struct link_set *set, enum link_key key, char buf[LINK_TEXT_MAX]);
/* All that was given, as words with blanks in between; "" nothing. */
const char *link_set_text(const struct link_set *set, char buf[LINK_TEXT_MAX]);
/* The share of frames that is lost in the long run, 0 to 1. */
double link_loss_mean(const struct link_loss *loss);

struct link_scope {
	char src[4], dst[4];		/* "n1" to "n99", "*" */
	bool both;			/* and back */
};

/* Whether @s is a scope; nodes need not exist.  "3" is "n3". */
bool link_scope_parse(const char *s, struct link_scope *scope);
const char *link_scope_text(const struct link_scope *scope, char buf[LINK_SCOPE_MAX]);
/* Whether the frames from node @src to node @dst are meant. */
bool link_scope_has(const struct link_scope *scope, const char *src, const char *dst);

#endif
