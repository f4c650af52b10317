/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * replay.c - run a fuzz target on inputs that are kept
 *
 * NAME FILE|DIRECTORY...
 * For "make check", under the sanitizers, without a fuzzer.  A line at the end
 * says how many; an input that fails ends it, its name is said first.
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"

#define INPUT_MAX	65536

static unsigned int n_run;
static char current[4096];

/* The sanitizers end in SIGABRT, too, so that this is said. */
const char *__asan_default_options(void);
const char *__ubsan_default_options(void);

const char *__asan_default_options(void)
{
	return "abort_on_error=1";
}

const char *__ubsan_default_options(void)
{
	return "abort_on_error=1:print_stacktrace=1";
}

static void say_which(int sig)
{
	static const char head[] = "the input was ";
	ssize_t n = write(2, head, sizeof(head) - 1);

	n += write(2, current, strlen(current));
	n += write(2, "\n", 1);
	signal(sig, SIG_DFL);
	if (n)
		raise(sig);
}

static void run_file(const char *path)
{
	static uint8_t buf[INPUT_MAX];
	FILE *f = fopen(path, "rb");
	uint8_t *exact;
	size_t n;

	if (!f) {
		perror(path);
		exit(2);
	}
	n = fread(buf, 1, sizeof(buf), f);
	fclose(f);
	snprintf(current, sizeof(current), "%s", path);
	/* Of its exact size, so that ASan sees a read beyond it. */
	exact = malloc(n ? n : 1);
	if (!exact)
		abort();
	memcpy(exact, buf, n);
	LLVMFuzzerTestOneInput(exact, n);
	free(exact);
	n_run++;
}

static void run_path(const char *path)
{
	struct dirent *e;
	struct stat st;
	char name[4096];
	DIR *d;

	if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode)) {
		run_file(path);
		return;
	}
	d = opendir(path);
	if (!d && errno == ENOENT)
		return;		/* nothing of this kind is kept */
	if (!d) {
		perror(path);
		exit(2);
	}
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, e->d_name);
		run_file(name);
	}
	closedir(d);
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "usage: %s FILE|DIRECTORY...\n", argv[0]);
		return 2;
	}
	signal(SIGABRT, say_which);
	for (int i = 1; i < argc; i++)
		run_path(argv[i]);
	printf("%u inputs\n", n_run);
	return n_run ? 0 : 1;
}
