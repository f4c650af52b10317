# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154 # run sets $output, $stderr
# impair.bats - impairments of links, set and shown by jet, seen by kernels and TCPs
#
#	n1 10.74.0.1 ---- n2 10.74.0.2 ---- n3 10.74.0.3
load helper

# link_counter 'n1->n2' KEY: from jet link show --json.
link_counter() {
	jet link show --json | awk -v src="\"${1%%->*}\"," -v dst="\"${1##*->}\"," -v key="\"$2\":" '
		$1 == "\"src\":" { s = $2 }
		$1 == "\"dst\":" { d = $2 }
		$1 == key && s == src && d == dst { sub(/,$/, "", $2); print $2; exit }'
}

# pings N FROM ADDRESS: sends N pings; the numbers of those answered.  All at
# once: ping waits for -i at least, and answers that are late count.
pings() {
	on "$2" ping -n -c "$1" -l "$1" -i 1 "$3" |
		sed -n 's/.*bytes from.*icmp_seq=\([0-9]*\) .*/\1/p' || true
}

# settings: a line a pair, "n1->n2 WORD...".
settings() {
	jet link show --json | sed -n 's/^ *"\(src\|dst\|set\)": *"\(.*\)",$/\2/p' | paste -d ' ' - - - |
		sed 's/ /->/'
}

nothing_waits() { [ "$(link_counter 'n1->n2' waiting)$(link_counter 'n2->n1' waiting)" = 00 ]; }

@test "delay: a round trip takes that much longer; the ring itself does not wait" {
	jet up --kernel-only --nodes 3
	jet ping -c 1
	jet link set 'n1<->n2' delay=15ms
	run -0 on n1 ping -n -q -c 3 -i 0.01 -W 10 10.74.0.2
	min=$(sed -n 's|^rtt.* = \([0-9]*\)\..*|\1|p' <<<"$output")
	[ "$min" -ge 30 ]
	[ "$(link_counter 'n1->n2' delayed)" -ge 3 ]
	[ "$(link_counter 'n1->n3' delayed)" -eq 0 ]
	# Multicast: the question to n2 is delayed, the same frame to n3 is not.
	on n1 ip neigh flush dev jet0
	run -0 on n1 ping -n -q -c 1 -W 10 10.74.0.3
	[ "$(link_counter 'n1->n3' delayed)" -eq 0 ]
	[ "$(link_counter 'n1->n2' delayed)" -ge 4 ]
}

@test "duplicates and reordering: counted, and seen in a capture" {
	jet up --kernel-only
	no_arp
	jet link set 'n1->n2' delay=30ms duplicate=20% reorder=25% seed=3
	start_capture c.pcapng --rx
	run -0 on n1 ping -n -q -c 40 -i 0.005 -W 10 10.74.0.2
	[[ $output == *' duplicates'* ]]
	wait_for 10 nothing_waits
	end_capture
	dup=$(link_counter 'n1->n2' duplicated)
	[ "$dup" -ge 1 ]
	frames c.pcapng jetstream.cap.dir jetstream.cap.frame_id jetstream.cap.ring_ns jetstream.cap.dir \
		jetstream.cap.station jetstream.cap.flags.dup jetstream.cap.flags.reorder \
		jetstream.cap.flags.delayed >all
	# As the sender's second record, and as the second arrival.
	[ "$(awk '$3 == 1 && $5 == 1' all | wc -l)" -eq "$dup" ]
	[ "$(awk '$3 == 2 && $5 == 1' all | wc -l)" -eq "$dup" ]
	[ "$(awk '$3 == 2 && $6 == 1' all | wc -l)" -eq "$(link_counter 'n1->n2' reordered)" ]
	[ "$(awk '$3 == 2 && $7 == 1' all | wc -l)" -eq "$(link_counter 'n1->n2' delayed)" ]
	# Arrivals at n2 are recorded as they came: later frames before earlier ones, time going on.
	awk '$3 == 2 && $4 == 2' all >arrivals
	awk '$1 < last { before++ } { last = $1 } END { exit !before }' arrivals
	# (To the millisecond: one that finds the ring idle may have come just before
	# the one whose delay was over, and be seen after it.)
	awk '$2 < ns - 1e6 { print "time goes back: " $0; bad = 1 } { ns = $2 } END { exit bad }' arrivals
	# The sender's are in the order of the ring.
	awk '$3 == 1 { print $1 }' all >sent
	[ -s sent ]
	sort -nc sent
}

@test "rate: iperf3 gets no more than the pair's rate; what finds no room is counted" {
	jet up --kernel-only
	jet link set 'n1->n2' rate=20M limit=4
	bg_on n2 iperf3 -s -1
	wait_for 10 is_listening n2 5201
	start_capture c.pcapng --rx
	run -0 on n1 iperf3 -c 10.74.0.2 -t 2 -J
	end_capture
	# By the ring's clock.  What is late, because jetringd had no processor, is not more
	# than what waits: 4 frames.
	frames c.pcapng 'jetstream.cap.dir == 2 && jetstream.vci.ring_id == 2' \
		jetstream.cap.ring_ns jetstream.cap.frame_len | sort -n >all
	awk 'NR == 1 { first = $1; next }
		len > 50000 && $2 > 50000 { print $2 * 8e9 / ($1 - at) }
		{ bits += $2 * 8; at = $1; len = $2 }
		END { print bits " bits in " (at - first) / 1e9 " s" >"/dev/stderr"
			exit bits > 20e6 * (at - first) / 1e9 + 4 * 61541 * 8 }' all >rates
	sort -n rates | awk '{ r[NR] = $1 }
		END { half = r[int((NR + 1) / 2)]
			print NR " large frames, half of them at " half " bit/s at most"
			exit NR < 10 || half > 20.2e6 || half < 1e6 }'
	[ "$(link_counter 'n1->n2' limit_drops)" -ge 1 ]
	[ "$(stat_of n1 lost)" -eq "$(link_counter 'n1->n2' limit_drops)" ]
}

@test "gemodel: losses come in bursts, the same for the same seed" {
	jet up --kernel-only
	no_arp
	for i in 1 2; do
		jet link set 'n1->n2' loss=gemodel:10%,20% seed=11
		pings 100 n1 10.74.0.2 >"answered.$i"
	done
	diff answered.1 answered.2
	# At least one burst of four; at random it would take a third of all to have that.
	awk '$1 - last > 4 { burst++ } { last = $1 } END { exit !burst }' answered.1
	lost=$(link_counter 'n1->n2' lost)
	[ "$lost" -eq $((200 - 2 * $(wc -l <answered.1))) ]
}

@test "corrupt: each is a bad CRC at the receiver's adapter" {
	jet up --kernel-only
	no_arp
	jet link set 'n1->n2' corrupt=30% seed=5
	n=$(pings 40 n1 10.74.0.2 | wc -l)
	[ "$n" -lt 40 ]
	[ "$(stat_of n2 rx_bad_crc)" -eq $((40 - n)) ]
	[ "$(link_counter 'n1->n2' corrupted)" -eq $((40 - n)) ]
	[ "$(stat_of n1 corrupted)" -eq $((40 - n)) ]
}

@test "everything at once: TCP of both kinds gets a file across as it was" {
	jet up
	head -c 3000000 /dev/urandom >file
	jet link set ring delay=1ms jitter=500us loss=gemodel:2%,50% duplicate=5% reorder=5% corrupt=4% \
		rate=500M seed=7
	for how in on with; do
		wait_for 10 nobody_listens n2 5001
		"bg_$how" n2 socat -u TCP-LISTEN:5001,reuseaddr OPEN:got,creat,trunc
		server=$!
		wait_for 10 is_listening n2 5001
		"$how" n1 socat -u OPEN:file TCP:10.74.0.2:5001
		wait_for 60 is_gone "$server"
		cmp file got
	done
	for key in lost duplicated corrupted delayed reordered; do
		sum=$(($(link_counter 'n1->n2' $key) + $(link_counter 'n2->n1' $key)))
		echo "$key: $sum"
		[ "$sum" -ge 1 ]
	done
}

@test "a rule: this frame is delayed, that one comes twice" {
	jet up --kernel-only
	no_arp
	jet link rule delay 'n1->n2' frame=2 by=40ms
	jet link rule duplicate 'n1->n2' vci=2049 frame=4
	jet link rule lose n1 stream=700
	run -0 jet link rule show
	grep -E '^delay +n1->n2 +any +- +frame=2 by=40ms$' <<<"$output"
	grep -E '^duplicate +n1->n2 +any +2049 +frame=4$' <<<"$output"
	grep -E '^lose +n1 +700 +- +data=1$' <<<"$output"
	run -0 on n1 ping -n -c 5 -i 0.1 -W 10 10.74.0.2
	[ "$(grep -c 'DUP!' <<<"$output")" -eq 1 ]
	[[ $output == *'icmp_seq=4 '*'DUP!'* ]]
	ms=$(sed -n 's/.*icmp_seq=2 .*time=\([0-9]*\)[. ].*/\1/p' <<<"$output")
	[ "$ms" -ge 40 ]
	[ "$(link_counter 'n1->n2' delayed)" -eq 1 ]
	run -0 jet link rule show
	[ "${#lines[@]}" -eq 2 ]
	jet link reset
	run -0 jet link rule show
	[ "${#lines[@]}" -eq 1 ]
}

@test "link set changes what it names, for the pairs it names; show and reset" {
	jet up --kernel-only --nodes 3
	jet link set 'n1->n2' delay=2ms loss=1% seed=7
	jet link set 'n1->n2' loss=gemodel:1%,25%
	jet link set n3 rate=10M
	run -0 jet link show
	grep -E '^n1->n2 .* delay=2ms loss=gemodel:1%,25%,100%,0% seed=7 ' <<<"$output"
	[ "$(grep -c ' rate=10M ' <<<"$output")" -eq 4 ]
	[ "$(link_counter 'n1->n2' delay_ns)" = 2000000 ]
	[ "$(link_counter 'n1->n2' r_percent)" = 25 ]
	[ "$(link_counter 'n2->n3' rate_bps)" = 10000000 ]
	jet link reset n3
	run -0 jet link show
	[ "$(grep -c ' rate=10M ' <<<"$output")" -eq 0 ]
	[ "$(grep -c ' delay=2ms ' <<<"$output")" -eq 1 ]
	jet link set ring corrupt=1%
	jet link reset
	run -0 jet link show
	[[ $output != *=* ]]
}

@test "topology: links as the file has them; up converges, and leaves alone what is right" {
	cat >t.ini <<-'END'
		[lab]
		kernel-only = yes
		[link ring]
		delay = 1ms
		[link n1<->n2]
		jitter = 200us
		loss = gemodel:1%,50%
		[link n1->n2]
		rate = 100M
		limit = 50
		seed = 5
	END
	printf '[node n3]\n' >>t.ini
	jet up -t t.ini
	settings >is
	grep -x 'n1->n2 delay=1ms jitter=200us loss=gemodel:1%,50%,100%,0% rate=100M limit=50 seed=5' is
	grep -x 'n2->n1 delay=1ms jitter=200us loss=gemodel:1%,50%,100%,0%' is
	grep -x 'n1->n3 delay=1ms' is
	# The record says the same.
	cp "/run/jetstream/$LAB/topology.ini" again.ini
	grep -A3 -F '[link n1->n2]' again.ini | grep -F 'rate = 100M'
	jet link set 'n1->n2' loss=0%
	jet link set 'n2->n3' corrupt=100%
	on n1 ping -n -q -c 2 -i 0.01 -W 1 10.74.0.3 >/dev/null || true
	before=$(link_counter 'n1->n3' frames)
	[ "$before" -ge 1 ]
	for file in t.ini again.ini; do
		jet up -t $file
		settings >now
		diff is now
	done
	[ "$(link_counter 'n1->n3' frames)" -ge "$before" ]
	# Links of a node that is away wait for it.
	jet down n2
	cp "/run/jetstream/$LAB/topology.ini" away.ini
	jet up -t away.ini
	[ "$(settings | wc -l)" -eq 2 ]
	jet up -t t.ini
	settings >now
	diff is now
	# Without a file nobody said what the links should be.
	jet link set 'n1->n3' loss=2%
	jet up
	[ "$(link_counter 'n1->n3' loss_percent)" = 2 ]
}

@test "bad input is one sentence, status 2, and changes nothing" {
	jet up --kernel-only
	before=$(jet link show)
	n=0
	while IFS='|' read -r text words; do
		# shellcheck disable=SC2086 # words
		run -2 --separate-stderr jet link $words
		[ "${#stderr_lines[@]}" -eq 1 ]
		[[ $stderr == *"$text"* ]] || { echo "$words: $stderr"; false; }
		n=$((n + 1))
	done <<-'END'
		needs a link and what to set|set n1->n2
		"n1-n2" is no link|set n1-n2 loss=1%
		"loss=1": loss should be like|set n1->n2 loss=1
		"loss=200%": loss should be like|set n1->n2 loss=200%
		"loss=gemodel:1%": loss should be|set n1->n2 loss=gemodel:1%
		delay should be a time of at most 60s|set n1->n2 delay=61s
		delay should be a time|set n1->n2 delay=20
		rate should be like|set n1->n2 rate=fast
		limit should be a number of frames|set n1->n2 limit=0
		gap should be a number of frames|set n1->n2 gap=x
		seed should be a number|set n1->n2 seed=-1
		corrupt should be|set n1->n2 loss=5% corrupt=101%
		no "los"; did you mean "loss"?|set n1->n2 los=1%
		"loss" is no setting|set n1->n2 loss
		takes one link|reset n1 n2
		takes no "n1"|show n1
		did you mean "reset"?|rest
		write "jet link rule lose|rule eat n1->n2 data=1
		"data=0" is not|rule lose n1->n2 data=0
		wants by=TIME|rule delay n1->n2 data=1
	END
	[ "$n" -eq 20 ]
	run -1 jet link set 'n1->n9' loss=1%
	[ "$(jet link show)" = "$before" ]
}

@test "jet ping waits for an answer that is late" {
	jet up -q --kernel-only
	no_arp
	jet link rule delay 'n1->n2' frame=3 by=300ms
	jet ping
}
