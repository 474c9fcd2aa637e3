#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# check-bench.sh - what bench/report.py makes of samples, and that nothing is left at home

# shellcheck source=tests/tap.sh
. "${top_srcdir:?}/tests/tap.sh"

out=$tmp/out
mkdir "$out" "$tmp/data"

# sample FIGURE FILESYSTEM PEER PARAMETER UNIT VALUE...: a line for each value
sample()
{
	names=$(printf '%s\t%s\t%s\t%s\t%s' "$1" "$2" "$3" "$4" "$5")
	shift 5
	for value; do
		printf '%s\t%s\n' "$names" "$value"
	done
}

make_samples()
{
	sample machine - - processor fact '2 x Abacus'
	sample version - liblockfile - fact 'liblockfile1 1.17-1'
	sample cycle tmpfs 'flock(2)' - ns 600
	sample cycle tmpfs lockfile-pid - ns 30000 10000 50000 20000 40000
	sample cycle tmpfs floor - ns 15000
	sample cycle tmpfs liblockfile - ns 4000 1000 3000 2000
	sample cycle ext4 lockfile-pid - ns 60000
	sample cycle ext4 floor - ns 40000
	sample handoff tmpfs lockfile-pid - us 40 50
	sample handoff tmpfs dotlockfile - us 5000000
	sample handoff tmpfs 'libbsd pidfile' - fact 'does not wait'
	sample handoff tmpfs 'libbsd pidfile' free fact 'does not wait'
	sample contention tmpfs lockfile-pid 2 us 300
	sample contention tmpfs lockfile-pid 1000 us 400
	sample contention tmpfs lockfile-pid 16 us 350
	sample contention tmpfs 'flock(2)' 1000 us 800
	sample contention tmpfs dotlockfile 2 fact 'none in 1 s'
	sample contention-overlaps tmpfs dotlockfile 16 fact 'two held the lock'
	sample tool tmpfs 'lockfile-pid run' - us 2000
	sample tool tmpfs true - us 1000
	sample tool tmpfs dotlockfile - us 3000
	sample double tmpfs lockfile-pid 1000 rounds 0 0
	sample double tmpfs dotlockfile '1000x32 kept' rounds 12 500
	sample double-taken tmpfs lockfile-pid 1000 rounds 1000 1000
	sample double-taken tmpfs dotlockfile '1000x32 kept' rounds 990 1000
	sample double tmpfs 'flock(2)' 7x32 rounds 0
	sample double-taken tmpfs 'flock(2)' 7x32 rounds 7
	sample double ext4 'flock(2)' 1003x32 rounds 0
	sample double-taken ext4 'flock(2)' 1003x32 rounds 1003
	sample double tmpfs 'procmail lockfile' 6x32 rounds 0
	sample double tmpfs 'procmail lockfile' '4x32 kept' rounds 0
	sample double-taken tmpfs 'procmail lockfile' 6x32 rounds 0
	sample double-taken tmpfs 'procmail lockfile' '4x32 kept' rounds 0
	sample zombie tmpfs dotlockfile - fact 'for ever' 'for ever'
	sample zombie tmpfs lockfile-pid - fact 'takes over'
	sample zombie tmpfs 'OFD lock' - fact 'error: unspeakable/circumstances-of-a-name/long'
	sample zombie ext4 lockfile-pid - fact 'takes | over'
}

# report FILE...
report()
{
	python3 "$top_srcdir/bench/report.py" -d "$tmp/data" -o "$out" "$@"
}

# says FILE LINE...: each of them is in it, whatever the number of blanks between words
says()
{
	file=$1
	shift
	for line; do
		tr -s ' ' <"$file" | sed 's/^ //' | grep -qxF -e "$line" || {
			echo "missing: $line"
			cat "$file"
			return 1
		}
	done
}

# is FIGURE FILESYSTEM PEER PARAMETER FIELD=VALUE...: so says bench.json
is()
{
	python3 - "$out/bench.json" "$@" <<-'END'
		import json, sys
		name, *key = sys.argv[1:6]
		rows = [row for row in json.load(open(name))["figures"] if key ==
		        [row[field] for field in ("figure", "filesystem", "peer", "parameter")]]
		assert len(rows) == 1, rows
		for pair in sys.argv[6:]:
		    field, value = pair.split("=")
		    assert rows[0][field] == json.loads(value), (field, rows[0][field])
	END
}

# asks EXPRESSION: it is true of what bench.json says
asks()
{
	python3 -c 'import json, sys
all = json.load(open(sys.argv[1]))
assert eval(f"({sys.argv[2]})"), all' "$out/bench.json" "$1"
}

# refuses WHY FILE: with that, and nothing is written
refuses()
{
	rm -f "$out"/*
	! report "$2" >"$tmp/why" 2>&1 || return 1
	cat "$tmp/why"
	grep -qF "$2:" "$tmp/why" && grep -qF -e "$1" "$tmp/why" &&
		! grep -q Traceback "$tmp/why" && [ -z "$(ls "$out")" ]
}

# refuses_line WHY LINE: after good ones
refuses_line()
{
	{
		make_samples
		printf '%b' "$2"
	} >"$tmp/bad"
	refuses "$1" "$tmp/bad"
}

between_marks()
{
	sed '1,/^<!-- begin: /d; /^<!-- end: /,$d' "$out/bench.md"
}

# make_page LINE...
make_page()
{
	printf '%s\n' "$@" >"$out/bench.md"
}

refuses_page()
{
	make_page "$@"
	! report "$tmp/samples" >"$tmp/why" 2>&1 || return 1
	grep -q '^report.py: bench.md: ' "$tmp/why" && [ ! -e "$out/bench.json" ] &&
		printf '%s\n' "$@" | cmp - "$out/bench.md"
}

fills_page()
{
	make_page before "$begin" old "$end" after
	report "$tmp/samples" || return
	cat "$out/bench.md"
	[ "$(head -n 2 "$out/bench.md")" = "$(printf 'before\n%s' "$begin")" ] &&
		[ "$(tail -n 2 "$out/bench.md")" = "$(printf '%s\nafter' "$end")" ] &&
		! grep -qx old "$out/bench.md" || return
	between_marks >"$tmp/table"
	says "$tmp/table" \
		'| flock(2) | 600 ns<br>0.02x | - | 800 us<br>2.00x | - |' \
		'| lockfile-pid | 30.0 us<br>1.00x | 45.0 us<br>1.00x | 400 us<br>1.00x | 2.00 ms<br>1.00x |' \
		'| libbsd pidfile | - | (a) | - | - |' '- (a) does not wait' \
		'- contention-overlaps, tmpfs, dotlockfile, 16: two held the lock'
}

fills_page_twice_alike()
{
	cp "$out/bench.md" "$tmp/once"
	report "$tmp/samples" && cmp "$tmp/once" "$out/bench.md"
}

fits()
{
	awk 'length > 100 { print; bad = 1 } END { exit bad }' "$out/bench.txt"
}

# The lines of one figure; and of "Correctness".
part()
{
	sed -n "/^$1/,/^[A-Z][a-z]*:/p" "$out/bench.txt" >"$tmp/part"
}

details()
{
	part 'Cycle: '
	says "$tmp/part" \
		'lockfile-pid 5 30.0 us 20.0 .. 40.0 10.0 .. 50.0 1.00x 2.00x' \
		'liblockfile 4 2.50 us 1.75 .. 3.25 1.00 .. 4.00 0.08x 0.17x' \
		'lockfile-pid 1 60.0 us 60.0 .. 60.0 60.0 .. 60.0 1.00x 1.50x'
}

# What is said of another number of waiters is none of a cell's business.
words()
{
	part Speed
	says "$tmp/part" 'dotlockfile - 5.00 s - 3.00 ms' || return
	part Remarks
	says "$tmp/part" 'contention-overlaps, tmpfs, dotlockfile, 16: two held the lock' \
		'contention, tmpfs, dotlockfile, 2: none in 1 s' &&
		! grep 'does not wait' "$tmp/part"
}

correctness()
{
	part Correctness
	says "$tmp/part" 'dotlockfile 512 of 2,000, 10 with none for ever' &&
		says "$tmp/part" 'lockfile-pid 0 of 2,000 takes over (tmpfs); takes | over (ext4)' \
			'flock(2) 0 of 7 (tmpfs); 0 of 1,003 (ext4) -' \
			'procmail lockfile nobody took over in 10 -' \
			'unspeakable/circumstances-of-a-name/long'
}

# Blocks in the order of the report, ours first; rows by the number of waiters.
data()
{
	says "$tmp/data/waiters.dat" '"lockfile-pid"' '"flock(2)"' || return
	awk 'NF && !/"/ { print $1 }' "$tmp/data/waiters.dat" | xargs >"$tmp/order"
	says "$tmp/order" '2 16 1000 1000'
}

draws()
{
	gnuplot -c "$top_srcdir/bench/plots.gnuplot" "$tmp/data" "$out" || return
	for plot in cycle latency waiters; do
		grep -q "fill *[=:] *[\"']*#ffffff" "$out/bench-$plot.svg" &&
			grep -q '>lockfile-pid' "$out/bench-$plot.svg" || return
	done
}

# Of a checkout: every file here is in what make dist packs.
is_packed()
{
	cd "$top_srcdir" || return
	for file in bench/*.* doc/bench*.*; do
		grep -qE "[[:space:]]($file|${file%.c})( |$)" Makefile.am || {
			echo "not in Makefile.am: $file"
			return 1
		}
	done
}

expect 'every file of the benchmarks is packed' is_packed
if ! command -v python3 >/dev/null; then
	skip 'the report of samples' 'there is no python3'
	finish
	exit
fi
begin='<!-- begin: by bench/report.py -->'
end='<!-- end: by bench/report.py -->'
make_samples >"$tmp/samples"
: >"$tmp/empty"

expect 'a report is made' report "$tmp/samples"
expect 'no page is made where there is none' test ! -e "$out/bench.md"
expect 'an odd number of samples: median and quartiles' is cycle tmpfs lockfile-pid - \
	n=5 least=10000 lower_quartile=20000 median=30000 upper_quartile=40000 most=50000
expect 'an even number of samples: between two of them' is cycle tmpfs liblockfile - \
	n=4 lower_quartile=1750 median=2500 upper_quartile=3250
expect 'one sample is all there is' is cycle tmpfs floor - \
	n=1 least=15000 lower_quartile=15000 median=15000 upper_quartile=15000 most=15000
expect 'ratios are those of medians' is cycle tmpfs 'flock(2)' - \
	ratio_to_lockfile_pid=0.02 ratio_to_floor=0.04
expect 'ratios are those of one file system' is cycle ext4 lockfile-pid - \
	ratio_to_lockfile_pid=1 ratio_to_floor=1.5
expect 'ratios are those of one parameter' is contention tmpfs 'flock(2)' 1000 \
	ratio_to_lockfile_pid=2
expect 'a tool is compared with our tool, and with none' is tool tmpfs dotlockfile - \
	ratio_to_lockfile_pid=1.5 ratio_to_true=3
expect 'no ratio to zero' is double tmpfs dotlockfile '1000x32 kept' ratio_to_lockfile_pid=null
expect 'who is missing is named' asks '"libdaemon" in all["left_out"]'
expect 'who is there is not missing' asks '"dotlockfile" not in all["left_out"]'
expect 'who was asked only is not missing' asks '"libbsd pidfile" not in all["left_out"]'
expect 'machine and versions' asks 'all["machine"]["processor"] == "2 x Abacus" and
all["versions"] == {"liblockfile": "liblockfile1 1.17-1"}'
expect 'an answer is given once' asks '[row["answer"] for row in all["facts"]
if row["figure"] == "zombie" and row["peer"] == "dotlockfile"] == ["for ever"]'
expect 'the text has details' details
expect 'what is said stands where it belongs, or apart' words
expect 'the text has rounds in all, and answers of each file system' correctness
expect 'the text says what does not apply' says "$out/bench.txt" '(a) does not wait'
expect 'the text is not wider than 100 columns' fits
expect 'what is drawn is in order' data
if command -v gnuplot >/dev/null; then
	expect 'plots with a background of their own' draws
else
	skip 'plots with a background of their own' 'there is no gnuplot'
fi
expect 'the page has the table between its marks' fills_page
expect 'again, and it is the same page' fills_page_twice_alike

rm -f "$out"/*
expect 'a page without an end is refused' refuses_page "$begin"
expect 'a page with two begins is refused' refuses_page "$begin" "$begin" "$end"
expect 'a page whose end comes first is refused' refuses_page "$end" "$begin"

expect 'an empty file is refused' refuses 'no samples' "$tmp/empty"
expect 'a file that is missing is refused' refuses 'No such file' "$tmp/missing"
expect 'a line with too little is refused' refuses_line '5 fields' 'cycle\ttmpfs\tx\t-\tns\n'
expect 'a line with too much is refused' refuses_line '7 fields' 'cycle\ttmpfs\tx\t-\tns\t1\t2\n'
expect 'a line with nothing is refused' refuses_line '1 fields' '\n'
expect 'an empty field is refused' refuses_line 'empty' 'cycle\ttmpfs\t\t-\tns\t1\n'
expect 'an empty answer is refused' refuses_line 'empty' 'zombie\ttmpfs\tx\t-\tfact\t\n'
expect 'a word for a number is refused' refuses_line 'fast' 'cycle\ttmpfs\tx\t-\tns\tfast\n'
expect 'what is not finite is refused' refuses_line 'nan' 'cycle\ttmpfs\tx\t-\tns\tnan\n'
expect 'time that runs back is refused' refuses_line '-1' 'cycle\ttmpfs\tx\t-\tns\t-1\n'
expect 'an unknown unit is refused' refuses_line 'parsec' 'new\ttmpfs\tx\t-\tparsec\t1\n'
expect 'another unit than before is refused' refuses_line 'in ns before' \
	'cycle\ttmpfs\tx\t-\tus\t1\n'
expect 'rounds out of no number are refused' refuses_line 'number of rounds' \
	'double\ttmpfs\tx\t-\trounds\t1\n'
expect 'a line that is cut off is refused' refuses_line 'cut off' 'cycle\ttmpfs\tx\t-\tns\t1'
expect 'the number of a bad line is given' refuses_line ":$(($(wc -l <"$tmp/samples") + 1)):" '\n'
finish
