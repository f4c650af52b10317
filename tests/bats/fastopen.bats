# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154 # bats sets output, status
# fastopen.bats - TCP Fast Open (RFC 7413), beside the kernel's TCP
#
#	n1 client ---- ring ---- n2 server
#
# Who had data in the SYN is told by TCP_INFO at both ends; where one of them is
# the kernel's, that is another's opinion.
load helper

FASTOPEN=$SRC/tests/progs/fastopen.py
PORT=5000
HOST=10.74.0.2

more_setup() {
	jet up -q --rate unlimited
	for n in n1 n2; do
		on "$n" sysctl -qw net.ipv4.tcp_fastopen=3
	done
}

# server HOW [KEY]: on n2; HOW is on or with.
server() {
	PORT=$((PORT + 1))
	"bg_$1" n2 python3 "$FASTOPEN" server "$PORT" "${@:2}"
	wait_for 20 grep -q ready "bg.$((${#BG[@]} - 1))"
}

# client HOW OCTETS [WAY]: what it says in $output.
client() {
	run --separate-stderr "$1" n1 python3 "$FASTOPEN" client "$HOST" "$PORT" "${@:2}"
	echo "$*: $output $stderr"
	[ "$status" -eq 0 ]
}

# client_data HOW OCTETS [WAY]: the SYN has data, and they are taken; not if it
# had to be sent again, on a machine that stood still for a second.
client_data() {
	local _
	for _ in 1 2 3 4 5; do
		client "$@"
		[ "$output" != "syn_data; $2 good syn_data" ] || return 0
		[[ $stderr == *'sent again'* ]] || return 1
	done
	return 1
}

# A pairing: no cookie first, then data of the SYN, also more than one SYN takes.
pairing() {
	server "$2"
	client "$1" 100
	[ "$output" = "plain; 100 good plain" ]
	client_data "$1" 100
	client_data "$1" 200000
	client_data "$1" 5000 connect
	client_data "$1" 300000 nonblock
	client_data "$1" 1
}

@test "fast open: user to user" { pairing with with; }
@test "fast open: user to kernel" { pairing with on; }
@test "fast open: kernel to user" { pairing on with; }

@test "fast open: a cookie of one of a node's TCPs is good at the other" {
	server on
	client with 100
	server with
	client_data with 100
}

@test "fast open: the key is changed; a socket has one of its own" {
	local old new=11111111-22222222-33333333-44444444
	server with
	client with 100
	old=$(on n2 sysctl -n net.ipv4.tcp_fastopen_key)
	# Both are good; the new one is learnt.
	key_is_set "$new,$old"
	client_data with 100
	key_is_set "$new"
	client_data with 100
	server with 000102030405060708090a0b0c0d0e0f
	client with 3000
	[ "$output" = "plain; 3000 good plain" ]
	client_data with 3000
}

# key_is_set KEY: and every child has read it, which it does once a second at most.
key_is_set() {
	on n2 sysctl -qw "net.ipv4.tcp_fastopen_key=$1"
	SET_AT=${EPOCHREALTIME/[.,]/}
	wait_for 10 key_is_read
}
key_is_read() { [ "${EPOCHREALTIME/[.,]/}" -gt $((SET_AT + 1100000)) ]; }

@test "fast open: turned off at either end, connections are made all the same" {
	on n2 sysctl -qw net.ipv4.tcp_fastopen=1
	server with
	client with 100
	client with 100
	[ "$output" = "plain; 100 good plain" ]
	on n1 sysctl -qw net.ipv4.tcp_fastopen=0
	run with n1 python3 "$FASTOPEN" client 10.74.0.2 "$PORT" 100
	[ "$status" -ne 0 ]
	[[ $output == *"Operation not supported"* ]]
}

# curl_twice: from the server of www/file on n2's port 8080.
curl_twice() {
	wait_for 20 is_listening n2 8080
	start_capture ring.pcapng
	for _ in 1 2; do
		with n1 curl -sS --max-time 60 --tcp-fastopen -o got http://10.74.0.2:8080/file
		cmp got www/file
	done
	end_capture
	# The second SYN has the request in it.
	run frames ring.pcapng 'tcp.flags.syn == 1 && tcp.flags.ack == 0 && tcp.len > 0' tcp.len tcp.options.tfo
	echo "$output"
	[ -n "$output" ]
}

www() {
	mkdir -p www
	head -c 300000 /dev/urandom >www/file
}

@test "fast open: curl and Python's HTTP server, user to user" {
	www
	cat >server.py <<-'END'
		import http.server, socket, socketserver
		class Server(http.server.ThreadingHTTPServer):
		    def server_bind(self):
		        self.socket.setsockopt(socket.IPPROTO_TCP, 23, 10)	# TCP_FASTOPEN
		        socketserver.TCPServer.server_bind(self)	# asks no DNS
		def handler(*args):
		    return http.server.SimpleHTTPRequestHandler(*args, directory="www")
		Server(("10.74.0.2", 8080), handler).serve_forever()
	END
	bg_with n2 python3 server.py
	curl_twice
}

@test "fast open: curl and nginx, user to user" {
	local nginx
	nginx=$("$BATS_TEST_DIRNAME/../lib/nginx") || skip 'nginx could not be fetched'
	www
	cat >nginx.conf <<-END
		daemon off; pid $PWD/nginx.pid; error_log $PWD/error.log; lock_file $PWD/lock; user root;
		events {}
		http {
			access_log off; client_body_temp_path $PWD/tmp; proxy_temp_path $PWD/tmp;
			fastcgi_temp_path $PWD/tmp; uwsgi_temp_path $PWD/tmp; scgi_temp_path $PWD/tmp;
			server { listen 10.74.0.2:8080 fastopen=10; root $PWD/www; }
		}
	END
	bg_with n2 "$nginx" -c "$PWD/nginx.conf" -p "$PWD" -e "$PWD/error.log"
	curl_twice
}

@test "fast open: over IPv6, and when the connection server has ended in between" {
	jet down -q
	jet up -q --ipv6 --rate unlimited
	for n in n1 n2; do
		on "$n" sysctl -qw net.ipv4.tcp_fastopen=3
	done
	server with
	HOST=fd4a:5300::2
	client with 3000
	[ "$output" = "plain; 3000 good plain" ]
	client_data with 3000
	client on 3000
	client_data on 3000
	# Its cookies are gone, the key is not.
	local old
	old=$(connd_pid n1)
	kill -KILL "$old"
	wait_for 20 has_another_connd n1 "$old"
	client with 3000
	[ "$output" = "plain; 3000 good plain" ]
}
