# SPDX-License-Identifier: BSD-2-Clause
# cli.bats - what jet says to good and bad input, without a lab
load helper

# A copy of the programs that anybody can execute: /root may be closed.
open_copy() {
	PUBLIC=$(mktemp -d /tmp/jt.XXXXXX)
	mkdir "$PUBLIC/bin"
	cp "$O"/bin/jet "$O"/bin/jetringd "$PUBLIC/bin/"
	chmod 755 "$PUBLIC"
}

more_teardown() { [ -z "${PUBLIC-}" ] || rm -rf "$PUBLIC"; }

as_nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }

# refused STATUS TEXT CMD...: one line on stderr with TEXT, nothing on stdout.
refused() {
	local status_wanted=$1 text=$2
	shift 2
	run --separate-stderr "$@"
	# shellcheck disable=SC2154 # run sets it
	echo "status $status, stdout: $output, stderr: $stderr"
	[ "$status" -eq "$status_wanted" ]
	[ -z "$output" ]
	[[ $stderr == *"$text"* ]]
	# shellcheck disable=SC2154
	[ "${#stderr_lines[@]}" -eq 1 ]
}

@test "help lists each verb, and each verb has its help and a manual entry" {
	run -0 "$JET" help
	verbs=$(sed -n '/^verbs:/,/^$/s/^  \([a-z]*\) .*/\1/p' <<<"$output")
	[ "$(wc -w <<<"$verbs")" -ge 12 ]
	for v in $verbs; do
		run -0 "$JET" help "$v"
		[[ $output == "usage: jet $v "* ]]
		run -0 "$JET" "$v" --help
		grep -q "^\.SS jet $v" "$SRC/docs/man/jet.1"
	done
}

@test "no verb: usage on stderr, status 2" {
	run -2 --separate-stderr "$JET"
	[ -z "$output" ]
	[[ $stderr == "usage: jet "* ]]
}

@test "an unknown verb or option gets the nearest proposed, status 2" {
	refused 2 'did you mean "status"?' "$JET" satus
	refused 2 'did you mean "capture"?' "$JET" cap
	refused 2 'there is no verb "xyzzy" (' "$JET" xyzzy
	refused 2 'did you mean "nodes"?' "$JET" up --node-s 3
	refused 2 'there is no option -z' "$JET" up -z
	refused 2 'there is no option --json' "$JET" up --json
	refused 2 '-n needs a value' "$JET" status -n
}

@test "values out of range are refused, status 2" {
	run -2 "$O/bin/jetringd" --lab x --run "$PWD" --node 1 --no-connd --node-mem 69631
	[[ $output == *'at least 69632 octets'* ]]
	refused 2 'whole number from 1 to 16' "$JET" up --nodes 17
	refused 2 'whole number from 1 to 16' "$JET" up --nodes two
	refused 2 'should be like 1g, 100m or unlimited' "$JET" up --rate fast
	refused 2 'is no name for a lab' "$JET" up -n ../../etc
	refused 2 'is no name for a lab' "$JET" up -n ''
	refused 2 'give one of them' "$JET" up --nodes 3 -t x.ini
	refused 2 'up takes no "x.ini"' "$JET" up x.ini
}

@test "version, list and help need no privilege" {
	open_copy
	run -0 as_nobody "$PUBLIC/bin/jet" version
	[[ $output == "jet "* ]]
	run -0 as_nobody "$PUBLIC/bin/jet" list --json
	run -0 as_nobody "$PUBLIC/bin/jet" help
}

@test "up, down and exec without root say so" {
	open_copy
	refused 1 'this needs root: type "sudo jet up' as_nobody "$PUBLIC/bin/jet" up -n "$LAB"
	refused 1 'this needs root' as_nobody "$PUBLIC/bin/jet" down -n "$LAB"
	refused 125 'this needs root' as_nobody "$PUBLIC/bin/jet" exec -n "$LAB" n1 true
	[ -z "$(ours)" ]
}

@test "no /dev/net/tun: one sentence, status 1, nothing left" {
	refused 1 '/dev/net/tun' unshare -m sh -c 'mount -t tmpfs none /dev/net && exec "$@"' sh \
		"$JET" up -n "$LAB"
	[ -z "$(ours)" ]
	refused 1 '/dev/net/tun' unshare -m sh -c 'mount --bind /dev/null /dev/net/tun && exec "$@"' sh \
		"$JET" up -n "$LAB"
	[ -z "$(ours)" ]
}

@test "jetringd missing, or lacking a library: one sentence, status 1, nothing left" {
	open_copy
	rm "$PUBLIC/bin/jetringd"
	refused 1 'build it with "make"' "$PUBLIC/bin/jet" up -n "$LAB"
	[ -z "$(ours)" ]
	printf '#!/bin/sh\necho "libisal.so.2: cannot open shared object file" >&2\nexit 127\n' >"$PUBLIC/bin/jetringd"
	chmod 755 "$PUBLIC/bin/jetringd"
	refused 1 'jetringd did not start: libisal.so.2' "$PUBLIC/bin/jet" up -n "$LAB"
	[ -z "$(ours)" ]
}

@test "verbs on a lab that is not up say so, status 1 (exec and run 125)" {
	for verb in status ping capture 'link show'; do
		# shellcheck disable=SC2086 # two words
		refused 1 "lab $LAB is not up" "$JET" $verb -n "$LAB"
	done
	refused 125 "lab $LAB is not up" "$JET" exec -n "$LAB" n1 true
	refused 125 "lab $LAB is not up" "$JET" run -n "$LAB" n1 true
}

@test "down of no lab is no error" {
	run -0 --separate-stderr "$JET" down -n "$LAB"
	[ -z "$output" ]
	[[ $stderr == *'nothing to do'* ]]
}

@test "a broken topology is refused with file and line, and changes nothing" {
	n=0
	while IFS='|' read -r line text content; do
		printf '%b' "$content" >t.ini
		refused 1 "t.ini:$line: $text" "$JET" up -n "$LAB" -t t.ini
		refused 1 "t.ini:$line: $text" "$JET" validate t.ini
		n=$((n + 1))
	done <<-'END'
		2|nodes is "17"|[lab]\nnodes = 17\n
		2|nodes is "two"|[lab]\nnodes = two\n
		3|rate is "slow"|[lab]\n\nrate=slow\n
		2|prefix is "10.74.0.1/24"|[lab]\nprefix=10.74.0.1/24\n
		2|[lab] has no "node"; did you mean "nodes"?|[lab]\nnode = 3\n
		1|[lap] is unknown|[lap]\nnodes = 3\n
		1|"m1" is no node|[node m1]\naddress = 10.74.0.9\n
		2|"10.74.0.300" is no IPv4 address|[node n1]\naddress = 10.74.0.300\n
		2|10.75.0.1 is no host's address in 10.74.0.0/24|[node n1]\naddress = 10.75.0.1\n
		2|kernel-tx-vci is "foo"|[node n1]\nkernel-tx-vci = foo\n
		2|loss is "1"|[link n1->n2]\nloss = 1\n
		2|loss is "101%"|[link n1->n2]\nloss = 101%\n
		1|"n1-n2" is no link|[link n1-n2]\nloss = 1%\n
		2|a link has no "los"; did you mean "loss"?|[link n1->n2]\nlos = 1%\n
		2|delay is "20"|[link ring]\ndelay = 20\n
		3|loss is "gemodel:1%"|[link n1]\nseed = 1\nloss = gemodel:1%\n
		2|a link has no "rates"; did you mean "rate"?|[link n1<->n2]\nrates = 1M\n
		1|"n17" is no link|[link n17]\ndelay = 1ms\n
		3|n5, but [lab] says nodes = 2|[lab]\nnodes = 2\n[node n5]\n
		2|this is neither|[lab]\nwhat\n
		1|"nodes" stands before any heading|nodes = 3\n
		1|the heading has no|[lab\nnodes = 3\n
		2|seed is "x"|[link *->n2]\nseed = x\n
	END
	[ "$n" -eq 23 ]
	[ -z "$(ours)" ]
}

@test "two nodes with one address, and a file that is not there, are refused" {
	printf '[node n1]\naddress = 10.74.0.2\n[node n2]\n' >t.ini
	refused 1 'n1 and n2 both have the address 10.74.0.2' "$JET" up -n "$LAB" -t t.ini
	refused 1 'cannot read the topology nowhere.ini' "$JET" up -n "$LAB" -t nowhere.ini
}

@test "validate tells what a topology makes; ./jetstream.ini is found" {
	printf '[lab]\nname = x\nrate = 100m\n[link n1->n3]\nloss = 1%%\n' >jetstream.ini
	run -0 "$JET" validate
	[ "$output" = "lab x: 3 nodes, 100m, 10.74.0.0/24, 1 link setting" ]
	run -1 "$JET" status
	[[ $output == *'lab x is not up'* ]]
}

@test "the topologies that we ship are valid" {
	for t in "$SRC"/netns/topologies/*.ini; do
		run -0 "$JET" validate "$t"
	done
}

@test "check: each line has a state; JSON; status 0 on a machine that can run this test" {
	run -0 "$JET" check
	[[ $output == *'ok       /dev/net/tun'* ]]
	[[ $output != *MISSING* ]]
	run -0 "$JET" check --json
	[[ $output == '['* ]]
}

@test "check without root: MISSING, with what to do, status 3" {
	open_copy
	run -3 as_nobody "$PUBLIC/bin/jet" check
	[[ $output == *'MISSING  root'*'use sudo'* ]]
}
