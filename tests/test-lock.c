/* SPDX-License-Identifier: BSD-2-Clause */
/* The life of a lock: taken, looked at, released; where it is, and who has it. */
#include <config.h>

#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <lockfile-pid.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

static void assert_check(struct lockfile_pid *lock, int expected, pid_t expected_pid)
{
	pid_t pid = -7;

	ck_assert_int_eq(lockfile_pid_check(lock, &pid), expected);
	ck_assert_int_eq(pid, expected_pid);
}

TEST(a_lock_is_taken_and_released_at_will)
{
	struct lockfile_pid *lock = new_lock("x.pid");

	for (int i = 0; i < 3; i++) {
		assert_check(lock, 0, 0);
		ck_assert_int_eq(lockfile_pid_verify(lock), LOCKFILE_PID_ERR_ROGUE_DELETION);
		ck_assert_int_eq(lockfile_pid_fileno(lock), -EBADF);
		ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
		assert_content("x.pid", "%d\n", getpid());
		ck_assert_str_eq(list_dir("."), "x.pid ");
		ck_assert_int_eq(lockfile_pid_verify(lock), 0);
		assert_check(lock, LOCKFILE_PID_ERR_BUSY, getpid());
		ck_assert_int_ge(lockfile_pid_fileno(lock), 0);
		ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
		assert_nothing_left();
	}
	lockfile_pid_free(lock);
}

static int lock_plain(struct lockfile_pid *lock)
{
	return lockfile_pid_lock(lock);
}

static int lock_with_time(struct lockfile_pid *lock)
{
	return lockfile_pid_timedlock(lock, 1000);
}

static int lock_for_ever(struct lockfile_pid *lock)
{
	return lockfile_pid_timedlock(lock, -7);
}

static int lock_without_time(struct lockfile_pid *lock)
{
	return lockfile_pid_timedlock(lock, 0);
}

static const struct {
	int (*lock)(struct lockfile_pid *lock);
	int when_held;
} ways[] = {
	{ lockfile_pid_trylock, LOCKFILE_PID_ERR_BUSY },
	{ lock_without_time, LOCKFILE_PID_ERR_BUSY },
	{ lock_plain, -EDEADLK },
	{ lock_with_time, -EDEADLK },
	{ lock_for_ever, -EDEADLK },
};

TEST_EACH(each_way_takes_a_free_lock, ways)
{
	struct lockfile_pid *lock = new_lock("x.pid");

	ck_assert_int_eq(ways[_i].lock(lock), 0);
	assert_content("x.pid", "%d\n", getpid());
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	lockfile_pid_free(lock);
}

TEST_EACH(a_handle_that_holds_is_not_locked_again, ways)
{
	struct lockfile_pid *lock = new_lock("x.pid");

	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(ways[_i].lock(lock), ways[_i].when_held);
	ck_assert_int_eq(lockfile_pid_verify(lock), 0);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	ck_assert_int_eq(lockfile_pid_unlock(lock), LOCKFILE_PID_ERR_ROGUE_DELETION);
	lockfile_pid_free(lock);
}

TEST_EACH(each_way_replaces_a_stale_file, ways)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	char content[16];

	skip_if_shared();
	snprintf(content, sizeof(content), "%d\n", dead_pid());
	write_file("x.pid", content);
	ck_assert_int_eq(ways[_i].lock(lock), 0);
	ck_assert_str_eq(list_dir("."), "x.pid ");
	assert_content("x.pid", "%d\n", getpid());
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	lockfile_pid_free(lock);
}

TEST_EACH(no_way_waits_for_what_is_no_lock_file, ways)
{
	struct lockfile_pid *lock = new_lock("x.pid");

	ck_assert_int_eq(mkdir("x.pid", 0755), 0);
	ck_assert_int_eq(ways[_i].lock(lock), LOCKFILE_PID_ERR_INVALID_PID);
	ck_assert_int_eq(rmdir("x.pid"), 0);
	lockfile_pid_free(lock);
}

TEST_EACH(no_way_waits_for_a_directory, ways)
{
	struct lockfile_pid *lock = new_lock("no/x.pid");

	ck_assert_int_eq(ways[_i].lock(lock), -ENOENT);
	lockfile_pid_free(lock);
}

TEST(two_handles_of_one_process_exclude_each_other)
{
	struct lockfile_pid *a = new_lock("x.pid"), *b = new_lock("x.pid");

	ck_assert_int_eq(lockfile_pid_trylock(a), 0);
	ck_assert_int_eq(lockfile_pid_trylock(b), LOCKFILE_PID_ERR_BUSY);
	ck_assert_int_eq(lockfile_pid_timedlock(b, 5), -ETIMEDOUT);
	ck_assert_int_eq(lockfile_pid_verify(b), LOCKFILE_PID_ERR_ROGUE_DELETION);
	ck_assert_int_eq(lockfile_pid_unlock(b), LOCKFILE_PID_ERR_ROGUE_DELETION);
	ck_assert_int_eq(lockfile_pid_fileno(b), -EBADF);
	assert_check(b, LOCKFILE_PID_ERR_BUSY, getpid());
	lockfile_pid_free(b);
	ck_assert_int_eq(lockfile_pid_verify(a), 0);
	b = new_lock("x.pid");
	ck_assert_int_eq(lockfile_pid_unlock(a), 0);
	ck_assert_int_eq(lockfile_pid_trylock(b), 0);
	ck_assert_int_eq(lockfile_pid_trylock(a), LOCKFILE_PID_ERR_BUSY);
	lockfile_pid_free(b);
	lockfile_pid_free(a);
}

TEST(handles_for_different_paths_are_independent)
{
	struct lockfile_pid *a = new_lock("a.pid"), *b = new_lock("b.pid");

	ck_assert_int_eq(lockfile_pid_trylock(a), 0);
	ck_assert_int_eq(lockfile_pid_trylock(b), 0);
	lockfile_pid_free(a);
	ck_assert_int_eq(lockfile_pid_verify(b), 0);
	lockfile_pid_free(b);
}

TEST(two_processes_exclude_each_other)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	struct holder other = holder_start("x.pid");

	ck_assert_int_eq(holder_do(&other, "trylock"), 0);
	ck_assert_int_eq(lockfile_pid_trylock(lock), LOCKFILE_PID_ERR_BUSY);
	assert_check(lock, LOCKFILE_PID_ERR_BUSY, other.pid);
	assert_content("x.pid", "%d\n", other.pid);
	ck_assert_int_eq(holder_do(&other, "unlock"), 0);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(holder_do(&other, "trylock"), LOCKFILE_PID_ERR_BUSY);
	ck_assert_int_eq(holder_do(&other, "pid"), getpid());
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	holder_end(&other);
	lockfile_pid_free(lock);
}

TEST(free_releases_the_lock)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	int descriptors = count_descriptors();

	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	lockfile_pid_free(lock);
	assert_nothing_left();
	ck_assert_int_eq(count_descriptors(), descriptors);
}

TEST(a_killed_holder_leaves_its_file_and_the_next_has_it_at_once)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	struct holder other = holder_start("x.pid");

	ck_assert_int_eq(holder_do(&other, "trylock"), 0);
	holder_kill(&other);
	ck_assert_str_eq(list_dir("."), "x.pid ");
	assert_check(lock, LOCKFILE_PID_ERR_PROCESS_DEAD, other.pid);
	ck_assert_str_eq(list_dir("."), "x.pid ");
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_str_eq(list_dir("."), "x.pid ");
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	lockfile_pid_free(lock);
}

TEST(fileno_is_the_lock_file_and_closed_by_exec)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	struct stat by_name, by_descriptor;
	int fd;

	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	fd = lockfile_pid_fileno(lock);
	ck_assert_int_eq(fstat(fd, &by_descriptor), 0);
	ck_assert_int_eq(stat("x.pid", &by_name), 0);
	ck_assert_uint_eq(by_descriptor.st_ino, by_name.st_ino);
	ck_assert_uint_eq(by_name.st_nlink, 1);
	ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	ck_assert_int_eq(lockfile_pid_fileno(lock), -EBADF);
	lockfile_pid_free(lock);
}

/* The lock file and its directory. */
TEST(a_held_lock_is_two_descriptors)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	int descriptors = count_descriptors();

	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(count_descriptors(), descriptors + 2);
	ck_assert_int_eq(lockfile_pid_verify(lock), 0);
	ck_assert_int_eq(count_descriptors(), descriptors + 2);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	ck_assert_int_eq(count_descriptors(), descriptors);
	lockfile_pid_free(lock);
}

TEST(chdir_changes_nothing_for_a_relative_path)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	struct holder other = holder_start("./x.pid");

	ck_assert_int_eq(chdir("/"), 0);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(holder_do(&other, "trylock"), LOCKFILE_PID_ERR_BUSY);
	ck_assert_int_eq(chdir("/proc"), 0);
	ck_assert_int_eq(lockfile_pid_verify(lock), 0);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	ck_assert_int_eq(chdir(test_dir), 0);
	ck_assert_int_eq(holder_do(&other, "trylock"), 0);
	ck_assert_str_eq(list_dir("."), "x.pid ");
	ck_assert_str_eq(lockfile_pid_path(lock), "x.pid");
	holder_end(&other);
	lockfile_pid_free(lock);
}

TEST(a_directory_made_anew_counts_for_the_next_call)
{
	struct lockfile_pid *lock;
	struct holder other;

	ck_assert_int_eq(mkdir("run", 0755), 0);
	lock = new_lock("run/x.pid");
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(rename("run", "old"), 0);
	ck_assert_int_eq(lockfile_pid_verify(lock), LOCKFILE_PID_ERR_ROGUE_DELETION);
	ck_assert_int_eq(mkdir("run", 0755), 0);
	other = holder_start("run/x.pid");
	ck_assert_int_eq(holder_do(&other, "trylock"), 0);
	ck_assert_int_eq(lockfile_pid_unlock(lock), LOCKFILE_PID_ERR_ROGUE_DELETION);
	ck_assert_int_eq(lockfile_pid_trylock(lock), LOCKFILE_PID_ERR_BUSY);
	ck_assert_int_eq(holder_do(&other, "verify"), 0);
	holder_end(&other);
	ck_assert_int_eq(unlink("old/x.pid"), 0);
	ck_assert_int_eq(rmdir("old"), 0);
	ck_assert_int_eq(rmdir("run"), 0);
	ck_assert_int_eq(lockfile_pid_trylock(lock), -ENOENT);
	ck_assert_int_eq(mkdir("run", 0755), 0);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	lockfile_pid_free(lock);
	ck_assert_int_eq(rmdir("run"), 0);
}

TEST(a_removed_directory_is_a_rogue_deletion)
{
	struct lockfile_pid *lock;

	ck_assert_int_eq(mkdir("run", 0755), 0);
	lock = new_lock("run/x.pid");
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(unlink("run/x.pid"), 0);
	ck_assert_int_eq(rmdir("run"), 0);
	ck_assert_int_eq(lockfile_pid_verify(lock), LOCKFILE_PID_ERR_ROGUE_DELETION);
	ck_assert_int_eq(lockfile_pid_unlock(lock), LOCKFILE_PID_ERR_ROGUE_DELETION);
	lockfile_pid_free(lock);
}

TEST(symbolic_links_in_the_directory_part_are_followed)
{
	struct lockfile_pid *direct, *linked;

	ck_assert_int_eq(mkdir("a", 0755), 0);
	ck_assert_int_eq(mkdir("b", 0755), 0);
	ck_assert_int_eq(symlink("a", "link"), 0);
	direct = new_lock("a/x.pid");
	linked = new_lock("link/x.pid");
	ck_assert_int_eq(lockfile_pid_trylock(linked), 0);
	ck_assert_int_eq(lockfile_pid_trylock(direct), LOCKFILE_PID_ERR_BUSY);
	ck_assert_int_eq(lockfile_pid_unlock(linked), 0);
	ck_assert_int_eq(lockfile_pid_trylock(direct), 0);
	ck_assert_int_eq(unlink("link"), 0);
	ck_assert_int_eq(symlink("b", "link"), 0);
	ck_assert_int_eq(lockfile_pid_trylock(linked), 0);
	ck_assert(exists("b/x.pid"));
	lockfile_pid_free(linked);
	lockfile_pid_free(direct);
	ck_assert_int_eq(unlink("link"), 0);
	ck_assert_int_eq(rmdir("a"), 0);
	ck_assert_int_eq(rmdir("b"), 0);
}

static void write_pid(const char *name, pid_t pid)
{
	char content[16];

	snprintf(content, sizeof(content), "%d\n", (int)pid);
	write_file(name, content);
}

TEST(check_tells_the_holder_of_a_foreign_file)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	pid_t child;

	skip_if_shared();
	child = idle_child();
	write_pid("x.pid", child);
	assert_check(lock, LOCKFILE_PID_ERR_BUSY, child);
	kill_child(child);
	assert_check(lock, LOCKFILE_PID_ERR_PROCESS_DEAD, child);
	assert_content("x.pid", "%d\n", child);
	ck_assert_int_eq(unlink("x.pid"), 0);
	assert_check(lock, 0, 0);
	lockfile_pid_free(lock);
}

TEST(check_leaves_the_pid_alone_on_other_results)
{
	struct lockfile_pid *lock = new_lock("x.pid"), *nowhere = new_lock("no/x.pid");

	write_file("x.pid", "nobody\n");
	assert_check(lock, LOCKFILE_PID_ERR_INVALID_PID, -7);
	assert_content("x.pid", "nobody\n");
	ck_assert_int_eq(unlink("x.pid"), 0);
	ck_assert_int_eq(mkdir("x.pid", 0755), 0);
	assert_check(lock, LOCKFILE_PID_ERR_INVALID_PID, -7);
	ck_assert_int_eq(rmdir("x.pid"), 0);
	assert_check(nowhere, -ENOENT, -7);
	lockfile_pid_free(nowhere);
	lockfile_pid_free(lock);
}

/* A check takes no lock: the holder's own calls never meet it. */
TEST(check_disturbs_nobody)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	struct holder other = holder_start("x.pid");
	struct stat before, after;

	ck_assert_int_eq(holder_do(&other, "trylock"), 0);
	ck_assert_int_eq(stat("x.pid", &before), 0);
	for (int i = 0; i < 100; i++)
		assert_check(lock, LOCKFILE_PID_ERR_BUSY, other.pid);
	ck_assert_int_eq(stat("x.pid", &after), 0);
	ck_assert_uint_eq(before.st_ino, after.st_ino);
	ck_assert_int_eq(before.st_ctim.tv_sec, after.st_ctim.tv_sec);
	ck_assert_int_eq(before.st_ctim.tv_nsec, after.st_ctim.tv_nsec);
	ck_assert_str_eq(list_dir("."), "x.pid ");
	ck_assert_int_eq(holder_do(&other, "verify"), 0);
	holder_end(&other);
	lockfile_pid_free(lock);
}

static void meet_another_pid_namespace(void *lock)
{
	struct holder other;
	pid_t pid = -7;

	if (unshare(CLONE_NEWPID) < 0)
		_exit(77);
	other = holder_start("x.pid");
	REQUIRE(holder_do(&other, "trylock") == 0);
	REQUIRE(strcmp(read_file("x.pid"), "1\n") == 0);
	REQUIRE(lockfile_pid_check(lock, &pid) == LOCKFILE_PID_ERR_BUSY);
	REQUIRE(pid == 0);
	REQUIRE(lockfile_pid_trylock(lock) == LOCKFILE_PID_ERR_BUSY);
	REQUIRE(holder_do(&other, "pid") == 1);
	holder_kill(&other);
	pid = -7;
	REQUIRE(lockfile_pid_check(lock, &pid) == LOCKFILE_PID_ERR_PROCESS_DEAD);
	REQUIRE(pid == 0);
	REQUIRE(lockfile_pid_trylock(lock) == 0);
	REQUIRE(lockfile_pid_unlock(lock) == 0);
}

TEST(check_tells_no_pid_of_another_pid_namespace)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	int status;

	/* nothing else tells a PID of another namespace */
	skip_without_attributes();
	status = in_child(meet_another_pid_namespace, lock);
	lockfile_pid_free(lock);
	if (status == 77)
		SKIP("cannot make a PID namespace");
	ck_assert_int_eq(status, 0);
}

static void close_stdin_and_lock(void *argument)
{
	struct lockfile_pid *lock;

	(void)argument;
	close(STDIN_FILENO);
	REQUIRE(lockfile_pid_new(&lock, "x.pid") == 0);
	REQUIRE(lockfile_pid_trylock(lock) == 0);
	REQUIRE(lockfile_pid_verify(lock) == 0);
	REQUIRE(lockfile_pid_unlock(lock) == 0);
	lockfile_pid_free(lock);
	REQUIRE(fcntl(STDIN_FILENO, F_GETFD) == -1);
}

TEST(descriptor_0_is_as_good_as_any)
{
	ck_assert_int_eq(in_child(close_stdin_and_lock, NULL), 0);
}
