/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hostile_net.c - malformed packets, SYN floods, nonsense on lab sockets; root
 *
 *	hostile_net frames SEED N RING_ID SRC DST PORT
 *		N frames that are wrong in one of many ways, through jet0
 *	hostile_net flood SEED N RING_ID SRC DST PORT
 *		N good SYNs from SRC and ports that nobody has; where the last
 *		part of SRC is 0, from addresses that nobody has
 *	hostile_net ring|capture|port SEED N PATH
 *		N packets of nonsense to ring.sock, capture.sock, nK.sock
 *
 * Prints how many were sent and how many were answered.  Exit status: 0; 1 it
 * could not be tried.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "abi/portctl.h"
#include "common/util.h"
#include "stack/engine/tcp.h"

#define FRAME_MAX	4096
#define ETH_LEN		14
#define IP_LEN		20

static uint64_t rng_state;

static uint64_t rnd(void)
{
	rng_state ^= rng_state >> 12;
	rng_state ^= rng_state << 25;
	rng_state ^= rng_state >> 27;
	return rng_state * 2685821657736338717ull;
}

static uint32_t below(uint32_t n)
{
	return (uint32_t)(rnd() % n);
}

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "hostile_net: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* --- frames ------------------------------------------------------------------------- */

struct flow {
	uint8_t ring_id;
	struct in_addr src, dst;
	uint16_t port;
};

static void fix_ip_sum(uint8_t *ip, size_t hlen)
{
	uint16_t sum;

	memset(ip + 10, 0, 2);
	sum = ip_csum_fold(ip_csum_add(0, ip, hlen));
	memcpy(ip + 10, &sum, 2);
}

/* A SYN as it should be.  Its length. */
static size_t make_syn(uint8_t *frame, const struct flow *f)
{
	struct tcp_seg seg = { .sport = (uint16_t)(1024 + below(64000)), .dport = f->port,
			       .seq = (uint32_t)rnd(), .flags = TH_SYN, .wnd = 64240,
			       .mss = 1460, .sack_permitted = true, .wscale = 7 };
	uint8_t *ip = frame + ETH_LEN, *th = ip + IP_LEN;
	struct ip_pair pair = { .src = { [10] = 0xff, [11] = 0xff },
				.dst = { [10] = 0xff, [11] = 0xff } };
	struct in_addr src = f->src;
	uint16_t sum;
	int len;

	if (!(ntohl(src.s_addr) & 0xff))
		src.s_addr |= htonl(100 + below(150));
	memcpy(pair.src + 12, &src, 4);
	memcpy(pair.dst + 12, &f->dst, 4);
	memcpy(frame, (uint8_t[]) { 0x02, 0x4a, 0x53, 0, 0, f->ring_id }, 6);
	memcpy(frame + 6, (uint8_t[]) { 0x02, 0x4a, 0x53, 0, 0, (uint8_t)below(16) }, 6);
	frame[12] = 0x08;
	frame[13] = 0;
	len = tcp_seg_build(&seg, th);
	ip_build(ip, &pair, (uint32_t)len, 0, 0, (uint16_t)rnd());
	sum = ip_csum_fold(ip_csum_add(ip_pseudo_sum(&pair, (uint32_t)len), th, (size_t)len));
	memcpy(th + 16, &sum, 2);
	return ETH_LEN + IP_LEN + (size_t)len;
}

/* Make one thing wrong, or a few.  The new length. */
static size_t spoil(uint8_t *frame, size_t len)
{
	static const uint8_t flags[] = { 0, 0xff, TH_SYN | TH_ACK, TH_SYN | TH_FIN, TH_SYN | TH_RST,
					 TH_ACK, TH_RST, TH_FIN, TH_ACK | TH_PUSH };
	uint8_t *ip = frame + ETH_LEN, *th = ip + IP_LEN;

	switch (below(12)) {
	case 0:		/* IP's length is not the packet's */
		ip[2 + below(2)] ^= (uint8_t)(1 + below(255));
		break;
	case 1:		/* header lengths that cannot be */
		ip[0] = (uint8_t)(0x40 | below(16));
		break;
	case 2:
		ip[0] = (uint8_t)rnd();
		break;
	case 3:		/* a fragment: more to come, or not the first */
		ip[6] = (uint8_t)(below(2) ? 0x20 : below(32));
		ip[7] = (uint8_t)rnd();
		break;
	case 4:
		th[16 + below(2)] ^= (uint8_t)(1 + below(255));
		break;
	case 5:		/* TCP's data offset */
		th[12] = (uint8_t)rnd();
		break;
	case 6:		/* options: of no length, beyond the end, repeated */
		for (size_t i = 20; i < len - ETH_LEN - IP_LEN; i++)
			th[i] = (uint8_t)(below(2) ? below(10) : rnd());
		break;
	case 7:
		len = ETH_LEN + below((uint32_t)(len - ETH_LEN) + 1);
		break;
	case 8:		/* longer than it says, or with text */
		memset(frame + len, 0x41, FRAME_MAX - len);
		len += below((uint32_t)(FRAME_MAX - len));
		if (below(2)) {
			ip[2] = (uint8_t)((len - ETH_LEN) >> 8);
			ip[3] = (uint8_t)(len - ETH_LEN);
		}
		break;
	case 9:		/* IPv6 where IPv4 is, and other protocols */
		frame[12] = (uint8_t)rnd();
		frame[13] = (uint8_t)rnd();
		if (below(2)) {
			frame[12] = 0x86;
			frame[13] = 0xdd;
			ip[0] = 0x60;
		}
		break;
	case 10:
		th[13] = flags[below(ARRAY_SIZE(flags))];
		break;
	default:
		for (uint32_t n = 1 + below(8); n; n--)
			frame[ETH_LEN + below((uint32_t)(len - ETH_LEN))] = (uint8_t)rnd();
		break;
	}
	/* Half of them are good as far as IP's checksum goes. */
	if (below(2) && len >= ETH_LEN + IP_LEN)
		fix_ip_sum(ip, IP_LEN);
	return len;
}

static int frames(const char *what, uint32_t n, char **argv)
{
	struct flow f = { .ring_id = (uint8_t)atoi(argv[0]), .port = (uint16_t)atoi(argv[3]) };
	struct sockaddr_ll sll = { .sll_family = AF_PACKET, .sll_halen = 6 };
	int s = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
	uint32_t sent = 0;

	if (inet_pton(AF_INET, argv[1], &f.src) != 1 || inet_pton(AF_INET, argv[2], &f.dst) != 1) {
		errno = EINVAL;
		fail("address");
	}
	sll.sll_ifindex = (int)if_nametoindex("jet0");
	if (s < 0 || !sll.sll_ifindex)
		fail("jet0");
	for (uint32_t i = 0; i < n; i++) {
		uint8_t frame[FRAME_MAX] = { 0 };
		size_t len = make_syn(frame, &f);

		if (strcmp(what, "flood"))
			len = spoil(frame, len);
		if (sendto(s, frame, len, 0, (struct sockaddr *)&sll, sizeof(sll)) >= 0)
			sent++;
	}
	printf("%u sent\n", sent);
	return sent ? 0 : 1;
}

/* --- the lab's sockets -------------------------------------------------------------------- */

/* A line of words that the ring knows, in an order that it may not. */
static size_t make_line(char *buf, size_t size)
{
	static const char *const some[] = {
		"status", "link", "set", "show", "rule", "add", "lose", "corrupt", "n1->n2",
		"*->*", "->", "n1->", "n99->n1", "loss=1%", "loss=-1%", "loss=nan", "loss=", "=",
		"seed=99999999999999999999", "stream=user", "stream=-1", "data=0", "data=-5",
		"data=99999999999", "tx-vci", "n1", "auto", "ip", "rate", "0", "-1", "1e999",
		"unlimited", "capture", "nodes=", "nodes=n1,,n2", "rx=2", "snaplen=0",
		"snaplen=-1", "snaplen=99999999999", "\xff\xfe", "%s%n", "ping",
		"filter=", "filter=0006", "filter=000600000000000100", "filter=000500ffffffffff",
	};
	size_t len = 0;

	for (uint32_t n = below(8); n && len < size - 64; n--)
		len += (size_t)snprintf(buf + len, size - len, "%s%s", len ? " " : "",
					some[below(ARRAY_SIZE(some))]);
	if (len && !below(4))
		buf[below((uint32_t)len)] = (char)rnd();
	if (below(2))
		buf[len++] = '\n';
	return len;
}

/* A request for a port: its form is right, or nearly. */
static size_t make_request(struct js_pc_req *req, bool is_first)
{
	for (size_t i = 0; i < sizeof(*req); i++)
		((uint8_t *)req)[i] = (uint8_t)(below(3) ? 0 : rnd());
	req->op = is_first && below(8) ? JS_PC_OPEN : (uint16_t)below(JS_PC_FREE + 3);
	req->version = below(16) ? JS_PC_VERSION : (uint16_t)rnd();
	req->pool = (uint16_t)(below(2) ? below(8) : rnd());
	req->n = below(2) ? below(300) : (uint32_t)rnd();
	req->arg = below(2) ? below(64) : (uint32_t)rnd();
	if (req->op == JS_PC_OPEN) {
		/* Who is trusted may take IP_DIVERT: root's right, no attack. */
		req->arg = below(4) ? 0 : (uint32_t)rnd() & ~(uint32_t)JS_PORT_TRUSTED;
		req->n = below(2) ? 0 : (uint32_t)rnd();
	}
	return below(8) ? sizeof(*req) : below(sizeof(*req));
}

static int connect_to(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int s = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	if (s < 0 || connect(s, (struct sockaddr *)&sun, sizeof(sun)) < 0)
		fail(path);
	return s;
}

static int nonsense(const char *what, uint32_t n, const char *path)
{
	static union { struct js_pc_req req; char line[70000]; } u;
	bool is_port = !strcmp(what, "port");
	uint32_t sent = 0, answered = 0, age = 0;
	int s = -1;

	while (sent < n) {
		char answer[8192];
		struct pollfd p = { .events = POLLIN };
		size_t len;

		if (s < 0) {
			s = connect_to(path);
			age = 0;
		}
		len = is_port ? make_request(&u.req, !age) : make_line(u.line, 1000);
		if (!below(50))
			len = below(sizeof(u.line));
		p.fd = s;
		sent++;
		if (send(s, &u, len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ||
		    (poll(&p, 1, 20) > 0 && recv(s, answer, sizeof(answer), 0) <= 0) ||
		    !below(20)) {
			close(s);
			s = -1;
			continue;
		}
		answered += p.revents & POLLIN;
		age++;
	}
	printf("%u sent, %u answered\n", sent, answered);
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	bool is_frames = !strcmp(what, "frames") || !strcmp(what, "flood");

	if (argc != (is_frames ? 8 : 5)) {
		fputs("usage: hostile_net frames|flood SEED N RING_ID SRC DST PORT\n"
		      "       hostile_net ring|capture|port SEED N PATH\n", stderr);
		return 1;
	}
	signal(SIGPIPE, SIG_IGN);
	rng_state = strtoull(argv[2], NULL, 10) * 0x9e3779b97f4a7c15u | 1;
	if (is_frames)
		return frames(what, (uint32_t)atoi(argv[3]), argv + 4);
	return nonsense(what, (uint32_t)atoi(argv[3]), argv[4]);
}
