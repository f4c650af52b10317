/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cookie.h - SYN cookies: what a SYN said, in the numbers of its SYN,ACK
 *
 * RFC 4987, 3.6 and appendix A.  The ISS stands for the pair, the peer's ISS,
 * the time in units of CS_COOKIE_TICK_US, and four bits more; the
 * timestamp, if the peer sends them, for the options.  Nothing is remembered
 * but keys, which are this process's alone: not a child's, not a core's.
 */
#ifndef CONNSERVER_COOKIE_H
#define CONNSERVER_COOKIE_H

#include <stdbool.h>
#include <stdint.h>

#include "abi/ctlmsg.h"
#include "stack/engine/tcp.h"

#define CS_COOKIE_TICK_US	64000000u	/* a cookie is good for one to two of these */

struct cs_cookie;
struct cs_cookie *cs_cookie_new(void);	/* NULL: no memory, or no entropy */
void cs_cookie_free(struct cs_cookie *k);

/**
 * cs_cookie_iss() - The ISS that answers a SYN
 * @syn:	Its seq and mss count
 * @has_rxvci:	It announced an RxVCI
 * The same for the same SYN until the next tick; later ones of the pair are
 * larger, as a rule.
 */
uint32_t cs_cookie_iss(struct cs_cookie *k, const struct cm_addr *local,
		       const struct cm_addr *peer, const struct tcp_seg *syn, bool has_rxvci,
		       uint64_t now_us);

/**
 * cs_cookie_tsval() - The TSval of the SYN,ACK
 * @now_ms:	Our clock of timestamps
 * @ts_offset:	Of the pair (RFC 7323, 5.4)
 * @has_ecn:	The SYN asks for ECN, and it is granted
 * At most 64 ms older than @now_ms + @ts_offset, never younger.
 */
uint32_t cs_cookie_tsval(const struct tcp_seg *syn, bool has_ecn, uint32_t now_ms,
			 uint32_t ts_offset);

/**
 * cs_cookie_check() - Does @ack answer a cookie of ours?
 * @ack:	The peer's segment; checksum and addresses are the caller's business
 * @c:		Filled: the SYN, as far as it was kept
 * Return: the ISS is SEG.ACK - 1, and its cookie is ours and not too old
 */
bool cs_cookie_check(struct cs_cookie *k, const struct cm_addr *local,
		     const struct cm_addr *peer, const struct tcp_seg *ack, uint32_t ts_offset,
		     uint64_t now_us, struct cm_cookie *c);

#endif
