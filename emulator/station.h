/* SPDX-License-Identifier: BSD-2-Clause */
/* station.h - the adapters' sending and receiving side, towards the ring */
#ifndef EMULATOR_STATION_H
#define EMULATOR_STATION_H

#include "emulator/emu.h"
#include "emulator/ring.h"

/* What the ring asks of all stations. */
extern const struct ring_ops station_ops;

/* Put @s on the ring @r. */
void station_start(struct ring *r, struct station *s);
/* See what the sources of kicked stations have; whether anything was kicked. */
bool station_serve(uint64_t now_ns);
/* Give out one frame that impairments delayed, if it is due.  Ring time of the
 * next; up to @now_ns: call again; UINT64_MAX: none waits. */
uint64_t station_delayed(uint64_t now_ns);
/* Take @s off the ring: all frames go back to their sources, also one on the ring. */
void station_stop(struct station *s);

#endif
