#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# check-pkgconfig.sh - a program is built with what was installed, and runs

# shellcheck source=tests/tap.sh
. "${top_srcdir:?}/tests/tap.sh"

# make installcheck asks for what is there already
root=
[ "${installed:?}" = yes ] || root=$tmp/root
program=$tmp/program

# Nothing but what was installed there.
pc()
{
	PKG_CONFIG_LIBDIR="$root${pkgconfigdir:?}" PKG_CONFIG_PATH='' \
	PKG_CONFIG_SYSROOT_DIR="$root" \
	PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1 PKG_CONFIG_ALLOW_SYSTEM_LIBS=1 \
		"${PKG_CONFIG:?}" "$@" lockfile-pid
}

# Not the make that runs us: its flags and its other jobs are not for this one.
install()
{
	MAKEFLAGS='' MFLAGS='' "${MAKE:?}" -C "${top_builddir:?}" install DESTDIR="$root"
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

run()
{
	LD_LIBRARY_PATH="$root${libdir:?}" "$program" "$tmp/lock"
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
else
	skip 'a program with the static library' 'it is not built'
fi
finish
