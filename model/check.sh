#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# check.sh - the model of the protocol: it holds, and fails without each guard
#
# top_srcdir says where the sources are.  With MODEL_MORE set bigger
# configurations as well, for which memory and hours are needed; those with
# INHERITABLE have not been searched to their end yet.

# shellcheck source=tests/tap.sh
. "${top_srcdir:?}/tests/tap.sh"
model=$(cd "$top_srcdir" && pwd)/model/lockfile.pml
: "${CC:=cc}"

# search FLAGS...: leaves what the search says in $tmp/result
# shellcheck disable=SC2086 # CC may have options
search()
{
	(cd "$tmp" && spin -a "$@" "$model" &&
		$CC -O2 -w -DSAFETY -DNOREDUCE -DCOLLAPSE -DMEMLIM="${MODEL_MB:-4000}" -o pan pan.c &&
		./pan -m2000000 -w22 >result) >"$tmp/built" 2>&1 || {
		cat "$tmp/built"
		return 1
	}
}

is_whole()
{
	grep -q 'errors: 0' "$tmp/result" && ! grep -Eq 'too small|not completed|out of memory' "$tmp/result"
}

# holds FLAGS...
holds()
{
	search "$@"
	states=$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' "$tmp/result")
	expect "holds: $* ($states states)" is_whole
}

# fails GUARD FLAGS...
fails()
{
	guard=$1
	shift
	search "$@" "-D$guard"
	expect "fails: $guard ($*)" grep -q 'assertion violated' "$tmp/result"
}

if ! command -v spin >/dev/null; then
	skip 'the model' 'needs spin'
	finish
	exit
fi

holds -DPROCESSES=2
holds -DPROCESSES=3 -DLIVES=1
holds -DPROCESSES=2 -DNAMED
holds -DPROCESSES=2 -DPLACEHOLDER
holds -DPROCESSES=2 -DCLOSING
holds -DPROCESSES=2 -DCLOSING -DSTRANGER -DLIVES=2
if [ -n "${MODEL_MORE-}" ]; then
	holds -DPROCESSES=3 -DLIVES=2
	holds -DPROCESSES=2 -DCLOSING -DSTRANGER
	holds -DPROCESSES=2 -DINHERITABLE -DLIVES=1
	holds -DPROCESSES=2 -DINHERITABLE -DLIVES=2
	holds -DPROCESSES=3 -DNAMED -DLIVES=1
	holds -DPROCESSES=3 -DCLOSING -DSTRANGER -DLIVES=1
fi

for i in NO_RECHECK_UNDER_RIGHT NO_PATH_LEADS_TO JUDGED_NOT_KEPT_OPEN; do
	fails $i -DPROCESSES=2
done
for i in TAKEOVER_WITHOUT_EXCL LEFTOVER_WITHOUT_LOCK LEFTOVER_NO_NAME_CHECK \
	CLOSE_BEFORE_UNLINK_OF_LEFTOVER; do
	fails $i -DPROCESSES=3 -DLIVES=1
done
fails CLOSE_BEFORE_UNLINK -DPROCESSES=2 -DSTRANGER
fails NO_NAME_CHECK -DPROCESSES=3 -DLIVES=1 -DNAMED
fails LINK_OVER -DPROCESSES=2 -DNAMED
fails PLACEHOLDER_WITHOUT_EXCL -DPROCESSES=2 -DPLACEHOLDER
for i in NO_RANDOM_NUMBER RELEASE_CLOSED_WITHOUT_RIGHT; do
	fails $i -DPROCESSES=2 -DCLOSING -DSTRANGER
done
for i in RELEASE_INHERITABLE_WITHOUT_RIGHT RELEASE_WITHOUT_RECHECK ADOPT_WITHOUT_RECHECK \
	LET_GO_WITHOUT_RIGHT; do
	fails $i -DPROCESSES=2 -DINHERITABLE -DLIVES=2
done
finish
