/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * jetstream.h - what the files of the plugin know of each other
 *
 *	plugin.c		the symbols Wireshark looks for
 *	packet-jetstream.c	a record of a capture: header, frame, payload
 *	jetstream-mgmt.c	token and management frames
 *	jetstream-links.c	what one record has to do with another
 *	jetstream-name.c	nodes, streams and VCIs in words; addresses
 *	jetstream-taps.c	Statistics menus: conversations, endpoints, tree
 *	jetstream-prefs.c	preferences, link types, Decode As
 *	packet-jetstream-ctl.c	control messages in the same file
 */
#ifndef DISSECTOR_JETSTREAM_H
#define DISSECTOR_JETSTREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "dissector/compat.h"
#include "abi/vci.h"

/* One record, as far as it has been read.  Lives for one call of the dissector. */
struct js_record {
	uint8_t station;	/* Ring ID of who recorded it */
	uint8_t dir;		/* JS_CAP_TX, ... */
	uint16_t flags;		/* JS_CAP_F_* */
	uint8_t src;		/* Ring ID of the sender */
	uint32_t frame_id;
	uint64_t token_id;
	uint32_t frame_len;	/* octets on the ring, by the record's own length */

	js_vci_t vci;		/* destination */
	js_vci_t rxvci;		/* injected; JS_VCI_NONE: none */
	uint32_t sdu_len;	/* octets; all before the trailer if that is no help */
	bool hec_bad;
	bool crc_bad;
	bool length_bad;
	bool further;		/* another record of a frame we have had */
};

/* What is kept about a frame from the first pass on, and for how long: file. */
struct js_links {
	uint32_t same_as;	/* frame number of the first record, 0 none */
	uint32_t announced_in;	/* frame number where the VCI was announced, 0 none */
	struct js_announce *announces;	/* this frame's own, NULL none */
	bool two_holders;	/* the same token was another station's before */
};

struct js_announce {
	uint32_t frame;		/* who announced */
	uint32_t first_use;	/* first frame to that VCI, 0 not yet */
};

/* What the taps get. */
struct js_tap {
	address src, dst;
	js_vci_t vci;
	uint16_t flags;		/* JS_CAP_F_* */
	uint8_t dir;
	uint32_t sdu_len;	/* octets */
	uint32_t frame_len;	/* octets */
	bool announces;
	bool hec_bad, crc_bad, length_bad, further;
};

/* packet-jetstream.c */
extern int proto_jetstream;
void proto_register_jetstream(void);
void proto_reg_handoff_jetstream(void);

/* packet-jetstream-ctl.c */
void proto_register_jetstream_ctl(void);

/* jetstream-prefs.c */
extern struct js_prefs {
	ws_bool verify_crc;	/* compute the CRC and compare */
	ws_bool damaged;	/* dissect SDUs that no station accepts */
	ws_bool further;	/* dissect the SDU in each record of a frame */
	ws_bool info;		/* nodes and stream in the Info column */
} js_prefs;
void js_prefs_init(void);
void js_prefs_handoff(dissector_handle_t handle);
dissector_handle_t js_decode_as(js_vci_t vci);
void js_decode_as_remember(packet_info *pinfo, js_vci_t vci);

/* jetstream-links.c */
void js_links_init(void);
const struct js_links *js_links_of(packet_info *pinfo, const struct js_record *rec);

/* jetstream-name.c */
#define JS_NODE_ALL	0	/* node number of a multicast VCI */
#define JS_NODE_UNKNOWN	255	/* not a Ring ID */

extern const value_string js_node_vals[];
extern const range_string js_stream_vals[];
void js_name_init(void);
unsigned int js_node(unsigned int ring_id);
const char *js_node_name(unsigned int node);
unsigned int js_vci_node(js_vci_t vci);
char *js_vci_name(wmem_allocator_t *scope, js_vci_t vci);
void js_set_address(address *addr, unsigned int node);

/* jetstream-mgmt.c: a management frame's SDU; adds to the Info column */
void js_mgmt_dissect(tvbuff_t *tvb, packet_info *pinfo, proto_tree *root);
void js_mgmt_init(void);
void js_mgmt_init_expert(expert_module_t *module);
static inline bool js_is_mgmt(js_vci_t vci)
{
	return vci_is_mcast(vci) && vci_stream(vci) == JS_STREAM_MGMT;
}

/* jetstream-taps.c */
void js_taps_init(void);

#endif
