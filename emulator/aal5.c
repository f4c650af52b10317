/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * aal5.c - the frame as octets: B-ISDN header, pad, trailer, CRC
 *
 * Layout: abi/aal5.h.  The CRC is ISA-L's crc32_ieee(), which is exactly
 * AAL-5's (not zlib's, which runs the other way round): it complements its
 * seed and its result itself, so 0 starts a CRC and a result continues it.
 *
 * Runs in jetringd.
 */
#include <assert.h>
#include <string.h>

#include <isa-l/crc.h>

#include "emulator/emu.h"

#define CRC_SMALL	240u	/* octets of SDU */

static void put_be16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* HEC: CRC-8 with generator x^8 + x^2 + x + 1, XOR 55h (I.432, 4.3.2). */
uint8_t aal5_hec(const uint8_t hdr[4])
{
	unsigned int crc = 0;

	for (int i = 0; i < 4; i++) {
		crc ^= hdr[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc & 0x80 ? (crc << 1 ^ 0x07) & 0xff : crc << 1;
	}
	return (uint8_t)(crc ^ JS_HEC_COSET);
}

/* GFC and VPI are 0, so the VCI's four upper bits stand in the second octet. */
void aal5_header(uint8_t hdr[JS_HDR_LEN], js_vci_t vci)
{
	hdr[0] = 0;
	hdr[1] = (uint8_t)(vci >> 12);
	hdr[2] = (uint8_t)(vci >> 4);
	hdr[3] = (uint8_t)((vci & 0xf) << 4 | JS_HDR_PT << 1);
	hdr[4] = aal5_hec(hdr);
}

/**
 * aal5_tail() - PAD and trailer of a CPCS-PDU
 * @tail:	Room for 55 octets
 * @sdu_len:	Octets of SDU, 1 to JS_SDU_MAX
 * @uucpi:	UU in the upper octet, CPI in the lower
 * @crc:	What to write as CRC-32
 *
 * Return: octets written, 8 to 55: together with the SDU a multiple of 48
 */
size_t aal5_tail(uint8_t *tail, uint32_t sdu_len, uint16_t uucpi, uint32_t crc)
{
	size_t pad = aal5_cpcs_len(sdu_len) - JS_TRAILER_LEN - sdu_len;
	uint8_t *p = tail + pad;

	memset(tail, 0, pad);
	put_be16(p, uucpi);
	put_be16(p + 2, sdu_len);
	put_be16(p + 4, crc >> 16);
	put_be16(p + 6, crc);
	return pad + JS_TRAILER_LEN;
}

/* Of a small one all octets are put together first: two CRCs of few octets
 * cost more than one of as many. */
static uint32_t small_crc(uint8_t *pdu, const struct iovec *iov, int n_iov, uint32_t sdu_len,
			  uint16_t uucpi)
{
	size_t total = 0;

	for (int i = 0; i < n_iov; i++) {
		assert(iov[i].iov_len <= sdu_len - total);
		memcpy(pdu + total, iov[i].iov_base, iov[i].iov_len);
		total += iov[i].iov_len;
	}
	assert(total == sdu_len);
	total += aal5_tail(pdu + total, sdu_len, uucpi, 0);
	return crc32_ieee(0, pdu, total - 4);
}

/**
 * aal5_crc() - CRC-32 of a CPCS-PDU
 * @iov:	The SDU's pieces, in order; together @sdu_len octets
 * @n_iov:	How many
 * @sdu_len:	Octets of SDU
 * @uucpi:	UU and CPI
 *
 * Return: the CRC as it stands in the trailer
 */
uint32_t aal5_crc(const struct iovec *iov, int n_iov, uint32_t sdu_len, uint16_t uucpi)
{
	uint8_t pdu[CRC_SMALL + JS_CELL + JS_TRAILER_LEN];
	uint32_t crc = 0;
	size_t total = 0, n;

	if (sdu_len <= CRC_SMALL)
		return small_crc(pdu, iov, n_iov, sdu_len, uucpi);
	n = aal5_tail(pdu, sdu_len, uucpi, 0);
	for (int i = 0; i < n_iov; i++) {
		crc = crc32_ieee(crc, iov[i].iov_base, iov[i].iov_len);
		total += iov[i].iov_len;
	}
	assert(total == sdu_len);
	return crc32_ieee(crc, pdu, n - 4);
}

void aal5_make(struct frame *f)
{
	f->crc = aal5_crc(f->iov, f->n_iov, f->sdu_len, f->uucpi);
}
