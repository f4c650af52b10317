/* SPDX-License-Identifier: BSD-2-Clause */
/* delayq.c - frames that arrive later than the ring has them there: a heap by time */
#include <stdlib.h>
#include <string.h>

#include "emulator/delayq.h"

#define HEAP_MIN	64u		/* places */

static struct delayed **heap;		/* [0] is due first; children of i: 2i+1, 2i+2 */
static size_t n_heap, heap_size;
static size_t octets;			/* of all there are, taken ones too */
static uint64_t n_ever;

static size_t octets_of(uint32_t sdu_len)
{
	return sizeof(struct delayed) + sdu_len;
}

bool delayq_has_room(uint32_t sdu_len)
{
	return octets + octets_of(sdu_len) <= DELAYQ_OCTETS_MAX;
}

static bool before(const struct delayed *a, const struct delayed *b)
{
	return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

static bool grow(void)
{
	size_t size = heap_size ? 2 * heap_size : HEAP_MIN;
	struct delayed **bigger = realloc(heap, size * sizeof(*heap));

	if (!bigger)
		return false;
	heap = bigger;
	heap_size = size;
	return true;
}

/* The piece of memory is ours alone: nobody writes to it while it waits. */
static struct delayed *copy_of(const struct frame *f)
{
	struct delayed *d = malloc(octets_of(f->sdu_len));
	size_t n = 0;

	if (!d)
		return NULL;
	*d = (struct delayed) {
		.f = {
			.vci = f->vci, .uucpi = f->uucpi, .sdu_len = f->sdu_len, .src = f->src,
			.crc = f->crc, .n_iov = 1, .iov[0] = { d->sdu, f->sdu_len },
		},
		.flip = -1,
	};
	for (int i = 0; i < f->n_iov; i++) {
		memcpy(d->sdu + n, f->iov[i].iov_base, f->iov[i].iov_len);
		n += f->iov[i].iov_len;
	}
	octets += octets_of(f->sdu_len);
	return d;
}

struct delayed *delayq_put(const struct frame *f, uint64_t at_ns)
{
	struct delayed *d;
	size_t i;

	if (n_heap == heap_size && !grow())
		return NULL;
	d = copy_of(f);
	if (!d)
		return NULL;
	d->at_ns = at_ns;
	d->order = n_ever++;
	for (i = n_heap++; i && before(d, heap[(i - 1) / 2]); i = (i - 1) / 2)
		heap[i] = heap[(i - 1) / 2];
	heap[i] = d;
	return d;
}

uint64_t delayq_next(void)
{
	return n_heap ? heap[0]->at_ns : DELAYQ_NEVER;
}

struct delayed *delayq_take(uint64_t now_ns)
{
	struct delayed *first, *last;
	size_t i = 0, child;

	if (!n_heap || heap[0]->at_ns > now_ns)
		return NULL;
	first = heap[0];
	last = heap[--n_heap];
	for (; (child = 2 * i + 1) < n_heap; i = child) {
		child += child + 1 < n_heap && before(heap[child + 1], heap[child]);
		if (!before(heap[child], last))
			break;
		heap[i] = heap[child];
	}
	heap[i] = last;
	return first;
}

void delayq_free(struct delayed *d)
{
	octets -= octets_of(d->f.sdu_len);
	free(d);
}

void delayq_fini(void)
{
	while (n_heap)
		delayq_free(heap[--n_heap]);
	free(heap);
	heap = NULL;
	heap_size = 0;
}
