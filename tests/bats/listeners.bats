# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154,SC2030,SC2031 # bats sets output, status; BG is per test
# listeners.bats - who may listen where: IPV6_V6ONLY, SO_REUSEADDR, SO_REUSEPORT
#
#	n1 10.74.0.1 ───── ring ───── n2 10.74.0.2
#
# The kernel's own sockets say what is right.
load helper

N2=fd4a:5300::2

more_setup() {
	jet up -q --ipv6
}

# Two processes; the second wants what the first has.  All pairs of addresses,
# options and states, one line each.
table_program() {
	cat <<-'END'
		import errno, itertools, os, socket, struct
		from socket import SOL_SOCKET, SO_REUSEADDR, SO_REUSEPORT, IPPROTO_IPV6, IPV6_V6ONLY
		ADDR = {
		    "any4": (socket.AF_INET, "0.0.0.0", None), "v4": (socket.AF_INET, "10.74.0.2", None),
		    "any6": (socket.AF_INET6, "::", 0), "any6only": (socket.AF_INET6, "::", 1),
		    "v6": (socket.AF_INET6, "fd4a:5300::2", None),
		    "mapped": (socket.AF_INET6, "::ffff:10.74.0.2", None),
		    "mapped6only": (socket.AF_INET6, "::ffff:10.74.0.2", 1),
		}
		OPTS = {"none": [], "addr": [SO_REUSEADDR], "port": [SO_REUSEPORT],
		        "both": [SO_REUSEADDR, SO_REUSEPORT]}

		def take(where, opts, port, listens):
		    family, host, v6only = ADDR[where]
		    s = socket.socket(family)
		    try:
		        for o in OPTS[opts]:
		            s.setsockopt(SOL_SOCKET, o, 1)
		        if v6only is not None:
		            s.setsockopt(IPPROTO_IPV6, IPV6_V6ONLY, v6only)
		        s.bind((host, port))
		        if v6only is not None:
		            try:
		                s.setsockopt(IPPROTO_IPV6, IPV6_V6ONLY, v6only)
		            except OSError as e:
		                assert e.errno == errno.EINVAL
		            else:
		                return s, "V6ONLY after bind"
		        if listens:
		            try:
		                s.listen(5)
		            except OSError as e:
		                return s, "listen " + errno.errorcode[e.errno]
		        return s, "ok"
		    except OSError as e:
		        return s, errno.errorcode[e.errno]

		def rows():
		    port = 20000
		    for a, b in itertools.product(ADDR, ADDR):
		        for oa, ob in itertools.product(OPTS, OPTS):
		            if oa != ob and "both" in (oa, ob):
		                continue
		            for la in (0, 1):
		                port += 1
		                yield a, b, oa, ob, la, port

		ask, answer = os.pipe(), os.pipe()
		if not os.fork():
		    for a, b, oa, ob, la, port in rows():
		        os.read(ask[0], 1)
		        s, got = take(b, ob, port, 1)
		        s.close()
		        os.write(answer[1], got.ljust(32).encode())
		    os._exit(0)
		for a, b, oa, ob, la, port in rows():
		    s, first = take(a, oa, port, la)
		    os.write(ask[1], b"x")
		    second = os.read(answer[0], 32).decode().strip()
		    s.close()
		    print(a, oa, "listens" if la else "bound", first, "-", b, ob, second)
	END
}

@test "addresses, options and states of two sockets: the same errno as the kernel's" {
	table_program >table.py
	on n2 timeout 100 python3 table.py >kernel
	# Linux 6.1 to 6.8 got these wrong until their stable releases were mended.
	[ "$(grep -cxE "any6only none bound ok - mapped none ok|mapped none bound ok - v4 none EADDRINUSE" kernel)" -eq 2 ] ||
		skip "this kernel's bind() confuses ::ffff:10.74.0.2 with others: update it"
	with n2 timeout 100 python3 table.py >user
	[ "$(wc -l <kernel)" -ge 900 ]
	# What the table tells apart.
	grep -q EADDRINUSE kernel
	grep -q EINVAL kernel
	diff kernel user
}

@test "connect() of an IPv6 socket to the other family: the same errno as the kernel's" {
	cat >families.py <<-'END'
		import errno, itertools, socket
		from socket import IPPROTO_IPV6, IPV6_V6ONLY
		mine = [None, "::", "fd4a:5300::1", "::ffff:10.74.0.1", "::ffff:0.0.0.0"]
		for host, v6only, peer in itertools.product(mine, (0, 1), ("fd4a:5300::2", "::ffff:10.74.0.2")):
		    s = socket.socket(socket.AF_INET6)
		    s.setsockopt(IPPROTO_IPV6, IPV6_V6ONLY, v6only)
		    try:
		        if host:
		            s.bind((host, 0))
		        s.connect((peer, 9))
		        print(host, v6only, peer, "ok")
		    except OSError as e:
		        print(host, v6only, peer, errno.errorcode[e.errno])
	END
	on n1 timeout 60 python3 families.py >kernel
	with n1 timeout 60 python3 families.py >user
	grep -q ENETUNREACH kernel
	grep -q EAFNOSUPPORT kernel
	grep -q ECONNREFUSED kernel
	diff kernel user
}

server_program() {
	cat <<-'END'
		import os, select, socket, sys
		def listen(family, host, v6only=None, reuse=False):
		    s = socket.socket(family)
		    if v6only is not None:
		        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, v6only)
		    if reuse:
		        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
		    s.bind((host, 7100))
		    s.listen(50)
		    return s
		socks = eval(sys.argv[1])
		print("ready", flush=True)
		while True:
		    for s in select.select(list(socks), [], [])[0]:
		        c, peer = s.accept()
		        c.sendall(socks[s].encode())
		        c.close()
	END
}

# From n1, over TCP user|kernel: what the server says.
hear() {
	case $1 in
	user) with n1 timeout 20 socat -u "$2" - ;;
	*) on n1 timeout 20 socat -u "$2" - ;;
	esac
}

@test "0.0.0.0 and [::] with IPV6_V6ONLY side by side, as nginx has it" {
	server_program >server.py
	bg_with n2 python3 server.py \
		'{listen(socket.AF_INET, "0.0.0.0"): "four", listen(socket.AF_INET6, "::", 1): "six"}'
	wait_for 10 grep -q ready bg.0		# both
	for who in user kernel; do
		[ "$(hear $who TCP4:10.74.0.2:7100)" = four ]
		[ "$(hear $who "TCP6:[$N2]:7100")" = six ]
	done
}

@test "[::] with IPV6_V6ONLY alone: IPv4 is refused" {
	server_program >server.py
	bg_with n2 python3 server.py '{listen(socket.AF_INET6, "::", 1): "six"}'
	wait_for 10 is_listening n2 7100
	[ "$(hear user "TCP6:[$N2]:7100")" = six ]
	run hear user TCP4:10.74.0.2:7100
	[[ "$output" == *"Connection refused"* ]]
}

@test "SO_REUSEPORT: two applications share a port" {
	server_program >server.py
	bg_with n2 python3 server.py '{listen(socket.AF_INET, "0.0.0.0", None, True): "a"}'
	wait_for 10 grep -q ready bg.0
	bg_with n2 python3 server.py '{listen(socket.AF_INET, "0.0.0.0", None, True): "b",
		listen(socket.AF_INET, "0.0.0.0", None, True): "c"}'
	wait_for 10 grep -q ready bg.1
	cat >many.py <<-'END'
		import socket
		for i in range(60):
		    c = socket.create_connection(("10.74.0.2", 7100))
		    print(c.recv(9).decode())
		    c.close()
	END
	with n1 timeout 60 python3 many.py >heard
	sort heard | uniq -c
	[ "$(wc -l <heard)" -eq 60 ]
	[ "$(sort -u heard | tr -d '\n')" = abc ]
}

# 992 streams a node: connections beyond have the one their stack shares.
@test "more connections at once than a node has streams" {
	cat >holder.py <<-'END'
		import select, socket, sys
		s = socket.socket()
		s.bind(("", int(sys.argv[1])))
		s.listen(700)
		p = select.epoll()
		p.register(s, select.EPOLLIN)
		c = {}
		print("ready", flush=True)
		while True:
		    for fd, ev in p.poll():
		        if fd == s.fileno():
		            n, peer = s.accept()
		            c[n.fileno()] = n
		            p.register(n, select.EPOLLIN)
		        else:
		            data = c[fd].recv(100)
		            if data:
		                c[fd].sendall(data)
		            else:
		                p.unregister(fd)
		                c.pop(fd).close()
	END
	cat >many.py <<-'END'
		import socket, sys
		c = []
		for i in range(600):
		    c.append(socket.create_connection(("10.74.0.2", int(sys.argv[1]))))
		print("connected", flush=True)
		sys.stdin.readline()
		for round in range(2):
		    for i, s in enumerate(c):
		        s.sendall(b"%d" % i)
		        got = s.recv(100)
		        assert got == b"%d" % i, (round, i, got)
		print("all", flush=True)
	END
	mkfifo go1 go2
	for i in 1 2; do
		bg_with n2 python3 holder.py 720$i
		wait_for 10 is_listening n2 720$i
	done
	for i in 1 2; do
		bg with n1 sh -c "exec python3 many.py 720$i <go$i >said$i"
	done
	exec 5>go1 6>go2
	for i in 1 2; do
		wait_for 60 grep -q connected said$i
	done
	echo >&5
	echo >&6
	for i in 1 2; do
		wait_for 60 grep -q all said$i
	done
	exec 5>&- 6>&-
}
