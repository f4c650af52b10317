/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * divert.h - packets from and to the server's port
 */
#ifndef CONNSERVER_DIVERT_H
#define CONNSERVER_DIVERT_H

#include "connserver/server.h"

extern const struct cs_sink cs_divert_sink;	/* the real one */

/* Open the port, take IP_DIVERT from the kernel.  0, -Exxx and *what. */
int cs_divert_start(struct cs_server *cs, const char **what);
/* Give it back, send what is there where it belongs, close the port. */
void cs_divert_stop(struct cs_server *cs);

/* Handle up to CS_BATCH packets.  How many there were. */
unsigned int cs_divert_run(struct cs_server *cs);
/* Publish what the sink was given since. */
void cs_divert_flush(struct cs_server *cs);

#endif
