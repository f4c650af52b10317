/* SPDX-License-Identifier: BSD-2-Clause */
/* crew.c - processes that work while one sleeps and measures; jet-bench */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "tests/bench/bench.h"

#define TICK_NS		2000000	/* between looks at the crew */
#define READY_S		20.0	/* to set up, or to move at all; on a busy machine, too */
#define WARM		0.2	/* of a run is not measured */

void *crew_shared(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (p == MAP_FAILED)
		die("no memory for %zu octets: %s", size, strerror(errno));
	return p;
}

void crew_unshare(void *p, size_t size)
{
	munmap(p, size);
}

void crew_init(struct crew *c)
{
	memset(c, 0, sizeof(*c));
	c->ctl = crew_shared(sizeof(*c->ctl));
}

void crew_add(struct crew *c, void (*fn)(struct crew_ctl *ctl, void *arg), void *arg)
{
	pid_t parent = getpid(), pid;

	if (c->n == CREW_MAX)
		die("a crew of more than %d", CREW_MAX);
	pid = fork();
	if (pid < 0)
		die("cannot fork: %s", strerror(errno));
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		fn(c->ctl, arg);
		_exit(0);
	}
	c->pid[c->n++] = pid;
}

void crew_ready(struct crew_ctl *ctl)
{
	atomic_fetch_add(&ctl->n_ready, 1);
	while (!atomic_load(&ctl->go))
		sched_yield();
}

/* One that ends before it is told to has said why: we end, too. */
static void look_for_dead(struct crew *c)
{
	for (unsigned int i = 0; i < c->n; i++)
		if (waitpid(c->pid[i], NULL, WNOHANG) == c->pid[i])
			die("a process of the benchmark ended before its time");
}

static void tick(struct crew *c, uint64_t until_ns)
{
	uint64_t now = now_ns();
	struct timespec ts = { .tv_nsec = TICK_NS };

	look_for_dead(c);
	if (now < until_ns && until_ns - now < TICK_NS)
		ts.tv_nsec = (long)(until_ns - now);
	nanosleep(&ts, NULL);
}

void crew_go(struct crew *c)
{
	uint64_t until = now_ns() + (uint64_t)(READY_S * 1e9);

	while (atomic_load(&c->ctl->n_ready) < c->n) {
		if (now_ns() > until)
			die("the processes of the benchmark are not ready after %g s", READY_S);
		tick(c, until);
	}
	atomic_store(&c->ctl->go, true);
}

void crew_sleep(struct crew *c, double seconds)
{
	uint64_t until = now_ns() + (uint64_t)(seconds * 1e9);

	while (now_ns() < until)
		tick(c, until);
}

static _Atomic uint64_t *counter(_Atomic uint64_t *n, size_t stride, unsigned int i)
{
	return (_Atomic uint64_t *)(void *)((char *)n + i * stride);
}

void crew_rates(struct crew *c, _Atomic uint64_t *n, size_t stride, unsigned int n_rates, double *rate)
{
	uint64_t was[CREW_MAX], began, took, until = now_ns() + (uint64_t)(READY_S * 1e9);
	bool any = false;
	unsigned int i;

	crew_sleep(c, bench_opts.seconds * WARM);
	for (i = 0; i < n_rates; i++)
		was[i] = atomic_load(counter(n, stride, i));
	began = now_ns();
	crew_sleep(c, bench_opts.seconds);
	for (;;) {
		took = now_ns() - began;
		for (i = 0; i < n_rates; i++) {
			uint64_t moved = atomic_load(counter(n, stride, i)) - was[i];

			any |= moved;
			rate[i] = (double)moved * 1e9 / (double)took;
		}
		if (any)
			return;
		if (began + took > until)
			die("nothing has moved for %g s", READY_S);
		tick(c, until);
	}
}

double crew_rate(struct crew *c, _Atomic uint64_t *n)
{
	double rate;

	crew_rates(c, n, 0, 1, &rate);
	return rate;
}

void crew_end(struct crew *c)
{
	int status;

	atomic_store(&c->ctl->stop, true);
	for (unsigned int i = 0; i < c->n; i++)
		if (waitpid(c->pid[i], &status, 0) != c->pid[i] || status)
			die("a process of the benchmark has failed");
	crew_unshare(c->ctl, sizeof(*c->ctl));
	c->n = 0;
}
