/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * block.c - a control block that somebody else has written into
 *
 * The block is a real one with some of its words overwritten.  What passes
 * tcp_check() is run through every entry point: nothing is read or written
 * out of bounds, and everything ends.
 */
#include <string.h>

#include "stack/engine/tcp.h"
#include "tests/fuzz/fuzz.h"

#define START_US	1000000u
#define MAX_SEGMENTS	100000
#define MAX_STEPS	64

static void drain(struct tcpcb *tp, const struct tcp_view *v, uint64_t now_us)
{
	struct tcp_seg seg;
	uint8_t th[TCP_HDR_MAX];
	int n = 0;

	while (tcp_output(tp, v, now_us, &seg) > 0) {
		if (seg.len && (seg.off > v->snd_cc || seg.len > v->snd_cc - seg.off))
			fuzz_fail("sends what is not in so_snd");
		if (n++ < 4)
			tcp_seg_build(&seg, th);
		if (n > MAX_SEGMENTS)
			fuzz_fail("tcp_output() does not end");
	}
}

static void input(struct tcpcb *tp, struct tcp_view *v, struct fuzz_in *in, uint64_t now_us)
{
	uint8_t how = in_u8(in);
	struct tcp_seg seg = {
		.flags = in_u8(in),
		.seq = tp->rcv_nxt + (how & 1 ? (uint32_t)(int16_t)in_u16(in) : 0),
		.ack = tp->snd_nxt + (how & 2 ? (uint32_t)(int16_t)in_u16(in) : 0),
		.len = in_len(in), .wnd = how & 4 ? in_u16(in) : 60000, .wscale = TCP_WS_NONE,
		.has_ts = how & 8, .tsval = tp->ts_recent + (how & 16), .n_sack = how >> 5 & 3,
		.mss = 1000,
	};
	struct tcp_rx rx;

	for (unsigned int i = 0; i < seg.n_sack; i++) {
		seg.sack[i].start = tp->snd_una + in_len(in);
		seg.sack[i].end = seg.sack[i].start + in_len(in);
	}
	tcp_input(tp, v, &seg, now_us, &rx);
	if (rx.acked > v->snd_cc)
		fuzz_fail("more acknowledged than so_snd holds");
	if (rx.events & TCP_EV_DATA && (rx.data_off > seg.len || rx.data_len > seg.len - rx.data_off))
		fuzz_fail("takes more than the segment has");
	v->snd_cc -= rx.acked;
}

static void make(struct tcpcb *tp, struct tcp_view *v, struct fuzz_in *in)
{
	uint8_t how = in_u8(in);
	struct tcp_config cfg = {
		.mss = how & 1 ? 61440 : 1000, .eff_mss_max = how & 2 ? 61440 : 0,
		.rcv_buf = 245760, .no_sack = how & 4, .no_ts = how & 8,
	};
	struct tcp_seg syn_ack = {
		.flags = TH_SYN | TH_ACK, .seq = 5000, .ack = 1, .wnd = 60000, .mss = cfg.mss,
		.wscale = 3, .sack_permitted = true, .has_ts = true, .tsval = 1,
	};
	struct tcp_rx rx;

	*v = (struct tcp_view){ .rcv_space = 245760, .ooo_room = 16 };
	tcp_init(tp, &cfg);
	tcp_user_open_active(tp, 0, START_US);
	drain(tp, v, START_US);
	if (how & 16)
		return;
	tcp_input(tp, v, &syn_ack, START_US + 100, &rx);
	v->snd_cc = how & 32 ? 20000 : 0;
	tcp_user_send(tp, v, START_US + 100);
	drain(tp, v, START_US + 100);
	if (how & 64)
		tcp_user_close(tp, START_US + 100);
	if (how & 128)
		drain(tp, v, START_US + 100);
}

static void spoil(struct tcpcb *tp, struct fuzz_in *in)
{
	unsigned int n = in_u8(in) % 16;

	while (n--) {
		size_t at = in_u16(in) % sizeof(*tp);
		uint32_t word;

		if (at & 1) {
			((uint8_t *)tp)[at] = in_u8(in);
			continue;
		}
		at = at / 4 * 4;
		memcpy(&word, (uint8_t *)tp + at, sizeof(word));
		word = in_u8(in) & 1 ? in_u32(in) : word + (uint32_t)(int16_t)in_u16(in);
		memcpy((uint8_t *)tp + at, &word, sizeof(word));
	}
}

static void step(struct tcpcb *tp, struct tcp_view *v, struct fuzz_in *in, uint64_t *now_us)
{
	struct tcp_rx rx;

	switch (in_u8(in) % 12) {
	case 0:
		v->snd_cc += in_len(in);
		tcp_user_send(tp, v, *now_us);
		break;
	case 1:
		v->rcv_space = in_len(in);
		tcp_user_recv(tp, v, *now_us);
		break;
	case 2:
		tcp_user_close(tp, *now_us);
		break;
	case 3:
		tcp_user_abort(tp, *now_us);
		break;
	case 4:
		tcp_inherit(tp, *now_us);
		break;
	case 5:
		tcp_disown(tp, 0, *now_us);
		v->closed = true;
		break;
	case 6:
		tcp_user_keepalive(tp, in_len(in) * 1000, in_len(in) * 1000, in_u8(in), *now_us);
		break;
	case 7:
	case 8:
		*now_us += 1ull << in_u8(in) % 32;
		tcp_timers(tp, v, *now_us, &rx);
		if (tcp_poll_at(tp) <= *now_us)
			fuzz_fail("a timer does not move on");
		break;
	default:
		input(tp, v, in, *now_us);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, size };
	uint64_t now_us = START_US + 1000;
	struct tcp_view v;
	struct tcpcb tp;

	make(&tp, &v, &in);
	spoil(&tp, &in);
	tcp_invariant(&tp, &v);		/* reads it unchecked */
	/* A child checks before each run, for the owner may write again. */
	for (int i = 0; i < MAX_STEPS && in.left && !tcp_check(&tp, &v); i++) {
		step(&tp, &v, &in, &now_us);
		if (in_u8(&in) & 3)
			drain(&tp, &v, now_us);
	}
	return 0;
}
