/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * units.h - quantities as users write them: rates, times, percentages
 *
 * A parser returns whether the whole of @s is such a quantity, and sets its
 * result only then.  No locale, sign, exponent, "nan" or "inf".  A text is one
 * that the parser reads back as the same value; the buffer is the caller's.
 */
#ifndef COMMON_UNITS_H
#define COMMON_UNITS_H

#include <stdbool.h>
#include <stdint.h>

#define UNITS_RATE_MAX	1000000000000ull	/* bit/s: 1 Tbit/s */
#define UNITS_TEXT_MAX	32			/* octets of any text, with its 0 */

bool units_number(const char *s, uint64_t *v);
/* "1000000000", "1G", "100Mbit" in bit/s, 1 to UNITS_RATE_MAX; "unlimited": 0. */
bool units_rate(const char *s, uint64_t *rate_bps);
const char *units_rate_text(uint64_t rate_bps, char buf[UNITS_TEXT_MAX]);
/* "2ms", "1.5s", "100us", "50ns" or "0" in ns, at most @max_ns; a fraction of
 * a nanosecond is cut off. */
bool units_time(const char *s, uint64_t max_ns, uint64_t *ns);
const char *units_time_text(uint64_t ns, char buf[UNITS_TEXT_MAX]);
/* "1%", "0.5%" as a probability, 0 to 1. */
bool units_percent(const char *s, double *p);
const char *units_percent_text(double p, char buf[UNITS_TEXT_MAX]);

#endif
