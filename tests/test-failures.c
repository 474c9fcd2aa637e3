/* SPDX-License-Identifier: BSD-2-Clause */
/* The failures that lock libraries are known for, each under a name that denies it. */
#include <config.h>

#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <lockfile-pid.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

static void write_pid(const char *name, pid_t pid)
{
	char content[16];

	snprintf(content, sizeof(content), "%d\n", (int)pid);
	write_file(name, content);
}

TEST(lock_does_not_give_up_after_some_tries)
{
	struct holder waiter = holder_start("x.pid");
	struct lockfile_pid *lock = new_lock("x.pid");
	pid_t child;

	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	holder_ask(&waiter, "lock");
	await_blocked(&waiter);
	for (int i = 0; i < 20; i++) {
		child = idle_child();
		write_pid("new", child);
		ck_assert_int_eq(rename("new", "x.pid"), 0);
		await_blocked(&waiter);
		write_pid("new", getpid());
		ck_assert_int_eq(rename("new", "x.pid"), 0);
		kill_child(child);
		await_blocked(&waiter);
	}
	ck_assert_int_eq(unlink("x.pid"), 0);
	ck_assert_int_eq(holder_answer(&waiter), 0);
	holder_end(&waiter);
	lockfile_pid_free(lock);
}

static void contend_as_nobody(void *argument)
{
	struct lockfile_pid *lock;
	pid_t pid = 0;

	REQUIRE(lockfile_pid_new(&lock, "x.pid") == 0);
	REQUIRE(kill(*(pid_t *)argument, 0) == -1 && errno == EPERM);
	REQUIRE(lockfile_pid_check(lock, &pid) == LOCKFILE_PID_ERR_BUSY);
	REQUIRE(pid == *(pid_t *)argument);
	REQUIRE(lockfile_pid_trylock(lock) == LOCKFILE_PID_ERR_BUSY);
	REQUIRE(lockfile_pid_timedlock(lock, 30) == -ETIMEDOUT);
	lockfile_pid_free(lock);
}

/* Everybody could replace it here. */
TEST(eperm_from_kill_is_not_dead)
{
	struct holder other = holder_start("x.pid");
	pid_t init = 1;

	SKIP_UNLESS_ROOT();
	skip_without_attributes();
	ck_assert_int_eq(chmod(".", 0777), 0);
	write_pid("x.pid", init);
	ck_assert_int_eq(as_nobody(contend_as_nobody, &init), 0);
	assert_content("x.pid", "%d\n", 1);
	ck_assert_int_eq(unlink("x.pid"), 0);
	ck_assert_int_eq(holder_do(&other, "trylock"), 0);
	ck_assert_int_eq(as_nobody(contend_as_nobody, &other.pid), 0);
	ck_assert_int_eq(holder_do(&other, "closefrom"), 0);
	ck_assert_int_eq(as_nobody(contend_as_nobody, &other.pid), 0);
	ck_assert_int_eq(holder_do(&other, "verify"), 0);
	holder_end(&other);
}

TEST(a_second_handle_of_one_process_is_not_told_that_it_holds)
{
	struct lockfile_pid *a = new_lock("x.pid"), *b = new_lock("x.pid");

	skip_without_attributes();
	ck_assert_int_eq(lockfile_pid_trylock(a), 0);
	ck_assert_int_eq(lockfile_pid_trylock(b), LOCKFILE_PID_ERR_BUSY);
	ck_assert_int_eq(close(lockfile_pid_fileno(a)), 0);
	ck_assert_int_eq(lockfile_pid_trylock(b), LOCKFILE_PID_ERR_BUSY);
	ck_assert_int_eq(lockfile_pid_verify(b), LOCKFILE_PID_ERR_ROGUE_DELETION);
	lockfile_pid_free(b);
	ck_assert_int_eq(lockfile_pid_verify(a), 0);
	lockfile_pid_free(a);
}

#define CONTENDERS 8

/* The races with processes that die are in test-race. */
TEST(of_many_that_take_over_a_stale_file_exactly_one_wins)
{
	struct holder contenders[CONTENDERS];
	pid_t dead = dead_pid();

	skip_if_shared();
	for (int i = 0; i < CONTENDERS; i++)
		contenders[i] = holder_start("x.pid");
	for (int round = 0; round < 200; round++) {
		int winner = -1;

		write_pid("new", dead);
		ck_assert_int_eq(rename("new", "x.pid"), 0);
		for (int i = 0; i < CONTENDERS; i++)
			holder_ask(&contenders[i], "trylock");
		for (int i = 0; i < CONTENDERS; i++) {
			int r = holder_answer(&contenders[i]);

			ck_assert_int_eq(r, r == 0 ? 0 : LOCKFILE_PID_ERR_BUSY);
			ck_assert(r != 0 || winner < 0);
			winner = r == 0 ? i : winner;
		}
		ck_assert_int_ge(winner, 0);
		assert_content("x.pid", "%d\n", contenders[winner].pid);
		ck_assert_int_eq(holder_do(&contenders[winner], "unlock"), 0);
		assert_nothing_left();
	}
	for (int i = 0; i < CONTENDERS; i++)
		holder_end(&contenders[i]);
}

TEST(who_is_killed_leaves_no_temporary_files)
{
	struct holder holder = holder_start("x.pid"), waiter = holder_start("x.pid");

	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	holder_ask(&waiter, "lock");
	await_blocked(&waiter);
	holder_kill(&waiter);
	holder_kill(&holder);
	ck_assert_str_eq(list_dir("."), "x.pid x.pid.queue ");
	/* of these the next user takes care */
	holder = holder_start("x.pid");
	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	ck_assert_int_eq(holder_do(&holder, "unlock"), 0);
	holder_end(&holder);
}

/* A process with a PID of our choice. */
static pid_t clone_with_pid(pid_t pid)
{
	struct clone_args arguments = {
		.exit_signal = SIGCHLD,
		.set_tid = (uintptr_t)&pid,
		.set_tid_size = 1,
	};

	return (pid_t)syscall(SYS_clone3, &arguments, sizeof(arguments));
}

TEST(a_reused_pid_of_an_own_record_is_taken_over)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	struct holder other = holder_start("x.pid");
	pid_t child, pid = 0;

	skip_without_attributes();
	ck_assert_int_eq(holder_do(&other, "trylock"), 0);
	holder_kill(&other);
	child = clone_with_pid(other.pid);
	while (child == 0)
		pause();
	if (child < 0) {
		unlink("x.pid");
		SKIP("cannot choose a PID");
	}
	ck_assert_int_eq(child, other.pid);
	ck_assert_int_eq(lockfile_pid_check(lock, &pid), LOCKFILE_PID_ERR_PROCESS_DEAD);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	kill_child(child);
	ck_assert_int_eq(lockfile_pid_verify(lock), 0);
	lockfile_pid_free(lock);
}

/* Leaves a lock file that says PID 1. */
static void die_in_a_container(void *argument)
{
	struct holder holder;

	(void)argument;
	if (unshare(CLONE_NEWPID) < 0)
		_exit(77);
	holder = holder_start("x.pid");
	REQUIRE(holder_do(&holder, "trylock") == 0);
	holder_kill(&holder);
}

static void be_the_next_container(void *argument)
{
	struct holder holder;

	(void)argument;
	REQUIRE(unshare(CLONE_NEWPID) == 0);
	holder = holder_start("x.pid");
	REQUIRE(holder_do(&holder, "check") == LOCKFILE_PID_ERR_PROCESS_DEAD);
	REQUIRE(holder_do(&holder, "trylock") == 0);
	holder_end(&holder);
}

TEST(a_restarted_container_takes_over_from_the_one_before)
{
	if (in_child(die_in_a_container, NULL) == 77)
		SKIP("cannot make a PID namespace");
	assert_content("x.pid", "%d\n", 1);
	ck_assert_int_eq(in_child(be_the_next_container, NULL), 0);
}

TEST(a_restarted_container_replaces_a_foreign_file_with_its_own_pid)
{
	if (in_child(die_in_a_container, NULL) == 77)
		SKIP("cannot make a PID namespace");
	ck_assert_int_eq(unlink("x.pid"), 0);
	write_pid("x.pid", 1);
	ck_assert_int_eq(in_child(be_the_next_container, NULL), 0);
}

TEST(a_zombie_holder_is_taken_over)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	struct holder other = holder_start("x.pid");
	pid_t pid = 0;

	ck_assert_int_eq(holder_do(&other, "trylock"), 0);
	ck_assert_int_eq(kill(other.pid, SIGKILL), 0);
	await_zombie(other.pid);
	ck_assert_int_eq(lockfile_pid_check(lock, &pid), LOCKFILE_PID_ERR_PROCESS_DEAD);
	ck_assert_int_eq(pid, other.pid);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(waitpid(other.pid, NULL, 0), other.pid);
	lockfile_pid_free(lock);
}

TEST(a_zombie_of_a_foreign_file_is_taken_over)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	pid_t child;

	skip_if_shared();
	child = idle_child();
	write_pid("x.pid", child);
	ck_assert_int_eq(lockfile_pid_trylock(lock), LOCKFILE_PID_ERR_BUSY);
	ck_assert_int_eq(kill(child, SIGKILL), 0);
	await_zombie(child);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	lockfile_pid_free(lock);
}

static const struct {
	size_t length;
	char letter;
	int expected;
} long_contents[] = {
	{ 15, '7', 0 },
	{ 16, '7', 0 },
	{ 17, '7', 0 },
	{ 64, '7', 0 },
	{ 64, ' ', 0 },
	{ 64, '\n', 0 },
	{ 65, '7', LOCKFILE_PID_ERR_INVALID_PID },
	{ 65, ' ', LOCKFILE_PID_ERR_INVALID_PID },
	{ 4095, '7', LOCKFILE_PID_ERR_INVALID_PID },
	{ 4096, '7', LOCKFILE_PID_ERR_INVALID_PID },
	{ 4097, '7', LOCKFILE_PID_ERR_INVALID_PID },
	{ 100000, '7', LOCKFILE_PID_ERR_INVALID_PID },
};

TEST_EACH(no_content_is_too_long_to_be_read, long_contents)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	char *content = calloc(1, long_contents[_i].length + 1);

	memset(content, long_contents[_i].letter, long_contents[_i].length);
	write_file("x.pid", content);
	ck_assert_int_eq(lockfile_pid_trylock(lock), long_contents[_i].expected);
	unlink("x.pid");
	lockfile_pid_free(lock);
	free(content);
}

/* A PID with so much behind it is one still, up to 4 KiB. */
TEST(a_pid_with_further_lines_counts_up_to_4_kib)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	char content[4098];
	pid_t pid = 0;

	memset(content, 'x', sizeof(content));
	memcpy(content, "1\n", 2);
	content[4096] = '\0';
	write_file("x.pid", content);
	ck_assert_int_eq(lockfile_pid_check(lock, &pid), LOCKFILE_PID_ERR_BUSY);
	ck_assert_int_eq(pid, 1);
	content[4096] = 'x';
	content[4097] = '\0';
	write_file("x.pid", content);
	ck_assert_int_eq(lockfile_pid_check(lock, &pid), LOCKFILE_PID_ERR_INVALID_PID);
	unlink("x.pid");
	lockfile_pid_free(lock);
}

/* The same path, inode number, content and attribute, but another file system. */
TEST(a_file_of_the_same_number_on_another_device_is_not_ours)
{
	struct lockfile_pid *lock;
	struct stat ours, other = { .st_ino = 0 };
	int fd;

	private_mounts();
	mount_tmpfs("a", "size=1m");
	mount_tmpfs("b", "size=1m");
	lock = new_lock("a/x.pid");
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(stat("a/x.pid", &ours), 0);
	while (other.st_ino < ours.st_ino) {
		unlink("b/x.pid");
		write_file("b/x.pid", read_file("a/x.pid"));
		ck_assert_int_eq(stat("b/x.pid", &other), 0);
	}
	ck_assert_uint_eq(other.st_ino, ours.st_ino);
	fd = open("a", O_PATH | O_DIRECTORY | O_CLOEXEC);
	unmount("a");
	ck_assert_int_eq(rmdir("a"), 0);
	ck_assert_int_eq(symlink("b", "a"), 0);
	ck_assert_int_eq(lockfile_pid_verify(lock), LOCKFILE_PID_ERR_ROGUE_DELETION);
	ck_assert_int_eq(lockfile_pid_unlock(lock), LOCKFILE_PID_ERR_ROGUE_DELETION);
	ck_assert(exists("b/x.pid"));
	close(fd);
	unmount("b");
	ck_assert_int_eq(unlink("a"), 0);
	ck_assert_int_eq(rmdir("b"), 0);
	lockfile_pid_free(lock);
}

TEST(a_forked_childs_exit_neither_drops_nor_deletes_its_parents_lock)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	struct holder other = holder_start("x.pid");
	pid_t child;

	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	child = fork();
	if (child == 0)
		exit(0);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	ck_assert_int_eq(lockfile_pid_verify(lock), 0);
	ck_assert_int_eq(holder_do(&other, "trylock"), LOCKFILE_PID_ERR_BUSY);
	holder_end(&other);
	lockfile_pid_free(lock);
}
