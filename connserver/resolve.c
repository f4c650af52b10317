/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * resolve.c - the children's questions for a Ring ID (Resolve)
 *
 * Runs in jetconnd.  Asking is neighbours.c's business; here the questions
 * wait that it cannot answer yet.
 */
#include <errno.h>
#include <stdlib.h>

#include "connserver/children.h"
#include "connserver/resolve.h"
#include "connserver/timewait.h"
#include "stack/shm/cm.h"

#define WAITERS_MAX	256
#define RESOLVE_US	3000000	/* Linux gives up after three ARP requests, a second each */

struct waiter {
	struct cs_child *child;		/* NULL: free */
	uint32_t id, sock, gen;		/* of the question */
	struct cm_addr local, peer;	/* local: as far as it is bound */
	uint64_t until_us;
};

struct cs_resolve {
	unsigned int n;			/* in use */
	struct waiter waiter[WAITERS_MAX];
};

struct cs_resolve *cs_resolve_new(void)
{
	return calloc(1, sizeof(struct cs_resolve));
}

void cs_resolve_free(struct cs_resolve *r)
{
	free(r);
}

static void waiter_free(struct cs_resolve *r, struct waiter *w)
{
	w->child = NULL;
	r->n--;
}

/* Answer @w if there is an answer.  False: it must wait. */
static bool try_answer(struct cs_server *cs, const struct waiter *w, bool ask, bool last)
{
	struct cm_msg reply = {
		.type = CM_RESOLVE_REPLY, .id = w->id, .sock = w->sock, .gen = w->gen,
		.peer = w->peer,
	};
	unsigned int ring_id = 0;

	reply.err = cs->net->ring_id(cs, &w->peer, ask, &ring_id, &reply.local);
	if (reply.err == -EAGAIN) {
		if (!last)
			return false;
		reply.err = -EHOSTUNREACH;
	}
	reply.local.port = w->local.port;
	if (!cm_addr_is_any(&w->local))
		reply.local = w->local;
	/* A port that was bound may have been used for this peer just now. */
	if (!reply.err)
		reply.err = cs_timewait_connect(cs, &reply.local, &w->peer, &reply.n);
	if (reply.err == 1) {
		reply.err = 0;
		reply.flags = CM_ISS;
	}
	reply.ring_id = (uint16_t)ring_id;
	cs_child_send(cs, w->child, &reply, -1, true);
	return true;
}

void cs_resolve(struct cs_server *cs, struct cs_child *c, const struct cm_msg *m)
{
	const struct waiter asked = {
		.child = c, .id = m->id, .sock = m->sock, .gen = m->gen,
		.local = m->local, .peer = m->peer, .until_us = cs->now_us + RESOLVE_US,
	};
	struct cs_resolve *r = cs->resolve;
	bool is_full = r->n == WAITERS_MAX;
	struct waiter *w = r->waiter;

	if (is_full)
		cs_count(cs, CS_MSG_TABLE_FULL);
	if (try_answer(cs, &asked, true, is_full))
		return;
	while (w->child)
		w++;
	*w = asked;
	r->n++;
}

void cs_resolve_retry(struct cs_server *cs)
{
	struct cs_resolve *r = cs->resolve;
	struct waiter *w;

	for (w = r->waiter; r->n && w < r->waiter + WAITERS_MAX; w++)
		if (w->child && try_answer(cs, w, false, w->until_us <= cs->now_us))
			waiter_free(r, w);
}

uint64_t cs_resolve_deadline(const struct cs_server *cs)
{
	const struct cs_resolve *r = cs->resolve;
	uint64_t at = UINT64_MAX;
	const struct waiter *w;

	for (w = r->waiter; r->n && w < r->waiter + WAITERS_MAX; w++)
		if (w->child && w->until_us < at)
			at = w->until_us;
	return at;
}

void cs_resolve_timers(struct cs_server *cs)
{
	if (cs_resolve_deadline(cs) <= cs->now_us)
		cs_resolve_retry(cs);
}

void cs_resolve_drop_child(struct cs_server *cs, const struct cs_child *c)
{
	struct cs_resolve *r = cs->resolve;
	struct waiter *w;

	for (w = r->waiter; r->n && w < r->waiter + WAITERS_MAX; w++)
		if (w->child == c)
			waiter_free(r, w);
}
