#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# check.sh - programs that were linked with the last release run with this library
#
# First this tree, its library and its package; then copies with changes of all
# kinds, of which each is let pass or not, and for the right reason.

# shellcheck source=tests/tap.sh
. "${top_srcdir:?}/tests/tap.sh"
# shellcheck source=abi/judge.sh
. "$top_srcdir/abi/judge.sh"

: "${top_builddir:?}"
library=$top_builddir/lib/.libs/liblockfile-pid.so
copy=$tmp/copy

# is_as_described LIBRARY: its functions are those of the interface that was described last
is_as_described()
{
	abidiff --exported-interfaces-only --drop-private-types \
		--headers-dir2 "$top_srcdir/include" "$now" "$1"
}

has_debug_information()
{
	readelf -S "$1" | grep -q '\.debug_info'
}

# NAME@NODE as dpkg-gensymbols(1) has them: nodes are symbols, too
symbols_of_package()
{
	awk '/^ / { sub(/^ (\([^)]*\))?/, ""); print $1 }' "$1" | sort
}

packaged()
{
	{ symbols "$now"; nodes "$now" | sed 's/.*/&@&/'; } | sort >"$tmp/offered"
	symbols_of_package "$1" | diff "$tmp/offered" -
}

# The changes.  Each is one of a copy, and has to change something.

# alter FILE SED-COMMAND
alter()
{
	cp "$copy/$1" "$tmp/before" && sed "$2" "$tmp/before" >"$copy/$1" &&
		! cmp -s "$tmp/before" "$copy/$1"
}

add_node()
{
	echo "LOCKFILE_PID_NEXT { global: $1; };" >>"$copy/lib/lockfile-pid.map"
}

declare()
{
	alter include/lockfile-pid.h '/^int lockfile_pid_adopt(/i int lockfile_pid_extra(int extra);'
}

put_in_old_node()
{
	alter lib/lockfile-pid.map 's/^local:/\tlockfile_pid_extra;\n&/'
}

put_in_new_node()
{
	add_node lockfile_pid_extra
}

remove_function()
{
	alter include/lockfile-pid.h '/^int lockfile_pid_adopt(/d' &&
		alter lib/lockfile-pid.map '/lockfile_pid_adopt;/d'
}

move_function()
{
	alter lib/lockfile-pid.map '/lockfile_pid_adopt;/d' && add_node lockfile_pid_adopt
}

rename_nodes()
{
	alter lib/lockfile-pid.map 's/^LOCKFILE_PID_/&NEXT_/'
}

change_parameter()
{
	alter include/lockfile-pid.h '/^int lockfile_pid_timedlock(/s/int timeout/long timeout/'
}

add_parameter()
{
	alter include/lockfile-pid.h '/^int lockfile_pid_unlock(/s/)/, int extra)/'
}

change_result()
{
	alter include/lockfile-pid.h '/^void lockfile_pid_free(/s/void/int/'
}

change_error()
{
	alter include/lockfile-pid.h 's/-10003/-10103/'
}

remove_error()
{
	alter include/lockfile-pid.h '/LOCKFILE_PID_ERR_PROCESS_DEAD = /d'
}

add_error()
{
	alter include/lockfile-pid.h '/LOCKFILE_PID_ERR_PROCESS_DEAD = /i LOCKFILE_PID_ERR_EXTRA = -10099,'
}

add_enum()
{
	alter include/lockfile-pid.h '/^struct lockfile_pid;/i enum lockfile_pid_extra { LOCKFILE_PID_EXTRA };'
}

add_comment()
{
	alter include/lockfile-pid.h '/^struct lockfile_pid;/i /* a comment */'
}

# Those of the library alone.

change_handle()
{
	alter lib/handle.h '/^struct lockfile_pid {/a long extra;'
}

change_definition()
{
	alter include/lockfile-pid.h '/^int lockfile_pid_set_mode(/s/unsigned int/unsigned long/' &&
		alter lib/api.c '/^int lockfile_pid_set_mode(/s/unsigned int/unsigned long/'
}

# copy_with CHANGE...: each a function, or another version-info
copy_with()
{
	rm -rf "$copy"
	mkdir -p "$copy/include" "$copy/lib" &&
		cp "$top_srcdir/Makefile.am" "$copy/" &&
		cp "$top_srcdir"/include/* "$copy/include/" &&
		cp "$top_srcdir"/lib/* "$copy/lib/" || return
	for change; do
		case $change in
		*:*:*) alter Makefile.am "s/\\(-version-info\\) [0-9:]*/\\1 $change/" ;;
		*) "$change" ;;
		esac || { echo "cannot: $change"; return 1; }
	done
}

# fails_for REASON COMMAND...: it fails, and says so
fails_for()
{
	reason=$1
	shift
	! "$@" >"$tmp/reasons" && grep -qF "$reason" "$tmp/reasons" && return
	cat "$tmp/reasons"
	return 1
}

# passes CHANGE...
passes()
{
	copy_with "$@" && judge "$copy"
}

# is_refused REASON CHANGE...
is_refused()
{
	reason=$1
	shift
	copy_with "$@" && fails_for "$reason" judge "$copy"
}

# The part of the library that a program can call, of the copy.
# shellcheck disable=SC2086 # CC may have options
build_library()
{
	$CC -w -g -O0 -fPIC -shared -fvisibility=hidden \
		-I"$top_builddir" -I"$copy/include" -I"$copy/lib" \
		-Wl,--version-script="$copy/lib/lockfile-pid.map" \
		-Wl,-soname="$(soname "$copy")" -o "$tmp/library.so" \
		"$copy/lib/api.c" "$copy/lib/error.c"
}

# A library with these changes has the interface of this tree.
library_passes()
{
	describe "$top_srcdir" && copy_with "$1" && build_library &&
		is_as_described "$tmp/library.so"
}

library_is_refused()
{
	describe "$top_srcdir" && copy_with "$2" && build_library &&
		fails_for "$1" is_as_described "$tmp/library.so"
}

if ! command -v abidiff >/dev/null; then
	skip 'the interface is the released one, or follows it' 'needs abigail-tools'
	finish
	exit
fi

expect 'the interface can be described' describe "$top_srcdir"
if [ "$(architecture "$now")" = "$(architecture "$released")" ]; then
	expect 'the interface is the released one, or may follow it' judge "$top_srcdir"
else
	skip 'the interface is the released one, or may follow it' \
		"that is described for $(architecture "$released")"
fi
if [ -e "$library" ] && has_debug_information "$library"; then
	expect 'the library has this interface' is_as_described "$library"
else
	skip 'the library has this interface' 'there is none, or without debug information'
fi
package=$top_srcdir/debian/liblockfile-pid$(soname "$top_srcdir" | sed 's/.*\.//').symbols
if [ -e "$package" ]; then
	expect 'the package lists the same symbols' packaged "$package"
else
	skip 'the package lists the same symbols' "there is no ${package##*/}"
fi

# From here on this very tree is the release, and copies of it follow.
mkdir "$tmp/release"
follow "$tmp/release"
release "$top_srcdir"
IFS=: read -r current revision age <"$released_info"
revised=$current:$((revision + 1)):$age
grown=$((current + 1)):0:$((age + 1))
broken=$((current + 1)):0:0

expect 'passes: a comment' passes add_comment
expect 'passes: another revision' passes "$revised"
expect 'fails: a revision too far' \
	is_refused 'is same' "$current:$((revision + 2)):$age"
expect 'fails: another soname, and nothing broken' \
	is_refused 'is same' "$broken"

expect 'passes: a new function in a new node' \
	passes declare put_in_new_node "$grown"
expect 'fails: a new function in a node that was released' \
	is_refused 'lockfile_pid_extra is new in' declare put_in_old_node "$grown"
expect 'fails: a new function and the old version-info' \
	is_refused 'is grown' declare put_in_new_node
expect 'fails: a new function as another revision' \
	is_refused 'is grown' declare put_in_new_node "$revised"
expect 'fails: a new function and another soname' \
	is_refused 'is grown' declare put_in_new_node "$broken"
expect 'passes: a new error' passes add_error "$grown"
expect 'fails: a new error and the old version-info' is_refused 'is grown' add_error
expect 'passes: a new enum' passes add_enum "$grown"
expect 'fails: a new enum and the old version-info' is_refused 'is grown' add_enum

for break in remove_function move_function change_parameter add_parameter change_result \
	change_error remove_error; do
	title=$(echo "$break" | tr _ ' ')
	expect "fails: $title" is_refused 'is broken' "$break"
	expect "fails: $title, as an addition" is_refused 'is broken' "$break" "$grown"
	expect "fails: $title, with another soname and nodes that were released" \
		is_refused 'which was released' "$break" "$broken"
	expect "passes: $title, with another soname and other nodes" \
		passes "$break" rename_nodes "$broken"
done

expect 'passes: a library with another handle' library_passes change_handle
expect 'fails: a library with another parameter than the interface' \
	library_is_refused 'lockfile_pid_set_mode' change_definition
finish
