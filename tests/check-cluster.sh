#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# check-cluster.sh - locks on a file system that several hosts share
#
# A server of GlusterFS, and two hosts that mount it.  A host is a set of
# namespaces (mount, PID, UTS) with a boot ID of its own, and its first process
# is the client of the file system: to kill that is to switch the host off.  All
# of it lives in namespaces of this script's own: there the network is a loopback
# that nobody else has, and nothing outlives the script.

tests='two hosts that share a file system'
missing()
{
	[ "$(id -u)" -eq 0 ] || echo 'needs root'
	[ -c /dev/fuse ] || echo 'needs /dev/fuse'
	for i in glusterfsd glusterfs unshare nsenter ip pgrep; do
		command -v "$i" >/dev/null || echo "needs $i"
	done
}

if [ "${1-}" != inside ]; then
	why=$(missing | head -n 1)
	if [ -z "$why" ] && ! unshare --mount --pid --uts --net --fork true 2>/dev/null; then
		why='needs namespaces'
	fi
	if [ -n "$why" ]; then
		echo "ok 1 - $tests # SKIP $why"
		echo 1..1
		exit
	fi
	TMPDIR=$(mktemp -d) || exit 99
	export TMPDIR
	# what takes so long hangs
	timeout -s KILL $((300 * ${TEST_PACE:-1})) unshare --mount --pid --net --fork --kill-child --mount-proc \
		sh "$0" inside
	status=$?
	rm -rf "$TMPDIR"
	exit $status
fi

# shellcheck source=tests/tap.sh
. "${top_srcdir:?}/tests/tap.sh"

BUSY=-10001
mnt=$tmp/mnt
lock=$mnt/lock.pid
port=24007
patience_s=$((60 * ${TEST_PACE:-1}))
server='' answer=''
mkdir "$mnt" "$tmp/brick" "$tmp/a" "$tmp/b"
mkfifo "$tmp/a/in" "$tmp/a/out" "$tmp/b/in" "$tmp/b/out"

# The server keeps the locks, and looks every second whether its clients live.
write_server_volume()
{
	cat <<-END
	volume posix
	    type storage/posix
	    option directory $tmp/brick
	end-volume
	volume locks
	    type features/locks
	    subvolumes posix
	end-volume
	volume brick
	    type performance/io-threads
	    subvolumes locks
	end-volume
	volume server
	    type protocol/server
	    option transport-type tcp
	    option transport.socket.bind-address 0.0.0.0
	    option transport.socket.listen-port $port
	    option transport.socket.keepalive-time 1
	    option transport.socket.keepalive-interval 1
	    option transport.socket.keepalive-count 2
	    option transport.tcp-user-timeout 2
	    option auth.addr.brick.allow 127.*
	    subvolumes brick
	end-volume
	END
}

# write_client_volume ADDRESS: each host has its own way to the server
write_client_volume()
{
	cat <<-END
	volume client
	    type protocol/client
	    option transport-type tcp
	    option remote-host $1
	    option remote-port $port
	    option remote-subvolume brick
	    option ping-timeout 2
	end-volume
	END
}

# It is to outlive the holders, and must not have what tells them to end.
start_server()
{
	glusterfsd -N -f "$tmp/server.vol" -l "$tmp/server.log" 3>&- 4<&- 5>&- 6<&- &
	server=$!
}

# on HOST COMMAND...
on()
{
	host=$1
	shift
	nsenter --target "$(cat "$tmp/$host/init")" --mount --pid --uts "$@"
}

has_mounted()
{
	pgrep -P "$1" >"$tmp/$2/init" && on "$2" mountpoint -q "$mnt" && on "$2" ls "$mnt"
}

# switch_on HOST
switch_on()
{
	cat /proc/sys/kernel/random/uuid >"$tmp/$1/boot"
	# shellcheck disable=SC2016 # for the inner shell
	unshare --mount --pid --uts --fork --kill-child --mount-proc sh -c '
		hostname "${0##*/}" && mount --bind "$0/boot" /proc/sys/kernel/random/boot_id &&
		exec glusterfs -N -f "$0/vol" -l "$0/log" --entry-timeout=0 --attribute-timeout=0 "$1"' "$tmp/$1" "$mnt" &
	await has_mounted $! "$1"
}

switch_off()
{
	kill -KILL "$(cat "$tmp/$1/init")"
}

start_all()
{
	ip link set lo up
	write_server_volume >"$tmp/server.vol"
	write_client_volume 127.0.0.2 >"$tmp/a/vol"
	write_client_volume 127.0.0.3 >"$tmp/b/vol"
	start_server && switch_on a && switch_on b
}

# A process with a handle on each host; see helper-holder for the words.
start_holder()
{
	on "$1" "${HOLDER:?}" "$lock" <"$tmp/$1/in" >"$tmp/$1/out" &
	case $1 in
	a) exec 3>"$tmp/a/in" 4<"$tmp/a/out" ;;
	b) exec 5>"$tmp/b/in" 6<"$tmp/b/out" ;;
	esac
	hear "$1" 0
}

# At the end of its input it ends, and so does its output.
end_holders()
{
	exec 3>&- 5>&-
	cat <&4 >/dev/null
	cat <&6 >/dev/null
	exec 4<&- 6<&-
}

tell()
{
	case $1 in
	a) echo "$2" >&3 ;;
	b) echo "$2" >&5 ;;
	esac
}

# hear HOST ANSWER
hear()
{
	answer=
	case $1 in
	a) read -r answer <&4 ;;
	b) read -r answer <&6 ;;
	esac
	[ "$answer" = "$2" ] || { echo "$1 says '$answer', not '$2'"; return 1; }
}

# says HOST WORDS ANSWER
says()
{
	tell "$1" "$2" && hear "$1" "$3"
}

# By the PID that the file names, which means something on that host alone.
kill_holder()
{
	# shellcheck disable=SC2016 # for the inner shell
	on "$1" sh -c 'kill -KILL "$(cat "$0")"' "$lock"
}

# try NAME COMMAND: nothing may be left beside the lock, or of it
try()
{
	expect "$1" run_between_holders "$2"
}

run_between_holders()
{
	start_holder a && start_holder b || return
	"$1"
	status=$?
	end_holders
	await nothing_is_left || status=1
	rm -f "$tmp"/brick/*
	return $status
}

is_dead_on()
{
	on "$1" "${TOOL:?}" check "$lock"
	[ $? -eq 1 ]
}

# What the server keeps for itself begins with a dot.
nothing_is_left()
{
	[ -z "$(ls "$tmp/brick")" ]
}

# With cluster locks nothing but the kernel lock keeps the others out.
excludes()
{
	says a 'cluster 1' 0 && says b 'cluster 1' 0 && says a trylock 0 &&
		says b trylock $BUSY && says b check $BUSY && says b pid 0 &&
		! on b "$TOOL" run -n "$lock" true && says a verify 0 &&
		says a unlock 0 && says b trylock 0 && says a trylock $BUSY && says b unlock 0
}

waits()
{
	says a trylock 0 && tell b 'timedlock 20000' && await on a test -p "$lock.queue" &&
		says a unlock 0 && hear b 0 && says b verify 0 && says b unlock 0
}

# read_fifo HOST: what it has to read there, without waiting
read_fifo()
{
	on "$1" dd if="$mnt/fifo" iflag=nonblock count=1 2>/dev/null
}

wakes_nobody()
{
	mkfifo "$tmp/end"
	on a mkfifo "$mnt/fifo"
	# shellcheck disable=SC2016 # for the inner shell
	on a sh -c 'exec 7<>"$0/fifo"; echo woken >&7; echo >"$1"; cat "$1"' \
		"$mnt" "$tmp/end" &
	cat "$tmp/end"
	[ "$(read_fifo b)" = '' ] && [ "$(read_fifo a)" = woken ]
	r=$?
	echo >"$tmp/end"
	on a rm "$mnt/fifo"
	return $r
}

taken_over_at_home()
{
	says a trylock 0 && kill_holder a && says b trylock $BUSY &&
		on a "$TOOL" run -w 10 "$lock" true && says b trylock 0 && says b unlock 0
}

taken_over_elsewhere()
{
	says a trylock 0 && kill_holder a && await is_dead_on a || return
	says b trylock $BUSY && says b 'cluster 1' 0 && await says b trylock 0 &&
		says b verify 0 && says b unlock 0
}

# tool_says STATUS WORD...: the tool on host b ends with that status
tool_says()
{
	expected=$1
	shift
	on b "$TOOL" "$@" >/dev/null
	[ $? -eq "$expected" ]
}

taken_over_by_the_tool()
{
	says a trylock 0 && kill_holder a && await is_dead_on a || return
	tool_says 0 check "$lock" && tool_says 1 run -n "$lock" true &&
		await tool_says 1 check --cluster-locks "$lock" &&
		tool_says 0 run --cluster-locks -n "$lock" true
}

taken_over_in_line()
{
	says a trylock 0 && says b 'cluster 1' 0 && tell b 'timedlock 20000' &&
		await on a test -p "$lock.queue" && kill_holder a &&
		hear b 0 && says b verify 0 && says b unlock 0
}

# Its own record is then one of another boot, on the host itself as well.
survives_a_host()
{
	says a trylock 0 || return
	switch_off a
	says b trylock $BUSY
	r=$?
	end_holders
	switch_on a && start_holder a && start_holder b && [ $r -eq 0 ] || return
	says a trylock $BUSY && says a 'cluster 1' 0 && await says a trylock 0 &&
		says b trylock $BUSY && says a unlock 0
}

race()
{
	"${top_builddir:?}/tests/cluster-race" "$lock" "$tmp/marker" 200 20 \
		"$(cat "$tmp/a/init")" "$(cat "$tmp/b/init")"
}

# What does not hold: the server alone knows of the lock.  The holder is told by
# lockfile_pid_verify().
lost_with_the_server()
{
	says a trylock 0 && says b 'cluster 1' 0 || return
	kill -KILL "$server"
	wait "$server"
	start_server
	await says b trylock 0 && await says a verify -10004 &&
		says a unlock -10004 && says b verify 0 && says b unlock 0
}

cut()
{
	ip route add blackhole 127.0.0.2 table local
}

mend()
{
	ip route del blackhole 127.0.0.2 table local
}

# The same of a host that is alone with its lock for longer than the server waits.
lost_with_the_network()
{
	says a trylock 0 && says b 'cluster 1' 0 && cut || return
	await says b trylock 0
	r=$?
	mend
	[ $r -eq 0 ] && await says a verify -10004 &&
		says a unlock -10004 && says b verify 0 && says b unlock 0
}

if ! expect "$tests" start_all; then
	finish
	exit
fi
try 'a lock of one host is busy on the other, where its PID means nothing' excludes
try 'a waiter on the other host has it after the release' waits
try 'a FIFO does not reach the other host' wakes_nobody
try 'a killed holder leaves a file that its own host takes over' taken_over_at_home
try 'another host takes it over if it knows that locks are those of all hosts' taken_over_elsewhere
try 'and the tool, when it is told' taken_over_by_the_tool
try 'so does one that waits' taken_over_in_line
try 'a host that was switched off has let go' survives_a_host
try 'no two hold it at once, whoever is killed' race
try 'a lock is lost with the server, and its holder can tell' lost_with_the_server
try 'a lock is lost when the network parts, and its holder can tell' lost_with_the_network
finish
