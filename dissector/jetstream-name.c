/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * jetstream-name.c - nodes, streams and VCIs in words
 *
 * A node is called n1 to n16 and has Ring ID 1 to 15, and 0 for n16.  As an
 * address of Wireshark (AT_JETSTREAM) it is one octet, the number in its name.
 */
#include "dissector/jetstream.h"

static int at_jetstream = -1;

const value_string js_node_vals[] = {
	{ 0, "n16" }, { 1, "n1" }, { 2, "n2" }, { 3, "n3" }, { 4, "n4" }, { 5, "n5" },
	{ 6, "n6" }, { 7, "n7" }, { 8, "n8" }, { 9, "n9" }, { 10, "n10" }, { 11, "n11" },
	{ 12, "n12" }, { 13, "n13" }, { 14, "n14" }, { 15, "n15" },
	{ 0, NULL }
};

const range_string js_stream_vals[] = {
	{ JS_STREAM_MGMT, JS_STREAM_MGMT, "management" },
	{ JS_STREAM_IP, JS_STREAM_IP, "IP" },
	{ JS_STREAM_IP_DIVERT, JS_STREAM_IP_DIVERT, "IP_DIVERT" },
	{ JS_STREAM_ARP, JS_STREAM_ARP, "ARP" },
	{ JS_STREAM_ARP + 1, JS_STREAM_FIRST - 1, "reserved" },
	{ JS_STREAM_FIRST, JS_N_STREAMS - 1, "handed out to a pool" },
	{ 0, 0, NULL }
};

unsigned int js_node(unsigned int ring_id)
{
	if (ring_id >= JS_N_RING_IDS)
		return JS_NODE_UNKNOWN;
	return ring_id ? ring_id : JS_N_RING_IDS;
}

const char *js_node_name(unsigned int node)
{
	if (node == JS_NODE_ALL)
		return "all";
	if (node > JS_N_RING_IDS)
		return "n?";
	return val_to_str_const(node % JS_N_RING_IDS, js_node_vals, "n?");
}

unsigned int js_vci_node(js_vci_t vci)
{
	return vci_is_mcast(vci) ? JS_NODE_ALL : js_node(vci_ring_id(vci));
}

/* "n2 stream 32", "n2 IP_DIVERT", "all ARP"; lives as long as @scope */
char *js_vci_name(wmem_allocator_t *scope, js_vci_t vci)
{
	const char *node = js_node_name(js_vci_node(vci));
	unsigned int stream = vci_stream(vci);

	if (stream >= JS_STREAM_IP && stream <= JS_STREAM_ARP)
		return wmem_strdup_printf(scope, "%s %s", node,
					  rval_to_str_const(stream, js_stream_vals, ""));
	if (stream == JS_STREAM_MGMT && vci_is_mcast(vci))
		return wmem_strdup_printf(scope, "%s management", node);
	return wmem_strdup_printf(scope, "%s stream %u", node, stream);
}

/* --- AT_JETSTREAM ---------------------------------------------------------- */

#define ADDR_STR_LEN	4	/* "n16" and NUL */

static int addr_to_str(const address *addr, char *buf, int buf_len)
{
	(void)g_strlcpy(buf, js_node_name(*(const uint8_t *)addr->data), buf_len);
	return (int)strlen(buf) + 1;
}

static int addr_str_len(const address *addr _U_)
{
	return ADDR_STR_LEN;
}

static int addr_len(void)
{
	return 1;
}

static const char *addr_col_filter(const address *addr _U_, ws_bool is_src)
{
	return is_src ? "jetstream.src" : "jetstream.dst";
}

/* The octet an address points to must outlive the packet, so all are here. */
void js_set_address(address *addr, unsigned int node)
{
	static const uint8_t octets[JS_N_RING_IDS + 1] = {
		0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16
	};
	static const uint8_t unknown = JS_NODE_UNKNOWN;

	set_address(addr, at_jetstream, 1,
		    node <= JS_N_RING_IDS ? &octets[node] : &unknown);
}

void js_name_init(void)
{
	at_jetstream = address_type_dissector_register("AT_JETSTREAM", "Jetstream node",
						       addr_to_str, addr_str_len, NULL,
						       addr_col_filter, addr_len, NULL, NULL);
}
