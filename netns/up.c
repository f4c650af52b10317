/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * up.c - make a lab, or mend it; jet
 *
 * up converges: what is there and right is left alone, what is missing is
 * made, nodes too: they join the ring that runs.  All that can be refused is refused before anything is changed; when
 * something fails later, or INT, TERM or HUP comes, what this run made goes.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <limits.h>
#include <linux/if_tun.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/units.h"
#include "netns/jet.h"

#define CONND_MS	5000	/* for all connection servers to appear */

struct up {
	struct lab l;
	struct topo want;
	bool asked;			/* the user named a topology */
	bool repair;			/* there is a record of this lab */
	const struct opts *o;
	char connd[PATH_MAX];		/* "": not there */
	bool made[NODES_MAX + 1];	/* namespaces of this run */
	bool joined[NODES_MAX + 1];	/* by this run, on a ring that went on */
};

/* What can be seen without touching anything. */
static int up_may(struct up *u)
{
	char path[PATH_MAX], name[64];
	unsigned int k, features;
	int fd, st = need_root();

	if (st)
		return st;
	if (beside("jetringd", path, sizeof(path)))
		return fail("there is no %s; build it with \"make\"", path);
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return fail("cannot open /dev/net/tun (%s): the nodes need TAP devices; try \"modprobe tun\", "
			    "or, in a container, start it with --device /dev/net/tun", strerror(errno));
	if (ioctl(fd, TUNGETFEATURES, &features) < 0)
		st = fail("/dev/net/tun is not what makes TAP devices: %s; try \"modprobe tun\"", strerror(errno));
	close(fd);
	if (st)
		return st;
	if (beside("jetconnd", u->connd, sizeof(u->connd)))
		u->connd[0] = '\0';
	lab_open(&u->l, u->want.name);
	for (k = 1; k <= u->want.n_nodes && !st; k++) {
		if (!topo_has(&u->want, k))
			continue;
		ns_name(u->want.name, k, name);
		if (ns_look(&u->l, k, NULL) == NS_FOREIGN)
			st = fail("there is a namespace %s that jet did not make; delete it (ip netns del %s) "
				  "or name the lab otherwise (-n)", name, name);
	}
	lab_close(&u->l);
	return st;
}

/* A lab of this name is on record: does it fit? */
static int up_fits(struct up *u)
{
	const char *how;

	u->repair = u->l.has_topo;
	if (!u->repair) {
		u->l.topo = u->want;
		return ST_OK;
	}
	if (!u->asked) {
		bool kernel_only = u->want.kernel_only, ipv6 = u->want.ipv6;

		u->want = u->l.topo;
		u->want.ipv6 |= ipv6;
		medium_options(u->o, &u->want.medium);
		if (kernel_only && !u->l.topo.kernel_only)
			return fail("lab %s is up with connection servers; \"jet down\" first for one without",
				    u->l.name);
		return ST_OK;
	}
	how = topo_differs(&u->l.topo, &u->want);
	if (*how)
		return fail("lab %s is already up %s; \"jet down -n %s%s\" first, or choose another name with -n",
			    u->l.name, how, u->l.name, u->l.topo.n_nodes > u->want.n_nodes ? " NODE…" : "");
	return ST_OK;
}

struct node_link {
	const struct topo *t;
	const char *lab;
	unsigned int k;
};

static int node_link(void *arg)
{
	const struct node_link *n = arg;
	struct in6_addr a6;
	char alias[64];

	inet_pton(AF_INET6, TOPO_PREFIX6, &a6);
	a6.s6_addr[15] = (uint8_t)n->k;
	snprintf(alias, sizeof(alias), "jetstream:%s:n%u", n->lab, n->k);
	return netif_up("lo", alias, NULL, 0, NULL) ||
	       netif_up("jet0", alias, &n->t->node[n->k].addr, n->t->prefix_len,
			n->t->ipv6 ? &a6 : NULL);
}

static int up_links(struct up *u)
{
	char path[64];
	unsigned int k;
	int err;

	for (k = 1; k <= u->want.n_nodes; k++) {
		struct node_link n = { &u->want, u->l.name, k };

		if (!topo_has(&u->want, k))
			continue;
		ns_path(u->l.name, k, path);
		err = ns_call(path, node_link, &n);
		if (got_signal)
			return ST_FAILED;
		if (err < 0)
			return fail("cannot enter %s: %s", path, strerror(-err));
		if (err)
			return ST_FAILED;
	}
	return ST_OK;
}

static int up_tell(struct up *u, const char *cmd)
{
	char *reply;
	int err = ringd_ask(&u->l, cmd, &reply), st = ST_OK;

	if (err == -EREMOTEIO)
		st = fail("jetringd refuses \"%s\": %s", cmd, reply);
	else if (err && !got_signal)
		st = fail("jetringd does not answer \"%s\": %s", cmd, strerror(-err));
	free(reply);
	return err ? ST_FAILED : st;
}

/* Rate, latencies, holding time; each hop's own delay. */
static int up_ring(struct up *u)
{
	char cmd[MEDIUM_TEXT_MAX + 16] = "ring set ", text[UNITS_TEXT_MAX];
	unsigned int k;
	int st;

	medium_text(&u->want.medium, " ", "=", cmd + strlen(cmd));
	st = up_tell(u, cmd);
	for (k = 1; k <= u->want.n_nodes && !st; k++) {
		const struct topo_node *n = &u->want.node[k];

		if (!n->has_propagation || n->absent)
			continue;
		snprintf(cmd, sizeof(cmd), "ring set n%u propagation=%s", k,
			 units_time_text(n->propagation_ns, text));
		st = up_tell(u, cmd);
	}
	return st;
}

/* What the topology sets on a ring that runs. */
static int up_settings(struct up *u)
{
	char cmd[256];
	unsigned int i;
	int st = ST_OK;

	if (u->want.from_file || u->want.n_links)
		st = links_converge(&u->l, &u->want);
	for (i = 1; i <= u->want.n_nodes && !st; i++) {
		snprintf(cmd, sizeof(cmd), "tx-vci n%u %s", i, u->want.node[i].tx_vci);
		if (*u->want.node[i].tx_vci && topo_has(&u->want, i))
			st = up_tell(u, cmd);
	}
	return st;
}

/* Start the connection servers; they are the lab's second half, not its first:
 * without one the kernel's TCP still works, so that is a warning. */
static int up_connd(struct up *u)
{
	uint64_t end = now_us() + CONND_MS * 1000ull;
	struct timespec nap = { .tv_nsec = 20000000 };
	unsigned int k = 1;

	if (u->want.kernel_only)
		return ST_OK;
	if (!*u->connd) {
		warn("there is no jetconnd: only the kernel's TCP works in this lab");
		return ST_OK;
	}
	if (up_tell(u, "start"))
		return ST_FAILED;
	while (k <= u->want.n_nodes) {
		if (got_signal)
			return ST_FAILED;
		if (!topo_has(&u->want, k) || ns_has_connd(u->l.name, k)) {
			k++;
			continue;
		}
		if (now_us() >= end) {
			warn("the connection server of n%u does not run: \"jet run\" will not work there; see %s/jetringd.log",
			     k, u->l.dir);
			break;
		}
		nanosleep(&nap, NULL);
	}
	return ST_OK;
}

/* Processes of a jetringd that is gone: they end by themselves; see to it. */
static void end_orphans(struct up *u)
{
	struct ns_id id;
	unsigned int k;

	for (k = 1; k <= u->want.n_nodes; k++)
		if (ns_look(&u->l, k, &id) == NS_OURS && *u->connd)
			procs_end_exe_in(&id, u->connd);
}

/* The namespace of node @k, if it is missing. */
static int make_ns(struct up *u, unsigned int k)
{
	enum ns_state is = ns_look(&u->l, k, NULL);
	int err;

	if (is == NS_OURS)
		return ST_OK;
	if (is == NS_LEFT)
		ns_delete(&u->l, k);
	u->made[k] = true;
	err = ns_make(&u->l, k);
	if (!err)
		return ST_OK;
	return got_signal ? ST_FAILED :
		fail("cannot make the namespace of n%u: %s%s", k, strerror(-err),
		     err == -EPERM ? "; in a container, network namespaces need CAP_SYS_ADMIN" : "");
}

/* Namespaces and jetringd, where they are missing. */
static int up_make(struct up *u)
{
	unsigned int k;
	int err;

	if (u->repair) {
		ringd_stop(&u->l);
		end_orphans(u);
	}
	err = topo_write(&u->want, u->l.dir_fd, "topology.ini");
	if (err)
		return fail("cannot write to %s: %s", u->l.dir, strerror(-err));
	for (k = 1; k <= u->want.n_nodes; k++) {
		if (got_signal)
			return ST_FAILED;
		if (topo_has(&u->want, k) && make_ns(u, k))
			return ST_FAILED;
	}
	u->l.topo = u->want;
	return ringd_start(&u->l, *u->connd ? u->connd : NULL, &u->want.medium);
}

/* Undo what this run made. */
static void up_undo(struct up *u)
{
	unsigned int k;

	if (!u->repair) {
		lab_unmake(&u->l);
		return;
	}
	ringd_stop(&u->l);
	for (k = 1; k <= u->want.n_nodes; k++)
		if (u->made[k])
			ns_delete(&u->l, k);
}

/* What jetringd says of a node. */
enum on_ring { OFF_RING, ON_RING, TAP_GONE };

/* By node; ST_*. */
static int ask_nodes(struct up *u, enum on_ring is[NODES_MAX + 1])
{
	struct json_object *j = NULL, *nodes = NULL, *v;
	char *reply = NULL;
	size_t i;
	int err = ringd_ask(&u->l, "status", &reply);

	memset(is, 0, (NODES_MAX + 1) * sizeof(*is));
	if (!err)
		j = json_tokener_parse(reply);
	free(reply);
	if (!json_object_object_get_ex(j, "nodes", &nodes) || !json_object_is_type(nodes, json_type_array)) {
		json_object_put(j);
		return fail("jetringd does not tell its nodes");
	}
	for (i = 0; i < json_object_array_length(nodes); i++) {
		struct json_object *n = json_object_array_get_idx(nodes, i);
		const char *name = json_object_object_get_ex(n, "name", &v) ? json_object_get_string(v) : "";
		unsigned int k = *name == 'n' ? (unsigned int)atoi(name + 1) : 0;
		bool gone = json_object_object_get_ex(n, "tap", &v) && !strcmp(json_object_get_string(v), "gone");

		if (k >= 1 && k <= NODES_MAX)
			is[k] = gone ? TAP_GONE : ON_RING;
	}
	json_object_put(j);
	return ST_OK;
}

/* Node @k is not on the ring, or without a namespace or a TAP. */
static int join(struct up *u, unsigned int k, bool is_on_ring)
{
	char cmd[160], path[64];
	int st = ST_OK;

	snprintf(cmd, sizeof(cmd), "node del n%u", k);
	if (is_on_ring)
		st = up_tell(u, cmd);
	if (!st)
		st = make_ns(u, k);
	if (st)
		return st;
	ns_path(u->l.name, k, path);
	snprintf(cmd, sizeof(cmd), "node add %u=%s,%s/%u", k, path, inet_ntoa(u->want.node[k].addr),
		 u->want.prefix_len);
	u->joined[k] = true;
	st = up_tell(u, cmd);
	if (!st)
		say("n%u joins the ring", k);
	return st;
}

/*
 * The nodes of a ring that runs.  One alone cannot leave it and come back: then
 * *alone is set and the lab has to be made anew.
 */
static int up_nodes(struct up *u, bool *alone)
{
	enum on_ring is[NODES_MAX + 1];
	unsigned int k, n = 0;
	int st = ask_nodes(u, is);

	for (k = 1; k <= NODES_MAX; k++)
		n += is[k] != OFF_RING;
	for (k = 1; k <= u->want.n_nodes && !st; k++) {
		if (!topo_has(&u->want, k) || (is[k] == ON_RING && ns_look(&u->l, k, NULL) == NS_OURS))
			continue;
		if (is[k] != OFF_RING && n == 1) {
			*alone = true;
			return ST_OK;
		}
		st = join(u, k, is[k] != OFF_RING);
	}
	return st;
}

/* What this run brought to a ring that goes on. */
static void up_leave(struct up *u)
{
	unsigned int k;
	char cmd[32], *reply;

	for (k = 1; k <= u->want.n_nodes; k++) {
		snprintf(cmd, sizeof(cmd), "node del n%u", k);
		if (u->joined[k] && !ringd_ask(&u->l, cmd, &reply))
			free(reply);
		if (u->made[k])
			ns_delete(&u->l, k);
	}
}

/* The lab runs already: only what may be changed on a running ring. */
static int up_again(struct up *u)
{
	char rate[32];
	bool any_joined = memchr(u->joined, true, sizeof(u->joined));
	int st = up_links(u);

	if (!st && (u->asked || any_joined || medium_given(u->o)))
		st = up_ring(u);
	if (!st && u->want.medium.rate_bps != u->l.topo.medium.rate_bps)
		say("rate is now %s", rate_text(u->want.medium.rate_bps, rate));
	if (!st && (u->asked || any_joined))
		st = up_settings(u);
	if (!st)
		st = up_connd(u);
	if (!st && topo_write(&u->want, u->l.dir_fd, "topology.ini"))
		st = fail("cannot write to %s", u->l.dir);
	return st;
}

static int dry_run(struct up *u)
{
	char name[64], rate[32];
	unsigned int k;
	bool alive, any = false;

	lab_open(&u->l, u->want.name);
	if (up_fits(u))
		return ST_FAILED;
	alive = u->repair && ringd_healthy(&u->l);
	for (k = 1; k <= u->want.n_nodes; k++) {
		ns_name(u->want.name, k, name);
		if (!topo_has(&u->want, k) || ns_look(&u->l, k, NULL) == NS_OURS)
			continue;
		printf("make namespace %s\n", name);
		if (alive)
			printf("put n%u on the ring\n", k);
		any = true;
	}
	if (alive && !any)
		printf("nothing to make: lab %s is up\n", u->want.name);
	if (!alive)
		printf("start jetringd at %s\n", rate_text(u->want.medium.rate_bps, rate));
	for (k = 1; k <= u->want.n_nodes && !alive; k++)
		if (topo_has(&u->want, k))
			printf("set jet0 of n%u up with %s/%u\n", k, inet_ntoa(u->want.node[k].addr),
		       u->want.prefix_len);
	if (!alive && *u->connd && !u->want.kernel_only)
		printf("start the connection servers\n");
	lab_close(&u->l);
	return ST_OK;
}

/* Locked, and everything may be done. */
static int up_locked(struct up *u)
{
	char rate[32], n[LAB_NAME_MAX + 8] = "";
	int st = up_fits(u);

	if (st)
		return st;
	if (u->repair && ringd_healthy(&u->l)) {
		bool alone = false;

		st = up_nodes(u, &alone);
		if (!st && !alone)
			st = up_again(u);
		if (st || got_signal)
			up_leave(u);
		else if (!alone)
			say("lab %s is %sup: %u node%s", u->l.name,
			    memchr(u->joined, true, sizeof(u->joined)) ? "" : "already ",
			    topo_count(&u->want), topo_count(&u->want) == 1 ? "" : "s");
		if (st || got_signal || !alone)
			return got_signal ? 128 + got_signal : st;
	}
	if (u->repair)
		say("lab %s is broken; mending it", u->l.name);
	st = up_make(u);
	if (!st)
		st = up_ring(u);
	if (!st)
		st = up_links(u);
	if (!st)
		st = up_settings(u);
	if (!st)
		st = up_connd(u);
	if (st || got_signal) {
		up_undo(u);
		return got_signal ? 128 + got_signal : st;
	}
	if (strcmp(u->l.name, "lab"))
		snprintf(n, sizeof(n), " -n %s", u->l.name);
	say("lab %s is up: %u node%s, %s; next: jet ping%s, jet exec%s n1 -- COMMAND", u->l.name,
	    topo_count(&u->want), topo_count(&u->want) == 1 ? "" : "s", rate_text(u->want.medium.rate_bps, rate), n, n);
	return ST_OK;
}

int verb_up(const struct opts *o)
{
	static struct up u;
	int err, st;

	if (o->n_args)
		return bad_usage("up takes no \"%s\"; a topology file comes after -t", o->args[0]);
	st = topo_wanted(o, &u.want, &u.asked);
	u.o = o;
	if (!st)
		st = up_may(&u);
	if (st)
		return st;
	if (o->dry_run)
		return dry_run(&u);
	catch_signals(false);
	err = lab_lock(&u.l, u.want.name, true);
	if (err == -EINTR)
		return 128 + got_signal;
	if (err)
		return fail("cannot make %s: %s", u.l.dir, strerror(-err));
	st = up_locked(&u);
	/* Made, and refused or undone: nothing stays. */
	if (st && u.l.made)
		lab_remove(&u.l);
	lab_close(&u.l);
	return st;
}
