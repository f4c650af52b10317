# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2154,SC2016 # run sets $stderr
# capture.bats - jet capture: filters, formats, rings of files, how it ends
#
#	n1 10.74.0.1 ---- n2 10.74.0.2 ---- n3 10.74.0.3
#
# What a filter lets through is counted against the same frames filtered by
# another program: tshark, tcpdump.
load helper

# count FILE: frames in it; fails if stock tools do not take the file.
count() {
	capinfos -TMrc "$1" | cut -f2
}

# pings FROM ADDRESS N [ARG...]: N questions, N answers.  For a late answer ping
# waits but for twice the longest time so far, if it has had any: the last
# question, asked alone, waits for all that are before it on the ring.
pings() {
	local from=$1 to=$2 n=$3
	shift 3
	[ "$n" -eq 1 ] || on "$from" ping -n -q -c $((n - 1)) -i 0.002 -W 10 "$@" "$to" >/dev/null
	on "$from" ping -n -q -c 1 -W 10 "$@" "$to" >/dev/null
}

# What stands in jet status of captures.
captures() {
	jet status --json | awk -v key="\"$1\":" '
		$1 == "\"capture\":" { on = 1 } on && $1 == key { sub(/,$/, "", $2); print $2; exit }'
}

dropped_some() { [ "$(captures dropped)" -gt 0 ]; }
nobody_captures() { [ "$(captures consumers)" -eq 0 ]; }

@test "filters: each lets through what it says, and nothing else" {
	jet up --kernel-only --nodes 3
	jet ping -c 1
	local filter=(
		'icmp' 'node n3 and icmp' 'vci 2049 and icmp' 'icmp and not vci 2049' 'stream 1 and icmp'
		'from n1 and icmp' 'to n1 and icmp' 'icmp[icmptype] == icmp-echo' 'icmp and (from n2 or to n3)'
		'bad and icmp' 'lost and icmp' 'corrupt and icmp' 'icmp and greater 1000' 'host 10.74.0.3 and icmp' 'icmp and token'
	)
	local want=(26 10 9 17 26 14 12 14 12 2 1 1 8 10 0)
	local i pid=()
	for i in "${!filter[@]}"; do
		# shellcheck disable=SC2086 # words
		start_capture "f$i.pcapng" ${filter[i]}
		pid[i]=$CAPTURE
	done
	start_capture all.pcapng
	# 3 questions and answers n1 to n2, 5 n1 to n3, one lost, one corrupted, 4 large n2 to n1
	pings n1 10.74.0.2 3
	pings n1 10.74.0.3 5
	jet link rule lose 'n1->n2' data=1 >/dev/null
	run -1 on n1 ping -n -q -c 1 -W 0.1 -s 400 10.74.0.2
	jet link rule corrupt 'n1->n2' data=1 >/dev/null
	run -1 on n1 ping -n -q -c 1 -W 0.1 -s 400 10.74.0.2
	pings n2 10.74.0.1 4 -s 1400
	kill -INT "${pid[@]}" "$CAPTURE"
	wait "${pid[@]}" "$CAPTURE"
	for i in "${!filter[@]}"; do
		[ "$(count "f$i.pcapng")" = "${want[i]}" ] ||
			{ echo "\"${filter[i]}\": $(count "f$i.pcapng") frames, not ${want[i]}"; false; }
		# The same from a file.
		# shellcheck disable=SC2086
		jet capture -q -r all.pcapng -w again.pcapng ${filter[i]}
		[ "$(count again.pcapng)" = "${want[i]}" ]
	done
}

@test "formats: stock tcpdump and capinfos read them, with filters" {
	jet up --kernel-only
	start_capture c.pcapng
	printf 'GET /' | on n1 socat -u - TCP4:10.74.0.2:80 || true		# refused: SYN, RST
	pings n1 10.74.0.2 2
	end_capture
	all=$(count c.pcapng)
	ip=$(tests_tshark c.pcapng ip)
	arp=$(tests_tshark c.pcapng arp)
	tcp=$(tests_tshark c.pcapng 'tcp && ip.addr == 10.74.0.1')
	syn=$(tests_tshark c.pcapng 'tcp.flags.syn == 1 && tcp.flags.ack == 0')
	[ "$syn" -ge 1 ] && [ "$tcp" -eq $((2 * syn)) ]
	for format in pcap sunatm raw; do
		jet capture -q -r c.pcapng --format $format -w "c.$format"
	done
	[ "$(count c.pcap)" = "$all" ]
	[ "$(count c.sunatm)" = $((ip + arp)) ]
	[ "$(count c.raw)" = "$ip" ]
	for format in sunatm raw; do
		[ "$(tcpdump -nr c.$format 'tcp and host 10.74.0.1' 2>/dev/null | wc -l)" -eq "$tcp" ]
		[ "$(tcpdump -nr c.$format 'tcp dst port 80' 2>/dev/null | grep -c '10.74.0.1.*> 10.74.0.2.80: Flags \[S\]')" -eq "$syn" ]
		[ "$(tcpdump -nr c.$format icmp 2>/dev/null | wc -l)" -eq 4 ]
	done
	[ "$(tcpdump -nr c.sunatm arp 2>/dev/null | wc -l)" -eq "$arp" ]
	[ "$(tcpdump -nr c.sunatm 'vci 2049 and icmp' 2>/dev/null | wc -l)" -eq 2 ]
	# Straight from the ring, into a pipe, to the nanosecond.
	bg_on n1 ping -n -q -i 0.01 10.74.0.2
	jet capture -q --format sunatm -c 4 icmp | tcpdump -n --nano -r - >piped 2>/dev/null
	[ "$(grep -c 'ICMP echo' piped)" -eq 4 ]
	grep -Eq '^[0-9:]+\.[0-9]{9} ' piped
}

# tests_tshark FILE FILTER: how many frames it finds
tests_tshark() { frames "$1" "$2" frame.number | wc -l; }

@test "snap length: less is kept, the true length stays known" {
	jet up --kernel-only
	jet ping -c 1
	bg_on n1 ping -n -q -i 0.01 10.74.0.2
	jet capture -q -s 60 -c 4 -w c.pcapng icmp
	[ "$(frames c.pcapng jetstream frame.cap_len frame.len | sort -u)" = $'92\t133' ]
	jet capture -q -r c.pcapng --format raw -w c.raw
	[ "$(frames c.raw ip frame.cap_len frame.len ip.len | sort -u)" = $'55\t84\t84' ]
	run -2 jet capture -s 31 -w x
}

@test "a ring of files: never more than n, each whole, the sum complete" {
	jet up --kernel-only
	jet ping -c 1
	start_capture some.pcapng --ring files:3,size:4 icmp
	some=$CAPTURE
	start_capture all.pcapng --ring files:1000,size:4 icmp
	for _ in 1 2 3 4 5; do
		pings n1 10.74.0.2 40
		files=(some_*.pcapng)
		[ "${#files[@]}" -le 3 ]
	done
	kill -TERM "$some" "$CAPTURE"
	wait "$some" "$CAPTURE"
	sum=0
	for f in all_*_20*.pcapng; do
		n=$(count "$f")
		[ "$n" -ge 1 ]
		[ "$(stat -c %s "$f")" -le $((4096 + 3 * 52)) ]
		sum=$((sum + n))
	done
	[ "$sum" -eq 400 ]
	files=(some_*.pcapng)
	[ "${#files[@]}" -eq 3 ]
	for f in "${files[@]}"; do
		[ "$(frames "$f" jetstream frame.interface_name | sort -u | paste -sd' ')" = 'n1 n2' ]
	done
	run -2 jet capture --ring files:3,size:4 -w -
	run -2 jet capture --ring files:3 -w x
}

@test "however it ends, the file is whole: TERM, HUP, KILL, the end of jetringd, a full disk" {
	jet up --kernel-only
	jet ping -c 1
	for sig in TERM HUP KILL ring; do
		start_capture $sig.pcapng icmp
		pings n1 10.74.0.2 5
		if [ $sig = ring ]; then
			kill -KILL "$(ringd_pid)"
		elif [ $sig = KILL ]; then
			wait_for 10 has_frames KILL.pcapng 10
			kill -KILL "$CAPTURE"
		else
			kill -s $sig "$CAPTURE"
		fi
		wait_for 10 is_gone "$CAPTURE"
		[ "$(count $sig.pcapng)" -eq 10 ]
	done
	grep '10 frames captured' "bg.$((${#BG[@]} - 1))"
	jet up -q
	run -1 jet capture -w /dev/full -c 1
	[[ $output == *'No space left'* ]]
}

has_frames() { [ "$(count "$1")" -eq "$2" ]; }

@test "a duration of weeks is not cut short" {
	jet up --kernel-only
	start_capture c.pcapng --duration 4294967.3	# 4 ms, if only 32 bits of them count
	jet ping -q -c 3
	end_capture
	[ "$(count c.pcapng)" -ge 12 ]
}

@test "a reader that takes nothing: the ring goes on, drops are counted and told" {
	jet up --kernel-only --rate unlimited
	jet ping -c 1
	mkfifo fifo
	exec 8<>fifo						# open, and nobody reads
	start_capture fifo 8>&-
	bg_on n1 socat -u -b60000 OPEN:/dev/zero UDP4-SENDTO:10.74.0.2:9
	blast=$!
	wait_for 30 dropped_some
	end "$blast"
	bg cp fifo got.pcapng 8>&-
	reader=$!
	kill -TERM "$CAPTURE"
	wait "$CAPTURE"
	exec 8>&-
	wait_for 10 is_gone "$reader"
	wait_for 10 nobody_captures
	grep -E '[0-9]+ frames captured, [1-9][0-9]* dropped' bg.0
	dropped=$(sed -n 's/.*captured, \([0-9]*\) dropped.*/\1/p' bg.0)
	frames=$(sed -n 's/.* \([0-9]*\) frames captured.*/\1/p' bg.0)
	[ "$(captures dropped)" -eq "$dropped" ]
	[ "$(count got.pcapng)" -eq "$frames" ]
	run -0 jet capture -r got.pcapng -w /dev/null
	[[ $output == *"$frames frames taken, $dropped dropped"* ]]
	run -0 jet status
	[[ $output == *"$dropped dropped"* ]]
}

@test "a reader that takes nothing does not keep us from ending" {
	jet up --kernel-only --rate unlimited
	jet ping -c 1
	mkfifo fifo
	exec 8<>fifo
	start_capture fifo 8>&-
	on n1 ping -n -q -c 30 -i 0.002 -s 60000 10.74.0.2 >/dev/null
	kill -TERM "$CAPTURE"
	st=0
	wait "$CAPTURE" || st=$?
	[ "$st" -eq 143 ]
	exec 8>&-
	grep 'gave up' bg.0
}

@test "a capture that is stopped for a while misses nothing that its queue holds" {
	jet up --kernel-only
	jet ping -c 1
	start_capture c.pcapng icmp
	stop "$CAPTURE"
	pings n1 10.74.0.2 50
	pings n1 10.74.0.2 30 -s 60000
	kill -CONT "$CAPTURE"
	end_capture
	[ "$(count c.pcapng)" -eq 160 ]
}

niceness() { awk '{ print $19 }' "/proc/$CAPTURE/stat"; }
has_niceness() { jet ping -q -c 1 && [ "$(niceness)" -eq "$1" ]; }

@test "a capture stands back for a fast ring, and not for others" {
	jet up --kernel-only
	start_capture c.pcapng
	usual=$(niceness)
	[ "$usual" -le 0 ] || skip 'we have been told to stand back, too'
	has_niceness "$usual"
	jet up -q --kernel-only --rate unlimited
	wait_for 10 has_niceness $((usual + 19))
	jet up -q --kernel-only --rate 100M
	wait_for 10 has_niceness "$usual"
	end_capture
}

@test "from a file: bad files and bad filters are one sentence" {
	jet up --kernel-only
	start_capture c.pcapng
	jet ping -c 1
	end_capture
	n=$(count c.pcapng)
	head -c -20 c.pcapng >cut.pcapng
	run -1 jet capture -r cut.pcapng -w again.pcapng
	[[ $output == *"cut short after $n frames"* ]]
	[ "$(count again.pcapng)" -eq "$n" ]
	echo 'this is no capture' >text
	run -1 jet capture -r text -w again.pcapng
	[[ $output == *'no pcapng'* ]]
	run -1 jet capture -r /nowhere -w again.pcapng
	run -2 jet capture -r c.pcapng -s 100 -w again.pcapng
	run -2 jet capture -w x --format gif
	[[ $output == *'pcapng, pcap, sunatm or raw'* ]]
	run -2 jet capture -w x vci many
	[[ $output == *'"vci" wants a number'* ]]
	run -2 jet capture -w x tcp and and
	[ "$(jet capture -q -r c.pcapng n2 icmp | capinfos -TMrc - | cut -f2)" -eq 2 ]
}

# As Wireshark calls it.
extcap() { "$O/extcap/jetextcap" "$@"; }

@test "extcap: labs are interfaces, with link type and options" {
	jet up --kernel-only --nodes 3
	local if=jetstream:$LAB
	run -0 extcap --extcap-interfaces --extcap-version=4.0
	[[ $output == *"interface {value=$if}{display=Jetstream ring $LAB}"* ]]
	run -0 extcap --extcap-dlts --extcap-interface "$if"
	[ "$output" = 'dlt {number=157}{name=USER10}{display=HP Jetstream}' ]
	run -0 extcap --extcap-config --extcap-interface "$if" --of-a-later-version 9
	[ "$(grep -c '^arg ' <<<"$output")" -eq 4 ]
	[ "$(grep -c '^value {arg=0}{value=n[123]}' <<<"$output")" -eq 3 ]
	[ -z "$(extcap --extcap-interface "$if" --extcap-capture-filter 'node n1 and tcp')" ]
	[ -n "$(extcap --extcap-interface "$if" --extcap-capture-filter 'node n1 and and')" ]
	run -1 extcap --extcap-config --extcap-interface jetstream:none-such
	run -1 extcap --extcap-dlts --extcap-interface eth0
	jet down -q
	[[ $(extcap --extcap-interfaces) != *"$LAB"* ]]
}

@test "extcap: a capture into Wireshark's pipe, with its options, until TERM" {
	jet up --kernel-only --nodes 3
	jet ping -c 1
	mkfifo fifo
	bg "$O/extcap/jetextcap" --capture --extcap-interface "jetstream:$LAB" --fifo fifo \
		--extcap-capture-filter icmp --nodes n1,n3 --rx false --tokens true --snaplen 100
	capture=$!
	bg cp fifo got.pcapng
	reader=$!
	wait_for 10 somebody_captures
	pings n1 10.74.0.2 3
	kill -TERM "$capture"
	wait "$capture"
	wait "$reader"
	[ ! -s bg.0 ]							# or Wireshark shows it
	[ "$(count got.pcapng)" -eq 3 ]
	[ "$(frames got.pcapng jetstream frame.cap_len frame.interface_name | sort -u)" = $'132\tn1' ]
	# Ended before anybody reads, and when the reader goes.
	bg "$O/extcap/jetextcap" --capture --extcap-interface "jetstream:$LAB" --fifo fifo
	capture=$!
	wait_for 10 somebody_captures
	end "$capture"
	bg "$O/extcap/jetextcap" --capture --extcap-interface "jetstream:$LAB" --fifo fifo
	capture=$!
	head -c 28 fifo >/dev/null
	wait_for 10 is_gone "$capture"
}

somebody_captures() { ! nobody_captures; }

@test "extcap: tshark finds the lab and captures from it" {
	jet up --kernel-only
	jet ping -c 1
	mkdir -p cfg/wireshark/extcap
	ln -s "$O/bin/jet" cfg/wireshark/extcap/jetextcap
	local shark=(env HOME="$PWD" XDG_CONFIG_HOME="$PWD/cfg" tshark)
	"${shark[@]}" -D >interfaces 2>/dev/null
	grep -q "jetstream:$LAB (Jetstream ring $LAB)" interfaces
	bg "${shark[@]}" -q -i "jetstream:$LAB" -f icmp -c 4 -w live.pcapng
	wait_for 20 somebody_captures
	pings n1 10.74.0.2 2
	wait_for 20 is_gone "${BG[-1]}"
	[ "$(frames live.pcapng icmp frame.interface_name | sort -u | paste -sd' ')" = 'n1 n2' ]
	[ "$(count live.pcapng)" -eq 4 ]
	wait_for 10 nobody_captures
}

@test "make install puts plugin, profile and extcap where Wireshark looks" {
	# What is built, with whatever flags.
	make -s -o all -C "$SRC" O="$O" DESTDIR="$PWD/root" install >/dev/null
	dir=root/$(pkg-config --variable=plugindir wireshark)
	[ -f "$dir/epan/jetstream.so" ]
	[ "$(readlink "$dir/../../extcap/jetextcap")" = /usr/local/sbin/jet ]
	[ -x root/usr/local/sbin/jet ]
	[ -f root/usr/share/wireshark/profiles/Jetstream/preferences ]
	make -s -C "$SRC" O="$O" DESTDIR="$PWD/root" uninstall >/dev/null
	[ -z "$(find root ! -type d)" ]
}
