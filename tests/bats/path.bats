# SPDX-License-Identifier: BSD-2-Clause
# path.bats - a path of which the ring is only a part
#
#	n1 (tcp_path) ---- ring ---- n2 (a router: the kernel) ---- link ---- far
#
# Far is a namespace beside the lab.  What the link takes, and whether somebody
# says so, is the test.
load helper

PROGS=$O/tests/progs
export JETSTREAM_PREFIXES=10.74.0.0/16,10.99.0.0/16,10.98.0.0/16,10.97.0.0/16,fd4a:5300::/64,fd4a:9900::/64

more_setup() {
	FAR=$LAB-far
	PORT=$((5000 + BATS_SUITE_TEST_NUMBER))
	jet up -q --rate unlimited --ipv6
	ip netns add "$FAR"
}

more_teardown() {
	ip netns del "$FAR"
}

# path MTU-OF-ROUTER'S-END MTU-OF-FAR-END: what the former cannot send is refused
# by ICMP, what the latter cannot take vanishes.
path() {
	local ns=jet-$LAB-n2
	ip -n "$ns" link add far0 mtu "$1" type veth peer name far1 netns "$FAR" mtu "$2"
	ip -n "$ns" addr add 10.99.0.1/24 dev far0
	ip -n "$ns" addr add fd4a:9900::1/64 dev far0 nodad
	ip -n "$ns" link set far0 up
	ip -n "$FAR" addr add 10.99.0.2/24 dev far1
	ip -n "$FAR" addr add fd4a:9900::2/64 dev far1 nodad
	ip -n "$FAR" link set far1 up
	ip -n "$FAR" route add default via 10.99.0.1 advmss 61464
	ip -n "$FAR" route add default via fd4a:9900::1 advmss 61444
	on n2 sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'
	on n1 ip route add 10.99.0.0/24 via 10.74.0.2
	on n1 ip route add fd4a:9900::/64 via fd4a:5300::2
	bg ip netns exec "$FAR" "$PROGS/tcp_path" listen "$PORT"
	wait_for 10 grep -q ready "bg.$((${#BG[@]} - 1))"
}

@test "a router says that segments are too big: smaller ones go at once" {
	path 1500 61504
	run -0 with n1 "$PROGS/tcp_path" 10.99.0.2 "$PORT" 1000000
	[ "$output" = "received 1000000 mtu 1500" ]
	run -0 with n1 "$PROGS/tcp_path" fd4a:9900::2 "$PORT" 1000000
	[ "$output" = "received 1000000 mtu 1500" ]
	# They were told by ICMP, and no other counted.
	kill -USR1 "$(connd_pid n1)"
	wait_for 10 grep -q 'icmp_told [1-9]' "/run/jetstream/$LAB/n1-connd.log"
	run ! grep -q icmp_bad "/run/jetstream/$LAB/n1-connd.log"
}

@test "IP_MTU_DISCOVER: without DF the router makes fragments" {
	path 1500 61504
	run -0 with n1 "$PROGS/tcp_path" 10.99.0.2 "$PORT" 1000000 0
	[ "$output" = "received 1000000 mtu 61504" ]
	run -0 with n1 "$PROGS/tcp_path" 10.99.0.2 "$PORT" 1000000 2
	[ "$output" = "received 1000000 mtu 1500" ]
}

@test "large segments vanish without a word: tcp_mtu_probing finds out" {
	path 61504 1500
	on n1 sh -c 'echo 1 >/proc/sys/net/ipv4/tcp_mtu_probing'
	run -0 with n1 "$PROGS/tcp_path" 10.99.0.2 "$PORT" 1000000
	[[ $output =~ ^"received 1000000 mtu "([0-9]+)$ ]]
	[ "${BASH_REMATCH[1]}" -le 1500 ]
	on n1 sh -c 'echo 2 >/proc/sys/net/ipv4/tcp_mtu_probing'
	run -0 with n1 "$PROGS/tcp_path" 10.99.0.2 "$PORT" 1000000
	[[ $output =~ ^"received 1000000 mtu "([0-9]+)$ ]]
	[ "${BASH_REMATCH[1]}" -le 1500 ]
}

@test "connect() to what a router cannot reach: its ICMP is the errno, as with the kernel" {
	path 1500 1500
	for net in 97 98; do
		on n1 ip route add "10.$net.0.0/24" via 10.74.0.2
	done
	on n2 ip route add unreachable 10.98.0.0/24
	on n2 ip route add prohibit 10.97.0.0/24
	for to in 10.98.0.1 10.97.0.1 10.99.0.77; do
		run -1 on n1 timeout 20 "$PROGS/tcp_path" $to "$PORT" 1
		kernel=$output
		run -1 with n1 timeout 20 "$PROGS/tcp_path" $to "$PORT" 1
		[ "$output" = "$kernel" ]
		[ "$output" = "connect EHOSTUNREACH" ]
	done
	run -1 with n1 "$PROGS/tcp_path" 10.99.0.2 "$((PORT + 1))" 1
	[ "$output" = "connect ECONNREFUSED" ]
}

@test "from beyond a router to a listener of ours" {
	path 1500 1500
	bg_with n1 "$PROGS/tcp_path" listen "$PORT"
	wait_for 10 grep -q ready "bg.$((${#BG[@]} - 1))"
	run -0 ip netns exec "$FAR" "$PROGS/tcp_path" 10.74.0.1 "$PORT" 1000000
	[ "$output" = "received 1000000 mtu 1500" ]
	run -0 ip netns exec "$FAR" "$PROGS/tcp_path" fd4a:5300::1 "$PORT" 1000000
	[ "$output" = "received 1000000 mtu 1500" ]
}
