/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * focache.h - Fast Open cookies of peers: RFC 7413, 4.1.3
 *
 * A node's, so that what one application has learnt the next one uses.  For
 * each peer its cookie, the MSS it announced, which form of the option it
 * understands, and whether SYNs with more than usual get lost on the way
 * (4.1.3.1).  Bounded: the one that was used least recently makes room.
 *
 * One owner, one thread: the connection server's.  No clock: time is an
 * argument, microseconds.  An address is 16 octets, v4-mapped.
 */
#ifndef COMMON_FOCACHE_H
#define COMMON_FOCACHE_H

#include <stdbool.h>
#include <stdint.h>

#define FO_PEERS	256
#define FO_COOKIE_MAX	16

/* Which form of the option; the engine's enum tcp_fo_kind. */
enum fo_form { FO_NONE, FO_OPT, FO_EXP };

/* How to open to a peer. */
struct fo_known {
	uint8_t form;			/* enum fo_form; NONE: do not try */
	uint8_t len;			/* octets of cookie; 0: ask for one */
	uint8_t cookie[FO_COOKIE_MAX];
	uint16_t mss;			/* 0: not known */
};

/* How it went. */
struct fo_news {
	struct fo_known answer;		/* option and MSS of the SYN,ACK; form NONE: it had none */
	uint8_t asked;			/* enum fo_form of our SYN's option */
	bool had_data;			/* our SYN carried data */
	bool again;			/* SYN had to be sent again, plain, before it was answered */
	bool took_data;			/* the SYN,ACK acknowledged all of the data */
};

struct fo_peer {
	uint8_t addr[16];
	struct fo_known known;
	uint8_t tried_exp;		/* 0 no; 1 is next; 2 in vain */
	uint8_t losses;			/* SYNs in a row of which only the plain one was answered */
	uint64_t lost_us;		/* the last of them */
	uint64_t used;			/* when last, in uses of the cache; 0: free */
};

struct fo_cache {
	uint64_t uses;
	struct fo_peer peer[FO_PEERS];
};

/* Zeroed memory is an empty cache. */
void fo_cache_get(struct fo_cache *c, const uint8_t addr[16], uint64_t now_us,
		  struct fo_known *known);
void fo_cache_learn(struct fo_cache *c, const uint8_t addr[16], uint64_t now_us,
		    const struct fo_news *news);

#endif
