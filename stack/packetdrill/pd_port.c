/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pd_port.c - a port whose driver is in this process
 *
 * The client's control calls (stack/pool/poolc_ctl.c) and what jetringd would
 * do with scripts and events, for one port.  Semantics are emulator/'s where
 * the stack can tell: limits, numbers of packets, order within a queue.  There
 * is no adapter between hosts that do not trust each other here, so templates
 * are not checked and nothing is refused; a packet leaves at the moment its
 * script runs.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "abi/aal5.h"
#include "common/util.h"
#include "stack/packetdrill/pd.h"

#define N_BUFS		8192	/* 32 MiB, not touched before it is used */
#define N_POOLS		(JS_N_SOCKS + 64)
#define N_RULES		64	/* beside those that were made with a pool */
#define RING_ID		1

bool __wrap_poolc_ring(struct poolc *pc);

enum { OWN_NONE, OWN_TX, OWN_RX };

struct port_pool {
	bool used;
	bool has_flow;
	struct js_flow flow;
	uint32_t tx_limit, rx_limit;
	uint32_t n_tx, n_rx;		/* buffers in use */
	uint32_t seq;			/* of the last packet */
	js_vci_t rxvci;
};

struct packet {
	struct packet *next;
	uint64_t at_us;
	size_t len;
	uint8_t data[];
};

static struct {
	int memfd;			/* -1: there is no port */
	uint8_t *map;
	size_t size;
	struct js_port_hdr *hdr;
	struct js_event *eq;
	struct js_queue *sq;
	uint8_t *buf;
	uint32_t seen[JS_N_QUEUES];	/* ops run */
	uint32_t open;			/* bit i: queue i */
	uint16_t free[N_BUFS];
	uint32_t n_free;
	struct js_buf_own own[N_BUFS];
	struct port_pool pool[N_POOLS];
	struct { bool used; uint16_t pool; struct js_flow flow; } rule[N_RULES];
	uint32_t next_stream;
	struct packet *first, **last;	/* have left, not sniffed */
} port = { .memfd = -1, .last = &port.first };

/* --- opening ----------------------------------------------------------------------- */

static void lay_out(void)
{
	struct js_port_hdr *h = port.hdr = (struct js_port_hdr *)port.map;

	*h = (struct js_port_hdr){
		.magic = JS_PORT_MAGIC, .version = JS_PORT_VERSION, .size = port.size,
		.eq_off = sizeof(*h), .n_events = JS_N_EVENTS, .n_queues = JS_N_QUEUES,
		.n_bufs = N_BUFS, .ring_id = RING_ID,
	};
	h->sq_off = (uint32_t)(h->eq_off + JS_N_EVENTS * sizeof(struct js_event));
	h->buf_off = (uint32_t)(port.size - (size_t)N_BUFS * JS_BUF_SIZE);
	port.eq = (struct js_event *)(port.map + h->eq_off);
	port.sq = (struct js_queue *)(port.map + h->sq_off);
	port.buf = port.map + h->buf_off;
	for (uint32_t i = 0; i < N_BUFS; i++)
		port.free[i] = (uint16_t)(N_BUFS - 1 - i);
	port.n_free = N_BUFS;
	port.next_stream = JS_STREAM_FIRST;
	port.open = 1;
	atomic_store(&port.sq[0].epoch, 1);
}

int poolc_open(struct poolc *pc, const char *path, uint32_t flags, uint32_t n_bufs)
{
	size_t head = sizeof(struct js_port_hdr) + JS_N_EVENTS * sizeof(struct js_event) +
		      JS_N_QUEUES * sizeof(struct js_queue);
	int bell = -1, wake = -1, err;

	(void)path;
	(void)flags;
	(void)n_bufs;
	pd_port_free();
	port.size = (head + JS_BUF_SIZE - 1) / JS_BUF_SIZE * JS_BUF_SIZE +
		    (size_t)N_BUFS * JS_BUF_SIZE;
	port.memfd = memfd_create("jetstream-port", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (port.memfd < 0 || ftruncate(port.memfd, (off_t)port.size) < 0 ||
	    fcntl(port.memfd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		goto fail;
	port.map = mmap(NULL, port.size, PROT_READ | PROT_WRITE, MAP_SHARED, port.memfd, 0);
	if (port.map == MAP_FAILED) {
		port.map = NULL;
		goto fail;
	}
	lay_out();
	bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (bell < 0 || wake < 0)
		goto fail;
	err = poolc_attach(pc, port.memfd, bell, wake);
	if (!err) {
		pc->app_doorbell_fd = fcntl(bell, F_DUPFD_CLOEXEC, 0);
		pc->memfd = fcntl(port.memfd, F_DUPFD_CLOEXEC, 0);
		return 0;
	}
	errno = -err;
fail:
	err = -errno;
	if (bell >= 0)
		close(bell);
	if (wake >= 0)
		close(wake);
	pd_port_free();
	return err;
}

void pd_port_free(void)
{
	uint8_t scrap[1];
	uint64_t at;

	while (pd_port_sniff(scrap, sizeof(scrap), &at))
		;
	if (port.map)
		munmap(port.map, port.size);
	if (port.memfd >= 0)
		close(port.memfd);
	memset(&port, 0, sizeof(port));
	port.memfd = -1;
	port.last = &port.first;
}

/* --- pools, streams, rules ------------------------------------------------------------ */

static struct port_pool *pool_of(unsigned int pool)
{
	return pool < N_POOLS && port.pool[pool].used ? &port.pool[pool] : NULL;
}

static bool same_flow(const struct js_flow *a, const struct js_flow *b)
{
	return a->sport_be == b->sport_be && a->dport_be == b->dport_be && a->proto == b->proto &&
	       !memcmp(a->src, b->src, sizeof(a->src)) && !memcmp(a->dst, b->dst, sizeof(a->dst));
}

int pd_port_find(const struct js_flow *flow)
{
	for (unsigned int i = 0; i < N_RULES; i++) {
		if (port.rule[i].used && same_flow(&port.rule[i].flow, flow))
			return port.rule[i].pool;
	}
	for (unsigned int i = 0; i < N_POOLS; i++) {
		const struct port_pool *p = &port.pool[i];

		if (p->used && p->has_flow && same_flow(&p->flow, flow))
			return (int)i;
	}
	return -ENOENT;
}

static js_vci_t next_stream(void)
{
	js_vci_t vci = vci_make(RING_ID, port.next_stream);

	/* Nothing is sent to a stream here: numbers may be given out twice. */
	if (++port.next_stream == JS_N_STREAMS)
		port.next_stream = JS_STREAM_FIRST;
	return vci;
}

int poolc_pool_create(struct poolc *pc, const struct js_pool_req *req, uint16_t *pool,
		      js_vci_t *rxvci)
{
	unsigned int i;

	(void)pc;
	if (req->has_flow && pd_port_find(&req->flow) >= 0)
		return -EADDRINUSE;
	/* 0 would look like "none" where somebody forgot to set it. */
	for (i = 1; i < N_POOLS && port.pool[i].used; i++)
		;
	if (i == N_POOLS)
		return -ENOSPC;
	port.pool[i] = (struct port_pool){
		.used = true, .has_flow = req->has_flow, .flow = req->flow,
		.tx_limit = req->tx_limit, .rx_limit = req->rx_limit,
		.rxvci = req->stream == JS_STREAM_ANY ? next_stream() : JS_VCI_NONE,
	};
	*pool = (uint16_t)i;
	if (rxvci)
		*rxvci = port.pool[i].rxvci;
	return 0;
}

int poolc_pool_create_flow(struct poolc *pc, const struct js_pool_req *req, int proof_fd,
			   uint16_t *pool, js_vci_t *rxvci)
{
	(void)proof_fd;
	return poolc_pool_create(pc, req, pool, rxvci);
}

int poolc_pool_set(struct poolc *pc, uint16_t pool, uint32_t which,
		   const struct js_pool_req *req)
{
	struct port_pool *p = pool_of(pool);

	(void)pc;
	if (!p)
		return -ENOENT;
	if (which & JS_PS_TX_LIMIT)
		p->tx_limit = req->tx_limit;
	if (which & JS_PS_RX_LIMIT)
		p->rx_limit = req->rx_limit;
	return 0;
}

int poolc_pool_destroy(struct poolc *pc, uint16_t pool)
{
	struct port_pool *p = pool_of(pool);

	(void)pc;
	if (!p)
		return -ENOENT;
	for (unsigned int i = 0; i < N_RULES; i++) {
		if (port.rule[i].pool == pool)
			port.rule[i].used = false;
	}
	p->used = false;
	return 0;
}

int poolc_vci_bind(struct poolc *pc, uint16_t pool, js_vci_t *vci)
{
	(void)pc;
	if (*vci == JS_STREAM_ANY)
		*vci = next_stream();
	return pool_of(pool) ? 0 : -ENOENT;
}

int poolc_vci_unbind(struct poolc *pc, uint16_t pool, js_vci_t vci)
{
	(void)pc;
	(void)vci;
	return pool_of(pool) ? 0 : -ENOENT;
}

int poolc_rule_add(struct poolc *pc, uint16_t pool, const struct js_flow *flow, int proof_fd)
{
	unsigned int i;

	(void)pc;
	(void)proof_fd;
	if (!pool_of(pool))
		return -ENOENT;
	if (pd_port_find(flow) >= 0)
		return -EADDRINUSE;
	for (i = 0; i < N_RULES && port.rule[i].used; i++)
		;
	if (i == N_RULES)
		return -ENOSPC;
	port.rule[i].used = true;
	port.rule[i].pool = pool;
	port.rule[i].flow = *flow;
	return 0;
}

int poolc_rule_del(struct poolc *pc, const struct js_flow *flow)
{
	(void)pc;
	for (unsigned int i = 0; i < N_RULES; i++) {
		if (port.rule[i].used && same_flow(&port.rule[i].flow, flow)) {
			port.rule[i].used = false;
			return 0;
		}
	}
	return -ENOENT;
}

/* --- queues ------------------------------------------------------------------------------ */

int poolc_queue_open(struct poolc *pc)
{
	(void)pc;
	for (int i = 1; i < JS_N_QUEUES; i++) {
		if (port.open >> i & 1)
			continue;
		port.open |= 1u << i;
		port.seen[i] = atomic_load(&port.sq[i].tail);
		atomic_store(&port.sq[i].done, port.seen[i]);
		atomic_fetch_add(&port.sq[i].epoch, 1);
		return i;
	}
	return -ENOSPC;
}

int poolc_queue_revoke(struct poolc *pc, unsigned int idx)
{
	(void)pc;
	if (idx >= JS_N_QUEUES || !(port.open >> idx & 1))
		return -EINVAL;
	atomic_fetch_add(&port.sq[idx].epoch, 1);
	port.open &= ~(1u << idx);
	return 0;
}

int poolc_queue_stop(struct poolc *pc, unsigned int idx)
{
	return poolc_queue_revoke(pc, idx);
}

int poolc_query(struct poolc *pc, uint32_t first, struct js_buf_own own[JS_PC_QUERY_MAX])
{
	uint32_t n = first < N_BUFS ? MIN(N_BUFS - first, (uint32_t)JS_PC_QUERY_MAX) : 0;

	(void)pc;
	memcpy(own, port.own + MIN(first, (uint32_t)N_BUFS), n * sizeof(own[0]));
	return (int)n;
}

/* --- buffers ------------------------------------------------------------------------------- */

static uint16_t buf_take(unsigned int pool, uint8_t kind, uint8_t queue)
{
	uint16_t id = port.free[--port.n_free];

	port.own[id] = (struct js_buf_own){ .pool = (uint16_t)pool, .kind = kind, .queue = queue };
	if (kind == OWN_TX)
		port.pool[pool].n_tx++;
	else
		port.pool[pool].n_rx++;
	return id;
}

static bool buf_free(uint16_t id)
{
	struct port_pool *p;

	if (id >= N_BUFS || port.own[id].kind == OWN_NONE)
		return false;
	p = &port.pool[port.own[id].pool];
	if (port.own[id].kind == OWN_TX && p->n_tx)
		p->n_tx--;
	else if (port.own[id].kind == OWN_RX && p->n_rx)
		p->n_rx--;
	port.own[id].kind = OWN_NONE;
	port.free[port.n_free++] = id;
	return true;
}

int poolc_free_bufs(struct poolc *pc, const uint16_t *bufs, unsigned int n)
{
	int err = 0;

	(void)pc;
	for (unsigned int i = 0; i < n; i++) {
		if (!buf_free(bufs[i]))
			err = -EPERM;
	}
	return err;
}

/* --- events ---------------------------------------------------------------------------------- */

static bool event_put(const struct js_event *ev)
{
	uint32_t at = atomic_load(&port.hdr->eq_prod);
	struct js_event *slot = &port.eq[at % JS_N_EVENTS];

	if (at - atomic_load(&port.hdr->eq_cons) >= JS_N_EVENTS)
		return false;
	*slot = *ev;
	atomic_store_explicit(&slot->idx, at + 1, memory_order_release);
	atomic_store_explicit(&port.hdr->eq_prod, at + 1, memory_order_release);
	return true;
}

int pd_port_receive(unsigned int pool, const uint8_t *pkt, size_t len)
{
	struct port_pool *p = pool_of(pool);
	unsigned int n = (unsigned int)((len + JS_BUF_SIZE - 1) / JS_BUF_SIZE);
	struct js_event ev = {
		.type = JS_EV_RX, .n_buf = (uint8_t)n, .pool = (uint16_t)pool,
		.sdu_len = (uint32_t)len, .vci = vci_make(RING_ID, JS_STREAM_IP),
		.flags = JS_RX_RULE,
	};

	memset(ev.buf, 0xff, sizeof(ev.buf));
	if (!p || !len || n > JS_SDU_BUFS || p->n_rx + n > p->rx_limit || port.n_free < n)
		return -ENOBUFS;
	for (unsigned int i = 0; i < n; i++) {
		size_t at = (size_t)i * JS_BUF_SIZE;

		ev.buf[i] = buf_take(pool, OWN_RX, 0);
		memcpy(port.buf + (size_t)ev.buf[i] * JS_BUF_SIZE, pkt + at,
		       MIN(len - at, (size_t)JS_BUF_SIZE));
	}
	ev.seq = ++p->seq;
	if (event_put(&ev))
		return 0;
	for (unsigned int i = 0; i < n; i++)
		buf_free(ev.buf[i]);
	return -ENOBUFS;
}

/* --- scripts ---------------------------------------------------------------------------------- */

void pd_port_sent(const uint8_t *pkt, size_t len)
{
	struct packet *p = malloc(sizeof(*p) + len);

	if (!p)
		return;
	*p = (struct packet){ .at_us = pd_now(), .len = len };
	memcpy(p->data, pkt, len);
	*port.last = p;
	port.last = &p->next;
	pd_changed();
}

size_t pd_port_sniff(uint8_t *pkt, size_t max, uint64_t *at_us)
{
	struct packet *p = port.first;
	size_t len;

	if (!p)
		return 0;
	port.first = p->next;
	if (!port.first)
		port.last = &port.first;
	len = MIN(p->len, max);
	memcpy(pkt, p->data, len);
	*at_us = p->at_us;
	free(p);
	return len;
}

static uint16_t run_alloc(struct js_op *op, uint8_t queue)
{
	struct port_pool *p = pool_of(op->pool);
	uint16_t n = 0;

	if (!p || op->n > JS_OP_BUFS)
		return JS_ST_EINVAL;
	while (n < op->n && port.n_free && p->n_tx < p->tx_limit)
		op->bufs[n++] = buf_take(op->pool, OWN_TX, queue);
	op->n = n;
	return n ? JS_ST_DONE : JS_ST_ENOBUFS;
}

static uint16_t run_free(const struct js_op *op)
{
	uint16_t status = JS_ST_DONE;

	if (op->n > JS_OP_BUFS)
		return JS_ST_EINVAL;
	for (unsigned int i = 0; i < op->n; i++) {
		if (!buf_free(op->bufs[i]))
			status = JS_ST_EPERM;
	}
	return status;
}

static uint16_t run_send(const struct js_op *op)
{
	static uint8_t pkt[JS_SDU_MAX];
	size_t len = op->hdr_len;

	if (!pool_of(op->pool) || op->hdr_len > JS_OP_HDR_MAX || op->n_seg > JS_SDU_BUFS)
		return JS_ST_EINVAL;
	memcpy(pkt, op->hdr, len);
	for (unsigned int i = 0; i < op->n_seg; i++) {
		const struct js_seg *s = &op->seg[i];

		if (s->buf >= N_BUFS || s->off + s->len > JS_BUF_SIZE || len + s->len > sizeof(pkt))
			return JS_ST_EINVAL;
		memcpy(pkt + len, port.buf + (size_t)s->buf * JS_BUF_SIZE + s->off, s->len);
		len += s->len;
	}
	pd_port_sent(pkt, len);
	return JS_ST_DONE;
}

static bool run_queue(unsigned int idx)
{
	struct js_queue *q = &port.sq[idx];
	uint32_t tail = atomic_load_explicit(&q->tail, memory_order_acquire);
	bool some = port.seen[idx] != tail;

	for (; port.seen[idx] != tail; port.seen[idx]++) {
		struct js_op *op = &q->op[port.seen[idx] % JS_QUEUE_OPS];
		uint16_t status = JS_ST_DONE;

		if (op->code == JS_OP_ALLOC)
			status = run_alloc(op, (uint8_t)idx);
		else if (op->code == JS_OP_FREE)
			status = run_free(op);
		else if (op->code == JS_OP_SEND)
			status = run_send(op);
		atomic_store_explicit(&op->status, status, memory_order_release);
	}
	atomic_store_explicit(&q->fetched, port.seen[idx], memory_order_relaxed);
	atomic_store_explicit(&q->done, port.seen[idx], memory_order_release);
	if (some && atomic_exchange(&q->want_space, 0)) {
		struct js_event ev = { .type = JS_EV_SPACE, .pool = (uint16_t)idx };

		memset(ev.buf, 0xff, sizeof(ev.buf));
		event_put(&ev);
	}
	return some;
}

bool pd_port_run(void)
{
	bool some = false;

	/* Only one of them has published since the last time: calls of the
	 * application end before the child has its turn. */
	for (unsigned int i = 0; i < JS_N_QUEUES && port.map; i++) {
		if (port.open >> i & 1)
			some |= run_queue(i);
	}
	return some;
}

/* The crossing: whoever rings may wait for what it has published. */
bool __wrap_poolc_ring(struct poolc *pc)
{
	(void)pc;
	return pd_port_run();
}
