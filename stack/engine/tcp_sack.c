/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tcp_sack.c - the sender's scoreboard: what is where, and since when
 *
 * run[] divides what is outstanding, from SND.UNA to SND.NXT, into runs:
 * octets that have the same fate and were last sent at the same moment.  Each
 * is in flight, or SACKed, or lost and to be sent again; and it was sent once,
 * or again.  So RFC 6675's scoreboard and RFC 8985's transmit times are one.
 *
 *	 snd_una                                             snd_nxt
 *	----[ lost ][ sent again, t3 ][ SACKed ][ in flight, t2 ]-->
 *
 * The array is bounded.  When it fills up, neighbours that were sent at nearly
 * the same time become one run with the earlier time; and if that does not
 * help a SACKed run is forgotten, which is always safe and costs a needless
 * retransmission (RFC 2018, 8 has senders prepared for worse).
 *
 * Supported standards: RFC 2018, RFC 6675.
 */
#include <string.h>

#include "stack/engine/tcp_var.h"

static uint32_t run_start(const struct tcpcb *tp, unsigned int i)
{
	return i ? tp->run[i - 1].end : tp->snd_una;
}

static uint32_t run_len(const struct tcpcb *tp, unsigned int i)
{
	return tp->run[i].end - run_start(tp, i);
}

/* Run @i is one with its right neighbour. */
static void run_remove(struct tcpcb *tp, unsigned int i)
{
	memmove(&tp->run[i], &tp->run[i + 1], (tp->n_runs - i - 1u) * sizeof(tp->run[0]));
	tp->n_runs--;
}

/* sacked_out and lost_out follow from the marks. */
static void count(struct tcpcb *tp)
{
	unsigned int i;

	tp->sacked_out = 0;
	tp->lost_out = 0;
	for (i = 0; i < tp->n_runs; i++) {
		if (tp->run[i].mark & RUN_SACKED)
			tp->sacked_out += run_len(tp, i);
		else if (tp->run[i].mark & RUN_LOST)
			tp->lost_out += run_len(tp, i);
	}
}

static bool is_alike(const struct tcp_run *a, const struct tcp_run *b)
{
	if (a->mark & b->mark & RUN_SACKED)
		return true;
	return a->mark == b->mark && (a->mark & RUN_LOST || a->sent == b->sent);
}

/* Run @i and its right neighbour are one, with the earlier time: so that nothing
 * seems to have come back sooner than it has. */
static void merge(struct tcpcb *tp, unsigned int i)
{
	if (run_clock_diff(tp->run[i].sent, tp->run[i + 1].sent) > 0)
		tp->run[i + 1].sent = tp->run[i].sent;
	run_remove(tp, i);
}

static void coalesce(struct tcpcb *tp)
{
	unsigned int i = 0;

	while (i + 1 < tp->n_runs) {
		if (is_alike(&tp->run[i], &tp->run[i + 1])) {
			tp->run[i + 1].mark |= tp->run[i].mark & RUN_AGAIN;
			merge(tp, i);
		} else {
			i++;
		}
	}
}

/* Run @i and its right neighbour, neither of them SACKed, are one.  Where their
 * fates differ they are in flight: what is to be sent again does not grow, or
 * tcp_output() would not end. */
static void merge_unlike(struct tcpcb *tp, unsigned int i)
{
	uint8_t lost = tp->run[i].mark & tp->run[i + 1].mark & RUN_LOST;

	tp->run[i + 1].mark = (lost | RUN_AGAIN) & 7;
	merge(tp, i);
}

/* The first run that was sent again and its neighbour not, or the reverse; or 0. */
static unsigned int almost_alike(const struct tcpcb *tp)
{
	unsigned int i;

	for (i = 0; i + 1 < tp->n_runs; i++)
		if ((tp->run[i].mark ^ tp->run[i + 1].mark) == RUN_AGAIN)
			return i;
	return 0;
}

/* One run less, at the least cost in truth. */
static void squeeze(struct tcpcb *tp)
{
	unsigned int i, best = tp->n_runs, least = tp->n_runs;
	int32_t d, best_d = 0;

	for (i = 0; i + 1 < tp->n_runs; i++) {
		if (tp->run[i].mark != tp->run[i + 1].mark)
			continue;
		d = run_clock_diff(tp->run[i].sent, tp->run[i + 1].sent);
		d = d < 0 ? -d : d;
		if (best == tp->n_runs || d < best_d) {
			best = i;
			best_d = d;
		}
	}
	if (best < tp->n_runs) {
		merge(tp, best);
		return;
	}
	for (i = 0; i + 1 < tp->n_runs; i++)
		if ((tp->run[i].mark & RUN_SACKED) &&
		    (least == tp->n_runs || run_len(tp, i) < run_len(tp, least)))
			least = i;
	if (least < tp->n_runs) {
		run_remove(tp, least);
	} else {
		merge_unlike(tp, almost_alike(tp));
	}
	coalesce(tp);
	count(tp);
}

/* A run begins at @seq.  There is room. */
static void split(struct tcpcb *tp, uint32_t seq)
{
	unsigned int i;

	for (i = 0; i < tp->n_runs && seq_leq(tp->run[i].end, seq); i++)
		;
	if (i == tp->n_runs || seq_leq(seq, run_start(tp, i)) || tp->n_runs == TCP_N_RUNS)
		return;
	memmove(&tp->run[i + 1], &tp->run[i], (tp->n_runs - i) * sizeof(tp->run[0]));
	tp->n_runs++;
	tp->run[i].end = seq;
}

/* [@start, @end) consists of whole runs.  Return: the first of them */
static unsigned int carve(struct tcpcb *tp, uint32_t start, uint32_t end)
{
	unsigned int i;

	while (tp->n_runs > TCP_N_RUNS - 2)
		squeeze(tp);
	split(tp, start);
	split(tp, end);
	for (i = 0; i < tp->n_runs && seq_lt(run_start(tp, i), start); i++)
		;
	return i;
}

/* --- sending --------------------------------------------------------------------- */

/* Octets up to @end, SND.NXT from now on, were sent for the first time. */
void tcp_sb_sent(struct tcpcb *tp, uint32_t end, uint64_t now_us)
{
	uint32_t sent = run_clock(now_us);
	struct tcp_run *last;
	int32_t age;

	if (tp->n_runs) {
		last = &tp->run[tp->n_runs - 1];
		age = run_clock_diff(last->sent, sent);
		/* A burst is one run.  Where there are many, an eighth of a round
		 * trip counts as a burst. */
		if (!last->mark && (!age || (tp->n_runs >= TCP_N_RUNS / 2 && age > 0 &&
					     (uint32_t)age < tp->srtt_us / 8))) {
			last->end = end;
			return;
		}
	}
	if (tp->n_runs == TCP_N_RUNS)
		squeeze(tp);
	tp->run[tp->n_runs++] = (struct tcp_run){ .end = end, .sent = sent };
}

/* [@start, @end) was sent again.  Return: octets of it that are not SACKed */
uint32_t tcp_sb_again(struct tcpcb *tp, uint32_t start, uint32_t end, uint64_t now_us)
{
	unsigned int i = carve(tp, start, end);
	uint32_t n = 0;

	for (; i < tp->n_runs && seq_lt(run_start(tp, i), end); i++) {
		if (tp->run[i].mark & RUN_SACKED)
			continue;
		n += run_len(tp, i);
		tp->run[i].mark = RUN_AGAIN;
		tp->run[i].sent = run_clock(now_us);
	}
	coalesce(tp);
	count(tp);
	return n;
}

/* --- what arrives ------------------------------------------------------------------ */

/**
 * tcp_sb_acked() - SND.UNA has moved, by ack->acked
 * Drops what it passed.  A peer that acknowledges up to a run it had reported,
 * and no further, has thrown that run away (RFC 2018, 8); our own heirs do.
 * Then nothing that was SACKed counts.
 * Return: false if the peer has reneged
 */
bool tcp_sb_acked(struct tcpcb *tp, struct tcp_ack *ack)
{
	uint32_t start = tp->snd_una - ack->acked, end;
	unsigned int n = 0;

	while (n < tp->n_runs && seq_lt(start, tp->snd_una)) {
		end = seq_min(tp->run[n].end, tp->snd_una);
		if (!(tp->run[n].mark & RUN_SACKED)) {
			ack->delivered += end - start;
			tcp_rack_arrived(tp, ack, &tp->run[n], start, end);
		}
		start = end;
		if (end == tp->run[n].end)
			n++;
	}
	tp->n_runs = (uint8_t)(tp->n_runs - n);
	memmove(&tp->run[0], &tp->run[n], tp->n_runs * sizeof(tp->run[0]));
	if (tp->sacked_out || tp->lost_out)
		count(tp);
	if (!tp->n_runs || !(tp->run[0].mark & RUN_SACKED))
		return true;
	tcp_sb_forget(tp);
	return false;
}

static void sack_block(struct tcpcb *tp, struct tcp_ack *ack, uint32_t start, uint32_t end)
{
	unsigned int i = carve(tp, start, end);

	for (; i < tp->n_runs && seq_leq(tp->run[i].end, end); i++) {
		struct tcp_run *r = &tp->run[i];

		if (r->mark & RUN_SACKED)
			continue;
		ack->sacked += run_len(tp, i);
		ack->delivered += run_len(tp, i);
		tcp_rack_arrived(tp, ack, r, r->end - run_len(tp, i), r->end);
		r->mark = (r->mark & RUN_AGAIN) | RUN_SACKED;
	}
	coalesce(tp);
}

/* Enter a segment's SACK blocks.  SND.UNA is SEG.ACK or beyond already. */
void tcp_sb_sack(struct tcpcb *tp, struct tcp_ack *ack)
{
	const struct tcp_seg *seg = ack->seg;
	uint32_t start, end;
	unsigned int i;

	if (!(tp->flags & TF_SACK) || !tp->n_runs)
		return;
	for (i = 0; i < seg->n_sack && i < TCP_SEG_SACKS; i++) {
		start = seg->sack[i].start;
		end = seg->sack[i].end;
		/* SND.UNA < start < end =< SND.NXT */
		if (seq_gt(start, tp->snd_una) && seq_lt(start, end) && seq_leq(end, tp->snd_nxt))
			sack_block(tp, ack, start, end);
	}
	if (ack->sacked)
		count(tp);
}

/* Right edge of what has arrived: SND.UNA, or the highest SACKed octet. */
uint32_t tcp_sb_top(const struct tcpcb *tp)
{
	unsigned int i = tp->sacked_out ? tp->n_runs : 0;

	while (i-- > 0)
		if (tp->run[i].mark & RUN_SACKED)
			return tp->run[i].end;
	return tp->snd_una;
}

bool tcp_sb_is_sacked(const struct tcpcb *tp, uint32_t seq)
{
	unsigned int i;

	for (i = 0; i < tp->n_runs; i++)
		if (seq_lt(seq, tp->run[i].end))
			return seq_geq(seq, run_start(tp, i)) && tp->run[i].mark & RUN_SACKED;
	return false;
}

/* --- what is lost -------------------------------------------------------------------- */

/* Nothing is SACKed any more; what was, is in flight. */
void tcp_sb_forget(struct tcpcb *tp)
{
	unsigned int i;

	for (i = 0; i < tp->n_runs; i++)
		tp->run[i].mark &= (uint8_t)~RUN_SACKED & 7;
	coalesce(tp);
	count(tp);
}

/* All that is not SACKed is lost, or with @is_lost false nothing is. */
void tcp_sb_lose_all(struct tcpcb *tp, bool is_lost)
{
	unsigned int i;

	for (i = 0; i < tp->n_runs; i++) {
		if (tp->run[i].mark & RUN_SACKED)
			continue;
		tp->run[i].mark &= RUN_AGAIN;
		if (is_lost)
			tp->run[i].mark |= RUN_LOST;
	}
	coalesce(tp);
	count(tp);
}

/* What is outstanding below @end is lost, but for what is SACKed. */
void tcp_sb_lose_to(struct tcpcb *tp, uint32_t end)
{
	unsigned int i;

	end = seq_min(end, tp->snd_nxt);
	carve(tp, tp->snd_una, end);
	for (i = 0; i < tp->n_runs && seq_leq(tp->run[i].end, end); i++)
		if (!(tp->run[i].mark & RUN_SACKED))
			tp->run[i].mark |= RUN_LOST;
	coalesce(tp);
	count(tp);
}

/* The first segment that is outstanding is lost. */
void tcp_sb_lose_first(struct tcpcb *tp)
{
	tcp_sb_lose_to(tp, tp->snd_una + min_u32(tcp_eff_mss(tp), tcp_flight_size(tp)));
}

/* Marks were set by tcp_rack.c. */
void tcp_sb_lost(struct tcpcb *tp)
{
	coalesce(tp);
	count(tp);
}

/* What to send again next: NextSeg() of RFC 6675, 4, rule 1.  False: nothing. */
bool tcp_sb_next(const struct tcpcb *tp, uint32_t *start, uint32_t *end)
{
	unsigned int i;

	for (i = 0; tp->lost_out && i < tp->n_runs; i++) {
		if ((tp->run[i].mark & (RUN_LOST | RUN_SACKED)) != RUN_LOST)
			continue;
		*start = run_start(tp, i);
		*end = tp->run[i].end;
		return true;
	}
	return false;
}

/* The last segment that is in flight.  False: there is none. */
bool tcp_sb_last(const struct tcpcb *tp, uint32_t *start, uint32_t *end)
{
	unsigned int i = tp->n_runs;

	while (i-- > 0) {
		if (tp->run[i].mark & (RUN_SACKED | RUN_LOST))
			continue;
		*end = tp->run[i].end;
		*start = *end - min_u32(tcp_eff_mss(tp), run_len(tp, i));
		return true;
	}
	return false;
}

/**
 * tcp_pipe() - Octets that should be in the network (SetPipe() of RFC 6675, 4)
 *
 * Neither SACKed nor lost, or sent again.  Without SACK each duplicate ACK
 * stands for a segment that has left the network: what RFC 6582 does by
 * inflating cwnd.  But after RTO it may well be for what was sent again in vain,
 * and would let more of that go, which is answered likewise, whatever cwnd is;
 * only behind new data does it count (as Linux).
 */
uint32_t tcp_pipe(const struct tcpcb *tp)
{
	uint32_t pipe = tcp_flight_size(tp), out = tp->lost_out;

	if (tp->flags & TF_SACK)
		out += tp->sacked_out;
	else if (tp->ca_state != TCP_CA_LOSS || seq_gt(tp->snd_nxt, tp->recover))
		out += min_u32(tp->dupacks * tcp_eff_mss(tp), pipe);
	return pipe > out ? pipe - out : 0;
}
