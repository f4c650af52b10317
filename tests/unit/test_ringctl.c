/* SPDX-License-Identifier: BSD-2-Clause */
/* test_ringctl.c - emulator/ringctl.c: commands, without a socket */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/units.h"
#include "common/util.h"
#include "emulator/impair.h"
#include "emulator/lab.h"
#include "emulator/ringctl.h"

/* The answer to @command, 0-terminated. */
static const char *answer(const char *command)
{
	static char text[JS_CTL_REPLY_MAX + 1];
	char line[JS_CTL_CMD_MAX + 1];
	const char *p;
	size_t len;

	snprintf(line, sizeof(line), "%s", command);
	p = ringctl_command(line, strlen(line), &len);
	assert_true(len < sizeof(text));
	memcpy(text, p, len);
	text[len] = '\0';
	return text;
}

static int setup(void **state)
{
	(void)state;
	impair_init(1);
	for (unsigned int k = 1; k <= 3; k++) {
		stations[k] = (struct station) { .used = true, .ring_id = (uint8_t)k };
		snprintf(stations[k].name, sizeof(stations[k].name), "n%u", k);
	}
	snprintf(lab.name, sizeof(lab.name), "a\"b\\c");
	return 0;
}

static void rates(void **state)
{
	static const struct { const char *text; uint64_t rate_bps; } good[] = {
		{ "1", 1 }, { "1000000000", 1000000000 }, { "1G", 1000000000 },
		{ "1g", 1000000000 }, { "10Mbit", 10000000 }, { "64kbit", 64000 },
		{ "unlimited", 0 }, { "1000G", RING_RATE_MAX },
	};
	static const char *const bad[] = {
		"", "0", "-1", "+1", " 1", "1x", "1 G", "x", "1001G", "99999999999999999999999",
		"18446744073709551615G", "1.5G",
	};
	uint64_t rate_bps;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_true(units_rate(good[i].text, &rate_bps));
		assert_int_equal(rate_bps, good[i].rate_bps);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(units_rate(bad[i], &rate_bps));
}

static void malformed_commands(void **state)
{
	static const char *const bad[] = {
		"", " ", "foo", "ping now", "link", "link show all", "link set", "link set n1->n2",
		"link set n1-n2 loss=1%", "link set n9 loss=1%", "link set n1->n9 loss=1%", "link set ->n2 loss=1%",
		"link set n1->n2 loss=1", "link set n1->n2 loss=-1%", "link set n1->n2 loss=101%",
		"link set n1->n2 loss=nan%", "link set n1->n2 loss=inf%", "link set n1->n2 loss=0x1%",
		"link set n1->n2 loss=%", "link set n1->n2 loss=1%%", "link set n1->n2 loss=1.2.3%",
		"link set n1->n2 seed=-1", "link set n1->n2 delay=1", "link set n1->n2 delay=-1ms",
		"link set n1->n2 delay=61s", "link set n1->n2 jitter=1m", "link set n1->n2 delay=0x1ms",
		"link set n1->n2 loss=gemodel:1%", "link set n1->n2 loss=gemodel:1%,2%,3%,4%,5%",
		"link set n1->n2 loss=gemodel:1,2", "link set n1->n2 loss=gemodel:1%,,2%",
		"link set n1->n2 loss=gemodel:1%,2%,", "link set n1->n2 rate=999", "link set n1->n2 rate=0",
		"link set n1->n2 limit=0", "link set n1->n2 limit=100001", "link set n1->n2 gap=0",
		"link set n1->n2 dup=1%", "link set n1->n2 delay", "link set n1->n2 loss=1% delay=1",
		"link set n1-> loss=1%", "link set n1<-n2 loss=1%", "link set <->n2 loss=1%",
		"link reset n9", "link reset n1 n2", "rule", "rule add",
		"rule add delay n1->n2", "rule add delay n1->n2 by=0", "rule add lose n1->n2 by=1ms",
		"rule add lose n1->n2 vci=0", "rule add lose n1->n2 vci=32768", "rule add lose n1->n2 frame=0",
		"rule add drop n1->n2", "rule add lose n1->n2 stream=1024",
		"rule add lose n1->n2 data=0", "rule add lose n1->n2 data=", "tx-vci", "tx-vci n1",
		"tx-vci n9 ip", "tx-vci n1 ip", "rate", "rate 0", "rate fast", "rate 1G now", "token", "token find", "token lose", "ring", "ring set", "ring set n1", "ring set n1 hold=1ms",
		"ring set n9 propagation=1ms", "ring set hold=1s", "ring set hold=5", "ring set latency=2s",
		"ring set rate=0", "ring set node-mem=1k", "node", "node add", "node add 17", "node add 1",
		"node add x", "node del", "node del n9", "ping\n",
		"a b c d e f g h i j k l m n o p q",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		const char *a = answer(bad[i]);

		if (strncmp(a, "error: ", 7))
			fail_msg("\"%s\" was answered with \"%s\"", bad[i], a);
	}
	for (unsigned int a = 0; a < JS_N_RING_IDS; a++)
		for (unsigned int b = 0; b < JS_N_RING_IDS; b++)
			assert_int_equal(impair_link(a, b)->set.has, 0);
	assert_string_equal(answer("rule show"), "ok []");
}

/* A namespace that is none, and would block who opens it. */
static void a_fifo_is_no_namespace(void **state)
{
	char dir[] = "/tmp/jet-ringctl.XXXXXX", fifo[64], command[100];

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(fifo, sizeof(fifo), "%s/fifo", dir);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	snprintf(command, sizeof(command), "node add 5=%s", fifo);
	alarm(10);
	assert_memory_equal(answer(command), "error: ", 7);
	alarm(0);
	unlink(fifo);
	rmdir(dir);
}

static const struct link_set *set_of(unsigned int src, unsigned int dst)
{
	return &impair_link(src, dst)->set;
}

static void link_set_is_shown(void **state)
{
	(void)state;
	assert_string_equal(answer("ping"), "ok");
	assert_string_equal(answer("link set n1->* loss=1% seed=7"), "ok");
	assert_string_equal(answer("link set *->n3 corrupt=0.5%"), "ok");
	assert_true(set_of(1, 2)->loss.lose_good == 0.01);
	assert_true(set_of(1, 3)->loss.lose_good == 0.01);
	assert_true(set_of(1, 3)->corrupt == 0.005);
	assert_int_equal(set_of(2, 3)->has, 1u << LINK_CORRUPT);
	assert_int_equal(set_of(3, 3)->has, 0);
	assert_non_null(strstr(answer("link show"),
			       "{\"src\":\"n1\",\"dst\":\"n3\",\"set\":\"loss=1% corrupt=0.5% seed=7\","
			       "\"delay_ns\":0,\"jitter_ns\":0,\"loss_percent\":1,"));
}

/* Each key, in the form it is shown, and what is not named stays. */
static void every_key(void **state)
{
	static const char all[] = "delay=20ms jitter=1500us loss=gemodel:1%,25%,99.5%,0.1% "
				  "duplicate=2% reorder=3% gap=5 corrupt=0.01% rate=10M limit=50 seed=9";
	char line[400], text[LINK_TEXT_MAX];

	(void)state;
	snprintf(line, sizeof(line), "link set n1->n2 %s", all);
	assert_string_equal(answer(line), "ok");
	assert_string_equal(link_set_text(set_of(1, 2), text), all);
	assert_non_null(strstr(answer("link show"), "\"gemodel\":{\"p_percent\":1,\"r_percent\":25,"
						    "\"loss_bad_percent\":99.5,\"loss_good_percent\":0.1}"));
	assert_string_equal(answer("link set n1->n2 delay=0.0003ms loss=0%"), "ok");
	assert_int_equal(set_of(1, 2)->delay_ns, 300);
	assert_false(set_of(1, 2)->loss.gemodel);
	assert_int_equal(set_of(1, 2)->limit, 50);
	assert_string_equal(answer("link reset n1->n2"), "ok");
	assert_string_equal(link_set_text(set_of(1, 2), text), "");
	assert_int_equal(set_of(1, 2)->limit, LINK_LIMIT_DEFAULT);
}

/* Which of nine pairs each scope means: n1->n1, n1->n2, n1->n3, n2->n1, … */
static void scopes(void **state)
{
	static const struct { const char *scope, *pairs; } rows[] = {
		{ "n1->n2", "010000000" }, { "1->2", "010000000" }, { "n1<->n2", "010100000" },
		{ "n2", "010101010" }, { "n1->*", "011000000" }, { "*->n1", "000100100" },
		{ "*<->n3", "001001110" }, { "ring", "011101110" }, { "*", "011101110" },
		{ "all", "011101110" }, { "*->*", "011101110" }, { "n1->n1", "100000000" },
		{ "n1<->n1", "100000000" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char line[60], pairs[10] = "";

		impair_init(1);
		snprintf(line, sizeof(line), "link set %s loss=1%%", rows[i].scope);
		assert_string_equal(answer(line), "ok");
		for (unsigned int j = 0; j < 9; j++)
			pairs[j] = set_of(1 + j / 3, 1 + j % 3)->has ? '1' : '0';
		if (strcmp(pairs, rows[i].pairs))
			fail_msg("%s is %s, not %s", rows[i].scope, pairs, rows[i].pairs);
	}
	/* A node's link with itself is shown when it has been named. */
	assert_non_null(strstr(answer("link show"), "{\"src\":\"n1\",\"dst\":\"n1\",\"set\":\"loss=1%\""));
}

static void rule_add_is_shown(void **state)
{
	(void)state;
	assert_string_equal(answer("rule add corrupt n1->n2 stream=user data=3"), "ok");
	assert_string_equal(answer("rule add lose *->n2 stream=1"), "ok");
	assert_string_equal(answer("rule add delay n1<->n2 by=2ms vci=1025 frame=7"), "ok");
	assert_string_equal(answer("rule add duplicate n3"), "ok");
	assert_string_equal(answer("rule show"),
		"ok [{\"action\":\"corrupt\",\"scope\":\"n1->n2\",\"stream\":\"user\",\"data\":3},"
		"{\"action\":\"lose\",\"scope\":\"*->n2\",\"stream\":1,\"data\":1},"
		"{\"action\":\"delay\",\"scope\":\"n1<->n2\",\"stream\":\"any\",\"vci\":1025,"
		"\"by_ns\":2000000,\"frame\":7},"
		"{\"action\":\"duplicate\",\"scope\":\"n3\",\"stream\":\"any\",\"data\":1}]");
	assert_string_equal(answer("link reset"), "ok");
	assert_string_equal(answer("rule show"), "ok []");
}

/* Sixteen nodes with all keys: the longest list there is. */
static void longest_list(void **state)
{
	(void)state;
	for (unsigned int id = 0; id < JS_N_RING_IDS; id++) {
		stations[id] = (struct station) { .used = true, .ring_id = (uint8_t)id };
		snprintf(stations[id].name, sizeof(stations[id].name), "n%u", id ? id : 16);
	}
	assert_string_equal(answer("link set ring delay=59.999999999s jitter=59.999999999s "
				   "loss=gemodel:33.3333333333%,33.3333333333%,33.3333333333%,33.3333333333% "
				   "duplicate=33.3333333333% reorder=33.3333333333% gap=1000000 "
				   "corrupt=33.3333333333% rate=999999999999 limit=100000 "
				   "seed=18446744073709551615"), "ok");
	for (unsigned int id = 0; id < JS_N_RING_IDS; id++) {
		char line[60];

		snprintf(line, sizeof(line), "link set n%u->n%u loss=0%%", id ? id : 16, id ? id : 16);
		assert_string_equal(answer(line), "ok");
	}
	assert_int_equal(strncmp(answer("link show"), "ok [", 4), 0);
	memset(stations, 0, sizeof(stations));
}

static void status_has_all(void **state)
{
	const char *a;

	(void)state;
	a = answer("status");
	assert_int_equal(strncmp(a, "ok {\"lab\":\"a\\\"b\\\\c\",", 19), 0);
	assert_non_null(strstr(a, "\"name\":\"n3\""));
	assert_non_null(strstr(a, "\"rx_bad_crc\":0"));
	assert_non_null(strstr(a, "\"ring\":{\"token\":\"ok\",\"monitor\":\"\","));
	assert_non_null(strstr(a, "\"late_p99_ns\":0,\"late_max_ns\":0,\"late_histogram\":[]}"));
	assert_string_equal(a + strlen(a) - 2, "]}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(rates, setup),
		cmocka_unit_test_setup(malformed_commands, setup),
		cmocka_unit_test_setup(a_fifo_is_no_namespace, setup),
		cmocka_unit_test_setup(link_set_is_shown, setup),
		cmocka_unit_test_setup(every_key, setup),
		cmocka_unit_test_setup(scopes, setup),
		cmocka_unit_test_setup(rule_add_is_shown, setup),
		cmocka_unit_test_setup(longest_list, setup),
		cmocka_unit_test_setup(status_has_all, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
