/* SPDX-License-Identifier: BSD-2-Clause */
/* Errors by decree, which a test cannot bring about here. */
#include <config.h>

#include "steer.h"
#include "ways.h"

#include <errno.h>
#include <fcntl.h>
#include <lockfile-pid.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

static const struct {
	const char *call;
	long long result;
	int error;
} decrees[] = {
	{ "sys_openat", -EMFILE, EMFILE },     { "sys_openat", -ENFILE, ENFILE },
	{ "sys_openat", -ENOMEM, ENOMEM },     { "sys_openat", -EIO, EIO },
	{ "sys_openat", -EINTR, EINTR },       { "sys_pwrite", -ENOSPC, ENOSPC },
	{ "sys_pwrite", -EDQUOT, EDQUOT },     { "sys_pwrite", -EIO, EIO },
	{ "sys_pwrite", 0, ENOSPC },           { "sys_pwrite", 2, ENOSPC },
	{ "sys_fsetxattr", -ENOSPC, ENOSPC },  { "sys_fsetxattr", -EDQUOT, EDQUOT },
	{ "sys_fsetxattr", -EIO, EIO },        { "sys_fsetxattr", -ENOMEM, ENOMEM },
	{ "sys_write_lock", -ENOLCK, ENOLCK }, { "sys_write_lock", -ENOTSUP, ENOTSUP },
	{ "sys_link_fd", -EDQUOT, EDQUOT },    { "sys_link_fd", -ENOSPC, ENOSPC },
	{ "sys_link_fd", -EIO, EIO },          { "sys_link_fd", -ENOMEM, ENOMEM },
	{ "sys_rename_noreplace", -EIO, EIO }, { "sys_rename_noreplace", -ENOSPC, ENOSPC },
	{ "sys_rename", -EIO, EIO },           { "sys_rename", -EDQUOT, EDQUOT },
};

/* Not every way makes every call; then nothing fails. */
static void assert_decreed(int row, const char *left)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	int descriptors = count_descriptors(), r;

	r = lockfile_pid_trylock(lock);
	if (steer_count(decrees[row].call) == 0) {
		ck_assert_int_eq(r, 0);
	} else {
		ck_assert_int_eq(r, -decrees[row].error);
		ck_assert_int_eq(lockfile_pid_verify(lock), LOCKFILE_PID_ERR_ROGUE_DELETION);
		/* without the kernel lock nobody may remove this name, its maker neither */
		if (decrees[row].error == ENOLCK)
			unlink("x.pid.takeover");
		ck_assert_str_eq(list_dir("."), left);
		ck_assert_int_eq(count_descriptors(), descriptors);
	}
	lockfile_pid_free(lock);
	unlink("x.pid");
}

static void decree(int row, int way)
{
	set_way(way);
	steer_result(decrees[row].call, EVERY, decrees[row].result);
}

TEST_EACH(an_error_on_the_way_to_a_free_lock_is_told_and_leaves_nothing, decrees)
{
	for (int way = 0; way < 2; way++) {
		decree(_i, way);
		assert_decreed(_i, "");
	}
	steer_reset();
}

TEST_EACH(an_error_on_the_way_to_a_stale_lock_is_told_and_leaves_it, decrees)
{
	for (int way = 0; way < 2; way++) {
		write_stale("x.pid");
		decree(_i, way);
		assert_decreed(_i, "x.pid ");
	}
	steer_reset();
}

TEST_EACH(a_held_lock_beats_what_keeps_us_from_locking, decrees)
{
	struct holder holder = holder_start("x.pid");
	struct lockfile_pid *lock = new_lock("x.pid");

	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	for (int way = 0; way < 2; way++) {
		set_way(way);
		/* the second open is that of the candidate; the others are to look */
		steer_result(decrees[_i].call,
		             strcmp(decrees[_i].call, "sys_openat") == 0 ? 2 : EVERY,
		             decrees[_i].result);
		ck_assert_int_eq(lockfile_pid_trylock(lock), LOCKFILE_PID_ERR_BUSY);
	}
	steer_reset();
	ck_assert_int_eq(holder_do(&holder, "verify"), 0);
	holder_end(&holder);
	lockfile_pid_free(lock);
}

static const struct {
	const char *call;
	int error;
} unreadable[] = {
	{ "sys_pread", EIO },
	{ "sys_pread", ENOMEM },
	{ "sys_fgetxattr", EIO },
	{ "sys_fgetxattr", ENOMEM },
};

TEST_EACH(a_held_lock_beats_what_keeps_us_from_reading_it, unreadable)
{
	struct holder holder = holder_start("x.pid");
	struct lockfile_pid *lock = new_lock("x.pid");

	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	steer_reset();
	steer_result(unreadable[_i].call, EVERY, -unreadable[_i].error);
	ck_assert_int_eq(lockfile_pid_trylock(lock), LOCKFILE_PID_ERR_BUSY);
	steer_reset();
	holder_end(&holder);
	lockfile_pid_free(lock);
}

TEST_BOTH_WAYS(without_user_attributes_it_goes_on_without)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	struct holder holder = holder_start("x.pid");

	set_way(_i);
	steer_result("sys_fsetxattr", EVERY, -EOPNOTSUPP);
	steer_result("sys_fgetxattr", EVERY, -EOPNOTSUPP);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(lockfile_pid_verify(lock), 0);
	ck_assert_int_eq(holder_do(&holder, "trylock"), LOCKFILE_PID_ERR_BUSY);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	write_stale("x.pid");
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	steer_reset();
	holder_end(&holder);
	lockfile_pid_free(lock);
}

TEST_BOTH_WAYS(without_kernel_locks_of_our_kind_it_is_enotsup)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	pid_t pid;

	set_way(_i);
	steer_result("sys_write_lock", EVERY, -ENOTSUP);
	steer_result("sys_is_write_locked", EVERY, -ENOTSUP);
	ck_assert_int_eq(lockfile_pid_trylock(lock), -ENOTSUP);
	ck_assert_int_eq(lockfile_pid_lock(lock), -ENOTSUP);
	assert_nothing_left();
	write_stale("x.pid");
	ck_assert_int_eq(lockfile_pid_trylock(lock), -ENOTSUP);
	ck_assert_int_eq(lockfile_pid_check(lock, &pid), -ENOTSUP);
	ck_assert_str_eq(list_dir("."), "x.pid ");
	ck_assert_int_eq(unlink("x.pid"), 0);
	steer_reset();
	lockfile_pid_free(lock);
}

/* If no file can be made, a wait could only end in an error. */

static const struct {
	int answer, expected;
} answers[] = {
	{ -EACCES, -EACCES },
	{ -EROFS, -EROFS },
	/* what the question itself may meet does not count */
	{ -EPERM, -ETIMEDOUT },
	{ -EIO, -ETIMEDOUT },
	{ -ENOSYS, -ETIMEDOUT },
};

TEST_EACH(a_waiter_that_can_never_succeed_is_told_at_once, answers)
{
	struct holder holder = holder_start("x.pid");
	struct lockfile_pid *lock = new_lock("x.pid");
	int descriptors = count_descriptors(), expected = answers[_i].expected, r;

	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	steer_reset();
	steer_quick_waits();
	steer_result("sys_may_write", EVERY, answers[_i].answer);
	ck_assert_int_eq(lockfile_pid_timedlock(lock, 20), expected);
	ck_assert_int_eq(lockfile_pid_holder(lock), holder.pid);
	if (expected != -ETIMEDOUT)
		ck_assert_int_eq(lockfile_pid_lock(lock), expected);
	r = lockfile_pid_wait_begin(lock);
	ck_assert_int_eq(r, expected == -ETIMEDOUT ? LOCKFILE_PID_ERR_BUSY : expected);
	ck_assert_int_eq(lockfile_pid_wait_cancel(lock), 0);
	ck_assert_int_eq(lockfile_pid_timedlock(lock, 0), LOCKFILE_PID_ERR_BUSY);
	ck_assert_int_eq(lockfile_pid_trylock(lock), LOCKFILE_PID_ERR_BUSY);
	ck_assert_int_eq(count_descriptors(), descriptors);
	ck_assert_str_eq(list_dir("."), "x.pid ");
	steer_reset();
	holder_end(&holder);
	/* what is free is taken, whatever the answer would be */
	steer_result("sys_may_write", EVERY, answers[_i].answer);
	ck_assert_int_eq(lockfile_pid_lock(lock), 0);
	steer_reset();
	lockfile_pid_free(lock);
}

/* PATH.takeover */

TEST_BOTH_WAYS(a_takeover_name_that_is_somebody_elses_is_eexist)
{
	set_way(_i);
	ck_assert_int_eq(mkdir("x.pid.takeover", 0755), 0);
	write_stale("x.pid");
	ck_assert_int_eq(trylock("x.pid"), -EEXIST);
	ck_assert_str_eq(list_dir("."), "x.pid x.pid.takeover ");
	ck_assert_int_eq(rmdir("x.pid.takeover"), 0);
	ck_assert_int_eq(trylock("x.pid"), 0);
	assert_nothing_left();
	steer_reset();
}

/* Another has the right to replace: a lock file that it is about to move. */
static void be_taker(void *ready)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = open("x.pid.takeover", O_CREAT | O_RDWR | O_CLOEXEC, 0600);

	REQUIRE(fcntl(fd, F_OFD_SETLK, &whole) == 0);
	REQUIRE(write(*(int *)ready, "", 1) == 1);
	for (;;)
		pause();
}

static pid_t start_taker(void)
{
	int ready[2];
	char byte;
	pid_t pid;

	ck_assert_int_eq(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0)
		be_taker(&ready[1]);
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

TEST_BOTH_WAYS(a_stale_lock_that_another_is_taking_over_is_busy)
{
	pid_t taker = start_taker();

	set_way(_i);
	write_stale("x.pid");
	ck_assert_int_eq(trylock("x.pid"), LOCKFILE_PID_ERR_BUSY);
	ck_assert_str_eq(list_dir("."), "x.pid x.pid.takeover ");
	kill_child(taker);
	ck_assert_int_eq(trylock("x.pid"), 0);
	assert_nothing_left();
	steer_reset();
}

TEST_BOTH_WAYS(unlock_without_descriptor_is_eagain_while_another_keeps_the_right)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	pid_t taker;

	set_way(_i);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(close(lockfile_pid_fileno(lock)), 0);
	taker = start_taker();
	steer_result("sys_poll", EVERY, 0); /* the second is over at once */
	ck_assert_int_eq(lockfile_pid_unlock(lock), -EAGAIN);
	steer_reset();
	ck_assert_int_eq(lockfile_pid_verify(lock), 0);
	kill_child(taker);
	set_way(_i);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	assert_nothing_left();
	lockfile_pid_free(lock);
	steer_reset();
}

/* Signals. */

static volatile sig_atomic_t handled;

static void handle(int number)
{
	(void)number;
	handled++;
}

static void raise_signal(void *argument)
{
	(void)argument;
	raise(SIGUSR1);
}

static const char *const moments[] = {
	"sys_mkfifoat", "sys_lock_byte",       "sys_epoll_add",  "sys_fstatat",
	"sys_pread",    "sys_is_write_locked", "sys_pidfd_open",
};

static void raise_later(void *moment)
{
	steer_before(moment, 1, raise_signal, NULL);
}

/* Most of the time a waiter sleeps, but a signal may just as well come while it looks. */
TEST_EACH(a_signal_handler_ends_a_wait_whenever_it_runs, moments)
{
	struct sigaction action = { .sa_handler = handle };
	struct lockfile_pid *lock = new_lock("x.pid");
	struct holder holder = holder_start("x.pid");
	int r;

	ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	handled = 0;
	steer_reset();
	/* from when it is clear that it has to wait */
	steer_after("sys_block_signals", 1, raise_later, (void *)(uintptr_t)moments[_i]);
	r = lockfile_pid_lock(lock);
	ck_assert_int_eq(r, -EINTR);
	ck_assert_int_eq(handled, 1);
	steer_reset();
	holder_end(&holder);
	lockfile_pid_free(lock);
}

TEST(what_cannot_be_verified_is_held)
{
	struct lockfile_pid *lock = new_lock("x.pid");

	steer_reset();
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	steer_result("sys_fstatat", 1, -EIO);
	ck_assert_int_eq(lockfile_pid_lock(lock), -EDEADLK);
	steer_reset();
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	lockfile_pid_free(lock);
}

TEST(leftover_that_cannot_be_looked_at_is_left)
{
	struct lockfile_pid *lock = new_lock("x.pid");

	/* who we are is looked up once */
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	write_file("x.pid", "?\n");
	write_file("x.pid.takeover", "");
	steer_reset();
	/* after the candidate, and what is judged */
	steer_result("sys_fstat", 3, -EIO);
	ck_assert_int_eq(lockfile_pid_trylock(lock), -EIO);
	ck_assert(exists("x.pid.takeover"));
	steer_reset();
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	lockfile_pid_free(lock);
}
