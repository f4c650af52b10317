/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tcp_reass.c - what the receiver holds out of order
 *
 * Ranges only; the owner keeps the data.  ooo[] is in the order of arrival,
 * the latest first, because this is the order in which SACK blocks are sent
 * (RFC 2018, 4).  Ranges are disjoint, do not touch, and lie to the right of
 * RCV.NXT.  All of them together cover exactly the octets that the owner was
 * told to keep and that RCV.NXT has not passed.
 */
#include <string.h>

#include "stack/engine/tcp_var.h"

static void range_remove(struct tcpcb *tp, unsigned int i)
{
	memmove(&tp->ooo[i], &tp->ooo[i + 1], (tp->n_ooo - i - 1u) * sizeof(tp->ooo[0]));
	tp->n_ooo--;
}

/**
 * tcp_reass_insert() - Octets arrived out of order
 * @start, @end:	What arrived; cut on return to what is new at both ends
 *
 *	have:	     [------)    [----)
 *	comes:	   [------------------------)
 *	keep:	   [------------------------)	(the middle again, it does no harm)
 *	comes:		 [-----------)
 *	keep:		    [----)
 *
 * What had come before is noted for a D-SACK: the first such octets.
 *
 * Return: false if nothing is new, or there is no room for another range;
 * then nothing has changed but the order of the ranges
 */
bool tcp_reass_insert(struct tcpcb *tp, uint32_t *start, uint32_t *end)
{
	uint32_t lo = *start, hi = *end;
	struct tcp_range r;
	unsigned int i, n_touched = 0;

	for (i = 0; i < tp->n_ooo; i++) {
		r = tp->ooo[i];
		if (seq_lt(hi, r.start) || seq_gt(lo, r.end))
			continue;
		n_touched++;
		tcp_reass_twice(tp, seq_max(lo, r.start), seq_min(hi, r.end));
		if (seq_leq(r.start, *start) && seq_gt(r.end, *start))
			*start = seq_min(r.end, *end);
		if (seq_geq(r.end, *end) && seq_lt(r.start, *end))
			*end = seq_max(r.start, *start);
	}
	if (!n_touched && tp->n_ooo == TCP_N_OOO)
		return false;

	/* Also what is no news moves to the front: the sender learns that we
	 * have it, in the first block. */
	for (i = 0; i < tp->n_ooo;) {
		r = tp->ooo[i];
		if (seq_lt(hi, r.start) || seq_gt(lo, r.end)) {
			i++;
			continue;
		}
		lo = seq_min(lo, r.start);
		hi = seq_max(hi, r.end);
		range_remove(tp, i);
	}
	memmove(&tp->ooo[1], &tp->ooo[0], tp->n_ooo * sizeof(tp->ooo[0]));
	tp->ooo[0] = (struct tcp_range){ lo, hi };
	tp->n_ooo++;
	return seq_lt(*start, *end);
}

/* RCV.NXT moved: take it to the end of what is now in order. */
void tcp_reass_advance(struct tcpcb *tp)
{
	unsigned int i = 0;

	while (i < tp->n_ooo) {
		if (seq_gt(tp->ooo[i].start, tp->rcv_nxt)) {
			i++;
			continue;
		}
		tp->rcv_nxt = seq_max(tp->rcv_nxt, tp->ooo[i].end);
		range_remove(tp, i);
		/* An earlier one may touch now. */
		i = 0;
	}
}

/* Octets [@start, @end) came that had come before: the next ACK says so, with a
 * D-SACK (RFC 2883, 4).  Of two the first, unless it was reported. */
void tcp_reass_twice(struct tcpcb *tp, uint32_t start, uint32_t end)
{
	if (!(tp->flags & TF_SACK) || (tp->rec_flags & RF_DSACK) || seq_geq(start, end))
		return;
	tp->rec_flags |= RF_DSACK;
	tp->dup_start = start;
	tp->dup_end = end;
}

/* SACK blocks for a segment: a D-SACK if there is one, then the latest first;
 * at most @max, which is not 0. */
void tcp_reass_sack(struct tcpcb *tp, struct tcp_seg *out, unsigned int max)
{
	unsigned int i, n = 0;

	max = min_u32(max, TCP_SEG_SACKS);
	if (tp->rec_flags & RF_DSACK) {
		tp->rec_flags &= (uint16_t)~RF_DSACK;
		out->sack[n].start = tp->dup_start;
		out->sack[n++].end = tp->dup_end;
	}
	for (i = 0; i < tp->n_ooo && n < max; i++, n++) {
		out->sack[n].start = tp->ooo[i].start;
		out->sack[n].end = tp->ooo[i].end;
	}
	out->n_sack = (uint8_t)n;
}
