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

/* ICMP about @pkt, or about what never was, comes back after a while. */
static void send_icmp(struct sim *sim, unsigned int to, const struct packet *pkt, bool forged)
{
	struct packet *icmp = malloc(sizeof(*icmp) + 20);
	struct prng *r = &sim->path_prng;
	unsigned int i;

	if (!icmp)
		abort();
	icmp->len = 20;
	icmp->mss = sim->link[to].path_mss;
	memcpy(icmp->octets, pkt->octets, 20);
	for (i = 4; forged && i < 8; i++)
		icmp->octets[i] = (uint8_t)prng_next(r);
	if (forged)
		icmp->mss = prng_below(r, 2) ? (uint32_t)prng_below(r, 65536) : 0;
	net_schedule(sim, sim->now_us + 1 + prng_below(r, 2 * sim->link[to].delay_us + 1),
		     EV_ICMP, to, icmp);
}

/* Is it too large?  20 octets are the TCP header without options. */
static bool is_too_big(struct sim *sim, unsigned int from, const struct packet *pkt)
{
	const struct link *l = &sim->link[from];

	if (!l->path_mss || sim->now_us < l->path_from_us || pkt->len <= l->path_mss + 20)
		return false;
	if (l->has_icmp && !prng_ppm(&sim->path_prng, l->loss_ppm))
		send_icmp(sim, from, pkt, false);
	return true;
}

/* @pkt is ours now.  False: it is lost. */
bool net_send(struct sim *sim, unsigned int from, struct packet *pkt)
{
	struct link *l = &sim->link[from];
	struct packet *copy;
	uint64_t bit;
	uint64_t start = l->free_us > sim->now_us ? l->free_us : sim->now_us;

	sim->n_segs++;
	if (l->forge_ppm && prng_ppm(&sim->path_prng, l->forge_ppm))
		send_icmp(sim, from, pkt, true);
	if (is_too_big(sim, from, pkt)) {
		free(pkt);
		return false;
	}
	if (is_lost(sim, l) || (l->ns_per_octet && start - sim->now_us > l->queue_us)) {
		free(pkt);
		return false;
	}
	if (pkt->ecn && ((l->mark_us && start - sim->now_us > l->mark_us) ||
			 prng_ppm(&sim->prng, l->mark_ppm)))
		pkt->ecn = TCP_ECN_CE;
	if (l->corrupt_ppm && prng_ppm(&sim->prng, l->corrupt_ppm)) {
		bit = prng_below(&sim->prng, 8 * (uint64_t)pkt->len);
		pkt->octets[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	l->free_us = start + (pkt->len + 40) * l->ns_per_octet / 1000;
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

/* In one of three, a link takes less than the hosts would like, from the start or
 * later, and says so or not. */
static void plan_path(struct sim *sim)
{
	struct prng *r = &sim->path_prng;
	bool has_icmp = prng_below(r, 3);
	uint32_t mss = (uint32_t)prng_log(r, 48, 61440);
	unsigned int i;

	r->x ^= sim->seed;
	for (i = 0; i < 2 && !prng_below(r, 3); i++) {
		sim->link[i].path_mss = prng_below(r, 4) ? mss : (uint32_t)prng_log(r, 48, 1460);
		sim->link[i].has_icmp = has_icmp;
		sim->link[i].path_from_us = sim->now_us +
			(prng_below(r, 3) ? 0 : prng_log(r, 1, 10000000));
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
}
