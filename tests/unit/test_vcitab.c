/* SPDX-License-Identifier: BSD-2-Clause */
/* test_vcitab.c - emulator/vcitab.c: who gets a frame; no ports, no thread */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "emulator/port.h"

static struct station st;
static struct port port, other;
static struct pool a = { .port = &port }, b = { .port = &port };
static struct pool shared = { .port = &port, .is_shared = true }, foreign = { .port = &other };

static int setup(void **state)
{
	(void)state;
	log_level = LOG_ERROR;
	memset(&st, 0, sizeof(st));
	st.ring_id = 3;
	LIST_INIT(&a.rules);
	LIST_INIT(&b.rules);
	LIST_INIT(&foreign.rules);
	vcitab_init(&st);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rules_drop_pool(&st, &a);
	rules_drop_pool(&st, &b);
	rules_drop_pool(&st, &foreign);
	vcitab_fini(&st);
	return 0;
}

/* Look up a frame of @len octets for @vci. */
static enum rx_target look(js_vci_t vci, const uint8_t *sdu, size_t len, struct pool **pool)
{
	struct frame f = {
		.vci = vci, .sdu_len = (uint32_t)len, .n_iov = 1,
		.iov[0] = { .iov_base = (void *)(uintptr_t)sdu, .iov_len = len },
	};
	bool by_rule;
	enum rx_target t = vcitab_lookup(&st, &f, pool, &by_rule);

	if (by_rule)
		assert_int_equal(t, RX_POOL);
	return t;
}

static enum rx_target look_vci(js_vci_t vci)
{
	static const uint8_t none[4];
	struct pool *pool;

	return look(vci, none, sizeof(none), &pool);
}

/* 10.74.0.1:1000 -> 10.74.0.3:80, TCP, @ihl octets of IP header. */
static size_t packet4(uint8_t *p, unsigned int ihl, uint8_t proto)
{
	memset(p, 0, 80);
	p[0] = (uint8_t)(0x40 | ihl / 4);
	p[9] = proto;
	memcpy(p + 12, "\x0a\x4a\x00\x01\x0a\x4a\x00\x03", 8);
	p[ihl] = 1000 >> 8;
	p[ihl + 1] = 1000 & 0xff;
	p[ihl + 3] = 80;
	return ihl + 20;
}

static struct js_flow flow4(uint16_t sport, uint8_t proto)
{
	struct js_flow flow = {
		.src = { [10] = 0xff, 0xff, 10, 74, 0, 1 },
		.dst = { [10] = 0xff, 0xff, 10, 74, 0, 3 },
		.sport_be = htons(sport), .dport_be = htons(80), .proto = proto,
	};

	return flow;
}

/* Paper, 4.4.8: the kernel normally receives on either VCI. */
static void kernel_has_its_streams(void **state)
{
	(void)state;
	assert_int_equal(look_vci(vci_make(3, JS_STREAM_IP)), RX_KERNEL);
	assert_int_equal(look_vci(vci_make(3, JS_STREAM_IP_DIVERT)), RX_KERNEL);
	assert_int_equal(look_vci(vci_make(3, JS_STREAM_ARP)), RX_KERNEL);
	assert_int_equal(look_vci(vci_mcast(JS_STREAM_IP)), RX_KERNEL);
	assert_int_equal(look_vci(vci_mcast(JS_STREAM_ARP)), RX_KERNEL);
	assert_int_equal(look_vci(vci_mcast(JS_STREAM_MGMT)), RX_NONE);
	assert_int_equal(look_vci(vci_make(3, 4)), RX_NONE);
	assert_int_equal(look_vci(vci_make(3, 32)), RX_NONE);
}

/* DESIGN 5: connections without a stream of their own. */
static void a_shared_stream_goes_by_rule_to_pools_of_its_port(void **state)
{
	struct js_flow mine = flow4(1000, IPPROTO_TCP), theirs = flow4(1001, IPPROTO_TCP);
	uint8_t p[80];
	size_t len = packet4(p, 20, IPPROTO_TCP);
	int own = vcitab_alloc(&st, &b, now_ns()), s = vcitab_alloc(&st, &shared, now_ns());
	struct pool *pool;

	(void)state;
	assert_int_equal(rule_add(&st, &mine, &a), 0);
	assert_int_equal(rule_add(&st, &theirs, &foreign), 0);
	assert_int_equal(look(vci_make(3, (unsigned int)s), p, len, &pool), RX_POOL);
	assert_ptr_equal(pool, &a);
	/* Another port's rule is not looked for there, nor is a flow of none. */
	p[21] = 1001 & 0xff;
	assert_int_equal(look(vci_make(3, (unsigned int)s), p, len, &pool), RX_POOL);
	assert_ptr_equal(pool, &shared);
	assert_int_equal(look(vci_make(3, JS_STREAM_IP), p, len, &pool), RX_POOL);
	assert_ptr_equal(pool, &foreign);
	p[21] = 1002 & 0xff;
	assert_int_equal(look(vci_make(3, (unsigned int)s), p, len, &pool), RX_POOL);
	assert_ptr_equal(pool, &shared);
	/* A stream of one's own knows no rules. */
	p[21] = 1000 & 0xff;
	assert_int_equal(look(vci_make(3, (unsigned int)own), p, len, &pool), RX_POOL);
	assert_ptr_equal(pool, &b);
}

static void streams_are_reused_first_in_first_out_after_a_rest(void **state)
{
	uint64_t now = now_ns();
	int i, s;

	(void)state;
	for (i = 0; i < 992; i++)
		assert_int_equal(vcitab_alloc(&st, &a, now), 32 + i);
	assert_int_equal(vcitab_alloc(&st, &a, now), -ENOSPC);

	vcitab_unbind(&st, 700, &a, now);
	vcitab_unbind(&st, 50, &a, now + 10);
	vcitab_unbind(&st, 1023, &a, now + 20);
	assert_int_equal(look_vci(vci_make(3, 700)), RX_NONE);
	/* They rest, all. */
	assert_int_equal(vcitab_alloc(&st, &b, now + STREAM_REUSE_NS - 1), -ENOSPC);
	assert_int_equal(vcitab_alloc(&st, &b, now + STREAM_REUSE_NS), 700);
	assert_int_equal(vcitab_alloc(&st, &b, now + STREAM_REUSE_NS + 5), -ENOSPC);
	s = vcitab_alloc(&st, &b, now + 2 * STREAM_REUSE_NS);
	assert_int_equal(s, 50);
	assert_int_equal(vcitab_alloc(&st, &b, now + 2 * STREAM_REUSE_NS), 1023);
	assert_int_equal(vcitab_alloc(&st, &b, now + 2 * STREAM_REUSE_NS), -ENOSPC);
}

static void a_stream_asked_for_by_number_leaves_the_queue(void **state)
{
	uint64_t now = now_ns();

	(void)state;
	assert_int_equal(vcitab_bind(&st, 33, &b), 0);
	assert_int_equal(vcitab_bind(&st, 33, &a), -EADDRINUSE);
	assert_int_equal(vcitab_alloc(&st, &a, now), 32);
	assert_int_equal(vcitab_alloc(&st, &a, now), 34);
	assert_ptr_equal(vcitab_holder(&st, vci_make(3, 33)), &b);
	assert_null(vcitab_holder(&st, vci_make(4, 33)));
	/* It rests, for those who ask by number, too. */
	vcitab_unbind(&st, 33, &b, now_ns());
	assert_int_equal(vcitab_bind(&st, 33, &a), -EADDRINUSE);
}

static void multicast_is_a_table_of_its_own(void **state)
{
	struct pool *pool;

	(void)state;
	assert_int_equal(vcitab_bind(&st, vci_mcast(40), &a), 0);
	assert_int_equal(look(vci_mcast(40), (const uint8_t *)"", 1, &pool), RX_POOL);
	assert_ptr_equal(pool, &a);
	assert_int_equal(look_vci(vci_make(3, 40)), RX_NONE);
	assert_int_equal(vcitab_alloc(&st, &b, now_ns()), 32);
	vcitab_unbind(&st, vci_mcast(40), &a, now_ns());
	assert_int_equal(look_vci(vci_mcast(40)), RX_NONE);
}

/* Paper, 4.4.8: unbind from the kernel's pool, bind to its own. */
static void ip_divert_is_taken_and_given_back(void **state)
{
	struct pool *pool;

	(void)state;
	assert_int_equal(vcitab_bind(&st, JS_STREAM_IP_DIVERT, &a), 0);
	assert_int_equal(look(vci_make(3, JS_STREAM_IP_DIVERT), (const uint8_t *)"", 1, &pool),
			 RX_POOL);
	assert_ptr_equal(pool, &a);
	assert_int_equal(look_vci(vci_make(3, JS_STREAM_IP)), RX_KERNEL);
	assert_int_equal(vcitab_bind(&st, JS_STREAM_IP_DIVERT, &b), -EADDRINUSE);
	vcitab_unbind(&st, JS_STREAM_IP_DIVERT, &a, now_ns());
	assert_int_equal(look_vci(vci_make(3, JS_STREAM_IP_DIVERT)), RX_KERNEL);
}

static void ip_divert_is_parked_when_its_holder_dies(void **state)
{
	js_vci_t divert = vci_make(3, JS_STREAM_IP_DIVERT);
	struct js_flow flow = flow4(1001, IPPROTO_TCP);
	struct pool *pool;
	uint8_t p[80];
	size_t len;

	(void)state;
	assert_int_equal(vcitab_bind(&st, JS_STREAM_IP_DIVERT, &a), 0);
	assert_int_equal(rule_add(&st, &flow, &b), 0);
	vcitab_orphan(&st, JS_STREAM_IP_DIVERT, &a, now_ns());

	len = packet4(p, 20, IPPROTO_TCP);
	assert_int_equal(look(divert, p, len, &pool), RX_PARKED);
	assert_int_equal(st.st.rx_parked, 1);
	p[21] = 1001 & 0xff;
	assert_int_equal(look(divert, p, len, &pool), RX_POOL);		/* the rule's */
	assert_ptr_equal(pool, &b);
	packet4(p, 20, IPPROTO_UDP);
	assert_int_equal(look(divert, p, len, &pool), RX_KERNEL);
	/* A fragment of TCP is TCP. */
	packet4(p, 20, IPPROTO_TCP);
	p[7] = 100;
	assert_int_equal(look(divert, p, len, &pool), RX_PARKED);
	assert_int_equal(st.st.rx_parked, 2);

	/* A new server comes, and ends in good order. */
	assert_int_equal(vcitab_bind(&st, JS_STREAM_IP_DIVERT, &b), 0);
	assert_int_equal(look(divert, p, len, &pool), RX_POOL);
	vcitab_unbind(&st, JS_STREAM_IP_DIVERT, &b, now_ns());
	assert_int_equal(look(divert, p, len, &pool), RX_KERNEL);

	/* None comes within PARK_NS. */
	assert_int_equal(vcitab_bind(&st, JS_STREAM_IP_DIVERT, &a), 0);
	vcitab_orphan(&st, JS_STREAM_IP_DIVERT, &a, now_ns() - PARK_NS);
	log_level = LOG_ERROR;
	assert_int_equal(look(divert, p, len, &pool), RX_KERNEL);
	assert_int_equal(st.vci[JS_STREAM_IP_DIVERT].target, RX_KERNEL);
}

/* Only IP_DIVERT is parked. */
static void other_streams_of_the_dead_are_unbound(void **state)
{
	(void)state;
	assert_int_equal(vcitab_bind(&st, 100, &a), 0);
	vcitab_orphan(&st, 100, &a, now_ns());
	assert_int_equal(look_vci(vci_make(3, 100)), RX_NONE);
	assert_int_equal(vcitab_bind(&st, JS_STREAM_IP, &a), 0);
	vcitab_orphan(&st, JS_STREAM_IP, &a, now_ns());
	assert_int_equal(look_vci(vci_make(3, JS_STREAM_IP)), RX_KERNEL);
}

static void a_rule_matches_its_flow_and_no_other(void **state)
{
	static const uint8_t at[] = { 9, 12, 15, 16, 19, 20, 21, 22, 23 };
	js_vci_t ip = vci_make(3, JS_STREAM_IP);
	struct js_flow flow = flow4(1000, IPPROTO_TCP);
	struct pool *pool;
	uint8_t p[80];
	size_t len = packet4(p, 20, IPPROTO_TCP);
	unsigned int i;

	(void)state;
	assert_int_equal(rule_add(&st, &flow, &a), 0);
	assert_int_equal(rule_add(&st, &flow, &b), -EADDRINUSE);
	assert_ptr_equal(rule_find(&st, &flow), &a);
	assert_int_equal(look(ip, p, len, &pool), RX_POOL);
	assert_ptr_equal(pool, &a);
	assert_int_equal(look(vci_make(3, JS_STREAM_IP_DIVERT), p, len, &pool), RX_POOL);
	/* DF does not make a fragment. */
	p[6] = 0x40;
	assert_int_equal(look(ip, p, len, &pool), RX_POOL);
	/* Each octet of the five-tuple counts. */
	for (i = 0; i < sizeof(at); i++) {
		p[at[i]] ^= 1;
		assert_int_equal(look(ip, p, len, &pool), RX_KERNEL);
		p[at[i]] ^= 1;
	}
	/* Fragments have none, or not all of it. */
	p[6] = 0x20;
	assert_int_equal(look(ip, p, len, &pool), RX_KERNEL);
	p[6] = 0;
	p[7] = 1;
	assert_int_equal(look(ip, p, len, &pool), RX_KERNEL);
	p[7] = 0;
	/* Options move the ports. */
	len = packet4(p, 60, IPPROTO_TCP);
	assert_int_equal(look(ip, p, len, &pool), RX_POOL);
	/* Not on other streams. */
	assert_int_equal(look(vci_make(3, 32), p, len, &pool), RX_NONE);
	assert_int_equal(look(vci_mcast(JS_STREAM_IP), p, len, &pool), RX_KERNEL);
}

/* Packets cut anywhere, and impossible ones: never a match, never out of bounds. */
static void short_and_odd_packets_match_nothing(void **state)
{
	js_vci_t ip = vci_make(3, JS_STREAM_IP);
	struct js_flow flow = flow4(1000, IPPROTO_TCP);
	struct pool *pool;
	uint8_t p[80];
	size_t len;

	(void)state;
	assert_int_equal(rule_add(&st, &flow, &a), 0);
	packet4(p, 20, IPPROTO_TCP);
	for (len = 0; len < 24; len++) {
		uint8_t *exact = test_malloc(len + 1);

		memcpy(exact, p, len);
		assert_int_equal(look(ip, exact, len, &pool), RX_KERNEL);
		test_free(exact);
	}
	assert_int_equal(look(ip, p, 24, &pool), RX_POOL);
	p[0] = 0x44;		/* IHL 16 octets */
	assert_int_equal(look(ip, p, 40, &pool), RX_KERNEL);
	p[0] = 0x55;		/* version 5 */
	assert_int_equal(look(ip, p, 40, &pool), RX_KERNEL);
	packet4(p, 60, IPPROTO_TCP);
	assert_int_equal(look(ip, p, 63, &pool), RX_KERNEL);
}

static void rules_for_ipv6(void **state)
{
	struct js_flow flow = {
		.src = { 0x20, 1, [15] = 1 }, .dst = { 0x20, 1, [15] = 2 },
		.sport_be = htons(5), .dport_be = htons(6), .proto = IPPROTO_TCP,
	};
	uint8_t p[60] = { 0x60, [6] = IPPROTO_TCP };
	struct pool *pool;

	(void)state;
	memcpy(p + 8, flow.src, 16);
	memcpy(p + 24, flow.dst, 16);
	p[41] = 5;
	p[43] = 6;
	assert_int_equal(rule_add(&st, &flow, &a), 0);
	assert_int_equal(look(vci_make(3, JS_STREAM_IP), p, 60, &pool), RX_POOL);
	assert_int_equal(look(vci_make(3, JS_STREAM_IP), p, 44, &pool), RX_POOL);
	assert_int_equal(look(vci_make(3, JS_STREAM_IP), p, 43, &pool), RX_KERNEL);
	p[6] = IPPROTO_FRAGMENT;
	assert_int_equal(look(vci_make(3, JS_STREAM_IP), p, 60, &pool), RX_KERNEL);
}

static void many_rules_come_and_go(void **state)
{
	js_vci_t ip = vci_make(3, JS_STREAM_IP);
	struct js_flow flow;
	struct pool *pool;
	uint8_t p[80];
	unsigned int i;
	size_t len = packet4(p, 20, IPPROTO_TCP);

	(void)state;
	for (i = 0; i < 20000; i++) {
		flow = flow4((uint16_t)i, IPPROTO_TCP);
		assert_int_equal(rule_add(&st, &flow, i % 2 ? &a : &b), 0);
	}
	for (i = 0; i < 20000; i++) {
		p[20] = (uint8_t)(i >> 8);
		p[21] = (uint8_t)i;
		assert_int_equal(look(ip, p, len, &pool), RX_POOL);
		assert_ptr_equal(pool, i % 2 ? &a : &b);
	}
	flow = flow4(7, IPPROTO_TCP);
	assert_int_equal(rule_del(&st, &flow, &b), -ENOENT);	/* a's */
	assert_int_equal(rule_del(&st, &flow, &a), 0);
	assert_int_equal(rule_del(&st, &flow, &a), -ENOENT);
	rules_drop_pool(&st, &a);
	for (i = 0; i < 20000; i++) {
		flow = flow4((uint16_t)i, IPPROTO_TCP);
		assert_ptr_equal(rule_find(&st, &flow), i % 2 ? NULL : &b);
	}
}

/* A pool's first rule lies in the pool, and is used again: without what stood
 * behind it in its chain the first time. */
static void a_rule_comes_back_alone(void **state)
{
	struct js_flow first = flow4(1, IPPROTO_TCP), flow;

	(void)state;
	for (int turn = 0; turn < 20; turn++) {
		assert_int_equal(rule_add(&st, &first, &a), 0);
		for (uint16_t i = 0; i < 60; i++) {
			flow = flow4((uint16_t)(100 + 60 * turn + i), IPPROTO_TCP);
			assert_int_equal(rule_add(&st, &flow, &b), 0);
		}
		assert_int_equal(rule_del(&st, &first, &a), 0);
		rules_drop_pool(&st, &b);
		assert_int_equal(rule_add(&st, &first, &a), 0);
		for (uint16_t i = 0; i < 60; i++) {
			flow = flow4((uint16_t)(100 + 60 * turn + i), IPPROTO_TCP);
			assert_null(rule_find(&st, &flow));
		}
		assert_int_equal(rule_del(&st, &first, &a), 0);
	}
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(kernel_has_its_streams),
		CASE(a_shared_stream_goes_by_rule_to_pools_of_its_port),
		CASE(streams_are_reused_first_in_first_out_after_a_rest),
		CASE(a_stream_asked_for_by_number_leaves_the_queue),
		CASE(multicast_is_a_table_of_its_own),
		CASE(ip_divert_is_taken_and_given_back),
		CASE(ip_divert_is_parked_when_its_holder_dies),
		CASE(other_streams_of_the_dead_are_unbound),
		CASE(a_rule_matches_its_flow_and_no_other),
		CASE(short_and_odd_packets_match_nothing),
		CASE(rules_for_ipv6),
		CASE(many_rules_come_and_go),
		CASE(a_rule_comes_back_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
