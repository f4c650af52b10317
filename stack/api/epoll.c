/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * epoll.c - epoll sets with user-space sockets in them
 *
 * DOC: How a set sees both kinds
 *
 *	application's epfd ---+--- kernel descriptors, listeners
 *	                      +--- inner epoll ---+--- anchors
 *	                                          +--- poke, an eventfd
 *
 * The first user-space socket that is added to a set makes a record: the
 * registrations of user-space sockets, and an inner epoll that holds their
 * anchors and is itself in the application's set, under a random number that
 * the application will not use (ep.magic).
 *
 * epoll_wait() looks at the registrations in the shared state and at the
 * kernel's part of the set.  If nothing is ready it asks for tokens, looks
 * again, and sleeps in the kernel's epoll_pwait2() on the application's set:
 * a token makes the inner epoll readable and comes back as the magic event.
 * Who changes a set while others sleep in it writes to poke.
 *
 * Level or edge: so_seq() counts changes in each direction.  An edge is a
 * change since the last report, and towards EPOLLOUT only if there was no room
 * in between (sock_def_write_space() is as sparing).
 *
 * Listeners are the kernel's: an anchor with a connection on it is readable.
 *
 * Not as Linux: a registration goes when its descriptor is closed, even if a
 * copy of that remains; and after fork() parent and child should not both
 * wait in the same set.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/util.h"
#include "stack/api/api.h"

#define EP_MAX		256		/* sets with user-space sockets, in a process */
#define REGS_MIN	64
#define POKE		UINT64_MAX	/* data of poke in the inner epoll */
#define TOKENS		32		/* anchors drained at once */
#define SPIN_EVENTS	32

#define EV_IN		(EPOLLIN | EPOLLRDNORM | EPOLLRDBAND | EPOLLRDHUP)
#define EV_OUT		(EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND)
#define EV_ALWAYS	(EPOLLERR | EPOLLHUP)

/* A user-space socket in a set.  Under ep.lock. */
struct reg {
	int fd;			/* the number it was added by; -1 to be swept */
	uint32_t sock, gen;
	uint32_t events;	/* as the application gave them */
	uint64_t data;
	uint32_t seq[2];	/* so_seq() at the last report */
	uint32_t nospace;	/* sockrec.nospace at the last report */
	bool fresh;		/* added or modified: the first look is an edge */
	bool off;		/* EPOLLONESHOT, reported */
	bool full;		/* seen without room since the last report */
};

struct ep {
	pthread_mutex_t lock;	/* short: not held while sleeping */
	_Atomic uint32_t gen;	/* odd: in use */
	_Atomic unsigned int fork_gen;
	_Atomic unsigned int sleepers;	/* threads in the kernel's epoll_pwait2() */
	bool inherited;		/* by fork(): inner is our parent's too */
	bool kernel_turn;	/* with room for one event only, who is next */
	int inner, poke;	/* our own descriptors */
	uint64_t magic;
	struct reg *regs;	/* mapped */
	unsigned int n_regs, max_regs;
	unsigned int next;	/* where the next look starts */
	struct spin spin;
};

static struct ep eps[EP_MAX];
static pthread_mutex_t eps_lock = PTHREAD_MUTEX_INITIALIZER;	/* making and freeing */

/* This thread holds a set's lock: a signal handler must not wait for it. */
API_TLS bool inside;

/* --- the lock --------------------------------------------------------------------------- */

/* After fork() nobody else is in there, whatever the lock says. */
static void ep_forked(struct ep *ep)
{
	unsigned int now = link_fork_gen();

	if (atomic_exchange(&ep->fork_gen, now) == now)
		return;
	ep->lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	ep->inherited = true;
	atomic_store(&ep->sleepers, 0);
}

static bool ep_lock(struct ep *ep)
{
	if (inside)
		return false;
	if (atomic_load_explicit(&ep->fork_gen, memory_order_relaxed) != link_fork_gen())
		ep_forked(ep);
	inside = true;
	pthread_mutex_lock(&ep->lock);
	return true;
}

static void ep_unlock(struct ep *ep)
{
	pthread_mutex_unlock(&ep->lock);
	inside = false;
}

static bool ep_used(const struct ep *ep)
{
	return atomic_load_explicit(&ep->gen, memory_order_acquire) & 1;
}

static struct ep *ep_of(struct fd_ent e)
{
	struct ep *ep = &eps[e.idx % EP_MAX];

	return atomic_load_explicit(&ep->gen, memory_order_acquire) == e.gen ? ep : NULL;
}

static struct fd_ent ep_ent(const struct ep *ep)
{
	return (struct fd_ent){ .kind = FD_EPOLL, .idx = (uint16_t)(ep - eps),
				.gen = atomic_load(&ep->gen) };
}

static void ep_poke(struct ep *ep)
{
	const uint64_t one = 1;

	/* seq_cst: after the change; a sleeper counts itself before it looks. */
	if (atomic_load(&ep->sleepers))
		libc()->write(ep->poke, &one, sizeof(one));
}

void epoll_poke_others(const void *self)
{
	unsigned int i;

	for (i = 0; i < EP_MAX; i++)
		if (&eps[i] != self && ep_used(&eps[i]))
			ep_poke(&eps[i]);
}

/* --- making and freeing a record ------------------------------------------------------------ */

static int add_raw(int epfd, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event ev = { .events = events, .data.u64 = data };

	return (int)api_err(libc()->epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &ev));
}

static struct ep *ep_slot(void)
{
	unsigned int i;

	for (i = 0; i < EP_MAX; i++)
		if (!ep_used(&eps[i]))
			return &eps[i];
	return NULL;
}

/* The inner epoll with its poke, inside the application's set. */
static int ep_build(struct ep *ep, int epfd)
{
	int r;

	ep->inner = link_own_fd(epoll_create1(EPOLL_CLOEXEC));
	if (ep->inner < 0)
		return -EMFILE;
	ep->poke = link_own_fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	if (ep->poke < 0) {
		link_own_close(ep->inner);
		return -EMFILE;
	}
	if (getrandom(&ep->magic, sizeof(ep->magic), GRND_NONBLOCK) != sizeof(ep->magic))
		ep->magic = now_ns() * 0x9e3779b97f4a7c15u ^ (uintptr_t)ep;
	r = add_raw(ep->inner, ep->poke, EPOLLIN, POKE);
	if (!r)
		r = add_raw(epfd, ep->inner, EPOLLIN, ep->magic);
	if (!r)
		return 0;
	link_own_close(ep->poke);
	link_own_close(ep->inner);
	return r;
}

/* The record of @epfd, made if there is none.  -Exxx of the kernel if @epfd
 * is no epoll set. */
static int ep_make(int epfd, struct ep **out)
{
	struct fd_ent e;
	struct ep *ep;
	int r = -ENOMEM;

	if (inside)
		return -EAGAIN;
	inside = true;
	pthread_mutex_lock(&eps_lock);
	e = fdtable_get(epfd);
	ep = e.kind == FD_EPOLL ? ep_of(e) : NULL;
	if (ep) {
		r = 0;
		goto unlock;
	}
	ep = ep_slot();
	if (!ep)
		goto unlock;
	ep->lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	ep->n_regs = ep->max_regs = ep->next = 0;
	ep->regs = NULL;
	ep->inherited = false;
	atomic_store(&ep->sleepers, 0);
	atomic_store(&ep->fork_gen, link_fork_gen());
	r = ep_build(ep, epfd);
	if (r)
		goto unlock;
	/* release, pairs with ep_of() */
	atomic_fetch_add_explicit(&ep->gen, 1, memory_order_release);
	r = fdtable_set(epfd, ep_ent(ep));
unlock:
	pthread_mutex_unlock(&eps_lock);
	inside = false;
	*out = ep;
	return r;
}

static struct sockrec *reg_rec(const struct reg *g, struct usock *u)
{
	return usock_get(g->fd, u) > 0 && u->sock == g->sock && u->gen == g->gen ? u->rec : NULL;
}

static void reg_uncount(const struct reg *g)
{
	struct usock u;
	struct sockrec *rec = reg_rec(g, &u);

	if (rec)
		atomic_fetch_sub(&rec->n_reg, 1);
}

void epoll_set_gone(struct fd_ent e)
{
	struct ep *ep = ep_of(e);
	unsigned int i;

	if (!ep || fdtable_count(e) || !ep_lock(ep))
		return;
	for (i = 0; i < ep->n_regs; i++)
		reg_uncount(&ep->regs[i]);
	if (ep->regs)
		munmap(ep->regs, ep->max_regs * sizeof(*ep->regs));
	ep->n_regs = ep->max_regs = 0;
	ep->regs = NULL;
	link_own_close(ep->poke);
	link_own_close(ep->inner);
	atomic_fetch_add(&ep->gen, 1);
	ep_unlock(ep);
}

/* --- registrations ------------------------------------------------------------------------------ */

static struct reg *reg_find(struct ep *ep, int fd, const struct usock *u)
{
	unsigned int i;

	for (i = 0; i < ep->n_regs; i++) {
		struct reg *g = &ep->regs[i];

		if (g->fd == fd && g->sock == u->sock && g->gen == u->gen)
			return g;
	}
	return NULL;
}

static void reg_remove(struct ep *ep, struct reg *g)
{
	/* A set that we inherited: its inner epoll is our parent's. */
	if (!ep->inherited)
		libc()->epoll_ctl(ep->inner, EPOLL_CTL_DEL, g->fd, NULL);
	reg_uncount(g);
	*g = ep->regs[--ep->n_regs];
}

static int regs_grow(struct ep *ep)
{
	unsigned int max = ep->max_regs ? 2 * ep->max_regs : REGS_MIN;
	void *regs;

	regs = ep->regs ? mremap(ep->regs, ep->max_regs * sizeof(*ep->regs),
				 max * sizeof(*ep->regs), MREMAP_MAYMOVE) :
		mmap(NULL, max * sizeof(*ep->regs), PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (regs == MAP_FAILED)
		return -ENOMEM;
	ep->regs = regs;
	ep->max_regs = max;
	return 0;
}

/* One set's part of epoll_ctl(); lock held. */
static int ctl_locked(struct ep *ep, int op, struct usock *u, const struct epoll_event *ev)
{
	struct reg *g = reg_find(ep, u->fd, u);
	int r;

	if (op == EPOLL_CTL_DEL) {
		if (!g)
			return -ENOENT;
		reg_remove(ep, g);
		return 0;
	}
	if (op == EPOLL_CTL_MOD) {
		if (!g)
			return -ENOENT;
		if ((g->events | ev->events) & EPOLLEXCLUSIVE)
			return -EINVAL;
	} else {
		if (g)
			return -EEXIST;
		r = ep->n_regs == ep->max_regs ? regs_grow(ep) : 0;
		if (r)
			return r;
		/* After fork() an anchor may be there already, from our parent. */
		r = add_raw(ep->inner, u->fd, EPOLLIN, (uint64_t)(unsigned int)u->fd);
		if (r && !(r == -EEXIST))
			return r;
		g = &ep->regs[ep->n_regs++];
		atomic_fetch_add(&u->rec->n_reg, 1);
	}
	*g = (struct reg){
		.fd = u->fd, .sock = u->sock, .gen = u->gen,
		.events = ev->events, .data = ev->data.u64, .fresh = true,
	};
	return 0;
}

static int ctl_user(int epfd, int op, struct usock *u, const struct epoll_event *ev)
{
	struct fd_ent e = fdtable_get(epfd);
	struct ep *ep = e.kind == FD_EPOLL ? ep_of(e) : NULL;
	int r;

	if (op != EPOLL_CTL_DEL && !ev)
		return -EFAULT;
	/* The kernel says what is wrong: no set, no such call, not there. */
	if (!ep && op != EPOLL_CTL_ADD)
		return (int)api_err(libc()->epoll_ctl(epfd, op, u->fd, (void *)ev));
	r = ep ? 0 : ep_make(epfd, &ep);
	if (r)
		return r;
	if (!ep_lock(ep))
		return -EAGAIN;
	r = ctl_locked(ep, op, u, ev);
	ep_unlock(ep);
	if (!r && op != EPOLL_CTL_DEL)
		ep_poke(ep);
	return r;
}

/* An anchor is always writable, a listener never. */
static uint32_t listener_events(uint32_t events)
{
	return events & ~(uint32_t)EV_OUT;
}

int jet_epoll_ctl(int epfd, int op, int fd, struct epoll_event *ev)
{
	struct epoll_event copy;
	struct usock u;
	int r = usock_get(fd, &u);

	if (!r)
		return libc()->epoll_ctl(epfd, op, fd, ev);
	if (r < 0)
		return (int)api_ret(r);
	if (!usock_is_listener(&u))
		return (int)api_ret(ctl_user(epfd, op, &u, ev));
	if (!ev || op == EPOLL_CTL_DEL)
		return libc()->epoll_ctl(epfd, op, fd, ev);
	copy = *ev;
	copy.events = listener_events(copy.events);
	return libc()->epoll_ctl(epfd, op, fd, &copy);
}

void epoll_fd_gone(struct usock *u)
{
	struct reg *g;
	unsigned int i;

	if (!atomic_load_explicit(&u->rec->n_reg, memory_order_relaxed))
		return;
	for (i = 0; i < EP_MAX; i++) {
		struct ep *ep = &eps[i];

		/* If the lock is our own thread's, the next look sweeps. */
		if (!ep_used(ep) || !ep_lock(ep))
			continue;
		g = reg_find(ep, u->fd, u);
		if (g)
			reg_remove(ep, g);
		ep_unlock(ep);
	}
}

/* --- sockets that become the kernel's ------------------------------------------------------------- */

/* A number of the set, for the kernel. */
static int ep_number(const struct ep *ep)
{
	struct fd_ent e = ep_ent(ep);
	int fd;

	for (fd = fdtable_next(0, FD_EPOLL); fd >= 0; fd = fdtable_next(fd + 1, FD_EPOLL))
		if (fd_ent_equal(fdtable_get(fd), e))
			return fd;
	return -1;
}

void epoll_move_out(struct usock *u, struct epoll_moved *mv)
{
	unsigned int i;

	mv->n = 0;
	for (i = 0; i < EP_MAX && mv->n < EPOLL_MOVE_MAX; i++) {
		struct ep *ep = &eps[i];
		struct reg *g;

		if (!ep_used(ep) || !ep_lock(ep))
			continue;
		g = reg_find(ep, u->fd, u);
		if (g) {
			mv->set[mv->n].epfd = ep_number(ep);
			mv->set[mv->n].ev.events = g->off ? 0 : g->events;
			mv->set[mv->n++].ev.data.u64 = g->data;
			reg_remove(ep, g);
		}
		ep_unlock(ep);
	}
}

void epoll_move_in(int fd, const struct epoll_moved *mv)
{
	int i;

	for (i = 0; i < mv->n; i++)
		add_raw(mv->set[i].epfd, fd, mv->set[i].ev.events, mv->set[i].ev.data.u64);
}

void epoll_to_kernel(int fd, struct usock *u)
{
	struct fd_ent e = fdtable_get(fd);
	struct epoll_moved mv;
	int i;

	if (!atomic_load_explicit(&u->rec->n_reg, memory_order_relaxed))
		return;
	for (fd = fdtable_next(0, FD_USER); fd >= 0; fd = fdtable_next(fd + 1, FD_USER)) {
		struct usock copy = *u;

		if (!fd_ent_equal(fdtable_get(fd), e))
			continue;
		copy.fd = fd;
		epoll_move_out(&copy, &mv);
		for (i = 0; i < mv.n; i++)
			mv.set[i].ev.events = listener_events(mv.set[i].ev.events);
		epoll_move_in(fd, &mv);
	}
}

/* --- what is ready ------------------------------------------------------------------------------------ */

/*
 * The events of a registration that are to be reported now.  With @take they
 * are, and an edge is used up.
 */
static uint32_t reg_look(struct reg *g, struct usock *u, bool take)
{
	const uint32_t seq[2] = { so_seq(u->stk, u->sock, JS_WAIT_RX),
				  so_seq(u->stk, u->sock, JS_WAIT_TX) };
	uint32_t nospace = atomic_load_explicit(&u->rec->nospace, memory_order_relaxed);
	bool rx = g->fresh || seq[JS_WAIT_RX] != g->seq[JS_WAIT_RX];
	bool tx = g->fresh || seq[JS_WAIT_TX] != g->seq[JS_WAIT_TX];
	uint32_t ev = usock_ready(u);

	if (!(ev & EPOLLOUT))
		g->full = true;
	ev &= g->events | EV_ALWAYS;
	if (g->off || !ev)
		return 0;
	if (g->events & EPOLLET &&
	    !(rx && ev & EV_IN) && !((rx || tx) && ev & EV_ALWAYS) &&
	    !(tx && ev & EV_OUT && (g->fresh || g->full || nospace != g->nospace)))
		return 0;
	if (take) {
		memcpy(g->seq, seq, sizeof(seq));
		g->nospace = nospace;
		g->full = g->fresh = false;
		g->off = g->events & EPOLLONESHOT;
	}
	return ev;
}

/* Drop what was closed unseen. */
static void sweep(struct ep *ep)
{
	unsigned int i = 0;

	while (i < ep->n_regs) {
		if (ep->regs[i].fd < 0)
			ep->regs[i] = ep->regs[--ep->n_regs];
		else
			i++;
	}
}

/* Ready registrations, at most @max, each in its turn.  Lock held. */
static int collect_locked(struct ep *ep, struct epoll_event *evs, int max)
{
	unsigned int n = ep->n_regs, start = n ? ep->next % n : 0, i;
	bool dead = false;
	int found = 0;

	for (i = 0; i < n && found < max; i++) {
		struct reg *g = &ep->regs[(start + i) % n];
		struct usock u;
		uint32_t ev;
		int r = usock_get(g->fd, &u);

		if (r == 0 || (r > 0 && (u.sock != g->sock || u.gen != g->gen))) {
			g->fd = -1;
			dead = true;
			continue;
		}
		/* The stack has ended: said once to those that asked for that. */
		ev = r > 0 ? reg_look(g, &u, true) : g->off ? 0 : EV_ALWAYS;
		if (r < 0)
			g->off = g->events & (EPOLLONESHOT | EPOLLET);
		if (!ev)
			continue;
		evs[found].events = ev;
		evs[found++].data.u64 = g->data;
		ep->next = (start + i) % n + 1;
	}
	if (dead)
		sweep(ep);
	return found;
}

static int collect(struct ep *ep, struct epoll_event *evs, int max)
{
	int n;

	if (max <= 0 || !ep->n_regs || !ep_lock(ep))
		return 0;
	n = collect_locked(ep, evs, max);
	ep_unlock(ep);
	/* There may be more, for another thread. */
	if (n == max)
		ep_poke(ep);
	return n;
}

/* Ask for tokens where we have not yet. */
static void arm(struct ep *ep)
{
	unsigned int i;

	if (!ep_lock(ep))
		return;
	for (i = 0; i < ep->n_regs; i++) {
		struct reg *g = &ep->regs[i];
		unsigned int bits = (g->events & EV_OUT ? 1u << JS_WAIT_TX : 0) |
				    (g->events & EV_IN || !(g->events & EV_OUT) ?
				     1u << JS_WAIT_RX : 0);
		struct usock u;

		if (g->off || !reg_rec(g, &u))
			continue;
		if ((atomic_load(&u.js->notify) & bits) != bits)
			so_notify(u.stk, u.sock, bits);
	}
	ep_unlock(ep);
}

/* --- tokens ---------------------------------------------------------------------------------------------- */

/* Take what made the inner epoll readable. */
static void drain(struct ep *ep)
{
	struct epoll_event evs[TOKENS];
	uint64_t count;
	struct usock u;
	int n, i;

	do {
		bool took = false;

		n = libc()->epoll_wait(ep->inner, evs, TOKENS, 0);
		for (i = 0; i < n; i++) {
			if (evs[i].data.u64 == POKE) {
				took |= libc()->read(ep->poke, &count, sizeof(count)) > 0;
				continue;
			}
			/* Hung up: the child has gone, which is no token. */
			if (usock_get((int)evs[i].data.u64, &u) <= 0 || !token_take(&u))
				continue;
			took = true;
			if (atomic_load_explicit(&u.rec->n_reg, memory_order_relaxed) > 1)
				epoll_poke_others(ep);
		}
		if (n > 0 && !took)
			sched_yield();
	} while (n == TOKENS);
	/* Those who sleep on rely on us to ask for the next ones. */
	if (atomic_load(&ep->sleepers))
		arm(ep);
}

/* Take the magic event out of @evs; how many remain. */
static int without_magic(struct ep *ep, struct epoll_event *evs, int n, bool *magic)
{
	int i, k = 0;

	*magic = false;
	for (i = 0; i < n; i++) {
		if (evs[i].data.u64 == ep->magic)
			*magic = true;
		else
			evs[k++] = evs[i];
	}
	return k;
}

/* The kernel's part, without waiting. */
static int kernel_now(struct ep *ep, int epfd, struct epoll_event *evs, int max)
{
	bool magic;
	int n;

	if (max <= 0)
		return 0;
	n = libc()->epoll_wait(epfd, evs, max, 0);
	n = without_magic(ep, evs, n > 0 ? n : 0, &magic);
	if (magic)
		drain(ep);
	return n;
}

/*
 * What is ready, a part of the room kept for each kind.  The kernel is only
 * asked if we do not go on to sleep in it anyway: something of ours is ready,
 * or @now.
 */
static int gather(struct ep *ep, int epfd, struct epoll_event *evs, int max, bool now)
{
	int n = 0;

	if (max == 1) {
		ep->kernel_turn = !ep->kernel_turn;
		if (ep->kernel_turn)
			n = kernel_now(ep, epfd, evs, 1);
		if (!n)
			n = collect(ep, evs, 1);
	} else {
		n = collect(ep, evs, max - MAX(max / 4, 1));
	}
	return n || now ? n + kernel_now(ep, epfd, evs + n, max - n) : 0;
}

/* --- waiting ------------------------------------------------------------------------------------------------ */

static int spin_ours(struct ep *ep, struct epoll_event *evs, int max)
{
	unsigned int us = spin_budget(&ep->spin);
	uint64_t end = now_us() + us;
	int n = 0;

	while (us && !n && now_us() < end) {
		rx_self(link_stk());
		n = collect(ep, evs, max);
		if (!n)
			sched_yield();
	}
	if (us)
		spin_result(&ep->spin, n);
	return n;
}

/* One sleep: events, 0 nothing or only tokens, -Exxx. */
static int sleep_once(struct ep *ep, int epfd, struct epoll_event *evs, int max,
		      uint64_t deadline, const sigset_t *mask)
{
	struct timespec ts;
	uint64_t now, left;
	bool magic;
	int n;

	atomic_fetch_add(&ep->sleepers, 1);
	arm(ep);
	n = collect(ep, evs, max);
	if (n) {
		atomic_fetch_sub(&ep->sleepers, 1);
		return n;
	}
	if (deadline != NO_DEADLINE) {
		now = now_us();
		left = deadline > now ? deadline - now : 0;
		ts.tv_sec = (time_t)(left / 1000000);
		ts.tv_nsec = (long)(left % 1000000) * 1000;
	}
	n = (int)api_err(libc()->epoll_pwait2(epfd, evs, max,
					      deadline == NO_DEADLINE ? NULL : &ts, mask));
	atomic_fetch_sub(&ep->sleepers, 1);
	if (n <= 0)
		return n;
	n = without_magic(ep, evs, n, &magic);
	if (magic)
		drain(ep);
	return n + collect(ep, evs + n, max - n);
}

/* @deadline 0: do not wait. */
static int wait_ours(struct ep *ep, int epfd, struct epoll_event *evs, int max,
		     uint64_t deadline, const sigset_t *mask)
{
	int n;

	if (max <= 0 || max > INT32_MAX / (int)sizeof(*evs))
		return -EINVAL;
	for (;;) {
		n = gather(ep, epfd, evs, max, deadline == 0);
		if (n || deadline == 0)
			return n;
		n = spin_ours(ep, evs, max);
		if (n)
			return n;
		n = sleep_once(ep, epfd, evs, max, deadline, mask);
		if (n)
			return n;
		if (deadline != NO_DEADLINE && now_us() >= deadline)
			return 0;
	}
}

static struct ep *ep_get(int epfd)
{
	struct fd_ent e = fdtable_get(epfd);

	return e.kind == FD_EPOLL ? ep_of(e) : NULL;
}

static uint64_t deadline_of_ms(int timeout_ms)
{
	if (timeout_ms < 0)
		return NO_DEADLINE;
	return timeout_ms ? deadline_in_us((uint64_t)timeout_ms * 1000) : 0;
}

int jet_epoll_wait(int epfd, struct epoll_event *evs, int max, int timeout_ms)
{
	struct ep *ep = ep_get(epfd);

	if (!ep)
		return libc()->epoll_wait(epfd, evs, max, timeout_ms);
	return (int)api_ret(wait_ours(ep, epfd, evs, max, deadline_of_ms(timeout_ms), NULL));
}

int jet_epoll_pwait(int epfd, struct epoll_event *evs, int max, int timeout_ms,
		    const sigset_t *mask)
{
	struct ep *ep = ep_get(epfd);

	if (!ep)
		return libc()->epoll_pwait(epfd, evs, max, timeout_ms, mask);
	return (int)api_ret(wait_ours(ep, epfd, evs, max, deadline_of_ms(timeout_ms), mask));
}

int jet_epoll_pwait2(int epfd, struct epoll_event *evs, int max,
		     const struct timespec *timeout, const sigset_t *mask)
{
	struct ep *ep = ep_get(epfd);
	uint64_t deadline;

	if (!ep)
		return libc()->epoll_pwait2(epfd, evs, max, timeout, mask);
	if (deadline_of(timeout, &deadline))
		return (int)api_ret(-EINVAL);
	if (timeout && !timeout->tv_sec && !timeout->tv_nsec)
		deadline = 0;
	return (int)api_ret(wait_ours(ep, epfd, evs, max, deadline, mask));
}

/* --- a set that is itself polled ---------------------------------------------------------------- */

static bool any_ready(struct ep *ep)
{
	bool ready = false;
	unsigned int i;

	if (!ep_lock(ep))
		return false;
	for (i = 0; i < ep->n_regs && !ready; i++) {
		struct usock u;

		ready = reg_rec(&ep->regs[i], &u) && reg_look(&ep->regs[i], &u, false);
	}
	ep_unlock(ep);
	return ready;
}

bool epoll_is_ready(struct fd_ent e, bool do_arm)
{
	struct ep *ep = ep_of(e);

	if (!ep)
		return false;
	if (do_arm)
		arm(ep);
	return any_ready(ep);
}

bool epoll_readable(int epfd, struct fd_ent e)
{
	struct pollfd p = { .fd = epfd, .events = POLLIN };
	struct ep *ep = ep_of(e);

	if (!ep)
		return true;
	drain(ep);
	return any_ready(ep) || libc()->poll(&p, 1, 0) > 0;
}
