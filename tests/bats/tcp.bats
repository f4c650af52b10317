# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154,SC2030,SC2031,SC2094 # bats sets output, status; BG is per test
# tcp.bats - TCP in user space on the ring, beside the kernel's
#
#	n1 10.74.0.1 ───── ring ───── n2 10.74.0.2
#
# Which of the two TCPs an end uses is said by on/with (helper.bash), and
# proved by counters: the tests do not believe it.
load helper

PUSH=$O/tests/progs/tcp_push

more_setup() {
	JETSTREAM_TRACE=1 jet up -q
	RUN=/run/jetstream/$LAB
	head -c 20000000 /dev/urandom >file
}

# stack_of user|kernel: the function that runs a program over it.
stack_of() { [ "$1" = user ] && echo with || echo on; }
bg_stack_of() { [ "$1" = user ] && echo bg_with || echo bg_on; }

# serve user|kernel PORT [FILE [,OPTION]]: n2 takes one connection, writes FILE (got).
serve() {
	wait_for 10 nobody_listens n2 "$2"
	"$(bg_stack_of "$1")" n2 socat -u -b 262144 "TCP-LISTEN:$2,reuseaddr${4-}" "OPEN:${3-got},creat,trunc"
	SERVER=$!
	wait_for 10 is_listening n2 "$2"
}

# fetch user|kernel PORT FILE: n1 sends FILE.
send() { "$(stack_of "$1")" n1 socat -u -b 262144 "OPEN:$3" "TCP:10.74.0.2:$2"; }

# served: the server has ended, well.
served() { wait_for 30 is_gone "$SERVER" && wait "$SERVER"; }

# tcp_counter NODE NAME: of the kernel's TCP there.
tcp_counter() {
	"$JET" exec -n "$LAB" "$1" -- cat /proc/net/snmp |
		awk -v k="$2" '/^Tcp:/ { if (!n++) { for (i = 2; i <= NF; i++) at[$i] = i } else print $at[k] }'
}

# conn_line NODE: the line a child wrote about its last connection.
conn_line() { grep -o ' closed .*' "$RUN/$1-connd.log" | tail -n 1; }
field() { sed -n "s/.* $1=\([0-9]*\).*/\1/p"; }
has_line() { [ -n "$(conn_line "$1")" ]; }

# The children of this lab, or of one node of it.
children() {
	local p
	for p in $(pgrep -x jet-child); do
		tr '\0' ' ' <"/proc/$p/cmdline" 2>/dev/null | grep -q -- "--lab $LAB --node ${1:-.*}" && echo "$p"
	done
}
child_of() { children "${1#n}" | head -n 1; }
no_child() { [ -z "$(children)" ]; }

# got is the first octets of the pattern, at least $1 of them.
is_pattern() {
	local n
	n=$(stat -c %s got)
	[ "$n" -ge "$1" ] || { echo "$n octets arrived, $1 were accepted"; return 1; }
	"$PUSH" pattern "$n" | cmp - got
}
# At least 200 KiB were still unsent; if not, what the program said.
unsent() { [ "$(sed -n 's/^outq //p' push)" -ge 204800 ] || { cat push; return 1; }; }
accepted() { awk '/^accepted / { n = $2 } END { print n + 0 }' "$1"; }

pairing() {
	local cli=$1 srv=$2 port=7001 s1 r2
	s1=$(tcp_counter n1 OutSegs)
	r2=$(tcp_counter n2 InSegs)
	start_capture ring.pcapng
	serve "$srv" $port
	send "$cli" $port file
	served
	end_capture
	cmp file got
	s1=$(($(tcp_counter n1 OutSegs) - s1))
	r2=$(($(tcp_counter n2 InSegs) - r2))
	echo "kernel segments: n1 out $s1, n2 in $r2"
	if [ "$cli" = user ]; then [ "$s1" -eq 0 ]; else [ "$s1" -gt 100 ]; fi
	if [ "$srv" = user ]; then [ "$r2" -eq 0 ]; else [ "$r2" -gt 100 ]; fi
}

# payload_on NODE: octets of payload to a private stream of NODE's.
payload_to() {
	"$SRC/tests/lib/tshark" -r ring.pcapng -T fields -e tcp.len \
		-Y "tcp.len > 0 && jetstream.vci.ring_id == ${1#n} && jetstream.vci.stream >= 32" |
		awk '{ n += $1 } END { print n + 0 }'
}

# copied_once NODE SENT|RECEIVED COPIED: octets copied / octets moved is 1.00
copied_once() {
	wait_for 10 has_line "$1"
	conn_line "$1"
	local moved copied
	moved=$(conn_line "$1" | field "$2")
	copied=$(conn_line "$1" | field "$3")
	[ "$moved" -eq 20000000 ]
	[ "$(awk -v a="$copied" -v b="$moved" 'BEGIN { printf "%.2f", a / b }')" = 1.00 ]
}

@test "user to user: kernels see nothing, payload goes on the direct VCI, one copy at each end" {
	pairing user user
	[ "$(payload_to n2)" -ge 20000000 ]
	copied_once n1 sent copied_in
	copied_once n2 received copied_out
}

@test "user to kernel" {
	pairing user kernel
	[ "$(payload_to n2)" -eq 0 ]
	copied_once n1 sent copied_in
}

@test "kernel to user: through the connection server to the application's pool" {
	pairing kernel user
	copied_once n2 received copied_out
}

@test "kernel to kernel, beside user-space TCP" {
	pairing kernel kernel
}

@test "on a kernel node ss lists the connection, on a user node it does not" {
	for srv in kernel user; do
		serve $srv 7002
		bg_with n1 "$PUSH" 10.74.0.2 7002 0 1 recv
		local c=$! out=bg.$((${#BG[@]} - 1))
		wait_for 10 grep -q connected "$out"
		# The client may know of it first.
		[ $srv = user ] || wait_for 10 lists n2 10.74.0.1
		[ $srv = kernel ] || run ! lists n2 .
		run ! lists n1 .
		kill "$c"
		served
	done
}

# A kernel's established connections, with WHOM in the line.
lists() { on "$1" ss -Htn state established | grep -q "$2"; }

@test "a SYN to a port where nobody listens: the kernel's RST arrives" {
	run -1 with n1 "$PUSH" 10.74.0.2 7003 1 1 exit
	[[ $output == *"Connection refused"* ]]
}

@test "an address that nobody has: EHOSTUNREACH" {
	run -1 with n1 "$PUSH" 10.74.0.77 7003 1 1 exit
	[[ $output == *"No route to host"* ]]
}

@test "frames lost and corrupted by rule are counted and sent again" {
	local before
	before=$(stat_of n2 rx_bad_crc)
	jet link rule corrupt 'n1->n2' stream=user data=5
	jet link rule lose 'n1->n2' stream=user data=9
	serve user 7004
	send user 7004 file
	served
	cmp file got
	[ $(($(stat_of n2 rx_bad_crc) - before)) -eq 1 ]
	wait_for 10 has_line n1
	[ "$(conn_line n1 | field rexmt)" -ge 2 ]
}

@test "1 % loss both ways: all four pairings arrive as they were" {
	jet link set '*->*' loss=1% seed=7
	for cli in user kernel; do
		for srv in user kernel; do
			serve $srv 7005
			send $cli 7005 file
			served
			cmp file got
		done
	done
	[ "$(stat_of n1 lost)" -gt 0 ]
}

@test "all sixteen messages of the paper's A.3 pass, by their names" {
	serve user 7006
	send user 7006 file
	served
	with n1 "$PUSH" 10.74.0.2 7006 1 1 exit || true
	# socat's options rcvbuf and sndbuf are setsockopt() calls.
	bg_with n2 socat -u TCP-LISTEN:7007,reuseaddr,rcvbuf=100000,sndbuf=100000 OPEN:got,creat
	wait_for 10 is_listening n2 7007
	with n1 socat -u OPEN:file TCP:10.74.0.2:7007,bind=10.74.0.1:7100
	wait_for 10 all_messages
}
all_messages() {
	local m
	for m in Listen Forward Divert Syn Spawn New_Socket Bind Listen_Child Connect Set_Tx_Bufs \
		Set_Rx_Bufs Set_Reuse_Addr Init_Reply Bind_Reply Connect_Reply General_Reply; do
		grep -qE "(->|<-) $m " "$RUN"/n[12]-connd.log || { echo "no $m"; return 1; }
	done
}

# ect0 NODE: IP packets with ECT(0) that its kernel has received.
ect0() {
	"$JET" exec -n "$LAB" "$1" -- cat /proc/net/netstat |
		awk '/^IpExt:/ { if (!n++) { for (i = 2; i <= NF; i++) at[$i] = i } else print $at["InECT0Pkts"] }'
}

@test "ECN: net.ipv4.tcp_ecn of the node holds for the user-space TCP" {
	serve kernel 7041
	send user 7041 file
	served
	[ "$(ect0 n2)" -eq 0 ]
	on n1 sh -c 'echo 1 >/proc/sys/net/ipv4/tcp_ecn'
	serve kernel 7042
	send user 7042 file
	served
	cmp file got
	[ "$(ect0 n2)" -gt 100 ]
}

@test "child stopped: send() still puts a frame on the ring" {
	local child before
	serve user 7008
	mkfifo ask
	exec 8<>ask
	"$JET" run -n "$LAB" n1 -- "$PUSH" 10.74.0.2 7008 2000 1000 ask <ask >push 2>&1 3>&- &
	BG+=($!)
	wait_for 10 grep -q connected push
	child=$(child_of n1)
	stop "$child"
	before=$(stat_of n1 tx_frames)
	printf x >&8
	wait_for 10 grep -q 'accepted 1000' push
	sent_more_than "$before" || { kill -CONT "$child"; return 1; }
	kill -CONT "$child"
	printf x >&8
	served
	is_pattern 2000
}
sent_more_than() { wait_for 10 more_frames "$1"; }
more_frames() { [ "$(stat_of n1 tx_frames)" -gt "$1" ]; }

# A slow ring keeps data unsent; then it is made fast and all must arrive.
slow() { jet up -q --rate 2m; }
fast() { jet up -q --rate unlimited; }

@test "ends with data unsent: all that send() accepted arrives, then FIN" {
	slow
	for srv in kernel user; do
		serve $srv 7010
		run -0 with n1 "$PUSH" 10.74.0.2 7010 3000000 65536 exit
		printf '%s\n' "$output" >push
		unsent
		served
		is_pattern "$(accepted push)"
		[ "$(stat -c %s got)" -eq "$(accepted push)" ]
	done
}

@test "kill -9 with 200 KiB unsent: all that send() accepted arrives, then FIN" {
	slow
	serve kernel 7011
	run with n1 "$PUSH" 10.74.0.2 7011 3000000 65536 kill
	[ "$status" -eq 137 ]
	printf '%s\n' "$output" >push
	unsent
	served
	is_pattern "$(accepted push)"
	[ "$(stat -c %s got)" -eq "$(accepted push)" ]
}

@test "kill -9 inside the lock, before and after the commit: what was accepted arrives, then FIN" {
	fast
	for at in before-commit after-commit after-publish; do
		for n in 1 3 40; do
			serve kernel 7012
			run env JETSTREAM_FAULT=$at:$n "$JET" run -n "$LAB" n1 -- \
				"$PUSH" 10.74.0.2 7012 10000000 30000 block
			echo "$at:$n: $status $output" | tail -n 3
			[ "$status" -eq 137 ]
			printf '%s\n' "$output" >push
			served
			is_pattern "$(accepted push)"
		done
	done
}

@test "stopped inside the lock, five times: fenced, what was accepted arrives; continued: it goes on, all arrives" {
	local pid
	fast
	for at in stop-before-commit stop-after-commit stop-after-publish; do
		# Stopped with all acknowledged, it is in nobody's way: the child needs
		# the lock when something arrives.  A probe does, once in a second.
		serve kernel 7019 got ,keepalive,keepidle=1,keepintvl=1
		JETSTREAM_FAULT=$at:20:5 "$JET" run -n "$LAB" n1 -- "$PUSH" 10.74.0.2 7019 6000000 30000 block \
			>push 2>&1 3>&- &
		pid=$!
		BG+=("$pid")
		for n in 1 2 3 4 5; do
			wait_for 10 is_stopped "$pid"
			wait_for 10 arrived "$(accepted push)"
			wait_for 10 fenced "$n"
			kill -CONT "$pid"
		done
		wait_for 10 is_gone "$pid"
		tail -n 2 push
		[ "$(accepted push)" -eq 6000000 ]
		served
		is_pattern 6000000
		: >"$RUN/n1-connd.log"
	done
}
# As often as @1 a stopped process has lost the lock.
fenced() { [ "$(grep -c 'lock taken from thread .* stopped' "$RUN/n1-connd.log")" -ge "$1" ]; }
arrived() { [ "$(stat -c %s got)" -ge "$1" ]; }

@test "stopped inside the lock with nothing under way: another process of the stack goes on" {
	serve kernel 7020
	run -0 timeout -k 1 60 env JETSTREAM_FAULT=stop-before-commit:100 "$JET" run -n "$LAB" n1 -- \
		"$PUSH" 10.74.0.2 7020 0 30000 fork
	printf '%s\n' "$output" >push
	[ "$(accepted push)" -eq 30000 ]
	served
	is_pattern 30000
	wait_for 10 fenced 1
}

@test "an idle reader hears of a reset although the data before it was lost" {
	for cli in user kernel; do
		for srv in user kernel; do
			lost_before_reset $cli $srv
		done
	done
	# Nobody but n1's kernel knows of the port when the reader asks.
	jet link set 'n2->n1' delay=100ms
	lost_before_reset user user
}
lost_before_reset() {
	local out n
	wait_for 10 nobody_listens n2 7021
	"$(bg_stack_of "$2")" n2 "$PUSH" 10.74.0.2 7021 0 1 accept
	SERVER=$!
	out=bg.$((${#BG[@]} - 1))
	wait_for 10 is_listening n2 7021
	# However often they are sent before it is reset.
	for n in {1..9}; do
		jet link rule lose 'n1->n2' data=$n
	done
	run -0 "$(stack_of "$1")" n1 "$PUSH" 10.74.0.2 7021 1000 1000 reset
	# The RST is not where the reader is (RFC 5961, 3.2): it asks, and whoever
	# has n1's port now says so again.
	wait_for 10 is_gone "$SERVER"
	echo "$1 to $2: $(cat "$out")"
	grep -q '^received 0$' "$out"
	grep -q '^error 104$' "$out"	# ECONNRESET
	jet link reset
}

@test "one process after the other sends and ends, faster than the ring lets their queues go" {
	jet up -q --rate 1m
	serve user 7022
	run -0 with n1 "$PUSH" 10.74.0.2 7022 200000 8000 forks
	served
	is_pattern 200000
}

@test "the connection server killed: a transfer goes on, and a new server comes" {
	local old1 old2
	jet up -q --rate 200m
	old1=$(connd_pid n1)
	old2=$(connd_pid n2)
	serve user 7013
	bg_with n1 socat -u -b 65536 OPEN:file TCP:10.74.0.2:7013
	wait_for 10 test -s got
	kill -KILL "$old1" "$old2"
	served
	cmp file got
	wait_for 10 has_another_connd n1 "$old1"
	wait_for 10 has_another_connd n2 "$old2"
	serve user 7014
	send user 7014 file
	served
	cmp file got
}

@test "jetringd killed: errors, not hangs; jet up repairs" {
	serve user 7015
	bg_with n1 "$PUSH" 10.74.0.2 7015 0 1 recv
	local c=$! out=bg.$((${#BG[@]} - 1))
	wait_for 10 grep -q connected "$out"
	kill -KILL "$(cut -d' ' -f1 "$RUN/jetringd.pid")"
	wait_for 10 is_gone "$c"
	grep -E 'error (100|104|5)' "$out"	# ENETDOWN, ECONNRESET, EIO
	wait_for 10 is_gone "$SERVER"
	wait_for 10 no_child
	JETSTREAM_TRACE=1 jet up -q
	serve user 7016
	send user 7016 file
	served
	cmp file got
}

@test "idle with open connections, a lab uses at most one tick in 5 s" {
	serve user 7017
	bg_with n1 "$PUSH" 10.74.0.2 7017 0 1 recv
	wait_for 10 grep -q connected "bg.$((${#BG[@]} - 1))"
	at_rest 5
}

@test "down with user-space connections open leaves nothing" {
	serve user 7018
	bg_with n1 "$PUSH" 10.74.0.2 7018 0 1 recv
	wait_for 10 grep -q connected "bg.$((${#BG[@]} - 1))"
	jet down -q
	[ -z "$(ours)" ]
	no_child
}

# memory PID...: what these processes use, octets: "NAME OCTETS", and the sum as
# "all".  Proportional set size, so that what several map counts once.  Not buffers
# and queues of the ports, which belong to the ring; nor files, which are there.
memory() {
	local p
	for p; do
		awk -v name="$(<"/proc/$p/comm")" '
			/^[0-9a-f]+-[0-9a-f]+ / {
				what = $6
				on = what ~ /^(\[|$)/ || what ~ /^\/memfd:jetstream-(stack|guard)/
				key = what ~ /jetstream-stack/ ? "stack" : what ~ /jetstream-guard/ ? "guard" : name
			}
			/^Pss:/ && on { n[key] += $2 * 1024 }
			END { for (k in n) print k, n[k] }' "/proc/$p/smaps" || return 1
	done | awk '{ n[$1] += $2; n["all"] += $2 } END { for (k in n) print k, n[k] }'
}

# tell LINE: to the idle program; it has done it.
tell() {
	echo "$*" >&8
	answered
}
answered() {
	local answer
	read -r -t 150 -u 9 answer && [ "$answer" = ready ]
}

rings_are_used() {
	memory "${all[@]}" >bulk
	[ "$(per_end talked bulk 8 | awk '$1 == "stack" { print $2 }')" -ge 4096 ]
}

# The stacks take again what they took at "talked", but for a page or two.
rings_are_given_back() {
	memory "${all[@]}" >now
	[ "$(per_end talked now 1 | awk '$1 == "stack" { print $2 }')" -le 16384 ]
}

# per_end FILE FILE N: what N ends more cost each, octets.
per_end() {
	awk -v n="$3" 'NR == FNR { was[$1] = $2; next } { print $1, int(($2 - was[$1]) / n) }' "$1" "$2"
}

@test "an idle connection costs 2 KiB at each end, all processes together" {
	local server all first=100 n=800
	bg_with n2 "$O/tests/progs/idle" 7000
	server=$!
	wait_for 10 is_listening n2 7000
	mkfifo in out
	"$JET" run -n "$LAB" n1 -- "$O/tests/progs/idle" 10.74.0.2 7000 <in >out 3>&- &
	BG+=($!)
	exec 8>in 9<out
	# What does not grow with connections: each place of the queues was used once.
	tell open $first
	tell echo 0 $first 42 1
	mapfile -t all < <(ringd_pid; pgrep -P "$(ringd_pid)" -x jetconnd; children)
	all+=("$server" "${BG[-1]}")
	[ ${#all[@]} -eq 7 ]
	memory "${all[@]}" >before
	tell open $n
	memory "${all[@]}" >after
	per_end before after $((2 * n)) | tee each
	[ "$(awk '$1 == "all" { print $2 }' each)" -le 2048 ]
	[ "$(awk '$1 == "stack" { print $2 }' each)" -ge 1024 ]
	# Small messages touch no rings.
	tell echo 50 50 100 1000
	memory "${all[@]}" >talked
	per_end after talked 100
	[ "$(per_end after talked 100 | awk '$1 == "stack" { print $2 }')" -le 512 ]
	# Large ones do, until it is quiet.
	echo bulk 0 4 10000000 >&8
	wait_for 10 rings_are_used
	answered
	wait_for 10 rings_are_given_back
	exec 8>&- 9<&-
}
