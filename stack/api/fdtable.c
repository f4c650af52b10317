/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fdtable.c - what a descriptor is, as far as this process has seen
 *
 * A cache, not the truth: the kernel's table is.  An entry is one word that
 * is replaced whole, so readers take no lock, in signal handlers too.  Chunks
 * are mapped when first written and never given back.  An entry names its
 * socket with a generation; the child changes that when the last copy of the
 * anchor is gone, which is how a close() that we did not see (inside libc, or
 * by a raw system call) is found out.
 */
#include <string.h>
#include <sys/mman.h>

#include "stack/api/api.h"

_Atomic(_Atomic(uint64_t) *) fd_chunk[FD_CHUNKS];

static uint64_t ent_word(struct fd_ent e)
{
	uint64_t word;

	memcpy(&word, &e, sizeof(word));
	return word;
}

static struct fd_ent word_ent(uint64_t word)
{
	struct fd_ent e;

	memcpy(&e, &word, sizeof(e));
	return e;
}

/* mmap(), not malloc(): a malloc interposer may be our caller. */
static _Atomic(uint64_t) *chunk_make(unsigned int i)
{
	_Atomic(uint64_t) *old = NULL, *chunk;

	chunk = mmap(NULL, FD_CHUNK * sizeof(*chunk), PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (chunk == MAP_FAILED)
		return NULL;
	if (atomic_compare_exchange_strong(&fd_chunk[i], &old, chunk))
		return chunk;
	munmap(chunk, FD_CHUNK * sizeof(*chunk));
	return old;
}

int fdtable_set(int fd, struct fd_ent e)
{
	unsigned int i = (unsigned int)fd / FD_CHUNK;
	_Atomic(uint64_t) *chunk;

	if (fd < 0 || i >= FD_CHUNKS)
		return -EMFILE;
	chunk = atomic_load_explicit(&fd_chunk[i], memory_order_acquire);
	if (!chunk)
		chunk = chunk_make(i);
	if (!chunk)
		return -ENOMEM;
	atomic_store_explicit(&chunk[(unsigned int)fd % FD_CHUNK], ent_word(e), memory_order_release);
	return 0;
}

static _Atomic(uint64_t) *slot_of(int fd)
{
	_Atomic(uint64_t) *chunk;

	if ((unsigned int)fd >= FD_CHUNK * FD_CHUNKS)
		return NULL;
	chunk = atomic_load_explicit(&fd_chunk[(unsigned int)fd / FD_CHUNK], memory_order_acquire);
	return chunk ? &chunk[(unsigned int)fd % FD_CHUNK] : NULL;
}

struct fd_ent fdtable_drop(int fd)
{
	_Atomic(uint64_t) *slot = slot_of(fd);

	if (!slot)
		return (struct fd_ent){ .kind = FD_NONE };
	return word_ent(atomic_exchange(slot, 0));
}

void fdtable_drop_if(int fd, struct fd_ent e)
{
	_Atomic(uint64_t) *slot = slot_of(fd);
	uint64_t word = ent_word(e);

	if (slot)
		atomic_compare_exchange_strong(slot, &word, 0);
}

int fdtable_next(int from, enum fd_kind kind)
{
	int fd = from < 0 ? 0 : from;

	while (fd < FD_CHUNK * FD_CHUNKS) {
		if (!atomic_load_explicit(&fd_chunk[fd / FD_CHUNK], memory_order_acquire)) {
			fd = (fd / FD_CHUNK + 1) * FD_CHUNK;
			continue;
		}
		if (fdtable_get(fd).kind == kind)
			return fd;
		fd++;
	}
	return -1;
}

unsigned int fdtable_count(struct fd_ent e)
{
	unsigned int n = 0;
	int fd;

	for (fd = fdtable_next(0, e.kind); fd >= 0; fd = fdtable_next(fd + 1, e.kind))
		n += fd_ent_equal(fdtable_get(fd), e);
	return n;
}
