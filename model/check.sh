#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# check.sh - the models hold, and fail without each guard
#
# top_srcdir says where the sources are.  Every search is exhaustive: one that
# runs out of depth or memory counts as failed.  Two run at a time.  With
# MODEL_MORE set bigger ones as well, some minutes and up to 3 GB each.

# shellcheck source=tests/tap.sh
. "${top_srcdir:?}/tests/tap.sh"
model=$(cd "$top_srcdir" && pwd)/model
: "${CC:=cc}"

# build MODEL FLAGS...: makes ./pan, which stores representatives (symmetry.h)
# shellcheck disable=SC2086 # CC may have options
build()
{
	name=$1
	shift
	spin -a "$@" "$model/$name.pml" >/dev/null || return
	case $* in
	*-DLIVENESS*)
		$CC $optimize -w -DNP -DNOREDUCE -DNFAIR=3 -DCOLLAPSE -o pan pan.c
		return
		;;
	*-DHOSTS* | *-DOUTSIDER* | *-DREADER*) # not one of the others
		$CC -O2 -w -DSAFETY -DNOREDUCE -DCOLLAPSE -DMEMLIM="${MODEL_MB:-4000}" -o pan pan.c
		return
		;;
	esac
	sed -e 's/II = h_store((char \*)&now, vsize)/II = store_representative()/' \
		-e "s/^new_state(void)\$/new_state(void);\\
#include \"$name-names.h\"\\
void new_state(void)/" pan.c >representing.c
	[ "$(grep -c 'store_representative()' representing.c)" -eq 1 ] || return
	$CC $optimize -w -I"$model" -I. "$@" -DSAFETY -DNOREDUCE -DCOLLAPSE \
		-DMEMLIM="${MODEL_MB:-4000}" -o pan representing.c
}

# search NUMBER VERDICT MODEL FLAGS...: leaves what the search says in $tmp/NUMBER/result
search()
{
	mkdir "$tmp/$1" && cd "$tmp/$1" || return
	# A violation is found sooner than an optimized search for it is compiled.
	case $2 in
	holds) optimize=-O2 ;;
	fails) optimize=-O0 ;;
	esac
	shift 2
	build "$@" >built 2>&1 || return
	case $* in
	*-DLIVENESS*) ./pan -l -f -m"$depth" -w22 >result 2>&1 ;;
	*) ./pan -m"$depth" -w22 >result 2>&1 ;;
	esac
}

depth=2000000
[ -z "${MODEL_MORE-}" ] || depth=20000000

# So this script is called for each search, out of xargs below.
if [ "${1-}" = search ]; then
	shift
	trap - EXIT
	rmdir "$tmp"
	tmp=$MODEL_TMP
	search "$@"
	exit 0
fi

# holds MODEL FLAGS...
holds()
{
	searches=$((searches + 1))
	echo "$searches holds $*" >>"$tmp/list"
}

# fails GUARD MODEL FLAGS...
fails()
{
	searches=$((searches + 1))
	guards=$((guards + 1))
	guard=$1
	shift
	echo "$searches fails $* -D$guard" >>"$tmp/list"
}

is_whole()
{
	cat "$result"
	grep -q 'errors: 0' "$result" &&
		! grep -Eiq 'too small|not completed|out of memory|error:' "$result"
}

is_violated()
{
	cat "$result"
	grep -Eq 'assertion violated|invalid end state \(' "$result"
}

# report NUMBER VERDICT MODEL FLAGS...
report()
{
	result=$tmp/$1/result
	[ -e "$result" ] || result=$tmp/$1/built
	verdict=$2
	shift 2
	found=$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' "$result")
	states=$(awk -v a="$states" -v b="${found:-0}" 'BEGIN { printf "%.0f", a + b }')
	case $verdict in
	holds) expect "holds: $* (${found:-no} states)" is_whole ;;
	fails) expect "fails: $* (${found:-no} states)" is_violated ;;
	esac
}

if ! command -v spin >/dev/null; then
	skip 'the models' 'needs spin'
	finish
	exit
fi

searches=0 guards=0 states=0

# States, time on a busy machine of two cores, and memory:
#	4831855		359 s	1.4 GB
#	2470543		 49 s	1.2 GB
#	 670724		 23 s	1.1 GB
#	23089748	456 s	2.4 GB
if [ -n "${MODEL_MORE-}" ]; then
	holds lockfile -DPROCESSES=4
	holds lockfile -DPROCESSES=3 -DPLACEHOLDER
	holds lockfile -DPROCESSES=3 -DCLOSING -DSTRANGER -DLIVES=1
	holds lockfile -DPROCESSES=3 -DINHERITABLE -DLIVES=1
	holds lockfile -DPROCESSES=2 -DREADER
	holds lockfile -DPROCESSES=3 -DHANDLES -DCLOSING
	holds network -DHOSTS=3
fi

holds lockfile -DPROCESSES=3 -DNAMED
holds queue -DPROCESSES=3
holds lockfile -DPROCESSES=3
holds lockfile -DPROCESSES=3 -DLIVES=2
holds lockfile -DPROCESSES=2 -DPLACEHOLDER
holds lockfile -DPROCESSES=2 -DCLOSING
holds lockfile -DPROCESSES=2 -DCLOSING -DSTRANGER
holds lockfile -DPROCESSES=2 -DCLOSING -DSTRANGER -DLIVES=2
holds lockfile -DPROCESSES=2 -DLEAKING
holds lockfile -DPROCESSES=2 -DLEAKING -DSTRANGER
holds lockfile -DPROCESSES=2 -DLEAKING -DNAMED -DLIVES=2
holds lockfile -DPROCESSES=3 -DLEAKING -DLIVES=1
holds lockfile -DPROCESSES=2 -DINHERITABLE
holds lockfile -DPROCESSES=2 -DINHERITABLE -DLIVES=2
holds queue -DPROCESSES=2 -DCRASHES -DTIMERS
holds queue -DPROCESSES=2 -DBY_HAND
holds queue -DPROCESSES=2 -DHOLDERS_DIE -DSTEADY
holds queue -DPROCESSES=2 -DTIMELY -DOVERTAKEN=1
holds queue -DPROCESSES=2 -DTIMELY -DSLOW=3 -DOVERTAKEN=4
holds queue -DPROCESSES=2 -DEVENT_LOOPS -DHOLDERS_DIE -DSTEADY
holds queue -DPROCESSES=2 -DEVENT_LOOPS
holds queue -DPROCESSES=2 -DLEAKS
holds queue -DPROCESSES=2 -DLEAKS -DCRASHES -DTIMERS
holds queue -DPROCESSES=2 -DOUTSIDER
holds queue -DPROCESSES=3 -DOUTSIDER
holds queue -DPROCESSES=2 -DPATIENT -DLIVENESS
holds queue -DPROCESSES=2 -DPATIENT -DTIMERS -DLIVENESS
holds lockfile -DPROCESSES=2 -DHANDLES -DCLOSING
holds lockfile -DPROCESSES=2 -DREADER -DSTRANGER -DLIVES=2
holds network -DHOSTS=2

for i in NO_RECHECK_UNDER_RIGHT NO_PATH_LEADS_TO JUDGED_NOT_KEPT_OPEN; do
	fails $i lockfile -DPROCESSES=2
done
for i in TAKEOVER_WITHOUT_EXCL LEFTOVER_WITHOUT_LOCK LEFTOVER_NO_NAME_CHECK \
	CLOSE_BEFORE_UNLINK_OF_LEFTOVER WITHDRAW_CLOSED; do
	fails $i lockfile -DPROCESSES=3
done
for i in CLEARING_BY_BYTE_0 BYTE_1_LEFT_LOCKED; do
	fails $i lockfile -DPROCESSES=2 -DLEAKING
done
fails CLEARING_WITHOUT_BYTE_1 lockfile -DPROCESSES=3 -DLEAKING
fails CLEARING_BY_ANY_RECORD lockfile -DPROCESSES=3 -DSTRANGER
fails CLOSE_BEFORE_UNLINK lockfile -DPROCESSES=2 -DSTRANGER
fails NO_NAME_CHECK lockfile -DPROCESSES=3 -DNAMED
fails LINK_OVER lockfile -DPROCESSES=2 -DNAMED
fails PLACEHOLDER_WITHOUT_EXCL lockfile -DPROCESSES=2 -DPLACEHOLDER
for i in NO_RANDOM_NUMBER RELEASE_CLOSED_WITHOUT_RIGHT; do
	fails $i lockfile -DPROCESSES=2 -DCLOSING -DSTRANGER
done
for i in RELEASE_INHERITABLE_WITHOUT_RIGHT RELEASE_WITHOUT_RECHECK ADOPT_WITHOUT_RECHECK \
	LET_GO_WITHOUT_RIGHT; do
	fails $i lockfile -DPROCESSES=2 -DINHERITABLE -DLIVES=2
done

for i in NO_WAKE_UP WAKE_UP_FIRST NO_LOOK_AFTER_JOIN REMOVE_WITHOUT_LOCK REMOVE_WITHOUT_CHECK \
	JOIN_WITHOUT_CHECK JOIN_WITHOUT_LOCK UPGRADE; do
	fails $i queue -DPROCESSES=2
done
fails NO_PASSING_ON queue -DPROCESSES=3
for i in NO_HANDING_ON NO_FIRST; do
	fails $i queue -DPROCESSES=2 -DHOLDERS_DIE -DSTEADY
done
fails NO_TIMERS queue -DPROCESSES=3 -DHOLDERS_DIE -DSTEADY
fails NO_FOLLOWING queue -DPROCESSES=2 -DBY_HAND
fails NO_TURN queue -DPROCESSES=2 -DTIMELY -DOVERTAKEN=9
fails NO_LONGER_YIELD queue -DPROCESSES=2 -DTIMELY -DSLOW=3 -DOVERTAKEN=9
fails NO_EXIT_CHECK queue -DPROCESSES=2 -DEVENT_LOOPS -DHOLDERS_DIE -DSTEADY
fails NO_UNLOCK queue -DPROCESSES=2 -DLEAKS
for i in NO_POLLING NO_POLLING_OUTSIDE; do
	fails $i queue -DPROCESSES=2 -DOUTSIDER
done

fails HANDLES_UNKNOWN lockfile -DPROCESSES=2 -DHANDLES -DCLOSING
for i in READ_LOCKS_COUNT TAKEOVER_READABLE; do
	fails $i lockfile -DPROCESSES=2 -DREADER -DSTRANGER -DLIVES=1
done
for i in NO_REFRESH_OF_OWN NO_TAKEOVER_LOCK RELEASE_ALONE; do
	fails $i network -DHOSTS=2
done

MODEL_TMP=$tmp xargs -P 2 -L 1 sh "$model/check.sh" search <"$tmp/list"
while read -r line; do
	# shellcheck disable=SC2086 # words
	report $line
done <"$tmp/list"
echo "# $states states, $guards guards"
finish
