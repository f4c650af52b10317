/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * script.c - running what clients put into their script queues
 *
 * DOC: the way of an op (paper, section 3: scripts; 4.7: templates)
 *
 * Nothing that a client can write is used twice.  port_fetch() reads tail
 * once and checks it against what it knows; op_copy() copies the op once, and
 * from then on only the copy is looked at.  So a client that changes an op
 * while it runs has only chosen when to change it.
 *
 *	sh->tail  --- acquire ---> port_fetch()
 *	sh->op[i] --- one copy ---> op_run() --> op_alloc() op_free(): finished
 *	                                     \-> op_send(): checked, a struct send
 *	q->pend (per queue) ... ports_tx_next() ... ring ... send_done(): finished
 *	finished: op.status, then done, in order, both store-release
 *
 * A SEND is checked when it is fetched: its pool is the port's and open to
 * this queue, its pieces are the port's and inside their buffers, the header
 * (copied to private memory, where it is sent from) matches the template.
 * After that it is sent whatever its client does; memory of the payload may
 * change, then the receiver sees a bad CRC or what the client wrote last.
 *
 * There is a struct send for each slot of each open queue, so fetching never
 * waits for the ring: an ALLOC behind many SENDs is answered at once, while
 * the SENDs wait in q->pend.  The ring takes turns: ports, of a port the frame
 * that was made first.
 *
 * Waking: see abi/pool.h.  A port that rang its doorbell goes to the active
 * list: its db_sleep is JS_AWAKE, and ports_poll() looks at its queues.  When
 * we sleep all on the list are told (JS_ASLEEP), then looked at once more.  A
 * port that has been quiet for long leaves the list, asleep, so that hundreds
 * of idle ports cost nothing.
 *
 * Runs in jetringd.
 */
#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/util.h"
#include "emulator/port.h"

/* --- finishing ops ------------------------------------------------------------ */

static void squeue_bump_epoch(struct squeue *q)
{
	q->epoch++;
	/* store-release: who sees the epoch sees the indices that go with it
	 * (load-acquire in poolc_queue_init()) */
	atomic_store_explicit(&q->sh->epoch, q->epoch, memory_order_release);
}

/* No SEND of it is queued or on the ring. */
void squeue_free(struct squeue *q)
{
	free(q->send);
	q->send = NULL;
}

/* All its SENDs have left.  Queue 0 is the opener's for good. */
static void squeue_release(struct squeue *q)
{
	q->state = SQ_FREE;
	q->freed_nr = ++q->port->freed_nr;
	if (q->idx == 0 && !q->port->is_closing) {
		squeue_open(q);		/* has its memory: cannot fail */
		return;
	}
	squeue_free(q);
}

static void op_finish(struct squeue *q, uint32_t slot, uint16_t status)
{
	uint32_t i = slot % JS_QUEUE_OPS;

	/* store-release, pairs with load-acquire of a producer that reads a
	 * result in place (the buffer cache) */
	atomic_store_explicit(&q->sh->op[i].status, status, memory_order_release);
	q->fin[i / 64] |= 1ull << (i % 64);
}

static bool space_event(struct squeue *q)
{
	struct js_event ev = { .type = JS_EV_SPACE, .pool = q->idx };

	memset(ev.buf, 0xff, sizeof(ev.buf));
	return event_put(q->port, &ev, false);
}

/* Owed since the event queue was full.  Called now and then. */
void squeue_space_events(struct port *p)
{
	unsigned int i;

	for (i = 0; i < JS_N_QUEUES && p->space_due; i++)
		if (p->space_due >> i & 1 && space_event(&p->q[i]))
			p->space_due &= ~(1u << i);
	if (p->space_due)
		ports_grace_arm(p->ps);
}

/* Move done over what is finished, and tell who waits for room. */
static void squeue_advance(struct squeue *q)
{
	uint32_t done = q->done, tail;

	while (done != q->fetched) {
		uint32_t i = done % JS_QUEUE_OPS;

		if (!(q->fin[i / 64] >> (i % 64) & 1))
			break;
		q->fin[i / 64] &= ~(1ull << (i % 64));
		done++;
	}
	if (done == q->done)
		return;
	q->done = done;
	/* store-release, pairs with load-acquire in poolc_space() */
	atomic_store_explicit(&q->sh->done, done, memory_order_release);
	if (q->state == SQ_DRAIN && done == q->fetched) {
		squeue_release(q);
		return;
	}
	/* Either we see want_space, or who set it sees done: both sides fence. */
	atomic_thread_fence(memory_order_seq_cst);
	if (!atomic_load_explicit(&q->sh->want_space, memory_order_relaxed))
		return;
	tail = atomic_load_explicit(&q->sh->tail, memory_order_relaxed);
	if (tail - done > JS_QUEUE_OPS / 2 || !atomic_exchange(&q->sh->want_space, 0))
		return;
	if (!space_event(q)) {
		q->port->space_due |= 1u << q->idx;
		ports_grace_arm(q->port->ps);
	}
}

/* --- queues --------------------------------------------------------------------- */

/* To be called for an SQ_FREE queue. */
int squeue_open(struct squeue *q)
{
	uint32_t start = q->fetched + (1u << 16);

	if (!q->send)
		q->send = calloc(JS_QUEUE_OPS, sizeof(*q->send));
	if (!q->send)
		return -ENOMEM;
	/*
	 * Numbers jump, so that a tail which the queue's former producer stores
	 * late is out of range: it breaks the queue instead of publishing.
	 */
	q->fetched = q->done = start;
	memset(q->fin, 0, sizeof(q->fin));
	atomic_store_explicit(&q->sh->tail, start, memory_order_relaxed);
	atomic_store_explicit(&q->sh->fetched, start, memory_order_relaxed);
	atomic_store_explicit(&q->sh->done, start, memory_order_relaxed);
	atomic_store_explicit(&q->sh->want_space, 0, memory_order_relaxed);
	q->state = SQ_OPEN;
	q->port->open_mask |= 1u << q->idx;
	squeue_bump_epoch(q);
	return 0;
}

/* No more is fetched; what was goes on. */
static void squeue_close(struct squeue *q, enum squeue_state state)
{
	if (q->state == SQ_OPEN)
		squeue_bump_epoch(q);
	q->state = state;
	q->port->open_mask &= ~(1u << q->idx);
}

/* The opener's word: whatever the producer has published since we fetched
 * last, and will publish, is not run. */
void squeue_revoke(struct squeue *q, bool keep)
{
	uint32_t i, n;

	if (q->state == SQ_OPEN) {
		/* No order is needed: these ops are not looked into. */
		n = atomic_load_explicit(&q->sh->tail, memory_order_relaxed) - q->fetched;
		for (i = 0; i < n && n <= JS_QUEUE_OPS; i++)
			atomic_store_explicit(&q->sh->op[(q->fetched + i) % JS_QUEUE_OPS].status,
					      JS_ST_EREVOKED, memory_order_release);
	}
	squeue_close(q, keep ? SQ_BROKEN : SQ_DRAIN);
	if (!keep && q->done == q->fetched)
		squeue_release(q);
}

/* --- sending ---------------------------------------------------------------------- */

static void pend_put(struct squeue *q, struct send *sd)
{
	struct port *p = q->port;

	sd->state = SEND_QUEUED;
	if (STAILQ_EMPTY(&q->pend))
		TAILQ_INSERT_TAIL(&p->tx_queues, q, tx);
	STAILQ_INSERT_TAIL(&q->pend, sd, next);
	if (!p->is_tx) {
		p->is_tx = true;
		TAILQ_INSERT_TAIL(&p->ps->tx, p, tx);
	}
}

/* @q has no SEND queued any more. */
static void pend_emptied(struct squeue *q)
{
	struct port *p = q->port;

	TAILQ_REMOVE(&p->tx_queues, q, tx);
	if (TAILQ_EMPTY(&p->tx_queues)) {
		p->is_tx = false;
		TAILQ_REMOVE(&p->ps->tx, p, tx);
	}
}

/* The SEND has left, or will not: give back what it holds and finish the op. */
static void send_finish(struct send *sd, uint16_t status)
{
	struct squeue *q = sd->q;
	struct pool *pool = sd->pool;
	unsigned int i = sd->n_buf;

	sd->state = SEND_NONE;
	while (i)		/* in the order of op_free() */
		buf_send_done(q->port, sd->buf[--i]);
	pool->n_sends--;
	pool_put(pool);
	op_finish(q, sd->slot, status);
}

/* frame.done: the last octet has arrived, or the ring has ended. */
static void send_done(struct frame *f)
{
	struct send *sd = f->owner;
	struct squeue *q = sd->q;
	struct port *p = q->port;

	assert(sd->state == SEND_OUT);
	sd->pool->st.tx_frames++;
	sd->pool->st.tx_bytes += f->sdu_len;
	send_finish(sd, JS_ST_DONE);
	squeue_advance(q);
	port_unref_frame(p);
}

/* The queue of @p whose first SEND was made first.  Ops that say no order
 * (cookie 0, or the same) take turns. */
static struct squeue *first_made(const struct port *p)
{
	struct squeue *best = TAILQ_FIRST(&p->tx_queues), *q;

	TAILQ_FOREACH(q, &p->tx_queues, tx) {
		if ((int64_t)(STAILQ_FIRST(&q->pend)->order -
			      STAILQ_FIRST(&best->pend)->order) < 0)
			best = q;
	}
	return best;
}

/**
 * ports_tx_next() - The next frame of a station's ports
 *
 * In turn: ports, of a port one frame.  The processes of a stack send through
 * several queues what they decided under one lock; it leaves in that order
 * (js_op.cookie), or old ACKs would overtake new ones.  So when there is a
 * candidate all queues are fetched once more: what was published before it,
 * in another queue, is then seen.
 *
 * Return: a frame, the ring's until done(); NULL if no SEND is queued
 */
struct frame *ports_tx_next(struct station *s)
{
	struct ports *ps = s->ports;
	struct port *p = ps ? TAILQ_FIRST(&ps->tx) : NULL;
	struct squeue *q;
	struct send *sd;

	if (!p)
		return NULL;
	if (p->open_mask & (p->open_mask - 1))
		port_fetch(p);
	if (TAILQ_EMPTY(&p->tx_queues))
		return NULL;
	q = first_made(p);
	sd = STAILQ_FIRST(&q->pend);
	STAILQ_REMOVE_HEAD(&q->pend, next);
	if (STAILQ_EMPTY(&q->pend)) {
		pend_emptied(q);
	} else {
		TAILQ_REMOVE(&p->tx_queues, q, tx);
		TAILQ_INSERT_TAIL(&p->tx_queues, q, tx);
	}
	if (p->is_tx) {
		TAILQ_REMOVE(&ps->tx, p, tx);
		TAILQ_INSERT_TAIL(&ps->tx, p, tx);
	}
	sd->state = SEND_OUT;
	p->n_out++;
	return &sd->f;
}

bool ports_tx_pending(const struct station *s)
{
	return s->ports && !TAILQ_EMPTY(&s->ports->tx);
}

/* Drop queued SENDs of @pool in @q. */
static void pend_drop(struct squeue *q, const struct pool *pool)
{
	STAILQ_HEAD(, send) all = STAILQ_HEAD_INITIALIZER(all);
	struct send *sd;

	if (STAILQ_EMPTY(&q->pend))
		return;
	STAILQ_CONCAT(&all, &q->pend);
	while ((sd = STAILQ_FIRST(&all))) {
		STAILQ_REMOVE_HEAD(&all, next);
		if (sd->pool != pool) {
			STAILQ_INSERT_TAIL(&q->pend, sd, next);
		} else {
			sd->pool->st.tx_dropped++;
			send_finish(sd, JS_ST_EPERM);
		}
	}
	if (STAILQ_EMPTY(&q->pend))
		pend_emptied(q);
	squeue_advance(q);
}

void script_drop_pool(struct port *p, const struct pool *pool)
{
	unsigned int i;

	for (i = 0; i < JS_N_QUEUES; i++)
		pend_drop(&p->q[i], pool);
}

/* --- templates ---------------------------------------------------------------------- */

/* 8 octets at @at that satisfy (octet & mask) == value. */
static bool match8(const uint8_t *at, const uint8_t *value, const uint8_t *mask)
{
	uint64_t a, v, m;

	memcpy(&a, at, 8);
	memcpy(&v, value, 8);
	memcpy(&m, mask, 8);
	return (a & m) == v;
}

static uint32_t be16_at(const uint8_t *at)
{
	return (uint32_t)at[0] << 8 | at[1];
}

/**
 * template_matches() - Whether a pool may send this (paper, 4.7)
 * @t:		With masks
 * @hdr:	Private copy of the header, in FRAME_PEEK octets
 * @hdr_len:	Octets of it
 * @sdu_len:	Octets of the SDU
 */
static bool template_matches(const struct pool_tmpl *t, const uint8_t *hdr,
			     uint32_t hdr_len, uint32_t sdu_len)
{
	uint32_t tp_off, total, i;

	static_assert(sizeof(t->ip_value) <= FRAME_PEEK, "compared in words");
	static_assert(15 * 4 + sizeof(t->tp_value) <= FRAME_PEEK, "compared in a word");
	if (hdr_len < t->ip_len)
		return false;
	if (hdr[0] >> 4 == 4) {
		tp_off = (hdr[0] & 0xf) * 4u;
		if (tp_off < 20)
			return false;
		total = be16_at(hdr + 2);
	} else if (hdr[0] >> 4 == 6) {
		tp_off = 40;
		total = be16_at(hdr + 4) + 40;
	} else {
		return false;
	}
	if (total != sdu_len || MAX(tp_off, t->ip_len) + t->tp_len > hdr_len)
		return false;
	for (i = 0; i < t->ip_len; i += 8)
		if (!match8(hdr + i, t->ip_value + i, t->masks->ip + i))
			return false;
	return match8(hdr + tp_off, t->tp_value, t->masks->tp);
}

/* --- ops ------------------------------------------------------------------------------ */

/* Octets of the SDU of a SEND; 0 if it is malformed or names what is not the
 * port's: then *status says which. */
static uint32_t check_pieces(const struct port *p, const struct js_op *op, uint16_t *status)
{
	uint32_t i, sdu_len = op->hdr_len;

	*status = JS_ST_EINVAL;
	if (op->hdr_len > JS_OP_HDR_MAX || op->n_seg > JS_SDU_BUFS)
		return 0;
	for (i = 0; i < op->n_seg; i++) {
		const struct js_seg *seg = &op->seg[i];

		if (!buf_is_owned(p, seg->buf)) {
			*status = JS_ST_EPERM;
			return 0;
		}
		if (!seg->len || (uint32_t)seg->off + seg->len > JS_BUF_SIZE)
			return 0;
		sdu_len += seg->len;
	}
	if (sdu_len > JS_SDU_MAX || (sdu_len > JS_MTU && !p->is_trusted))
		return 0;
	return sdu_len;
}

/* Where it goes and what its trailer says.  0, or a status. */
static uint16_t address(const struct port *p, const struct pool *pool, const struct js_op *op,
			struct frame *f)
{
	f->uucpi = 0;
	if (op->flags & JS_SEND_RAW) {
		if (!p->is_trusted)
			return JS_ST_EPERM;
		/* Stream 0 is the token's, or reserved: never a packet's. */
		if (op->vci > JS_VCI_MAX || !vci_stream(op->vci) ||
		    op->flags & (JS_SEND_INJECT | JS_SEND_DIVERT))
			return JS_ST_EINVAL;
		f->vci = op->vci;
		f->uucpi = op->uucpi;
		return 0;
	}
	if (pool->txvci == JS_VCI_NONE)
		return JS_ST_EPERM;
	f->vci = pool->txvci;
	if (op->flags & JS_SEND_DIVERT) {
		if (vci_is_mcast(pool->txvci))
			return JS_ST_EINVAL;
		f->vci = vci_make(vci_ring_id(pool->txvci), JS_STREAM_IP_DIVERT);
	}
	if (op->flags & JS_SEND_INJECT) {
		js_vci_t vci = pool_announced(pool);

		if (vci == JS_VCI_NONE)
			return JS_ST_EPERM;
		f->uucpi = (uint16_t)(JS_UUCPI_RXVCI | vci);
	}
	return 0;
}

/*
 * Make the frame of @sd from header and pieces.  @fill_peek: also copy the
 * first octets of the payload to private memory, because no template has seen
 * a whole header, and flow rules and impairments look only there.
 */
static void build_frame(struct port *p, struct send *sd, const struct js_op *op, bool fill_peek)
{
	struct frame *f = &sd->f;
	uint32_t i, peek = op->hdr_len;
	const uint8_t *end = NULL;	/* of the last piece of iov[] */

	f->n_iov = 1;
	sd->n_buf = op->n_seg;
	for (i = 0; i < op->n_seg; i++) {
		const struct js_seg *seg = &op->seg[i];
		uint8_t *at = p->mem + (size_t)seg->buf * JS_BUF_SIZE + seg->off;
		uint32_t len = seg->len;

		sd->buf[i] = seg->buf;
		p->buf[seg->buf].sends++;
		if (fill_peek && peek < FRAME_PEEK) {
			uint32_t n = MIN(len, FRAME_PEEK - peek);

			memcpy(sd->peek + peek, at, n);
			peek += n;
			at += n;
			len -= n;
		}
		if (!len)
			continue;
		/* Neighbours are one piece: a CRC and a copy for all. */
		if (at == end)
			f->iov[f->n_iov - 1].iov_len += len;
		else
			f->iov[f->n_iov++] = (struct iovec) { .iov_base = at, .iov_len = len };
		end = at + len;
	}
	f->iov[0] = (struct iovec) { .iov_base = sd->peek, .iov_len = peek };
}

/* Returns a status, or JS_ST_PENDING: queued for the ring. */
static uint16_t op_send(struct squeue *q, uint32_t slot, const struct js_op *op)
{
	struct port *p = q->port;
	struct station *s = p->ps->s;
	struct pool *pool = pool_find(p, op->pool);
	struct send *sd = &q->send[slot % JS_QUEUE_OPS];
	bool has_tmpl;
	uint16_t status;

	if (!pool || !(pool->queues >> q->idx & 1))
		return JS_ST_EPERM;
	if (op->flags & ~(JS_SEND_INJECT | JS_SEND_DIVERT | JS_SEND_RAW))
		return JS_ST_EINVAL;
	sd->f.sdu_len = check_pieces(p, op, &status);
	if (!sd->f.sdu_len)
		return status;
	status = address(p, pool, op, &sd->f);
	if (status)
		return status;
	memcpy(sd->peek, op->hdr, op->hdr_len);
	has_tmpl = pool->tmpl.ip_len && !(op->flags & JS_SEND_RAW);
	if (has_tmpl ? !template_matches(&pool->tmpl, sd->peek, op->hdr_len, sd->f.sdu_len) :
		       !p->is_trusted) {
		pool->st.tx_template++;
		p->st.tx_template++;
		s->st.tx_template++;
		return JS_ST_EPERM;
	}
	sd->f.src = s->ring_id;
	sd->f.done = send_done;
	sd->f.owner = sd;
	sd->q = q;
	sd->pool = pool;
	sd->slot = slot;
	sd->order = op->cookie;
	build_frame(p, sd, op, !has_tmpl);
	pool->n_sends++;
	p->st.sends++;
	pend_put(q, sd);
	return JS_ST_PENDING;
}

static uint16_t op_alloc(struct squeue *q, uint32_t slot, const struct js_op *op)
{
	struct js_op *sh = &q->sh->op[slot % JS_QUEUE_OPS];
	struct pool *pool = pool_find(q->port, op->pool);
	uint16_t ids[JS_OP_BUFS];
	unsigned int got;

	if (!pool || !(pool->queues >> q->idx & 1))
		return JS_ST_EPERM;
	if (!op->n || op->n > JS_OP_BUFS)
		return JS_ST_EINVAL;
	got = buf_alloc(pool, BUF_TX, q->idx, ids, op->n);
	pool->st.tx_limited += got < op->n;
	sh->n = (uint16_t)got;
	memcpy(sh->bufs, ids, got * sizeof(ids[0]));
	return got ? JS_ST_DONE : JS_ST_ENOBUFS;
}

/*
 * Those that are the port's are freed, also if others are not.  The last one
 * first: they are used again last-in first-out, so that what was in order, as
 * neighbours in memory are, comes back in order (build_frame(), pool_rx()).
 */
static uint16_t op_free(struct squeue *q, const struct js_op *op)
{
	uint16_t status = JS_ST_DONE;
	unsigned int i = op->n;

	if (!op->n || op->n > JS_OP_BUFS)
		return JS_ST_EINVAL;
	while (i)
		if (buf_free(q->port, op->bufs[--i]) < 0)
			status = JS_ST_EPERM;
	return status;
}

/*
 * Copy an op to private memory, once, and of it only what its fixed part says
 * is used: each line of it is fetched from its producer's cache.  Lengths that
 * cannot be are copied as such, nothing behind them, and refused later.
 */
static void op_copy(struct js_op *op, const struct js_op *sh)
{
	memcpy(op, sh, offsetof(struct js_op, hdr));
	/* The copy is what is checked and used: do not load from there again. */
	atomic_signal_fence(memory_order_seq_cst);
	if (op->code == JS_OP_SEND) {
		if (op->hdr_len <= JS_OP_HDR_MAX && op->n_seg <= JS_SDU_BUFS) {
			memcpy(op->hdr, sh->hdr, op->hdr_len);
			memcpy(op->seg, sh->seg, op->n_seg * sizeof(op->seg[0]));
		}
	} else if (op->code == JS_OP_FREE && op->n <= JS_OP_BUFS) {
		memcpy(op->bufs, sh->bufs, op->n * sizeof(op->bufs[0]));
	}
	atomic_signal_fence(memory_order_seq_cst);
}

static void op_run(struct squeue *q, uint32_t slot)
{
	struct port *p = q->port;
	uint64_t n_tmpl = p->st.tx_template;
	uint16_t status;
	struct js_op op;

	op_copy(&op, &q->sh->op[slot % JS_QUEUE_OPS]);

	switch (op.code) {
	case JS_OP_NOP:
		status = JS_ST_DONE;
		break;
	case JS_OP_ALLOC:
		status = op_alloc(q, slot, &op);
		break;
	case JS_OP_FREE:
		status = op_free(q, &op);
		break;
	case JS_OP_SEND:
		status = op_send(q, slot, &op);
		break;
	default:
		status = JS_ST_EINVAL;
	}
	if (status == JS_ST_PENDING)
		return;
	if ((status == JS_ST_EINVAL || status == JS_ST_EPERM) && p->st.tx_template == n_tmpl) {
		p->st.bad_ops++;
		p->ps->s->st.tx_bad_op++;
	}
	op_finish(q, slot, status);
}

/* --- fetching --------------------------------------------------------------------------- */

/* Run what one queue has published, PORT_FETCH_MAX at most.  How many. */
static uint32_t squeue_fetch(struct squeue *q)
{
	/* load-acquire, pairs with store-release in poolc_publish() */
	uint32_t tail = atomic_load_explicit(&q->sh->tail, memory_order_acquire);
	uint32_t i, n = tail - q->fetched;

	if (!n)
		return 0;
	/* A slot must not be filled before done has passed it, and tail does
	 * not go back: its producer is out of its mind, or not its producer. */
	if (tail - q->done > JS_QUEUE_OPS || n > JS_QUEUE_OPS) {
		q->port->st.queues_broken++;
		log_warn("%s: port of process %d: script queue %u is broken (tail %u, fetched %u)",
			 q->port->ps->s->name, (int)q->port->pid, q->idx, tail, q->fetched);
		squeue_close(q, SQ_BROKEN);
		return 0;
	}
	n = MIN(n, (uint32_t)PORT_FETCH_MAX);
	for (i = 0; i < n; i++)
		op_run(q, q->fetched++);
	atomic_store_explicit(&q->sh->fetched, q->fetched, memory_order_relaxed);
	q->port->st.ops += n;
	q->port->ps->s->st.ops += n;
	squeue_advance(q);
	return n;
}

bool port_fetch(struct port *p)
{
	uint32_t mask = p->open_mask, n = 0;

	while (mask) {
		unsigned int i = (unsigned int)__builtin_ctz(mask);

		mask &= mask - 1;
		n += squeue_fetch(&p->q[i]);
	}
	if (p->is_tx)
		ring_kick(p->ps->s);
	return n;
}

/* Whether something is published that was not fetched. */
static bool port_has_ops(const struct port *p)
{
	uint32_t mask = p->open_mask;

	while (mask) {
		const struct squeue *q = &p->q[__builtin_ctz(mask)];

		mask &= mask - 1;
		if (atomic_load_explicit(&q->sh->tail, memory_order_relaxed) != q->fetched)
			return true;
	}
	return false;
}

/* --- sleeping ----------------------------------------------------------------------------- */

static void db_awake(struct port *p)
{
	atomic_store_explicit(&p->hdr->db_sleep, JS_AWAKE, memory_order_relaxed);
}

/* Another number each time: see abi/pool.h. */
void port_db_sleep(struct port *p)
{
	p->db_sleep += 2;
	atomic_store_explicit(&p->hdr->db_sleep, p->db_sleep | JS_ASLEEP, memory_order_relaxed);
}

/* The port rang, so we look at it without being asked for a while. */
void port_activate(struct port *p)
{
	p->idle = 0;
	db_awake(p);
	if (p->is_active)
		return;
	p->is_active = true;
	TAILQ_INSERT_TAIL(&p->ps->act, p, act);
}

static void port_deactivate(struct port *p)
{
	p->is_active = false;
	TAILQ_REMOVE(&p->ps->act, p, act);
}

/* A page could not be had: the port that asked for it pays. */
static void close_faulty(struct ports *ps)
{
	struct port *p, *next;

	for (p = TAILQ_FIRST(&ps->all); p; p = next) {
		next = TAILQ_NEXT(p, all);
		if (p->fault && !p->is_closing) {
			log_warn("%s: port of process %d: no memory for its pages, closed",
				 ps->s->name, (int)p->pid);
			ps->faults++;
			port_close(p, JS_CLOSED_FAULT);
		}
	}
}

bool ports_poll(struct station *s)
{
	struct ports *ps = s->ports;
	struct port *p, *next;
	bool found = false;

	if (!ps)
		return false;
	if (ports_fault) {
		ports_fault = 0;
		for (unsigned int i = 0; i < JS_N_RING_IDS; i++)
			if (stations[i].ports)
				close_faulty(stations[i].ports);
	}
	for (p = TAILQ_FIRST(&ps->act); p; p = next) {
		next = TAILQ_NEXT(p, act);
		if (port_fetch(p)) {
			p->idle = 0;
			found = true;
		} else if (++p->idle > PORT_IDLE_POLLS) {
			port_db_sleep(p);
			/* Pairs with the fence in poolc_ring(). */
			atomic_thread_fence(memory_order_seq_cst);
			if (port_has_ops(p))
				port_activate(p);
			else
				port_deactivate(p);
		}
	}
	return found;
}

bool ports_sleep(struct station *s)
{
	struct ports *ps = s->ports;
	bool may_sleep = true;
	struct port *p, *next;

	if (!ps)
		return true;
	if (TAILQ_EMPTY(&ps->act))
		return !ports_fault;
	TAILQ_FOREACH(p, &ps->act, act)
		port_db_sleep(p);
	/* We say that we sleep, then look; clients publish, then look whether
	 * we sleep (poolc_ring()).  With a fence on both sides one of us sees. */
	atomic_thread_fence(memory_order_seq_cst);
	for (p = TAILQ_FIRST(&ps->act); p; p = next) {
		next = TAILQ_NEXT(p, act);
		if (port_has_ops(p))
			may_sleep = false;
		else if ((p->idle += PORT_IDLE_POLLS / PORT_IDLE_SLEEPS) > PORT_IDLE_POLLS)
			port_deactivate(p);	/* it stays asleep */
	}
	if (!may_sleep || ports_fault) {
		ports_wake(s);
		return false;
	}
	return true;
}

void ports_wake(struct station *s)
{
	struct port *p;

	if (!s->ports)
		return;
	TAILQ_FOREACH(p, &s->ports->act, act)
		db_awake(p);
}
