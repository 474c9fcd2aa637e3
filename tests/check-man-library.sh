#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# check-man-library.sh - lockfile_pid(3) says what the header does

# shellcheck source=tests/tap.sh
. "${top_srcdir:?}/tests/tap.sh"
# shellcheck source=tests/man.sh
. "$top_srcdir/tests/man.sh"

page=$top_srcdir/man/lockfile_pid.3
header=$top_srcdir/include/lockfile-pid.h

# squeeze: C without the blanks that do not matter, a declaration a line
squeeze()
{
	tr -s ' \t\n' ' ' | sed 's/ *\([(){},;*=]\) */\1/g' | tr ';' '\n' | sed '/^ *$/d; s/^ //'
}

names_all_functions()
{
	sed -n '/^\.Nd/q; s/^\.Nm \([^ ]*\).*/\1/p' "$page" | sort >"$tmp/names"
	same "$tmp/map" "$tmp/names"
}

declares_what_the_header_does()
{
	${CC:?} -E -P "$header" |
		sed -n '/^struct lockfile_pid;/,$p' | sed 's/__attribute__((__warn_unused_result__))//' |
		squeeze >"$tmp/header"
	render lockfile_pid.3 | section SYNOPSIS | grep -v '^ *#' | squeeze >"$tmp/page"
	[ "$(grep -c 'lockfile_pid_.*(' "$tmp/header")" -eq "$(wc -l <"$tmp/map")" ] &&
		same "$tmp/header" "$tmp/page"
}

names_all_macros()
{
	sed -n 's/^#define \(LOCKFILE_PID_[A-Z_]*\) .*/\1/p' "$header" |
		grep -vx LOCKFILE_PID_MUST_CHECK | sort -u >"$tmp/macros"
	sed -n 's/^\.Dv \(LOCKFILE_PID_VERSION[A-Z_]*\).*/\1/p' "$page" |
		sort -u >"$tmp/page"
	same "$tmp/macros" "$tmp/page"
}

# Errors.  Both texts have the same words for those that are not theirs alone.
# Made of them: lines of a function and its text, and of that, lines of a function
# and one of its errors.

header_errors()
{
	awk '
	/listed here once:/ { name = "general"; next }
	/After an error/ { name = "" }
	$1 == "/**" { getline; function_name = $2; next }
	$2 == "Errors:" { name = function_name }
	$2 == "Since:" { name = "" }
	name { sub(/^ \*/, ""); text[name] = text[name] " " $0 }
	END { for (name in text) print name, text[name] }' "$header"
}

page_errors()
{
	render lockfile_pid.3 | section ERRORS | awk '
	/^   [^ ]/ {
		gsub(/[(),]/, "")
		heading = $0 == "   General errors" ? "general" : $0
		next
	}
	heading { text[heading] = text[heading] " " $0 }
	END {
		for (heading in text) {
			n = split(heading, name, " ")
			for (i = 1; i <= n; i++)
				print name[i], text[heading]
		}
	}'
}

list_errors()
{
	awk '
	function codes(s, set) {
		while (match(s, /-E[A-Z0-9]+|LOCKFILE_PID_ERR_[A-Z_]+/)) {
			set = set substr(s, RSTART, RLENGTH) " "
			s = substr(s, RSTART + RLENGTH)
		}
		return set
	}
	function without(set, except, code, n, i, left) {
		n = split(set, code, " ")
		for (i = 1; i <= n; i++)
			if (index(" " except, " " code[i] " ") == 0)
				left = left code[i] " "
		return left
	}
	function errors(name, s, set, others, word) {
		if (!(name in text)) {
			print "nothing about", name
			return ""
		}
		s = text[name]
		if (s ~ /the (general ones|General errors)/)
			set = errors("general")
		while (match(s, /those of lockfile_pid_[a-z_]*\(\)( except [A-Z_-]+( and [A-Z_-]+)*)?/)) {
			others = substr(s, RSTART, RLENGTH)
			s = substr(s, 1, RSTART - 1) substr(s, RSTART + RLENGTH)
			split(others, word, /[ (]/)
			set = set without(errors(word[3]), codes(others))
		}
		return set codes(s)
	}
	{
		name = $1
		gsub(/[ \t]+/, " ")
		text[name] = $0
	}
	END {
		for (name in text) {
			n = split(errors(name), code, " ")
			for (i = 1; i <= n; i++)
				print name, code[i]
		}
	}' | sort -u
}

names_the_errors_of_the_header()
{
	header_errors | list_errors >"$tmp/header"
	page_errors | list_errors >"$tmp/page"
	same "$tmp/header" "$tmp/page"
}

# Those that tests take for documented.  It leaves out what is general.
documented_errors()
{
	awk '
	$1 == "#define" && $3 ~ /^LOCKFILE_PID_ERR_/ { full[$2] = $3 }
	/^} table/ { inside = 1 }
	/^};/ { inside = 0 }
	inside {
		n = split($0, word, /[{}, \t]+/)
		for (i = 1; i <= n; i++) {
			if (gsub(/"/, "", word[i]))
				name = "lockfile_pid_" word[i]
			else if (word[i] in full)
				print name, full[word[i]]
			else if (word[i] ~ /^-E/)
				print name, word[i]
		}
	}' "$top_srcdir/tests/documented.c" | sort
}

has_the_errors_that_tests_expect()
{
	documented_errors >"$tmp/documented"
	awk 'NR == FNR && $1 == "general" { general[$2] }
		NR != FNR && !($2 in general)' "$tmp/header" "$tmp/header" >"$tmp/own"
	comm -23 "$tmp/documented" "$tmp/header" >"$tmp/surplus"
	comm -23 "$tmp/own" "$tmp/documented" >"$tmp/missing"
	sed 's/$/ is unknown to the tests/' "$tmp/missing"
	sed 's/$/ is not in the header/' "$tmp/surplus"
	[ -s "$tmp/own" ] && [ ! -s "$tmp/missing" ] && [ ! -s "$tmp/surplus" ]
}

names_errors_of_all_that_return_int()
{
	sed -n 's/^int \(lockfile_pid_[a-z_]*\)(.*/\1/p' "$header" | sort >"$tmp/functions"
	cut -d ' ' -f 1 "$tmp/page" | grep -vx general | sort -u >"$tmp/named"
	same "$tmp/functions" "$tmp/named"
}

names_all_conditions()
{
	grep -o 'LOCKFILE_PID_ERR_[A-Z_]*' "$top_srcdir/lib/error.c" | sort -u >"$tmp/conditions"
	sed -n 's/^\.It Bq Er \(LOCKFILE_PID_ERR_[A-Z_]*\)$/\1/p' "$page" |
		sort -u >"$tmp/named"
	same "$tmp/conditions" "$tmp/named"
}

needs mandoc
list_functions >"$tmp/map"
expect 'NAME: all functions' names_all_functions
expect 'SYNOPSIS: the declarations are those of the header' declares_what_the_header_does
expect 'DESCRIPTION: the macros of the header' names_all_macros
expect 'ERRORS: of each function, those of the header' names_the_errors_of_the_header
expect 'ERRORS: all functions that return int have some' names_errors_of_all_that_return_int
expect 'ERRORS: those that tests expect' has_the_errors_that_tests_expect
expect 'ERRORS: all conditions of the lock' names_all_conditions
finish
