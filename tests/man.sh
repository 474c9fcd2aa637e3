# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh
# man.sh - for the checks of the manual: pages as text, and parts of it

# same FILE FILE: and not empty
same()
{
	[ -s "$1" ] && diff "$1" "$2"
}

# render PAGE: as text
render()
{
	mandoc -T ascii "${top_srcdir:?}/man/$1" | sed "s/.$(printf '\b')//g"
}

# section NAME <TEXT: what stands there under this heading
section()
{
	awk -v name="$1" '/^[A-Z]/ { inside = $0 == name; next } inside'
}

# list_functions: those of the map
list_functions()
{
	sed -n 's/^[[:space:]]*\(lockfile_pid_[a-z_]*\);$/\1/p' "$top_srcdir/lib/lockfile-pid.map" |
		sort
}

# needs COMMAND: or all is skipped
needs()
{
	command -v "$1" >/dev/null && return
	skip 'the manual' "$1 is missing"
	finish
	exit
}
