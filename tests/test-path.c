/* SPDX-License-Identifier: BSD-2-Clause */
/* No memory for a path, at each of the calls that ask for some. */
#include <config.h>

#include "common.h"

#include <errno.h>
#include <lockfile-pid.h>
#include <stdlib.h>
#include <string.h>

static int failing_call; /* 0: none */

static bool fails(void)
{
	if (failing_call == 0 || --failing_call > 0)
		return false;
	errno = ENOMEM;
	return true;
}

#define WRAP(type, name, parameters, arguments)                             \
	type __real_##name parameters;                                      \
	type __wrap_##name parameters;                                      \
	type __wrap_##name parameters                                       \
	{                                                                   \
		return fails() ? NULL : __real_##name arguments;            \
	}

WRAP(void *, malloc, (size_t size), (size))
WRAP(char *, strdup, (const char *text), (text))
WRAP(char *, strndup, (const char *text, size_t size), (text, size))
WRAP(char *, getcwd, (char *buf, size_t size), (buf, size))

static const struct {
	const char *path;
	int calls; /* of the handle, path as given, absolute path, directory; that of now */
} paths[] = { { "x.pid", 5 }, { "./x.pid", 5 }, { "/x.pid", 4 } };

TEST_EACH(new_without_memory_says_so_and_leaves_nothing, paths)
{
	struct lockfile_pid *lock = NULL;
	int failed = 0, r;

	do {
		failing_call = failed + 1;
		r = lockfile_pid_new(&lock, paths[_i].path);
		failed += r < 0;
		ck_assert(r == 0 || r == -ENOMEM);
		ck_assert_int_eq(lock != NULL, r == 0);
	} while (r < 0);
	failing_call = 0;
	ck_assert_int_eq(failed, paths[_i].calls);
	ck_assert_str_eq(lockfile_pid_path(lock), paths[_i].path);
	lockfile_pid_free(lock);
}
