/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lab.c - a lab of our own, by running the jet beside us; jet-bench
 *
 * The lab is named after the first process, so that two jet-bench do not meet,
 * and a lab that was left by a kill -9 says whose it was.
 */
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/bench.h"

const char *lab_name;
static char jet_path[PATH_MAX];

void lab_init(void)
{
	static char name[24];
	ssize_t n = readlink("/proc/self/exe", jet_path, sizeof(jet_path) - 8);
	char *slash;

	snprintf(name, sizeof(name), "bench-%d", (int)getpid());
	lab_name = name;
	if (n < 0)
		die("cannot find out where this program is: %s", strerror(errno));
	jet_path[n] = '\0';
	slash = strrchr(jet_path, '/');
	strcpy(slash + 1, "jet");
	if (access(jet_path, X_OK) < 0)
		die("there is no %s: build it with \"make\"", jet_path);
}

/* jet VERB -n LAB ARG…: in a child, which it becomes. */
static void become_jet(int out_fd, const char *verb, va_list ap)
{
	const char *argv[LAB_ARGS + 5] = { jet_path, verb, "-n", lab_name };
	unsigned int n = 4;

	while (n < LAB_ARGS + 4 && (argv[n] = va_arg(ap, const char *)))
		n++;
	dup2(out_fd, STDOUT_FILENO);
	execv(jet_path, (char *const *)argv);
	die("cannot run %s: %s", jet_path, strerror(errno));
}

static pid_t start_jet(int out_fd, const char *verb, va_list ap)
{
	pid_t parent = getpid(), pid = fork();

	if (pid < 0)
		die("cannot fork: %s", strerror(errno));
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	become_jet(out_fd, verb, ap);
	return 0;
}

static char *read_all(int fd)
{
	size_t len = 0, size = 4096;
	char *buf = malloc(size);
	ssize_t n;

	while (buf && (n = read(fd, buf + len, size - 1 - len)) != 0) {
		if (n < 0)
			die("cannot read what jet says: %s", strerror(errno));
		len += (size_t)n;
		if (len == size - 1)
			buf = realloc(buf, size *= 2);
	}
	if (!buf)
		die("out of memory");
	buf[len] = '\0';
	return buf;
}

/* Its status as waitpid() has it. */
static int run_jet(char **text, const char *verb, va_list ap)
{
	int fd[2], status;
	pid_t pid;

	if (pipe2(fd, O_CLOEXEC) < 0)
		die("cannot make a pipe: %s", strerror(errno));
	pid = start_jet(fd[1], verb, ap);
	close(fd[1]);
	*text = read_all(fd[0]);
	close(fd[0]);
	if (waitpid(pid, &status, 0) != pid)
		die("cannot wait for jet: %s", strerror(errno));
	return status;
}

char *lab_jet(const char *verb, ...)
{
	char *text;
	va_list ap;
	int status;

	va_start(ap, verb);
	status = run_jet(&text, verb, ap);
	va_end(ap);
	if (status)
		die("\"jet %s\" has failed", verb);
	return text;
}

int lab_jet_try(char **text, const char *verb, ...)
{
	va_list ap;
	int status;

	va_start(ap, verb);
	status = run_jet(text, verb, ap);
	va_end(ap);
	return status;
}

pid_t lab_jet_start(int out_fd, const char *verb, ...)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	va_list ap;
	pid_t pid;

	va_start(ap, verb);
	pid = start_jet(out_fd < 0 ? null : out_fd, verb, ap);
	va_end(ap);
	close(null);
	return pid;
}

int lab_jet_end(pid_t pid, int sig)
{
	int status;

	kill(pid, sig);
	if (waitpid(pid, &status, 0) != pid)
		die("cannot wait for a process: %s", strerror(errno));
	return status;
}

void lab_up(unsigned int n_nodes, const char *rate, bool servers)
{
	char n[12];

	snprintf(n, sizeof(n), "%u", n_nodes);
	free(lab_jet("down", "-q", NULL));
	free(lab_jet("up", "-q", "--nodes", n, "--rate", rate, servers ? NULL : "--kernel-only", NULL));
}

void lab_down(void)
{
	pid_t pid = lab_jet_start(-1, "down", "-q", NULL);

	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

struct json_object *lab_status(void)
{
	char *text = lab_jet("status", "--json", NULL);
	struct json_object *status = json_tokener_parse(text);

	if (!status)
		die("cannot read what \"jet status\" says");
	free(text);
	return status;
}

pid_t lab_ringd(void)
{
	static pid_t pid;
	struct json_object *status, *j;

	if (pid > 0 && kill(pid, 0) == 0)
		return pid;
	status = lab_status();
	if (!json_object_object_get_ex(status, "jetringd_pid", &j))
		die("\"jet status\" does not say which process jetringd is");
	pid = (pid_t)json_object_get_int(j);
	json_object_put(status);
	return pid;
}

const char *lab_sock(unsigned int k)
{
	static char path[4][108];
	static unsigned int next;
	char *p = path[next++ % 4];

	snprintf(p, sizeof(path[0]), "/run/jetstream/%s/n%u.sock", lab_name, k);
	return p;
}
