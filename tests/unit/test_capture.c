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
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "abi/ringctl.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/util.h"
#include "emulator/capture.h"
#include "emulator/lab.h"
#include "emulator/loop.h"
#include "emulator/port.h"
#include "netns/cap.h"

#define BT_IDB		1u
#define BT_ISB		5u
#define BT_EPB		6u
#define ISB_DROP_AT	60	/* octets before the value of isb_ifdrop */

static char path[64];
static uint8_t sdu[JS_MTU];

/* --- a consumer -------------------------------------------------------------------- */

static void serve(void)
{
	while (loop_wait(0))
		;
}

static void connect_queue(struct cap_queue *q, const char *line)
{
	assert_int_equal(capq_connect(q, path, line), 0);
	serve();
}

static void request(struct cap_queue *q, const char *line)
{
	char why[200];

	connect_queue(q, line);
	serve();
	assert_int_equal(capq_open(q, why, sizeof(why)), 0);
	assert_true(capture_active());
}

static void refused(const char *line, const char *with)
{
	uint64_t bad = capture_stats()->bad_requests;
	struct cap_queue q;
	char why[200];

	connect_queue(&q, line);
	assert_int_equal(capq_open(&q, why, sizeof(why)), -EPROTO);
	assert_non_null(strstr(why, with));
	assert_int_equal(capture_stats()->bad_requests, bad + 1);
	capq_close(&q);
}

/* The blocks that it got, by type, and what the ISBs say. */
struct got {
	unsigned int n[8];
	uint64_t dropped;
	size_t octets;
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

/* All that is queued now: whole blocks. */
static void take_some(struct cap_queue *q, struct got *g)
{
	while (capq_len(q)) {
		size_t len, at = 0;
		const uint8_t *p;

		assert_int_equal(capq_data(q, &p, &len), 0);
		while (len - at >= 12) {
			uint32_t block, again;

			memcpy(&block, p + at + 4, sizeof(block));
			assert_in_range(block, 12, capq_len(q) - at);
			if (block > len - at)
				break;
			memcpy(&again, p + at + block - 4, sizeof(again));
			assert_int_equal(again, block);
			take_block(g, p + at);
			at += block;
		}
		assert_true(at);
		g->octets += at;
		capq_take(q, at);
	}
}

/* Say that we are done, and read to the end. */
static void read_all(struct cap_queue *q, struct got *g)
{
	capq_enough(q);
	serve();
	assert_int_equal(capq_hear(q), 0);
	assert_true(q->at_end);
	take_some(q, g);
	capq_close(q);
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
	struct got g = { 0 };
	struct cap_queue q;

	(void)state;
	station(2);
	request(&q, "capture");
	for (uint32_t i = 0; i < 10; i++)
		frame_of(1 + i % 2, i * 100);
	read_all(&q, &g);
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
	struct got g = { 0 };
	struct cap_queue q;

	(void)state;
	station(2);
	request(&q, "capture");
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
	read_all(&q, &g);
	assert_int_equal(g.n[BT_IDB], 3);
	assert_int_equal(g.n[BT_ISB], 3);
	assert_int_equal(g.dropped, capture_stats()->dropped - before);
	assert_int_equal(g.n[BT_EPB] + g.dropped, n);
}

/* Those that are there when it asks; it may have connected before. */
static void nodes_are_those_at_the_request(void **state)
{
	char why[200];
	struct got g = { 0 };
	struct cap_queue q;

	(void)state;
	assert_int_equal(capq_connect(&q, path, "capture"), 0);
	station(2);
	capture_station_added(&stations[2]);
	stations[1].used = false;
	serve();
	serve();
	assert_int_equal(capq_open(&q, why, sizeof(why)), 0);
	frame_of(2, 100);
	read_all(&q, &g);
	assert_int_equal(g.n[BT_IDB], 1);
	assert_int_equal(g.n[BT_EPB], 1);
	assert_int_equal(g.n[BT_ISB], 1);
}

/* Many times its size passes through a queue, and nothing is lost or cut. */
static void a_queue_goes_round(void **state)
{
	struct got g = { 0 };
	struct cap_queue q;
	unsigned int n = 0;

	(void)state;
	request(&q, "capture");
	while (g.octets < 3ull * JS_CAP_BLOCKS_MAX * JS_CAP_BLOCK) {
		for (int i = 0; i < 7; i++, n++)
			frame_of(1, 1 + n * 7919 % JS_MTU);
		take_some(&q, &g);
		serve();
	}
	read_all(&q, &g);
	assert_int_equal(g.n[BT_EPB], n);
	assert_int_equal(g.dropped, 0);
}

/* One that takes nothing misses records; when it has taken some, it gets more. */
static void a_full_queue_has_room_again(void **state)
{
	struct got g = { 0 };
	struct cap_queue q;
	uint64_t dropped;

	(void)state;
	request(&q, "capture");
	dropped = capture_stats()->dropped;
	for (int i = 0; i < 1200; i++)
		frame_of(1, JS_MTU);
	assert_true(capture_stats()->dropped > dropped);
	take_some(&q, &g);
	serve();
	dropped = capture_stats()->dropped;
	frame_of(1, JS_MTU);
	assert_int_equal(capture_stats()->dropped, dropped);
	read_all(&q, &g);
	assert_int_equal(g.n[BT_EPB] + g.dropped, 1201);
}

static void frame_at(uint64_t ring_ns)
{
	struct frame f = { .vci = vci_make(2, 40), .sdu_len = JS_MTU, .src = 1, .n_iov = 1, .iov = { { sdu, JS_MTU } } };
	struct capture_facts facts = { .station = 1, .dir = JS_CAP_TX, .frame_id = 1, .ring_ns = ring_ns };

	capture_frame(&f, &facts);
}

/* Frames that fit at @ring_ns. */
static unsigned int fit(uint64_t ring_ns)
{
	uint64_t dropped = capture_stats()->dropped;
	unsigned int n = 0;

	while (frame_at(ring_ns), capture_stats()->dropped == dropped)
		n++;
	return n;
}

/* Who was too slow a moment ago has a short queue, and a long one when that is over. */
static void a_slow_consumer_has_a_short_queue(void **state)
{
	const unsigned int each = JS_CAP_BLOCK / JS_MTU;
	struct got g = { 0 };
	struct cap_queue q;

	(void)state;
	request(&q, "capture");
	assert_true(fit(1000) >= (JS_CAP_BLOCKS_MAX - 1) * each);
	take_some(&q, &g);
	serve();
	assert_in_range(fit(2000), each, 3 * each);
	assert_int_equal(fit(3000), 0);
	take_some(&q, &g);
	serve();
	assert_in_range(fit(99999000), each, 3 * each);
	assert_true(fit(300000000) >= (JS_CAP_BLOCKS_MAX - 5) * each);
	read_all(&q, &g);
	assert_int_equal(g.dropped, 5);
}

/* Not on a ring that a capture is to keep pace with. */
static void a_modest_ring_has_a_long_queue(void **state)
{
	struct got g = { 0 };
	struct cap_queue q;
	unsigned int n;

	(void)state;
	lab.ring.p.rate_bps = JS_CAP_KEEP_BPS;
	request(&q, "capture");
	loop_timers(now_ns() + 1000000000);
	assert_false(capq_ring_first(&q));
	n = fit(1000);
	take_some(&q, &g);
	serve();
	assert_in_range(fit(2000), n - JS_CAP_BLOCK / JS_MTU - 1, n + 1);
	lab.ring.p.rate_bps++;
	take_some(&q, &g);
	serve();
	frame_at(3000);
	loop_timers(now_ns() + 1000000000);
	assert_true(capq_ring_first(&q));
	lab.ring.p.rate_bps = 0;
	read_all(&q, &g);
	assert_int_equal(g.dropped, 2);
}

/* It is told of much at once, of little soon, and not for each frame. */
static void a_consumer_is_told(void **state)
{
	uint64_t later = now_ns() + 1000000000;
	struct got g = { 0 };
	struct cap_queue q;
	char packet[8];
	int n = 0;

	(void)state;
	request(&q, "capture");
	loop_timers(later);
	assert_int_equal(recv(q.fd, packet, sizeof(packet), MSG_DONTWAIT), 1);
	frame_of(1, 100);
	frame_of(1, 100);
	assert_int_equal(recv(q.fd, packet, sizeof(packet), MSG_DONTWAIT), -1);
	loop_timers(later);
	assert_int_equal(recv(q.fd, packet, sizeof(packet), MSG_DONTWAIT), 1);
	loop_timers(later);
	assert_int_equal(recv(q.fd, packet, sizeof(packet), MSG_DONTWAIT), -1);
	for (int i = 0; i < 160; i++)
		frame_of(1, JS_MTU);
	while (recv(q.fd, packet, sizeof(packet), MSG_DONTWAIT) > 0)
		n++;
	assert_in_range(n, 2, 160 / 16);
	read_all(&q, &g);
	assert_int_equal(g.n[BT_EPB], 162);
}

static void say_taken(const struct cap_queue *q, uint64_t n)
{
	struct js_cap_taken t = { .n = n };

	assert_int_equal(send(q->fd, &t, sizeof(t), MSG_NOSIGNAL), sizeof(t));
	serve();
}

/* What a consumer says it took is not believed if it cannot be. */
static void lies_are_the_end(void **state)
{
	static const int64_t lies[] = { 1, 1ll << 40, -1, INT64_MIN };
	struct cap_queue q, other;
	struct got g = { 0 };
	size_t len;

	(void)state;
	request(&other, "capture");
	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		request(&q, "capture");
		len = capq_len(&q);
		say_taken(&q, len);			/* true */
		assert_int_equal(capture_stats()->n_consumers, 2);
		say_taken(&q, len + (uint64_t)lies[i]);
		assert_int_equal(capture_stats()->n_consumers, 1);
		capq_close(&q);
	}
	request(&q, "capture");
	assert_int_equal(send(q.fd, "short", 5, MSG_NOSIGNAL), 5);
	serve();
	assert_int_equal(capture_stats()->n_consumers, 1);
	capq_close(&q);
	frame_of(1, 100);
	read_all(&other, &g);
	assert_int_equal(g.n[BT_EPB], 1);
}

static void bad_requests_are_refused(void **state)
{
	(void)state;
	refused("capture\n", "must begin");
	refused("capture nodes=n7", "nodes=");
	refused("capture snaplen=1", "snaplen=");
	refused("capture filter=00", "filter=");
}

/* Sixteen at once; the next is turned away, and the others go on. */
static void so_many_and_no_more(void **state)
{
	struct cap_queue q[16], more;
	struct got g = { 0 };
	char why[200];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(q); i++)
		request(&q[i], "capture");
	connect_queue(&more, "capture");
	assert_int_equal(capq_open(&more, why, sizeof(why)), -ECONNRESET);
	capq_close(&more);
	frame_of(1, 100);
	for (size_t i = 0; i < ARRAY_SIZE(q); i++)
		read_all(&q[i], &g);
	assert_int_equal(g.n[BT_EPB], 16);
}

/* Nobody but us can change what is queued, or the size of it. */
static void the_queue_is_read_only(void **state)
{
	char buf[CMSG_SPACE(sizeof(int))], text[8], again[40];
	struct iovec iov = { text, sizeof(text) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = buf, .msg_controllen = sizeof(buf) };
	struct cap_queue q;
	int fd;

	(void)state;
	connect_queue(&q, "capture");
	assert_int_equal(recvmsg(q.fd, &msg, 0), 2);
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	assert_ptr_equal(mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
	assert_int_equal(pwrite(fd, "x", 1, 4096), -1);
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_int_equal(ftruncate(fd, 1 << 30), -1);
	assert_int_equal(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 8192), -1);
	snprintf(again, sizeof(again), "/proc/self/fd/%d", fd);
	close(q.fd);
	q.fd = open(again, O_RDWR);
	assert_true(q.fd < 0 || mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, q.fd, 0) == MAP_FAILED);
	close(q.fd);
	close(fd);
	serve();
}

/* Where our own writable mapping of a queue is. */
static uint8_t *our_map(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[300];
	unsigned long at = 0;

	assert_non_null(f);
	while (!at && fgets(line, sizeof(line), f))
		if (strstr(line, "memfd:capture") && strstr(line, " rw-s "))
			at = strtoul(line, NULL, 16);
	fclose(f);
	assert_true(at);
	return (uint8_t *)at;
}

/* A page that cannot be had ends that capture, and no other. */
static void a_lost_page_ends_one_capture(void **state)
{
	char empty[] = "/tmp/test_capture.XXXXXX", socket[80];
	int fd = mkstemp(empty);
	struct cap_queue q, other;
	struct got g = { 0 };

	(void)state;
	snprintf(socket, sizeof(socket), "%s.n1", path);
	assert_int_equal(ports_start(&stations[1], socket), 0);		/* it handles SIGBUS */
	request(&q, "capture");
	/* A file without a page there raises it. */
	assert_ptr_not_equal(mmap(our_map() + 3 * 4096, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0),
			     MAP_FAILED);
	request(&other, "capture");
	frame_of(1, JS_MTU);
	loop_timers(now_ns() + 1000000000);
	assert_int_equal(capture_stats()->n_consumers, 1);
	frame_of(1, 100);
	read_all(&other, &g);
	assert_int_equal(g.n[BT_EPB], 2);
	capq_close(&q);
	ports_stop(&stations[1]);
	unlink(empty);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(frames_arrive, setup, teardown),
		cmocka_unit_test_setup_teardown(drops_are_told_at_the_end, setup, teardown),
		cmocka_unit_test_setup_teardown(nodes_are_those_at_the_request, setup, teardown),
		cmocka_unit_test_setup_teardown(a_queue_goes_round, setup, teardown),
		cmocka_unit_test_setup_teardown(a_full_queue_has_room_again, setup, teardown),
		cmocka_unit_test_setup_teardown(a_slow_consumer_has_a_short_queue, setup, teardown),
		cmocka_unit_test_setup_teardown(a_modest_ring_has_a_long_queue, setup, teardown),
		cmocka_unit_test_setup_teardown(a_consumer_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(lies_are_the_end, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_requests_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(so_many_and_no_more, setup, teardown),
		cmocka_unit_test_setup_teardown(the_queue_is_read_only, setup, teardown),
		cmocka_unit_test_setup_teardown(a_lost_page_ends_one_capture, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
