/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * aal5.h - the frame on the ring: B-ISDN header and AAL-5 CPCS-PDU
 *
 * Written by the sending adapter, read by the receiving adapter, by captures
 * and by the dissector.  Byte layout only; the code is emulator/aal5.c.
 *
 *	+--------+---------------------+------+----+-----+--------+--------+
 *	| header | SDU, 1-65535 octets | PAD  | UU | CPI | Length | CRC-32 |
 *	|   5    |                     | 0-47 | 1  |  1  |   2    |   4    |
 *	+--------+---------------------+------+----+-----+--------+--------+
 *	         |<----------- CPCS-PDU, a multiple of 48 --------------->|
 *
 * Header (I.361 UNI format): GFC 4 bits 0, VPI 8 bits 0, VCI 16 bits of which
 * bit 15 is 0 and bits 14-0 are abi/vci.h's, PT 3 bits 001 (user data, last
 * unit of an AAL-5 PDU), CLP 0, HEC 8 bits (I.432: x^8+x^2+x+1 over the first
 * four octets, then XOR 55h).
 *
 * CRC (I.363.5): generator 0x04C11DB7, most significant bit first, initial
 * value and final XOR all ones; over the whole CPCS-PDU but itself.  Known
 * elsewhere as CRC-32/BZIP2.  Multi-octet fields are big-endian.
 *
 * RxVCI injection (paper, 4.4.7: "an unused AAL-5 trailer field"; which one
 * is our choice): UU and CPI together hold JS_UUCPI_RXVCI | RxVCI, or 0.
 */
#ifndef ABI_AAL5_H
#define ABI_AAL5_H

#include <stdint.h>

#define JS_HDR_LEN		5	/* octets of B-ISDN header */
#define JS_CELL			48	/* a CPCS-PDU is a multiple of this */
#define JS_TRAILER_LEN		8	/* octets of CPCS-PDU trailer */
#define JS_SDU_MAX		65535	/* octets, I.363.5 */
#define JS_CPCS_MAX		65568	/* octets, of the largest SDU */
#define JS_FRAME_MAX		(JS_HDR_LEN + JS_CPCS_MAX)
#define JS_MTU			61504	/* octets of SDU: the paper's PDU size, section 5 */

#define JS_HDR_PT		1	/* payload type: user data, end of AAL-5 PDU */
#define JS_HEC_COSET		0x55

#define JS_UUCPI_RXVCI		0x8000u	/* bits 14-0 of UU||CPI are an RxVCI */

/* Octets of the CPCS-PDU that carries an SDU of @sdu_len octets. */
static inline uint32_t aal5_cpcs_len(uint32_t sdu_len)
{
	return (sdu_len + JS_TRAILER_LEN + JS_CELL - 1) / JS_CELL * JS_CELL;
}

/* Octets of the frame that carries an SDU of @sdu_len octets. */
static inline uint32_t aal5_frame_len(uint32_t sdu_len)
{
	return JS_HDR_LEN + aal5_cpcs_len(sdu_len);
}

#endif
