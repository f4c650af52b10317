# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154,SC2030,SC2031 # bats sets output, status; BG is per test
# syncookies.bats - a listener's backlog, and SYN cookies when it is full
#
#	n1 10.74.0.1 ───── ring ───── n2 10.74.0.2
load helper

NET=$O/tests/progs/hostile_net
N2=fd4a:5300::2

more_setup() {
	jet up -q --ipv6
	RUN=/run/jetstream/$LAB
	LOG=$RUN/n2-connd.log
	head -c 3000000 /dev/urandom >file
}

stack_of() { [ "$1" = user ] && echo with || echo on; }

# n2's setting, for both of its TCPs.
syncookies() { on n2 sh -c "echo $1 >/proc/sys/net/ipv4/tcp_syncookies"; }

# counter NAME: of n2's connection server, which writes them to its log.  There is
# always a child that was spawned, which stands behind all that we ask for.
counter() {
	local before
	before=$(grep -c ' spawned [0-9]*$' "$LOG") || :
	kill -USR1 "$(connd_pid n2)"
	wait_for 10 has_counted "$before"
	{ grep -o " $1 [0-9]*\$" "$LOG" || echo 0; } | awk 'END { print $NF }'
}
has_counted() { [ "$(grep -c ' spawned [0-9]*$' "$LOG")" -gt "$1" ]; }

# echo_to WHO ADDRESS FILE: from n1 to the echo server of n2 and back.
echo_to() {
	"$(stack_of "$1")" n1 timeout 60 socat -t 20 -b 65536 - "$2" <"$3" >back
	cmp "$3" back
}

@test "always: every connection comes from a cookie, data and options whole" {
	local recv=0 sack
	syncookies 2
	bg_with n2 socat TCP6-LISTEN:7200,ipv6only=0,fork,reuseaddr EXEC:cat
	wait_for 10 is_listening n2 7200
	# A server that speaks first.
	bg_with n2 socat -U TCP-LISTEN:7201,fork,reuseaddr OPEN:file
	wait_for 10 is_listening n2 7201
	start_capture cap.pcapng
	for who in user kernel; do
		for to in "TCP4:10.74.0.2:7200" "TCP6:[$N2]:7200"; do
			echo_to $who "$to" file
			recv=$((recv + 1))
		done
		"$(stack_of $who)" n1 timeout 60 socat -u TCP4:10.74.0.2:7201 OPEN:got,creat,trunc
		cmp file got
		recv=$((recv + 1))
	done
	end_capture
	[ "$(counter syncookies_recv)" -eq "$recv" ]
	[ "$(counter syncookies_sent)" -ge "$recv" ]
	[ "$(counter syns)" -eq "$recv" ]	# the child was asked for the ACKs alone
	[ "$(counter syncookies_failed)" -eq 0 ]
	# That setting is no flood.
	run ! grep -q 'SYN flooding' "$LOG"
	# The SYN,ACK announces n2's IP_DIVERT, if the SYN announced something ...
	run frames cap.pcapng 'tcp.flags.syn == 1 && tcp.flags.ack == 1 && jetstream.rxvci' jetstream.rxvci.stream
	echo "$output"
	[ "${#lines[@]}" -ge 3 ]
	for l in "${lines[@]}"; do
		[ "$l" = 2 ]
	done
	# ... and segments of the user's connections come to its own stream later.
	run frames cap.pcapng 'ip.dst == 10.74.0.2 && tcp.dstport == 7200 && jetstream.vci.stream >= 32' frame.number
	[ "${#lines[@]}" -ge 10 ]
	# Timestamps never go back: the cookie's is not ahead of what follows.
	sack=$(frames cap.pcapng 'tcp.flags.syn == 1 && tcp.flags.ack == 1 && tcp.options.sack_perm' frame.number | wc -l)
	[ "$sack" -ge "$recv" ]
}

# A flood from an address whose station does not answer.
@test "under a flood: the backlog holds, others get cookies, bulk goes on" {
	local rss pid ticks began
	on n2 ip neigh replace 10.74.0.77 lladdr 02:4a:53:00:00:01 dev jet0 nud permanent
	bg_with n2 socat TCP-LISTEN:7200,fork,reuseaddr,backlog=8 EXEC:cat
	wait_for 10 is_listening n2 7200
	# Of the same child and listener: a connection that lasts.
	mkfifo slow
	bg_with n1 sh -c "socat -t 30 - TCP:10.74.0.2:7200 <slow >bulk"
	BULK=$!
	exec 5>slow
	head -c 1000000 file >&5
	wait_for 20 test -s bulk
	pid=$(connd_pid n2)
	# Not the buffers of its port: as many are used as SYNs wait at once.
	rss=$(awk '/RssAnon/ { print $2 }' "/proc/$pid/status")
	ticks=$(awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/$pid/stat")
	began=$SECONDS
	on n1 "$NET" flood 3 3000 2 10.74.0.77 10.74.0.2 7200
	echo_to user TCP4:10.74.0.2:7200 file
	echo_to kernel TCP4:10.74.0.2:7200 file
	# And while it goes on.
	bg_on n1 "$NET" flood 4 20000 2 10.74.0.77 10.74.0.2 7200
	FLOOD=$!
	head -c 2000000 file >&5
	for _ in 1 2 3; do
		echo_to user TCP4:10.74.0.2:7200 file
	done
	echo_to kernel TCP4:10.74.0.2:7200 file
	wait_for 60 is_gone "$FLOOD"
	exec 5>&-
	wait_for 60 is_gone "$BULK"
	{ head -c 1000000 file && head -c 2000000 file; } | cmp - bulk
	# As many as reach it on a machine that drops most of them.
	while [ "$(counter syncookies_sent)" -le 2000 ]; do
		on n1 "$NET" flood 5 3000 2 10.74.0.77 10.74.0.2 7200
	done
	# Once in a second a SYN asks the child, and those that come before it has
	# answered, up to 64 (PENDING_BUSY); and nothing more was asked but cookies' ACKs.
	echo "$(counter syns) SYNs asked in $((SECONDS - began)) s"
	[ "$(counter syns)" -le $((65 * (SECONDS - began + 1) + $(counter syncookies_recv))) ]
	[ "$(counter syncookies_recv)" -ge 2 ]
	[ "$(grep -c 'possible SYN flooding on .*:7200: sending cookies' "$LOG")" -eq 1 ]
	ticks=$(($(awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/$pid/stat") - ticks))
	echo "jetconnd: $ticks ticks for 23000 SYNs; $rss KiB before, $(grep RssAnon "/proc/$pid/status") after"
	[ "$(awk '/RssAnon/ { print $2 }' "/proc/$pid/status")" -lt $((rss + 3000)) ]
}

@test "an ACK that answers no cookie gets RST; without cookies a flood is waited out" {
	on n2 ip neigh replace 10.74.0.77 lladdr 02:4a:53:00:00:01 dev jet0 nud permanent
	syncookies 0
	bg_with n2 socat TCP-LISTEN:7200,fork,reuseaddr,backlog=8 EXEC:cat
	wait_for 10 is_listening n2 7200
	on n1 "$NET" flood 3 1000 2 10.74.0.77 10.74.0.2 7200
	# Who is half open makes room after 20 ms.
	echo_to user TCP4:10.74.0.2:7200 file
	[ "$(counter syncookies_sent)" -eq 0 ]
	run ! grep -q 'sending cookies' "$LOG"
}

# What listen() takes: backlog + 1 wait for accept(), as in Linux; one more SYN
# is dropped, and comes again.
@test "the backlog of accept() holds, and has room again" {
	cat >server.py <<-'END'
		import socket, sys
		s = socket.socket()
		s.bind(("", 7300))
		s.listen(2)
		kept = []
		for line in sys.stdin:
		    kept.append(s.accept())
		    print("accepted", flush=True)
	END
	cat >client.py <<-'END'
		import fcntl, select, socket, struct, time
		c = [socket.create_connection(("10.74.0.2", 7300)) for i in range(3)]
		# They are there: what they send is acknowledged.  (SIOCOUTQ)
		for s in c:
		    s.send(b"x")
		while any(struct.unpack("i", fcntl.ioctl(s, 0x5411, bytes(4)))[0] for s in c):
		    time.sleep(0.01)
		c.append(socket.socket())
		c[3].setblocking(False)
		c[3].connect_ex(("10.74.0.2", 7300))
		print("three", flush=True)
		select.select([], [c[3]], [])
		print("four", c[3].getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), flush=True)
	END
	mkfifo go
	bg with n2 sh -c 'exec python3 -u server.py <go >served'
	exec 5>go
	wait_for 10 is_listening n2 7300
	local n=0 done=0
	for who in user kernel; do
		bg "$(stack_of $who)" n1 sh -c "exec python3 client.py >said.$who"
		wait_for 20 grep -q three said.$who
		wait_for 20 overflows_are_above $n
		run ! grep -q four said.$who
		n=$(counter listen_overflows)
		echo >&5
		wait_for 20 grep -qx 'four 0' said.$who
		# All but what is left of the others, for the next.
		echo >&5
		echo >&5
		echo >&5
		done=$((done + 4))
		wait_for 20 accepted $done
	done
	exec 5>&-
}
overflows_are_above() { [ "$(counter listen_overflows)" -gt "$1" ]; }
accepted() { [ "$(wc -l <served)" -ge "$1" ]; }

# A stack's half-open connections share a stream, but for sixteen; who is
# ESTABLISHED has its own, and says so.
@test "many that are half open share a stream until they are ESTABLISHED" {
	local shared
	on n2 ip neigh replace 10.74.0.77 lladdr 02:4a:53:00:00:01 dev jet0 nud permanent
	bg_with n2 socat TCP-LISTEN:7200,fork,reuseaddr,backlog=100 EXEC:cat
	wait_for 10 is_listening n2 7200
	on n1 "$NET" flood 5 40 2 10.74.0.77 10.74.0.2 7200
	wait_for 10 half_open 40
	start_capture cap.pcapng
	for who in user user kernel; do
		echo_to $who TCP4:10.74.0.2:7200 file
	done
	end_capture
	run frames cap.pcapng 'ip.dst == 10.74.0.1 && tcp.flags.syn == 1 && jetstream.rxvci' jetstream.rxvci.stream
	echo "$output"
	# Three, or more if one was sent again.
	[ "${#lines[@]}" -ge 3 ]
	shared=${lines[0]}
	for l in "${lines[@]}"; do
		[ "$l" = "$shared" ]
	done
	# Each of the user's two, to a stream of its own.
	run frames cap.pcapng "ip.src == 10.74.0.1 && tcp.len > 1000 && jetstream.vci.stream >= 32 && jetstream.vci.stream != $shared" jetstream.vci.stream
	[ "$(printf '%s\n' "${lines[@]}" | sort -u | wc -l)" -eq 2 ]
	[ "$(counter syncookies_sent)" -eq 0 ]
}
half_open() { [ "$(counter diverted)" -ge "$1" ]; }
