/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * so_out.c - from tcp_output() to the script queue
 *
 * The only caller of tcp_output().  A segment is a header, written into the
 * op, and pieces of the buffers of so_snd: no octet of payload is copied, and
 * the TCP checksum is made from the sums that send() left with each piece.
 *
 * Application (not for segments with SYN) and child; lock held.
 */
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

#define RESERVE_OPS	8	/* slots kept for FREE and ALLOC */

/* Piece @i (free-running) of so_snd as it is now. */
static struct js_piece snd_piece(const struct so_txn *t, uint32_t i)
{
	struct js_piece p = i == t->s.snd_tail - 1 ? t->s.snd_last :
			    so_piece(&t->rings->snd[i % JS_SND_ENTRIES]);
	return p;
}

/*
 * The piece of so_snd that octet @off lies in.  All pieces but the last fill their
 * buffers, so it is found without looking; where there are records, the
 * pieces before it are looked at.
 * @from:	Set: octets of the piece that lie before it
 * Return: piece, free-running; it may be snd_tail, or beyond
 */
static uint32_t find_piece(const struct so_txn *t, uint32_t off, uint32_t *from)
{
	uint32_t i = t->s.snd_head;

	*from = t->s.snd_head_off + off;
	if (!(t->s.flags & JS_SOF_RECORDS)) {
		i += *from / JS_BUF_SIZE;
		*from %= JS_BUF_SIZE;
		return i;
	}
	for (; i != t->s.snd_tail; i++) {
		uint32_t len = snd_piece(t, i).len;

		if (*from < len)
			break;
		*from -= len;
	}
	return i;
}

/* tcp_view.record: a record ends with a buffer that is not full. */
static uint32_t to_record_end(const void *owner, uint32_t off)
{
	const struct so_txn *t = owner;
	uint32_t from, n = 0;

	for (uint32_t i = find_piece(t, off, &from); i != t->s.snd_tail; i++, from = 0) {
		uint32_t len = snd_piece(t, i).len;

		n += len > from ? len - from : 0;
		if (len < JS_BUF_SIZE && (i != t->s.snd_tail - 1 || t->s.flags & JS_SOF_EOR))
			return n;
	}
	return UINT32_MAX;
}

/* Pieces that what is out of order will be. */
static uint32_t ooo_pieces(const struct so_txn *t)
{
	uint32_t n = 0;

	for (int i = -1; (i = so_next_ooo(&t->s, i + 1)) >= 0;)
		n += MIN(t->rings->ooo[i].n_buf, ARRAY_SIZE(t->rings->ooo[i].buf));
	return n;
}

void so_view(const struct so_txn *t, struct tcp_view *v)
{
	uint32_t pieces = t->s.rcv_tail - t->s.rcv_head;

	*v = (struct tcp_view){
		.snd_cc = t->s.snd_cc,
		.rcv_space = t->s.rcv_hiwat > t->s.rcv_cc ? t->s.rcv_hiwat - t->s.rcv_cc : 0,
		.ooo_room = JS_OOO_ENTRIES - so_n_ooo(&t->s,
			atomic_load_explicit(&t->so->ooo_retired, memory_order_relaxed)),
		.closed = t->s.flags & JS_SOF_ORPHAN,
		.record = t->s.flags & JS_SOF_RECORDS ? to_record_end : NULL,
		.owner = t,
	};
	/* Room in the ring for one more segment and all that is out of order. */
	if (pieces + JS_SDU_BUFS * (2 + JS_OOO_ENTRIES - v->ooo_room) > JS_RCV_ENTRIES) {
		v->ooo_room = 0;
		if (pieces + 2 * JS_SDU_BUFS + ooo_pieces(t) > JS_RCV_ENTRIES)
			v->rcv_space = 0;
	}
}

uint32_t so_unsent(const struct so_txn *t)
{
	uint32_t out = t->tcb.snd_nxt - t->tcb.snd_una;

	/* Our SYN is not in so_snd. */
	if (out && t->tcb.state <= TCPS_SYN_RECEIVED)
		out--;
	return t->s.snd_cc > out ? t->s.snd_cc - out : 0;
}

/*
 * DOC: how much so_snd takes
 *
 * Up to snd_hiwat octets, as long as nobody has said how much.  Who sets SO_SNDBUF or
 * TCP_NOTSENT_LOWAT counts on Linux's ways: twice SO_SNDBUF is charged with what
 * a packet costs beside its octets; a packet that was begun is filled, and
 * another is begun while the limits are not reached.  So a write ends at the
 * same octet as with Linux.  Such packets are of 64 KiB, but half of the peer's
 * largest window at most, in full segments.
 */
#define PACKET_MAX	65536u	/* octets: what TSO takes */
#define PACKET_COST	1280u	/* octets: struct sk_buff and the room for headers */

static uint32_t packet_size(const struct so_txn *t)
{
	uint32_t smss = MAX(tcp_eff_mss(&t->tcb), 1u);
	uint32_t n = MIN(PACKET_MAX, t->tcb.max_sndwnd / 2);

	return MAX(n - n % smss, smss);
}

static uint32_t snd_limit(const struct so_txn *t)
{
	return t->s.flags & JS_SOF_SNDBUF ?
		MIN(2 * t->s.snd_hiwat, (uint32_t)(JS_SND_ENTRIES * JS_BUF_SIZE)) : t->s.snd_hiwat;
}

/* What so_snd holds, octets; buffers that records have not filled as whole ones. */
static uint32_t snd_held(const struct so_txn *t)
{
	if (t->s.flags & JS_SOF_RECORDS)
		return MAX(t->s.snd_cc, (t->s.snd_tail - t->s.snd_head) * JS_BUF_SIZE);
	return t->s.snd_cc;
}

static uint32_t snd_charge(const struct so_txn *t)
{
	uint32_t size, held = snd_held(t);

	if (!(t->s.flags & JS_SOF_SNDBUF))
		return held;
	size = packet_size(t);
	return held + (t->s.snd_cc + size - 1) / size * PACKET_COST;
}

bool so_sends_in_packets(const struct so_txn *t)
{
	return t->s.flags & JS_SOF_SNDBUF || so_topt(t->so, JS_TOPT_NOTSENT_LOWAT);
}

uint32_t so_snd_room(const struct so_txn *t)
{
	uint32_t lowat = so_topt(t->so, JS_TOPT_NOTSENT_LOWAT), size, part;

	if (!so_sends_in_packets(t))
		return t->s.snd_hiwat > snd_held(t) ? t->s.snd_hiwat - snd_held(t) : 0;
	size = packet_size(t);
	part = so_unsent(t) % size;
	if (!part && (snd_charge(t) >= snd_limit(t) || (lowat && so_unsent(t) >= lowat)))
		return 0;
	return size - part;
}

bool so_is_writable(const struct so_txn *t)
{
	uint32_t lowat = so_topt(t->so, JS_TOPT_NOTSENT_LOWAT), limit = snd_limit(t);

	/* Writers are woken when a third of the buffer is free, not for each ACK. */
	return snd_charge(t) <= limit - limit / 3 && (!lowat || so_unsent(t) < lowat);
}

/*
 * Pieces for so_snd[off, off + len) and their partial checksum.
 * Return: pieces, or -EUCLEAN if the queue does not hold that.
 */
static int gather(const struct stk *stk, const struct so_txn *t, uint32_t off,
		  uint32_t len, struct js_seg seg[JS_SDU_BUFS], uint64_t *sum)
{
	uint32_t left = len, at = 0, from;
	uint32_t first = find_piece(t, off, &from);
	int n = 0;

	if (first - t->s.snd_head > t->s.snd_tail - t->s.snd_head)
		return -EUCLEAN;
	for (uint32_t i = first; left && i != t->s.snd_tail; i++, from = 0) {
		struct js_piece p = snd_piece(t, i);
		const uint8_t *mem = poolc_buf(&stk->pc, p.buf);
		uint64_t part;
		uint32_t k;

		if (!mem || p.off + p.len > JS_BUF_SIZE || from >= p.len)
			return -EUCLEAN;
		if (p.len != JS_BUF_SIZE && i != t->s.snd_tail - 1 &&
		    !(t->s.flags & JS_SOF_RECORDS))
			return -EUCLEAN;
		k = MIN(p.len - from, left);
		if (n == JS_SDU_BUFS)
			return -EUCLEAN;
		seg[n++] = (struct js_seg){ .buf = p.buf, .off = (uint16_t)(p.off + from),
					    .len = (uint16_t)k };
		part = k == p.len ? p.sum : ip_csum_add(0, mem + p.off + from, k);
		*sum += at & 1 ? ip_csum_swap(part) : part;
		at += k;
		left -= k;
	}
	return left ? -EUCLEAN : n;
}

/* SYNs look for the connection server; so does what was lost again and again,
 * in case a stream was reused or a rule was lost (DESIGN 5).  And who asks for
 * its peer: if that is no more its stream leads nowhere, but the node's TCPs
 * answer with RST. */
static bool via_divert(const struct tcp_seg *seg)
{
	if (seg->flags & TH_SYN)
		return !(seg->flags & TH_ACK);
	return seg->n_rexmt >= 2 || seg->asks || (seg->is_rexmt && seg->flags & TH_FIN);
}

/* IP and TCP header of a segment whose payload has the partial checksum @sum.
 * Return: octets of @hdr */
static uint32_t build_header(uint8_t hdr[JS_OP_HDR_MAX], const struct ip_pair *pair,
			     const struct tcp_seg *seg, uint8_t tos, uint8_t ttl, uint64_t sum)
{
	/* The TCP header first, behind room for the longest IP header. */
	int tcp_len = tcp_seg_build(seg, hdr + 40);
	int ip_len = ip_build(hdr, pair, (uint32_t)tcp_len + seg->len, tos, ttl, 0);
	uint16_t csum;

	memmove(hdr + ip_len, hdr + 40, (size_t)tcp_len);
	sum += ip_pseudo_sum(pair, (uint32_t)tcp_len + seg->len);
	sum = ip_csum_add(sum, hdr + ip_len, (size_t)tcp_len);
	csum = ip_csum_fold(sum);
	memcpy(hdr + ip_len + 16, &csum, 2);
	return (uint32_t)(ip_len + tcp_len);
}

/* Push a SEND in its place among those of all processes.  0, -EAGAIN. */
static int push_send(struct stk *stk, uint16_t pool, uint16_t flags, const uint8_t *hdr,
		     uint32_t hdr_len, const struct js_seg *pieces, int n)
{
	int err = poolc_send(&stk->q, pool, flags, hdr, hdr_len, pieces, (unsigned int)n);

	/* Pushed, not published: it can still be given its place. */
	if (!err)
		stk->q.sq->op[(poolc_tail(&stk->q) - 1) % JS_QUEUE_OPS].cookie =
			atomic_fetch_add_explicit(&stk->hdr->send_order, 1,
						  memory_order_relaxed) + 1;
	return err;
}

/* Push one segment as a SEND.  0, -EUCLEAN, -EAGAIN. */
static int emit(struct stk *stk, uint32_t sock, struct so_txn *t, struct tcp_seg *seg)
{
	const struct js_guard_sock *g = &stk->guard->sock[sock];
	struct js_seg pieces[JS_SDU_BUFS];
	uint8_t hdr[JS_OP_HDR_MAX];
	struct ip_pair pair;
	uint64_t sum = 0;
	uint16_t flags = 0;
	uint32_t hdr_len;
	int n;

	seg->sport = g->lport;
	seg->dport = g->pport;
	memcpy(pair.src, g->laddr, sizeof(pair.src));
	memcpy(pair.dst, g->paddr, sizeof(pair.dst));
	n = gather(stk, t, seg->off, seg->len, pieces, &sum);
	if (n < 0)
		return n;
	hdr_len = build_header(hdr, &pair, seg,
			       (uint8_t)((so_topt(t->so, JS_TOPT_TOS) & ~TCP_ECN_CE) | seg->ecn),
			       (uint8_t)so_topt(t->so, JS_TOPT_TTL), sum);
	/* The sequence of numbers begins anywhere (RFC 6864, 4.2 wants no more). */
	if (hdr[0] >> 4 == 4 && !so_dont_fragment(t))
		ip_clear_df(hdr, (uint16_t)(t->tcb.iss + t->s.segs_out));
	if (seg->flags & TH_SYN || t->s.flags & JS_SOF_ANNOUNCE)
		flags |= JS_SEND_INJECT;
	if (via_divert(seg))
		flags |= JS_SEND_DIVERT;
	return push_send(stk, g->pool, flags, hdr, hdr_len, pieces, n);
}

void so_answer_rst(struct stk *stk, uint16_t pool, const struct ip_pair *from,
		   const struct tcp_seg *seg)
{
	struct tcp_seg rst = { .sport = seg->dport, .dport = seg->sport, .flags = TH_RST,
			       .wscale = TCP_WS_NONE };
	uint8_t hdr[JS_OP_HDR_MAX];
	struct ip_pair pair;

	memcpy(pair.src, from->dst, sizeof(pair.src));
	memcpy(pair.dst, from->src, sizeof(pair.dst));
	if (seg->flags & TH_ACK) {
		rst.seq = seg->ack;
	} else {
		rst.flags |= TH_ACK;
		rst.ack = seg->seq + seg->len + !!(seg->flags & TH_SYN) + !!(seg->flags & TH_FIN);
	}
	push_send(stk, pool, 0, hdr, build_header(hdr, &pair, &rst, 0, 0, 0), NULL, 0);
}

static void output_all(struct stk *stk, uint32_t sock, struct so_txn *t, uint64_t now)
{
	struct js_sock *so = &stk->socks[sock];
	struct tcp_view v;
	struct tcp_seg seg;

	/* A SYN carries an RxVCI: the child's business. */
	if (!stk->is_child &&
	    (t->tcb.state <= TCPS_SYN_RECEIVED || t->tcb.flags & TF_SYN_DUE))
		return;
	so_view(t, &v);
	for (;;) {
		if (poolc_space(&stk->q) <= RESERVE_OPS) {
			atomic_store_explicit(&so->pending, 1, memory_order_relaxed);
			if (poolc_want_space(&stk->q) ||
			    poolc_space(&stk->q) <= RESERVE_OPS) {
				stk_check_queue(stk);
				return;
			}
		}
		if (tcp_output(&t->tcb, &v, now, &seg) <= 0)
			return;
		if (seg.is_rexmt) {
			t->s.rexmt_segs++;
			if ((int32_t)(seg.seq + seg.len - t->s.rexmt_high) > 0 ||
			    t->s.rexmt_segs == 1)
				t->s.rexmt_high = seg.seq + seg.len;
		}
		/* What cannot be sent counts as lost; the timer tries again.
		 * So_snd is not what the block says: no use to go through all
		 * of it in segments of 36 octets. */
		if (emit(stk, sock, t, &seg) < 0) {
			t->s.dropped++;
			return;
		}
		t->s.segs_out++;
		t->s.data_segs_out += !!seg.len;
	}
}

/* What so_snd waits for now: as Linux counts it for TCP_INFO. */
static uint32_t waits_for(const struct so_txn *t)
{
	const struct tcpcb *tp = &t->tcb;
	uint32_t unsent = so_unsent(t), next;

	if (!t->s.snd_cc)
		return JS_CHRONO_IDLE;
	if (!unsent)
		return atomic_load_explicit(&t->so->waiters[JS_WAIT_TX], memory_order_relaxed) ?
			JS_CHRONO_SNDBUF : JS_CHRONO_BUSY;
	/* The next segment fits in cwnd, but not in the window. */
	next = tp->snd_nxt - tp->snd_una + MIN(unsent, tcp_eff_mss(tp));
	return next > tp->snd_wnd && next <= tp->snd_cwnd ? JS_CHRONO_RWND : JS_CHRONO_BUSY;
}

/* Under the lock, but not committed: it counts for nothing else. */
static void chrono(struct so_txn *t, uint64_t now)
{
	uint32_t old = atomic_load_explicit(&t->so->chrono, memory_order_relaxed);
	uint32_t kind = waits_for(t);
	uint64_t since;

	if (kind == old)
		return;
	since = atomic_load_explicit(&t->so->chrono_since_us, memory_order_relaxed);
	if (old < JS_N_CHRONOS && now > since)
		atomic_fetch_add_explicit(&t->so->chrono_us[old], now - since, memory_order_relaxed);
	atomic_store_explicit(&t->so->chrono_since_us, now, memory_order_relaxed);
	atomic_store_explicit(&t->so->chrono, kind, memory_order_relaxed);
}

/* With TCP_NOTSENT_LOWAT, what is sent makes room, whoever sends it. */
void so_output(struct stk *stk, uint32_t sock, struct so_txn *t, uint64_t now)
{
	bool was_writable = so_is_writable(t);

	output_all(stk, sock, t, now);
	t->room |= !was_writable && so_is_writable(t);
	so_stamps_look(t, now);
	chrono(t, now);
}

/* Void the ops pushed since @mark: their transaction did not happen.  ALLOCs
 * stay, their buffers go to the cache. */
static void void_ops(struct stk *stk, uint32_t mark)
{
	for (uint32_t i = mark; i != poolc_tail(&stk->q); i++) {
		struct js_op *op = &stk->q.sq->op[i % JS_QUEUE_OPS];

		if (op->code != JS_OP_ALLOC)
			op->code = JS_OP_NOP;
	}
}

/* Under the lock, as the child reads the three words.  But a thread that was
 * stopped here and robbed of it may write over what was told since: then the
 * child reads the block again. */
static void note_deadline(struct stk *stk, uint32_t sock, struct so_txn *t)
{
	struct js_stack_hdr *h = stk->hdr;
	_Atomic uint64_t *moved = &h->moved_map[sock / 64];
	uint64_t at = tcp_poll_at(&t->tcb), bit = 1ull << sock % 64;
	uint64_t old;

	atomic_store_explicit(&t->so->deadline_us, at, memory_order_relaxed);
	if (!(atomic_load_explicit(moved, memory_order_relaxed) & bit))
		atomic_fetch_or(moved, bit);
	if (!stk->is_child && stk_is_robbed(stk))
		so_tell_child(stk, sock);
	old = atomic_load_explicit(&h->app_deadline_us, memory_order_relaxed);
	while (at < old &&
	       !atomic_compare_exchange_weak(&h->app_deadline_us, &old, at))
		;
	/* seq_cst on both: the child stores child_until_us, then looks at
	 * app_deadline_us once more before it sleeps. */
	if (!stk->is_child && at < atomic_load(&h->child_until_us)) {
		uint64_t one = 1;

		if (write(stk->kick_fd, &one, sizeof(one)) < 0)
			return;	/* full is as good as written */
	}
}

int so_finish(struct stk *stk, uint32_t sock, struct so_txn *t, uint32_t mark,
	      unsigned int wake)
{
	int err = so_commit(t);

	if (err) {
		void_ops(stk, mark);
		poolc_publish(&stk->q);
		stk->n_defer = stk->n_reuse = 0;
		stk->n_stale++;
		return err;
	}
	stk_flush(stk);		/* after the SENDs */
	poolc_publish(&stk->q);
	fault_here(FAULT_AFTER_PUBLISH);
	note_deadline(stk, sock, t);
	if (t->room)
		wake |= 1u << JS_WAIT_TX;
	if (t->stamped)
		wake |= 1u << JS_WAIT_RX | 1u << JS_WAIT_TX;
	if (wake)
		so_wakeup(stk, sock, wake);
	return 0;
}

/* Ask the child for a look at a socket.  It asks itself, too, but sees that
 * before it sleeps: it never writes to the eventfd, which an application may
 * have filled, and then the write would block. */
static void leave_work(struct stk *stk, uint32_t sock, uint32_t what)
{
	uint64_t one = 1;

	atomic_fetch_or(&stk->hdr->work_map[sock / 64], (uint64_t)1 << sock % 64);
	atomic_fetch_or(&stk->hdr->child_work, what);
	if (stk->is_child)
		return;
	if (write(stk->kick_fd, &one, sizeof(one)) < 0)
		return;
}

void so_tell_child(struct stk *stk, uint32_t sock)
{
	leave_work(stk, sock, JS_WORK_LOOK);
}

/* Somebody polls, or has asked for signals.  For SIGURG it is noted what for. */
static bool wants_token(struct js_sock *so, unsigned int wake)
{
	uint32_t opts = atomic_load_explicit(&so->opts, memory_order_relaxed);

	if (opts & JS_SO_OWNED && wake & 1u << JS_WAIT_URG) {
		atomic_fetch_or(&so->notify, 1u << JS_WAIT_URG);
		return true;
	}
	/* Room is asked for, as Linux's SOCK_NOSPACE does. */
	return atomic_load(&so->notify) & wake ||
	       (opts & JS_SO_ASYNC && wake & 1u << JS_WAIT_RX);
}

void so_wakeup(struct stk *stk, uint32_t sock, unsigned int wake)
{
	struct js_sock *so = &stk->socks[sock];

	for (int w = JS_WAIT_RX; w <= JS_WAIT_TX; w++) {
		if (!(wake & 1u << w))
			continue;
		/* seq_cst: before the looks at waiters and notify; the sleeper
		 * announces itself, then looks at seq (so_wait, so_notify) */
		atomic_fetch_add(&so->seq[w], 1);
		if (atomic_load(&so->waiters[w]))
			futex_wake(&so->seq[w], INT32_MAX);
	}
	if (!wants_token(so, wake))
		return;
	atomic_fetch_and(&so->notify, ~(wake & ~(1u << JS_WAIT_URG)));
	if (stk->on_token)
		stk->on_token(stk->ctx, sock);
	else
		leave_work(stk, sock, JS_WORK_TOKENS);
}

void so_ask_token(struct stk *stk, uint32_t sock)
{
	leave_work(stk, sock, JS_WORK_TOKENS);
}

/* Buffers that so_snd is done with.  @ours: nobody reads them any more. */
static void give_back(struct stk *stk, const uint16_t *bufs, unsigned int n, bool ours)
{
	/* What another process may have allocated, or we through a queue that
	 * was taken from us, is not for our cache: the child frees that when no
	 * block reaches it. */
	if (ours && !stk->is_child && !stk->came_back &&
	    atomic_load_explicit(&stk->guard->n_attached, memory_order_relaxed) <= 1)
		stk_reuse(stk, bufs, n);
	else
		stk_free(stk, bufs, n);
}

void so_snd_drop(struct stk *stk, struct so_txn *t, uint32_t n, uint32_t una_before)
{
	uint16_t gone[JS_OP_BUFS];
	unsigned int n_gone = 0;
	/* Sent more than once: a copy may still wait in a queue of jetringd,
	 * which keeps the buffer until that has left.  Else it is ours. */
	bool once = !t->s.rexmt_segs || (int32_t)(t->s.rexmt_high - una_before) <= 0;

	if (n > t->s.snd_cc)
		n = t->s.snd_cc;
	t->s.snd_cc -= n;
	while (n && t->s.snd_head != t->s.snd_tail) {
		struct js_piece p = snd_piece(t, t->s.snd_head);
		uint32_t k = p.len > t->s.snd_head_off ? p.len - t->s.snd_head_off : 0;

		if (n < k) {
			t->s.snd_head_off += n;
			break;
		}
		n -= k;
		t->s.snd_head++;
		t->s.snd_head_off = 0;
		gone[n_gone++] = p.buf;
		if (n_gone == JS_OP_BUFS) {
			give_back(stk, gone, n_gone, once);
			n_gone = 0;
		}
	}
	if (n_gone)
		give_back(stk, gone, n_gone, once);
}
