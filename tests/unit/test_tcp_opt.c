/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_tcp_opt.c - headers: octets to struct tcp_seg and back, and as text
 */
#include <errno.h>
#include <stdlib.h>

#include "tests/unit/t_tcp.h"

static void assert_str(const struct tcp_seg *seg, const char *want)
{
	char buf[300];

	assert_string_equal(tcp_seg_str(seg, buf, sizeof(buf)), want);
}

/* The SYN of Linux 6.1, as captured */
static void linux_syn(void **state)
{
	static const uint8_t syn[] = {
		0xc3, 0x50, 0x00, 0x50, 0x00, 0x00, 0x03, 0xe8, 0, 0, 0, 0, 0xa0, 0x02, 0xfa, 0xf0,
		0, 0, 0, 0,
		2, 4, 0x05, 0xb4, 4, 2, 8, 10, 0, 0, 0, 7, 0, 0, 0, 0, 1, 3, 3, 7,
	};
	struct tcp_seg seg;
	uint8_t th[TCP_HDR_MAX];

	(void)state;
	assert_int_equal(tcp_seg_parse(&seg, syn, sizeof(syn)), 40);
	assert_int_equal(seg.sport, 50000);
	assert_int_equal(seg.dport, 80);
	assert_str(&seg, "Flags [S], seq 1000, win 64240, options "
			 "[mss 1460,sackOK,TS val 7 ecr 0,nop,wscale 7], length 0");
	assert_int_equal(tcp_seg_build(&seg, th), 40);
	assert_memory_equal(th, syn, sizeof(syn));
}

static void linux_syn_without_timestamps(void **state)
{
	static const uint8_t opts[] = { 2, 4, 0x05, 0xb4, 1, 1, 4, 2, 1, 3, 3, 7 };
	struct tcp_seg seg = { .flags = TH_SYN, .mss = 1460, .sack_permitted = true, .wscale = 7 };
	uint8_t th[TCP_HDR_MAX];

	(void)state;
	assert_int_equal(tcp_seg_build(&seg, th), 32);
	assert_memory_equal(th + 20, opts, sizeof(opts));
	assert_str(&seg, "Flags [S], seq 0, win 0, options [mss 1460,nop,nop,sackOK,nop,wscale 7], "
			 "length 0");
}

static void data_with_timestamps_and_sack(void **state)
{
	struct tcp_seg seg = { .flags = TH_ACK | TH_PUSH, .seq = 0xffffff00, .ack = 2, .wnd = 3,
			       .sport = 1, .dport = 2, .wscale = TCP_WS_NONE, .has_ts = true,
			       .tsval = 0x01020304, .tsecr = 0x05060708, .n_sack = 3,
			       .sack = { { 10, 20 }, { 30, 40 }, { 50, 60 } } };
	uint8_t pkt[TCP_HDR_MAX + 100] = { 0 };
	struct tcp_seg got;

	(void)state;
	assert_int_equal(tcp_seg_build(&seg, pkt), 60);
	assert_int_equal(tcp_seg_parse(&got, pkt, sizeof(pkt)), 60);
	assert_int_equal(got.len, 100);
	seg.len = 100;
	assert_memory_equal(&got, &seg, sizeof(got));
	assert_str(&got, "Flags [P.], seq 4294967040:4294967140, ack 2, win 3, options [nop,nop,"
			 "TS val 16909060 ecr 84281096,nop,nop,sack 3 {10:20}{30:40}{50:60}], "
			 "length 100");
	/* Four blocks do not fit behind a timestamp, without one they do. */
	seg.n_sack = 4;
	assert_int_equal(tcp_seg_build(&seg, pkt), 60);
	seg.has_ts = false;
	assert_int_equal(tcp_seg_build(&seg, pkt), 56);
	assert_int_equal(tcp_seg_parse(&got, pkt, 56), 56);
	assert_int_equal(got.n_sack, 4);
}

static void bad_headers(void **state)
{
	uint8_t th[60] = { [12] = 0x50 };
	struct tcp_seg seg;

	(void)state;
	assert_int_equal(tcp_seg_parse(&seg, th, 19), -EBADMSG);
	assert_int_equal(tcp_seg_parse(&seg, th, 0), -EBADMSG);
	assert_int_equal(tcp_seg_parse(&seg, th, 20), 20);
	th[12] = 0x40;
	assert_int_equal(tcp_seg_parse(&seg, th, 60), -EBADMSG);
	th[12] = 0xf0;
	assert_int_equal(tcp_seg_parse(&seg, th, 59), -EBADMSG);
	assert_int_equal(tcp_seg_parse(&seg, th, 60), 60);
}

/* MUST-5 to MUST-7: unknown ones are skipped, impossible ones end the list. */
static void bad_options(void **state)
{
	static const struct { uint8_t opt[8]; uint16_t mss; } c[] = {
		{ { 2, 4, 1, 0, 0, 0, 0, 0 }, 256 },	/* as it should be */
		{ { 99, 4, 7, 7, 2, 4, 1, 0 }, 256 },	/* unknown, skipped */
		{ { 1, 1, 1, 1, 2, 4, 1, 0 }, 256 },
		{ { 2, 4, 1, 0, 99, 4, 7, 7 }, 256 },
		{ { 0, 0, 0, 0, 2, 4, 1, 0 }, 0 },	/* end of list */
		{ { 0, 4, 7, 7, 2, 4, 1, 0 }, 0 },	/* which has no length */
		{ { 99, 0, 7, 7, 2, 4, 1, 0 }, 0 },	/* length 0 would never end */
		{ { 99, 1, 7, 7, 2, 4, 1, 0 }, 0 },
		{ { 99, 9, 7, 7, 2, 4, 1, 0 }, 0 },	/* beyond the header */
		{ { 1, 1, 1, 1, 1, 1, 1, 2 }, 0 },	/* no room for a length */
		{ { 1, 1, 1, 1, 1, 2, 4, 1 }, 0 },	/* cut off */
		{ { 2, 3, 1, 1, 2, 4, 1, 0 }, 256 },	/* a wrong length: skipped */
		{ { 2, 5, 1, 1, 1, 1, 1, 1 }, 0 },
	};
	uint8_t th[28] = { [12] = 0x70, [13] = TH_SYN };
	struct tcp_seg seg;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		memcpy(th + 20, c[i].opt, 8);
		assert_int_equal(tcp_seg_parse(&seg, th, 28), 28);
		assert_int_equal(seg.mss, c[i].mss);
	}
	/* Only a SYN negotiates. */
	memcpy(th + 20, c[0].opt, 8);
	th[13] = TH_ACK;
	assert_int_equal(tcp_seg_parse(&seg, th, 28), 28);
	assert_int_equal(seg.mss, 0);
	/* RFC 7323, 2.3: more than 14 is 14. */
	th[13] = TH_SYN;
	memcpy(th + 20, "\x03\x03\xc8\x00\x00\x00\x00", 8);
	assert_int_equal(tcp_seg_parse(&seg, th, 28), 28);
	assert_int_equal(seg.wscale, 14);
}

/* MUST-64, MUST-1: an option may begin anywhere, and a window of 65535 is one. */
static void options_need_no_alignment(void **state)
{
	uint8_t th[32] = { [12] = 0x80, [13] = TH_ACK, [14] = 0xff, [15] = 0xff };
	struct tcp_seg seg;
	unsigned int i;

	(void)state;
	for (i = 0; i < 3; i++) {
		memset(th + 20, TCPOPT_NOP, 12);
		memcpy(th + 20 + i, "\x08\x0a\x01\x02\x03\x04\x05\x06\x07\x08", 10);
		assert_int_equal(tcp_seg_parse(&seg, th, 32), 32);
		assert_true(seg.has_ts);
		assert_int_equal(seg.tsval, 0x01020304);
		assert_int_equal(seg.tsecr, 0x05060708);
		assert_int_equal(seg.wnd, 65535);
	}
}

/* RFC 2018: one block is enough; a length that is none of blocks is none; and
 * who says in mid-connection that he would take SACK is not believed. */
static void sack_options(void **state)
{
	uint8_t th[32] = { [12] = 0x80, [13] = TH_ACK };
	struct tcp_seg seg;

	(void)state;
	memset(th + 20, TCPOPT_NOP, 12);
	memcpy(th + 20, "\x05\x0a\x00\x00\x00\x01\x00\x00\x00\x02", 10);
	assert_int_equal(tcp_seg_parse(&seg, th, 32), 32);
	assert_int_equal(seg.n_sack, 1);
	assert_int_equal(seg.sack[0].start, 1);
	assert_int_equal(seg.sack[0].end, 2);
	th[21] = 12;
	assert_int_equal(tcp_seg_parse(&seg, th, 32), 32);
	assert_int_equal(seg.n_sack, 0);
	memset(th + 20, TCPOPT_NOP, 12);
	memcpy(th + 20, "\x04\x02", 2);
	assert_int_equal(tcp_seg_parse(&seg, th, 32), 32);
	assert_false(seg.sack_permitted);
	th[13] = TH_SYN;
	th[21] = 3;
	assert_int_equal(tcp_seg_parse(&seg, th, 32), 32);
	assert_false(seg.sack_permitted);
}

/* Any octets: no access beyond them (ASan looks), and what is built from what
 * was parsed is parsed again to the same. */
static void random_octets(void **state)
{
	uint8_t th[TCP_HDR_MAX], *p;
	struct tcp_seg a, b;
	uint32_t x = 1, i, n;
	size_t len;
	int hlen;

	(void)state;
	for (n = 0; n < 200000; n++) {
		x = x * 1664525 + 1013904223;
		len = (x >> 16) % 80;
		p = malloc(len ? len : 1);
		assert_non_null(p);
		for (i = 0; i < len; i++) {
			x = x * 1664525 + 1013904223;
			/* Small numbers, so that options are often right */
			p[i] = (uint8_t)(i > 20 && (x & 0x80000000) ? (x >> 24) % 11 : x >> 24);
		}
		hlen = tcp_seg_parse(&a, p, len);
		if (hlen > 0) {
			assert_true(hlen >= 20 && (size_t)hlen <= len);
			assert_int_equal(a.len, len - (size_t)hlen);
			if (a.has_ts && a.n_sack > 3)
				a.n_sack = 3;
			a.len = 0;
			hlen = tcp_seg_build(&a, th);
			assert_true(hlen >= 20 && hlen <= TCP_HDR_MAX && hlen % 4 == 0);
			assert_int_equal(tcp_seg_parse(&b, th, (size_t)hlen), hlen);
			if (!(a.flags & TH_SYN))
				assert_int_equal(b.n_sack, a.n_sack);
			assert_int_equal(b.mss, a.mss);
			assert_int_equal(b.tsval, a.tsval);
			assert_int_equal(b.wscale, a.wscale);
			assert_int_equal(b.fo_kind, a.fo_kind);
			assert_int_equal(b.fo_len, a.fo_len);
		}
		free(p);
	}
}

/* A SYN with only the option at @opt, of @n octets. */
static struct tcp_seg parsed(const uint8_t *opt, size_t n, uint8_t flags)
{
	uint8_t p[TCP_HDR_MAX] = { [12] = (uint8_t)((20 + (n + 3) / 4 * 4) / 4 << 4), [13] = flags };
	struct tcp_seg seg;

	memcpy(p + 20, opt, n);
	assert_true(tcp_seg_parse(&seg, p, sizeof(p)) > 0);
	return seg;
}

/* RFC 7413, 4.1.1: 4 to 16 octets, even; both forms; in a SYN alone */
static void fast_open(void **state)
{
	uint8_t opt[40] = { 34 }, exp[40] = { 254, 0, 0xf9, 0x89 }, th[TCP_HDR_MAX];
	struct tcp_seg seg = { .flags = TH_SYN, .mss = 1460, .sack_permitted = true, .has_ts = true,
			       .wscale = 7, .fo_kind = TCP_FO_EXP, .fo_len = 16 };
	char buf[300];
	unsigned int n;

	(void)state;
	for (n = 0; n <= 20; n++) {
		bool good = !n || (n >= 4 && n <= 16 && n % 2 == 0);

		opt[1] = (uint8_t)(2 + n);
		memset(opt + 2, 0xa0 + (int)n, n);
		exp[1] = (uint8_t)(4 + n);
		memset(exp + 4, 0xa0 + (int)n, n);
		seg = parsed(opt, 2 + n, TH_SYN);
		assert_int_equal(seg.fo_kind, good ? TCP_FO_OPT : TCP_FO_NONE);
		assert_int_equal(seg.fo_len, good ? n : 0);
		assert_memory_equal(seg.fo_cookie, opt + 2, seg.fo_len);
		assert_int_equal(parsed(opt, 2 + n, TH_ACK).fo_kind, TCP_FO_NONE);
		seg = parsed(exp, 4 + n, TH_SYN | TH_ACK);
		assert_int_equal(seg.fo_kind, good ? TCP_FO_EXP : TCP_FO_NONE);
		assert_memory_equal(seg.fo_cookie, exp + 4, seg.fo_len);
	}
	/* Another experiment */
	exp[1] = 8;
	exp[3] = 0x88;
	assert_int_equal(parsed(exp, 8, TH_SYN).fo_kind, TCP_FO_NONE);

	/* All options of a SYN, the longest of each */
	seg = (struct tcp_seg){ .flags = TH_SYN, .mss = 1460, .sack_permitted = true, .has_ts = true,
				.wscale = 7, .fo_kind = TCP_FO_EXP, .fo_len = 16 };
	assert_int_equal(tcp_seg_build(&seg, th), 60);
	seg.fo_kind = TCP_FO_OPT;
	assert_int_equal(tcp_seg_build(&seg, th), 60);
	assert_int_equal(th[58], TCPOPT_NOP);
	seg.fo_len = 4;
	seg.has_ts = seg.sack_permitted = false;
	memcpy(seg.fo_cookie, "\x12\xab\x00\xff", 4);
	assert_string_equal(tcp_seg_str(&seg, buf, sizeof(buf)),
			    "Flags [S], seq 0, win 0, options [mss 1460,nop,wscale 7,"
			    "tfo  cookie 12ab00ff], length 0");
}

static void text_is_cut(void **state)
{
	struct tcp_seg seg = { .flags = 0xff, .seq = UINT32_MAX, .n_sack = 4, .has_ts = true };
	char buf[300];
	size_t n;

	(void)state;
	assert_str(&(struct tcp_seg){ .ack = 5, .wnd = 1 }, "Flags [none], win 1, length 0");
	assert_str(&(struct tcp_seg){ .flags = TH_ACK, .seq = 7, .ack = 5, .wscale = TCP_WS_NONE },
		   "Flags [.], ack 5, win 0, length 0");
	for (n = 0; n < 120; n++) {
		memset(buf, 'x', sizeof(buf));
		tcp_seg_str(&seg, buf, n);
		assert_int_equal(buf[n], 'x');
		if (n)
			assert_true(strlen(buf) < n);
	}
}

/* RFC 9293, 3.1: the last octets of a header may be an option, and an option may fill it. */
static void options_to_the_end(void **state)
{
	struct tcp_seg seg = { .flags = TH_ACK, .n_sack = 4, .uto = 5, .wscale = TCP_WS_NONE }, got;
	uint8_t th[TCP_HDR_MAX] = { 0 };
	uint32_t i;

	(void)state;
	th[12] = 6 << 4;
	th[13] = TH_SYN;
	th[20] = TCPOPT_NOP;
	th[21] = TCPOPT_NOP;
	th[22] = TCPOPT_SACK_PERMITTED;
	th[23] = TCPOLEN_SACK_PERMITTED;
	assert_int_equal(tcp_seg_parse(&got, th, 24), 24);
	assert_true(got.sack_permitted);
	/* A length that would be behind the end */
	th[22] = TCPOPT_NOP;
	th[23] = TCPOPT_SACK_PERMITTED;
	assert_int_equal(tcp_seg_parse(&got, th, 24), 24);
	assert_false(got.sack_permitted);

	for (i = 0; i < 4; i++) {
		seg.sack[i].start = 100 * i;
		seg.sack[i].end = 100 * i + 50;
	}
	assert_int_equal(tcp_seg_build(&seg, th), 60);
	assert_int_equal(tcp_seg_parse(&got, th, 60), 60);
	assert_int_equal(got.n_sack, 4);
	assert_int_equal(got.uto, 5);
}

/* RFC 7413, 4.1.1; RFC 6994, 3: kind 34, or 254 with the experiment's identifier */
static void fast_open_is_built(void **state)
{
	static const uint8_t opt[] = { 34, 6, 1, 2, 3, 4, 1, 1 };
	static const uint8_t exp_opt[] = { 254, 8, 0xf9, 0x89, 1, 2, 3, 4 };
	struct tcp_seg seg = { .flags = TH_SYN, .wscale = TCP_WS_NONE, .fo_len = 4,
			       .fo_cookie = { 1, 2, 3, 4 } }, got;
	uint8_t th[TCP_HDR_MAX];

	(void)state;
	seg.fo_kind = TCP_FO_OPT;
	assert_int_equal(tcp_seg_build(&seg, th), 28);
	assert_memory_equal(th + 20, opt, 6);
	seg.fo_kind = TCP_FO_EXP;
	assert_int_equal(tcp_seg_build(&seg, th), 28);
	assert_memory_equal(th + 20, exp_opt, sizeof(exp_opt));
	assert_int_equal(tcp_seg_parse(&got, th, 28), 28);
	assert_int_equal(got.fo_kind, TCP_FO_EXP);
	assert_int_equal(got.fo_len, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(linux_syn),
		cmocka_unit_test(linux_syn_without_timestamps),
		cmocka_unit_test(data_with_timestamps_and_sack),
		cmocka_unit_test(bad_headers),
		cmocka_unit_test(bad_options),
		cmocka_unit_test(options_need_no_alignment),
		cmocka_unit_test(sack_options),
		cmocka_unit_test(random_octets),
		cmocka_unit_test(fast_open),
		cmocka_unit_test(options_to_the_end),
		cmocka_unit_test(fast_open_is_built),
		cmocka_unit_test(text_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
