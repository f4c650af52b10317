/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * loop.c - one epoll loop: descriptors and a few timers
 *
 * When to call loop_wait(), and with which patience, is run.c's business.
 * Runs in jetringd.
 */
#include <errno.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "emulator/emu.h"
#include "emulator/loop.h"

#define N_EVENTS	64	/* taken from the kernel at once */

static int loop_fd = -1;
static struct epoll_event loop_events[N_EVENTS];
static int loop_n_events;		/* of the batch that is being served */
static struct loop_timer *loop_first;	/* by at_ns; a handful at most */

int loop_init(void)
{
	loop_fd = epoll_create1(EPOLL_CLOEXEC);
	return loop_fd < 0 ? -errno : 0;
}

void loop_fini(void)
{
	if (loop_fd >= 0)
		close(loop_fd);
	loop_fd = -1;
}

static int loop_ctl(int op, struct loop_fd *lf, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = lf };

	return epoll_ctl(loop_fd, op, lf->fd, &ev) < 0 ? -errno : 0;
}

int loop_add(struct loop_fd *lf, uint32_t events)
{
	return loop_ctl(EPOLL_CTL_ADD, lf, events);
}

int loop_mod(struct loop_fd *lf, uint32_t events)
{
	return loop_ctl(EPOLL_CTL_MOD, lf, events);
}

/*
 * Events of the same batch may already name @lf, and its owner may free it as
 * soon as we return: strike them out.
 */
void loop_del(struct loop_fd *lf)
{
	loop_ctl(EPOLL_CTL_DEL, lf, 0);
	for (int i = 0; i < loop_n_events; i++)
		if (loop_events[i].data.ptr == lf)
			loop_events[i].data.ptr = NULL;
}

/**
 * loop_wait() - Wait for descriptors and serve those that are ready
 * @timeout_ns:	At most so long; 0 does not wait, LOOP_FOREVER has no end
 *
 * Context: not from within a ready()
 * Return: whether any descriptor was ready
 */
bool loop_wait(uint64_t timeout_ns)
{
	struct timespec ts = {
		.tv_sec = (time_t)(timeout_ns / 1000000000u),
		.tv_nsec = (long)(timeout_ns % 1000000000u),
	};
	int n = epoll_pwait2(loop_fd, loop_events, N_EVENTS,
			     timeout_ns == LOOP_FOREVER ? NULL : &ts, NULL);

	if (n <= 0)
		return false;
	loop_n_events = n;
	for (int i = 0; i < n; i++) {
		struct loop_fd *lf = loop_events[i].data.ptr;

		if (lf)
			lf->ready(lf, loop_events[i].events);
	}
	loop_n_events = 0;
	return true;
}

void loop_timer_del(struct loop_timer *lt)
{
	struct loop_timer **p = &loop_first;

	if (!lt->armed)
		return;
	while (*p != lt)
		p = &(*p)->next;
	*p = lt->next;
	lt->armed = false;
}

void loop_timer_set(struct loop_timer *lt, uint64_t at_ns)
{
	struct loop_timer **p = &loop_first;

	loop_timer_del(lt);
	while (*p && (*p)->at_ns <= at_ns)
		p = &(*p)->next;
	lt->at_ns = at_ns;
	lt->armed = true;
	lt->next = *p;
	*p = lt;
}

uint64_t loop_timers(uint64_t now_ns)
{
	while (loop_first && loop_first->at_ns <= now_ns) {
		struct loop_timer *lt = loop_first;

		loop_timer_del(lt);
		lt->fire(lt, now_ns);
	}
	return loop_first ? loop_first->at_ns : LOOP_FOREVER;
}
