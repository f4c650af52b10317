/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_packetdrill.c - jetstream-packetdrill.so, driven as packetdrill does
 *
 * The shared object itself, from where it was built; what packetdrill would
 * do, as any user: packets by hand, calls, virtual time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/util.h"
#include "stack/engine/tcp.h"
#include "stack/packetdrill/pd_abi.h"

#define SECOND		1000000LL
#define PEER_PORT	8080
#define PEER_ISS	5000u

static struct pd_interface i;

/* --- the far end ----------------------------------------------------------------- */

struct peer {
	struct ip_pair pair;		/* src: the peer */
	uint16_t port, local;		/* peer's, stack's */
	uint32_t iss, seq, ack;		/* theirs: ISS; ours: next */
};

struct heard {
	struct tcp_seg seg;
	struct ip_pair pair;
	long long at;
	uint8_t data[20000];
};

static void v4(uint8_t addr[16], const char *text)
{
	memset(addr, 0, 10);
	addr[10] = addr[11] = 0xff;
	assert_int_equal(inet_pton(AF_INET, text, addr + 12), 1);
}

static void v6(uint8_t addr[16], const char *text)
{
	assert_int_equal(inet_pton(AF_INET6, text, addr), 1);
}

static void say(struct peer *p, struct tcp_seg seg, const void *data)
{
	uint8_t pkt[20000], *th;
	int ip_len, tcp_len;
	uint64_t sum;
	uint16_t csum;

	seg.sport = p->port;
	seg.dport = p->local;
	seg.seq = seg.seq ? seg.seq : p->seq;
	seg.ack = seg.flags & TH_ACK ? p->ack : 0;
	seg.wnd = 65535;
	if (!(seg.flags & TH_SYN))
		seg.wscale = TCP_WS_NONE;
	th = pkt + 40;
	tcp_len = tcp_seg_build(&seg, th);
	if (seg.len)
		memcpy(th + tcp_len, data, seg.len);
	sum = ip_csum_add(ip_pseudo_sum(&p->pair, (uint32_t)tcp_len + seg.len), th,
			  (size_t)tcp_len + seg.len);
	csum = ip_csum_fold(sum);
	memcpy(th + 16, &csum, sizeof(csum));
	ip_len = ip_build(pkt, &p->pair, (uint32_t)tcp_len + seg.len, 0, 0, 0);
	memmove(pkt + ip_len, th, (size_t)tcp_len + seg.len);
	assert_int_equal(i.netdev_send(i.user, pkt, (size_t)(ip_len + tcp_len) + seg.len), 0);
	if (seg.seq == p->seq)
		p->seq += seg.len + !!(seg.flags & TH_SYN) + !!(seg.flags & TH_FIN);
}

/* The next packet; 0 none. */
static size_t hear(struct heard *h)
{
	uint8_t pkt[70000];
	size_t len = sizeof(pkt);
	uint8_t tos;
	int ip_len, tcp_len;

	assert_int_equal(i.netdev_receive(i.user, pkt, &len, &h->at), 0);
	if (!len)
		return 0;
	ip_len = ip_parse(pkt, len, &h->pair, &tos);
	assert_true(ip_len > 0);
	tcp_len = tcp_seg_parse(&h->seg, pkt + ip_len, len - (size_t)ip_len);
	assert_true(tcp_len > 0);
	assert_true(h->seg.len <= sizeof(h->data));
	memcpy(h->data, pkt + ip_len + tcp_len, h->seg.len);
	return len;
}

static void expect(struct heard *h, uint8_t flags, uint32_t len)
{
	assert_true(hear(h) > 0);
	assert_int_equal(h->seg.flags, flags);
	assert_int_equal(h->seg.len, len);
}

static long long now(void)
{
	struct timeval tv;

	assert_int_equal(i.gettimeofday(i.user, &tv, NULL), 0);
	return tv.tv_sec * SECOND + tv.tv_usec;
}

static const struct tcp_seg syn = { .flags = TH_SYN, .mss = 1000, .wscale = 7 };
static const struct tcp_seg ack = { .flags = TH_ACK };

/* --- connections --------------------------------------------------------------------- */

static int connect_to(struct peer *p, const char *host)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(PEER_PORT) };
	struct tcp_seg answer = syn;
	struct heard h;
	int fd = i.socket(i.user, AF_INET, SOCK_STREAM, 0), err = -1;
	socklen_t len = sizeof(err);

	assert_true(fd >= 0);
	assert_int_equal(i.fcntl(i.user, fd, F_SETFL, O_RDWR | O_NONBLOCK), 0);
	inet_pton(AF_INET, host, &sin.sin_addr);
	assert_int_equal(i.connect(i.user, fd, (struct sockaddr *)&sin, sizeof(sin)), -1);
	assert_int_equal(errno, EINPROGRESS);
	expect(&h, TH_SYN, 0);
	assert_int_equal(h.seg.dport, PEER_PORT);
	assert_int_equal(h.seg.mss, 1460);
	assert_int_equal(h.seg.wscale, 8);
	assert_true(h.seg.sack_permitted && h.seg.has_ts);
	*p = (struct peer){ .port = PEER_PORT, .local = h.seg.sport, .iss = h.seg.seq,
			    .seq = PEER_ISS, .ack = h.seg.seq + 1 };
	memcpy(p->pair.src, h.pair.dst, 16);
	memcpy(p->pair.dst, h.pair.src, 16);
	answer.flags |= TH_ACK;
	say(p, answer, NULL);
	expect(&h, TH_ACK, 0);
	assert_int_equal(h.seg.ack, PEER_ISS + 1);
	assert_int_equal(i.getsockopt(i.user, fd, SOL_SOCKET, SO_ERROR, &err, &len), 0);
	assert_int_equal(err, 0);
	return fd;
}

static int listen_on(int family, uint16_t port)
{
	struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = i.socket(i.user, family, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	assert_int_equal(family == AF_INET ?
			 i.bind(i.user, fd, (struct sockaddr *)&sin, sizeof(sin)) :
			 i.bind(i.user, fd, (struct sockaddr *)&sin6, sizeof(sin6)), 0);
	assert_int_equal(i.listen(i.user, fd, 5), 0);
	return fd;
}

/* The peer connects to @port; the accepted descriptor. */
static int accept_from(struct peer *p, int listener, uint16_t port, struct sockaddr_in6 *from)
{
	socklen_t len = sizeof(*from);
	struct heard h;
	int fd;

	p->port = 40000;
	p->local = port;
	p->seq = PEER_ISS;
	say(p, syn, NULL);
	expect(&h, TH_SYN | TH_ACK, 0);
	assert_int_equal(h.seg.ack, PEER_ISS + 1);
	p->ack = h.seg.seq + 1;
	say(p, ack, NULL);
	fd = i.accept(i.user, listener, (struct sockaddr *)from, &len);
	assert_true(fd >= 0);
	return fd;
}

static void give(struct peer *p, const char *text, uint32_t len)
{
	struct tcp_seg seg = { .flags = TH_ACK | TH_PUSH, .len = len };

	say(p, seg, text);
}

/* --- tests ------------------------------------------------------------------------------ */

static void open_talk_close(void **state)
{
	struct tcp_seg fin = { .flags = TH_FIN | TH_ACK };
	char buf[64];
	struct peer p;
	struct heard h;
	uint32_t fin_seq;
	int fd = connect_to(&p, "192.0.2.1");

	(void)state;
	assert_int_equal(i.write(i.user, fd, "hello", 5), 5);
	expect(&h, TH_ACK | TH_PUSH, 5);
	assert_memory_equal(h.data, "hello", 5);
	p.ack += 5;
	give(&p, "world!", 6);
	expect(&h, TH_ACK, 0);
	assert_int_equal(h.seg.ack, PEER_ISS + 7);
	assert_int_equal(i.recv(i.user, fd, buf, sizeof(buf), 0), 6);
	assert_memory_equal(buf, "world!", 6);
	assert_int_equal(i.close(i.user, fd), 0);
	expect(&h, TH_FIN | TH_ACK, 0);
	p.ack++;
	fin_seq = p.seq;
	say(&p, fin, NULL);
	expect(&h, TH_ACK, 0);
	/* TIME-WAIT, which somebody else answers for. */
	i.usleep(i.user, SECOND);
	fin.seq = fin_seq;
	say(&p, fin, NULL);
	expect(&h, TH_ACK, 0);
	assert_int_equal(h.seg.ack, fin_seq + 1);
	/* And after it, nobody. */
	for (int n = 0; n < 61; n++)
		i.usleep(i.user, SECOND);
	say(&p, fin, NULL);
	expect(&h, TH_RST, 0);
}

/* The peer's router: @mtu is too small for our segment with @seq. */
static void too_big(const struct peer *p, uint32_t seq, uint32_t mtu)
{
	uint8_t pkt[40 + 8 + 40 + 20] = { 0x60, [6] = 58, [7] = 64 };
	struct ip_pair ours;

	memcpy(ours.src, p->pair.dst, 16);
	memcpy(ours.dst, p->pair.src, 16);
	memcpy(pkt + 8, p->pair.src, 32);
	pkt[5] = sizeof(pkt) - 40;
	pkt[40] = 2;
	mtu = htonl(mtu);
	memcpy(pkt + 44, &mtu, 4);
	ip_build(pkt + 48, &ours, 20, 0, 0, 0);
	tcp_seg_build(&(struct tcp_seg){ .sport = p->local, .dport = p->port, .seq = seq,
					 .flags = TH_ACK, .wscale = TCP_WS_NONE }, pkt + 88);
	assert_int_equal(i.netdev_send(i.user, pkt, sizeof(pkt)), 0);
}

/* RFC 8201, 4: an MTU below 1280 is no news, but a lie. */
static void too_small_for_ipv6(void **state)
{
	struct tcp_seg big = { .flags = TH_SYN, .mss = 1400, .wscale = 7 };
	int ls = listen_on(AF_INET6, 80), fd;
	char text[3000] = { 0 };
	struct peer p = { .port = 40000, .local = 80, .seq = PEER_ISS };
	struct heard h;
	uint32_t first;

	(void)state;
	v6(p.pair.src, "2001:db8::1");
	v6(p.pair.dst, "fd3d:fa7b:d17d::2");
	say(&p, big, NULL);
	expect(&h, TH_SYN | TH_ACK, 0);
	p.ack = h.seg.seq + 1;
	say(&p, ack, NULL);
	fd = i.accept(i.user, ls, NULL, NULL);
	assert_true(fd >= 0);
	assert_int_equal(i.write(i.user, fd, text, 2800), 2800);
	expect(&h, TH_ACK, 1400);
	first = h.seg.seq;
	expect(&h, TH_ACK | TH_PUSH, 1400);
	too_big(&p, first, 1000);
	/* What comes next is because of RTO, and as large as ever. */
	expect(&h, TH_ACK, 1400);
	too_big(&p, first, 1280);
	expect(&h, TH_ACK, 1220);
	assert_int_equal(h.seg.seq, first);
}

/* MUST-11: who listens goes on when a peer refuses; who connects is told. */
static void refused_in_syn_received(void **state)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(PEER_PORT) };
	struct tcp_seg rst = { .flags = TH_RST }, crossing = syn;
	int ls = listen_on(AF_INET, 80), fd, err = 0;
	struct peer p = { .port = 40000, .local = 80, .seq = PEER_ISS };
	struct sockaddr_in6 from;
	socklen_t len = sizeof(err);
	struct heard h;

	(void)state;
	v4(p.pair.src, "192.0.2.1");
	v4(p.pair.dst, "192.168.0.2");
	say(&p, syn, NULL);
	expect(&h, TH_SYN | TH_ACK, 0);
	say(&p, rst, NULL);
	/* Nothing was sent to it again. */
	accept_from(&p, ls, 80, &from);

	fd = i.socket(i.user, AF_INET, SOCK_STREAM, 0);
	inet_pton(AF_INET, "192.0.2.1", &sin.sin_addr);
	i.fcntl(i.user, fd, F_SETFL, O_RDWR | O_NONBLOCK);
	i.connect(i.user, fd, (struct sockaddr *)&sin, sizeof(sin));
	expect(&h, TH_SYN, 0);
	p = (struct peer){ .pair = p.pair, .port = PEER_PORT, .local = h.seg.sport,
			   .seq = PEER_ISS, .ack = h.seg.seq + 1 };
	say(&p, crossing, NULL);
	expect(&h, TH_SYN | TH_ACK, 0);
	say(&p, rst, NULL);
	assert_int_equal(i.getsockopt(i.user, fd, SOL_SOCKET, SO_ERROR, &err, &len), 0);
	assert_int_equal(err, ECONNREFUSED);
}

static void syn_is_repeated(void **state)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(PEER_PORT) };
	int fd = i.socket(i.user, AF_INET, SOCK_STREAM, 0), err = 0, n = 1;
	socklen_t len = sizeof(err);
	long long start = now(), due = 0;
	struct heard h;

	(void)state;
	inet_pton(AF_INET, "192.0.2.1", &sin.sin_addr);
	i.fcntl(i.user, fd, F_SETFL, O_RDWR | O_NONBLOCK);
	i.connect(i.user, fd, (struct sockaddr *)&sin, sizeof(sin));
	expect(&h, TH_SYN, 0);
	for (; hear(&h); n++) {
		assert_int_equal(h.seg.flags, TH_SYN);
		due += SECOND << (n - 1);
		assert_in_range(h.at - start, due - 1000, due + 5000);
	}
	assert_int_equal(n, 7);
	assert_int_equal(i.getsockopt(i.user, fd, SOL_SOCKET, SO_ERROR, &err, &len), 0);
	assert_int_equal(err, ETIMEDOUT);
}

static void echo(struct peer *p, int fd)
{
	struct heard h;
	char buf[16];

	give(p, "ping", 4);
	assert_int_equal(i.read(i.user, fd, buf, sizeof(buf)), 4);
	assert_int_equal(i.write(i.user, fd, buf, 4), 4);
	do
		assert_true(hear(&h) > 0);
	while (!h.seg.len);
	assert_memory_equal(h.data, "ping", 4);
}

static void passive_v6(void **state)
{
	struct sockaddr_in6 from;
	struct peer p = { 0 };
	struct in6_addr want;
	int l, fd;

	(void)state;
	v6(p.pair.src, "2001:db8::1");
	v6(p.pair.dst, "fd3d:fa7b:d17d::2");
	l = listen_on(AF_INET6, 7000);
	fd = accept_from(&p, l, 7000, &from);
	inet_pton(AF_INET6, "2001:db8::1", &want);
	assert_int_equal(from.sin6_family, AF_INET6);
	assert_memory_equal(&from.sin6_addr, &want, 16);
	assert_int_equal(from.sin6_port, htons(40000));
	echo(&p, fd);
}

static void v4_at_a_v6_listener(void **state)
{
	struct sockaddr_in6 from;
	struct peer p = { 0 };
	int l, fd;

	(void)state;
	v4(p.pair.src, "192.0.2.1");
	v4(p.pair.dst, "192.168.0.2");
	l = listen_on(AF_INET6, 7001);
	fd = accept_from(&p, l, 7001, &from);
	assert_true(IN6_IS_ADDR_V4MAPPED(&from.sin6_addr));
	echo(&p, fd);
}

/* A hole with more behind it than one word of the map of what is out of order has
 * bits; as much as so_rcv may hold of the ring's largest segments. */
static void much_out_of_order(void **state)
{
	enum { N = 140, EACH = 1000 };
	static uint8_t data[N * EACH], got[N * EACH];
	struct tcp_seg seg = { .flags = TH_ACK, .len = EACH };
	struct heard h = { .at = 0 };
	uint32_t base;
	struct peer p;
	size_t n = 0;
	int fd = connect_to(&p, "192.0.2.1");

	(void)state;
	base = p.seq;
	for (size_t k = 0; k < sizeof(data); k++)
		data[k] = (uint8_t)(k * 7 >> 3);
	for (uint32_t k = 1; k < N; k++) {
		seg.seq = base + k * EACH;
		say(&p, seg, data + k * EACH);
		expect(&h, TH_ACK, 0);
		assert_int_equal(h.seg.ack, base);
	}
	seg.seq = base;
	say(&p, seg, data);
	expect(&h, TH_ACK, 0);
	assert_int_equal(h.seg.ack, base + N * EACH);
	while (n < sizeof(got)) {
		ssize_t r = i.read(i.user, fd, got + n, sizeof(got) - n);

		assert_true(r > 0);
		n += (size_t)r;
	}
	assert_memory_equal(got, data, sizeof(got));
}

static void large_packet(void **state)
{
	static char data[10000], got[10000];
	struct tcp_seg seg = { .flags = TH_ACK, .len = sizeof(data) };
	struct peer p;
	size_t n = 0;
	int fd = connect_to(&p, "192.0.2.1");

	(void)state;
	for (size_t k = 0; k < sizeof(data); k++)
		data[k] = (char)(k * 7 >> 3);
	say(&p, seg, data);
	while (n < sizeof(got)) {
		ssize_t r = i.read(i.user, fd, got + n, sizeof(got) - n);

		assert_true(r > 0);
		n += (size_t)r;
	}
	assert_memory_equal(got, data, sizeof(data));
}

/* Bulk in large segments gets room for sixteen of them, however short the round
 * trip is; not before it is bulk. */
static void room_for_sixteen(void **state)
{
	static char data[19000], got[19000];
	struct tcp_seg seg = { .flags = TH_ACK, .len = sizeof(data) };
	uint32_t wnd = 0, first = 0;
	struct heard h;
	struct peer p;
	int fd = connect_to(&p, "192.0.2.1");

	(void)state;
	for (int k = 0; k < 60; k++) {
		say(&p, seg, data);
		i.usleep(i.user, 50000);
		for (size_t n = 0; n < sizeof(got);) {
			ssize_t r = i.read(i.user, fd, got + n, sizeof(got) - n);

			assert_true(r > 0);
			n += (size_t)r;
		}
		do
			assert_true(hear(&h) > 0);
		while (h.seg.ack != p.seq);
		wnd = (uint32_t)h.seg.wnd << 8;
		if (!k)
			first = wnd;
	}
	assert_in_range(first, 200000, 245760);
	/* It may be the ACK from before the last was read. */
	assert_in_range(wnd, 15 * sizeof(data) - 1000, 16 * sizeof(data));
}

/* The handshake was slow, the path is not: a buffer that was filled and taken is a
 * round trip. */
static void room_before_a_round_trip(void **state)
{
	static char data[16000], got[16000];
	struct tcp_seg seg = { .flags = TH_ACK, .len = sizeof(data) };
	struct peer p = { .port = 40000, .local = 7002, .seq = PEER_ISS };
	struct sockaddr_in6 from;
	socklen_t len = sizeof(from);
	uint32_t first, wnd = 0;
	struct heard h;
	int l, fd;

	(void)state;
	v4(p.pair.src, "192.0.2.1");
	v4(p.pair.dst, "192.168.0.2");
	l = listen_on(AF_INET, 7002);
	say(&p, syn, NULL);
	expect(&h, TH_SYN | TH_ACK, 0);
	p.ack = h.seg.seq + 1;
	first = h.seg.wnd;
	i.usleep(i.user, 300000);
	say(&p, ack, NULL);
	fd = i.accept(i.user, l, (struct sockaddr *)&from, &len);
	assert_true(fd >= 0);
	/* Twice what so_rcv takes at the start, in no time */
	for (int k = 0; k < 32; k++) {
		say(&p, seg, data);
		assert_int_equal(i.read(i.user, fd, got, sizeof(got)), sizeof(got));
	}
	/* Not before, for that lets time pass. */
	while (hear(&h))
		wnd = MAX(wnd, (uint32_t)h.seg.wnd << 8);
	assert_true(first <= 65535 && wnd > 2 * 245760);
}

static void nobody_listens(void **state)
{
	struct peer p = { .port = 40000, .local = 9, .seq = PEER_ISS };
	struct heard h;

	(void)state;
	v4(p.pair.src, "192.0.2.1");
	v4(p.pair.dst, "192.168.0.2");
	say(&p, syn, NULL);
	expect(&h, TH_RST | TH_ACK, 0);
	assert_int_equal(h.seg.ack, PEER_ISS + 1);
	/* And that is all: nothing will ever come. */
	assert_int_equal(hear(&h), 0);
}

static void recv_times_out(void **state)
{
	struct timeval two = { .tv_sec = 2 };
	struct peer p;
	char c;
	int fd = connect_to(&p, "192.0.2.1");
	long long start;

	(void)state;
	i.fcntl(i.user, fd, F_SETFL, O_RDWR);
	assert_int_equal(i.setsockopt(i.user, fd, SOL_SOCKET, SO_RCVTIMEO, &two, sizeof(two)), 0);
	start = now();
	assert_int_equal(i.recv(i.user, fd, &c, 1, 0), -1);
	assert_int_equal(errno, EAGAIN);
	assert_in_range(now() - start, 2 * SECOND, 2 * SECOND + 100);
}

struct blocked {
	int fd;
	char c;
	ssize_t n;
	long long at;
};

static void *block_in_read(void *arg)
{
	struct blocked *b = arg;

	b->n = i.read(i.user, b->fd, &b->c, 1);
	b->at = now();
	return NULL;
}

/* Its time is that of the packet, however late the machine lets it run. */
static void blocked_thread(void **state)
{
	struct blocked b = { .n = -2 };
	pthread_t thread;
	struct peer p;
	long long sent;

	(void)state;
	b.fd = connect_to(&p, "192.0.2.1");
	i.fcntl(i.user, b.fd, F_SETFL, O_RDWR);
	assert_int_equal(pthread_create(&thread, NULL, block_in_read, &b), 0);
	i.usleep(i.user, SECOND);
	sent = now();
	give(&p, "x", 1);
	if (b.n == -2)
		i.usleep(i.user, 60);
	pthread_join(thread, NULL);
	assert_int_equal(b.n, 1);
	assert_int_equal(b.c, 'x');
	assert_in_range(b.at, sent, sent + 100);
}

static void polling(void **state)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET };
	struct pollfd pfd = { .events = POLLIN | POLLOUT };
	struct peer p;
	char buf[8];
	int fd = connect_to(&p, "192.0.2.1"), ep = i.epoll_create(i.user, 1);
	long long start = now();

	(void)state;
	assert_true(ep >= 0);
	pfd.fd = ev.data.fd = fd;
	assert_int_equal(i.epoll_ctl(i.user, ep, EPOLL_CTL_ADD, fd, &ev), 0);
	assert_int_equal(i.epoll_wait(i.user, ep, &ev, 1, 500), 0);
	assert_in_range(now() - start, SECOND / 2, SECOND / 2 + 1000);
	assert_int_equal(i.poll(i.user, &pfd, 1, 0), 1);
	assert_int_equal(pfd.revents, POLLOUT);
	give(&p, "ab", 2);
	assert_int_equal(i.epoll_wait(i.user, ep, &ev, 1, -1), 1);
	assert_int_equal(ev.events, EPOLLIN);
	assert_int_equal(ev.data.fd, fd);
	assert_int_equal(i.epoll_wait(i.user, ep, &ev, 1, 10), 0);	/* an edge */
	give(&p, "c", 1);
	assert_int_equal(i.epoll_wait(i.user, ep, &ev, 1, 10), 1);
	pfd.events = POLLIN;
	assert_int_equal(i.poll(i.user, &pfd, 1, -1), 1);
	assert_int_equal(i.read(i.user, fd, buf, sizeof(buf)), 3);
	assert_int_equal(i.poll(i.user, &pfd, 1, 0), 0);
	close(ep);
}

static void splicing(void **state)
{
	struct peer p;
	struct heard h;
	char buf[8];
	int fd = connect_to(&p, "192.0.2.1"), fds[2];

	(void)state;
	assert_int_equal(i.pipe(i.user, fds), 0);
	give(&p, "abc", 3);
	assert_int_equal(i.splice(i.user, fd, NULL, fds[1], NULL, 100, 0), 3);
	assert_int_equal(read(fds[0], buf, sizeof(buf)), 3);
	assert_memory_equal(buf, "abc", 3);
	assert_int_equal(write(fds[1], "defg", 4), 4);
	assert_int_equal(i.splice(i.user, fds[0], NULL, fd, NULL, 4, 0), 4);
	do
		assert_true(hear(&h) > 0);
	while (!h.seg.len);
	assert_memory_equal(h.data, "defg", 4);
	close(fds[0]);
	close(fds[1]);
}

/* What packetdrill does with them behind our back. */
static void descriptors_are_real(void **state)
{
	struct peer p;
	struct heard h;
	struct stat st;
	int fd = connect_to(&p, "192.0.2.1");

	(void)state;
	assert_int_equal(fstat(fd, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(close(fd), 0);
	expect(&h, TH_FIN | TH_ACK, 0);
}

static struct pd_interface second;

static void one_at_a_time(void **state)
{
	void (*init)(const char *, struct pd_interface *) =
		(void (*)(const char *, struct pd_interface *))(uintptr_t)*state;

	init(NULL, &second);
	assert_int_equal(second.socket(second.user, AF_INET, SOCK_STREAM, 0), -1);
	assert_int_equal(errno, ENFILE);
	second.free(second.user);
	assert_true(i.socket(i.user, AF_INET, SOCK_STREAM, 0) >= 0);
}

static void real_time(void **state)
{
	void (*init)(const char *, struct pd_interface *) =
		(void (*)(const char *, struct pd_interface *))(uintptr_t)*state;
	struct peer p;
	long long start;
	int fd;

	i.free(i.user);
	init("time=real,mtu=1500,local=192.168.7.7", &i);
	fd = connect_to(&p, "192.0.2.1");
	assert_int_equal(p.pair.dst[14] << 8 | p.pair.dst[15], 0x0707);
	start = now();
	i.usleep(i.user, 2000);
	assert_true(now() - start >= 2000);
	echo(&p, fd);
}

/* --- start ------------------------------------------------------------------------------- */

static void *the_init;

static int setup(void **state)
{
	((void (*)(const char *, struct pd_interface *))(uintptr_t)the_init)(NULL, &i);
	*state = the_init;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	i.free(i.user);
	return 0;
}

static int load(void **state)
{
	char self[4096], path[4200];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	void *so;

	(void)state;
	if (n < 0)
		return -1;
	self[n] = '\0';
	snprintf(path, sizeof(path), "%s/../../lib/jetstream-packetdrill.so", dirname(self));
	so = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!so) {
		fprintf(stderr, "%s\n", dlerror());
		return -1;
	}
	the_init = dlsym(so, "packetdrill_interface_init");
	return the_init ? 0 : -1;
}

/* A SYN with 100 octets; whether they were taken. */
static bool open_fast(struct peer *p, uint16_t port, uint16_t local)
{
	static const char data[100];
	struct tcp_seg seg = syn;
	struct heard h;

	*p = (struct peer){ .port = port, .local = local, .seq = PEER_ISS };
	v4(p->pair.src, "192.0.2.1");
	v4(p->pair.dst, "192.168.0.2");
	seg.len = sizeof(data);
	say(p, seg, data);
	/* Others' are sent again meanwhile. */
	do
		expect(&h, TH_SYN | TH_ACK, 0);
	while (h.seg.dport != port);
	p->ack = h.seg.seq + 1;
	if (h.seg.ack == p->seq)
		return true;
	assert_int_equal(h.seg.ack, PEER_ISS + 1);
	p->seq = PEER_ISS + 1;
	return false;
}

/* RFC 7413, 5.1: not more than TCP_FASTOPEN's number wait for the end of their
 * handshake; one that was reset counts for another minute. */
static void fast_open_is_limited(void **state)
{
	const struct tcp_seg rst = { .flags = TH_RST };
	struct peer a, b, c, d;
	int l, one = 1, two = 2;
	char buf[200];
	int fd;

	(void)state;
	l = listen_on(AF_INET, 8081);
	assert_int_equal(i.setsockopt(i.user, l, IPPROTO_TCP, TCP_FASTOPEN, &two, sizeof(two)), 0);
	assert_int_equal(i.setsockopt(i.user, l, IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, &one,
				      sizeof(one)), 0);
	assert_true(open_fast(&a, 40001, 8081));
	assert_true(open_fast(&b, 40002, 8081));
	assert_false(open_fast(&c, 40003, 8081));
	/* Room again, when one is complete. */
	say(&a, ack, NULL);
	assert_true(open_fast(&d, 40004, 8081));
	/* It was forged, say. */
	say(&b, rst, NULL);
	say(&d, rst, NULL);
	assert_false(open_fast(&c, 40005, 8081));
	i.usleep(i.user, 59 * SECOND);
	assert_false(open_fast(&c, 40006, 8081));
	i.usleep(i.user, 2 * SECOND);
	assert_true(open_fast(&c, 40007, 8081));
	/* All whose data was taken are there to be accepted, and it is read once. */
	for (int n = 0; n < 4; n++) {
		fd = i.accept(i.user, l, NULL, NULL);
		assert_true(fd >= 0);
		assert_int_equal(i.read(i.user, fd, buf, sizeof(buf)), 100);
		assert_int_equal(i.close(i.user, fd), 0);
	}
	assert_int_equal(i.close(i.user, l), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(open_talk_close, setup, teardown),
		cmocka_unit_test_setup_teardown(syn_is_repeated, setup, teardown),
		cmocka_unit_test_setup_teardown(passive_v6, setup, teardown),
		cmocka_unit_test_setup_teardown(too_small_for_ipv6, setup, teardown),
		cmocka_unit_test_setup_teardown(refused_in_syn_received, setup, teardown),
		cmocka_unit_test_setup_teardown(v4_at_a_v6_listener, setup, teardown),
		cmocka_unit_test_setup_teardown(much_out_of_order, setup, teardown),
		cmocka_unit_test_setup_teardown(large_packet, setup, teardown),
		cmocka_unit_test_setup_teardown(room_for_sixteen, setup, teardown),
		cmocka_unit_test_setup_teardown(room_before_a_round_trip, setup, teardown),
		cmocka_unit_test_setup_teardown(nobody_listens, setup, teardown),
		cmocka_unit_test_setup_teardown(recv_times_out, setup, teardown),
		cmocka_unit_test_setup_teardown(blocked_thread, setup, teardown),
		cmocka_unit_test_setup_teardown(polling, setup, teardown),
		cmocka_unit_test_setup_teardown(splicing, setup, teardown),
		cmocka_unit_test_setup_teardown(descriptors_are_real, setup, teardown),
		cmocka_unit_test_setup_teardown(one_at_a_time, setup, teardown),
		cmocka_unit_test_setup_teardown(real_time, setup, teardown),
		cmocka_unit_test_setup_teardown(fast_open_is_limited, setup, teardown),
	};

	return cmocka_run_group_tests_name("packetdrill", tests, load, NULL);
}
