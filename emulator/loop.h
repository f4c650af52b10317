/* SPDX-License-Identifier: BSD-2-Clause */
/* loop.h - running the loop; what is registered with it is in emu.h */
#ifndef EMULATOR_LOOP_H
#define EMULATOR_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#define LOOP_FOREVER	UINT64_MAX

int loop_init(void);	/* 0 or -Exxx */
void loop_fini(void);
/* Wait up to @timeout_ns and call ready() of what is; whether anything was. */
bool loop_wait(uint64_t timeout_ns);
/* Fire what is due; when the next one is, or LOOP_FOREVER. */
uint64_t loop_timers(uint64_t now_ns);

#endif
