#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# check-format.sh - what the tool writes is what lockfile-pid(5) says, byte by byte

# shellcheck source=tests/tap.sh
. "${top_srcdir:?}/tests/tap.sh"

page=$top_srcdir/man/lockfile-pid.5
dir=$tmp/dir
lock=$dir/x.pid
holder='' waiter=''
umask 0
mkdir "$dir"
mkfifo "$tmp/in"
trap 'end_all; rm -rf "$tmp"' EXIT

# shellcheck disable=SC2086 # what is empty is no argument
end_all()
{
	[ -z "$holder$waiter" ] || kill -KILL $holder $waiter
}

# It holds the lock until descriptor 3 is closed, and is the very process that took it.
hold()
{
	"${TOOL:?}" run -F "$lock" cat <"$tmp/in" &
	holder=$!
	exec 3>"$tmp/in"
	await grep -qx "$holder" "$lock" || kill "$holder"
}

release()
{
	exec 3>&-
	wait "$holder"
	holder=''
}

# read_attribute: its bytes as decimal numbers, one a line
read_attribute()
{
	getfattr --absolute-names --only-values -n user.lockfile_pid "$lock" |
		od -A n -v -t u1 | tr -s ' ' '\n' | sed '/^$/d'
}

# rows: offset, size and meaning of each field, as the page has them
rows()
{
	sed -n 's/^\.It \([0-9]*\) Ta \([0-9]*\) Ta \(.*\)/\1 \2 \3/p' "$page"
}

# bytes MEANING <ATTRIBUTE: those of a field, in hexadecimal
bytes()
{
	awk -v row="$(rows | grep " $1\$")" '
		BEGIN { if (split(row, r, " ") == 0) exit; from = r[1]; to = from + r[2] }
		NR > from && NR <= to { printf "%02x", $1 }'
}

# number MEANING <ATTRIBUTE: the least byte comes first
number()
{
	# shellcheck disable=SC2046 # one word
	printf '%d\n' "0x$(bytes "$1" | sed 's/../&\n/g' | tac | tr -d '\n')"
}

# field MEANING VALUE: it is that
field()
{
	found=$(number "$1" <"$tmp/attribute")
	[ "$found" = "$2" ] || { echo "$1: $found, not $2"; return 1; }
}

leaves_no_gap()
{
	rows | awk -v length_="$(wc -l <"$tmp/attribute")" '
		$1 != end { bad = 1 }
		{ end += $2 }
		END { print end, length_; exit bad || end == 0 || end != length_ }'
}

namespace()
{
	readlink "/proc/$holder/ns/$1" | tr -dc 0-9
}

# What stands after the name, which may hold anything.
start_time()
{
	sed 's/.*) //' "/proc/$holder/stat" | cut -d ' ' -f 20
}

has_the_fields()
{
	field 'version of this format: 1' 1 &&
		field 'flags: 1 inheritable, 2 abandoned' 0 &&
		field PID "$holder" &&
		field 'inode number of this file' "$(stat -c %i "$lock")" &&
		field 'inode number of the PID namespace' "$(namespace pid)" &&
		field 'inode number of the time namespace' "$(namespace time | sed 's/^$/0/')" &&
		field 'start time' "$(start_time)"
}

has_the_boot_id()
{
	[ "$(bytes 'first half of the boot ID' <"$tmp/attribute")" = \
		"$(tr -dc 0-9a-f </proc/sys/kernel/random/boot_id | cut -c 1-16)" ]
}

# Of another process it is another number.
is_another()
{
	bytes "$1" <"$tmp/attribute" >"$tmp/one"
	bytes "$1" <"$tmp/attribute.before" >"$tmp/other"
	grep '[^0]' "$tmp/one" && ! cmp -s "$tmp/one" "$tmp/other"
}

# Unknown to kernels before 6.9.
has_another_pidfd()
{
	[ "$(number 'inode number of a pidfd' <"$tmp/attribute")" = 0 ] ||
		is_another 'inode number of a pidfd'
}

has_the_pid_alone()
{
	echo "$holder" | cmp - "$lock"
}

has_mode()
{
	[ "$(stat -c %a "$1")" = "$2" ]
}

# By one of its descriptors, from byte 0 to byte 0.
is_locked()
{
	grep -h '^lock:.* OFDLCK *ADVISORY *WRITE .* 0 0$' "/proc/$holder/fdinfo"/*
}

# queue_is_private MODE: whatever the mode of the directory, the wait queue is its user's
queue_is_private()
{
	chmod "$1" "$dir"
	"$TOOL" run "$lock" true &
	waiter=$!
	await test -p "$lock.queue" && await has_mode "$lock.queue" 600
	result=$?
	kill "$waiter"
	wait "$waiter"
	waiter=''
	[ "$result" -eq 0 ] && [ ! -e "$lock.queue" ]
}

# The example of the page is read by the page's own table.
example_is_read_so()
{
	sed -n '/^prints, for process/,/^\.Sh/s/^0[0-9]\{6\} //p' "$page" | tr ' ' '\n' |
		while read -r byte; do printf '%d\n' "0x$byte"; done >"$tmp/attribute"
	for meaning in PID 'inode number of the PID namespace' 'start time'; do
		grep -w "$(number "$meaning" <"$tmp/attribute")" "$page" || return
	done
	leaves_no_gap && bytes 'boot ID' <"$tmp/attribute" >"$tmp/boot" &&
		tr -d '\n-' <"$page" | grep -qF "$(cat "$tmp/boot")"
}

hold
expect 'the content is the PID and a newline' has_the_pid_alone
expect 'the mode is 0644' has_mode "$lock" 644
expect 'its first byte is locked for writing' is_locked
for mode in 755 775 757 777; do
	expect "the wait queue has mode 0600 in a directory of mode $mode" queue_is_private "$mode"
done
if read_attribute >"$tmp/attribute.before" 2>/dev/null && [ -s "$tmp/attribute.before" ]; then
	release
	hold
	read_attribute >"$tmp/attribute"
	expect 'the fields of the attribute follow each other to its end' leaves_no_gap
	expect 'the fields say who holds the lock' has_the_fields
	expect 'the boot ID is that of the kernel' has_the_boot_id
	expect 'the random number is another each time' is_another 'random number of this acquisition'
	expect 'the pidfd is another of each process' has_another_pidfd
else
	skip 'the attribute' 'there are no user attributes here, or no getfattr'
fi
release
expect 'the example is read so' example_is_read_so
finish
