/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mkcap.c - writes a capture by hand: what the dissector is tested with
 *
 *	mkcap FILE
 *
 * The frames are made here, octet by octet, with CRCs and checksums of our
 * own (bit by bit, no table, no library), so that nothing that jetringd or
 * the dissector does wrong can be wrong here in the same way.  The same file
 * comes out each time.  Each record's comment names its case; the tests find
 * it by that.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/aal5.h"
#include "abi/capture.h"
#include "abi/vci.h"

#define CTL_IF		4	/* interface of control messages; 0 to 3: nodes */
#define T0_NS		1000000000000000000ull	/* 2001-09-09T01:46:40Z */

static FILE *out;
static uint64_t now_ns;
static uint32_t n_frames;
static uint64_t token_id = 100;

static void put16(uint8_t *p, unsigned int v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

static void put64(uint8_t *p, uint64_t v)
{
	put32(p, (uint32_t)(v >> 32));
	put32(p + 4, (uint32_t)v);
}

/* --- checksums --------------------------------------------------------------- */

static uint32_t crc32_aal5(const uint8_t *p, size_t len)
{
	uint32_t crc = 0xffffffff;

	while (len--) {
		crc ^= (uint32_t)*p++ << 24;
		for (int bit = 0; bit < 8; bit++)
			crc = crc << 1 ^ (crc & 0x80000000 ? 0x04c11db7 : 0);
	}
	return ~crc;
}

static uint8_t hec(const uint8_t *p)
{
	uint32_t crc = 0;

	for (int i = 0; i < 32; i++) {
		unsigned int in = p[i / 8] >> (7 - i % 8) & 1;
		unsigned int top = crc >> 7 & 1;

		crc = (crc << 1 & 0xff) ^ (in ^ top ? 0x07 : 0);
	}
	return (uint8_t)(crc ^ JS_HEC_COSET);
}

static uint32_t sum16(const uint8_t *p, size_t len, uint32_t sum)
{
	for (size_t i = 0; i < len; i++)
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	return sum;
}

static unsigned int fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum & 0xffff;
}

/* --- pcapng: blocks in the byte order of this machine ---------------------------- */

static void block(uint32_t type, const uint8_t *body, uint32_t len)
{
	static const uint8_t zero[4];
	uint32_t total = 12 + (len + 3) / 4 * 4;

	fwrite(&type, 4, 1, out);
	fwrite(&total, 4, 1, out);
	fwrite(body, 1, len, out);
	fwrite(zero, 1, total - 12 - len, out);
	fwrite(&total, 4, 1, out);
}

static uint32_t option(uint8_t *at, uint16_t code, const void *value, uint16_t len)
{
	memcpy(at, &code, 2);
	memcpy(at + 2, &len, 2);
	memset(at + 4, 0, (len + 3u) / 4 * 4);
	if (len)
		memcpy(at + 4, value, len);
	return 4 + (len + 3u) / 4 * 4;
}

static void section_header(void)
{
	uint8_t body[256];
	const uint32_t magic = 0x1a2b3c4d;
	const uint16_t version[2] = { 1, 0 };
	const int64_t unknown = -1;
	uint32_t len = 16;

	memcpy(body, &magic, 4);
	memcpy(body + 4, version, 4);
	memcpy(body + 8, &unknown, 8);
	len += option(body + len, 4, "mkcap", 5);	/* shb_userappl */
	len += option(body + len, 0, NULL, 0);
	block(0x0a0d0d0a, body, len);
}

static void interface(const char *name, uint16_t link_type)
{
	uint8_t body[256] = { 0 };
	const uint32_t snaplen = JS_CAP_SNAPLEN;
	const uint8_t tsresol = 9;
	uint32_t len = 8;

	memcpy(body, &link_type, 2);
	memcpy(body + 4, &snaplen, 4);
	len += option(body + len, 2, name, (uint16_t)strlen(name));
	len += option(body + len, 9, &tsresol, 1);
	len += option(body + len, 0, NULL, 0);
	block(1, body, len);
}

static void packet(uint32_t interface_id, const char *comment, const uint8_t *data,
		   uint32_t caplen, uint32_t len, uint32_t direction)
{
	static uint8_t body[JS_CAP_SNAPLEN + 1024];
	uint64_t ts = T0_NS + now_ns;
	uint32_t head[5] = { interface_id, (uint32_t)(ts >> 32), (uint32_t)ts, caplen, len };
	uint32_t at = sizeof(head) + (caplen + 3) / 4 * 4;

	memset(body, 0, at);
	memcpy(body, head, sizeof(head));
	memcpy(body + sizeof(head), data, caplen);
	at += option(body + at, 1, comment, (uint16_t)strlen(comment));
	if (direction)
		at += option(body + at, 2, &direction, 4);	/* epb_flags */
	at += option(body + at, 0, NULL, 0);
	block(6, body, at);
}

/* --- a record: capture header, frame ------------------------------------------------ */

/* What to do wrong, or otherwise; all zero is a good frame that was sent. */
struct how {
	unsigned int dir;	/* 0: sent */
	unsigned int station;	/* recording Ring ID, if it is an arrival */
	unsigned int flags;	/* JS_CAP_F_* beside TOKEN and COPIED */
	bool no_token;
	bool same_token;	/* as the frame before */
	bool same_frame;	/* another record of the frame before */
	unsigned int src;	/* of the capture header, if wrong; + 1 */
	unsigned int version, hdr_len;	/* 0: as they should be */
	int frame_len_add;
	unsigned int uucpi;
	uint32_t hdr_xor;	/* of the first four octets */
	uint8_t hec_xor;
	uint32_t crc_xor;
	int length;		/* -1: 0; 0: right */
	unsigned int cut;	/* octets missing at the end of the CPCS-PDU */
	uint8_t pad;		/* what PAD is filled with */
	uint32_t snaplen;	/* 0: all */
};

static unsigned int interface_of(unsigned int ring_id)
{
	return ring_id ? ring_id - 1 : 3;	/* n1, n2, n3, n16 */
}

static uint32_t make_frame(uint8_t *f, js_vci_t vci, const uint8_t *sdu, uint32_t len,
			   const struct how *how)
{
	uint32_t cpcs = aal5_cpcs_len(len);
	uint8_t *trailer = f + JS_HDR_LEN + cpcs - JS_TRAILER_LEN;

	put32(f, ((uint32_t)vci << 4 | JS_HDR_PT << 1) ^ how->hdr_xor);
	f[4] = hec(f) ^ how->hec_xor;
	memcpy(f + JS_HDR_LEN, sdu, len);
	memset(f + JS_HDR_LEN + len, how->pad, cpcs - JS_TRAILER_LEN - len);
	put16(trailer, how->uucpi);
	put16(trailer + 2, how->length < 0 ? 0 : how->length ? (unsigned int)how->length : len);
	put32(trailer + 4, crc32_aal5(f + JS_HDR_LEN, cpcs - 4) ^ how->crc_xor);
	return JS_HDR_LEN + cpcs - how->cut;
}

static void record(const char *name, unsigned int src, js_vci_t vci, const uint8_t *sdu,
		   uint32_t len, struct how how)
{
	static uint8_t data[JS_CAP_SNAPLEN];
	unsigned int hdr_len = how.hdr_len ? how.hdr_len : sizeof(struct js_cap_hdr);
	unsigned int dir = how.dir ? how.dir : JS_CAP_TX;
	unsigned int station = dir == JS_CAP_RX ? how.station : src;
	unsigned int flags = how.flags;
	uint32_t frame_len, total;

	if (!(flags & (JS_CAP_F_LOST | JS_CAP_F_DISCARD)))
		flags |= JS_CAP_F_COPIED;
	if (!how.no_token && dir != JS_CAP_LOCAL)
		flags |= JS_CAP_F_TOKEN;
	now_ns += 1000000;
	n_frames += !how.same_frame;
	token_id += 3 * (!how.same_frame && !how.same_token);

	memset(data, 0, sizeof(data));
	frame_len = make_frame(data + hdr_len, vci, sdu, len, &how);
	data[0] = (uint8_t)(how.version ? how.version : JS_CAP_VERSION);
	data[1] = (uint8_t)hdr_len;
	data[2] = (uint8_t)station;
	data[3] = (uint8_t)dir;
	put16(data + 4, flags);
	data[6] = (uint8_t)(how.src ? how.src - 1 : src);
	put32(data + 8, frame_len + (uint32_t)how.frame_len_add);
	put32(data + 12, dir == JS_CAP_LOCAL ? 0 : n_frames);
	put64(data + 16, flags & JS_CAP_F_TOKEN ? token_id : 0);
	put64(data + 24, now_ns);
	total = hdr_len + frame_len;
	packet(interface_of(station), name, data,
	       how.snaplen && how.snaplen < total ? how.snaplen : total, total,
	       dir == JS_CAP_RX ? 1 : 2);
}

/* --- SDUs ---------------------------------------------------------------------------- */

static uint8_t sdu[JS_SDU_MAX];

/* 10.74.0.K; Ring ID 0 is node 16 */
static void put_addr(uint8_t *p, unsigned int ring_id)
{
	put32(p, 0x0a4a0000 | (ring_id ? ring_id : 16));
}

static uint32_t make_ip(unsigned int src, unsigned int dst, unsigned int proto, uint32_t len)
{
	memset(sdu, 0, 20);
	sdu[0] = 0x45;
	put16(sdu + 2, 20 + len);
	sdu[6] = 0x40;		/* do not fragment */
	sdu[8] = 64;
	sdu[9] = (uint8_t)proto;
	put_addr(sdu + 12, src);
	put_addr(sdu + 16, dst);
	put16(sdu + 10, fold(sum16(sdu, 20, 0)));
	return 20 + len;
}

static unsigned int transport_sum(unsigned int proto, uint32_t len)
{
	return fold(sum16(sdu + 12, 8, sum16(sdu + 20, len, proto + len)));
}

static uint32_t make_udp(unsigned int src, unsigned int dst, uint32_t n)
{
	uint32_t len = make_ip(src, dst, 17, 8 + n);

	memset(sdu + 20, 0, 8);
	put16(sdu + 20, 4000);
	put16(sdu + 22, 9);	/* discard */
	put16(sdu + 24, 8 + n);
	for (uint32_t i = 0; i < n; i++)
		sdu[28 + i] = (uint8_t)i;
	put16(sdu + 26, transport_sum(17, 8 + n));
	return len;
}

#define FIN	0x01
#define SYN	0x02
#define PSH	0x08
#define ACK	0x10

static uint32_t make_tcp(unsigned int src, unsigned int dst, unsigned int flags, uint32_t seq,
			 uint32_t ack, const char *text, uint32_t n)
{
	unsigned int opt = flags & SYN ? 4 : 0;
	uint32_t len = make_ip(src, dst, 6, 20 + opt + n);

	memset(sdu + 20, 0, 20 + opt);
	put16(sdu + 20, src == 1 ? 40000 : 10007);
	put16(sdu + 22, src == 1 ? 10007 : 40000);
	put32(sdu + 24, seq);
	put32(sdu + 28, ack);
	sdu[32] = (uint8_t)((20 + opt) / 4 << 4);
	sdu[33] = (uint8_t)flags;
	put16(sdu + 34, 61440);
	if (opt)
		put32(sdu + 40, 0x02040000 | 61440);	/* MSS */
	for (uint32_t i = 0; i < n; i++)
		sdu[40 + opt + i] = (uint8_t)text[i % strlen(text)];
	put16(sdu + 36, transport_sum(6, 20 + opt + n));
	return len;
}

static uint32_t make_icmp(unsigned int src, unsigned int dst, unsigned int type)
{
	uint32_t len = make_ip(src, dst, 1, 40);

	memset(sdu + 20, 0, 8);
	sdu[20] = (uint8_t)type;
	put16(sdu + 24, 74);
	put16(sdu + 26, 1);
	memset(sdu + 28, 'j', 32);
	put16(sdu + 22, fold(sum16(sdu + 20, 40, 0)));
	return len;
}

static uint32_t make_arp(unsigned int op, unsigned int src, unsigned int dst)
{
	static const uint8_t head[7] = { 0, 1, 8, 0, 6, 4, 0 };
	static const uint8_t mac[5] = { 0x02, 0x4a, 0x53, 0, 0 };

	memset(sdu, 0, 28);
	memcpy(sdu, head, sizeof(head));
	sdu[7] = (uint8_t)op;
	memcpy(sdu + 8, mac, sizeof(mac));
	sdu[13] = (uint8_t)src;
	put_addr(sdu + 14, src);
	if (op == 2) {
		memcpy(sdu + 18, mac, sizeof(mac));
		sdu[23] = (uint8_t)dst;
	}
	put_addr(sdu + 24, dst);
	return 28;
}

/* fe80::1 to ff02::1, no next header */
static uint32_t make_ip6(void)
{
	memset(sdu, 0, 40);
	sdu[0] = 0x60;
	sdu[6] = 59;
	sdu[7] = 255;
	sdu[8] = 0xfe;
	sdu[9] = 0x80;
	sdu[23] = 1;
	sdu[24] = 0xff;
	sdu[25] = 2;
	sdu[39] = 1;
	return 40;
}

/* --- the cases --------------------------------------------------------------------------- */

#define GOOD	((struct how){ 0 })
#define UUCPI(vci) (JS_UUCPI_RXVCI | (vci))

static void kernel_traffic(void)
{
	record("arp-request", 1, vci_mcast(JS_STREAM_ARP), sdu, make_arp(1, 1, 2), GOOD);
	record("arp-reply", 2, vci_make(1, JS_STREAM_ARP), sdu, make_arp(2, 2, 1), GOOD);
	record("ping", 1, vci_make(2, JS_STREAM_IP), sdu, make_icmp(1, 2, 8), GOOD);
	record("pong", 2, vci_make(1, JS_STREAM_IP), sdu, make_icmp(2, 1, 0), GOOD);
	record("nd", 0, vci_mcast(JS_STREAM_IP), sdu, make_ip6(), GOOD);
	record("from-n16", 0, vci_make(3, JS_STREAM_IP), sdu, make_udp(0, 3, 10), GOOD);
	record("to-n16", 3, vci_make(0, JS_STREAM_IP), sdu, make_udp(3, 0, 10), GOOD);
}

/* n1 listens on stream 32, n2 on 40.  ISS 1000 and 5000. */
static void connection(void)
{
	const js_vci_t divert = vci_make(2, JS_STREAM_IP_DIVERT);
	const js_vci_t n1 = vci_make(1, 32), n2 = vci_make(2, 40);
	const char *text = "Jetstream ";

	record("syn", 1, divert, sdu, make_tcp(1, 2, SYN, 1000, 0, text, 0),
	       (struct how){ .uucpi = UUCPI(n1) });
	record("syn-ack", 2, n1, sdu, make_tcp(2, 1, SYN | ACK, 5000, 1001, text, 0),
	       (struct how){ .uucpi = UUCPI(n2) });
	record("ack", 1, n2, sdu, make_tcp(1, 2, ACK, 1001, 5001, text, 0), GOOD);
	record("data", 1, n2, sdu, make_tcp(1, 2, PSH | ACK, 1001, 5001, text, 100), GOOD);
	record("data-arrival", 1, n2, sdu, make_tcp(1, 2, PSH | ACK, 1001, 5001, text, 100),
	       (struct how){ .same_frame = true, .dir = JS_CAP_RX, .station = 2 });
	record("data-ack", 2, n1, sdu, make_tcp(2, 1, ACK, 5001, 1101, text, 0), GOOD);
	record("lost", 1, n2, sdu, make_tcp(1, 2, PSH | ACK, 1101, 5001, text, 50),
	       (struct how){ .flags = JS_CAP_F_LOST });
	now_ns += 1000000000;
	record("retransmission", 1, n2, sdu, make_tcp(1, 2, PSH | ACK, 1101, 5001, text, 50), GOOD);
	record("largest", 2, n1, sdu, make_tcp(2, 1, ACK, 5001, 1151, text, JS_MTU - 40), GOOD);
	record("fin", 1, n2, sdu, make_tcp(1, 2, FIN | ACK, 1151, 5001 + JS_MTU - 40, text, 0),
	       GOOD);
	record("fin-ack", 2, n1, sdu,
	       make_tcp(2, 1, FIN | ACK, 5001 + JS_MTU - 40, 1152, text, 0), GOOD);
	record("last-ack", 1, n2, sdu, make_tcp(1, 2, ACK, 1152, 5002 + JS_MTU - 40, text, 0),
	       GOOD);
}

static void impairments(void)
{
	const js_vci_t ip = vci_make(2, JS_STREAM_IP);
	uint32_t len = make_udp(1, 2, 20);

	record("corrupt", 1, ip, sdu, len, (struct how){ .flags = JS_CAP_F_CORRUPT });
	record("delayed", 1, ip, sdu, len, (struct how){ .flags = JS_CAP_F_DELAYED });
	record("dup", 1, ip, sdu, len, (struct how){ .same_frame = true, .flags = JS_CAP_F_DUP });
	record("dup-arrival", 1, ip, sdu, len,
	       (struct how){ .same_frame = true, .dir = JS_CAP_RX, .station = 2, .flags = JS_CAP_F_DUP });
	record("reorder", 1, ip, sdu, len, (struct how){ .flags = JS_CAP_F_REORDER });
	record("discard", 1, ip, sdu, len, (struct how){ .flags = JS_CAP_F_DISCARD });
	record("local", 1, vci_make(1, JS_STREAM_IP), sdu, make_udp(1, 1, 20),
	       (struct how){ .dir = JS_CAP_LOCAL });
	len = make_udp(1, 2, 20);
	record("no-token", 1, ip, sdu, len, (struct how){ .no_token = true });
	record("token-holder", 1, ip, sdu, len, GOOD);
	record("token-thief", 2, vci_make(1, JS_STREAM_IP), sdu, make_udp(2, 1, 20),
	       (struct how){ .same_token = true });
}

static void damaged_frames(void)
{
	const js_vci_t ip = vci_make(2, JS_STREAM_IP);
	uint32_t len = make_udp(1, 2, 20);

	record("bad-crc", 1, ip, sdu, len, (struct how){ .crc_xor = 0x00010000 });
	record("bad-hec", 1, ip, sdu, len, (struct how){ .hec_xor = 0x40 });
	record("bad-length-long", 1, ip, sdu, len, (struct how){ .length = 89 });
	record("bad-length-short", 1, ip, sdu, make_udp(1, 2, 61), (struct how){ .length = 40 });
	len = make_udp(1, 2, 20);
	record("abort", 1, ip, sdu, len, (struct how){ .length = -1 });
	record("pad-nonzero", 1, ip, sdu, len, (struct how){ .pad = 0xa5 });
	record("not-48", 1, ip, sdu, len, (struct how){ .cut = 7 });
	record("short", 1, ip, sdu, len, (struct how){ .cut = 90 });
	record("truncated", 1, ip, sdu, make_udp(1, 2, 1000), (struct how){ .snaplen = 128 });
	len = make_udp(1, 2, 20);
	record("truncated-in-header", 1, ip, sdu, len, (struct how){ .snaplen = 35 });
	record("gfc-vpi-clp", 1, ip, sdu, len, (struct how){ .hdr_xor = 0x30100001 });
	record("vci-bit-15", 1, ip, sdu, len, (struct how){ .hdr_xor = 0x00080000 });
	record("pt", 1, ip, sdu, len, (struct how){ .hdr_xor = 0x00000002 });
}

/* abi/ring.h */
static void mgmt_frame(const char *name, unsigned int type, unsigned int src, unsigned int to,
		       unsigned int reason)
{
	uint8_t m[40] = { 1 };

	m[1] = (uint8_t)type;
	m[2] = (uint8_t)src;
	m[3] = 1;			/* monitor */
	put16(m + 4, 0x8006);		/* n1, n2, n15 */
	m[6] = (uint8_t)reason;
	m[7] = (uint8_t)to;
	put64(m + 8, token_id);
	put32(m + 16, 5);
	put32(m + 20, 500000);
	record(name, src, vci_mcast(JS_STREAM_MGMT), m, sizeof(m),
	       (struct how){ .same_token = true, .no_token = type != 1 });
}

static void mgmt_frames(void)
{
	mgmt_frame("token", 1, 1, 2, 0);
	mgmt_frame("claim", 2, 1, 0, 3);
	mgmt_frame("purge", 3, 1, 0, 1);
	mgmt_frame("mgmt-type-9", 9, 1, 0, 0);
}

static void odd_frames(void)
{
	const js_vci_t ip = vci_make(2, JS_STREAM_IP);
	uint32_t len = make_udp(1, 2, 20);

	record("reserved-stream", 1, vci_make(2, 5), sdu, len, GOOD);
	record("mcast-ring-id", 1, JS_VCI_MCAST | vci_make(2, JS_STREAM_IP), sdu, len, GOOD);
	record("management", 1, vci_mcast(JS_STREAM_MGMT), sdu, 16, GOOD);
	mgmt_frames();
	record("not-ip", 1, vci_make(2, 100), (const uint8_t *)"\x10 not IP", 8, GOOD);
	record("uucpi-other", 1, ip, sdu, len, (struct how){ .uucpi = 0x1122 });
	record("rxvci-foreign", 1, ip, sdu, len, (struct how){ .uucpi = UUCPI(vci_make(3, 50)) });
	record("rxvci-mcast", 1, ip, sdu, len,
	       (struct how){ .uucpi = UUCPI(JS_VCI_MCAST | vci_make(1, 50)) });
	record("version-2", 1, ip, sdu, len, (struct how){ .version = 2, .hdr_len = 40 });
	record("hdr-len-16", 1, ip, sdu, len, (struct how){ .hdr_len = 16 });
	record("frame-len", 1, ip, sdu, len, (struct how){ .frame_len_add = 48 });
	record("no-ring-id", 1, ip, sdu, len, (struct how){ .src = 200 + 1 });
	record("cap-reserved", 1, ip, sdu, len, (struct how){ .flags = 0x8000 });
}

static void vectors(void)
{
	const js_vci_t vci = vci_make(2, 100);

	memset(sdu, 0, 40);
	record("vector-864d7f99", 1, vci, sdu, 40, GOOD);
	memset(sdu, 0xff, 40);
	record("vector-c55e457a", 1, vci, sdu, 40, GOOD);
	for (int i = 0; i < 40; i++)
		sdu[i] = (uint8_t)(i + 1);
	record("vector-bf671ed0", 1, vci, sdu, 40, GOOD);
	record("vector-acba602a", 1, vci, sdu, 40, (struct how){ .uucpi = 0x1122 });
}

static void control_message(void)
{
	const char *text = "n1 jetconnd > child 4711: Syn 10.74.0.1:40000 10.74.0.2:7\n"
			   "n1 child 4711 > jetconnd: Forward\n";

	now_ns += 1000000;
	packet(CTL_IF, "control", (const uint8_t *)text, (uint32_t)strlen(text),
	       (uint32_t)strlen(text), 0);
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: mkcap FILE\n");
		return 2;
	}
	out = fopen(argv[1], "wb");
	if (!out) {
		perror(argv[1]);
		return 1;
	}
	section_header();
	interface("n1", JS_DLT);
	interface("n2", JS_DLT);
	interface("n3", JS_DLT);
	interface("n16", JS_DLT);
	interface("ctl", JS_CAP_CTL_DLT);

	kernel_traffic();
	connection();
	impairments();
	damaged_frames();
	odd_frames();
	vectors();
	control_message();

	if (ferror(out) || fclose(out)) {
		perror(argv[1]);
		return 1;
	}
	return 0;
}
