/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * link.c - impairments of the ring: link; jet
 *
 *	jet link show
 *	jet link set 'n1->n2' loss=1% delay=20ms seed=7	what is not named stays
 *	jet link reset ['n1->n2']		as a ring that has just come up
 *	jet link rule lose 'n1->n2' data=3	once: the third with payload
 *	jet link rule show			those that wait
 *	jet link token lose			a fault of the ring itself; or duplicate
 *
 * Scopes, keys and values: common/linkset.h.
 */
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/linkset.h"
#include "common/units.h"
#include "common/util.h"
#include "netns/jet.h"

/* @word as a scope of this lab in jetringd's form; says what is wrong. */
static int scope_of(const struct lab *l, const char *word, char buf[LINK_SCOPE_MAX])
{
	struct link_scope scope;

	if (!link_scope_parse(word, &scope))
		return bad_usage("\"%s\" is no link: write 'n1->n2' (quoted), 'n1<->n2', n1 or ring", word);
	if ((*scope.src != '*' && !lab_node(l, scope.src)) ||
	    (*scope.dst != '*' && !lab_node(l, scope.dst)))
		return ST_FAILED;
	link_scope_text(&scope, buf);
	return ST_OK;
}

/* @words after @head; ST_*.  What jetringd refuses is something in @words. */
static int tell(const struct lab *l, const char *head, char *const *words, int n, char **reply)
{
	char cmd[JS_CTL_CMD_MAX];
	size_t len = (size_t)snprintf(cmd, sizeof(cmd), "%s", head);
	int i, err, st = ST_OK;

	for (i = 0; i < n && len < sizeof(cmd); i++)
		len += (size_t)snprintf(cmd + len, sizeof(cmd) - len, " %s", words[i]);
	if (len >= sizeof(cmd))
		return bad_usage("that is too long");
	err = ringd_ask(l, cmd, reply);
	if (err == -EREMOTEIO)
		st = n ? bad_usage("%s", *reply) : fail("%s", *reply);
	else if (err)
		st = fail("jetringd does not answer: %s", strerror(-err));
	return st;
}

static const char *text(struct json_object *j, const char *key)
{
	struct json_object *v;

	return json_object_object_get_ex(j, key, &v) ? json_object_get_string(v) : "-";
}

static long long count(struct json_object *j, const char *key)
{
	struct json_object *v;

	return json_object_object_get_ex(j, key, &v) ? (long long)json_object_get_int64(v) : 0;
}

/* What happened on a link, but for what did not: " 3 lost, 1 late". */
static void print_fates(struct json_object *r)
{
	static const char *const keys[] = {
		"lost", "duplicated", "corrupted", "delayed", "reordered", "limit_drops", "late", "waiting",
	};
	const char *sep = "";
	size_t i;

	for (i = 0; i < ARRAY_SIZE(keys); i++) {
		if (!count(r, keys[i]))
			continue;
		printf("%s%lld %s", sep, count(r, keys[i]),
		       strcmp(keys[i], "limit_drops") ? keys[i] : "dropped at the limit");
		sep = ", ";
	}
	printf("%s\n", *sep ? "" : "-");
}

static void show_rows(struct json_object *all)
{
	size_t i;

	printf("%-10s %10s  %-34s %s\n", "LINK", "FRAMES", "SET", "OF THEM");
	for (i = 0; i < json_object_array_length(all); i++) {
		struct json_object *r = json_object_array_get_idx(all, i);
		char dir[40];

		snprintf(dir, sizeof(dir), "%s->%s", text(r, "src"), text(r, "dst"));
		printf("%-10s %10s  %-34s ", dir, text(r, "frames"), *text(r, "set") ? text(r, "set") : "-");
		print_fates(r);
	}
}

static void rule_rows(struct json_object *all)
{
	size_t i;

	printf("%-10s %-10s %-8s %8s  %s\n", "ACTION", "LINK", "STREAM", "VCI", "WHICH");
	for (i = 0; i < json_object_array_length(all); i++) {
		struct json_object *r = json_object_array_get_idx(all, i);
		char by[UNITS_TEXT_MAX];
		bool data = count(r, "data");

		printf("%-10s %-10s %-8s %8s  %s=%s", text(r, "action"), text(r, "scope"), text(r, "stream"),
		       text(r, "vci"), data ? "data" : "frame", text(r, data ? "data" : "frame"));
		if (count(r, "by_ns"))
			printf(" by=%s", units_time_text((uint64_t)count(r, "by_ns"), by));
		printf("\n");
	}
}

/* A list that @cmd gives, as JSON or as @rows. */
static int show(const struct opts *o, const struct lab *l, const char *cmd,
		void (*rows)(struct json_object *all))
{
	struct json_object *all;
	char *reply = NULL;
	int st = tell(l, cmd, NULL, 0, &reply);

	all = st ? NULL : json_tokener_parse(reply);
	free(reply);
	if (st)
		return st;
	if (!json_object_is_type(all, json_type_array))
		return fail("jetringd answers what is not a list");
	if (o->json)
		puts(json_object_to_json_string_ext(all, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE));
	else
		rows(all);
	json_object_put(all);
	return ST_OK;
}

/* Are words from @i on settings?  jetringd asks the same, but here it is the user's mistake. */
static int check_settings(const struct opts *o, int i)
{
	struct link_set set;
	int key;

	link_set_default(&set);
	for (; i < o->n_args; i++) {
		char name[16];

		switch (link_set_word(&set, o->args[i], &key)) {
		case 0:
			continue;
		case -EINVAL:
			return bad_usage("\"%s\": %s should be %s", o->args[i], link_key_names[key],
					 link_key_form((enum link_key)key));
		}
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(o->args[i], "="), o->args[i]);
		if (!strchr(o->args[i], '='))
			return bad_usage("\"%s\" is no setting: write KEY=VALUE, as in loss=1%%", o->args[i]);
		return bad_usage("a link has no \"%s\"%s", name,
				 did_you_mean(name, link_key_names, LINK_N_KEYS));
	}
	return ST_OK;
}

static int set(const struct opts *o, const struct lab *l)
{
	char scope[LINK_SCOPE_MAX], head[64], *reply = NULL;
	int st;

	if (o->n_args < 3)
		return bad_usage("\"jet link set 'n1->n2' loss=1%%\" needs a link and what to set");
	st = check_settings(o, 2);
	if (!st)
		st = scope_of(l, o->args[1], scope);
	if (st)
		return st;
	snprintf(head, sizeof(head), "link set %s", scope);
	st = tell(l, head, o->args + 2, o->n_args - 2, &reply);
	free(reply);
	return st;
}

static int reset(const struct opts *o, const struct lab *l)
{
	char scope[LINK_SCOPE_MAX] = "", head[64], *reply = NULL;
	int st = ST_OK;

	if (o->n_args > 2)
		return bad_usage("reset takes one link, or none for the ring and its rules");
	if (o->n_args == 2)
		st = scope_of(l, o->args[1], scope);
	if (st)
		return st;
	snprintf(head, sizeof(head), "link reset%s%s", *scope ? " " : "", scope);
	st = tell(l, head, NULL, 0, &reply);
	free(reply);
	return st;
}

static int rule(const struct opts *o, const struct lab *l)
{
	static const char *const actions[] = { "lose", "corrupt", "duplicate", "delay" };
	char scope[LINK_SCOPE_MAX], head[96], *reply = NULL;
	bool known = false;
	size_t i;
	int st;

	if (o->n_args == 1 || (o->n_args == 2 && !strcmp(o->args[1], "show")))
		return show(o, l, "rule show", rule_rows);
	for (i = 0; i < ARRAY_SIZE(actions); i++)
		known |= !strcmp(o->args[1], actions[i]);
	if (o->n_args < 4 || !known)
		return bad_usage("write \"jet link rule lose|corrupt|duplicate|delay 'n1->n2' data=K|frame=K "
				 "[stream=N|user|any] [vci=N] [by=TIME]\"");
	st = scope_of(l, o->args[2], scope);
	if (st)
		return st;
	snprintf(head, sizeof(head), "rule add %s %s", o->args[1], scope);
	st = tell(l, head, o->args + 3, o->n_args - 3, &reply);
	free(reply);
	return st;
}

static int token(const struct opts *o, const struct lab *l)
{
	char *reply = NULL;
	int st;

	if (o->n_args != 2 || (strcmp(o->args[1], "lose") && strcmp(o->args[1], "duplicate")))
		return bad_usage("write \"jet link token lose\" or \"jet link token duplicate\"");
	st = tell(l, "token", o->args + 1, 1, &reply);
	free(reply);
	return st;
}

/* --- as a topology has it -------------------------------------------------------- */

/* What @t wants of one pair: all that concerns it, in its order. */
static const char *wanted_text(const struct topo *t, const char *src, const char *dst,
			       char buf[LINK_TEXT_MAX])
{
	struct link_set set;
	unsigned int i;

	link_set_default(&set);
	for (i = 0; i < t->n_links; i++)
		if (link_scope_has(&t->link[i].scope, src, dst))
			link_set_apply(&set, &t->link[i].set);
	return link_set_text(&set, buf);
}

/* The settings of a pair that differ begin anew. */
static int converge_pair(const struct lab *l, const struct topo *t, const char *src, const char *dst,
			 const char *is)
{
	char want[LINK_TEXT_MAX], cmd[LINK_TEXT_MAX + 64], *reply = NULL;
	int st;

	wanted_text(t, src, dst, want);
	if (!strcmp(want, is))
		return ST_OK;
	snprintf(cmd, sizeof(cmd), "link reset %s->%s", src, dst);
	st = tell(l, cmd, NULL, 0, &reply);
	free(reply);
	if (st || !*want)
		return st;
	snprintf(cmd, sizeof(cmd), "link set %s->%s %s", src, dst, want);
	st = tell(l, cmd, NULL, 0, &reply);
	free(reply);
	return st;
}

/* @all: jetringd's list; it has a pair of a node with itself only if that was set. */
static const char *set_of(struct json_object *all, const char *src, const char *dst)
{
	size_t i;

	for (i = 0; i < json_object_array_length(all); i++) {
		struct json_object *r = json_object_array_get_idx(all, i);

		if (!strcmp(text(r, "src"), src) && !strcmp(text(r, "dst"), dst))
			return text(r, "set");
	}
	return "";
}

int links_converge(const struct lab *l, const struct topo *t)
{
	struct json_object *all;
	char *reply = NULL, src[8], dst[8];
	int st = tell(l, "link show", NULL, 0, &reply);
	unsigned int j, k;

	all = st ? NULL : json_tokener_parse(reply);
	free(reply);
	if (st)
		return st;
	if (!json_object_is_type(all, json_type_array))
		return fail("jetringd answers what is not a list");
	for (j = 1; j <= t->n_nodes && !st; j++) {
		for (k = 1; k <= t->n_nodes && !st; k++) {
			if (!topo_has(t, j) || !topo_has(t, k))
				continue;
			snprintf(src, sizeof(src), "n%u", j);
			snprintf(dst, sizeof(dst), "n%u", k);
			st = converge_pair(l, t, src, dst, set_of(all, src, dst));
		}
	}
	json_object_put(all);
	return st;
}

int verb_link(const struct opts *o)
{
	static const char *const words[] = { "show", "set", "reset", "rule", "token" };
	const char *word = o->n_args ? o->args[0] : "show";
	struct lab l;
	bool known = false;
	size_t i;
	int st;

	for (i = 0; i < ARRAY_SIZE(words); i++)
		known |= !strcmp(word, words[i]);
	if (!known)
		return bad_usage("\"link %s\" is unknown%s (show, set, reset, rule, token)", word,
				 did_you_mean(word, words, ARRAY_SIZE(words)));
	st = need_root();
	if (!st)
		st = lab_need(o, &l, true);
	if (st)
		return st;
	if (!strcmp(word, "show"))
		st = o->n_args > 1 ? bad_usage("link show takes no \"%s\"", o->args[1]) :
				     show(o, &l, "link show", show_rows);
	else if (!strcmp(word, "set"))
		st = set(o, &l);
	else if (!strcmp(word, "token"))
		st = token(o, &l);
	else if (!strcmp(word, "reset"))
		st = reset(o, &l);
	else
		st = rule(o, &l);
	lab_close(&l);
	return st;
}
