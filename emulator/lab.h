/* SPDX-License-Identifier: BSD-2-Clause */
/* lab.h - what jetringd was told, and the parts that only it runs */
#ifndef EMULATOR_LAB_H
#define EMULATOR_LAB_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "emulator/emu.h"
#include "emulator/ring.h"

#define LAB_VERSION	"0.1"
#define LAB_NAME_MAX	32	/* octets, with the 0 */
#define LAB_ADDR_MAX	64	/* octets of ADDR/LEN, with the 0 */

struct lab {
	char name[LAB_NAME_MAX];
	char run[80];			/* DIR: its sockets' paths must fit a sockaddr_un */
	char connd[PATH_MAX];		/* jetconnd's path */
	bool has_connd;			/* no: --no-connd */
	char addr[JS_N_RING_IDS][LAB_ADDR_MAX];	/* ADDR/LEN, by Ring ID */
	unsigned int node[JS_N_RING_IDS];	/* K of nK, by Ring ID */
	uint64_t seed;
	uint64_t start_ns;		/* ring time of our start */
	uint64_t epoch_ns;		/* add to ring time: ns since 1970, as of our start */
	bool ending;			/* leave run_loop() */
	struct ring ring;
};

extern struct lab lab;

/* The station of node @name ("n1"), or NULL. */
struct station *lab_station(const char *name);

/* A node as it is asked for: "K[=NETNS[,ADDR/LEN]]". */
struct lab_node {
	unsigned int k;			/* 1 to 16; Ring ID K mod 16 */
	char netns[64];			/* path of its namespace, "" none */
	char addr[LAB_ADDR_MAX];	/* ADDR/LEN */
};

/* Those that may fail put a sentence into @why (LAB_WHY_MAX octets). */
#define LAB_WHY_MAX	256

int lab_node_parse(const char *arg, struct lab_node *n, char *why);	/* 0, -EINVAL */
/*
 * Put a node on the ring, also a running one: adapter, TAP, nK.sock.  Its
 * connection server is spawn_start()'s.  0; -EEXIST it is there; other -Exxx:
 * nothing has changed.
 */
int lab_join(const struct lab_node *n, char *why);
/* Take it off the ring, at once.  Its ports are told that the ring has ended;
 * its connection server ends; the frame that it sends is cut. */
void lab_leave(struct station *s);

/* --- run.c ----------------------------------------------------------------- */

/* Until lab.ending. */
void run_loop(void);
/* The same until @is_done() or ring time @limit_ns; whether it is done. */
bool run_until(bool (*is_done)(void), uint64_t limit_ns);

/* --- tap.c ------------------------------------------------------------------- */

enum tap_txvci { TAP_TXVCI_AUTO, TAP_TXVCI_IP, TAP_TXVCI_IP_DIVERT, TAP_N_TXVCI };

extern const char *const tap_txvci_names[TAP_N_TXVCI];

int tap_open(struct station *s, const char **what);	/* in s->netns; 0 or -Exxx */
void tap_close(struct station *s);
void tap_set_txvci(struct station *s, enum tap_txvci txvci);
enum tap_txvci tap_txvci(const struct station *s);
const char *tap_state(const struct station *s);		/* "up", "gone", "none" */
/* Packets the kernel dropped at jet0: *tx sent by it, because the ring was too slow
 * for the queue of the device; *rx arrived.  false: not known. */
bool tap_drops(const struct station *s, uint64_t *tx, uint64_t *rx);

/* --- spawn.c -------------------------------------------------------------------- */

/* Start what is not running; 0, or -ENOENT: there is no jetconnd. */
int spawn_start(void);
/* Ask a node's to end; killed if it does not.  Does not wait. */
void spawn_end(const struct station *s);
/* The same for all, and wait for them: ports are served meanwhile. */
void spawn_stop(void);
const char *spawn_state(const struct station *s, int *pid, unsigned int *n_restarts);

#endif
