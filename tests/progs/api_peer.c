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
 *	later MS	send "x" after MS milliseconds, then as echo
 *	close MS	close after MS milliseconds
 * One thread for each connection.
 */
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>

#include "api_test.h"

static sem_t release;

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

int main(int argc, char **argv)
{
	bool v6 = argc > 2 && !strcmp(argv[2], "6");
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	pthread_attr_t attr;
	int one = 1, fd;

	if (argc < 2)
		return 2;
	sem_init(&release, 0, 0);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	in.sin_port = in6.sin6_port = htons((uint16_t)atoi(argv[1]));
	fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(fd >= 0);
	CHECK(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == 0);
	CHECK(bind(fd, v6 ? (struct sockaddr *)&in6 : (struct sockaddr *)&in,
		   v6 ? sizeof(in6) : sizeof(in)) == 0);
	CHECK(listen(fd, 128) == 0);
	puts("ready");
	fflush(stdout);
	for (;;) {
		struct sockaddr_storage from;
		socklen_t len = sizeof(from);
		int c = accept(fd, (struct sockaddr *)&from, &len);
		pthread_t t;

		CHECK(c >= 0);
		CHECK(from.ss_family == (v6 ? AF_INET6 : AF_INET));
		if (v6)
			CHECK(IN6_IS_ADDR_V4MAPPED(&((struct sockaddr_in6 *)&from)->sin6_addr));
		CHECK(pthread_create(&t, &attr, serve, (void *)(intptr_t)c) == 0);
	}
}
