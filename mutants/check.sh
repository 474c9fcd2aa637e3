#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# check.sh - take each guard out of the library in turn: does a test notice?
#
# mutants/NAME.list is about lib/NAME.c.  A mutant is
#
#	= ID: what the guard is for
#	by PROGRAM TEST
#	 a line of the code
#	-a line to take out
#	+a line to put in
#
# and then an empty line.  Its lines are a piece of a diff without numbers, and
# stand exactly once in the source: who changes a guard, or moves it, is told to
# say so here.  "by" names a test that fails without the guard; of several one is
# enough.  In place of it
#
#	same REASON
#
# is for code that behaves the same without, and stays all the same.  Every
# function that decides anything has a mutant, or
#
#	~ FUNCTION: why it has none
#
# MUTANTS is a pattern of the mutants to try, say 'queue/*'; all where it is not
# set.  JOBS are tried at a time, 2 where it is not set.  On a machine that is
# TEST_PACE times slower every Nth is tried.
#
# MUTANT_EACH=N tries one of N.  Which ones depends on the commit, so that each has its
# turn, or on MUTANT_TURN.  In addition those are tried whose entry in the list, or whose
# source up to ten lines away, was changed by the last MUTANT_COMMITS commits (20 if it is
# not set), but not more than MUTANT_RECENT of them (100 if it is not set).

# shellcheck source=tests/tap.sh
. "${top_srcdir:?}/tests/tap.sh"

: "${top_builddir:?}" "${CC:?}" "${PKG_CONFIG:?}"
jobs=${JOBS:-2}
pattern=${MUTANTS:-*}
pace=${TEST_PACE:-1}
each=$((${MUTANT_EACH:-1} * pace))
limit_s=${MUTANT_SECONDS:-$((10 * pace))}   # what takes longer hangs
lib=$top_srcdir/lib
tests=$top_srcdir/tests
check_cflags=$($PKG_CONFIG --cflags check)
check_libs=$($PKG_CONFIG --libs check)
# some tests are other users for a while
chmod 755 "$tmp"
mkdir "$tmp/lib" "$tmp/tests" "$tmp/dir" "$tmp/mutants" "$tmp/control"

# compile OBJECT SOURCE
compile()
{
	# shellcheck disable=SC2086 # lists of flags
	$CC -w -O0 -D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64 \
		-I"$top_builddir" -I"$top_srcdir/include" -I"$lib" -I"$tests" $check_cflags \
		-c -o "$1" "$2"
}

# wraps_of PROGRAM: what else its test puts itself in place of
wraps_of()
{
	awk -v name="tests_$(echo "$1" | tr - _)_LDFLAGS" '
		$1 == name { found = 1 }
		found { print }
		found && !/\\$/ { exit }' "$top_builddir/Makefile" |
		grep -o -e '-Wl,--wrap=[a-z_]*'
}

# link PROGRAM OBJECT...: what these do not have comes from the archives
link()
{
	output=$1
	shift
	# shellcheck disable=SC2046,SC2086 # lists of flags
	$CC -pthread -o "$output" "$@" $(wraps_of "${output##*/}") -Wl,@"$top_builddir/tests/wrap.opts" \
		-Wl,--start-group "$tmp/tests.a" "$tmp/lib.a" -Wl,--end-group $check_libs
}

# by_turns COMMAND ITEM...: the command for each item, so many at a time
by_turns()
{
	turn=$1
	shift
	taken=$(mktemp -d "$tmp/taken.XXXXXX") || return
	job=0
	while [ "$job" -lt "$jobs" ]; do
		number=0
		for item; do
			number=$((number + 1))
			mkdir "$taken/$number" 2>/dev/null && "$turn" "$item"
		done &
		job=$((job + 1))
	done
	wait
}

compile_source()
{
	object=${1#"$top_srcdir"/}
	compile "$tmp/${object%.c}.o" "$1"
}

# The library and what the tests share, each an archive; and the tests.
build()
{
	by_turns compile_source "$lib"/*.c "$tests"/*.c
	set --
	for source in "$tests"/*.c; do
		object=$tmp/tests/$(basename "$source" .c).o
		case ${object##*/} in
		test-* | helper-* | cluster-race.o | coverage.o) ;;
		*) set -- "$@" "$object" ;;
		esac
	done
	ar rc "$tmp/lib.a" "$tmp/lib"/*.o && ar rc "$tmp/tests.a" "$@" &&
		link "$tmp/control/helper-holder" "$tmp/tests/helper-holder.o"
}

# A directory for each mutant, with its parts, and what else the lists say.
read_lists()
{
	awk -v mutants="$tmp/mutants" '
		function write(name, text)
		{
			print text >(dir "/" name)
		}
		function finish()
		{
			if (!dir)
				return
			write("places", dir " mutants/" list ".list " first " " last)
			for (name in names)
				close(dir "/" names[name])
			dir = ""
		}
		BEGIN { split("source id by same old new places", names) }
		FNR == 1 || /^= / { finish() }
		FNR == 1 {
			list = FILENAME
			sub(/.*\//, "", list)
			sub(/\.list$/, "", list)
		}
		/^= / {
			id = substr($2, 1, length($2) - 1)
			dir = mutants "/" list "." id
			if (system("mkdir " dir) != 0)
				exit 1
			write("source", list ".c")
			write("id", list "/" id)
			first = FNR
			printf "" >(dir "/old")
			printf "" >(dir "/new")
			blank = 0
		}
		/^~ / { print list ".c " substr($2, 1, length($2) - 1) }
		/^by / { write("by", substr($0, 4)) }
		/^same / { write("same", substr($0, 6)) }
		/^$/ { blank = 1 }
		/^[ +-]/ {
			# within the code an empty line is one of the code
			if (blank) {
				write("old", "")
				write("new", "")
				blank = 0
			}
			if (!/^[+]/)
				write("old", substr($0, 2))
			if (!/^-/)
				write("new", substr($0, 2))
		}
		!/^$/ { last = FNR }
		END { finish() }' "$@"
}

# mutate DIRECTORY: the source without the guard; and the function that had it, and its
# place with ten lines around it
mutate()
{
	awk -v dir="$1" -v source="lib/$(cat "$1/source")" '
		FILENAME == ARGV[1] { old = old $0 "\n"; next }
		FILENAME == ARGV[2] { new = new $0 "\n"; next }
		{ text = text $0 "\n" }
		END {
			text = "\n" text
			at = index(text, "\n" old)
			if (old == new || !at || index(substr(text, at + 1), "\n" old))
				exit 1
			before = substr(text, 1, at)
			for (n = split(before old, lines, "\n"); n > 0; n--)
				if (lines[n] ~ /^[a-z].*[a-z0-9_]\(/)
					break
			sub(/\(.*/, "", lines[n])
			sub(/.*[ *]/, "", lines[n])
			print lines[n] >(dir "/function")
			first = split(before, lines, "\n") - 1
			last = first + split(old, lines, "\n") - 2
			print dir, source, first - 10, last + 10 >>(dir "/places")
			printf "%s", substr(before, 2) new substr(text, at + 1 + length(old))
		}' "$1/old" "$1/new" "$lib/$(cat "$1/source")"
}

# run DIRECTORY PROGRAM TEST SECONDS: returns its status.  timeout(1) ends one process
# group, and each test is a group of its own, so a session is what has all processes.
run()
{
	ended=0
	# shellcheck disable=SC2016 # for the inner shell
	HOLDER=$1/helper-holder CK_RUN_CASE=$3 TMPDIR=$tmp/dir \
		setsid --wait sh -c 'echo $$ >"$0/session" && exec timeout "$1" "$0/$2"' \
		"$1" "$4" "$2" >"$1/said" 2>&1 || ended=$?
	pkill -KILL --session "$(cat "$1/session")" || :
	return "$ended"
}

# link_test DIRECTORY PROGRAM [OBJECT]
link_test()
{
	[ -x "$1/$2" ] || link "$1/$2" "$tmp/tests/$2.o" ${3+"$3"} >"$1/said" 2>&1
}

# kill_by DIRECTORY PROGRAM TEST: does the test fail?
kill_by()
{
	link_test "$1" "$2" "$1/mutant.o" || return
	status=0
	run "$1" "$2" "$3" "$limit_s" || status=$?
	case $status in
	1 | 2) echo "$2 $3" >"$1/killed" ;; # 2: it died before the test
	124) echo "$2 $3, which hangs" >"$1/killed" ;;
	*) return 1 ;;
	esac
}

kill_by_any()
{
	while read -r program test; do
		kill_by "$1" "$program" "$test" && return
	done <"$1/by"
	return 1
}

# locate DIRECTORY
locate()
{
	mutate "$1" >"$1/mutant.c" || touch "$1/lost"
}

# Guards that were changed or moved, and not here.
located()
{
	by_turns locate "$tmp/mutants"/*
	for mutant in "$tmp/mutants"/*; do
		[ ! -e "$mutant/lost" ] || cat "$mutant/id"
	done >"$tmp/lost"
	cat "$tmp/lost"
	[ ! -s "$tmp/lost" ]
}

build_mutant()
{
	[ ! -e "$1/lost" ] && compile "$1/mutant.o" "$1/mutant.c" &&
		link "$1/helper-holder" "$tmp/tests/helper-holder.o" "$1/mutant.o"
}

# try DIRECTORY: "killed" in it says by what, else "said" says why not
try()
{
	build_mutant "$1" >"$1/said" 2>&1 || return
	if [ -e "$1/same" ]; then
		touch "$1/built"
	elif [ -e "$1/by" ]; then
		# what is lost in a race is lost now and then
		for _ in 1 2 3; do
			kill_by_any "$1" && break
		done
		[ -e "$1/killed" ] || echo survived >>"$1/said"
	else
		echo 'no test is named' >"$1/said"
	fi
	rm -f "$1"/test-* "$1"/helper-holder "$1"/mutant.?
}

# control PROGRAM:TEST: the library as it is passes the test
control()
{
	program=${1%:*}
	control=$tmp/control/$1
	mkdir "$control"
	cp "$tmp/control/helper-holder" "$control/"
	if link_test "$control" "$program" && run "$control" "$program" "${1#*:}" 100 &&
		grep -q '^ok' "$control/said"; then
		! grep -q '# SKIP' "$control/said" || touch "$control/skipped"
	else
		sed "s/^/$1: /" "$control/said" >>"$tmp/failures"
	fi
	rm -f "$control/$program" "$control/helper-holder"
}

# control_all DIRECTORY...: what is named for these mutants
control_all()
{
	: >"$tmp/failures"
	# shellcheck disable=SC2046 # names without blanks
	by_turns control $(for mutant; do
		[ ! -e "$mutant/by" ] || cat "$mutant/by"
	done | tr ' ' ':' | sort -u)
	cat "$tmp/failures"
	[ ! -s "$tmp/failures" ]
}

# is_skipped DIRECTORY: none of its tests can be run here
is_skipped()
{
	[ -e "$1/by" ] || return 1
	while read -r program test; do
		[ -e "$tmp/control/$program:$test/skipped" ] || return 1
	done <"$1/by"
}

# killed DIRECTORY
killed()
{
	cat "$1/said"
	[ -e "$1/killed" ] || [ -e "$1/built" ]
}

report()
{
	all=0 dead=0
	for mutant; do
		id=$(cat "$mutant/id")
		if [ -e "$mutant/same" ]; then
			expect "the same: $id ($(cat "$mutant/same"))" killed "$mutant"
			continue
		fi
		if is_skipped "$mutant"; then
			skip "$id" 'its tests cannot be run here'
			continue
		fi
		all=$((all + 1))
		if [ -e "$mutant/killed" ]; then
			dead=$((dead + 1))
			expect "killed: $id (by $(cat "$mutant/killed"))" killed "$mutant"
		else
			expect "killed: $id" killed "$mutant"
		fi
	done
}

# Functions that compare or choose, and have no mutant, and nothing that says why.
forgotten()
{
	for list in "$top_srcdir"/mutants/*.list; do
		source=$(basename "$list" .list).c
		awk -v source="$source" '
			/^[a-z].*[a-z0-9_]\(/ && !/;$/ {
				name = $0
				sub(/\(.*/, "", name)
				sub(/.*[ *]/, "", name)
			}
			/^\t.*(if|while|for|switch) \(|^\t.*( \? |&&|\|\||[=!<>]=| [<>] )/ { decides[name] }
			END {
				for (name in decides)
					print source, name
			}' "$lib/$source"
	done | sort >"$tmp/deciding"
	for mutant in "$tmp/mutants"/*; do
		echo "$(cat "$mutant/source") $(cat "$mutant/function" 2>/dev/null)"
	done | sort -u - "$tmp/exempt" >"$tmp/known"
	comm -23 "$tmp/deciding" "$tmp/known" >"$tmp/forgotten"
	cat "$tmp/forgotten"
	[ ! -s "$tmp/forgotten" ]
}

listed()
{
	for source in "$lib"/*.c; do
		[ -e "$top_srcdir/mutants/$(basename "$source" .c).list" ] || basename "$source"
	done >"$tmp/unlisted"
	cat "$tmp/unlisted"
	[ ! -s "$tmp/unlisted" ]
}

in_git()
{
	git -C "$top_srcdir" "$@" 2>/dev/null
}

# changed_lines: file, first and last line of what the last commits changed; nothing if this
# is no repository
changed_lines()
{
	base=$(in_git rev-list --max-count=$((${MUTANT_COMMITS:-20} + 1)) HEAD | tail -n 1)
	[ -n "$base" ] || return
	in_git diff --relative --no-ext-diff --unified=0 "$base" -- lib mutants | awk '
		/^\+\+\+ / { file = substr($2, 3) }
		/^@@ / {
			n = split(substr($3, 2), lines, ",") > 1 ? lines[2] : 1
			# what was only taken out was after this line
			print file, lines[1], lines[1] + (n ? n - 1 : 1)
		}'
}

# recent: the mutants at such lines, or as many of them as are tried at most
recent()
{
	changed_lines >"$tmp/changed"
	cat "$tmp/mutants"/*/places | awk -v most="${MUTANT_RECENT:-100}" '
		FILENAME != "-" {
			changes++
			file[changes] = $1; first[changes] = $2; last[changes] = $3
			next
		}
		!($1 in seen) {
			for (i = 1; i <= changes; i++)
				if ($2 == file[i] && $3 <= last[i] && $4 >= first[i]) {
					seen[$1]
					list[++n] = $1
					break
				}
		}
		END {
			step = n > most ? n / most : 1
			for (at = 1; int(at) <= n; at += step)
				print list[int(at)]
		}' "$tmp/changed" -
}

# turn: where the mutants begin of which one of so many is tried
turn()
{
	[ -n "${MUTANT_TURN-}" ] || MUTANT_TURN=$(in_git rev-parse HEAD | cksum | cut -d ' ' -f 1)
	echo $((MUTANT_TURN % each))
}

# chosen: the mutants to try
chosen()
{
	: >"$tmp/recent"
	[ "$each" -eq 1 ] || recent >"$tmp/recent"
	for mutant in "$tmp/mutants"/*; do
		# shellcheck disable=SC2254 # it is a pattern
		case $(cat "$mutant/id") in
		$pattern) echo "$mutant" ;;
		esac
	done | awk -v each="$each" -v turn="$turn" '
		FILENAME != "-" { recent[$0]; next }
		++n % each == turn || $0 in recent' "$tmp/recent" -
}

read_lists "$top_srcdir"/mutants/*.list | sort >"$tmp/exempt"
expect 'every source has a list' listed
expect 'every mutant stands once in its source' located
expect 'every function that decides has a mutant' forgotten
expect 'library and tests are built' build
turn=$(turn)
# shellcheck disable=SC2046 # names without blanks
set -- $(chosen)
[ "$each" -eq 1 ] || echo "# mutants: 1 of $each is tried (MUTANT_TURN=$turn), and" \
	"$(wc -l <"$tmp/recent") whose lines were changed lately"
expect 'the library as it is passes' control_all "$@"
by_turns try "$@"
report "$@"
finish
echo "# mutants killed: $dead of $all"
