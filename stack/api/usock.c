/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * usock.c - user-space sockets as this process knows them
 *
 * A descriptor leads to a socket's index and generation (fdtable.c), those to
 * the shared state and to the record of what only this process knows: the
 * address it bound, options to be read back.  fork() copies the records.
 */
#include <string.h>

#include "stack/api/api.h"

static struct sockrec recs[JS_N_SOCKS];
/* Few are set on a socket, on most none: the first of all sockets lie side by
 * side, and what is not set costs no page. */
static struct opt_val opts[OPT_MAX][JS_N_SOCKS];

struct opt_val *usock_opt_val(const struct sockrec *rec, unsigned int i)
{
	return &opts[i][rec - recs];
}

/* A socket that somebody else in the application made: an empty record. */
static void rec_reset(struct sockrec *rec, uint32_t gen, int family)
{
	memset(rec, 0, sizeof(*rec));
	rec->family = (uint16_t)family;
	rec->fork_mark = link_fork_mark();
	/* store-release, pairs with the load in usock_get_slow() */
	atomic_store_explicit(&rec->gen, gen, memory_order_release);
}

static void fill(struct usock *u, int fd, struct stk *stk, uint32_t sock, uint32_t gen)
{
	u->fd = fd;
	u->sock = sock;
	u->gen = gen;
	u->stk = stk;
	u->js = &stk->socks[sock];
	u->rec = &recs[sock];
}

int usock_get_slow(int fd, struct fd_ent e, struct usock *u)
{
	struct stk *stk = link_stk();

	if (!stk)
		return link_down_err();
	if (e.idx >= JS_N_SOCKS)
		return 0;
	fill(u, fd, stk, e.idx, e.gen);
	/* Released: the descriptor was closed behind our back, and what has
	 * its number now is the kernel's. */
	if (atomic_load_explicit(&u->js->gen, memory_order_acquire) != e.gen) {
		fdtable_drop_if(fd, e);
		return 0;
	}
	if (atomic_load_explicit(&u->rec->gen, memory_order_acquire) != e.gen)
		rec_reset(u->rec, e.gen, usock_opts(u) & JS_SO_V6 ? AF_INET6 : AF_INET);
	return 1;
}

int usock_enter(int fd, uint32_t sock, uint32_t gen, int family, struct usock *u)
{
	struct stk *stk = link_stk();

	if (!stk)
		return link_down_err();
	if (sock >= JS_N_SOCKS)
		return -EPROTO;
	fill(u, fd, stk, sock, gen);
	rec_reset(u->rec, gen, family);
	return fdtable_set(fd, (struct fd_ent){
		.kind = FD_USER, .idx = (uint16_t)sock, .gen = gen });
}

void usock_forked(void)
{
	uint32_t i;

	for (i = 0; i < JS_N_SOCKS; i++)
		if (atomic_load_explicit(&recs[i].pollers, memory_order_relaxed))
			atomic_store(&recs[i].pollers, 0);
}

bool usock_opt_bit(struct usock *u, uint32_t bit, bool on)
{
	uint32_t old = on ? atomic_fetch_or(&u->js->opts, bit) :
			    atomic_fetch_and(&u->js->opts, ~bit);

	return old & bit;
}

struct cm_msg usock_msg(const struct usock *u, uint16_t type)
{
	return (struct cm_msg){ .type = type, .sock = u->sock, .gen = u->gen };
}
