#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# run.sh - give each fuzz target random input for a while
#
# FUZZ_SECONDS is for each target, 10 where it is not set; 0: only the corpus.
# FUZZ_CC is a clang.  FUZZ_FLAGS are more flags of libFuzzer, say -seed=1.
# What fails is kept in fuzz-failures/ of the directory that was built; to try
# it again put it into the corpus.

# shellcheck source=tests/tap.sh
. "${top_srcdir:?}/tests/tap.sh"

: "${top_builddir:?}"
clang=${FUZZ_CC:-clang}
seconds=${FUZZ_SECONDS:-10}
failures=$top_builddir/fuzz-failures
fuzz=$top_srcdir/fuzz
lib=$top_srcdir/lib
tools=$top_srcdir/tools

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
	fi
}

# run TARGET FLAG...: the corpus is read, and what is found beside it thrown away
run()
{
	target=$1
	shift
	mkdir -p "$failures" "$tmp/$target.corpus" || return
	if [ "$seconds" = 0 ]; then
		set -- "$@" -runs=0
	else
		set -- "$@" -max_total_time="$seconds"
	fi
	# shellcheck disable=SC2086 # a list of flags
	"$tmp/$target" "$@" -print_final_stats=1 -timeout=10 \
		-artifact_prefix="$failures/$target-" ${FUZZ_FLAGS-} \
		"$tmp/$target.corpus" "$fuzz/corpus/$target"
}

# result STATUS LOG
result()
{
	tail -n 60 "$2"
	return "$1"
}

# try TARGET SOURCE... [-- FLAG...]
try()
{
	target=$1
	shift
	sources=
	while [ $# -gt 0 ] && [ "$1" != -- ]; do
		sources="$sources $1"
		shift
	done
	[ $# -eq 0 ] || shift
	if [ -n "$reason" ]; then
		skip "$target" "$reason"
		return
	fi
	status=0
	# shellcheck disable=SC2086 # names without blanks, below a directory that may have some
	(cd "$top_srcdir" && compile "$tmp/$target" "fuzz/fuzz-$target.c" fuzz/fuzz.c $sources) \
		>"$tmp/log" 2>&1 && run "$target" "$@" >>"$tmp/log" 2>&1 || status=$?
	executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$tmp/log")
	expect "$target: ${executions:-0} executions" result "$status" "$tmp/log"
}

reason=$(why_not)
try content lib/record.c -- -max_len=4200
try stat lib/record.c -- -max_len=1024
try attribute lib/record.c -- -max_len=128
# what the tool says goes nowhere
try arguments fuzz/reading.c fuzz/stage.c lib/error.c tools/check.c tools/holder.c \
	tools/lockfile-pid.c tools/number.c tools/run.c tools/tool.c -- \
	-max_len=512 -close_fd_mask=3
rmdir "$failures" 2>/dev/null
finish
