#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# autopkgtest.sh - the tests of debian/tests, with the packages of this tree installed
#
# As root.  The packages are those of make check-package, or are built here without their tests.
# What is installed, the packages and what the tests need, is there for the processes of this
# script alone: /etc, /usr and /var are covered by layers in memory, in a mount namespace that
# ends with it.

covered='etc usr var'

if [ "${1-}" != inside ]; then
	set -- unshare --mount --propagation private
	why=
	[ "$(id -u)" -eq 0 ] || why='needs root'
	[ -n "$why" ] || "$@" true 2>/dev/null || why='cannot have mounts of its own'
	[ -z "$why" ] || { echo "1..0 # SKIP $why"; exit; }
	exec "$@" sh "$0" inside
fi

# shellcheck source=tests/tap.sh
. "${top_srcdir:?}/tests/tap.sh"
# shellcheck source=packaging/packages.sh
. "$top_srcdir/packaging/packages.sh"
layers=$tmp/layers
source=$tmp/source
results=$tmp/results
# processes of other users look in there
chmod 755 "$tmp"
mkdir "$layers" "$source"
# the layers are busy as long as they cover anything
trap 'umount --lazy /etc /usr /var "$layers"; rm -rf "$tmp"' EXIT

cover()
{
	mount -t tmpfs -o mode=755 layers "$layers" || return
	for i in $covered; do
		upper=$layers/$i/upper work=$layers/$i/work
		mkdir -p "$upper" "$work" && chmod 755 "$upper" &&
			mount -t overlay -o "lowerdir=/$i,upperdir=$upper,workdir=$work" layers "/$i" ||
			return
	done
}

get_tools()
{
	clean apt-get -q update &&
		clean apt-get -q -y --no-install-recommends install autopkgtest build-essential
}

build()
{
	unpack "$source" &&
		clean apt-get -q -y --no-install-recommends build-dep "$top_srcdir" &&
		cd "$source/lockfile-pid-$VERSION" &&
		as_builder TMPDIR=/tmp DEB_BUILD_OPTIONS="nocheck noddebs parallel=$(nproc)" \
			dpkg-buildpackage -us -uc
}

# run_tests DIRECTORY: with the packages there
run_tests()
{
	clean autopkgtest --user nobody --output-dir "$results" \
		--env="TEST_PACE=${TEST_PACE:-1}" --env="TEST_EACH=${TEST_EACH:-1}" \
		"$1"/*.changes -- null >"$tmp/log" 2>&1
	status=$?
	# 2: some were skipped
	[ "$status" -eq 0 ] || [ "$status" -eq 2 ] || { tail -n 300 "$tmp/log"; return 1; }
}

expect 'layers in memory' cover
expect 'the tools are installed' get_tools
read_changelog || exit 99
expect 'the tarball' dist "$source/$orig"
if kept_are_current "$source/$orig" >/dev/null 2>&1; then
	echo '# the packages are those of make check-package'
	expect 'the tests ran' run_tests "$kept"
else
	expect 'the packages are built' build
	expect 'the tests ran' run_tests "$source"
fi
report_tests "$results"
finish
