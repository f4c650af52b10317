/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_commit.c - the lock and the committed control block
 *
 * Shared memory between this process and forked ones; deaths and stops are
 * real, waited for, never slept for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/util.h"
#include "stack/shm/commit.h"
#include "stack/shm/lock.h"

static struct js_stack_hdr *h;
static struct js_sock *so;

static int setup(void **state)
{
	struct tcp_config cfg = { .mss = 1460, .rcv_buf = JS_BUF_DEFAULT };
	struct js_so s = { .snd_hiwat = JS_BUF_DEFAULT, .rcv_hiwat = JS_BUF_DEFAULT };
	struct tcpcb tcb;

	(void)state;
	h = mmap(NULL, sizeof(*h) + sizeof(*so), PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(h, MAP_FAILED);
	so = (struct js_sock *)(h + 1);
	tcp_init(&tcb, &cfg);
	so_init_block(so, &tcb, &s);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	munmap(h, sizeof(*h) + sizeof(*so));
	return 0;
}

/* What is committed is what is begun with next. */
static void commit_makes_live(void **state)
{
	struct so_txn t, u;

	(void)state;
	for (uint32_t i = 1; i < 20; i++) {
		assert_int_equal(so_begin(so, &t), 0);
		assert_int_equal(t.s.ev_seq, i - 1);
		t.s.ev_seq = i;
		assert_int_equal(so_commit(&t), 0);
		assert_int_equal(so_begin(so, &u), 0);
		assert_int_equal(u.s.ev_seq, i);
	}
}

/* A change that was not committed did not happen. */
static void abandoned_did_not_happen(void **state)
{
	struct so_txn t;

	(void)state;
	assert_int_equal(so_begin(so, &t), 0);
	t.s.ev_seq = 77;
	assert_int_equal(so_begin(so, &t), 0);
	assert_int_equal(t.s.ev_seq, 0);
}

/* Of two that began together, the second to commit has lost. */
static void overtaken_is_stale(void **state)
{
	struct so_txn a, b;

	(void)state;
	assert_int_equal(so_begin(so, &a), 0);
	assert_int_equal(so_begin(so, &b), 0);
	a.s.ev_seq = 1;
	b.s.ev_seq = 2;
	assert_int_equal(so_commit(&a), 0);
	assert_int_equal(so_commit(&b), -ESTALE);
	assert_int_equal(so_begin(so, &a), 0);
	assert_int_equal(a.s.ev_seq, 1);
}

/* The fenced one's commit fails, and what it writes late reaches no slot that
 * others use. */
static void fenced_writes_nowhere(void **state)
{
	struct so_txn slow, t;

	(void)state;
	assert_int_equal(so_begin(so, &slow), 0);
	so_fence(so, true);
	for (uint32_t i = 1; i <= 2 * JS_N_SLOTS; i++) {
		assert_int_equal(so_begin(so, &t), 0);
		t.s.ev_seq = 100 + i;
		assert_int_equal(so_commit(&t), 0);
		slow.s.ev_seq = 9;
		assert_int_equal(so_commit(&slow), -ESTALE);
		/* It was stopped in the middle of writing its slot. */
		memset(&so->slot[slow.slot], 0xa5, sizeof(so->slot[0]));
		assert_int_equal(so_begin(so, &t), 0);
		assert_int_equal(t.s.ev_seq, 100 + i);
	}
	so_unretire(so);
	assert_int_equal(atomic_load(&so->retired), 0);
}

/* As many as can be fenced at a time: each has a slot of its own to spoil. */
static void many_fenced(void **state)
{
	struct so_txn slow[JS_N_SLOTS - 2], t;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(slow); i++) {
		assert_int_equal(so_begin(so, &slow[i]), 0);
		so_fence(so, true);
		assert_int_equal(so_begin(so, &t), 0);
		t.s.ev_seq = 1000 + (uint32_t)i;
		assert_int_equal(so_commit(&t), 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(slow); i++) {
		memset(&so->slot[slow[i].slot], 0xa5, sizeof(so->slot[0]));
		assert_int_equal(so_begin(so, &t), 0);
		assert_int_equal(t.s.ev_seq, 1000 + ARRAY_SIZE(slow) - 1 + i);
		t.s.ev_seq++;
		assert_int_equal(so_commit(&t), 0);
		assert_int_equal(so_commit(&slow[i]), -ESTALE);
	}
	so_unretire(so);
}

/* Nonsense in the live block is refused, not run. */
static void garbage_is_refused(void **state)
{
	struct so_txn t;
	unsigned int refused = 0;

	(void)state;
	srand(1);
	for (int i = 0; i < 2000; i++) {
		for (size_t k = 0; k < sizeof(so->slot); k++)
			((uint8_t *)so->slot)[k] = (uint8_t)rand();
		atomic_store(&so->commit, (uint64_t)rand());
		refused += so_begin(so, &t) == -EUCLEAN;
	}
	assert_int_equal(refused, 2000);
}

/* Fork a process that takes the lock, tells, then does @then. */
static pid_t holder(void (*then)(void))
{
	int p[2];
	char c;
	pid_t pid;

	assert_int_equal(pipe(p), 0);
	pid = fork();
	if (pid == 0) {
		lock_take(h, lock_self());
		if (write(p[1], "x", 1) != 1)
			_exit(2);
		then();
		_exit(0);
	}
	assert_int_equal(read(p[0], &c, 1), 1);
	close(p[0]);
	close(p[1]);
	return pid;
}

static void die(void)
{
	raise(SIGKILL);
}

static void stop_then_release(void)
{
	raise(SIGSTOP);
	_exit(lock_release(h, lock_self()) ? 1 : 42);
}

/* The child takes the lock of a process that was killed holding it. */
static void dead_holder_is_robbed(void **state)
{
	uint32_t owner = 0;
	pid_t pid = holder(die);
	int status;

	(void)state;
	waitpid(pid, &status, 0);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(lock_take_child(h, &owner), -EOWNERDEAD);
	assert_int_equal(owner, (uint32_t)pid);
	assert_true(lock_release(h, lock_self()));
	assert_int_equal(lock_take(h, lock_self()), 0);
	assert_true(lock_release(h, lock_self()));
}

/* And of one that is stopped; that one finds out when it goes on. */
static void stopped_holder_is_robbed(void **state)
{
	uint32_t owner = 0;
	pid_t pid = holder(stop_then_release);
	int status;

	(void)state;
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(WIFSTOPPED(status));
	assert_int_equal(lock_take_child(h, &owner), -ETIME);
	assert_int_equal(owner, (uint32_t)pid);
	kill(pid, SIGCONT);
	waitpid(pid, &status, 0);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 42);
	assert_true(lock_release(h, lock_self()));
}

/* A holder that runs is waited for, not robbed. */
static void contended_counts_right(void **state)
{
	enum { N = 20000 };
	uint32_t owner;
	int status;
	pid_t pid;

	(void)state;
	pid = fork();
	if (pid == 0) {
		for (int i = 0; i < N; i++) {
			while (lock_take(h, lock_self()) == -ETIME)
				;
			h->lock_sock = h->lock_sock + 1;
			if (!lock_release(h, lock_self()))
				_exit(1);
		}
		_exit(0);
	}
	for (int i = 0; i < N; i++) {
		assert_int_equal(lock_take_child(h, &owner), 0);
		h->lock_sock = h->lock_sock + 1;
		assert_true(lock_release(h, lock_self()));
	}
	waitpid(pid, &status, 0);
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(h->lock_sock, 2 * N);
}

/* An application does not rob, nor wait for ever: the child is to look. */
static void stopped_holder_is_told_of(void **state)
{
	pid_t pid = holder(stop_then_release);
	int status;

	(void)state;
	waitpid(pid, &status, WUNTRACED);
	assert_true(WIFSTOPPED(status));
	assert_int_equal(lock_take(h, lock_self()), -ETIME);
	assert_true(lock_is_held(h, (uint32_t)pid));
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
}

/* The end of the stack ends waiting. */
static void dead_stack_ends_waiting(void **state)
{
	(void)state;
	h->lock = 1;	/* init never gives it back */
	h->dead = ENETDOWN;
	assert_int_equal(lock_take(h, lock_self()), -ENETDOWN);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(commit_makes_live),
		CASE(abandoned_did_not_happen),
		CASE(overtaken_is_stale),
		CASE(fenced_writes_nowhere),
		CASE(many_fenced),
		CASE(garbage_is_refused),
		CASE(dead_holder_is_robbed),
		CASE(stopped_holder_is_robbed),
		CASE(contended_counts_right),
		CASE(stopped_holder_is_told_of), CASE(dead_stack_ends_waiting),
	};

	return cmocka_run_group_tests_name("commit", tests, NULL, NULL);
}
