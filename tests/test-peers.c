/* SPDX-License-Identifier: BSD-2-Clause */
/* The cases that the suites of other lock libraries have. */
#include <config.h>

#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <lockfile-pid.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

static void write_pid(const char *name, pid_t pid)
{
	char content[16];

	snprintf(content, sizeof(content), "%d\n", (int)pid);
	write_file(name, content);
}

/* The Go package. */

TEST(trylock_against_a_held_lock_is_busy)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	struct holder other = holder_start("x.pid");

	ck_assert_int_eq(holder_do(&other, "lock"), 0);
	ck_assert_int_eq(lockfile_pid_trylock(lock), LOCKFILE_PID_ERR_BUSY);
	holder_end(&other);
	lockfile_pid_free(lock);
}

TEST(second_unlock_is_a_rogue_deletion)
{
	struct lockfile_pid *lock = new_lock("x.pid");

	ck_assert_int_eq(lockfile_pid_lock(lock), 0);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	ck_assert_int_eq(lockfile_pid_unlock(lock), LOCKFILE_PID_ERR_ROGUE_DELETION);
	lockfile_pid_free(lock);
}

TEST(next_contender_wins_after_unlock)
{
	struct lockfile_pid *a = new_lock("x.pid"), *b = new_lock("x.pid");

	ck_assert_int_eq(lockfile_pid_lock(a), 0);
	ck_assert_int_eq(lockfile_pid_unlock(a), 0);
	ck_assert_int_eq(lockfile_pid_trylock(b), 0);
	ck_assert_int_eq(lockfile_pid_unlock(b), 0);
	lockfile_pid_free(a);
	lockfile_pid_free(b);
}

TEST(relock_after_a_rogue_deletion_works)
{
	struct lockfile_pid *lock = new_lock("x.pid");

	ck_assert_int_eq(lockfile_pid_lock(lock), 0);
	ck_assert_int_eq(unlink("x.pid"), 0);
	ck_assert_int_eq(lockfile_pid_unlock(lock), LOCKFILE_PID_ERR_ROGUE_DELETION);
	ck_assert_int_eq(lockfile_pid_lock(lock), 0);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	lockfile_pid_free(lock);
}

TEST(lock_of_a_dead_process_is_taken_over)
{
	struct lockfile_pid *lock = new_lock("x.pid");

	skip_if_shared();
	write_pid("x.pid", dead_pid());
	ck_assert_int_eq(lockfile_pid_lock(lock), 0);
	assert_content("x.pid", "%d\n", getpid());
	lockfile_pid_free(lock);
}

/* nightlyone/lockfile */

TEST(busy_for_the_parents_pid_written_by_hand)
{
	struct lockfile_pid *lock = new_lock("x.pid");

	write_pid("x.pid", getppid());
	ck_assert_int_eq(lockfile_pid_trylock(lock), LOCKFILE_PID_ERR_BUSY);
	assert_content("x.pid", "%d\n", getppid());
	ck_assert_int_eq(unlink("x.pid"), 0);
	lockfile_pid_free(lock);
}

TEST(unlock_does_not_delete_a_foreign_file_with_a_dead_pid)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	pid_t dead = dead_pid();

	ck_assert_int_eq(lockfile_pid_lock(lock), 0);
	write_pid("new", dead);
	ck_assert_int_eq(rename("new", "x.pid"), 0);
	ck_assert_int_eq(lockfile_pid_unlock(lock), LOCKFILE_PID_ERR_ROGUE_DELETION);
	assert_content("x.pid", "%d\n", dead);
	ck_assert_int_eq(unlink("x.pid"), 0);
	lockfile_pid_free(lock);
}

TEST(a_file_with_just_a_newline_is_replaced)
{
	struct lockfile_pid *lock = new_lock("x.pid");

	write_file("x.pid", "\n");
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	assert_content("x.pid", "%d\n", getpid());
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	lockfile_pid_free(lock);
}

static const struct {
	const char *content;
	bool valid;
} contents[] = {
	{ "", false },
	{ "\n", false },
	{ "-1", false },
	{ "-1\n", false },
	{ "0", false },
	{ "0\n", false },
	{ "a", false },
	{ "1", true },
	{ "1\n", true },
	{ " 1 \n", true },
	{ "0001\n", true },
	{ "1\nx\n", true },
	{ "+1\n", false },
	{ "0x1\n", false },
	{ "1x\n", false },
	{ "1 1\n", true },
	{ "1 1\nx\n", false },
	{ "4194305\n", false },
	{ "4294967297\n", false },
	{ "18446744073709551617\n", false },
	{ "99999999999999999999999999999999999999\n", false },
};

TEST_EACH(what_is_a_pid_and_what_is_none, contents)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	pid_t pid = -7;

	write_file("x.pid", contents[_i].content);
	age_file("x.pid", 2);
	ck_assert_int_eq(lockfile_pid_check(lock, &pid),
	                 contents[_i].valid ? LOCKFILE_PID_ERR_BUSY : LOCKFILE_PID_ERR_INVALID_PID);
	ck_assert_int_eq(pid, contents[_i].valid ? 1 : -7);
	ck_assert_int_eq(lockfile_pid_trylock(lock),
	                 contents[_i].valid ? LOCKFILE_PID_ERR_BUSY : 0);
	unlink("x.pid");
	lockfile_pid_free(lock);
}

/* FreeBSD's pidfile(3) */

TEST(a_second_open_in_one_process_fails_and_reports_our_pid)
{
	struct lockfile_pid *a = new_lock("x.pid"), *b = new_lock("x.pid");
	pid_t pid = 0;

	ck_assert_int_eq(lockfile_pid_trylock(a), 0);
	ck_assert_int_eq(lockfile_pid_trylock(b), LOCKFILE_PID_ERR_BUSY);
	ck_assert_int_eq(lockfile_pid_check(b, &pid), LOCKFILE_PID_ERR_BUSY);
	ck_assert_int_eq(pid, getpid());
	lockfile_pid_free(b);
	lockfile_pid_free(a);
}

TEST(a_parent_is_told_the_pid_of_the_child_that_holds)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	struct holder child = holder_start("x.pid");
	pid_t pid = 0;

	ck_assert_int_eq(holder_do(&child, "trylock"), 0);
	ck_assert_int_eq(lockfile_pid_trylock(lock), LOCKFILE_PID_ERR_BUSY);
	ck_assert_int_eq(lockfile_pid_check(lock, &pid), LOCKFILE_PID_ERR_BUSY);
	ck_assert_int_eq(pid, child.pid);
	holder_end(&child);
	lockfile_pid_free(lock);
}

TEST(a_relative_path_is_that_of_the_directory_it_was_given_in)
{
	struct lockfile_pid *lock;

	ck_assert_int_eq(mkdir("a", 0755), 0);
	lock = new_lock("a/x.pid");
	ck_assert_int_eq(chdir("a"), 0);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_str_eq(list_dir("."), "x.pid ");
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	ck_assert_int_eq(chdir(".."), 0);
	ck_assert_int_eq(rmdir("a"), 0);
	lockfile_pid_free(lock);
}

/* postgres */

TEST(a_killed_holder_with_an_orphan_alive_is_taken_over)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	struct holder other = holder_start("x.pid");
	pid_t orphan;

	ck_assert_int_eq(holder_do(&other, "trylock"), 0);
	orphan = holder_do(&other, "fork");
	holder_kill(&other);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(kill(orphan, SIGKILL), 0);
	lockfile_pid_free(lock);
}

/* In a container that is started again everybody has the PID of before. */
TEST(a_foreign_file_with_our_own_pid_is_stale)
{
	struct lockfile_pid *lock = new_lock("x.pid");

	write_pid("x.pid", getpid());
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	lockfile_pid_free(lock);
}

/* filelock */

TEST(release_never_deletes_a_successors_file)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	struct holder successor = holder_start("x.pid");

	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(unlink("x.pid"), 0);
	ck_assert_int_eq(holder_do(&successor, "trylock"), 0);
	ck_assert_int_eq(lockfile_pid_unlock(lock), LOCKFILE_PID_ERR_ROGUE_DELETION);
	ck_assert_int_eq(lockfile_pid_unlock(lock), LOCKFILE_PID_ERR_ROGUE_DELETION);
	lockfile_pid_free(lock);
	ck_assert_int_eq(holder_do(&successor, "verify"), 0);
	holder_end(&successor);
}

TEST(a_second_release_does_not_close_a_reused_descriptor_number)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	int number, fd;

	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	number = lockfile_pid_fileno(lock);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, number);
	ck_assert_int_eq(fd, number);
	ck_assert_int_eq(lockfile_pid_unlock(lock), LOCKFILE_PID_ERR_ROGUE_DELETION);
	lockfile_pid_free(lock);
	ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	close(fd);
}

static void make_fifo(void)
{
	ck_assert_int_eq(mkfifo("x.pid", 0666), 0);
}

static void make_socket(void)
{
	struct sockaddr_un address = { AF_UNIX, "x.pid" };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
}

static void make_directory(void)
{
	ck_assert_int_eq(mkdir("x.pid", 0777), 0);
}

static void make_dangling_link(void)
{
	ck_assert_int_eq(symlink("nowhere", "x.pid"), 0);
}

static void make_link_to_itself(void)
{
	ck_assert_int_eq(symlink("x.pid", "x.pid"), 0);
}

static void make_link_to_a_stranger(void)
{
	ck_assert_int_eq(symlink("/etc/passwd", "x.pid"), 0);
}

static void make_device(void)
{
	if (mknod("x.pid", S_IFCHR | 0666, 0x105) < 0) /* /dev/zero */
		SKIP("cannot make a device");
}

static void make_data(void)
{
	write_file("x.pid", "These are lines of data that somebody keeps in a file of an "
	                    "unlucky name; nobody's lock.\n");
}

static void (*const strangers[])(void) = {
	make_fifo,          make_socket,         make_directory,
	make_dangling_link, make_link_to_itself, make_link_to_a_stranger,
	make_device,        make_data,
};

TEST_EACH(what_is_no_lock_file_is_left_alone, strangers)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	struct stat before, after;
	pid_t pid;

	strangers[_i]();
	ck_assert_int_eq(lstat("x.pid", &before), 0);
	ck_assert_int_eq(lockfile_pid_trylock(lock), LOCKFILE_PID_ERR_INVALID_PID);
	ck_assert_int_eq(lockfile_pid_lock(lock), LOCKFILE_PID_ERR_INVALID_PID);
	ck_assert_int_eq(lockfile_pid_check(lock, &pid), LOCKFILE_PID_ERR_INVALID_PID);
	ck_assert_int_eq(lstat("x.pid", &after), 0);
	ck_assert_uint_eq(before.st_ino, after.st_ino);
	ck_assert_int_eq(before.st_ctim.tv_nsec, after.st_ctim.tv_nsec);
	ck_assert_str_eq(list_dir("."), "x.pid ");
	ck_assert_int_eq(remove("x.pid"), 0);
	lockfile_pid_free(lock);
}

TEST(a_loser_preserves_content_mode_and_times)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	struct holder other = holder_start("x.pid");
	struct stat before, after;

	ck_assert_int_eq(holder_do(&other, "mode 600"), 0);
	ck_assert_int_eq(holder_do(&other, "trylock"), 0);
	ck_assert_int_eq(stat("x.pid", &before), 0);
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(lockfile_pid_trylock(lock), LOCKFILE_PID_ERR_BUSY);
	ck_assert_int_eq(stat("x.pid", &after), 0);
	ck_assert_uint_eq(after.st_mode, S_IFREG | 0600);
	ck_assert_int_eq(before.st_ctim.tv_nsec, after.st_ctim.tv_nsec);
	assert_content("x.pid", "%d\n", other.pid);
	holder_end(&other);
	lockfile_pid_free(lock);
}
