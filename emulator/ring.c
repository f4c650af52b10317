/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ring.c - the token, and time on the ring
 *
 * The model is described in ring.h.  No clock, no descriptor and no memory of
 * others: a test drives it with stations and a clock of its own.
 *
 * Runs in jetringd.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "abi/ring.h"
#include "common/util.h"
#include "emulator/ring.h"

/* --- the ring's measures ------------------------------------------------------------ */

/* From station @id to the next one. */
static uint64_t hop_ns(const struct ring *r, unsigned int id)
{
	return r->p.rate_bps ? (uint64_t)r->p.station_ns + r->p.prop_ns[id] : 0;
}

/* After a change of stations or delays. */
static void measure(struct ring *r)
{
	r->round_ns = 0;
	for (unsigned int id = 0; id < JS_N_RING_IDS; id++) {
		r->pos_ns[id] = r->round_ns;
		if (r->stations >> id & 1)
			r->round_ns += hop_ns(r, id);
	}
}

/* The ring is occupied by @octets; at 64 bits exact for any frame and rate. */
static uint64_t octets_ns(const struct ring *r, uint64_t octets)
{
	if (!r->p.rate_bps)
		return 0;
	return (octets * 8 * 1000000000u + r->p.rate_bps - 1) / r->p.rate_bps;
}

/* Octets that leave within the holding time. */
static uint64_t hold_octets(const struct ring *r)
{
	uint64_t rate_bps = r->p.rate_bps ? r->p.rate_bps : RING_RATE_DEFAULT;

	return (uint64_t)((unsigned __int128)rate_bps * r->p.hold_ns / 8 / 1000000000u);
}

static uint64_t mgmt_ns(const struct ring *r)
{
	return octets_ns(r, aal5_frame_len(sizeof(struct js_mgmt)));
}

/* The next station on the ring, @id itself if it is the only one. */
static unsigned int next_on_ring(const struct ring *r, unsigned int id)
{
	do
		id = (id + 1) % JS_N_RING_IDS;
	while (!(r->stations >> id & 1));
	return id;
}

static unsigned int prev_on_ring(const struct ring *r, unsigned int id)
{
	do
		id = (id - 1) % JS_N_RING_IDS;
	while (!(r->stations >> id & 1));
	return id;
}

uint64_t ring_travel_ns(const struct ring *r, unsigned int from, unsigned int to)
{
	return r->pos_ns[to] - r->pos_ns[from] + (to <= from ? r->round_ns : 0);
}

unsigned int ring_monitor(const struct ring *r)
{
	return (unsigned int)__builtin_ctz(r->stations);
}

uint64_t ring_token_timeout_ns(const struct ring *r)
{
	return RING_TOKEN_TIMEOUT_NS + octets_ns(r, JS_FRAME_MAX) + r->round_ns;
}

void ring_params_default(struct ring_params *p)
{
	p->rate_bps = RING_RATE_DEFAULT;
	p->station_ns = RING_STATION_NS;
	p->hold_ns = RING_HOLD_NS;
	for (unsigned int id = 0; id < JS_N_RING_IDS; id++)
		p->prop_ns[id] = RING_PROP_NS;
}

void ring_init(struct ring *r, const struct ring_ops *ops, const struct ring_params *p,
	       uint64_t now_ns)
{
	memset(r, 0, sizeof(*r));
	r->ops = ops;
	r->p = *p;
	r->free_ns = now_ns;
	r->duplicate_ns = RING_IDLE;
}

/* --- how late ------------------------------------------------------------------------- */

static void error_count(struct ring_errors *e, uint64_t ns)
{
	unsigned int i = 0;

	if (ns >> RING_ERR_SHIFT) {
		unsigned int lg = 63u - (unsigned int)__builtin_clzll(ns);

		i = 1 + (lg - RING_ERR_SHIFT) * 8 + (unsigned int)(ns >> (lg - 3) & 7);
		i = MIN(i, RING_ERR_BUCKETS - 1u);
	}
	e->n++;
	e->bucket[i]++;
	e->max_ns = MAX(e->max_ns, ns);
}

uint64_t ring_errors_bound_ns(unsigned int i)
{
	if (!i)
		return 1u << RING_ERR_SHIFT;
	return (uint64_t)(9 + (i - 1) % 8) << ((i - 1) / 8 + RING_ERR_SHIFT - 3);
}

uint64_t ring_errors_quantile(const struct ring_errors *e, double part)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < RING_ERR_BUCKETS; i++) {
		sum += e->bucket[i];
		/* The last bucket has no bound but the largest itself. */
		if (sum && (double)sum >= part * (double)e->n)
			return i == RING_ERR_BUCKETS - 1 ? e->max_ns :
			       MIN(ring_errors_bound_ns(i), e->max_ns);
	}
	return e->max_ns;
}

/* --- where the ring is ------------------------------------------------------------------ */

/*
 * How far the ring is: @now_ns, or less if it is late.  Then it stands at the
 * end of the frame on it, or where the first who waits may have the token.
 */
static uint64_t reached(const struct ring *r, uint64_t now_ns)
{
	uint64_t at_ns = UINT64_MAX;

	if (r->frame) {
		at_ns = r->tx.arrive_ns;
	} else if (r->token != RING_TOKEN_OK) {
		at_ns = r->until_ns;
	} else {
		for (unsigned int id = 0; id < JS_N_RING_IDS; id++)
			if (r->wants >> id & 1)
				at_ns = MIN(at_ns, r->want_ns[id]);
		at_ns = MAX(at_ns, r->free_ns);
	}
	return MIN(now_ns, MIN(at_ns, r->duplicate_ns));
}

/**
 * ring_request() - A station has something to send
 * @r:		The ring
 * @id:		Ring ID of the station, which is on the ring
 * @now_ns:	Ring time
 *
 * A late ring takes it as asked at the time the ring has reached, not now:
 * else who was sending when we fell behind would send alone until we have
 * caught up.
 */
void ring_request(struct ring *r, unsigned int id, uint64_t now_ns)
{
	assert(r->stations >> id & 1);
	if (r->wants >> id & 1)
		return;
	r->want_ns[id] = reached(r, now_ns);
	r->wants |= (uint16_t)(1u << id);
}

/* Nobody holds the token: at @t_ns it was last passed on by r->at, at r->free_ns. */
static void settle(struct ring *r, uint64_t t_ns)
{
	uint64_t hop;

	if (t_ns <= r->free_ns)
		return;
	if (!r->round_ns) {
		r->free_ns = t_ns;
		return;
	}
	r->free_ns += (t_ns - r->free_ns) / r->round_ns * r->round_ns;
	while ((hop = hop_ns(r, r->at)) <= t_ns - r->free_ns) {
		r->free_ns += hop;
		r->at = next_on_ring(r, r->at);
	}
}

/* Does r->at keep the token at @t_ns, to send on?  With a frame on the ring it does. */
static bool is_held(const struct ring *r, uint64_t t_ns)
{
	if (r->frame)
		return true;
	if (!r->holding)
		return false;
	return t_ns < r->free_ns || (r->wants >> r->at & 1 && r->want_ns[r->at] <= r->free_ns);
}

/*
 * Before anything about the ring changes at @now_ns: find out where the idle
 * token is while that can still be computed.  Return: ring time reached
 */
static uint64_t catch_up(struct ring *r, uint64_t now_ns)
{
	uint64_t t_ns = reached(r, now_ns);

	if (r->token == RING_TOKEN_OK && r->stations && !is_held(r, t_ns)) {
		r->holding = false;
		settle(r, t_ns);
	}
	return t_ns;
}

/* --- the token's troubles ------------------------------------------------------------------ */

static void tell(struct ring *r, const struct ring_mgmt *m)
{
	if (r->ops->mgmt)
		r->ops->mgmt(m);
}

/* The monitor puts a frame of its own on the ring at @t_ns: it is back at r->until_ns. */
static void monitor_sends(struct ring *r, uint8_t type, uint64_t t_ns)
{
	r->holding = false;
	r->until_ns = t_ns + mgmt_ns(r) + r->round_ns;
	tell(r, &(struct ring_mgmt) {
		.type = type,
		.reason = r->reason,
		.src = (uint8_t)ring_monitor(r),
		.start_ns = t_ns,
		.arrive_ns = r->until_ns,
		.token_id = r->token_id,
		.frame_id = ++r->frame_ids,
	});
}

static void broken(struct ring *r, uint64_t t_ns)
{
	if (r->token == RING_TOKEN_OK)
		r->broken_ns = MIN(r->broken_ns, t_ns);
}

/* The frame on the ring, if there is one, is destroyed at @t_ns. */
static void cut(struct ring *r, uint64_t t_ns)
{
	struct frame *f = r->frame;

	if (!f)
		return;
	r->frame = NULL;
	r->wants &= (uint16_t)~(1u << r->at);
	r->cut_frames++;
	r->tx.cut = true;
	if (r->ops->arrived(r->at, f, &r->tx) && r->stations >> r->at & 1)
		ring_request(r, r->at, t_ns);
}

static void claim(struct ring *r, uint64_t t_ns)
{
	broken(r, t_ns);
	r->elect = r->lose = false;
	r->duplicate_ns = RING_IDLE;
	r->reason = JS_MGMT_R_MONITOR;
	r->token = RING_TOKEN_CLAIM;
	r->claims++;
	monitor_sends(r, JS_MGMT_CLAIM, t_ns);
}

static void purge(struct ring *r, uint64_t t_ns)
{
	broken(r, t_ns);
	r->lose = false;
	r->duplicate_ns = RING_IDLE;
	r->token = RING_TOKEN_PURGE;
	r->purges++;
	cut(r, t_ns);
	monitor_sends(r, JS_MGMT_PURGE, t_ns);
}

/* The purge has come back: a new token, from the monitor. */
static void issue(struct ring *r)
{
	r->token = RING_TOKEN_OK;
	r->at = ring_monitor(r);
	r->holding = false;
	r->free_ns = r->until_ns;
	r->token_id++;
	r->tokens_issued++;
	r->recovery_max_ns = MAX(r->recovery_max_ns, r->until_ns - r->broken_ns);
	r->broken_ns = UINT64_MAX;
	/* A station came or went meanwhile, and the monitor is another. */
	if (r->elect)
		claim(r, r->until_ns);
}

/* What is due at r->until_ns. */
static void recover(struct ring *r)
{
	switch (r->token) {
	case RING_TOKEN_LOST:
	case RING_TOKEN_CLAIM:
		purge(r, r->until_ns);
		break;
	case RING_TOKEN_PURGE:
		issue(r);
		break;
	default:
		break;
	}
}

/*
 * There is no token from @t_ns on.  The monitor's timer runs since it saw the
 * token pass, or the last bit of the last frame if that was later.
 */
static void lose_token(struct ring *r, uint64_t t_ns)
{
	uint64_t heard_ns = t_ns;

	if (r->round_ns) {
		/* r->at sent a frame's last bit R before free_ns, and the token at free_ns. */
		uint64_t first_ns = r->free_ns + ring_travel_ns(r, r->at, ring_monitor(r));

		heard_ns = t_ns - (t_ns + r->round_ns - first_ns) % r->round_ns;
	}
	broken(r, t_ns);
	r->lose = false;
	r->holding = false;
	r->duplicate_ns = RING_IDLE;
	r->reason = JS_MGMT_R_LOST;
	r->token = RING_TOKEN_LOST;
	r->until_ns = heard_ns + ring_token_timeout_ns(r);
	r->tokens_lost++;
}

int ring_fault(struct ring *r, enum ring_fault fault, uint64_t now_ns)
{
	uint64_t t_ns = catch_up(r, now_ns);

	if (!r->stations)
		return -ENOENT;
	if (r->token != RING_TOKEN_OK || r->lose || r->elect || r->duplicate_ns != RING_IDLE)
		return -EBUSY;
	if (fault == RING_FAULT_DUPLICATE) {
		r->tokens_duplicated++;
		r->reason = JS_MGMT_R_DUPLICATE;
		broken(r, t_ns);
		r->duplicate_ns = t_ns + hop_ns(r, prev_on_ring(r, ring_monitor(r)));
	} else if (r->frame) {
		r->lose = true;
	} else {
		lose_token(r, MAX(t_ns, r->free_ns));
	}
	return 0;
}

/* --- stations and settings ----------------------------------------------------------------- */

/*
 * Another station is the monitor: it claims when the ring is free, or at once
 * if there is no token it could wait for.
 */
static void elect(struct ring *r, uint64_t t_ns)
{
	r->elect = true;
	if (r->token == RING_TOKEN_LOST || (r->token == RING_TOKEN_OK && !r->frame))
		claim(r, r->token == RING_TOKEN_LOST ? t_ns : MAX(t_ns, r->free_ns));
}

/* The token starts at the station that comes first. */
void ring_add(struct ring *r, unsigned int id, uint64_t now_ns)
{
	uint64_t t_ns = catch_up(r, now_ns);
	bool is_first = !r->stations, is_monitor = is_first || id < ring_monitor(r);

	assert(!(r->stations >> id & 1));
	r->stations |= (uint16_t)(1u << id);
	measure(r);
	if (is_first) {
		r->at = id;
		r->token = RING_TOKEN_OK;
		r->free_ns = t_ns;
		r->broken_ns = UINT64_MAX;
		r->tokens_issued++;
	} else if (is_monitor) {
		elect(r, t_ns);
	}
}

/**
 * ring_del() - A station goes
 * @r:		The ring
 * @id:		Its Ring ID
 * @now_ns:	Ring time
 *
 * The token that it holds it passes on.  A frame on its way to it goes once
 * round, uncopied.
 */
void ring_del(struct ring *r, unsigned int id, uint64_t now_ns)
{
	uint64_t t_ns = catch_up(r, now_ns);
	bool was_monitor;

	if (!(r->stations >> id & 1))
		return;
	was_monitor = id == ring_monitor(r);
	r->stations &= (uint16_t)~(1u << id);
	if (r->frame && r->at == id) {
		cut(r, t_ns);
		r->free_ns = t_ns;
	}
	r->wants &= (uint16_t)~(1u << id);
	if (!r->stations) {
		r->holding = r->lose = r->elect = false;
		r->token = RING_TOKEN_OK;
		r->duplicate_ns = RING_IDLE;
		return;
	}
	if (r->at == id) {
		r->at = prev_on_ring(r, id);
		r->holding = false;
	}
	measure(r);
	if (was_monitor)
		elect(r, t_ns);
	else if (r->lose && !r->frame)
		lose_token(r, MAX(t_ns, r->free_ns));
}

/**
 * ring_set() - Change rate, latencies or holding time
 * @r:		The ring
 * @p:		What is to hold from now on
 * @now_ns:	Ring time
 *
 * A frame that is on the ring arrives as if it had been sent at the new rate
 * from now on, if that is sooner: nobody wants to wait for the rest of a frame
 * at 1 kbit/s.  So does a frame of the monitor.
 */
void ring_set(struct ring *r, const struct ring_params *p, uint64_t now_ns)
{
	uint64_t t_ns;

	catch_up(r, now_ns);
	r->p = *p;
	measure(r);
	r->hold_left = MIN(r->hold_left, hold_octets(r));
	if (r->frame) {
		uint64_t t = now_ns + octets_ns(r, aal5_frame_len(r->frame->sdu_len));

		r->tx.arrive_ns = MIN(r->tx.arrive_ns, t);
	}
	/* What was broken may begin only when a frame is stripped. */
	t_ns = MAX(now_ns, r->broken_ns);
	if (r->token == RING_TOKEN_LOST)
		r->until_ns = MIN(r->until_ns, t_ns + ring_token_timeout_ns(r));
	else if (r->token != RING_TOKEN_OK)
		r->until_ns = MIN(r->until_ns, t_ns + mgmt_ns(r) + r->round_ns);
}

/* --- sending ------------------------------------------------------------------------------- */

/*
 * When the token, passed on by r->at at free_ns, is at @id for the first time
 * not before @id wants it.
 */
static uint64_t pass_time(const struct ring *r, unsigned int id)
{
	uint64_t first = r->free_ns + ring_travel_ns(r, r->at, id);

	if (r->want_ns[id] <= first)
		return first;
	if (!r->round_ns)
		return r->want_ns[id];
	return first + (r->want_ns[id] - first + r->round_ns - 1) / r->round_ns * r->round_ns;
}

/*
 * Who sends next, and when: r->at again if it holds the token and had its next
 * frame when the last was stripped, else whom the token reaches first.
 */
static int next_sender(struct ring *r, uint64_t now_ns, uint64_t *start_ns)
{
	int best = -1;

	if (!r->wants)
		return -1;
	if (r->holding) {
		struct frame *f = NULL;

		/* Not decided before the last frame is stripped. */
		*start_ns = r->free_ns;
		if (now_ns < r->free_ns)
			return (int)r->at;

		if (r->wants >> r->at & 1 && r->want_ns[r->at] <= r->free_ns)
			f = r->ops->head(r->at);
		if (f && aal5_frame_len(f->sdu_len) <= r->hold_left)
			return (int)r->at;
		r->holding = false;
	}
	/* In ring order, so that of two at the same time the nearer one has it. */
	for (unsigned int i = 1; i <= JS_N_RING_IDS; i++) {
		unsigned int id = (r->at + i) % JS_N_RING_IDS;
		uint64_t t;

		if (!(r->wants >> id & 1))
			continue;
		t = pass_time(r, id);
		if (best < 0 || t < *start_ns) {
			best = (int)id;
			*start_ns = t;
		}
	}
	return best;
}

/* Station @id takes the token at @t_ns. */
static void take_token(struct ring *r, unsigned int id, uint64_t t_ns)
{
	tell(r, &(struct ring_mgmt) {
		.type = JS_MGMT_TOKEN,
		.src = (uint8_t)r->at,
		.to = (uint8_t)id,
		.start_ns = t_ns - ring_travel_ns(r, r->at, id),
		.arrive_ns = t_ns,
		.token_id = r->token_id,
		.frame_id = ++r->frame_ids,
	});
	r->at = id;
	r->holding = true;
	r->hold_left = hold_octets(r);
	r->token_id++;
	r->token_passes++;
}

/* From the first bit at @id to the last receiver. */
static uint64_t way_ns(const struct ring *r, unsigned int id, js_vci_t vci)
{
	if (vci_is_mcast(vci))
		return ring_travel_ns(r, id, prev_on_ring(r, id));
	if (r->stations >> vci_ring_id(vci) & 1)
		return ring_travel_ns(r, id, vci_ring_id(vci));
	return r->round_ns;
}

/* Put the first bit of station @id's frame on the ring at @start_ns. */
static void start(struct ring *r, unsigned int id, uint64_t start_ns)
{
	struct frame *f = r->ops->head(id);
	uint64_t octets, t;

	if (!f) {
		/* Its source took it back: the token was not wanted. */
		r->wants &= (uint16_t)~(1u << id);
		return;
	}
	if (!r->holding)
		take_token(r, id, start_ns);
	octets = aal5_frame_len(f->sdu_len);
	t = start_ns + octets_ns(r, octets);
	r->hold_left -= MIN(r->hold_left, octets);
	r->frame = f;
	r->tx = (struct ring_tx) {
		.start_ns = start_ns,
		.arrive_ns = t + way_ns(r, id, f->vci),
		.token_id = r->token_id,
		.frame_id = ++r->frame_ids,
	};
	/* Stripped after a whole round; arrived() does not have to wait for it. */
	r->free_ns = t + r->round_ns;
}

/* The frame on the ring has arrived. */
static void finish(struct ring *r, uint64_t now_ns)
{
	struct frame *f = r->frame;
	uint64_t late_ns = now_ns - r->tx.arrive_ns;

	r->frames++;
	r->bytes += aal5_frame_len(f->sdu_len);
	if (r->p.rate_bps) {
		r->late_frames += late_ns > RING_LATE_NS;
		error_count(&r->errors, late_ns);
	}
	/* The rate may have been raised while it was on the way. */
	r->free_ns = MIN(r->free_ns, r->tx.arrive_ns + r->round_ns);
	r->frame = NULL;
	r->wants &= (uint16_t)~(1u << r->at);
	if (r->ops->arrived(r->at, f, &r->tx))
		ring_request(r, r->at, r->tx.arrive_ns);
	/* Its source strips it; what it would do then does not come to pass. */
	if (r->elect)
		claim(r, r->free_ns);
	else if (r->lose)
		lose_token(r, r->free_ns);
}

/* The next thing to happen; *id: who starts a frame then, -1 none. */
static uint64_t next_ns(struct ring *r, uint64_t now_ns, int *id)
{
	uint64_t at_ns = RING_IDLE;

	*id = -1;
	if (r->frame)
		return r->tx.arrive_ns;
	if (r->token != RING_TOKEN_OK)
		return r->until_ns;
	*id = next_sender(r, now_ns, &at_ns);
	return *id < 0 ? RING_IDLE : at_ns;
}

/**
 * ring_step() - Let the ring do what is due
 * @r:		The ring
 * @now_ns:	Ring time; does not go back
 *
 * Starts a frame, or delivers the one on the ring, or does what the monitor
 * has to do, or nothing if it is not time yet.  So a caller can look at other
 * things between two frames, and gives the time of each thing as it happens.
 *
 * Return: ring time of the next thing; up to @now_ns: call again; RING_IDLE:
 *	   not before a ring_request()
 */
uint64_t ring_step(struct ring *r, uint64_t now_ns)
{
	int id;
	uint64_t at_ns = next_ns(r, now_ns, &id);
	bool is_duplicate = r->duplicate_ns < at_ns;

	if (is_duplicate)
		at_ns = r->duplicate_ns;
	if (at_ns > now_ns)
		return at_ns;
	if (is_duplicate) {
		purge(r, at_ns);
		return now_ns;
	}
	if (r->frame) {
		finish(r, now_ns);
		return now_ns;
	}
	if (id < 0) {
		recover(r);
		return now_ns;
	}
	if (!r->p.rate_bps) {
		at_ns = now_ns;		/* no pace to keep */
	} else if (now_ns - at_ns > RING_STALL_NS) {
		r->stalls++;
		at_ns = now_ns;
	}
	start(r, (unsigned int)id, at_ns);
	return r->frame ? r->tx.arrive_ns : now_ns;
}
