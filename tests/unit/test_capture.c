/* SPDX-License-Identifier: BSD-2-Clause */
/* test_capture.c - emulator/capture.c: what a consumer gets of frames we make up */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/log.h"
#include "common/util.h"
#include "emulator/capture.h"
#include "emulator/lab.h"
#include "emulator/loop.h"

#define BT_IDB		1u
#define BT_ISB		5u
#define BT_EPB		6u
#define ISB_DROP_AT	60	/* octets before the value of isb_ifdrop */

static char path[64];
static uint8_t sdu[JS_MTU];

/* --- a consumer -------------------------------------------------------------------- */

static int consumer_new(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	strcpy(sun.sun_path, path);
	assert_int_equal(connect(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	while (loop_wait(0))
		;
	return fd;
}

static void request(int fd, const char *line)
{
	assert_int_equal(send(fd, line, strlen(line), 0), strlen(line));
	while (loop_wait(0))
		;
	assert_true(capture_active());
}

/* The blocks that it got, by type, and what the ISBs say. */
struct got {
	unsigned int n[8];
	uint64_t dropped;
};

static void take_block(struct got *g, const uint8_t *b)
{
	uint32_t type;
	uint64_t v;

	memcpy(&type, b, sizeof(type));
	g->n[type < 8 ? type : 0]++;
	if (type != BT_ISB)
		return;
	memcpy(&v, b + ISB_DROP_AT, sizeof(v));
	g->dropped += v;
}

/* Say that we are done, and read to the end. */
static void read_all(int fd, struct got *g)
{
	static uint8_t buf[1 << 20];
	size_t len = 0;
	ssize_t n;

	memset(g, 0, sizeof(*g));
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	while ((n = recv(fd, buf + len, sizeof(buf) - len, MSG_DONTWAIT)) != 0) {
		size_t at = 0;
		uint32_t block;

		assert_true(n > 0 || errno == EAGAIN);
		len += n > 0 ? (size_t)n : 0;
		while (len - at >= 8) {
			memcpy(&block, buf + at + 4, sizeof(block));
			if (block > len - at)
				break;
			take_block(g, buf + at);
			at += block;
		}
		memmove(buf, buf + at, len - at);
		len -= at;
		loop_wait(0);
		capture_flush(false);
	}
	assert_int_equal(len, 0);
	close(fd);
}

/* --- tests ------------------------------------------------------------------------- */

static void station(unsigned int id)
{
	stations[id] = (struct station) { .used = true, .ring_id = (uint8_t)id };
	snprintf(stations[id].name, sizeof(stations[id].name), "n%u", id);
}

static void frame_of(unsigned int id, uint32_t len)
{
	struct frame f = {
		.vci = vci_make(2, 40), .sdu_len = len, .src = (uint8_t)id, .n_iov = 1, .iov = { { sdu, len } },
	};
	struct capture_facts facts = { .station = (uint8_t)id, .dir = JS_CAP_TX, .frame_id = 1 };

	capture_frame(&f, &facts);
}

static int setup(void **state)
{
	static char who[] = "test";

	(void)state;
	log_init(who, 2);
	log_level = LOG_ERROR;
	memset(stations, 0, sizeof(stations));
	snprintf(lab.name, sizeof(lab.name), "lab");
	snprintf(path, sizeof(path), "/tmp/test_capture-%d.sock", (int)getpid());
	station(1);
	return loop_init() || capture_start(path);
}

static int teardown(void **state)
{
	(void)state;
	capture_stop();
	loop_fini();
	return 0;
}

static void frames_arrive(void **state)
{
	struct got g;
	int fd;

	(void)state;
	station(2);
	fd = consumer_new();
	request(fd, "capture\n");
	for (uint32_t i = 0; i < 10; i++)
		frame_of(1 + i % 2, i * 100);
	read_all(fd, &g);
	assert_int_equal(g.n[BT_IDB], 2);
	assert_int_equal(g.n[BT_EPB], 10);
	assert_int_equal(g.n[BT_ISB], 2);
	assert_int_equal(g.dropped, 0);
}

/* However full the queue is: what was dropped last is told, too. */
static void drops_are_told_at_the_end(void **state)
{
	uint64_t before = capture_stats()->dropped;
	unsigned int n = 0;
	struct got g;
	int fd;

	(void)state;
	station(2);
	fd = consumer_new();
	request(fd, "capture\n");
	/* Large ones, then those that fit into what is left, to the last octets. */
	for (uint32_t len = JS_MTU; len; len /= 2) {
		uint64_t dropped = capture_stats()->dropped;

		while (capture_stats()->dropped == dropped) {
			frame_of(1, len);
			n++;
		}
	}
	station(3);
	capture_station_added(&stations[3]);
	read_all(fd, &g);
	assert_int_equal(g.n[BT_IDB], 3);
	assert_int_equal(g.n[BT_ISB], 3);
	assert_int_equal(g.dropped, capture_stats()->dropped - before);
	assert_int_equal(g.n[BT_EPB] + g.dropped, n);
}

/* Those that are there when it asks; it may have connected before. */
static void nodes_are_those_at_the_request(void **state)
{
	struct got g;
	int fd;

	(void)state;
	fd = consumer_new();
	station(2);
	capture_station_added(&stations[2]);
	stations[1].used = false;
	request(fd, "capture\n");
	frame_of(2, 100);
	read_all(fd, &g);
	assert_int_equal(g.n[BT_IDB], 1);
	assert_int_equal(g.n[BT_EPB], 1);
	assert_int_equal(g.n[BT_ISB], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(frames_arrive, setup, teardown),
		cmocka_unit_test_setup_teardown(drops_are_told_at_the_end, setup, teardown),
		cmocka_unit_test_setup_teardown(nodes_are_those_at_the_request, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
