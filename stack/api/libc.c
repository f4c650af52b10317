/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libc.c - the functions behind ours
 *
 * All are looked up at once, in our constructor or at the first call if that
 * comes before it: a later dlsym() could meet a lock that a fork() left taken
 * or a malloc() that called us.
 */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/util.h"
#include "stack/api/api.h"

struct libc_calls libc_table;

#define CALL(fn)	{ #fn, offsetof(struct libc_calls, fn) }

static const struct { const char *name; size_t off; } calls[] = {
	CALL(socket), CALL(bind), CALL(listen), CALL(accept), CALL(accept4), CALL(connect),
	CALL(shutdown), CALL(getsockname), CALL(getpeername), CALL(getsockopt),
	CALL(setsockopt), CALL(send), CALL(sendto), CALL(sendmsg), CALL(sendmmsg),
	CALL(recv), CALL(recvfrom), CALL(recvmsg), CALL(recvmmsg), CALL(read), CALL(readv),
	CALL(preadv2), CALL(write), CALL(writev), CALL(pwritev2), CALL(sendfile),
	CALL(splice), CALL(close), CALL(close_range), CALL(dup), CALL(dup2), CALL(dup3),
	CALL(fcntl), CALL(ioctl), CALL(poll), CALL(ppoll), CALL(select), CALL(pselect),
	CALL(epoll_ctl), CALL(epoll_wait), CALL(epoll_pwait), CALL(epoll_pwait2),
	CALL(fclose),
};

__attribute__((constructor))
void libc_resolve(void)
{
	static const char msg[] = "libjetstream: this libc lacks a function we need: ";
	size_t i;

	/* Two threads may do this at once: both write the same. */
	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		void *fn = dlsym(RTLD_NEXT, calls[i].name);

		if (!fn) {
			struct iovec iov[3] = {
				{ (char *)msg, sizeof(msg) - 1 },
				{ (char *)calls[i].name, strlen(calls[i].name) },
				{ (char *)"\n", 1 },
			};

			/* writev() itself may be what is not there yet. */
			(void)!((ssize_t (*)(int, const struct iovec *, int))
				dlsym(RTLD_NEXT, "writev"))(2, iov, 3);
			abort();
		}
		memcpy((char *)&libc_table + calls[i].off, &fn, sizeof(fn));
	}
	atomic_store_explicit(&libc_table.ready, true, memory_order_release);
}
