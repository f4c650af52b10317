/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * icmp_hdr.c - ICMP and ICMPv6 errors about TCP segments
 *
 * An error quotes the datagram it is about: the IP header and at least eight
 * octets, which of TCP are the ports and SEG.SEQ.  What it means is what Linux
 * has applications see.
 *
 * Supported standards: RFC 792, RFC 1122 3.2.2, RFC 1191 4, RFC 4443.
 */
#include <errno.h>
#include <string.h>

#include "stack/engine/tcp.h"

#define ICMP_HDR	8
#define QUOTED_TCP	8		/* octets of it that are there */
#define IP4_LEN		20
#define IP6_LEN		40
#define IP_PROTO_TCP	6

enum { UNREACH_FRAG_NEEDED = 4 };	/* code of ICMP type 3 */

static uint32_t get16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t get32(const uint8_t *p)
{
	return get16(p) << 16 | get16(p + 2);
}

/* RFC 792, RFC 1122 3.2.2.1, RFC 1812 5.2.7.1: the codes of Destination Unreachable */
static int unreach_v4(unsigned int code)
{
	static const uint8_t err[] = {
		ENETUNREACH, EHOSTUNREACH, ENOPROTOOPT, ECONNREFUSED, 0, EOPNOTSUPP,
		ENETUNREACH, EHOSTDOWN, ENONET, ENETUNREACH, EHOSTUNREACH, ENETUNREACH,
		EHOSTUNREACH, EHOSTUNREACH, EHOSTUNREACH, EHOSTUNREACH,
	};

	return code < sizeof(err) ? err[code] : -EPROTONOSUPPORT;
}

/* RFC 4443, 3.1 */
static int unreach_v6(unsigned int code)
{
	static const uint8_t err[] = {
		ENETUNREACH, EACCES, EHOSTUNREACH, EHOSTUNREACH, ECONNREFUSED, EACCES, EACCES,
	};

	return code < sizeof(err) ? err[code] : -EPROTONOSUPPORT;
}

/* Type and code.  Source Quench is none of them (RFC 9293, MUST-55), nor Redirect. */
static int meaning_v4(const uint8_t *msg, struct icmp_error *e)
{
	switch (msg[0]) {
	case 3:
		e->err = unreach_v4(msg[1]);
		e->is_too_big = msg[1] == UNREACH_FRAG_NEEDED;
		e->mtu = e->is_too_big ? get16(msg + 6) : 0;
		break;
	case 11:
		e->err = EHOSTUNREACH;
		break;
	case 12:
		e->err = EPROTO;
		break;
	default:
		e->err = -EPROTONOSUPPORT;
		break;
	}
	return e->err < 0 ? e->err : 0;
}

static int meaning_v6(const uint8_t *msg, struct icmp_error *e)
{
	switch (msg[0]) {
	case 1:
		e->err = unreach_v6(msg[1]);
		break;
	case 2:
		e->is_too_big = true;
		e->mtu = get32(msg + 4);
		break;
	case 3:
		e->err = EHOSTUNREACH;
		break;
	case 4:
		e->err = EPROTO;
		break;
	default:
		e->err = -EPROTONOSUPPORT;
		break;
	}
	return e->err < 0 ? e->err : 0;
}

/* The datagram that is quoted: its first fragment, with TCP in it. */
static int quoted_v4(const uint8_t *ip, size_t len, struct icmp_error *e)
{
	size_t hlen;

	if (len < IP4_LEN || ip[0] >> 4 != 4)
		return -EBADMSG;
	hlen = (ip[0] & 0xfu) * 4;
	if (hlen < IP4_LEN || len < hlen + QUOTED_TCP)
		return -EBADMSG;
	if (ip[9] != IP_PROTO_TCP || get16(ip + 6) & 0x1fff)
		return -EPROTONOSUPPORT;
	e->pair = (struct ip_pair){ .src = { [10] = 0xff, [11] = 0xff },
				    .dst = { [10] = 0xff, [11] = 0xff } };
	memcpy(e->pair.src + 12, ip + 12, 4);
	memcpy(e->pair.dst + 12, ip + 16, 4);
	return (int)hlen;
}

static int quoted_v6(const uint8_t *ip, size_t len, struct icmp_error *e)
{
	if (len < IP6_LEN + QUOTED_TCP || ip[0] >> 4 != 6)
		return -EBADMSG;
	/* We send no extension headers. */
	if (ip[6] != IP_PROTO_TCP)
		return -EPROTONOSUPPORT;
	if (ip_is_mapped(ip + 8) || ip_is_mapped(ip + 24))
		return -EBADMSG;
	memcpy(e->pair.src, ip + 8, 16);
	memcpy(e->pair.dst, ip + 24, 16);
	return IP6_LEN;
}

int icmp_parse(const uint8_t *msg, size_t len, bool is_v6, struct icmp_error *e)
{
	const uint8_t *th;
	int hlen, err;

	memset(e, 0, sizeof(*e));
	if (len < ICMP_HDR || (!is_v6 && ip_csum_fold(ip_csum_add(0, msg, len))))
		return -EBADMSG;
	err = is_v6 ? meaning_v6(msg, e) : meaning_v4(msg, e);
	if (err)
		return err;
	hlen = is_v6 ? quoted_v6(msg + ICMP_HDR, len - ICMP_HDR, e) :
		       quoted_v4(msg + ICMP_HDR, len - ICMP_HDR, e);
	if (hlen < 0)
		return hlen;
	th = msg + ICMP_HDR + hlen;
	e->sport = (uint16_t)get16(th);
	e->dport = (uint16_t)get16(th + 2);
	e->seq = get32(th + 4);
	return 0;
}
