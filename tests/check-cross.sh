#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# check-cross.sh - two tools that were built for different machines share their locks
#
# TOOL and OTHER_TOOL name them; both run here, one of them by an emulator perhaps.
# Each holds and dies once, and the other has to see it.

# shellcheck source=tests/tap.sh
. "${top_srcdir:?}/tests/tap.sh"

lock=$tmp/x.pid
attribute=user.lockfile_pid
holder=''
waiter=''
mkfifo "$tmp/ready" "$tmp/go" || exit 99

# Nothing here takes that long; what hangs is a failure, and ends by itself.
limit='timeout 60'

# hear FIFO, say FIFO: wait for the other end
hear()
{
	$limit cat "$tmp/$1"
}

say()
{
	# shellcheck disable=SC2016 # for the inner shell
	$limit sh -c 'echo >"$1"' sh "$tmp/$1"
}

# hold TOOL [OPTION...]: while a command waits to be told to go
hold()
{
	tool=$1
	shift
	# shellcheck disable=SC2016,SC2086 # for the inner shell; a list of words
	"$tool" run "$@" "$lock" $limit sh -c 'echo >"$1"; read -r go <"$2"' \
		sh "$tmp/ready" "$tmp/go" &
	holder=$!
	hear ready
}

# Its process keeps the lock, and no descriptor of it.
hold_without_descriptors()
{
	# shellcheck disable=SC2016 # for the inner shell
	"$1" run -F "$lock" sh -c '
		exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-
		echo >"$1"
		read -r go <"$2"' sh "$tmp/ready" "$tmp/go" &
	holder=$!
	hear ready
}

let_go()
{
	say go
	wait "$holder"
}

# What it ran lives on until it is told.
kill_holder()
{
	kill -KILL "$holder"
	! wait "$holder"
}

# wait_behind TOOL: in line, until it has the lock.  What it may say later stays unread.
wait_behind()
{
	rm -f "$tmp/waits"
	mkfifo "$tmp/waits"
	exec 9<>"$tmp/waits"
	$limit "$1" run -v "$lock" true 2>&9 &
	waiter=$!
	$limit head -n 1 <&9 | grep -w "$holder"
}

has_had_it()
{
	wait "$waiter"
}

# says TOOL STATUS: its check does, and names the holder
says()
{
	$limit "$1" check "$lock" >"$tmp/check"
	status=$?
	cat "$tmp/check"
	[ "$status" -eq "$2" ] && grep -w "$holder" "$tmp/check"
}

is_busy_for()
{
	$limit "$1" run -n -E 42 "$lock" true
	[ $? -eq 42 ]
}

is_had_by()
{
	$limit "$1" run -n "$lock" true
}

nothing_is_left()
{
	ls "$lock"*
	[ ! -e "$lock" ] && [ ! -e "$lock.queue" ] && [ ! -e "$lock.takeover" ]
}

# bytes FROM SIZE: of the attribute, in decimal
bytes()
{
	getfattr --absolute-names --only-values -n "$attribute" "$lock" | od -An -v -tu1 -j "$1" -N "$2"
}

# little_endian FROM SIZE: the number there
little_endian()
{
	bytes "$1" "$2" | awk '{ for (i = NF; i > 0; i--) n = n * 256 + $i; print n }'
}

is_little_endian()
{
	[ "$(little_endian 0 2)" = 1 ] &&
		[ "$(little_endian 4 4)" = "$holder" ] &&
		[ "$(little_endian 40 8)" = "$(awk '{ print $22 }' "/proc/$holder/stat")" ]
}

# What does not depend on the acquisition: version and flags, boot and namespaces.
constants()
{
	bytes 0 4 && bytes 16 8 && bytes 32 8 &&
		getfattr --absolute-names --only-values -n "$attribute" "$lock" | wc -c
}

keep_constants()
{
	constants >"$tmp/constants-$1"
}

are_the_same()
{
	cmp "$tmp/constants-1" "$tmp/constants-2"
}

# one_way FIRST NAME SECOND NAME NUMBER: the first holds, the second looks
one_way()
{
	expect "$2 holds" hold "$1"
	expect "$4 sees who holds" says "$3" 0
	expect "it is busy for $4" is_busy_for "$3"
	if getfattr -n "$attribute" "$lock" >"$tmp/said" 2>&1; then
		expect "the attribute of $2 is little-endian" is_little_endian
		keep_constants "$5"
	else
		skip "the attribute of $2 is little-endian" 'no user attributes here'
	fi
	expect "$4 stands in line" wait_behind "$3"
	expect "$2 lets go" let_go
	expect "$4 has had it" has_had_it
	expect 'nothing is left' nothing_is_left

	expect "$2 holds again" hold "$1"
	expect "$4 stands in line for it" wait_behind "$3"
	expect "$2 is killed" kill_holder
	expect "$4 has it" has_had_it
	say go

	expect "$2 holds, and nobody waits" hold "$1"
	expect "$2 is killed while nobody waits" kill_holder
	expect "$4 sees that it is dead" says "$3" 1
	expect "$4 takes over" is_had_by "$3"
	say go

	expect "$2 executes what holds" hold "$1" -F
	expect "$4 sees it" says "$3" 0
	let_go
	expect "$4 has what that left" is_had_by "$3"

	if [ -e "$tmp/constants-$5" ]; then
		expect "$2 holds without descriptors" hold_without_descriptors "$1"
		expect "$4 sees that it lives" says "$3" 0
		expect "so it is busy for $4" is_busy_for "$3"
		let_go
		expect "$4 takes over from it" is_had_by "$3"
	else
		skip "$2 holds without descriptors" 'no user attributes here'
	fi
	expect 'nothing is left in the end' nothing_is_left
}

if [ -z "${OTHER_TOOL-}" ]; then
	skip 'two tools share their locks' 'OTHER_TOOL names none'
else
	one_way "${TOOL:?}" 'this tool' "$OTHER_TOOL" 'the other' 1
	one_way "$OTHER_TOOL" 'the other tool' "$TOOL" 'this one' 2
	[ ! -e "$tmp/constants-1" ] || expect 'both write the same attribute' are_the_same
fi
finish
