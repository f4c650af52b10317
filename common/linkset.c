/* SPDX-License-Identifier: BSD-2-Clause */
/* linkset.c - impairments of links, as users write them */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/linkset.h"
#include "common/units.h"
#include "common/util.h"

#define GEMODEL		"gemodel:"

const char *const link_key_names[LINK_N_KEYS] = {
	[LINK_DELAY] = "delay", [LINK_JITTER] = "jitter", [LINK_LOSS] = "loss",
	[LINK_DUPLICATE] = "duplicate", [LINK_REORDER] = "reorder", [LINK_GAP] = "gap",
	[LINK_CORRUPT] = "corrupt", [LINK_RATE] = "rate", [LINK_LIMIT] = "limit",
	[LINK_SEED] = "seed",
};

void link_set_default(struct link_set *set)
{
	*set = (struct link_set) { .gap = 1, .limit = LINK_LIMIT_DEFAULT };
}

int link_key(const char *name)
{
	for (int i = 0; i < LINK_N_KEYS; i++)
		if (!strcmp(name, link_key_names[i]))
			return i;
	return -1;
}

const char *link_key_form(enum link_key key)
{
	switch (key) {
	case LINK_DELAY:
	case LINK_JITTER:
		return "a time of at most 60s with its unit, like 20ms, 1.5ms, 500us or 0";
	case LINK_LOSS:
		return "like 1% or 0.05%, or for bursts like gemodel:1%,25%";
	case LINK_DUPLICATE:
	case LINK_REORDER:
	case LINK_CORRUPT:
		return "like 1% or 0.05%";
	case LINK_GAP:
		return "a number of frames, 1 to 1000000";
	case LINK_RATE:
		return "like 100M, 1G or unlimited, at least 1k";
	case LINK_LIMIT:
		return "a number of frames, 1 to 100000";
	case LINK_SEED:
		return "a number";
	case LINK_N_KEYS:
		break;
	}
	return "";
}

/* P,R[,B[,G]] */
static bool gemodel_value(const char *s, struct link_loss *loss)
{
	double v[4] = { 0, 0, 1, 0 };
	size_t n = 0;

	for (bool more = true; more; n++) {
		size_t len = strcspn(s, ",");
		char one[UNITS_TEXT_MAX];

		if (n == ARRAY_SIZE(v) || len >= sizeof(one))
			return false;
		memcpy(one, s, len);
		one[len] = '\0';
		if (!units_percent(one, &v[n]))
			return false;
		more = s[len];
		s += len + more;
	}
	if (n < 2)
		return false;
	*loss = (struct link_loss) { true, v[0], v[1], v[2], v[3] };
	return true;
}

static bool loss_value(const char *s, struct link_loss *loss)
{
	double p;

	if (!strncmp(s, GEMODEL, strlen(GEMODEL)))
		return gemodel_value(s + strlen(GEMODEL), loss);
	if (!units_percent(s, &p))
		return false;
	*loss = (struct link_loss) { .lose_good = p };
	return true;
}

static bool count_value(const char *s, uint64_t max, uint64_t *v)
{
	uint64_t n;

	if (!units_number(s, &n) || !n || n > max)
		return false;
	*v = n;
	return true;
}

static bool rate_value(const char *s, uint64_t *rate_bps)
{
	uint64_t v;

	if (!units_rate(s, &v) || (v && v < LINK_RATE_MIN))
		return false;
	*rate_bps = v;
	return true;
}

static bool set_value(struct link_set *set, enum link_key key, const char *s)
{
	switch (key) {
	case LINK_DELAY:
		return units_time(s, LINK_TIME_MAX_NS, &set->delay_ns);
	case LINK_JITTER:
		return units_time(s, LINK_TIME_MAX_NS, &set->jitter_ns);
	case LINK_LOSS:
		return loss_value(s, &set->loss);
	case LINK_DUPLICATE:
		return units_percent(s, &set->duplicate);
	case LINK_REORDER:
		return units_percent(s, &set->reorder);
	case LINK_GAP:
		return count_value(s, LINK_GAP_MAX, &set->gap);
	case LINK_CORRUPT:
		return units_percent(s, &set->corrupt);
	case LINK_RATE:
		return rate_value(s, &set->rate_bps);
	case LINK_LIMIT:
		return count_value(s, LINK_LIMIT_MAX, &set->limit);
	case LINK_SEED:
		return units_number(s, &set->seed);
	case LINK_N_KEYS:
		break;
	}
	return false;
}

bool link_set_value(struct link_set *set, enum link_key key, const char *value)
{
	if (!set_value(set, key, value))
		return false;
	set->has |= 1u << key;
	return true;
}

int link_set_word(struct link_set *set, const char *word, int *key)
{
	size_t n = strcspn(word, "=");
	char name[16];

	if (!word[n] || n >= sizeof(name))
		return -ENOENT;
	memcpy(name, word, n);
	name[n] = '\0';
	*key = link_key(name);
	if (*key < 0)
		return -ENOENT;
	return link_set_value(set, (enum link_key)*key, word + n + 1) ? 0 : -EINVAL;
}

void link_set_apply(struct link_set *set, const struct link_set *more)
{
	uint32_t has = more->has;

	set->has |= has;
	if (has >> LINK_DELAY & 1)
		set->delay_ns = more->delay_ns;
	if (has >> LINK_JITTER & 1)
		set->jitter_ns = more->jitter_ns;
	if (has >> LINK_LOSS & 1)
		set->loss = more->loss;
	if (has >> LINK_DUPLICATE & 1)
		set->duplicate = more->duplicate;
	if (has >> LINK_REORDER & 1)
		set->reorder = more->reorder;
	if (has >> LINK_GAP & 1)
		set->gap = more->gap;
	if (has >> LINK_CORRUPT & 1)
		set->corrupt = more->corrupt;
	if (has >> LINK_RATE & 1)
		set->rate_bps = more->rate_bps;
	if (has >> LINK_LIMIT & 1)
		set->limit = more->limit;
	if (has >> LINK_SEED & 1)
		set->seed = more->seed;
}

static void loss_text(const struct link_loss *loss, char buf[LINK_TEXT_MAX])
{
	const double v[4] = { loss->to_bad, loss->to_good, loss->lose_bad, loss->lose_good };
	char one[UNITS_TEXT_MAX];
	size_t len;

	if (!loss->gemodel) {
		snprintf(buf, LINK_TEXT_MAX, "%s", units_percent_text(loss->lose_good, one));
		return;
	}
	len = (size_t)snprintf(buf, LINK_TEXT_MAX, GEMODEL);
	for (size_t i = 0; i < ARRAY_SIZE(v); i++)
		len += (size_t)snprintf(buf + len, LINK_TEXT_MAX - len, "%s%s", i ? "," : "",
					units_percent_text(v[i], one));
}

const char *link_value_text(const struct link_set *set, enum link_key key, char buf[LINK_TEXT_MAX])
{
	unsigned long long number = 0;

	switch (key) {
	case LINK_DELAY:
		return units_time_text(set->delay_ns, buf);
	case LINK_JITTER:
		return units_time_text(set->jitter_ns, buf);
	case LINK_LOSS:
		loss_text(&set->loss, buf);
		return buf;
	case LINK_DUPLICATE:
		return units_percent_text(set->duplicate, buf);
	case LINK_REORDER:
		return units_percent_text(set->reorder, buf);
	case LINK_CORRUPT:
		return units_percent_text(set->corrupt, buf);
	case LINK_RATE:
		return units_rate_text(set->rate_bps, buf);
	case LINK_GAP:
		number = set->gap;
		break;
	case LINK_LIMIT:
		number = set->limit;
		break;
	case LINK_SEED:
		number = set->seed;
		break;
	case LINK_N_KEYS:
		break;
	}
	snprintf(buf, LINK_TEXT_MAX, "%llu", number);
	return buf;
}

const char *link_set_text(const struct link_set *set, char buf[LINK_TEXT_MAX])
{
	size_t len = 0;

	*buf = '\0';
	for (int i = 0; i < LINK_N_KEYS; i++) {
		char value[LINK_TEXT_MAX];

		if (!(set->has >> i & 1) || len >= LINK_TEXT_MAX)
			continue;
		len += (size_t)snprintf(buf + len, LINK_TEXT_MAX - len, "%s%s=%s", len ? " " : "",
					link_key_names[i], link_value_text(set, (enum link_key)i, value));
	}
	return buf;
}

double link_loss_mean(const struct link_loss *loss)
{
	double moves = loss->to_bad + loss->to_good;

	if (!loss->gemodel || !(moves > 0))
		return loss->lose_good;
	return (loss->to_bad * loss->lose_bad + loss->to_good * loss->lose_good) / moves;
}

/* --- scopes ---------------------------------------------------------------------- */

/* "*", or "n3" or "3" as "n3". */
static bool scope_end(const char *s, size_t len, char end[4])
{
	if (len == 1 && *s == '*') {
		strcpy(end, "*");
		return true;
	}
	if (len && *s == 'n') {
		s++;
		len--;
	}
	if (!len || len > 2 || strspn(s, "0123456789") < len || *s == '0')
		return false;
	snprintf(end, 4, "n%.*s", (int)len, s);
	return true;
}

bool link_scope_parse(const char *s, struct link_scope *scope)
{
	const char *arrow = strstr(s, "->");
	size_t n;

	*scope = (struct link_scope) { .src = "*", .dst = "*" };
	if (!strcmp(s, "ring") || !strcmp(s, "all") || !strcmp(s, "*"))
		return true;
	scope->both = !arrow || (arrow > s && arrow[-1] == '<');
	if (!arrow)
		return scope_end(s, strlen(s), scope->src);
	n = (size_t)(arrow - s) - scope->both;
	if (!scope_end(s, n, scope->src) || !scope_end(arrow + 2, strlen(arrow + 2), scope->dst))
		return false;
	if (!strcmp(scope->src, scope->dst))
		scope->both = false;
	if (scope->both && *scope->src == '*') {
		memcpy(scope->src, scope->dst, sizeof(scope->src));
		strcpy(scope->dst, "*");
	}
	return true;
}

const char *link_scope_text(const struct link_scope *scope, char buf[LINK_SCOPE_MAX])
{
	if (*scope->src == '*' && *scope->dst == '*')
		snprintf(buf, LINK_SCOPE_MAX, "ring");
	else if (scope->both && *scope->dst == '*')
		snprintf(buf, LINK_SCOPE_MAX, "%s", scope->src);
	else
		snprintf(buf, LINK_SCOPE_MAX, "%s%s->%s", scope->src, scope->both ? "<" : "", scope->dst);
	return buf;
}

static bool end_is(const char *end, const char *name)
{
	return *end == '*' || !strcmp(end, name);
}

bool link_scope_has(const struct link_scope *scope, const char *src, const char *dst)
{
	if (!strcmp(src, dst) && strcmp(scope->src, scope->dst))
		return false;
	if (!strcmp(src, dst))
		return !strcmp(scope->src, src);
	return (end_is(scope->src, src) && end_is(scope->dst, dst)) ||
	       (scope->both && end_is(scope->src, dst) && end_is(scope->dst, src));
}
