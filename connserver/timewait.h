/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * timewait.h - connections in TIME-WAIT, which no child has any more
 *
 * A child hands each of its connections over when TIME-WAIT has begun and the
 * last descriptor is closed, and need not live for it.  We keep 2 MSL and the
 * bind-point, and answer what comes on IP_DIVERT.  Not kept across our end.
 */
#ifndef CONNSERVER_TIMEWAIT_H
#define CONNSERVER_TIMEWAIT_H

#include "connserver/server.h"
#include "stack/engine/tcp.h"

struct cs_timewait;
struct cs_timewait *cs_timewait_new(void);	/* NULL: no memory */
void cs_timewait_free(struct cs_timewait *t);	/* closes all bind-points */

/* The connection of a Time_Wait, whose form has been checked.  @fd is its
 * bind-point, now ours, or -1.  0; -ENOMEM, then @fd is closed. */
int cs_timewait_add(struct cs_server *cs, const struct cm_msg *m, int fd);

enum cs_tw_found {
	CS_TW_NONE,		/* not in TIME-WAIT */
	CS_TW_DONE,		/* answered, or to be ignored: drop the packet */
	CS_TW_OPEN		/* a SYN, newer: it is in TIME-WAIT no more, whoever listens */
};

/**
 * cs_timewait_packet() - Is this packet for a connection in TIME-WAIT?
 * @seg:	Parsed, with len
 * @iss:	CS_TW_OPEN: the ISS its listener's child has to use
 * The packet stays the caller's.
 */
enum cs_tw_found cs_timewait_packet(struct cs_server *cs, const struct cs_packet *p,
				    const struct cm_addr *local, const struct cm_addr *peer,
				    const struct tcp_seg *seg, uint32_t *iss);

/* connect() from a port that was bound, and the pair is in TIME-WAIT.  0 it is
 * not; 1 it may be used again, with *iss; -EADDRNOTAVAIL. */
int cs_timewait_connect(struct cs_server *cs, const struct cm_addr *local,
			const struct cm_addr *peer, uint32_t *iss);
/* The pair belongs to a new connection. */
void cs_timewait_forget(struct cs_server *cs, const struct cm_addr *local,
			const struct cm_addr *peer);

/* bind() to @local without SO_REUSEADDR: is it taken by a connection in
 * TIME-WAIT that has no bind-point, which would say so itself? */
bool cs_timewait_is_bound(struct cs_server *cs, const struct cm_addr *local);
/* bind() to @local with SO_REUSEADDR: close the bind-points that would be in
 * its way.  The connections stay in TIME-WAIT. */
void cs_timewait_unbind(struct cs_server *cs, const struct cm_addr *local);

void cs_timewait_timers(struct cs_server *cs);
uint64_t cs_timewait_deadline(const struct cs_server *cs);	/* UINT64_MAX none */

#endif
