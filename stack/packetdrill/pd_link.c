/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pd_link.c - application and child in one process
 *
 * Takes the place of stack/api/link.c, which finds a child through the
 * connection server, and of stack/child/child.c, which sleeps.  The child is
 * turned at the end of each call and whenever time has passed, by whichever
 * thread holds the lock.
 *
 * DOC: sysctl
 *
 * Scripts set what they want of Linux with sysctl(8).  With the flag "sysctl",
 * and packetdrill in a network namespace of its own, we read at each socket():
 *
 *	net.ipv4.tcp_timestamps, tcp_sack, tcp_window_scaling, tcp_ecn,
 *	tcp_mtu_probing, tcp_base_mss, tcp_orphan_retries,
 *	tcp_notsent_lowat
 *
 * and whenever something is asked of the child, or a packet comes:
 *
 *	net.ipv4.tcp_fastopen, tcp_fastopen_key
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "stack/api/api.h"
#include "stack/packetdrill/pd.h"

#define TURNS_MAX	100000	/* without time passing: they would never end */

bool __wrap_addr_is_user(const struct cm_addr *a);

static struct {
	struct pd_flags flags;
	struct child *child;
	struct stk app;			/* the application's view of the stack */
	int channel;			/* of the application; its other end is the child's */
	int server;			/* the server's end of the child's channel */
	uint32_t next_id;
} host = { .channel = -1, .server = -1 };

struct child *pd_child(void)
{
	return host.child;
}

const struct pd_flags *pd_flags(void)
{
	return &host.flags;
}

/* --- the link of stack/api ------------------------------------------------------------- */

/* Its first number; @dflt if there is none. */
static int sysctl_of(const char *name, int dflt)
{
	char path[128], value[32];
	char *end;
	long v;
	int fd;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv4/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return dflt;
	n = read(fd, value, sizeof(value) - 1);
	close(fd);
	if (n <= 0)
		return dflt;
	value[n] = '\0';
	v = strtol(value, &end, 10);
	return end == value || v < 0 || v > INT_MAX ? dflt : (int)v;
}

int link_open(void)
{
	if (!host.child)
		return -ENETDOWN;
	if (host.flags.sysctl) {
		static const uint8_t ecn[] = { TCP_ECN_OFF, TCP_ECN_ACTIVE, TCP_ECN_PASSIVE };
		struct tcp_config *w = &host.child->wishes;

		w->no_ts = !sysctl_of("tcp_timestamps", 1);
		w->no_sack = !sysctl_of("tcp_sack", 1);
		w->no_ws = !sysctl_of("tcp_window_scaling", 1);
		w->ecn = ecn[MIN(sysctl_of("tcp_ecn", 2), 2)];
		w->train_min = (uint8_t)MIN(sysctl_of("tcp_min_tso_segs", 0), UINT8_MAX);
		w->mtu_probing = (uint8_t)MIN(sysctl_of("tcp_mtu_probing", 0), 2);
		w->base_mss = (uint16_t)MIN(sysctl_of("tcp_base_mss", 0), 65535);
		host.child->orphan_retries = (uint8_t)MIN(sysctl_of("tcp_orphan_retries", 0), UINT8_MAX);
		/* More than an int holds: no bound. */
		host.child->notsent_lowat = (uint32_t)sysctl_of("tcp_notsent_lowat", 0);
		host.app.hdr->notsent_lowat = host.child->notsent_lowat;
	}
	return stk_dead(&host.app);
}

/* Fast Open: without "sysctl" both ways, with the key that public scripts have
 * in their defaults. */
void pd_fastopen(void)
{
	struct child *c = host.child;

	if (!c)
		return;
	if (host.flags.sysctl) {
		c->fo.is_fixed = false;
		c->fo.zero_is_key = true;
		c->fo.read_us = 0;
		fo_settings(c);
	} else {
		c->fo.bits = FO_CLIENT | FO_SERVER;
		fo_keys_parse(&c->fo.keys, "a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4");
	}
	c->fo.is_fixed = true;
}

int link_down_err(void)
{
	return -ENETDOWN;
}

struct stk *link_stk(void)
{
	return host.child ? &host.app : NULL;
}

/* The child does all receive processing: it has its turn before anybody waits. */
bool link_rx_self(void)
{
	return false;
}

int link_request(struct cm_msg *m, int *fd)
{
	int got[CM_MAX_FDS], n_got = 0;
	uint32_t id = m->id = ++host.next_id;

	if (fd)
		*fd = -1;
	pd_fastopen();
	if (!host.child || cm_send(host.channel, m, NULL, 0))
		return -ENETDOWN;
	do {
		pd_settle();
		n_got = 0;
		if (cm_recv(host.channel, m, got, CM_MAX_FDS, &n_got, NULL, MSG_DONTWAIT) != 1)
			return -ENETDOWN;
		if (fd && m->id == id && n_got > 0)
			*fd = got[--n_got];
		while (n_got > 0)
			close(got[--n_got]);
	} while (m->id != id);
	return 0;
}

int link_simple(struct cm_msg *m)
{
	int r = link_request(m, NULL);

	return r ? r : m->err;
}

/* Nobody forks here. */
unsigned int link_fork_gen(void)
{
	return 0;
}

unsigned int link_fork_mark(void)
{
	return 0;
}

bool link_is_vfork(void)
{
	return false;
}

int link_move_own(int fd)
{
	(void)fd;
	return -EBADF;
}

int link_own_fd(int fd)
{
	int err = fdtable_set(fd, (struct fd_ent){ .kind = FD_OWN });

	if (!err)
		return fd;
	close(fd);
	return err;
}

void link_own_close(int fd)
{
	if (fd < 0)
		return;
	fdtable_drop_if(fd, (struct fd_ent){ .kind = FD_OWN });
	close(fd);
}

/* All addresses are reached by our TCP. */
bool __wrap_addr_is_user(const struct cm_addr *a)
{
	(void)a;
	return true;
}

/* --- start -------------------------------------------------------------------------------- */

static int start_child(struct child *c)
{
	int pair[2], err;

	c->server_fd = -1;
	c->next_us = c->handover_us = UINT64_MAX;
	c->mtu = host.flags.mtu;
	c->args.node = 1;
	c->args.user_pid = getpid();
	c->args.user_uid = geteuid();
	c->args.node_addr = host.flags.local4;
	c->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (c->epoll_fd < 0)
		return -errno;
	err = poolc_open(&c->stk.pc, "", 0, 0);
	if (!err)
		err = child_make_stack(c);
	if (err)
		return err;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return -errno;
	c->server_fd = pair[0];
	host.server = pair[1];
	return child_watch(c, c->server_fd, EPOLLIN | EPOLLRDHUP, EP_SERVER, 0);
}

/* A channel to the child, and the stack that comes over it. */
static int attach(struct child *c)
{
	int pair[2], fds[CM_INIT_NFDS], n_fds = 0, one = 1, err;
	struct cm_msg m;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	setsockopt(pair[0], SOL_SOCKET, SO_PASSCRED, &one, sizeof(one));
	host.channel = pair[0];
	err = ctl_add_proc(c, pair[1], getpid());
	if (err)
		return err;
	if (cm_recv(host.channel, &m, fds, CM_INIT_NFDS, &n_fds, NULL, MSG_DONTWAIT) != 1 ||
	    m.type != CM_INIT_REPLY || m.err || n_fds != CM_INIT_NFDS)
		return -EPROTO;
	return stk_attach(&host.app, fds, m.n, m.sock);
}

int pd_start(const struct pd_flags *f)
{
	struct child *c = calloc(1, sizeof(*c));
	int err;

	if (!c)
		return -ENOMEM;
	host.flags = *f;
	log_init("packetdrill", 2);
	if (!f->log)
		log_level = LOG_WARN;
	pd_time_init(f->real_time);
	pd_net_reset();
	err = start_child(c);
	if (!err) {
		host.child = c;
		err = attach(c);
	}
	if (err) {
		host.child = c;
		pd_stop();
	}
	return err;
}

static void close_if(int fd)
{
	if (fd >= 0)
		close(fd);
}

/* What the child holds. */
static void end_child(struct child *c)
{
	for (uint32_t i = 0; i < c->max_sock; i++) {
		if (c->socks[i].kind == CK_FREE)
			continue;
		close_if(c->socks[i].anchor);
		close_if(c->socks[i].bp);
	}
	for (int i = 0; i < MAX_PROCS; i++) {
		if (c->procs[i].used)
			close_if(c->procs[i].fd);
	}
	if (c->stk.hdr)
		stk_detach(&c->stk);	/* closes kick_fd, too */
	close_if(c->stack_fd);
	close_if(c->guard_fd);
	close_if(c->server_fd);
	close_if(c->epoll_fd);
	free(c);
}

void pd_stop(void)
{
	static const enum fd_kind kinds[] = { FD_USER, FD_EPOLL, FD_OWN };

	if (!host.child)
		return;
	/* Descriptors that were left open are packetdrill's to close. */
	for (unsigned int k = 0; k < ARRAY_SIZE(kinds); k++) {
		for (int fd = fdtable_next(0, kinds[k]); fd >= 0;
		     fd = fdtable_next(fd + 1, kinds[k]))
			fdtable_drop(fd);
	}
	if (host.app.hdr)
		stk_detach(&host.app);
	end_child(host.child);
	host.child = NULL;
	close_if(host.channel);
	close_if(host.server);
	host.channel = host.server = -1;
	pd_port_free();
}

/* --- running -------------------------------------------------------------------------------- */

static bool once(struct child *c)
{
	bool some = pd_port_run();

	some |= pd_net_serve(host.server);
	some |= child_messages(c) > 0;
	some |= child_turn(c);
	if (pd_now() >= c->handover_us) {
		conn_hand_over(c);
		some = true;
	}
	return some;
}

bool pd_settle(void)
{
	bool some = false;
	int n;

	for (n = 0; host.child && n < TURNS_MAX && once(host.child); n++)
		some = true;
	if (n == TURNS_MAX)
		log_warn("the stack does not come to rest");
	return some;
}

uint64_t pd_next_us(void)
{
	const struct child *c = host.child;

	return c ? MIN(c->next_us, c->handover_us) : UINT64_MAX;
}
