/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * commit.h - how the shared state survives death, stops and hostile writes
 *
 * Each socket has one block, and js_sock.commit says which, with a generation.
 * One block more is spare (js_stack_hdr.spare): it is written next, whoever
 * commits what.  The holder of the lock
 *
 *	so_begin()	copies the live block to private memory and checks it
 *			runs the engine on the copy; writes queue entries that
 *			the live block does not reach
 *	so_commit()	writes the spare block and makes it live with one
 *			compare-and-swap of block and generation; another makes
 *			spare what was live
 *	publishes SEND, then FREE; then the event is consumed
 *
 * Killed before the first compare-and-swap: nothing happened.  Killed after:
 * what was committed but not published counts as lost on the ring, and is sent
 * again by the retransmission timer.  Killed between the two: the block that is
 * called spare is live; the child chooses another (so_fence_spare()) before
 * anybody gets the lock.
 *
 * A fence (so_fence(), so_fence_spare(), the child only) makes every commit that
 * was begun before it fail.  A thread that is only stopped may go on later, and
 * write
 *
 *	the block that was spare then: that is retired;
 *	the word that says which is: by compare-and-swap with what stood there
 *		before the fence, which has a count in it;
 *	the entry of ooo[] it had chosen: retired, too;
 *	entries of so_snd and so_rcv from the last one on: by compare-and-swap
 *		with what stood there before the fence.  What others write
 *		there later differs in its tag;
 *	the free parts of the last buffers of so_snd and so_rcv: those are not
 *		appended to any more (js_so.fence_seen, .rcv_fence), nor FREEd
 *		(js_stack_hdr.held) before it has come back.
 *
 * Buffers that it had just allocated stay its queue's until then.
 */
#ifndef STACK_SHM_COMMIT_H
#define STACK_SHM_COMMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "abi/shmseg.h"
#include "stack/engine/tcp.h"

#define JS_PIECE_MASK	0x1fffu	/* of js_piece.off and .len in a ring: behind it the tag */

/* A private copy of a control block, being worked on. */
struct so_txn {
	struct js_stack *st;
	struct js_sock *so;
	struct js_rings *rings;
	uint32_t sock;
	uint64_t seen;			/* js_sock.commit at so_begin() */
	int ooo_slot;			/* of ooo[], to be written: chosen at so_begin(), as so_fence() expects; -1 none */
	uint32_t fences;		/* js_sock.fences then */
	bool room;			/* so_output() has made it writable: so_finish() wakes writers */
	bool stamped;			/* ... something for the error queue: wakes everyone */
	struct tcpcb tcb;
	struct js_so s;
};

/**
 * so_begin() - Take a private, checked copy of the live block
 * @sock:	Below JS_N_SOCKS
 * A queue that is empty begins at 0 again: so that short ones stay in the
 * first page of their ring.
 * Context: stack's lock held, or a reader that only looks
 * Return: 0; -EUCLEAN if what stands there cannot be run
 */
int so_begin(struct js_stack *st, uint32_t sock, struct so_txn *t);

/**
 * so_commit() - Make the copy the live block
 * Return: 0; -ESTALE: fenced (or overtaken): nothing was written that counts
 */
int so_commit(struct so_txn *t);

/**
 * so_fence() - Every commit of this socket begun before this fails
 * @may_run:	The fenced thread is only stopped: retire what it may write
 * Context: child, lock held
 * Return: the bit of js_sock.ooo_retired that stands for what it may write; 0 none
 */
uint64_t so_fence(struct js_stack *st, uint32_t sock, bool may_run);

/* What the child knows of the blocks of its stack.  Private memory. */
struct so_blocks {
	uint32_t n_socks;		/* indices that were ever in use are below */
	uint16_t retired[JS_N_PLACES];	/* the block that a fenced process may write, by its place; [0] of one that is unknown; JS_BLOCK_NONE */
};
void so_blocks_init(struct so_blocks *k);

/**
 * so_fence_spare() - The spare block is one that nobody has, and nobody writes
 * @may_run:	As above
 * Context: child, lock held, all sockets were fenced
 * Return: the block that the fenced thread may write: to be retired;
 *	JS_BLOCK_NONE there is none
 */
uint16_t so_fence_spare(struct js_stack *st, const struct so_blocks *k, bool may_run);

/**
 * so_part_blocks() - No block is two sockets', nor a socket's and spare
 * Nor would it be if nobody wrote what he must not.  But who did may be gone, and
 * the sockets would live on in each other's blocks, for as long as they like:
 * one of two gets none, and so_begin() says so.
 * Context: child, lock held
 */
void so_part_blocks(struct js_stack *st, const struct so_blocks *k);

/* Put @p into the ring of so_snd or so_rcv, unless we were fenced. */
void so_piece_put(struct so_txn *t, struct js_piece *at, struct js_piece p);

/* The rings of this socket take memory from now on.  Before they are written. */
static inline void so_note_rings(const struct so_txn *t)
{
	_Atomic uint64_t *map = &t->st->hdr.rings_map[t->sock / 64];
	uint64_t bit = 1ull << t->sock % 64;

	if (!(atomic_load_explicit(map, memory_order_relaxed) & bit))
		atomic_fetch_or_explicit(map, bit, memory_order_relaxed);
}

/* A piece in a ring, by one load: others may write there meanwhile. */
static inline struct js_piece so_piece(const struct js_piece *at)
{
	typedef uint64_t __attribute__((may_alias)) word_t;
	uint64_t word = __atomic_load_n((const word_t *)at, __ATOMIC_RELAXED);
	struct js_piece p;

	static_assert(sizeof(p) == sizeof(word) && offsetof(struct js_rings, snd) % 8 == 0 &&
		      offsetof(struct js_rings, rcv) % 8 == 0, "a piece is a word");
	memcpy(&p, &word, sizeof(p));
	p.off &= JS_PIECE_MASK;
	p.len &= JS_PIECE_MASK;
	return p;
}

/* Entries of ooo[] in use, and those that @retired (js_sock.ooo_retired) forbids. */
static inline uint32_t so_n_ooo(const struct js_so *s, uint64_t retired)
{
	uint32_t n = 0;

	for (int w = 0; w < JS_OOO_WORDS; w++)
		n += (uint32_t)__builtin_popcountll(s->ooo_map[w] | retired);
	return n;
}

/* The first entry of ooo[] in use that is not before @i; -1 none. */
static inline int so_next_ooo(const struct js_so *s, int i)
{
	for (; i < JS_OOO_ENTRIES; i = (i / 64 + 1) * 64) {
		uint64_t used = s->ooo_map[i / 64] >> i % 64;

		if (used)
			return i + __builtin_ctzll(used);
	}
	return -1;
}

/* Some that were fenced are gone or have come back: entries of ooo[] but those in
 * @still, of js_sock.ooo_retired, may be used again.  Context: child, lock held */
void so_unretire(struct js_sock *so, uint64_t still);

/* Write the first block of a new socket, generation moved on.
 * Context: child, lock held */
void so_init_block(struct js_stack *st, struct so_blocks *k, uint32_t sock,
		   const struct tcpcb *tcb, const struct js_so *s);

/* Points at which tests kill a process, or with "stop-" stop it:
 * JETSTREAM_FAULT=[stop-]NAME[:N[:M]] in its environment, every Nth time, M times.
 * In commit: the block is live and still called spare; in a queue: about to write
 * into a ring or ooo[]; in a copy: into a buffer that others reach. */
enum fault {
	FAULT_NONE, FAULT_BEFORE_COMMIT, FAULT_IN_COMMIT, FAULT_AFTER_COMMIT, FAULT_AFTER_PUBLISH,
	FAULT_IN_QUEUE, FAULT_IN_COPY, FAULT_N
};
void fault_init(void);
void fault_here(enum fault f);

#endif
