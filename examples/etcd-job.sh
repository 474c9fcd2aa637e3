#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# etcd-job.sh - a job of which only one may run: on one host, or on all of them
#
# Usage:
#	etcd-job.sh host PATH JOB [ARG...]	one at a time on this host
#	etcd-job.sh cluster NAME JOB [ARG...]	one at a time on all hosts of etcd
#	etcd-job.sh store KEY VALUE		within a job of the cluster: keeps
#			its result in etcd, unless the lock was lost meanwhile
#
# The etcd to use is that of ETCDCTL_ENDPOINTS.  On one host the job's status is
# passed on; etcdctl (3.4) makes 1 of each that is not 0.  What "one at a time" is
# worth on many hosts: doc/beyond-one-machine.md.
set -eu

usage()
{
	sed -n 's/^# \{0,1\}//; 3,12p' "$0" >&2
	exit 2
}

# How long etcd waits for a sign of life of a holder, in seconds.  A longer time
# means a longer wait after a crash, a shorter one more false alarms.
ttl=${TTL:-10}

# The lock ends with the process that holds it, within microseconds.
on_one_host()
{
	exec "${TOOL:-lockfile-pid}" run -- "$@"
}

# The lock ends when etcd has not heard of its holder for $ttl seconds, whether
# the job still runs or not.
on_all_hosts()
{
	exec etcdctl lock --ttl="$ttl" -- "$@"
}

# A transaction of etcd: in one step it looks whether the lock's key still is what
# it was when the job began, and stores the result only if so.  That is the
# fence: it is where the result goes that a late job must be kept out.  No answer
# within $ttl seconds counts as no; the result may have been stored all the same.
store()
{
	answer=$(timeout "$ttl" etcdctl txn <<-END
		create("${ETCD_LOCK_KEY:?is set by etcdctl lock}") > "0"

		put "$1" "$2"


	END
	) || :
	case $answer in
	SUCCESS*) ;;
	*)
		echo "etcd-job: the lock is lost, or etcd is: $1 is not stored" >&2
		exit 1
		;;
	esac
}

what=${1-}
[ $# -ge 3 ] || usage
shift
case $what in
host) on_one_host "$@" ;;
cluster) on_all_hosts "$@" ;;
store) [ $# -eq 2 ] || usage; store "$@" ;;
*) usage ;;
esac
