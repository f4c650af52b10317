/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fastopen.c - TCP Fast Open: the node's key, and the cookies of its peers
 *
 * The cookies are lost with the server: then they are asked for anew, which
 * costs each peer one connection without data in its SYN.  The key is the
 * kernel's to keep.  Who uses them: stack/child/fastopen.c.
 *
 * Runs in jetconnd.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "common/log.h"
#include "connserver/children.h"
#include "stack/shm/cm.h"

#define KEY_FILE	"/proc/sys/net/ipv4/tcp_fastopen_key"
#define NO_KEY		"00000000-00000000-00000000-00000000"

struct fo_cache *cs_fastopen_new(void)
{
	return calloc(1, sizeof(struct fo_cache));
}

void cs_fastopen_free(struct fo_cache *fo)
{
	free(fo);
}

static void key_write(int fd)
{
	uint32_t w[4];
	int n = getrandom(w, sizeof(w), 0) == sizeof(w) ?
		dprintf(fd, "%08x-%08x-%08x-%08x\n", w[0], w[1], w[2], w[3]) : -1;

	if (n < 0)
		log_warn("cannot make a key for Fast Open: %s", strerror(errno));
}

void cs_fastopen_key(void)
{
	char text[128] = "";
	int fd = open(KEY_FILE, O_RDWR | O_CLOEXEC);

	if (fd < 0) {
		log_warn("cannot open %s: %s", KEY_FILE, strerror(errno));
		return;
	}
	if (read(fd, text, sizeof(text) - 1) > 0 && !strncmp(text, NO_KEY, strlen(NO_KEY)) &&
	    lseek(fd, 0, SEEK_SET) == 0)
		key_write(fd);
	close(fd);
}

void cs_fastopen(struct cs_server *cs, struct cs_child *c, const struct cm_msg *m)
{
	struct cm_msg reply;

	if (cm_fastopen(cs->fo, m, cs->now_us, &reply))
		cs_child_send(cs, c, &reply, -1, true);
}
