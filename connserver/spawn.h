/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spawn.h - children are forked for Spawn, and reaped
 */
#ifndef CONNSERVER_SPAWN_H
#define CONNSERVER_SPAWN_H

#include "connserver/server.h"
#include "stack/shm/cm.h"

struct cs_spawn;
struct cs_spawn *cs_spawn_new(void);
void cs_spawn_free(struct cs_spawn *sp);

/* Bind the users' socket and watch it.  0, -Exxx and *what. */
int cs_spawn_start(struct cs_server *cs, const char **what);
void cs_spawn_stop(struct cs_server *cs);
/* SIGCHLD. */
void cs_spawn_reap(struct cs_server *cs);

/* One datagram of a user.  Descriptors are this function's.  For spawn.c and
 * tests. */
void cs_user_msg(struct cs_server *cs, const struct cm_msg *m, const int *fds, int n_fds,
		 const struct cm_sender *from);

#endif
