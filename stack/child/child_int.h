/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * child_int.h - inside the child: what it knows that applications do not
 *
 * One process, one thread.  Everything here is private memory.  Files:
 *	child.c		start, the loop: a process
 *	turn.c		the stack's memory; one turn of the loop
 *	ctl.c		control messages, of users and of the connection server
 *	conn.c		connections: pools, VCIs, anchors; from birth to release
 *	fastopen.c	TCP Fast Open: cookies, and who may open fast
 *	reclaim.c	processes that died or were stopped
 */
#ifndef STACK_CHILD_CHILD_INT_H
#define STACK_CHILD_CHILD_INT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "abi/anchor.h"
#include "abi/ctlmsg.h"
#include "common/wheel.h"
#include "stack/child/child.h"
#include "stack/shm/cm.h"
#include "stack/shm/commit.h"
#include "stack/shm/lock.h"
#include "stack/sock/sock.h"

/* An attached process. */
struct proc {
	bool used;
	int fd;			/* our end of its channel */
	pid_t pid;
	uint32_t queue;		/* its script queue */
	bool fenced;		/* was robbed of the lock while stopped, and has not come back: */
	uint8_t n_held;
	uint16_t held[2];	/* buffers it may write into until then */
	bool is_kept;		/* ... and no other process gets its queue */
	bool has_old;		/* it got another queue, and */
	uint32_t old_queue;	/* not all that this one allocated was given back */
	bool has_warned;	/* of its nonsense: once is enough for the log */
};

/*
 * What a socket is to the child.
 *
 * CK_NEW	socket() was called.  Operations: Bind, Listen_Child, Connect.
 * CK_LISTENER	Caveats: its block is never run by the engine.
 * CK_CONN	has or had a pool; its block is the engine's.
 */
enum csock_kind { CK_FREE, CK_NEW, CK_LISTENER, CK_CONN };

/* What is awaited from the connection server. */
enum csock_wait { CW_NONE, CW_BIND, CW_LISTEN, CW_CONNECT, CW_RESOLVE, CW_FASTOPEN };

/* The node's wishes about Fast Open: net.ipv4.tcp_fastopen and _key. */
#define FO_CLIENT	0x001	/* may open fast, */
#define FO_SERVER	0x002	/* ... may be opened so; */
#define FO_CLIENT_BLIND	0x004	/* without a cookie */
#define FO_SERVER_BLIND	0x200
#define FO_ALL_LISTEN	0x400	/* every listener, TCP_FASTOPEN or not */
#define FO_KEY		16	/* octets: a key of SipHash */
#define FO_KEYS		2	/* the first makes cookies, both are good */

struct fo_keys {
	unsigned int n;
	uint8_t key[FO_KEYS][FO_KEY];
};

struct fo_settings {
	bool is_fixed;			/* not to be read again */
	bool zero_is_key;		/* and does not mean that there is none */
	uint64_t read_us;
	uint32_t bits;			/* FO_* */
	struct fo_keys keys;
};

/* A socket's part in it: fastopen.c. */
struct fo_sock {
	bool wanted;			/* connect() shall open fast, */
	bool ready;			/* ... and waits for data; */
	uint8_t form, len;		/* enum tcp_fo_kind: as our SYN has it */
	uint8_t cookie[TCP_FO_MAX];
	uint16_t mss;			/* the peer's as it was last; 0 */
	uint16_t room;			/* octets for the SYN */
	bool pending;			/* its peer opened it fast, and has not completed the handshake */
};

/*
 * Where a connection is that its listener's backlog counts.
 *
 * CQ_HALF	half open: at most backlog of them.
 * CQ_ACCEPT	ESTABLISHED: no new ones while there are more than backlog.
 *		Caveats: accept() tells the shared state, not us; who was accepted
 *		is found out when the queue seems to be full.
 */
enum csock_queue { CQ_NONE, CQ_HALF, CQ_ACCEPT };

struct csock {
	enum csock_kind kind : 8;
	enum csock_wait wait : 8;
	enum csock_queue queue : 8;	/* of parent's: where it is counted */
	uint8_t ring_id;		/* of the peer */
	uint32_t gen;			/* odd while in use */
	int anchor;			/* our end */
	bool anchored;			/* anchor is open: a descriptor exists somewhere */
	bool anchor_shut;		/* … shut down by its holder: reads as end of file for ever */
	bool reuse;
	bool has_pool;
	uint16_t pool;
	js_vci_t rxvci, txvci;
	bool is_shared;			/* rxvci is the stack's shared stream */
	bool has_looked;		/* … still, for there was no other at ESTABLISHED */
	bool delivered;			/* accept() has it, or may have */
	bool summed;			/* its line is in the log */
	bool has_iss;			/* the server has named the ISS: */
	uint8_t bp_flags;		/* CM_BP_V6ONLY, CM_BP_REUSEPORT: what bp was asked for */
	uint32_t iss;			/* beyond that of the same pair in TIME-WAIT */
	uint16_t family;
	uint16_t fixed;			/* JS_SOF_SNDBUF, JS_SOF_RCVBUF: the user has set them */
	int bp;				/* bind-point, -1 none */
	uid_t uid;			/* of who made it */
	uint32_t snd_buf, rcv_buf;	/* octets */
	struct cm_addr local, peer;
	uint32_t parent;		/* listener, or JS_SOCK_NONE */
	uint64_t born_us;
	uint64_t defer_us;		/* TCP_DEFER_ACCEPT: without data it is delivered then; 0 */
	uint64_t orphan_us;		/* no descriptor: look then whether its peer lives; 0 */
	uint64_t orphan_heard;		/* tcpcb.heard_us when we looked last */
	int who;			/* proc index that waits for a reply */
	uint32_t req_id;		/* of its request */
	uint32_t srv_id;		/* of ours to the server */
	struct fo_sock fo;
};

/* What only listeners have; by index, too. */
struct clistener {
	uint32_t backlog;		/* as listen() has it */
	uint32_t n_half, n_accept;	/* connections in its queues: CQ_HALF, CQ_ACCEPT */
	uint32_t n_pending;		/* connections that were opened fast, and are not complete or were reset */
	uint32_t n_reset;		/* of them the latter: until */
	uint64_t reset_us;		/* … the oldest of them is forgotten */
	struct fo_keys keys;		/* TCP_FASTOPEN_KEY; n 0: the node's */
};

#define MAX_PROCS	(JS_N_QUEUES - 1)
#define PLACE(i)	((uint32_t)(i) + 1)	/* of procs[i] in js_stack_hdr.left */
#define MAX_DYING	64

/* A pool whose last SEND (an RST, the last ACK) may not have left yet:
 * destroying it would drop that. */
struct dying {
	uint16_t pool;
	bool closed;		/* what still comes for it is answered with RST */
	uint32_t op;		/* of our queue; done: destroy */
	uint64_t until_us;	/* destroy in any case */
};

struct child {
	struct child_args args;
	struct stk stk;
	uint32_t mtu;			/* octets of the largest SDU */
	js_vci_t shared_vci;		/* RxVCI of connections without their own; or JS_VCI_NONE */
	struct fo_settings fo;
	uint32_t notsent_lowat;		/* net.ipv4.tcp_notsent_lowat; 0: no bound */
	struct tcp_config wishes;	/* for every connection; what a socket decides itself is not looked at */
	uint8_t orphan_retries;		/* the node's, for tcp_disown() */
	int stack_fd, guard_fd;
	int kick_fd;			/* eventfd: applications write; jetringd never does */
	int epoll_fd;
	int server_fd;			/* -1: the server is away */
	uint64_t server_retry_us;
	uint64_t handover_us;		/* offer what is in TIME-WAIT again; UINT64_MAX: no need */
	uint64_t next_us;		/* no timer of a socket is due before */
	uint64_t fetch_until;		/* how long we wait for jetringd while we hold the lock; 0: not yet */
	struct wheel wheel;		/* deadlines and orphans of the sockets, as far as we have looked */
	struct wheel_timer timers[JS_N_SOCKS];
	bool ring_gone;			/* jetringd has closed our port, or died */
	bool is_faulty;			/* an application broke what we cannot do without */
	unsigned int n_awake;		/* times that we did not sleep after all */
	uint32_t done_seen;		/* of our script queue, and how long it has been so */
	uint64_t done_since_us;
	bool want_scan;			/* some socket's output was cut short */
	bool want_sweep;		/* some buffers may be nobody's any more: reclaim_sweep() */
	uint64_t sweep_us;		/* … not before */
	uint16_t held[2 * MAX_PROCS];	/* the truth of js_stack_hdr.held: those of all procs */
	uint32_t n_held;
	uint32_t lost_queues;		/* bit i: queue i's process has ended: so are its Tx buffers */
	uint32_t next_srv_id;
	struct proc procs[MAX_PROCS];
	bool has_warned_full;		/* once is enough for the log */
	struct csock socks[JS_N_SOCKS];
	struct clistener listeners[JS_N_SOCKS];	/* zeros cost no page */
	uint32_t n_socks;		/* in use */
	uint32_t n_half;		/* of them in CQ_HALF */
	uint32_t max_sock;		/* indices in use are below */
	struct so_blocks blocks;
	uint8_t ooo_retired[JS_N_PLACES][JS_N_SOCKS];	/* 1 + the bit of js_sock.ooo_retired that is a fenced process's; 0 none.  [0]: of one that is unknown, for good */
	uint64_t rings_us;		/* then look whose rings can be given back; UINT64_MAX: nobody has any */
	uint64_t rings_nap_us;		/* and so much later again */
	struct dying dying[MAX_DYING];
	unsigned int n_dying;
};

/* --- turn.c --- */
/* The stack's memory on the port that c->stk.pc is: 0 or -Exxx; what was made
 * so far is the process's then.  c->epoll_fd exists. */
int child_make_stack(struct child *c);
/* Packets, deadlines that have come, and what applications left for us; under
 * the lock.  Whether anything happened.  c->next_us says when to look again. */
bool child_turn(struct child *c);
/* Before it sleeps: c->rings_us is right. */
void child_watch_rings(struct child *c);
/* Messages and hang-ups that have come, without waiting: how many. */
int child_messages(struct child *c);
struct epoll_event;
void child_dispatch(struct child *c, const struct epoll_event *ev);

/* epoll data: what, index */
enum { EP_WAKE, EP_KICK, EP_SERVER, EP_PROC, EP_ANCHOR, EP_BINDPOINT };
int child_watch(struct child *c, int fd, uint32_t events, unsigned int what, uint32_t idx);
void child_unwatch(struct child *c, int fd);
/* Nobody may rely on this stack any more: it ends in the course of the loop. */
void child_fault(struct child *c, const char *why);

/* The lock, taken even from the dead and the stopped. */
void child_lock(struct child *c);
void child_unlock(struct child *c);

/* --- ctl.c --- */
void ctl_proc_ready(struct child *c, int i, uint32_t events);
void ctl_server_ready(struct child *c, uint32_t events);
/* (Re)connect to the server when it is time; tells it all we have. */
void ctl_server_connect(struct child *c, uint64_t now);
int ctl_server_send(struct child *c, struct cm_msg *m, const int *fds, int n_fds);
int ctl_add_proc(struct child *c, int fd, pid_t pid);
void ctl_reply(struct child *c, struct csock *s, uint16_t type, int err);

/* --- conn.c --- */
int conn_new(struct child *c, uint16_t family, uid_t uid);	/* socket index, or -ENFILE */
/* A socketpair: ours in s->anchor, watched; returns the application's end. */
int conn_anchor(struct child *c, uint32_t idx);
void conn_release(struct child *c, uint32_t idx);	/* one that has no anchor yet */
void conn_token(void *ctx, uint32_t idx);
bool conn_stray(void *ctx, uint16_t pool);
int conn_rxvci(void *ctx, uint32_t idx, uint16_t rxvci);
void conn_event(void *ctx, uint32_t idx, uint32_t tcp_events);
/* Pool, guard and control block for s->local, s->peer, s->txvci.  @active:
 * OPEN active and send the SYN.  @cookie: the server has answered the peer's, it
 * is this one; or NULL.  0 or -Exxx. */
int conn_open(struct child *c, uint32_t idx, bool active, const struct cm_cookie *cookie);
void conn_review(struct child *c, uint32_t idx);	/* lock held: act on what the block says */
void conn_anchor_ready(struct child *c, uint32_t idx, uint32_t events);
void conn_bindpoint_ready(struct child *c, uint32_t idx);
void conn_syn(struct child *c, const struct cm_msg *m);
void conn_icmp(struct child *c, const struct cm_msg *m);
void conn_fail(struct child *c, uint32_t idx, int err);	/* connect() ends with this errno */
void conn_timers(struct child *c, uint64_t now);	/* lock held */
void conn_deadline(struct child *c, uint32_t idx);	/* what the block says; lock held */
void conn_timer_set(struct child *c, uint32_t idx);	/* its deadline_us or orphan_us is another */
void conn_scan_pending(struct child *c);		/* lock held */
void conn_bury(struct child *c);			/* destroy pools that are done */
void conn_hand_over(struct child *c);			/* to the server: all in TIME-WAIT */
int conn_set_bufs(struct child *c, uint32_t idx, uint32_t octets, bool tx);
void conn_listening(struct child *c, uint32_t idx, uint32_t backlog);
void conn_tell_listener(struct child *c, uint32_t idx, bool on);	/* Listen */

/* --- fastopen.c --- */
/* The node's settings as they are now; the processes' TCPs have the same. */
const struct fo_settings *fo_settings(struct child *c);
/* "a-b-c-d[,e-f-g-h]" of tcp_fastopen_key.  How many keys; 0: it is none. */
unsigned int fo_keys_parse(struct fo_keys *keys, const char *text);
int fo_ask(struct child *c, struct csock *s);	/* the server, how to open fast: CW_FASTOPEN; 0, -Exxx */
void fo_answered(struct child *c, struct csock *s, const struct cm_fastopen *fo);	/* …so: s->fo */
void fo_open(const struct csock *s, struct tcpcb *tp);	/* before OPEN active */
int fo_set_key(struct child *c, const struct csock *s, const struct cm_msg *m);
void fo_on_syn(void *ctx, uint32_t idx, const struct tcp_seg *seg, struct tcpcb *tp);
void fo_on_syn_ack(void *ctx, uint32_t idx, const struct tcp_seg *seg, const struct tcpcb *tp);
/* Its handshake is complete, or it has ended; @reset: by its peer. */
void fo_settled(struct child *c, struct csock *s, bool reset);

/* --- reclaim.c --- */
void reclaim_proc(struct child *c, int i);	/* its channel has hung up */
void reclaim_robbed(struct child *c, uint32_t owner, bool may_run);	/* lock held */
/* All that processes have published was fetched, or half a second has passed; lock held. */
void reclaim_wait_fetched(struct child *c);
void reclaim_let_queue(struct child *c, int i);	/* it is not in the middle of anything any more */
void reclaim_back(struct child *c, int i, uint32_t queue);	/* it goes on, with this one */
uint64_t reclaim_ooo(const struct child *c, uint32_t idx);	/* js_sock.ooo_retired, as it must be now */
void reclaim_old(struct child *c, int i);	/* and has given back what it knew of through it */
void reclaim_left(struct child *c);		/* FREE what is in js_stack_hdr.left; lock held */
void reclaim_want_sweep(struct child *c);	/* with the next turn */
/* FREE what the port owns and nobody reaches, if that can be told now; else
 * it is tried again.  Lock held, no transaction open. */
void reclaim_sweep(struct child *c);

#endif
