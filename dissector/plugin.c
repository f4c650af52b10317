/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * plugin.c - the symbols Wireshark looks for in a plugin, and no others
 *
 * A plugin of another major.minor is refused with a message, so the numbers
 * are those of the headers we are built with.
 */
#include "dissector/jetstream.h"

#define JS_STRING(x)	#x
#define JS_VERSION(a, b) JS_STRING(a) "." JS_STRING(b) ".0"

/* Ours has no number of its own yet: it is built for one Wireshark. */
WS_DLL_PUBLIC_DEF const char plugin_version[] =
	JS_VERSION(WIRESHARK_VERSION_MAJOR, WIRESHARK_VERSION_MINOR);
WS_DLL_PUBLIC_DEF const int plugin_want_major = WIRESHARK_VERSION_MAJOR;
WS_DLL_PUBLIC_DEF const int plugin_want_minor = WIRESHARK_VERSION_MINOR;

WS_DLL_PUBLIC void plugin_register(void);

#ifdef WS_PLUGIN_DESC_DISSECTOR
WS_DLL_PUBLIC uint32_t plugin_describe(void);

uint32_t plugin_describe(void)
{
	return WS_PLUGIN_DESC_DISSECTOR;
}
#endif

void plugin_register(void)
{
	static proto_plugin frames, ctl;

	frames.register_protoinfo = proto_register_jetstream;
	frames.register_handoff = proto_reg_handoff_jetstream;
	proto_register_plugin(&frames);

	ctl.register_protoinfo = proto_register_jetstream_ctl;
	proto_register_plugin(&ctl);
}
