/* SPDX-License-Identifier: BSD-2-Clause */
/* ringctl.h - commands about the ring; what they are is in abi/ringctl.h */
#ifndef EMULATOR_RINGCTL_H
#define EMULATOR_RINGCTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int ringctl_start(const char *path);	/* 0 or -Exxx */
void ringctl_stop(void);
/* Run a command without a socket. */
const char *ringctl_command(char *line, size_t len, size_t *reply_octets);

#endif
