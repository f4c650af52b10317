# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# helper.bash - labs for tests
#
# Each test has a lab name of its own; teardown ends that lab and everything
# started with bg, whatever happened, and keeps logs of a test that failed.
# Nothing here sleeps for a time: wait_for waits for a condition.

bats_require_minimum_version 1.5.0

O=${O:-$BATS_TEST_DIRNAME/../../build}
O=$(cd "$O" && pwd)
# shellcheck disable=SC2034 # for the tests
SRC=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
JET=$O/bin/jet
export O JET

setup() {
	LAB=jt$BATS_SUITE_TEST_NUMBER-$$
	TRACE=$BATS_TEST_TMPDIR/commands
	BG=()
	cd "$BATS_TEST_TMPDIR" || return 1
	type -t more_setup >/dev/null && more_setup
	return 0
}

teardown() {
	local p
	for p in "${BG[@]}"; do
		kill "$p" 2>/dev/null
	done
	if [ "$BATS_TEST_COMPLETED" != 1 ]; then
		keep_logs
	fi
	"$JET" down -q -n "$LAB" || true
	for p in "${BG[@]}"; do
		kill -KILL "$p" 2>/dev/null
		wait "$p" 2>/dev/null
	done
	type -t more_teardown >/dev/null && more_teardown
	return 0
}

# What a failed test leaves behind, and where.
keep_logs() {
	local dir=$O/test-logs/${BATS_TEST_NAME:0:80} f
	rm -rf "$dir"
	mkdir -p "$dir"
	"$JET" status -n "$LAB" --json >status.json 2>&1
	cp "/run/jetstream/$LAB/"*.log . 2>/dev/null
	for f in *; do
		[ -f "$f" ] && [ "$(stat -c %s "$f")" -lt 100000000 ] && cp "$f" "$dir/"
	done
	for f in commands *.log bg.*; do
		[ -s "$f" ] || continue
		echo "--- $f (last lines)"
		tail -n 30 "$f"
	done
	echo "--- logs are kept in $dir"
}

# jet for this test's lab.
jet() {
	local verb=$1
	shift
	"$JET" "$verb" -n "$LAB" "$@"
}

# on n1 CMD...: with the kernel's TCP, written down.
on() {
	local node=$1
	shift
	printf '[%s] %s\n' "$node" "$*" >>"$TRACE"
	"$JET" exec -n "$LAB" "$node" -- "$@"
}

# with n1 CMD...: the same with TCP in user space.
with() {
	local node=$1
	shift
	printf '[%s, user TCP] %s\n' "$node" "$*" >>"$TRACE"
	"$JET" run -n "$LAB" "$node" -- "$@"
}

# bg FUNCTION-OR-COMMAND...: in the background; its pid is $!.  Bats waits for
# whoever holds its fd 3.
bg() {
	"$@" >"bg.${#BG[@]}" 2>&1 </dev/null 3>&- &
	BG+=($!)
}

# bg_on n1 CMD..., bg_with n1 CMD...: the same in a node; $! is CMD's own pid.
bg_on() {
	local node=$1
	shift
	printf '[%s] %s &\n' "$node" "$*" >>"$TRACE"
	bg "$JET" exec -n "$LAB" "$node" -- "$@"
}

bg_with() {
	local node=$1
	shift
	printf '[%s, user TCP] %s &\n' "$node" "$*" >>"$TRACE"
	bg "$JET" run -n "$LAB" "$node" -- "$@"
}

# wait_for SECONDS CMD...: until it succeeds.  It is given up after so long on a
# machine that does nothing else, and four times as long on any.  To ask takes
# time from what is asked for: the pauses are a tenth of what was waited so far.
# If it has waited, $! is no longer who was started last: that is ${BG[-1]}.
wait_for() {
	local begin=${EPOCHREALTIME/[.,]/} limit=$(($1 * 4000000)) waited pause out=
	shift
	until out=$("$@" 2>&1); do
		waited=$((${EPOCHREALTIME/[.,]/} - begin))
		if [ "$waited" -ge "$limit" ]; then
			echo "waited in vain for: $*"
			echo "$out"
			return 1
		fi
		pause=$((waited < 100000 ? 10 : waited < 2000000 ? waited / 10000 : 200))
		read -rt "0.$(printf %03d "$pause")" <> <(:) || :
	done
}

# Ended, whether or not bash has taken notice of it.
is_gone() { [ ! -e "/proc/$1" ] || grep -q '^State:.*[ZX] ' "/proc/$1/status"; }

is_stopped() { grep -q '^State:.*T ' "/proc/$1/status"; }

# end PID [SIGNAL]: a signal that ends it, and it has ended.
end() {
	kill -s "${2-TERM}" "$1"
	wait_for 10 is_gone "$1"
}

# stop PID: stopped, not about to be.
stop() {
	kill -STOP "$1"
	wait_for 10 is_stopped "$1"
}

# Does anybody listen there?  is_listening n2 5001: as a kernel's TCP sees it, in which
# who listens in user space has a bind-point.
is_listening() {
	"$JET" exec -n "$LAB" "$1" -- ss -Hltn "sport = :$2" | grep -q .
}

# No longer: the bind-point of who has ended is there until its child has noticed.
nobody_listens() {
	local sockets
	sockets=$("$JET" exec -n "$LAB" "$1" -- ss -Hltn "sport = :$2") && [ -z "$sockets" ]
}

# stat_of n1 COUNTER: from jet status.
stat_of() {
	"$JET" status -n "$LAB" --json | json_counter "$1" "$2"
}

# The number of "COUNTER": in the object of node $1; the JSON is pretty.
json_counter() {
	awk -v node="\"$1\"" -v key="\"$2\":" '
		$1 == "\"name\":" { on = index($2, node) == 1 }
		on && $1 == key { sub(/,$/, "", $2); print $2; exit }'
}

# connd_pid n1: of its connection server, if there is one just now.
connd_pid() {
	jet status --json | jq ".nodes[] | select(.name == \"$1\") | .connd.pid | select(. > 0)"
}

# A connection server that is not process $2, and takes applications.
has_another_connd() {
	local pid
	pid=$(connd_pid "$1")
	[ -n "$pid" ] && [ "$pid" -ne "$2" ] && "$JET" run -n "$LAB" "$1" -- true
}

# n1 and n2 know each other for good, so that each frame is a test's own.
no_arp() {
	on n1 ip neigh replace 10.74.0.2 lladdr 02:4a:53:00:00:02 dev jet0 nud permanent
	on n2 ip neigh replace 10.74.0.1 lladdr 02:4a:53:00:00:01 dev jet0 nud permanent
}

# TICKS PID COMMAND of each process of the lab.
ticks() {
	local p
	for p in $(pgrep -f -- "--lab $LAB "); do
		awk '{ name = $2; sub(/.*\) /, ""); print $12 + $13, '"$p"', name }' "/proc/$p/stat" 2>/dev/null || :
	done
}

# at_rest SECONDS: so long the lab uses one tick of processor time at most.  Whoever
# runs when a hypervisor takes the processor away is charged with what it took, some
# ticks: then once more, up to five times, and so if a process has come.  Who is busy
# half of the time is busy.
at_rest() {
	local before after n
	for _ in 1 2 3 4 5; do
		before=$(ticks)
		timeout "$1" tail -f /dev/null || :
		after=$(ticks)
		n=$(awk 'NR == FNR { was[$2] = $1; next } { n += $2 in was ? $1 - was[$2] : 2 } END { print n + 0 }' \
			<(echo "$before") <(echo "$after"))
		[ "$n" -gt 1 ] || return 0
		printf 'ticks by process:\n%s\n%d s later:\n%s\n' "$before" "$1" "$after"
		[ "$n" -lt $(($1 * 50)) ] || return 1
	done
	return 1
}

ringd_pid() { cut -d' ' -f1 "/run/jetstream/$LAB/jetringd.pid"; }

# A kernel counter of a node: kernel_counter n1 TcpRetransSegs
kernel_counter() {
	"$JET" exec -n "$LAB" "$1" -- cat /proc/net/snmp /proc/net/netstat | awk -v want="$2" '
		NR % 2 { n = split($0, name); next }
		{ for (i = 2; i <= n; i++) if (substr(name[1], 1, length(name[1]) - 1) name[i] == want) print $i }'
}

# start_capture FILE [ARG...]: returns when it has begun; its pid is $CAPTURE.
start_capture() {
	local file=$1
	shift
	bg "$JET" capture -n "$LAB" -w "$file" "$@"
	CAPTURE=$!
	wait_for 5 grep -q 'capturing lab' "bg.$((${#BG[@]} - 1))"
}

end_capture() {
	kill -INT "$CAPTURE"
	wait "$CAPTURE"
}

# frames FILE FILTER FIELD...: one line a frame.
frames() {
	local file=$1 filter=$2 args=() f
	shift 2
	for f; do
		args+=(-e "$f")
	done
	"$SRC/tests/lib/tshark" -n -r "$file" -Y "$filter" -T fields "${args[@]}" 2>tshark.err
}

# What of our labs there is on this machine, but for those of other tests.
ours() {
	find /run/netns -name "jet-$LAB-*" 2>/dev/null || :
	find "/run/jetstream/$LAB" 2>/dev/null || :
	grep -s "jet-$LAB-" /proc/self/mounts || :
	pgrep -f -- "--lab $LAB( |\$)" || :
}
