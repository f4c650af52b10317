/* SPDX-License-Identifier: BSD-2-Clause */
/* log.c - leveled log lines; any process */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"

enum log_level log_level = LOG_INFO;

static const char *log_who = "jetstream";
static int log_fd = 2;

void log_init(const char *who, int fd)
{
	const char *trace = getenv("JETSTREAM_TRACE");

	log_who = who;
	log_fd = fd;
	if (trace && *trace && strcmp(trace, "0"))
		log_level = LOG_TRACE;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	static const char *const names[] = { "error: ", "warning: ", "", "" };
	int saved_errno = errno;
	char line[1024];
	va_list ap;
	int n;

	if (level > log_level)
		return;
	if (log_level >= LOG_TRACE)
		n = snprintf(line, sizeof(line), "%.6f %s: %s",
			     (double)now_us() / 1e6, log_who, names[level]);
	else
		n = snprintf(line, sizeof(line), "%s: %s", log_who, names[level]);
	va_start(ap, fmt);
	n += vsnprintf(line + n, sizeof(line) - (size_t)n, fmt, ap);
	va_end(ap);
	if (n > (int)sizeof(line) - 2)
		n = (int)sizeof(line) - 2;
	line[n++] = '\n';
	/* Nothing can be done if the log cannot be written. */
	if (write(log_fd, line, (size_t)n) < 0)
		errno = saved_errno;
	errno = saved_errno;
}
