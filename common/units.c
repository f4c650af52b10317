/* SPDX-License-Identifier: BSD-2-Clause */
/* units.c - quantities as users write them */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/units.h"
#include "common/util.h"

/* @v, not 0, in the largest unit of which it is a whole number; each is a
 * thousand of the one before. */
static const char *whole(unsigned long long v, const char *const suffix[4], char buf[UNITS_TEXT_MAX])
{
	int i = 0;

	for (; i < 3 && v % 1000 == 0; i++)
		v /= 1000;
	snprintf(buf, UNITS_TEXT_MAX, "%llu%s", v, suffix[i]);
	return buf;
}

bool units_number(const char *s, uint64_t *v)
{
	unsigned long long n;
	char *end;

	if (*s < '0' || *s > '9')
		return false;
	errno = 0;
	n = strtoull(s, &end, 10);
	if (errno || *end)
		return false;
	*v = n;
	return true;
}

bool units_rate(const char *s, uint64_t *rate_bps)
{
	static const struct { const char *suffix; uint64_t factor; } units[] = {
		{ "", 1 }, { "bit", 1 }, { "k", 1000 }, { "kbit", 1000 },
		{ "M", 1000000 }, { "Mbit", 1000000 }, { "G", 1000000000 }, { "Gbit", 1000000000 },
	};
	char *end;
	uint64_t v;

	if (!strcmp(s, "unlimited")) {
		*rate_bps = 0;
		return true;
	}
	if (*s < '0' || *s > '9')
		return false;
	errno = 0;
	v = strtoull(s, &end, 10);
	for (size_t i = 0; i < ARRAY_SIZE(units) && !errno; i++) {
		if (strcasecmp(end, units[i].suffix))
			continue;
		if (!v || v > UNITS_RATE_MAX / units[i].factor)
			return false;
		*rate_bps = v * units[i].factor;
		return true;
	}
	return false;
}

const char *units_rate_text(uint64_t rate_bps, char buf[UNITS_TEXT_MAX])
{
	static const char *const suffix[] = { "", "k", "M", "G" };

	return rate_bps ? whole(rate_bps, suffix, buf) : strcpy(buf, "unlimited");
}

/* Digits with at most one point among them; *end: what comes behind. */
static bool decimal(const char *s, double *v, const char **end)
{
	size_t whole = strspn(s, "0123456789"), n = whole;

	if (s[n] == '.')
		n += 1 + strspn(s + n + 1, "0123456789");
	if (n - whole == 1 || !n || n > 24)
		return false;	/* "1.", "" */
	*v = strtod(s, NULL);
	*end = s + n;
	return true;
}

bool units_time(const char *s, uint64_t max_ns, uint64_t *ns)
{
	static const struct { const char *suffix; double factor; } units[] = {
		{ "ns", 1 }, { "us", 1e3 }, { "ms", 1e6 }, { "s", 1e9 },
	};
	const char *end;
	double v;

	if (!strcmp(s, "0")) {
		*ns = 0;
		return true;
	}
	/* strtod() would take "0x1" for a number; what follows 0 is "x1" here. */
	if (!decimal(s, &v, &end))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		if (strcmp(end, units[i].suffix))
			continue;
		v *= units[i].factor;
		/* 0.0003 ms is 300 ns, though not in binary. */
		v += 1e-3;
		if (v > (double)max_ns + 0.5)
			return false;
		*ns = (uint64_t)v;
		return true;
	}
	return false;
}

const char *units_time_text(uint64_t ns, char buf[UNITS_TEXT_MAX])
{
	static const char *const suffix[] = { "ns", "us", "ms", "s" };

	return ns ? whole(ns, suffix, buf) : strcpy(buf, "0");
}

bool units_percent(const char *s, double *p)
{
	const char *end;
	double v;

	if (!decimal(s, &v, &end) || strcmp(end, "%") || v > 100)
		return false;
	*p = v / 100;
	return true;
}

/* As few digits as say it exactly. */
const char *units_percent_text(double p, char buf[UNITS_TEXT_MAX])
{
	double back;

	for (int digits = 0; digits <= 20; digits++) {
		snprintf(buf, UNITS_TEXT_MAX, "%.*f%%", digits, p * 100);
		if (units_percent(buf, &back) && !(back < p) && !(back > p))
			break;
	}
	return buf;
}
