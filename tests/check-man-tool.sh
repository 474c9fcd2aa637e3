#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# check-man-tool.sh - lockfile-pid(1) says what the tool does

# shellcheck source=tests/tap.sh
. "${top_srcdir:?}/tests/tap.sh"
# shellcheck source=tests/man.sh
. "$top_srcdir/tests/man.sh"

# Options are lines such as "run -w --wait=".

# options COMMAND <TEXT: those that begin a line; in the page under the heading of
# the command, or one for either
options()
{
	awk -v command="$1" -v heading="$1" '
	/^   [^ ]/ { heading = $1 }
	/^ *(-., )?--[a-z]/ && (heading == command || heading == "All") {
		option = $1 ~ /^--/ ? $1 : $1 " " $2
		sub(/,/, "", option)
		sub(/=.*/, "=", option)
		print command, option
	}'
}

page_options()
{
	render lockfile-pid.1 | section DESCRIPTION >"$tmp/text"
	options run <"$tmp/text"
	options check <"$tmp/text"
	options signal <"$tmp/text"
	options lock <"$tmp/text"
	options unlock <"$tmp/text"
}

help_options()
{
	"${TOOL:?}" run --help | options run
	"$TOOL" check --help | options check
	"$TOOL" signal --help | options signal
	"$TOOL" lock --help | options lock
	"$TOOL" unlock --help | options unlock
}

# source_of COMMAND: what has its table of options; two commands share a file
source_of()
{
	case $1 in
	lock | unlock) sed -n "/ $1_options\[\]/,/^};/p" "$top_srcdir/tools/lock.c" ;;
	*) cat "$top_srcdir/tools/$1.c" ;;
	esac
}

source_options()
{
	for command in run check signal lock unlock; do
		source_of "$command" |
			sed -n "s/.*{ \"\([a-z-]*\)\", no_argument, NULL, '\(.\)' },/-\2 --\1/p
			s/.*{ \"\([a-z-]*\)\", required_argument, NULL, '\(.\)' },/-\2 --\1=/p
			s/.*{ \"\([a-z-]*\)\", required_argument, NULL, OPTION_.*/--\1=/p
			s/.*{ \"\([a-z-]*\)\", no_argument, NULL, OPTION_.*/--\1/p" |
			sed "s/^/$command /"
	done
}

describes_all_options()
{
	page_options | sort >"$tmp/page"
	help_options | sort >"$tmp/help"
	source_options | sort >"$tmp/source"
	same "$tmp/source" "$tmp/page" && same "$tmp/source" "$tmp/help"
}

# Their letters, that is.
shows_all_options()
{
	render lockfile-pid.1 | section SYNOPSIS | awk '
	$1 == "lockfile-pid" { command = $2; $1 = "" }
	{
		gsub(/--[a-z-]*/, "")
		while (match($0, /-[A-Za-z]+/)) {
			for (i = 1; i < RLENGTH; i++)
				print command, "-" substr($0, RSTART + i, 1)
			$0 = substr($0, RSTART + RLENGTH)
		}
	}' | sort >"$tmp/shown"
	sed -n 's/\( -[^-]\) .*/\1/p' "$tmp/source" >"$tmp/letters"
	same "$tmp/letters" "$tmp/shown"
}

# In the help of the tool, as in that of the command.
shows_the_usage_of_commands()
{
	"$TOOL" --help >"$tmp/help"
	for command in run check signal lock unlock; do
		usage=$("$TOOL" "$command" --help | sed -n 's/^Usage: //p')
		grep -F " $usage" "$tmp/help" || return
	done
}

lists_all_exit_statuses()
{
	render lockfile-pid.1 | section 'EXIT STATUS' | awk '
	$1 == "lockfile-pid" { command = $2 }
	/^     [0-9]/ { print command, $1 + 0 }' | sort >"$tmp/page"
	grep -o '\(RUN\|CHECK\|SIGNAL\|LOCK\)_[A-Z_]* = [0-9]*' "$top_srcdir/tools/tool.h" |
		sed 's/^RUN_.*=/run/; s/^CHECK_.*=/check/; s/^SIGNAL_.*=/signal/; s/^LOCK_.*=/lock/' | sort >"$tmp/source"
	same "$tmp/source" "$tmp/page"
}

needs mandoc
expect 'DESCRIPTION: all options, as --help and the source have them' describes_all_options
expect 'SYNOPSIS: all options' shows_all_options
expect '--help: the usage of all commands' shows_the_usage_of_commands
expect 'EXIT STATUS: all that the source names' lists_all_exit_statuses
finish
