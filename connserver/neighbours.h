/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * neighbours.h - which station has an IP address
 *
 * The kernel's routes and neighbour table say, and its ARP and ND find out
 * what they do not know.  Nothing is kept here.
 */
#ifndef CONNSERVER_NEIGHBOURS_H
#define CONNSERVER_NEIGHBOURS_H

#include "connserver/server.h"

extern const struct cs_net cs_neigh_net;	/* the real one */

/* Open netlink for cs->cfg.dev, and watch.  0, -Exxx and *what. */
int cs_neigh_start(struct cs_server *cs, const char **what);
void cs_neigh_stop(struct cs_server *cs);

#endif
