#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# check-header.sh - the public headers on their own, in the languages of their users

# shellcheck source=tests/tap.sh
. "${top_srcdir:?}/tests/tap.sh"

compiler=$(compiler_without_standard)

# compile LANGUAGE STANDARD FILE: without a warning
compile()
{
	$compiler -x "$1" -std="$2" -pedantic -Wall -Wextra -Werror -fsyntax-only \
		-I"$top_srcdir/include" "$3"
}

# measures TYPE: a program can
measures()
{
	printf '#include <lockfile-pid.h>\nint size = sizeof(%s);\n' "$1" >"$tmp/size"
	compile c c89 "$tmp/size"
}

is_opaque()
{
	measures "$1 *" && ! measures "$1"
}

# expand MACROS: their values, without blanks and quotes
expand()
{
	printf '#include <lockfile-pid.h>\n%s\n' "$1" |
		$CC -E -P -I"$top_srcdir/include" - | tail -n 1 | tr -d ' "'
}

# Types that are defined elsewhere, of the declarations of the header
types_of_others()
{
	$CC -E -x c -I"$top_srcdir/include" "$once" |
		awk '/^# [0-9]+ "/ { ours = $3 ~ /lockfile-pid\.h"$/; next } ours' |
		grep -owE '[a-z0-9_]+_t|(struct|union) [a-z0-9_]+' | sort -u | xargs
}

# same EXPECTED ACTUAL
same()
{
	echo "$1, not $2"
	[ "$1" = "$2" ]
}

once=$tmp/once
twice=$tmp/twice
for header in lockfile-pid-pidfile.h lockfile-pid.h; do
	echo "#include <$header>" >"$once"
	cat "$once" "$once" >"$twice"
	expect "$header alone is C89" compile c c89 "$once"
	expect "$header alone is C17" compile c c17 "$once"
	expect "$header can be included twice" compile c c89 "$twice"
	if $compiler -x c++ -fsyntax-only /dev/null 2>"$tmp/said"; then
		expect "$header alone is C++98" compile c++ c++98 "$once"
		expect "$header alone is C++17" compile c++ c++17 "$once"
	else
		skip "$header alone is C++" "$CC compiles no C++ here"
	fi
done
expect 'the handle is opaque' is_opaque 'struct lockfile_pid'
# off_t and time_t have another size where a program asks for it
expect 'no type has a size that a program can choose' \
	same 'pid_t struct lockfile_pid' "$(types_of_others)"
expect 'the version is that of the package' \
	same "${VERSION:?}" "$(expand LOCKFILE_PID_VERSION)"
expect 'the numbers of the version are those of the package' \
	same "$VERSION" "$(expand \
		'LOCKFILE_PID_VERSION_MAJOR.LOCKFILE_PID_VERSION_MINOR.LOCKFILE_PID_VERSION_MICRO')"
finish
