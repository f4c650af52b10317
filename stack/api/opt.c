/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * opt.c - options of a socket
 *
 * Those that our TCP honours are in the shared state.  For all others the
 * kernel is asked: an option is set on a kernel socket of the same kind that
 * lives for this call, which gives the errno or the value that Linux would
 * give.  What was set successfully is kept, to be read back, to be inherited
 * by accepted sockets, and to be set on the kernel socket that takes over when
 * connect() leads out of our network.
 */
#include <fcntl.h>
#include <sched.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <unistd.h>

#include <linux/sock_diag.h>
#include <linux/net_tstamp.h>
#include <linux/sockios.h>

#include "common/util.h"
#include "stack/api/api.h"

#define RCVBUF_MIN	4608		/* octets */
#define SNDBUF_MIN	2304		/* octets: half of Linux's SOCK_MIN_SNDBUF */
#define STAMP_ID_TCP	(1u << 16)	/* SOF_TIMESTAMPING_OPT_ID_TCP of newer headers */
#define US_MAX		(UINT64_MAX / 4)
#define US_NOT		1		/* of a time-out: not at all; reads 0 */

/* Linux's TCP-AO (RFC 5925), newer than our headers: keys, and what is known of them */
#define TCP_AO_FIRST	38
#define TCP_AO_LAST	42

/* --- what was set ------------------------------------------------------------------- */

static struct opt_val *opt_find(const struct sockrec *rec, int level, int name)
{
	for (unsigned int i = 0; i < rec->n_opts; i++) {
		struct opt_val *o = usock_opt_val(rec, i);

		if (o->level == level && o->name == name)
			return o;
	}
	return NULL;
}

/* Keep it, if there is room. */
static void opt_keep(struct sockrec *rec, int level, int name, const void *val, socklen_t len)
{
	struct opt_val *o = opt_find(rec, level, name);

	if (len > OPT_VAL_MAX)
		return;
	if (!o) {
		if (rec->n_opts == OPT_MAX)
			return;
		o = usock_opt_val(rec, rec->n_opts++);
		o->level = level;
		o->name = name;
	}
	memcpy(o->val, val, len);
	o->len = (uint8_t)len;
}

void opt_replay(const struct sockrec *rec, int fd)
{
	for (unsigned int i = 0; i < rec->n_opts; i++) {
		const struct opt_val *o = usock_opt_val(rec, i);

		libc()->setsockopt(fd, o->level, o->name, o->val, o->len);
	}
}

/* A kernel socket as @rec's would be. */
static int shadow(const struct sockrec *rec)
{
	int fd = libc()->socket(rec->family, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);

	if (fd >= 0)
		opt_replay(rec, fd);
	return fd < 0 ? -errno : fd;
}

static int shadow_set(struct usock *u, int level, int name, const void *val, socklen_t len)
{
	int fd = shadow(u->rec), r;
	uint8_t back[OPT_VAL_MAX];
	socklen_t said = sizeof(back);

	if (fd < 0)
		return fd;
	r = (int)api_err(libc()->setsockopt(fd, level, name, val, len));
	/* Longer than it need be?  What counts is as long as what is read back. */
	if (!r && len > said && libc()->getsockopt(fd, level, name, back, &said) == 0)
		len = said;
	libc()->close(fd);
	if (!r)
		opt_keep(u->rec, level, name, val, len);
	return r;
}

static int shadow_get(struct usock *u, int level, int name, void *val, socklen_t *len)
{
	int fd = shadow(u->rec), r;

	if (fd < 0)
		return fd;
	r = (int)api_err(libc()->getsockopt(fd, level, name, val, len));
	libc()->close(fd);
	return r;
}

/* --- setting --------------------------------------------------------------------------- */

static int timeo_set(struct usock *u, int name, const void *val, socklen_t len)
{
	struct timeval tv;
	uint64_t us = 0;

	if (len < sizeof(tv))
		return -EINVAL;
	memcpy(&tv, val, sizeof(tv));
	if (tv.tv_usec < 0 || tv.tv_usec >= 1000000)
		return -EDOM;
	/* Negative: do not wait at all; here, for the shortest time. */
	if (tv.tv_sec < 0)
		us = US_NOT;
	else if ((uint64_t)tv.tv_sec < US_MAX / 1000000)
		us = (uint64_t)tv.tv_sec * 1000000 + (uint64_t)tv.tv_usec;
	if (us == US_NOT && tv.tv_sec >= 0)
		us++;
	atomic_store(name == SO_RCVTIMEO ? &u->js->rcvtimeo_us : &u->js->sndtimeo_us, us);
	/* accept() is the kernel's recvmsg() on the anchor. */
	if (name == SO_RCVTIMEO)
		libc()->setsockopt(u->fd, SOL_SOCKET, name, val, len);
	return 0;
}

static int linger_set(struct usock *u, const void *val, socklen_t len)
{
	struct linger l;

	if (len < sizeof(l))
		return -EINVAL;
	memcpy(&l, val, sizeof(l));
	if (l.l_onoff)
		atomic_store(&u->js->linger_s, (uint32_t)l.l_linger);
	usock_opt_bit(u, JS_SO_LINGER, l.l_onoff);
	return 0;
}

static int buf_set(struct usock *u, uint16_t type, int octets)
{
	uint32_t least = type == CM_SET_TX_BUFS ? SNDBUF_MIN : RCVBUF_MIN;
	struct cm_msg m = usock_msg(u, type);

	/* sock_setsockopt() is silent about both bounds. */
	m.n = octets < 0 || (uint32_t)octets > JS_BUF_MAX ? JS_BUF_MAX :
	      MAX((uint32_t)octets, least);
	return link_simple(&m);
}

static int reuseaddr_set(struct usock *u, bool on)
{
	struct cm_msg m = usock_msg(u, CM_SET_REUSE_ADDR);

	m.on = on;
	usock_opt_bit(u, JS_SO_REUSEADDR, on);
	return link_simple(&m);
}

/* The engine looks at what was set.  Not connected yet: the child looks when it
 * opens. */
static int changed(struct usock *u)
{
	return usock_is_listener(u) ? 0 : so_opts_changed(u->stk, u->sock, u->gen);
}

/* TCP_CONGESTION: a name, not always with its NUL.  As Linux: ENOENT. */
static int congestion_set(struct usock *u, const void *val, socklen_t len)
{
	char name[16] = "";
	uint8_t algo;
	int r;

	if (!len)
		return -EINVAL;
	memcpy(name, val, MIN((size_t)len, sizeof(name) - 1));
	for (algo = 0; algo < TCP_CC_N; algo++)
		if (!strcmp(name, tcp_cc_names[algo]))
			break;
	if (algo == TCP_CC_N)
		return -ENOENT;
	usock_opt_bit(u, JS_SO_RENO, algo == TCP_CC_RENO);
	r = so_congestion(u->stk, u->sock, u->gen, algo);
	/* Not connected yet: the child reads the bit when it opens. */
	return r == -EBADF || r == -ENETDOWN ? r : 0;
}

static int flag_set(struct usock *u, uint32_t bit, bool on)
{
	bool was = usock_opt_bit(u, bit, on);

	if (bit == JS_SO_NODELAY && on)
		return usock_is_listener(u) ? 0 : so_push(u->stk, u->sock, u->gen);
	return was == on ? 0 : changed(u);
}

static int quickack_set(struct usock *u, int v)
{
	usock_opt_bit(u, JS_SO_QUICKACK, v);
	return usock_is_listener(u) ? 0 : so_quickack(u->stk, u->sock, u->gen, v);
}

/* Numbers that the engine or so_output() look at: js_sock.topt. */
static const struct topt {
	int level, name;
	unsigned int slot;
} topts[] = {
	{ IPPROTO_TCP, TCP_KEEPIDLE, JS_TOPT_KEEPIDLE },
	{ IPPROTO_TCP, TCP_KEEPINTVL, JS_TOPT_KEEPINTVL },
	{ IPPROTO_TCP, TCP_KEEPCNT, JS_TOPT_KEEPCNT },
	{ IPPROTO_TCP, TCP_USER_TIMEOUT, JS_TOPT_USER_TIMEOUT },
	{ IPPROTO_TCP, TCP_SYNCNT, JS_TOPT_SYNCNT },
	{ IPPROTO_TCP, TCP_LINGER2, JS_TOPT_LINGER2 },
	{ IPPROTO_TCP, TCP_MAXSEG, JS_TOPT_MAXSEG },
	{ IPPROTO_TCP, TCP_WINDOW_CLAMP, JS_TOPT_WINDOW_CLAMP },
	{ IPPROTO_TCP, TCP_NOTSENT_LOWAT, JS_TOPT_NOTSENT_LOWAT },
	{ IPPROTO_TCP, TCP_DEFER_ACCEPT, JS_TOPT_DEFER_ACCEPT },
	{ IPPROTO_IP, IP_TOS, JS_TOPT_TOS },
	{ IPPROTO_IP, IP_TTL, JS_TOPT_TTL },
	{ IPPROTO_IPV6, IPV6_TCLASS, JS_TOPT_TOS },
	{ IPPROTO_IPV6, IPV6_UNICAST_HOPS, JS_TOPT_TTL },
	{ IPPROTO_IP, IP_MTU_DISCOVER, JS_TOPT_MTU_DISCOVER },
	{ IPPROTO_IPV6, IPV6_MTU_DISCOVER, JS_TOPT_MTU_DISCOVER },
};

static int topt_set(struct usock *u, int level, int name, int v)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(topts) &&
		    (topts[i].level != level || topts[i].name != name); i++)
		;
	if (i == ARRAY_SIZE(topts))
		return 0;
	/* 0 is the node's; -1, more than there is room for, is no bound. */
	if (topts[i].slot == JS_TOPT_NOTSENT_LOWAT && !v)
		v = (int)u->stk->hdr->notsent_lowat;
	/* TTL and class of -1 are the default. */
	if (v < 0)
		v = name == TCP_LINGER2 && level == IPPROTO_TCP ? (int)JS_TOPT_AT_ONCE : 0;
	if (topts[i].slot == JS_TOPT_MTU_DISCOVER)
		v++;	/* 0 is the default */
	atomic_store(&u->js->topt[topts[i].slot], (uint32_t)v);
	return changed(u);
}

/* TCP_FASTOPEN: how many; the slot's 0 is "not set". */
static int fastopen_set(struct usock *u, int v)
{
	atomic_store(&u->js->topt[JS_TOPT_FASTOPEN], (uint32_t)v + 1);
	return 0;
}

/* TCP_FASTOPEN_KEY: one key or two, as the kernel has found; the child keeps them. */
static int fastopen_key_set(struct usock *u, const void *val, socklen_t len)
{
	struct cm_msg m = usock_msg(u, CM_FASTOPEN_KEY);
	int r = shadow_set(u, IPPROTO_TCP, TCP_FASTOPEN_KEY, val, len);

	if (r)
		return r;
	m.n = len;
	memcpy(m.key, val, MIN((size_t)len, sizeof(m.key)));
	return link_simple(&m);
}

/* The kernel does not know it. */
static int uto_set(struct usock *u, const void *val, socklen_t len)
{
	int v;

	if (len < sizeof(v))
		return -EINVAL;
	memcpy(&v, val, sizeof(v));
	if (v < 0 || v > 65535)
		return -EINVAL;
	atomic_store(&u->js->topt[JS_TOPT_UTO], (uint32_t)v);
	return changed(u);
}

/* The kernel says whether the flags can be; but that keys count octets it says of a
 * connection only, which the shadow is not. */
static int stamping_set(struct usock *u, const void *val, socklen_t len)
{
	uint32_t v, asked;
	int r;

	if (len < sizeof(v))
		return -EINVAL;
	memcpy(&v, val, sizeof(v));
	if (v & STAMP_ID_TCP && !(v & SOF_TIMESTAMPING_OPT_ID))
		return -EINVAL;
	if (v & SOF_TIMESTAMPING_OPT_STATS)
		return -EINVAL;
	asked = v & ~(uint32_t)(SOF_TIMESTAMPING_OPT_ID | STAMP_ID_TCP);
	r = shadow_set(u, SOL_SOCKET, SO_TIMESTAMPING, &asked, sizeof(asked));
	return r ? r : so_stamping(u->stk, u->sock, u->gen, v);
}

/* What is ours of an option the kernel has accepted.  @v: its int. */
static int set_ours(struct usock *u, int level, int name, int v)
{
	if (level == SOL_SOCKET) {
		switch (name) {
		case SO_REUSEADDR:
			return reuseaddr_set(u, v);
		case SO_REUSEPORT:
			usock_opt_bit(u, JS_SO_REUSEPORT, v);
			return 0;
		case SO_KEEPALIVE:
			return flag_set(u, JS_SO_KEEPALIVE, v);
		case SO_OOBINLINE:
			usock_opt_bit(u, JS_SO_OOBINLINE, v);
			return 0;
		case SO_ZEROCOPY:
			usock_opt_bit(u, JS_SO_ZEROCOPY, v);
			return 0;
		case SO_SNDBUF:
			return buf_set(u, CM_SET_TX_BUFS, v);
		case SO_RCVBUF:
			return buf_set(u, CM_SET_RX_BUFS, v);
		case SO_RCVLOWAT:
			u->rec->rcvlowat = (uint32_t)v;
			return 0;
		default:
			return 0;
		}
	}
	if (level == IPPROTO_IPV6 && name == IPV6_V6ONLY) {
		usock_opt_bit(u, JS_SO_V6ONLY, v);
		return 0;
	}
	if (level != IPPROTO_TCP)
		return topt_set(u, level, name, v);
	switch (name) {
	case TCP_NODELAY:
		return flag_set(u, JS_SO_NODELAY, v);
	case TCP_CORK:
		return flag_set(u, JS_SO_CORK, v);
	case TCP_QUICKACK:
		return quickack_set(u, v);
	case TCP_INQ:
		usock_opt_bit(u, JS_SO_INQ, v);
		return 0;
	case TCP_FASTOPEN:
		return fastopen_set(u, v);
	case TCP_FASTOPEN_CONNECT:
		usock_opt_bit(u, JS_SO_FO_CONNECT, v);
		return 0;
	case TCP_FASTOPEN_NO_COOKIE:
		usock_opt_bit(u, JS_SO_FO_NO_COOKIE, v);
		return 0;
	default:
		return topt_set(u, level, name, v);
	}
}

/* Linux's TCP_*: TCP_CLOSE of a new socket. */
static int tcp_state_of(struct usock *u)
{
	struct so_tcp_info ti;

	if (usock_is_listener(u))
		return TCP_LISTEN;
	return so_tcp_info(u->stk, u->sock, u->gen, &ti) ? TCP_CLOSE : ti.base.tcpi_state;
}

/* Options of which the kernel would tell the shadow something else than a socket in
 * this state; and those that change what goes over the wire, or what recv() gives: who
 * sets them relies on that, and we do not do it.  0: ask the kernel. */
static int refuse(struct usock *u, int level, int name, int v)
{
	if (level == SOL_SOCKET)
		return name == SO_PEEK_OFF ? -EOPNOTSUPP : 0;
	if (level != IPPROTO_TCP)
		return 0;
	switch (name) {
	case TCP_REPAIR:
		return -EPERM;
	case TCP_QUEUE_SEQ:
		return tcp_state_of(u) == TCP_CLOSE ? 0 : -EPERM;
	case TCP_FASTOPEN_CONNECT:
		return tcp_state_of(u) == TCP_CLOSE ? 0 : -EINVAL;
	case TCP_FASTOPEN:
	case TCP_FASTOPEN_NO_COOKIE:
		return usock_is_listener(u) || tcp_state_of(u) == TCP_CLOSE ? 0 : -EINVAL;
	case TCP_WINDOW_CLAMP:
		return v || tcp_state_of(u) == TCP_CLOSE ? 0 : -EINVAL;
	case TCP_MD5SIG:
	case TCP_MD5SIG_EXT:
	case TCP_TX_DELAY:
		return -ENOPROTOOPT;
	default:
		return name >= TCP_AO_FIRST && name <= TCP_AO_LAST ? -ENOPROTOOPT : 0;
	}
}

/* On or off, any int will do: no need to ask the kernel.  Programs set these
 * on every connection. */
static bool is_plain_bool(int level, int name)
{
	if (level == SOL_SOCKET)
		return name == SO_REUSEADDR || name == SO_KEEPALIVE || name == SO_OOBINLINE;
	return level == IPPROTO_TCP &&
		(name == TCP_NODELAY || name == TCP_CORK || name == TCP_QUICKACK);
}

int usock_setopt(struct usock *u, int level, int name, const void *val, socklen_t len)
{
	int v = 0, r;

	if (!val && len)
		return -EFAULT;
	/* ipv6_setsockopt(): not any more. */
	if (level == IPPROTO_IPV6 && name == IPV6_V6ONLY && u->rec->family == AF_INET6 &&
	    (u->rec->bound || u->rec->connecting || u->rec->was_connected))
		return -EINVAL;
	if (level == SOL_SOCKET) {
		switch (name) {
		case SO_RCVTIMEO:
		case SO_SNDTIMEO:
			r = timeo_set(u, name, val, len);
			break;
		case SO_LINGER:
			r = linger_set(u, val, len);
			break;
		case SO_TIMESTAMPING:
			return stamping_set(u, val, len);
		default:
			goto other;
		}
		if (!r)
			opt_keep(u->rec, level, name, val, len);
		return r;
	}
other:
	if (level == IPPROTO_TCP && name == JET_TCP_UTO)
		return uto_set(u, val, len);
	if (level == IPPROTO_TCP && name == TCP_CONGESTION) {
		r = congestion_set(u, val, len);
		if (!r)
			opt_keep(u->rec, level, name, val, len);
		return r;
	}
	/* As if there were no module for it: TLS says so, and does without the kernel. */
	if (level == IPPROTO_TCP && name == TCP_ULP && len)
		return -ENOENT;
	if (level == IPPROTO_TCP && name == TCP_FASTOPEN_KEY)
		return fastopen_key_set(u, val, len);
	if (len >= sizeof(v)) {
		memcpy(&v, val, sizeof(v));
		r = refuse(u, level, name, v);
		if (r)
			return r;
	}
	if (is_plain_bool(level, name)) {
		if (len < sizeof(v))
			return -EINVAL;
		opt_keep(u->rec, level, name, val, len);
	} else {
		r = shadow_set(u, level, name, val, len);
		if (r)
			return r;
	}
	return len >= sizeof(v) ? set_ours(u, level, name, v) : 0;
}

/* Of a listener's options these are about listening, or about the moment. */
static bool is_inherited(const struct opt_val *o)
{
	if (o->level == SOL_SOCKET)
		return o->name != SO_PRIORITY;
	return o->level != IPPROTO_TCP ||
	       (o->name != TCP_DEFER_ACCEPT && o->name != TCP_FASTOPEN && o->name != TCP_QUICKACK);
}

void opt_inherit(struct usock *u, const struct usock *listener)
{
	const uint32_t bits = JS_SO_NODELAY | JS_SO_KEEPALIVE | JS_SO_LINGER | JS_SO_OOBINLINE |
			      JS_SO_CORK | JS_SO_RENO | JS_SO_ZEROCOPY | JS_SO_INQ;

	u->rec->n_opts = 0;
	for (unsigned int i = 0; i < listener->rec->n_opts; i++)
		if (is_inherited(usock_opt_val(listener->rec, i)))
			*usock_opt_val(u->rec, u->rec->n_opts++) = *usock_opt_val(listener->rec, i);
	u->rec->rcvlowat = listener->rec->rcvlowat;
	atomic_fetch_or(&u->js->opts, usock_opts(listener) & bits);
	atomic_store(&u->js->linger_s, atomic_load(&listener->js->linger_s));
	atomic_store(&u->js->rcvtimeo_us, atomic_load(&listener->js->rcvtimeo_us));
	atomic_store(&u->js->sndtimeo_us, atomic_load(&listener->js->sndtimeo_us));
	if (usock_opts(u) & JS_SO_RENO)
		so_congestion(u->stk, u->sock, u->gen, TCP_CC_RENO);
}

uint64_t usock_deadline(const struct usock *u, int which)
{
	uint64_t us = atomic_load_explicit(which == SO_RCVTIMEO ? &u->js->rcvtimeo_us :
					   &u->js->sndtimeo_us, memory_order_relaxed);

	return us ? deadline_in_us(us) : NO_DEADLINE;
}

/* --- getting ------------------------------------------------------------------------------ */

static int put(void *val, socklen_t *len, const void *from, size_t n)
{
	*len = (socklen_t)MIN((size_t)*len, n);
	memcpy(val, from, *len);
	return 0;
}

static int put_int(void *val, socklen_t *len, int v)
{
	return put(val, len, &v, sizeof(v));
}

static int timeo_get(uint64_t us, void *val, socklen_t *len)
{
	struct timeval tv = { (time_t)(us / 1000000), (suseconds_t)(us % 1000000) };

	if (us == US_NOT)
		tv.tv_usec = 0;
	return put(val, len, &tv, sizeof(tv));
}

static int linger_get(struct usock *u, void *val, socklen_t *len)
{
	struct linger l = {
		.l_onoff = usock_opts(u) & JS_SO_LINGER ? 1 : 0,
		.l_linger = (int)atomic_load(&u->js->linger_s),
	};

	return put(val, len, &l, sizeof(l));
}

static int bufs_get(struct usock *u, bool tx, void *val, socklen_t *len)
{
	struct so_info info;
	int r = so_info(u->stk, u->sock, u->gen, &info);
	uint32_t octets;

	if (r)
		return r;
	octets = tx ? info.snd_hiwat : info.rcv_hiwat;
	/* Doubled as Linux, which counts its overhead in. */
	return put_int(val, len, (int)(2 * (octets ? octets : JS_BUF_DEFAULT)));
}

/* sk_get_meminfo(): what it is charged for; here, the octets. */
static int meminfo_get(struct usock *u, void *val, socklen_t *len)
{
	uint32_t mem[SK_MEMINFO_VARS] = { 0 };
	struct so_info info;
	int r = so_info(u->stk, u->sock, u->gen, &info);

	if (r)
		return r;
	mem[SK_MEMINFO_RMEM_ALLOC] = info.rcv_cc;
	mem[SK_MEMINFO_RCVBUF] = 2 * (info.rcv_hiwat ? info.rcv_hiwat : JS_BUF_DEFAULT);
	mem[SK_MEMINFO_WMEM_ALLOC] = info.snd_cc - MIN(info.unsent, info.snd_cc);
	mem[SK_MEMINFO_SNDBUF] = 2 * (info.snd_hiwat ? info.snd_hiwat : JS_BUF_DEFAULT);
	mem[SK_MEMINFO_WMEM_QUEUED] = info.snd_cc;
	return put(val, len, mem, sizeof(mem));
}

/* As sk_getsockopt(): all of *@len, or EINVAL. */
static int peername_get(struct usock *u, void *val, socklen_t *len)
{
	struct sockaddr_storage ss = { 0 };
	socklen_t n = sizeof(ss);
	int r = usock_peername(u, (struct sockaddr *)&ss, &n);

	if (r || n < *len)
		return r ? -ENOTCONN : -EINVAL;
	return put(val, len, &ss, n);
}

/* Where what comes is processed: in the thread that waits for it, mostly. */
static int cpu_get(struct usock *u, void *val, socklen_t *len)
{
	const struct opt_val *o = opt_find(u->rec, SOL_SOCKET, SO_INCOMING_CPU);
	int cpu = -1;

	if (o)
		memcpy(&cpu, o->val, sizeof(cpu));
	else if (tcp_state_of(u) != TCP_CLOSE && !usock_is_listener(u))
		cpu = sched_getcpu();
	return put_int(val, len, cpu);
}

/* 1: not one of ours. */
static int get_socket(struct usock *u, int name, void *val, socklen_t *len)
{
	uint32_t opts = usock_opts(u), stamping[2] = { 0 };

	switch (name) {
	case SO_ERROR:
		return put_int(val, len, usock_is_listener(u) ? 0 :
			       so_error_take(u->stk, u->sock, u->gen));
	case SO_TYPE:
		return put_int(val, len, SOCK_STREAM);
	case SO_PROTOCOL:
		return put_int(val, len, IPPROTO_TCP);
	case SO_DOMAIN:
		return put_int(val, len, u->rec->family);
	case SO_ACCEPTCONN:
		return put_int(val, len, usock_is_listener(u));
	case SO_REUSEADDR:
		return put_int(val, len, !!(opts & JS_SO_REUSEADDR));
	case SO_KEEPALIVE:
		return put_int(val, len, !!(opts & JS_SO_KEEPALIVE));
	case SO_OOBINLINE:
		return put_int(val, len, !!(opts & JS_SO_OOBINLINE));
	case SO_LINGER:
		return linger_get(u, val, len);
	case SO_RCVTIMEO:
		return timeo_get(atomic_load(&u->js->rcvtimeo_us), val, len);
	case SO_SNDTIMEO:
		return timeo_get(atomic_load(&u->js->sndtimeo_us), val, len);
	case SO_SNDBUF:
		return bufs_get(u, true, val, len);
	case SO_RCVBUF:
		return bufs_get(u, false, val, len);
	case SO_MEMINFO:
		return meminfo_get(u, val, len);
	case SO_PEERNAME:
		return peername_get(u, val, len);
	case SO_INCOMING_CPU:
		return cpu_get(u, val, len);
	case SO_PEEK_OFF:
		return -EOPNOTSUPP;
	case SO_TIMESTAMPING:
		stamping[0] = usock_stamps(u);
		return put(val, len, stamping, sizeof(stamping));
	default:
		return 1;
	}
}

static int get_tcp(struct usock *u, int name, void *val, socklen_t *len)
{
	struct so_tcp_info ti;
	char cc[16];
	int r;

	switch (name) {
	case TCP_NODELAY:
		return put_int(val, len, !!(usock_opts(u) & JS_SO_NODELAY));
	case JET_TCP_UTO:
		return put_int(val, len, (int)atomic_load(&u->js->topt[JS_TOPT_UTO]));
	case TCP_CORK:
		return put_int(val, len, !!(usock_opts(u) & JS_SO_CORK));
	case TCP_INFO:
		memset(&ti, 0, sizeof(ti));
		ti.base.tcpi_state = TCP_LISTEN;
		r = usock_is_listener(u) ? 0 : so_tcp_info(u->stk, u->sock, u->gen, &ti);
		return r ? r : put(val, len, &ti, sizeof(ti));
	case TCP_MAXSEG:
		if (usock_is_listener(u) || so_tcp_info(u->stk, u->sock, u->gen, &ti) ||
		    ti.base.tcpi_state == TCP_CLOSE)
			return 1;
		return put_int(val, len, (int)ti.base.tcpi_snd_mss);
	case TCP_CC_INFO:
		/* Neither of ours says anything in Linux. */
		*len = 0;
		return 0;
	case TCP_CONGESTION:
		/* Linux fills all of TCP_CA_NAME_MAX octets. */
		memset(cc, 0, sizeof(cc));
		strcpy(cc, tcp_cc_names[usock_opts(u) & JS_SO_RENO ? TCP_CC_RENO : TCP_CC_CUBIC]);
		return put(val, len, cc, sizeof(cc));
	default:
		return 1;
	}
}

/* The path's MTU is asked of a connected socket, which the shadow is not. */
static int get_mtu(struct usock *u, void *val, socklen_t *len)
{
	struct so_info info;
	int r = so_info(u->stk, u->sock, u->gen, &info);

	if (r)
		return r;
	if (!(info.flags & JS_SOF_CONNECTED))
		return -ENOTCONN;
	return put_int(val, len, (int)info.path_mtu);
}

int usock_getopt(struct usock *u, int level, int name, void *val, socklen_t *len)
{
	int r = 1;

	if (!len || (!val && *len))
		return -EFAULT;
	if ((int)*len < 0)
		return -EINVAL;
	if (level == SOL_SOCKET)
		r = get_socket(u, name, val, len);
	else if (level == IPPROTO_TCP)
		r = get_tcp(u, name, val, len);
	else if ((level == IPPROTO_IP && name == IP_MTU) ||
		 (level == IPPROTO_IPV6 && name == IPV6_MTU && u->rec->family == AF_INET6))
		r = get_mtu(u, val, len);
	return r == 1 ? shadow_get(u, level, name, val, len) : r;
}

/* --- ioctl ----------------------------------------------------------------------------------- */

int usock_ioctl(struct usock *u, unsigned long req, void *arg)
{
	struct so_info info;
	int fd, r;

	switch (req) {
	case FIONBIO:
		if (!arg)
			return -EFAULT;
		r = (int)api_err(libc()->ioctl(u->fd, req, arg));
		if (!r)
			usock_opt_bit(u, JS_SO_NONBLOCK, *(int *)arg);
		return r;
	case FIONREAD:		/* SIOCINQ */
	case SIOCOUTQ:		/* TIOCOUTQ */
	case SIOCOUTQNSD:
		if (usock_is_listener(u))
			return -EINVAL;
		r = so_info(u->stk, u->sock, u->gen, &info);
		if (r)
			return r;
		if (!arg)
			return -EFAULT;
		*(int *)arg = (int)(req == FIONREAD ? info.rcv_inq :
				    req == SIOCOUTQ ? info.snd_cc : info.unsent);
		return 0;
	case SIOCATMARK:
		if (!arg)
			return -EFAULT;
		r = usock_is_listener(u) ? -EINVAL : so_info(u->stk, u->sock, u->gen, &info);
		if (r)
			return r;
		*(int *)arg = info.at_mark;
		return 0;
	case FIOASYNC:
	case FIOSETOWN:
	case SIOCSPGRP:
		if (!arg)
			return -EFAULT;
		r = (int)api_err(libc()->ioctl(u->fd, req, arg));
		if (!r)
			usock_opt_bit(u, req == FIOASYNC ? JS_SO_ASYNC : JS_SO_OWNED, *(int *)arg);
		return r;
	case FIOCLEX:
	case FIONCLEX:
	case FIOGETOWN:
	case SIOCGPGRP:
		return (int)api_err(libc()->ioctl(u->fd, req, arg));
	default:
		/* Interfaces and addresses are asked through any socket. */
		fd = shadow(u->rec);
		if (fd < 0)
			return fd;
		r = (int)api_err(libc()->ioctl(fd, req, arg));
		libc()->close(fd);
		return r;
	}
}
