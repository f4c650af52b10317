/* SPDX-License-Identifier: BSD-2-Clause */
/* talk.c - sentences to the user, and signals from him; jet */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/util.h"
#include "netns/jet.h"

const char *talk_verb;
bool talk_quiet;
volatile int got_signal;

static void vtalk(const char *kind, const char *fmt, va_list ap)
{
	char line[1024];
	int n = 0;

	n = snprintf(line, sizeof(line), "jet%s%s: %s", talk_verb ? " " : "",
		     talk_verb ? talk_verb : "", kind);
	n += vsnprintf(line + n, sizeof(line) - (size_t)n, fmt, ap);
	n = MIN(n, (int)sizeof(line) - 2);
	line[n++] = '\n';
	line[n] = '\0';
	fputs(line, stderr);
}

int fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vtalk("", fmt, ap);
	va_end(ap);
	return ST_FAILED;
}

int bad_usage(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vtalk("", fmt, ap);
	va_end(ap);
	return ST_USAGE;
}

void warn(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vtalk("warning: ", fmt, ap);
	va_end(ap);
}

void say(const char *fmt, ...)
{
	va_list ap;

	if (talk_quiet)
		return;
	va_start(ap, fmt);
	vtalk("", fmt, ap);
	va_end(ap);
}

/* Levenshtein's distance; words longer than the table are far from all. */
static unsigned int distance(const char *a, const char *b)
{
	unsigned int row[32], i, j, la = (unsigned int)strlen(a), lb = (unsigned int)strlen(b);

	if (la >= ARRAY_SIZE(row) || lb >= ARRAY_SIZE(row))
		return 99;
	for (j = 0; j <= lb; j++)
		row[j] = j;
	for (i = 1; i <= la; i++) {
		unsigned int diag = row[0];

		row[0] = i;
		for (j = 1; j <= lb; j++) {
			unsigned int sub = diag + (a[i - 1] != b[j - 1]);

			diag = row[j];
			row[j] = MIN(sub, MIN(row[j], row[j - 1]) + 1);
		}
	}
	return row[lb];
}

const char *did_you_mean(const char *word, const char *const *words, size_t n)
{
	static char hint[64];
	unsigned int best = 99;
	size_t i, at = 0;

	for (i = 0; i < n; i++) {
		unsigned int d = distance(word, words[i]);

		if (*word && !strncmp(words[i], word, strlen(word)))
			d = 1;
		if (d < best) {
			best = d;
			at = i;
		}
	}
	if (best > 2 || (best == 2 && strlen(word) < 4))
		return "";
	snprintf(hint, sizeof(hint), "; did you mean \"%s\"?", words[at]);
	return hint;
}

static void on_signal(int sig)
{
	got_signal = sig;
}

static const int caught[] = { SIGINT, SIGTERM, SIGHUP };

void catch_signals(bool also_ignored)
{
	/* No SA_RESTART: what waits shall return and see got_signal. */
	struct sigaction sa = { .sa_handler = on_signal }, old;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(caught); i++)
		if (!sigaction(caught[i], NULL, &old) && (also_ignored || old.sa_handler != SIG_IGN))
			sigaction(caught[i], &sa, NULL);
}

void uncatch_signals(void)
{
	struct sigaction old;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(caught); i++)
		if (!sigaction(caught[i], NULL, &old) && old.sa_handler == on_signal)
			signal(caught[i], SIG_DFL);
}
