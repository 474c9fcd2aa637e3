#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# run.sh - give each fuzz target random input for a while
#
# FUZZ_SECONDS is for each target, 10 where it is not set; 0: only the corpus.
# FUZZ_JOBS targets run at a time, 2 where it is not set.
# FUZZ_CC is a clang.  FUZZ_FLAGS are more flags of libFuzzer, say -seed=1.
# What fails is kept in fuzz-failures/ of the directory that was built; to try
# it again put it into the corpus.

set -u
: "${top_srcdir:?}" "${top_builddir:?}"
targets='content stat attribute arguments'
clang=${FUZZ_CC:-clang}
seconds=${FUZZ_SECONDS:-10}
failures=$top_builddir/fuzz-failures
fuzz=$top_srcdir/fuzz
lib=$top_srcdir/lib
tools=$top_srcdir/tools

# describe TARGET: what it is made of beside its own source, and its flags
describe()
{
	sources=lib/record.c
	case $1 in
	content)
		flags=-max_len=4200
		;;
	stat)
		flags=-max_len=1024
		;;
	attribute)
		flags=-max_len=128
		;;
	arguments)
		sources='fuzz/reading.c fuzz/stage.c lib/error.c tools/check.c tools/holder.c
			tools/lockfile-pid.c tools/number.c tools/run.c tools/tool.c'
		# what the tool says goes nowhere
		flags='-max_len=512 -close_fd_mask=3'
		;;
	esac
}

# compile OUTPUT ARGUMENT...
compile()
{
	output=$1
	shift
	$clang -std=gnu11 -g -O1 -Wall -Wextra -Werror \
		-fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
		-D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64 -Dmain=tool_main \
		-I"$top_builddir" -I"$top_srcdir/include" -I"$lib" -I"$tools" -I"$fuzz" \
		-o "$output" "$@"
}

# why_not: the reason why nothing can be built, if there is one
why_not()
{
	if ! command -v "$clang" >/dev/null; then
		echo "there is no $clang"
	elif ! echo 'int LLVMFuzzerTestOneInput(void); int LLVMFuzzerTestOneInput(void) { return 0; }' |
		compile "$tmp/none" -x c - 2>/dev/null; then
		echo "$clang has no libFuzzer, or no sanitizers"
	elif ! "$tmp/none" -runs=0 2>/dev/null; then
		echo "what $clang makes with libFuzzer and sanitizers does not run here"
	fi
}

# try TARGET: the corpus is read, and what is found beside it thrown away
try()
{
	describe "$1"
	# shellcheck disable=SC2086 # names without blanks, below a directory that may have some
	(cd "$top_srcdir" && compile "$tmp/$1" "fuzz/fuzz-$1.c" fuzz/fuzz.c $sources) || return
	limit=-max_total_time=$seconds
	[ "$seconds" != 0 ] || limit=-runs=0
	mkdir -p "$failures" "$tmp/$1.corpus" || return
	# shellcheck disable=SC2086 # lists of flags
	"$tmp/$1" $flags $limit -print_final_stats=1 -timeout=10 \
		-artifact_prefix="$failures/$1-" ${FUZZ_FLAGS-} \
		"$tmp/$1.corpus" "$fuzz/corpus/$1"
}

# passed TARGET
passed()
{
	tail -n 60 "$tmp/$1.log"
	[ "$(cat "$tmp/$1.status")" = 0 ]
}

# tell TARGET
tell()
{
	if [ -n "$reason" ]; then
		skip "$1" "$reason"
		return
	fi
	expect "$1" passed "$1"
	n=$(sed -n 's/^stat::number_of_executed_units: *//p' "$tmp/$1.log")
	echo "# $1: ${n:-0} executions"
	executions=$((executions + ${n:-0}))
}

if [ "${1-}" = try ]; then
	status=0
	try "$2" >"$tmp/$2.log" 2>&1 || status=$?
	echo "$status" >"$tmp/$2.status"
	exit
fi

# shellcheck source=tests/tap.sh
. "$top_srcdir/tests/tap.sh"
export tmp
executions=0
reason=$(why_not)
# in processes of their own, which a signal from the terminal ends
[ -n "$reason" ] || echo "$targets" | xargs -n 1 -P "${FUZZ_JOBS:-2}" sh "$0" try
for target in $targets; do
	tell "$target"
done
rmdir "$failures" 2>/dev/null
finish
echo "# executions: $executions"
