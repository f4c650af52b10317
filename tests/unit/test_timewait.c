/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_timewait.c - TIME-WAIT in the connection server
 *
 * The engine's part alone, segment by segment; then the server between fakes,
 * as in test_connserver.c: we are n2, 10.74.0.2, Ring ID 2, the peer is n1.
 *
 * The connection: SND.NXT 5000, RCV.NXT just before 2^32, so that it wraps.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#include "common/util.h"
#include "connserver/children.h"
#include "connserver/resolve.h"
#include "connserver/syn.h"
#include "connserver/timewait.h"
#include "stack/child/secret.h"
#include "stack/shm/cm.h"

#define SND	5000u
#define RCV	0xfffffff0u
#define TS	100000u			/* the peer's clock, last seen */
#define MSL2	60000000u		/* us */
#define NOW	5000000u		/* us */
#define STREAM	vci_make(2, 40)
#define PEER	vci_make(1, JS_STREAM_IP_DIVERT)
#define US	vci_make(2, JS_STREAM_IP)

/* --- RFC 6528 ------------------------------------------------------------- */

/* MUST-8, MUST-9, SHLD-1: M + F(...): M counts 4 us; F is of both addresses, both
 * ports and the key.  TSval's offset is F alone, so that it never goes back (RFC
 * 6191). */
static void iss_of_incarnations(void **state)
{
	const uint8_t key[2][CHILD_SECRET] = { { 1 }, { 2 } };
	struct cm_addr local = { .port = 80 }, peer = { .port = 5000 }, other;
	uint32_t iss, ts, iss2, ts2, i;

	(void)state;
	local.addr[15] = 1;
	peer.addr[15] = 2;
	secret_numbers(key[0], &local, &peer, NOW, &iss, &ts);
	secret_numbers(key[0], &local, &peer, NOW + 4000000, &iss2, &ts2);
	assert_int_equal(iss2, iss + 1000000);
	assert_int_equal(ts2, ts);
	for (i = 0; i < 4; i++) {
		other = i < 2 ? local : peer;
		if (i % 2)
			other.port++;
		else
			other.addr[0] ^= 1;
		secret_numbers(key[0], i < 2 ? &other : &local, i < 2 ? &peer : &other, NOW,
			       &iss2, &ts2);
		assert_int_not_equal(iss2, iss);
		assert_int_not_equal(ts2, ts);
	}
	secret_numbers(key[1], &local, &peer, NOW, &iss2, &ts2);
	assert_int_not_equal(iss2, iss);
	assert_int_not_equal(ts2, ts);
}

/* --- the engine's part ---------------------------------------------------- */

static struct tcp_tw tw_new(bool has_ts)
{
	return (struct tcp_tw){
		.snd_nxt = SND, .rcv_nxt = RCV, .wnd = 77,
		.has_ts = has_ts, .ts_offset = 3, .ts_recent = TS,
	};
}

struct row {
	const char *what;
	struct tcp_seg seg;
	enum tcp_tw_verdict want;
};

#define TSVAL(v)	.has_ts = true, .tsval = (v)

/* Each against a fresh record. */
static void check_rows(const struct row *row, size_t n, bool has_ts)
{
	for (; n; n--, row++) {
		struct tcp_tw tw = tw_new(has_ts);
		struct tcp_seg out;
		enum tcp_tw_verdict got = tcp_tw_input(&tw, &row->seg, NOW, &out);

		if (got != row->want)
			print_error("%s: %d, not %d\n", row->what, got, row->want);
		assert_int_equal(got, row->want);
	}
}

static void without_timestamps(void **state)
{
	static const struct row rows[] = {
		{ "the FIN again", { .flags = TH_FIN | TH_ACK, .seq = RCV - 1 }, TCP_TW_FIN },
		{ "with data", { .flags = TH_FIN | TH_ACK, .seq = RCV - 9, .len = 8 }, TCP_TW_FIN },
		{ "another FIN", { .flags = TH_FIN | TH_ACK, .seq = RCV }, TCP_TW_ANSWER },
		{ "old data", { .flags = TH_ACK, .seq = RCV - 9, .len = 8 }, TCP_TW_ANSWER },
		{ "new data", { .flags = TH_ACK, .seq = RCV, .len = 8 }, TCP_TW_ANSWER },
		{ "an ACK", { .flags = TH_ACK, .seq = RCV }, TCP_TW_IGNORE },
		{ "an old ACK", { .flags = TH_ACK, .seq = RCV - 1 }, TCP_TW_ANSWER },
		{ "RST", { .flags = TH_RST, .seq = RCV }, TCP_TW_IGNORE },
		{ "RST,ACK", { .flags = TH_RST | TH_ACK, .seq = RCV }, TCP_TW_IGNORE },
		{ "SYN,ACK", { .flags = TH_SYN | TH_ACK, .seq = RCV + 9 }, TCP_TW_ANSWER },
		{ "a new SYN", { .flags = TH_SYN, .seq = RCV + 1 }, TCP_TW_OPEN },
		{ "half the space on", { .flags = TH_SYN, .seq = RCV + 0x7fffffff }, TCP_TW_OPEN },
		{ "the last number", { .flags = TH_SYN, .seq = RCV }, TCP_TW_ANSWER },
		{ "an old SYN", { .flags = TH_SYN, .seq = RCV - 1000 }, TCP_TW_ANSWER },
		{ "old, but with a clock", { .flags = TH_SYN, .seq = RCV - 1000, TSVAL(1) },
		  TCP_TW_OPEN },
		{ "SYN,RST", { .flags = TH_SYN | TH_RST, .seq = RCV + 1 }, TCP_TW_IGNORE },
	};

	(void)state;
	check_rows(rows, ARRAY_SIZE(rows), false);
}

/* RFC 6191, 2; RFC 7323, 5.3 */
static void with_timestamps(void **state)
{
	static const struct row rows[] = {
		{ "the FIN again", { .flags = TH_FIN | TH_ACK, .seq = RCV - 1, TSVAL(TS + 1) },
		  TCP_TW_FIN },
		{ "a late copy", { .flags = TH_FIN | TH_ACK, .seq = RCV - 1, TSVAL(TS - 1) },
		  TCP_TW_ANSWER },
		{ "a FIN without", { .flags = TH_FIN | TH_ACK, .seq = RCV - 1 }, TCP_TW_FIN },
		{ "old data without", { .flags = TH_ACK, .seq = RCV - 9, .len = 8 },
		  TCP_TW_ANSWER },
		{ "late data", { .flags = TH_ACK, .seq = RCV, .len = 8, TSVAL(TS - 1) },
		  TCP_TW_ANSWER },
		{ "a newer clock", { .flags = TH_SYN, .seq = RCV - 1000, TSVAL(TS + 1) },
		  TCP_TW_OPEN },
		{ "an older clock", { .flags = TH_SYN, .seq = RCV + 1000, TSVAL(TS - 1) },
		  TCP_TW_ANSWER },
		{ "the same, newer", { .flags = TH_SYN, .seq = RCV + 1000, TSVAL(TS) },
		  TCP_TW_OPEN },
		{ "the same, older", { .flags = TH_SYN, .seq = RCV - 1000, TSVAL(TS) },
		  TCP_TW_ANSWER },
		{ "none any more, newer", { .flags = TH_SYN, .seq = RCV + 1000 }, TCP_TW_OPEN },
		{ "none any more, older", { .flags = TH_SYN, .seq = RCV - 1000 }, TCP_TW_ANSWER },
	};

	(void)state;
	check_rows(rows, ARRAY_SIZE(rows), true);
}

static void the_answer(void **state)
{
	const struct tcp_seg fin = { .flags = TH_FIN | TH_ACK, .seq = RCV - 1, TSVAL(TS + 7) };
	struct tcp_tw tw = tw_new(true);
	struct tcp_seg out;

	(void)state;
	assert_int_equal(tcp_tw_input(&tw, &fin, NOW, &out), TCP_TW_FIN);
	assert_int_equal(out.seq, SND);
	assert_int_equal(out.ack, RCV);
	assert_int_equal(out.flags, TH_ACK);
	assert_int_equal(out.wnd, 77);
	assert_true(out.has_ts);
	assert_int_equal(out.tsval, NOW / 1000 + 3);
	assert_int_equal(out.tsecr, TS + 7);
	assert_int_equal(tcp_tw_iss(&tw), SND + 65537);
}

/* Two that find each other's ACKs unacceptable do not talk for ever. */
static void empty_ones_are_limited(void **state)
{
	const struct tcp_seg ack = { .flags = TH_ACK, .seq = RCV - 5 };
	struct tcp_tw tw = tw_new(false);
	struct tcp_seg out;

	(void)state;
	assert_int_equal(tcp_tw_input(&tw, &ack, NOW, &out), TCP_TW_ANSWER);
	assert_int_equal(tcp_tw_input(&tw, &ack, NOW + 499999, &out), TCP_TW_IGNORE);
	assert_int_equal(tcp_tw_input(&tw, &ack, NOW + 500000, &out), TCP_TW_ANSWER);
}

/* --- fakes ---------------------------------------------------------------- */

static struct cs_server cs;
static struct cs_child *child;
static int child_fd;
static bool with_ts;			/* the connections handed over have timestamps */
static js_vci_t sent_vci;		/* of the last packet; 0 dropped */
static unsigned int n_sent, n_dropped, n_answers;
static struct tcp_seg answered;		/* the last answer */
static struct ip_pair answered_pair;

static struct cm_addr addr(const char *host, uint16_t port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct cm_addr a;

	assert_int_equal(inet_pton(AF_INET, host, &sin.sin_addr), 1);
	cm_addr_from_sa(&a, (struct sockaddr *)&sin, sizeof(sin));
	return a;
}

#define LOCAL	addr("10.74.0.2", 80)
#define FROM	addr("10.74.0.1", 5000)

static bool fake_send(struct cs_server *server, const struct cs_packet *p, js_vci_t vci)
{
	(void)server;
	(void)p;
	sent_vci = vci;
	n_sent++;
	return true;
}

static void fake_drop(struct cs_server *server, const struct cs_packet *p)
{
	(void)server;
	(void)p;
	n_dropped++;
}

static bool fake_answer(struct cs_server *server, const uint8_t *hdr, unsigned int len,
			js_vci_t vci, uint16_t uucpi)
{
	uint8_t tos;
	int ip_len = ip_parse(hdr, len, &answered_pair, &tos);

	(void)server;
	assert_int_equal(ip_len, 20);
	assert_int_equal(vci, PEER);
	assert_int_equal(uucpi, 0);
	assert_int_equal(ip_csum_fold(ip_csum_add(ip_pseudo_sum(&answered_pair, len - 20),
						  hdr + 20, len - 20)), 0);
	assert_int_equal(tcp_seg_parse(&answered, hdr + 20, len - 20), (int)len - 20);
	n_answers++;
	return true;
}

static int fake_ring_id(struct cs_server *server, const struct cm_addr *peer, bool ask,
			unsigned int *ring_id, struct cm_addr *local)
{
	(void)ask;
	*local = server->cfg.addr;
	*ring_id = peer->addr[15];
	return 0;
}

static bool fake_is_local(struct cs_server *server, const struct cm_addr *a)
{
	return cm_addr_same_host(a, &server->cfg.addr);
}

static const struct cs_sink fake_sink = { fake_send, fake_drop, fake_answer };
static int fake_syncookies(struct cs_server *server)
{
	(void)server;
	return 0;
}

static const struct cs_net fake_net = { fake_ring_id, fake_is_local, fake_syncookies };

static void say(const struct cm_msg *m, int with)
{
	assert_int_equal(cm_send(child_fd, m, &with, with >= 0), 0);
	cs_children_poll(&cs);
}

static int hear(struct cm_msg *m)
{
	int fd = -1, n = 0;

	assert_int_equal(cm_recv(child_fd, m, &fd, 1, &n, NULL, MSG_DONTWAIT), 1);
	return n ? fd : -1;
}

static int setup(void **state)
{
	const struct cs_config cfg = {
		.lab = "test", .node = 2, .addr = addr("10.74.0.2", 0),
		.port_sock = "/nowhere/n2.sock", .run_dir = "/nowhere",
	};
	int sv[2];

	(void)state;
	assert_int_equal(cs_init(&cs, &cfg), 0);
	cs.sink = &fake_sink;
	cs.net = &fake_net;
	cs.ring_id = 2;
	cs.now_us = NOW;
	n_sent = n_dropped = n_answers = 0;
	with_ts = false;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv),
			 0);
	child_fd = sv[1];
	child = cs_child_new(&cs, sv[0], getpid(), -1);
	child->has_hello = true;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	cs_fini(&cs);
	close(child_fd);
	return 0;
}

static void forward(struct cm_addr local, struct cm_addr peer, bool on)
{
	const struct cm_msg m = {
		.type = CM_FORWARD, .on = on, .local = local, .peer = peer, .vci = STREAM,
	};

	say(&m, -1);
}

static void listen_on(struct cm_addr local)
{
	const struct cm_msg m = { .type = CM_LISTEN, .on = 1, .local = local, .sock = 5, .gen = 1 };

	say(&m, -1);
}

static void time_wait(struct cm_addr local, struct cm_addr peer, int fd)
{
	const struct cm_msg m = {
		.type = CM_TIME_WAIT, .local = local, .peer = peer, .ring_id = 1,
		.tw = { .snd_nxt = SND, .rcv_nxt = RCV, .wnd = 77, .has_ts = with_ts },
	};

	say(&m, fd);
}

/* As a child does it: until its end it has the Forward. */
static void hand_over(struct cm_addr local, struct cm_addr peer, int fd)
{
	forward(local, peer, true);
	time_wait(local, peer, fd);
	forward(local, peer, false);
}

/* @flip: bits of the checksum that are wrong. */
static void packet_in(const struct tcp_seg *what, uint16_t flip)
{
	struct cm_addr local = LOCAL, peer = FROM;
	struct tcp_seg seg = *what;
	struct cs_packet p = { .n_buf = 1 };
	struct ip_pair pair;
	uint16_t csum;
	int tlen;

	seg.sport = peer.port;
	seg.dport = local.port;
	seg.wscale = TCP_WS_NONE;
	memcpy(pair.src, peer.addr, 16);
	memcpy(pair.dst, local.addr, 16);
	tlen = tcp_seg_build(&seg, p.peek + 20);
	csum = ip_csum_fold(ip_csum_add(ip_pseudo_sum(&pair, (uint32_t)tlen), p.peek + 20,
					(size_t)tlen)) ^ flip;
	memcpy(p.peek + 20 + 16, &csum, 2);
	ip_build(p.peek, &pair, (uint32_t)tlen, 0, 0, 0);
	p.sdu_len = p.n_peek = (uint16_t)(20 + tlen);
	cs_syn_packet(&cs, &p);
}

static const struct tcp_seg fin = { .flags = TH_FIN | TH_ACK, .seq = RCV - 1, .ack = SND };
static const struct tcp_seg ack = { .flags = TH_ACK, .seq = RCV - 1, .ack = SND };

static void pass(uint64_t us)
{
	cs.now_us += us;
	cs_timers(&cs);
}

/* --- the server's part ---------------------------------------------------- */

static void fin_is_answered_and_restarts(void **state)
{
	(void)state;
	hand_over(LOCAL, FROM, -1);
	pass(MSL2 - 1);
	packet_in(&fin, 0);
	assert_int_equal(n_answers, 1);
	assert_int_equal(n_dropped, 1);
	assert_int_equal(n_sent, 0);
	assert_int_equal(answered.flags, TH_ACK);
	assert_int_equal(answered.seq, SND);
	assert_int_equal(answered.ack, RCV);
	assert_int_equal(answered.sport, 80);
	assert_int_equal(answered.dport, 5000);
	assert_int_equal(answered_pair.src[15], 2);
	assert_int_equal(answered_pair.dst[15], 1);
	pass(MSL2 - 1);
	packet_in(&ack, 0);
	assert_int_equal(n_answers, 2);
	/* An ACK has not restarted it. */
	assert_int_equal(cs_timewait_deadline(&cs), cs.now_us + 1);
	pass(1);
	assert_int_equal(cs_timewait_deadline(&cs), UINT64_MAX);
	packet_in(&fin, 0);
	assert_int_equal(n_answers, 2);
	assert_int_equal(sent_vci, US);
}

static void corrupt_is_dropped(void **state)
{
	(void)state;
	hand_over(LOCAL, FROM, -1);
	packet_in(&fin, 0x0100);
	assert_int_equal(n_answers, 0);
	assert_int_equal(n_dropped, 1);
	assert_int_equal(cs.count[CS_DROP_CHECKSUM], 1);
}

static void rst_is_ignored(void **state)
{
	const struct tcp_seg rst = { .flags = TH_RST, .seq = RCV };

	(void)state;
	hand_over(LOCAL, FROM, -1);
	packet_in(&rst, 0);
	assert_int_equal(cs.count[CS_DROP_TIME_WAIT], 1);
	packet_in(&fin, 0);
	assert_int_equal(n_answers, 1);
}

static void newer_syn_reaches_the_listener(void **state)
{
	const struct tcp_seg old = { .flags = TH_SYN, .seq = RCV - 9 };
	const struct tcp_seg new = { .flags = TH_SYN, .seq = RCV + 9 };
	struct cm_msg m;

	(void)state;
	hand_over(LOCAL, FROM, -1);
	listen_on(addr("0.0.0.0", 80));
	packet_in(&old, 0);
	assert_int_equal(n_answers, 1);
	packet_in(&new, 0);
	assert_int_equal(n_answers, 1);
	assert_int_equal(n_sent, 0);
	hear(&m);
	assert_int_equal(m.type, CM_SYN);
	assert_int_equal(m.flags, CM_ISS);
	assert_int_equal(m.n, SND + 65537);
	assert_int_equal(cs.count[CS_TW_REOPENED], 1);
	assert_int_equal(cs_timewait_deadline(&cs), UINT64_MAX);
}

/* Whoever listens now, or RST. */
static void newer_syn_reaches_the_kernel(void **state)
{
	const struct tcp_seg new = { .flags = TH_SYN, .seq = RCV + 9 };

	(void)state;
	hand_over(LOCAL, FROM, -1);
	packet_in(&new, 0);
	assert_int_equal(n_answers, 0);
	assert_int_equal(sent_vci, US);
	assert_int_equal(cs_timewait_deadline(&cs), UINT64_MAX);
}

static void new_connection_forgets(void **state)
{
	(void)state;
	hand_over(LOCAL, FROM, -1);
	forward(LOCAL, FROM, true);
	assert_int_equal(cs_timewait_deadline(&cs), UINT64_MAX);
	packet_in(&fin, 0);
	assert_int_equal(sent_vci, STREAM);
}

/* The record outlives its child, and only an owner of the pair makes one. */
static void claims_are_checked(void **state)
{
	struct cm_msg m = { .type = CM_TIME_WAIT, .local = LOCAL, .peer = FROM, .ring_id = 16 };
	struct cm_msg reply;

	(void)state;
	time_wait(LOCAL, FROM, -1);
	assert_int_equal(cs.count[CS_TIME_WAITS], 0);
	hear(&reply);
	assert_int_equal(reply.err, -ENOENT);
	forward(LOCAL, FROM, true);
	say(&m, -1);
	hear(&reply);
	assert_int_equal(reply.err, -EINVAL);
	m.ring_id = 1;
	m.tw.resv[2] = 1;
	say(&m, -1);
	m.tw.resv[2] = 0;
	m.tw.has_ts = 2;
	say(&m, -1);
	assert_int_equal(cs.count[CS_MSG_BAD], 2);
	hand_over(LOCAL, FROM, -1);
	cs_child_hangup(&cs, child);
	packet_in(&fin, 0);
	assert_int_equal(n_answers, 1);
}

static void too_many_drop_the_oldest(void **state)
{
	struct cm_msg m = { .type = CM_TIME_WAIT, .local = LOCAL, .peer = FROM, .ring_id = 1 };
	const struct cm_addr first = FROM, local = LOCAL;
	unsigned int i;

	(void)state;
	for (i = 0; i < 65536 + 1; i++) {
		m.peer.port = (uint16_t)(first.port + i);
		m.local.port = (uint16_t)(local.port + i / 65536);
		assert_int_equal(cs_timewait_add(&cs, &m, -1), 0);
	}
	/* One; more where few descriptors may be open. */
	assert_true(cs.count[CS_TW_EVICTED] >= 1);
	assert_int_equal(cs_timewait_connect(&cs, &local, &first, &i), 0);
	assert_int_equal(cs_timewait_connect(&cs, &m.local, &m.peer, &i), -EADDRNOTAVAIL);
	pass(MSL2);
	assert_int_equal(cs_timewait_deadline(&cs), UINT64_MAX);
}

static int bind_point(struct cm_addr local, bool reuse, struct cm_msg *reply)
{
	const struct cm_msg m = {
		.type = CM_BIND_POINT, .local = local, .on = reuse, .family = AF_INET,
		.uid = getuid(),
	};

	say(&m, -1);
	return hear(reply);
}

/* Who binds with SO_REUSEADDR gets the port of what is only in TIME-WAIT. */
static void reuse_takes_the_port(void **state)
{
	struct cm_addr local = addr("127.0.0.1", 0), peer = FROM;
	struct cm_msg r;
	uint32_t iss;
	int fd = bind_point(local, true, &r);

	(void)state;
	assert_true(fd >= 0);
	local = r.local;
	hand_over(local, FROM, fd);
	close(fd);
	assert_int_equal(bind_point(local, false, &r), -1);
	assert_int_equal(r.err, -EADDRINUSE);
	fd = bind_point(local, true, &r);
	assert_int_equal(r.err, 0);
	assert_true(fd >= 0);
	assert_int_equal(listen(fd, 5), 0);
	close(fd);
	assert_int_equal(cs_timewait_connect(&cs, &local, &peer, &iss), -EADDRNOTAVAIL);
	/* And without a bind-point: as Linux says it. */
	assert_int_equal(bind_point(local, false, &r), -1);
	assert_int_equal(r.err, -EADDRINUSE);
	pass(MSL2);
	fd = bind_point(local, false, &r);
	assert_true(fd >= 0);
	close(fd);
}

/* What it holds it gives back: nothing stays open. */
static void bind_point_ends_with_it(void **state)
{
	struct cm_addr local;
	struct cm_msg r;
	int fd = bind_point(addr("127.0.0.1", 0), false, &r);

	(void)state;
	local = r.local;
	hand_over(local, FROM, fd);
	close(fd);
	pass(MSL2 - 1);
	assert_int_equal(bind_point(local, false, &r), -1);
	pass(1);
	fd = bind_point(local, false, &r);
	assert_true(fd >= 0);
	close(fd);
	/* Not a socket: the record is made without it. */
	fd = open("/dev/null", O_RDWR);
	hand_over(LOCAL, FROM, fd);
	close(fd);
	assert_int_equal(cs.count[CS_MSG_NO_FD], 1);
	packet_in(&fin, 0);
	assert_int_equal(n_answers, 1);
}

/* From a port that was bound, as Linux: only with timestamps. */
static void connect_to_the_same_peer(void **state)
{
	struct cm_msg m = { .type = CM_RESOLVE, .peer = FROM, .local = { .port = 80 } };
	struct cm_msg r;

	(void)state;
	hand_over(LOCAL, FROM, -1);
	say(&m, -1);
	hear(&r);
	assert_int_equal(r.err, -EADDRNOTAVAIL);
	with_ts = true;
	hand_over(LOCAL, FROM, -1);
	say(&m, -1);
	hear(&r);
	assert_int_equal(r.err, 0);
	assert_int_equal(r.flags, CM_ISS);
	assert_int_equal(r.n, SND + 65537);
	m.local.port = 81;
	say(&m, -1);
	hear(&r);
	assert_int_equal(r.err, 0);
	assert_int_equal(r.flags, 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(iss_of_incarnations),
		cmocka_unit_test(without_timestamps), cmocka_unit_test(with_timestamps),
		cmocka_unit_test(the_answer), cmocka_unit_test(empty_ones_are_limited),
		T(fin_is_answered_and_restarts), T(corrupt_is_dropped), T(rst_is_ignored),
		T(newer_syn_reaches_the_listener), T(newer_syn_reaches_the_kernel),
		T(new_connection_forgets),
		T(claims_are_checked), T(too_many_drop_the_oldest), T(reuse_takes_the_port),
		T(bind_point_ends_with_it), T(connect_to_the_same_peer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
