#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# setup.sh - a lab by hand, step by step, for those who like to see it
#
#	sudo netns/setup.sh up [NODES]	make the lab "lab", ping across it
#	sudo netns/setup.sh down	end it
#
# All of it is jet; "jet help" has the rest.
set -eu
jet=${O:-$(dirname "$0")/../build}/bin/jet

case ${1:-up} in
up)
	# Namespaces jet-lab-n1, …; the ring; jet0 up in each, 10.74.0.K/24.
	"$jet" up --nodes "${2:-2}" --rate 1g
	# Does everybody reach everybody?
	"$jet" ping
	# What went over the ring until now.
	"$jet" status
	;;
down)
	"$jet" down
	;;
*)
	echo "usage: setup.sh up [NODES] | down" >&2
	exit 2
	;;
esac
