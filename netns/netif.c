/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * netif.c - links and addresses inside a namespace, by libnl; jet
 *
 * All of it runs in a child that has entered the namespace (ns_call()).
 * jetringd has made jet0 with its MTU and MAC; we name, address and raise it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <netlink/errno.h>
#include <linux/if_addr.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "netns/jet.h"

static struct nl_sock *rtnl(void)
{
	struct nl_sock *sk = nl_socket_alloc();

	if (sk && nl_connect(sk, NETLINK_ROUTE) < 0) {
		nl_socket_free(sk);
		sk = NULL;
	}
	return sk;
}

/* There may be no such setting in this kernel; that is fine. */
static void sysctl_try(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, value, strlen(value)) < 0)
		errno = 0;
	close(fd);
}

static void sysctl_if(const char *ifname, const char *name, const char *value)
{
	char path[96];

	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/%s", ifname, name);
	sysctl_try(path, value);
}

static void sysctls(const char *ifname, bool ipv6)
{

	/* What is measured is cubic, whatever the host prefers (DESIGN, 12). */
	sysctl_try("/proc/sys/net/ipv4/tcp_congestion_control", "cubic");
	sysctl_try("/proc/sys/net/ipv4/ping_group_range", "0 2147483647");
	if (!strcmp(ifname, "lo"))
		return;
	/* Addresses are given, unique, and there are no routers. */
	sysctl_if(ifname, "accept_dad", "0");
	sysctl_if(ifname, "accept_ra", "0");
	sysctl_if(ifname, "router_solicitations", "0");
	sysctl_if(ifname, "disable_ipv6", ipv6 ? "0" : "1");
}

static int add_addr(struct nl_sock *sk, int ifindex, const struct in_addr *a, unsigned int len)
{
	struct in_addr bc = { htonl(ntohl(a->s_addr) | ((1u << (32 - len)) - 1)) };
	struct nl_addr *local = nl_addr_build(AF_INET, a, sizeof(*a));
	struct nl_addr *bcast = nl_addr_build(AF_INET, &bc, sizeof(bc));
	struct rtnl_addr *ra = rtnl_addr_alloc();
	int err = -NLE_NOMEM;

	if (local && bcast && ra) {
		nl_addr_set_prefixlen(local, (int)len);
		rtnl_addr_set_ifindex(ra, ifindex);
		rtnl_addr_set_local(ra, local);
		rtnl_addr_set_broadcast(ra, bcast);
		err = rtnl_addr_add(sk, ra, 0);
		if (err == -NLE_EXIST)
			err = 0;
	}
	rtnl_addr_put(ra);
	nl_addr_put(local);
	nl_addr_put(bcast);
	return err;
}

static int add_addr6(struct nl_sock *sk, int ifindex, const struct in6_addr *a)
{
	struct nl_addr *local = nl_addr_build(AF_INET6, a, sizeof(*a));
	struct rtnl_addr *ra = rtnl_addr_alloc();
	int err = -NLE_NOMEM;

	if (local && ra) {
		nl_addr_set_prefixlen(local, TOPO_PREFIX6_LEN);
		rtnl_addr_set_ifindex(ra, ifindex);
		rtnl_addr_set_local(ra, local);
		rtnl_addr_set_flags(ra, IFA_F_NODAD);
		err = rtnl_addr_add(sk, ra, 0);
		if (err == -NLE_EXIST)
			err = 0;
	}
	rtnl_addr_put(ra);
	nl_addr_put(local);
	return err;
}

/* Raise @ifname, mark it with @alias, give it @addr and @addr6 unless they are
 * NULL; without @addr6 it has no IPv6. */
int netif_up(const char *ifname, const char *alias, const struct in_addr *addr, unsigned int prefix_len,
	     const struct in6_addr *addr6)
{
	struct nl_sock *sk = rtnl();
	struct rtnl_link *link = NULL, *change = rtnl_link_alloc();
	int err = -NLE_NOMEM;

	sysctls(ifname, addr6);
	if (!sk || !change)
		goto out;
	err = rtnl_link_get_kernel(sk, 0, ifname, &link);
	if (err < 0)
		goto out;
	rtnl_link_set_flags(change, IFF_UP);
	rtnl_link_set_ifalias(change, alias);
	err = rtnl_link_change(sk, link, change, 0);
	if (err < 0)
		goto out;
	if (addr)
		err = add_addr(sk, rtnl_link_get_ifindex(link), addr, prefix_len);
	if (err >= 0 && addr6)
		err = add_addr6(sk, rtnl_link_get_ifindex(link), addr6);
out:
	if (err < 0)
		fail("cannot set up %s: %s", ifname, nl_geterror(err));
	rtnl_link_put(link);
	rtnl_link_put(change);
	nl_socket_free(sk);
	return err < 0 ? ST_FAILED : ST_OK;
}

int netif_alias(const char *ifname, char *buf, size_t size)
{
	struct nl_sock *sk = rtnl();
	struct rtnl_link *link = NULL;
	const char *alias = NULL;

	if (!sk)
		return -ENOMEM;
	if (rtnl_link_get_kernel(sk, 0, ifname, &link) == 0)
		alias = rtnl_link_get_ifalias(link);
	snprintf(buf, size, "%s", alias ? alias : "");
	rtnl_link_put(link);
	nl_socket_free(sk);
	return alias ? 0 : -ENOENT;
}
