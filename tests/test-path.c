/* SPDX-License-Identifier: BSD-2-Clause */
/* No memory for a path, at each of the calls that ask for some; and what a name leads to. */
#include <config.h>

#include "common.h"
#include "path.h"
#include "steer.h"

#include <errno.h>
#include <fcntl.h>
#include <lockfile-pid.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int failing_call; /* 0: none */
static bool in_call;     /* whose own calls are wrapped too where the C library is static */

static bool fails(void)
{
	if (in_call || failing_call == 0 || --failing_call > 0)
		return false;
	errno = ENOMEM;
	return true;
}

#define WRAP(type, name, parameters, arguments)  \
	type __real_##name parameters;           \
	type __wrap_##name parameters;           \
	type __wrap_##name parameters            \
	{                                        \
		bool is_inner = in_call;         \
		type value;                      \
                                                 \
		if (fails())                     \
			return NULL;             \
		in_call = true;                  \
		value = __real_##name arguments; \
		in_call = is_inner;              \
		return value;                    \
	}

WRAP(void *, malloc, (size_t size), (size))
WRAP(void *, calloc, (size_t count, size_t size), (count, size)) /* what gcc may make of it */
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

/* What a name leads to. */

#define NAME "x.pid"

static struct stat make(void)
{
	struct stat st;

	steer_reset();
	write_file(NAME, "");
	ck_assert_int_eq(stat(NAME, &st), 0);
	return st;
}

TEST(name_leads_to_one_inode_of_one_device)
{
	struct stat st = make();

	ck_assert_int_eq(path_leads_to(AT_FDCWD, NAME, st.st_dev, st.st_ino), 1);
	ck_assert_int_eq(path_leads_to(AT_FDCWD, NAME, st.st_dev, st.st_ino + 1), 0);
	ck_assert_int_eq(path_leads_to(AT_FDCWD, NAME, st.st_dev + 1, st.st_ino), 0);
	unlink(NAME);
	ck_assert_int_eq(path_leads_to(AT_FDCWD, NAME, st.st_dev, st.st_ino), 0);
}

static const struct {
	int error, result;
} looks[] = {
	{ ENOENT, 0 }, { ESTALE, 0 }, { EIO, -EIO }, { EACCES, -EACCES }, { ENOTDIR, -ENOTDIR }
};

TEST_EACH(what_was_removed_is_not_there_and_what_cannot_be_seen_may_be, looks)
{
	struct stat st = make();

	steer_result("sys_fstatat", 1, -looks[_i].error);
	ck_assert_int_eq(path_leads_to(AT_FDCWD, NAME, st.st_dev, st.st_ino), looks[_i].result);
	steer_reset();
	unlink(NAME);
}

TEST(link_is_not_followed)
{
	struct stat st = make();

	ck_assert_int_eq(symlink(NAME, "link"), 0);
	ck_assert_int_eq(path_leads_to(AT_FDCWD, "link", st.st_dev, st.st_ino), 0);
	unlink("link");
	unlink(NAME);
}
