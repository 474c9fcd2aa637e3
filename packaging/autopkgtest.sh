#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# autopkgtest.sh - the tests of debian/tests, with the packages of this tree installed
#
# As root.  What is installed, the packages and what the tests need, is there for the
# processes of this script alone: /etc, /usr and /var are covered by layers in memory,
# in a mount namespace that ends with it.

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
layers=$tmp/layers
source=$tmp/source
results=$tmp/results
# processes of other users look in there
chmod 755 "$tmp"
mkdir "$layers" "$source"
# the layers are busy as long as they cover anything
trap 'umount --lazy /etc /usr /var "$layers"; rm -rf "$tmp"' EXIT
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8

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

# as_user COMMAND...: without what make has told its tests
as_user()
{
	env -u CC -u CFLAGS -u LDFLAGS -u MAKEFLAGS -u MFLAGS -u PKG_CONFIG "$@"
}

get_tools()
{
	apt-get -q update &&
		apt-get -q -y --no-install-recommends install autopkgtest build-essential &&
		apt-get -q -y --no-install-recommends build-dep "$top_srcdir"
}

dist()
{
	as_user "${MAKE:?}" -C "${top_builddir:?}" dist &&
		mv "$top_builddir/lockfile-pid-${VERSION:?}.tar.xz" \
			"$source/lockfile-pid_$VERSION.orig.tar.xz"
}

build()
{
	cd "$source" && tar -xf ./*.orig.tar.xz && cd "lockfile-pid-$VERSION" &&
		cp -R "$top_srcdir/debian" . &&
		as_user DEB_BUILD_OPTIONS="nocheck noddebs parallel=$(nproc)" dpkg-buildpackage -us -uc
}

run_tests()
{
	as_user autopkgtest --user nobody --output-dir "$results" \
		--env="TEST_PACE=${TEST_PACE:-1}" --env="TEST_EACH=${TEST_EACH:-1}" \
		"$source"/*.changes -- null >"$tmp/log" 2>&1
	status=$?
	# 2: some were skipped
	[ "$status" -eq 0 ] || [ "$status" -eq 2 ] || { tail -n 300 "$tmp/log"; return 1; }
}

# planned: the names that debian/tests/control has
planned()
{
	sed -n 's/^Tests: //p; s/^Features: test-name=//p' "$top_srcdir/debian/tests/control" | sort
}

# result NAME: it has passed, in so many words
result()
{
	cat "$results/$1-stdout" "$results/$1-stderr" 2>/dev/null
	grep -x "$1 *PASS" "$results/summary"
}

tell()
{
	why=$(sed -n "s/^$1 *SKIP *//p" "$results/summary")
	if [ -n "$why" ]; then
		skip "$1" "$why"
	else
		expect "$1" result "$1"
	fi
}

expect 'layers in memory' cover
expect 'the tools are installed' get_tools
expect 'the source' dist
expect 'the packages are built' build
expect 'their tests' run_tests
for name in $(planned); do
	tell "$name"
done
grep '^# [A-Z]*: ' "$results/installcheck-stdout" | sed 's/^#/# installcheck:/'
finish
