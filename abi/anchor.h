/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * anchor.h - what passes over an anchor
 *
 * An anchor is the kernel descriptor that an application holds for a
 * user-space socket: one end of an AF_UNIX stream, the child holds the other.
 * The kernel counts its copies: the child sees the hang-up when the last is
 * closed, whoever held it and however it ended.
 *
 * From child to application, by mode:
 *	token mode	JS_ANCHOR_TOKEN octets: "look at the shared state
 *			again".  Not a level: the state is the truth.
 *			JS_ANCHOR_URGENT, out of band (MSG_OOB): urgent data was
 *			announced; only with JS_SO_OWNED, for the kernel's SIGURG.
 *	listener	one struct js_anchor_accept a connection, with its own
 *			anchor (or, from the kernel's TCP, the kernel's socket)
 *			by SCM_RIGHTS.  accept() is recvmsg() of one of them.
 *	proxy mode	the octets of the connection (later; JS_ANCHOR_PROXY in
 *			js_sock.mode says so before the first one)
 * From application to child: nothing in token mode; octets in proxy mode.
 */
#ifndef ABI_ANCHOR_H
#define ABI_ANCHOR_H

#include <assert.h>
#include <stdint.h>

#include "abi/ctlmsg.h"

#define JS_ANCHOR_TOKEN		0x54
#define JS_ANCHOR_URGENT	0x55

/* js_sock.mode */
#define JS_ANCHOR_MODE_TOKEN	0
#define JS_ANCHOR_MODE_LISTENER	1
#define JS_ANCHOR_MODE_PROXY	2

struct js_anchor_accept {
	uint32_t magic;			/* JS_ANCHOR_ACCEPT */
	uint32_t is_kernel;		/* the descriptor is the kernel's TCP socket */
	uint32_t sock, gen;		/* of the stack, if it is not */
	struct cm_addr local, peer;
	uint32_t resv;			/* 0 */
};

#define JS_ANCHOR_ACCEPT	0x4a534143u	/* "JSAC" */

static_assert(sizeof(struct js_anchor_accept) == 60, "js_anchor_accept layout");

#endif
