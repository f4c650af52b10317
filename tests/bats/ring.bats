# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2154,SC2016 # run sets $stderr; inner shells have their $
# ring.bats - the ring as kernels see it: frames, token, losses, captures
#
#	n1 10.74.0.1 ---- n2 10.74.0.2 ---- n3 10.74.0.3
#	 \________________ ring _________________/
#
# No user-space TCP here: "up --kernel-only".
load helper

# send_file FROM TO ADDRESS FILE: by TCP; the other end's copy is FILE.got.
send_file() {
	local from=$1 to=$2 addr=$3 file=$4
	bg_on "$to" socat -u TCP-LISTEN:5001,reuseaddr "CREATE:$file.got"
	local server=$!
	wait_for 10 is_listening "$to" 5001
	on "$from" socat -u "OPEN:$file" "TCP:$addr:5001"
	wait_for 20 is_gone "$server"
	sha256sum <"$file" >want.sum
	sha256sum <"$file.got" >got.sum
	diff want.sum got.sum
}

random_file() { head -c "$2" /dev/urandom >"$1"; }

@test "ARP and ping cross the ring on the streams that the wire format gives them" {
	jet up --kernel-only --nodes 3
	start_capture c.pcapng
	run -0 on n1 ping -n -c 2 -i 0.01 -W 10 10.74.0.2
	run -0 on n1 ip neigh show 10.74.0.2
	[[ $output == *'lladdr 02:4a:53:00:00:02'* ]]
	end_capture
	frames c.pcapng jetstream jetstream.cpcs.crc.status jetstream.hec.status jetstream.vci \
		jetstream.vci.ring_id jetstream.vci.stream arp.opcode arp.src.proto_ipv4 arp.dst.proto_ipv4 icmp.type >all
	# The question: multicast, stream 3.  The answer: to n1's stream 3.
	[ "$(awk -F '\t' '$6 == 1 && $8 == "10.74.0.2" { print $3 }' all | sort -u)" = 16387 ]
	[ "$(awk -F '\t' '$6 == 2 && $7 == "10.74.0.2" { print $4, $5 }' all | sort -u)" = '1 3' ]
	[ "$(awk -F '\t' '$9 == 8 { print $4, $5 }' all | sort -u)" = '2 1' ]
	[ "$(awk -F '\t' '$9 == "0" { print $4 }' all | sort -u)" = 1 ]
	[ "$(awk -F '\t' '$1 != 1 || $2 != 1' all | wc -l)" -eq 0 ]
}

@test "jet ping: each from each; a node that does not answer makes it 3" {
	jet up --kernel-only --nodes 3
	run -0 --separate-stderr jet ping
	[ "${#lines[@]}" -eq 7 ]
	run -0 --separate-stderr jet ping --json
	[ "$(grep -c '"received": 3' <<<"$output")" -eq 6 ]
	on n3 ip link set jet0 down
	run -3 jet ping -c 1
}

@test "packets of every size up to the MTU cross the ring" {
	jet up --kernel-only
	for size in 0 1 11 12 13 39 40 41 1472 4068 4096 8192 61475 61476; do
		run -0 on n1 ping -n -q -c 1 -W 10 -M 'do' -s $size 10.74.0.2
	done
	run -1 on n1 ping -n -q -c 1 -W 2 -M 'do' -s 61477 10.74.0.2
	run -0 on n1 ping -n -q -c 1 -W 10 -s 65507 10.74.0.2
	[ "$(stat_of n2 rx_bad_crc)" -eq 0 ]
}

@test "kernel to kernel: a file arrives as it was" {
	jet up --kernel-only
	random_file f 20000000
	send_file n1 n2 10.74.0.2 f
	[ "$(stat_of n1 tx_bytes)" -gt 20000000 ]
}

@test "the ring keeps its rate: iperf3 gets most of it and not more" {
	jet up --kernel-only --rate 100m
	bg_on n2 iperf3 -s -1
	wait_for 10 is_listening n2 5201
	start_capture c.pcapng
	run -0 on n1 iperf3 -c 10.74.0.2 -t 2 -J
	end_capture
	# By the ring's clock, from each large frame to the next frame of anybody: that
	# somebody had no processor for a while makes few of them wait, and none faster.
	frames c.pcapng 'jetstream.cap.dir == 1' jetstream.cap.ring_ns jetstream.cap.frame_len | sort -n |
		awk 'NR > 1 && len > 50000 { print len * 8e9 / ($1 - at) } { at = $1; len = $2 }' | sort -n >rates
	awk '{ r[NR] = $1 }
		END { half = r[int((NR + 1) / 2)]
			print NR " large frames, half of them at " half " bit/s at least, none above " r[NR]
			exit NR < 20 || half < 80e6 || r[NR] > 100e6 }' rates
}

@test "a SYN to a port where nobody listens is refused at once" {
	jet up --kernel-only
	start_capture c.pcapng
	run -1 on n1 timeout 30 nc -v 10.74.0.2 9
	[[ $output == *refused* ]]
	end_capture
	[ "$(frames c.pcapng 'tcp.flags.reset == 1' ip.src tcp.srcport | uniq)" = $'10.74.0.2\t9' ]
}

@test "1 % loss: lost frames are counted, TCP repairs it" {
	jet up --kernel-only
	jet link set 'n1->n2' loss=1% seed=7
	random_file f 32000000
	send_file n1 n2 10.74.0.2 f
	lost=$(stat_of n1 lost)
	echo "$lost lost of $(stat_of n1 tx_frames)"
	[ "$lost" -ge 1 ]
	[ "$lost" -lt $(($(stat_of n1 tx_frames) / 20)) ]
	[ "$(kernel_counter n1 TcpRetransSegs)" -ge 1 ]
	[ "$(stat_of n2 lost)" -eq 0 ]
}

@test "the same seed loses the same frames" {
	jet up --kernel-only
	no_arp
	for i in 1 2; do
		jet link set 'n1->n2' loss=20% seed=42
		# All at once: ping waits for -i at least, and answers that are late count.
		on n1 ping -n -c 40 -l 40 -i 1 10.74.0.2 |
			sed -n 's/.*icmp_seq=\([0-9]*\).*/\1/p' >"answered.$i" || true
	done
	[ "$(wc -l <answered.1)" -lt 40 ]
	jet link set all loss=0%
	run -0 on n1 ping -n -q -c 20 -l 20 -i 1 10.74.0.2
	[[ $output == *' 20 received'* ]]
	diff answered.1 answered.2
}

@test "a frame corrupted by rule is counted as bad CRC and sent again" {
	jet up --kernel-only
	start_capture c.pcapng
	jet link rule corrupt 'n1->n2' data=3
	random_file f 3000000
	send_file n1 n2 10.74.0.2 f
	end_capture
	[ "$(stat_of n2 rx_bad_crc)" -eq 1 ]
	[ "$(stat_of n1 corrupted)" -eq 1 ]
	[ "$(kernel_counter n1 TcpRetransSegs)" -ge 1 ]
	[ "$(frames c.pcapng 'jetstream.cap.flags.corrupt == 1' jetstream.src | wc -l)" -eq 1 ]
}

@test "a rule loses one frame, once" {
	jet up --kernel-only
	jet link rule lose 'n1->n2' data=1
	run -0 jet link rule show
	[ "${#lines[@]}" -eq 2 ]
	run -1 on n1 ping -n -q -c 1 -W 1 -s 1000 10.74.0.2
	run -0 on n1 ping -n -q -c 1 -W 10 -s 1000 10.74.0.2
	[ "$(stat_of n1 lost)" -eq 1 ]
}

@test "two stations that always have frames take turns; none goes without the token" {
	jet up --kernel-only --nodes 3 --rate 100m
	jet ping -c 1
	# Several each: what they have sent and is not on the ring yet lasts longer than
	# any of them is without a processor.
	for n in n1 n2 n1 n2 n1 n2 n1 n2 n1 n2 n1 n2 n1 n2 n1 n2; do
		bg_on $n socat -u -b60000 OPEN:/dev/zero UDP4-SENDTO:10.74.0.3:5001
	done
	start_capture c.pcapng -c 120
	wait "$CAPTURE"
	frames c.pcapng 'jetstream.cap.dir == 1' jetstream.cap.token_id jetstream.cap.src \
		jetstream.cap.frame_len jetstream.cap.flags.token >all
	[ "$(wc -l <all)" -ge 100 ]
	# Each frame left in a turn of its station, and the turns are numbered.
	awk -F '\t' '$4 != 1 && $4 != "True" { print "no token: " $0; bad = 1 }
		$1 < last { print "token number goes back: " $0; bad = 1 }
		$1 == last && $2 != who { print "one turn, two stations: " $0; bad = 1 }
		{ last = $1; who = $2 }
		END { exit bad }' all
	# From when both send until the end: n1, n2, n1, n2, …
	awk -F '\t' '$3 < 50000 { next }
		{ seen[$2] }
		length(seen) < 2 { who = $2; next }
		$2 == who { same++ }
		{ n++; who = $2 }
		END { print n " large frames, " same + 0 " twice from one station"; exit n < 50 || same > 0 }' all
}

@test "capture: whole frames, the count is told, INT and TERM end it well" {
	jet up --kernel-only
	for sig in INT TERM; do
		start_capture c.pcapng
		jet ping -c 2
		kill -s $sig "$CAPTURE"
		wait "$CAPTURE"
		n=$(frames c.pcapng jetstream frame.number | wc -l)
		[ "$n" -ge 8 ]
		[ ! -s tshark.err ] || { cat tshark.err; false; }
		grep "$n frames captured, 0 dropped" "bg.$((${#BG[@]} - 1))"
	done
}

@test "capture: -c, --duration, nodes, standard output and a reader that goes away" {
	jet up --kernel-only --nodes 3
	bg_on n1 ping -n -q -i 0.01 10.74.0.2
	jet capture -c 5 2>err >five.pcapng
	[ "$(frames five.pcapng jetstream frame.number | wc -l)" -eq 5 ]
	grep '5 frames captured' err
	jet capture --duration 1 -w n1.pcapng n1
	[ "$(frames n1.pcapng jetstream jetstream.src | sort -u)" = n1 ]
	jet capture -q --rx -c 20 -w rx.pcapng
	[ "$(frames rx.pcapng 'jetstream.cap.dir == 2' frame.number | wc -l)" -ge 5 ]
	end "${BG[0]}"
	# Nothing moves now; the reader's end is noticed all the same.
	timeout 60 "$JET" capture -q -n "$LAB" | head -c 28 >head.pcapng
	[ "${PIPESTATUS[0]}" -eq 0 ]
	[ "$(wc -c <head.pcapng)" -eq 28 ]
}

@test "capture: two at once, and down ends them with whole files" {
	jet up --kernel-only
	start_capture a.pcapng
	a=$CAPTURE
	start_capture b.pcapng
	jet ping -c 1
	jet down
	wait "$a"
	wait "$CAPTURE"
	[ "$(frames a.pcapng icmp frame.number | wc -l)" -eq 4 ]
	[ "$(frames b.pcapng icmp frame.number | wc -l)" -eq 4 ]
}

@test "capture: bad input is one sentence" {
	jet up --kernel-only
	run -1 jet capture n7 -w x
	[[ $output == *'has no node "n7"'* ]]
	run -1 jet capture -w /nowhere/x
	[[ $output == *'cannot write /nowhere/x'* ]]
}

@test "link: bad input is one sentence, and changes nothing" {
	jet up --kernel-only
	before=$(jet link show)
	run -2 jet link sett
	[[ $output == *'did you mean "set"?'* ]]
	run -2 jet link set n1-n2 loss=1%
	run -1 jet link set 'n1->n9' loss=1%
	run -2 jet link set 'n1->n2' loss=200%
	run -2 jet link set 'n1->n2' foo=1
	run -2 jet link rule eat 'n1->n2' data=1
	[ "$(jet link show)" = "$before" ]
}
