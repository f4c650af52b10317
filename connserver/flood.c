/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * flood.c - when a listener's backlog is full: SYN cookies (RFC 4987)
 *
 * Runs in jetconnd.  The numbers are cookie.c's; here is when, and the SYN,ACK.
 *
 * DOC: a flood
 *
 *	SYN -> Syn, CM_MAY_REFUSE -> child
 *	child: Divert, -EAGAIN: full
 *	  `- this SYN and those of the next second: SYN,ACK with a cookie
 *	ACK, no connection, the cookie is ours
 *	  `- Syn, CM_COOKIE, and the SYN rebuilt -> child
 *	     child: Divert, 0 ---------> the ACK to its VCI: ESTABLISHED
 *	     child: Divert, -EUSERS: accept() does not keep up: dropped; what
 *		    the peer sends again tries again
 *	ACK, the cookie is not ours ---> kernel: RST
 *
 * One SYN a second asks the child whether there is room again.  For as long as
 * cookies may be on their way the child is given the cookie as ISS for it: a
 * SYN that comes twice is answered with the same ISS, but across a tick, and
 * not by child and server differently.
 *
 * The SYN,ACK is the one the child would send: made by the same engine, in a
 * block that is forgotten.  It announces our IP_DIVERT as RxVCI, so that the ACK
 * comes here; the child announces its own later (JS_SOF_ANNOUNCE).  A kernel
 * sends its ACK here by itself.
 *
 * Cookies do not survive the server: who has one gets RST, and connects again.
 */
#include <stdlib.h>
#include <string.h>

#include "abi/aal5.h"
#include "abi/shmseg.h"
#include "common/log.h"
#include "connserver/cookie.h"
#include "connserver/flood.h"
#include "connserver/syn.h"
#include "stack/child/secret.h"
#include "stack/shm/cm.h"

#define PRESSED_US	1000000			/* so long the child is not asked again */
#define COOKIES_US	(2ull * CS_COOKIE_TICK_US)	/* so long a cookie may come back */
#define MODE_US		1000000			/* the setting is read so often */

struct cs_flood {
	struct cs_cookie *cookie;
	int mode;			/* net.ipv4.tcp_syncookies */
	uint64_t mode_until_us;		/* as of then */
};

struct cs_flood *cs_flood_new(void)
{
	struct cs_flood *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->cookie = cs_cookie_new();
	if (f->cookie)
		return f;
	free(f);
	return NULL;
}

void cs_flood_free(struct cs_flood *f)
{
	if (f)
		cs_cookie_free(f->cookie);
	free(f);
}

/* --- when ----------------------------------------------------------------- */

static int mode(struct cs_server *cs)
{
	struct cs_flood *f = cs->flood;

	if (cs->now_us >= f->mode_until_us) {
		f->mode = cs->net->syncookies(cs);
		f->mode_until_us = cs->now_us + MODE_US;
	}
	return f->mode;
}

bool cs_flood_is_on(struct cs_server *cs)
{
	return mode(cs) > 0;
}

bool cs_flood_wants_cookie(struct cs_server *cs, const struct cs_listener *l, bool is_busy)
{
	switch (mode(cs)) {
	case 0:
		return false;
	case 1:
		return is_busy || cs->now_us < l->pressed_until_us;
	default:
		return true;
	}
}

static bool may_have_cookies(const struct cs_server *cs, const struct cs_listener *l)
{
	return l->cookie_us && cs->now_us - l->cookie_us <= COOKIES_US;
}

/* One line a flood. */
static void warn_of_flood(struct cs_server *cs, struct cs_listener *l)
{
	bool is_new = !l->flood_us || cs->now_us - l->flood_us > COOKIES_US;
	char at[CM_ADDR_STRLEN];

	l->flood_us = cs->now_us;
	if (is_new)
		log_warn("possible SYN flooding on %s: %s", cm_addr_str(&l->local, at),
			 mode(cs) ? "sending cookies" : "dropping requests");
}

void cs_flood_full(struct cs_server *cs, struct cs_listener *l, const struct cm_listen *told)
{
	warn_of_flood(cs, l);
	l->pressed_until_us = cs->now_us + PRESSED_US;
	if (told->rcv_buf)
		l->told = *told;
}

/* --- the SYN,ACK ---------------------------------------------------------- */

static uint32_t ts_offset(const struct cs_server *cs, const struct cm_addr *local,
			  const struct cm_addr *peer)
{
	uint32_t iss, ts;

	secret_numbers(cs->secret, local, peer, cs->now_us, &iss, &ts);
	return ts;
}

/* As conn_open() in a child has it. */
static struct tcp_config config_of(const struct cs_listener *l, const struct cm_addr *local)
{
	struct tcp_config cfg = {
		.mss = (uint16_t)(JS_MTU - (cm_addr_is_v4(local) ? 40 : 60)),
		.rcv_buf = l->told.rcv_buf ? l->told.rcv_buf : JS_BUF_DEFAULT,
		.rcv_buf_max = JS_BUF_MAX, .ecn = (uint8_t)l->told.ecn,
	};

	if (l->told.mss && l->told.mss < cfg.mss)
		cfg.mss = l->told.mss;
	return cfg;
}

/* What a child would answer to @syn.  False: nothing. */
static bool make_syn_ack(const struct cs_server *cs, const struct tcp_config *cfg, uint32_t iss,
			 const struct tcp_seg *syn, struct tcp_seg *out)
{
	const struct tcp_view v = { .rcv_space = cfg->rcv_buf };
	struct tcpcb tcb;
	struct tcp_rx rx;

	tcp_init(&tcb, cfg);
	tcp_user_open_passive(&tcb, iss, cs->now_us);
	tcp_input(&tcb, &v, syn, cs->now_us, &rx);
	return tcp_output(&tcb, &v, cs->now_us, out) > 0 && out->flags & TH_SYN;
}

void cs_flood_answer(struct cs_server *cs, struct cs_listener *l, const struct cm_addr *local,
		     const struct cm_addr *peer, const struct tcp_seg *syn, js_vci_t vci,
		     bool has_rxvci)
{
	struct tcp_config cfg = config_of(l, local);
	uint16_t uucpi = JS_UUCPI_RXVCI | vci_make(cs->ring_id, JS_STREAM_IP_DIVERT);
	uint32_t iss = cs_cookie_iss(cs->flood->cookie, local, peer, syn, has_rxvci, cs->now_us);
	struct tcp_seg in = *syn, out;

	if (!in.has_ts) {
		/* There is no room to remember them. */
		in.wscale = TCP_WS_NONE;
		in.sack_permitted = false;
		in.flags &= (uint8_t)~(TCP_TH_ECE | TCP_TH_CWR);
	}
	if (!make_syn_ack(cs, &cfg, iss, &in, &out))
		return;
	if (out.has_ts)
		out.tsval = cs_cookie_tsval(&in, out.flags & TCP_TH_ECE, out.tsval,
					    ts_offset(cs, local, peer));
	if (!cs_syn_answer(cs, local, peer, &out, vci, has_rxvci ? uucpi : 0))
		return;
	l->cookie_us = cs->now_us;
	cs_count(cs, CS_SYNCOOKIES_SENT);
}

bool cs_flood_iss(struct cs_server *cs, const struct cs_listener *l,
		  const struct cm_addr *local, const struct cm_addr *peer,
		  const struct tcp_seg *syn, bool has_rxvci, uint32_t *iss)
{
	if (!may_have_cookies(cs, l))
		return false;
	*iss = cs_cookie_iss(cs->flood->cookie, local, peer, syn, has_rxvci, cs->now_us);
	return true;
}

/* --- the ACK -------------------------------------------------------------- */

bool cs_flood_ack(struct cs_server *cs, const struct cs_listener *l,
		  const struct cm_addr *local, const struct cm_addr *peer,
		  const struct tcp_seg *ack, struct cm_cookie *c)
{
	if ((ack->flags & (TH_SYN | TH_RST | TH_ACK)) != TH_ACK || !may_have_cookies(cs, l))
		return false;
	if (cs_cookie_check(cs->flood->cookie, local, peer, ack, ts_offset(cs, local, peer),
			    cs->now_us, c)) {
		cs_count(cs, CS_SYNCOOKIES_RECV);
		return true;
	}
	cs_count(cs, CS_SYNCOOKIES_FAILED);
	return false;
}
