/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stackmem.c - tell the users of a stack that its child has died
 *
 * Runs in jetconnd.  Applications may write anything here at any time, so
 * nothing that stands in this memory decides where we read or write: the
 * layout is abi/shmseg.h's, checked once against the object's size, which is
 * sealed.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "abi/shmseg.h"
#include "connserver/stackmem.h"

#define STACK_SIZE	sizeof(struct js_stack)

static int check(const struct js_stack_hdr *hdr)
{
	if (hdr->magic != JS_STACK_MAGIC || hdr->version != JS_STACK_VERSION)
		return -EPROTO;
	if (hdr->n_socks != JS_N_SOCKS || hdr->sock_off != sizeof(*hdr))
		return -EPROTO;
	return 0;
}

int cs_stackmem_map(struct cs_stackmem *sm, int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;
	void *map;
	int err;

	sm->fd = -1;
	sm->hdr = NULL;
	/* Without the seal its owner could shrink it, and we would get SIGBUS. */
	if (seals < 0 || !(seals & F_SEAL_SHRINK) || fstat(fd, &st) < 0) {
		close(fd);
		return -EBADF;
	}
	if ((size_t)st.st_size < STACK_SIZE) {
		close(fd);
		return -EPROTO;
	}
	map = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	err = map == MAP_FAILED ? -errno : check(map);
	/* What the server forks deals with one hostile application: it must
	 * not have the memory of others. */
	if (!err && madvise(map, STACK_SIZE, MADV_DONTFORK) < 0)
		err = -errno;
	if (err) {
		if (map != MAP_FAILED)
			munmap(map, STACK_SIZE);
		close(fd);
		return err;
	}
	sm->fd = fd;
	sm->hdr = map;
	sm->size = STACK_SIZE;
	return 0;
}

static void futex_wake_all(_Atomic uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* Nobody waits on a socket that was never used; its page need not be made to
 * find that out, so we read the object and not the mapping. */
static bool sock_was_used(const struct cs_stackmem *sm, size_t off)
{
	uint32_t gen;

	return pread(sm->fd, &gen, sizeof(gen), (off_t)(off + offsetof(struct js_sock, gen))) !=
	       (ssize_t)sizeof(gen) || gen;
}

void cs_stackmem_mark_dead(struct cs_stackmem *sm)
{
	struct js_stack_hdr *hdr = sm->hdr;
	unsigned int i, which;

	if (!hdr)
		return;
	/* Before the words: who samples a word after we moved it sees this. */
	atomic_store_explicit(&hdr->dead, ENETDOWN, memory_order_seq_cst);
	for (i = 0; i < JS_N_SOCKS; i++) {
		size_t off = sizeof(*hdr) + i * sizeof(struct js_sock);
		struct js_sock *so = (struct js_sock *)((char *)hdr + off);

		if (!sock_was_used(sm, off))
			continue;
		for (which = 0; which < 2; which++) {
			/* seq_cst, pairs with the sample in so_wait()'s caller */
			atomic_fetch_add_explicit(&so->seq[which], 1, memory_order_seq_cst);
			futex_wake_all(&so->seq[which]);
		}
	}
	/* Those who wait for the lock look at dead, too. */
	futex_wake_all(&hdr->lock);
}

void cs_stackmem_unmap(struct cs_stackmem *sm)
{
	if (sm->hdr)
		munmap(sm->hdr, sm->size);
	if (sm->fd >= 0)
		close(sm->fd);
	sm->hdr = NULL;
	sm->fd = -1;
}
