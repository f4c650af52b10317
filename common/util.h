/* SPDX-License-Identifier: BSD-2-Clause */
/* util.h - a few macros that C lacks */
#ifndef COMMON_UTIL_H
#define COMMON_UTIL_H

#include <stddef.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
/* Each argument is evaluated once; the names are of the expansion alone, so
 * that one may stand in another.  Not for constant expressions. */
#define MIN(a, b)	PICK_(a, <, b, PASTE_(min_a_, __COUNTER__), PASTE_(min_b_, __COUNTER__))
#define MAX(a, b)	PICK_(a, >, b, PASTE_(max_a_, __COUNTER__), PASTE_(max_b_, __COUNTER__))
#define PASTE_(a, b)	PASTE2_(a, b)
#define PASTE2_(a, b)	a##b
#define PICK_(a, op, b, x, y) \
	__extension__ ({ __auto_type x = (a); __auto_type y = (b); x op y ? x : y; })
#define container_of(p, type, member) \
	((type *)((char *)(p) - offsetof(type, member)))

#endif
