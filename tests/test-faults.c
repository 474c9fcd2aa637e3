/* SPDX-License-Identifier: BSD-2-Clause */
/* What goes wrong, and what the caller gets; row 0 has O_TMPFILE, row 1 has not. */
#include <config.h>

#include "steer.h"
#include "ways.h"

#include <errno.h>
#include <fcntl.h>
#include <lockfile-pid.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

static int check(const char *path)
{
	struct lockfile_pid *lock = new_lock(path);
	pid_t pid;
	int r = lockfile_pid_check(lock, &pid);

	lockfile_pid_free(lock);
	return r;
}

/* The directory part. */

static const struct {
	const char *path;
	int error;
} directories[] = {
	{ "none/x.pid", ENOENT },  { "dangling/x.pid", ENOENT },
	{ "file/x.pid", ENOTDIR }, { "file/none/x.pid", ENOTDIR },
	{ "loop/x.pid", ELOOP },   { "dir/../none/x.pid", ENOENT },
};

TEST_BOTH_WAYS(a_directory_part_that_leads_nowhere_is_told)
{
	set_way(_i);
	write_file("file", "");
	ck_assert_int_eq(mkdir("dir", 0755), 0);
	ck_assert_int_eq(symlink("loop", "loop"), 0);
	ck_assert_int_eq(symlink("none", "dangling"), 0);
	for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]); i++) {
		ck_assert_int_eq(trylock(directories[i].path), -directories[i].error);
		ck_assert_int_eq(check(directories[i].path), -directories[i].error);
	}
	ck_assert_str_eq(list_dir("."), "dangling dir file loop ");
	ck_assert_int_eq(unlink("file"), 0);
	ck_assert_int_eq(rmdir("dir"), 0);
	ck_assert_int_eq(unlink("loop"), 0);
	ck_assert_int_eq(unlink("dangling"), 0);
	steer_reset();
}

static void expect_eacces(void *path)
{
	REQUIRE(trylock(path) == -EACCES);
}

/* Whoever may make no file there does not wait for the time when it could. */
static void expect_busy_and(const char *path, int waited)
{
	struct lockfile_pid *lock;

	REQUIRE(trylock(path) == LOCKFILE_PID_ERR_BUSY);
	REQUIRE(check(path) == LOCKFILE_PID_ERR_BUSY);
	REQUIRE(lockfile_pid_new(&lock, path) == 0);
	REQUIRE(lockfile_pid_timedlock(lock, 20) == waited);
	lockfile_pid_free(lock);
}

static void expect_busy(void *path)
{
	expect_busy_and(path, -ETIMEDOUT);
}

static void expect_busy_and_eacces(void *path)
{
	expect_busy_and(path, -EACCES);
}

TEST_BOTH_WAYS(an_unwritable_directory_is_eacces_but_a_held_lock_there_is_busy)
{
	struct holder holder = holder_start("x.pid");
	char path[] = "x.pid";

	SKIP_UNLESS_ROOT();
	set_way(_i);
	ck_assert_int_eq(chmod(".", 0755), 0);
	ck_assert_int_eq(as_nobody(expect_eacces, path), 0);
	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	ck_assert_int_eq(as_nobody(expect_busy_and_eacces, path), 0);
	holder_end(&holder);
	write_stale("x.pid");
	ck_assert_int_eq(as_nobody(expect_eacces, path), 0);
	ck_assert_int_eq(check("x.pid"), LOCKFILE_PID_ERR_PROCESS_DEAD);
	ck_assert_str_eq(list_dir("."), "x.pid ");
	ck_assert_int_eq(unlink("x.pid"), 0);
	steer_reset();
}

TEST_BOTH_WAYS(a_directory_that_may_not_be_searched_is_eacces)
{
	char path[] = "dir/x.pid";

	SKIP_UNLESS_ROOT();
	set_way(_i);
	ck_assert_int_eq(chmod(".", 0755), 0);
	ck_assert_int_eq(mkdir("dir", 0700), 0);
	ck_assert_int_eq(as_nobody(expect_eacces, path), 0);
	ck_assert_int_eq(rmdir("dir"), 0);
	steer_reset();
}

TEST_BOTH_WAYS(a_lock_file_that_may_not_be_read_is_busy)
{
	struct holder holder = holder_start("x.pid");
	char path[] = "x.pid";

	SKIP_UNLESS_ROOT();
	set_way(_i);
	ck_assert_int_eq(chmod(".", 0777), 0);
	ck_assert_int_eq(holder_do(&holder, "mode 600"), 0);
	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	ck_assert_int_eq(as_nobody(expect_busy, path), 0);
	ck_assert_int_eq(holder_do(&holder, "verify"), 0);
	holder_end(&holder);
	write_stale("x.pid");
	ck_assert_int_eq(chmod("x.pid", 0600), 0);
	ck_assert_int_eq(as_nobody(expect_busy, path), 0);
	ck_assert_str_eq(list_dir("."), "x.pid ");
	ck_assert_int_eq(unlink("x.pid"), 0);
	steer_reset();
}

static void lock_with_strictest_umask(void *path)
{
	struct lockfile_pid *lock;
	struct stat st;

	umask(0777);
	REQUIRE(lockfile_pid_new(&lock, path) == 0);
	REQUIRE(lockfile_pid_trylock(lock) == 0);
	REQUIRE(stat(path, &st) == 0 && (st.st_mode & 07777) == 0600);
	REQUIRE(lockfile_pid_unlock(lock) == 0);
	lockfile_pid_free(lock);
}

/* To set an attribute takes the right to write the file, whatever the descriptor may do. */
TEST_BOTH_WAYS(an_unprivileged_owner_can_lock_with_any_umask)
{
	char path[] = "x.pid";

	SKIP_UNLESS_ROOT();
	set_way(_i);
	ck_assert_int_eq(chmod(".", 0777), 0);
	ck_assert_int_eq(as_nobody(lock_with_strictest_umask, path), 0);
	steer_reset();
}

static void expect_eperm(void *path)
{
	REQUIRE(trylock(path) == -EPERM);
}

TEST_BOTH_WAYS(anothers_stale_file_in_a_sticky_directory_is_eperm)
{
	char path[] = "x.pid";

	SKIP_UNLESS_ROOT();
	set_way(_i);
	ck_assert_int_eq(chmod(".", 01777), 0);
	write_stale("x.pid");
	ck_assert_int_eq(as_nobody(expect_eperm, path), 0);
	ck_assert_str_eq(list_dir("."), "x.pid ");
	ck_assert_int_eq(check("x.pid"), LOCKFILE_PID_ERR_PROCESS_DEAD);
	ck_assert_int_eq(trylock("x.pid"), 0);
	steer_reset();
}

TEST_BOTH_WAYS(a_read_only_file_system_is_erofs_but_a_held_lock_there_is_busy)
{
	struct holder holder;
	char path[] = "m/x.pid";

	private_mounts();
	set_way(_i);
	mount_tmpfs("m", "size=1m");
	holder = holder_start(path);
	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	make_read_only("m");
	expect_busy_and(path, -EROFS);
	ck_assert_int_eq(holder_do(&holder, "verify"), 0);
	/* the directory that it keeps is that of the mount beneath */
	ck_assert_int_eq(holder_do(&holder, "unlock"), 0);
	ck_assert_int_eq(trylock(path), -EROFS);
	ck_assert_int_eq(check(path), 0);
	unmount("m");
	write_stale(path);
	make_read_only("m");
	ck_assert_int_eq(trylock(path), -EROFS);
	ck_assert_int_eq(check(path), LOCKFILE_PID_ERR_PROCESS_DEAD);
	unmount("m");
	holder_end(&holder);
	unmount("m");
	ck_assert_int_eq(rmdir("m"), 0);
	steer_reset();
}

static void fill_inodes(void)
{
	char name[32];
	int i = 0, fd;

	do {
		snprintf(name, sizeof(name), "m/full%d", i++);
		fd = open(name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
		close(fd);
	} while (fd >= 0);
}

static void fill_blocks(void)
{
	fill_up("m/full");
}

static const struct {
	const char *options;
	void (*fill)(void);
	int no_tmpfile;
} full_disks[] = {
	{ "size=64k", fill_blocks, 0 },
	{ "size=64k", fill_blocks, EOPNOTSUPP },
	{ "nr_inodes=8,size=1m", fill_inodes, 0 },
	{ "nr_inodes=8,size=1m", fill_inodes, EOPNOTSUPP },
};

TEST_EACH(a_full_disk_is_enospc_but_a_held_lock_there_is_busy_and_is_released, full_disks)
{
	struct lockfile_pid *lock;
	struct holder holder;
	char *before, path[] = "m/x.pid";

	private_mounts();
	mount_tmpfs("m", full_disks[_i].options);
	steer_reset();
	steer_no_tmpfile(full_disks[_i].no_tmpfile);
	lock = new_lock(path);
	holder = holder_start(path);
	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	full_disks[_i].fill();
	expect_busy(path);
	ck_assert_int_eq(holder_do(&holder, "unlock"), 0);
	full_disks[_i].fill();
	before = strdup(list_dir("m"));
	ck_assert_int_eq(lockfile_pid_trylock(lock), -ENOSPC);
	ck_assert_int_eq(lockfile_pid_lock(lock), -ENOSPC);
	ck_assert_str_eq(list_dir("m"), before);
	ck_assert_int_eq(lockfile_pid_verify(lock), LOCKFILE_PID_ERR_ROGUE_DELETION);
	free(before);
	lockfile_pid_free(lock);
	holder_end(&holder);
	unmount("m");
	ck_assert_int_eq(rmdir("m"), 0);
	steer_reset();
}

TEST_BOTH_WAYS(a_stale_file_on_a_full_disk_stays_for_who_has_room)
{
	private_mounts();
	set_way(_i);
	mount_tmpfs("m", "size=64k");
	write_stale("m/x.pid");
	fill_up("m/full");
	ck_assert_int_eq(trylock("m/x.pid"), -ENOSPC);
	ck_assert_str_eq(list_dir("m"), "full x.pid ");
	ck_assert_int_eq(truncate("m/full", 0), 0);
	ck_assert_int_eq(trylock("m/x.pid"), 0);
	ck_assert_str_eq(list_dir("m"), "full ");
	unmount("m");
	ck_assert_int_eq(rmdir("m"), 0);
	steer_reset();
}

/* Descriptors. */

static void expect_emfile(void *argument)
{
	struct lockfile_pid *lock = *(struct lockfile_pid **)argument, *held;
	struct rlimit limit;
	pid_t pid;

	REQUIRE(lockfile_pid_new(&held, "y.pid") == 0);
	REQUIRE(lockfile_pid_trylock(held) == 0);
	REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	limit.rlim_cur = 0;
	REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	REQUIRE(lockfile_pid_trylock(lock) == -EMFILE);
	REQUIRE(lockfile_pid_lock(lock) == -EMFILE);
	REQUIRE(lockfile_pid_check(lock, &pid) == -EMFILE);
	REQUIRE(lockfile_pid_verify(held) == 0);
	REQUIRE(lockfile_pid_unlock(held) == 0);
	limit.rlim_cur = limit.rlim_max;
	REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	REQUIRE(lockfile_pid_trylock(lock) == 0);
	REQUIRE(lockfile_pid_unlock(lock) == 0);
	lockfile_pid_free(held);
}

TEST_BOTH_WAYS(no_descriptor_left_is_emfile_for_contenders_and_the_holder_releases)
{
	struct lockfile_pid *lock = new_lock("x.pid");

	set_way(_i);
	ck_assert_int_eq(in_child(expect_emfile, &lock), 0);
	lockfile_pid_free(lock);
	steer_reset();
}

#define ENOUGH (-1)

/* Standard input is closed, and so many other numbers are left. */
static void leave_numbers(int count)
{
	struct rlimit limit;
	int next;

	close(STDIN_FILENO);
	REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	limit.rlim_cur = limit.rlim_max;
	REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	if (count == ENOUGH)
		return;
	next = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	REQUIRE(next > STDERR_FILENO && close(next) == 0);
	limit.rlim_cur = (rlim_t)(next + count);
	REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

struct scarcity {
	const char *left;
	int (*try)(struct lockfile_pid *lock);
	int expected; /* with numbers enough */
};

static int wait_for_it(struct lockfile_pid *lock)
{
	return lockfile_pid_timedlock(lock, 1);
}

static void try_with_few_numbers(void *argument)
{
	const struct scarcity *scarcity = argument;
	struct lockfile_pid *lock;
	int count = 0, r;

	REQUIRE(trylock("y.pid") == 0); /* what it learns of itself needs numbers */
	REQUIRE(lockfile_pid_new(&lock, "x.pid") == 0);
	do {
		leave_numbers(count);
		r = scarcity->try(lock);
		leave_numbers(ENOUGH);
		REQUIRE(r == -EMFILE || r == scarcity->expected);
		REQUIRE(count > 0 || r == -EMFILE);
		REQUIRE(r != 0 || lockfile_pid_fileno(lock) > STDERR_FILENO);
		if (r < 0)
			REQUIRE(strcmp(list_dir("."), scarcity->left) == 0);
		REQUIRE(fcntl(STDIN_FILENO, F_GETFD) < 0);
	} while (r == -EMFILE && ++count < 20);
	REQUIRE(r == scarcity->expected);
	REQUIRE(r < 0 || lockfile_pid_unlock(lock) == 0);
	lockfile_pid_free(lock);
}

/* The last moves the candidate over a placeholder. */
static const struct {
	int way, rename;
} few_numbers[] = { { 0, 0 }, { 1, 0 }, { 1, -EINVAL } };

TEST_EACH(where_only_the_number_of_a_standard_stream_is_left_nothing_is_left_behind, few_numbers)
{
	struct scarcity free_path = { "", lockfile_pid_trylock, 0 };
	struct scarcity stale = { "x.pid ", lockfile_pid_trylock, 0 };
	struct scarcity busy = { "x.pid ", wait_for_it, -ETIMEDOUT };
	struct lockfile_pid *lock = new_lock("x.pid");

	set_way(few_numbers[_i].way);
	if (few_numbers[_i].rename < 0)
		steer_result("sys_rename_noreplace", EVERY, few_numbers[_i].rename);
	ck_assert_int_eq(in_child(try_with_few_numbers, &free_path), 0);
	assert_nothing_left();
	write_stale("x.pid");
	ck_assert_int_eq(in_child(try_with_few_numbers, &stale), 0);
	assert_nothing_left();
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(in_child(try_with_few_numbers, &busy), 0);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	assert_nothing_left();
	lockfile_pid_free(lock);
	steer_reset();
}
