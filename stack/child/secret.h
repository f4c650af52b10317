/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * secret.h - what of a connection peers must not be able to guess
 *
 * The child's, and the connection server's where it answers a SYN in a
 * child's name: both must come to the same.
 */
#ifndef STACK_CHILD_SECRET_H
#define STACK_CHILD_SECRET_H

#include <stdint.h>

#include "stack/child/child.h"

/**
 * secret_numbers() - ISS and timestamp offset of a connection
 * @key:	The node's
 * @iss:	RFC 6528, 3: SipHash of the pair, and a clock of 4 us
 * @ts:		RFC 7323, 5.4: SipHash of the pair, added to the clock in ms
 */
void secret_numbers(const uint8_t key[CHILD_SECRET], const struct cm_addr *local,
		    const struct cm_addr *peer, uint64_t now_us, uint32_t *iss, uint32_t *ts);

#endif
