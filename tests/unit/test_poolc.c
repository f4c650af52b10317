/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_poolc.c - the client side of pools
 *
 * Headers that are not a port's; a port's memory full of garbage; the buffer
 * cache against a real driver, and against memory that nobody serves.
 */
#include <fcntl.h>
#include <sys/mman.h>

#include "common/ids.h"
#include "tests/unit/poolrig.h"

#define N_BUFS	64u

/* A port's memory without a driver. */
static int make_memory(struct js_port_hdr **hdr, unsigned int seals)
{
	uint32_t eq_off = 4096, sq_off = eq_off + JS_N_EVENTS * sizeof(struct js_event);
	uint32_t buf_off = (sq_off + JS_N_QUEUES * sizeof(struct js_queue) + 4095) / 4096 * 4096;
	size_t size = buf_off + N_BUFS * JS_BUF_SIZE;
	int fd = memfd_create("port", MFD_ALLOW_SEALING | MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	*hdr = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(*hdr, MAP_FAILED);
	(*hdr)->magic = JS_PORT_MAGIC;
	(*hdr)->version = JS_PORT_VERSION;
	(*hdr)->size = size;
	(*hdr)->eq_off = eq_off;
	(*hdr)->n_events = JS_N_EVENTS;
	(*hdr)->sq_off = sq_off;
	(*hdr)->n_queues = JS_N_QUEUES;
	(*hdr)->buf_off = buf_off;
	(*hdr)->n_bufs = N_BUFS;
	(*hdr)->ring_id = 7;
	return fd;
}

#define SEALS	(F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

static void a_header_that_cannot_be_is_refused(void **state)
{
	struct js_port_hdr *h, ok;
	struct poolc pc;
	int fd = make_memory(&h, 0);

	(void)state;
	/* Could be truncated under us. */
	assert_int_equal(poolc_attach(&pc, fd, -1, -1), -EPROTO);
	munmap(h, h->size);
	close(fd);
	fd = make_memory(&h, SEALS);
	ok = *h;
#define REFUSED(change) do {							\
		*h = ok;							\
		change;								\
		assert_int_equal(poolc_attach(&pc, fd, -1, -1), -EPROTO);	\
		assert_null(pc.map);						\
	} while (0)
	REFUSED(h->magic++);
	REFUSED(h->version++);
	REFUSED(h->size++);
	REFUSED(h->size = UINT64_MAX);
	REFUSED(h->eq_off++);
	REFUSED(h->eq_off = UINT32_MAX & ~63u);
	REFUSED(h->eq_off = (uint32_t)h->size);
	REFUSED(h->n_events = 0);
	REFUSED(h->n_events = 3000);
	REFUSED(h->n_events = 1u << 31);
	REFUSED(h->sq_off = (uint32_t)h->size - 64);
	REFUSED(h->n_queues = 0);
	REFUSED(h->n_queues = JS_N_QUEUES + 1);
	REFUSED(h->buf_off += 64);
	REFUSED(h->n_bufs = N_BUFS + 1);
	REFUSED(h->n_bufs = 0);
	REFUSED(h->n_bufs = 65536);
	REFUSED(h->n_bufs = UINT32_MAX);
	REFUSED(h->ring_id = 16);
#undef REFUSED
	*h = ok;
	assert_int_equal(poolc_attach(&pc, fd, -1, -1), 0);
	assert_int_equal(pc.ring_id, 7);
	/* Later changes of the header change nothing. */
	h->n_bufs = 60000;
	assert_null(poolc_buf(&pc, N_BUFS));
	assert_non_null(poolc_buf(&pc, N_BUFS - 1));
	assert_null(poolc_buf(&pc, JS_BUF_NONE));
	assert_int_equal(poolc_pool_destroy(&pc, 1), -EPERM);	/* no control socket */
	munmap(h, ok.size);
	poolc_close(&pc);
	/* Not a memfd at all. */
	fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	assert_int_equal(poolc_attach(&pc, fd, -1, -1), -EPROTO);
	close(fd);
}

static uint64_t seed = 88172645463325252u;

static uint64_t rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/* Every call ends, and gives nothing out of range, whatever is in the memory. */
static void garbage_in_memory_is_harmless(void **state)
{
	struct js_port_hdr *h;
	int fd = make_memory(&h, SEALS);
	size_t words = h->buf_off / 4;
	struct poolc_queue q;
	struct bufcache bc;
	struct js_event ev;
	uint16_t ids[64];
	struct poolc pc;

	(void)state;
	assert_int_equal(poolc_attach(&pc, fd, eventfd(0, EFD_NONBLOCK), eventfd(0, EFD_NONBLOCK)), 0);
	for (int round = 0; round < 3000; round++) {
		_Atomic uint32_t *word = (_Atomic uint32_t *)h;

		for (unsigned int i = 0; i < 2000; i++)
			atomic_store_explicit(&word[rnd() % words], (uint32_t)rnd(),
					      memory_order_relaxed);
		atomic_store(&h->closed, 0);
		atomic_store(&h->eq_cons, rnd() % 3 ? (uint32_t)rnd() % 8192 : (uint32_t)rnd());
		atomic_store(&pc.sq[3].epoch, 1);
		/* An event that is next, with garbage in it. */
		uint32_t cons = atomic_load(&h->eq_cons);

		atomic_store(&pc.eq[cons % JS_N_EVENTS].idx, cons + 1);
		assert_int_equal(poolc_event_peek(&pc, &ev), 1);
		assert_true(ev.n_buf <= JS_SDU_BUFS);
		for (unsigned int i = 0; i < ev.n_buf; i++)
			assert_non_null(poolc_buf(&pc, ev.buf[i]));
		assert_true(poolc_event_done(&pc, &ev));
		assert_false(poolc_event_done(&pc, &ev));
		poolc_event_peek(&pc, &ev);
		if (poolc_sleep_prepare(&pc))
			poolc_sleep_done(&pc);

		assert_int_equal(poolc_queue_init(&q, &pc, 3), 0);
		assert_int_equal(bufcache_init(&bc, &q, 1, 4, 32), 0);
		for (unsigned int i = 0; i < 300; i++) {
			int n;

			if (i % 32 == 0)
				atomic_store(&pc.sq[3].done, (uint32_t)rnd() % 8 + q.tail - 4);
			assert_true(poolc_space(&q) <= JS_QUEUE_OPS);
			n = bufcache_get(&bc, ids, 64, false);
			assert_true(n <= 64);
			for (int j = 0; j < n; j++)
				assert_non_null(poolc_buf(&pc, ids[j]));
			if (n > 0)
				bufcache_put(&bc, ids, (unsigned int)n);
			poolc_free(&q, ids, 64);
			poolc_send(&q, 1, 0, NULL, 0, NULL, 0);
			poolc_publish(&q);
			poolc_ring(&pc);
			/* Answers that were never given. */
			atomic_store(&q.sq->op[rnd() % JS_QUEUE_OPS].status, (uint16_t)(rnd() % 3));
			q.sq->op[rnd() % JS_QUEUE_OPS].bufs[rnd() % JS_OP_BUFS] = (uint16_t)rnd();
		}
		bufcache_flush(&bc, 0);
		poolc_want_space(&q);
		poolc_is_done(&q, (uint32_t)rnd());
		if (round % 500 == 0)
			bufcache_get(&bc, ids, 1, true);
		poolc_lead_evict(&pc);
		atomic_store(&h->leader, JS_AWAKE);
		assert_int_equal(poolc_lead_begin(&pc), 0);
		assert_int_equal(poolc_lead_begin(&pc), -EBUSY);
		if (poolc_lead_prepare(&pc))
			assert_int_equal(poolc_lead_wait(&pc, 1), -ETIMEDOUT);
		poolc_lead_end(&pc);
	}
	munmap(h, pc.size);
	poolc_close(&pc);
}

/* Nobody answers: bounded, and with an error that says so. */
/* What jetringd writes in its order, seen between any two of its stores, is no
 * broken queue; what it never writes is. */
static void a_queue_half_written_is_not_broken(void **state)
{
	struct js_port_hdr *h;
	struct js_event ev;
	struct poolc pc;
	int fd = make_memory(&h, SEALS);

	(void)state;
	assert_int_equal(poolc_attach(&pc, fd, -1, -1), 0);
	assert_false(poolc_events_broken(&pc));
	/* The slot, then eq_prod: a consumer may be in between. */
	pc.eq[0].type = JS_EV_SPACE;
	atomic_store(&pc.eq[0].idx, 1);
	assert_int_equal(poolc_event_peek(&pc, &ev), 1);
	assert_true(poolc_event_done(&pc, &ev));
	assert_false(poolc_events_broken(&pc));
	atomic_store(&h->eq_prod, 1);
	assert_false(poolc_events_broken(&pc));
	/* Somebody has moved eq_cons, or written into a slot. */
	atomic_store(&h->eq_cons, 100);
	assert_true(poolc_events_broken(&pc));
	atomic_store(&h->eq_cons, 1);
	atomic_store(&h->eq_prod, 2);
	assert_true(poolc_events_broken(&pc));
	poolc_close(&pc);
	munmap(h, sizeof(*h));
}

static void waiting_for_a_dead_driver_ends(void **state)
{
	struct js_port_hdr *h;
	int fd = make_memory(&h, SEALS);
	struct poolc_queue q;
	struct bufcache bc;
	struct poolc pc;
	uint64_t start;
	uint16_t id;

	(void)state;
	assert_int_equal(poolc_attach(&pc, fd, eventfd(0, EFD_NONBLOCK), -1), 0);
	assert_int_equal(poolc_queue_init(&q, &pc, 0), -ESTALE);
	atomic_store(&pc.sq[0].epoch, 1);
	assert_int_equal(poolc_queue_init(&q, &pc, 0), 0);
	assert_int_equal(poolc_queue_init(&q, &pc, JS_N_QUEUES), -EINVAL);
	assert_int_equal(poolc_queue_init(&q, &pc, 0), 0);
	assert_int_equal(bufcache_init(&bc, &q, 1, 4, 4), -EINVAL);
	assert_int_equal(bufcache_init(&bc, &q, 1, 4, BUFCACHE_MAX + 1), -EINVAL);
	assert_int_equal(bufcache_init(&bc, &q, 1, 4, 8), 0);
	start = now_us();
	assert_int_equal(bufcache_get(&bc, &id, 1, true), -EAGAIN);
	assert_true(now_us() - start >= BUFCACHE_WAIT_US);
	atomic_store(&pc.sq[0].epoch, 2);
	assert_int_equal(bufcache_get(&bc, &id, 1, true), -ESTALE);
	atomic_store(&h->closed, JS_CLOSED_RING);
	assert_int_equal(bufcache_get(&bc, &id, 1, true), -ENETDOWN);
	munmap(h, pc.size);
	poolc_close(&pc);
}

static int setup(void **state)
{
	(void)state;
	rig_start(false);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_stop();
	return 0;
}

/* The machine may be busy: the driver had no turn within BUFCACHE_WAIT_US. */
static int get_patiently(struct bufcache *bc, uint16_t *ids, unsigned int n)
{
	int got = -EAGAIN;

	RIG_UNTIL((got = bufcache_get(bc, ids, n, true)) != -EAGAIN);
	return got;
}

/* Paper, 4.5.1: few crossings for many buffers. */
static void the_cache_gets_buffers_without_waiting(void **state)
{
	struct client a;
	struct bufcache bc;
	uint64_t n_ops;
	unsigned int waited = 0;
	uint16_t ids[16];

	(void)state;
	client_open(&a, 1, 0);
	assert_int_equal(bufcache_init(&bc, &a.q, a.pool, 32, 128), 0);
	rig_lock();
	n_ops = stations[1].st.ops;
	rig_unlock();
	for (unsigned int i = 0; i < 1000; i++) {
		int n = bufcache_get(&bc, ids, 16, false);

		if (n <= 0) {
			waited++;
			n = get_patiently(&bc, ids, 16);
		}
		assert_true(n > 0);
		/* As TCP does: the SENDs and the refill go in one script; half
		 * of what was taken is given back. */
		client_go(&a);
		assert_int_equal(bufcache_put(&bc, ids, (unsigned int)n), 0);
		if (n > 8 && i % 4 == 0) {
			n = bufcache_get(&bc, ids, 8, false);
			assert_int_equal(poolc_free(&a.q, ids, (unsigned int)n), 0);
		}
		assert_true(bc.n + bc.asked <= BUFCACHE_MAX);
	}
	rig_lock();
	n_ops = stations[1].st.ops - n_ops;
	rig_unlock();
	/* Idle machine: once, at the start. */
	assert_true(waited < 100);
	assert_true(n_ops < 400);
	/* All goes back. */
	client_go(&a);
	RIG_UNTIL(poolc_space(&a.q) == JS_QUEUE_OPS);
	assert_int_equal(bufcache_flush(&bc, 0), 0);
	client_run(&a);
	assert_int_equal(client_owns(&a, BUF_TX), 0);
	poolc_close(&a.pc);
}

static void the_cache_at_its_pools_limit(void **state)
{
	struct js_pool_req req = { .tx_limit = 10 };
	struct client a;
	struct bufcache bc;
	uint16_t ids[64];
	int n, m;

	(void)state;
	client_open(&a, 1, 0);
	assert_int_equal(poolc_pool_set(&a.pc, a.pool, JS_PS_TX_LIMIT, &req), 0);
	assert_int_equal(bufcache_init(&bc, &a.q, a.pool, 8, 100), 0);
	for (n = 0; n < 10; n += m) {
		m = get_patiently(&bc, ids + n, 64 - (unsigned int)n);
		assert_true(m > 0);
	}
	assert_int_equal(n, 10);
	assert_int_equal(get_patiently(&bc, ids + 10, 1), -ENOBUFS);
	assert_int_equal(bufcache_get(&bc, ids + 10, 1, false), -ENOBUFS);
	assert_int_equal(bufcache_put(&bc, ids, 3), 0);
	assert_int_equal(get_patiently(&bc, ids, 5), 3);
	poolc_close(&a.pc);
}

/* Neighbours in memory are sent as one piece: they come as such, many at a
 * time or one, and also when they have been used. */
static void the_cache_gives_neighbours_in_order(void **state)
{
	uint16_t ids[48], again[48];
	struct bufcache bc;
	struct client a;

	(void)state;
	client_open(&a, 1, 0);
	assert_int_equal(bufcache_init(&bc, &a.q, a.pool, 0, 96), 0);
	assert_int_equal(get_patiently(&bc, ids, 48), 48);
	for (unsigned int i = 1; i < 48; i++)
		assert_int_equal(ids[i], ids[0] + i);
	assert_int_equal(bufcache_put(&bc, ids, 48), 0);
	for (unsigned int i = 0; i < 16; i++)
		assert_int_equal(bufcache_get(&bc, again + i, 1, false), 1);
	assert_int_equal(bufcache_get(&bc, again + 16, 32, false), 32);
	assert_memory_equal(again, ids, sizeof(ids));

	/* Through the driver, too. */
	assert_int_equal(bufcache_put(&bc, ids, 48), 0);
	assert_int_equal(bufcache_flush(&bc, 0), 0);
	client_run(&a);
	assert_int_equal(client_owns(&a, BUF_TX), 0);
	assert_int_equal(get_patiently(&bc, again, 48), 48);
	for (unsigned int i = 1; i < 48; i++)
		assert_int_equal(again[i], again[0] + i);
	poolc_close(&a.pc);
}

static bool are_neighbours(const uint16_t *ids, unsigned int n)
{
	for (unsigned int i = 1; i < n; i++)
		if (ids[i] != ids[0] + i)
			return false;
	return true;
}

/* Of 96 that are neighbours: no two stay so. */
static void shuffle(uint16_t *ids)
{
	uint16_t was[96];

	memcpy(was, ids, sizeof(was));
	for (unsigned int i = 0; i < 96; i++)
		ids[i] = was[i * 7 % 96];
}

/* Buffers that come back in another order than they went are neighbours again
 * after a while: in the cache, and in the driver. */
static void scattered_buffers_are_put_in_order(void **state)
{
	uint16_t ids[96], part[16];
	struct bufcache bc;
	struct client a;
	unsigned int i;

	(void)state;
	client_open(&a, 1, 0);
	client_alloc(&a, ids, 96);
	assert_true(are_neighbours(ids, 96));
	shuffle(ids);
	assert_int_equal(bufcache_init(&bc, &a.q, a.pool, 0, 200), 0);
	assert_int_equal(bufcache_put(&bc, ids, 96), 0);
	for (i = 0; i < IDS_SCATTERED; i++) {
		assert_int_equal(bufcache_get(&bc, part, 16, false), 16);
		assert_false(are_neighbours(part, 16));
		assert_int_equal(bufcache_put(&bc, part, 16), 0);
	}
	assert_int_equal(bufcache_get(&bc, ids, 96, false), 96);
	assert_true(are_neighbours(ids, 96));

	shuffle(ids);
	client_free(&a, ids, 96);
	for (i = 0; i < IDS_SCATTERED; i++) {
		client_alloc(&a, part, 16);
		assert_false(are_neighbours(part, 16));
		client_free(&a, part, 16);
	}
	client_alloc(&a, ids, 96);
	assert_true(are_neighbours(ids, 96));
	poolc_close(&a.pc);
}

/* Who shares a queue may answer an ALLOC with one buffer many times. */
static void a_buffer_that_is_there_twice(void **state)
{
	uint16_t ids[8], part[8] = { 0 };
	struct bufcache bc;
	struct client a;

	(void)state;
	client_open(&a, 1, 0);
	client_alloc(&a, ids, 8);
	assert_int_equal(bufcache_init(&bc, &a.q, a.pool, 0, 200), 0);
	for (unsigned int i = 0; i < 16; i++)
		assert_int_equal(bufcache_put(&bc, &ids[i % 2 ? 7 : i / 4], 1), 0);
	for (unsigned int i = 0; i < IDS_SCATTERED; i++) {
		assert_int_equal(bufcache_get(&bc, part, 8, false), 8);
		assert_int_equal(bufcache_put(&bc, part, 8), 0);
	}
	assert_int_equal(bufcache_get(&bc, part, 8, false), 5);
	assert_int_equal(part[4], ids[7]);
	poolc_close(&a.pc);
}

static void the_cache_keeps_to_its_marks(void **state)
{
	struct client a;
	struct bufcache bc;
	uint16_t ids[112];

	(void)state;
	client_open(&a, 1, 0);
	assert_int_equal(bufcache_init(&bc, &a.q, a.pool, 8, 32), 0);
	client_alloc(&a, ids, 112);
	assert_int_equal(bufcache_put(&bc, ids, 112), 0);
	assert_int_equal(bc.n, 20);
	/* What was put last is used first. */
	client_run(&a);
	assert_int_equal(client_owns(&a, BUF_TX), 20);
	assert_int_equal(bufcache_get(&bc, ids, 1, false), 1);
	poolc_close(&a.pc);
}

/* The driver gets no turn for longer than anybody yields. */
static void *keep_driver_away(void *arg)
{
	const struct timespec away = { .tv_nsec = 20000000 };

	rig_lock();
	pthread_barrier_wait(arg);
	nanosleep(&away, NULL);
	rig_unlock();
	return NULL;
}

/* A busy machine: the crossing takes as long as it takes, it is not refused. */
static void the_cache_waits_for_a_driver_without_a_turn(void **state)
{
	struct client a;
	struct bufcache bc;
	pthread_barrier_t is_away;
	pthread_t thread;
	uint16_t id;
	int n;

	(void)state;
	client_open(&a, 1, 0);
	assert_int_equal(bufcache_init(&bc, &a.q, a.pool, 8, 32), 0);
	pthread_barrier_init(&is_away, NULL, 2);
	assert_int_equal(pthread_create(&thread, NULL, keep_driver_away, &is_away), 0);
	pthread_barrier_wait(&is_away);
	n = bufcache_get(&bc, &id, 1, true);
	pthread_join(thread, NULL);
	assert_int_equal(n, 1);
	poolc_close(&a.pc);
}

/* An ALLOC's slot is not used again before its answer was read. */
static void answers_are_not_overwritten(void **state)
{
	struct client a;
	struct bufcache bc;
	uint16_t ids[8];
	unsigned int pushed = 0;

	(void)state;
	client_open(&a, 1, 0);
	assert_int_equal(bufcache_init(&bc, &a.q, a.pool, 8, 64), 0);
	assert_int_equal(bufcache_get(&bc, ids, 8, false), -EAGAIN);	/* pushes the ALLOC */
	assert_int_equal(bc.asked, 36);
	while (poolc_op(&a.q)) {
		poolc_push(&a.q);
		pushed++;
	}
	assert_int_equal(pushed, JS_QUEUE_OPS - 1);
	client_go(&a);
	RIG_UNTIL(poolc_is_done(&a.q, poolc_tail(&a.q) - 1));
	assert_non_null(poolc_op(&a.q));	/* which has read the answer */
	assert_int_equal(bc.n, 36);
	assert_int_equal(bc.asked, 0);
	poolc_close(&a.pc);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_header_that_cannot_be_is_refused),
		cmocka_unit_test(garbage_in_memory_is_harmless),
		cmocka_unit_test(a_queue_half_written_is_not_broken),
		cmocka_unit_test(waiting_for_a_dead_driver_ends),
		CASE(the_cache_gets_buffers_without_waiting),
		CASE(the_cache_at_its_pools_limit),
		CASE(the_cache_gives_neighbours_in_order),
		CASE(scattered_buffers_are_put_in_order),
		CASE(a_buffer_that_is_there_twice),
		CASE(the_cache_keeps_to_its_marks),
		CASE(the_cache_waits_for_a_driver_without_a_turn),
		CASE(answers_are_not_overwritten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
