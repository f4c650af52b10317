/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ids.h - numbers of buffers, put in order
 *
 * Free buffers lie on stacks.  What is taken and given back in other portions
 * than it came in is more and more shuffled there, and then the buffers of a
 * packet are no neighbours in memory any more: each is a CRC and a copy of its
 * own.  So now and then a stack is sorted.
 */
#ifndef COMMON_IDS_H
#define COMMON_IDS_H

#include <stdbool.h>
#include <stdint.h>

#define IDS_SCATTER_MIN	4u	/* ids; of fewer nobody looks whether they are neighbours */
#define IDS_SCATTERED	16u	/* scattered portions, then it is time to sort */

struct id_set {
	uint64_t word[(UINT16_MAX + 1) / 64];
};

static inline void id_set_add(struct id_set *s, uint16_t id)
{
	s->word[id / 64] |= 1ull << (id % 64);
}

/* Write all of it, the highest first: on a stack the lowest is on top.
 * Return: how many. */
static inline uint32_t id_set_list(const struct id_set *s, uint16_t *ids)
{
	uint32_t n = 0;

	for (unsigned int i = UINT16_MAX / 64 + 1; i-- > 0;) {
		uint64_t left = s->word[i];

		while (left) {
			unsigned int bit = 63u - (unsigned int)__builtin_clzll(left);

			left &= ~(1ull << bit);
			ids[n++] = (uint16_t)(i * 64 + bit);
		}
	}
	return n;
}

/* Whether more than half of these @n have not their predecessor before them. */
static inline bool ids_scattered(const uint16_t *ids, unsigned int n)
{
	unsigned int alone = 0;

	if (n < IDS_SCATTER_MIN)
		return false;
	for (unsigned int i = 1; i < n; i++)
		alone += ids[i] != ids[i - 1] + 1;
	return alone * 2 > n;
}

#endif
