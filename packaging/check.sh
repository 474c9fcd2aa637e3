#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# check.sh - the Debian packages: how they build, what is in them, and that they come and go
#
# make check-package runs it, as root, after packaging/setup.  An ordinary user without
# a network builds them and runs their tests; reprotest(1) builds them again, as another
# user, elsewhere, at another time, without the tests, and gets the same bits.

# shellcheck source=tests/tap.sh
. "${top_srcdir:?}/tests/tap.sh"
# shellcheck source=packaging/packages.sh
. "$top_srcdir/packaging/packages.sh"
chmod 755 "$tmp"
export LC_ALL=C.UTF-8

packages='liblockfile-pid-dev liblockfile-pid0 lockfile-pid'
base=$tmp/base
source=$tmp/source
build=$tmp/build
mkdir "$source" "$build"

# since NAME: how long that took
now=$(date +%s)
since()
{
	before=$now
	now=$(date +%s)
	echo "# $((now - before)) s: $1"
}

# finds_nothing COMMAND...: it prints nothing on standard output; with 1 that is what grep says
finds_nothing()
{
	"$@" >"$tmp/found"
	[ $? -le 1 ] || return
	cat "$tmp/found"
	[ ! -s "$tmp/found" ]
}

# A system to install in, made while the packages are built.

codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)

make_base()
{
	{
		mmdebstrap --quiet --variant=minbase "$codename" "$base" "$(mirror)" \
			>"$tmp/base.log" 2>&1
		echo $? >"$tmp/base.status"
	} &
	trap 'base_is_made; rm -rf "$tmp"' EXIT
}

# Not by its process ID, which may be another's by now: between start and end lie two
# builds, and a shell forgets a child whose number comes up again.
base_is_made()
{
	patience_s=600 await test -s "$tmp/base.status"
}

has_base()
{
	base_is_made
	cat "$tmp/base.log"
	return "$(cat "$tmp/base.status")"
}

# The source package

# A second later, for there is nothing else to notice a time by.
dist_is_reproducible()
{
	sleep 1
	dist "$tmp/again.tar.xz" 077 && cmp "$source/$orig" "$tmp/again.tar.xz"
}

# The first build

build()
{
	chown "$builder:" "$build"
	(cd "$tree" && as_builder TMPDIR="$build" TEST_PACE="${TEST_PACE:-1}" \
		TEST_EACH="${TEST_EACH:-1}" DEB_BUILD_OPTIONS="parallel=$(($(nproc) * 2))" \
		dpkg-buildpackage -us -uc) >"$tmp/build.log" 2>&1 || {
		tail -n 100 "$tmp/build.log"
		return 1
	}
}

# What libtool warns of is that an installation in a directory of its own is not the last.
warnings()
{
	grep -i 'warning:' "$tmp/build.log" | grep -v '^libtool: '
}

# Far more than a hundred programs, or one of their tests each at least.
tests_ran()
{
	ran=$(sed -n 's/^# PASS:  *//p' "$tmp/build.log" | tail -n 1)
	! grep '^# FAIL:  *[1-9]' "$tmp/build.log" && [ "${ran:-0}" -ge 300 ]
}

# unknown_to_git: what the build left in the source tree and .gitignore does not list
unknown_to_git()
{
	git -C "$top_srcdir" ls-files | sort >"$tmp/tracked"
	(cd "$tree" && find . ! -type d) | sed 's,^\./,,' | sort | comm -23 - "$tmp/tracked" |
		git -C "$top_srcdir" check-ignore --no-index --verbose --non-matching --stdin |
		grep '^::'
}

# lint OPTION...: of the source and of the packages
lint()
{
	(cd "$source" && as_builder TMPDIR="$build" lintian "$@" ./*.changes)
}

holders_are_those_of_the_licence()
{
	holders=$(sed -n 's/^Copyright (c) //p' "$top_srcdir/LICENSE")
	[ -n "$holders" ] && sed -n '/^Files: \*$/,/^$/p' "$tree/debian/copyright" |
		grep -xF "Copyright: $holders"
}

# The packages

# deb PACKAGE: its file
deb()
{
	echo "$source/$1_"*.deb
}

# contents PACKAGE: mode, owner, path and target of all there is in it; what is compressed
# goes by its size
contents()
{
	dpkg-deb --contents "$(deb "$1")" | awk '{ print $1, $2, $6, $7, $8 }' |
		sed "s/ *\$//; s/\\.gz//g; s/$(dpkg-architecture -qDEB_HOST_MULTIARCH)/MULTIARCH/" |
		sort -k 3
}

contents_are_as_listed()
{
	contents "$1" | diff "$top_srcdir/packaging/contents/$1" -
}

extract()
{
	for package in $packages; do
		dpkg-deb --extract "$(deb "$package")" "$tmp/root" || return
	done
	for package in liblockfile-pid0 lockfile-pid; do
		dpkg-deb --extract "$(deb "$package-dbgsym")" "$tmp/root" || return
	done
}

# Neither where they were built nor, in the library and the tool, where to look for others.
build_paths()
{
	grep -rlF "$tmp" "$tmp/root"
}

has_no_run_paths()
{
	readelf -d "$tool" "$library" >"$tmp/dynamic" && ! grep -E 'RPATH|RUNPATH' "$tmp/dynamic"
}

# A fix of the library reaches the tool without a new build of the tool.
tool_loads_the_library()
{
	readelf -d "$tool" | grep -F 'NEEDED' | grep -F '[liblockfile-pid.so.0]' &&
		dpkg-deb --field "$(deb lockfile-pid)" Depends | grep -wF 'liblockfile-pid0'
}

# What they are built with the compiler of this release can do, and no more.
is_hardened()
{
	hardening-check --nocfprotection "$@"
}

# gensymbols LIST
gensymbols()
{
	dpkg-gensymbols -c4 -pliblockfile-pid0 -v"$VERSION" -P"$tmp/root" -I"$1" -O"$tmp/symbols" \
		-e"$library"
}

# Each symbol in turn, its node too.
any_missing_symbol_is_an_error()
{
	symbols=$(sed -n 's/^ \([^ ]*\) .*/\1/p' "$list")
	[ -n "$symbols" ] || return
	for symbol in $symbols; do
		grep -v "^ $symbol " "$list" >"$tmp/shorter"
		! (cd "$tree" && gensymbols "$tmp/shorter") || { echo "$symbol"; return 1; }
	done
}

# The second build

# The tests are left out; the first build was that of another user already.  A file
# system that gives files in another order, disorderfs(1), needs FUSE.  A directory of the
# name source-root is part of what reprotest compares.
builds_the_same_bits()
{
	order=
	[ -c /dev/fuse ] || order=,-fileordering
	mkdir -p "$tmp/first/source-root" && cp "$source"/*.deb "$tmp/first" || return
	(cd "$source" &&
		clean DEB_BUILD_OPTIONS=nocheck reprotest --vary="-user_group$order" \
		--control-build "$tmp/first" --store-dir "$tmp/store" \
		-s "$tree" 'dpkg-buildpackage -us -uc -b' '../*.deb' -- null)
}

# Installed, and removed

# There is no older one in the archive to upgrade from.
check_piuparts()
{
	(cd "$source" && piuparts --existing-chroot "$base" --distribution "$codename" --keep-sources-list \
		--no-upgrade-test --no-eatmydata ./*.changes) >"$tmp/piuparts.log" 2>&1 || {
		tail -n 50 "$tmp/piuparts.log"
		return 1
	}
}

in_system()
{
	clean unshare --mount-proc="$tmp/system/proc" --pid --fork --kill-child \
		chroot "$tmp/system" "$@"
}

state()
{
	in_system sh -c 'dpkg-query --list; find / -xdev ! -path "/debs*" ! -path "/var/*" ! -path "/dev/*" |
		sort'
}

# raise PACKAGE: the same of a later version
raise()
{
	dpkg-deb --raw-extract "$(deb "$1")" "$tmp/later" &&
		sed -i "s/^Version: .*/&+1/; s/\(liblockfile-pid0 (= [^)]*\))/\1+1)/" \
			"$tmp/later/DEBIAN/control" &&
		dpkg-deb --build "$tmp/later" "$tmp/system/debs/later/" && rm -r "$tmp/later"
}

start_system()
{
	cp -a "$base" "$tmp/system" && mkdir -p "$tmp/system/debs/later" || return
	for package in $packages; do
		cp "$(deb "$package")" "$tmp/system/debs" && raise "$package" || return
	done
	state >"$tmp/before"
}

# install DIRECTORY: all that is there; nothing has to come from elsewhere
install()
{
	# shellcheck disable=SC2016 # for the inner shell
	in_system sh -c 'apt-get -q -y install "$1"/*.deb' sh "$1"
}

# drop HOW
drop()
{
	# shellcheck disable=SC2086 # a list of words
	in_system apt-get -q -y "$1" $packages
}

tool_runs()
{
	# shellcheck disable=SC2016 # for the inner shell
	in_system lockfile-pid run /tmp/lock.pid sh -c '
		[ "$(cat /tmp/lock.pid)" = $PPID ] && lockfile-pid check /tmp/lock.pid' &&
		[ ! -e "$tmp/system/tmp/lock.pid" ]
}

# upgraded: the state of what is installed, each of the later version
upgraded()
{
	# shellcheck disable=SC2016 # for dpkg-query
	in_system dpkg-query -W -f '${db:Status-Abbrev} ${Package} ${Version}\n' '*lockfile-pid*' |
		grep -c '^ii .*+1$' | grep -x 3
}

nothing_is_left()
{
	state | diff "$tmp/before" -
}

# skip_all REASON
skip_all()
{
	skip 'the packages' "$1"
	finish
	exit
}

[ "$(id -u)" -eq 0 ] || skip_all 'root is needed'
[ -d "$top_srcdir/debian" ] || skip_all 'debian/ is not in the tarball'
for command in blhc dpkg-buildpackage hardening-check lintian mmdebstrap piuparts reprotest; do
	command -v "$command" >/dev/null || skip_all "$command is missing: see packaging/setup"
done
make_base
read_changelog || exit 99
tree=$source/lockfile-pid-$VERSION
list=$tree/debian/liblockfile-pid0.symbols
library=$tmp/root/usr/lib/$(dpkg-architecture -qDEB_HOST_MULTIARCH)/liblockfile-pid.so.0.0.0
tool=$tmp/root/usr/bin/lockfile-pid

expect 'make dist' dist "$source/$orig"
expect 'it gives the same tarball again' dist_is_reproducible
expect 'the source package' unpack "$source"
since 'make dist'
expect 'they build, as an ordinary user and without a network' build
expect 'the tests ran' tests_ran
expect 'nothing warns' finds_nothing warnings
since 'the build and its tests'
[ -d "$tree/debian/lockfile-pid" ] || { finish; exit; }
if git -C "$top_srcdir" rev-parse 2>/dev/null; then
	expect 'git ignores what the build leaves' finds_nothing unknown_to_git
else
	skip 'git ignores what the build leaves' 'the sources are no clone'
fi
expect 'they are kept for other checks' keep "$source"
echo "# the build: ${ran:-no} tests passed"
expect 'lintian reports nothing' lintian_is_silent "$codename" lint
echo "# lintian: $(lintian --print-version), $(wc -l <"$tmp/tags") lines"
since lintian
expect 'LICENSE and debian/copyright name the same holders' holders_are_those_of_the_licence
expect 'the compiler has all flags that make attacks harder' blhc --all --debian "$tmp/build.log"
for package in $packages; do
	expect "$package: the contents are those listed" contents_are_as_listed "$package"
done
expect 'they can be unpacked' extract
expect 'the tool loads the library and depends on its package' tool_loads_the_library
expect 'the library is hardened' is_hardened "$library"
expect 'the tool is hardened' is_hardened "$tool"
expect 'no path of the build is in them' finds_nothing build_paths
expect 'no path for the loader is in them' has_no_run_paths
expect 'the list of symbols is that of the library' gensymbols "$list"
expect 'a symbol that is not listed is an error' any_missing_symbol_is_an_error
since 'what is in them'
expect 'another build, without the tests, has the same bits' builds_the_same_bits
(cd "$source" && sha256sum ./*.orig.tar.xz ./*.deb) | sed 's/^/# /'
since reprotest
expect 'a minimal system' has_base
since 'waiting for that system'
expect 'piuparts finds nothing' check_piuparts
since piuparts
expect 'the system is as it was made' start_system
expect 'they are installed' install /debs
expect 'the tool runs' tool_runs
expect 'they are upgraded' install /debs/later
expect 'the later ones are installed' upgraded
expect 'the tool runs' tool_runs
expect 'they are removed' drop remove
expect 'nothing is left of them' nothing_is_left
expect 'they are installed again' install /debs
expect 'they are purged' drop purge
expect 'nothing is left of them' nothing_is_left
since 'install, upgrade, remove, purge'
finish
