#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# check-installed.sh - make installcheck tries what was installed, and nothing else

# shellcheck source=tests/tap.sh
. "${top_srcdir:?}/tests/tap.sh"

holder=''
mkfifo "$tmp/in" "$tmp/out"
trap '[ -z "$holder" ] || kill -KILL "$holder"; rm -rf "$tmp"' EXIT

# The path without links: /lib may be /usr/lib.
library=$(readlink -f "${SHARED_LIBRARY:?}")

# loads PROGRAM: the loader would take the installed library for it
loads()
{
	taken=$(ldd "$1" | awk '$1 == "liblockfile-pid.so.0" { print $3 }')
	echo "$1 would load $taken"
	[ -n "$taken" ] && [ "$(readlink -f "$taken")" = "$library" ]
}

# contains PROGRAM: it has the functions in itself, and asks for no library
contains()
{
	nm "$1" | grep ' T lockfile_pid_version$' && ! loads "$1"
}

# maps PID: the process has that library, and no other of the name
maps()
{
	cat "/proc/$1/maps"
	[ "$(awk '/liblockfile-pid/ { print $NF }' "/proc/$1/maps" | sort -u)" = "$library" ]
}

runs_with_it()
{
	"${HOLDER:?}" "$tmp/lock.pid" <"$tmp/in" >"$tmp/out" &
	holder=$!
	exec 3>"$tmp/in" 4<"$tmp/out"
	read -r result <&4 && [ "$result" -eq 0 ] && maps "$holder" || return
	exec 3>&-
	wait "$holder"
	holder=''
}

has_the_header()
{
	cmp "$top_srcdir/include/lockfile-pid.h" "${includedir:?}/lockfile-pid.h"
}

is_told_by_pkg_config()
{
	[ "$("${PKG_CONFIG:?}" --modversion lockfile-pid)" = "${VERSION:?}" ]
}

tool_is_of_this_version()
{
	"$TOOL" --version | grep -wF "$VERSION"
}

expect 'the header is the one the tests are compiled with' has_the_header
expect 'pkg-config knows this version' is_told_by_pkg_config
expect 'the tool is of this version' tool_is_of_this_version
if [ -e "$library" ]; then
	verb=loads
	expect 'another process runs with it' runs_with_it
else
	verb=contains
	skip 'another process runs with it' 'no shared library is built'
fi
expect "the tool $verb it" "$verb" "${TOOL:?}"
for program in "${top_builddir:?}"/tests/*"${EXEEXT:?}" "$top_builddir"/examples/*"$EXEEXT"; do
	# test-tool asks the tool alone
	nm "$program" | grep -q ' lockfile_pid_' || continue
	expect "${program##*/} $verb it" "$verb" "$program"
done
finish
