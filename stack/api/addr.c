/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * addr.c - addresses: whose they are, and how they look to the application
 *
 * JETSTREAM_PREFIXES (CIDR, comma-separated) says which addresses are reached
 * by our TCP.  The node's own are not: the kernel's loopback is faster, and
 * reaches our listeners through their bind-points.
 */
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

#include "common/log.h"
#include "common/util.h"
#include "stack/api/api.h"

#define PREFIXES_DEFAULT	"10.74.0.0/16,fd4a:5300::/64"
#define PREFIXES_MAX		16
#define OWN_MAX			64

struct prefix {
	uint8_t addr[16];
	unsigned int bits;	/* of 128; IPv4 is v4-mapped */
};

static struct {
	struct prefix prefix[PREFIXES_MAX];
	unsigned int n_prefixes;
	struct cm_addr own[OWN_MAX];
	unsigned int n_own;
} known;

static pthread_once_t known_once = PTHREAD_ONCE_INIT;

/* "10.74.0.0/16" or "fd00::/8" or a single address.  0, -EINVAL. */
static int prefix_parse(const char *s, size_t len, struct prefix *p)
{
	char text[64], *slash, *end;
	struct in_addr v4;
	long bits = -1;
	int family_bits;

	if (len >= sizeof(text))
		return -EINVAL;
	memcpy(text, s, len);
	text[len] = '\0';
	slash = strchr(text, '/');
	if (slash) {
		*slash = '\0';
		bits = strtol(slash + 1, &end, 10);
		if (end == slash + 1 || *end || bits < 0)
			return -EINVAL;
	}
	memset(p, 0, sizeof(*p));
	if (inet_pton(AF_INET, text, &v4) == 1) {
		p->addr[10] = p->addr[11] = 0xff;
		memcpy(p->addr + 12, &v4, 4);
		family_bits = 32;
	} else if (inet_pton(AF_INET6, text, p->addr) == 1) {
		family_bits = 128;
	} else {
		return -EINVAL;
	}
	if (bits > family_bits)
		return -EINVAL;
	p->bits = 128 - (unsigned int)family_bits + (unsigned int)(slash ? bits : family_bits);
	return 0;
}

static bool prefix_has(const struct prefix *p, const uint8_t addr[16])
{
	unsigned int whole = p->bits / 8, rest = p->bits % 8;

	if (memcmp(p->addr, addr, whole))
		return false;
	return !rest || !((p->addr[whole] ^ addr[whole]) >> (8 - rest));
}

/* How many of the list are good. */
static unsigned int prefixes_parse(const char *list, struct prefix *out, unsigned int max)
{
	unsigned int n = 0;

	while (*list) {
		size_t len = strcspn(list, ", ");

		if (len && n < max) {
			if (prefix_parse(list, len, &out[n]) == 0)
				n++;
			else
				log_warn("JETSTREAM_PREFIXES: \"%.*s\" is no prefix, ignored",
					 (int)len, list);
		}
		list += len + (list[len] != '\0');
	}
	return n;
}

static void own_add(const struct sockaddr *sa)
{
	socklen_t len = sa->sa_family == AF_INET ? sizeof(struct sockaddr_in) :
						   sizeof(struct sockaddr_in6);

	if (known.n_own < OWN_MAX && cm_addr_from_sa(&known.own[known.n_own], sa, len) > 0)
		known.n_own++;
}

static void learn(void)
{
	const char *list = getauxval(AT_SECURE) ? NULL : getenv("JETSTREAM_PREFIXES");
	struct ifaddrs *all, *i;

	known.n_prefixes = prefixes_parse(list && *list ? list : PREFIXES_DEFAULT,
					  known.prefix, PREFIXES_MAX);
	if (getifaddrs(&all) < 0)
		return;
	for (i = all; i; i = i->ifa_next)
		if (i->ifa_addr)
			own_add(i->ifa_addr);
	freeifaddrs(all);
}

bool addr_is_user(const struct cm_addr *a)
{
	unsigned int i;

	pthread_once(&known_once, learn);
	for (i = 0; i < known.n_own; i++)
		if (cm_addr_same_host(a, &known.own[i]))
			return false;
	for (i = 0; i < known.n_prefixes; i++)
		if (prefix_has(&known.prefix[i], a->addr))
			return true;
	return false;
}

void addr_out(const struct cm_addr *a, int family, struct sockaddr *sa, socklen_t *len)
{
	struct sockaddr_storage ss;
	int full;

	if (!sa || !len)
		return;
	full = cm_addr_to_sa(a, family, &ss);
	if (full < 0) {
		*len = 0;
		return;
	}
	memcpy(sa, &ss, MIN((size_t)*len, (size_t)full));
	*len = (socklen_t)full;
}

int addr_in(struct cm_addr *a, int family, const struct sockaddr *sa, socklen_t len)
{
	int r;

	if (!sa)
		return -EFAULT;
	/* Length first, then family, as the kernel.  An AF_INET6 socket takes
	 * IPv4 only in its mapped form; without the scope id is long enough. */
	if (len < (family == AF_INET ? sizeof(struct sockaddr_in) :
		   offsetof(struct sockaddr_in6, sin6_scope_id)))
		return -EINVAL;
	r = cm_addr_from_sa(a, sa, len);
	if (r == family)
		return 0;
	return -EAFNOSUPPORT;
}
