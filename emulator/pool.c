/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pool.c - pools and their buffers; a packet arrives (paper, section 3)
 *
 * The "Afterburner RAM" of a port is n_bufs buffers of its mapped memory.  A
 * buffer that nobody has is warm (its page exists; a stack, so the last freed
 * is used first, while it is in the cache) or cold.  Beyond a reserve the
 * longest unused warm ones are punched and become cold.  When packets have got
 * scattered buffers for a while the stack is sorted, so that the next ones get
 * neighbours again.
 *
 * Each buffer in use is charged to one pool, as Tx (ALLOC) or Rx (arrival),
 * against the pool's limit and node_mem_max.  One that is FREEd while fetched
 * SENDs still read it stays charged until they have left.
 *
 * Runs in jetringd.  Supported: paper, section 3.  Differs from the paper:
 * what came in and what goes out may be mixed in one SEND, and any pool of a
 * port may send any buffer of that port.
 */
#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "common/clock.h"
#include "common/ids.h"
#include "common/log.h"
#include "common/util.h"
#include "emulator/port.h"

uint64_t node_mem_max = 1024ull * 1024 * 1024;

/* --- buffers ------------------------------------------------------------------ */

int buf_init(struct port *p)
{
	uint32_t i;

	p->buf = calloc(p->n_bufs, sizeof(*p->buf));
	p->warm = calloc(p->n_bufs, sizeof(*p->warm));
	p->cold = calloc(p->n_bufs, sizeof(*p->cold));
	if (!p->buf || !p->warm || !p->cold) {
		buf_fini(p);
		return -ENOMEM;
	}
	/* The lowest number on top. */
	for (i = 0; i < p->n_bufs; i++)
		p->cold[i] = (uint16_t)(p->n_bufs - 1 - i);
	p->n_cold = p->n_bufs;
	return 0;
}

void buf_fini(struct port *p)
{
	free(p->buf);
	free(p->warm);
	free(p->cold);
	p->buf = NULL;
	p->warm = p->cold = NULL;
}

/* Index into the ring warm[] of the @i-th oldest. */
static uint32_t warm_at(const struct port *p, uint32_t i)
{
	uint32_t at = p->warm_head + i;

	return at >= p->n_bufs ? at - p->n_bufs : at;
}

/* The lowest on top; those that go first when memory is given back, the highest. */
static void warm_sort(struct port *p)
{
	struct id_set set = { 0 };

	for (uint32_t i = 0; i < p->n_warm; i++)
		id_set_add(&set, p->warm[warm_at(p, i)]);
	p->warm_head = 0;
	id_set_list(&set, p->warm);
	p->n_scattered = 0;
}

static void buf_release(struct port *p, uint16_t id)
{
	struct pool *pool = p->pool[p->buf[id].pool];

	if (p->buf[id].kind == BUF_TX) {
		pool->tx_used--;
	} else {
		pool->rx_used--;
		p->n_rx--;
		p->ps->n_rx--;
	}
	p->buf[id] = (struct pbuf) { 0 };
	p->n_used--;
	p->ps->n_used--;
	p->warm[warm_at(p, p->n_warm++)] = id;
	if (p->n_warm > PORT_WARM_HIGH + PORT_PUNCH_BATCH)
		buf_trim(p, PORT_WARM_HIGH);
	else if (p->n_warm > PORT_WARM_LOW)
		ports_trim_arm(p->ps);
	pool_put(pool);
}

/* What @n buffers more may bring the pool to.  A packet that needs only one
 * may be an answer that frees others: the owner may have kept room for it. */
static uint64_t rx_limit(const struct pool *pool, unsigned int n)
{
	return (uint64_t)pool->rx_limit + (n == 1 ? pool->rx_reserve : 0);
}

/*
 * Has the node a buffer left?  Neither sending nor receiving gets the last
 * quarter of its memory: who fills it with what waits for an ACK must still be
 * able to receive that.  A quarter is each one's even if the other has more
 * than it may, because the memory was made smaller.
 */
static bool node_has_room(const struct ports *ps, int kind)
{
	uint64_t max = node_mem_max / JS_BUF_SIZE;
	uint64_t of_kind = kind == BUF_TX ? ps->n_used - ps->n_rx : ps->n_rx;

	return of_kind < max / 4 || (ps->n_used < max && of_kind < max - max / 4);
}

unsigned int buf_alloc(struct pool *pool, int kind, unsigned int queue, uint16_t *ids, unsigned int n)
{
	struct port *p = pool->port;
	uint16_t *used = kind == BUF_TX ? &pool->tx_used : &pool->rx_used;
	uint64_t limit = kind == BUF_TX ? pool->tx_limit : rx_limit(pool, n);
	unsigned int got = 0;

	if (p->n_scattered >= IDS_SCATTERED)
		warm_sort(p);
	while (got < n && *used < limit && node_has_room(p->ps, kind) && p->n_used < p->n_bufs) {
		uint16_t id;

		if (p->n_warm) {
			id = p->warm[warm_at(p, --p->n_warm)];
			p->warm_min = MIN(p->warm_min, p->n_warm);
		} else {
			id = p->cold[--p->n_cold];
		}
		p->buf[id] = (struct pbuf) {
			.pool = pool->id, .kind = (uint8_t)kind, .queue = (uint8_t)queue,
		};
		(*used)++;
		p->n_used++;
		p->ps->n_used++;
		p->n_rx += kind == BUF_RX;
		p->ps->n_rx += kind == BUF_RX;
		ids[got++] = id;
	}
	p->n_scattered += ids_scattered(ids, got);
	return got;
}

/* Whether the port may name buffer @id: it has it and has not FREEd it. */
bool buf_is_owned(const struct port *p, uint16_t id)
{
	return id < p->n_bufs && p->buf[id].kind != BUF_FREE && !p->buf[id].freed;
}

int buf_free(struct port *p, uint16_t id)
{
	if (!buf_is_owned(p, id))
		return -EPERM;
	if (p->buf[id].sends)
		p->buf[id].freed = 1;	/* buf_send_done() does the rest */
	else
		buf_release(p, id);
	return 0;
}

void buf_send_done(struct port *p, uint16_t id)
{
	assert(p->buf[id].sends);
	if (!--p->buf[id].sends && p->buf[id].freed)
		buf_release(p, id);
}

static int cmp_id(const void *a, const void *b)
{
	return *(const uint16_t *)a - *(const uint16_t *)b;
}

/**
 * buf_trim() - Give pages of free buffers back to the system
 * @keep:	Warm buffers to keep; the longest unused go
 *
 * One batch; neighbours go in one system call.  A page that cannot be punched
 * stays as it is: the buffer works either way.
 *
 * Return: whether there are still more than @keep
 */
bool buf_trim(struct port *p, uint32_t keep)
{
	uint16_t id[PORT_PUNCH_BATCH];
	uint32_t i, j, n = 0;

	while (n < PORT_PUNCH_BATCH && p->n_warm > keep) {
		id[n++] = p->warm[p->warm_head];
		p->warm_head = warm_at(p, 1);
		p->n_warm--;
	}
	qsort(id, n, sizeof(id[0]), cmp_id);
	for (i = 0; i < n; i = j) {
		for (j = i + 1; j < n && id[j] == id[j - 1] + 1; j++)
			;
		madvise(p->mem + (size_t)id[i] * JS_BUF_SIZE, (size_t)(j - i) * JS_BUF_SIZE,
			MADV_REMOVE);
	}
	while (n)
		p->cold[p->n_cold++] = id[--n];
	return p->n_warm > keep;
}

/* --- pools -------------------------------------------------------------------- */

struct pool *pool_find(const struct port *p, uint16_t id)
{
	struct pool *pool = id < p->n_pool_slots ? p->pool[id] : NULL;

	return pool && !pool->dead ? pool : NULL;
}

/* An id that is free for as long as possible: SENDs that name a pool just
 * destroyed should not meet the next one. */
int pool_new(struct port *p, struct pool **out)
{
	struct pool *pool;

	/* Two ids in three free, so that the search is short; 0 is never used. */
	if (p->n_pools * 3 + 1 >= p->n_pool_slots && p->n_pool_slots < JS_BUF_NONE) {
		uint32_t n = MIN(p->n_pool_slots ? p->n_pool_slots * 3 / 2 : 32, JS_BUF_NONE);
		struct pool **slots = reallocarray(p->pool, n, sizeof(struct pool *));

		if (!slots)
			return -ENOMEM;
		memset(slots + p->n_pool_slots, 0, (n - p->n_pool_slots) * sizeof(struct pool *));
		p->pool = slots;
		p->n_pool_slots = n;
	}
	if (p->n_pools + 1 >= p->n_pool_slots)
		return -ENOBUFS;
	do {
		if (++p->next_pool >= p->n_pool_slots)
			p->next_pool = 1;
	} while (p->pool[p->next_pool]);

	pool = calloc(1, sizeof(*pool));
	if (!pool)
		return -ENOMEM;
	pool->port = p;
	pool->id = (uint16_t)p->next_pool;
	LIST_INIT(&pool->rules);
	p->pool[pool->id] = pool;
	p->n_pools++;
	*out = pool;
	return 0;
}

void pool_put(struct pool *pool)
{
	struct port *p = pool->port;

	if (!pool->dead || pool->tx_used || pool->rx_used || pool->n_sends)
		return;
	p->pool[pool->id] = NULL;
	p->n_pools--;
	masks_put(pool->tmpl.masks);
	free(pool);
}

void masks_put(struct masks *m)
{
	if (m && !--m->refs)
		free(m);
}

/* The masks of @t, with a reference for the caller.  NULL: no memory. */
static struct masks *masks_get(struct port *p, const struct js_template *t)
{
	struct masks **last = &p->masks[t->ip_len == 40], *m = *last;

	if (!m || memcmp(m->ip, t->ip_mask, sizeof(m->ip)) != 0 ||
	    memcmp(m->tp, t->tp_mask, sizeof(m->tp)) != 0) {
		m = calloc(1, sizeof(*m));
		if (!m)
			return NULL;
		memcpy(m->ip, t->ip_mask, sizeof(m->ip));
		memcpy(m->tp, t->tp_mask, sizeof(m->tp));
		m->refs = 1;
		masks_put(*last);
		*last = m;
	}
	m->refs++;
	return m;
}

int pool_set_template(struct pool *pool, const struct js_template *t)
{
	struct masks *m = NULL;

	if (t->ip_len) {
		m = masks_get(pool->port, t);
		if (!m)
			return -ENOMEM;
	}
	masks_put(pool->tmpl.masks);
	pool->tmpl = (struct pool_tmpl) { .masks = m, .ip_len = t->ip_len, .tp_len = t->tp_len };
	memcpy(pool->tmpl.ip_value, t->ip_value, sizeof(t->ip_value));
	memcpy(pool->tmpl.tp_value, t->tp_value, sizeof(t->tp_value));
	return 0;
}

/**
 * pool_destroy() - End a pool: nothing is received or sent for it any more
 * @port_died:	Its port went, and the ring goes on: a trusted port's IP_DIVERT is parked
 *
 * Its queued SENDs are dropped; the one on the ring goes on.  Its buffers stay
 * the port's, charged to this id, until they are FREEd.
 */
void pool_destroy(struct pool *pool, bool port_died)
{
	struct station *s = pool->port->ps->s;
	uint64_t now = now_ns();

	pool->dead = true;
	rules_drop_pool(s, pool);
	while (pool->n_rxvci) {
		js_vci_t vci = pool->rxvci[--pool->n_rxvci];
		unsigned int stream = vci & JS_VCI_MCAST ? vci : vci_stream(vci);

		if (port_died && pool->port->is_trusted)
			vcitab_orphan(s, stream, pool, now);
		else
			vcitab_unbind(s, stream, pool, now);
	}
	pool->n_sends++;	/* of ours, so that it outlives the last of its own */
	script_drop_pool(pool->port, pool);
	pool->n_sends--;
	pool_put(pool);
}

/*
 * Which streams a port may ask for: private ones; the connection server also
 * the kernel's.  Reserved ones nobody.
 */
static int check_vci(const struct port *p, js_vci_t vci)
{
	unsigned int stream = vci_stream(vci);

	if (vci > JS_VCI_MAX)
		return -EINVAL;
	if (vci_is_mcast(vci) ? vci_ring_id(vci) != 0 : vci_ring_id(vci) != p->ps->s->ring_id)
		return -EINVAL;
	if (stream >= JS_STREAM_FIRST)
		return 0;
	if (stream != JS_STREAM_IP && stream != JS_STREAM_IP_DIVERT && stream != JS_STREAM_ARP)
		return -EINVAL;
	return p->is_trusted ? 0 : -EPERM;
}

int pool_bind(struct pool *pool, js_vci_t vci)
{
	int err = check_vci(pool->port, vci);

	if (err)
		return err;
	if (pool->n_rxvci == POOL_RXVCIS)
		return -ENOBUFS;
	err = vcitab_bind(pool->port->ps->s, vci_is_mcast(vci) ? vci : vci_stream(vci), pool);
	if (!err)
		pool->rxvci[pool->n_rxvci++] = vci;
	return err;
}

int pool_bind_any(struct pool *pool, js_vci_t *vci)
{
	struct station *s = pool->port->ps->s;
	int stream;

	if (pool->n_rxvci == POOL_RXVCIS)
		return -ENOBUFS;
	stream = vcitab_alloc(s, pool, now_ns());
	if (stream < 0)
		return stream;
	*vci = vci_make(s->ring_id, (unsigned int)stream);
	pool->rxvci[pool->n_rxvci++] = *vci;
	return 0;
}

int pool_unbind(struct pool *pool, js_vci_t vci)
{
	unsigned int i;

	for (i = 0; i < pool->n_rxvci && pool->rxvci[i] != vci; i++)
		;
	if (i == pool->n_rxvci)
		return -ENOENT;
	pool->n_rxvci--;
	memmove(&pool->rxvci[i], &pool->rxvci[i + 1],
		(pool->n_rxvci - i) * sizeof(pool->rxvci[0]));
	vcitab_unbind(pool->port->ps->s, vci_is_mcast(vci) ? vci : vci_stream(vci), pool, now_ns());
	return 0;
}

/* A shared stream may have changed hands since the pool was told of it. */
js_vci_t pool_announced(const struct pool *pool)
{
	const struct pool *holder;

	if (pool->n_rxvci)
		return pool->rxvci[0];
	if (!pool->inject)
		return JS_VCI_NONE;
	holder = vcitab_holder(pool->port->ps->s, pool->inject);
	return holder && holder->port == pool->port ? pool->inject : JS_VCI_NONE;
}

/* --- events -------------------------------------------------------------------- */

/* Words of the event queue; clients read them while we write. */
typedef _Atomic uint64_t __attribute__((may_alias)) event_word;

/**
 * event_put() - Write the next event and wake who waits for it
 * @ev:		idx is not looked at
 * @is_rx:	A packet: leaves the last slots to JS_EV_SPACE
 *
 * eq_cons is the clients' to write: it decides whether there is room, nothing
 * else.  If it is nonsense the queue is full.
 *
 * Return: false if there is no room
 */
bool event_put(struct port *p, const struct js_event *ev, bool is_rx)
{
	uint32_t used = p->eq_prod - atomic_load_explicit(&p->hdr->eq_cons, memory_order_acquire);
	uint32_t room = is_rx ? JS_N_EVENTS - JS_N_QUEUES : JS_N_EVENTS;
	struct js_event *slot = &p->eq[p->eq_prod % JS_N_EVENTS];
	uint64_t word[sizeof(*ev) / 8];
	unsigned int i;

	static_assert(offsetof(struct js_event, idx) == 0, "idx is in the first word");
	if (used >= room)
		return false;
	memcpy(word, ev, sizeof(word));
	/*
	 * As a seqlock, for a reader that was overtaken: idx is invalid before
	 * anything else changes (release fence, pairs with the acquire fence in
	 * poolc_event_peek()), and valid again last.  eq_prod is a value that
	 * the neighbour has, and this slot never, also when numbers wrap.
	 */
	atomic_store_explicit(&slot->idx, p->eq_prod, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	for (i = 1; i < ARRAY_SIZE(word); i++)
		atomic_store_explicit((event_word *)slot + i, word[i], memory_order_relaxed);
	atomic_store_explicit((_Atomic uint32_t *)slot + 1, (uint32_t)(word[0] >> 32),
			      memory_order_relaxed);
	p->eq_prod++;
	/* store-release, pairs with load-acquire in poolc_event_peek() */
	atomic_store_explicit(&slot->idx, p->eq_prod, memory_order_release);
	atomic_store_explicit(&p->hdr->eq_prod, p->eq_prod, memory_order_release);
	p->st.events++;
	port_wake(p);
	return true;
}

/* --- arrival -------------------------------------------------------------------- */

static uint8_t *buf_mem(const struct port *p, uint16_t id)
{
	return p->mem + (size_t)id * JS_BUF_SIZE;
}

/* Buffers @ids as pieces of memory for @len octets; neighbours are one piece.
 * Return: pieces. */
static int make_pieces(const struct port *p, const uint16_t *ids, uint32_t len, struct iovec *dst)
{
	int n = 0;

	for (unsigned int i = 0; len; i++) {
		uint32_t part = MIN(len, (uint32_t)JS_BUF_SIZE);

		if (i && ids[i] == ids[i - 1] + 1)
			dst[n - 1].iov_len += part;
		else
			dst[n++] = (struct iovec) { .iov_base = buf_mem(p, ids[i]), .iov_len = part };
		len -= part;
	}
	return n;
}

/* Copy the SDU of @f to @dst, which has room for exactly that. */
static void scatter(const struct frame *f, const struct iovec *dst)
{
	size_t left = f->sdu_len, src_off = 0, dst_off = 0;
	const struct iovec *src = f->iov;

	while (left) {
		size_t len = MIN(src->iov_len - src_off, dst->iov_len - dst_off);

		assert(src < f->iov + f->n_iov);
		memcpy((uint8_t *)dst->iov_base + dst_off, (const uint8_t *)src->iov_base + src_off, len);
		src_off += len;
		dst_off += len;
		left -= len;
		if (src_off == src->iov_len) {
			src_off = 0;
			src++;
		}
		if (dst_off == dst->iov_len) {
			dst_off = 0;
			dst++;
		}
	}
}

/* So that the pool's owner can give up buffers for what will come again. */
static void tell_discard(const struct pool *pool)
{
	struct js_event ev = { .type = JS_EV_DISCARD, .pool = pool->id };

	memset(ev.buf, 0xff, sizeof(ev.buf));
	event_put(pool->port, &ev, true);
}

/**
 * pool_rx() - A frame arrives for a pool
 * @f:		On the ring, or local; f->crc as it was sent
 * @flip:	-1, or a bit of the SDU that arrives inverted
 * @flags:	JS_RX_* for the event
 *
 * If the pool has all of its Rx buffers in use the packet is discarded (paper,
 * section 3), counted, and told by an event; one of a single buffer may use what its owner has
 * reserved for such.  So it is when its event cannot be written, and
 * when the CRC of what was copied is not the frame's.
 *
 * Return: whether the pool has got it
 */
bool pool_rx(struct station *s, struct pool *pool, const struct frame *f, int64_t flip,
	     uint16_t flags)
{
	struct port *p = pool->port;
	unsigned int got, need = (f->sdu_len + JS_BUF_SIZE - 1) / JS_BUF_SIZE;
	struct iovec dst[JS_SDU_BUFS];
	struct js_event ev = { .type = JS_EV_RX };
	int n;

	memset(ev.buf, 0xff, sizeof(ev.buf));
	got = buf_alloc(pool, BUF_RX, 0, ev.buf, need);
	if (got < need) {
		s->st.rx_pool_full++;
		if (pool->rx_used >= rx_limit(pool, need))
			pool->st.rx_pool_full++;
		else
			pool->st.rx_node_full++;
		tell_discard(pool);
		goto drop;
	}
	pool->st.rx_reserved += pool->rx_used > pool->rx_limit;
	n = make_pieces(p, ev.buf, f->sdu_len, dst);
	scatter(f, dst);
	if (flip >= 0 && (uint64_t)flip < (uint64_t)f->sdu_len * 8) {
		uint64_t octet = (uint64_t)flip / 8;

		buf_mem(p, ev.buf[octet / JS_BUF_SIZE])[octet % JS_BUF_SIZE] ^=
			(uint8_t)(0x80 >> (flip & 7));
	}
	if (aal5_crc(dst, n, f->sdu_len, f->uucpi) != f->crc) {
		s->st.rx_bad_crc++;
		pool->st.rx_bad_crc++;
		goto drop;
	}
	ev.n_buf = (uint8_t)need;
	ev.pool = pool->id;
	ev.seq = pool->seq + 1;
	ev.sdu_len = f->sdu_len;
	ev.vci = f->vci;
	ev.uucpi = f->uucpi;
	ev.flags = flags;
	if (!event_put(p, &ev, true)) {
		s->st.rx_event_full++;
		pool->st.rx_event_full++;
		goto drop;
	}
	pool->seq++;
	s->st.rx_frames++;
	s->st.rx_bytes += f->sdu_len;
	pool->st.rx_frames++;
	pool->st.rx_bytes += f->sdu_len;
	return true;
drop:
	while (got)
		buf_free(p, ev.buf[--got]);
	return false;
}
