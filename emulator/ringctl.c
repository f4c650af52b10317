/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ringctl.c - ring.sock: commands about the ring, and its status as JSON
 *
 * Commands and answers: abi/ringctl.h.  The socket is root's (0600), yet
 * every command is read as if it came from anybody: what is not understood is
 * answered with "error: " and a sentence, counted, and changes nothing.
 *
 * Runs in jetringd.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "abi/ringctl.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/units.h"
#include "common/util.h"
#include "emulator/capture.h"
#include "emulator/impair.h"
#include "emulator/lab.h"
#include "emulator/ringctl.h"
#include "emulator/sock.h"

#define N_WORDS		16		/* of a command */
#define NODE_OCTETS	2048		/* a node's part of status takes less, without its ports */

struct client {
	struct loop_fd lf;
};

static struct loop_fd listener = { .fd = -1 };
static struct client *clients[64];
static uint64_t commands, bad_commands;
static char reply[JS_CTL_REPLY_MAX];
static size_t reply_len;
static bool reply_full;			/* something did not fit */

/* --- the answer -------------------------------------------------------------------- */

static void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void say(const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(reply + reply_len, sizeof(reply) - reply_len, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(reply) - reply_len)
		reply_full = true;
	else
		reply_len += (size_t)n;
}

/* @s as a JSON string. */
static void say_string(const char *s)
{
	say("\"");
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\')
			say("\\%c", c);
		else if (c < 0x20)
			say("\\u%04x", c);
		else
			say("%c", c);
	}
	say("\"");
}

static void say_member(const char *name, const char *value)
{
	say("\"%s\":", name);
	say_string(value);
}

static void fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Instead of whatever was said so far. */
static void fail(const char *fmt, ...)
{
	va_list ap;
	int n;

	reply_len = 0;
	reply_full = false;
	say("error: ");
	va_start(ap, fmt);
	n = vsnprintf(reply + reply_len, 400, fmt, ap);
	va_end(ap);
	reply_len += (size_t)MIN(n, 399);
	bad_commands++;
}

/* --- status -------------------------------------------------------------------------- */

#define COUNTER(name)	{ #name, offsetof(struct station_stats, name) }

static const struct {
	const char *name;
	size_t off;
} counters[] = {
	COUNTER(tx_frames), COUNTER(tx_bytes), COUNTER(rx_frames), COUNTER(rx_bytes),
	COUNTER(local_frames), COUNTER(rx_bad_crc), COUNTER(rx_unbound),
	COUNTER(rx_pool_full), COUNTER(rx_event_full), COUNTER(rx_tap_drop),
	COUNTER(rx_bad_proto), COUNTER(rx_parked), COUNTER(tx_no_ring_id),
	COUNTER(tx_bad_ether), COUNTER(tx_not_copied), COUNTER(tx_cut), COUNTER(tx_template),
	COUNTER(tx_bad_op), COUNTER(lost), COUNTER(corrupted), COUNTER(crossings),
	COUNTER(ops),
};

static_assert(ARRAY_SIZE(counters) * sizeof(uint64_t) == sizeof(struct station_stats),
	      "a counter is missing in status");

/* @n_left: nodes to come, with this one: each has the same share of the room. */
static void say_node(const struct station *s, unsigned int n_left)
{
	size_t n, room = sizeof(reply) - reply_len - n_left * NODE_OCTETS;
	unsigned int n_restarts;
	int pid;
	const char *state = spawn_state(s, &pid, &n_restarts);
	uint64_t tap_tx, tap_rx;

	say("{");
	say_member("name", s->name);
	say(",\"ring_id\":%u,", s->ring_id);
	say_member("netns", s->netns);
	say(",");
	say_member("addr", lab.addr[s->ring_id]);
	say(",");
	say_member("tap", tap_state(s));
	say(",");
	say_member("tx_vci", tap_txvci_names[tap_txvci(s)]);
	say(",");
	say_member("ip_divert", vcitab_divert_holder(s));
	say(",\"bufs_used\":%llu,\"bufs_max\":%llu", (unsigned long long)ports_bufs_used(s),
	    (unsigned long long)(node_mem_max / JS_BUF_SIZE));
	if (tap_drops(s, &tap_tx, &tap_rx))
		say(",\"tap_tx_dropped\":%llu,\"tap_rx_dropped\":%llu", (unsigned long long)tap_tx,
		    (unsigned long long)tap_rx);
	say(",\"propagation_ns\":%u", lab.ring.p.prop_ns[s->ring_id]);
	say(",\"connd\":{");
	say_member("state", state);
	say(",\"pid\":%d,\"restarts\":%u},\"stats\":{", pid, n_restarts);
	for (size_t i = 0; i < ARRAY_SIZE(counters); i++) {
		uint64_t v;

		memcpy(&v, (const char *)&s->st + counters[i].off, sizeof(v));
		say("%s\"%s\":%llu", i ? "," : "", counters[i].name, (unsigned long long)v);
	}
	say("},\"ports\":");
	n = ports_status(s, reply + reply_len, room / n_left);
	if (n)
		reply_len += n;
	else
		say("[]");
	say("}");
}

/* Bounds and frames of the buckets that have any; the last bound is the largest error. */
static void say_errors(const struct ring_errors *e)
{
	bool first = true;

	say("\"late_p50_ns\":%llu,\"late_p99_ns\":%llu,\"late_max_ns\":%llu,\"late_histogram\":[",
	    (unsigned long long)ring_errors_quantile(e, 0.5),
	    (unsigned long long)ring_errors_quantile(e, 0.99), (unsigned long long)e->max_ns);
	for (unsigned int i = 0; i < RING_ERR_BUCKETS; i++) {
		uint64_t bound_ns = i == RING_ERR_BUCKETS - 1 ? e->max_ns : ring_errors_bound_ns(i);

		if (!e->bucket[i])
			continue;
		say("%s{\"up_to_ns\":%llu,\"frames\":%llu}", first ? "" : ",",
		    (unsigned long long)bound_ns, (unsigned long long)e->bucket[i]);
		first = false;
	}
	say("]");
}

static void say_ring(const struct ring *r)
{
	static const char *const states[] = {
		[RING_TOKEN_OK] = "ok", [RING_TOKEN_LOST] = "lost",
		[RING_TOKEN_CLAIM] = "claim", [RING_TOKEN_PURGE] = "purge",
	};

	static_assert(ARRAY_SIZE(states) == RING_TOKEN_N_STATES, "a name for each state");
	say("\"ring\":{");
	say_member("token", states[r->token]);
	say(",");
	say_member("monitor", r->stations ? stations[ring_monitor(r)].name : "");
	say(",\"latency_ns\":%u,\"hold_ns\":%u,\"mtu_octets\":%u,\"node_mem_octets\":%llu",
	    r->p.station_ns, r->p.hold_ns, JS_MTU, (unsigned long long)node_mem_max);
	say(",\"round_ns\":%llu,\"token_passes\":%llu,\"frames\":%llu,\"bytes\":%llu,"
	    "\"cut_frames\":%llu,\"tokens_issued\":%llu,\"tokens_lost\":%llu,"
	    "\"tokens_duplicated\":%llu,\"claims\":%llu,\"purges\":%llu,"
	    "\"recovery_max_ns\":%llu,\"stalls\":%llu,\"late_frames\":%llu,",
	    (unsigned long long)r->round_ns, (unsigned long long)r->token_passes,
	    (unsigned long long)r->frames, (unsigned long long)r->bytes,
	    (unsigned long long)r->cut_frames, (unsigned long long)r->tokens_issued,
	    (unsigned long long)r->tokens_lost, (unsigned long long)r->tokens_duplicated,
	    (unsigned long long)r->claims, (unsigned long long)r->purges,
	    (unsigned long long)r->recovery_max_ns, (unsigned long long)r->stalls,
	    (unsigned long long)r->late_frames);
	say_errors(&r->errors);
	say("}");
}

static void do_status(char **word, int n_words)
{
	const struct ring *r = &lab.ring;
	const struct capture_stats *cap = capture_stats();
	unsigned int n_left = 0;

	(void)word;
	(void)n_words;
	for (unsigned int id = 0; id < JS_N_RING_IDS; id++)
		n_left += stations[id].used;
	say("ok {");
	say_member("lab", lab.name);
	say(",");
	say_member("version", LAB_VERSION);
	say(",\"pid\":%d,\"rate_bps\":%llu,\"uptime_s\":%.3f,\"seed\":%llu", getpid(),
	    (unsigned long long)r->p.rate_bps, (double)(now_ns() - lab.start_ns) / 1e9,
	    (unsigned long long)lab.seed);
	say(",");
	say_ring(r);
	say(",\"capture\":{\"consumers\":%u,\"records\":%llu,\"dropped\":%llu,\"bad_requests\":%llu}",
	    cap->n_consumers, (unsigned long long)cap->records,
	    (unsigned long long)cap->dropped, (unsigned long long)cap->bad_requests);
	say(",\"control\":{\"commands\":%llu,\"bad_commands\":%llu},\"nodes\":[",
	    (unsigned long long)commands, (unsigned long long)bad_commands);
	/* In the order of node numbers: n16 has Ring ID 0 and comes last. */
	for (unsigned int k = 1; k <= JS_N_RING_IDS; k++) {
		const struct station *s = &stations[k % JS_N_RING_IDS];

		if (!s->used)
			continue;
		say_node(s, n_left);
		if (--n_left)
			say(",");
	}
	say("]}");
}

/* --- words ----------------------------------------------------------------------------- */

static_assert(UNITS_RATE_MAX == RING_RATE_MAX, "what can be written is what the ring takes");

/* Is an end of a scope "*" or a node of this lab?  Answered if not. */
static bool end_exists(const char *end)
{
	if (*end == '*' || lab_station(end))
		return true;
	fail("\"%s\" is no node of this lab", end);
	return false;
}

/* A scope as it is, and as pairs of Ring IDs.  Return: false if it is none; answered */
static bool parse_scope(const char *s, struct link_scope *scope, struct impair_pairs *pairs)
{
	if (!link_scope_parse(s, scope)) {
		fail("\"%.40s\" is not n1->n2, n1<->n2, n1 or ring", s);
		return false;
	}
	if (!end_exists(scope->src) || !end_exists(scope->dst))
		return false;
	memset(pairs, 0, sizeof(*pairs));
	for (unsigned int a = 0; a < JS_N_RING_IDS; a++)
		for (unsigned int b = 0; b < JS_N_RING_IDS; b++)
			if (stations[a].used && stations[b].used &&
			    link_scope_has(scope, stations[a].name, stations[b].name))
				pairs->to[a] |= (uint16_t)(1u << b);
	return true;
}

/* --- commands -------------------------------------------------------------------------- */

static void do_ping(char **word, int n_words)
{
	(void)word;
	(void)n_words;
	say("ok");
}

static void do_start(char **word, int n_words)
{
	int err = spawn_start();

	(void)word;
	(void)n_words;
	if (err)
		fail("cannot start %s: %s", lab.connd, strerror(-err));
	else
		say("ok");
}

static void do_stop(char **word, int n_words)
{
	(void)word;
	(void)n_words;
	lab.ending = true;
	say("ok");
}

static void do_rate(char **word, int n_words)
{
	struct ring_params p = lab.ring.p;
	uint64_t rate_bps;

	if (n_words != 2 || !units_rate(word[1], &rate_bps)) {
		fail("rate wants bits per second, as in rate 1000000000 or rate 10M, or unlimited");
		return;
	}
	p.rate_bps = rate_bps;
	ring_set(&lab.ring, &p, now_ns());
	say("ok");
}

/* One KEY=VALUE of "ring set"; @s: of this station, NULL: of all. */
static bool ring_word(char *w, const struct station *s, struct ring_params *p, uint64_t *mem)
{
	uint64_t v;

	if (!strncmp(w, "propagation=", 12) && units_time(w + 12, RING_DELAY_MAX_NS, &v)) {
		for (unsigned int id = 0; id < JS_N_RING_IDS; id++)
			if (!s || id == s->ring_id)
				p->prop_ns[id] = (uint32_t)v;
		return true;
	}
	if (s)
		return false;
	if (!strncmp(w, "rate=", 5))
		return units_rate(w + 5, &p->rate_bps);
	if (!strncmp(w, "node-mem=", 9))
		return units_number(w + 9, mem) && *mem >= NODE_MEM_MIN;
	if (!strncmp(w, "latency=", 8) && units_time(w + 8, RING_DELAY_MAX_NS, &v))
		p->station_ns = (uint32_t)v;
	else if (!strncmp(w, "hold=", 5) && units_time(w + 5, RING_HOLD_MAX_NS, &v))
		p->hold_ns = (uint32_t)v;
	else
		return false;
	return true;
}

static void do_ring(char **word, int n_words)
{
	struct ring_params p = lab.ring.p;
	struct station *s = n_words > 2 ? lab_station(word[2]) : NULL;
	uint64_t mem = node_mem_max;

	if (n_words < 3 + !!s || strcmp(word[1], "set")) {
		fail("ring wants set, a node or not, and KEY=VALUE");
		return;
	}
	for (int i = s ? 3 : 2; i < n_words; i++) {
		if (ring_word(word[i], s, &p, &mem))
			continue;
		fail("\"%.40s\" is not rate=1G, latency=200ns, propagation=50ns, hold=500us or node-mem=OCTETS%s",
		     word[i], s ? "; a node has propagation= only" : "");
		return;
	}
	node_mem_max = mem;
	for (unsigned int id = 0; id < JS_N_RING_IDS; id++)
		ports_tell_memory(&stations[id]);
	ring_set(&lab.ring, &p, now_ns());
	say("ok");
}

static void do_node(char **word, int n_words)
{
	struct station *s;
	struct lab_node n;
	char why[LAB_WHY_MAX];

	if (n_words == 3 && !strcmp(word[1], "add")) {
		if (lab_node_parse(word[2], &n, why) || lab_join(&n, why))
			fail("%s", why);
		else
			say("ok");
		return;
	}
	if (n_words != 3 || strcmp(word[1], "del")) {
		fail("node wants add K=NETNS,ADDR/LEN or del nK");
		return;
	}
	s = lab_station(word[2]);
	if (!s) {
		fail("\"%.20s\" is no node of this lab", word[2]);
	} else if (lab.ring.stations == 1u << s->ring_id) {
		fail("%s is the last node of this lab: stop it instead", s->name);
	} else {
		lab_leave(s);
		say("ok");
	}
}

static void do_token(char **word, int n_words)
{
	enum ring_fault fault;
	int err;

	if (n_words == 2 && !strcmp(word[1], "lose")) {
		fault = RING_FAULT_LOSE;
	} else if (n_words == 2 && !strcmp(word[1], "duplicate")) {
		fault = RING_FAULT_DUPLICATE;
	} else {
		fail("token wants lose or duplicate");
		return;
	}
	err = ring_fault(&lab.ring, fault, now_ns());
	if (err)
		fail("the ring has no token, or is about to lose it: its monitor is at work");
	else
		say("ok");
}

static void do_tx_vci(char **word, int n_words)
{
	struct station *s = n_words == 3 ? lab_station(word[1]) : NULL;

	if (n_words != 3) {
		fail("tx-vci wants a node and auto, ip or ip_divert");
		return;
	}
	if (!s) {
		fail("\"%.20s\" is no node of this lab", word[1]);
		return;
	}
	if (!strcmp(tap_state(s), "none")) {
		fail("%s has no TAP", s->name);
		return;
	}
	for (int i = 0; i < TAP_N_TXVCI; i++) {
		if (strcmp(word[2], tap_txvci_names[i]))
			continue;
		tap_set_txvci(s, (enum tap_txvci)i);
		say("ok");
		return;
	}
	fail("\"%.20s\" is not auto, ip or ip_divert", word[2]);
}

/* Words from @i on into @set.  Return: false if one is wrong; answered */
static bool parse_settings(char **word, int n_words, int i, struct link_set *set)
{
	char names[LINK_N_KEYS * 12];
	size_t len = 0;
	int key = 0, err;

	for (; i < n_words; i++) {
		err = link_set_word(set, word[i], &key);
		if (err == -EINVAL) {
			fail("\"%.40s\": %s should be %s", word[i], link_key_names[key],
			     link_key_form((enum link_key)key));
			return false;
		}
		if (!err)
			continue;
		for (int j = 0; j < LINK_N_KEYS; j++)
			len += (size_t)snprintf(names + len, sizeof(names) - len, " %s=", link_key_names[j]);
		fail("\"%.40s\" is none of%s", word[i], names);
		return false;
	}
	return true;
}

static void link_set(char **word, int n_words)
{
	struct link_scope scope;
	struct impair_pairs pairs;
	struct link_set set;

	link_set_default(&set);
	if (n_words < 4) {
		fail("link set wants a scope and settings, as in link set n1->n2 loss=1%%");
		return;
	}
	if (!parse_settings(word, n_words, 3, &set) || !parse_scope(word[2], &scope, &pairs))
		return;
	for (unsigned int a = 0; a < JS_N_RING_IDS; a++)
		for (unsigned int b = 0; b < JS_N_RING_IDS; b++)
			if (pairs.to[a] >> b & 1)
				impair_set(a, b, &set);
	say("ok");
}

/* Without a scope: everything, also rules. */
static void link_reset(char **word, int n_words)
{
	struct link_scope scope;
	struct impair_pairs pairs;

	if (n_words > 3) {
		fail("link reset wants one scope, or none for everything");
		return;
	}
	if (n_words == 3 && !parse_scope(word[2], &scope, &pairs))
		return;
	if (n_words == 2) {
		memset(&pairs, 0xff, sizeof(pairs));
		impair_rules_drop();
	}
	for (unsigned int a = 0; a < JS_N_RING_IDS; a++)
		for (unsigned int b = 0; b < JS_N_RING_IDS; b++)
			if (pairs.to[a] >> b & 1)
				impair_reset(a, b);
	say("ok");
}

static void say_link(unsigned int a, unsigned int b)
{
	const struct impair_link *link = impair_link(a, b);
	const struct link_set *set = &link->set;
	char text[LINK_TEXT_MAX];

	say("{\"src\":\"%s\",\"dst\":\"%s\",\"set\":\"%s\"", stations[a].name, stations[b].name,
	    link_set_text(set, text));
	say(",\"delay_ns\":%llu,\"jitter_ns\":%llu,\"loss_percent\":%.9g",
	    (unsigned long long)set->delay_ns, (unsigned long long)set->jitter_ns,
	    link_loss_mean(&set->loss) * 100);
	if (set->loss.gemodel)
		say(",\"gemodel\":{\"p_percent\":%.9g,\"r_percent\":%.9g,"
		    "\"loss_bad_percent\":%.9g,\"loss_good_percent\":%.9g}",
		    set->loss.to_bad * 100, set->loss.to_good * 100, set->loss.lose_bad * 100,
		    set->loss.lose_good * 100);
	say(",\"duplicate_percent\":%.9g,\"reorder_percent\":%.9g,\"gap_frames\":%llu,"
	    "\"corrupt_percent\":%.9g,\"rate_bps\":%llu,\"limit_frames\":%llu,\"seed\":%llu",
	    set->duplicate * 100, set->reorder * 100, (unsigned long long)set->gap, set->corrupt * 100,
	    (unsigned long long)set->rate_bps, (unsigned long long)set->limit,
	    (unsigned long long)set->seed);
	say(",\"frames\":%llu,\"lost\":%llu,\"duplicated\":%llu,\"corrupted\":%llu,"
	    "\"delayed\":%llu,\"reordered\":%llu,\"limit_drops\":%llu,\"late\":%llu,\"waiting\":%llu}",
	    (unsigned long long)link->st.frames, (unsigned long long)link->st.lost,
	    (unsigned long long)link->st.duplicated, (unsigned long long)link->st.corrupted,
	    (unsigned long long)link->st.delayed, (unsigned long long)link->st.reordered,
	    (unsigned long long)link->st.limit_drops, (unsigned long long)link->st.late,
	    (unsigned long long)link->n_waiting);
}

static void link_show(void)
{
	bool first = true;

	say("ok [");
	for (unsigned int a = 0; a < JS_N_RING_IDS; a++) {
		for (unsigned int b = 0; b < JS_N_RING_IDS; b++) {
			if (!stations[a].used || !stations[b].used)
				continue;
			/* A node to itself: only if somebody named it. */
			if (a == b && !impair_link(a, b)->set.has)
				continue;
			say("%s", first ? "" : ",");
			say_link(a, b);
			first = false;
		}
	}
	say("]");
}

static void do_link(char **word, int n_words)
{
	if (n_words == 2 && !strcmp(word[1], "show"))
		link_show();
	else if (n_words >= 2 && !strcmp(word[1], "set"))
		link_set(word, n_words);
	else if (n_words >= 2 && !strcmp(word[1], "reset"))
		link_reset(word, n_words);
	else
		fail("link wants set, reset or show");
}

static bool parse_stream(const char *s, int *stream)
{
	uint64_t v;

	if (!strcmp(s, "user"))
		*stream = IMPAIR_STREAM_USER;
	else if (!strcmp(s, "any"))
		*stream = IMPAIR_STREAM_ANY;
	else if (units_number(s, &v) && v < JS_N_STREAMS)
		*stream = (int)v;
	else
		return false;
	return true;
}

static const char *const action_names[IMPAIR_N_ACTIONS] = {
	[IMPAIR_LOSE] = "lose", [IMPAIR_CORRUPT] = "corrupt", [IMPAIR_DUPLICATE] = "duplicate",
	[IMPAIR_DELAY] = "delay",
};

static bool parse_action(const char *s, enum impair_action *action)
{
	for (int i = 0; i < IMPAIR_N_ACTIONS; i++) {
		if (strcmp(s, action_names[i]))
			continue;
		*action = (enum impair_action)i;
		return true;
	}
	return false;
}

/* "data=3", "frame=3": which frame, and whether those without payload count. */
static bool parse_count(const char *w, struct impair_rule *rule)
{
	bool data = !strncmp(w, "data=", 5);

	if (!data && strncmp(w, "frame=", 6))
		return false;
	rule->sdu_min = data ? JS_RULE_PAYLOAD_MIN : 0;
	return units_number(w + (data ? 5 : 6), &rule->left) && rule->left;
}

static bool parse_rule_word(const char *w, struct impair_rule *rule)
{
	uint64_t v;

	if (!strncmp(w, "stream=", 7))
		return parse_stream(w + 7, &rule->stream);
	if (!strncmp(w, "by=", 3))
		return rule->action == IMPAIR_DELAY &&
		       units_time(w + 3, LINK_TIME_MAX_NS, &rule->delay_ns) && rule->delay_ns;
	if (!strncmp(w, "vci=", 4)) {
		if (!units_number(w + 4, &v) || !v || v > JS_VCI_MAX)
			return false;
		rule->vci = (js_vci_t)v;
		return true;
	}
	return parse_count(w, rule);
}

static void rule_add_words(char **word, int n_words)
{
	struct impair_rule rule = {
		.stream = IMPAIR_STREAM_ANY, .vci = JS_VCI_NONE, .sdu_min = JS_RULE_PAYLOAD_MIN, .left = 1,
	};

	if (n_words < 4) {
		fail("rule add wants lose, corrupt, duplicate or delay, a scope, and data=K or frame=K");
		return;
	}
	if (!parse_action(word[2], &rule.action)) {
		fail("\"%.20s\" is not lose, corrupt, duplicate or delay", word[2]);
		return;
	}
	for (int i = 4; i < n_words; i++) {
		if (parse_rule_word(word[i], &rule))
			continue;
		fail("\"%.40s\" is not data=K or frame=K (1 is the next), stream=N, stream=user, "
		     "stream=any, vci=N or, to delay, by=TIME", word[i]);
		return;
	}
	if (rule.action == IMPAIR_DELAY && !rule.delay_ns) {
		fail("a rule to delay wants by=TIME, as in by=20ms");
		return;
	}
	if (!parse_scope(word[3], &rule.scope, &rule.pairs))
		return;
	if (impair_rule_add(&rule))
		fail("%d rules are waiting already", IMPAIR_N_RULES);
	else
		say("ok");
}

static void say_rule(const struct impair_rule *rule)
{
	char scope[LINK_SCOPE_MAX];

	say("{\"action\":\"%s\",\"scope\":\"%s\"", action_names[rule->action],
	    link_scope_text(&rule->scope, scope));
	if (rule->stream == IMPAIR_STREAM_USER)
		say(",\"stream\":\"user\"");
	else if (rule->stream == IMPAIR_STREAM_ANY)
		say(",\"stream\":\"any\"");
	else
		say(",\"stream\":%d", rule->stream);
	if (rule->vci != JS_VCI_NONE)
		say(",\"vci\":%u", rule->vci);
	if (rule->action == IMPAIR_DELAY)
		say(",\"by_ns\":%llu", (unsigned long long)rule->delay_ns);
	say(",\"%s\":%llu}", rule->sdu_min ? "data" : "frame", (unsigned long long)rule->left);
}

static void rule_show(void)
{
	bool first = true;

	say("ok [");
	for (unsigned int i = 0; i < IMPAIR_N_RULES; i++) {
		const struct impair_rule *rule = impair_rule(i);

		if (!rule->used)
			continue;
		say("%s", first ? "" : ",");
		say_rule(rule);
		first = false;
	}
	say("]");
}

static void do_rule(char **word, int n_words)
{
	if (n_words == 2 && !strcmp(word[1], "show"))
		rule_show();
	else if (n_words >= 2 && !strcmp(word[1], "add"))
		rule_add_words(word, n_words);
	else
		fail("rule wants add or show");
}

static const struct {
	const char *name;
	bool has_args;
	void (*run)(char **word, int n_words);
} verbs[] = {
	{ "ping", false, do_ping },
	{ "start", false, do_start },
	{ "status", false, do_status },
	{ "link", true, do_link },
	{ "rule", true, do_rule },
	{ "tx-vci", true, do_tx_vci },
	{ "rate", true, do_rate },
	{ "token", true, do_token },
	{ "node", true, do_node },
	{ "ring", true, do_ring },
	{ "stop", false, do_stop },
};

/**
 * ringctl_command() - Run one command
 * @line:	The command, 0-terminated; taken to pieces
 * @len:	Its octets, without the 0
 *
 * Return: the answer, valid until the next command; *reply_octets its length
 */
const char *ringctl_command(char *line, size_t len, size_t *reply_octets)
{
	char *word[N_WORDS], *save = NULL;
	int n = 0;

	reply_len = 0;
	reply_full = false;
	commands++;
	if (strlen(line) != len || strpbrk(line, "\n\t\r")) {
		fail("a command is words separated by single blanks, without a newline");
		goto out;
	}
	for (char *w = strtok_r(line, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
		if (n == N_WORDS) {
			fail("a command has at most %d words", N_WORDS);
			goto out;
		}
		word[n++] = w;
	}
	for (size_t i = 0; n && i < ARRAY_SIZE(verbs); i++) {
		if (strcmp(word[0], verbs[i].name))
			continue;
		if (n > 1 && !verbs[i].has_args) {
			fail("%s takes no words behind it", word[0]);
			goto out;
		}
		if (lab.ending && verbs[i].run != do_ping && verbs[i].run != do_status &&
		    verbs[i].run != do_stop)
			fail("the lab is ending");
		else
			verbs[i].run(word, n);
		if (reply_full)
			fail("the answer is longer than %d octets", JS_CTL_REPLY_MAX);
		goto out;
	}
	fail("\"%.20s\" is no command: ping start status link rule tx-vci rate ring token node stop",
	     n ? word[0] : "");
out:
	*reply_octets = reply_len;
	return reply;
}

/* --- clients --------------------------------------------------------------------------- */

static void client_close(struct client *c)
{
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++)
		if (clients[i] == c)
			clients[i] = NULL;
	loop_del(&c->lf);
	close(c->lf.fd);
	free(c);
}

static void client_ready(struct loop_fd *lf, uint32_t events)
{
	struct client *c = container_of(lf, struct client, lf);
	char line[JS_CTL_CMD_MAX + 1];
	const char *answer;
	size_t n_answer;
	ssize_t n = recv(lf->fd, line, JS_CTL_CMD_MAX, MSG_DONTWAIT | MSG_TRUNC);

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		client_close(c);
		return;
	}
	if (n > JS_CTL_CMD_MAX) {
		commands++;
		fail("a command has at most %d octets", JS_CTL_CMD_MAX);
		answer = reply;
		n_answer = reply_len;
	} else {
		line[n] = '\0';
		log_trace("command: %s", line);
		answer = ringctl_command(line, (size_t)n, &n_answer);
	}
	/* Who does not read its answers loses its connection, not our time. */
	if (send(lf->fd, answer, n_answer, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
		log_warn("ring.sock: an answer was not taken: %s", strerror(errno));
		client_close(c);
	}
}

static void listener_ready(struct loop_fd *lf, uint32_t events)
{
	int fd = accept4(lf->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	int size = 2 * JS_CTL_REPLY_MAX;
	struct client **place = clients, *c;

	(void)events;
	if (fd < 0)
		return;
	while (place < clients + ARRAY_SIZE(clients) && *place)
		place++;
	c = calloc(1, sizeof(*c));
	if (place == clients + ARRAY_SIZE(clients) || !c)
		goto refuse;
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	c->lf = (struct loop_fd) { .fd = fd, .ready = client_ready };
	if (loop_add(&c->lf, EPOLLIN))
		goto refuse;
	*place = c;
	return;
refuse:
	log_warn("ring.sock: a client was refused, there are too many");
	free(c);
	close(fd);
}

int ringctl_start(const char *path)
{
	listener.ready = listener_ready;
	return sock_listen(&listener, SOCK_SEQPACKET, path, 0600, NULL);
}

void ringctl_stop(void)
{
	sock_unlisten(&listener);
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++)
		if (clients[i])
			client_close(clients[i]);
}
