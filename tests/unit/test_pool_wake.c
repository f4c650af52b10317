/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_pool_wake.c - nobody sleeps over something that came
 *
 * Two clients as threads and the driver as a third play ping-pong, sleeping as
 * soon as they may: each round crosses both wait protocols (doorbell, events)
 * both ways.  A wake-up that is lost ends the test with a time-out, not with a
 * slow round.  Also under SAN=tsan: the order of memory accesses between
 * client and driver is checked there.
 */
#include "tests/unit/poolrig.h"

#define N_ROUNDS	4000u
#define LOST_MS		10000	/* a sleep that long was a lost wake-up */

enum sleeper { BY_EVENTFD, BY_LEADER };

static struct client ends[2];
static enum sleeper how[2];
static _Atomic unsigned int n_slept, n_lost;

/* Sleep until there is an event, by the rules. */
static void sleep_on(struct client *c, enum sleeper by)
{
	if (by == BY_EVENTFD) {
		struct pollfd pfd = { .fd = c->pc.wake_fd, .events = POLLIN };

		if (!poolc_sleep_prepare(&c->pc))
			return;
		n_slept++;
		n_lost += poll(&pfd, 1, LOST_MS) == 0;
		poolc_sleep_done(&c->pc);
	} else {
		if (!poolc_lead_prepare(&c->pc))
			return;
		n_slept++;
		n_lost += poolc_lead_wait(&c->pc, LOST_MS * 1000) == -ETIMEDOUT;
	}
}

/*
 * Let @c, the one port of its station, use the driver's mapping of its memory.
 * TSan knows memory by address: in two mappings it would see nothing.
 */
static void share_mapping(struct client *c)
{
	const struct port *p;

	rig_lock();
	p = TAILQ_FIRST(&stations[c->pc.ring_id].ports->all);
	assert_int_equal(p->size, c->pc.size);
	c->pc.hdr = p->hdr;
	c->pc.eq = p->eq;
	c->pc.buf = p->mem;
	c->pc.sq = p->q[0].sh;
	rig_unlock();
	c->q.sq = &c->pc.sq[0];
}

static void share_mappings(struct client *a, struct client *b)
{
	share_mapping(a);
	share_mapping(b);
}

static void receive(struct client *c, enum sleeper by, uint32_t nr)
{
	struct js_event ev;

	while (!poolc_event_peek(&c->pc, &ev) && !n_lost)
		sleep_on(c, by);
	if (n_lost)
		return;
	if (ev.type != JS_EV_RX || ev.seq != nr + 1 ||
	    poolc_buf(&c->pc, ev.buf[0])[RIG_HDR] != (uint8_t)nr)
		n_lost++;
	poolc_event_done(&c->pc, &ev);
	while (poolc_free(&c->q, ev.buf, ev.n_buf) < 0 && !n_lost)
		sched_yield();
}

static void transmit(struct client *c, uint16_t id, uint32_t nr)
{
	struct js_seg seg = { .buf = id, .len = 8 };
	uint8_t hdr[RIG_HDR];

	rig_header(hdr, RIG_HDR + 8);
	poolc_buf(&c->pc, id)[0] = (uint8_t)nr;
	while (poolc_send(&c->q, c->pool, 0, hdr, RIG_HDR, &seg, 1) < 0 && !n_lost)
		sched_yield();
	client_go(c);
}

static void *player(void *arg)
{
	unsigned int me = (unsigned int)(uintptr_t)arg;
	struct client *c = &ends[me];
	uint16_t id[2];
	uint32_t nr;

	client_alloc(c, id, 2);
	for (nr = 0; nr < N_ROUNDS && !n_lost; nr++) {
		/* Not the buffer that may still be read. */
		if (me == 0)
			transmit(c, id[nr % 2], nr);
		receive(c, how[me], nr);
		if (me == 1)
			transmit(c, id[nr % 2], nr);
		/* The other may be late, or early, to sleep. */
		if (nr % 64 == 0)
			usleep(200);
	}
	return NULL;
}

static void play(enum sleeper a, enum sleeper b)
{
	uint64_t start_us = now_us();
	pthread_t t[2];

	rig_start(false);
	atomic_store(&rig.spin, 0);
	client_pair(&ends[0], &ends[1]);
	share_mappings(&ends[0], &ends[1]);
	how[0] = a;
	how[1] = b;
	n_slept = n_lost = 0;
	for (unsigned int i = 0; i < 2; i++)
		if (how[i] == BY_LEADER)
			assert_int_equal(poolc_lead_begin(&ends[i].pc), 0);
	for (uintptr_t i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&t[i], NULL, player, (void *)i), 0);
	for (unsigned int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	print_message("%u rounds, %u sleeps of clients, %u of the driver, %.1f us a round\n",
		      N_ROUNDS, (unsigned int)n_slept, (unsigned int)rig.sleeps,
		      (double)(now_us() - start_us) / N_ROUNDS);
	assert_int_equal(n_lost, 0);
	for (unsigned int i = 0; i < 2; i++)
		poolc_close(&ends[i].pc);
	rig_stop();
}

static void eventfds(void **state)
{
	(void)state;
	play(BY_EVENTFD, BY_EVENTFD);
}

static void leaders(void **state)
{
	(void)state;
	play(BY_LEADER, BY_LEADER);
}

static void one_of_each(void **state)
{
	(void)state;
	play(BY_LEADER, BY_EVENTFD);
}

/* Who says that it sleeps looks once more. */
static void nobody_goes_to_sleep_over_an_event(void **state)
{
	struct client a, b;
	struct js_event ev;

	(void)state;
	rig_start(false);
	client_pair(&a, &b);
	client_push(&a, 0, 0, 0);
	assert_int_equal(client_run(&a), JS_ST_DONE);
	assert_false(poolc_sleep_prepare(&b.pc));
	assert_int_equal(atomic_load(&b.pc.hdr->eq_sleep), JS_AWAKE);
	assert_int_equal(poolc_lead_begin(&b.pc), 0);
	assert_false(poolc_lead_prepare(&b.pc));
	assert_int_equal(atomic_load(&b.pc.hdr->leader), JS_LEADING);
	client_event(&b, &ev);
	assert_true(poolc_lead_prepare(&b.pc));
	/* A condition that is no event. */
	assert_true(poolc_lead_wake(&b.pc));
	assert_false(poolc_lead_wake(&b.pc));
	assert_int_equal(poolc_lead_wait(&b.pc, LOST_MS * 1000), 0);
	assert_false(poolc_lead_end(&b.pc));
	assert_true(poolc_sleep_prepare(&b.pc));
	poolc_sleep_done(&b.pc);
	poolc_close(&a.pc);
	poolc_close(&b.pc);
	rig_stop();
}

/* DESIGN 6: a leader that was woken and consumes nothing is not waited for. */
static void a_dead_leader_is_found_out(void **state)
{
	struct pollfd pfd = { .events = POLLIN };
	struct client a, b;
	struct js_event ev;

	(void)state;
	rig_start(false);
	client_pair(&a, &b);
	/* It leads, and sleeps in a call it will never come back from. */
	assert_int_equal(poolc_lead_begin(&b.pc), 0);
	assert_true(poolc_lead_prepare(&b.pc));
	/* The child sleeps, too. */
	assert_true(poolc_sleep_prepare(&b.pc));
	pfd.fd = b.pc.wake_fd;
	client_push(&a, 0, 0, 0);
	assert_int_equal(client_run(&a), JS_ST_DONE);
	assert_int_equal(atomic_load(&b.pc.hdr->leader), JS_LEADING);
	assert_int_equal(poll(&pfd, 1, LOST_MS), 1);
	poolc_sleep_done(&b.pc);
	assert_int_equal(poll(&pfd, 1, 0), 0);
	client_event(&b, &ev);

	/* Nobody leads any more: the child at once. */
	poolc_lead_evict(&b.pc);
	assert_true(poolc_sleep_prepare(&b.pc));
	client_push(&a, 0, 0, 0);
	client_go(&a);
	assert_int_equal(poll(&pfd, 1, LOST_MS), 1);
	poolc_sleep_done(&b.pc);
	/* Who ends leading is told what was left to it. */
	assert_int_equal(poolc_lead_begin(&b.pc), 0);
	assert_true(poolc_lead_end(&b.pc));
	client_event(&b, &ev);
	assert_int_equal(poolc_lead_begin(&b.pc), 0);
	assert_false(poolc_lead_end(&b.pc));
	rig_lock();
	assert_int_equal(TAILQ_FIRST(&stations[2].ports->all)->st.grace_wakes, 1);
	rig_unlock();
	poolc_close(&a.pc);
	poolc_close(&b.pc);
	rig_stop();
}

/* Exchange packets with a leader for some graces.  How long it was away, at
 * most, ns. */
static uint64_t keep_busy(struct client *a, struct client *b)
{
	uint64_t start = now_ns(), last = start, longest = 0, now;
	struct js_event ev;

	do {
		client_push(a, 0, 0, 0);
		client_go(a);
		client_event(b, &ev);
		client_free(b, ev.buf, ev.n_buf);
		now = now_ns();
		longest = MAX(longest, now - last);
		last = now;
	} while (now - start < 5 * PORT_GRACE_NS);
	return longest;
}

/* A leader that is at work is not helped by the child.  One that a busy machine
 * did not let work for a grace is: then we try again. */
static void a_busy_leader_is_left_alone(void **state)
{
	struct pollfd pfd = { .events = POLLIN };
	unsigned int tries = 200;
	struct client a, b;
	bool was_away;

	(void)state;
	rig_start(false);
	client_pair(&a, &b);
	assert_int_equal(poolc_lead_begin(&b.pc), 0);
	pfd.fd = b.pc.wake_fd;
	do {
		assert_true(poolc_sleep_prepare(&b.pc));
		was_away = keep_busy(&a, &b) >= PORT_GRACE_NS / 2;
		if (!was_away)
			assert_int_equal(poll(&pfd, 1, 10), 0);
		poolc_sleep_done(&b.pc);
	} while (was_away && --tries);
	poolc_close(&a.pc);
	poolc_close(&b.pc);
	rig_stop();
	if (was_away)
		skip();
}

static bool is_asleep(const struct client *c)
{
	return atomic_load(&c->pc.hdr->db_sleep) & JS_ASLEEP;
}

/* Who rings is killed on the way to the system call, or behind it: the next one
 * is heard all the same. */
static void who_rings_may_be_killed(void **state)
{
	struct client a, b;
	struct poolc dead;
	uint32_t sleep[2];
	uint64_t one = 1;

	(void)state;
	rig_start(false);
	client_pair(&a, &b);
	for (unsigned int i = 0; i < 2; i++) {
		RIG_UNTIL(is_asleep(&a));
		sleep[i] = atomic_load(&a.pc.hdr->db_sleep);
		/* It did not get as far as the write. */
		dead = a.pc;
		dead.doorbell_fd = -1;
		assert_false(poolc_ring(&dead));
		client_push(&a, 0, 0, 0);
		assert_int_equal(client_run(&a), JS_ST_DONE);
		/* Nor any further. */
		RIG_UNTIL(is_asleep(&a));
		assert_int_equal(write(a.pc.doorbell_fd, &one, sizeof(one)), sizeof(one));
		client_push(&a, 0, 0, 0);
		assert_int_equal(client_run(&a), JS_ST_DONE);
	}
	/* Or only stopped there: what it then takes back is not this sleep. */
	assert_int_not_equal(sleep[0], sleep[1]);
	poolc_close(&a.pc);
	poolc_close(&b.pc);
	rig_stop();
}

/* Quiet ports leave the driver's list, and it sleeps; then they ring again. */
static void an_idle_port_costs_nothing(void **state)
{
	struct client a, b;
	struct js_event ev;
	uint64_t sleeps;

	(void)state;
	rig_start(false);
	client_pair(&a, &b);
	client_push(&a, 0, 0, 0);
	assert_int_equal(client_run(&a), JS_ST_DONE);
	client_event(&b, &ev);
	RIG_UNTIL(is_asleep(&a));
	usleep(20000);
	sleeps = atomic_load(&rig.sleeps);
	usleep(200000);
	assert_true(atomic_load(&rig.sleeps) - sleeps <= 2);
	client_push(&a, 0, 0, 0);
	assert_int_equal(client_run(&a), JS_ST_DONE);
	client_event(&b, &ev);
	poolc_close(&a.pc);
	poolc_close(&b.pc);
	rig_stop();
}

#define N_STREAM	3000u
#define N_STREAM_BUFS	32u

static void *streamer(void *arg)
{
	struct client *c = arg;
	uint32_t used[N_STREAM_BUFS] = { 0 };
	uint16_t id[N_STREAM_BUFS];

	client_alloc(c, id, N_STREAM_BUFS);
	for (uint32_t nr = 0; nr < N_STREAM; nr++) {
		uint32_t i = nr % N_STREAM_BUFS;

		/* Until its last SEND has left the buffer is read. */
		while (nr >= N_STREAM_BUFS && !poolc_is_done(&c->q, used[i]))
			sched_yield();
		used[i] = poolc_tail(&c->q);
		transmit(c, id[i], nr);
	}
	return NULL;
}

/* Nobody sleeps, so nothing orders memory but the queues themselves: tail and
 * done of scripts, idx of events.  For TSan. */
static void nobody_sleeps(void **state)
{
	struct client a, b;
	struct js_event ev;
	pthread_t t;

	(void)state;
	rig_start(false);
	atomic_store(&rig.spin, INT32_MAX);
	client_pair(&a, &b);
	share_mappings(&a, &b);
	assert_int_equal(pthread_create(&t, NULL, streamer, &a), 0);
	for (uint32_t nr = 0; nr < N_STREAM; nr++) {
		client_event(&b, &ev);
		assert_int_equal(ev.seq, nr + 1);
		assert_int_equal(poolc_buf(&b.pc, ev.buf[0])[RIG_HDR], (uint8_t)nr);
		while (poolc_free(&b.q, ev.buf, ev.n_buf) < 0)
			sched_yield();
		client_go(&b);
	}
	pthread_join(t, NULL);
	poolc_close(&a.pc);
	poolc_close(&b.pc);
	rig_stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(eventfds),
		cmocka_unit_test(leaders),
		cmocka_unit_test(one_of_each),
		cmocka_unit_test(nobody_goes_to_sleep_over_an_event),
		cmocka_unit_test(a_dead_leader_is_found_out),
		cmocka_unit_test(a_busy_leader_is_left_alone),
		cmocka_unit_test(who_rings_may_be_killed),
		cmocka_unit_test(an_idle_port_costs_nothing),
		cmocka_unit_test(nobody_sleeps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
