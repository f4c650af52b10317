/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * jetstream-mgmt.c - token and management frames (abi/ring.h)
 *
 * They come on the multicast VCI of stream 0.  What is not known, version or
 * type or length, is shown as octets, with a note.
 */
#include "dissector/jetstream.h"

#include "abi/ring.h"

static int hf_version = -1, hf_type = -1, hf_src = -1, hf_monitor = -1, hf_stations = -1,
	hf_reason = -1, hf_to = -1, hf_token_id = -1, hf_issued = -1, hf_hold = -1, hf_resv = -1;
static int ett_mgmt = -1;
static expert_field ei_unknown = EI_INIT, ei_recovery = EI_INIT;

static const value_string type_vals[] = {
	{ JS_MGMT_TOKEN, "Token" },
	{ JS_MGMT_CLAIM, "Claim" },
	{ JS_MGMT_PURGE, "Purge" },
	{ 0, NULL }
};

static const value_string reason_vals[] = {
	{ JS_MGMT_R_NONE, "none" },
	{ JS_MGMT_R_LOST, "the token was lost" },
	{ JS_MGMT_R_DUPLICATE, "there were two tokens" },
	{ JS_MGMT_R_MONITOR, "another station is the lowest" },
	{ 0, NULL }
};

static_assert(G_N_ELEMENTS(type_vals) == JS_MGMT_N_TYPES, "a name for each type");
static_assert(G_N_ELEMENTS(reason_vals) == JS_MGMT_N_REASONS + 1, "a name for each reason");

#define OFF(member)	((int)offsetof(struct js_mgmt, member))

/* "n1, n2, n16" of a set of Ring IDs */
static char *stations_text(wmem_allocator_t *scope, uint16_t set)
{
	wmem_strbuf_t *text = wmem_strbuf_new(scope, "");

	for (unsigned int node = 1; node <= JS_N_RING_IDS; node++)
		if (set >> node % JS_N_RING_IDS & 1)
			wmem_strbuf_append_printf(text, "%s%s", wmem_strbuf_get_len(text) ? ", " : "",
						  js_node_name(node));
	return (char *)wmem_strbuf_finalize(text);
}

static void add_node(proto_tree *tree, int hf, tvbuff_t *tvb, int offset)
{
	proto_tree_add_item(tree, hf, tvb, offset, 1, ENC_BIG_ENDIAN);
}

static void dissect_members(tvbuff_t *tvb, packet_info *pinfo, proto_tree *tree)
{
	proto_item *ti;

	add_node(tree, hf_src, tvb, OFF(src));
	add_node(tree, hf_monitor, tvb, OFF(monitor));
	ti = proto_tree_add_item(tree, hf_stations, tvb, OFF(stations_be), 2, ENC_BIG_ENDIAN);
	proto_item_append_text(ti, ": %s",
			       stations_text(pinfo->pool, tvb_get_ntohs(tvb, OFF(stations_be))));
	proto_tree_add_item(tree, hf_reason, tvb, OFF(reason), 1, ENC_BIG_ENDIAN);
	if (ws_get_u8(tvb, OFF(type)) == JS_MGMT_TOKEN)
		add_node(tree, hf_to, tvb, OFF(to));
	proto_tree_add_item(tree, hf_token_id, tvb, OFF(token_id_be), 8, ENC_BIG_ENDIAN);
	proto_tree_add_item(tree, hf_issued, tvb, OFF(issued_be), 4, ENC_BIG_ENDIAN);
	proto_tree_add_item(tree, hf_hold, tvb, OFF(hold_ns_be), 4, ENC_BIG_ENDIAN);
	proto_tree_add_item(tree, hf_resv, tvb, OFF(resv), sizeof(((struct js_mgmt *)0)->resv),
			    ENC_NA);
}

/* "Token to n2", "Purge: the token was lost" */
static char *mgmt_summary(tvbuff_t *tvb, packet_info *pinfo, uint32_t type)
{
	if (type == JS_MGMT_TOKEN)
		return wmem_strdup_printf(pinfo->pool, "Token to %s",
					  js_node_name(js_node(ws_get_u8(tvb, OFF(to)))));
	return wmem_strdup_printf(pinfo->pool, "%s: %s",
				  val_to_str_const(type, type_vals, "?"),
				  val_to_str_const(ws_get_u8(tvb, OFF(reason)), reason_vals,
						   "for an unknown reason"));
}

void js_mgmt_dissect(tvbuff_t *tvb, packet_info *pinfo, proto_tree *root)
{
	proto_item *top, *ti;
	proto_tree *tree;
	uint32_t version, type;
	const char *text;

	if (tvb_captured_length(tvb) < sizeof(struct js_mgmt)) {
		proto_tree_add_expert(root, pinfo, &ei_unknown, tvb, 0, -1);
		call_data_dissector(tvb, pinfo, root);
		return;
	}
	top = proto_tree_add_item(root, proto_jetstream, tvb, 0, -1, ENC_NA);
	tree = proto_item_add_subtree(top, ett_mgmt);
	proto_tree_add_item_ret_uint(tree, hf_version, tvb, OFF(version), 1, ENC_BIG_ENDIAN,
				     &version);
	ti = proto_tree_add_item_ret_uint(tree, hf_type, tvb, OFF(type), 1, ENC_BIG_ENDIAN, &type);
	if (version != JS_MGMT_VERSION || !try_val_to_str(type, type_vals)) {
		proto_item_set_text(top, "Jetstream management, unknown");
		expert_add_info(pinfo, ti, &ei_unknown);
		return;
	}
	dissect_members(tvb, pinfo, tree);
	if (type != JS_MGMT_TOKEN)
		expert_add_info(pinfo, ti, &ei_recovery);
	text = mgmt_summary(tvb, pinfo, type);
	proto_item_set_text(top, "Jetstream management, %s", text);
	col_append_fstr(pinfo->cinfo, COL_INFO, " | %s", text);
}

void js_mgmt_init(void)
{
	static hf_register_info hf[] = {
		{ &hf_version, { "Version", "jetstream.mgmt.version", FT_UINT8, BASE_DEC, NULL, 0,
			NULL, HFILL } },
		{ &hf_type, { "Type", "jetstream.mgmt.type", FT_UINT8, BASE_DEC,
			VALS(type_vals), 0, NULL, HFILL } },
		{ &hf_src, { "Sent by", "jetstream.mgmt.src", FT_UINT8, BASE_DEC,
			VALS(js_node_vals), 0, "Of a token: who released it, or repeated it last", HFILL } },
		{ &hf_monitor, { "Monitor", "jetstream.mgmt.monitor", FT_UINT8, BASE_DEC,
			VALS(js_node_vals), 0, "The station with the lowest Ring ID", HFILL } },
		{ &hf_stations, { "Stations", "jetstream.mgmt.stations", FT_UINT16, BASE_HEX, NULL,
			0, "Bit i: Ring ID i is on the ring", HFILL } },
		{ &hf_reason, { "Reason", "jetstream.mgmt.reason", FT_UINT8, BASE_DEC,
			VALS(reason_vals), 0, NULL, HFILL } },
		{ &hf_to, { "Taken by", "jetstream.mgmt.to", FT_UINT8, BASE_DEC,
			VALS(js_node_vals), 0, NULL, HFILL } },
		{ &hf_token_id, { "Token ID", "jetstream.mgmt.token_id", FT_UINT64, BASE_DEC, NULL,
			0, "How many times the token was passed before", HFILL } },
		{ &hf_issued, { "Tokens issued", "jetstream.mgmt.issued", FT_UINT32, BASE_DEC, NULL,
			0, "By monitors, the first token too", HFILL } },
		{ &hf_hold, { "Token holding time", "jetstream.mgmt.hold_ns", FT_UINT32,
			BASE_DEC | BASE_UNIT_STRING, &units_nanoseconds, 0, NULL, HFILL } },
		{ &hf_resv, { "Reserved", "jetstream.mgmt.resv", FT_BYTES, BASE_NONE, NULL, 0,
			NULL, HFILL } },
	};
	static int *ett[] = { &ett_mgmt };

	proto_register_field_array(proto_jetstream, hf, array_length(hf));
	proto_register_subtree_array(ett, array_length(ett));
}

void js_mgmt_init_expert(expert_module_t *module)
{
	static ei_register_info ei[] = {
		{ &ei_unknown, { "jetstream.mgmt.unknown", PI_UNDECODED, PI_NOTE,
			"A management frame of a version or type that is not known", EXPFILL } },
		{ &ei_recovery, { "jetstream.mgmt.recovery", PI_SEQUENCE, PI_WARN,
			"The monitor mends the ring", EXPFILL } },
	};

	expert_register_field_array(module, ei, array_length(ei));
}
