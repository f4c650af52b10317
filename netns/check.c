/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check.c - is all there that a lab needs?; jet
 *
 * Each line: "ok", "MISSING" (a lab cannot come up) or "no" (something else
 * will not work), what it is, and how to mend it.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <json-c/json.h>
#include <limits.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "netns/jet.h"

#define NOBODY	65534

static struct json_object *rows;	/* --json */
static bool lacking;

static void row(bool ok, bool needed, const char *what, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* @fmt: a fact if ok, else how to mend it. */
static void row(bool ok, bool needed, const char *what, const char *fmt, ...)
{
	const char *state = ok ? "ok" : needed ? "MISSING" : "no";
	struct json_object *j;
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (!ok && needed)
		lacking = true;
	if (!rows) {
		printf("%-8s %-28s %s\n", state, what, text);
		return;
	}
	j = json_object_new_object();
	json_object_object_add(j, "what", json_object_new_string(what));
	json_object_object_add(j, "ok", json_object_new_boolean(ok));
	json_object_object_add(j, "needed", json_object_new_boolean(needed));
	json_object_object_add(j, ok ? "is" : "fix", json_object_new_string(text));
	json_object_array_add(rows, j);
}

/* Run @argv, its output (both) into @buf.  Its status, or -1. */
static int output_of(char *const argv[], void (*before)(const char *), const char *arg, char *buf, size_t size)
{
	int fds[2], status;
	size_t n = 0;
	ssize_t got;
	char rest[4096];
	pid_t pid;

	buf[0] = '\0';
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		dup2(fds[1], 1);
		dup2(fds[1], 2);
		if (before)
			before(arg);
		execvp(argv[0], argv);
		_exit(127);
	}
	close(fds[1]);
	while (pid > 0 && (got = read(fds[0], n < size - 1 ? buf + n : rest,
				      n < size - 1 ? size - 1 - n : sizeof(rest))) != 0) {
		if (got < 0 && errno != EINTR)
			break;
		if (got > 0 && n < size - 1)
			n += (size_t)got;
	}
	buf[n] = '\0';
	close(fds[0]);
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

static void check_system(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	int fd, status = 1;
	pid_t pid;

	row(geteuid() == 0, true, "root", geteuid() == 0 ? "yes" : "use sudo");
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (fd >= 0)
		row(true, true, "/dev/net/tun", "can be opened");
	else
		row(false, true, "/dev/net/tun", "%s: modprobe tun; in a container: --device /dev/net/tun",
		    strerror(errno));
	if (fd >= 0)
		close(fd);
	pid = fork();
	if (pid == 0)
		_exit(unshare(CLONE_NEWNET | CLONE_NEWNS) < 0 ? 1 : 0);
	if (pid > 0)
		waitpid(pid, &status, 0);
	row(status == 0, true, "namespaces", status == 0 ? "can be made" :
	    "may not be made: be root; in a container: --cap-add SYS_ADMIN");
	row(access("/run", W_OK) == 0, true, "/run", access("/run", W_OK) == 0 ? "can be written" :
	    "labs and namespaces are kept there: be root, mount a tmpfs on it");
	row(cpus >= 2, false, "processors", cpus >= 2 ? "%ld" :
	    "%ld: it works, but what is measured will be slow", cpus);
}

static void check_ours(void)
{
	char path[PATH_MAX], out[512];
	char *argv[] = { path, (char *)"--help", NULL };
	int st;

	if (beside("jetringd", path, sizeof(path))) {
		row(false, true, "jetringd", "not at %s: make", path);
	} else {
		/* The dynamic linker ends a program that lacks a library with 127. */
		st = output_of(argv, NULL, NULL, out, sizeof(out));
		out[strcspn(out, "\n")] = '\0';
		if (st == 127)
			row(false, true, "jetringd", "does not start: %s; make deps", out);
		else
			row(true, true, "jetringd", "%s", path);
	}
	st = beside("jetconnd", path, sizeof(path));
	row(!st, false, "jetconnd", st ? "not at %s: make" : "%s", path);
	st = beside("../lib/libjetstream-preload.so", path, sizeof(path));
	row(!st, false, "libjetstream-preload.so", st ? "not at %s: make" : "%s", path);
}

/* Wireshark ignores personal plugins when root runs it. */
static void be_nobody(const char *dir)
{
	char conf[PATH_MAX];

	if (geteuid() == 0 && (setgroups(0, NULL) < 0 || setgid(NOBODY) < 0 || setuid(NOBODY) < 0))
		_exit(126);
	snprintf(conf, sizeof(conf), "%s/conf", dir);
	setenv("HOME", dir, 1);
	setenv("WIRESHARK_CONFIG_DIR", conf, 1);
	setenv("WIRESHARK_PLUGIN_DIR", dir, 1);
}

static int copy_file(const char *from, const char *to)
{
	char buf[65536];
	ssize_t n = 0;
	int in = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);

	while (in >= 0 && out >= 0 && (n = read(in, buf, sizeof(buf))) > 0)
		if (write(out, buf, (size_t)n) != n)
			n = -1;
	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);
	return in < 0 || out < 0 || n < 0 ? -1 : 0;
}

/* Does this tshark take our plugin?  Asked as nobody, with a copy, because
 * neither root nor a closed home directory would show. */
static bool plugin_loads(const char *plugin, const char *version, char *out, size_t size)
{
	char dir[] = "/tmp/jet-check-XXXXXX", a[64], b[96], c[160];
	char *argv[] = { (char *)"tshark", (char *)"-G", (char *)"plugins", NULL };
	bool ok = false;

	if (!mkdtemp(dir))
		return false;
	snprintf(a, sizeof(a), "%s/%s", dir, version);
	snprintf(b, sizeof(b), "%s/epan", a);
	snprintf(c, sizeof(c), "%s/jetstream.so", b);
	if (!chmod(dir, 0755) && !mkdir(a, 0755) && !mkdir(b, 0755) && !copy_file(plugin, c)) {
		output_of(argv, be_nobody, dir, out, size);
		ok = strstr(out, "jetstream.so\t") != NULL;
	}
	unlink(c);
	rmdir(b);
	rmdir(a);
	rmdir(dir);
	return ok;
}

static void check_wireshark(void)
{
	static char out[65536];
	char path[PATH_MAX], version[16];
	char *argv[] = { (char *)"tshark", (char *)"--version", NULL };
	int major, minor;
	char *at;

	output_of(argv, NULL, NULL, out, sizeof(out));
	at = strstr(out, "TShark (Wireshark) ");
	if (!at || sscanf(at + 19, "%d.%d", &major, &minor) != 2) {
		row(false, false, "tshark", "apt install tshark");
		return;
	}
	row(major >= 4, false, "tshark", major >= 4 ? "%d.%d" : "%d.%d is too old, 4.0 is needed", major, minor);
	if (beside("../plugin/jetstream.so", path, sizeof(path)) &&
	    beside("../lib/jetstream/plugin/jetstream.so", path, sizeof(path))) {
		row(false, false, "plugin for Wireshark", "not built: apt install wireshark-dev, then make");
		return;
	}
	snprintf(version, sizeof(version), "%d.%d", major, minor);
	if (plugin_loads(path, version, out, sizeof(out)))
		row(true, false, "plugin for Wireshark", "loads into tshark %s", version);
	else
		row(false, false, "plugin for Wireshark", "%s does not load into tshark %s: make clean all", path,
		    version);
}

int verb_check(const struct opts *o)
{
	if (o->n_args)
		return bad_usage("check takes no \"%s\"", o->args[0]);
	if (o->json)
		rows = json_object_new_array();
	else
		setvbuf(stdout, NULL, _IOLBF, 0);
	check_system();
	check_ours();
	check_wireshark();
	if (o->json)
		puts(json_object_to_json_string_ext(rows, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE));
	return lacking ? ST_CHECK : ST_OK;
}
