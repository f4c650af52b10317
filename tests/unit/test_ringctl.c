/* SPDX-License-Identifier: BSD-2-Clause */
/* test_ringctl.c - emulator/ringctl.c: commands, without a socket */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

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
		assert_true(ringctl_parse_rate(good[i].text, &rate_bps));
		assert_int_equal(rate_bps, good[i].rate_bps);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(ringctl_parse_rate(bad[i], &rate_bps));
}

static void malformed_commands(void **state)
{
	static const char *const bad[] = {
		"", " ", "foo", "ping now", "link", "link show all", "link set", "link set n1->n2",
		"link set n1 loss=1%", "link set n1->n9 loss=1%", "link set ->n2 loss=1%",
		"link set n1->n2 loss=1", "link set n1->n2 loss=-1%", "link set n1->n2 loss=101%",
		"link set n1->n2 loss=nan%", "link set n1->n2 loss=inf%", "link set n1->n2 loss=0x1%",
		"link set n1->n2 loss=%", "link set n1->n2 loss=1%%", "link set n1->n2 loss=1.2.3%",
		"link set n1->n2 seed=-1", "link set n1->n2 delay=1ms", "rule", "rule add",
		"rule add drop n1->n2", "rule add lose n1->n2 stream=1024",
		"rule add lose n1->n2 data=0", "rule add lose n1->n2 data=", "tx-vci", "tx-vci n1",
		"tx-vci n9 ip", "tx-vci n1 ip", "rate", "rate 0", "rate fast", "rate 1G now", "token", "token find", "token lose", "ping\n",
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
			assert_true(impair_link(a, b)->loss + impair_link(a, b)->corrupt == 0);
	assert_string_equal(answer("rule show"), "ok []");
}

static void link_set_is_shown(void **state)
{
	(void)state;
	assert_string_equal(answer("ping"), "ok");
	assert_string_equal(answer("link set n1->* loss=1% seed=7"), "ok");
	assert_string_equal(answer("link set *->n3 corrupt=0.5%"), "ok");
	assert_true(impair_link(1, 2)->loss == 0.01);
	assert_true(impair_link(1, 3)->loss == 0.01);
	assert_true(impair_link(1, 3)->corrupt == 0.005);
	assert_true(impair_link(2, 3)->loss == 0);
	assert_true(impair_link(3, 3)->corrupt == 0);
	assert_non_null(strstr(answer("link show"),
			       "{\"src\":\"n1\",\"dst\":\"n3\",\"loss_percent\":1,"
			       "\"corrupt_percent\":0.5,\"seed\":7,"));
}

static void rule_add_is_shown(void **state)
{
	(void)state;
	assert_string_equal(answer("rule add corrupt n1->n2 stream=user data=3"), "ok");
	assert_string_equal(answer("rule add lose *->n2 stream=1"), "ok");
	assert_string_equal(answer("rule show"),
		"ok [{\"action\":\"corrupt\",\"src\":\"n1\",\"dst\":\"n2\",\"stream\":\"user\",\"data\":3},"
		"{\"action\":\"lose\",\"src\":\"*\",\"dst\":\"n2\",\"stream\":1,\"data\":1}]");
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
		cmocka_unit_test_setup(link_set_is_shown, setup),
		cmocka_unit_test_setup(rule_add_is_shown, setup),
		cmocka_unit_test_setup(status_has_all, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
