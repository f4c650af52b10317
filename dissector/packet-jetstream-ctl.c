/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * packet-jetstream-ctl.c - control messages that stand in a capture
 *
 * Messages between the processes of a node are not on the ring.  A capture
 * may have them on an interface of their own (DLT_USER11), one or more lines
 * of text a record, so that they can be read beside the frames they caused.
 */
#include "dissector/jetstream.h"

static int proto_ctl = -1;
static int hf_line = -1;
static int ett_ctl = -1;

static int dissect_ctl(tvbuff_t *tvb, packet_info *pinfo, proto_tree *root, void *data _U_)
{
	proto_item *top = proto_tree_add_item(root, proto_ctl, tvb, 0, -1, ENC_NA);
	proto_tree *tree = proto_item_add_subtree(top, ett_ctl);
	int offset = 0, next = 0;

	col_set_str(pinfo->cinfo, COL_PROTOCOL, "Jetstream ctl");
	col_clear(pinfo->cinfo, COL_INFO);
	while (tvb_offset_exists(tvb, offset)) {
		int len = tvb_find_line_end(tvb, offset, -1, &next, FALSE);
		const uint8_t *line;

		proto_tree_add_item_ret_string(tree, hf_line, tvb, offset, len, ENC_UTF_8,
					       pinfo->pool, &line);
		if (offset == 0) {
			col_add_str(pinfo->cinfo, COL_INFO, (const char *)line);
			proto_item_append_text(top, ": %s", (const char *)line);
		}
		offset = next;
	}
	return (int)tvb_captured_length(tvb);
}

void proto_register_jetstream_ctl(void)
{
	static hf_register_info hf[] = {
		{ &hf_line, { "Message", "jetstream.ctl.line", FT_STRING, BASE_NONE, NULL, 0,
			NULL, HFILL } },
	};
	static int *ett[] = { &ett_ctl };

	proto_ctl = proto_register_protocol("Jetstream control messages", "Jetstream ctl",
					    "jetstream.ctl");
	proto_register_field_array(proto_ctl, hf, array_length(hf));
	proto_register_subtree_array(ett, array_length(ett));
	/* Its link type is a preference of "jetstream". */
	register_dissector("jetstream.ctl", dissect_ctl, proto_ctl);
}
