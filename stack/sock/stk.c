/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stk.c - one process's view of a stack: mapping, lock, returning buffers
 *
 * Application and child.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stack/shm/commit.h"
#include "stack/shm/lock.h"
#include "stack/sock/sock.h"

#define CACHE_LOW	48	/* Tx buffers: three full segments */
#define CACHE_HIGH	160

static __thread int busy;	/* depth of calls of this thread */

bool stk_busy(void)
{
	return busy > 0;
}

/* Map @fd, whose first octets give magic, version and size. */
static void *map_checked(int fd, int prot, uint32_t magic, size_t min)
{
	const uint32_t *head;
	struct stat st;
	void *p;

	if (fstat(fd, &st) < 0)
		return NULL;
	if ((size_t)st.st_size < min) {
		errno = EPROTO;
		return NULL;
	}
	p = mmap(NULL, (size_t)st.st_size, prot, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return NULL;
	head = p;
	if (head[0] == magic && head[1] == JS_STACK_VERSION)
		return p;
	munmap(p, (size_t)st.st_size);
	errno = EPROTO;
	return NULL;
}

#define STACK_SIZE	(sizeof(struct js_stack_hdr) + JS_N_SOCKS * sizeof(struct js_sock))

int stk_attach(struct stk *stk, const int fds[CM_INIT_NFDS], uint32_t queue)
{
	int err;

	memset(stk, 0, sizeof(*stk));
	fault_init();
	stk->kick_fd = fds[CM_INIT_KICK];
	stk->hdr = map_checked(fds[CM_INIT_STACK], PROT_READ | PROT_WRITE,
			       JS_STACK_MAGIC, STACK_SIZE);
	if (!stk->hdr)
		return -errno;
	stk->guard = map_checked(fds[CM_INIT_GUARD], PROT_READ, JS_GUARD_MAGIC,
				 sizeof(*stk->guard));
	if (!stk->guard) {
		err = -errno;
		goto unmap_stack;
	}
	stk->socks = (struct js_sock *)(stk->hdr + 1);
	err = poolc_attach(&stk->pc, fds[CM_INIT_PORT], fds[CM_INIT_DOORBELL], -1);
	if (err)
		goto unmap_guard;
	err = poolc_queue_init(&stk->q, &stk->pc, queue);
	if (!err)
		err = bufcache_init(&stk->bc, &stk->q, stk->guard->tx_pool, CACHE_LOW,
				    CACHE_HIGH);
	if (err) {
		poolc_close(&stk->pc);
		goto unmap_guard;
	}
	close(fds[CM_INIT_STACK]);
	close(fds[CM_INIT_GUARD]);
	return 0;

unmap_guard:
	munmap(stk->guard, sizeof(*stk->guard));
unmap_stack:
	munmap(stk->hdr, STACK_SIZE);
	stk->hdr = NULL;
	return err;
}

void stk_detach(struct stk *stk)
{
	if (!stk->hdr)
		return;
	poolc_close(&stk->pc);
	munmap(stk->guard, sizeof(*stk->guard));
	munmap(stk->hdr, STACK_SIZE);
	close(stk->kick_fd);
	memset(stk, 0, sizeof(*stk));
}

int stk_dead(const struct stk *stk)
{
	if (atomic_load_explicit(&stk->hdr->dead, memory_order_relaxed))
		return -ENETDOWN;
	return poolc_closed(&stk->pc);
}

int stk_lock(struct stk *stk)
{
	int err = stk_dead(stk);

	if (err)
		return err;
	busy++;
	err = lock_take(stk->hdr);
	if (err)
		busy--;
	return err;
}

void stk_unlock(struct stk *stk)
{
	lock_release(stk->hdr);
	busy--;
	/* Outside the lock: the doorbell may be a system call. */
	poolc_ring(&stk->pc);
}

void stk_free(struct stk *stk, const uint16_t *bufs, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		/* More than fits is found again when this process ends: the
		 * child asks jetringd what the port owns. */
		if (stk->n_defer == STK_DEFER_MAX && !stk_flush(stk))
			return;
		stk->defer[stk->n_defer++] = bufs[i];
	}
}

bool stk_flush(struct stk *stk)
{
	bool some = false;

	while (stk->n_defer) {
		unsigned int k = stk->n_defer > JS_OP_BUFS ? JS_OP_BUFS : stk->n_defer;

		if (poolc_free(&stk->q, stk->defer + stk->n_defer - k, k))
			break;
		stk->n_defer = (uint16_t)(stk->n_defer - k);
		some = true;
	}
	stk->defer_mark = stk->n_defer;
	return some;
}
