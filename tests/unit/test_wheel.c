/* SPDX-License-Identifier: BSD-2-Clause */
/* test_wheel.c - the timing wheel against a plain array of times */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "common/util.h"
#include "common/wheel.h"

#define N	200

static struct wheel_timer timers[N];
static uint64_t model[N];	/* what was set; WHEEL_NEVER: not */
static struct wheel w;
static uint64_t x;

static uint64_t rnd(uint64_t n)
{
	uint64_t z = x += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return (z ^ (z >> 31)) % n;
}

static void set(uint32_t i, uint64_t at_us)
{
	wheel_set(&w, i, at_us);
	model[i] = at_us;
}

/* All that fires at @now_us: what the model says, give or take a tick. */
static void expire(uint64_t now_us)
{
	uint32_t i;

	while ((i = wheel_expire(&w, now_us)) != WHEEL_NONE) {
		assert_true(i < N);
		assert_true(model[i] <= now_us);
		model[i] = WHEEL_NEVER;
	}
	for (i = 0; i < N; i++)
		if (model[i] != WHEEL_NEVER)
			assert_true(model[i] + WHEEL_TICK_US > now_us);
}

static uint64_t earliest(void)
{
	uint64_t t = WHEEL_NEVER;

	for (uint32_t i = 0; i < N; i++)
		t = MIN(t, model[i]);
	return t;
}

static void start(uint64_t now_us)
{
	memset(model, 0xff, sizeof(model));
	wheel_init(&w, timers, N, now_us);
	assert_true(wheel_next_us(&w) == WHEEL_NEVER);
}

static void times_of_any_size(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 40; seed++) {
		uint64_t now = 1 + rnd(1ull << (10 + seed));

		x = seed;
		start(now);
		for (int step = 0; step < 3000; step++) {
			uint32_t i = (uint32_t)rnd(N);

			if (rnd(8) == 0)
				set(i, WHEEL_NEVER);
			else if (rnd(8) == 0)
				set(i, now - rnd(now));
			else
				set(i, now + rnd(1ull << rnd(45)));
			if (rnd(3) == 0) {
				now += rnd(1ull << rnd(30));
				expire(now);
			}
			/* Nobody sleeps too long. */
			assert_true(earliest() == WHEEL_NEVER ||
				    wheel_next_us(&w) < MAX(now, earliest()) + WHEEL_TICK_US);
		}
	}
}

/* Who sleeps until wheel_next_us() finds each timer, after few looks. */
static void sleeping_until_the_next(void **state)
{
	unsigned int looks = 0;
	uint64_t now = 123456789;

	(void)state;
	x = 1;
	start(now);
	for (uint32_t i = 0; i < N; i++)
		set(i, now + rnd(1ull << rnd(41)));
	while (wheel_next_us(&w) != WHEEL_NEVER) {
		now = MAX(now, wheel_next_us(&w));
		expire(now);
		looks++;
	}
	assert_true(earliest() == WHEEL_NEVER);
	assert_in_range(looks, 1, N * WHEEL_LEVELS);
}

static void set_again_while_it_fires(void **state)
{
	(void)state;
	start(1000000);
	set(3, 1000000);
	set(4, 1000000);
	assert_int_equal(wheel_expire(&w, 1000000), 3);
	set(3, 1000001);
	set(4, WHEEL_NEVER);
	assert_int_equal(wheel_expire(&w, 1000000), WHEEL_NONE);
	assert_int_equal(wheel_expire(&w, 1000000 + WHEEL_TICK_US), 3);
	/* Beyond every level: never. */
	set(5, WHEEL_NEVER - 1);
	assert_true(wheel_next_us(&w) == WHEEL_NEVER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times_of_any_size),
		cmocka_unit_test(sleeping_until_the_next),
		cmocka_unit_test(set_again_while_it_fires),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
