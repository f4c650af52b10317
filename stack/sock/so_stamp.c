/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * so_stamp.c - SO_TIMESTAMPING: when what was sent left, and when it arrived
 *
 * As Linux's Documentation/networking/timestamping.rst, for what is sent and by
 * our own clock.  A write is remembered by its last octet: where that lies in the
 * sequence space, and what is asked of it.  What happens to it is seen after
 * each tcp_output(): it was handed to the adapter (SCHED and SND are one moment
 * here), or acknowledged.  It is told through the error queue, in the order in which
 * it happened, and POLLERR is there until it was read.
 *
 * js_rings.stamp[] is beside the control block, not in it: what a killed process
 * had half written there costs a timestamp.  The rings of a socket with this option
 * are kept.  Nobody relies on them but who
 * asked, and nothing is believed: indices are bounded when they are read.
 *
 * Application and child; lock held, but for what only looks.
 */
#include <errno.h>
#include <string.h>

#include <linux/net_tstamp.h>

#include "common/clock.h"
#include "common/util.h"
#include "stack/shm/commit.h"
#include "stack/sock/sock.h"

#ifndef SOF_TIMESTAMPING_OPT_ID_TCP
#define SOF_TIMESTAMPING_OPT_ID_TCP	(1 << 16)	/* of newer headers */
#endif
#define KINDS	((1u << JS_N_STAMP_KINDS) - 1)

static uint32_t n_stamps(const struct js_rings *r)
{
	uint32_t n = atomic_load_explicit(&r->n_stamps, memory_order_relaxed);

	return MIN(n, (uint32_t)JS_STAMPS);
}

/* What is asked of a write by SO_TIMESTAMPING @flags: bits 1 << JS_STAMP_*. */
static uint8_t kinds_of(uint32_t flags)
{
	return (uint8_t)((flags & SOF_TIMESTAMPING_TX_SCHED ? 1u << JS_STAMP_SCHED : 0) |
			 (flags & SOF_TIMESTAMPING_TX_SOFTWARE ? 1u << JS_STAMP_SND : 0) |
			 (flags & SOF_TIMESTAMPING_TX_ACK ? 1u << JS_STAMP_ACK : 0));
}

/* What has happened and was not told. */
static uint8_t untold(const struct js_stamp *s)
{
	uint8_t bits = 0;

	for (unsigned int k = 0; k < JS_N_STAMP_KINDS; k++)
		if (s->at_us[k])
			bits |= (uint8_t)(1u << k);
	return bits & s->want & (uint8_t)~s->told & KINDS;
}

/* Events in stamp[]; forgets those of which nothing more is to be told. */
static uint32_t count(struct js_rings *r)
{
	uint32_t n = n_stamps(r), kept = 0, events = 0;

	for (uint32_t i = 0; i < n; i++) {
		struct js_stamp s = r->stamp[i];

		if (!(s.want & (uint8_t)~s.told & KINDS))
			continue;
		events += (uint32_t)__builtin_popcount(untold(&s));
		r->stamp[kept++] = s;
	}
	atomic_store_explicit(&r->n_stamps, kept, memory_order_relaxed);
	atomic_store_explicit(&r->stamp_events, events, memory_order_relaxed);
	return events;
}

/* SND.UNA and SND.NXT are where they are: what does that say?  What was sent left
 * at @sent_us.  Return: there is more to tell than before */
static bool look(struct so_txn *t, uint64_t sent_us, uint64_t now)
{
	struct js_rings *r = t->rings;
	uint32_t before = atomic_load_explicit(&r->stamp_events, memory_order_relaxed);
	uint32_t n = n_stamps(r);

	for (uint32_t i = 0; i < n; i++) {
		struct js_stamp *s = &r->stamp[i];

		if (!s->at_us[JS_STAMP_SND] && (int32_t)(t->tcb.snd_nxt - s->end) >= 0)
			s->at_us[JS_STAMP_SCHED] = s->at_us[JS_STAMP_SND] = sent_us;
		if (!s->at_us[JS_STAMP_ACK] && (int32_t)(t->tcb.snd_una - s->end) >= 0)
			s->at_us[JS_STAMP_ACK] = now;
	}
	return count(r) > before;
}

void so_stamps_look(struct so_txn *t, uint64_t now)
{
	if (so_topt(t->so, JS_TOPT_TIMESTAMPING) &&
	    atomic_load_explicit(&t->rings->n_stamps, memory_order_relaxed))
		t->stamped |= look(t, now, now);
}

bool so_has_stamps(const struct so_txn *t)
{
	return so_topt(t->so, JS_TOPT_TIMESTAMPING) &&
		atomic_load_explicit(&t->rings->stamp_events, memory_order_relaxed);
}

/* Sequence number behind the last octet of so_snd. */
static uint32_t snd_end(const struct so_txn *t)
{
	return t->tcb.snd_una + t->s.snd_cc + (t->tcb.state <= TCPS_SYN_RECEIVED);
}

static void remember(struct so_txn *t, uint8_t want)
{
	struct js_rings *r = t->rings;
	uint32_t n = n_stamps(r), end = snd_end(t);
	uint64_t now = now_us();

	/* As Linux where the error queue is full: nothing is said of it. */
	if (n == JS_STAMPS)
		return;
	so_note_rings(t);
	r->stamp[n] = (struct js_stamp){
		.end = end, .want = want,
		.key = end - 1 - atomic_load_explicit(&r->stamp_base, memory_order_relaxed),
	};
	atomic_store_explicit(&r->n_stamps, n + 1, memory_order_relaxed);
	/* It may be on its way already, and then was the last that was sent. */
	t->stamped |= look(t, MIN(t->tcb.sent_us, now), now);
}

/* What is told next: the earliest.  False: nothing. */
static bool take(struct so_txn *t, struct so_stamp *out)
{
	struct js_rings *r = t->rings;
	uint32_t n = n_stamps(r), best = n;
	unsigned int kind = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint8_t bits = untold(&r->stamp[i]);

		for (unsigned int k = 0; k < JS_N_STAMP_KINDS; k++) {
			if (!(bits & 1u << k))
				continue;
			if (best < n && r->stamp[best].at_us[kind] <= r->stamp[i].at_us[k])
				continue;
			best = i;
			kind = k;
		}
	}
	if (best == n)
		return false;
	*out = (struct so_stamp){ .kind = kind, .key = r->stamp[best].key,
				  .at_us = r->stamp[best].at_us[kind],
				  .flags = so_topt(t->so, JS_TOPT_TIMESTAMPING) };
	r->stamp[best].told |= (uint8_t)(1u << kind);
	count(r);
	return true;
}

/* SO_TIMESTAMPING: keys count from here, if they did not. */
static int set(struct so_txn *t, uint32_t flags)
{
	uint32_t old = so_topt(t->so, JS_TOPT_TIMESTAMPING);
	uint32_t base = flags & SOF_TIMESTAMPING_OPT_ID_TCP ? snd_end(t) : t->tcb.snd_una;

	if (flags & SOF_TIMESTAMPING_OPT_ID && !(old & SOF_TIMESTAMPING_OPT_ID)) {
		if (t->tcb.state == TCPS_CLOSED || t->tcb.state == TCPS_LISTEN)
			return -EINVAL;
		so_note_rings(t);
		atomic_store_explicit(&t->rings->stamp_base, base, memory_order_relaxed);
	}
	if (!old) {
		so_note_rings(t);
		atomic_store_explicit(&t->rings->n_stamps, 0, memory_order_relaxed);
		atomic_store_explicit(&t->rings->stamp_events, 0, memory_order_relaxed);
	}
	atomic_store_explicit(&t->so->topt[JS_TOPT_TIMESTAMPING], flags, memory_order_relaxed);
	return 0;
}

/* One of the three, under the lock; nothing is committed. */
static int stamps(struct stk *stk, uint32_t sock, uint32_t gen, const uint32_t *flags,
		  uint8_t want, struct so_stamp *out)
{
	int err = -ESTALE, tries;
	struct so_txn t;

	for (tries = 0; err == -ESTALE && tries < SO_STALE_TRIES; tries++) {
		err = stk_lock(stk);
		if (err)
			return err;
		err = so_txn_begin(stk, sock, gen, &t);
		if (!err && flags)
			err = set(&t, *flags);
		else if (!err && want)
			remember(&t, want);
		else if (!err && (!so_has_stamps(&t) || !take(&t, out)))
			err = -EAGAIN;
		if (!err && t.stamped)
			so_wakeup(stk, sock, 1u << JS_WAIT_RX | 1u << JS_WAIT_TX);
		stk_unlock(stk);
	}
	return err == -ESTALE ? -ENETDOWN : err;
}

int so_stamping(struct stk *stk, uint32_t sock, uint32_t gen, uint32_t flags)
{
	return stamps(stk, sock, gen, &flags, 0, NULL);
}

int so_stamp_sent(struct stk *stk, uint32_t sock, uint32_t gen, uint32_t flags)
{
	uint8_t want = kinds_of(flags);

	return want ? stamps(stk, sock, gen, NULL, want, NULL) : 0;
}

int so_stamp_take(struct stk *stk, uint32_t sock, uint32_t gen, struct so_stamp *out)
{
	return stamps(stk, sock, gen, NULL, 0, out);
}
