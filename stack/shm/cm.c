/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cm.c - sending and receiving control messages
 *
 * Runs in every process of ours but jetringd.  What a message means is known
 * to connserver/, stack/child and stack/api; here it is only carried, named
 * and checked for its form.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "stack/shm/cm.h"

const char *const cm_names[CM_N_TYPES] = {
	[CM_NONE]		= "None",
	[CM_LISTEN]		= "Listen",
	[CM_FORWARD]		= "Forward",
	[CM_DIVERT]		= "Divert",
	[CM_SYN]		= "Syn",
	[CM_SPAWN]		= "Spawn",
	[CM_NEW_SOCKET]		= "New_Socket",
	[CM_BIND]		= "Bind",
	[CM_LISTEN_CHILD]	= "Listen_Child",
	[CM_CONNECT]		= "Connect",
	[CM_SET_TX_BUFS]	= "Set_Tx_Bufs",
	[CM_SET_RX_BUFS]	= "Set_Rx_Bufs",
	[CM_SET_REUSE_ADDR]	= "Set_Reuse_Addr",
	[CM_INIT_REPLY]		= "Init_Reply",
	[CM_BIND_REPLY]		= "Bind_Reply",
	[CM_CONNECT_REPLY]	= "Connect_Reply",
	[CM_GENERAL_REPLY]	= "General_Reply",
	[CM_ATTACH]		= "Attach",
	[CM_PING]		= "Ping",
	[CM_HELLO]		= "Hello",
	[CM_BIND_POINT]		= "Bind_Point",
	[CM_BIND_POINT_REPLY]	= "Bind_Point_Reply",
	[CM_RESOLVE]		= "Resolve",
	[CM_RESOLVE_REPLY]	= "Resolve_Reply",
	[CM_TIME_WAIT]		= "Time_Wait",
	[CM_FASTOPEN]		= "Fastopen",
	[CM_FASTOPEN_REPLY]	= "Fastopen_Reply",
	[CM_FASTOPEN_KEY]	= "Fastopen_Key",
	[CM_ICMP]		= "Icmp",
};

/* Room for the descriptors and credentials of one message, aligned. */
union cm_control {
	struct cmsghdr align;
	char buf[CMSG_SPACE(CM_MAX_FDS * sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))];
};

/* --- sending -------------------------------------------------------------- */

/* Fill the control part: credentials always, descriptors if there are any. */
static size_t control_fill(union cm_control *c, struct msghdr *mh, const int *fds, int n_fds)
{
	const struct ucred me = { .pid = getpid(), .uid = geteuid(), .gid = getegid() };
	size_t len = CMSG_SPACE(sizeof(me));
	struct cmsghdr *cmsg;

	memset(c, 0, sizeof(*c));
	mh->msg_control = c->buf;
	mh->msg_controllen = sizeof(c->buf);
	cmsg = CMSG_FIRSTHDR(mh);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_CREDENTIALS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(me));
	memcpy(CMSG_DATA(cmsg), &me, sizeof(me));
	if (n_fds > 0) {
		size_t octets = (size_t)n_fds * sizeof(int);

		cmsg = CMSG_NXTHDR(mh, cmsg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(octets);
		memcpy(CMSG_DATA(cmsg), fds, octets);
		len += CMSG_SPACE(octets);
	}
	return len;
}

int cm_send_to(int fd, const struct cm_msg *m, const int *fds, int n_fds, int flags,
	       const struct sockaddr_un *to, socklen_t to_len)
{
	struct cm_msg copy = *m;
	struct iovec iov = { .iov_base = &copy, .iov_len = sizeof(copy) };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct sockaddr_un addr;
	union cm_control control;
	ssize_t n;

	if (n_fds < 0 || n_fds > CM_MAX_FDS || to_len > sizeof(addr))
		return -EINVAL;
	copy.version = CM_VERSION;
	if (to_len) {
		memcpy(&addr, to, to_len);
		mh.msg_name = &addr;
		mh.msg_namelen = to_len;
	}
	mh.msg_controllen = control_fill(&control, &mh, fds, n_fds);
	do
		n = sendmsg(fd, &mh, flags | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	cm_trace("->", &copy);
	return 0;
}

int cm_send(int fd, const struct cm_msg *m, const int *fds, int n_fds)
{
	return cm_send_to(fd, m, fds, n_fds, 0, NULL, 0);
}

/* --- receiving ------------------------------------------------------------ */

/* What came beside a message. */
struct extras {
	int fds[CM_MAX_FDS];
	int n_fds;
	struct ucred cred;
	bool has_any;		/* something came: so it was not an end of file */
};

static void extras_take(struct extras *x, struct msghdr *mh)
{
	struct cmsghdr *cmsg;

	x->n_fds = 0;
	x->cred = (struct ucred){ .pid = 0, .uid = (uid_t)-1, .gid = (gid_t)-1 };
	x->has_any = false;
	for (cmsg = CMSG_FIRSTHDR(mh); cmsg; cmsg = CMSG_NXTHDR(mh, cmsg)) {
		size_t octets = cmsg->cmsg_len - CMSG_LEN(0);

		x->has_any = true;
		if (cmsg->cmsg_level != SOL_SOCKET)
			continue;
		if (cmsg->cmsg_type == SCM_CREDENTIALS && octets == sizeof(x->cred)) {
			memcpy(&x->cred, CMSG_DATA(cmsg), sizeof(x->cred));
		} else if (cmsg->cmsg_type == SCM_RIGHTS) {
			/* The kernel merges them into one, and no more than fit. */
			x->n_fds = (int)MIN(octets / sizeof(int), (size_t)CM_MAX_FDS);
			memcpy(x->fds, CMSG_DATA(cmsg), (size_t)x->n_fds * sizeof(int));
		}
	}
}

static bool addr_form_ok(const struct cm_addr *a)
{
	return a->resv == 0;
}

/* Where what must be 0 of the last 32 octets begins. */
static size_t resv_from(const struct cm_msg *m)
{
	switch (m->type) {
	case CM_TIME_WAIT:
		return offsetof(struct cm_time_wait, resv);
	case CM_LISTEN:
	case CM_DIVERT:
		return offsetof(struct cm_listen, resv);
	case CM_ICMP:
		return offsetof(struct cm_icmp, resv);
	case CM_SYN:
		return m->flags & CM_COOKIE ? offsetof(struct cm_cookie, resv) : 0;
	case CM_FASTOPEN:
	case CM_FASTOPEN_REPLY:
		return offsetof(struct cm_fastopen, resv) + sizeof(m->fo.resv[0]);
	case CM_FASTOPEN_KEY:
		return sizeof(m->resv2);
	default:
		return 0;
	}
}

static bool form_ok(const struct cm_msg *m)
{
	size_t i;

	if (m->version != CM_VERSION || m->type == CM_NONE || m->type >= CM_N_TYPES)
		return false;
	for (i = resv_from(m) / sizeof(m->resv2[0]); i < ARRAY_SIZE(m->resv2); i++)
		if (m->resv2[i])
			return false;
	if (m->type == CM_TIME_WAIT && m->tw.has_ts > 1)
		return false;
	if ((m->type == CM_FASTOPEN || m->type == CM_FASTOPEN_REPLY) &&
	    (m->fo.resv[0] || m->fo.form > 2 || m->fo.asked > 2 ||
	     m->fo.len > sizeof(m->fo.cookie) ||
	     m->fo.flags & ~(CM_FO_HAD_DATA | CM_FO_TOOK_DATA | CM_FO_AGAIN)))
		return false;
	if (m->type == CM_FASTOPEN_KEY && m->n != 16 && m->n != 32)
		return false;
	if (m->type == CM_ICMP && m->icmp.is_too_big > 1)
		return false;
	return !m->resv && m->on <= 1 && addr_form_ok(&m->local) && addr_form_ok(&m->peer);
}

static void close_from(const int *fds, int first, int n)
{
	for (; first < n; first++)
		close(fds[first]);
}

/* One message and what came with it.  As cm_recv(). */
static int receive(int fd, struct cm_msg *m, struct extras *x, int flags, struct cm_sender *from)
{
	struct iovec iov = { .iov_base = m, .iov_len = sizeof(*m) };
	union cm_control control;
	struct msghdr mh = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control.buf, .msg_controllen = sizeof(control.buf),
	};
	bool told = false;
	ssize_t n;

	if (from) {
		mh.msg_name = &from->addr;
		mh.msg_namelen = sizeof(from->addr);
	}
	/* Who closed it had not read all that we sent: the kernel says so once,
	 * before it gives what he sent. */
	do
		n = recvmsg(fd, &mh, flags | MSG_CMSG_CLOEXEC);
	while (n < 0 && (errno == EINTR || (errno == ECONNRESET && !told && (told = true))));
	if (n < 0)
		return -errno;
	extras_take(x, &mh);
	if (from) {
		from->addr_len = mh.msg_namelen;
		from->cred = x->cred;
	}
	if (n == 0 && !x->has_any)
		return 0;
	if (n == (ssize_t)sizeof(*m) && !(mh.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) && form_ok(m))
		return 1;
	close_from(x->fds, 0, x->n_fds);
	return -EBADMSG;
}

int cm_recv_from(int fd, struct cm_msg *m, int *fds, int max_fds, int *n_fds,
		 int flags, struct cm_sender *from)
{
	struct cm_msg copy;
	struct extras x = { .n_fds = 0 };
	int keep, ret = receive(fd, &copy, &x, flags, from);

	if (ret != 1)
		return ret;
	keep = MIN(x.n_fds, max_fds);
	close_from(x.fds, keep, x.n_fds);
	if (keep > 0)
		memcpy(fds, x.fds, (size_t)keep * sizeof(int));
	if (n_fds)
		*n_fds = keep;
	*m = copy;
	cm_trace("<-", m);
	return 1;
}

int cm_recv(int fd, struct cm_msg *m, int *fds, int max_fds, int *n_fds,
	    struct ucred *cred, int flags)
{
	struct cm_sender from;
	int ret = cm_recv_from(fd, m, fds, max_fds, n_fds, flags, &from);

	if (ret == 1 && cred)
		*cred = from.cred;
	return ret;
}

/* --- a line in the log ---------------------------------------------------- */

static bool addr_is_set(const struct cm_addr *a)
{
	static const struct cm_addr none;

	return memcmp(a, &none, sizeof(none));
}

/* Both ends as packets arrive here, "peer > local"; or the one that is set. */
static void pair_str(const struct cm_msg *m, char *buf, size_t size)
{
	char local[CM_ADDR_STRLEN], peer[CM_ADDR_STRLEN];

	cm_addr_str(&m->local, local);
	cm_addr_str(&m->peer, peer);
	if (addr_is_set(&m->local) && addr_is_set(&m->peer))
		snprintf(buf, size, " %s > %s", peer, local);
	else if (addr_is_set(&m->local))
		snprintf(buf, size, " local=%s", local);
	else if (addr_is_set(&m->peer))
		snprintf(buf, size, " peer=%s", peer);
	else
		buf[0] = '\0';
}

void cm_trace(const char *dir, const struct cm_msg *m)
{
	const struct { const char *name; uint32_t value; } nums[] = {
		{ "n", m->n }, { "flags", m->flags }, { "uid", m->uid },
		{ "on", m->on }, { "vci", m->vci }, { "rxvci", m->rxvci },
		{ "ring_id", m->ring_id },
	};
	char pair[2 * CM_ADDR_STRLEN + 8], rest[160] = "";
	size_t i, used = 0;

	if (log_level < LOG_TRACE)
		return;
	pair_str(m, pair, sizeof(pair));
	/* Members that are 0 say nothing; VCIs read best in hex, as in captures. */
	for (i = 0; i < ARRAY_SIZE(nums); i++) {
		bool hex = strstr(nums[i].name, "vci");

		if (!nums[i].value || used >= sizeof(rest) - 24)
			continue;
		used += (size_t)snprintf(rest + used, sizeof(rest) - used,
					 hex ? " %s=0x%04x" : " %s=%u",
					 nums[i].name, nums[i].value);
	}
	log_trace("%s %s id=%u sock=%u.%u%s%s err=%d", dir,
		  m->type < CM_N_TYPES ? cm_names[m->type] : "?",
		  m->id, m->sock, m->gen, pair, rest, m->err);
}

socklen_t cm_name_to_sun(const char *name, struct sockaddr_un *sun)
{
	size_t len = strnlen(name, sizeof(sun->sun_path) - 1);

	memset(sun, 0, sizeof(*sun));
	sun->sun_family = AF_UNIX;
	memcpy(sun->sun_path + 1, name, len);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + len);
}

bool cm_is_channel(int fd)
{
	int domain = 0, type = 0;
	socklen_t dlen = sizeof(domain), tlen = sizeof(type);

	return !getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &dlen) && domain == AF_UNIX &&
	       !getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &tlen) && type == SOCK_SEQPACKET;
}

/* --- addresses ------------------------------------------------------------ */

static const uint8_t v4_mapped[12] = { [10] = 0xff, [11] = 0xff };

bool cm_addr_is_v4(const struct cm_addr *a)
{
	return !memcmp(a->addr, v4_mapped, sizeof(v4_mapped));
}

bool cm_addr_is_any(const struct cm_addr *a)
{
	static const uint8_t zero[16];

	if (cm_addr_is_v4(a))
		return !memcmp(a->addr + 12, zero, 4);
	return !memcmp(a->addr, zero, sizeof(zero));
}

bool cm_addr_same_host(const struct cm_addr *a, const struct cm_addr *b)
{
	return !memcmp(a->addr, b->addr, sizeof(a->addr));
}

bool cm_addr_equal(const struct cm_addr *a, const struct cm_addr *b)
{
	return a->port == b->port && cm_addr_same_host(a, b);
}

int cm_addr_from_sa(struct cm_addr *a, const struct sockaddr *sa, socklen_t len)
{
	struct sockaddr_in sin;
	struct sockaddr_in6 sin6;
	sa_family_t family;

	if (len < offsetof(struct sockaddr, sa_family) + sizeof(family))
		return -EINVAL;
	/* The application's bytes may lie anywhere: copy, do not cast. */
	memcpy(&family, (const char *)sa + offsetof(struct sockaddr, sa_family), sizeof(family));
	memset(a, 0, sizeof(*a));
	if (family == AF_INET) {
		if (len < sizeof(sin))
			return -EINVAL;
		memcpy(&sin, sa, sizeof(sin));
		memcpy(a->addr, v4_mapped, sizeof(v4_mapped));
		memcpy(a->addr + 12, &sin.sin_addr, 4);
		a->port = ntohs(sin.sin_port);
		return AF_INET;
	}
	if (family == AF_INET6) {
		/* RFC 2133's sockaddr_in6 had no scope id: Linux takes both. */
		if (len < offsetof(struct sockaddr_in6, sin6_scope_id))
			return -EINVAL;
		memset(&sin6, 0, sizeof(sin6));
		memcpy(&sin6, sa, MIN(len, sizeof(sin6)));
		memcpy(a->addr, &sin6.sin6_addr, 16);
		a->port = ntohs(sin6.sin6_port);
		return AF_INET6;
	}
	return -EAFNOSUPPORT;
}

int cm_addr_to_sa(const struct cm_addr *a, int family, struct sockaddr_storage *ss)
{
	memset(ss, 0, sizeof(*ss));
	if (family == AF_INET) {
		struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(a->port) };

		if (!cm_addr_is_v4(a) && !cm_addr_is_any(a))
			return -EAFNOSUPPORT;
		memcpy(&sin.sin_addr, a->addr + 12, 4);
		memcpy(ss, &sin, sizeof(sin));
		return (int)sizeof(sin);
	}
	if (family == AF_INET6) {
		struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6, .sin6_port = htons(a->port) };

		memcpy(&sin6.sin6_addr, a->addr, 16);
		memcpy(ss, &sin6, sizeof(sin6));
		return (int)sizeof(sin6);
	}
	return -EAFNOSUPPORT;
}

char *cm_addr_str(const struct cm_addr *a, char buf[CM_ADDR_STRLEN])
{
	char host[INET6_ADDRSTRLEN] = "?";

	if (cm_addr_is_v4(a)) {
		inet_ntop(AF_INET, a->addr + 12, host, sizeof(host));
		snprintf(buf, CM_ADDR_STRLEN, "%s:%u", host, a->port);
	} else {
		inet_ntop(AF_INET6, a->addr, host, sizeof(host));
		snprintf(buf, CM_ADDR_STRLEN, "[%s]:%u", host, a->port);
	}
	return buf;
}

bool cm_fastopen(struct fo_cache *cache, const struct cm_msg *m, uint64_t now_us,
		 struct cm_msg *reply)
{
	struct fo_news news = {
		.answer = { .form = m->fo.form, .len = m->fo.len, .mss = m->fo.mss },
		.asked = m->fo.asked,
		.had_data = m->fo.flags & CM_FO_HAD_DATA,
		.took_data = m->fo.flags & CM_FO_TOOK_DATA,
		.again = m->fo.flags & CM_FO_AGAIN,
	};
	struct fo_known known;

	if (m->on) {
		memcpy(news.answer.cookie, m->fo.cookie, sizeof(news.answer.cookie));
		fo_cache_learn(cache, m->peer.addr, now_us, &news);
		return false;
	}
	fo_cache_get(cache, m->peer.addr, now_us, &known);
	*reply = (struct cm_msg){ .type = CM_FASTOPEN_REPLY, .version = CM_VERSION, .id = m->id,
				  .sock = m->sock, .gen = m->gen, .peer = m->peer };
	reply->fo.form = known.form;
	reply->fo.len = known.len;
	reply->fo.mss = known.mss;
	memcpy(reply->fo.cookie, known.cookie, sizeof(reply->fo.cookie));
	return true;
}
