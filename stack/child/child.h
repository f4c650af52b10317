/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * child.h - the child: the bottom half of one application (paper, 4.4.1)
 *
 * The connection server forks it for a Spawn and calls child_main() in the
 * new process.  Nothing else of stack/child is visible to the server.
 */
#ifndef STACK_CHILD_CHILD_H
#define STACK_CHILD_CHILD_H

#include <stdint.h>
#include <sys/types.h>

#include "abi/ctlmsg.h"

#define CHILD_SECRET	16	/* octets: a key of SipHash */

/* What the server knows of the user process and of the node. */
struct child_args {
	int node;			/* K of nK */
	char port_sock[108];		/* path of nK.sock: where ports are opened */
	int user_fd;			/* the child's end of the channel to the user */
	pid_t user_pid;			/* who sent the Spawn: SCM_CREDENTIALS */
	uid_t user_uid;
	gid_t user_gid;
	struct cm_addr node_addr;	/* the node's own address; port 0 */
	uint32_t spawn_id;		/* id of the Spawn: Init_Reply repeats it */
	uint8_t secret[CHILD_SECRET];	/* the node's, RFC 6528: sequence numbers and timestamps
					 * of a pair go on from one application to the next */
};

/**
 * child_main() - Be the child of one application, until it is done
 * @args:	Stays valid; @args->user_fd is now the child's
 *
 * Runs in the forked process, in a session of its own, root, no signal blocked,
 * SIGPIPE ignored, every descriptor closed but 0, 1, 2 and user_fd.
 * It opens its port, makes the stack, drops its capabilities, connects to the
 * server as any child does, and answers the user with Init_Reply.
 *
 * Return: the process's exit status
 */
int child_main(const struct child_args *args);

#endif
