/* SPDX-License-Identifier: BSD-2-Clause */
/* clock.h - the only place that reads a clock */
#ifndef COMMON_CLOCK_H
#define COMMON_CLOCK_H

#include <stdint.h>

/* CLOCK_MONOTONIC; the same in every namespace and process of a machine. */
uint64_t now_us(void);
uint64_t now_ns(void);

/* CLOCK_REALTIME, microseconds, when now_us() was @at_us; as it is set now. */
uint64_t real_us(uint64_t at_us);

#endif
