/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_icmp_hdr.c - ICMP and ICMPv6 errors: octets to struct icmp_error, and what is refused
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "stack/engine/tcp.h"

#define LEN4	(8 + 20 + 8)
#define LEN6	(8 + 40 + 8)

static const uint8_t tcp8[8] = { 0x1f, 0x90, 0xc0, 0x01, 0xde, 0xad, 0xbe, 0xef };

static void sum(uint8_t *msg, size_t len)
{
	uint16_t csum;

	memset(msg + 2, 0, 2);
	csum = ip_csum_fold(ip_csum_add(0, msg, len));
	memcpy(msg + 2, &csum, 2);
}

/* An error about a segment 10.74.0.1:8080 > 10.99.0.2:49153, sequence number deadbeef. */
static void make_v4(uint8_t msg[LEN4], uint8_t type, uint8_t code, uint16_t mtu)
{
	const uint8_t ip[20] = { 0x45, 0, 0x05, 0xdc, 0, 0, 0x40, 0, 64, 6, 0, 0,
				 10, 74, 0, 1, 10, 99, 0, 2 };

	memset(msg, 0, LEN4);
	msg[0] = type;
	msg[1] = code;
	msg[6] = (uint8_t)(mtu >> 8);
	msg[7] = (uint8_t)mtu;
	memcpy(msg + 8, ip, 20);
	memcpy(msg + 28, tcp8, 8);
	sum(msg, LEN4);
}

static void make_v6(uint8_t msg[LEN6], uint8_t type, uint8_t code, uint32_t mtu)
{
	memset(msg, 0, LEN6);
	msg[0] = type;
	msg[1] = code;
	msg[4] = (uint8_t)(mtu >> 24);
	msg[5] = (uint8_t)(mtu >> 16);
	msg[6] = (uint8_t)(mtu >> 8);
	msg[7] = (uint8_t)mtu;
	msg[8] = 0x60;
	msg[14] = 6;
	msg[16] = 0xfd;
	msg[31] = 1;
	msg[32] = 0xfd;
	msg[47] = 2;
	memcpy(msg + 48, tcp8, 8);
}

static void v4_errors(void **state)
{
	/* type, code, errno; 0: too big; -1: none of TCP's business */
	static const int table[][3] = {
		{ 3, 0, ENETUNREACH }, { 3, 1, EHOSTUNREACH }, { 3, 2, ENOPROTOOPT },
		{ 3, 3, ECONNREFUSED }, { 3, 4, 0 }, { 3, 5, EOPNOTSUPP }, { 3, 6, ENETUNREACH },
		{ 3, 7, EHOSTDOWN }, { 3, 8, ENONET }, { 3, 13, EHOSTUNREACH },
		{ 3, 15, EHOSTUNREACH }, { 3, 16, -1 }, { 3, 255, -1 }, { 4, 0, -1 }, { 5, 1, -1 },
		{ 8, 0, -1 }, { 11, 0, EHOSTUNREACH }, { 11, 1, EHOSTUNREACH }, { 12, 0, EPROTO },
	};
	struct icmp_error e;
	uint8_t msg[LEN4];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		make_v4(msg, (uint8_t)table[i][0], (uint8_t)table[i][1], 1400);
		if (table[i][2] < 0) {
			assert_int_equal(icmp_parse(msg, LEN4, false, &e), -EPROTONOSUPPORT);
			continue;
		}
		assert_int_equal(icmp_parse(msg, LEN4, false, &e), 0);
		assert_int_equal(e.err, table[i][2]);
		assert_int_equal(e.is_too_big, !table[i][2]);
		assert_int_equal(e.mtu, table[i][2] ? 0 : 1400);
		assert_int_equal(e.sport, 8080);
		assert_int_equal(e.dport, 49153);
		assert_int_equal(e.seq, 0xdeadbeef);
		assert_memory_equal(e.pair.src, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\x4a\0\1", 16);
		assert_memory_equal(e.pair.dst, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\x63\0\2", 16);
	}
}

static void v6_errors(void **state)
{
	static const int table[][3] = {
		{ 1, 0, ENETUNREACH }, { 1, 1, EACCES }, { 1, 3, EHOSTUNREACH },
		{ 1, 4, ECONNREFUSED }, { 1, 6, EACCES }, { 1, 7, -1 }, { 2, 0, 0 },
		{ 3, 0, EHOSTUNREACH }, { 4, 1, EPROTO }, { 128, 0, -1 }, { 137, 0, -1 },
	};
	struct icmp_error e;
	uint8_t msg[LEN6];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		make_v6(msg, (uint8_t)table[i][0], (uint8_t)table[i][1], 70000);
		if (table[i][2] < 0) {
			assert_int_equal(icmp_parse(msg, LEN6, true, &e), -EPROTONOSUPPORT);
			continue;
		}
		assert_int_equal(icmp_parse(msg, LEN6, true, &e), 0);
		assert_int_equal(e.err, table[i][2]);
		assert_int_equal(e.is_too_big, !table[i][2]);
		assert_int_equal(e.mtu, table[i][2] ? 0 : 70000);
		assert_int_equal(e.seq, 0xdeadbeef);
		assert_int_equal(e.pair.src[15], 1);
		assert_int_equal(e.pair.dst[15], 2);
	}
}

/* Each length is a buffer of its own, so that a sanitizer sees reads beyond it. */
static void cut_short(void **state)
{
	struct icmp_error e;
	uint8_t msg[LEN6], *p;
	size_t n;

	(void)state;
	for (n = 0; n < LEN6; n++) {
		p = malloc(n + !n);
		assert_non_null(p);
		make_v6(msg, 2, 0, 1280);
		memcpy(p, msg, n);
		assert_int_equal(icmp_parse(p, n, true, &e), -EBADMSG);
		if (n < LEN4) {
			make_v4(msg, 3, 4, 1280);
			memcpy(p, msg, n);
			if (n >= 8)
				sum(p, n);
			assert_int_equal(icmp_parse(p, n, false, &e), -EBADMSG);
		}
		free(p);
	}
}

static void refuses(uint8_t *msg, int want)
{
	struct icmp_error e;

	sum(msg, LEN4);
	assert_int_equal(icmp_parse(msg, LEN4, false, &e), want);
}

static void bad_quotes(void **state)
{
	struct icmp_error e;
	uint8_t msg[LEN6];

	(void)state;
	make_v4(msg, 3, 1, 0);
	msg[3] ^= 1;				/* the checksum */
	assert_int_equal(icmp_parse(msg, LEN4, false, &e), -EBADMSG);
	make_v4(msg, 3, 1, 0);
	msg[8] = 0x65;				/* version */
	refuses(msg, -EBADMSG);
	make_v4(msg, 3, 1, 0);
	msg[8] = 0x44;				/* header length */
	refuses(msg, -EBADMSG);
	make_v4(msg, 3, 1, 0);
	msg[8] = 0x4f;				/* longer than what is there */
	refuses(msg, -EBADMSG);
	make_v4(msg, 3, 1, 0);
	msg[8 + 9] = 17;			/* UDP */
	refuses(msg, -EPROTONOSUPPORT);
	make_v4(msg, 3, 1, 0);
	msg[8 + 7] = 1;				/* not the first fragment */
	refuses(msg, -EPROTONOSUPPORT);
	make_v6(msg, 1, 0, 0);
	msg[14] = 44;				/* a fragment header */
	assert_int_equal(icmp_parse(msg, LEN6, true, &e), -EPROTONOSUPPORT);
	make_v6(msg, 1, 0, 0);
	msg[8] = 0x45;
	assert_int_equal(icmp_parse(msg, LEN6, true, &e), -EBADMSG);
	for (unsigned int at = 16; at <= 32; at += 16) {
		make_v6(msg, 1, 0, 0);
		memcpy(msg + at, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\x4a\0\1", 16);
		assert_int_equal(icmp_parse(msg, LEN6, true, &e), -EBADMSG);
	}
}

/* RFC 6864: an identification where DF is not; the checksum is right. */
static void df_is_cleared(void **state)
{
	struct ip_pair pair = { .src = { [10] = 0xff, 0xff, 10, 74, 0, 1 },
				.dst = { [10] = 0xff, 0xff, 10, 74, 0, 2 } };
	struct ip_pair found;
	uint8_t pkt[40] = { 0 }, tos;

	(void)state;
	assert_int_equal(ip_build(pkt, &pair, 20, 0, 0, 0), 20);
	assert_int_equal(pkt[6], 0x40);
	ip_clear_df(pkt, 0x1234);
	assert_int_equal(pkt[6], 0);
	assert_int_equal(pkt[4], 0x12);
	assert_int_equal(pkt[5], 0x34);
	assert_int_equal(ip_parse(pkt, 40, &found, &tos), 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(v4_errors),
		cmocka_unit_test(v6_errors),
		cmocka_unit_test(cut_short),
		cmocka_unit_test(bad_quotes),
		cmocka_unit_test(df_is_cleared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
