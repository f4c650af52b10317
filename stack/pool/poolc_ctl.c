/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * poolc_ctl.c - pools from the client's side: opening a port, owning pools
 *
 * Requests to jetringd and their answers (abi/portctl.h), one at a time.  A
 * call waits as long as jetringd lives; when it dies the call ends with
 * -ENETDOWN.  Runs in children and the connection server.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/util.h"
#include "stack/pool/poolc_int.h"

#define N_FDS	4	/* memory, doorbell, wake, doorbell for others */

static int net_error(int err)
{
	return err == EPIPE || err == ECONNRESET || err == ENOTCONN ? -ENETDOWN : -err;
}

/* @fd goes along; -1 none. */
static int send_request(int sock, const struct js_pc_req *req, int fd)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} ctl = { .buf = { 0 } };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)req, .iov_len = sizeof(*req) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (fd >= 0) {
		msg.msg_control = ctl.buf;
		msg.msg_controllen = sizeof(ctl.buf);
		ctl.align.cmsg_level = SOL_SOCKET;
		ctl.align.cmsg_type = SCM_RIGHTS;
		ctl.align.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&ctl.align), &fd, sizeof(fd));
	}
	do
		n = sendmsg(sock, &msg, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? net_error(errno) : 0;
}

/* Descriptors that came with an answer; -1 where there is none. */
static void take_fds(struct msghdr *msg, int *fds)
{
	struct cmsghdr *cm;

	for (cm = CMSG_FIRSTHDR(msg); cm; cm = CMSG_NXTHDR(msg, cm))
		if (cm->cmsg_level == SOL_SOCKET && cm->cmsg_type == SCM_RIGHTS)
			memcpy(fds, CMSG_DATA(cm),
			       MIN(cm->cmsg_len - CMSG_LEN(0), N_FDS * sizeof(int)));
}

static int recv_answer(int sock, struct js_pc_rep *rep, int *fds)
{
	char ctl[CMSG_SPACE(N_FDS * sizeof(int))];
	struct iovec iov = { .iov_base = rep, .iov_len = sizeof(*rep) };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = fds ? ctl : NULL, .msg_controllen = fds ? sizeof(ctl) : 0,
	};
	ssize_t n;

	do
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return net_error(errno);
	if (fds)
		take_fds(&msg, fds);
	if (!n)
		return -ENETDOWN;
	if (n < JS_PC_REP_SHORT ||
	    (size_t)n < JS_PC_REP_SHORT + (rep->op == JS_PC_QUERY && !rep->err ?
					   MIN(rep->n, (uint32_t)JS_PC_QUERY_MAX) * sizeof(rep->own[0]) : 0))
		return -EPROTO;
	return 0;
}

/* One round trip.  0, or what jetringd said, or why it said nothing. */
static int call_with(struct poolc *pc, struct js_pc_req *req, int fd, struct js_pc_rep *rep)
{
	int err;

	if (pc->sock < 0)
		return -EPERM;
	req->version = JS_PC_VERSION;
	err = send_request(pc->sock, req, fd);
	if (!err)
		err = recv_answer(pc->sock, rep, NULL);
	if (err)
		return err;
	return rep->op == req->op ? rep->err : -EPROTO;
}

static int call(struct poolc *pc, struct js_pc_req *req, struct js_pc_rep *rep)
{
	return call_with(pc, req, -1, rep);
}

/**
 * poolc_open() - Open a port
 * @path:	nK.sock of the node
 * @flags:	JS_PORT_TRUSTED in the connection server, else 0
 * @n_bufs:	Buffers of its memory, 0 for jetringd's default
 *
 * Return: 0; -ENETDOWN nobody listens there; -EACCES; -EINVAL @flags or
 * @n_bufs; -EPROTO of another version; -errno.  Nothing is left on failure.
 */
int poolc_open(struct poolc *pc, const char *path, uint32_t flags, uint32_t n_bufs)
{
	struct js_pc_req req = {
		.op = JS_PC_OPEN, .version = JS_PC_VERSION, .arg = flags, .n = n_bufs,
	};
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int sock, err, fds[N_FDS] = { -1, -1, -1, -1 };
	struct js_pc_rep rep;

	if (strlen(path) >= sizeof(sun.sun_path))
		return -ENAMETOOLONG;
	strcpy(sun.sun_path, path);
	sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (sock < 0)
		return -errno;
	if (connect(sock, (struct sockaddr *)&sun, sizeof(sun)) < 0) {
		err = errno == ENOENT || errno == ECONNREFUSED ? -ENETDOWN : -errno;
		goto close;
	}
	err = send_request(sock, &req, -1);
	if (!err)
		err = recv_answer(sock, &rep, fds);
	if (!err)
		err = rep.op == req.op ? rep.err : -EPROTO;
	if (!err && (fds[0] < 0 || fds[1] < 0 || fds[2] < 0 || fds[3] < 0))
		err = -EPROTO;
	if (!err)
		err = poolc_attach(pc, fds[0], fds[1], fds[2]);
	if (!err) {
		pc->sock = sock;
		pc->app_doorbell_fd = fds[3];
		return 0;
	}
close:
	for (unsigned int i = 0; i < N_FDS; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	close(sock);
	return err;
}

int poolc_pool_create(struct poolc *pc, const struct js_pool_req *req,
		      uint16_t *pool, js_vci_t *rxvci)
{
	return poolc_pool_create_flow(pc, req, -1, pool, rxvci);
}

int poolc_pool_create_flow(struct poolc *pc, const struct js_pool_req *pool_req, int proof_fd,
			   uint16_t *pool, js_vci_t *rxvci)
{
	struct js_pc_req req = { .op = JS_PC_POOL_CREATE, .u.pool = *pool_req };
	struct js_pc_rep rep;
	int err = call_with(pc, &req, proof_fd, &rep);

	if (err)
		return err;
	*pool = rep.pool;
	if (rxvci)
		*rxvci = rep.vci;
	return 0;
}

int poolc_pool_set(struct poolc *pc, uint16_t pool, uint32_t which,
		   const struct js_pool_req *pool_req)
{
	struct js_pc_req req = {
		.op = JS_PC_POOL_SET, .pool = pool, .arg = which, .u.pool = *pool_req,
	};
	struct js_pc_rep rep;

	return call(pc, &req, &rep);
}

int poolc_pool_destroy(struct poolc *pc, uint16_t pool)
{
	struct js_pc_req req = { .op = JS_PC_POOL_DESTROY, .pool = pool };
	struct js_pc_rep rep;

	return call(pc, &req, &rep);
}

int poolc_vci_bind(struct poolc *pc, uint16_t pool, js_vci_t *vci)
{
	struct js_pc_req req = { .op = JS_PC_VCI_BIND, .pool = pool, .vci = *vci };
	struct js_pc_rep rep;
	int err = call(pc, &req, &rep);

	if (!err)
		*vci = rep.vci;
	return err;
}

int poolc_vci_unbind(struct poolc *pc, uint16_t pool, js_vci_t vci)
{
	struct js_pc_req req = { .op = JS_PC_VCI_UNBIND, .pool = pool, .vci = vci };
	struct js_pc_rep rep;

	return call(pc, &req, &rep);
}

int poolc_rule_add(struct poolc *pc, uint16_t pool, const struct js_flow *flow, int proof_fd)
{
	struct js_pc_req req = { .op = JS_PC_RULE_ADD, .pool = pool, .u.flow = *flow };
	struct js_pc_rep rep;

	return call_with(pc, &req, proof_fd, &rep);
}

int poolc_rule_del(struct poolc *pc, const struct js_flow *flow)
{
	struct js_pc_req req = { .op = JS_PC_RULE_DEL, .u.flow = *flow };
	struct js_pc_rep rep;

	return call(pc, &req, &rep);
}

int poolc_queue_open(struct poolc *pc)
{
	struct js_pc_req req = { .op = JS_PC_QUEUE_OPEN };
	struct js_pc_rep rep;
	int err = call(pc, &req, &rep);

	if (err)
		return err;
	return rep.n < pc->n_queues ? (int)rep.n : -EPROTO;
}

int poolc_queue_revoke(struct poolc *pc, unsigned int idx)
{
	struct js_pc_req req = { .op = JS_PC_QUEUE_REVOKE, .n = idx };
	struct js_pc_rep rep;

	return call(pc, &req, &rep);
}

int poolc_queue_stop(struct poolc *pc, unsigned int idx)
{
	struct js_pc_req req = { .op = JS_PC_QUEUE_REVOKE, .n = idx, .arg = JS_QUEUE_KEEP };
	struct js_pc_rep rep;

	return call(pc, &req, &rep);
}

int poolc_query(struct poolc *pc, uint32_t first, struct js_buf_own own[JS_PC_QUERY_MAX])
{
	struct js_pc_req req = { .op = JS_PC_QUERY, .n = first };
	struct js_pc_rep rep;
	int err = call(pc, &req, &rep);

	if (err)
		return err;
	if (rep.n > JS_PC_QUERY_MAX)
		return -EPROTO;
	memcpy(own, rep.own, rep.n * sizeof(own[0]));
	return (int)rep.n;
}

int poolc_free_bufs(struct poolc *pc, const uint16_t *bufs, unsigned int n)
{
	int err, first_err = 0;

	while (n) {
		unsigned int k = MIN(n, (unsigned int)JS_PC_FREE_MAX);
		struct js_pc_req req = { .op = JS_PC_FREE, .n = k };
		struct js_pc_rep rep;

		memcpy(req.u.bufs, bufs, k * sizeof(*bufs));
		err = call(pc, &req, &rep);
		if (err && err != -EPERM)
			return err;
		if (!first_err)
			first_err = err;
		bufs += k;
		n -= k;
	}
	return first_err;
}
