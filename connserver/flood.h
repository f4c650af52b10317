/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * flood.h - when a listener's backlog is full: SYN cookies
 *
 * A child says -EAGAIN to a Syn when no more connections of a listener may be
 * half open.  The server then answers itself, remembering nothing, and makes
 * the connection with the ACK.  The node's net.ipv4.tcp_syncookies says whether:
 * 0 never, 1 if need be, 2 always; it holds for both of its TCPs.
 */
#ifndef CONNSERVER_FLOOD_H
#define CONNSERVER_FLOOD_H

#include "connserver/ports.h"
#include "connserver/server.h"
#include "stack/engine/tcp.h"

struct cs_flood;
struct cs_flood *cs_flood_new(void);	/* NULL: no memory, or no entropy */
void cs_flood_free(struct cs_flood *f);

/* Cookies may be sent: a child may refuse. */
bool cs_flood_is_on(struct cs_server *cs);

/* Answer a SYN to @l without asking its child.  @is_busy: many SYNs wait. */
bool cs_flood_wants_cookie(struct cs_server *cs, const struct cs_listener *l, bool is_busy);

/* The child has refused: @told, or 0s, is what @l is like now. */
void cs_flood_full(struct cs_server *cs, struct cs_listener *l, const struct cm_listen *told);

/**
 * cs_flood_answer() - SYN,ACK with a cookie
 * @syn:	To @local, its checksum is right
 * @vci:	Where to
 * @has_rxvci:	The SYN announced one: our IP_DIVERT is announced in turn
 */
void cs_flood_answer(struct cs_server *cs, struct cs_listener *l, const struct cm_addr *local,
		     const struct cm_addr *peer, const struct tcp_seg *syn, js_vci_t vci,
		     bool has_rxvci);

/* The child of @l is asked about @syn, which may have been answered with a
 * cookie before: then true, and *iss is the one to use again. */
bool cs_flood_iss(struct cs_server *cs, const struct cs_listener *l,
		  const struct cm_addr *local, const struct cm_addr *peer,
		  const struct tcp_seg *syn, bool has_rxvci, uint32_t *iss);

/* @ack, for no connection that is known: does it answer a cookie of ours?  Then
 * *c is the SYN, and SEG.ACK - 1 the ISS. */
bool cs_flood_ack(struct cs_server *cs, const struct cs_listener *l,
		  const struct cm_addr *local, const struct cm_addr *peer,
		  const struct tcp_seg *ack, struct cm_cookie *c);

#endif
