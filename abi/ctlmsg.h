/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ctlmsg.h - control messages between user, child and connection server
 *
 * The sixteen messages of the paper's A.3, by their names, and what we add,
 * marked "not in the paper".  A message is one packet of struct cm_msg, some
 * with descriptors (SCM_RIGHTS), always sent with SCM_CREDENTIALS.
 *
 * Channels
 *	user -> server	SOCK_DGRAM, abstract name CM_SERVER_NAME in the node's
 *			network namespace.  Only Spawn and Ping.
 *	user <-> child	SOCK_SEQPACKET pair; the user makes it and sends one
 *			end with Spawn (or Attach).  Its hang-up is the end of
 *			that process.  One request at a time; the answer has
 *			the request's id.
 *	child <-> server SOCK_SEQPACKET, the child connects to CM_CHILDREN_NAME
 *			after its start, and again when the server restarted.
 *			Both check SO_PEERCRED: root.
 *
 * The paper has datagram sockets (4.4.4).  SEQPACKET keeps their boundaries
 * and adds the notice of the other side's death.
 *
 * Who receives trusts nothing but what the channel is: every member is
 * checked, an unknown or short message is counted and dropped.
 */
#ifndef ABI_CTLMSG_H
#define ABI_CTLMSG_H

#include <assert.h>
#include <stdint.h>

#define CM_VERSION		1
#define CM_SERVER_NAME		"jetstream/connd"		/* abstract: a NUL before it */
#define CM_CHILDREN_NAME	"jetstream/connd-children"	/* abstract */

enum cm_type {
	CM_NONE,
	/* the paper's sixteen */
	CM_LISTEN,		/* child to server: sock, local, listen, flags CM_LS_*; on=1 listens, on=0 closed; refused: General_Reply */
	CM_FORWARD,		/* child to server: pair, vci; on=0: no more; refused: General_Reply */
	CM_DIVERT,		/* child to server: id of the Syn, vci, pair; err: refused; -EAGAIN: no more half open, listen; -EUSERS: accept() does not keep up */
	CM_SYN,			/* server to child: sock (listener), pair, rxvci, ring_id; flags CM_ISS, CM_MAY_REFUSE, CM_COOKIE */
	CM_SPAWN,		/* user to server: fd 0 the child's end of the channel */
	CM_NEW_SOCKET,		/* user to child: family, flags */
	CM_BIND,		/* user to child: sock, local */
	CM_LISTEN_CHILD,	/* user to child: sock, n backlog */
	CM_CONNECT,		/* user to child: sock, peer */
	CM_SET_TX_BUFS,		/* user to child: sock, n octets of so_snd */
	CM_SET_RX_BUFS,		/* user to child: sock, n octets of so_rcv */
	CM_SET_REUSE_ADDR,	/* user to child: sock, on */
	CM_INIT_REPLY,		/* child to user: err, n queue, sock its place (js_stack_hdr.left); fds: CM_INIT_* */
	CM_BIND_REPLY,		/* child to user: err, local */
	CM_CONNECT_REPLY,	/* child to user: err (-EINPROGRESS: begun), local */
	CM_GENERAL_REPLY,	/* child to user: err, sock, gen; New_Socket: fd 0 the anchor */
	/* not in the paper */
	CM_ATTACH,		/* user to child: another process of the application; fd 0 its channel.  Without: it was fenced and wants another queue (answer: Init_Reply, n, no fds); then on=1: it has it, not answered */
	CM_PING,		/* user to server: answered by General_Reply: is there a server */
	CM_HELLO,		/* child to server: first; pid, uid, n stack id; fd 0 the stack's memory */
	CM_BIND_POINT,		/* child to server: local, uid, on=1: reuse; flags CM_BP_* */
	CM_BIND_POINT_REPLY,	/* server to child: err, local; fd 0 the bind-point */
	CM_RESOLVE,		/* child to server: peer: which Ring ID? */
	CM_RESOLVE_REPLY,	/* server to child: err, ring_id, local: our address towards it; flags CM_ISS: n */
	CM_TIME_WAIT,		/* child to server: pair, ring_id, tw: answer for it; fd 0 its bind-point, if it has one */
	CM_FASTOPEN,		/* child to server: peer: how to open to it fast?  on=1: fo says how it went, no answer */
	CM_FASTOPEN_REPLY,	/* server to child: fo */
	CM_FASTOPEN_KEY,	/* user to child: sock (listener), key of n octets: 16, or 32 for two */
	CM_ICMP,		/* server to child: pair, icmp: an ICMP error quotes a segment of this connection */
	CM_N_TYPES
};
extern const char *const cm_names[CM_N_TYPES];	/* "Listen", "New_Socket", …: stack/shm/cm.c */

/* Descriptors of Init_Reply, in this order. */
#define CM_INIT_STACK		0	/* memfd: struct js_stack_hdr … (abi/shmseg.h) */
#define CM_INIT_GUARD		1	/* memfd, read-only: struct js_guard_hdr … */
#define CM_INIT_PORT		2	/* memfd: abi/pool.h */
#define CM_INIT_DOORBELL	3	/* eventfd: wakes jetringd */
#define CM_INIT_KICK		4	/* eventfd: wakes the child */
#define CM_INIT_NFDS		5

/* CM_BIND_POINT flags */
#define CM_BP_SILENT		0x0001	/* must not accept: listens behind a drop-all filter */
#define CM_BP_LISTEN		0x0002	/* a listener's: the kernel accepts too; n backlog */
#define CM_BP_RELEASE		0x0004	/* none: the child will close it, forget it */
#define CM_BP_KNOWN		0x0008	/* after a server's restart: fd 0 is this bind-point */
#define CM_BP_V6ONLY		0x0010	/* IPV6_V6ONLY */
#define CM_BP_REUSEPORT		0x0020	/* SO_REUSEPORT */

/* CM_LISTEN flags */
#define CM_LS_V6ONLY		0x0001	/* local is ::, and IPv4 is not meant */
#define CM_LS_REUSEPORT		0x0002	/* others that say so may listen there, too */

/* CM_SYN, CM_RESOLVE_REPLY flags */
#define CM_ISS			0x0001	/* n is the ISS to use: the pair was in TIME-WAIT (RFC 1122, 4.2.2.13), or it is a SYN cookie */
/* CM_SYN flags */
#define CM_MAY_REFUSE		0x0002	/* no room for one that is half open: say -EAGAIN, and the server answers with a cookie */
#define CM_COOKIE		0x0004	/* with CM_ISS: the server has answered the SYN, the ACK comes; cookie */

/* CM_CONNECT flags: open fast (RFC 7413).  Connect_Reply's n is how many octets
 * the SYN, which waits for them, may carry; 0: it is on its way.  on=1: they
 * are in so_snd. */
#define CM_FO			0x0002

/* Fast Open: what is known of a peer, or was learnt (RFC 7413, 4.1.3). */
struct cm_fastopen {
	uint8_t form;			/* 0 none, 1 kind 34, 2 kind 254 */
	uint8_t len;			/* octets of cookie; 0: ask for one */
	uint16_t mss;			/* the peer's; 0: not known */
	uint8_t cookie[16];
	uint8_t asked;			/* learnt: form of our SYN's option */
	uint8_t flags;			/* learnt: CM_FO_* */
	uint16_t resv[5];		/* 0 */
};
#define CM_FO_HAD_DATA		0x01	/* our SYN carried data, */
#define CM_FO_TOOK_DATA		0x02	/* all of which the SYN,ACK acknowledged */
#define CM_FO_AGAIN		0x04	/* our SYN had to be sent again */

/* A connection in TIME-WAIT: RFC 9293's and RFC 7323's names.  Explicit, not
 * the engine's block: a child may be older than the server it talks to. */
struct cm_time_wait {
	uint32_t snd_nxt, rcv_nxt;
	uint32_t ts_offset;		/* TSval less our clock in milliseconds */
	uint32_t ts_recent;
	uint16_t wnd;			/* the window field */
	uint16_t has_ts;		/* 0 or 1 */
	uint32_t resv[3];		/* 0 */
};

/* A listener, as far as one must know it to answer a SYN in its name. */
struct cm_listen {
	uint32_t rcv_buf;		/* octets of so_rcv; 0 not told */
	uint16_t mss;			/* TCP_MAXSEG, octets; 0 none */
	uint16_t ecn;			/* enum tcp_ecn */
	uint32_t resv[6];		/* 0 */
};

/* What a SYN cookie has kept of the SYN, and the ACK says. */
struct cm_cookie {
	uint32_t irs;			/* SEG.SEQ of the SYN */
	uint32_t tsval;			/* of the ACK, if CM_COOKIE_TS */
	uint16_t mss;			/* the largest it stands for that is not above the SYN's */
	uint16_t wscale;		/* if CM_COOKIE_WS */
	uint32_t opts;			/* CM_COOKIE_* */
	uint32_t ts_offset;		/* of the SYN,ACK's TSval: to be used on, if CM_COOKIE_TS */
	uint32_t resv[3];		/* 0 */
};
#define CM_COOKIE_TS		0x0001
#define CM_COOKIE_WS		0x0002
#define CM_COOKIE_SACK		0x0004
#define CM_COOKIE_ECN		0x0008	/* asked for, and granted */
#define CM_COOKIE_RXVCI		0x0010	/* it announced an RxVCI: the peer is not a kernel */

/* What an ICMP error says, as it stands there: the child asks its connection
 * whether to believe it. */
struct cm_icmp {
	uint32_t seq;			/* SEG.SEQ that it quotes */
	uint32_t mtu;			/* too big: octets that would have passed; may be anything */
	uint16_t is_too_big;		/* 0 or 1 */
	uint16_t err;			/* not too big: an errno */
	uint32_t resv[5];		/* 0 */
};

/* An address and port: IPv4 v4-mapped, port in host order. */
struct cm_addr {
	uint8_t addr[16];
	uint16_t port;
	uint16_t resv;			/* 0 */
};

struct cm_msg {
	uint16_t type;			/* enum cm_type */
	uint16_t version;		/* CM_VERSION */
	uint32_t id;			/* of the request; answers repeat it */
	int32_t err;			/* answers: 0 or -Exxx */
	uint32_t sock, gen;		/* a socket of the stack */
	uint32_t n;			/* a number, see the type */
	uint32_t flags;
	uint32_t uid;			/* whose request it is (Bind_Point) */
	uint16_t family;		/* AF_INET, AF_INET6 */
	uint16_t on;			/* 0 or 1 */
	uint16_t vci;			/* where to (Divert, Forward) */
	uint16_t rxvci;			/* Syn: the connector's, or 0: a kernel */
	uint16_t ring_id;
	uint16_t resv;			/* 0 */
	struct cm_addr local, peer;	/* seen from this node */
	union {
		uint32_t resv2[8];	/* 0 */
		struct cm_time_wait tw;	/* Time_Wait */
		struct cm_listen listen; /* Listen, Divert with -EAGAIN */
		struct cm_cookie cookie; /* Syn with CM_COOKIE */
		struct cm_fastopen fo;	/* Fastopen, Fastopen_Reply */
		uint8_t key[32];	/* Fastopen_Key */
		struct cm_icmp icmp;	/* Icmp */
	};
};

static_assert(sizeof(struct cm_fastopen) == 32, "cm_fastopen layout");

static_assert(sizeof(struct cm_time_wait) == 32, "cm_time_wait layout");
static_assert(sizeof(struct cm_listen) == 32, "cm_listen layout");
static_assert(sizeof(struct cm_cookie) == 32, "cm_cookie layout");
static_assert(sizeof(struct cm_icmp) == 32, "cm_icmp layout");

static_assert(sizeof(struct cm_msg) == 116, "cm_msg layout");

#endif
