/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * poll.c - poll() and select() over sockets of both kinds
 *
 * For a user-space socket the shared state is the truth, for everything else
 * the kernel.  If nothing is ready, we ask for tokens, look once more, and
 * sleep in the kernel's ppoll() with anchors in the place of their sockets: so
 * EINTR and signal masks are the kernel's.  select() is poll() with other
 * arguments; both leave to libc what has no user-space socket in it.
 */
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>

#include "common/clock.h"
#include "common/util.h"
#include "stack/api/api.h"

#define ON_STACK	32	/* descriptors that need no memory mapped for them */
#define SPIN_EVENTS	32

/* fs/select.c */
#define EV_READ		(POLLRDNORM | POLLRDBAND | POLLIN | POLLHUP | POLLERR | POLLNVAL)
#define EV_WRITE	(POLLWRBAND | POLLWRNORM | POLLOUT | POLLERR | POLLNVAL)
#define EV_EXCEPT	(POLLPRI | POLLNVAL)

enum entry_kind { E_KERNEL, E_LISTENER, E_EPOLL, E_SOCK, E_OWN };

struct entry {
	enum entry_kind kind;
	union {
		struct usock u;		/* E_SOCK */
		struct fd_ent e;	/* E_EPOLL */
	};
};

/* One call of poll(). */
struct set {
	struct pollfd *fds;	/* the application's */
	struct pollfd *real;	/* what the kernel is asked for the same */
	struct entry *ent;
	nfds_t n;
	bool has_kernel;	/* something but E_SOCK */
	bool has_sock;
};

/* How the last calls of this process fared with spinning. */
static struct spin poll_spin;

/* --- what is asked -------------------------------------------------------------------- */

static bool has_ours(const struct pollfd *fds, nfds_t n)
{
	nfds_t i;

	for (i = 0; i < n; i++) {
		enum fd_kind kind = fdtable_get(fds[i].fd).kind;

		if (kind == FD_USER || kind == FD_EPOLL)
			return true;
	}
	return false;
}

static void classify(struct set *s)
{
	nfds_t i;

	s->has_kernel = s->has_sock = false;
	for (i = 0; i < s->n; i++) {
		struct pollfd *p = &s->fds[i], *real = &s->real[i];
		struct entry *en = &s->ent[i];
		struct fd_ent e = fdtable_get(p->fd);

		p->revents = 0;
		*real = *p;
		en->kind = E_KERNEL;
		if (e.kind == FD_EPOLL) {
			en->kind = E_EPOLL;
			en->e = e;
		} else if (usock_get(p->fd, &en->u) > 0) {
			en->kind = usock_is_listener(&en->u) ? E_LISTENER : E_SOCK;
			/* An anchor is always writable, a listener never. */
			real->events = en->kind == E_SOCK ? POLLIN :
				(short)(p->events & (POLLIN | POLLRDNORM | POLLRDHUP));
		} else if (e.kind == FD_OWN) {
			en->kind = E_OWN;
			real->fd = -1;
		}
		if (en->kind == E_SOCK)
			s->has_sock = true;
		else if (en->kind != E_OWN)
			s->has_kernel = true;
	}
}

/* --- looking ---------------------------------------------------------------------------- */

/* User-space sockets that are ready; their revents are added. */
static int look_ours(struct set *s)
{
	int n = 0;
	nfds_t i;

	for (i = 0; i < s->n; i++) {
		struct pollfd *p = &s->fds[i];
		struct entry *en = &s->ent[i];

		if (en->kind == E_SOCK)
			p->revents |= (short)(usock_ready(&en->u) &
					      ((unsigned int)(unsigned short)p->events |
					       POLLERR | POLLHUP));
		else if (en->kind == E_EPOLL && epoll_is_ready(en->e, false))
			p->revents |= (short)(p->events & EV_READ);
		else if (en->kind == E_OWN)
			p->revents |= POLLNVAL;
		n += p->revents != 0;
	}
	return n;
}

/*
 * What the kernel said of what is the kernel's, into revents.  For anchors:
 * take tokens off, and tell if the child has gone.
 */
static void merge(struct set *s)
{
	nfds_t i;

	for (i = 0; i < s->n; i++) {
		struct pollfd *p = &s->fds[i];
		const struct pollfd *real = &s->real[i];
		struct entry *en = &s->ent[i];

		switch (en->kind) {
		case E_KERNEL:
		case E_LISTENER:
			p->revents = real->revents;
			break;
		case E_EPOLL:
			if (real->revents & POLLIN && epoll_readable(p->fd, en->e))
				p->revents |= p->events & EV_READ;
			break;
		case E_SOCK:
			if (real->revents & (POLLHUP | POLLERR | POLLNVAL))
				p->revents |= real->revents & POLLNVAL ? POLLNVAL : POLLERR | POLLHUP;
			break;
		case E_OWN:
			break;
		}
	}
}

/* Leave anchors out, or put them back, for a look that is not a sleep. */
static void mask_anchors(struct set *s)
{
	nfds_t i;

	for (i = 0; i < s->n; i++)
		if (s->ent[i].kind == E_SOCK)
			s->real[i].fd = ~s->real[i].fd;
}

static int count(const struct set *s)
{
	int n = 0;
	nfds_t i;

	for (i = 0; i < s->n; i++)
		n += s->fds[i].revents != 0;
	return n;
}

/* Something of ours is ready: look at the kernel's too, without waiting. */
static int finish_now(struct set *s)
{
	if (s->has_kernel) {
		mask_anchors(s);
		if (libc()->poll(s->real, s->n, 0) >= 0)
			merge(s);
		mask_anchors(s);
	}
	return count(s);
}

/* --- sleeping ------------------------------------------------------------------------------ */

/* Packets may be on their way: process them ourselves for a while. */
static int spin_ours(struct set *s)
{
	unsigned int us = s->has_sock ? spin_budget(&poll_spin) : 0;
	uint64_t end = now_us() + us;
	int n = 0;

	while (us && !n && now_us() < end) {
		rx_self(link_stk());
		n = look_ours(s);
		if (!n)
			sched_yield();
	}
	if (us)
		spin_result(&poll_spin, n);
	return n;
}

static void enter(struct set *s)
{
	nfds_t i;

	for (i = 0; i < s->n; i++) {
		if (s->ent[i].kind == E_SOCK)
			token_enter(&s->ent[i].u, (unsigned short)s->fds[i].events);
		else if (s->ent[i].kind == E_EPOLL)
			epoll_is_ready(s->ent[i].e, true);
	}
}

static void leave(struct set *s)
{
	nfds_t i;

	for (i = 0; i < s->n; i++)
		if (s->ent[i].kind == E_SOCK)
			token_leave(&s->ent[i].u, s->real[i].revents & POLLIN);
}

/* One sleep.  > 0: look again; 0 time is up; -Exxx. */
static int sleep_once(struct set *s, uint64_t deadline, const sigset_t *mask)
{
	struct timespec ts;
	uint64_t now, left;
	int r;

	enter(s);
	if (look_ours(s)) {
		leave(s);
		return 1;
	}
	if (deadline != NO_DEADLINE) {
		now = now_us();
		left = deadline > now ? deadline - now : 0;
		ts.tv_sec = (time_t)(left / 1000000);
		ts.tv_nsec = (long)(left % 1000000) * 1000;
	}
	r = libc()->ppoll(s->real, s->n, deadline == NO_DEADLINE ? NULL : &ts, mask);
	if (r < 0)
		r = -errno;
	if (r > 0)
		merge(s);
	leave(s);
	return r;
}

static void clear_revents(struct set *s)
{
	nfds_t i;

	for (i = 0; i < s->n; i++)
		s->fds[i].revents = s->real[i].revents = 0;
}

/* @deadline 0: do not wait. */
static int run(struct set *s, uint64_t deadline, const sigset_t *mask)
{
	int r;

	classify(s);
	for (;;) {
		clear_revents(s);
		if (look_ours(s) || deadline == 0)
			return finish_now(s);
		if (!s->has_kernel && spin_ours(s))
			return count(s);
		r = sleep_once(s, deadline, mask);
		if (r < 0)
			return r;
		if (look_ours(s) || count(s))
			return finish_now(s);
		if (r == 0 || (deadline != NO_DEADLINE && now_us() >= deadline))
			return 0;
	}
}

static size_t set_size(nfds_t n)
{
	return n * (sizeof(struct pollfd) + sizeof(struct entry));
}

/* poll() with user-space sockets in it.  -Exxx. */
static int poll_ours(struct pollfd *fds, nfds_t n, uint64_t deadline, const sigset_t *mask)
{
	struct entry small_ent[ON_STACK];
	struct pollfd small_real[ON_STACK];
	struct set s = { .fds = fds, .n = n, .real = small_real, .ent = small_ent };
	int r;

	if (n <= ON_STACK)
		return run(&s, deadline, mask);
	/* Not malloc(): see fdtable.c. */
	s.ent = mmap(NULL, set_size(n), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (s.ent == MAP_FAILED)
		return -ENOMEM;
	s.real = (struct pollfd *)(s.ent + n);
	r = run(&s, deadline, mask);
	munmap(s.ent, set_size(n));
	return r;
}

int jet_poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
	uint64_t deadline = NO_DEADLINE;

	if (!has_ours(fds, n))
		return libc()->poll(fds, n, timeout_ms);
	if (timeout_ms >= 0)
		deadline = timeout_ms ? deadline_in_us((uint64_t)timeout_ms * 1000) : 0;
	return (int)api_ret(poll_ours(fds, n, deadline, NULL));
}

int jet_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask)
{
	uint64_t deadline;

	if (!has_ours(fds, n))
		return libc()->ppoll(fds, n, timeout, mask);
	if (deadline_of(timeout, &deadline))
		return (int)api_ret(-EINVAL);
	if (timeout && !timeout->tv_sec && !timeout->tv_nsec)
		deadline = 0;
	return (int)api_ret(poll_ours(fds, n, deadline, mask));
}

/* --- select ------------------------------------------------------------------------------------ */

/* Sets may be larger than fd_set: programs allocate their own. */
#define BITS	(8 * (int)sizeof(unsigned long))

static bool bit_get(const fd_set *set, int fd)
{
	const unsigned long *w = (const unsigned long *)(const void *)set;

	return set && w[fd / BITS] >> (fd % BITS) & 1;
}

static void bit_put(fd_set *set, int fd, bool on)
{
	unsigned long *w = (unsigned long *)(void *)set;

	if (!set)
		return;
	w[fd / BITS] &= ~(1ul << (fd % BITS));
	w[fd / BITS] |= (unsigned long)on << (fd % BITS);
}

struct sets { fd_set *r, *w, *x; };

static bool in_any(const struct sets *f, int fd)
{
	return bit_get(f->r, fd) || bit_get(f->w, fd) || bit_get(f->x, fd);
}

/* How many descriptors are asked for; *ours: there are user-space sockets. */
static nfds_t sets_count(const struct sets *f, int nfds, bool *ours)
{
	nfds_t n = 0;
	int fd;

	*ours = false;
	for (fd = 0; fd < nfds; fd++) {
		enum fd_kind kind;

		if (!in_any(f, fd))
			continue;
		n++;
		kind = fdtable_get(fd).kind;
		if (kind == FD_USER || kind == FD_EPOLL)
			*ours = true;
	}
	return n;
}

static void sets_to_poll(const struct sets *f, int nfds, struct pollfd *p)
{
	int fd;

	for (fd = 0; fd < nfds; fd++) {
		if (!in_any(f, fd))
			continue;
		*p++ = (struct pollfd){ .fd = fd, .events = (short)(
			(bit_get(f->r, fd) ? POLLRDNORM | POLLRDBAND | POLLIN : 0) |
			(bit_get(f->w, fd) ? POLLWRNORM | POLLWRBAND | POLLOUT : 0) |
			(bit_get(f->x, fd) ? POLLPRI : 0)) };
	}
}

/* Bits set, or -EBADF. */
static int poll_to_sets(const struct sets *f, const struct pollfd *p, nfds_t n)
{
	int bits = 0;
	nfds_t i;

	for (i = 0; i < n; i++)
		if (p[i].revents & POLLNVAL)
			return -EBADF;
	for (i = 0; i < n; i++) {
		bool r = bit_get(f->r, p[i].fd) && p[i].revents & EV_READ;
		bool w = bit_get(f->w, p[i].fd) && p[i].revents & EV_WRITE;
		bool x = bit_get(f->x, p[i].fd) && p[i].revents & EV_EXCEPT;

		bit_put(f->r, p[i].fd, r);
		bit_put(f->w, p[i].fd, w);
		bit_put(f->x, p[i].fd, x);
		bits += r + w + x;
	}
	return bits;
}

static int select_ours(int nfds, const struct sets *f, nfds_t n, uint64_t deadline,
		       const sigset_t *mask)
{
	struct pollfd small[ON_STACK], *fds = small;
	size_t size = n * sizeof(*fds);
	int r;

	if (n > ON_STACK) {
		fds = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (fds == MAP_FAILED)
			return -ENOMEM;
	}
	sets_to_poll(f, nfds, fds);
	r = poll_ours(fds, n, deadline, mask);
	if (r >= 0)
		r = poll_to_sets(f, fds, n);
	if (fds != small)
		munmap(fds, size);
	return r;
}

int jet_select(int nfds, fd_set *r, fd_set *w, fd_set *x, struct timeval *timeout)
{
	const struct sets f = { r, w, x };
	uint64_t deadline = NO_DEADLINE, now;
	struct timespec ts;
	bool ours;
	nfds_t n = sets_count(&f, nfds, &ours);
	int ret;

	if (!ours)
		return libc()->select(nfds, r, w, x, timeout);
	if (timeout) {
		if (timeout->tv_sec < 0 || timeout->tv_usec < 0)
			return (int)api_ret(-EINVAL);
		ts.tv_sec = timeout->tv_sec + timeout->tv_usec / 1000000;
		ts.tv_nsec = timeout->tv_usec % 1000000 * 1000;
		deadline_of(&ts, &deadline);
	}
	ret = select_ours(nfds, &f, n, timeout && !ts.tv_sec && !ts.tv_nsec ? 0 : deadline, NULL);
	/* Linux tells what was left. */
	if (timeout && deadline != NO_DEADLINE) {
		now = now_us();
		now = deadline > now ? deadline - now : 0;
		timeout->tv_sec = (time_t)(now / 1000000);
		timeout->tv_usec = (suseconds_t)(now % 1000000);
	}
	return (int)api_ret(ret);
}

int jet_pselect(int nfds, fd_set *r, fd_set *w, fd_set *x, const struct timespec *timeout,
		const sigset_t *mask)
{
	const struct sets f = { r, w, x };
	uint64_t deadline;
	bool ours;
	nfds_t n = sets_count(&f, nfds, &ours);

	if (!ours)
		return libc()->pselect(nfds, r, w, x, timeout, mask);
	if (deadline_of(timeout, &deadline))
		return (int)api_ret(-EINVAL);
	if (timeout && !timeout->tv_sec && !timeout->tv_nsec)
		deadline = 0;
	return (int)api_ret(select_ours(nfds, &f, n, deadline, mask));
}
