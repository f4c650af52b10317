/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * many_ports.c - hundreds of ports on all nodes of a ring, busy and idle
 *
 *	many_ports LAB NODES PORTS ROUNDS
 *
 * Opens PORTS ports on each node, all in this process.  In each round every
 * port sends a packet to the next port of the next node, in one go, then every
 * port must have got its packet, octet by octet.  Prints "idle", waits for an
 * octet on standard input, plays one more round (nobody may have been
 * forgotten), and prints "done".
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/poll.h>
#include <unistd.h>

#include "stack/pool/poolc.h"

#define HDR	20
#define LEN	200

struct end {
	struct poolc pc;
	struct poolc_queue q;
	uint16_t pool, buf;
	js_vci_t rxvci;
};

static struct end *ends;
static unsigned int n_ends;

static void die(const char *what, int err)
{
	fprintf(stderr, "many_ports: %s: %s\n", what, strerror(-err));
	exit(1);
}

static void header(uint8_t *h)
{
	memset(h, 0, HDR);
	h[0] = 0x45;
	h[3] = HDR + LEN;
	h[9] = 253;
}

static void open_end(struct end *e, const char *lab, unsigned int node)
{
	struct js_pool_req req = {
		.stream = JS_STREAM_ANY, .queues = 1, .tx_limit = 4, .rx_limit = 4,
		.tmpl = { .ip_len = 20, .ip_value = { 0x45 }, .ip_mask = { 0xff } },
	};
	struct bufcache bc;
	char path[100];
	int err;

	snprintf(path, sizeof(path), "/run/jetstream/%s/n%u.sock", lab, node);
	err = poolc_open(&e->pc, path, 0, 16);
	if (!err)
		err = poolc_queue_init(&e->q, &e->pc, 0);
	if (!err)
		err = poolc_pool_create(&e->pc, &req, &e->pool, &e->rxvci);
	if (!err)
		err = bufcache_init(&bc, &e->q, e->pool, 1, 2);
	if (!err)
		err = bufcache_get(&bc, &e->buf, 1, true);
	if (err != 1)
		die(path, err);
}

static uint8_t octet(unsigned int from, unsigned int round, unsigned int i)
{
	return (uint8_t)(from * 7 + round * 13 + i);
}

static void transmit(struct end *e, unsigned int me, unsigned int round)
{
	struct js_seg seg = { .buf = e->buf, .len = LEN };
	uint8_t hdr[HDR], *mem = poolc_buf(&e->pc, e->buf);

	for (unsigned int i = 0; i < LEN; i++)
		mem[i] = octet(me, round, i);
	header(hdr);
	if (poolc_send(&e->q, e->pool, 0, hdr, HDR, &seg, 1))
		die("send", -EAGAIN);
	poolc_publish(&e->q);
	poolc_ring(&e->pc);
}

static void receive(struct end *e, unsigned int from, unsigned int round)
{
	struct js_event ev;
	const uint8_t *mem;

	while (!poolc_event_peek(&e->pc, &ev)) {
		struct pollfd p = { .fd = e->pc.wake_fd, .events = POLLIN };

		if (!poolc_sleep_prepare(&e->pc))
			continue;
		if (poll(&p, 1, 30000) == 0)
			die("a packet", -ETIMEDOUT);
		poolc_sleep_done(&e->pc);
	}
	poolc_event_done(&e->pc, &ev);
	mem = poolc_buf(&e->pc, ev.buf[0]);
	for (unsigned int i = 0; i < LEN; i++) {
		if (ev.sdu_len != HDR + LEN || mem[HDR + i] != octet(from, round, i))
			die("another packet", -EPROTO);
	}
	poolc_free(&e->q, ev.buf, ev.n_buf);
	poolc_publish(&e->q);
	poolc_ring(&e->pc);
}

static void play(unsigned int round)
{
	for (unsigned int i = 0; i < n_ends; i++)
		transmit(&ends[i], i, round);
	for (unsigned int i = 0; i < n_ends; i++)
		receive(&ends[(i + 1) % n_ends], i, round);
}

int main(int argc, char **argv)
{
	unsigned int nodes, ports, rounds, r;
	struct rlimit rl;
	char c;

	if (argc != 5)
		return 2;
	nodes = (unsigned int)atoi(argv[2]);
	ports = (unsigned int)atoi(argv[3]);
	rounds = (unsigned int)atoi(argv[4]);
	if (getrlimit(RLIMIT_NOFILE, &rl) == 0) {
		rl.rlim_cur = rl.rlim_max;
		setrlimit(RLIMIT_NOFILE, &rl);
	}
	n_ends = nodes * ports;
	ends = calloc(n_ends, sizeof(*ends));
	if (!ends)
		die("memory", -ENOMEM);
	for (unsigned int i = 0; i < n_ends; i++)
		open_end(&ends[i], argv[1], i % nodes + 1);
	for (unsigned int i = 0; i < n_ends; i++) {
		struct js_pool_req req = { .txvci = ends[(i + 1) % n_ends].rxvci };
		int err = poolc_pool_set(&ends[i].pc, ends[i].pool, JS_PS_TXVCI, &req);

		if (err)
			die("TxVCI", err);
	}
	for (r = 0; r < rounds; r++)
		play(r);
	puts("idle");
	fflush(stdout);
	if (read(0, &c, 1) < 0)
		die("standard input", -errno);
	play(r);
	puts("done");
	return 0;
}
