/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tcp_fsm.h - what follows from the state alone
 */
#ifndef STACK_ENGINE_TCP_FSM_H
#define STACK_ENGINE_TCP_FSM_H

#include "stack/engine/tcp.h"

/* The connection is or was synchronized: RFC 9293, 3.3.2. */
static inline bool tcps_synchronized(unsigned int state)
{
	return state >= TCPS_ESTABLISHED;
}

/* The peer's FIN has not come: there may be data to receive. */
static inline bool tcps_may_receive(unsigned int state)
{
	return state == TCPS_ESTABLISHED || state == TCPS_FIN_WAIT_1 ||
	       state == TCPS_FIN_WAIT_2;
}

/* so_snd may hold octets to be sent, for the first time or again. */
static inline bool tcps_may_send(unsigned int state)
{
	return state >= TCPS_ESTABLISHED && state <= TCPS_LAST_ACK;
}

/* A FIN is to be sent, or was sent and is not acknowledged. */
static inline bool tcps_fin_pending(unsigned int state)
{
	return state == TCPS_FIN_WAIT_1 || state == TCPS_CLOSING || state == TCPS_LAST_ACK;
}

/* The peer's FIN has come. */
static inline bool tcps_fin_received(unsigned int state)
{
	return state == TCPS_CLOSE_WAIT || state == TCPS_CLOSING ||
	       state == TCPS_LAST_ACK || state == TCPS_TIME_WAIT;
}

/* Our FIN takes the last octet before SND.NXT and is not acknowledged. */
static inline bool tcp_fin_outstanding(const struct tcpcb *tp)
{
	return tcps_fin_pending(tp->state) && (tp->flags & TF_SENTFIN);
}

void tcp_set_state(struct tcpcb *tp, enum tcp_state state, uint64_t now_us);

#endif
