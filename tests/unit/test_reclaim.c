/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_reclaim.c - what processes held that were killed or stopped
 *
 * Two stacks with their children, turned by hand, on the driver of poolrig.h;
 * the processes that are killed or stopped are real ones, forked with a view
 * of the stack that was attached before, and end at the fault points of
 * stack/shm/commit.h.
 */
#include "tests/unit/poolrig.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "stack/child/child_int.h"

#define SEG		1200	/* octets: larger than what is copied together */
#define MANY		3000	/* segments */

/* A process's view of a stack, and its channel. */
struct app {
	struct stk stk;
	int channel;
};

struct half {
	struct child c;
	struct app app;
	uint32_t sock, gen;
};

static struct half a, b;
static uint8_t data[MANY * SEG], got[sizeof(data)];

/* --- two stacks and a connection ------------------------------------------------- */

static void half_start(struct half *h, unsigned int station)
{
	struct child *c = &h->c;

	memset(h, 0, sizeof(*h));
	c->server_fd = -1;
	c->next_us = c->handover_us = c->server_retry_us = UINT64_MAX;
	c->mtu = JS_MTU;
	snprintf(c->args.port_sock, sizeof(c->args.port_sock), "%s", rig.path[station]);
	c->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	assert_true(c->epoll_fd >= 0);
	assert_int_equal(poolc_open(&c->stk.pc, c->args.port_sock, 0, 0), 0);
	assert_int_equal(child_make_stack(c), 0);
}

static void turn(struct half *h)
{
	child_messages(&h->c);
	child_turn(&h->c);
}

static void turn_both(void)
{
	turn(&a);
	turn(&b);
	sched_yield();
}

#define TURN_UNTIL_(cond, a_turn)					\
	do {								\
		uint64_t until_ = now_us() + RIG_WAIT_US;		\
									\
		while (!(cond)) {					\
			if (now_us() > until_)				\
				fail_msg("waited in vain for " #cond);	\
			a_turn;						\
		}							\
	} while (0)
#define TURN_UNTIL(cond)	TURN_UNTIL_(cond, turn_both())

static void attach(struct half *h, struct app *app)
{
	int pair[2], fds[CM_INIT_NFDS], n_fds = 0, one = 1;
	struct cm_msg m;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	setsockopt(pair[0], SOL_SOCKET, SO_PASSCRED, &one, sizeof(one));
	assert_int_equal(ctl_add_proc(&h->c, pair[1], getpid()), 0);
	assert_int_equal(cm_recv(pair[0], &m, fds, CM_INIT_NFDS, &n_fds, NULL, 0), 1);
	assert_int_equal(n_fds, CM_INIT_NFDS);
	assert_int_equal(stk_attach(&app->stk, fds, m.n, m.sock), 0);
	app->channel = pair[0];
}

/* The process has ended; so has our copy of what it had. */
static void detach(struct app *app)
{
	close(app->channel);
	stk_detach(&app->stk);
}

/* Its bind-point: a kernel socket that says whose the port is. */
static int bind_point(uint16_t *port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	socklen_t len = sizeof(sin);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&sin, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	*port = ntohs(sin.sin_port);
	return fd;
}

static struct cm_addr node_addr(unsigned int station, uint16_t port)
{
	return (struct cm_addr){
		.addr = { [10] = 0xff, 0xff, 10, 74, 0, (uint8_t)station }, .port = port,
	};
}

static struct csock *new_sock(struct half *h)
{
	int idx = conn_new(&h->c, AF_INET, 0);

	assert_true(idx >= 0);
	h->sock = (uint32_t)idx;
	h->gen = h->c.socks[idx].gen;
	return &h->c.socks[idx];
}

static struct so_info info_of(struct half *h)
{
	struct so_info info;

	assert_int_equal(so_info(&h->app.stk, h->sock, h->gen, &info), 0);
	return info;
}

/* @maxseg: octets of a segment from a; 0 as many as fit. */
static void connect_both(uint32_t maxseg)
{
	struct csock *from = new_sock(&a), *to = new_sock(&b);
	uint16_t port, pport;

	from->bp = bind_point(&port);
	to->bp = bind_point(&pport);
	from->local = to->peer = node_addr(1, port);
	from->peer = to->local = node_addr(2, pport);
	from->ring_id = 2;
	to->ring_id = 1;
	from->txvci = vci_make(2, JS_STREAM_IP);
	to->txvci = vci_make(1, JS_STREAM_IP);
	atomic_store(&a.c.stk.socks[a.sock].topt[JS_TOPT_MAXSEG], maxseg);
	assert_int_equal(conn_set_bufs(&a.c, a.sock, JS_BUF_MAX, true), 0);
	assert_int_equal(conn_set_bufs(&b.c, b.sock, JS_BUF_MAX, false), 0);
	assert_int_equal(conn_open(&b.c, b.sock, false, NULL), 0);
	assert_int_equal(conn_open(&a.c, a.sock, true, NULL), 0);
	TURN_UNTIL(info_of(&a).flags & JS_SOF_CONNECTED && info_of(&b).flags & JS_SOF_CONNECTED);
}

static int setup(void **state)
{
	(void)state;
	rig_start(false);
	half_start(&a, 1);
	half_start(&b, 2);
	attach(&a, &a.app);
	attach(&b, &b.app);
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 167 + (i >> 8));
	memset(got, 0, sizeof(got));
	return 0;
}

static void half_stop(struct half *h)
{
	detach(&h->app);
	for (int i = 0; i < MAX_PROCS; i++) {
		if (h->c.procs[i].used)
			close(h->c.procs[i].fd);
	}
	close(h->c.socks[h->sock].bp);
	close(h->c.epoll_fd);
	close(h->c.kick_fd);
	close(h->c.stack_fd);
	close(h->c.guard_fd);
	poolc_close(&h->c.stk.pc);
}

static int teardown(void **state)
{
	(void)state;
	half_stop(&a);
	half_stop(&b);
	rig_stop();
	return 0;
}

/* Buffers of a kind that the port of @h owns. */
static unsigned int owned(struct half *h, int kind)
{
	static struct js_buf_own own[JS_PC_QUERY_MAX];
	unsigned int n = 0, first = 0;
	int k;

	while ((k = poolc_query(&h->c.stk.pc, first, own)) > 0) {
		for (int i = 0; i < k; i++)
			n += own[i].kind == kind;
		first += (unsigned int)k;
	}
	return n;
}

static void send_all(struct half *h, const uint8_t *from, size_t len)
{
	while (len) {
		struct iovec iov = { (void *)(uintptr_t)from, len };
		ssize_t n = so_send(&h->app.stk, h->sock, h->gen, &iov, 1, 0);

		if (n > 0) {
			from += n;
			len -= (size_t)n;
		} else {
			assert_int_equal(n, -EAGAIN);
		}
		turn_both();
	}
}

static ssize_t recv_some(struct stk *stk, struct half *h, uint8_t *to, size_t len)
{
	struct iovec iov = { to, len };

	return so_recv(stk, h->sock, h->gen, &iov, 1, 0);
}

static void read_all(size_t len)
{
	size_t n = 0;

	while (n < len) {
		ssize_t k;

		TURN_UNTIL(info_of(&b).rcv_cc);
		k = recv_some(&b.app.stk, &b, got + n, len - n);
		assert_true(k > 0);
		n += (size_t)k;
	}
	assert_memory_equal(got, data, len);
}

/* --- processes -------------------------------------------------------------------- */

/* A process that does @what with its view of @h, and meets @fault there. */
static pid_t process(struct half *h, struct app *app, const char *fault,
		     void (*what)(struct half *h, struct app *app))
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid)
		return pid;
	setenv("JETSTREAM_FAULT", fault, 1);
	fault_init();
	what(h, app);
	_exit(0);
}

static void do_recv(struct half *h, struct app *app)
{
	recv_some(&app->stk, h, got, sizeof(got));
}

static void do_send(struct half *h, struct app *app)
{
	struct iovec iov = { data, 50000 };

	so_send(&app->stk, h->sock, h->gen, &iov, 1, 0);
}

static void do_input(struct half *h, struct app *app)
{
	(void)h;
	if (stk_lock(&app->stk))
		return;
	so_input_events(&app->stk, 64);
	stk_unlock(&app->stk);
}

static void was_killed(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* Stopped at @fault in @what, and robbed. */
static pid_t fenced_in(struct half *h, struct app *app, int place, const char *fault,
		       void (*what)(struct half *h, struct app *app))
{
	pid_t pid = process(h, app, fault, what);
	int status;

	h->c.procs[place].pid = pid;
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(WIFSTOPPED(status));
	/* One of another process, that was fenced before, is late with this. */
	stk_works_on(&h->app.stk, JS_N_SOCKS - 1);
	child_lock(&h->c);
	child_unlock(&h->c);
	assert_true(h->c.procs[place].fenced);
	return pid;
}

/* --- tests --------------------------------------------------------------------------- */

/* Killed behind the commit of a recv(), its FREEs not published. */
static void rx_buffers_of_a_dead_reader(void **state)
{
	struct app reader;

	(void)state;
	connect_both(0);
	attach(&b, &reader);
	send_all(&a, data, 100000);
	TURN_UNTIL(info_of(&b).rcv_cc == 100000);
	assert_true(owned(&b, BUF_RX) >= 100000 / JS_BUF_SIZE);
	was_killed(process(&b, &reader, "after-commit", do_recv));
	detach(&reader);
	TURN_UNTIL(!owned(&b, BUF_RX));
	/* What came meanwhile, read by nobody yet, is not touched. */
	attach(&b, &reader);
	send_all(&a, data, 100000);
	TURN_UNTIL(info_of(&b).rcv_cc == 100000);
	was_killed(process(&b, &reader, "before-commit", do_recv));
	detach(&reader);
	TURN_UNTIL(!b.c.procs[1].used && !b.c.want_sweep);
	assert_int_equal(recv_some(&b.app.stk, &b, got, sizeof(got)), 100000);
	assert_memory_equal(got, data, 100000);
	TURN_UNTIL(!owned(&b, BUF_RX));
}

/* A packet whose event nobody has consumed yet is nobody's loss. */
static void unread_events_are_kept(void **state)
{
	struct iovec iov = { data + 30000, 30000 };
	struct app other;
	struct js_event ev;
	unsigned int n;

	(void)state;
	connect_both(0);
	attach(&b, &other);
	send_all(&a, data, 30000);
	TURN_UNTIL(info_of(&b).rcv_cc == 30000 && !info_of(&a).snd_cc);
	/* B's child looks at its channels, not at packets. */
	assert_int_equal(so_send(&a.app.stk, a.sock, a.gen, &iov, 1, 0), 30000);
	RIG_UNTIL(poolc_event_peek(&b.c.stk.pc, &ev));
	detach(&other);
	RIG_UNTIL((child_messages(&b.c), !b.c.procs[1].used));
	n = owned(&b, BUF_RX);
	child_lock(&b.c);
	reclaim_sweep(&b.c);
	child_unlock(&b.c);
	assert_false(b.c.want_sweep);
	/* More may have come. */
	assert_true(owned(&b, BUF_RX) >= n);
	TURN_UNTIL(info_of(&b).rcv_cc == 60000);
	assert_int_equal(recv_some(&b.app.stk, &b, got, sizeof(got)), 60000);
	assert_memory_equal(got, data, 60000);
}

/* Eight segments from a to b, which looks when it has all of them.  The last one is
 * @damaged.  Return: segments that b sends */
static uint32_t eight_at_once(bool damaged)
{
	struct iovec iov = { data, 8 * SEG };
	struct js_event ev;
	struct so_txn t;
	uint32_t before;

	assert_int_equal(so_begin(b.c.stk.mem, b.sock, &t), 0);
	before = t.s.segs_out;
	assert_int_equal(so_send(&a.app.stk, a.sock, a.gen, &iov, 1, 0), 8 * SEG);
	RIG_UNTIL(poolc_event_look(&b.c.stk.pc, 7, &ev));
	if (damaged)
		poolc_buf(&b.c.stk.pc, ev.buf[0])[SEG / 2] ^= 1;
	child_turn(&b.c);
	assert_false(poolc_event_peek(&b.c.stk.pc, &ev));
	assert_int_equal(so_begin(b.c.stk.mem, b.sock, &t), 0);
	assert_int_equal(t.s.rcv_cc, (damaged ? 7 : 8) * SEG);
	TURN_UNTIL(info_of(&b).rcv_cc == 8 * SEG && !info_of(&a).snd_cc);
	assert_int_equal(recv_some(&b.app.stk, &b, got, sizeof(got)), 8 * SEG);
	assert_memory_equal(got, data, 8 * SEG);
	return t.s.segs_out - before;
}

/* What waits in the event queue is processed before an ACK is sent (RFC 9293,
 * MUST-59); it is sent although the last is no segment of the connection. */
static void queued_segments_have_one_ack(void **state)
{
	(void)state;
	connect_both(SEG + 12);		/* timestamps */
	assert_int_equal(eight_at_once(false), 1);
	assert_int_equal(eight_at_once(true), 1);
}

/* Nor does it matter what follows then: a segment of another connection. */
static void answer_is_not_forgotten(void **state)
{
	struct iovec iov = { data, 2 * SEG };
	uint32_t first, gen, first_b, before;
	struct js_event ev;
	struct so_txn t;

	(void)state;
	connect_both(SEG + 12);
	first = a.sock;
	gen = a.gen;
	first_b = b.sock;
	connect_both(SEG + 12);
	assert_int_equal(so_begin(b.c.stk.mem, first_b, &t), 0);
	before = t.s.segs_out;
	assert_int_equal(so_send(&a.app.stk, first, gen, &iov, 1, 0), 2 * SEG);
	RIG_UNTIL(poolc_event_look(&b.c.stk.pc, 1, &ev));
	poolc_buf(&b.c.stk.pc, ev.buf[0])[SEG / 2] ^= 1;
	iov.iov_len = SEG;
	assert_int_equal(so_send(&a.app.stk, a.sock, a.gen, &iov, 1, 0), SEG);
	RIG_UNTIL(poolc_event_look(&b.c.stk.pc, 2, &ev));
	child_turn(&b.c);
	assert_false(poolc_event_peek(&b.c.stk.pc, &ev));
	assert_int_equal(so_begin(b.c.stk.mem, first_b, &t), 0);
	assert_int_equal(t.s.rcv_cc, SEG);
	assert_int_equal(t.s.segs_out, before + 1);
	close(a.c.socks[first].bp);
	close(b.c.socks[first_b].bp);
}

/* The script queue of @stk, of @h, has no room: the ring keeps what it sends. */
static void fill_queue(struct half *h, struct stk *stk)
{
	struct poolc_queue *q = &stk->q;
	struct iovec iov = { data, 100 };
	const struct js_op *last;
	struct js_op *op;

	rig_lock();
	atomic_store(&rig.hold, true);
	rig_unlock();
	assert_int_equal(so_send(stk, h->sock, h->gen, &iov, 1, 0), 100);
	last = &q->sq->op[(poolc_tail(q) - 1) % JS_QUEUE_OPS];
	assert_int_equal(last->code, JS_OP_SEND);
	while ((op = poolc_op(q))) {
		memcpy(&op->code, &last->code, sizeof(*op) - offsetof(struct js_op, code));
		poolc_push(q);
		poolc_publish(q);
		poolc_ring(q->pc);
	}
}

static void let_go(void)
{
	rig_lock();
	rig_release();
	rig_unlock();
}

/* A process that sleeps with its queue full keeps no Rx buffer. */
static void freed_although_the_queue_is_full(void **state)
{
	(void)state;
	connect_both(0);
	send_all(&a, data, 200000);
	TURN_UNTIL(info_of(&b).rcv_cc == 200000);
	fill_queue(&b, &b.app.stk);
	assert_int_equal(recv_some(&b.app.stk, &b, got, sizeof(got)), 200000);
	/* It does nothing any more; its child does. */
	TURN_UNTIL(!owned(&b, BUF_RX));
	assert_memory_equal(got, data, 200000);
	let_go();
}

/* FIN finds the child's own queue full, and nobody but the child looks at events. */
static void cut_short_in_the_childs_queue(void **state)
{
	uint32_t sock, gen, to;
	struct so_info info;

	(void)state;
	connect_both(0);
	sock = a.sock;
	gen = a.gen;
	to = b.sock;
	connect_both(0);	/* answers to what fills the queue are for this one */
	fill_queue(&a, &a.c.stk);
	assert_int_equal(so_shutdown(&a.c.stk, sock, gen, SHUT_WR), 0);
	assert_true(atomic_load(&a.c.stk.socks[sock].pending));
	let_go();
	TURN_UNTIL(!so_info(&b.c.stk, to, b.c.socks[to].gen, &info) && info.flags & JS_SOF_EOF);
	close(a.c.socks[sock].bp);
	close(b.c.socks[to].bp);
}

/* The driver has no turn for 100 ms: others have its processor. */
static void *without_processor(void *arg)
{
	_Atomic bool *begun = arg;

	rig_lock();
	atomic_store(begun, true);
	usleep(100000);
	rig_unlock();
	return NULL;
}

/* Whoever frees what an application has just sent waits for the driver that
 * has it to fetch still, however long others keep that from running. */
static void driver_without_processor(void **state)
{
	struct iovec iov = { data, 100 };
	_Atomic bool begun = false;
	pthread_t thread;

	(void)state;
	connect_both(0);
	send_all(&a, data, 100);	/* it has buffers then, and need not ask */
	TURN_UNTIL(!info_of(&a).snd_cc);
	assert_int_equal(pthread_create(&thread, NULL, without_processor, (void *)&begun), 0);
	while (!atomic_load(&begun))
		sched_yield();
	assert_int_equal(so_send(&a.app.stk, a.sock, a.gen, &iov, 1, 0), 100);
	child_lock(&a.c);
	reclaim_wait_fetched(&a.c);
	child_unlock(&a.c);
	assert_int_equal(atomic_load(&a.app.stk.q.sq->fetched), poolc_tail(&a.app.stk.q));
	pthread_join(thread, NULL);
	TURN_UNTIL(info_of(&b).rcv_cc == 200);
}

/* As many as so_rcv may hold in one call. */
static void thousands_in_one_call(void **state)
{
	(void)state;
	connect_both(SEG);
	send_all(&a, data, sizeof(data));
	TURN_UNTIL(info_of(&b).rcv_cc == sizeof(data));
	assert_true(owned(&b, BUF_RX) > 2048);
	fill_queue(&b, &b.app.stk);
	assert_int_equal(recv_some(&b.app.stk, &b, got, sizeof(got)), sizeof(data));
	TURN_UNTIL(!owned(&b, BUF_RX));
	assert_memory_equal(got, data, sizeof(data));
	let_go();
}

/* The next @n packets for b never were. */
static void lose_many(unsigned int n)
{
	struct js_event ev;

	while (n--) {
		TURN_UNTIL_(poolc_event_peek(&b.c.stk.pc, &ev), turn(&a));
		assert_int_equal(ev.type, JS_EV_RX);
		assert_int_equal(poolc_free_bufs(&b.c.stk.pc, ev.buf, ev.n_buf), 0);
		assert_true(poolc_event_done(&b.c.stk.pc, &ev));
	}
}

static struct js_so state_of(struct half *h)
{
	struct so_txn t;

	assert_int_equal(so_begin(h->c.stk.mem, h->sock, &t), 0);
	return t.s;
}

/* All may go at once, and nothing is sent again in less than @rto_us. */
static void hurry(struct half *h, uint32_t rto_us)
{
	struct stk *stk = &h->app.stk;
	struct so_txn t;

	assert_int_equal(stk_lock(stk), 0);
	assert_int_equal(so_txn_begin(stk, h->sock, h->gen, &t), 0);
	t.tcb.snd_cwnd = JS_BUF_MAX;
	t.tcb.rto_min_us = t.tcb.rto_us = rto_us;
	assert_int_equal(so_finish(stk, h->sock, &t, poolc_tail(&stk->q), 0), 0);
	stk_unlock(stk);
}

/* What is kept out of order has its place in the ring of so_rcv, too, when what
 * was missing before it comes in many small segments. */
static void ring_is_full_behind_a_hole(void **state)
{
	const size_t hole = 1040 * SEG, behind = 60 * SEG, all = sizeof(data) + hole + behind;
	struct iovec iov = { data, hole + behind };
	uint32_t dropped;
	size_t n;

	(void)state;
	connect_both(SEG + 12);
	send_all(&a, data, sizeof(data));
	TURN_UNTIL(info_of(&b).rcv_cc == sizeof(data) && !info_of(&a).snd_cc);
	hurry(&a, 60000000);
	assert_int_equal(so_send(&a.app.stk, a.sock, a.gen, &iov, 1, 0), hole + behind);
	lose_many(hole / SEG);
	hurry(&a, 200000);
	TURN_UNTIL(state_of(&b).ooo_map[0] == (1ull << behind / SEG) - 1);
	dropped = state_of(&b).dropped;
	TURN_UNTIL(state_of(&b).dropped > dropped);
	assert_true(info_of(&b).rcv_cc < all);
	for (n = 0; n < sizeof(data); )
		n += (size_t)recv_some(&b.app.stk, &b, got + n, sizeof(data) - n);
	assert_memory_equal(got, data, sizeof(data));
	TURN_UNTIL(info_of(&b).rcv_cc == hole + behind);
	assert_int_equal(recv_some(&b.app.stk, &b, got, sizeof(got)), hole + behind);
	assert_memory_equal(got, data, hole + behind);
}

/* The same, and the commit fails: nothing was given back. */
static void thousands_not_committed(void **state)
{
	struct stk *stk = &b.app.stk;
	struct js_event ev;
	struct so_txn t;
	uint16_t *ids;
	unsigned int n;

	(void)state;
	connect_both(SEG);
	send_all(&a, data, sizeof(data));
	/* Nor a probe of the tail, that came too late, which would be given back. */
	TURN_UNTIL(info_of(&b).rcv_cc == sizeof(data) && !info_of(&a).snd_cc &&
		   !poolc_event_peek(&b.c.stk.pc, &ev));
	n = owned(&b, BUF_RX);
	ids = calloc(n, sizeof(*ids));
	assert_non_null(ids);
	assert_int_equal(stk_lock(stk), 0);
	assert_int_equal(so_txn_begin(stk, b.sock, b.gen, &t), 0);
	for (uint32_t i = t.s.rcv_head, k = 0; i != t.s.rcv_tail - 1 && k < n; i++)
		ids[k++] = so_piece(&t.rings->rcv[i % JS_RCV_ENTRIES]).buf;
	stk_free(stk, ids, n - 1);
	so_fence(stk->mem, b.sock, false);
	assert_int_equal(so_finish(stk, b.sock, &t, poolc_tail(&stk->q), 0), -ESTALE);
	assert_int_equal(so_txn_begin(stk, b.sock, b.gen, &t), 0);
	assert_int_equal(so_finish(stk, b.sock, &t, poolc_tail(&stk->q), 0), 0);
	stk_unlock(stk);
	free(ids);
	for (int i = 0; i < 20; i++)
		turn_both();
	assert_int_equal(owned(&b, BUF_RX), n);
	assert_int_equal(recv_some(stk, &b, got, sizeof(got)), sizeof(data));
	assert_memory_equal(got, data, sizeof(data));
}

/* What an ACK gives back is not used again if the ACK was not committed. */
static void acknowledged_not_committed(void **state)
{
	struct stk *stk = &a.app.stk;
	struct so_txn t;
	unsigned int n;

	(void)state;
	connect_both(0);
	atomic_store(&rig.hold, true);
	send_all(&a, data, 20000);
	assert_int_equal(stk_lock(stk), 0);
	n = stk->bc.n;
	assert_int_equal(so_txn_begin(stk, a.sock, a.gen, &t), 0);
	so_snd_drop(stk, &t, t.s.snd_cc, t.tcb.snd_una);
	so_fence(stk->mem, a.sock, false);
	assert_int_equal(so_finish(stk, a.sock, &t, poolc_tail(&stk->q), 0), -ESTALE);
	assert_int_equal(stk->bc.n, n);
	assert_int_equal(so_txn_begin(stk, a.sock, a.gen, &t), 0);
	so_snd_drop(stk, &t, t.s.snd_cc, t.tcb.snd_una);
	assert_int_equal(so_finish(stk, a.sock, &t, poolc_tail(&stk->q), 0), 0);
	assert_int_equal(stk->bc.n, n + 5);
	stk_unlock(stk);
	let_go();
}

/* One process of the stack is stopped, and was robbed; another dies. */
static void tx_buffers_beside_a_fenced_process(void **state)
{
	struct app slow, dead;
	unsigned int before;
	pid_t pid;

	(void)state;
	connect_both(0);
	attach(&a, &slow);
	pid = fenced_in(&a, &slow, 1, "stop-before-commit", do_send);
	/* Not sooner: the slow one would have a copy of its channel. */
	attach(&a, &dead);
	TURN_UNTIL(!a.c.want_sweep);
	before = owned(&a, BUF_TX);
	was_killed(process(&a, &dead, "before-commit", do_send));
	assert_true(owned(&a, BUF_TX) > before);
	detach(&dead);
	TURN_UNTIL(owned(&a, BUF_TX) == before);
	/* And when it dies, too, its own. */
	kill(pid, SIGKILL);
	was_killed(pid);
	detach(&slow);
	TURN_UNTIL(owned(&a, BUF_TX) < before);
	assert_int_equal(a.c.lost_queues, 0);
}

/* --- a thread that goes on after it was fenced -------------------------------------- */

/* It goes on, and finds that it has lost its queue. */
static void goes_on(pid_t pid)
{
	int status;

	kill(pid, SIGCONT);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
}

/* Other octets than those that are sent next. */
static void do_send_other(struct half *h, struct app *app)
{
	static uint8_t other[50000];
	struct iovec iov = { other, sizeof(other) };
	uint16_t id;

	memset(other, 0xee, sizeof(other));
	/* With buffers at hand, so that it goes on behind the last one. */
	if (stk_lock(&app->stk) || bufcache_get(&app->stk.bc, &id, 1, true) != 1)
		return;
	bufcache_put(&app->stk.bc, &id, 1);
	stk_unlock(&app->stk);
	so_send(&app->stk, h->sock, h->gen, &iov, 1, 0);
}

/* What it writes late into so_snd does not count: into the ring, or behind the
 * last buffer.  @reuse: that has been sent meanwhile, and may be another's. */
static void late_into_so_snd(const char *fault, bool reuse)
{
	const size_t len = 2000000;
	struct app slow;
	size_t at = 26000;
	pid_t pid;

	connect_both(0);
	attach(&a, &slow);
	atomic_store(&rig.hold, true);
	send_all(&a, data, 6000);	/* a buffer and a part of one */
	pid = fenced_in(&a, &slow, 1, fault, do_send_other);
	send_all(&a, data + 6000, 20000);
	if (reuse) {
		let_go();
		TURN_UNTIL(info_of(&b).rcv_cc == at && !info_of(&a).snd_cc);
		atomic_store(&rig.hold, true);
		send_all(&a, data + at, len - at);
		at = len;
	}
	goes_on(pid);
	detach(&slow);
	let_go();
	send_all(&a, data + at, len - at);
	read_all(len);
	TURN_UNTIL(!a.c.procs[1].used && !a.c.want_sweep && !info_of(&a).snd_cc);
}

static void late_write_into_the_ring(void **state)
{
	(void)state;
	late_into_so_snd("stop-in-queue", false);
}

static void late_write_behind_the_last_buffer(void **state)
{
	(void)state;
	late_into_so_snd("stop-in-copy", false);
}

static void late_write_into_a_buffer_sent(void **state)
{
	(void)state;
	late_into_so_snd("stop-in-copy", true);
}

/* The same with the last buffer of so_rcv.  @reuse: others have read and freed it. */
static void late_into_so_rcv(bool reuse)
{
	struct app slow;
	struct js_event ev;
	size_t at = 0;
	pid_t pid;

	connect_both(500);
	attach(&b, &slow);
	send_all(&a, data, 500);
	TURN_UNTIL(info_of(&b).rcv_cc == 500 && !info_of(&a).snd_cc);
	/* The second segment is to be copied behind the first. */
	assert_int_equal(so_send(&a.app.stk, a.sock, a.gen,
				 &(struct iovec){ data + 500, 500 }, 1, 0), 500);
	RIG_UNTIL(poolc_event_peek(&b.c.stk.pc, &ev));
	pid = fenced_in(&b, &slow, 1, "stop-in-copy", do_input);
	TURN_UNTIL(info_of(&b).rcv_cc == 1000);
	if (reuse) {
		at = 1000;
		assert_int_equal(recv_some(&b.app.stk, &b, got, at), at);
		assert_memory_equal(got, data, at);
	}
	/* Into whatever buffers are free now. */
	for (size_t n = 1000; n < 11000; n += 500) {
		send_all(&a, data + n, 500);
		TURN_UNTIL(info_of(&b).rcv_cc == n + 500 - at);
	}
	goes_on(pid);
	detach(&slow);
	assert_int_equal(recv_some(&b.app.stk, &b, got, sizeof(got)), 11000 - at);
	assert_memory_equal(got, data + at, 11000 - at);
	TURN_UNTIL(!b.c.procs[1].used && !b.c.want_sweep && !owned(&b, BUF_RX));
	assert_int_equal(b.c.n_held, 0);
}

static void late_write_behind_what_has_come(void **state)
{
	(void)state;
	late_into_so_rcv(false);
}

static void late_write_into_a_buffer_read(void **state)
{
	(void)state;
	late_into_so_rcv(true);
}

/* @app is fenced while it copies a segment of 500 octets behind what came at @at. */
static pid_t fenced_in_copy(struct app *app, int place, size_t at)
{
	struct js_event ev;

	send_all(&a, data + at, 500);
	TURN_UNTIL(info_of(&b).rcv_cc == at + 500 && !info_of(&a).snd_cc);
	assert_int_equal(so_send(&a.app.stk, a.sock, a.gen,
				 &(struct iovec){ data + at + 500, 500 }, 1, 0), 500);
	RIG_UNTIL(poolc_event_peek(&b.c.stk.pc, &ev));
	return fenced_in(&b, app, place, "stop-in-copy", do_input);
}

/* One stays stopped; what others held does not wait for it, or there would be no
 * room for more. */
static void held_beside_a_fenced_process(void **state)
{
	struct app slow, other;
	pid_t pid, brief;

	(void)state;
	connect_both(500);
	attach(&b, &slow);
	pid = fenced_in_copy(&slow, 1, 0);
	assert_int_equal(b.c.n_held, 1);
	for (size_t at = 1000; at < 4000; at += 1000) {
		attach(&b, &other);
		brief = fenced_in_copy(&other, 2, at);
		assert_int_equal(b.c.n_held, 2);
		goes_on(brief);
		detach(&other);
		TURN_UNTIL(!b.c.procs[2].used && info_of(&b).rcv_cc == at + 1000);
		assert_int_equal(b.c.n_held, 1);
		assert_int_equal(atomic_load(&b.c.stk.hdr->n_held), 1);
	}
	assert_int_equal(recv_some(&b.app.stk, &b, got, sizeof(got)), 4000);
	assert_memory_equal(got, data, 4000);
	/* All was read: but what the slow one may write into is nobody else's. */
	TURN_UNTIL(!b.c.want_sweep && owned(&b, BUF_RX) == 1);
	goes_on(pid);
	detach(&slow);
	TURN_UNTIL(!b.c.procs[1].used && !b.c.want_sweep && !owned(&b, BUF_RX));
	assert_int_equal(b.c.n_held, 0);
}

/* A record was ended, so nothing goes behind it: the one buffer that is there is
 * not taken for a copy of it. */
static void record_before_a_fence(void **state)
{
	struct bufcache *bc = &a.app.stk.bc;
	struct app slow;
	uint16_t id;
	ssize_t n;
	pid_t pid;

	(void)state;
	connect_both(0);
	attach(&a, &slow);
	atomic_store(&rig.hold, true);
	assert_int_equal(so_send(&a.app.stk, a.sock, a.gen, &(struct iovec){ data, 100 }, 1,
				 MSG_EOR), 100);
	pid = fenced_in(&a, &slow, 1, "stop-before-commit", do_send);
	rig_lock();	/* no more buffers */
	assert_int_equal(stk_lock(&a.app.stk), 0);
	while (bufcache_get(bc, &id, 1, false) == 1)
		;
	bufcache_put(bc, &id, 1);
	stk_unlock(&a.app.stk);
	n = so_send(&a.app.stk, a.sock, a.gen, &(struct iovec){ data + 100, 100 }, 1, 0);
	rig_unlock();
	assert_int_equal(n, 100);
	goes_on(pid);
	detach(&slow);
	let_go();
	read_all(200);
	TURN_UNTIL(!a.c.procs[1].used && !a.c.want_sweep && !info_of(&a).snd_cc);
}

/* The frame of a's next segment arrives spoilt, the one behind it well. */
static void lose_one(size_t at)
{
	struct js_event ev;
	unsigned int frames;

	rig_lock();
	rig.flip_next = 8 * 100;
	frames = (unsigned int)stations[2].st.rx_bad_crc;
	rig_unlock();
	for (int i = 0; i < 2; i++)
		assert_int_equal(so_send(&a.app.stk, a.sock, a.gen,
					 &(struct iovec){ data + at + SEG * i, SEG }, 1, 0), SEG);
	RIG_UNTIL(poolc_event_peek(&b.c.stk.pc, &ev));
	rig_lock();
	assert_int_equal(stations[2].st.rx_bad_crc, frames + 1);
	rig_unlock();
}

/* And into the list of what is out of order. */
static void late_writes_out_of_order(void **state)
{
	struct app slow;
	pid_t pid;

	(void)state;
	connect_both(SEG);
	attach(&b, &slow);
	send_all(&a, data, SEG);
	TURN_UNTIL(info_of(&b).rcv_cc == SEG && !info_of(&a).snd_cc);
	lose_one(SEG);
	pid = fenced_in(&b, &slow, 1, "stop-in-queue", do_input);
	TURN_UNTIL(info_of(&b).rcv_cc == 3 * SEG && !info_of(&a).snd_cc);
	lose_one(3 * SEG);
	turn(&b);	/* keeps the second aside, and says so */
	goes_on(pid);
	detach(&slow);
	TURN_UNTIL(info_of(&b).rcv_cc == 5 * SEG);
	assert_int_equal(recv_some(&b.app.stk, &b, got, sizeof(got)), 5 * SEG);
	assert_memory_equal(got, data, 5 * SEG);
	TURN_UNTIL(!b.c.procs[1].used && !b.c.want_sweep && !owned(&b, BUF_RX));
}

/* One is stopped for long; what others that were fenced might have written into is
 * used again when they are gone. */
static void many_fences_beside_one(void **state)
{
	const struct js_sock *so;
	struct app slow, other;
	uint32_t queues = 0;
	pid_t pid, again;

	(void)state;
	connect_both(0);
	so = &b.c.stk.socks[b.sock];
	attach(&b, &slow);
	send_all(&a, data, 1000);
	TURN_UNTIL(info_of(&b).rcv_cc == 1000);
	pid = fenced_in(&b, &slow, 1, "stop-before-commit", do_recv);
	/* Nor is its queue another's, or it might write into what that publishes. */
	for (int q = poolc_queue_open(&b.c.stk.pc); q > 0; q = poolc_queue_open(&b.c.stk.pc)) {
		assert_int_not_equal(q, slow.stk.q.idx);
		queues |= 1u << q;
	}
	for (unsigned int q = 1; q < JS_N_QUEUES; q++) {
		if (queues >> q & 1)
			poolc_queue_revoke(&b.c.stk.pc, q);
	}
	for (int i = 0; i < 3; i++) {
		attach(&b, &other);
		again = fenced_in(&b, &other, 2, "stop-before-commit", do_recv);
		assert_int_equal(atomic_load(&so->ooo_retired), 3);
		kill(again, SIGKILL);
		was_killed(again);
		detach(&other);
		TURN_UNTIL(!b.c.procs[2].used);
		assert_int_equal(atomic_load(&so->ooo_retired), 1);
	}
	goes_on(pid);
	detach(&slow);
	TURN_UNTIL(!b.c.procs[1].used);
	assert_int_equal(atomic_load(&so->ooo_retired), 0);
	for (unsigned int q = 1; q < JS_N_QUEUES - 1; q++)
		assert_true(poolc_queue_open(&b.c.stk.pc) > 0);
}

/* --- what it had not told anybody ------------------------------------------------------ */

/* Committed, not published, no deadline noted: who robs it sees to that. */
static void untold_deadline(void **state)
{
	struct app slow;
	pid_t pid;

	(void)state;
	connect_both(0);
	attach(&a, &slow);
	send_all(&a, data, 1000);
	TURN_UNTIL(info_of(&b).rcv_cc == 1000 && !info_of(&a).snd_cc);
	pid = fenced_in(&a, &slow, 1, "stop-after-commit", do_send);
	assert_int_equal(info_of(&a).snd_cc, 50000);
	TURN_UNTIL(info_of(&b).rcv_cc == 51000);
	goes_on(pid);
	detach(&slow);
}

/* It goes on and writes over the deadline what was true for its commit. */
static void late_deadline(void **state)
{
	struct app slow;
	pid_t pid;

	(void)state;
	connect_both(0);
	attach(&a, &slow);
	send_all(&b, data, 1000);
	TURN_UNTIL(info_of(&a).rcv_cc == 1000 && !info_of(&b).snd_cc);
	pid = fenced_in(&a, &slow, 1, "stop-after-publish", do_recv);
	assert_int_equal(info_of(&a).rcv_cc, 0);
	rig_lock();
	rig.flip_next = 8 * 100;
	rig_unlock();
	send_all(&a, data, 1000);
	RIG_UNTIL(stations[2].st.rx_bad_crc);
	goes_on(pid);
	TURN_UNTIL(info_of(&b).rcv_cc == 1000);
	detach(&slow);
}

static void do_wait(struct half *h, struct app *app)
{
	uint32_t seq = so_seq(&app->stk, h->sock, JS_WAIT_RX);
	struct so_info info;

	if (so_info(&app->stk, h->sock, h->gen, &info) || info.rcv_cc)
		_exit(2);
	while (so_seq(&app->stk, h->sock, JS_WAIT_RX) == seq)
		so_wait(&app->stk, h->sock, JS_WAIT_RX, seq, 0);
	if (so_info(&app->stk, h->sock, h->gen, &info) || info.rcv_cc != 1000)
		_exit(3);
}

/* It had taken a packet in, and would have woken the reader. */
static void sleeper_is_woken(void **state)
{
	struct app slow, reader;
	struct js_event ev;
	pid_t pid, waits;
	int status;

	(void)state;
	connect_both(0);
	TURN_UNTIL(!info_of(&b).rcv_cc);
	attach(&b, &slow);
	attach(&b, &reader);
	waits = process(&b, &reader, "", do_wait);
	RIG_UNTIL(atomic_load(&b.c.stk.socks[b.sock].waiters[JS_WAIT_RX]));
	assert_int_equal(so_send(&a.app.stk, a.sock, a.gen,
				 &(struct iovec){ data, 1000 }, 1, 0), 1000);
	RIG_UNTIL(poolc_event_peek(&b.c.stk.pc, &ev));
	pid = fenced_in(&b, &slow, 1, "stop-after-publish", do_input);
	RIG_UNTIL(waitpid(waits, &status, WNOHANG) == waits);
	assert_true(WIFEXITED(status) && !WEXITSTATUS(status));
	goes_on(pid);
	detach(&slow);
	detach(&reader);
}

/* --- a stream that was another's ------------------------------------------------------- */

/* A segment without data to b's stream, as from a's address. */
static void forge(struct client *from, struct tcp_seg seg)
{
	struct js_pool_req req = { 0 };
	struct ip_pair pair;
	uint8_t hdr[RIG_HDR];
	uint16_t csum;
	uint64_t sum;

	memcpy(pair.src, a.c.socks[a.sock].local.addr, 16);
	memcpy(pair.dst, b.c.socks[b.sock].local.addr, 16);
	seg.wscale = TCP_WS_NONE;
	assert_int_equal(ip_build(hdr, &pair, 20, 0, 0, 0), 20);
	assert_int_equal(tcp_seg_build(&seg, hdr + 20), 20);
	sum = ip_csum_add(ip_pseudo_sum(&pair, 20), hdr + 20, 20);
	csum = ip_csum_fold(sum);
	memcpy(hdr + 36, &csum, 2);
	client_open(from, 1, 0);
	rig_template(&req.tmpl);
	memcpy(req.tmpl.tp_value, hdr + 20, 4);
	assert_int_equal(poolc_pool_set(&from->pc, from->pool, JS_PS_TMPL, &req), 0);
	client_set_txvci(from, b.c.socks[b.sock].rxvci);
	assert_int_equal(poolc_send(&from->q, from->pool, 0, hdr, RIG_HDR, NULL, 0), 0);
	assert_int_equal(client_run(from), JS_ST_DONE);
}

/* Killed when it had given a packet's buffer back, but not consumed its event.  The
 * buffer is another packet's by then. */
static void seen_event(bool refused)
{
	const size_t small = 500, large = 3000;
	struct app reader;
	struct client other;
	struct js_event first, again;
	size_t at = small;

	connect_both(0);
	attach(&b, &reader);
	atomic_fetch_or(&a.c.stk.socks[a.sock].opts, JS_SO_NODELAY);
	assert_int_equal(so_opts_changed(&a.app.stk, a.sock, a.gen), 0);
	send_all(&a, data, small);
	TURN_UNTIL(info_of(&b).rcv_cc == small && !info_of(&a).snd_cc);
	if (refused) {
		forge(&other, (struct tcp_seg){ .sport = 0x1234, .dport = 80, .flags = TH_ACK });
	} else {
		/* This is copied behind that. */
		assert_int_equal(so_send(&a.app.stk, a.sock, a.gen,
					 &(struct iovec){ data + at, small }, 1, 0), small);
		at += small;
	}
	RIG_UNTIL(poolc_event_peek(&b.c.stk.pc, &first));
	was_killed(process(&b, &reader, "after-publish", do_input));
	RIG_UNTIL(owned(&b, BUF_RX) == 1);
	assert_int_equal(so_send(&a.app.stk, a.sock, a.gen,
				 &(struct iovec){ data + at, large }, 1, 0), large);
	RIG_UNTIL(poolc_event_look(&b.c.stk.pc, 1, &again));
	assert_int_equal(again.buf[0], first.buf[0]);
	detach(&reader);
	for (at += large; at < 60000; at += large) {
		TURN_UNTIL(info_of(&b).rcv_cc == at);
		send_all(&a, data + at, large);
	}
	TURN_UNTIL(info_of(&b).rcv_cc == at && !b.c.want_sweep);
	read_all(at);
	TURN_UNTIL(!owned(&b, BUF_RX));
	if (refused)
		poolc_close(&other.pc);
}

static void seen_event_of_a_buffer_reused(void **state)
{
	(void)state;
	seen_event(false);
}

/* Likewise, of a packet that is for nobody. */
static void seen_event_of_a_packet_refused(void **state)
{
	(void)state;
	seen_event(true);
}

/* If it is another process that sees it again, the child is told: it may sleep. */
static void seen_event_and_the_child_sleeps(void **state)
{
	struct app reader;
	struct js_event ev;
	uint64_t n;

	(void)state;
	connect_both(0);
	attach(&b, &reader);
	assert_int_equal(so_send(&a.app.stk, a.sock, a.gen,
				 &(struct iovec){ data, 3000 }, 1, 0), 3000);
	RIG_UNTIL(poolc_event_peek(&b.c.stk.pc, &ev));
	was_killed(process(&b, &reader, "after-publish", do_input));
	detach(&reader);
	child_lock(&b.c);	/* takes it from the dead */
	child_unlock(&b.c);
	if (read(b.c.kick_fd, &n, sizeof(n)) < 0)
		assert_int_equal(errno, EAGAIN);
	do_input(&b, &b.app);
	assert_false(poolc_event_peek(&b.c.stk.pc, &ev));
	assert_int_equal(read(b.c.kick_fd, &n, sizeof(n)), sizeof(n));
	turn(&b);
	assert_int_equal(info_of(&b).rcv_cc, 3000);
	TURN_UNTIL(!b.c.procs[1].used && !b.c.want_sweep);
}

/*
 * Frames wait in the delays of a link for longer than a stream rests, and then
 * reach its next owner.  An RST that would be one in every respect but its
 * ports does nothing there, and costs no buffer.
 */
static void late_frame_of_another(void **state)
{
	struct client other;
	struct tcp_seg seg = { .sport = 0x1234, .dport = 80, .flags = TH_RST | TH_ACK };
	uint32_t before;
	struct so_txn t;

	(void)state;
	connect_both(0);
	TURN_UNTIL(!info_of(&a).snd_cc);
	assert_int_equal(so_begin(b.c.stk.mem, b.sock, &t), 0);
	before = t.s.segs_in;
	seg.seq = t.tcb.rcv_nxt;
	seg.ack = t.tcb.snd_nxt;
	forge(&other, seg);
	assert_int_equal(owned(&b, BUF_RX), 1);
	TURN_UNTIL(!owned(&b, BUF_RX));
	assert_int_equal(so_begin(b.c.stk.mem, b.sock, &t), 0);
	assert_int_equal(t.tcb.state, TCPS_ESTABLISHED);
	assert_int_equal(t.s.segs_in, before);
	/* The connection goes on. */
	send_all(&a, data, 100);
	TURN_UNTIL(info_of(&b).rcv_cc == 100);
	poolc_close(&other.pc);
}

/*
 * RFC 7413, 5.1: a connection that was opened fast and reset counts on.  So it
 * does if it was a thread of the application that took the RST, and read the
 * error, before the child looked.
 */
static void reset_after_fast_open(void **state)
{
	struct tcp_seg seg = { .flags = TH_RST };
	struct clistener *l;
	struct client other;
	struct csock *s;
	struct so_txn t;

	(void)state;
	connect_both(0);
	TURN_UNTIL(!info_of(&a).snd_cc);
	s = &b.c.socks[b.sock];
	s->parent = (uint32_t)conn_new(&b.c, AF_INET, 0);
	l = &b.c.listeners[s->parent];
	s->fo.pending = true;
	l->n_pending = 1;
	assert_int_equal(so_begin(b.c.stk.mem, b.sock, &t), 0);
	t.tcb.uflags |= TU_SYN_OUT;
	assert_int_equal(so_commit(&t), 0);
	seg.seq = t.tcb.rcv_nxt;
	seg.sport = s->peer.port;
	seg.dport = s->local.port;
	forge(&other, seg);
	do_input(&b, &b.app);
	assert_int_equal(so_error_take(&b.app.stk, b.sock, b.gen), ECONNRESET);
	assert_int_equal(l->n_reset, 0);
	TURN_UNTIL(!s->fo.pending);
	assert_int_equal(l->n_reset, 1);
	assert_int_equal(l->n_pending, 1);
	poolc_close(&other.pc);
}

/* These end with 1 if they were told the error. */
static void told_by_option(struct half *h, struct app *app)
{
	_exit(so_error_take(&app->stk, h->sock, h->gen) == ECONNRESET);
}

static void told_by_recv(struct half *h, struct app *app)
{
	_exit(recv_some(&app->stk, h, got, sizeof(got)) == -ECONNRESET);
}

static void told_by_send(struct half *h, struct app *app)
{
	struct iovec iov = { data, 1 };

	_exit(so_send(&app->stk, h->sock, h->gen, &iov, 1, 0) == -ECONNRESET);
}

/* Ends with 1 if it was told that the urgent octet has not come. */
static void told_of_no_octet(struct half *h, struct app *app)
{
	uint8_t octet;

	_exit(so_recv_oob(&app->stk, h->sock, h->gen, &octet, 0) == -EAGAIN);
}

/* Fenced when it took the urgent octet: that is there still. */
static void urgent_octet_and_a_fence(void **state)
{
	struct app slow;
	uint8_t octet;
	int status;
	pid_t pid;

	(void)state;
	connect_both(0);
	attach(&b, &slow);
	assert_int_equal(so_send(&a.app.stk, a.sock, a.gen,
				 &(struct iovec){ data, 1 }, 1, MSG_OOB), 1);
	TURN_UNTIL(info_of(&b).rcv_cc == 1);
	pid = fenced_in(&b, &slow, 1, "stop-before-commit", told_of_no_octet);
	kill(pid, SIGCONT);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && !WEXITSTATUS(status));
	assert_int_equal(so_recv_oob(&b.app.stk, b.sock, b.gen, &octet, 0), 1);
	assert_int_equal(octet, data[0]);
	detach(&slow);
}

/* In so_wakeup(): it has seen that somebody polls, and is about to tell the child. */
static void do_half_a_wakeup(struct half *h, struct app *app)
{
	if (stk_lock(&app->stk) == 0 && atomic_exchange(&app->stk.socks[h->sock].notify, 0))
		raise(SIGKILL);
}

static void poller_is_told(void **state)
{
	struct app teller;
	char token;
	int fd;

	(void)state;
	connect_both(0);
	attach(&b, &teller);
	fd = conn_anchor(&b.c, b.sock);
	assert_true(fd >= 0);
	so_notify(&b.app.stk, b.sock, 1u << JS_WAIT_RX);
	was_killed(process(&b, &teller, "", do_half_a_wakeup));
	detach(&teller);
	TURN_UNTIL(recv(fd, &token, 1, MSG_DONTWAIT) == 1);
	close(fd);
}

static unsigned int n_gone;	/* new queues that are revoked before they are taken */

static int new_queue(uint32_t *queue)
{
	int q = poolc_queue_open(&a.c.stk.pc);

	assert_true(q > 0);
	reclaim_back(&a.c, 0, (uint32_t)q);
	if (n_gone) {
		n_gone--;
		poolc_queue_revoke(&a.c.stk.pc, (unsigned int)q);
	}
	*queue = (uint32_t)q;
	return 0;
}

static int come_back(struct stk *stk)
{
	return stk_come_back(stk, new_queue);
}

/* Who has lost its queue sees that before it works with it, though nobody has
 * said so; and asks again if the new one is gone before it has it. */
static void new_queue_is_lost_too(void **state)
{
	struct iovec iov = { data, 1 };

	(void)state;
	connect_both(0);
	a.app.stk.on_lost = come_back;
	assert_int_equal(poolc_queue_revoke(&a.c.stk.pc, a.app.stk.q.idx), 0);
	n_gone = 3;
	send_all(&a, data, 50000);
	assert_int_equal(n_gone, 0);
	read_all(50000);
	assert_int_equal(poolc_queue_revoke(&a.c.stk.pc, a.app.stk.q.idx), 0);
	n_gone = UINT32_MAX;
	assert_int_equal(so_send(&a.app.stk, a.sock, a.gen, &iov, 1, 0), -ESTALE);
	n_gone = 0;
}

/* --- orphans -------------------------------------------------------------------------- */

/* Nothing is due but what the child itself has put down for it. */
static void timers_at(struct half *h, uint64_t now)
{
	child_lock(&h->c);
	atomic_store(&h->c.stk.socks[h->sock].deadline_us, UINT64_MAX);
	conn_timer_set(&h->c, h->sock);
	conn_timers(&h->c, now);
	child_unlock(&h->c);
}

static void hear(struct half *h)
{
	struct so_txn t;

	assert_int_equal(so_begin(h->c.stk.mem, h->sock, &t), 0);
	t.tcb.heard_us++;
	assert_int_equal(so_commit(&t), 0);
}

/* One whose block waits for nothing goes when its peer was silent for as long as
 * the node's retransmissions may take. */
static void orphan_of_a_silent_peer(void **state)
{
	static const struct {
		uint8_t retries;
		uint64_t s;
	} want[] = { { 0, 307 }, { 1, 60 }, { 6, 76 }, { 8, 307 }, { 12, 4915 }, { 255, 4915 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
		uint64_t before = now_us(), at, patience;
		struct csock *s;
		int fd;

		/* The one before was in what is to come. */
		wheel_init(&a.c.wheel, a.c.timers, JS_N_SOCKS, before);
		connect_both(0);
		s = &a.c.socks[a.sock];
		a.c.orphan_retries = want[i].retries;
		fd = conn_anchor(&a.c, a.sock);
		assert_true(fd >= 0);
		close(fd);
		child_messages(&a.c);
		assert_false(s->anchored);
		assert_in_range(s->orphan_us, before + want[i].s * 1000000,
				now_us() + (want[i].s + 1) * 1000000);
		timers_at(&a, s->orphan_us - 10000);
		assert_int_equal(s->kind, CK_CONN);
		hear(&a);
		at = s->orphan_us + 10000;
		timers_at(&a, at);
		assert_int_equal(s->kind, CK_CONN);
		patience = s->orphan_us - at;
		assert_int_equal(patience / 1000000, want[i].s);
		timers_at(&a, at + patience + 10000);
		assert_int_equal(s->kind, CK_FREE);
		s->bp = -1;
	}
}

/* so_error is told once: not by one who was fenced before he could say so. */
static void error_is_told_once(void **state)
{
	static void (*const by[])(struct half *, struct app *) = {
		told_by_option, told_by_recv, told_by_send,
	};
	struct app slow;
	struct so_txn t;
	int status;
	pid_t pid;

	(void)state;
	connect_both(0);
	for (size_t i = 0; i < ARRAY_SIZE(by); i++) {
		attach(&b, &slow);
		assert_int_equal(so_begin(b.c.stk.mem, b.sock, &t), 0);
		t.s.error = ECONNRESET;
		assert_int_equal(so_commit(&t), 0);
		pid = fenced_in(&b, &slow, 1, "stop-before-commit", by[i]);
		assert_int_equal(info_of(&b).error, ECONNRESET);
		kill(pid, SIGCONT);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
		assert_int_equal(so_error_take(&b.app.stk, b.sock, b.gen), ECONNRESET);
		assert_int_equal(so_error_take(&b.app.stk, b.sock, b.gen), 0);
		detach(&slow);
		TURN_UNTIL(!b.c.procs[1].used && !b.c.want_sweep);
	}
}

/* Rings that stay are not looked at each second. */
static void rings_with_timestamps(void **state)
{
	uint64_t nap;

	(void)state;
	connect_both(0);
	atomic_store(&a.c.stk.socks[a.sock].topt[JS_TOPT_TIMESTAMPING], 1);
	send_all(&a, data, 10000);
	read_all(10000);
	child_watch_rings(&a.c);
	assert_true(a.c.rings_us != UINT64_MAX);
	nap = a.c.rings_nap_us;
	a.c.rings_us = 0;
	turn(&a);
	assert_int_equal(a.c.rings_nap_us, 2 * nap);
	assert_true(a.c.rings_us != UINT64_MAX);
	assert_true(atomic_load(&a.c.stk.hdr->rings_map[a.sock / 64]) >> a.sock % 64 & 1);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(rx_buffers_of_a_dead_reader),
		CASE(unread_events_are_kept),
		CASE(seen_event_of_a_buffer_reused),
		CASE(seen_event_of_a_packet_refused), CASE(seen_event_and_the_child_sleeps),
		CASE(queued_segments_have_one_ack), CASE(answer_is_not_forgotten),
		CASE(freed_although_the_queue_is_full),
		CASE(cut_short_in_the_childs_queue),
		CASE(driver_without_processor),
		CASE(thousands_in_one_call),
		CASE(thousands_not_committed), CASE(ring_is_full_behind_a_hole),
		CASE(acknowledged_not_committed),
		CASE(tx_buffers_beside_a_fenced_process),
		CASE(late_write_into_the_ring), CASE(late_write_behind_the_last_buffer),
		CASE(late_write_into_a_buffer_sent), CASE(late_write_behind_what_has_come),
		CASE(late_write_into_a_buffer_read), CASE(late_writes_out_of_order),
		CASE(many_fences_beside_one),
		CASE(held_beside_a_fenced_process), CASE(record_before_a_fence),
		CASE(rings_with_timestamps),
		CASE(late_frame_of_another), CASE(untold_deadline), CASE(late_deadline), CASE(sleeper_is_woken), CASE(poller_is_told),
		CASE(new_queue_is_lost_too), CASE(orphan_of_a_silent_peer),
		CASE(reset_after_fast_open), CASE(error_is_told_once), CASE(urgent_octet_and_a_fence),
	};

	return cmocka_run_group_tests_name("reclaim", tests, NULL, NULL);
}
