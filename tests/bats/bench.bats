#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause
# bench.bats - that each benchmark runs and what it prints; never how fast

load helper

# The JSON in out.json is a benchmark's, and each jq EXPRESSION is a number
# greater than 0.
has_figures() {
	local e
	jq -e '.quick and .runs == 1 and (.bars | length > 0) and
	       all(.bars[]; (.met | type == "boolean") and (.value | type == "number") and
			    (.what | length > 0) and has("at_least") != has("at_most"))' out.json
	for e; do
		jq -e "(.tables | $e) | type == \"number\" and . > 0" out.json || {
			echo "$e"
			return 1
		}
	done
}


@test "bench pool: bulk, small, round trips, captured" {
	"$JET" bench pool --quick --json >out.json
	has_figures .bulk[0].pools_gbit_per_s .bulk[0].bare_gbit_per_s .bulk[0].ratio \
		.small[0].packets_per_s .round[0].mean_us .round[1].p99_us \
		.captured[0].ratio .captured[0].records
}

@test "bench ring: rate, fairness and error" {
	"$JET" bench ring --quick --json >out.json
	has_figures .ring[0].measured_gbit_per_s .ring[0].model_gbit_per_s .ring[1].jain \
		.ring[1].frames
}

@test "bench engine: segments, timers, sizes" {
	"$JET" bench engine --quick --json >out.json
	has_figures .segments[0].each_ns .segments[6].each_ns .timers[1].each_ns
}

@test "bench loss: goodput of both TCPs" {
	"$JET" bench loss --quick --json >out.json
	has_figures .loss[0].user_mbit_per_s .loss[0].kernel_mbit_per_s .loss[1].user_mbit_per_s \
		.loss[1].kernel_mbit_per_s
	jq -e 'all(.tables.loss[]; .user_failed == 0 and .kernel_failed == 0)' out.json
}

@test "a benchmark that is ended takes its lab down" {
	local pid lab
	"$JET" bench pool --seconds 100 >/dev/null &
	pid=$!
	BG+=("$pid")
	lab=bench-$pid
	wait_for 30 test -S "/run/jetstream/$lab/n2.sock"
	kill -TERM "$pid"
	wait "$pid" || [ $? -eq 143 ]
	[ ! -e "/run/jetstream/$lab" ]
	[ ! -e "/run/netns/jet-$lab-n1" ]
}
