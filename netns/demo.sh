#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# demo.sh - the main job: real files between four nodes, over both TCPs
#
#	sudo make demo
#
#	n1 --- n2 --- n3 --- n4		1 Gbit/s ring; 10.74.0.1 to 10.74.0.4
#	user   user   kernel kernel	the TCP that each node uses here
#
# Unmodified programs (socat, nc, iperf3) move a tar of thousands of files and
# one large file in each pairing of the two TCPs, on a clean ring and with 1 %
# of the frames lost; SHA-256 is compared at the far end.  Then one connection
# is shown as Wireshark sees it.  Ends with status 1 if any transfer differs.
set -u
cd "$(dirname "$0")/.." || exit 1
O=${O:-$PWD/build}
export O
jet=$O/bin/jet
lab=${LAB:-demo}
out=$O/$lab
tmp=$out/tmp
rate=${RATE:-1g}
limit=${LIMIT:-60}		# seconds for one transfer
mib=${MIB:-64}			# of each file, the tar a bit more

pids=()
failed=0
tty=
[ ! -t 2 ] || tty=1

# --- beginning and end -------------------------------------------------------

clear_line() { [ -z "$tty" ] || printf '\r\033[K' >&2; }

# Started programs, the lab, temporary files: whatever happened.
cleanup() {
	trap '' INT TERM HUP
	local p
	clear_line
	for p in "${pids[@]}"; do
		pkill -P "$p"
		kill "$p" 2>/dev/null
	done
	"$jet" down -q -n "$lab"
	rm -rf "$tmp"
	[ -z "${SUDO_UID-}" ] || chown -R "$SUDO_UID:${SUDO_GID:-0}" "$out" 2>/dev/null
}

die() {
	clear_line
	printf 'demo: %s\n' "$*" >&2
	exit 1
}

# Long commands run in the background and are waited for: only so does a
# signal reach us at once.
start() {
	"$@" &
	pids+=($!)
}

await() {
	local status=0
	wait "$1" || status=$?
	return $status
}

say() {
	clear_line
	printf '%s\n' "$*"
}

progress() { [ -z "$tty" ] || printf '\r\033[K%s' "$*" >&2; }

# --- counters ------------------------------------------------------------------

# The sum of a counter over all nodes, from jet status: frames lost.
ring_counters() {
	"$jet" status -q -n "$lab" --json | awk '
		$1 == "\"tx_frames\":" { frames += $2 }
		$1 == "\"lost\":" { lost += $2 }
		$1 == "\"tx_bytes\":" { bytes += $2 }
		END { print frames + 0, lost + 0, bytes + 0 }'
}

kernel_retransmissions() {
	"$jet" exec -n "$lab" "$1" -- cat /proc/net/snmp | awk '
		$1 == "Tcp:" && !n { n = split($0, name); next }
		$1 == "Tcp:" { for (i = 2; i <= n; i++) if (name[i] == "RetransSegs") print $i }'
}

# Of our TCP: the lines that children write when a connection has ended.
user_retransmissions() {
	awk '/ closed / { for (i = 1; i <= NF; i++) if (sub(/^rexmt=/, "", $i)) n += $i }
		END { print n + 0 }' "/run/jetstream/$lab/$1-connd.log" 2>/dev/null
}

# retransmissions STACK NODE
retransmissions() { "${1}_retransmissions" "$2"; }

# --- the data ---------------------------------------------------------------------

make_data() {
	progress 'demo: collecting files'
	# Small ones, so that there are thousands; 72 MiB of them if mib is 64.
	find /usr/share /usr/include /usr/lib -xdev -type f -size -200k -printf '%s %p\n' 2>/dev/null |
		awk -v max=$((mib * 1048576 * 9 / 8)) '{ sum += $1 + 512; sub(/^[0-9]+ /, ""); print; if (sum > max) exit }' \
			>"$tmp/list"
	tar -cf "$tmp/files.tar" --no-recursion -P -T "$tmp/list" 2>/dev/null || die 'cannot make the tar'
	head -c $((mib * 1048576)) /dev/urandom >"$tmp/large"
	[ "$(stat -c %s "$tmp/files.tar")" -ge $((mib * 1048576)) ] || die 'not enough files below /usr'
	sha256sum <"$tmp/files.tar" >"$tmp/files.sum"
	sha256sum <"$tmp/large" >"$tmp/large.sum"
}

# --- a transfer ------------------------------------------------------------------

# in_node STACK NODE CMD...: with that TCP; replaces this (sub)shell.
in_node() {
	local verb=exec node=$2
	[ "$1" = kernel ] || verb=run
	shift 2
	exec "$jet" $verb -q -n "$lab" -T "$limit" "$node" -- "$@"
}

# A listener of either TCP is one of the kernel's, too: it holds the address.
listens() {
	"$jet" exec -n "$lab" "$1" -- ss -Hltn "sport = :$2" | grep -q .
}

wait_listening() {
	local i
	for ((i = 0; i < 250; i++)); do
		! listens "$1" "$2" || return 0
		kill -0 "$3" 2>/dev/null || return 1
		read -rt 0.02 <> <(:) || :
	done
	return 1
}

# The receiving end: its SHA-256 goes to $tmp/got.
receive() {
	local stack=$1 node=$2 program=$3 port=$4
	case $program in
	socat) (in_node "$stack" "$node" socat -u -b 262144 "TCP-LISTEN:$port,reuseaddr" -) ;;
	nc) (in_node "$stack" "$node" nc -l "$port" </dev/null) ;;
	esac | sha256sum >"$tmp/got"
}

send() {
	local stack=$1 node=$2 program=$3 addr=$4 port=$5 file=$6
	case $program in
	socat) in_node "$stack" "$node" socat -u -b 262144 "OPEN:$file" "TCP:$addr:$port" ;;
	nc) in_node "$stack" "$node" nc -N "$addr" "$port" <"$file" ;;
	esac
}

# While @2 runs: how far it is, on a terminal.
watch_transfer() {
	local what=$1 pid=$2 start=$3 size=$4 now
	[ -n "$tty" ] || return 0
	while kill -0 "$pid" 2>/dev/null; do
		read -r _ _ now < <(ring_counters)
		progress "$what: $(((now - start) * 100 / size)) %"
		read -rt 0.25 <> <(:) || :
	done
}

row='%-14s %-7s %-24s %11s %7s %7s %8s %8s %6s  %s\n'

# transfer FROM-STACK FROM-NODE TO-STACK TO-NODE RING PROGRAM FILE SUM WHAT
transfer() {
	local from=$1 src=$2 to=$3 dst=$4 ring=$5 program=$6 file=$7 sum=$8 what=$9
	local port=$((5000 + RANDOM % 1000)) addr=10.74.0.${4#n} size t0 t1 us
	local f0 l0 b0 f1 l1 r0 r1 receiver sender ok='same' status=0
	size=$(stat -c %s "$file")
	rm -f "$tmp/got"
	start receive "$to" "$dst" "$program" "$port" 2>"$tmp/receive.err"
	receiver=$!
	wait_listening "$dst" "$port" "$receiver" || status=1
	read -r f0 l0 b0 < <(ring_counters)
	r0=$(retransmissions "$from" "$src")
	t0=${EPOCHREALTIME/[.,]/}
	start send "$from" "$src" "$program" "$addr" "$port" "$file" 2>"$tmp/send.err"
	sender=$!
	watch_transfer "$from->$to, $ring ring, $what" "$sender" "$b0" "$size"
	await "$sender" || status=$?
	[ $status -eq 0 ] || kill "$receiver" 2>/dev/null
	await "$receiver" || status=$?
	t1=${EPOCHREALTIME/[.,]/}
	us=$((t1 - t0))
	read -r f1 l1 _ < <(ring_counters)
	r1=$(retransmissions "$from" "$src")
	if [ $status -ne 0 ] || [ "$(cat "$tmp/got" 2>/dev/null)" != "$sum" ]; then
		ok=DIFFERS
		failed=1
	fi
	clear_line
	# shellcheck disable=SC2059 # one format for all rows
	printf "$row" "$from->$to" "$ring" "$what" "$size" "$((us / 1000000)).$(printf %02d $((us % 1000000 / 10000)))" \
		$((size * 8 / us)) $((f1 - f0)) "$([ -z "$r1" ] && echo - || echo $((r1 - r0)))" $((l1 - l0)) "$ok"
	if [ $ok = DIFFERS ]; then
		sed 's/^/    /' "$tmp/send.err" "$tmp/receive.err"
	fi
}

have_user() {
	[ -x "$O/bin/jetconnd" ] && [ -e "$O/lib/libjetstream-preload.so" ]
}

# pairing FROM-STACK FROM-NODE TO-STACK TO-NODE RING
pairing() {
	if [ "$1$3" != kernelkernel ] && ! have_user; then
		# shellcheck disable=SC2059
		printf "$row" "$1->$3" "$5" 'not yet' - - - - - - -
		return
	fi
	transfer "$@" socat "$tmp/files.tar" "$tar_sum" "tar, $n_files files, socat"
	transfer "$@" nc "$tmp/large" "$large_sum" "$mib MiB file, nc"
}

all_pairings() {
	pairing user n1 user n2 "$1"
	pairing user n1 kernel n4 "$1"
	pairing kernel n3 user n2 "$1"
	pairing kernel n3 kernel n4 "$1"
}

# --- one connection, as Wireshark sees it ----------------------------------------

# capture FILE OPTION...: returns when it has begun; its pid is $capture.
capture() {
	local i
	start "$jet" capture -n "$lab" -w "$@" 2>"$tmp/capture.err"
	capture=${pids[-1]}
	for ((i = 0; i < 250; i++)); do
		! grep -q capturing "$tmp/capture.err" || return 0
		read -rt 0.02 <> <(:) || :
	done
	die "no capture: $(cat "$tmp/capture.err")"
}

end_capture() {
	kill -INT "$capture"
	await "$capture" || die "the capture failed: $(cat "$tmp/capture.err")"
}

one_connection() {
	local from=kernel src=n3 to=kernel dst=n4 receiver
	! have_user || { from=user src=n1 to=user dst=n2; }
	head -c 1000000 "$tmp/files.tar" >"$tmp/some"
	capture "$out/connection.pcapng"
	start receive $to $dst socat 7777
	receiver=$!
	wait_listening $dst 7777 "$receiver" || die "nobody listens on $dst"
	start send $from $src socat "10.74.0.${dst#n}" 7777 "$tmp/some"
	await "${pids[-1]}" || failed=1
	await "$receiver" || failed=1
	[ "$(cat "$tmp/got")" = "$(sha256sum <"$tmp/some")" ] || failed=1
	end_capture
	say
	say "One connection, $from->$to, as tshark and our plugin see it ($out/connection.pcapng):"
	say
	show_connection "$out/connection.pcapng" >"$tmp/shown" &
	await $! || die 'tshark failed'
	if [ "$(wc -l <"$tmp/shown")" -gt 24 ]; then
		head -n 15 "$tmp/shown"
		printf '%8s  %d more\n' … $(($(wc -l <"$tmp/shown") - 23))
		tail -n 8 "$tmp/shown"
	else
		cat "$tmp/shown"
	fi
}

show_connection() {
	printf '%8s  %-10s %-12s %-12s %-14s %9s %9s %6s  %s\n' SECONDS NODES 'VCI STREAM' RXVCI FLAGS SEQ ACK LEN CRC
	tests/lib/tshark -n -r "$1" -Y tcp.port==7777 -T fields -E separator='|' \
		-e frame.time_relative -e jetstream.src -e jetstream.dst -e jetstream.vci.stream \
		-e jetstream.rxvci.stream -e tcp.flags -e tcp.seq -e tcp.ack -e tcp.len \
		-e jetstream.cpcs.crc.status |
	while IFS='|' read -r t src dst stream rx flags seq ack len crc; do
		case $stream in 1) stream='1 (IP)' ;; 2) stream='2 (divert)' ;; esac
		local f=
		((flags & 2)) && f+='SYN '
		((flags & 1)) && f+='FIN '
		((flags & 4)) && f+='RST '
		((flags & 8)) && f+='PSH '
		((flags & 16)) && f+='ACK '
		[ "$crc" = 1 ] && crc=good
		printf '%8.6f  %-10s %-12s %-12s %-14s %9s %9s %6s  %s\n' "$t" "$src->$dst" "$stream" "${rx:--}" "$f" \
			"$seq" "$ack" "$len" "$crc"
	done
}

# Where Wireshark finds the plugin if it is told the directory.
plugin_dir() {
	local version
	version=$(tshark --version 2>/dev/null | sed -n '1s/^[^0-9]*\([0-9]*\.[0-9]*\)\..*/\1/p')
	mkdir -p "$out/plugins/$version/epan"
	cp "$O/plugin/jetstream.so" "$out/plugins/$version/epan/"
}

# --- what is done --------------------------------------------------------------------

[ "$(id -u)" -eq 0 ] || { echo 'demo: this needs root: sudo make demo' >&2; exit 1; }
for p in socat nc tar ss tshark sha256sum; do
	command -v $p >/dev/null || die "there is no $p; \"sudo make deps\" installs what is needed"
done
[ -x "$jet" ] || die "there is no $jet; type make"

trap cleanup EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

rm -rf "$out"
mkdir -p "$tmp"
"$jet" down -q -n "$lab" || exit 1
kernel_only=
have_user || kernel_only=--kernel-only
# shellcheck disable=SC2086 # empty is no argument
start "$jet" up -q -n "$lab" -t netns/topologies/four-nodes.ini --rate "$rate" $kernel_only
await "${pids[-1]}" || exit 1
start make_data
await "${pids[-1]}" || exit 1
n_files=$(wc -l <"$tmp/list")
tar_sum=$(cat "$tmp/files.sum")
large_sum=$(cat "$tmp/large.sum")

say "Four nodes on a $rate ring; $n_files files in a tar of $(($(stat -c %s "$tmp/files.tar") / 1048576)) MiB, and one file of $mib MiB."
say
# shellcheck disable=SC2059
printf "$row" PAIRING RING WHAT BYTES SECONDS MBIT/S FRAMES RETRANS LOST SHA-256
capture "$out/transfers.pcapng" -s 320
all_pairings clean
"$jet" link set -n "$lab" all loss=1% seed=1995
all_pairings '1% lost'
"$jet" link set -n "$lab" all loss=0%
end_capture
one_connection
plugin_dir

say
say "Both captures open in Wireshark (the transfers' with the first 320 octets of each frame) with"
say "  WIRESHARK_PLUGIN_DIR=$out/plugins wireshark $out/transfers.pcapng"
[ $failed -eq 0 ] || die 'a transfer differs'
