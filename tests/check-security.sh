#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# check-security.sh - the tests that SECURITY.md names are there

# shellcheck source=tests/tap.sh
. "${top_srcdir:?}/tests/tap.sh"

# Of each row that says who tried it: lines "FILE TEST".
# shellcheck disable=SC2016 # these are quotes of Markdown
names_of_tests()
{
	grep '^|' "$top_srcdir/SECURITY.md" | tr ';' '\n' | grep -o '`[^`]*`' | tr -d '`' |
		awk '/^test-[a-z-]*\.c$/ { file = $0; next } /^[a-z0-9_]*_[a-z0-9_]*_[a-z0-9_]*_/ { print file, $0 }'
}

tests_are_in_their_files()
{
	names_of_tests >"$tmp/names"
	[ "$(wc -l <"$tmp/names")" -ge 20 ] || return
	while read -r source test; do
		grep -q "^TEST[A-Z_]*(${test}[,)]" "$top_srcdir/tests/$source" ||
			{ echo "$source: no test $test"; return 1; }
	done <"$tmp/names"
}

# first_cells TABLE: of the rows of one of the tables
first_cells()
{
	awk -F ' *[|] *' -v table="$1" '
		/^[|] ?---/ { number++; inside = 1; next }
		!/^[|]/ { inside = 0 }
		inside && number == table { print $2 }' "$top_srcdir/SECURITY.md"
}

# The second table has the rows of the first, in its order, by the words that they begin with.
every_row_was_tried()
{
	first_cells 1 >"$tmp/rows"
	first_cells 2 >"$tmp/tried"
	[ -s "$tmp/rows" ] && paste -d '|' "$tmp/rows" "$tmp/tried" |
		awk -F '|' '$2 == "" || index($1, $2) != 1 { print; wrong = 1 } END { exit wrong }'
}

expect 'the tests that it names exist' tests_are_in_their_files
expect 'each row was tried' every_row_was_tried
finish
