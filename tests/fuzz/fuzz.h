/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz.h - what the fuzz targets share
 *
 *	segment.c	TCP, IP and ICMP headers, options, the answers that need no connection
 *	block.c		a control block that somebody else has written into
 *	conversation.c	two engines; the input is the network, both applications,
 *			the clock, and somebody who forges segments
 *	replay.c	runs inputs that are kept, without a fuzzer
 *
 * Each target is one function of an input.  It returns, or fuzz_fail()s: it
 * never says "invalid input".  An input that ends is followed by zeros, so
 * every prefix of an input is one, too.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* What libFuzzer calls. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz_in {
	const uint8_t *p;
	size_t left;
};

static inline uint8_t in_u8(struct fuzz_in *in)
{
	if (!in->left)
		return 0;
	in->left--;
	return *in->p++;
}

static inline uint16_t in_u16(struct fuzz_in *in)
{
	uint16_t hi = in_u8(in);

	return (uint16_t)(hi << 8 | in_u8(in));
}

static inline uint32_t in_u32(struct fuzz_in *in)
{
	uint32_t hi = in_u16(in);

	return hi << 16 | in_u16(in);
}

/* A number of octets: small ones from one octet of input, any from three. */
static inline uint32_t in_len(struct fuzz_in *in)
{
	uint8_t n = in_u8(in);

	return n < 0xc0 ? n : n < 0xe0 ? (uint32_t)(n - 0xbf) * 1000 : in_u16(in);
}

#define fuzz_fail(...)	do { fprintf(stderr, __VA_ARGS__); fputc('\n', stderr); abort(); } while (0)

#endif
