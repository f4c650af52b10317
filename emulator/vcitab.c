/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vcitab.c - which pool, or the kernel, gets a frame that arrives
 *
 * Flow rules first (exact 5-tuple, on streams IP and IP_DIVERT, and on a port's
 * shared stream to its pools), then the VCI (paper, 4.4.7 and 4.4.8).  Knows nothing of TCP: a rule is an octet string
 * that others built; the one protocol number here is what DESIGN 7 says about
 * a parked IP_DIVERT.  Runs in jetringd.
 *
 * Private streams (32 to 1023) are handed out first-in first-out, and rest
 * STREAM_REUSE_NS after they were given back, so that a frame still on the
 * ring does not reach the next owner.  One that waits in the delay of a link
 * (impair.h) may: owners compare addresses (is_ours() of stack/sock/so_in.c).
 *
 * IP_DIVERT has three holders: the kernel's pool; the connection server's,
 * which took it from the kernel; nobody, parked, when the server died without
 * giving it back.
 */
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/clock.h"
#include "common/log.h"
#include "emulator/port.h"

#define N_PRIVATE	(JS_N_STREAMS - JS_STREAM_FIRST)

struct vcitab {
	uint16_t fifo[N_PRIVATE];	/* free private streams, oldest at fifo_head */
	unsigned int fifo_head, n_fifo;
	struct vci_binding mcast[JS_N_STREAMS];
	uint64_t park_until_ns;		/* IP_DIVERT is parked until then; 0: is not */
	struct rule **hash;
	uint32_t n_hash, n_rules;	/* n_hash: a power of two, or 0 */
	uint64_t seed;			/* applications choose ports: chains must not be theirs to choose */
};

/* --- streams ---------------------------------------------------------------- */

static void fifo_put(struct vcitab *t, unsigned int stream)
{
	assert(t->n_fifo < N_PRIVATE);
	t->fifo[(t->fifo_head + t->n_fifo++) % N_PRIVATE] = (uint16_t)stream;
}

static void fifo_remove(struct vcitab *t, unsigned int stream)
{
	unsigned int i, kept = 0;

	for (i = 0; i < t->n_fifo; i++) {
		uint16_t v = t->fifo[(t->fifo_head + i) % N_PRIVATE];

		if (v != stream)
			t->fifo[(t->fifo_head + kept++) % N_PRIVATE] = v;
	}
	t->n_fifo = kept;
}

/* To be called once for a station, before it joins the ring. */
void vcitab_init(struct station *s)
{
	struct vcitab *t = calloc(1, sizeof(*t));
	unsigned int i;

	memset(s->vci, 0, sizeof(s->vci));
	s->vci[JS_STREAM_IP].target = RX_KERNEL;
	s->vci[JS_STREAM_IP_DIVERT].target = RX_KERNEL;
	s->vci[JS_STREAM_ARP].target = RX_KERNEL;
	s->vcitab = t;
	if (!t) {
		/* The node works without pools: every bind will say -ENOMEM. */
		log_error("%s: no memory for the VCI table", s->name);
		return;
	}
	t->mcast[JS_STREAM_IP].target = RX_KERNEL;
	t->mcast[JS_STREAM_ARP].target = RX_KERNEL;
	for (i = JS_STREAM_FIRST; i < JS_N_STREAMS; i++)
		fifo_put(t, i);
	if (getrandom(&t->seed, sizeof(t->seed), GRND_NONBLOCK) < 0)
		t->seed = now_ns();
}

/* To be called when no pool of the station is left. */
void vcitab_fini(struct station *s)
{
	if (s->vcitab)
		free(s->vcitab->hash);
	free(s->vcitab);
	s->vcitab = NULL;
}

static struct vci_binding *binding(struct station *s, unsigned int stream)
{
	if (stream & JS_VCI_MCAST)
		return &s->vcitab->mcast[vci_stream((js_vci_t)stream)];
	return &s->vci[vci_stream((js_vci_t)stream)];
}

static bool is_private(unsigned int stream)
{
	return !(stream & JS_VCI_MCAST) && stream >= JS_STREAM_FIRST;
}

struct pool *vcitab_holder(const struct station *s, js_vci_t vci)
{
	const struct vci_binding *b;

	if (!s->vcitab)
		return NULL;
	if (!vci_is_mcast(vci) && vci_ring_id(vci) != s->ring_id)
		return NULL;
	b = vci_is_mcast(vci) ? &s->vcitab->mcast[vci_stream(vci)] : &s->vci[vci_stream(vci)];
	return b->target == RX_POOL ? b->pool : NULL;
}

/**
 * vcitab_bind() - Give a stream of this station to a pool
 * @stream:	A stream, or JS_VCI_MCAST | stream
 *
 * Takes it from the kernel's pool if that has it.  Who may ask for which
 * stream is the caller's business.
 *
 * Return: 0; -EADDRINUSE, a pool has it, or a private stream still rests
 */
int vcitab_bind(struct station *s, unsigned int stream, struct pool *p)
{
	struct vci_binding *b;

	if (!s->vcitab)
		return -ENOMEM;
	b = binding(s, stream);
	if (b->target == RX_POOL)
		return -EADDRINUSE;
	if (is_private(stream)) {
		if (b->free_at_ns > now_ns())
			return -EADDRINUSE;
		fifo_remove(s->vcitab, stream);
	}
	/* Parked: it is the kernel's in the end. */
	b->was_kernel = b->target == RX_KERNEL || b->target == RX_PARKED;
	b->target = RX_POOL;
	b->pool = p;
	if (stream == JS_STREAM_IP_DIVERT)
		s->vcitab->park_until_ns = 0;
	return 0;
}

void vcitab_unbind(struct station *s, unsigned int stream, struct pool *p, uint64_t now_ns)
{
	struct vci_binding *b = binding(s, stream);

	assert(b->target == RX_POOL && b->pool == p);
	b->target = b->was_kernel ? RX_KERNEL : RX_NONE;
	b->pool = NULL;
	b->was_kernel = false;
	if (is_private(stream)) {
		b->free_at_ns = now_ns + STREAM_REUSE_NS;
		fifo_put(s->vcitab, stream);
	}
}

void vcitab_orphan(struct station *s, unsigned int stream, struct pool *p, uint64_t now_ns)
{
	struct vci_binding *b = binding(s, stream);
	bool park = stream == JS_STREAM_IP_DIVERT && b->was_kernel;

	vcitab_unbind(s, stream, p, now_ns);
	if (!park)
		return;
	b->target = RX_PARKED;
	s->vcitab->park_until_ns = now_ns + PARK_NS;
	log_info("%s: IP_DIVERT is parked: the connection server has died", s->name);
}

/**
 * vcitab_alloc() - Give the private stream that is free for longest to a pool
 *
 * Return: the stream; -ENOSPC, all are taken or rest
 */
int vcitab_alloc(struct station *s, struct pool *p, uint64_t now_ns)
{
	struct vcitab *t = s->vcitab;
	struct vci_binding *b;
	unsigned int stream;

	if (!t || !t->n_fifo)
		return -ENOSPC;
	stream = t->fifo[t->fifo_head];
	b = &s->vci[stream];
	/* All others came later, so they rest for longer. */
	if (b->free_at_ns > now_ns)
		return -ENOSPC;
	t->fifo_head = (t->fifo_head + 1) % N_PRIVATE;
	t->n_fifo--;
	b->target = RX_POOL;
	b->pool = p;
	b->was_kernel = false;
	return (int)stream;
}

/* --- flow rules --------------------------------------------------------------- */

static uint64_t flow_hash(const struct vcitab *t, const struct js_flow *flow)
{
	uint64_t w[sizeof(*flow) / 8], h = t->seed;
	unsigned int i;

	static_assert(sizeof(*flow) % 8 == 0, "hashed in words");
	memcpy(w, flow, sizeof(w));
	for (i = 0; i < sizeof(*flow) / 8; i++) {
		/* The round of splitmix64: every bit of a word reaches every bit of h. */
		h = (h ^ w[i]) + 0x9e3779b97f4a7c15u;
		h = (h ^ h >> 30) * 0xbf58476d1ce4e5b9u;
		h = (h ^ h >> 27) * 0x94d049bb133111ebu;
		h ^= h >> 31;
	}
	return h;
}

/* Where the pointer to the rule for @flow is, or would be. */
static struct rule **rule_slot(const struct vcitab *t, const struct js_flow *flow)
{
	struct rule **rp = &t->hash[flow_hash(t, flow) & (t->n_hash - 1)];

	while (*rp && memcmp(&(*rp)->flow, flow, sizeof(*flow)) != 0)
		rp = &(*rp)->next;
	return rp;
}

/* Room for one more rule, one a chain on average.  0 or -ENOMEM. */
static int rules_grow(struct vcitab *t)
{
	uint32_t i, n_old = t->n_hash;
	struct rule **old = t->hash, **hash;

	if (t->n_rules < n_old)
		return 0;
	hash = calloc(n_old ? n_old * 2 : 64, sizeof(struct rule *));
	if (!hash)
		return n_old ? 0 : -ENOMEM;	/* longer chains work too */
	t->hash = hash;
	t->n_hash = n_old ? n_old * 2 : 64;
	for (i = 0; i < n_old; i++) {
		while (old[i]) {
			struct rule *r = old[i], **rp;

			old[i] = r->next;
			r->next = NULL;
			rp = rule_slot(t, &r->flow);
			*rp = r;
		}
	}
	free(old);
	return 0;
}

struct pool *rule_find(struct station *s, const struct js_flow *flow)
{
	struct rule *r;

	if (!s->vcitab || !s->vcitab->n_rules)
		return NULL;
	r = *rule_slot(s->vcitab, flow);
	return r ? r->pool : NULL;
}

int rule_add(struct station *s, const struct js_flow *flow, struct pool *p)
{
	struct vcitab *t = s->vcitab;
	struct rule *r, **rp;

	if (!t || rules_grow(t) < 0)
		return -ENOMEM;
	rp = rule_slot(t, flow);
	if (*rp)
		return -EADDRINUSE;
	r = p->first.pool ? calloc(1, sizeof(*r)) : &p->first;
	if (!r)
		return -ENOMEM;
	r->flow = *flow;
	r->pool = p;
	r->next = NULL;		/* the pool's own may have had one */
	*rp = r;
	LIST_INSERT_HEAD(&p->rules, r, of_pool);
	t->n_rules++;
	return 0;
}

int rule_del(struct station *s, const struct js_flow *flow, const struct pool *p)
{
	struct vcitab *t = s->vcitab;
	struct rule *r, **rp;

	if (!t || !t->n_rules)
		return -ENOENT;
	rp = rule_slot(t, flow);
	r = *rp;
	if (!r || r->pool != p)
		return -ENOENT;
	*rp = r->next;
	LIST_REMOVE(r, of_pool);
	t->n_rules--;
	if (r == &r->pool->first)
		r->pool = NULL;
	else
		free(r);
	return 0;
}

void rules_drop_pool(struct station *s, const struct pool *p)
{
	struct rule *r;

	while ((r = LIST_FIRST(&p->rules)))
		if (rule_del(s, &r->flow, p) < 0)
			break;
}

/* --- arrival -------------------------------------------------------------------- */

/**
 * flow_of() - Read the 5-tuple of a packet, and its protocol
 * @f:		Only iov[0], its private memory, is looked at
 * @flow:	Filled, resv 0
 * @proto:	Protocol number, also where there is no 5-tuple; -1 not IP
 *
 * Return: false if there is none: not IP, too short, or a fragment, whose
 * ports are not there or are not the datagram's
 */
static bool flow_of(const struct frame *f, struct js_flow *flow, int *proto)
{
	const uint8_t *ip = f->iov[0].iov_base;
	size_t l4, len = f->n_iov ? f->iov[0].iov_len : 0;

	*proto = -1;
	if (len < 20)
		return false;
	memset(flow, 0, sizeof(*flow));
	if (ip[0] >> 4 == 4) {
		l4 = (size_t)(ip[0] & 0xf) * 4;
		*proto = ip[9];
		/* MF, or an offset */
		if (l4 < 20 || (ip[6] & 0x3f) || ip[7])
			return false;
		flow->src[10] = flow->src[11] = 0xff;
		flow->dst[10] = flow->dst[11] = 0xff;
		memcpy(flow->src + 12, ip + 12, 4);
		memcpy(flow->dst + 12, ip + 16, 4);
	} else if (ip[0] >> 4 == 6) {
		if (len < 40)
			return false;
		l4 = 40;
		/* Behind an extension header nothing matches: proto is its number. */
		*proto = ip[6];
		memcpy(flow->src, ip + 8, 16);
		memcpy(flow->dst, ip + 24, 16);
	} else {
		return false;
	}
	if (len < l4 + 4)
		return false;
	flow->proto = (uint8_t)*proto;
	memcpy(&flow->sport_be, ip + l4, 2);
	memcpy(&flow->dport_be, ip + l4 + 2, 2);
	return true;
}

/* IP_DIVERT without a connection server. */
static enum rx_target parked(struct station *s, int proto)
{
	struct vcitab *t = s->vcitab;

	if (now_ns() >= t->park_until_ns) {
		t->park_until_ns = 0;
		s->vci[JS_STREAM_IP_DIVERT].target = RX_KERNEL;
		log_warn("%s: no connection server came, IP_DIVERT is the kernel's again", s->name);
		return RX_KERNEL;
	}
	if (proto != IPPROTO_TCP)
		return RX_KERNEL;
	s->st.rx_parked++;
	return RX_PARKED;
}

const char *vcitab_divert_holder(const struct station *s)
{
	const struct vci_binding *b = &s->vci[JS_STREAM_IP_DIVERT];

	if (b->target == RX_PARKED && now_ns() < s->vcitab->park_until_ns)
		return "parked";
	return b->target == RX_POOL ? "pool" : "kernel";
}

/* Flow rules come before @b, which is stream @stream. */
static bool has_rules(const struct vci_binding *b, unsigned int stream)
{
	return stream == JS_STREAM_IP || stream == JS_STREAM_IP_DIVERT ||
	       (b->target == RX_POOL && b->pool->is_shared);
}

/* The rule's pool may have what came on @b: on a shared stream only those of
 * the port whose it is. */
static bool rule_holds(const struct vci_binding *b, unsigned int stream, const struct pool *pool)
{
	return pool && (stream < JS_STREAM_FIRST || pool->port == b->pool->port);
}

/**
 * vcitab_lookup() - Where a frame that arrives goes
 * @f:		For this station: its Ring ID, or a multicast VCI
 * @pool:	Set for RX_POOL
 * @by_rule:	Set: a flow rule decided
 */
enum rx_target vcitab_lookup(struct station *s, const struct frame *f, struct pool **pool,
			     bool *by_rule)
{
	unsigned int stream = vci_stream(f->vci);
	struct vcitab *t = s->vcitab;
	const struct vci_binding *b;
	struct js_flow flow;
	int proto = -1;

	*by_rule = false;
	*pool = NULL;
	if (vci_is_mcast(f->vci)) {
		if (!t)
			return RX_NONE;
		b = &t->mcast[stream];
		*pool = b->pool;
		return b->target;
	}
	b = &s->vci[stream];
	if (t && has_rules(b, stream) && (t->n_rules || b->target == RX_PARKED) &&
	    flow_of(f, &flow, &proto)) {
		*pool = rule_find(s, &flow);
		if (rule_holds(b, stream, *pool)) {
			*by_rule = true;
			return RX_POOL;
		}
	}
	if (b->target == RX_PARKED)
		return parked(s, proto);
	*pool = b->pool;
	return b->target;
}
