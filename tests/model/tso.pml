/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tso.pml - memory as processors have it: stores wait in a buffer
 *
 * Spin itself is sequentially consistent, and would not miss a fence that is
 * missing.  Here each process puts its stores in a FIFO of its own, from which
 * they reach memory at any later time (x86-TSO; a release-store on weaker
 * machines is no earlier than that).  A fence waits until the FIFO is empty, an
 * exchange or compare-and-swap has one built in.  No process loads a word that
 * may be in its own FIFO, except where it fences first.
 */
#define SB_LEN	2

byte mem[N_VARS];
chan sb[N_PROCS] = [SB_LEN] of { byte, byte };

#define store(p, var, val)	sb[p]!var, val
#define load(var)		mem[var]
#define fence(p)		empty(sb[p])

inline xchg(p, var, val, old)
{
	atomic { empty(sb[p]) -> old = mem[var]; mem[var] = val }
}

inline cas(p, var, want, val, ok)
{
	atomic {
		empty(sb[p]);
		if
		:: mem[var] == want -> mem[var] = val; ok = true
		:: else -> ok = false
		fi
	}
}

proctype memory(byte p)
{
	byte var, val;

end:	do
	:: atomic { sb[p]?var, val -> mem[var] = val; var = 0; val = 0 }
	od
}
