# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2154,SC2016 # run sets $stderr; inner shells have their $
# lab.bats - making, mending and ending labs; commands in nodes
#
#	n1 10.74.0.1 ---- ring ---- n2 10.74.0.2
load helper

more_teardown() {
	local ns
	for ns in /run/netns/"jet-$LAB-n"*; do
		[ -e "$ns" ] || continue
		echo "left behind: $ns"
		ip netns del "${ns##*/}"
	done
}

# Everything that a lab makes is gone.
gone() {
	ours
	[ -z "$(ours)" ]
}

@test "up makes a lab, down leaves nothing of it" {
	run -0 --separate-stderr jet up
	[ -z "$output" ]
	[ -d "/run/jetstream/$LAB" ]
	[ -e "/run/netns/jet-$LAB-n2" ]
	run -0 jet status
	[[ $output == *"lab $LAB: up, 2 nodes, 1g"* ]]
	run -0 on n1 cat /sys/class/net/jet0/mtu
	[ "$output" = 61504 ]
	run -0 on n2 cat /sys/class/net/jet0/address
	[ "$output" = 02:4a:53:00:00:02 ]
	run -0 on n2 ip -4 -o addr show jet0
	[[ $output == *'10.74.0.2/24'* ]]
	run -0 --separate-stderr jet down
	[ -z "$output" ]
	gone
}

@test "up twice and down twice: the second time there is nothing to do" {
	jet up
	pid=$(ringd_pid)
	run -0 jet up
	[[ $output == *'already up'* ]]
	[ "$(ringd_pid)" = "$pid" ]
	jet down
	run -0 jet down
	[[ $output == *'nothing to do'* ]]
	gone
}

@test "a node that leaves in order: nobody has died" {
	jet up --nodes 3
	wait_for 10 grep -q "n3: jetconnd is process" "/run/jetstream/$LAB/jetringd.log"
	jet down n3
	wait_for 10 grep -q 'n3 has left the ring' "/run/jetstream/$LAB/jetringd.log"
	run ! grep -E 'has died|parked' "/run/jetstream/$LAB/jetringd.log"
}

@test "sixteen nodes, each with its address and Ring ID" {
	jet up --nodes 16 --rate unlimited
	run -0 on n16 ping -n -q -c 1 -W 10 10.74.0.1
	[ "$(jet status --json | grep -c '"ring_id"')" -eq 16 ]
	jet down
	gone
}

@test "two labs at once do not see each other" {
	jet up
	other=${LAB}b
	"$JET" up -n "$other"
	[ "$(LAB=$other ringd_pid)" != "$(ringd_pid)" ]
	run -0 "$JET" list
	[[ $output == *"$LAB "* && $output == *"$other "* ]]
	"$JET" down -n "$other"
	run -0 jet ping -c 1
	jet down
	gone
}

@test "a topology file makes addresses, rate and link settings" {
	cat >t.ini <<-'END'
		[lab]
		rate = 100m
		[node n2]
		address = 10.74.0.77
		kernel-tx-vci = ip
		[link n1->n2]
		loss = 3%
		seed = 5
	END
	jet up -t t.ini
	run -0 on n1 ping -n -q -c 1 -W 10 10.74.0.77
	run -0 jet link show
	grep -E '^n1->n2 .* loss=3% seed=5 ' <<<"$output"
	grep -E '^n2->n1 +[0-9]+ +- ' <<<"$output"
	[[ $(jet status --json) == *'"rate_bps": 100000000'* ]]
	[[ $(jet status --json) == *'"tx_vci": "ip"'* ]]
}

@test "a lab that is up with more nodes is refused and goes on" {
	jet up --nodes 3
	run -1 jet up --nodes 2
	[[ $output == *'already up with 3 nodes, not 2; "jet down'* ]]
	run -0 jet ping -c 1
	[ -e "/run/netns/jet-$LAB-n3" ]
}

@test "the rate of a running lab can be changed" {
	jet up
	jet up --rate 50m
	[[ $(jet status --json) == *'"rate_bps": 50000000'* ]]
}

@test "a node's number is read whole" {
	jet up --kernel-only
	run -1 jet down n4294967297
	[[ $output == *'no node "n4294967297"'* ]]
	run -125 jet exec 4294967298 true
	run -0 jet exec n1 true
}

@test "--dry-run says what would be done and does nothing" {
	run -0 --separate-stderr jet up --dry-run
	[[ $output == *"make namespace jet-$LAB-n1"*"start jetringd"* ]]
	gone
	jet up
	run -0 --separate-stderr jet up --dry-run
	[[ $output == *'nothing to make'* ]]
	run -0 --separate-stderr jet down --dry-run
	[[ $output == *'stop jetringd'*"delete namespace jet-$LAB-n2"* ]]
	run -0 jet ping -c 1
}

@test "the terminal of up is not jetringd's, its session is" {
	run -0 script -qec "ps -o sid=,tty= -p \$\$; '$JET' up -n '$LAB'
		ps -o sid=,tty=,pgid= -p \$(cut -d' ' -f1 /run/jetstream/$LAB/jetringd.pid)" /dev/null
	read -r sid tty <<<"${lines[0]%$'\r'}"
	read -r of_sid of_tty of_pgid <<<"${lines[-1]%$'\r'}"
	[[ $tty == pts/* ]]
	[ "$of_sid" = "$sid" ]
	[ "$of_tty" = '?' ]
	# The terminal has gone, with who led the session.
	[ "$of_pgid" = "$(ringd_pid)" ]
	run -0 jet ping -c 1
}

@test "up repairs: jetringd killed" {
	jet up
	pid=$(ringd_pid)
	end "$pid" KILL
	run -1 jet status
	[[ $output == *'jetringd of lab'*'died: run "jet up'* ]]
	run -1 jet ping
	[[ $output == *'died: run "jet up'* ]]
	bg_on n1 sleep 100
	wait_for 10 grep -qx sleep "/proc/$!/comm"
	jet up
	run -0 jet ping -c 1
	run -0 jet status
	# Whoever was in a node still is.
	kill -0 "${BG[0]}"
}

@test "up repairs a four-node lab without being told the nodes again" {
	jet up --nodes 4
	kill -9 "$(ringd_pid)"
	jet up
	run -0 jet ping -c 1
	[ "$(grep -c '^n4 ' <<<"$output")" -eq 3 ]
}

@test "up repairs: a namespace deleted, an address removed, a link down, jetringd stopped" {
	jet up
	ip netns del "jet-$LAB-n1"
	jet up
	run -0 jet ping -c 1
	on n2 ip addr del 10.74.0.2/24 dev jet0
	on n1 ip link set jet0 down
	jet up
	run -0 jet ping -c 1
	stop "$(ringd_pid)"
	run -0 jet up
	run -0 jet ping -c 1
}

@test "down cleans up after kill -9 of jetringd" {
	jet up
	kill -9 "$(ringd_pid)"
	jet down
	gone
}

@test "down cleans up when jetringd is stopped, and when its pid file is lost" {
	jet up
	stop "$(ringd_pid)"
	jet down
	gone
	jet up
	rm "/run/jetstream/$LAB/jetringd.pid"
	jet down
	gone
}

@test "down ends the processes in the nodes, also stubborn ones" {
	jet up
	bg_on n1 sleep 1000
	bg_on n2 sh -c 'trap "" TERM HUP INT; while :; do sleep 1000; done'
	bg_on n2 sleep 1001
	# Not bash, nor jet, which have not entered them yet.
	for p in "${BG[@]}"; do
		wait_for 10 grep -qxE 'sleep|sh' "/proc/$p/comm"
	done
	stop "${BG[-1]}"
	jet down
	gone
	for p in "${BG[@]}"; do
		wait_for 10 is_gone "$p"
	done
}

@test "kill -9 of jet up at any moment: down leaves nothing, and up works" {
	for ms in 1 3 6 10 15 25 40 60 90; do
		"$JET" up -q -n "$LAB" 3>&- &
		pid=$!
		read -rt "0.$(printf %03d $ms)" <> <(:) || :
		kill -9 $pid 2>/dev/null || :
		wait $pid || :
		if [ $((ms % 2)) -eq 0 ]; then
			jet up
			jet ping -c 1
		fi
		jet down
		gone
	done
}

@test "TERM, INT and HUP during up roll back at once" {
	for sig in TERM INT HUP; do
		# bash starts background jobs with INT ignored; env puts it back.
		env --default-signal=INT "$JET" up -q -n "$LAB" --nodes 16 3>&- &
		pid=$!
		wait_for 10 test -e "/run/netns/jet-$LAB-n2"
		# It may have been faster than we.
		kill -s "$sig" $pid || :
		status=0
		wait $pid || status=$?
		[ "$status" -ge 128 ] || [ "$status" -eq 0 ]
		[ "$status" -ne 0 ] || jet down
		gone
	done
}

@test "a foreign namespace of the same name: refused, and left alone by up and down" {
	ip netns add "jet-$LAB-n2"
	inode=$(stat -L -c %i "/run/netns/jet-$LAB-n2")
	run -1 --separate-stderr jet up
	[[ $stderr == *"there is a namespace jet-$LAB-n2 that jet did not make"* ]]
	[ ! -e "/run/jetstream/$LAB" ]
	[ ! -e "/run/netns/jet-$LAB-n1" ]
	run -0 jet down
	[ "$(stat -L -c %i "/run/netns/jet-$LAB-n2")" = "$inode" ]
	ip netns del "jet-$LAB-n2"
	jet up
	jet down
	gone
}

@test "a foreign namespace that took the place of ours survives down" {
	jet up
	ip netns del "jet-$LAB-n2"
	ip netns add "jet-$LAB-n2"
	run -125 jet exec n2 true
	run -1 jet up
	run -0 jet down
	[ -e "/run/netns/jet-$LAB-n2" ]
	ip netns del "jet-$LAB-n2"
	gone
}

@test "neither up nor down nor exec runs ip" {
	# strace stays with jetringd: it ends with the lab.
	bg strace -f -e trace=execve -o up.strace sh -c '"$0" up -n "$1"; echo $? >up.status' "$JET" "$LAB"
	wait_for 20 test -s up.status
	[ "$(cat up.status)" = 0 ]
	strace -f -e trace=execve -o exec.strace "$JET" exec -n "$LAB" n1 -- true
	strace -f -e trace=execve -o down.strace "$JET" down -n "$LAB"
	wait "${BG[0]}"
	grep -q 'execve.*jetringd' up.strace
	run ! grep -E 'execve\("([^"]*/)?ip"' ./*.strace
}

@test "exec returns the command's own status" {
	jet up
	run -0 jet exec n1 true
	run -7 jet exec n1 -- sh -c 'exit 7'
	run -126 jet exec n1 /etc/passwd
	run -127 jet exec n1 no-such-command
	[[ $output == *'cannot execute no-such-command'* ]]
	run -143 jet exec n1 -- sh -c 'kill -TERM $$'
	run -137 jet exec n1 -- sh -c 'kill -KILL $$'
	run -125 jet exec n3 true
	[[ $output == *"has no node \"n3\": it has n1 to n2"* ]]
	run -125 jet exec
	run -125 jet exec n1
	run -125 jet exec --user no-such-user n1 true
}

@test "exec -T ends what takes too long with 124, and else changes nothing" {
	jet up
	run -124 jet exec -T 0.2 n1 -- sh -c "sleep 61.$BASHPID; true"
	run -5 jet exec -T 30 n1 -- sh -c 'exit 5'
	run -137 jet exec -T 30 n1 -- sh -c 'kill -KILL $$'
	run -127 jet exec -T 30 n1 no-such-command
	wait_for 10 no_sleeper "$BASHPID"
}
no_sleeper() { ! pgrep -f "sleep 61[.]$1"; }

@test "exec keeps input, output, arguments, directory, environment and process" {
	jet up
	[ "$(echo to | jet exec n1 -- cat)" = to ]
	[ "$(jet exec n1 printf '<%s>' 'a b' -n --json '')" = '<a b><-n><--json><>' ]
	[ "$(jet exec n1 pwd)" = "$PWD" ]
	[ "$(X=y jet exec n1 -- printenv X)" = y ]
	bg_on n1 sleep 50
	wait_for 10 grep -qx sleep "/proc/$!/comm"
	run -0 jet exec --user nobody n1 -- id -un
	[ "$output" = nobody ]
}

@test "exec has the node's /sys and its /etc/netns" {
	jet up
	[ "$(jet exec n1 -- ls /sys/class/net | sort | xargs)" = 'jet0 lo' ]
	mkdir -p "/etc/netns/jet-$LAB-n1"
	echo 'nameserver 10.74.0.9' >"/etc/netns/jet-$LAB-n1/resolv.conf"
	run -0 jet exec n1 -- cat /etc/resolv.conf
	rm -r "/etc/netns/jet-$LAB-n1"
	rmdir --ignore-fail-on-non-empty /etc/netns
	[ "$output" = 'nameserver 10.74.0.9' ]
}

@test "run without our TCP is 125, with --fallback the kernel's" {
	jet up --kernel-only
	run -125 --separate-stderr jet run n1 -- true
	[[ $stderr == *'has no user-space TCP'*'--fallback'* ]]
	run -3 --separate-stderr jet run --fallback n1 -- sh -c 'test "$JETSTREAM_FALLBACK" = 1 && exit 3'
	[[ $stderr == *"the kernel's is used"* ]]
}

@test "run puts our library first in LD_PRELOAD" {
	[ -e "$O/lib/libjetstream-preload.so" ] && [ -e "$O/bin/jetconnd" ] || skip 'no user-space TCP yet'
	jet up
	run -0 env LD_PRELOAD=libm.so.6 "$JET" run -n "$LAB" n1 -- printenv LD_PRELOAD JETSTREAM_PREFIXES
	[ "${lines[0]}" = "$O/lib/libjetstream-preload.so:libm.so.6" ]
	[ "${lines[1]}" = 10.74.0.0/24,fd4a:5300::/64 ]
}

@test "two ups and a down at once: each waits for the other" {
	for _ in 1 2 3 4; do
		bg jet up -q
		a=$!
		bg jet up -q
		b=$!
		wait $a
		wait $b
		jet ping -c 1
		bg jet down -q
		c=$!
		bg jet up -q
		d=$!
		wait $c
		wait $d
		jet down -q
		gone
	done
}

@test "idle, all processes of a lab together use at most one tick in 5 s" {
	jet up --nodes 4
	jet ping -c 1
	[ "$(ticks | wc -l)" -eq 5 ]
	at_rest 5
}
