/* SPDX-License-Identifier: BSD-2-Clause */
/* capture.h - the ring's frames as pcapng, for whoever connects to capture.sock */
#ifndef EMULATOR_CAPTURE_H
#define EMULATOR_CAPTURE_H

#include "abi/capture.h"
#include "emulator/emu.h"

/* A record of a frame, but for the frame itself; as in struct js_cap_hdr. */
struct capture_facts {
	uint8_t station;		/* Ring ID of the recording station */
	uint8_t dir;			/* JS_CAP_TX, … */
	uint16_t flags;			/* JS_CAP_F_* */
	uint32_t frame_id;		/* 0: local, it has none */
	uint64_t token_id;
	uint64_t ring_ns;		/* first bit at @station */
};

struct capture_stats {
	unsigned int n_consumers;
	uint64_t records, dropped;	/* written to queues; dropped because one was full */
	uint64_t bad_requests;
};

int capture_start(const char *path);	/* 0 or -Exxx */
void capture_stop(void);		/* statistics blocks, end; what is queued stays with its consumer */
bool capture_active(void);		/* is anybody interested? */
bool capture_wants_arrivals(void);
bool capture_wants_tokens(void);	/* token and management frames, abi/ring.h */
/* A station has come: captures of all nodes get an interface for it. */
void capture_station_added(const struct station *s);
/* Queue a record for each consumer that wants it.  Never waits. */
void capture_frame(const struct frame *f, const struct capture_facts *facts);
/* Is @page of a queue?  Then it is closed soon: port.c's SIGBUS handler asks. */
bool capture_fault(const uint8_t *page);
const struct capture_stats *capture_stats(void);

#endif
