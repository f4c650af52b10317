/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ports.h - who listens where, and which connection is whose
 *
 * Two tables, both learnt from children and forgotten with them: listeners by
 * local address and port (Listen), connections by both ends (Forward).  They
 * hold no descriptor and ask nobody.
 */
#ifndef CONNSERVER_PORTS_H
#define CONNSERVER_PORTS_H

#include <stdint.h>
#include <sys/queue.h>

#include "abi/ctlmsg.h"
#include "abi/vci.h"

struct cs_child;

/* A socket that listens.  Owner: the table; goes with its child. */
struct cs_listener {
	LIST_ENTRY(cs_listener) by_port, by_child;
	struct cs_child *child;
	struct cm_addr local;		/* the wildcards are addresses like others */
	uint32_t sock, gen;		/* of the child's stack */
	uint32_t flags;			/* CM_LS_* */
	/* flood.c's: */
	struct cm_listen told;		/* what its child has told last */
	uint64_t pressed_until_us;	/* its child has no room: SYNs get cookies until then */
	uint64_t cookie_us;		/* when the last cookie was sent; 0 never */
	uint64_t flood_us;		/* when its child last had no room; 0 never */
};

/* A connection whose packets go to @vci. */
struct cs_forward {
	LIST_ENTRY(cs_forward) by_pair, by_child;
	struct cs_child *child;
	struct cm_addr local, peer;
	js_vci_t vci;
};

/* What a child has claimed; in struct cs_child. */
struct cs_claims {
	LIST_HEAD(, cs_listener) listeners;
	LIST_HEAD(, cs_forward) forwards;
	unsigned int n_listeners, n_forwards;
};

struct cs_ports;
struct cs_ports *cs_ports_new(void);	/* NULL: no memory */
/* All claims must have been dropped. */
void cs_ports_free(struct cs_ports *ports);

struct cs_claims *cs_child_claims(struct cs_child *child);	/* children.c */

/* The Listen @m.  0; -EADDRINUSE another child has it, and not both with
 * SO_REUSEPORT; -ENOSPC this child has too many; -ENOMEM.  Again from the same
 * child: its new socket, or with SO_REUSEPORT one more. */
int cs_ports_listen(struct cs_ports *ports, struct cs_child *child, const struct cm_msg *m);
/* 0; -ENOENT it has no such listener. */
int cs_ports_unlisten(struct cs_ports *ports, struct cs_child *child,
		      const struct cm_addr *local, uint32_t sock, uint32_t gen);
/* The listener for a SYN from @src to @dst, most exact first, or NULL.  Of several
 * with SO_REUSEPORT always the same one, while they are the same. */
struct cs_listener *cs_ports_listener(struct cs_ports *ports, const struct cm_addr *dst,
				      const struct cm_addr *src);

/* The same for connections; again from the same child: its new VCI. */
int cs_ports_forward(struct cs_ports *ports, struct cs_child *child,
		     const struct cm_addr *local, const struct cm_addr *peer, js_vci_t vci);
int cs_ports_unforward(struct cs_ports *ports, struct cs_child *child,
		       const struct cm_addr *local, const struct cm_addr *peer);
struct cs_forward *cs_ports_connection(struct cs_ports *ports, const struct cm_addr *local,
				       const struct cm_addr *peer);

/* Both ends of a connection as a number; with a secret @seed, peers that choose
 * their ports do not choose it. */
uint64_t cs_pair_hash(uint64_t seed, const struct cm_addr *local, const struct cm_addr *peer);

/* Forget everything of @child. */
void cs_ports_drop_child(struct cs_child *child);

#endif
