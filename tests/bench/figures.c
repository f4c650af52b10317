/* SPDX-License-Identifier: BSD-2-Clause */
/* figures.c - medians and percentiles; what is printed; jet-bench */
#include <json-c/json.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "common/util.h"
#include "tests/bench/bench.h"

static int cmp_double(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double *figures(void)
{
	double *v = calloc(bench_opts.runs, sizeof(*v));

	if (!v)
		die("out of memory");
	return v;
}

double median(double *v, unsigned int n)
{
	qsort(v, n, sizeof(*v), cmp_double);
	return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

/* --- histogram ------------------------------------------------------------------ */

/* Below 16 each time has a place of its own; above, 16 an octave. */
static unsigned int hist_place(uint64_t ns)
{
	unsigned int log = ns ? 63u - (unsigned int)__builtin_clzll(ns) : 0;

	if (ns < HIST_SUB)
		return (unsigned int)ns;
	return MIN((log - 3) * HIST_SUB + (unsigned int)(ns >> (log - 4)) % HIST_SUB,
		   (unsigned int)(HIST_OCTAVES * HIST_SUB - 1));
}

/* The longest time that is counted at @place. */
static uint64_t hist_upper(unsigned int place)
{
	unsigned int log = place / HIST_SUB + 3;

	if (place < HIST_SUB)
		return place;
	return ((uint64_t)(HIST_SUB + place % HIST_SUB + 1) << (log - 4)) - 1;
}

void hist_add(struct hist *h, uint64_t ns)
{
	h->n++;
	h->sum += ns;
	h->max = MAX(h->max, ns);
	h->at[hist_place(ns)]++;
}

void hist_sum(struct hist *to, const struct hist *h)
{
	to->n += h->n;
	to->sum += h->sum;
	to->max = MAX(to->max, h->max);
	for (unsigned int i = 0; i < ARRAY_SIZE(h->at); i++)
		to->at[i] += h->at[i];
}

uint64_t hist_percentile(const struct hist *h, double percent)
{
	double need = (double)h->n * percent / 100;
	uint64_t seen = 0;

	for (unsigned int i = 0; i < ARRAY_SIZE(h->at); i++) {
		seen += h->at[i];
		if (seen && (double)seen >= need)
			return MIN(hist_upper(i), h->max);
	}
	return h->max;
}

/* --- the report -------------------------------------------------------------------- */

/* A row is a json-c object under another name. */
static struct json_object *root, *tables, *bars, *notes;

static struct json_object *row_json(struct row *r)
{
	return (struct json_object *)r;
}

void report_begin(const char *bench)
{
	struct utsname u;

	uname(&u);
	root = json_object_new_object();
	tables = json_object_new_object();
	bars = json_object_new_array();
	notes = json_object_new_array();
	json_object_object_add(root, "bench", json_object_new_string(bench));
	json_object_object_add(root, "quick", json_object_new_boolean(bench_opts.quick));
	json_object_object_add(root, "runs", json_object_new_int((int)bench_opts.runs));
	json_object_object_add(root, "run_s", json_object_new_double(bench_opts.seconds));
	json_object_object_add(root, "cpus", json_object_new_int((int)sysconf(_SC_NPROCESSORS_ONLN)));
	json_object_object_add(root, "kernel", json_object_new_string(u.release));
	json_object_object_add(root, "tables", tables);
	json_object_object_add(root, "bars", bars);
	json_object_object_add(root, "notes", notes);
}

struct row *report_row(const char *table)
{
	struct json_object *t, *r = json_object_new_object();

	if (!json_object_object_get_ex(tables, table, &t)) {
		t = json_object_new_array();
		json_object_object_add(tables, table, t);
	}
	json_object_array_add(t, r);
	return (struct row *)r;
}

/* Four digits are more than a figure is worth; no more in JSON either. */
static struct json_object *figure(double v)
{
	char s[32];

	if (!isfinite(v))
		return NULL;	/* null */
	if (fabs(v) >= 1000)
		snprintf(s, sizeof(s), "%.0f", v);
	else
		snprintf(s, sizeof(s), "%.4g", v);
	return json_object_new_double_s(v, s);
}

void row_text(struct row *r, const char *key, const char *text)
{
	json_object_object_add(row_json(r), key, json_object_new_string(text));
}

void row_num(struct row *r, const char *key, double v)
{
	json_object_object_add(row_json(r), key, figure(v));
}

void row_int(struct row *r, const char *key, uint64_t v)
{
	json_object_object_add(row_json(r), key, json_object_new_int64((int64_t)v));
}

void report_bar(const char *what, double value, double bar, bool is_max)
{
	struct json_object *b = json_object_new_object();
	/* A figure that could not be had is no figure that is good enough. */
	bool met = is_max ? value <= bar : value >= bar;

	json_object_object_add(b, "what", json_object_new_string(what));
	json_object_object_add(b, "value", figure(value));
	json_object_object_add(b, is_max ? "at_most" : "at_least", figure(bar));
	json_object_object_add(b, "met", json_object_new_boolean(met));
	json_object_array_add(bars, b);
}

void report_note(const char *fmt, ...)
{
	char s[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(s, sizeof(s), fmt, ap);
	va_end(ap);
	json_object_array_add(notes, json_object_new_string(s));
}

static const char *cell(struct json_object *row, const char *key)
{
	struct json_object *v;

	return json_object_object_get_ex(row, key, &v) && v ? json_object_get_string(v) : "-";
}

static void print_table(const char *name, struct json_object *t)
{
	struct json_object *first = json_object_array_get_idx(t, 0);
	size_t n = json_object_array_length(t), i;

	printf("%s\n", name);
	for (size_t line = 0; line <= n; line++) {
		json_object_object_foreach(first, key, unused) {
			struct json_object *row = line ? json_object_array_get_idx(t, line - 1) : NULL;
			size_t width = strlen(key);
			bool is_text = json_object_is_type(unused, json_type_string);

			for (i = 0; i < n; i++)
				width = MAX(width, strlen(cell(json_object_array_get_idx(t, i), key)));
			printf(is_text ? "  %-*s" : "  %*s", (int)width, row ? cell(row, key) : key);
		}
		putchar('\n');
	}
	putchar('\n');
}

static void print_bars(void)
{
	for (size_t i = 0; i < json_object_array_length(bars); i++) {
		struct json_object *b = json_object_array_get_idx(bars, i), *met;
		const char *least = cell(b, "at_least");

		json_object_object_get_ex(b, "met", &met);
		printf("%-6s  %s: %s (%s %s)\n", json_object_get_boolean(met) ? "met" : "MISSED",
		       cell(b, "what"), cell(b, "value"), *least == '-' ? "at most" : "at least",
		       *least == '-' ? cell(b, "at_most") : least);
	}
}

void report_print(void)
{
	if (bench_opts.quick)
		report_note("--quick: a test that it works, its figures say nothing");
	if (bench_opts.json) {
		puts(json_object_to_json_string_ext(root, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
						    JSON_C_TO_STRING_NOSLASHESCAPE));
		return;
	}
	printf("jet bench %s: medians of %u runs of %g s, %ld processors\n\n", cell(root, "bench"),
	       bench_opts.runs, bench_opts.seconds, sysconf(_SC_NPROCESSORS_ONLN));
	json_object_object_foreach(tables, name, t)
		print_table(name, t);
	print_bars();
	for (size_t i = 0; i < json_object_array_length(notes); i++)
		printf("%s\n", json_object_get_string(json_object_array_get_idx(notes, i)));
}
