/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * commit.pml - one spare block for all sockets of a stack
 *
 * Threads of two processes: so_begin(), so_commit() of stack/shm/commit.c,
 * under the lock.  The child, which may rob the holder of the lock at any
 * moment: so_fence(), so_fence_spare(), retire(); and reclaim_back(), when a
 * process that was fenced has come back.  Who was robbed is dead, or goes on
 * whenever it likes.  Compare-and-swaps are fences, and between the plain stores
 * into a block nobody relies on their order: so memory is Spin's own.
 *
 * Claim: whoever has the lock finds in the block of each socket what was
 * committed to it, whole; no block is two sockets', nor spare and a socket's or
 * retired.
 *
 * Mistakes that must be found, one at a time by -D:
 *	NO_COUNT	the word of the spare block has no count
 *	NO_RETIRE	the block that the fenced may write stays in use
 *	NO_LOOK		the child takes the spare block of the dead for nobody's
 *	CHECK_FIRST	the spare block is chosen behind the last look at commit
 */
#define N_SOCKS		2
#define N_THREADS	2
#define N_BLOCKS	5		/* live, spare, one for each thread */
#define N_TIMES		2		/* commits of a thread */
#ifndef N_ROBBED
#define N_ROBBED	1		/* with 2 there are 7 million states, without error */
#endif
#define NONE		255
#define HALF		254		/* a block that is being written */
#define CHILD		9

byte lock;				/* 1 + thread, CHILD, 0 free */
byte gen[N_SOCKS], block[N_SOCKS];	/* js_sock.commit */
byte count, spare;			/* js_stack_hdr.spare */
byte data[N_BLOCKS];			/* whose it is */
byte retired[N_THREADS];
bool fenced[N_THREADS], dead[N_THREADS], back[N_THREADS];

inline claim()
{
	d_step {
		assert(data[block[0]] == 0 && data[block[1]] == 1);
		assert(block[0] != block[1] && spare != block[0] && spare != block[1]);
		assert(spare != retired[0] && spare != retired[1]);
		assert(block[0] != retired[0] && block[0] != retired[1]);
		assert(block[1] != retired[0] && block[1] != retired[1])
	}
}

inline next_count()
{
#ifndef NO_COUNT
	count++
#else
	skip
#endif
}

/* @lost: the commit was not made. */
inline commit(s, seen, old, word, to, lost)
{
#ifdef CHECK_FIRST
	lost = (gen[s] != seen);
	d_step { word = count; to = spare }
#else
	d_step { word = count; to = spare }
	lost = (gen[s] != seen);
#endif
	if
	:: !lost ->
		data[to] = HALF;
		data[to] = s;
		d_step {
			if
			:: gen[s] == seen -> gen[s]++; block[s] = to
			:: else -> lost = true
			fi
		}
	:: else
	fi;
	if
	:: !lost ->
		d_step {
			if
			:: count == word && spare == to -> spare = old; next_count()
			:: else
			fi
		}
	:: else
	fi
}

proctype thread(byte t)
{
	byte s, seen, old, read, word, to, i;
	bool lost;

	{
		do
		:: i < N_TIMES ->
			i++;
			atomic { lock == 0 && !fenced[t] -> lock = t + 1 }
			if
			:: s = 0
			:: s = 1
			fi;
			d_step { seen = gen[s]; old = block[s] }
			read = data[old];
			lost = (lock != t + 1);
			if
			:: !lost ->
				assert(read == s);
				commit(s, seen, old, word, to, lost)
			:: else
			fi;
			atomic {
				if
				:: lock == t + 1 -> lock = 0
				:: else -> back[t] = true
				fi
			}
			atomic {
				!back[t];
				s = 0; seen = 0; old = 0; read = 0; word = 0; to = 0; lost = false
			}
		:: else -> break
		od
	} unless { dead[t] }
}

inline rob(t)
{
	atomic {
		robbed < N_ROBBED && lock == t + 1 -> lock = CHILD;
		if
		:: may_run = true
		:: may_run = false; dead[t] = true
		fi
	}
	gen[0]++;
	d_step { gen[1]++; word = count; was = spare }
	do
	:: true ->
		atomic {
			live = (was == block[0] || was == block[1]);
			to = was;
			if
#ifdef NO_LOOK
			:: may_run ->
#else
			:: may_run || live ->
#endif
				to = 0;
				do
				:: to == block[0] || to == block[1] || to == retired[0] ||
				   to == retired[1] || to == was -> to++
				:: else -> break
				od
			:: else
			fi;
#ifdef NO_RETIRE
			to = (live -> to : was);
#endif
		}
		d_step {
			if
			:: count == word && spare == was -> spare = to; next_count(); done = true
			:: else -> word = count; was = spare; done = false
			fi
		}
		if
		:: done -> break
		:: else
		fi
	od;
	skip;
	d_step {
#ifndef NO_RETIRE
		if
		:: may_run && !live -> retired[t] = was
		:: else
		fi;
#endif
		fenced[t] = may_run
	}
	claim();
	d_step {
		word = 0; was = 0; to = 0; may_run = false; live = false; done = false;
		robbed++;
		lock = 0
	}
}

inline come_back(t)
{
	atomic { back[t] && lock == 0 -> lock = CHILD }
	d_step { retired[t] = NONE; fenced[t] = false; back[t] = false; lock = 0 }
}

active proctype child()
{
	byte word, was, to, robbed;
	bool may_run, live, done;

	d_step {
		block[0] = 1;
		block[1] = 2;
		data[1] = 0;
		data[2] = 1;
		retired[0] = NONE;
		retired[1] = NONE
	}
	run thread(0);
	run thread(1);
end:	do
	:: rob(0)
	:: rob(1)
	:: come_back(0)
	:: come_back(1)
	:: atomic { lock == 0 -> claim() }
	od
}
