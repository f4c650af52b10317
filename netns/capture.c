/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * capture.c - record frames of the ring: capture; jet
 *
 * Blocks of pcapng come from jetringd's queue, or with -r from a file, and go
 * through capfile.c; whole blocks only, so that a file is sound wherever we
 * stop.  Filter, snap length and drops are jetringd's part: it never waits for
 * us, drops what we are too slow for, and says how much that was.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "abi/capture.h"
#include "abi/ringctl.h"
#include "common/clock.h"
#include "common/util.h"
#include "netns/cap.h"
#include "netns/jet.h"

#define BUF_SIZE	(4u << 20)	/* several of the largest blocks */
#define BEHIND		(1u << 20)	/* octets: they come faster than we are told of them one by one */
#define BLOCK_MIN	12		/* type, length, length */
#define DRAIN_MS	2000		/* for the last statistics after we stopped */
#define NICE_BACK	19		/* what others leave */
#define ANSWER_MS	5000
#define EXPR_MAX	8192		/* octets of a filter expression */

struct capture {
	struct cap_queue *q;		/* NULL: -r, then */
	int in;				/* the file, and */
	uint8_t *buf;			/* n octets of it */
	size_t n;
	bool at_end;			/* nothing more is to be read */
	uint64_t limit;			/* frames; 0: none */
	bool enough;			/* limit reached */
	int nice;			/* how much we were when we began */
	bool stands_back;		/* from the processors, for a fast ring */
	const struct cap_filter *filter;	/* -r: nobody has applied it yet */
	struct cap_out out;
};

static uint32_t u32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* A fast ring has the processors first; who may not take this back stays so. */
static void mind_ring(struct capture *c)
{
	bool back = capq_ring_first(c->q);

	if (back != c->stands_back)
		setpriority(PRIO_PROCESS, 0, c->nice + (back ? NICE_BACK : 0));
	c->stands_back = back;
}

/* What there is to be passed on now, *n octets. */
static int input(struct capture *c, const uint8_t **p, size_t *n)
{
	if (c->q) {
		mind_ring(c);
		c->out.behind = capq_len(c->q) > BEHIND;
		return capq_data(c->q, p, n);
	}
	*p = c->buf;
	*n = c->n;
	return 0;
}

static void input_done(struct capture *c, size_t n)
{
	if (c->q) {
		capq_take(c->q, n);
		return;
	}
	memmove(c->buf, c->buf + n, c->n - n);
	c->n -= n;
}

/* Write the whole blocks that there are, as far as wanted; leave the rest. */
static int pass_blocks(struct capture *c)
{
	size_t at = 0, n;
	const uint8_t *in;
	int err = input(c, &in, &n), flushed;

	while (!err && !c->enough && n - at >= BLOCK_MIN) {
		const uint8_t *b = in + at;
		uint32_t len = u32(b + 4);

		if (len < BLOCK_MIN || len % 4 || len > BUF_SIZE) {
			err = -EPROTO;
			break;
		}
		if (len > n - at)
			break;
		err = u32(b + len - 4) == len ? cap_block(&c->out, c->filter, b, len) : -EPROTO;
		at += len;
		c->enough = c->limit && c->out.frames >= c->limit;
	}
	/* Also what came before a bad block. */
	flushed = cap_flush(&c->out);
	input_done(c, at);
	return err ? err : flushed;
}

/* 0 nothing more will come. */
static int read_file(struct capture *c)
{
	ssize_t got = read(c->in, c->buf + c->n, BUF_SIZE - c->n);

	if (got < 0)
		return errno == EINTR || errno == EAGAIN ? 1 : -errno;
	c->n += (size_t)got;
	c->at_end = !got;
	return got > 0;
}

/* Is all that will ever come passed on? */
static bool at_end(const struct capture *c)
{
	return c->q ? c->q->at_end && !capq_len(c->q) : c->at_end;
}

/* 1 something came, 0 end of the stream or nothing within @ms, -Exxx. */
static int more(struct capture *c, int ms)
{
	struct pollfd pfd[2] = { { .fd = c->q ? c->q->fd : c->in, .events = POLLIN }, { .fd = c->out.fd } };
	bool queued = c->q && capq_len(c->q);
	int n, err;

	if (at_end(c))
		return 0;
	n = poll(pfd, 2, queued ? 0 : ms);
	if (n < 0)
		return errno == EINTR ? 1 : -errno;
	/* The reader of our pipe went: do not wait for a frame to find out. */
	if (c->out.fd >= 0 && pfd[1].revents & (POLLERR | POLLNVAL))
		return -EPIPE;
	if (!(pfd[0].revents & (POLLIN | POLLHUP | POLLERR)))
		return queued || n;
	if (!c->q)
		return read_file(c);
	err = capq_hear(c->q);
	return err ? err : !at_end(c);
}

/* Is the word the name of a node?  Such words stand before the filter. */
static bool is_node(const char *word)
{
	return *word == 'n' && word[1] && !word[1 + strspn(word + 1, "0123456789")];
}

static int n_nodes(const struct opts *o)
{
	int i = 0;

	while (i < o->n_args && is_node(o->args[i]))
		i++;
	return i;
}

/* The filter: with -r the nodes are part of it, else jetringd has them. */
static int expression(const struct opts *o, char *to, size_t size)
{
	int nodes = n_nodes(o), i;
	bool at = o->in && nodes;
	size_t n = 0;

	*to = '\0';
	for (i = 0; at && i < nodes && n < size; i++)
		n += (size_t)snprintf(to + n, size - n, "%sat %s", i ? " or " : "(", o->args[i]);
	if (at && n < size)
		n += (size_t)snprintf(to + n, size - n, ")%s", nodes < o->n_args ? " and (" : "");
	for (i = nodes; i < o->n_args && n < size; i++)
		n += (size_t)snprintf(to + n, size - n, "%s%s", i > nodes ? " " : "", o->args[i]);
	if (at && nodes < o->n_args && n < size)
		n += (size_t)snprintf(to + n, size - n, ")");
	return n < size ? ST_OK : bad_usage("the filter is too long");
}

static int filter_of(const struct opts *o, struct cap_filter *f)
{
	char expr[EXPR_MAX], why[400] = "";
	int st = expression(o, expr, sizeof(expr));

	if (st)
		return st;
	if (capfilter_compile(f, expr, why, sizeof(why)))
		return bad_usage("filter \"%s\": %s", expr, why);
	return ST_OK;
}

/* The request to jetringd; abi/ringctl.h. */
static int request(const struct opts *o, struct lab *l, const struct cap_filter *f, char *line, size_t size)
{
	size_t n = (size_t)snprintf(line, size, "capture");
	int i;

	for (i = 0; i < n_nodes(o); i++) {
		unsigned int k = lab_node(l, o->args[i]);

		if (!k)
			return ST_FAILED;
		if (n < size)
			n += (size_t)snprintf(line + n, size - n, "%sn%u", i ? "," : " nodes=", k);
	}
	if (n < size)
		n += (size_t)snprintf(line + n, size - n, "%s%s", o->rx || f->arrivals ? " rx=1" : "",
				      o->tokens || f->tokens ? " tokens=1" : "");
	/* Ours counts from the frame's first octet. */
	if (n < size && o->snaplen)
		n += (size_t)snprintf(line + n, size - n, " snaplen=%zu", o->snaplen + sizeof(struct js_cap_hdr));
	if (n < size && f->n) {
		char hex[CAP_FILTER_HEX];

		capfilter_hex(f, hex);
		n += (size_t)snprintf(line + n, size - n, " filter=%s", hex);
	}
	return n < size ? ST_OK : bad_usage("too many nodes");
}

static int turned_away(const struct lab *l)
{
	return fail("jetringd does not take another capture: see %s/jetringd.log", l->dir);
}

/* jetringd's answer: a queue, or an error in words. */
static int await_queue(const struct lab *l, struct cap_queue *q)
{
	uint64_t end_us = now_us() + ANSWER_MS * 1000;
	char why[200];
	int err;

	while ((err = capq_open(q, why, sizeof(why))) == -EAGAIN && !got_signal && now_us() < end_us) {
		struct pollfd pfd = { .fd = q->fd, .events = POLLIN };

		poll(&pfd, 1, ANSWER_MS / 10);
	}
	if (!err)
		return ST_OK;
	if (got_signal)
		return ST_FAILED;
	if (err == -ECONNRESET)
		return turned_away(l);
	return err == -EPROTO && *why ? fail("jetringd: %s", why) :
		fail("jetringd does not send a capture: %s", strerror(-err));
}

/* Milliseconds from @now to @end for poll(), or as many as it can wait. */
static int ms_until(uint64_t end, uint64_t now)
{
	return end == UINT64_MAX ? -1 : (int)MIN((end - now + 999) / 1000, (uint64_t)INT_MAX);
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
		r = more(c, ms_until(end, now));
		if (r < 0)
			return r;
		err = pass_blocks(c);
		if (at_end(c))
			return err;
	}
	if (err || c->enough || c->filter)
		return err;
	/* Say that we are done, and take what was on its way. */
	got_signal = 0;
	c->out.ending = true;
	capq_enough(c->q);
	while (!err && !got_signal && (r = more(c, DRAIN_MS)) > 0)
		err = pass_blocks(c);
	return err;
}

static void report(const struct capture *c, const char *what)
{
	say("%llu frames %s, %llu dropped because %s too slow", (unsigned long long)c->out.frames, what,
	    (unsigned long long)cap_dropped(&c->out), c->filter ? "their capture was" : "we were");
	if (c->out.left_out)
		say("%llu frames left out: they hold nothing that format %s can",
		    (unsigned long long)c->out.left_out, cap_format_names[c->out.format]);
}

/* -w, --format, --ring, -c into @c; ST_*. */
static int set_output(struct capture *c, const struct opts *o)
{
	c->limit = o->count;
	c->out.fd = -1;
	c->out.path = o->out ? o->out : "-";
	c->out.snaplen = o->snaplen ? o->snaplen + (uint32_t)sizeof(struct js_cap_hdr) : 0;
	if (o->format) {
		unsigned int f = 0;

		while (f < CAP_N_FORMATS && strcmp(o->format, cap_format_names[f]))
			f++;
		if (f == CAP_N_FORMATS)
			return bad_usage("--format is \"%s\", but should be pcapng, pcap, sunatm or raw", o->format);
		c->out.format = (enum cap_format)f;
	}
	if (o->ring && !cap_parse_ring(o->ring, &c->out.ring_files, &c->out.ring_size))
		return bad_usage("--ring is \"%s\", but should be like files:4,size:10m", o->ring);
	if (strcmp(c->out.path, "-"))
		return ST_OK;
	if (o->ring)
		return bad_usage("--ring wants a name for its files: -w FILE");
	if (isatty(1))
		return bad_usage("a capture is no text for a terminal: give -w FILE, or \"| wireshark -k -i -\"");
	return ST_OK;
}

/* Open the output, copy until the end, close, report. */
static int run(struct capture *c, double for_s, const char *what)
{
	int err = cap_open(&c->out), closed, st = ST_OK;

	if (err == -EINTR && got_signal) {	/* nobody came to read */
		cap_close(&c->out);
		return ST_OK;
	}
	if (err) {
		st = fail("cannot write %s: %s", c->out.name ? c->out.name : c->out.path, strerror(-err));
		cap_close(&c->out);
		return st;
	}
	if (!c->filter)
		say("%s; Ctrl-C ends it", what);
	err = copy(c, for_s);
	closed = cap_close(&c->out);
	err = err ? err : closed;
	/* Who read our output has read enough. */
	if (err == -ETIMEDOUT)
		st = fail("gave up: who reads our output does not take it");
	else if (err == -EPROTO && c->filter)
		st = fail("this is no pcapng of this machine's byte order, or it is damaged, after %llu frames",
			  (unsigned long long)c->out.frames);
	else if (err && err != -EPIPE)
		st = fail("capture stopped: %s", strerror(-err));
	else if (c->filter && c->n && !c->enough && !err)
		st = fail("the file is cut short after %llu frames", (unsigned long long)c->out.frames);
	report(c, c->filter ? "taken" : "captured");
	return st;
}

/* Scripts run us in the background and end us with INT. */
static void prepare(void)
{
	catch_signals(true);
	signal(SIGPIPE, SIG_IGN);
}

static int convert(struct capture *c, const struct opts *o, struct cap_filter *f)
{
	int st;

	if (o->for_s > 0 || o->snaplen || o->rx)
		return bad_usage("-s, --rx and --duration are for frames of a ring, not of a file");
	prepare();
	c->filter = f;
	c->in = strcmp(o->in, "-") ? open(o->in, O_RDONLY | O_CLOEXEC) : 0;
	if (c->in < 0)
		return fail("cannot read %s: %s", o->in, strerror(errno));
	st = run(c, 0, o->in);
	if (c->in)
		close(c->in);
	return st;
}

static int record(struct capture *c, const struct opts *o, const struct cap_filter *f)
{
	char line[JS_CAP_REQUEST_MAX], what[300], path[300];
	struct cap_queue q;
	struct lab l;
	int err, st = lab_need(o, &l, true);

	if (st)
		return st;
	st = request(o, &l, f, line, sizeof(line));
	if (st)
		goto out;
	prepare();
	c->out.live = true;
	snprintf(path, sizeof(path), "%s/capture.sock", l.dir);
	err = capq_connect(&q, path, line);
	if (err) {
		st = err == -ECONNRESET || err == -EPIPE ? turned_away(&l) :
			err == -EACCES ? fail("you may not capture: be root, or in the group wireshark") :
			fail("cannot connect to %s: %s", path, strerror(-err));
		goto out;
	}
	snprintf(what, sizeof(what), "capturing lab %s%s%s", l.name, strcmp(c->out.path, "-") ? " to " : "",
		 strcmp(c->out.path, "-") ? c->out.path : "");
	c->q = &q;
	c->nice = getpriority(PRIO_PROCESS, 0);
	st = await_queue(&l, &q);
	if (!st)
		st = run(c, o->for_s, what);
	capq_close(&q);
out:
	lab_close(&l);
	return st;
}

int verb_capture(const struct opts *o)
{
	struct capture *c = calloc(1, sizeof(*c));
	struct cap_filter *f = calloc(1, sizeof(*f));
	int st = ST_FAILED;

	if (c && o->in)
		c->buf = malloc(BUF_SIZE);
	if (!c || !f || (o->in && !c->buf)) {
		fail("out of memory");
		goto out;
	}
	st = filter_of(o, f);
	if (!st)
		st = set_output(c, o);
	if (!st)
		st = o->in ? convert(c, o, f) : record(c, o, f);
out:
	if (c)
		free(c->buf);
	free(c);
	free(f);
	return got_signal && st ? 128 + got_signal : st;
}
