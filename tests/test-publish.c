/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Taking a free path by way of PATH.takeover, where a file cannot be made
 * without a name.
 */
#include <config.h>

#include "common.h"
#include "process.h"
#include "steer.h"
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <lockfile-pid.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH "x.pid"
#define TAKEOVER PATH ".takeover"
#define BUSY LOCKFILE_PID_ERR_BUSY

/* Moved by a rename that does not replace; where that is not known, by a link. */
static const struct {
	int rename_result;
	const char *last_call;
} ways[] = {
	{ 0, "sys_rename_noreplace" },
	{ -EINVAL, "sys_linkat" },
	{ -ENOSYS, "sys_linkat" },
	{ -EPERM, "sys_linkat" },
};

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
	ck_assert_int_eq(steer_count(ways[_i].last_call), 1);
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

	do_before("sys_fchmod", 1, note_mode);
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
	do_before(ways[_i].last_call, 1, be_locked_by_another);
	ck_assert_int_eq(lockfile_pid_trylock(lock), BUSY);
	ck_assert_int_eq(acted, 1);
	ck_assert_int_eq(holder_do(&other, "verify"), 0);
	ck_assert_str_eq(list_dir("."), PATH " ");
	holder_end(&other);
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
	do_before(ways[_i].last_call, 1, be_taken_and_left);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(acted, 1);
	assert_content(PATH, "%d\n", (int)getpid());
	end(lock);
}

/* Over a network: it was done, but the answer is that to the second request. */
static void do_it(void)
{
	if (steer_count("sys_linkat") > 0)
		ck_assert_int_eq(link(TAKEOVER, PATH), 0);
	else
		ck_assert_int_eq(rename(TAKEOVER, PATH), 0);
}

static const struct {
	int way, result;
} lies[] = { { 0, -EEXIST }, { 0, -ENOENT }, { 1, -EEXIST } };

TEST_EACH(call_that_claims_to_have_failed_has_succeeded, lies)
{
	const char *call = ways[lies[_i].way].last_call;
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

		steer_result(ways[way].last_call, 1, -errors[_i]);
		ck_assert_int_eq(lockfile_pid_trylock(lock), -errors[_i]);
		ck_assert_int_eq(count_descriptors(), before);
		end(lock);
	}
}

static void assert_locked_at_both_names(void)
{
	int fd = open(PATH, O_RDONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(sys_is_write_locked(fd), 1);
	close(fd);
	ck_assert(exists(TAKEOVER));
}

TEST(linked_file_keeps_its_lock_while_it_has_two_names)
{
	struct lockfile_pid *lock = begin(1);

	do_before("sys_unlinkat", 1, assert_locked_at_both_names);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(acted, 1);
	end(lock);
}

/* It died there: the next one finds a stale file and a leftover, which are one. */
TEST(crash_with_two_names_is_cleared)
{
	struct lockfile_pid *lock = begin(1);

	other = holder_start(PATH);
	ck_assert_int_eq(holder_do(&other, "trylock"), 0);
	holder_kill(&other);
	ck_assert_int_eq(link(PATH, TAKEOVER), 0);
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

	do_before(ways[_i].last_call, 1, lose_the_name);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(acted, 1);
	ck_assert_int_eq(lockfile_pid_verify(lock), 0);
	end(lock);
}
