/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wait.c - blocking and wake-up
 *
 * DOC: Sleeping for a socket
 *
 * A call samples so_seq() before it looks at the state.  If there is nothing,
 * it spins for a bounded time in which it processes arriving packets itself
 * (paper, section 7), then sleeps in so_wait() until the word has changed.
 * The sleep is a futex without time-out unless SO_RCVTIMEO or SO_SNDTIMEO is
 * set, so that EINTR and SA_RESTART come from the kernel.
 *
 * DOC: Tokens
 *
 * poll(), select() and epoll sleep on anchors.  The sleeper asks for a token
 * with so_notify(), looks once more, and sleeps; the token makes the anchor
 * readable.  A token is one for all that sleep, and they must all see it:
 * threads in poll() are counted in sockrec.pollers from before they ask
 * (token_enter()) until they woke (token_leave()), and only the last to leave
 * takes the tokens off.  Epoll sets take them (token_take()) unless a thread
 * is in poll(), and wake other sets that sleep (epoll_poke_others()).
 *
 * A thread that leaves poll() by longjmp() or cancellation is counted for
 * ever; who finds the tokens of such a socket many times in a row takes them
 * all the same.
 */
#include <limits.h>
#include <pthread.h>
#include <sched.h>

#include "common/clock.h"
#include "common/util.h"
#include "stack/api/api.h"

#define SPIN_MAX_US	50	/* a wake-up from sleep costs about this */
#define SPIN_MIN_US	5	/* less is not worth its clock calls */
#define SPIN_RETRY	16	/* sleeps without spinning before we try it again */
#define SPIN_EVENTS	32	/* packets processed before looking at the word again */
#define NOBUF_WAIT_US	1000	/* room in so_snd but no buffer: ask again */

#define TOKEN_DRAINING	0x80000000u	/* in sockrec.pollers */
#define TOKEN_LOST	64	/* times in a row that somebody else should have drained */

uint64_t deadline_in_us(uint64_t timeout_us)
{
	uint64_t now = now_us();

	return timeout_us > NO_DEADLINE - 1 - now ? NO_DEADLINE : now + timeout_us;
}

int deadline_of(const struct timespec *ts, uint64_t *deadline)
{
	*deadline = NO_DEADLINE;
	if (!ts)
		return 0;
	if (ts->tv_sec < 0 || ts->tv_nsec < 0 || ts->tv_nsec >= 1000000000)
		return -EINVAL;
	if ((uint64_t)ts->tv_sec < NO_DEADLINE / 2000000)
		*deadline = deadline_in_us((uint64_t)ts->tv_sec * 1000000 +
					   ((uint64_t)ts->tv_nsec + 999) / 1000);
	return 0;
}

int deadline_ms(uint64_t deadline)
{
	uint64_t now;

	if (deadline == NO_DEADLINE)
		return -1;
	now = now_us();
	if (now >= deadline)
		return 0;
	return (int)MIN((deadline - now + 999) / 1000, (uint64_t)INT_MAX);
}

/* --- spinning ---------------------------------------------------------------------- */

unsigned int spin_budget(struct spin *s)
{
	uint8_t us = atomic_load_explicit(&s->us, memory_order_relaxed);

	if (us >= SPIN_MIN_US)
		return us;
	/* A fresh socket, and now and then one that gave it up. */
	if (atomic_fetch_add_explicit(&s->skipped, 1, memory_order_relaxed) % SPIN_RETRY)
		return 0;
	return SPIN_MAX_US / 2;
}

void spin_result(struct spin *s, bool hit)
{
	uint8_t us = atomic_load_explicit(&s->us, memory_order_relaxed);

	atomic_store_explicit(&s->us, hit ? SPIN_MAX_US : us / 2, memory_order_relaxed);
}

void rx_self(struct stk *stk)
{
	struct js_event ev;

	if (!link_rx_self() || !stk || !poolc_event_peek(&stk->pc, &ev) || stk_lock(stk))
		return;
	so_input_events(stk, SPIN_EVENTS);
	stk_unlock(stk);
}

static bool spin_for(struct usock *u, int which, uint32_t seq)
{
	unsigned int us = spin_budget(&u->rec->spin[which]);
	uint64_t end = now_us() + us;
	bool hit;

	if (!us)
		return false;
	do {
		rx_self(u->stk);
		hit = so_seq(u->stk, u->sock, which) != seq;
		if (!hit)
			sched_yield();
	} while (!hit && now_us() < end);
	spin_result(&u->rec->spin[which], hit);
	return hit;
}

int usock_wait(struct usock *u, int which, uint32_t seq, uint64_t deadline)
{
	uint64_t left = 0, now;

	pthread_testcancel();
	if (spin_for(u, which, seq))
		return 0;
	if (deadline != NO_DEADLINE) {
		now = now_us();
		if (now >= deadline)
			return -ETIMEDOUT;
		left = deadline - now;
	}
	/* so_send() found room but no buffer: nothing will change the word. */
	if (which == JS_WAIT_TX && so_poll(u->stk, u->sock, u->gen) & POLLOUT) {
		int r = so_wait(u->stk, u->sock, which, seq,
				left ? MIN(left, (uint64_t)NOBUF_WAIT_US) : NOBUF_WAIT_US);

		return r == -ETIMEDOUT ? 0 : r;
	}
	return so_wait(u->stk, u->sock, which, seq, left);
}

unsigned int usock_ready(struct usock *u)
{
	unsigned int ev = so_poll(u->stk, u->sock, u->gen);
	struct so_info info;

	if (u->rec->rcvlowat <= 1 || (ev & (POLLIN | POLLRDHUP | POLLERR | POLLHUP)) != POLLIN)
		return ev;
	if (so_info(u->stk, u->sock, u->gen, &info) == 0 &&
	    info.rcv_cc < MIN(u->rec->rcvlowat, info.rcv_hiwat / 2))
		ev &= ~(unsigned int)(POLLIN | POLLRDNORM);
	return ev;
}

/* --- tokens --------------------------------------------------------------------------- */

static void drain(struct usock *u)
{
	char octets[64];
	ssize_t n;

	/* A listener's are connections. */
	if (usock_is_listener(u))
		return;
	/* What is out of band ends a read. */
	do
		n = libc()->recv(u->fd, octets, sizeof(octets), MSG_DONTWAIT);
	while (n == sizeof(octets) || (n > 0 && usock_opts(u) & JS_SO_OWNED));
}

/* Whoever came in all the same may sleep for a token that was taken off: another. */
static void drained(struct usock *u)
{
	if (atomic_fetch_and(&u->rec->pollers, ~TOKEN_DRAINING) & ~TOKEN_DRAINING)
		so_ask_token(u->stk, u->sock);
}

void token_enter(struct usock *u, unsigned int events)
{
	uint32_t n = atomic_load(&u->rec->pollers);
	unsigned int yields = 0;

	for (;;) {
		/* Bounded: a handler may have interrupted who drains. */
		if (n & TOKEN_DRAINING && yields++ < TOKEN_LOST) {
			sched_yield();
			n = atomic_load(&u->rec->pollers);
		} else if (atomic_compare_exchange_weak(&u->rec->pollers, &n, n + 1)) {
			break;
		}
	}
	/* Hang-up and error change both words; whoever asks for nothing else
	 * waits for those. */
	so_notify(u->stk, u->sock,
		  (events & (POLLOUT | POLLWRNORM) ? 1u << JS_WAIT_TX : 0) |
		  (events & ~(unsigned int)(POLLOUT | POLLWRNORM) || !events ?
		   1u << JS_WAIT_RX : 0));
}

void token_leave(struct usock *u, bool readable)
{
	API_TLS unsigned int lost;
	uint32_t n = atomic_load(&u->rec->pollers), to;

	do {
		/* 0: fork() forgot us; leave it so. */
		to = n & ~TOKEN_DRAINING ? n - 1 : n;
		if (readable && to == 0)
			to = TOKEN_DRAINING;
	} while (!atomic_compare_exchange_weak(&u->rec->pollers, &n, to));
	if (!readable) {
		lost = 0;
		return;
	}
	if (to == TOKEN_DRAINING) {
		drain(u);
		drained(u);
		lost = 0;
		if (atomic_load_explicit(&u->rec->n_reg, memory_order_relaxed))
			epoll_poke_others(NULL);
	} else if (++lost > TOKEN_LOST) {
		drain(u);
		atomic_store(&u->rec->pollers, 0);
	} else {
		sched_yield();		/* until the others have seen it */
	}
}

bool token_take(struct usock *u)
{
	API_TLS unsigned int lost;
	uint32_t none = 0;

	if (atomic_compare_exchange_strong(&u->rec->pollers, &none, TOKEN_DRAINING)) {
		drain(u);
		drained(u);
	} else if (++lost > TOKEN_LOST) {
		drain(u);
		atomic_store(&u->rec->pollers, 0);
	} else {
		sched_yield();
		return false;
	}
	lost = 0;
	return true;
}
