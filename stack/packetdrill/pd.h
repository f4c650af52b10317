/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pd.h - the stack under packetdrill: all of it in one process
 *
 * jetstream-packetdrill.so is libjetstream, the child and the engine as they
 * are everywhere else.  What is different lies at the edges:
 *
 *	pd_ifc.c	packetdrill's table of functions, on jet_*()
 *	pd_link.c	application and child: stack/api/link.c and child.c.
 *			Both halves keep their own view of the stack and their
 *			own script queue; requests go over a real channel and
 *			are answered before the call that made them returns
 *	pd_port.c	driver and ring: stack/pool/poolc_ctl.c and jetringd.
 *			A script runs when the call that published it is over
 *			(or waits for it); a SEND becomes a packet to be sniffed
 *	pd_net.c	packets in; what the connection server does for the child
 *			(bind-points, Resolve, Syn, TIME-WAIT, RSTs)
 *	pd_time.c	clock and blocking: common/clock.c, futex_wait()
 *
 * Functions of the tree that must not do here what they do elsewhere are
 * replaced by the linker (--wrap, see the Makefile): the tree knows nothing of
 * packetdrill.
 *
 * Time is virtual unless asked otherwise: it stands still while anything runs
 * and jumps to the next deadline when packetdrill waits, so that a script
 * takes no time and comes out the same each time.
 *
 * Flags (--so_flags), comma-separated:
 *	time=real|virtual	default virtual
 *	mtu=OCTETS		default 1500
 *	local=ADDRESS		an address of ours, IPv4 or IPv6; may be repeated; for
 *				connect() without bind()
 *	sysctl			obey net.ipv4.tcp_* of this network namespace, as
 *				scripts set them: see pd_link.c
 *	log			lines of child and library on stderr
 *
 * One lock for all: every function here that is not said to take it is called
 * with it held.
 */
#ifndef STACK_PACKETDRILL_PD_H
#define STACK_PACKETDRILL_PD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/ctlmsg.h"
#include "abi/portctl.h"
#include "stack/child/child_int.h"
#include "stack/packetdrill/pd_abi.h"

struct pd_flags {
	bool real_time;
	bool sysctl;
	bool log;
	const char *forget;	/* a file: when it is there, cookies of peers are forgotten, and it goes */
	uint32_t mtu;
	struct cm_addr local4, local6;
};

/* --- pd_time.c ------------------------------------------------------------------- */

/* The calling thread is the main one: while it blocks, time passes.  Others
 * that block wait for it. */
void pd_time_init(bool real);
void pd_enter(void);		/* takes the lock; each call of packetdrill */
void pd_leave(void);		/* runs what is to be run, gives the lock back */
void pd_leave_quickly(void);	/* the same after a call that changed nothing */
uint64_t pd_now(void);		/* microseconds */
/* One microsecond passes: who reads the clock in a loop waits for something. */
void pd_tick(void);
/* Something happened; those who sleep look again. */
void pd_changed(void);
/**
 * pd_sleep() - Wait until something has happened
 * @deadline:	Or UINT64_MAX
 * Return: 0 look again; -ETIMEDOUT the deadline has come, or nothing will ever
 * happen
 */
int pd_sleep(uint64_t deadline);
/* Let time pass to the next thing that happens, not beyond @limit.  False:
 * @limit has come, or (UINT64_MAX) nothing will ever happen. */
bool pd_step(uint64_t limit);

/* --- pd_link.c ------------------------------------------------------------------- */

int pd_start(const struct pd_flags *f);		/* 0 or -Exxx */
void pd_stop(void);
struct child *pd_child(void);			/* NULL: not started */
void pd_fastopen(void);				/* the settings as they are now */
const struct pd_flags *pd_flags(void);
/* Run driver, child and server until none has anything to do.  Whether any
 * had. */
bool pd_settle(void);
/* When the child's next deadline comes; UINT64_MAX. */
uint64_t pd_next_us(void);

/* --- pd_port.c ------------------------------------------------------------------- */

bool pd_port_run(void);				/* what was published; whether there was any */
/* The pool that takes packets of this flow; -ENOENT. */
int pd_port_find(const struct js_flow *flow);
/* A packet for @pool: 0; -ENOBUFS and it is lost. */
int pd_port_receive(unsigned int pool, const uint8_t *pkt, size_t len);
/* A packet leaves now. */
void pd_port_sent(const uint8_t *pkt, size_t len);
/* The oldest packet that has left: its length, cut to @max; 0 none. */
size_t pd_port_sniff(uint8_t *pkt, size_t max, uint64_t *at_us);
void pd_port_free(void);

/* --- pd_net.c -------------------------------------------------------------------- */

/* A packet arrives from outside. */
void pd_net_input(const uint8_t *pkt, size_t len);
/* The connection server's end of the child's channel: answer what is there.
 * Whether there was anything. */
bool pd_net_serve(int fd);
void pd_net_reset(void);

#endif
