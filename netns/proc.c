/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * proc.c - processes by identity, not only by number; jet
 *
 * A pid in a file may by now be someone else's.  A process is its pid and the
 * time it started; signals go through a pidfd that was checked after opening,
 * so that they cannot hit a successor.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "netns/jet.h"

#define END_TERM_MS	1000	/* between TERM and KILL */
#define END_KILL_MS	2000

/* Field 22 of /proc/PID/stat, and whether it is a zombie. */
static int proc_stat(pid_t pid, uint64_t *start, char *state)
{
	char path[32], buf[512], *p;
	ssize_t n;
	int fd, i;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -ESRCH;
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	if (n <= 0)
		return -ESRCH;
	buf[n] = '\0';
	/* The name, field 2, may hold anything: count from its last ')'. */
	p = strrchr(buf, ')');
	if (!p || p[1] != ' ')
		return -ESRCH;
	p += 2;
	*state = *p;
	for (i = 3; i < 22; i++) {
		p = strchr(p, ' ');
		if (!p)
			return -ESRCH;
		p++;
	}
	*start = strtoull(p, NULL, 10);
	return 0;
}

int proc_of(pid_t pid, struct proc *p)
{
	char state;
	int err = proc_stat(pid, &p->start, &state);

	p->pid = err ? 0 : pid;
	return err;
}

bool proc_alive(const struct proc *p)
{
	uint64_t start;
	char state;

	return p->pid > 0 && !proc_stat(p->pid, &start, &state) && start == p->start &&
	       state != 'Z' && state != 'X';
}

static int proc_fd(const struct proc *p)
{
	int fd;

	if (p->pid <= 0)
		return -1;
	fd = (int)syscall(SYS_pidfd_open, p->pid, 0);
	if (fd >= 0 && !proc_alive(p)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static bool pidfd_wait(int fd, unsigned int ms)
{
	uint64_t end = now_us() + ms * 1000ull, now;
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	for (;;) {
		now = now_us();
		if (poll(&pfd, 1, now < end ? (int)((end - now + 999) / 1000) : 0) > 0)
			return true;
		if (now >= end)
			return false;
	}
}

bool proc_wait(const struct proc *p, unsigned int ms)
{
	int fd = proc_fd(p);
	bool gone = true;

	if (fd >= 0) {
		gone = pidfd_wait(fd, ms);
		close(fd);
	}
	return gone;
}

bool proc_end(const struct proc *p, int sig, unsigned int ms)
{
	int fd = proc_fd(p);
	bool gone;

	if (fd < 0)
		return true;
	syscall(SYS_pidfd_send_signal, fd, sig, NULL, 0);
	gone = pidfd_wait(fd, ms);
	close(fd);
	return gone;
}

static bool in_any(pid_t pid, const struct ns_id *ns, unsigned int n)
{
	char path[40];
	struct stat st;
	unsigned int i;

	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
	if (stat(path, &st) < 0)
		return false;
	for (i = 0; i < n; i++)
		if (st.st_dev == ns[i].dev && st.st_ino == ns[i].ino)
			return true;
	return false;
}

/* Which processes. */
struct which {
	const struct ns_id *ns;
	unsigned int n;
	const char *exe;		/* NULL: whatever they run */
	pid_t last;			/* one that was found */
};

static bool is_one(pid_t pid, const struct which *w)
{
	char path[40], exe[PATH_MAX];
	ssize_t n;

	if (pid == getpid() || !in_any(pid, w->ns, w->n))
		return false;
	if (!w->exe)
		return true;
	snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
	n = readlink(path, exe, sizeof(exe) - 1);
	if (n < 0)
		return false;
	exe[n] = '\0';
	/* A program that was built anew meanwhile reads "PATH (deleted)". */
	return !strncmp(exe, w->exe, strlen(w->exe)) &&
	       (!exe[strlen(w->exe)] || !strcmp(exe + strlen(w->exe), " (deleted)"));
}

/* Send @sig, unless 0, to each such process; returns how many there are. */
static unsigned int each(struct which *w, int sig)
{
	unsigned int found = 0;
	struct dirent *de;
	DIR *d;

	if (!w->n)
		return 0;
	d = opendir("/proc");
	if (!d)
		return 0;
	while ((de = readdir(d))) {
		struct proc p;
		int fd;

		if (!isdigit((unsigned char)de->d_name[0]) ||
		    proc_of((pid_t)atoi(de->d_name), &p) < 0 || !is_one(p.pid, w))
			continue;
		fd = proc_fd(&p);
		if (fd < 0)
			continue;
		/* Looked at again, now that it cannot be another any more. */
		if (is_one(p.pid, w)) {
			found++;
			w->last = p.pid;
			if (sig)
				syscall(SYS_pidfd_send_signal, fd, sig, NULL, 0);
		}
		close(fd);
	}
	closedir(d);
	return found;
}

unsigned int procs_count_in(const struct ns_id *ns, unsigned int n)
{
	struct which w = { .ns = ns, .n = n };

	return each(&w, 0);
}

pid_t procs_first_in(const struct ns_id *ns)
{
	struct which w = { .ns = ns, .n = 1 };

	return each(&w, 0) ? w.last : 0;
}

/* Send @sig until nobody is left or @ms have passed.  true: nobody is left. */
static bool all_end(struct which *w, int sig, unsigned int ms)
{
	uint64_t end = now_us() + ms * 1000ull;
	struct timespec nap = { .tv_nsec = 5000000 };

	/* TERM once, KILL again and again: someone may be forking. */
	each(w, sig);
	while (each(w, sig == SIGKILL ? sig : 0)) {
		if (now_us() >= end)
			return false;
		nanosleep(&nap, NULL);
	}
	return true;
}

unsigned int procs_end_in(const struct ns_id *ns, unsigned int n)
{
	struct which w = { .ns = ns, .n = n };
	unsigned int found = each(&w, SIGTERM);

	each(&w, SIGCONT);	/* who is stopped does not see TERM */
	if (found && !all_end(&w, 0, END_TERM_MS))
		all_end(&w, SIGKILL, END_KILL_MS);
	return found;
}

void procs_end_exe_in(const struct ns_id *ns, const char *exe)
{
	struct which w = { .ns = ns, .n = 1, .exe = exe };

	if (!all_end(&w, 0, END_TERM_MS))
		all_end(&w, SIGKILL, END_KILL_MS);
}
