/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * portctl.c - requests of a port's opener (abi/portctl.h)
 *
 * A request was copied from its packet, and its sender is root; still nothing
 * in it is believed.  A malformed one is answered with -EINVAL.  A client that
 * does not take its answers loses its port.  Runs in jetringd.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "emulator/port.h"

#define N_FDS	4	/* memory, doorbell, wake, doorbell for others */

/* 0, or -Exxx: the client is gone or does not read. */
static int answer(struct port *p, const struct js_pc_rep *rep, size_t len, const int *fds)
{
	char ctl[CMSG_SPACE(N_FDS * sizeof(int))] = { 0 };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)rep, .iov_len = len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fds) {
		struct cmsghdr *cm;

		msg.msg_control = ctl;
		msg.msg_controllen = sizeof(ctl);
		cm = CMSG_FIRSTHDR(&msg);
		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		cm->cmsg_len = CMSG_LEN(N_FDS * sizeof(int));
		memcpy(CMSG_DATA(cm), fds, N_FDS * sizeof(int));
	}
	return sendmsg(p->conn.fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* --- OPEN -------------------------------------------------------------------------- */

/* Not read: see port.c. */
static void doorbell_rang(struct port *p)
{
	p->st.doorbells++;
	p->ps->s->st.crossings++;
	port_activate(p);
	port_fetch(p);
}

static void on_doorbell(struct loop_fd *lf, uint32_t events)
{
	(void)events;
	doorbell_rang(container_of(lf, struct port, doorbell));
}

static void on_app_doorbell(struct loop_fd *lf, uint32_t events)
{
	(void)events;
	doorbell_rang(container_of(lf, struct port, app_doorbell));
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Memory and descriptors.  @memfd is the caller's to close, the others are
 * kept in p; nothing is left on failure. */
static int open_port(struct port *p, const struct js_pc_req *req, int *memfd)
{
	int err;

	if (p->is_open || req->arg & ~JS_PORT_TRUSTED || req->n > PORT_BUFS_MAX)
		return -EINVAL;
	p->is_trusted = req->arg & JS_PORT_TRUSTED;
	p->doorbell.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	p->doorbell.ready = on_doorbell;
	p->app_doorbell.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	p->app_doorbell.ready = on_app_doorbell;
	p->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p->doorbell.fd < 0 || p->app_doorbell.fd < 0 || p->wake_fd < 0) {
		err = -errno;
		goto close;
	}
	*memfd = port_open_memory(p, req->n ? req->n : PORT_BUFS_DEFAULT);
	if (*memfd < 0) {
		err = *memfd;
		goto close;
	}
	/* Edge-triggered: each write is told once, and never read. */
	err = loop_add(&p->doorbell, EPOLLIN | EPOLLET);
	if (!err) {
		err = loop_add(&p->app_doorbell, EPOLLIN | EPOLLET);
		if (err)
			loop_del(&p->doorbell);
	}
	if (err < 0) {
		/* Rare enough to give the connection up with its memory. */
		log_error("%s: doorbell: %s", p->ps->s->name, strerror(-err));
		close(*memfd);
		goto close;
	}
	p->is_open = true;
	return 0;
close:
	close_fd(&p->doorbell.fd);
	close_fd(&p->app_doorbell.fd);
	close_fd(&p->wake_fd);
	return err;
}

static int request_open(struct port *p, const struct js_pc_req *req, struct js_pc_rep *rep)
{
	int memfd = -1, err;

	rep->err = open_port(p, req, &memfd);
	if (rep->err) {
		err = answer(p, rep, JS_PC_REP_SHORT, NULL);
		/* A port half made is no port. */
		return err ? err : p->map && !p->is_open ? -EIO : 0;
	}
	rep->n = p->n_bufs;
	err = answer(p, rep, JS_PC_REP_SHORT, (int[]) { memfd, p->doorbell.fd, p->wake_fd,
							       p->app_doorbell.fd });
	close(memfd);
	return err;
}

/* --- pools ---------------------------------------------------------------------------- */

static bool all_zero(const uint8_t *at, size_t len)
{
	while (len)
		if (at[--len])
			return false;
	return true;
}

/* Check a template and clear what it does not compare: script.c compares in
 * words.  0 or -EINVAL. */
static int take_template(struct js_template *t)
{
	unsigned int i;

	if ((t->ip_len != 0 && t->ip_len != 20 && t->ip_len != 40) ||
	    t->tp_len > sizeof(t->tp_value) || !all_zero(t->resv, sizeof(t->resv)))
		return -EINVAL;
	for (i = 0; i < sizeof(t->ip_value); i++) {
		if (i >= t->ip_len)
			t->ip_value[i] = t->ip_mask[i] = 0;
		if (t->ip_value[i] & ~t->ip_mask[i])
			return -EINVAL;		/* nothing could match */
	}
	for (i = 0; i < sizeof(t->tp_value); i++) {
		if (i >= t->tp_len)
			t->tp_value[i] = t->tp_mask[i] = 0;
		if (t->tp_value[i] & ~t->tp_mask[i])
			return -EINVAL;
	}
	return 0;
}

/* Where a pool may send to: packets' streams.  Many at once, or ARP: the
 * connection server only. */
static int check_txvci(const struct port *p, js_vci_t vci)
{
	unsigned int stream = vci_stream(vci);

	if (vci == JS_VCI_NONE)
		return 0;
	if (vci > JS_VCI_MAX)
		return -EINVAL;
	if (stream < JS_STREAM_FIRST && stream != JS_STREAM_IP &&
	    stream != JS_STREAM_IP_DIVERT && stream != JS_STREAM_ARP)
		return -EINVAL;
	if ((vci_is_mcast(vci) || stream == JS_STREAM_ARP) && !p->is_trusted)
		return -EPERM;
	return 0;
}

/* A stream that this port has bound. */
static int check_inject(const struct port *p, js_vci_t vci)
{
	const struct pool *holder;

	if (!vci)
		return 0;
	if (vci > JS_VCI_MAX || vci_is_mcast(vci))
		return -EINVAL;
	holder = vcitab_holder(p->ps->s, vci);
	return holder && holder->port == p ? 0 : -EPERM;
}

/* The kernel socket @fd is bound to the local end of @flow. */
static bool is_bound_to(int fd, const struct js_flow *flow)
{
	static const uint8_t v4_any[16] = { [10] = 0xff, [11] = 0xff };
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} name = { 0 };
	socklen_t len = sizeof(name);
	uint8_t addr[16] = { 0 };
	uint16_t port_be;

	if (getsockname(fd, &name.sa, &len) < 0)
		return false;
	if (name.sa.sa_family == AF_INET) {
		memcpy(addr, v4_any, 12);
		memcpy(addr + 12, &name.in.sin_addr, 4);
		port_be = name.in.sin_port;
		if (memcmp(flow->dst, v4_any, 12) != 0)
			return false;
	} else if (name.sa.sa_family == AF_INET6) {
		memcpy(addr, &name.in6.sin6_addr, 16);
		port_be = name.in6.sin6_port;
	} else {
		return false;
	}
	if (!port_be || port_be != flow->dport_be)
		return false;
	return all_zero(addr, 16) || !memcmp(addr, v4_any, 16) || !memcmp(addr, flow->dst, 16);
}

/* Whether the port may claim @flow: see abi/portctl.h. */
static bool may_claim(const struct port *p, const struct js_flow *flow, int fd)
{
	uint64_t cookie = 0, want = p->ps->s->netns_cookie;
	socklen_t len = sizeof(int);
	int proto = -1;

	if (p->is_trusted)
		return true;
	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &proto, &len) < 0 ||
	    proto != flow->proto)
		return false;
	len = sizeof(cookie);
	if (want && (getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len) < 0 ||
		     cookie != want))
		return false;
	return is_bound_to(fd, flow);
}

static int check_flow(struct port *p, const struct js_flow *flow, int fd)
{
	if (!all_zero(flow->resv, sizeof(flow->resv)))
		return -EINVAL;
	if (may_claim(p, flow, fd))
		return 0;
	p->st.rules_refused++;
	return -EPERM;
}

/* Check all of @which before any of it is set. */
static int pool_set(struct pool *pool, uint32_t which, const struct js_pool_req *req)
{
	struct js_template tmpl = req->tmpl;
	int err = 0;

	if (which & ~(JS_PS_TXVCI | JS_PS_TMPL | JS_PS_TX_LIMIT | JS_PS_RX_LIMIT |
		      JS_PS_QUEUES | JS_PS_INJECT | JS_PS_RX_RESERVE))
		return -EINVAL;
	if (which & JS_PS_TXVCI)
		err = check_txvci(pool->port, req->txvci);
	if (!err && which & JS_PS_TMPL)
		err = take_template(&tmpl);
	if (!err && which & JS_PS_INJECT)
		err = check_inject(pool->port, req->inject);
	if (!err && which & JS_PS_TMPL)
		err = pool_set_template(pool, &tmpl);
	if (err)
		return err;
	if (which & JS_PS_TXVCI)
		pool->txvci = req->txvci;
	if (which & JS_PS_INJECT)
		pool->inject = req->inject;
	if (which & JS_PS_TX_LIMIT)
		pool->tx_limit = req->tx_limit;
	if (which & JS_PS_RX_LIMIT)
		pool->rx_limit = req->rx_limit;
	if (which & JS_PS_RX_RESERVE)
		pool->rx_reserve = req->rx_reserve;
	if (which & JS_PS_QUEUES)
		pool->queues = req->queues;
	return 0;
}

/* The pool with its stream and its rule, or nothing. */
static int pool_create(struct port *p, const struct js_pool_req *req, int fd,
		       struct js_pc_rep *rep)
{
	struct pool *pool;
	js_vci_t vci = JS_VCI_NONE;
	int err;

	if ((req->stream != JS_STREAM_NO && req->stream != JS_STREAM_ANY &&
	     req->stream != JS_STREAM_SHARED) || req->has_flow > 1)
		return -EINVAL;
	err = req->has_flow ? check_flow(p, &req->flow, fd) : 0;
	if (!err)
		err = pool_new(p, &pool);
	if (err)
		return err;
	err = pool_set(pool, JS_PS_TXVCI | JS_PS_TMPL | JS_PS_TX_LIMIT | JS_PS_RX_LIMIT |
		       JS_PS_QUEUES | JS_PS_INJECT | JS_PS_RX_RESERVE, req);
	if (!err && req->has_flow)
		err = rule_add(p->ps->s, &req->flow, pool);
	pool->is_shared = req->stream == JS_STREAM_SHARED;
	if (!err && req->stream != JS_STREAM_NO)
		err = pool_bind_any(pool, &vci);
	if (err) {
		pool_destroy(pool, false);
		return err;
	}
	rep->pool = pool->id;
	rep->vci = vci;
	return 0;
}

static int request_bind(struct port *p, const struct js_pc_req *req, struct js_pc_rep *rep)
{
	struct pool *pool = pool_find(p, req->pool);

	if (!pool)
		return -ENOENT;
	rep->vci = req->vci;
	if (req->vci == JS_STREAM_ANY)
		return pool_bind_any(pool, &rep->vci);
	return pool_bind(pool, req->vci);
}

static int request_unbind(struct port *p, const struct js_pc_req *req)
{
	struct pool *pool = pool_find(p, req->pool);

	return pool ? pool_unbind(pool, req->vci) : -ENOENT;
}

static int request_rule_add(struct port *p, const struct js_pc_req *req, int fd)
{
	struct pool *pool = pool_find(p, req->pool);
	int err = check_flow(p, &req->u.flow, fd);

	if (err)
		return err;
	return pool ? rule_add(p->ps->s, &req->u.flow, pool) : -ENOENT;
}

static int request_rule_del(struct port *p, const struct js_pc_req *req)
{
	struct station *s = p->ps->s;
	struct pool *pool;

	pool = rule_find(s, &req->u.flow);
	if (!pool)
		return -ENOENT;
	return pool->port == p ? rule_del(s, &req->u.flow, pool) : -EPERM;
}

/* --- queues and buffers ------------------------------------------------------------------ */

/* The queue that is free for longest: who had it before may still write there. */
static int request_queue_open(struct port *p, struct js_pc_rep *rep)
{
	struct squeue *best = NULL;
	int err;

	for (unsigned int i = 1; i < JS_N_QUEUES; i++)
		if (p->q[i].state == SQ_FREE && (!best || p->q[i].freed_nr < best->freed_nr))
			best = &p->q[i];
	if (!best)
		return -ENOSPC;
	err = squeue_open(best);
	if (!err)
		rep->n = best->idx;
	return err;
}

static int request_queue_revoke(struct port *p, const struct js_pc_req *req)
{
	if (req->n >= JS_N_QUEUES || req->arg & ~JS_QUEUE_KEEP)
		return -EINVAL;
	if (p->q[req->n].state != SQ_OPEN && p->q[req->n].state != SQ_BROKEN)
		return -ENOENT;
	squeue_revoke(&p->q[req->n], req->arg & JS_QUEUE_KEEP);
	return 0;
}

static int request_query(const struct port *p, const struct js_pc_req *req, struct js_pc_rep *rep)
{
	uint32_t i;

	for (i = 0; i < JS_PC_QUERY_MAX && req->n < p->n_bufs && i < p->n_bufs - req->n; i++) {
		uint16_t id = (uint16_t)(req->n + i);
		const struct pbuf *b = &p->buf[id];

		rep->own[i] = (struct js_buf_own) { 0 };
		if (!buf_is_owned(p, id))
			continue;
		rep->own[i] = (struct js_buf_own) {
			.pool = b->pool, .kind = b->kind, .queue = b->queue,
		};
	}
	rep->n = i;
	return 0;
}

static int request_free(struct port *p, const struct js_pc_req *req)
{
	int err = 0;

	if (!req->n || req->n > JS_PC_FREE_MAX)
		return -EINVAL;
	for (uint32_t i = 0; i < req->n; i++)
		if (buf_free(p, req->u.bufs[i]) < 0)
			err = -EPERM;
	return err;
}

static int dispatch(struct port *p, const struct js_pc_req *req, int fd, struct js_pc_rep *rep)
{
	struct pool *pool;

	switch (req->op) {
	case JS_PC_POOL_CREATE:
		return pool_create(p, &req->u.pool, fd, rep);
	case JS_PC_POOL_SET:
		pool = pool_find(p, req->pool);
		return pool ? pool_set(pool, req->arg, &req->u.pool) : -ENOENT;
	case JS_PC_POOL_DESTROY:
		pool = pool_find(p, req->pool);
		if (!pool)
			return -ENOENT;
		pool_destroy(pool, false);
		return 0;
	case JS_PC_VCI_BIND:
		return request_bind(p, req, rep);
	case JS_PC_VCI_UNBIND:
		return request_unbind(p, req);
	case JS_PC_RULE_ADD:
		return request_rule_add(p, req, fd);
	case JS_PC_RULE_DEL:
		return request_rule_del(p, req);
	case JS_PC_QUEUE_OPEN:
		return request_queue_open(p, rep);
	case JS_PC_QUEUE_REVOKE:
		return request_queue_revoke(p, req);
	case JS_PC_QUERY:
		return request_query(p, req, rep);
	case JS_PC_FREE:
		return request_free(p, req);
	default:
		return -EINVAL;
	}
}

int portctl_request(struct port *p, const struct js_pc_req *req, size_t len, int fd)
{
	struct js_pc_rep rep;
	size_t rep_len = JS_PC_REP_SHORT;

	memset(&rep, 0, JS_PC_REP_SHORT);
	rep.ring_id = p->ps->s->ring_id;
	if (len != sizeof(*req)) {
		/* Also if it was longer: the rest has been thrown away. */
		rep.op = len >= sizeof(req->op) ? req->op : 0;
		rep.err = -EINVAL;
		return answer(p, &rep, rep_len, NULL);
	}
	rep.op = req->op;
	rep.pool = req->pool;
	if (req->version != JS_PC_VERSION)
		rep.err = -EINVAL;
	else if (req->op == JS_PC_OPEN)
		return request_open(p, req, &rep);
	else if (!p->is_open)
		rep.err = -EINVAL;
	else
		rep.err = dispatch(p, req, fd, &rep);
	if (!rep.err && req->op == JS_PC_QUERY)
		rep_len += rep.n * sizeof(rep.own[0]);
	return answer(p, &rep, rep_len, NULL);
}
