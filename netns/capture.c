/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * capture.c - record frames of the ring: capture; jet
 *
 * Passes jetringd's pcapng on, whole blocks only, so that a file or a pipe is
 * sound wherever we stop; counts records and drops on the way.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "abi/capture.h"
#include "common/clock.h"
#include "netns/jet.h"

#define BUF_SIZE	(4u << 20)	/* several of the largest blocks */
#define BLOCK_MIN	12		/* type, length, length */
#define DRAIN_MS	2000		/* for the last statistics after we stopped */

#define PNG_SHB		0x0a0d0d0au
#define PNG_ISB		5u
#define PNG_EPB		6u
#define PNG_EPB_DROPS	4u		/* option epb_dropcount */
#define PNG_ISB_DROPS	5u		/* option isb_ifdrop */

struct capture {
	int in, out;
	uint8_t *buf;
	size_t n;			/* octets in buf */
	uint64_t frames, limit;		/* limit 0: none */
	uint64_t drops_epb;
	uint64_t drops_isb[NODES_MAX + 16]; /* by interface: the last word */
	bool has_isb;
	bool enough;			/* limit reached */
};

static uint32_t u32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));	/* jetringd writes this host's order */
	return v;
}

/* The 64-bit option @code among the options from @p to @end; 0 if not there. */
static uint64_t option64(const uint8_t *p, const uint8_t *end, unsigned int code)
{
	while (end - p >= 4) {
		unsigned int what = u32(p) & 0xffff, len = u32(p) >> 16;
		uint64_t v;

		p += 4;
		if (!what || len > (size_t)(end - p))
			return 0;
		if (what == code && len == sizeof(v)) {
			memcpy(&v, p, sizeof(v));
			return v;
		}
		if (((len + 3) & ~3u) > (size_t)(end - p))
			return 0;
		p += (len + 3) & ~3u;
	}
	return 0;
}

static void look_at(struct capture *c, const uint8_t *b, uint32_t len)
{
	const uint8_t *end = b + len - 4;

	if (u32(b) == PNG_EPB && len >= 32) {
		uint32_t cap = u32(b + 20);

		c->frames++;
		if (cap <= len - 32)
			c->drops_epb += option64(b + 28 + ((cap + 3) & ~3u), end, PNG_EPB_DROPS);
	} else if (u32(b) == PNG_ISB && len >= 24) {
		uint32_t i = u32(b + 8);

		c->has_isb = true;
		if (i < sizeof(c->drops_isb) / sizeof(c->drops_isb[0]))
			c->drops_isb[i] = option64(b + 20, end, PNG_ISB_DROPS);
	}
}

static int write_all(int fd, const uint8_t *p, size_t n)
{
	while (n) {
		ssize_t w = write(fd, p, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return -errno;
		p += w;
		n -= (size_t)w;
	}
	return 0;
}

/* Write the whole blocks in buf, as far as wanted; keep the rest. */
static int pass_blocks(struct capture *c)
{
	size_t at = 0;
	int err;

	while (!c->enough && c->n - at >= BLOCK_MIN) {
		uint32_t len = u32(c->buf + at + 4);

		if (len < BLOCK_MIN || len % 4 || len > BUF_SIZE)
			return -EPROTO;
		if (len > c->n - at)
			break;
		look_at(c, c->buf + at, len);
		at += len;
		c->enough = c->limit && c->frames >= c->limit;
	}
	err = write_all(c->out, c->buf, at);
	memmove(c->buf, c->buf + at, c->n - at);
	c->n -= at;
	return err;
}

/* 1 something came, 0 end of the stream or nothing within @ms, -Exxx. */
static int more(struct capture *c, int ms)
{
	struct pollfd pfd[2] = { { .fd = c->in, .events = POLLIN }, { .fd = c->out, .events = 0 } };
	ssize_t got;
	int n = poll(pfd, 2, ms);

	if (n < 0)
		return errno == EINTR ? 1 : -errno;
	/* The reader of our pipe went: do not wait for a frame to find out. */
	if (c->out >= 0 && pfd[1].revents & (POLLERR | POLLNVAL))
		return -EPIPE;
	if (!(pfd[0].revents & (POLLIN | POLLHUP | POLLERR)))
		return n == 0 ? 0 : 1;
	got = read(c->in, c->buf + c->n, BUF_SIZE - c->n);
	if (got < 0)
		return errno == EINTR || errno == EAGAIN ? 1 : -errno;
	c->n += (size_t)got;
	return got > 0;
}

static int request(const struct opts *o, struct lab *l, char *line, size_t size)
{
	size_t n = (size_t)snprintf(line, size, "capture");
	int i;

	for (i = 0; i < o->n_args; i++) {
		unsigned int k = lab_node(l, o->args[i]);

		if (!k)
			return ST_FAILED;
		if (n < size)
			n += (size_t)snprintf(line + n, size - n, "%sn%u", i ? "," : " nodes=", k);
	}
	if (n < size)
		n += (size_t)snprintf(line + n, size - n, "%s%s", o->rx ? " rx=1" : "", o->tokens ? " tokens=1" : "");
	if (n < size && o->snaplen)
		n += (size_t)snprintf(line + n, size - n, " snaplen=%u", o->snaplen);
	if (n < size)
		n += (size_t)snprintf(line + n, size - n, "\n");
	return n < size ? ST_OK : bad_usage("too many nodes");
}

static int capture_connect(const struct lab *l, const char *line)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int err, fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/capture.sock", l->dir);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0 &&
	    send(fd, line, strlen(line), MSG_NOSIGNAL) == (ssize_t)strlen(line))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

/* The first octets: a section header, or an error in words. */
static int first_block(struct capture *c)
{
	while (c->n < 4 && !got_signal) {
		int r = more(c, 5000);

		if (r <= 0)
			return fail("jetringd does not send a capture%s%s", r ? ": " : "", r ? strerror(-r) : "");
	}
	if (got_signal)
		return ST_FAILED;
	if (u32(c->buf) == PNG_SHB)
		return ST_OK;
	c->buf[c->n < 200 ? c->n : 200] = '\0';
	c->buf[strcspn((char *)c->buf, "\n")] = '\0';
	return fail("jetringd: %s", c->buf);
}

/* Until told to stop, or the stream ends.  0 or -Exxx. */
static int copy(struct capture *c, double for_s)
{
	uint64_t end = for_s > 0 ? now_us() + (uint64_t)(for_s * 1e6) : UINT64_MAX;
	int r = 1, err = pass_blocks(c);

	while (!err && !c->enough && !got_signal) {
		uint64_t now = now_us();

		if (now >= end)
			break;
		r = more(c, end == UINT64_MAX ? -1 : (int)((end - now + 999) / 1000));
		if (r < 0)
			return r;
		if (r == 0 && end == UINT64_MAX)
			return 0;
		err = pass_blocks(c);
		if (r == 0 && now_us() < end)
			return err;
	}
	if (err || c->enough)
		return err;
	/* Say that we are done, and take what was on its way. */
	got_signal = 0;
	end = now_us() + DRAIN_MS * 1000ull;
	shutdown(c->in, SHUT_WR);
	while (!err && now_us() < end && !got_signal && (r = more(c, DRAIN_MS)) > 0)
		err = pass_blocks(c);
	return err;
}

static void report(const struct capture *c)
{
	uint64_t drops = 0;
	size_t i;

	for (i = 0; i < sizeof(c->drops_isb) / sizeof(c->drops_isb[0]); i++)
		drops += c->drops_isb[i];
	if (!c->has_isb)
		drops = c->drops_epb;
	say("%llu frames captured, %llu dropped because we were too slow",
	    (unsigned long long)c->frames, (unsigned long long)drops);
}

int verb_capture(const struct opts *o)
{
	struct capture c = { .in = -1, .out = -1, .limit = o->count };
	const char *to = o->out ? o->out : "-";
	bool to_stdout = !strcmp(to, "-");
	char line[256];
	struct lab l;
	int err, st = lab_need(o, &l, true);

	if (st)
		return st;
	st = request(o, &l, line, sizeof(line));
	if (st)
		return st;
	if (to_stdout && isatty(1))
		return bad_usage("a capture is no text for a terminal: give -w FILE, or \"| wireshark -k -i -\"");
	/* Scripts run us in the background and end us with INT. */
	catch_signals(true);
	signal(SIGPIPE, SIG_IGN);
	c.buf = malloc(BUF_SIZE);
	if (!c.buf)
		return fail("out of memory");
	c.in = capture_connect(&l, line);
	if (c.in < 0) {
		st = c.in == -EACCES ? fail("you may not capture: be root, or in the group wireshark") :
			fail("cannot connect to %s/capture.sock: %s", l.dir, strerror(-c.in));
		goto out;
	}
	st = first_block(&c);
	if (st)
		goto out;
	c.out = to_stdout ? 1 : open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (c.out < 0) {
		st = fail("cannot write %s: %s", to, strerror(errno));
		goto out;
	}
	say("capturing lab %s%s%s; Ctrl-C ends it", l.name, to_stdout ? "" : " to ", to_stdout ? "" : to);
	err = copy(&c, o->for_s);
	/* Who read our output has read enough. */
	if (err && err != -EPIPE)
		st = fail("capture stopped: %s", strerror(-err));
	if (!to_stdout && close(c.out) < 0)
		st = fail("cannot write %s: %s", to, strerror(errno));
	report(&c);
out:
	if (c.in >= 0)
		close(c.in);
	free(c.buf);
	lab_close(&l);
	return got_signal && st ? 128 + got_signal : st;
}
