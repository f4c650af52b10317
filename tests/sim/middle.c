/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * middle.c - a middlebox at the beginning of a link
 *
 * What is found on paths, and RFC 9293 has to get by with: options are taken
 * away from SYNs or from all segments, an MSS is made smaller, a window too
 * (so that it seems to be taken back, SHLD-15), segments are split as by TSO
 * and merged as by GRO.  What passes is never said to be something else: octets
 * keep their sequence numbers.  Before loss and corruption: what comes here is
 * as its host has sent it.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"
#include "stack/engine/tcp_seq.h"

#define SPLIT_MAX	4u		/* pieces */
#define MERGED_MAX	65000u		/* octets of text */

/* An IP packet that holds @seg, and its text, from host @from. */
struct packet *packet_build(const struct sim *sim, unsigned int from, const struct tcp_seg *seg,
			    const uint8_t *text)
{
	const struct ip_pair *pair = &sim->pair[from];
	uint8_t th[TCP_HDR_MAX];
	uint32_t n = (uint32_t)tcp_seg_build(seg, th);
	struct packet *pkt = malloc(sizeof(*pkt) + IP_LEN_MAX + n + seg->len);
	uint16_t csum;

	if (!pkt)
		abort();
	pkt->ip_len = (uint32_t)ip_build(pkt->octets, pair, n + seg->len, seg->ecn, 0, 1);
	pkt->len = pkt->ip_len + n + seg->len;
	memcpy(packet_th(pkt), th, n);
	if (seg->len)
		memcpy(packet_th(pkt) + n, text, seg->len);
	csum = ip_csum_fold(ip_csum_add(ip_pseudo_sum(pair, n + seg->len), packet_th(pkt),
					n + seg->len));
	memcpy(packet_th(pkt) + 16, &csum, 2);
	return pkt;
}

/* What a host makes of @pkt.  Return: where its text begins, from octets[0] on;
 * negative: it is corrupted, or not for us */
int packet_parse(const struct packet *pkt, struct tcp_seg *seg)
{
	struct ip_pair pair;
	uint8_t tos;
	int n, ip_len = ip_parse(pkt->octets, pkt->len, &pair, &tos);
	uint32_t len;

	if (ip_len < 0)
		return ip_len;
	len = pkt->len - (uint32_t)ip_len;
	if (ip_csum_fold(ip_csum_add(ip_pseudo_sum(&pair, len), pkt->octets + ip_len, len)))
		return -1;
	n = tcp_seg_parse(seg, pkt->octets + ip_len, len);
	if (n < 0)
		return n;
	seg->ecn = tos & 3;
	return ip_len + n;
}

static void strip(const struct middle *m, struct tcp_seg *seg)
{
	if (m->strip & MID_MSS)
		seg->mss = 0;
	if (m->strip & MID_SACK_OK)
		seg->sack_permitted = false;
	if (m->strip & MID_WS)
		seg->wscale = TCP_WS_NONE;
	if (m->strip & MID_TS)
		seg->has_ts = false;
	if (m->strip & MID_FO)
		seg->fo_kind = TCP_FO_NONE;
	if (m->strip & MID_UTO)
		seg->uto = 0;
	if (m->strip & MID_SACK)
		seg->n_sack = 0;
	if (m->mss && seg->mss > m->mss)
		seg->mss = m->mss;
}

/* A later ACK says what the window really is; in a SYN it stays. */
static void cut_window(struct sim *sim, const struct middle *m, struct tcp_seg *seg)
{
	if ((seg->flags & (TH_ACK | TH_SYN | TH_RST)) == TH_ACK &&
	    prng_ppm(&sim->path_prng, m->wnd_ppm))
		seg->wnd = (uint16_t)prng_below(&sim->path_prng, seg->wnd + 1u);
}

/* The first @n octets of @seg go by themselves; it is what is left. */
static struct tcp_seg cut(struct tcp_seg *seg, uint32_t n)
{
	struct tcp_seg first = *seg;

	first.len = n;
	first.flags &= (uint8_t)~(TH_FIN | TH_PUSH);
	seg->seq += n;
	seg->len -= n;
	seg->flags &= (uint8_t)~TCP_TH_CWR;
	if (seg->up > n)
		seg->up = (uint16_t)(seg->up - n);
	else
		seg->flags &= (uint8_t)~TH_URG;
	return first;
}

static bool send_split(struct sim *sim, unsigned int from, struct tcp_seg *seg,
		       const uint8_t *text)
{
	unsigned int i, n = (unsigned int)prng_range(&sim->path_prng, 1, SPLIT_MAX - 1);
	bool sent = true;

	for (i = 0; i < n && seg->len > 1; i++) {
		struct tcp_seg first = cut(seg, (uint32_t)prng_range(&sim->path_prng, 1,
								     seg->len - 1));

		sent &= net_forward(sim, from, packet_build(sim, from, &first, text));
		text += first.len;
	}
	return net_forward(sim, from, packet_build(sim, from, seg, text)) && sent;
}

/* What waits goes on. */
void middle_release(struct sim *sim, unsigned int from)
{
	struct middle *m = &sim->link[from].middle;
	struct packet *pkt = m->held;

	if (!pkt)
		return;
	m->held = NULL;
	net_forward(sim, from, pkt);
}

/* The longest text that a merged segment may have: what the path takes. */
static uint32_t merged_max(const struct sim *sim, unsigned int from)
{
	const struct link *l = &sim->link[from];
	uint32_t max = MERGED_MAX;

	if (l->path_mss)
		max = min_u32(max, l->path_mss - 40);
	if (l->then_mss)
		max = min_u32(max, l->then_mss - 40);
	return max;
}

/* Is @seg, with @text, what follows the one that waits?  Then it is part of it, and
 * waits; else that one goes.  Return: it is. */
static bool merge(struct sim *sim, unsigned int from, const struct tcp_seg *seg,
		  const uint8_t *text)
{
	struct middle *m = &sim->link[from].middle;
	struct tcp_seg first, both = *seg;
	uint8_t *joined;
	int n;

	if (!m->held)
		return false;
	n = packet_parse(m->held, &first);
	if (n < 0 || (seg->flags & (TH_SYN | TH_RST | TH_URG)) || !seg->len ||
	    seg->seq != first.seq + first.len || seg->ecn != first.ecn ||
	    first.len + seg->len > merged_max(sim, from)) {
		middle_release(sim, from);
		return false;
	}
	both.seq = first.seq;
	both.len += first.len;
	both.flags |= first.flags & TCP_TH_CWR;
	joined = malloc(both.len);
	if (!joined)
		abort();
	memcpy(joined, m->held->octets + n, first.len);
	memcpy(joined + first.len, text, seg->len);
	free(m->held);
	m->held = packet_build(sim, from, &both, joined);
	free(joined);
	if (seg->flags & TH_FIN)
		middle_release(sim, from);
	return true;
}

static void hold(struct sim *sim, unsigned int from, struct packet *pkt)
{
	struct middle *m = &sim->link[from].middle;

	m->held = pkt;
	m->held_until_us = sim->now_us + m->merge_us;
	net_schedule(sim, m->held_until_us, EV_MIDDLE, from, NULL);
}

/* @pkt is ours now.  False: all or some of it is lost. */
bool middle_send(struct sim *sim, unsigned int from, struct packet *pkt)
{
	struct middle *m = &sim->link[from].middle;
	struct prng *r = &sim->path_prng;
	const uint8_t *text;
	struct tcp_seg seg;
	bool sent;
	int n;

	if (!m->strip && !m->mss && !m->split_ppm && !m->merge_ppm && !m->wnd_ppm)
		return net_forward(sim, from, pkt);
	n = packet_parse(pkt, &seg);
	if (n < 0)
		sim_fail(sim, "a packet of %c cannot be read", "AB"[from]);
	text = pkt->octets + n;
	strip(m, &seg);
	cut_window(sim, m, &seg);
	if (merge(sim, from, &seg, text)) {
		sent = true;
	} else if (seg.len && !(seg.flags & TH_SYN) && prng_ppm(r, m->split_ppm)) {
		sent = send_split(sim, from, &seg, text);
	} else if (seg.len && !(seg.flags & (TH_SYN | TH_FIN | TH_RST | TH_URG)) &&
		   prng_ppm(r, m->merge_ppm)) {
		hold(sim, from, packet_build(sim, from, &seg, text));
		sent = true;
	} else {
		sent = net_forward(sim, from, packet_build(sim, from, &seg, text));
	}
	free(pkt);
	return sent;
}

/* Every option may be taken away from one direction alone; but the window scale not from
 * SYN,ACKs, or the two sides would speak of different windows for good. */
static void plan_strip(struct sim *sim)
{
	struct prng *r = &sim->path_prng;
	unsigned int i;

	for (i = 0; i < 2; i++)
		if (prng_below(r, 2))
			sim->link[i].middle.strip = (uint32_t)(prng_next(r) & prng_next(r) & MID_ALL);
	if ((sim->link[0].middle.strip | sim->link[1].middle.strip) & MID_WS)
		for (i = 0; i < 2; i++)
			sim->link[i].middle.strip |= MID_WS;
}

/* In one of three there is one. */
void middle_plan(struct sim *sim)
{
	struct prng *r = &sim->path_prng;
	unsigned int i;

	if (prng_below(r, 3))
		return;
	if (prng_below(r, 2))
		plan_strip(sim);
	for (i = 0; i < 2; i++) {
		struct middle *m = &sim->link[i].middle;

		if (prng_below(r, 4) == 0)
			m->mss = (uint16_t)prng_log(r, 48, 9000);
		if (prng_below(r, 3) == 0)
			m->split_ppm = (uint32_t)prng_log(r, 1000, 500000);
		if (prng_below(r, 3) == 0) {
			m->merge_ppm = (uint32_t)prng_log(r, 1000, 900000);
			m->merge_us = prng_log(r, 1, 20000);
		}
		if (prng_below(r, 8) == 0)
			m->wnd_ppm = (uint32_t)prng_log(r, 1000, 200000);
	}
}
