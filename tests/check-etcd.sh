#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# check-etcd.sh - the job of examples/etcd-job.sh under both kinds of lock, and
# what doc/beyond-one-machine.md says of etcdctl lock
#
# One etcd of its own, which listens on Unix sockets in the test's directory.

# shellcheck source=tests/tap.sh
. "${top_srcdir:?}/tests/tap.sh"

if ! command -v etcd >/dev/null || ! command -v etcdctl >/dev/null; then
	skip 'etcd' 'needs etcd and etcdctl'
	finish
	exit
fi

job=$top_srcdir/examples/etcd-job.sh
in=$tmp/in
server='' first='' second=''
export job in TTL=60 ETCDCTL_ENDPOINTS="unix://$tmp/client:0" ETCDCTL_API=3
trap 'kill_all; rm -rf "$tmp"' EXIT
mkdir "$tmp/dir"

# shellcheck disable=SC2086 # what is empty is no argument
kill_all()
{
	[ -z "$server$first$second" ] || kill -KILL $server $first $second 2>/dev/null
}

# A socket is named by what would be host and port, in the current directory.
start_server()
{
	(cd "$tmp" && exec etcd --name one --data-dir "$tmp/data" \
		--listen-client-urls unix://client:0 --advertise-client-urls unix://client:0 \
		--listen-peer-urls unix://peer:0 --initial-advertise-peer-urls unix://peer:0 \
		--heartbeat-interval 20 --election-timeout 200 \
		--initial-cluster one=unix://peer:0) >"$tmp/log" 2>&1 &
	server=$!
	await etcdctl --command-timeout=1s get nothing || { cat "$tmp/log"; return 1; }
}

kill_server()
{
	kill -KILL "$server"
	wait "$server" 2>/dev/null
	server=''
	rm -f "$tmp/client:0" "$tmp/peer:0"
}

# one_at_a_time WHAT WHERE: of four such jobs; a second in the directory is told
one_at_a_time()
{
	jobs=''
	rm -f "$tmp/done"
	for i in 1 2 3 4; do
		# shellcheck disable=SC2016 # for the inner shell
		"$job" "$1" "$2" sh -c 'for i in 1 2 3 4 5; do
			mkdir "$in" && rmdir "$in" && echo "$0" >>"$1" || exit
			done' "$i" "$tmp/done" &
		jobs="$jobs $!"
	done
	for i in $jobs; do
		wait "$i" || return
	done
	[ "$(wc -l <"$tmp/done")" -eq 20 ]
}

# status_is STATUS COMMAND...
status_is()
{
	expected=$1
	shift
	"$@"
	[ $? -eq "$expected" ]
}

fails()
{
	! "$@"
}

#
# A job that says that it runs, with its token, and ends when it may:
# start_job NAME; then its files are NAME.runs, NAME.may-end and NAME.status.
#
start_job()
{
	# shellcheck disable=SC2016 # for the inner shell
	"$job" cluster the-lock sh -c '
		echo "$ETCD_LOCK_REV" >"$0.token" && echo $$ >"$0.runs"
		until [ -e "$0.may-end" ]; do sleep 0.02; done
		"$job" store result "${0##*/}"
		echo $? >"$0.new" && mv "$0.new" "$0.status"' "$tmp/$1" 2>"$tmp/$1.err" &
}

start_first()
{
	start_job one
	first=$!
	await test -s "$tmp/one.runs"
}

start_second()
{
	start_job two
	second=$!
}

# end_job NAME STATUS: it may end now, and its result is stored or not
end_job()
{
	: >"$tmp/$1.may-end"
	await test -s "$tmp/$1.status" && grep -qx "$2" "$tmp/$1.status"
}

# Only where a new one may not have begun.
still_runs()
{
	kill -0 "$(cat "$tmp/$1.runs")" && [ ! -e "$tmp/$1.status" ]
}

result_is()
{
	etcdctl get --print-value-only result | grep -qx "$1"
}

# The rest of a test, whatever it came to.
clean_up()
{
	: >"$tmp/one.may-end"
	: >"$tmp/two.may-end"
	for i in $first $second; do
		kill -CONT "$i" 2>/dev/null
		wait "$i" 2>/dev/null
	done
	first='' second=''
	for i in one two; do
		[ ! -e "$tmp/$i.runs" ] || await test -s "$tmp/$i.status" || kill "$(cat "$tmp/$i.runs")"
	done
	rm -f "$tmp"/one.* "$tmp"/two.*
}

try()
{
	expect "$@"
	clean_up
}

waits_for_the_first()
{
	start_first || return
	start_second
	await second_waits && [ ! -e "$tmp/two.runs" ] && end_job one 0 &&
		await test -s "$tmp/two.runs" && end_job two 0 && result_is two
}

# Each that wants the lock has a key in etcd, and the oldest key is the holder's.
second_waits()
{
	[ "$(etcdctl get --keys-only --prefix the-lock/ | grep -c .)" -eq 2 ]
}

# Of who is to lose the lock; the others have more time than a slow machine takes.
start_first_briefly()
{
	TTL=3
	start_first
	r=$?
	TTL=60
	return $r
}

killed_holder()
{
	start_first_briefly || return
	start_second
	kill -KILL "$first"
	await test -s "$tmp/two.runs" && still_runs one &&
		end_job two 0 && end_job one 1 && result_is two
}

stopped_holder()
{
	start_first_briefly || return
	start_second
	kill -STOP "$first"
	await test -s "$tmp/two.runs" && still_runs one &&
		[ "$(cat "$tmp/two.token")" -gt "$(cat "$tmp/one.token")" ] &&
		end_job two 0 && end_job one 1 && result_is two
}

# The kernel's lock knows better: who is stopped still has it.
stopped_on_one_host()
{
	# shellcheck disable=SC2016 # for the inner shell
	"${TOOL:?}" run "$tmp/dir/lock.pid" sh -c 'echo $$ >"$0"; exec cat' "$tmp/one.runs" \
		<"$tmp/fifo" &
	first=$!
	exec 3>"$tmp/fifo"
	await test -s "$tmp/one.runs" || return
	kill -STOP "$first"
	status_is 1 "$TOOL" run -w 1 "$tmp/dir/lock.pid" true
	r=$?
	exec 3>&-
	echo 0 >"$tmp/one.status"
	return $r
}

restarted_server()
{
	start_first || return
	kill_server
	start_server || return
	start_second
	await second_waits && [ ! -e "$tmp/two.runs" ] && end_job one 0 &&
		await test -s "$tmp/two.runs" && end_job two 0 && result_is two
}

no_server()
{
	start_first || return
	kill_server
	still_runs one && end_job one 1
	r=$?
	start_server
	return $r
}

nothing_is_left()
{
	ls -A "$tmp/dir"
	[ -z "$(ls -A "$tmp/dir")" ] && [ ! -e "$in" ]
}

mkfifo "$tmp/fifo"
if ! expect 'etcd starts' start_server; then
	finish
	exit
fi
try 'on one host, one at a time' one_at_a_time host "$tmp/dir/lock.pid"
try 'on all hosts, one at a time' one_at_a_time cluster a-lock
try 'on one host, the status of the job is passed on' \
	status_is 7 "$job" host "$tmp/dir/lock.pid" sh -c 'exit 7'
try 'on all hosts, that a job fails is passed on' fails "$job" cluster a-lock sh -c 'exit 7'
try 'says how it is used' status_is 2 "$job" cluster a-lock
try 'a second job waits for the first' waits_for_the_first
try 'etcdctl is killed: the job goes on without the lock, and the fence keeps it out' \
	killed_holder
try 'etcdctl hangs: so does it, with two at a time, the later with the greater token' \
	stopped_holder
try 'lockfile-pid hangs: nobody else has the lock' stopped_on_one_host
try 'the server restarts: the lock is kept' restarted_server
try 'there is no server: the job goes on, and stores nothing' no_server
try 'nothing is left beside the lock file' nothing_is_left
finish
