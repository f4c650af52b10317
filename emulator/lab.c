/* SPDX-License-Identifier: BSD-2-Clause */
/* lab.c - what jetringd was told, and its nodes that come and go; runs in jetringd */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "emulator/capture.h"
#include "emulator/lab.h"
#include "emulator/station.h"

struct lab lab = { .has_connd = true };

struct station *lab_station(const char *name)
{
	for (int i = 0; i < JS_N_RING_IDS; i++)
		if (stations[i].used && !strcmp(stations[i].name, name))
			return &stations[i];
	return NULL;
}

int lab_node_parse(const char *arg, struct lab_node *n, char *why)
{
	char *end;
	unsigned long k = strtoul(arg, &end, 10);
	const char *comma;
	size_t n_path;

	if (*arg < '0' || *arg > '9' || (*end && *end != '=') || k < 1 || k > JS_N_RING_IDS) {
		snprintf(why, LAB_WHY_MAX, "a node is K[=NETNS[,ADDR/LEN]] with K from 1 to 16, not \"%.80s\"",
			 arg);
		return -EINVAL;
	}
	memset(n, 0, sizeof(*n));
	n->k = (unsigned int)k;
	snprintf(n->addr, sizeof(n->addr), "10.74.0.%lu/24", k);
	if (!*end)
		return 0;
	end++;
	comma = strchr(end, ',');
	n_path = comma ? (size_t)(comma - end) : strlen(end);
	if (!n_path || n_path >= sizeof(n->netns)) {
		snprintf(why, LAB_WHY_MAX, "n%lu: the path of the namespace has 1 to %zu characters", k,
			 sizeof(n->netns) - 1);
		return -EINVAL;
	}
	memcpy(n->netns, end, n_path);
	if (!comma)
		return 0;
	if (!strchr(comma + 1, '/') || strlen(comma + 1) >= sizeof(n->addr)) {
		snprintf(why, LAB_WHY_MAX, "n%lu: \"%.80s\" is not ADDR/LEN", k, comma + 1);
		return -EINVAL;
	}
	strcpy(n->addr, comma + 1);
	return 0;
}

/* Its TAP and its socket. */
static int open_station(struct station *s, char *why)
{
	const char *what = "";
	char path[128];
	int err = tap_open(s, &what);

	if (err) {
		snprintf(why, LAB_WHY_MAX, "%s: cannot %s in %s: %s%s", s->name, what, s->netns,
			 strerror(-err), err == -EBUSY ? " (is another lab using the namespace?)" :
			 err == -EPERM || err == -EACCES ? " (are you root?)" : "");
		return err;
	}
	snprintf(path, sizeof(path), "%s/%s.sock", lab.run, s->name);
	err = ports_start(s, path);
	if (err) {
		snprintf(why, LAB_WHY_MAX, "%s: cannot listen on %s: %s", s->name, path, strerror(-err));
		tap_close(s);
	}
	return err;
}

int lab_join(const struct lab_node *n, char *why)
{
	unsigned int id = n->k % JS_N_RING_IDS;
	struct station *s = &stations[id];
	int err;

	if (s->used) {
		snprintf(why, LAB_WHY_MAX, "n%u is on the ring already", n->k);
		return -EEXIST;
	}
	memset(s, 0, sizeof(*s));
	s->ring_id = (uint8_t)id;
	snprintf(s->name, sizeof(s->name), "n%u", n->k);
	memcpy(s->netns, n->netns, sizeof(s->netns));
	memcpy(lab.addr[id], n->addr, sizeof(lab.addr[id]));
	lab.node[id] = n->k;
	vcitab_init(s);
	err = open_station(s, why);
	if (err) {
		vcitab_fini(s);
		return err;
	}
	s->used = true;
	station_start(&lab.ring, s);
	capture_station_added(s);
	return 0;
}

/* Off the ring first: then all frames are back with their ports and the TAP. */
void lab_leave(struct station *s)
{
	spawn_end(s);
	station_stop(s);
	ports_stop(s);
	tap_close(s);
	vcitab_fini(s);
	s->used = false;
	log_info("%s has left the ring", s->name);
}
