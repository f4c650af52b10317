/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cookie.c - SYN cookies: what a SYN said, in the numbers of its SYN,ACK
 *
 * Runs in jetconnd.
 *
 * DOC: the cookie
 *
 *	ISS = base + IRS + tick * 2^24 + (mac + data) mod 2^24		modulo 2^32
 *
 *	base	SipHash of the pair, with a key that stays
 *	tick	monotonic clock in units of 64 s
 *	mac	24 bits of SipHash of pair, IRS and tick, with the tick's key
 *	data	index into mss_table, and whether an RxVCI was announced
 *
 * So the ISS of a pair grows with the peer's and with time, as old duplicates
 * want it (RFC 6528), but for 2^24.  Who guesses finds one of two ticks with one
 * of sixteen data: one ACK in 2^27 is taken.  A tick's key is made with its
 * epoch of 16 ticks and lasts for it and the one after.
 *
 * In the six low bits of the timestamp are the options: Snd.Wind.Shift or 15,
 * SACK permitted, ECN.  Without timestamps there is no window scale, no SACK and
 * no ECN, as in Linux.
 */
#include <assert.h>
#include <sodium.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "common/util.h"
#include "connserver/cookie.h"
#include "stack/shm/cm.h"

#define EPOCH_TICKS	16
#define TICKS_VALID	2	/* the present one, and the one before */
#define LOW24		0xffffffu

/* data: three bits of mss_table, one more */
#define DATA_MSS	0x7u
#define DATA_RXVCI	0x8u
#define DATA_N		16

/* The low bits of the timestamp */
#define TS_BITS		0x3fu
#define TS_WS_NONE	0x0fu	/* shifts go to 14 */
#define TS_SACK		0x10u
#define TS_ECN		0x20u

/* The least; RFC 9293's and RFC 8200's defaults; tunnels, Ethernet, jumbo frames;
 * the ring's with IPv6 and IPv4. */
static const uint16_t mss_table[DATA_MSS + 1] = { 48, 536, 1220, 1440, 1460, 8940, 61444, 61464 };

struct key {
	uint32_t epoch;
	bool is_made;
	uint8_t key[crypto_shorthash_KEYBYTES];
};

/* In pages of its own: zeros in a forked child, and not in a core. */
struct cs_cookie {
	uint8_t base[crypto_shorthash_KEYBYTES];
	struct key key[2];		/* by epoch, modulo 2 */
};

static bool fill(void *p, size_t n)
{
	return getrandom(p, n, 0) == (ssize_t)n;
}

struct cs_cookie *cs_cookie_new(void)
{
	struct cs_cookie *k = mmap(NULL, sizeof(*k), PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (k == MAP_FAILED)
		return NULL;
	if (madvise(k, sizeof(*k), MADV_WIPEONFORK) < 0 ||
	    madvise(k, sizeof(*k), MADV_DONTDUMP) < 0 || !fill(k->base, sizeof(k->base))) {
		munmap(k, sizeof(*k));
		return NULL;
	}
	return k;
}

void cs_cookie_free(struct cs_cookie *k)
{
	if (k)
		munmap(k, sizeof(*k));
}

/* --- the hash ------------------------------------------------------------- */

/* 32 bits of SipHash of what a cookie is about. */
static uint32_t hash(const uint8_t *key, const struct cm_addr *local, const struct cm_addr *peer,
		     uint32_t irs, uint32_t tick)
{
	struct {
		struct cm_addr local, peer;
		uint32_t irs, tick;
	} name = { *local, *peer, irs, tick };
	uint8_t out[crypto_shorthash_BYTES];
	uint32_t h;

	static_assert(sizeof(name) == 2 * sizeof(*local) + 8, "no padding");
	crypto_shorthash(out, (const uint8_t *)&name, sizeof(name), key);
	memcpy(&h, out, sizeof(h));
	return h;
}

static uint32_t base_of(const struct cs_cookie *k, const struct cm_addr *local,
			const struct cm_addr *peer)
{
	return hash(k->base, local, peer, 0, 0);
}

static uint32_t tick_of(uint64_t now_us)
{
	return (uint32_t)(now_us / CS_COOKIE_TICK_US);
}

/* The key of @tick's epoch; if there is none yet and @may_make, it begins.
 * NULL: no cookie was made then, or none can be. */
static const uint8_t *key_of(struct cs_cookie *k, uint32_t tick, bool may_make)
{
	uint32_t epoch = tick / EPOCH_TICKS;
	struct key *key = &k->key[epoch & 1];

	if (key->is_made && key->epoch == epoch)
		return key->key;
	if (!may_make || !fill(key->key, sizeof(key->key)))
		return NULL;
	key->epoch = epoch;
	key->is_made = true;
	return key->key;
}

/* --- making --------------------------------------------------------------- */

static uint32_t mss_index(uint16_t mss, bool is_v4)
{
	uint32_t i = DATA_MSS;

	/* Without the option: RFC 9293, MUST-15. */
	if (!mss)
		mss = is_v4 ? 536 : 1220;
	while (i && mss_table[i] > mss)
		i--;
	return i;
}

uint32_t cs_cookie_iss(struct cs_cookie *k, const struct cm_addr *local,
		       const struct cm_addr *peer, const struct tcp_seg *syn, bool has_rxvci,
		       uint64_t now_us)
{
	uint32_t tick = tick_of(now_us);
	uint32_t data = mss_index(syn->mss, cm_addr_is_v4(local)) | (has_rxvci ? DATA_RXVCI : 0);
	const uint8_t *key = key_of(k, tick, true);
	/* Without entropy any number will do: no ACK will be believed. */
	uint32_t mac = key ? hash(key, local, peer, syn->seq, tick) : 0;

	return base_of(k, local, peer) + syn->seq + (tick << 24) + ((mac + data) & LOW24);
}

uint32_t cs_cookie_tsval(const struct tcp_seg *syn, bool has_ecn, uint32_t now_ms,
			 uint32_t ts_offset)
{
	uint32_t opts = syn->wscale == TCP_WS_NONE ? TS_WS_NONE : MIN(syn->wscale, TS_WS_NONE - 1u);
	uint32_t ts;

	if (syn->sack_permitted)
		opts |= TS_SACK;
	if (has_ecn)
		opts |= TS_ECN;
	ts = (now_ms & ~TS_BITS) | opts;
	/* Not ahead of what the connection itself will say. */
	if ((int32_t)(ts - now_ms) > 0)
		ts -= TS_BITS + 1;
	return ts + ts_offset;
}

/* --- checking ------------------------------------------------------------- */

/* The data of the cookie @iss, or -1: it is none of ours. */
static int cookie_data(struct cs_cookie *k, const struct cm_addr *local,
		       const struct cm_addr *peer, uint32_t irs, uint32_t iss, uint64_t now_us)
{
	uint32_t rest = iss - base_of(k, local, peer) - irs;
	uint32_t now = tick_of(now_us);
	uint32_t age = (now - (rest >> 24)) & 0xff;
	const uint8_t *key;
	uint32_t data;

	if (age >= TICKS_VALID)
		return -1;
	key = key_of(k, now - age, false);
	if (!key)
		return -1;
	data = (rest - hash(key, local, peer, irs, now - age)) & LOW24;
	return data < DATA_N ? (int)data : -1;
}

static void take_options(struct cm_cookie *c, const struct tcp_seg *ack, uint32_t ts_offset)
{
	uint32_t opts = (ack->tsecr - ts_offset) & TS_BITS;

	c->opts |= CM_COOKIE_TS;
	c->tsval = ack->tsval;
	c->ts_offset = ts_offset;
	if ((opts & TS_WS_NONE) != TS_WS_NONE) {
		c->opts |= CM_COOKIE_WS;
		c->wscale = opts & TS_WS_NONE;
	}
	if (opts & TS_SACK)
		c->opts |= CM_COOKIE_SACK;
	if (opts & TS_ECN)
		c->opts |= CM_COOKIE_ECN;
}

bool cs_cookie_check(struct cs_cookie *k, const struct cm_addr *local,
		     const struct cm_addr *peer, const struct tcp_seg *ack, uint32_t ts_offset,
		     uint64_t now_us, struct cm_cookie *c)
{
	int data = cookie_data(k, local, peer, ack->seq - 1, ack->ack - 1, now_us);

	if (data < 0)
		return false;
	*c = (struct cm_cookie){
		.irs = ack->seq - 1, .mss = mss_table[(uint32_t)data & DATA_MSS],
		.opts = (uint32_t)data & DATA_RXVCI ? CM_COOKIE_RXVCI : 0,
	};
	if (ack->has_ts)
		take_options(c, ack, ts_offset);
	return true;
}
