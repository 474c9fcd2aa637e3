#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# check-examples.sh - the programs of examples/, in line and with the lock

# shellcheck source=tests/tap.sh
. "${top_srcdir:?}/tests/tap.sh"

dir=$tmp/dir
lock=$dir/lock.pid
holder='' waiter=''
mkdir "$dir"
mkfifo "$tmp/holder.in" "$tmp/waiter.in"
trap 'kill_both; rm -rf "$tmp"' EXIT

# shellcheck disable=SC2086 # what is empty is no argument
kill_both()
{
	[ -z "$holder$waiter" ] || kill -KILL $holder $waiter
}

# await COMMAND...: until it succeeds, ten seconds at most
await()
{
	tries=1000
	until "$@" 2>/dev/null; do
		tries=$((tries - 1))
		[ "$tries" -gt 0 ] || { echo "in vain: $*"; return 1; }
		sleep 0.01
	done
}

# It holds the lock until descriptor 3 is closed.
start_holder()
{
	"${TOOL:?}" run "$lock" cat <"$tmp/holder.in" &
	holder=$!
	exec 3>"$tmp/holder.in"
	await grep -x "$holder" "$lock"
}

end_holder()
{
	exec 3>&-
	wait "$holder"
	holder=''
}

# Its standard input is open until descriptor 4 is closed.
start_waiter()
{
	"$program" "$lock" <"$tmp/waiter.in" >"$tmp/out" 3>&- &
	waiter=$!
	exec 4>"$tmp/waiter.in"
}

start_both()
{
	start_holder && start_waiter &&
		await grep -x "waiting, held by process $holder" "$tmp/out"
}

is_locked()
{
	await grep -x 'locked after [0-9]* ticks' "$tmp/out" && grep -x "$waiter" "$lock"
}

# end_waiter HOW: by the end of its standard input, or by this signal
end_waiter()
{
	if [ "$1" = input ]; then
		exec 4>&-
	else
		kill -s "$1" "$waiter"
	fi
	wait "$waiter"
	status=$?
	waiter=''
	exec 4>&-
	return "$status"
}

nothing_is_left()
{
	ls -A "$dir"
	[ -z "$(ls -A "$dir")" ]
}

takes_a_free_lock()
{
	start_waiter
	is_locked && grep -x 'locked after 0 ticks' "$tmp/out" &&
		end_waiter input && nothing_is_left
}

# What it is to count is time, which has to pass.
waits_and_ticks()
{
	start_both || return
	sleep 0.5
	end_holder
	is_locked && grep -x 'locked after [1-9][0-9]* ticks' "$tmp/out" &&
		end_waiter input && nothing_is_left
}

takes_over()
{
	start_both || return
	kill -KILL "$holder"
	is_locked || return
	end_holder
	end_waiter input && nothing_is_left
}

# ends_in_line HOW
ends_in_line()
{
	start_both && end_waiter "$1" && grep -x "$holder" "$lock" || return
	end_holder
	nothing_is_left
}

# ends_with_the_lock HOW
ends_with_the_lock()
{
	start_waiter
	is_locked && end_waiter "$1" && nothing_is_left
}

fails()
{
	"$program" "$tmp/missing/lock.pid" </dev/null
	[ $? -eq 1 ] || return
	"$program"
	[ $? -eq 2 ]
}

# try WHAT COMMAND...: with the program, from nothing
try()
{
	expect "$example $1" shift_and_run "$@"
	kill_both
	wait
	holder='' waiter=''
	exec 3>&- 4>&-
	rm -rf "$dir"
	mkdir "$dir"
}

shift_and_run()
{
	shift
	"$@"
}

for example in wait-poll wait-libevent wait-glib; do
	program=${top_builddir:?}/examples/$example
	if [ ! -x "$program" ]; then
		skip "$example" "configure did not find ${example#wait-}"
		continue
	fi
	try 'takes a free lock' takes_a_free_lock
	try 'waits, does something else meanwhile, and has the lock' waits_and_ticks
	try 'takes over when the holder is killed' takes_over
	for how in input INT TERM; do
		try "ends in line ($how)" ends_in_line "$how"
		try "ends with the lock ($how)" ends_with_the_lock "$how"
	done
	try 'tells of errors' fails
done
finish
