/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * down.c - unmake a lab, whatever state it is in; jet
 *
 * In this order, so that being killed half-way leaves what the next down
 * finds: jetringd, other processes in the namespaces, the namespaces, and the
 * directory with the record last.
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

int verb_down(const struct opts *o)
{
	char name[LAB_NAME_MAX + 1];
	struct ns_id ids[NODES_MAX];
	struct lab l;
	int err, st;

	if (o->n_args)
		return bad_usage("down takes no \"%s\"; name the lab with -n", o->args[0]);
	st = need_root();
	if (!st)
		st = lab_wanted(o, name);
	if (st)
		return st;
	if (o->dry_run)
		return dry_run(name);
	/* From here on a signal does not stop us: half a lab serves nobody. */
	catch_signals(false);
	err = lab_lock(&l, name, false);
	if (err == -EINTR)
		return 128 + got_signal;
	if (err && err != -ENOENT)
		return fail("cannot lock %s: %s", l.dir, strerror(-err));
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
