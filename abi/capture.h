/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * capture.h - what stands before each frame in a capture
 *
 * Written by jetringd (emulator/capture.c), read by the dissector and by
 * tools.  A file is pcapng: one interface a node ("n1", "n2", …), all of link
 * type JS_DLT and the same snap length (JS_CAP_SNAPLEN unless the capture asked
 * for less), time stamps in ns of ring time.
 * The packet data of each block is struct js_cap_hdr, then the frame as it is
 * on the ring (abi/aal5.h).  All members are big-endian.
 *
 * The header is versioned and gives its own length: a reader skips what it
 * does not know.  Frames are recorded once, at the sending station, unless a
 * capture asks for arrivals too.
 */
#ifndef ABI_CAPTURE_H
#define ABI_CAPTURE_H

#include <assert.h>
#include <stdint.h>

#include "abi/vci.h"

#define JS_DLT			157	/* LINKTYPE_USER10 */
#define JS_CAP_VERSION		1
#define JS_CAP_SNAPLEN		131072
#define JS_CAP_CTL_DLT		158	/* USER11: control messages as text lines */

/* js_cap_hdr.dir */
#define JS_CAP_TX		1	/* put on the ring by this station */
#define JS_CAP_RX		2	/* taken from the ring by this station */
#define JS_CAP_LOCAL		3	/* delivered inside the adapter, no token */

/* js_cap_hdr.flags */
#define JS_CAP_F_LOST		0x0001	/* impairment: no station receives it, or this copy of it */
#define JS_CAP_F_CORRUPT	0x0002	/* impairment: bits were flipped; shown as sent out */
#define JS_CAP_F_DUP		0x0004	/* impairment: the second copy */
#define JS_CAP_F_DELAYED	0x0008	/* impairment: arrives later than the ring would */
#define JS_CAP_F_COPIED		0x0010	/* some station took it, or will (the copied indication) */
#define JS_CAP_F_TOKEN		0x0020	/* token_id is valid: sent holding the token */
#define JS_CAP_F_DISCARD	0x0040	/* its destination had no room, or nobody bound the VCI */
#define JS_CAP_F_REORDER	0x0080	/* impairment: did not wait behind those that are delayed */

struct js_cap_hdr {
	uint8_t version;		/* JS_CAP_VERSION */
	uint8_t hdr_len;		/* octets of this header, the frame follows */
	uint8_t station;		/* Ring ID of the recording station */
	uint8_t dir;			/* JS_CAP_TX, … */
	uint16_t flags_be;		/* JS_CAP_F_* */
	uint8_t src;			/* Ring ID of the sending station */
	uint8_t resv;			/* 0 */
	uint32_t frame_len_be;		/* octets of the frame on the ring */
	uint32_t frame_id_be;		/* the same for all records of one frame */
	uint64_t token_id_be;		/* how many times the token was passed before */
	uint64_t ring_ns_be;		/* ring time: first bit at @station, ns */
};

static_assert(sizeof(struct js_cap_hdr) == 32, "capture header layout");

/*
 * What a filter is run on: these facts, then the SDU.  The protocol stands
 * where link type LINUX_SLL (113) has it, so that a program which libpcap
 * compiled for that type finds the packet, and the facts as link[0] to
 * link[13].  "len" is this and the whole SDU.  Not in files.  Big-endian.
 */
#define JS_CAP_FILTER_DLT	113
#define JS_CAP_FILTER_MAX	512	/* instructions of a program */

struct js_cap_facts {
	uint16_t vci_be;		/* destination */
	uint8_t src;			/* Ring ID of the sending station */
	uint8_t station;		/* Ring ID of the recording station */
	uint8_t dir;			/* JS_CAP_TX, … */
	uint8_t resv;			/* 0 */
	uint16_t flags_be;		/* JS_CAP_F_* */
	uint16_t uucpi_be;		/* UU, CPI */
	uint8_t resv2[4];		/* 0 */
	uint16_t proto_be;		/* Ethertype: IPv4, IPv6, ARP; JS_CAP_NO_PROTO */
};

#define JS_CAP_NO_PROTO		0xffffu

static_assert(sizeof(struct js_cap_facts) == 16, "filter header layout");

/* The protocol of an SDU that begins with @first, sent to @vci: by the stream,
 * IP by its version.  Token and management frames carry none. */
static inline uint16_t js_cap_proto(js_vci_t vci, uint8_t first)
{
	if (vci_stream(vci) == JS_STREAM_ARP)
		return 0x0806;
	if (vci_stream(vci) == 0)
		return JS_CAP_NO_PROTO;
	return first >> 4 == 4 ? 0x0800 : first >> 4 == 6 ? 0x86dd : JS_CAP_NO_PROTO;
}

#endif
