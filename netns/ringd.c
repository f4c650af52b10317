/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ringd.c - jetringd: start it, ask it, stop it; jet
 *
 * jetringd stays in the foreground; it is we who take it away from the terminal
 * and give it a log.  It starts only after its pid is on record, so that whatever
 * happens to us, the next up or down finds it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "netns/jet.h"

#define READY_MS	15000	/* for jetringd to say "ok" */
#define ASK_S		3	/* for an answer */
#define STOP_MS		3000	/* from "stop" to TERM */
#define READY_FD	3

int beside(const char *name, char *buf, size_t size)
{
	char exe[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	if (n < 0)
		return -errno;
	exe[n] = '\0';
	/* BIN/jet -> BIN/jetringd, BIN/../lib/… */
	if (snprintf(buf, size, "%s/%s", dirname(exe), name) >= (int)size)
		return -ENAMETOOLONG;
	return access(buf, R_OK) < 0 ? -ENOENT : 0;
}

static int ring_connect(const struct lab *l)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct timeval tv = { .tv_sec = ASK_S };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	int err;

	if (fd < 0)
		return -errno;
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/ring.sock", l->dir);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

int ringd_ask(const struct lab *l, const char *cmd, char **reply)
{
	char *buf = malloc(JS_CTL_REPLY_MAX + 1), *text = buf;
	int fd = ring_connect(l), err = 0;
	ssize_t n;

	*reply = NULL;
	if (fd < 0 || !buf) {
		err = fd < 0 ? fd : -ENOMEM;
		goto out;
	}
	if (send(fd, cmd, strlen(cmd), MSG_NOSIGNAL) < 0) {
		err = -errno;
		goto out;
	}
	n = recv(fd, buf, JS_CTL_REPLY_MAX, 0);
	if (n <= 0) {
		err = n < 0 ? (errno == EAGAIN ? -ETIMEDOUT : -errno) : -EPIPE;
		goto out;
	}
	buf[n] = '\0';
	if (!strncmp(buf, "error: ", 7)) {
		text = buf + 7;
		err = -EREMOTEIO;
	} else if (!strncmp(buf, "ok ", 3)) {
		text = buf + 3;
	} else if (!strcmp(buf, "ok")) {
		text = buf + 2;
	} else {
		err = -EPROTO;
		goto out;
	}
	*reply = strdup(text);
out:
	if (fd >= 0)
		close(fd);
	free(buf);
	return err;
}

bool ringd_healthy(const struct lab *l)
{
	char *reply;
	bool ok = proc_alive(&l->ringd) && ringd_ask(l, "ping", &reply) == 0;

	if (ok)
		free(reply);
	return ok;
}

const char *ringd_last_words(const struct lab *l)
{
	static char buf[2048];
	char path[96], *nl;
	size_t n;
	FILE *f;

	buf[0] = '\0';
	snprintf(path, sizeof(path), "%s/jetringd.log", l->dir);
	f = fopen(path, "re");
	if (!f)
		return buf;
	if (fseek(f, -(long)sizeof(buf) + 1, SEEK_END) < 0)
		rewind(f);
	n = fread(buf, 1, sizeof(buf) - 1, f);
	fclose(f);
	while (n && (buf[n - 1] == '\n' || buf[n - 1] == ' '))
		n--;
	buf[n] = '\0';
	nl = strrchr(buf, '\n');
	return nl ? nl + 1 : buf;
}

/* Its command line; the strings are in @text. */
struct cmdline {
	char *argv[16 + 2 * NODES_MAX];
	char text[NODES_MAX][128];
	char rate[32], mem[32], ring[PATH_MAX], fd[8];
};

static void cmdline_make(struct cmdline *c, const struct lab *l, const char *connd, const struct medium *m)
{
	char path[64];
	unsigned int k, n = 0;

	snprintf(c->rate, sizeof(c->rate), "%llu", (unsigned long long)m->rate_bps);
	snprintf(c->mem, sizeof(c->mem), "%llu", (unsigned long long)m->node_mem);
	snprintf(c->fd, sizeof(c->fd), "%d", READY_FD);
	c->argv[n++] = c->ring;
	c->argv[n++] = (char *)"--lab";
	c->argv[n++] = (char *)l->name;
	c->argv[n++] = (char *)"--run";
	c->argv[n++] = (char *)l->dir;
	c->argv[n++] = (char *)"--rate";
	c->argv[n++] = m->rate_bps ? c->rate : (char *)"unlimited";
	c->argv[n++] = (char *)"--node-mem";
	c->argv[n++] = c->mem;
	c->argv[n++] = (char *)(connd ? "--connd" : "--no-connd");
	if (connd)
		c->argv[n++] = (char *)connd;
	c->argv[n++] = (char *)"--ready-fd";
	c->argv[n++] = c->fd;
	for (k = 1; k <= l->topo.n_nodes; k++) {
		if (!topo_has(&l->topo, k))
			continue;
		ns_path(l->name, k, path);
		snprintf(c->text[k - 1], sizeof(c->text[0]), "%u=%s,%s/%u", k, path,
			 inet_ntoa(l->topo.node[k].addr), l->topo.prefix_len);
		c->argv[n++] = (char *)"--node";
		c->argv[n++] = c->text[k - 1];
	}
	c->argv[n] = NULL;
}

/*
 * Away from the terminal and from the process group that it signals, but in
 * the session: Linux divides processors among sessions first (sched(7), "The
 * autogroup feature"), and sched_yield() gives way only to those of one's own.
 * jetringd and who works with it wait by yielding; those who come from where
 * `jet up' came from can do so.
 */
static void leave_terminal(void)
{
	int tty;

	setpgid(0, 0);
	tty = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (tty < 0)
		return;			/* there is none */
	/* Not being the session's leader, we let go of it for ourselves alone. */
	ioctl(tty, TIOCNOTTY);
	close(tty);
}

/* The child: detached, then jetringd. */
static void become_ringd(const struct lab *l, struct cmdline *c, int gate, int ready)
{
	int null, log;
	char go;

	uncatch_signals();
	leave_terminal();
	if (read(gate, &go, 1) != 1)
		_exit(1);
	null = open("/dev/null", O_RDONLY);
	log = openat(l->dir_fd, "jetringd.log", O_WRONLY | O_CREAT | O_APPEND, 0644);
	if (null < 0 || log < 0)
		_exit(1);
	dup2(null, 0);
	dup2(log, 1);
	dup2(log, 2);
	dup2(ready, READY_FD);	/* was the gate's: 0 to 2 were open before it */
	close_range(READY_FD + 1, ~0u, 0);
	umask(022);
	if (chdir("/") == 0)
		execv(c->ring, c->argv);
	dprintf(2, "cannot execute %s: %s\n", c->ring, strerror(errno));
	_exit(127);
}

/* Wait for "ok" or "error: …" on @fd. */
static int ready_wait(const struct lab *l, int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	uint64_t end = now_us() + READY_MS * 1000ull;
	char buf[512];
	size_t n = 0;
	ssize_t got;

	for (;;) {
		uint64_t now = now_us();

		if (got_signal)
			return ST_FAILED;
		if (now >= end)
			return fail("jetringd does not get ready: %s", ringd_last_words(l));
		if (poll(&pfd, 1, (int)((end - now) / 1000) + 1) <= 0)
			continue;
		got = read(fd, buf + n, sizeof(buf) - 1 - n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		n += (size_t)got;
		buf[n] = '\0';
		if (strchr(buf, '\n') || n == sizeof(buf) - 1)
			break;
	}
	buf[n] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	if (!strcmp(buf, "ok"))
		return ST_OK;
	if (!strncmp(buf, "error: ", 7))
		return fail("jetringd: %s", buf + 7);
	return fail("jetringd did not start: %s", *ringd_last_words(l) ? ringd_last_words(l) :
		    "it left no word in its log");
}

int ringd_start(struct lab *l, const char *connd, const struct medium *m)
{
	int gate[2] = { -1, -1 }, ready[2] = { -1, -1 }, st = ST_FAILED;
	struct cmdline c;
	char note[64];
	pid_t pid = -1;

	if (beside("jetringd", c.ring, sizeof(c.ring)))
		return fail("there is no %s; build it with \"make\"", c.ring);
	cmdline_make(&c, l, connd, m);
	if (pipe2(gate, O_CLOEXEC) < 0 || pipe2(ready, O_CLOEXEC) < 0) {
		fail("cannot make a pipe: %s", strerror(errno));
		goto out;
	}
	pid = fork();
	if (pid == 0) {
		close(gate[1]);
		become_ringd(l, &c, gate[0], ready[1]);
	}
	if (pid < 0 || proc_of(pid, &l->ringd)) {
		fail("cannot fork: %s", strerror(errno));
		goto out;
	}
	close(ready[1]);
	ready[1] = -1;
	snprintf(note, sizeof(note), "%d %llu\n", (int)pid, (unsigned long long)l->ringd.start);
	if (lab_note(l, "jetringd.pid", note) || write(gate[1], "", 1) != 1) {
		fail("cannot write to %s: %s", l->dir, strerror(errno));
		goto out;
	}
	st = ready_wait(l, ready[0]);
out:
	close(gate[0]);
	close(gate[1]);
	close(ready[0]);
	close(ready[1]);
	if (st && pid > 0) {
		ringd_stop(l);
		waitpid(pid, NULL, 0);
	}
	return st;
}

/* Who listens on ring.sock, if the record of jetringd's pid is lost. */
static void ringd_find(struct lab *l)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);
	int fd = ring_connect(l);

	if (fd < 0)
		return;
	if (!getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) && cred.pid > 0 && cred.pid != getpid())
		proc_of(cred.pid, &l->ringd);
	close(fd);
}

void ringd_stop(struct lab *l)
{
	char *reply;

	if (!proc_alive(&l->ringd))
		ringd_find(l);
	if (!proc_alive(&l->ringd))
		return;
	if (ringd_ask(l, "stop", &reply) == 0) {
		free(reply);
		if (proc_wait(&l->ringd, STOP_MS))
			return;
	}
	if (!proc_end(&l->ringd, SIGTERM, 1000) && !proc_end(&l->ringd, SIGKILL, 2000))
		warn("jetringd, process %d, does not go away", (int)l->ringd.pid);
}
