/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * down.c - unmake a lab, whatever state it is in; jet
 *
 * In this order, so that being killed half-way leaves what the next down
 * finds: jetringd, other processes in the namespaces, the namespaces, and the
 * directory with the record last.
 *
 * With nodes named, only these go, from a ring that goes on: off the ring, the
 * processes, the namespace, the record.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "netns/jet.h"

/* A namespace that lost its name may still have processes: the record has its
 * identity, and one of them the way in, to see that it is ours. */
static bool unnamed_is_ours(const struct lab *l, unsigned int k, struct ns_id *id)
{
	unsigned long long dev, ino;
	char rec[16], text[64];

	snprintf(rec, sizeof(rec), "n%u", k);
	if (l->dir_fd < 0 || lab_read(l, rec, text, sizeof(text)) ||
	    sscanf(text, "%llu:%llu", &dev, &ino) != 2)
		return false;
	id->dev = dev;
	id->ino = ino;
	return ns_ours_by_proc(l->name, k, id);
}

static unsigned int namespaces(const struct lab *l, struct ns_id ids[NODES_MAX])
{
	unsigned int k, n = 0;

	for (k = 1; k <= NODES_MAX; k++) {
		enum ns_state is = ns_look(l, k, &ids[n]);

		if (is == NS_OURS || (is != NS_LEFT && unnamed_is_ours(l, k, &ids[n])))
			n++;
	}
	return n;
}

int lab_unmake(struct lab *l)
{
	struct ns_id ids[NODES_MAX];
	unsigned int k, n;
	char name[64];
	int err, st = ST_OK;

	ringd_stop(l);
	n = namespaces(l, ids);
	procs_end_in(ids, n);
	if (procs_count_in(ids, n))
		st = fail("%u processes in the nodes do not end", procs_count_in(ids, n));
	for (k = 1; k <= NODES_MAX; k++) {
		err = ns_delete(l, k);
		ns_name(l->name, k, name);
		/* Foreign ones may have come while the lab was up; not ours to delete. */
		if (err && err != -EPERM)
			st = fail("cannot remove the namespace %s: %s", name, strerror(-err));
	}
	if (l->dir_fd >= 0 && st == ST_OK) {
		err = lab_remove(l);
		if (err)
			st = fail("cannot remove %s: %s", l->dir, strerror(-err));
	}
	return st;
}

static int dry_run(const char *name)
{
	struct ns_id ids[NODES_MAX];
	struct lab l;
	unsigned int k, n, procs;
	char ns[64];
	int err = lab_open(&l, name);

	n = namespaces(&l, ids);
	if (err && !n) {
		printf("nothing: lab %s is not up\n", name);
		return ST_OK;
	}
	if (proc_alive(&l.ringd))
		printf("stop jetringd, process %d\n", (int)l.ringd.pid);
	procs = procs_count_in(ids, n);
	if (procs)
		printf("end %u process%s in the nodes\n", procs, procs == 1 ? "" : "es");
	for (k = 1; k <= NODES_MAX; k++) {
		ns_name(name, k, ns);
		if (ns_look(&l, k, NULL) == NS_OURS)
			printf("delete namespace %s\n", ns);
	}
	if (!err)
		printf("remove %s\n", l.dir);
	lab_close(&l);
	return ST_OK;
}

/* Off the ring; one that is not there is no error. */
static int leave_ring(struct lab *l, unsigned int k)
{
	char cmd[32], *reply = NULL;
	int err, st = ST_OK;

	if (!proc_alive(&l->ringd))
		return ST_OK;
	snprintf(cmd, sizeof(cmd), "node del n%u", k);
	err = ringd_ask(l, cmd, &reply);
	if (err && !(err == -EREMOTEIO && strstr(reply, "is no node")))
		st = fail("jetringd does not let n%u go: %s", k, reply ? reply : strerror(-err));
	free(reply);
	return st;
}

static int node_unmake(struct lab *l, unsigned int k)
{
	struct ns_id id;
	bool ours = ns_look(l, k, &id) == NS_OURS || unnamed_is_ours(l, k, &id);
	int err, st = leave_ring(l, k);

	if (st)
		return st;
	if (ours)
		procs_end_in(&id, 1);
	if (ours && procs_count_in(&id, 1))
		st = fail("%u processes in n%u do not end", procs_count_in(&id, 1), k);
	err = ns_delete(l, k);
	if (err && err != -EPERM)
		return fail("cannot remove the namespace of n%u: %s", k, strerror(-err));
	/* The record keeps the node: the next down finds them by it. */
	if (st)
		return st;
	l->topo.node[k].absent = true;
	while (l->topo.n_nodes && l->topo.node[l->topo.n_nodes].absent) {
		memset(&l->topo.node[l->topo.n_nodes], 0, sizeof(l->topo.node[0]));
		l->topo.n_nodes--;
	}
	err = topo_write(&l->topo, l->dir_fd, "topology.ini");
	if (err)
		return fail("cannot write to %s: %s", l->dir, strerror(-err));
	say("n%u has left lab %s", k, l->name);
	return ST_OK;
}

/* The nodes that are named, one after the other. */
static int nodes_down(const struct opts *o, struct lab *l)
{
	bool go[NODES_MAX + 1] = { false };
	unsigned int k, n = 0;
	int i, st = ST_OK;

	if (!l->has_topo)
		return fail("lab %s has no record of its nodes; \"jet down -n %s\" ends it whole", l->name, l->name);
	for (i = 0; i < o->n_args; i++) {
		k = lab_node(l, o->args[i]);
		if (!k)
			return ST_FAILED;
		n += !go[k];
		go[k] = true;
	}
	if (n == topo_count(&l->topo))
		return fail("these are all nodes of lab %s; \"jet down -n %s\" ends it", l->name, l->name);
	for (k = 1; k <= NODES_MAX && !st; k++) {
		if (!go[k])
			continue;
		if (o->dry_run)
			printf("take n%u off the ring, end its processes, delete its namespace\n", k);
		else
			st = node_unmake(l, k);
	}
	return st;
}

int verb_down(const struct opts *o)
{
	char name[LAB_NAME_MAX + 1];
	struct ns_id ids[NODES_MAX];
	struct lab l;
	int err, st;

	st = need_root();
	if (!st)
		st = lab_wanted(o, name);
	if (st)
		return st;
	if (o->dry_run && !o->n_args)
		return dry_run(name);
	/* From here on a signal does not stop us: half a lab serves nobody. */
	catch_signals(false);
	err = lab_lock(&l, name, false);
	if (err == -EINTR)
		return 128 + got_signal;
	if (err && err != -ENOENT)
		return fail("cannot lock %s: %s", l.dir, strerror(-err));
	if (o->n_args && !err) {
		st = nodes_down(o, &l);
		lab_close(&l);
		return st;
	}
	if (o->n_args)
		return fail("lab %s is not up", name);
	if (err && !namespaces(&l, ids)) {
		say("lab %s is not up; there is nothing to do", name);
		return ST_OK;
	}
	st = lab_unmake(&l);
	lab_close(&l);
	if (st == ST_OK)
		say("lab %s is down", name);
	return st;
}
