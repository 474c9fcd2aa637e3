#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# check-man-examples.sh - what the manual shows as examples does what it says

# shellcheck source=tests/tap.sh
. "${top_srcdir:?}/tests/tap.sh"
# shellcheck source=tests/man.sh
. "$top_srcdir/tests/man.sh"

dir=$tmp/dir
lock=$dir/example.pid
service=$dir/exampled.pid
holder='' program='' daemon=''
mkdir "$dir" "$tmp/bin"
mkfifo "$tmp/holder.in" "$tmp/program.in"
ln -s "${TOOL:?}" "$tmp/bin/lockfile-pid"
PATH=$tmp/bin:$PATH
TZ=UTC0
export TZ
trap 'kill_all; rm -rf "$tmp"' EXIT

# shellcheck disable=SC2086 # what is empty is no argument
kill_all()
{
	[ ! -s "$service" ] || read -r daemon <"$service"
	[ -z "$holder$program$daemon" ] || kill -KILL $holder $program $daemon
}

# Examples are the literal blocks under this heading; PAGE:LINE is where one begins.
list_examples()
{
	(cd "$top_srcdir/man" && awk '
		/^\.Sh/ { inside = $2 == "EXAMPLES" }
		inside && /^\.Bd -literal/ { print FILENAME ":" FNR }' ./*)
}

# extract PAGE TEXT: the source of the one example that has this text
extract()
{
	(cd "$top_srcdir/man" && awk -v text="$2" '
		/^\.Ed/ {
			plain = block
			gsub(/\\-/, "-", plain)
			if (index(plain, text)) {
				n++
				found = block
				print place >"/dev/stderr"
			}
			block = ""
		}
		block { block = block $0 "\n" }
		/^\.Bd -literal/ { block = "\n"; place = FILENAME ":" FNR }
		END { printf "%s", substr(found, 2); exit n != 1 }' "./$1") 2>>"$tmp/tried"
}

# As it is printed.  What a formatter may take for typography has to be escaped,
# or it could not be copied from everywhere.
unescape()
{
	awk '
	{
		gsub(/\\e/, "\001")
		gsub(/\\-/, "\002")
		gsub(/\\\(aq/, "\003")
		if (/[\\`^~'\''-]/ || /^\./) {
			print "to be escaped: " $0 >"/dev/stderr"
			bad = 1
		}
		gsub("\001", "\\")
		gsub("\002", "-")
		gsub("\003", "'\''")
		print
	}
	END { exit bad || NR == 0 }'
}

# example PAGE TEXT FILE: writes it to the file
example()
{
	extract "$1" "$2" >"$tmp/source" || { echo "$1 has not one example with: $2"; return 1; }
	unescape <"$tmp/source" >"$3"
}

# It holds the lock until descriptor 3 is closed.
start_holder()
{
	lockfile-pid run "$lock" cat <"$tmp/holder.in" &
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

nothing_is_left()
{
	ls -A "$dir"
	[ -z "$(ls -A "$dir")" ]
}

# try WHAT COMMAND...: from nothing
try()
{
	expect "$@"
	kill_all
	wait
	holder='' program='' daemon=''
	exec 3>&- 4>&-
	rm -rf "$dir"
	mkdir "$dir"
}

# The programs.

# compile NAME TEXT [PAGE]: as a user would, with this library
# shellcheck disable=SC2086 # flags are lists of words
compile()
{
	example "${3-lockfile_pid.3}" "$2" "$tmp/$1.c" &&
		${CC:?} ${CFLAGS?} -std=c99 -D_DEFAULT_SOURCE -pedantic -Wall -Wextra -Werror \
			-I"$top_srcdir/include" -c "$tmp/$1.c" -o "$tmp/$1.o" &&
		"${top_builddir:?}/libtool" --silent --tag=CC --mode=link \
			$CC $CFLAGS ${LDFLAGS?} -no-install -o "$tmp/bin/$1" "$tmp/$1.o" \
			"$top_builddir/lib/liblockfile-pid.la"
}

simple_locks()
{
	simple "$lock" >"$tmp/out" && grep -x locked "$tmp/out" && nothing_is_left
}

simple_fails_where_it_is_held()
{
	start_holder || return
	simple "$lock" >"$tmp/out" 2>"$tmp/err"
	[ $? -eq 1 ] && [ ! -s "$tmp/out" ] &&
		grep -x "$lock: held by another living process" "$tmp/err" || return
	end_holder
	nothing_is_left
}

# The process that is named leads a session, as the one that was started does not.
daemon_is_settled()
{
	read -r daemon <"$lock" && [ "$(readlink "/proc/$daemon/cwd")" = / ] &&
		[ "$(stat_of "$daemon" | cut -d ' ' -f 4)" = "$daemon" ]
}

start_daemon()
{
	daemon "$lock" 2>"$tmp/err" </dev/null && await daemon_is_settled
}

pidfile_daemon_runs_once()
{
	pidfiled "$lock" 2>"$tmp/err" </dev/null && await daemon_is_settled || return
	pidfiled "$lock" 2>"$tmp/err" </dev/null
	[ $? -eq 1 ] && grep -x "pidfiled: already running as process $daemon" "$tmp/err" &&
		grep -x "$daemon" "$lock" || return
	kill "$daemon" && daemon_has_ended && nothing_is_left
}

daemon_has_ended()
{
	await gone "$daemon" || return
	daemon=''
}

daemon_runs_once()
{
	start_daemon || return
	daemon "$lock" 2>"$tmp/err" </dev/null
	[ $? -eq 1 ] && grep -x "$lock: held by another living process" "$tmp/err" &&
		grep -x "$daemon" "$lock" || return
	kill "$daemon" && daemon_has_ended && nothing_is_left
}

daemon_starts_after_a_kill()
{
	start_daemon && kill -KILL "$daemon" && daemon_has_ended && start_daemon &&
		kill "$daemon" && daemon_has_ended && nothing_is_left
}

daemon_ends_without_its_file()
{
	start_daemon && rm "$lock" && daemon_has_ended && nothing_is_left
}

flag_releases_at_sigterm()
{
	flag "$lock" &
	program=$!
	await grep -x "$program" "$lock" && kill "$program" && wait "$program" || return
	program=''
	nothing_is_left
}

# Its standard input is open until descriptor 4 is closed.
start_loop()
{
	loop "$lock" >"$tmp/out" 2>"$tmp/err" <"$tmp/program.in" 3>&- &
	program=$!
	exec 4>"$tmp/program.in"
}

loop_stands_in_line()
{
	command -v loop && start_holder && start_loop && await test -p "$lock.queue"
}

# end_loop: by the end of its input
end_loop()
{
	exec 4>&-
	wait "$program" || return
	program=''
}

loop_waits_and_locks()
{
	loop_stands_in_line && [ ! -s "$tmp/out" ] || return
	echo 'something else' >&4
	end_holder
	await grep -x locked "$tmp/out" && grep -x "$program" "$lock" && end_loop &&
		nothing_is_left
}

loop_takes_over()
{
	loop_stands_in_line && kill -KILL "$holder" && await grep -x locked "$tmp/out" &&
		end_loop || return
	end_holder
	nothing_is_left
}

loop_leaves_the_line()
{
	loop_stands_in_line && end_loop && [ ! -s "$tmp/out" ] && [ ! -s "$tmp/err" ] &&
		grep -x "$holder" "$lock" || return
	end_holder
	nothing_is_left
}

# The scripts, with directories of ours in place.

# script NAME PAGE TEXT: where it fails there is none, which would do it elsewhere
script()
{
	example "$2" "$3" "$tmp/as-shown" &&
		sed "s|/run/|$dir/|g; s|/var/tmp|$dir|g; s|PATH|$lock|g" "$tmp/as-shown" >"$tmp/$1"
}

# run NAME STATUS: and what it printed is in out
run()
{
	sh "$tmp/$1" >"$tmp/out" 2>"$tmp/err"
	status=$?
	cat "$tmp/out" "$tmp/err"
	[ "$status" -eq "$2" ]
}

# same_but_for PATTERN FILE: what was printed, and what is in the file
same_but_for()
{
	sed "s/$1/x/g" "$2" >"$tmp/expected"
	sed "s/$1/x/g" "$tmp/out" >"$tmp/actual"
	same "$tmp/expected" "$tmp/actual"
}

make_old_files()
{
	touch -t 202001010000 "$dir/example-old" "$dir/other-old" && touch "$dir/example-new"
}

cron_job_runs()
{
	make_old_files && run cron 0 && [ "$(ls "$dir")" = "$(printf 'example-new\nother-old')" ]
}

cron_job_does_not_start_twice()
{
	make_old_files && start_holder && run cron 0 && [ -e "$dir/example-old" ]
}

timed_wait_has_the_lock()
{
	run timed 0 && [ "$(cat "$tmp/out")" = "$(printf 'working\ndone')" ] && nothing_is_left
}

timed_wait_ends()
{
	start_holder && run timed 0 && [ "$(cat "$tmp/out")" = busy ]
}

# What a script leaves that ends without unlocking is removed by the keeper.
script_runs_once()
{
	run once 0 && grep -x 'only one of me runs: [0-9]*' "$tmp/out" && await nothing_is_left ||
		return
	start_holder && run once 1 && [ ! -s "$tmp/out" ]
}

script_locks_in_the_middle()
{
	printf 'several at once\none at a time\nseveral again\n' >"$tmp/lines"
	run middle 0 && same "$tmp/lines" "$tmp/out" && nothing_is_left || return
	# while another holds the lock it does what needs none
	start_holder && sed 's/-w 30/-n/' "$tmp/middle" >"$tmp/middle-now" &&
		run middle-now 1 && [ "$(cat "$tmp/out")" = 'several at once' ]
}

container_starts_once()
{
	run container 0 && grep -x started "$tmp/out" && nothing_is_left || return
	start_holder && run container 1 && [ ! -s "$tmp/out" ]
}

unit_runs_the_tool()
{
	grep -x 'KillMode=mixed' "$tmp/unit" &&
		sed -n 's|^ExecStart=/usr/bin/\(.*\) exampled$|\1 cat '"$service"'|p' "$tmp/unit" >"$tmp/exec" &&
		run exec 0 && grep -x '[0-9][0-9]*' "$tmp/out" && nothing_is_left
}

postinst_waits_for_its_turn()
{
	run postinst 0 && [ "$(ls "$dir")" = example-index ]
}

# The service: it is started, asked for, and stopped.

service_is_up()
{
	read -r daemon <"$service" && [ "$(cat "/proc/$daemon/comm")" = sleep ]
}

service_starts_once()
{
	run start 0 && await service_is_up || return
	! run start 0 && grep -x "$daemon" "$service"
}

service_is_shown()
{
	run start 0 && await service_is_up && run show 0 &&
		grep -F "held by PID $daemon (sleep 1000) since" "$tmp/out" || return
	same_but_for '[0-9][0-9]*' "$tmp/shown"
}

service_is_stopped()
{
	run stop 0 && run start 0 && await service_is_up && run stop 0 && gone "$daemon" || return
	daemon=''
	nothing_is_left
}

# The attribute, of which the PID is known, and the form.

bytes()
{
	printf '01 00 00 00 %02x %02x %02x %02x\n' $(($1 & 255)) $(($1 >> 8 & 255)) \
		$(($1 >> 16 & 255)) $(($1 >> 24))
}

attribute_is_shown()
{
	start_holder && run attribute 0 || return
	head -n 1 "$tmp/out" | grep -F "0000000 $(bytes "$holder") " || return
	same_but_for ' [0-9a-f][0-9a-f]' "$tmp/dump"
}

none_is_left_out()
{
	list_examples | sort >"$tmp/all"
	sort -u "$tmp/tried" >"$tmp/known"
	same "$tmp/all" "$tmp/known"
}

expect 'the simplest program compiles' compile simple 'puts("locked")'
try 'it locks' simple_locks
try 'it fails where the lock is held' simple_fails_where_it_is_held
expect 'the daemon compiles' compile daemon 'daemon(0, 0) <'
try 'it runs once' daemon_runs_once
try 'it starts after a kill' daemon_starts_after_a_kill
try 'it ends when its file was removed' daemon_ends_without_its_file
expect 'the program with a flag compiles' compile flag sigsuspend
try 'it releases the lock at SIGTERM' flag_releases_at_sigterm
expect 'the daemon with pidfile(3) compiles' compile pidfiled pidfile_write lockfile_pid_pidfile.3
try 'it runs once' pidfile_daemon_runs_once
expect 'the loop compiles' compile loop 'poll(fds'
try 'it waits, and has the lock' loop_waits_and_locks
try 'it takes over when the holder is killed' loop_takes_over
try 'it leaves the line' loop_leaves_the_line
expect 'the cron job is there' script cron lockfile-pid.1 'find /var/tmp'
try 'it runs' cron_job_runs
try 'it does not start twice' cron_job_does_not_start_twice
expect 'the wait for a limited time is there' script timed lockfile-pid.1 'echo busy'
try 'it has the lock' timed_wait_has_the_lock
try 'it ends' timed_wait_ends
expect 'the script of which one runs is there' script once lockfile-pid.1 'only one of me'
try 'it runs once' script_runs_once
expect 'the script that locks in the middle is there' script middle lockfile-pid.1 'several again'
try 'it locks in the middle' script_locks_in_the_middle
expect 'the entry point of a container is there' script container lockfile-pid.1 'echo started'
try 'it starts once' container_starts_once
expect 'the service is there' script unit lockfile-pid.1 KillMode
try 'it runs the tool' unit_runs_the_tool
expect 'the maintainer script that writes a file is there' script postinst lockfile-pid.1 example-index
try 'it writes the file' postinst_waits_for_its_turn
expect 'the start of a daemon is there' script start lockfile-pid.1 start-stop-daemon
expect 'the question who holds the lock is there' script show lockfile-pid.1 'check /run'
expect 'so is the answer' script shown lockfile-pid.1 'held by PID'
expect 'the end of a daemon is there' script stop lockfile-pid.1 'signal -w 30'
if command -v start-stop-daemon >/dev/null; then
	try 'it starts once' service_starts_once
	try 'the answer is that of the tool' service_is_shown
	try 'it is stopped' service_is_stopped
else
	skip 'a daemon is started, asked for and stopped' 'start-stop-daemon is missing'
fi
expect 'the question for the attribute is there' script attribute lockfile-pid.5 getfattr
expect 'so is the answer' script dump lockfile-pid.5 0000000
if touch "$tmp/file" && setfattr -n user.test "$tmp/file" 2>"$tmp/said"; then
	try 'the answer has this form' attribute_is_shown
else
	skip 'the answer has this form' 'no user attributes here'
fi
expect 'no example is left out' none_is_left_out
finish
