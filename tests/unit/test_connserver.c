/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_connserver.c - the connection server between fakes
 *
 * The server's own parts run as in jetconnd.  A child is the other end of a
 * socketpair; port and kernel are fakes behind cs_sink and cs_net: packets
 * that leave are a list, a neighbour is known when the test says so.
 *
 *	         n2, Ring ID 2: us           10.74.0.2
 *	peers:   n1, Ring ID 1, 10.74.0.1    n3 not resolved yet, 10.74.0.3
 *	         10.74.0.9 nobody
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
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "abi/shmseg.h"
#include "common/util.h"
#include "connserver/children.h"
#include "connserver/icmp.h"
#include "connserver/resolve.h"
#include "connserver/spawn.h"
#include "connserver/syn.h"
#include "stack/engine/tcp.h"
#include "stack/shm/cm.h"

#define US	vci_make(2, JS_STREAM_IP)	/* our kernel */
#define STREAM	vci_make(2, 40)			/* one of a child's */
#define RXVCI	vci_make(1, 50)			/* one of the peer's */

/* --- fakes ---------------------------------------------------------------- */

struct sent {
	js_vci_t vci;		/* 0: dropped */
	uint16_t uucpi;
	uint16_t buf;		/* the first: says which packet it was */
};

static struct cs_server cs;
static struct sent sent[512];
static int n_sent, n_seen;
static bool n3_known, queue_full;
static struct cs_child *child, *other;
static int child_fd, other_fd;
static uint16_t next_buf;

static struct cm_addr addr(const char *host, uint16_t port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct cm_addr a;

	assert_int_equal(inet_pton(AF_INET, host, &sin.sin_addr), 1);
	cm_addr_from_sa(&a, (struct sockaddr *)&sin, sizeof(sin));
	return a;
}

static bool fake_send(struct cs_server *server, const struct cs_packet *p, js_vci_t vci)
{
	if (queue_full) {
		cs_count(server, CS_DROP_QUEUE_FULL);
		return false;
	}
	assert_true(n_sent < (int)ARRAY_SIZE(sent));
	sent[n_sent++] = (struct sent){ vci, p->uucpi, p->buf[0] };
	return true;
}

static void fake_drop(struct cs_server *server, const struct cs_packet *p)
{
	(void)server;
	assert_true(n_sent < (int)ARRAY_SIZE(sent));
	sent[n_sent++] = (struct sent){ 0, p->uucpi, p->buf[0] };
}

static int fake_ring_id(struct cs_server *server, const struct cm_addr *peer, bool ask,
			unsigned int *ring_id, struct cm_addr *local)
{
	(void)ask;
	*local = server->cfg.addr;
	switch (peer->addr[15]) {
	case 1:
	case 2:
		*ring_id = peer->addr[15];
		return 0;
	case 3:
		*ring_id = 3;
		return n3_known ? 0 : -EAGAIN;
	default:
		return -EHOSTUNREACH;
	}
}

static bool fake_is_local(struct cs_server *server, const struct cm_addr *a)
{
	return cm_addr_same_host(a, &server->cfg.addr);
}

static const struct cs_sink fake_sink = { .send = fake_send, .drop = fake_drop };
static int fake_syncookies(struct cs_server *server)
{
	(void)server;
	return 0;
}

static const struct cs_net fake_net = { fake_ring_id, fake_is_local, fake_syncookies };

static int fake_child_main(const struct child_args *args)
{
	const struct cm_msg m = { .type = CM_INIT_REPLY, .id = args->spawn_id, .n = args->user_uid };

	/* user_fd, and nothing above it: then we were told the truth. */
	return cm_send(args->user_fd, &m, NULL, 0) || fcntl(args->user_fd + 1, F_GETFD) >= 0;
}

/* --- ICMP ------------------------------------------------------------------ */

/* "Fragmentation needed" about a segment of ours to 10.74.0.1, port 9; with its
 * IP header.  Octets. */
static size_t make_icmp(uint8_t pkt[56], uint16_t sport, uint8_t type)
{
	const uint8_t ip[20] = { 0x45, 0, 0, 60, 0, 0, 0x40, 0, 64, 6, 0, 0,
				 10, 74, 0, 2, 10, 74, 0, 1 };
	const uint8_t tcp[8] = { (uint8_t)(sport >> 8), (uint8_t)sport, 0, 9, 1, 2, 3, 4 };
	uint16_t csum;

	memset(pkt, 0, 56);
	pkt[0] = 0x45;
	pkt[20] = type;
	pkt[21] = 4;
	pkt[26] = 1500 >> 8;
	pkt[27] = 1500 & 0xff;
	memcpy(pkt + 28, ip, 20);
	memcpy(pkt + 48, tcp, 8);
	csum = ip_csum_fold(ip_csum_add(0, pkt + 20, 36));
	memcpy(pkt + 22, &csum, 2);
	return 56;
}

/* --- the harness ---------------------------------------------------------- */

static struct cs_child *child_new(int *fd)
{
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv), 0);
	*fd = sv[1];
	return cs_child_new(&cs, sv[0], getpid(), -1);
}

static int memfd(size_t size, unsigned int seals)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	if (seals)
		assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

#define STACK_SIZE	sizeof(struct js_stack)

static int stack_memfd(void)
{
	const struct js_stack_hdr hdr = {
		.magic = JS_STACK_MAGIC, .version = JS_STACK_VERSION, .size = STACK_SIZE,
		.n_socks = JS_N_SOCKS, .sock_off = offsetof(struct js_stack, sock),
	};
	int fd = memfd(STACK_SIZE, F_SEAL_SHRINK | F_SEAL_GROW);

	assert_int_equal(pwrite(fd, &hdr, sizeof(hdr), 0), sizeof(hdr));
	return fd;
}

/* A child says something; the server hears it. */
static void say(int fd, const struct cm_msg *m, int with)
{
	assert_int_equal(cm_send(fd, m, &with, with >= 0), 0);
	cs_children_poll(&cs);
}

/* What a child hears next: 1 or -EAGAIN, 0 the end. */
static int hear(int fd, struct cm_msg *m)
{
	return cm_recv(fd, m, NULL, 0, NULL, NULL, MSG_DONTWAIT);
}

static void hello(int fd)
{
	const struct cm_msg m = { .type = CM_HELLO, .uid = 1000 };
	int stack = stack_memfd();

	say(fd, &m, stack);
	close(stack);
}

static int setup(void **state)
{
	struct cs_config cfg = {
		.lab = "test", .node = 2, .addr = addr("10.74.0.2", 0),
		.port_sock = "/nowhere/n2.sock", .run_dir = "/nowhere",
		.child_main = fake_child_main,
	};

	(void)state;
	assert_int_equal(cs_init(&cs, &cfg), 0);
	cs.sink = &fake_sink;
	cs.net = &fake_net;
	cs.ring_id = 2;
	cs.now_us = 1000000;
	n_sent = n_seen = 0;
	n3_known = queue_full = false;
	next_buf = 0;
	child = child_new(&child_fd);
	other = child_new(&other_fd);
	hello(child_fd);
	hello(other_fd);
	assert_int_equal(cs.count[CS_MSG_NO_FD], 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	cs_fini(&cs);
	close(child_fd);
	close(other_fd);
	return 0;
}

/* A TCP packet from @src to @dst; returns its mark. */
static uint16_t packet_in(struct cm_addr src, struct cm_addr dst, uint8_t flags, uint16_t uucpi)
{
	const struct tcp_seg seg = {
		.sport = src.port, .dport = dst.port, .flags = flags, .seq = 1, .wnd = 1000,
		.wscale = TCP_WS_NONE,
	};
	struct cs_packet p = { .uucpi = uucpi, .n_buf = 1, .buf = { next_buf++ } };
	struct ip_pair pair;
	int hlen, tlen;

	memcpy(pair.src, src.addr, 16);
	memcpy(pair.dst, dst.addr, 16);
	tlen = tcp_seg_build(&seg, p.peek + 20);
	hlen = ip_build(p.peek, &pair, (uint32_t)tlen, 0, 0, 0);
	assert_int_equal(hlen, 20);
	p.sdu_len = p.n_peek = (uint16_t)(hlen + tlen);
	if (cm_addr_same_host(&src, &cs.cfg.addr))
		p.flags = JS_RX_LOCAL;
	cs_syn_packet(&cs, &p);
	return p.buf[0];
}

/* Next that left: packet @buf to @vci; 0 dropped. */
static void assert_left(uint16_t buf, js_vci_t vci)
{
	assert_true(n_seen < n_sent);
	assert_int_equal(sent[n_seen].buf, buf);
	assert_int_equal(sent[n_seen].vci, vci);
	n_seen++;
}

static void assert_nothing_left(void)
{
	assert_int_equal(n_seen, n_sent);
}

static void listen_on(int fd, struct cm_addr local, uint32_t sock)
{
	const struct cm_msg m = { .type = CM_LISTEN, .on = 1, .local = local, .sock = sock, .gen = 1 };

	say(fd, &m, -1);
}

static void forward(int fd, struct cm_addr local, struct cm_addr peer, js_vci_t vci, bool on)
{
	const struct cm_msg m = {
		.type = CM_FORWARD, .id = 77, .on = on, .local = local, .peer = peer, .vci = vci,
	};

	say(fd, &m, -1);
}

/* The child answers a Syn. */
static void divert(int fd, const struct cm_msg *syn, js_vci_t vci, int err)
{
	const struct cm_msg m = {
		.type = CM_DIVERT, .id = syn->id, .vci = vci, .err = err,
		.local = syn->local, .peer = syn->peer,
	};

	say(fd, &m, -1);
}

/* --- the kernel's packets ------------------------------------------------- */

static void unclaimed_goes_to_kernel(void **state)
{
	uint16_t b;

	(void)state;
	b = packet_in(addr("10.74.0.1", 5000), addr("10.74.0.2", 80), TH_SYN, 0);
	assert_left(b, US);
	b = packet_in(addr("10.74.0.1", 5000), addr("10.74.0.2", 80), TH_ACK, 0);
	assert_left(b, US);
	assert_nothing_left();
	assert_int_equal(cs.count[CS_TO_KERNEL], 2);
}

/* What cannot be read is the kernel's to complain about. */
static void malformed_goes_to_kernel(void **state)
{
	struct cs_packet p = { .n_buf = 1, .buf = { 9 } };
	unsigned int i;

	(void)state;
	listen_on(child_fd, addr("0.0.0.0", 80), 5);
	for (i = 0; i <= CS_PEEK; i++) {
		memset(p.peek, i & 1 ? 0x45 : 0xff, sizeof(p.peek));
		p.sdu_len = p.n_peek = (uint16_t)i;
		cs_syn_packet(&cs, &p);
		assert_left(9, US);
	}
	p.sdu_len = 65000;
	cs_syn_packet(&cs, &p);
	assert_left(9, US);
}

/* --- listeners and SYNs --------------------------------------------------- */

static void syn_asks_child_and_follows_divert(void **state)
{
	struct cm_addr src = addr("10.74.0.1", 5000), dst = addr("10.74.0.2", 80);
	struct cm_msg syn;
	uint16_t b;

	(void)state;
	listen_on(child_fd, addr("0.0.0.0", 80), 5);
	b = packet_in(src, dst, TH_SYN, 0x8000 | RXVCI);
	assert_nothing_left();
	assert_int_equal(hear(child_fd, &syn), 1);
	assert_int_equal(syn.type, CM_SYN);
	assert_int_equal(syn.sock, 5);
	assert_int_equal(syn.gen, 1);
	assert_int_equal(syn.rxvci, RXVCI);
	assert_int_equal(syn.ring_id, 1);
	assert_true(cm_addr_equal(&syn.peer, &src));
	assert_true(cm_addr_equal(&syn.local, &dst));

	divert(child_fd, &syn, STREAM, 0);
	assert_left(b, STREAM);
	assert_int_equal(sent[0].uucpi, 0x8000 | RXVCI);	/* preserved */

	/* What follows, also that SYN again, goes the same way. */
	b = packet_in(src, dst, TH_ACK, 0);
	assert_left(b, STREAM);
	b = packet_in(src, dst, TH_SYN, 0x8000 | RXVCI);
	assert_left(b, STREAM);
	assert_int_equal(hear(child_fd, &syn), -EAGAIN);

	/* The answer counts once. */
	divert(child_fd, &syn, STREAM, 0);
	assert_int_equal(cs.count[CS_MSG_STALE], 1);
	assert_nothing_left();
}

static void kernel_connector_has_no_rxvci(void **state)
{
	struct cm_msg syn;

	(void)state;
	listen_on(child_fd, addr("10.74.0.2", 80), 5);
	packet_in(addr("10.74.0.1", 5000), addr("10.74.0.2", 80), TH_SYN, 0);
	assert_int_equal(hear(child_fd, &syn), 1);
	assert_int_equal(syn.rxvci, 0);
	assert_int_equal(syn.ring_id, 1);
}

static void only_a_bare_syn_opens(void **state)
{
	static const uint8_t flags[] = {
		TH_SYN | TH_ACK, TH_SYN | TH_RST, TH_SYN | TH_FIN, TH_ACK, TH_FIN, TH_RST, 0,
	};
	struct cm_msg m;
	uint16_t b;
	size_t i;

	(void)state;
	listen_on(child_fd, addr("0.0.0.0", 80), 5);
	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		b = packet_in(addr("10.74.0.1", 5000), addr("10.74.0.2", 80), flags[i], 0);
		assert_left(b, US);
	}
	assert_int_equal(hear(child_fd, &m), -EAGAIN);
}

static void syn_for_another_host_is_not_ours(void **state)
{
	uint16_t b;

	(void)state;
	listen_on(child_fd, addr("0.0.0.0", 80), 5);
	b = packet_in(addr("10.74.0.1", 5000), addr("10.74.0.77", 80), TH_SYN, 0);
	assert_left(b, US);
}

static void refused_goes_to_kernel_others_are_dropped(void **state)
{
	struct cm_msg syn;
	uint16_t b;

	(void)state;
	listen_on(child_fd, addr("0.0.0.0", 80), 5);
	b = packet_in(addr("10.74.0.1", 5000), addr("10.74.0.2", 80), TH_SYN, 0);
	assert_int_equal(hear(child_fd, &syn), 1);
	divert(child_fd, &syn, 0, -ECONNREFUSED);
	assert_left(b, US);
	b = packet_in(addr("10.74.0.1", 5000), addr("10.74.0.2", 80), TH_SYN, 0);
	assert_int_equal(hear(child_fd, &syn), 1);
	divert(child_fd, &syn, 0, -ENOBUFS);
	assert_left(b, 0);
	assert_int_equal(cs.count[CS_DROP_REFUSED], 1);
}

/* An RxVCI must be the sender's own, and one that pools can have. */
static void false_rxvci_is_dropped(void **state)
{
	static const uint16_t bad[] = {
		0x8000 | (3 << 10 | 50),		/* of another station */
		0x8000 | (2 << 10 | 50),		/* ours */
		0x8000 | JS_VCI_MCAST | (1 << 10 | 50),
		0x8000 | (1 << 10 | JS_STREAM_IP),	/* the kernel's */
		0x8000 | (1 << 10 | 31),
		1 << 10 | 50,				/* without the mark */
	};
	struct cm_msg m;
	uint16_t b;
	size_t i;

	(void)state;
	listen_on(child_fd, addr("0.0.0.0", 80), 5);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		b = packet_in(addr("10.74.0.1", 5000), addr("10.74.0.2", 80), TH_SYN, bad[i]);
		assert_left(b, 0);
	}
	assert_int_equal(cs.count[CS_DROP_BAD_RXVCI], ARRAY_SIZE(bad));
	assert_int_equal(hear(child_fd, &m), -EAGAIN);
}

static void own_address_from_elsewhere_is_dropped(void **state)
{
	struct cm_addr us = addr("10.74.0.2", 5000), dst = addr("10.74.0.2", 80);
	struct cs_packet p = { .n_buf = 1, .buf = { 40 } };
	struct cm_msg m;
	uint16_t b;

	(void)state;
	listen_on(child_fd, addr("0.0.0.0", 80), 5);
	b = packet_in(us, dst, TH_SYN, 0x8000 | STREAM);	/* local: one of our children */
	assert_int_equal(hear(child_fd, &m), 1);
	assert_int_equal(m.ring_id, 2);
	divert(child_fd, &m, STREAM + 1, 0);
	assert_left(b, STREAM + 1);
	/* The same from the ring, another port. */
	p.n_peek = 40;
	p.sdu_len = 40;
	memcpy(p.peek, (uint8_t[]){ 0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0,
				    10, 74, 0, 2, 10, 74, 0, 2,
				    0x22, 0x22, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0,
				    0x50, TH_SYN, 4, 0, 0, 0, 0, 0 }, 40);
	{
		uint16_t sum = ip_csum_fold(ip_csum_add(0, p.peek, 20));

		memcpy(p.peek + 10, &sum, 2);
	}
	cs_syn_packet(&cs, &p);
	assert_left(40, 0);
	assert_int_equal(cs.count[CS_DROP_MARTIAN], 1);
}

static void neighbour_is_waited_for(void **state)
{
	struct cm_msg syn;
	uint16_t b, b2;

	(void)state;
	listen_on(child_fd, addr("0.0.0.0", 80), 5);
	b = packet_in(addr("10.74.0.3", 5000), addr("10.74.0.2", 80), TH_SYN, 0);
	assert_int_equal(hear(child_fd, &syn), -EAGAIN);
	assert_nothing_left();
	/* Sent again meanwhile: the newer one counts. */
	b2 = packet_in(addr("10.74.0.3", 5000), addr("10.74.0.2", 80), TH_SYN, 0);
	assert_left(b, 0);
	n3_known = true;
	cs_syn_retry(&cs);
	assert_int_equal(hear(child_fd, &syn), 1);
	assert_int_equal(syn.ring_id, 3);
	divert(child_fd, &syn, STREAM, 0);
	assert_left(b2, STREAM);

	b = packet_in(addr("10.74.0.9", 5000), addr("10.74.0.2", 80), TH_SYN, 0);
	assert_left(b, 0);
	assert_int_equal(cs.count[CS_DROP_NO_NEIGHBOUR], 1);
}

static void unanswered_syn_expires(void **state)
{
	struct cm_msg syn;
	uint16_t b;

	(void)state;
	listen_on(child_fd, addr("0.0.0.0", 80), 5);
	b = packet_in(addr("10.74.0.1", 5000), addr("10.74.0.2", 80), TH_SYN, 0);
	assert_int_equal(cs_syn_deadline(&cs), cs.now_us + 3000000);
	cs.now_us += 2999999;
	cs_timers(&cs);
	assert_nothing_left();
	cs.now_us += 1;
	cs_timers(&cs);
	assert_left(b, 0);
	assert_int_equal(cs.count[CS_DROP_EXPIRED], 1);
	assert_int_equal(cs_syn_deadline(&cs), UINT64_MAX);
	/* Too late. */
	assert_int_equal(hear(child_fd, &syn), 1);
	divert(child_fd, &syn, STREAM, 0);
	assert_int_equal(cs.count[CS_MSG_STALE], 1);
}

static void syn_again_replaces_or_is_dropped(void **state)
{
	struct cm_addr src = addr("10.74.0.1", 5000), dst = addr("10.74.0.2", 80);
	struct cm_msg syn;
	uint16_t b1, b2, b3;

	(void)state;
	listen_on(child_fd, addr("0.0.0.0", 80), 5);
	b1 = packet_in(src, dst, TH_SYN, 0x8000 | RXVCI);
	b2 = packet_in(src, dst, TH_SYN, 0x8000 | RXVCI);
	assert_left(b1, 0);
	b3 = packet_in(src, dst, TH_SYN, 0x8000 | (RXVCI + 1));	/* was not announced to the child */
	assert_left(b3, 0);
	assert_int_equal(cs.count[CS_DROP_CHANGED], 1);
	assert_int_equal(hear(child_fd, &syn), 1);
	divert(child_fd, &syn, STREAM, 0);
	assert_left(b2, STREAM);
	assert_int_equal(hear(child_fd, &syn), -EAGAIN);
}

static void pending_is_bounded(void **state)
{
	unsigned int i;

	(void)state;
	listen_on(child_fd, addr("0.0.0.0", 80), 5);
	/* More than there can be, also of messages: the child reads none. */
	for (i = 0; i < 300; i++) {
		packet_in(addr("10.74.0.1", (uint16_t)(1000 + i)), addr("10.74.0.2", 80), TH_SYN, 0);
		n_sent = 0;
	}
	assert_true(cs.count[CS_DROP_PENDING_FULL] + cs.count[CS_DROP_CHILD_FULL] >= 300 - 256);
	cs.now_us += 3000000;
	cs_timers(&cs);
	assert_int_equal(cs_syn_deadline(&cs), UINT64_MAX);
}

static void divert_is_checked(void **state)
{
	static const js_vci_t bad[] = {
		0, 1 << 10 | 40, 2 << 10 | JS_STREAM_IP, 2 << 10 | 31, JS_VCI_MCAST | 2 << 10 | 40,
		0x8000 | 2 << 10 | 40,
	};
	struct cm_addr src = addr("10.74.0.1", 5000), dst = addr("10.74.0.2", 80);
	struct cm_msg syn;
	uint16_t b;
	size_t i;

	(void)state;
	listen_on(child_fd, addr("0.0.0.0", 80), 5);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		b = packet_in(src, dst, TH_SYN, 0);
		assert_int_equal(hear(child_fd, &syn), 1);
		divert(child_fd, &syn, bad[i], 0);
		assert_left(b, 0);
	}
	/* Another connection than was asked for. */
	b = packet_in(src, dst, TH_SYN, 0);
	assert_int_equal(hear(child_fd, &syn), 1);
	syn.peer.port++;
	divert(child_fd, &syn, STREAM, 0);
	assert_left(b, 0);
	/* Another child than was asked; then the right one. */
	b = packet_in(src, dst, TH_SYN, 0);
	assert_int_equal(hear(child_fd, &syn), 1);
	divert(other_fd, &syn, STREAM, 0);
	assert_nothing_left();
	divert(child_fd, &syn, STREAM, 0);
	assert_left(b, STREAM);
	assert_int_equal(cs.count[CS_DROP_BAD_DIVERT], ARRAY_SIZE(bad) + 1);
}

static void full_queue_drops(void **state)
{
	(void)state;
	queue_full = true;
	packet_in(addr("10.74.0.1", 5000), addr("10.74.0.2", 80), TH_ACK, 0);
	assert_int_equal(cs.count[CS_DROP_QUEUE_FULL], 1);
	assert_int_equal(cs.count[CS_TO_KERNEL], 0);
}

/* --- tables --------------------------------------------------------------- */

/* Told to the child whose segment it quotes, and to nobody else; bounded. */
static void icmp_is_told_to_whom_it_concerns(void **state)
{
	struct cm_addr local = addr("10.74.0.2", 80), peer = addr("10.74.0.1", 9);
	struct cm_msg m;
	uint8_t pkt[56];
	size_t len;
	int i, n;

	(void)state;
	forward(child_fd, local, peer, STREAM, true);
	cs_children_poll(&cs);
	len = make_icmp(pkt, 80, 3);
	cs_icmp_packet(&cs, pkt, len, false);
	assert_int_equal(hear(child_fd, &m), 1);
	assert_int_equal(m.type, CM_ICMP);
	assert_true(cm_addr_equal(&m.local, &local) && cm_addr_equal(&m.peer, &peer));
	assert_int_equal(m.icmp.seq, 0x01020304);
	assert_int_equal(m.icmp.mtu, 1500);
	assert_int_equal(m.icmp.is_too_big, 1);
	assert_true(hear(other_fd, &m) <= 0);
	/* Another port; not an error; cut, of an impossible header length, broken */
	len = make_icmp(pkt, 81, 3);
	cs_icmp_packet(&cs, pkt, len, false);
	len = make_icmp(pkt, 80, 4);
	cs_icmp_packet(&cs, pkt, len, false);
	assert_int_equal(cs.count[CS_ICMP_NOT_OURS], 2);
	len = make_icmp(pkt, 80, 3);
	cs_icmp_packet(&cs, pkt, len - 1, false);
	cs_icmp_packet(&cs, pkt, 0, false);
	cs_icmp_packet(&cs, pkt, 10, false);
	pkt[50] ^= 1;
	cs_icmp_packet(&cs, pkt, len, false);
	assert_int_equal(cs.count[CS_ICMP_BAD], 4);
	assert_true(hear(child_fd, &m) <= 0);
	/* So many in a moment, and then one each millisecond */
	len = make_icmp(pkt, 80, 3);
	for (i = 0; i < 1000; i++) {
		cs_icmp_packet(&cs, pkt, len, false);
		while (hear(child_fd, &m) > 0)
			;
	}
	n = (int)cs.count[CS_ICMP_TOLD];
	assert_in_range(n, 90, 110);
	assert_int_equal(cs.count[CS_ICMP_TOO_MANY], 1001 - n);
	cs.now_us += 5000;
	for (i = 0; i < 10; i++)
		cs_icmp_packet(&cs, pkt, len, false);
	assert_int_equal(cs.count[CS_ICMP_TOLD], n + 5);
}

static void exact_listener_comes_first(void **state)
{
	struct cm_addr dst = addr("10.74.0.2", 80), any6 = { .port = 80 };
	struct cm_addr peer = addr("10.74.0.1", 5000);
	struct cs_listener *l;

	(void)state;
	listen_on(child_fd, any6, 1);
	l = cs_ports_listener(cs.ports, &dst, &peer);
	assert_int_equal(l->sock, 1);
	listen_on(child_fd, addr("0.0.0.0", 80), 2);
	l = cs_ports_listener(cs.ports, &dst, &peer);
	assert_int_equal(l->sock, 2);
	listen_on(child_fd, dst, 3);
	l = cs_ports_listener(cs.ports, &dst, &peer);
	assert_int_equal(l->sock, 3);
	dst.port = 81;
	assert_null(cs_ports_listener(cs.ports, &dst, &peer));
}

static void listen_with(int fd, struct cm_addr local, uint32_t sock, uint32_t flags)
{
	const struct cm_msg m = { .type = CM_LISTEN, .on = 1, .local = local, .sock = sock,
				  .gen = 1, .flags = flags };

	say(fd, &m, -1);
}

static void v6only_takes_no_ipv4(void **state)
{
	struct cm_addr any6 = { .port = 80 }, v6 = { .addr = { 0xfd, [15] = 2 }, .port = 80 };
	struct cm_addr v4 = addr("10.74.0.2", 80), peer = addr("10.74.0.1", 5000);

	(void)state;
	listen_with(child_fd, any6, 1, CM_LS_V6ONLY);
	assert_null(cs_ports_listener(cs.ports, &v4, &peer));
	assert_int_equal(cs_ports_listener(cs.ports, &v6, &peer)->sock, 1);
	listen_with(other_fd, addr("0.0.0.0", 80), 2, 0);
	assert_int_equal(cs_ports_listener(cs.ports, &v4, &peer)->sock, 2);
	assert_int_equal(cs_ports_listener(cs.ports, &v6, &peer)->sock, 1);
}

/* SO_REUSEPORT: who shares a port shares its connections; each pair is always
 * the same one's. */
static void reuseport_shares(void **state)
{
	struct cm_addr at = addr("0.0.0.0", 80), dst = addr("10.74.0.2", 80);
	const struct cm_msg gone = { .type = CM_LISTEN, .local = at, .sock = 2, .gen = 1 };
	int n[4] = { 0 };

	(void)state;
	listen_with(child_fd, at, 1, CM_LS_REUSEPORT);
	listen_with(child_fd, at, 2, CM_LS_REUSEPORT);
	listen_with(other_fd, at, 3, CM_LS_REUSEPORT);
	/* Who does not say so is refused. */
	listen_with(other_fd, at, 9, 0);
	assert_int_equal(cs.count[CS_MSG_IN_USE], 1);
	for (uint16_t port = 1; port <= 300; port++) {
		struct cm_addr peer = addr("10.74.0.1", port);
		struct cs_listener *l = cs_ports_listener(cs.ports, &dst, &peer);

		assert_ptr_equal(l, cs_ports_listener(cs.ports, &dst, &peer));
		assert_in_range(l->sock, 1, 3);
		n[l->sock]++;
	}
	for (int i = 1; i <= 3; i++)
		assert_in_range(n[i], 50, 150);
	say(child_fd, &gone, -1);
	for (uint16_t port = 1; port <= 100; port++) {
		struct cm_addr peer = addr("10.74.0.1", port);

		assert_int_not_equal(cs_ports_listener(cs.ports, &dst, &peer)->sock, 2);
	}
}

static void listen_is_checked(void **state)
{
	struct cm_msg m = {
		.type = CM_LISTEN, .id = 9, .on = 1, .local = addr("0.0.0.0", 80), .sock = 5, .gen = 1,
	};
	struct cm_msg reply;

	(void)state;
	say(child_fd, &m, -1);
	assert_int_equal(hear(child_fd, &reply), -EAGAIN);	/* good: no answer */
	say(other_fd, &m, -1);
	assert_int_equal(hear(other_fd, &reply), 1);
	assert_int_equal(reply.type, CM_GENERAL_REPLY);
	assert_int_equal(reply.id, 9);
	assert_int_equal(reply.err, -EADDRINUSE);
	assert_int_equal(cs.count[CS_MSG_IN_USE], 1);
	m.on = 0;						/* nor may it close it */
	say(other_fd, &m, -1);
	assert_int_equal(hear(other_fd, &reply), 1);
	assert_int_equal(reply.err, -ENOENT);
	m.gen = 2;						/* an earlier use of the socket */
	say(child_fd, &m, -1);
	assert_int_equal(hear(child_fd, &reply), 1);
	assert_int_equal(reply.err, -ENOENT);
	m.on = 1;
	m.sock = JS_N_SOCKS;
	say(child_fd, &m, -1);
	assert_int_equal(hear(child_fd, &reply), 1);
	assert_int_equal(reply.err, -EINVAL);
	m.sock = 5;
	m.local = addr("10.74.0.1", 80);			/* not this node's */
	say(child_fd, &m, -1);
	assert_int_equal(hear(child_fd, &reply), 1);
	assert_int_equal(reply.err, -EADDRNOTAVAIL);
}

static void forward_is_exclusive_and_checked(void **state)
{
	struct cm_addr us = addr("10.74.0.2", 4000), peer = addr("10.74.0.1", 80);
	struct cm_msg reply;
	uint16_t b;

	(void)state;
	forward(child_fd, us, peer, STREAM, true);
	b = packet_in(peer, us, TH_SYN | TH_ACK, 0x8000 | RXVCI);
	assert_left(b, STREAM);
	forward(other_fd, us, peer, STREAM + 1, true);
	assert_int_equal(hear(other_fd, &reply), 1);
	assert_int_equal(reply.err, -EADDRINUSE);
	forward(other_fd, us, peer, 0, false);
	assert_int_equal(hear(other_fd, &reply), 1);
	assert_int_equal(reply.err, -ENOENT);
	forward(child_fd, us, peer, vci_make(1, 40), true);	/* not our node's stream */
	assert_int_equal(hear(child_fd, &reply), 1);
	assert_int_equal(reply.err, -EINVAL);
	b = packet_in(peer, us, TH_ACK, 0);
	assert_left(b, STREAM);					/* nothing of this had effect */
	forward(child_fd, us, peer, STREAM + 2, true);		/* a private stream, later */
	b = packet_in(peer, us, TH_ACK, 0);
	assert_left(b, STREAM + 2);
	forward(child_fd, us, peer, 0, false);
	b = packet_in(peer, us, TH_ACK, 0);
	assert_left(b, US);
	assert_int_equal(hear(child_fd, &reply), -EAGAIN);
}

static void claims_are_bounded(void **state)
{
	struct cm_addr us = addr("10.74.0.2", 4000);
	struct cm_msg reply;
	unsigned int i;

	(void)state;
	for (i = 0; i < 2 * JS_N_SOCKS; i++)
		forward(child_fd, us, addr("10.74.0.1", (uint16_t)(i + 1)), STREAM, true);
	assert_int_equal(hear(child_fd, &reply), -EAGAIN);
	forward(child_fd, us, addr("10.74.0.1", (uint16_t)(i + 1)), STREAM, true);
	assert_int_equal(hear(child_fd, &reply), 1);
	assert_int_equal(reply.err, -ENOSPC);
	forward(other_fd, us, addr("10.74.0.1", (uint16_t)(i + 1)), STREAM, true);
	assert_int_equal(hear(other_fd, &reply), -EAGAIN);
}

/* --- children ------------------------------------------------------------- */

static void hangup_drops_claims(void **state)
{
	struct cm_addr us = addr("10.74.0.2", 80), peer = addr("10.74.0.1", 5000);
	uint16_t asked, b;

	(void)state;
	listen_on(child_fd, us, 5);
	forward(child_fd, us, addr("10.74.0.1", 6000), STREAM, true);
	asked = packet_in(peer, us, TH_SYN, 0);
	close(child_fd);
	cs_children_poll(&cs);
	assert_left(asked, 0);
	assert_int_equal(cs.count[CS_DROP_CHILD_GONE], 1);
	b = packet_in(peer, us, TH_SYN, 0);
	assert_left(b, US);
	b = packet_in(addr("10.74.0.1", 6000), us, TH_ACK, 0);
	assert_left(b, US);
	child_fd = dup(other_fd);
}

/* What it said before it hung up has been heard. */
static void messages_before_hangup_count(void **state)
{
	const struct cm_msg m = { .type = CM_PING };

	(void)state;
	assert_int_equal(cm_send(child_fd, &m, NULL, 0), 0);
	close(child_fd);
	cs_children_poll(&cs);
	assert_int_equal(cs.count[CS_MSG_UNEXPECTED], 1);
	child_fd = dup(other_fd);
}

static void hello_first_and_once(void **state)
{
	const struct cm_msg m = {
		.type = CM_LISTEN, .on = 1, .local = addr("0.0.0.0", 80), .sock = 5, .gen = 1,
	};
	int fd;

	(void)state;
	child_new(&fd);
	say(fd, &m, -1);
	assert_int_equal(cs.count[CS_MSG_UNEXPECTED], 1);
	assert_null(cs_ports_listener(cs.ports, &m.local, &m.local));
	hello(fd);
	hello(fd);
	assert_int_equal(cs.count[CS_MSG_UNEXPECTED], 2);
	say(fd, &m, -1);
	assert_non_null(cs_ports_listener(cs.ports, &m.local, &m.local));
	close(fd);
}

/* Every type that is not a child's, and garbage: counted, without effect. */
static void nonsense_has_no_effect(void **state)
{
	char garbage[sizeof(struct cm_msg)];
	struct cm_msg m = { .n = 16 }, reply;
	int n = 0;

	(void)state;
	for (m.type = 1; m.type < CM_N_TYPES; m.type++) {
		if (m.type == CM_LISTEN || m.type == CM_FORWARD || m.type == CM_DIVERT ||
		    m.type == CM_BIND_POINT || m.type == CM_RESOLVE || m.type == CM_TIME_WAIT ||
		    m.type == CM_FASTOPEN)
			continue;
		say(child_fd, &m, -1);
		n++;
	}
	assert_int_equal(cs.count[CS_MSG_UNEXPECTED], n);
	memset(garbage, 0xa5, sizeof(garbage));
	assert_true(send(child_fd, garbage, sizeof(garbage), 0) > 0);
	assert_true(send(child_fd, garbage, 7, 0) > 0);
	cs_children_poll(&cs);
	assert_int_equal(cs.count[CS_MSG_BAD], 2);
	assert_int_equal(hear(child_fd, &reply), -EAGAIN);
}

/* What one child has learnt another one uses; and it is checked for its form. */
static void cookies_are_the_nodes(void **state)
{
	struct cm_msg m = { .type = CM_FASTOPEN, .id = 7, .sock = 3, .peer = addr("10.74.0.3", 80) };
	struct cm_msg news = { .type = CM_FASTOPEN, .on = 1, .peer = addr("10.74.0.3", 443),
			       .fo = { .form = 1, .len = 8, .mss = 1000, .asked = 1,
				       .cookie = "cookie!" } };
	struct cm_msg r;

	(void)state;
	say(other_fd, &m, -1);
	assert_int_equal(hear(other_fd, &r), 1);
	assert_int_equal(r.type, CM_FASTOPEN_REPLY);
	assert_int_equal(r.id, 7);
	assert_int_equal(r.sock, 3);
	assert_int_equal(r.fo.form, 1);
	assert_int_equal(r.fo.len, 0);
	say(child_fd, &news, -1);
	assert_int_equal(hear(child_fd, &r), -EAGAIN);
	say(other_fd, &m, -1);
	assert_int_equal(hear(other_fd, &r), 1);
	assert_int_equal(r.fo.len, 8);
	assert_int_equal(r.fo.mss, 1000);
	assert_string_equal(r.fo.cookie, "cookie!");
	/* Another host */
	m.peer = addr("10.74.0.4", 80);
	say(other_fd, &m, -1);
	assert_int_equal(hear(other_fd, &r), 1);
	assert_int_equal(r.fo.len, 0);

	news.fo.len = 17;
	say(child_fd, &news, -1);
	news.fo.len = 8;
	news.fo.form = 3;
	say(child_fd, &news, -1);
	news.fo.form = 1;
	news.fo.resv[0] = 1;
	say(child_fd, &news, -1);
	news.fo.resv[0] = 0;
	news.fo.resv[4] = 1;
	say(child_fd, &news, -1);
	assert_int_equal(cs.count[CS_MSG_BAD], 4);
}

static void stack_memory_is_checked(void **state)
{
	struct cs_stackmem sm;
	int fd;

	(void)state;
	assert_int_equal(cs_stackmem_map(&sm, memfd(STACK_SIZE, 0)), -EBADF);	/* could shrink */
	assert_int_equal(cs_stackmem_map(&sm, open("/dev/null", O_RDWR)), -EBADF);
	assert_int_equal(cs_stackmem_map(&sm, memfd(STACK_SIZE - 1, F_SEAL_SHRINK)), -EPROTO);
	assert_int_equal(cs_stackmem_map(&sm, memfd(STACK_SIZE, F_SEAL_SHRINK)), -EPROTO);
	fd = stack_memfd();
	assert_int_equal(cs_stackmem_map(&sm, fd), 0);
	cs_stackmem_unmap(&sm);
}

/* A waiter in another process is woken, and sees why. */
static void death_wakes_waiters(void **state)
{
	int fd = stack_memfd();
	struct js_stack *st = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	struct js_stack_hdr *hdr = &st->hdr;
	struct js_sock *so = &st->sock[700];
	struct cs_stackmem sm;
	int status;
	pid_t pid;

	(void)state;
	assert_ptr_not_equal(st, MAP_FAILED);
	so->gen = 1;
	assert_int_equal(cs_stackmem_map(&sm, fd), 0);
	pid = fork();
	if (pid == 0) {
		alarm(10);
		while (!hdr->dead)
			syscall(SYS_futex, &so->seq[JS_WAIT_TX], 0 /* FUTEX_WAIT */, 0, NULL, NULL, 0);
		_exit(hdr->dead == ENETDOWN ? 0 : 1);
	}
	cs_stackmem_mark_dead(&sm);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(so->seq[JS_WAIT_RX], 1);
	assert_int_equal(so[1].seq[JS_WAIT_RX], 0);	/* was never used */
	cs_stackmem_unmap(&sm);
	munmap(st, STACK_SIZE);
}

/* --- resolve -------------------------------------------------------------- */

static void resolve(int fd, const char *host, uint32_t id)
{
	const struct cm_msg m = { .type = CM_RESOLVE, .id = id, .sock = 4, .peer = addr(host, 80) };

	say(fd, &m, -1);
}

static void resolve_now_later_never(void **state)
{
	struct cm_msg r;

	(void)state;
	resolve(child_fd, "10.74.0.1", 1);
	assert_int_equal(hear(child_fd, &r), 1);
	assert_int_equal(r.type, CM_RESOLVE_REPLY);
	assert_int_equal(r.id, 1);
	assert_int_equal(r.sock, 4);
	assert_int_equal(r.err, 0);
	assert_int_equal(r.ring_id, 1);
	assert_true(cm_addr_same_host(&r.local, &cs.cfg.addr));
	resolve(child_fd, "10.74.0.9", 2);
	assert_int_equal(hear(child_fd, &r), 1);
	assert_int_equal(r.err, -EHOSTUNREACH);

	resolve(child_fd, "10.74.0.3", 3);
	resolve(other_fd, "10.74.0.3", 4);
	assert_int_equal(hear(child_fd, &r), -EAGAIN);
	cs_resolve_retry(&cs);
	assert_int_equal(hear(child_fd, &r), -EAGAIN);
	cs.now_us += 3000000;
	cs_timers(&cs);
	assert_int_equal(hear(child_fd, &r), 1);
	assert_int_equal(r.id, 3);
	assert_int_equal(r.err, -EHOSTUNREACH);
	assert_int_equal(hear(other_fd, &r), 1);

	resolve(child_fd, "10.74.0.3", 5);
	n3_known = true;
	cs_resolve_retry(&cs);
	assert_int_equal(hear(child_fd, &r), 1);
	assert_int_equal(r.ring_id, 3);
	assert_int_equal(cs_resolve_deadline(&cs), UINT64_MAX);
}

/* --- restart -------------------------------------------------------------- */

static void new_server_holds_what_it_does_not_know(void **state)
{
	struct cm_addr us = addr("10.74.0.2", 4000), peer = addr("10.74.0.1", 80);
	uint16_t b1, b2;

	(void)state;
	cs.hold_until_us = cs.now_us + 500000;
	b1 = packet_in(peer, us, TH_ACK, 0);
	b2 = packet_in(peer, addr("10.74.0.2", 4001), TH_ACK, 0);
	assert_nothing_left();
	assert_int_equal(cs.count[CS_HELD], 2);
	forward(child_fd, us, peer, STREAM, true);
	cs.now_us += 300000;
	cs_timers(&cs);
	assert_left(b1, STREAM);
	assert_left(b2, US);
	cs.now_us += 200000;
	b1 = packet_in(peer, addr("10.74.0.2", 4001), TH_ACK, 0);
	assert_left(b1, US);
}

/* --- bind-points ---------------------------------------------------------- */

static int bind_point(struct cm_msg *m, struct cm_msg *reply)
{
	int fd = -1, n = 0;

	m->type = CM_BIND_POINT;
	say(child_fd, m, -1);
	assert_int_equal(cm_recv(child_fd, reply, &fd, 1, &n, NULL, MSG_DONTWAIT), 1);
	assert_int_equal(reply->type, CM_BIND_POINT_REPLY);
	assert_int_equal(reply->id, m->id);
	return n ? fd : -1;
}

/* Loopback is there in every namespace. */
static void bind_point_reserves(void **state)
{
	struct cm_msg m = { .id = 11, .local = addr("127.0.0.1", 0), .flags = CM_BP_LISTEN, .n = 5,
			    .uid = getuid(), .family = AF_INET };
	struct cm_msg r;
	int fd, fd2;

	(void)state;
	fd = bind_point(&m, &r);
	assert_int_equal(r.err, 0);
	assert_true(fd >= 0);
	assert_true(r.local.port != 0);
	m.local.port = r.local.port;
	fd2 = bind_point(&m, &r);
	assert_int_equal(fd2, -1);
	assert_int_equal(r.err, -EADDRINUSE);
	close(fd);
	m.flags = CM_BP_SILENT;
	m.on = 1;
	fd = bind_point(&m, &r);
	assert_true(fd >= 0);
	/* It does not answer: the connection attempt stays where it is. */
	{
		int s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		struct sockaddr_storage ss;
		int len = cm_addr_to_sa(&r.local, AF_INET, &ss);

		assert_int_equal(connect(s, (struct sockaddr *)&ss, (socklen_t)len), -1);
		assert_int_equal(errno, EINPROGRESS);
		close(s);
	}
	close(fd);
}

static void bind_point_refuses(void **state)
{
	struct cm_msg m = { .id = 12, .local = addr("127.0.0.1", 99), .uid = 1000, .family = AF_INET };
	struct cm_msg r;
	struct cm_addr far = addr("192.0.2.1", 0);

	(void)state;
	if (getuid() != 0)
		m.uid = getuid();
	assert_int_equal(bind_point(&m, &r), -1);
	assert_int_equal(r.err, -EACCES);
	m.local = far;
	assert_int_equal(bind_point(&m, &r), -1);
	assert_int_equal(r.err, -EADDRNOTAVAIL);
}

/* --- users ---------------------------------------------------------------- */

static void user_says(const struct cm_msg *m, int fd, pid_t pid)
{
	const struct cm_sender from = { .cred = { .pid = pid, .uid = 1000, .gid = 1000 } };

	cs_user_msg(&cs, m, &fd, fd >= 0, &from);
}

static void spawn_forks_a_child(void **state)
{
	const struct cm_msg m = { .type = CM_SPAWN, .id = 21 };
	struct cm_msg r;
	int sv[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv), 0);
	user_says(&m, sv[0], getpid());
	assert_int_equal(cs.count[CS_SPAWNED], 1);
	assert_int_equal(cm_recv(sv[1], &r, NULL, 0, NULL, NULL, 0), 1);
	assert_int_equal(r.type, CM_INIT_REPLY);
	assert_int_equal(r.id, 21);
	assert_int_equal(r.n, 1000);
	/* It has ended: nobody else, the server least, holds its channel. */
	assert_int_equal(cm_recv(sv[1], &r, NULL, 0, NULL, NULL, 0), 0);
	close(sv[1]);
	/* Ended, and about to be a zombie: wait without collecting it. */
	{
		siginfo_t si;

		assert_int_equal(waitid(P_ALL, 0, &si, WEXITED | WNOWAIT), 0);
		assert_int_equal(si.si_status, 0);
	}
	cs_spawn_reap(&cs);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void bad_users_are_counted(void **state)
{
	struct cm_msg m = { .type = CM_SPAWN };
	int sv[2];

	(void)state;
	user_says(&m, -1, getpid());
	user_says(&m, open("/dev/null", O_RDWR), getpid());
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	user_says(&m, sv[0], getpid());
	close(sv[1]);
	assert_int_equal(cs.count[CS_MSG_NO_FD], 3);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv), 0);
	user_says(&m, sv[0], 0);
	close(sv[1]);
	assert_int_equal(cs.count[CS_MSG_NO_CRED], 1);
	m.type = CM_LISTEN;
	user_says(&m, -1, getpid());
	assert_int_equal(cs.count[CS_MSG_UNEXPECTED], 1);
	assert_int_equal(cs.count[CS_SPAWNED], 0);
}

static void ping_over_a_channel(void **state)
{
	const struct cm_msg m = { .type = CM_PING, .id = 31 };
	struct cm_msg r;
	int sv[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv), 0);
	user_says(&m, sv[0], getpid());
	assert_int_equal(hear(sv[1], &r), 1);
	assert_int_equal(r.type, CM_GENERAL_REPLY);
	assert_int_equal(r.id, 31);
	close(sv[1]);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(unclaimed_goes_to_kernel), T(malformed_goes_to_kernel),
		T(syn_asks_child_and_follows_divert), T(kernel_connector_has_no_rxvci),
		T(only_a_bare_syn_opens), T(syn_for_another_host_is_not_ours),
		T(refused_goes_to_kernel_others_are_dropped), T(false_rxvci_is_dropped),
		T(own_address_from_elsewhere_is_dropped), T(neighbour_is_waited_for),
		T(unanswered_syn_expires), T(syn_again_replaces_or_is_dropped),
		T(pending_is_bounded), T(divert_is_checked), T(full_queue_drops),
		T(icmp_is_told_to_whom_it_concerns),
		T(exact_listener_comes_first), T(v6only_takes_no_ipv4), T(reuseport_shares),
		T(listen_is_checked),
		T(forward_is_exclusive_and_checked), T(claims_are_bounded),
		T(hangup_drops_claims), T(messages_before_hangup_count), T(hello_first_and_once),
		T(nonsense_has_no_effect), T(cookies_are_the_nodes), T(stack_memory_is_checked), T(death_wakes_waiters),
		T(resolve_now_later_never), T(new_server_holds_what_it_does_not_know),
		T(bind_point_reserves), T(bind_point_refuses),
		T(spawn_forks_a_child), T(bad_users_are_counted), T(ping_over_a_channel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
