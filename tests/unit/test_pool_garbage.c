/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_pool_garbage.c - hostile clients beside an honest one
 *
 * A thread writes garbage into every shared word of its ports, some of it
 * plausible so that it comes past the first check; rings doorbells, turns
 * flags of its descriptors, punches holes, closes in any order, opens anew.
 * Processes that do the same are killed in the middle of it.
 * Meanwhile two honest ports on the same nodes exchange packets that are
 * compared octet by octet.  tests/lib/sanitized runs it under ASan and UBSan.
 * POOL_GARBAGE_S gives the seconds, 1 by default.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "tests/unit/poolrig.h"

#define N_EVIL		2

static _Atomic bool evil_stop;
static _Atomic uint64_t evil_words, evil_ports, evil_killed;
static _Atomic int evil_status;	/* of a process that did not end by SIGKILL */
static _Atomic uint16_t honest_vcis[2];

static uint64_t rnd(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

/* An op that might be one: each member is right most of the time. */
static void plausible_op(struct js_op *op, const struct poolc *pc, uint16_t pool, uint64_t *x)
{
	uint8_t *raw = (uint8_t *)op;

	memset(op, 0, sizeof(*op));
	op->code = rnd(x) % 5;
	op->pool = rnd(x) % 8 ? pool : (uint16_t)rnd(x);
	op->flags = rnd(x) % 4 ? rnd(x) % 4 : (uint16_t)rnd(x);
	op->n = rnd(x) % 4 ? rnd(x) % 8 : (uint16_t)rnd(x);
	if (op->code == JS_OP_FREE) {
		for (unsigned int i = 0; i < JS_OP_BUFS; i++)
			op->bufs[i] = (uint16_t)(rnd(x) % 64);
	} else {
		uint32_t sdu_len;

		op->n_seg = rnd(x) % 4 ? rnd(x) % 4 : (uint8_t)rnd(x);
		op->hdr_len = rnd(x) % 4 ? RIG_HDR : (uint16_t)rnd(x);
		op->vci = (uint16_t)rnd(x);
		sdu_len = op->hdr_len;
		for (unsigned int i = 0; i < JS_SDU_BUFS; i++) {
			op->seg[i].buf = (uint16_t)(rnd(x) % (rnd(x) % 8 ? 64 : pc->n_bufs + 1000));
			op->seg[i].off = (uint16_t)(rnd(x) % (rnd(x) % 8 ? 100 : 65536));
			op->seg[i].len = (uint16_t)(rnd(x) % (rnd(x) % 8 ? 3900 : 65536));
			if (i < op->n_seg)
				sdu_len += op->seg[i].len;
		}
		rig_header(op->hdr, sdu_len);
	}
	if (rnd(x) % 8 == 0)
		raw[rnd(x) % sizeof(*op)] = (uint8_t)rnd(x);
}

/* Some words of the port, anywhere but in the buffers. */
static void scribble(struct poolc *pc, uint64_t *x)
{
	size_t shared = (size_t)(pc->buf - pc->map);
	_Atomic uint32_t *word;

	for (unsigned int i = 0; i < 64; i++) {
		word = (_Atomic uint32_t *)(pc->map + rnd(x) % (shared / 4) * 4);
		atomic_store_explicit(word, (uint32_t)rnd(x), memory_order_relaxed);
	}
	/* The words that matter, more often. */
	word = rnd(x) % 2 ? &pc->hdr->eq_cons : rnd(x) % 2 ? &pc->hdr->leader : &pc->hdr->eq_sleep;
	atomic_store(word, rnd(x) % 2 ? (uint32_t)rnd(x) : rnd(x) % 3);
	atomic_store(&pc->hdr->db_sleep, rnd(x) % 3);
	atomic_fetch_add(&evil_words, 66);
}

/* Publish ops in every queue, with tails that are right or nearly so. */
static void publish_nonsense(struct poolc *pc, uint16_t pool, uint64_t *x)
{
	for (unsigned int i = 0; i < pc->n_queues; i++) {
		struct js_queue *sq = &pc->sq[i];
		uint32_t fetched = atomic_load(&sq->fetched);
		uint32_t n = (uint32_t)(rnd(x) % 32);

		for (uint32_t j = 0; j < n; j++)
			plausible_op(&sq->op[(fetched + j) % JS_QUEUE_OPS], pc, pool, x);
		if (rnd(x) % 64 == 0)
			n = (uint32_t)rnd(x);
		atomic_store(&sq->tail, fetched + n);
		atomic_store(&sq->want_space, rnd(x) % 2);
	}
}

/* Whatever a holder of descriptors can do to them. */
static void abuse_fds(struct poolc *pc, uint64_t *x)
{
	uint64_t n = rnd(x) % 2 ? UINT64_MAX - 1 : 1;

	switch (rnd(x) % 8) {
	case 0:
		/* A blocking doorbell must not block who watches it. */
		fcntl(pc->doorbell_fd, F_SETFL, rnd(x) % 2 ? O_NONBLOCK : 0);
		break;
	case 1:
		fcntl(pc->doorbell_fd, F_SETFL, O_NONBLOCK);
		if (write(pc->doorbell_fd, &n, sizeof(n)) < 0)
			break;
		break;
	case 2:
		fcntl(pc->doorbell_fd, F_SETFL, O_NONBLOCK);
		if (read(pc->doorbell_fd, &n, sizeof(n)) < 0)
			break;
		break;
	case 3:
		fallocate(pc->memfd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			  (off_t)(rnd(x) % pc->size), 65536);
		break;
	case 4:
		if (ftruncate(pc->memfd, 4096) == 0)
			abort();	/* sealed */
		break;
	}
	n = 1;
	fcntl(pc->doorbell_fd, F_SETFL, O_NONBLOCK);
	if (write(pc->doorbell_fd, &n, sizeof(n)) < 0)
		return;
}

/* Requests, some malformed, through the control socket. */
static void odd_requests(struct poolc *pc, uint16_t *pool, uint64_t *x)
{
	struct js_pool_req req = rig_pool_req(atomic_load(&honest_vcis[rnd(x) % 2]));
	struct js_flow flow = { .proto = 6, .sport_be = (uint16_t)rnd(x) };
	js_vci_t vci = rnd(x) % 2 ? JS_STREAM_ANY : atomic_load(&honest_vcis[rnd(x) % 2]);
	uint16_t ids[8], id;

	for (unsigned int i = 0; i < 8; i++)
		ids[i] = (uint16_t)(rnd(x) % 128);
	switch (rnd(x) % 10) {
	case 0:
		if (rnd(x) % 2)
			((uint8_t *)&req)[rnd(x) % sizeof(req)] = (uint8_t)rnd(x);
		if (poolc_pool_create(pc, &req, &id, NULL) == 0)
			*pool = id;
		break;
	case 1:
		poolc_pool_destroy(pc, rnd(x) % 2 ? *pool : (uint16_t)rnd(x));
		break;
	case 2:
		poolc_vci_bind(pc, *pool, &vci);
		break;
	case 3:
		poolc_vci_unbind(pc, *pool, vci);
		break;
	case 4:
		poolc_rule_add(pc, *pool, &flow, rnd(x) % 2 ? pc->memfd : -1);
		break;
	case 5:
		poolc_rule_del(pc, &flow);
		break;
	case 6:
		poolc_queue_open(pc);
		break;
	case 7:
		poolc_queue_revoke(pc, (unsigned int)(rnd(x) % 20));
		break;
	case 8:
		poolc_free_bufs(pc, ids, 8);
		break;
	case 9:
		poolc_pool_set(pc, *pool, (uint32_t)rnd(x) & 0x7f, &req);
		break;
	}
}

/* Ports, one after the other. */
static void be_evil(uint64_t x)
{
	while (!atomic_load(&evil_stop)) {
		struct js_pool_req req = rig_pool_req(atomic_load(&honest_vcis[0]));
		unsigned int id = 1 + (unsigned int)(rnd(&x) % 2), turns = (unsigned int)(rnd(&x) % 400);
		struct poolc pc;
		uint16_t pool = 1;

		if (poolc_open(&pc, rig.path[id], rnd(&x) % 4 ? 0 : JS_PORT_TRUSTED,
			       rnd(&x) % 2 ? 64 : 0) < 0)
			continue;
		atomic_fetch_add(&evil_ports, 1);
		poolc_pool_create(&pc, &req, &pool, NULL);
		for (unsigned int i = 0; i < turns && !atomic_load(&evil_stop); i++) {
			if (rnd(&x) % 4)
				publish_nonsense(&pc, pool, &x);
			if (rnd(&x) % 4 == 0)
				scribble(&pc, &x);
			abuse_fds(&pc, &x);
			if (rnd(&x) % 4 == 0)
				odd_requests(&pc, &pool, &x);
		}
		/* Descriptors go in any order; the rest with poolc_close(). */
		for (unsigned int i = 0; i < 4; i++) {
			int *fds[] = { &pc.sock, &pc.memfd, &pc.doorbell_fd, &pc.wake_fd };
			int *fd = fds[rnd(&x) % 4];

			if (*fd >= 0)
				close(*fd);
			*fd = -1;
		}
		poolc_close(&pc);
	}
}

static uint64_t seed(uintptr_t nr)
{
	return 0x9e3779b97f4a7c15u ^ nr << 32 ^ now_ns();
}

static void *evil_main(void *arg)
{
	be_evil(seed((uintptr_t)arg));
	return NULL;
}

/* Processes that die half way in whatever they are doing.  They have copies of
 * others' descriptors as well, as after any fork(). */
static void *killer_main(void *arg)
{
	uint64_t x = seed(77);

	(void)arg;
	while (!atomic_load(&evil_stop)) {
		pid_t pid = fork();
		int status = 0;

		if (pid == 0) {
			be_evil(seed((uintptr_t)getpid()));
			_exit(0);
		}
		if (pid < 0)
			continue;
		usleep((useconds_t)(rnd(&x) % 8000));
		kill(pid, SIGKILL);
		if (waitpid(pid, &status, 0) != pid)
			status = -1;
		/* 0: born when all was to stop. */
		if (!(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) &&
		    !(status == 0 && atomic_load(&evil_stop)))
			atomic_store(&evil_status, status ? status : -1);
		atomic_fetch_add(&evil_killed, 1);
	}
	return NULL;
}

/* One packet from @from to @to and its way into @to's hands. */
static void honest_packet(struct client *from, struct client *to, uint16_t *ids, uint32_t nr)
{
	uint32_t len = 1 + nr * 977 % 60000, at = 0, n_seg = 0;
	struct js_seg seg[JS_SDU_BUFS];
	uint8_t hdr[RIG_HDR];
	struct js_event ev;

	rig_header(hdr, RIG_HDR + len);
	while (at < len) {
		uint32_t k = MIN(len - at, (uint32_t)JS_BUF_SIZE);

		memset(poolc_buf(&from->pc, ids[n_seg]), (int)(nr + n_seg), k);
		seg[n_seg] = (struct js_seg) { .buf = ids[n_seg], .len = (uint16_t)k };
		n_seg++;
		at += k;
	}
	assert_int_equal(poolc_send(&from->q, from->pool, 0, hdr, RIG_HDR, seg, n_seg), 0);
	assert_int_equal(client_run(from), JS_ST_DONE);
	/* Hostile pools may send to us: with the template's header, to our
	 * stream.  A stack would see that it is not for it; we by the length. */
	do {
		client_event(to, &ev);
		assert_int_equal(ev.type, JS_EV_RX);
		if (ev.sdu_len != RIG_HDR + len || memcmp(poolc_buf(&to->pc, ev.buf[0]) + RIG_HDR,
							    poolc_buf(&from->pc, ids[0]), 1)) {
			client_free(to, ev.buf, ev.n_buf);
			ev.sdu_len = 0;
		}
	} while (!ev.sdu_len);
	assert_memory_equal(poolc_buf(&to->pc, ev.buf[0]), hdr, RIG_HDR);
	for (at = 0; at < len; at++) {
		uint32_t o = RIG_HDR + at;

		if (poolc_buf(&to->pc, ev.buf[o / JS_BUF_SIZE])[o % JS_BUF_SIZE] !=
		    (uint8_t)(nr + at / JS_BUF_SIZE))
			fail_msg("packet %u differs at octet %u", nr, at);
	}
	client_free(to, ev.buf, ev.n_buf);
}

static void garbage_hurts_nobody_else(void **state)
{
	const char *seconds = getenv("POOL_GARBAGE_S");
	uint64_t until = now_us() + (seconds ? (uint64_t)atoi(seconds) : 1) * 1000000;
	pthread_t evil[N_EVIL], killer;
	uint16_t ids_a[16], ids_b[16];
	struct client a, b;
	uint32_t nr = 0;

	(void)state;
	rig_start(false);
	client_pair(&a, &b);
	atomic_store(&honest_vcis[0], a.rxvci);
	atomic_store(&honest_vcis[1], b.rxvci);
	client_alloc(&a, ids_a, 16);
	client_alloc(&b, ids_b, 16);
	for (uintptr_t i = 0; i < N_EVIL; i++)
		assert_int_equal(pthread_create(&evil[i], NULL, evil_main, (void *)(i + 1)), 0);
	assert_int_equal(pthread_create(&killer, NULL, killer_main, NULL), 0);
	/* A second may pass before any of them has had a turn. */
	while (now_us() < until || ((!evil_ports || !evil_killed) && now_us() < until + RIG_WAIT_US)) {
		honest_packet(&a, &b, ids_a, nr++);
		honest_packet(&b, &a, ids_b, nr++);
	}
	atomic_store(&evil_stop, true);
	for (unsigned int i = 0; i < N_EVIL; i++)
		pthread_join(evil[i], NULL);
	pthread_join(killer, NULL);
	print_message("%u honest packets; %llu hostile ports, %llu words of garbage, %llu killed\n",
		      nr, (unsigned long long)evil_ports, (unsigned long long)evil_words,
		      (unsigned long long)evil_killed);
	assert_true(nr > 0 && evil_ports > 0 && evil_killed > 0);
	assert_int_equal(evil_status, 0);

	/* All that the hostile had is back. */
	poolc_close(&a.pc);
	poolc_close(&b.pc);
	until = now_us() + RIG_WAIT_US;
	for (;;) {
		bool empty;

		rig_lock();
		empty = TAILQ_EMPTY(&stations[1].ports->all) && TAILQ_EMPTY(&stations[2].ports->all);
		if (empty) {
			assert_int_equal(stations[1].ports->n_used + stations[2].ports->n_used, 0);
			for (unsigned int i = JS_STREAM_FIRST; i < JS_N_STREAMS; i++)
				assert_int_equal(stations[1].vci[i].target, RX_NONE);
		}
		rig_unlock();
		if (empty)
			break;
		if (now_us() > until)
			fail_msg("ports are left");
		/* The driver wants the lock, too, and who lets go is the first to ask again. */
		usleep(1000);
	}
	rig_stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(garbage_hurts_nobody_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
