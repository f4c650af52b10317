/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * compat.h - the headers of Wireshark, and what differs between its versions
 *
 * Written against 4.0 (Debian 12).  From 4.3 on Wireshark's API uses the types
 * of C99 instead of GLib's; guint32 and uint32_t are the same type anyway,
 * gboolean (int) and bool are not.  Nothing else here knows a version number.
 */
#ifndef DISSECTOR_COMPAT_H
#define DISSECTOR_COMPAT_H

#define HAVE_SSIZE_T		/* wireshark-dev has no config.h that says so */

#include <wireshark.h>
#include <ws_version.h>

#include <epan/packet.h>
#include <epan/address_types.h>
#include <epan/conversation_filter.h>
#include <epan/conversation_table.h>
#include <epan/crc32-tvb.h>
#include <epan/decode_as.h>
#include <epan/expert.h>
#include <epan/prefs.h>
#include <epan/proto_data.h>
#include <epan/stats_tree.h>
#include <epan/tap.h>
#include <epan/to_str.h>
#include <wiretap/wtap.h>
#include <wsutil/utf8_entities.h>

#define WS_VERSION_AT_LEAST(major, minor) \
	(WIRESHARK_VERSION_MAJOR * 100 + WIRESHARK_VERSION_MINOR >= \
	 (major) * 100 + (minor))

#if WS_VERSION_AT_LEAST(4, 3)
#include <wsutil/plugins.h>		/* WS_PLUGIN_DESC_DISSECTOR */
typedef bool ws_bool;
#else
typedef gboolean ws_bool;
#endif

/* The callbacks of a conversation filter got a second argument. */
#if WS_VERSION_AT_LEAST(4, 1)
#define WS_CONV_FILTER_ARGS	packet_info *pinfo, void *user_data _U_
#define ws_conversation_filter(proto, name, valid, build) \
	register_conversation_filter(proto, name, valid, build, NULL)
#else
#define WS_CONV_FILTER_ARGS	packet_info *pinfo
#define ws_conversation_filter(proto, name, valid, build) \
	register_conversation_filter(proto, name, valid, build)
#endif

#if WS_VERSION_AT_LEAST(4, 3)
#define ws_get_u8(tvb, offset)	tvb_get_uint8(tvb, offset)
#else
#define ws_get_u8(tvb, offset)	tvb_get_guint8(tvb, offset)
#endif

#endif
