/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ring.h - token and management frames
 *
 * They are frames like any other (abi/aal5.h): VCI M=1, R=0, S=JS_STREAM_MGMT,
 * UU and CPI 0, one unit of 48 octets behind the header, 53 octets in all.
 * The SDU is struct js_mgmt; all members are big-endian.  The paper says only
 * "token ring": contents and meaning are ours, in the manner of IEEE 802.5.
 *
 * Stations send and read them, pools cannot: their VCI can be neither bound
 * nor sent to.  Written by emulator/station.c for captures that ask for them,
 * read by the dissector.  What they are for: emulator/ring.h.
 */
#ifndef ABI_RING_H
#define ABI_RING_H

#include <assert.h>
#include <stdint.h>

#include "abi/vci.h"

#define JS_MGMT_VERSION		1

/* js_mgmt.type */
#define JS_MGMT_TOKEN		1	/* the token, to the station that takes it */
#define JS_MGMT_CLAIM		2	/* @src is the monitor from now on */
#define JS_MGMT_PURGE		3	/* remove all that is on the ring; then comes a new token */
#define JS_MGMT_N_TYPES		4	/* 0 is none */

/* js_mgmt.reason: why the monitor claims or purges */
#define JS_MGMT_R_NONE		0
#define JS_MGMT_R_LOST		1	/* no token and no frame came for the timeout */
#define JS_MGMT_R_DUPLICATE	2	/* a second token came */
#define JS_MGMT_R_MONITOR	3	/* another station is the lowest now: one came, or the last monitor left */
#define JS_MGMT_N_REASONS	4

struct js_mgmt {
	uint8_t version;		/* JS_MGMT_VERSION */
	uint8_t type;			/* JS_MGMT_TOKEN, … */
	uint8_t src;			/* Ring ID of who sent it */
	uint8_t monitor;		/* Ring ID of the monitor */
	uint16_t stations_be;		/* bit i: Ring ID i is on the ring */
	uint8_t reason;			/* JS_MGMT_R_*; of a token 0 */
	uint8_t to;			/* of a token: Ring ID of who takes it; else 0 */
	uint64_t token_id_be;		/* how many times the token was passed before */
	uint32_t issued_be;		/* tokens that monitors have issued, the first one too */
	uint32_t hold_ns_be;		/* token holding time, ns */
	uint8_t resv[16];		/* 0 */
};

static_assert(sizeof(struct js_mgmt) == 40, "management frame: with its trailer one unit of 48");

#endif
