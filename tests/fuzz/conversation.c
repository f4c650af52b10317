/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conversation.c - two engines talk; the input decides what happens to them
 *
 * The first octets configure both ends.  Then each octet is an event: a packet
 * of the network is delivered, lost, doubled or held back; a middlebox changes,
 * splits or cuts it; the path takes less; an application writes, reads, closes,
 * aborts or leaves, and sets options; time passes; an owner dies and another
 * inherits, or has no room; somebody forges a segment, or an ICMP error.  In the
 * end the network is perfect, the applications write no more, read and close,
 * and both ends must come to CLOSED.
 *
 * The engine never sees data, so none is carried: a packet knows which octet
 * of its sender's stream its payload begins with, and the receiver's owner
 * checks that it is the one it expects.  A host to which something was forged
 * may be deceived (whoever knows the numbers can write into the stream): from
 * then on only that the engine holds its own rules is checked.
 */
#include <stdbool.h>
#include <string.h>

#include "stack/engine/tcp.h"
#include "stack/engine/tcp_seq.h"
#include "tests/fuzz/fuzz.h"

#define N_PACKETS	64		/* on the way; one more is lost */
#define N_ASIDE		16		/* segments an owner keeps out of order */
#define MAX_SEGMENTS	100000
#define MAX_EVENTS	400
#define MAX_ROUNDS	20000		/* of the perfect network */
#define WND_MAX		65535u
#define BUF_MAX		(1u << 20)

/* How a connection begins; the rest is begin_fast()'s */
#define BEGIN_BOTH	0x01u		/* simultaneous open */
#define BEGIN_COOKIE	0x40u		/* who listens remembers nothing of a SYN */
#define BEGIN_TW	0x80u		/* TIME-WAIT goes on without a block */

struct packet {
	struct tcp_seg seg;
	uint64_t at;		/* of the sender's stream: octet 0 of the payload */
	unsigned int to;
};

/* Octets kept aside: what they are in the peer's stream, what they are numbered. */
struct aside {
	uint32_t seq, len;
	uint64_t at;
};

struct host {
	struct tcpcb tp;
	struct tcp_config cfg;
	struct tcp_view v;
	uint64_t n_acked;	/* octets of our stream that left so_snd */
	uint64_t n_in_order;	/* octets of the peer's stream that are in so_rcv or were read */
	uint32_t rcv_cc;	/* in so_rcv */
	uint32_t rcv_nxt;	/* as the owner counts it */
	struct aside aside[N_ASIDE];
	unsigned int n_aside;
	struct tcp_user_opts opts;
	struct tcp_tw tw;	/* if in_tw */
	struct tcp_seg syn;	/* what a cookie of ours was for; no flags: none */
	uint32_t too_big_seq;	/* if is_too_big: the path did not take it */
	bool deceived, shut, dead, in_tw, is_too_big;
};

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static struct host host[2];
static struct packet net[N_PACKETS];
static unsigned int n_net;
static uint64_t now_us;
static bool anything_forged;
static uint32_t path_mss;	/* a larger segment vanishes; 0: none does */
static bool path_says;		/* ... and ICMP says so */
static uint8_t how_begun;

/* --- the owner ---------------------------------------------------------------- */

static void look(struct host *h)
{
	uint32_t used = h->rcv_cc;

	h->v.rcv_space = used < h->cfg.rcv_buf ? h->cfg.rcv_buf - used : 0;
	h->v.ooo_room = N_ASIDE - h->n_aside;
	if (tcp_check(&h->tp, &h->v))
		fuzz_fail("tcp_check() fails in %s", tcps_names[h->tp.state]);
}

/* What is not in the header does not arrive.  The text is never looked at. */
static int through_header(const struct tcp_seg *seg, struct tcp_seg *read)
{
	static uint8_t th[TCP_HDR_MAX + WND_MAX];
	int n = tcp_seg_build(seg, th);

	if (tcp_seg_parse(read, th, (size_t)n + seg->len) != n)
		fuzz_fail("a segment we built cannot be read");
	read->ecn = seg->ecn;
	return n;
}

static void put_on_net(struct host *from, const struct tcp_seg *seg)
{
	struct packet p = { .to = from == &host[0], .at = from->n_acked + seg->off };
	int n = through_header(seg, &p.seg);

	if (path_mss && seg->len + (uint32_t)n - 20 > path_mss) {
		from->is_too_big = path_says;
		from->too_big_seq = seg->seq;
		return;
	}
	if (n_net < N_PACKETS)
		net[n_net++] = p;
}

/* The connection goes on without a block, as connserver/ has it. */
static void enter_time_wait(struct host *h)
{
	if (!(how_begun & BEGIN_TW) || !h->v.closed || h->tp.state != TCPS_TIME_WAIT)
		return;
	tcp_tw_init(&h->tw, &h->tp);
	tcp_user_abort(&h->tp, now_us);
	h->in_tw = true;
	h->dead = true;
}

/* All that is owed goes out. */
static void flush_once(struct host *h)
{
	struct tcp_seg seg;
	const char *wrong;
	unsigned int n = 0;

	look(h);
	while (tcp_output(&h->tp, &h->v, now_us, &seg) > 0) {
		if (++n > MAX_SEGMENTS)
			fuzz_fail("tcp_output() does not end");
		if (seg.len && (seg.off > h->v.snd_cc || seg.len > h->v.snd_cc - seg.off))
			fuzz_fail("sends what is not in so_snd");
		put_on_net(h, &seg);
		look(h);
	}
	wrong = tcp_invariant(&h->tp, &h->v);
	if (wrong)
		fuzz_fail("%s, in %s", wrong, tcps_names[h->tp.state]);
	enter_time_wait(h);
}

static void flush(struct host *h)
{
	flush_once(h);
	if (!h->is_too_big)
		return;
	h->is_too_big = false;
	tcp_icmp_too_big(&h->tp, h->too_big_seq, path_mss, now_us);
	flush_once(h);
}

static void keep_aside(struct host *h, const struct tcp_rx *rx, uint64_t at)
{
	if (h->n_aside == N_ASIDE)
		fuzz_fail("more kept aside than there is room for");
	h->aside[h->n_aside++] = (struct aside){ rx->data_seq, rx->data_len, at };
}

/* RCV.NXT has moved over what was kept aside: it was kept, and is the right one. */
static void join_aside(struct host *h, uint32_t to)
{
	bool moved = true;

	while (moved && h->rcv_nxt != to) {
		moved = false;
		for (unsigned int i = 0; i < h->n_aside; i++) {
			struct aside *a = &h->aside[i];
			uint32_t skip = h->rcv_nxt - a->seq;

			if (seq_gt(a->seq, h->rcv_nxt) || skip >= a->len)
				continue;
			if (!h->deceived && a->at + skip != h->n_in_order)
				fuzz_fail("octets that were kept aside are in a wrong place");
			h->rcv_nxt += a->len - skip;
			h->n_in_order += a->len - skip;
			h->rcv_cc += a->len - skip;
			moved = true;
		}
	}
	if (h->rcv_nxt != to)
		fuzz_fail("advance over octets that nobody kept");
	for (unsigned int i = 0; i < h->n_aside; )
		if (seq_leq(h->aside[i].seq + h->aside[i].len, h->rcv_nxt))
			h->aside[i] = h->aside[--h->n_aside];
		else
			i++;
}

static void take_data(struct host *h, const struct packet *p, const struct tcp_rx *rx)
{
	uint64_t at = p->at + rx->data_off;
	uint32_t to = h->rcv_nxt + rx->advance;

	if (rx->data_off > p->seg.len || rx->data_len > p->seg.len - rx->data_off)
		fuzz_fail("takes more than the segment has");
	if (rx->data_seq != h->rcv_nxt) {
		if (rx->advance)
			fuzz_fail("advance by what is out of order");
		keep_aside(h, rx, at);
		return;
	}
	if (!h->deceived && at != h->n_in_order)
		fuzz_fail("octet %llu arrives as %llu", (unsigned long long)at,
			  (unsigned long long)h->n_in_order);
	if (rx->data_len > rx->advance)
		fuzz_fail("takes more than it advances");
	h->rcv_nxt += rx->data_len;
	h->n_in_order += rx->data_len;
	h->rcv_cc += rx->data_len;
	join_aside(h, to);
	if (h->rcv_cc > h->cfg.rcv_buf)
		fuzz_fail("more than so_rcv holds");
}

static void take_events(struct host *h, const struct tcp_rx *rx)
{
	const uint32_t broken = TCP_EV_RESET | TCP_EV_REFUSED | TCP_EV_TIMEDOUT;

	if (rx->events & broken && h->tp.state != TCPS_CLOSED)
		fuzz_fail("broken, but in %s", tcps_names[h->tp.state]);
	if (rx->events & TCP_EV_FIN)
		h->rcv_nxt++;
	if (!(rx->events & TCP_EV_CLOSED))
		return;
	h->dead = true;
	h->v.snd_cc = 0;
	h->n_aside = 0;
}

/* Return: go on with it, as one that belongs to no connection? */
static bool time_wait(struct host *h, const struct tcp_seg *seg)
{
	struct tcp_seg out;

	switch (tcp_tw_input(&h->tw, seg, now_us, &out)) {
	case TCP_TW_ANSWER:
	case TCP_TW_FIN:
		put_on_net(h, &out);
		return false;
	case TCP_TW_IGNORE:
		return false;
	default:
		h->in_tw = false;
		return true;
	}
}

/* SYN cookies (RFC 4987, 3.6): a SYN,ACK from a block that is forgotten; and the ACK that
 * shows it.  Return: go on with the segment? */
static bool listen_with_cookies(struct host *h, const struct tcp_seg *seg)
{
	struct tcpcb tp = h->tp;
	struct tcp_seg out;
	struct tcp_rx rx;

	if ((seg->flags & (TH_SYN | TH_ACK | TH_RST)) == TH_SYN) {
		h->syn = *seg;
		h->syn.len = 0;
		h->syn.fo_kind = TCP_FO_NONE;
		tcp_input(&tp, &h->v, &h->syn, now_us, &rx);
		while (tcp_output(&tp, &h->v, now_us, &out) > 0)
			put_on_net(h, &out);
		return false;
	}
	if ((seg->flags & (TH_SYN | TH_ACK | TH_RST)) != TH_ACK || !h->syn.flags ||
	    seg->seq != h->syn.seq + 1 || seg->ack != h->tp.iss + 1)
		return true;
	tcp_init(&h->tp, &h->cfg);
	if (tcp_user_open_answered(&h->tp, &h->v, tp.iss, &h->syn, now_us))
		fuzz_fail("OPEN, answered, fails");
	return true;
}

static void arrive(const struct packet *p)
{
	struct host *h = &host[p->to];
	struct tcp_seg rst;
	struct tcp_rx rx;

	if (h->in_tw && !time_wait(h, &p->seg))
		return;
	if (h->tp.state == TCPS_CLOSED) {
		if (tcp_reset_for(&p->seg, &rst))
			put_on_net(h, &rst);
		return;
	}
	look(h);
	if (h->tp.state == TCPS_LISTEN && how_begun & BEGIN_COOKIE &&
	    !listen_with_cookies(h, &p->seg))
		return;
	look(h);
	tcp_input(&h->tp, &h->v, &p->seg, now_us, &rx);
	if (rx.acked > h->v.snd_cc)
		fuzz_fail("more acknowledged than so_snd holds");
	h->v.snd_cc -= rx.acked;
	h->n_acked += rx.acked;
	if (rx.events & TCP_EV_CONNECTED)
		h->rcv_nxt = h->tp.irs + 1;
	if (rx.events & TCP_EV_DATA)
		take_data(h, p, &rx);
	take_events(h, &rx);
	if (h->tp.state >= TCPS_ESTABLISHED && h->rcv_nxt != h->tp.rcv_nxt)
		fuzz_fail("RCV.NXT is %u, the owner counts %u, in %s", h->tp.rcv_nxt, h->rcv_nxt,
			  tcps_names[h->tp.state]);
}

static void timers(struct host *h)
{
	struct tcp_rx rx;

	look(h);
	tcp_timers(&h->tp, &h->v, now_us, &rx);
	take_events(h, &rx);
	flush(h);
	if (tcp_poll_at(&h->tp) <= now_us)
		fuzz_fail("a timer does not move on, in %s", tcps_names[h->tp.state]);
}

/* To the next deadline of either, at least @us. */
static void pass_time(uint64_t us)
{
	now_us += us;
	for (int i = 0; i < 2; i++)
		if (tcp_poll_at(&host[i].tp) <= now_us)
			timers(&host[i]);
}

/* --- the network ------------------------------------------------------------------ */

static struct packet take_packet(unsigned int i)
{
	struct packet p = net[i];

	memmove(net + i, net + i + 1, (--n_net - i) * sizeof(*net));
	return p;
}

static void deliver(unsigned int i)
{
	struct packet p = take_packet(i);

	arrive(&p);
	flush(&host[p.to]);
}

static uint32_t near_to(struct fuzz_in *in, const struct tcpcb *tp)
{
	const uint32_t mark[] = { tp->snd_una, tp->snd_nxt, tp->rcv_nxt, tp->rcv_nxt + tp->rcv_wnd,
				  tp->snd_una + tp->snd_wnd, tp->irs, tp->iss, 0 };
	uint8_t how = in_u8(in);

	return mark[how & 7] + (how & 8 ? (uint32_t)(int16_t)in_u16(in) : (uint32_t)(how >> 4) - 2);
}

static void forge(struct fuzz_in *in, unsigned int to)
{
	struct host *h = &host[to];
	uint8_t how = in_u8(in), flags = in_u8(in);
	struct packet p = { .to = to };
	struct tcp_seg seg = {
		.flags = how & 1 ? flags : TH_ACK, .seq = near_to(in, &h->tp),
		.ack = near_to(in, &h->tp), .len = in_len(in), .wnd = in_u16(in),
		.wscale = how & 2 ? in_u8(in) & 15 : TCP_WS_NONE, .sack_permitted = how & 4,
		.mss = how & 8 ? in_u16(in) : 0, .has_ts = how & 16, .n_sack = how >> 5 & 3,
		.up = flags & TH_URG ? in_u16(in) : 0,
	};

	seg.len = min_u32(seg.len, WND_MAX);
	if (seg.has_ts) {
		seg.tsval = h->tp.ts_recent + (uint32_t)(int8_t)in_u8(in);
		seg.tsecr = (uint32_t)(now_us / 1000) + h->tp.ts_offset - in_u8(in);
	}
	for (unsigned int i = 0; i < seg.n_sack; i++) {
		seg.sack[i].start = near_to(in, &h->tp);
		seg.sack[i].end = seg.sack[i].start + in_len(in);
	}
	if (seg.flags & TH_SYN)
		seg.n_sack = 0;
	else
		seg.mss = 0;
	h->deceived = true;
	anything_forged = true;
	through_header(&seg, &p.seg);
	arrive(&p);
	flush(h);
}

/* ICMP about what was sent, or was not. */
static void forge_icmp(struct fuzz_in *in, struct host *h)
{
	uint32_t seq = near_to(in, &h->tp);
	uint16_t mss = in_u16(in);

	if (mss) {
		tcp_icmp_too_big(&h->tp, seq, mss, now_us);
	} else if (tcp_icmp_error(&h->tp, seq, now_us) == TCP_ICMP_FATAL) {
		h->dead = true;
		h->v.snd_cc = 0;
	}
	flush(h);
}

/* What follows the first @n octets of @p is a packet of its own. */
static void split(struct packet *p, uint32_t n)
{
	struct packet *rest = &net[n_net];

	if (n_net == N_PACKETS || !n || n >= p->seg.len || p->seg.flags & TH_SYN)
		return;
	n_net++;
	*rest = *p;
	rest->at += n;
	rest->seg.seq += n;
	rest->seg.len -= n;
	rest->seg.flags &= (uint8_t)~(TCP_TH_CWR | (p->seg.up > n ? 0 : TH_URG));
	rest->seg.up = (uint16_t)(p->seg.up - n);
	p->seg.len = n;
	p->seg.flags &= (uint8_t)~(TH_FIN | TH_PUSH);
}

/* A middlebox, or a router with a long queue. */
static void mangle(struct fuzz_in *in, struct packet *p)
{
	uint8_t how = in_u8(in), what = how >> 3;

	switch (how & 7) {
	case 0:
		p->seg.ecn = p->seg.ecn ? TCP_ECN_CE : 0;
		break;
	case 1:
		split(p, in_len(in));
		break;
	case 2:
		if (!(p->seg.flags & (TH_SYN | TH_RST)))
			p->seg.wnd = (uint16_t)(p->seg.wnd >> (what & 15));
		break;
	case 3:
		if (p->seg.mss)
			p->seg.mss = (uint16_t)min_u32(p->seg.mss, 48 + in_len(in));
		break;
	default:
		p->seg.has_ts &= !(what & 1);
		p->seg.n_sack &= what & 2 ? 0 : 7;
		p->seg.sack_permitted &= !(what & 4);
		p->seg.uto &= what & 8 ? 0 : 0xffff;
		if (what & 16)
			p->seg.wscale = TCP_WS_NONE;
		break;
	}
}

/* Another path. */
static void new_path(struct fuzz_in *in)
{
	uint8_t how = in_u8(in);

	path_says = how & 1;
	path_mss = how & 2 ? 48 + in_len(in) : 0;
}

/* --- the applications --------------------------------------------------------------- */

/* What is a matter of a few segments with a large MSS would be one of thousands. */
static uint32_t write_max(const struct host *h)
{
	return min_u32(60000, 100u * h->cfg.mss);
}

static void app_write(struct host *h, uint32_t n)
{
	if (h->shut || h->dead || h->tp.state < TCPS_ESTABLISHED || h->v.snd_cc + n > write_max(h))
		return;
	h->v.snd_cc += n;
	look(h);
	if (tcp_user_send(&h->tp, &h->v, now_us))
		fuzz_fail("SEND fails in %s", tcps_names[h->tp.state]);
	flush(h);
}

static void app_read(struct host *h, uint32_t n)
{
	h->rcv_cc -= min_u32(n, h->rcv_cc);
	look(h);
	tcp_user_recv(&h->tp, &h->v, now_us);
	flush(h);
}

static void app_close(struct host *h)
{
	h->shut = true;
	tcp_user_close(&h->tp, now_us);
	flush(h);
}

/* No descriptor is left. */
static void leave(struct host *h)
{
	h->v.closed = true;
	if (!h->shut)
		app_close(h);
	tcp_disown(&h->tp, 0, now_us);
	flush(h);
}

/* What was kept out of order is gone (RFC 2018 allows it). */
static void inherit(struct host *h)
{
	h->n_aside = 0;
	tcp_inherit(&h->tp, now_us);
	flush(h);
}

static void app_opts(struct fuzz_in *in, struct host *h)
{
	struct tcp_user_opts *o = &h->opts;
	uint8_t how = in_u8(in);

	o->nodelay = how & 1;
	o->cork = how & 2;
	if (how & 4)
		o->user_timeout_ms = in_len(in) * 100;
	if (how & 8)
		o->adv_uto_s = in_u16(in);
	if (how & 16)
		o->window_clamp = in_len(in);
	if (how & 32)
		o->fin_wait_2_us = 1 + in_len(in) * 1000;
	if (how & 64) {
		o->keep_idle_us = in_u8(in) * 1000000ull;
		o->keep_intvl_us = (1 + in_u8(in)) * 1000000ull;
		o->keep_count = (uint8_t)(1 + in_u8(in) % 20);
	}
	if (how & 128)
		o->syn_retries = (uint8_t)(1 + in_u8(in) % 10);
	tcp_user_opts(&h->tp, o, now_us);
}

/* What else an application asks for, or its owner needs. */
static void app_wish(struct fuzz_in *in, struct host *h)
{
	switch (in_u8(in) & 7) {
	case 0:
		tcp_user_more(&h->tp);
		break;
	case 1:
		if (h->v.snd_cc && h->tp.state >= TCPS_ESTABLISHED && !h->shut)
			tcp_user_urgent(&h->tp, &h->v);
		break;
	case 2:
		tcp_user_quickack(&h->tp, in_u8(in) & 1);
		break;
	case 3:
		tcp_user_congestion(&h->tp, in_u8(in) % TCP_CC_N);
		break;
	case 4:
		h->cfg.rcv_buf = min_u32(h->cfg.rcv_buf + in_len(in), BUF_MAX);
		tcp_user_rcv_buf(&h->tp, h->cfg.rcv_buf);
		break;
	case 5:
		h->n_aside = 0;
		tcp_renege(&h->tp);
		break;
	default:
		app_opts(in, h);
		break;
	}
	flush(h);
}

static void app_event(struct fuzz_in *in, struct host *h, unsigned int what)
{
	switch (what) {
	case 0:
		app_write(h, in_len(in));
		break;
	case 1:
		app_read(h, in_len(in));
		break;
	case 2:
		app_close(h);
		break;
	case 3:
		tcp_user_nodelay(&h->tp, in_u8(in) & 1);
		flush(h);
		break;
	case 4:
		tcp_user_keepalive(&h->tp, in_u8(in) * 1000000u, (1 + in_u8(in)) * 1000000u,
				   (uint8_t)(1 + in_u8(in) % 20), now_us);
		flush(h);
		break;
	case 5:
		inherit(h);
		break;
	case 6:
		leave(h);
		break;
	default:
		/* Of what breaks the connection, the rarest */
		if (in_u8(in) != 'A')
			break;
		tcp_user_abort(&h->tp, now_us);
		h->v.snd_cc = 0;
		flush(h);
		h->dead = true;
		break;
	}
}

/* --- the conversation -------------------------------------------------------------------- */

static void event(struct fuzz_in *in)
{
	uint8_t op = in_u8(in);
	unsigned int which = op >> 4;

	switch (op & 15) {
	case 0: case 1: case 2: case 3:
		if (n_net)
			deliver(which % n_net);
		break;
	case 4:
		if (n_net)
			take_packet(which % n_net);
		break;
	case 5:
		if (n_net && n_net < N_PACKETS) {
			net[n_net] = net[which % n_net];
			n_net++;
		}
		break;
	case 6:
		pass_time(1ull << (which + 4));
		break;
	case 7:
		now_us = min_u64(tcp_poll_at(&host[which & 1].tp), now_us + 3600000000u);
		pass_time(0);
		break;
	case 8:
		while (n_net)
			deliver(0);
		break;
	case 9:
		forge(in, which & 1);
		break;
	case 10:
		app_event(in, &host[which & 1], which >> 1);
		break;
	case 11:
		app_wish(in, &host[which & 1]);
		break;
	case 12:
		forge_icmp(in, &host[which & 1]);
		break;
	case 13:
		if (n_net)
			mangle(in, &net[which % n_net]);
		break;
	case 14:
		new_path(in);
		break;
	default:
		/* A train: all that is there, the last first. */
		while (n_net)
			deliver(n_net - 1);
		break;
	}
}

/* Data in the SYN, and whether it is taken: bits of @how. */
static void begin_fast(uint8_t how)
{
	struct tcp_fo fo = { .kind = how >> 1 & 1 ? TCP_FO_EXP : TCP_FO_OPT, .len = 8,
			     .room = tcp_fastopen_room(host[0].cfg.mss, 0) };

	if (how & 4) {
		host[0].v.snd_cc = (how & 8 ? 2 : 1) * fo.room;
		tcp_user_fastopen(&host[0].tp, &fo);
	}
	fo.accept = how & 16;
	if (how & 32)
		fo.kind = TCP_FO_NONE;
	fo.room = 0;
	if (host[1].tp.state == TCPS_LISTEN)
		tcp_user_fastopen(&host[1].tp, &fo);
}

static void begin(struct fuzz_in *in)
{
	static const uint16_t mss[] = { 48, 536, 1460, 8192, 61440, 61464, 1000, 1448 };
	uint8_t how, buf;

	memset(host, 0, sizeof(host));
	n_net = 0;
	anything_forged = false;
	path_mss = 0;
	now_us = 1000000;
	for (int i = 0; i < 2; i++) {
		struct host *h = &host[i];

		how = in_u8(in);
		buf = in_u8(in);
		h->cfg = (struct tcp_config){
			.mss = mss[how & 7], .rcv_buf = 1u << (10 + (buf % 9)),
			.ecn = buf / 9 % 3, .mtu_probing = buf / 27 % 3, .cc = buf / 81 & 1,
			.base_mss = buf / 81 & 2 ? 48 : 0,
			.eff_mss_max = how & 8 ? 4096 : 0, .no_sack = how & 16, .no_ts = how & 32,
			.no_ws = how & 64, .nodelay = how & 128,
		};
		h->opts.nodelay = h->cfg.nodelay;
		tcp_init(&h->tp, &h->cfg);
	}
	/* Simultaneous open is a way to begin, too; and Fast Open. */
	how = in_u8(in);
	how_begun = how;
	if (how & BEGIN_BOTH)
		tcp_user_open_active(&host[1].tp, 0xfffffff0u, now_us);
	else
		tcp_user_open_passive(&host[1].tp, 0x7ffffff0u, now_us);
	begin_fast(how);
	tcp_user_open_active(&host[0].tp, in_u8(in) & 1 ? 0xffffff00u : 1000, now_us);
	flush(&host[1]);
	flush(&host[0]);
}

/* Perfect network, willing applications: it ends. */
static void finish(void)
{
	bool left = false;

	path_mss = 0;
	/* A window of one octet would take for ever. */
	for (int i = 0; i < 2; i++) {
		host[i].opts.window_clamp = 0;
		tcp_user_opts(&host[i].tp, &host[i].opts, now_us);
	}
	for (int i = 0; i < 2; i++)
		if (!host[i].dead && host[i].tp.state == TCPS_LISTEN) {
			tcp_user_abort(&host[i].tp, now_us);
			host[i].dead = true;
		}
	for (int n = 0; n < MAX_ROUNDS; n++) {
		uint64_t next;

		while (n_net)
			deliver(0);
		for (int i = 0; i < 2; i++) {
			if (host[i].rcv_cc)
				app_read(&host[i], UINT32_MAX);
			if (!host[i].shut && host[i].tp.state >= TCPS_ESTABLISHED)
				app_close(&host[i]);
		}
		if (n_net)
			continue;
		if (host[0].tp.state == TCPS_CLOSED && host[1].tp.state == TCPS_CLOSED)
			return;
		next = min_u64(tcp_poll_at(&host[0].tp), tcp_poll_at(&host[1].tp));
		/* FIN-WAIT-2 may wait for ever, for one that is gone: until
		 * the socket is closed. */
		if (next == UINT64_MAX && !left) {
			left = true;
			leave(&host[0]);
			leave(&host[1]);
			continue;
		}
		if (next == UINT64_MAX)
			break;
		now_us = next > now_us ? next : now_us;
		pass_time(0);
	}
	/* Deceived ones may go on asking each other. */
	if (!anything_forged)
		fuzz_fail("it does not end: %s and %s", tcps_names[host[0].tp.state],
			  tcps_names[host[1].tp.state]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, size };

	begin(&in);
	for (int i = 0; i < MAX_EVENTS && in.left; i++)
		event(&in);
	finish();
	return 0;
}
