#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# interplay-peer.sh PROGRAM PATH - hold PATH by another program, as a script does
#
# PROGRAM is as in the table of lockfile-pid(7).  Says "held" when it has the lock,
# gives it back at the end of its input, and is the holder by its own PID.  Where it
# is kept out it says nothing and fails; it waits only if the program cannot but wait.
set -u
program=$1
path=$2

# release_by COMMAND...: it is held; give it back by this
release_by()
{
	echo held
	cat >/dev/null
	"$@"
}

case $program in
dotlockfile | 'dotlockfile -p')
	$program -l -q -r 0 "$path" && release_by dotlockfile -u "$path"
	;;
lockfile-create | 'lockfile-create -p')
	# they append .lock
	$program -q -r 0 "${path%.lock}" && release_by lockfile-remove "${path%.lock}"
	;;
lockfile)
	lockfile -r 0 "$path" && release_by rm -f "$path"
	;;
'lockfile -l')
	# tries twice, and does not sleep in between
	lockfile -0 -r 1 -l 300 -s 0 "$path" && release_by rm -f "$path"
	;;
flock)
	exec flock -n -F "$path" "$0" held "$path"
	;;
'start-stop-daemon -p')
	exec start-stop-daemon -S -q -m -p "$path" -a "$0" -- held "$path"
	;;
'start-stop-daemon -x')
	# by the shell of this script
	exec start-stop-daemon -S -q -m -p "$path" -x "$(command -v sh)" -- "$0" held "$path"
	;;
held)
	# they have executed this, and leave the file behind
	release_by :
	;;
'echo $$ >')
	echo $$ >"$path" && release_by rm -f "$path"
	;;
'set -C; echo $$ >')
	set -C
	echo $$ >"$path" && release_by rm -f "$path"
	;;
*)
	echo "$0: no such program: $program" >&2
	exit 2
	;;
esac
