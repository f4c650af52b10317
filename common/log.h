/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * log.h - leveled log lines on standard error, prefixed by who says it
 *
 * One write(2) a line, so lines of several processes do not mix.  Trace lines
 * ("LOG_TRACE") carry what tests look for: control messages by name, state
 * changes.  JETSTREAM_TRACE=1 in the environment, or log_init(), turns them on.
 */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include <stdbool.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_TRACE };

extern enum log_level log_level;	/* what is printed: this and above */

/* @who: "jetconnd n1", kept as a pointer.  @fd: where lines go, 2 by default. */
void log_init(const char *who, int fd);
void log_line(enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#define log_error(...)	log_line(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)	log_line(LOG_WARN, __VA_ARGS__)
#define log_info(...)	log_line(LOG_INFO, __VA_ARGS__)
#define log_trace(...)	do { if (log_level >= LOG_TRACE) log_line(LOG_TRACE, __VA_ARGS__); } while (0)

#endif
