/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_tcp_open.c - connections are made, or not: RFC 9293, 3.5 and 3.10.7.1 to 3
 */
#include <errno.h>

#include "tests/unit/t_tcp.h"
#include "stack/engine/tcp_var.h"

#define USUAL .mss = 1000, .wnd = 8192

/* RFC 9293, figure 6, A's side; options in Linux's order */
static void active_open(void **state)
{
	struct tcpcb *tp = t_init((struct t_opts){ .mss = 1460, .sack = true, .ts = true,
						   .scale = 7, .cfg.rcv_buf = 1 << 20 });

	(void)state;
	assert_int_equal(tcp_user_open_active(tp, T_ISS, t_us(0)), 0);
	assert_int_equal(tcp_user_open_active(tp, T_ISS, t_us(0)), -EISCONN);
	T_TX_EXACT(tp, 0, .flags = TH_SYN, .wnd = 65535, .mss = 1460, .sack_permitted = true,
		   .has_ts = true, .tsval = 5000000, .wscale = 5);
	T_NOTHING(tp, 0);
	T_STATE(tp, "SYN-SENT");
	T_RX(tp, 10, .flags = TH_SYN | TH_ACK, .ack = 1, .wnd = 1000, .mss = 1460,
	     .sack_permitted = true, .has_ts = true, .tsval = 7, .tsecr = 5000000, .wscale = 7);
	T_TX_EXACT(tp, 10, .flags = TH_ACK, .seq = 1, .ack = 1, .wnd = 32768, .has_ts = true,
		   .tsval = 5000010, .tsecr = 7);
	T_NOTHING(tp, 10);
	T_STATE(tp, "ESTABLISHED");
	T_EVENTS(TCP_EV_CONNECTED);
	/* The window of a SYN is not scaled; RTT was taken. */
	assert_int_equal(tp->snd_wnd, 1000);
	assert_int_equal(tp->srtt_us, 10000);
	assert_int_equal(tcp_eff_mss(tp), 1448);
	t_end(tp);
}

/* An echo of what we did not send in a SYN is no answer to it. */
static void syn_ack_with_a_wrong_echo(void **state)
{
	static const uint32_t wrong[] = { 4999999, 5001501, 1 };
	struct tcpcb *tp = t_init((struct t_opts){ USUAL, .ts = true });
	unsigned int i;

	(void)state;
	assert_int_equal(tcp_user_open_active(tp, T_ISS, t_us(0)), 0);
	T_TX(tp, 0, .flags = TH_SYN);
	T_TX(tp, 1000, .flags = TH_SYN);
	for (i = 0; i < 3; i++) {
		T_RX(tp, 1500, .flags = TH_SYN | TH_ACK, .ack = 1, .wnd = 1000, .has_ts = true,
		     .tsval = 7, .tsecr = wrong[i], .wscale = TCP_WS_NONE);
		T_TX(tp, 1500, .flags = TH_RST, .seq = 1);
		T_STATE(tp, "SYN-SENT");
	}
	/* Of the first one */
	T_RX(tp, 1500, .flags = TH_SYN | TH_ACK, .ack = 1, .wnd = 1000, .has_ts = true,
	     .tsval = 7, .tsecr = 5000000, .wscale = TCP_WS_NONE);
	T_STATE(tp, "ESTABLISHED");
}

/* Figure 6, B's side */
static void passive_open(void **state)
{
	struct tcpcb *tp = t_init((struct t_opts){ .mss = 1460, .sack = true, .scale = 7 });

	(void)state;
	assert_int_equal(tcp_user_open_passive(tp, T_ISS, t_us(0)), 0);
	T_NOTHING(tp, 0);
	T_RX(tp, 0, .flags = TH_SYN, .wnd = 500, .mss = 1000, .sack_permitted = true, .wscale = 2);
	T_STATE(tp, "SYN-RECEIVED");
	T_TX_EXACT(tp, 0, .flags = TH_SYN | TH_ACK, .ack = 1, .wnd = 60000, .mss = 1460,
		   .sack_permitted = true, .wscale = 0);
	T_NOTHING(tp, 0);
	T_RX(tp, 5, .flags = TH_ACK, .seq = 1, .ack = 1, .wnd = 500);
	T_STATE(tp, "ESTABLISHED");
	T_EVENTS(TCP_EV_CONNECTED);
	assert_int_equal(tp->snd_wnd, 2000);
	T_NOTHING(tp, 5);
}

/* The ACK of the handshake may bring data and FIN. */
static void passive_open_with_data_and_fin(void **state)
{
	struct tcpcb *tp = t_syn_received((struct t_opts){ USUAL });

	(void)state;
	T_RX(tp, 0, .flags = TH_ACK | TH_FIN, .seq = 1, .ack = 1, .len = 10, .wnd = 500);
	T_EVENTS(TCP_EV_CONNECTED | TCP_EV_DATA | TCP_EV_FIN);
	assert_int_equal(t.rx.advance, 10);
	T_STATE(tp, "CLOSE-WAIT");
	T_TX(tp, 0, .flags = TH_ACK, .seq = 1, .ack = 12);
	T_NOTHING(tp, 0);
}

/* RFC 9293, figure 7 */
static void simultaneous_open(void **state)
{
	struct tcpcb *tp = t_syn_sent((struct t_opts){ USUAL, .scale = 3 });

	(void)state;
	T_RX(tp, 1, .flags = TH_SYN, .wnd = 700, .mss = 1000, .wscale = 3);
	T_STATE(tp, "SYN-RECEIVED");
	T_TX(tp, 1, .flags = TH_SYN | TH_ACK, .ack = 1);
	T_NOTHING(tp, 1);
	T_RX(tp, 2, .flags = TH_SYN | TH_ACK, .ack = 1, .wnd = 700, .mss = 1000, .wscale = 3);
	T_STATE(tp, "ESTABLISHED");
	T_EVENTS(TCP_EV_CONNECTED);
	/* Neither SYN nor SYN,ACK is scaled. */
	assert_int_equal(tp->snd_wnd, 700);
	T_TX(tp, 2, .flags = TH_ACK, .seq = 1, .ack = 1);
	T_NOTHING(tp, 2);
}

/* The peer's SYN, for the second time, is answered as what comes twice: if our
 * SYN,ACK is lost the peer is ESTABLISHED by that (RFC 9293, 3.10.7.4; RFC 2883). */
static void simultaneous_open_acknowledges(void **state)
{
	struct tcpcb *tp = t_syn_sent((struct t_opts){ USUAL, .sack = true });

	(void)state;
	T_RX(tp, 1, .flags = TH_SYN, .wnd = 700, .mss = 1000, .sack_permitted = true,
	     .wscale = TCP_WS_NONE);
	T_TX(tp, 1, .flags = TH_SYN | TH_ACK, .ack = 1);
	T_RX(tp, 2, .flags = TH_SYN | TH_ACK, .ack = 1, .wnd = 700, .mss = 1000,
	     .sack_permitted = true, .wscale = TCP_WS_NONE);
	T_TX_EXACT(tp, 2, .flags = TH_ACK, .seq = 1, .ack = 1, .wnd = 60000, .n_sack = 1,
		   .sack = { { 0, 1 } });
	T_NOTHING(tp, 2);
}

/* RFC 6298, 2.1 and 5.5: 1 s, then twice as long each time; 6 retries */
static void syn_is_sent_again(void **state)
{
	struct tcpcb *tp = t_syn_sent((struct t_opts){ USUAL });
	uint64_t ms = 0, rto = 1000;
	int i;

	(void)state;
	for (i = 0; i < 6; i++) {
		T_NOTHING(tp, ms + rto - 1);
		ms += rto;
		T_TX(tp, ms, .flags = TH_SYN);
		T_NOTHING(tp, ms);
		rto *= 2;
	}
	T_NOTHING(tp, ms + rto - 1);
	T_NOTHING(tp, ms + rto);
	T_EVENTS(TCP_EV_TIMEDOUT | TCP_EV_CLOSED);
	T_STATE(tp, "CLOSED");
}

/* RFC 6298, 5.7, and RFC 5681, 3.1: caution after a SYN was lost */
static void rto_is_3s_after_syn_was_lost(void **state)
{
	struct tcpcb *tp = t_syn_sent((struct t_opts){ USUAL });

	(void)state;
	T_TX(tp, 1000, .flags = TH_SYN);
	T_RX(tp, 1001, .flags = TH_SYN | TH_ACK, .ack = 1, .wnd = 8192, .mss = 1000,
	     .wscale = TCP_WS_NONE);
	T_TX(tp, 1001, .flags = TH_ACK, .seq = 1, .ack = 1);
	assert_int_equal(tp->snd_cwnd, 1000);
	t_send(tp, 2000);
	T_TX(tp, 1001, .flags = TH_ACK, .seq = 1, .len = 1000, .ack = 1);
	T_NOTHING(tp, 4000);
	T_TX(tp, 4001, .flags = TH_ACK, .seq = 1, .len = 1000, .ack = 1);

	/* Unless a timestamp measured the second one. */
	tp = t_syn_sent((struct t_opts){ USUAL, .ts = true });
	T_TX(tp, 1000, .flags = TH_SYN);
	T_RX(tp, 1010, .flags = TH_SYN | TH_ACK, .ack = 1, .wnd = 8192, .mss = 1000,
	     .wscale = TCP_WS_NONE, .has_ts = true, .tsval = 1000, .tsecr = tcp_tsval(tp, t_us(1000)));
	assert_int_equal(tp->rto_us, 210000);
}

static void syn_ack_is_sent_again(void **state)
{
	struct tcpcb *tp = t_syn_received((struct t_opts){ USUAL });

	(void)state;
	/* The peer's SYN again: our answer was lost. */
	T_RX(tp, 500, .flags = TH_SYN, .wnd = 8192, .mss = 1000, .wscale = TCP_WS_NONE);
	T_TX(tp, 500, .flags = TH_SYN | TH_ACK, .ack = 1);
	T_NOTHING(tp, 999);
	T_TX(tp, 1000, .flags = TH_SYN | TH_ACK, .ack = 1);
	T_NOTHING(tp, 1000);
}

/* RFC 9293, 3.10.7.3, second */
static void refused(void **state)
{
	struct tcpcb *tp = t_syn_sent((struct t_opts){ USUAL });

	(void)state;
	/* Without ACK, or with a wrong one, anyone could have sent it. */
	T_RX(tp, 0, .flags = TH_RST);
	T_RX(tp, 0, .flags = TH_RST | TH_ACK, .ack = 2);
	T_RX(tp, 0, .flags = TH_RST | TH_ACK, .ack = 0);
	T_STATE(tp, "SYN-SENT");
	T_NOTHING(tp, 0);
	T_RX(tp, 0, .flags = TH_RST | TH_ACK, .ack = 1);
	T_EVENTS(TCP_EV_REFUSED | TCP_EV_CLOSED);
	T_STATE(tp, "CLOSED");
	T_NOTHING(tp, 0);
}

static void refused_in_syn_received(void **state)
{
	struct tcpcb *tp = t_syn_received((struct t_opts){ USUAL });

	(void)state;
	T_RX(tp, 0, .flags = TH_RST, .seq = 1);
	T_EVENTS(TCP_EV_REFUSED | TCP_EV_CLOSED);
	T_STATE(tp, "CLOSED");
}

/* RFC 9293, figure 8: an old duplicate SYN,ACK */
static void wrong_ack_gets_rst(void **state)
{
	struct tcpcb *tp = t_syn_sent((struct t_opts){ USUAL });

	(void)state;
	T_RX(tp, 0, .flags = TH_SYN | TH_ACK, .ack = 77, .wnd = 1, .wscale = TCP_WS_NONE);
	T_TX(tp, 0, .flags = TH_RST, .seq = 77);
	T_NOTHING(tp, 0);
	T_STATE(tp, "SYN-SENT");

	tp = t_syn_received((struct t_opts){ USUAL });
	T_RX(tp, 0, .flags = TH_ACK, .seq = 1, .ack = 77, .wnd = 1);
	T_TX(tp, 0, .flags = TH_RST, .seq = 77);
	T_NOTHING(tp, 0);
	T_STATE(tp, "SYN-RECEIVED");

	tp = t_init((struct t_opts){ USUAL });
	tcp_user_open_passive(tp, T_ISS, t_us(0));
	T_RX(tp, 0, .flags = TH_ACK, .seq = 1, .ack = 77, .wnd = 1);
	T_TX(tp, 0, .flags = TH_RST, .seq = 77);
	T_NOTHING(tp, 0);
	T_RX(tp, 0, .flags = TH_RST);
	T_RX(tp, 0, .flags = TH_FIN);
	T_NOTHING(tp, 0);
	T_STATE(tp, "LISTEN");
}

/* RFC 9293, 3.10.7.1 */
static void reset_for_no_connection(void **state)
{
	struct tcp_seg in = { .flags = TH_SYN, .seq = 0xffffffff, .len = 3, .sport = 1, .dport = 2 };
	struct tcp_seg out;

	(void)state;
	assert_int_equal(tcp_reset_for(&in, &out), 1);
	assert_int_equal(out.flags, TH_RST | TH_ACK);
	assert_int_equal(out.seq, 0);
	assert_int_equal(out.ack, 3);
	assert_int_equal(out.sport, 2);
	assert_int_equal(out.dport, 1);
	in.flags = TH_ACK;
	in.ack = 99;
	assert_int_equal(tcp_reset_for(&in, &out), 1);
	assert_int_equal(out.flags, TH_RST);
	assert_int_equal(out.seq, 99);
	in.flags = TH_RST;
	assert_int_equal(tcp_reset_for(&in, &out), 0);
}

/* The options of both SYNs decide, RFC 7323, 2.2 and RFC 2018, 2. */
static void options_are_used_if_both_offer(void **state)
{
	struct tcpcb *tp = t_init((struct t_opts){ .mss = 1000, .sack = true, .ts = true,
						   .scale = 9, .cfg.rcv_buf = 1 << 20 });

	(void)state;
	tcp_user_open_passive(tp, T_ISS, t_us(0));
	T_RX(tp, 0, .flags = TH_SYN, .wnd = 500, .wscale = TCP_WS_NONE);
	T_TX_EXACT(tp, 0, .flags = TH_SYN | TH_ACK, .ack = 1, .wnd = 65535, .mss = 1000,
		   .wscale = TCP_WS_NONE);
	T_RX(tp, 0, .flags = TH_ACK, .seq = 1, .ack = 1, .wnd = 500);
	assert_int_equal(tp->snd_wnd, 500);
	/* No MSS option: 536 */
	assert_int_equal(tcp_eff_mss(tp), 536);
	T_RX(tp, 0, .flags = TH_ACK, .seq = 1, .ack = 1, .len = 1, .wnd = 500);
	T_TX_EXACT(tp, 0, .flags = TH_ACK, .seq = 1, .ack = 2, .wnd = 65534,
		   .wscale = TCP_WS_NONE);
}

/* Segments of whole 4 KiB buffers, if the owner wants them so. */
static void eff_mss_is_a_multiple_of_4096(void **state)
{
	struct { uint16_t peer, max; bool ts; uint32_t want; } c[] = {
		{ 61464, 61440, true, 61440 }, { 61464, 61440, false, 61440 },
		{ 61440, 61440, true, 57344 }, { 61440, 61440, false, 61440 },
		{ 61464, 0, true, 61452 },     { 9000, 61440, true, 8192 },
		{ 8203, 61440, true, 8191 },   { 1460, 61440, true, 1448 },
		{ 61464, 60000, true, 60000 }, { 1, 0, true, 36 },
	};
	struct tcpcb *tp;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		tp = T_ESTABLISHED(.mss = c[i].peer, .wnd = 60000, .ts = c[i].ts,
				   .cfg.eff_mss_max = c[i].max);
		assert_int_equal(tcp_eff_mss(tp), c[i].want);
	}
}

/* MUST-15: a peer that names no MSS; over IPv6 the owner says 1220. */
static void default_mss(void **state)
{
	const uint16_t dflt[] = { 0, 1220 }, want[] = { 536, 1220 };
	struct tcpcb *tp;
	int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		tp = t_syn_sent((struct t_opts){ .mss = 9000, .wnd = 60000,
						 .cfg.mss_default = dflt[i] });
		T_RX(tp, 0, .flags = TH_SYN | TH_ACK, .ack = 1, .wnd = 60000,
		     .wscale = TCP_WS_NONE);
		assert_int_equal(tcp_eff_mss(tp), want[i]);
	}
}

/* Any MSS that a peer may name: segments as large, SYN and all acknowledged. */
static void every_mss(void **state)
{
	const uint16_t mss[] = { 48, 49, 88, 536, 1220, 1460, 8191, 8192, 8960, 61439, 61440,
				 61444, 61464, 65495, 65535 };
	struct tcpcb *tp;
	uint32_t want;
	size_t i;
	int ts;

	(void)state;
	for (i = 0; i < 2 * sizeof(mss) / sizeof(mss[0]); i++) {
		ts = i % 2;
		tp = T_ESTABLISHED(.mss = mss[i / 2], .wnd = 65535, .ts = ts, .scale = 3,
				   .cfg.rcv_buf = 400000);
		want = mss[i / 2] - (ts ? 12 : 0);
		T_RX(tp, 0, .flags = TH_ACK, .seq = 1, .ack = 1, .wnd = 65535);
		t_send(tp, 2 * want);
		T_TX(tp, 0, .flags = TH_ACK, .seq = 1, .len = want, .ack = 1);
		T_TX(tp, 0, .flags = TH_ACK | TH_PUSH, .seq = 1 + want, .len = want, .ack = 1);
		T_RX(tp, 1, .flags = TH_ACK, .seq = 1, .len = want, .ack = 1 + 2 * want,
		     .wnd = 65535);
		/* They talk: delayed. */
		T_NOTHING(tp, 1);
		T_TX(tp, 41, .flags = TH_ACK, .seq = 1 + 2 * want, .ack = 1 + want);
		T_NOTHING(tp, 41);
	}
	/* Less than 48 is not believed. */
	tp = T_ESTABLISHED(.mss = 1, .wnd = 65535);
	assert_int_equal(tcp_eff_mss(tp), 48);
}

/* TCP_MAXSEG: it is announced, and binds what we send as well. */
static void maxseg(void **state)
{
	struct tcpcb *tp = t_init((struct t_opts){ .mss = 800, .cfg.mss_binds = true });

	(void)state;
	tcp_user_open_active(tp, T_ISS, t_us(0));
	T_TX_EXACT(tp, 0, .flags = TH_SYN, .seq = 0, .wnd = 60000, .mss = 800,
		   .wscale = TCP_WS_NONE);
	T_RX(tp, 0, .flags = TH_SYN | TH_ACK, .ack = 1, .wnd = 60000, .mss = 1460,
	     .wscale = TCP_WS_NONE);
	assert_int_equal(tcp_eff_mss(tp), 800);
}

/* TCP_SYNCNT */
static void syn_count(void **state)
{
	struct tcpcb *tp = t_syn_sent((struct t_opts){ USUAL });
	struct tcp_user_opts o = { .syn_retries = 1 };

	(void)state;
	tcp_user_opts(tp, &o, t_us(0));
	T_TX(tp, 1000, .flags = TH_SYN, .seq = 0);
	T_NOTHING(tp, 2999);
	t_at(tp, 3000);
	T_EVENTS(TCP_EV_TIMEDOUT | TCP_EV_CLOSED);
}

/* CLOSE before the connection is made: RFC 9293, 3.10.4 */
static void close_early(void **state)
{
	struct tcpcb *tp = t_syn_sent((struct t_opts){ USUAL });

	(void)state;
	assert_int_equal(tcp_user_close(tp, t_us(0)), 0);
	T_STATE(tp, "CLOSED");
	T_NOTHING(tp, 5000);
	assert_int_equal(tcp_user_close(tp, t_us(0)), -ENOTCONN);

	tp = t_syn_received((struct t_opts){ USUAL });
	assert_int_equal(tcp_user_close(tp, t_us(0)), 0);
	assert_int_equal(tcp_user_send(tp, &t.v, t_us(0)), -EPIPE);
	T_RX(tp, 1, .flags = TH_ACK, .seq = 1, .ack = 1, .wnd = 8192);
	T_STATE(tp, "FIN-WAIT-1");
	T_TX(tp, 1, .flags = TH_FIN | TH_ACK, .seq = 1, .ack = 1);
	T_NOTHING(tp, 1);
}

/* RFC 6928, but ten segments also where they are large, as Linux */
static void initial_window(void **state)
{
	struct tcpcb *tp;

	(void)state;
	tp = T_ESTABLISHED(.mss = 1000, .wnd = 60000);
	assert_int_equal(tp->snd_cwnd, 10000);
	tp = T_ESTABLISHED(.mss = 1460, .wnd = 60000);
	assert_int_equal(tp->snd_cwnd, 14600);
	tp = T_ESTABLISHED(.mss = 8960, .wnd = 60000);
	assert_int_equal(tp->snd_cwnd, 89600);
	tp = T_ESTABLISHED(.mss = 61440, .wnd = 60000);
	assert_int_equal(tp->snd_cwnd, 614400);
}

/* How often a SYN went, for whoever looks (TCP_INFO, and what asks for the neighbour). */
static void syn_is_counted(void **state)
{
	struct tcpcb *tp = t_init((struct t_opts){ USUAL });
	struct tcp_seg seg;
	uint64_t ms = 0;
	uint32_t i;

	(void)state;
	assert_int_equal(tcp_user_open_active(tp, T_ISS, t_us(0)), 0);
	for (i = 0; i < 4; i++) {
		assert_int_equal(tcp_output(tp, &t.v, t_at(tp, ms), &seg), 1);
		assert_int_equal(seg.is_rexmt, i > 0);
		assert_int_equal(seg.n_rexmt, i);
		assert_int_equal(tp->n_rexmt_total, i);
		ms += 1000u << i;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(active_open),
		cmocka_unit_test(syn_ack_with_a_wrong_echo),
		cmocka_unit_test(passive_open),
		cmocka_unit_test(passive_open_with_data_and_fin),
		cmocka_unit_test(simultaneous_open),
		cmocka_unit_test(simultaneous_open_acknowledges),
		cmocka_unit_test(syn_is_sent_again),
		cmocka_unit_test(rto_is_3s_after_syn_was_lost),
		cmocka_unit_test(syn_is_counted),
		cmocka_unit_test(syn_ack_is_sent_again),
		cmocka_unit_test(refused),
		cmocka_unit_test(refused_in_syn_received),
		cmocka_unit_test(wrong_ack_gets_rst),
		cmocka_unit_test(reset_for_no_connection),
		cmocka_unit_test(options_are_used_if_both_offer),
		cmocka_unit_test(eff_mss_is_a_multiple_of_4096),
		cmocka_unit_test(default_mss),
		cmocka_unit_test(every_mss),
		cmocka_unit_test(maxseg),
		cmocka_unit_test(syn_count),
		cmocka_unit_test(close_early),
		cmocka_unit_test(initial_window),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
