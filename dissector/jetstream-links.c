/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * jetstream-links.c - what one record of a capture has to do with another
 *
 * Announcement: a SYN, a SYN+ACK, or an ACK carries its sender's RxVCI in the
 * trailer; frames that later come back on that VCI are linked to it.  A VCI
 * holds its owner's Ring ID, and a listener's shared VCI is announced to
 * many, so announcements are kept by (VCI, who was told).
 *
 * Same frame: a capture of arrivals, too, has several records of a frame, all
 * with one frame ID.  Only the first may reach Wireshark's TCP, which would
 * otherwise see retransmissions.  The duplicate that an impairment made is no
 * such record: its receiver did get it twice.
 *
 * Token: when a token ID has been seen with one sender it cannot be another's.
 *
 * All of it is found on the first pass, in the order of the file, and looked
 * up afterwards.
 */
#include "dissector/jetstream.h"
#include "abi/capture.h"

/* A second record follows the first soon: frame IDs are looked for among this
 * many, so that memory does not grow with the capture. */
#define N_RECENT	65536

struct recent {
	uint32_t frame_id;
	uint32_t num;		/* frame number, 0: this entry is free */
	uint32_t frame_len;
	js_vci_t vci;
	uint8_t src, station, dir;
};

static wmem_tree_t *announcements;	/* (told, VCI) -> tree by frame number */
static struct recent *recent;		/* [N_RECENT], by frame ID */
static struct {
	bool known;
	uint64_t id;
	uint8_t src;
} token;				/* last one seen */

static void links_reset(void)
{
	recent = NULL;		/* was of the file scope */
	memset(&token, 0, sizeof(token));
}

void js_links_init(void)
{
	announcements = wmem_tree_new_autoreset(wmem_epan_scope(), wmem_file_scope());
	register_init_routine(links_reset);
}

static uint32_t announce_key(unsigned int told_ring_id, js_vci_t vci)
{
	return (uint32_t)told_ring_id << 16 | vci;
}

static struct js_announce *remember_announce(const packet_info *pinfo,
					     const struct js_record *rec)
{
	uint32_t key = announce_key(vci_ring_id(rec->vci), rec->rxvci);
	wmem_tree_t *by_num = (wmem_tree_t *)wmem_tree_lookup32(announcements, key);
	struct js_announce *a = wmem_new0(wmem_file_scope(), struct js_announce);

	if (!by_num) {
		by_num = wmem_tree_new(wmem_file_scope());
		wmem_tree_insert32(announcements, key, by_num);
	}
	a->frame = pinfo->num;
	wmem_tree_insert32(by_num, pinfo->num, a);
	return a;
}

/* Frame number of the last announcement of this frame's VCI, 0 none. */
static uint32_t find_announce(const packet_info *pinfo, const struct js_record *rec)
{
	wmem_tree_t *by_num;
	struct js_announce *a;

	if (vci_is_mcast(rec->vci) || rec->src >= JS_N_RING_IDS)
		return 0;
	by_num = (wmem_tree_t *)wmem_tree_lookup32(announcements,
						   announce_key(rec->src, rec->vci));
	if (!by_num)
		return 0;
	a = (struct js_announce *)wmem_tree_lookup32_le(by_num, pinfo->num - 1);
	if (!a)
		return 0;
	if (!a->first_use)
		a->first_use = pinfo->num;
	return a->frame;
}

/* Frame number of the first record of this frame, 0 if this is the first. */
static uint32_t find_same(const packet_info *pinfo, const struct js_record *rec)
{
	struct recent *r;

	if (!rec->frame_id)
		return 0;		/* local frames have none */
	if (!recent)
		recent = wmem_alloc0_array(wmem_file_scope(), struct recent, N_RECENT);
	r = &recent[rec->frame_id % N_RECENT];

	/* Captures of two labs may have been merged: the rest must agree, too,
	 * and one station does not record a frame twice the same way. */
	if (r->num && r->frame_id == rec->frame_id && r->vci == rec->vci &&
	    r->src == rec->src && r->frame_len == rec->frame_len &&
	    (r->station != rec->station || r->dir != rec->dir ||
	     (rec->flags & JS_CAP_F_DUP)))
		return r->num;

	*r = (struct recent){ .frame_id = rec->frame_id, .num = pinfo->num,
			      .frame_len = rec->frame_len, .vci = rec->vci,
			      .src = rec->src, .station = rec->station, .dir = rec->dir };
	return 0;
}

static bool token_has_two_holders(const struct js_record *rec)
{
	bool two;

	/* The token itself may come from one who only repeated it. */
	if (rec->dir != JS_CAP_TX || !(rec->flags & JS_CAP_F_TOKEN) || js_is_mgmt(rec->vci))
		return false;
	two = token.known && token.id == rec->token_id && token.src != rec->src;
	token.known = true;
	token.id = rec->token_id;
	token.src = rec->src;
	return two;
}

/**
 * js_links_of() - What this record has to do with others
 * @pinfo:	Packet
 * @rec:	Record; VCI, RxVCI, lengths are set
 *
 * Return: never NULL, valid as long as the file is open; announces->first_use
 * may be filled in later
 */
const struct js_links *js_links_of(packet_info *pinfo, const struct js_record *rec)
{
	static const struct js_links none;
	const struct js_links *known;
	struct js_links now = { 0 };

	if (PINFO_FD_VISITED(pinfo)) {
		known = (const struct js_links *)p_get_proto_data(wmem_file_scope(), pinfo,
								  proto_jetstream, 0);
		return known ? known : &none;
	}
	now.same_as = find_same(pinfo, rec);
	/* What no station can have received announces nothing. */
	if (!rec->crc_bad && !rec->hec_bad && (!now.same_as || (rec->flags & JS_CAP_F_DUP))) {
		now.announced_in = find_announce(pinfo, rec);
		if (rec->rxvci != JS_VCI_NONE && !vci_is_mcast(rec->vci))
			now.announces = remember_announce(pinfo, rec);
		now.two_holders = token_has_two_holders(rec);
	}
	if (!now.same_as && !now.announced_in && !now.announces && !now.two_holders)
		return &none;

	known = (const struct js_links *)wmem_memdup(wmem_file_scope(), &now, sizeof(now));
	p_add_proto_data(wmem_file_scope(), pinfo, proto_jetstream, 0, (void *)known);
	return known;
}
