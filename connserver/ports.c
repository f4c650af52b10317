/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ports.c - who listens where (Listen), and which connection is whose (Forward)
 *
 * Runs in jetconnd.  The bind-points keep two stacks from having one port;
 * what is refused here is a child that claims what it cannot have.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "abi/shmseg.h"
#include "connserver/ports.h"
#include "stack/shm/cm.h"

#define PORT_BUCKETS	256	/* a power of two */
#define PAIR_BUCKETS	4096	/* a power of two */
#define LISTENERS_MAX	JS_N_SOCKS		/* of a child */
#define FORWARDS_MAX	(2 * JS_N_SOCKS)	/* of a child: sockets, and connections not accepted yet */

struct cs_ports {
	uint64_t seed;		/* peers choose ports: they must not choose buckets */
	LIST_HEAD(, cs_listener) by_port[PORT_BUCKETS];
	LIST_HEAD(, cs_forward) by_pair[PAIR_BUCKETS];
};

struct cs_ports *cs_ports_new(void)
{
	struct cs_ports *ports = calloc(1, sizeof(*ports));

	if (!ports)
		return NULL;
	/* Without entropy (early boot) a seed of 0 does. */
	if (getrandom(&ports->seed, sizeof(ports->seed), GRND_NONBLOCK) < 0)
		ports->seed = 0;
	return ports;
}

void cs_ports_free(struct cs_ports *ports)
{
	free(ports);
}

/* --- listeners ------------------------------------------------------------ */

static bool listens_on(const struct cs_listener *l, const uint8_t addr[16], uint16_t port)
{
	return l->local.port == port && !memcmp(l->local.addr, addr, 16);
}

static void listener_free(struct cs_listener *l)
{
	LIST_REMOVE(l, by_port);
	LIST_REMOVE(l, by_child);
	cs_child_claims(l->child)->n_listeners--;
	free(l);
}

/* The entry that the Listen @m is about, or NULL: a new one, if *err is 0. */
static struct cs_listener *listener_for(struct cs_ports *ports, const struct cs_child *child,
					const struct cm_msg *m, int *err)
{
	struct cs_listener *l, *own = NULL;

	*err = 0;
	LIST_FOREACH(l, &ports->by_port[m->local.port & (PORT_BUCKETS - 1)], by_port) {
		bool share = l->flags & m->flags & CM_LS_REUSEPORT;

		if (!listens_on(l, m->local.addr, m->local.port))
			continue;
		if (l->child == child && (l->sock == m->sock || !share))
			own = l;
		else if (!share)
			*err = -EADDRINUSE;
	}
	return own;
}

int cs_ports_listen(struct cs_ports *ports, struct cs_child *child, const struct cm_msg *m)
{
	struct cs_claims *claims = cs_child_claims(child);
	int err;
	struct cs_listener *l = listener_for(ports, child, m, &err);

	if (err)
		return err;
	if (!l) {
		if (claims->n_listeners >= LISTENERS_MAX)
			return -ENOSPC;
		l = calloc(1, sizeof(*l));
		if (!l)
			return -ENOMEM;
		l->child = child;
		l->local = m->local;
		LIST_INSERT_HEAD(&ports->by_port[m->local.port & (PORT_BUCKETS - 1)], l, by_port);
		LIST_INSERT_HEAD(&claims->listeners, l, by_child);
		claims->n_listeners++;
	}
	l->sock = m->sock;
	l->gen = m->gen;
	l->flags = m->flags & (CM_LS_V6ONLY | CM_LS_REUSEPORT);
	l->told = m->listen;
	return 0;
}

int cs_ports_unlisten(struct cs_ports *ports, struct cs_child *child,
		      const struct cm_addr *local, uint32_t sock, uint32_t gen)
{
	struct cs_listener *l;

	/* A socket of this child may have taken the address over meanwhile. */
	LIST_FOREACH(l, &ports->by_port[local->port & (PORT_BUCKETS - 1)], by_port) {
		if (!listens_on(l, local->addr, local->port) || l->child != child ||
		    l->sock != sock || l->gen != gen)
			continue;
		listener_free(l);
		return 0;
	}
	return -ENOENT;
}

/* The @nth of those at @addr that take what is sent to @dst; NULL, and *n is how
 * many there are. */
static struct cs_listener *listener_nth(struct cs_ports *ports, const uint8_t addr[16],
					const struct cm_addr *dst, unsigned int nth,
					unsigned int *n)
{
	struct cs_listener *l;

	*n = 0;
	LIST_FOREACH(l, &ports->by_port[dst->port & (PORT_BUCKETS - 1)], by_port) {
		if (!listens_on(l, addr, dst->port) ||
		    (l->flags & CM_LS_V6ONLY && cm_addr_is_v4(dst)))
			continue;
		if ((*n)++ == nth)
			return l;
	}
	return NULL;
}

static struct cs_listener *listener_at(struct cs_ports *ports, const uint8_t addr[16],
				       const struct cm_addr *dst, const struct cm_addr *src)
{
	unsigned int n;

	listener_nth(ports, addr, dst, UINT_MAX, &n);
	if (!n)
		return NULL;
	return listener_nth(ports, addr, dst,
			    n == 1 ? 0 : (unsigned int)(cs_pair_hash(ports->seed, dst, src) % n), &n);
}

struct cs_listener *cs_ports_listener(struct cs_ports *ports, const struct cm_addr *dst,
				      const struct cm_addr *src)
{
	static const uint8_t any4[16] = { [10] = 0xff, [11] = 0xff };
	static const uint8_t any6[16];
	struct cs_listener *l = listener_at(ports, dst->addr, dst, src);

	if (!l && cm_addr_is_v4(dst))
		l = listener_at(ports, any4, dst, src);
	/* A socket that listens on :: takes IPv4 too, if not IPV6_V6ONLY. */
	if (!l)
		l = listener_at(ports, any6, dst, src);
	return l;
}

/* --- connections ---------------------------------------------------------- */

static uint64_t mix(uint64_t h, uint64_t x)
{
	/* splitmix64's finaliser: every bit of x reaches every bit of h. */
	h = (h ^ x) + 0x9e3779b97f4a7c15u;
	h = (h ^ h >> 30) * 0xbf58476d1ce4e5b9u;
	h = (h ^ h >> 27) * 0x94d049bb133111ebu;
	return h ^ h >> 31;
}

uint64_t cs_pair_hash(uint64_t seed, const struct cm_addr *local, const struct cm_addr *peer)
{
	uint64_t word[4], h = seed;
	int i;

	memcpy(&word[0], local->addr, 16);
	memcpy(&word[2], peer->addr, 16);
	for (i = 0; i < 4; i++)
		h = mix(h, word[i]);
	return mix(h, (uint64_t)local->port << 16 | peer->port);
}

static unsigned int pair_bucket(const struct cs_ports *ports, const struct cm_addr *local,
				const struct cm_addr *peer)
{
	return (unsigned int)(cs_pair_hash(ports->seed, local, peer) & (PAIR_BUCKETS - 1));
}

static struct cs_forward *forward_find(struct cs_ports *ports, unsigned int bucket,
				       const struct cm_addr *local, const struct cm_addr *peer)
{
	struct cs_forward *f;

	LIST_FOREACH(f, &ports->by_pair[bucket], by_pair)
		if (cm_addr_equal(&f->local, local) && cm_addr_equal(&f->peer, peer))
			return f;
	return NULL;
}

static void forward_free(struct cs_forward *f)
{
	LIST_REMOVE(f, by_pair);
	LIST_REMOVE(f, by_child);
	cs_child_claims(f->child)->n_forwards--;
	free(f);
}

int cs_ports_forward(struct cs_ports *ports, struct cs_child *child,
		     const struct cm_addr *local, const struct cm_addr *peer, js_vci_t vci)
{
	struct cs_claims *claims = cs_child_claims(child);
	unsigned int bucket = pair_bucket(ports, local, peer);
	struct cs_forward *f = forward_find(ports, bucket, local, peer);

	if (f && f->child != child)
		return -EADDRINUSE;
	if (!f) {
		if (claims->n_forwards >= FORWARDS_MAX)
			return -ENOSPC;
		f = calloc(1, sizeof(*f));
		if (!f)
			return -ENOMEM;
		f->child = child;
		f->local = *local;
		f->peer = *peer;
		LIST_INSERT_HEAD(&ports->by_pair[bucket], f, by_pair);
		LIST_INSERT_HEAD(&claims->forwards, f, by_child);
		claims->n_forwards++;
	}
	f->vci = vci;
	return 0;
}

int cs_ports_unforward(struct cs_ports *ports, struct cs_child *child,
		       const struct cm_addr *local, const struct cm_addr *peer)
{
	struct cs_forward *f = cs_ports_connection(ports, local, peer);

	if (!f || f->child != child)
		return -ENOENT;
	forward_free(f);
	return 0;
}

struct cs_forward *cs_ports_connection(struct cs_ports *ports, const struct cm_addr *local,
				       const struct cm_addr *peer)
{
	return forward_find(ports, pair_bucket(ports, local, peer), local, peer);
}

void cs_ports_drop_child(struct cs_child *child)
{
	struct cs_claims *claims = cs_child_claims(child);
	struct cs_listener *l, *next_l;
	struct cs_forward *f, *next_f;

	for (l = LIST_FIRST(&claims->listeners); l; l = next_l) {
		next_l = LIST_NEXT(l, by_child);
		listener_free(l);
	}
	for (f = LIST_FIRST(&claims->forwards); f; f = next_f) {
		next_f = LIST_NEXT(f, by_child);
		forward_free(f);
	}
}
