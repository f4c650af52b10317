/* SPDX-License-Identifier: BSD-2-Clause */
/* poolc_int.h - what the files of stack/pool know of each other */
#ifndef STACK_POOL_POOLC_INT_H
#define STACK_POOL_POOLC_INT_H

#include "stack/pool/poolc.h"

/* Read the answers of ALLOCs that have come. */
void poolc_harvest(struct poolc_queue *q);
/* An ALLOC of @asked buffers was answered in @op, which is shared memory. */
void bufcache_take(struct bufcache *bc, const struct js_op *op, uint16_t status, unsigned int asked);

#endif
