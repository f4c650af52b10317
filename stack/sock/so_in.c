/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * so_in.c - from the event queue to tcp_input() and so_rcv
 *
 * The only caller of tcp_input().  A packet's buffers become so_rcv's: no
 * octet is copied, but for small segments, which are added to the last buffer
 * so that they do not exhaust the pool.
 *
 * An event is consumed after its block was committed, and the block remembers
 * the packet's number: an event that is seen twice is skipped.
 *
 * Application (not for SYN, nor for an injected RxVCI) and child.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "abi/aal5.h"
#include "common/clock.h"
#include "common/util.h"
#include "stack/shm/commit.h"
#include "stack/shm/lock.h"
#include "stack/sock/sock.h"

#define COMPACT_MAX	1024	/* octets: smaller segments are copied together */
#define HDR_PRIVATE	128	/* octets of a packet that are looked at: copied first */

/* What a packet of the port is, from private memory. */
struct packet {
	struct js_event ev;
	uint8_t hdr[HDR_PRIVATE];
	struct ip_pair pair;
	struct tcp_seg seg;
	uint32_t off;		/* of the payload in the SDU */
	uint8_t tos;
};

/* The checksum over all buffers of the packet. */
static bool checksum_ok(const struct stk *stk, const struct packet *p, uint32_t ip_len)
{
	uint32_t left = p->ev.sdu_len;
	uint32_t skip = ip_len;
	uint64_t sum = ip_pseudo_sum(&p->pair, left - ip_len);

	for (int i = 0; i < p->ev.n_buf && left; i++) {
		const uint8_t *mem = poolc_buf(&stk->pc, p->ev.buf[i]);
		uint32_t k = MIN(left, (uint32_t)JS_BUF_SIZE);

		sum = ip_csum_add(sum, mem + skip, k - skip);
		left -= k;
		skip = 0;
	}
	return ip_csum_fold(sum) == 0;
}

/* Copy the headers, check all of it.  0 or -EBADMSG. */
static int parse(const struct stk *stk, struct packet *p)
{
	uint32_t n = MIN(p->ev.sdu_len, (uint32_t)HDR_PRIVATE);
	const uint8_t *mem = p->ev.n_buf ? poolc_buf(&stk->pc, p->ev.buf[0]) : NULL;
	int ip_len, tcp_len;

	if (!mem)
		return -EBADMSG;
	memcpy(p->hdr, mem, n);
	ip_len = ip_parse(p->hdr, p->ev.sdu_len, &p->pair, &p->tos);
	if (ip_len < 0 || (uint32_t)ip_len + sizeof(struct tcphdr) > n)
		return -EBADMSG;
	/* Options may only lie in what was copied. */
	tcp_len = tcp_seg_parse(&p->seg, p->hdr + ip_len, n - (uint32_t)ip_len);
	if (tcp_len < 0)
		return -EBADMSG;
	p->off = (uint32_t)(ip_len + tcp_len);
	p->seg.len = p->ev.sdu_len - p->off;
	p->seg.ecn = p->tos & TCP_ECN_CE;
	return checksum_ok(stk, p, (uint32_t)ip_len) ? 0 : -EBADMSG;
}

/* Is it from our peer to us?  Streams and rules may lag behind (DESIGN 5). */
static bool is_ours(const struct js_guard_sock *g, const struct packet *p)
{
	return p->seg.dport == g->lport && p->seg.sport == g->pport &&
	       !memcmp(p->pair.dst, g->laddr, 16) && !memcmp(p->pair.src, g->paddr, 16);
}

static struct js_piece rcv_piece(const struct so_txn *t, uint32_t i)
{
	return i == t->s.rcv_tail - 1 ? t->s.rcv_last : so_piece(&t->rings->rcv[i % JS_RCV_ENTRIES]);
}

/* Put a piece behind the last one.  The one that was last goes to the ring,
 * where no committed block reads it yet. */
static void rcv_push(struct so_txn *t, struct js_piece piece)
{
	if (t->s.rcv_tail != t->s.rcv_head)
		so_piece_put(t, &t->rings->rcv[(t->s.rcv_tail - 1) % JS_RCV_ENTRIES], t->s.rcv_last);
	t->s.rcv_last = piece;
	t->s.rcv_fence = (uint16_t)t->fences;
	t->s.rcv_tail++;
	t->s.rcv_cc += piece.len;
}

/*
 * Octets [from, from + len) of an SDU that lies in bufs[0..n) to the end of
 * so_rcv; @used gets a bit for each buffer that is so_rcv's now.
 */
static void rcv_append(struct so_txn *t, const uint16_t *bufs, int n, uint32_t from,
		       uint32_t len, uint32_t *used)
{
	for (int i = 0; i < n && len; i++) {
		uint32_t base = (uint32_t)i * JS_BUF_SIZE;
		uint32_t off, k;

		if (from >= base + JS_BUF_SIZE)
			continue;
		off = from - base;
		k = MIN(JS_BUF_SIZE - off, len);
		rcv_push(t, (struct js_piece){ .buf = bufs[i], .off = (uint16_t)off,
					       .len = (uint16_t)k });
		*used |= 1u << i;
		from += k;
		len -= k;
	}
}

/* Copy a small payload into the room behind the last piece.  False: no room. */
static bool compact(struct stk *stk, struct so_txn *t, const struct packet *p,
		    uint32_t from, uint32_t len)
{
	struct js_piece *last = &t->s.rcv_last;
	uint8_t *dst = poolc_buf(&stk->pc, last->buf);
	const uint8_t *src;
	uint32_t done = 0;

	if (len > COMPACT_MAX || t->s.rcv_head == t->s.rcv_tail || !dst ||
	    last->off + last->len + len > JS_BUF_SIZE || t->s.rcv_fence != (uint16_t)t->fences)
		return false;	/* or a thread that was fenced may write there, too */
	fault_here(FAULT_IN_COPY);
	dst += last->off + last->len;
	while (done < len) {
		uint32_t at = from + done;
		uint32_t k = MIN(len - done, JS_BUF_SIZE - at % JS_BUF_SIZE);

		src = poolc_buf(&stk->pc, p->ev.buf[at / JS_BUF_SIZE]);
		memcpy(dst + done, src + at % JS_BUF_SIZE, k);
		done += k;
	}
	last->len = (uint16_t)(last->len + len);
	t->s.rcv_cc += len;
	t->s.rcv_copied += len;
	return true;
}

/* A copy that is what it is: not read from there again, where others write. */
static struct js_ooo ooo_read(const struct so_txn *t, int i)
{
	struct js_ooo o = t->rings->ooo[i];

	atomic_signal_fence(memory_order_seq_cst);
	return o;
}

/* Keep [from, from + len), sequence number @seq, aside. */
static void ooo_keep(struct so_txn *t, const struct packet *p, uint32_t from,
		     uint32_t len, uint32_t seq, uint32_t *used)
{
	int slot = t->ooo_slot;
	struct js_ooo *o;
	uint32_t first = from / JS_BUF_SIZE;
	uint32_t last = (from + len - 1) / JS_BUF_SIZE;

	if (slot < 0 || last >= p->ev.n_buf)
		return;		/* the engine was told; it will be sent again */
	so_note_rings(t);
	o = &t->rings->ooo[slot];
	fault_here(FAULT_IN_QUEUE);
	*o = (struct js_ooo){ .seq = seq, .len = len, .off = (uint16_t)(from % JS_BUF_SIZE),
			      .n_buf = (uint8_t)(last - first + 1) };
	for (uint32_t i = first; i <= last; i++) {
		o->buf[i - first] = p->ev.buf[i];
		*used |= 1u << i;
	}
	t->s.ooo_map[slot / 64] |= (uint64_t)1 << slot % 64;
}

/* Move what is in order now from aside to so_rcv, which has all before @next;
 * what so_rcv has already is freed. */
static void ooo_pull(struct stk *stk, struct so_txn *t, uint32_t next)
{
	bool found = true;

	while (found) {
		found = false;
		for (int i = -1; (i = so_next_ooo(&t->s, i + 1)) >= 0;) {
			struct js_ooo o = ooo_read(t, i);
			uint32_t used = 0, skip;

			if ((int32_t)(o.seq - next) > 0)
				continue;	/* another comes first, or still out of order */
			if (o.n_buf > 18 || o.len > JS_SDU_MAX)
				o.n_buf = 0, o.len = 0;
			t->s.ooo_map[i / 64] &= ~((uint64_t)1 << i % 64);
			skip = next - o.seq;
			if ((int32_t)(o.seq + o.len - next) > 0) {
				rcv_append(t, o.buf, o.n_buf, o.off + skip, o.len - skip, &used);
				next = o.seq + o.len;
				found = true;
			}
			for (int k = 0; k < o.n_buf; k++) {
				if (!(used >> k & 1))
					stk_free(stk, &o.buf[k], 1);
			}
		}
	}
}

static void ooo_drop(struct stk *stk, struct so_txn *t)
{
	for (int i = -1; (i = so_next_ooo(&t->s, i + 1)) >= 0;) {
		struct js_ooo o = ooo_read(t, i);

		stk_free(stk, o.buf, MIN(o.n_buf, ARRAY_SIZE(o.buf)));
	}
	memset(t->s.ooo_map, 0, sizeof(t->s.ooo_map));
}

unsigned int so_note_events(struct so_txn *t, uint32_t ev)
{
	const unsigned int both = 1u << JS_WAIT_RX | 1u << JS_WAIT_TX;
	unsigned int wake = 0;

	if (ev & TCP_EV_CONNECTED) {
		t->s.flags |= JS_SOF_CONNECTED;
		t->s.flags &= ~JS_SOF_CONNECTING;
		wake |= both;
	}
	if (ev & TCP_EV_FIN) {
		t->s.flags |= JS_SOF_EOF;
		wake |= both;
	}
	if (ev & TCP_EV_RESET) {
		t->s.flags |= JS_SOF_RESET;
		t->s.error = t->s.flags & JS_SOF_EOF ? EPIPE : ECONNRESET;
	}
	if (ev & TCP_EV_REFUSED)
		t->s.error = ECONNREFUSED;
	if (ev & TCP_EV_TIMEDOUT)
		t->s.error = t->s.soft_error ? t->s.soft_error : (int16_t)ETIMEDOUT;
	if (ev & (TCP_EV_RESET | TCP_EV_REFUSED | TCP_EV_TIMEDOUT | TCP_EV_CLOSED)) {
		t->s.flags |= JS_SOF_CLOSED;
		t->s.flags &= ~JS_SOF_CONNECTING;
		wake |= both;
	}
	if (ev & TCP_EV_FIN_ACKED)
		wake |= 1u << JS_WAIT_TX;
	return wake;
}

/*
 * so_snd grows while it, not the congestion window, is what holds the sender
 * back: to twice cwnd, of which one half is in flight while the other is being
 * written.  As Linux's tcp_new_space().
 */
static void snd_tune(const struct stk *stk, struct so_txn *t)
{
	uint32_t want = MIN(t->tcb.snd_cwnd, so_buf_max(stk) / 2) * 2;

	if (!(t->s.flags & JS_SOF_SNDBUF) && want > t->s.snd_hiwat &&
	    t->tcb.snd_nxt - t->tcb.snd_una < t->tcb.snd_cwnd)
		t->s.snd_hiwat = want;
}

/* Is the next event a packet for the same socket? */
static bool is_followed(const struct stk *stk, const struct packet *p)
{
	struct js_event next;

	return poolc_event_look(&stk->pc, 1, &next) && next.type == JS_EV_RX &&
		next.pool == p->ev.pool;
}

/* Run one packet through the engine.  0, -ESTALE, -EUCLEAN. */
static int deliver(struct stk *stk, uint32_t sock, struct so_txn *t, struct packet *p)
{
	uint32_t mark = poolc_tail(&stk->q);
	uint32_t una = t->tcb.snd_una, cc = t->s.snd_cc, used = 0;
	uint64_t now = now_us();
	uint16_t rest[JS_SDU_BUFS];
	unsigned int n_rest = 0, wake;
	bool was_writable = so_is_writable(t);
	struct tcp_view v;
	struct tcp_rx rx;
	int err;

	if (t->tcb.state == TCPS_LISTEN && stk->on_syn)
		stk->on_syn(stk->ctx, sock, &p->seg, &t->tcb);
	so_view(t, &v);
	tcp_input(&t->tcb, &v, &p->seg, now, &rx);
	if (rx.events & TCP_EV_CONNECTED && stk->on_syn_ack &&
	    (p->seg.flags & (TH_SYN | TH_ACK)) == (TH_SYN | TH_ACK))
		stk->on_syn_ack(stk->ctx, sock, &p->seg, &t->tcb);
	t->s.ev_seq = p->ev.seq;
	t->s.segs_in++;
	t->s.data_segs_in += !!p->seg.len;
	if (p->seg.len || rx.events & TCP_EV_CONNECTED)
		t->s.data_ms = MAX((uint32_t)(now / 1000), 1u);
	if (rx.acked)
		so_snd_drop(stk, t, rx.acked, una);
	if (rx.data_len) {
		uint32_t from = p->off + rx.data_off;

		if (!rx.advance)
			ooo_keep(t, p, from, rx.data_len, rx.data_seq, &used);
		else if (!compact(stk, t, p, from, rx.data_len))
			rcv_append(t, p->ev.buf, p->ev.n_buf, from, rx.data_len, &used);
		if (rx.advance && so_next_ooo(&t->s, 0) >= 0)
			ooo_pull(stk, t, rx.data_seq + rx.data_len);
	}
	if (rx.events & TCP_EV_DROP)
		t->s.dropped++;
	else if (p->seg.flags & TH_ACK)
		t->s.soft_error = 0;	/* the peer is reached */
	wake = so_note_events(t, rx.events);
	if (rx.events & TCP_EV_URG) {
		so_urg_announced(t);
		wake |= 1u << JS_WAIT_URG;
	}
	if (rx.advance)
		wake |= 1u << JS_WAIT_RX;
	if (rx.advance && t->s.urg)
		so_urg_arrived(stk, t);
	stk->owes = 0;
	if (is_followed(stk, p) && tcp_may_wait(&t->tcb, &rx, now))
		stk->owes = sock + 1;
	else
		so_output(stk, sock, t, now);
	if (rx.acked && cc > t->s.snd_hiwat - t->s.snd_hiwat / 3)
		snd_tune(stk, t);
	if (!was_writable && so_is_writable(t))
		wake |= 1u << JS_WAIT_TX;
	else if (cc && !t->s.snd_cc && t->s.flags & JS_SOF_WR_SHUT)
		wake |= 1u << JS_WAIT_TX;	/* somebody lingers */
	for (int i = 0; i < p->ev.n_buf; i++) {
		if (!(used >> i & 1))
			rest[n_rest++] = p->ev.buf[i];
	}
	stk_free(stk, rest, n_rest);
	if (rx.advance && t->s.flags & JS_SOF_DEFER) {
		t->s.flags &= ~(uint32_t)JS_SOF_DEFER;
		rx.events |= TCP_EV_CONNECTED;	/* the child has waited for this */
	}
	err = so_finish(stk, sock, t, mark, wake);
	if (!err && rx.events & ~(uint32_t)(TCP_EV_ACKED | TCP_EV_DATA | TCP_EV_DROP |
					    TCP_EV_URG)) {
		if (stk->on_event)
			stk->on_event(stk->ctx, sock, rx.events);
		else
			so_tell_child(stk, sock);
	}
	return err;
}

/* Not for this connection.  Committed, as who does this may be killed before the
 * event is consumed: the buffers are given back once.  0, -ESTALE. */
static int refuse(struct stk *stk, uint32_t sock, struct so_txn *t, const struct packet *p)
{
	t->s.ev_seq = p->ev.seq;
	stk_free(stk, p->ev.buf, p->ev.n_buf);
	return so_finish(stk, sock, t, poolc_tail(&stk->q), 0);
}

/* The child's, which is not killed but with its stack. */
static void drop_packet(struct stk *stk, const struct packet *p)
{
	stk_free(stk, p->ev.buf, p->ev.n_buf);
	stk_flush(stk);
	poolc_publish(&stk->q);
}

/*
 * Seen before: its holder died between commit and consuming it.  That can only
 * be the last one; but a thread that was fenced may come with one of long ago.
 * The child is never fenced: if ev_seq is ahead of what it sees, ev_seq lies.
 */
static bool is_seen(const struct stk *stk, const struct so_txn *t, const struct packet *p)
{
	if (stk->is_child)
		return t->s.ev_seq == p->ev.seq;
	return t->s.ev_seq && (int32_t)(p->ev.seq - t->s.ev_seq) <= 0;
}

/*
 * Does the peer know our RxVCI?  If it announces its own behind the SYN and does
 * not use ours, no: its SYN was answered with a cookie, or ours was.
 */
static void look_for_announcement(struct stk *stk, uint32_t sock, struct so_txn *t,
				  const struct packet *p)
{
	const struct js_guard_sock *g = &stk->guard->sock[sock];
	/* From the connection server, to which it came. */
	bool is_relayed = p->ev.flags & JS_RX_LOCAL && vci_ring_id(g->txvci) != stk->pc.ring_id;

	if (p->ev.vci == g->rxvci && !is_relayed)
		t->s.flags &= ~(uint32_t)JS_SOF_ANNOUNCE;
	else if (p->ev.uucpi & JS_UUCPI_RXVCI && !(p->seg.flags & TH_SYN))
		t->s.flags |= JS_SOF_ANNOUNCE;
}

/* The child does not look by itself. */
static void leave_to_child(struct stk *stk, uint32_t what)
{
	uint64_t one = 1;

	atomic_fetch_or(&stk->hdr->child_work, what);
	if (!stk->is_child && write(stk->kick_fd, &one, sizeof(one)) < 0)
		return;		/* full is as good as written */
}

/* What followed was not of its connection after all, or the child's to process. */
static void answer(struct stk *stk)
{
	uint32_t mark = poolc_tail(&stk->q), sock = stk->owes - 1;
	struct so_txn t;

	if (!stk->owes)
		return;
	stk->owes = 0;
	stk_works_on(stk, sock);
	if (so_begin(stk->mem, sock, &t) || stk_is_robbed(stk))
		return;		/* the delayed ACK's timer runs */
	so_output(stk, sock, &t, now_us());
	so_finish(stk, sock, &t, mark, 0);
}

/*
 * Process one event whose copy is @p->ev.
 * Return: 1 done with it; 0 it is the child's; -ESTALE, -EUCLEAN
 */
static int input(struct stk *stk, struct packet *p)
{
	uint16_t idx = p->ev.pool < JS_N_POOLS ?
		atomic_load_explicit(&stk->guard->sock_by_pool[p->ev.pool],
				     memory_order_acquire) : 0xffff;
	struct so_txn t;
	bool syn;
	int err;

	if (idx >= JS_N_SOCKS && !stk->is_child)
		return 0;
	if (idx >= JS_N_SOCKS) {
		if (stk->on_stray && !parse(stk, p) && !(p->seg.flags & TH_RST) &&
		    stk->on_stray(stk->ctx, p->ev.pool))
			so_answer_rst(stk, p->ev.pool, &p->pair, &p->seg);
		drop_packet(stk, p);
		return 1;
	}
	/* The one behind it was refused, or seen before. */
	if (stk->owes != idx + 1u)
		answer(stk);
	stk_works_on(stk, idx);
	err = so_begin(stk->mem, idx, &t);
	if (!err && stk_is_robbed(stk))
		err = -ESTALE;	/* see so_txn_begin() */
	if (err)
		return err;
	/* Before a look at it: its buffers may have been given back then, and be
	 * another's. */
	if (is_seen(stk, &t, p)) {
		/* What so_rcv has not taken of it was to be given back. */
		leave_to_child(stk, JS_WORK_SWEEP);
		return 1;
	}
	if (parse(stk, p) || !is_ours(&stk->guard->sock[idx], p)) {
		err = refuse(stk, idx, &t, p);
		return err ? err : 1;
	}
	syn = p->seg.flags & TH_SYN || p->ev.uucpi & JS_UUCPI_RXVCI;
	if (syn && !stk->is_child)
		return 0;
	if (syn && stk->on_rxvci) {
		uint16_t rxvci = p->ev.uucpi & JS_UUCPI_RXVCI ?
			p->ev.uucpi & (uint16_t)~JS_UUCPI_RXVCI : 0;

		if (stk->on_rxvci(stk->ctx, idx, rxvci) < 0) {
			drop_packet(stk, p);
			return 1;
		}
	}
	look_for_announcement(stk, idx, &t, p);
	err = deliver(stk, idx, &t, p);
	return err ? err : 1;
}

/*
 * A packet for @pool was discarded for want of buffers.  If it was what is
 * missing before all that is out of order, it would be so for ever: what is
 * out of order has the buffers.  The peer sends that again (RFC 2018, 8).
 * Return: 1 done; -ESTALE, -EUCLEAN
 */
static int discarded(struct stk *stk, uint16_t pool)
{
	uint32_t mark = poolc_tail(&stk->q);
	uint16_t idx = pool < JS_N_POOLS ?
		atomic_load_explicit(&stk->guard->sock_by_pool[pool], memory_order_acquire) :
		0xffff;
	struct so_txn t;
	int err;

	if (idx >= JS_N_SOCKS)
		return 1;
	err = so_begin(stk->mem, idx, &t);
	if (!err && stk_is_robbed(stk))
		err = -ESTALE;
	if (err)
		return err;
	if (so_next_ooo(&t.s, 0) < 0)
		return 1;
	ooo_drop(stk, &t);
	tcp_renege(&t.tcb);
	err = so_finish(stk, idx, &t, mark, 0);
	return err ? err : 1;
}

/* See so_input_events(). */
static int input_events(struct stk *stk, int max)
{
	struct packet p;
	int n, ret;

	for (n = 0; n < max && poolc_event_peek(&stk->pc, &p.ev); n++) {
		if (p.ev.type == JS_EV_RX) {
			ret = input(stk, &p);
			if (ret == 0) {
				leave_to_child(stk, JS_WORK_EVENTS);
				return -EAGAIN;
			}
			if (ret == -ESTALE)
				return n;
			if (ret == -EUCLEAN && !stk->is_child)
				return ret;
			if (ret == -EUCLEAN) {
				/* The block cannot be run: the child ends it. */
				drop_packet(stk, &p);
				if (stk->on_event)
					stk->on_event(stk->ctx, stk->guard->sock_by_pool[p.ev.pool],
						      TCP_EV_RESET);
			}
		}
		if (p.ev.type == JS_EV_DISCARD) {
			ret = discarded(stk, p.ev.pool);
			if (ret == -ESTALE)
				return n;
			/* A block that cannot be run: the child finds it with
			 * the next packet. */
			if (ret == -EUCLEAN && !stk->is_child)
				return ret;
		}
		/* What was cut short goes on: the child's business, also of what it
		 * sends itself. */
		if (p.ev.type == JS_EV_SPACE)
			leave_to_child(stk, JS_WORK_EVENTS);
		poolc_event_done(&stk->pc, &p.ev);
	}
	return n;
}

int so_input_events(struct stk *stk, int max)
{
	int ret;

	stk->owes = 0;
	ret = input_events(stk, max);
	answer(stk);
	return ret;
}

static void mark(uint64_t *map, uint16_t buf)
{
	map[buf / 64] |= (uint64_t)1 << buf % 64;
}

void so_mark_bufs(const struct so_txn *t, uint64_t *map)
{
	for (uint32_t i = t->s.snd_head; i != t->s.snd_tail; i++)
		mark(map, i == t->s.snd_tail - 1 ? t->s.snd_last.buf :
			  t->rings->snd[i % JS_SND_ENTRIES].buf);
	for (uint32_t i = t->s.rcv_head; i != t->s.rcv_tail; i++)
		mark(map, rcv_piece(t, i).buf);
	for (int i = -1; (i = so_next_ooo(&t->s, i + 1)) >= 0;) {
		struct js_ooo o = ooo_read(t, i);

		for (unsigned int k = 0; k < o.n_buf && k < ARRAY_SIZE(o.buf); k++)
			mark(map, o.buf[k]);
	}
}

void so_drop_all(struct stk *stk, struct so_txn *t)
{
	uint16_t prev = JS_BUF_NONE;

	/* All that was sent may still be queued: jetringd defers the FREE. */
	t->s.rexmt_segs = MAX(t->s.rexmt_segs, 1u);
	t->s.rexmt_high = t->tcb.snd_una + 0x40000000;
	so_snd_drop(stk, t, t->s.snd_cc, t->tcb.snd_una);
	for (uint32_t i = t->s.rcv_head; i != t->s.rcv_tail; i++) {
		struct js_piece p = rcv_piece(t, i);

		if (p.buf != prev)
			stk_free(stk, &p.buf, 1);
		prev = p.buf;
	}
	t->s.rcv_head = t->s.rcv_tail;
	t->s.rcv_cc = t->s.rcv_head_off = 0;
	ooo_drop(stk, t);
}
