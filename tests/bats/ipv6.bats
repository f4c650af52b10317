# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154,SC2030,SC2031 # bats sets output, status; BG is per test
# ipv6.bats - TCP over IPv6: "jet up --ipv6"
#
#	n1 fd4a:5300::1 ───── ring ───── n2 fd4a:5300::2
load helper

N2=fd4a:5300::2

more_setup() {
	jet up -q --ipv6
	RUN=/run/jetstream/$LAB
	head -c 3000000 /dev/urandom >file
}

# stack_of user|kernel: the function that runs a program over it.
stack_of() { [ "$1" = user ] && echo with || echo on; }

# The line a node's child wrote about its last connection, if it had one.
conn_line() { grep -o ' closed .*' "$RUN/$1-connd.log" | tail -n 1; }

# pairing CLIENT SERVER: 3 MB from n1 to n2, and who carried them.
pairing() {
	"bg_$(stack_of "$2")" n2 socat -u TCP6-LISTEN:7100,reuseaddr OPEN:got,creat,trunc
	SERVER=$!
	wait_for 10 is_listening n2 7100
	"$(stack_of "$1")" n1 socat -u OPEN:file "TCP6:[$N2]:7100"
	wait_for 30 is_gone "$SERVER"
	wait "$SERVER"
	cmp file got
	if [ "$1" = user ]; then
		wait_for 10 has_line n1 "$N2.* sent=3000000 "
	else
		[ -z "$(conn_line n1)" ]
	fi
	if [ "$2" = user ]; then
		wait_for 10 has_line n2 "$N2.* received=3000000 "
	else
		[ -z "$(conn_line n2)" ]
	fi
}
has_line() { grep -qE " closed .*$2" "$RUN/$1-connd.log"; }

@test "user to user over IPv6" { pairing user user; }
@test "user to kernel over IPv6" { pairing user kernel; }
@test "kernel to user over IPv6" { pairing kernel user; }
@test "kernel to kernel over IPv6" { pairing kernel kernel; }

@test "IPv6: nobody listens, nobody is there" {
	run ! with n1 socat -u OPEN:file "TCP6:[$N2]:7101"
	[[ $output == *'Connection refused'* ]]
	run ! with n1 socat -u OPEN:file "TCP6:[fd4a:5300::77]:7101"
	[[ $output == *'No route to host'* ]]
}

@test "a lab has IPv6 only if asked: up --ipv6, ipv6 = yes" {
	jet down -q
	jet up -q
	run -0 on n1 cat /proc/net/if_inet6
	[[ $output != *jet0* ]]
	jet down -q
	printf '[lab]\nname = %s\nipv6 = yes\n' "$LAB" >t.ini
	jet up -q -t t.ini
	run -0 on n2 cat /proc/net/if_inet6
	[[ $output == *fd4a5300000000000000000000000002*jet0* ]]
}
