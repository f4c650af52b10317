# SPDX-License-Identifier: BSD-2-Clause
# demo.bats - "make demo" does the main job, and leaves only its captures
load helper

more_setup() {
	LAB=jtdemo-$$
	export LAB
}

# Nobody who was told to end is still about it.
no_command() { ! pgrep -f -- "-n $LAB "; }

more_teardown() { rm -rf "${O:?}/$LAB"; }

@test "the demo: each transfer arrives as it was, one connection is shown, captures are left" {
	LIMIT=170 run -0 --separate-stderr "$SRC/netns/demo.sh"
	[[ $output != *DIFFERS* ]]
	[ "$(grep -c ' same$' <<<"$output")" -ge 4 ]
	grep -E 'SYN +0 +0 +0 +good$' <<<"$output"
	grep -E 'FIN .*good$' <<<"$output"
	[ -s "$O/$LAB/transfers.pcapng" ]
	[ -s "$O/$LAB/connection.pcapng" ]
	[ ! -e "$O/$LAB/tmp" ]
	[ -z "$(ours)" ]
}

@test "the demo cleans up at once after TERM, INT and HUP" {
	for sig in TERM INT HUP; do
		# Transfers of seconds.
		env --default-signal=INT MIB=16 RATE=40m "$SRC/netns/demo.sh" >out 2>&1 3>&- &
		pid=$!
		BG+=("$pid")
		wait_for 30 grep -q PAIRING out
		wait_for 10 pgrep -f -- "-n $LAB .*(socat|nc) "
		kill -s $sig $pid
		wait_for 10 is_gone $pid
		[ -z "$(ours)" ]
		wait_for 10 no_command
		[ ! -e "$O/$LAB/tmp" ]
	done
}
