/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * capqueue.c - jetringd's queue of a capture, as its consumer; jet
 *
 * abi/ringctl.h has the rules.  We read from the memory itself, and say what
 * we have taken only when that is much: jetringd wants to hear little.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "abi/ringctl.h"
#include "common/mirror.h"
#include "netns/cap.h"

#define SAY_SHARE	16	/* what we took is said by such parts of the queue */
#define SIZE_MAX_OK	(1u << 30)

int capq_connect(struct cap_queue *q, const char *path, const char *line)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int err;

	memset(q, 0, sizeof(*q));
	if (strlen(path) >= sizeof(sun.sun_path))
		return -ENAMETOOLONG;
	strcpy(sun.sun_path, path);
	q->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (q->fd < 0)
		return -errno;
	if (connect(q->fd, (struct sockaddr *)&sun, sizeof(sun)) == 0 &&
	    send(q->fd, line, strlen(line), MSG_NOSIGNAL) == (ssize_t)strlen(line))
		return 0;
	err = -errno;
	close(q->fd);
	return err;
}

/* Map the queue that @fd is. */
static int map_queue(struct cap_queue *q, int fd)
{
	struct js_cap_queue head;
	struct stat st;

	if (fstat(fd, &st) || pread(fd, &head, sizeof(head), 0) != (ssize_t)sizeof(head))
		return -EPROTO;
	if (head.magic != JS_CAP_QUEUE_MAGIC || !head.size || head.size > SIZE_MAX_OK ||
	    (head.size & (head.size - 1)) || (uint64_t)st.st_size != JS_CAP_QUEUE_HEAD + head.size)
		return -EPROTO;
	q->map = mirror_map(fd, JS_CAP_QUEUE_HEAD, (size_t)head.size, PROT_READ);
	if (!q->map)
		return -errno;
	q->size = (size_t)head.size;
	return 0;
}

int capq_open(struct cap_queue *q, char *why, size_t size)
{
	struct iovec iov = { why, size - 1 };
	union {
		struct cmsghdr hdr;
		char buf[CMSG_SPACE(sizeof(int))];
	} u;
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &u, .msg_controllen = sizeof(u.buf) };
	ssize_t n = recvmsg(q->fd, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	struct cmsghdr *cm;
	int fd, err;

	if (n < 0)
		return -errno;
	why[n] = '\0';
	cm = CMSG_FIRSTHDR(&msg);
	if (!cm || cm->cmsg_type != SCM_RIGHTS || cm->cmsg_len != CMSG_LEN(sizeof(fd)))
		return -EPROTO;
	memcpy(&fd, CMSG_DATA(cm), sizeof(fd));
	*why = '\0';
	err = map_queue(q, fd);
	close(fd);
	return err;
}

const uint8_t *capq_data(const struct cap_queue *q, size_t *n)
{
	const struct js_cap_queue *head = (const struct js_cap_queue *)q->map;
	/* Pairs with the store-release in queue_publish(). */
	uint64_t len = atomic_load_explicit(&head->tail, memory_order_acquire) - q->taken;

	*n = len <= q->size ? (size_t)len : 0;
	return q->map + JS_CAP_QUEUE_HEAD + q->taken % q->size;
}

void capq_take(struct cap_queue *q, size_t n)
{
	struct js_cap_taken t;

	q->taken += n;
	if (q->taken - q->said < q->size / SAY_SHARE)
		return;
	t.n = q->said = q->taken;
	/* That jetringd is gone we hear from capq_hear(). */
	send(q->fd, &t, sizeof(t), MSG_NOSIGNAL);
}

int capq_hear(struct cap_queue *q)
{
	char packet[16];
	ssize_t n;

	do
		n = recv(q->fd, packet, sizeof(packet), MSG_DONTWAIT);
	while (n > 0);
	if (n == 0 || errno == ECONNRESET)
		q->at_end = true;
	else if (errno != EAGAIN && errno != EINTR)
		return -errno;
	return 0;
}

void capq_enough(struct cap_queue *q)
{
	shutdown(q->fd, SHUT_WR);
}

void capq_close(struct cap_queue *q)
{
	if (q->map)
		mirror_unmap((uint8_t *)q->map, JS_CAP_QUEUE_HEAD, q->size);
	close(q->fd);
}
