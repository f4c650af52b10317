/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * resolve.h - the children's questions: which Ring ID has this address?
 *
 * Answered at once if the kernel knows, else when it has found out.
 */
#ifndef CONNSERVER_RESOLVE_H
#define CONNSERVER_RESOLVE_H

#include "connserver/server.h"

struct cs_resolve;
struct cs_resolve *cs_resolve_new(void);
void cs_resolve_free(struct cs_resolve *r);

/* A Resolve of @c. */
void cs_resolve(struct cs_server *cs, struct cs_child *c, const struct cm_msg *m);
/* The neighbour table has changed: try again what waits. */
void cs_resolve_retry(struct cs_server *cs);
void cs_resolve_timers(struct cs_server *cs);
uint64_t cs_resolve_deadline(const struct cs_server *cs);	/* UINT64_MAX none */
void cs_resolve_drop_child(struct cs_server *cs, const struct cs_child *c);

#endif
