# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2154 # run sets $stderr
# sockets.bats - the socket library: what calls do, beside the kernel's TCP
#
#	n1 api_calls, api_wait ---- ring ---- n2 api_peer
#
# The same programs with the kernel's TCP ("on") and with ours ("with"): what
# passes with one must pass with the other.
load helper

PROGS=$O/tests/progs

more_setup() { jet up -q --rate unlimited; }

# peer HOW [6]: api_peer on n2, with HOW = on or with; its port is $PORT.
peer() {
	PORT=$((5000 + BATS_SUITE_TEST_NUMBER))
	"bg_$1" n2 "$PROGS/api_peer" "$PORT" ${2:+"$2"}
	PEER_LOG=bg.$((${#BG[@]} - 1))
	wait_for 10 grep -q ready "$PEER_LOG"
}

# Every case of PROG passed: as many "ok" as it has cases.
all_passed() {
	local want
	want=$(grep -c '^	{ "' "$SRC/tests/progs/$1.c")
	[ "$(grep -c '^ok ' <<<"$output")" -eq "$want" ]
}

# try HOW-OF-PEER HOW-OF-CLIENT PROG [6]
try() {
	peer "$1" "${4:-}"
	run "$2" n1 "$PROGS/$3" 10.74.0.2 "$PORT"
	echo "$output"
	[ "$status" -eq 0 ]
	all_passed "$3"
}

@test "calls: kernel to kernel" { try on on api_calls; }
@test "calls: user to user" { try with with api_calls; }
@test "calls: user to kernel" { try on with api_calls; }
@test "calls: kernel to user" { try with on api_calls; }
@test "waiting: kernel to kernel" { try on on api_wait; }
@test "waiting: user to user" { try with with api_wait; }
@test "waiting: user to kernel" { try on with api_wait; }
@test "waiting: kernel to user" { try with on api_wait; }

@test "net.ipv4.tcp_notsent_lowat of the node holds for both of its TCPs" {
	peer with
	on n1 sh -c 'echo 20000 >/proc/sys/net/ipv4/tcp_notsent_lowat'
	run -0 with n1 "$PROGS/api_calls" 10.74.0.2 "$PORT" lowat_of_the_node
	run -0 on n1 "$PROGS/api_calls" 10.74.0.2 "$PORT" lowat_of_the_node
	on n1 sh -c 'echo 4294967295 >/proc/sys/net/ipv4/tcp_notsent_lowat'
}

@test "a listener on :: sees IPv4 in its mapped form" {
	peer with 6
	run -0 with n1 "$PROGS/api_calls" 10.74.0.2 "$PORT" echo_small mapped names
	run -0 on n1 "$PROGS/api_calls" 10.74.0.2 "$PORT" echo_small mapped names
}

@test "a listener is reached through its own node's kernel, too" {
	peer with
	run -0 on n2 "$PROGS/api_calls" 10.74.0.2 "$PORT" echo_small half_close
	run -0 on n2 "$PROGS/api_calls" 127.0.0.1 "$PORT" echo_small
	# An own address is the kernel's for our sockets as well.
	run -0 with n2 "$PROGS/api_calls" 10.74.0.2 "$PORT" echo_small names
}

@test "threads that wait leave packets to the child: JETSTREAM_RX=child" {
	peer with
	JETSTREAM_RX=child run -0 with n1 "$PROGS/api_calls" 10.74.0.2 "$PORT"
	all_passed api_calls
}

@test "options: each number, value and length as with the kernel's TCP" {
	peer on
	on n1 "$PROGS/sockopts" 10.74.0.2 "$PORT" >kernel
	with n1 "$PROGS/sockopts" 10.74.0.2 "$PORT" >user
	[ "$(wc -l <kernel)" -gt 20000 ]
	diff kernel user
}

# inherited HOW 0|1: what sockopts says of a socket that it accepted from n2.
inherited() {
	PORT=$((5000 + BATS_SUITE_TEST_NUMBER))
	"bg_$1" n1 "$PROGS/sockopts" inherited "$PORT" "$2"
	local log=bg.$((${#BG[@]} - 1)) pid=${BG[-1]}
	wait_for 10 grep -q ready "$log"
	on n2 python3 -c "import socket; s = socket.create_connection(('10.74.0.1', $PORT))
s.sendall(bytes(1000)); s.shutdown(1); s.recv(1)"
	wait "$pid"
	grep inherited "$log"
}

@test "options: accepted sockets inherit what they do of the kernel's" {
	for tcp in 0 1; do
		inherited on "$tcp" >kernel
		inherited with "$tcp" >user
		[ "$(wc -l <kernel)" -gt 200 ]
		diff kernel user
	done
}

@test "options: what is not done is refused" {
	# SO_PEEK_OFF; TCP_MD5SIG, TCP_REPAIR, TCP_MD5SIG_EXT, TCP_TX_DELAY, TCP_AO_*
	run -0 with n1 "$PROGS/sockopts" others
	for refused in '1 42: EOPNOTSUPP' '6 14: ENOPROTOOPT' '6 19: EPERM' '6 32: ENOPROTOOPT' \
		'6 37: ENOPROTOOPT' '6 38: ENOPROTOOPT' '6 41: ENOPROTOOPT'; do
		grep -qx "$refused" <<<"$output"
	done
	# TLS asks for the kernel's, and does without.
	run -1 with n1 python3 -c 'import socket; socket.socket().setsockopt(6, 31, b"tls")'
	[[ $output == *FileNotFoundError* ]]
}

@test "no connection server: ENETDOWN, or kernel sockets and one warning" {
	local try='import socket; socket.socket(); socket.socket(socket.AF_UNIX)'
	run -1 --separate-stderr env LD_PRELOAD="$O/lib/libjetstream-preload.so" python3 -c "$try"
	[[ $stderr == *'Network is down'* ]]
	run -0 --separate-stderr env LD_PRELOAD="$O/lib/libjetstream-preload.so" \
		JETSTREAM_FALLBACK=1 python3 -c "$try; socket.socket()"
	[ "$(grep -c 'no connection server' <<<"$stderr")" -eq 1 ]
}

@test "the library exports the calls and nothing else" {
	local names
	names=$(nm -D --defined-only "$O/lib/libjetstream.so")
	run ! grep -v ' jet_' <<<"$names"
	for call in socket bind listen accept accept4 connect shutdown close send sendto \
		sendmsg sendmmsg write writev recv recvfrom recvmsg recvmmsg read readv \
		sendfile dup dup2 dup3 fcntl ioctl getsockopt setsockopt getsockname \
		getpeername poll ppoll select pselect epoll_ctl epoll_wait epoll_pwait; do
		grep -q " jet_$call\$" <<<"$names"
		nm -D --defined-only "$O/lib/libjetstream-preload.so" | grep -q " T $call\$"
	done
}

@test "buffers grow with the round trip, unless they were set" {
	jet link set 'n1<->n2' delay=50ms
	try with with api_tune
}

@test "the 16th process of an application is told that it cannot share its sockets" {
	cat >forks.py <<-'END'
		import errno, os, socket, sys
		s = socket.socket()
		r, w = os.pipe()
		hold, let_go = os.pipe()
		for i in range(20):
		    if not os.fork():
		        os.close(let_go)
		        try:
		            s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
		            said = "ok"
		        except OSError as e:
		            said = errno.errorcode[e.errno]
		        os.write(w, said.ljust(8).encode())
		        os.read(hold, 1)
		        os._exit(0)
		said = [os.read(r, 8).decode().strip() for i in range(20)]
		print(said.count("ok"), said.count("EUSERS"))
	END
	run -0 --separate-stderr with n1 python3 forks.py
	[ "$output" = "14 6" ]
	[ "$(grep -c "cannot share its parent's sockets" <<<"$stderr")" -eq 6 ]
	# Said once, though six were refused, by who has answered all of them.
	local log=/run/jetstream/$LAB/n1-connd.log
	wait_for 10 grep -q "cannot share this application's sockets" "$log"
	[ "$(grep -c "cannot share this application's sockets" "$log")" -eq 1 ]
}
