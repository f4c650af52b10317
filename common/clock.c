/* SPDX-License-Identifier: BSD-2-Clause */
/* clock.c - the only place that reads a clock; any process */
#include <time.h>

#include "common/clock.h"

uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t now_us(void)
{
	return now_ns() / 1000;
}

uint64_t real_us(uint64_t at_us)
{
	struct timespec ts;
	uint64_t now = now_us();

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000 - (now - at_us);
}
