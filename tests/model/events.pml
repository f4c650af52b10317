/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * events.pml - a port's events: jetringd writes them, somebody must look
 *
 * jetringd: event_put(), port_wake().  The opener (child): poolc_event_peek(),
 * poolc_sleep_prepare(), poolc_sleep_done().  A thread that leads and leaves
 * when it likes: poolc_lead_begin() to poolc_lead_end().
 *
 * Claim: every event is consumed, whoever sleeps when.  The timer of
 * jetringd (PORT_GRACE_NS) is not here, so nothing relies on it.  A process
 * that waits for ever is an invalid end state.
 *
 * Mistakes that must be found, one at a time by -D:
 *	NO_RECHECK	the opener sleeps without looking once more
 *	NO_FENCE_SLEEP	… looks before its word is in memory
 *	NO_FENCE_WAKE	jetringd looks who sleeps before the event is in memory
 *	LEAD_NO_RECHECK, LEAD_NO_FENCE	the same, of the leader
 *	LEAVE_NO_RECHECK, LEAVE_NO_FENCE	the leader leaves without a look
 *	WAKE_BY_STORE	jetringd stores JS_AWAKE instead of exchanging it
 */
#define N_EVENTS	3
#define N_VARS		4
#define N_PROCS		3

/* variables */
#define PROD	0		/* events written; stands for js_event.idx too */
#define SLEEP	1		/* hdr->eq_sleep */
#define LEADER	2		/* hdr->leader */
#define CONS	3		/* hdr->eq_cons */
/* processes */
#define RINGD	0
#define CHILD	1
#define THREAD	2

#define AWAKE	0
#define ASLEEP	1
#define LEADING	2

#include "tso.pml"

bool wake_fd;			/* eventfd: readable */
bool kick;			/* the application's way to wake the child */
bool in_futex;			/* the leader waits in FUTEX_WAIT */

inline has_event(yes)
{
	atomic { yes = (load(CONS) != load(PROD)) }
}

/* Peek and done: who loses the compare-and-swap has consumed nothing. */
inline consume(p, some)
{
	byte at;
	bool won;

	atomic { at = load(CONS); some = (at != load(PROD)) }
	if
	:: some -> cas(p, CONS, at, at + 1, won)
	:: else
	fi
}

proctype ringd()
{
	byte i, old, word;
	bool ok;

	for (i : 1 .. N_EVENTS) {
		store(RINGD, PROD, i);
#ifndef NO_FENCE_WAKE
		fence(RINGD);
#endif
		word = load(LEADER);
		ok = false;
		if
		:: word == ASLEEP ->
			cas(RINGD, LEADER, ASLEEP, LEADING, ok);
			if
			:: ok -> in_futex = false; word = LEADING
			:: else -> word = load(LEADER)
			fi
		:: else
		fi;
		if
		:: word == LEADING -> skip
		:: else ->
			if
			:: load(SLEEP) == ASLEEP ->
#ifdef WAKE_BY_STORE
				old = load(SLEEP);
				store(RINGD, SLEEP, AWAKE);
#else
				xchg(RINGD, SLEEP, AWAKE, old);
#endif
				if
				:: old == ASLEEP -> wake_fd = true
				:: else
				fi
			:: else
			fi
		fi
	}
}

inline sleep_done()
{
	xchg(CHILD, SLEEP, AWAKE, old);
	if
	:: old == ASLEEP
	:: else -> wake_fd = false
	fi
}

proctype child()
{
	byte old;
	bool some;

	do
	:: load(CONS) == N_EVENTS -> break
	:: else ->
		consume(CHILD, some);
		if
		:: some
		:: else ->
			store(CHILD, SLEEP, ASLEEP);
#ifndef NO_FENCE_SLEEP
			fence(CHILD);
#endif
#ifdef NO_RECHECK
			some = false;
#else
			has_event(some);
#endif
			if
			:: some
			:: else ->
				/* poll(): woken, told, or the others did it all */
				if
				:: wake_fd
				:: kick -> kick = false
				:: load(CONS) == N_EVENTS
				fi
			fi;
			sleep_done()
		fi
	od
}

#ifdef LEADERS
/* Twice, so that it also finds what it left behind. */
proctype thread()
{
	bool some, ok;
	byte turn;

	for (turn : 1 .. 2) {
		cas(THREAD, LEADER, AWAKE, LEADING, ok);
		assert(ok);
		do
		:: break	/* it has what it wants */
		:: consume(THREAD, some);
			if
			:: some
			:: else ->
				store(THREAD, LEADER, ASLEEP);
#ifndef LEAD_NO_FENCE
				fence(THREAD);
#endif
#ifdef LEAD_NO_RECHECK
				some = false;
#else
				has_event(some);
#endif
				if
				:: some
				:: else ->
					/* FUTEX_WAIT compares with a fence of its own. */
					atomic { fence(THREAD) -> in_futex = (load(LEADER) == ASLEEP) };
					if
					:: !in_futex
					:: load(CONS) == N_EVENTS -> in_futex = false	/* or a signal */
					fi
				fi;
				store(THREAD, LEADER, LEADING)
			fi
		od;
		store(THREAD, LEADER, AWAKE);
#ifndef LEAVE_NO_FENCE
		fence(THREAD);
#endif
#ifdef LEAVE_NO_RECHECK
		some = false;
#else
		has_event(some);
#endif
		if
		:: some -> kick = true
		:: else
		fi;
		fence(THREAD)
	}
}
#endif

init {
	atomic {
		run memory(RINGD); run memory(CHILD); run memory(THREAD);
		run ringd(); run child();
#ifdef LEADERS
		run thread()
#endif
	}
}
