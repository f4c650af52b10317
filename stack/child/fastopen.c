/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fastopen.c - TCP Fast Open in the child: RFC 7413
 *
 * DOC: who checks a cookie
 *
 * The child of the listener.  It alone processes segments with SYN, so it looks
 * at the very packet that the engine gets next (fo_on_syn()), and it knows what
 * its application has set: TCP_FASTOPEN, TCP_FASTOPEN_KEY.  The connection
 * server passes such a SYN on like any other, with its data (paper, 4.4.7).
 *
 * A cookie is SipHash of both addresses, as Linux makes it, under a key of the
 * node: net.ipv4.tcp_fastopen_key.  It lives in the kernel, so it outlives
 * children and servers, and a cookie from one of the node's two TCPs is good at
 * the other.  Where there is none the server makes one when it starts.  The
 * second key of two is good, too, but brings a new cookie: so keys are changed.
 *
 * DOC: who knows the cookies of peers
 *
 * The connection server, for the whole node (common/focache.h); an application
 * that runs once and ends would never find one else.  It is asked when
 * connect() begins, which must know whether there is a cookie, and told what
 * SYN,ACKs bring.
 *
 * DOC: limits (RFC 7413, 5.1)
 *
 * A listener has at most TCP_FASTOPEN's number of connections that were opened
 * fast and whose handshake is not complete.  One that was reset meanwhile
 * counts for another minute: its SYN was perhaps forged, and its answer hit
 * somebody.  Beyond the limit SYNs are answered as if they had no option.
 */
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/util.h"
#include "stack/child/child_int.h"

#define SETTINGS_US	1000000		/* read again after so long */
#define COOKIE_LEN	8		/* octets of ours */
#define RESET_US	60000000	/* a reset one counts for so long */
#define PENDING_MAX	4096

/* --- the node's settings ------------------------------------------------------------ */

/* A file of /proc/sys/net/ipv4.  Octets, or -Exxx. */
static int sysctl_read(const char *name, char *text, size_t size)
{
	char path[128];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv4/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, text, size - 1);
	close(fd);
	text[MAX(n, 0)] = '\0';
	return n < 0 ? -EIO : (int)n;
}

unsigned int fo_keys_parse(struct fo_keys *keys, const char *text)
{
	unsigned int w[FO_KEYS * 4], i;
	int n = sscanf(text, "%8x-%8x-%8x-%8x,%8x-%8x-%8x-%8x", w, w + 1, w + 2, w + 3, w + 4,
		       w + 5, w + 6, w + 7);

	memset(keys, 0, sizeof(*keys));
	if (n != 4 && n != 8)
		return 0;
	keys->n = (unsigned int)n / 4;
	/* The kernel prints words, lowest octet last. */
	for (i = 0; i < 4 * keys->n; i++)
		for (unsigned int k = 0; k < 4; k++)
			keys->key[i / 4][i % 4 * 4 + k] = (uint8_t)(w[i] >> 8 * k);
	return keys->n;
}

const struct fo_settings *fo_settings(struct child *c)
{
	struct fo_settings *f = &c->fo;
	uint64_t now = now_us();
	char text[128];

	if (f->is_fixed || (f->read_us && now - f->read_us < SETTINGS_US))
		return f;
	f->read_us = now;
	f->bits = 0;
	if (sysctl_read("tcp_fastopen", text, sizeof(text)) > 0)
		f->bits = (uint32_t)strtoul(text, NULL, 0);
	/* No key, or zeros, which is how the kernel says so: no cookie of ours. */
	if (sysctl_read("tcp_fastopen_key", text, sizeof(text)) <= 0 ||
	    !fo_keys_parse(&f->keys, text) ||
	    (!f->zero_is_key && sodium_is_zero(f->keys.key[0], FO_KEY)))
		f->bits &= ~(uint32_t)FO_SERVER;
	return f;
}

/* --- the listener's side ------------------------------------------------------------- */

int fo_set_key(struct child *c, const struct csock *s, const struct cm_msg *m)
{
	struct fo_keys *keys = &c->listeners[s - c->socks].keys;

	keys->n = m->n / FO_KEY;
	memcpy(keys->key, m->key, m->n);
	return 0;
}

/* As Linux makes it: SipHash-2-4 of source and destination as they are in the
 * SYN's IP header. */
static void make_cookie(const struct csock *s, const uint8_t key[FO_KEY],
			uint8_t cookie[COOKIE_LEN])
{
	unsigned int skip = cm_addr_is_v4(&s->local) ? 12 : 0;
	uint8_t addrs[32];

	static_assert(crypto_shorthash_BYTES == COOKIE_LEN &&
		      crypto_shorthash_KEYBYTES == FO_KEY, "SipHash");
	memcpy(addrs, s->peer.addr + skip, 16 - skip);
	memcpy(addrs + 16 - skip, s->local.addr + skip, 16 - skip);
	crypto_shorthash(cookie, addrs, 2 * (16 - skip), key);
}

/* Is one more such connection all right? */
static bool has_room(struct child *c, uint32_t listener, uint32_t bits)
{
	struct clistener *l = &c->listeners[listener];
	uint32_t max = so_topt(&c->stk.socks[listener], JS_TOPT_FASTOPEN);

	if (max)
		max = MIN(max - 1, (uint32_t)PENDING_MAX);
	else if (bits & FO_ALL_LISTEN)
		max = l->backlog;
	if (l->n_reset && now_us() >= l->reset_us) {
		l->n_pending -= MIN(l->n_reset, l->n_pending);
		l->n_reset = 0;
	}
	return l->n_pending < max;
}

/* RFC 7413, 4.2.2: the cookie of @seg under each key.  Whether it is good;
 * @fo->kind is set if it is to be told another. */
static bool judge(const struct csock *s, const struct fo_keys *keys, const struct tcp_seg *seg,
		  struct tcp_fo *fo)
{
	uint8_t cookie[COOKIE_LEN];
	unsigned int i = 0;

	for (; seg->fo_len == COOKIE_LEN && i < keys->n; i++) {
		make_cookie(s, keys->key[i], cookie);
		if (!sodium_memcmp(cookie, seg->fo_cookie, COOKIE_LEN))
			break;
	}
	if (seg->fo_len == COOKIE_LEN && i == 0)
		return true;
	fo->kind = seg->fo_kind;
	fo->len = COOKIE_LEN;
	make_cookie(s, keys->key[0], fo->cookie);
	return seg->fo_len == COOKIE_LEN && i < keys->n;
}

/* The packet is the one that the engine gets next; @tp is the child's private
 * copy.  Lock held. */
void fo_on_syn(void *ctx, uint32_t idx, const struct tcp_seg *seg, struct tcpcb *tp)
{
	struct child *c = ctx;
	struct csock *s = &c->socks[idx];
	const struct fo_settings *set;
	struct tcp_fo fo = { 0 };
	struct clistener *l;

	if ((!seg->fo_kind && !seg->len) || s->kind != CK_CONN || s->parent == JS_SOCK_NONE)
		return;
	set = fo_settings(c);
	l = &c->listeners[s->parent];
	if (!(set->bits & FO_SERVER) || !has_room(c, s->parent, set->bits))
		return;
	if (set->bits & FO_SERVER_BLIND ||
	    atomic_load(&c->stk.socks[s->parent].opts) & JS_SO_FO_NO_COOKIE)
		fo.accept = true;
	else if (seg->fo_kind)
		fo.accept = judge(s, l->keys.n ? &l->keys : &set->keys, seg, &fo);
	tcp_user_fastopen(tp, &fo);
	if (!fo.accept || s->fo.pending)
		return;
	s->fo.pending = true;
	l->n_pending++;
}

void fo_settled(struct child *c, struct csock *s, bool reset)
{
	struct clistener *l;

	if (!s->fo.pending)
		return;
	s->fo.pending = false;
	if (s->parent == JS_SOCK_NONE)
		return;
	l = &c->listeners[s->parent];
	if (reset) {
		l->n_reset++;
		l->reset_us = now_us() + RESET_US;
	} else if (l->n_pending) {
		l->n_pending--;
	}
}

/* --- the connector's side -------------------------------------------------------------- */

int fo_ask(struct child *c, struct csock *s)
{
	struct cm_msg m = { .type = CM_FASTOPEN, .peer = s->peer,
			    .sock = (uint32_t)(s - c->socks), .gen = s->gen };

	s->wait = CW_FASTOPEN;
	s->srv_id = m.id = ++c->next_srv_id;
	return ctl_server_send(c, &m, NULL, 0);
}

void fo_answered(struct child *c, struct csock *s, const struct cm_fastopen *fo)
{
	const struct js_sock *sh = &c->stk.socks[s - c->socks];
	uint16_t own = (uint16_t)(c->mtu - (cm_addr_is_v4(&s->peer) ? 40 : 60));
	uint32_t maxseg = so_topt(sh, JS_TOPT_MAXSEG);
	bool blind = fo_settings(c)->bits & FO_CLIENT_BLIND ||
		     atomic_load(&sh->opts) & JS_SO_FO_NO_COOKIE;

	if (maxseg && maxseg < own)
		own = (uint16_t)maxseg;
	s->fo.form = fo->form;
	s->fo.len = fo->len;
	memcpy(s->fo.cookie, fo->cookie, sizeof(s->fo.cookie));
	s->fo.mss = fo->mss;
	if (blind && fo->form) {
		s->fo.form = TCP_FO_NONE;
		s->fo.len = 0;
	}
	s->fo.room = (blind && fo->form) || (s->fo.form && s->fo.len) ?
		     tcp_fastopen_room(own, fo->mss) : 0;
}

void fo_open(const struct csock *s, struct tcpcb *tp)
{
	struct tcp_fo fo = { .kind = s->fo.form, .len = s->fo.len, .room = s->fo.room };

	if (!s->fo.wanted)
		return;
	memcpy(fo.cookie, s->fo.cookie, sizeof(fo.cookie));
	tcp_user_fastopen(tp, &fo);
}

/* RFC 7413, 4.1.3: what it brings is for the next connection. */
void fo_on_syn_ack(void *ctx, uint32_t idx, const struct tcp_seg *seg, const struct tcpcb *tp)
{
	struct child *c = ctx;
	const struct csock *s = &c->socks[idx];
	struct cm_msg m = { .type = CM_FASTOPEN, .on = 1, .sock = idx, .gen = s->gen,
			    .peer = s->peer };

	if (!(tp->uflags & (TU_FO_ASKED | TU_SYN_DATA)))
		return;
	m.fo = (struct cm_fastopen){
		.form = seg->fo_kind, .len = seg->fo_len, .mss = seg->mss,
		.asked = tp->uflags & TU_FO_ASKED ? s->fo.form : TCP_FO_NONE,
		.flags = (uint8_t)((tp->uflags & TU_SYN_DATA ? CM_FO_HAD_DATA : 0) |
				   (tp->uflags & TU_SYN_DATA_OK ? CM_FO_TOOK_DATA : 0) |
				   (tp->flags & TF_SYN_REXMT ? CM_FO_AGAIN : 0)),
	};
	memcpy(m.fo.cookie, seg->fo_cookie, sizeof(m.fo.cookie));
	/* No news: the usual case. */
	if (s->fo.len && seg->mss == s->fo.mss && !(m.fo.flags & CM_FO_AGAIN) &&
	    (!seg->fo_len || (seg->fo_len == s->fo.len && seg->fo_kind == s->fo.form &&
			      !memcmp(seg->fo_cookie, s->fo.cookie, s->fo.len))))
		return;
	ctl_server_send(c, &m, NULL, 0);
}
