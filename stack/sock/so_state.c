/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * so_state.c - looking at sockets and waiting for them
 *
 * Reads the committed block without the lock.  Application and child.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "common/util.h"
#include "stack/shm/commit.h"
#include "stack/shm/lock.h"
#include "stack/sock/sock.h"

static int look(struct stk *stk, uint32_t sock, uint32_t gen, struct so_txn *t)
{
	int err = stk_dead(stk);

	if (err)
		return err;
	if (sock >= JS_N_SOCKS ||
	    atomic_load_explicit(&stk->socks[sock].gen, memory_order_acquire) != gen)
		return -EBADF;
	return so_begin(&stk->socks[sock], t) ? -ENETDOWN : 0;
}

unsigned int so_poll(struct stk *stk, uint32_t sock, uint32_t gen)
{
	unsigned int ev = 0;
	struct so_txn t;

	if (look(stk, sock, gen, &t))
		return POLLERR | POLLHUP;
	if (t.s.flags & JS_SOF_LISTENING)
		return 0;
	if (t.s.error)
		ev |= POLLERR;
	if (t.s.flags & JS_SOF_CLOSED)
		ev |= POLLHUP | POLLIN | POLLRDNORM | POLLRDHUP | POLLOUT | POLLWRNORM;
	else if (!(t.s.flags & (JS_SOF_CONNECTED | JS_SOF_CONNECTING)))
		return ev | POLLHUP | POLLOUT | POLLWRNORM;	/* as Linux: not connected */
	if (t.s.rcv_cc)
		ev |= POLLIN | POLLRDNORM;
	if (t.s.flags & (JS_SOF_EOF | JS_SOF_RD_SHUT))
		ev |= POLLIN | POLLRDNORM | POLLRDHUP;
	if (t.s.flags & JS_SOF_CONNECTED &&
	    (t.s.flags & JS_SOF_WR_SHUT || t.s.snd_cc <= t.s.snd_hiwat - t.s.snd_hiwat / 3))
		ev |= POLLOUT | POLLWRNORM;
	if (t.s.flags & JS_SOF_WR_SHUT && t.s.flags & (JS_SOF_EOF | JS_SOF_RD_SHUT))
		ev |= POLLHUP;
	return ev;
}

int so_info(struct stk *stk, uint32_t sock, uint32_t gen, struct so_info *info)
{
	const struct js_guard_sock *g = &stk->guard->sock[sock % JS_N_SOCKS];
	struct so_txn t;
	int err = look(stk, sock, gen, &t);

	if (err)
		return err;
	*info = (struct so_info){
		.tcp_state = t.tcb.state, .flags = t.s.flags, .error = t.s.error,
		.rcv_cc = t.s.rcv_cc, .snd_cc = t.s.snd_cc,
		.snd_hiwat = t.s.snd_hiwat, .rcv_hiwat = t.s.rcv_hiwat,
	};
	if (g->gen == gen) {
		info->has_addr = true;
		memcpy(info->local.addr, g->laddr, 16);
		memcpy(info->peer.addr, g->paddr, 16);
		info->local.port = g->lport;
		info->peer.port = g->pport;
		info->pool = g->pool;
		info->rxvci = g->rxvci;
		info->txvci = g->txvci;
	}
	return 0;
}

/* Our states in the kernel's numbers (enum in <netinet/tcp.h>). */
static uint8_t linux_state(uint8_t state)
{
	static const uint8_t map[TCPS_NSTATES] = {
		[TCPS_CLOSED] = TCP_CLOSE, [TCPS_LISTEN] = TCP_LISTEN,
		[TCPS_SYN_SENT] = TCP_SYN_SENT, [TCPS_SYN_RECEIVED] = TCP_SYN_RECV,
		[TCPS_ESTABLISHED] = TCP_ESTABLISHED, [TCPS_CLOSE_WAIT] = TCP_CLOSE_WAIT,
		[TCPS_FIN_WAIT_1] = TCP_FIN_WAIT1, [TCPS_CLOSING] = TCP_CLOSING,
		[TCPS_LAST_ACK] = TCP_LAST_ACK, [TCPS_FIN_WAIT_2] = TCP_FIN_WAIT2,
		[TCPS_TIME_WAIT] = TCP_TIME_WAIT,
	};
	return map[state % TCPS_NSTATES];
}

int so_tcp_info(struct stk *stk, uint32_t sock, uint32_t gen, struct tcp_info *ti)
{
	struct so_txn t;
	uint32_t mss;
	int err = look(stk, sock, gen, &t);

	if (err)
		return err;
	mss = MAX(tcp_eff_mss(&t.tcb), 1u);
	memset(ti, 0, sizeof(*ti));
	ti->tcpi_state = linux_state(t.tcb.state);
	if (t.tcb.flags & TF_TS)
		ti->tcpi_options |= TCPI_OPT_TIMESTAMPS;
	if (t.tcb.flags & TF_SACK)
		ti->tcpi_options |= TCPI_OPT_SACK;
	if (t.tcb.flags & TF_WS)
		ti->tcpi_options |= TCPI_OPT_WSCALE;
	ti->tcpi_snd_wscale = t.tcb.snd_scale & 0xf;
	ti->tcpi_rcv_wscale = t.tcb.rcv_scale & 0xf;
	ti->tcpi_rto = t.tcb.rto_us;
	ti->tcpi_snd_mss = mss;
	ti->tcpi_rcv_mss = t.tcb.rcv_mss;
	ti->tcpi_unacked = (t.tcb.snd_nxt - t.tcb.snd_una + mss - 1) / mss;
	ti->tcpi_rtt = t.tcb.srtt_us;
	ti->tcpi_rttvar = t.tcb.rttvar_us;
	ti->tcpi_snd_cwnd = t.tcb.snd_cwnd / mss;
	ti->tcpi_snd_ssthresh = t.tcb.snd_ssthresh / mss;
	ti->tcpi_rcv_space = t.s.rcv_hiwat;
	ti->tcpi_total_retrans = t.s.rexmt_segs;
	ti->tcpi_pmtu = JS_TCPI_PMTU;
	return 0;
}

uint32_t so_seq(struct stk *stk, uint32_t sock, int which)
{
	return atomic_load_explicit(&stk->socks[sock % JS_N_SOCKS].seq[which & 1],
				    memory_order_acquire);
}

int so_wait(struct stk *stk, uint32_t sock, int which, uint32_t seq, uint64_t timeout_us)
{
	struct js_sock *so = &stk->socks[sock % JS_N_SOCKS];
	int err;

	if (atomic_load(&so->seq[which & 1]) != seq)
		return 0;
	/* seq_cst: announced before the kernel compares seq; the waker changes
	 * seq before it looks for waiters. */
	atomic_fetch_add(&so->waiters[which & 1], 1);
	err = stk_dead(stk) ? 0 : futex_wait(&so->seq[which & 1], seq, timeout_us);
	atomic_fetch_sub(&so->waiters[which & 1], 1);
	return err;
}

void so_notify(struct stk *stk, uint32_t sock, unsigned int bits)
{
	/* seq_cst: before the caller looks at the state again */
	atomic_fetch_or(&stk->socks[sock % JS_N_SOCKS].notify, bits);
}
