#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# check-copies.sh - two copies of the library in one process: a program's own, and that of a
# plugin that it loads
#
# Neither copy knows the handles of the other.  What one holds, the other must not take for
# a lock of the program that the process executed before, even if all descriptors were
# closed.

# shellcheck source=tests/tap.sh
. "${top_srcdir:?}/tests/tap.sh"
: "${top_builddir:?}" "${CC:=cc}"

cat >"$tmp/plugin.c" <<'END'
#include <lockfile-pid.h>

int plugin_trylock(const char *path, struct lockfile_pid **ret)
{
	int r = lockfile_pid_new(ret, path);

	return r < 0 ? r : lockfile_pid_trylock(*ret);
}

int plugin_unlock(struct lockfile_pid *lock)
{
	return lockfile_pid_unlock(lock);
}
END

cat >"$tmp/program.c" <<'END'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <lockfile-pid.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PATH "copies.pid"

static int (*plugin_trylock)(const char *, struct lockfile_pid **);
static int (*plugin_unlock)(struct lockfile_pid *);
static struct lockfile_pid *own, *other;

static void load(void)
{
	void *plugin = dlopen("./plugin.so", RTLD_NOW | RTLD_LOCAL);

	if (!plugin)
		_exit(99);
	plugin_trylock = (int (*)(const char *, struct lockfile_pid **))dlsym(plugin, "plugin_trylock");
	plugin_unlock = (int (*)(struct lockfile_pid *))dlsym(plugin, "plugin_unlock");
}

static void close_all(void)
{
	for (int fd = 3; fd < 1024; fd++)
		close(fd);
}

/* Each line is what one copy is told. */
int main(int argc, char **argv)
{
	load();
	if (lockfile_pid_new(&own, PATH) < 0)
		return 99;
	if (argc > 1 && strcmp(argv[1], "plugin") == 0) {
		printf("the former image's lock: plugin %d\n", plugin_trylock(PATH, &other));
		printf("unlock: %d\n", plugin_unlock(other));
		return 0;
	}
	printf("program: trylock %d\n", lockfile_pid_trylock(own));
	if (argc > 1) {
		fflush(stdout);
		execl(argv[0], argv[0], "plugin", (char *)NULL);
		return 99;
	}
	printf("plugin: trylock %d\n", plugin_trylock(PATH, &other));
	close_all();
	printf("without descriptors: verify %d\n", lockfile_pid_verify(own));
	printf("plugin: trylock %d\n", plugin_trylock(PATH, &other));
	printf("program: verify %d\n", lockfile_pid_verify(own));
	printf("program: unlock %d\n", lockfile_pid_unlock(own));
	printf("plugin: trylock %d\n", plugin_trylock(PATH, &other));
	printf("plugin: unlock %d\n", plugin_unlock(other));
	return 0;
}
END

# shellcheck disable=SC2086 # CC may have options
build()
{
	set -- -w -O1 -pthread -D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64 \
		-I"$top_builddir" -I"$top_srcdir/include" -I"$top_srcdir/lib"
	$CC "$@" -fPIC -shared -o "$tmp/plugin.so" \
		-Wl,--version-script="$tmp/plugin.map" "$tmp/plugin.c" "$top_srcdir"/lib/*.c &&
		$CC "$@" -o "$tmp/program" "$tmp/program.c" "$top_srcdir"/lib/*.c -ldl
}

says()
{
	(cd "$tmp" && ./program "$@") >"$tmp/answers"
	diff "$tmp/expected" "$tmp/answers"
}

busy=-10001
echo '{ global: plugin_*; local: *; };' >"$tmp/plugin.map"
touch "$tmp/probe"
if ! setfattr -n user.lockfile_pid -v x "$tmp/probe" 2>/dev/null; then
	skip 'two copies of the library' 'there are no user attributes here, or no setfattr'
	finish
	exit
fi

expect 'a program and a plugin are built, each with its copy' build
cat >"$tmp/expected" <<END
program: trylock 0
plugin: trylock $busy
without descriptors: verify 0
plugin: trylock $busy
program: verify 0
program: unlock 0
plugin: trylock 0
plugin: unlock 0
END
expect 'what one copy holds the other does not take' says
cat >"$tmp/expected" <<END
program: trylock 0
the former image's lock: plugin 0
unlock: 0
END
expect 'what the program before an exec held either copy takes' says exec
finish
