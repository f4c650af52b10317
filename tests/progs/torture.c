/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * torture.c - threads and forks on sockets of one stack, killed and stopped at any moment
 *
 *	torture serve PORT
 *	torture run ADDR PORT SECONDS SEED
 *
 * run: rounds.  In each an application is started: it connects, and its threads
 * and the processes it forks send on the same connection, read on another, and
 * make other calls.  Meanwhile they are stopped, continued and killed at random,
 * in the end all of them.  What was sent says who sent it: each octet is the
 * sender's number.  The server writes how many octets of each it got, and how
 * the connection ended, into got.ROUND.  All that send() accepted must have
 * arrived, of the call that was cut off as much as may be, then FIN; and who was
 * not killed must not have met an error.
 *
 * Both sides' current directory is the same.  Exit: 0, or 1 and a line that
 * says what went wrong, with the round's seed.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHUNK		30000	/* octets of a send(), at most */
#define N_IDS		256
#define N_PIDS		64
#define END_S		100	/* until the server has seen the end of a round */

enum kind { KIND_COUNT, KIND_SOURCE, KIND_NOTHING };

/* First on each connection. */
struct hello {
	uint32_t round;
	uint32_t kind;
};

/* Of a round; outlives who is killed. */
struct shared {
	_Atomic uint32_t next_id;		/* senders so far */
	_Atomic uint64_t accepted[N_IDS];	/* octets, by sender */
	_Atomic int pid[N_PIDS];		/* 0: none yet; -1: was reaped */
	_Atomic bool failed;
	char why[200];
};

static struct shared *sh;
static struct sockaddr_in server;
static uint32_t round_nr;

static uint32_t rnd(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*state >> 33);
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void nap_us(uint32_t us)
{
	nanosleep(&(struct timespec){ .tv_sec = us / 1000000,
				      .tv_nsec = (long)(us % 1000000) * 1000 }, NULL);
}

/* --- the server ------------------------------------------------------------------- */

static uint8_t source_octet(uint64_t i)
{
	return (uint8_t)(i * 167 + (i >> 8));
}

static void write_counts(const struct hello *h, const uint64_t *count, int err)
{
	char tmp[64], name[64];
	FILE *f;

	snprintf(tmp, sizeof(tmp), "tmp.%u", h->round);
	snprintf(name, sizeof(name), "got.%u", h->round);
	f = fopen(tmp, "w");
	if (!f)
		return;
	fprintf(f, "%d\n", err);
	for (int i = 0; i < N_IDS; i++)
		fprintf(f, "%llu\n", (unsigned long long)count[i]);
	fclose(f);
	rename(tmp, name);
}

static void count(int fd, const struct hello *h)
{
	uint64_t n_of[N_IDS] = { 0 };
	uint8_t buf[65536];
	ssize_t n;

	while ((n = recv(fd, buf, sizeof(buf), 0)) > 0) {
		for (ssize_t i = 0; i < n; i++)
			n_of[buf[i]]++;
	}
	write_counts(h, n_of, n < 0 ? errno : 0);
}

static void source(int fd)
{
	uint8_t buf[20000];
	uint64_t at = 0;
	ssize_t n;

	do {
		for (size_t i = 0; i < sizeof(buf); i++)
			buf[i] = source_octet(at + i);
		n = send(fd, buf, sizeof(buf), MSG_NOSIGNAL);
		at += n > 0 ? (uint64_t)n : 0;
	} while (n > 0);
}

static void *serve_one(void *arg)
{
	int fd = (int)(intptr_t)arg;
	struct hello h;

	if (recv(fd, &h, sizeof(h), MSG_WAITALL) == sizeof(h)) {
		if (h.kind == KIND_COUNT)
			count(fd, &h);
		else if (h.kind == KIND_SOURCE)
			source(fd);
	}
	close(fd);
	return NULL;
}

static int serve(uint16_t port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(port) };
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (fd < 0 || bind(fd, (struct sockaddr *)&sin, sizeof(sin)) < 0 || listen(fd, 100) < 0) {
		perror("torture: listen");
		return 1;
	}
	for (;;) {
		int one = accept(fd, NULL, NULL);
		pthread_t t;

		if (one < 0 && errno != EINTR && errno != ECONNABORTED) {
			perror("torture: accept");
			return 1;
		}
		if (one >= 0 && !pthread_create(&t, NULL, serve_one, (void *)(intptr_t)one))
			pthread_detach(t);
	}
}

/* --- the application ---------------------------------------------------------------- */

struct worker {
	int out, in;		/* both of the stack; in is this thread's alone */
	uint64_t seed;
};

/* The first to fail says why. */
__attribute__((format(printf, 1, 2)))
static void failed(const char *fmt, ...)
{
	va_list ap;

	if (atomic_exchange(&sh->failed, true))
		return;
	va_start(ap, fmt);
	vsnprintf(sh->why, sizeof(sh->why), fmt, ap);
	va_end(ap);
}

static int connect_as(enum kind kind)
{
	struct hello h = { .round = round_nr, .kind = kind };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0) {
		failed("socket for a connection: %s", strerror(errno));
		return -1;
	}
	if (connect(fd, (struct sockaddr *)&server, sizeof(server)) < 0) {
		failed("connect: %s", strerror(errno));
	} else if (send(fd, &h, sizeof(h), 0) != sizeof(h)) {
		failed("hello: %s", strerror(errno));
	} else {
		return fd;
	}
	close(fd);
	return -1;
}

static ssize_t send_somehow(int fd, const uint8_t *buf, size_t len, uint64_t *seed)
{
	struct iovec iov[2] = { { (void *)(uintptr_t)buf, len / 2 },
				{ (void *)(uintptr_t)(buf + len / 2), len - len / 2 } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };

	switch (rnd(seed) % 5) {
	case 0:
		return write(fd, buf, len);
	case 1:
		return writev(fd, iov, 2);
	case 2:
		return sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	case 3:
		return send(fd, buf, len, MSG_NOSIGNAL | MSG_MORE);
	default:
		return send(fd, buf, len, MSG_NOSIGNAL);
	}
}

static void *sender(void *arg)
{
	struct worker *w = arg;
	uint32_t id = atomic_fetch_add(&sh->next_id, 1) + 1;
	uint8_t buf[CHUNK];

	if (id >= N_IDS)
		return NULL;
	memset(buf, (int)id, sizeof(buf));
	while (!atomic_load(&sh->failed)) {
		size_t len = rnd(&w->seed) % (rnd(&w->seed) % 4 ? CHUNK : 100) + 1;
		ssize_t n = send_somehow(w->out, buf, len, &w->seed);
		struct pollfd p = { .fd = w->out, .events = POLLOUT };

		if (n > 0)
			atomic_fetch_add(&sh->accepted[id], (uint64_t)n);
		else if (n < 0 && errno == EAGAIN)
			poll(&p, 1, 10);
		else
			failed("send: %zd, %s", n, strerror(errno));
	}
	return NULL;
}

static ssize_t recv_somehow(int fd, uint8_t *buf, size_t len, uint64_t *seed)
{
	struct iovec iov = { buf, len };
	struct pollfd p = { .fd = fd, .events = POLLIN };

	switch (rnd(seed) % 5) {
	case 0:
		recv(fd, buf, len, MSG_PEEK | MSG_DONTWAIT);
		return read(fd, buf, len);
	case 1:
		return readv(fd, &iov, 1);
	case 2:
		poll(&p, 1, 10);
		return recv(fd, buf, len, MSG_DONTWAIT);
	case 3:
		return recv(fd, buf, len, MSG_WAITALL);
	default:
		return recv(fd, buf, len, 0);
	}
}

static void *reader(void *arg)
{
	struct worker *w = arg;
	uint8_t buf[CHUNK];
	uint64_t at = 0;

	while (!atomic_load(&sh->failed)) {
		size_t len = rnd(&w->seed) % sizeof(buf) + 1;
		ssize_t n = recv_somehow(w->in, buf, len, &w->seed);

		if (n < 0 && errno == EAGAIN)
			continue;
		if (n <= 0) {
			failed("recv: %zd, %s", n, strerror(errno));
			return NULL;
		}
		for (ssize_t i = 0; i < n; i++, at++) {
			if (buf[i] != source_octet(at)) {
				failed("octet %llu read is wrong", (unsigned long long)at);
				return NULL;
			}
		}
	}
	return NULL;
}

/* A descriptor goes out and comes back; for a moment nobody has it. */
static void pass_on(int fd)
{
	union { struct cmsghdr h; char buf[CMSG_SPACE(sizeof(int))]; } ctl = { 0 };
	char octet = 0;
	struct iovec iov = { &octet, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &ctl,
			      .msg_controllen = sizeof(ctl) };
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
		return;
	fd = dup(fd);
	ctl.h.cmsg_level = SOL_SOCKET;
	ctl.h.cmsg_type = SCM_RIGHTS;
	ctl.h.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&ctl.h), &fd, sizeof(int));
	if (sendmsg(sv[0], &msg, MSG_NOSIGNAL) < 0)
		failed("sendmsg: %s", strerror(errno));
	close(fd);
	msg.msg_controllen = sizeof(ctl);
	if (recvmsg(sv[1], &msg, MSG_CMSG_CLOEXEC) != 1 ||
	    ctl.h.cmsg_len != CMSG_LEN(sizeof(int))) {
		failed("recvmsg: %s", strerror(errno));
	} else {
		memcpy(&fd, CMSG_DATA(&ctl.h), sizeof(int));
		close(fd);
	}
	close(sv[0]);
	close(sv[1]);
}

/* A connection to ourselves: bind(), listen(), connect(), accept(). */
static void accept_one(const struct worker *w)
{
	struct sockaddr_in sin = { .sin_family = AF_INET }, own;
	socklen_t len = sizeof(sin);
	int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int c = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int a = -1;

	if (getsockname(w->out, (struct sockaddr *)&own, &len) < 0) {
		failed("getsockname: %s", strerror(errno));
	} else {
		sin.sin_addr = own.sin_addr;
		if (bind(l, (struct sockaddr *)&sin, sizeof(sin)) < 0 || listen(l, 5) < 0 ||
		    getsockname(l, (struct sockaddr *)&sin, &len) < 0)
			failed("bind or listen: %s", strerror(errno));
		else if (connect(c, (struct sockaddr *)&sin, sizeof(sin)) < 0)
			failed("connect to ourselves: %s", strerror(errno));
		else if ((a = accept(l, NULL, NULL)) < 0)
			failed("accept: %s", strerror(errno));
	}
	close(a);
	close(c);
	close(l);
}

static void one_call(struct worker *w, int ep)
{
	struct epoll_event ev = { .events = EPOLLOUT | EPOLLET };
	struct tcp_info ti;
	struct sockaddr_in sin;
	socklen_t len = sizeof(ti);
	int on, fd;

	switch (rnd(&w->seed) % 10) {
	case 0:
		getsockopt(w->out, IPPROTO_TCP, TCP_INFO, &ti, &len);
		break;
	case 1:
		on = rnd(&w->seed) & 1;
		setsockopt(w->out, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		break;
	case 2:
		ioctl(w->out, SIOCOUTQ, &on);
		break;
	case 3:
		len = sizeof(sin);
		getpeername(w->out, (struct sockaddr *)&sin, &len);
		break;
	case 4:
		fd = dup(w->out);
		if (fd >= 0)
			close(fd);
		break;
	case 5:
		epoll_ctl(ep, EPOLL_CTL_ADD, w->out, &ev);
		epoll_wait(ep, &ev, 1, 1);
		epoll_ctl(ep, EPOLL_CTL_DEL, w->out, &ev);
		break;
	case 6:
		fd = socket(AF_INET, SOCK_STREAM, 0);
		if (fd < 0)
			failed("socket: %s", strerror(errno));
		else
			close(fd);
		break;
	case 7:
		pass_on(w->out);
		break;
	case 8:
		accept_one(w);
		break;
	default:
		fd = connect_as(KIND_NOTHING);
		if (fd >= 0)
			close(fd);
	}
}

static void *caller(void *arg)
{
	struct worker *w = arg;
	int ep = epoll_create1(EPOLL_CLOEXEC);

	while (!atomic_load(&sh->failed))
		one_call(w, ep);
	return NULL;
}

/* Known to who kills, before it does anything. */
static int enlist(void)
{
	for (int i = 0; i < N_PIDS; i++) {
		int none = 0;

		if (atomic_compare_exchange_strong(&sh->pid[i], &none, getpid()))
			return i;
	}
	return -1;
}

/* Processes that send on their parent's connection, in the midst of its threads. */
static void *forker(void *arg)
{
	struct worker *w = arg;

	for (int i = 0; i < 8 && !atomic_load(&sh->failed); i++) {
		struct worker own = *w;
		pid_t pid = fork();

		own.seed += (uint64_t)i + 1;
		if (pid == 0) {
			if (enlist() >= 0)
				sender(&own);
			_exit(0);
		}
		if (pid < 0)
			failed("fork: %s", strerror(errno));
		nap_us(rnd(&w->seed) % 30000);
	}
	return NULL;
}

static void application(uint64_t seed)
{
	void *(*const what[])(void *) = { sender, sender, sender, caller, forker, reader };
	struct worker *w;
	pthread_t t;
	int out;

	enlist();
	out = connect_as(KIND_COUNT);
	for (unsigned int i = 0; out >= 0 && i < sizeof(what) / sizeof(what[0]); i++) {
		w = calloc(1, sizeof(*w));
		w->out = out;
		w->seed = seed + i * 7919;
		if (what[i] == reader)
			w->in = connect_as(KIND_SOURCE);
		if (w->in >= 0)
			pthread_create(&t, NULL, what[i], w);
	}
	for (;;)
		pause();
}

/* --- who kills -------------------------------------------------------------------------- */

static int some_pid(uint64_t *seed)
{
	for (int tries = 0; tries < 8; tries++) {
		int pid = atomic_load(&sh->pid[rnd(seed) % N_PIDS]);

		if (pid > 0)
			return pid;
	}
	return atomic_load(&sh->pid[0]);
}

/* A process id that was reaped may be anybody's.  Return: false if there is
 * nobody left to wait for. */
static bool reap(void)
{
	int pid;

	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0) {
		for (int k = 0; k < N_PIDS; k++) {
			if (atomic_load(&sh->pid[k]) == pid)
				atomic_store(&sh->pid[k], -1);
		}
	}
	return !pid;
}

/* Also those that enlist meanwhile. */
static void kill_all(void)
{
	do {
		for (int k = 0; k < N_PIDS; k++) {
			int pid = atomic_load(&sh->pid[k]);

			if (pid > 0)
				kill(pid, SIGKILL);
		}
		nap_us(1000);
	} while (reap());
}

static void torment(uint64_t *seed)
{
	uint64_t end = now_ms() + 20 + rnd(seed) % 400;

	while (now_ms() < end && !atomic_load(&sh->failed)) {
		int pid = some_pid(seed);

		nap_us(rnd(seed) % 20000);
		if (pid <= 0 || rnd(seed) % 3 == 0)
			continue;
		if (rnd(seed) % 4 == 0) {
			kill(pid, SIGKILL);
			continue;
		}
		kill(pid, SIGSTOP);
		nap_us(rnd(seed) % 60000);
		kill(pid, SIGCONT);
	}
	kill_all();
}

/* 0, or -1 and sh->why. */
static int check(uint32_t round)
{
	uint64_t end = now_ms() + END_S * 1000, n;
	char name[64];
	FILE *f = NULL;
	int err = -1;

	/* No connection, no counts: killed before. */
	if (!atomic_load(&sh->next_id))
		return 0;
	snprintf(name, sizeof(name), "got.%u", round);
	while (!f && now_ms() < end) {
		f = fopen(name, "r");
		if (!f)
			nap_us(2000);
	}
	if (!f || fscanf(f, "%d", &err) != 1 || err) {
		failed("%s", f && err > 0 ? strerror(err) : "the server did not see the end");
		if (f)
			fclose(f);
		return -1;
	}
	for (int i = 0; i < N_IDS; i++) {
		uint64_t a = atomic_load(&sh->accepted[i]);
		unsigned long long got;

		if (fscanf(f, "%llu", &got) != 1)
			got = 0;
		n = got;
		if (n < a || n > a + CHUNK)
			failed("of sender %d %llu octets arrived, %llu were accepted", i, got,
			       (unsigned long long)a);
	}
	fclose(f);
	unlink(name);
	return atomic_load(&sh->failed) ? -1 : 0;
}

static int run(uint64_t seconds, uint64_t seed)
{
	uint64_t end = now_ms() + seconds * 1000, total = 0;
	uint32_t n;

	sh = mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (sh == MAP_FAILED || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		return 1;
	/* What an earlier run has left is not ours. */
	round_nr = (uint32_t)getpid() << 12;
	signal(SIGPIPE, SIG_IGN);
	for (n = 1; now_ms() < end; n++, round_nr++) {
		uint64_t state = seed + n;
		pid_t pid;

		memset(sh, 0, sizeof(*sh));
		pid = fork();
		if (pid == 0)
			application(state);
		if (pid < 0) {
			perror("torture: fork");
			return 1;
		}
		while (!atomic_load(&sh->pid[0]))
			nap_us(100);
		torment(&state);
		if (atomic_load(&sh->failed) || check(round_nr)) {
			printf("round %u, seed %llu: %s\n", n, (unsigned long long)seed,
			       sh->why);
			return 1;
		}
		for (int i = 0; i < N_IDS; i++)
			total += atomic_load(&sh->accepted[i]);
	}
	printf("%u rounds, %llu octets\n", n - 1, (unsigned long long)total);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "serve"))
		return serve((uint16_t)atoi(argv[2]));
	server.sin_family = AF_INET;
	if (argc != 6 || strcmp(argv[1], "run") ||
	    inet_pton(AF_INET, argv[2], &server.sin_addr) != 1) {
		fprintf(stderr, "usage: torture serve PORT | run ADDR PORT SECONDS SEED\n");
		return 2;
	}
	server.sin_port = htons((uint16_t)atoi(argv[3]));
	return run(strtoull(argv[4], NULL, 0), strtoull(argv[5], NULL, 0));
}
