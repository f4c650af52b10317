/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * link.c - losses and errors of the ring: link; jet
 *
 *	jet link show
 *	jet link set n1->n2 loss=1% corrupt=0.5% seed=7	what is not named stays
 *	jet link rule lose n1->n2 data=3		once: the third with payload
 *	jet link rule show				those that wait
 *	jet link token lose				a fault of the ring itself; or duplicate
 */
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "netns/jet.h"

/* "n1->n2", "*->n2", "all" into jetringd's form; says what is wrong. */
static int direction(const struct lab *l, const char *word, char buf[40])
{
	const char *arrow = strstr(word, "->");
	char src[16], dst[16];
	unsigned int j, k;

	if (!strcmp(word, "all")) {
		strcpy(buf, "*->*");
		return ST_OK;
	}
	if (!arrow || arrow - word >= (long)sizeof(src) || strlen(arrow + 2) >= sizeof(dst))
		return bad_usage("\"%s\" is no direction: write 'n1->n2' (quoted), '*->n2' or all", word);
	snprintf(src, sizeof(src), "%.*s", (int)(arrow - word), word);
	snprintf(dst, sizeof(dst), "%s", arrow + 2);
	j = strcmp(src, "*") ? lab_node(l, src) : 0;
	if (strcmp(src, "*") && !j)
		return ST_FAILED;
	k = strcmp(dst, "*") ? lab_node(l, dst) : 0;
	if (strcmp(dst, "*") && !k)
		return ST_FAILED;
	if (j && j == k)
		return bad_usage("a node does not reach itself over the ring");
	snprintf(src, sizeof(src), j ? "n%u" : "*", j);
	snprintf(dst, sizeof(dst), k ? "n%u" : "*", k);
	snprintf(buf, 40, "%s->%s", src, dst);
	return ST_OK;
}

/* @words after @head; ST_* */
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
		st = fail("%s", *reply);
	else if (err)
		st = fail("jetringd does not answer: %s", strerror(-err));
	return st;
}

static const char *text(struct json_object *j, const char *key)
{
	struct json_object *v;

	return json_object_object_get_ex(j, key, &v) ? json_object_get_string(v) : "-";
}

static void show_rows(struct json_object *all)
{
	size_t i;

	printf("%-10s %9s %9s %20s %10s %8s %9s\n", "LINK", "LOSS-%", "CORRUPT-%", "SEED", "FRAMES", "LOST",
	       "CORRUPTED");
	for (i = 0; i < json_object_array_length(all); i++) {
		struct json_object *r = json_object_array_get_idx(all, i);
		char dir[40];

		snprintf(dir, sizeof(dir), "%s->%s", text(r, "src"), text(r, "dst"));
		printf("%-10s %9s %9s %20s %10s %8s %9s\n", dir, text(r, "loss_percent"),
		       text(r, "corrupt_percent"), text(r, "seed"), text(r, "frames"), text(r, "lost"),
		       text(r, "corrupted"));
	}
}

static void rule_rows(struct json_object *all)
{
	size_t i;

	printf("%-8s %-10s %-8s %8s\n", "ACTION", "LINK", "STREAM", "DATA");
	for (i = 0; i < json_object_array_length(all); i++) {
		struct json_object *r = json_object_array_get_idx(all, i);
		char dir[40];

		snprintf(dir, sizeof(dir), "%s->%s", text(r, "src"), text(r, "dst"));
		printf("%-8s %-10s %-8s %8s\n", text(r, "action"), dir, text(r, "stream"), text(r, "data"));
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

static int set(const struct opts *o, const struct lab *l)
{
	char dir[40], head[64], *reply = NULL;
	int st;

	if (o->n_args < 3)
		return bad_usage("\"jet link set 'n1->n2' loss=1%%\" needs a direction and what to set");
	st = direction(l, o->args[1], dir);
	if (st)
		return st;
	snprintf(head, sizeof(head), "link set %s", dir);
	st = tell(l, head, o->args + 2, o->n_args - 2, &reply);
	free(reply);
	return st;
}

static int rule(const struct opts *o, const struct lab *l)
{
	char dir[40], head[96], *reply = NULL;
	bool has_stream = false;
	int i, st;

	if (o->n_args == 1 || (o->n_args == 2 && !strcmp(o->args[1], "show")))
		return show(o, l, "rule show", rule_rows);
	if (o->n_args < 4 || (strcmp(o->args[1], "lose") && strcmp(o->args[1], "corrupt")))
		return bad_usage("write \"jet link rule lose|corrupt 'n1->n2' data=K [stream=N|user|any]\"");
	st = direction(l, o->args[2], dir);
	if (st)
		return st;
	for (i = 3; i < o->n_args; i++)
		has_stream |= !strncmp(o->args[i], "stream=", 7);
	snprintf(head, sizeof(head), "rule add %s %s%s", o->args[1], dir, has_stream ? "" : " stream=any");
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

int verb_link(const struct opts *o)
{
	static const char *const words[] = { "show", "set", "rule", "token" };
	const char *word = o->n_args ? o->args[0] : "show";
	struct lab l;
	int st;

	if (strcmp(word, "show") && strcmp(word, "set") && strcmp(word, "rule") &&
	    strcmp(word, "token"))
		return bad_usage("\"link %s\" is unknown%s (show, set, rule, token)", word,
				 did_you_mean(word, words, ARRAY_SIZE(words)));
	st = need_root();
	if (!st)
		st = lab_need(o, &l, true);
	if (st)
		return st;
	if (!strcmp(word, "show"))
		st = show(o, &l, "link show", show_rows);
	else if (!strcmp(word, "set"))
		st = set(o, &l);
	else if (!strcmp(word, "token"))
		st = token(o, &l);
	else
		st = rule(o, &l);
	lab_close(&l);
	return st;
}
