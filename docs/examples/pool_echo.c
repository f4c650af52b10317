/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pool_echo.c - a protocol of one's own on pools: requests and responses
 *
 *	pool_echo serve SOCKET			on one node
 *	pool_echo ask SOCKET VCI N OCTETS	on another, VCI as the server printed it
 *
 * SOCKET is the node's, /run/jetstream/LAB/nK.sock.  A request is N octets
 * behind an IPv4 header of protocol 253 (RFC 3692: experiments); the response
 * is the same octets.  The client has its RxVCI injected into each request,
 * as TCP does with SYNs (paper, 4.4.7): that is where the response goes.  The
 * client sends again what is not answered within 200 ms; identification is the
 * number of the request.
 *
 *	cc pool_echo.c -ljetpool -o pool_echo
 *
 * Every call into the pool library that matters for a protocol is here; see
 * docs/pool-api.md.
 */
#include <jetstream/pool.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROTO		253
#define HDR		20	/* octets of the IPv4 header */
#define RESEND_MS	200

struct echo {
	struct poolc pc;
	struct poolc_queue q;
	struct bufcache bc;
	uint16_t pool;
	js_vci_t rxvci;
};

static void die(const char *what, int err)
{
	fprintf(stderr, "pool_echo: %s: %s\n", what, strerror(-err));
	exit(1);
}

/* The addresses are not used: the VCI is the address.  Octets 2 and 3, the
 * length, are checked by the driver against the SDU's. */
static void header(uint8_t *h, uint32_t sdu_len, uint16_t nr)
{
	static const uint8_t proto[HDR] = { 0x45, 0, 0, 0, 0, 0, 0x40, 0, 1, PROTO };

	memcpy(h, proto, HDR);
	h[2] = (uint8_t)(sdu_len >> 8);
	h[3] = (uint8_t)sdu_len;
	h[4] = (uint8_t)(nr >> 8);
	h[5] = (uint8_t)nr;
}

/* What the pool may send, and nothing else: IPv4 without options, this
 * protocol.  Any identification. */
static void template(struct js_template *t)
{
	memset(t, 0, sizeof(*t));
	t->ip_len = HDR;
	t->ip_value[0] = 0x45;
	t->ip_mask[0] = 0xff;
	t->ip_value[9] = PROTO;
	t->ip_mask[9] = 0xff;
}

static void start(struct echo *e, const char *sock, js_vci_t txvci)
{
	struct js_pool_req req = {
		.stream = JS_STREAM_ANY,	/* an RxVCI of our own */
		.txvci = txvci,
		.queues = 1u << 0,		/* our queue may name it */
		.tx_limit = 256, .rx_limit = 256,
	};
	int err = poolc_open(&e->pc, sock, 0, 0);

	if (err)
		die(sock, err);
	err = poolc_queue_init(&e->q, &e->pc, 0);
	template(&req.tmpl);
	if (!err)
		err = poolc_pool_create(&e->pc, &req, &e->pool, &e->rxvci);
	if (!err)
		err = bufcache_init(&e->bc, &e->q, e->pool, 16, 64);
	if (err)
		die("pool", err);
}

/* The next packet, at most @timeout_ms (-1: for ever) from now.  1, or 0. */
static int receive(struct echo *e, struct js_event *ev, int timeout_ms)
{
	for (;;) {
		struct pollfd p = { .fd = e->pc.wake_fd, .events = POLLIN };

		while (poolc_event_peek(&e->pc, ev)) {
			if (poolc_event_done(&e->pc, ev) && ev->type == JS_EV_RX)
				return 1;
		}
		if (poolc_closed(&e->pc))
			die("the ring", -ENETDOWN);
		if (!poolc_sleep_prepare(&e->pc))
			continue;	/* one has come meanwhile */
		timeout_ms = poll(&p, 1, timeout_ms) == 0 ? 0 : timeout_ms;
		poolc_sleep_done(&e->pc);
		if (!timeout_ms)
			return poolc_event_peek(&e->pc, ev) && poolc_event_done(&e->pc, ev) &&
			       ev->type == JS_EV_RX;
	}
}

/* All that was pushed, in one crossing, or none if the driver is awake. */
static void run(struct echo *e)
{
	poolc_publish(&e->q);
	poolc_ring(&e->pc);
}

/* A queue is as long as it is: wait for the driver if there is no room. */
static void room(struct echo *e, uint32_t ops)
{
	while (poolc_space(&e->q) < ops) {
		if (poolc_queue_check(&e->q))
			die("script queue", poolc_queue_check(&e->q));
		run(e);
		poll(NULL, 0, 1);
	}
}

/*
 * The response is sent from the very buffers the request came in: no octet of
 * it is copied.  FREE may follow at once, the driver keeps a buffer until all
 * SENDs that name it have left.
 */
static void answer(struct echo *e, const struct js_event *ev)
{
	struct js_pool_req to = { .txvci = ev->uucpi & JS_VCI_MAX };
	const uint8_t *in = poolc_buf(&e->pc, ev->buf[0]);
	struct js_seg seg[JS_SDU_BUFS];
	uint32_t left = ev->sdu_len;
	unsigned int n = 0;
	uint8_t hdr[HDR];

	room(e, 2);
	if (ev->uucpi & JS_UUCPI_RXVCI && left >= HDR &&
	    poolc_pool_set(&e->pc, e->pool, JS_PS_TXVCI, &to) == 0) {
		memcpy(hdr, in, HDR);
		for (; n < ev->n_buf && left; n++) {
			uint16_t off = n ? 0 : HDR;
			uint32_t all = left < JS_BUF_SIZE ? left : JS_BUF_SIZE;

			if (all == off)
				break;
			seg[n] = (struct js_seg) { .buf = ev->buf[n], .off = off,
						   .len = (uint16_t)(all - off) };
			left -= all;
		}
		poolc_send(&e->q, e->pool, 0, hdr, HDR, seg, n);
	}
	poolc_free(&e->q, ev->buf, ev->n_buf);
	run(e);
}

static _Noreturn void serve(struct echo *e)
{
	struct js_event ev;

	printf("%u\n", e->rxvci);
	fflush(stdout);
	for (;;) {
		receive(e, &ev, -1);
		answer(e, &ev);
	}
}

static uint8_t octet(uint32_t nr, uint32_t i)
{
	return (uint8_t)(nr * 31 + i + (i >> 8));
}

/* Octets into @n buffers of ours; pieces that name them. */
static unsigned int fill(struct echo *e, const uint16_t *ids, struct js_seg *seg, uint32_t nr,
			 uint32_t octets)
{
	uint32_t at = 0;
	unsigned int n = 0;

	while (at < octets) {
		uint32_t len = octets - at < JS_BUF_SIZE ? octets - at : JS_BUF_SIZE;
		uint8_t *buf = poolc_buf(&e->pc, ids[n]);

		for (uint32_t i = 0; i < len; i++)
			buf[i] = octet(nr, at + i);
		seg[n] = (struct js_seg) { .buf = ids[n], .off = 0, .len = (uint16_t)len };
		n++;
		at += len;
	}
	return n;
}

/* It is the response to request @nr, octet by octet. */
static int is_response(const struct echo *e, const struct js_event *ev, uint32_t nr,
		       uint32_t octets)
{
	const uint8_t *hdr = poolc_buf(&e->pc, ev->buf[0]);

	if (ev->sdu_len != HDR + octets || (hdr[4] << 8 | hdr[5]) != (uint16_t)nr)
		return 0;
	for (uint32_t i = 0; i < octets; i++) {
		uint32_t at = HDR + i;

		if (poolc_buf(&e->pc, ev->buf[at / JS_BUF_SIZE])[at % JS_BUF_SIZE] != octet(nr, i))
			die("a response differs", -EPROTO);
	}
	return 1;
}

static void ask_once(struct echo *e, uint32_t nr, uint32_t octets)
{
	unsigned int n_bufs = (octets + JS_BUF_SIZE - 1) / JS_BUF_SIZE, got = 0, n;
	struct js_seg seg[JS_SDU_BUFS];
	uint16_t ids[JS_SDU_BUFS];
	uint8_t hdr[HDR];
	int done = 0;

	while (got < n_bufs) {
		int r = bufcache_get(&e->bc, ids + got, n_bufs - got, true);

		if (r < 0)
			die("buffers", r);
		got += (unsigned int)r;
	}
	n = fill(e, ids, seg, nr, octets);
	header(hdr, HDR + octets, (uint16_t)nr);
	while (!done) {
		struct js_event ev;

		room(e, 1);
		if (poolc_send(&e->q, e->pool, JS_SEND_INJECT, hdr, HDR, seg, n))
			die("send", -EINVAL);
		run(e);
		while (!done && receive(e, &ev, RESEND_MS)) {
			done = is_response(e, &ev, nr, octets);
			room(e, 1);
			poolc_free(&e->q, ev.buf, ev.n_buf);
		}
	}
	/* Answered, so it has left; sent twice, a copy may still wait: FREE,
	 * which the driver defers, is right in any case. */
	room(e, 1);
	poolc_free(&e->q, ids, n_bufs);
	run(e);
}

int main(int argc, char **argv)
{
	static struct echo e;

	if (argc == 3 && !strcmp(argv[1], "serve")) {
		start(&e, argv[2], JS_VCI_NONE);
		serve(&e);
	}
	if (argc == 6 && !strcmp(argv[1], "ask")) {
		uint32_t n = (uint32_t)atoi(argv[4]), octets = (uint32_t)atoi(argv[5]);

		if (HDR + octets > JS_MTU)
			die("too many octets", -EMSGSIZE);
		start(&e, argv[2], (js_vci_t)atoi(argv[3]));
		for (uint32_t nr = 1; nr <= n; nr++)
			ask_once(&e, nr, octets);
		printf("%u responses of %u octets\n", n, octets);
		poolc_close(&e.pc);
		return 0;
	}
	fprintf(stderr, "usage: pool_echo serve SOCKET | ask SOCKET VCI N OCTETS\n");
	return 2;
}
