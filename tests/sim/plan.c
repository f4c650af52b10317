/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * plan.c - what a seed makes of the hosts: what they can, what they want
 */
#include <string.h>

#include "tests/sim/sim.h"
#include "stack/engine/tcp_seq.h"

#define PLAN_US		(3600ull * 1000000)	/* an application's own part of a conversation, about */
#define LONG_PAUSE_US	8000000ull		/* mean of prng_log(r, 100000, 30000000) */

static uint16_t plan_mss(struct prng *r)
{
	static const uint16_t usual[] = { 48, 536, 1220, 1448, 1460, 4096, 8960, 61440, 61444, 61464 };

	if (prng_below(r, 2))
		return usual[prng_below(r, sizeof(usual) / sizeof(usual[0]))];
	return (uint16_t)prng_log(r, 48, 61440);
}

/* A path that swallows what is too large, without a word, needs a sender that
 * thinks of it. */
static void plan_probing(struct host *h)
{
	const struct link *l = &h->sim->link[h->idx];
	struct prng *r = &h->sim->path_prng;

	h->cfg.mtu_probing = (uint8_t)prng_below(r, 3);
	if ((l->path_mss || l->then_mss) && !l->has_icmp && !h->cfg.mtu_probing)
		h->cfg.mtu_probing = TCP_MTU_PROBING_BLACK_HOLE;
	h->cfg.base_mss = prng_below(r, 2) ? 0 : (uint16_t)prng_log(r, 48, 9000);
}

static void plan_one(struct host *h, uint16_t mss)
{
	struct prng *r = &h->sim->prng;

	h->cfg = (struct tcp_config){
		.mss = mss,
		.eff_mss_max = prng_below(r, 2) ? 61440 : 0,
		.rcv_buf = (uint32_t)prng_log(r, 1000, 1000000),
		.syn_retries = 60,
		.data_retries = 60,
		.no_sack = prng_below(r, 4) == 0,
		.no_ts = prng_below(r, 3) == 0,
		.no_ws = prng_below(r, 4) == 0,
		.nodelay = prng_below(r, 2),
		.cc = (uint8_t)prng_below(r, TCP_CC_N),
		.ecn = (uint8_t)prng_below(r, 3),
		.mss_default = h->sim->pair[0].src[0] ? 1220 : 0,
		.ts_offset = prng_below(r, 2) ? (uint32_t)prng_next(r) : UINT32_MAX - 100,
	};
	if (prng_below(r, 3) == 0)
		h->cfg.rcv_buf = mss * (uint32_t)prng_range(r, 1, 8);
	plan_probing(h);
	h->plan = (struct plan){
		.n_write = prng_below(r, 8) ? prng_log(r, 1, 60 * (uint64_t)mss) : 0,
		.pause_us = prng_log(r, 1, 20000),
		.long_pause_ppm = prng_below(r, 3) ? 0 : 20000,
		.chunk = (uint32_t)prng_log(r, mss / 20 + 1, 4 * (uint64_t)mss),
		.abort_at = UINT64_MAX,
		.quit_at = UINT64_MAX,
		.stop_ppm = prng_below(r, 10) ? 0 : 20000,
		.inherit_ppm = prng_below(r, 10) ? 0 : 50000,
		.snd_buf = (uint32_t)prng_log(r, 1000, 1000000),
		.max_ooo = 24,
	};
}

/* Fast Open, both sides: each form, cookies good and bad, none asked for and
 * none answered. */
static void plan_fastopen(struct host *h)
{
	struct prng *r = &h->sim->prng;
	struct tcp_fo *fo = &h->plan.fo;

	fo->kind = (uint8_t)prng_below(r, TCP_FO_N);
	fo->len = (uint8_t)(prng_below(r, 4) ? 2 * prng_range(r, TCP_FO_MIN / 2, TCP_FO_MAX / 2) : 0);
	fo->room = prng_below(r, 4) ? tcp_fastopen_room(h->cfg.mss, plan_mss(r)) : 0;
	h->plan.fo_good_ppm = prng_below(r, 3) ? 1000000 : 300000;
}

/* The smallest MSS that a link makes of ours; 0: none.  Who forges ICMP, or a path that
 * swallows what is too large, may make it any. */
static uint32_t least_path(const struct link *l)
{
	if (l->forge_ppm || (!l->has_icmp && (l->path_mss || l->then_mss)))
		return 48;
	if (!l->path_mss || !l->then_mss)
		return l->path_mss ? l->path_mss : l->then_mss;
	return min_u32(l->path_mss, l->then_mss);
}

/* In one of three, an application that asks for more than to send and receive. */
static void plan_user(struct host *h)
{
	struct prng *r = &h->sim->user_prng;
	struct plan *p = &h->plan;

	p->opts = (struct tcp_user_opts){ .nodelay = h->cfg.nodelay, .syn_retries = 60 };
	p->hands_over = prng_below(r, 2);
	p->resets = prng_below(r, 2);
	if (prng_below(r, 3))
		return;
	if (prng_below(r, 4) == 0)
		p->urg_ppm = (uint32_t)prng_log(r, 1000, 1000000);
	if (prng_below(r, 4) == 0)
		p->record = 50 + (uint32_t)prng_below(r, 2ull * h->cfg.mss);
	if (prng_below(r, 4) == 0)
		p->more_ppm = (uint32_t)prng_log(r, 1000, 1000000);
	if (prng_below(r, 4) == 0)
		p->lowat = (uint32_t)prng_range(r, 1, h->cfg.rcv_buf / 2);
	if (prng_below(r, 4) == 0)
		p->fiddle_ppm = (uint32_t)prng_log(r, 1000, 100000);
	if (prng_below(r, 4) == 0)
		p->opts.adv_uto_s = (uint16_t)prng_log(r, 1, 32000);
	p->opts.keep_count = 30;
	if (prng_below(r, 3) == 0) {
		p->opts.keep_idle_us = prng_log(r, 100000, 10000000);
		p->opts.keep_intvl_us = prng_log(r, 100000, 2000000);
	}
	p->opts.cork = prng_below(r, 8) == 0;
	if (prng_below(r, 8) == 0)
		p->opts.window_clamp = h->cfg.rcv_buf / (uint32_t)prng_range(r, 1, 4);
}

/* Users who do not wait for ever, each in their own way.  Return: somebody is. */
static bool plan_impatience(struct sim *sim)
{
	struct prng *r = &sim->user_prng;
	unsigned int who = (unsigned int)prng_below(r, 2);
	struct tcp_user_opts *o = &sim->host[who].plan.opts;
	struct plan *other = &sim->host[!who].plan;

	if (sim->host[0].plan.opts.adv_uto_s && sim->host[1].plan.opts.adv_uto_s)
		return true;
	switch (prng_below(r, 24)) {
	case 0:
		o->user_timeout_ms = (uint32_t)prng_log(r, 1000, 200000);
		if (prng_below(r, 2)) {
			other->abort_at = prng_below(r, other->n_write + 1);
			other->vanishes = true;
			other->is_mute = true;
		}
		return true;
	case 1:
		o->fin_wait_2_us = prng_below(r, 2) ? 1 : (uint32_t)prng_log(r, 1000, 60000000);
		return true;
	default:
		return false;
	}
}

/* A connection that may break: a lost RST would leave the other end in FIN-WAIT-2 for ever. */
static void plan_break(struct sim *sim)
{
	unsigned int i;

	sim->may_break = true;
	for (i = 0; i < 2; i++) {
		struct tcp_user_opts *o = &sim->host[i].plan.opts;

		o->keep_idle_us = 60000000;
		o->keep_intvl_us = 10000000;
		o->keep_count = 9;
		sim->host[i].plan.fiddle_ppm = 0;
	}
}

/* What an application with this plan gets through in PLAN_US, octets. */
static uint64_t plan_octets(const struct plan *p)
{
	uint64_t call_us = p->pause_us / 2 + p->long_pause_ppm * LONG_PAUSE_US / 1000000 + 1;

	return PLAN_US / call_us * (p->chunk + 1) / 2;
}

/* No application is to be what makes a conversation last. */
static void plan_bound(struct sim *sim)
{
	unsigned int i;

	for (i = 0; i < 2; i++) {
		struct plan *p = &sim->host[i].plan;
		uint64_t ours = plan_octets(p), theirs = plan_octets(&sim->host[!i].plan);
		uint64_t max = ours < theirs ? ours : theirs;

		if (p->n_write > max)
			p->n_write = max;
	}
}

/* Who does what in this conversation. */
void host_plan(struct sim *sim)
{
	struct prng *r = &sim->prng, *u;
	uint16_t mss = plan_mss(r);
	unsigned int i, odd = (unsigned int)prng_below(r, 2);

	for (i = 0; i < 2; i++) {
		struct host *h = &sim->host[i];

		host_init(sim, i);
		plan_one(h, prng_below(r, 4) ? mss : plan_mss(r));
	}
	if (prng_below(r, 3) == 0)
		for (i = 0; i < 2; i++)
			plan_fastopen(&sim->host[i]);
	/* A day must be enough, even where all was sent before and is lost now: without
	 * timestamps RTO stays backed off (RFC 6298, 5). */
	for (i = 0; i < 2; i++) {
		uint64_t most = 500 * (uint64_t)least_path(&sim->link[i]);

		if (most && sim->host[i].plan.n_write > most)
			sim->host[i].plan.n_write = most;
	}
	for (i = 0; i < 2; i++)
		plan_user(&sim->host[i]);
	plan_bound(sim);
	u = &sim->user_prng;
	sim->n_lives = prng_below(u, 6) ? 1 : (unsigned int)prng_range(u, 2, 4);
	sim->host[1].plan.is_cookie = prng_below(u, 8) == 0;
	if (plan_impatience(sim) || sim->link[0].unreach_ppm)
		plan_break(sim);
	switch (prng_below(r, 16)) {
	case 0:
		sim->host[odd].plan.abort_at = prng_below(r, 30 * (uint64_t)mss);
		sim->host[odd].plan.vanishes = prng_below(u, 2);
		sim->host[odd].plan.is_mute = prng_below(u, 2);
		break;
	case 1:
		sim->host[odd].plan.quit_at = prng_below(r, 30 * (uint64_t)mss);
		break;
	default:
		return;
	}
	plan_break(sim);
}

/* ISS so that everything wraps early. */
uint32_t host_iss(struct host *h)
{
	return UINT32_MAX - (uint32_t)prng_log(&h->sim->prng, 1, 200000);
}
