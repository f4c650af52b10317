/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * capqueue.c - jetringd's queue of a capture, as its consumer; jet
 *
 * abi/ringctl.h has the rules.  We read from the memory itself.  Its blocks
 * are mapped one behind the other as they come, so that what is queued is in
 * one piece: an area has a place for each block, and one more that shows what
 * the first does, so that a record which begins in the last place ends there.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/util.h"
#include "netns/cap.h"

#define PIECE_MAX	(4u << 20)	/* octets handed out at once: several of the largest records */
#define NOWHERE		0xff		/* no block has this place */

int capq_connect(struct cap_queue *q, const char *path, const char *line)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int err;

	memset(q, 0, sizeof(*q));
	q->memory = -1;
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

static size_t area_size(const struct cap_queue *q)
{
	return (q->n_blocks + 1) * (size_t)JS_CAP_BLOCK;
}

/* Map the head of the queue, and find an address for the area. */
static int map_queue(struct cap_queue *q)
{
	struct stat st;
	void *p;

	if (fstat(q->memory, &st) || st.st_size < JS_CAP_QUEUE_HEAD)
		return -EPROTO;
	p = mmap(NULL, JS_CAP_QUEUE_HEAD, PROT_READ, MAP_SHARED, q->memory, 0);
	if (p == MAP_FAILED)
		return -errno;
	q->head = p;
	q->n_blocks = q->head->n_blocks;
	if (q->head->magic != JS_CAP_QUEUE_MAGIC || !q->n_blocks || q->n_blocks > JS_CAP_BLOCKS_MAX ||
	    (q->n_blocks & (q->n_blocks - 1)) ||
	    st.st_size != JS_CAP_QUEUE_HEAD + (off_t)q->n_blocks * JS_CAP_BLOCK)
		return -EPROTO;
	p = mmap(NULL, area_size(q), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return -errno;
	q->area = p;
	memset(q->shows, NOWHERE, sizeof(q->shows));
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

	if (n < 0)
		return -errno;
	if (n == 0)
		return -ECONNRESET;
	why[n] = '\0';
	cm = CMSG_FIRSTHDR(&msg);
	if (!cm || cm->cmsg_type != SCM_RIGHTS || cm->cmsg_len != CMSG_LEN(sizeof(q->memory)))
		return -EPROTO;
	memcpy(&q->memory, CMSG_DATA(cm), sizeof(q->memory));
	*why = '\0';
	return map_queue(q);
}

size_t capq_len(const struct cap_queue *q)
{
	/* Pairs with the store-release in queue_publish(). */
	return (size_t)(atomic_load_explicit(&q->head->tail, memory_order_acquire) - q->taken);
}

bool capq_ring_first(const struct cap_queue *q)
{
	return atomic_load_explicit(&q->head->ring_first, memory_order_relaxed);
}

/* Let @place of the area show the block that it should. */
static int show_block(struct cap_queue *q, unsigned int place)
{
	uint8_t block = atomic_load_explicit(&q->head->order[place % q->n_blocks], memory_order_relaxed);

	if (q->shows[place] == block)
		return 0;
	if (block >= q->n_blocks)
		return -EPROTO;
	if (mmap(q->area + place * (size_t)JS_CAP_BLOCK, JS_CAP_BLOCK, PROT_READ, MAP_SHARED | MAP_FIXED,
		 q->memory, JS_CAP_QUEUE_HEAD + (off_t)block * JS_CAP_BLOCK) == MAP_FAILED)
		return -errno;
	q->shows[place] = block;
	return 0;
}

int capq_data(struct cap_queue *q, const uint8_t **data, size_t *n)
{
	size_t at = (size_t)(q->taken % ((uint64_t)q->n_blocks * JS_CAP_BLOCK)), end;
	int err = 0;

	*data = q->area + at;
	*n = 0;
	end = at + MIN(capq_len(q), (size_t)PIECE_MAX);
	end = MIN(end, area_size(q));
	for (unsigned int place = (unsigned int)(at / JS_CAP_BLOCK); place * (size_t)JS_CAP_BLOCK < end && !err; place++)
		err = show_block(q, place);
	*n = err ? 0 : end - at;
	return err;
}

void capq_take(struct cap_queue *q, size_t n)
{
	struct js_cap_taken t = { .n = q->taken + n };
	bool whole = t.n / JS_CAP_BLOCK > q->taken / JS_CAP_BLOCK;

	q->taken = t.n;
	/* That jetringd is gone we hear from capq_hear(). */
	if (whole)
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
	if (q->area)
		munmap(q->area, area_size(q));
	if (q->head)
		munmap(q->head, JS_CAP_QUEUE_HEAD);
	if (q->memory >= 0)
		close(q->memory);
	close(q->fd);
}
