/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ping.c - does everybody reach everybody?; jet
 *
 * ping(8) in each node towards all others at once, node after node.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/util.h"
#include "netns/jet.h"

struct pinging {
	pid_t pid;
	int out;			/* its standard output */
	unsigned int sent, received;
	double avg_ms;
	int status;
};

/*
 * ping(8) waits for what has not come for twice the longest round trip so far,
 * or its interval if that is longer: not for -W, unless nothing has come.  With
 * ten milliseconds what comes late on a busy machine counts as lost.  So the
 * first go at once, and the interval is long, if there are no more.
 */
#define AT_ONCE		10

static int ping_start(const struct lab *l, unsigned int from, unsigned int to, uint64_t count,
		      struct pinging *p)
{
	const char *interval = count > AT_ONCE ? "0.01" : "1";
	char path[64], addr[INET_ADDRSTRLEN], c[24], at_once[24];
	int fds[2], ns, null;

	ns_path(l->name, from, path);
	inet_ntop(AF_INET, &l->topo.node[to].addr, addr, sizeof(addr));
	snprintf(c, sizeof(c), "%llu", (unsigned long long)count);
	snprintf(at_once, sizeof(at_once), "%llu", (unsigned long long)MIN(count, (uint64_t)AT_ONCE));
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	p->pid = fork();
	if (p->pid == 0) {
		ns = open(path, O_RDONLY | O_CLOEXEC);
		null = open("/dev/null", O_RDWR);
		if (ns < 0 || setns(ns, CLONE_NEWNET) < 0)
			_exit(1);
		dup2(null, 0);
		dup2(fds[1], 1);
		setenv("LC_ALL", "C", 1);
		execlp("ping", "ping", "-n", "-q", "-c", c, "-l", at_once, "-i", interval, "-W", "1",
		       addr, (char *)NULL);
		_exit(127);
	}
	close(fds[1]);
	p->out = fds[0];
	return p->pid < 0 ? -errno : 0;
}

static void ping_end(struct pinging *p)
{
	char line[256];
	FILE *f = fdopen(p->out, "r");

	while (f && fgets(line, sizeof(line), f)) {
		sscanf(line, "%u packets transmitted, %u received", &p->sent, &p->received);
		sscanf(line, "rtt min/avg/max/mdev = %*f/%lf", &p->avg_ms);
	}
	if (f)
		fclose(f);
	while (waitpid(p->pid, &p->status, 0) < 0 && errno == EINTR)
		;
}

static void print_row(const struct opts *o, struct json_object *all, unsigned int from, unsigned int to,
		      const struct pinging *p)
{
	struct json_object *j;
	char name[8];

	if (!o->json) {
		printf("n%-4u n%-4u %5u %9u ", from, to, p->sent, p->received);
		if (p->received)
			printf("%8.3f\n", p->avg_ms);
		else
			printf("%8s\n", "-");
		return;
	}
	j = json_object_new_object();
	snprintf(name, sizeof(name), "n%u", from);
	json_object_object_add(j, "from", json_object_new_string(name));
	snprintf(name, sizeof(name), "n%u", to);
	json_object_object_add(j, "to", json_object_new_string(name));
	json_object_object_add(j, "sent", json_object_new_int((int)p->sent));
	json_object_object_add(j, "received", json_object_new_int((int)p->received));
	if (p->received)
		json_object_object_add(j, "rtt_avg_us", json_object_new_int64((int64_t)(p->avg_ms * 1000)));
	json_object_array_add(all, j);
}

/* From one node to all others.  ST_*; *lost counts. */
static int ping_from(const struct opts *o, const struct lab *l, unsigned int from,
		     struct json_object *all, unsigned int *lost)
{
	struct pinging p[NODES_MAX + 1];
	unsigned int to;
	int st = ST_OK;

	memset(p, 0, sizeof(p));
	for (to = 1; to <= l->topo.n_nodes; to++)
		if (to != from && topo_has(&l->topo, to) &&
		    ping_start(l, from, to, o->count ? o->count : 3, &p[to]) < 0)
			st = fail("cannot fork: %s", strerror(errno));
	for (to = 1; to <= l->topo.n_nodes; to++) {
		if (p[to].pid <= 0)
			continue;
		ping_end(&p[to]);
		if (WIFEXITED(p[to].status) && WEXITSTATUS(p[to].status) == 127)
			st = fail("there is no ping(8): install iputils-ping");
		/* An unknown count means it could not even send. */
		*lost += p[to].sent ? p[to].sent - p[to].received : 1;
		if (!st)
			print_row(o, all, from, to, &p[to]);
	}
	fflush(stdout);
	return st;
}

int verb_ping(const struct opts *o)
{
	struct json_object *all = json_object_new_array();
	unsigned int from, lost = 0;
	struct lab l;
	int st;

	if (o->n_args)
		return bad_usage("ping takes no \"%s\": it pings each node from each other", o->args[0]);
	st = need_root();
	if (!st)
		st = lab_need(o, &l, true);
	if (st)
		return st;
	if (!o->json)
		printf("%-5s %-5s %5s %9s %8s\n", "FROM", "TO", "SENT", "RECEIVED", "AVG-MS");
	for (from = 1; from <= l.topo.n_nodes && !st; from++)
		if (topo_has(&l.topo, from))
			st = ping_from(o, &l, from, all, &lost);
	if (o->json && !st)
		puts(json_object_to_json_string_ext(all, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED));
	json_object_put(all);
	lab_close(&l);
	if (!st && lost) {
		warn("%u packets got no answer", lost);
		st = ST_CHECK;
	}
	return st;
}
