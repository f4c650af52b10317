/* SPDX-License-Identifier: BSD-2-Clause */
/* mirror.c - a ring of octets in which nothing is ever in two pieces */
#include <errno.h>
#include <sys/mman.h>

#include "common/mirror.h"

uint8_t *mirror_map(int fd, size_t head, size_t size, int prot)
{
	/* Room for all of it first, so that the second copy gets its place. */
	uint8_t *p = mmap(NULL, head + 2 * size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	int err;

	if (p == MAP_FAILED)
		return NULL;
	if (mmap(p, head + size, prot, MAP_SHARED | MAP_FIXED, fd, 0) != MAP_FAILED &&
	    mmap(p + head + size, size, prot, MAP_SHARED | MAP_FIXED, fd, (off_t)head) != MAP_FAILED)
		return p;
	err = errno;
	mirror_unmap(p, head, size);
	errno = err;
	return NULL;
}

void mirror_unmap(uint8_t *p, size_t head, size_t size)
{
	munmap(p, head + 2 * size);
}
