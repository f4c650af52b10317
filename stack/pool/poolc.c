/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * poolc.c - pools from the client's side: mapping, scripts, events
 *
 * Runs in applications, children and the connection server.  The driver's
 * side of each protocol is emulator/script.c (queues) and emulator/pool.c,
 * port.c (events, waking); abi/pool.h has the rules both keep.
 *
 * The port's memory is written by other processes of the stack, and one of
 * them may be hostile.  Sizes are private copies; indices from the memory are
 * masked or compared with private ones; ids are compared with n_bufs.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "abi/aal5.h"
#include "common/util.h"
#include "stack/pool/poolc.h"
#include "stack/pool/poolc_int.h"

/* --- mapping --------------------------------------------------------------------- */

/* Whether @n items of @item octets at @off are inside @size octets. */
static bool is_inside(uint64_t off, uint64_t n, uint64_t item, uint64_t size)
{
	return off % 64 == 0 && off <= size && n * item <= size - off;
}

/* Range-check the header at @map and keep what it says.  0 or -EPROTO. */
static int take_header(struct poolc *pc, uint8_t *map, size_t size)
{
	struct js_port_hdr h;

	memcpy(&h, map, sizeof(h));
	/* The copy is what is checked and kept. */
	atomic_signal_fence(memory_order_seq_cst);
	if (h.magic != JS_PORT_MAGIC || h.version != JS_PORT_VERSION || h.size != size ||
	    h.ring_id >= JS_N_RING_IDS)
		return -EPROTO;
	if (!h.n_events || h.n_events & (h.n_events - 1) || !h.n_bufs || h.n_bufs >= JS_BUF_NONE + 1u ||
	    !h.n_queues || h.n_queues > JS_N_QUEUES)
		return -EPROTO;
	if (!is_inside(h.eq_off, h.n_events, sizeof(struct js_event), size) ||
	    !is_inside(h.sq_off, h.n_queues, sizeof(struct js_queue), size) ||
	    !is_inside(h.buf_off, h.n_bufs, JS_BUF_SIZE, size))
		return -EPROTO;
	pc->map = map;
	pc->size = size;
	pc->hdr = (struct js_port_hdr *)map;
	pc->eq = (struct js_event *)(map + h.eq_off);
	pc->sq = (struct js_queue *)(map + h.sq_off);
	pc->buf = map + h.buf_off;
	pc->n_events = h.n_events;
	pc->n_queues = h.n_queues;
	pc->n_bufs = h.n_bufs;
	pc->ring_id = h.ring_id;
	return 0;
}

/**
 * poolc_attach() - Map a port that somebody else has opened
 * @memfd:	Its memory; sealed, or an access might one day raise SIGBUS
 * @wake_fd:	Or -1: this process never sleeps on events
 *
 * Return: 0, descriptors are ours; -EPROTO not a port's memory, or of another
 * version; -errno; then the descriptors are still the caller's
 */
int poolc_attach(struct poolc *pc, int memfd, int doorbell_fd, int wake_fd)
{
	struct stat st;
	int err, seals = fcntl(memfd, F_GET_SEALS);
	uint8_t *map;

	memset(pc, 0, sizeof(*pc));
	pc->sock = pc->memfd = pc->doorbell_fd = pc->app_doorbell_fd = pc->wake_fd = -1;
	if (seals < 0 || !(seals & F_SEAL_SHRINK))
		return -EPROTO;
	if (fstat(memfd, &st) < 0)
		return -errno;
	if ((uint64_t)st.st_size < sizeof(struct js_port_hdr))
		return -EPROTO;
	map = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
	if (map == MAP_FAILED)
		return -errno;
	err = take_header(pc, map, (size_t)st.st_size);
	if (err) {
		munmap(map, (size_t)st.st_size);
		return err;
	}
	pc->memfd = memfd;
	pc->doorbell_fd = doorbell_fd;
	pc->wake_fd = wake_fd;
	return 0;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void poolc_close(struct poolc *pc)
{
	if (pc->map)
		munmap(pc->map, pc->size);
	pc->map = NULL;
	pc->hdr = NULL;
	pc->n_bufs = pc->n_queues = 0;
	close_fd(&pc->sock);
	close_fd(&pc->memfd);
	close_fd(&pc->doorbell_fd);
	close_fd(&pc->app_doorbell_fd);
	close_fd(&pc->wake_fd);
}

int poolc_closed(const struct poolc *pc)
{
	return atomic_load_explicit(&pc->hdr->closed, memory_order_relaxed) ? -ENETDOWN : 0;
}

/* --- scripts ------------------------------------------------------------------------ */

/**
 * poolc_queue_init() - Become the producer of a script queue
 * @idx:	0 in the port's opener, else what poolc_queue_open() gave
 *
 * Return: 0; -EINVAL no such queue; -ESTALE it is not open
 */
int poolc_queue_init(struct poolc_queue *q, struct poolc *pc, unsigned int idx)
{
	memset(q, 0, sizeof(*q));
	if (idx >= pc->n_queues)
		return -EINVAL;
	q->pc = pc;
	q->sq = &pc->sq[idx];
	q->idx = idx;
	/* load-acquire, pairs with store-release in squeue_bump_epoch() */
	q->epoch = atomic_load_explicit(&q->sq->epoch, memory_order_acquire);
	if (!(q->epoch & 1))
		return -ESTALE;
	/* jetringd has set done, fetched and tail to the same number. */
	q->done = atomic_load_explicit(&q->sq->done, memory_order_relaxed);
	q->tail = q->published = q->done;
	return 0;
}

int poolc_queue_check(const struct poolc_queue *q)
{
	if (poolc_closed(q->pc))
		return -ENETDOWN;
	return atomic_load_explicit(&q->sq->epoch, memory_order_relaxed) == q->epoch ? 0 : -ESTALE;
}

bool poolc_queue_broken(const struct poolc_queue *q, uint32_t *done)
{
	*done = atomic_load_explicit(&q->sq->done, memory_order_relaxed);
	return q->tail - *done > JS_QUEUE_OPS;
}

static struct js_op *slot_op(const struct poolc_queue *q, uint32_t slot)
{
	return &q->sq->op[slot % JS_QUEUE_OPS];
}

/*
 * ALLOCs are answered in their slots: take the ids before a slot is used
 * again.  Answers come in order.
 */
void poolc_harvest(struct poolc_queue *q)
{
	uint32_t i;

	for (i = 0; i < q->n_alloc; i++) {
		const struct js_op *op = slot_op(q, q->alloc[i].slot);
		/* load-acquire, pairs with store-release in op_finish() */
		uint16_t status = atomic_load_explicit(&op->status, memory_order_acquire);

		if (status == JS_ST_PENDING)
			break;
		bufcache_take(q->alloc[i].bc, op, status, q->alloc[i].n);
	}
	if (!i)
		return;
	q->n_alloc -= i;
	memmove(&q->alloc[0], &q->alloc[i], q->n_alloc * sizeof(q->alloc[0]));
}

/**
 * poolc_space() - How many ops can be pushed now
 *
 * A slot is free when jetringd is done with the op in it; if that was an ALLOC
 * we have read its answer here.  A done that cannot be means no room.
 */
uint32_t poolc_space(struct poolc_queue *q)
{
	/* load-acquire, pairs with store-release in squeue_advance() */
	uint32_t done = atomic_load_explicit(&q->sq->done, memory_order_acquire);

	/* After done: answers of all ops before it are there. */
	poolc_harvest(q);
	if (q->tail - done > JS_QUEUE_OPS)
		return 0;
	q->done = done;
	return JS_QUEUE_OPS - (q->tail - done);
}

struct js_op *poolc_op(struct poolc_queue *q)
{
	struct js_op *op;

	/* What we saw last time is enough most times. */
	if ((q->n_alloc || q->tail - q->done >= JS_QUEUE_OPS) && !poolc_space(q))
		return NULL;
	op = slot_op(q, q->tail);
	atomic_store_explicit(&op->status, JS_ST_PENDING, memory_order_relaxed);
	op->code = JS_OP_NOP;
	op->n_seg = 0;
	op->pool = op->flags = op->n = op->hdr_len = op->vci = op->uucpi = 0;
	op->cookie = 0;
	return op;
}

void poolc_push(struct poolc_queue *q)
{
	q->tail++;
}

int poolc_send_raw(struct poolc_queue *q, uint16_t pool, js_vci_t vci, uint16_t uucpi,
		   const void *hdr, unsigned int hdr_len,
		   const struct js_seg *seg, unsigned int n_seg)
{
	uint32_t slot = q->tail;
	int err = poolc_send(q, pool, JS_SEND_RAW, hdr, hdr_len, seg, n_seg);

	if (err)
		return err;
	/* Not published yet. */
	slot_op(q, slot)->vci = vci;
	slot_op(q, slot)->uucpi = uucpi;
	return 0;
}

int poolc_send(struct poolc_queue *q, uint16_t pool, uint16_t flags,
	       const void *hdr, unsigned int hdr_len,
	       const struct js_seg *seg, unsigned int n_seg)
{
	struct js_op *op;

	if (hdr_len > JS_OP_HDR_MAX || n_seg > JS_SDU_BUFS)
		return -EINVAL;
	op = poolc_op(q);
	if (!op)
		return -EAGAIN;
	op->code = JS_OP_SEND;
	op->pool = pool;
	op->flags = flags;
	op->hdr_len = (uint16_t)hdr_len;
	op->n_seg = (uint8_t)n_seg;
	if (hdr_len)
		memcpy(op->hdr, hdr, hdr_len);
	if (n_seg)
		memcpy(op->seg, seg, n_seg * sizeof(*seg));
	poolc_push(q);
	return 0;
}

int poolc_free(struct poolc_queue *q, const uint16_t *bufs, unsigned int n)
{
	if (n > JS_QUEUE_OPS * JS_OP_BUFS ||
	    poolc_space(q) < (n + JS_OP_BUFS - 1) / JS_OP_BUFS)
		return -EAGAIN;
	while (n) {
		unsigned int k = MIN(n, (unsigned int)JS_OP_BUFS);
		struct js_op *op = poolc_op(q);

		if (!op)	/* done went back: somebody writes there */
			return -EAGAIN;
		op->code = JS_OP_FREE;
		op->n = (uint16_t)k;
		memcpy(op->bufs, bufs, k * sizeof(*bufs));
		poolc_push(q);
		bufs += k;
		n -= k;
	}
	return 0;
}

uint32_t poolc_publish(struct poolc_queue *q)
{
	uint32_t n = q->tail - q->published;

	if (!n)
		return 0;
	q->published = q->tail;
	/* store-release, pairs with load-acquire in squeue_fetch() */
	atomic_store_explicit(&q->sq->tail, q->tail, memory_order_release);
	return n;
}

bool poolc_ring(struct poolc *pc)
{
	static const uint64_t one = 1;
	uint32_t sleep;

	/* We have published, then look whether jetringd sleeps; it says that it
	 * sleeps, then looks at tails.  Pairs with the fence in ports_sleep(). */
	atomic_thread_fence(memory_order_seq_cst);
	sleep = atomic_load_explicit(&pc->hdr->db_sleep, memory_order_relaxed);
	if (!(sleep & JS_ASLEEP))
		return false;
	/* Fails only if the counter is full: then the doorbell has rung, too. */
	if (write(pc->doorbell_fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		return false;
	/* Not before: we may be killed between the two, and then nobody would
	 * ring any more.  Not if it has slept anew: the number is another. */
	atomic_compare_exchange_strong(&pc->hdr->db_sleep, &sleep, JS_AWAKE);
	return true;
}

bool poolc_is_done(struct poolc_queue *q, uint32_t op)
{
	/* load-acquire, pairs with store-release in squeue_advance() */
	uint32_t done = atomic_load_explicit(&q->sq->done, memory_order_acquire);

	/* Of the 2^32 numbers those just behind done are finished. */
	return done - op - 1 < 1u << 31;
}

/**
 * poolc_want_space() - Ask for an event when half the queue is free
 *
 * Return: true, JS_EV_SPACE will come; false, it is already
 */
bool poolc_want_space(struct poolc_queue *q)
{
	uint32_t done;

	atomic_store_explicit(&q->sq->want_space, 1, memory_order_relaxed);
	/* Pairs with the fence in squeue_advance(). */
	atomic_thread_fence(memory_order_seq_cst);
	done = atomic_load_explicit(&q->sq->done, memory_order_acquire);
	if (q->tail - done > JS_QUEUE_OPS / 2)
		return true;
	atomic_store_explicit(&q->sq->want_space, 0, memory_order_relaxed);
	return false;
}

/* --- events --------------------------------------------------------------------------- */

typedef _Atomic uint64_t __attribute__((may_alias)) event_word;

/* Whether a copied event can be what jetringd wrote. */
static bool event_is_sane(const struct poolc *pc, const struct js_event *ev)
{
	unsigned int i;

	if (ev->type != JS_EV_RX)
		return (ev->type == JS_EV_SPACE || ev->type == JS_EV_DISCARD) && !ev->n_buf;
	if (!ev->n_buf || ev->n_buf > JS_SDU_BUFS || ev->sdu_len > JS_SDU_MAX ||
	    (ev->sdu_len + JS_BUF_SIZE - 1) / JS_BUF_SIZE != ev->n_buf)
		return false;
	for (i = 0; i < ev->n_buf; i++)
		if (ev->buf[i] >= pc->n_bufs)
			return false;
	return true;
}

static bool has_event(const struct poolc *pc)
{
	uint32_t cons = atomic_load_explicit(&pc->hdr->eq_cons, memory_order_acquire);

	return atomic_load_explicit(&pc->eq[cons & (pc->n_events - 1)].idx,
				    memory_order_acquire) == cons + 1;
}

bool poolc_events_broken(const struct poolc *pc)
{
	uint32_t cons = atomic_load_explicit(&pc->hdr->eq_cons, memory_order_acquire);
	/* load-acquire, pairs with store-release in event_put(): the slot was
	 * written before */
	uint32_t prod = atomic_load_explicit(&pc->hdr->eq_prod, memory_order_acquire);

	/* An event may be consumed before jetringd has moved eq_prod over it:
	 * it writes the slot first. */
	if (prod == cons || prod + 1 == cons ||
	    atomic_load_explicit(&pc->eq[cons & (pc->n_events - 1)].idx,
				 memory_order_acquire) == cons + 1)
		return false;
	/* Unless another consumer was at work while we looked. */
	atomic_thread_fence(memory_order_acquire);
	return atomic_load_explicit(&pc->hdr->eq_cons, memory_order_relaxed) == cons;
}

int poolc_event_look(const struct poolc *pc, uint32_t n, struct js_event *ev)
{
	uint64_t word[sizeof(*ev) / 8];
	unsigned int tries, i;

	/* Another consumer may move eq_cons on while we copy. */
	for (tries = 0; tries < 4; tries++) {
		uint32_t cons = atomic_load_explicit(&pc->hdr->eq_cons, memory_order_acquire) + n;
		struct js_event *slot = &pc->eq[cons & (pc->n_events - 1)];

		/* load-acquire, pairs with store-release in event_put() */
		if (atomic_load_explicit(&slot->idx, memory_order_acquire) != cons + 1)
			return 0;
		for (i = 0; i < ARRAY_SIZE(word); i++)
			word[i] = atomic_load_explicit((event_word *)slot + i, memory_order_relaxed);
		/* Pairs with the release fence in event_put(). */
		atomic_thread_fence(memory_order_acquire);
		if (atomic_load_explicit(&slot->idx, memory_order_relaxed) != cons + 1)
			continue;
		memcpy(ev, word, sizeof(*ev));
		atomic_store_explicit(&ev->idx, cons + 1, memory_order_relaxed);
		if (!event_is_sane(pc, ev)) {
			ev->type = JS_EV_NONE;
			ev->n_buf = 0;
		}
		return 1;
	}
	return 0;
}

int poolc_event_peek(const struct poolc *pc, struct js_event *ev)
{
	return poolc_event_look(pc, 0, ev);
}

bool poolc_event_done(struct poolc *pc, const struct js_event *ev)
{
	uint32_t idx = atomic_load_explicit(&ev->idx, memory_order_relaxed);
	uint32_t cons = idx - 1;

	/* Release: the slot has been read before jetringd may write it again. */
	return atomic_compare_exchange_strong_explicit(&pc->hdr->eq_cons, &cons, idx,
						       memory_order_acq_rel, memory_order_relaxed);
}

/* --- sleeping ----------------------------------------------------------------------------- */

bool poolc_sleep_prepare(struct poolc *pc)
{
	atomic_store_explicit(&pc->hdr->eq_sleep, JS_ASLEEP, memory_order_relaxed);
	/* Pairs with the fence in port_wake(). */
	atomic_thread_fence(memory_order_seq_cst);
	if (!has_event(pc) && !poolc_closed(pc))
		return true;
	poolc_sleep_done(pc);
	return false;
}

void poolc_sleep_done(struct poolc *pc)
{
	uint64_t n;

	/* Still JS_ASLEEP: nobody has written wake_fd, so there is no need for
	 * a system call to empty it. */
	if (atomic_exchange(&pc->hdr->eq_sleep, JS_AWAKE) == JS_ASLEEP || pc->wake_fd < 0)
		return;
	/* Empty is as good as emptied. */
	if (read(pc->wake_fd, &n, sizeof(n)) < 0)
		return;
}

static long futex(_Atomic uint32_t *word, int op, uint32_t value, const struct timespec *ts)
{
	/* Not FUTEX_PRIVATE_FLAG: jetringd is another process. */
	return syscall(SYS_futex, word, op, value, ts, NULL, 0);
}

int poolc_lead_begin(struct poolc *pc)
{
	uint32_t nobody = JS_AWAKE;

	return atomic_compare_exchange_strong(&pc->hdr->leader, &nobody, JS_LEADING) ? 0 : -EBUSY;
}

bool poolc_lead_prepare(struct poolc *pc)
{
	atomic_store_explicit(&pc->hdr->leader, JS_ASLEEP, memory_order_relaxed);
	/* Pairs with the fence in port_wake(). */
	atomic_thread_fence(memory_order_seq_cst);
	if (!has_event(pc) && !poolc_closed(pc))
		return true;
	poolc_lead_cancel(pc);
	return false;
}

void poolc_lead_cancel(struct poolc *pc)
{
	atomic_store_explicit(&pc->hdr->leader, JS_LEADING, memory_order_relaxed);
}

int poolc_lead_wait(struct poolc *pc, uint64_t timeout_us)
{
	struct timespec ts = {
		.tv_sec = (time_t)(timeout_us / 1000000),
		.tv_nsec = (long)(timeout_us % 1000000) * 1000,
	};
	int err = 0;

	if (futex(&pc->hdr->leader, FUTEX_WAIT, JS_ASLEEP,
		  timeout_us == UINT64_MAX ? NULL : &ts) < 0 && errno != EAGAIN)
		err = -errno;
	poolc_lead_cancel(pc);
	return err;
}

bool poolc_lead_end(struct poolc *pc)
{
	atomic_store_explicit(&pc->hdr->leader, JS_AWAKE, memory_order_relaxed);
	/* From here on jetringd wakes the opener; what it wrote before, it
	 * left to us.  Pairs with the fence in port_wake(). */
	atomic_thread_fence(memory_order_seq_cst);
	return has_event(pc);
}

bool poolc_lead_wake(struct poolc *pc)
{
	uint32_t asleep = JS_ASLEEP;

	/* What we changed for the leader comes before our look at the word;
	 * the leader looks at it between prepare and wait. */
	atomic_thread_fence(memory_order_seq_cst);
	if (!atomic_compare_exchange_strong(&pc->hdr->leader, &asleep, JS_LEADING))
		return false;
	futex(&pc->hdr->leader, FUTEX_WAKE, 1, NULL);
	return true;
}

void poolc_lead_evict(struct poolc *pc)
{
	atomic_store(&pc->hdr->leader, JS_AWAKE);
	futex(&pc->hdr->leader, FUTEX_WAKE, INT_MAX, NULL);
}
