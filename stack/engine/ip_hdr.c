/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ip_hdr.c - the Internet checksum, and IP headers for TCP
 *
 * A partial sum is a plain 64-bit sum of 32-bit words as they lie in memory:
 * carries pile up in the upper half and are folded once, at the end (RFC
 * 1071, 2 (A) and (B): order of addition and byte order do not matter).  Vectors
 * of two 64-bit lanes are what SSE2 and NEON add in one instruction.  2^31 words
 * may be added before anything is lost.
 */
#include <errno.h>
#include <string.h>

#include "stack/engine/tcp.h"

#define IP4_LEN		20
#define IP6_LEN		40
#define IP_PROTO_TCP	6
#define IP4_DF		0x40		/* in the octet that holds the fragment flags */
#define IP_HOPS		64		/* as Linux */
#define COPY_CHUNK	8192u		/* even, and well within a 32 KiB cache */

/* Two 64-bit lanes, a vector register nearly everywhere; at any address. */
typedef uint64_t lanes_t __attribute__((vector_size(16)));
typedef uint64_t octets16_t __attribute__((vector_size(16), aligned(1), may_alias));

static const uint8_t v4_mapped[12] = { [10] = 0xff, [11] = 0xff };

/* --- checksum ----------------------------------------------------------------- */

/* The last octets, fewer than 64. */
static uint64_t sum_tail(const uint8_t *p, size_t len)
{
	uint64_t sum = 0, word;

	for (; len >= 8; len -= 8, p += 8) {
		memcpy(&word, p, 8);
		sum += (word & 0xffffffffu) + (word >> 32);
	}
	if (len) {
		word = 0;
		memcpy(&word, p, len);
		sum += (word & 0xffffffffu) + (word >> 32);
	}
	return sum;
}

uint64_t ip_csum_add(uint64_t sum, const void *data, size_t len)
{
	const lanes_t low = { 0xffffffffu, 0xffffffffu };
	lanes_t a = { 0 }, b = { 0 }, c = { 0 }, d = { 0 };
	const uint8_t *p = data;

	for (; len >= 64; len -= 64, p += 64) {
		const octets16_t *w = (const octets16_t *)p;

		a += w[0] & low;
		b += w[0] >> 32;
		c += w[1] & low;
		d += w[1] >> 32;
		a += w[2] & low;
		b += w[2] >> 32;
		c += w[3] & low;
		d += w[3] >> 32;
	}
	a += b + c + d;
	return sum + a[0] + a[1] + sum_tail(p, len);
}

/* One pass over memory, two over the cache: memcpy() is better at copying than
 * any loop here, and what it has just written is near. */
uint64_t ip_csum_copy(void *dst, const void *src, size_t len)
{
	const uint8_t *p = src;
	uint8_t *q = dst;
	uint64_t sum = 0;
	size_t n;

	for (; len; len -= n, p += n, q += n) {
		n = len < COPY_CHUNK ? len : COPY_CHUNK;
		memcpy(q, p, n);
		sum = ip_csum_add(sum, q, n);
	}
	return sum;
}

/* To 16 bits, the carries added back. */
static uint16_t fold(uint64_t sum)
{
	sum = (sum & 0xffffffffu) + (sum >> 32);
	sum = (sum & 0xffffffffu) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

uint16_t ip_csum_fold(uint64_t sum)
{
	return (uint16_t)~fold(sum);
}

uint64_t ip_csum_swap(uint64_t sum)
{
	return __builtin_bswap16(fold(sum));
}

/* --- headers ------------------------------------------------------------------- */

bool ip_is_mapped(const uint8_t addr[16])
{
	return !memcmp(addr, v4_mapped, sizeof(v4_mapped));
}

static bool is_v4(const struct ip_pair *pair)
{
	return ip_is_mapped(pair->src) && ip_is_mapped(pair->dst);
}

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static uint32_t get16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static int build_v4(uint8_t *ip, const struct ip_pair *pair, uint32_t tcp_len, uint8_t tos,
		    uint8_t ttl, uint16_t id)
{
	uint16_t csum;

	memset(ip, 0, IP4_LEN);
	ip[0] = 0x45;
	ip[1] = tos;
	put16(ip + 2, IP4_LEN + tcp_len);
	put16(ip + 4, id);
	ip[6] = IP4_DF;
	ip[8] = ttl ? ttl : IP_HOPS;
	ip[9] = IP_PROTO_TCP;
	memcpy(ip + 12, pair->src + 12, 4);
	memcpy(ip + 16, pair->dst + 12, 4);
	csum = ip_csum_fold(ip_csum_add(0, ip, IP4_LEN));
	memcpy(ip + 10, &csum, 2);
	return IP4_LEN;
}

int ip_build(uint8_t *ip, const struct ip_pair *pair, uint32_t tcp_len, uint8_t tos,
	     uint8_t ttl, uint16_t id)
{
	if (is_v4(pair))
		return build_v4(ip, pair, tcp_len, tos, ttl, id);
	memset(ip, 0, 4);
	ip[0] = (uint8_t)(0x60 | tos >> 4);
	ip[1] = (uint8_t)(tos << 4);
	put16(ip + 4, tcp_len);
	ip[6] = IP_PROTO_TCP;
	ip[7] = ttl ? ttl : IP_HOPS;
	memcpy(ip + 8, pair->src, 16);
	memcpy(ip + 24, pair->dst, 16);
	return IP6_LEN;
}

void ip_clear_df(uint8_t *ip, uint16_t id)
{
	uint16_t csum;

	put16(ip + 4, id);
	ip[6] = 0;
	put16(ip + 10, 0);
	csum = ip_csum_fold(ip_csum_add(0, ip, IP4_LEN));
	memcpy(ip + 10, &csum, 2);
}

static int parse_v4(const uint8_t *ip, size_t len, struct ip_pair *pair, uint8_t *tos)
{
	uint32_t hlen = (ip[0] & 0xfu) * 4;

	if (len < IP4_LEN || hlen < IP4_LEN || hlen > len || get16(ip + 2) != len)
		return -EBADMSG;
	if (ip_csum_fold(ip_csum_add(0, ip, hlen)))
		return -EBADMSG;
	/* Neither more fragments nor an offset */
	if (get16(ip + 6) & 0x3fff)
		return -EBADMSG;
	if (ip[9] != IP_PROTO_TCP)
		return -EPROTONOSUPPORT;
	memcpy(pair->src, v4_mapped, sizeof(v4_mapped));
	memcpy(pair->dst, v4_mapped, sizeof(v4_mapped));
	memcpy(pair->src + 12, ip + 12, 4);
	memcpy(pair->dst + 12, ip + 16, 4);
	*tos = ip[1];
	return (int)hlen;
}

static int parse_v6(const uint8_t *ip, size_t len, struct ip_pair *pair, uint8_t *tos)
{
	if (len < IP6_LEN || get16(ip + 4) != len - IP6_LEN)
		return -EBADMSG;
	if (ip[6] != IP_PROTO_TCP)
		return -EPROTONOSUPPORT;
	/* For us that is IPv4, which has not come through IPv4's filters. */
	if (ip_is_mapped(ip + 8) || ip_is_mapped(ip + 24))
		return -EBADMSG;
	memcpy(pair->src, ip + 8, 16);
	memcpy(pair->dst, ip + 24, 16);
	*tos = (uint8_t)(ip[0] << 4 | ip[1] >> 4);
	return IP6_LEN;
}

int ip_parse(const uint8_t *ip, size_t len, struct ip_pair *pair, uint8_t *tos)
{
	if (!len)
		return -EBADMSG;
	if (ip[0] >> 4 == 4)
		return parse_v4(ip, len, pair, tos);
	if (ip[0] >> 4 == 6)
		return parse_v6(ip, len, pair, tos);
	return -EBADMSG;
}

uint64_t ip_pseudo_sum(const struct ip_pair *pair, uint32_t tcp_len)
{
	uint8_t end[8] = { 0 };
	uint64_t sum;

	put16(end, tcp_len >> 16);
	put16(end + 2, tcp_len & 0xffff);
	end[7] = IP_PROTO_TCP;
	sum = ip_csum_add(0, end, sizeof(end));
	if (is_v4(pair))
		return ip_csum_add(ip_csum_add(sum, pair->src + 12, 4), pair->dst + 12, 4);
	return ip_csum_add(ip_csum_add(sum, pair->src, 16), pair->dst, 16);
}
