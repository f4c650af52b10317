/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tcp_seq.h - arithmetic modulo 2^32 (RFC 9293, 3.4)
 *
 * A comparison is right while its operands are less than 2^31 apart.
 */
#ifndef STACK_ENGINE_TCP_SEQ_H
#define STACK_ENGINE_TCP_SEQ_H

#include <stdbool.h>
#include <stdint.h>

static inline bool seq_lt(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

static inline bool seq_leq(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) <= 0;
}

static inline bool seq_gt(uint32_t a, uint32_t b)
{
	return seq_lt(b, a);
}

static inline bool seq_geq(uint32_t a, uint32_t b)
{
	return seq_leq(b, a);
}

static inline uint32_t seq_max(uint32_t a, uint32_t b)
{
	return seq_lt(a, b) ? b : a;
}

static inline uint32_t seq_min(uint32_t a, uint32_t b)
{
	return seq_lt(a, b) ? a : b;
}

/* Octets from @a up to @b; 0 if @b is not after @a. */
static inline uint32_t seq_diff(uint32_t a, uint32_t b)
{
	return seq_lt(a, b) ? b - a : 0;
}

static inline uint32_t min_u32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static inline uint32_t max_u32(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

#endif
