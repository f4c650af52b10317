/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * server.h - the connection server of a node (paper, 4.4.7 and 4.4.8)
 *
 * jetconnd: one process a node, one thread, nothing blocks.  Its parts:
 *
 *	main.c		options, exit status
 *	server.c	set-up, the loop, counters
 *	spawn.c		forks children (Spawn)
 *	children.c	the children's channels: who they are, their messages
 *	stackmem.c	a child's stack, to tell its users that the child died
 *	ports.c		who listens where (Listen), which connection is
 *			whose (Forward)
 *	bindpoint.c	dummy kernel sockets (4.4.5)
 *	neighbours.c	IP address -> Ring ID, from the kernel's tables (libnl)
 *	resolve.c	the children's questions for one (Resolve)
 *	fastopen.c	Fast Open: the node's key, and cookies of peers
 *	divert.c	packets from and to the port: IP_DIVERT
 *	syn.c		where each packet goes (Syn, Divert)
 *	flood.c		SYNs that are answered here: cookies
 *	cookie.c	what stands in one
 *	icmp.c		ICMP errors, for the children's connections
 *	timewait.c	connections in TIME-WAIT, handed over by children
 *
 * What the way of a packet needs from outside is behind two small tables of
 * functions, cs_sink and cs_net, so that tests can be port and kernel.
 *
 * Trust: jetringd and the kernel.  A message counts for what its channel is:
 * children are root (SO_PEERCRED), users are who SCM_CREDENTIALS says; each
 * member is checked, and what is wrong is counted and has no effect.
 */
#ifndef CONNSERVER_SERVER_H
#define CONNSERVER_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "abi/ctlmsg.h"
#include "abi/pool.h"
#include "abi/vci.h"
#include "stack/child/child.h"
#include "stack/pool/poolc.h"

#define CS_CHILDREN_MAX		512	/* living children of a node */
#define CS_CHILDREN_PER_UID	128	/* … of one user other than root */
#define CS_RX_BUFS		1024	/* buffers IP_DIVERT may fill: 4 MiB, four windows of 1 MiB */
#define CS_BATCH		32	/* packets looked at before anything else is */
#define CS_PEEK			128	/* octets of a packet we look at: IP and TCP headers are 120 at most */

/* --- counters ------------------------------------------------------------- */

enum cs_counter {
	CS_PACKETS,		/* from IP_DIVERT */
	CS_TO_KERNEL,		/* nobody here claims them */
	CS_FORWARDED,		/* by a Forward */
	CS_SYNS,		/* asked a listener's child */
	CS_DIVERTED,		/* and it said where to */
	CS_HELD,		/* while a new server learns (DESIGN 7, restart) */
	/* SYN cookies, by Linux's names */
	CS_SYNCOOKIES_SENT,
	CS_SYNCOOKIES_RECV,	/* an ACK with one of ours */
	CS_SYNCOOKIES_FAILED,	/* an ACK with none, where one might have been */
	CS_LISTEN_OVERFLOWS,	/* accept() does not keep up: SYNs and ACKs dropped */
	/* TIME-WAIT */
	CS_TIME_WAITS,		/* connections handed over */
	CS_TW_ANSWERED,		/* segments answered for them */
	CS_TW_REOPENED,		/* SYNs that ended it early (RFC 6191) */
	CS_TW_EVICTED,		/* ended early, for there were too many */
	/* dropped packets */
	CS_DROP_QUEUE_FULL,	/* the port's script queue */
	CS_DROP_PENDING_FULL,	/* too many packets wait for an answer */
	CS_DROP_NO_NEIGHBOUR,	/* a SYN whose sender is no station of the ring */
	CS_DROP_BAD_RXVCI,	/* a SYN that announces what is not its sender's */
	CS_DROP_MARTIAN,	/* from our own address, but from elsewhere */
	CS_DROP_CHANGED,	/* another SYN of the tuple waits, with another RxVCI */
	CS_DROP_CHILD_FULL,	/* the child does not read its messages */
	CS_DROP_CHILD_GONE,
	CS_DROP_EXPIRED,	/* the child did not answer */
	CS_DROP_REFUSED,	/* the child has no room: the peer will try again */
	CS_DROP_BAD_DIVERT,	/* the answer was not acceptable */
	CS_DROP_TIME_WAIT,	/* for a connection in TIME-WAIT, and needs no answer */
	CS_DROP_CHECKSUM,	/* for us to answer, and TCP's checksum is wrong */
	/* ICMP errors */
	CS_ICMP_TOLD,		/* to the child whose segment they quote */
	CS_ICMP_NOT_OURS,	/* they quote none of ours, or TCP does not act upon them */
	CS_ICMP_BAD,		/* malformed */
	CS_ICMP_TOO_MANY,	/* in a second, or for a child that does not read */
	/* messages */
	CS_MSGS,
	CS_MSG_BAD,		/* malformed */
	CS_MSG_UNEXPECTED,	/* a type, or a moment, that is not for us */
	CS_MSG_NO_FD,		/* without the descriptor it needs, or not such a one */
	CS_MSG_NO_CRED,
	CS_MSG_BAD_VALUE,	/* an index, address or VCI that cannot be */
	CS_MSG_STALE,		/* answers nothing that is asked */
	CS_MSG_IN_USE,		/* claims what another child has */
	CS_MSG_TABLE_FULL,
	CS_MSG_LATE,		/* a user did not take its answer */
	/* children */
	CS_SPAWNED,
	CS_SPAWN_LIMIT,
	CS_SPAWN_FAILED,
	CS_CHILD_NOT_ROOT,
	CS_CHILD_REFUSED,	/* no room for it */
	CS_CHILD_DIED,
	CS_N_COUNTERS
};
extern const char *const cs_counter_names[CS_N_COUNTERS];

/* --- packets -------------------------------------------------------------- */

/* A packet that came on IP_DIVERT.  It is in buffers of our port until it is
 * given to the sink. */
struct cs_packet {
	uint32_t sdu_len;		/* octets */
	uint16_t uucpi;			/* UU||CPI of its trailer */
	uint16_t flags;			/* JS_RX_* */
	uint16_t n_buf;
	uint16_t buf[JS_SDU_BUFS];
	uint16_t n_peek;		/* octets of peek[] */
	uint8_t peek[CS_PEEK];		/* private copy of the first octets, then 0 */
};

struct cs_server;

/* Where packets go.  The first two take it over: its buffers are not ours any
 * more. */
struct cs_sink {
	/* Send it to @vci with its UU||CPI.  False: no room, dropped, counted. */
	bool (*send)(struct cs_server *cs, const struct cs_packet *p, js_vci_t vci);
	void (*drop)(struct cs_server *cs, const struct cs_packet *p);
	/* Send a packet of our own, @len octets at @hdr, to @vci with @uucpi. */
	bool (*answer)(struct cs_server *cs, const uint8_t *hdr, unsigned int len, js_vci_t vci,
		       uint16_t uucpi);
};

/* --- the network as the kernel knows it ----------------------------------- */

struct cs_net {
	/* Which Ring ID has @peer: 0 and *ring_id.  -EAGAIN: not known yet (and
	 * if @ask, the kernel was told to find out); -EHOSTUNREACH: there is
	 * none on this ring; -ENETUNREACH: no route; -EADDRNOTAVAIL: the
	 * kernel's business (loopback).  Our own addresses are ours.
	 * *local, in any case: our address towards it, as far as we know. */
	int (*ring_id)(struct cs_server *cs, const struct cm_addr *peer, bool ask,
		       unsigned int *ring_id, struct cm_addr *local);
	/* It is an address of this node. */
	bool (*is_local)(struct cs_server *cs, const struct cm_addr *a);
	/* The node's net.ipv4.tcp_syncookies. */
	int (*syncookies)(struct cs_server *cs);
};

/* --- the loop ------------------------------------------------------------- */

/* Something in an epoll set; embedded in its owner. */
struct cs_watch {
	int fd;				/* -1: none */
	void (*ready)(struct cs_server *cs, struct cs_watch *w, uint32_t events);
};

int cs_watch_add(int epoll_fd, struct cs_watch *w, uint32_t events);	/* 0, -Exxx */
void cs_watch_close(int epoll_fd, struct cs_watch *w);	/* closes fd */
/* Wait for and run what is ready in an epoll set.  How many were. */
int cs_watch_run(struct cs_server *cs, int epoll_fd, int timeout_ms);

/* --- the server ----------------------------------------------------------- */

struct cs_config {
	const char *lab;
	int node;			/* K of nK */
	struct cm_addr addr;		/* the node's own; port 0 */
	const char *port_sock;
	const char *run_dir;
	const char *dev;		/* "jet0" */
	int (*child_main)(const struct child_args *args);
};

struct cs_child;
struct cs_flood;
struct fo_cache;
struct cs_neigh;
struct cs_ports;
struct cs_resolve;
struct cs_spawn;
struct cs_syn;
struct cs_timewait;

LIST_HEAD(cs_children, cs_child);

struct cs_server {
	struct cs_config cfg;
	uint8_t ring_id;
	uint8_t secret[CHILD_SECRET];	/* the children's, for RFC 6528 */
	bool ending;			/* leave the loop */
	bool ring_gone;			/* … because jetringd has closed the port, or died */
	uint64_t now_us;		/* of this turn of the loop */
	uint64_t icmp_us;		/* icmp.c: since then a token for each millisecond */
	uint64_t hold_until_us;		/* until then we may not know all claims yet; 0 */
	uint64_t count[CS_N_COUNTERS];
	const struct cs_sink *sink;
	const struct cs_net *net;

	int epoll_fd;			/* everything; the children's set is in it */
	int children_fd;		/* epoll set of the children's channels and pidfds */
	struct cs_watch children_w, listen_w, signal_w, port_w, wake_w, icmp_w, icmp6_w;
	int spare_fd;			/* to refuse connections when descriptors are out */

	struct cs_children children;	/* children.c */
	struct cs_children graves;	/* closed in this turn, freed at its end */
	unsigned int n_children;
	struct cs_ports *ports;		/* ports.c */
	struct cs_syn *syn;		/* syn.c */
	struct cs_flood *flood;		/* flood.c */
	struct cs_timewait *timewait;	/* timewait.c */
	struct cs_resolve *resolve;	/* resolve.c */
	struct fo_cache *fo;		/* fastopen.c */
	struct cs_neigh *neigh;		/* neighbours.c */
	struct cs_spawn *spawn;		/* spawn.c */

	struct poolc pc;		/* divert.c */
	struct poolc_queue q;
	uint16_t pool;
	uint16_t free_ids[CS_RX_BUFS];	/* to be FREEd with the next script */
	unsigned int n_free;
};

static inline void cs_count(struct cs_server *cs, enum cs_counter c)
{
	cs->count[c]++;
}

/* What a server needs before any of its parts, and nothing of the system:
 * tests begin here.  0, -ENOMEM. */
int cs_init(struct cs_server *cs, const struct cs_config *cfg);
void cs_fini(struct cs_server *cs);

/* Open port, sockets, netlink; begin to serve.  0, or -Exxx and *what. */
int cs_start(struct cs_server *cs, const char **what);
/* Serve until SIGTERM (0) or until the ring is gone (-ENETDOWN). */
int cs_loop(struct cs_server *cs);
/* Orderly end: IP_DIVERT goes back to the kernel.  Children go on. */
void cs_stop(struct cs_server *cs);
/* Deadlines of all parts. */
void cs_timers(struct cs_server *cs);
/* Counters that are not 0, as lines in the log. */
void cs_log_counters(const struct cs_server *cs);

#endif
