/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * focache.c - Fast Open cookies of peers
 *
 * Forms as Linux: kind 34 first; if it brings nothing the experimental one
 * once, and if that does not either, kind 34 for good.  Losses: from the
 * second in a row on Fast Open rests, a minute and twice as long each time.
 */
#include <string.h>

#include "common/focache.h"
#include "common/util.h"

#define LOSSES_FREE	1		/* may be chance */
#define REST_US		60000000ull
#define REST_DOUBLINGS	6		/* about an hour */

static struct fo_peer *find(struct fo_cache *c, const uint8_t addr[16])
{
	struct fo_peer *p;

	for (p = c->peer; p < c->peer + FO_PEERS; p++)
		if (p->used && !memcmp(p->addr, addr, sizeof(p->addr)))
			return p;
	return NULL;
}

static struct fo_peer *find_or_make(struct fo_cache *c, const uint8_t addr[16])
{
	struct fo_peer *p = find(c, addr), *oldest = c->peer;

	if (p)
		return p;
	for (p = c->peer; p < c->peer + FO_PEERS; p++)
		if (p->used < oldest->used)
			oldest = p;
	memset(oldest, 0, sizeof(*oldest));
	memcpy(oldest->addr, addr, sizeof(oldest->addr));
	return oldest;
}

static bool rests(const struct fo_peer *p, uint64_t now_us)
{
	unsigned int n;

	if (p->losses <= LOSSES_FREE)
		return false;
	n = MIN(p->losses - LOSSES_FREE - 1u, (unsigned int)REST_DOUBLINGS);
	return now_us < p->lost_us + (REST_US << n);
}

/**
 * fo_cache_get() - How to open to @addr?
 * @known:	Filled: an unknown peer is asked for a cookie
 */
void fo_cache_get(struct fo_cache *c, const uint8_t addr[16], uint64_t now_us,
		  struct fo_known *known)
{
	struct fo_peer *p = find(c, addr);

	*known = (struct fo_known){ .form = FO_OPT };
	if (!p)
		return;
	p->used = ++c->uses;
	known->mss = p->known.mss;
	if (rests(p, now_us)) {
		known->form = FO_NONE;
		return;
	}
	if (p->known.len)
		*known = p->known;
	else if (p->tried_exp == 1)
		known->form = FO_EXP;
}

/* RFC 7413, 4.1.3: what the SYN,ACK of @addr says is news for the next one. */
void fo_cache_learn(struct fo_cache *c, const uint8_t addr[16], uint64_t now_us,
		    const struct fo_news *news)
{
	struct fo_peer *p = find_or_make(c, addr);
	bool got = news->asked && news->answer.form && news->answer.len &&
		   news->answer.len <= FO_COOKIE_MAX;

	p->used = ++c->uses;
	if (news->answer.mss)
		p->known.mss = news->answer.mss;
	if (news->again && !got && !(news->had_data && news->took_data)) {
		if (p->losses < UINT8_MAX)
			p->losses++;
		p->lost_us = now_us;
		return;
	}
	p->losses = 0;
	if (got) {
		p->known.form = news->answer.form;
		p->known.len = news->answer.len;
		memcpy(p->known.cookie, news->answer.cookie, sizeof(p->known.cookie));
	} else if (news->asked && !news->had_data && !p->known.len && p->tried_exp < 2) {
		p->tried_exp = news->asked == FO_EXP ? 2 : 1;
	}
}
