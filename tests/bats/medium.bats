#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2154,SC2016 # run sets $stderr; inner shells have their $
# medium.bats - the token ring: its token, its monitor, stations that come and go
#
#	n1 10.74.0.1 ---- n2 10.74.0.2 ---- n3 10.74.0.3
#	 \________________ ring _________________/
load helper

# start_capture FILE [ARG...]: returns when it has begun; its pid is $CAPTURE.
start_capture() {
	local file=$1
	shift
	bg "$JET" capture -n "$LAB" -w "$file" "$@"
	CAPTURE=$!
	wait_for 5 grep -q 'capturing lab' "bg.$((${#BG[@]} - 1))"
}

end_capture() {
	kill -INT "$CAPTURE"
	wait "$CAPTURE"
}

# frames FILE FILTER FIELD...: one line a frame.
frames() {
	local file=$1 filter=$2 args=() f
	shift 2
	for f; do
		args+=(-e "$f")
	done
	"$SRC/tests/lib/tshark" -n -r "$file" -Y "$filter" -T fields "${args[@]}" 2>tshark.err
}

# A number of the ring, from jet status.
ring_stat() {
	jet status --json | jq ".ring.$1"
}

# start_send FROM TO ADDRESS FILE: by TCP, in the background; then end_send.
start_send() {
	bg_on "$2" socat -u TCP-LISTEN:5001,reuseaddr "CREATE:got"
	SERVER=$!
	wait_for 5 is_listening "$2" 5001
	bg_on "$1" socat -u "OPEN:$4" "TCP:$3:5001"
	SENDER=$!
	SENT=$4
}

end_send() {
	wait "$SENDER"
	wait_for 20 is_gone "$SERVER"
	cmp "$SENT" got
}

@test "token frames are captured if asked for: each turn of a station begins with one" {
	jet up --kernel-only --nodes 3
	start_capture without.pcapng
	jet ping -c 1
	end_capture
	[ -z "$(frames without.pcapng 'jetstream.mgmt.type' frame.number)" ]

	start_capture with.pcapng --tokens --rx
	jet ping -c 2
	end_capture
	# Sent and taken; no claim, no purge; the CRC is as good as any frame's.
	frames with.pcapng 'jetstream.vci.stream == 0' jetstream.mgmt.type jetstream.cap.frame_len \
		jetstream.cpcs.crc.status jetstream.mgmt.monitor jetstream.mgmt.stations | sort -u >kinds
	[ "$(cat kinds)" = $'1\t53\t1\t1\t0x000e' ]
	# Before each frame that was sent the station took the token, or had it.
	frames with.pcapng 'jetstream.cap.dir == 1' jetstream.mgmt.type jetstream.mgmt.to \
		jetstream.cap.src jetstream.cap.ring_ns >all
	[ "$(wc -l <all)" -ge 24 ]
	awk -F '\t' '$4 < last { print "time goes back: " $0; bad = 1 }
		{ last = $4 }
		$1 == 1 { holder = $2; tokens++; next }
		$3 != holder { print "not the holder: " $0; bad = 1 }
		END { exit bad || tokens < 6 }' all
	[ -z "$(frames with.pcapng '_ws.expert.severity >= 4194304' frame.number)" ]
}

@test "the token is lost: the monitor notices, purges, issues another; TCP goes on" {
	jet up --kernel-only --nodes 3
	start_capture c.pcapng --tokens
	head -c 30000000 /dev/urandom >f
	start_send n2 n3 10.74.0.3 f
	for _ in 1 2 3; do
		wait_for 5 jet link token lose
		wait_for 5 eval '[ "$(ring_stat token)" = \"ok\" ]'
	done
	end_send
	jet link token lose
	run -0 on n1 ping -n -q -c 1 -W 2 10.74.0.2
	end_capture
	[ "$(ring_stat tokens_lost)" -eq 4 ]
	[ "$(ring_stat purges)" -eq 4 ]
	[ "$(ring_stat tokens_issued)" -eq 5 ]
	[ "$(ring_stat cut_frames)" -eq 0 ]
	[ "$(ring_stat recovery_max_ns)" -gt 10000000 ]
	[ "$(jet status --json | jq -r .ring.monitor)" = n1 ]
	[ "$(frames c.pcapng 'jetstream.mgmt.type == 3' jetstream.mgmt.src jetstream.mgmt.reason | uniq -c |
		tr -s ' ')" = $' 4 1\t1' ]
}

@test "two tokens: the monitor purges; what that destroys is counted, and sent again by TCP" {
	jet up --kernel-only --nodes 3
	start_capture c.pcapng --tokens
	head -c 30000000 /dev/urandom >f
	start_send n2 n3 10.74.0.3 f
	for _ in 1 2 3 4 5 6 7 8; do
		wait_for 5 jet link token duplicate
	done
	end_send
	end_capture
	[ "$(ring_stat tokens_duplicated)" -eq 8 ]
	[ "$(ring_stat purges)" -eq 8 ]
	cut=$(ring_stat cut_frames)
	[ "$cut" -eq $(($(stat_of n1 tx_cut) + $(stat_of n2 tx_cut) + $(stat_of n3 tx_cut))) ]
	[ "$(frames c.pcapng 'jetstream.cap.flags.lost == 1' frame.number | wc -l)" -eq "$cut" ]
	[ "$(frames c.pcapng 'jetstream.mgmt.reason == 2' jetstream.mgmt.type | uniq -c | tr -s ' ')" = ' 8 3' ]
}

@test "faults of the token: bad input is one sentence" {
	jet up --kernel-only
	run -2 --separate-stderr jet link token
	[ -z "$output" ] && [ "${#stderr_lines[@]}" -eq 1 ]
	run -2 --separate-stderr jet link token steal
	[ -z "$output" ] && [ "${#stderr_lines[@]}" -eq 1 ]
}
