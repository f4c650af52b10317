/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * api_test.h - for programs that check what socket calls do
 *
 * They know nothing of Jetstream: the same program must pass with the kernel's
 * TCP (jet exec) and with ours (jet run).  A failed check prints itself and
 * errno and ends the program with 1.
 */
#ifndef TESTS_PROGS_API_TEST_H
#define TESTS_PROGS_API_TEST_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#define CHECK(cond) do {							\
	if (!(cond)) {								\
		fprintf(stderr, "%s:%d: %s: failed (errno %d, %s)\n",		\
			__FILE__, __LINE__, #cond, errno, strerror(errno));	\
		exit(1);							\
	}									\
} while (0)

/* A call that must fail with this errno. */
#define FAILS(call, err) do {							\
	errno = 0;								\
	CHECK((call) == -1);							\
	CHECK(errno == (err));							\
} while (0)

struct t_case {
	const char *name;
	void (*run)(void);
};

static struct sockaddr_in t_peer;	/* where api_peer listens */

static inline uint64_t t_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static inline void t_sleep_ms(unsigned long ms)
{
	struct timespec ts = { (time_t)(ms / 1000), (long)(ms % 1000) * 1000000 };

	while (nanosleep(&ts, &ts) < 0 && errno == EINTR)
		;
}

/* The pattern that "source" sends. */
static inline void t_fill(uint8_t *buf, size_t len, size_t at)
{
	size_t i;

	for (i = 0; i < len; i++)
		buf[i] = (uint8_t)((at + i) * 7 + ((at + i) >> 8));
}

/* False: the other end has gone. */
static inline bool t_send_all(int fd, const void *buf, size_t len)
{
	const char *p = buf;

	while (len) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

static inline void t_say(int fd, const char *what)
{
	char line[64];
	int n = snprintf(line, sizeof(line), "%s\n", what);

	CHECK(t_send_all(fd, line, (size_t)n));
}

/* poll() and epoll_wait() for what must come: a case has alarm()'s time for all of
 * it, whatever else the machine does. */
#define T_COMES_MS	25000

/* Asleep in a call; a thread that has ended is not. */
static inline bool t_is_asleep(pid_t tid)
{
	char path[64], state = '?';
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)tid);
	f = fopen(path, "r");
	if (!f)
		return false;
	if (fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
		state = '?';
	fclose(f);
	return state == 'S';
}

/* Connect and say what the peer shall do (api_peer.c). */
static inline int t_connect(const char *what)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK(fd >= 0);
	CHECK(connect(fd, (struct sockaddr *)&t_peer, sizeof(t_peer)) == 0);
	if (what)
		t_say(fd, what);
	return fd;
}

/* Exactly @len octets. */
static inline void t_recv_all(int fd, void *buf, size_t len)
{
	size_t at = 0;

	while (at < len) {
		ssize_t n = recv(fd, (char *)buf + at, len - at, 0);

		CHECK(n > 0);
		at += (size_t)n;
	}
}

/* PROG ADDRESS PORT [CASE…]: run the cases that are named, or all. */
static inline int t_main(int argc, char **argv, const struct t_case *cases, size_t n_cases)
{
	size_t c, n = 0;
	int i;

	if (argc < 3) {
		fprintf(stderr, "usage: %s ADDRESS PORT [CASE...]\n", argv[0]);
		return 2;
	}
	t_peer.sin_family = AF_INET;
	t_peer.sin_port = htons((uint16_t)atoi(argv[2]));
	CHECK(inet_pton(AF_INET, argv[1], &t_peer.sin_addr) == 1);
	for (c = 0; c < n_cases; c++) {
		bool wanted = argc == 3;

		for (i = 3; i < argc; i++)
			wanted = wanted || !strcmp(argv[i], cases[c].name);
		if (!wanted)
			continue;
		alarm(30);	/* a case that hangs is a case that failed */
		cases[c].run();
		printf("ok %s\n", cases[c].name);
		fflush(stdout);
		n++;
	}
	alarm(0);
	return n ? 0 : 2;
}

#endif
