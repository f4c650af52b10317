/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * api_peer.c - the other end for api_calls and api_wait
 *
 *	api_peer PORT [6]	prints "ready" when it listens; 6: AF_INET6
 *
 * A connection begins with a line that says what to do with it:
 *	echo		send back what comes, until its end; then close
 *	source N	send N octets of the pattern, close
 *	sink		read to the end, answer with how many octets ("N\n"), close
 *	hold		do not read; close when the next connection says "release"
 *	reset		close with SO_LINGER 0
 *	cut		when more comes, send "x" and close; do not read it
 *	later MS	send "x" after MS milliseconds, then as echo
 *	close MS	close after MS milliseconds
 * One thread for each connection.
 */
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "api_test.h"

static sem_t release;

static atomic_int n_deferred;	/* connections accepted by the listener that defers */

static void echo(int fd)
{
	char buf[65536];
	ssize_t n;

	while ((n = recv(fd, buf, sizeof(buf), 0)) > 0)
		t_send_all(fd, buf, (size_t)n);
}

static void source(int fd, size_t len)
{
	uint8_t buf[50000];
	size_t at = 0;

	while (at < len) {
		size_t k = len - at < sizeof(buf) ? len - at : sizeof(buf);

		t_fill(buf, k, at);
		t_send_all(fd, buf, k);
		at += k;
	}
}

static void sink(int fd)
{
	static __thread char buf[65536];
	unsigned long sum = 0;
	ssize_t n;

	while ((n = recv(fd, buf, sizeof(buf), 0)) > 0)
		sum += (unsigned long)n;
	snprintf(buf, sizeof(buf), "%lu\n", sum);
	t_send_all(fd, buf, strlen(buf));
}

static void reset(int fd)
{
	struct linger l = { 1, 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
}

/* "ab", "c" out of band, "de" */
static void urgent(int fd)
{
	t_send_all(fd, "ab", 2);
	CHECK(send(fd, "c", 1, MSG_OOB) == 1);
	t_send_all(fd, "de", 2);
	echo(fd);
}

/* What comes out of band goes back. */
static void oob(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLPRI };
	char c;

	CHECK(poll(&p, 1, 10000) == 1 && p.revents & POLLPRI);
	CHECK(recv(fd, &c, 1, MSG_OOB) == 1);
	CHECK(send(fd, &c, 1, 0) == 1);
}

static void cut(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	CHECK(poll(&p, 1, 10000) == 1);
	t_send_all(fd, "x", 1);
}

static bool read_line(int fd, char *buf, size_t size)
{
	size_t at = 0;

	while (at < size - 1 && recv(fd, buf + at, 1, 0) == 1) {
		if (buf[at] == '\n') {
			buf[at] = '\0';
			return true;
		}
		at++;
	}
	return false;
}

static void *serve(void *arg)
{
	int fd = (int)(intptr_t)arg;
	unsigned long n = 0;
	char line[64], what[16] = "";

	if (read_line(fd, line, sizeof(line)))
		sscanf(line, "%15s %lu", what, &n);
	if (!strcmp(what, "echo")) {
		echo(fd);
	} else if (!strcmp(what, "source")) {
		source(fd, n);
	} else if (!strcmp(what, "sink")) {
		sink(fd);
	} else if (!strcmp(what, "hold")) {
		sem_wait(&release);
	} else if (!strcmp(what, "release")) {
		sem_post(&release);
	} else if (!strcmp(what, "reset")) {
		reset(fd);
	} else if (!strcmp(what, "cut")) {
		cut(fd);
	} else if (!strcmp(what, "deferred")) {
		snprintf(line, sizeof(line), "%d\n", atomic_load(&n_deferred));
		t_send_all(fd, line, strlen(line));
	} else if (!strcmp(what, "urgent")) {
		urgent(fd);
	} else if (!strcmp(what, "oob")) {
		oob(fd);
	} else if (!strcmp(what, "later")) {
		t_sleep_ms(n);
		t_send_all(fd, "x", 1);
		echo(fd);
	} else if (!strcmp(what, "close")) {
		t_sleep_ms(n);
	}
	close(fd);
	return NULL;
}

struct listener {
	uint16_t port;
	bool v6;
	int defer_s;		/* TCP_DEFER_ACCEPT; 0: not set */
	int fd;
};

static void open_listener(struct listener *l)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(l->port) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(l->port) };
	int one = 1;

	l->fd = socket(l->v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(l->fd >= 0);
	CHECK(setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == 0);
	if (l->defer_s)
		CHECK(setsockopt(l->fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &l->defer_s,
				 sizeof(l->defer_s)) == 0);
	CHECK(bind(l->fd, l->v6 ? (struct sockaddr *)&in6 : (struct sockaddr *)&in,
		   l->v6 ? sizeof(in6) : sizeof(in)) == 0);
	CHECK(listen(l->fd, 128) == 0);
}

static void *accept_all(void *arg)
{
	const struct listener *l = arg;
	pthread_attr_t attr;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	for (;;) {
		struct sockaddr_storage from;
		socklen_t len = sizeof(from);
		int c = accept(l->fd, (struct sockaddr *)&from, &len);
		pthread_t t;

		CHECK(c >= 0);
		CHECK(from.ss_family == (l->v6 ? AF_INET6 : AF_INET));
		if (l->v6)
			CHECK(IN6_IS_ADDR_V4MAPPED(&((struct sockaddr_in6 *)&from)->sin6_addr));
		if (l->defer_s)
			n_deferred++;
		CHECK(pthread_create(&t, &attr, serve, (void *)(intptr_t)c) == 0);
	}
	return NULL;
}

/* Listens on PORT; and on PORT + 1000, with TCP_DEFER_ACCEPT. */
int main(int argc, char **argv)
{
	static struct listener plain, defer;
	pthread_t t;

	if (argc < 2)
		return 2;
	sem_init(&release, 0, 0);
	plain.port = (uint16_t)atoi(argv[1]);
	plain.v6 = argc > 2 && !strcmp(argv[2], "6");
	defer = plain;
	defer.port = (uint16_t)(plain.port + 1000);
	defer.defer_s = 600;
	open_listener(&defer);
	open_listener(&plain);
	CHECK(pthread_create(&t, NULL, accept_all, &defer) == 0);
	puts("ready");
	fflush(stdout);
	accept_all(&plain);
	return 0;
}
