/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_tcp_close.c - connections end: FIN, RST, time-outs, and what must not end them
 */
#include "tests/unit/t_tcp.h"

#define OPTS	((struct t_opts){ .mss = 1000, .wnd = 8192 })
#define WND	.wnd = 8192

/* RFC 9293, figure 12, A's side */
static void normal_close(void **state)
{
	struct tcpcb *tp = t_time_wait(OPTS);

	(void)state;
	T_NOTHING(tp, 59999);
	T_STATE(tp, "TIME-WAIT");
	T_NOTHING(tp, 60000);
	T_EVENTS(TCP_EV_CLOSED);
	T_STATE(tp, "CLOSED");
	assert_true(tcp_poll_at(tp) == UINT64_MAX);
}

/* Figure 12, B's side */
static void passive_close(void **state)
{
	struct tcpcb *tp = t_close_wait(OPTS);

	(void)state;
	/* Half-closed: we may send for as long as we like. */
	t_send(tp, 1000);
	T_TX(tp, 50, .flags = TH_ACK | TH_PUSH, .seq = 1, .len = 1000, .ack = 2);
	T_RX(tp, 51, .flags = TH_ACK, .seq = 2, .ack = 1001, WND);
	tcp_user_close(tp, t_us(60));
	T_STATE(tp, "LAST-ACK");
	T_TX(tp, 60, .flags = TH_ACK | TH_FIN, .seq = 1001, .ack = 2);
	T_NOTHING(tp, 60);
	t.events = 0;
	T_RX(tp, 61, .flags = TH_ACK, .seq = 2, .ack = 1002, WND);
	T_EVENTS(TCP_EV_FIN_ACKED | TCP_EV_CLOSED);
	T_STATE(tp, "CLOSED");
	T_NOTHING(tp, 61);
}

/* We closed; the peer still sends, and we acknowledge. */
static void half_close(void **state)
{
	struct tcpcb *tp = t_fin_wait_2(OPTS);

	(void)state;
	T_RX(tp, 1000, .flags = TH_ACK | TH_PUSH, .seq = 1, .len = 500, .ack = 2, WND);
	T_EVENTS(TCP_EV_DATA);
	T_TX(tp, 1000, .flags = TH_ACK, .seq = 2, .ack = 501);
	/* As long as somebody holds the socket FIN-WAIT-2 has no end. */
	T_NOTHING(tp, 10000000);
	T_STATE(tp, "FIN-WAIT-2");
}

/* FIN and ACK of FIN in one segment: FIN-WAIT-1 to TIME-WAIT */
static void three_segment_close(void **state)
{
	struct tcpcb *tp = t_fin_wait_1(OPTS);

	(void)state;
	T_RX(tp, 1, .flags = TH_FIN | TH_ACK, .seq = 1, .ack = 2, WND);
	T_EVENTS(TCP_EV_FIN_ACKED | TCP_EV_FIN | TCP_EV_TIME_WAIT);
	T_TX(tp, 1, .flags = TH_ACK, .seq = 2, .ack = 2);
	T_STATE(tp, "TIME-WAIT");
	T_NOTHING(tp, 1);
}

/* Figure 13 */
static void simultaneous_close(void **state)
{
	struct tcpcb *tp = t_fin_wait_1(OPTS);

	(void)state;
	T_RX(tp, 1, .flags = TH_FIN | TH_ACK, .seq = 1, .ack = 1, WND);
	T_EVENTS(TCP_EV_FIN);
	T_STATE(tp, "CLOSING");
	T_TX(tp, 1, .flags = TH_ACK, .seq = 2, .ack = 2);
	T_NOTHING(tp, 1);
	T_RX(tp, 2, .flags = TH_ACK, .seq = 2, .ack = 2, WND);
	T_EVENTS(TCP_EV_FIN_ACKED | TCP_EV_TIME_WAIT);
	T_STATE(tp, "TIME-WAIT");
	T_NOTHING(tp, 2);
}

/* The peer has not seen our last ACK: ACK, and 2MSL begins anew. */
static void fin_again_in_time_wait(void **state)
{
	struct tcpcb *tp = t_time_wait(OPTS);

	(void)state;
	T_RX(tp, 50000, .flags = TH_FIN | TH_ACK, .seq = 1, .ack = 2, WND);
	T_TX(tp, 50000, .flags = TH_ACK, .seq = 2, .ack = 2);
	T_NOTHING(tp, 109999);
	T_STATE(tp, "TIME-WAIT");
	/* A pure ACK is not answered: two TIME-WAITs must not talk. */
	T_RX(tp, 109999, .flags = TH_ACK, .seq = 2, .ack = 2, WND);
	T_NOTHING(tp, 109999);
	T_NOTHING(tp, 110000);
	T_STATE(tp, "CLOSED");
}

/* Nobody holds the socket: FIN-WAIT-2 ends after 60 s, */
static void orphan_in_fin_wait_2(void **state)
{
	struct tcpcb *tp = t_fin_wait_2(OPTS);

	(void)state;
	t.v.closed = true;
	T_NOTHING(tp, 100);
	T_NOTHING(tp, 60099);
	T_STATE(tp, "FIN-WAIT-2");
	T_NOTHING(tp, 60100);
	T_EVENTS(TCP_EV_CLOSED);
	T_STATE(tp, "CLOSED");
}

/* and data that nobody will read gets RST (SHLD-3). */
static void data_for_an_orphan(void **state)
{
	struct tcpcb *tp = t_fin_wait_2(OPTS);

	(void)state;
	t.v.closed = true;
	T_RX(tp, 1, .flags = TH_ACK, .seq = 1, .len = 10, .ack = 2, WND);
	T_STATE(tp, "CLOSED");
	T_EVENTS(TCP_EV_CLOSED);
	T_TX(tp, 1, .flags = TH_RST, .seq = 2);
	T_NOTHING(tp, 1);
	/* FIN alone is all right. */
	tp = t_fin_wait_2(OPTS);
	t.v.closed = true;
	T_RX(tp, 1, .flags = TH_ACK | TH_FIN, .seq = 1, .ack = 2, WND);
	T_STATE(tp, "TIME-WAIT");
	T_TX(tp, 1, .flags = TH_ACK, .seq = 2, .ack = 2);
}

/* RFC 5961, 3.2 */
static void rst(void **state)
{
	struct tcpcb *tp = t_established(OPTS);

	(void)state;
	/* Outside the window: nothing */
	T_RX(tp, 0, .flags = TH_RST, .seq = 0);
	T_RX(tp, 0, .flags = TH_RST, .seq = 60002);
	T_NOTHING(tp, 0);
	/* In the window, but not at its left edge: challenge ACK */
	T_RX(tp, 0, .flags = TH_RST, .seq = 2);
	T_TX(tp, 0, .flags = TH_ACK, .seq = 1, .ack = 1);
	/* Not for every guess (7) */
	T_RX(tp, 1, .flags = TH_RST, .seq = 3);
	T_NOTHING(tp, 1);
	T_STATE(tp, "ESTABLISHED");
	T_RX(tp, 2, .flags = TH_RST, .seq = 1);
	T_EVENTS(TCP_EV_RESET | TCP_EV_CLOSED);
	T_STATE(tp, "CLOSED");
	T_NOTHING(tp, 2);
	/* It may say why (SHLD-2). */
	tp = t_established(OPTS);
	T_RX(tp, 0, .flags = TH_RST | TH_ACK, .seq = 1, .len = 20, .ack = 1);
	T_EVENTS(TCP_EV_RESET | TCP_EV_CLOSED);
	assert_int_equal(t.rx.data_len, 0);
}

/* After both FINs, RST is no error. */
static void rst_at_the_end(void **state)
{
	struct tcpcb *tp = t_time_wait(OPTS);

	(void)state;
	T_RX(tp, 1, .flags = TH_RST, .seq = 2);
	T_EVENTS(TCP_EV_CLOSED);
	tp = t_close_wait(OPTS);
	tcp_user_close(tp, t_us(0));
	T_TX(tp, 0, .flags = TH_ACK | TH_FIN, .seq = 1, .ack = 2);
	T_RX(tp, 1, .flags = TH_RST, .seq = 2);
	T_EVENTS(TCP_EV_CLOSED);
	tp = t_close_wait(OPTS);
	T_RX(tp, 1, .flags = TH_RST, .seq = 2);
	T_EVENTS(TCP_EV_RESET | TCP_EV_CLOSED);
}

/* RFC 5961, 4.2: SYN in a synchronized state gets an ACK, whatever its number. */
static void syn_in_established(void **state)
{
	struct tcpcb *tp = t_established(OPTS);

	(void)state;
	T_RX(tp, 0, .flags = TH_SYN, .seq = 1, WND, .wscale = TCP_WS_NONE);
	T_TX(tp, 0, .flags = TH_ACK, .seq = 1, .ack = 1);
	T_RX(tp, 600, .flags = TH_SYN, .seq = 0x70000000, WND, .wscale = TCP_WS_NONE);
	T_TX(tp, 600, .flags = TH_ACK, .seq = 1, .ack = 1);
	/* SYN,ACK again: our ACK was lost. */
	T_RX(tp, 1200, .flags = TH_SYN | TH_ACK, .seq = 0, .ack = 1, WND, .wscale = TCP_WS_NONE);
	T_TX(tp, 1200, .flags = TH_ACK, .seq = 1, .ack = 1);
	T_STATE(tp, "ESTABLISHED");
	T_NOTHING(tp, 1200);
}

/* RFC 9293, 3.10.5 */
static void abort_sends_rst(void **state)
{
	struct tcpcb *tp = t_established(OPTS);

	(void)state;
	t_send(tp, 1500);
	T_TX(tp, 0, .flags = TH_ACK, .seq = 1, .len = 1000, .ack = 1);
	tcp_user_abort(tp, t_us(0));
	T_STATE(tp, "CLOSED");
	T_TX(tp, 0, .flags = TH_RST | TH_ACK, .seq = 1001, .ack = 1);
	T_NOTHING(tp, 0);
	/* Nothing to say where the peer has said all. */
	tp = t_time_wait(OPTS);
	tcp_user_abort(tp, t_us(0));
	T_NOTHING(tp, 0);
	tp = t_syn_sent(OPTS);
	tcp_user_abort(tp, t_us(0));
	T_NOTHING(tp, 0);
	T_STATE(tp, "CLOSED");
}

/* A segment for a block that is closed */
static void nothing_in_closed(void **state)
{
	struct tcpcb *tp = t_init(OPTS);

	(void)state;
	T_RX(tp, 0, .flags = TH_SYN, WND, .wscale = TCP_WS_NONE);
	assert_int_equal(t.rx.events, TCP_EV_DROP);
	T_NOTHING(tp, 0);
}

/* RFC 7323, 5.3 */
static void paws(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(.mss = 1000, .wnd = 8192, .ts = true);

	(void)state;
	T_RX(tp, 0, .flags = TH_ACK, .seq = 1, .len = 10, .ack = 1, WND, .has_ts = true,
	     .tsval = 2000);
	T_TX_EXACT(tp, 0, .flags = TH_ACK, .seq = 1, .ack = 11, .wnd = 59990, .has_ts = true,
		   .tsval = 5000000, .tsecr = 2000);
	/* An old segment with a sequence number that would do */
	T_RX(tp, 1, .flags = TH_ACK, .seq = 11, .len = 10, .ack = 1, WND, .has_ts = true,
	     .tsval = 1999);
	assert_int_equal(t.rx.events, TCP_EV_DROP);
	T_TX_EXACT(tp, 1, .flags = TH_ACK, .seq = 1, .ack = 11, .wnd = 59990, .has_ts = true,
		   .tsval = 5000001, .tsecr = 2000);
	/* RST needs no timestamp (5.2). */
	T_RX(tp, 2, .flags = TH_RST, .seq = 12);
	T_TX(tp, 2, .flags = TH_ACK, .seq = 1, .ack = 11);
	T_NOTHING(tp, 2);
	/* TS.Recent is of the segment that is acknowledged, not of the latest (4.3). */
	T_RX(tp, 3, .flags = TH_ACK, .seq = 21, .len = 10, .ack = 1, WND, .has_ts = true,
	     .tsval = 2010);
	T_TX_EXACT(tp, 3, .flags = TH_ACK, .seq = 1, .ack = 11, .wnd = 59990, .has_ts = true,
		   .tsval = 5000003, .tsecr = 2000);
	/* Across the wrap of the timestamp clock */
	tp = t_syn_sent((struct t_opts){ .mss = 1000, .wnd = 8192, .ts = true });
	T_RX(tp, 0, .flags = TH_SYN | TH_ACK, .ack = 1, WND, .mss = 1000, .has_ts = true,
	     .tsval = 0xfffffff0, .wscale = TCP_WS_NONE);
	T_TX(tp, 0, .flags = TH_ACK, .seq = 1, .ack = 1);
	T_RX(tp, 0, .flags = TH_ACK, .seq = 1, .len = 10, .ack = 1, WND, .has_ts = true,
	     .tsval = 5);
	T_TX(tp, 0, .flags = TH_ACK, .seq = 1, .ack = 11);
}

/* After 24 days of silence anything goes (RFC 7323, 5.5). */
static void paws_expires(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(.mss = 1000, .wnd = 8192, .ts = true);
	const uint64_t days = 24ull * 3600 * 1000;

	(void)state;
	T_RX(tp, 23 * days, .flags = TH_ACK, .seq = 1, .len = 10, .ack = 1, WND, .has_ts = true,
	     .tsval = 999);
	assert_int_equal(t.rx.events, TCP_EV_DROP);
	T_TX(tp, 23 * days, .flags = TH_ACK, .seq = 1, .ack = 1);
	T_RX(tp, 25 * days, .flags = TH_ACK, .seq = 1, .len = 10, .ack = 1, WND, .has_ts = true,
	     .tsval = 999);
	assert_int_equal(t.rx.advance, 10);
	T_TX(tp, 25 * days, .flags = TH_ACK, .seq = 1, .ack = 11);
}

/* A segment without timestamps, where there should be some, is taken (not so RFC 7323,
 * 3.2); PAWS stands for those that have them. */
static void timestamps_missing(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(.mss = 1000, .wnd = 8192, .ts = true);
	struct tcp_seg seg = { .flags = TH_ACK, .seq = T_IRS + 1, .ack = T_ISS + 1, .len = 10,
			       .wscale = TCP_WS_NONE };

	(void)state;
	T_RX(tp, 0, .flags = TH_ACK, .seq = 1, .len = 10, .ack = 1, WND, .has_ts = true,
	     .tsval = 2000);
	T_TX(tp, 0, .flags = TH_ACK, .seq = 1, .ack = 11);
	seg.seq += 10;
	tcp_input(tp, &t.v, &seg, t_us(1), &t.rx);
	assert_int_equal(t.rx.events, TCP_EV_DATA);
	assert_int_equal(t.rx.advance, 10);
	/* Ours have them, and echo the last that came. */
	T_TX_EXACT(tp, 1, .flags = TH_ACK, .seq = 1, .ack = 21, .wnd = 59980, .has_ts = true,
		   .tsval = 5000001, .tsecr = 2000);
	T_RX(tp, 2, .flags = TH_ACK, .seq = 21, .len = 10, .ack = 1, WND, .has_ts = true,
	     .tsval = 1999);
	assert_int_equal(t.rx.events, TCP_EV_DROP);
	T_TX(tp, 2, .flags = TH_ACK, .seq = 1, .ack = 21);
	/* An empty one: a keep-alive probe is answered, RFC 9293, 3.8.4. */
	seg.seq = T_IRS + 20;
	seg.len = 0;
	tcp_input(tp, &t.v, &seg, t_us(3), &t.rx);
	T_TX(tp, 3, .flags = TH_ACK, .seq = 1, .ack = 21);
	T_NOTHING(tp, 3);
	/* The SYN of a peer that began anew, without them: RFC 5961, 4.2 */
	seg = (struct tcp_seg){ .flags = TH_SYN, .seq = 77, .wscale = TCP_WS_NONE };
	tcp_input(tp, &t.v, &seg, t_us(1000), &t.rx);
	assert_int_equal(t.rx.events, TCP_EV_DROP);
	T_TX(tp, 1000, .flags = TH_ACK, .seq = 1, .ack = 21);
	T_NOTHING(tp, 1000);
	T_RX(tp, 1001, .flags = TH_RST, .seq = 21);
	T_EVENTS(TCP_EV_DATA | TCP_EV_RESET | TCP_EV_CLOSED);
	/* One that tries again without them is answered as before. */
	tp = t_syn_received((struct t_opts){ .mss = 1000, .wnd = 8192, .ts = true });
	seg.seq = T_IRS;
	tcp_input(tp, &t.v, &seg, t_us(1), &t.rx);
	T_TX(tp, 1, .flags = TH_SYN | TH_ACK, .ack = 1);
	T_NOTHING(tp, 1);
}

/* The round trip is measured without their help, and what was sent again is not (Karn). */
static void timestamps_missing_in_acks(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(.mss = 1000, .wnd = 8192, .ts = true);
	struct tcp_seg seg = { .flags = TH_ACK, .seq = T_IRS + 1, .ack = T_ISS + 101, .wnd = 8192,
			       .wscale = TCP_WS_NONE };
	uint32_t srtt;

	(void)state;
	t_send(tp, 100);
	T_TX(tp, 0, .flags = TH_ACK | TH_PUSH, .seq = 1, .len = 100, .ack = 1);
	tcp_input(tp, &t.v, &seg, t_us(40), &t.rx);
	assert_int_equal(t.rx.acked, 100);
	t.v.snd_cc -= t.rx.acked;
	srtt = tp->srtt_us;
	assert_in_range(srtt, 1, 40000);
	t_send(tp, 100);
	T_TX(tp, 50, .flags = TH_ACK | TH_PUSH, .seq = 101, .len = 100, .ack = 1);
	T_TX(tp, 5000, .flags = TH_ACK | TH_PUSH, .seq = 101, .len = 100, .ack = 1);
	seg.ack = T_ISS + 201;
	tcp_input(tp, &t.v, &seg, t_us(5001), &t.rx);
	assert_int_equal(t.rx.acked, 100);
	assert_int_equal(tp->srtt_us, srtt);
}

/* RFC 9293, 3.8.4 */
static void keep_alive(void **state)
{
	struct tcpcb *tp = t_established(OPTS);
	int i;

	(void)state;
	/* MUST-25: not unless asked for */
	assert_true(tcp_poll_at(tp) == UINT64_MAX);
	tcp_user_keepalive(tp, 10000000, 1000000, 3, t_us(0));
	T_RX(tp, 5000, .flags = TH_ACK, .seq = 1, .ack = 1, WND);
	T_NOTHING(tp, 14999);
	T_TX(tp, 15000, .flags = TH_ACK, .seq = 0, .ack = 1);
	T_NOTHING(tp, 15000);
	/* It is answered. */
	T_RX(tp, 15001, .flags = TH_ACK, .seq = 1, .ack = 1, WND);
	T_NOTHING(tp, 25000);
	for (i = 1; i < 4; i++)
		T_TX(tp, 25001 + 1000 * (uint64_t)(i - 1), .flags = TH_ACK, .seq = 0, .ack = 1);
	T_NOTHING(tp, 28000);
	T_NOTHING(tp, 28001);
	T_EVENTS(TCP_EV_TIMEDOUT | TCP_EV_CLOSED);
	/* The peer's probes are answered. */
	tp = t_established(OPTS);
	T_RX(tp, 0, .flags = TH_ACK, .seq = 0, .ack = 1, WND);
	T_TX(tp, 0, .flags = TH_ACK, .seq = 1, .ack = 1);
	tcp_user_keepalive(tp, 1000000, 1000000, 3, t_us(0));
	tcp_user_keepalive(tp, 0, 0, 0, t_us(0));
	T_NOTHING(tp, 100000);
}

/* Two ends whose numbers do not fit must not answer each other for ever. */
static void no_ack_storm(void **state)
{
	struct tcpcb *tp = t_established(OPTS);
	int i;

	(void)state;
	T_RX(tp, 0, .flags = TH_ACK, .seq = 0x40000000, .ack = 1, WND);
	T_TX(tp, 0, .flags = TH_ACK, .seq = 1, .ack = 1);
	for (i = 1; i < 500; i++) {
		T_RX(tp, (uint64_t)i, .flags = TH_ACK, .seq = 0x40000000, .ack = 1, WND);
		T_NOTHING(tp, (uint64_t)i);
	}
	T_RX(tp, 500, .flags = TH_ACK, .seq = 0x40000000, .ack = 1, WND);
	T_TX(tp, 500, .flags = TH_ACK, .seq = 1, .ack = 1);
	/* Old data always gets its ACK: the peer waits for it. */
	T_RX(tp, 501, .flags = TH_ACK, .seq = 1u - 10, .len = 10, .ack = 1, WND);
	T_TX(tp, 501, .flags = TH_ACK, .seq = 1, .ack = 1);
}

/* With TCP_USER_TIMEOUT that long a silence ends it, not a number of probes; and
 * while data is outstanding there are none, its own timer runs. */
static void keep_alive_and_user_timeout(void **state)
{
	struct tcp_user_opts o = {
		.keep_idle_us = 1000000, .keep_intvl_us = 1000000, .keep_count = 1,
		.user_timeout_ms = 2500,
	};
	struct tcpcb *tp = t_established(OPTS);
	struct tcp_seg seg;

	(void)state;
	tcp_user_opts(tp, &o, t_us(0));
	T_TX(tp, 1000, .flags = TH_ACK, .seq = 0, .ack = 1);
	T_TX(tp, 2000, .flags = TH_ACK, .seq = 0, .ack = 1);
	T_NOTHING(tp, 2999);
	T_EVENTS(0);
	t_at(tp, 3000);
	T_EVENTS(TCP_EV_TIMEDOUT | TCP_EV_CLOSED);

	tp = t_established(OPTS);
	o.keep_count = 9;
	o.user_timeout_ms = 0;
	t_send(tp, 10);
	T_TX(tp, 0, .flags = TH_ACK | TH_PUSH, .seq = 1, .len = 10, .ack = 1);
	tcp_user_opts(tp, &o, t_us(0));
	for (uint64_t ms = 10; ms <= 3000; ms += 10)
		while (tcp_output(tp, &t.v, t_at(tp, ms), &seg) > 0)
			assert_int_equal(seg.len, 10);
	T_EVENTS(0);
	/* It is acknowledged: silence counts from here. */
	T_RX(tp, 3005, .flags = TH_ACK, .seq = 1, .ack = 11, WND);
	T_NOTHING(tp, 4004);
	T_TX(tp, 4010, .flags = TH_ACK, .seq = 10, .ack = 1);
}

/* Patience that gets shorter counts for what is outstanding already. */
static void user_timeout_shortened(void **state)
{
	struct tcp_user_opts o = { .user_timeout_ms = 150 };
	struct tcpcb *tp = t_established(OPTS);

	(void)state;
	t_send(tp, 10);
	T_TX(tp, 0, .flags = TH_ACK | TH_PUSH, .seq = 1, .len = 10, .ack = 1);
	tcp_user_opts(tp, &o, t_us(100));
	T_NOTHING(tp, 149);
	T_EVENTS(0);
	t_at(tp, 150);
	T_EVENTS(TCP_EV_TIMEDOUT | TCP_EV_CLOSED);
}

/* The record of TIME-WAIT answers as the block did. */
static void time_wait_record(void **state)
{
	struct tcp_seg fin = { .flags = TH_FIN | TH_ACK, .seq = T_IRS + 1, .ack = T_ISS + 2,
			       .wscale = TCP_WS_NONE };
	struct tcpcb *tp = t_time_wait(OPTS);
	struct tcp_seg out;
	struct tcp_tw tw;

	(void)state;
	tcp_tw_init(&tw, tp);
	assert_int_equal(tcp_tw_input(&tw, &fin, t_us(1), &out), TCP_TW_FIN);
	assert_int_equal(out.flags, TH_ACK);
	assert_int_equal(out.seq, tp->snd_nxt);
	assert_int_equal(out.ack, tp->rcv_nxt);
	assert_int_equal(out.wnd, tp->rcv_wnd >> tp->rcv_scale);
	assert_false(out.has_ts);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(normal_close),
		cmocka_unit_test(passive_close),
		cmocka_unit_test(half_close),
		cmocka_unit_test(three_segment_close),
		cmocka_unit_test(simultaneous_close),
		cmocka_unit_test(fin_again_in_time_wait),
		cmocka_unit_test(orphan_in_fin_wait_2),
		cmocka_unit_test(data_for_an_orphan),
		cmocka_unit_test(rst),
		cmocka_unit_test(rst_at_the_end),
		cmocka_unit_test(syn_in_established),
		cmocka_unit_test(abort_sends_rst),
		cmocka_unit_test(nothing_in_closed),
		cmocka_unit_test(paws),
		cmocka_unit_test(paws_expires),
		cmocka_unit_test(timestamps_missing),
		cmocka_unit_test(timestamps_missing_in_acks),
		cmocka_unit_test(keep_alive),
		cmocka_unit_test(keep_alive_and_user_timeout),
		cmocka_unit_test(user_timeout_shortened),
		cmocka_unit_test(time_wait_record),
		cmocka_unit_test(no_ack_storm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
