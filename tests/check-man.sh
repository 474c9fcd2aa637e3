#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# check-man.sh - the manual is well-formed, and says what the header and the tool say

# shellcheck source=tests/tap.sh
. "${top_srcdir:?}/tests/tap.sh"

pages='lockfile-pid.1 lockfile_pid.3 lockfile-pid.5 lockfile-pid.7'
header=$top_srcdir/include/lockfile-pid.h
man=$top_srcdir/man
root=$tmp/root
backspace=$(printf '\b')

# Pages of others that ours refer to.
known='
abort(3)
chdir(2)
chmod(2)
clone(2)
closefrom(3)
daemon(3)
epoll(7)
epoll_wait(2)
fcntl(2)
fork(2)
getcwd(3)
pkg-config(1)
poll(2)
pread(2)
pthreads(7)
setuid(2)
start-stop-daemon(8)
syslog(3)
systemd.service(5)
vfork(2)
'

# same FILE FILE: and not empty
same()
{
	[ -s "$1" ] && diff "$1" "$2"
}

# render PAGE: as text
render()
{
	mandoc -T ascii "$man/$1" | sed "s/.$backspace//g"
}

# section NAME <TEXT: what stands there under this heading
section()
{
	awk -v name="$1" '/^[A-Z]/ { inside = $0 == name; next } inside'
}

# squeeze: C without the blanks that do not matter, a declaration a line
squeeze()
{
	tr -s ' \t\n' ' ' | sed 's/ *\([(){},;*=]\) */\1/g' | tr ';' '\n' | sed '/^ *$/d; s/^ //'
}

# The pages by themselves.

# Whether pages of others are installed does not matter here.
is_clean()
{
	mandoc -T lint -W style "$man/$1" 2>/dev/null |
		grep -v 'referenced manual not found' >"$tmp/lint"
	cat "$tmp/lint"
	[ ! -s "$tmp/lint" ]
}

is_clean_for_groff()
{
	groff -mandoc -Tutf8 -ww "$man/$1" 2>&1 >"$tmp/text" | tee "$tmp/lint"
	[ ! -s "$tmp/lint" ] && [ -s "$tmp/text" ]
}

# shellcheck disable=SC2086 # a list of words
# With the pages that make install adds.
refer_to_known_pages()
{
	{
		echo "$known"
		echo "$pages" | tr ' ' '\n' | sed 's/\(.*\)\.\(.\)$/\1(\2)/'
		sed 's/$/(3)/' "$tmp/map"
	} | sort >"$tmp/targets"
	(cd "$man" && cat $pages) |
		sed -n 's/^\.Xr \([^ ]*\) \([^ ]*\).*/\1(\2)/p' | sort -u >"$tmp/references"
	comm -23 "$tmp/references" "$tmp/targets" >"$tmp/unknown"
	cat "$tmp/unknown"
	[ -s "$tmp/references" ] && [ ! -s "$tmp/unknown" ]
}

# The page of the library.

sed -n 's/^[[:space:]]*\(lockfile_pid_[a-z_]*\);$/\1/p' "$top_srcdir/lib/lockfile-pid.map" |
	sort >"$tmp/map"

names_all_functions()
{
	sed -n '/^\.Nd/q; s/^\.Nm \([^ ]*\).*/\1/p' "$man/lockfile_pid.3" | sort >"$tmp/names"
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
	sed -n 's/^\.Dv \(LOCKFILE_PID_VERSION[A-Z_]*\).*/\1/p' "$man/lockfile_pid.3" |
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
	sed -n 's/^\.It Bq Er \(LOCKFILE_PID_ERR_[A-Z_]*\)$/\1/p' "$man/lockfile_pid.3" |
		sort -u >"$tmp/named"
	same "$tmp/conditions" "$tmp/named"
}

# What make install does with the pages.

# Not the make that runs us: its flags and its other jobs are not for this one.
# That make uninstall removes all of it is for make distcheck to see.
installs_a_page_for_each_function()
{
	MAKEFLAGS='' MFLAGS='' "${MAKE:?}" -C "${top_builddir:?}" install-data DESTDIR="$root" ||
		return
	dir=$(dirname "$(find "$root" -name lockfile_pid.3)")
	while read -r function; do
		cmp "$man/lockfile_pid.3" "$dir/$function.3" || return
	done <"$tmp/map"
	[ "$(find "$dir" -type l | wc -l)" -eq "$(wc -l <"$tmp/map")" ]
}

if command -v mandoc >/dev/null; then
	for page in $pages; do
		expect "$page: mandoc has nothing to say against it" is_clean "$page"
	done
	expect 'SYNOPSIS: the declarations are those of the header' declares_what_the_header_does
	expect 'ERRORS: of each function, those of the header' names_the_errors_of_the_header
	expect 'ERRORS: all functions that return int have some' names_errors_of_all_that_return_int
	expect 'ERRORS: those that tests expect' has_the_errors_that_tests_expect
else
	skip 'the pages are well-formed, and that of the library is right' 'mandoc is missing'
fi
if command -v groff >/dev/null; then
	for page in $pages; do
		expect "$page: groff has nothing to say against it" is_clean_for_groff "$page"
	done
else
	skip 'groff has nothing to say against the pages' 'groff is missing'
fi
expect 'the pages refer to pages that exist' refer_to_known_pages
expect 'NAME: all functions' names_all_functions
expect 'ERRORS: all conditions of the lock' names_all_conditions
expect 'DESCRIPTION: the macros of the header' names_all_macros
expect 'make install: a page for each function' installs_a_page_for_each_function
finish
