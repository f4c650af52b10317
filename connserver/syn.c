/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * syn.c - where a packet from IP_DIVERT goes
 *
 * DOC: the way of a packet (paper, 4.4.7 and 4.4.8)
 *
 *	cs_syn_packet()
 *	  |  not TCP, or malformed ------------------------------> kernel
 *	  |  connection known by a Forward ----------------------> its VCI
 *	  |  connection in TIME-WAIT (timewait.c): answered -----> drop
 *	  |     a SYN that may open it anew goes on
 *	  |  SYN to a port on which a child listens
 *	  |     |  whose is it?  neighbour not known yet: PEND_NEIGH
 *	  |     |  does it announce an RxVCI of another station? -> drop
 *	  |     `- Syn to the child: PEND_ASKED
 *	  |           Divert, err 0: Forward is entered ----------> its VCI
 *	  |           Divert, -ECONNREFUSED ----------------------> kernel
 *	  |           Divert, -EAGAIN: SYN,ACK with a cookie -----> drop
 *	  |           Divert, other; or no answer for 3 s --------> drop
 *	  |  ACK of a cookie (flood.c): as a SYN
 *	  |  a new server that may not know all claims: PEND_HELD
 *	  |     after 0.3 s: once more from the top
 *	  `- all else ------------------------------------------> kernel
 *
 * What is dropped is sent again by its TCP: 1 s later, in the case of a SYN.
 * So nothing here is retried, and every table may be full.
 *
 * A pending packet stays in the port's buffers.  Their number is bounded,
 * too, or 16 SYNs with 60 KiB of data each would shut IP_DIVERT.
 *
 * A packet goes on with the UU||CPI it came with: the RxVCI that the
 * connector's adapter put there reaches the listener's pool (4.4.7).
 *
 * Runs in jetconnd.
 *
 * Differences from the paper: the SYN goes into the listener's pool only after
 * the child has made it (Divert), and the child is told the Ring ID of the
 * sender, which it needs for a kernel connector: the paper does not say how it
 * finds the way back.
 */
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

#include "abi/aal5.h"
#include "common/log.h"
#include "connserver/children.h"
#include "connserver/flood.h"
#include "connserver/syn.h"
#include "connserver/timewait.h"
#include "stack/engine/tcp.h"
#include "stack/shm/cm.h"

#define PENDING_MAX	256		/* packets; a power of two */
#define PENDING_BUFS	(CS_RX_BUFS / 2)	/* buffers of theirs, at most */
#define PENDING_BUSY	(PENDING_MAX / 4)	/* from so many on, SYNs get cookies */
#define PENDING_US	3000000		/* for an answer: the third SYN of Linux comes after 3 s */
#define HELD_US		300000		/* DESIGN 7: children find a new server within that */

/*
 * PEND_FREE	Operations: pending_new() -> any other
 * PEND_HELD	The server is new.  Operations: time -> FREE
 * PEND_NEIGH	A SYN, its sender's Ring ID is being found out.
 *		Operations: cs_syn_retry() -> ASKED or FREE; time -> FREE;
 *		another SYN of the tuple replaces the packet
 * PEND_ASKED	The child has a Syn.  Operations: Divert, child's end, time
 *		-> FREE; another SYN of the tuple replaces the packet.
 *		Caveats: the id is used up with it, a late Divert is stale
 */
enum pend_state { PEND_FREE, PEND_HELD, PEND_NEIGH, PEND_ASKED };

struct pending {
	enum pend_state state;
	uint32_t id;			/* of the Syn; index in its low bits */
	struct cs_child *child;		/* ASKED */
	struct cm_addr peer, local;	/* source and destination */
	uint32_t flags;			/* of the Syn: CM_* */
	uint32_t iss;			/* CM_ISS */
	struct cm_cookie cookie;	/* CM_COOKIE: the packet is no SYN, but its ACK */
	struct tcp_seg seg;		/* what the packet is */
	js_vci_t reply_vci;		/* ASKED: where a SYN,ACK goes */
	uint64_t until_us;
	struct cs_packet pkt;
};

struct cs_syn {
	unsigned int n;			/* not FREE */
	unsigned int n_bufs;		/* of all pkt */
	uint32_t next;			/* counts ids */
	struct pending pend[PENDING_MAX];
};

struct cs_syn *cs_syn_new(void)
{
	return calloc(1, sizeof(struct cs_syn));
}

void cs_syn_free(struct cs_syn *syn)
{
	free(syn);
}

bool cs_vci_is_ours(const struct cs_server *cs, js_vci_t vci)
{
	return vci <= JS_VCI_MAX && !vci_is_mcast(vci) && vci_ring_id(vci) == cs->ring_id &&
	       vci_stream(vci) >= JS_STREAM_FIRST;
}

/* --- ends of the way ------------------------------------------------------ */

static void to_kernel(struct cs_server *cs, const struct cs_packet *p)
{
	if (cs->sink->send(cs, p, vci_make(cs->ring_id, JS_STREAM_IP)))
		cs_count(cs, CS_TO_KERNEL);
}

static void drop(struct cs_server *cs, const struct cs_packet *p, enum cs_counter why)
{
	cs_count(cs, why);
	log_trace("packet dropped: %s", cs_counter_names[why]);
	cs->sink->drop(cs, p);
}

bool cs_syn_is_corrupt(const struct cs_packet *p)
{
	struct ip_pair pair;
	uint8_t tos;
	int ip_len = ip_parse(p->peek, p->sdu_len, &pair, &tos);
	uint32_t tcp_len;

	if (ip_len < 0)
		return true;
	if (p->n_peek < p->sdu_len)
		return false;
	tcp_len = p->sdu_len - (uint32_t)ip_len;
	return ip_csum_fold(ip_csum_add(ip_pseudo_sum(&pair, tcp_len), p->peek + ip_len,
					tcp_len)) != 0;
}

bool cs_syn_answer(struct cs_server *cs, const struct cm_addr *local, const struct cm_addr *peer,
		   struct tcp_seg *seg, js_vci_t vci, uint16_t uucpi)
{
	uint8_t hdr[40 + TCP_HDR_MAX], th[TCP_HDR_MAX];
	struct ip_pair pair;
	unsigned int ip_len, tcp_len;
	uint16_t csum;

	seg->sport = local->port;
	seg->dport = peer->port;
	memcpy(pair.src, local->addr, sizeof(pair.src));
	memcpy(pair.dst, peer->addr, sizeof(pair.dst));
	tcp_len = (unsigned int)tcp_seg_build(seg, th);
	csum = ip_csum_fold(ip_csum_add(ip_pseudo_sum(&pair, tcp_len), th, tcp_len));
	memcpy(th + 16, &csum, sizeof(csum));
	ip_len = (unsigned int)ip_build(hdr, &pair, tcp_len, 0, 0, 0);
	memcpy(hdr + ip_len, th, tcp_len);
	return cs->sink->answer(cs, hdr, ip_len + tcp_len, vci, uucpi);
}

/* --- packets that wait ---------------------------------------------------- */

static bool is_full(const struct cs_syn *syn, const struct cs_packet *p)
{
	return syn->n == PENDING_MAX || syn->n_bufs + p->n_buf > PENDING_BUFS;
}

static void pending_drop(struct cs_server *cs, struct pending *pe, enum cs_counter why);

/* SYNs from addresses that nobody has would wait for their neighbour until
 * there is no room for those of the living: the oldest of them goes. */
static void evict_neighbourless(struct cs_server *cs)
{
	struct pending *pe, *oldest = NULL;

	for (pe = cs->syn->pend; pe < cs->syn->pend + PENDING_MAX; pe++)
		if (pe->state == PEND_NEIGH && (!oldest || pe->until_us < oldest->until_us))
			oldest = pe;
	if (oldest)
		pending_drop(cs, oldest, CS_DROP_PENDING_FULL);
}

/* Make @p wait, as @state.  NULL: no room, it was dropped. */
static struct pending *pending_new(struct cs_server *cs, const struct cs_packet *p,
				   enum pend_state state, uint64_t wait_us)
{
	struct cs_syn *syn = cs->syn;
	struct pending *pe = syn->pend;

	if (is_full(syn, p))
		evict_neighbourless(cs);
	if (is_full(syn, p)) {
		drop(cs, p, CS_DROP_PENDING_FULL);
		return NULL;
	}
	while (pe->state != PEND_FREE)
		pe++;
	pe->state = state;
	/* Not the same again for 2^24 Syns. */
	pe->id = ++syn->next * PENDING_MAX + (uint32_t)(pe - syn->pend);
	pe->child = NULL;
	pe->flags = 0;
	pe->until_us = cs->now_us + wait_us;
	pe->pkt = *p;
	syn->n++;
	syn->n_bufs += p->n_buf;
	return pe;
}

/* It waits no more; @pe->pkt is the caller's, to be copied before it is given
 * away: what happens next may make another packet wait in its place. */
static void pending_end(struct cs_server *cs, struct pending *pe)
{
	cs->syn->n--;
	cs->syn->n_bufs -= pe->pkt.n_buf;
	pe->state = PEND_FREE;
}

static void pending_drop(struct cs_server *cs, struct pending *pe, enum cs_counter why)
{
	pending_end(cs, pe);
	drop(cs, &pe->pkt, why);
}

static struct pending *pending_syn(struct cs_syn *syn, const struct cm_addr *peer,
				   const struct cm_addr *local)
{
	struct pending *pe;

	for (pe = syn->pend; syn->n && pe < syn->pend + PENDING_MAX; pe++)
		if (pe->state > PEND_HELD && cm_addr_equal(&pe->peer, peer) &&
		    cm_addr_equal(&pe->local, local))
			return pe;
	return NULL;
}

/* The peer sent its SYN again: the newer one counts, the question stands.  The
 * ACK of a cookie makes room for the first data; what follows comes again. */
static void pending_replace(struct cs_server *cs, struct pending *pe, const struct cs_packet *p,
			    const struct tcp_seg *seg)
{
	struct cs_packet old = pe->pkt;

	if (p->uucpi != old.uucpi || (seg->flags & TH_SYN) != (pe->seg.flags & TH_SYN) ||
	    (pe->flags & CM_COOKIE && (pe->seg.len || seg->seq != pe->seg.seq))) {
		drop(cs, p, CS_DROP_CHANGED);
		return;
	}
	pe->seg = *seg;
	cs->syn->n_bufs += p->n_buf;
	cs->syn->n_bufs -= old.n_buf;
	pe->pkt = *p;
	cs->sink->drop(cs, &old);
}

/* --- a SYN for a listener ------------------------------------------------- */

/* The RxVCI that UU||CPI announces: 0 none, a kernel sent it; -EINVAL if it
 * is not one that @ring_id can have. */
static int announced_rxvci(uint16_t uucpi, unsigned int ring_id)
{
	js_vci_t vci = uucpi & JS_VCI_MAX;

	if (!uucpi)
		return 0;
	if (!(uucpi & JS_UUCPI_RXVCI) || vci_is_mcast(vci) || vci_ring_id(vci) != ring_id ||
	    vci_stream(vci) < JS_STREAM_FIRST)
		return -EINVAL;
	return vci;
}

/* Whose packet is it, and may it say what it says?  0, -EAGAIN not known yet;
 * else *why it is dropped. */
static int check_sender(struct cs_server *cs, const struct pending *pe, unsigned int *ring_id,
			int *rxvci, enum cs_counter *why)
{
	struct cm_addr local;
	int err = cs->net->ring_id(cs, &pe->peer, pe->state != PEND_NEIGH, ring_id, &local);

	*why = CS_DROP_NO_NEIGHBOUR;
	if (err)
		return err;
	*why = CS_DROP_MARTIAN;
	if (*ring_id == cs->ring_id && !(pe->pkt.flags & JS_RX_LOCAL))
		return -EINVAL;
	*why = CS_DROP_BAD_RXVCI;
	*rxvci = announced_rxvci(pe->pkt.uucpi, *ring_id);
	return *rxvci < 0 ? *rxvci : 0;
}

/* The SYN of @pe, to @l, is answered without asking the child. */
static void answer_with_cookie(struct cs_server *cs, struct pending *pe, struct cs_listener *l)
{
	if (cs_syn_is_corrupt(&pe->pkt)) {
		pending_drop(cs, pe, CS_DROP_CHECKSUM);
		return;
	}
	cs_flood_answer(cs, l, &pe->local, &pe->peer, &pe->seg, pe->reply_vci, pe->pkt.uucpi);
	pending_end(cs, pe);
	cs->sink->drop(cs, &pe->pkt);
}

/* What the child is to know besides whose SYN it is. */
static void fill_syn(struct cs_server *cs, struct pending *pe, const struct cs_listener *l,
		     struct cm_msg *m)
{
	/* Of the pair's TIME-WAIT nothing is left, and no cookie could follow it. */
	if (!pe->flags && cs_flood_is_on(cs)) {
		pe->flags = CM_MAY_REFUSE;
		if (cs_flood_iss(cs, l, &pe->local, &pe->peer, &pe->seg, pe->pkt.uucpi, &pe->iss))
			pe->flags |= CM_ISS;
	}
	m->flags = pe->flags;
	m->n = pe->flags & CM_ISS ? pe->iss : 0;
	if (pe->flags & CM_COOKIE)
		m->cookie = pe->cookie;
}

/* The SYN of @pe: ask its listener's child, or wait to know the sender. */
static void ask_child(struct cs_server *cs, struct pending *pe)
{
	struct cs_listener *l = cs_ports_listener(cs->ports, &pe->local, &pe->peer);
	struct cm_msg m = { .type = CM_SYN, .id = pe->id, .peer = pe->peer, .local = pe->local };
	unsigned int ring_id = 0;
	enum cs_counter why;
	int rxvci = 0;
	int err = check_sender(cs, pe, &ring_id, &rxvci, &why);

	if (err == -EAGAIN) {
		pe->state = PEND_NEIGH;
		return;
	}
	if (err) {
		pending_drop(cs, pe, why);
		return;
	}
	if (!l) {
		/* It has gone while we asked for the neighbour. */
		struct cs_packet pkt = pe->pkt;

		pending_end(cs, pe);
		to_kernel(cs, &pkt);
		return;
	}
	pe->reply_vci = rxvci ? (js_vci_t)rxvci : vci_make(ring_id, JS_STREAM_IP);
	if (!pe->flags && cs_flood_wants_cookie(cs, l, cs->syn->n > PENDING_BUSY)) {
		answer_with_cookie(cs, pe, l);
		return;
	}
	fill_syn(cs, pe, l, &m);
	m.sock = l->sock;
	m.gen = l->gen;
	m.rxvci = (uint16_t)rxvci;
	m.ring_id = (uint16_t)ring_id;
	m.family = cm_addr_is_v4(&pe->local) ? AF_INET : AF_INET6;
	if (cs_child_send(cs, l->child, &m, -1, false)) {
		pending_drop(cs, pe, CS_DROP_CHILD_FULL);
		return;
	}
	cs_count(cs, CS_SYNS);
	pe->state = PEND_ASKED;
	pe->child = l->child;
}

/* --- a packet ------------------------------------------------------------- */

/* What is looked at of a TCP segment. */
struct view {
	struct cm_addr src, dst;
	struct tcp_seg seg;
};

static bool look(const struct cs_packet *p, struct view *v)
{
	struct ip_pair pair;
	uint8_t tos;
	int hlen, tlen;

	/* Lengths are those of the packet; behind what we have of it are
	 * zeros, and IP and TCP headers are never longer than CS_PEEK. */
	if (p->n_peek < 20)
		return false;
	hlen = ip_parse(p->peek, p->sdu_len, &pair, &tos);
	if (hlen < 0 || hlen >= p->n_peek)
		return false;
	memset(v, 0, sizeof(*v));
	tlen = tcp_seg_parse(&v->seg, p->peek + hlen, (size_t)(p->n_peek - hlen));
	if (tlen < 0)
		return false;
	v->seg.len = p->sdu_len - (uint32_t)(hlen + tlen);
	memcpy(v->src.addr, pair.src, 16);
	memcpy(v->dst.addr, pair.dst, 16);
	v->src.port = v->seg.sport;
	v->dst.port = v->seg.dport;
	return true;
}

/* A SYN, or the ACK of one with a cookie.  @iss: the one to use, or NULL: the
 * child's own.  @cookie: NULL for a SYN. */
static void syn_to_listener(struct cs_server *cs, const struct cs_packet *p,
			    const struct view *v, const uint32_t *iss,
			    const struct cm_cookie *cookie)
{
	struct pending *pe = pending_syn(cs->syn, &v->src, &v->dst);

	if (pe) {
		pending_replace(cs, pe, p, &v->seg);
		return;
	}
	pe = pending_new(cs, p, PEND_ASKED, PENDING_US);
	if (!pe)
		return;
	pe->peer = v->src;
	pe->local = v->dst;
	pe->seg = v->seg;
	if (iss) {
		pe->flags = CM_ISS;
		pe->iss = *iss;
	}
	if (cookie) {
		pe->flags |= CM_COOKIE;
		pe->cookie = *cookie;
	}
	ask_child(cs, pe);
}

/* An ACK without connection: of a cookie?  Then it was taken over. */
static bool cookie_came_back(struct cs_server *cs, const struct cs_packet *p,
			     const struct view *v)
{
	const struct cs_listener *l = v->seg.flags & TH_ACK ?
				      cs_ports_listener(cs->ports, &v->dst, &v->src) : NULL;
	struct pending *pe = l ? pending_syn(cs->syn, &v->src, &v->dst) : NULL;
	uint32_t iss = v->seg.ack - 1;
	struct cm_cookie cookie;

	if (pe && pe->flags & CM_COOKIE && v->seg.ack == pe->seg.ack) {
		pending_replace(cs, pe, p, &v->seg);
		return true;
	}
	if (!l || !cs_flood_ack(cs, l, &v->dst, &v->src, &v->seg, &cookie))
		return false;
	if (cs_syn_is_corrupt(p))
		drop(cs, p, CS_DROP_CHECKSUM);
	else
		syn_to_listener(cs, p, v, &iss, &cookie);
	return true;
}

static bool is_opening(uint8_t flags)
{
	return (flags & (TH_SYN | TH_ACK | TH_RST | TH_FIN)) == TH_SYN;
}

static void route_packet(struct cs_server *cs, const struct cs_packet *p, bool may_hold)
{
	enum cs_tw_found tw;
	struct cs_forward *f;
	struct view v;
	uint32_t iss = 0;
	bool listens;

	if (!look(p, &v)) {
		to_kernel(cs, p);
		return;
	}
	f = cs_ports_connection(cs->ports, &v.dst, &v.src);
	if (f) {
		if (cs->sink->send(cs, p, f->vci))
			cs_count(cs, CS_FORWARDED);
		return;
	}
	listens = is_opening(v.seg.flags) && cs_ports_listener(cs->ports, &v.dst, &v.src) &&
		  cs->net->is_local(cs, &v.dst);
	tw = cs_timewait_packet(cs, p, &v.dst, &v.src, &v.seg, &iss);
	if (tw == CS_TW_DONE) {
		cs->sink->drop(cs, p);
	} else if (listens) {
		syn_to_listener(cs, p, &v, tw == CS_TW_OPEN ? &iss : NULL, NULL);
	} else if (cookie_came_back(cs, p, &v)) {
		return;
	} else if (may_hold && cs->now_us < cs->hold_until_us) {
		if (pending_new(cs, p, PEND_HELD, HELD_US))
			cs_count(cs, CS_HELD);
	} else {
		to_kernel(cs, p);
	}
}

void cs_syn_packet(struct cs_server *cs, const struct cs_packet *p)
{
	cs_count(cs, CS_PACKETS);
	route_packet(cs, p, true);
}

/* --- answers, and their absence ------------------------------------------- */

/* The child has refused what @pe is. */
static void refused(struct cs_server *cs, struct pending *pe, const struct cm_msg *m)
{
	struct cs_listener *l = cs_ports_listener(cs->ports, &pe->local, &pe->peer);
	struct cs_packet pkt = pe->pkt;

	if (m->err == -EAGAIN && l && l->child == pe->child && !(pe->flags & CM_COOKIE)) {
		cs_flood_full(cs, l, &m->listen);
		if (pe->flags & CM_MAY_REFUSE) {
			answer_with_cookie(cs, pe, l);
			return;
		}
	}
	pending_end(cs, pe);
	/* A listener that has just gone: the kernel says RST. */
	if (m->err == -ECONNREFUSED)
		to_kernel(cs, &pkt);
	else
		drop(cs, &pkt, m->err == -EUSERS ? CS_LISTEN_OVERFLOWS : CS_DROP_REFUSED);
}

void cs_syn_divert(struct cs_server *cs, struct cs_child *c, const struct cm_msg *m)
{
	struct pending *pe = &cs->syn->pend[m->id % PENDING_MAX];
	struct cs_packet pkt;
	int err = 0;

	if (pe->state != PEND_ASKED || pe->id != m->id || pe->child != c) {
		cs_count(cs, CS_MSG_STALE);
		return;
	}
	if (m->err) {
		refused(cs, pe, m);
		return;
	}
	if (!cs_vci_is_ours(cs, m->vci) || !cm_addr_equal(&m->local, &pe->local) ||
	    !cm_addr_equal(&m->peer, &pe->peer)) {
		cs_count(cs, CS_MSG_BAD_VALUE);
		err = -EINVAL;
	} else {
		err = cs_ports_forward(cs->ports, c, &pe->local, &pe->peer, m->vci);
		if (err)
			cs_count(cs, err == -EADDRINUSE ? CS_MSG_IN_USE : CS_MSG_TABLE_FULL);
	}
	if (err) {
		pending_drop(cs, pe, CS_DROP_BAD_DIVERT);
		return;
	}
	pkt = pe->pkt;
	pending_end(cs, pe);
	if (cs->sink->send(cs, &pkt, m->vci))
		cs_count(cs, CS_DIVERTED);
}

void cs_syn_retry(struct cs_server *cs)
{
	struct cs_syn *syn = cs->syn;
	struct pending *pe;

	for (pe = syn->pend; syn->n && pe < syn->pend + PENDING_MAX; pe++)
		if (pe->state == PEND_NEIGH)
			ask_child(cs, pe);
}

uint64_t cs_syn_deadline(const struct cs_server *cs)
{
	const struct cs_syn *syn = cs->syn;
	uint64_t at = UINT64_MAX;
	const struct pending *pe;

	for (pe = syn->pend; syn->n && pe < syn->pend + PENDING_MAX; pe++)
		if (pe->state != PEND_FREE && pe->until_us < at)
			at = pe->until_us;
	return at;
}

static void expire(struct cs_server *cs, struct pending *pe)
{
	struct cs_packet pkt = pe->pkt;

	switch (pe->state) {
	case PEND_HELD:
		pending_end(cs, pe);
		route_packet(cs, &pkt, false);
		break;
	case PEND_NEIGH:
		pending_drop(cs, pe, CS_DROP_NO_NEIGHBOUR);
		break;
	default:
		pending_drop(cs, pe, CS_DROP_EXPIRED);
	}
}

void cs_syn_timers(struct cs_server *cs)
{
	struct cs_syn *syn = cs->syn;
	struct pending *pe;

	if (cs_syn_deadline(cs) > cs->now_us)
		return;
	for (pe = syn->pend; pe < syn->pend + PENDING_MAX; pe++)
		if (pe->state != PEND_FREE && pe->until_us <= cs->now_us)
			expire(cs, pe);
}

void cs_syn_drop_child(struct cs_server *cs, const struct cs_child *c)
{
	struct cs_syn *syn = cs->syn;
	struct pending *pe;

	for (pe = syn->pend; syn->n && pe < syn->pend + PENDING_MAX; pe++)
		if (pe->state == PEND_ASKED && pe->child == c)
			pending_drop(cs, pe, CS_DROP_CHILD_GONE);
}

void cs_syn_flush(struct cs_server *cs)
{
	struct cs_syn *syn = cs->syn;
	struct pending *pe;

	for (pe = syn->pend; syn->n && pe < syn->pend + PENDING_MAX; pe++) {
		struct cs_packet pkt = pe->pkt;

		if (pe->state == PEND_FREE)
			continue;
		pending_end(cs, pe);
		/* A user-space listener's SYN is not the kernel's to answer. */
		if (pe->state == PEND_HELD)
			to_kernel(cs, &pkt);
		else
			cs->sink->drop(cs, &pkt);
	}
}
