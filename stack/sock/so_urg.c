/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * so_urg.c - urgent data as sockets have it: one octet out of band
 *
 * TCP's urgent pointer says where urgent data ends (RFC 6093); sockets call the
 * last octet before that out of band.  It stays in so_rcv.  If it is not to be
 * read in line (SO_OOBINLINE), recv() stops before it, skips it the next time,
 * and recv(MSG_OOB) gives a copy that was made when it arrived.
 *
 * js_so.urg:
 *	0	none.  Operations: so_urg_announced() -> NOTYET
 *	NOTYET	announced.  Operations: so_urg_arrived() -> VALID
 *	VALID	there.  Operations: so_recv_oob() -> READ
 *	READ	Caveats: recv() still has to stop and to skip
 * A newer one replaces it in any state; passing it in so_rcv makes it 0.
 *
 * Application and child; lock held, but for what only looks.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "stack/shm/commit.h"
#include "stack/sock/sock.h"

/* Sequence number of the first octet of so_rcv. */
static uint32_t copied_seq(const struct so_txn *t)
{
	return t->tcb.rcv_nxt - !!(t->s.flags & JS_SOF_EOF) - t->s.rcv_cc;
}

void so_urg_announced(struct so_txn *t)
{
	t->s.urg_seq = t->tcb.rcv_up - 1;
	t->s.urg = JS_URG_NOTYET;
}

uint32_t so_urg_offset(const struct so_txn *t)
{
	uint32_t off = t->s.urg_seq - copied_seq(t);

	return t->s.urg && off < t->s.rcv_cc ? off : UINT32_MAX;
}

bool so_urg_is_out_of_line(const struct so_txn *t)
{
	return !(atomic_load_explicit(&t->so->opts, memory_order_relaxed) & JS_SO_OOBINLINE);
}

bool so_urg_arrived(struct stk *stk, struct so_txn *t)
{
	uint32_t off = so_urg_offset(t), i = t->s.rcv_head;

	if (!(t->s.urg & JS_URG_NOTYET) || off == UINT32_MAX)
		return false;
	off += t->s.rcv_head_off;
	for (; i != t->s.rcv_tail; i++) {
		struct js_piece p = i == t->s.rcv_tail - 1 ? t->s.rcv_last :
				    so_piece(&t->rings->rcv[i % JS_RCV_ENTRIES]);
		const uint8_t *mem = poolc_buf(&stk->pc, p.buf);

		if (off >= p.len) {
			off -= p.len;
			continue;
		}
		if (!mem || p.off + p.len > JS_BUF_SIZE)
			return false;
		t->s.urg = JS_URG_VALID | mem[p.off + off];
		return true;
	}
	return false;
}

void so_urg_passed(struct so_txn *t)
{
	if (t->s.urg && (int32_t)(copied_seq(t) - t->s.urg_seq) > 0)
		t->s.urg = 0;
}

static int recv_oob(struct stk *stk, uint32_t sock, struct so_txn *t, uint8_t *octet, int flags)
{
	const uint32_t end = JS_SOF_EOF | JS_SOF_RD_SHUT | JS_SOF_CLOSED;

	/* As tcp_recv_urg() of Linux says it. */
	if (!so_urg_is_out_of_line(t) || !t->s.urg || t->s.urg & JS_URG_READ)
		return -EINVAL;
	if (t->s.urg & JS_URG_VALID) {
		*octet = (uint8_t)t->s.urg;
		if (flags & MSG_PEEK)
			return 1;
		t->s.urg = JS_URG_READ;
		return so_finish(stk, sock, t, poolc_tail(&stk->q), 0) ? -ESTALE : 1;
	}
	return t->s.flags & end ? 0 : -EAGAIN;
}

int so_recv_oob(struct stk *stk, uint32_t sock, uint32_t gen, uint8_t *octet, int flags)
{
	struct so_txn t;
	int r = -ESTALE;

	for (int stale = 0; r == -ESTALE && stale < SO_STALE_TRIES; stale++) {
		r = stk_lock(stk);
		if (r)
			return r;
		r = so_txn_begin(stk, sock, gen, &t);
		if (!r && !(t.s.flags & JS_SOF_CONNECTED))
			r = -ENOTCONN;
		if (!r)
			r = recv_oob(stk, sock, &t, octet, flags);
		stk_unlock(stk);
	}
	return r == -ESTALE ? -ENETDOWN : r;
}
