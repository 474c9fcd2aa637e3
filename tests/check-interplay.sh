#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# check-interplay.sh - the table of other programs in lockfile-pid(7), by trying them
#
# Each cell is tried with the program itself, and what is seen is compared with what
# the page says.

# shellcheck source=tests/tap.sh
. "${top_srcdir:?}/tests/tap.sh"

page=$top_srcdir/man/lockfile-pid.7
dir=$tmp/dir
path=$dir/x.lock
ours='' peer=''
mkdir "$dir"
mkfifo "$tmp/ours.in" "$tmp/ours.out" "$tmp/peer.in"
trap 'end_all; rm -rf "$tmp"' EXIT

BUSY=-10001
ROGUE=-10004

# What can be tried, and what it needs.  The page has these rows, in this order.
known='dotlockfile -p|dotlockfile
dotlockfile|dotlockfile
lockfile-create -p|lockfile-create
lockfile-create|lockfile-create
liblockfile, L_PID|interplay-liblockfile
lockfile|lockfile
lockfile -l|lockfile
flock|flock
libbsd|interplay-libbsd
libdaemon|interplay-libdaemon
start-stop-daemon -p|start-stop-daemon
start-stop-daemon -x|start-stop-daemon
echo $$ >|sh
set -C; echo $$ >|sh'

PATH=${top_builddir:?}/tests:$PATH

# rows: of the page, with | between the cells
rows()
{
	sed -n '/^\.\\" The table; tests.check-interplay.sh/,/^\.El/{
		/^\.It Em /d
		s/ Fl / -/g
		s/ Ta /|/g
		s/^\.It //p
	}' "$page"
}

# Ours, which does what it is told.

start_ours()
{
	"${HOLDER:?}" "$path" <"$tmp/ours.in" >"$tmp/ours.out" 5>&- &
	ours=$!
	exec 3>"$tmp/ours.in" 4<"$tmp/ours.out"
	answers 0
}

# answers RESULT
answers()
{
	read -r answer <&4 && [ "$answer" = "$1" ]
}

ask()
{
	echo "$1" >&3
	read -r answer <&4
	echo "$1: $answer"
}

# asked WORD RESULT: that is what it answers
asked()
{
	ask "$1" && [ "$answer" = "$2" ]
}

holds()
{
	asked verify 0 && grep -x "$ours" "$path"
}

unlocks()
{
	asked unlock 0 && [ ! -e "$path" ]
}

# What we lost is not ours to remove.
lost()
{
	asked verify $ROGUE && asked unlock $ROGUE && [ -e "$path" ]
}

# It answers when it has the lock.
wait_in_line()
{
	echo 'timedlock 60000' >&3
	await test -p "$path.queue"
}

kill_ours()
{
	kill -KILL "$ours"
	end_ours
}

end_ours()
{
	exec 3>&- 4<&-
	# what the shell says of who was killed
	{ wait "$ours"; } 2>/dev/null
	ours=''
}

# The other program.

run_peer()
{
	case $program in
	lib*) exec "interplay-${program%,*}" "$path" ;;
	*) exec "$top_srcdir/tests/interplay-peer.sh" "$program" "$path" ;;
	esac
}

# start_peer: until it has the lock, or gave up, or is blocked
start_peer()
{
	: >"$tmp/peer.out"
	run_peer <"$tmp/peer.in" >"$tmp/peer.out" 2>"$tmp/peer.err" 3>&- 4<&- &
	peer=$!
	exec 5>"$tmp/peer.in"
	await peer_settled
}

peer_settled()
{
	peer_holds || gone "$peer" || peer_is_blocked
}

peer_holds()
{
	[ -s "$tmp/peer.out" ]
}

peer_is_blocked()
{
	grep -q -- "-> .* $peer [0-9a-f]*:" /proc/locks
}

# gone PID: it has ended
gone()
{
	! [ -e "/proc/$1" ] || is "$1" XZ
}

# is PID STATES: in one of them (proc_pid_stat(5))
is()
{
	read -r stat <"/proc/$1/stat" || return
	case ${stat##*) } in ["$2"]*) ;; *) return 1 ;; esac
}

kill_peer()
{
	kill -KILL "$peer"
	end_peer
}

end_peer()
{
	exec 5>&-
	{ wait "$peer"; } 2>/dev/null
	peer=''
}

# peer_gets: it has the lock now.  Where not it is gone
peer_gets()
{
	[ -z "$peer" ] || end_peer
	start_peer || return
	peer_holds || { end_peer; return 1; }
}

end_all()
{
	[ -z "$ours" ] || kill_ours
	[ -z "$peer" ] || end_peer
}

# The experiments.  Each sets what was seen, in the words of the page, or fails.

# Not the time of access, which dotlockfile takes for the present if its look sets it.
make_old()
{
	touch -m -d '1 hour ago' "$path"
}

# says STATUS [TEXT]: what the tool says of the lock
says()
{
	"${TOOL:?}" check "$path" >"$tmp/check"
	status=$?
	cat "$tmp/check"
	[ "$status" -eq "$1" ] && grep -q -F -- "${2-}" "$tmp/check"
}

# An empty file is young for a second.  To be tried again: the tool may come too late to
# see that.
young_is_held()
{
	touch "$path" && says 0
}

# gets_after COMMAND...: ours, in line, has the lock after this and not before
gets_after()
{
	says 0 "held by PID $peer" && wait_in_line || return
	"$@"
	answers 0 && holds && unlocks
}

it_holds()
{
	start_ours && peer_gets && touch "$path" && ask trylock || return
	if [ "$answer" = 0 ]; then
		seen=breaks
		holds && unlocks
		return
	fi
	[ "$answer" = $BUSY ] && await young_is_held && make_old && ask trylock || return
	if [ "$answer" = 0 ]; then
		seen='until old'
		holds && unlocks
	else
		seen='kept out'
		gets_after end_peer
	fi
}

we_hold()
{
	start_ours && asked trylock 0 && start_peer || return
	if peer_holds; then
		peer_came_in
	elif peer_is_blocked; then
		seen=waits
		holds && unlocks && await gone "$peer" && peer_gets
	else
		holds && make_old && peer_tries_again
	fi
}

peer_came_in()
{
	ask verify
	if [ "$answer" = 0 ]; then
		seen=both
		holds && unlocks
	else
		seen=breaks
		lost
	fi
}

peer_tries_again()
{
	if peer_gets; then
		seen='until old'
		lost
	else
		seen='kept out'
		holds && unlocks && peer_gets
	fi
}

it_died()
{
	start_ours && peer_gets || return
	dead=$peer
	kill_peer
	"$TOOL" check -q "$path"
	status=$?
	touch "$path" && ask trylock || return
	if [ "$answer" = 0 ]; then
		seen='takes over'
		was_dead && holds && unlocks && waiter_takes_over
	else
		seen='until old'
		await young_is_held && make_old && says 2 && asked trylock 0 && unlocks
	fi
}

# was_dead: so the tool said; what names no process has an invalid PID
was_dead()
{
	echo "check: $status, of process $dead"
	[ "$status" -eq 1 ] || [ "$status" -eq 2 ]
}

# Where ours is kept out while it lives.
waiter_takes_over()
{
	peer_gets && ask trylock || return
	if [ "$answer" = 0 ]; then
		unlocks
	else
		gets_after kill_peer
	fi
}

we_died()
{
	start_ours && asked trylock 0 || return
	kill_ours
	[ -e "$path" ] || return
	if peer_gets; then
		seen='takes over'
	elif make_old && peer_gets; then
		seen='until old'
	else
		seen='kept out'
	fi
}

# Beside the table.

# agree STATUS: of who asks by the PID in the file alone
agree()
{
	says "$1" || return
	start-stop-daemon -T -p "$path"
	[ $? -eq "$1" ] || return
	if [ "$1" -eq 0 ]; then
		lockfile-check -p "${path%.lock}" && pgrep -L -F "$path" | grep -x "$ours"
	else
		! lockfile-check -q -p "${path%.lock}" && ! pgrep -F "$path"
	fi
}

who_asks_agrees()
{
	start_ours && agree 3 && asked trylock 0 && agree 0 || return
	kill_ours
	agree 1
}

stop_ends_ours()
{
	"$TOOL" run "$path" sleep 60 &
	tool=$!
	await grep -q -x "$tool" "$path" && start-stop-daemon -K -p "$path" || return
	wait "$tool"
	[ $? -eq $((128 + 15)) ] && [ ! -e "$path" ]
}

# removed_by COMMAND...
removed_by()
{
	start_ours && asked trylock 0 || return
	"$@"
	asked verify $ROGUE && asked unlock $ROGUE
}

# It wakes with the lock on the file of a dead holder, which another of ours has
# replaced meanwhile, and removes that by its name.
removed_late()
{
	program=libdaemon
	start_ours && asked trylock 0 && start_peer && peer_is_blocked || return
	kill -STOP "$peer"
	await is "$peer" T || return
	kill_ours
	start_ours && asked trylock 0 && holds || return
	kill -CONT "$peer"
	await peer_settled && peer_holds && lost
}

# Nothing of ours, nor of theirs but the lock file that they leave behind.
nothing_is_left()
{
	rm -f "$path"
	ls -A "$dir"
	[ -z "$(ls -A "$dir")" ]
}

# look EXPERIMENT...: what is seen in an empty directory
look()
{
	seen=nothing
	"$@"
	status=$?
	end_all
	cat "$tmp/peer.err"
	nothing_is_left && [ "$status" -eq 0 ] || return
	echo "seen: $seen"
}

# try EXPERIMENT CELL
try()
{
	for again in 1 2 3 4 5 6 7 8 9 10; do
		look "$1" || return
		[ "$seen" != "$2" ] || return 0
		# the second may have passed before we tried
		[ "$2" = 'until old' ] || return
		echo "again, $again"
	done
	return 1
}

# try_with NEEDS WHAT COMMAND...
try_with()
{
	for need in $1; do
		if ! command -v "$need" >/dev/null; then
			skip "$2" "there is no $need"
			return
		fi
	done
	shift
	expect "$@"
}

# cell WHEN EXPERIMENT WORDS
cell()
{
	try_with "$needs" "$program, $1: $3" try "$2" "$3"
}

needs_of()
{
	echo "$known" | awk -F '|' -v program="$1" '$1 == program { print $2 }'
}

rows_are_known()
{
	cut -d '|' -f 1 "$tmp/rows" >"$tmp/on-page"
	echo "$known" | cut -d '|' -f 1 | diff - "$tmp/on-page"
}

rows >"$tmp/rows"
expect 'the page has these programs, and no other' rows_are_known
while IFS='|' read -r program holds held died left <&6; do
	needs=$(needs_of "$program")
	cell 'it holds, we try' it_holds "$holds"
	cell 'we hold, it tries' we_hold "$held"
	cell 'it was killed, we try' it_died "$died"
	cell 'we were killed, it tries' we_died "$left"
done 6<"$tmp/rows"

try_with dotlockfile 'dotlockfile -u removes our lock, and we are told' \
	look removed_by dotlockfile -u "$path"
try_with lockfile-remove 'lockfile-remove removes our lock, and we are told' \
	look removed_by lockfile-remove "${path%.lock}"
try_with interplay-libdaemon 'libdaemon removes our lock late, and we are told' \
	look removed_late
try_with 'lockfile-check start-stop-daemon pgrep' \
	'lockfile-check, start-stop-daemon -T and pgrep -F agree with lockfile-pid check' \
	look who_asks_agrees
try_with start-stop-daemon 'start-stop-daemon -K ends lockfile-pid run, and the file goes' \
	look stop_ends_ours
finish
