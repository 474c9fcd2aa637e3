#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# check-symbols.sh - the header, the map and the shared library say the same, and it is small

# shellcheck source=tests/tap.sh
. "${top_srcdir:?}/tests/tap.sh"

library=${SHARED_LIBRARY:?}

# functions that the header declares
${CC:?} -E -P "$top_srcdir/include/lockfile-pid.h" |
	grep -o 'lockfile_pid_[a-z0-9_]*(' | tr -d '(' | sort >"$tmp/header"

# symbol@node that the map grants
awk '$2 == "{" { node = $1 }
	$1 ~ /^lockfile_pid_.*;$/ { sub(/;/, "", $1); print $1 "@" node }' \
	"$top_srcdir/lib/lockfile-pid.map" | sort >"$tmp/map"
sed 's/@.*//' "$tmp/map" | sort >"$tmp/map-names"

# nothing_but FILE FILE: all lines of the first are in the second
nothing_but()
{
	[ -s "$1" ] || { echo "$1 is empty"; return 1; }
	comm -23 "$1" "$2" >"$tmp/surplus"
	cat "$tmp/surplus"
	[ ! -s "$tmp/surplus" ]
}

# dynamic TAG PATTERN: there are such entries, and all of them match
dynamic()
{
	readelf -d "$library" | grep "($1)" >"$tmp/entries" || { echo "no $1"; return 1; }
	! grep -v -e "$2" "$tmp/entries"
}

# Flags and compilers differ in what they add, and what is installed may be of others.
size_is_known()
{
	[ "${installed:?}" = no ] || return
	case "$($CC --version | head -n 1) $CFLAGS" in
	*'(Debian 12.'*'  -g -Os') readelf -h "$library" | grep -q 'X86-64$' ;;
	*) false ;;
	esac
}

# Code and data.  The file also has padding to the next page, up to 4 KiB of it.
is_small()
{
	size "$library" | awk 'NR == 2 { print $4; small = $4 < 51200 } END { exit !small }'
}

# Some distributions compile C with -fexceptions.  An object that needs the unwinder adds
# libgcc_s to what is linked.
needs_no_unwinder()
{
	for source in "$top_srcdir"/lib/*.c; do
		# shellcheck disable=SC2086 # a list of flags
		$CC -fexceptions ${CPPFLAGS-} -D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64 -I"${top_builddir:?}" \
			-I"$top_srcdir/include" -c -o "$tmp/object" "$source" || return
		! nm -u "$tmp/object" | grep '_Unwind_' || { echo "$source"; return 1; }
	done
}

expect 'every function of the header is in the map' \
	nothing_but "$tmp/header" "$tmp/map-names"
expect 'every symbol of the map is in the header' \
	nothing_but "$tmp/map-names" "$tmp/header"
expect 'no object needs the unwinder, even with -fexceptions' needs_no_unwinder

if [ -e "$library" ]; then
	# symbol@node that the library exports; the nodes are symbols of type A
	nm -D --defined-only --with-symbol-versions "$library" |
		awk '$(NF - 1) != "A" { sub(/@@/, "@", $NF); print $NF }' | sort >"$tmp/exports"

	expect 'every symbol of the map is exported' \
		nothing_but "$tmp/map" "$tmp/exports"
	expect 'nothing else is exported' \
		nothing_but "$tmp/exports" "$tmp/map"
	expect 'the soname is liblockfile-pid.so.0' \
		dynamic SONAME '\[liblockfile-pid\.so\.0\]'
	expect 'the library stays loaded once it is' \
		dynamic FLAGS_1 NODELETE
	# a sanitizer brings its own library
	[ "${sanitizers:?}" != no ] || expect 'only libc is linked' \
		dynamic NEEDED '\[libc\.'
	if size_is_known; then
		expect 'it has less than 50 KiB of code and data' is_small
	else
		skip 'it has less than 50 KiB of code and data' 'with other compilers or flags it may have more'
	fi
else
	skip 'the map is what the shared library exports' 'it is not built'
fi
finish
