/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_cookie.c - SYN cookies: their numbers, then the server between fakes
 *
 * As in test_connserver.c we are n2, Ring ID 2, 10.74.0.2 and fd00::2; the peer
 * is n1.  The child is the other end of a socketpair.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "abi/aal5.h"
#include "common/util.h"
#include "connserver/children.h"
#include "connserver/cookie.h"
#include "connserver/syn.h"
#include "stack/child/secret.h"
#include "stack/shm/cm.h"

#define TICK	((uint64_t)CS_COOKIE_TICK_US)
#define NOW	(1000 * TICK)
#define IRS	0xfffffff0u
#define STREAM	vci_make(2, 40)
#define RXVCI	vci_make(1, 50)
#define DIVERT	vci_make(2, JS_STREAM_IP_DIVERT)
#define US	vci_make(2, JS_STREAM_IP)

static struct cm_addr addr(const char *host, uint16_t port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	struct cm_addr a;

	if (inet_pton(AF_INET, host, &sin.sin_addr) == 1) {
		cm_addr_from_sa(&a, (struct sockaddr *)&sin, sizeof(sin));
		return a;
	}
	assert_int_equal(inet_pton(AF_INET6, host, &sin6.sin6_addr), 1);
	cm_addr_from_sa(&a, (struct sockaddr *)&sin6, sizeof(sin6));
	return a;
}

/* --- the numbers ---------------------------------------------------------- */

static struct cm_addr local, peer;	/* of the test that runs */
static struct cs_cookie *ck;

static int numbers_setup(void **state)
{
	(void)state;
	local = addr("10.74.0.2", 80);
	peer = addr("10.74.0.1", 5000);
	ck = cs_cookie_new();
	assert_non_null(ck);
	return 0;
}

static int numbers_teardown(void **state)
{
	(void)state;
	cs_cookie_free(ck);
	return 0;
}

static uint32_t iss_of(uint16_t mss, bool has_rxvci, uint64_t at)
{
	const struct tcp_seg syn = { .seq = IRS, .mss = mss, .flags = TH_SYN };

	return cs_cookie_iss(ck, &local, &peer, &syn, has_rxvci, at);
}

static bool check(uint32_t irs, uint32_t iss, uint64_t at, struct cm_cookie *c)
{
	const struct tcp_seg ack = { .seq = irs + 1, .ack = iss + 1, .flags = TH_ACK };

	return cs_cookie_check(ck, &local, &peer, &ack, 0, at, c);
}

static void mss_and_rxvci_come_back(void **state)
{
	static const struct { uint16_t mss, want4, want6; } rows[] = {
		{ 0, 536, 1220 }, { 1, 48, 48 }, { 48, 48, 48 }, { 535, 48, 48 }, { 536, 536, 536 },
		{ 1219, 536, 536 }, { 1220, 1220, 1220 }, { 1448, 1440, 1440 },
		{ 1460, 1460, 1460 }, { 8960, 8940, 8940 }, { 61443, 8940, 8940 },
		{ 61444, 61444, 61444 }, { 61464, 61464, 61464 }, { 65535, 61464, 61464 },
	};
	struct cm_cookie c;

	(void)state;
	for (size_t i = 0; i < 4 * ARRAY_SIZE(rows); i++) {
		bool v6 = i & 1, has_rxvci = i & 2;

		local = addr(v6 ? "fd00::2" : "10.74.0.2", 80);
		peer = addr(v6 ? "fd00::1" : "10.74.0.1", 5000);
		assert_true(check(IRS, iss_of(rows[i / 4].mss, has_rxvci, NOW), NOW, &c));
		assert_int_equal(c.irs, IRS);
		assert_int_equal(c.mss, v6 ? rows[i / 4].want6 : rows[i / 4].want4);
		assert_int_equal(c.opts, has_rxvci ? CM_COOKIE_RXVCI : 0);
	}
}

static void it_is_good_for_one_to_two_ticks(void **state)
{
	struct cm_cookie c;

	(void)state;
	/* Over an epoch of keys, too. */
	for (uint64_t t = NOW; t < NOW + 40 * TICK; t += TICK) {
		uint32_t iss = iss_of(1460, false, t + 5);

		assert_int_equal(iss, iss_of(1460, false, t + TICK - 1));
		assert_int_not_equal(iss, iss_of(1460, false, t + TICK));
		assert_true(check(IRS, iss, t + 5, &c));
		assert_true(check(IRS, iss, t + 2 * TICK - 1, &c));
		assert_false(check(IRS, iss, t + 2 * TICK, &c));
		assert_false(check(IRS, iss, t + 300 * TICK, &c));
		/* Ticks are counted modulo 256; the key is not the same by then. */
		assert_false(check(IRS, iss, t + 256 * TICK, &c));
		assert_false(check(IRS, iss, t - 1, &c));
	}
}

static void of_another_connection_it_is_none(void **state)
{
	uint32_t iss = iss_of(1460, false, NOW);
	struct cm_addr was_local = local, was_peer = peer;
	struct cm_cookie c;

	(void)state;
	assert_false(check(IRS + 1, iss, NOW, &c));
	assert_false(check(IRS - 1, iss, NOW, &c));
	local.port++;
	assert_false(check(IRS, iss, NOW, &c));
	local = was_local;
	local.addr[15]++;
	assert_false(check(IRS, iss, NOW, &c));
	local = was_local;
	peer.port++;
	assert_false(check(IRS, iss, NOW, &c));
	peer = was_peer;
	peer.addr[15]++;
	assert_false(check(IRS, iss, NOW, &c));
	peer = was_peer;
	assert_true(check(IRS, iss, NOW, &c));
}

/* One in 2^27 is right: of 2^17 not more than two are, but once in 2^32 runs. */
static void who_guesses_finds_none(void **state)
{
	uint32_t guess = iss_of(1460, false, NOW);
	unsigned int n = 0;
	struct cm_cookie c;

	(void)state;
	for (unsigned int i = 0; i < 1 << 17; i++) {
		guess += 0x9e3779b1u;
		n += check(IRS, guess, NOW, &c);
	}
	assert_in_range(n, 0, 2);
}

static void a_child_that_is_forked_has_no_keys(void **state)
{
	uint32_t iss = iss_of(1460, false, NOW);
	struct cm_cookie c;
	int status;
	pid_t pid = fork();

	(void)state;
	assert_true(pid >= 0);
	if (!pid)
		_exit(check(IRS, iss, NOW, &c) ? 1 : 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_true(check(IRS, iss, NOW, &c));
}

static void options_are_in_the_timestamp(void **state)
{
	const uint32_t offset = 0x87654321u;

	(void)state;
	for (uint32_t i = 0; i < 16 * 4 * 70; i++) {
		uint8_t ws = i & 15;
		bool sack = i & 16, ecn = i & 32;
		uint32_t now_ms = 1000000 + i / 64;
		const struct tcp_seg syn = {
			.wscale = ws == 15 ? TCP_WS_NONE : ws, .sack_permitted = sack, .has_ts = true,
		};
		uint32_t tsval = cs_cookie_tsval(&syn, ecn, now_ms, offset);
		const struct tcp_seg ack = {
			.seq = IRS + 1, .ack = iss_of(1460, false, NOW) + 1, .flags = TH_ACK,
			.has_ts = true, .tsval = 77, .tsecr = tsval,
		};
		struct cm_cookie c;

		assert_in_range(now_ms + offset - tsval, 0, 64);
		assert_true(cs_cookie_check(ck, &local, &peer, &ack, offset, NOW, &c));
		assert_int_equal(c.tsval, 77);
		assert_int_equal(c.ts_offset, offset);
		assert_int_equal(c.wscale, ws == 15 ? 0 : ws);
		assert_int_equal(c.opts, CM_COOKIE_TS | (ws == 15 ? 0 : CM_COOKIE_WS) |
				 (sack ? CM_COOKIE_SACK : 0) | (ecn ? CM_COOKIE_ECN : 0));
	}
}

/* --- the server between fakes ---------------------------------------------- */

static struct cs_server cs;
static struct cs_child *child;
static int child_fd, mode;
static struct { uint16_t buf; js_vci_t vci; } left[64];	/* vci 0: dropped */
static int n_left, n_answers;
static struct tcp_seg answered;
static struct ip_pair answered_pair;
static js_vci_t answered_vci;
static uint16_t answered_uucpi, next_buf;

static bool fake_send(struct cs_server *server, const struct cs_packet *p, js_vci_t vci)
{
	(void)server;
	assert_true(n_left < (int)ARRAY_SIZE(left));
	left[n_left].buf = p->buf[0];
	left[n_left++].vci = vci;
	return true;
}

static void fake_drop(struct cs_server *server, const struct cs_packet *p)
{
	fake_send(server, p, 0);
}

static bool fake_answer(struct cs_server *server, const uint8_t *hdr, unsigned int len,
			js_vci_t vci, uint16_t uucpi)
{
	uint8_t tos;
	int ip_len = ip_parse(hdr, len, &answered_pair, &tos);
	uint32_t tcp_len = len - (uint32_t)ip_len;

	(void)server;
	assert_true(ip_len > 0);
	assert_int_equal(ip_csum_fold(ip_csum_add(ip_pseudo_sum(&answered_pair, tcp_len),
						  hdr + ip_len, tcp_len)), 0);
	memset(&answered, 0, sizeof(answered));
	assert_int_equal(tcp_seg_parse(&answered, hdr + ip_len, tcp_len), (int)tcp_len);
	answered_vci = vci;
	answered_uucpi = uucpi;
	n_answers++;
	return true;
}

static int fake_ring_id(struct cs_server *server, const struct cm_addr *a, bool ask,
			unsigned int *ring_id, struct cm_addr *from)
{
	(void)ask;
	*from = server->cfg.addr;
	*ring_id = a->addr[15];
	return a->addr[15] <= 2 ? 0 : -EHOSTUNREACH;
}

static bool fake_is_local(struct cs_server *server, const struct cm_addr *a)
{
	(void)server;
	return a->addr[15] == 2;
}

static int fake_syncookies(struct cs_server *server)
{
	(void)server;
	return mode;
}

static const struct cs_sink fake_sink = { fake_send, fake_drop, fake_answer };
static const struct cs_net fake_net = { fake_ring_id, fake_is_local, fake_syncookies };

static void say(const struct cm_msg *m)
{
	assert_int_equal(cm_send(child_fd, m, NULL, 0), 0);
	cs_children_poll(&cs);
}

static int server_setup(void **state)
{
	const struct cs_config cfg = {
		.lab = "test", .node = 2, .addr = addr("10.74.0.2", 0),
		.port_sock = "/nowhere/n2.sock", .run_dir = "/nowhere",
	};
	struct cm_msg m = { .type = CM_LISTEN, .on = 1, .local = addr("::", 80), .sock = 5,
			    .gen = 1, .listen = { .rcv_buf = 20000, .mss = 1000 } };
	int sv[2];

	(void)state;
	assert_int_equal(cs_init(&cs, &cfg), 0);
	cs.sink = &fake_sink;
	cs.net = &fake_net;
	cs.ring_id = 2;
	cs.now_us = NOW;
	mode = 1;
	n_left = n_answers = 0;
	next_buf = 0;
	local = addr("10.74.0.2", 80);
	peer = addr("10.74.0.1", 5000);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv),
			 0);
	child_fd = sv[1];
	child = cs_child_new(&cs, sv[0], getpid(), -1);
	child->has_hello = true;
	say(&m);
	return 0;
}

static int server_teardown(void **state)
{
	(void)state;
	cs_fini(&cs);
	close(child_fd);
	return 0;
}

static bool hear(struct cm_msg *m)
{
	int ret = cm_recv(child_fd, m, NULL, 0, NULL, NULL, MSG_DONTWAIT);

	assert_true(ret == 1 || ret == -EAGAIN);
	return ret == 1;
}

/* @flip: bits of the checksum that are wrong.  Returns the packet's mark. */
static uint16_t packet_in(const struct tcp_seg *what, uint16_t uucpi, uint16_t flip)
{
	struct tcp_seg seg = *what;
	struct cs_packet p = { .n_buf = 1, .uucpi = uucpi, .buf = { ++next_buf } };
	uint8_t th[TCP_HDR_MAX + 100] = { 0 };
	struct ip_pair pair;
	uint32_t tcp_len;
	uint16_t csum;
	int ip_len;

	seg.sport = peer.port;
	seg.dport = local.port;
	memcpy(pair.src, peer.addr, 16);
	memcpy(pair.dst, local.addr, 16);
	tcp_len = (uint32_t)tcp_seg_build(&seg, th) + seg.len;
	csum = ip_csum_fold(ip_csum_add(ip_pseudo_sum(&pair, tcp_len), th, tcp_len)) ^ flip;
	memcpy(th + 16, &csum, 2);
	ip_len = ip_build(p.peek, &pair, tcp_len, 0, 0, 0);
	assert_true((size_t)ip_len + tcp_len <= sizeof(p.peek));
	memcpy(p.peek + ip_len, th, tcp_len);
	p.sdu_len = p.n_peek = (uint16_t)((uint32_t)ip_len + tcp_len);
	cs_syn_packet(&cs, &p);
	return p.buf[0];
}

static const struct tcp_seg the_syn = {
	.flags = TH_SYN | TCP_TH_ECE | TCP_TH_CWR, .seq = IRS, .wnd = 1000, .mss = 61464,
	.wscale = 7, .sack_permitted = true, .has_ts = true, .tsval = 4000,
};
static const struct tcp_seg bare_syn = {
	.flags = TH_SYN, .seq = IRS, .wnd = 1000, .mss = 1460, .wscale = 7, .sack_permitted = true,
};

static uint16_t syn_in(uint16_t uucpi)
{
	return packet_in(&the_syn, uucpi, 0);
}

/* The ACK of what was answered. */
static struct tcp_seg ack_of(void)
{
	return (struct tcp_seg){
		.flags = TH_ACK, .seq = IRS + 1, .ack = answered.seq + 1, .wnd = 500,
		.wscale = TCP_WS_NONE, .has_ts = answered.has_ts, .tsval = 4001,
		.tsecr = answered.tsval,
	};
}

static void divert(const struct cm_msg *syn, js_vci_t vci, int err)
{
	struct cm_msg m = {
		.type = CM_DIVERT, .id = syn->id, .vci = vci, .err = err,
		.local = syn->local, .peer = syn->peer,
	};

	if (err == -EAGAIN)
		m.listen = (struct cm_listen){ .rcv_buf = 30000 };
	say(&m);
}

static void assert_left(uint16_t buf, js_vci_t vci)
{
	assert_true(n_left > 0);
	assert_int_equal(left[n_left - 1].buf, buf);
	assert_int_equal(left[n_left - 1].vci, vci);
}

/* The child has no room for the first SYN. */
static void press(uint16_t uucpi)
{
	struct cm_msg m;
	uint16_t b = syn_in(uucpi);

	assert_true(hear(&m));
	assert_int_equal(m.type, CM_SYN);
	assert_int_equal(m.flags, CM_MAY_REFUSE);
	assert_int_equal(n_answers, 0);
	divert(&m, 0, -EAGAIN);
	assert_left(b, 0);
	assert_int_equal(n_answers, 1);
	assert_int_equal(cs.count[CS_SYNCOOKIES_SENT], 1);
}

static void a_full_backlog_answers_with_a_cookie(void **state)
{
	uint32_t iss, ts, first;
	struct cm_msg m;

	(void)state;
	press(0);
	first = answered.seq;
	assert_int_equal(answered.flags, TH_SYN | TH_ACK | TCP_TH_ECE);
	assert_int_equal(answered.ack, IRS + 1);
	assert_int_equal(answered.wnd, 30000);	/* as the Divert has told */
	assert_int_equal(answered.mss, JS_MTU - 40);
	assert_int_equal(answered.wscale, 8);
	assert_true(answered.sack_permitted);
	assert_int_equal(answered.tsecr, 4000);
	secret_numbers(cs.secret, &local, &peer, 0, &iss, &ts);
	assert_in_range((uint32_t)(NOW / 1000) + ts - answered.tsval, 0, 64);
	assert_int_equal(answered_vci, vci_make(1, JS_STREAM_IP));
	assert_int_equal(answered_uucpi, 0);
	assert_memory_equal(answered_pair.src, local.addr, 16);
	assert_memory_equal(answered_pair.dst, peer.addr, 16);
	/* The next second nobody is asked; the same SYN has the same answer. */
	cs.now_us += 999999;
	syn_in(0);
	assert_int_equal(n_answers, 2);
	assert_int_equal(answered.seq, first);
	assert_false(hear(&m));
	peer.port++;
	syn_in(0);
	assert_int_equal(n_answers, 3);
	assert_int_not_equal(answered.seq, first);
	assert_false(hear(&m));
}

static void a_second_later_the_child_is_asked_with_the_same_iss(void **state)
{
	struct cm_msg m;
	uint16_t b;

	(void)state;
	press(0);
	cs.now_us += 1000000;
	b = syn_in(0);
	assert_true(hear(&m));
	assert_int_equal(m.flags, CM_MAY_REFUSE | CM_ISS);
	assert_int_equal(m.n, answered.seq);
	divert(&m, STREAM, 0);
	assert_left(b, STREAM);
	assert_int_equal(n_answers, 1);
	/* Long after: its own ISS. */
	cs.now_us += 2 * TICK;
	peer.port++;
	syn_in(0);
	assert_true(hear(&m));
	assert_int_equal(m.flags, CM_MAY_REFUSE);
}

static void the_ack_makes_the_connection(void **state)
{
	struct tcp_seg ack;
	struct cm_msg m;
	uint16_t b;

	(void)state;
	press(0x8000 | RXVCI);
	assert_int_equal(answered_vci, RXVCI);
	assert_int_equal(answered_uucpi, 0x8000 | DIVERT);
	ack = ack_of();
	b = packet_in(&ack, 0, 0);
	assert_true(hear(&m));
	assert_int_equal(m.type, CM_SYN);
	assert_int_equal(m.sock, 5);
	assert_int_equal(m.flags, CM_ISS | CM_COOKIE);
	assert_int_equal(m.n, answered.seq);
	assert_int_equal(m.rxvci, 0);
	assert_int_equal(m.ring_id, 1);
	assert_int_equal(m.cookie.irs, IRS);
	assert_int_equal(m.cookie.mss, 61464);
	assert_int_equal(m.cookie.wscale, 7);
	assert_int_equal(m.cookie.tsval, 4001);
	assert_int_equal(m.cookie.opts, CM_COOKIE_TS | CM_COOKIE_WS | CM_COOKIE_SACK |
			 CM_COOKIE_ECN | CM_COOKIE_RXVCI);
	divert(&m, STREAM, 0);
	assert_left(b, STREAM);
	assert_int_equal(cs.count[CS_SYNCOOKIES_RECV], 1);
	/* From now on it is a connection like others. */
	b = packet_in(&ack, 0, 0);
	assert_left(b, STREAM);
	assert_false(hear(&m));
}

static void with_ipv6(void **state)
{
	struct tcp_seg ack;
	struct cm_msg m;

	(void)state;
	local = addr("fd00::2", 80);
	peer = addr("fd00::1", 5000);
	press(0);
	assert_int_equal(answered.mss, JS_MTU - 60);
	assert_memory_equal(answered_pair.src, local.addr, 16);
	ack = ack_of();
	packet_in(&ack, 0, 0);
	assert_true(hear(&m));
	assert_int_equal(m.flags, CM_ISS | CM_COOKIE);
	assert_int_equal(m.family, AF_INET6);
	assert_true(cm_addr_equal(&m.peer, &peer));
}

static void without_timestamps_there_are_no_options(void **state)
{
	struct tcp_seg ack;
	struct cm_msg m;

	(void)state;
	press(0);
	peer.port++;
	packet_in(&bare_syn, 0, 0);
	assert_int_equal(n_answers, 2);
	assert_int_equal(answered.wscale, TCP_WS_NONE);
	assert_false(answered.sack_permitted);
	assert_false(answered.has_ts);
	ack = ack_of();
	packet_in(&ack, 0, 0);
	assert_true(hear(&m));
	assert_int_equal(m.cookie.opts, 0);
	assert_int_equal(m.cookie.mss, 1460);
}

static void a_full_accept_queue_drops(void **state)
{
	struct tcp_seg ack;
	struct cm_msg m;
	uint16_t b;

	(void)state;
	press(0);
	ack = ack_of();
	b = packet_in(&ack, 0, 0);
	assert_true(hear(&m));
	divert(&m, 0, -EUSERS);
	assert_left(b, 0);
	assert_int_equal(cs.count[CS_LISTEN_OVERFLOWS], 1);
	/* What the peer sends again is as good. */
	ack.len = 10;
	b = packet_in(&ack, 0, 0);
	assert_true(hear(&m));
	assert_int_equal(m.flags, CM_ISS | CM_COOKIE);
	divert(&m, STREAM, 0);
	assert_left(b, STREAM);
	/* A SYN meets the same: it is dropped, and no cookie is sent. */
	cs.now_us += 1000000;
	peer.port++;
	b = syn_in(0);
	assert_true(hear(&m));
	divert(&m, 0, -EUSERS);
	assert_left(b, 0);
	assert_int_equal(cs.count[CS_LISTEN_OVERFLOWS], 2);
	assert_int_equal(n_answers, 1);
}

static void what_is_no_cookie_goes_to_the_kernel(void **state)
{
	struct tcp_seg ack;
	struct cm_msg m;
	uint16_t b;

	(void)state;
	/* None was sent: nobody looks. */
	ack = (struct tcp_seg){ .flags = TH_ACK, .seq = 1, .ack = 1, .wscale = TCP_WS_NONE };
	b = packet_in(&ack, 0, 0);
	assert_left(b, US);
	press(0);
	ack = ack_of();
	ack.ack += 1u << 28;
	b = packet_in(&ack, 0, 0);
	assert_left(b, US);
	assert_int_equal(cs.count[CS_SYNCOOKIES_FAILED], 1);
	ack = ack_of();
	ack.flags = TH_RST | TH_ACK;
	b = packet_in(&ack, 0, 0);
	assert_left(b, US);
	ack.flags = TH_SYN | TH_ACK;
	b = packet_in(&ack, 0, 0);
	assert_left(b, US);
	assert_int_equal(cs.count[CS_SYNCOOKIES_FAILED], 1);
	ack = ack_of();
	b = packet_in(&ack, 0, 0x100);
	assert_left(b, 0);
	assert_int_equal(cs.count[CS_DROP_CHECKSUM], 1);
	cs.now_us += 2 * TICK + 1;
	b = packet_in(&ack, 0, 0);
	assert_left(b, US);
	assert_int_equal(cs.count[CS_SYNCOOKIES_FAILED], 1);
	assert_false(hear(&m));
}

static void a_corrupt_syn_gets_no_cookie(void **state)
{
	uint16_t b;

	(void)state;
	press(0);
	b = packet_in(&the_syn, 0, 1);
	assert_left(b, 0);
	assert_int_equal(n_answers, 1);
	assert_int_equal(cs.count[CS_DROP_CHECKSUM], 1);
}

/* Data that comes right behind the ACK does not wait for a retransmission. */
static void data_takes_the_place_of_the_ack(void **state)
{
	struct tcp_seg ack;
	uint16_t data, later;
	struct cm_msg m;

	(void)state;
	press(0);
	ack = ack_of();
	packet_in(&ack, 0, 0);
	ack.len = 20;
	data = packet_in(&ack, 0, 0);
	ack.seq += 20;
	later = packet_in(&ack, 0, 0);
	assert_left(later, 0);
	assert_true(hear(&m));
	divert(&m, STREAM, 0);
	assert_left(data, STREAM);
	assert_false(hear(&m));
}

static void never_and_always(void **state)
{
	struct cm_msg m;
	uint16_t b;

	(void)state;
	mode = 0;
	b = syn_in(0);
	assert_true(hear(&m));
	assert_int_equal(m.flags, 0);
	divert(&m, 0, -EAGAIN);
	assert_left(b, 0);
	assert_int_equal(cs.count[CS_DROP_REFUSED], 1);
	assert_int_equal(n_answers, 0);
	/* The setting is looked at again after a second. */
	mode = 2;
	cs.now_us += 1000000;
	syn_in(0);
	assert_false(hear(&m));
	assert_int_equal(n_answers, 1);
	assert_int_equal(answered.wnd, 30000);
}

/* Nobody reads: what would wait for the child is answered. */
static void a_slow_child_does_not_fill_the_table(void **state)
{
	struct cm_msg m;
	int asked = 0;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		peer.port++;
		syn_in(0);
		n_left = 0;
	}
	while (hear(&m))
		asked++;
	assert_in_range(asked, 1, 100);
	assert_int_equal(asked + n_answers, 1000);
	assert_int_equal(cs.count[CS_DROP_PENDING_FULL], 0);
}

int main(void)
{
#define NUMBERS(f)	cmocka_unit_test_setup_teardown(f, numbers_setup, numbers_teardown)
#define SERVER(f)	cmocka_unit_test_setup_teardown(f, server_setup, server_teardown)
	const struct CMUnitTest tests[] = {
		NUMBERS(mss_and_rxvci_come_back),
		NUMBERS(it_is_good_for_one_to_two_ticks),
		NUMBERS(of_another_connection_it_is_none),
		NUMBERS(who_guesses_finds_none),
		NUMBERS(a_child_that_is_forked_has_no_keys),
		NUMBERS(options_are_in_the_timestamp),
		SERVER(a_full_backlog_answers_with_a_cookie),
		SERVER(a_second_later_the_child_is_asked_with_the_same_iss),
		SERVER(the_ack_makes_the_connection),
		SERVER(with_ipv6),
		SERVER(without_timestamps_there_are_no_options),
		SERVER(a_full_accept_queue_drops),
		SERVER(what_is_no_cookie_goes_to_the_kernel),
		SERVER(a_corrupt_syn_gets_no_cookie),
		SERVER(data_takes_the_place_of_the_ack),
		SERVER(never_and_always),
		SERVER(a_slow_child_does_not_fill_the_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
