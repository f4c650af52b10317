/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_ip_hdr.c - the Internet checksum against the plainest way to compute it
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "stack/engine/tcp.h"

#define N	70000

static uint8_t octets[N + 64], copy[N + 64];

/* RFC 1071, 4.1 */
static uint16_t plain(const uint8_t *p, size_t len)
{
	uint32_t sum = 0;
	size_t i;

	for (i = 0; i < len; i++) {
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return (uint16_t)~sum;
}

static void assert_csum(uint64_t sum, uint16_t want)
{
	uint16_t got = ip_csum_fold(sum);
	uint8_t mem[2];

	memcpy(mem, &got, 2);
	assert_int_equal(mem[0] << 8 | mem[1], want);
}

static int fill(void **state)
{
	uint32_t x = 1;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(octets); i++) {
		x = x * 1664525 + 1013904223;
		octets[i] = (uint8_t)(x >> 24);
	}
	return 0;
}

static void every_length_and_alignment(void **state)
{
	size_t off, len;

	(void)state;
	for (off = 0; off < 9; off++)
		for (len = 0; len < 300; len++)
			assert_csum(ip_csum_add(0, octets + off, len), plain(octets + off, len));
	for (len = 65400; len < 65540; len++)
		assert_csum(ip_csum_add(0, octets + 1, len), plain(octets + 1, len));
	/* All ones: the most carries */
	memset(copy, 0xff, sizeof(copy));
	assert_csum(ip_csum_add(0, copy, 65535), plain(copy, 65535));
	memset(copy, 0, sizeof(copy));
	assert_csum(ip_csum_add(0, copy, 65535), 0xffff);
}

static void copy_and_sum(void **state)
{
	size_t off, len;

	(void)state;
	for (off = 0; off < 3; off++) {
		for (len = 0; len < 300; len++) {
			memset(copy, 0xaa, sizeof(copy));
			assert_csum(ip_csum_copy(copy + 1, octets + off, len),
				    plain(octets + off, len));
			assert_memory_equal(copy + 1, octets + off, len);
			assert_int_equal(copy[0], 0xaa);
			assert_int_equal(copy[len + 1], 0xaa);
		}
	}
	assert_csum(ip_csum_copy(copy, octets, 61440), plain(octets, 61440));
	assert_memory_equal(copy, octets, 61440);
}

/* A part that begins at an odd offset is swapped before it is added. */
static void sums_of_parts(void **state)
{
	size_t cut;
	uint64_t a, b;

	(void)state;
	for (cut = 0; cut < 2000; cut++) {
		a = ip_csum_add(0, octets, cut);
		b = ip_csum_add(0, octets + cut, 2000 - cut);
		assert_csum(a + (cut % 2 ? ip_csum_swap(b) : b), plain(octets, 2000));
		/* Chained */
		if (cut % 2 == 0)
			assert_csum(ip_csum_add(a, octets + cut, 2000 - cut), plain(octets, 2000));
	}
}

static const struct ip_pair v4 = {
	.src = { [10] = 0xff, [11] = 0xff, [12] = 10, [13] = 74, [14] = 0, [15] = 1 },
	.dst = { [10] = 0xff, [11] = 0xff, [12] = 10, [13] = 74, [14] = 0, [15] = 2 },
};
static const struct ip_pair v6 = { .src = { 0xfd, 1, [15] = 1 }, .dst = { 0xfd, 1, [15] = 2 } };

static void v4_header(void **state)
{
	static const uint8_t want[] = { 0x45, 0x08, 0x00, 0x28, 0x12, 0x34, 0x40, 0x00, 0x40, 0x06,
					0x13, 0xfe, 10, 74, 0, 1, 10, 74, 0, 2 };
	uint8_t ip[100] = { 0 }, tos;
	struct ip_pair pair;

	(void)state;
	assert_int_equal(ip_build(ip, &v4, 20, 8, 0, 0x1234), 20);
	assert_csum(ip_csum_add(0, ip, 20), 0);
	assert_memory_equal(ip, want, sizeof(want));
	assert_int_equal(ip_parse(ip, 40, &pair, &tos), 20);
	assert_memory_equal(&pair, &v4, sizeof(pair));
	assert_int_equal(tos, 8);
	/* Time to live, if it is to be another than 64 */
	ip_build(ip, &v4, 20, 0, 33, 0);
	assert_int_equal(ip[8], 33);
	assert_csum(ip_csum_add(0, ip, 20), 0);
}

static void v6_header(void **state)
{
	uint8_t ip[100] = { 0 }, tos;
	struct ip_pair pair;

	(void)state;
	assert_int_equal(ip_build(ip, &v6, 20, 0xab, 0, 0), 40);
	assert_int_equal(ip_parse(ip, 60, &pair, &tos), 40);
	assert_memory_equal(&pair, &v6, sizeof(pair));
	assert_int_equal(tos, 0xab);
	assert_int_equal(ip[7], 64);
	assert_int_equal(ip_parse(ip, 59, &pair, &tos), -EBADMSG);
	assert_int_equal(ip_parse(ip, 39, &pair, &tos), -EBADMSG);
	ip[6] = 17;
	assert_int_equal(ip_parse(ip, 60, &pair, &tos), -EPROTONOSUPPORT);
}

/* An IPv6 header must not make a segment of an IPv4 connection. */
static void v6_header_with_mapped_addresses(void **state)
{
	uint8_t ip[100] = { 0 }, tos;
	struct ip_pair pair;

	(void)state;
	for (unsigned int which = 1; which < 4; which++) {
		ip_build(ip, &v6, 20, 0, 0, 0);
		if (which & 1)
			memcpy(ip + 8, v4.src, 16);
		if (which & 2)
			memcpy(ip + 24, v4.dst, 16);
		assert_int_equal(ip_parse(ip, 60, &pair, &tos), -EBADMSG);
	}
}

/* Change octet @i to @value and mend the checksum. */
static int parse_changed(unsigned int i, uint8_t value)
{
	uint8_t ip[100] = { 0 }, tos;
	struct ip_pair pair;
	uint16_t csum;

	ip_build(ip, &v4, 60, 0, 0, 1);
	ip[i] = value;
	ip[10] = ip[11] = 0;
	csum = ip_csum_fold(ip_csum_add(0, ip, 20));
	memcpy(ip + 10, &csum, 2);
	return ip_parse(ip, 80, &pair, &tos);
}

static void bad_headers(void **state)
{
	uint8_t ip[100] = { 0 }, tos;
	struct ip_pair pair;

	(void)state;
	assert_int_equal(parse_changed(1, 0), 20);
	assert_int_equal(parse_changed(0, 0x44), -EBADMSG);	/* header length 16 */
	assert_int_equal(parse_changed(0, 0x55), -EBADMSG);	/* version 5 */
	assert_int_equal(parse_changed(3, 81), -EBADMSG);	/* total length */
	assert_int_equal(parse_changed(3, 79), -EBADMSG);
	assert_int_equal(parse_changed(6, 0x20), -EBADMSG);	/* more fragments */
	assert_int_equal(parse_changed(7, 1), -EBADMSG);	/* an offset */
	assert_int_equal(parse_changed(9, 17), -EPROTONOSUPPORT);
	ip_build(ip, &v4, 60, 0, 0, 1);
	ip[11] ^= 1;
	assert_int_equal(ip_parse(ip, 80, &pair, &tos), -EBADMSG);
	assert_int_equal(ip_parse(ip, 19, &pair, &tos), -EBADMSG);
	assert_int_equal(ip_parse(ip, 0, &pair, &tos), -EBADMSG);
}

/* RFC 9293, MUST-50: options of IPv4 are passed over. */
static void ip_options(void **state)
{
	/* Record Route, End of Options; and one that nobody knows */
	static const uint8_t opt[2][8] = { { 7, 7, 4, 0, 0, 0, 0, 0 }, { 0x5e, 8, 1, 2, 3, 4, 5, 6 } };
	uint8_t ip[100] = { 0 }, tos;
	struct ip_pair pair;
	uint16_t csum;
	int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		ip_build(ip, &v4, 60, 0x28, 0, 1);
		ip[0] = 0x47;
		ip[3] = 88;
		memcpy(ip + 20, opt[i], 8);
		ip[10] = ip[11] = 0;
		csum = ip_csum_fold(ip_csum_add(0, ip, 28));
		memcpy(ip + 10, &csum, 2);
		assert_int_equal(ip_parse(ip, 88, &pair, &tos), 28);
		assert_memory_equal(&pair, &v4, sizeof(pair));
		assert_int_equal(tos, 0x28);
	}
}

/* RFC 9293, 3.1 and RFC 8200, 8.1: src, dst, zero, protocol, length */
static void pseudo_header(void **state)
{
	static const uint8_t p4[] = { 10, 74, 0, 1, 10, 74, 0, 2, 0, 6, 0xf0, 0x14 };
	uint8_t p6[40] = { 0 };

	(void)state;
	assert_csum(ip_pseudo_sum(&v4, 0xf014), plain(p4, sizeof(p4)));
	memcpy(p6, v6.src, 16);
	memcpy(p6 + 16, v6.dst, 16);
	p6[33] = 1;
	p6[34] = 2;
	p6[35] = 3;
	p6[39] = 6;
	assert_csum(ip_pseudo_sum(&v6, 0x010203), plain(p6, sizeof(p6)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_length_and_alignment),
		cmocka_unit_test(copy_and_sum),
		cmocka_unit_test(sums_of_parts),
		cmocka_unit_test(v4_header),
		cmocka_unit_test(v6_header),
		cmocka_unit_test(v6_header_with_mapped_addresses),
		cmocka_unit_test(bad_headers),
		cmocka_unit_test(ip_options),
		cmocka_unit_test(pseudo_header),
	};

	return cmocka_run_group_tests(tests, fill, NULL);
}
