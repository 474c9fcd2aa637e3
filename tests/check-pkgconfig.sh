#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# check-pkgconfig.sh - a program is built with what was installed, and runs
#
# By a compiler, and by projects of CMake and of Meson; all ask pkg-config.  make distcheck
# installs the library in lib64.

# shellcheck source=tests/tap.sh
. "${top_srcdir:?}/tests/tap.sh"

# make installcheck asks for what is there already
root=
[ "${installed:?}" = yes ] || root=$tmp/root
program=$tmp/program

# with_pc COMMAND...: run it; pkg-config knows nothing but what was installed there
with_pc()
{
	PKG_CONFIG_LIBDIR="$root${pkgconfigdir:?}" PKG_CONFIG_PATH='' \
	PKG_CONFIG_SYSROOT_DIR="$root" \
	PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1 PKG_CONFIG_ALLOW_SYSTEM_LIBS=1 \
		"$@"
}

pc()
{
	with_pc "${PKG_CONFIG:?}" "$@" lockfile-pid
}

# Not the make that runs us: its flags and its other jobs are not for this one.
install()
{
	MAKEFLAGS='' MFLAGS='' "${MAKE:?}" -C "${top_builddir:?}" install DESTDIR="$root"
}

uninstall()
{
	MAKEFLAGS='' MFLAGS='' "$MAKE" -C "$top_builddir" uninstall DESTDIR="$root"
}

nothing_is_left()
{
	find "$root" ! -type d >"$tmp/left"
	cat "$tmp/left"
	[ ! -s "$tmp/left" ]
}

version()
{
	[ "$(pc --modversion)" = "${VERSION:?}" ]
}

# build LIBS...
# shellcheck disable=SC2046,SC2086 # flags are lists of words
build()
{
	${CC:?} ${CFLAGS?} $(pc --cflags) -o "$program" "$program.c" ${LDFLAGS?} "$@"
}

# is_linked: the program asks for the shared library
is_linked()
{
	readelf -d "$program" | grep -F '[liblockfile-pid.so.0]'
}

is_not_linked()
{
	! is_linked
}

# hides_internals: the static library defines nothing but what the header declares
hides_internals()
{
	nm -g --defined-only "$root${libdir:?}/liblockfile-pid.a" |
		awk 'NF == 3 { print $3 }' | sort >"$tmp/defined"
	[ -s "$tmp/defined" ] && ! grep -v '^lockfile_pid_' "$tmp/defined"
}

# links_statically: the C library is there for it, and the sanitizers allow it
# shellcheck disable=SC2086 # flags are lists of words
links_statically()
{
	echo 'int main(void) { return 0; }' >"$tmp/static.c" &&
		$CC $CFLAGS -o "$tmp/static" "$tmp/static.c" $LDFLAGS -static >"$tmp/said" 2>&1
}

# with_our_names: the program has functions of all names that the library has inside
# shellcheck disable=SC2046
with_our_names()
{
	nm "$root$libdir/liblockfile-pid.a" | awk '$2 == "t" && $3 ~ /^[a-z_0-9]+$/ { print $3 }' |
		sort -u | sed 's/.*/void &(void); void &(void) {}/' >"$tmp/names.c"
	[ -s "$tmp/names.c" ] || return
	cat "$tmp/names.c" >>"$program.c" && build $(pc --static --libs) -fno-builtin -static && run
}

# An example of the tree, with all that a daemon calls
# shellcheck disable=SC2046,SC2086
daemon_is_static()
{
	$CC $CFLAGS $(pc --cflags) -o "$tmp/daemon" "$top_srcdir/examples/daemon.c" $LDFLAGS \
		$(pc --static --libs) -static || return
	! readelf -d "$tmp/daemon" | grep NEEDED || return
	"$tmp/daemon"
	[ $? -eq 2 ] # it wants a path
}

run()
{
	LD_LIBRARY_PATH="$root${libdir:?}" "$program" "$tmp/lock"
}

cmake_builds()
{
	program=$tmp/cmake/program
	cat >"$tmp/CMakeLists.txt" <<-END
		cmake_minimum_required(VERSION 3.16)
		project(program C)
		find_package(PkgConfig REQUIRED)
		pkg_check_modules(LOCKFILE_PID REQUIRED IMPORTED_TARGET lockfile-pid=$VERSION)
		add_executable(program program.c)
		target_link_libraries(program PkgConfig::LOCKFILE_PID)
	END
	with_pc cmake -G 'Unix Makefiles' -S "$tmp" -B "$tmp/cmake" &&
		MAKEFLAGS='' MFLAGS='' cmake --build "$tmp/cmake"
}

meson_builds()
{
	program=$tmp/meson/program
	cat >"$tmp/meson.build" <<-END
		project('program', 'c')
		lockfile_pid = dependency('lockfile-pid', version: '$VERSION')
		executable('program', 'program.c', dependencies: lockfile_pid)
	END
	with_pc meson setup "$tmp/meson" "$tmp" && meson compile -C "$tmp/meson"
}

cat >"$program.c" <<EOF
#include <lockfile-pid.h>
#include <string.h>

int main(int argc, char **argv)
{
	struct lockfile_pid *lock;

	if (argc != 2 || strcmp(lockfile_pid_version(), LOCKFILE_PID_VERSION) != 0)
		return 2;
	if (lockfile_pid_new(&lock, argv[1]) < 0 || lockfile_pid_trylock(lock) < 0)
		return 3;
	lockfile_pid_must_unlock(lock);
	lockfile_pid_free(lock);
	return 0;
}
EOF

[ "$installed" = yes ] || expect 'make install DESTDIR' install
expect 'pkg-config knows the version' version
# shellcheck disable=SC2046 # flags are lists of words
if [ -e "$root$libdir/liblockfile-pid.so" ]; then
	expect 'a program builds with the shared library' build $(pc --libs)
	expect 'it is linked with the shared library' is_linked
	expect 'it runs' run
else
	skip 'a program with the shared library' 'it is not built'
fi
# shellcheck disable=SC2046
if [ -e "$root$libdir/liblockfile-pid.a" ]; then
	expect 'a program builds with the static library' \
		build -Wl,-Bstatic $(pc --static --libs) -Wl,-Bdynamic
	expect 'it is not linked with the shared library' is_not_linked
	expect 'it runs without it' run
	expect 'the static library hides what is internal' hides_internals
	if links_statically; then
		expect 'examples/daemon.c is linked statically' daemon_is_static
		expect 'a static program may have functions of the same names' with_our_names
	else
		skip 'programs that are linked statically' "$CC $CFLAGS cannot link with -static"
	fi
else
	skip 'a program with the static library' 'it is not built'
fi
for tool in cmake meson; do
	if ! command -v "$tool" >/dev/null; then
		skip "a project of $tool builds" "$tool is missing"
		continue
	fi
	expect "a project of $tool builds with it" "${tool}_builds"
	expect 'its program runs' run
done
if [ "$installed" != yes ]; then
	expect 'make uninstall DESTDIR' uninstall
	expect 'no file is left' nothing_is_left
fi
finish
