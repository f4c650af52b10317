/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * icmp.h - ICMP errors about our children's segments
 *
 * They come to the kernel of this node, as all that is not TCP does; a raw
 * socket for each family hears them too.  One that quotes a connection of a
 * child is told to it (Icmp), and believed or not by that connection.
 */
#ifndef CONNSERVER_ICMP_H
#define CONNSERVER_ICMP_H

#include "connserver/server.h"

/* Open the sockets and watch them.  Without one of them we are deaf in that
 * family, which is in the log. */
void cs_icmp_start(struct cs_server *cs);
void cs_icmp_stop(struct cs_server *cs);

/**
 * cs_icmp_packet() - What a raw socket gave: for icmp.c and tests
 * @pkt:	ICMP: from the IP header on; ICMPv6: from its own
 */
void cs_icmp_packet(struct cs_server *cs, const uint8_t *pkt, size_t len, bool is_v6);

#endif
