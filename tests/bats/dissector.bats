#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
# dissector.bats - the Wireshark plugin, on a capture made by hand
#
#	mkcap --> hand.pcapng --> tshark + plugin, as nobody --> fields --> here
#
# tests/progs/mkcap.c makes every frame octet by octet and names it in the
# record's comment; "field NAME CASE" is what tshark found in that frame.

bats_require_minimum_version 1.5.0

cd "$BATS_TEST_DIRNAME/../.." || exit 1
: "${O:=$PWD/build}"
export O

tshark=tests/lib/tshark
hand=$BATS_FILE_TMPDIR/hand.pcapng
fields=$BATS_FILE_TMPDIR/fields

setup_file() {
	local names args=()

	"$O/tests/progs/mkcap" "$BATS_FILE_TMPDIR/hand.pcapng" 3>&-
	names=$("$tshark" -G fields 2>"$BATS_FILE_TMPDIR/warnings" | cut -f3 | grep '^jetstream')
	for name in frame.number frame.comment frame.protocols frame.interface_name \
		    _ws.col.Protocol _ws.col.Info ip.src ip.dst tcp.len \
		    tcp.analysis.retransmission $names; do
		args+=(-e "$name")
	done
	# Twice over the file, so that links forward are there.
	"$tshark" -2 -r "$BATS_FILE_TMPDIR/hand.pcapng" -T fields -E header=y -E separator=/t \
		"${args[@]}" >"$BATS_FILE_TMPDIR/fields" 2>>"$BATS_FILE_TMPDIR/warnings"
}

# field NAME CASE: what the frame that mkcap calls CASE has for the field NAME
field() {
	awk -F '\t' -v name="$1" -v case="$2" '
		NR == 1 { for (i = 1; i <= NF; i++) col[$i] = i; next }
		$col["frame.comment"] == case { print $col[name]; found = 1 }
		END { if (!(name in col) || !found) print "no " name " of " case }' "$fields"
}

# same WANT GOT: fail and show both
same() {
	[ "$1" = "$2" ] || {
		printf 'want: %s\ngot:  %s\n' "$1" "$2"
		return 1
	}
}

# is CASE NAME=VALUE...: all of these
is() {
	local name=$1 pair
	shift
	for pair; do
		same "$name $pair" "$name ${pair%%=*}=$(field "${pair%%=*}" "$name")" || return 1
	done
}

@test "plugin: loads without a warning, as nobody, and claims its link types itself" {
	same '' "$(cat "$BATS_FILE_TMPDIR/warnings")"
	run -0 "$tshark" -G plugins
	[[ $output == *jetstream.so* ]]
	same 'jetstream:ip:tcp' "$(field frame.protocols syn)"
	same 'jetstream.ctl' "$(field frame.protocols control)"
}

@test "plugin: exports what Wireshark looks for and nothing else" {
	run -0 nm -D --defined-only "$O/plugin/jetstream.so"
	same 'plugin_register plugin_version plugin_want_major plugin_want_minor' \
		"$(awk '{ print $3 }' <<<"$output" | grep -v '^plugin_describe$' | sort | paste -sd' ')"
}

@test "capture header: every member" {
	is syn jetstream.cap.version=1 jetstream.cap.hdr_len=32 jetstream.cap.station=1 \
		jetstream.cap.dir=1 jetstream.cap.flags=0x0030 jetstream.cap.src=1 \
		jetstream.cap.reserved=0x00 jetstream.cap.frame_len=101 \
		jetstream.cap.frame_id=8 jetstream.cap.token_id=124 jetstream.cap.ring_ns=8000000 \
		jetstream.cap.flags.token=1 jetstream.cap.flags.copied=1 jetstream.cap.flags.lost=0
	is data-arrival jetstream.cap.station=2 jetstream.cap.dir=2 jetstream.cap.src=1 \
		frame.interface_name=n2
	is local jetstream.cap.dir=3 jetstream.cap.flags.token=0
	is lost jetstream.cap.flags.lost=1
	is corrupt jetstream.cap.flags.corrupt=1
	is dup jetstream.cap.flags.dup=1
	is delayed jetstream.cap.flags.delayed=1
	is reorder jetstream.cap.flags.reorder=1 jetstream.cap.flags.reserved=0x0000
	is discard jetstream.cap.flags.discard=1
}

@test "capture header: a later version is read as far as it is known" {
	is version-2 jetstream.cap.version=2 jetstream.cap.hdr_len=40 \
		jetstream.cap.more=0000000000000000 frame.protocols=jetstream:ip:udp:data
}

@test "B-ISDN header: VCI with its parts, HEC with its status" {
	# n2 is Ring ID 2; stream 2 is IP_DIVERT: 2 << 10 | 2 = 2050
	is syn jetstream.gfc=0 jetstream.vpi=0 jetstream.vci=2050 jetstream.vci.mcast=0 \
		jetstream.vci.ring_id=2 jetstream.vci.stream=2 jetstream.pt=1 jetstream.clp=0 \
		jetstream.hec=0x0d jetstream.hec.status=1
	is arp-request jetstream.vci=16387 jetstream.vci.mcast=1 jetstream.vci.ring_id=0 \
		jetstream.vci.stream=3 jetstream.dst=all
	is gfc-vpi-clp jetstream.gfc=3 jetstream.vpi=1 jetstream.clp=1 jetstream.hec.status=1
	is vci-bit-15 jetstream.vci.reserved=1 jetstream.dst=n2
	is pt jetstream.pt=0
	is bad-hec jetstream.hec.status=0
}

@test "nodes: Ring ID 0 is n16" {
	is from-n16 jetstream.src=n16 jetstream.dst=n3 jetstream.cap.src=0
	is to-n16 jetstream.src=n3 jetstream.dst=n16 jetstream.vci.ring_id=0
	is no-ring-id 'jetstream.src=n?' jetstream.dst=n2
}

@test "trailer: pad, UU, CPI, RxVCI, Length, CRC with its status" {
	# n1 stream 32: 1 << 10 | 32 = 1056 = 0x420; with the top bit 0x8420
	is syn jetstream.cpcs.pad_len=44 jetstream.cpcs.uu=0x84 jetstream.cpcs.cpi=0x20 \
		jetstream.rxvci=1056 jetstream.rxvci.mcast=0 jetstream.rxvci.ring_id=1 \
		jetstream.rxvci.stream=32 jetstream.rxvci.node=n1 \
		jetstream.cpcs.length=44 jetstream.cpcs.crc.status=1
	is data jetstream.cpcs.uu=0x00 jetstream.cpcs.cpi=0x00 jetstream.rxvci= \
		jetstream.cpcs.length=140
	# a bare ACK is exactly one 48-octet unit
	is ack jetstream.cpcs.length=40 jetstream.cpcs.pad= jetstream.cpcs.pad_len=0
	is largest jetstream.cpcs.length=61504 jetstream.cpcs.pad_len=24 \
		jetstream.cap.frame_len=61541 jetstream.cpcs.crc.status=1
	is bad-crc jetstream.cpcs.crc.status=0
	is truncated jetstream.cpcs.crc= jetstream.cpcs.crc.status=2
}

@test "trailer: the CRCs that are published for I.363.5" {
	for crc in 864d7f99 c55e457a bf671ed0 acba602a; do
		is "vector-$crc" "jetstream.cpcs.crc=0x$crc" jetstream.cpcs.crc.status=1
	done
}

@test "trailer: no CRC is checked if the preference says so" {
	run -0 "$tshark" -r "$hand" -o jetstream.verify_crc:FALSE -Y 'frame.comment == "bad-crc"' \
		-T fields -e jetstream.cpcs.crc.status -e frame.protocols
	same $'2\tjetstream:ip:udp:data' "$output"
}

@test "expert: each finding, on the frames that have it and no others" {
	want='abort: jetstream.cpcs.length.abort
bad-crc: jetstream.cpcs.crc.bad
bad-hec: jetstream.hec.bad
bad-length-long: jetstream.cpcs.length.bad
bad-length-short: jetstream.cpcs.length.bad
cap-reserved: jetstream.cap.reserved.set
claim: jetstream.mgmt.recovery
corrupt: jetstream.cap.corrupt
delayed: jetstream.cap.delayed
discard: jetstream.cap.discard
dup-arrival: jetstream.cap.dup
dup: jetstream.cap.dup
frame-len: jetstream.cap.frame_len.bad
gfc-vpi-clp: jetstream.hdr.reserved
hdr-len-16: jetstream.cap.hdr_len.bad
lost: jetstream.cap.lost
management: jetstream.mgmt.unknown
mcast-ring-id: jetstream.hdr.reserved
mgmt-type-9: jetstream.mgmt.unknown
no-ring-id: jetstream.cap.station.bad
no-token: jetstream.token.none
not-48: jetstream.cpcs.not_48 jetstream.cpcs.length.abort jetstream.cpcs.crc.bad
pad-nonzero: jetstream.cpcs.pad.nonzero
pt: jetstream.hdr.reserved
purge: jetstream.mgmt.recovery
reorder: jetstream.cap.reorder
reserved-stream: jetstream.stream.reserved
rxvci-foreign: jetstream.rxvci.foreign
rxvci-mcast: jetstream.rxvci.mcast.set
short: jetstream.short
token-thief: jetstream.token.two_holders
truncated: jetstream.cpcs.truncated
uucpi-other: jetstream.cpcs.uucpi.unknown
vci-bit-15: jetstream.hdr.reserved
vector-acba602a: jetstream.cpcs.uucpi.unknown
version-2: jetstream.cap.version.unknown'
	# Expert fields are the last ones registered, from cap.version.unknown on.
	same "$want" "$(awk -F '\t' '
		NR == 1 {
			for (i = 1; i <= NF; i++) {
				name[i] = $i
				if ($i == "jetstream.cap.version.unknown") first = i
			}
			next
		}
		{
			found = ""
			for (i = first; i <= NF; i++)
				if ($i != "") found = found " " name[i]
			if (found != "") print $2 ":" found
		}' "$fields" | LC_ALL=C sort)"
}

@test "payload: the stream says what it is" {
	is arp-request frame.protocols=jetstream:arp
	is arp-reply frame.protocols=jetstream:arp
	is ping frame.protocols=jetstream:ip:icmp:data
	is nd frame.protocols=jetstream:ipv6
	is syn frame.protocols=jetstream:ip:tcp ip.src=10.74.0.1 ip.dst=10.74.0.2
	is data frame.protocols=jetstream:ip:tcp:data
	is management frame.protocols=jetstream:data
	is reserved-stream frame.protocols=jetstream:data
	is not-ip frame.protocols=jetstream:data
}

@test "management: token, claim and purge, every member" {
	is token frame.protocols=jetstream jetstream.mgmt.version=1 jetstream.mgmt.type=1 \
		jetstream.mgmt.src=1 jetstream.mgmt.monitor=1 jetstream.mgmt.stations=0x8006 \
		jetstream.mgmt.reason=0 jetstream.mgmt.to=2 jetstream.mgmt.issued=5 \
		jetstream.mgmt.hold_ns=500000 "jetstream.mgmt.token_id=$(field jetstream.cap.token_id token)"
	same 'n1 → all management | Token to n2' "$(field _ws.col.Info token)"
	same 'n1 → all management | Claim: another station is the lowest' "$(field _ws.col.Info claim)"
	same 'n1 → all management | Purge: the token was lost' "$(field _ws.col.Info purge)"
	is purge jetstream.mgmt.to= jetstream.cap.flags.token=0
	run -0 "$tshark" -r "$hand" -V -Y 'frame.comment == "token"'
	[[ $output == *'Stations: 0x8006: n1, n2, n15'* ]]
}

@test "payload: what no station accepts stays octets, unless asked for" {
	for name in bad-crc bad-hec bad-length-long bad-length-short abort not-48; do
		is "$name" frame.protocols=jetstream:data
	done
	run -0 "$tshark" -r "$hand" -o jetstream.damaged:TRUE -Y 'frame.comment == "bad-crc"' \
		-T fields -e frame.protocols
	same 'jetstream:ip:udp:data' "$output"
}

@test "payload: Decode As by stream and by VCI" {
	run -0 "$tshark" -r "$hand" -d jetstream.stream==100,llc -d jetstream.vci==2050,data \
		-Y 'frame.comment == "not-ip" || frame.comment == "syn"' -T fields -e frame.protocols
	same 'jetstream:data jetstream:llc' "$(cut -d: -f1,2 <<<"$output" | paste -sd' ')"
}

@test "columns: nodes and stream stand before what TCP writes" {
	is syn _ws.col.Protocol=TCP
	[[ $(field _ws.col.Info syn) == 'n1 → n2 IP_DIVERT, RxVCI n1 stream 32 | 40000 → 10007 [SYN]'* ]]
	[[ $(field _ws.col.Info data) == 'n1 → n2 stream 40 | 40000 → 10007 [PSH, ACK]'* ]]
	same 'n1 → n2 IP, bad CRC' "$(field _ws.col.Info bad-crc)"
	[[ $(field _ws.col.Info arp-request) == 'n1 → all ARP | Who has 10.74.0.2?'* ]]
}

@test "links: data to the frame that announced its VCI, and back" {
	syn=$(field frame.number syn)
	syn_ack=$(field frame.number syn-ack)
	is syn-ack "jetstream.announced_in=$syn"
	is syn "jetstream.first_use=$syn_ack" jetstream.announced_in=
	is data "jetstream.announced_in=$syn_ack"
	is data-ack "jetstream.announced_in=$syn"
	is syn-ack "jetstream.first_use=$(field frame.number ack)"
}

@test "links: an arrival is the frame that was sent; TCP sees it once" {
	is data-arrival "jetstream.same_as=$(field frame.number data)" \
		frame.protocols=jetstream:data tcp.analysis.retransmission=
	is retransmission tcp.analysis.retransmission=1
	is dup "jetstream.same_as=$(field frame.number delayed)" frame.protocols=jetstream:ip:udp:data
	is dup-arrival "jetstream.same_as=$(field frame.number delayed)" frame.protocols=jetstream:data
	run -0 "$tshark" -r "$hand" -o jetstream.further:TRUE -Y tcp.analysis.retransmission \
		-T fields -e frame.comment
	same 'data-arrival retransmission' "$(paste -sd' ' <<<"$output")"
}

@test "TCP: checksums hold, the stream can be followed" {
	run -0 "$tshark" -r "$hand" -o ip.check_checksum:TRUE -o tcp.check_checksum:TRUE \
		-o udp.check_checksum:TRUE \
		-Y 'ip.checksum.status == 0 || tcp.checksum.status == 0 || udp.checksum.status == 0'
	same '' "$output"
	"$tshark" -r "$hand" -q -z follow,tcp,raw,0 >"$BATS_TEST_TMPDIR/follow"
	# 100 and 50 octets from n1, 61464 from n2 (indented), in hexadecimal
	same '300 122928' "$(awk '/^[0-9a-f]+$/ && length($0) > 20 { a += length($0) }
		/^\t[0-9a-f]+$/ { b += length($0) - 1 } END { print a, b }' "$BATS_TEST_TMPDIR/follow")"
}

@test "statistics: conversations, endpoints, tree; each frame once" {
	run -0 "$tshark" -r "$hand" -q -z conv,jetstream -z endpoints,jetstream -z jetstream,tree
	grep -Eq '^n2 +<-> n1 ' <<<"$output"
	grep -Eq '^n16 +3 ' <<<"$output"
	grep -Eq '^ n2 stream 40 +6 ' <<<"$output"
	grep -Eq '^ with an RxVCI +4 ' <<<"$output"
	grep -Eq '^ duplicated by impairment +1 ' <<<"$output"
}

@test "filters: by node, as conversations and columns make them" {
	for filter in 'jetstream.src==n16' 'jetstream.src == "n16"'; do
		run -0 "$tshark" -r "$hand" -Y "$filter" -T fields -e frame.comment
		same 'nd from-n16' "$(paste -sd' ' <<<"$output")"
	done
	run -0 "$tshark" -r "$hand" -Y 'jetstream.node == "n3"' -T fields -e frame.comment
	same 'from-n16 to-n16' "$(paste -sd' ' <<<"$output")"
}

@test "preference: another link type, or none" {
	run -0 "$tshark" -r "$hand" -o jetstream.link_type:none -Y jetstream
	same '' "$output"
	run -0 "$tshark" -r "$hand" -o jetstream.ctl_link_type:none -o jetstream.link_type:user11 \
		-Y 'jetstream' -T fields -e frame.comment
	same control "$output"
}

@test "control messages: one line each" {
	run -0 "$tshark" -r "$hand" -Y jetstream.ctl -T fields -E aggregator='|' -e jetstream.ctl.line
	same 'n1 jetconnd > child 4711: Syn 10.74.0.1:40000 10.74.0.2:7|n1 child 4711 > jetconnd: Forward' \
		"$output"
}

@test "fuzz: 20 seeds, no crash and no dissector bug" {
	for seed in {1..20}; do
		editcap -E 0.02 --seed "$seed" "$hand" "$BATS_TEST_TMPDIR/$seed.pcapng" 2>/dev/null
	done
	mergecap -a -w "$BATS_TEST_TMPDIR/all.pcapng" "$BATS_TEST_TMPDIR"/[0-9]*.pcapng
	export WIRESHARK_ABORT_ON_DISSECTOR_BUG=1
	for damaged in TRUE FALSE; do
		timeout 60 "$tshark" -2 -nVxr "$BATS_TEST_TMPDIR/all.pcapng" \
			-o "jetstream.damaged:$damaged" >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err"
		same '' "$(cat "$BATS_TEST_TMPDIR/err")"
		grep -q 'HP Jetstream' "$BATS_TEST_TMPDIR/out"
		run ! grep -q 'Dissector bug' "$BATS_TEST_TMPDIR/out"
	done
}
