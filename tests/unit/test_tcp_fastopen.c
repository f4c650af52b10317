/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_tcp_fastopen.c - data with the SYN: RFC 7413, in the engine
 */
#include "tests/unit/t_tcp.h"
#include "stack/engine/tcp_var.h"

#define USUAL	.mss = 1000, .wnd = 8192
#define COOKIE	{ 1, 2, 3, 4, 5, 6, 7, 8 }
#define FO(...)	((struct tcp_fo){ .kind = TCP_FO_OPT, .len = 8, .cookie = COOKIE, __VA_ARGS__ })

/* The active side: @fo, @n octets in so_snd; the SYN is next. */
static struct tcpcb *opening(struct t_opts o, struct tcp_fo fo, uint32_t n)
{
	struct tcpcb *tp = t_init(o);

	t.v.snd_cc = n;
	tcp_user_fastopen(tp, &fo);
	assert_int_equal(tcp_user_open_active(tp, T_ISS, t_us(0)), 0);
	return tp;
}

/* The passive side: the peer's SYN with @n octets has come. */
static struct tcpcb *opened(struct t_opts o, struct tcp_fo fo, uint32_t n)
{
	struct tcpcb *tp = t_init(o);
	struct tcp_seg syn = t_peer_syn(o, TH_SYN);

	assert_int_equal(tcp_user_open_passive(tp, T_ISS, t_us(0)), 0);
	tcp_user_fastopen(tp, &fo);
	syn.len = n;
	t_rx(tp, 0, syn);
	return tp;
}

/* --- the one who opens ----------------------------------------------------------------- */

/* RFC 7413, 4.2.1 and 4.2.2: as many octets as there is room for; the rest follows. */
static void data_goes_with_the_syn(void **state)
{
	struct tcpcb *tp = opening((struct t_opts){ USUAL }, FO(.room = 900), 1500);

	(void)state;
	T_TX_EXACT(tp, 0, .flags = TH_SYN, .len = 900, .wnd = 60000, .mss = 1000,
		   .wscale = TCP_WS_NONE, .fo_kind = TCP_FO_OPT, .fo_len = 8,
		   .fo_cookie = COOKIE);
	T_NOTHING(tp, 0);
	T_RX(tp, 20, .flags = TH_SYN | TH_ACK, .ack = 901, .wnd = 8192, .mss = 1000,
	     .wscale = TCP_WS_NONE);
	T_EVENTS(TCP_EV_CONNECTED | TCP_EV_ACKED);
	assert_int_equal(t.rx.acked, 900);
	assert_int_equal(tp->srtt_us, 20000);
	T_TX(tp, 20, .flags = TH_ACK | TH_PUSH, .seq = 901, .len = 600, .ack = 1);
	T_NOTHING(tp, 20);
	assert_true(tp->uflags & TU_SYN_DATA_OK);
	assert_int_equal(tcp_fastopen_fail(tp), TCP_FO_FAIL_NONE);
	t_end(tp);
}

/* 4.1.2: a request for a cookie takes no data. */
static void cookie_is_asked_for(void **state)
{
	struct tcpcb *tp = opening((struct t_opts){ USUAL },
				   (struct tcp_fo){ .kind = TCP_FO_EXP }, 0);

	(void)state;
	T_TX_EXACT(tp, 0, .flags = TH_SYN, .wnd = 60000, .mss = 1000, .wscale = TCP_WS_NONE,
		   .fo_kind = TCP_FO_EXP);
	T_NOTHING(tp, 0);
	assert_true(tp->uflags & TU_FO_ASKED);
	assert_int_equal(tcp_fastopen_fail(tp), TCP_FO_FAIL_COOKIE);
}

/* 4.2.2: what SYN,ACK does not acknowledge is sent at once, and that it was
 * refused is no sign of congestion. */
static void data_is_refused(void **state)
{
	struct tcpcb *tp = opening((struct t_opts){ USUAL }, FO(.room = 900), 900);
	uint32_t cwnd;

	(void)state;
	T_TX(tp, 0, .flags = TH_SYN, .len = 900);
	T_RX(tp, 30, .flags = TH_SYN | TH_ACK, .ack = 1, .wnd = 8192, .mss = 1000,
	     .wscale = TCP_WS_NONE);
	T_EVENTS(TCP_EV_CONNECTED);
	/* Measured all the same */
	assert_int_equal(tp->srtt_us, 30000);
	cwnd = tp->snd_cwnd;
	T_TX(tp, 30, .flags = TH_ACK | TH_PUSH, .seq = 1, .len = 900, .ack = 1);
	T_NOTHING(tp, 30);
	assert_int_equal(tp->snd_cwnd, cwnd);
	assert_int_equal(tp->n_rexmt_total, 1);
	assert_int_equal(tcp_fastopen_fail(tp), TCP_FO_FAIL_REFUSED);
	assert_false(tp->uflags & TU_SYN_DATA_OK);
	T_RX(tp, 60, .flags = TH_ACK, .seq = 1, .ack = 901, .wnd = 8192);
	T_EVENTS(TCP_EV_ACKED);
	assert_int_equal(t.v.snd_cc, 0);
	T_NOTHING(tp, 60);
}

/* By itself, with PSH as in the SYN; what else there is follows, and if it is lost
 * again its neighbours' SACK tells. */
static void refused_data_goes_alone(void **state)
{
	struct tcpcb *tp = opening((struct t_opts){ .mss = 1000, .wnd = 60000, .sack = true },
				   FO(.room = 960), 5000);

	(void)state;
	T_TX(tp, 0, .flags = TH_SYN, .len = 960);
	T_RX(tp, 30, .flags = TH_SYN | TH_ACK, .ack = 1, .wnd = 60000, .mss = 1000,
	     .sack_permitted = true, .wscale = TCP_WS_NONE);
	T_TX_EXACT(tp, 30, .flags = TH_ACK | TH_PUSH, .seq = 1, .len = 960, .ack = 1, .wnd = 60000);
	for (uint32_t seq = 961; seq < 4000; seq += 1000)
		T_TX(tp, 30, .flags = TH_ACK, .seq = seq, .len = 1000, .ack = 1);
	T_TX(tp, 30, .flags = TH_ACK | TH_PUSH, .seq = 4961, .len = 40, .ack = 1);
	T_NOTHING(tp, 30);
	assert_int_equal(tp->n_rexmt_total, 1);
	T_RX(tp, 60, .flags = TH_ACK, .seq = 1, .ack = 1, .wnd = 60000, .n_sack = 1,
	     .sack = { { 961, 5001 } });
	T_TX_EXACT(tp, 60, .flags = TH_ACK | TH_PUSH, .seq = 1, .len = 960, .ack = 1, .wnd = 60000);
	T_NOTHING(tp, 60);
	T_RX(tp, 90, .flags = TH_ACK, .seq = 1, .ack = 5001, .wnd = 60000);
	assert_int_equal(tp->ca_state, TCP_CA_OPEN);
	assert_int_equal(t.v.snd_cc, 0);
}

/* The peer has no room for all of it, or for none: nothing is in flight that it
 * did not ask for, and a shut window is probed. */
static void refused_data_keeps_to_the_window(void **state)
{
	struct tcpcb *tp;
	uint32_t wnd;

	(void)state;
	for (wnd = 0; wnd <= 500; wnd += 500) {
		tp = opening((struct t_opts){ USUAL }, FO(.room = 900), 900);
		T_TX(tp, 0, .flags = TH_SYN, .len = 900);
		T_RX(tp, 30, .flags = TH_SYN | TH_ACK, .ack = 1, .wnd = (uint16_t)wnd, .mss = 1000,
		     .wscale = TCP_WS_NONE);
		if (wnd)
			T_TX(tp, 30, .flags = TH_ACK, .seq = 1, .len = 500, .ack = 1);
		else
			T_TX(tp, 30, .flags = TH_ACK, .seq = 1, .ack = 1);
		T_NOTHING(tp, 30);
		T_RX(tp, 60, .flags = TH_ACK, .seq = 1, .ack = 1 + wnd, .wnd = 8192);
		T_TX(tp, 60, .flags = TH_ACK | TH_PUSH, .seq = 1 + wnd, .len = 900 - wnd, .ack = 1);
		T_NOTHING(tp, 60);
	}
}

/* The SYN had no room for more: its data is no short segment that Nagle waits for. */
static void refused_data_is_not_short(void **state)
{
	struct tcpcb *tp = opening((struct t_opts){ USUAL }, FO(.room = 900), 900);

	(void)state;
	T_TX(tp, 0, .flags = TH_SYN, .len = 900);
	T_RX(tp, 30, .flags = TH_SYN | TH_ACK, .ack = 1, .wnd = 8192, .mss = 1000,
	     .wscale = TCP_WS_NONE);
	T_TX(tp, 30, .flags = TH_ACK | TH_PUSH, .seq = 1, .len = 900, .ack = 1);
	t_send(tp, 100);
	T_TX(tp, 31, .flags = TH_ACK | TH_PUSH, .seq = 901, .len = 100, .ack = 1);
	t_send(tp, 100);
	T_NOTHING(tp, 31);
}

/* A part of it was taken. */
static void data_is_taken_in_part(void **state)
{
	struct tcpcb *tp = opening((struct t_opts){ USUAL }, FO(.room = 900), 900);

	(void)state;
	T_TX(tp, 0, .flags = TH_SYN, .len = 900);
	T_RX(tp, 30, .flags = TH_SYN | TH_ACK, .ack = 900, .wnd = 8192, .mss = 1000,
	     .wscale = TCP_WS_NONE);
	assert_int_equal(t.rx.acked, 899);
	T_TX(tp, 30, .flags = TH_ACK | TH_PUSH, .seq = 900, .len = 1, .ack = 1);
	T_NOTHING(tp, 30);
}

/* RFC 9293, 3.10.7.3: more than was sent, or less than the SYN */
static void impossible_acks(void **state)
{
	struct tcpcb *tp = opening((struct t_opts){ USUAL }, FO(.room = 900), 900);

	(void)state;
	T_TX(tp, 0, .flags = TH_SYN, .len = 900);
	T_RX(tp, 1, .flags = TH_SYN | TH_ACK, .ack = 902, .wnd = 8192, .wscale = TCP_WS_NONE);
	T_TX(tp, 1, .flags = TH_RST, .seq = 902);
	T_RX(tp, 2, .flags = TH_SYN | TH_ACK, .ack = 0, .wnd = 8192, .wscale = TCP_WS_NONE);
	T_TX(tp, 2, .flags = TH_RST, .seq = 0);
	T_STATE(tp, "SYN-SENT");
	assert_int_equal(t.v.snd_cc, 900);
}

/* 4.1.3.1: who does not answer gets a plain SYN; the first one may have come
 * through all the same. */
static void plain_syn_after_a_timeout(void **state)
{
	unsigned int taken;

	(void)state;
	for (taken = 0; taken < 2; taken++) {
		struct tcpcb *tp = opening((struct t_opts){ USUAL }, FO(.room = 900), 900);

		T_TX(tp, 0, .flags = TH_SYN, .len = 900);
		T_NOTHING(tp, 999);
		T_TX_EXACT(tp, 1000, .flags = TH_SYN, .wnd = 60000, .mss = 1000,
			   .wscale = TCP_WS_NONE);
		T_RX(tp, 1010, .flags = TH_SYN | TH_ACK, .ack = taken ? 901 : 1, .wnd = 8192,
		     .mss = 1000, .wscale = TCP_WS_NONE);
		T_STATE(tp, "ESTABLISHED");
		if (taken)
			T_TX(tp, 1010, .flags = TH_ACK, .seq = 901, .ack = 1);
		else
			T_TX(tp, 1010, .flags = TH_ACK | TH_PUSH, .seq = 1, .len = 900, .ack = 1);
		T_NOTHING(tp, 1010);
		assert_int_equal(tcp_fastopen_fail(tp),
				 taken ? TCP_FO_FAIL_NONE : TCP_FO_FAIL_SYN_LOST);
	}
}

/* RFC 1191, 6.4: what is too big for a link is sent again at once, smaller. */
static void plain_syn_when_too_big(void **state)
{
	struct tcpcb *tp = opening((struct t_opts){ USUAL }, FO(.room = 900), 900);

	(void)state;
	T_TX(tp, 0, .flags = TH_SYN, .len = 900);
	/* It quotes another segment. */
	assert_int_equal(tcp_icmp_too_big(tp, T_ISS - 1, 800, t_us(4)), TCP_ICMP_IGNORED);
	T_NOTHING(tp, 4);
	assert_int_equal(tcp_icmp_too_big(tp, T_ISS, 800, t_us(5)), TCP_ICMP_SOFT);
	/* It tells the peer what the path takes. */
	T_TX_EXACT(tp, 5, .flags = TH_SYN, .wnd = 60000, .mss = 800, .wscale = TCP_WS_NONE);
	T_NOTHING(tp, 5);
	T_RX(tp, 9, .flags = TH_SYN | TH_ACK, .ack = 1, .wnd = 8192, .mss = 1000,
	     .wscale = TCP_WS_NONE);
	T_TX(tp, 9, .flags = TH_ACK, .seq = 1, .len = 800, .ack = 1);
	T_TX(tp, 9, .flags = TH_ACK | TH_PUSH, .seq = 801, .len = 100, .ack = 1);
	T_NOTHING(tp, 9);
}

static void reset_of_a_syn_with_data(void **state)
{
	struct tcpcb *tp = opening((struct t_opts){ USUAL }, FO(.room = 900), 900);

	(void)state;
	T_TX(tp, 0, .flags = TH_SYN, .len = 900);
	T_RX(tp, 5, .flags = TH_RST | TH_ACK, .ack = 1);
	T_EVENTS(TCP_EV_REFUSED | TCP_EV_CLOSED);
	T_STATE(tp, "CLOSED");
	t_end(tp);
}

/* RFC 9293, 3.10.7.3: text and FIN on SYN,ACK go on to the sixth step. */
static void text_and_fin_on_syn_ack(void **state)
{
	struct tcpcb *tp = opening((struct t_opts){ USUAL }, FO(.room = 900), 100);

	(void)state;
	T_TX(tp, 0, .flags = TH_SYN, .len = 100);
	T_RX(tp, 5, .flags = TH_SYN | TH_ACK | TH_FIN, .ack = 101, .len = 1400, .wnd = 8192,
	     .mss = 1000, .wscale = TCP_WS_NONE);
	T_EVENTS(TCP_EV_CONNECTED | TCP_EV_ACKED | TCP_EV_DATA | TCP_EV_FIN);
	assert_int_equal(t.rx.data_off, 0);
	assert_int_equal(t.rx.advance, 1400);
	T_STATE(tp, "CLOSE-WAIT");
	T_TX(tp, 5, .flags = TH_ACK, .seq = 101, .ack = 1402);
	T_NOTHING(tp, 5);
}

/* Both opened; each takes the other's SYN alone, or all of it. */
static void simultaneous_open_with_data(void **state)
{
	struct tcpcb *tp = opening((struct t_opts){ USUAL }, FO(.room = 900), 900);

	(void)state;
	T_TX(tp, 0, .flags = TH_SYN, .len = 900);
	T_RX(tp, 1, .flags = TH_SYN, .len = 500, .wnd = 8192, .mss = 1000, .wscale = TCP_WS_NONE);
	T_STATE(tp, "SYN-RECEIVED");
	T_TX(tp, 1, .flags = TH_SYN | TH_ACK, .ack = 1);
	T_NOTHING(tp, 1);
	T_RX(tp, 9, .flags = TH_SYN | TH_ACK, .ack = 901, .wnd = 8192, .mss = 1000,
	     .wscale = TCP_WS_NONE);
	T_EVENTS(TCP_EV_CONNECTED | TCP_EV_ACKED);
	assert_int_equal(t.v.snd_cc, 0);
	T_STATE(tp, "ESTABLISHED");
	T_TX(tp, 9, .flags = TH_ACK, .seq = 901, .ack = 1);
	T_NOTHING(tp, 9);
	t_end(tp);
}

/* --- the one who is opened --------------------------------------------------------------- */

/* 4.2.2: a good cookie: the data is the user's, and an answer may go before the
 * handshake is complete. */
static void data_of_a_syn_is_taken(void **state)
{
	struct tcpcb *tp = opened((struct t_opts){ USUAL }, (struct tcp_fo){ .accept = true }, 10);

	(void)state;
	T_EVENTS(TCP_EV_CONNECTED | TCP_EV_DATA);
	assert_int_equal(t.rx.data_off, 0);
	assert_int_equal(t.rx.data_len, 10);
	assert_int_equal(t.rx.advance, 10);
	T_TX_EXACT(tp, 0, .flags = TH_SYN | TH_ACK, .ack = 11, .wnd = 59990, .mss = 1000,
		   .wscale = TCP_WS_NONE);
	T_NOTHING(tp, 0);
	/* No window update to who may not be there. */
	t_recv(tp, 10);
	T_NOTHING(tp, 0);
	t_send(tp, 1500);
	T_TX(tp, 5, .flags = TH_ACK, .seq = 1, .len = 1000, .ack = 11);
	T_TX(tp, 5, .flags = TH_ACK | TH_PUSH, .seq = 1001, .len = 500, .ack = 11);
	T_NOTHING(tp, 5);
	T_RX(tp, 20, .flags = TH_ACK, .seq = 11, .ack = 1, .wnd = 8192);
	T_EVENTS(TCP_EV_SYN_ACKED);
	assert_int_equal(tp->srtt_us, 20000);
	T_NOTHING(tp, 20);
	assert_int_equal(tp->n_delivered, 1);
	T_RX(tp, 25, .flags = TH_ACK, .seq = 11, .ack = 1501, .wnd = 8192);
	T_EVENTS(TCP_EV_ACKED);
	assert_int_equal(tp->n_delivered, 3);
	t_end(tp);
}

/* so_rcv is larger than a SYN can say: the peer, who has 64 KiB, learns that by the
 * ACK of what it sends next. */
static void first_read_says_nothing(void **state)
{
	struct tcpcb *tp = opened((struct t_opts){ USUAL, .scale = 3, .cfg.rcv_buf = 400000 },
				  (struct tcp_fo){ .accept = true }, 1000);

	(void)state;
	T_TX_EXACT(tp, 0, .flags = TH_SYN | TH_ACK, .ack = 1001, .wnd = 65535, .mss = 1000,
		   .wscale = 3);
	T_RX(tp, 20, .flags = TH_ACK, .seq = 1001, .ack = 1, .wnd = 8192);
	t_recv(tp, 1000);
	T_NOTHING(tp, 20);
	T_RX(tp, 30, .flags = TH_ACK, .seq = 1001, .len = 1000, .ack = 1, .wnd = 8192);
	T_TX_EXACT(tp, 30, .flags = TH_ACK, .seq = 1, .ack = 2001, .wnd = 399000 / 8,
		   .wscale = TCP_WS_NONE);
}

/* 4.2.2: a bad one: the SYN alone is acknowledged, with a cookie; once. */
static void data_of_a_syn_is_not_taken(void **state)
{
	struct tcpcb *tp = opened((struct t_opts){ USUAL }, FO(), 10);

	(void)state;
	T_EVENTS(0);
	T_STATE(tp, "SYN-RECEIVED");
	T_TX_EXACT(tp, 0, .flags = TH_SYN | TH_ACK, .ack = 1, .wnd = 60000, .mss = 1000,
		   .wscale = TCP_WS_NONE, .fo_kind = TCP_FO_OPT, .fo_len = 8,
		   .fo_cookie = COOKIE);
	T_TX_EXACT(tp, 1000, .flags = TH_SYN | TH_ACK, .ack = 1, .wnd = 60000, .mss = 1000,
		   .wscale = TCP_WS_NONE);
	T_RX(tp, 1001, .flags = TH_ACK, .seq = 1, .ack = 1, .len = 10, .wnd = 8192);
	T_EVENTS(TCP_EV_CONNECTED | TCP_EV_DATA);
	assert_false(tp->uflags & TU_SYN_DATA_OK);
}

/* Until the peer has shown that it is there only the SYN,ACK is sent again; then
 * it is given up. */
static void syn_ack_is_sent_again(void **state)
{
	struct tcpcb *tp = opened((struct t_opts){ USUAL, .cfg.syn_retries = 2 },
				  (struct tcp_fo){ .accept = true }, 10);

	(void)state;
	T_TX(tp, 0, .flags = TH_SYN | TH_ACK, .ack = 11);
	t_send(tp, 100);
	T_TX(tp, 1, .flags = TH_ACK | TH_PUSH, .seq = 1, .len = 100, .ack = 11);
	T_NOTHING(tp, 999);
	T_TX(tp, 1000, .flags = TH_SYN | TH_ACK, .ack = 11);
	T_NOTHING(tp, 1000);
	/* The peer's SYN again: its SYN,ACK was lost. */
	T_RX(tp, 1500, .flags = TH_SYN, .wnd = 8192, .mss = 1000, .wscale = TCP_WS_NONE);
	T_TX(tp, 1500, .flags = TH_SYN | TH_ACK, .ack = 11);
	T_NOTHING(tp, 1500);
	T_TX(tp, 3000, .flags = TH_SYN | TH_ACK, .ack = 11);
	T_NOTHING(tp, 6999);
	t.events = 0;
	T_NOTHING(tp, 7000);
	T_EVENTS(TCP_EV_TIMEDOUT | TCP_EV_CLOSED);
}

/* RFC 6298, 5.7: where the timer has expired for our SYN,ACK, or our SYN, RTO is 3 s when
 * the handshake is complete: nothing measured that time.  Unless a timestamp did, and not
 * if it has not expired. */
static void rto_after_a_lost_syn(void **state)
{
	struct tcpcb *tp;
	uint32_t k;

	(void)state;
	for (k = 0; k < 3; k++) {
		bool lost = k < 2, ts = k == 1;

		tp = opened((struct t_opts){ USUAL, .ts = ts }, (struct tcp_fo){ .accept = true }, 10);
		T_TX(tp, 0, .flags = TH_SYN | TH_ACK, .ack = 11);
		t_send(tp, 100);
		T_TX(tp, 1, .flags = TH_ACK | TH_PUSH, .seq = 1, .len = 100, .ack = 11);
		if (lost)
			T_TX(tp, 1000, .flags = TH_SYN | TH_ACK, .ack = 11);
		T_RX(tp, 1005 - 1000 * !lost, .flags = TH_ACK, .seq = 11, .ack = 1, .wnd = 8192,
		     .has_ts = ts, .tsval = 1001, .tsecr = ts ? tcp_tsval(tp, t_us(1000)) : 0);
		T_EVENTS(TCP_EV_CONNECTED | TCP_EV_DATA | TCP_EV_SYN_ACKED);
		if (k == 0) {
			assert_int_equal(tp->rto_us, 3000000);
			T_NOTHING(tp, 4004);
			T_TX(tp, 4005, .flags = TH_ACK | TH_PUSH, .seq = 1, .len = 100, .ack = 11);
		} else {
			assert_int_equal(tp->rto_us, 205000);
		}
	}
	/* A SYN with data that was lost, and a plain one that was answered; what it acknowledges
	 * of the data makes no difference. */
	for (k = 0; k < 2; k++) {
		tp = opening((struct t_opts){ USUAL }, FO(.room = 900), 950);
		T_TX(tp, 0, .flags = TH_SYN, .len = 900);
		T_TX(tp, 1000, .flags = TH_SYN);
		T_RX(tp, 1010, .flags = TH_SYN | TH_ACK, .ack = k ? 901 : 1, .wnd = 8192,
		     .mss = 1000, .wscale = TCP_WS_NONE);
		assert_int_equal(tp->rto_us, 3000000);
		if (!k)
			T_TX(tp, 1010, .flags = TH_ACK | TH_PUSH, .seq = 1, .len = 900, .ack = 1);
		T_TX(tp, 1010, .flags = TH_ACK | TH_PUSH, .seq = 901, .len = 50, .ack = 1);
		T_NOTHING(tp, 1010);
		assert_int_equal(tp->t_rexmt_us, t_us(4010));
	}
}

/* RFC 5927, 4.1: what may be quoted before our SYN,ACK is acknowledged is that, too. */
static void icmp_quotes_the_syn_ack(void **state)
{
	struct tcpcb *tp = opened((struct t_opts){ USUAL }, (struct tcp_fo){ .accept = true }, 10);

	(void)state;
	T_TX(tp, 0, .flags = TH_SYN | TH_ACK, .ack = 11);
	assert_int_equal(tcp_icmp_error(tp, T_ISS - 1, t_us(1)), TCP_ICMP_IGNORED);
	assert_int_equal(tcp_icmp_error(tp, T_ISS, t_us(1)), TCP_ICMP_SOFT);
	T_RX(tp, 2, .flags = TH_ACK, .seq = 11, .ack = 1, .wnd = 8192);
	assert_int_equal(tcp_icmp_error(tp, T_ISS, t_us(2)), TCP_ICMP_IGNORED);
	T_STATE(tp, "ESTABLISHED");
}

/* RFC 9293, 3.10.7.4: a peer that did not send that SYN says so. */
static void reset_before_the_ack(void **state)
{
	struct tcpcb *tp = opened((struct t_opts){ USUAL }, (struct tcp_fo){ .accept = true }, 10);

	(void)state;
	T_TX(tp, 0, .flags = TH_SYN | TH_ACK, .ack = 11);
	t.events = 0;
	T_RX(tp, 5, .flags = TH_RST, .seq = 11);
	T_EVENTS(TCP_EV_RESET | TCP_EV_CLOSED);
	assert_true(tp->uflags & TU_SYN_OUT);
	t_end(tp);
}

/* What follows the SYN comes before the ACK, or with FIN; we close first. */
static void close_before_the_ack(void **state)
{
	struct tcpcb *tp = opened((struct t_opts){ USUAL }, (struct tcp_fo){ .accept = true }, 10);

	(void)state;
	T_TX(tp, 0, .flags = TH_SYN | TH_ACK, .ack = 11);
	assert_int_equal(tcp_user_close(tp, t_us(1)), 0);
	T_TX(tp, 1, .flags = TH_FIN | TH_ACK, .seq = 1, .ack = 11);
	T_NOTHING(tp, 1);
	T_TX(tp, 1000, .flags = TH_SYN | TH_ACK, .ack = 11);
	t.events = 0;
	T_RX(tp, 1005, .flags = TH_ACK | TH_FIN, .seq = 11, .ack = 2, .wnd = 8192);
	T_EVENTS(TCP_EV_SYN_ACKED | TCP_EV_FIN_ACKED | TCP_EV_FIN | TCP_EV_TIME_WAIT);
	T_TX(tp, 1005, .flags = TH_ACK, .seq = 2, .ack = 12);
	T_NOTHING(tp, 1005);
}

/* A shut window: the SYN,ACK's timer is not the persist timer. */
static void window_is_shut_in_the_syn(void **state)
{
	struct tcpcb *tp = opened((struct t_opts){ .mss = 1000 }, (struct tcp_fo){ .accept = true }, 0);

	(void)state;
	T_TX(tp, 0, .flags = TH_SYN | TH_ACK, .ack = 1);
	t_send(tp, 100);
	T_NOTHING(tp, 1);
	T_TX(tp, 1000, .flags = TH_SYN | TH_ACK, .ack = 1);
	T_NOTHING(tp, 1000);
	T_RX(tp, 1001, .flags = TH_ACK, .seq = 1, .ack = 1);
	T_NOTHING(tp, 1001);
	assert_true(tp->flags & TF_PERSIST);
	T_RX(tp, 1002, .flags = TH_ACK, .seq = 1, .ack = 1, .wnd = 8192);
	T_TX(tp, 1002, .flags = TH_ACK | TH_PUSH, .seq = 1, .len = 100, .ack = 1);
	T_NOTHING(tp, 1002);
}

/* More than so_rcv holds: the rest is not acknowledged. */
static void more_than_there_is_room_for(void **state)
{
	struct tcpcb *tp = opened((struct t_opts){ USUAL, .cfg.rcv_buf = 600 },
				  (struct tcp_fo){ .accept = true }, 900);

	(void)state;
	assert_int_equal(t.rx.advance, 600);
	T_TX(tp, 0, .flags = TH_SYN | TH_ACK, .ack = 601);
	T_NOTHING(tp, 0);
}

/* The owner died before the SYN,ACK left. */
static void heir_sends_the_syn_ack(void **state)
{
	struct tcpcb *tp = opened((struct t_opts){ USUAL }, (struct tcp_fo){ .accept = true }, 10);

	(void)state;
	T_TX(tp, 0, .flags = TH_SYN | TH_ACK, .ack = 11);
	tcp_inherit(tp, t_us(3));
	T_TX(tp, 3, .flags = TH_SYN | TH_ACK, .ack = 11);
	T_NOTHING(tp, 3);
}

static void room_for_data(void **state)
{
	(void)state;
	assert_int_equal(tcp_fastopen_room(1460, 0), 1420);
	assert_int_equal(tcp_fastopen_room(1460, 940), 900);
	assert_int_equal(tcp_fastopen_room(1460, 60000), 1420);
	assert_int_equal(tcp_fastopen_room(1460, 40), 0);
	assert_int_equal(tcp_fastopen_room(1460, 1), 0);
}

/* tcp_check() looks at what a hostile process may have written. */
static void hostile_cookie(void **state)
{
	struct tcpcb *tp = opening((struct t_opts){ USUAL }, FO(.room = 900), 900);

	(void)state;
	assert_int_equal(tcp_check(tp, &t.v), 0);
	tp->fo_len = TCP_FO_MAX + 1;
	assert_true(tcp_check(tp, &t.v));
	tp->fo_len = 8;
	tp->fo_kind = TCP_FO_N;
	assert_true(tcp_check(tp, &t.v));
	tp->fo_kind = TCP_FO_OPT;
	T_TX(tp, 0, .flags = TH_SYN, .len = 900);
	/* Octets that were sent are in so_snd. */
	t.v.snd_cc = 899;
	assert_true(tcp_check(tp, &t.v));
	t.v.snd_cc = 900;
	tp->uflags &= ~TU_SYN_DATA;
	assert_true(tcp_check(tp, &t.v));
}

/* RFC 9293, 3.10.7.4, fifth: only what acknowledges our SYN completes the handshake. */
static void ack_of_nothing(void **state)
{
	struct tcpcb *tp = opened((struct t_opts){ USUAL }, (struct tcp_fo){ .accept = true }, 10);

	(void)state;
	assert_true(tp->uflags & TU_SYN_DATA_OK);
	T_TX(tp, 0, .flags = TH_SYN | TH_ACK, .ack = 11);
	T_RX(tp, 1, .flags = TH_ACK, .seq = 11, .ack = 0, .wnd = 8192);
	assert_true(tp->uflags & TU_SYN_OUT);
	T_RX(tp, 2, .flags = TH_ACK, .seq = 11, .ack = 2, .wnd = 8192);
	assert_true(tp->uflags & TU_SYN_OUT);
	T_EVENTS(TCP_EV_CONNECTED | TCP_EV_DATA);
	T_RX(tp, 3, .flags = TH_ACK, .seq = 11, .ack = 1, .wnd = 8192);
	T_EVENTS(TCP_EV_SYN_ACKED);
	tp = opened((struct t_opts){ USUAL }, (struct tcp_fo){ .accept = true }, 0);
	assert_false(tp->uflags & TU_SYN_DATA_OK);
}

/* RFC 7323, 2.2: the window of a SYN is what it says; it is all there is before the ACK. */
static void window_of_a_syn_is_not_scaled(void **state)
{
	struct tcpcb *tp = opened((struct t_opts){ .mss = 1000, .wnd = 1500, .scale = 7 },
				  (struct tcp_fo){ .accept = true }, 10);

	(void)state;
	T_TX(tp, 0, .flags = TH_SYN | TH_ACK, .ack = 11);
	t_send(tp, 5000);
	T_TX(tp, 0, .flags = TH_ACK, .seq = 1, .len = 1000, .ack = 11);
	assert_int_equal(tp->snd_wnd, 1500);
	/* 500 would be silly. */
	T_NOTHING(tp, 0);
}

/* 4.1.1, and Linux's tcp_fastopen 4: where nobody asks for a cookie data goes without one;
 * and with neither there is nothing in the SYN. */
static void data_without_a_cookie(void **state)
{
	struct tcpcb *tp = opening((struct t_opts){ USUAL }, (struct tcp_fo){ .room = 900 }, 950);

	(void)state;
	T_TX_EXACT(tp, 0, .flags = TH_SYN, .len = 900, .wnd = 60000, .mss = 1000,
		   .wscale = TCP_WS_NONE);
	tp = opening((struct t_opts){ USUAL }, (struct tcp_fo){ .kind = TCP_FO_NONE }, 950);
	assert_false(tp->uflags & TU_FO_OPT);
	T_TX_EXACT(tp, 0, .flags = TH_SYN, .wnd = 60000, .mss = 1000, .wscale = TCP_WS_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(data_goes_with_the_syn),
		cmocka_unit_test(data_without_a_cookie),
		cmocka_unit_test(cookie_is_asked_for),
		cmocka_unit_test(data_is_refused),
		cmocka_unit_test(refused_data_goes_alone),
		cmocka_unit_test(refused_data_keeps_to_the_window),
		cmocka_unit_test(refused_data_is_not_short),
		cmocka_unit_test(data_is_taken_in_part),
		cmocka_unit_test(impossible_acks),
		cmocka_unit_test(plain_syn_after_a_timeout),
		cmocka_unit_test(plain_syn_when_too_big),
		cmocka_unit_test(reset_of_a_syn_with_data),
		cmocka_unit_test(text_and_fin_on_syn_ack),
		cmocka_unit_test(simultaneous_open_with_data),
		cmocka_unit_test(data_of_a_syn_is_taken),
		cmocka_unit_test(first_read_says_nothing),
		cmocka_unit_test(data_of_a_syn_is_not_taken),
		cmocka_unit_test(syn_ack_is_sent_again),
		cmocka_unit_test(rto_after_a_lost_syn),
		cmocka_unit_test(icmp_quotes_the_syn_ack),
		cmocka_unit_test(ack_of_nothing),
		cmocka_unit_test(window_of_a_syn_is_not_scaled),
		cmocka_unit_test(reset_before_the_ack),
		cmocka_unit_test(close_before_the_ack),
		cmocka_unit_test(window_is_shut_in_the_syn),
		cmocka_unit_test(more_than_there_is_room_for),
		cmocka_unit_test(heir_sends_the_syn_ack),
		cmocka_unit_test(room_for_data),
		cmocka_unit_test(hostile_cookie),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
