# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh
# tap.sh - for the shell checks: a directory of their own, and TAP on stdout

set -u
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
