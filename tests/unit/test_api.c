/* SPDX-License-Identifier: BSD-2-Clause */
/* test_api.c - the descriptor table, and whose an address is */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>

/* Not linked into unit tests; these two need nothing else of the library. */
#include "stack/api/addr.c"
#include "stack/api/fdtable.c"

/* --- the table --------------------------------------------------------------- */

static const struct fd_ent sock5 = { .kind = FD_USER, .idx = 5, .gen = 7 };

static void unknown_is_none(void **state)
{
	(void)state;
	assert_int_equal(fdtable_get(3).kind, FD_NONE);
	assert_int_equal(fdtable_get(-1).kind, FD_NONE);
	assert_int_equal(fdtable_get(INT32_MAX).kind, FD_NONE);
	assert_int_equal(fdtable_drop(-1).kind, FD_NONE);
	assert_int_equal(fdtable_drop(900000).kind, FD_NONE);
	assert_int_equal(fdtable_set(-1, sock5), -EMFILE);
	assert_int_equal(fdtable_set(FD_CHUNK * FD_CHUNKS, sock5), -EMFILE);
}

static void set_get_drop(void **state)
{
	const int fds[] = { 0, 5, FD_CHUNK - 1, FD_CHUNK, 70000, FD_CHUNK * FD_CHUNKS - 1 };
	struct fd_ent e;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(fds); i++)
		assert_int_equal(fdtable_set(fds[i], sock5), 0);
	assert_int_equal(fdtable_count(sock5), ARRAY_SIZE(fds));
	for (i = 0; i < ARRAY_SIZE(fds); i++) {
		e = fdtable_get(fds[i]);
		assert_true(fd_ent_equal(e, sock5));
		e = fdtable_drop(fds[i]);
		assert_true(fd_ent_equal(e, sock5));
		assert_int_equal(fdtable_get(fds[i]).kind, FD_NONE);
	}
	assert_int_equal(fdtable_count(sock5), 0);
}

static void next_finds_each_kind(void **state)
{
	const struct fd_ent own = { .kind = FD_OWN };

	(void)state;
	fdtable_set(4, sock5);
	fdtable_set(901, own);
	fdtable_set(5000, sock5);
	assert_int_equal(fdtable_next(0, FD_USER), 4);
	assert_int_equal(fdtable_next(5, FD_USER), 5000);
	assert_int_equal(fdtable_next(5001, FD_USER), -1);
	assert_int_equal(fdtable_next(-3, FD_OWN), 901);
	fdtable_drop(4);
	fdtable_drop(901);
	fdtable_drop(5000);
}

/* An entry that was replaced meanwhile stays. */
static void drop_if_compares(void **state)
{
	struct fd_ent newer = sock5;

	(void)state;
	newer.gen = 9;
	fdtable_set(6, newer);
	fdtable_drop_if(6, sock5);
	assert_true(fd_ent_equal(fdtable_get(6), newer));
	fdtable_drop_if(6, newer);
	assert_int_equal(fdtable_get(6).kind, FD_NONE);
}

/* Readers see one entry or the other, never a mixture. */
static void *writer(void *arg)
{
	struct fd_ent e = { .kind = FD_USER };
	uint32_t i;

	(void)arg;
	for (i = 1; i < 200000; i++) {
		e.idx = (uint16_t)(i % 1000);
		e.gen = i % 1000;
		fdtable_set(20, e);
	}
	return NULL;
}

static void words_are_whole(void **state)
{
	pthread_t t;
	int i;

	(void)state;
	fdtable_drop(20);
	assert_int_equal(pthread_create(&t, NULL, writer, NULL), 0);
	for (i = 0; i < 200000; i++) {
		struct fd_ent e = fdtable_get(20);

		assert_int_equal(e.idx, e.gen);
	}
	pthread_join(t, NULL);
	fdtable_drop(20);
}

/* --- prefixes -------------------------------------------------------------------- */

static bool has(const char *prefix, const char *host)
{
	struct prefix p, h;

	assert_int_equal(prefix_parse(prefix, strlen(prefix), &p), 0);
	assert_int_equal(prefix_parse(host, strlen(host), &h), 0);
	return prefix_has(&p, h.addr);
}

static void prefixes(void **state)
{
	(void)state;
	assert_true(has("10.74.0.0/16", "10.74.0.1"));
	assert_true(has("10.74.0.0/16", "::ffff:10.74.255.255"));
	assert_false(has("10.74.0.0/16", "10.75.0.1"));
	assert_true(has("10.74.0.128/25", "10.74.0.200"));
	assert_false(has("10.74.0.128/25", "10.74.0.127"));
	assert_true(has("10.74.0.7", "10.74.0.7"));
	assert_false(has("10.74.0.7", "10.74.0.6"));
	assert_true(has("0.0.0.0/0", "192.0.2.1"));
	assert_false(has("0.0.0.0/0", "fd00::1"));	/* of v4-mapped ones only */
	assert_true(has("fd00::/9", "fd7f::1"));
	assert_false(has("fd00::/9", "fd80::1"));
	assert_true(has("::/0", "10.0.0.1"));
}

static void bad_prefixes(void **state)
{
	static const char *const bad[] = { "", "x", "10.74.0.0/33", "10.74.0.0/", "10.74.0.0/-1",
					   "10.74/16", "fd00::/129", "10.74.0.0/16x", "/8" };
	struct prefix p;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(prefix_parse(bad[i], strlen(bad[i]), &p), -EINVAL);
}

static void prefix_lists(void **state)
{
	struct prefix p[3];

	(void)state;
	log_level = LOG_ERROR;
	assert_int_equal(prefixes_parse("10.74.0.0/16,fd00::/8", p, 3), 2);
	assert_int_equal(prefixes_parse(",, 10.0.0.1 ,", p, 3), 1);
	assert_int_equal(prefixes_parse("nonsense,10.0.0.1", p, 3), 1);
	assert_int_equal(prefixes_parse("1.1.1.1,2.2.2.2,3.3.3.3,4.4.4.4", p, 3), 3);
	assert_int_equal(prefixes_parse("", p, 3), 0);
}

/* --- addresses in and out ------------------------------------------------------------ */

static void in_and_out(void **state)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(80), .sin_addr.s_addr = htonl(0x0a4a0001) }, out;
	struct sockaddr_in6 out6;
	socklen_t len = 4;
	struct cm_addr a;

	(void)state;
	assert_int_equal(addr_in(&a, AF_INET, (struct sockaddr *)&in, sizeof(in)), 0);
	assert_int_equal(addr_in(&a, AF_INET, (struct sockaddr *)&in, sizeof(in) - 1), -EINVAL);
	assert_int_equal(addr_in(&a, AF_INET, NULL, sizeof(in)), -EFAULT);
	assert_int_equal(addr_in(&a, AF_INET6, (struct sockaddr *)&in, sizeof(in)), -EINVAL);
	assert_int_equal(addr_in(&a, AF_INET, (struct sockaddr *)&in, sizeof(in)), 0);
	/* Cut to the room there is; the length is the true one. */
	memset(&out, 0xee, sizeof(out));
	addr_out(&a, AF_INET, (struct sockaddr *)&out, &len);
	assert_int_equal(len, sizeof(out));
	assert_int_equal(out.sin_port, htons(80));
	assert_int_equal(out.sin_addr.s_addr, 0xeeeeeeee);
	len = sizeof(out6);
	addr_out(&a, AF_INET6, (struct sockaddr *)&out6, &len);
	assert_int_equal(len, sizeof(out6));
	assert_true(IN6_IS_ADDR_V4MAPPED(&out6.sin6_addr));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unknown_is_none),
		cmocka_unit_test(set_get_drop),
		cmocka_unit_test(next_finds_each_kind),
		cmocka_unit_test(drop_if_compares),
		cmocka_unit_test(words_are_whole),
		cmocka_unit_test(prefixes),
		cmocka_unit_test(bad_prefixes),
		cmocka_unit_test(prefix_lists),
		cmocka_unit_test(in_and_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
