/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net.c - the simulated network and its clock
 *
 * A binary heap of events, by time and then by the order in which they were
 * scheduled, so that a seed gives the same conversation everywhere.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"

static bool before(const struct event *a, const struct event *b)
{
	return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

static void swap(struct event *a, struct event *b)
{
	struct event t = *a;

	*a = *b;
	*b = t;
}

void net_schedule(struct sim *sim, uint64_t at_us, enum event_kind kind, unsigned int host,
		  struct packet *pkt)
{
	size_t i = sim->n_heap;

	if (sim->n_heap == sim->max_heap) {
		sim->max_heap = sim->max_heap ? 2 * sim->max_heap : 64;
		sim->heap = realloc(sim->heap, sim->max_heap * sizeof(*sim->heap));
		if (!sim->heap)
			abort();
	}
	sim->heap[sim->n_heap++] = (struct event){ at_us, sim->n_order++, kind, host, pkt };
	while (i && before(&sim->heap[i], &sim->heap[(i - 1) / 2])) {
		swap(&sim->heap[i], &sim->heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
}

/* The next event, and the clock with it.  False: there is none. */
bool net_next(struct sim *sim, struct event *ev)
{
	size_t i = 0, c;

	if (!sim->n_heap)
		return false;
	*ev = sim->heap[0];
	sim->heap[0] = sim->heap[--sim->n_heap];
	while ((c = 2 * i + 1) < sim->n_heap) {
		if (c + 1 < sim->n_heap && before(&sim->heap[c + 1], &sim->heap[c]))
			c++;
		if (!before(&sim->heap[c], &sim->heap[i]))
			break;
		swap(&sim->heap[i], &sim->heap[c]);
		i = c;
	}
	sim->now_us = ev->at_us;
	sim->n_events++;
	return true;
}

static void deliver(struct sim *sim, unsigned int from, struct packet *pkt, uint64_t at_us)
{
	struct link *l = &sim->link[from];

	at_us += l->delay_us + prng_below(&sim->prng, l->jitter_us + 1);
	if (prng_ppm(&sim->prng, l->reorder_ppm))
		at_us += prng_below(&sim->prng, l->reorder_us + 1);
	net_schedule(sim, at_us, EV_PACKET, !from, pkt);
}

static bool is_lost(struct sim *sim, struct link *l)
{
	if (l->burst_left && sim->now_us < l->burst_until_us) {
		l->burst_left--;
		return true;
	}
	if (prng_ppm(&sim->prng, l->burst_ppm)) {
		l->burst_left = (uint32_t)prng_range(&sim->prng, 1, l->burst_len);
		l->burst_until_us = sim->now_us + 1000000;
	}
	return prng_ppm(&sim->prng, l->loss_ppm);
}

/* --- ICMP --------------------------------------------------------------------------- */

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* What a link takes now: an MSS; 0: everything. */
static uint32_t path_mss(const struct sim *sim, const struct link *l)
{
	if (sim->now_us >= l->then_from_us)
		return l->then_mss;
	return sim->now_us >= l->path_from_us ? l->path_mss : 0;
}

/* Type and code of an error that is no "too big". */
static void some_error(struct prng *r, uint8_t *icmp, bool is_v6)
{
	static const uint8_t v4[][2] = { { 3, 0 }, { 3, 1 }, { 3, 2 }, { 3, 3 }, { 3, 13 },
					 { 11, 0 }, { 12, 0 } };
	static const uint8_t v6[][2] = { { 1, 0 }, { 1, 1 }, { 1, 3 }, { 1, 4 }, { 3, 0 }, { 4, 1 } };

	memcpy(icmp, is_v6 ? v6[prng_below(r, 6)] : v4[prng_below(r, 7)], 2);
}

/* An error about @pkt comes back after a while; @mtu 0: it is not one of size. */
static void send_icmp(struct sim *sim, unsigned int to, const struct packet *pkt, uint32_t mtu,
		      bool forged)
{
	uint32_t quoted = pkt->ip_len + 20;
	struct packet *icmp = calloc(1, sizeof(*icmp) + 8 + quoted);
	struct prng *r = &sim->path_prng;
	bool is_v6 = pkt->ip_len == 40;
	uint16_t csum;
	unsigned int i;

	if (!icmp)
		abort();
	icmp->len = 8 + quoted;
	memcpy(icmp->octets + 8, pkt->octets, quoted);
	/* Who forges does not see what is sent; some do. */
	if (forged && !prng_below(r, 32))
		forged = false;
	for (i = 4; forged && i < 8; i++)
		icmp->octets[8 + pkt->ip_len + i] = (uint8_t)prng_next(r);
	if (!mtu) {
		some_error(r, icmp->octets, is_v6);
	} else {
		memcpy(icmp->octets, is_v6 ? "\2" : "\3\4", 2);
		put16(icmp->octets + 6, mtu);
	}
	if (!is_v6) {
		csum = ip_csum_fold(ip_csum_add(0, icmp->octets, icmp->len));
		memcpy(icmp->octets + 2, &csum, 2);
	}
	net_schedule(sim, sim->now_us + 1 + prng_below(r, 2 * sim->link[to].delay_us + 1),
		     EV_ICMP, to, icmp);
}

/* Somebody who knows the pair of ports, and perhaps more. */
static void forge_icmp(struct sim *sim, unsigned int to, const struct packet *pkt)
{
	struct prng *r = &sim->path_prng;
	struct tcp_seg s;

	/* Nothing would come about if it hit a SYN: that is refusal, unreach_ppm. */
	if (packet_parse(pkt, &s) < 0 || (s.flags & TH_SYN))
		return;
	send_icmp(sim, to, pkt, prng_below(r, 2) ? (uint32_t)prng_below(r, 65535) + 1 : 0, true);
}

/* Is it too large?  20 octets are the TCP header without options. */
static bool is_too_big(struct sim *sim, unsigned int from, const struct packet *pkt)
{
	const struct link *l = &sim->link[from];
	uint32_t mss = path_mss(sim, l);

	if (!mss || pkt->len <= mss + pkt->ip_len + 20)
		return false;
	if (l->has_icmp && !prng_ppm(&sim->path_prng, l->loss_ppm))
		send_icmp(sim, from, pkt, mss + pkt->ip_len + 20, false);
	return true;
}

/* --- a link -------------------------------------------------------------------------- */

static void set_ce(struct packet *pkt)
{
	uint16_t csum;

	if (pkt->ip_len == 40) {
		pkt->octets[1] |= TCP_ECN_CE << 4;
		return;
	}
	pkt->octets[1] |= TCP_ECN_CE;
	memset(pkt->octets + 10, 0, 2);
	csum = ip_csum_fold(ip_csum_add(0, pkt->octets, 20));
	memcpy(pkt->octets + 10, &csum, 2);
}

static bool is_ect(const struct packet *pkt)
{
	return (pkt->ip_len == 40 ? pkt->octets[1] >> 4 : pkt->octets[1]) & 3;
}

static void lose(struct sim *sim, unsigned int from, struct packet *pkt)
{
	if (prng_ppm(&sim->path_prng, sim->link[from].unreach_ppm))
		send_icmp(sim, from, pkt, 0, false);
	free(pkt);
}

/* Behind the middlebox.  @pkt is ours now.  False: it is lost. */
bool net_forward(struct sim *sim, unsigned int from, struct packet *pkt)
{
	struct link *l = &sim->link[from];
	struct packet *copy;
	uint64_t bit;
	uint64_t start = l->free_us > sim->now_us ? l->free_us : sim->now_us;

	if (is_too_big(sim, from, pkt)) {
		free(pkt);
		return false;
	}
	if (is_lost(sim, l) || (l->ns_per_octet && start - sim->now_us > l->queue_us)) {
		lose(sim, from, pkt);
		return false;
	}
	if (is_ect(pkt) && ((l->mark_us && start - sim->now_us > l->mark_us) ||
			    prng_ppm(&sim->prng, l->mark_ppm)))
		set_ce(pkt);
	if (l->corrupt_ppm && prng_ppm(&sim->prng, l->corrupt_ppm)) {
		bit = prng_below(&sim->prng, 8 * (uint64_t)pkt->len);
		pkt->octets[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	/* 20 octets are the link's header. */
	l->free_us = start + (pkt->len + 20) * l->ns_per_octet / 1000;
	if (prng_ppm(&sim->prng, l->dup_ppm)) {
		copy = malloc(sizeof(*copy) + pkt->len);
		if (!copy)
			abort();
		memcpy(copy, pkt, sizeof(*copy) + pkt->len);
		deliver(sim, from, copy, l->free_us);
	}
	deliver(sim, from, pkt, l->free_us);
	return true;
}

/* @pkt is ours now.  False: it is lost. */
bool net_send(struct sim *sim, unsigned int from, struct packet *pkt)
{
	struct link *l = &sim->link[from];

	sim->n_segs++;
	if (l->forge_ppm && prng_ppm(&sim->path_prng, l->forge_ppm))
		forge_icmp(sim, from, pkt);
	return middle_send(sim, from, pkt);
}

/* --- what a seed makes of it ----------------------------------------------------------- */

/* In one of three, a link takes less than the hosts would like, from the start or
 * later, and says so or not; perhaps another path comes later still. */
static void plan_path(struct sim *sim)
{
	struct prng *r = &sim->path_prng;
	bool has_icmp = prng_below(r, 3);
	uint32_t mss = (uint32_t)prng_log(r, 48, 61440);
	unsigned int i;

	r->x ^= sim->seed;
	for (i = 0; i < 2; i++)
		sim->link[i].then_from_us = UINT64_MAX;
	for (i = 0; i < 2 && !prng_below(r, 3); i++) {
		sim->link[i].path_mss = prng_below(r, 4) ? mss : (uint32_t)prng_log(r, 48, 1460);
		sim->link[i].has_icmp = has_icmp;
		sim->link[i].path_from_us = sim->now_us +
			(prng_below(r, 3) ? 0 : prng_log(r, 1, 10000000));
		if (prng_below(r, 4) == 0) {
			sim->link[i].then_from_us = sim->link[i].path_from_us +
						    prng_log(r, 1000, 60000000);
			sim->link[i].then_mss = prng_below(r, 3) ?
				(uint32_t)prng_log(r, 48, 61440) : 0;
		}
		sim->link[i].forge_ppm = (uint32_t)prng_below(r, 3) * 50000;
	}
}

/* What the network is like, in both directions: often good, sometimes awful. */
void net_plan(struct sim *sim)
{
	struct prng *r = &sim->prng;
	bool lossy = prng_below(r, 3), bursty = prng_below(r, 5) == 0;
	bool disorder = prng_below(r, 3) == 0, slow = prng_below(r, 3) == 0;
	bool noisy = prng_below(r, 6) == 0, marking = prng_below(r, 3) == 0;
	uint64_t delay_us = prng_log(r, 10, 200000);
	unsigned int i;

	for (i = 0; i < 2; i++) {
		struct link *l = &sim->link[i];

		l->delay_us = delay_us;
		if (disorder) {
			l->jitter_us = prng_below(r, delay_us / 2 + 1);
			l->reorder_ppm = (uint32_t)prng_below(r, 50000);
			l->reorder_us = delay_us;
			l->dup_ppm = (uint32_t)prng_below(r, 50000);
		}
		if (lossy)
			l->loss_ppm = (uint32_t)prng_log(r, 1000, 150000);
		if (noisy)
			l->corrupt_ppm = (uint32_t)prng_log(r, 1000, 50000);
		if (marking)
			l->mark_ppm = (uint32_t)prng_below(r, 50000);
		if (bursty) {
			l->burst_ppm = (uint32_t)prng_below(r, 10000);
			l->burst_len = (uint32_t)prng_range(r, 2, 20);
		}
		if (slow) {
			l->ns_per_octet = prng_log(r, 1, 8000);
			/* Room for one packet at least */
			l->queue_us = prng_log(r, 1000, 1000000) + 65536 * l->ns_per_octet / 1000;
			if (marking)
				l->mark_us = l->queue_us / 4;
		}
	}
	plan_path(sim);
	if (prng_below(&sim->path_prng, 6) == 0)
		for (i = 0; i < 2; i++)
			sim->link[i].unreach_ppm = (uint32_t)prng_log(&sim->path_prng, 10000, 1000000);
	middle_plan(sim);
}
