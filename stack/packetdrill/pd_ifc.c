/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pd_ifc.c - packetdrill's calls, and what it calls past its table
 *
 * Calls that would block in the kernel (accept(), poll(), epoll_wait()) are
 * made without waiting, again and again as something happens; those that block
 * in our library sleep in pd_time.c.
 *
 * packetdrill also calls libc with our descriptors: TCP_INFO in a script's code
 * blocks, sendfile(), close() at the end.  They are real descriptors, so that
 * this is harmless; with libjetstream-preload.so in LD_PRELOAD it works: we
 * put ourselves behind its functions (jet_behind()).
 */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "abi/aal5.h"
#include "common/util.h"
#include "stack/api/api.h"
#include "stack/packetdrill/pd.h"

#define MTU_DEFAULT	1500
#define MTU_MIN		576
#define SNIFF_US	86400000000u	/* virtual: a packet may take so long to come */
#define SNIFF_REAL_US	10000000
#define COPY_SIZE	65536		/* octets of splice() at a time */

#define IFC		__attribute__((visibility("default")))

/* --- a call: enter, do it, leave -------------------------------------------------------- */

#define CALL(type, name, params, args)			\
	static type pd_##name params			\
	{						\
		type r;					\
							\
		(void)user;				\
		pd_enter();				\
		r = jet_##name args;			\
		pd_leave();				\
		return r;				\
	}

CALL(int, socket, (void *user, int family, int type, int protocol), (family, type, protocol))
CALL(int, bind, (void *user, int fd, const struct sockaddr *sa, socklen_t len), (fd, sa, len))
CALL(int, listen, (void *user, int fd, int backlog), (fd, backlog))
CALL(int, connect, (void *user, int fd, const struct sockaddr *sa, socklen_t len), (fd, sa, len))
CALL(ssize_t, read, (void *user, int fd, void *buf, size_t len), (fd, buf, len))
CALL(ssize_t, readv, (void *user, int fd, const struct iovec *iov, int n), (fd, iov, n))
CALL(ssize_t, recv, (void *user, int fd, void *buf, size_t len, int flags),
     (fd, buf, len, flags))
CALL(ssize_t, recvfrom, (void *user, int fd, void *buf, size_t len, int flags,
			 struct sockaddr *sa, socklen_t *sa_len),
     (fd, buf, len, flags, sa, sa_len))
CALL(ssize_t, recvmsg, (void *user, int fd, struct msghdr *msg, int flags), (fd, msg, flags))
CALL(ssize_t, write, (void *user, int fd, const void *buf, size_t len), (fd, buf, len))
CALL(ssize_t, writev, (void *user, int fd, const struct iovec *iov, int n), (fd, iov, n))
CALL(ssize_t, send, (void *user, int fd, const void *buf, size_t len, int flags),
     (fd, buf, len, flags))
CALL(ssize_t, sendto, (void *user, int fd, const void *buf, size_t len, int flags,
		       const struct sockaddr *sa, socklen_t sa_len),
     (fd, buf, len, flags, sa, sa_len))
CALL(ssize_t, sendmsg, (void *user, int fd, const struct msghdr *msg, int flags),
     (fd, msg, flags))
CALL(int, close, (void *user, int fd), (fd))
CALL(int, shutdown, (void *user, int fd, int how), (fd, how))
CALL(int, getsockopt, (void *user, int fd, int level, int name, void *val, socklen_t *len),
     (fd, level, name, val, len))
CALL(int, setsockopt, (void *user, int fd, int level, int name, const void *val,
		       socklen_t len),
     (fd, level, name, val, len))
CALL(int, epoll_ctl, (void *user, int epfd, int op, int fd, struct epoll_event *ev),
     (epfd, op, fd, ev))

/* An int or a pointer, as libc takes it. */
#define THIRD_ARGUMENT(last, arg)			\
	do {						\
		va_list ap;				\
							\
		va_start(ap, last);			\
		arg = va_arg(ap, void *);		\
		va_end(ap);				\
	} while (0)

static int pd_fcntl(void *user, int fd, int cmd, ...)
{
	void *arg;
	int r;

	(void)user;
	THIRD_ARGUMENT(cmd, arg);
	pd_enter();
	r = jet_fcntl(fd, cmd, arg);
	pd_leave();
	return r;
}

static int pd_ioctl(void *user, int fd, unsigned long req, ...)
{
	void *arg;
	int r;

	(void)user;
	THIRD_ARGUMENT(req, arg);
	pd_enter();
	r = jet_ioctl(fd, req, arg);
	pd_leave();
	return r;
}

/* --- calls that block in the kernel -------------------------------------------------------- */

static bool is_readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return libc()->poll(&p, 1, 0) != 0;
}

static int pd_accept(void *user, int fd, struct sockaddr *sa, socklen_t *len)
{
	uint64_t deadline = UINT64_MAX;
	struct usock u;
	int r;

	(void)user;
	pd_enter();
	if (usock_get(fd, &u) > 0 && usock_is_listener(&u) && !usock_nonblock(&u, 0)) {
		deadline = usock_deadline(&u, SO_RCVTIMEO);
		while (!is_readable(fd) && pd_sleep(deadline) == 0)
			;
	}
	if (usock_get(fd, &u) > 0 && usock_is_listener(&u) && !is_readable(fd)) {
		errno = EAGAIN;
		r = -1;
	} else {
		r = jet_accept(fd, sa, len);
	}
	pd_leave();
	return r;
}

static uint64_t deadline_of_ms(int timeout_ms)
{
	return timeout_ms < 0 ? UINT64_MAX : pd_now() + (uint64_t)timeout_ms * 1000;
}

static int pd_poll(void *user, struct pollfd *fds, nfds_t n, int timeout_ms)
{
	uint64_t deadline;
	int r;

	(void)user;
	pd_enter();
	deadline = deadline_of_ms(timeout_ms);
	do
		r = jet_poll(fds, n, 0);
	while (r == 0 && pd_sleep(deadline) == 0);
	pd_leave();
	return r;
}

static int pd_epoll_create(void *user, int size)
{
	(void)user;
	if (size > 0)
		return epoll_create1(0);
	errno = EINVAL;
	return -1;
}

static int pd_epoll_wait(void *user, int epfd, struct epoll_event *evs, int max, int timeout_ms)
{
	uint64_t deadline;
	int r;

	(void)user;
	pd_enter();
	deadline = deadline_of_ms(timeout_ms);
	do
		r = jet_epoll_wait(epfd, evs, max, 0);
	while (r == 0 && pd_sleep(deadline) == 0);
	pd_leave();
	return r;
}

/* --- pipes ----------------------------------------------------------------------------------- */

static int pd_pipe(void *user, int fds[2])
{
	(void)user;
	return pipe(fds);
}

/* Through a buffer: nothing is lost if the other end takes less, because a
 * socket is asked only for what a pipe can take, and blocks for the rest. */
static int pd_splice(void *user, int in, loff_t *off_in, int out, loff_t *off_out,
		     size_t len, unsigned int flags)
{
	static char buf[COPY_SIZE];
	struct usock u;
	ssize_t n;

	(void)user;
	pd_enter();
	if (usock_get(in, &u) > 0) {
		n = jet_recv(in, buf, MIN(len, sizeof(buf)),
			     flags & SPLICE_F_NONBLOCK ? MSG_DONTWAIT : 0);
		if (n > 0)
			n = libc()->write(out, buf, (size_t)n);
	} else if (usock_get(out, &u) > 0) {
		n = libc()->read(in, buf, MIN(len, sizeof(buf)));
		if (n > 0)
			n = jet_send(out, buf, (size_t)n, flags & SPLICE_F_MORE ? MSG_MORE : 0);
	} else {
		n = libc()->splice(in, off_in, out, off_out, len, flags);
	}
	pd_leave();
	return (int)n;
}

/* --- packets and time --------------------------------------------------------------------------- */

static int pd_netdev_send(void *user, const void *pkt, size_t len)
{
	(void)user;
	pd_enter();
	if (pd_child())
		pd_net_input(pkt, len);
	pd_changed();
	pd_leave();
	return 0;
}

static int pd_netdev_receive(void *user, void *pkt, size_t *len, long long *usecs)
{
	uint64_t limit, at = 0;
	size_t n;

	(void)user;
	pd_enter();
	limit = pd_now() + (pd_flags()->real_time ? SNIFF_REAL_US : SNIFF_US);
	do
		n = pd_port_sniff(pkt, *len, &at);
	while (!n && pd_step(limit));
	if (!n)
		n = pd_port_sniff(pkt, *len, &at);
	*len = n;
	*usecs = (long long)(n ? at : pd_now());
	pd_leave();
	return 0;
}

static int pd_usleep(void *user, useconds_t us)
{
	uint64_t until;

	(void)user;
	pd_enter();
	until = pd_now() + us;
	/* Whoever waits for an event of the script lets time pass. */
	while (pd_step(until))
		;
	pd_leave();
	return 0;
}

static int pd_gettimeofday(void *user, struct timeval *tv, struct timezone *tz)
{
	uint64_t now;

	(void)user;
	(void)tz;
	pd_enter();
	pd_tick();
	now = pd_now();
	tv->tv_sec = (time_t)(now / 1000000);
	tv->tv_usec = (suseconds_t)(now % 1000000);
	pd_leave_quickly();
	return 0;
}

/* --- behind libjetstream-preload.so ------------------------------------------------------------ */

static struct libc_calls real;		/* what was there before us */

static bool is_our_fd(int fd)
{
	return fdtable_get(fd).kind != FD_NONE;
}

static int behind_close(int fd)
{
	return is_our_fd(fd) ? pd_close(NULL, fd) : real.close(fd);
}

static int behind_getsockopt(int fd, int level, int name, void *val, socklen_t *len)
{
	return is_our_fd(fd) ? pd_getsockopt(NULL, fd, level, name, val, len) :
			       real.getsockopt(fd, level, name, val, len);
}

static int behind_setsockopt(int fd, int level, int name, const void *val, socklen_t len)
{
	return is_our_fd(fd) ? pd_setsockopt(NULL, fd, level, name, val, len) :
			       real.setsockopt(fd, level, name, val, len);
}

static ssize_t behind_read(int fd, void *buf, size_t len)
{
	return is_our_fd(fd) ? pd_read(NULL, fd, buf, len) : real.read(fd, buf, len);
}

static ssize_t behind_write(int fd, const void *buf, size_t len)
{
	return is_our_fd(fd) ? pd_write(NULL, fd, buf, len) : real.write(fd, buf, len);
}

static int behind_shutdown(int fd, int how)
{
	return is_our_fd(fd) ? pd_shutdown(NULL, fd, how) : real.shutdown(fd, how);
}

static ssize_t behind_sendfile(int out, int in, off_t *offset, size_t len)
{
	ssize_t n;

	if (!is_our_fd(out))
		return real.sendfile(out, in, offset, len);
	pd_enter();
	n = jet_sendfile(out, in, offset, len);
	pd_leave();
	return n;
}

static void go_behind(void)
{
	struct libc_calls *(*behind)(size_t) =
		(struct libc_calls *(*)(size_t))dlsym(RTLD_DEFAULT, "jet_behind");
	struct libc_calls *table = behind ? behind(sizeof(*table)) : NULL;

	if (!table || real.ready)
		return;
	real = *table;
	table->close = behind_close;
	table->getsockopt = behind_getsockopt;
	table->setsockopt = behind_setsockopt;
	table->read = behind_read;
	table->write = behind_write;
	table->shutdown = behind_shutdown;
	table->sendfile = behind_sendfile;
}

/* --- start ------------------------------------------------------------------------------------------ */

static void bad_flag(const char *flag)
{
	fprintf(stderr, "jetstream-packetdrill: --so_flags: \"%s\" is not understood\n", flag);
	exit(2);
}

static bool take_local(struct pd_flags *f, const char *text)
{
	struct cm_addr a = { .port = 0 };
	struct in_addr v4;

	if (inet_pton(AF_INET, text, &v4) == 1) {
		a.addr[10] = a.addr[11] = 0xff;
		memcpy(a.addr + 12, &v4, 4);
		f->local4 = a;
		return true;
	}
	if (inet_pton(AF_INET6, text, a.addr) != 1)
		return false;
	f->local6 = a;
	return true;
}

static void take_flag(struct pd_flags *f, const char *flag)
{
	char *end;

	if (!strcmp(flag, "time=real")) {
		f->real_time = true;
	} else if (!strcmp(flag, "sysctl")) {
		f->sysctl = true;
	} else if (!strcmp(flag, "log")) {
		f->log = true;
	} else if (!strncmp(flag, "forget=", 7)) {
		f->forget = strdup(flag + 7);
	} else if (!strncmp(flag, "mtu=", 4)) {
		f->mtu = (uint32_t)strtoul(flag + 4, &end, 10);
		if (*end || f->mtu < MTU_MIN || f->mtu > JS_MTU)
			bad_flag(flag);
	} else if (!strncmp(flag, "local=", 6)) {
		if (!take_local(f, flag + 6))
			bad_flag(flag);
	} else if (strcmp(flag, "time=virtual")) {
		bad_flag(flag);
	}
}

static void take_flags(struct pd_flags *f, const char *text)
{
	char *copy = strdup(text ? text : ""), *save, *flag;

	/* packetdrill's own defaults, without the part it chooses at random. */
	take_local(f, "192.168.0.2");
	take_local(f, "fd3d:fa7b:d17d::2");
	f->mtu = MTU_DEFAULT;
	for (flag = copy ? strtok_r(copy, ",", &save) : NULL; flag;
	     flag = strtok_r(NULL, ",", &save))
		take_flag(f, flag);
	free(copy);
}

static void pd_free(void *user)
{
	(void)user;
	pd_enter();
	pd_stop();
	pd_leave();
}

/* A second stack: it has no sockets, and nothing to be freed. */
static int no_socket(void *user, int family, int type, int protocol)
{
	(void)user;
	(void)family;
	(void)type;
	(void)protocol;
	errno = ENFILE;
	return -1;
}

static void free_nothing(void *user)
{
	(void)user;
}

IFC void packetdrill_interface_init(const char *flags, struct pd_interface *ifc)
{
	struct pd_flags f = { .mtu = MTU_DEFAULT };
	bool is_second;
	int err = 0;

	*ifc = (struct pd_interface){
		.free = pd_free, .socket = pd_socket, .bind = pd_bind, .listen = pd_listen,
		.accept = pd_accept, .connect = pd_connect, .read = pd_read,
		.readv = pd_readv, .recv = pd_recv, .recvfrom = pd_recvfrom,
		.recvmsg = pd_recvmsg, .write = pd_write, .writev = pd_writev,
		.send = pd_send, .sendto = pd_sendto, .sendmsg = pd_sendmsg,
		.fcntl = pd_fcntl, .ioctl = pd_ioctl, .close = pd_close,
		.shutdown = pd_shutdown, .getsockopt = pd_getsockopt,
		.setsockopt = pd_setsockopt, .poll = pd_poll,
		.netdev_send = pd_netdev_send, .netdev_receive = pd_netdev_receive,
		.usleep = pd_usleep, .gettimeofday = pd_gettimeofday,
		.epoll_create = pd_epoll_create, .epoll_ctl = pd_epoll_ctl,
		.epoll_wait = pd_epoll_wait, .pipe = pd_pipe, .splice = pd_splice,
	};
	take_flags(&f, flags);
	pd_enter();
	is_second = pd_child();
	if (!is_second)
		err = pd_start(&f);
	pd_leave();
	if (is_second) {
		ifc->socket = no_socket;
		ifc->free = free_nothing;
	} else if (err) {
		fprintf(stderr, "jetstream-packetdrill: cannot start: %s\n", strerror(-err));
		exit(1);
	}
	go_behind();
}
