/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * api_wait.c - poll(), select() and epoll with sockets, pipes and eventfds
 *
 * While nothing may come, the peer has not been told what to do: it is told ("later")
 * just before what comes is waited for.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/time.h>

#include "api_test.h"

static volatile sig_atomic_t alarms;

static void on_alarm(int sig)
{
	(void)sig;
	alarms++;
}

/* A signal after @ms, and with @again every @ms. */
static void alarm_in(unsigned int ms, int flags, bool again)
{
	struct sigaction sa = { .sa_handler = on_alarm, .sa_flags = flags };
	struct itimerval it = { { 0, again ? (long)ms * 1000 : 0 }, { 0, (long)ms * 1000 } };

	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &it, NULL);
}

static void nonblock(int fd)
{
	CHECK(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == 0);
}

/* Send until there is no room; octets. */
static size_t stuff(int fd)
{
	static char buf[1 << 16];
	size_t sum = 0;
	ssize_t n;

	while ((n = send(fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0)
		sum += (size_t)n;
	CHECK(errno == EAGAIN);
	return sum;
}

/* --- poll ------------------------------------------------------------------------ */

static void poll_basic(void)
{
	int fd = t_connect(NULL);
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT };
	uint64_t t0;
	char c;

	CHECK(poll(&p, 1, -1) == 1 && p.revents == POLLOUT);
	p.events = POLLIN;
	CHECK(poll(&p, 1, 0) == 0 && p.revents == 0);
	t0 = t_ms();
	CHECK(poll(&p, 1, 50) == 0 && t_ms() - t0 >= 50);
	t_say(fd, "later 100");
	CHECK(poll(&p, 1, T_COMES_MS) == 1 && p.revents == POLLIN);
	CHECK(poll(&p, 1, T_COMES_MS) == 1);			/* a level */
	CHECK(recv(fd, &c, 1, 0) == 1);
	CHECK(poll(&p, 1, 0) == 0);
	shutdown(fd, SHUT_WR);
	p.events = POLLIN | POLLRDHUP;
	CHECK(poll(&p, 1, T_COMES_MS) == 1);
	CHECK(p.revents & POLLIN && p.revents & POLLRDHUP && p.revents & POLLHUP);
	CHECK(recv(fd, &c, 1, 0) == 0);
	close(fd);
	CHECK(poll(&p, 1, 0) == 1 && p.revents == POLLNVAL);
}

static void poll_mixed(void)
{
	int fd = t_connect(NULL), pipefd[2], ev = eventfd(0, 0);
	struct pollfd p[4] = { { .fd = fd, .events = POLLIN }, { .events = POLLIN },
			       { .fd = ev, .events = POLLIN }, { .fd = -1 } };
	uint64_t one = 1;
	char c;

	CHECK(pipe(pipefd) == 0);
	p[1].fd = pipefd[0];
	CHECK(poll(p, 4, 20) == 0);
	CHECK(write(pipefd[1], "p", 1) == 1);
	CHECK(poll(p, 4, -1) == 1 && p[1].revents == POLLIN && !p[0].revents);
	CHECK(read(pipefd[0], &c, 1) == 1);
	t_say(fd, "later 100");
	CHECK(poll(p, 4, -1) == 1 && p[0].revents == POLLIN && !p[1].revents);
	CHECK(write(ev, &one, 8) == 8);
	CHECK(poll(p, 4, -1) == 2 && p[0].revents && p[2].revents == POLLIN);
	CHECK(recv(fd, &c, 1, 0) == 1);
	CHECK(read(ev, &one, 8) == 8);
	CHECK(poll(p, 4, 0) == 0);
	close(fd);
	close(pipefd[0]);
	close(pipefd[1]);
	close(ev);
}

static void poll_room(void)
{
	int fd = t_connect("hold"), rel;
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	/* What moved on to the peer's buffer makes room again. */
	do
		CHECK(stuff(fd) > 0);
	while (poll(&p, 1, 100) == 1);
	rel = t_connect("release");
	/* Closed with data unread: reset.  (Till then room may still come, late.) */
	do
		CHECK(poll(&p, 1, T_COMES_MS) == 1);
	while (!(p.revents & POLLERR));
	close(rel);
	close(fd);
}

static void *wait_in(void *arg)
{
	struct pollfd p = { .fd = *(int *)arg, .events = POLLIN };

	return (void *)(intptr_t)poll(&p, 1, T_COMES_MS);
}

/* Several threads in poll() on one socket: all wake. */
static void poll_threads(void)
{
	int fd = t_connect("later 200"), i;
	pthread_t t[4];
	void *r;

	for (i = 0; i < 4; i++)
		CHECK(pthread_create(&t[i], NULL, wait_in, &fd) == 0);
	for (i = 0; i < 4; i++)
		CHECK(pthread_join(t[i], &r) == 0 && (intptr_t)r == 1);
	close(fd);
}

static void poll_signals(void)
{
	int fd = t_connect(NULL);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct timespec ts = { T_COMES_MS / 1000, 0 };
	sigset_t block, none;

	alarm_in(100, SA_RESTART, true);	/* poll() is never restarted */
	FAILS(poll(&p, 1, -1), EINTR);
	alarm_in(0, 0, false);
	sigemptyset(&none);
	sigemptyset(&block);
	sigaddset(&block, SIGALRM);
	sigprocmask(SIG_BLOCK, &block, NULL);
	alarm_in(50, 0, false);
	alarms = 0;
	t_sleep_ms(80);
	CHECK(alarms == 0);
	FAILS(ppoll(&p, 1, &ts, &none), EINTR);	/* the mask, for the sleep only */
	CHECK(alarms == 1);
	sigprocmask(SIG_UNBLOCK, &block, NULL);
	t_say(fd, "later 100");
	CHECK(poll(&p, 1, T_COMES_MS) == 1);
	signal(SIGALRM, SIG_DFL);
	close(fd);
}

/* --- select -------------------------------------------------------------------------- */

static void select_all(void)
{
	int fd = t_connect(NULL), pipefd[2], max;
	struct timeval tv = { 0, 50000 };
	struct timespec ts = { T_COMES_MS / 1000, 0 };
	fd_set r, w, x;
	uint64_t t0;
	long left;
	char c;

	CHECK(pipe(pipefd) == 0);
	max = (fd > pipefd[0] ? fd : pipefd[0]) + 1;
	FD_ZERO(&r);
	FD_ZERO(&w);
	FD_ZERO(&x);
	FD_SET(fd, &r);
	FD_SET(pipefd[0], &r);
	FD_SET(fd, &x);
	CHECK(select(max, &r, NULL, &x, &tv) == 0);
	CHECK(tv.tv_sec == 0 && tv.tv_usec == 0);
	CHECK(!FD_ISSET(fd, &r) && !FD_ISSET(fd, &x));
	FD_SET(fd, &r);
	FD_SET(fd, &w);
	FD_SET(pipefd[0], &r);
	CHECK(select(max, &r, &w, NULL, NULL) == 1);
	CHECK(FD_ISSET(fd, &w) && !FD_ISSET(fd, &r) && !FD_ISSET(pipefd[0], &r));
	FD_SET(fd, &r);
	FD_SET(pipefd[0], &r);
	tv.tv_sec = T_COMES_MS / 1000;
	t_say(fd, "later 100");
	t0 = t_ms();
	CHECK(select(max, &r, NULL, NULL, &tv) == 1 && FD_ISSET(fd, &r));
	left = tv.tv_sec * 1000 + tv.tv_usec / 1000;
	CHECK(left < T_COMES_MS);		/* what was left */
	CHECK(left + 1 + (long)(t_ms() - t0) + 1 >= T_COMES_MS);
	FD_SET(pipefd[0], &r);
	CHECK(write(pipefd[1], "x", 1) == 1);
	CHECK(pselect(max, &r, NULL, NULL, &ts, NULL) == 2);
	CHECK(recv(fd, &c, 1, 0) == 1);
	close(fd);
	FD_SET(fd, &r);
	FAILS(select(max, &r, NULL, NULL, &tv), EBADF);
	close(pipefd[0]);
	close(pipefd[1]);
}

/* --- epoll ------------------------------------------------------------------------------- */

static int epoll_ctl_of(int ep, int op, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event ev = { .events = events, .data.u64 = data };

	return epoll_ctl(ep, op, fd, &ev);
}

static void epoll_level(void)
{
	int ep = epoll_create1(EPOLL_CLOEXEC), fd = t_connect(NULL), pipefd[2];
	struct epoll_event ev[4];
	char c;

	CHECK(pipe(pipefd) == 0);
	FAILS(epoll_ctl_of(ep, EPOLL_CTL_MOD, fd, EPOLLIN, 1), ENOENT);
	FAILS(epoll_ctl_of(ep, EPOLL_CTL_DEL, fd, 0, 1), ENOENT);
	FAILS(epoll_ctl_of(pipefd[0], EPOLL_CTL_ADD, fd, EPOLLIN, 1), EINVAL);
	CHECK(epoll_ctl_of(ep, EPOLL_CTL_ADD, fd, EPOLLIN, 1) == 0);
	FAILS(epoll_ctl_of(ep, EPOLL_CTL_ADD, fd, EPOLLIN, 1), EEXIST);
	CHECK(epoll_ctl_of(ep, EPOLL_CTL_ADD, pipefd[0], EPOLLIN, 2) == 0);
	FAILS(epoll_wait(ep, ev, 0, 0), EINVAL);
	CHECK(epoll_wait(ep, ev, 4, 0) == 0);
	CHECK(epoll_wait(ep, ev, 4, 30) == 0);
	CHECK(write(pipefd[1], "x", 1) == 1);
	CHECK(epoll_wait(ep, ev, 4, -1) == 1 && ev[0].data.u64 == 2);
	CHECK(read(pipefd[0], &c, 1) == 1);
	t_say(fd, "later 100");
	CHECK(epoll_wait(ep, ev, 4, -1) == 1);
	CHECK(ev[0].data.u64 == 1 && ev[0].events == EPOLLIN);
	CHECK(epoll_wait(ep, ev, 4, -1) == 1);			/* a level */
	CHECK(write(pipefd[1], "x", 1) == 1);
	CHECK(epoll_wait(ep, ev, 4, -1) == 2);
	CHECK(epoll_ctl_of(ep, EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLOUT, 3) == 0);
	CHECK(read(pipefd[0], &c, 1) == 1);
	CHECK(epoll_wait(ep, ev, 4, -1) == 1);
	CHECK(ev[0].data.u64 == 3 && ev[0].events == (EPOLLIN | EPOLLOUT));
	CHECK(epoll_ctl_of(ep, EPOLL_CTL_DEL, fd, 0, 0) == 0);
	CHECK(epoll_wait(ep, ev, 4, 0) == 0);
	CHECK(epoll_ctl_of(ep, EPOLL_CTL_ADD, fd, EPOLLIN, 4) == 0);
	CHECK(epoll_wait(ep, ev, 4, 0) == 1);
	close(fd);						/* takes it out */
	CHECK(epoll_wait(ep, ev, 4, 0) == 0);
	close(pipefd[0]);
	close(pipefd[1]);
	close(ep);
}

/* Neither kind starves the other when there is room for one event. */
static void epoll_fair(void)
{
	int ep = epoll_create1(0), fd = t_connect("echo"), e = eventfd(1, 0), i, seen[3] = { 0 };
	struct epoll_event ev;

	CHECK(epoll_ctl_of(ep, EPOLL_CTL_ADD, fd, EPOLLOUT, 1) == 0);
	CHECK(epoll_ctl_of(ep, EPOLL_CTL_ADD, e, EPOLLIN, 2) == 0);
	for (i = 0; i < 10; i++) {
		CHECK(epoll_wait(ep, &ev, 1, -1) == 1);
		seen[ev.data.u64]++;
	}
	CHECK(seen[1] >= 2 && seen[2] >= 2);
	close(fd);
	close(e);
	close(ep);
}

static void epoll_edge(void)
{
	int ep = epoll_create1(0), fd = t_connect("echo");
	struct epoll_event ev;
	char buf[8];

	CHECK(epoll_ctl_of(ep, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, 1) == 0);
	CHECK(epoll_wait(ep, &ev, 1, -1) == 1 && ev.events == EPOLLOUT);
	CHECK(epoll_wait(ep, &ev, 1, 30) == 0);
	CHECK(send(fd, "ab", 2, 0) == 2);
	CHECK(epoll_wait(ep, &ev, 1, T_COMES_MS) == 1 && ev.events & EPOLLIN);
	CHECK(epoll_wait(ep, &ev, 1, 30) == 0);		/* told once */
	CHECK(recv(fd, buf, 1, 0) == 1);
	CHECK(epoll_wait(ep, &ev, 1, 30) == 0);		/* reading is no edge */
	CHECK(send(fd, "c", 1, 0) == 1);
	CHECK(epoll_wait(ep, &ev, 1, T_COMES_MS) == 1);	/* more is one */
	CHECK(epoll_ctl_of(ep, EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLET, 1) == 0);
	CHECK(epoll_wait(ep, &ev, 1, T_COMES_MS) == 1);	/* and so is MOD */
	t_recv_all(fd, buf, 2);
	CHECK(shutdown(fd, SHUT_WR) == 0);
	CHECK(epoll_wait(ep, &ev, 1, T_COMES_MS) == 1 && ev.events & EPOLLIN);
	close(fd);
	close(ep);
}

static void epoll_oneshot(void)
{
	int ep = epoll_create1(0), fd = t_connect("echo");
	struct epoll_event ev;

	CHECK(epoll_ctl_of(ep, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLONESHOT, 1) == 0);
	CHECK(send(fd, "a", 1, 0) == 1);
	CHECK(epoll_wait(ep, &ev, 1, T_COMES_MS) == 1);
	CHECK(epoll_wait(ep, &ev, 1, 30) == 0);
	CHECK(send(fd, "b", 1, 0) == 1);
	CHECK(epoll_wait(ep, &ev, 1, 50) == 0);
	CHECK(epoll_ctl_of(ep, EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLONESHOT, 2) == 0);
	CHECK(epoll_wait(ep, &ev, 1, T_COMES_MS) == 1 && ev.data.u64 == 2);
	close(fd);
	close(ep);
}

static void epoll_hangup(void)
{
	int ep = epoll_create1(0), fd = t_connect("close 100"), rst = t_connect("reset");
	struct epoll_event ev;
	char c;

	CHECK(epoll_ctl_of(ep, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLRDHUP, 1) == 0);
	CHECK(epoll_wait(ep, &ev, 1, T_COMES_MS) == 1);
	CHECK(ev.events == (EPOLLIN | EPOLLRDHUP));
	CHECK(recv(fd, &c, 1, 0) == 0);
	shutdown(fd, SHUT_WR);
	CHECK(epoll_wait(ep, &ev, 1, T_COMES_MS) == 1);
	CHECK(ev.events == (EPOLLIN | EPOLLRDHUP | EPOLLHUP));
	close(fd);
	CHECK(epoll_ctl_of(ep, EPOLL_CTL_ADD, rst, 0, 2) == 0);	/* asked for or not */
	CHECK(epoll_wait(ep, &ev, 1, T_COMES_MS) == 1);
	CHECK(ev.data.u64 == 2 && ev.events == (EPOLLERR | EPOLLHUP));
	close(rst);
	close(ep);
}

struct changer {
	int ep, fd;
};

static void *change(void *arg)
{
	struct changer *ch = arg;

	t_sleep_ms(100);
	CHECK(epoll_ctl_of(ch->ep, EPOLL_CTL_MOD, ch->fd, EPOLLOUT, 2) == 0);
	return NULL;
}

static void *add(void *arg)
{
	struct changer *ch = arg;

	t_sleep_ms(100);
	CHECK(epoll_ctl_of(ch->ep, EPOLL_CTL_ADD, ch->fd, EPOLLOUT, 3) == 0);
	return NULL;
}

/* What another thread changes takes effect on who sleeps. */
static void epoll_other_thread(void)
{
	int fd = t_connect("echo"), fd2 = t_connect("echo");
	struct changer ch = { epoll_create1(0), fd };
	struct epoll_event ev;
	pthread_t t;

	CHECK(epoll_ctl_of(ch.ep, EPOLL_CTL_ADD, fd, EPOLLIN, 1) == 0);
	CHECK(pthread_create(&t, NULL, change, &ch) == 0);
	CHECK(epoll_wait(ch.ep, &ev, 1, T_COMES_MS) == 1 && ev.data.u64 == 2);
	pthread_join(t, NULL);
	CHECK(epoll_ctl_of(ch.ep, EPOLL_CTL_MOD, fd, EPOLLIN, 1) == 0);
	ch.fd = fd2;
	CHECK(pthread_create(&t, NULL, add, &ch) == 0);
	CHECK(epoll_wait(ch.ep, &ev, 1, T_COMES_MS) == 1 && ev.data.u64 == 3);
	pthread_join(t, NULL);
	close(fd);
	close(fd2);
	close(ch.ep);
}

static void epoll_connect(void)
{
	int ep = epoll_create1(0), fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	struct epoll_event ev;
	int r;

	r = connect(fd, (struct sockaddr *)&t_peer, sizeof(t_peer));
	CHECK(r == 0 || errno == EINPROGRESS);
	CHECK(epoll_ctl_of(ep, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLOUT | EPOLLET, 1) == 0);
	CHECK(epoll_wait(ep, &ev, 1, T_COMES_MS) == 1);
	CHECK(ev.events == EPOLLOUT);
	close(fd);
	close(ep);
}

/* A set inside poll(), and one whose sockets go elsewhere. */
static void epoll_nested(void)
{
	int ep = epoll_create1(0), fd = t_connect(NULL), l, c, out, seen = 0;
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	struct pollfd p = { .fd = ep, .events = POLLIN };
	struct epoll_event ev[4];

	CHECK(epoll_ctl_of(ep, EPOLL_CTL_ADD, fd, EPOLLIN, 1) == 0);
	CHECK(poll(&p, 1, 10) == 0);
	t_say(fd, "later 100");
	CHECK(poll(&p, 1, T_COMES_MS) == 1 && p.revents == POLLIN);
	close(fd);
	CHECK(poll(&p, 1, 0) == 0);
	/* Before listen() and before connect() it is not known whose they are. */
	l = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(bind(l, (struct sockaddr *)&a, sizeof(a)) == 0);
	CHECK(epoll_ctl_of(ep, EPOLL_CTL_ADD, l, EPOLLIN, 2) == 0);
	CHECK(listen(l, 3) == 0);
	CHECK(getsockname(l, (struct sockaddr *)&a, &len) == 0);
	CHECK(epoll_wait(ep, ev, 4, 0) == 0);
	out = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(epoll_ctl_of(ep, EPOLL_CTL_ADD, out, EPOLLOUT | EPOLLET, 3) == 0);
	CHECK(connect(out, (struct sockaddr *)&a, sizeof(a)) == 0);
	/* Each is told; the edge once. */
	while (seen != 3) {
		int i, n = epoll_wait(ep, ev, 4, T_COMES_MS);

		CHECK(n == 1 || n == 2);
		for (i = 0; i < n; i++) {
			CHECK(ev[i].data.u64 == 2 ? ev[i].events == EPOLLIN :
			      ev[i].data.u64 == 3 && ev[i].events == EPOLLOUT && !(seen & 2));
			seen |= ev[i].data.u64 == 2 ? 1 : 2;
		}
	}
	c = accept(l, NULL, NULL);
	CHECK(c >= 0);
	CHECK(epoll_wait(ep, ev, 4, 0) == 0);
	close(c);
	close(l);
	close(out);
	close(ep);
}

static void epoll_many(void)
{
	enum { N = 40 };
	int ep = epoll_create1(0), fds[N], i, n, left = N;
	struct epoll_event ev[7];
	char c;

	for (i = 0; i < N; i++) {
		fds[i] = t_connect("echo");
		nonblock(fds[i]);
		CHECK(epoll_ctl_of(ep, EPOLL_CTL_ADD, fds[i], EPOLLIN | EPOLLET, (uint64_t)i) == 0);
	}
	for (i = 0; i < N; i++)
		CHECK(send(fds[i], "x", 1, 0) == 1);
	while (left > 0) {
		n = epoll_wait(ep, ev, 7, T_COMES_MS);
		CHECK(n > 0);
		for (i = 0; i < n; i++) {
			int fd = fds[ev[i].data.u64];

			if (recv(fd, &c, 1, 0) == 1)
				left--;
		}
	}
	for (i = 0; i < N; i++)
		close(fds[i]);
	close(ep);
}

static const struct t_case cases[] = {
	{ "poll_basic", poll_basic },
	{ "poll_mixed", poll_mixed },
	{ "poll_room", poll_room },
	{ "poll_threads", poll_threads },
	{ "poll_signals", poll_signals },
	{ "select_all", select_all },
	{ "epoll_level", epoll_level },
	{ "epoll_fair", epoll_fair },
	{ "epoll_edge", epoll_edge },
	{ "epoll_oneshot", epoll_oneshot },
	{ "epoll_hangup", epoll_hangup },
	{ "epoll_other_thread", epoll_other_thread },
	{ "epoll_connect", epoll_connect },
	{ "epoll_nested", epoll_nested },
	{ "epoll_many", epoll_many },
};

int main(int argc, char **argv)
{
	return t_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
