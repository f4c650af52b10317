/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * capfilter.c - filter expressions: libpcap's language and words for the ring
 *
 *	vci 1025 and not token
 *	node n1 and tcp port 80
 *
 * libpcap knows tcp and host, and compares octets of the link layer, link[k].
 * So frames are shown to it as packets of link type LINUX_SLL, 16 octets that
 * we fill with facts (struct js_cap_facts), and our words become comparisons
 * of those.  libpcap does the grammar, "and" and "not", and all the rest.
 */
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* Its BPF_* are Linux's, but for this one, which nobody here needs. */
#undef BPF_MAXINSNS
#include <pcap/pcap.h>

#include "common/util.h"
#include "netns/cap.h"
#include "netns/jet.h"

#define EXPR_MAX	8192	/* octets, rewritten */
/* libpcap's time grows with the square of these and more, to minutes.  What
 * fits into JS_CAP_FILTER_MAX in the end has fewer. */
#define JOINS_MAX	256	/* "and" and "or" */
#define PLAIN_MAX	8192	/* instructions before it makes them fewer */

/* A word without a number after it, and the comparison it stands for. */
static const struct word {
	const char *name;
	unsigned int flags;		/* any of these in js_cap_facts.flags; 0: see text */
	const char *text;
} words[] = {
	{ "bad", JS_CAP_F_LOST | JS_CAP_F_CORRUPT | JS_CAP_F_DISCARD, NULL },
	{ "lost", JS_CAP_F_LOST, NULL },
	{ "corrupt", JS_CAP_F_CORRUPT, NULL },
	{ "dup", JS_CAP_F_DUP, NULL },
	{ "delayed", JS_CAP_F_DELAYED, NULL },
	{ "reorder", JS_CAP_F_REORDER, NULL },
	{ "discard", JS_CAP_F_DISCARD, NULL },
	{ "token", 0, "(link[0:2] & 0x43ff = 0x4000)" },	/* M=1, S=0 */
	{ "local", 0, "(link[4] = 3)" },
	{ "arrival", 0, "(link[4] = 2)" },
	{ "rxvci", 0, "(link[8] & 0x80 != 0)" },
};

struct text {
	char *p;
	size_t len, size;
	char *why;
	size_t why_size;
};

static void put(struct text *t, const char *s, size_t n)
{
	if (t->len < t->size && t->size - t->len > n)
		memcpy(t->p + t->len, s, n);
	t->len += n;
}

static void put_text(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void put_text(struct text *t, const char *fmt, ...)
{
	char s[160];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(s, sizeof(s), fmt, ap);
	va_end(ap);
	put(t, s, (size_t)n);
}

static bool in_word(char c)
{
	return isalnum((unsigned char)c) || (c && strchr("_.:/\\-", c));
}

static bool is(const char *word, size_t n, const char *name)
{
	return strlen(name) == n && !memcmp(word, name, n);
}

/* The number after a word, decimal or 0x…, with @prefix before it or not. */
static const char *number(const char *s, char prefix, unsigned long lo, unsigned long hi, unsigned long *v)
{
	char *end;

	while (isspace((unsigned char)*s))
		s++;
	if (prefix && *s == prefix)
		s++;
	if (!isdigit((unsigned char)*s))
		return NULL;
	*v = strtoul(s, &end, 0);
	return in_word(*end) || *v < lo || *v > hi ? NULL : end;
}

/* A word that wants a number after it; @s is behind it.
 * Return: where to go on, @word itself: it is none; NULL: wrong, and why */
static const char *numbered(struct text *t, const char *word, size_t n, const char *s)
{
	unsigned long v;
	const char *end;

	if (is(word, n, "vci")) {
		end = number(s, 0, 0, JS_VCI_MAX, &v);
		if (end)
			put_text(t, "(link[0:2] = %lu)", v);
		else
			snprintf(t->why, t->why_size, "\"vci\" wants a number to %u after it", JS_VCI_MAX);
		return end;
	}
	if (is(word, n, "stream")) {
		end = number(s, 0, 0, JS_N_STREAMS - 1, &v);
		if (end)
			put_text(t, "(link[0:2] & 0x3ff = %lu)", v);
		else
			snprintf(t->why, t->why_size, "\"stream\" wants a number to %u after it", JS_N_STREAMS - 1);
		return end;
	}
	if (!is(word, n, "node") && !is(word, n, "from") && !is(word, n, "to") &&
	    !is(word, n, "at"))
		return word;
	end = number(s, 'n', 1, NODES_MAX, &v);
	if (!end) {
		snprintf(t->why, t->why_size, "\"%.*s\" wants a node after it, n1 to n%d", (int)n, word, NODES_MAX);
		return NULL;
	}
	v %= JS_N_RING_IDS;
	if (is(word, n, "from"))
		put_text(t, "(link[2] = %lu)", v);
	else if (is(word, n, "at"))
		put_text(t, "(link[3] = %lu)", v);
	else if (is(word, n, "to"))	/* M=0: not to all */
		put_text(t, "(link[0:2] & 0x7c00 = %lu)", v << 10);
	else
		put_text(t, "(link[2] = %lu or link[3] = %lu or link[0:2] & 0x7c00 = %lu)", v, v, v << 10);
	return end;
}

int capfilter_rewrite(const char *expr, char *to, size_t size, char *why, size_t why_size)
{
	struct text t = { .p = to, .size = size, .why = why, .why_size = why_size };
	const char *s = expr;

	while (*s) {
		const char *word = s, *next;
		size_t n, i;

		if (!in_word(*s)) {
			put(&t, s++, 1);
			continue;
		}
		while (in_word(*s))
			s++;
		n = (size_t)(s - word);
		next = numbered(&t, word, n, s);
		if (!next)
			return -EINVAL;
		if (next != word) {
			s = next;
			continue;
		}
		for (i = 0; i < ARRAY_SIZE(words) && !is(word, n, words[i].name); i++)
			;
		if (i == ARRAY_SIZE(words))
			put(&t, word, n);
		else if (words[i].flags)
			put_text(&t, "(link[6:2] & 0x%x != 0)", words[i].flags);
		else
			put_text(&t, "%s", words[i].text);
	}
	if (t.len >= size) {
		snprintf(why, why_size, "the filter is too long");
		return -EINVAL;
	}
	to[t.len] = '\0';
	return 0;
}

static bool has_word(const char *expr, const char *name)
{
	while (*expr) {
		const char *word = expr;

		while (in_word(*expr))
			expr++;
		if (is(word, (size_t)(expr - word), name))
			return true;
		expr += *expr != '\0' && expr == word;
	}
	return false;
}

/* How many "and" and "or" there are. */
static unsigned int joins(const char *s)
{
	unsigned int n = 0;
	size_t len;

	for (; *s; s += len) {
		for (len = 0; in_word(s[len]); len++)
			;
		n += is(s, len, "and") || is(s, len, "or") || !strncmp(s, "&&", 2) || !strncmp(s, "||", 2);
		len += !len;
	}
	return n;
}

/* libpcap's program; -EINVAL: there is none, and why. */
static int pcap_program(pcap_t *p, struct bpf_program *prog, const char *text, bool is_short, char *why, size_t size)
{
	if (!pcap_compile(p, prog, text, is_short, PCAP_NETMASK_UNKNOWN))
		return 0;
	snprintf(why, size, "%s", pcap_geterr(p));
	return -EINVAL;
}

/* Is it of a size that libpcap can be asked to shorten? */
static int check_size(pcap_t *p, const char *text, char *why, size_t size)
{
	struct bpf_program prog;
	unsigned int n = joins(text), len;
	int err;

	if (n > JOINS_MAX) {
		snprintf(why, size, "the filter is too long: %u times \"and\" or \"or\", of %u at most", n, JOINS_MAX);
		return -EINVAL;
	}
	err = pcap_program(p, &prog, text, false, why, size);
	if (err)
		return err;
	len = prog.bf_len;
	pcap_freecode(&prog);
	if (len <= PLAIN_MAX)
		return 0;
	snprintf(why, size, "the filter is too long: %u instructions before they are made fewer, of %u at most", len,
		 PLAIN_MAX);
	return -EINVAL;
}

static int compile(struct cap_filter *f, const char *text, char *why, size_t size)
{
	pcap_t *p = pcap_open_dead(JS_CAP_FILTER_DLT, JS_CAP_SNAPLEN);
	struct bpf_program prog;
	int err;

	static_assert(sizeof(prog.bf_insns[0]) == sizeof(f->prog[0]), "both are the kernel's");
	if (!p) {
		snprintf(why, size, "out of memory");
		return -EINVAL;
	}
	err = check_size(p, text, why, size);
	if (!err)
		err = pcap_program(p, &prog, text, true, why, size);
	if (err) {
		pcap_close(p);
		return err;
	}
	err = -EINVAL;
	if (prog.bf_len > JS_CAP_FILTER_MAX) {
		snprintf(why, size, "the filter is too long: %u instructions, of %u at most", prog.bf_len,
			 JS_CAP_FILTER_MAX);
	} else {
		memcpy(f->prog, prog.bf_insns, prog.bf_len * sizeof(f->prog[0]));
		f->n = prog.bf_len;
		err = cbpf_ok(f->prog, f->n) ? 0 : -EINVAL;
		if (err)
			snprintf(why, size, "the filter has a loop (protochain), which is not taken");
	}
	pcap_freecode(&prog);
	pcap_close(p);
	return err;
}

int capfilter_compile(struct cap_filter *f, const char *expr, char *why, size_t size)
{
	char text[EXPR_MAX];
	int err;

	memset(f, 0, sizeof(*f));
	if (!expr[strspn(expr, " \t\n")])
		return 0;
	err = capfilter_rewrite(expr, text, sizeof(text), why, size);
	if (!err)
		err = compile(f, text, why, size);
	f->tokens = has_word(expr, "token");
	f->arrivals = has_word(expr, "arrival");
	return err;
}

bool capfilter_match(const struct cap_filter *f, const struct cap_record *r)
{
	struct iovec v[2] = { { (void *)&r->facts, sizeof(r->facts) }, { (void *)r->sdu, r->sdu_cap } };

	return !f->n || cbpf_run(f->prog, v, 2, (uint32_t)sizeof(r->facts) + r->sdu_len);
}

void capfilter_hex(const struct cap_filter *f, char to[CAP_FILTER_HEX])
{
	*to = '\0';
	for (size_t i = 0; i < f->n; i++)
		snprintf(to + 16 * i, 17, "%04x%02x%02x%08x", f->prog[i].code, f->prog[i].jt, f->prog[i].jf,
			 f->prog[i].k);
}
