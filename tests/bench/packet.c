/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * packet.c - what the benchmarks send, and that it arrived; jet-bench
 *
 * Packets of PACKET_HDR octets and more begin as TCP segments do, so that a
 * pool's template lets them pass: IPv4, 10.74.0.1:4660 to 10.74.0.2:80.  The
 * number stands in TCP's sequence number and again behind the header.
 */
#include <string.h>

#include "common/util.h"
#include "tests/bench/bench.h"

void packet_header(uint8_t hdr[PACKET_HDR], uint32_t sdu_len, uint64_t nr)
{
	static const uint8_t proto[PACKET_HDR] = {
		0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 74, 0, 1, 10, 74, 0, 2,
		0x12, 0x34, 0, 80, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x10,
	};
	uint32_t low = (uint32_t)nr;

	memcpy(hdr, proto, sizeof(proto));
	hdr[2] = (uint8_t)(sdu_len >> 8);
	hdr[3] = (uint8_t)sdu_len;
	memcpy(hdr + 24, &low, sizeof(low));
}

void packet_template(struct js_template *t)
{
	static const uint8_t fixed[] = { 0, 6, 7, 9, 12, 13, 14, 15, 16, 17, 18, 19 };
	uint8_t hdr[PACKET_HDR];

	packet_header(hdr, 0, 0);
	memset(t, 0, sizeof(*t));
	t->ip_len = 20;
	t->tp_len = 4;
	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++) {
		t->ip_value[fixed[i]] = hdr[fixed[i]];
		t->ip_mask[fixed[i]] = 0xff;
	}
	memcpy(t->tp_value, hdr + 20, 4);
	memset(t->tp_mask, 0xff, 4);
}

const uint8_t *packet_text(void)
{
	static uint8_t text[SDU_BULK];
	uint32_t x = 2463534242u;	/* xorshift, so that no two parts are alike */

	if (text[0] || text[1])
		return text;
	for (size_t i = 0; i < sizeof(text); i++) {
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		text[i] = (uint8_t)x;
	}
	return text;
}

void packet_check(const uint8_t *sdu, uint32_t sdu_len, uint64_t nr)
{
	uint8_t hdr[PACKET_HDR];
	uint64_t seen;

	if (sdu_len < PACKET_HDR + sizeof(nr)) {
		if (sdu_len != sizeof(nr) || memcmp(sdu, &nr, sizeof(nr)))
			die("packet %llu is not what was sent", (unsigned long long)nr);
		return;
	}
	packet_header(hdr, sdu_len, nr);
	memcpy(&seen, sdu + PACKET_HDR, sizeof(seen));
	if (memcmp(hdr, sdu, PACKET_HDR) || seen != nr)
		die("packet %llu was expected, %llu has come", (unsigned long long)nr,
		    (unsigned long long)seen);
	if (nr % PACKET_WHOLE == 0 &&
	    memcmp(sdu + PACKET_HDR + sizeof(nr), packet_text() + sizeof(nr), sdu_len - PACKET_HDR - sizeof(nr)))
		die("packet %llu is not what was sent", (unsigned long long)nr);
}
