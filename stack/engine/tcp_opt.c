/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tcp_opt.c - TCP header and options: octets to struct tcp_seg and back
 *
 * Nothing else in the engine sees network order.  The order in which options
 * are written is Linux's, so that captures of both look alike.
 *
 * Supported standards: RFC 9293, 3.1 and 3.2; RFC 2018; RFC 5482; RFC 7323; RFC 7413.
 */
#include <errno.h>
#include <string.h>

#include "stack/engine/tcp_var.h"

#define HDR_MIN		20
#define OPT_SACK_HDR	2	/* kind and length */
#define OPT_UTO		28	/* RFC 5482 */
#define OPTLEN_UTO	4
#define OPT_FASTOPEN	34	/* RFC 7413 */
#define OPT_FO_HDR	2
#define OPT_EXP		254	/* RFC 6994: an experiment, named by two octets: */
#define EXP_FASTOPEN	0xf989
#define OPT_FO_EXP_HDR	4

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint8_t *put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
	return p + 2;
}

static uint8_t *put32(uint8_t *p, uint32_t v)
{
	return put16(put16(p, (uint16_t)(v >> 16)), (uint16_t)v);
}

/* RFC 7413, 4.1.1: an option whose cookie cannot be one is ignored.  Of two the
 * later counts. */
static void parse_fastopen(struct tcp_seg *seg, uint8_t kind, const uint8_t *cookie,
			   unsigned int len)
{
	if (!(seg->flags & TH_SYN) || len % 2 || len > TCP_FO_MAX || (len && len < TCP_FO_MIN))
		return;
	seg->fo_kind = kind;
	seg->fo_len = (uint8_t)len;
	memcpy(seg->fo_cookie, cookie, len);
}

/* One option of @len octets, kind and length included; its length is right. */
static void parse_option(struct tcp_seg *seg, const uint8_t *opt, unsigned int len)
{
	unsigned int i;

	switch (opt[0]) {
	case TCPOPT_MAXSEG:
		if (len == TCPOLEN_MAXSEG && (seg->flags & TH_SYN))
			seg->mss = get16(opt + 2);
		break;
	case TCPOPT_WINDOW:
		if (len == TCPOLEN_WINDOW && (seg->flags & TH_SYN))
			seg->wscale = opt[2] < TCP_WSCALE_MAX ? opt[2] : TCP_WSCALE_MAX;
		break;
	case TCPOPT_SACK_PERMITTED:
		if (len == TCPOLEN_SACK_PERMITTED && (seg->flags & TH_SYN))
			seg->sack_permitted = true;
		break;
	case TCPOPT_TIMESTAMP:
		if (len == TCPOLEN_TIMESTAMP) {
			seg->has_ts = true;
			seg->tsval = get32(opt + 2);
			seg->tsecr = get32(opt + 6);
		}
		break;
	case OPT_UTO:
		if (len == OPTLEN_UTO)
			seg->uto = get16(opt + 2);
		break;
	case TCPOPT_SACK:
		if (len < OPT_SACK_HDR + 8 || (len - OPT_SACK_HDR) % 8)
			break;
		seg->n_sack = 0;
		for (i = OPT_SACK_HDR; i + 8 <= len && seg->n_sack < TCP_SEG_SACKS; i += 8) {
			seg->sack[seg->n_sack].start = get32(opt + i);
			seg->sack[seg->n_sack].end = get32(opt + i + 4);
			seg->n_sack++;
		}
		break;
	case OPT_FASTOPEN:
		parse_fastopen(seg, TCP_FO_OPT, opt + OPT_FO_HDR, len - OPT_FO_HDR);
		break;
	case OPT_EXP:
		if (len >= OPT_FO_EXP_HDR && get16(opt + 2) == EXP_FASTOPEN)
			parse_fastopen(seg, TCP_FO_EXP, opt + OPT_FO_EXP_HDR,
				       len - OPT_FO_EXP_HDR);
		break;
	default:
		break;	/* MUST-6 */
	}
}

int tcp_seg_parse(struct tcp_seg *seg, const uint8_t *th, size_t len)
{
	unsigned int hlen, i, n;

	memset(seg, 0, sizeof(*seg));
	seg->wscale = TCP_WS_NONE;
	if (len < HDR_MIN)
		return -EBADMSG;
	hlen = (th[12] >> 4) * 4u;
	if (hlen < HDR_MIN || hlen > len)
		return -EBADMSG;

	seg->sport = get16(th);
	seg->dport = get16(th + 2);
	seg->seq = get32(th + 4);
	seg->ack = get32(th + 8);
	seg->flags = th[13];
	seg->wnd = get16(th + 14);
	seg->up = get16(th + 18);
	seg->len = (uint32_t)(len - hlen);

	for (i = HDR_MIN; i < hlen; i += n) {
		if (th[i] == TCPOPT_EOL)
			break;
		if (th[i] == TCPOPT_NOP) {
			n = 1;
			continue;
		}
		/* MUST-7: a length that cannot be ends the list. */
		if (i + 1 >= hlen)
			break;
		n = th[i + 1];
		if (n < 2 || n > hlen - i)
			break;
		parse_option(seg, th + i, n);
	}
	return (int)hlen;
}

static uint8_t *put_timestamp(uint8_t *p, const struct tcp_seg *seg)
{
	*p++ = TCPOPT_TIMESTAMP;
	*p++ = TCPOLEN_TIMESTAMP;
	return put32(put32(p, seg->tsval), seg->tsecr);
}

static uint8_t *put_nop(uint8_t *p, unsigned int n)
{
	memset(p, TCPOPT_NOP, n);
	return p + n;
}

/* Filled up to four octets.  The longest fits behind all of the others. */
static uint8_t *put_fastopen(uint8_t *p, const struct tcp_seg *seg)
{
	unsigned int n = min_u32(seg->fo_len, TCP_FO_MAX);
	bool is_exp = seg->fo_kind == TCP_FO_EXP;
	unsigned int hdr = is_exp ? OPT_FO_EXP_HDR : OPT_FO_HDR;

	p[0] = is_exp ? OPT_EXP : OPT_FASTOPEN;
	p[1] = (uint8_t)(hdr + n);
	if (is_exp)
		put16(p + 2, EXP_FASTOPEN);
	memcpy(p + hdr, seg->fo_cookie, n);
	return put_nop(p + hdr + n, -(hdr + n) % 4);
}

/* mss; sackOK TS, or nop nop TS, or nop nop sackOK; nop wscale; Fast Open */
static uint8_t *put_syn_options(uint8_t *p, const struct tcp_seg *seg)
{
	if (seg->mss) {
		*p++ = TCPOPT_MAXSEG;
		*p++ = TCPOLEN_MAXSEG;
		p = put16(p, seg->mss);
	}
	if (seg->has_ts || seg->sack_permitted) {
		if (!seg->has_ts || !seg->sack_permitted)
			p = put_nop(p, 2);
		if (seg->sack_permitted) {
			*p++ = TCPOPT_SACK_PERMITTED;
			*p++ = TCPOLEN_SACK_PERMITTED;
		}
		if (seg->has_ts)
			p = put_timestamp(p, seg);
	}
	if (seg->wscale != TCP_WS_NONE) {
		p = put_nop(p, 1);
		*p++ = TCPOPT_WINDOW;
		*p++ = TCPOLEN_WINDOW;
		*p++ = seg->wscale;
	}
	return seg->fo_kind ? put_fastopen(p, seg) : p;
}

static uint8_t *put_other_options(uint8_t *p, const struct tcp_seg *seg)
{
	/* What fits behind a timestamp */
	unsigned int n = min_u32(seg->n_sack, seg->has_ts ? 3 : 4);
	unsigned int i;

	if (seg->has_ts)
		p = put_timestamp(put_nop(p, 2), seg);
	if (!n)
		return p;
	p = put_nop(p, 2);
	*p++ = TCPOPT_SACK;
	*p++ = (uint8_t)(OPT_SACK_HDR + 8 * n);
	for (i = 0; i < n; i++)
		p = put32(put32(p, seg->sack[i].start), seg->sack[i].end);
	return p;
}

int tcp_seg_build(const struct tcp_seg *seg, uint8_t *th)
{
	uint8_t *p = th + HDR_MIN;

	p = seg->flags & TH_SYN ? put_syn_options(p, seg) : put_other_options(p, seg);
	if (seg->uto && p + OPTLEN_UTO <= th + TCP_HDR_MAX) {
		*p++ = OPT_UTO;
		*p++ = OPTLEN_UTO;
		p = put16(p, seg->uto);
	}

	put16(th, seg->sport);
	put16(th + 2, seg->dport);
	put32(th + 4, seg->seq);
	put32(th + 8, seg->ack);
	th[12] = (uint8_t)((p - th) / 4 << 4);
	th[13] = seg->flags;
	put16(th + 14, seg->wnd);
	put16(th + 16, 0);
	put16(th + 18, seg->up);
	return (int)(p - th);
}
