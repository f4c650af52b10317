/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_capfilter.c - filters of captures: their words, and the programs
 *
 * What libpcap's words mean is libpcap's business; that a program does in
 * cbpf_run() what it does in libpcap's own bpf_filter() is ours.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#undef BPF_MAXINSNS
#include <arpa/inet.h>
#include <pcap/pcap.h>

#include "abi/aal5.h"
#include "common/util.h"
#include "netns/cap.h"

#define TCP_LEN		40

/* A TCP segment from 10.74.0.1:1000 to 10.74.0.2:80, and a question by ARP. */
static const uint8_t tcp[TCP_LEN] = {
	0x45, 0, 0, TCP_LEN, 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 74, 0, 1, 10, 74, 0, 2,
	0x03, 0xe8, 0, 80, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x18, 0x20, 0, 0, 0, 0, 0,
};
static const uint8_t arp[28] = {
	0, 1, 8, 0, 6, 4, 0, 1, 2, 0x4a, 0x53, 0, 0, 1, 10, 74, 0, 1, 0, 0, 0, 0, 0, 0, 10, 74, 0, 2,
};

static struct cap_record record(js_vci_t vci, unsigned int src, const uint8_t *sdu, uint32_t len)
{
	return (struct cap_record) {
		.facts = {
			.vci_be = htons(vci),
			.src = (uint8_t)src,
			.station = (uint8_t)src,
			.dir = JS_CAP_TX,
			.proto_be = htons(js_cap_proto(vci, sdu[0])),
		},
		.sdu = sdu, .sdu_cap = len, .sdu_len = len,
	};
}

static struct cap_filter compiled(const char *expr)
{
	struct cap_filter f;
	char why[400] = "";

	if (capfilter_compile(&f, expr, why, sizeof(why)))
		fail_msg("\"%s\": %s", expr, why);
	return f;
}

static bool matches(const char *expr, const struct cap_record *r)
{
	struct cap_filter f = compiled(expr);

	return capfilter_match(&f, r);
}

static void refused(const char *expr, const char *part)
{
	struct cap_filter f;
	char why[400] = "";

	assert_int_equal(capfilter_compile(&f, expr, why, sizeof(why)), -22);
	if (!strstr(why, part))
		fail_msg("\"%s\": \"%s\" has no \"%s\"", expr, why, part);
}

static void ring_words(void **state)
{
	struct cap_record r = record(vci_make(2, 40), 1, tcp, TCP_LEN);

	(void)state;
	assert_true(matches("", &r));
	assert_true(matches("vci 2088", &r));
	assert_true(matches("vci 0x828", &r));
	assert_false(matches("vci 2089", &r));
	assert_true(matches("stream 40", &r));
	assert_false(matches("stream 2", &r));
	assert_true(matches("node n1", &r) && matches("node 2", &r));
	assert_false(matches("node n3", &r));
	assert_true(matches("from n1 and to n2 and at n1", &r));
	assert_false(matches("from n2 or to n1 or at n2", &r));
	assert_false(matches("token", &r));
	assert_false(matches("local or arrival or rxvci or bad", &r));
	assert_true(matches("not (node n3 or token)&&!(stream 2)", &r));
	r.facts.uucpi_be = htons(JS_UUCPI_RXVCI | vci_make(1, 40));
	assert_true(matches("rxvci", &r));
}

/* Ring ID 0, and the multicast VCIs, which have Ring ID 0, too. */
static void n16_is_not_all(void **state)
{
	struct cap_record to_all = record(vci_mcast(JS_STREAM_ARP), 1, arp, sizeof(arp));
	struct cap_record to_n16 = record(vci_make(0, JS_STREAM_IP), 1, tcp, TCP_LEN);
	struct cap_record from_n16 = record(vci_make(1, JS_STREAM_IP), 0, tcp, TCP_LEN);

	(void)state;
	assert_false(matches("to n16 or node n16", &to_all));
	assert_true(matches("to n16 and node n16 and not from n16", &to_n16));
	assert_true(matches("from n16 and node n16 and not to n16", &from_n16));
}

static void flag_words(void **state)
{
	static const struct {
		const char *word;
		uint16_t flag;
		bool bad;
	} t[] = {
		{ "lost", JS_CAP_F_LOST, true }, { "corrupt", JS_CAP_F_CORRUPT, true },
		{ "discard", JS_CAP_F_DISCARD, true }, { "dup", JS_CAP_F_DUP, false },
		{ "delayed", JS_CAP_F_DELAYED, false }, { "reorder", JS_CAP_F_REORDER, false },
	};
	struct cap_record r = record(vci_make(2, 40), 1, tcp, TCP_LEN);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		r.facts.flags_be = htons(t[i].flag | JS_CAP_F_TOKEN);
		for (size_t k = 0; k < ARRAY_SIZE(t); k++)
			assert_int_equal(matches(t[k].word, &r), i == k);
		assert_int_equal(matches("bad", &r), t[i].bad);
	}
	r.facts.dir = JS_CAP_LOCAL;
	assert_true(matches("local", &r));
	r.facts.dir = JS_CAP_RX;
	assert_true(matches("arrival", &r));
}

static void packets_inside(void **state)
{
	struct cap_record seg = record(vci_make(2, 40), 1, tcp, TCP_LEN);
	struct cap_record ask = record(vci_mcast(JS_STREAM_ARP), 1, arp, sizeof(arp));
	struct cap_record token = record(vci_mcast(JS_STREAM_MGMT), 1, tcp, TCP_LEN);

	(void)state;
	assert_true(matches("tcp port 80 and host 10.74.0.1", &seg));
	assert_true(matches("port 22 or 80", &seg));
	assert_false(matches("udp or port 22", &seg));
	assert_true(matches("node n1 and (tcp dst port 80 or token)", &seg));
	assert_true(matches("len = 56 and greater 50", &seg));
	assert_true(matches("arp and host 10.74.0.2", &ask));
	assert_true(matches("not tcp", &ask));
	/* A token frame is no packet, whatever its octets look like. */
	assert_false(matches("tcp or ip or host 10.74.0.1", &token));
	assert_true(matches("token and not tcp", &token));
}

static void what_it_speaks_of(void **state)
{
	(void)state;
	assert_true(compiled("tcp or not token").tokens);
	assert_true(compiled("(arrival)").arrivals);
	assert_false(compiled("node n1").tokens || compiled("node n1").arrivals);
}

static void refusals(void **state)
{
	char longest[20000] = "tcp";

	(void)state;
	refused("vci", "wants a number");
	refused("vci 32768", "32767");
	refused("vci 10x", "wants a number");
	refused("stream 1024", "1023");
	refused("node n17", "n1 to n16");
	refused("node 0", "n1 to n16");
	refused("from token", "n1 to n16");
	refused("tcp and", "syntax error");
	refused("token token", "syntax error");
	refused("ip6 protochain 6", "loop");
	for (size_t n = 3; n < sizeof(longest) - 20; n = strlen(longest))
		strcpy(longest + n, " or tcp");
	refused(longest, "too long");
	strcpy(longest, "port 1");
	for (unsigned int p = 3; p < 300; p += 2)
		sprintf(longest + strlen(longest), " or %u", p);
	refused(longest, "instructions");
}

/* libpcap would be busy with these for a minute; with others, of many words, not for long. */
static void filters_of_many_ports_are_refused_in_time(void **state)
{
	static char text[8192];
	struct cap_filter f;
	char why[200];

	(void)state;
	strcpy(text, "port 1000");
	for (unsigned int p = 1001; p < 1600; p++)
		sprintf(text + strlen(text), " or %u", p);
	refused(text, "599 times");
	strcpy(text, "port 1000");
	for (unsigned int p = 1001; p < 1600; p++)
		sprintf(text + strlen(text), "||%u", p);
	refused(text, "599 times");
	strcpy(text, "port 1000");
	for (unsigned int p = 1001; p < 1140; p++)
		sprintf(text + strlen(text), " or port %u", p);
	refused(text, "before they are made fewer");
	strcpy(text, "vci 1024");
	for (unsigned int p = 1025; p < 1280; p++)
		sprintf(text + strlen(text), " or vci %u", p);
	assert_int_equal(capfilter_compile(&f, text, why, sizeof(why)), 0);
}

static void hex_is_the_program(void **state)
{
	struct cap_filter f = compiled("vci 2088");
	char hex[CAP_FILTER_HEX];

	(void)state;
	capfilter_hex(&f, hex);
	assert_int_equal(strlen(hex), 16 * f.n);
	/* ldh [0]; jeq #2088 */
	assert_memory_equal(hex, "0028000000000000" "0015", 20);
}

/* --- cbpf.c ------------------------------------------------------------------- */

static bool ok1(uint16_t code, uint8_t jt, uint8_t jf, uint32_t k)
{
	struct sock_filter p[2] = { { code, jt, jf, k }, { BPF_RET | BPF_K, 0, 0, 1 } };

	return cbpf_ok(p, 2);
}

static void programs_are_checked(void **state)
{
	struct sock_filter p[CBPF_MAX + 1];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(p); i++)
		p[i] = (struct sock_filter) { BPF_RET | BPF_K, 0, 0, 1 };
	assert_false(cbpf_ok(p, 0));
	assert_true(cbpf_ok(p, CBPF_MAX));
	assert_false(cbpf_ok(p, CBPF_MAX + 1));
	p[0].code = BPF_LD | BPF_IMM;
	assert_false(cbpf_ok(p, 1));
	assert_true(ok1(BPF_JMP | BPF_JA, 0, 0, 0));
	assert_false(ok1(BPF_JMP | BPF_JA, 0, 0, 1));
	assert_false(ok1(BPF_JMP | BPF_JA, 0, 0, 0xffffffff));
	assert_false(ok1(BPF_JMP | BPF_JEQ, 1, 0, 0));
	assert_false(ok1(BPF_JMP | BPF_JEQ, 0, 1, 0));
	assert_false(ok1(BPF_ST, 0, 0, 16));
	assert_false(ok1(BPF_LD | BPF_MEM, 0, 0, 16));
	assert_false(ok1(BPF_ALU | BPF_DIV | BPF_K, 0, 0, 0));
	assert_false(ok1(BPF_ALU | BPF_MOD | BPF_K, 0, 0, 0));
	assert_false(ok1(BPF_ALU | BPF_LSH | BPF_K, 0, 0, 32));
	assert_false(ok1(BPF_ALU | 0xf0, 0, 0, 1));
	assert_false(ok1(0xffff, 0, 0, 0));
}

static uint32_t seed = 1;

static uint32_t chance(void)
{
	seed = seed * 1664525 + 1013904223;
	return seed >> 8;
}

/* A packet in pieces of any sizes. */
static uint32_t run_in_pieces(const struct sock_filter *p, uint8_t *pkt, uint32_t len, uint32_t wire)
{
	struct iovec v[5];
	uint32_t at = 0;
	int n = 0;

	for (; n < 4; n++) {
		uint32_t part = chance() % 24;

		part = MIN(part, len - at);
		v[n] = (struct iovec) { pkt + at, part };
		at += part;
	}
	v[n++] = (struct iovec) { pkt + at, len - at };
	return cbpf_run(p, v, n, wire);
}

static void as_libpcap_runs_them(void **state)
{
	static const char *const expr[] = {
		"tcp port 80", "host 10.74.0.1 and not port 22", "icmp6 or ip6 host ::1", "arp",
		"tcp[tcpflags] & (tcp-syn|tcp-fin) != 0", "ip[2:2] - ((ip[0] & 0xf) << 2) > 40",
		"vci 2088 or len > 100", "ip[8] * 3 / ip[9] % 7 ^ 5 < 9", "udp portrange 20-90 or src net 10.0.0.0/8",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(expr); i++) {
		struct cap_filter f = compiled(expr[i]);

		for (int k = 0; k < 3000; k++) {
			uint8_t pkt[16 + 100];
			uint32_t len = chance() % (sizeof(pkt) + 1), wire = len + chance() % 100;

			for (size_t o = 0; o < sizeof(pkt); o++)
				pkt[o] = (uint8_t)chance();
			/* Most are nearly what the filter looks for. */
			memcpy(pkt + 16, tcp, TCP_LEN);
			pkt[14] = k % 3 ? 8 : 0x86;
			pkt[15] = k % 3 ? 0 : 0xdd;
			if (k % 2)
				pkt[16 + chance() % TCP_LEN] ^= (uint8_t)(1 << chance() % 8);
			assert_int_equal(run_in_pieces(f.prog, pkt, len, wire),
					 bpf_filter((const struct bpf_insn *)f.prog, pkt, wire, len));
		}
	}
}

/* Programs of chance: those that are taken end, and stay inside (ASan looks). */
static void garbage_ends(void **state)
{
	static const uint8_t codes[] = {
		0x00, 0x01, 0x02, 0x03, 0x20, 0x28, 0x30, 0x40, 0x48, 0x50, 0x60, 0x61, 0x80, 0x81, 0xb1, 0x04,
		0x14, 0x24, 0x34, 0x3c, 0x44, 0x54, 0x64, 0x6c, 0x74, 0x84, 0x94, 0x9c, 0xa4, 0x05, 0x15, 0x1d,
		0x25, 0x35, 0x45, 0x07, 0x87, 0x06, 0x16,
	};
	unsigned int taken = 0;

	(void)state;
	for (int k = 0; k < 20000; k++) {
		struct sock_filter p[12];
		uint8_t pkt[40];

		for (size_t i = 0; i < ARRAY_SIZE(p); i++)
			p[i] = (struct sock_filter) {
				chance() % 50 ? codes[chance() % sizeof(codes)] : (uint16_t)chance(),
				(uint8_t)(chance() % 4), (uint8_t)(chance() % 4),
				chance() % 20 ? chance() % 44 : chance() << 8,
			};
		p[11].code = BPF_RET | BPF_A;
		memset(pkt, (int)chance(), sizeof(pkt));
		if (!cbpf_ok(p, ARRAY_SIZE(p)))
			continue;
		taken++;
		run_in_pieces(p, pkt, sizeof(pkt), sizeof(pkt));
	}
	assert_in_range(taken, 200, 20000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ring_words),
		cmocka_unit_test(n16_is_not_all),
		cmocka_unit_test(flag_words),
		cmocka_unit_test(packets_inside),
		cmocka_unit_test(what_it_speaks_of),
		cmocka_unit_test(refusals),
		cmocka_unit_test(filters_of_many_ports_are_refused_in_time),
		cmocka_unit_test(hex_is_the_program),
		cmocka_unit_test(programs_are_checked),
		cmocka_unit_test(as_libpcap_runs_them),
		cmocka_unit_test(garbage_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
