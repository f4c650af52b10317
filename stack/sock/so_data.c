/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * so_data.c - send() and recv(): one copy each
 *
 * so_snd is a queue of buffers, each full but the last and those that end a record
 * (MSG_EOR); octets are copied into the last one and into new ones, and
 * checksummed by the same pass.  so_rcv is a queue of pieces of the buffers that packets arrived in.
 *
 * Application, any thread; the stack's lock is taken here.
 */
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "common/util.h"
#include "stack/shm/commit.h"
#include "stack/sock/sock.h"

#define TUNE_RTT_US	100000	/* a round trip, while it was not measured */
#define TUNE_MIN_US	100	/* measure over so long at least */
#define TUNE_SEGS	16	/* segments that bulk has room for at least, as Linux */
#define NOBUF_TRIES	25	/* crossings, when pool or node has no buffer left */

/* Where the caller's octets come from, or go to. */
struct cursor {
	const struct iovec *iov;
	int n_iov;
	size_t off;		/* into iov[0] */
	size_t left;
};

static struct cursor cursor_of(const struct iovec *iov, int n_iov)
{
	struct cursor c = { .iov = iov, .n_iov = n_iov };

	for (int i = 0; i < n_iov; i++)
		c.left += iov[i].iov_len;
	return c;
}

/* The next contiguous octets, at most @max: their length, 0 at the end. */
static size_t cursor_next(struct cursor *c, uint8_t **p, size_t max)
{
	size_t k;

	while (c->n_iov && c->off == c->iov->iov_len) {
		c->iov++;
		c->n_iov--;
		c->off = 0;
	}
	if (!c->n_iov)
		return 0;
	k = MIN(c->iov->iov_len - c->off, max);
	*p = (uint8_t *)c->iov->iov_base + c->off;
	c->off += k;
	c->left -= k;
	return k;
}

/* --- send ------------------------------------------------------------------- */

/* Copy up to @max octets behind the @len of @piece's buffer. */
static uint32_t fill(struct stk *stk, struct js_piece *piece, struct cursor *c, uint32_t max)
{
	uint8_t *mem = poolc_buf(&stk->pc, piece->buf);
	uint64_t sum = piece->sum;
	uint32_t done = 0;

	if (!mem)
		return 0;
	max = MIN(max, (uint32_t)JS_BUF_SIZE - piece->off - piece->len);
	fault_here(FAULT_IN_COPY);
	while (done < max) {
		uint8_t *src;
		size_t k = cursor_next(c, &src, max - done);
		uint64_t part;

		if (!k)
			break;
		part = ip_csum_copy(mem + piece->off + piece->len, src, k);
		sum += piece->len & 1 ? ip_csum_swap(part) : part;
		piece->len = (uint16_t)(piece->len + k);
		done += (uint32_t)k;
	}
	piece->sum = (uint16_t)~ip_csum_fold(sum);
	return done;
}

static void snd_push(struct so_txn *t, struct js_piece piece)
{
	if (t->s.snd_tail != t->s.snd_head)
		so_piece_put(t, &t->rings->snd[(t->s.snd_tail - 1) % JS_SND_ENTRIES], t->s.snd_last);
	t->s.snd_last = piece;
	t->s.fence_seen = (uint16_t)t->fences;
	t->s.snd_tail++;
}

/* A thread that was fenced may still write behind the last piece: go on in a
 * buffer of our own.  0 or -Exxx. */
static int fresh_last(struct stk *stk, struct so_txn *t)
{
	struct js_piece *last = &t->s.snd_last;
	const uint8_t *src;
	uint8_t *dst;
	uint16_t id;
	int n;

	if (t->s.fence_seen == (uint16_t)t->fences)
		return 0;
	n = bufcache_get(&stk->bc, &id, 1, true);
	if (n < 0)
		return n;
	src = poolc_buf(&stk->pc, last->buf);
	dst = poolc_buf(&stk->pc, id);
	if (!src || !dst || last->off + last->len > JS_BUF_SIZE)
		return -EUCLEAN;
	memcpy(dst + last->off, src + last->off, last->len);
	t->s.snd_copied += last->len;
	stk_free(stk, &last->buf, 1);
	last->buf = id;
	t->s.fence_seen = (uint16_t)t->fences;
	return 0;
}

/* Octets that may go into the last buffer, of @room: where they end a record it
 * must not become full. */
static uint32_t fill_limit(const struct js_piece *piece, const struct cursor *c, uint32_t room,
			   bool eor)
{
	return eor && c->left <= room && c->left == JS_BUF_SIZE - (uint32_t)piece->len ?
		(uint32_t)c->left - 1 : room;
}

/* All of a record was copied. */
static void end_record(struct so_txn *t)
{
	t->s.flags |= JS_SOF_RECORDS | JS_SOF_EOR;
}

/*
 * Append up to @room octets to so_snd; @eor: the last that the cursor has ends a
 * record.
 * Return: octets; -EAGAIN no buffer now; -ENOBUFS and others of the cache
 */
static ssize_t append(struct stk *stk, struct so_txn *t, struct cursor *c, uint32_t room,
		      bool eor)
{
	uint16_t ids[64];
	int n_ids = 0, at = 0, err;
	uint32_t done = 0, behind = 0;

	if (t->s.snd_head == t->s.snd_tail)
		t->s.flags &= ~(uint32_t)(JS_SOF_RECORDS | JS_SOF_EOR);
	else if (t->s.snd_last.len < JS_BUF_SIZE && !(t->s.flags & JS_SOF_EOR))
		behind = fill_limit(&t->s.snd_last, c, room, eor);
	/* Not in vain: who gives up now does not commit, and would lose the buffer. */
	if (behind) {
		err = fresh_last(stk, t);
		if (err)
			return err;
		done = fill(stk, &t->s.snd_last, c, behind);
	}
	while (done < room && c->left) {
		struct js_piece piece = { 0 };

		if (t->s.snd_tail - t->s.snd_head >= JS_SND_ENTRIES)
			break;
		if (at == n_ids) {
			size_t want = (MIN((size_t)(room - done), c->left) + JS_BUF_SIZE - 1) /
				      JS_BUF_SIZE;

			n_ids = bufcache_get(&stk->bc, ids,
					     (unsigned int)MIN(want, ARRAY_SIZE(ids)), !done);
			at = 0;
			if (n_ids < 0 && !done)
				return n_ids;
			if (n_ids < 0)
				break;	/* what was copied is enough for now */
		}
		piece.buf = ids[at++];
		done += fill(stk, &piece, c, fill_limit(&piece, c, room - done, eor));
		t->s.flags &= ~(uint32_t)JS_SOF_EOR;
		snd_push(t, piece);
	}
	if (at < n_ids)
		bufcache_put(&stk->bc, ids + at, (unsigned int)(n_ids - at));
	if (eor && done && !c->left)
		end_record(t);
	t->s.snd_cc += done;
	t->s.snd_bytes += done;
	t->s.snd_copied += done;
	return done;
}

static int send_allowed(const struct so_txn *t)
{
	if (t->s.error)
		return -t->s.error;
	if (t->s.flags & (JS_SOF_WR_SHUT | JS_SOF_CLOSED))
		return -EPIPE;
	if (t->s.flags & JS_SOF_CONNECTED)
		return 0;
	if (t->s.flags & JS_SOF_FASTOPEN)
		return -EINPROGRESS;
	return t->s.flags & JS_SOF_CONNECTING ? -EAGAIN : -ENOTCONN;
}

int so_txn_begin(struct stk *stk, uint32_t sock, uint32_t gen, struct so_txn *t)
{
	if (sock >= JS_N_SOCKS ||
	    atomic_load_explicit(&stk->socks[sock].gen, memory_order_acquire) != gen)
		return -EBADF;
	stk_works_on(stk, sock);
	if (so_begin(stk->mem, sock, t))
		return -ENETDOWN;
	/* Robbed since stk_lock(), and the fence was before so_begin(): it
	 * would not make our commit fail. */
	return stk_is_robbed(stk) ? -ESTALE : 0;
}

/* so_error is told once: by who commits that it was.  -so_error, -ESTALE. */
static int tell_error(struct stk *stk, uint32_t sock, struct so_txn *t)
{
	int err = -t->s.error, stale;

	t->s.error = 0;
	stale = so_finish(stk, sock, t, poolc_tail(&stk->q), 0);
	return stale ? stale : err;
}

/* One attempt under the lock. */
static ssize_t send_locked(struct stk *stk, uint32_t sock, uint32_t gen, struct cursor *c,
			   int flags)
{
	struct so_txn t;
	struct tcp_view v;
	ssize_t n, done = 0;
	uint64_t now;
	uint32_t mark, unpushed = 0;
	bool again;
	int err = so_txn_begin(stk, sock, gen, &t);

	if (err)
		return err;
	err = send_allowed(&t);
	if (err)
		return t.s.error ? tell_error(stk, sock, &t) : err;
	if (!c->left)
		return 0;
	mark = poolc_tail(&stk->q);
	now = now_us();
	do {
		uint32_t room = so_snd_room(&t);

		n = room ? append(stk, &t, c, room, flags & MSG_EOR) : -EAGAIN;
		if (n <= 0)
			break;
		done += n;
		again = c->left && so_sends_in_packets(&t);
		/* A packet that ends beyond half of the peer's window is pushed. */
		unpushed += (uint32_t)n;
		so_view(&t, &v);
		tcp_user_send(&t.tcb, &v, now);
		/* What did not fit follows at once: only the last octet is urgent. */
		if (flags & MSG_OOB && !c->left)
			tcp_user_urgent(&t.tcb, &v);
		if (flags & MSG_MORE || (again && unpushed <= t.tcb.max_sndwnd / 2))
			tcp_user_more(&t.tcb);
		else
			unpushed = 0;
		so_output(stk, sock, &t, now);
	} while (again);
	if (!done)
		return n ? n : -EAGAIN;
	/* Another packet was to follow: there was no room for it. */
	if (n <= 0 && !(flags & MSG_MORE)) {
		so_view(&t, &v);
		tcp_user_send(&t.tcb, &v, now);
		so_output(stk, sock, &t, now);
	}
	err = so_finish(stk, sock, &t, mark, 0);
	return err ? err : done;
}

ssize_t so_send(struct stk *stk, uint32_t sock, uint32_t gen,
		const struct iovec *iov, int n_iov, int flags)
{
	int stale = 0, nobuf = 0;

	for (;;) {
		struct cursor c = cursor_of(iov, n_iov);
		ssize_t n = stk_lock(stk);

		if (n)
			return n;
		n = send_locked(stk, sock, gen, &c, flags);
		if (n == -ESTALE)
			stk_check_queue(stk);
		stk_unlock(stk);
		if (n == -ESTALE && ++stale < SO_STALE_TRIES)
			continue;
		if (n == -ESTALE)
			return -ENETDOWN;
		/* The node is out of buffers: they come back as others' data
		 * is acknowledged. */
		if (n == -ENOBUFS && ++nobuf < NOBUF_TRIES) {
			sched_yield();
			continue;
		}
		return n;
	}
}

static ssize_t send_syn_locked(struct stk *stk, uint32_t sock, uint32_t gen, struct cursor *c,
			       bool more)
{
	struct so_txn t;
	uint32_t room;
	ssize_t n;
	int err = so_txn_begin(stk, sock, gen, &t);

	if (err)
		return err;
	if (!(t.s.flags & JS_SOF_FASTOPEN) || t.tcb.state != TCPS_CLOSED)
		return -EALREADY;
	room = more ? t.s.snd_hiwat : MIN(t.s.fo_room, t.s.snd_hiwat);
	room = room > t.s.snd_cc ? room - t.s.snd_cc : 0;
	n = room ? append(stk, &t, c, room, false) : 0;
	if (n <= 0)
		return n ? n : -EAGAIN;
	err = so_finish(stk, sock, &t, poolc_tail(&stk->q), 0);
	return err ? err : n;
}

ssize_t so_send_syn(struct stk *stk, uint32_t sock, uint32_t gen,
		    const struct iovec *iov, int n_iov, bool more)
{
	for (int stale = 0; stale < SO_STALE_TRIES; stale++) {
		struct cursor c = cursor_of(iov, n_iov);
		ssize_t n = stk_lock(stk);

		if (n)
			return n;
		n = send_syn_locked(stk, sock, gen, &c, more);
		if (n == -ESTALE)
			stk_check_queue(stk);
		stk_unlock(stk);
		if (n != -ESTALE)
			return n;
	}
	return -ENETDOWN;
}

/* --- recv ------------------------------------------------------------------- */

static struct js_piece rcv_piece(const struct so_txn *t, uint32_t i)
{
	return i == t->s.rcv_tail - 1 ? t->s.rcv_last : so_piece(&t->rings->rcv[i % JS_RCV_ENTRIES]);
}

/*
 * Copy octets out of so_rcv; without MSG_PEEK also take them.
 * @skip:	Pass over so many first
 * Return: octets copied, or -EUCLEAN if the queue is not what the block says.
 */
static ssize_t take(struct stk *stk, struct so_txn *t, struct cursor *c, int flags,
		    uint32_t skip)
{
	uint32_t i = t->s.rcv_head, off = t->s.rcv_head_off;
	uint32_t skipped = skip;
	size_t done = 0;

	while ((c->left || skip) && i != t->s.rcv_tail) {
		struct js_piece p = rcv_piece(t, i);
		const uint8_t *mem = poolc_buf(&stk->pc, p.buf);
		uint8_t *dst;
		size_t k;

		if (!mem || p.off + p.len > JS_BUF_SIZE || off > p.len)
			return -EUCLEAN;
		k = MIN(skip, p.len - off);
		off += (uint32_t)k;
		skip -= (uint32_t)k;
		k = cursor_next(c, &dst, MIN((size_t)(p.len - off), c->left));
		if (!(flags & MSG_TRUNC) && k)
			memcpy(dst, mem + p.off + off, k);
		off += (uint32_t)k;
		done += k;
		if (off < p.len)
			break;
		off = 0;
		i++;
		/* The last piece of a buffer: the buffer is done with. */
		if (!(flags & MSG_PEEK) &&
		    (i == t->s.rcv_tail || rcv_piece(t, i).buf != p.buf))
			stk_free(stk, &p.buf, 1);
	}
	if (!(flags & MSG_PEEK)) {
		t->s.rcv_head = i;
		t->s.rcv_head_off = off;
		t->s.rcv_cc -= (uint32_t)MIN(done + skipped, t->s.rcv_cc);
		t->s.rcv_bytes += done + skipped;
		if (!(flags & MSG_TRUNC))
			t->s.rcv_copied += done;
	}
	return (ssize_t)done;
}

/*
 * so_rcv grows with what the application takes in a round trip: so that it is
 * never the window that holds the sender back.  Twice that, and as much more as
 * it grew since the last round trip, while the sender is in slow start.  As
 * Linux's tcp_rcv_space_adjust() (dynamic right-sizing).  What we know of the
 * round trip may be the handshake's alone, on a machine that was busy then: all
 * of so_rcv is not taken in less than a real one.  Where segments are so
 * large that a round trip is but a few of them, there is room for some more: a
 * burst of losses that takes all that is in flight leaves nothing to tell of it
 * before RTO.
 */
static void rcv_tune(const struct stk *stk, struct so_txn *t, uint64_t now)
{
	uint64_t rtt = t->tcb.flags & TF_SRTT ? t->tcb.srtt_us : TUNE_RTT_US;
	uint64_t passed = (uint32_t)now - t->s.rcvq_us, taken, want;

	rtt = MAX(rtt, (uint64_t)TUNE_MIN_US);
	taken = (uint32_t)t->s.rcv_bytes - t->s.rcvq_bytes;
	if (t->s.flags & JS_SOF_RCVBUF ||
	    (t->s.rcvq_us && passed < rtt && taken < t->s.rcv_hiwat))
		return;
	if (t->s.rcvq_us) {
		rtt = MIN(rtt, MAX(passed, 1ull));
		taken = MIN(taken * rtt / MAX(passed, 1ull), (uint64_t)JS_BUF_MAX);
		want = 2 * taken + 2 * t->tcb.rcv_seg;
		if (t->s.rcvq_space && taken > t->s.rcvq_space)
			want += 2 * want * (taken - t->s.rcvq_space) / t->s.rcvq_space;
		want = MIN(want, (uint64_t)so_buf_max(stk));
		if (taken > t->s.rcvq_space && want > t->s.rcv_hiwat) {
			t->s.rcv_hiwat = (uint32_t)want;
			tcp_user_rcv_buf(&t->tcb, t->s.rcv_hiwat);
		}
		want = MIN(TUNE_SEGS * t->tcb.rcv_seg, so_buf_max(stk));
		if (t->s.rcv_bytes > t->s.rcv_hiwat && want > t->s.rcv_hiwat) {
			t->s.rcv_hiwat = (uint32_t)want;
			tcp_user_rcv_buf(&t->tcb, t->s.rcv_hiwat);
		}
		t->s.rcvq_space = MAX(t->s.rcvq_space, (uint32_t)taken);
	} else {
		t->s.rcvq_space = t->s.rcv_hiwat / 2;
	}
	t->s.rcvq_us = MAX((uint32_t)now, 1u);
	t->s.rcvq_bytes = (uint32_t)t->s.rcv_bytes;
}

/* Why there is nothing to take: 0 end of file, or an error. */
static int recv_nothing(struct stk *stk, uint32_t sock, struct so_txn *t)
{
	if (t->s.error)
		return tell_error(stk, sock, t);
	if (t->s.flags & (JS_SOF_EOF | JS_SOF_RD_SHUT | JS_SOF_CLOSED))
		return 0;
	if (!(t->s.flags & (JS_SOF_CONNECTED | JS_SOF_CONNECTING | JS_SOF_FASTOPEN)))
		return -ENOTCONN;
	return -EAGAIN;
}

static ssize_t recv_locked(struct stk *stk, uint32_t sock, uint32_t gen, struct cursor *c,
			   int flags)
{
	struct so_txn t;
	struct tcp_view v;
	uint32_t mark, urg, skip;
	uint64_t now;
	ssize_t n;
	int err = so_txn_begin(stk, sock, gen, &t);

	if (err)
		return err;
	if (!t.s.rcv_cc)
		return recv_nothing(stk, sock, &t);
	urg = so_urg_offset(&t);
	skip = !urg && c->left && so_urg_is_out_of_line(&t);
	/* No further than the mark. */
	if (urg && c->left > urg)
		c->left = urg;
	n = take(stk, &t, c, flags, skip);
	if (n < 0)
		return -ENETDOWN;
	if (flags & MSG_PEEK || !(n + skip))
		return n ? n : skip ? -EAGAIN : 0;
	so_urg_passed(&t);
	mark = poolc_tail(&stk->q);
	now = now_us();
	rcv_tune(stk, &t, now);
	so_view(&t, &v);
	tcp_user_recv(&t.tcb, &v, now);
	so_output(stk, sock, &t, now);
	err = so_finish(stk, sock, &t, mark, 0);
	if (!err && !n)
		return recv_nothing(stk, sock, &t);
	return err ? err : n;
}

ssize_t so_recv(struct stk *stk, uint32_t sock, uint32_t gen,
		const struct iovec *iov, int n_iov, int flags)
{
	for (int stale = 0; stale < SO_STALE_TRIES; stale++) {
		struct cursor c = cursor_of(iov, n_iov);
		ssize_t n = stk_lock(stk);

		if (n)
			return n;
		n = recv_locked(stk, sock, gen, &c, flags);
		stk_unlock(stk);
		if (n != -ESTALE)
			return n;
	}
	return -ENETDOWN;
}

/* --- shutdown, options --------------------------------------------------------- */

static int shutdown_locked(struct stk *stk, uint32_t sock, uint32_t gen, int how)
{
	const unsigned int both = 1u << JS_WAIT_RX | 1u << JS_WAIT_TX;
	uint32_t mark = poolc_tail(&stk->q);
	uint64_t now = now_us();
	struct so_txn t;
	int err = so_txn_begin(stk, sock, gen, &t);

	if (err)
		return err;
	if (!(t.s.flags & JS_SOF_CONNECTED) || t.s.flags & JS_SOF_CLOSED)
		return -ENOTCONN;
	if (how == SHUT_RD || how == SHUT_RDWR)
		t.s.flags |= JS_SOF_RD_SHUT;
	if ((how == SHUT_WR || how == SHUT_RDWR) && !(t.s.flags & JS_SOF_WR_SHUT)) {
		t.s.flags |= JS_SOF_WR_SHUT;
		tcp_user_close(&t.tcb, now);
		so_output(stk, sock, &t, now);
	}
	return so_finish(stk, sock, &t, mark, both);
}

int so_shutdown(struct stk *stk, uint32_t sock, uint32_t gen, int how)
{
	int err = -ESTALE;

	if (how != SHUT_RD && how != SHUT_WR && how != SHUT_RDWR)
		return -EINVAL;
	for (int stale = 0; err == -ESTALE && stale < SO_STALE_TRIES; stale++) {
		err = stk_lock(stk);
		if (err)
			return err;
		err = shutdown_locked(stk, sock, gen, how);
		stk_unlock(stk);
	}
	return err == -ESTALE ? -ENETDOWN : err;
}

#define KEEP_IDLE_S	7200	/* as Linux: tcp_keepalive_time, _intvl, _probes */
#define KEEP_INTVL_S	75
#define KEEP_COUNT	9
#define SECONDS_MAX	32767

static uint64_t seconds_us(uint32_t s, uint32_t dflt)
{
	return MIN(s ? s : dflt, (uint32_t)SECONDS_MAX) * 1000000ull;
}

void so_user_opts(const struct js_sock *so, struct tcp_user_opts *o)
{
	uint32_t opts = atomic_load_explicit(&so->opts, memory_order_relaxed);
	uint32_t linger2 = so_topt(so, JS_TOPT_LINGER2);
	uint32_t count = so_topt(so, JS_TOPT_KEEPCNT);

	*o = (struct tcp_user_opts){
		.nodelay = opts & JS_SO_NODELAY, .cork = opts & JS_SO_CORK,
		.keep_intvl_us = seconds_us(so_topt(so, JS_TOPT_KEEPINTVL), KEEP_INTVL_S),
		.keep_count = (uint8_t)MIN(count ? count : KEEP_COUNT, 127u),
		.syn_retries = (uint8_t)MIN(so_topt(so, JS_TOPT_SYNCNT), 127u),
		.user_timeout_ms = so_topt(so, JS_TOPT_USER_TIMEOUT),
		.adv_uto_s = (uint16_t)MIN(so_topt(so, JS_TOPT_UTO), 65535u),
		.fin_wait_2_us = linger2 == JS_TOPT_AT_ONCE ? 1 :
				 MIN(linger2, 60u) * 1000000,
		.window_clamp = so_topt(so, JS_TOPT_WINDOW_CLAMP),
	};
	if (opts & JS_SO_KEEPALIVE)
		o->keep_idle_us = seconds_us(so_topt(so, JS_TOPT_KEEPIDLE), KEEP_IDLE_S);
}

/* What opts_change() does, beside TCP_QUICKACK of 0 and 1. */
#define OPTS_ALL	-1	/* what has changed */
#define OPTS_PUSH	-2	/* that, and TCP_NODELAY again: what is held back goes */

static int opts_locked(struct stk *stk, uint32_t sock, uint32_t gen, int quickack)
{
	uint32_t mark = poolc_tail(&stk->q);
	uint64_t now = now_us();
	struct tcp_user_opts o;
	struct so_txn t;
	int err = so_txn_begin(stk, sock, gen, &t);

	if (err)
		return err;
	if (quickack < 0) {
		so_user_opts(t.so, &o);
		tcp_user_opts(&t.tcb, &o, now);
		if (quickack == OPTS_PUSH)
			tcp_user_nodelay(&t.tcb, o.nodelay);
	} else {
		tcp_user_quickack(&t.tcb, quickack);
	}
	so_output(stk, sock, &t, now);
	/* What makes a socket writable may be another now. */
	return so_finish(stk, sock, &t, mark, 1u << JS_WAIT_TX);
}

/* @quickack: 0 or 1; OPTS_*: the other options. */
static int opts_change(struct stk *stk, uint32_t sock, uint32_t gen, int quickack)
{
	int err = -ESTALE;

	for (int stale = 0; err == -ESTALE && stale < SO_STALE_TRIES; stale++) {
		err = stk_lock(stk);
		if (err)
			return err;
		err = opts_locked(stk, sock, gen, quickack);
		stk_unlock(stk);
	}
	return err == -ESTALE ? -ENETDOWN : err;
}

int so_opts_changed(struct stk *stk, uint32_t sock, uint32_t gen)
{
	return opts_change(stk, sock, gen, OPTS_ALL);
}

int so_push(struct stk *stk, uint32_t sock, uint32_t gen)
{
	return opts_change(stk, sock, gen, OPTS_PUSH);
}

int so_quickack(struct stk *stk, uint32_t sock, uint32_t gen, bool on)
{
	return opts_change(stk, sock, gen, on);
}

int so_congestion(struct stk *stk, uint32_t sock, uint32_t gen, uint8_t algo)
{
	struct so_txn t;
	int err = -ESTALE;

	for (int stale = 0; err == -ESTALE && stale < SO_STALE_TRIES; stale++) {
		err = stk_lock(stk);
		if (err)
			return err;
		err = so_txn_begin(stk, sock, gen, &t);
		if (!err) {
			tcp_user_congestion(&t.tcb, algo);
			err = so_finish(stk, sock, &t, poolc_tail(&stk->q), 0);
		}
		stk_unlock(stk);
	}
	return err == -ESTALE ? -ENETDOWN : err;
}

/* One attempt under the lock.  @first: read the range; NULL: another was sent. */
static int zerocopy_locked(struct stk *stk, uint32_t sock, uint32_t gen, uint32_t *first,
			   uint32_t *last)
{
	const unsigned int both = 1u << JS_WAIT_RX | 1u << JS_WAIT_TX;
	uint32_t mark = poolc_tail(&stk->q);
	struct so_txn t;
	int err = so_txn_begin(stk, sock, gen, &t);

	if (err)
		return err;
	if (!first) {
		t.s.zc_next++;
		return so_finish(stk, sock, &t, mark, both);
	}
	if (t.s.zc_next == t.s.zc_told)
		return -EAGAIN;
	*first = t.s.zc_told;
	*last = t.s.zc_next - 1;
	t.s.zc_told = t.s.zc_next;
	return so_finish(stk, sock, &t, mark, 0);
}

static int zerocopy(struct stk *stk, uint32_t sock, uint32_t gen, uint32_t *first,
		    uint32_t *last)
{
	int err = -ESTALE;

	for (int stale = 0; err == -ESTALE && stale < SO_STALE_TRIES; stale++) {
		err = stk_lock(stk);
		if (err)
			return err;
		err = zerocopy_locked(stk, sock, gen, first, last);
		stk_unlock(stk);
	}
	return err == -ESTALE ? -ENETDOWN : err;
}

int so_zerocopy_sent(struct stk *stk, uint32_t sock, uint32_t gen)
{
	return zerocopy(stk, sock, gen, NULL, NULL);
}

int so_zerocopy_take(struct stk *stk, uint32_t sock, uint32_t gen, uint32_t *first,
		     uint32_t *last)
{
	return zerocopy(stk, sock, gen, first, last);
}

static int error_locked(struct stk *stk, uint32_t sock, uint32_t gen)
{
	struct so_txn t;
	int err = so_txn_begin(stk, sock, gen, &t);

	if (err || (!t.s.error && !t.s.soft_error))
		return err;
	if (!t.s.error) {
		t.s.error = t.s.soft_error;
		t.s.soft_error = 0;
	}
	return tell_error(stk, sock, &t);
}

int so_error_take(struct stk *stk, uint32_t sock, uint32_t gen)
{
	int err = -ESTALE;

	for (int stale = 0; err == -ESTALE && stale < SO_STALE_TRIES; stale++) {
		err = stk_lock(stk);
		if (err)
			break;
		err = error_locked(stk, sock, gen);
		stk_unlock(stk);
	}
	return err == -ESTALE ? ENETDOWN : -err;
}
