# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh
# tap.sh - for the shell checks: a directory of their own, and TAP on stdout

set -u
umask 022
# some programs are out of an ordinary user's way
PATH=$PATH:/usr/sbin:/sbin
tmp=$(mktemp -d) || exit 99
trap 'rm -rf "$tmp"' EXIT
count=0

# expect NAME COMMAND...: the command succeeds
expect()
{
	name=$1
	shift
	count=$((count + 1))
	if "$@" >"$tmp/said" 2>&1; then
		echo "ok $count - $name"
	else
		echo "not ok $count - $name"
		sed 's/^/# /' "$tmp/said"
	fi
}

# await COMMAND...: until it succeeds, a minute at most, or as long as patience_s says
await()
{
	tries=$((${patience_s:-60} * 100))
	until "$@" >/dev/null 2>&1; do
		tries=$((tries - 1))
		[ "$tries" -gt 0 ] || { echo "in vain: $*"; return 1; }
		sleep 0.01
	done
}

# compiler_without_standard: prints $CC without a standard of C, which is an error for C++
compiler_without_standard()
{
	for word in ${CC:?}; do
		case $word in
		-std=*) ;;
		*) printf '%s ' "$word" ;;
		esac
	done
}

# stat_of PID: prints the fields of proc_pid_stat(5) that follow the name of the program
stat_of()
{
	sed 's/.*) //' "/proc/$1/stat" 2>/dev/null
}

# gone PID: it has ended; its parent may not have waited for it yet
gone()
{
	case $(stat_of "$1") in '' | Z*) ;; *) false ;; esac
}

# skip NAME REASON: it cannot be tried here
skip()
{
	count=$((count + 1))
	echo "ok $count - $1 # SKIP $2"
}

# The plan: that nothing is missing.  To be called last.
finish()
{
	echo "1..$count"
}
