/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cap.h - the parts of jet capture
 *
 *	capture.c	the verb: jetringd's stream or a file in, until told to stop
 *	capqueue.c	jetringd's queue
 *	capfilter.c	filter expressions
 *	capfile.c	what comes out: formats, files in a ring
 *	extcap.c	the same for Wireshark, as it wants to be served
 *
 * What passes are blocks of pcapng in this host's byte order, made by jetringd
 * or by anybody (-r): each length is checked before it is used.
 */
#ifndef NETNS_CAP_H
#define NETNS_CAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/uio.h>

#include "abi/capture.h"
#include "abi/ringctl.h"
#include "common/cbpf.h"

/* --- a record of a frame ---------------------------------------------------- */

/* What is in the packet data of a record; points into it. */
struct cap_record {
	struct js_cap_facts facts;
	const uint8_t *sdu;
	uint32_t sdu_cap;		/* octets of the SDU that were kept */
	uint32_t sdu_len;		/* of the SDU; of a frame cut short as its packet says, or with its PAD */
};

/* @data: @len octets, struct js_cap_hdr and what was kept of a frame.
 * Return: false if that is not what it is */
bool cap_record(struct cap_record *r, const uint8_t *data, uint32_t len);

/* --- capqueue.c --------------------------------------------------------------- */

/* jetringd's queue of a capture (abi/ringctl.h). */
struct cap_queue {
	int fd;				/* the connection: readable when there may be more, or the end */
	bool at_end;			/* jetringd queues nothing more */
	int memory;			/* of the queue; -1: not open yet */
	struct js_cap_queue *head;	/* its head, mapped */
	unsigned int n_blocks;
	uint8_t *area;			/* n_blocks + 1 places of JS_CAP_BLOCK octets */
	uint8_t shows[JS_CAP_BLOCKS_MAX + 1];	/* which block is mapped there */
	uint64_t taken;			/* octets that we took ever */
};

/* Ask for a capture.  0 or -Exxx. */
int capq_connect(struct cap_queue *q, const char *path, const char *line);
/**
 * capq_open() - Take the answer
 * @why:	What it was, in words: jetringd's error if it gave us no queue
 *
 * Return: 0; -EAGAIN, not yet; -EPROTO if it is no queue; -ECONNRESET: it has
 * closed without a word, as when too many captures run; other -Exxx
 */
int capq_open(struct cap_queue *q, char *why, size_t size);
/* Octets that are queued. */
size_t capq_len(const struct cap_queue *q);
/* Does the ring want the processors for itself? */
bool capq_ring_first(const struct cap_queue *q);
/* The first of them, *n in one piece, some megabytes; the last record may be
 * cut short by its end.  Ours until capq_take().  0 or -Exxx. */
int capq_data(struct cap_queue *q, const uint8_t **data, size_t *n);
/* The first @n octets are not needed any more. */
void capq_take(struct cap_queue *q, size_t n);
/* Read what jetringd says; at the end at_end.  Then look at capq_len().  0 or -Exxx. */
int capq_hear(struct cap_queue *q);
/* Ask for the statistics and the end. */
void capq_enough(struct cap_queue *q);
void capq_close(struct cap_queue *q);

/* --- capfilter.c ------------------------------------------------------------- */

struct cap_filter {
	struct sock_filter prog[JS_CAP_FILTER_MAX];
	size_t n;			/* instructions; 0: everything matches */
	bool tokens, arrivals;		/* it speaks of token frames, of arrivals */
};

#define CAP_FILTER_HEX	(16 * JS_CAP_FILTER_MAX + 1)

/**
 * capfilter_compile() - Make a program of an expression
 * @f:		The program
 * @expr:	pcap-filter(7), and words of our own about the ring
 * @why:	At failure: a sentence, without "." at the end
 *
 * Our words are replaced by comparisons with link[] (struct js_cap_facts), the
 * rest is libpcap's, compiled for JS_CAP_FILTER_DLT.
 *
 * Return: 0, or -EINVAL
 */
int capfilter_compile(struct cap_filter *f, const char *expr, char *why, size_t size);
/* The expression as libpcap gets it; 0 or -EINVAL and why. */
int capfilter_rewrite(const char *expr, char *to, size_t size, char *why, size_t why_size);
bool capfilter_match(const struct cap_filter *f, const struct cap_record *r);
/* The program for capture.sock's filter=. */
void capfilter_hex(const struct cap_filter *f, char to[CAP_FILTER_HEX]);

/* --- capfile.c ---------------------------------------------------------------- */

enum cap_format {
	CAP_PCAPNG,	/* blocks as they come */
	CAP_PCAP,	/* classic, ns: JS_DLT, the same packet data */
	CAP_SUNATM,	/* classic, ns: ATM pseudo-header, LLC/SNAP, SDU */
	CAP_RAW,	/* classic, ns: IP packets alone */
	CAP_N_FORMATS
};

extern const char *const cap_format_names[CAP_N_FORMATS];

#define CAP_IFS_MAX	64	/* interfaces of a section */
#define CAP_RING_MAX	10000	/* files of a ring */
#define CAP_HEAD_MAX	65536	/* octets of SHB and IDBs */
#define CAP_IOV		512	/* pieces written at once */
#define CAP_STAGE	(1u << 20)

/* Where records go.  Zeroed, what is public set, then opened. */
struct cap_out {
	const char *path;		/* "-" standard output */
	enum cap_format format;
	unsigned int ring_files;	/* 0: one file, else so many stay */
	uint64_t ring_size;		/* octets of a file of the ring, about */
	uint32_t snaplen;		/* octets of a record, for the header of classic pcap */
	bool live;			/* jetringd's: end files with statistics if it did not */
	bool ending;			/* give up on a reader that takes nothing for a while */
	bool behind;			/* much waits: save processor time, not disk time */

	/* for the report */
	uint64_t frames;		/* taken */
	uint64_t left_out;		/* no packet that this format can hold */
	uint64_t dropped;		/* in sections that have ended; see cap_dropped() */

	/* private */
	int fd;				/* -1: not open */
	int direct_fd;			/* the file past the page cache; -1: not open, -2: it cannot be */
	uint8_t *stage;			/* for it: CAP_STAGE octets, aligned; NULL: not needed yet */
	bool is_file;			/* regular: can be cut to whole records */
	uint64_t stuck_us;		/* since when its reader takes nothing; 0: it does */
	uint64_t base, size;		/* where we began in it; octets so far, all whole records */
	uint64_t file_frames;		/* in this file */
	struct iovec iov[CAP_IOV];	/* to be written: into the input, or into hdr */
	int n_iov;
	size_t n_queued;		/* octets in iov */
	uint8_t hdr[CAP_IOV / 2][32];	/* headers we made */
	int n_hdr;
	unsigned int serial;		/* of the ring's file, from 1 */
	char **names;			/* of the ring's files, by serial modulo ring_files */
	char *name;			/* of the file that is open, or should be: names or path */
	uint8_t *head;			/* SHB, IDBs: each file of a ring begins with them */
	size_t n_head;
	struct cap_if {
		bool ours;		/* of link type JS_DLT */
		bool has_stat;		/* its statistics were passed on */
		uint8_t tsresol;
		uint64_t recv, drop;	/* in this file */
		uint64_t recv_before, drop_before;	/* in files of the ring before */
		uint32_t last_t[2];	/* time stamp of its last record, as it stands */
	} ifs[CAP_IFS_MAX];
	unsigned int n_ifs;
};

/* Return: 0 or -Exxx; what could not be opened is o->name. */
int cap_open(struct cap_out *o);
/**
 * cap_block() - Take one block
 * @b:	A whole block of @len octets, its length checked; it stays where it is
 *	until cap_flush()
 *
 * @filter, if there is one, decides on frames.
 *
 * Return: 0; -Exxx, -EPROTO for a block whose inside is not sound
 */
int cap_block(struct cap_out *o, const struct cap_filter *filter, const uint8_t *b, uint32_t len);
int cap_flush(struct cap_out *o);
/* Write what is left, end the file.  After an error it holds whole records. */
int cap_close(struct cap_out *o);

/* Records that whoever captured could not keep. */
uint64_t cap_dropped(const struct cap_out *o);

/* "files:4,size:1m": false if it is not. */
bool cap_parse_ring(const char *s, unsigned int *files, uint64_t *size);

/* --- extcap.c ------------------------------------------------------------------ */

/* main() under the name jetextcap. */
int extcap_main(int argc, char **argv);

#endif
