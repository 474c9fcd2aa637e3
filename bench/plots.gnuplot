# SPDX-License-Identifier: BSD-2-Clause
# plots.gnuplot - the plots of the report
#
#	gnuplot -c plots.gnuplot DATA DIRECTORY
#
# DATA is what report.py -d has made; the plots are bench-NAME.svg in DIRECTORY.  They
# have a background of their own, for pages that are dark, and colours that can be told
# apart by everybody.  Ours is red, and thick.  What was not measured says so.

data = ARG1."/"
to = ARG2."/bench-"
filesystems = system("cat '".data."filesystems'")
floors = system("cat '".data."floors'")
machine = system("cat '".data."machine'")
memory = word(filesystems, 1)
ours = "#d0391b"
theirs = "#4c78a8"
ink = "#24292f"
faint = "#6e7781"

# Names in quotes are words, too.
names(file) = system("grep '^\"' '".data.file."'")
colour(name) = \
	name eq "lockfile-pid" ? ours : \
	name eq "flock(2)" ? "#0072b2" : \
	name eq "OFD lock" ? "#56b4e9" : \
	name eq "liblockfile" ? "#009e73" : \
	name eq "dotlockfile" ? "#cc79a7" : \
	name eq "lockfile-create" ? "#e69f00" : \
	name eq "procmail lockfile" ? "#8c6d31" : \
	name eq "flock(1)" ? "#332288" : \
	name eq "floor" ? ink : faint
width(name) = name eq "lockfile-pid" ? 3.5 : 1.5

set terminal svg size 880,480 dynamic font "Helvetica,Arial,sans-serif,14" \
	background "#ffffff" linewidth 1.2
set border 3 linecolor rgb ink
set tics nomirror textcolor rgb ink
set grid linecolor rgb "#d8dee4" linewidth 0.5 linetype 1
set lmargin 20
set rmargin 4
set bmargin 6
set label 1 machine at screen 0.985,0.025 right font ",11" textcolor rgb faint

# Time from 0.1 us to 100 s, as people say it.
spoken = "'0.1 us' '1 us' '10 us' '100 us' '1 ms' '10 ms' '100 ms' '1 s' '10 s' '100 s'"

# A cycle: two bars a library, and a line for each floor.

set output to."cycle.svg"
set title "One lock and unlock that nobody else wants: median and quartiles" textcolor rgb ink
set logscale x
set xtics out
do for [i = 1:10] { set xtics add (word(spoken, i) 0.1 * 10**(i - 1)) }
set ytics out scale 0
set grid noytics
set key at screen 0.985,0.13 right horizontal maxrows 1 reverse Left samplen 1.5 \
	font ",12" textcolor rgb ink
set style fill solid 1 noborder
stats data."cycle.dat" using 2 nooutput
low = 10**floor(log10(STATS_min)) / 2
high = 10**ceil(log10(STATS_max)) * 2
set xrange [low:high]
set yrange [STATS_records - 0.4:-0.6]
only(what, value) = what ? value : NaN
our(i) = only(strcol(1) eq "lockfile-pid", column(i))
their(i) = only(strcol(1) ne "lockfile-pid", column(i))
half = 0.38
last = words(filesystems) > 1 ? 5 : 2
do for [i = 1:words(floors)] {
	set arrow from word(floors, i) + 0,graph 0 to word(floors, i) + 0,graph 1 nohead front \
		linecolor rgb ink dashtype 2
}
set label 2 "floor: what a file costs\nthat appears and disappears" \
	at word(floors, words(floors)) * 1.3,graph 0.93 front font ",12" textcolor rgb ink
plot \
	data."cycle.dat" using (our(2)):0:(low):2:($0 - half):($0 - 0.02):ytic(1) \
		with boxxyerror linecolor rgb ours title "lockfile-pid, ".memory, \
	"" using (their(2)):0:(low):2:($0 - half):($0 - 0.02) \
		with boxxyerror linecolor rgb theirs title "others, ".memory, \
	for [i = 5:last] "" using (our(i)):0:(low):i:($0 + 0.02):($0 + half) \
		with boxxyerror linecolor rgb "#efa898" title "lockfile-pid, ".word(filesystems, 2), \
	for [i = 5:last] "" using (their(i)):0:(low):i:($0 + 0.02):($0 + half) \
		with boxxyerror linecolor rgb "#a9c3de" title "others, ".word(filesystems, 2), \
	"" using 2:($0 - half / 2):3:4 with xerrorbars pointtype 0 linecolor rgb ink notitle, \
	for [i = 5:last] "" \
		using (column(i)):($0 + half / 2):(column(i + 1)):(column(i + 2)) \
		with xerrorbars pointtype 0 linecolor rgb ink notitle
unset output
unset label 2
unset arrow
set yrange [*:*]

# The others have a line a library; the first, ours, is drawn again over the rest.

set lmargin 11
set rmargin 24
set bmargin 5
set grid xtics ytics
set key default
set key outside right top vertical maxrows auto reverse Left samplen 2 width 0 textcolor rgb ink
set ytics scale 1

# The cost of an acquisition against the number of waiters; who was measured with one
# number of them only is a point.

found = names("waiters.dat")
set output to."waiters.svg"
set title "Time for an acquisition while so many wait, ".memory.": median and quartiles" \
	textcolor rgb ink
set errorbars 0.5
set logscale xy
set xlabel "waiters" textcolor rgb ink
unset xtics
set xtics nomirror out (2, 4, 8, 16, 32, 64, 128, 256, 500, 1000)
set xrange [1.7:1200]
unset ytics
set ytics nomirror out
do for [i = 1:10] { set ytics add (word(spoken, i) 0.1 * 10**(i - 1)) }
set yrange [*:*] noreverse
if (words(found) > 0) {
	plot for [i = 1:words(found)] data."waiters.dat" index i - 1 using 1:2:3:4 \
		with yerrorbars pointtype 0 linewidth 1 linecolor rgb colour(word(found, i)) notitle, \
		for [i = 1:words(found)] data."waiters.dat" index i - 1 using 1:2 with linespoints \
		linecolor rgb colour(word(found, i)) linewidth width(word(found, i)) \
		pointtype 4 + i pointsize 0.7 title word(found, i), \
		data."waiters.dat" index 0 using 1:2 with lines \
		linecolor rgb colour(word(found, 1)) linewidth width(word(found, 1)) notitle
} else {
	set label 3 "not measured" at graph 0.5,0.5 center
	plot [1:1000] [1:1000] 0.1 notitle
	unset label 3
}
unset output

# How long hand-offs took: the share of them that took no longer.

found = names("latency.dat")
set output to."latency.svg"
set title "From the release to the lock in a waiter that sleeps, ".memory textcolor rgb ink
unset logscale y
set xlabel "time for a hand-off" textcolor rgb ink
set ylabel "share that took no longer" textcolor rgb ink
unset xtics
set xtics nomirror out
do for [i = 1:10] { set xtics add (word(spoken, i) 0.1 * 10**(i - 1)) }
unset ytics
set ytics nomirror out 0.25 format "%.2f"
set xrange [*:*]
set yrange [0:1.02]
if (words(found) > 0) {
	plot for [i = 1:words(found)] data."latency.dat" index i - 1 using 1:2 with steps \
		linecolor rgb colour(word(found, i)) linewidth width(word(found, i)) title word(found, i), \
		data."latency.dat" index 0 using 1:2 with steps \
		linecolor rgb colour(word(found, 1)) linewidth width(word(found, 1)) notitle
} else {
	set label 3 "not measured" at graph 0.5,0.5 center
	plot [1:1000] [1:1000] 0.1 notitle
	unset label 3
}
unset output
