#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# all.sh - run all benchmarks, in the directory that was built
#
# Usage: bench/all.sh [DIRECTORY...]
set -eu

for bench in cycle handoff takeover starvation contention idle; do
	"bench/$bench" "$@"
done
