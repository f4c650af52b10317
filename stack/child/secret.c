/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * secret.c - what of a connection peers must not be able to guess
 *
 * Child and connection server.
 */
#include <assert.h>
#include <sodium.h>
#include <string.h>

#include "stack/child/secret.h"

void secret_numbers(const uint8_t key[CHILD_SECRET], const struct cm_addr *local,
		    const struct cm_addr *peer, uint64_t now_us, uint32_t *iss, uint32_t *ts)
{
	struct { struct cm_addr local, peer; } name = { *local, *peer };
	uint8_t hash[crypto_shorthash_BYTES];

	static_assert(crypto_shorthash_KEYBYTES == CHILD_SECRET, "SipHash key");
	crypto_shorthash(hash, (const uint8_t *)&name, sizeof(name), key);
	memcpy(iss, hash, 4);
	memcpy(ts, hash + 4, 4);
	*iss += (uint32_t)(now_us / 4);
}
