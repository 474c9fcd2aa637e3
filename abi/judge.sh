# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh
# judge.sh - what a source tree offers to programs, against what was released
#
# The interface of a tree is what its header declares and its map exports.  A
# library of empty functions, made of these two, has this interface and nothing
# else: no types of our own, no paths, and no flags of a build.  That the library
# is no other is shown elsewhere (check.sh, and tests/check-symbols.sh).
#
# A release is two files: liblockfile-pid.abi, its interface in the words of
# libabigail, and version-info, its numbers.  The last one is beside this file.
#
# Needs CC, abidw and abidiff; tmp is a directory to work in.

now=${tmp:?}/now.abi

# follow DIRECTORY: what is there is the last release
follow()
{
	released=$1/liblockfile-pid.abi
	released_info=$1/version-info
}

follow "${top_srcdir:?}/abi"

# version_info TREE: current:revision:age
version_info()
{
	sed -n 's/.*-version-info \([0-9]*:[0-9]*:[0-9]*\).*/\1/p' "$1/Makefile.am"
}

# soname TREE
soname()
{
	version_info "$1" | awk -F: '{ print "liblockfile-pid.so." $1 - $3 }'
}

# empty_functions HEADER: and a variable of each type, which functions may not have
empty_functions()
{
	echo '#include <lockfile-pid.h>'
	${CC:?} -E -P "$1" | tr '\n' ' ' | sed 's/;/;\n/g' |
		sed -n '/lockfile_pid_[a-z0-9_]*(/s/;$/ { __builtin_trap(); }/p'
	awk '/^(enum|struct|union) .*{/ { print $1 " " $2 " type_" NR ";" }' "$1"
}

# build_interface TREE LIBRARY
# shellcheck disable=SC2086 # CC may have options
build_interface()
{
	empty_functions "$1/include/lockfile-pid.h" >"$tmp/interface.c" &&
		(cd "$tmp" && $CC -w -g -O0 -fPIC -shared -nostdlib -I"$1/include" \
			-Wl,--version-script="$1/lib/lockfile-pid.map" \
			-Wl,-soname="$(soname "$1")" -o "$2" interface.c)
}

# describe TREE: its interface is that of now
describe()
{
	build_interface "$1" "$tmp/interface.so" &&
		abidw --load-all-types --no-elf-needed --no-corpus-path --no-comp-dir-path \
			--no-show-locs --no-parameter-names --type-id-style hash \
			"$tmp/interface.so" >"$now"
}

# symbols DESCRIPTION: each as NAME@NODE
symbols()
{
	sed -n "s/.*<elf-symbol name='\([^']*\)' version='\([^']*\)'.*/\1@\2/p" "$1" | sort
}

# nodes DESCRIPTION
nodes()
{
	symbols "$1" | sed 's/.*@//' | sort -u
}

# architecture DESCRIPTION
architecture()
{
	sed -n "s/.*<abi-corpus .*architecture='\([^']*\)'.*/\1/p" "$1"
}

# differs OPTION...: does it from what was released, in what these options show?
differs()
{
	abidiff --ignore-soname --non-reachable-types "$@" "$released" "$now" \
		>"$tmp/differences" 2>&1 && return 1
	cat "$tmp/differences"
}

# A program finds a symbol in the node alone that it was linked with.
has_lost_symbols()
{
	symbols "$now" >"$tmp/has"
	symbols "$released" | comm -23 - "$tmp/has" | sed 's/$/ is gone/' | grep .
}

# In the words of abidiff A is added; and what else there is, is no addition.
has_changes()
{
	differs && ! { grep -q '^ *\[A\]' "$tmp/differences" &&
		! grep -q '^ *\[[^A]\]' "$tmp/differences"; }
}

# change: what became of the interface, and details: same, grown or broken.  An enum
# with one more value has grown.
change()
{
	if has_lost_symbols >&2 || has_changes >&2; then
		echo broken
	elif differs --harmless >&2; then
		echo grown
	else
		echo same
	fi
}

# wanted_info CHANGE: version-info that may follow that of the release
wanted_info()
{
	awk -F: -v change="$1" '
		change == "same" { print; print $1 ":" $2 + 1 ":" $3 }
		change == "grown" { print $1 + 1 ":0:" $3 + 1 }
		change == "broken" { print $1 + 1 ":0:0" }' "$released_info"
}

# has_wanted_info CHANGE TREE
has_wanted_info()
{
	wanted_info "$1" >"$tmp/wanted"
	info=$(version_info "$2")
	grep -qxF "$info" "$tmp/wanted" && return
	echo "the interface is $1, so version-info is not $info but $(xargs <"$tmp/wanted")"
	return 1
}

# has_right_nodes CHANGE: a node that was released is as it was, and a library of
# another soname has none of them: where both are loaded one would have the other's
# functions.
has_right_nodes()
{
	symbols "$released" >"$tmp/had"
	symbols "$now" >"$tmp/has"
	[ "$1" != broken ] || : >"$tmp/had"
	nodes "$released" >"$tmp/nodes"
	! comm -13 "$tmp/had" "$tmp/has" | awk -F@ '
		NR == FNR { released[$1]; next }
		$2 in released { print $1 " is new in " $2 ", which was released" }' \
		"$tmp/nodes" - | grep .
}

# judge TREE: may it follow what was released?  Else says why not.
judge()
{
	describe "$1" || return
	became=$(change)
	has_wanted_info "$became" "$1" && has_right_nodes "$became"
}

# release TREE: it is the last release from here on
release()
{
	describe "$1" && cp "$now" "$released" && version_info "$1" >"$released_info"
}
