/* SPDX-License-Identifier: BSD-2-Clause */
/* The public functions: arguments, and what needs no contender. */
#include <config.h>

#include "world.h"

#include <errno.h>
#include <limits.h>
#include <lockfile-pid.h>
#include <string.h>
#include <sys/stat.h>

#define PATTERN     ((struct lockfile_pid *)&untouched)
#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

static int untouched;

TEST(null_arguments_are_einval)
{
	struct lockfile_pid *lock = PATTERN;
	pid_t pid = -7;

	ck_assert_int_eq(lockfile_pid_new(NULL, "x.pid"), -EINVAL);
	ck_assert_int_eq(lockfile_pid_new(&lock, NULL), -EINVAL);
	ck_assert_ptr_eq(lock, PATTERN);
	ck_assert_int_eq(lockfile_pid_open(NULL, "x.pid", 0, &pid), -EINVAL);
	ck_assert_int_eq(pid, 0);
	ck_assert_int_eq(lockfile_pid_open(&lock, NULL, 0, NULL), -EINVAL);
	ck_assert_ptr_eq(lock, PATTERN);
	pid = -7;
	ck_assert_int_eq(lockfile_pid_signal(NULL, 0), -EINVAL);
	ck_assert_int_eq(lockfile_pid_holder(NULL), 0);
	ck_assert_int_eq(lockfile_pid_set_mode(NULL, 0644), -EINVAL);
	ck_assert_int_eq(lockfile_pid_set_inheritable(NULL, 1), -EINVAL);
	ck_assert_int_eq(lockfile_pid_set_cluster_locks(NULL, 1), -EINVAL);
	ck_assert_int_eq(lockfile_pid_adopt(NULL), -EINVAL);
	ck_assert_int_eq(lockfile_pid_trylock(NULL), -EINVAL);
	ck_assert_int_eq(lockfile_pid_lock(NULL), -EINVAL);
	ck_assert_int_eq(lockfile_pid_timedlock(NULL, 0), -EINVAL);
	ck_assert_int_eq(lockfile_pid_timedlock(NULL, 1), -EINVAL);
	ck_assert_int_eq(lockfile_pid_timedlock(NULL, -1), -EINVAL);
	ck_assert_int_eq(lockfile_pid_unlock(NULL), -EINVAL);
	ck_assert_int_eq(lockfile_pid_verify(NULL), -EINVAL);
	ck_assert_int_eq(lockfile_pid_check(NULL, &pid), -EINVAL);
	ck_assert_int_eq(pid, -7);
	ck_assert_int_eq(lockfile_pid_fileno(NULL), -EINVAL);
	ck_assert_ptr_null(lockfile_pid_path(NULL));
	lockfile_pid_free(NULL);
}

TEST(check_needs_no_place_for_the_pid)
{
	struct lockfile_pid *lock = new_lock("x.pid");

	ck_assert_int_eq(lockfile_pid_check(lock, NULL), 0);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(lockfile_pid_check(lock, NULL), LOCKFILE_PID_ERR_BUSY);
	lockfile_pid_free(lock);
}

static const char *const not_names[] = {
	"", ".", "..", "/", "//", "a/", "/a/", "a/.", "a/..", "./", "../..", "/.", "/..",
};

TEST_EACH(new_rejects_what_names_no_lock_file, not_names)
{
	struct lockfile_pid *lock = PATTERN;

	ck_assert_int_eq(lockfile_pid_new(&lock, not_names[_i]), -EINVAL);
	ck_assert_ptr_eq(lock, PATTERN);
}

static const char *const reserved_names[] = {
	"x.queue", "x.takeover", ".queue", ".takeover", "a/x.queue", "/a/x.pid.takeover",
};

TEST_EACH(new_tells_a_reserved_name_from_what_names_no_lock_file, reserved_names)
{
	struct lockfile_pid *lock = PATTERN;

	ck_assert_int_eq(lockfile_pid_new(&lock, reserved_names[_i]),
	                 LOCKFILE_PID_ERR_RESERVED_NAME);
	ck_assert_ptr_eq(lock, PATTERN);
}

TEST(strerror_of_a_reserved_name_says_what_to_do)
{
	const char *text = lockfile_pid_strerror(LOCKFILE_PID_ERR_RESERVED_NAME);

	ck_assert_ptr_nonnull(strstr(text, ".queue"));
	ck_assert_ptr_nonnull(strstr(text, ".takeover"));
	ck_assert_ptr_nonnull(strstr(text, "choose another name"));
}

static const char *const names[] = {
	"x",       "...",      " ",
	"\n",      "-n",       "%s",
	".x",      "x.queue2", "x.takeover.pid",
	"x.QUEUE", "queue",    "takeover",
	"./x",     "././/x",   "../%/../x",
};

TEST_EACH(path_is_as_it_was_given, names)
{
	char path[32];
	struct lockfile_pid *lock;

	strcpy(path, names[_i]);
	lock = new_lock(path);
	memset(path, '/', sizeof(path) - 1);
	ck_assert_str_eq(lockfile_pid_path(lock), names[_i]);
	lockfile_pid_free(lock);
}

TEST(unusual_names_can_be_locked)
{
	for (size_t i = 0; i + 1 < ROWS(names); i++) {
		struct lockfile_pid *lock = new_lock(names[i]);

		ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
		assert_content(names[i], "%d\n", getpid());
		ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
		lockfile_pid_free(lock);
	}
}

TEST(the_longest_name_can_be_locked_and_taken_over)
{
	char name[NAME_MAX + 1] = "";
	struct lockfile_pid *lock;

	if (pathconf(".", _PC_NAME_MAX) < NAME_MAX)
		SKIP("no names of such a length here");
	memset(name, 'x', NAME_MAX - strlen(".takeover"));
	lock = new_lock(name);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	write_file(name, "\n");
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	assert_content(name, "%d\n", getpid());
	lockfile_pid_free(lock);
}

TEST(a_name_that_leaves_no_room_for_the_takeover_name_is_too_long)
{
	char path[2 * NAME_MAX] = "some-directory/";
	struct lockfile_pid *lock = PATTERN;

	memset(path + strlen(path), 'x', NAME_MAX - strlen(".takeover") + 1);
	ck_assert_int_eq(lockfile_pid_new(&lock, path), -ENAMETOOLONG);
	ck_assert_int_eq(lockfile_pid_new(&lock, strchr(path, '/') + 1), -ENAMETOOLONG);
	ck_assert_ptr_eq(lock, PATTERN);
}

TEST(new_touches_nothing_and_needs_no_directory)
{
	int descriptors = count_descriptors();
	struct lockfile_pid *here = new_lock("x.pid"), *nowhere = new_lock("no/such/dir/x.pid");

	assert_nothing_left();
	ck_assert_int_eq(count_descriptors(), descriptors);
	lockfile_pid_free(here);
	lockfile_pid_free(nowhere);
}

TEST(a_relative_path_in_a_removed_directory_is_enoent)
{
	struct lockfile_pid *lock = PATTERN;

	ck_assert_int_eq(mkdir("gone", 0755), 0);
	ck_assert_int_eq(chdir("gone"), 0);
	ck_assert_int_eq(rmdir("../gone"), 0);
	ck_assert_int_eq(lockfile_pid_new(&lock, "x.pid"), -ENOENT);
	ck_assert_ptr_eq(lock, PATTERN);
	ck_assert_int_eq(lockfile_pid_new(&lock, "/x.pid"), 0);
	lockfile_pid_free(lock);
	ck_assert_int_eq(chdir(test_dir), 0);
}

static const unsigned int not_modes[] = {
	0,     01,    0177,  0200,  0400,   0444,    0577, 01600,
	01644, 02644, 04644, 07777, 010644, 0100644, ~0U,
};

TEST_EACH(set_mode_rejects, not_modes)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	struct stat st;

	ck_assert_int_eq(lockfile_pid_set_mode(lock, 0600), 0);
	ck_assert_int_eq(lockfile_pid_set_mode(lock, not_modes[_i]), -EINVAL);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(stat("x.pid", &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	lockfile_pid_free(lock);
}

TEST(set_mode_is_busy_while_the_lock_is_held)
{
	struct lockfile_pid *lock = new_lock("x.pid");

	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(lockfile_pid_set_mode(lock, 0600), -EBUSY);
	ck_assert_int_eq(lockfile_pid_set_mode(lock, 01600), -EINVAL);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	ck_assert_int_eq(lockfile_pid_set_mode(lock, 0600), 0);
	lockfile_pid_free(lock);
}

TEST(set_inheritable_is_busy_while_the_lock_is_held)
{
	struct lockfile_pid *lock = new_lock("x.pid");

	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(lockfile_pid_set_inheritable(lock, 1), -EBUSY);
	/* it has no effect, either */
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	ck_assert_int_eq(lockfile_pid_adopt(lock), -EPERM);
	ck_assert_int_eq(lockfile_pid_set_inheritable(lock, 1), 0);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(lockfile_pid_set_inheritable(lock, 0), -EBUSY);
	ck_assert_int_eq(lockfile_pid_set_inheritable(lock, 1), -EBUSY);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	ck_assert_int_eq(lockfile_pid_adopt(lock), LOCKFILE_PID_ERR_ROGUE_DELETION);
	lockfile_pid_free(lock);
}

TEST(set_cluster_locks_is_busy_while_the_lock_is_held)
{
	struct lockfile_pid *lock = new_lock("x.pid");

	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(lockfile_pid_set_cluster_locks(lock, 1), -EBUSY);
	ck_assert_int_eq(lockfile_pid_set_cluster_locks(lock, 0), -EBUSY);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	ck_assert_int_eq(lockfile_pid_set_cluster_locks(lock, 1), 0);
	lockfile_pid_free(lock);
}

TEST(in_line_the_lock_is_neither_set_inheritable_nor_adopted)
{
	struct lockfile_pid *holder = new_lock("x.pid"), *lock = new_lock("x.pid");

	ck_assert_int_eq(lockfile_pid_trylock(holder), 0);
	ck_assert_int_eq(lockfile_pid_wait_begin(lock), LOCKFILE_PID_ERR_BUSY);
	ck_assert_int_eq(lockfile_pid_set_inheritable(lock, 1), -EBUSY);
	ck_assert_int_eq(lockfile_pid_set_cluster_locks(lock, 1), -EBUSY);
	ck_assert_int_eq(lockfile_pid_set_mode(lock, 0600), -EBUSY);
	ck_assert_int_eq(lockfile_pid_adopt(lock), -EINPROGRESS);
	/* it stands there still */
	ck_assert_int_eq(lockfile_pid_wait_continue(lock), LOCKFILE_PID_ERR_BUSY);
	ck_assert_int_eq(lockfile_pid_wait_cancel(lock), 0);
	ck_assert_int_eq(lockfile_pid_adopt(lock), -EPERM);
	lockfile_pid_free(lock);
	lockfile_pid_free(holder);
}

static const int settings[] = { 0, 1, -1 };

/* Of an inheritable lock the holder makes a new file, of which no child has a copy. */
TEST_EACH(adopt_by_the_holder_verifies_or_makes_a_file_of_its_own, settings)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	struct stat before, after;
	int descriptors;

	ck_assert_int_eq(lockfile_pid_set_inheritable(lock, settings[_i]), 0);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(stat("x.pid", &before), 0);
	ck_assert_int_eq(lockfile_pid_adopt(lock), 0);
	ck_assert_int_eq(stat("x.pid", &after), 0);
	ck_assert_int_eq(before.st_ino == after.st_ino, settings[_i] == 0);
	ck_assert_int_eq(lockfile_pid_verify(lock), 0);
	assert_content("x.pid", "%d\n", getpid());
	/* the second time there is nothing left to do */
	descriptors = count_descriptors();
	before = after;
	ck_assert_int_eq(lockfile_pid_adopt(lock), 0);
	ck_assert_int_eq(stat("x.pid", &after), 0);
	ck_assert_uint_eq(before.st_ino, after.st_ino);
	ck_assert_int_eq(count_descriptors(), descriptors);
	ck_assert_int_eq(unlink("x.pid"), 0);
	ck_assert_int_eq(lockfile_pid_adopt(lock), LOCKFILE_PID_ERR_ROGUE_DELETION);
	lockfile_pid_free(lock);
}

TEST_EACH(there_is_nothing_to_adopt_where_nothing_was_ever_held, settings)
{
	struct lockfile_pid *lock = new_lock("no/such/dir/x.pid");
	int expected = settings[_i] ? LOCKFILE_PID_ERR_ROGUE_DELETION : -EPERM;

	ck_assert_int_eq(lockfile_pid_set_inheritable(lock, settings[_i]), 0);
	ck_assert_int_eq(lockfile_pid_adopt(lock), expected);
	ck_assert_int_eq(lockfile_pid_verify(lock), LOCKFILE_PID_ERR_ROGUE_DELETION);
	lockfile_pid_free(lock);
}

static const struct {
	unsigned int mode, mask, expected;
} modes[] = {
	{ 0, 022, 0644 },     { 0, 0, 0644 },       { 0, 077, 0600 },     { 0, 027, 0640 },
	{ 0600, 0, 0600 },    { 0640, 022, 0640 },  { 0660, 0, 0660 },    { 0660, 022, 0640 },
	{ 0666, 0, 0666 },    { 0666, 002, 0664 },  { 0777, 0, 0777 },    { 0777, 027, 0750 },
	{ 0644, 0777, 0600 }, { 0666, 0400, 0666 }, { 0666, 0266, 0600 },
};

static void assert_mode(unsigned int expected)
{
	struct stat st;

	ck_assert_int_eq(stat("x.pid", &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, expected);
}

/* As a new file, and in place of a stale one with another mode. */
TEST_EACH(mode_is_the_one_asked_for_less_the_umask, modes)
{
	struct lockfile_pid *lock = new_lock("x.pid");

	if (modes[_i].mode)
		ck_assert_int_eq(lockfile_pid_set_mode(lock, modes[_i].mode), 0);
	umask(modes[_i].mask);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	assert_mode(modes[_i].expected);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	umask(0);
	write_file("x.pid", "\n");
	umask(modes[_i].mask);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	assert_mode(modes[_i].expected);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	ck_assert_uint_eq(umask(022), modes[_i].mask);
	lockfile_pid_free(lock);
}

static const int own_errors[] = {
	LOCKFILE_PID_ERR_BUSY,          LOCKFILE_PID_ERR_INVALID_PID,
	LOCKFILE_PID_ERR_PROCESS_DEAD,  LOCKFILE_PID_ERR_ROGUE_DELETION,
	LOCKFILE_PID_ERR_RESERVED_NAME,
};

TEST(strerror_has_words_of_its_own_for_each_condition)
{
	for (size_t i = 0; i < ROWS(own_errors); i++)
		for (size_t j = 0; j < i; j++)
			ck_assert_str_ne(lockfile_pid_strerror(own_errors[i]),
			                 lockfile_pid_strerror(own_errors[j]));
}

TEST(strerror_knows_each_errno)
{
	for (int error = 1; error < 134; error++)
		if (strncmp(strerror(error), "Unknown", 7) != 0)
			ck_assert_str_eq(lockfile_pid_strerror(-error), strerror(error));
}

static const int any_error[] = {
	0,     1,     ENOENT, INT_MAX, INT_MIN, INT_MIN + 1, -134,
	-4095, -4096, -10000, -10006,  10001,   -99999,
};

TEST_EACH(strerror_is_never_without_words, any_error)
{
	const char *text = lockfile_pid_strerror(any_error[_i]);

	ck_assert_ptr_nonnull(text);
	ck_assert_str_ne(text, "");
	ck_assert_ptr_eq(lockfile_pid_strerror(any_error[_i]), text);
	for (size_t i = 0; i < ROWS(own_errors); i++)
		ck_assert_str_ne(text, lockfile_pid_strerror(own_errors[i]));
}

TEST(strerror_calls_success_and_what_is_no_error_by_name)
{
	static const int no_errors[] = { 1, ENOENT, INT_MAX, INT_MIN, -4096, -10000 };

	ck_assert_str_eq(lockfile_pid_strerror(0), "success");
	for (size_t i = 0; i < ROWS(no_errors); i++)
		ck_assert_str_eq(lockfile_pid_strerror(no_errors[i]), "unknown error");
}

TEST(version_is_that_of_the_header)
{
	char version[32];

	snprintf(version, sizeof(version), "%d.%d.%d", LOCKFILE_PID_VERSION_MAJOR,
	         LOCKFILE_PID_VERSION_MINOR, LOCKFILE_PID_VERSION_MICRO);
	ck_assert_str_eq(version, LOCKFILE_PID_VERSION);
	ck_assert_str_eq(lockfile_pid_version(), LOCKFILE_PID_VERSION);
}
