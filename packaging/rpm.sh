#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# rpm.sh - the RPM packages: they build with Fedora's flags, and what is in them
#
# rpmbuild may be Debian's: packaging/setup installs it.  As root the packages are built by an
# ordinary user without a network.

# shellcheck source=tests/tap.sh
. "${top_srcdir:?}/tests/tap.sh"
# shellcheck source=packaging/packages.sh
. "$top_srcdir/packaging/packages.sh"
chmod 755 "$tmp"

spec=$top_srcdir/packaging/lockfile-pid.spec
rpms=$tmp/rpm/RPMS
log=$tmp/log

# The flags of Fedora 42 on x86_64, with its two specs files for position-independent programs.
# Left out are the annobin plugin, the package notes, and what turns warnings of a newer linker
# into errors.
cc1=$tmp/redhat-hardened-cc1
ld=$tmp/redhat-hardened-ld
cflags="-O2 -flto=auto -ffat-lto-objects -fexceptions -g -grecord-gcc-switches -pipe -Wall \
-Wno-complain-wrong-lang -Werror=format-security -Wp,-U_FORTIFY_SOURCE,-D_FORTIFY_SOURCE=3 \
-Wp,-D_GLIBCXX_ASSERTIONS -specs=$cc1 -fstack-protector-strong -m64 -march=x86-64 \
-mtune=generic -fasynchronous-unwind-tables -fstack-clash-protection -fcf-protection \
-mtls-dialect=gnu2 -fno-omit-frame-pointer -mno-omit-leaf-frame-pointer"
ldflags="-Wl,-z,relro -Wl,--as-needed -Wl,-z,pack-relative-relocs -Wl,-z,now -specs=$ld \
-Wl,--build-id=sha1"

write_specs_files()
{
	cat >"$cc1" <<-'END'
		*cc1_options:
		+ %{!r:%{!fpie:%{!fPIE:%{!fpic:%{!fPIC:%{!fno-pic:-fPIE}}}}}}
	END
	cat >"$ld" <<-'END'
		*self_spec:
		+ %{!static:%{!shared:%{!r:-pie}}}

		*link:
		+ -z now
	END
}

# rpm_builds COMMAND...: run it as an ordinary user
rpm_builds()
{
	if [ "$(id -u)" -eq 0 ]; then
		as_builder "HOME=$tmp/rpm" "$@"
	else
		clean "HOME=$tmp/rpm" "$@"
	fi
}

source_is_there()
{
	mkdir -p "$tmp/rpm/SOURCES" && dist "$tmp/rpm/SOURCES/lockfile-pid-$VERSION.tar.xz" &&
		write_specs_files || return
	[ "$(id -u)" -ne 0 ] || chown -R "$builder:" "$tmp/rpm"
}

spec_has_this_version()
{
	rpm_builds rpmspec --query --srpm --queryformat '%{version}\n' "$spec" | grep -xF "$VERSION"
}

# What the spec file requires has other names on Debian: --nodeps.  Programs that extract the
# debugging information are not everywhere.
build()
{
	cp "$spec" "$tmp/rpm" || return
	rpm_builds TEST_PACE="${TEST_PACE:-1}" rpmbuild -ba --nodeps \
		--define "_topdir $tmp/rpm" --define "_tmppath $tmp/rpm" \
		--define 'debug_package %{nil}' --define '_build_id_links none' \
		--define '_lib lib64' --define '_libdir /usr/lib64' \
		--define "optflags $cflags" --define "build_ldflags $ldflags" \
		"$tmp/rpm/lockfile-pid.spec" >"$log" 2>&1 || {
		grep -E '^(FAIL|ERROR): ' "$log" | sort -u
		tail -n 50 "$log"
		return 1
	}
}

# Far more than a hundred programs, or one test each at least.
tests_ran()
{
	ran=$(sed -n 's/^# PASS:  *//p' "$log" | tail -n 1)
	! grep '^# \(FAIL\|ERROR\):  *[1-9]' "$log" && [ "${ran:-0}" -ge 300 ]
}

# Each object of the library is compiled, and the library linked, with these flags.
has_the_flags()
{
	grep -- "-specs=$cc1.*-c .*lib/path.c" "$log" | grep -e ' -fexceptions .* -mtls-dialect=gnu2 ' &&
		grep -- '-shared .*-Wl,pack-relative-relocs .*liblockfile-pid.so.0' "$log"
}

no_warnings()
{
	! grep 'warning:' "$log" | grep -v -e 'libtool: '
}

# contents: package, mode and path of all there is in them
contents()
{
	for package in lockfile-pid lockfile-pid-devel lockfile-pid-libs; do
		rpm --query --package --queryformat '[%{=NAME} %{FILEMODES:perms} %{FILENAMES}\n]' \
			"$rpms/"*/"$package-$VERSION-"*.rpm || return
	done
}

contents_are_as_listed()
{
	contents | sed -E "s/\.gz\$//; s/-$VERSION(\$|\/)/\1/" |
		diff "$top_srcdir/packaging/contents/rpm" -
}

# tool_requires_the_library: by the name that the loader looks for, too
tool_requires_the_library()
{
	rpm --query --package --requires "$rpms/"*/"lockfile-pid-$VERSION-"*.rpm >"$tmp/requires"
	cat "$tmp/requires"
	grep -xF 'liblockfile-pid.so.0()(64bit)' "$tmp/requires" &&
		grep "^lockfile-pid-libs.* = $VERSION-" "$tmp/requires"
}

extract()
{
	for package in "$rpms"/*/*.rpm; do
		rpm2cpio "$package" >"$tmp/cpio" && mkdir -p "$tmp/root" &&
			(cd "$tmp/root" && cpio --quiet -idm) <"$tmp/cpio" || return
	done
}

# no_run_paths: the loader is told no directories; nothing is linked but libc
no_run_paths()
{
	readelf -d "$tmp/root/usr/bin/lockfile-pid" "$tmp/root/usr/lib64/"*.so.0 >"$tmp/dynamic" &&
		! grep -E 'RPATH|RUNPATH' "$tmp/dynamic" &&
		! grep NEEDED "$tmp/dynamic" | grep -vF -e '[libc.so.6]' -e '[liblockfile-pid.so.0]'
}

why=
[ "$(uname -m)" = x86_64 ] || why='the flags are those of x86_64'
for command in cpio rpm rpm2cpio rpmbuild rpmspec; do
	command -v "$command" >/dev/null || why="$command is missing: see packaging/setup"
done
[ -z "$why" ] || { echo "1..0 # SKIP $why"; exit; }

expect 'the tarball' source_is_there
expect 'the spec file has this version' spec_has_this_version
expect 'the packages build with the flags of Fedora' build
expect 'the tests of the build pass' tests_ran
echo "# the RPM build: ${ran:-no} tests passed"
expect 'the flags were used' has_the_flags
expect 'nothing warns' no_warnings
expect 'the contents are those listed, below lib64' contents_are_as_listed
expect 'the tool requires the library' tool_requires_the_library
expect 'they can be unpacked' extract
expect 'no path for the loader is in them, and no library but libc' no_run_paths
finish
