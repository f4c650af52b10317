/* SPDX-License-Identifier: BSD-2-Clause */
/* test_aal5.c - emulator/aal5.c against published and computed vectors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/util.h"
#include "emulator/emu.h"

static uint32_t crc_of(const uint8_t *sdu, uint32_t len, uint16_t uucpi)
{
	struct iovec iov = { (void *)(uintptr_t)sdu, len };

	return aal5_crc(&iov, 1, len, uucpi);
}

/* The first two are I.363.5's, by way of the ATM FAQ. */
static void crc_vectors(void **state)
{
	uint8_t sdu[40];

	(void)state;
	memset(sdu, 0, sizeof(sdu));
	assert_int_equal(crc_of(sdu, 40, 0), 0x864d7f99);
	memset(sdu, 0xff, sizeof(sdu));
	assert_int_equal(crc_of(sdu, 40, 0), 0xc55e457a);
	for (int i = 0; i < 40; i++)
		sdu[i] = (uint8_t)(i + 1);
	assert_int_equal(crc_of(sdu, 40, 0), 0xbf671ed0);
	assert_int_equal(crc_of(sdu, 40, 0x1122), 0xacba602a);
}

/* Bit by bit, over SDU, PAD and trailer. */
static uint32_t slow_crc(const uint8_t *sdu, uint32_t len, uint16_t uucpi)
{
	uint32_t crc = UINT32_MAX, n = (uint32_t)aal5_cpcs_len(len) - 4;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t octet = i < len ? sdu[i] : i == n - 4 ? uucpi >> 8u : i == n - 3 ? uucpi & 0xffu :
				 i == n - 2 ? len >> 8 : i == n - 1 ? len & 0xff : 0;

		crc ^= octet << 24;
		for (int bit = 0; bit < 8; bit++)
			crc = crc & 0x80000000u ? crc << 1 ^ 0x04c11db7u : crc << 1;
	}
	return ~crc;
}

/* However the SDU is cut into pieces, the CRC is the same: seeds chain. */
static void crc_of_pieces(void **state)
{
	static const uint32_t lens[] = { 2, 40, 41, 88, 239, 240, 241, 1500, JS_MTU };
	static uint8_t sdu[JS_MTU];

	(void)state;
	for (size_t i = 0; i < sizeof(sdu); i++)
		sdu[i] = (uint8_t)(i * 7 + (i >> 8));
	for (size_t l = 0; l < ARRAY_SIZE(lens); l++) {
		uint32_t len = lens[l], whole = crc_of(sdu, len, 0x8421);

		assert_int_equal(whole, slow_crc(sdu, len, 0x8421));
		for (size_t cut = 1; cut < len; cut += len / 61 + 1) {
			struct iovec iov[3] = {
				{ sdu, cut / 2 },
				{ sdu + cut / 2, cut - cut / 2 },
				{ sdu + cut, len - cut },
			};

			assert_int_equal(aal5_crc(iov, 3, len, 0x8421), whole);
		}
	}
}

/* A bit that flips anywhere changes the CRC. */
static void crc_finds_a_bit(void **state)
{
	uint8_t sdu[100] = { 1, 2, 3 };
	uint32_t good;

	(void)state;
	good = crc_of(sdu, sizeof(sdu), 0);
	for (size_t bit = 0; bit < sizeof(sdu) * 8; bit++) {
		sdu[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_not_equal(crc_of(sdu, sizeof(sdu), 0), good);
		sdu[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

static void make_fills_the_crc(void **state)
{
	uint8_t sdu[40] = { 0 };
	struct frame f = { .sdu_len = 40, .n_iov = 2, .iov = { { sdu, 13 }, { sdu + 13, 27 } } };

	(void)state;
	aal5_make(&f);
	assert_int_equal(f.crc, 0x864d7f99);
}

static void pad_and_trailer(void **state)
{
	static const struct { uint32_t sdu_len, pad; } cases[] = {
		{ 1, 39 }, { 39, 1 }, { 40, 0 }, { 41, 47 }, { 87, 1 }, { 88, 0 }, { 89, 47 },
		{ 61440, 40 }, { 61504, 24 }, { 65535, 25 },
	};
	uint8_t tail[JS_CELL + JS_TRAILER_LEN];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint32_t len = cases[i].sdu_len, pad = cases[i].pad;
		const uint8_t want[8] = { 0x91, 0x22, (uint8_t)(len >> 8), (uint8_t)len,
					  0xde, 0xad, 0xbe, 0xef };

		memset(tail, 0xaa, sizeof(tail));
		assert_int_equal(aal5_tail(tail, len, 0x9122, 0xdeadbeef), pad + 8);
		assert_int_equal((len + pad + 8) % 48, 0);
		assert_int_equal(aal5_cpcs_len(len), len + pad + 8);
		for (uint32_t j = 0; j < pad; j++)
			assert_int_equal(tail[j], 0);
		assert_memory_equal(tail + pad, want, 8);
	}
	assert_int_equal(aal5_cpcs_len(61504), 61536);
	assert_int_equal(aal5_frame_len(61504), 61541);
	assert_int_equal(aal5_cpcs_len(JS_SDU_MAX), JS_CPCS_MAX);
}

static void header(void **state)
{
	/* I.432: an idle cell's header 00 00 00 01 has HEC 52h. */
	static const uint8_t idle[4] = { 0, 0, 0, 1 }, zero[4] = { 0 };
	uint8_t hdr[JS_HDR_LEN];

	(void)state;
	assert_int_equal(aal5_hec(idle), 0x52);
	assert_int_equal(aal5_hec(zero), 0x55);

	aal5_header(hdr, 0x7fff);
	assert_int_equal(hdr[0], 0x00);
	assert_int_equal(hdr[1], 0x07);
	assert_int_equal(hdr[2], 0xff);
	assert_int_equal(hdr[3], 0xf2);
	assert_int_equal(hdr[4], aal5_hec(hdr));
	for (unsigned int vci = 0; vci <= JS_VCI_MAX; vci++) {
		aal5_header(hdr, (js_vci_t)vci);
		assert_int_equal((hdr[1] & 0xf) << 12 | hdr[2] << 4 | hdr[3] >> 4, vci);
		assert_int_equal(hdr[0] | hdr[1] >> 4, 0);
		assert_int_equal(hdr[3] & 0xf, 2);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(crc_vectors),
		cmocka_unit_test(crc_of_pieces),
		cmocka_unit_test(crc_finds_a_bit),
		cmocka_unit_test(make_fills_the_crc),
		cmocka_unit_test(pad_and_trailer),
		cmocka_unit_test(header),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
