/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * port.c - a client's opening of the adapter: its connection and its memory
 *
 * DOC: life of a port
 *
 * connect ----> accept: SO_PEERCRED says root, or it is closed
 * OPEN    ----> memory, eventfds, queue 0; the three descriptors go out
 * …             requests (portctl.c), scripts (script.c), arrivals (pool.c)
 * hang-up ----> everything the port owned is reclaimed, in port_close():
 *               queued SENDs dropped, VCIs unbound (IP_DIVERT of a trusted
 *               port: parked), rules and pools destroyed.  A frame that the
 *               ring holds points into the memory: the mapping and what
 *               belongs to it stay until the last is back.
 *
 * The connection lives as long as any copy of its descriptor.  Only the child
 * and the connection server have one; applications have the memory and the
 * doorbell.
 *
 * What a hostile holder of a descriptor can do to us: nothing.
 * - The memory cannot be resized (sealed), but holes can be punched into it
 *   and the machine can run out of pages: a page that cannot be had raises
 *   SIGBUS in us.  on_sigbus() puts a page of zeros in its place, so that what
 *   was running ends normally, and the port is closed at the next turn.
 * - The doorbell is watched edge-triggered and never read: O_NONBLOCK belongs
 *   to the open file, which its other holders may change, so a read could
 *   block us.  For the same reason there are two: the opener's own, and one
 *   for others, who may fill it up so that a write to it blocks.
 * - It can touch all pages of its port: n_bufs is what a port may cost.
 * - The wake eventfd is only ever the opener's, and that is root.
 *
 * Runs in jetringd.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/futex.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/util.h"
#include "emulator/capture.h"
#include "emulator/port.h"
#include "emulator/sock.h"

#define PAGE		4096u

volatile sig_atomic_t ports_fault;

static size_t page_align(size_t n)
{
	return (n + PAGE - 1) / PAGE * PAGE;
}

/* --- a page that cannot be had ---------------------------------------------------- */

static struct port *port_of_address(const uint8_t *at)
{
	for (unsigned int i = 0; i < JS_N_RING_IDS; i++) {
		struct port *p;

		if (!stations[i].ports)
			continue;
		TAILQ_FOREACH(p, &stations[i].ports->all, all)
			if (p->map && at >= p->map && at < p->map + p->size)
				return p;
	}
	return NULL;
}

/*
 * Synchronous, in the one thread there is, at an access to a port's memory;
 * lists of ports are not changed by code that makes such accesses.
 */
static void on_sigbus(int sig, siginfo_t *si, void *uc)
{
	uint8_t *page = (uint8_t *)((uintptr_t)si->si_addr & ~(uintptr_t)(PAGE - 1));
	struct port *p = port_of_address(page);

	(void)uc;
	if ((!p && !capture_fault(page)) || mmap(page, PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED) {
		/* Not ours to handle: the access is repeated and kills us. */
		signal(sig, SIG_DFL);
		return;
	}
	if (!p)
		return;
	p->fault = 1;
	ports_fault = 1;
}

static int watch_sigbus(void)
{
	struct sigaction sa = { .sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO };

	return sigaction(SIGBUS, &sa, NULL) < 0 ? -errno : 0;
}

/* --- waking --------------------------------------------------------------------------- */

static void wake_opener(struct port *p)
{
	static const uint64_t one = 1;

	if (p->wake_fd < 0 ||
	    atomic_load_explicit(&p->hdr->eq_sleep, memory_order_relaxed) != JS_ASLEEP ||
	    atomic_exchange(&p->hdr->eq_sleep, JS_AWAKE) != JS_ASLEEP)
		return;
	p->st.wakes++;
	/* Fails only if nobody has read 2^64 - 2 of them. */
	if (write(p->wake_fd, &one, sizeof(one)) < 0)
		log_warn("%s: wake: %s", p->ps->s->name, strerror(errno));
}

static void grace_start(struct port *p)
{
	if (p->grace)
		return;
	p->grace = true;
	p->grace_cons = atomic_load_explicit(&p->hdr->eq_cons, memory_order_relaxed);
	ports_grace_arm(p->ps);
}

/**
 * port_wake() - An event was written: see that somebody will look at it
 *
 * We have stored the event, then look who sleeps; consumers say that they
 * sleep, then look for an event.  With a fence on both sides one of us sees.
 */
void port_wake(struct port *p)
{
	uint32_t leader;

	/* Pairs with the fences in poolc_sleep_prepare(), poolc_lead_prepare()
	 * and poolc_lead_end(). */
	atomic_thread_fence(memory_order_seq_cst);
	leader = atomic_load_explicit(&p->hdr->leader, memory_order_relaxed);
	if (leader == JS_ASLEEP &&
	    atomic_compare_exchange_strong(&p->hdr->leader, &leader, JS_LEADING)) {
		p->st.wakes++;
		syscall(SYS_futex, &p->hdr->leader, FUTEX_WAKE, 1, NULL, NULL, 0);
		leader = JS_LEADING;
	}
	if (leader == JS_LEADING)
		grace_start(p);
	else
		wake_opener(p);
}

/* Leaders had PORT_GRACE_NS: whoever has consumed nothing may be dead. */
static void on_grace(struct loop_timer *lt, uint64_t now)
{
	struct ports *ps = container_of(lt, struct ports, grace_timer);
	struct port *p;

	(void)now;
	TAILQ_FOREACH(p, &ps->all, all) {
		uint32_t cons;

		if (!p->is_open || p->is_closing)
			continue;
		if (p->space_due)
			squeue_space_events(p);
		if (!p->grace)
			continue;
		p->grace = false;
		cons = atomic_load_explicit(&p->hdr->eq_cons, memory_order_relaxed);
		if (cons == p->eq_prod)
			continue;
		if (cons == p->grace_cons) {
			p->st.grace_wakes++;
			wake_opener(p);
		} else {
			grace_start(p);
		}
	}
}

void ports_grace_arm(struct ports *ps)
{
	if (!ps->grace_timer.armed && !ps->is_stopping)
		loop_timer_set(&ps->grace_timer, now_ns() + PORT_GRACE_NS);
}

/* Buffers that were free all the time since we looked last lose their page. */
static void on_trim(struct loop_timer *lt, uint64_t now)
{
	struct ports *ps = container_of(lt, struct ports, trim_timer);
	bool again = false;
	struct port *p;

	(void)now;
	TAILQ_FOREACH(p, &ps->all, all) {
		if (!p->is_open || p->n_warm <= PORT_WARM_LOW)
			continue;
		if (p->warm_min > PORT_WARM_LOW)
			buf_trim(p, p->n_warm - (p->warm_min - PORT_WARM_LOW));
		p->warm_min = p->n_warm;
		again |= p->n_warm > PORT_WARM_LOW;
	}
	if (again)
		ports_trim_arm(ps);
}

void ports_trim_arm(struct ports *ps)
{
	if (!ps->trim_timer.armed && !ps->is_stopping)
		loop_timer_set(&ps->trim_timer, now_ns() + PORT_TRIM_NS);
}

/* --- memory ------------------------------------------------------------------------------ */

static void tell_node_bufs(struct port *p)
{
	uint64_t n = MIN(node_mem_max / JS_BUF_SIZE, (uint64_t)UINT32_MAX);

	atomic_store_explicit(&p->hdr->node_bufs, (uint32_t)n, memory_order_relaxed);
}

static void write_header(struct port *p, uint32_t eq_off, uint32_t sq_off, uint32_t buf_off)
{
	p->hdr = (struct js_port_hdr *)p->map;
	p->eq = (struct js_event *)(p->map + eq_off);
	p->mem = p->map + buf_off;
	p->hdr->magic = JS_PORT_MAGIC;
	p->hdr->version = JS_PORT_VERSION;
	p->hdr->size = p->size;
	p->hdr->eq_off = eq_off;
	p->hdr->n_events = JS_N_EVENTS;
	p->hdr->sq_off = sq_off;
	p->hdr->n_queues = JS_N_QUEUES;
	p->hdr->buf_off = buf_off;
	p->hdr->n_bufs = p->n_bufs;
	p->hdr->ring_id = p->ps->s->ring_id;
	tell_node_bufs(p);
	/* Nobody looks at our queues without a doorbell yet. */
	port_db_sleep(p);
	for (unsigned int i = 0; i < JS_N_QUEUES; i++) {
		struct squeue *q = &p->q[i];

		q->port = p;
		q->idx = (uint8_t)i;
		q->sh = (struct js_queue *)(p->map + sq_off) + i;
		STAILQ_INIT(&q->pend);
	}
}

/**
 * port_open_memory() - Make a port's memory and map it
 * @n_bufs:	Buffers, 1 to PORT_BUFS_MAX
 *
 * It has its full size from the start and can never change it, so a mapping
 * made once is good for ever; pages appear when they are touched.
 *
 * Return: the memfd, the caller's to close; -Exxx, nothing is left
 */
int port_open_memory(struct port *p, uint32_t n_bufs)
{
	size_t eq_off = page_align(sizeof(struct js_port_hdr));
	size_t sq_off = page_align(eq_off + JS_N_EVENTS * sizeof(struct js_event));
	size_t buf_off = page_align(sq_off + JS_N_QUEUES * sizeof(struct js_queue));
	int err, fd = memfd_create("jetstream-port", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return -errno;
	p->n_bufs = n_bufs;
	p->size = buf_off + (size_t)n_bufs * JS_BUF_SIZE;
	if (ftruncate(fd, (off_t)p->size) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
		err = -errno;
		goto close;
	}
	p->map = mmap(NULL, p->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p->map == MAP_FAILED) {
		err = -errno;
		p->map = NULL;
		goto close;
	}
	err = buf_init(p);
	if (err)
		goto unmap;
	write_header(p, (uint32_t)eq_off, (uint32_t)sq_off, (uint32_t)buf_off);
	err = squeue_open(&p->q[0]);
	if (err)
		goto fini;
	return fd;
fini:
	buf_fini(p);
unmap:
	munmap(p->map, p->size);
	p->map = NULL;
	p->hdr = NULL;
close:
	close(fd);
	return err;
}

/* --- the end of a port ---------------------------------------------------------------------- */

static void ports_free(struct ports *ps)
{
	free(ps);
}

/* No connection, no frame of it is out. */
static void port_free(struct port *p)
{
	struct ports *ps = p->ps;
	uint32_t i;

	ps->n_used -= p->n_used;
	ps->n_rx -= p->n_rx;
	for (i = 0; i < p->n_pool_slots; i++) {
		if (p->pool[i])
			masks_put(p->pool[i]->tmpl.masks);
		free(p->pool[i]);
	}
	free(p->pool);
	masks_put(p->masks[0]);
	masks_put(p->masks[1]);
	for (i = 0; i < JS_N_QUEUES; i++)
		squeue_free(&p->q[i]);
	buf_fini(p);
	if (p->map)
		munmap(p->map, p->size);
	TAILQ_REMOVE(&ps->all, p, all);
	free(p);
	if (ps->is_stopping && TAILQ_EMPTY(&ps->all))
		ports_free(ps);
}

void port_unref_frame(struct port *p)
{
	p->n_out--;
	if (p->is_closing && !p->n_out)
		port_free(p);
}

/* Tell everybody who has the memory; sleepers are woken whatever they say. */
static void tell_closed(struct port *p, uint32_t why)
{
	atomic_store(&p->hdr->closed, why);
	atomic_store(&p->hdr->leader, JS_LEADING);
	syscall(SYS_futex, &p->hdr->leader, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
	atomic_store(&p->hdr->eq_sleep, JS_ASLEEP);
	wake_opener(p);
}

void port_close(struct port *p, uint32_t why)
{
	struct ports *ps = p->ps;
	uint32_t i;

	if (p->is_closing)
		return;
	p->is_closing = true;
	ps->closed++;
	/* Before the hang-up: who sees that can know why. */
	if (p->is_open)
		tell_closed(p, why);
	loop_del(&p->conn);
	close(p->conn.fd);
	if (p->is_open) {
		loop_del(&p->doorbell);
		close(p->doorbell.fd);
		loop_del(&p->app_doorbell);
		close(p->app_doorbell.fd);
		close(p->wake_fd);
		p->wake_fd = -1;
		p->open_mask = 0;
		if (p->is_active)
			TAILQ_REMOVE(&ps->act, p, act);
		p->is_active = false;
		/* Drops the SENDs that are queued; then no queue is in a list. */
		for (i = 0; i < p->n_pool_slots; i++)
			if (p->pool[i] && !p->pool[i]->dead)
				pool_destroy(p->pool[i], why != JS_CLOSED_RING);
	}
	log_trace("%s: port of process %d closed", ps->s->name, (int)p->pid);
	if (!p->n_out)
		port_free(p);
}

/* --- its connection ---------------------------------------------------------------------------- */

/* Ours may be the last copy, and its sender may have asked close() to wait. */
static void drop_fd(int fd)
{
	static const struct linger none;

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
	close(fd);
}

/* The descriptor that came with a message, -1 none; any more are closed. */
static int take_fd(struct msghdr *msg)
{
	int fd = -1;

	for (struct cmsghdr *cm = CMSG_FIRSTHDR(msg); cm; cm = CMSG_NXTHDR(msg, cm)) {
		if (cm->cmsg_level != SOL_SOCKET || cm->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = CMSG_LEN(0); at + sizeof(int) <= cm->cmsg_len; at += sizeof(int)) {
			int got;

			memcpy(&got, (const uint8_t *)cm + at, sizeof(got));
			if (fd < 0)
				fd = got;
			else
				drop_fd(got);
		}
	}
	return fd;
}

/* One request at a time: others have their turn between two. */
static void on_request(struct loop_fd *lf, uint32_t events)
{
	struct port *p = container_of(lf, struct port, conn);
	union { struct cmsghdr align; char buf[CMSG_SPACE(sizeof(int))]; } ctl;
	struct js_pc_req req;
	struct iovec iov = { .iov_base = &req, .iov_len = sizeof(req) };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = ctl.buf,
		/* One descriptor, the kernel closes any more; CMSG_SPACE() has room for two. */
		.msg_controllen = CMSG_LEN(sizeof(int)),
	};
	int fd, err;
	ssize_t n;

	(void)events;	/* a hang-up is read as such, after what came before it */
	n = recvmsg(lf->fd, &msg, MSG_DONTWAIT | MSG_TRUNC | MSG_CMSG_CLOEXEC);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		port_close(p, JS_CLOSED_OPENER);
		return;
	}
	fd = take_fd(&msg);
	err = portctl_request(p, &req, (size_t)n, fd);
	if (fd >= 0)
		drop_fd(fd);
	if (err < 0)
		port_close(p, JS_CLOSED_OPENER);
}

static struct port *port_new(struct ports *ps, int fd, const struct ucred *peer)
{
	struct port *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->ps = ps;
	p->pid = peer->pid;
	p->uid = peer->uid;
	p->wake_fd = -1;
	p->doorbell.fd = p->app_doorbell.fd = -1;
	p->conn.fd = fd;
	p->conn.ready = on_request;
	TAILQ_INIT(&p->tx_queues);
	if (loop_add(&p->conn, EPOLLIN) < 0) {
		free(p);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&ps->all, p, all);
	ps->opened++;
	return p;
}

/* Out of descriptors: answer the connection by closing it, or the listener
 * would be ready for ever. */
static void refuse_one(struct ports *ps)
{
	int fd;

	ps->refused++;
	if (ps->spare_fd < 0)
		return;
	close(ps->spare_fd);
	fd = accept4(ps->listen.fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd >= 0)
		close(fd);
	ps->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	log_warn("%s: a port was refused: out of descriptors", ps->s->name);
}

static void on_connect(struct loop_fd *lf, uint32_t events)
{
	struct ports *ps = container_of(lf, struct ports, listen);
	struct ucred peer = { .uid = (uid_t)-1 };
	socklen_t len = sizeof(peer);
	int fd = accept4(lf->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)events;
	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE)
			refuse_one(ps);
		return;
	}
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 || peer.uid != 0) {
		log_warn("%s: process %d of uid %u may not open a port", ps->s->name,
			 (int)peer.pid, peer.uid);
		goto refuse;
	}
	if (port_new(ps, fd, &peer))
		return;
refuse:
	ps->refused++;
	close(fd);
}

/* --- all ports of a station ------------------------------------------------------------------------ */

int ports_start(struct station *s, const char *path)
{
	struct ports *ps;
	int err = watch_sigbus();

	if (err)
		return err;
	if (strlen(path) >= sizeof(ps->path))
		return -ENAMETOOLONG;
	ps = calloc(1, sizeof(*ps));
	if (!ps)
		return -ENOMEM;
	ps->s = s;
	strcpy(ps->path, path);
	TAILQ_INIT(&ps->all);
	TAILQ_INIT(&ps->act);
	TAILQ_INIT(&ps->tx);
	ps->grace_timer.fire = on_grace;
	ps->trim_timer.fire = on_trim;
	ps->listen.ready = on_connect;
	err = sock_listen(&ps->listen, SOCK_SEQPACKET, path, 0600, NULL);
	if (err) {
		free(ps);
		return err;
	}
	ps->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	s->ports = ps;
	return 0;
}

void ports_stop(struct station *s)
{
	struct ports *ps = s->ports;
	struct port *p, *next;

	if (!ps)
		return;
	sock_unlisten(&ps->listen);
	unlink(ps->path);
	if (ps->spare_fd >= 0)
		close(ps->spare_fd);
	for (p = TAILQ_FIRST(&ps->all); p; p = next) {
		next = TAILQ_NEXT(p, all);
		port_close(p, JS_CLOSED_RING);
	}
	s->ports = NULL;
	/* Closing ports arms them: queued SENDs end, their buffers come back. */
	loop_timer_del(&ps->grace_timer);
	loop_timer_del(&ps->trim_timer);
	/* Ports whose frames are still out end with the last of those. */
	ps->is_stopping = true;
	if (TAILQ_EMPTY(&ps->all))
		ports_free(ps);
}

/* --- status ------------------------------------------------------------------------------------------ */

struct out {
	char *buf;
	size_t size, len;	/* len > size: it did not fit */
};

__attribute__((format(printf, 2, 3)))
static void out(struct out *o, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (o->len >= o->size)
		return;
	va_start(ap, fmt);
	n = vsnprintf(o->buf + o->len, o->size - o->len, fmt, ap);
	va_end(ap);
	o->len += n > 0 ? (size_t)n : 0;
}

void ports_tell_memory(struct station *s)
{
	struct port *p;

	if (!s->ports)
		return;
	TAILQ_FOREACH(p, &s->ports->all, all) {
		if (p->is_open)
			tell_node_bufs(p);
	}
}

uint64_t ports_bufs_used(const struct station *s)
{
	return s->ports ? s->ports->n_used : 0;
}

static void out_pool(struct out *o, const struct pool *pool, bool is_first)
{
	const struct pool_stats *st = &pool->st;

	out(o, "%s{\"id\":%u,\"rxvci\":[", is_first ? "" : ",", pool->id);
	for (unsigned int i = 0; i < pool->n_rxvci; i++)
		out(o, "%s%u", i ? "," : "", pool->rxvci[i]);
	out(o, "],\"txvci\":%u,\"tx_limit\":%u,\"rx_limit\":%u,\"rx_reserve\":%u,\"tx_used\":%u,\"rx_used\":%u,"
	    "\"tx_frames\":%" PRIu64 ",\"tx_bytes\":%" PRIu64
	    ",\"rx_frames\":%" PRIu64 ",\"rx_bytes\":%" PRIu64
	    ",\"rx_pool_full\":%u,\"rx_reserved\":%u,\"rx_node_full\":%u"
	    ",\"rx_event_full\":%u,\"rx_bad_crc\":%u"
	    ",\"tx_template\":%u,\"tx_limited\":%u,\"tx_dropped\":%u}",
	    pool->txvci, pool->tx_limit, pool->rx_limit, pool->rx_reserve, pool->tx_used,
	    pool->rx_used, st->tx_frames, st->tx_bytes, st->rx_frames, st->rx_bytes,
	    st->rx_pool_full, st->rx_reserved, st->rx_node_full, st->rx_event_full, st->rx_bad_crc, st->tx_template,
	    st->tx_limited, st->tx_dropped);
}

/* Whether all of its pools fitted. */
static bool out_port(struct out *o, const struct port *p, bool is_first)
{
	const struct port_stats *st = &p->st;
	bool first = true;

	out(o, "%s{\"pid\":%d,\"uid\":%u,\"trusted\":%s,\"bufs\":%u,\"bufs_used\":%u,"
	    "\"queues\":%d,\"doorbells\":%" PRIu64 ",\"ops\":%" PRIu64 ",\"sends\":%" PRIu64
	    ",\"events\":%" PRIu64 ",\"wakes\":%" PRIu64 ",\"grace_wakes\":%" PRIu64
	    ",\"tx_template\":%" PRIu64 ",\"tx_bad_op\":%" PRIu64 ",\"queues_broken\":%" PRIu64
	    ",\"rules_refused\":%" PRIu64
	    ",\"pools\":[", is_first ? "" : ",", (int)p->pid, p->uid,
	    p->is_trusted ? "true" : "false", p->n_bufs, p->n_used,
	    __builtin_popcount(p->open_mask), st->doorbells, st->ops, st->sends, st->events,
	    st->wakes, st->grace_wakes, st->tx_template, st->bad_ops, st->queues_broken,
	    st->rules_refused);
	for (uint32_t i = 0; i < p->n_pool_slots; i++) {
		size_t mark = o->len;

		if (!p->pool[i] || p->pool[i]->dead)
			continue;
		out_pool(o, p->pool[i], first);
		first = false;
		if (o->len >= o->size) {
			o->len = mark;
			return false;
		}
	}
	return true;
}

/**
 * ports_status() - Ports and pools of a station as JSON
 * @buf:	@size octets; NUL-terminated
 *
 * If there are more than fit the array ends early, well-formed; the last
 * member is then the string "truncated".
 *
 * Return: octets written, without the NUL; 0 if @size is too small for any
 */
size_t ports_status(const struct station *s, char *buf, size_t size)
{
	static const char tail[] = ",\"truncated\"]", port_end[] = "]}";
	struct out o = { .buf = buf, .size = size };
	const struct port *p;
	bool first = true;

	if (size < 2 + sizeof(tail) + sizeof(port_end))
		return 0;
	o.size -= sizeof(tail) + sizeof(port_end);	/* always fits what ends it */
	out(&o, "[");
	if (s->ports) {
		TAILQ_FOREACH(p, &s->ports->all, all) {
			size_t mark = o.len;
			bool fits;

			if (!p->is_open || p->is_closing)
				continue;
			fits = out_port(&o, p, first);
			if (o.len >= o.size) {
				/* Not even the port itself. */
				o.len = mark;
				o.size = size;
				out(&o, "%s", first ? tail + 1 : tail);
				return o.len;
			}
			o.len += (size_t)snprintf(buf + o.len, size - o.len, "%s", port_end);
			if (!fits) {
				o.size = size;
				out(&o, "%s", tail);
				return o.len;
			}
			first = false;
		}
	}
	o.size = size;
	out(&o, "]");
	return o.len;
}
