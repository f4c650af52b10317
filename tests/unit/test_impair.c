/* SPDX-License-Identifier: BSD-2-Clause */
/* test_impair.c - emulator/impair.c: chance from a seed, and rules */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "emulator/impair.h"

#define N	10000

static struct frame frame(js_vci_t vci, uint32_t sdu_len)
{
	return (struct frame) { .vci = vci, .sdu_len = sdu_len, .src = 1 };
}

static const struct frame *full(void)
{
	static struct frame f;

	f = frame(vci_make(2, 40), JS_MTU);
	return &f;
}

static int setup(void **state)
{
	(void)state;
	impair_init(42);
	return 0;
}

static void clean_by_default(void **state)
{
	(void)state;
	for (int i = 0; i < N; i++) {
		struct impair_verdict v = impair_frame(1, 2, full());

		assert_false(v.lost);
		assert_int_equal(v.flip, -1);
	}
	assert_int_equal(impair_link(1, 2)->frames, N);
}

static void all_is_all(void **state)
{
	(void)state;
	impair_link(1, 2)->loss = 1;
	impair_link(2, 1)->corrupt = 1;
	for (int i = 0; i < N; i++) {
		assert_true(impair_frame(1, 2, full()).lost);
		assert_in_range(impair_frame(2, 1, full()).flip, 0, (uint64_t)JS_MTU * 8 - 1);
	}
	assert_int_equal(impair_link(1, 2)->lost, N);
	assert_int_equal(impair_link(2, 1)->corrupted, N);
}

/* 1 % of 10000 is 100, and 5 standard deviations are 50. */
static void loss_is_about_right(void **state)
{
	(void)state;
	impair_link(1, 2)->loss = 0.01;
	for (int i = 0; i < N; i++)
		impair_frame(1, 2, full());
	assert_in_range(impair_link(1, 2)->lost, 50, 150);
}

/* What happens between others, or what else is set, changes nothing. */
static void same_seed_same_losses(void **state)
{
	static bool lost[N];
	int n_differ = 0;

	(void)state;
	impair_link(1, 2)->loss = 0.1;
	for (int i = 0; i < N; i++)
		lost[i] = impair_frame(1, 2, full()).lost;

	impair_init(42);
	impair_link(1, 2)->loss = 0.1;
	impair_link(1, 2)->corrupt = 0.5;
	impair_link(2, 1)->loss = 0.1;
	for (int i = 0; i < N; i++) {
		assert_int_equal(impair_frame(1, 2, full()).lost, lost[i]);
		n_differ += impair_frame(2, 1, full()).lost != lost[i];
	}
	/* The other direction draws its own numbers. */
	assert_in_range(n_differ, N / 10, N / 4);

	impair_seed(1, 2, 43);
	n_differ = 0;
	for (int i = 0; i < N; i++)
		n_differ += impair_frame(1, 2, full()).lost != lost[i];
	assert_in_range(n_differ, N / 10, N / 4);
}

static void add(enum impair_action action, int stream, uint64_t left)
{
	struct impair_rule rule = {
		.action = action, .src = 1u << 1, .dst = 1u << 2, .stream = stream, .left = left,
	};

	assert_int_equal(impair_rule_add(&rule), 0);
}

static void rule_hits_kth_once(void **state)
{
	(void)state;
	add(IMPAIR_LOSE, 40, 3);
	for (int i = 1; i <= 10; i++)
		assert_int_equal(impair_frame(1, 2, full()).lost, i == 3);
	add(IMPAIR_CORRUPT, 40, 1);
	assert_true(impair_frame(1, 2, full()).flip >= 0);
	assert_int_equal(impair_frame(1, 2, full()).flip, -1);
	assert_int_equal(impair_link(1, 2)->lost, 1);
	assert_int_equal(impair_link(1, 2)->corrupted, 1);
}

/* Without payload, on another stream or in the other direction: not counted. */
static void rule_counts_what_it_names(void **state)
{
	struct frame ack = frame(vci_make(2, 40), JS_RULE_PAYLOAD_MIN - 1);
	struct frame ip = frame(vci_make(2, JS_STREAM_IP), 1500);
	struct frame mcast = frame(vci_mcast(40), 1500);

	(void)state;
	add(IMPAIR_LOSE, IMPAIR_STREAM_USER, 1);
	assert_false(impair_frame(1, 2, &ack).lost);
	assert_false(impair_frame(1, 2, &ip).lost);
	assert_false(impair_frame(1, 2, &mcast).lost);
	assert_false(impair_frame(2, 1, full()).lost);
	assert_false(impair_frame(1, 3, full()).lost);
	assert_true(impair_frame(1, 2, full()).lost);

	add(IMPAIR_LOSE, IMPAIR_STREAM_ANY, 2);
	assert_false(impair_frame(1, 2, &ip).lost);
	assert_false(impair_frame(1, 2, &ack).lost);
	assert_true(impair_frame(1, 2, full()).lost);
}

static void rules_are_bounded(void **state)
{
	struct impair_rule rule = { .stream = IMPAIR_STREAM_ANY, .left = 1 };

	(void)state;
	for (int i = 0; i < IMPAIR_N_RULES; i++)
		assert_int_equal(impair_rule_add(&rule), 0);
	assert_true(impair_rule_add(&rule) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(clean_by_default, setup),
		cmocka_unit_test_setup(all_is_all, setup),
		cmocka_unit_test_setup(loss_is_about_right, setup),
		cmocka_unit_test_setup(same_seed_same_losses, setup),
		cmocka_unit_test_setup(rule_hits_kth_once, setup),
		cmocka_unit_test_setup(rule_counts_what_it_names, setup),
		cmocka_unit_test_setup(rules_are_bounded, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
