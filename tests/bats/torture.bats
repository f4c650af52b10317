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
	wait_for 10 only_connd_ports
	FDS=$(fds)
}

# jetringd and each jetconnd: their pids.
servers() { jet status --json | grep -E '"(jetringd_)?pid":' | head -n 3; }

# One port a node, without buffers: the connection server's.
only_connd_ports() {
	jet status --json >status
	[ "$(grep -c '"trusted":' status)" -eq 2 ] && ! grep '"bufs_used":' status | grep -qv ' 0,'
}

pids() { sed 's/.*: //; s/,$//' <<<"$SERVERS"; }

# How many descriptors each of them has, but for the bind-points that a
# connection server keeps for TIME-WAIT.
fds() {
	local p n
	for p in $(pids); do
		n=$(find "/proc/$p/fd" -mindepth 1 | wc -l)
		echo "$p $((n - $(bind_points | grep -c "pid=$p,")))"
	done
}

bind_points() {
	"$JET" exec -n "$LAB" n1 -- ss -Htlnp
	"$JET" exec -n "$LAB" n2 -- ss -Htlnp
}

# Ports, and with them pools, streams, buffers; children, not even dead ones;
# descriptors; ports of TCP.
nothing_is_left() {
	only_connd_ports || { cat status && return 1; }
	! pgrep -l -P "$(pids | tail -n 2 | paste -sd ,)" || return 1
	if [ "$(fds)" != "$FDS" ]; then
		echo "descriptors, before: $FDS; now: $(fds)"
		return 1
	fi
	! bind_points | grep -v '"jetconnd",'
}

# torture on|with: against a server over that TCP.
torture() {
	local seed=${TORTURE_SEED:-$RANDOM}
	bg_"$1" n2 "$TORTURE" serve 7030
	local server=$!
	wait_for 10 is_listening n2 7030
	echo "seed $seed; descriptors: ${FDS//$'\n'/, }"
	run with n1 "$TORTURE" run 10.74.0.2 7030 "${TORTURE_S:-2}" "$seed"
	echo "$output"
	[ "$status" -eq 0 ]
	kill "$server"
	wait_for 10 is_gone "$server"
	# Nobody else has died of it, and nothing is left.
	[ "$(servers)" = "$SERVERS" ]
	run -1 grep -hE 'killed by signal|started again|the stack is ended' "$RUN"/*.log
	wait_for 30 nothing_is_left
}

@test "killed and stopped at any moment, user to user" { torture with; }
@test "killed and stopped at any moment, user to kernel" { torture on; }
