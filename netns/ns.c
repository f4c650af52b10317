/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ns.c - namespaces: make, recognise, enter, delete; jet
 *
 * A node is a network namespace named jet-LAB-nK in /run/netns, as ip-netns(8)
 * has them, so that "ip netns exec" and others find it.  Ours are those whose
 * loopback carries the alias "jetstream:LAB:nK", which is set before the
 * namespace gets its name; nothing else is ever entered, changed or deleted.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "abi/ctlmsg.h"
#include "netns/jet.h"

void ns_name(const char *lab, unsigned int k, char buf[64])
{
	snprintf(buf, 64, "jet-%s-n%u", lab, k);
}

void ns_path(const char *lab, unsigned int k, char buf[64])
{
	snprintf(buf, 64, NETNS_DIR "/jet-%s-n%u", lab, k);
}

static void ns_alias(const char *lab, unsigned int k, char buf[64])
{
	snprintf(buf, 64, "jetstream:%s:n%u", lab, k);
}

int ns_call(const char *path, int (*fn)(void *arg), void *arg)
{
	int fd, status;
	pid_t pid;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	pid = fork();
	if (pid == 0) {
		if (setns(fd, CLONE_NEWNET) < 0)
			_exit(255);
		_exit(fn(arg));
	}
	close(fd);
	if (pid < 0)
		return -errno;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) != 255 ? WEXITSTATUS(status) : -EIO;
}

static int has_alias(void *arg)
{
	char is[64];

	return netif_alias("lo", is, sizeof(is)) < 0 || strcmp(is, arg);
}

enum ns_state ns_look(const struct lab *l, unsigned int k, struct ns_id *id)
{
	char path[64], alias[64], rec[16];
	struct statfs fs;
	struct stat st;

	ns_path(l->name, k, path);
	if (lstat(path, &st) < 0)
		return NS_NONE;
	if (!S_ISREG(st.st_mode) || statfs(path, &fs) < 0)
		return NS_FOREIGN;
	if (fs.f_type != NSFS_MAGIC) {
		/* We were stopped between making the file and mounting on it. */
		snprintf(rec, sizeof(rec), "n%u", k);
		return l->dir_fd >= 0 && !faccessat(l->dir_fd, rec, F_OK, 0) && st.st_size == 0 ?
			NS_LEFT : NS_FOREIGN;
	}
	if (id) {
		id->dev = st.st_dev;
		id->ino = st.st_ino;
	}
	ns_alias(l->name, k, alias);
	return ns_call(path, has_alias, alias) == 0 ? NS_OURS : NS_FOREIGN;
}

bool ns_ours_by_proc(const char *lab, unsigned int k, const struct ns_id *id)
{
	pid_t pid = procs_first_in(id);
	char path[64], alias[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
	ns_alias(lab, k, alias);
	return pid && ns_call(path, has_alias, alias) == 0;
}

/* /run/netns as ip-netns(8) makes it: a shared mount of itself. */
static int netns_dir(void)
{
	bool bound = false;

	if (mkdir(NETNS_DIR, 0755) < 0 && errno != EEXIST)
		return -errno;
	while (mount("", NETNS_DIR, "none", MS_SHARED | MS_REC, NULL) < 0) {
		if (errno != EINVAL || bound)
			return -errno;
		if (mount(NETNS_DIR, NETNS_DIR, "none", MS_BIND | MS_REC, NULL) < 0)
			return -errno;
		bound = true;
	}
	return 0;
}

/* The helper: a namespace with its mark, held until @hold is closed. */
static void ns_hold(const char *alias, int told, int hold)
{
	char c = 1;

	if (unshare(CLONE_NEWNET) < 0 || netif_up("lo", alias, NULL, 0, NULL))
		_exit(1);
	if (write(told, &c, 1) == 1 && read(hold, &c, 1) < 0)
		_exit(1);
	_exit(0);
}

/* Give the namespace of @pid its name. */
static int ns_bind(const struct lab *l, unsigned int k, pid_t pid)
{
	char path[64], self[40], rec[16], text[64];
	struct stat st;
	int fd, err;

	snprintf(self, sizeof(self), "/proc/%d/ns/net", (int)pid);
	if (stat(self, &st) < 0)
		return -errno;
	/* The record first: then ns_look() knows the file, whatever happens. */
	snprintf(rec, sizeof(rec), "n%u", k);
	snprintf(text, sizeof(text), "%llu:%llu\n", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino);
	err = lab_note(l, rec, text);
	if (err)
		return err;
	ns_path(l->name, k, path);
	fd = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
	if (fd < 0)
		return -errno;
	close(fd);
	if (mount(self, path, "none", MS_BIND, NULL) < 0) {
		err = -errno;
		unlink(path);
	}
	return err;
}

int ns_make(const struct lab *l, unsigned int k)
{
	int told[2], hold[2], err;
	char alias[64], c;
	pid_t pid;

	err = netns_dir();
	if (err)
		return err;
	if (pipe2(told, O_CLOEXEC) < 0)
		return -errno;
	if (pipe2(hold, O_CLOEXEC) < 0) {
		err = -errno;
		close(told[0]);
		close(told[1]);
		return err;
	}
	ns_alias(l->name, k, alias);
	pid = fork();
	if (pid == 0) {
		close(told[0]);
		close(hold[1]);
		ns_hold(alias, told[1], hold[0]);
	}
	close(told[1]);
	close(hold[0]);
	if (pid < 0)
		err = -errno;
	else if (read(told[0], &c, 1) != 1)
		err = got_signal ? -EINTR : -EPERM;
	else
		err = ns_bind(l, k, pid);
	close(told[0]);
	close(hold[1]);
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return err;
}

int ns_delete(const struct lab *l, unsigned int k)
{
	enum ns_state is = ns_look(l, k, NULL);
	char path[64];

	if (is == NS_NONE)
		return 0;
	if (is == NS_FOREIGN)
		return -EPERM;
	ns_path(l->name, k, path);
	/* It may be mounted more than once if someone copied the mount tree. */
	while (is == NS_OURS && umount2(path, MNT_DETACH) == 0)
		;
	return unlink(path) < 0 ? -errno : 0;
}

/* Files of /etc/netns/NAME stand over those of /etc, as in ip-netns(8). */
static void bind_etc(const char *name)
{
	char dir[96], from[400], to[300];
	struct dirent *de;
	DIR *d;

	snprintf(dir, sizeof(dir), "/etc/netns/%s", name);
	d = opendir(dir);
	if (!d)
		return;
	while ((de = readdir(d))) {
		if (!strcmp(de->d_name, ".") || !strcmp(de->d_name, ".."))
			continue;
		snprintf(from, sizeof(from), "%s/%s", dir, de->d_name);
		snprintf(to, sizeof(to), "/etc/%s", de->d_name);
		if (mount(from, to, "none", MS_BIND, NULL) < 0)
			warn("cannot put %s over %s: %s", from, to, strerror(errno));
	}
	closedir(d);
}

int ns_enter(const char *lab, unsigned int k)
{
	char path[64], name[64];
	int fd, err = 0;

	ns_path(lab, k, path);
	ns_name(lab, k, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (setns(fd, CLONE_NEWNET) < 0 || unshare(CLONE_NEWNS) < 0 ||
	    mount("", "/", "none", MS_SLAVE | MS_REC, NULL) < 0)
		err = -errno;
	close(fd);
	if (err)
		return err;
	/* /sys/class/net shows the namespace it was mounted in.  A container may
	 * forbid it; then the old /sys stays, if it is still there. */
	if (umount2("/sys", MNT_DETACH) == 0 && mount(name, "/sys", "sysfs", 0, NULL) < 0)
		warn("/sys is not there in the node: %s", strerror(errno));
	bind_etc(name);
	return 0;
}

static int connd_there(void *arg)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t len = offsetof(struct sockaddr_un, sun_path) + 1 + strlen(arg);

	memcpy(sun.sun_path + 1, arg, strlen(arg));
	return fd < 0 || connect(fd, (struct sockaddr *)&sun, len) < 0;
}

bool ns_has_connd(const char *lab, unsigned int k)
{
	static char name[] = CM_SERVER_NAME;
	char path[64];

	ns_path(lab, k, path);
	return ns_call(path, connd_there, name) == 0;
}
