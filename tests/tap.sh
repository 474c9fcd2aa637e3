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
