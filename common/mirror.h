/* SPDX-License-Identifier: BSD-2-Clause */
/* mirror.h - a ring of octets in which nothing is ever in two pieces */
#ifndef COMMON_MIRROR_H
#define COMMON_MIRROR_H

#include <stddef.h>
#include <stdint.h>

/**
 * mirror_map() - Map a memory object whose ring goes on at its front
 * @fd:		The object: @head octets, then a ring of @size; stays the caller's
 * @head:	A multiple of the page
 * @size:	A multiple of the page
 * @prot:	PROT_READ, perhaps PROT_WRITE
 *
 * The ring is mapped twice in a row: up to @size octets from any place in its
 * first copy on are in one piece.
 *
 * Return: address of the head, for mirror_unmap(); NULL and errno
 */
uint8_t *mirror_map(int fd, size_t head, size_t size, int prot);
void mirror_unmap(uint8_t *p, size_t head, size_t size);

#endif
