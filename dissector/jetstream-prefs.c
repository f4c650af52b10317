/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * jetstream-prefs.c - what the user may choose: Decode As, link types, what is checked
 */
#include "dissector/jetstream.h"
#include "abi/capture.h"

#define FIRST_USER_DLT	147

struct js_prefs js_prefs = { .verify_crc = TRUE, .damaged = FALSE, .further = FALSE, .info = TRUE };

/* n of DLT_USERn, -1 none */
static int link_type = JS_DLT - FIRST_USER_DLT;
static int ctl_link_type = JS_CAP_CTL_DLT - FIRST_USER_DLT;

static dissector_handle_t jetstream_handle, jetstream_ctl_handle;
static dissector_table_t vci_table, stream_table;

/* --- Decode As ---------------------------------------------------------------------- */

static void *decode_as_vci(packet_info *pinfo)
{
	return p_get_proto_data(pinfo->pool, pinfo, proto_jetstream, pinfo->curr_layer_num);
}

static void *decode_as_stream(packet_info *pinfo)
{
	js_vci_t vci = (js_vci_t)GPOINTER_TO_UINT(decode_as_vci(pinfo));

	return GUINT_TO_POINTER(vci_stream(vci));
}

static void vci_prompt(packet_info *pinfo, char *result)
{
	js_vci_t vci = (js_vci_t)GPOINTER_TO_UINT(decode_as_vci(pinfo));

	snprintf(result, MAX_DECODE_AS_PROMPT_LEN, "VCI %u (%s) as", vci,
		 js_vci_name(pinfo->pool, vci));
}

static void stream_prompt(packet_info *pinfo, char *result)
{
	snprintf(result, MAX_DECODE_AS_PROMPT_LEN, "stream %u of any node as",
		 GPOINTER_TO_UINT(decode_as_stream(pinfo)));
}

/* The VCI that Decode As asks for when this layer is chosen. */
void js_decode_as_remember(packet_info *pinfo, js_vci_t vci)
{
	p_add_proto_data(pinfo->pool, pinfo, proto_jetstream, pinfo->curr_layer_num,
			 GUINT_TO_POINTER((unsigned int)vci));
}

/* What the user wants the SDU to be: by VCI, else by stream; NULL: no wish */
dissector_handle_t js_decode_as(js_vci_t vci)
{
	dissector_handle_t handle = dissector_get_uint_handle(vci_table, vci);

	return handle ? handle : dissector_get_uint_handle(stream_table, vci_stream(vci));
}

static void register_tables(void)
{
	static build_valid_func vci_value[] = { decode_as_vci };
	static build_valid_func stream_value[] = { decode_as_stream };
	static decode_as_value_t vci_values[] = { { vci_prompt, 1, vci_value } };
	static decode_as_value_t stream_values[] = { { stream_prompt, 1, stream_value } };
	static decode_as_t by_vci = {
		"jetstream", "jetstream.vci", 1, 0, vci_values, NULL, NULL,
		decode_as_default_populate_list, decode_as_default_reset,
		decode_as_default_change, NULL
	};
	static decode_as_t by_stream = {
		"jetstream", "jetstream.stream", 1, 0, stream_values, NULL, NULL,
		decode_as_default_populate_list, decode_as_default_reset,
		decode_as_default_change, NULL
	};

	vci_table = register_dissector_table("jetstream.vci", "Jetstream VCI", proto_jetstream,
					     FT_UINT16, BASE_DEC);
	stream_table = register_dissector_table("jetstream.stream", "Jetstream stream",
						proto_jetstream, FT_UINT16, BASE_DEC);
	register_decode_as(&by_vci);
	register_decode_as(&by_stream);
}

/* --- preferences ------------------------------------------------------------------- */

static const enum_val_t link_types[] = {
	{ "none", "None", -1 },
	{ "user0", "DLT_USER0 (147)", 0 }, { "user1", "DLT_USER1 (148)", 1 },
	{ "user2", "DLT_USER2 (149)", 2 }, { "user3", "DLT_USER3 (150)", 3 },
	{ "user4", "DLT_USER4 (151)", 4 }, { "user5", "DLT_USER5 (152)", 5 },
	{ "user6", "DLT_USER6 (153)", 6 }, { "user7", "DLT_USER7 (154)", 7 },
	{ "user8", "DLT_USER8 (155)", 8 }, { "user9", "DLT_USER9 (156)", 9 },
	{ "user10", "DLT_USER10 (157)", 10 }, { "user11", "DLT_USER11 (158)", 11 },
	{ "user12", "DLT_USER12 (159)", 12 }, { "user13", "DLT_USER13 (160)", 13 },
	{ "user14", "DLT_USER14 (161)", 14 }, { "user15", "DLT_USER15 (162)", 15 },
	{ NULL, NULL, 0 }
};

/* Give DLT_USERn back to whom it was: the dissector of that preference. */
static void link_type_leave(dissector_handle_t handle, int n)
{
	dissector_handle_t user_dlt = find_dissector("user_dlt");

	if (n < 0)
		return;
	dissector_delete_uint("wtap_encap", WTAP_ENCAP_USER0 + (unsigned int)n, handle);
	if (user_dlt)
		dissector_add_uint("wtap_encap", WTAP_ENCAP_USER0 + (unsigned int)n, user_dlt);
}

/* A plugin's hand-off runs after Wireshark's own, and the last one registered
 * has the link type: no DLT_USER preference is needed. */
static void link_type_take(dissector_handle_t handle, int n)
{
	if (n >= 0)
		dissector_add_uint("wtap_encap", WTAP_ENCAP_USER0 + (unsigned int)n, handle);
}

/* Both leave before one takes: they may have changed places. */
static void prefs_changed(void)
{
	static int ours = -1, ctls = -1;

	link_type_leave(jetstream_handle, ours);
	link_type_leave(jetstream_ctl_handle, ctls);
	link_type_take(jetstream_handle, ours = link_type);
	link_type_take(jetstream_ctl_handle, ctls = ctl_link_type);
}

static void register_prefs(void)
{
	module_t *module = prefs_register_protocol(proto_jetstream, prefs_changed);

	prefs_register_enum_preference(module, "link_type", "Link type",
		"The link type whose records are Jetstream frames. It replaces an entry for the "
		"same type in the DLT_USER preferences.",
		&link_type, link_types, FALSE);
	prefs_register_enum_preference(module, "ctl_link_type", "Link type of control messages",
		"The link type whose records are control messages of the testbed.",
		&ctl_link_type, link_types, FALSE);
	prefs_register_bool_preference(module, "verify_crc", "Verify the AAL-5 CRC",
		"Compute the CRC-32 of each CPCS-PDU and compare it with the trailer's.",
		&js_prefs.verify_crc);
	prefs_register_bool_preference(module, "damaged", "Dissect the SDU of damaged frames",
		"Also of frames with a bad HEC, CRC or Length, which no station accepts. Their "
		"segments then count in the analysis of TCP.",
		&js_prefs.damaged);
	prefs_register_bool_preference(module, "further", "Dissect the SDU of each record of a frame",
		"In a capture that also has arrivals a frame is recorded more than once. Off: only "
		"the first record reaches IP and TCP, so that there are no false retransmissions.",
		&js_prefs.further);
	prefs_register_bool_preference(module, "info", "Nodes and stream in the Info column",
		"Put \"n1 " UTF8_RIGHTWARDS_ARROW " n2 stream 32 | \" before what IP and TCP write.",
		&js_prefs.info);
}

void js_prefs_init(void)
{
	register_tables();
	register_prefs();
}

/* At hand-off: @handle is the dissector of frames. */
void js_prefs_handoff(dissector_handle_t handle)
{
	/* What Decode As offers, beside octets. */
	static const char *const may_be[] = { "ip", "ipv6", "arp", "llc", "eth_withoutfcs" };

	for (size_t i = 0; i < G_N_ELEMENTS(may_be); i++) {
		dissector_handle_t sdu = find_dissector(may_be[i]);

		if (sdu) {
			dissector_add_for_decode_as("jetstream.vci", sdu);
			dissector_add_for_decode_as("jetstream.stream", sdu);
		}
	}
	jetstream_handle = handle;
	jetstream_ctl_handle = find_dissector("jetstream.ctl");
	prefs_changed();
}
