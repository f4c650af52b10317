/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * divert.c - packets from IP_DIVERT, and on to where they go
 *
 * Runs in jetconnd.  A packet is never copied: it is sent on from the buffers
 * it arrived in (SEND_RAW), then freed in the same script; jetringd keeps the
 * buffers until the last octet has left.
 *
 * A full script queue means that the ring is slower than what arrives.  Then
 * packets are dropped, like everywhere in IP, and counted.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/util.h"
#include "connserver/children.h"
#include "connserver/divert.h"
#include "connserver/syn.h"

#define DRAIN_TURNS	50	/* at the end, wait that often … */
#define DRAIN_US	1000	/* … so long for our last packets to leave */
#define GIVE_BACK_US	300000	/* and so long for jetringd's answer */

/* --- sending -------------------------------------------------------------- */

static void free_ids_push(struct cs_server *cs)
{
	unsigned int done = 0;

	while (done < cs->n_free) {
		unsigned int n = MIN(cs->n_free - done, (unsigned int)JS_OP_BUFS);

		if (poolc_free(&cs->q, cs->free_ids + done, n))
			break;
		done += n;
	}
	memmove(cs->free_ids, cs->free_ids + done,
		(cs->n_free - done) * sizeof(cs->free_ids[0]));
	cs->n_free -= done;
}

/* Our pool has no more buffers than free_ids[] has room for, so this only
 * fails if jetringd gave us more: then they are lost until we exit. */
static void sink_drop(struct cs_server *cs, const struct cs_packet *p)
{
	unsigned int n = MIN((unsigned int)p->n_buf, CS_RX_BUFS - cs->n_free);

	memcpy(cs->free_ids + cs->n_free, p->buf, n * sizeof(p->buf[0]));
	cs->n_free += n;
}

static bool sink_send(struct cs_server *cs, const struct cs_packet *p, js_vci_t vci)
{
	struct js_seg seg[JS_SDU_BUFS];
	uint32_t left = p->sdu_len;
	unsigned int i;
	int err;

	for (i = 0; i < p->n_buf; i++) {
		seg[i] = (struct js_seg){
			.buf = p->buf[i], .len = (uint16_t)MIN(left, (uint32_t)JS_BUF_SIZE),
		};
		left -= seg[i].len;
	}
	err = poolc_send_raw(&cs->q, cs->pool, vci, p->uucpi, NULL, 0, seg, p->n_buf);
	if (err)
		cs_count(cs, CS_DROP_QUEUE_FULL);
	sink_drop(cs, p);
	return !err;
}

static bool sink_answer(struct cs_server *cs, const uint8_t *hdr, unsigned int len, js_vci_t vci,
			uint16_t uucpi)
{
	int err = poolc_send_raw(&cs->q, cs->pool, vci, uucpi, hdr, len, NULL, 0);

	if (err)
		cs_count(cs, CS_DROP_QUEUE_FULL);
	return !err;
}

const struct cs_sink cs_divert_sink = {
	.send = sink_send, .drop = sink_drop, .answer = sink_answer,
};

void cs_divert_flush(struct cs_server *cs)
{
	if (cs->n_free)
		free_ids_push(cs);
	/* No room even for FREE: an event comes when there is. */
	if (cs->n_free && !poolc_want_space(&cs->q))
		free_ids_push(cs);
	if (poolc_publish(&cs->q))
		poolc_ring(&cs->pc);
}

/* --- receiving ------------------------------------------------------------ */

/* Take the next packet into *p.  False: there is none. */
static bool take(struct cs_server *cs, struct cs_packet *p)
{
	struct js_event ev;

	do {
		if (poolc_event_peek(&cs->pc, &ev) <= 0)
			return false;
		poolc_event_done(&cs->pc, &ev);
		/* JS_EV_SPACE needs nothing: cs_divert_flush() tries again. */
	} while (ev.type != JS_EV_RX || !ev.n_buf);
	p->sdu_len = ev.sdu_len;
	p->uucpi = ev.uucpi;
	p->flags = ev.flags;
	p->n_buf = ev.n_buf;
	memcpy(p->buf, ev.buf, sizeof(p->buf));
	p->n_peek = (uint16_t)MIN(ev.sdu_len, (uint32_t)CS_PEEK);
	memset(p->peek, 0, sizeof(p->peek));
	memcpy(p->peek, poolc_buf(&cs->pc, ev.buf[0]), p->n_peek);
	return true;
}

unsigned int cs_divert_run(struct cs_server *cs)
{
	struct cs_packet batch[CS_BATCH];
	unsigned int n = 0, i;

	while (n < CS_BATCH && take(cs, &batch[n]))
		n++;
	/* A child says Forward before its SYN leaves.  So if the answer to that
	 * SYN is in this batch, the Forward is in the channel by now. */
	if (n)
		cs_children_poll(cs);
	for (i = 0; i < n; i++)
		cs_syn_packet(cs, &batch[i]);
	return n;
}

/* --- the port ------------------------------------------------------------- */

/* Only readable when jetringd has gone: it never speaks first. */
static void port_ready(struct cs_server *cs, struct cs_watch *w, uint32_t events)
{
	(void)w;
	(void)events;
	cs->ring_gone = true;
	cs->ending = true;
}

/* The loop does what there is to do, poolc_sleep_done() empties it. */
static void wake_ready(struct cs_server *cs, struct cs_watch *w, uint32_t events)
{
	(void)cs;
	(void)w;
	(void)events;
}

static int take_ip_divert(struct cs_server *cs)
{
	const struct js_pool_req req = {
		.stream = JS_STREAM_NO, .txvci = JS_VCI_NONE, .queues = 1,
		.rx_limit = CS_RX_BUFS,
	};
	js_vci_t vci = vci_make(cs->ring_id, JS_STREAM_IP_DIVERT);
	int err = poolc_pool_create(&cs->pc, &req, &cs->pool, NULL);

	return err ? err : poolc_vci_bind(&cs->pc, cs->pool, &vci);
}

int cs_divert_start(struct cs_server *cs, const char **what)
{
	int err;

	*what = cs->cfg.port_sock;
	err = poolc_open(&cs->pc, cs->cfg.port_sock, JS_PORT_TRUSTED, 0);
	if (err)
		return err;
	cs->ring_id = cs->pc.ring_id;
	/* A child must not have a trusted port's memory. */
	if (madvise(cs->pc.map, cs->pc.size, MADV_DONTFORK) < 0)
		return -errno;
	err = poolc_queue_init(&cs->q, &cs->pc, 0);
	if (err)
		return err;
	*what = "IP_DIVERT";
	err = take_ip_divert(cs);
	if (err)
		return err;
	cs->port_w = (struct cs_watch){ .fd = cs->pc.sock, .ready = port_ready };
	cs->wake_w = (struct cs_watch){ .fd = cs->pc.wake_fd, .ready = wake_ready };
	err = cs_watch_add(cs->epoll_fd, &cs->port_w, EPOLLIN | EPOLLRDHUP);
	return err ? err : cs_watch_add(cs->epoll_fd, &cs->wake_w, EPOLLIN);
}

/* Give IP_DIVERT back; its answer is waited for, but not for ever: jetringd
 * may be the one that ends us, and wait for that. */
static int give_back_ip_divert(struct cs_server *cs)
{
	const struct timeval limit = { .tv_usec = GIVE_BACK_US };

	if (setsockopt(cs->pc.sock, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0)
		return -errno;
	return poolc_vci_unbind(&cs->pc, cs->pool, vci_make(cs->ring_id, JS_STREAM_IP_DIVERT));
}

void cs_divert_stop(struct cs_server *cs)
{
	uint32_t last;
	int i;

	if (!cs->pc.map)
		return;
	if (!cs->ring_gone && cs->pool && !give_back_ip_divert(cs)) {
		/* What came before that is still ours to send on. */
		while (cs_divert_run(cs))
			cs_divert_flush(cs);
		cs_syn_flush(cs);
		cs_divert_flush(cs);
		last = poolc_tail(&cs->q) - 1;
		for (i = 0; i < DRAIN_TURNS && !poolc_is_done(&cs->q, last); i++)
			usleep(DRAIN_US);
	}
	poolc_close(&cs->pc);
	cs->pc.map = NULL;
}
