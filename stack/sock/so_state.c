/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * so_state.c - looking at sockets and waiting for them
 *
 * Reads the committed block without the lock.  Application and child.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "common/clock.h"
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
	return so_begin(stk->mem, sock, t) ? -ENETDOWN : 0;
}

unsigned int so_poll(struct stk *stk, uint32_t sock, uint32_t gen)
{
	unsigned int ev = 0;
	struct so_txn t;

	if (look(stk, sock, gen, &t))
		return POLLERR | POLLHUP;
	if (t.s.flags & JS_SOF_LISTENING)
		return 0;
	if (t.s.error || t.s.zc_next != t.s.zc_told || so_has_stamps(&t))
		ev |= POLLERR;
	if (t.s.flags & JS_SOF_CLOSED)
		ev |= POLLHUP | POLLIN | POLLRDNORM | POLLRDHUP | POLLOUT | POLLWRNORM;
	else if (t.s.flags & JS_SOF_FASTOPEN)
		return ev | POLLOUT | POLLWRNORM;
	else if (!(t.s.flags & (JS_SOF_CONNECTED | JS_SOF_CONNECTING)))
		return ev | POLLHUP | POLLOUT | POLLWRNORM;	/* as Linux: not connected */
	if (t.s.urg & JS_URG_VALID)
		ev |= POLLPRI;
	/* An octet out of band is nothing to read. */
	if (t.s.rcv_cc > (!so_urg_offset(&t) && so_urg_is_out_of_line(&t)))
		ev |= POLLIN | POLLRDNORM;
	if (t.s.flags & (JS_SOF_EOF | JS_SOF_RD_SHUT))
		ev |= POLLIN | POLLRDNORM | POLLRDHUP;
	if (t.s.flags & JS_SOF_CONNECTED &&
	    (t.s.flags & JS_SOF_WR_SHUT || so_is_writable(&t)))
		ev |= POLLOUT | POLLWRNORM;
	if (t.s.flags & JS_SOF_WR_SHUT && t.s.flags & (JS_SOF_EOF | JS_SOF_RD_SHUT))
		ev |= POLLHUP;
	return ev;
}

int so_info(struct stk *stk, uint32_t sock, uint32_t gen, struct so_info *info)
{
	const struct js_guard_sock *g = &stk->guard->sock[sock % JS_N_SOCKS];
	struct so_txn t;
	uint32_t urg;
	int err = look(stk, sock, gen, &t);

	if (err)
		return err;
	urg = so_urg_offset(&t);
	*info = (struct so_info){
		.tcp_state = t.tcb.state, .flags = t.s.flags, .error = t.s.error,
		.path_mtu = so_path_mtu(stk, sock, &t),
		.rcv_cc = t.s.rcv_cc, .snd_cc = t.s.snd_cc, .unsent = so_unsent(&t),
		.rcv_inq = so_urg_is_out_of_line(&t) ? MIN(urg, t.s.rcv_cc) : t.s.rcv_cc,
		.at_mark = !urg,
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

/* Linux's numbers of ca_state (enum tcp_ca_state of <linux/tcp.h>). */
static uint8_t linux_ca_state(const struct tcpcb *tp)
{
	switch (tp->ca_state) {
	case TCP_CA_LOSS:
		return 4;	/* TCP_CA_Loss */
	case TCP_CA_RECOVERY:
		return 3;	/* TCP_CA_Recovery */
	default:
		return tp->sacked_out || tp->dupacks ? 1 : 0;	/* Disorder, Open */
	}
}

static uint32_t ms_since(uint64_t then_us, uint64_t now)
{
	return then_us && now > then_us ? (uint32_t)((now - then_us) / 1000) : 0;
}

static uint32_t to_segments(uint32_t octets, uint32_t mss)
{
	return (octets + mss - 1) / mss;
}

/* glibc has no names for the bits of this octet: bit 0 is
 * tcpi_delivery_rate_app_limited, bits 1 and 2 tcpi_fastopen_client_fail. */
#define TCPI_FLAGS_OFF	7

/* What the first 104 octets are: the oldest part of the layout. */
static void fill_base(struct tcp_info *ti, const struct so_txn *t, uint64_t now)
{
	const struct tcpcb *tp = &t->tcb;
	uint32_t mss = MAX(tcp_eff_mss(tp), 1u), again = 0, left = tp->snd_una;

	for (unsigned int i = 0; i < tp->n_runs; left = tp->run[i++].end)
		if (tp->run[i].mark == RUN_AGAIN)
			again += tp->run[i].end - left;
	ti->tcpi_state = tp->state == TCPS_ESTABLISHED && tp->uflags & TU_SYN_OUT ? TCP_SYN_RECV :
			 linux_state(tp->state);
	ti->tcpi_ca_state = linux_ca_state(tp);
	ti->tcpi_retransmits = tp->n_rto;
	ti->tcpi_probes = tp->n_keep ? tp->n_keep :
			  tp->flags & TF_PERSIST ? tp->n_unanswered : 0;
	ti->tcpi_backoff = tp->n_rto;
	if (tp->flags & TF_TS)
		ti->tcpi_options |= TCPI_OPT_TIMESTAMPS;
	if (tp->flags & TF_SACK)
		ti->tcpi_options |= TCPI_OPT_SACK;
	if (tp->flags & TF_WS)
		ti->tcpi_options |= TCPI_OPT_WSCALE;
	if (tp->rec_flags & RF_ECN)
		ti->tcpi_options |= TCPI_OPT_ECN;
	if (tp->uflags & TU_SYN_DATA_OK)
		ti->tcpi_options |= TCPI_OPT_SYN_DATA;
	((uint8_t *)ti)[TCPI_FLAGS_OFF] = (uint8_t)(tcp_fastopen_fail(tp) << 1);
	ti->tcpi_snd_wscale = tp->snd_scale & 0xf;
	ti->tcpi_rcv_wscale = tp->rcv_scale & 0xf;
	ti->tcpi_rto = tp->rto_us;
	ti->tcpi_ato = 40000;
	ti->tcpi_snd_mss = mss;
	ti->tcpi_rcv_mss = MIN(tp->rcv_seg, (uint32_t)tp->rcv_mss);
	ti->tcpi_unacked = tp->state == TCPS_LISTEN ? 0 :
			   to_segments(tp->snd_nxt - tp->snd_una, mss);
	ti->tcpi_sacked = to_segments(tp->sacked_out, mss);
	/* Linux counts on what was lost and is on its way again. */
	ti->tcpi_lost = to_segments(tp->lost_out + (tp->ca_state ? again : 0), mss);
	ti->tcpi_retrans = to_segments(again, mss);
	ti->tcpi_last_data_sent = ms_since(tp->sent_us, now);
	ti->tcpi_last_data_recv = t->s.data_ms ? (uint32_t)(now / 1000) - t->s.data_ms : 0;
	ti->tcpi_last_ack_recv = ms_since(tp->heard_us, now);
	ti->tcpi_rtt = tp->srtt_us;
	ti->tcpi_rttvar = tp->rttvar_us;
	ti->tcpi_snd_cwnd = tp->snd_cwnd / mss;
	/* Not known yet: Linux's TCP_INFINITE_SSTHRESH. */
	ti->tcpi_snd_ssthresh = tp->snd_ssthresh >= TCP_SSTHRESH_INF ? 0x7fffffff :
				tp->snd_ssthresh / mss;
	ti->tcpi_advmss = tp->rcv_mss;
	ti->tcpi_reordering = MAX(3u, tp->reordering);
	ti->tcpi_rcv_space = t->s.rcv_hiwat;
	ti->tcpi_total_retrans = tp->n_rexmt_total;
}

/* Busy is all of it, as Linux has it. */
static void fill_chronos(struct so_tcp_info *ti, const struct js_sock *so, uint64_t now)
{
	uint64_t us[JS_N_CHRONOS], since = atomic_load_explicit(&so->chrono_since_us,
								memory_order_relaxed);
	uint32_t kind = atomic_load_explicit(&so->chrono, memory_order_relaxed);

	for (unsigned int i = 0; i < JS_N_CHRONOS; i++)
		us[i] = atomic_load_explicit(&so->chrono_us[i], memory_order_relaxed);
	if (kind < JS_N_CHRONOS && now > since)
		us[kind] += now - since;
	ti->rwnd_limited = us[JS_CHRONO_RWND];
	ti->sndbuf_limited = us[JS_CHRONO_SNDBUF];
	ti->busy_time = us[JS_CHRONO_BUSY] + ti->rwnd_limited + ti->sndbuf_limited;
}

int so_tcp_info(struct stk *stk, uint32_t sock, uint32_t gen, struct so_tcp_info *ti)
{
	struct so_txn t;
	int err = look(stk, sock, gen, &t);

	if (err)
		return err;
	memset(ti, 0, sizeof(*ti));
	fill_base(&ti->base, &t, now_us());
	fill_chronos(ti, t.so, now_us());
	ti->base.tcpi_pmtu = so_path_mtu(stk, sock, &t);
	ti->pacing_rate = ti->max_pacing_rate = UINT64_MAX;	/* we do not pace */
	ti->bytes_acked = t.s.snd_bytes - t.s.snd_cc;
	ti->bytes_received = t.s.rcv_bytes + t.s.rcv_cc;
	ti->segs_out = t.s.segs_out;
	ti->segs_in = t.s.segs_in;
	ti->data_segs_out = t.s.data_segs_out;
	ti->data_segs_in = t.s.data_segs_in;
	ti->notsent_bytes = so_unsent(&t);
	ti->bytes_sent = t.s.snd_bytes - ti->notsent_bytes;
	ti->rcv_ooopack = so_n_ooo(&t.s, 0);
	ti->min_rtt = t.tcb.rec_flags & RF_MIN_RTT ? t.tcb.min_rtt_us : UINT32_MAX;
	ti->delivered = t.tcb.n_delivered;
	ti->snd_wnd = t.tcb.snd_wnd;
	ti->rcv_wnd = t.tcb.rcv_wnd;
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
