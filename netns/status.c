/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * status.c - what labs there are, and how one does: status, list; jet
 *
 * The figures are jetringd's answer to "status" (abi/ringctl.h); what it calls
 * them there they are called here.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/units.h"
#include "common/util.h"
#include "netns/jet.h"

static void print_json(struct json_object *j)
{
	puts(json_object_to_json_string_ext(j, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE));
}

/* The member @key of @j or of a member of it. */
static struct json_object *find(struct json_object *j, const char *key)
{
	struct json_object *v;

	if (json_object_object_get_ex(j, key, &v))
		return v;
	json_object_object_foreach(j, k, sub) {
		(void)k;
		if (json_object_is_type(sub, json_type_object) && json_object_object_get_ex(sub, key, &v))
			return v;
	}
	return NULL;
}

static unsigned long long count(struct json_object *j, const char *key)
{
	return (unsigned long long)json_object_get_int64(find(j, key));
}

/* Frames that ended at an adapter for another reason than a bad CRC. */
static unsigned long long dropped(struct json_object *node)
{
	static const char *const keys[] = {
		"rx_unbound", "rx_pool_full", "rx_event_full", "rx_tap_drop", "rx_parked",
		"rx_bad_proto", "tx_no_ring_id", "tx_bad_ether", "tx_template", "tx_bad_op",
		"tx_cut", "tap_tx_dropped",
	};
	unsigned long long sum = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(keys); i++)
		sum += count(node, keys[i]);
	return sum;
}

static void connd_text(struct json_object *node, char buf[32])
{
	struct json_object *c, *state = NULL, *pid = NULL;

	snprintf(buf, 32, "-");
	if (!json_object_object_get_ex(node, "connd", &c))
		return;
	json_object_object_get_ex(c, "state", &state);
	json_object_object_get_ex(c, "pid", &pid);
	if (json_object_get_int(pid) > 0)
		snprintf(buf, 32, "%s %d", json_object_get_string(state), json_object_get_int(pid));
	else if (state)
		snprintf(buf, 32, "%s", json_object_get_string(state));
}

/* What the ring is, and how well it keeps its time. */
static void ring_line(struct json_object *j)
{
	struct json_object *r, *v;
	char t[3][UNITS_TEXT_MAX];

	if (!json_object_object_get_ex(j, "ring", &r))
		return;
	printf("ring: token %s, monitor %s, once round %s, latency %s, holding time %s, %llu MiB a node\n",
	       json_object_object_get_ex(r, "token", &v) ? json_object_get_string(v) : "?",
	       json_object_object_get_ex(r, "monitor", &v) ? json_object_get_string(v) : "?",
	       units_time_text(count(r, "round_ns"), t[0]), units_time_text(count(r, "latency_ns"), t[1]),
	       units_time_text(count(r, "hold_ns"), t[2]), count(r, "node_mem_octets") >> 20);
	printf("frames: %llu, %llu cut, %llu more than 100us late; late by p50 %.1f us, p99 %.1f us, max %.1f us\n\n",
	       count(r, "frames"), count(r, "cut_frames"), count(r, "late_frames"),
	       (double)count(r, "late_p50_ns") / 1e3, (double)count(r, "late_p99_ns") / 1e3,
	       (double)count(r, "late_max_ns") / 1e3);
}

static void table(const struct lab *l, struct json_object *j)
{
	struct json_object *nodes = find(j, "nodes"), *cap;
	char rate[32];
	size_t i;

	printf("lab %s: up, %u node%s, %s, jetringd is process %d\n", l->name, topo_count(&l->topo),
	       topo_count(&l->topo) == 1 ? "" : "s", rate_text(count(j, "rate_bps"), rate), (int)l->ringd.pid);
	ring_line(j);
	printf("%-5s %-15s %-4s %-16s %10s %10s %7s %9s %7s %7s\n", "NODE", "ADDRESS", "RING", "CONND",
	       "SENT", "RECEIVED", "LOST", "CORRUPTED", "BAD-CRC", "DROPPED");
	for (i = 0; nodes && i < json_object_array_length(nodes); i++) {
		struct json_object *n = json_object_array_get_idx(nodes, i);
		const char *name = json_object_get_string(find(n, "name"));
		unsigned int k = name && *name == 'n' ? (unsigned int)atoi(name + 1) : 0;
		char connd[32];

		connd_text(n, connd);
		printf("%-5s %-15s %-4llu %-16s %10llu %10llu %7llu %9llu %7llu %7llu\n", name ? name : "?",
		       k >= 1 && k <= NODES_MAX ? inet_ntoa(l->topo.node[k].addr) : "?", count(n, "ring_id"),
		       connd, count(n, "tx_frames"), count(n, "rx_frames"), count(n, "lost"),
		       count(n, "corrupted"), count(n, "rx_bad_crc"), dropped(n));
	}
	cap = find(j, "capture");
	if (cap && (count(cap, "consumers") || count(cap, "dropped")))
		printf("\ncaptures: %llu running; %llu frames recorded, %llu dropped by slow ones\n",
		       count(cap, "consumers"), count(cap, "records"), count(cap, "dropped"));
}

/* What the record says, if there is nobody to ask. */
static struct json_object *from_record(const struct lab *l)
{
	struct json_object *j = json_object_new_object(), *nodes = json_object_new_array();
	unsigned int k;

	json_object_object_add(j, "lab", json_object_new_string(l->name));
	json_object_object_add(j, "state", json_object_new_string(proc_alive(&l->ringd) ? "up" : "dead"));
	json_object_object_add(j, "jetringd_pid",
			       json_object_new_int(proc_alive(&l->ringd) ? (int)l->ringd.pid : 0));
	json_object_object_add(j, "rate_bps", json_object_new_int64((int64_t)l->topo.medium.rate_bps));
	for (k = 1; k <= l->topo.n_nodes; k++) {
		struct json_object *n;
		char name[64];

		if (!topo_has(&l->topo, k))
			continue;
		n = json_object_new_object();
		snprintf(name, sizeof(name), "n%u", k);
		json_object_object_add(n, "name", json_object_new_string(name));
		json_object_object_add(n, "address", json_object_new_string(inet_ntoa(l->topo.node[k].addr)));
		ns_name(l->name, k, name);
		json_object_object_add(n, "netns", json_object_new_string(name));
		json_object_array_add(nodes, n);
	}
	json_object_object_add(j, "nodes", nodes);
	return j;
}

/* jetringd's answer goes over what the record says, node by node. */
static void merge(struct json_object *into, struct json_object *from)
{
	json_object_object_foreach(from, key, v) {
		struct json_object *old;

		if (json_object_object_get_ex(into, key, &old) && json_object_is_type(old, json_type_array) &&
		    json_object_is_type(v, json_type_array)) {
			size_t i, n = MIN(json_object_array_length(old), json_object_array_length(v));

			for (i = 0; i < n; i++)
				merge(json_object_array_get_idx(old, i), json_object_array_get_idx(v, i));
		} else {
			json_object_object_add(into, key, json_object_get(v));
		}
	}
}

int verb_status(const struct opts *o)
{
	struct json_object *j, *said = NULL;
	char *reply = NULL;
	struct lab l;
	int err, st;

	if (o->n_args)
		return bad_usage("status takes no \"%s\"; name the lab with -n", o->args[0]);
	st = lab_need(o, &l, false);
	if (st)
		return st;
	j = from_record(&l);
	if (proc_alive(&l.ringd)) {
		err = ringd_ask(&l, "status", &reply);
		if (!err)
			said = json_tokener_parse(reply);
		if (err == -EACCES)
			st = need_root();
		else if (err)
			st = fail("jetringd of lab %s does not answer: %s", l.name, strerror(-err));
		else if (!said)
			st = fail("jetringd of lab %s answers what is not JSON", l.name);
		free(reply);
	} else {
		st = fail("jetringd of lab %s died: run \"jet up -n %s\" to repair", l.name, l.name);
	}
	if (said)
		merge(j, said);
	if (o->json)
		print_json(j);
	else if (said)
		table(&l, j);
	json_object_put(said);
	json_object_put(j);
	lab_close(&l);
	return st;
}

int verb_list(const struct opts *o)
{
	struct json_object *all = json_object_new_array();
	struct dirent **names;
	int i, n = scandir(JS_RUN_DIR, &names, NULL, alphasort), shown = 0;
	char rate[32];

	for (i = 0; i < n; i++) {
		struct lab l;

		if (lab_name_ok(names[i]->d_name) && !lab_open(&l, names[i]->d_name)) {
			if (!o->json && !shown++)
				printf("%-24s %5s %-10s %s\n", "LAB", "NODES", "RATE", "STATE");
			if (!o->json)
				printf("%-24s %5u %-10s %s\n", l.name, topo_count(&l.topo),
				       rate_text(l.topo.medium.rate_bps, rate), proc_alive(&l.ringd) ? "up" : "dead");
			json_object_array_add(all, from_record(&l));
			lab_close(&l);
		}
		free(names[i]);
	}
	if (n >= 0)
		free(names);
	if (o->json)
		print_json(all);
	else if (!shown)
		say("no lab is up");
	json_object_put(all);
	return ST_OK;
}
