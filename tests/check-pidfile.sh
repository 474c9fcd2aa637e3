#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# check-pidfile.sh - pidfile(3) by lockfile-pid-pidfile.h, in C89 and in C++, in what FreeBSD's
# own suite asserts and more (tests/pidfile-cases.c)

# shellcheck source=tests/tap.sh
. "${top_srcdir:?}/tests/tap.sh"

dir=$tmp/dir
mkdir "$dir"

compiler=$(compiler_without_standard)

# build LANGUAGE STANDARD PROGRAM
# shellcheck disable=SC2086 # flags are lists of words
build()
{
	cp "$top_srcdir/tests/pidfile-cases.c" "$tmp/cases.c" &&
		$compiler ${CFLAGS?} -x "$1" -std="$2" -D_DEFAULT_SOURCE -pedantic -Wall -Wextra -Werror \
			-I"$top_srcdir/include" -c "$tmp/cases.c" -o "$tmp/cases.o" &&
		"${top_builddir:?}/libtool" --silent --tag=CC --mode=link $CC $CFLAGS ${LDFLAGS?} \
			-no-install -o "$3" "$tmp/cases.o" "$top_builddir/lib/liblockfile-pid.la"
}

# passes PROGRAM CASE: and leaves nothing
passes()
{
	(cd "$dir" && "$1" "$2")
	status=$?
	[ "$status" -eq 0 ] || return "$status"
	ls -A "$dir"
	[ -z "$(ls -A "$dir")" ]
}

# try_all PROGRAM NAME
try_all()
{
	for case in $("$1"); do
		if [ "$case" = default_path ] && ! [ -w /var/run ]; then
			skip "$2: $case" '/var/run cannot be written'
			continue
		fi
		expect "$2: $case" passes "$1" "$case"
		rm -rf "$dir"
		mkdir "$dir"
	done
}

# A name of its own: with no path the PID file has the program's.
c=$tmp/lockfile-pid-c-$$
cxx=$tmp/lockfile-pid-c++-$$
expect 'the cases are C89' build c c89 "$c"
try_all "$c" C89
if $compiler -x c++ -fsyntax-only /dev/null 2>"$tmp/no"; then
	expect 'the cases are C++98' build c++ c++98 "$cxx"
	try_all "$cxx" C++98
	expect 'the cases are C++17' build c++ c++17 "$cxx"
else
	skip 'the cases in C++' "$CC compiles no C++ here"
fi
finish
