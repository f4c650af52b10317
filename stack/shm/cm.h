/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cm.h - sending and receiving control messages (abi/ctlmsg.h)
 *
 * Used by user process, child and connection server.  Depends on abi/ and
 * common/ only, keeps no state, takes no lock, allocates nothing.
 *
 * While log_level is LOG_TRACE each message that is sent or received is a
 * line in the log, by its name in the paper.
 */
#ifndef STACK_SHM_CM_H
#define STACK_SHM_CM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>		/* struct ucred needs _GNU_SOURCE */
#include <sys/un.h>

#include "abi/ctlmsg.h"
#include "common/focache.h"

#define CM_MAX_FDS	8	/* descriptors in one message, at most */

/**
 * cm_send() - Send one message
 * @fd:		SEQPACKET channel, or DGRAM socket that is connected
 * @fds:	Sent along by SCM_RIGHTS; stay the caller's
 * @n_fds:	0 to CM_MAX_FDS
 * Adds SCM_CREDENTIALS.  No SIGPIPE.  Restarted when a signal interrupts it.
 * Return: 0; -EAGAIN the descriptor is non-blocking and the queue is full;
 *	-EPIPE, -ECONNREFUSED nobody is at the other end; -Exxx of sendmsg()
 */
int cm_send(int fd, const struct cm_msg *m, const int *fds, int n_fds);

/* The same with @flags: MSG_DONTWAIT or 0, and on a socket that is not connected:
 * @to_len is 0, or the length of the address. */
int cm_send_to(int fd, const struct cm_msg *m, const int *fds, int n_fds, int flags,
	       const struct sockaddr_un *to, socklen_t to_len);

/**
 * cm_recv() - Receive one message
 * @m:		Written only when 1 is returned
 * @fds:	Room for @max_fds; NULL if none is expected.  Those received
 *		are ours now, close-on-exec
 * @n_fds:	How many came; may be NULL if @max_fds is 0
 * @cred:	Who sent it, if the socket has SO_PASSCRED; else pid 0, uid -1.
 *		May be NULL
 * @flags:	MSG_DONTWAIT or 0
 * Checks length, version, type and that what is reserved is 0.  Meaning is
 * the caller's to check.  Descriptors of a bad message, and more than
 * @max_fds, are closed.  Restarted when a signal interrupts it.
 *
 * An empty packet looks like the end of file, unless the socket has
 * SO_PASSCRED: on a datagram socket, which has no end, set it.
 * Return: 1 a message; 0 end of file; -EAGAIN nothing there; -EBADMSG (the
 *	next call gets the next message); -Exxx of recvmsg()
 */
int cm_recv(int fd, struct cm_msg *m, int *fds, int max_fds, int *n_fds,
	    struct ucred *cred, int flags);

/* Who sent a datagram, and where an answer goes. */
struct cm_sender {
	struct ucred cred;
	struct sockaddr_un addr;
	socklen_t addr_len;		/* 0: it has no address */
};

/* The same for datagrams. */
int cm_recv_from(int fd, struct cm_msg *m, int *fds, int max_fds, int *n_fds,
		 int flags, struct cm_sender *from);

/* A line in the log: "-> Syn id=3 sock=2 10.74.0.1:5000 > 10.74.0.2:80 …".
 * @dir: "->" sent, "<-" received.  Called by the above. */
void cm_trace(const char *dir, const struct cm_msg *m);

/* The socket address of an abstract name (CM_SERVER_NAME …).  Return its
 * length. */
socklen_t cm_name_to_sun(const char *name, struct sockaddr_un *sun);

/**
 * cm_fastopen() - Do what CM_FASTOPEN says with the node's cookies (RFC 7413, 4.1.3)
 * @m:		Received, so its form is right
 * @reply:	Filled for the sender, if it asks
 * What a child says was in a SYN,ACK is taken for it: it has no other interest,
 * and a wrong cookie costs a retransmission.
 * Return: whether @reply is to be sent
 */
bool cm_fastopen(struct fo_cache *cache, const struct cm_msg *m, uint64_t now_us,
		 struct cm_msg *reply);

/* What a channel must be: AF_UNIX, SOCK_SEQPACKET.  Strangers send descriptors. */
bool cm_is_channel(int fd);

/* --- addresses ------------------------------------------------------------ */

#define CM_ADDR_STRLEN	56	/* "[v6 address]:port" and its NUL */

/* sockaddr_in and sockaddr_in6 to cm_addr.  Return the family; -EINVAL too
 * short; -EAFNOSUPPORT. */
int cm_addr_from_sa(struct cm_addr *a, const struct sockaddr *sa, socklen_t len);

/* And back, as @family.  The wildcard is one of either family.  Return the
 * length of what was written; -EAFNOSUPPORT not expressible in @family. */
int cm_addr_to_sa(const struct cm_addr *a, int family, struct sockaddr_storage *ss);

/* v4-mapped, the wildcard ::ffff:0.0.0.0 too. */
bool cm_addr_is_v4(const struct cm_addr *a);
/* :: or ::ffff:0.0.0.0 */
bool cm_addr_is_any(const struct cm_addr *a);
/* Host parts are equal, ports are not looked at. */
bool cm_addr_same_host(const struct cm_addr *a, const struct cm_addr *b);
bool cm_addr_equal(const struct cm_addr *a, const struct cm_addr *b);
/* "10.74.0.1:80" or "[fd00::1]:80".  Returns @buf. */
char *cm_addr_str(const struct cm_addr *a, char buf[CM_ADDR_STRLEN]);

#endif
