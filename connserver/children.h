/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * children.h - the children's channels to the server
 *
 * A child connects after its start, and again to a new server.  It says Hello
 * first, with its stack's memory, then what it claims.
 */
#ifndef CONNSERVER_CHILDREN_H
#define CONNSERVER_CHILDREN_H

#include "connserver/ports.h"
#include "connserver/server.h"
#include "connserver/stackmem.h"

/* Owner: the server.  Lives from accept() until its process is dead; its
 * claims only as long as its channel. */
struct cs_child {
	LIST_ENTRY(cs_child) all;	/* in children, then in graves */
	struct cs_watch chan;		/* fd -1: hung up */
	struct cs_watch pidfd;		/* readable: the process is dead; -1: not known */
	pid_t pid;			/* SO_PEERCRED */
	bool has_hello;
	uint32_t uid;			/* of its application */
	struct cs_stackmem stack;
	struct cs_claims claims;
};

int cs_children_start(struct cs_server *cs, const char **what);	/* listen; 0, -Exxx */
void cs_children_stop(struct cs_server *cs);

/* Take over @chan, a connected channel, and @pidfd, which may be -1, as a new
 * child's.  NULL: no memory; both are closed. */
struct cs_child *cs_child_new(struct cs_server *cs, int chan, pid_t pid, int pidfd);

/* Handle every message that the children have sent up to now: what a child
 * said before its peer's packet arrived must count for that packet. */
void cs_children_poll(struct cs_server *cs);

/**
 * cs_child_send() - Send to a child, without waiting
 * @fd:		Sent along, stays the caller's; -1 none
 * A child that has not read some hundred messages is not alive: it is hung up
 * when an answer does not fit (@is_answer), and may connect again.
 * Return: 0; -EAGAIN; -EPIPE
 */
int cs_child_send(struct cs_server *cs, struct cs_child *c, const struct cm_msg *m, int fd,
		  bool is_answer);

/* One message, as if it had come over the child's channel.  Descriptors are
 * this function's.  For children.c and tests. */
void cs_child_msg(struct cs_server *cs, struct cs_child *c, const struct cm_msg *m,
		  int *fds, int n_fds);

/* The channel has ended: drop every claim. */
void cs_child_hangup(struct cs_server *cs, struct cs_child *c);

/* fastopen.c: a Fastopen, a question or news. */
void cs_fastopen(struct cs_server *cs, struct cs_child *c, const struct cm_msg *m);
struct fo_cache *cs_fastopen_new(void);		/* NULL: no memory */
void cs_fastopen_free(struct fo_cache *fo);
/* Where the node has no key for cookies (net.ipv4.tcp_fastopen_key), make one. */
void cs_fastopen_key(void);

/* bindpoint.c: answer a Bind_Point. */
void cs_bind_point(struct cs_server *cs, struct cs_child *c, const struct cm_msg *m);
/* Let a bound TCP socket listen, and answer nothing.  0, -Exxx. */
int cs_bind_point_silence(int fd);

#endif
