/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * host.c - one end of the conversation: the owner of a control block
 *
 * Does what a real owner does and no more: keeps so_snd and so_rcv and what
 * came out of order, in buffers that are counted; runs tcp_output() until it
 * has nothing to say; arms one timer at tcp_poll_at().  The block is run on a
 * private copy that has passed tcp_check(), and committed afterwards.  And it
 * watches what the engine sends, from outside: see watch_*().
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"
#include "stack/engine/tcp_seq.h"

#define RTO_MAX_US	120000000u
#define PLAN_US		(3600ull * 1000000)	/* an application's own part of a conversation, about */
#define LONG_PAUSE_US	8000000ull		/* mean of prng_log(r, 100000, 30000000) */

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

/* Octet @i of what host @idx writes. */
static uint8_t pattern(unsigned int idx, uint64_t i)
{
	return (uint8_t)(i * 167 + (i >> 8) * 13 + (i >> 16) * 7 + idx * 101);
}

/* Our clock; it never stands still, but it may leap. */
static uint64_t clock_us(const struct host *h)
{
	return h->sim->now_us + h->ahead_us;
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

/* --- watching ------------------------------------------------------------------------------ */

/* RFC 2883, 4: the first block may say what came twice. */
static bool is_dsack(const struct tcp_seg *seg)
{
	return seg->n_sack && (seq_leq(seg->sack[0].end, seg->ack) ||
			       (seg->n_sack > 1 && seq_leq(seg->sack[1].start, seg->sack[0].start) &&
				seq_geq(seg->sack[1].end, seg->sack[0].end)));
}

/* Every SACK block is of octets that this host really keeps. */
static void watch_sack(struct host *h, const struct tcp_seg *seg)
{
	unsigned int i;

	for (i = 0; i < seg->n_sack; i++) {
		bool twice = !i && is_dsack(seg);
		uint32_t at = seg->sack[i].start;
		const struct piece *p;

		if (twice && seq_leq(seg->sack[i].end, h->rcv_nxt))
			continue;
		if (twice)
			at = seq_max(at, h->rcv_nxt);

		/* Ascending, so one pass is enough. */
		for (p = h->ooo; p; p = p->next)
			if (seq_leq(p->seq, at) && seq_gt(p->seq + p->len, at))
				at = p->seq + p->len;
		if (seq_lt(at, seg->sack[i].end) ||
		    (!twice && seq_leq(seg->sack[i].start, h->rcv_nxt)))
			sim_fail(h->sim, "%c SACKs what it does not hold", "AB"[h->idx]);
		for (p = h->ooo; p; p = p->next)
			if (p->seq + p->len == at && at != seg->sack[i].end && !twice)
				sim_fail(h->sim, "%c SACKs less than it holds", "AB"[h->idx]);
	}
}

/* Nothing beyond the window the peer promised, but FIN and a probe of one octet. */
static void watch_window(struct host *h, const struct tcp_seg *seg)
{
	const struct host *peer = &h->sim->host[!h->idx];

	if (!seg->len || peer->tp.state < TCPS_ESTABLISHED)
		return;
	if (seq_gt(seg->seq + seg->len, peer->tp.rcv_nxt + peer->tp.rcv_wnd + 1))
		sim_fail(h->sim, "%c sends beyond the window", "AB"[h->idx]);
}

/* RFC 7661: cwnd is no more than the path has been shown to take, twice over;
 * and in recovery no more than was in flight. */
static void watch_cwnd(struct host *h)
{
	const struct tcpcb *tp = &h->tp;
	uint32_t smss = tcp_eff_mss(tp);

	if (tp->state < TCPS_ESTABLISHED)
		return;
	h->peak = max_u32(h->peak, tp->snd_nxt - tp->snd_una);
	smss = h->smss = max_u32(h->smss, smss);
	if (tp->snd_cwnd > max_u32(10 * smss, 2 * h->peak) + 9 * smss)
		sim_fail(h->sim, "%c: cwnd is %" PRIu32 ", but never more than %" PRIu32
			 " were in flight", "AB"[h->idx], tp->snd_cwnd, h->peak);
	if (tp->ca_state == TCP_CA_RECOVERY &&
	    tp->snd_cwnd > max_u32(h->peak, tp->snd_ssthresh) + 2 * smss)
		sim_fail(h->sim, "%c: in recovery cwnd is %" PRIu32 ", ssthresh %" PRIu32,
			 "AB"[h->idx], tp->snd_cwnd, tp->snd_ssthresh);
}

/* RFC 3168: ECT where both agreed, on new data alone; CWR only where ECT is. */
static void watch_ecn(struct host *h, const struct tcp_seg *seg)
{
	bool agreed = h->tp.rec_flags & RF_ECN;

	if (seg->ecn && (!agreed || !seg->len || seg->is_rexmt))
		sim_fail(h->sim, "%c: ECT where it must not be", "AB"[h->idx]);
	if ((seg->flags & TCP_TH_CWR) && !(seg->flags & TH_SYN) && !seg->ecn)
		sim_fail(h->sim, "%c: CWR without ECT", "AB"[h->idx]);
}

/* RFC 6298, 5.5: between expiries for the same octet the RTO doubles, unless a
 * round trip was measured meanwhile (SACK told of new data). */
static void watch_backoff(struct host *h, const struct tcp_seg *seg)
{
	uint64_t now = clock_us(h), gap = now - h->rto_at;

	if (!seg->n_rexmt || seg->seq != h->tp.snd_una || seg->n_rexmt == h->rto_n)
		return;
	if (h->rto_n && h->rto_una == seg->seq && seg->n_rexmt == h->rto_n + 1 &&
	    h->rto_srtt == h->tp.srtt_us) {
		if (h->rto_gap && gap + 2000 < min_u32(RTO_MAX_US, 2 * (uint32_t)h->rto_gap))
			sim_fail(h->sim, "%c does not back off: %" PRIu64 " us after %" PRIu64,
				 "AB"[h->idx], gap, h->rto_gap);
		h->rto_gap = gap;
	} else {
		h->rto_gap = 0;
	}
	h->rto_srtt = h->tp.srtt_us;
	h->rto_at = now;
	h->rto_una = seg->seq;
	h->rto_n = seg->n_rexmt;
}

/* RFC 5681, 3.2: before the third duplicate ACK has been answered, count.  What
 * is not acceptable is no duplicate: its ACK is not looked at (RFC 9293,
 * 3.10.7.4, first). */
static void watch_dupack(struct host *h, const struct tcp_seg *seg, bool was_open)
{
	uint32_t top = seg->ack;
	unsigned int i;

	for (i = is_dsack(seg); i < seg->n_sack; i++)
		top = seq_max(top, seg->sack[i].end);
	/* What moves SND.UNA is no duplicate. */
	if (h->dup_una != h->tp.snd_una) {
		h->dup_una = h->tp.snd_una;
		h->dup_top = top;
		h->n_dup = 0;
		h->una_resent = false;
		return;
	}
	if (!was_open || seg->ack != h->tp.snd_una || h->tp.state < TCPS_ESTABLISHED ||
	    seq_leq(top, h->dup_top) || seq_gt(top, h->tp.snd_nxt))
		return;
	h->dup_top = top;
	h->n_dup++;
}

/* Where the path reorders, RACK waits for a part of a round trip. */
static void watch_fast_rexmt(struct host *h)
{
	if (h->tp.rec_flags & RF_REORDERING)
		return;
	/* All that has arrived was sent before leaps of the clock, so many
	 * minutes ago that it tells RACK nothing: RTO has to do. */
	if (!(h->tp.rec_flags & RF_RACK))
		return;
	/* Sent again when it was not the first yet, later than what is SACKed */
	if (h->tp.n_runs && (h->tp.run[0].mark & RUN_AGAIN))
		return;
	/* A tail loss probe went over what is SACKed now: RACK cannot tell which
	 * of the two has arrived (RFC 8985, 6.2, step 2). */
	if (h->tp.flags & TF_TLP_OUT)
		return;
	if (h->tp.state >= TCPS_ESTABLISHED && h->dup_una == h->tp.snd_una &&
	    h->n_dup >= 3 && !h->una_resent && (h->tp.flags & TF_SACK))
		sim_fail(h->sim, "%c: three duplicate ACKs and no fast retransmit", "AB"[h->idx]);
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
	struct packet *pkt = malloc(sizeof(*pkt) + TCP_HDR_MAX + seg->len);
	uint16_t csum;
	bool sent;
	int n;

	if (!pkt)
		abort();
	n = tcp_seg_build(seg, pkt->octets);
	if (seg->len) {
		if (seg->off + seg->len > h->so_snd.cc)
			sim_fail(h->sim, "%c sends octets that are not in so_snd", "AB"[h->idx]);
		queue_copy(&h->so_snd, seg->off, pkt->octets + n, seg->len);
	}
	pkt->len = (uint32_t)n + seg->len;
	pkt->ecn = seg->ecn;
	csum = ip_csum_fold(ip_csum_add(0, pkt->octets, pkt->len));
	memcpy(pkt->octets + 16, &csum, 2);
	sent = net_send(h->sim, h->idx, pkt);
	if (h->sim->verbose)
		print(h, seg, sent);
}

static void wake_app(struct host *h)
{
	if (h->app_armed)
		return;
	h->app_armed = true;
	net_schedule(h->sim, h->sim->now_us + prng_below(&h->sim->prng, h->plan.pause_us + 1),
		     EV_APP, h->idx, NULL);
}

/* Everything that is owed goes out; then one timer. */
static void flush(struct host *h, const char *where)
{
	struct tcp_view v = view(h);
	struct tcp_seg seg;
	unsigned int n = 0;
	const char *wrong;
	uint64_t at;

	check(h, &v, where);
	while (tcp_output(&h->tp, &v, clock_us(h), &seg) > 0) {
		if (++n > 100000)
			sim_fail(h->sim, "%c: tcp_output() does not end", "AB"[h->idx]);
		if (seg.len && h->plan.record && !(seg.flags & TH_SYN) &&
		    seg.len > to_record_end(h, seg.off))
			sim_fail(h->sim, "%c: a segment goes beyond a record", "AB"[h->idx]);
		watch_sack(h, &seg);
		watch_window(h, &seg);
		watch_backoff(h, &seg);
		watch_ecn(h, &seg);
		if (seg.is_rexmt && seg.seq == h->tp.snd_una)
			h->una_resent = true;
		transmit(h, &seg);
		check(h, &v, "tcp_output");
	}
	wrong = tcp_invariant(&h->tp, &v);
	if (wrong)
		sim_fail(h->sim, "%c: %s, after %s, in %s", "AB"[h->idx], wrong, where,
			 tcps_names[h->tp.state]);
	watch_fast_rexmt(h);
	watch_cwnd(h);

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

	if ((rx->events & bad) && !h->may_break)
		sim_fail(h->sim, "%c: broken, events %#x in an orderly conversation", "AB"[h->idx],
			 (unsigned int)rx->events);
	if (rx->events & TCP_EV_CONNECTED)
		h->rcv_nxt = h->tp.irs + 1;
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

void host_packet(struct host *h, const struct packet *pkt)
{
	struct tcp_view v = view(h);
	struct tcp_seg seg, rst;
	struct tcp_rx rx;
	bool was_open;
	int n;

	/* Corrupted */
	if (ip_csum_fold(ip_csum_add(0, pkt->octets, pkt->len)))
		return;
	n = tcp_seg_parse(&seg, pkt->octets, pkt->len);
	seg.ecn = pkt->ecn;
	if (n < 0)
		sim_fail(h->sim, "a segment we built cannot be parsed");
	if (h->tp.state == TCPS_CLOSED) {
		if (tcp_reset_for(&seg, &rst))
			transmit(h, &rst);
		return;
	}
	was_open = h->tp.ca_state == TCP_CA_OPEN;
	if (h->tp.state == TCPS_LISTEN)
		judge_syn(h);
	tcp_input(&h->tp, &v, &seg, clock_us(h), &rx);
	if (rx.acked > h->so_snd.cc)
		sim_fail(h->sim, "%c: more acknowledged than so_snd holds", "AB"[h->idx]);
	queue_drop(h, &h->so_snd, rx.acked);
	/* The handshake's last ACK may carry data. */
	if (rx.events & TCP_EV_CONNECTED)
		h->rcv_nxt = h->tp.irs + 1;
	if (rx.events & TCP_EV_DATA)
		take_data(h, &seg, pkt->octets + n, &rx);
	rx.events &= ~(uint32_t)(rx.events & TCP_EV_DATA ? TCP_EV_CONNECTED : 0);
	take_events(h, &rx);
	if (h->tp.state >= TCPS_ESTABLISHED && h->rcv_nxt != h->tp.rcv_nxt)
		sim_fail(h->sim, "%c: RCV.NXT and the owner disagree", "AB"[h->idx]);
	watch_dupack(h, &seg, was_open && !(rx.events & TCP_EV_DROP));
	flush(h, "tcp_input");
}

/* What an owner would see of it: the first octets of the segment. */
void host_icmp(struct host *h, const struct packet *pkt)
{
	uint32_t seq = (uint32_t)pkt->octets[4] << 24 | (uint32_t)pkt->octets[5] << 16 |
		       (uint32_t)pkt->octets[6] << 8 | pkt->octets[7];
	enum tcp_icmp found;

	if (pkt->mss)
		found = tcp_icmp_too_big(&h->tp, seq, pkt->mss, clock_us(h));
	else
		found = tcp_icmp_error(&h->tp, seq, clock_us(h));
	if (h->sim->verbose)
		printf("%11.6f %c < ICMP: seq %" PRIu32 ", mss %" PRIu32 ": %s\n",
		       (double)h->sim->now_us / 1e6, "AB"[h->idx], seq - h->tp.iss, pkt->mss,
		       found ? "believed" : "ignored");
	if (found == TCP_ICMP_FATAL)
		sim_fail(h->sim, "%c: ended by ICMP", "AB"[h->idx]);
	/* What is sent again at once has its timer begin anew: the interval
	 * that this one ends is not to be compared. */
	h->rto_una = h->tp.snd_una - 1;
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
	tcp_timers(&h->tp, &v, clock_us(h), &rx);
	take_events(h, &rx);
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
		p->octets[i] = pattern(h->idx, h->n_written + i);
	queue_append(&h->so_snd, p);
	h->n_written += n;
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
	}
	if (h->n_written == h->plan.n_write) {
		h->shut = true;
		tcp_user_close(&h->tp, clock_us(h));
	}
}

static void app_read(struct host *h)
{
	uint32_t n = (uint32_t)prng_range(&h->sim->prng, 1, h->plan.chunk), i, k;
	struct tcp_view v;

	n = min_u32(n, h->so_rcv.cc);
	if (!n)
		return;
	while (n) {
		struct piece *p = h->so_rcv.head;

		k = min_u32(n, p->len - p->off);
		for (i = 0; i < k; i++)
			if (p->octets[p->off + i] != pattern(!h->idx, h->n_read + i))
				sim_fail(h->sim, "%c: octet %" PRIu64 " is wrong", "AB"[h->idx],
					 h->n_read + i);
		h->n_read += k;
		queue_drop(h, &h->so_rcv, k);
		n -= k;
	}
	v = view(h);
	tcp_user_recv(&h->tp, &v, clock_us(h));
}

/* The application goes: its socket is closed. */
static void app_quit(struct host *h)
{
	h->closed = true;
	h->shut = true;
	queue_drop(h, &h->so_rcv, h->so_rcv.cc);
	tcp_user_close(&h->tp, clock_us(h));
	if (h->tp.state == TCPS_CLOSED)
		h->dead = true;
}

static void app_abort(struct host *h)
{
	h->closed = true;
	h->shut = true;
	h->dead = true;
	tcp_user_abort(&h->tp, clock_us(h));
	queue_drop(h, &h->so_rcv, h->so_rcv.cc);
	queue_drop(h, &h->so_snd, h->so_snd.cc);
	ooo_flush(h);
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
		h->rto_n = 0;
		h->rto_at = clock_us(h);
	}
	if (prng_ppm(r, h->plan.stop_ppm)) {
		h->ahead_us += prng_log(r, 1000, 400000000);
		h->rto_n = 0;
	}
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
	more = h->so_rcv.cc || (!h->shut && h->so_snd.cc < h->plan.snd_buf) || cc != h->so_snd.cc;
	if (!more || h->closed || (h->dead && !h->so_rcv.cc))
		return;
	pause = prng_below(r, h->plan.pause_us + 1);
	if (prng_ppm(r, h->plan.long_pause_ppm))
		pause += prng_log(r, 100000, 30000000);
	h->app_armed = true;
	net_schedule(h->sim, h->sim->now_us + pause, EV_APP, h->idx, NULL);
}

/* --- life ---------------------------------------------------------------------------------------- */

static uint16_t plan_mss(struct prng *r)
{
	static const uint16_t usual[] = { 48, 536, 1448, 1460, 4096, 8960, 61440, 61464 };

	if (prng_below(r, 2))
		return usual[prng_below(r, sizeof(usual) / sizeof(usual[0]))];
	return (uint16_t)prng_log(r, 48, 61440);
}

/* A path that swallows what is too large, without a word, needs a sender that
 * thinks of it. */
static void plan_probing(struct host *h)
{
	const struct link *l = &h->sim->link[h->idx];
	struct prng *r = &h->sim->path_prng;

	h->cfg.mtu_probing = (uint8_t)prng_below(r, 3);
	if (l->path_mss && !l->has_icmp && !h->cfg.mtu_probing)
		h->cfg.mtu_probing = TCP_MTU_PROBING_BLACK_HOLE;
	h->cfg.base_mss = prng_below(r, 2) ? 0 : (uint16_t)prng_log(r, 48, 9000);
}

static void plan_one(struct host *h, uint16_t mss)
{
	struct prng *r = &h->sim->prng;

	h->cfg = (struct tcp_config){
		.mss = mss,
		.eff_mss_max = prng_below(r, 2) ? 61440 : 0,
		.rcv_buf = (uint32_t)prng_log(r, 1000, 1000000),
		.syn_retries = 60,
		.data_retries = 60,
		.no_sack = prng_below(r, 4) == 0,
		.no_ts = prng_below(r, 3) == 0,
		.no_ws = prng_below(r, 4) == 0,
		.nodelay = prng_below(r, 2),
		.cc = (uint8_t)prng_below(r, TCP_CC_N),
		.ecn = (uint8_t)prng_below(r, 3),
		.ts_offset = prng_below(r, 2) ? (uint32_t)prng_next(r) : UINT32_MAX - 100,
	};
	if (prng_below(r, 3) == 0)
		h->cfg.rcv_buf = mss * (uint32_t)prng_range(r, 1, 8);
	plan_probing(h);
	h->plan = (struct plan){
		.n_write = prng_below(r, 8) ? prng_log(r, 1, 60 * (uint64_t)mss) : 0,
		.pause_us = prng_log(r, 1, 20000),
		.long_pause_ppm = prng_below(r, 3) ? 0 : 20000,
		.chunk = (uint32_t)prng_log(r, mss / 20 + 1, 4 * (uint64_t)mss),
		.abort_at = UINT64_MAX,
		.quit_at = UINT64_MAX,
		.stop_ppm = prng_below(r, 10) ? 0 : 20000,
		.inherit_ppm = prng_below(r, 10) ? 0 : 50000,
		.snd_buf = (uint32_t)prng_log(r, 1000, 1000000),
		.max_ooo = 24,
	};
	/* Not from the generator: seeds mean what they meant before. */
	if (h->sim->seed % 8 == 5)
		h->plan.record = 50 + (uint32_t)(h->sim->seed * 2654435761u % (2 * mss));
}

/* Fast Open, both sides: each form, cookies good and bad, none asked for and
 * none answered. */
static void plan_fastopen(struct host *h)
{
	struct prng *r = &h->sim->prng;
	struct tcp_fo *fo = &h->plan.fo;

	fo->kind = (uint8_t)prng_below(r, TCP_FO_N);
	fo->len = (uint8_t)(prng_below(r, 4) ? 2 * prng_range(r, TCP_FO_MIN / 2, TCP_FO_MAX / 2) : 0);
	fo->room = prng_below(r, 4) ? tcp_fastopen_room(h->cfg.mss, plan_mss(r)) : 0;
	h->plan.fo_good_ppm = prng_below(r, 3) ? 1000000 : 300000;
}

/* What an application with this plan gets through in PLAN_US, octets. */
static uint64_t plan_octets(const struct plan *p)
{
	uint64_t call_us = p->pause_us / 2 + p->long_pause_ppm * LONG_PAUSE_US / 1000000 + 1;

	return PLAN_US / call_us * (p->chunk + 1) / 2;
}

/* No application is to be what makes a conversation last. */
static void plan_bound(struct sim *sim)
{
	unsigned int i;

	for (i = 0; i < 2; i++) {
		struct plan *p = &sim->host[i].plan;
		uint64_t ours = plan_octets(p), theirs = plan_octets(&sim->host[!i].plan);
		uint64_t max = ours < theirs ? ours : theirs;

		if (p->n_write > max)
			p->n_write = max;
	}
}

void host_init(struct sim *sim, unsigned int idx)
{
	struct host *h = &sim->host[idx];

	h->sim = sim;
	h->idx = idx;
	h->timer_at = UINT64_MAX;
	queue_init(&h->so_snd);
	queue_init(&h->so_rcv);
}

/* Who does what in this conversation. */
void host_plan(struct sim *sim)
{
	struct prng *r = &sim->prng;
	uint16_t mss = plan_mss(r);
	unsigned int i, odd = (unsigned int)prng_below(r, 2);

	for (i = 0; i < 2; i++) {
		struct host *h = &sim->host[i];

		host_init(sim, i);
		plan_one(h, prng_below(r, 4) ? mss : plan_mss(r));
	}
	if (prng_below(r, 3) == 0)
		for (i = 0; i < 2; i++)
			plan_fastopen(&sim->host[i]);
	/* A day must be enough. */
	for (i = 0; i < 2; i++) {
		uint64_t most = 1000 * (uint64_t)sim->link[i].path_mss;

		if (most && sim->host[i].plan.n_write > most)
			sim->host[i].plan.n_write = most;
	}
	plan_bound(sim);
	switch (prng_below(r, 16)) {
	case 0:
		sim->host[odd].plan.abort_at = prng_below(r, 30 * (uint64_t)mss);
		break;
	case 1:
		sim->host[odd].plan.quit_at = prng_below(r, 30 * (uint64_t)mss);
		break;
	default:
		return;
	}
	sim->host[0].may_break = true;
	sim->host[1].may_break = true;
}

/* ISS so that everything wraps early. */
static uint32_t iss(struct host *h)
{
	return UINT32_MAX - (uint32_t)prng_log(&h->sim->prng, 1, 200000);
}

void host_start(struct host *h)
{
	bool active = h->idx == 0 || prng_below(&h->sim->prng, 10) == 0;

	tcp_init(&h->tp, &h->cfg);
	if (active && (h->plan.fo.kind || h->plan.fo.room)) {
		uint64_t n = prng_below(&h->sim->prng, min_u32(h->plan.fo.room, h->plan.snd_buf) + 1);

		n = n < h->plan.n_write ? n : h->plan.n_write;
		if (n)
			append(h, (uint32_t)n);
		tcp_user_fastopen(&h->tp, &h->plan.fo);
	}
	if (active)
		tcp_user_open_active(&h->tp, iss(h), h->sim->now_us);
	else
		tcp_user_open_passive(&h->tp, iss(h), h->sim->now_us);
	/* A lost RST would leave the other end in FIN-WAIT-2 for ever. */
	if (h->may_break)
		tcp_user_keepalive(&h->tp, 60000000, 10000000, 9, h->sim->now_us);
	h->dup_una = h->tp.snd_una;
	flush(h, "OPEN");
}

/* All is over: is it? */
void host_end(struct host *h)
{
	char name = "AB"[h->idx];
	struct host *peer = &h->sim->host[!h->idx];

	if (h->tp.state != TCPS_CLOSED)
		sim_fail(h->sim, "%c has stalled in %s: %" PRIu64 " of %" PRIu64 " written, %"
			 PRIu64 " read", name, tcps_names[h->tp.state], h->n_written,
			 h->plan.n_write, h->n_read);
	if (!h->may_break && (h->n_written != h->plan.n_write || peer->n_read != h->n_written))
		sim_fail(h->sim, "%c wrote %" PRIu64 " of %" PRIu64 ", %" PRIu64 " were read", name,
			 h->n_written, h->plan.n_write, peer->n_read);
	if (!h->may_break && !h->eof)
		sim_fail(h->sim, "%c has seen no FIN", name);
	if (tcp_poll_at(&h->tp) != UINT64_MAX)
		sim_fail(h->sim, "%c: a timer is left", name);
}
