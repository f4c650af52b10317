/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_tcp_hostile.c - blocks that somebody else has written into
 *
 * tcp_check() lets through what harms nobody: whatever passes is run through
 * every entry point, under ASan and UBSan in one build.  Random octets alone
 * never pass, so most blocks are real ones in which some fields are spoilt.
 */
#include "tests/unit/t_tcp.h"
#include "stack/engine/tcp_var.h"

#define N_BLOCKS	200000
#define MAX_SEGMENTS	200000

static uint64_t x;

static uint64_t rnd(uint64_t n)
{
	uint64_t z = x += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return (z ^ (z >> 31)) % n;
}

/* A number near something that matters, or any. */
static uint32_t odd_number(const struct tcpcb *tp)
{
	const uint32_t near[] = { 0, UINT32_MAX, 1u << 31, tp->snd_una, tp->snd_nxt, tp->rcv_nxt,
				  tp->rcv_nxt + tp->rcv_wnd, tp->snd_una + tp->snd_wnd };

	if (rnd(4) == 0)
		return (uint32_t)rnd(1ull << 32);
	return near[rnd(sizeof(near) / sizeof(near[0]))] + (uint32_t)rnd(5000) - 2500;
}

/* A real block, in some state, with data under way both ways. */
static struct tcpcb *real_block(void)
{
	struct t_opts o = { .mss = rnd(2) ? 1000 : 61440, .wnd = 60000, .sack = rnd(2), .ts = rnd(2),
			    .scale = (uint8_t)rnd(3) };
	struct tcp_seg seg;
	struct tcpcb *tp;

	switch (rnd(9)) {
	case 0:
		return t_syn_sent(o);
	case 1:
		return t_syn_received(o);
	case 2:
		return t_fin_wait_1(o);
	case 3:
		return t_fin_wait_2(o);
	case 4:
		return t_time_wait(o);
	case 5:
		tp = t_close_wait(o);
		break;
	default:
		tp = t_established(o);
		break;
	}
	t_send(tp, (uint32_t)rnd(20000));
	while (tcp_output(tp, &t.v, t_us(0), &seg) > 0)
		;
	if (rnd(2) && tp->state == TCPS_ESTABLISHED)
		T_RX(tp, 1, .flags = TH_ACK, .seq = 2001, .ack = 1, .len = 500, .wnd = 60000);
	if (rnd(2) && tp->snd_nxt - tp->snd_una > 3000)
		T_RX(tp, 1, .flags = TH_ACK, .seq = 1, .ack = 1, .wnd = 60000, .n_sack = 1,
		     .sack = { { 1001, 2501 } });
	if (rnd(3) == 0)
		tcp_user_close(tp, t_us(1));
	while (rnd(2) && tcp_output(tp, &t.v, t_us(1), &seg) > 0)
		;
	return tp;
}

/* Runs that could be: any marks and times, from SND.UNA to SND.NXT */
static void a_scoreboard(struct tcpcb *tp)
{
	uint32_t start = tp->snd_una;
	struct tcp_run *r;

	tp->sacked_out = 0;
	tp->lost_out = 0;
	for (tp->n_runs = 0; start != tp->snd_nxt; tp->n_runs++) {
		r = &tp->run[tp->n_runs];
		r->end = tp->snd_nxt;
		if (tp->n_runs < TCP_N_RUNS - 1 && rnd(20))
			r->end = seq_min(r->end, start + 1 + (uint32_t)rnd(600));
		r->sent = (uint32_t)rnd(1u << 29) & RUN_CLOCK_MASK;
		r->mark = (uint8_t)rnd(8) & 7;
		if (r->mark & RUN_SACKED)
			tp->sacked_out += r->end - start;
		else if (r->mark & RUN_LOST)
			tp->lost_out += r->end - start;
		start = r->end;
	}
}

/* Some 32-bit words, or single octets, are other ones. */
static void spoil(struct tcpcb *tp)
{
	uint8_t *p = (uint8_t *)tp;
	uint64_t n = rnd(4);
	uint32_t v;

	while (n--) {
		if (rnd(3)) {
			v = odd_number(tp);
			memcpy(p + 4 * rnd(sizeof(*tp) / 4), &v, 4);
		} else {
			p[rnd(sizeof(*tp))] = (uint8_t)rnd(rnd(2) ? 256 : 40);
		}
	}
	/* Ranges that could be */
	if (rnd(4) == 0 && tp->snd_nxt != tp->snd_una)
		a_scoreboard(tp);
	if (rnd(4) == 0) {
		v = tp->rcv_nxt;
		for (tp->n_ooo = 0; tp->n_ooo < TCP_N_OOO && rnd(10); tp->n_ooo++) {
			tp->ooo[tp->n_ooo].start = v += 1 + (uint32_t)rnd(300);
			tp->ooo[tp->n_ooo].end = v += 1 + (uint32_t)rnd(300);
		}
	}
}

/* Run tcp_output() dry: it ends, and stays within so_snd. */
static void drain(struct tcpcb *tp, uint64_t now_us)
{
	struct tcp_seg seg;
	uint8_t th[TCP_HDR_MAX];
	char text[300];
	int n = 0;

	while (tcp_output(tp, &t.v, now_us, &seg) > 0) {
		if (seg.len)
			assert_true(seg.off <= t.v.snd_cc && seg.len <= t.v.snd_cc - seg.off);
		assert_true(seg.n_sack <= TCP_SEG_SACKS);
		if (n++ < 20) {
			assert_in_range(tcp_seg_build(&seg, th), 20, TCP_HDR_MAX);
			tcp_seg_str(&seg, text, sizeof(text));
		}
		assert_true(n < MAX_SEGMENTS);
	}
}

static void input(struct tcpcb *tp, uint64_t now_us)
{
	struct tcp_seg seg = {
		.flags = (uint8_t)(rnd(4) ? TH_ACK : rnd(256)),
		.seq = rnd(2) ? tp->rcv_nxt : odd_number(tp),
		.ack = rnd(2) ? tp->snd_nxt : odd_number(tp), .len = (uint32_t)rnd(3000),
		.wnd = (uint16_t)rnd(65536), .mss = (uint16_t)rnd(65536),
		.wscale = (uint8_t)rnd(15), .has_ts = rnd(2), .tsval = tp->ts_recent,
		.tsecr = odd_number(tp), .n_sack = (uint8_t)rnd(TCP_SEG_SACKS + 1),
		.sack_permitted = rnd(2),
	};
	unsigned int i;

	for (i = 0; i < TCP_SEG_SACKS; i++) {
		seg.sack[i].start = odd_number(tp);
		seg.sack[i].end = seg.sack[i].start + (uint32_t)rnd(3000);
	}
	tcp_input(tp, &t.v, &seg, now_us, &t.rx);
	assert_true(t.rx.acked <= t.v.snd_cc);
	if (t.rx.events & TCP_EV_DATA)
		assert_true(t.rx.data_off <= seg.len && t.rx.data_len <= seg.len - t.rx.data_off);
	t.v.snd_cc -= t.rx.acked;
}

/* Whatever passed the check: every entry point.  Return: false if it did not pass. */
static bool run(struct tcpcb *tp)
{
	uint64_t now_us = t_us(rnd(100000));
	int i;

	/* tcp_invariant() and the text functions read it unchecked. */
	tcp_invariant(tp, &t.v);
	if (tcp_check(tp, &t.v))
		return false;
	for (i = 0; i < 4; i++) {
		switch (rnd(8)) {
		case 0:
			t.v.snd_cc += (uint32_t)rnd(5000);
			tcp_user_send(tp, &t.v, now_us);
			break;
		case 1:
			t.v.rcv_space = odd_number(tp);
			tcp_user_recv(tp, &t.v, now_us);
			break;
		case 2:
			tcp_user_close(tp, now_us);
			break;
		case 3:
			if (rnd(4) == 0)
				tcp_user_abort(tp, now_us);
			else
				tcp_inherit(tp, now_us);
			break;
		case 4:
		case 5:
			now_us += rnd(400000);
			tcp_timers(tp, &t.v, now_us, &t.rx);
			/* No spinning: what was due is done. */
			assert_true(tcp_poll_at(tp) > now_us);
			break;
		default:
			input(tp, now_us);
			break;
		}
		if (rnd(4))
			drain(tp, now_us);
		/* A child checks before each run, for the owner may write again. */
		if (tcp_check(tp, &t.v))
			break;
	}
	return true;
}

static void spoilt_blocks(void **state)
{
	unsigned int i, n_passed = 0;

	(void)state;
	for (i = 0; i < N_BLOCKS; i++) {
		struct tcpcb *tp;

		x = i;
		tp = real_block();
		spoil(tp);
		n_passed += run(tp);
	}
	/* The test means something only if many pass. */
	assert_in_range(n_passed, N_BLOCKS / 10, N_BLOCKS);
}

/* Random octets, with so much set right that some pass */
static void random_blocks(void **state)
{
	unsigned int i, j;

	(void)state;
	for (i = 0; i < N_BLOCKS; i++) {
		struct tcpcb b, *tp = t_init((struct t_opts){ .mss = 1000 });

		x = ~(uint64_t)i;
		for (j = 0; j < sizeof(b); j++)
			((uint8_t *)&b)[j] = (uint8_t)rnd(256);
		if (i % 2) {
			b.state = (uint8_t)rnd(TCPS_NSTATES);
			b.ca_state = (uint8_t)rnd(TCP_CA_NSTATES);
			b.flags &= TF_ALL & ~(TF_REO | TF_RCVFIN);
			b.snd_scale %= 15;
			b.rcv_scale %= 15;
			b.n_ooo = 0;
			b.quickack %= 17;
			b.rcv_buf &= 0xffffff;
			b.rcv_wnd &= 0xffffff;
			b.snd_wnd &= 0xffffff;
			b.max_sndwnd &= 0xffffff;
			b.snd_cwnd = 1 + (b.snd_cwnd & 0xfffff);
			b.snd_ssthresh &= 0xffffff;
			b.prior_cwnd &= 0xffffff;
			b.prior_ssthresh &= 0xffffff;
			b.rack_rtt_us %= 60000000;
			b.rto_us = 1000 + b.rto_us % 100000000;
			b.rto_min_us %= 100000000;
			b.srtt_us %= 60000000;
			b.rttvar_us %= 60000000;
			b.msl_us = 1 + b.msl_us % 1000000000;
			b.fin_wait_2_us = 1 + b.fin_wait_2_us % 1000000000;
			b.eff_mss_max |= 1 << 10;
			b.snd_mss |= 1 << 10;
			b.snd_nxt = b.snd_una + (uint32_t)rnd(20000);
			b.snd_max = b.snd_nxt;
			b.frto %= FRTO_N;
			b.rec_flags &= RF_ALL;
			b.cc_algo %= TCP_CC_N;
			b.recover_fs |= 1;
			a_scoreboard(&b);
			b.recover = b.snd_una + (uint32_t)rnd(20000);
			t.v.snd_cc = b.snd_nxt - b.snd_una + (uint32_t)rnd(100);
		}
		*tp = b;
		run(tp);
	}
}

/* More runs than are kept, of two kinds in turn, and nothing SACKed: what is to
 * be sent again comes to an end. */
static void runs_of_two_kinds(void **state)
{
	static const uint8_t marks[][2] = {
		{ RUN_LOST | RUN_AGAIN, RUN_LOST }, { 0, RUN_LOST }, { RUN_AGAIN, RUN_LOST },
	};
	unsigned int i, j, len;

	(void)state;
	for (i = 0; i < 6; i++) {
		struct tcpcb *tp = T_ESTABLISHED(.mss = 1000, .wnd = 60000, .sack = true);

		len = i % 2 ? 1000 : 1700;
		tp->snd_cwnd = 60000;
		t_send(tp, TCP_N_RUNS * len);
		drain(tp, t_us(0));
		tcp_loss_all(tp);
		tp->lost_out = 0;
		tp->n_runs = TCP_N_RUNS;
		for (j = 0; j < TCP_N_RUNS; j++) {
			tp->run[j].end = tp->snd_una + (j + 1) * len;
			tp->run[j].sent = j & RUN_CLOCK_MASK;
			tp->run[j].mark = marks[i / 2][j % 2] & 7;
			if (tp->run[j].mark & RUN_LOST)
				tp->lost_out += len;
		}
		assert_int_equal(tcp_check(tp, &t.v), 0);
		drain(tp, t_us(1));
		assert_int_equal(tcp_check(tp, &t.v), 0);
	}
}

/* What an undo restores, and what RACK adds to, is bounded as what we compute. */
static void recovery_is_bounded(void **state)
{
	struct tcpcb *tp = T_ESTABLISHED(.mss = 1000, .wnd = 60000, .sack = true);
	uint32_t *const fields[] = { &tp->prior_cwnd, &tp->prior_ssthresh, &tp->rack_rtt_us };
	const uint32_t max[] = { TCP_CWND_MAX, TCP_CWND_MAX, TCP_RTT_MAX_US };
	unsigned int i;

	(void)state;
	for (i = 0; i < 3; i++) {
		*fields[i] = max[i];
		assert_int_equal(tcp_check(tp, &t.v), 0);
		*fields[i] = max[i] + 1;
		assert_int_not_equal(tcp_check(tp, &t.v), 0);
		*fields[i] = 0;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spoilt_blocks),
		cmocka_unit_test(random_blocks),
		cmocka_unit_test(runs_of_two_kinds),
		cmocka_unit_test(recovery_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
