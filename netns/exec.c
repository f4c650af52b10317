/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exec.c - run a command in a node: exec, run, shell; jet
 *
 * jet becomes the command, so that its pid, its signals, its terminal and its
 * status are the command's own.  Only with -T does jet stay, to watch the time.
 * What jet has to say itself ends with 125, as env(1) and timeout(1) do.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "netns/jet.h"

#define GRACE_MS	5000	/* from TERM to KILL when time is up */

struct command {
	struct lab l;
	unsigned int node;
	char **argv;
	const struct passwd *pw;	/* --user */
	char prefix[80];
};

/* Root, a lab, a node, a command: or ST_OURS, and it was said why. */
static int prepare(const struct opts *o, struct command *c)
{
	char path[64];

	if (o->n_args < 1) {
		bad_usage("which node? \"jet %s n1%s\"", talk_verb,
			  strcmp(talk_verb, "shell") ? " -- COMMAND" : "");
		return ST_OURS;
	}
	if (need_root())
		return ST_OURS;
	if (o->user) {
		c->pw = getpwnam(o->user);
		if (!c->pw) {
			fail("there is no user \"%s\"", o->user);
			return ST_OURS;
		}
	}
	if (lab_need(o, &c->l, false))
		return ST_OURS;
	c->node = lab_node(&c->l, o->args[0]);
	if (!c->node)
		return ST_OURS;
	c->argv = o->args + 1;
	if (*c->argv && !strcmp(*c->argv, "--"))
		c->argv++;
	snprintf(c->prefix, sizeof(c->prefix), "%s/%u,%s/%u", inet_ntoa(c->l.topo.prefix),
		 c->l.topo.prefix_len, TOPO_PREFIX6, TOPO_PREFIX6_LEN);
	if (ns_look(&c->l, c->node, NULL) == NS_OURS)
		return ST_OK;
	ns_path(c->l.name, c->node, path);
	fail("%s is not there, or not ours: run \"jet up -n %s\" to repair", path, c->l.name);
	return ST_OURS;
}

static int enter(const struct command *c)
{
	int err = ns_enter(c->l.name, c->node);

	if (err) {
		fail("cannot enter n%u: %s", c->node, strerror(-err));
		return ST_OURS;
	}
	if (c->pw && (initgroups(c->pw->pw_name, c->pw->pw_gid) < 0 || setgid(c->pw->pw_gid) < 0 ||
		      setuid(c->pw->pw_uid) < 0)) {
		fail("cannot become %s: %s", c->pw->pw_name, strerror(errno));
		return ST_OURS;
	}
	if (c->pw) {
		setenv("USER", c->pw->pw_name, 1);
		setenv("LOGNAME", c->pw->pw_name, 1);
		setenv("HOME", c->pw->pw_dir, 1);
	}
	return ST_OK;
}

/* Does not return if it succeeds. */
static int become(char **argv)
{
	execvp(argv[0], argv);
	fail("cannot execute %s: %s", argv[0], strerror(errno));
	return errno == ENOENT ? ST_NOTFOUND : ST_NOEXEC;
}

static void pass_on(pid_t pid, int sig)
{
	if (kill(-pid, sig) < 0)
		kill(pid, sig);
}

/* As timeout(1): 124 if the command was still running after @seconds. */
static int become_timed(char **argv, double seconds)
{
	uint64_t end = now_us() + (uint64_t)(seconds * 1e6), now;
	struct pollfd pfd = { .events = POLLIN };
	bool late = false;
	int status;
	pid_t pid;

	catch_signals(false);
	pid = fork();
	if (pid < 0) {
		fail("cannot fork: %s", strerror(errno));
		return ST_OURS;
	}
	if (pid == 0) {
		uncatch_signals();
		/* A group of its own, to end what it started; not at the price
		 * of the terminal. */
		if (!isatty(0))
			setpgid(0, 0);
		_exit(become(argv));
	}
	pfd.fd = (int)syscall(SYS_pidfd_open, pid, 0);
	for (;;) {
		now = now_us();
		if (poll(&pfd, 1, now < end ? (int)((end - now + 999) / 1000) : 0) > 0)
			break;
		if (got_signal) {
			pass_on(pid, got_signal);
			got_signal = 0;
		}
		if (now_us() < end)
			continue;
		pass_on(pid, late ? SIGKILL : SIGTERM);
		pass_on(pid, SIGCONT);
		late = true;
		end = now_us() + GRACE_MS * 1000ull;
	}
	waitpid(pid, &status, 0);
	if (late)
		return ST_TIMEOUT;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int start(const struct opts *o, const struct command *c)
{
	int st = enter(c);

	if (st)
		return st;
	return o->timeout_s > 0 ? become_timed(c->argv, o->timeout_s) : become(c->argv);
}

int verb_exec(const struct opts *o)
{
	struct command c = { 0 };
	int st = prepare(o, &c);

	if (st)
		return st;
	if (!*c.argv) {
		bad_usage("which command? \"jet exec n%u -- COMMAND\"", c.node);
		return ST_OURS;
	}
	return start(o, &c);
}

/* Our library goes first in LD_PRELOAD; what was there stays. */
static int preload(void)
{
	const char *was = getenv("LD_PRELOAD");
	char path[PATH_MAX], real[PATH_MAX], *list;

	if (beside("../lib/libjetstream-preload.so", path, sizeof(path)) || !realpath(path, real))
		return -ENOENT;
	if (strpbrk(real, " :")) {
		fail("the dynamic linker cannot preload \"%s\": its path has a blank or colon", real);
		return -EINVAL;
	}
	if (!was || !*was)
		return setenv("LD_PRELOAD", real, 1) ? -ENOMEM : 0;
	if (asprintf(&list, "%s:%s", real, was) < 0)
		return -ENOMEM;
	setenv("LD_PRELOAD", list, 1);
	free(list);
	return 0;
}

int verb_run(const struct opts *o)
{
	struct command c = { 0 };
	const char *missing = NULL;
	int err, st = prepare(o, &c);

	if (st)
		return st;
	if (!*c.argv) {
		bad_usage("which command? \"jet run n%u -- COMMAND\"", c.node);
		return ST_OURS;
	}
	err = preload();
	if (err && err != -ENOENT)
		return ST_OURS;
	if (err)
		missing = "libjetstream-preload.so is not beside jet (../lib); build it with \"make\"";
	else if (!ns_has_connd(c.l.name, c.node))
		missing = "no connection server runs there; \"jet status\" says more, \"jet up\" repairs";
	if (missing && !o->fallback) {
		fail("n%u has no user-space TCP: %s, or use --fallback for the kernel's", c.node, missing);
		return ST_OURS;
	}
	if (missing)
		warn("n%u has no user-space TCP, the kernel's is used: %s", c.node, missing);
	if (o->fallback)
		setenv("JETSTREAM_FALLBACK", "1", 1);
	setenv("JETSTREAM_PREFIXES", c.prefix, 0);
	return start(o, &c);
}

int verb_shell(const struct opts *o)
{
	struct command c = { 0 };
	const char *shell = getenv("SHELL");
	char *argv[2] = { NULL, NULL };
	int st = prepare(o, &c);

	if (st)
		return st;
	if (*c.argv) {
		bad_usage("shell takes a node only; \"jet exec n%u -- %s\" runs a command", c.node, *c.argv);
		return ST_OURS;
	}
	argv[0] = (char *)(c.pw ? c.pw->pw_shell : shell && *shell ? shell : "/bin/sh");
	say("a shell in n%u of lab %s; \"exit\" leaves it", c.node, c.l.name);
	c.argv = argv;
	return start(o, &c);
}
