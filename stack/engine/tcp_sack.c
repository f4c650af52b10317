/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tcp_sack.c - the sender's scoreboard
 *
 * sacked[] holds what the peer reported beyond SND.UNA: ascending, disjoint,
 * with a gap between neighbours.  Forgetting a range is always safe, it costs
 * a needless retransmission; so a report that does not fit is forgotten.
 *
 * Supported standards: RFC 2018, RFC 6675.  Not done: D-SACK (RFC 2883), a
 * block at or below SND.UNA is ignored.
 */
#include <string.h>

#include "stack/engine/tcp_var.h"

/* Add [@start, @end), merging with what it touches. */
static void scoreboard_add(struct tcpcb *tp, uint32_t start, uint32_t end)
{
	unsigned int first = 0, last;

	/* Ranges [first, last) touch the new one. */
	while (first < tp->n_sacked && seq_lt(tp->sacked[first].end, start))
		first++;
	last = first;
	while (last < tp->n_sacked && seq_leq(tp->sacked[last].start, end)) {
		start = seq_min(start, tp->sacked[last].start);
		end = seq_max(end, tp->sacked[last].end);
		last++;
	}
	if (first == last && tp->n_sacked == TCP_N_SACKED)
		return;

	memmove(&tp->sacked[first + 1], &tp->sacked[last],
		(tp->n_sacked - last) * sizeof(tp->sacked[0]));
	tp->n_sacked = (uint8_t)(tp->n_sacked + 1 - (last - first));
	tp->sacked[first] = (struct tcp_range){ start, end };
}

/**
 * tcp_sack_update() - Enter a segment's SACK blocks
 * SND.UNA is SEG.ACK or beyond already.
 * Return: octets SACKed that were not before
 */
uint32_t tcp_sack_update(struct tcpcb *tp, const struct tcp_seg *seg)
{
	uint32_t before, start, end;
	unsigned int i;

	if (!(tp->flags & TF_SACK) || !seg->n_sack)
		return 0;
	before = tcp_sack_octets(tp, tp->snd_una, tp->snd_nxt);
	for (i = 0; i < seg->n_sack && i < TCP_SEG_SACKS; i++) {
		start = seg->sack[i].start;
		end = seg->sack[i].end;
		/* SND.UNA < start < end =< SND.NXT */
		if (seq_gt(start, tp->snd_una) && seq_lt(start, end) && seq_leq(end, tp->snd_nxt))
			scoreboard_add(tp, start, end);
	}
	return tcp_sack_octets(tp, tp->snd_una, tp->snd_nxt) - before;
}

/**
 * tcp_sack_acked() - SND.UNA moved
 * Drops what it passed.  A peer that acknowledges up to a range it had
 * reported, and no further, has thrown that range away (RFC 2018, 8); our own
 * heirs do.  Then nothing of the scoreboard is worth anything.
 * Return: false if the peer has reneged
 */
bool tcp_sack_acked(struct tcpcb *tp)
{
	unsigned int n = 0;

	while (n < tp->n_sacked && seq_leq(tp->sacked[n].end, tp->snd_una))
		n++;
	tp->n_sacked = (uint8_t)(tp->n_sacked - n);
	memmove(&tp->sacked[0], &tp->sacked[n], tp->n_sacked * sizeof(tp->sacked[0]));
	if (!tp->n_sacked || seq_gt(tp->sacked[0].start, tp->snd_una))
		return true;
	tp->n_sacked = 0;
	return false;
}

/* Octets SACKed within [@from, @to). */
uint32_t tcp_sack_octets(const struct tcpcb *tp, uint32_t from, uint32_t to)
{
	uint32_t sum = 0;
	unsigned int i;

	for (i = 0; i < tp->n_sacked; i++)
		sum += seq_diff(seq_max(tp->sacked[i].start, from),
				seq_min(tp->sacked[i].end, to));
	return sum;
}

/**
 * tcp_sack_hole() - The first unSACKed octets in [@from, @to)
 * Return: false if there are none
 */
bool tcp_sack_hole(const struct tcpcb *tp, uint32_t from, uint32_t to,
		   uint32_t *start, uint32_t *end)
{
	unsigned int i;

	*end = to;
	for (i = 0; i < tp->n_sacked; i++) {
		if (seq_leq(tp->sacked[i].end, from))
			continue;
		if (seq_leq(tp->sacked[i].start, from)) {
			from = tp->sacked[i].end;
			continue;
		}
		*end = seq_min(to, tp->sacked[i].start);
		break;
	}
	*start = from;
	return seq_lt(*start, *end);
}

/**
 * tcp_sack_lost_edge() - Where IsLost() of RFC 6675, 4 ends
 * An unSACKed octet is lost if above it @dupthresh ranges, or more than
 * (@dupthresh - 1) * SMSS octets, are SACKed.
 * Return: unSACKed octets below this are lost
 */
uint32_t tcp_sack_lost_edge(const struct tcpcb *tp, uint32_t dupthresh)
{
	uint32_t enough = (dupthresh - 1) * tcp_eff_mss(tp);
	uint32_t octets = 0, ranges = 0;
	unsigned int i = tp->n_sacked;

	while (i-- > 0) {
		octets += tp->sacked[i].end - tp->sacked[i].start;
		if (++ranges >= dupthresh || octets > enough)
			return tp->sacked[i].start;
	}
	return tp->snd_una;
}

/**
 * tcp_pipe() - Octets that should be in the network (SetPipe() of RFC 6675, 4)
 *
 * Neither SACKed nor lost, or sent again.  Without SACK each duplicate ACK
 * stands for a segment that has left the network: what RFC 6582 does by
 * inflating cwnd.
 */
uint32_t tcp_pipe(const struct tcpcb *tp)
{
	uint32_t pipe = tcp_flight_size(tp);
	uint32_t lost_from = seq_max(tp->high_rxt, tp->snd_una);
	uint32_t out, lost;

	if (tp->flags & TF_SACK)
		out = tcp_sack_octets(tp, tp->snd_una, tp->snd_nxt);
	else
		out = min_u32(tp->dupacks * tcp_eff_mss(tp), pipe);

	lost = seq_diff(lost_from, tp->lost_end);
	if (tp->flags & TF_SACK)
		lost -= tcp_sack_octets(tp, lost_from, tp->lost_end);
	out += lost;
	return pipe > out ? pipe - out : 0;
}
