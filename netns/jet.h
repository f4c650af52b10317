/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * jet.h - what the parts of jet know of each other
 *
 * jet is one short-lived process; nothing of it stays.  A lab is what is below
 * /run/jetstream/LAB, the namespaces /run/netns/jet-LAB-nK and jetringd.
 *
 *	main.c		verbs, options, usage: from one table
 *	up.c down.c	make and unmake a lab
 *	status.c	status, list
 *	exec.c		exec, run, shell
 *	extcap.c	main() for Wireshark
 *	capture.c link.c ping.c check.c bench.c	a verb each; capture has cap*.c, see cap.h
 *	topo.c medium.c	what a lab should be: topology files; its ring
 *	lab.c		what a lab is: its directory, lock, record
 *	ns.c		namespaces: make, recognise, enter, delete
 *	netif.c		links and addresses inside a namespace (libnl)
 *	proc.c		processes by identity, not only by number
 *	ringd.c		jetringd: start it, ask it
 *	talk.c		sentences to the user
 *
 * Functions return 0 or -Exxx where the caller decides what to say; those that
 * have said it themselves return an exit status (ST_*), 0 being good.
 */
#ifndef NETNS_JET_H
#define NETNS_JET_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "abi/ringctl.h"
#include "abi/vci.h"
#include "common/linkset.h"

#define JET_VERSION	"0.1"
#define NETNS_DIR	"/run/netns"
#define NODES_MAX	JS_N_RING_IDS
#define LINKS_MAX	64
#define LAB_NAME_MAX	24	/* characters of a lab's name */

/* Exit status; documented in docs/man/jet.1. */
#define ST_OK		0
#define ST_FAILED	1
#define ST_USAGE	2
#define ST_CHECK	3	/* ran, but what it checked is not so */
#define ST_TIMEOUT	124	/* exec, run: out of time */
#define ST_OURS		125	/* exec, run: jet itself failed */
#define ST_NOEXEC	126	/* exec, run: the command cannot be executed */
#define ST_NOTFOUND	127	/* exec, run: there is no such command */

/* --- talk.c ---------------------------------------------------------------- */

/* One sentence on stderr after "jet VERB: ".  Return ST_FAILED, ST_USAGE. */
int fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
int bad_usage(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* News, warnings; say() is silent with -q. */
void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
extern const char *talk_verb;
extern bool talk_quiet;
/* " (did you mean X?)" or "": the nearest of @n words.  Static memory. */
const char *did_you_mean(const char *word, const char *const *words, size_t n);
/* INT, TERM, HUP set this; blocking calls then return EINTR.  Those that our
 * caller ignores (nohup; INT in a script's background) stay so, unless asked. */
extern volatile int got_signal;
void catch_signals(bool also_ignored);
void uncatch_signals(void);	/* in a child, before it becomes something else */

/* --- options (main.c) ------------------------------------------------------ */

struct opts {
	const char *lab;		/* -n; NULL: not given */
	const char *topo;		/* -t */
	const char *rate, *user, *out;	/* --rate --user -w */
	const char *preset, *latency, *propagation, *hold, *node_mem;	/* of the ring, as --rate */
	const char *in, *format, *ring;	/* -r --format --ring */
	unsigned int nodes;		/* --nodes; 0 not given */
	double timeout_s, for_s;	/* -T --duration; 0 none */
	uint64_t count;			/* -c; 0 none */
	unsigned int snaplen;		/* -s: octets of a frame; 0 all */
	unsigned int runs;		/* --runs; 0 not given */
	double seconds;			/* --seconds; 0 not given */
	bool quick;			/* --quick */
	bool json, dry_run, kernel_only, ipv6, fallback, rx, tokens, quiet;
	char **args;			/* what is left */
	int n_args;
};

int verb_up(const struct opts *o);
int verb_down(const struct opts *o);
int verb_status(const struct opts *o);
int verb_list(const struct opts *o);
int verb_exec(const struct opts *o);
int verb_run(const struct opts *o);
int verb_shell(const struct opts *o);
int verb_ping(const struct opts *o);
int verb_capture(const struct opts *o);
int verb_link(const struct opts *o);
int verb_bench(const struct opts *o);
int verb_check(const struct opts *o);
int verb_validate(const struct opts *o);
int verb_version(const struct opts *o);

/* --- medium.c --------------------------------------------------------------- */

/* The ring: emulator/ring.h. */
struct medium {
	uint64_t rate_bps;		/* 0 unlimited */
	uint64_t latency_ns;		/* of a station */
	uint64_t propagation_ns;	/* to the next station */
	uint64_t hold_ns;		/* token holding time */
	uint64_t node_mem;		/* octets of a node's buffer memory */
};

#define MEDIUM_TEXT_MAX	256

/* A key of [lab] or an option; 0, -ENOENT: not one of ours, -EINVAL: *like
 * says how the value should be. */
int medium_set(struct medium *m, const char *key, const char *value, const char **like);
int medium_preset(struct medium *m, const char *name);	/* paper, default, unlimited; -EINVAL */
/* --preset first, then what else is given; ST_*, said. */
int medium_options(const struct opts *o, struct medium *m);
bool medium_given(const struct opts *o);
/* All keys, "rate=1g hold=500us …" with @is "=" and @between " ". */
const char *medium_text(const struct medium *m, const char *between, const char *is,
			char buf[MEDIUM_TEXT_MAX]);

/* --- topo.c ----------------------------------------------------------------- */

struct topo_node {
	struct in_addr addr;
	bool absent;			/* taken off the ring: jet down nK */
	bool has_propagation;
	uint64_t propagation_ns;	/* to the next node on the ring, if not as for all */
	char tx_vci[12];		/* auto, ip, ip_divert; "" not said */
};

struct lab;

/* Unique local (RFC 4193); a lab has its namespaces to itself, so all may have
 * the same.  "4a53" as in a station's MAC. */
#define TOPO_PREFIX6		"fd4a:5300::"
#define TOPO_PREFIX6_LEN	64

struct topo_link {			/* in the order of the file: later ones win */
	struct link_scope scope;
	struct link_set set;
};

struct topo {
	char name[LAB_NAME_MAX + 1];
	bool name_given;
	unsigned int n_nodes;		/* nodes are n1 to n<n_nodes>, but those absent */
	struct medium medium;
	struct in_addr prefix;
	unsigned int prefix_len;
	bool kernel_only;		/* no connection servers */
	bool ipv6;			/* node K also has TOPO_PREFIX6 with K */
	bool from_file;			/* somebody wrote it: what it does not say is as it is by default */
	struct topo_node node[NODES_MAX + 1];	/* [0] is not used */
	unsigned int n_links;
	struct topo_link link[LINKS_MAX];
};

#define TOPO_DEFAULT_FILE	"./jetstream.ini"

void topo_default(struct topo *t);
/* Read and check @path; says what is wrong as "FILE:LINE: sentence". */
int topo_read(struct topo *t, const char *path);
/* Addresses for nodes that have none; after n_nodes and prefix are known. */
int topo_finish(struct topo *t);
int topo_write(const struct topo *t, int dir_fd, const char *name);	/* 0, -Exxx */
/* Is node @k one of them? */
bool topo_has(const struct topo *t, unsigned int k);
unsigned int topo_count(const struct topo *t);
/* What of @is a lab that runs cannot become: "" or for a sentence, "with 4 nodes, not 2". */
const char *topo_differs(const struct topo *is, const struct topo *wanted);
int parse_rate(const char *s, uint64_t *bps);	/* 0, -EINVAL */
const char *rate_text(uint64_t bps, char buf[32]);
bool lab_name_ok(const char *name);
/* What -t, --nodes, options of the ring and ./jetstream.ini ask for; *asked: any of them. */
int topo_wanted(const struct opts *o, struct topo *t, bool *asked);
/* Only the name: -n, the file here, or "lab". */
int lab_wanted(const struct opts *o, char name[LAB_NAME_MAX + 1]);

/* --- link.c ------------------------------------------------------------------ */

/* Let the ring's links be set as @t has them, and those it does not name clean;
 * what is so already goes on undisturbed.  ST_*. */
int links_converge(const struct lab *l, const struct topo *t);

/* --- proc.c ------------------------------------------------------------------ */

/* A process: its number alone may have been given to another. */
struct proc {
	pid_t pid;			/* 0: none */
	uint64_t start;			/* ticks after boot, /proc/PID/stat 22 */
};

int proc_of(pid_t pid, struct proc *p);		/* 0, -ESRCH */
bool proc_alive(const struct proc *p);
/* Send @sig and wait up to @ms for the end; ms 0: only look.  true: it is gone. */
bool proc_end(const struct proc *p, int sig, unsigned int ms);
bool proc_wait(const struct proc *p, unsigned int ms);
struct ns_id { dev_t dev; ino_t ino; };		/* a namespace */
/* End every process in any of @n network namespaces: TERM, then KILL. Returns how many there were. */
unsigned int procs_end_in(const struct ns_id *ns, unsigned int n);
unsigned int procs_count_in(const struct ns_id *ns, unsigned int n);

/* The same for those that run the program @exe. */
void procs_end_exe_in(const struct ns_id *ns, const char *exe);
/* A process in @ns other than this one; 0 none. */
pid_t procs_first_in(const struct ns_id *ns);

/* --- lab.c -------------------------------------------------------------------- */

struct lab {
	char name[LAB_NAME_MAX + 1];
	char dir[64];			/* /run/jetstream/LAB */
	int dir_fd;			/* -1: there is none */
	bool made;			/* lab_lock() made the directory */
	struct topo topo;		/* as recorded by up */
	bool has_topo;
	struct proc ringd;		/* as recorded by up; pid 0 none */
};

/* Read the record; -ENOENT there is no such lab.  Does not lock. */
int lab_open(struct lab *l, const char *name);
/* The same for one who will change it; @create: make it if there is none. */
int lab_lock(struct lab *l, const char *name, bool create);
void lab_reload(struct lab *l);
void lab_close(struct lab *l);
int lab_note(const struct lab *l, const char *file, const char *text);	/* write atomically */
int lab_read(const struct lab *l, const char *file, char *buf, size_t size);
int lab_remove(struct lab *l);		/* its directory, with all that is in it */
/* For verbs on a lab that must be up: opens it, or says that it is not. */
int lab_need(const struct opts *o, struct lab *l, bool alive);
/* "n3" or "3" -> 3; says "there is no node …" and returns 0. */
unsigned int lab_node(const struct lab *l, const char *word);
int need_root(void);			/* ST_OK or says so */

/* --- ns.c ----------------------------------------------------------------------- */

enum ns_state {
	NS_NONE,	/* no such name */
	NS_OURS,	/* carries our mark */
	NS_LEFT,	/* the file of one we were about to make */
	NS_FOREIGN,	/* of that name, and not ours: hands off */
};

void ns_name(const char *lab, unsigned int k, char buf[64]);
void ns_path(const char *lab, unsigned int k, char buf[64]);
enum ns_state ns_look(const struct lab *l, unsigned int k, struct ns_id *id);
/* The same for one without a name, entered through a process in it. */
bool ns_ours_by_proc(const char *lab, unsigned int k, const struct ns_id *id);
int ns_make(const struct lab *l, unsigned int k);
int ns_delete(const struct lab *l, unsigned int k);
/* Run @fn in a child that has entered the namespace; its return value (0 to 255), or -Exxx. */
int ns_call(const char *path, int (*fn)(void *arg), void *arg);
/* Enter for good, with /sys and /etc/netns/NAME as ip-netns(8) has them. */
int ns_enter(const char *lab, unsigned int k);
/* Is there a connection server?  Connects to its socket in the namespace. */
bool ns_has_connd(const char *lab, unsigned int k);

/* --- netif.c: inside the namespace ------------------------------------------------ */

int netif_up(const char *ifname, const char *alias, const struct in_addr *addr, unsigned int prefix_len,
	     const struct in6_addr *addr6);
int netif_alias(const char *ifname, char *buf, size_t size);

/* --- ringd.c -------------------------------------------------------------------------- */

/* Send @cmd to ring.sock; *reply is malloc'ed text after "ok " or "error: ".
 * 0; -EREMOTEIO it answered with an error; other -Exxx: no answer. */
int ringd_ask(const struct lab *l, const char *cmd, char **reply);
int ringd_start(struct lab *l, const char *connd, const struct medium *m);	/* ST_* */
/* Orderly, then less so.  Leaves no process, whatever state it was in. */
void ringd_stop(struct lab *l);
bool ringd_healthy(const struct lab *l);
/* The last line of jetringd's log, for a sentence; "" none. */
const char *ringd_last_words(const struct lab *l);
/* down.c: end and remove all that is the lab's; it must be locked.  ST_*. */
int lab_unmake(struct lab *l);
/* A file beside the jet that runs: "bin/jetringd", "lib/…"; -ENOENT. */
int beside(const char *name, char *buf, size_t size);

#endif
