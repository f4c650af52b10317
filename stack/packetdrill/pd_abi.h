/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pd_abi.h - what packetdrill expects of a shared object
 *
 * packetdrill --so_filename=X dlopen()s X, looks up the one symbol below and
 * lets it fill a table of functions.  Order and types of the members are
 * packetdrill's; all are called with the table's first member.  None is
 * checked for NULL.  Results are libc's: -1 and errno.
 */
#ifndef STACK_PACKETDRILL_PD_ABI_H
#define STACK_PACKETDRILL_PD_ABI_H

#include <assert.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>

struct pd_interface {
	void *user;
	void (*free)(void *user);
	int (*socket)(void *user, int family, int type, int protocol);
	int (*bind)(void *user, int fd, const struct sockaddr *sa, socklen_t len);
	int (*listen)(void *user, int fd, int backlog);
	int (*accept)(void *user, int fd, struct sockaddr *sa, socklen_t *len);
	int (*connect)(void *user, int fd, const struct sockaddr *sa, socklen_t len);
	ssize_t (*read)(void *user, int fd, void *buf, size_t len);
	ssize_t (*readv)(void *user, int fd, const struct iovec *iov, int n_iov);
	ssize_t (*recv)(void *user, int fd, void *buf, size_t len, int flags);
	ssize_t (*recvfrom)(void *user, int fd, void *buf, size_t len, int flags,
			    struct sockaddr *sa, socklen_t *sa_len);
	ssize_t (*recvmsg)(void *user, int fd, struct msghdr *msg, int flags);
	ssize_t (*write)(void *user, int fd, const void *buf, size_t len);
	ssize_t (*writev)(void *user, int fd, const struct iovec *iov, int n_iov);
	ssize_t (*send)(void *user, int fd, const void *buf, size_t len, int flags);
	ssize_t (*sendto)(void *user, int fd, const void *buf, size_t len, int flags,
			  const struct sockaddr *sa, socklen_t sa_len);
	ssize_t (*sendmsg)(void *user, int fd, const struct msghdr *msg, int flags);
	int (*fcntl)(void *user, int fd, int cmd, ...);
	int (*ioctl)(void *user, int fd, unsigned long req, ...);
	int (*close)(void *user, int fd);
	int (*shutdown)(void *user, int fd, int how);
	int (*getsockopt)(void *user, int fd, int level, int name, void *val, socklen_t *len);
	int (*setsockopt)(void *user, int fd, int level, int name, const void *val,
			  socklen_t len);
	int (*poll)(void *user, struct pollfd *fds, nfds_t n, int timeout_ms);
	/* An IP packet arrives.  0, -1. */
	int (*netdev_send)(void *user, const void *pkt, size_t len);
	/* The next IP packet that leaves: *len octets of room, then its length, or
	 * 0: none comes.  *usecs: when it left.  0, -1: call again. */
	int (*netdev_receive)(void *user, void *pkt, size_t *len, long long *usecs);
	int (*usleep)(void *user, useconds_t us);
	int (*gettimeofday)(void *user, struct timeval *tv, struct timezone *tz);
	int (*epoll_create)(void *user, int size);
	int (*epoll_ctl)(void *user, int epfd, int op, int fd, struct epoll_event *ev);
	int (*epoll_wait)(void *user, int epfd, struct epoll_event *evs, int max,
			  int timeout_ms);
	int (*pipe)(void *user, int fds[2]);
	int (*splice)(void *user, int in, loff_t *off_in, int out, loff_t *off_out,
		      size_t len, unsigned int flags);
};

static_assert(sizeof(struct pd_interface) == 33 * sizeof(void *), "pd_interface layout");

/**
 * packetdrill_interface_init() - Start the stack, fill the table
 * @flags:	--so_flags of packetdrill's command line, or NULL; see pd.h
 *
 * One stack at a time: what a second one would be called gives ENFILE until
 * the first was free()d.  Flags that are not understood end the process.
 */
void packetdrill_interface_init(const char *flags, struct pd_interface *ifc);

#endif
