#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# check-examples.sh - the programs of examples/, and the one that README.md shows

# shellcheck source=tests/tap.sh
. "${top_srcdir:?}/tests/tap.sh"

dir=$tmp/dir
lock=$dir/lock.pid
holder='' waiter='' daemon=''
mkdir "$dir"
mkfifo "$tmp/holder.in" "$tmp/waiter.in"
trap 'kill_all; rm -rf "$tmp"' EXIT

# shellcheck disable=SC2086 # what is empty is no argument
kill_all()
{
	[ -z "$holder$waiter$daemon" ] || kill -KILL $holder $waiter $daemon
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

# Its standard input is open until descriptor 4 is closed.  What the one before
# said is gone when this returns.
start_waiter()
{
	"$program" "$lock" >"$tmp/out" <"$tmp/waiter.in" 3>&- &
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

# waits_for SECONDS: what it is to count is time, which has to pass
waits_for()
{
	start_both || return
	sleep "$1"
	end_holder
	is_locked && end_waiter input && nothing_is_left
}

# However slow the machine is, some time is enough.
waits_and_ticks()
{
	for seconds in 0.5 2 8 32; do
		waits_for "$seconds" || return
		! grep -x 'locked after [1-9][0-9]* ticks' "$tmp/out" || return 0
	done
	return 1
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
	kill_all
	wait
	holder='' waiter='' daemon=''
	exec 3>&- 4>&-
	rm -rf "$dir"
	mkdir "$dir"
}

shift_and_run()
{
	shift
	"$@"
}

# The daemon, which nobody here is the parent of.

# With nothing that keeps the check from ending if the daemon does not close it.
start_daemon()
{
	"$program" "$@" "$lock" >"$tmp/out" 2>"$tmp/err" </dev/null
}

# start_and_know: the PID file is there when the first process returns
start_and_know()
{
	start_daemon || { cat "$tmp/err"; return 1; }
	read -r daemon <"$lock" && kill -0 "$daemon" && [ ! -s "$tmp/err" ]
}

ended()
{
	await gone "$daemon" || return
	daemon=''
}

end_daemon()
{
	kill "$@" "$daemon" && ended
}

is_in_background()
{
	start_and_know || return
	# its own session without being the leader, no terminal, no directory kept
	# shellcheck disable=SC2046 # words
	set -- $(stat_of "$daemon")
	[ "$4" -ne "$daemon" ] && [ "$6" -eq -1 ] || return
	[ "$(readlink "/proc/$daemon/cwd")" = / ] || return
	for fd in 0 1 2; do
		[ "$(readlink "/proc/$daemon/fd/$fd")" = /dev/null ] || return
	done
	[ "$(stat -c %a "$lock")" = 644 ] && end_daemon
}

runs_once()
{
	start_and_know || return
	"$TOOL" check "$lock" | grep -F "held by PID $daemon ($program $lock)" || return
	start_daemon
	[ $? -eq 1 ] && grep -x "$lock: already running as process $daemon" "$tmp/err" &&
		grep -x "$daemon" "$lock" && end_daemon
}

# ends_cleanly SIGNAL: the file goes with the daemon
ends_cleanly()
{
	start_and_know && end_daemon -s "$1" && nothing_is_left || return
	"$TOOL" check "$lock"
	[ $? -eq 3 ]
}

starts_after_a_kill()
{
	start_and_know && end_daemon -s KILL || return
	"$TOOL" check "$lock"
	[ $? -eq 1 ] && start_and_know && end_daemon && nothing_is_left
}

ends_without_its_file()
{
	start_and_know && rm "$lock" && ended && nothing_is_left
}

# What took the place of the file is not its own to remove.
leaves_another_file()
{
	start_and_know && rm "$lock" && echo 1 >"$lock" && ended && grep -x 1 "$lock"
}

stays_in_front()
{
	"$program" -f "$lock" </dev/null &
	daemon=$!
	await grep -x "$daemon" "$lock" || return
	start_daemon -f
	[ $? -eq 1 ] && grep -x "$lock: already running as process $daemon" "$tmp/err" || return
	kill "$daemon" && wait "$daemon" || return
	daemon=''
	nothing_is_left
}

keeps_a_relative_path()
{
	(cd "$dir" && "$program" lock.pid </dev/null) && read -r daemon <"$lock" &&
		kill -0 "$daemon" && end_daemon && nothing_is_left
}

# fails_to_start DIRECTORY TEXT
fails_to_start()
{
	"$program" "$1/lock.pid" 2>"$tmp/err" </dev/null
	[ $? -eq 1 ] && grep -F "$1/lock.pid: $2" "$tmp/err"
}

# Nobody can make a file there, root included; for others the path is not writable.
tells_of_errors()
{
	fails_to_start "$tmp/missing" 'No such file or directory' &&
		fails_to_start /dev/null 'Not a directory' &&
		fails_to_start /sys '' || return
	"$program"
	[ $? -eq 2 ]
}

# start_with LIMIT: a number of descriptors.  Where it fails it says so, and nobody
# holds the lock; the file is left where there is no descriptor to remove it with
start_with()
{
	if prlimit --nofile="$1" "$program" "$lock" >"$tmp/out" 2>"$tmp/err" </dev/null; then
		read -r daemon <"$lock" && end_daemon && nothing_is_left
	else
		# EMFILE, in the words of glibc and of musl
		grep -F -e "$lock: Too many open files" -e "$lock: No file descriptors available" \
			"$tmp/err" || return
		! "$TOOL" check "$lock" && rm -f "$lock"
	fi
}

# Among these numbers are some with which only the daemon fails, not who starts it.
tells_of_errors_in_the_background()
{
	for limit in 4 5 6 7 8 9 10 11 12; do
		start_with "$limit" || { echo "$limit"; cat "$tmp/err"; return 1; }
	done
}

# wait-cancel, whose wait is ended by a deadline, or by its other thread.

# start_canceller SECONDS
start_canceller()
{
	"$program" "$lock" "$1" >"$tmp/out" 2>"$tmp/err" 3>&- &
	waiter=$!
}

# end_with STATUS: and what it said on standard error is this, if anything
end_with()
{
	wait "$waiter"
	status=$?
	waiter=''
	cat "$tmp/err"
	[ "$status" -eq "$1" ] || return
	[ $# -eq 1 ] || grep "^$lock: .*$2" "$tmp/err"
}

cancel_takes_a_free_lock()
{
	start_canceller 60 && await grep -x locked "$tmp/out" && grep -x "$waiter" "$lock" &&
		kill "$waiter" && end_with 0 && nothing_is_left
}

cancel_waits()
{
	start_holder && start_canceller 600 && await test -p "$lock.queue" || return
	end_holder
	await grep -x locked "$tmp/out" && kill "$waiter" && end_with 0 && nothing_is_left
}

# cancel_ends_the_wait SIGNAL
cancel_ends_the_wait()
{
	start_holder && start_canceller 600 && await test -p "$lock.queue" &&
		kill -s "$1" "$waiter" && end_with 1 'Operation canceled' &&
		[ ! -e "$lock.queue" ] && grep -x "$holder" "$lock" || return
	end_holder
	nothing_is_left
}

# How much time has passed is not looked at: without a deadline the wait would go on.  glibc and
# musl name the error differently.
deadline_ends_the_wait()
{
	start_holder && start_canceller "$1" && end_with 1 'timed out' && grep -x "$holder" "$lock" ||
		return
	end_holder
	nothing_is_left
}

cancel_fails()
{
	"$program" "$tmp/missing/lock.pid" 60
	[ $? -eq 1 ] || return
	"$program" "$lock"
	[ $? -eq 2 ]
}

# What README.md shows: a whole daemon.

readme_code()
{
	awk '/^```c$/ { n++; inside = n == 1; next } /^```$/ { inside = 0 } inside' \
		"${top_srcdir:?}/README.md"
}

# shellcheck disable=SC2086 # flags are lists of words
readme_compiles()
{
	readme_code | sed "s|/run/exampled.pid|$lock|" >"$tmp/readme.c" && [ -s "$tmp/readme.c" ] &&
		${CC:?} ${CFLAGS?} -Wall -Wextra -Werror -I"$top_srcdir/include" \
			-c "$tmp/readme.c" -o "$tmp/readme.o" &&
		"${top_builddir:?}/libtool" --silent --tag=CC --mode=link $CC $CFLAGS ${LDFLAGS?} \
			-no-install -o "$tmp/readme" "$tmp/readme.o" \
			"$top_builddir/lib/liblockfile-pid.la"
}

readme_is_short()
{
	readme_code | wc -l
	[ "$(readme_code | wc -l)" -le 20 ]
}

# With daemon(3) the first process may end before the file names the daemon.
readme_daemon_is_up()
{
	read -r daemon <"$lock" && [ "$(readlink "/proc/$daemon/cwd")" = / ] &&
		[ "$(stat_of "$daemon" | cut -d ' ' -f 4)" = "$daemon" ]
}

readme_runs_once()
{
	start_daemon && await readme_daemon_is_up || return
	start_daemon
	[ $? -eq 1 ] && grep -x "held by another living process, process $daemon" "$tmp/err" &&
		grep -x "$daemon" "$lock" && end_daemon -s TERM && nothing_is_left
}

readme_starts_after_a_kill()
{
	start_daemon && await readme_daemon_is_up && end_daemon -s KILL && start_daemon &&
		await readme_daemon_is_up && end_daemon -s INT && nothing_is_left
}

for example in wait-poll wait-libevent wait-glib; do
	program=${top_builddir:?}/examples/$example${EXEEXT?}
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
example=daemon
program=${top_builddir:?}/examples/daemon${EXEEXT?}
try 'goes to the background' is_in_background
try 'runs once' runs_once
try 'ends cleanly (TERM)' ends_cleanly TERM
try 'ends cleanly (INT)' ends_cleanly INT
try 'starts after a kill' starts_after_a_kill
try 'ends when its file was removed' ends_without_its_file
try 'ends when its file was replaced, and leaves that' leaves_another_file
try 'stays in the foreground' stays_in_front
try 'keeps a relative path' keeps_a_relative_path
try 'tells of errors' tells_of_errors
try 'tells of errors in the background' tells_of_errors_in_the_background
example=wait-cancel
program=${top_builddir:?}/examples/$example${EXEEXT?}
try 'takes a free lock' cancel_takes_a_free_lock
try 'gets the lock when it is released' cancel_waits
try 'ends its wait by the other thread (TERM)' cancel_ends_the_wait TERM
try 'ends its wait by the other thread (INT)' cancel_ends_the_wait INT
try 'ends its wait at once if the deadline is over' deadline_ends_the_wait 0
try 'ends its wait at a deadline' deadline_ends_the_wait 1
try 'tells of errors' cancel_fails
expect 'README.md: the daemon has 20 lines at most' readme_is_short
example=README.md
program=$tmp/readme
# make installcheck has no library here to link it with
if [ "${installed:?}" = no ]; then
	expect 'README.md: the daemon compiles' readme_compiles
	try 'the daemon runs once' readme_runs_once
	try 'the daemon starts after a kill' readme_starts_after_a_kill
fi
finish
