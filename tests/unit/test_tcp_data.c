/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_tcp_data.c - data and windows: RFC 9293, 3.8.3 to 3.8.6, when nothing is lost
 */
#include <errno.h>

#include "tests/unit/t_tcp.h"

#define USUAL .mss = 1000, .wnd = 8192

/* Segments of SMSS, and what remains. */
static void send_segments(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL);

	(void)state;
	t_send(tp, 2500);
	T_TX(tp, 0, .flags = TH_ACK, .seq = 1, .len = 1000, .ack = 1);
	T_TX(tp, 0, .flags = TH_ACK | TH_PUSH, .seq = 1001, .len = 1000, .ack = 1);
	T_TX(tp, 0, .flags = TH_ACK | TH_PUSH, .seq = 2001, .len = 500, .ack = 1);
	T_NOTHING(tp, 0);
	T_RX(tp, 1, .flags = TH_ACK, .seq = 1, .ack = 2001, .wnd = 8192);
	T_EVENTS(TCP_EV_ACKED);
	assert_int_equal(t.rx.acked, 2000);
	T_RX(tp, 2, .flags = TH_ACK, .seq = 1, .ack = 2501, .wnd = 8192);
	assert_int_equal(t.rx.acked, 500);
	T_NOTHING(tp, 2);
	assert_int_equal(t.v.snd_cc, 0);
	t_end(tp);
}

/* What goes at @ms: P for each segment with PSH, a dot for each without. */
static const char *pushes(struct tcpcb *tp, uint64_t ms)
{
	static char line[64];
	struct tcp_seg seg;
	size_t n = 0;

	t_at(tp, ms);
	while (tcp_output(tp, &t.v, t_us(ms), &seg) > 0 && n < sizeof(line) - 1)
		line[n++] = seg.flags & TH_PUSH ? 'P' : '.';
	line[n] = '\0';
	return line;
}

/* A window of two is a train; one segment is none, and what ends so_snd has PSH
 * anyway. */
static void window_ends_a_train(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(.mss = 1000, .wnd = 2000);

	(void)state;
	t_send(tp, 5500);
	assert_string_equal(pushes(tp, 0), ".P");
	/* An ACK that opens nothing */
	T_RX(tp, 1, .flags = TH_ACK, .seq = 1, .ack = 1001, .wnd = 1000);
	assert_string_equal(pushes(tp, 1), "");
	T_RX(tp, 2, .flags = TH_ACK, .seq = 1, .ack = 2001, .wnd = 1000);
	assert_string_equal(pushes(tp, 2), ".");
	T_RX(tp, 3, .flags = TH_ACK, .seq = 1, .ack = 3001, .wnd = 5000);
	assert_string_equal(pushes(tp, 3), ".PP");
}

/* Round trips of 20 ms, until SRTT knows; cwnd stays ten segments.  The time. */
static uint64_t long_trips(struct tcpcb *tp)
{
	uint64_t ms = 0;
	uint32_t i;

	for (i = 1; i <= 15; i++) {
		t_send(tp, 1000);
		assert_string_equal(pushes(tp, ms), "P");
		ms += 20;
		T_RX(tp, ms, .flags = TH_ACK, .seq = 1, .ack = 1000 * i + 1, .wnd = 40000);
	}
	assert_int_equal(tp->snd_cwnd, 10000);
	return ms;
}

/* Round trips of 20 ms: a millisecond of cwnd's pace is less than two segments,
 * so they go in pairs.  A lone one at the end has no PSH if more is to come. */
static void trains_of_two(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(.mss = 1000, .wnd = 40000);
	uint64_t ms = long_trips(tp);

	(void)state;
	t_send(tp, 30000);
	assert_string_equal(pushes(tp, ms), ".P.P.P.P.P");
	T_RX(tp, ms + 20, .flags = TH_ACK, .seq = 1, .ack = 16001, .wnd = 40000);
	assert_string_equal(pushes(tp, ms + 20), ".P");
	/* The window, not cwnd, leaves one alone. */
	T_RX(tp, ms + 21, .flags = TH_ACK, .seq = 1, .ack = 19001, .wnd = 11000);
	assert_string_equal(pushes(tp, ms + 21), ".P.");
}

/* cwnd was used if it was full, also if nothing was kept back: all that was in
 * flight then lets it grow. */
static void full_cwnd_grows(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(.mss = 1000, .wnd = 40000);
	uint32_t i;

	(void)state;
	t_send(tp, 10000);
	pushes(tp, 0);
	for (i = 1; i <= 5; i++) {
		T_RX(tp, i, .flags = TH_ACK, .seq = 1, .ack = 2000 * i + 1, .wnd = 40000);
		assert_int_equal(tp->snd_cwnd, 10000 + 2000 * i);
	}
	/* Half of it is enough while it is in flight, but not once it is not. */
	t_send(tp, 12000);
	pushes(tp, 6);
	T_RX(tp, 7, .flags = TH_ACK, .seq = 1, .ack = 14001, .wnd = 40000);
	assert_int_equal(tp->snd_cwnd, 24000);
	T_RX(tp, 8, .flags = TH_ACK, .seq = 1, .ack = 22001, .wnd = 40000);
	assert_int_equal(tp->snd_cwnd, 24000);
}

/* A configuration that wants more; half of cwnd is the bound. */
static void trains_of_half_cwnd(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(.mss = 1000, .wnd = 40000, .cfg.train_min = 20);

	(void)state;
	t_send(tp, 30000);
	assert_string_equal(pushes(tp, 0), "....P....P");
	T_RX(tp, 20, .flags = TH_ACK, .seq = 1, .ack = 8001, .wnd = 40000);
	assert_int_equal(tp->snd_cwnd, 18000);
	assert_string_equal(pushes(tp, 20), "........P......P");
}

/* Of what is sent again, pairs that were pairs before carry PSH. */
static void trains_sent_again(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(.mss = 1000, .wnd = 40000, .sack = true);
	uint64_t ms = long_trips(tp);

	(void)state;
	t_send(tp, 10000);
	assert_string_equal(pushes(tp, ms), ".P.P.P.P.P");
	/* Of [16001, 18001) the halves were in two trains, [19001, 21001) was one. */
	T_RX(tp, ms + 20, .flags = TH_ACK, .seq = 1, .ack = 16001, .wnd = 40000, .n_sack = 2,
	     .sack = { { 18001, 19001 }, { 21001, 25001 } });
	assert_string_equal(pushes(tp, ms + 20), "...P");
}

/* SHLD-7, as Minshall has it: a short segment waits only for another short one. */
static void nagle(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL);

	(void)state;
	t_send(tp, 1200);
	T_TX(tp, 0, .flags = TH_ACK, .seq = 1, .len = 1000, .ack = 1);
	T_TX(tp, 0, .flags = TH_ACK | TH_PUSH, .seq = 1001, .len = 200, .ack = 1);
	t_send(tp, 100);
	T_NOTHING(tp, 0);
	/* A full segment goes, its tail does not. */
	t_send(tp, 1100);
	T_TX(tp, 0, .flags = TH_ACK, .seq = 1201, .len = 1000, .ack = 1);
	T_NOTHING(tp, 0);
	T_RX(tp, 1, .flags = TH_ACK, .seq = 1, .ack = 1001, .wnd = 8192);
	T_NOTHING(tp, 1);
	T_RX(tp, 2, .flags = TH_ACK, .seq = 1, .ack = 1201, .wnd = 8192);
	T_TX(tp, 2, .flags = TH_ACK | TH_PUSH, .seq = 2201, .len = 200, .ack = 1);
	T_NOTHING(tp, 2);
}

static void nodelay(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL, .cfg.nodelay = true);

	(void)state;
	t_send(tp, 10);
	T_TX(tp, 0, .flags = TH_ACK | TH_PUSH, .seq = 1, .len = 10, .ack = 1);
	t_send(tp, 20);
	T_TX(tp, 0, .flags = TH_ACK | TH_PUSH, .seq = 11, .len = 20, .ack = 1);
	T_NOTHING(tp, 0);
	/* And it may change. */
	tcp_user_nodelay(tp, false);
	t_send(tp, 5);
	T_NOTHING(tp, 0);
	tcp_user_nodelay(tp, true);
	T_TX(tp, 0, .flags = TH_ACK | TH_PUSH, .seq = 31, .len = 5, .ack = 1);
	T_NOTHING(tp, 0);
}

/* TCP_CORK holds a short segment back: until it fills up, the cork is taken
 * off, or RTO is over. */
static void cork(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL);
	struct tcp_user_opts o = { .cork = true };

	(void)state;
	tcp_user_opts(tp, &o, t_us(0));
	t_send(tp, 400);
	T_NOTHING(tp, 0);
	t_send(tp, 700);
	T_TX(tp, 0, .flags = TH_ACK, .seq = 1, .len = 1000, .ack = 1);
	T_NOTHING(tp, 0);
	o.cork = false;
	tcp_user_opts(tp, &o, t_us(0));
	T_TX(tp, 0, .flags = TH_ACK | TH_PUSH, .seq = 1001, .len = 100, .ack = 1);
	T_RX(tp, 1, .flags = TH_ACK, .seq = 1, .ack = 1101, .wnd = 8192);
	o.cork = true;
	tcp_user_opts(tp, &o, t_us(1));
	t_send(tp, 50);
	T_NOTHING(tp, 1);
	T_NOTHING(tp, 201);
	T_TX(tp, 202, .flags = TH_ACK | TH_PUSH, .seq = 1101, .len = 50, .ack = 1);
	T_NOTHING(tp, 202);
	/* TCP_NODELAY sends what the cork holds, once. */
	o.nodelay = true;
	t_send(tp, 60);
	T_NOTHING(tp, 202);
	tcp_user_opts(tp, &o, t_us(202));
	T_TX(tp, 202, .flags = TH_ACK | TH_PUSH, .seq = 1151, .len = 60, .ack = 1);
	t_send(tp, 70);
	T_NOTHING(tp, 202);
	/* FIN takes it along. */
	tcp_user_close(tp, t_us(203));
	T_TX(tp, 203, .flags = TH_ACK | TH_PUSH | TH_FIN, .seq = 1211, .len = 70, .ack = 1);
	T_NOTHING(tp, 203);
}

/* MSG_MORE is a cork for one SEND; an ACK takes it off, too. */
static void send_more(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL);

	(void)state;
	t_send(tp, 400);
	tcp_user_more(tp);
	T_NOTHING(tp, 0);
	t_send(tp, 200);
	T_TX(tp, 0, .flags = TH_ACK | TH_PUSH, .seq = 1, .len = 600, .ack = 1);
	T_NOTHING(tp, 0);
	t_send(tp, 1300);
	tcp_user_more(tp);
	T_TX(tp, 0, .flags = TH_ACK, .seq = 601, .len = 1000, .ack = 1);
	T_NOTHING(tp, 0);
	T_RX(tp, 1, .flags = TH_ACK, .seq = 1, .ack = 1601, .wnd = 8192);
	T_TX(tp, 1, .flags = TH_ACK | TH_PUSH, .seq = 1601, .len = 300, .ack = 1);
	T_NOTHING(tp, 1);
}

/* RFC 9293, 3.8.5; RFC 6093: SEG.UP points behind the last urgent octet, and
 * whatever precedes it carries URG; Nagle does not hold it back. */
static void urgent_is_sent(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(.mss = 1000, .wnd = 2000);

	(void)state;
	t_send(tp, 100);
	T_TX(tp, 0, .flags = TH_ACK | TH_PUSH, .seq = 1, .len = 100, .ack = 1);
	T_NOTHING(tp, 0);
	t_send(tp, 2500);
	tcp_user_urgent(tp, &t.v);
	T_TX_EXACT(tp, 0, .flags = TH_ACK | TH_URG, .seq = 101, .len = 1000, .ack = 1,
		   .wnd = 60000, .up = 2500, .wscale = TCP_WS_NONE);
	T_NOTHING(tp, 0);
	/* So does an ACK, though the window is shut. */
	T_RX(tp, 1, .flags = TH_ACK, .seq = 1, .len = 10, .ack = 1101, .wnd = 0);
	T_TX_EXACT(tp, 1, .flags = TH_ACK | TH_URG, .seq = 1101, .ack = 11,
		   .wnd = 59990, .up = 1500, .wscale = TCP_WS_NONE);
	T_NOTHING(tp, 1);
	T_RX(tp, 2, .flags = TH_ACK, .seq = 11, .ack = 1101, .wnd = 2000);
	T_TX_EXACT(tp, 2, .flags = TH_ACK | TH_URG, .seq = 1101, .len = 1000, .ack = 11,
		   .wnd = 59990, .up = 1500, .wscale = TCP_WS_NONE);
	T_TX_EXACT(tp, 2, .flags = TH_ACK | TH_URG | TH_PUSH, .seq = 2101, .len = 500, .ack = 11,
		   .wnd = 59990, .up = 500, .wscale = TCP_WS_NONE);
	T_NOTHING(tp, 2);
	T_RX(tp, 3, .flags = TH_ACK, .seq = 11, .ack = 2601, .wnd = 2000);
	t_send(tp, 10);
	T_TX(tp, 3, .flags = TH_ACK | TH_PUSH, .seq = 2601, .len = 10, .ack = 11);
	T_NOTHING(tp, 3);
}

/* RCV.UP moves on only, and the user is told once for each place (MUST-32). */
static void urgent_comes(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(.mss = 1000, .wnd = 2000);

	(void)state;
	T_RX(tp, 0, .flags = TH_ACK | TH_URG, .seq = 1, .len = 10, .up = 30, .ack = 1, .wnd = 2000);
	T_EVENTS(TCP_EV_URG | TCP_EV_DATA);
	assert_int_equal(tp->rcv_up, T_IRS + 31);
	T_RX(tp, 0, .flags = TH_ACK | TH_URG, .seq = 11, .len = 10, .up = 20, .ack = 1, .wnd = 2000);
	T_EVENTS(TCP_EV_DATA);
	/* Further on, and announced by an empty segment */
	T_RX(tp, 0, .flags = TH_ACK | TH_URG, .seq = 21, .up = 40, .ack = 1, .wnd = 2000);
	T_EVENTS(TCP_EV_URG);
	assert_int_equal(tp->rcv_up, T_IRS + 61);
	T_RX(tp, 0, .flags = TH_ACK, .seq = 21, .len = 100, .ack = 1, .wnd = 2000);
	T_EVENTS(TCP_EV_DATA);
	/* Passed: an old one is no news. */
	T_RX(tp, 0, .flags = TH_ACK | TH_URG, .seq = 1, .len = 10, .up = 30, .ack = 1, .wnd = 2000);
	T_EVENTS(0);
	/* Without TH_URG the field means nothing; 0 is taken for 1. */
	T_RX(tp, 0, .flags = TH_ACK, .seq = 121, .len = 1, .up = 5, .ack = 1, .wnd = 2000);
	T_EVENTS(TCP_EV_DATA);
	T_RX(tp, 0, .flags = TH_ACK | TH_URG, .seq = 122, .len = 1, .up = 0, .ack = 1, .wnd = 2000);
	T_EVENTS(TCP_EV_URG | TCP_EV_DATA);
}

/* MUST-66: URG and RST count though our window is shut. */
static void urgent_with_a_shut_window(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(.mss = 1000, .wnd = 2000, .cfg.rcv_buf = 1000);

	(void)state;
	T_RX(tp, 0, .flags = TH_ACK, .seq = 1, .len = 1000, .ack = 1, .wnd = 2000);
	assert_int_equal(tp->rcv_wnd, 0);
	t.events = 0;
	T_RX(tp, 0, .flags = TH_ACK | TH_URG, .seq = 1001, .len = 1, .up = 1, .ack = 1, .wnd = 2000);
	T_EVENTS(TCP_EV_URG);
	T_RX(tp, 0, .flags = TH_RST, .seq = 1001);
	T_STATE(tp, "CLOSED");
}

/* TCP_USER_TIMEOUT (MUST-21): no progress for so long, whatever the retries. */
static void user_timeout(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL);
	struct tcp_user_opts o = { .user_timeout_ms = 1000 };

	(void)state;
	tcp_user_opts(tp, &o, t_us(0));
	t_send(tp, 10);
	T_TX(tp, 0, .flags = TH_ACK | TH_PUSH, .seq = 1, .len = 10, .ack = 1);
	T_TX(tp, 200, .flags = TH_ACK | TH_PUSH, .seq = 1, .len = 10, .ack = 1);
	/* Progress: patience begins anew. */
	T_RX(tp, 400, .flags = TH_ACK, .seq = 1, .ack = 11, .wnd = 8192);
	t_send(tp, 10);
	T_TX(tp, 400, .flags = TH_ACK | TH_PUSH, .seq = 11, .len = 10, .ack = 1);
	t_at(tp, 1399);
	assert_int_not_equal(tp->state, TCPS_CLOSED);
	t.events = 0;
	t_at(tp, 1400);
	T_EVENTS(TCP_EV_TIMEDOUT | TCP_EV_CLOSED);

	/* A shut window that is answered, too (RFC 5482; as Linux). */
	tp = T_ESTABLISHED(USUAL);
	tcp_user_opts(tp, &o, t_us(0));
	T_RX(tp, 0, .flags = TH_ACK, .seq = 1, .ack = 1, .wnd = 0);
	t_send(tp, 10);
	T_NOTHING(tp, 0);
	t_at(tp, 999);
	t.events = 0;
	t_at(tp, 1000);
	T_EVENTS(TCP_EV_TIMEDOUT | TCP_EV_CLOSED);
}

/* ... nor does a tail loss probe put it off. */
static void user_timeout_and_probe(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL, .sack = true);
	struct tcp_user_opts o = { .user_timeout_ms = 100 };

	(void)state;
	tcp_user_opts(tp, &o, t_us(0));
	t_send(tp, 10);
	T_TX(tp, 0, .flags = TH_ACK | TH_PUSH, .seq = 1, .len = 10, .ack = 1);
	T_TX(tp, 50, .flags = TH_ACK | TH_PUSH, .seq = 1, .len = 10, .ack = 1);
	T_NOTHING(tp, 99);
	T_EVENTS(0);
	t_at(tp, 100);
	T_EVENTS(TCP_EV_TIMEDOUT | TCP_EV_CLOSED);
}

/* The user is gone and the peer is silent: the user's patience does not count. */
static void orphan_ends(void **state)
{
	static const struct { uint8_t retries; unsigned int n; uint64_t ms; } table[] = {
		{ 0, 8, 120000 }, { 1, 1, 1000 }, { 3, 3, 4000 },
	};
	struct tcp_user_opts o = { .user_timeout_ms = UINT32_MAX };
	struct tcp_seg seg;
	unsigned int i, n;
	uint64_t ms;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct tcpcb *tp = T_ESTABLISHED(USUAL);

		tcp_user_opts(tp, &o, t_us(0));
		t_send(tp, 10);
		T_TX(tp, 0, .flags = TH_ACK | TH_PUSH, .seq = 1, .len = 10, .ack = 1);
		tcp_disown(tp, table[i].retries, t_us(0));
		for (n = 0, ms = 0; ms < table[i].ms && tp->state != TCPS_CLOSED; ms += 10)
			while (tcp_output(tp, &t.v, t_at(tp, ms), &seg) > 0)
				n++;
		T_EVENTS(TCP_EV_TIMEDOUT | TCP_EV_CLOSED);
		assert_int_equal(n, table[i].n);
	}
}

/* TCP_QUICKACK: what waits goes, what comes is not delayed; off: it is. */
static void quickack(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL);

	(void)state;
	t_no_quickack(tp, 100, 8192);
	T_RX(tp, 0, .flags = TH_ACK, .seq = 1601, .len = 100, .ack = 1, .wnd = 8192);
	T_NOTHING(tp, 0);
	tcp_user_quickack(tp, true);
	T_TX(tp, 0, .flags = TH_ACK, .seq = 1, .ack = 1701);
	T_RX(tp, 1, .flags = TH_ACK, .seq = 1701, .len = 100, .ack = 1, .wnd = 8192);
	T_TX(tp, 1, .flags = TH_ACK, .seq = 1, .ack = 1801);
	tcp_user_quickack(tp, false);
	T_RX(tp, 2, .flags = TH_ACK, .seq = 1801, .len = 100, .ack = 1, .wnd = 8192);
	T_NOTHING(tp, 2);
}

/* TCP_WINDOW_CLAMP bounds what is offered; what was offered stays. */
static void window_clamp(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(.mss = 1000, .wnd = 2000, .cfg.rcv_buf = 10000);
	struct tcp_user_opts o = { .window_clamp = 3000 };

	(void)state;
	tcp_user_opts(tp, &o, t_us(0));
	T_RX(tp, 0, .flags = TH_ACK, .seq = 1, .len = 1000, .ack = 1, .wnd = 2000);
	T_TX_EXACT(tp, 0, .flags = TH_ACK, .seq = 1, .ack = 1001, .wnd = 9000,
		   .wscale = TCP_WS_NONE);
	T_RX(tp, 0, .flags = TH_ACK, .seq = 1001, .len = 8000, .ack = 1, .wnd = 2000);
	T_TX_EXACT(tp, 0, .flags = TH_ACK, .seq = 1, .ack = 9001, .wnd = 1000,
		   .wscale = TCP_WS_NONE);
	t_recv(tp, 9000);
	T_TX_EXACT(tp, 0, .flags = TH_ACK, .seq = 1, .ack = 9001, .wnd = 3000,
		   .wscale = TCP_WS_NONE);
}

/* A clamp below a segment: the window opens again; and the SYN's has it, too. */
static void window_clamp_is_small(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(.mss = 1000, .wnd = 2000, .cfg.rcv_buf = 10000);
	struct tcp_user_opts o = { .window_clamp = 500 };
	struct tcp_seg syn;

	(void)state;
	tcp_user_opts(tp, &o, t_us(0));
	T_RX(tp, 0, .flags = TH_ACK, .seq = 1, .len = 10000, .ack = 1, .wnd = 2000);
	T_TX_EXACT(tp, 0, .flags = TH_ACK, .seq = 1, .ack = 10001, .wnd = 0,
		   .wscale = TCP_WS_NONE);
	t_recv(tp, 10000);
	T_TX_EXACT(tp, 0, .flags = TH_ACK, .seq = 1, .ack = 10001, .wnd = 500,
		   .wscale = TCP_WS_NONE);

	tp = t_init((struct t_opts){ .mss = 1000, .cfg.rcv_buf = 10000 });
	tcp_user_opts(tp, &o, t_us(0));
	assert_int_equal(tcp_user_open_active(tp, T_ISS, t_us(0)), 0);
	assert_int_equal(tcp_output(tp, &t.v, t_us(0), &syn), 1);
	assert_int_equal(syn.wnd, 500);

	/* Less than the scaled field can say */
	tp = T_ESTABLISHED(.mss = 1000, .wnd = 2000, .scale = 1, .cfg.rcv_buf = 1000000);
	o.window_clamp = 1;
	tcp_user_opts(tp, &o, t_us(0));
	tp->rcv_wnd = 0;
	T_RX(tp, 0, .flags = TH_ACK, .seq = 1, .len = 1, .ack = 1, .wnd = 2000);
	T_TX_EXACT(tp, 0, .flags = TH_ACK, .seq = 1, .ack = 1, .wnd = 1, .wscale = TCP_WS_NONE);
}

/* 61440-octet segments: the tail of a write does not wait for the peer's delayed ACK. */
static void nagle_with_huge_segments(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(.mss = 61464, .wnd = 65535, .cfg.eff_mss_max = 61440);

	(void)state;
	t_send(tp, 61440 + 4000);
	T_TX(tp, 0, .flags = TH_ACK, .seq = 1, .len = 61440, .ack = 1);
	T_TX(tp, 0, .flags = TH_ACK | TH_PUSH, .seq = 61441, .len = 4000, .ack = 1);
	T_NOTHING(tp, 0);
}

/* Two ACKs with the same SEG.SEQ and SEG.ACK overtook each other: the window
 * that is larger is the later one.  A window of zero closes all the same. */
static void reordered_window_update(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(.mss = 1000, .wnd = 4000);

	(void)state;
	T_RX(tp, 1, .flags = TH_ACK, .seq = 1, .ack = 1, .wnd = 9000);
	T_RX(tp, 1, .flags = TH_ACK, .seq = 1, .ack = 1, .wnd = 2000);
	assert_int_equal(tp->snd_wnd, 9000);
	T_RX(tp, 2, .flags = TH_ACK, .seq = 1, .ack = 1, .wnd = 0);
	assert_int_equal(tp->snd_wnd, 0);
}

/* MUST-38: sender's silly window avoidance, with windows smaller than SMSS */
static void window_smaller_than_smss(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(.mss = 61464, .wnd = 10000, .cfg.eff_mss_max = 61440);

	(void)state;
	t_send(tp, 100000);
	/* All of the largest window ever seen is worth sending, */
	T_TX(tp, 0, .flags = TH_ACK, .seq = 1, .len = 10000, .ack = 1);
	T_NOTHING(tp, 0);
	/* a part that is less than half of it is not: RTO later it goes anyway. */
	T_RX(tp, 1, .flags = TH_ACK, .seq = 1, .ack = 10001, .wnd = 4000);
	T_NOTHING(tp, 1);
	T_NOTHING(tp, 201);
	T_TX(tp, 202, .flags = TH_ACK | TH_PUSH, .seq = 10001, .len = 4000, .ack = 1);
	T_NOTHING(tp, 202);
	T_RX(tp, 202, .flags = TH_ACK, .seq = 1, .ack = 14001, .wnd = 5000);
	T_TX(tp, 202, .flags = TH_ACK, .seq = 14001, .len = 5000, .ack = 1);
	T_NOTHING(tp, 202);
}

/* RFC 9293, 3.8.6.1: one octet after RTO, then backing off, for as long as it
 * is answered; the octet counts if it is taken. */
static void zero_window_probe(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(.mss = 1000, .wnd = 1000);
	uint64_t ms = 0, gap = 200;
	int i;

	(void)state;
	t_send(tp, 3000);
	T_TX(tp, 0, .flags = TH_ACK, .seq = 1, .len = 1000, .ack = 1);
	T_RX(tp, 0, .flags = TH_ACK, .seq = 1, .ack = 1001, .wnd = 0);
	T_NOTHING(tp, 0);
	for (i = 0; i < 40; i++) {
		T_NOTHING(tp, ms + gap - 1);
		ms += gap;
		T_TX(tp, ms, .flags = TH_ACK, .seq = 1001, .len = 1, .ack = 1);
		T_NOTHING(tp, ms);
		T_RX(tp, ms, .flags = TH_ACK, .seq = 1, .ack = 1001, .wnd = 0);
		gap = gap * 2 < 120000 ? gap * 2 : 120000;
	}
	T_EVENTS(TCP_EV_ACKED);
	/* Taken, but the window is still shut. */
	T_RX(tp, ms, .flags = TH_ACK, .seq = 1, .ack = 1002, .wnd = 0);
	T_EVENTS(TCP_EV_ACKED);
	T_NOTHING(tp, ms);
	T_TX(tp, ms + 200, .flags = TH_ACK, .seq = 1002, .len = 1, .ack = 1);
	/* Open again: from where the probe was. */
	T_RX(tp, ms + 201, .flags = TH_ACK, .seq = 1, .ack = 1002, .wnd = 4000);
	T_TX(tp, ms + 201, .flags = TH_ACK, .seq = 1002, .len = 1000, .ack = 1);
	T_TX(tp, ms + 201, .flags = TH_ACK | TH_PUSH, .seq = 2002, .len = 999, .ack = 1);
	T_NOTHING(tp, ms + 201);
}

static void zero_window_probe_unanswered(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(.mss = 1000, .wnd = 1000, .cfg.data_retries = 3);

	(void)state;
	t_send(tp, 2000);
	T_TX(tp, 0, .flags = TH_ACK, .seq = 1, .len = 1000, .ack = 1);
	T_RX(tp, 0, .flags = TH_ACK, .seq = 1, .ack = 1001, .wnd = 0);
	T_NOTHING(tp, 0);
	T_TX(tp, 200, .flags = TH_ACK, .seq = 1001, .len = 1, .ack = 1);
	T_TX(tp, 600, .flags = TH_ACK, .seq = 1001, .len = 1, .ack = 1);
	T_TX(tp, 1400, .flags = TH_ACK, .seq = 1001, .len = 1, .ack = 1);
	T_EVENTS(TCP_EV_ACKED);
	T_NOTHING(tp, 2999);
	T_NOTHING(tp, 3000);
	T_EVENTS(TCP_EV_TIMEDOUT | TCP_EV_CLOSED);
}

/* Both windows are shut, both sides probe: the ACKs still count. */
static void shut_window_takes_acks(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(.mss = 1000, .wnd = 1000, .cfg.rcv_buf = 2000);

	(void)state;
	T_RX(tp, 0, .flags = TH_ACK, .seq = 1, .len = 1000, .ack = 1, .wnd = 1000);
	T_TX(tp, 0, .flags = TH_ACK, .seq = 1, .ack = 1001);
	T_RX(tp, 0, .flags = TH_ACK, .seq = 1001, .len = 1000, .ack = 1, .wnd = 0);
	T_TX_EXACT(tp, 0, .flags = TH_ACK, .seq = 1, .ack = 2001, .wnd = 0, .wscale = TCP_WS_NONE);
	t_send(tp, 500);
	T_NOTHING(tp, 0);
	/* A probe that we cannot take, with a window update */
	T_RX(tp, 1, .flags = TH_ACK, .seq = 2001, .len = 1, .ack = 1, .wnd = 700);
	assert_true(t.rx.events & TCP_EV_DROP);
	assert_int_equal(t.rx.data_len, 0);
	T_TX(tp, 1, .flags = TH_ACK | TH_PUSH, .seq = 1, .len = 500, .ack = 2001);
	T_NOTHING(tp, 1);
	/* FIN needs no room. */
	T_RX(tp, 2, .flags = TH_ACK | TH_FIN, .seq = 2001, .ack = 501, .wnd = 700);
	T_STATE(tp, "CLOSE-WAIT");
	T_TX(tp, 2, .flags = TH_ACK, .seq = 501, .ack = 2002);
}

/* A window of three segments, and all of it used */
static struct tcpcb *full_window(void)
{
	struct tcpcb *tp = T_ESTABLISHED(.mss = 1000, .wnd = 3000);

	t_send(tp, 3000);
	T_TX(tp, 0, .flags = TH_ACK, .seq = 1, .len = 1000, .ack = 1);
	T_TX(tp, 0, .flags = TH_ACK, .seq = 1001, .len = 1000, .ack = 1);
	T_TX(tp, 0, .flags = TH_ACK | TH_PUSH, .seq = 2001, .len = 1000, .ack = 1);
	return tp;
}

/* A window that is taken back (SHLD-15) */
static void shrinking_window(void **state)
{
	struct tcpcb *tp = full_window();

	(void)state;
	T_RX(tp, 10, .flags = TH_ACK, .seq = 1, .ack = 1001, .wnd = 500);
	T_NOTHING(tp, 10);
	/* ACKs come from its right edge, or the peer would not take them. */
	T_RX(tp, 10, .flags = TH_ACK, .seq = 1, .len = 1, .ack = 1001, .wnd = 500);
	T_TX(tp, 10, .flags = TH_ACK, .seq = 1501, .ack = 2);
	T_NOTHING(tp, 211);
	T_TX(tp, 212, .flags = TH_ACK, .seq = 1001, .len = 500, .ack = 2);
	T_NOTHING(tp, 212);
	T_RX(tp, 212, .flags = TH_ACK, .seq = 2, .ack = 1501, .wnd = 0);
	T_TX(tp, 212, .flags = TH_ACK, .seq = 1501, .len = 1, .ack = 2);
	T_NOTHING(tp, 212);
	T_RX(tp, 212, .flags = TH_ACK, .seq = 2, .ack = 3001, .wnd = 9000);
	T_NOTHING(tp, 212);
	assert_int_equal(t.v.snd_cc, 0);
}

/* The window was made smaller on the way, the peer has taken all and its ACK was
 * lost: an ACK from the edge that we know is old to it, it sends its own again.
 * Where the window has really shrunk, the edge is right: so both, in turn. */
static void window_only_seems_to_shrink(void **state)
{
	struct tcpcb *tp = full_window();

	(void)state;
	T_RX(tp, 10, .flags = TH_ACK, .seq = 1, .len = 100, .ack = 1001, .wnd = 500);
	T_TX(tp, 10, .flags = TH_ACK, .seq = 1501, .ack = 101);
	T_RX(tp, 20, .flags = TH_ACK, .seq = 1, .len = 100, .ack = 1001, .wnd = 500);
	T_TX(tp, 20, .flags = TH_ACK, .seq = 3001, .ack = 101);
	T_RX(tp, 30, .flags = TH_ACK, .seq = 1, .len = 100, .ack = 1001, .wnd = 500);
	T_TX(tp, 30, .flags = TH_ACK, .seq = 1501, .ack = 101);
	T_RX(tp, 40, .flags = TH_ACK, .seq = 1, .len = 100, .ack = 1001, .wnd = 500);
	T_TX(tp, 40, .flags = TH_ACK, .seq = 3001, .ack = 101);
	/* It has opened: SND.NXT is right, and next time the edge comes first. */
	T_RX(tp, 50, .flags = TH_ACK, .seq = 101, .ack = 1001, .wnd = 2000);
	T_RX(tp, 60, .flags = TH_ACK, .seq = 1, .len = 100, .ack = 1001, .wnd = 2000);
	T_TX(tp, 60, .flags = TH_ACK, .seq = 3001, .ack = 101);
	assert_false(tp->uflags & TU_ACK_NXT);
}

/* RFC 7323, 2.4: where the window counts in 16 octets the peer's edge seems to go
 * back by 15 at most.  What lay below it is sent again whole, and our ACKs and RST
 * come from where the peer expects them; new data has to wait. */
static void window_is_rounded(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(.mss = 1000, .wnd = 2000, .scale = 4);

	(void)state;
	t_send(tp, 5000);
	T_TX(tp, 0, .flags = TH_ACK, .seq = 1, .len = 1000, .ack = 1);
	T_TX(tp, 0, .flags = TH_ACK, .seq = 1001, .len = 1000, .ack = 1);
	T_NOTHING(tp, 0);
	/* 1000 octets are left, of which the field says 992. */
	T_RX(tp, 1, .flags = TH_ACK, .seq = 1, .ack = 1001, .wnd = 62);
	T_NOTHING(tp, 1);
	T_RX(tp, 1, .flags = TH_ACK, .seq = 1, .len = 1, .ack = 1001, .wnd = 62);
	T_TX(tp, 1, .flags = TH_ACK, .seq = 2001, .ack = 2);
	T_NOTHING(tp, 200);
	T_TX(tp, 203, .flags = TH_ACK, .seq = 1001, .len = 1000, .ack = 2);
	T_NOTHING(tp, 203);
	T_RX(tp, 204, .flags = TH_ACK, .seq = 2, .ack = 1993, .wnd = 0);
	T_NOTHING(tp, 204);
	T_TX(tp, 700, .flags = TH_ACK, .seq = 1993, .len = 8, .ack = 2);
	T_NOTHING(tp, 700);
	tcp_user_abort(tp, t_us(700));
	T_TX(tp, 700, .flags = TH_RST | TH_ACK, .seq = 2001, .ack = 2);
	/* A unit or more is a window that was taken back. */
	tp = T_ESTABLISHED(.mss = 1000, .wnd = 2000, .scale = 4);
	t_send(tp, 2000);
	T_TX(tp, 0, .flags = TH_ACK, .seq = 1, .len = 1000, .ack = 1);
	T_TX(tp, 0, .flags = TH_ACK | TH_PUSH, .seq = 1001, .len = 1000, .ack = 1);
	T_RX(tp, 1, .flags = TH_ACK, .seq = 1, .ack = 1001, .wnd = 61);
	tcp_user_abort(tp, t_us(1));
	T_TX(tp, 1, .flags = TH_RST | TH_ACK, .seq = 1977, .ack = 1);
}

/* RFC 5681, 4.2; 40 ms, and every second full segment */
static void delayed_ack(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL);

	(void)state;
	/* At the start every segment is acknowledged at once. */
	t_no_quickack(tp, 1000, 8192);
	T_RX(tp, 0, .flags = TH_ACK, .seq = 16001, .len = 1000, .ack = 1, .wnd = 8192);
	T_NOTHING(tp, 39);
	T_TX(tp, 40, .flags = TH_ACK, .seq = 1, .ack = 17001);
	T_NOTHING(tp, 40);
	T_RX(tp, 50, .flags = TH_ACK, .seq = 17001, .len = 1000, .ack = 1, .wnd = 8192);
	T_NOTHING(tp, 50);
	T_RX(tp, 60, .flags = TH_ACK, .seq = 18001, .len = 1000, .ack = 1, .wnd = 8192);
	T_TX(tp, 60, .flags = TH_ACK, .seq = 1, .ack = 19001);
	T_NOTHING(tp, 200);
	/* Data takes it along. */
	T_RX(tp, 300, .flags = TH_ACK, .seq = 19001, .len = 100, .ack = 1, .wnd = 8192);
	T_NOTHING(tp, 300);
	t_send(tp, 10);
	T_TX(tp, 310, .flags = TH_ACK | TH_PUSH, .seq = 1, .len = 10, .ack = 19101);
	T_NOTHING(tp, 400);
}

/* Segment @i of @len octets behind @from; the peer had our segment of @echo_ms when
 * it sent it.  It is read at once. */
static void rx_echo(struct tcpcb *tp, uint64_t ms, uint32_t from, uint32_t len, uint32_t i,
		    uint64_t echo_ms)
{
	T_RX(tp, ms, .flags = TH_ACK, .seq = from + i * len, .len = len, .ack = 1, .wnd = 8192,
	     .has_ts = true, .tsval = t.tsval,
	     .tsecr = (uint32_t)(t_us(echo_ms) / 1000) + tp->ts_offset);
	if (t.rx.advance)
		t_recv(tp, t.rx.advance);
}

/* RFC 5681, 4.2: 2 * RMSS octets; what is a little less waits, if another ACK of
 * ours is on its way, and in a long stream only. */
static void ack_of_the_third(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL, .ts = true);
	uint32_t from = 1 + 16 * 988, i;

	(void)state;
	t_no_quickack(tp, 988, 8192);
	for (i = 0; i < 240; i += 2) {
		uint64_t echo = i == 236 ? 0 : 1;

		rx_echo(tp, 1, from, 988, i, echo);
		T_NOTHING(tp, 1);
		rx_echo(tp, 1, from, 988, i + 1, echo);
		T_TX(tp, 1, .flags = TH_ACK, .seq = 1, .ack = from + (i + 2) * 988);
	}
	/* The peer had our last ACK, and may wait for this one. */
	rx_echo(tp, 10, from, 988, 240, 1);
	T_NOTHING(tp, 10);
	rx_echo(tp, 10, from, 988, 241, 1);
	T_TX(tp, 10, .flags = TH_ACK, .seq = 1, .ack = from + 242 * 988);
	/* It had not: the third is acknowledged. */
	rx_echo(tp, 12, from, 988, 242, 1);
	T_NOTHING(tp, 12);
	rx_echo(tp, 12, from, 988, 243, 1);
	T_NOTHING(tp, 12);
	rx_echo(tp, 13, from, 988, 244, 1);
	T_TX(tp, 13, .flags = TH_ACK, .seq = 1, .ack = from + 245 * 988);
	/* None comes: no later than a round trip, and no more of this. */
	rx_echo(tp, 15, from, 988, 245, 10);
	rx_echo(tp, 15, from, 988, 246, 10);
	T_NOTHING(tp, 19);
	T_TX(tp, 20, .flags = TH_ACK, .seq = 1, .ack = from + 247 * 988);
	rx_echo(tp, 22, from, 988, 247, 15);
	rx_echo(tp, 22, from, 988, 248, 15);
	T_TX(tp, 22, .flags = TH_ACK, .seq = 1, .ack = from + 249 * 988);
	/* Nor later than 8 ms. */
	tp->n_steady = 256;
	rx_echo(tp, 60, from, 988, 249, 13);
	rx_echo(tp, 60, from, 988, 250, 13);
	T_NOTHING(tp, 67);
	T_TX(tp, 68, .flags = TH_ACK, .seq = 1, .ack = from + 251 * 988);
	/* A window update is no such ACK, */
	tp->n_steady = 256;
	tp->flags |= TF_ACKNOW;
	T_TX(tp, 80, .flags = TH_ACK, .seq = 1, .ack = from + 251 * 988);
	rx_echo(tp, 82, from, 988, 251, 68);
	rx_echo(tp, 82, from, 988, 252, 68);
	T_TX(tp, 82, .flags = TH_ACK, .seq = 1, .ack = from + 253 * 988);
	/* ... nor one that does not open the window. */
	T_RX(tp, 84, .flags = TH_ACK, .seq = from + 253 * 988, .len = 988, .ack = 1, .wnd = 8192,
	     .has_ts = true, .tsval = t.tsval, .tsecr = (uint32_t)(t_us(82) / 1000));
	tp->flags |= TF_ACKNOW;
	T_TX(tp, 84, .flags = TH_ACK, .seq = 1, .ack = from + 254 * 988);
	rx_echo(tp, 86, from, 988, 254, 82);
	rx_echo(tp, 86, from, 988, 255, 82);
	T_TX(tp, 86, .flags = TH_ACK, .seq = 1, .ack = from + 256 * 988);
	/* A hole ends the stream: the peer is in recovery, and has less cwnd. */
	rx_echo(tp, 88, from, 988, 257, 84);
	T_TX(tp, 88, .flags = TH_ACK, .seq = 1, .ack = from + 256 * 988);
	rx_echo(tp, 88, from, 988, 256, 84);
	T_TX(tp, 88, .flags = TH_ACK, .seq = 1, .ack = from + 258 * 988);
	rx_echo(tp, 90, from, 988, 258, 86);
	rx_echo(tp, 90, from, 988, 259, 86);
	T_TX(tp, 90, .flags = TH_ACK, .seq = 1, .ack = from + 260 * 988);

	/* Segments that are less than full by more than options */
	tp = T_ESTABLISHED(USUAL, .ts = true);
	t_no_quickack(tp, 900, 8192);
	tp->n_steady = 256;
	from = 1 + 16 * 900;
	rx_echo(tp, 10, from, 900, 0, 0);
	rx_echo(tp, 10, from, 900, 1, 0);
	T_TX(tp, 10, .flags = TH_ACK, .seq = 1, .ack = from + 2 * 900);
	rx_echo(tp, 12, from, 900, 2, 0);
	rx_echo(tp, 12, from, 900, 3, 0);
	T_TX(tp, 12, .flags = TH_ACK, .seq = 1, .ack = from + 4 * 900);
}

/* MUST-59: if more waits behind it.  But duplicate ACKs each count. */
static void answer_may_wait(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL, .sack = true);

	(void)state;
	T_RX(tp, 0, .flags = TH_ACK, .seq = 1, .len = 1000, .ack = 1, .wnd = 8192);
	assert_true(tcp_may_wait(tp, &t.rx, t_us(0)));
	T_RX(tp, 1, .flags = TH_ACK, .seq = 1001, .len = 1000, .ack = 1, .wnd = 8192);
	assert_true(tcp_may_wait(tp, &t.rx, t_us(1)));
	T_TX(tp, 1, .flags = TH_ACK, .seq = 1, .ack = 2001);
	T_NOTHING(tp, 1);
	/* No more than an eighth of so_rcv, 60000 octets */
	for (uint32_t i = 0; i < 8; i++) {
		T_RX(tp, 1, .flags = TH_ACK, .seq = 2001 + i * 1000, .len = 1000, .ack = 1,
		     .wnd = 8192);
		assert_int_equal(tcp_may_wait(tp, &t.rx, t_us(1)), i < 7);
	}
	T_TX(tp, 1, .flags = TH_ACK, .seq = 1, .ack = 10001);
	/* Nothing came behind it after all. */
	T_RX(tp, 2, .flags = TH_ACK, .seq = 10001, .len = 1000, .ack = 1, .wnd = 8192);
	assert_true(tcp_may_wait(tp, &t.rx, t_us(2)));
	assert_int_equal(tcp_poll_at(tp), t_us(42));
	T_TX(tp, 42, .flags = TH_ACK, .seq = 1, .ack = 11001);
	/* No text; out of order; twice; behind a hole that was filled, none; FIN */
	T_RX(tp, 50, .flags = TH_ACK, .seq = 11001, .ack = 1, .wnd = 8000);
	assert_false(tcp_may_wait(tp, &t.rx, t_us(50)));
	T_RX(tp, 50, .flags = TH_ACK, .seq = 13001, .len = 1000, .ack = 1, .wnd = 8192);
	assert_false(tcp_may_wait(tp, &t.rx, t_us(50)));
	T_TX(tp, 50, .flags = TH_ACK, .seq = 1, .ack = 11001);
	T_RX(tp, 50, .flags = TH_ACK, .seq = 11001, .len = 1000, .ack = 1, .wnd = 8192);
	assert_false(tcp_may_wait(tp, &t.rx, t_us(50)));
	T_TX(tp, 50, .flags = TH_ACK, .seq = 1, .ack = 12001);
	T_RX(tp, 50, .flags = TH_ACK, .seq = 11501, .len = 1500, .ack = 1, .wnd = 8192);
	assert_false(tcp_may_wait(tp, &t.rx, t_us(50)));
	T_TX(tp, 50, .flags = TH_ACK, .seq = 1, .ack = 14001);
	T_RX(tp, 50, .flags = TH_ACK | TH_FIN, .seq = 14001, .len = 10, .ack = 1, .wnd = 8192);
	assert_false(tcp_may_wait(tp, &t.rx, t_us(50)));
	T_TX(tp, 50, .flags = TH_ACK, .seq = 1, .ack = 14012);
}

/* As Linux: a short segment that was read is acknowledged, unless we answer. */
static void ack_when_read(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL);

	(void)state;
	t_no_quickack(tp, 1000, 8192);
	T_RX(tp, 50, .flags = TH_ACK | TH_PUSH, .seq = 16001, .len = 100, .ack = 1, .wnd = 8192);
	T_NOTHING(tp, 50);
	t_recv(tp, 99);
	T_NOTHING(tp, 50);
	t_recv(tp, 1);
	T_TX(tp, 50, .flags = TH_ACK, .seq = 1, .ack = 16101);
	T_NOTHING(tp, 50);
	t_send(tp, 10);
	T_TX(tp, 51, .flags = TH_ACK | TH_PUSH, .seq = 1, .len = 10, .ack = 16101);
	T_RX(tp, 60, .flags = TH_ACK | TH_PUSH, .seq = 16101, .len = 100, .ack = 11, .wnd = 8192);
	t_recv(tp, 100);
	T_NOTHING(tp, 60);
	/* This time we do not answer. */
	T_TX(tp, 100, .flags = TH_ACK, .seq = 11, .ack = 16201);
	T_RX(tp, 110, .flags = TH_ACK | TH_PUSH, .seq = 16201, .len = 100, .ack = 11, .wnd = 8192);
	t_recv(tp, 100);
	T_TX(tp, 110, .flags = TH_ACK, .seq = 11, .ack = 16301);
}

/* Out of order, and filling a hole: at once (RFC 5681, 4.2) */
static void out_of_order(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL, .sack = true);

	(void)state;
	t_no_quickack(tp, 1000, 8192);
	T_RX(tp, 0, .flags = TH_ACK, .seq = 17001, .len = 1000, .ack = 1, .wnd = 8192);
	assert_int_equal(t.rx.data_seq, T_IRS + 17001);
	assert_int_equal(t.rx.data_len, 1000);
	assert_int_equal(t.rx.advance, 0);
	T_TX_EXACT(tp, 0, .flags = TH_ACK, .seq = 1, .ack = 16001, .wnd = 60000, .n_sack = 1,
		   .sack = { { 17001, 18001 } }, .wscale = TCP_WS_NONE);
	T_RX(tp, 0, .flags = TH_ACK, .seq = 19001, .len = 500, .ack = 1, .wnd = 8192);
	/* The latest block first (RFC 2018, 4) */
	T_TX_EXACT(tp, 0, .flags = TH_ACK, .seq = 1, .ack = 16001, .wnd = 60000, .n_sack = 2,
		   .sack = { { 19001, 19501 }, { 17001, 18001 } }, .wscale = TCP_WS_NONE);
	/* Overlaps the first at its end: only what is new is kept. */
	T_RX(tp, 0, .flags = TH_ACK, .seq = 17500, .len = 1000, .ack = 1, .wnd = 8192);
	assert_int_equal(t.rx.data_seq, T_IRS + 18001);
	assert_int_equal(t.rx.data_off, 501);
	assert_int_equal(t.rx.data_len, 499);
	T_TX_EXACT(tp, 0, .flags = TH_ACK, .seq = 1, .ack = 16001, .wnd = 60000, .n_sack = 3,
		   .sack = { { 17500, 18001 }, { 17001, 18500 }, { 19001, 19501 } },
		   .wscale = TCP_WS_NONE);
	/* A duplicate is dropped, and reported first. */
	T_RX(tp, 0, .flags = TH_ACK, .seq = 19001, .len = 500, .ack = 1, .wnd = 8192);
	assert_true(t.rx.events & TCP_EV_DROP);
	T_TX_EXACT(tp, 0, .flags = TH_ACK, .seq = 1, .ack = 16001, .wnd = 60000, .n_sack = 3,
		   .sack = { { 19001, 19501 }, { 19001, 19501 }, { 17001, 18500 } },
		   .wscale = TCP_WS_NONE);
	/* The hole is filled, and more than filled. */
	T_RX(tp, 0, .flags = TH_ACK, .seq = 15900, .len = 1200, .ack = 1, .wnd = 8192);
	assert_int_equal(t.rx.data_off, 101);
	assert_int_equal(t.rx.data_seq, T_IRS + 16001);
	assert_int_equal(t.rx.advance, 2499);
	T_TX_EXACT(tp, 0, .flags = TH_ACK, .seq = 1, .ack = 18500, .wnd = 57501, .n_sack = 2,
		   .sack = { { 15900, 16001 }, { 19001, 19501 } }, .wscale = TCP_WS_NONE);
	T_NOTHING(tp, 0);
	t_end(tp);
}

/* FIN out of order waits for what is before it. */
static void fin_out_of_order(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL);

	(void)state;
	T_RX(tp, 0, .flags = TH_ACK | TH_FIN, .seq = 101, .len = 100, .ack = 1, .wnd = 8192);
	T_EVENTS(TCP_EV_DATA);
	T_TX(tp, 0, .flags = TH_ACK, .seq = 1, .ack = 1);
	T_RX(tp, 0, .flags = TH_ACK, .seq = 1, .len = 100, .ack = 1, .wnd = 8192);
	T_EVENTS(TCP_EV_DATA | TCP_EV_FIN);
	assert_int_equal(t.rx.advance, 200);
	T_TX(tp, 0, .flags = TH_ACK, .seq = 1, .ack = 202);
	T_STATE(tp, "CLOSE-WAIT");
}

/* An owner without room keeps nothing aside; a 17th range is too many. */
static void out_of_order_has_limits(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL, .sack = true);
	uint32_t i;

	(void)state;
	t.v.ooo_room = 0;
	T_RX(tp, 0, .flags = TH_ACK, .seq = 101, .len = 100, .ack = 1, .wnd = 8192);
	assert_int_equal(t.rx.events, TCP_EV_DROP);
	T_TX(tp, 0, .flags = TH_ACK, .seq = 1, .ack = 1);
	t.v.ooo_room = 100;
	for (i = 1; i <= TCP_N_OOO + 1; i++) {
		T_RX(tp, 0, .flags = TH_ACK, .seq = 1 + 200 * i, .len = 100, .ack = 1, .wnd = 8192);
		assert_int_equal(t.rx.data_len, i <= TCP_N_OOO ? 100 : 0);
		T_TX(tp, 0, .flags = TH_ACK, .seq = 1, .ack = 1);
	}
	/* But one that joins two has a place. */
	T_RX(tp, 0, .flags = TH_ACK, .seq = 301, .len = 100, .ack = 1, .wnd = 8192);
	assert_int_equal(t.rx.data_len, 100);
	assert_int_equal(tp->n_ooo, TCP_N_OOO - 1);
}

/* What exceeds the window is cut off, its FIN as well. */
static void text_is_cut_to_the_window(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(.mss = 1000, .wnd = 8192, .cfg.rcv_buf = 1500);

	(void)state;
	T_RX(tp, 0, .flags = TH_ACK, .seq = 1, .len = 1000, .ack = 1, .wnd = 8192);
	T_TX(tp, 0, .flags = TH_ACK, .seq = 1, .ack = 1001);
	T_RX(tp, 0, .flags = TH_ACK | TH_FIN, .seq = 1001, .len = 1000, .ack = 1, .wnd = 8192);
	assert_int_equal(t.rx.data_len, 500);
	assert_int_equal(t.rx.advance, 500);
	assert_false(t.rx.events & TCP_EV_FIN);
	T_TX_EXACT(tp, 0, .flags = TH_ACK, .seq = 1, .ack = 1501, .wnd = 0, .wscale = TCP_WS_NONE);
	/* All of it beyond: an ACK, nothing else */
	T_RX(tp, 0, .flags = TH_ACK, .seq = 1502, .len = 10, .ack = 1, .wnd = 8192);
	assert_int_equal(t.rx.events, TCP_EV_DROP);
	T_TX(tp, 0, .flags = TH_ACK, .seq = 1, .ack = 1501);
	T_NOTHING(tp, 0);
}

/* MUST-39: the window does not open in small steps; but it opens. */
static void receiver_avoids_silly_windows(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(.mss = 1000, .wnd = 8192, .cfg.rcv_buf = 4000);
	int i;

	(void)state;
	for (i = 0; i < 4; i++) {
		T_RX(tp, 0, .flags = TH_ACK, .seq = 1 + 1000u * (uint32_t)i, .len = 1000, .ack = 1,
		     .wnd = 8192);
		T_TX(tp, 0, .flags = TH_ACK, .seq = 1, .ack = 1001 + 1000u * (uint32_t)i);
	}
	t_recv(tp, 999);
	T_NOTHING(tp, 0);
	/* A probe learns nothing yet. */
	T_RX(tp, 0, .flags = TH_ACK, .seq = 4001, .len = 1, .ack = 1, .wnd = 8192);
	T_TX_EXACT(tp, 0, .flags = TH_ACK, .seq = 1, .ack = 4001, .wnd = 0, .wscale = TCP_WS_NONE);
	t_recv(tp, 1);
	T_TX_EXACT(tp, 0, .flags = TH_ACK, .seq = 1, .ack = 4001, .wnd = 1000,
		   .wscale = TCP_WS_NONE);
	/* It is open: no more updates until two segments, or half the buffer. */
	t_recv(tp, 1000);
	T_NOTHING(tp, 0);
	t_recv(tp, 1000);
	T_TX_EXACT(tp, 0, .flags = TH_ACK, .seq = 1, .ack = 4001, .wnd = 3000,
		   .wscale = TCP_WS_NONE);
	T_NOTHING(tp, 0);
}

/* RFC 7323, 2.3: shifted both ways */
static void window_scale(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(.mss = 61464, .wnd = 60000, .scale = 3,
					 .cfg.rcv_buf = 245760, .cfg.eff_mss_max = 61440);

	(void)state;
	assert_int_equal(tp->rcv_scale, 2);
	T_RX(tp, 0, .flags = TH_ACK, .seq = 1, .len = 61440, .ack = 1, .wnd = 30720);
	assert_int_equal(tp->snd_wnd, 245760);
	T_TX_EXACT(tp, 0, .flags = TH_ACK, .seq = 1, .ack = 61441, .wnd = 46080,
		   .wscale = TCP_WS_NONE);
	/* Four segments fill it. */
	t_send(tp, 400000);
	T_TX(tp, 0, .flags = TH_ACK, .seq = 1, .len = 61440, .ack = 61441);
	T_TX(tp, 0, .flags = TH_ACK, .seq = 61441, .len = 61440, .ack = 61441);
	T_TX(tp, 0, .flags = TH_ACK, .seq = 122881, .len = 61440, .ack = 61441);
	T_TX(tp, 0, .flags = TH_ACK | TH_PUSH, .seq = 184321, .len = 61440, .ack = 61441);
	T_NOTHING(tp, 0);
	T_RX(tp, 1, .flags = TH_ACK, .seq = 61441, .ack = 122881, .wnd = 30720);
	T_TX(tp, 1, .flags = TH_ACK, .seq = 245761, .len = 61440, .ack = 61441);
	T_TX(tp, 1, .flags = TH_ACK | TH_PUSH, .seq = 307201, .len = 61440, .ack = 61441);
	T_NOTHING(tp, 1);
}

/* RFC 5681, 3.1: slow start, then congestion avoidance */
static void cwnd_grows(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(.mss = 1000, .wnd = 60000, .cfg.cc = TCP_CC_RENO);
	struct tcp_seg seg;
	uint32_t ack = 1;

	(void)state;
	t_send(tp, 50000);
	while (tcp_output(tp, &t.v, t_us(0), &seg) > 0)
		;
	assert_int_equal(tp->snd_nxt - tp->snd_una, 10000);
	T_RX(tp, 1, .flags = TH_ACK, .seq = 1, .ack = ack += 2000, .wnd = 60000);
	assert_int_equal(tp->snd_cwnd, 12000);
	/* Stretch ACKs count, up to eight segments (RFC 9406, 4.3). */
	T_RX(tp, 1, .flags = TH_ACK, .seq = 1, .ack = ack += 4000, .wnd = 60000);
	assert_int_equal(tp->snd_cwnd, 16000);
	tp->snd_ssthresh = tp->snd_cwnd = 14000;
	while (tcp_output(tp, &t.v, t_us(1), &seg) > 0)
		;
	T_RX(tp, 2, .flags = TH_ACK, .seq = 1, .ack = ack += 10000, .wnd = 60000);
	assert_int_equal(tp->snd_cwnd, 14000);
	while (tcp_output(tp, &t.v, t_us(2), &seg) > 0)
		;
	T_RX(tp, 2, .flags = TH_ACK, .seq = 1, .ack = ack += 4000, .wnd = 60000);
	assert_int_equal(tp->snd_cwnd, 15000);
}

/* RFC 5681, 4.1 */
static void cwnd_after_idle(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(.mss = 1000, .wnd = 60000);

	(void)state;
	tp->snd_cwnd = 50000;
	t_send(tp, 10);
	T_TX(tp, 0, .flags = TH_ACK | TH_PUSH, .seq = 1, .len = 10, .ack = 1);
	T_RX(tp, 1, .flags = TH_ACK, .seq = 1, .ack = 11, .wnd = 60000);
	t_send(tp, 10);
	T_TX(tp, 100, .flags = TH_ACK | TH_PUSH, .seq = 11, .len = 10, .ack = 1);
	T_RX(tp, 101, .flags = TH_ACK, .seq = 1, .ack = 21, .wnd = 60000);
	assert_int_equal(tp->snd_cwnd, 50000);
	t_send(tp, 10);
	T_TX(tp, 5000, .flags = TH_ACK | TH_PUSH, .seq = 21, .len = 10, .ack = 1);
	assert_int_equal(tp->snd_cwnd, 10000);

	/* Once a pause, however often we are asked in between */
	tp = T_ESTABLISHED(.mss = 1000, .wnd = 60000);
	tp->snd_cwnd = 160000;
	t_send(tp, 10);
	T_TX(tp, 0, .flags = TH_ACK | TH_PUSH, .seq = 1, .len = 10, .ack = 1);
	T_RX(tp, 1, .flags = TH_ACK, .seq = 1, .ack = 11, .wnd = 60000);
	T_NOTHING(tp, 250);
	T_NOTHING(tp, 300);
	T_NOTHING(tp, 350);
	assert_int_equal(tp->snd_cwnd, 160000);
	t_send(tp, 10);
	T_TX(tp, 450, .flags = TH_ACK | TH_PUSH, .seq = 11, .len = 10, .ack = 1);
	assert_int_equal(tp->snd_cwnd, 40000);
}

/* tcp_view.record: ends at 300, 600 and 3100 octets of so_snd from the first that
 * was written; where SND.UNA is. */
static uint32_t test_records(const void *owner, uint32_t off)
{
	const uint32_t *una = owner;

	off += *una - T_ISS - 1;
	return off < 300 ? 300 - off : off < 600 ? 600 - off : off < 3100 ? 3100 - off : UINT32_MAX;
}

/* MSG_EOR: no segment goes beyond the end of a record, sent or sent again, probes
 * and all; what more follows after does not wait for Nagle's algorithm. */
static void records_end_segments(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL, .sack = true);

	(void)state;
	t.v.record = test_records;
	t.v.owner = &tp->snd_una;
	t_send(tp, 600);
	T_TX(tp, 0, .flags = TH_ACK | TH_PUSH, .seq = 1, .len = 300, .ack = 1);
	/* Short, behind a short one, and the last: it waits. */
	T_NOTHING(tp, 0);
	t_send(tp, 2700);
	T_TX(tp, 0, .flags = TH_ACK | TH_PUSH, .seq = 301, .len = 300, .ack = 1);
	T_TX(tp, 0, .flags = TH_ACK, .seq = 601, .len = 1000, .ack = 1);
	T_TX(tp, 0, .flags = TH_ACK | TH_PUSH, .seq = 1601, .len = 1000, .ack = 1);
	T_TX(tp, 0, .flags = TH_ACK | TH_PUSH, .seq = 2601, .len = 500, .ack = 1);
	T_NOTHING(tp, 0);
	T_RX(tp, 5, .flags = TH_ACK, .seq = 1, .ack = 1, .wnd = 8192, .n_sack = 1,
	     .sack = { { 601, 3101 } });
	T_TX(tp, 6, .flags = TH_ACK | TH_PUSH, .seq = 1, .len = 300, .ack = 1);
	T_TX(tp, 6, .flags = TH_ACK | TH_PUSH, .seq = 301, .len = 300, .ack = 1);
	T_NOTHING(tp, 6);
	T_RX(tp, 7, .flags = TH_ACK, .seq = 1, .ack = 3101, .wnd = 8192);
	T_TX(tp, 7, .flags = TH_ACK | TH_PUSH, .seq = 3101, .len = 200, .ack = 1);
	T_RX(tp, 8, .flags = TH_ACK, .seq = 1, .ack = 3301, .wnd = 8192);
	T_NOTHING(tp, 8);

	/* A tail loss probe is of the last record, not the last octets. */
	tp = T_ESTABLISHED(USUAL, .sack = true);
	t.v.record = test_records;
	t.v.owner = &tp->snd_una;
	tcp_user_nodelay(tp, true);
	t_send(tp, 600);
	T_TX(tp, 0, .flags = TH_ACK | TH_PUSH, .seq = 1, .len = 300, .ack = 1);
	T_TX(tp, 0, .flags = TH_ACK | TH_PUSH, .seq = 301, .len = 300, .ack = 1);
	T_NOTHING(tp, 0);
	T_TX(tp, 50, .flags = TH_ACK | TH_PUSH, .seq = 301, .len = 300, .ack = 1);
	T_NOTHING(tp, 50);
}

/* What is acknowledged but was not sent gets an ACK (RFC 9293, 3.10.7.4, fifth). */
static void ack_of_nothing(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL);

	(void)state;
	T_RX(tp, 0, .flags = TH_ACK, .seq = 1, .ack = 2, .wnd = 8192);
	T_TX(tp, 0, .flags = TH_ACK, .seq = 1, .ack = 1);
	T_NOTHING(tp, 0);
	/* RFC 5961, 5.2: too old.  And not twice within half a second. */
	T_RX(tp, 1, .flags = TH_ACK, .seq = 1, .ack = 1u - 8193, .len = 1, .wnd = 8192);
	assert_int_equal(t.rx.events, TCP_EV_DROP);
	T_NOTHING(tp, 1);
	T_RX(tp, 500, .flags = TH_ACK, .seq = 1, .ack = 1u - 8193, .len = 1, .wnd = 8192);
	T_TX(tp, 500, .flags = TH_ACK, .seq = 1, .ack = 1);
	/* Old, but not too old: its text counts. */
	T_RX(tp, 501, .flags = TH_ACK, .seq = 1, .ack = 1u - 8192, .len = 1, .wnd = 8192);
	assert_int_equal(t.rx.advance, 1);
	T_TX(tp, 501, .flags = TH_ACK, .seq = 1, .ack = 2);
	/* No ACK at all */
	T_RX(tp, 501, .flags = TH_PUSH, .seq = 2, .len = 1, .wnd = 8192);
	assert_int_equal(t.rx.events, TCP_EV_DROP);
	T_NOTHING(tp, 501);
}

/* The owner dies: what was kept aside is gone, what was sent may be. */
static void inherit(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL, .sack = true);

	(void)state;
	t_send(tp, 2000);
	T_TX(tp, 0, .flags = TH_ACK, .seq = 1, .len = 1000, .ack = 1);
	T_TX(tp, 0, .flags = TH_ACK | TH_PUSH, .seq = 1001, .len = 1000, .ack = 1);
	T_RX(tp, 1, .flags = TH_ACK | TH_FIN, .seq = 101, .len = 100, .ack = 1, .wnd = 8192);
	T_TX(tp, 1, .flags = TH_ACK, .seq = 2001, .ack = 1);
	tcp_inherit(tp, t_us(1));
	T_TX(tp, 1, .flags = TH_ACK, .seq = 1, .len = 1000, .ack = 1);
	T_TX(tp, 1, .flags = TH_ACK | TH_PUSH, .seq = 1001, .len = 1000, .ack = 1);
	T_NOTHING(tp, 1);
	/* The hole closes: no octet more than the heir has. */
	T_RX(tp, 2, .flags = TH_ACK, .seq = 1, .len = 100, .ack = 2001, .wnd = 8192);
	assert_int_equal(t.rx.advance, 100);
	T_STATE(tp, "ESTABLISHED");
	T_TX(tp, 2, .flags = TH_ACK, .seq = 2001, .ack = 101);
	T_NOTHING(tp, 2);
}

/* The owner needs the room: what was kept aside is gone, and no ACK says else. */
static void renege(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(USUAL, .sack = true);

	(void)state;
	T_RX(tp, 1, .flags = TH_ACK | TH_FIN, .seq = 101, .len = 100, .ack = 1, .wnd = 8192);
	T_TX(tp, 1, .flags = TH_ACK, .seq = 1, .ack = 1, .n_sack = 1, .sack = { { 101, 201 } });
	tcp_renege(tp);
	T_NOTHING(tp, 1);
	T_RX(tp, 2, .flags = TH_ACK, .seq = 1, .len = 100, .ack = 1, .wnd = 8192);
	assert_int_equal(t.rx.advance, 100);
	T_STATE(tp, "ESTABLISHED");
	/* The FIN is still known: it counts when all before it has come. */
	T_RX(tp, 3, .flags = TH_ACK, .seq = 101, .len = 100, .ack = 1, .wnd = 8192);
	assert_int_equal(t.rx.advance, 100);
	T_STATE(tp, "CLOSE-WAIT");
}

static void user_calls(void **state)
{
	struct tcpcb *tp = t_init((struct t_opts){ USUAL });

	(void)state;
	assert_int_equal(tcp_user_send(tp, &t.v, t_us(0)), -ENOTCONN);
	assert_int_equal(tcp_user_close(tp, t_us(0)), -ENOTCONN);
	tcp_user_abort(tp, t_us(0));
	T_NOTHING(tp, 0);
	tp = t_fin_wait_1((struct t_opts){ USUAL });
	assert_int_equal(tcp_user_send(tp, &t.v, t_us(0)), -EPIPE);
	assert_int_equal(tcp_user_close(tp, t_us(0)), 0);
	T_NOTHING(tp, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(send_segments),
		cmocka_unit_test(window_ends_a_train),
		cmocka_unit_test(trains_of_two),
		cmocka_unit_test(trains_of_half_cwnd),
		cmocka_unit_test(full_cwnd_grows),
		cmocka_unit_test(trains_sent_again),
		cmocka_unit_test(nagle),
		cmocka_unit_test(nodelay),
		cmocka_unit_test(cork),
		cmocka_unit_test(send_more),
		cmocka_unit_test(urgent_is_sent),
		cmocka_unit_test(urgent_comes),
		cmocka_unit_test(urgent_with_a_shut_window),
		cmocka_unit_test(user_timeout),
		cmocka_unit_test(user_timeout_and_probe),
		cmocka_unit_test(orphan_ends),
		cmocka_unit_test(quickack),
		cmocka_unit_test(window_clamp),
		cmocka_unit_test(window_clamp_is_small),
		cmocka_unit_test(nagle_with_huge_segments),
		cmocka_unit_test(reordered_window_update),
		cmocka_unit_test(window_smaller_than_smss),
		cmocka_unit_test(zero_window_probe),
		cmocka_unit_test(zero_window_probe_unanswered),
		cmocka_unit_test(shut_window_takes_acks),
		cmocka_unit_test(shrinking_window),
		cmocka_unit_test(window_only_seems_to_shrink),
		cmocka_unit_test(window_is_rounded),
		cmocka_unit_test(delayed_ack),
		cmocka_unit_test(ack_of_the_third),
		cmocka_unit_test(answer_may_wait),
		cmocka_unit_test(ack_when_read),
		cmocka_unit_test(out_of_order),
		cmocka_unit_test(fin_out_of_order),
		cmocka_unit_test(out_of_order_has_limits),
		cmocka_unit_test(text_is_cut_to_the_window),
		cmocka_unit_test(receiver_avoids_silly_windows),
		cmocka_unit_test(window_scale),
		cmocka_unit_test(cwnd_grows),
		cmocka_unit_test(cwnd_after_idle),
		cmocka_unit_test(records_end_segments),
		cmocka_unit_test(ack_of_nothing),
		cmocka_unit_test(inherit),
		cmocka_unit_test(renege),
		cmocka_unit_test(user_calls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
