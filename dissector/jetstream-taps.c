/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * jetstream-taps.c - Statistics: conversations, endpoints, a tree of counters; filters
 *
 * A frame names only its destination's VCI, and the way back has another, so a
 * conversation is two nodes; what each VCI carried is in the tree.  A frame
 * counts once, however many stations recorded it.
 *
 *	tshark -z conv,jetstream -z endpoints,jetstream -z jetstream,tree
 */
#include "dissector/jetstream.h"
#include "abi/capture.h"

/* --- conversations and endpoints ------------------------------------------------- */

static const char *conv_filter(conv_item_t *conv, conv_filter_type_e filter)
{
	(void)conv;
	switch (filter) {
	case CONV_FT_SRC_ADDRESS:
		return "jetstream.src";
	case CONV_FT_DST_ADDRESS:
		return "jetstream.dst";
	case CONV_FT_ANY_ADDRESS:
		return "jetstream.node";
	default:
		return CONV_FILTER_INVALID;
	}
}

static const char *endpoint_filter(endpoint_item_t *endpoint, conv_filter_type_e filter)
{
	(void)endpoint;
	return conv_filter(NULL, filter);
}

static ct_dissector_info_t conv_info = { conv_filter };
static et_dissector_info_t endpoint_info = { endpoint_filter };

static tap_packet_status conv_packet(void *table, packet_info *pinfo, epan_dissect_t *edt _U_,
				     const void *data, tap_flags_t flags)
{
	conv_hash_t *hash = (conv_hash_t *)table;
	const struct js_tap *tap = (const struct js_tap *)data;

	hash->flags = flags;
	if (tap->further)
		return TAP_PACKET_DONT_REDRAW;
	add_conversation_table_data(hash, &tap->src, &tap->dst, 0, 0, 1, (int)tap->frame_len,
				    &pinfo->rel_ts, &pinfo->abs_ts, &conv_info,
				    CONVERSATION_NONE);
	return TAP_PACKET_REDRAW;
}

static tap_packet_status endpoint_packet(void *table, packet_info *pinfo _U_,
					 epan_dissect_t *edt _U_, const void *data,
					 tap_flags_t flags)
{
	conv_hash_t *hash = (conv_hash_t *)table;
	const struct js_tap *tap = (const struct js_tap *)data;

	hash->flags = flags;
	if (tap->further)
		return TAP_PACKET_DONT_REDRAW;
	add_endpoint_table_data(hash, &tap->src, 0, TRUE, 1, (int)tap->frame_len,
				&endpoint_info, ENDPOINT_NONE);
	add_endpoint_table_data(hash, &tap->dst, 0, FALSE, 1, (int)tap->frame_len,
				&endpoint_info, ENDPOINT_NONE);
	return TAP_PACKET_REDRAW;
}

static ws_bool has_nodes(WS_CONV_FILTER_ARGS)
{
	return proto_is_frame_protocol(pinfo->layers, "jetstream");
}

static char *nodes_filter(WS_CONV_FILTER_ARGS)
{
	const char *a = js_node_name(*(const uint8_t *)pinfo->dl_src.data);
	const char *b = js_node_name(*(const uint8_t *)pinfo->dl_dst.data);

	return g_strdup_printf("(jetstream.src == \"%s\" && jetstream.dst == \"%s\") || "
			       "(jetstream.src == \"%s\" && jetstream.dst == \"%s\")",
			       a, b, b, a);
}

/* --- the tree ----------------------------------------------------------------------- */

static const char *const st_nodes = "Frames by nodes";
static const char *const st_vcis = "Frames by VCI";
static const char *const st_octets = "Octets of SDU by sender";
static const char *const st_sizes = "Octets of SDU in a frame";
static const char *const st_fates = "What happened to frames";
static int st_nodes_id = -1, st_vcis_id = -1, st_octets_id = -1, st_sizes_id = -1,
	st_fates_id = -1;

static void tree_init(stats_tree *st)
{
	st_nodes_id = stats_tree_create_pivot(st, st_nodes, 0);
	st_vcis_id = stats_tree_create_pivot(st, st_vcis, 0);
	st_octets_id = stats_tree_create_node(st, st_octets, 0, STAT_DT_INT, TRUE);
	st_sizes_id = stats_tree_create_range_node(st, st_sizes, 0, "0-40", "41-127",
						   "128-1499", "1500-4095", "4096-16383",
						   "16384-61503", "61504-", NULL);
	st_fates_id = stats_tree_create_node(st, st_fates, 0, STAT_DT_INT, TRUE);
}

static void tick_fates(stats_tree *st, const struct js_tap *tap)
{
	const struct {
		bool is_so;
		const char *name;
	} rows[] = {
		{ tap->flags & JS_CAP_F_LOST, "lost by impairment" },
		{ tap->flags & JS_CAP_F_CORRUPT, "corrupted by impairment" },
		{ tap->flags & JS_CAP_F_DUP, "duplicated by impairment" },
		{ tap->flags & JS_CAP_F_DELAYED, "delayed by impairment" },
		{ tap->flags & JS_CAP_F_REORDER, "reordered by impairment" },
		{ tap->flags & JS_CAP_F_DISCARD, "discarded at the destination" },
		{ tap->dir == JS_CAP_LOCAL, "delivered inside the adapter" },
		{ tap->hec_bad, "bad HEC" },
		{ tap->crc_bad, "bad CRC" },
		{ tap->length_bad, "bad Length" },
		{ tap->announces, "with an RxVCI" },
	};

	tick_stat_node(st, st_fates, 0, TRUE);
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
		if (rows[i].is_so)
			tick_stat_node(st, rows[i].name, st_fates_id, FALSE);
}

static tap_packet_status tree_packet(stats_tree *st, packet_info *pinfo, epan_dissect_t *edt _U_,
				     const void *data, tap_flags_t flags _U_)
{
	const struct js_tap *tap = (const struct js_tap *)data;
	const char *src = js_node_name(*(const uint8_t *)tap->src.data);
	const char *dst = js_node_name(*(const uint8_t *)tap->dst.data);

	if (tap->further)
		return TAP_PACKET_DONT_REDRAW;
	stats_tree_tick_pivot(st, st_nodes_id,
			      wmem_strdup_printf(pinfo->pool, "%s " UTF8_RIGHTWARDS_ARROW " %s",
						 src, dst));
	stats_tree_tick_pivot(st, st_vcis_id, js_vci_name(pinfo->pool, tap->vci));
	increase_stat_node(st, st_octets, 0, TRUE, (int)tap->sdu_len);
	increase_stat_node(st, src, st_octets_id, FALSE, (int)tap->sdu_len);
	tick_stat_node(st, st_sizes, 0, FALSE);
	stats_tree_tick_range(st, st_sizes, 0, (int)tap->sdu_len);
	tick_fates(st, tap);
	return TAP_PACKET_REDRAW;
}

void js_taps_init(void)
{
	ws_conversation_filter("jetstream", "Jetstream nodes", has_nodes, nodes_filter);
	register_conversation_table(proto_jetstream, TRUE, conv_packet, endpoint_packet);
	stats_tree_register_plugin("jetstream", "jetstream", "Jetstream/Frames", 0, tree_packet,
				   tree_init, NULL);
}
