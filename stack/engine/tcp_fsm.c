/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tcp_fsm.c - states: their names, and the one function that changes them
 *
 * Runs in whoever runs the engine: application, child, simulator.
 */
#include "stack/engine/tcp_fsm.h"
#include "stack/engine/tcp_var.h"

/* RFC 9293, 3.3.2 */
const char *const tcps_names[TCPS_NSTATES] = {
	[TCPS_CLOSED]		= "CLOSED",
	[TCPS_LISTEN]		= "LISTEN",
	[TCPS_SYN_SENT]		= "SYN-SENT",
	[TCPS_SYN_RECEIVED]	= "SYN-RECEIVED",
	[TCPS_ESTABLISHED]	= "ESTABLISHED",
	[TCPS_CLOSE_WAIT]	= "CLOSE-WAIT",
	[TCPS_FIN_WAIT_1]	= "FIN-WAIT-1",
	[TCPS_CLOSING]		= "CLOSING",
	[TCPS_LAST_ACK]		= "LAST-ACK",
	[TCPS_FIN_WAIT_2]	= "FIN-WAIT-2",
	[TCPS_TIME_WAIT]	= "TIME-WAIT",
};

/**
 * tcp_set_state() - Enter a state
 * @state:	The new one; may be the old one
 *
 * CLOSED keeps only an RST that is owed.  The timers learn of every change.
 */
void tcp_set_state(struct tcpcb *tp, enum tcp_state state, uint64_t now_us)
{
	tp->state = state;
	if (state == TCPS_CLOSED) {
		tp->flags &= ~(TF_ACKNOW | TF_SYN_DUE | TF_KEEP_DUE | TF_TLP_DUE |
			       TF_PROBE_DUE | TF_PERSIST | TF_TLP_OUT | TF_RCVFIN);
		tp->n_runs = 0;
		tp->sacked_out = 0;
		tp->lost_out = 0;
		tp->n_ooo = 0;
	}
	tcp_timer_state(tp, now_us);
}
