/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lab.c - what a lab is: its directory, lock and record; jet
 *
 * /run/jetstream/LAB, 0755, holds
 *
 *	topology.ini	what up was asked for (topo.c)
 *	nK		"DEV:INO" of the namespace we made for node K
 *	jetringd.pid	"PID START" of jetringd
 *	jetringd.log	what it says
 *	*.sock		jetringd's
 *
 * The lock is flock(2) on the directory itself, so that nothing is left when
 * it goes; who gets it checks that the directory is still the one of that name.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "netns/jet.h"

static void lab_init(struct lab *l, const char *name)
{
	memset(l, 0, sizeof(*l));
	l->dir_fd = -1;
	snprintf(l->name, sizeof(l->name), "%s", name);
	snprintf(l->dir, sizeof(l->dir), JS_RUN_DIR "/%s", name);
}

int lab_read(const struct lab *l, const char *file, char *buf, size_t size)
{
	int fd = openat(l->dir_fd, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, buf, size - 1);
	close(fd);
	if (n < 0)
		return -EIO;
	buf[n] = '\0';
	return 0;
}

int lab_note(const struct lab *l, const char *file, const char *text)
{
	char tmp[40];
	size_t len = strlen(text);
	int fd, err = 0;

	snprintf(tmp, sizeof(tmp), ".%s", file);
	fd = openat(l->dir_fd, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return -errno;
	if (write(fd, text, len) != (ssize_t)len)
		err = -EIO;
	close(fd);
	if (!err && renameat(l->dir_fd, tmp, l->dir_fd, file))
		err = -errno;
	return err;
}

void lab_reload(struct lab *l)
{
	char buf[64], path[96];
	unsigned long long start;
	int pid;

	l->ringd.pid = 0;
	if (!lab_read(l, "jetringd.pid", buf, sizeof(buf)) && sscanf(buf, "%d %llu", &pid, &start) == 2) {
		l->ringd.pid = pid;
		l->ringd.start = start;
	}
	snprintf(path, sizeof(path), "%s/topology.ini", l->dir);
	l->has_topo = !access(path, R_OK) && !topo_read(&l->topo, path);
}

int lab_open(struct lab *l, const char *name)
{
	lab_init(l, name);
	l->dir_fd = open(l->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (l->dir_fd < 0)
		return -errno;
	lab_reload(l);
	return 0;
}

void lab_close(struct lab *l)
{
	if (l->dir_fd >= 0)
		close(l->dir_fd);
	l->dir_fd = -1;
}

static int lab_mkdir(struct lab *l)
{
	if (mkdir(JS_RUN_DIR, 0755) < 0 && errno != EEXIST)
		return -errno;
	if (mkdir(l->dir, 0755) == 0) {
		l->made = true;
		/* Whatever the umask is. */
		return chmod(JS_RUN_DIR, 0755) || chmod(l->dir, 0755) ? -errno : 0;
	}
	return errno == EEXIST ? 0 : -errno;
}

int lab_lock(struct lab *l, const char *name, bool create)
{
	struct stat mine, there;
	bool waited = false;
	int err;

	lab_init(l, name);
	for (;;) {
		if (got_signal)
			return -EINTR;
		err = create ? lab_mkdir(l) : 0;
		/* Another's down may remove the upper directory meanwhile. */
		if (err == -ENOENT)
			continue;
		if (err)
			return err;
		l->dir_fd = open(l->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (l->dir_fd < 0) {
			if (create && errno == ENOENT)
				continue;
			return -errno;
		}
		if (flock(l->dir_fd, LOCK_EX | LOCK_NB) < 0) {
			if (errno == EWOULDBLOCK && !waited) {
				say("another jet is changing lab %s; waiting for it", name);
				waited = true;
			}
			if (flock(l->dir_fd, LOCK_EX) < 0) {
				err = -errno;
				lab_close(l);
				return err;
			}
		}
		if (!fstat(l->dir_fd, &mine) && !stat(l->dir, &there) &&
		    mine.st_ino == there.st_ino && mine.st_dev == there.st_dev)
			break;
		l->made = false;
		lab_close(l);
	}
	lab_reload(l);
	return 0;
}

int lab_remove(struct lab *l)
{
	struct dirent *de;
	int err = 0, fd = openat(l->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d) {
		if (fd >= 0)
			close(fd);
		return -EIO;
	}
	while ((de = readdir(d))) {
		if (!strcmp(de->d_name, ".") || !strcmp(de->d_name, ".."))
			continue;
		if (unlinkat(l->dir_fd, de->d_name, 0) < 0)
			err = -errno;
	}
	closedir(d);
	if (rmdir(l->dir) < 0)
		err = -errno;
	/* Goes with the last lab. */
	rmdir(JS_RUN_DIR);
	return err;
}

int need_root(void)
{
	if (geteuid() == 0)
		return ST_OK;
	return fail("this needs root: type \"sudo jet %s …\"", talk_verb);
}

int lab_need(const struct opts *o, struct lab *l, bool alive)
{
	char name[LAB_NAME_MAX + 1];
	int err, st = lab_wanted(o, name);

	if (st)
		return st;
	err = lab_open(l, name);
	if (err == -ENOENT || (!err && !l->has_topo)) {
		lab_close(l);
		return fail("lab %s is not up; \"jet up%s%s\" makes it, \"jet list\" shows those that are",
			    name, strcmp(name, "lab") ? " -n " : "", strcmp(name, "lab") ? name : "");
	}
	if (err)
		return fail("cannot open %s: %s", l->dir, strerror(-err));
	if (alive && !proc_alive(&l->ringd)) {
		st = fail("jetringd of lab %s died: run \"jet up%s%s\" to repair", name,
			  strcmp(name, "lab") ? " -n " : "", strcmp(name, "lab") ? name : "");
		lab_close(l);
	}
	return st;
}

unsigned int lab_node(const struct lab *l, const char *word)
{
	static char names[NODES_MAX][sizeof("n4294967295")];	/* as the compiler counts */
	const char *list[NODES_MAX];
	const char *digits = *word == 'n' ? word + 1 : word;
	char *end;
	unsigned long k = strtoul(digits, &end, 10);
	bool is_number = *digits >= '1' && *digits <= '9' && !*end;
	unsigned int i;

	if (is_number && k <= NODES_MAX && topo_has(&l->topo, (unsigned int)k))
		return (unsigned int)k;
	if (is_number && k <= l->topo.n_nodes) {
		fail("n%lu has left lab %s; \"jet up --nodes %u\" brings it back", k, l->name, l->topo.n_nodes);
		return 0;
	}
	for (i = 0; i < l->topo.n_nodes; i++) {
		snprintf(names[i], sizeof(names[i]), "n%u", i + 1);
		list[i] = names[i];
	}
	fail("lab %s has no node \"%s\": it has n1%s%s%s", l->name, word,
	     l->topo.n_nodes > 1 ? " to " : "", l->topo.n_nodes > 1 ? names[l->topo.n_nodes - 1] : "",
	     is_number ? "" : did_you_mean(word, list, l->topo.n_nodes));
	return 0;
}
