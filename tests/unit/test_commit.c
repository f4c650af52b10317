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

#define N_SOCKS	4	/* in use */

static struct js_stack *st;
static struct js_stack_hdr *h;
static struct so_blocks blocks;
static uint16_t *const retired = blocks.retired;

static void init_block(uint32_t sock)
{
	struct tcp_config cfg = { .mss = 1460, .rcv_buf = JS_BUF_DEFAULT };
	struct js_so s = { .snd_hiwat = JS_BUF_DEFAULT, .rcv_hiwat = JS_BUF_DEFAULT };
	struct tcpcb tcb;

	tcp_init(&tcb, &cfg);
	so_init_block(st, &blocks, sock, &tcb, &s);
}

static int setup(void **state)
{
	(void)state;
	st = mmap(NULL, sizeof(*st), PROT_READ | PROT_WRITE,
		  MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_ptr_not_equal(st, MAP_FAILED);
	h = &st->hdr;
	so_blocks_init(&blocks);
	for (uint32_t i = 0; i < N_SOCKS; i++)
		init_block(i);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	munmap(st, sizeof(*st));
	return 0;
}

static unsigned int block_of(uint64_t word)
{
	return word & 0xffff;
}

/* No block is two sockets', nor a socket's and spare or retired. */
static void blocks_are_distinct(void)
{
	unsigned int n[JS_N_BLOCKS] = { 0 };

	for (uint32_t i = 0; i < N_SOCKS; i++)
		n[block_of(st->sock[i].commit)]++;
	n[block_of(h->spare)]++;
	for (int i = 0; i < JS_N_PLACES; i++) {
		if (retired[i] != JS_BLOCK_NONE)
			n[retired[i]]++;
	}
	for (unsigned int i = 0; i < JS_N_BLOCKS; i++)
		assert_true(n[i] <= 1);
}

/* What the child does when it robs a thread of the lock. */
static void fence(int place, bool may_run)
{
	for (uint32_t i = 0; i < N_SOCKS; i++)
		so_fence(st, i, may_run);
	retired[place] = so_fence_spare(st, &blocks, may_run);
	blocks_are_distinct();
}

/* Something is committed to a socket, and is live. */
static void commit(uint32_t sock, uint32_t seq)
{
	struct so_txn t;

	assert_int_equal(so_begin(st, sock, &t), 0);
	t.s.ev_seq = seq;
	assert_int_equal(so_commit(&t), 0);
	assert_int_equal(so_begin(st, sock, &t), 0);
	assert_int_equal(t.s.ev_seq, seq);
	blocks_are_distinct();
}

static uint32_t seq_of(uint32_t sock)
{
	struct so_txn t;

	assert_int_equal(so_begin(st, sock, &t), 0);
	return t.s.ev_seq;
}

/* What is committed is what is begun with next. */
static void commit_makes_live(void **state)
{
	struct so_txn t, u;

	(void)state;
	for (uint32_t i = 1; i < 20; i++) {
		assert_int_equal(so_begin(st, 0, &t), 0);
		assert_int_equal(t.s.ev_seq, i - 1);
		t.s.ev_seq = i;
		assert_int_equal(so_commit(&t), 0);
		assert_int_equal(so_begin(st, 0, &u), 0);
		assert_int_equal(u.s.ev_seq, i);
	}
}

/* A change that was not committed did not happen. */
static void abandoned_did_not_happen(void **state)
{
	struct so_txn t;

	(void)state;
	assert_int_equal(so_begin(st, 0, &t), 0);
	t.s.ev_seq = 77;
	assert_int_equal(so_begin(st, 0, &t), 0);
	assert_int_equal(t.s.ev_seq, 0);
}

/* Of two that began together, the second to commit has lost. */
static void overtaken_is_stale(void **state)
{
	struct so_txn a, b;

	(void)state;
	assert_int_equal(so_begin(st, 0, &a), 0);
	assert_int_equal(so_begin(st, 0, &b), 0);
	a.s.ev_seq = 1;
	b.s.ev_seq = 2;
	assert_int_equal(so_commit(&a), 0);
	assert_int_equal(so_commit(&b), -ESTALE);
	assert_int_equal(so_begin(st, 0, &a), 0);
	assert_int_equal(a.s.ev_seq, 1);
}

/* One block more than there are sockets: all take their turns with it. */
static void one_block_is_spare(void **state)
{
	unsigned int top = 0;

	(void)state;
	for (uint32_t i = 0; i < 1000; i++) {
		commit(i * 7 % 5 % N_SOCKS, i);
		top = MAX(top, block_of(h->spare));
	}
	assert_true(top <= N_SOCKS);
	/* Released and made again, likewise. */
	for (uint32_t i = 0; i < N_SOCKS; i++) {
		init_block(i);
		blocks_are_distinct();
		assert_int_equal(seq_of(i), 0);
	}
}

/* Two are changed at a time, by one holder of the lock. */
static void transactions_may_overlap(void **state)
{
	struct so_txn a, b;

	(void)state;
	assert_int_equal(so_begin(st, 0, &a), 0);
	assert_int_equal(so_begin(st, 1, &b), 0);
	a.s.ev_seq = 1;
	b.s.ev_seq = 2;
	assert_int_equal(so_commit(&b), 0);
	assert_int_equal(so_commit(&a), 0);
	blocks_are_distinct();
	assert_int_equal(seq_of(0), 1);
	assert_int_equal(seq_of(1), 2);
}

/* A queue that is empty begins at 0 again, one that is not does not. */
static void empty_queues_begin_again(void **state)
{
	struct so_txn t;

	(void)state;
	assert_int_equal(so_begin(st, 0, &t), 0);
	t.s.snd_head = t.s.snd_tail = 77;
	t.s.rcv_head = 77;
	t.s.rcv_tail = 78;
	assert_int_equal(so_commit(&t), 0);
	assert_int_equal(so_begin(st, 0, &t), 0);
	assert_int_equal(t.s.snd_head, 0);
	assert_int_equal(t.s.snd_tail, 0);
	assert_int_equal(t.s.rcv_head, 77);
	assert_int_equal(t.s.rcv_tail, 78);
}

/* The fenced one's commit fails, and what it writes late reaches no block that
 * others use. */
static void fenced_writes_nowhere(void **state)
{
	struct so_txn slow;

	(void)state;
	assert_int_equal(so_begin(st, 0, &slow), 0);
	fence(1, true);
	for (uint32_t i = 1; i <= 100; i++) {
		commit(i % N_SOCKS, 100 + i);
		slow.s.ev_seq = 9;
		assert_int_equal(so_commit(&slow), -ESTALE);
		/* It was stopped in the middle of writing its block. */
		memset(&st->block[retired[1]], 0xa5, sizeof(st->block[0]));
		assert_int_equal(seq_of(i % N_SOCKS), 100 + i);
	}
}

/* As many as can be fenced at a time: each has a block of its own to spoil. */
static void many_fenced(void **state)
{
	struct so_txn slow[JS_N_PLACES], t;

	(void)state;
	for (int i = 0; i < JS_N_PLACES; i++) {
		assert_int_equal(so_begin(st, 0, &slow[i]), 0);
		fence(i, true);
		assert_int_not_equal(retired[i], JS_BLOCK_NONE);
		commit(0, 1000 + (uint32_t)i);
	}
	for (int i = 0; i < JS_N_PLACES; i++) {
		memset(&st->block[retired[i]], 0xa5, sizeof(st->block[0]));
		for (uint32_t k = 0; k < 2 * N_SOCKS; k++)
			commit(k % N_SOCKS, k);
		assert_int_equal(so_commit(&slow[i]), -ESTALE);
	}
	/* One comes back, and is fenced again. */
	retired[3] = JS_BLOCK_NONE;
	assert_int_equal(so_begin(st, 0, &t), 0);
	fence(3, true);
	assert_int_not_equal(retired[3], JS_BLOCK_NONE);
	assert_int_equal(so_commit(&t), -ESTALE);
	commit(0, 1);
}

/* Who is dead writes nothing: what was spare stays so. */
static void dead_retire_nothing(void **state)
{
	unsigned int spare;

	(void)state;
	for (int i = 0; i < 100; i++) {
		spare = block_of(h->spare);
		fence(i % JS_N_PLACES, false);
		assert_int_equal(block_of(h->spare), spare);
		assert_int_equal(retired[i % JS_N_PLACES], JS_BLOCK_NONE);
	}
}

/* Nonsense in the live block is refused, not run; so is no block. */
static void garbage_is_refused(void **state)
{
	struct so_txn t;
	unsigned int refused = 0;

	(void)state;
	srand(1);
	for (int i = 0; i < 2000; i++) {
		unsigned int b = (unsigned int)rand() % 20;

		for (size_t k = 0; k < 20 * sizeof(st->block[0]); k++)
			((uint8_t *)st->block)[k] = (uint8_t)rand();
		atomic_store(&st->sock[0].commit, (uint64_t)rand() << 16 | b);
		refused += so_begin(st, 0, &t) == -EUCLEAN;
	}
	assert_int_equal(refused, 2000);
	for (uint64_t b = JS_N_BLOCKS; b < 0x10000; b++) {
		atomic_store(&st->sock[0].commit, b);
		assert_int_equal(so_begin(st, 0, &t), -EUCLEAN);
	}
}

/* Whatever others say is spare, it is one of the blocks, and is so again. */
static void any_spare_will_do(void **state)
{
	struct so_txn t;

	(void)state;
	for (uint64_t w = 0; w < 0x10000; w += 7) {
		atomic_store(&h->spare, w << 48 | w);
		assert_int_equal(so_begin(st, 0, &t), 0);
		assert_int_equal(so_commit(&t), 0);
		assert_true(block_of(h->spare) < JS_N_BLOCKS);
		atomic_store(&h->spare, w << 48 | w);
		so_fence_spare(st, &blocks, w & 1);
		assert_true(block_of(h->spare) < JS_N_BLOCKS);
		atomic_store(&h->spare, w << 48 | w);
		init_block(0);
		assert_true(block_of(h->spare) < JS_N_BLOCKS);
	}
}

/*
 * Words that others have written: two sockets in a block, one in the spare one,
 * one in none.  When they are gone, each has its own or none; and is made anew.
 */
static void blocks_are_parted(void **state)
{
	struct so_txn t;
	unsigned int left = 0;

	(void)state;
	for (uint64_t w = 0; w < 3; w++) {
		atomic_store(&st->sock[1].commit, st->sock[0].commit);
		atomic_store(&st->sock[2].commit, w == 0 ? 0 : w == 1 ? 0xffff0000fffe : h->spare);
		so_part_blocks(st, &blocks);
		for (uint32_t i = 0; i < N_SOCKS; i++)
			left += so_begin(st, i, &t) == 0;
		assert_int_not_equal(block_of(h->spare), block_of(st->sock[0].commit));
		assert_int_equal(so_begin(st, 1, &t), -EUCLEAN);
		init_block(1);
		init_block(2);
		for (uint32_t i = 0; i < 2 * N_SOCKS; i++)
			commit(i % N_SOCKS, i);
	}
	assert_int_equal(left, 2 + 2 + 3);
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
			h->send_order = h->send_order + 1;
			if (!lock_release(h, lock_self()))
				_exit(1);
		}
		_exit(0);
	}
	for (int i = 0; i < N; i++) {
		assert_int_equal(lock_take_child(h, &owner), 0);
		h->send_order = h->send_order + 1;
		assert_true(lock_release(h, lock_self()));
	}
	waitpid(pid, &status, 0);
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(h->send_order, 2 * N);
}

/* Exit status 0: the commit was made. */
static void commit_77(void)
{
	struct so_txn t;

	fault_init();
	if (so_begin(st, 0, &t))
		_exit(2);
	t.s.ev_seq = 77;
	_exit(so_commit(&t) ? 1 : 0);
}

static pid_t commits_with(const char *fault)
{
	pid_t pid;

	setenv("JETSTREAM_FAULT", fault, 1);
	pid = holder(commit_77);
	unsetenv("JETSTREAM_FAULT");
	return pid;
}

/* Killed at any point of a commit: it was made or not, and all goes on. */
static void killed_in_commit(void **state)
{
	static const char *const at[] = { "before-commit", "in-commit", "after-commit" };
	uint32_t owner = 0;
	int status;
	pid_t pid;

	(void)state;
	for (uint32_t i = 0; i < 3 * ARRAY_SIZE(at); i++) {
		commit(0, i);
		pid = commits_with(at[i % ARRAY_SIZE(at)]);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(lock_take_child(h, &owner), -EOWNERDEAD);
		fence(1, false);
		assert_int_equal(retired[1], JS_BLOCK_NONE);
		assert_int_equal(seq_of(0), i % ARRAY_SIZE(at) ? 77 : i);
		for (uint32_t k = 0; k < 2 * N_SOCKS; k++)
			commit(k % N_SOCKS, k);
		assert_true(lock_release(h, lock_self()));
	}
}

/*
 * Stopped at any point of a commit, robbed, and it goes on when others have
 * committed @n times: also just so often that the block which was spare for
 * it is spare again.
 */
static void stopped_in_commit(void **state)
{
	static const char *const at[] = { "stop-before-commit", "stop-in-commit",
					  "stop-after-commit" };
	uint32_t owner = 0, seq[N_SOCKS];
	int status;
	pid_t pid;

	(void)state;
	for (uint32_t i = 0; i < 2 * N_SOCKS * ARRAY_SIZE(at); i++) {
		uint32_t n = i / ARRAY_SIZE(at);
		bool made = i % ARRAY_SIZE(at);

		commit(0, i);
		pid = commits_with(at[i % ARRAY_SIZE(at)]);
		assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
		assert_true(WIFSTOPPED(status));
		assert_int_equal(lock_take_child(h, &owner), -ETIME);
		fence(1, true);
		assert_int_equal(seq_of(0), made ? 77 : i);
		for (uint32_t k = 0; k < n; k++)
			commit(k / 2, 1000 + k);
		for (uint32_t k = 0; k < N_SOCKS; k++)
			seq[k] = seq_of(k);
		kill(pid, SIGCONT);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), !made);
		blocks_are_distinct();
		for (uint32_t k = 0; k < N_SOCKS; k++)
			assert_int_equal(seq_of(k), seq[k]);
		retired[1] = JS_BLOCK_NONE;
		for (uint32_t k = 0; k < 2 * N_SOCKS; k++)
			commit(k % N_SOCKS, k);
		assert_true(lock_release(h, lock_self()));
	}
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
		CASE(one_block_is_spare),
		CASE(transactions_may_overlap),
		CASE(empty_queues_begin_again),
		CASE(fenced_writes_nowhere),
		CASE(many_fenced),
		CASE(dead_retire_nothing),
		CASE(garbage_is_refused),
		CASE(any_spare_will_do),
		CASE(blocks_are_parted),
		CASE(dead_holder_is_robbed),
		CASE(stopped_holder_is_robbed),
		CASE(contended_counts_right),
		CASE(killed_in_commit),
		CASE(stopped_in_commit),
		CASE(stopped_holder_is_told_of), CASE(dead_stack_ends_waiting),
	};

	return cmocka_run_group_tests_name("commit", tests, NULL, NULL);
}
