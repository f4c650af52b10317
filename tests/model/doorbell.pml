/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * doorbell.pml - scripts: clients publish them, jetringd must look
 *
 * Two processes with a script queue each, one doorbell (poolc_publish(),
 * poolc_ring()).  jetringd looks at an active port without being asked for a
 * while, sleeps, or deactivates the port, which then is looked at again only
 * when it rings (ports_poll(), ports_sleep(), ports_wake(), port_activate()).
 * The doorbell is watched edge-triggered and never read.  With -DDEATH one of
 * the two may be killed wherever it is.
 *
 * Claim: every script of who lives is fetched.  Mistakes that must be found, by -D:
 *	NO_RECHECK	it sleeps without looking once more
 *	NO_FENCE_SLEEP	… looks before its word is in memory
 *	NO_FENCE_RING	the client looks at the word before the script is in memory
 *	DEACTIVATE_NO_RECHECK	it forgets a port without looking once more
 *	RING_BY_STORE	the client stores JS_AWAKE after the write, whatever stands there
 *	NO_NUMBER	every sleep has the same number
 *	RING_LAST	(with DEATH) the client changes the word first, then writes
 */
#define N_SCRIPTS	2
#define N_VARS		3
#define N_PROCS		3

/* variables */
#define TAIL0	0
#define TAIL1	1
#define SLEEP	2		/* hdr->db_sleep */
/* processes */
#define CLIENT0	0
#define CLIENT1	1
#define RINGD	2

#define AWAKE	0		/* else odd: asleep */

#include "tso.pml"

bool edge;			/* epoll will tell of the doorbell */
byte fetched[2];
bool dead;			/* CLIENT0 */
byte number = 1;		/* of the last sleep */

#define has_ops	(load(TAIL0) != fetched[0] || load(TAIL1) != fetched[1])
#define is_all	((dead || fetched[0] == N_SCRIPTS) && fetched[1] == N_SCRIPTS)

proctype client(byte me)
{
	byte i, old;
	bool ok;

	{
		for (i : 1 .. N_SCRIPTS) {
			store(me, me, i);
#ifndef NO_FENCE_RING
			fence(me);
#endif
			old = load(SLEEP);
			if
			:: old != AWAKE ->
#if defined(RING_BY_STORE)
				edge = true;
				store(me, SLEEP, AWAKE)
#elif defined(RING_LAST)
				cas(me, SLEEP, old, AWAKE, ok);
				if
				:: ok -> edge = true
				:: else
				fi
#else
				edge = true;
				cas(me, SLEEP, old, AWAKE, ok)
#endif
			:: else
			fi
		}
	} unless { dead && me == CLIENT0 }
}

#ifdef DEATH
active proctype killer()
{
	dead = true
}
#endif

inline fetch()
{
	d_step { fetched[0] = load(TAIL0); fetched[1] = load(TAIL1) }
}

inline wait_doorbell()
{
	if
	:: edge -> edge = false; store(RINGD, SLEEP, AWAKE); is_active = true; fetch()
	:: is_all
	fi
}

inline next_number()
{
#ifndef NO_NUMBER
	number = number + 2
#else
	skip
#endif
}

proctype ringd()
{
	bool is_active;

	do
	:: is_all -> break
	:: else ->
		if
		:: !is_active -> wait_doorbell()
		:: edge -> wait_doorbell()
		:: is_active && has_ops -> fetch()
		/* Idle for long enough to sleep, or to forget the port. */
		:: is_active && !has_ops ->
			next_number();
			store(RINGD, SLEEP, number);
#ifndef NO_FENCE_SLEEP
			fence(RINGD);
#endif
			if
#ifdef NO_RECHECK
			:: true ->
#else
			:: has_ops -> store(RINGD, SLEEP, AWAKE)
			:: !has_ops ->
#endif
				wait_doorbell();
				store(RINGD, SLEEP, AWAKE)
			fi
		:: is_active && !has_ops ->
			next_number();
			store(RINGD, SLEEP, number);
#ifndef NO_FENCE_SLEEP
			fence(RINGD);
#endif
			if
#ifdef DEACTIVATE_NO_RECHECK
			:: true -> is_active = false
#else
			:: has_ops -> store(RINGD, SLEEP, AWAKE)
			:: !has_ops -> is_active = false
#endif
			fi
		fi
	od
}

init {
	atomic {
		/* As write_header() leaves it, before a client has the memory. */
		mem[SLEEP] = number;
		run memory(CLIENT0); run memory(CLIENT1); run memory(RINGD);
		run client(CLIENT0); run client(CLIENT1); run ringd()
	}
}
