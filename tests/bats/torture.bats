# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154,SC2030,SC2031 # bats sets output, status; BG is per test
# torture.bats - applications stopped and killed at any moment
#
#	n1 10.74.0.1 ───── ring ───── n2 10.74.0.2
#
# Threads and forks of one application share its connections; tests/progs/
# torture.c stops and kills them.  All that send() accepted arrives, then FIN,
# and who was not killed meets no error.  TORTURE_S seconds for each test (2),
# with seed TORTURE_SEED (any).
load helper

TORTURE=$O/tests/progs/torture

more_setup() {
	JETSTREAM_TRACE=1 jet up -q
	RUN=/run/jetstream/$LAB
	SERVERS=$(servers)
}

# jetringd and each jetconnd: their pids.
servers() { jet status --json | grep -E '"(jetringd_)?pid":' | head -n 3; }

# One port a node, without buffers: the connection server's.
only_connd_ports() {
	jet status --json >status
	[ "$(grep -c '"trusted":' status)" -eq 2 ] && ! grep '"bufs_used":' status | grep -qv ' 0,'
}

# torture on|with: against a server over that TCP.
torture() {
	local seed=${TORTURE_SEED:-$RANDOM}
	bg_"$1" n2 "$TORTURE" serve 7030
	local server=$!
	wait_for 10 is_listening n2 7030
	echo "seed $seed"
	run with n1 "$TORTURE" run 10.74.0.2 7030 "${TORTURE_S:-2}" "$seed"
	echo "$output"
	[ "$status" -eq 0 ]
	kill "$server"
	wait_for 10 is_gone "$server"
	# Nobody else has died of it, and nothing is left.
	[ "$(servers)" = "$SERVERS" ]
	run -1 grep -hE 'killed by signal|started again|the stack is ended' "$RUN"/*.log
	wait_for 30 only_connd_ports
}

@test "killed and stopped at any moment, user to user" { torture with; }
@test "killed and stopped at any moment, user to kernel" { torture on; }
