/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cbpf.h - classic BPF: check a program that came from somewhere, run it
 *
 * Filters of captures, compiled by libpcap in jet, run in jetringd and in jet.
 * A program that cbpf_ok() accepts ends after at most CBPF_MAX instructions
 * and touches nothing but the packet and its own scratch words, whatever it
 * and the packet contain.  libpcap's own bpf_filter() promises less: it takes
 * backward jumps.
 */
#ifndef COMMON_CBPF_H
#define COMMON_CBPF_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define CBPF_MAX	512	/* instructions of a program */

/**
 * cbpf_ok() - May this program be run?
 * @prog:	@n instructions, in private memory: nobody changes them afterwards
 *
 * Every operation known, every jump forward and inside, no division by a zero
 * constant, a return at the end.
 */
bool cbpf_ok(const struct sock_filter *prog, size_t n);

/**
 * cbpf_run() - Run a program on a packet
 * @prog:	One that cbpf_ok() accepted
 * @iov:	The packet in @n_iov pieces; its octets may change meanwhile
 * @wire_len:	What the program's "len" is: octets of the whole packet
 *
 * Return: what the program returns; 0 if it looks beyond the packet's end or
 * divides by zero
 */
uint32_t cbpf_run(const struct sock_filter *prog, const struct iovec *iov, int n_iov, uint32_t wire_len);

#endif
