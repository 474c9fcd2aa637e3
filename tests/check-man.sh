#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# check-man.sh - the pages of the manual are well-formed, and all that is referred to
# is there

# shellcheck source=tests/tap.sh
. "${top_srcdir:?}/tests/tap.sh"
# shellcheck source=tests/man.sh
. "$top_srcdir/tests/man.sh"

pages='lockfile-pid.1 lockfile_pid.3 lockfile_pid_pidfile.3 lockfile-pid.5 lockfile-pid.7'
man=$top_srcdir/man
root=$tmp/root

# Pages of others that ours refer to.
known='
abort(3)
chdir(2)
chmod(2)
chroot(2)
clone(2)
close(2)
close_range(2)
daemon(3)
dlopen(3)
dotlockfile(1)
epoll(7)
epoll_wait(2)
eventfd(2)
fchmod(2)
fchown(2)
fcntl(2)
fifo(7)
flock(1)
flock(2)
fork(2)
_Fork(3)
getcwd(3)
getfattr(1)
getpid(2)
getrandom(2)
kill(2)
link(2)
lockf(3)
lockfile(1)
lockfile-create(1)
lockfile-remove(1)
malloc(3)
nohup(1)
open(2)
pgrep(1)
pid_namespaces(7)
pidfd_open(2)
pidfile_open(3bsd)
pkg-config(1)
poll(2)
ppoll(2)
prctl(2)
pread(2)
proc(5)
ps(1)
pthread_atfork(3)
pthreads(7)
rename(2)
renameat2(2)
rm(1)
setrlimit(2)
setuid(2)
signal(7)
signalfd(2)
sigqueue(3)
sigsuspend(2)
sigtimedwait(2)
splice(2)
start-stop-daemon(8)
stat(2)
syslog(3)
systemd.exec(5)
systemd.service(5)
tmpfiles.d(5)
unlink(2)
unshare(2)
vfork(2)
xattr(7)
'

# Whether pages of others are installed does not matter here.
is_clean()
{
	mandoc -T lint -W style "$man/$1" >"$tmp/all" 2>/dev/null
	[ $? -le 1 ] || { cat "$tmp/all"; return 1; }
	grep -v 'referenced manual not found' "$tmp/all" >"$tmp/lint"
	cat "$tmp/lint"
	[ ! -s "$tmp/lint" ]
}

# Whether a line of a table can be broken differs between the versions of groff.
is_clean_for_groff()
{
	groff -mandoc -Tutf8 -ww -W break "$man/$1" 2>&1 >"$tmp/text" | tee "$tmp/lint"
	[ ! -s "$tmp/lint" ] && [ -s "$tmp/text" ]
}

# shellcheck disable=SC2086 # a list of words
# Among them are the pages that make install adds.
refer_to_known_pages()
{
	{
		echo "$known"
		echo "$pages" | tr ' ' '\n' | sed 's/\(.*\)\.\(.\)$/\1(\2)/'
		sed 's/$/(3)/' "$tmp/functions"
	} | sort >"$tmp/targets"
	(cd "$man" && cat $pages) | awk '/^\./ {
		for (i = 1; i < NF; i++)
			if ($i == "Xr" || $i == ".Xr")
				print $(i + 1) "(" $(i + 2) ")"
	}' | sort -u >"$tmp/references"
	comm -23 "$tmp/references" "$tmp/targets" >"$tmp/unknown"
	cat "$tmp/unknown"
	[ -s "$tmp/references" ] && [ ! -s "$tmp/unknown" ]
}

# Not the make that runs us: its flags and its other jobs are not for this one.
# That make uninstall removes all of it is for make distcheck to see.
installs_a_page_for_each_function()
{
	MAKEFLAGS='' MFLAGS='' "${MAKE:?}" -C "${top_builddir:?}" install-data DESTDIR="$root" ||
		return
	dir=$(dirname "$(find "$root" -name lockfile_pid.3)")
	while read -r function; do
		cmp "$man/lockfile_pid.3" "$dir/$function.3" || return
	done <"$tmp/functions"
	[ "$(find "$dir" -type l | wc -l)" -eq "$(wc -l <"$tmp/functions")" ]
}

needs mandoc
list_functions >"$tmp/functions"
for page in $pages; do
	expect "$page: mandoc has nothing to say against it" is_clean "$page"
done
if command -v groff >/dev/null; then
	for page in $pages; do
		expect "$page: groff has nothing to say against it" is_clean_for_groff "$page"
	done
else
	skip 'groff has nothing to say against the pages' 'groff is missing'
fi
expect 'the pages refer to pages that exist' refer_to_known_pages
expect 'make install: a page for each function' installs_a_page_for_each_function
finish
