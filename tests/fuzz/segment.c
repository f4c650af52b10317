/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * segment.c - what arrives from the wire is read
 *
 * The first octet chooses; the rest is the packet.  What can be read can be
 * written, and read again as the same.
 */
#include <string.h>

#include "stack/engine/tcp.h"
#include "tests/fuzz/fuzz.h"

/* A segment that can be written: what goes with SYN alone, and what never does. */
static struct tcp_seg writable(const struct tcp_seg *seg)
{
	struct tcp_seg s = *seg;
	unsigned int room = 40 - (s.has_ts ? 12u : 0u);

	if (s.flags & TH_SYN) {
		s.n_sack = 0;
	} else {
		s.mss = 0;
		s.wscale = TCP_WS_NONE;
		s.sack_permitted = false;
	}
	while (s.n_sack && 4u + 8u * s.n_sack > room)
		s.n_sack--;
	return s;
}

static void compare(const struct tcp_seg *a, const struct tcp_seg *b)
{
	if (a->seq != b->seq || a->ack != b->ack || a->wnd != b->wnd || a->flags != b->flags ||
	    a->len != b->len || a->mss != b->mss || a->wscale != b->wscale ||
	    a->sack_permitted != b->sack_permitted || a->has_ts != b->has_ts ||
	    (a->has_ts && (a->tsval != b->tsval || a->tsecr != b->tsecr)) ||
	    a->fo_kind != b->fo_kind || a->fo_len != b->fo_len ||
	    memcmp(a->fo_cookie, b->fo_cookie, a->fo_len) ||
	    a->n_sack != b->n_sack || memcmp(a->sack, b->sack, a->n_sack * sizeof(a->sack[0])))
		fuzz_fail("written and read again, the segment is another");
}

static void read_tcp(const uint8_t *p, size_t len)
{
	uint8_t th[TCP_HDR_MAX + 65536];
	struct tcp_seg seg, again, out;
	char text[300];
	int n = tcp_seg_parse(&seg, p, len);

	if (n < 0)
		return;
	if (n < 20 || n > TCP_HDR_MAX || (size_t)n > len || seg.len != len - (size_t)n ||
	    seg.n_sack > TCP_SEG_SACKS)
		fuzz_fail("%d octets of header in %zu", n, len);
	tcp_seg_str(&seg, text, sizeof(text));
	tcp_seg_str(&seg, text, 7);
	if (tcp_reset_for(&seg, &out) && (seg.flags & TH_RST || !(out.flags & TH_RST)))
		fuzz_fail("a reset for a reset, or no reset");

	seg = writable(&seg);
	n = tcp_seg_build(&seg, th);
	if (n < 20 || n > TCP_HDR_MAX)
		fuzz_fail("%d octets of header written", n);
	memset(th + n, 0, seg.len);
	if (tcp_seg_parse(&again, th, (size_t)n + seg.len) != n)
		fuzz_fail("what was written cannot be read");
	compare(&seg, &again);
}

static void read_ip(const uint8_t *p, size_t len)
{
	struct ip_pair pair;
	uint8_t tos;
	int n = ip_parse(p, len, &pair, &tos);

	if (n < 0)
		return;
	if (n < 20 || (size_t)n > len)
		fuzz_fail("%d octets of IP header in %zu", n, len);
	read_tcp(p + n, len - (size_t)n);
}

static void time_wait(struct fuzz_in *in)
{
	struct tcp_tw tw = {
		.snd_nxt = in_u32(in), .rcv_nxt = in_u32(in), .ts_recent = in_u32(in),
		.has_ts = in_u8(in) & 1,
	};
	struct tcp_seg seg, out;

	if (tcp_seg_parse(&seg, in->p, in->left) < 0)
		return;
	switch (tcp_tw_input(&tw, &seg, 1000000, &out)) {
	case TCP_TW_ANSWER:
	case TCP_TW_FIN:
		if (seg.flags & TH_RST)
			fuzz_fail("TIME-WAIT answers a reset");
		break;
	default:
		break;
	}
}

/* As an owner has it from a raw socket; its checksum would be hard to guess. */
static void read_icmp(const uint8_t *p, size_t len, bool is_v6, bool mend)
{
	uint8_t *msg = malloc(len ? len : 1);
	struct icmp_error e;
	uint16_t csum;

	if (!msg)
		abort();
	memcpy(msg, p, len);
	if (mend && len >= 4) {
		memset(msg + 2, 0, 2);
		csum = ip_csum_fold(ip_csum_add(0, msg, len));
		memcpy(msg + 2, &csum, 2);
	}
	if (!icmp_parse(msg, len, is_v6, &e)) {
		if (e.err < 0 || (!e.err && !e.is_too_big))
			fuzz_fail("an ICMP error says %d, too big: %d", e.err, e.is_too_big);
		if (ip_is_mapped(e.pair.src) == is_v6 || ip_is_mapped(e.pair.dst) == is_v6)
			fuzz_fail("ICMP quotes addresses of the other family");
	}
	free(msg);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, size };
	uint8_t how = in_u8(&in);

	if (size > 65536)
		return 0;
	switch (how % 4) {
	case 0:
		read_tcp(in.p, in.left);
		break;
	case 1:
		read_ip(in.p, in.left);
		break;
	case 2:
		time_wait(&in);
		break;
	default:
		read_icmp(in.p, in.left, how & 4, how & 8);
		break;
	}
	return 0;
}
