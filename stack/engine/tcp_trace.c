/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tcp_trace.c - a segment as a line of text, in tcpdump's notation
 *
 *	Flags [P.], seq 1:1001, ack 1, win 512, options [nop,nop,TS val 7 ecr 3], length 1000
 *
 * Formats by hand: the engine needs nothing from outside, not even printf.
 */
#include <string.h>

#include "stack/engine/tcp_var.h"

/* Where the next character goes; what does not fit is left out. */
struct text {
	char *at, *end;
};

static void put_str(struct text *t, const char *s)
{
	while (*s && t->at < t->end)
		*t->at++ = *s++;
}

static void put_u32(struct text *t, uint32_t v)
{
	char digits[11];
	unsigned int i = sizeof(digits) - 1;

	digits[i] = '\0';
	do {
		digits[--i] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	put_str(t, digits + i);
}

static void put_flags(struct text *t, const struct tcp_seg *seg)
{
	/* tcpdump's order and letters */
	static const struct { uint8_t bit; char name[2]; } names[] = {
		{ TH_FIN, "F" }, { TH_SYN, "S" }, { TH_RST, "R" }, { TH_PUSH, "P" },
		{ TH_ACK, "." }, { TH_URG, "U" }, { TCP_TH_ECE, "E" }, { TCP_TH_CWR, "W" },
	};
	unsigned int i;

	put_str(t, "Flags [");
	if (!seg->flags)
		put_str(t, "none");
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (seg->flags & names[i].bit)
			put_str(t, names[i].name);
	put_str(t, "]");
}

static void put_timestamp(struct text *t, const struct tcp_seg *seg)
{
	put_str(t, "TS val ");
	put_u32(t, seg->tsval);
	put_str(t, " ecr ");
	put_u32(t, seg->tsecr);
}

static void put_fastopen(struct text *t, const struct tcp_seg *seg, const char *sep)
{
	static const char hex[] = "0123456789abcdef";
	unsigned int i;

	if (!seg->fo_kind)
		return;
	put_str(t, sep);
	put_str(t, seg->fo_kind == TCP_FO_EXP ? "exp-tfo" : "tfo ");
	put_str(t, seg->fo_len ? " cookie " : " cookiereq");
	for (i = 0; i < seg->fo_len && i < TCP_FO_MAX; i++) {
		char octet[3] = { hex[seg->fo_cookie[i] >> 4], hex[seg->fo_cookie[i] & 15] };

		put_str(t, octet);
	}
}

static void put_syn_options(struct text *t, const struct tcp_seg *seg)
{
	const char *sep = "";

	if (seg->mss) {
		put_str(t, "mss ");
		put_u32(t, seg->mss);
		sep = ",";
	}
	if (seg->has_ts || seg->sack_permitted) {
		put_str(t, sep);
		if (!seg->has_ts || !seg->sack_permitted)
			put_str(t, "nop,nop,");
		if (seg->sack_permitted)
			put_str(t, seg->has_ts ? "sackOK," : "sackOK");
		if (seg->has_ts)
			put_timestamp(t, seg);
		sep = ",";
	}
	if (seg->wscale != TCP_WS_NONE) {
		put_str(t, sep);
		put_str(t, "nop,wscale ");
		put_u32(t, seg->wscale);
		sep = ",";
	}
	put_fastopen(t, seg, sep);
}

static void put_other_options(struct text *t, const struct tcp_seg *seg)
{
	unsigned int i;

	if (seg->has_ts) {
		put_str(t, "nop,nop,");
		put_timestamp(t, seg);
	}
	if (!seg->n_sack)
		return;
	put_str(t, seg->has_ts ? ",nop,nop,sack " : "nop,nop,sack ");
	put_u32(t, seg->n_sack);
	put_str(t, " ");
	for (i = 0; i < seg->n_sack && i < TCP_SEG_SACKS; i++) {
		put_str(t, "{");
		put_u32(t, seg->sack[i].start);
		put_str(t, ":");
		put_u32(t, seg->sack[i].end);
		put_str(t, "}");
	}
}

char *tcp_seg_str(const struct tcp_seg *seg, char *buf, size_t size)
{
	struct text t = { buf, buf };
	bool is_syn = seg->flags & TH_SYN;

	if (!size)
		return buf;
	t.end = buf + size - 1;

	put_flags(&t, seg);
	/* Like tcpdump, no sequence number for a bare ACK. */
	if (seg->len || (seg->flags & (TH_SYN | TH_FIN | TH_RST))) {
		put_str(&t, ", seq ");
		put_u32(&t, seg->seq);
		if (seg->len) {
			put_str(&t, ":");
			put_u32(&t, seg->seq + seg->len);
		}
	}
	if (seg->flags & TH_ACK) {
		put_str(&t, ", ack ");
		put_u32(&t, seg->ack);
	}
	put_str(&t, ", win ");
	put_u32(&t, seg->wnd);
	if (seg->has_ts || (is_syn && (seg->mss || seg->sack_permitted ||
				       seg->wscale != TCP_WS_NONE || seg->fo_kind)) ||
	    (!is_syn && seg->n_sack)) {
		put_str(&t, ", options [");
		if (is_syn)
			put_syn_options(&t, seg);
		else
			put_other_options(&t, seg);
		put_str(&t, "]");
	}
	if (seg->uto) {
		put_str(&t, seg->uto & TCP_UTO_MINUTES ? ", uto minutes " : ", uto ");
		put_u32(&t, seg->uto & (uint16_t)~TCP_UTO_MINUTES);
	}
	put_str(&t, ", length ");
	put_u32(&t, seg->len);
	*t.at = '\0';
	return buf;
}
