/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * commit.c - private copies of control blocks, and making them live
 *
 * Application and child.  See commit.h for the order of events.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "stack/shm/commit.h"

static_assert(sizeof(struct tcpcb) <= JS_TCPCB_SIZE, "tcpcb fits its block");

/* js_sock.commit, js_stack_hdr.spare */
#define BLOCK(w)	((unsigned int)((w) & 0xffff))
#define COUNT(w)	((w) >> 16)
#define WORD(count, block) ((uint64_t)(count) << 16 | (block))

/* The block that a socket has before it is used. */
#define FIRST_BLOCK(sock)	((sock) + 1)

static_assert(JS_N_BLOCKS < JS_BLOCK_NONE, "a block has a number");

/* The entry of ooo[] that a commit which saw @s writes; -1 none. */
static int free_ooo(const struct js_sock *so, const struct js_so *s)
{
	uint64_t retired = atomic_load_explicit(&so->ooo_retired, memory_order_relaxed);

	for (int w = 0; w < JS_OOO_WORDS; w++) {
		uint64_t used = s->ooo_map[w] | retired;

		if (~used)
			return w * 64 + __builtin_ctzll(~used);
	}
	return -1;
}

/* Cursors and pieces of the socket buffers are within their rings. */
static bool so_sane(const struct js_so *s)
{
	uint32_t n_snd = s->snd_tail - s->snd_head;
	uint32_t n_rcv = s->rcv_tail - s->rcv_head;

	if (n_snd > JS_SND_ENTRIES || n_rcv > JS_RCV_ENTRIES)
		return false;
	if (s->snd_cc > n_snd * JS_BUF_SIZE || s->rcv_cc > n_rcv * JS_BUF_SIZE)
		return false;
	if (s->snd_head_off > JS_BUF_SIZE || s->rcv_head_off > JS_BUF_SIZE)
		return false;
	if (s->snd_hiwat > JS_SND_ENTRIES * JS_BUF_SIZE ||
	    s->rcv_hiwat > JS_RCV_ENTRIES * JS_BUF_SIZE)
		return false;
	return s->snd_last.off + s->snd_last.len <= JS_BUF_SIZE &&
	       s->rcv_last.off + s->rcv_last.len <= JS_BUF_SIZE;
}

int so_begin(struct js_stack *st, uint32_t sock, struct so_txn *t)
{
	struct js_sock *so = &st->sock[sock];
	struct tcp_view v;

	t->st = st;
	t->so = so;
	t->rings = &st->rings[sock];
	t->sock = sock;
	t->room = false;
	t->stamped = false;
	for (int tries = 0; ; tries++) {
		const struct js_block *b;

		/* load-acquire: pairs with the release of so_commit() */
		t->seen = atomic_load_explicit(&so->commit, memory_order_acquire);
		if (!t->seen || BLOCK(t->seen) >= JS_N_BLOCKS || tries == 1000)
			return -EUCLEAN;
		b = &st->block[BLOCK(t->seen)];
		memcpy(&t->tcb, b->tcpcb, sizeof(t->tcb));
		memcpy(&t->s, &b->so, sizeof(t->s));
		/* A reader without the lock may have been overtaken. */
		atomic_thread_fence(memory_order_acquire);
		if (atomic_load_explicit(&so->commit, memory_order_relaxed) == t->seen)
			break;
	}
	t->ooo_slot = free_ooo(so, &t->s);
	t->fences = atomic_load_explicit(&so->fences, memory_order_relaxed);
	if (!so_sane(&t->s))
		return -EUCLEAN;
	if (t->s.snd_head == t->s.snd_tail)
		t->s.snd_head = t->s.snd_tail = 0;
	if (t->s.rcv_head == t->s.rcv_tail)
		t->s.rcv_head = t->s.rcv_tail = 0;
	v = (struct tcp_view){ .snd_cc = t->s.snd_cc };
	return tcp_check(&t->tcb, &v);
}

/* Others can write the word: then any block will do. */
static struct js_block *spare_block(struct js_stack *st, uint64_t spare)
{
	return &st->block[BLOCK(spare) % JS_N_BLOCKS];
}

static void fill_block(struct js_block *b, const struct tcpcb *tcb, const struct js_so *s)
{
	/* A reader who sees any of it sees, then, that the block is not its
	 * socket's any more: pairs with the fence in so_begin(). */
	atomic_thread_fence(memory_order_release);
	memcpy(b->tcpcb, tcb, sizeof(*tcb));
	memcpy(&b->so, s, sizeof(*s));
}

int so_commit(struct so_txn *t)
{
	struct js_stack *st = t->st;
	struct js_sock *so = t->so;
	uint64_t seen = t->seen, next;
	/* acquire: before the look at commit.  So it is the word from before a
	 * fence, or that look tells of the fence. */
	uint64_t spare = atomic_load_explicit(&st->hdr.spare, memory_order_acquire);
	struct js_block *b = spare_block(st, spare);

	/* Already lost: do not even write.  (A thread that is stopped behind
	 * this line and fenced then writes into a retired block.) */
	if (atomic_load_explicit(&so->commit, memory_order_relaxed) != seen)
		return -ESTALE;
	fill_block(b, &t->tcb, &t->s);
	fault_here(FAULT_BEFORE_COMMIT);
	next = WORD(COUNT(seen) + 1, (unsigned int)(b - st->block));
	if (!atomic_compare_exchange_strong_explicit(&so->commit, &seen, next,
						     memory_order_release,
						     memory_order_relaxed))
		return -ESTALE;
	fault_here(FAULT_IN_COMMIT);
	/* Not so if we were fenced by now: the child has chosen another. */
	atomic_compare_exchange_strong_explicit(&st->hdr.spare, &spare,
						WORD(COUNT(spare) + 1, BLOCK(seen)),
						memory_order_release, memory_order_relaxed);
	t->seen = next;
	t->ooo_slot = free_ooo(so, &t->s);
	fault_here(FAULT_AFTER_COMMIT);
	return 0;
}

uint64_t so_fence(struct js_stack *st, uint32_t sock, bool may_run)
{
	struct js_sock *so = &st->sock[sock];
	uint64_t seen = atomic_load_explicit(&so->commit, memory_order_acquire);
	int ooo = may_run && BLOCK(seen) < JS_N_BLOCKS ?
		free_ooo(so, &st->block[BLOCK(seen)].so) : -1;
	uint64_t bit = ooo >= 0 ? 1ull << ooo % 64 : 0;

	while (!atomic_compare_exchange_weak_explicit(&so->commit, &seen,
						      WORD(COUNT(seen) + 1, BLOCK(seen)),
						      memory_order_acq_rel,
						      memory_order_acquire))
		;
	if (may_run) {
		atomic_fetch_or_explicit(&so->ooo_retired, bit, memory_order_relaxed);
		atomic_fetch_add_explicit(&so->fences, 1, memory_order_relaxed);
	}
	return bit;
}

void so_blocks_init(struct so_blocks *k)
{
	k->n_socks = 0;
	memset(k->retired, 0xff, sizeof(k->retired));
}

/* The block of socket @i; JS_BLOCK_NONE: it has none. */
static unsigned int block_of(const struct js_stack *st, const struct so_blocks *k, uint32_t i)
{
	uint64_t word;

	/* Those that were never used are not even looked at: that would make
	 * their pages. */
	if (i >= k->n_socks)
		return FIRST_BLOCK(i);
	word = atomic_load_explicit(&st->sock[i].commit, memory_order_relaxed);
	return word && BLOCK(word) < JS_N_BLOCKS ? BLOCK(word) : JS_BLOCK_NONE;
}

static void find_live(const struct js_stack *st, const struct so_blocks *k,
		      bool live[JS_N_BLOCKS])
{
	memset(live, 0, JS_N_BLOCKS * sizeof(live[0]));
	for (uint32_t i = 0; i < JS_N_SOCKS; i++) {
		unsigned int b = block_of(st, k, i);

		if (b != JS_BLOCK_NONE)
			live[b] = true;
	}
}

/* A block that is neither live nor retired, nor @but.  There is one: each
 * socket has one at most, and each place. */
static unsigned int find_free(const bool live[JS_N_BLOCKS], const struct so_blocks *k,
			      unsigned int but)
{
	bool taken[JS_N_BLOCKS];
	unsigned int b;

	memcpy(taken, live, sizeof(taken));
	for (int i = 0; i < JS_N_PLACES; i++) {
		if (k->retired[i] < JS_N_BLOCKS)
			taken[k->retired[i]] = true;
	}
	taken[but] = true;
	for (b = 0; b < JS_N_BLOCKS && taken[b]; b++)
		;
	return b < JS_N_BLOCKS ? b : but;
}

uint16_t so_fence_spare(struct js_stack *st, const struct so_blocks *k, bool may_run)
{
	uint64_t spare = atomic_load_explicit(&st->hdr.spare, memory_order_acquire);
	bool live[JS_N_BLOCKS];
	unsigned int was, next;

	find_live(st, k, live);
	/* Again if it goes on just now, behind a commit that came before the
	 * fence. */
	do {
		was = BLOCK(spare) % JS_N_BLOCKS;
		next = may_run || live[was] ? find_free(live, k, was) : was;
	} while (!atomic_compare_exchange_weak_explicit(&st->hdr.spare, &spare,
							WORD(COUNT(spare) + 1, next),
							memory_order_acq_rel,
							memory_order_acquire));
	return may_run && !live[was] ? (uint16_t)was : JS_BLOCK_NONE;
}

void so_part_blocks(struct js_stack *st, const struct so_blocks *k)
{
	bool taken[JS_N_BLOCKS] = { false };

	/* The first of never used ones are theirs. */
	for (uint32_t i = k->n_socks; i < JS_N_SOCKS; i++)
		taken[FIRST_BLOCK(i)] = true;
	for (uint32_t i = 0; i < k->n_socks; i++) {
		_Atomic uint64_t *commit = &st->sock[i].commit;
		unsigned int b = block_of(st, k, i);

		if (b == JS_BLOCK_NONE)
			continue;
		if (taken[b])
			atomic_store_explicit(commit, WORD(COUNT(*commit) + 1, JS_BLOCK_NONE),
					      memory_order_relaxed);
		taken[b] = true;
	}
	so_fence_spare(st, k, false);
}

void so_piece_put(struct so_txn *t, struct js_piece *at, struct js_piece p)
{
	typedef uint64_t __attribute__((may_alias)) word_t;
	/* acquire: the look at commit comes behind it */
	uint64_t new, old = __atomic_load_n((word_t *)at, __ATOMIC_ACQUIRE);

	so_note_rings(t);
	p.off |= (uint16_t)(t->fences << 13);
	p.len |= (uint16_t)(t->fences >> 3 << 13);
	memcpy(&new, &p, sizeof(new));
	do {
		/* What we loaded may be another's, but if we were not fenced by
		 * now it is from before: then we write over that or not at all. */
		if (atomic_load_explicit(&t->so->commit, memory_order_relaxed) != t->seen)
			return;
		fault_here(FAULT_IN_QUEUE);
	} while (!__atomic_compare_exchange_n((word_t *)at, &old, new, false,
					      __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
}

void so_unretire(struct js_sock *so, uint64_t still)
{
	atomic_store_explicit(&so->ooo_retired, still, memory_order_relaxed);
}

void so_init_block(struct js_stack *st, struct so_blocks *k, uint32_t sock,
		   const struct tcpcb *tcb, const struct js_so *s)
{
	_Atomic uint64_t *commit = &st->sock[sock].commit;
	bool is_new = sock >= k->n_socks;
	unsigned int old = block_of(st, k, sock);
	uint64_t seen = atomic_load_explicit(commit, memory_order_relaxed);
	uint64_t spare = atomic_load_explicit(&st->hdr.spare, memory_order_relaxed);
	struct js_block *b = is_new ? &st->block[old] : spare_block(st, spare);

	fill_block(b, tcb, s);
	atomic_store_explicit(commit, WORD(COUNT(seen) + 1, (unsigned int)(b - st->block)),
			      memory_order_release);
	if (is_new) {
		k->n_socks = sock + 1;
		return;
	}
	/* Who was fenced cannot: the count is another since. */
	if (old != JS_BLOCK_NONE)
		atomic_store_explicit(&st->hdr.spare, WORD(COUNT(spare) + 1, old),
				      memory_order_release);
	else
		so_fence_spare(st, k, false);	/* now that the spare one is live */
}

/* --- fault points ----------------------------------------------------------- */

static enum fault fault_wanted;
static int fault_signal;
static _Atomic int fault_count;
static int fault_period, fault_left;

void fault_init(void)
{
	static const char *const names[] = {
		[FAULT_BEFORE_COMMIT] = "before-commit",
		[FAULT_IN_COMMIT] = "in-commit",
		[FAULT_AFTER_COMMIT] = "after-commit",
		[FAULT_AFTER_PUBLISH] = "after-publish",
		[FAULT_IN_QUEUE] = "in-queue",
		[FAULT_IN_COPY] = "in-copy",
	};
	const char *want = getauxval(AT_SECURE) ? NULL : getenv("JETSTREAM_FAULT");
	const char *times;

	fault_signal = SIGKILL;
	if (want && !strncmp(want, "stop-", 5)) {
		fault_signal = SIGSTOP;
		want += 5;
	}
	for (unsigned int f = FAULT_BEFORE_COMMIT; want && f < FAULT_N; f++) {
		size_t len = strlen(names[f]);

		if (strncmp(want, names[f], len) || (want[len] && want[len] != ':'))
			continue;
		fault_period = want[len] ? atoi(want + len + 1) : 1;
		times = want[len] ? strchr(want + len + 1, ':') : NULL;
		fault_left = times ? atoi(times + 1) : 1;
		atomic_store(&fault_count, fault_period);
		fault_wanted = (enum fault)f;
	}
}

void fault_here(enum fault f)
{
	if (__builtin_expect(fault_wanted != f, 1) || atomic_fetch_sub(&fault_count, 1) != 1)
		return;
	if (--fault_left > 0)
		atomic_store(&fault_count, fault_period);
	raise(fault_signal);
}
