/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * host.c - one end of the conversation: the owner of a control block
 *
 * Does what a real owner does and no more: keeps so_snd and so_rcv and what
 * came out of order, in buffers that are counted; runs tcp_output() until it
 * has nothing to say; arms one timer at tcp_poll_at().  The block passes
 * tcp_check() before each run and after it.  Who listens may have SYN cookies,
 * who has closed hands TIME-WAIT to somebody without a block, as connserver/
 * does; then the same pair of ports may be used anew, sim.n_lives times.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"
#include "stack/engine/tcp_seq.h"

/* --- buffers ---------------------------------------------------------------------- */

static struct piece *piece_new(struct host *h, uint32_t seq, uint32_t len)
{
	struct piece *p = calloc(1, sizeof(*p) + len);

	if (!p)
		abort();
	p->seq = seq;
	p->len = len;
	h->sim->n_pieces++;
	return p;
}

static void piece_free(struct host *h, struct piece *p)
{
	h->sim->n_pieces--;
	free(p);
}

static void queue_init(struct queue *q)
{
	q->head = NULL;
	q->tail = &q->head;
	q->cc = 0;
}

static void queue_append(struct queue *q, struct piece *p)
{
	p->next = NULL;
	*q->tail = p;
	q->tail = &p->next;
	q->cc += p->len - p->off;
}

static void queue_drop(struct host *h, struct queue *q, uint32_t n)
{
	while (n) {
		struct piece *p = q->head;
		uint32_t k = min_u32(n, p->len - p->off);

		p->off += k;
		q->cc -= k;
		n -= k;
		if (p->off < p->len)
			break;
		q->head = p->next;
		if (!q->head)
			q->tail = &q->head;
		piece_free(h, p);
	}
}

static void queue_copy(const struct queue *q, uint32_t off, uint8_t *dst, uint32_t n)
{
	const struct piece *p;

	for (p = q->head; n; p = p->next) {
		uint32_t have = p->len - p->off, k;

		if (off >= have) {
			off -= have;
			continue;
		}
		k = min_u32(n, have - off);
		memcpy(dst, p->octets + p->off + off, k);
		dst += k;
		n -= k;
		off = 0;
	}
}

static void ooo_flush(struct host *h)
{
	struct piece *p;

	while ((p = h->ooo)) {
		h->ooo = p->next;
		piece_free(h, p);
	}
	h->n_ooo = 0;
}

/* --- the view -------------------------------------------------------------------------- */

/* tcp_view.record: so many octets are one, from the first that was written. */
static uint32_t to_record_end(const void *owner, uint32_t off)
{
	const struct host *h = owner;
	uint64_t at = h->n_written - h->so_snd.cc + off;

	return h->plan.record - (uint32_t)(at % h->plan.record);
}

static struct tcp_view view(const struct host *h)
{
	uint32_t used = h->so_rcv.cc;

	return (struct tcp_view){
		.snd_cc = h->so_snd.cc,
		.rcv_space = used < h->cfg.rcv_buf ? h->cfg.rcv_buf - used : 0,
		.ooo_room = h->n_ooo < h->plan.max_ooo ? h->plan.max_ooo - h->n_ooo : 0,
		.closed = h->closed,
		.record = h->plan.record ? to_record_end : NULL,
		.owner = h,
	};
}

static void print(const struct host *h, const struct tcp_seg *seg, bool sent)
{
	/* Relative numbers, as tcpdump has them */
	uint32_t iss = h->tp.iss, peer = h->sim->host[!h->idx].tp.iss;
	struct tcp_seg s = *seg;
	char buf[300];
	unsigned int i;

	if (!(s.flags & TH_SYN))
		s.seq -= iss;
	s.ack -= peer;
	for (i = 0; i < s.n_sack; i++) {
		s.sack[i].start -= peer;
		s.sack[i].end -= peer;
	}
	printf("%11.6f %c > %c: %s%s%s\n", (double)h->sim->now_us / 1e6, "AB"[h->idx],
	       "BA"[h->idx], tcp_seg_str(&s, buf, sizeof(buf)),
	       seg->n_rexmt ? " (RTO)" : seg->is_rexmt ? " (again)" : "",
	       sent ? "" : " (lost)");
}

/* --- the owner's loop -------------------------------------------------------------------------- */

static void check(struct host *h, const struct tcp_view *v, const char *where)
{
	if (tcp_check(&h->tp, v))
		sim_fail(h->sim, "%c: tcp_check() fails after %s, in %s", "AB"[h->idx], where,
			 tcps_names[h->tp.state]);
}

static void transmit(struct host *h, const struct tcp_seg *seg)
{
	uint8_t text[65536];
	struct packet *pkt;
	uint32_t n_opt;
	bool sent;

	if (seg->len) {
		if (seg->off + seg->len > h->so_snd.cc || seg->len > sizeof(text))
			sim_fail(h->sim, "%c sends octets that are not in so_snd", "AB"[h->idx]);
		queue_copy(&h->so_snd, seg->off, text, seg->len);
	}
	pkt = packet_build(h->sim, h->idx, seg, text);
	n_opt = pkt->len - pkt->ip_len - 20 - seg->len;
	sent = net_send(h->sim, h->idx, pkt);
	if (h->sim->verbose)
		print(h, seg, sent);
	watch_sent(h, seg, n_opt, text);
}

static void wake_app(struct host *h)
{
	if (h->app_armed)
		return;
	h->app_armed = true;
	net_schedule(h->sim, h->sim->now_us + prng_below(&h->sim->prng, h->plan.pause_us + 1),
		     EV_APP, h->idx, NULL);
}

/* The connection lives on in somebody who has no block of it.  Return: it does. */
static bool enter_time_wait(struct host *h)
{
	if (h->tp.state != TCPS_TIME_WAIT || !h->closed || !h->plan.hands_over)
		return false;
	tcp_tw_init(&h->tw, &h->tp);
	tcp_user_abort(&h->tp, clock_us(h));
	ooo_flush(h);
	h->dead = true;
	h->in_tw = true;
	h->timer_at = h->sim->now_us + 2ull * h->tp.msl_us;
	net_schedule(h->sim, h->timer_at, EV_TIMER, h->idx, NULL);
	return true;
}

/* Everything that is owed goes out; then one timer. */
static void flush(struct host *h, const char *where)
{
	struct tcp_view v = view(h);
	struct tcp_seg seg;
	unsigned int n = 0;
	const char *wrong;
	uint64_t at;

	if (h->in_tw)
		return;
	check(h, &v, where);
	while (watch_before(h), tcp_output(&h->tp, &v, clock_us(h), &seg) > 0) {
		if (++n > 100000)
			sim_fail(h->sim, "%c: tcp_output() does not end", "AB"[h->idx]);
		if (seg.len && h->plan.record && !(seg.flags & TH_SYN) &&
		    seg.len > to_record_end(h, seg.off))
			sim_fail(h->sim, "%c: a segment goes beyond a record", "AB"[h->idx]);
		transmit(h, &seg);
		watch_output(h, &seg);
		check(h, &v, "tcp_output");
	}
	wrong = tcp_invariant(&h->tp, &v);
	if (wrong)
		sim_fail(h->sim, "%c: %s, after %s, in %s", "AB"[h->idx], wrong, where,
			 tcps_names[h->tp.state]);
	watch_idle(h);
	if (enter_time_wait(h))
		return;

	at = tcp_poll_at(&h->tp);
	/* Overdue, because the clock has leapt: now */
	if (at != UINT64_MAX)
		at = at > clock_us(h) ? at - h->ahead_us : h->sim->now_us;
	if (at == h->timer_at)
		return;
	h->timer_at = at;
	if (at != UINT64_MAX)
		net_schedule(h->sim, at, EV_TIMER, h->idx, NULL);
}

/* Keep octets aside, in order of sequence number. */
static void keep_aside(struct host *h, struct piece *new)
{
	struct piece **pp = &h->ooo;

	while (*pp && seq_leq((*pp)->seq, new->seq))
		pp = &(*pp)->next;
	new->next = *pp;
	*pp = new;
	h->n_ooo++;
}

/* @n octets are in order: the segment's own first, then what was kept aside. */
static void put_in_order(struct host *h, struct piece *own, uint32_t n)
{
	uint32_t to = h->rcv_nxt + n;
	struct piece *p;

	h->rcv_nxt += own->len;
	queue_append(&h->so_rcv, own);
	while ((p = h->ooo) && seq_lt(p->seq, to)) {
		h->ooo = p->next;
		h->n_ooo--;
		if (seq_gt(p->seq, h->rcv_nxt))
			sim_fail(h->sim, "%c: advance over octets nobody kept", "AB"[h->idx]);
		p->off = min_u32(h->rcv_nxt - p->seq, p->len);
		if (p->off == p->len) {
			piece_free(h, p);
			continue;
		}
		h->rcv_nxt += p->len - p->off;
		queue_append(&h->so_rcv, p);
	}
	if (h->rcv_nxt != to)
		sim_fail(h->sim, "%c: advance by %" PRIu32 " does not match what was kept",
			 "AB"[h->idx], n);
	if (h->so_rcv.cc > h->cfg.rcv_buf)
		sim_fail(h->sim, "%c: more than so_rcv holds", "AB"[h->idx]);
}

static void take_data(struct host *h, const struct tcp_seg *seg, const uint8_t *octets,
		      const struct tcp_rx *rx)
{
	struct piece *p = piece_new(h, rx->data_seq, rx->data_len);

	if (rx->data_off + rx->data_len > seg->len)
		sim_fail(h->sim, "%c takes more than the segment has", "AB"[h->idx]);
	memcpy(p->octets, octets + rx->data_off, rx->data_len);
	if (rx->data_seq == h->rcv_nxt)
		put_in_order(h, p, rx->advance);
	else
		keep_aside(h, p);
}

static void take_events(struct host *h, const struct tcp_rx *rx)
{
	const uint32_t bad = TCP_EV_RESET | TCP_EV_REFUSED | TCP_EV_TIMEDOUT;

	if ((rx->events & bad) && !h->sim->may_break)
		sim_fail(h->sim, "%c: broken, events %#x in an orderly conversation", "AB"[h->idx],
			 (unsigned int)rx->events);
	watch_events(h, rx);
	if (rx->events & TCP_EV_FIN) {
		h->eof = true;
		h->rcv_nxt++;
		if (h->idx)
			h->sim->eof_us = h->sim->now_us;
	}
	if (rx->events & TCP_EV_CLOSED) {
		queue_drop(h, &h->so_snd, h->so_snd.cc);
		ooo_flush(h);
		h->dead = true;
	}
	if (rx->events & ~(uint32_t)TCP_EV_DROP)
		wake_app(h);
}

/* Fast Open: is its cookie good?  The network may be anybody's, so any may be. */
static void judge_syn(struct host *h)
{
	struct tcp_fo fo = h->plan.fo;

	fo.accept = h->plan.fo_good_ppm && prng_ppm(&h->sim->prng, h->plan.fo_good_ppm);
	tcp_user_fastopen(&h->tp, &fo);
}

/* --- SYN cookies: RFC 4987, 3.6, as connserver/cookie.h has them ------------------------- */

/* What a cookie keeps of @syn: without timestamps there is no room for options. */
static struct tcp_seg cookie_syn(const struct tcp_seg *syn)
{
	return (struct tcp_seg){
		.seq = syn->seq, .mss = syn->mss, .flags = TH_SYN, .has_ts = syn->has_ts,
		.tsval = syn->tsval, .sack_permitted = syn->has_ts && syn->sack_permitted,
		.wscale = syn->has_ts ? syn->wscale : TCP_WS_NONE,
	};
}

/* A SYN,ACK goes from a block that is forgotten at once. */
static void answer_with_cookie(struct host *h, const struct tcp_seg *syn)
{
	struct tcp_view v = view(h);
	struct tcpcb tp = h->tp;
	struct tcp_seg out;
	struct tcp_rx rx;

	h->cookie_syn = cookie_syn(syn);
	/* The peer will not hear of more. */
	watch_init(h);
	watch_syn(h, &h->cookie_syn);
	tcp_input(&tp, &v, &h->cookie_syn, clock_us(h), &rx);
	while (tcp_output(&tp, &v, clock_us(h), &out) > 0)
		transmit(h, &out);
}

/* Does @seg answer our cookie?  Then the connection is what it would be. */
static bool open_answered(struct host *h, const struct tcp_seg *seg)
{
	struct tcp_view v = view(h);

	if ((seg->flags & (TH_SYN | TH_RST | TH_ACK)) != TH_ACK || seg->ack != h->iss + 1 ||
	    !(h->cookie_syn.flags & TH_SYN) || seg->seq != h->cookie_syn.seq + 1)
		return false;
	tcp_init(&h->tp, &h->cfg);
	tcp_user_opts(&h->tp, &h->opts, clock_us(h));
	if (tcp_user_open_answered(&h->tp, &v, h->iss, &h->cookie_syn, clock_us(h)))
		sim_fail(h->sim, "%c: OPEN, answered, fails", "AB"[h->idx]);
	return true;
}

/* A segment comes for who listens and remembers nothing.  Return: go on with it? */
static bool listen_with_cookies(struct host *h, const struct tcp_seg *seg)
{
	struct tcp_seg rst;

	if ((seg->flags & (TH_SYN | TH_RST | TH_ACK)) == TH_SYN) {
		answer_with_cookie(h, seg);
		return false;
	}
	if (open_answered(h, seg))
		return true;
	/* Text overtook the ACK, say: whoever does not know a connection resets it. */
	if (tcp_reset_for(seg, &rst)) {
		h->sim->may_break = true;
		transmit(h, &rst);
	}
	return false;
}

/* --- TIME-WAIT without a block ------------------------------------------------------------- */

static void next_life(struct host *h, bool active, uint32_t iss);

/* Return: go on with it, as a new connection's? */
static bool time_wait_packet(struct host *h, const struct tcp_seg *seg)
{
	struct tcp_seg out;

	switch (tcp_tw_input(&h->tw, seg, clock_us(h), &out)) {
	case TCP_TW_FIN:
		h->timer_at = h->sim->now_us + 2ull * h->tp.msl_us;
		net_schedule(h->sim, h->timer_at, EV_TIMER, h->idx, NULL);
		transmit(h, &out);
		return false;
	case TCP_TW_ANSWER:
		transmit(h, &out);
		return false;
	case TCP_TW_IGNORE:
		return false;
	default:
		break;
	}
	h->in_tw = false;
	h->timer_at = UINT64_MAX;
	/* A SYN that comes late begins nothing: nobody listens. */
	if (h->life != h->sim->life)
		next_life(h, false, tcp_tw_iss(&h->tw));
	return true;
}

/* --- packets ------------------------------------------------------------------------------- */

static void input(struct host *h, const struct packet *pkt, const struct tcp_seg *seg, int n)
{
	bool was_open = h->tp.ca_state == TCP_CA_OPEN;
	struct tcp_view v = view(h);
	struct tcp_rx rx;

	if (h->tp.state == TCPS_LISTEN)
		judge_syn(h);
	tcp_input(&h->tp, &v, seg, clock_us(h), &rx);
	watch_heard(h, seg);
	if (rx.acked > h->so_snd.cc)
		sim_fail(h->sim, "%c: more acknowledged than so_snd holds", "AB"[h->idx]);
	queue_drop(h, &h->so_snd, rx.acked);
	/* The handshake's last ACK may carry data. */
	if (rx.events & TCP_EV_CONNECTED)
		h->rcv_nxt = h->tp.irs + 1;
	if (rx.events & TCP_EV_DATA)
		take_data(h, seg, pkt->octets + n, &rx);
	take_events(h, &rx);
	if (h->tp.state >= TCPS_ESTABLISHED && h->rcv_nxt != h->tp.rcv_nxt)
		sim_fail(h->sim, "%c: RCV.NXT and the owner disagree", "AB"[h->idx]);
	watch_dupack(h, seg, was_open && !(rx.events & TCP_EV_DROP));
	flush(h, "tcp_input");
}

static bool is_gone(const struct host *h)
{
	return h->plan.vanishes && h->plan.is_mute && h->closed && h->n_read + h->n_written >= h->plan.abort_at;
}

void host_packet(struct host *h, const struct packet *pkt)
{
	struct tcp_seg seg, rst;
	int n = packet_parse(pkt, &seg);

	if (n < 0) {
		if (!h->sim->link[!h->idx].corrupt_ppm)
			sim_fail(h->sim, "a packet of %c cannot be read", "BA"[h->idx]);
		return;
	}
	if (h->in_tw && !time_wait_packet(h, &seg))
		return;
	if (h->tp.state == TCPS_CLOSED) {
		if (!is_gone(h) && tcp_reset_for(&seg, &rst))
			transmit(h, &rst);
		return;
	}
	if (h->tp.state == TCPS_LISTEN && h->plan.is_cookie && !listen_with_cookies(h, &seg))
		return;
	input(h, pkt, &seg, n);
}

/* What an owner would see of it. */
void host_icmp(struct host *h, const struct packet *pkt)
{
	bool is_v6 = h->sim->pair[0].src[0];
	uint32_t hdr = is_v6 ? 60 : 40;
	struct icmp_error e;
	enum tcp_icmp found;

	if (icmp_parse(pkt->octets, pkt->len, is_v6, &e))
		sim_fail(h->sim, "an ICMP error cannot be read");
	if (memcmp(&e.pair, &h->sim->pair[h->idx], sizeof(e.pair)))
		sim_fail(h->sim, "an ICMP error is about others");
	if (e.is_too_big)
		found = tcp_icmp_too_big(&h->tp, e.seq, e.mtu > hdr ? e.mtu - hdr : 0, clock_us(h));
	else
		found = tcp_icmp_error(&h->tp, e.seq, clock_us(h));
	if (h->sim->verbose)
		printf("%11.6f %c < ICMP: seq %" PRIu32 ", mtu %" PRIu32 ": %s\n",
		       (double)h->sim->now_us / 1e6, "AB"[h->idx], e.seq - h->tp.iss, e.mtu,
		       found ? "believed" : "ignored");
	if (found == TCP_ICMP_FATAL) {
		if (h->w.syn_heard || !h->sim->may_break)
			sim_fail(h->sim, "%c: ended by ICMP", "AB"[h->idx]);
		take_events(h, &(struct tcp_rx){ .events = TCP_EV_CLOSED });
	}
	/* What is sent again at once has its timer begin anew: the interval
	 * that this one ends is not to be compared. */
	h->w.rto_una = h->tp.snd_una - 1;
	flush(h, "ICMP");
}

void host_timer(struct host *h)
{
	struct tcp_view v = view(h);
	struct tcp_rx rx;

	/* Cancelled, or set to another time */
	if (h->timer_at != h->sim->now_us)
		return;
	h->timer_at = UINT64_MAX;
	if (h->in_tw) {
		h->in_tw = false;
		if (h->life != h->sim->life)
			host_next_life(h, false);
		return;
	}
	tcp_timers(&h->tp, &v, clock_us(h), &rx);
	take_events(h, &rx);
	watch_timer(h);
	flush(h, "tcp_timers");
	if (h->timer_at <= h->sim->now_us)
		sim_fail(h->sim, "%c: a timer does not move on", "AB"[h->idx]);
}

/* --- the application ----------------------------------------------------------------------------- */

/* The next @n octets that are to be written, into so_snd. */
static void append(struct host *h, uint32_t n)
{
	struct piece *p = piece_new(h, 0, n);
	uint32_t i;

	for (i = 0; i < n; i++)
		p->octets[i] = pattern(h->idx, h->sim->life, h->n_written + i);
	queue_append(&h->so_snd, p);
	h->n_written += n;
}

/* MSG_OOB, MSG_MORE; in this order, as so_send() has them. */
static void write_flags(struct host *h, const struct tcp_view *v)
{
	struct prng *r = &h->sim->user_prng;

	if (prng_ppm(r, h->plan.urg_ppm)) {
		tcp_user_urgent(&h->tp, v);
		h->w.urg_end = (uint32_t)h->n_written;
	}
	if (prng_ppm(r, h->plan.more_ppm))
		tcp_user_more(&h->tp);
}

static void app_write(struct host *h)
{
	uint64_t left = h->plan.n_write - h->n_written;
	uint32_t room = h->so_snd.cc < h->plan.snd_buf ? h->plan.snd_buf - h->so_snd.cc : 0;
	uint32_t n = (uint32_t)prng_range(&h->sim->prng, 1, h->plan.chunk);
	struct tcp_view v;

	if (h->shut || h->dead || h->tp.state < TCPS_ESTABLISHED)
		return;
	n = min_u32(n, room);
	if (n > left)
		n = (uint32_t)left;
	if (n) {
		append(h, n);
		v = view(h);
		if (tcp_user_send(&h->tp, &v, clock_us(h)))
			sim_fail(h->sim, "%c: SEND fails in %s", "AB"[h->idx],
				 tcps_names[h->tp.state]);
		write_flags(h, &v);
	}
	if (h->n_written == h->plan.n_write) {
		h->shut = true;
		tcp_user_close(&h->tp, clock_us(h));
	}
}

/* SO_RCVLOWAT: what would never come is not waited for. */
static bool may_read(const struct host *h)
{
	return h->so_rcv.cc && (h->so_rcv.cc >= h->plan.lowat || h->eof || h->dead);
}

static void app_read(struct host *h)
{
	uint32_t n = (uint32_t)prng_range(&h->sim->prng, 1, h->plan.chunk), i, k;
	struct tcp_view v;

	n = min_u32(n, h->so_rcv.cc);
	if (!may_read(h))
		return;
	while (n) {
		struct piece *p = h->so_rcv.head;

		k = min_u32(n, p->len - p->off);
		for (i = 0; i < k; i++)
			if (p->octets[p->off + i] != pattern(!h->idx, h->sim->life, h->n_read + i))
				sim_fail(h->sim, "%c: octet %" PRIu64 " is wrong", "AB"[h->idx],
					 h->n_read + i);
		h->n_read += k;
		queue_drop(h, &h->so_rcv, k);
		n -= k;
	}
	v = view(h);
	tcp_user_recv(&h->tp, &v, clock_us(h));
}

static void app_abort(struct host *h)
{
	struct tcp_view v;
	struct tcp_seg rst;

	h->closed = true;
	h->shut = true;
	h->dead = true;
	tcp_user_abort(&h->tp, clock_us(h));
	queue_drop(h, &h->so_rcv, h->so_rcv.cc);
	queue_drop(h, &h->so_snd, h->so_snd.cc);
	ooo_flush(h);
	v = view(h);
	/* Nobody is there any more to send it. */
	while (h->plan.vanishes && tcp_output(&h->tp, &v, clock_us(h), &rst) > 0)
		;
}

/* The application goes: its socket is closed. */
static void app_quit(struct host *h)
{
	if (h->so_rcv.cc && h->plan.resets && h->tp.state >= TCPS_ESTABLISHED &&
	    h->tp.state != TCPS_TIME_WAIT) {
		app_abort(h);
		return;
	}
	h->closed = true;
	h->shut = true;
	queue_drop(h, &h->so_rcv, h->so_rcv.cc);
	tcp_user_close(&h->tp, clock_us(h));
	if (h->tp.state == TCPS_CLOSED)
		h->dead = true;
}

/* An option changes, or the owner needs its memory for something else. */
static void app_fiddle(struct host *h)
{
	struct prng *r = &h->sim->user_prng;
	uint64_t now = clock_us(h);

	switch (prng_below(r, 8)) {
	case 0:
		h->opts.nodelay = prng_below(r, 2);
		break;
	case 1:
		h->opts.cork = prng_below(r, 2);
		break;
	case 2:
		tcp_user_quickack(&h->tp, prng_below(r, 2));
		break;
	case 3:
		tcp_user_congestion(&h->tp, (uint8_t)prng_below(r, TCP_CC_N));
		break;
	case 4:
		/* What the peer has left is not to take for ever. */
		h->opts.window_clamp = prng_below(r, 2) ? 0 : (uint32_t)
			prng_log(r, h->sim->host[!h->idx].plan.n_write / 256 + 1,
				 2ull * h->cfg.rcv_buf + h->sim->host[!h->idx].plan.n_write / 256 + 1);
		break;
	case 5:
		h->cfg.rcv_buf += (uint32_t)prng_log(r, 1, 100000);
		tcp_user_rcv_buf(&h->tp, h->cfg.rcv_buf);
		break;
	case 6:
		ooo_flush(h);
		tcp_renege(&h->tp);
		break;
	default:
		h->opts.keep_idle_us = prng_below(r, 2) ? 0 : prng_log(r, 100000, 30000000);
		h->opts.keep_intvl_us = prng_log(r, 100000, 30000000);
		h->opts.keep_count = h->plan.opts.keep_count;
		break;
	}
	tcp_user_opts(&h->tp, &h->opts, now);
}

void host_app(struct host *h)
{
	struct prng *r = &h->sim->prng;
	uint64_t done = h->n_read + h->n_written, pause;
	uint32_t cc = h->so_snd.cc;
	bool more;

	h->app_armed = false;
	if (h->closed)
		return;
	if (!h->dead && prng_ppm(r, h->plan.inherit_ppm)) {
		ooo_flush(h);
		tcp_inherit(&h->tp, clock_us(h));
		/* It sends at once what RTO would have sent later. */
		h->w.rto_n = 0;
		h->w.rto_at = clock_us(h);
	}
	/* So many while nothing comes would be a long silence for keep-alive. */
	if (prng_ppm(r, h->plan.stop_ppm) && h->w.n_leaps < LEAPS_MAX) {
		h->w.n_leaps++;
		h->ahead_us += prng_log(r, 1000, 400000000);
		h->w.rto_n = 0;
		h->w.unacked_us = 0;
	}
	if (!h->dead && prng_ppm(&h->sim->user_prng, h->plan.fiddle_ppm))
		app_fiddle(h);
	if (!h->dead && done >= h->plan.abort_at && h->tp.state >= TCPS_ESTABLISHED) {
		app_abort(h);
	} else if (!h->dead && done >= h->plan.quit_at && h->tp.state >= TCPS_ESTABLISHED) {
		app_quit(h);
	} else {
		app_read(h);
		app_write(h);
		if ((h->eof || h->dead) && !h->so_rcv.cc && (h->shut || h->dead))
			app_quit(h);
	}
	flush(h, "a user call");

	/* Again, if there is more to do; else an event wakes us. */
	more = may_read(h) || (!h->shut && h->so_snd.cc < h->plan.snd_buf) || cc != h->so_snd.cc;
	if (!more || h->closed || (h->dead && !h->so_rcv.cc) ||
	    (!h->dead && h->tp.state < TCPS_ESTABLISHED))
		return;
	pause = prng_below(r, h->plan.pause_us + 1);
	if (prng_ppm(r, h->plan.long_pause_ppm))
		pause += prng_log(r, 100000, 30000000);
	h->app_armed = true;
	net_schedule(h->sim, h->sim->now_us + pause, EV_APP, h->idx, NULL);
}

/* --- life ---------------------------------------------------------------------------------------- */

void host_init(struct sim *sim, unsigned int idx)
{
	struct host *h = &sim->host[idx];

	h->sim = sim;
	h->idx = idx;
	h->timer_at = UINT64_MAX;
	queue_init(&h->so_snd);
	queue_init(&h->so_rcv);
}

void host_start(struct host *h, bool active, uint32_t iss)
{
	h->iss = iss;
	h->opts = h->plan.opts;
	tcp_init(&h->tp, &h->cfg);
	tcp_user_opts(&h->tp, &h->opts, clock_us(h));
	if (active && (h->plan.fo.kind || h->plan.fo.room)) {
		uint64_t n = prng_below(&h->sim->prng, min_u32(h->plan.fo.room, h->plan.snd_buf) + 1);

		n = n < h->plan.n_write ? n : h->plan.n_write;
		if (n)
			append(h, (uint32_t)n);
		tcp_user_fastopen(&h->tp, &h->plan.fo);
	}
	if (active)
		tcp_user_open_active(&h->tp, iss, clock_us(h));
	else
		tcp_user_open_passive(&h->tp, iss, clock_us(h));
	watch_init(h);
	flush(h, "OPEN");
}

/* The same pair of ports again, with nothing left of the connection before but what is
 * still on its way. */
static void next_life(struct host *h, bool active, uint32_t iss)
{
	h->n_written = 0;
	h->n_read = 0;
	h->eof = h->shut = h->closed = h->dead = false;
	h->life = h->sim->life;
	h->cookie_syn.flags = 0;
	host_start(h, active, iss);
}

/* ISS as RFC 6528 has it: for one pair of ports it only grows. */
void host_next_life(struct host *h, bool active)
{
	next_life(h, active, h->tp.snd_nxt + (uint32_t)prng_log(&h->sim->prng, 1, 1000000));
}

/* Is this connection over, as far as its application goes? */
bool host_is_over(const struct host *h)
{
	return h->tp.state == TCPS_CLOSED && h->closed;
}

/* All is over: is it? */
void host_end(struct host *h)
{
	char name = "AB"[h->idx];
	struct host *peer = &h->sim->host[!h->idx];
	/* Refused: who listens does not know. */
	bool waits = h->tp.state == TCPS_LISTEN && h->sim->may_break && peer->dead;

	if (h->tp.state != TCPS_CLOSED && !waits)
		sim_fail(h->sim, "%c has stalled in %s: %" PRIu64 " of %" PRIu64 " written, %"
			 PRIu64 " read", name, tcps_names[h->tp.state], h->n_written,
			 h->plan.n_write, h->n_read);
	if (!h->sim->may_break && (h->n_written != h->plan.n_write || peer->n_read != h->n_written))
		sim_fail(h->sim, "%c wrote %" PRIu64 " of %" PRIu64 ", %" PRIu64 " were read", name,
			 h->n_written, h->plan.n_write, peer->n_read);
	if (!h->sim->may_break && !h->eof)
		sim_fail(h->sim, "%c has seen no FIN", name);
	if (!h->sim->may_break && h->w.urg_told != peer->w.urg_end)
		sim_fail(h->sim, "%c was told of urgent data up to %" PRIu32 " of %" PRIu32, name,
			 h->w.urg_told, peer->w.urg_end);
	if (tcp_poll_at(&h->tp) != UINT64_MAX)
		sim_fail(h->sim, "%c: a timer is left", name);
}
