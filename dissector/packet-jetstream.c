/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * packet-jetstream.c - Wireshark dissector for frames of the Jetstream testbed
 *
 * A record is abi/capture.h's header, then the frame as it is on the ring:
 *
 *	capture header | B-ISDN header | SDU | PAD | UU | CPI | Length | CRC
 *	               |      5        |<------- CPCS-PDU, n * 48 ---------->|
 *
 * We show all of it but the SDU, which goes to Wireshark's own dissectors:
 * there is no LLC header, the stream says what it is (RFC 2684, 6).  What a
 * station would not have accepted (bad HEC, bad CRC, bad Length) is shown as
 * data, unless a preference asks for more, so that TCP's analysis sees what
 * TCP saw.
 *
 * The byte formats and what is published of them: docs/wire-format.md.
 */
#include "dissector/jetstream.h"

#include "abi/aal5.h"
#include "abi/capture.h"

int proto_jetstream = -1;
static dissector_handle_t jetstream_handle, ip_handle, ipv6_handle, arp_handle;
static int jetstream_tap = -1;

static int hf_src = -1, hf_dst = -1, hf_node = -1;
static int hf_cap = -1, hf_cap_version = -1, hf_cap_hdr_len = -1, hf_cap_station = -1,
	hf_cap_dir = -1, hf_cap_flags = -1, hf_cap_src = -1, hf_cap_resv = -1,
	hf_cap_frame_len = -1, hf_cap_frame_id = -1, hf_cap_token_id = -1,
	hf_cap_ring_ns = -1, hf_cap_more = -1;
static int hf_lost = -1, hf_corrupt = -1, hf_dup = -1, hf_delayed = -1, hf_copied = -1,
	hf_token = -1, hf_discard = -1, hf_reorder = -1, hf_flags_resv = -1;
static int hf_hdr = -1, hf_gfc = -1, hf_vpi = -1, hf_vci = -1, hf_vci_resv = -1,
	hf_vci_mcast = -1, hf_vci_ring_id = -1, hf_vci_stream = -1, hf_pt = -1,
	hf_clp = -1, hf_hec = -1, hf_hec_status = -1;
static int hf_cpcs = -1, hf_pad = -1, hf_pad_len = -1, hf_uu = -1, hf_cpi = -1,
	hf_length = -1, hf_crc = -1, hf_crc_status = -1;
static int hf_rxvci = -1, hf_rxvci_mcast = -1, hf_rxvci_ring_id = -1,
	hf_rxvci_stream = -1, hf_rxvci_node = -1;
static int hf_announced_in = -1, hf_first_use = -1, hf_same_as = -1;

static int ett_jetstream = -1, ett_cap = -1, ett_flags = -1, ett_hdr = -1, ett_vci = -1,
	ett_cpcs = -1, ett_rxvci = -1;

static expert_field ei_cap_version = EI_INIT, ei_cap_hdr_len = EI_INIT,
	ei_cap_resv = EI_INIT, ei_cap_station = EI_INIT, ei_cap_frame_len = EI_INIT,
	ei_lost = EI_INIT, ei_corrupt = EI_INIT, ei_dup = EI_INIT, ei_delayed = EI_INIT,
	ei_reorder = EI_INIT,
	ei_discard = EI_INIT, ei_token_none = EI_INIT, ei_token_two = EI_INIT,
	ei_short = EI_INIT, ei_hdr_resv = EI_INIT, ei_hec = EI_INIT, ei_stream = EI_INIT,
	ei_cells = EI_INIT, ei_truncated = EI_INIT, ei_length = EI_INIT, ei_abort = EI_INIT,
	ei_pad = EI_INIT, ei_uucpi = EI_INIT, ei_rxvci_mcast = EI_INIT,
	ei_rxvci_foreign = EI_INIT, ei_crc = EI_INIT;

static const value_string dir_vals[] = {
	{ JS_CAP_TX, "sent" },
	{ JS_CAP_RX, "received" },
	{ JS_CAP_LOCAL, "local" },
	{ 0, NULL }
};

static const value_string pt_vals[] = {
	{ 0, "User data, more to come" },
	{ JS_HDR_PT, "User data, end of the CPCS-PDU" },
	{ 2, "User data, congestion, more to come" },
	{ 3, "User data, congestion, end of the CPCS-PDU" },
	{ 4, "Segment OAM" },
	{ 5, "End-to-end OAM" },
	{ 6, "Resource management" },
	{ 7, "Reserved" },
	{ 0, NULL }
};

/* --- the capture header ------------------------------------------------------- */

#define CAP_OFF(member)	((int)offsetof(struct js_cap_hdr, member))

/* Nobody took the frame, though nothing was wrong with it. */
static bool is_refused(const struct js_record *rec)
{
	return (rec->flags & (JS_CAP_F_DISCARD | JS_CAP_F_CORRUPT)) == JS_CAP_F_DISCARD;
}

/* What the ring did to the frame. */
static void expert_flags(packet_info *pinfo, proto_item *ti, const struct js_record *rec)
{
	static const struct {
		uint16_t flag;
		expert_field *ei;
	} rows[] = {
		{ JS_CAP_F_LOST, &ei_lost }, { JS_CAP_F_CORRUPT, &ei_corrupt },
		{ JS_CAP_F_DUP, &ei_dup }, { JS_CAP_F_DELAYED, &ei_delayed },
		{ JS_CAP_F_REORDER, &ei_reorder },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
		if (rec->flags & rows[i].flag)
			expert_add_info(pinfo, ti, rows[i].ei);
	if (is_refused(rec))
		expert_add_info(pinfo, ti, &ei_discard);
}

static void dissect_cap_flags(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree,
			      struct js_record *rec)
{
	static int *const flags[] = {
		&hf_lost, &hf_corrupt, &hf_dup, &hf_delayed, &hf_copied, &hf_token,
		&hf_discard, &hf_reorder, &hf_flags_resv, NULL
	};
	const uint16_t known = JS_CAP_F_LOST | JS_CAP_F_CORRUPT | JS_CAP_F_DUP |
			       JS_CAP_F_DELAYED | JS_CAP_F_COPIED | JS_CAP_F_TOKEN |
			       JS_CAP_F_DISCARD | JS_CAP_F_REORDER;
	proto_item *ti;

	rec->flags = tvb_get_ntohs(tvb, CAP_OFF(flags_be));
	ti = proto_tree_add_bitmask(tree, tvb, CAP_OFF(flags_be), hf_cap_flags, ett_flags,
				    flags, ENC_BIG_ENDIAN);
	if (rec->flags & ~known)
		expert_add_info(pinfo, ti, &ei_cap_resv);
	expert_flags(pinfo, ti, rec);
}

/* A Ring ID that is none (above 15) can only be somebody's mistake. */
static uint8_t dissect_ring_id(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, int hf,
			       int offset)
{
	uint32_t ring_id;
	proto_item *ti = proto_tree_add_item_ret_uint(tree, hf, tvb, offset, 1,
						      ENC_BIG_ENDIAN, &ring_id);

	if (ring_id >= JS_N_RING_IDS)
		expert_add_info(pinfo, ti, &ei_cap_station);
	return (uint8_t)ring_id;
}

/* Return: octets of the header, where the frame begins; 0 if there is no telling */
static unsigned int dissect_cap(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree,
				struct js_record *rec)
{
	const unsigned int min_len = sizeof(struct js_cap_hdr);
	uint32_t version, hdr_len, frame_len, dir;
	proto_item *cap_ti, *ti;
	proto_tree *cap;

	cap_ti = proto_tree_add_item(tree, hf_cap, tvb, 0, -1, ENC_NA);
	cap = proto_item_add_subtree(cap_ti, ett_cap);
	ti = proto_tree_add_item_ret_uint(cap, hf_cap_version, tvb, CAP_OFF(version), 1,
					  ENC_BIG_ENDIAN, &version);
	if (version != JS_CAP_VERSION)
		expert_add_info(pinfo, ti, &ei_cap_version);
	ti = proto_tree_add_item_ret_uint(cap, hf_cap_hdr_len, tvb, CAP_OFF(hdr_len), 1,
					  ENC_BIG_ENDIAN, &hdr_len);
	if (hdr_len < min_len || hdr_len > tvb_reported_length(tvb)) {
		expert_add_info(pinfo, ti, &ei_cap_hdr_len);
		return 0;
	}
	proto_item_set_len(cap_ti, (int)hdr_len);

	rec->station = dissect_ring_id(tvb, pinfo, cap, hf_cap_station, CAP_OFF(station));
	proto_tree_add_item_ret_uint(cap, hf_cap_dir, tvb, CAP_OFF(dir), 1, ENC_BIG_ENDIAN,
				     &dir);
	rec->dir = (uint8_t)dir;
	dissect_cap_flags(tvb, pinfo, cap, rec);
	rec->src = dissect_ring_id(tvb, pinfo, cap, hf_cap_src, CAP_OFF(src));
	ti = proto_tree_add_item(cap, hf_cap_resv, tvb, CAP_OFF(resv), 1, ENC_BIG_ENDIAN);
	if (ws_get_u8(tvb, CAP_OFF(resv)))
		expert_add_info(pinfo, ti, &ei_cap_resv);

	ti = proto_tree_add_item_ret_uint(cap, hf_cap_frame_len, tvb, CAP_OFF(frame_len_be), 4,
					  ENC_BIG_ENDIAN, &frame_len);
	rec->frame_len = tvb_reported_length(tvb) - hdr_len;
	if (frame_len != rec->frame_len)
		expert_add_info(pinfo, ti, &ei_cap_frame_len);
	proto_tree_add_item_ret_uint(cap, hf_cap_frame_id, tvb, CAP_OFF(frame_id_be), 4,
				     ENC_BIG_ENDIAN, &rec->frame_id);
	rec->token_id = tvb_get_ntoh64(tvb, CAP_OFF(token_id_be));
	ti = proto_tree_add_item(cap, hf_cap_token_id, tvb, CAP_OFF(token_id_be), 8,
				 ENC_BIG_ENDIAN);
	if (!(rec->flags & JS_CAP_F_TOKEN))
		proto_item_append_text(ti, " (not valid)");
	proto_tree_add_item(cap, hf_cap_ring_ns, tvb, CAP_OFF(ring_ns_be), 8, ENC_BIG_ENDIAN);
	if (hdr_len > min_len)
		proto_tree_add_item(cap, hf_cap_more, tvb, (int)min_len,
				    (int)(hdr_len - min_len), ENC_NA);

	proto_item_append_text(cap_ti, ", %s by %s",
			       val_to_str_const(rec->dir, dir_vals, "recorded"),
			       js_node_name(js_node(rec->station)));
	return hdr_len;
}

/* --- the B-ISDN header ----------------------------------------------------------- */

/* I.432: x^8 + x^2 + x + 1 over the first four octets, XOR 55h. */
static uint8_t hec_of(tvbuff_t *tvb)
{
	uint8_t hec = 0;

	for (int i = 0; i < JS_HDR_LEN - 1; i++) {
		hec ^= ws_get_u8(tvb, i);
		for (int bit = 0; bit < 8; bit++)
			hec = (uint8_t)(hec << 1 ^ (hec & 0x80 ? 0x07 : 0));
	}
	return hec ^ JS_HEC_COSET;
}

static void dissect_vci(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree,
			struct js_record *rec)
{
	unsigned int stream;
	uint32_t vci;
	proto_item *ti;
	proto_tree *parts;
	bool is_reserved;

	ti = proto_tree_add_item_ret_uint(tree, hf_vci, tvb, 0, 4, ENC_BIG_ENDIAN, &vci);
	rec->vci = (js_vci_t)(vci & JS_VCI_MAX);
	proto_item_append_text(ti, ", %s", js_vci_name(pinfo->pool, rec->vci));
	parts = proto_item_add_subtree(ti, ett_vci);
	proto_tree_add_item(parts, hf_vci_resv, tvb, 0, 4, ENC_BIG_ENDIAN);
	proto_tree_add_item(parts, hf_vci_mcast, tvb, 0, 4, ENC_BIG_ENDIAN);
	ti = proto_tree_add_item(parts, hf_vci_ring_id, tvb, 0, 4, ENC_BIG_ENDIAN);
	if (!vci_is_mcast(rec->vci))
		proto_item_append_text(ti, ", %s", js_node_name(js_vci_node(rec->vci)));
	else if (vci_ring_id(rec->vci))
		expert_add_info(pinfo, ti, &ei_hdr_resv);
	ti = proto_tree_add_item(parts, hf_vci_stream, tvb, 0, 4, ENC_BIG_ENDIAN);

	stream = vci_stream(rec->vci);
	if (vci_is_mcast(rec->vci))
		is_reserved = stream == JS_STREAM_IP_DIVERT || stream > JS_STREAM_ARP;
	else
		is_reserved = stream == JS_STREAM_MGMT ||
			      (stream > JS_STREAM_ARP && stream < JS_STREAM_FIRST);
	if (is_reserved)
		expert_add_info(pinfo, ti, &ei_stream);
}

static void dissect_hdr(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree,
			struct js_record *rec)
{
	uint32_t word = tvb_get_ntohl(tvb, 0);
	uint8_t hec = hec_of(tvb);
	proto_item *ti;
	proto_tree *hdr;

	ti = proto_tree_add_item(tree, hf_hdr, tvb, 0, JS_HDR_LEN, ENC_NA);
	hdr = proto_item_add_subtree(ti, ett_hdr);
	proto_tree_add_item(hdr, hf_gfc, tvb, 0, 4, ENC_BIG_ENDIAN);
	proto_tree_add_item(hdr, hf_vpi, tvb, 0, 4, ENC_BIG_ENDIAN);
	dissect_vci(tvb, pinfo, hdr, rec);
	proto_tree_add_item(hdr, hf_pt, tvb, 0, 4, ENC_BIG_ENDIAN);
	proto_tree_add_item(hdr, hf_clp, tvb, 0, 4, ENC_BIG_ENDIAN);
	proto_tree_add_checksum(hdr, tvb, JS_HDR_LEN - 1, hf_hec, hf_hec_status, &ei_hec, pinfo,
				hec, ENC_BIG_ENDIAN, PROTO_CHECKSUM_VERIFY);
	rec->hec_bad = ws_get_u8(tvb, JS_HDR_LEN - 1) != hec;

	/* GFC 0, VPI 0, bit 15 of the VCI field 0, PT 001, CLP 0 */
	if ((word & ~((uint32_t)JS_VCI_MAX << 4)) != JS_HDR_PT << 1)
		expert_add_info(pinfo, ti, &ei_hdr_resv);
	proto_item_append_text(ti, ", to %s", js_vci_name(pinfo->pool, rec->vci));
}

/* --- the CPCS-PDU's PAD and trailer --------------------------------------------------- */

static void dissect_rxvci(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, int offset,
			  struct js_record *rec)
{
	uint16_t uucpi = tvb_get_ntohs(tvb, offset);
	proto_item *ti, *part;
	proto_tree *parts;

	if (!(uucpi & JS_UUCPI_RXVCI)) {
		if (uucpi)
			proto_tree_add_expert(tree, pinfo, &ei_uucpi, tvb, offset, 2);
		return;
	}
	rec->rxvci = uucpi & JS_VCI_MAX;
	ti = proto_tree_add_item(tree, hf_rxvci, tvb, offset, 2, ENC_BIG_ENDIAN);
	proto_item_set_generated(ti);
	proto_item_append_text(ti, ", %s", js_vci_name(pinfo->pool, rec->rxvci));
	parts = proto_item_add_subtree(ti, ett_rxvci);
	part = proto_tree_add_item(parts, hf_rxvci_mcast, tvb, offset, 2, ENC_BIG_ENDIAN);
	if (vci_is_mcast(rec->rxvci))
		expert_add_info(pinfo, part, &ei_rxvci_mcast);
	part = proto_tree_add_item(parts, hf_rxvci_ring_id, tvb, offset, 2, ENC_BIG_ENDIAN);
	if (vci_ring_id(rec->rxvci) != rec->src)
		expert_add_info(pinfo, part, &ei_rxvci_foreign);
	proto_tree_add_item(parts, hf_rxvci_stream, tvb, offset, 2, ENC_BIG_ENDIAN);
	part = proto_tree_add_string(parts, hf_rxvci_node, tvb, offset, 2,
				     js_node_name(js_vci_node(rec->rxvci)));
	proto_item_set_generated(part);
}

static void dissect_pad(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, uint32_t sdu_len,
			uint32_t pad_len)
{
	const int offset = (int)(JS_HDR_LEN + sdu_len);
	proto_item *ti;

	if (pad_len) {
		ti = proto_tree_add_item(tree, hf_pad, tvb, offset, (int)pad_len, ENC_NA);
		for (uint32_t i = 0; i < pad_len; i++) {
			if (ws_get_u8(tvb, offset + (int)i)) {
				expert_add_info(pinfo, ti, &ei_pad);
				break;
			}
		}
	}
	ti = proto_tree_add_uint(tree, hf_pad_len, tvb, offset, (int)pad_len, pad_len);
	proto_item_set_generated(ti);
}

/* 0 < Length =< octets before the trailer, and PAD =< 47 */
static bool is_length_sane(uint32_t length, uint32_t room)
{
	return length && length <= room && room - length < JS_CELL;
}

static void dissect_length(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, int offset,
			   uint32_t room)
{
	uint32_t length;
	proto_item *ti = proto_tree_add_item_ret_uint(tree, hf_length, tvb, offset, 2,
						      ENC_BIG_ENDIAN, &length);

	if (length == 0)
		expert_add_info(pinfo, ti, &ei_abort);
	else if (!is_length_sane(length, room))
		expert_add_info(pinfo, ti, &ei_length);
}

static void dissect_crc(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, int offset,
			struct js_record *rec)
{
	uint32_t crc = 0;

	/* Wireshark's MPEG-2 CRC is AAL-5's without the final complement. */
	if (js_prefs.verify_crc) {
		crc = ~crc32_mpeg2_tvb_offset(tvb, JS_HDR_LEN,
					      (unsigned int)offset - JS_HDR_LEN);
		rec->crc_bad = tvb_get_ntohl(tvb, offset) != crc;
	}
	proto_tree_add_checksum(tree, tvb, (unsigned int)offset, hf_crc, hf_crc_status, &ei_crc,
				pinfo, crc, ENC_BIG_ENDIAN,
				js_prefs.verify_crc ? PROTO_CHECKSUM_VERIFY :
						  PROTO_CHECKSUM_NO_FLAGS);
}

static void dissect_cpcs(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree,
			 struct js_record *rec)
{
	const uint32_t body = rec->frame_len - JS_HDR_LEN;
	const uint32_t room = body - JS_TRAILER_LEN;
	const int trailer = (int)(JS_HDR_LEN + room);
	proto_item *cpcs_ti, *ti;
	proto_tree *cpcs;
	uint32_t length;

	rec->sdu_len = room;		/* until Length says better */
	cpcs_ti = proto_tree_add_item(tree, hf_cpcs, tvb, JS_HDR_LEN, -1, ENC_NA);
	cpcs = proto_item_add_subtree(cpcs_ti, ett_cpcs);
	if (body % JS_CELL)
		expert_add_info(pinfo, cpcs_ti, &ei_cells);

	if (tvb_captured_length(tvb) < tvb_reported_length(tvb)) {
		expert_add_info(pinfo, cpcs_ti, &ei_truncated);
		ti = proto_tree_add_uint(cpcs, hf_crc_status, tvb, 0, 0,
					 PROTO_CHECKSUM_E_UNVERIFIED);
		proto_item_set_generated(ti);
		proto_item_append_text(cpcs_ti, ", not captured to its end");
		return;
	}

	/* Length comes after PAD on the ring and is needed before it. */
	length = tvb_get_ntohs(tvb, trailer + 2);
	rec->length_bad = !is_length_sane(length, room);
	if (!rec->length_bad) {
		rec->sdu_len = length;
		dissect_pad(tvb, pinfo, cpcs, length, room - length);
	}
	proto_tree_add_item(cpcs, hf_uu, tvb, trailer, 1, ENC_BIG_ENDIAN);
	proto_tree_add_item(cpcs, hf_cpi, tvb, trailer + 1, 1, ENC_BIG_ENDIAN);
	dissect_rxvci(tvb, pinfo, cpcs, trailer, rec);
	dissect_length(tvb, pinfo, cpcs, trailer + 2, room);
	dissect_crc(tvb, pinfo, cpcs, trailer + 4, rec);

	if (!rec->length_bad)
		proto_item_append_text(cpcs_ti, ", SDU of %u octets", rec->sdu_len);
	if (rec->rxvci != JS_VCI_NONE)
		proto_item_append_text(cpcs_ti, ", RxVCI %s",
				       js_vci_name(pinfo->pool, rec->rxvci));
	if (rec->crc_bad)
		proto_item_append_text(cpcs_ti, ", bad CRC");
}

/* --- what stands in columns, in the first line, and in the taps ------------------------- */

static void show_addresses(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree,
			   const struct js_record *rec)
{
	unsigned int src = js_node(rec->src), dst = js_vci_node(rec->vci);
	const struct {
		int hf;
		unsigned int node;
	} rows[] = { { hf_src, src }, { hf_dst, dst }, { hf_node, src }, { hf_node, dst } };

	js_set_address(&pinfo->dl_src, src);
	js_set_address(&pinfo->dl_dst, dst);
	copy_address_shallow(&pinfo->src, &pinfo->dl_src);
	copy_address_shallow(&pinfo->dst, &pinfo->dl_dst);
	if (rec->dir == JS_CAP_RX)
		pinfo->p2p_dir = P2P_DIR_RECV;
	else if (rec->dir == JS_CAP_TX || rec->dir == JS_CAP_LOCAL)
		pinfo->p2p_dir = P2P_DIR_SENT;

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		proto_item *ti = proto_tree_add_string(tree, rows[i].hf, tvb, 0, 0,
						       js_node_name(rows[i].node));

		proto_item_set_generated(ti);
		if (rows[i].hf == hf_node)
			proto_item_set_hidden(ti);
	}
}

static void show_links(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, proto_item *top,
		       const struct js_record *rec, const struct js_links *links)
{
	const struct {
		int hf;
		uint32_t num;
	} rows[] = {
		{ hf_announced_in, links->announced_in },
		{ hf_first_use, links->announces ? links->announces->first_use : 0 },
		{ hf_same_as, links->same_as },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
		if (rows[i].num)
			proto_item_set_generated(proto_tree_add_uint(tree, rows[i].hf, tvb, 0, 0,
								     rows[i].num));
	if (links->two_holders)
		expert_add_info(pinfo, top, &ei_token_two);
	/* The monitor purges and claims without a token: there is none. */
	if (rec->dir == JS_CAP_TX && !(rec->flags & (JS_CAP_F_TOKEN | JS_CAP_F_DUP)) &&
	    !js_is_mgmt(rec->vci))
		expert_add_info(pinfo, top, &ei_token_none);
}

/* "n1 -> n2 IP_DIVERT, RxVCI n1 stream 32, lost" */
static char *summary(packet_info *pinfo, const struct js_record *rec)
{
	wmem_strbuf_t *text = wmem_strbuf_new(pinfo->pool, js_node_name(js_node(rec->src)));

	wmem_strbuf_append_printf(text, " " UTF8_RIGHTWARDS_ARROW " %s",
				  js_vci_name(pinfo->pool, rec->vci));
	if (rec->rxvci != JS_VCI_NONE)
		wmem_strbuf_append_printf(text, ", RxVCI %s",
					  js_vci_name(pinfo->pool, rec->rxvci));
	if (rec->dir == JS_CAP_RX)
		wmem_strbuf_append_printf(text, ", at %s", js_node_name(js_node(rec->station)));
	if (rec->dir == JS_CAP_LOCAL)
		wmem_strbuf_append(text, ", local");
	if (rec->flags & JS_CAP_F_LOST)
		wmem_strbuf_append(text, ", lost");
	if (rec->flags & JS_CAP_F_CORRUPT)
		wmem_strbuf_append(text, ", corrupted");
	if (rec->flags & JS_CAP_F_DUP)
		wmem_strbuf_append(text, ", duplicate");
	if (is_refused(rec))
		wmem_strbuf_append(text, ", discarded");
	if (rec->hec_bad)
		wmem_strbuf_append(text, ", bad HEC");
	if (rec->crc_bad)
		wmem_strbuf_append(text, ", bad CRC");
	if (rec->length_bad)
		wmem_strbuf_append(text, ", bad Length");
	return (char *)wmem_strbuf_finalize(text);
}

static void queue_tap(packet_info *pinfo, const struct js_record *rec)
{
	struct js_tap *tap;

	if (!have_tap_listener(jetstream_tap))
		return;
	tap = wmem_new0(pinfo->pool, struct js_tap);
	js_set_address(&tap->src, js_node(rec->src));
	js_set_address(&tap->dst, js_vci_node(rec->vci));
	tap->vci = rec->vci;
	tap->flags = rec->flags;
	tap->dir = rec->dir;
	tap->sdu_len = rec->sdu_len;
	tap->frame_len = rec->frame_len;
	tap->announces = rec->rxvci != JS_VCI_NONE;
	tap->hec_bad = rec->hec_bad;
	tap->crc_bad = rec->crc_bad;
	tap->length_bad = rec->length_bad;
	tap->further = rec->further;
	tap_queue_packet(jetstream_tap, pinfo, tap);
}

/* --- the SDU ------------------------------------------------------------------------------ */

/* IP, by its version; NULL: neither 4 nor 6 */
static dissector_handle_t ip_by_version(tvbuff_t *sdu)
{
	if (!tvb_captured_length(sdu))
		return NULL;
	switch (ws_get_u8(sdu, 0) >> 4) {
	case 4:
		return ip_handle;
	case 6:
		return ipv6_handle;
	default:
		return NULL;
	}
}

static void dissect_sdu(tvbuff_t *sdu, packet_info *pinfo, proto_tree *tree,
			const struct js_record *rec)
{
	const unsigned int stream = vci_stream(rec->vci);
	dissector_handle_t handle;

	handle = js_decode_as(rec->vci);
	if (!handle && js_is_mgmt(rec->vci)) {
		js_mgmt_dissect(sdu, pinfo, tree);
		return;
	}
	if (!handle && stream == JS_STREAM_ARP)
		handle = arp_handle;
	else if (!handle && (stream == JS_STREAM_IP || stream == JS_STREAM_IP_DIVERT ||
			     stream >= JS_STREAM_FIRST))
		handle = ip_by_version(sdu);
	if (!handle) {
		call_data_dissector(sdu, pinfo, tree);
		return;
	}
	/* Ours stays in front of what the payload's dissector writes, or goes. */
	if (js_prefs.info) {
		col_append_str(pinfo->cinfo, COL_INFO, " | ");
		col_set_fence(pinfo->cinfo, COL_INFO);
	} else {
		col_clear(pinfo->cinfo, COL_INFO);
	}
	call_dissector(handle, sdu, pinfo, tree);
}

/* May the SDU be shown as what the stream says, or as octets only? */
static bool is_for_protocols(const struct js_record *rec)
{
	if (rec->further && !js_prefs.further && !js_is_mgmt(rec->vci))
		return false;
	if (rec->hec_bad || rec->crc_bad || rec->length_bad)
		return js_prefs.damaged;
	return true;
}

static void dissect_payload(tvbuff_t *frame, packet_info *pinfo, proto_tree *tree,
			    const struct js_record *rec)
{
	const uint32_t captured = tvb_captured_length(frame);
	const uint32_t here = captured > JS_HDR_LEN ? captured - JS_HDR_LEN : 0;
	tvbuff_t *sdu;

	if (!rec->sdu_len || !here)
		return;
	sdu = tvb_new_subset_length_caplen(frame, JS_HDR_LEN,
					   (int)MIN(here, rec->sdu_len), (int)rec->sdu_len);
	if (is_for_protocols(rec))
		dissect_sdu(sdu, pinfo, tree, rec);
	else
		call_data_dissector(sdu, pinfo, tree);
}

/* --- a record ------------------------------------------------------------------------------ */

/* The frame begins at @offset of the record. */
static void dissect_frame(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree, proto_item *top,
			  proto_tree *root, struct js_record *rec, int offset)
{
	tvbuff_t *frame = tvb_new_subset_remaining(tvb, offset);
	const struct js_links *links;
	const char *text;

	dissect_hdr(frame, pinfo, tree, rec);
	show_addresses(frame, pinfo, tree, rec);
	dissect_cpcs(frame, pinfo, tree, rec);
	links = js_links_of(pinfo, rec);
	/* The sender's record of a second copy shows it; its arrival is that again. */
	rec->further = links->same_as && !(rec->flags & JS_CAP_F_DUP && rec->dir != JS_CAP_RX);
	show_links(frame, pinfo, tree, top, rec, links);

	text = summary(pinfo, rec);
	proto_item_append_text(top, ", %s", text);
	col_add_str(pinfo->cinfo, COL_INFO, text);
	js_decode_as_remember(pinfo, rec->vci);
	queue_tap(pinfo, rec);
	dissect_payload(frame, pinfo, root, rec);
}

static int dissect_jetstream(tvbuff_t *tvb, packet_info *pinfo, proto_tree *root, void *data _U_)
{
	struct js_record rec = { .rxvci = JS_VCI_NONE };
	unsigned int hdr_len;
	proto_item *top;
	proto_tree *tree;

	col_set_str(pinfo->cinfo, COL_PROTOCOL, "Jetstream");
	col_clear(pinfo->cinfo, COL_INFO);
	top = proto_tree_add_item(root, proto_jetstream, tvb, 0, -1, ENC_NA);
	tree = proto_item_add_subtree(top, ett_jetstream);

	hdr_len = dissect_cap(tvb, pinfo, tree, &rec);
	if (!hdr_len) {
		col_set_str(pinfo->cinfo, COL_INFO, "No capture header");
		call_data_dissector(tvb, pinfo, root);
	} else if (rec.frame_len < JS_HDR_LEN + JS_TRAILER_LEN) {
		col_add_fstr(pinfo->cinfo, COL_INFO, "%s " UTF8_RIGHTWARDS_ARROW " ?, short frame",
			     js_node_name(js_node(rec.src)));
		expert_add_info(pinfo, top, &ei_short);
		call_data_dissector(tvb_new_subset_remaining(tvb, (int)hdr_len), pinfo, root);
	} else {
		proto_item_set_len(top, (int)hdr_len + JS_HDR_LEN);
		dissect_frame(tvb, pinfo, tree, top, root, &rec, (int)hdr_len);
	}
	return (int)tvb_captured_length(tvb);
}

/* --- registration ------------------------------------------------------------------------------ */

static hf_register_info hf[] = {
	{ &hf_src, { "Source node", "jetstream.src", FT_STRING, BASE_NONE, NULL, 0,
		"The sending station, from the capture header", HFILL } },
	{ &hf_dst, { "Destination node", "jetstream.dst", FT_STRING, BASE_NONE, NULL, 0,
		"From the VCI; \"all\" for a multicast VCI", HFILL } },
	{ &hf_node, { "Source or destination node", "jetstream.node", FT_STRING, BASE_NONE, NULL,
		0, NULL, HFILL } },

	{ &hf_cap, { "Capture header", "jetstream.cap", FT_NONE, BASE_NONE, NULL, 0,
		"Not on the ring: written by jetringd before each frame", HFILL } },
	{ &hf_cap_version, { "Version", "jetstream.cap.version", FT_UINT8, BASE_DEC, NULL, 0,
		NULL, HFILL } },
	{ &hf_cap_hdr_len, { "Header length", "jetstream.cap.hdr_len", FT_UINT8, BASE_DEC, NULL,
		0, "Octets before the frame", HFILL } },
	{ &hf_cap_station, { "Recorded by", "jetstream.cap.station", FT_UINT8, BASE_DEC,
		VALS(js_node_vals), 0, "Ring ID of the recording station", HFILL } },
	{ &hf_cap_dir, { "Direction", "jetstream.cap.dir", FT_UINT8, BASE_DEC, VALS(dir_vals), 0,
		NULL, HFILL } },
	{ &hf_cap_flags, { "Flags", "jetstream.cap.flags", FT_UINT16, BASE_HEX, NULL, 0, NULL,
		HFILL } },
	{ &hf_lost, { "Lost", "jetstream.cap.flags.lost", FT_BOOLEAN, 16, NULL, JS_CAP_F_LOST,
		"By impairment: no station receives it", HFILL } },
	{ &hf_corrupt, { "Corrupted", "jetstream.cap.flags.corrupt", FT_BOOLEAN, 16, NULL,
		JS_CAP_F_CORRUPT, "By impairment: bits are flipped on the way; shown as sent out",
		HFILL } },
	{ &hf_dup, { "Duplicate", "jetstream.cap.flags.dup", FT_BOOLEAN, 16, NULL, JS_CAP_F_DUP,
		"By impairment: the second copy", HFILL } },
	{ &hf_delayed, { "Delayed", "jetstream.cap.flags.delayed", FT_BOOLEAN, 16, NULL,
		JS_CAP_F_DELAYED, "By impairment: arrives later than the ring would", HFILL } },
	{ &hf_copied, { "Copied", "jetstream.cap.flags.copied", FT_BOOLEAN, 16, NULL,
		JS_CAP_F_COPIED, "Some station took it", HFILL } },
	{ &hf_token, { "Token", "jetstream.cap.flags.token", FT_BOOLEAN, 16, NULL,
		JS_CAP_F_TOKEN, "Sent holding the token", HFILL } },
	{ &hf_discard, { "Discarded", "jetstream.cap.flags.discard", FT_BOOLEAN, 16, NULL,
		JS_CAP_F_DISCARD, "Its destination had no room, or nobody bound the VCI", HFILL } },
	{ &hf_reorder, { "Reordered", "jetstream.cap.flags.reorder", FT_BOOLEAN, 16, NULL,
		JS_CAP_F_REORDER, "By impairment: did not wait behind those that are delayed", HFILL } },
	{ &hf_flags_resv, { "Reserved", "jetstream.cap.flags.reserved", FT_UINT16, BASE_HEX, NULL,
		0xff00, NULL, HFILL } },
	{ &hf_cap_src, { "Sent by", "jetstream.cap.src", FT_UINT8, BASE_DEC, VALS(js_node_vals),
		0, "Ring ID of the sending station", HFILL } },
	{ &hf_cap_resv, { "Reserved", "jetstream.cap.reserved", FT_UINT8, BASE_HEX, NULL, 0, NULL,
		HFILL } },
	{ &hf_cap_frame_len, { "Frame length", "jetstream.cap.frame_len", FT_UINT32, BASE_DEC,
		NULL, 0, "Octets of the frame on the ring", HFILL } },
	{ &hf_cap_frame_id, { "Frame ID", "jetstream.cap.frame_id", FT_UINT32, BASE_DEC, NULL, 0,
		"The same in all records of one frame", HFILL } },
	{ &hf_cap_token_id, { "Token ID", "jetstream.cap.token_id", FT_UINT64, BASE_DEC, NULL, 0,
		"How many times the token was passed before", HFILL } },
	{ &hf_cap_ring_ns, { "Ring time (ns)", "jetstream.cap.ring_ns", FT_UINT64, BASE_DEC, NULL,
		0, "When the first bit was at the recording station", HFILL } },
	{ &hf_cap_more, { "Of a later version", "jetstream.cap.more", FT_BYTES, BASE_NONE, NULL,
		0, NULL, HFILL } },

	{ &hf_hdr, { "B-ISDN header", "jetstream.hdr", FT_NONE, BASE_NONE, NULL, 0, NULL,
		HFILL } },
	{ &hf_gfc, { "GFC", "jetstream.gfc", FT_UINT32, BASE_DEC, NULL, 0xf0000000,
		"Generic flow control", HFILL } },
	{ &hf_vpi, { "VPI", "jetstream.vpi", FT_UINT32, BASE_DEC, NULL, 0x0ff00000,
		"Virtual path identifier", HFILL } },
	{ &hf_vci, { "VCI", "jetstream.vci", FT_UINT32, BASE_DEC_HEX, NULL, 0x000ffff0,
		"Virtual circuit identifier: where the frame goes", HFILL } },
	{ &hf_vci_resv, { "Reserved", "jetstream.vci.reserved", FT_BOOLEAN, 32, NULL, 0x00080000,
		NULL, HFILL } },
	{ &hf_vci_mcast, { "Multicast", "jetstream.vci.mcast", FT_BOOLEAN, 32, NULL, 0x00040000,
		NULL, HFILL } },
	{ &hf_vci_ring_id, { "Ring ID", "jetstream.vci.ring_id", FT_UINT32, BASE_DEC, NULL,
		0x0003c000, "Of the destination; 0 is n16, or none if the VCI is multicast",
		HFILL } },
	{ &hf_vci_stream, { "Stream", "jetstream.vci.stream", FT_UINT32,
		BASE_DEC | BASE_RANGE_STRING, RVALS(js_stream_vals), 0x00003ff0, NULL, HFILL } },
	{ &hf_pt, { "PT", "jetstream.pt", FT_UINT32, BASE_DEC, VALS(pt_vals), 0x0000000e,
		"Payload type", HFILL } },
	{ &hf_clp, { "CLP", "jetstream.clp", FT_BOOLEAN, 32, NULL, 0x00000001,
		"Cell loss priority", HFILL } },
	{ &hf_hec, { "HEC", "jetstream.hec", FT_UINT8, BASE_HEX, NULL, 0,
		"Header error control", HFILL } },
	{ &hf_hec_status, { "HEC status", "jetstream.hec.status", FT_UINT8, BASE_NONE,
		VALS(proto_checksum_vals), 0, NULL, HFILL } },

	{ &hf_cpcs, { "AAL-5 CPCS-PDU", "jetstream.cpcs", FT_NONE, BASE_NONE, NULL, 0, NULL,
		HFILL } },
	{ &hf_pad, { "PAD", "jetstream.cpcs.pad", FT_BYTES, BASE_NONE, NULL, 0, NULL, HFILL } },
	{ &hf_pad_len, { "PAD length", "jetstream.cpcs.pad_len", FT_UINT32, BASE_DEC, NULL, 0,
		"Octets", HFILL } },
	{ &hf_uu, { "CPCS-UU", "jetstream.cpcs.uu", FT_UINT8, BASE_HEX, NULL, 0,
		"User-to-user indication; the high octet of an injected RxVCI", HFILL } },
	{ &hf_cpi, { "CPI", "jetstream.cpcs.cpi", FT_UINT8, BASE_HEX, NULL, 0,
		"Common part indicator; the low octet of an injected RxVCI", HFILL } },
	{ &hf_length, { "Length", "jetstream.cpcs.length", FT_UINT16, BASE_DEC, NULL, 0,
		"Octets of the SDU", HFILL } },
	{ &hf_crc, { "CRC", "jetstream.cpcs.crc", FT_UINT32, BASE_HEX, NULL, 0, NULL, HFILL } },
	{ &hf_crc_status, { "CRC status", "jetstream.cpcs.crc.status", FT_UINT8, BASE_NONE,
		VALS(proto_checksum_vals), 0, NULL, HFILL } },

	{ &hf_rxvci, { "RxVCI", "jetstream.rxvci", FT_UINT16, BASE_DEC_HEX, NULL, JS_VCI_MAX,
		"Where the sender wants the answers, injected in UU and CPI", HFILL } },
	{ &hf_rxvci_mcast, { "Multicast", "jetstream.rxvci.mcast", FT_BOOLEAN, 16, NULL, 0x4000,
		NULL, HFILL } },
	{ &hf_rxvci_ring_id, { "Ring ID", "jetstream.rxvci.ring_id", FT_UINT16, BASE_DEC,
		NULL, 0x3c00, NULL, HFILL } },
	{ &hf_rxvci_stream, { "Stream", "jetstream.rxvci.stream", FT_UINT16,
		BASE_DEC | BASE_RANGE_STRING, RVALS(js_stream_vals), 0x03ff, NULL, HFILL } },
	{ &hf_rxvci_node, { "Node", "jetstream.rxvci.node", FT_STRING, BASE_NONE, NULL, 0, NULL,
		HFILL } },

	{ &hf_announced_in, { "VCI announced in frame", "jetstream.announced_in", FT_FRAMENUM,
		BASE_NONE, FRAMENUM_TYPE(FT_FRAMENUM_REQUEST), 0,
		"Where the destination injected this VCI as its RxVCI", HFILL } },
	{ &hf_first_use, { "RxVCI first used in frame", "jetstream.first_use", FT_FRAMENUM,
		BASE_NONE, FRAMENUM_TYPE(FT_FRAMENUM_RESPONSE), 0,
		"The first frame that came on the VCI that was announced here", HFILL } },
	{ &hf_same_as, { "Same frame as in record", "jetstream.same_as", FT_FRAMENUM, BASE_NONE,
		NULL, 0, "The first record with this frame ID", HFILL } },
};

static int *ett[] = {
	&ett_jetstream, &ett_cap, &ett_flags, &ett_hdr, &ett_vci, &ett_cpcs, &ett_rxvci
};

static ei_register_info ei[] = {
	{ &ei_cap_version, { "jetstream.cap.version.unknown", PI_PROTOCOL, PI_WARN,
		"A version of the capture header that this plugin does not know", EXPFILL } },
	{ &ei_cap_hdr_len, { "jetstream.cap.hdr_len.bad", PI_MALFORMED, PI_ERROR,
		"The capture header is too short, or longer than the record", EXPFILL } },
	{ &ei_cap_resv, { "jetstream.cap.reserved.set", PI_PROTOCOL, PI_NOTE,
		"Reserved bits are not 0", EXPFILL } },
	{ &ei_cap_station, { "jetstream.cap.station.bad", PI_MALFORMED, PI_ERROR,
		"Not a Ring ID (0 to 15)", EXPFILL } },
	{ &ei_cap_frame_len, { "jetstream.cap.frame_len.bad", PI_MALFORMED, PI_WARN,
		"Not the length that the record has after the capture header", EXPFILL } },
	{ &ei_lost, { "jetstream.cap.lost", PI_SEQUENCE, PI_NOTE,
		"Lost by impairment: no station receives it", EXPFILL } },
	{ &ei_corrupt, { "jetstream.cap.corrupt", PI_SEQUENCE, PI_NOTE,
		"Corrupted by impairment: it arrives with a bad CRC; shown as sent out", EXPFILL } },
	{ &ei_dup, { "jetstream.cap.dup", PI_SEQUENCE, PI_NOTE,
		"Duplicated by impairment: this is the second copy", EXPFILL } },
	{ &ei_delayed, { "jetstream.cap.delayed", PI_SEQUENCE, PI_CHAT,
		"Delayed by impairment", EXPFILL } },
	{ &ei_reorder, { "jetstream.cap.reorder", PI_SEQUENCE, PI_NOTE,
		"Reordered by impairment: it did not wait behind those that are delayed", EXPFILL } },
	{ &ei_discard, { "jetstream.cap.discard", PI_SEQUENCE, PI_WARN,
		"Discarded at its destination: no room, or nobody bound the VCI", EXPFILL } },
	{ &ei_token_none, { "jetstream.token.none", PI_SEQUENCE, PI_ERROR,
		"Sent without holding the token", EXPFILL } },
	{ &ei_token_two, { "jetstream.token.two_holders", PI_SEQUENCE, PI_ERROR,
		"Another station sent with this same token", EXPFILL } },
	{ &ei_short, { "jetstream.short", PI_MALFORMED, PI_ERROR,
		"Too short for a header and a trailer", EXPFILL } },
	{ &ei_hdr_resv, { "jetstream.hdr.reserved", PI_PROTOCOL, PI_WARN,
		"Not 0, where a Jetstream header has 0 (or PT is not 1)", EXPFILL } },
	{ &ei_hec, { "jetstream.hec.bad", PI_CHECKSUM, PI_ERROR, "Bad HEC", EXPFILL } },
	{ &ei_stream, { "jetstream.stream.reserved", PI_PROTOCOL, PI_WARN,
		"Reserved stream", EXPFILL } },
	{ &ei_cells, { "jetstream.cpcs.not_48", PI_MALFORMED, PI_ERROR,
		"The CPCS-PDU is not a multiple of 48 octets", EXPFILL } },
	{ &ei_truncated, { "jetstream.cpcs.truncated", PI_UNDECODED, PI_NOTE,
		"The capture does not have the trailer: CRC not verified", EXPFILL } },
	{ &ei_length, { "jetstream.cpcs.length.bad", PI_MALFORMED, PI_ERROR,
		"Length does not fit the CPCS-PDU (PAD has 0 to 47 octets)", EXPFILL } },
	{ &ei_abort, { "jetstream.cpcs.length.abort", PI_PROTOCOL, PI_WARN,
		"Length 0: the sender has aborted this CPCS-PDU", EXPFILL } },
	{ &ei_pad, { "jetstream.cpcs.pad.nonzero", PI_PROTOCOL, PI_NOTE,
		"PAD is not all 0", EXPFILL } },
	{ &ei_uucpi, { "jetstream.cpcs.uucpi.unknown", PI_PROTOCOL, PI_NOTE,
		"UU and CPI are neither 0 nor an RxVCI", EXPFILL } },
	{ &ei_rxvci_mcast, { "jetstream.rxvci.mcast.set", PI_PROTOCOL, PI_WARN,
		"An RxVCI cannot be multicast", EXPFILL } },
	{ &ei_rxvci_foreign, { "jetstream.rxvci.foreign", PI_PROTOCOL, PI_WARN,
		"The RxVCI is not the sender's own", EXPFILL } },
	{ &ei_crc, { "jetstream.cpcs.crc.bad", PI_CHECKSUM, PI_ERROR, "Bad CRC", EXPFILL } },
};

void proto_register_jetstream(void)
{
	expert_module_t *expert;

	proto_jetstream = proto_register_protocol("HP Jetstream", "Jetstream", "jetstream");
	proto_register_field_array(proto_jetstream, hf, array_length(hf));
	proto_register_subtree_array(ett, array_length(ett));
	js_mgmt_init();
	expert = expert_register_protocol(proto_jetstream);
	expert_register_field_array(expert, ei, array_length(ei));
	js_mgmt_init_expert(expert);
	jetstream_handle = register_dissector("jetstream", dissect_jetstream, proto_jetstream);
	jetstream_tap = register_tap("jetstream");
	js_prefs_init();
	js_name_init();
	js_links_init();
	js_taps_init();
}

void proto_reg_handoff_jetstream(void)
{
	ip_handle = find_dissector_add_dependency("ip", proto_jetstream);
	ipv6_handle = find_dissector_add_dependency("ipv6", proto_jetstream);
	arp_handle = find_dissector_add_dependency("arp", proto_jetstream);
	js_prefs_handoff(jetstream_handle);
}
