/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tcp_push.c - send a known pattern, say how much was accepted, end as told
 *
 *	tcp_push ADDR PORT BYTES CHUNK HOW
 *
 * Connects, then send()s up to BYTES octets in chunks without blocking, as
 * many as are taken; after each chunk the total is written to standard output
 * ("accepted N\n", one write).  At the end "outq N\n" (SIOCOUTQ), then
 *	exit	end normally, with data still unsent
 *	kill	SIGKILL to itself
 *	stop	SIGSTOP to itself; when continued, exit
 *	block	(from the start) send() blocks until all is taken, then exit
 *	ask	as exit, but wait for an octet on standard input before each chunk
 *	fork	a second process, which sets options until it is stopped in the lock
 *		(JETSTREAM_FAULT); then send one chunk, continue it, wait for its end
 *	forks	BYTES / CHUNK processes, one after the other, each of which sends a chunk
 *		and ends; "accepted" for each
 *	reset	(from the start) send() blocks; then close with SO_LINGER of no time: RST
 *	recv	send nothing: read to the end, print "received N" or "error E"
 *	accept	the same on a connection that comes to ADDR and PORT
 *
 * Octet i of the pattern is (i * 167 + (i >> 8)) & 0xff; "tcp_push pattern N"
 * writes N octets of it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static void say(const char *what, unsigned long long n)
{
	char line[64];
	int len = snprintf(line, sizeof(line), "%s %llu\n", what, n);

	if (write(1, line, (size_t)len) != len)
		exit(3);
}

static void fill(unsigned char *p, size_t n, unsigned long long from)
{
	for (size_t k = 0; k < n; k++) {
		unsigned long long i = from + k;

		p[k] = (unsigned char)(i * 167 + (i >> 8));
	}
}

static int pattern(unsigned long long n)
{
	unsigned char buf[65536];

	for (unsigned long long at = 0; at < n; ) {
		size_t k = n - at < sizeof(buf) ? (size_t)(n - at) : sizeof(buf);

		fill(buf, k, at);
		if (fwrite(buf, 1, k, stdout) != k)
			return 1;
		at += k;
	}
	return fflush(stdout) ? 1 : 0;
}

static int receive(int fd)
{
	unsigned long long total = 0;
	char buf[65536];
	ssize_t n;

	while ((n = recv(fd, buf, sizeof(buf), 0)) > 0)
		total += (unsigned long long)n;
	say("received", total);
	if (n < 0) {
		say("error", (unsigned long long)errno);
		return 1;
	}
	return 0;
}

static int send_by_forks(int fd, unsigned long long bytes, size_t chunk)
{
	unsigned char buf[65536];
	int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	for (unsigned long long at = 0; at < bytes; at += chunk) {
		pid_t pid = fork();
		int status = 0;

		if (pid == 0) {
			fill(buf, chunk, at);
			_exit(send(fd, buf, chunk, 0) == (ssize_t)chunk ? 0 : errno);
		}
		if (pid < 0 || waitpid(pid, &status, 0) != pid || status) {
			say("error", (unsigned long long)WEXITSTATUS(status));
			return 1;
		}
		say("accepted", at + chunk);
	}
	return 0;
}

static int accept_one(int fd, const struct sockaddr_in *sin)
{
	int on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (const struct sockaddr *)sin, sizeof(*sin)) < 0 || listen(fd, 1) < 0 ||
	    (fd = accept(fd, NULL, NULL)) < 0) {
		perror("accept");
		return 2;
	}
	return receive(fd);
}

/* Takes the lock and commits, and sends nothing.  First a
 * while, after which the stack's child has nothing left to do, nor a timer of
 * the handshake: sooner it would take the lock without being asked. */
static void set_options(int fd)
{
	int on = 1, err = setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));

	usleep(1500000);
	for (int i = 0; i < 1000 && !err; i++) {
		on = i & 1;
		err = setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	}
	_exit(err ? 1 : 0);
}

static int send_beside_stopped(int fd, size_t chunk)
{
	unsigned char buf[65536];
	int status = 0;
	ssize_t n;
	pid_t pid = fork();

	if (pid == 0)
		set_options(fd);
	if (pid < 0 || waitpid(pid, &status, WUNTRACED) != pid || !WIFSTOPPED(status)) {
		fprintf(stderr, "the second process was not stopped: %#x\n", status);
		return 1;
	}
	chunk = chunk < sizeof(buf) ? chunk : sizeof(buf);
	fill(buf, chunk, 0);
	n = send(fd, buf, chunk, 0);
	say("accepted", n < 0 ? 0 : (unsigned long long)n);
	kill(pid, SIGCONT);
	return waitpid(pid, &status, 0) == pid && status == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	unsigned long long bytes, total = 0;
	unsigned char *buf;
	size_t chunk;
	int fd, outq, flags;

	if (argc == 3 && !strcmp(argv[1], "pattern"))
		return pattern(strtoull(argv[2], NULL, 0));
	if (argc != 6 || inet_pton(AF_INET, argv[1], &sin.sin_addr) != 1) {
		fprintf(stderr, "usage: tcp_push ADDR PORT BYTES CHUNK exit|kill|stop|block|ask|fork|forks|reset|recv|accept\n");
		return 2;
	}
	sin.sin_port = htons((unsigned short)atoi(argv[2]));
	bytes = strtoull(argv[3], NULL, 0);
	chunk = strtoull(argv[4], NULL, 0);
	buf = malloc(chunk);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	if (!strcmp(argv[5], "accept"))
		return accept_one(fd, &sin);
	if (!buf || fd < 0 || connect(fd, (struct sockaddr *)&sin, sizeof(sin)) < 0) {
		perror("connect");
		return 1;
	}
	say("connected", 0);
	if (!strcmp(argv[5], "recv"))
		return receive(fd);
	if (!strcmp(argv[5], "fork"))
		return send_beside_stopped(fd, chunk);
	if (!strcmp(argv[5], "forks"))
		return send_by_forks(fd, bytes, chunk < 65536 ? chunk : 65536);
	flags = strcmp(argv[5], "block") && strcmp(argv[5], "reset") ? MSG_DONTWAIT : 0;
	while (total < bytes) {
		size_t k = bytes - total < chunk ? (size_t)(bytes - total) : chunk;
		char go;
		ssize_t n;

		if (!strcmp(argv[5], "ask") && read(0, &go, 1) != 1)
			break;
		fill(buf, k, total);
		n = send(fd, buf, k, flags);
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			say("error", (unsigned long long)errno);
			return 1;
		}
		total += (unsigned long long)n;
		say("accepted", total);
	}
	if (ioctl(fd, SIOCOUTQ, &outq) == 0)
		say("outq", (unsigned long long)outq);
	if (!strcmp(argv[5], "reset"))
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){ .l_onoff = 1 },
			   sizeof(struct linger));
	if (!strcmp(argv[5], "kill"))
		raise(SIGKILL);
	if (!strcmp(argv[5], "stop"))
		raise(SIGSTOP);
	return 0;
}
