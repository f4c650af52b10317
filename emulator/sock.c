/* SPDX-License-Identifier: BSD-2-Clause */
/* sock.c - listening UNIX sockets in the lab's directory; runs in jetringd */
#include <errno.h>
#include <grp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "emulator/sock.h"

#define BACKLOG	16

static int fill_addr(struct sockaddr_un *sun, const char *path)
{
	memset(sun, 0, sizeof(*sun));
	sun->sun_family = AF_UNIX;
	if (strlen(path) >= sizeof(sun->sun_path))
		return -ENAMETOOLONG;
	strcpy(sun->sun_path, path);
	return 0;
}

/**
 * sock_listen() - Make a listening socket and watch it
 * @lf:		Its ready() is set; its fd is set here
 * @type:	SOCK_STREAM or SOCK_SEQPACKET
 * @path:	Where; what a dead process has left there is replaced
 * @mode:	Permissions
 * @group:	Owning group if it exists, or NULL
 *
 * The socket is never there with more permissions than @mode: bind() makes it
 * under a umask of 0777.
 *
 * Return: 0 or -Exxx
 */
int sock_listen(struct loop_fd *lf, int type, const char *path, mode_t mode, const char *group)
{
	const struct group *gr = group ? getgrnam(group) : NULL;
	struct sockaddr_un sun;
	mode_t old_mask;
	int err = fill_addr(&sun, path);

	if (err)
		return err;
	lf->fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (lf->fd < 0)
		return -errno;
	if (unlink(path) < 0 && errno != ENOENT)
		goto fail;
	old_mask = umask(0777);
	err = bind(lf->fd, (struct sockaddr *)&sun, sizeof(sun)) < 0 ? -errno : 0;
	umask(old_mask);
	if (err)
		goto close;
	if (gr && chown(path, (uid_t)-1, gr->gr_gid) < 0)
		goto fail;
	if (chmod(path, mode) < 0 || listen(lf->fd, BACKLOG) < 0)
		goto fail;
	err = loop_add(lf, EPOLLIN);
	if (err)
		goto close;
	return 0;
fail:
	err = -errno;
close:
	close(lf->fd);
	lf->fd = -1;
	return err;
}

void sock_unlisten(struct loop_fd *lf)
{
	if (lf->fd < 0)
		return;
	loop_del(lf);
	close(lf->fd);
	lf->fd = -1;
}

bool sock_is_alive(int type, const char *path)
{
	struct sockaddr_un sun;
	bool alive;
	int fd;

	if (fill_addr(&sun, path))
		return false;
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	alive = !connect(fd, (struct sockaddr *)&sun, sizeof(sun));
	close(fd);
	return alive;
}
