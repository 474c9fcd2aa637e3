#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# check-filesystems.sh - the process suites on one file system after the other
#
# As root, in mount and PID namespaces of their own: whatever ends this script
# ends all that it started, file system daemons too, and then nothing is mounted
# and no loop device is in use.  Images are in memory.
#
# Environment, lists of words, each "all" for all there are:
# FILESYSTEMS	names as below
# SUITES	NAME for tests/test-NAME, or NAME:TEST for one test of it
# JOBS		how many file systems at a time

# The slowest first.
all_filesystems='
	bindfs fuse-overlayfs ext4 xfs btrfs tmpfs overlay-tmpfs overlay-ext4 ramfs ext4-no-tmpfile'
all_suites='
	api descriptors events failures fair fork line lock peers race rogue threads wait'
# A second each or less, and of the others what file systems could differ in.
few_suites='
	descriptors failures fork lock rogue
	line:waiters_come_in_the_order_in_which_they_joined
	line:the_death_of_the_holder_wakes_the_first_in_line_at_once
	line:a_name_removed_by_hand_is_noticed
	race:of_those_who_take_over_a_stale_file_exactly_one_wins
	race:after_a_kill_at_any_point_the_next_locker_gets_the_lock_and_nothing_is_left'

tests=${top_builddir:?}/tests
# the suites have users who own nothing
umask 022

# 77: it is not to be had here; standard output says why

# need COMMAND...
need()
{
	for command; do
		if ! command -v "$command" >/dev/null; then
			echo "no $command"
			return 77
		fi
	done
}

# knows FILESYSTEM: the kernel does
knows()
{
	grep -qw "$1" /proc/filesystems || modprobe -q "$1" 2>/dev/null ||
		{ echo "the kernel has no $1"; return 77; }
}

# mount_image TYPE SIZE DIRECTORY
mount_image()
{
	knows "$1" && need "mkfs.$1" || return
	[ -e /dev/loop-control ] || { echo 'no loop devices'; return 77; }
	image=$images/${3##*/}
	truncate -s "$2" "$image" &&
		"mkfs.$1" -q "$image" >/dev/null &&
		mount -o loop "$image" "$3"
}

# layers DIRECTORY: as options for an overlay
layers()
{
	mkdir "$1/lower" "$1/upper" "$1/work" &&
		echo "lowerdir=$1/lower,upperdir=$1/upper,workdir=$1/work"
}

# mount_filesystem NAME DIRECTORY
mount_filesystem()
{
	below=$2.below
	mkdir "$2" "$below" || return
	case $1 in
	ext4 | ext4-no-tmpfile)
		mount_image ext4 64m "$2"
		;;
	xfs)
		mount_image xfs 300m "$2"
		;;
	btrfs)
		mount_image btrfs 128m "$2"
		;;
	tmpfs | ramfs)
		mount -t "$1" none "$2"
		;;
	overlay-tmpfs)
		knows overlay && mount -t overlay -o "$(layers "$below")" none "$2"
		;;
	overlay-ext4)
		knows overlay && mount_image ext4 64m "$below" &&
			mount -t overlay -o "$(layers "$below")" none "$2"
		;;
	bindfs)
		# of libfuse's usual kind: each name has a kernel lock of its own, and
		# rename(2) cannot be told not to replace
		need bindfs && knows fuse || return
		[ -e /dev/fuse ] || { echo 'no /dev/fuse'; return 77; }
		bindfs -o hard_remove "$below" "$2" 2>"$below.said" && return
		cat "$below.said"
		grep -q 'unknown option.*hard_remove' "$below.said" || return 1
		# then each open file that is removed stays, as .fuse_hidden*
		echo 'bindfs with libfuse 3 keeps removed files that are open'
		return 77
		;;
	fuse-overlayfs)
		# hard links and renaming without replacing, which few others have
		need fuse-overlayfs && knows fuse || return
		[ -e /dev/fuse ] || { echo 'no /dev/fuse'; return 77; }
		fuse-overlayfs -o "allow_other,$(layers "$below")" "$2"
		;;
	*)
		echo "no such file system: $1"
		return 1
		;;
	esac
}

# without_tmpfile FILESYSTEM COMMAND...: where that is to be, runs the command so
without_tmpfile()
{
	case $1 in
	*-no-tmpfile)
		shift
		"$tests/helper-filesystem" no-tmpfile "$@"
		;;
	*)
		shift
		"$@"
		;;
	esac
}

# lacks_what_it_should FILESYSTEM: that it has not all is why it is tried
lacks_what_it_should()
{
	features=$(without_tmpfile "$1" "$tests/helper-filesystem" features) || return
	echo "it has $features"
	case "$1: $features" in
	ramfs:*attributes* | *-no-tmpfile:*tmpfile\ * | fuse*:*tmpfile* | bindfs:*tmpfile*)
		return 1
		;;
	esac
}

# has_all_results: of a suite, as many as planned
has_all_results()
{
	awk '
		/^1\.\.[0-9]+$/ { planned = substr($0, 4) + 0 }
		/^(not )?ok / { results++ }
		END { exit !(results > 0 && results == planned) }' "$1"
}

# run_suite FILESYSTEM NAME[:TEST] LOG: in a new directory, which is empty again at its end
run_suite()
{
	case $2 in
	*:*)
		export CK_RUN_CASE="${2#*:}"
		;;
	esac
	# longer is another place (common.c)
	mkdir "$TMPDIR" && [ "${#TMPDIR}" -lt 32 ] || return
	without_tmpfile "$1" "$tests/test-${2%%:*}" >"$3" 2>&1 || return
	has_all_results "$3" && rmdir "$TMPDIR"
}

# try_all NUMBER FILESYSTEM: leaves logs, and the status beside each
try_all()
{
	log=$logs/$2
	TMPDIR=$root/$1/t
	export TMPDIR
	status=0
	mount_filesystem "$2" "$root/$1" >"$log" 2>&1 || status=$?
	if [ "$status" -eq 0 ]; then
		chmod 755 "$root/$1"
		cd "$root/$1" || return
		lacks_what_it_should "$2" >>"$log" 2>&1 || status=$?
		cd /
	fi
	echo "$status" >"$log.status"
	[ "$status" -eq 0 ] || return
	for suite in $suites; do
		status=0
		(run_suite "$2" "$suite" "$log.$suite") || status=$?
		echo "$status" >"$log.$suite.status"
		rm -rf "$TMPDIR"
	done
}

# passed LOG
passed()
{
	cat "$1"
	[ "$(cat "$1.status")" -eq 0 ]
}

# In namespaces of their own
try_each_filesystem()
{
	mount -t tmpfs none "$root" && mount -t tmpfs none "$images" || return
	i=0
	for name in $filesystems; do
		i=$((i + 1))
		echo "$i $name"
	done | xargs -n 2 -P "${JOBS:-3}" sh "$0" try
}

# tell FILESYSTEM
tell()
{
	log=$logs/$1
	status=$(cat "$log.status")
	if [ "$status" = 77 ]; then
		skip "suites on $1" "$(tail -n 1 "$log")"
		return
	fi
	expect "$1 is mounted" passed "$log"
	[ "$status" = 0 ] || return
	echo "# $(tail -n 1 "$log")"
	for suite in $suites; do
		expect "$suite on $1" passed "$log.$suite"
		sed -n 's/^ok [0-9]* - \(.*\) # SKIP /# not tried there: \1: /p' "$log.$suite"
	done
}

skip_all()
{
	echo "1..0 # SKIP $1"
	exit
}

# A time-out of a test means that it hangs, not that the machine is busy.
export CK_TIMEOUT_MULTIPLIER="${CK_TIMEOUT_MULTIPLIER:-5}"
filesystems=${FILESYSTEMS:-all}
[ "$filesystems" != all ] || filesystems=$all_filesystems
case ${SUITES-} in
'')
	suites=$few_suites
	export RACE_FACTOR=0.02
	;;
all)
	suites=$all_suites
	;;
*)
	suites=$SUITES
	;;
esac

case ${1-} in
try)
	try_all "$2" "$3"
	exit
	;;
inside)
	try_each_filesystem
	exit
	;;
esac

[ -x "$tests/test-lock" ] || skip_all 'the suites have not been built'
[ "$(id -u)" -eq 0 ] || skip_all 'needs root'
set -- env --default-signal setpriv --pdeathsig KILL \
	unshare --mount --propagation private --pid --fork --kill-child --mount-proc
"$@" true 2>/dev/null || skip_all 'cannot have mounts and PIDs of its own'

# the suites want short paths
TMPDIR=/tmp
# shellcheck source=tests/tap.sh
. "${top_srcdir:?}/tests/tap.sh"
root=$tmp/r
# Not below root: a mount that is detached keeps what is mounted on it as long as
# it is in use itself, as by a loop device, and that as long as it is mounted.
images=$tmp/images
logs=$tmp/logs
export root images logs suites filesystems
mkdir "$root" "$images" "$logs"
# they have users who own nothing
chmod 711 "$tmp"
# in the background: unshare does not heed a signal that asks to end
"$@" sh "$0" inside &
trap 'kill -KILL $!; exit 1' HUP INT TERM
wait $!
for name in $filesystems; do
	tell "$name"
done
finish
