/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_focache.c - Fast Open cookies of peers: RFC 7413, 4.1.3
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/focache.h"

#define S	1000000ull	/* microseconds */

static struct fo_cache *cache;
static struct fo_known known;

static int setup(void **state)
{
	(void)state;
	cache = calloc(1, sizeof(*cache));
	return cache ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	free(cache);
	return 0;
}

static const struct fo_known *get(unsigned int host, uint64_t now_us)
{
	uint8_t addr[16] = { [14] = (uint8_t)(host >> 8), [15] = (uint8_t)host };

	fo_cache_get(cache, addr, now_us, &known);
	return &known;
}

static void learn(unsigned int host, uint64_t now_us, struct fo_news news)
{
	uint8_t addr[16] = { [14] = (uint8_t)(host >> 8), [15] = (uint8_t)host };

	fo_cache_learn(cache, addr, now_us, &news);
}

#define COOKIE(form_, len_) { .form = (form_), .len = (len_), .cookie = "0123456789abcde", .mss = 900 }

static void unknown_peer_is_asked(void **state)
{
	(void)state;
	assert_int_equal(get(1, 1)->form, FO_OPT);
	assert_int_equal(known.len, 0);
	assert_int_equal(known.mss, 0);
}

static void cookie_is_kept_and_replaced(void **state)
{
	(void)state;
	learn(1, 1, (struct fo_news){ .asked = FO_OPT, .answer = COOKIE(FO_OPT, 8) });
	assert_int_equal(get(1, 2)->form, FO_OPT);
	assert_int_equal(known.len, 8);
	assert_int_equal(known.mss, 900);
	assert_memory_equal(known.cookie, "01234567", 8);
	/* An answer without one: the old is good still, the MSS is new. */
	learn(1, 3, (struct fo_news){ .asked = FO_OPT, .had_data = true, .took_data = true,
				      .answer.mss = 700 });
	assert_int_equal(get(1, 4)->len, 8);
	assert_int_equal(known.mss, 700);
	learn(1, 5, (struct fo_news){ .asked = FO_OPT, .had_data = true,
				      .answer = COOKIE(FO_EXP, 16) });
	assert_int_equal(get(1, 6)->len, 16);
	assert_int_equal(known.form, FO_EXP);
	assert_int_equal(get(2, 6)->len, 0);
}

/* It was not asked for: anybody could have put it there. */
static void unsolicited_cookie_is_ignored(void **state)
{
	(void)state;
	learn(1, 1, (struct fo_news){ .had_data = true, .took_data = true,
				      .answer = COOKIE(FO_OPT, 8) });
	assert_int_equal(get(1, 2)->len, 0);
}

static void experimental_form_is_tried_once(void **state)
{
	(void)state;
	learn(1, 1, (struct fo_news){ .asked = FO_OPT });
	assert_int_equal(get(1, 2)->form, FO_EXP);
	learn(1, 3, (struct fo_news){ .asked = FO_EXP });
	assert_int_equal(get(1, 4)->form, FO_OPT);
	learn(1, 5, (struct fo_news){ .asked = FO_OPT });
	assert_int_equal(get(1, 6)->form, FO_OPT);
}

/* 4.1.3.1: a path that loses such SYNs is spared for a time, longer each time. */
static void losses_in_a_row(void **state)
{
	const struct fo_news lost = { .asked = FO_OPT, .had_data = true, .again = true };
	const struct fo_news good = { .asked = FO_OPT, .had_data = true, .took_data = true };

	(void)state;
	learn(1, 1, (struct fo_news){ .asked = FO_OPT, .answer = COOKIE(FO_OPT, 8) });
	learn(1, 10 * S, lost);
	assert_int_equal(get(1, 11 * S)->form, FO_OPT);
	learn(1, 20 * S, lost);
	assert_int_equal(get(1, 21 * S)->form, FO_NONE);
	assert_int_equal(known.len, 0);
	assert_int_equal(get(1, 79 * S)->form, FO_NONE);
	assert_int_equal(get(1, 80 * S)->form, FO_OPT);
	assert_int_equal(known.len, 8);
	learn(1, 80 * S, lost);
	assert_int_equal(get(1, 199 * S)->form, FO_NONE);
	assert_int_equal(get(1, 200 * S)->form, FO_OPT);
	learn(1, 200 * S, good);
	learn(1, 201 * S, lost);
	assert_int_equal(get(1, 202 * S)->form, FO_OPT);
	/* Never for ever */
	for (unsigned int i = 0; i < 300; i++)
		learn(1, 300 * S, lost);
	assert_int_equal(get(1, 300 * S + 3839 * S)->form, FO_NONE);
	assert_int_equal(get(1, 300 * S + 3841 * S)->form, FO_OPT);
}

/* The SYN was sent again, but one of them brought a cookie, or its data arrived. */
static void slow_is_not_lost(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 5; i++) {
		learn(1, i * S, (struct fo_news){ .asked = FO_OPT, .again = true,
						  .answer = COOKIE(FO_OPT, 8) });
		learn(1, i * S, (struct fo_news){ .asked = FO_OPT, .again = true, .had_data = true,
						  .took_data = true });
	}
	assert_int_equal(get(1, 6 * S)->form, FO_OPT);
}

static void least_recently_used_makes_room(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 1; i <= FO_PEERS; i++)
		learn(i, 1, (struct fo_news){ .asked = FO_OPT, .answer = COOKIE(FO_OPT, 8) });
	assert_int_equal(get(1, 2)->len, 8);
	learn(FO_PEERS + 1, 3, (struct fo_news){ .asked = FO_OPT, .answer = COOKIE(FO_OPT, 8) });
	assert_int_equal(get(1, 4)->len, 8);
	assert_int_equal(get(2, 4)->len, 0);
	assert_int_equal(get(3, 4)->len, 8);
	assert_int_equal(get(FO_PEERS + 1, 4)->len, 8);
}

/* What was known of the one who had the place is not held against the next. */
static void a_place_is_taken_over_empty(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 1; i <= FO_PEERS; i++)
		learn(i, 1, (struct fo_news){ .asked = FO_OPT, .answer = COOKIE(FO_OPT, 8) });
	learn(FO_PEERS + 1, 2, (struct fo_news){ .asked = FO_OPT });
	assert_int_equal(get(FO_PEERS + 1, 3)->len, 0);
	assert_int_equal(known.mss, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(unknown_peer_is_asked, setup, teardown),
		cmocka_unit_test_setup_teardown(cookie_is_kept_and_replaced, setup, teardown),
		cmocka_unit_test_setup_teardown(unsolicited_cookie_is_ignored, setup, teardown),
		cmocka_unit_test_setup_teardown(experimental_form_is_tried_once, setup, teardown),
		cmocka_unit_test_setup_teardown(losses_in_a_row, setup, teardown),
		cmocka_unit_test_setup_teardown(slow_is_not_lost, setup, teardown),
		cmocka_unit_test_setup_teardown(least_recently_used_makes_room, setup, teardown),
		cmocka_unit_test_setup_teardown(a_place_is_taken_over_empty, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
