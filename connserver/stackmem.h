/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stackmem.h - a child's stack, as far as the server needs it
 *
 * When a child dies, nobody is left to wake the threads that wait for it: the
 * server does, and says why (js_stack_hdr.dead).
 */
#ifndef CONNSERVER_STACKMEM_H
#define CONNSERVER_STACKMEM_H

#include <stddef.h>

struct js_stack_hdr;

struct cs_stackmem {
	int fd;				/* memfd; -1 none */
	struct js_stack_hdr *hdr;	/* mapped, shared with a hostile writer; NULL none */
	size_t size;			/* octets mapped */
};

/* Map @fd, now ours in any case.  0; -EBADF not a memory object that cannot
 * shrink; -EPROTO not a stack of our version; -Exxx of mmap(). */
int cs_stackmem_map(struct cs_stackmem *sm, int fd);
/* The child is dead: every thread that waits in this stack returns ENETDOWN. */
void cs_stackmem_mark_dead(struct cs_stackmem *sm);
void cs_stackmem_unmap(struct cs_stackmem *sm);

#endif
