#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# update.sh - what is here is released: the next has to follow it
#
# Writes the two files that check.sh compares with, unless the interface is one
# that may not follow what they say.  Where there are none, as before the first
# release, whatever is here is right.
set -eu

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
# shellcheck source=abi/judge.sh
. "${top_srcdir:?}/abi/judge.sh"

[ ! -e "$released" ] || judge "$top_srcdir"
release "$top_srcdir"
