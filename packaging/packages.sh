# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh
# packages.sh - for the checks of this directory: the tarball, and the Debian packages
#
# check.sh builds the packages and keeps them in packages/ of the build directory.  Other checks
# take them from there if they are of the same tarball and the same debian/.

kept=${top_builddir:?}/packages
builder=nobody

# clean NAME=VALUE... COMMAND...: run it without the variables of make and of this build
clean()
{
	env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/nonexistent LC_ALL=C.UTF-8 \
		DEBIAN_FRONTEND=noninteractive "$@"
}

# as_builder NAME=VALUE... COMMAND...: run it as an ordinary user without a network
as_builder()
{
	clean unshare --net setpriv --reuid="$builder" --regid="$(id -g "$builder")" \
		--clear-groups env "$@"
}

# mirror: the Debian mirror that this machine uses
mirror()
{
	# shellcheck disable=SC2016 # for apt-get
	apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | head -n 1
}

# read_changelog: sets the version of the packages, the name of their tarball, and the time of
# the last entry
read_changelog()
{
	version=$(dpkg-parsechangelog -l "${top_srcdir:?}/debian/changelog" -S Version) &&
		epoch=$(dpkg-parsechangelog -l "$top_srcdir/debian/changelog" -S Timestamp) &&
		orig=lockfile-pid_${version%-*}.orig.tar.xz
}

# dist TARBALL [UMASK]: make it; each of its files is as old as the last entry of the changelog
dist()
{
	(umask "${2-022}" && MAKEFLAGS='' MFLAGS='' SOURCE_DATE_EPOCH=${epoch-} \
		"${MAKE:?}" -C "$top_builddir" dist) &&
		mv "$top_builddir/lockfile-pid-${VERSION:?}.tar.xz" "$1"
}

# unpack DIRECTORY: make the source tree from the tarball there, for the builder
unpack()
{
	tar -C "$1" -xf "$1/$orig" &&
		cp -R "$top_srcdir/debian" "$1/lockfile-pid-$VERSION" &&
		chown -R "$builder:" "$1"
}

# keep DIRECTORY: keep the packages that were built there
keep()
{
	rm -rf "$kept" && mkdir "$kept" && cp "$1"/*lockfile-pid*_* "$kept"
}

# kept_are_current TARBALL: the packages that are kept were built from it, and from this debian/
kept_are_current()
{
	cmp "$1" "$kept/$orig" && mkdir "${tmp:?}/kept" &&
		tar -C "$tmp/kept" -xf "$kept/lockfile-pid_$version.debian.tar.xz" &&
		diff -r "$top_srcdir/debian" "$tmp/kept/debian"
}

# lintian_is_silent RELEASE COMMAND...: lintian, which the command runs with the options that are
# added, runs to its end and reports nothing about the packages.  An older lintian does not know
# the newest policy, nor the format of debian/watch, nor tags that are overridden for the newest.
lintian_is_silent()
{
	of=$1
	unknown='alien-tag|duplicate-override-context|missing-debian-watch-file-standard'
	unknown="$unknown|newer-standards-version|unused-override"
	shift
	"$@" --pedantic --display-experimental --display-info --tag-display-limit 0 \
		--fail-on none >"$tmp/lintian" 2>&1
	ended=$?
	case $of in
	bookworm | trixie) grep -vE ": ($unknown) | unused overrides\$" "$tmp/lintian" ;;
	*) cat "$tmp/lintian" ;;
	esac >"$tmp/tags"
	cat "$tmp/tags"
	[ "$ended" -eq 0 ] && [ ! -s "$tmp/tags" ]
}

# planned_tests: the names that debian/tests/control has
planned_tests()
{
	sed -n 's/^Tests: //p; s/^Features: test-name=//p' "$top_srcdir/debian/tests/control" | sort
}

# test_passed RESULTS NAME: autopkgtest says so; tells the reason if it does not
test_passed()
{
	cat "$1/$2-stdout" "$1/$2-stderr" 2>/dev/null
	grep -x "$2 *PASS" "$1/summary"
}

# report_tests RESULTS [PREFIX]: one line of TAP for each test of autopkgtest
report_tests()
{
	for test in $(planned_tests); do
		why=$(sed -n "s/^$test *SKIP *//p" "$1/summary")
		if [ -n "$why" ]; then
			skip "${2-}$test" "$why"
		else
			expect "${2-}$test" test_passed "$1" "$test"
		fi
	done
	grep '^# [A-Z]*: ' "$1/installcheck-stdout" | sed "s/^#/# ${2-}installcheck:/"
}
