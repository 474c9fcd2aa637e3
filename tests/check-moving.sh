#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# check-moving.sh - doc/moving.md: what it shows compiles and runs, and its tables are true

# shellcheck source=tests/tap.sh
. "${top_srcdir:?}/tests/tap.sh"

page=$top_srcdir/doc/moving.md
dir=$tmp/dir
lock=$dir/x.pid
old='' new='' daemon=''
mkdir "$dir" "$tmp/bin"
mkfifo "$tmp/old.in" "$tmp/new.in"
trap 'kill_all; rm -rf "$tmp"' EXIT

# shellcheck disable=SC2086 # what is empty is no argument
kill_all()
{
	[ -z "$old$new$daemon" ] || kill -KILL $old $new $daemon
}

# snippet NAME: the code that follows the mark of this name
snippet()
{
	awk -v mark="<!-- $1 -->" '
		$0 == mark { found = 1; next }
		found && /^```c$/ { inside = 1; next }
		inside && /^```$/ { exit }
		inside' "$page"
}

# options NAME WHAT: what the other library of a piece of code needs, as pkg-config has it
options()
{
	case $1 in
	pidfile-before) "${PKG_CONFIG:?}" "--$2" libbsd ;;
	libdaemon-before) "$PKG_CONFIG" "--$2" libdaemon ;;
	liblockfile-before) [ "$2" = cflags ] || echo -llockfile ;;
	esac
}

# can_build NAME: this compiler finds the other library
# shellcheck disable=SC2046,SC2086 # flags are lists of words
can_build()
{
	{
		snippet "$1" | grep '^#include'
		echo 'int main(void) { return 0; }'
	} >"$tmp/probe.c"
	${CC:?} ${CFLAGS?} -std=gnu99 $(options "$1" cflags) "$tmp/probe.c" -o "$tmp/probe" ${LDFLAGS?} \
		$(options "$1" libs) >"$tmp/no" 2>&1
}

# build NAME: the program of a piece of code, as a user would compile it
# shellcheck disable=SC2046,SC2086 # flags are lists of words
build()
{
	snippet "$1" >"$tmp/$1.c" && [ -s "$tmp/$1.c" ] || return
	end_other=
	! grep -q '^int end_other' "$tmp/$1.c" || end_other=-DEND_OTHER
	flags="${CFLAGS?} -std=gnu99 -Wall -Wextra -Werror -I$top_srcdir/include"
	$CC $flags $(options "$1" cflags) -c "$tmp/$1.c" -o "$tmp/$1.o" &&
		$CC $flags $end_other -c "$top_srcdir/tests/moving.c" -o "$tmp/moving.o" &&
		"${top_builddir:?}/libtool" --silent --tag=CC --mode=link $CC $CFLAGS ${LDFLAGS?} \
			-no-install -o "$tmp/bin/$1" "$tmp/moving.o" "$tmp/$1.o" \
			"$top_builddir/lib/liblockfile-pid.la" $(options "$1" libs)
}

# Its standard input is open until descriptor 4 is closed.
start_old()
{
	# without a reader the shell would wait for one
	[ -x "$tmp/bin/$1" ] || return
	"$tmp/bin/$1" "$lock" >"$tmp/old.out" <"$tmp/old.in" &
	old=$!
	exec 4>"$tmp/old.in"
	await grep -x started "$tmp/old.out"
}

end_old()
{
	exec 4>&-
	wait "$old"
	status=$?
	old=''
	return "$status"
}

# starts NAME: another instance does; it ends again
starts()
{
	"$tmp/bin/$1" "$lock" </dev/null >"$tmp/new.out" 4>&- && grep -x started "$tmp/new.out"
}

# file_is WHAT: stays or removed
file_is()
{
	case $1 in
	stays) [ -f "$lock" ] ;;
	removed) [ ! -e "$lock" ] ;;
	esac
}

# runs_once NAME FATE: and the file has this fate when it ends
runs_once()
{
	start_old "$1" || return
	! starts "$1" || return
	grep -x "$old" "$lock" || return
	end_old && file_is "$2" || return
	starts "$1"
}

starts_after_a_kill()
{
	start_old "$1" && kill -KILL "$old" || return
	end_old
	starts "$1"
}

# ends_another NAME
ends_another()
{
	start_old "$1" && "$tmp/bin/$1" -k "$lock" || return
	wait "$old"
	[ $? -eq 143 ] || return
	old=''
	exec 4>&-
	! "$tmp/bin/$1" -k "$lock"
}

# waits_for_the_end NAME: the kernel says that it waits for a lock.  When it has that it looks
# for the process in the file, which may be about to end, and starts or not.
waits_for_the_end()
{
	"$tmp/bin/$1" "$lock" </dev/null >"$tmp/new.out" 4>&- &
	new=$!
	await grep -e "-> POSIX .* $new " /proc/locks && ! grep started "$tmp/new.out" || return
	end_old || return
	wait "$new" || :
	new=''
}

# meets FIRST SECOND WORD: the second starts while the first runs, or not
meets()
{
	start_old "$1" || return
	case $3 in
	refused) ! starts "$2" && grep -x "$old" "$lock" ;;
	'starts too') starts "$2" ;;
	waits) waits_for_the_end "$2"; return ;;
	*) false ;;
	esac || return
	end_old
	return 0
}

# An empty file may have somebody who is about to write it, until it is a second old.
empty_flock_is_not_seen()
{
	: >"$lock"
	touch -d '1 minute ago' "$lock"
	flock "$lock" cat <"$tmp/old.in" &
	old=$!
	exec 4>"$tmp/old.in"
	await lock_is_taken && starts flock-after || return
	end_old
}

lock_is_taken()
{
	! flock -n "$lock" true
}

# cell ROW COLUMN: of the table of old and new versions
cell()
{
	sed -n "s/^| $1 | \([a-z ]*\) | \([a-z ]*\) |$/\\$2/p" "$page"
}

# fate COLUMN: of the file, as the first table has it
fate()
{
	awk -F' *[|] *' -v column="$1" '/^\| the file between two runs/ { print $(column + 2) }' "$page"
}

# The daemon in three versions

# shellcheck disable=SC2086 # flags are lists of words
build_port()
{
	$CC ${CFLAGS?} -Wall -Wextra -Werror -I"$top_srcdir/include" -c "$top_srcdir/tests/$1.c" \
		-o "$tmp/$1.o" &&
		"$top_builddir/libtool" --silent --tag=CC --mode=link $CC $CFLAGS ${LDFLAGS?} \
			-no-install -o "$tmp/bin/$1" "$tmp/$1.o" "$top_builddir/lib/liblockfile-pid.la"
}

daemon_is_up()
{
	read -r daemon <"$lock" && [ "$(readlink "/proc/$daemon/exe")" = "$tmp/bin/$1" ] &&
		[ "$(stat_of "$daemon" | cut -d ' ' -f 4)" = "$daemon" ]
}

port_runs()
{
	"$tmp/bin/$1" "$lock" </dev/null && await daemon_is_up "$1" || return
	"$tmp/bin/$1" "$lock" </dev/null 2>"$tmp/err"
	[ $? -eq 1 ] && grep -x "already running as process $daemon" "$tmp/err" || return
	kill "$daemon" && await gone "$daemon" || return
	daemon=''
	[ ! -e "$lock" ]
}

# Code, without comments, empty lines and what is included
lines_of()
{
	grep -cv -e '^ *$' -e '^#' -e '^/\* .* \*/$' "$top_srcdir/tests/$1.c"
}

page_has_the_lines()
{
	echo "$(lines_of "$1") lines"
	grep -F "[$1.c](../tests/$1.c)" "$page" | grep -x ".* | $(lines_of "$1") |"
}

# try WHAT COMMAND...: from nothing
try()
{
	expect "$@"
	kill_all 2>/dev/null
	wait
	old='' new='' daemon=''
	exec 4>&-
	rm -rf "$dir"
	mkdir "$dir"
}

# try_pair NAME COLUMN ROW: before and after
try_pair()
{
	expect "$1: what comes after compiles" build "$1-after"
	try "$1: it runs once, and its file is removed" runs_once "$1-after" removed
	try "$1: it starts after a kill" starts_after_a_kill "$1-after"
	if ! can_build "$1-before"; then
		skip "$1: what was before" 'its library is missing'
		return
	fi
	expect "$1: what was before compiles" build "$1-before"
	try "$1: it runs once, and its file $(fate "$2")" runs_once "$1-before" "$(fate "$2")"
	try "$1: it starts after a kill" starts_after_a_kill "$1-before"
	try "$1: the old one runs, and the new one: $(cell "$3" 1)" \
		meets "$1-before" "$1-after" "$(cell "$3" 1)"
	try "$1: the new one runs, and the old one: $(cell "$3" 2)" \
		meets "$1-after" "$1-before" "$(cell "$3" 2)"
}

try_pair flock 1 'flock(2) and its PID in the file'
try_pair fcntl 2 'fcntl(2) or lockf(3)'
try_pair pidfile 3 'pidfile(3)'
try_pair libdaemon 4 libdaemon
try_pair liblockfile 5 'liblockfile with L_PID'
try_pair hand 6 'a PID file by hand'
try 'libdaemon: the new one ends another' ends_another libdaemon-after
if [ -x "$tmp/bin/libdaemon-before" ]; then
	try 'libdaemon: the old one ends another' ends_another libdaemon-before
else
	skip 'libdaemon: the old one ends another' 'libdaemon is missing'
fi
if command -v flock >/dev/null; then
	try 'flock: a lock on an empty file is not seen' empty_flock_is_not_seen
else
	skip 'flock: a lock on an empty file is not seen' 'flock is missing'
fi
for port in port-plain port-steps port-open; do
	expect "$port compiles" build_port "$port"
	try "$port runs once" port_runs "$port"
	expect "$port has as many lines as the page says" page_has_the_lines "$port"
done
finish
