# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154,SC2030,SC2031,SC2034,SC2314 # bats sets output, status; BG is per test
# hostile.bats - applications, packets and requests that want to do harm
#
#	n1 10.74.0.1 ───── ring ───── n2 10.74.0.2
#
# Whatever they do, they may only lose their own stack: jetringd, jetconnd and
# the others' children live on, honest data arrives as it was sent, and nothing
# is left when they have gone.
load helper

HOSTILE=$O/tests/progs/hostile
NET=$O/tests/progs/hostile_net

more_setup() {
	local p
	jet up -q
	RUN=/run/jetstream/$LAB
	head -c 5000000 /dev/urandom >file
	for p in n1 n2; do
		bg_on $p socat -u TCP-LISTEN:7100,fork,reuseaddr,backlog=100 OPEN:/dev/null
		wait_for 10 is_listening $p 7100
		# See all_is_well.
		on $p sh -c 'echo 4 >/proc/sys/net/ipv4/tcp_orphan_retries'
	done
	SERVERS=$(servers)
}

# jetringd and each jetconnd: their pids.
servers() { jet status --json | grep -E '"(jetringd_)?pid":' | head -n 3; }

# children: those of this lab.
children() {
	local p
	for p in $(pgrep -x jet-child); do
		tr '\0' ' ' <"/proc/$p/cmdline" 2>/dev/null | grep -q -- "--lab $LAB " && echo "$p"
	done
}
no_child() { [ -z "$(children)" ]; }

# Nobody who is not hostile was harmed, and of those who are nothing is left.
all_is_well() {
	# Most are gone at once.  But a connection that was told, say, another
	# timestamp is well-formed, and its peer does not believe it any more:
	# its FIN is sent again as often as the node does it for an orphan: 4 times,
	# for 6 s or, if it was told another round trip, for 31 s.  One that was
	# told to wait for nothing is ended after 60 s without a word of its peer.
	wait_for 90 no_child
	[ "$(servers)" = "$SERVERS" ]
	run -1 grep -hE 'killed by signal|started again|Sanitizer|runtime error' "$RUN"/*.log
	wait_for 10 only_connd_ports
	jet ping -q
	at_rest 2
}
# One port a node, without buffers.
only_connd_ports() {
	jet status --json >status
	[ "$(grep -c '"trusted":' status)" -eq 2 ] && ! grep '"bufs_used":' status | grep -qv ' 0,'
}

# attack MODE SECONDS SEED...: on both nodes, each against the other.
attack() {
	local mode=$1 seconds=$2 seed
	shift 2
	ATTACKERS=()
	for seed; do
		bg_on n1 "$HOSTILE" "$mode" "$seed" "$seconds" 10.74.0.2 7100
		ATTACKERS+=($!)
		bg_on n2 "$HOSTILE" "$mode" "$((seed + 1000))" "$seconds" 10.74.0.1 7100
		ATTACKERS+=($!)
	done
}
# They have ended, and found no seal missing.
attacked() {
	local p
	for p in "${ATTACKERS[@]}"; do
		wait_for 30 is_gone "$p"
		wait "$p"
	done
}
attack_goes_on() { [ -e "/proc/${ATTACKERS[0]}" ] && ! is_gone "${ATTACKERS[0]}"; }

# One honest transfer from n1, user TCP, to n2: on (kernel) or with (user).
transfer() {
	local server
	wait_for 10 nobody_listens n2 7001
	bg_"$1" n2 socat -u -b 65536 "TCP-LISTEN:7001,reuseaddr" OPEN:got,creat,trunc
	server=$!
	wait_for 10 is_listening n2 7001
	with n1 socat -u -b 65536 OPEN:file TCP:10.74.0.2:7001
	wait_for 10 is_gone "$server"
	wait "$server"
	cmp file got
}
transfers_while_attacked() {
	local n=0
	# (The attack has begun; the shortest, of a second, may end meanwhile.)
	while [ $n -eq 0 ] || attack_goes_on; do
		transfer with
		transfer on
		n=$((n + 2))
	done
	echo "$n transfers under attack"
}

@test "anything written anywhere, malformed messages, lost descriptors: others go on" {
	attack garbage 5 1 2 3
	transfers_while_attacked
	attacked
	all_is_well
}

@test "blocks that pass every check and say what no TCP would" {
	attack lawful 4 4 5
	transfers_while_attacked
	attacked
	all_is_well
}

@test "the lock is held for ever, at last in a stranger's name" {
	attack lock 1 6
	transfers_while_attacked
	attacked
	all_is_well
}

@test "as another user, not root" {
	chmod 711 "$BATS_TEST_TMPDIR"
	cp "$HOSTILE" /tmp/hostile.$$
	on n1 setpriv --reuid 65534 --regid 65534 --clear-groups \
		/tmp/hostile.$$ garbage 7 2 10.74.0.2 7100
	rm /tmp/hostile.$$
	all_is_well
}

@test "shut-down anchors, full eventfds, doubled channels: the children sleep" {
	attack idle 1 8 9
	for out in bg.2 bg.3 bg.4 bg.5; do
		wait_for 10 grep -q idle $out
	done
	[ "$(children | wc -l)" -eq 4 ]
	at_rest 2
	kill -KILL "${ATTACKERS[@]}"
	all_is_well
}

# An honest connection to the listener under fire, and what it says.
says() {
	printf '%s\n' "$1" >said
	with n1 timeout "$2" socat -u OPEN:said TCP:10.74.0.2:7200
	wait_for 10 grep -qx "$1" heard
}

@test "malformed frames and SYN floods: the listener goes on" {
	bg_with n2 socat -u TCP-LISTEN:7200,fork,reuseaddr OPEN:heard,creat,append
	local listener=$!
	wait_for 10 is_listening n2 7200
	on n1 "$NET" frames 1 3000 2 10.74.0.1 10.74.0.2 7200
	says frames 30
	# The kernel of n1 answers each SYN,ACK with RST.
	on n1 "$NET" flood 2 2000 2 10.74.0.1 10.74.0.2 7200
	says ports 30
	# Nobody answers.
	on n2 ip neigh replace 10.74.0.77 lladdr 02:4a:53:00:00:01 dev jet0 nud permanent
	on n1 "$NET" flood 3 2000 2 10.74.0.77 10.74.0.2 7200
	says silence 30
	# Addresses that nobody has: no neighbour either.
	on n1 "$NET" flood 4 2000 2 10.74.0.0 10.74.0.2 7200
	says strangers 30
	# A log does not grow because somebody sends SYNs.
	[ "$(wc -l <"$RUN/n2-connd.log")" -lt 100 ]
	kill "$listener"
	all_is_well
}

@test "nonsense on ring.sock, capture.sock and nK.sock" {
	run -0 "$NET" ring 1 300 "$RUN/ring.sock"
	run -0 "$NET" capture 2 300 "$RUN/capture.sock"
	for n in n1 n2; do
		run -0 "$NET" port 3 1000 "$RUN/$n.sock"
		echo "$output"
	done
	jet link set '*->*' loss=0% corrupt=0% || true
	jet up -q --rate unlimited
	transfer with
	all_is_well
}
