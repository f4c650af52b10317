/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hostile.c - an application that does to its stack whatever it can
 *
 *	hostile MODE SEED SECONDS ADDR PORT
 *
 * Speaks the protocol of abi/ctlmsg.h by itself, without libjetstream, under
 * "jet exec".  In turn, for SECONDS: Spawn; look whether what must be sealed
 * is; a socket, connected to ADDR PORT or listening; then by MODE
 *	garbage	anything into any word, malformed messages, holes in the
 *		memory, its anchor shut down, descriptors closed
 *	lawful	blocks that pass tcp_check() and say what no TCP would: no timer
 *		ever, tiny segments, buffers of others
 *	lock	holds the lock, alive, and never lets go; in the end the lock's
 *		word names a process that lives on
 *	idle	what costs the child time if it is not careful: shut-down
 *		anchors, full eventfds that block, channels kept open twice.
 *		Then sleeps until it is killed
 * until the stack has ended or a while has passed, and once more.
 *
 * Exit status: 0; 1 nothing could be tried; 3 a seal is missing; it says why.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "abi/anchor.h"
#include "abi/ctlmsg.h"
#include "abi/shmseg.h"
#include "common/clock.h"
#include "common/util.h"
#include "stack/engine/tcp.h"

#define LIFE_US		300000	/* of one stack, at most */
#define PATIENCE_US	60000000ull	/* for the first one */
#define ANSWER_MS	1000	/* the child may be busy with what we did */

/* One application that was spawned. */
struct victim {
	int chan, chan_twin;		/* our end; a copy of the child's end, or -1 */
	int anchor, anchor2;		/* of two sockets, or -1 */
	uint32_t sock, gen, sock2, gen2;
	uint32_t queue, id;
	int fd[CM_INIT_NFDS];
	size_t stack_size, port_size;
	struct js_stack_hdr *hdr;
	struct js_stack *mem;
	struct js_sock *socks;
	struct js_port_hdr *port;
};

static uint64_t rng_state;
static struct sockaddr_in target;
static unsigned long long n_lives, n_strokes;

static uint64_t rnd(void)
{
	/* xorshift64*: the same run for the same seed, as far as we decide */
	rng_state ^= rng_state >> 12;
	rng_state ^= rng_state << 25;
	rng_state ^= rng_state >> 27;
	return rng_state * 2685821657736338717ull;
}

static uint32_t below(uint32_t n)
{
	return (uint32_t)(rnd() % n);
}

/* Values that break things more often than others. */
static uint64_t nasty(void)
{
	static const uint64_t some[] = {
		0, 1, 2, 7, 255, 256, 4095, 4096, 65535, 65536, 0x7fffffff, 0x80000000,
		0xffffffff, 0x7fffffffffffffff, UINT64_MAX, UINT64_MAX - 1,
	};

	return below(3) ? some[below(ARRAY_SIZE(some))] : rnd();
}

__attribute__((format(printf, 2, 3), noreturn))
static void quit(int status, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(status);
}

/* --- messages ------------------------------------------------------------------- */

/* Any octets as a packet, any descriptors with it. */
static ssize_t send_raw(int sock, const void *data, size_t len, const int *fds, int n_fds,
			const struct sockaddr_un *to, socklen_t to_len)
{
	union { struct cmsghdr align; char buf[CMSG_SPACE(32 * sizeof(int))]; } ctl = { 0 };
	struct iovec iov = { .iov_base = (void *)data, .iov_len = len };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1,
			     .msg_name = (void *)to, .msg_namelen = to_len };

	if (n_fds) {
		struct cmsghdr *c = &ctl.align;

		mh.msg_control = ctl.buf;
		mh.msg_controllen = CMSG_SPACE((size_t)n_fds * sizeof(int));
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN((size_t)n_fds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, (size_t)n_fds * sizeof(int));
	}
	return sendmsg(sock, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* One message, with at most @max descriptors.  0; -1 none came. */
static int receive(int sock, struct cm_msg *m, int *fds, int max, int *n_fds)
{
	union { struct cmsghdr align; char buf[CMSG_SPACE(CM_INIT_NFDS * sizeof(int)) + 64]; } ctl;
	struct iovec iov = { .iov_base = m, .iov_len = sizeof(*m) };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = ctl.buf,
			     .msg_controllen = sizeof(ctl.buf) };
	struct pollfd p = { .fd = sock, .events = POLLIN };
	struct cmsghdr *c;

	*n_fds = 0;
	if (poll(&p, 1, ANSWER_MS) <= 0 || recvmsg(sock, &mh, MSG_CMSG_CLOEXEC) <= 0)
		return -1;
	for (c = CMSG_FIRSTHDR(&mh); c; c = CMSG_NXTHDR(&mh, c)) {
		int n = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));

		if (c->cmsg_type != SCM_RIGHTS)
			continue;
		*n_fds = MIN(n, max);
		memcpy(fds, CMSG_DATA(c), (size_t)*n_fds * sizeof(int));
	}
	return 0;
}

/* A request and its answer.  The answer's err, or -1. */
static int ask(struct victim *v, struct cm_msg *m, int *fd)
{
	uint32_t id = ++v->id;
	int got, n;

	m->version = CM_VERSION;
	m->id = id;
	if (send_raw(v->chan, m, sizeof(*m), NULL, 0, NULL, 0) < 0)
		return -1;
	do {
		if (receive(v->chan, m, &got, 1, &n) < 0)
			return -1;
		if (n && (m->id != id || !fd))
			close(got);
		else if (n)
			*fd = got;
	} while (m->id != id);
	return m->err;
}

static void set_addr(struct cm_addr *a, uint32_t ip_be, uint16_t port)
{
	memset(a, 0, sizeof(*a));
	a->addr[10] = a->addr[11] = 0xff;
	memcpy(a->addr + 12, &ip_be, 4);
	a->port = port;
}

/* --- a stack ------------------------------------------------------------------------ */

static size_t size_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) < 0 ? 0 : (size_t)st.st_size;
}

/* The guard must not be written, in any way there is; nothing resized. */
static void look_at_seals(const struct victim *v)
{
	int guard = v->fd[CM_INIT_GUARD];
	size_t size = size_of(guard);
	char path[40];
	void *p;
	int fd;

	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, guard, 0);
	if (p != MAP_FAILED)
		quit(3, "the guard can be mapped for writing");
	p = mmap(NULL, size, PROT_READ, MAP_SHARED, guard, 0);
	if (p == MAP_FAILED)
		quit(3, "the guard cannot be mapped: %s", strerror(errno));
	if (!mprotect(p, size, PROT_READ | PROT_WRITE))
		quit(3, "the guard's mapping can be made writable");
	munmap(p, size);
	if (pwrite(guard, "x", 1, 64) > 0)
		quit(3, "the guard can be written");
	if (!fallocate(guard, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096))
		quit(3, "the guard can be emptied");
	if (!fcntl(guard, F_ADD_SEALS, F_SEAL_WRITE))
		quit(3, "the guard takes more seals");
	/* Another open file of the same object. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", guard);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd >= 0) {
		p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (p != MAP_FAILED || pwrite(fd, "x", 1, 64) > 0)
			quit(3, "the guard can be written when opened anew");
		close(fd);
	}
	for (int i = CM_INIT_STACK; i <= CM_INIT_PORT; i++)
		if (!ftruncate(v->fd[i], 4096) || !ftruncate(v->fd[i], 1 << 30))
			quit(3, "memory %d can be resized", i);
}

static void drop(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Spawn.  0; -1 the server would not. */
static int be_born(struct victim *v)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
				    strlen(CM_SERVER_NAME));
	struct cm_msg m = { .type = CM_SPAWN, .version = CM_VERSION, .id = 1 };
	int sv[2], n, s = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ssize_t sent;

	*v = (struct victim){ .chan = -1, .chan_twin = -1, .anchor = -1, .anchor2 = -1, .id = 1 };
	memset(v->fd, 0xff, sizeof(v->fd));
	memcpy(sun.sun_path + 1, CM_SERVER_NAME, strlen(CM_SERVER_NAME));
	if (s < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0)
		quit(1, "socket: %s", strerror(errno));
	sent = send_raw(s, &m, sizeof(m), &sv[1], 1, &sun, len);
	close(s);
	v->chan = sv[0];
	v->chan_twin = sv[1];
	/* A twin keeps the channel alive; most lives do without. */
	if (below(8))
		drop(&v->chan_twin);
	if (sent < 0 || receive(v->chan, &m, v->fd, CM_INIT_NFDS, &n) < 0)
		return -1;
	if (m.type != CM_INIT_REPLY || m.err || n != CM_INIT_NFDS)
		return -1;
	v->queue = m.n % JS_N_QUEUES;
	v->stack_size = size_of(v->fd[CM_INIT_STACK]);
	v->port_size = size_of(v->fd[CM_INIT_PORT]);
	v->hdr = mmap(NULL, v->stack_size, PROT_READ | PROT_WRITE, MAP_SHARED,
		      v->fd[CM_INIT_STACK], 0);
	v->port = mmap(NULL, v->port_size, PROT_READ | PROT_WRITE, MAP_SHARED,
		       v->fd[CM_INIT_PORT], 0);
	if (v->hdr == MAP_FAILED || v->port == MAP_FAILED)
		quit(1, "mmap: %s", strerror(errno));
	v->mem = (struct js_stack *)v->hdr;
	v->socks = v->mem->sock;
	return 0;
}

static void die(struct victim *v)
{
	int *all[] = { &v->chan, &v->chan_twin, &v->anchor, &v->anchor2, &v->fd[0], &v->fd[1],
		       &v->fd[2], &v->fd[3], &v->fd[4] };

	for (unsigned int left = ARRAY_SIZE(all); left; left--) {
		unsigned int i = below(left);

		drop(all[i]);
		all[i] = all[left - 1];
	}
	if (v->hdr)
		munmap(v->hdr, v->stack_size);
	if (v->port)
		munmap(v->port, v->port_size);
}

/* Whatever stands there. */
static struct js_block *live_block(const struct victim *v, const struct js_sock *so)
{
	return &v->mem->block[(atomic_load(&so->commit) & 0xffff) % JS_N_BLOCKS];
}

/* A connection to the target; now and then a listener beside it. */
static void open_sockets(struct victim *v)
{
	struct cm_msg m = { .type = CM_NEW_SOCKET, .family = AF_INET };
	const struct js_sock *so;

	if (ask(v, &m, &v->anchor))
		return;
	v->sock = m.sock % JS_N_SOCKS;
	v->gen = m.gen;
	m = (struct cm_msg){ .type = CM_CONNECT, .sock = v->sock, .gen = v->gen };
	set_addr(&m.peer, target.sin_addr.s_addr, ntohs(target.sin_port));
	ask(v, &m, NULL);
	so = &v->socks[v->sock];
	for (int i = 0; i < 100; i++) {
		const struct js_block *b = live_block(v, so);

		if (b->so.flags & JS_SOF_CONNECTED)
			break;
		usleep(1000);
	}
	if (below(2))
		return;
	m = (struct cm_msg){ .type = CM_NEW_SOCKET, .family = AF_INET };
	if (ask(v, &m, &v->anchor2))
		return;
	v->sock2 = m.sock % JS_N_SOCKS;
	v->gen2 = m.gen;
	m = (struct cm_msg){ .type = CM_LISTEN_CHILD, .sock = v->sock2, .gen = v->gen2, .n = 5 };
	ask(v, &m, NULL);
}

static bool has_ended(const struct victim *v)
{
	struct pollfd p = { .fd = v->chan };

	return v->hdr->dead || v->port->closed ||
	       (poll(&p, 1, 0) > 0 && p.revents & (POLLHUP | POLLERR));
}

/* --- strokes: into memory ----------------------------------------------------------- */

static void words(void *at, size_t octets, uint32_t n)
{
	volatile uint32_t *w = at;

	while (n--)
		w[below((uint32_t)(octets / 4))] = (uint32_t)nasty();
}

static struct js_sock *a_sock(const struct victim *v)
{
	/* The last one lies at the end of the mapping. */
	return &v->socks[below(8) ? v->sock : below(2) ? v->sock2 : JS_N_SOCKS - 1];
}

static void hit_blocks(struct victim *v)
{
	words(live_block(v, a_sock(v)), sizeof(struct js_block), 1 + below(64));
	words(v->mem->block, sizeof(v->mem->block), 1 + below(64));
}

/* Of the live block only what the child reads first. */
static void hit_cursors(struct victim *v)
{
	struct js_so *s = &live_block(v, a_sock(v))->so;
	volatile uint32_t *const w[] = { &s->snd_head, &s->snd_tail, &s->snd_cc, &s->rcv_head,
		&s->rcv_tail, &s->rcv_cc, &s->snd_head_off, &s->rcv_head_off, &s->ev_seq,
		&s->flags, &s->snd_hiwat, &s->rcv_hiwat };
	uint32_t i = below(ARRAY_SIZE(w));

	*w[i] = below(2) ? *w[i] + below(1024) : (uint32_t)nasty();
	if (!below(4))
		s->ooo_map[below(JS_OOO_WORDS)] = nasty();
	if (!below(4))
		s->rcv_last = (struct js_piece){ .buf = (uint16_t)rnd(), .off = (uint16_t)nasty(),
						 .len = (uint16_t)nasty() };
}

static void hit_commit(struct victim *v)
{
	struct js_sock *so = a_sock(v);

	for (int i = 0; i < 100; i++)
		atomic_store(&so->commit, below(2) ? nasty() :
			     atomic_load(&so->commit) + below(JS_N_BLOCKS));
}

/* Which block is written next: any, that of a connection, none that there is. */
static void hit_spare(struct victim *v)
{
	for (int i = 0; i < 100; i++)
		atomic_store(&v->hdr->spare, below(2) ? nasty() :
			     below(2) ? atomic_load(&a_sock(v)->commit) : below(2 * JS_N_BLOCKS));
}

static void hit_rings(struct victim *v)
{
	struct js_rings *r = &v->mem->rings[a_sock(v) - v->socks];

	words(r->snd, sizeof(r->snd), 64);
	words(r->rcv, sizeof(r->rcv), 64);
	words(r->ooo, sizeof(r->ooo), 256);
	/* The count of an entry, while the child may be between two looks. */
	for (int i = 0; i < 2000; i++)
		*(volatile uint8_t *)&r->ooo[i % JS_OOO_ENTRIES].n_buf = i & 1 ? 255 : 18;
}

static void hit_sock_words(struct victim *v)
{
	words(a_sock(v), sizeof(struct js_sock), 8);
}

static void hit_header(struct victim *v)
{
	words(v->hdr, sizeof(*v->hdr), 8);
}

static void hit_lock(struct victim *v)
{
	static const uint32_t owners[] = { 0, 1, 2, 0x80000000, 0x80000001 };

	for (int i = 0; i < 100; i++) {
		atomic_store(&v->hdr->lock, below(2) ? owners[below(ARRAY_SIZE(owners))] :
			     (uint32_t)getpid());
		sched_yield();
	}
	atomic_store(&v->hdr->lock, 0);
}

static void hit_work(struct victim *v)
{
	for (int i = 0; i < JS_N_SOCKS / 64; i++)
		atomic_store(&v->hdr->work_map[i], nasty());
	atomic_store(&v->hdr->child_work, (uint32_t)nasty());
	atomic_store(&v->hdr->app_deadline_us, nasty());
	atomic_store(&v->hdr->child_until_us, nasty());
	atomic_store(&a_sock(v)->deadline_us, nasty());
	atomic_store(&a_sock(v)->pending, 1);
	atomic_store(&a_sock(v)->notify, (uint32_t)nasty());
}

static void hit_port(struct victim *v)
{
	uint8_t *map = (uint8_t *)v->port;
	struct js_queue *sq = (struct js_queue *)(map + v->port->sq_off % (v->port_size / 2));

	switch (below(6)) {
	case 0:
		atomic_store(&v->port->eq_cons, atomic_load(&v->port->eq_cons) + below(3) - 1);
		break;
	case 1:
		atomic_store(&v->port->eq_cons, (uint32_t)nasty());
		break;
	case 2:		/* events that did not happen, and those that did, again */
		words(map + 4096, JS_N_EVENTS * sizeof(struct js_event), 4096);
		break;
	case 3:		/* the child's own queue */
		words(sq->op, sizeof(sq->op), 64);
		atomic_store(&sq->tail, atomic_load(&sq->tail) + below(8));
		break;
	case 4:
		atomic_store(below(2) ? &sq->done : below(2) ? &sq->fetched : &sq->epoch,
			     (uint32_t)nasty());
		break;
	default:
		words(&sq[v->queue], sizeof(*sq), 256);
		words(v->port, sizeof(*v->port), 4);
		break;
	}
}

static void hit_anything(struct victim *v)
{
	words(v->hdr, v->stack_size, 20000);
	words(v->port, MIN(v->port_size, (size_t)4 << 20), 20000);
}

static void punch_holes(struct victim *v)
{
	int fd = v->fd[below(2) ? CM_INIT_STACK : CM_INIT_PORT];

	fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, below(1 << 20), 1 << 20);
}

/* --- strokes: with descriptors ---------------------------------------------------------- */

static void tell_nonsense(struct victim *v)
{
	union { struct cm_msg m; uint8_t octets[4096]; } u;
	int fds[20], n_fds = 0, junk = eventfd(0, EFD_CLOEXEC);
	size_t len = sizeof(u.m);

	for (size_t i = 0; i < sizeof(u.octets); i++)
		u.octets[i] = (uint8_t)rnd();
	if (below(4)) {		/* the form is right, the rest is not */
		memset(&u.m, 0, sizeof(u.m));
		u.m.type = (uint16_t)below(CM_N_TYPES + 2);
		u.m.version = below(8) ? CM_VERSION : (uint16_t)rnd();
		u.m.sock = below(2) ? v->sock : (uint32_t)nasty();
		u.m.gen = below(2) ? v->gen : (uint32_t)nasty();
		u.m.n = (uint32_t)nasty();
		u.m.family = below(2) ? AF_INET6 : (uint16_t)rnd();
		u.m.on = (uint16_t)below(3);
		u.m.peer.port = (uint16_t)nasty();
		memset(u.m.peer.addr, (int)nasty(), 16);
	}
	if (!below(4))
		len = below(sizeof(u.octets));
	/* Attach with something that is no channel, and many of them. */
	if (!below(3))
		n_fds = (int)below(ARRAY_SIZE(fds));
	for (int i = 0; i < n_fds; i++)
		fds[i] = junk;
	send_raw(v->chan, &u, len, fds, n_fds, NULL, 0);
	close(junk);
}

static void use_anchor(struct victim *v)
{
	int anchor = below(2) || v->anchor2 < 0 ? v->anchor : v->anchor2;
	char junk[4096];

	memset(junk, JS_ANCHOR_TOKEN, sizeof(junk));
	switch (below(8)) {
	case 0:
		shutdown(anchor, (int)below(3));
		break;
	case 1:
		send_raw(anchor, junk, 1, &v->chan, 1, NULL, 0);
		break;
	default:
		send(anchor, junk, below(sizeof(junk)), MSG_DONTWAIT | MSG_NOSIGNAL);
		break;
	}
}

static void ring_bells(struct victim *v)
{
	for (int i = CM_INIT_DOORBELL; i <= CM_INIT_KICK; i++) {
		uint64_t n = below(4) ? 1 : UINT64_MAX - 1;

		if (v->fd[i] < 0)
			continue;
		fcntl(v->fd[i], F_SETFL, O_NONBLOCK);
		if (write(v->fd[i], &n, sizeof(n)) < 0 && read(v->fd[i], &n, sizeof(n)) < 0)
			continue;
		/* Others share the open file: they must not rely on this flag. */
		fcntl(v->fd[i], F_SETFL, 0);
	}
}

static void close_one(struct victim *v)
{
	if (below(8))
		return;
	drop(below(2) ? &v->fd[below(CM_INIT_NFDS)] : below(2) ? &v->anchor : &v->anchor2);
}

/* --- modes ----------------------------------------------------------------------------- */

static void live_garbage(struct victim *v, uint64_t until)
{
	static void (*const strokes[])(struct victim *) = {
		hit_blocks, hit_cursors, hit_cursors, hit_commit, hit_spare, hit_rings, hit_sock_words,
		hit_header, hit_lock, hit_work, hit_port, hit_port, hit_anything, punch_holes,
		tell_nonsense, tell_nonsense, use_anchor, ring_bells, ring_bells, close_one,
	};
	/* Few kinds at a time: else the first always hides what others would do. */
	uint32_t kinds[3], n = 1 + below(ARRAY_SIZE(kinds));

	for (uint32_t i = 0; i < ARRAY_SIZE(kinds); i++)
		kinds[i] = below(ARRAY_SIZE(strokes));
	while (now_us() < until && !has_ended(v)) {
		strokes[kinds[below(n)]](v);
		n_strokes++;
		if (below(2))
			ring_bells(v);
		if (!below(16))
			usleep(below(1000));
	}
}

/* Legal, and never heard of.  False: not legal after all. */
static bool pervert(struct tcpcb *tp, struct js_so *s, struct js_rings *r)
{
	struct tcp_view view;

	tp->msl_us = tp->fin_wait_2_us = 1000000000u;
	tp->data_retries = tp->syn_retries = tp->keep_count = 255;
	if (below(2)) {
		tp->t_rexmt_us = tp->t_loss_us = tp->t_2msl_us = UINT64_MAX;
		tp->t_delack_us = tp->t_keep_us = UINT64_MAX;
	} else {
		tp->t_rexmt_us = tp->t_delack_us = tp->t_keep_us = below(2) ? 0 : rnd();
		tp->keep_idle_ms = 1;
	}
	if (below(2)) {		/* a million tiny segments of buffers that are not ours */
		tp->snd_mss = 48;
		tp->snd_wnd = tp->max_sndwnd = tp->snd_cwnd = 1 << 29;
		s->snd_tail = s->snd_head + JS_SND_ENTRIES;
		s->snd_cc = JS_SND_ENTRIES * JS_BUF_SIZE;
		for (int i = 0; i < JS_SND_ENTRIES; i++)
			r->snd[i] = (struct js_piece){ .buf = (uint16_t)rnd(),
				.len = (uint16_t)(below(2) ? below(JS_BUF_SIZE) + 1u : 0) };
	}
	if (below(2)) {
		for (int i = 0; i < JS_OOO_WORDS; i++)
			s->ooo_map[i] = rnd();
		for (int i = 0; i < JS_OOO_ENTRIES; i++) {
			struct js_ooo *o = &r->ooo[i];

			o->seq = tp->rcv_nxt - below(4096);
			o->len = below(65536);
			o->n_buf = (uint8_t)below(256);
			o->off = (uint16_t)nasty();
			for (unsigned int k = 0; k < ARRAY_SIZE(o->buf); k++)
				o->buf[k] = (uint16_t)rnd();
		}
	}
	if (below(2)) {
		s->rcv_tail = s->rcv_head + JS_RCV_ENTRIES - below(64);
		s->rcv_cc = below(1 << 20);
		s->rcv_head_off = JS_BUF_SIZE;
	}
	if (!below(3))
		s->ev_seq += 0x7fffffff;	/* all that comes was "seen" */
	if (!below(3) && tp->state == TCPS_ESTABLISHED && tp->snd_nxt == tp->snd_una) {
		tp->state = TCPS_FIN_WAIT_2;
		s->snd_cc = 0;
		s->snd_tail = s->snd_head;
	}
	view = (struct tcp_view){ .snd_cc = s->snd_cc };
	return !tcp_check(tp, &view);
}

/* As so_commit() does it, without the lock.  Whether it was made live. */
static bool swap_blocks(struct victim *v, struct js_sock *so, uint64_t seen, uint64_t spare)
{
	if (!atomic_compare_exchange_strong(&so->commit, &seen,
					    ((seen >> 16) + 1) << 16 | (spare & 0xffff)))
		return false;
	atomic_compare_exchange_strong(&v->hdr->spare, &spare,
				       ((spare >> 16) + 1) << 16 | (seen & 0xffff));
	return true;
}

static void live_lawful(struct victim *v, uint64_t until)
{
	while (now_us() < until && !has_ended(v)) {
		struct js_sock *so = &v->socks[v->sock];
		uint64_t seen = atomic_load(&so->commit), spare = atomic_load(&v->hdr->spare);
		const struct js_block *from = live_block(v, so);
		struct js_block *to = &v->mem->block[(spare & 0xffff) % JS_N_BLOCKS];
		struct js_so s = from->so;
		struct tcpcb tcb;

		memcpy(&tcb, from->tcpcb, sizeof(tcb));
		if (pervert(&tcb, &s, &v->mem->rings[v->sock])) {
			memcpy(to->tcpcb, &tcb, sizeof(tcb));
			to->so = s;
			n_strokes += swap_blocks(v, so, seen, spare);
		}
		atomic_store(&so->deadline_us, below(2) ? UINT64_MAX : below(1000));
		atomic_store(&so->pending, 1);
		hit_work(v);
		ring_bells(v);
		usleep(1000 + below(20000));
	}
}

static void live_lock(struct victim *v, uint64_t until)
{
	uint32_t me = (uint32_t)syscall(SYS_gettid);

	while (now_us() < until && !has_ended(v)) {
		/* The holder lives, and is not stopped. */
		atomic_store(&v->hdr->lock, me);
		ring_bells(v);
		n_strokes++;
		usleep(1000);
	}
	/* And now nobody of ours holds it, but somebody does. */
	atomic_store(&v->hdr->lock, 1);
}

static void live_idle(struct victim *v)
{
	uint64_t n = UINT64_MAX - 1;

	v->chan_twin = fcntl(v->chan, F_DUPFD_CLOEXEC, 3);
	for (int i = 0; i < 200; i++)
		tell_nonsense(v);
	shutdown(v->anchor, SHUT_WR);
	shutdown(v->anchor2, SHUT_RD);
	/* A write to these blocks for ever now. */
	for (int i = CM_INIT_DOORBELL; i <= CM_INIT_KICK; i++) {
		fcntl(v->fd[i], F_SETFL, O_NONBLOCK);
		if (write(v->fd[i], &n, sizeof(n)) < 0)
			n_strokes++;
		fcntl(v->fd[i], F_SETFL, 0);
	}
	puts("idle");
	fflush(stdout);
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	struct victim v;
	uint64_t end;

	if (argc != 6)
		quit(1, "usage: hostile garbage|lawful|lock|idle SEED SECONDS ADDR PORT");
	rng_state = strtoull(argv[2], NULL, 10) * 0x9e3779b97f4a7c15u | 1;
	end = now_us() + (uint64_t)(atof(argv[3]) * 1e6);
	target.sin_port = htons((uint16_t)atoi(argv[5]));
	if (inet_pton(AF_INET, argv[4], &target.sin_addr) != 1)
		quit(1, "no address: %s", argv[4]);
	signal(SIGPIPE, SIG_IGN);
	/* One life at least, however long the server of a busy machine takes. */
	while (now_us() < end || (!n_lives && now_us() < end + PATIENCE_US)) {
		uint64_t until;

		if (be_born(&v)) {
			die(&v);
			usleep(10000);
			continue;
		}
		until = now_us() + LIFE_US;
		if (n_lives++)
			until = MIN(until, end);
		look_at_seals(&v);
		open_sockets(&v);
		if (!strcmp(argv[1], "garbage"))
			live_garbage(&v, until);
		else if (!strcmp(argv[1], "lawful"))
			live_lawful(&v, until);
		else if (!strcmp(argv[1], "lock"))
			live_lock(&v, MAX(until, end));
		else
			live_idle(&v);
		die(&v);
	}
	printf("%llu lives, %llu strokes\n", n_lives, n_strokes);
	return n_lives ? 0 : 1;
}
