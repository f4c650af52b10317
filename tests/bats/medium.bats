#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2154,SC2016 # run sets $stderr; inner shells have their $
# medium.bats - the token ring: its token, its monitor, stations that come and go
#
#	n1 10.74.0.1 ---- n2 10.74.0.2 ---- n3 10.74.0.3
#	 \________________ ring _________________/
load helper

# A number of the ring, from jet status.
ring_stat() {
	jet status --json | jq ".ring.$1"
}

# start_send FROM TO ADDRESS FILE: by TCP, in the background; then end_send.
start_send() {
	bg_on "$2" socat -u TCP-LISTEN:5001,reuseaddr "CREATE:got"
	SERVER=$!
	wait_for 10 is_listening "$2" 5001
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
	frames with.pcapng jetstream jetstream.mgmt.type jetstream.mgmt.to jetstream.cap.src \
		jetstream.cap.ring_ns jetstream.cap.dir jetstream.vci.stream jetstream.cap.frame_len \
		jetstream.cpcs.crc.status jetstream.mgmt.monitor jetstream.mgmt.stations _ws.expert.severity >with
	[ "$(awk -F '\t' '$6 == "0" { print $1, $7, $8, $9, $10 }' with | sort -u)" = '1 53 1 1 0x000e' ]
	# Before each frame that was sent the station took the token, or had it.
	awk -F '\t' '$5 == 1' with >all
	[ "$(wc -l <all)" -ge 24 ]
	awk -F '\t' '$4 < last { print "time goes back: " $0; bad = 1 }
		{ last = $4 }
		$1 == 1 { holder = $2; tokens++; next }
		$3 != holder { print "not the holder: " $0; bad = 1 }
		END { exit bad || tokens < 6 }' all
	# Nothing that a note or worse is said of.
	[ -z "$(cut -f 11 with | tr , '\n' | awk '$1 >= 4194304')" ]
}

@test "the token is lost: the monitor notices, purges, issues another; TCP goes on" {
	jet up --kernel-only --nodes 3
	start_capture c.pcapng --tokens
	head -c 30000000 /dev/urandom >f
	start_send n2 n3 10.74.0.3 f
	for _ in 1 2 3; do
		wait_for 10 jet link token lose
		wait_for 10 eval '[ "$(ring_stat token)" = \"ok\" ]'
	done
	end_send
	jet link token lose
	run -0 on n1 ping -n -q -c 1 -W 10 10.74.0.2
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
		wait_for 10 jet link token duplicate
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

@test "nodes come and go while others talk: not an octet is lost, captures have them all" {
	jet up
	pid=$(ringd_pid)
	start_capture c.pcapng
	head -c 60000000 /dev/urandom >f
	start_send n1 n2 10.74.0.2 f
	run -0 --separate-stderr jet up --nodes 4
	[[ $stderr == *'n3 joins the ring'*'n4 joins the ring'* ]]
	run -0 on n4 ping -n -q -c 1 -W 10 10.74.0.3
	bg_on n3 sleep 100
	wait_for 10 grep -qx sleep "/proc/$!/comm"
	run -0 jet down n3
	wait_for 10 is_gone "${BG[-1]}"
	[ ! -e "/run/netns/jet-$LAB-n3" ]
	run -1 grep parked "/run/jetstream/$LAB/jetringd.log"	# no server died
	run -0 jet up --nodes 5
	end_send
	run -0 jet ping -c 1
	[ "$(wc -l <<<"$output")" -eq 21 ]
	[ "$(ringd_pid)" = "$pid" ]
	[ "$(stat_of n1 tx_cut)" -eq 0 ]
	[ "$(stat_of n2 tx_cut)" -eq 0 ]
	[ "$(ring_stat tokens_lost)" -eq 0 ]
	end_capture
	[ "$(frames c.pcapng jetstream frame.interface_name | sort -u | paste -sd' ')" = 'n1 n2 n3 n4 n5' ]
	jet down
	[ -z "$(ours)" ]
}

@test "the monitor leaves: the next one claims; what goes to a leaver is counted" {
	jet up --nodes 3
	start_capture c.pcapng --tokens
	bg_on n2 socat -u -b1000 OPEN:/dev/zero UDP4-SENDTO:10.74.0.1:5001
	local flood=$!
	wait_for 10 eval '[ "$(stat_of n1 rx_frames)" -gt 100 ]'
	jet down n1
	[ "$(jet status --json | jq -r .ring.monitor)" = n2 ]
	wait_for 10 eval '[ "$(stat_of n2 tx_not_copied)" -gt 0 ]'
	# (What is full is n2's own queue: an answer may be dropped there.)
	wait_for 10 on n3 ping -n -q -c 1 -W 1 10.74.0.2
	run -125 jet exec n1 true
	[[ $output == *'n1 has left lab'* ]]
	run -1 jet down n2 n3
	[[ $output == *'these are all nodes'* ]]
	# What waits for ARP is a few packets of it, and a ping may be pushed out.
	end "$flood"
	run -0 jet up --nodes 3
	[ "$(jet status --json | jq -r .ring.monitor)" = n1 ]
	run -0 jet ping -c 1
	end_capture
	[ "$(frames c.pcapng 'jetstream.mgmt.type == 2' jetstream.mgmt.src jetstream.mgmt.reason |
		paste -sd' ')" = $'2\t3 1\t3' ]
}

@test "a node that left and came back has both TCPs again, and a namespace that is pulled is mended" {
	jet up --nodes 3
	jet down n2
	jet up --nodes 3
	head -c 1000000 /dev/urandom >f
	bg "$JET" run -n "$LAB" n2 -- socat -u TCP-LISTEN:7000,reuseaddr CREATE:got
	server=$!
	wait_for 10 is_listening n2 7000
	run -0 "$JET" run -n "$LAB" n1 -- socat -u OPEN:f TCP:10.74.0.2:7000
	wait_for 10 is_gone "$server"
	cmp f got
	pid=$(ringd_pid)
	ip netns del "jet-$LAB-n2"
	run -0 on n1 ping -n -q -c 1 -W 10 10.74.0.3
	jet up
	run -0 jet ping -c 1
	on n3 ip link del jet0
	run -0 on n1 ping -n -q -c 1 -W 10 10.74.0.2
	wait_for 10 eval '[ "$(jet status --json | jq -r ".nodes[2].tap")" = gone ]'
	# Nothing of it is kept open: n1 and n2.
	[ "$(readlink "/proc/$pid/fd/"* | grep -c net/dev)" -eq 2 ]
	jet up
	run -0 jet ping -c 1
	[ "$(ringd_pid)" = "$pid" ]
}

@test "the model is set by preset, option, file and on a running ring, and shown" {
	jet up --kernel-only --preset paper
	[ "$(ring_stat node_mem_octets)" -eq 1048576 ]
	[ "$(ring_stat mtu_octets)" -eq 61504 ]
	[ "$(jet status --json | jq .rate_bps)" -eq 1000000000 ]
	run -0 jet status
	[[ $output == *'once round 500ns, latency 200ns, holding time 500us, 1 MiB a node'* ]]
	# 10 ms from n1 to n2, and the token has to come round.
	jet up --latency 300ns --propagation 10ms --hold 1ms
	[ "$(ring_stat round_ns)" -eq 20000600 ]
	[ "$(ring_stat hold_ns)" -eq 1000000 ]
	run -0 on n1 ping -n -q -c 3 -i 0.2 -W 10 10.74.0.2
	awk -F '[ /]' '/^rtt/ { exit !($7 >= 20) }' <<<"$output"
	jet down
	cat >t.ini <<-'END'
		[lab]
		nodes = 3
		preset = unlimited
		hold = 50us
		[node n2]
		propagation = 3ms
	END
	jet up --kernel-only -t t.ini
	[ "$(jet status --json | jq .rate_bps)" -eq 0 ]
	[ "$(ring_stat hold_ns)" -eq 50000 ]
	[ "$(jet status --json | jq -c '[.nodes[].propagation_ns]')" = '[50,3000000,50]' ]
	# Another ring, the same record: what is not named stays.
	kill -9 "$(ringd_pid)"
	jet up --rate 2m
	[ "$(ring_stat hold_ns)" -eq 50000 ]
	[ "$(ring_stat round_ns)" -eq 3000700 ]
	run -0 jet ping -c 1
	for bad in --preset=slow --latency=2s --hold=1s --propagation=5 --node-mem=1k \
		--node-mem=17179869185g --rate=0; do
		run -2 jet up "$bad"
		[ "${#lines[@]}" -eq 1 ]
	done
}

@test "any rate from 1 Mbit/s: the ring keeps it; what the kernel drops at its TAP is shown" {
	jet up --kernel-only --rate 1m
	run -0 on n1 ping -n -q -c 1 -W 10 -s 12000 10.74.0.2
	# 12075 octets a frame, there and back
	awk -F '[ /]' '/^rtt/ { exit !($7 >= 193) }' <<<"$output"
	[ "$(jet status --json | jq '.nodes[0].tap_tx_dropped')" -eq 0 ]
	# More than the queue of 1000 holds, at a rate that takes hours for it.
	on n1 ip link set jet0 txqueuelen 2
	bg_on n1 ping -n -q -f -s 20000 10.74.0.2
	wait_for 10 eval '[ "$(jet status --json | jq ".nodes[0].tap_tx_dropped")" -gt 0 ]'
	[ "$(jet status --json | jq '.nodes[1].tap_tx_dropped')" -eq 0 ]
}

@test "the paper's 1 MiB a node is enough for TCP in user space, also with losses" {
	jet up --preset paper
	jet link set '*->*' loss=1% seed=7
	head -c 10000000 /dev/urandom >f
	bg "$JET" run -n "$LAB" n2 -- socat -u -b 262144 TCP-LISTEN:7000,reuseaddr CREATE:got
	server=$!
	wait_for 10 is_listening n2 7000
	run -0 timeout 60 "$JET" run -n "$LAB" n1 -- socat -u -b 262144 OPEN:f TCP:10.74.0.2:7000
	wait_for 60 is_gone "$server"
	cmp f got
	[ "$(stat_of n1 lost)" -gt 0 ]
	# What may be known from the start is not more than what there is.
	"$JET" run -n "$LAB" n1 -- python3 -c '
import socket
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
assert s.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == 2 * 393216'
	# The ring is told another number, and so are the sockets made from then on.
	jet up --node-mem 1g
	"$JET" run -n "$LAB" n1 -- python3 -c '
import socket
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
assert s.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == 8 << 20'
}

@test "windows that are larger than what is left of the buffer memory: TCP gives up what is out of order" {
	jet up
	jet link set '*->*' delay=5ms loss=1% seed=1
	head -c 10000000 /dev/urandom >f
	bg "$JET" run -n "$LAB" n2 -- socat -u -b 262144 TCP-LISTEN:7000,reuseaddr CREATE:got
	server=$!
	wait_for 10 is_listening n2 7000
	bg timeout 60 "$JET" run -n "$LAB" n1 -- socat -u -b 262144 OPEN:f TCP:10.74.0.2:7000
	sender=$!
	# Windows have grown by then, and most is still to come.
	wait_for 20 eval '[ "$(stat -c %s got)" -gt 1500000 ]'
	jet up --node-mem 256k
	wait_for 60 is_gone "$server"
	wait "$sender"
	cmp f got
}

@test "sixteen nodes: each reaches each" {
	jet up --nodes 16
	run -0 jet ping -c 1
	[ "$(wc -l <<<"$output")" -eq 241 ]
	[ "$(jet status --json | jq -r .ring.monitor)" = n16 ]
	[ "$(ring_stat round_ns)" -eq $((16 * 250)) ]
}

@test "faults of the token: bad input is one sentence" {
	jet up --kernel-only
	run -2 --separate-stderr jet link token
	[ -z "$output" ] && [ "${#stderr_lines[@]}" -eq 1 ]
	run -2 --separate-stderr jet link token steal
	[ -z "$output" ] && [ "${#stderr_lines[@]}" -eq 1 ]
}
