/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Taking a free path by way of PATH.takeover, where a file cannot be made
 * without a name.
 */
#include <config.h>

#include "common.h"
#include "forge.h"
#include "process.h"
#include "steer.h"
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <lockfile-pid.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH     "x.pid"
#define TAKEOVER PATH ".takeover"
#define BUSY     LOCKFILE_PID_ERR_BUSY

/*
 * Moved by a rename that does not replace; where that is not known, over a
 * placeholder.  The call that only one of many can make with success.
 */
#define PLACEHOLDER "sys_openat", 7
/* clang-format off: a row a line */
static const struct {
	int rename_result;
	const char *call;
	int nth;
} ways[] = {
	{ 0, "sys_rename_noreplace", 1 }, { -EINVAL, PLACEHOLDER },     { -ENOSYS, PLACEHOLDER },
	{ -EPERM, PLACEHOLDER },          { -EOPNOTSUPP, PLACEHOLDER },
};
/* clang-format on */

static struct lockfile_pid *begin(int way)
{
	struct lockfile_pid *lock;
	struct owner self;

	steer_reset();
	ck_assert_int_eq(lockfile_pid_new(&lock, PATH), 0);
	process_self(&self);
	steer_reset();
	steer_no_tmpfile(EOPNOTSUPP);
	if (ways[way].rename_result)
		steer_result("sys_rename_noreplace", EVERY, ways[way].rename_result);
	return lock;
}

static void end(struct lockfile_pid *lock)
{
	steer_reset();
	lockfile_pid_free(lock);
	assert_nothing_left();
}

static void (*between)(void);
static int acted;

static void act(void *unused)
{
	(void)unused;
	acted++;
	between();
}

static void do_before(const char *call, int nth, void (*action)(void))
{
	acted = 0;
	between = action;
	steer_before(call, nth, act, NULL);
}

TEST_EACH(free_path_is_taken, ways)
{
	struct lockfile_pid *lock = begin(_i);
	struct stat st;

	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(steer_count(ways[_i].call), ways[_i].nth);
	ck_assert_int_eq(steer_count("sys_rename"), _i > 0);
	assert_content(PATH, "%d\n", (int)getpid());
	ck_assert_str_eq(list_dir("."), PATH " ");
	ck_assert_int_eq(stat(PATH, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0644);
	ck_assert_uint_eq(st.st_nlink, 1);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	end(lock);
}

static mode_t mode_at_work;

static void note_mode(void)
{
	struct stat st;

	ck_assert_int_eq(stat(TAKEOVER, &st), 0);
	mode_at_work = st.st_mode & 07777;
}

TEST_EACH(candidate_is_open_to_nobody_else_while_at_work, ways)
{
	struct lockfile_pid *lock = begin(_i);

	do_before("sys_rename_noreplace", 1, note_mode);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(acted, 1);
	ck_assert_uint_eq(mode_at_work, 0600);
	end(lock);
}

static struct holder other;

static void be_locked_by_another(void)
{
	ck_assert_int_eq(holder_do(&other, "trylock"), 0);
}

TEST_EACH(path_that_another_took_meanwhile_is_kept, ways)
{
	struct lockfile_pid *lock = begin(_i);

	other = holder_start(PATH);
	do_before(ways[_i].call, ways[_i].nth, be_locked_by_another);
	ck_assert_int_eq(lockfile_pid_trylock(lock), BUSY);
	ck_assert_int_eq(acted, 1);
	ck_assert_int_eq(holder_do(&other, "verify"), 0);
	ck_assert_str_eq(list_dir("."), PATH " ");
	holder_end(&other);
	end(lock);
}

static void be_taken_by_an_empty_file(void)
{
	write_file(PATH, "");
}

TEST_EACH(path_that_an_empty_file_took_meanwhile_is_kept, ways)
{
	struct lockfile_pid *lock = begin(_i);

	do_before(ways[_i].call, ways[_i].nth, be_taken_by_an_empty_file);
	ck_assert_int_eq(lockfile_pid_trylock(lock), BUSY);
	ck_assert_int_eq(acted, 1);
	ck_assert_str_eq(read_file(PATH), "");
	ck_assert_int_eq(unlink(PATH), 0);
	end(lock);
}

static void be_taken_and_left(void)
{
	be_locked_by_another();
	holder_kill(&other);
}

/* The right is given up: what is there now may be judged only with a new one. */
TEST_EACH(path_that_another_took_and_left_is_taken_over, ways)
{
	struct lockfile_pid *lock = begin(_i);

	other = holder_start(PATH);
	do_before(ways[_i].call, ways[_i].nth, be_taken_and_left);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(acted, 1);
	assert_content(PATH, "%d\n", (int)getpid());
	end(lock);
}

/* Over a network: it was done, but the answer is that to the second request. */
static void do_it(void)
{
	ck_assert_int_eq(rename(TAKEOVER, PATH), 0);
}

static const struct {
	int way;
	const char *call;
	int result;
} lies[] = {
	{ 0, "sys_rename_noreplace", -EEXIST },
	{ 0, "sys_rename_noreplace", -ENOENT },
	{ 1, "sys_rename", -ENOENT },
};

TEST_EACH(call_that_claims_to_have_failed_has_succeeded, lies)
{
	const char *call = lies[_i].call;
	struct lockfile_pid *lock = begin(lies[_i].way);

	do_before(call, 1, do_it);
	steer_result(call, 1, lies[_i].result);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(steer_count(call), 1);
	ck_assert_int_eq(lockfile_pid_verify(lock), 0);
	ck_assert_str_eq(list_dir("."), PATH " ");
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	end(lock);
}

static const int errors[] = { EIO, ENOSPC, EACCES, EROFS, ENOMEM, EMLINK };

TEST_EACH(failure_leaves_nothing, errors)
{
	for (int way = 0; way < 2; way++) {
		struct lockfile_pid *lock = begin(way);
		int before = count_descriptors();

		steer_result(ways[way].call, ways[way].nth, -errors[_i]);
		ck_assert_int_eq(lockfile_pid_trylock(lock), -errors[_i]);
		ck_assert_int_eq(count_descriptors(), before);
		end(lock);
	}
}

/* The placeholder. */

static void find_it_busy(void)
{
	struct lockfile_pid *lock;
	pid_t pid = -1;

	ck_assert_str_eq(list_dir("."), PATH " " TAKEOVER " ");
	assert_content(PATH, "%s", "");
	ck_assert_int_eq(lockfile_pid_new(&lock, PATH), 0);
	ck_assert_int_eq(lockfile_pid_check(lock, &pid), BUSY);
	ck_assert_int_eq(lockfile_pid_trylock(lock), BUSY);
	lockfile_pid_free(lock);
}

TEST(placeholder_is_busy_for_others)
{
	struct lockfile_pid *lock = begin(1);

	do_before("sys_rename", 1, find_it_busy);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(acted, 1);
	end(lock);
}

/* Old enough for a file that nobody will fill. */
static void age_it(void)
{
	forge_mtime(PATH, -10);
	other = holder_start(PATH);
	ck_assert_int_eq(holder_do(&other, "trylock"), BUSY);
	holder_end(&other);
}

TEST(placeholder_of_a_slow_process_is_kept_by_its_right)
{
	struct lockfile_pid *lock = begin(1);

	do_before("sys_rename", 1, age_it);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(acted, 1);
	end(lock);
}

TEST_EACH(failure_to_fill_the_placeholder_removes_it, errors)
{
	struct lockfile_pid *lock = begin(1);

	steer_result("sys_rename", 1, -errors[_i]);
	ck_assert_int_eq(lockfile_pid_trylock(lock), -errors[_i]);
	end(lock);
}

static const char *const looks[] = { "sys_fstat", "sys_fstatat" };
static const char *failing_look;

static void fail_the_look(void)
{
	steer_result(failing_look, 1, -EIO);
}

TEST_EACH(failure_to_look_at_the_placeholder_removes_it, looks)
{
	struct lockfile_pid *lock = begin(1);

	failing_look = looks[_i];
	acted = 0;
	between = fail_the_look;
	steer_after(PLACEHOLDER, act, NULL);
	ck_assert_int_eq(lockfile_pid_trylock(lock), -EIO);
	ck_assert_int_eq(acted, 1);
	end(lock);
}

/* After a crash others must be able to tell what it is. */
static void note_mode_of_placeholder(void)
{
	struct stat st;

	ck_assert_int_eq(stat(PATH, &st), 0);
	mode_at_work = st.st_mode & 07777;
}

TEST(placeholder_has_the_mode_of_the_lock_file)
{
	struct lockfile_pid *lock = begin(1);

	umask(0);
	ck_assert_int_eq(lockfile_pid_set_mode(lock, 0664), 0);
	do_before("sys_rename", 1, note_mode_of_placeholder);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(acted, 1);
	ck_assert_uint_eq(mode_at_work, 0664);
	end(lock);
}

static void replace_placeholder(void)
{
	ck_assert_int_eq(unlink(PATH), 0);
	forge_foreign(PATH, 1);
}

/* What is put in the place of the placeholder as soon as that is made. */
static void assert_kept(void (*replace)(void), const char *content)
{
	struct lockfile_pid *lock = begin(1);

	acted = 0;
	between = replace;
	steer_after(PLACEHOLDER, act, NULL);
	ck_assert_int_eq(lockfile_pid_trylock(lock), BUSY);
	ck_assert_int_eq(acted, 1);
	ck_assert_str_eq(read_file(PATH), content);
	ck_assert_int_eq(unlink(PATH), 0);
	end(lock);
}

/* By hand. */
TEST(what_replaced_the_placeholder_is_kept)
{
	assert_kept(replace_placeholder, "1\n");
}

static void replace_placeholder_at_the_look(void)
{
	do_before("sys_fstatat", 1, replace_placeholder);
}

/* When it was closed: the inode number may be the same. */
TEST(what_replaced_the_placeholder_before_the_look_is_kept)
{
	assert_kept(replace_placeholder_at_the_look, "1\n");
}

/* Of another number: the old one is in use until the new one is there. */
static void replace_placeholder_by_empty_file(void)
{
	write_file(PATH ".new", "");
	ck_assert_int_eq(rename(PATH ".new", PATH), 0);
}

TEST(empty_file_that_replaced_the_placeholder_is_kept)
{
	assert_kept(replace_placeholder_by_empty_file, "");
}

static void remove_placeholder(void)
{
	ck_assert_int_eq(unlink(PATH), 0);
}

TEST(placeholder_that_was_removed_is_made_anew)
{
	struct lockfile_pid *lock = begin(1);

	acted = 0;
	between = remove_placeholder;
	steer_after(PLACEHOLDER, act, NULL);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(acted, 1);
	ck_assert_int_eq(lockfile_pid_verify(lock), 0);
	end(lock);
}

TEST(what_replaced_the_placeholder_is_kept_when_it_cannot_be_filled)
{
	struct lockfile_pid *lock = begin(1);

	do_before("sys_rename", 1, replace_placeholder);
	steer_result("sys_rename", 1, -EIO);
	ck_assert_int_eq(lockfile_pid_trylock(lock), -EIO);
	ck_assert_int_eq(acted, 1);
	assert_content(PATH, "1\n");
	ck_assert_int_eq(unlink(PATH), 0);
	end(lock);
}

static void die(void)
{
	kill(getpid(), SIGKILL);
}

static void lock_and_die(void *lock)
{
	do_before("sys_rename", 1, die);
	_exit(lockfile_pid_trylock(lock) + 1);
}

TEST(placeholder_of_a_crash_is_replaced)
{
	struct lockfile_pid *lock = begin(1);

	ck_assert_int_eq(in_child(lock_and_die, lock), 128 + SIGKILL);
	ck_assert_str_eq(list_dir("."), PATH " " TAKEOVER " ");
	ck_assert_int_eq(lockfile_pid_trylock(lock), BUSY);
	forge_mtime(PATH, -1);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_str_eq(list_dir("."), PATH " ");
	end(lock);
}

static void lose_the_name(void)
{
	ck_assert_int_eq(unlink(TAKEOVER), 0);
}

/* By hand. */
TEST_EACH(candidate_whose_name_was_removed_is_made_anew, ways)
{
	struct lockfile_pid *lock = begin(_i);

	do_before(ways[_i].call, ways[_i].nth, lose_the_name);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(acted, 1);
	ck_assert_int_eq(lockfile_pid_verify(lock), 0);
	end(lock);
}
