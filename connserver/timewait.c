/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * timewait.c - connections in TIME-WAIT, which no child has any more
 *
 * Runs in jetconnd.  What to say to a segment is the engine's business
 * (tcp_timewait.c); here are the table, the time, and the way of the answer.
 *
 * DOC: what reaches us
 *
 * A connection's private stream goes with its pool, and what is still sent
 * there is lost, as on a longer way.  Its peer sends FIN again to our
 * IP_DIVERT, and the rest from the second RTO on (via_divert() in
 * stack/sock/so_out.c); a kernel sends everything there.  The answer takes the
 * same way: to IP_DIVERT of the peer, where a flow rule or its server knows
 * whose it is.
 *
 * Records are in a list by the time they expire, which is the order they came
 * in, since all last equally long; so the end of the list is the one to drop
 * when there are too many.
 *
 * A bind-point keeps the port from other sockets, as TIME-WAIT does in Linux,
 * and ephemeral ports from being chosen again.  A passive connection has none.
 *
 * Differences from Linux: SO_REUSEADDR of the new socket suffices for bind(),
 * that of the old one is not asked for; a kernel socket cannot bind to the
 * port of a bind-point with it.  RST does not end TIME-WAIT (net.ipv4.tcp_rfc1337
 * is off there).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include "connserver/children.h"
#include "connserver/syn.h"
#include "connserver/timewait.h"
#include "stack/shm/cm.h"

#define RECORDS_MAX	65536
#define PAIR_BUCKETS	16384		/* a power of two */
#define PORT_BUCKETS	4096		/* a power of two */
#define LAST_US		60000000	/* 2 MSL, as in a child: TCP_MSL_US */

struct record {
	TAILQ_ENTRY(record) by_time;
	LIST_ENTRY(record) by_pair;
	LIST_ENTRY(record) by_port;	/* in bound or unbound */
	struct cm_addr local, peer;
	uint64_t until_us;
	int fd;				/* bind-point; -1 none */
	uint8_t ring_id;		/* of the peer */
	struct tcp_tw tw;
};

LIST_HEAD(record_list, record);

struct cs_timewait {
	uint64_t seed;
	unsigned int n, max;		/* records; each may have a descriptor */
	TAILQ_HEAD(, record) by_time;	/* the first expires first */
	struct record_list by_pair[PAIR_BUCKETS];
	/* By local port: those with a bind-point, and those without.  Apart, for
	 * a busy server's port has thousands of the latter. */
	struct record_list bound[PORT_BUCKETS], unbound[PORT_BUCKETS];
};

struct cs_timewait *cs_timewait_new(void)
{
	struct cs_timewait *t = calloc(1, sizeof(*t));
	struct rlimit rl;

	if (!t)
		return NULL;
	TAILQ_INIT(&t->by_time);
	t->max = RECORDS_MAX;
	/* Bind-points must leave descriptors for children and their messages. */
	if (!getrlimit(RLIMIT_NOFILE, &rl) && rl.rlim_cur / 2 < t->max)
		t->max = (unsigned int)(rl.rlim_cur / 2);
	if (getrandom(&t->seed, sizeof(t->seed), GRND_NONBLOCK) < 0)
		t->seed = 0;
	return t;
}

/* --- records -------------------------------------------------------------- */

static struct record_list *pair_bucket(struct cs_timewait *t, const struct cm_addr *local,
				       const struct cm_addr *peer)
{
	return &t->by_pair[cs_pair_hash(t->seed, local, peer) & (PAIR_BUCKETS - 1)];
}

static struct record *find(struct cs_timewait *t, const struct cm_addr *local,
			   const struct cm_addr *peer)
{
	struct record *r;

	if (!t->n)
		return NULL;
	LIST_FOREACH(r, pair_bucket(t, local, peer), by_pair)
		if (cm_addr_equal(&r->local, local) && cm_addr_equal(&r->peer, peer))
			return r;
	return NULL;
}

static void drop(struct cs_timewait *t, struct record *r)
{
	TAILQ_REMOVE(&t->by_time, r, by_time);
	LIST_REMOVE(r, by_pair);
	LIST_REMOVE(r, by_port);
	if (r->fd >= 0)
		close(r->fd);
	free(r);
	t->n--;
}

void cs_timewait_free(struct cs_timewait *t)
{
	while (t && t->n)
		drop(t, TAILQ_FIRST(&t->by_time));
	free(t);
}

int cs_timewait_add(struct cs_server *cs, const struct cm_msg *m, int fd)
{
	struct cs_timewait *t = cs->timewait;
	unsigned int port = m->local.port & (PORT_BUCKETS - 1);
	struct record *r;

	cs_timewait_forget(cs, &m->local, &m->peer);
	if (t->n >= t->max) {
		drop(t, TAILQ_FIRST(&t->by_time));
		cs_count(cs, CS_TW_EVICTED);
	}
	/* Without silence it would answer with RST, and keep nobody out. */
	if (fd >= 0 && cs_bind_point_silence(fd)) {
		cs_count(cs, CS_MSG_NO_FD);
		close(fd);
		fd = -1;
	}
	r = calloc(1, sizeof(*r));
	if (!r) {
		if (fd >= 0)
			close(fd);
		return -ENOMEM;
	}
	*r = (struct record){
		.local = m->local, .peer = m->peer, .until_us = cs->now_us + LAST_US,
		.fd = fd, .ring_id = (uint8_t)m->ring_id,
		.tw = {
			.snd_nxt = m->tw.snd_nxt, .rcv_nxt = m->tw.rcv_nxt,
			.ts_offset = m->tw.ts_offset, .ts_recent = m->tw.ts_recent,
			.wnd = m->tw.wnd, .has_ts = m->tw.has_ts,
		},
	};
	TAILQ_INSERT_TAIL(&t->by_time, r, by_time);
	LIST_INSERT_HEAD(pair_bucket(t, &r->local, &r->peer), r, by_pair);
	LIST_INSERT_HEAD(fd >= 0 ? &t->bound[port] : &t->unbound[port], r, by_port);
	t->n++;
	cs_count(cs, CS_TIME_WAITS);
	return 0;
}

int cs_timewait_connect(struct cs_server *cs, const struct cm_addr *local,
			const struct cm_addr *peer, uint32_t *iss)
{
	const struct record *r = find(cs->timewait, local, peer);

	if (!r)
		return 0;
	/* As Linux: what is late of the old connection has an older timestamp
	 * than the peer will have seen of the new one. */
	if (!r->tw.has_ts)
		return -EADDRNOTAVAIL;
	*iss = tcp_tw_iss(&r->tw);
	return 1;
}

void cs_timewait_forget(struct cs_server *cs, const struct cm_addr *local,
			const struct cm_addr *peer)
{
	struct record *r = find(cs->timewait, local, peer);

	if (r)
		drop(cs->timewait, r);
}

/* --- ports ---------------------------------------------------------------- */

/* Would a socket bound to @local be in the way of @r's, as Linux sees it? */
static bool overlaps(const struct record *r, const struct cm_addr *local)
{
	return r->local.port == local->port &&
	       (cm_addr_is_any(local) || cm_addr_same_host(&r->local, local));
}

bool cs_timewait_is_bound(struct cs_server *cs, const struct cm_addr *local)
{
	struct record *r;

	LIST_FOREACH(r, &cs->timewait->unbound[local->port & (PORT_BUCKETS - 1)], by_port)
		if (overlaps(r, local))
			return true;
	return false;
}

void cs_timewait_unbind(struct cs_server *cs, const struct cm_addr *local)
{
	struct cs_timewait *t = cs->timewait;
	unsigned int port = local->port & (PORT_BUCKETS - 1);
	struct record *r, *next;

	for (r = LIST_FIRST(&t->bound[port]); r; r = next) {
		next = LIST_NEXT(r, by_port);
		/* Whatever its address: the bind-point's may be the wildcard. */
		if (r->local.port != local->port)
			continue;
		close(r->fd);
		r->fd = -1;
		LIST_REMOVE(r, by_port);
		LIST_INSERT_HEAD(&t->unbound[port], r, by_port);
	}
}

/* --- segments ------------------------------------------------------------- */

/* 2 MSL begin now. */
static void restart(struct cs_server *cs, struct record *r)
{
	r->until_us = cs->now_us + LAST_US;
	TAILQ_REMOVE(&cs->timewait->by_time, r, by_time);
	TAILQ_INSERT_TAIL(&cs->timewait->by_time, r, by_time);
}

static void answer(struct cs_server *cs, const struct record *r, struct tcp_seg *seg)
{
	if (cs_syn_answer(cs, &r->local, &r->peer, seg,
			  vci_make(r->ring_id, JS_STREAM_IP_DIVERT), 0))
		cs_count(cs, CS_TW_ANSWERED);
}

enum cs_tw_found cs_timewait_packet(struct cs_server *cs, const struct cs_packet *p,
				    const struct cm_addr *local, const struct cm_addr *peer,
				    const struct tcp_seg *seg, uint32_t *iss)
{
	struct record *r = find(cs->timewait, local, peer);
	struct tcp_seg out;

	if (!r)
		return CS_TW_NONE;
	if (cs_syn_is_corrupt(p)) {
		cs_count(cs, CS_DROP_CHECKSUM);
		return CS_TW_DONE;
	}
	switch (tcp_tw_input(&r->tw, seg, cs->now_us, &out)) {
	case TCP_TW_OPEN:
		*iss = tcp_tw_iss(&r->tw);
		drop(cs->timewait, r);
		cs_count(cs, CS_TW_REOPENED);
		return CS_TW_OPEN;
	case TCP_TW_FIN:
		restart(cs, r);
		answer(cs, r, &out);
		break;
	case TCP_TW_ANSWER:
		answer(cs, r, &out);
		break;
	case TCP_TW_IGNORE:
		cs_count(cs, CS_DROP_TIME_WAIT);
		break;
	}
	return CS_TW_DONE;
}

/* --- time ----------------------------------------------------------------- */

uint64_t cs_timewait_deadline(const struct cs_server *cs)
{
	const struct record *r = TAILQ_FIRST(&cs->timewait->by_time);

	return r ? r->until_us : UINT64_MAX;
}

void cs_timewait_timers(struct cs_server *cs)
{
	while (cs_timewait_deadline(cs) <= cs->now_us)
		drop(cs->timewait, TAILQ_FIRST(&cs->timewait->by_time));
}
