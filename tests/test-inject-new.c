/* SPDX-License-Identifier: BSD-2-Clause */
/* Failing calls of what makes a handle, and of a process's first look at who it is. */
#include <config.h>

#include "inject.h"
#include "memory.h"
#include "outcome.h"
#include "steer.h"

#include <errno.h>
#include <lockfile-pid.h>

static int make(const char *path)
{
	return lockfile_pid_new(&lock, path);
}

static int make_relative(void)
{
	return make(SCENE_PATH);
}

static char absolute_path[512];

static void tell_directory(void)
{
	char cwd[400];

	ck_assert_ptr_nonnull(getcwd(cwd, sizeof(cwd)));
	snprintf(absolute_path, sizeof(absolute_path), "%s/" SCENE_PATH, cwd);
}

static int make_absolute(void)
{
	return make(absolute_path);
}

static int open_free(void)
{
	return lockfile_pid_open(&lock, SCENE_PATH, LOCKFILE_PID_INHERITABLE, NULL);
}

static void opened(int r)
{
	assert_so((lock != NULL) == (r == 0));
	if (r < 0)
		assert_so(memory_count() == 0);
	if (r == 0)
		assert_so(lockfile_pid_verify(lock) == 0 && lockfile_pid_unlock(lock) == 0);
	if (r < 0)
		ck_assert_int_eq(lockfile_pid_new(&lock, SCENE_PATH), 0);
	outcome_settled();
}

/* Nothing is kept of what was not made; and it can be made then. */
static void made(int r)
{
	assert_so((lock != NULL) == (r == 0));
	if (r < 0) {
		assert_so(memory_count() == 0);
		ck_assert_int_eq(lockfile_pid_new(&lock, SCENE_PATH), 0);
	}
	outcome_settled();
}

/* clang-format off: a row a line */
static const struct operation operations[] = {
	{ .name = "relative",
	  .function = "new",
	  .act = make_relative,
	  .judge = made,
	  .in_child = true,
	  .from_scratch = true },
	{ .name = "absolute",
	  .function = "new",
	  .prepare = tell_directory,
	  .act = make_absolute,
	  .judge = made,
	  .in_child = true,
	  .from_scratch = true },
	{ .name = "open",
	  .function = "open",
	  .act = open_free,
	  .judge = opened,
	  .in_child = true,
	  .from_scratch = true },
};
/* clang-format on */

INJECT_EACH(failing_new_keeps_the_promises, operations)

/* What a full table does to the look at who we are, at the first use. */
static const struct {
	const char *call;
	int nth, error;
} first_looks[] = {
	{ "sys_readlinkat", 1, ENOMEM },   { "sys_readlinkat", 2, ENOMEM },
	{ "sys_readlinkat", 3, ENOMEM },   { "sys_readlinkat", 4, ENOMEM },
	{ "sys_openat", 1, EMFILE },       { "sys_openat", 1, ENFILE },
	{ "sys_openat", 2, EMFILE },       { "sys_openat", 2, ENOMEM },
	{ "sys_pread", 1, ENOMEM },        { "sys_pread", 2, ENOMEM },
	{ "sys_pidfd_open", 1, EMFILE },   { "sys_pidfd_open", 1, ENOMEM },
	{ "sys_fstatfs_type", 1, ENOMEM }, { "sys_fstat", 1, ENOMEM },
	{ "sys_getrandom", 1, EAGAIN },
};

/* Held without a descriptor, by what the attribute says alone. */
static void lock_for_the_first_time(void *argument)
{
	int row = *(int *)argument, r;

	steer_result(first_looks[row].call, first_looks[row].nth, -first_looks[row].error);
	r = lockfile_pid_trylock(lock);
	steer_reset();
	if (r < 0)
		r = lockfile_pid_trylock(lock);
	REQUIRE(r == 0);
	close(lockfile_pid_fileno(lock));
	REQUIRE(scene_rival_tries() == LOCKFILE_PID_ERR_BUSY);
	REQUIRE(lockfile_pid_unlock(lock) == 0);
}

TEST_EACH(a_failing_first_look_at_who_we_are_has_no_lasting_effect, first_looks)
{
	scene_begin();
	lock = new_lock(SCENE_PATH);
	ck_assert_int_eq(in_child(lock_for_the_first_time, &_i), 0);
	lockfile_pid_free(lock);
	scene_end();
}
