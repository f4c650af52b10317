/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vci.h - the 15-bit Virtual Circuit Identifier of a Jetstream frame
 *
 * Used by everyone: ring, stack, dissector.  Nothing but arithmetic may
 * appear here.
 *
 *	 14  13      10  9                0
 *	+---+-----------+------------------+
 *	| M |  R  (4)   |      S  (10)     |	paper, section 2
 *	+---+-----------+------------------+
 *
 * M multicast, R the Ring ID of the destination, S the stream.  A VCI names
 * where a frame goes, never where it came from.  The well-known streams are
 * our choice; the paper names two of them (IP and IP_DIVERT, 4.4.8).
 */
#ifndef ABI_VCI_H
#define ABI_VCI_H

#include <stdbool.h>
#include <stdint.h>

typedef uint16_t js_vci_t;

#define JS_VCI_MCAST		0x4000u
#define JS_VCI_MAX		0x7fffu
#define JS_N_RING_IDS		16	/* nodes on a ring, at most */
#define JS_N_STREAMS		1024	/* streams of a node */

#define JS_STREAM_MGMT		0	/* M=1: token and management; else reserved */
#define JS_STREAM_IP		1	/* the kernel's IP; M=1: IP multicast */
#define JS_STREAM_IP_DIVERT	2	/* the well-known TCP VCI (4.4.7) */
#define JS_STREAM_ARP		3	/* M=1: ARP requests; M=0: ARP replies */
#define JS_STREAM_FIRST		32	/* 32 to 1023 are handed out to pools */

/* No VCI: not a destination anybody can have (M=0, R=0, S=0 is reserved). */
#define JS_VCI_NONE		0u

static inline js_vci_t vci_make(unsigned int ring_id, unsigned int stream)
{
	return (js_vci_t)((ring_id & 0xf) << 10 | (stream & 0x3ff));
}

static inline js_vci_t vci_mcast(unsigned int stream)
{
	return (js_vci_t)(JS_VCI_MCAST | (stream & 0x3ff));
}

static inline bool vci_is_mcast(js_vci_t vci)
{
	return vci & JS_VCI_MCAST;
}

static inline unsigned int vci_ring_id(js_vci_t vci)
{
	return vci >> 10 & 0xf;
}

static inline unsigned int vci_stream(js_vci_t vci)
{
	return vci & 0x3ff;
}

#endif
