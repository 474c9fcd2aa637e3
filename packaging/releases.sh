#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# releases.sh - build and try the Debian packages on newer releases of Debian
#
# As root, with mmdebstrap and a network.  RELEASES names others than trixie and sid.  For each:
# a system of its own; the packages are built from the tarball of this tree, with the tests of a
# package build; lintian; and the tests of debian/tests with the packages installed.  Systems
# that are in a directory already, such as DIRECTORY/sid, are copied with SYSTEMS=DIRECTORY.

# shellcheck source=tests/tap.sh
. "${top_srcdir:?}/tests/tap.sh"
# shellcheck source=packaging/packages.sh
. "$top_srcdir/packaging/packages.sh"
chmod 755 "$tmp"

# in_system COMMAND...: run it in the system of the release, with mounts and processes of its own.
# The hierarchy of control groups is where a machine with systemd has it.  The inner shell is
# process 1 and reaps orphans, as init does.  Its root is not changed by chroot(1), below which
# unshare(1) and nsenter(1) would find the root of the machine.
in_system()
{
	# shellcheck disable=SC2016 # for the inner shell
	clean unshare --mount --pid --ipc --fork --kill-child sh -c '
		root=$1 && shift && mount --bind "$root" "$root" && cd "$root" &&
		mount --rbind /dev dev && mount -t tmpfs shm dev/shm &&
		mount -t proc proc proc && mount -t sysfs sys sys &&
		mount -t cgroup2 cgroup2 sys/fs/cgroup &&
		pivot_root . . && umount --lazy . && cd / && "$@"; exit' sh "$base" "$@"
}

# get_system: copy it, or make it.  The Release file of sid on a mirror may be older than it allows.
get_system()
{
	if [ -d "${SYSTEMS:-/nonexistent}/$release" ]; then
		cp -a --reflink=auto "$SYSTEMS/$release" "$base"
	else
		mmdebstrap --quiet --variant=buildd --dpkgopt=force-unsafe-io \
			--aptopt='Acquire::Check-Valid-Until "false"' \
			--include=autopkgtest,lintian "$release" "$base" "$(mirror)"
	fi
}

prepare_system()
{
	get_system && rm -rf "$base/build" && mkdir "$base/build" &&
		cp "$tmp/$orig" "$base/build" && unpack "$base/build" &&
		in_system apt-get -q update && in_system apt-get -q -y --no-install-recommends \
			build-dep "/build/lockfile-pid-$VERSION"
}

# built COMMAND...: run it as the builder, in the directory of the packages, without a network
built()
{
	# shellcheck disable=SC2016 # for the inner shell
	in_system unshare --net setpriv --reuid="$builder" --regid="$(id -g "$builder")" \
		--clear-groups env "TEST_PACE=${TEST_PACE:-1}" sh -c 'cd /build && "$@"' sh "$@"
}

build()
{
	# shellcheck disable=SC2016 # for the inner shell
	built sh -c 'cd "$0" && dpkg-buildpackage -us -uc -J"$1"' \
		"lockfile-pid-$VERSION" "$(nproc)" >"$tmp/log" 2>&1 || {
		grep -E '^(FAIL|ERROR): ' "$tmp/log" | sort -u
		tail -n 50 "$tmp/log"
		return 1
	}
}

# lint OPTION...: of the source and of the packages
lint()
{
	# shellcheck disable=SC2016 # for the inner shell
	built sh -c 'lintian "$@" ./*.changes' sh "$@"
}

# The test under systemd has namespaces of its own, and a null testbed nothing to disturb.
run_tests()
{
	# shellcheck disable=SC2016 # for the inner shell
	in_system sh -c 'exec autopkgtest --user nobody --output-dir /build/results \
		--ignore-restrictions=isolation-container \
		--env="$1" /build/*.changes -- null' sh "TEST_PACE=${TEST_PACE:-1}" >"$tmp/log" 2>&1
	status=$?
	# 2: some were skipped
	[ "$status" -eq 0 ] || [ "$status" -eq 2 ] || { tail -n 100 "$tmp/log"; return 1; }
}

# counts RELEASE: what the tests of the build come to
counts()
{
	awk '/^# [A-Z]+: / { n[$2] = $3 }
		END { printf "%d passed, %d failed, %d skipped\n", n["PASS:"],
			n["FAIL:"] + n["ERROR:"], n["SKIP:"] }' "$tmp/log"
}

# try_release: of all that is in the comment on top
try_release()
{
	base=$tmp/$release
	begin=$(date +%s)
	expect "$release: a system to build in" prepare_system
	[ -d "$base/build/lockfile-pid-$VERSION" ] || return
	expect "$release: the packages build and the tests of the build pass" build
	echo "# $release: $(counts) in the build"
	[ "$(find "$base/build" -name '*.changes')" ] || return
	expect "$release: lintian reports nothing" lintian_is_silent "$release" lint
	echo "# $release: lintian $(in_system lintian --print-version), $(wc -l <"$tmp/tags") lines"
	expect "$release: the tests of the packages ran" run_tests
	[ ! -e "$base/build/results/summary" ] || report_tests "$base/build/results" "$release: "
	echo "# $release: $(($(date +%s) - begin)) s"
	rm -rf "$base"
}

why=
[ "$(id -u)" -eq 0 ] || why='needs root'
[ -d "$top_srcdir/debian" ] || why='debian/ is not in the tarball'
for command in dpkg-parsechangelog mmdebstrap; do
	command -v "$command" >/dev/null || why="$command is missing: see packaging/setup"
done
[ -z "$why" ] || { echo "1..0 # SKIP $why"; exit; }
read_changelog || exit 99
expect 'the tarball' dist "$tmp/$orig"
for release in ${RELEASES:-trixie sid}; do
	try_release
done
finish
