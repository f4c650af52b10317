/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stk.c - one process's view of a stack: mapping, lock, script queue, buffers
 *
 * Application and child.
 */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "stack/shm/commit.h"
#include "stack/shm/lock.h"
#include "stack/sock/sock.h"

#define CACHE_LOW	48	/* Tx buffers: three full segments */
#define CACHE_HIGH	160
#define COME_BACK_TRIES	50	/* new queues that are gone before we have them */

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

int stk_attach(struct stk *stk, const int fds[CM_INIT_NFDS], uint32_t queue, uint32_t place)
{
	int err;

	if (!place || place >= JS_N_PLACES)
		return -EINVAL;
	memset(stk, 0, sizeof(*stk));
	stk->place = place;
	fault_init();
	stk->kick_fd = fds[CM_INIT_KICK];
	stk->mem = map_checked(fds[CM_INIT_STACK], PROT_READ | PROT_WRITE,
			       JS_STACK_MAGIC, sizeof(*stk->mem));
	if (!stk->mem)
		return -errno;
	stk->hdr = &stk->mem->hdr;
	stk->socks = stk->mem->sock;
	stk->guard = map_checked(fds[CM_INIT_GUARD], PROT_READ, JS_GUARD_MAGIC,
				 sizeof(*stk->guard));
	if (!stk->guard) {
		err = -errno;
		goto unmap_stack;
	}
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
	munmap(stk->mem, sizeof(*stk->mem));
	stk->mem = NULL;
	stk->hdr = NULL;
	return err;
}

void stk_detach(struct stk *stk)
{
	if (!stk->hdr)
		return;
	poolc_close(&stk->pc);
	munmap(stk->guard, sizeof(*stk->guard));
	munmap(stk->mem, sizeof(*stk->mem));
	close(stk->kick_fd);
	memset(stk, 0, sizeof(*stk));
}

int stk_dead(const struct stk *stk)
{
	if (atomic_load_explicit(&stk->hdr->dead, memory_order_relaxed))
		return -ENETDOWN;
	return poolc_closed(&stk->pc);
}

/* --- lock ---------------------------------------------------------------------- */

/* Another thread of ours has been robbed of the lock, and has not noticed yet. */
static void wait_for_fenced(struct stk *stk, uint32_t tid)
{
	const struct timespec nap = { .tv_nsec = 100000 };

	if (syscall(SYS_tgkill, getpid(), tid, 0) < 0 && errno == ESRCH) {
		/* It never will.  What it left half done is the queue's. */
		atomic_store_explicit(&stk->lost, 1, memory_order_relaxed);
		atomic_compare_exchange_strong(&stk->holder, &tid, 0);
		return;
	}
	nanosleep(&nap, NULL);
}

/* The child takes the lock from the dead and the stopped when it needs it;
 * with nothing to do it does not. */
static void have_child_look(struct stk *stk)
{
	uint64_t one = 1;

	atomic_fetch_or(&stk->hdr->child_work, JS_WORK_LOCK);
	if (write(stk->kick_fd, &one, sizeof(one)) < 0)
		return;		/* full is as good as written */
}

static int enter(struct stk *stk)
{
	uint32_t me = lock_self();

	for (;;) {
		uint32_t holder = 0;
		int err = lock_take(stk->hdr, me);

		if (err == -ETIME) {
			have_child_look(stk);
			continue;
		}
		if (err)
			return err;
		/* acquire, pairs with store-release in leave() */
		if (atomic_compare_exchange_strong_explicit(&stk->holder, &holder, me,
							    memory_order_acquire,
							    memory_order_relaxed))
			return 0;
		lock_release(stk->hdr, me);
		wait_for_fenced(stk, holder);
		err = stk_dead(stk);
		if (err)
			return err;
	}
}

static void leave(struct stk *stk)
{
	uint32_t me = atomic_load_explicit(&stk->holder, memory_order_relaxed);

	stk->n_defer = stk->n_reuse = 0;	/* of a transaction that was given up */
	/* Before the lock is free: the next takes both. */
	if (!lock_is_held(stk->hdr, me))
		atomic_store_explicit(&stk->lost, 1, memory_order_relaxed);
	atomic_store_explicit(&stk->holder, 0, memory_order_release);
	if (!lock_release(stk->hdr, me))
		atomic_store_explicit(&stk->lost, 1, memory_order_relaxed);
}

int stk_lock(struct stk *stk)
{
	for (;;) {
		int err = stk_dead(stk);

		if (err)
			return err;
		busy++;
		err = enter(stk);
		if (!err) {
			/* One of our threads may have been robbed in leave(), and
			 * not have got as far as to say so. */
			stk_check_queue(stk);
			if (!atomic_load_explicit(&stk->lost, memory_order_relaxed))
				return 0;
			leave(stk);
		}
		busy--;
		if (!err)
			err = stk->on_lost ? stk->on_lost(stk) : -ENETDOWN;
		if (err)
			return err;
	}
}

void stk_unlock(struct stk *stk)
{
	leave(stk);
	busy--;
	/* Outside the lock: the doorbell may be a system call. */
	poolc_ring(&stk->pc);
}

/* --- a new script queue ----------------------------------------------------------- */

void stk_check_queue(struct stk *stk)
{
	if (!stk->is_child && poolc_queue_check(&stk->q) == -ESTALE)
		atomic_store_explicit(&stk->lost, 1, memory_order_relaxed);
}

int stk_reattach(struct stk *stk, uint32_t queue)
{
	struct poolc_queue old;
	int err;

	busy++;
	err = enter(stk);
	if (err) {
		busy--;
		return err;
	}
	poolc_space(&stk->q);	/* takes answers that have come */
	old = stk->q;
	err = poolc_queue_init(&stk->q, &stk->pc, queue);
	if (err) {
		stk->q = old;
	} else {
		stk->n_defer = stk->n_reuse = 0;
		stk->came_back = true;
		stk->bc.asked = 0;
		stk->bc.starved = false;
		bufcache_flush(&stk->bc, 0);
		stk->bc.n = 0;
		poolc_publish(&stk->q);
		atomic_store_explicit(&stk->lost, 0, memory_order_relaxed);
	}
	leave(stk);
	busy--;
	poolc_ring(&stk->pc);
	return err;
}

int stk_come_back(struct stk *stk, int (*new_queue)(uint32_t *queue))
{
	int err = -ESTALE;

	for (int tries = 0; err == -ESTALE && tries < COME_BACK_TRIES; tries++) {
		uint32_t queue = 0;

		err = new_queue(&queue);
		if (!err)
			err = stk_reattach(stk, queue);
	}
	return err;
}

/* --- returning buffers -------------------------------------------------------------- */

/* Somebody may write there who was fenced; the child frees it when he cannot. */
static bool is_held(const struct stk *stk, uint16_t id)
{
	uint32_t n = atomic_load_explicit(&stk->hdr->n_held, memory_order_relaxed);

	for (uint32_t i = 0; i < n && i < ARRAY_SIZE(stk->hdr->held); i++) {
		if (atomic_load_explicit(&stk->hdr->held[i], memory_order_relaxed) == id)
			return true;
	}
	return false;
}

void stk_free(struct stk *stk, const uint16_t *bufs, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		if (is_held(stk, bufs[i]))
			continue;
		/* More than a socket can hold: somebody wrote nonsense.  The
		 * child finds what nobody reaches. */
		if (stk->n_defer == STK_DEFER_MAX)
			return;
		stk->defer[stk->n_defer++] = bufs[i];
	}
}

void stk_reuse(struct stk *stk, const uint16_t *bufs, unsigned int n)
{
	/* More than so_snd holds: as above. */
	n = MIN(n, (unsigned int)(ARRAY_SIZE(stk->reuse) - stk->n_reuse));
	memcpy(stk->reuse + stk->n_reuse, bufs, n * sizeof(bufs[0]));
	stk->n_reuse = (uint16_t)(stk->n_reuse + n);
}

/* The child takes these, whatever becomes of us. */
static void leave_bufs(struct stk *stk)
{
	struct js_left *left = &stk->hdr->left[stk->place];
	uint64_t one = 1;

	while (stk->n_defer) {
		uint16_t id = stk->defer[--stk->n_defer];

		atomic_fetch_or_explicit(&left->map[id / 64], 1ull << id % 64,
					 memory_order_relaxed);
	}
	/* seq_cst: after the bits; the child takes this one first.  It sees its
	 * own before it sleeps. */
	if (!(atomic_fetch_or(&stk->hdr->child_work, JS_WORK_LEFT) & JS_WORK_LEFT) &&
	    !stk->is_child && write(stk->kick_fd, &one, sizeof(one)) < 0)
		return;		/* full is as good as written */
}

void stk_flush(struct stk *stk)
{
	unsigned int left = stk->n_reuse ?
		bufcache_put(&stk->bc, stk->reuse, stk->n_reuse) : 0;

	stk_free(stk, stk->reuse + (stk->n_reuse - left), left);
	stk->n_reuse = 0;
	while (stk->n_defer) {
		unsigned int k = MIN((unsigned int)stk->n_defer, (unsigned int)JS_OP_BUFS);

		if (poolc_free(&stk->q, stk->defer + stk->n_defer - k, k))
			break;
		stk->n_defer = (uint16_t)(stk->n_defer - k);
	}
	if (stk->n_defer)
		leave_bufs(stk);
}
