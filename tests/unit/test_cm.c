/* SPDX-License-Identifier: BSD-2-Clause */
/* test_cm.c - control messages: what is carried, and what is refused */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/util.h"
#include "stack/shm/cm.h"

static int sv[2];

static int setup(void **state)
{
	int one = 1;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv), 0);
	assert_int_equal(setsockopt(sv[1], SOL_SOCKET, SO_PASSCRED, &one, sizeof(one)), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(sv[0]);
	close(sv[1]);
	return 0;
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

/* Descriptors of this process, to find those that are left behind. */
static int n_open(void)
{
	int fd, n = 0;

	for (fd = 0; fd < 256; fd++)
		n += is_open(fd);
	return n;
}

static void carries_message_fds_and_sender(void **state)
{
	const struct cm_msg m = { .type = CM_SPAWN, .id = 7, .local.port = 80 };
	int in[2] = { 0, 1 }, out[4], n = -1, before = n_open();
	struct ucred cred;
	struct cm_msg got;

	(void)state;
	assert_int_equal(cm_send(sv[0], &m, in, 2), 0);
	assert_int_equal(cm_recv(sv[1], &got, out, 4, &n, &cred, 0), 1);
	assert_int_equal(got.type, CM_SPAWN);
	assert_int_equal(got.version, CM_VERSION);
	assert_int_equal(got.id, 7);
	assert_int_equal(got.local.port, 80);
	assert_int_equal(n, 2);
	assert_int_equal(fcntl(out[0], F_GETFD), FD_CLOEXEC);
	assert_int_equal(cred.pid, getpid());
	assert_int_equal(cred.uid, geteuid());
	close(out[0]);
	close(out[1]);
	assert_int_equal(n_open(), before);
}

static void surplus_fds_are_closed(void **state)
{
	const struct cm_msg m = { .type = CM_HELLO };
	int in[3] = { 0, 1, 2 }, out[1], n = -1, before = n_open();
	struct cm_msg got;

	(void)state;
	assert_int_equal(cm_send(sv[0], &m, in, 3), 0);
	assert_int_equal(cm_recv(sv[1], &got, out, 1, &n, NULL, 0), 1);
	assert_int_equal(n, 1);
	close(out[0]);
	assert_int_equal(cm_send(sv[0], &m, in, 3), 0);
	assert_int_equal(cm_recv(sv[1], &got, NULL, 0, NULL, NULL, 0), 1);
	assert_int_equal(n_open(), before);
}

static void send_raw(const void *data, size_t len)
{
	assert_int_equal(send(sv[0], data, len, 0), (ssize_t)len);
}

/* Each is refused, nothing is written, and the next message is whole. */
static void refuses_malformed(void **state)
{
	const struct cm_msg good = { .type = CM_PING, .version = CM_VERSION, .id = 3 };
	struct cm_msg bad[] = { good, good, good, good, good, good, good }, got, before;
	char longer[sizeof(good) + 1] = { CM_PING };
	size_t i;

	(void)state;
	bad[0].type = CM_NONE;
	bad[1].type = CM_N_TYPES;
	bad[2].version = CM_VERSION + 1;
	bad[3].resv = 1;
	bad[4].resv2[7] = 1;
	bad[5].peer.resv = 1;
	bad[6].on = 2;
	memset(&got, 0x5a, sizeof(got));
	before = got;
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		send_raw(&bad[i], sizeof(bad[i]));
		assert_int_equal(cm_recv(sv[1], &got, NULL, 0, NULL, NULL, 0), -EBADMSG);
	}
	send_raw(&good, sizeof(good) - 1);
	assert_int_equal(cm_recv(sv[1], &got, NULL, 0, NULL, NULL, 0), -EBADMSG);
	send_raw(longer, sizeof(longer));
	assert_int_equal(cm_recv(sv[1], &got, NULL, 0, NULL, NULL, 0), -EBADMSG);
	/* An empty packet is no end of file, with SO_PASSCRED. */
	send_raw("", 0);
	assert_int_equal(cm_recv(sv[1], &got, NULL, 0, NULL, NULL, 0), -EBADMSG);
	assert_memory_equal(&got, &before, sizeof(got));
	send_raw(&good, sizeof(good));
	assert_int_equal(cm_recv(sv[1], &got, NULL, 0, NULL, NULL, 0), 1);
	assert_int_equal(got.id, 3);
}

/* Descriptors of a message that is refused do not stay open. */
static void malformed_leaves_no_fd(void **state)
{
	struct cm_msg m = { .type = CM_N_TYPES };
	int in[2] = { 0, 1 }, out[2], n, before = n_open();

	(void)state;
	assert_int_equal(cm_send(sv[0], &m, in, 2), 0);
	assert_int_equal(cm_recv(sv[1], &m, out, 2, &n, NULL, 0), -EBADMSG);
	assert_int_equal(n_open(), before);
}

static void tells_empty_full_and_end(void **state)
{
	const struct cm_msg m = { .type = CM_PING };
	struct cm_msg got;
	int i, err = 0;

	(void)state;
	assert_int_equal(cm_recv(sv[1], &got, NULL, 0, NULL, NULL, MSG_DONTWAIT), -EAGAIN);
	for (i = 0; i < 100000 && !err; i++)
		err = cm_send_to(sv[0], &m, NULL, 0, MSG_DONTWAIT, NULL, 0);
	assert_int_equal(err, -EAGAIN);
	close(sv[0]);
	while (--i > 0)
		assert_int_equal(cm_recv(sv[1], &got, NULL, 0, NULL, NULL, 0), 1);
	assert_int_equal(cm_recv(sv[1], &got, NULL, 0, NULL, NULL, 0), 0);
	assert_int_equal(cm_send(sv[1], &m, NULL, 0), -EPIPE);
	sv[0] = dup(sv[1]);
}

/* What was sent before the end is received, also if the other had not read all. */
static void unread_at_the_other_end(void **state)
{
	const struct cm_msg m = { .type = CM_ATTACH };
	struct cm_msg got;

	(void)state;
	assert_int_equal(cm_send(sv[1], &m, NULL, 0), 0);
	assert_int_equal(cm_send(sv[0], &m, NULL, 0), 0);
	close(sv[0]);
	assert_int_equal(cm_recv(sv[1], &got, NULL, 0, NULL, NULL, 0), 1);
	assert_int_equal(cm_recv(sv[1], &got, NULL, 0, NULL, NULL, 0), 0);
	sv[0] = dup(sv[1]);
}

static void limits_arguments(void **state)
{
	const struct cm_msg m = { .type = CM_PING };
	int fds[CM_MAX_FDS + 1] = { 0 };

	(void)state;
	assert_int_equal(cm_send(sv[0], &m, fds, CM_MAX_FDS + 1), -EINVAL);
	assert_int_equal(cm_send(sv[0], &m, fds, -1), -EINVAL);
}

static void every_type_has_a_name(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < CM_N_TYPES; i++)
		assert_non_null(cm_names[i]);
	assert_string_equal(cm_names[CM_SET_REUSE_ADDR], "Set_Reuse_Addr");
	assert_string_equal(cm_names[CM_LISTEN_CHILD], "Listen_Child");
	assert_string_equal(cm_names[CM_GENERAL_REPLY], "General_Reply");
}

/* --- addresses ------------------------------------------------------------ */

static void addr_there_and_back(void **state)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(80) }, sin2;
	struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6, .sin6_port = htons(443) }, sin62;
	struct sockaddr_storage ss;
	char buf[CM_ADDR_STRLEN];
	struct cm_addr a, b;

	(void)state;
	inet_pton(AF_INET, "10.74.0.1", &sin.sin_addr);
	assert_int_equal(cm_addr_from_sa(&a, (struct sockaddr *)&sin, sizeof(sin)), AF_INET);
	assert_true(cm_addr_is_v4(&a));
	assert_false(cm_addr_is_any(&a));
	assert_string_equal(cm_addr_str(&a, buf), "10.74.0.1:80");
	assert_int_equal(cm_addr_to_sa(&a, AF_INET, &ss), sizeof(sin));
	memcpy(&sin2, &ss, sizeof(sin2));
	assert_memory_equal(&sin2, &sin, sizeof(sin));
	/* As IPv6 it is v4-mapped, and comes back the same. */
	assert_int_equal(cm_addr_to_sa(&a, AF_INET6, &ss), sizeof(sin6));
	assert_int_equal(cm_addr_from_sa(&b, (struct sockaddr *)&ss, sizeof(sin6)), AF_INET6);
	assert_true(cm_addr_equal(&a, &b));

	inet_pton(AF_INET6, "fd00::1", &sin6.sin6_addr);
	assert_int_equal(cm_addr_from_sa(&a, (struct sockaddr *)&sin6, sizeof(sin6)), AF_INET6);
	assert_string_equal(cm_addr_str(&a, buf), "[fd00::1]:443");
	assert_int_equal(cm_addr_to_sa(&a, AF_INET, &ss), -EAFNOSUPPORT);
	assert_int_equal(cm_addr_to_sa(&a, AF_INET6, &ss), sizeof(sin6));
	memcpy(&sin62, &ss, sizeof(sin62));
	assert_memory_equal(&sin62, &sin6, sizeof(sin6));
}

static void addr_wildcards(void **state)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6 };
	struct sockaddr_storage ss;
	struct cm_addr a4, a6;

	(void)state;
	cm_addr_from_sa(&a4, (struct sockaddr *)&sin, sizeof(sin));
	cm_addr_from_sa(&a6, (struct sockaddr *)&sin6, sizeof(sin6));
	assert_true(cm_addr_is_any(&a4));
	assert_true(cm_addr_is_any(&a6));
	assert_false(cm_addr_same_host(&a4, &a6));
	assert_true(cm_addr_to_sa(&a6, AF_INET, &ss) > 0);
}

static void addr_refuses(void **state)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	struct sockaddr sa = { .sa_family = AF_UNIX };
	struct cm_addr a;

	(void)state;
	assert_int_equal(cm_addr_from_sa(&a, (struct sockaddr *)&sin, 1), -EINVAL);
	assert_int_equal(cm_addr_from_sa(&a, (struct sockaddr *)&sin, sizeof(sin) - 1), -EINVAL);
	assert_int_equal(cm_addr_from_sa(&a, &sa, sizeof(sa)), -EAFNOSUPPORT);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(carries_message_fds_and_sender), T(surplus_fds_are_closed),
		T(refuses_malformed), T(malformed_leaves_no_fd), T(tells_empty_full_and_end), T(unread_at_the_other_end),
		T(limits_arguments), T(every_type_has_a_name),
		T(addr_there_and_back), T(addr_wildcards), T(addr_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
