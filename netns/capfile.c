/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * capfile.c - what a capture writes: formats, one file or a ring of files
 *
 * Pieces are queued where they are, in the input and in headers of ours, and
 * written with one call.  What a regular file holds ends with a whole record
 * always, also when the disk is full.
 *
 * Writing costs several times what copying does, most of it for the page cache.
 * Who is far behind the ring writes the bulk past it (O_DIRECT), if the file
 * system can: that takes the disk's time instead of the processor's, which the
 * ring wants.  What is not whole pages goes through the cache, so that a page
 * is written one way or the other, and the file is complete at any time.
 *
 * The time stamps of classic pcap are ns (magic a1b23c4d).  SUNATM (DLT 123)
 * is 4 octets (direction and kind, VPI, VCI), then the SDU without trailer; we
 * put LLC/SNAP in front of it (RFC 2684 5.1), which the ring does not have:
 * filters like "tcp" look for a packet only behind LLC there.
 */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "abi/aal5.h"
#include "common/clock.h"
#include "common/util.h"
#include "netns/cap.h"
#include "netns/jet.h"

#define FLUSH_WAIT_MS	500	/* between looks at whether we shall end */
#define DIRECT_ALIGN	4096u	/* of place in file and memory, and of length: suits all disks */
#define DIRECT_MIN	(64u << 10)	/* less is not worth it */
#define END_WAIT_US	2000000	/* for a reader that takes nothing, once we shall end */

/* pcapng, section numbers of draft-ietf-opsawg-pcapng */
#define BT_SHB		0x0a0d0d0au	/* 4.1 */
#define BT_IDB		1u		/* 4.2 */
#define BT_ISB		5u		/* 4.6 */
#define BT_EPB		6u		/* 4.3 */
#define SHB_MAGIC	0x1a2b3c4du
#define IF_TSRESOL	9u
#define EPB_DROPCOUNT	4u
#define ISB_IFRECV	4u
#define ISB_IFDROP	5u
#define ISB_LEN		52u		/* of those we make */

#define PCAP_NS_MAGIC	0xa1b23c4du
#define DLT_RAW_IP	101	/* LINKTYPE_RAW */
#define DLT_SUN_ATM	123
#define SUNATM_LLC	2	/* kind: LLC encapsulation */
#define SUNATM_RX	0x80	/* received, seen from the recording station */

const char *const cap_format_names[CAP_N_FORMATS] = { "pcapng", "pcap", "sunatm", "raw" };

static uint32_t u32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));	/* blocks are in this host's order */
	return v;
}

/* --- a record of a frame ---------------------------------------------------------- */

static unsigned int be16(const uint8_t *p)
{
	return (unsigned int)p[0] << 8 | p[1];
}

/* The length of a packet of which only @cap octets were kept. */
static uint32_t packet_len(const struct js_cap_facts *facts, const uint8_t *sdu, uint32_t cap, uint32_t max)
{
	uint32_t len = max;

	if (ntohs(facts->proto_be) == 0x0800 && cap >= 4)
		len = be16(sdu + 2);
	else if (ntohs(facts->proto_be) == 0x86dd && cap >= 6)
		len = 40 + be16(sdu + 4);
	return MIN(len, max);
}

bool cap_record(struct cap_record *r, const uint8_t *data, uint32_t len)
{
	struct js_cap_hdr h;
	const uint8_t *frame;
	uint32_t frame_len, n, room;
	js_vci_t vci;

	if (len < sizeof(h))
		return false;
	memcpy(&h, data, sizeof(h));
	if (h.hdr_len < sizeof(h) || h.hdr_len + (uint32_t)JS_HDR_LEN > len)
		return false;
	frame = data + h.hdr_len;
	n = len - h.hdr_len;
	frame_len = ntohl(h.frame_len_be);
	if (frame_len < n || frame_len < JS_HDR_LEN + JS_TRAILER_LEN)
		return false;
	vci = (js_vci_t)((frame[1] & 0xf) << 12 | frame[2] << 4 | frame[3] >> 4) & JS_VCI_MAX;
	r->sdu = frame + JS_HDR_LEN;
	n -= JS_HDR_LEN;
	room = frame_len - JS_HDR_LEN - JS_TRAILER_LEN;
	r->facts = (struct js_cap_facts) {
		.vci_be = htons(vci),
		.src = h.src,
		.station = h.station,
		.dir = h.dir,
		.flags_be = h.flags_be,
		.proto_be = htons(js_cap_proto(vci, n ? *r->sdu : 0)),
	};
	if (n == room + JS_TRAILER_LEN) {
		const uint8_t *trailer = r->sdu + room;

		memcpy(&r->facts.uucpi_be, trailer, 2);
		r->sdu_len = MIN(be16(trailer + 2), room);
	} else {
		r->sdu_len = packet_len(&r->facts, r->sdu, n, room);
	}
	r->sdu_cap = MIN(n, r->sdu_len);
	return true;
}

/* --- files ------------------------------------------------------------------------- */

/* base_00001_20260131235959.pcapng, as dumpcap names them; NULL: no memory. */
static char *ring_name(const char *path, unsigned int serial)
{
	const char *slash = strrchr(path, '/'), *dot = strrchr(path, '.');
	char when[32], *name;
	time_t t = time(NULL);
	struct tm tm;

	if (!dot || dot == path || (slash && dot <= slash + 1))
		dot = path + strlen(path);
	localtime_r(&t, &tm);
	strftime(when, sizeof(when), "%Y%m%d%H%M%S", &tm);
	if (asprintf(&name, "%.*s_%05u_%s%s", (int)(dot - path), path, serial, when, dot) < 0)
		return NULL;
	return name;
}

/*
 * A pipe that somebody made blocks us as long as its reader likes, whatever we
 * are told meanwhile.  Opened again it is ours, and others' ends stay as they are.
 */
static void open_own_pipe(struct cap_out *o)
{
	char proc[40];
	int fd;

	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", o->fd);
	fd = open(proc, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return;
	if (o->fd != 1)
		close(o->fd);
	o->fd = fd;
}

static int open_file(struct cap_out *o, const char *name)
{
	struct stat st;
	off_t at;

	o->fd = strcmp(name, "-") ? open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644) : 1;
	if (o->fd < 0)
		return -errno;
	if (fstat(o->fd, &st))
		return -errno;
	o->is_file = S_ISREG(st.st_mode);
	if (S_ISFIFO(st.st_mode))
		open_own_pipe(o);
	at = o->is_file ? lseek(o->fd, 0, fcntl(o->fd, F_GETFL) & O_APPEND ? SEEK_END : SEEK_CUR) : 0;
	o->base = at > 0 ? (uint64_t)at : 0;
	o->size = 0;
	o->file_frames = 0;
	return 0;
}

static int close_file(struct cap_out *o)
{
	int fd = o->fd;

	if (o->direct_fd >= 0)
		close(o->direct_fd);
	o->direct_fd = -1;
	o->fd = -1;
	return fd > 1 && close(fd) ? -errno : 0;
}

/* 0: it takes some more. */
static int wait_for_reader(struct cap_out *o)
{
	struct pollfd pfd = { .fd = o->fd, .events = POLLOUT };

	if (!o->stuck_us)
		o->stuck_us = now_us();
	if ((got_signal || o->ending) && now_us() - o->stuck_us >= END_WAIT_US)
		return -ETIMEDOUT;
	/* Not for ever: a signal may have come just before. */
	poll(&pfd, 1, FLUSH_WAIT_MS);
	return 0;
}

/* Of @done octets of the queue that are in the file: those of whole records. */
static size_t whole(const struct cap_out *o, size_t done)
{
	size_t at = 0;

	for (int i = 0; i < o->n_iov; i++) {
		const uint8_t *p = o->iov[i].iov_base;
		size_t left = o->iov[i].iov_len;

		while (left) {
			/* A header of ours and its data, or one of a run of blocks. */
			size_t len = o->format == CAP_PCAPNG ? u32(p + 4) : left;

			if (o->format != CAP_PCAPNG && i + 1 < o->n_iov) {
				len += o->iov[++i].iov_len;
				left = len;
			}
			if (at + len > done)
				return at;
			at += len;
			p += len;
			left -= len;
		}
	}
	return at;
}

static int queue_failed(struct cap_out *o, size_t done, int err)
{
	off_t end;

	o->size += whole(o, done);
	end = (off_t)(o->base + o->size);
	/* What is written after all, the statistics, stands there and not behind a hole. */
	if (o->is_file && (ftruncate(o->fd, end) || lseek(o->fd, end, SEEK_SET) < 0))
		warn("cannot cut %s to whole records: %s", o->name, strerror(errno));
	o->n_iov = o->n_hdr = 0;
	o->n_queued = 0;
	return err;
}

/* The same file past the page cache, also one without a name; false: not this one. */
static bool open_direct(struct cap_out *o)
{
	char proc[40];

	if (o->direct_fd != -1)
		return o->direct_fd >= 0;
	o->direct_fd = -2;
	/* Who appends shares the end with others. */
	if (!o->is_file || fcntl(o->fd, F_GETFL) & O_APPEND)
		return false;
	if (!o->stage && posix_memalign((void **)&o->stage, DIRECT_ALIGN, CAP_STAGE)) {
		o->stage = NULL;
		return false;
	}
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", o->fd);
	o->direct_fd = open(proc, O_WRONLY | O_DIRECT | O_CLOEXEC);
	if (o->direct_fd < 0)
		o->direct_fd = -2;
	return o->direct_fd >= 0;
}

/* The first @len octets of @v, which has so many. */
static void gather(uint8_t *to, const struct iovec *v, size_t len)
{
	for (size_t n; len; len -= n, to += n, v++) {
		n = MIN(len, v->iov_len);
		memcpy(to, v->iov_base, n);
	}
}

/* Write some of @v, @n pieces of @left octets, to where the file is at, octet @at.  As write(2). */
static ssize_t write_some(struct cap_out *o, const struct iovec *v, int n, size_t left, uint64_t at)
{
	size_t len = -at % DIRECT_ALIGN;
	const uint8_t *p = v->iov_base;
	ssize_t w;

	/* Not where others, who have the file open with us, have moved on. */
	if (!o->behind || left < DIRECT_MIN || !open_direct(o) || lseek(o->fd, 0, SEEK_CUR) != (off_t)at)
		return writev(o->fd, v, n);
	if (len) {			/* the rest of a page that the cache has begun */
		gather(o->stage, v, len);
		return write(o->fd, o->stage, len);
	}
	len = v->iov_len - v->iov_len % DIRECT_ALIGN;
	/* Else as it is: where file and input go in step, it is aligned. */
	if ((uintptr_t)p % DIRECT_ALIGN || len < DIRECT_MIN) {
		len = MIN(left - left % DIRECT_ALIGN, (size_t)CAP_STAGE);
		gather(o->stage, v, len);
		p = o->stage;
	}
	w = pwrite(o->direct_fd, p, len, (off_t)at);
	if (w < 0 && (errno == EINVAL || errno == EOPNOTSUPP)) {	/* not with this alignment, or not at all */
		close(o->direct_fd);
		o->direct_fd = -2;
		return writev(o->fd, v, n);
	}
	if (w > 0 && lseek(o->fd, (off_t)at + w, SEEK_SET) < 0)
		return -1;
	return w;
}

int cap_flush(struct cap_out *o)
{
	struct iovec v[CAP_IOV], *next = v;
	int n = o->n_iov, err;
	size_t done = 0;

	memcpy(v, o->iov, (size_t)n * sizeof(v[0]));
	while (done < o->n_queued) {
		ssize_t w = write_some(o, next, n, o->n_queued - done, o->base + o->size + done);

		if (w < 0 && (errno == EINTR || errno == EAGAIN)) {
			err = o->is_file ? 0 : wait_for_reader(o);
			if (err)
				return queue_failed(o, done, err);
			continue;
		}
		if (w < 0)
			return queue_failed(o, done, -errno);
		o->stuck_us = 0;
		done += (size_t)w;
		for (; n && (size_t)w >= next->iov_len; next++, n--)
			w -= (ssize_t)next->iov_len;
		if (n) {
			next->iov_base = (uint8_t *)next->iov_base + w;
			next->iov_len -= (size_t)w;
		}
	}
	o->size += done;
	o->n_iov = o->n_hdr = 0;
	o->n_queued = 0;
	return 0;
}

/* --- the queue of pieces ------------------------------------------------------------- */

/* A run of blocks grows where they follow each other. */
static int queue_block(struct cap_out *o, const uint8_t *b, size_t len)
{
	struct iovec *last = o->n_iov ? &o->iov[o->n_iov - 1] : NULL;
	int err;

	if (last && (uint8_t *)last->iov_base + last->iov_len == b) {
		last->iov_len += len;
		o->n_queued += len;
		return 0;
	}
	if (o->n_iov == CAP_IOV) {
		err = cap_flush(o);
		if (err)
			return err;
	}
	o->iov[o->n_iov++] = (struct iovec) { (void *)b, len };
	o->n_queued += len;
	return 0;
}

/* A record of classic pcap: a header of ours, then @len octets. */
static int queue_record(struct cap_out *o, const void *hdr, size_t hdr_len, const uint8_t *data, size_t len)
{
	uint8_t *h;
	int err;

	if (o->n_hdr == CAP_IOV / 2) {
		err = cap_flush(o);
		if (err)
			return err;
	}
	h = o->hdr[o->n_hdr++];
	memcpy(h, hdr, hdr_len);
	o->iov[o->n_iov++] = (struct iovec) { h, hdr_len };
	o->iov[o->n_iov++] = (struct iovec) { (void *)data, len };
	o->n_queued += hdr_len + len;
	return 0;
}

/* --- the beginning and the end of a file --------------------------------------------------- */

static int classic_head(struct cap_out *o)
{
	static const uint32_t dlt[CAP_N_FORMATS] = {
		[CAP_PCAP] = JS_DLT, [CAP_SUNATM] = DLT_SUN_ATM, [CAP_RAW] = DLT_RAW_IP,
	};
	struct {
		uint32_t magic;
		uint16_t major, minor;
		uint32_t zone, sigfigs, snaplen, linktype;
	} h = { PCAP_NS_MAGIC, 2, 4, 0, 0, o->snaplen ? o->snaplen : JS_CAP_SNAPLEN, dlt[o->format] };

	return queue_record(o, &h, sizeof(h), NULL, 0);
}

static int begin_file(struct cap_out *o)
{
	int err;

	o->name = (char *)o->path;
	if (o->ring_files) {
		char **slot = &o->names[o->serial++ % o->ring_files];

		if (*slot && unlink(*slot) && errno != ENOENT)
			warn("cannot remove %s: %s", *slot, strerror(errno));
		free(*slot);
		o->name = *slot = ring_name(o->path, o->serial);
		if (!o->name)
			return -ENOMEM;
	}
	err = open_file(o, o->name);
	if (err)
		return err;
	if (o->format != CAP_PCAPNG)
		return classic_head(o);
	return o->n_head ? queue_block(o, o->head, o->n_head) : 0;
}

static void put_u16(uint8_t **p, unsigned int v)
{
	uint16_t u = (uint16_t)v;

	memcpy(*p, &u, sizeof(u));
	*p += sizeof(u);
}

static void put_u32(uint8_t **p, uint32_t v)
{
	memcpy(*p, &v, sizeof(v));
	*p += sizeof(v);
}

static void put_stat(uint8_t **p, unsigned int code, uint64_t v)
{
	put_u16(p, code);
	put_u16(p, sizeof(v));
	memcpy(*p, &v, sizeof(v));
	*p += sizeof(v);
}

/* Statistics of interface @i, of this file. */
static void make_isb(const struct cap_out *o, unsigned int i, uint8_t b[ISB_LEN])
{
	const struct cap_if *f = &o->ifs[i];
	uint8_t *p = b;

	put_u32(&p, BT_ISB);
	put_u32(&p, ISB_LEN);
	put_u32(&p, i);
	put_u32(&p, f->last_t[0]);
	put_u32(&p, f->last_t[1]);
	put_stat(&p, ISB_IFRECV, f->recv);
	put_stat(&p, ISB_IFDROP, f->drop);
	put_u32(&p, 0);
	put_u32(&p, ISB_LEN);
}

/* End it with the statistics that did not come by themselves. */
static int end_file(struct cap_out *o)
{
	uint8_t isb[CAP_IFS_MAX][ISB_LEN];
	int err = 0, closed;

	static_assert(ISB_LEN == 8 + 12 + 12 + 12 + 4 + 4, "length of what make_isb() makes");
	for (unsigned int i = 0; i < o->n_ifs && o->live && o->format == CAP_PCAPNG && !err; i++) {
		struct cap_if *f = &o->ifs[i];

		if (f->has_stat)
			continue;
		make_isb(o, i, isb[i]);
		err = queue_block(o, isb[i], ISB_LEN);
		f->recv_before += f->recv;
		f->drop_before += f->drop;
		f->recv = f->drop = 0;
	}
	if (!err)
		err = cap_flush(o);
	closed = close_file(o);
	return err ? err : closed;
}

int cap_open(struct cap_out *o)
{
	o->fd = o->direct_fd = -1;
	o->head = malloc(CAP_HEAD_MAX);
	o->names = calloc(MAX(o->ring_files, 1u), sizeof(o->names[0]));
	if (!o->head || !o->names)
		return -ENOMEM;
	return begin_file(o);
}

int cap_close(struct cap_out *o)
{
	int err = o->fd >= 0 ? end_file(o) : 0;

	for (unsigned int i = 0; o->names && i < o->ring_files; i++)
		if (o->names[i] != o->name)
			free(o->names[i]);
	if (o->ring_files)
		free(o->name);
	free(o->names);
	free(o->head);
	free(o->stage);
	o->stage = NULL;
	o->name = NULL;
	o->names = NULL;
	o->head = NULL;
	return err;
}

uint64_t cap_dropped(const struct cap_out *o)
{
	uint64_t n = o->dropped;

	for (unsigned int i = 0; i < o->n_ifs; i++)
		n += o->ifs[i].drop + o->ifs[i].drop_before;
	return n;
}

/* --- blocks ---------------------------------------------------------------------------- */

/* The value of option @code, of @len octets, among those from @p to @end; or NULL. */
static const uint8_t *option(const uint8_t *p, const uint8_t *end, unsigned int code, unsigned int len)
{
	while (end - p >= 4) {
		unsigned int what = u32(p) & 0xffff, n = u32(p) >> 16;
		const uint8_t *val = p + 4;

		if (!what || n > (size_t)(end - val))
			return NULL;
		if (what == code && n == len)
			return val;
		n = (n + 3) & ~3u;
		if (n > (size_t)(end - val))
			return NULL;
		p = val + n;
	}
	return NULL;
}

/* The same for a number of 64 bits; false: not there. */
static bool option64(const uint8_t *p, const uint8_t *end, unsigned int code, uint64_t *to)
{
	const uint8_t *val = option(p, end, code, sizeof(*to));

	if (val)
		memcpy(to, val, sizeof(*to));
	return val;
}

/* Of SHB and IDBs: what each file of a ring begins with. */
static int keep_head(struct cap_out *o, const uint8_t *b, uint32_t len)
{
	if (!o->ring_files || o->format != CAP_PCAPNG)
		return 0;
	if (len > CAP_HEAD_MAX - o->n_head)
		return -EPROTO;
	memcpy(o->head + o->n_head, b, len);
	o->n_head += len;
	return 0;
}

static int take_shb(struct cap_out *o, const uint8_t *b, uint32_t len)
{
	int err;

	if (len < 28 || u32(b + 8) != SHB_MAGIC)
		return -EPROTO;
	/* The head that is replaced may stand in the queue. */
	err = o->n_head ? cap_flush(o) : 0;
	if (err)
		return err;
	o->dropped = cap_dropped(o);
	o->n_ifs = 0;
	o->n_head = 0;
	return keep_head(o, b, len);
}

static int take_idb(struct cap_out *o, const uint8_t *b, uint32_t len)
{
	struct cap_if *f = &o->ifs[o->n_ifs];
	const uint8_t *res;

	if (len < 20 || o->n_ifs == CAP_IFS_MAX)
		return -EPROTO;
	memset(f, 0, sizeof(*f));
	f->ours = (u32(b + 8) & 0xffff) == JS_DLT;
	res = option(b + 16, b + len - 4, IF_TSRESOL, 1);
	f->tsresol = res ? *res : 6;
	o->n_ifs++;
	return keep_head(o, b, len);
}

/* Statistics of a whole capture: of this file what the others do not have. */
static int take_isb(struct cap_out *o, const uint8_t *b, uint32_t len)
{
	struct cap_if *f;
	uint64_t v;

	if (len < 24 || u32(b + 8) >= o->n_ifs)
		return -EPROTO;
	f = &o->ifs[u32(b + 8)];
	memcpy(f->last_t, b + 12, sizeof(f->last_t));
	if (option64(b + 20, b + len - 4, ISB_IFRECV, &v) && v >= f->recv_before)
		f->recv = v - f->recv_before;
	if (option64(b + 20, b + len - 4, ISB_IFDROP, &v) && v >= f->drop_before)
		f->drop = v - f->drop_before;
	f->has_stat = !o->ring_files;
	return 0;
}

static bool to_ns(const struct cap_if *f, const uint8_t *epb, uint64_t *ns)
{
	uint64_t t = (uint64_t)u32(epb + 12) << 32 | u32(epb + 16);
	int digits = f->tsresol;

	if (digits > 18)		/* powers of two, too */
		return false;
	for (; digits < 9; digits++)
		t *= 10;
	for (; digits > 9; digits--)
		t /= 10;
	*ns = t;
	return true;
}

struct pcap_rec_hdr {
	uint32_t sec, nsec, cap, len;
};

/* One frame in a classic format. */
static int classic_frame(struct cap_out *o, const struct cap_if *f, const uint8_t *b, const struct cap_record *r,
			 uint32_t cap, uint32_t len)
{
	struct {
		struct pcap_rec_hdr h;
		uint8_t kind, vpi, vci[2];
		uint8_t llc[8];			/* RFC 2684 5.1: LLC, OUI 0, Ethertype */
	} p = { .llc = { 0xaa, 0xaa, 0x03 } };
	unsigned int proto = ntohs(r->facts.proto_be);
	uint32_t extra = 0;
	uint64_t ns;

	if (!to_ns(f, b, &ns) || (o->format != CAP_PCAP && proto == JS_CAP_NO_PROTO) ||
	    (o->format == CAP_RAW && proto == 0x0806)) {
		o->left_out++;
		return 0;
	}
	p.h.sec = (uint32_t)(ns / 1000000000);
	p.h.nsec = (uint32_t)(ns % 1000000000);
	if (o->format == CAP_SUNATM) {
		extra = (uint32_t)(sizeof(p) - sizeof(p.h));
		p.kind = SUNATM_LLC | (r->facts.dir == JS_CAP_RX ? SUNATM_RX : 0);
		memcpy(p.vci, &r->facts.vci_be, sizeof(p.vci));
		memcpy(p.llc + 6, &r->facts.proto_be, 2);
	}
	if (o->format != CAP_PCAP) {
		cap = r->sdu_cap;
		len = r->sdu_len;
	}
	p.h.cap = extra + cap;
	p.h.len = extra + len;
	o->frames++;
	o->file_frames++;
	return queue_record(o, &p, sizeof(p.h) + extra, o->format == CAP_PCAP ? b + 28 : r->sdu, cap);
}

/* The ring's file is full: it has frames, and @more octets would be too many. */
static int next_file(struct cap_out *o, size_t more)
{
	int err;

	if (!o->ring_files || !o->file_frames || o->size + o->n_queued + more <= o->ring_size)
		return 0;
	err = end_file(o);
	return err ? err : begin_file(o);
}

static int take_epb(struct cap_out *o, const struct cap_filter *filter, const uint8_t *b, uint32_t len)
{
	uint32_t cap;
	struct cap_record r;
	struct cap_if *f;
	uint64_t drops = 0;
	bool is_frame;
	int err;

	if (len < 32 || u32(b + 8) >= o->n_ifs)
		return -EPROTO;
	f = &o->ifs[u32(b + 8)];
	cap = u32(b + 20);
	if (cap > len - 32)
		return -EPROTO;
	is_frame = f->ours && cap_record(&r, b + 28, cap);
	if (filter && filter->n && (!is_frame || !capfilter_match(filter, &r)))
		return 0;
	err = next_file(o, len);
	if (err)
		return err;
	if (((cap + 3) & ~3u) <= len - 32)
		option64(b + 28 + ((cap + 3) & ~3u), b + len - 4, EPB_DROPCOUNT, &drops);
	f->recv += 1 + drops;
	f->drop += drops;
	memcpy(f->last_t, b + 12, sizeof(f->last_t));
	if (o->format == CAP_PCAPNG) {
		o->frames++;
		o->file_frames++;
		return queue_block(o, b, len);
	}
	if (is_frame)
		return classic_frame(o, f, b, &r, cap, u32(b + 24));
	o->left_out++;
	return 0;
}

int cap_block(struct cap_out *o, const struct cap_filter *filter, const uint8_t *b, uint32_t len)
{
	int err = 0;

	switch (u32(b)) {
	case BT_EPB:
		return take_epb(o, filter, b, len);
	case BT_SHB:
		err = take_shb(o, b, len);
		break;
	case BT_IDB:
		err = take_idb(o, b, len);
		break;
	case BT_ISB:
		err = take_isb(o, b, len);
		if (o->ring_files)
			return err;
		break;
	}
	return err || o->format != CAP_PCAPNG ? err : queue_block(o, b, len);
}

/* --- --ring -------------------------------------------------------------------------------- */

/* "100" KiB, or with k, m, g; 0: wrong. */
static uint64_t parse_size(const char *s)
{
	static const char units[] = "kmg";
	const char *unit;
	uint64_t v;
	char *end;

	if (*s < '0' || *s > '9')
		return 0;
	errno = 0;
	v = strtoull(s, &end, 10);
	if (errno || v > UINT64_MAX >> 34)
		return 0;
	if (!*end)
		return v << 10;
	unit = strchr(units, *end | 0x20);
	return unit && !end[1] ? v << (10 + 10 * (unit - units)) : 0;
}

bool cap_parse_ring(const char *s, unsigned int *files, uint64_t *size)
{
	char word[64];
	size_t n;

	*files = 0;
	*size = 0;
	for (; *s; s += n + (s[n] == ',')) {
		n = strcspn(s, ",");
		if (n >= sizeof(word))
			return false;
		memcpy(word, s, n);
		word[n] = '\0';
		if (!strncmp(word, "files:", 6)) {
			char *end;
			unsigned long v = strtoul(word + 6, &end, 10);

			if (end == word + 6 || *end || v < 1 || v > CAP_RING_MAX)
				return false;
			*files = (unsigned int)v;
		} else if (!strncmp(word, "size:", 5)) {
			*size = parse_size(word + 5);
			if (!*size)
				return false;
		} else {
			return false;
		}
	}
	return *files && *size;
}
