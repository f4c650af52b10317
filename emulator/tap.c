/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tap.c - the kernel's side of an adapter: TAP device jet0
 *
 * The ring carries datagrams, the kernel talks Ethernet to jet0: on sending
 * the Ethernet header says where to (the Ring ID is the last octet of the
 * destination's MAC) and is dropped; on arrival it is made anew from VCI and
 * sender.  What is not ours to do: addresses, routes and bringing the link up
 * are jet's business.
 *
 * The kernel queues in the device (TAP_TXQLEN packets) and we take one frame
 * out at a time, when the last one has arrived: back-pressure stays with the
 * kernel.  Readiness comes edge-triggered, so an idle TAP costs no read().
 *
 * Runs in jetringd.
 */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "emulator/lab.h"

#define TAP_NAME	"jet0"
#define TAP_TXQLEN	1000	/* packets, the kernel's default for Ethernet; 60 MB of full frames */
#define MAC_PREFIX	{ 0x02, 0x4a, 0x53, 0x00, 0x00 }	/* then the Ring ID */
#define IP_MIN_LEN	20	/* octets of the smallest IP header */

struct tap {
	struct loop_fd lf;		/* fd -1: the device is gone */
	int dev_fd;			/* /proc/net/dev of its namespace; -1 none */
	struct station *s;
	enum tap_txvci txvci;
	bool readable;			/* not since read() said EAGAIN */
	bool out;			/* f is the ring's */
	struct frame f;
	struct ether_header eth;	/* of f */
	uint8_t sdu[JS_SDU_MAX];	/* of f */
};

const char *const tap_txvci_names[TAP_N_TXVCI] = {
	[TAP_TXVCI_AUTO] = "auto",
	[TAP_TXVCI_IP] = "ip",
	[TAP_TXVCI_IP_DIVERT] = "ip_divert",
};

static const uint8_t mac_prefix[ETH_ALEN - 1] = MAC_PREFIX;

/* Where a frame is put together that must not change between check and write. */
static uint8_t scratch[JS_SDU_MAX];

static void mac_of(uint8_t mac[ETH_ALEN], unsigned int ring_id)
{
	memcpy(mac, mac_prefix, sizeof(mac_prefix));
	mac[ETH_ALEN - 1] = (uint8_t)ring_id;
}

/* The device was deleted, by hand or with its namespace. */
static void gone(struct tap *t)
{
	if (t->lf.fd < 0)
		return;
	log_warn("%s: %s is gone, its namespace was deleted?", t->s->name, TAP_NAME);
	loop_del(&t->lf);
	close(t->lf.fd);
	t->lf.fd = -1;
	/* Else its namespace would live on in it. */
	if (t->dev_fd >= 0)
		close(t->dev_fd);
	t->dev_fd = -1;
	t->readable = false;
}

static void tap_ready(struct loop_fd *lf, uint32_t events)
{
	struct tap *t = container_of(lf, struct tap, lf);

	if (events & (EPOLLERR | EPOLLHUP)) {
		gone(t);
		return;
	}
	t->readable = true;
	ring_kick(t->s);
}

static void tap_done(struct frame *f)
{
	struct tap *t = f->owner;

	t->out = false;
}

/* --- sending ------------------------------------------------------------------- */

/* Does the kernel send this IP packet to IP_DIVERT (paper, 4.4.8)? */
static bool diverts(const struct tap *t)
{
	if (t->txvci != TAP_TXVCI_AUTO)
		return t->txvci == TAP_TXVCI_IP_DIVERT;
	if (t->sdu[0] >> 4 == 4)
		return t->sdu[9] == IPPROTO_TCP;
	return t->sdu[6] == IPPROTO_TCP;
}

/*
 * The VCI for the frame in t->eth and t->sdu.
 * Return: JS_VCI_NONE if there is none; counted
 */
static js_vci_t choose_vci(struct tap *t)
{
	const uint8_t *dst = t->eth.ether_dhost;
	unsigned int stream;

	switch (ntohs(t->eth.ether_type)) {
	case ETHERTYPE_ARP:
		stream = JS_STREAM_ARP;
		break;
	case ETHERTYPE_IP:
	case ETHERTYPE_IPV6:
		if (t->f.sdu_len < IP_MIN_LEN)
			goto bad_ether;
		stream = JS_STREAM_IP;
		break;
	default:
		goto bad_ether;
	}
	if (dst[0] & 1)
		return vci_mcast(stream);
	if (memcmp(dst, mac_prefix, sizeof(mac_prefix)) || dst[ETH_ALEN - 1] >= JS_N_RING_IDS) {
		t->s->st.tx_no_ring_id++;
		return JS_VCI_NONE;
	}
	if (stream == JS_STREAM_IP && diverts(t))
		stream = JS_STREAM_IP_DIVERT;
	return vci_make(dst[ETH_ALEN - 1], stream);

bad_ether:
	t->s->st.tx_bad_ether++;
	return JS_VCI_NONE;
}

/**
 * tap_tx_next() - The next frame that the kernel sends
 * @s:		The TAP's station
 *
 * Takes packets from the device until one can be sent; the others are counted.
 *
 * Return: a frame, the TAP's until its done(); NULL if there is none, or the
 *	   last one is still out
 */
struct frame *tap_tx_next(struct station *s)
{
	struct tap *t = s->tap;
	struct iovec iov[2];

	if (!t || t->out)
		return NULL;
	iov[0] = (struct iovec) { &t->eth, sizeof(t->eth) };
	iov[1] = (struct iovec) { t->sdu, sizeof(t->sdu) };
	while (t->readable) {
		ssize_t n = readv(t->lf.fd, iov, 2);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			t->readable = false;
			if (errno != EAGAIN)
				gone(t);
			return NULL;
		}
		if ((size_t)n <= sizeof(t->eth)) {
			s->st.tx_bad_ether++;
			continue;
		}
		t->f.sdu_len = (uint32_t)n - (uint32_t)sizeof(t->eth);
		t->f.vci = choose_vci(t);
		if (t->f.vci == JS_VCI_NONE)
			continue;
		t->f.iov[0].iov_len = t->f.sdu_len;
		t->out = true;
		return &t->f;
	}
	return NULL;
}

bool tap_tx_pending(const struct station *s)
{
	return s->tap && (s->tap->out || s->tap->readable);
}

/* --- arrival ------------------------------------------------------------------- */

/* Multicast MACs: RFC 1112, 6.4 and RFC 2464, 7; any other is broadcast. */
static void mcast_mac(uint8_t mac[ETH_ALEN], unsigned int stream, const uint8_t *sdu, uint32_t len)
{
	memset(mac, 0xff, ETH_ALEN);
	if (stream == JS_STREAM_ARP || len < IP_MIN_LEN)
		return;
	if (sdu[0] >> 4 == 6 && len >= 40 && sdu[24] == 0xff) {
		mac[0] = mac[1] = 0x33;
		memcpy(mac + 2, sdu + 36, 4);
	} else if (sdu[0] >> 4 == 4 && sdu[16] >> 4 == 0xe) {
		mac[0] = 0x01;
		mac[1] = 0x00;
		mac[2] = 0x5e;
		mac[3] = sdu[17] & 0x7f;
		memcpy(mac + 4, sdu + 18, 2);
	}
}

/* Return: whether the kernel can be given it */
static bool make_eth(const struct station *s, const struct frame *f, const uint8_t *sdu,
		     struct ether_header *eth)
{
	unsigned int stream = vci_stream(f->vci);

	mac_of(eth->ether_shost, f->src);
	if (vci_is_mcast(f->vci))
		mcast_mac(eth->ether_dhost, stream, sdu, f->sdu_len);
	else
		mac_of(eth->ether_dhost, s->ring_id);
	if (stream == JS_STREAM_ARP)
		eth->ether_type = htons(ETHERTYPE_ARP);
	else if (sdu[0] >> 4 == 4)
		eth->ether_type = htons(ETHERTYPE_IP);
	else if (sdu[0] >> 4 == 6)
		eth->ether_type = htons(ETHERTYPE_IPV6);
	else
		return false;
	return true;
}

/*
 * The SDU as it arrives, in one piece that nobody else can write to: a frame
 * from a TAP is, one from a port or with a bit to be inverted is made so.
 */
static uint8_t *private_sdu(const struct frame *f, int64_t flip)
{
	size_t n = 0;

	if (f->n_iov == 1 && flip < 0)
		return f->iov[0].iov_base;
	for (int i = 0; i < f->n_iov; i++) {
		memcpy(scratch + n, f->iov[i].iov_base, f->iov[i].iov_len);
		n += f->iov[i].iov_len;
	}
	if (flip >= 0)
		scratch[flip / 8] ^= (uint8_t)(0x80 >> flip % 8);
	return scratch;
}

/**
 * tap_rx() - A frame arrives for the kernel
 * @s:		Station it arrives at
 * @f:		The frame; stays its source's
 * @flip:	Bit of the SDU that arrives inverted, -1 none
 *
 * Return: whether the kernel took it; counted either way
 */
bool tap_rx(struct station *s, const struct frame *f, int64_t flip)
{
	struct tap *t = s->tap;
	struct ether_header eth;
	struct iovec iov[2];
	uint8_t *sdu;
	ssize_t n;

	if (!t || t->lf.fd < 0) {
		s->st.rx_tap_drop++;
		return false;
	}
	sdu = private_sdu(f, flip);
	iov[0] = (struct iovec) { &eth, sizeof(eth) };
	iov[1] = (struct iovec) { sdu, f->sdu_len };
	if (aal5_crc(&iov[1], 1, f->sdu_len, f->uucpi) != f->crc) {
		s->st.rx_bad_crc++;
		return false;
	}
	if (!make_eth(s, f, sdu, &eth)) {
		s->st.rx_bad_proto++;
		return false;
	}
	do {
		n = writev(t->lf.fd, iov, 2);
	} while (n < 0 && errno == EINTR);
	if (n < 0) {
		/* EIO: the link is down.  EBADFD: the device is gone. */
		if (errno == EBADFD)
			gone(t);
		s->st.rx_tap_drop++;
		return false;
	}
	s->st.rx_frames++;
	s->st.rx_bytes += f->sdu_len;
	return true;
}

/* --- set-up -------------------------------------------------------------------- */

/* In the namespace of the device. */
static int configure(struct station *s, const char **what)
{
	struct ifreq ifr = { .ifr_name = TAP_NAME };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(s->netns_cookie);
	int err = 0;

	*what = "configure " TAP_NAME;
	if (fd < 0)
		return -errno;
	if (getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &s->netns_cookie, &len) < 0)
		goto fail;
	ifr.ifr_hwaddr.sa_family = ARPHRD_ETHER;
	mac_of((uint8_t *)ifr.ifr_hwaddr.sa_data, s->ring_id);
	if (ioctl(fd, SIOCSIFHWADDR, &ifr) < 0)
		goto fail;
	ifr.ifr_mtu = JS_MTU;
	if (ioctl(fd, SIOCSIFMTU, &ifr) < 0)
		goto fail;
	ifr.ifr_qlen = TAP_TXQLEN;
	if (ioctl(fd, SIOCSIFTXQLEN, &ifr) < 0)
		goto fail;
	goto close;
fail:
	err = -errno;
close:
	close(fd);
	return err;
}

/* Make the device in the current namespace: its descriptor or -Exxx. */
static int create(struct station *s, const char **what, int *dev_fd)
{
	struct ifreq ifr = { .ifr_name = TAP_NAME, .ifr_flags = IFF_TAP | IFF_NO_PI };
	int err, fd;

	*what = "open /dev/net/tun";
	fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	*what = "create " TAP_NAME;
	if (ioctl(fd, TUNSETIFF, &ifr) < 0) {
		err = -errno;
		goto close;
	}
	err = configure(s, what);
	if (err)
		goto close;
	/* Shows the namespace we are in now, also later.  Only statistics: may fail. */
	*dev_fd = open("/proc/self/net/dev", O_RDONLY | O_CLOEXEC);
	return fd;
close:
	close(fd);
	return err;
}

/* create() in the namespace s->netns; we come back in any case. */
static int create_in_netns(struct station *s, const char **what, int *dev_fd)
{
	int home, ns, fd = -1, err;

	*what = "open the namespace";
	home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (home < 0)
		return -errno;
	/* Whatever it is: a FIFO without a writer would block us. */
	ns = open(s->netns, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (ns < 0) {
		err = -errno;
		goto close_home;
	}
	*what = "enter the namespace";
	if (setns(ns, CLONE_NEWNET) < 0) {
		err = -errno;
		goto close_ns;
	}
	err = fd = create(s, what, dev_fd);
	if (setns(home, CLONE_NEWNET) < 0) {
		*what = "leave the namespace";
		err = -errno;
		if (fd >= 0)
			close(fd);
	}
close_ns:
	close(ns);
close_home:
	close(home);
	return err;
}

/**
 * tap_open() - Make a station's TAP device
 * @s:		The station; without a namespace it gets no TAP
 * @what:	Set to what was being done when it failed: "create jet0", …
 *
 * Return: 0 or -Exxx; EBUSY: the namespace has a jet0 already
 */
int tap_open(struct station *s, const char **what)
{
	struct tap *t;
	int err;

	if (!s->netns[0])
		return 0;
	*what = "allocate memory";
	t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->s = s;
	t->f.src = s->ring_id;
	t->f.n_iov = 1;
	t->f.iov[0].iov_base = t->sdu;
	t->f.done = tap_done;
	t->f.owner = t;
	t->dev_fd = -1;
	err = create_in_netns(s, what, &t->dev_fd);
	if (err < 0)
		goto free;
	t->lf = (struct loop_fd) { .fd = err, .ready = tap_ready };
	*what = "watch " TAP_NAME;
	err = loop_add(&t->lf, EPOLLIN | EPOLLET);
	if (err)
		goto close;
	s->tap = t;
	return 0;
close:
	close(t->lf.fd);
free:
	if (t->dev_fd >= 0)
		close(t->dev_fd);
	free(t);
	return err;
}

void tap_close(struct station *s)
{
	struct tap *t = s->tap;

	if (!t)
		return;
	if (t->lf.fd >= 0) {
		loop_del(&t->lf);
		close(t->lf.fd);
	}
	if (t->dev_fd >= 0)
		close(t->dev_fd);
	s->tap = NULL;
	free(t);
}

void tap_set_txvci(struct station *s, enum tap_txvci txvci)
{
	if (s->tap)
		s->tap->txvci = txvci;
}

enum tap_txvci tap_txvci(const struct station *s)
{
	return s->tap ? s->tap->txvci : TAP_TXVCI_AUTO;
}

bool tap_drops(const struct station *s, uint64_t *tx, uint64_t *rx)
{
	unsigned long long rx_dropped, tx_dropped;
	char text[4096];
	const char *line;
	ssize_t n;

	if (!s->tap || s->tap->dev_fd < 0)
		return false;
	n = pread(s->tap->dev_fd, text, sizeof(text) - 1, 0);
	if (n <= 0)
		return false;
	text[n] = '\0';
	line = strstr(text, TAP_NAME ":");
	/* bytes packets errs drop fifo frame compressed multicast, then sent: bytes packets errs drop */
	if (!line || sscanf(line, TAP_NAME ": %*u %*u %*u %llu %*u %*u %*u %*u %*u %*u %*u %llu",
			    &rx_dropped, &tx_dropped) != 2)
		return false;
	*rx = rx_dropped;
	*tx = tx_dropped;
	return true;
}

const char *tap_state(const struct station *s)
{
	if (!s->tap)
		return "none";
	return s->tap->lf.fd < 0 ? "gone" : "up";
}
