/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_impair.c - emulator/impair.c and delayq.c: chance from a seed, waiting, rules
 *
 * Virtual time, exact seeds.  Statistics over N frames: a bound is five standard
 * deviations of the model's figure, but the seeds are fixed, so each test either
 * always passes or never.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/util.h"
#include "emulator/delayq.h"
#include "emulator/impair.h"
#include "emulator/ring.h"

#define N	100000
#define MS	1000000u

static uint8_t octets[JS_SDU_MAX];

static struct frame frame(js_vci_t vci, uint32_t sdu_len)
{
	return (struct frame) {
		.vci = vci, .sdu_len = sdu_len, .src = 1, .n_iov = 1,
		.iov[0] = { octets, sdu_len },
	};
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

/* "link set" for one pair. */
static void set(unsigned int src, unsigned int dst, const char *words)
{
	struct link_set s;
	char line[200], *save = NULL;
	int key;

	link_set_default(&s);
	strcpy(line, words);
	for (char *w = strtok_r(line, " ", &save); w; w = strtok_r(NULL, " ", &save))
		assert_int_equal(link_set_word(&s, w, &key), 0);
	impair_set(src, dst, &s);
}

/* One frame from 1 to 2 at @at_ns; what waits is given back at once. */
static struct impair_verdict send_at(uint64_t at_ns)
{
	struct impair_verdict v = impair_frame(1, 2, full(), at_ns);

	for (unsigned int i = 0; i < v.n; i++)
		if (v.copy[i].holds)
			impair_release(1, 2, 0, false);
	return v;
}

static bool lost(unsigned int src, unsigned int dst, const struct frame *f)
{
	return !impair_frame(src, dst, f, 0).n;
}

static const struct impair_stats *st(void)
{
	return &impair_link(1, 2)->st;
}

/* Within five standard deviations of N trials with probability @p. */
static void assert_share(uint64_t n, double p)
{
	double d = (double)n - p * N, var = N * p * (1 - p);

	if (d * d > 25 * var)
		fail_msg("%llu of %d, expected %g", (unsigned long long)n, N, p * N);
}

/* --- chance ---------------------------------------------------------------------- */

static void clean_by_default(void **state)
{
	(void)state;
	for (int i = 0; i < 1000; i++) {
		struct impair_verdict v = impair_frame(1, 2, full(), 7);

		assert_int_equal(v.n, 1);
		assert_int_equal(v.copy[0].flip, -1);
		assert_int_equal(v.copy[0].at_ns, 7);
		assert_false(v.copy[0].holds || v.copy[0].dup || v.copy[0].overtakes);
	}
	assert_int_equal(st()->frames, 1000);
}

static void all_is_all(void **state)
{
	(void)state;
	set(1, 2, "loss=100%");
	set(2, 1, "corrupt=100% duplicate=100%");
	for (int i = 0; i < 1000; i++) {
		struct impair_verdict v = impair_frame(2, 1, full(), 0);

		assert_true(lost(1, 2, full()));
		assert_int_equal(v.n, 2);
		assert_in_range(v.copy[0].flip, 0, (uint64_t)JS_MTU * 8 - 1);
		assert_in_range(v.copy[1].flip, 0, (uint64_t)JS_MTU * 8 - 1);
		assert_true(!v.copy[0].dup && v.copy[1].dup);
	}
	assert_int_equal(st()->lost, 1000);
	assert_int_equal(impair_link(2, 1)->st.corrupted, 2000);
	assert_int_equal(impair_link(2, 1)->st.duplicated, 1000);
}

static void shares_are_right(void **state)
{
	static const double each[] = { 0.0005, 0.01, 0.3 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(each); i++) {
		char words[200];

		impair_init(42 + i);
		snprintf(words, sizeof(words), "loss=%.3f%% duplicate=%.3f%% corrupt=%.3f%% reorder=%.3f%% delay=1ms",
			 each[i] * 100, each[i] * 100, each[i] * 100, each[i] * 100);
		set(1, 2, words);
		for (int k = 0; k < N; k++)
			send_at(0);
		assert_share(st()->lost, each[i]);
		/* Of those that are not lost; then each copy. */
		assert_share(st()->duplicated, each[i] * (1 - each[i]));
		assert_share(st()->corrupted, each[i] * (1 - each[i] * each[i]));
		assert_share(st()->reordered, each[i] * (1 - each[i] * each[i]));
		assert_int_equal(st()->delayed, N - st()->lost + st()->duplicated - st()->reordered);
	}
}

/* The inverted bit is anywhere in the SDU: eight parts have an eighth each. */
static void flips_are_everywhere(void **state)
{
	unsigned int part[8] = { 0 };

	(void)state;
	set(1, 2, "corrupt=100%");
	for (int i = 0; i < N; i++)
		part[send_at(0).copy[0].flip / JS_MTU]++;
	for (int i = 0; i < 8; i++)
		assert_share(part[i], 0.125);
}

/*
 * Gilbert-Elliott with everything lost in bad: bursts are 1/R long on average,
 * their lengths geometric, gaps 1/P.
 */
static void gemodel_makes_bursts(void **state)
{
	unsigned int n_bursts = 0, n_long = 0, run = 0;
	double p = 0.01, r = 0.25;

	(void)state;
	set(1, 2, "loss=gemodel:1%,25%");
	for (int i = 0; i < N; i++) {
		if (!send_at(0).n) {
			run++;
			continue;
		}
		n_bursts += run > 0;
		n_long += run > 4;
		run = 0;
	}
	/* A renewal process: the variance of its count is about its mean. */
	assert_in_range(n_bursts, N * p * r / (p + r) * 0.84, N * p * r / (p + r) * 1.16);
	assert_in_range(st()->lost, N * p / (p + r) * 0.8, N * p / (p + r) * 1.2);
	/* Mean length 4; longer than 4: 0.75^4. */
	assert_in_range(st()->lost * 100 / n_bursts, 350, 450);
	assert_in_range(n_long * 1000 / n_bursts, 250, 390);
}

/* In each state its own loss; @B and @G are 1-h and 1-k of netem. */
static void gemodel_has_four_parameters(void **state)
{
	double mean = (0.1 * 0.5 + 0.3 * 0.02) / 0.4;

	(void)state;
	set(1, 2, "loss=gemodel:10%,30%,50%,2%");
	for (int i = 0; i < N; i++)
		send_at(0);
	assert_in_range(st()->lost, N * (mean - 0.01), N * (mean + 0.01));
	assert_in_range(link_loss_mean(&impair_link(1, 2)->set.loss) * 1e6, mean * 1e6 - 1, mean * 1e6 + 1);
	/* Never out of good, never back. */
	impair_init(1);
	set(1, 2, "loss=gemodel:0%,0%");
	for (int i = 0; i < 1000; i++)
		assert_int_equal(send_at(0).n, 1);
	set(1, 2, "loss=gemodel:100%,0%");
	for (int i = 0; i < 1000; i++)
		assert_int_equal(send_at(0).n, i == 0);
}

/* What became of a frame, in one number. */
static uint64_t fate(uint64_t at_ns)
{
	struct impair_verdict v = send_at(at_ns);
	uint64_t h = v.n;

	for (unsigned int i = 0; i < v.n; i++)
		h = h * 1000003 + (uint64_t)v.copy[i].flip + (v.copy[i].at_ns - at_ns) * 31 +
		    v.copy[i].overtakes;
	return h;
}

#define ALL	"loss=10% duplicate=10% corrupt=10% delay=10ms jitter=5ms reorder=10% seed=7"

/* The same seed and frames: the same decisions, whenever they come. */
static void same_seed_same_fates(void **state)
{
	static uint64_t fates[10000];
	unsigned int n_differ = 0;

	(void)state;
	set(1, 2, ALL);
	for (size_t i = 0; i < ARRAY_SIZE(fates); i++)
		fates[i] = fate(i);
	set(1, 2, "seed=7");
	for (size_t i = 0; i < ARRAY_SIZE(fates); i++) {
		impair_frame(2, 1, full(), 0);
		impair_frame(1, 3, full(), 0);
		assert_true(fate(i * i * 1000) == fates[i]);
	}
	impair_init(42);
	set(1, 2, ALL);
	for (size_t i = 0; i < ARRAY_SIZE(fates); i++)
		assert_true(fate(0) == fates[i]);
	/* With jitter hardly two frames are alike. */
	set(1, 2, "seed=8");
	for (size_t i = 0; i < ARRAY_SIZE(fates); i++)
		n_differ += fate(0) != fates[i];
	assert_true(n_differ > ARRAY_SIZE(fates) * 7 / 10);
}

/* One bit for each kind of decision about the first copy. */
static unsigned int decisions(void)
{
	struct impair_verdict v = send_at(0);

	if (!v.n)
		return 1;
	return (v.n == 2) << 1 | (v.copy[0].flip >= 0) << 2 | v.copy[0].overtakes << 3;
}

/*
 * Setting one kind changes nothing of what another hits; and two kinds do not
 * hit the same frames: of both, the product.
 */
static void kinds_are_independent(void **state)
{
	static const char *const kind[] = { "loss=10%", "duplicate=10%", "corrupt=10%", "reorder=10%" };
	static uint8_t alone[N];
	unsigned int both[4][4] = { { 0 } };

	(void)state;
	memset(alone, 0, sizeof(alone));
	for (unsigned int k = 0; k < 4; k++) {
		impair_init(42);
		set(1, 2, "delay=1ms");
		set(1, 2, kind[k]);
		for (int i = 0; i < N; i++)
			alone[i] |= decisions() & 1u << k;
	}
	impair_init(42);
	set(1, 2, "delay=1ms loss=10% duplicate=10% corrupt=10% reorder=10%");
	for (int i = 0; i < N; i++) {
		unsigned int d = decisions();

		/* A lost frame shows nothing else. */
		assert_int_equal(d, alone[i] & 1 ? 1 : alone[i]);
		for (unsigned int a = 0; a < 4; a++)
			for (unsigned int b = 0; b < a; b++)
				both[a][b] += (alone[i] >> a & 1) && (alone[i] >> b & 1);
	}
	for (unsigned int a = 0; a < 4; a++)
		for (unsigned int b = 0; b < a; b++)
			assert_share(both[a][b], 0.01);
}

/* Each pair and each direction draws its own numbers, with one seed for all. */
static void pairs_are_independent(void **state)
{
	unsigned int n_both = 0, n_back = 0;

	(void)state;
	set(1, 2, "loss=10% seed=7");
	set(1, 3, "loss=10% seed=7");
	set(2, 1, "loss=10% seed=7");
	for (int i = 0; i < N; i++) {
		bool a = lost(1, 2, full()), b = lost(1, 3, full()), c = lost(2, 1, full());

		n_both += a && b;
		n_back += a && c;
	}
	assert_share(n_both, 0.01);
	assert_share(n_back, 0.01);
}

/* --- waiting ----------------------------------------------------------------------- */

static void delay_is_exact(void **state)
{
	(void)state;
	set(1, 2, "delay=20ms");
	for (uint64_t t = 0; t < 1000; t++) {
		struct impair_verdict v = send_at(t);

		assert_int_equal(v.copy[0].at_ns, t + 20 * MS);
		assert_true(v.copy[0].holds);
	}
	assert_int_equal(st()->delayed, 1000);
}

/* Uniform from delay - jitter to delay + jitter: ten parts have a tenth each. */
static void jitter_is_uniform(void **state)
{
	unsigned int part[10] = { 0 };
	uint64_t n_none = 0;

	(void)state;
	set(1, 2, "delay=10ms jitter=5ms");
	for (int i = 0; i < N; i++) {
		uint64_t at = send_at(0).copy[0].at_ns;

		assert_in_range(at, 5 * MS, 15 * MS);
		part[(at - 5 * MS) / MS % 10]++;
	}
	for (int i = 0; i < 10; i++)
		assert_share(part[i], 0.1);
	/* Less than nothing is nothing. */
	set(1, 2, "delay=1ms jitter=3ms");
	for (int i = 0; i < N; i++)
		n_none += !send_at(0).copy[0].holds;
	assert_share(n_none, 1. / 3);
}

/* With gap=N only each N-th since the last, and not before. */
static void gap_counts(void **state)
{
	(void)state;
	set(1, 2, "delay=1ms reorder=100% gap=5");
	for (int i = 1; i <= 50; i++)
		assert_int_equal(send_at(0).copy[0].overtakes, i % 5 == 0);
	set(1, 2, "reorder=50% seed=1");
	for (int i = 0, since = 4; i < 1000; i++) {
		bool overtakes = send_at(0).copy[0].overtakes;

		since++;
		if (overtakes && i >= 4)
			assert_true(since >= 5);
		if (overtakes)
			since = 0;
	}
	/* Nobody waits: nobody is overtaken. */
	set(1, 2, "delay=0 reorder=100% gap=1");
	assert_false(send_at(0).copy[0].overtakes);
}

/* What a full frame takes on a line of @bps. */
static uint64_t line_ns(uint64_t bps)
{
	return (aal5_frame_len(JS_MTU) * 8ull * 1000000000 + bps - 1) / bps;
}

/* Frames that come at once leave one behind the other at exactly that rate. */
static void rate_is_exact(void **state)
{
	uint64_t t = line_ns(10000000);

	(void)state;
	set(1, 2, "rate=10M limit=100000");
	for (uint64_t i = 1; i <= 1000; i++)
		assert_int_equal(send_at(0).copy[0].at_ns, i * t);
	/* A line that was idle starts with the frame; a delay comes before it. */
	assert_int_equal(send_at(5000 * t).copy[0].at_ns, 5001 * t);
	set(1, 2, "delay=20ms");
	assert_int_equal(send_at(9000 * t).copy[0].at_ns, 9001 * t + 20 * MS);
	assert_int_equal(send_at(9000 * t).copy[0].at_ns, 9002 * t + 20 * MS);
	assert_in_range(t, 49232800, 49232800);
}

/* Jitter reorders as with netem: without a rate, yes; with one, no. */
static void jitter_reorders_without_rate(void **state)
{
	uint64_t last = 0;
	unsigned int n_before = 0;

	(void)state;
	set(1, 2, "delay=10ms jitter=5ms limit=100000");
	for (uint64_t i = 0; i < 1000; i++) {
		uint64_t at = send_at(i * MS).copy[0].at_ns;

		n_before += at < last;
		last = at;
	}
	assert_true(n_before > 300);
	set(1, 2, "rate=1G");
	for (uint64_t i = 0; i < 1000; i++) {
		uint64_t at = send_at(2000 * MS + i * MS).copy[0].at_ns;

		assert_true(at > last);
		last = at;
	}
}

/* One that overtakes does not wait for the line, but takes its share of it. */
static void overtaking_keeps_the_rate(void **state)
{
	uint64_t t = line_ns(10000000), last = 0;
	unsigned int n = 0;

	(void)state;
	set(1, 2, "rate=10M reorder=20% limit=100000");
	for (int i = 0; i < 1000; i++) {
		struct impair_verdict v = send_at(0);

		n += v.copy[0].overtakes;
		if (v.copy[0].overtakes)
			assert_int_equal(v.copy[0].at_ns, 0);
		else
			last = v.copy[0].at_ns;
	}
	assert_in_range(n, 140, 260);
	set(1, 2, "reorder=0%");
	assert_int_equal(send_at(0).copy[0].at_ns, 1001 * t);
	assert_true(last <= 1000 * t);
}

static void limit_bounds_the_queue(void **state)
{
	uint64_t t = line_ns(10000000);

	(void)state;
	set(1, 2, "rate=10M limit=5");
	for (int i = 0; i < 20; i++)
		assert_int_equal(impair_frame(1, 2, full(), 0).n, i < 5);
	assert_int_equal(st()->limit_drops, 15);
	assert_int_equal(impair_link(1, 2)->n_waiting, 5);
	/* What was dropped took nothing of the line. */
	impair_release(1, 2, 0, false);
	assert_int_equal(impair_frame(1, 2, full(), 0).copy[0].at_ns, 6 * t);
	assert_int_equal(impair_frame(1, 2, full(), 0).n, 0);
	/* One that overtakes does not wait, and needs no room. */
	set(1, 2, "reorder=100%");
	assert_int_equal(impair_frame(1, 2, full(), 0).n, 1);
	/* A reset leaves those that wait, and who is late is counted. */
	impair_reset(1, 2);
	assert_int_equal(impair_link(1, 2)->n_waiting, 5);
	impair_release(1, 2, RING_LATE_NS, false);
	assert_int_equal(st()->late, 1);
}

/* --- the queue of copies ------------------------------------------------------------- */

/* In the order of their times, equals in the order they came; nothing before its time. */
static void queue_is_in_order(void **state)
{
	uint64_t last_ns = 0, last_order = 0, x = 1;
	struct delayed *d;
	unsigned int n = 0;

	(void)state;
	assert_true(delayq_next() == DELAYQ_NEVER);
	for (int i = 0; i < 5000; i++) {
		struct frame f = frame(vci_make(2, 1), 100);

		x = x * 6364136223846793005u + 1442695040888963407u;
		assert_non_null(delayq_put(&f, 1 + x % 1000));
		if (i % 3 == 0) {
			d = delayq_take(UINT64_MAX);
			assert_non_null(d);
			delayq_free(d);
		}
	}
	while (delayq_next() != DELAYQ_NEVER) {
		uint64_t at = delayq_next();

		assert_null(delayq_take(at - 1));
		d = delayq_take(at);
		assert_true(d->at_ns == at && at >= last_ns);
		if (at == last_ns)
			assert_true(d->order > last_order);
		last_ns = at;
		last_order = d->order;
		n++;
		delayq_free(d);
	}
	assert_int_equal(n, 5000 - 1667);
}

/* What waits is a copy in one piece: the source may do with its memory what it likes. */
static void queue_has_its_own_copy(void **state)
{
	uint8_t a[100], b[400];
	struct frame f = {
		.vci = 7, .uucpi = 0x8001, .sdu_len = 500, .src = 3, .n_iov = 2,
		.iov = { { a, 100 }, { b, 400 } },
	};
	struct delayed *d;

	(void)state;
	memset(a, 1, sizeof(a));
	memset(b, 2, sizeof(b));
	aal5_make(&f);
	assert_non_null(delayq_put(&f, 1));
	memset(a, 0xff, sizeof(a));
	memset(b, 0xff, sizeof(b));
	d = delayq_take(1);
	assert_int_equal(d->f.n_iov, 1);
	assert_int_equal(d->f.iov[0].iov_len, 500);
	assert_true(d->sdu[0] == 1 && d->sdu[99] == 1 && d->sdu[100] == 2 && d->sdu[499] == 2);
	assert_int_equal(aal5_crc(d->f.iov, d->f.n_iov, 500, 0x8001), f.crc);
	assert_int_equal(d->f.src, 3);
	delayq_free(d);
}

/* All pairs together: a bound in octets, then frames are dropped, and room comes back. */
static void queue_is_bounded(void **state)
{
	struct frame f = frame(vci_make(2, 1), JS_MTU);
	unsigned int n = 0, most = DELAYQ_OCTETS_MAX / JS_MTU;

	(void)state;
	set(1, 2, "delay=1s limit=100000");
	while (n <= most) {
		struct impair_verdict v = impair_frame(1, 2, &f, 0);

		if (!v.n)
			break;
		assert_non_null(delayq_put(&f, v.copy[0].at_ns));
		n++;
	}
	assert_in_range(n, most - 50, most);
	assert_int_equal(st()->limit_drops, 1);
	delayq_free(delayq_take(UINT64_MAX));
	assert_int_equal(impair_frame(1, 2, &f, 0).n, 1);
	delayq_fini();
	assert_true(delayq_next() == DELAYQ_NEVER);
	assert_true(delayq_has_room(JS_SDU_MAX));
}

/* --- rules --------------------------------------------------------------------------- */

static struct impair_rule rule(enum impair_action action, int stream, uint64_t left)
{
	struct impair_rule r = {
		.action = action, .stream = stream, .vci = JS_VCI_NONE,
		.sdu_min = JS_RULE_PAYLOAD_MIN, .left = left,
	};

	r.pairs.to[1] = 1u << 2;
	return r;
}

static void add(enum impair_action action, int stream, uint64_t left)
{
	struct impair_rule r = rule(action, stream, left);

	assert_int_equal(impair_rule_add(&r), 0);
}

static void rule_hits_kth_once(void **state)
{
	(void)state;
	add(IMPAIR_LOSE, 40, 3);
	for (int i = 1; i <= 10; i++)
		assert_int_equal(lost(1, 2, full()), i == 3);
	add(IMPAIR_CORRUPT, 40, 1);
	assert_true(impair_frame(1, 2, full(), 0).copy[0].flip >= 0);
	assert_int_equal(impair_frame(1, 2, full(), 0).copy[0].flip, -1);
	add(IMPAIR_DUPLICATE, 40, 2);
	for (int i = 1; i <= 3; i++)
		assert_int_equal(impair_frame(1, 2, full(), 0).n, i == 2 ? 2 : 1);
	assert_int_equal(st()->lost, 1);
	assert_int_equal(st()->corrupted, 1);
	assert_int_equal(st()->duplicated, 1);
}

/* A rule's delay: that frame alone, on top of the pair's own. */
static void rule_delays_one(void **state)
{
	struct impair_rule r = rule(IMPAIR_DELAY, IMPAIR_STREAM_ANY, 2);

	(void)state;
	r.delay_ns = 5 * MS;
	assert_int_equal(impair_rule_add(&r), 0);
	for (int i = 1; i <= 3; i++)
		assert_int_equal(send_at(10).copy[0].at_ns, i == 2 ? 5 * MS + 10 : 10);
	set(1, 2, "delay=1ms");
	r.left = 1;
	assert_int_equal(impair_rule_add(&r), 0);
	assert_int_equal(send_at(10).copy[0].at_ns, 6 * MS + 10);
	assert_int_equal(send_at(10).copy[0].at_ns, 1 * MS + 10);
}

/* Without payload, on another stream or in the other direction: not counted. */
static void rule_counts_what_it_names(void **state)
{
	struct frame ack = frame(vci_make(2, 40), JS_RULE_PAYLOAD_MIN - 1);
	struct frame ip = frame(vci_make(2, JS_STREAM_IP), 1500);
	struct frame mcast = frame(vci_mcast(40), 1500);
	struct impair_rule r;

	(void)state;
	add(IMPAIR_LOSE, IMPAIR_STREAM_USER, 1);
	assert_false(lost(1, 2, &ack));
	assert_false(lost(1, 2, &ip));
	assert_false(lost(1, 2, &mcast));
	assert_false(lost(2, 1, full()));
	assert_false(lost(1, 3, full()));
	assert_true(lost(1, 2, full()));

	add(IMPAIR_LOSE, IMPAIR_STREAM_ANY, 2);
	assert_false(lost(1, 2, &ip));
	assert_false(lost(1, 2, &ack));
	assert_true(lost(1, 2, full()));

	r = rule(IMPAIR_LOSE, IMPAIR_STREAM_ANY, 2);
	r.vci = ip.vci;
	assert_int_equal(impair_rule_add(&r), 0);
	assert_false(lost(1, 2, &ip));
	assert_false(lost(1, 2, full()));
	assert_true(lost(1, 2, &ip));

	r = rule(IMPAIR_LOSE, IMPAIR_STREAM_ANY, 1);
	r.sdu_min = 0;
	assert_int_equal(impair_rule_add(&r), 0);
	assert_true(lost(1, 2, &ack));
}

/* A rule does not move what chance does to the frames behind. */
static void rule_leaves_chance_alone(void **state)
{
	static bool before[1000];

	(void)state;
	set(1, 2, "loss=10%");
	for (int i = 0; i < 1000; i++)
		before[i] = lost(1, 2, full());
	set(1, 2, "seed=42");
	add(IMPAIR_LOSE, IMPAIR_STREAM_ANY, 500);
	add(IMPAIR_DUPLICATE, IMPAIR_STREAM_ANY, 501);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(lost(1, 2, full()), before[i] || i == 499);
}

static void rules_are_bounded(void **state)
{
	struct impair_rule r = rule(IMPAIR_LOSE, IMPAIR_STREAM_ANY, 1);

	(void)state;
	for (int i = 0; i < IMPAIR_N_RULES; i++)
		assert_int_equal(impair_rule_add(&r), 0);
	assert_true(impair_rule_add(&r) < 0);
	impair_rules_drop();
	assert_false(lost(1, 2, full()));
	assert_int_equal(impair_rule_add(&r), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(clean_by_default, setup),
		cmocka_unit_test_setup(all_is_all, setup),
		cmocka_unit_test_setup(shares_are_right, setup),
		cmocka_unit_test_setup(flips_are_everywhere, setup),
		cmocka_unit_test_setup(gemodel_makes_bursts, setup),
		cmocka_unit_test_setup(gemodel_has_four_parameters, setup),
		cmocka_unit_test_setup(same_seed_same_fates, setup),
		cmocka_unit_test_setup(kinds_are_independent, setup),
		cmocka_unit_test_setup(pairs_are_independent, setup),
		cmocka_unit_test_setup(delay_is_exact, setup),
		cmocka_unit_test_setup(jitter_is_uniform, setup),
		cmocka_unit_test_setup(gap_counts, setup),
		cmocka_unit_test_setup(rate_is_exact, setup),
		cmocka_unit_test_setup(jitter_reorders_without_rate, setup),
		cmocka_unit_test_setup(overtaking_keeps_the_rate, setup),
		cmocka_unit_test_setup(limit_bounds_the_queue, setup),
		cmocka_unit_test_setup(queue_is_in_order, setup),
		cmocka_unit_test_setup(queue_has_its_own_copy, setup),
		cmocka_unit_test_setup(queue_is_bounded, setup),
		cmocka_unit_test_setup(rule_hits_kth_once, setup),
		cmocka_unit_test_setup(rule_delays_one, setup),
		cmocka_unit_test_setup(rule_counts_what_it_names, setup),
		cmocka_unit_test_setup(rule_leaves_chance_alone, setup),
		cmocka_unit_test_setup(rules_are_bounded, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
