/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * api_calls.c - calls on one connection: data, shutdown, options, signals,
 * errors, copies of descriptors
 */
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <time.h>

#include <linux/errqueue.h>
#include <linux/net_tstamp.h>
#include <linux/sockios.h>

#include "api_test.h"

#define BIG	(3u << 20)	/* octets: more than all buffers between the ends */

/* --- data ----------------------------------------------------------------------- */

static void echo_small(void)
{
	int fd = t_connect("echo");
	char buf[16];

	CHECK(send(fd, "hello", 5, 0) == 5);
	t_recv_all(fd, buf, 5);
	CHECK(!memcmp(buf, "hello", 5));
	CHECK(write(fd, "", 0) == 0);
	CHECK(read(fd, buf, 0) == 0);
	close(fd);
}

static void source_big(void)
{
	char line[32];
	uint8_t *got = malloc(BIG), *want = malloc(BIG);
	int fd;

	snprintf(line, sizeof(line), "source %u", BIG);
	fd = t_connect(line);
	t_recv_all(fd, got, BIG);
	t_fill(want, BIG, 0);
	CHECK(!memcmp(got, want, BIG));
	CHECK(recv(fd, got, 1, 0) == 0);
	CHECK(recv(fd, got, 1, 0) == 0);	/* the end stays the end */
	close(fd);
	free(got);
	free(want);
}

/* A blocking send() takes all; half-close lets the answer through. */
static void half_close(void)
{
	uint8_t *buf = calloc(1, BIG);
	int fd = t_connect("sink");
	char line[32] = "", want[32];

	CHECK(send(fd, buf, BIG, 0) == (ssize_t)BIG);
	CHECK(shutdown(fd, SHUT_WR) == 0);
	FAILS(send(fd, "x", 1, MSG_NOSIGNAL), EPIPE);
	CHECK(recv(fd, line, sizeof(line), MSG_WAITALL) > 0);
	snprintf(want, sizeof(want), "%u\n", BIG);
	CHECK(!strcmp(line, want));
	close(fd);
	free(buf);
}

static void vectors(void)
{
	int fd = t_connect("echo");
	volatile int minus = -1;	/* or gcc warns */
	char a[3], b[4];
	struct iovec out[3] = { { (void *)"abc", 3 }, { NULL, 0 }, { (void *)"defg", 4 } };
	struct iovec in[2] = { { a, sizeof(a) }, { b, sizeof(b) } };
	struct msghdr mh = { .msg_iov = in, .msg_iovlen = 2 };

	CHECK(writev(fd, out, 3) == 7);
	CHECK(recvmsg(fd, &mh, MSG_WAITALL) == 7);
	CHECK(!memcmp(a, "abc", 3) && !memcmp(b, "defg", 4));
	CHECK(mh.msg_namelen == 0 && mh.msg_controllen == 0);
	out[0].iov_base = NULL;
	FAILS(writev(fd, out, 3), EFAULT);
	FAILS(writev(fd, out, minus), EINVAL);
	close(fd);
}

static void peek_waitall(void)
{
	int fd = t_connect("echo");
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	char buf[16];

	CHECK(send(fd, "0123456789", 10, 0) == 10);
	CHECK(recv(fd, buf, 10, MSG_PEEK | MSG_WAITALL) == 10);
	CHECK(recv(fd, buf, 4, MSG_PEEK) == 4);
	CHECK(!memcmp(buf, "0123", 4));
	CHECK(recv(fd, buf, 4, 0) == 4);
	CHECK(!memcmp(buf, "0123", 4));
	CHECK(recv(fd, NULL, 2, MSG_TRUNC) == 2);	/* thrown away */
	CHECK(recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&from, &len) == 4);
	CHECK(!memcmp(buf, "6789", 4));
	CHECK(len == 0);
	CHECK(send(fd, "ab", 2, 0) == 2);
	CHECK(recv(fd, buf, 2, MSG_WAITALL) == 2);
	FAILS(recv(fd, buf, 1, MSG_OOB), EINVAL);
	close(fd);
}

static void many_messages(void)
{
	int fd = t_connect("echo");
	struct iovec iov[2] = { { (void *)"one", 3 }, { (void *)"two", 3 } };
	struct mmsghdr mm[2] = { { .msg_hdr = { .msg_iov = &iov[0], .msg_iovlen = 1 } },
				 { .msg_hdr = { .msg_iov = &iov[1], .msg_iovlen = 1 } } };
	char buf[6];

	CHECK(sendmmsg(fd, mm, 2, 0) == 2);
	CHECK(mm[0].msg_len == 3 && mm[1].msg_len == 3);
	t_recv_all(fd, buf, 6);
	CHECK(!memcmp(buf, "onetwo", 6));
	close(fd);
}

static void file(void)
{
	char path[] = "/tmp/api_calls.XXXXXX", line[32] = "";
	int f = mkstemp(path), fd = t_connect("sink");
	uint8_t buf[50000];
	off_t at = 1000;

	unlink(path);
	t_fill(buf, sizeof(buf), 0);
	CHECK(write(f, buf, sizeof(buf)) == sizeof(buf));
	CHECK(sendfile(fd, f, &at, 20000) == 20000);
	CHECK(at == 21000);
	CHECK(lseek(f, 30000, SEEK_SET) == 30000);
	CHECK(sendfile(fd, f, NULL, 100000) == 20000);	/* to the end */
	CHECK(lseek(f, 0, SEEK_CUR) == 50000);
	CHECK(sendfile(fd, f, NULL, 10) == 0);
	shutdown(fd, SHUT_WR);
	CHECK(recv(fd, line, sizeof(line) - 1, MSG_WAITALL) == 6);
	CHECK(!strcmp(line, "40000\n"));
	close(fd);
	close(f);
}

/* --- not blocking ------------------------------------------------------------------- */

static void nonblock(void)
{
	int fd = t_connect("hold"), rel, one = 1;
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	size_t sent = 0;
	char *buf = calloc(1, 1 << 16);
	ssize_t n;

	CHECK(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
	CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
	FAILS(recv(fd, buf, 1, 0), EAGAIN);
	/* What moved on to the peer's buffer makes room again. */
	do {
		while ((n = send(fd, buf, 1 << 16, 0)) > 0)
			sent += (size_t)n;
		CHECK(n == -1 && errno == EAGAIN && sent > 0);
	} while (poll(&p, 1, 100) == 1);
	/* A little room is no reason for poll(), but send() takes it. */
	while (send(fd, buf, 1 << 16, 0) > 0)
		;
	CHECK(ioctl(fd, FIONBIO, &(int){ 0 }) == 0);
	CHECK(!(fcntl(fd, F_GETFL) & O_NONBLOCK));
	/* (Some may have moved on late.) */
	while ((n = send(fd, buf, 1 << 16, MSG_DONTWAIT)) > 0)
		;
	CHECK(n == -1 && errno == EAGAIN);
	CHECK(ioctl(fd, FIONBIO, &one) == 0);
	FAILS(recv(fd, buf, 1, 0), EAGAIN);
	rel = t_connect("release");
	close(rel);
	close(fd);
	free(buf);
}

static void connect_nonblock(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), err = -1;
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	socklen_t len = sizeof(err);
	int r = connect(fd, (struct sockaddr *)&t_peer, sizeof(t_peer));

	CHECK(r == 0 || errno == EINPROGRESS);
	CHECK(poll(&p, 1, T_COMES_MS) == 1);
	CHECK(p.revents == POLLOUT);
	CHECK(getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) == 0 && err == 0);
	if (r)
		CHECK(connect(fd, (struct sockaddr *)&t_peer, sizeof(t_peer)) == 0);
	FAILS(connect(fd, (struct sockaddr *)&t_peer, sizeof(t_peer)), EISCONN);
	close(fd);
}

static void refused(void)
{
	struct sockaddr_in nobody = t_peer;
	int fd = socket(AF_INET, SOCK_STREAM, 0), err = -1;
	struct pollfd p = { .events = POLLOUT | POLLIN };
	socklen_t len = sizeof(err);

	nobody.sin_port = htons(9);
	FAILS(connect(fd, (struct sockaddr *)&nobody, sizeof(nobody)), ECONNREFUSED);
	close(fd);
	p.fd = fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	CHECK(connect(fd, (struct sockaddr *)&nobody, sizeof(nobody)) < 0);
	CHECK(errno == EINPROGRESS || errno == ECONNREFUSED);
	CHECK(poll(&p, 1, T_COMES_MS) == 1);
	CHECK(p.revents & POLLERR && p.revents & POLLHUP);
	CHECK(getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) == 0 && err == ECONNREFUSED);
	CHECK(getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) == 0 && err == 0);
	close(fd);
}

static void not_connected(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in a;
	socklen_t len = sizeof(a);
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT };
	char c;

	CHECK(getsockname(fd, (struct sockaddr *)&a, &len) == 0);
	CHECK(len == sizeof(a) && a.sin_family == AF_INET && !a.sin_port && !a.sin_addr.s_addr);
	FAILS(getpeername(fd, (struct sockaddr *)&a, &len), ENOTCONN);
	FAILS(recv(fd, &c, 1, 0), ENOTCONN);
	FAILS(send(fd, "x", 1, MSG_NOSIGNAL), EPIPE);
	FAILS(shutdown(fd, SHUT_WR), ENOTCONN);
	FAILS(accept(fd, NULL, NULL), EINVAL);
	CHECK(poll(&p, 1, 0) == 1);
	CHECK(p.revents == (POLLOUT | POLLHUP));
	FAILS(connect(fd, (struct sockaddr *)&t_peer, 4), EINVAL);
	FAILS(bind(fd, (struct sockaddr *)&t_peer, 4), EINVAL);
	a.sin_family = AF_INET6;
	FAILS(connect(fd, (struct sockaddr *)&a, sizeof(a)), EAFNOSUPPORT);
	CHECK(close(fd) == 0);
	FAILS(recv(fd, &c, 1, 0), EBADF);
	FAILS(close(fd), EBADF);
}

/* --- the end -------------------------------------------------------------------------- */

static void reset(void)
{
	int fd = t_connect("reset");
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char c;

	CHECK(poll(&p, 1, T_COMES_MS) == 1);
	CHECK(p.revents == (POLLIN | POLLERR | POLLHUP));
	FAILS(recv(fd, &c, 1, 0), ECONNRESET);
	CHECK(recv(fd, &c, 1, 0) == 0);
	FAILS(send(fd, "x", 1, MSG_NOSIGNAL), EPIPE);
	close(fd);
}

static void linger(void)
{
	struct linger l = { 1, 5 }, got;
	socklen_t len = sizeof(got);
	char buf[1000] = "";
	int fd = t_connect("echo");

	CHECK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l)) == 0);
	CHECK(getsockopt(fd, SOL_SOCKET, SO_LINGER, &got, &len) == 0);
	CHECK(got.l_onoff == 1 && got.l_linger == 5);
	CHECK(send(fd, buf, sizeof(buf), 0) == sizeof(buf));
	t_recv_all(fd, buf, sizeof(buf));
	CHECK(close(fd) == 0);
}

static volatile sig_atomic_t pipes;

static void on_pipe(int sig)
{
	(void)sig;
	pipes++;
}

static void sigpipe(void)
{
	int fd = t_connect("echo");

	signal(SIGPIPE, on_pipe);
	CHECK(shutdown(fd, SHUT_WR) == 0);
	FAILS(send(fd, "x", 1, MSG_NOSIGNAL), EPIPE);
	CHECK(pipes == 0);
	FAILS(write(fd, "x", 1), EPIPE);
	CHECK(pipes == 1);
	signal(SIGPIPE, SIG_DFL);
	close(fd);
}

/* --- time and signals -------------------------------------------------------------------- */

static void timeouts(void)
{
	struct timeval tv = { 0, 200000 }, got;
	socklen_t len = sizeof(got);
	int fd = t_connect("hold"), rel;
	char *buf = calloc(1, 1 << 20);
	uint64_t t0;
	ssize_t n;

	CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) == 0);
	CHECK(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)) == 0);
	CHECK(getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &got, &len) == 0);
	CHECK(got.tv_sec == 0 && got.tv_usec == 200000);
	t0 = t_ms();
	FAILS(recv(fd, buf, 1, 0), EAGAIN);
	/* Linux counts in jiffies, which stand still for a while where a hypervisor
	 * takes the processor away that counts them. */
	CHECK(t_ms() - t0 >= 150 && t_ms() - t0 < 10000);
	do
		n = send(fd, buf, 1 << 20, 0);
	while (n > 0);
	CHECK(errno == EAGAIN);
	rel = t_connect("release");
	close(rel);
	close(fd);
	free(buf);
}

static volatile sig_atomic_t alarms;

static void on_alarm(int sig)
{
	(void)sig;
	alarms++;
}

/* A signal after 100 ms, then every 100 ms. */
static void tick(int flags, bool on)
{
	struct sigaction sa = { .sa_handler = on_alarm, .sa_flags = flags };
	struct itimerval it = { { 0, on * 100000 }, { 0, on * 100000 } };

	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &it, NULL);
}

struct asker {
	int fd;
	pid_t who;
};

/* Once @who has slept through three signals, or so, let the peer send. */
static void *ask_after_signals(void *arg)
{
	const struct asker *a = arg;
	int seen;

	while (!t_is_asleep(a->who))
		t_sleep_ms(1);
	seen = alarms;
	while (alarms < seen + 3)
		t_sleep_ms(1);
	t_say(a->fd, "later 1");
	return NULL;
}

static void signals(void)
{
	struct timeval tv = { 20, 0 };
	struct asker asker = { .fd = t_connect(NULL), .who = gettid() };
	int fd = asker.fd;
	sigset_t alrm;
	pthread_t t;
	char c;

	alarms = 0;
	tick(0, true);
	FAILS(recv(fd, &c, 1, 0), EINTR);
	CHECK(alarms >= 1);
	tick(SA_RESTART, true);
	/* They are for this thread. */
	sigemptyset(&alrm);
	sigaddset(&alrm, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &alrm, NULL);
	CHECK(pthread_create(&t, NULL, ask_after_signals, &asker) == 0);
	pthread_sigmask(SIG_UNBLOCK, &alrm, NULL);
	CHECK(recv(fd, &c, 1, 0) == 1 && c == 'x');	/* in spite of the signals */
	CHECK(pthread_join(t, NULL) == 0);
	CHECK(alarms >= 4);
	/* With a time-out Linux does not restart. */
	CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) == 0);
	FAILS(recv(fd, &c, 1, 0), EINTR);
	tick(0, false);
	signal(SIGALRM, SIG_DFL);
	close(fd);
}

/* --- names, options ------------------------------------------------------------------------ */

static void names(void)
{
	int fd = t_connect("echo");
	struct sockaddr_in a, b;
	socklen_t len = sizeof(a);
	struct stat st;

	CHECK(getpeername(fd, (struct sockaddr *)&a, &len) == 0 && len == sizeof(a));
	CHECK(a.sin_port == t_peer.sin_port && a.sin_addr.s_addr == t_peer.sin_addr.s_addr);
	len = 4;
	CHECK(getsockname(fd, (struct sockaddr *)&b, &len) == 0 && len == sizeof(b));
	len = sizeof(b);
	CHECK(getsockname(fd, (struct sockaddr *)&b, &len) == 0);
	CHECK(b.sin_family == AF_INET && b.sin_port && b.sin_addr.s_addr);
	CHECK(fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode));
	close(fd);
}

static void bound(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), other = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in a = { .sin_family = AF_INET }, b;
	socklen_t len = sizeof(b);

	CHECK(bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0);
	CHECK(getsockname(fd, (struct sockaddr *)&b, &len) == 0 && b.sin_port);
	FAILS(bind(fd, (struct sockaddr *)&a, sizeof(a)), EINVAL);
	FAILS(bind(other, (struct sockaddr *)&b, sizeof(b)), EADDRINUSE);
	CHECK(connect(fd, (struct sockaddr *)&t_peer, sizeof(t_peer)) == 0);
	CHECK(getsockname(fd, (struct sockaddr *)&a, &len) == 0);
	CHECK(a.sin_port == b.sin_port && a.sin_addr.s_addr);
	a.sin_addr.s_addr = htonl(0xc0000201);		/* 192.0.2.1 is nobody's */
	a.sin_port = 0;
	FAILS(bind(other, (struct sockaddr *)&a, sizeof(a)), EADDRNOTAVAIL);
	close(fd);
	close(other);
}

static int get_int(int fd, int level, int name)
{
	int v = -1;
	socklen_t len = sizeof(v);

	CHECK(getsockopt(fd, level, name, &v, &len) == 0 && len == sizeof(v));
	return v;
}

static void options(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), v = 1, size = 100000;
	struct tcp_info ti;
	socklen_t len = sizeof(ti);
	char name[16];

	CHECK(get_int(fd, SOL_SOCKET, SO_TYPE) == SOCK_STREAM);
	CHECK(get_int(fd, SOL_SOCKET, SO_DOMAIN) == AF_INET);
	CHECK(get_int(fd, SOL_SOCKET, SO_PROTOCOL) == IPPROTO_TCP);
	CHECK(get_int(fd, SOL_SOCKET, SO_ACCEPTCONN) == 0);
	CHECK(get_int(fd, SOL_SOCKET, SO_ERROR) == 0);
	CHECK(get_int(fd, IPPROTO_TCP, TCP_NODELAY) == 0);
	CHECK(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &v, sizeof(v)) == 0);
	CHECK(get_int(fd, IPPROTO_TCP, TCP_NODELAY) == 1);
	CHECK(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &v, sizeof(v)) == 0);
	CHECK(get_int(fd, SOL_SOCKET, SO_KEEPALIVE) == 1);
	CHECK(get_int(fd, IPPROTO_TCP, TCP_KEEPIDLE) == 7200);
	v = 33;
	CHECK(setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &v, sizeof(v)) == 0);
	CHECK(get_int(fd, IPPROTO_TCP, TCP_KEEPIDLE) == 33);
	v = -5;
	FAILS(setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &v, sizeof(v)), EINVAL);
	v = 0x10;
	CHECK(setsockopt(fd, IPPROTO_IP, IP_TOS, &v, sizeof(v)) == 0);
	CHECK(get_int(fd, IPPROTO_IP, IP_TOS) == 0x10);
	CHECK(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) == 0);
	CHECK(get_int(fd, SOL_SOCKET, SO_SNDBUF) == 2 * size);
	CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)) == 0);
	CHECK(get_int(fd, SOL_SOCKET, SO_RCVBUF) == 2 * size);
	FAILS(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, 2), EINVAL);
	FAILS(setsockopt(fd, SOL_SOCKET, 9999, &v, sizeof(v)), ENOPROTOOPT);
	FAILS(getsockopt(fd, IPPROTO_TCP, 9999, &v, &len), ENOPROTOOPT);
	len = sizeof(name);
	CHECK(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &len) == 0);
	CHECK(len == sizeof(name) && name[0]);
	CHECK(setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4) == 0);
	FAILS(setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "bbr9", 4), ENOENT);
	CHECK(connect(fd, (struct sockaddr *)&t_peer, sizeof(t_peer)) == 0);
	CHECK(get_int(fd, IPPROTO_TCP, TCP_NODELAY) == 1);
	len = sizeof(ti);
	CHECK(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &ti, &len) == 0);
	len = sizeof(name);
	CHECK(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &len) == 0 &&
	      !strcmp(name, "reno"));
	CHECK(ti.tcpi_state == TCP_ESTABLISHED && ti.tcpi_snd_mss > 500);
	CHECK(get_int(fd, IPPROTO_TCP, TCP_MAXSEG) > 500);
	close(fd);
}

/* Of TCP_INFO, what is the same with any TCP. */
static void information(void)
{
	int fd = t_connect("echo");
	struct tcp_info ti;
	socklen_t len = sizeof(ti);
	char buf[100];

	CHECK(send(fd, buf, sizeof(buf), 0) == sizeof(buf));
	t_recv_all(fd, buf, sizeof(buf));
	/* Quiet for a while, by Linux's jiffies, which may be behind. */
	do {
		t_sleep_ms(50);
		CHECK(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &ti, &len) == 0);
	} while (ti.tcpi_last_data_recv < 40 || ti.tcpi_last_data_sent < 40);
	CHECK(ti.tcpi_unacked == 0 && ti.tcpi_sacked == 0 && ti.tcpi_lost == 0 &&
	      ti.tcpi_retrans == 0 && ti.tcpi_reordering >= 3);
	CHECK(ti.tcpi_last_data_recv < 30000 && ti.tcpi_last_data_sent < 30000);
	CHECK(send(fd, buf, 1, 0) == 1);
	t_recv_all(fd, buf, 1);
	CHECK(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &ti, &len) == 0);
	CHECK(ti.tcpi_last_data_recv < 30000);
	close(fd);
}

/* A number of TCP_INFO that <netinet/tcp.h> does not have. */
static uint64_t tcp_info_at(int fd, size_t off)
{
	uint8_t ti[256];
	socklen_t len = sizeof(ti);
	uint64_t v;

	CHECK(getsockopt(fd, IPPROTO_TCP, TCP_INFO, ti, &len) == 0 && len >= off + sizeof(v));
	memcpy(&v, ti + off, sizeof(v));
	return v;
}

#define TI_TOTAL_RETRANS	100	/* tcpi_total_retrans: low half */
#define TI_DATA_SEGS_OUT	156	/* tcpi_data_segs_out: low half */
#define TI_BUSY		168	/* tcpi_busy_time, microseconds */
#define TI_RWND		176	/* tcpi_rwnd_limited */

/* Nobody reads what comes back, so in the end the peer does not read either: its
 * window is what is waited for. */
static void window_limited(void)
{
	int fd = t_connect("echo"), i;
	static char buf[65536];
	uint64_t rwnd = 0;

	CHECK(tcp_info_at(fd, TI_RWND) == 0);
	for (i = 0; i < 20000 && !rwnd; i++) {
		if (send(fd, buf, sizeof(buf), MSG_DONTWAIT) < 0) {
			CHECK(errno == EAGAIN);
			t_sleep_ms(1);
		}
		rwnd = tcp_info_at(fd, TI_RWND);
	}
	CHECK(rwnd && tcp_info_at(fd, TI_BUSY) >= rwnd);
	close(fd);
}

static void queues(void)
{
	int fd = t_connect("echo"), n = -1;
	char c;

	CHECK(ioctl(fd, FIONREAD, &n) == 0 && n == 0);
	CHECK(send(fd, "12345", 5, 0) == 5);
	CHECK(recv(fd, &c, 1, MSG_PEEK) == 1);
	while (n != 5)
		CHECK(ioctl(fd, FIONREAD, &n) == 0);
	while (n != 0)
		CHECK(ioctl(fd, SIOCOUTQ, &n) == 0);
	close(fd);
}

/* --- urgent data, holding back ------------------------------------------------------------- */

/* Wait until the urgent octet is there. */
static void wait_pri(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLPRI };

	CHECK(poll(&p, 1, T_COMES_MS) == 1 && p.revents == POLLPRI);
}

/* "ab", "c" out of band, "de": reading stops before the mark and skips it. */
static void urgent(void)
{
	int fd = t_connect("urgent"), n;
	struct timeval tv = { .tv_sec = T_COMES_MS / 1000 };
	char buf[16];
	fd_set x;

	wait_pri(fd);
	FD_ZERO(&x);
	FD_SET(fd, &x);
	CHECK(select(fd + 1, NULL, NULL, &x, &tv) == 1 && FD_ISSET(fd, &x));
	CHECK(ioctl(fd, SIOCATMARK, &n) == 0 && n == 0);
	CHECK(ioctl(fd, FIONREAD, &n) == 0 && n == 2);
	CHECK(recv(fd, buf, sizeof(buf), MSG_PEEK) == 2 && !memcmp(buf, "ab", 2));
	CHECK(recv(fd, buf, 1, 0) == 1 && buf[0] == 'a');
	CHECK(recv(fd, buf, sizeof(buf), MSG_WAITALL) == 1 && buf[0] == 'b');
	CHECK(ioctl(fd, SIOCATMARK, &n) == 0 && n == 1);
	CHECK(recv(fd, buf, 1, MSG_OOB | MSG_PEEK) == 1 && buf[0] == 'c');
	CHECK(recv(fd, buf, sizeof(buf), MSG_OOB) == 1 && buf[0] == 'c');
	FAILS(recv(fd, buf, 1, MSG_OOB), EINVAL);
	t_recv_all(fd, buf, 2);
	CHECK(!memcmp(buf, "de", 2));
	CHECK(ioctl(fd, SIOCATMARK, &n) == 0 && n == 0);
	t_say(fd, "on");
	t_recv_all(fd, buf, 3);
	close(fd);
}

static void urgent_inline(void)
{
	int fd = t_connect(NULL), v = 1, n;
	char buf[16];

	CHECK(setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &v, sizeof(v)) == 0);
	t_say(fd, "urgent");
	wait_pri(fd);
	CHECK(recv(fd, buf, sizeof(buf), 0) == 2);
	CHECK(ioctl(fd, SIOCATMARK, &n) == 0 && n == 1);
	FAILS(recv(fd, buf, 1, MSG_OOB), EINVAL);
	t_recv_all(fd, buf, 3);
	CHECK(!memcmp(buf, "cde", 3));
	close(fd);
}

static void urgent_sent(void)
{
	int fd = t_connect("oob");
	char c;

	CHECK(send(fd, "x!", 2, MSG_OOB) == 2);
	CHECK(recv(fd, &c, 1, 0) == 1 && c == '!');
	close(fd);
}

/* --- signals ---------------------------------------------------------------------------------- */

static volatile sig_atomic_t n_urg, n_io, io_fd, io_band, n_got, got_end;
static volatile int sig_sock;

static void on_urg(int sig)
{
	(void)sig;
	n_urg++;
}

static void on_io(int sig, siginfo_t *info, void *ctx)
{
	(void)sig;
	(void)ctx;
	n_io++;
	io_fd = info->si_fd;
	io_band |= (int)info->si_band;
}

/* Reads all there is, in the handler. */
static void on_io_read(int sig)
{
	int err = errno;
	char buf[5000];
	ssize_t n;

	(void)sig;
	n_io++;
	while ((n = recv(sig_sock, buf, sizeof(buf), MSG_DONTWAIT)) > 0)
		n_got += (int)n;
	if (n == 0)
		got_end = 1;
	errno = err;
}

static void catch(int sig, void (*handler)(int), void (*action)(int, siginfo_t *, void *))
{
	struct sigaction sa = { .sa_flags = SA_RESTART };

	if (action) {
		sa.sa_sigaction = action;
		sa.sa_flags |= SA_SIGINFO;
	} else {
		sa.sa_handler = handler;
	}
	n_urg = n_io = io_band = n_got = got_end = 0;
	CHECK(sigaction(sig, &sa, NULL) == 0);
}

/* Until @cond. */
#define COMES(cond) do {				\
	uint64_t until_ = t_ms() + T_COMES_MS;		\
							\
	while (!(cond) && t_ms() < until_)		\
		t_sleep_ms(1);				\
	CHECK(cond);					\
} while (0)

/* poll(), which no SA_RESTART restarts. */
static int t_poll_again(struct pollfd *p)
{
	int r;

	do
		r = poll(p, 1, T_COMES_MS);
	while (r < 0 && errno == EINTR);
	return r;
}

static void set_async(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	CHECK(flags >= 0 && fcntl(fd, F_SETFL, on ? flags | O_ASYNC : flags & ~O_ASYNC) == 0);
	CHECK(!!(fcntl(fd, F_GETFL) & O_ASYNC) == on);
}

/* F_SETOWN: SIGURG, once for each urgent octet; no SIGIO. */
static void sigurg(void)
{
	int fd = t_connect(NULL), pid = getpid(), got = 0;
	char buf[16];

	catch(SIGURG, on_urg, NULL);
	catch(SIGIO, on_io_read, NULL);
	sig_sock = fd;
	CHECK(fcntl(fd, F_SETOWN, pid) == 0 && fcntl(fd, F_GETOWN) == pid);
	t_say(fd, "urgent");
	COMES(n_urg);
	wait_pri(fd);
	CHECK(recv(fd, buf, 1, MSG_OOB) == 1 && buf[0] == 'c');
	t_recv_all(fd, buf, 4);
	CHECK(!memcmp(buf, "abde", 4));
	CHECK(n_urg == 1 && n_io == 0);
	/* Nobody's any more. */
	CHECK(ioctl(fd, FIOSETOWN, &got) == 0);
	CHECK(ioctl(fd, FIOGETOWN, &got) == 0 && got == 0);
	close(fd);
	fd = t_connect(NULL);
	t_say(fd, "urgent");
	wait_pri(fd);
	CHECK(n_urg == 1);
	close(fd);
	signal(SIGURG, SIG_DFL);
	signal(SIGIO, SIG_DFL);
}

/* It interrupts a recv() that waits, and its handler reads the octet. */
static void on_urg_read(int sig)
{
	char c;

	(void)sig;
	if (recv(sig_sock, &c, 1, MSG_OOB) == 1 && c == 'c')
		n_urg++;
}

static void sigurg_in_recv(void)
{
	struct sigaction sa = { .sa_handler = on_urg_read };
	int fd = t_connect(NULL);
	char buf[2];
	ssize_t n;

	n_urg = 0;
	sig_sock = fd;
	CHECK(sigaction(SIGURG, &sa, NULL) == 0 && fcntl(fd, F_SETOWN, getpid()) == 0);
	t_say(fd, "urgent");
	for (size_t at = 0; at < 2; at += n > 0 ? (size_t)n : 0) {
		n = recv(fd, buf + at, 2 - at, 0);
		CHECK(n > 0 || (n < 0 && errno == EINTR));
	}
	CHECK(!memcmp(buf, "ab", 2));
	COMES(n_urg == 1);
	signal(SIGURG, SIG_DFL);
	close(fd);
}

/* O_ASYNC: who reads in its handler misses nothing. */
static void sigio(void)
{
	int fd = t_connect(NULL);

	catch(SIGIO, on_io_read, NULL);
	sig_sock = fd;
	CHECK(fcntl(fd, F_SETOWN, getpid()) == 0);
	set_async(fd, true);
	t_say(fd, "source 300000");
	COMES(got_end);
	CHECK(n_got == 300000 && n_io > 0);
	close(fd);
	/* Off again, by the other way. */
	fd = t_connect(NULL);
	sig_sock = fd;
	CHECK(fcntl(fd, F_SETOWN, getpid()) == 0);
	CHECK(ioctl(fd, FIOASYNC, &(int){ 1 }) == 0 && fcntl(fd, F_GETFL) & O_ASYNC);
	CHECK(ioctl(fd, FIOASYNC, &(int){ 0 }) == 0 && !(fcntl(fd, F_GETFL) & O_ASYNC));
	n_io = 0;
	t_say(fd, "later 1");
	CHECK(recv(fd, &(char){ 0 }, 1, 0) == 1 && n_io == 0);
	close(fd);
	signal(SIGIO, SIG_DFL);
}

/* F_SETSIG: another signal, which says what and where. */
static void sigio_says(void)
{
	int fd = t_connect(NULL);
	struct f_owner_ex me = { .type = F_OWNER_PID, .pid = getpid() }, got;
	int n = 0;

	catch(SIGRTMIN + 1, NULL, on_io);
	CHECK(fcntl(fd, F_SETOWN_EX, &me) == 0 && fcntl(fd, F_SETSIG, SIGRTMIN + 1) == 0);
	CHECK(fcntl(fd, F_GETOWN_EX, &got) == 0 && got.pid == me.pid);
	CHECK(fcntl(fd, F_GETSIG) == SIGRTMIN + 1);
	set_async(fd, true);
	t_say(fd, "later 20");
	COMES(io_band & POLLIN);
	CHECK(io_fd == fd);
	/* One may have been about the connection. */
	COMES(ioctl(fd, FIONREAD, &n) == 0 && n == 1);
	set_async(fd, false);
	close(fd);
	signal(SIGRTMIN + 1, SIG_DFL);
}

/* A listener; and a socket whose connection is not on the ring: with ours it becomes
 * the kernel's in connect(), and keeps what was asked for. */
static void sigio_elsewhere(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sa);
	int l = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0), a;

	CHECK(bind(l, (struct sockaddr *)&sa, sizeof(sa)) == 0 && listen(l, 5) == 0);
	CHECK(getsockname(l, (struct sockaddr *)&sa, &len) == 0);
	catch(SIGRTMIN + 1, NULL, on_io);
	CHECK(fcntl(l, F_SETOWN, getpid()) == 0 && fcntl(l, F_SETSIG, SIGRTMIN + 1) == 0);
	set_async(l, true);
	CHECK(connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0);
	COMES(n_io);
	CHECK(io_fd == l);
	a = accept(l, NULL, NULL);
	CHECK(a >= 0 && !(fcntl(a, F_GETFL) & O_ASYNC) && fcntl(a, F_GETOWN) == 0);
	close(fd);
	set_async(l, false);
	close(a);

	fd = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(fcntl(fd, F_SETOWN, getpid()) == 0 && fcntl(fd, F_SETSIG, SIGRTMIN + 1) == 0);
	set_async(fd, true);
	CHECK(connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0);
	a = accept(l, NULL, NULL);
	n_io = io_band = io_fd = 0;
	CHECK(send(a, "x", 1, 0) == 1);
	COMES(io_band & POLLIN);
	CHECK(io_fd == fd);
	close(a);
	close(fd);
	close(l);
	signal(SIGRTMIN + 1, SIG_DFL);
}

/* Room for more, to who was told that there is none. */
static void sigio_room(void)
{
	static char buf[65536];
	int fd = t_connect("sink");
	ssize_t n;

	catch(SIGIO, on_urg, NULL);
	CHECK(fcntl(fd, F_SETOWN, getpid()) == 0);
	set_async(fd, true);
	for (int i = 0; i < 3; i++) {
		do {
			n_urg = 0;
			n = send(fd, buf, sizeof(buf), MSG_DONTWAIT);
		} while (n > 0);
		CHECK(n < 0 && errno == EAGAIN);
		COMES(n_urg);
	}
	close(fd);
	signal(SIGIO, SIG_DFL);
}

/* Many signals that nobody reads for: the socket still works, also in poll(). */
static void sigio_idle(void)
{
	struct pollfd p = { .events = POLLIN };
	int fd = t_connect("echo");
	char c = 'x';

	catch(SIGIO, on_urg, NULL);
	CHECK(fcntl(fd, F_SETOWN, getpid()) == 0);
	set_async(fd, true);
	for (int i = 0; i < 400; i++) {
		CHECK(send(fd, &c, 1, 0) == 1);
		p.fd = fd;
		CHECK(t_poll_again(&p) == 1 && p.revents == POLLIN);
		CHECK(recv(fd, &c, 1, 0) == 1);
	}
	CHECK(n_urg > 0);
	set_async(fd, false);
	p.revents = 0;
	CHECK(poll(&p, 1, 0) == 0);
	close(fd);
	signal(SIGIO, SIG_DFL);
}

static void *poll_once(void *arg)
{
	struct pollfd p = { .fd = sig_sock, .events = POLLIN };

	atomic_store((_Atomic int *)arg, poll(&p, 1, -1) == 1 ? 1 : -1);
	return NULL;
}

/* A thread reads, while another sleeps in poll(): that is woken all the same. */
static void sigio_polled(void)
{
	int fd = t_connect("echo");
	char c = 'x';

	signal(SIGIO, SIG_IGN);
	CHECK(fcntl(fd, F_SETOWN, getpid()) == 0);
	set_async(fd, true);
	sig_sock = fd;
	for (int i = 0; i < 200; i++) {
		_Atomic int polled = 0;
		pthread_t thread;

		CHECK(pthread_create(&thread, NULL, poll_once, (void *)&polled) == 0);
		for (int k = 0; k < 100; k++)
			CHECK(recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) < 0);
		CHECK(send(fd, &c, 1, 0) == 1);
		while (!atomic_load(&polled))
			recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT);
		CHECK(atomic_load(&polled) == 1);
		pthread_join(thread, NULL);
		CHECK(recv(fd, &c, 1, 0) == 1);
	}
	close(fd);
	signal(SIGIO, SIG_DFL);
}

/* What was sent before a close that resets is not lost, and comes before the RST. */
static void last_words(void)
{
	for (int i = 0; i < 30; i++) {
		int fd = t_connect("cut");
		char c;

		CHECK(t_send_all(fd, "never read", 10));
		CHECK(recv(fd, &c, 1, 0) == 1 && c == 'x');
		FAILS(recv(fd, &c, 1, 0), ECONNRESET);
		close(fd);
	}
}

static void set_int(int fd, int level, int name, int v)
{
	CHECK(setsockopt(fd, level, name, &v, sizeof(v)) == 0);
	CHECK(get_int(fd, level, name) == v);
}

/* What is held back goes when it is let go, or in the end by itself. */
static void held_back(void)
{
	int fd = t_connect("echo");
	char buf[16];
	bool in_time;
	uint64_t t0;
	ssize_t n;

	CHECK(send(fd, "12", 2, MSG_MORE) == 2);
	CHECK(send(fd, "34", 2, 0) == 2);
	t_recv_all(fd, buf, 4);
	do {
		t0 = t_ms();
		set_int(fd, IPPROTO_TCP, TCP_CORK, 1);
		CHECK(send(fd, "56", 2, 0) == 2);
		n = recv(fd, buf, 1, MSG_DONTWAIT | MSG_PEEK);
		CHECK(n == 1 || (n < 0 && errno == EAGAIN));
		in_time = t_ms() - t0 < 100;		/* by itself after 200 ms */
		CHECK(n < 0 || !in_time);
		set_int(fd, IPPROTO_TCP, TCP_CORK, 0);
		t_recv_all(fd, buf, 2);
	} while (!in_time);
	CHECK(send(fd, "78", 2, MSG_MORE) == 2);
	t_recv_all(fd, buf, 2);
	CHECK(!memcmp(buf, "78", 2));
	close(fd);
}

/* Segments with data that @fd has sent; not those that were sent again, as on a
 * loaded machine. */
static uint32_t data_segs_out(int fd)
{
	return (uint32_t)tcp_info_at(fd, TI_DATA_SEGS_OUT) -
	       (uint32_t)tcp_info_at(fd, TI_TOTAL_RETRANS);
}

/* MSG_EOR: nothing that is written later goes into the same segment; and what was
 * written arrives, however its ends lie in buffers. */
static void records(void)
{
	static const size_t size[] = { 1, 4095, 4096, 1, 100000, 8192, 4095, 1, 61440, 300 };
	int fd = t_connect("echo");
	uint8_t *buf = malloc(100000), *got = malloc(100000);
	uint32_t n = data_segs_out(fd);
	size_t i;

	set_int(fd, IPPROTO_TCP, TCP_CORK, 1);
	for (i = 0; i < 5; i++)
		CHECK(send(fd, "12", 2, MSG_EOR) == 2);
	set_int(fd, IPPROTO_TCP, TCP_CORK, 0);
	t_recv_all(fd, got, 10);
	CHECK(!memcmp(got, "1212121212", 10));
	CHECK(data_segs_out(fd) - n == 5);
	for (i = 0; i < 3 * sizeof(size) / sizeof(*size); i++) {
		size_t len = size[i % (sizeof(size) / sizeof(*size))];

		t_fill(buf, len, (uint32_t)i);
		CHECK(send(fd, buf, len, i % 3 ? MSG_EOR : 0) == (ssize_t)len);
		t_recv_all(fd, got, len);
		CHECK(!memcmp(buf, got, len));
	}
	free(buf);
	free(got);
	close(fd);
}

/* The error queue of @fd into @ee; its length, or -1. */
static int error_queue(int fd, struct sock_extended_err *ee)
{
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(sizeof(*ee) + sizeof(struct sockaddr_in6))];
	} u;
	struct msghdr msg = { .msg_control = &u, .msg_controllen = sizeof(u) };
	struct cmsghdr *c;
	int n = (int)recvmsg(fd, &msg, MSG_ERRQUEUE);

	if (n < 0)
		return n;
	c = CMSG_FIRSTHDR(&msg);
	CHECK(c && msg.msg_flags == MSG_ERRQUEUE);
	CHECK((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) ||
	      (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR));
	CHECK(c->cmsg_len >= CMSG_LEN(sizeof(*ee)));
	memcpy(ee, CMSG_DATA(c), sizeof(*ee));
	return n;
}

/* MSG_ZEROCOPY: each send is numbered, and told of when its buffer is free. */
static void zerocopy(void)
{
	int fd = t_connect("echo"), i;
	struct pollfd p = { .fd = fd };
	struct sock_extended_err ee;
	static char buf[1000];
	uint32_t told = 0;

	/* Not asked for: a send like others. */
	CHECK(send(fd, buf, 2, MSG_ZEROCOPY) == 2);
	t_recv_all(fd, buf, 2);
	FAILS(error_queue(fd, &ee), EAGAIN);
	set_int(fd, SOL_SOCKET, SO_ZEROCOPY, 1);
	CHECK(get_int(fd, SOL_SOCKET, SO_ZEROCOPY) == 1);
	CHECK(poll(&p, 1, 0) == 0);
	for (i = 0; i < 3; i++) {
		CHECK(send(fd, buf, sizeof(buf), MSG_ZEROCOPY) == sizeof(buf));
		t_recv_all(fd, buf, sizeof(buf));
	}
	CHECK(send(fd, buf, 0, MSG_ZEROCOPY) == 0);	/* not counted */
	while (told < 3) {
		CHECK(poll(&p, 1, T_COMES_MS) == 1 && p.revents & POLLERR);
		CHECK(error_queue(fd, &ee) == 0);
		CHECK(ee.ee_errno == 0 && ee.ee_origin == SO_EE_ORIGIN_ZEROCOPY);
		CHECK(ee.ee_info == told && ee.ee_data >= told);
		told = ee.ee_data + 1;
	}
	CHECK(told == 3);
	FAILS(error_queue(fd, &ee), EAGAIN);
	CHECK(get_int(fd, SOL_SOCKET, SO_ERROR) == 0);
	CHECK(poll(&p, 1, 0) == 0);
	close(fd);
}

/* The next timestamp of the error queue: which, of what, and when by CLOCK_REALTIME. */
static void next_stamp(int fd, struct sock_extended_err *ee, struct timespec *at)
{
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(sizeof(struct scm_timestamping)) +
			  CMSG_SPACE(sizeof(*ee) + sizeof(struct sockaddr_in6))];
	} u;
	struct msghdr msg = { .msg_control = &u, .msg_controllen = sizeof(u) };
	struct pollfd p = { .fd = fd };
	struct cmsghdr *c;
	int n = 0;

	CHECK(poll(&p, 1, T_COMES_MS) == 1 && p.revents & POLLERR);
	CHECK(recvmsg(fd, &msg, MSG_ERRQUEUE) == 0 && msg.msg_flags == MSG_ERRQUEUE);
	for (c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c), n++) {
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPING)
			memcpy(at, CMSG_DATA(c), sizeof(*at));
		else
			memcpy(ee, CMSG_DATA(c), sizeof(*ee));
	}
	CHECK(n == 2);
	CHECK(ee->ee_errno == ENOMSG && ee->ee_origin == SO_EE_ORIGIN_TIMESTAMPING);
}

static int64_t real_ns(const struct timespec *ts)
{
	return ts->tv_sec * INT64_C(1000000000) + ts->tv_nsec;
}

/* SO_TIMESTAMPING: when a write left, and when it was acknowledged. */
static void timestamps(void)
{
	const int all = SOF_TIMESTAMPING_TX_SCHED | SOF_TIMESTAMPING_TX_SOFTWARE |
			SOF_TIMESTAMPING_TX_ACK | SOF_TIMESTAMPING_SOFTWARE |
			SOF_TIMESTAMPING_OPT_ID | SOF_TIMESTAMPING_OPT_TSONLY;
	static const uint32_t order[] = { SCM_TSTAMP_SCHED, SCM_TSTAMP_SND, SCM_TSTAMP_ACK };
	int fd = socket(AF_INET, SOCK_STREAM, 0), i;
	uint32_t only_ack = SOF_TIMESTAMPING_TX_ACK;
	struct sock_extended_err ee;
	struct timespec at, before, after;
	static char buf[1000];
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(sizeof(only_ack))];
	} u = { .h = { .cmsg_len = CMSG_LEN(sizeof(only_ack)), .cmsg_level = SOL_SOCKET,
		       .cmsg_type = SO_TIMESTAMPING } };
	struct iovec iov = { buf, 10 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &u,
			      .msg_controllen = sizeof(u) };
	struct pollfd p;

	/* Octets of what? */
	FAILS(setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPING, &all, sizeof(all)), EINVAL);
	close(fd);
	fd = t_connect("echo");
	CHECK(send(fd, buf, 7, 0) == 7);
	t_recv_all(fd, buf, 7);
	set_int(fd, SOL_SOCKET, SO_TIMESTAMPING, all);
	clock_gettime(CLOCK_REALTIME, &before);
	CHECK(send(fd, buf, sizeof(buf), 0) == sizeof(buf));
	t_recv_all(fd, buf, sizeof(buf));
	for (i = 0; i < 3; i++) {
		/* What was sent again has left again. */
		do
			next_stamp(fd, &ee, &at);
		while (ee.ee_info != order[i] && ee.ee_info != SCM_TSTAMP_ACK &&
		       (uint32_t)tcp_info_at(fd, TI_TOTAL_RETRANS));
		CHECK(ee.ee_info == order[i] && ee.ee_data == sizeof(buf) - 1);
		/* A microsecond is what ours counts in. */
		CHECK(real_ns(&at) >= real_ns(&before) - 2000);
		before = at;
		clock_gettime(CLOCK_REALTIME, &after);
		CHECK(real_ns(&at) <= real_ns(&after) + 2000);
	}
	/* For one write alone, something else */
	memcpy(CMSG_DATA(&u.h), &only_ack, sizeof(only_ack));
	CHECK(sendmsg(fd, &msg, 0) == 10);
	next_stamp(fd, &ee, &at);
	CHECK(ee.ee_info == SCM_TSTAMP_ACK && ee.ee_data == sizeof(buf) + 9);
	t_recv_all(fd, buf, 10);
	only_ack = SOF_TIMESTAMPING_OPT_ID;
	memcpy(CMSG_DATA(&u.h), &only_ack, sizeof(only_ack));
	FAILS(sendmsg(fd, &msg, 0), EINVAL);
	FAILS(error_queue(fd, &ee), EAGAIN);
	CHECK(get_int(fd, SOL_SOCKET, SO_ERROR) == 0);
	p = (struct pollfd){ .fd = fd };
	CHECK(poll(&p, 1, 0) == 0);
	close(fd);
}

/* TCP_INQ: recvmsg() says what is left. */
static void what_is_left(void)
{
	int fd = t_connect("echo"), left = -1;
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(sizeof(left))];
	} u;
	char buf[8];
	struct iovec iov = { buf, 2 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	set_int(fd, IPPROTO_TCP, TCP_INQ, 1);
	CHECK(get_int(fd, IPPROTO_TCP, TCP_INQ) == 1);
	CHECK(send(fd, "12345", 5, 0) == 5);
	CHECK(recv(fd, buf, 5, MSG_PEEK | MSG_WAITALL) == 5);
	msg.msg_control = &u;
	msg.msg_controllen = sizeof(u);
	CHECK(recvmsg(fd, &msg, 0) == 2);
	CHECK(msg.msg_flags == 0 && CMSG_FIRSTHDR(&msg));
	CHECK(u.h.cmsg_level == IPPROTO_TCP && u.h.cmsg_type == TCP_CM_INQ);
	memcpy(&left, CMSG_DATA(&u.h), sizeof(left));
	CHECK(left == 3);
	/* No room for it is told. */
	msg.msg_controllen = 0;
	CHECK(recvmsg(fd, &msg, 0) == 2 && msg.msg_flags == MSG_CTRUNC);
	set_int(fd, IPPROTO_TCP, TCP_INQ, 0);
	msg.msg_controllen = sizeof(u);
	CHECK(recvmsg(fd, &msg, 0) == 1 && msg.msg_controllen == 0 && msg.msg_flags == 0);
	close(fd);
}

/* Numbers that change what TCP does; and it still works with them. */
struct writer {
	int fd;
	_Atomic pid_t tid;
	_Atomic bool done;
};

static void *write_one(void *arg)
{
	struct writer *w = arg;

	atomic_store(&w->tid, gettid());
	CHECK(send(w->fd, "x", 1, 0) == 1);
	atomic_store(&w->done, true);
	return NULL;
}

/* A writer that sleeps since too much is unsent goes on when that is allowed.
 * As long as the peer's window is not full, what is unsent gets less. */
static void lowat_raised(int fd)
{
	static char buf[4096];
	struct writer w;
	pthread_t t;
	bool is_done;

	do {
		while (send(fd, buf, sizeof(buf), MSG_DONTWAIT) > 0)
			;
		w = (struct writer){ .fd = fd };
		CHECK(pthread_create(&t, NULL, write_one, &w) == 0);
		while (!atomic_load(&w.done) && !(atomic_load(&w.tid) && t_is_asleep(w.tid)))
			sched_yield();
		is_done = atomic_load(&w.done);
		if (is_done)
			CHECK(pthread_join(t, NULL) == 0);
	} while (is_done);
	set_int(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, 1 << 30);
	CHECK(pthread_join(t, NULL) == 0);
}

static void tuned(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), n = -1;
	char buf[4096] = "";
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	CHECK(fd >= 0);
	set_int(fd, IPPROTO_TCP, TCP_MAXSEG, 1000);
	set_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 60000);
	set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, 20);
	set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, 4);
	set_int(fd, IPPROTO_TCP, TCP_SYNCNT, 3);
	set_int(fd, IPPROTO_TCP, TCP_LINGER2, 20);
	set_int(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, 20000);
	set_int(fd, IPPROTO_IP, IP_TTL, 33);
	CHECK(connect(fd, (struct sockaddr *)&t_peer, sizeof(t_peer)) == 0);
	CHECK(get_int(fd, IPPROTO_TCP, TCP_MAXSEG) <= 1000);
	set_int(fd, IPPROTO_IP, IP_TOS, 0x20);
	set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	t_say(fd, "hold");
	/* Not much more than the mark waits to be sent; less, once some of it has
	 * been sent, until the peer's window is full. */
	do {
		while (send(fd, buf, sizeof(buf), MSG_DONTWAIT) > 0)
			;
		CHECK(errno == EAGAIN);
		CHECK(ioctl(fd, SIOCOUTQNSD, &n) == 0 && n < 200000);
	} while (n < 20000 - 4096 || poll(&p, 1, 0) != 0);
	lowat_raised(fd);
	close(t_connect("release"));
	close(fd);
}

/* TCP_NOTSENT_LOWAT of the node, for who has none of his own; here without a bound
 * unless sockets.bats has set one. */
static void lowat_of_the_node(void)
{
	FILE *f = fopen("/proc/sys/net/ipv4/tcp_notsent_lowat", "r");
	int fd = t_connect("hold"), n = -1;
	unsigned int lowat;
	char buf[4096] = "";

	CHECK(f && fscanf(f, "%u", &lowat) == 1);
	fclose(f);
	CHECK(get_int(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT) == 0);
	/* As in tuned(). */
	do {
		while (send(fd, buf, sizeof(buf), MSG_DONTWAIT) > 0)
			;
		CHECK(errno == EAGAIN);
		CHECK(ioctl(fd, SIOCOUTQNSD, &n) == 0);
	} while (lowat < 100000 && n < (int)lowat - 4096);
	CHECK(lowat >= 100000 || n < 200000);
	close(t_connect("release"));
	close(fd);
}

static int deferred_count(int fd)
{
	char line[16] = "";

	CHECK(recv(fd, line, sizeof(line) - 1, MSG_WAITALL) > 0);
	close(fd);
	return atoi(line);
}

/* TCP_DEFER_ACCEPT: who says nothing is not accepted, though connected first. */
static void deferred(void)
{
	struct sockaddr_in plain = t_peer;
	int silent, before, fd;

	t_peer.sin_port = htons((uint16_t)(ntohs(t_peer.sin_port) + 1000));
	before = deferred_count(t_connect("deferred"));
	silent = t_connect(NULL);
	CHECK(deferred_count(t_connect("deferred")) == before + 1);
	t_say(silent, "deferred");
	CHECK(deferred_count(silent) == before + 2);
	fd = t_connect("deferred");
	CHECK(deferred_count(fd) == before + 3);
	t_peer = plain;
}

/* --- copies --------------------------------------------------------------------------------- */

static void copies(void)
{
	int fd = t_connect("echo"), two, three;
	char c;

	two = dup(fd);
	CHECK(two >= 0);
	three = fcntl(fd, F_DUPFD_CLOEXEC, 100);
	CHECK(three >= 100 && fcntl(three, F_GETFD) == FD_CLOEXEC);
	CHECK(close(fd) == 0);
	CHECK(send(two, "a", 1, 0) == 1);
	CHECK(recv(three, &c, 1, 0) == 1 && c == 'a');
	CHECK(fcntl(two, F_SETFL, O_NONBLOCK) == 0);	/* is of all copies */
	FAILS(recv(three, &c, 1, 0), EAGAIN);
	fd = open("/dev/null", O_RDWR);
	CHECK(dup2(fd, two) == two);			/* no socket any more */
	CHECK(write(two, "x", 1) == 1);
	CHECK(read(two, &c, 1) == 0);
	CHECK(send(three, "b", 1, 0) == 1);
	close(fd);
	close(two);
	close(three);
}

static void forked(void)
{
	int fd = t_connect("echo"), status;
	char c;
	pid_t pid = fork();

	if (!pid) {
		int own;

		/* The inherited one, and one of its own. */
		if (send(fd, "c", 1, 0) != 1)
			_exit(1);
		own = socket(AF_INET, SOCK_STREAM, 0);
		if (own < 0 || connect(own, (struct sockaddr *)&t_peer, sizeof(t_peer)))
			_exit(2);
		if (send(own, "echo\nz", 6, 0) != 6 || recv(own, &c, 1, 0) != 1 || c != 'z')
			_exit(3);
		close(own);
		close(fd);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(recv(fd, &c, 1, 0) == 1 && c == 'c');
	CHECK(send(fd, "p", 1, 0) == 1);		/* the child's close() was not the last */
	CHECK(recv(fd, &c, 1, 0) == 1 && c == 'p');
	close(fd);
}

static void many(void)
{
	enum { N = 60 };
	int fds[N], i;

	for (i = 0; i < N; i++)
		fds[i] = t_connect("echo");
	for (i = 0; i < N; i++)
		CHECK(send(fds[i], &i, sizeof(i), 0) == sizeof(i));
	for (i = N - 1; i >= 0; i--) {
		int got;

		t_recv_all(fds[i], &got, sizeof(got));
		CHECK(got == i);
		close(fds[i]);
	}
}

/* --- to other places ------------------------------------------------------------------------ */

/* Two ends over loopback, with an option and an address set before. */
static void loopback(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int l = socket(AF_INET, SOCK_STREAM, 0), fd, c, v = 1;
	socklen_t len = sizeof(a);
	struct sockaddr_in b = a;
	char buf[4];

	CHECK(bind(l, (struct sockaddr *)&a, sizeof(a)) == 0);
	CHECK(listen(l, 1) == 0);
	CHECK(getsockname(l, (struct sockaddr *)&a, &len) == 0);
	CHECK(get_int(l, SOL_SOCKET, SO_ACCEPTCONN) == 1);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &v, sizeof(v)) == 0);
	CHECK(bind(fd, (struct sockaddr *)&b, sizeof(b)) == 0);
	CHECK(connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0);
	CHECK(get_int(fd, IPPROTO_TCP, TCP_NODELAY) == 1);
	CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC);
	c = accept4(l, (struct sockaddr *)&b, &len, SOCK_CLOEXEC);
	CHECK(c >= 0 && len == sizeof(b) && b.sin_addr.s_addr == htonl(INADDR_LOOPBACK));
	CHECK(send(fd, "loop", 4, 0) == 4);
	t_recv_all(c, buf, 4);
	close(c);
	close(fd);
	close(l);
}

static void mapped(void)
{
	struct sockaddr_in6 a = { .sin6_family = AF_INET6, .sin6_port = t_peer.sin_port }, b;
	int fd = socket(AF_INET6, SOCK_STREAM, 0);
	socklen_t len = sizeof(b);
	char c;

	a.sin6_addr.s6_addr[10] = a.sin6_addr.s6_addr[11] = 0xff;
	memcpy(&a.sin6_addr.s6_addr[12], &t_peer.sin_addr, 4);
	CHECK(connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0);
	CHECK(getpeername(fd, (struct sockaddr *)&b, &len) == 0 && len == sizeof(b));
	CHECK(b.sin6_family == AF_INET6 && !memcmp(&a.sin6_addr, &b.sin6_addr, 16));
	CHECK(getsockname(fd, (struct sockaddr *)&b, &len) == 0);
	CHECK(IN6_IS_ADDR_V4MAPPED(&b.sin6_addr));
	CHECK(send(fd, "echo\n6", 6, 0) == 6);
	CHECK(recv(fd, &c, 1, 0) == 1 && c == '6');
	close(fd);
}

/* --- listeners -------------------------------------------------------------------------------- */

static void *accepts(void *arg)
{
	errno = 0;
	accept(*(int *)arg, NULL, NULL);
	return (void *)(intptr_t)errno;
}

static void listener(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	struct timeval tv = { 0, 100000 };
	int l = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), n;
	struct pollfd p = { .fd = l, .events = POLLIN | POLLOUT };
	pthread_t t;
	void *err;

	CHECK(bind(l, (struct sockaddr *)&a, sizeof(a)) == 0);
	CHECK(listen(l, 5) == 0);
	CHECK(listen(l, 10) == 0);			/* another backlog */
	FAILS(accept(l, NULL, NULL), EAGAIN);
	CHECK(poll(&p, 1, 0) == 0);
	FAILS(connect(l, (struct sockaddr *)&t_peer, sizeof(t_peer)), EISCONN);
	FAILS(ioctl(l, FIONREAD, &n), EINVAL);
	FAILS(recv(l, &n, 1, 0), ENOTCONN);
	FAILS(send(l, &n, 1, MSG_NOSIGNAL), EPIPE);
	CHECK(fcntl(l, F_SETFL, 0) == 0);
	CHECK(setsockopt(l, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) == 0);
	FAILS(accept(l, NULL, NULL), EAGAIN);
	tv.tv_usec = 0;
	CHECK(setsockopt(l, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) == 0);
	CHECK(pthread_create(&t, NULL, accepts, &l) == 0);
	t_sleep_ms(50);
	CHECK(shutdown(l, SHUT_RDWR) == 0);
	CHECK(pthread_join(t, &err) == 0 && (intptr_t)err == EINVAL);
	close(l);
}

static const struct t_case cases[] = {
	{ "echo_small", echo_small },
	{ "source_big", source_big },
	{ "half_close", half_close },
	{ "vectors", vectors },
	{ "peek_waitall", peek_waitall },
	{ "many_messages", many_messages },
	{ "file", file },
	{ "nonblock", nonblock },
	{ "connect_nonblock", connect_nonblock },
	{ "refused", refused },
	{ "not_connected", not_connected },
	{ "reset", reset },
	{ "linger", linger },
	{ "sigpipe", sigpipe },
	{ "timeouts", timeouts },
	{ "signals", signals },
	{ "names", names },
	{ "bound", bound },
	{ "options", options },
	{ "information", information },
	{ "window_limited", window_limited },
	{ "queues", queues },
	{ "urgent", urgent },
	{ "urgent_inline", urgent_inline },
	{ "urgent_sent", urgent_sent },
	{ "sigurg", sigurg },
	{ "sigurg_in_recv", sigurg_in_recv },
	{ "sigio", sigio },
	{ "sigio_says", sigio_says },
	{ "sigio_elsewhere", sigio_elsewhere },
	{ "sigio_room", sigio_room },
	{ "sigio_idle", sigio_idle },
	{ "sigio_polled", sigio_polled },
	{ "last_words", last_words },
	{ "deferred", deferred },
	{ "held_back", held_back },
	{ "records", records },
	{ "timestamps", timestamps },
	{ "lowat_of_the_node", lowat_of_the_node },
	{ "zerocopy", zerocopy },
	{ "what_is_left", what_is_left },
	{ "tuned", tuned },
	{ "copies", copies },
	{ "forked", forked },
	{ "many", many },
	{ "loopback", loopback },
	{ "mapped", mapped },
	{ "listener", listener },
};

int main(int argc, char **argv)
{
	return t_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
