/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bindpoint.c - dummy kernel sockets that reserve addresses (paper, 4.4.5)
 *
 * Runs in jetconnd, which has the right to low ports that a child has given
 * up.  The child holds the bind-point afterwards; it comes back when TIME-WAIT
 * is handed over (timewait.c).
 *
 * A bind-point that only is bound does not keep another SO_REUSEADDR listener
 * out and answers a stray ACK with RST.  So one that must not accept listens
 * behind a filter that drops everything: it answers nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/util.h"
#include "connserver/children.h"
#include "connserver/timewait.h"
#include "stack/shm/cm.h"

#define PORT_START_FILE		"/proc/sys/net/ipv4/ip_unprivileged_port_start"
#define PORT_START_DEFAULT	1024
#define BACKLOG_MAX		65535

static int unprivileged_port_start(void)
{
	int fd = open(PORT_START_FILE, O_RDONLY | O_CLOEXEC);
	char text[16];
	ssize_t n;

	if (fd < 0)
		return PORT_START_DEFAULT;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return PORT_START_DEFAULT;
	text[n] = '\0';
	return (int)strtol(text, NULL, 10);
}

/* IPv4 needs an AF_INET socket, also if the application's is AF_INET6; but
 * one that is bound to :: takes both. */
static int bind_family(const struct cm_msg *m, const struct cm_addr *local)
{
	if (cm_addr_is_v4(local))
		return AF_INET;
	if (cm_addr_is_any(local) && m->family != AF_INET6)
		return AF_INET;
	return AF_INET6;
}

static int attach_drop_all(int fd)
{
	struct sock_filter ret0 = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog prog = { .len = 1, .filter = &ret0 };

	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) < 0)
		return -errno;
	return 0;
}

int cs_bind_point_silence(int fd)
{
	int err = attach_drop_all(fd);

	return err ? err : listen(fd, 1) < 0 ? -errno : 0;
}

/* @fd is bound: let it listen as asked. */
static int bind_point_listen(int fd, const struct cm_msg *m)
{
	if (m->flags & CM_BP_SILENT)
		return cs_bind_point_silence(fd);
	if (m->flags & CM_BP_LISTEN && listen(fd, (int)MIN(m->n, (uint32_t)BACKLOG_MAX)) < 0)
		return -errno;
	return 0;
}

/* What Linux says of a port on which only TIME-WAIT remains: SO_REUSEADDR may
 * have it, others may not.  0, -EADDRINUSE. */
static int bind_over_timewait(struct cs_server *cs, const struct cm_addr *local, bool reuse)
{
	if (!local->port)
		return 0;
	if (reuse)
		cs_timewait_unbind(cs, local);
	else if (cs_timewait_is_bound(cs, local))
		return -EADDRINUSE;
	return 0;
}

/* Make a bind-point for @local, and write there what it got.  Return the
 * descriptor, or -Exxx: the application's errno. */
static int bind_point_make(struct cs_server *cs, const struct cm_msg *m, struct cm_addr *local)
{
	int family = bind_family(m, local);
	struct sockaddr_storage ss;
	int len = cm_addr_to_sa(local, family, &ss);
	socklen_t got = sizeof(ss);
	int one = 1, v6only = !!(m->flags & CM_BP_V6ONLY), err, fd;

	if (len < 0)
		return len;
	/* inet6_bind(): a v4-mapped address. */
	if (v6only && m->family == AF_INET6 && cm_addr_is_v4(local))
		return -EINVAL;
	if (local->port && local->port < unprivileged_port_start() && m->uid != 0)
		return -EACCES;
	err = bind_over_timewait(cs, local, m->on);
	if (err)
		return err;
	fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
	if (fd < 0)
		return -errno;
	/* It is the requester's: ss -e and SO_REUSEPORT go by that uid. */
	if (fchown(fd, m->uid, (gid_t)-1) < 0 ||
	    (m->on && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0) ||
	    (m->flags & CM_BP_REUSEPORT &&
	     setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) < 0) ||
	    (family == AF_INET6 &&
	     setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, sizeof(v6only)) < 0) ||
	    bind(fd, (struct sockaddr *)&ss, (socklen_t)len) < 0)
		goto fail;
	err = bind_point_listen(fd, m);
	if (err) {
		close(fd);
		return err;
	}
	if (getsockname(fd, (struct sockaddr *)&ss, &got) < 0)
		goto fail;
	cm_addr_from_sa(local, (struct sockaddr *)&ss, got);
	return fd;

fail:
	err = -errno;
	close(fd);
	return err;
}

/* For a connection: our address towards the peer, not the wildcard. */
static void choose_source(struct cs_server *cs, const struct cm_msg *m, struct cm_addr *local)
{
	struct cm_addr source;
	unsigned int ring_id;

	if (!(m->flags & CM_BP_SILENT) || !m->peer.port || !cm_addr_is_any(local))
		return;
	/* Whether it can be reached is not our question. */
	cs->net->ring_id(cs, &m->peer, false, &ring_id, &source);
	source.port = local->port;
	*local = source;
}

void cs_bind_point(struct cs_server *cs, struct cs_child *c, const struct cm_msg *m)
{
	struct cm_msg reply = {
		.type = CM_BIND_POINT_REPLY, .id = m->id, .sock = m->sock, .gen = m->gen,
		.local = m->local,
	};
	int fd;

	/* The child holds bind-points, also across our restart; we need not
	 * know which there are. */
	if (m->flags & (CM_BP_RELEASE | CM_BP_KNOWN))
		return;
	choose_source(cs, m, &reply.local);
	fd = bind_point_make(cs, m, &reply.local);
	if (fd < 0)
		reply.err = fd;
	cs_child_send(cs, c, &reply, fd, true);
	if (fd >= 0)
		close(fd);
}
