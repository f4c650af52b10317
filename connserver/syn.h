/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * syn.h - where a packet from IP_DIVERT goes
 */
#ifndef CONNSERVER_SYN_H
#define CONNSERVER_SYN_H

#include "connserver/server.h"
#include "stack/engine/tcp.h"

struct cs_syn;
struct cs_syn *cs_syn_new(void);
void cs_syn_free(struct cs_syn *syn);

/* A packet has come; it is taken over. */
void cs_syn_packet(struct cs_server *cs, const struct cs_packet *p);
/* A child's Divert. */
void cs_syn_divert(struct cs_server *cs, struct cs_child *c, const struct cm_msg *m);
/* The neighbour table has changed. */
void cs_syn_retry(struct cs_server *cs);
void cs_syn_timers(struct cs_server *cs);
uint64_t cs_syn_deadline(const struct cs_server *cs);	/* UINT64_MAX none */
/* It will not answer any more: what it was asked is dropped. */
void cs_syn_drop_child(struct cs_server *cs, const struct cs_child *c);
/* The server ends: what waits goes to the kernel. */
void cs_syn_flush(struct cs_server *cs);

/* TCP's checksum of @p, whose IP header is right, is wrong.  Of a packet that is
 * longer than what we see of it that is not known: false.  It has data, and the
 * CRC of its frame was right. */
bool cs_syn_is_corrupt(const struct cs_packet *p);
/* Send @seg, without payload, from @local to @peer: to @vci with @uucpi.  False:
 * no room, counted. */
bool cs_syn_answer(struct cs_server *cs, const struct cm_addr *local, const struct cm_addr *peer,
		   struct tcp_seg *seg, js_vci_t vci, uint16_t uucpi);

/* @vci is a stream of this node that pools may have. */
bool cs_vci_is_ours(const struct cs_server *cs, js_vci_t vci);

#endif
