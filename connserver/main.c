/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * main.c - jetconnd: options, and the only place that exits
 *
 * Started by jetringd in the node's network namespace; docs/man/jetconnd.8.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/log.h"
#include "connserver/server.h"
#include "stack/shm/cm.h"

#define CONND_VERSION	"0.1"

enum { ST_OK, ST_FAILED, ST_USAGE };

static const char usage_text[] =
	"usage: jetconnd --lab NAME --node K --addr ADDR/LEN --port-sock PATH --run DIR\n"
	"                [--dev NAME]\n"
	"The connection server of a node; jetringd starts it.  See jetconnd(8).\n";

static int bad_usage(const char *what, const char *value)
{
	fprintf(stderr, "jetconnd: %s%s%s\n%s", what, value ? " " : "", value ? value : "",
		usage_text);
	return ST_USAGE;
}

/* "10.74.0.1/24": the length is the kernel's business. */
static int parse_addr(const char *s, struct cm_addr *a)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6 };
	char host[INET6_ADDRSTRLEN];
	size_t len = strcspn(s, "/");

	if (len >= sizeof(host))
		return -EINVAL;
	memcpy(host, s, len);
	host[len] = '\0';
	if (inet_pton(AF_INET, host, &sin.sin_addr) == 1)
		return cm_addr_from_sa(a, (struct sockaddr *)&sin, sizeof(sin));
	if (inet_pton(AF_INET6, host, &sin6.sin6_addr) == 1)
		return cm_addr_from_sa(a, (struct sockaddr *)&sin6, sizeof(sin6));
	return -EINVAL;
}

static int parse_node(const char *s)
{
	char *end;
	long k = strtol(s, &end, 10);

	return *s && !*end && k >= 1 && k <= JS_N_RING_IDS ? (int)k : -1;
}

/* Return -1 to go on, or the exit status. */
static int parse_options(int argc, char **argv, struct cs_config *cfg)
{
	enum { LAB = 1, NODE, ADDR, PORT_SOCK, RUN, DEV, HELP, VERSION };
	static const struct option options[] = {
		{ "lab", required_argument, NULL, LAB },
		{ "node", required_argument, NULL, NODE },
		{ "addr", required_argument, NULL, ADDR },
		{ "port-sock", required_argument, NULL, PORT_SOCK },
		{ "run", required_argument, NULL, RUN },
		{ "dev", required_argument, NULL, DEV },
		{ "help", no_argument, NULL, HELP },
		{ "version", no_argument, NULL, VERSION },
		{ NULL, 0, NULL, 0 },
	};
	bool has_addr = false;
	int opt;

	cfg->dev = "jet0";
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case LAB:
			cfg->lab = optarg;
			break;
		case NODE:
			cfg->node = parse_node(optarg);
			if (cfg->node < 0)
				return bad_usage("no node's number:", optarg);
			break;
		case ADDR:
			if (parse_addr(optarg, &cfg->addr) < 0)
				return bad_usage("no address:", optarg);
			has_addr = true;
			break;
		case PORT_SOCK:
			if (strlen(optarg) >= sizeof(((struct child_args *)0)->port_sock))
				return bad_usage("path too long:", optarg);
			cfg->port_sock = optarg;
			break;
		case RUN:
			cfg->run_dir = optarg;
			break;
		case DEV:
			cfg->dev = optarg;
			break;
		case HELP:
			fputs(usage_text, stdout);
			return ST_OK;
		case VERSION:
			puts("jetconnd " CONND_VERSION);
			return ST_OK;
		default:
			fputs(usage_text, stderr);
			return ST_USAGE;
		}
	}
	if (optind < argc)
		return bad_usage("too many arguments:", argv[optind]);
	if (!cfg->lab || !cfg->node || !has_addr || !cfg->port_sock || !cfg->run_dir)
		return bad_usage("an option is missing", NULL);
	return -1;
}

/* 0, 1 and 2 are open, so that no socket of ours becomes one of them; and we
 * may have as many descriptors as the system lets us: children hold theirs
 * for every socket, and inherit this limit. */
static void sanitise(void)
{
	struct rlimit rl;
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= 2);
	if (fd > 2)
		close(fd);
	if (!getrlimit(RLIMIT_NOFILE, &rl)) {
		rl.rlim_cur = rl.rlim_max;
		setrlimit(RLIMIT_NOFILE, &rl);
	}
}

int main(int argc, char **argv)
{
	static struct cs_server cs;
	struct cs_config cfg = { .child_main = child_main };
	static char who[32];
	const char *what = "memory";
	int st, err;

	sanitise();
	st = parse_options(argc, argv, &cfg);
	if (st >= 0)
		return st;
	snprintf(who, sizeof(who), "jetconnd n%d", cfg.node);
	log_init(who, 2);
	err = cs_init(&cs, &cfg);
	if (!err) {
		err = cs_start(&cs, &what);
		if (err == -EADDRINUSE)
			log_error("%s is taken: is there a connection server on this node already?",
				  what);
		else if (err)
			log_error("cannot start: %s: %s", what,
				  err == -ENETDOWN ? "no jetringd answers there" : strerror(-err));
		else
			err = cs_loop(&cs);
		if (cs.ring_gone)
			log_info("the ring has gone");
		cs_stop(&cs);
		cs_fini(&cs);
	}
	return err ? ST_FAILED : ST_OK;
}
