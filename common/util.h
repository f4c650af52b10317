/* SPDX-License-Identifier: BSD-2-Clause */
/* util.h - a few macros that C lacks */
#ifndef COMMON_UTIL_H
#define COMMON_UTIL_H

#include <stddef.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
/* Arguments may be evaluated twice: never an atomic_exchange(). */
#define MIN(a, b)	((a) < (b) ? (a) : (b))
#define MAX(a, b)	((a) > (b) ? (a) : (b))
#define container_of(p, type, member) \
	((type *)((char *)(p) - offsetof(type, member)))

#endif
