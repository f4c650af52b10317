/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * capture.c - the ring's frames as pcapng, for whoever connects to capture.sock
 *
 * Requests and their answers: abi/ringctl.h; packet data: abi/capture.h; file
 * format: draft-ietf-opsawg-pcapng.  libpcap cannot write pcapng, so we do.
 *
 * Every consumer has a bounded queue of its own, in memory that it has mapped
 * to read: a record is copied there once, and taken from there by who wants it.
 * A consumer cannot write to it; what it has taken it says on its connection,
 * and is not believed more than can be.  We tell it that there is more when
 * that is WAKE_OCTETS or WAKE_NS old, so we make no system call for a frame.
 *
 * A queue is blocks of memory, and the one that came back last is the next to
 * be filled: a consumer that keeps pace has us copy into the same few, which are
 * in a cache: half of what going through all of them costs.  Memory that was
 * never needed is never had.
 *
 * Captures of rings up to JS_CAP_KEEP_BPS are to be complete.  A faster ring is
 * to be fast: consumers are told to stand back (ring_first), and one that was
 * too slow a moment ago is kept to blocks that are in a cache: a queue that is
 * always full helps nobody by being long.
 *
 * The ring never waits: a record that does not fit is dropped and counted, and
 * the next one that fits of the same interface says how many are missing
 * (epb_dropcount).  A record is whole or not there.
 *
 * Filter and snap length are applied here, so that a queue holds only what is
 * wanted.  The filter is a program from a stranger: copied, checked, bounded
 * (common/cbpf.h); its language is jet's business.
 *
 * A frame is recorded when what became of it is known, with the time it
 * began: records stand in the order of the ring, but a local frame may stand
 * before one that began earlier.
 *
 * Time stamps are ring time moved to the epoch by one offset, taken at our
 * start: they never step, and so may differ from the wall clock by what that
 * was set or slewed since.
 *
 * Runs in jetringd.
 */
#include <arpa/inet.h>
#include <assert.h>
#include <ctype.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "abi/ringctl.h"
#include "common/cbpf.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/util.h"
#include "emulator/capture.h"
#include "emulator/lab.h"
#include "emulator/sock.h"

#define N_CONSUMERS	16
#define N_BLOCKS	JS_CAP_BLOCKS_MAX	/* a consumer may be behind: 64 MiB, half a second at 1 Gbit/s, */
#define N_BLOCKS_HOT	2		/* or so much while it is too slow for a fast ring */
#define CALM_NS		100000000	/* it was too slow when a record was dropped in this time */
#define QUEUE_SIZE	(JS_CAP_QUEUE_HEAD + (size_t)N_BLOCKS * JS_CAP_BLOCK)
#define WAKE_OCTETS	(1u << 20)	/* told of at once; */
#define WAKE_NS		2000000u	/* less, after so long */
#define SNAPLEN_MIN	64
#define BLOCK_MAX	256		/* octets of a block without packet data */
#define SPARE_ROOM	(2 * JS_N_RING_IDS * BLOCK_MAX)	/* for each station's IDB and, at the end, ISB */

/* pcapng, section numbers of the draft */
#define BT_SHB		0x0a0d0d0au	/* 4.1 */
#define BT_IDB		1u		/* 4.2 */
#define BT_ISB		5u		/* 4.6 */
#define BT_EPB		6u		/* 4.3 */
#define SHB_MAGIC	0x1a2b3c4du
#define OPT_END		0
#define SHB_OS		3
#define SHB_USERAPPL	4
#define IF_NAME		2
#define IF_DESCRIPTION	3
#define IF_TSRESOL	9
#define EPB_FLAGS	2
#define EPB_DROPCOUNT	4
#define EPB_PACKETID	5
#define ISB_STARTTIME	2
#define ISB_ENDTIME	3
#define ISB_IFRECV	4
#define ISB_IFDROP	5
#define EPB_INBOUND	1u
#define EPB_OUTBOUND	2u
#define EPB_CRC_ERROR	(1u << 24)

struct consumer {
	struct loop_fd lf;		/* fd -1: this place is free */
	bool started;			/* its request was understood, it has a queue */
	bool arrivals;			/* rx=1 */
	bool tokens;			/* tokens=1 */
	bool all_nodes;			/* without nodes=: also those that come later */
	uint16_t nodes;			/* set of Ring IDs */
	uint32_t n_if;			/* interfaces so far */
	uint32_t snaplen;
	uint64_t start_ns;
	struct sock_filter filter[JS_CAP_FILTER_MAX];
	size_t n_filter;		/* instructions; 0: all frames */
	uint64_t dropped[JS_N_RING_IDS];	/* since the interface's last record that fitted */
	uint32_t if_index[JS_N_RING_IDS];
	uint64_t if_recv[JS_N_RING_IDS], if_drop[JS_N_RING_IDS];
	uint8_t *map;			/* the queue, QUEUE_SIZE octets: struct js_cap_queue, blocks */
	uint8_t order[N_BLOCKS];	/* as in there */
	uint8_t spare[N_BLOCKS];	/* blocks without anything, n_spare; from the end */
	unsigned int n_spare;
	uint64_t full_ns;		/* when we dropped a record; 0: never */
	uint64_t tail, taken;		/* octets that were queued, that it has taken, ever */
	uint64_t told;			/* tail when we told it that there is more */
	volatile sig_atomic_t fault;	/* a page of the queue could not be had; it is to be closed */
};

static_assert(JS_CAP_FILTER_MAX <= CBPF_MAX, "cbpf_ok() takes it");

static struct consumer consumers[N_CONSUMERS];
static struct loop_fd listener = { .fd = -1 };
static unsigned int n_started, n_arrivals, n_tokens;	/* consumers that record; with rx=1; with tokens=1 */
static struct capture_stats stats;
static struct loop_timer wake_timer;	/* armed while somebody is to be told of something */

bool capture_active(void)
{
	return n_started;
}

bool capture_wants_arrivals(void)
{
	return n_arrivals;
}

bool capture_wants_tokens(void)
{
	return n_tokens;
}

const struct capture_stats *capture_stats(void)
{
	return &stats;
}

/* --- a block without packet data ----------------------------------------------- */

struct block {
	uint8_t p[BLOCK_MAX];
	size_t len;
};

static void put(struct block *b, const void *p, size_t len)
{
	memcpy(b->p + b->len, p, len);
	b->len += len;
}

static void put_u16(struct block *b, uint16_t v)
{
	put(b, &v, sizeof(v));
}

static void put_u32(struct block *b, uint32_t v)
{
	put(b, &v, sizeof(v));
}

static void put_u64(struct block *b, uint64_t v)
{
	put(b, &v, sizeof(v));
}

/* Time stamps are two words, the upper first, whatever the byte order. */
static void put_time(struct block *b, uint64_t ring_ns)
{
	uint64_t t = ring_ns + lab.epoch_ns;

	put_u32(b, (uint32_t)(t >> 32));
	put_u32(b, (uint32_t)t);
}

static void put_option(struct block *b, uint16_t code, const void *p, size_t len)
{
	static const uint8_t zero[4];

	put_u16(b, code);
	put_u16(b, (uint16_t)len);
	put(b, p, len);
	put(b, zero, -len & 3);
}

/* The total length stands in front and behind. */
static void put_total(struct block *b)
{
	uint32_t total = (uint32_t)b->len + 4;

	memcpy(b->p + 4, &total, sizeof(total));
	put_u32(b, total);
}

/* --- the queue ------------------------------------------------------------------- */

static struct js_cap_queue *queue_head(const struct consumer *c)
{
	return (struct js_cap_queue *)c->map;
}

/* Octets, if @n_blocks may be in use. */
static size_t queue_room(const struct consumer *c, unsigned int n_blocks)
{
	unsigned int used = N_BLOCKS - c->n_spare;

	return (size_t)(-c->tail % JS_CAP_BLOCK) + (used < n_blocks ? n_blocks - used : 0) * (size_t)JS_CAP_BLOCK;
}

static bool ring_first(void)
{
	return !lab.ring.p.rate_bps || lab.ring.p.rate_bps > JS_CAP_KEEP_BPS;
}

/* For a record that is made at @ring_ns. */
static size_t record_room(const struct consumer *c, uint64_t ring_ns)
{
	/* Records are not quite in order. */
	bool slow = c->full_ns && ring_first() && (int64_t)(ring_ns - c->full_ns) < CALM_NS;

	return queue_room(c, slow ? N_BLOCKS_HOT : N_BLOCKS);
}

/* There is room.  Nobody sees it before queue_publish(). */
static void queue_put(struct consumer *c, const void *p, size_t len)
{
	while (len) {
		size_t at = c->tail % JS_CAP_BLOCK, n = MIN(len, JS_CAP_BLOCK - at);
		unsigned int k = c->tail / JS_CAP_BLOCK % N_BLOCKS;

		if (!at) {
			c->order[k] = c->spare[--c->n_spare];
			atomic_store_explicit(&queue_head(c)->order[k], c->order[k], memory_order_relaxed);
		}
		memcpy(c->map + JS_CAP_QUEUE_HEAD + (size_t)c->order[k] * JS_CAP_BLOCK + at, p, n);
		c->tail += n;
		p = (const uint8_t *)p + n;
		len -= n;
	}
}

static void consumer_close(struct consumer *c)
{
	if (c->started) {
		n_started--;
		n_arrivals -= c->arrivals;
		n_tokens -= c->tokens;
		stats.n_consumers = n_started;
	}
	loop_del(&c->lf);
	close(c->lf.fd);
	if (c->map)
		munmap(c->map, QUEUE_SIZE);
	memset(c, 0, sizeof(*c));
	c->lf.fd = -1;
}

/* A packet that does not fit is not needed: those before have not been read. */
static void consumer_tell(struct consumer *c)
{
	if (c->fault) {
		log_warn("capture: ended, no memory for its queue");
		consumer_close(c);
		return;
	}
	atomic_store_explicit(&queue_head(c)->ring_first, ring_first(), memory_order_relaxed);
	send(c->lf.fd, "", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	c->told = c->tail;
}

static void on_wake(struct loop_timer *lt, uint64_t now)
{
	(void)lt;
	(void)now;
	for (int i = 0; i < N_CONSUMERS; i++)
		if (consumers[i].started && consumers[i].told != consumers[i].tail)
			consumer_tell(&consumers[i]);
}

/* Whole blocks were put there: let them be seen.  May close @c. */
static void queue_publish(struct consumer *c)
{
	/* Pairs with the load-acquire in capq_data(). */
	atomic_store_explicit(&queue_head(c)->tail, c->tail, memory_order_release);
	if (c->tail - c->told >= WAKE_OCTETS)
		consumer_tell(c);
	else if (!wake_timer.armed)
		loop_timer_set(&wake_timer, now_ns() + WAKE_NS);
}

/* The memory of @c's queue.  Return: its descriptor for the consumer, or -Exxx */
static int queue_make(struct consumer *c)
{
	int fd = memfd_create("capture", MFD_CLOEXEC | MFD_ALLOW_SEALING), err;
	void *map;

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, QUEUE_SIZE) < 0)
		goto fail;
	map = mmap(NULL, QUEUE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		goto fail;
	c->map = map;
	/* From now on nobody else can write to it, nor punch holes. */
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) < 0)
		goto fail;
	queue_head(c)->magic = JS_CAP_QUEUE_MAGIC;
	queue_head(c)->n_blocks = N_BLOCKS;
	while (c->n_spare < N_BLOCKS) {
		c->spare[c->n_spare] = (uint8_t)(N_BLOCKS - 1 - c->n_spare);
		c->n_spare++;
	}
	return fd;
fail:
	err = -errno;
	close(fd);
	return err;
}

/* SIGBUS at @page: is it of a queue?  Then that is given up.  In the handler. */
bool capture_fault(const uint8_t *page)
{
	for (int i = 0; i < N_CONSUMERS; i++) {
		struct consumer *c = &consumers[i];

		if (!c->map || page < c->map || page >= c->map + QUEUE_SIZE)
			continue;
		c->fault = 1;
		return true;
	}
	return false;
}

/* --- blocks ------------------------------------------------------------------------ */

static void write_shb(struct consumer *c)
{
	struct block b = { .len = 0 };
	struct utsname u;
	char os[100] = "Linux";

	if (!uname(&u))
		snprintf(os, sizeof(os), "%.20s %.70s", u.sysname, u.release);
	put_u32(&b, BT_SHB);
	put_u32(&b, 0);
	put_u32(&b, SHB_MAGIC);
	put_u16(&b, 1);
	put_u16(&b, 0);
	put_u64(&b, UINT64_MAX);	/* section length: not known */
	put_option(&b, SHB_OS, os, strlen(os));
	put_option(&b, SHB_USERAPPL, "jetringd " LAB_VERSION, strlen("jetringd " LAB_VERSION));
	put_option(&b, OPT_END, "", 0);
	put_total(&b);
	queue_put(c, b.p, b.len);
}

static void write_idb(struct consumer *c, const struct station *s)
{
	struct block b = { .len = 0 };
	char description[100];
	int n = snprintf(description, sizeof(description), "Jetstream ring %s, Ring ID %u",
			 lab.name, s->ring_id);

	put_u32(&b, BT_IDB);
	put_u32(&b, 0);
	put_u16(&b, JS_DLT);
	put_u16(&b, 0);
	put_u32(&b, c->snaplen);
	put_option(&b, IF_NAME, s->name, strlen(s->name));
	put_option(&b, IF_DESCRIPTION, description, (size_t)n);
	put_option(&b, IF_TSRESOL, "\x09", 1);	/* 10^-9 s */
	put_option(&b, OPT_END, "", 0);
	put_total(&b);
	queue_put(c, b.p, b.len);
	c->if_index[s->ring_id] = c->n_if++;
}

static void write_isbs(struct consumer *c)
{
	uint64_t now = now_ns();

	for (unsigned int id = 0; id < JS_N_RING_IDS; id++) {
		struct block b = { .len = 0 };

		if (!(c->nodes >> id & 1) || queue_room(c, N_BLOCKS) < BLOCK_MAX)
			continue;
		put_u32(&b, BT_ISB);
		put_u32(&b, 0);
		put_u32(&b, c->if_index[id]);
		put_time(&b, now);
		put_u16(&b, ISB_STARTTIME);
		put_u16(&b, 8);
		put_time(&b, c->start_ns);
		put_u16(&b, ISB_ENDTIME);
		put_u16(&b, 8);
		put_time(&b, now);
		put_u16(&b, ISB_IFRECV);
		put_u16(&b, 8);
		put_u64(&b, c->if_recv[id]);
		put_u16(&b, ISB_IFDROP);
		put_u16(&b, 8);
		put_u64(&b, c->if_drop[id]);
		put_option(&b, OPT_END, "", 0);
		put_total(&b);
		queue_put(c, b.p, b.len);
	}
}

/* What comes behind the packet data of an EPB, from its padding on. */
static void epb_options(struct block *b, const struct consumer *c, uint32_t caplen,
			const struct capture_facts *facts)
{
	static const uint8_t zero[4];
	uint32_t flags = 0;

	if (facts->dir == JS_CAP_TX)
		flags = EPB_OUTBOUND;
	else if (facts->dir == JS_CAP_RX)
		flags = EPB_INBOUND | (facts->flags & JS_CAP_F_CORRUPT ? EPB_CRC_ERROR : 0);
	put(b, zero, -caplen & 3);
	put_option(b, EPB_FLAGS, &flags, sizeof(flags));
	if (facts->frame_id) {
		uint64_t id = facts->frame_id;

		put_option(b, EPB_PACKETID, &id, sizeof(id));
	}
	if (c->dropped[facts->station])
		put_option(b, EPB_DROPCOUNT, &c->dropped[facts->station], sizeof(c->dropped[0]));
	put_option(b, OPT_END, "", 0);
}

/*
 * One Enhanced Packet Block.  @hdr is struct js_cap_hdr and the B-ISDN header,
 * @tail pad and trailer: with the SDU in between they are the packet.
 */
static void write_epb(struct consumer *c, const struct frame *f, const struct capture_facts *facts,
		      const struct iovec *hdr, const struct iovec *tail)
{
	uint32_t len = (uint32_t)hdr->iov_len + f->sdu_len + (uint32_t)tail->iov_len;
	uint32_t caplen = MIN(len, c->snaplen);
	struct block b = { .len = 0 }, opts = { .len = 0 };
	size_t left = caplen;
	uint32_t total;

	epb_options(&opts, c, caplen, facts);
	total = (uint32_t)(28 + caplen + opts.len + 4);
	c->if_recv[facts->station]++;
	if (record_room(c, facts->ring_ns) < total + SPARE_ROOM) {
		c->full_ns = facts->ring_ns;
		c->dropped[facts->station]++;
		c->if_drop[facts->station]++;
		stats.dropped++;
		return;
	}
	put_u32(&b, BT_EPB);
	put_u32(&b, total);
	put_u32(&b, c->if_index[facts->station]);
	put_time(&b, facts->ring_ns);
	put_u32(&b, caplen);
	put_u32(&b, len);
	queue_put(c, b.p, b.len);
	for (int i = -1; i <= f->n_iov && left; i++) {
		const struct iovec *v = i < 0 ? hdr : i < f->n_iov ? &f->iov[i] : tail;
		size_t n = MIN(left, v->iov_len);

		queue_put(c, v->iov_base, n);
		left -= n;
	}
	put_u32(&opts, total);
	queue_put(c, opts.p, opts.len);
	c->dropped[facts->station] = 0;
	stats.records++;
	queue_publish(c);
}

/* A frame as filters see it: @v[0] its facts, then the SDU. */
struct filter_view {
	struct js_cap_facts facts;
	struct iovec v[1 + FRAME_IOV];
	int n;				/* pieces; 0: not made yet */
};

static void view_make(struct filter_view *w, const struct frame *f, const struct capture_facts *facts)
{
	uint8_t first = f->n_iov && f->iov[0].iov_len ? *(const uint8_t *)f->iov[0].iov_base : 0;

	w->facts = (struct js_cap_facts) {
		.vci_be = htons(f->vci),
		.src = f->src,
		.station = facts->station,
		.dir = facts->dir,
		.flags_be = htons(facts->flags),
		.uucpi_be = htons(f->uucpi),
		.proto_be = htons(js_cap_proto(f->vci, first)),
	};
	w->v[0] = (struct iovec) { &w->facts, sizeof(w->facts) };
	memcpy(w->v + 1, f->iov, (size_t)f->n_iov * sizeof(f->iov[0]));
	w->n = 1 + f->n_iov;
}

static bool wanted(const struct consumer *c, struct filter_view *w, const struct frame *f,
		   const struct capture_facts *facts)
{
	if (!c->started || !(c->nodes >> facts->station & 1))
		return false;
	if (facts->dir == JS_CAP_RX && !c->arrivals)
		return false;
	if (f->vci == vci_mcast(JS_STREAM_MGMT) && !c->tokens)
		return false;
	if (!c->n_filter)
		return true;
	if (!w->n)
		view_make(w, f, facts);
	return cbpf_run(c->filter, w->v, w->n, (uint32_t)sizeof(w->facts) + f->sdu_len);
}

/**
 * capture_frame() - Record a frame
 * @f:		The frame, its CRC made, its memory still its source's
 * @facts:	What the record says besides
 *
 * The frame is recorded as its sender made it, also if it arrived corrupted.
 */
void capture_frame(const struct frame *f, const struct capture_facts *facts)
{
	uint8_t h[sizeof(struct js_cap_hdr) + JS_HDR_LEN], t[JS_CELL + JS_TRAILER_LEN];
	struct js_cap_hdr cap = {
		.version = JS_CAP_VERSION,
		.hdr_len = sizeof(cap),
		.station = facts->station,
		.dir = facts->dir,
		.flags_be = htons(facts->flags),
		.src = f->src,
		.frame_len_be = htonl(aal5_frame_len(f->sdu_len)),
		.frame_id_be = htonl(facts->frame_id),
		.token_id_be = htobe64(facts->token_id),
		.ring_ns_be = htobe64(facts->ring_ns),
	};
	struct iovec hdr = { h, sizeof(h) };
	struct iovec tail = { t, aal5_tail(t, f->sdu_len, f->uucpi, f->crc) };
	struct filter_view view = { .n = 0 };

	memcpy(h, &cap, sizeof(cap));
	aal5_header(h + sizeof(cap), f->vci);
	for (int i = 0; i < N_CONSUMERS; i++) {
		struct consumer *c = &consumers[i];

		if (wanted(c, &view, f, facts))
			write_epb(c, f, facts, &hdr, &tail);
	}
}

/* --- requests ------------------------------------------------------------------------ */

/* "n1,n2".  Return: false if one is no node */
static bool parse_nodes(struct consumer *c, char *names)
{
	char *save = NULL;

	c->nodes = 0;
	c->all_nodes = false;
	for (char *w = strtok_r(names, ",", &save); w; w = strtok_r(NULL, ",", &save)) {
		struct station *s = lab_station(w);

		if (!s)
			return false;
		c->nodes |= (uint16_t)(1u << s->ring_id);
	}
	return c->nodes;
}

/* Exactly @n hexadecimal digits at @p. */
static bool hex(const char *p, int n, uint32_t *to)
{
	uint32_t v = 0;

	for (; n; n--, p++) {
		if (!isxdigit((unsigned char)*p))
			return false;
		v = v << 4 | (uint32_t)(isdigit((unsigned char)*p) ? *p - '0' : (*p | 0x20) - 'a' + 10);
	}
	*to = v;
	return true;
}

/* Return: false if it is no program that may be run */
static bool parse_filter(struct consumer *c, const char *p)
{
	c->n_filter = 0;
	for (; *p; p += 16) {
		uint32_t code, jt, jf, k;

		/* Digits end at the 0 that ends the word: nothing behind it is read. */
		if (c->n_filter == JS_CAP_FILTER_MAX || !hex(p, 4, &code) || !hex(p + 4, 2, &jt) ||
		    !hex(p + 6, 2, &jf) || !hex(p + 8, 8, &k))
			return false;
		c->filter[c->n_filter++] = (struct sock_filter) { (uint16_t)code, (uint8_t)jt, (uint8_t)jf, k };
	}
	return cbpf_ok(c->filter, c->n_filter);
}

/* Return: NULL, or what is wrong with the request */
static const char *parse_request(struct consumer *c, char *line)
{
	char *save = NULL, *w = strtok_r(line, " ", &save), *end;

	if (!w || strcmp(w, "capture"))
		return "the request must begin with \"capture\"";
	while ((w = strtok_r(NULL, " ", &save))) {
		if (!strncmp(w, "nodes=", 6)) {
			if (!parse_nodes(c, w + 6))
				return "nodes= wants names of nodes of this lab, as in nodes=n1,n2";
		} else if (!strcmp(w, "rx=1") || !strcmp(w, "rx=0")) {
			c->arrivals = w[3] == '1';
		} else if (!strcmp(w, "tokens=1") || !strcmp(w, "tokens=0")) {
			c->tokens = w[7] == '1';
		} else if (!strncmp(w, "snaplen=", 8)) {
			unsigned long v = strtoul(w + 8, &end, 10);

			if (end == w + 8 || *end || v < SNAPLEN_MIN || v > JS_CAP_SNAPLEN)
				return "snaplen= wants 64 to 131072 octets";
			c->snaplen = (uint32_t)v;
		} else if (!strncmp(w, "filter=", 7)) {
			if (!parse_filter(c, w + 7))
				return "filter= wants classic BPF, at most 512 instructions, no loop";
		} else {
			return "known words are nodes=, rx=, tokens=, snaplen= and filter=";
		}
	}
	return NULL;
}

static uint16_t nodes_now(void)
{
	uint16_t nodes = 0;

	for (unsigned int id = 0; id < JS_N_RING_IDS; id++)
		if (stations[id].used)
			nodes |= (uint16_t)(1u << id);
	return nodes;
}

/* The answer to a request: @text and perhaps a descriptor. */
static bool answer(const struct consumer *c, const char *text, int fd)
{
	struct iovec iov = { (void *)text, strlen(text) };
	union {
		struct cmsghdr hdr;
		char buf[CMSG_SPACE(sizeof(fd))];
	} u = { .hdr = { .cmsg_len = CMSG_LEN(sizeof(fd)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS } };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd >= 0) {
		memcpy(CMSG_DATA(&u.hdr), &fd, sizeof(fd));
		msg.msg_control = &u;
		msg.msg_controllen = sizeof(u.buf);
	}
	return sendmsg(c->lf.fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0;
}

static void refuse(struct consumer *c, const char *why)
{
	char text[200];

	stats.bad_requests++;
	snprintf(text, sizeof(text), "error: %s", why);
	answer(c, text, -1);
	consumer_close(c);
}

static void begin(struct consumer *c, char *line)
{
	const char *wrong = parse_request(c, line);
	bool is_sent;
	int fd;

	if (wrong) {
		refuse(c, wrong);
		return;
	}
	fd = queue_make(c);
	if (fd < 0) {
		refuse(c, "no memory for a queue");
		return;
	}
	is_sent = answer(c, "ok", fd);
	close(fd);
	if (!is_sent) {
		consumer_close(c);
		return;
	}
	/* Nodes may have come and gone since it connected. */
	if (c->all_nodes)
		c->nodes = nodes_now();
	c->start_ns = now_ns();
	c->started = true;
	stats.n_consumers = ++n_started;
	n_arrivals += c->arrivals;
	n_tokens += c->tokens;
	write_shb(c);
	for (unsigned int id = 0; id < JS_N_RING_IDS; id++)
		if (c->nodes >> id & 1)
			write_idb(c, &stations[id]);
	queue_publish(c);
}

/* One that comes again has its interface. */
void capture_station_added(const struct station *s)
{
	for (int i = 0; i < N_CONSUMERS; i++) {
		struct consumer *c = &consumers[i];

		if (!c->started || !c->all_nodes || (c->nodes >> s->ring_id & 1))
			continue;
		if (queue_room(c, N_BLOCKS) < BLOCK_MAX) {
			log_warn("capture: no room for the interface of %s, it is not recorded", s->name);
			continue;
		}
		c->nodes |= (uint16_t)(1u << s->ring_id);
		write_idb(c, s);
		queue_publish(c);
	}
}

/* The statistics; what is queued stays where the consumer has it mapped. */
static void consumer_end(struct consumer *c)
{
	if (c->started) {
		write_isbs(c);
		atomic_store_explicit(&queue_head(c)->tail, c->tail, memory_order_release);
	}
	consumer_close(c);
}

/* Return: false if it lies */
static bool take(struct consumer *c, const void *p, size_t len)
{
	struct js_cap_taken t;

	if (len != sizeof(t))
		return false;
	memcpy(&t, p, sizeof(t));
	if (t.n < c->taken || t.n > c->tail)
		return false;
	for (uint64_t k = c->taken / JS_CAP_BLOCK; k < t.n / JS_CAP_BLOCK; k++)
		c->spare[c->n_spare++] = c->order[k % N_BLOCKS];
	c->taken = t.n;
	return true;
}

static void consumer_ready(struct loop_fd *lf, uint32_t events)
{
	struct consumer *c = container_of(lf, struct consumer, lf);
	char packet[JS_CAP_REQUEST_MAX + 1];
	ssize_t n;

	(void)events;
	n = recv(lf->fd, packet, sizeof(packet), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		consumer_close(c);
	} else if (n == 0) {
		consumer_end(c);
	} else if (!c->started && n <= JS_CAP_REQUEST_MAX) {
		packet[n] = '\0';
		begin(c, packet);
	} else if (!c->started || !take(c, packet, (size_t)n)) {
		stats.bad_requests++;
		consumer_close(c);
	}
}

static void listener_ready(struct loop_fd *lf, uint32_t events)
{
	int fd = accept4(lf->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct consumer *c = consumers;

	(void)events;
	if (fd < 0)
		return;
	while (c < consumers + N_CONSUMERS && c->lf.fd >= 0)
		c++;
	if (c == consumers + N_CONSUMERS) {
		log_warn("capture: refused, %d are running", N_CONSUMERS);
		goto close;
	}
	c->lf = (struct loop_fd) { .fd = fd, .ready = consumer_ready };
	c->snaplen = JS_CAP_SNAPLEN;
	c->all_nodes = true;
	if (!loop_add(&c->lf, EPOLLIN | EPOLLRDHUP))
		return;
	c->lf.fd = -1;
close:
	stats.bad_requests++;
	close(fd);
}

int capture_start(const char *path)
{
	for (int i = 0; i < N_CONSUMERS; i++)
		consumers[i].lf.fd = -1;
	wake_timer.fire = on_wake;
	listener.ready = listener_ready;
	return sock_listen(&listener, SOCK_SEQPACKET, path, 0660, "wireshark");
}

void capture_stop(void)
{
	sock_unlisten(&listener);
	for (int i = 0; i < N_CONSUMERS; i++)
		if (consumers[i].lf.fd >= 0)
			consumer_end(&consumers[i]);
	loop_timer_del(&wake_timer);
}
