/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * so_icmp.c - what routers say of our segments
 *
 * The engine decides whether an ICMP error is believed (stack/engine/tcp_mtu.c);
 * here it becomes an errno, or a smaller MSS, as in Linux: in SYN-SENT the errno
 * is connect()'s; later it is kept, for SO_ERROR and in place of ETIMEDOUT, until
 * an ACK shows that the peer is reached after all.
 *
 * The child; but for so_path_mtu() and so_dont_fragment(), which look.
 */
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "common/util.h"
#include "stack/shm/cm.h"
#include "stack/shm/commit.h"
#include "stack/sock/sock.h"

#define MTU_MIN_V4	552	/* octets: Linux's net.ipv4.route.min_pmtu */
#define MTU_MIN_V6	1280	/* RFC 8200, 5: never less */

static bool is_v4(const struct stk *stk, uint32_t sock)
{
	struct cm_addr peer = { 0 };

	memcpy(peer.addr, stk->guard->sock[sock % JS_N_SOCKS].paddr, sizeof(peer.addr));
	return cm_addr_is_v4(&peer);
}

static uint32_t header_len(const struct stk *stk, uint32_t sock)
{
	return (is_v4(stk, sock) ? 20 : 40) + sizeof(struct tcphdr);
}

static unsigned int mtu_discover(const struct so_txn *t)
{
	uint32_t v = so_topt(t->so, JS_TOPT_MTU_DISCOVER);

	return v ? v - 1 : IP_PMTUDISC_WANT;
}

bool so_dont_fragment(const struct so_txn *t)
{
	unsigned int v = mtu_discover(t);

	return v == IP_PMTUDISC_DO ||
	       (v == IP_PMTUDISC_WANT && !(t->s.flags & JS_SOF_SMALL_MTU));
}

uint32_t so_path_mtu(const struct stk *stk, uint32_t sock, const struct so_txn *t)
{
	return t->tcb.path_mss ? MIN(t->tcb.path_mss + header_len(stk, sock), JS_TCPI_PMTU) :
				 JS_TCPI_PMTU;
}

/* Does the path's MTU, as routers tell it, bind this socket?  IPV6_MTU_DISCOVER's
 * "dont" is about fragments of our own. */
static bool wants_mtu(const struct so_txn *t, bool v4)
{
	unsigned int v = mtu_discover(t);

	return v != IP_PMTUDISC_INTERFACE && v != IP_PMTUDISC_OMIT &&
	       !(v4 && v == IP_PMTUDISC_DONT);
}

/* Fragmentation needed, or packet too big. */
static enum tcp_icmp too_big(struct stk *stk, uint32_t sock, struct so_txn *t,
			     const struct cm_icmp *m, uint64_t now)
{
	bool v4 = is_v4(stk, sock);
	uint32_t mtu = v4 ? MAX(m->mtu, (uint32_t)MTU_MIN_V4) : m->mtu;
	enum tcp_icmp found;

	if (!wants_mtu(t, v4))
		return TCP_ICMP_SOFT;
	/* RFC 8201, 4: it must be discarded. */
	if (!v4 && m->mtu < MTU_MIN_V6)
		return TCP_ICMP_IGNORED;
	found = tcp_icmp_too_big(&t->tcb, m->seq, MIN(mtu, JS_TCPI_PMTU) - header_len(stk, sock),
				 now);
	if (found == TCP_ICMP_IGNORED || mtu == m->mtu || !v4)
		return found;
	t->s.flags |= JS_SOF_SMALL_MTU;
	if (so_dont_fragment(t))
		t->s.soft_error = EMSGSIZE;
	return found;
}

void so_icmp(struct stk *stk, uint32_t sock, const struct cm_icmp *m)
{
	uint32_t mark = poolc_tail(&stk->q);
	unsigned int wake = 0;
	uint64_t now = now_us();
	enum tcp_icmp found;
	struct so_txn t;

	if (so_begin(stk->mem, sock, &t))
		return;		/* the next packet ends it */
	found = m->is_too_big ? too_big(stk, sock, &t, m, now) :
				tcp_icmp_error(&t.tcb, m->seq, now);
	if (found == TCP_ICMP_IGNORED)
		t.s.icmp_ignored++;
	else if (found == TCP_ICMP_FATAL)
		wake = so_note_events(&t, TCP_EV_CLOSED);
	if (found == TCP_ICMP_FATAL)
		t.s.error = (int16_t)m->err;
	else if (found == TCP_ICMP_SOFT && !m->is_too_big)
		t.s.soft_error = (int16_t)m->err;
	so_output(stk, sock, &t, now);
	so_finish(stk, sock, &t, mark, wake);
}
