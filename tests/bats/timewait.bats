# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154 # bats sets output, status
# timewait.bats - TIME-WAIT is the connection server's, applications end at once
#
#	n1 10.74.0.1 ───── ring ───── n2 10.74.0.2
#
# Who closes first has TIME-WAIT, for 60 s: no test waits for its end.
load helper

SHORT=$O/tests/progs/tcp_short

more_setup() {
	jet up -q
	RUN=/run/jetstream/$LAB
	# A FIN that is sent again is acknowledged again.  Who sent it may have ended by
	# then, and its kernel answers with RST, which would end a kernel's TIME-WAIT.
	for n in n1 n2; do
		on $n sysctl -qw net.ipv4.tcp_rfc1337=1
	done
}

# children [NODE]: of this lab, or of one node of it.
children() {
	local p
	for p in $(pgrep -x jet-child); do
		tr '\0' ' ' <"/proc/$p/cmdline" 2>/dev/null |
			grep -q -- "--lab $LAB --node ${1:+${1#n} }" && echo "$p"
	done
	return 0
}
no_child() { [ -z "$(children "$@")" ]; }

# A counter of a node's connection server, by way of its log.
connd_count() {
	local before
	before=$(reports "$1")
	kill -USR1 "$(connd_pid "$1")"
	wait_for 10 has_reported "$1" "$before"
	sed -n "s/^.*jetconnd $1: $2 \([0-9]*\)$/\1/p" "$RUN/$1-connd.log" | tail -n 1
}
# There is always a message, and always a child that was spawned, in this order.
reports() { grep -c "jetconnd $1: \(spawned\|child_died\) " "$RUN/$1-connd.log" || :; }
has_reported() { [ "$(reports "$1")" -gt "$2" ]; }

# serve user|kernel PORT N: N connections on n2; waits until it listens.  What listened
# there before has gone.
serve() {
	wait_for 10 nobody_listens n2 "$2"
	"$([ "$1" = user ] && echo bg_with || echo bg_on)" n2 "$SHORT" serve "$2" "$3"
	SERVER=$!
	wait_for 10 is_listening n2 "$2"
}
served() { wait_for 30 is_gone "$SERVER" && wait "$SERVER"; }

# connect user|kernel PORT N HOW [LOCAL-PORT]: from n1.
connect() {
	local with=with
	[ "$1" = user ] || with=on
	"$with" n1 "$SHORT" connect 10.74.0.2 "${@:2}"
}

@test "after a transfer the children are gone, on both sides, and do not wait for TIME-WAIT's end" {
	for first in client server; do
		serve user 7101 1
		connect user 7101 1 $first
		served
		wait_for 5 no_child
	done
	[ "$(connd_count n1 time_waits)" -eq 1 ]
	[ "$(connd_count n2 time_waits)" -eq 1 ]
}

@test "1100 short connections, more than a node has streams" {
	for first in client server; do
		serve user 7102 1100
		run -0 connect user 7102 1100 $first
		[[ $output == *"done 1100"* ]]
		served
		wait_for 5 no_child
	done
}

# held: a connection of which n2 has all that n1 sends; its application has not looked.
held() {
	serve "$1" 7103 1
	stop "$SERVER"
	bg_with n1 "$SHORT" connect 10.74.0.2 7103 1 client
	CLIENT=$!
	wait_for 10 grep -q sent "bg.$((${#BG[@]} - 1))"
}

@test "the last ACK is lost: the FIN that comes again is answered, user and kernel" {
	for srv in user kernel; do
		held $srv
		jet link set 'n1->n2' loss=100%
		kill -CONT "$SERVER"
		served
		wait_for 10 is_gone "$CLIENT"
		# n1's application and child are gone; n2 is in LAST-ACK.
		wait_for 10 no_child n1
		in_last_ack $srv
		jet link set 'n1->n2' loss=0%
		wait_for 10 out_of_last_ack $srv
		[ "$(connd_count n1 tw_answered)" -ge 1 ]
	done
}
in_last_ack() {
	if [ "$1" = user ]; then
		[ -n "$(children n2)" ]
	else
		on n2 ss -Htn state last-ack | grep -q 7103
	fi
}
out_of_last_ack() { ! in_last_ack "$1"; }

# Each TCP has a port of its own: their clocks know nothing of each other, and
# to the server the one's SYN may be older than the other's last segment.
@test "a SYN from the same port opens the connection anew, of another application too" {
	local port=7200
	for cli in user kernel; do
		serve user 7104 4
		for _ in 1 2 3 4; do
			# The last one may still be in LAST-ACK for a moment.
			wait_for 10 connect $cli 7104 1 server $port
		done
		served
		port=$((port + 1))
	done
	[ "$(connd_count n2 tw_reopened)" -ge 6 ]
}

@test "bind and connect to what is in TIME-WAIT: as Linux does it" {
	local port=7201 l with
	for s in user kernel; do
		with=with
		[ $s = user ] || with=on
		serve user 7105 2
		connect $s 7105 1 client $port
		run -1 $with n1 timeout 30 socat TCP-LISTEN:$port /dev/null
		[[ $output == *"Address already in use"* ]]
		bg "$JET" "$([ $s = user ] && echo run || echo exec)" -n "$LAB" n1 -- \
			socat TCP-LISTEN:$port,reuseaddr /dev/null
		l=$!
		wait_for 10 is_listening n1 $port
		end "$l"
		# The same pair once more: there are timestamps, so it may.
		wait_for 10 connect $s 7105 1 client $port
		served
		port=$((port + 1))
	done
}

@test "a server's port in TIME-WAIT: only SO_REUSEADDR gets it" {
	for s in user kernel; do
		serve $s 7106 1
		connect user 7106 1 server
		served
		run -1 "$([ $s = user ] && echo with || echo on)" n2 timeout 30 socat TCP-LISTEN:7106 /dev/null
		[[ $output == *"Address already in use"* ]]
		serve $s 7106 1
		connect user 7106 1 client
		served
	done
}

# Away, not dying: what it has been handed goes with it.
@test "the connection server is away when TIME-WAIT begins: handed to the next" {
	local connd
	connd=$(connd_pid n1)
	held user
	end "$connd" KILL
	kill -CONT "$SERVER"
	served
	wait_for 10 is_gone "$CLIENT"
	wait_for 10 no_child
	[ "$(connd_count n1 time_waits)" -eq 1 ]
}
