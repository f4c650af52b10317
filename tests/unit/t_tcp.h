/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * t_tcp.h - how TCP unit tests read
 *
 *	struct tcpcb *tp = T_ESTABLISHED(.mss = 1000, .wnd = 8192);
 *
 *	t_send(tp, 4000);
 *	T_TX(tp, 0, .flags = TH_ACK, .seq = 1, .len = 1000, .ack = 1);
 *	T_RX(tp, 100, .flags = TH_ACK, .seq = 1, .ack = 1001, .wnd = 8192);
 *	T_NOTHING(tp, 100);
 *	t_end(tp);
 *
 * Sequence numbers are relative to the sender's ISS, as in packetdrill; both
 * ISS are just below 2^32, so that everything wraps.  Time is milliseconds
 * since the connection was made, given by hand; timers that are due run when
 * time is given.  A state is reached by driving the engine there, never by
 * writing into the block.
 *
 * Only one connection at a time.  Included once, by each test program.
 */
#ifndef TESTS_UNIT_T_TCP_H
#define TESTS_UNIT_T_TCP_H

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "stack/engine/tcp.h"

#define T_ISS		0xfffffe00u	/* ours */
#define T_IRS		0xffffff00u	/* the peer's */
#define T_EPOCH_US	5000000000ull	/* the moment 0 ms */

static struct {
	struct tcpcb tp;
	struct tcp_view v;
	struct tcp_rx rx;	/* of the last T_RX or timer */
	uint32_t events;	/* all of them, ever */
	uint32_t tsval;		/* the peer's clock, for T_RX with timestamps */
} t;

/* What a connection is made of; 0 members mean none, or what is usual. */
struct t_opts {
	uint16_t mss;		/* both sides' */
	uint32_t wnd;		/* the peer's window field, and ours in octets */
	struct tcp_config cfg;
	bool sack, ts;
	uint8_t scale;		/* the peer's window scale; 0: no option */
};

#define t_fail(file, line, ...) do {						\
	char why_[900];								\
	snprintf(why_, sizeof(why_), __VA_ARGS__);				\
	print_error("%s:%d: %s\n", file, line, why_);				\
	_fail(file, line);							\
} while (0)

static inline uint64_t t_us(uint64_t ms)
{
	return T_EPOCH_US + ms * 1000;
}

/* Time is @ms: what is due runs. */
static inline uint64_t t_at(struct tcpcb *tp, uint64_t ms)
{
	struct tcp_rx rx;

	if (tcp_poll_at(tp) > t_us(ms))
		return t_us(ms);
	tcp_timers(tp, &t.v, t_us(ms), &rx);
	t.rx = rx;
	t.events |= rx.events;
	assert_true(tcp_poll_at(tp) > t_us(ms));
	return t_us(ms);
}

static inline const char *t_str(const struct tcp_seg *seg, char *buf, size_t size)
{
	return tcp_seg_str(seg, buf, size);
}

/* --- a segment comes ---------------------------------------------------------------- */

static inline void t_rx(struct tcpcb *tp, uint64_t ms, struct tcp_seg seg)
{
	uint64_t now_us = t_at(tp, ms);
	unsigned int i;

	seg.seq += T_IRS;
	if (seg.flags & TH_ACK)
		seg.ack += T_ISS;
	for (i = 0; i < seg.n_sack; i++) {
		seg.sack[i].start += T_ISS;
		seg.sack[i].end += T_ISS;
	}
	if (!(seg.flags & TH_SYN))
		seg.wscale = TCP_WS_NONE;
	/* A peer with timestamps never leaves them out. */
	if ((tp->flags & TF_TS) && !seg.has_ts && !(seg.flags & TH_RST)) {
		seg.has_ts = true;
		seg.tsval = t.tsval;
	}
	tcp_input(tp, &t.v, &seg, now_us, &t.rx);
	t.events |= t.rx.events;
	t.v.snd_cc -= t.rx.acked;
	t.v.rcv_space -= t.rx.advance;
}

#define T_RX(tp, ms, ...) t_rx(tp, ms, (struct tcp_seg){ __VA_ARGS__ })

/* --- a segment goes ------------------------------------------------------------------ */

/* @exact: window and options as well, and PSH on full segments, which else is
 * for the test of trains (test_tcp_data.c). */
static inline void t_tx(struct tcpcb *tp, uint64_t ms, struct tcp_seg want, bool exact,
			const char *file, int line)
{
	uint64_t now_us = t_at(tp, ms);
	char a[300], b[300];
	struct tcp_seg got;
	uint8_t differ;
	unsigned int i;

	t_str(&want, a, sizeof(a));
	if (tcp_output(tp, &t.v, now_us, &got) <= 0)
		t_fail(file, line, "nothing is sent\n    want: %s", a);
	got.seq -= T_ISS;
	if (got.flags & TH_ACK)
		got.ack -= T_IRS;
	for (i = 0; i < got.n_sack; i++) {
		got.sack[i].start -= T_IRS;
		got.sack[i].end -= T_IRS;
	}
	t_str(&got, b, sizeof(b));
	differ = got.flags ^ want.flags;
	if (!exact && got.len == tcp_eff_mss(tp))
		differ &= (uint8_t)~TH_PUSH;
	if (differ || got.seq != want.seq || got.len != want.len ||
	    got.ack != want.ack || got.up != want.up || (exact && strcmp(a, b)))
		t_fail(file, line, "\n    want: %s\n    sent: %s", a, b);
	if (got.len && got.off + got.len > t.v.snd_cc)
		t_fail(file, line, "octets that are not in so_snd: %s", b);
	assert_int_equal(tcp_check(tp, &t.v), 0);
}

#define T_TX(tp, ms, ...) \
	t_tx(tp, ms, (struct tcp_seg){ __VA_ARGS__ }, false, __FILE__, __LINE__)
#define T_TX_EXACT(tp, ms, ...) \
	t_tx(tp, ms, (struct tcp_seg){ __VA_ARGS__ }, true, __FILE__, __LINE__)

static inline void t_nothing(struct tcpcb *tp, uint64_t ms, const char *file, int line)
{
	uint64_t now_us = t_at(tp, ms);
	struct tcp_seg got;
	const char *wrong;
	char b[300];

	if (tcp_output(tp, &t.v, now_us, &got) > 0) {
		got.seq -= T_ISS;
		got.ack -= T_IRS;
		t_fail(file, line, "\n    want: nothing\n    sent: %s", t_str(&got, b, sizeof(b)));
	}
	wrong = tcp_invariant(tp, &t.v);
	if (wrong)
		t_fail(file, line, "%s", wrong);
}

#define T_NOTHING(tp, ms) t_nothing(tp, ms, __FILE__, __LINE__)

/* --- what users do ---------------------------------------------------------------------- */

/* The application writes @n octets. */
static inline void t_send(struct tcpcb *tp, uint32_t n)
{
	t.v.snd_cc += n;
	assert_int_equal(tcp_user_send(tp, &t.v, T_EPOCH_US), 0);
}

/* The application reads @n octets. */
static inline void t_recv(struct tcpcb *tp, uint32_t n)
{
	t.v.rcv_space += n;
	assert_int_equal(tcp_user_recv(tp, &t.v, T_EPOCH_US), 0);
}

/* --- looking ------------------------------------------------------------------------------ */

#define T_STATE(tp, name) assert_string_equal(tcps_names[(tp)->state], name)

/* These events, since the last look. */
#define T_EVENTS(want) do {						\
	assert_int_equal(t.events & ~(uint32_t)TCP_EV_DROP, want);	\
	t.events = 0;							\
} while (0)

static inline void t_end(struct tcpcb *tp)
{
	const char *wrong = tcp_invariant(tp, &t.v);

	if (wrong)
		fail_msg("%s", wrong);
}

/* --- constructors --------------------------------------------------------------------------- */

static inline struct tcpcb *t_init(struct t_opts o)
{
	memset(&t, 0, sizeof(t));
	o.cfg.mss = o.cfg.mss ? o.cfg.mss : o.mss;
	o.cfg.rcv_buf = o.cfg.rcv_buf ? o.cfg.rcv_buf : 60000;
	o.cfg.no_sack = !o.sack;
	o.cfg.no_ts = !o.ts;
	o.cfg.no_ws = !o.scale;
	tcp_init(&t.tp, &o.cfg);
	t.v.rcv_space = o.cfg.rcv_buf;
	t.v.ooo_room = 100;
	t.tsval = 1000;
	return &t.tp;
}

static inline struct tcp_seg t_peer_syn(struct t_opts o, uint8_t flags)
{
	return (struct tcp_seg){
		.flags = flags, .ack = flags & TH_ACK ? 1 : 0, .wnd = (uint16_t)o.wnd,
		.mss = o.mss, .sack_permitted = o.sack, .has_ts = o.ts, .tsval = t.tsval,
		.wscale = o.scale ? o.scale : TCP_WS_NONE,
	};
}

/* SYN sent. */
static inline struct tcpcb *t_syn_sent(struct t_opts o)
{
	struct tcpcb *tp = t_init(o);
	struct tcp_seg syn;

	assert_int_equal(tcp_user_open_active(tp, T_ISS, t_us(0)), 0);
	assert_int_equal(tcp_output(tp, &t.v, t_us(0), &syn), 1);
	assert_int_equal(syn.flags, TH_SYN);
	return tp;
}

/* SYN received, SYN,ACK sent. */
static inline struct tcpcb *t_syn_received(struct t_opts o)
{
	struct tcpcb *tp = t_init(o);
	struct tcp_seg syn;

	assert_int_equal(tcp_user_open_passive(tp, T_ISS, t_us(0)), 0);
	t_rx(tp, 0, t_peer_syn(o, TH_SYN));
	assert_int_equal(tcp_output(tp, &t.v, t_us(0), &syn), 1);
	assert_int_equal(syn.flags, TH_SYN | TH_ACK);
	return tp;
}

/* Active open; SND.UNA = 1, RCV.NXT = 1; the round trip took no time. */
static inline struct tcpcb *t_established(struct t_opts o)
{
	struct tcpcb *tp = t_syn_sent(o);

	t_rx(tp, 0, t_peer_syn(o, TH_SYN | TH_ACK));
	T_TX(tp, 0, .flags = TH_ACK, .seq = 1, .ack = 1);
	T_NOTHING(tp, 0);
	assert_int_equal(t.events, TCP_EV_CONNECTED);
	t.events = 0;
	return tp;
}

#define T_ESTABLISHED(...) t_established((struct t_opts){ __VA_ARGS__ })

/* We closed, and our FIN is not acknowledged. */
static inline struct tcpcb *t_fin_wait_1(struct t_opts o)
{
	struct tcpcb *tp = t_established(o);

	assert_int_equal(tcp_user_close(tp, t_us(0)), 0);
	T_TX(tp, 0, .flags = TH_FIN | TH_ACK, .seq = 1, .ack = 1);
	T_NOTHING(tp, 0);
	T_STATE(tp, "FIN-WAIT-1");
	return tp;
}

static inline struct tcpcb *t_fin_wait_2(struct t_opts o)
{
	struct tcpcb *tp = t_fin_wait_1(o);

	T_RX(tp, 0, .flags = TH_ACK, .seq = 1, .ack = 2, .wnd = (uint16_t)o.wnd);
	T_NOTHING(tp, 0);
	T_STATE(tp, "FIN-WAIT-2");
	assert_int_equal(t.events, TCP_EV_FIN_ACKED);
	t.events = 0;
	return tp;
}

static inline struct tcpcb *t_time_wait(struct t_opts o)
{
	struct tcpcb *tp = t_fin_wait_2(o);

	T_RX(tp, 0, .flags = TH_FIN | TH_ACK, .seq = 1, .ack = 2, .wnd = (uint16_t)o.wnd);
	T_TX(tp, 0, .flags = TH_ACK, .seq = 2, .ack = 2);
	T_NOTHING(tp, 0);
	T_STATE(tp, "TIME-WAIT");
	assert_int_equal(t.events, TCP_EV_FIN | TCP_EV_TIME_WAIT);
	t.events = 0;
	return tp;
}

/* The peer closed. */
static inline struct tcpcb *t_close_wait(struct t_opts o)
{
	struct tcpcb *tp = t_established(o);

	T_RX(tp, 0, .flags = TH_FIN | TH_ACK, .seq = 1, .ack = 1, .wnd = (uint16_t)o.wnd);
	T_TX(tp, 0, .flags = TH_ACK, .seq = 1, .ack = 2);
	T_NOTHING(tp, 0);
	T_STATE(tp, "CLOSE-WAIT");
	assert_int_equal(t.events, TCP_EV_FIN);
	t.events = 0;
	return tp;
}

/* The first segments are acknowledged at once: use that up.  RCV.NXT moves by
 * @n octets for each of 16 segments. */
static inline void t_no_quickack(struct tcpcb *tp, uint32_t n, uint16_t wnd)
{
	uint32_t i;

	for (i = 0; i < 16; i++) {
		T_RX(tp, 0, .flags = TH_ACK, .seq = 1 + i * n, .len = n, .ack = 1, .wnd = wnd);
		T_TX(tp, 0, .flags = TH_ACK, .seq = 1, .ack = 1 + (i + 1) * n);
		t_recv(tp, n);
	}
	T_NOTHING(tp, 0);
	t.events = 0;
}

#endif
