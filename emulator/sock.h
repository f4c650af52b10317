/* SPDX-License-Identifier: BSD-2-Clause */
/* sock.h - listening UNIX sockets in the lab's directory */
#ifndef EMULATOR_SOCK_H
#define EMULATOR_SOCK_H

#include <sys/types.h>

#include "emulator/emu.h"

/* Listen on @path in the loop; @lf->ready is set.  0 or -Exxx. */
int sock_listen(struct loop_fd *lf, int type, const char *path, mode_t mode, const char *group);
/* Stop listening; who made the path unlinks it. */
void sock_unlisten(struct loop_fd *lf);
/* Does somebody answer on @path? */
bool sock_is_alive(int type, const char *path);

#endif
