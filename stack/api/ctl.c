/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ctl.c - control messages: TCP_INQ, timestamps, and the error queue
 *
 * On the error queue are sends with MSG_ZEROCOPY that are done (Linux's
 * Documentation/networking/msg_zerocopy.rst): we copy, as Linux does over
 * loopback and TAPs, and say so; so they are done when send() returns.  And
 * timestamps of what was sent (SO_TIMESTAMPING; stack/sock/so_stamp.c).
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <time.h>

#include <linux/errqueue.h>
#include <linux/net_tstamp.h>

#include "common/clock.h"
#include "common/util.h"
#include "stack/api/api.h"

/* --- putting them into a message ------------------------------------------------------- */

struct put {
	struct msghdr *msg;
	size_t used;
};

/* What has no room is cut off, with MSG_CTRUNC, as the kernel's put_cmsg(). */
static void put(struct put *p, int level, int type, const void *data, size_t len)
{
	struct cmsghdr h = { .cmsg_level = level, .cmsg_type = type };
	uint8_t *at = (uint8_t *)p->msg->msg_control + p->used;
	size_t room = p->msg->msg_control ? p->msg->msg_controllen - p->used : 0;

	if (room < CMSG_LEN(len))
		p->msg->msg_flags |= MSG_CTRUNC;
	if (room < CMSG_LEN(0))
		return;
	len = MIN(len, room - CMSG_LEN(0));
	h.cmsg_len = CMSG_LEN(len);
	memcpy(at, &h, sizeof(h));
	memcpy(at + CMSG_LEN(0), data, len);
	p->used += MIN(CMSG_SPACE(len), room);
}

static struct put put_begin(struct msghdr *msg, int flags)
{
	msg->msg_namelen = 0;
	msg->msg_flags = flags;
	return (struct put){ .msg = msg };
}

static void put_end(struct put *p)
{
	p->msg->msg_controllen = p->used;
}

/* --- with data --------------------------------------------------------------------------- */

/* Octets that are still to be read; one more for an end of file, so that it is
 * read, too (tcp_inq_hint()). */
static int inq(struct usock *u)
{
	struct so_info info;

	if (so_info(u->stk, u->sock, u->gen, &info))
		return 0;
	return (int)info.rcv_cc + !!(info.flags & (JS_SOF_EOF | JS_SOF_CLOSED));
}

void ctl_received(struct usock *u, struct msghdr *msg)
{
	struct put p = put_begin(msg, 0);
	int n;

	if (usock_opts(u) & JS_SO_INQ) {
		n = inq(u);
		put(&p, IPPROTO_TCP, TCP_CM_INQ, &n, sizeof(n));
	}
	put_end(&p);
}

/* --- the error queue ------------------------------------------------------------------------ */

static void put_error(struct put *p, const struct usock *u, const struct sock_extended_err *ee)
{
	struct {
		struct sock_extended_err ee;
		struct sockaddr_in6 offender;	/* nobody: zero */
	} e;

	memset(&e, 0, sizeof(e));
	e.ee = *ee;
	if (u->rec->family == AF_INET6)
		put(p, IPPROTO_IPV6, IPV6_RECVERR, &e, sizeof(e.ee) + sizeof(struct sockaddr_in6));
	else
		put(p, IPPROTO_IP, IP_RECVERR, &e, sizeof(e.ee) + sizeof(struct sockaddr_in));
}

/* What was sent does not come back with it: without SOF_TIMESTAMPING_OPT_TSONLY it is
 * cut off. */
static void tell_stamp(struct usock *u, struct msghdr *msg, const struct so_stamp *s)
{
	static const uint32_t info[JS_N_STAMP_KINDS] = {
		[JS_STAMP_SCHED] = SCM_TSTAMP_SCHED, [JS_STAMP_SND] = SCM_TSTAMP_SND,
		[JS_STAMP_ACK] = SCM_TSTAMP_ACK,
	};
	struct sock_extended_err ee = {
		.ee_errno = ENOMSG, .ee_origin = SO_EE_ORIGIN_TIMESTAMPING,
		.ee_info = info[s->kind],
		.ee_data = s->flags & SOF_TIMESTAMPING_OPT_ID ? s->key : 0,
	};
	struct scm_timestamping ts = { 0 };
	uint64_t us = real_us(s->at_us);
	struct put p = put_begin(msg, s->flags & SOF_TIMESTAMPING_OPT_TSONLY ? MSG_ERRQUEUE :
				 MSG_ERRQUEUE | MSG_TRUNC);

	ts.ts[0].tv_sec = (time_t)(us / 1000000);
	ts.ts[0].tv_nsec = (long)(us % 1000000 * 1000);
	if (s->flags & SOF_TIMESTAMPING_SOFTWARE)
		put(&p, SOL_SOCKET, SCM_TIMESTAMPING, &ts, sizeof(ts));
	put_error(&p, u, &ee);
	put_end(&p);
}

int ctl_errqueue(struct usock *u, struct msghdr *msg)
{
	struct sock_extended_err ee = {
		.ee_origin = SO_EE_ORIGIN_ZEROCOPY, .ee_code = SO_EE_CODE_ZEROCOPY_COPIED,
	};
	struct so_stamp stamp;
	struct put p;
	int r;

	if (usock_is_listener(u))
		return -EAGAIN;
	r = so_stamp_take(u->stk, u->sock, u->gen, &stamp);
	if (!r && msg)
		tell_stamp(u, msg, &stamp);
	if (r != -EAGAIN)
		return r;
	r = so_zerocopy_take(u->stk, u->sock, u->gen, &ee.ee_info, &ee.ee_data);
	if (r || !msg)
		return r;
	p = put_begin(msg, MSG_ERRQUEUE);
	put_error(&p, u, &ee);
	put_end(&p);
	return 0;
}

/* __sock_cmsg_send(): what is asked of this write alone; -EINVAL. */
int ctl_stamps(const struct msghdr *msg, uint32_t *flags)
{
	const uint32_t mask = SOF_TIMESTAMPING_TX_HARDWARE | SOF_TIMESTAMPING_TX_SOFTWARE |
			      SOF_TIMESTAMPING_TX_SCHED | SOF_TIMESTAMPING_TX_ACK;
	struct cmsghdr *c;
	uint32_t v;

	for (c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR((struct msghdr *)msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SO_TIMESTAMPING)
			continue;
		if (c->cmsg_len != CMSG_LEN(sizeof(v)))
			return -EINVAL;
		memcpy(&v, CMSG_DATA(c), sizeof(v));
		if (v & ~mask)
			return -EINVAL;
		*flags = v;
	}
	return 0;
}
