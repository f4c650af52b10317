#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
# pool.bats - another protocol on pools, from what make install has installed

load helper

# The installed tree in $TOP, the example in $TOP/pool_echo; once for all tests.
setup_file() {
	export TOP=$BATS_FILE_TMPDIR
	# What is built, with whatever flags.
	make -s -o all -C "$SRC" O="$O" DESTDIR="$TOP" PREFIX=/usr install >"$TOP/install.log" 2>&1
	cc -std=gnu11 -Wall -Wextra -Werror -I"$TOP/usr/include" "$SRC/docs/examples/pool_echo.c" \
		-L"$TOP/usr/lib" -ljetpool -o "$TOP/pool_echo"
}

serve() {
	bg "$TOP/pool_echo" serve "/run/jetstream/$LAB/n2.sock"
	SERVER=$!
	VCI_FILE=bg.$((${#BG[@]} - 1))
	wait_for 10 test -s "$VCI_FILE"
}

ask() { "$TOP/pool_echo" ask "/run/jetstream/$LAB/n1.sock" "$(cat "$VCI_FILE")" "$@"; }

server_port() {
	jet status --json | jq ".nodes[] | select(.name == \"n2\") | .ports[] | select(.pid == $SERVER)"
}

@test "requests and responses on pools: all sizes, all octets, with 2 % loss, nothing left" {
	jet up -q
	jet link set 'n1->n2' loss=2% seed=3
	serve
	ask 300 0
	ask 300 100
	ask 100 4076
	ask 100 4077
	ask 60 61484
	# Each request was one script of two operations, and was freed: also those that
	# were sent again, whose responses nobody waited for.
	wait_for 10 all_freed
	jq -e '.sends >= 860 and .ops == 2 * .sends and .doorbells <= .ops' port.json
	jq -e '.tx_bad_op == 0 and .tx_template == 0' port.json
	jet status --json >status.json
	jq -e 'all(.nodes[]; .ip_divert == "pool" and .bufs_max > 0 and .bufs_used <= .bufs_max)' status.json
	# The clients have gone, and all that was theirs.
	wait_for 10 only_server
}
all_freed() {
	server_port >port.json
	jq -e '.bufs_used == 0 and .pools[0].rx_used == 0' port.json
}
only_server() {
	[ "$(jet status --json | jq '[.nodes[] | select(.name == "n1") | .ports[] | select(.trusted | not)] | length')" -eq 0 ]
}

@test "a server killed half way: its port and its VCI are reclaimed, a new one serves" {
	jet up -q
	serve
	bg ask 1000000 1000
	local client=$!
	wait_for 10 busy
	kill -KILL "$SERVER"
	wait_for 10 gone
	serve
	ask 10 1000
	kill "$client"
}
busy() { [ "$(server_port | jq .sends)" -ge 100 ]; }
gone() { [ -z "$(server_port)" ]; }

@test "jetstream/pool.h compiles alone, and make uninstall leaves nothing of it" {
	for h in pool.h abi/aal5.h abi/pool.h abi/portctl.h abi/vci.h; do
		echo "#include <jetstream/$h>" | cc -std=c11 -D_GNU_SOURCE -Wall -Wextra -pedantic -Werror \
			-fsyntax-only -I"$TOP/usr/include" -x c -
	done
	make -C "$SRC" -s O="$O" DESTDIR="$TOP" PREFIX=/usr uninstall
	[ -z "$(find "$TOP" -path '*/usr/*' \( -name '*pool*' -o -path '*abi*' \))" ]
}

@test "16 nodes with 320 ports: all packets arrive, idle at most one tick in 3 s, nobody is forgotten" {
	jet up -q --nodes 16
	mkfifo go
	"$O/tests/progs/many_ports" "$LAB" 16 20 20 <go >said 2>&1 3>&- &
	BG+=("$!")
	exec 4>go
	wait_for 60 grep -qx idle said
	[ "$(jet status --json | jq '[.nodes[].ports[] | select(.trusted | not)] | length')" -eq 320 ]
	# What is looked at without being asked is forgotten after a while.
	wait_for 10 is_idle
	echo go >&4
	wait_for 60 grep -qx done said
	exec 4>&-
}
# jetringd used at most one tick of a 3 s.
is_idle() {
	local pid a b
	pid=$(cut -d' ' -f1 "/run/jetstream/$LAB/jetringd.pid")
	a=$(ticks "$pid")
	timeout 3 tail -f /dev/null || :
	b=$(ticks "$pid")
	echo "ticks: $a, 3 s later $b"
	[ $((b - a)) -le 1 ]
}
ticks() { awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/$1/stat"; }
