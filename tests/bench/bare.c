/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bare.c - the same work with nothing in between; jet-bench
 *
 * Three processes and shared memory, to say what a machine can do at best:
 *
 *	sender --- copy ---> in[] --- relay: CRC, copy, CRC ---> out[] --- copy ---> receiver
 *
 * These are the copies and the CRCs of a packet from pool to pool: the sender
 * fills buffers, jetringd computes the CRC of what it sends, copies to the
 * receiver's buffers and checks what was copied, the receiver copies it out.
 * Who has nothing to do calls sched_yield(), as there.
 */
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include <isa-l/crc.h>

#include "common/clock.h"
#include "tests/bench/bench.h"

struct bare {
	struct stream *s;
	struct rounds *r;
	uint8_t *in, *out;		/* window packets each */
};

static uint8_t *place(uint8_t *base, const struct stream *s, uint64_t nr)
{
	return base + nr % s->window * ((s->sdu_len + 63) / 64 * 64);
}

/* Until *@at is not @nr; false: stop. */
static bool wait_beyond(struct crew_ctl *ctl, _Atomic uint64_t *at, uint64_t nr)
{
	while (atomic_load_explicit(at, memory_order_acquire) <= nr) {
		if (crew_stopped(ctl))
			return false;
		sched_yield();
	}
	return true;
}

static void sender(struct crew_ctl *ctl, void *arg)
{
	struct bare *b = arg;
	struct stream *s = b->s;
	uint64_t nr = 0;

	packet_text();
	crew_ready(ctl);
	while (nr < s->window || wait_beyond(ctl, &s->taken, nr - s->window)) {
		uint8_t *sdu = place(b->in, s, nr);

		packet_header(sdu, s->sdu_len, nr);
		memcpy(sdu + PACKET_HDR, packet_text(), s->sdu_len - PACKET_HDR);
		memcpy(sdu + PACKET_HDR, &nr, sizeof(nr));
		atomic_store_explicit(&s->made, ++nr, memory_order_release);
	}
}

static void relay(struct crew_ctl *ctl, void *arg)
{
	struct bare *b = arg;
	struct stream *s = b->s;
	uint64_t nr = 0;

	crew_ready(ctl);
	while (wait_beyond(ctl, &s->made, nr)) {
		uint8_t *from = place(b->in, s, nr), *to = place(b->out, s, nr);
		uint32_t crc = crc32_ieee(0, from, s->sdu_len);

		memcpy(to, from, s->sdu_len);
		if (crc32_ieee(0, to, s->sdu_len) != crc)
			die("a CRC is wrong");
		atomic_store_explicit(&s->done, ++nr, memory_order_release);
	}
}

static void receiver(struct crew_ctl *ctl, void *arg)
{
	static uint8_t sdu[SDU_BULK];
	struct bare *b = arg;
	struct stream *s = b->s;
	uint64_t nr = 0;

	packet_text();
	crew_ready(ctl);
	while (wait_beyond(ctl, &s->done, nr)) {
		memcpy(sdu, place(b->out, s, nr), s->sdu_len);
		packet_check(sdu, s->sdu_len, nr);
		atomic_store_explicit(&s->taken, ++nr, memory_order_release);
	}
}

void bare_stream(struct crew *c, struct stream *s)
{
	size_t size = (size_t)s->window * (s->sdu_len + 64);
	struct bare b = { .s = s, .in = crew_shared(size), .out = crew_shared(size) };

	crew_add(c, sender, &b);
	crew_add(c, relay, &b);
	crew_add(c, receiver, &b);
	/* The crew has its own mappings. */
	crew_unshare(b.in, size);
	crew_unshare(b.out, size);
}

/* --- round trips ------------------------------------------------------------------ */

/* A packet of 8 octets on its way; each in a cache line of its own. */
struct cells {
	alignas(64) _Atomic uint64_t asked;	/* asker to relay: number + 1 */
	alignas(64) _Atomic uint64_t to_answerer;
	alignas(64) _Atomic uint64_t answered;
	alignas(64) _Atomic uint64_t to_asker;
};

struct bare_rounds {
	struct rounds *r;
	struct cells *c;
};

static void asker(struct crew_ctl *ctl, void *arg)
{
	struct bare_rounds *b = arg;
	uint64_t nr = 0, began, now;

	crew_ready(ctl);
	began = now_ns();
	for (;;) {
		atomic_store_explicit(&b->c->asked, nr + 1, memory_order_release);
		if (!wait_beyond(ctl, &b->c->to_asker, nr))
			return;
		now = now_ns();
		hist_add(&b->r->h, now - began);
		began = now;
		atomic_store_explicit(&b->r->n, ++nr, memory_order_relaxed);
	}
}

static bool relay_cell(_Atomic uint64_t *from, _Atomic uint64_t *to, uint64_t *seen)
{
	uint64_t v = atomic_load_explicit(from, memory_order_acquire);

	if (v == *seen)
		return false;
	*seen = v;
	atomic_store_explicit(to, v, memory_order_release);
	return true;
}

static void relay_rounds(struct crew_ctl *ctl, void *arg)
{
	struct bare_rounds *b = arg;
	uint64_t asked = 0, answered = 0;

	crew_ready(ctl);
	while (!crew_stopped(ctl)) {
		bool any = relay_cell(&b->c->asked, &b->c->to_answerer, &asked);

		any |= relay_cell(&b->c->answered, &b->c->to_asker, &answered);
		if (!any)
			sched_yield();
	}
}

static void answerer(struct crew_ctl *ctl, void *arg)
{
	struct bare_rounds *b = arg;
	uint64_t nr = 0;

	crew_ready(ctl);
	while (wait_beyond(ctl, &b->c->to_answerer, nr))
		atomic_store_explicit(&b->c->answered, ++nr, memory_order_release);
}

void bare_rounds(struct crew *c, struct rounds *r)
{
	struct bare_rounds b = { .r = r, .c = crew_shared(sizeof(struct cells)) };

	crew_add(c, asker, &b);
	crew_add(c, relay_rounds, &b);
	crew_add(c, answerer, &b);
	crew_unshare(b.c, sizeof(struct cells));
}
