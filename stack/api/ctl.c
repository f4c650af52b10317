/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ctl.c - control messages of recvmsg(): TCP_INQ, and the error queue
 *
 * What is on the error queue is one thing: sends with MSG_ZEROCOPY that are done
 * (Linux's Documentation/networking/msg_zerocopy.rst).  We copy, as Linux does
 * over loopback and TAPs, and say so; so they are done when send() returns.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <time.h>

#include <linux/errqueue.h>

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

int ctl_errqueue(struct usock *u, struct msghdr *msg)
{
	struct {
		struct sock_extended_err ee;
		struct sockaddr_in6 offender;	/* nobody: zero */
	} e;
	struct put p;
	int r;

	memset(&e, 0, sizeof(e));
	e.ee.ee_origin = SO_EE_ORIGIN_ZEROCOPY;
	e.ee.ee_code = SO_EE_CODE_ZEROCOPY_COPIED;
	if (usock_is_listener(u))
		return -EAGAIN;
	r = so_zerocopy_take(u->stk, u->sock, u->gen, &e.ee.ee_info, &e.ee.ee_data);
	if (r || !msg)
		return r;
	p = put_begin(msg, MSG_ERRQUEUE);
	if (u->rec->family == AF_INET6)
		put(&p, IPPROTO_IPV6, IPV6_RECVERR, &e, sizeof(e.ee) + sizeof(struct sockaddr_in6));
	else
		put(&p, IPPROTO_IP, IP_RECVERR, &e, sizeof(e.ee) + sizeof(struct sockaddr_in));
	put_end(&p);
	return 0;
}
