/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Verify and unlock: by the descriptor, and by the attribute where that was
 * closed underneath.
 */
#include <config.h>

#include "common.h"
#include "forge.h"
#include "handle.h"
#include "process.h"
#include "steer.h"
#include "sys.h"
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <lockfile-pid.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATH     "x.pid"
#define TAKEOVER PATH ".takeover"
#define BUSY     LOCKFILE_PID_ERR_BUSY
#define ROGUE    LOCKFILE_PID_ERR_ROGUE_DELETION

/* With the descriptor or without; with O_TMPFILE or without; inheritable or not. */
static const struct way {
	bool closed;
	int no_tmpfile;
	bool inheritable;
} ways[] = {
	{ false, 0, false },         { true, 0, false },         { false, EOPNOTSUPP, false },
	{ true, EOPNOTSUPP, false }, { false, 0, true },         { true, 0, true },
	{ false, EOPNOTSUPP, true }, { true, EOPNOTSUPP, true },
};
#define WAYS (int)(sizeof(ways) / sizeof(ways[0]))

static struct lockfile_pid *begin(int way)
{
	struct lockfile_pid *lock;

	steer_reset();
	steer_no_tmpfile(ways[way].no_tmpfile);
	ck_assert_int_eq(lockfile_pid_new(&lock, PATH), 0);
	ck_assert_int_eq(lockfile_pid_set_inheritable(lock, ways[way].inheritable), 0);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	if (ways[way].closed && !lock->file.has_attribute) {
		lockfile_pid_free(lock);
		SKIP("no user attributes here");
	}
	if (ways[way].closed)
		close(lock->file.descriptor.fd);
	return lock;
}

static void end(struct lockfile_pid *lock)
{
	steer_reset();
	lockfile_pid_free(lock);
	unlink(PATH);
	assert_nothing_left();
}

TEST_EACH(unlock_removes_the_file, ways)
{
	int before = count_descriptors();
	struct lockfile_pid *lock = begin(_i);

	ck_assert_int_eq(lockfile_pid_verify(lock), 0);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	assert_nothing_left();
	ck_assert_int_eq(count_descriptors(), before);
	ck_assert_int_eq(lockfile_pid_verify(lock), ROGUE);
	ck_assert_int_eq(lockfile_pid_unlock(lock), ROGUE);
	end(lock);
}

/* What is done to the file by others.  Theirs is at PATH then, and kept. */

static void remove_it(void)
{
	ck_assert_int_eq(unlink(PATH), 0);
}

static void replace_it(void)
{
	forge_foreign("new", 1);
	ck_assert_int_eq(rename("new", PATH), 0);
}

/* It says what ours said. */
static void replace_it_by_a_copy(void)
{
	forge_foreign("new", getpid());
	ck_assert_int_eq(rename("new", PATH), 0);
}

static void change_it(void)
{
	write_file(PATH, "1\n");
}

static void truncate_it(void)
{
	write_file(PATH, "");
}

static void append_to_it(void)
{
	FILE *file = fopen(PATH, "ae");

	fputs("x", file);
	fclose(file);
}

static void replace_it_by_a_directory(void)
{
	remove_it();
	ck_assert_int_eq(mkdir(PATH, 0700), 0);
}

static void replace_it_by_a_fifo(void)
{
	remove_it();
	ck_assert_int_eq(mkfifo(PATH, 0700), 0);
}

static void replace_it_by_a_socket(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = PATH };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	remove_it();
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
}

static void replace_it_by_a_link(void)
{
	ck_assert_int_eq(rename(PATH, "moved"), 0);
	ck_assert_int_eq(symlink("moved", PATH), 0);
}

static void replace_it_by_a_link_to_nothing(void)
{
	remove_it();
	ck_assert_int_eq(symlink("elsewhere", PATH), 0);
}

static void (*const changes[])(void) = {
	remove_it,
	replace_it,
	replace_it_by_a_copy,
	change_it,
	truncate_it,
	append_to_it,
	replace_it_by_a_directory,
	replace_it_by_a_fifo,
	replace_it_by_a_socket,
	replace_it_by_a_link,
};

static void check_change(int way, void (*change)(void))
{
	int descriptors = count_descriptors();
	struct lockfile_pid *lock = begin(way);
	struct stat before = { .st_ino = 0 }, after = { .st_ino = 0 };

	change();
	lstat(PATH, &before);
	ck_assert_int_eq(lockfile_pid_verify(lock), ROGUE);
	ck_assert_int_eq(lockfile_pid_unlock(lock), ROGUE);
	ck_assert_int_eq(count_descriptors(), descriptors);
	ck_assert_int_eq(lockfile_pid_unlock(lock), ROGUE);
	lstat(PATH, &after);
	ck_assert_uint_eq(before.st_ino, after.st_ino);
	ck_assert_int_eq(before.st_size, after.st_size);
	remove(PATH);
	remove("moved");
	end(lock);
}

TEST_EACH(what_is_not_ours_any_more_is_kept, changes)
{
	for (int way = 0; way < WAYS; way++)
		check_change(way, changes[_i]);
}

static void act(void *action)
{
	(*(void (**)(void))action)();
}

static void do_before(const char *call, int nth, void (*action)(void))
{
	static void (*chosen)(void);

	chosen = action;
	steer_before(call, nth, act, &chosen);
}

/* Errors: the lock is still ours. */

static const struct {
	int way;
	const char *call;
	int nth, error;
} failures[] = {
	{ 0, "sys_fstatat", 1, EIO },     { 0, "sys_pread", 1, EIO },
	{ 0, "sys_unlinkat", 1, EACCES }, { 0, "sys_unlinkat", 1, EPERM },
	{ 0, "sys_unlinkat", 1, EROFS },  { 0, "sys_unlinkat", 1, EIO },
	{ 1, "sys_openat", 1, EACCES },   { 1, "sys_reopen", 1, EACCES },
	{ 1, "sys_open_path", 1, EIO },   { 1, "sys_fgetxattr", 2, EIO },
	{ 1, "sys_pread", 1, EIO },       { 1, "sys_openat", 2, ENOSPC },
	{ 1, "sys_link_fd", 1, EROFS },   { 1, "sys_reopen", 2, EMFILE },
	{ 1, "sys_unlinkat", 1, EPERM },  { 1, "sys_write_lock", 1, ENOLCK },
};

TEST_EACH(after_an_error_the_lock_is_still_held, failures)
{
	struct lockfile_pid *lock = begin(failures[_i].way), *other;
	int before = count_descriptors();

	steer_reset();
	steer_result(failures[_i].call, failures[_i].nth, -failures[_i].error);
	ck_assert_int_eq(lockfile_pid_unlock(lock), -failures[_i].error);
	steer_reset();
	ck_assert_str_eq(list_dir("."), PATH " ");
	ck_assert_int_eq(count_descriptors(), before);
	ck_assert_int_eq(lockfile_pid_verify(lock), 0);
	ck_assert_int_eq(lockfile_pid_new(&other, PATH), 0);
	ck_assert_int_eq(lockfile_pid_trylock(other), BUSY);
	lockfile_pid_free(other);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	end(lock);
}

/* Its last step may fail, or be the last of the process: the next one replaces it as well. */
static const struct {
	int truncated;
	const char *left;
} retractions[] = { { 0, "\n" }, { -EIO, NULL } };

TEST_EACH(file_that_cannot_be_removed_becomes_a_lone_newline_by_free, retractions)
{
	struct lockfile_pid *lock = begin(0);

	steer_result("sys_unlinkat", EVERY, -EPERM);
	if (retractions[_i].truncated < 0)
		steer_result("sys_ftruncate", 1, retractions[_i].truncated);
	lockfile_pid_free(lock);
	steer_reset();
	ck_assert_int_eq(read_file(PATH)[0], '\n');
	if (retractions[_i].left)
		assert_content(PATH, "%s", retractions[_i].left);
	lock = new_lock(PATH);
	ck_assert_int_eq(lockfile_pid_check(lock, NULL), LOCKFILE_PID_ERR_INVALID_PID);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	end(lock);
}

/* Its number is that of the program's own file by now. */
TEST(free_of_a_file_that_stays_touches_no_file_of_the_programs_own)
{
	struct lockfile_pid *lock = begin(0);
	int number = lock->file.descriptor.fd, own;

	skip_without_attributes();
	ck_assert_int_eq(close(number), 0);
	own = open("own", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	ck_assert_int_eq(own, number);
	steer_result("sys_unlinkat", EVERY, -EPERM);
	lockfile_pid_free(lock);
	steer_reset();
	ck_assert_int_eq(fcntl(number, F_GETFD), FD_CLOEXEC);
	assert_content("own", "%s", "");
	close(own);
	unlink("own");
	unlink(PATH);
	unlink(TAKEOVER);
}

/* Nor is another wait queue touched if the number of the directory was given away. */
TEST(free_of_a_file_that_stays_wakes_nobody_in_another_directory)
{
	struct lockfile_pid *lock = begin(0);
	int number = lock->dir.fd, own;

	ck_assert_int_eq(mkdir("d", 0700), 0);
	ck_assert_int_eq(mkfifo("d/" PATH ".queue", 0600), 0);
	ck_assert_int_eq(close(number), 0);
	own = open("d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_eq(own, number);
	steer_result("sys_unlinkat", 1, -EPERM);
	lockfile_pid_free(lock);
	ck_assert_int_eq(steer_count("sys_unlinkat"), 1);
	steer_reset();
	ck_assert(exists("d/" PATH ".queue"));
	ck_assert_int_eq(fcntl(number, F_GETFD), FD_CLOEXEC);
	close(own);
	assert_content(PATH, "%s", "\n");
	ck_assert_int_eq(unlink("d/" PATH ".queue"), 0);
	ck_assert_int_eq(rmdir("d"), 0);
	ck_assert_int_eq(unlink(PATH), 0);
}

/* The one that waits is woken when it can be replaced. */
TEST(who_waits_for_a_file_that_cannot_be_removed_has_it_then)
{
	struct lockfile_pid *lock = begin(0);
	struct holder waiter = holder_start(PATH);

	holder_ask(&waiter, "lock");
	await_blocked(&waiter);
	steer_result("sys_unlinkat", EVERY, -EPERM);
	lockfile_pid_free(lock);
	ck_assert_int_eq(steer_count("sys_write"), 1);
	steer_reset();
	ck_assert_int_eq(holder_answer(&waiter), 0);
	holder_end(&waiter);
}

static const int gone[] = { ENOENT, ENOTDIR };

TEST_EACH(directory_that_is_gone_took_the_lock_with_it, gone)
{
	for (int way = 0; way < 2; way++) {
		struct lockfile_pid *lock = begin(way);

		const char *call = ways[way].closed ? "sys_openat" : "sys_fstatat";

		steer_result(call, 1, -gone[_i]);
		ck_assert_int_eq(lockfile_pid_verify(lock), ROGUE);
		steer_result(call, 1, -gone[_i]);
		ck_assert_int_eq(lockfile_pid_unlock(lock), ROGUE);
		end(lock);
	}
}

/* On another file system than before, which has a file of that name: this process's. */
TEST(file_of_that_name_on_another_device_is_not_ours)
{
	struct lockfile_pid *lock;

	steer_reset();
	ck_assert_int_eq(mkdir("there", 0700), 0);
	ck_assert_int_eq(symlink("there", "d"), 0);
	ck_assert_int_eq(lockfile_pid_new(&lock, "d/status"), 0);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	close(lock->file.descriptor.fd);
	ck_assert_int_eq(unlink("d"), 0);
	ck_assert_int_eq(symlink("/proc/self", "d"), 0);
	ck_assert_int_eq(lockfile_pid_verify(lock), ROGUE);
	ck_assert_int_eq(lockfile_pid_unlock(lock), ROGUE);
	assert_content("there/status", "%d\n", (int)getpid());
	lockfile_pid_free(lock);
	ck_assert_int_eq(unlink("there/status"), 0);
	ck_assert_int_eq(unlink("d"), 0);
	ck_assert_int_eq(rmdir("there"), 0);
}

/* Nothing can be said in it then, not even that we let go. */
TEST(free_without_descriptor_and_directory_leaves_the_file_as_it_is)
{
	int before = count_descriptors();
	struct lockfile_pid *lock;

	steer_reset();
	ck_assert_int_eq(mkdir("d", 0700), 0);
	ck_assert_int_eq(lockfile_pid_new(&lock, "d/" PATH), 0);
	ck_assert_int_eq(lockfile_pid_set_inheritable(lock, 1), 0);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	close(lock->file.descriptor.fd);
	ck_assert_int_eq(rename("d", "moved"), 0);
	steer_reset();
	lockfile_pid_free(lock);
	ck_assert_int_eq(steer_count("sys_fsetxattr"), 0);
	ck_assert_int_eq(count_descriptors(), before);
	assert_content("moved/" PATH, "%d\n", (int)getpid());
	ck_assert_str_eq(list_dir("moved"), PATH " ");
	ck_assert_int_eq(unlink("moved/" PATH), 0);
	ck_assert_int_eq(rmdir("moved"), 0);
}

/* The mark is there, so that the next one takes it over. */
static const struct {
	const char *call;
	int error;
} obstacles[] = { { "sys_is_write_locked", EIO }, { "sys_unlinkat", EPERM } };

TEST_EACH(inheritable_file_that_free_cannot_remove_is_stale, obstacles)
{
	struct lockfile_pid *lock = begin(4);
	pid_t pid;

	if (!lock->file.has_attribute) {
		end(lock);
		SKIP("no user attributes here");
	}
	steer_reset();
	steer_result(obstacles[_i].call, 1, -obstacles[_i].error);
	lockfile_pid_free(lock);
	steer_reset();
	ck_assert_str_eq(list_dir("."), PATH " ");
	ck_assert_int_eq(lockfile_pid_new(&lock, PATH), 0);
	ck_assert_int_eq(lockfile_pid_check(lock, &pid), LOCKFILE_PID_ERR_PROCESS_DEAD);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	end(lock);
}

TEST_EACH(who_holds_is_told_and_who_has_lost_it_locks_anew, ways)
{
	struct lockfile_pid *lock = begin(_i);

	ck_assert_int_eq(lockfile_pid_trylock(lock), BUSY);
	ck_assert_int_eq(lockfile_pid_timedlock(lock, 1), -EDEADLK);
	ck_assert_int_eq(lockfile_pid_wait_begin(lock), -EDEADLK);
	ck_assert_int_eq(lockfile_pid_verify(lock), 0);
	remove_it();
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(lockfile_pid_verify(lock), 0);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	end(lock);
}

TEST(without_descriptor_there_is_no_number_to_tell)
{
	struct lockfile_pid *lock = begin(1);

	ck_assert_int_eq(lockfile_pid_verify(lock), 0);
	ck_assert_int_eq(lockfile_pid_fileno(lock), -EBADF);
	end(lock);
}

/* It vanishes between the check and the removal. */

TEST_EACH(file_that_vanishes_meanwhile_was_not_removed_by_us, ways)
{
	struct lockfile_pid *lock = begin(_i);

	steer_reset();
	steer_no_tmpfile(ways[_i].no_tmpfile);
	do_before("sys_unlinkat", 1, remove_it);
	ck_assert_int_eq(lockfile_pid_unlock(lock), ROGUE);
	end(lock);
}

/* With /proc, and without, where the directory is opened first. */
static const struct {
	const char *call;
	int nth;
	bool no_proc;
} looks[] = { { "sys_open_path", 1, false },
	      { "sys_reopen", 1, false },
	      { "sys_openat", 2, true } };

static void (*const vanishings[])(void) = {
	remove_it,
	replace_it,
	replace_it_by_a_directory,
	replace_it_by_a_fifo,
	replace_it_by_a_socket,
	replace_it_by_a_link_to_nothing,
	replace_it_by_a_link,
};

TEST_EACH(file_that_goes_while_it_is_looked_at_is_not_ours, vanishings)
{
	for (size_t i = 0; i < sizeof(looks) / sizeof(looks[0]); i++) {
		struct lockfile_pid *lock = begin(1);

		steer_reset();
		if (looks[i].no_proc)
			steer_result("sys_reopen", EVERY, -ENOENT);
		do_before(looks[i].call, looks[i].nth, vanishings[_i]);
		ck_assert_int_eq(lockfile_pid_unlock(lock), ROGUE);
		ck_assert_int_eq(exists(PATH), vanishings[_i] != remove_it);
		remove(PATH);
		remove("moved");
		end(lock);
	}
}

/* Its inode number may be that of ours, given again. */
TEST(file_of_a_stranger_with_our_number_is_not_touched)
{
	struct lockfile_pid *lock;

	SKIP_UNLESS_ROOT();
	lock = begin(1);
	ck_assert_int_eq(chown(PATH, 65533, 65533), 0);
	ck_assert_int_eq(chmod(".", 01777), 0);
	steer_reset();
	ck_assert_int_eq(lockfile_pid_verify(lock), ROGUE);
	ck_assert_int_eq(steer_count("sys_reopen"), 0);
	ck_assert_int_eq(lockfile_pid_unlock(lock), ROGUE);
	ck_assert_int_eq(steer_count("sys_reopen"), 0);
	ck_assert_int_eq(chmod(".", 0755), 0);
	ck_assert_int_eq(unlink(PATH), 0);
	end(lock);
}

TEST(failure_to_tell_whether_a_file_is_a_strangers_is_told)
{
	struct lockfile_pid *lock;
	int before;

	SKIP_UNLESS_ROOT();
	lock = begin(1);
	before = count_descriptors();
	ck_assert_int_eq(chown(PATH, 65533, 65533), 0);
	steer_reset();
	steer_result("sys_fstatat", 1, -EIO);
	ck_assert_int_eq(lockfile_pid_verify(lock), -EIO);
	ck_assert_int_eq(steer_count("sys_reopen"), 0);
	ck_assert_int_eq(count_descriptors(), before);
	steer_reset();
	ck_assert_int_eq(lockfile_pid_verify(lock), 0);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	end(lock);
}

/* What was our own is a stranger's by now, and the next holder leaves it, too. */
TEST(free_leaves_an_inheritable_file_that_was_given_to_a_stranger)
{
	struct lockfile_pid *lock;

	SKIP_UNLESS_ROOT();
	skip_without_attributes();
	lock = begin(4);
	ck_assert_int_eq(chown(PATH, 65533, 65533), 0);
	ck_assert_int_eq(chmod(".", 01777), 0);
	lockfile_pid_free(lock);
	ck_assert_str_eq(list_dir("."), PATH " ");
	ck_assert_int_eq(unlink(PATH), 0);
	/* in any other directory it is ours to remove */
	ck_assert_int_eq(chmod(".", 0755), 0);
	lock = begin(4);
	ck_assert_int_eq(chown(PATH, 65533, 65533), 0);
	lockfile_pid_free(lock);
	assert_nothing_left();
}

/* Without a descriptor others may take over what has no kernel lock. */

static void assert_we_have_the_right(void)
{
	ck_assert(exists(TAKEOVER));
}

static const int closed_ways[] = { 1, 3 };

TEST_EACH(without_descriptor_the_file_is_removed_with_the_right_to_replace, closed_ways)
{
	struct lockfile_pid *lock = begin(closed_ways[_i]);

	do_before("sys_unlinkat", 1, assert_we_have_the_right);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	ck_assert_int_eq(steer_count("sys_unlinkat"), 2);
	end(lock);
}

TEST_EACH(file_that_was_taken_over_before_we_had_the_right_is_kept, closed_ways)
{
	struct lockfile_pid *lock = begin(closed_ways[_i]);

	/* the look at it with the right: the first reads the attribute before */
	steer_reset();
	steer_no_tmpfile(ways[closed_ways[_i]].no_tmpfile);
	do_before("sys_fsetxattr", 1, replace_it);
	ck_assert_int_eq(lockfile_pid_unlock(lock), ROGUE);
	assert_content(PATH, "1\n");
	ck_assert_str_eq(list_dir("."), PATH " ");
	end(lock);
}

TEST_EACH(who_keeps_the_right_is_waited_for, closed_ways)
{
	struct lockfile_pid *lock = begin(closed_ways[_i]);
	int before = count_descriptors(), fd;

	write_file(TAKEOVER, "");
	fd = forge_lock(TAKEOVER);
	steer_reset();
	steer_no_tmpfile(ways[closed_ways[_i]].no_tmpfile);
	steer_result("sys_poll", EVERY, 0); /* time flies */
	ck_assert_int_eq(lockfile_pid_unlock(lock), -EAGAIN);
	ck_assert_int_ge(steer_count("sys_poll"), 100);
	ck_assert_str_eq(list_dir("."), PATH " " TAKEOVER " ");
	close(fd);
	ck_assert_int_eq(lockfile_pid_verify(lock), 0);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	ck_assert_int_lt(count_descriptors(), before + 1);
	end(lock);
}

static void let_go(void)
{
	ck_assert_int_eq(unlink(TAKEOVER), 0);
}

TEST_EACH(who_gives_up_the_right_in_time_lets_us_unlock, closed_ways)
{
	struct lockfile_pid *lock = begin(closed_ways[_i]);
	int fd;

	write_file(TAKEOVER, "");
	fd = forge_lock(TAKEOVER);
	steer_reset();
	steer_no_tmpfile(ways[closed_ways[_i]].no_tmpfile);
	steer_result("sys_poll", EVERY, 0);
	do_before("sys_poll", 3, let_go);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	ck_assert_int_eq(steer_count("sys_poll"), 3);
	close(fd);
	end(lock);
}

TEST(without_descriptor_and_attribute_nothing_can_be_proved)
{
	struct lockfile_pid *lock;

	steer_reset();
	steer_result("sys_fsetxattr", EVERY, -EOPNOTSUPP);
	ck_assert_int_eq(lockfile_pid_new(&lock, PATH), 0);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	close(lock->file.descriptor.fd);
	ck_assert_int_eq(lockfile_pid_verify(lock), ROGUE);
	ck_assert_int_eq(lockfile_pid_unlock(lock), ROGUE);
	ck_assert(exists(PATH));
	end(lock);
}

TEST(child_of_a_raw_clone_holds_nothing)
{
	struct lockfile_pid *lock = begin(0);
	pid_t pid = raw_fork();
	int status;

	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		_exit(lockfile_pid_verify(lock) != ROGUE || lockfile_pid_unlock(lock) != ROGUE ||
		      lockfile_pid_fileno(lock) != -EBADF || lockfile_pid_trylock(lock) != BUSY);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(lockfile_pid_verify(lock), 0);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	end(lock);
}

TEST(file_is_removed_before_its_lock_is_let_go)
{
	struct lockfile_pid *lock = begin(0);

	steer_reset();
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	ck_assert_str_eq(steer_trace(), "lseek fstatat fstatat pread unlinkat fstatat close_two ");
	end(lock);
}

/* No descriptor can be had, in the process or in the system. */

static const struct {
	int way, error;
} full_tables[] = { { 0, EMFILE }, { 0, ENFILE }, { 4, EMFILE }, { 4, ENFILE } };

TEST_EACH(a_lock_is_verified_and_released_without_a_new_descriptor, full_tables)
{
	int before = count_descriptors();
	struct lockfile_pid *lock = begin(full_tables[_i].way);

	steer_reset();
	steer_result("sys_openat", EVERY, -full_tables[_i].error);
	ck_assert_int_eq(lockfile_pid_verify(lock), 0);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	ck_assert_int_eq(steer_count("sys_openat"), 0);
	ck_assert_int_eq(count_descriptors(), before);
	end(lock);
}

/* Of an inheritable one, free looks whether a child has it; to look takes a descriptor. */
TEST_EACH(a_lock_is_given_back_without_a_new_descriptor, full_tables)
{
	struct lockfile_pid *lock = begin(full_tables[_i].way);
	bool inheritable = ways[full_tables[_i].way].inheritable;

	steer_reset();
	steer_result("sys_openat", EVERY, -full_tables[_i].error);
	steer_result("sys_open_path", EVERY, -full_tables[_i].error);
	lockfile_pid_free(lock);
	steer_reset();
	ck_assert_str_eq(list_dir("."), inheritable ? PATH " " : "");
	ck_assert_int_eq(lockfile_pid_new(&lock, PATH), 0);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	end(lock);
}

/* To wake a waiter takes a descriptor: then it is that of the lock file. */
TEST_EACH(with_no_descriptor_left_the_waiter_is_woken_after_the_close, full_tables)
{
	struct lockfile_pid *lock = begin(0);
	struct holder waiter = holder_start(PATH);

	holder_ask(&waiter, "lock");
	await_blocked(&waiter);
	steer_reset();
	steer_result("sys_openat", 1, -full_tables[_i].error);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	ck_assert_int_eq(steer_count("sys_write"), 1);
	steer_reset();
	ck_assert_int_eq(holder_answer(&waiter), 0);
	holder_end(&waiter);
	end(lock);
}

/* Nor is one needed by who waited for the lock; all of the wait is closed. */
TEST(a_lock_that_was_waited_for_is_released_without_a_new_descriptor)
{
	struct holder other = holder_start(PATH);
	int before = count_descriptors();
	struct lockfile_pid *lock;

	steer_reset();
	lock = new_lock(PATH);
	ck_assert_int_eq(holder_do(&other, "trylock"), 0);
	ck_assert_int_eq(lockfile_pid_wait_begin(lock), BUSY);
	ck_assert_int_eq(holder_do(&other, "unlock"), 0);
	ck_assert_int_eq(lockfile_pid_wait_continue(lock), 0);
	ck_assert_int_eq(count_descriptors(), before + 2);
	steer_result("sys_openat", EVERY, -EMFILE);
	ck_assert_int_eq(lockfile_pid_verify(lock), 0);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	steer_reset();
	ck_assert_int_eq(count_descriptors(), before);
	holder_end(&other);
	end(lock);
}

/* The directory that is kept. */

static int numbers[2];

static struct lockfile_pid *hold_in(const char *path)
{
	struct lockfile_pid *lock;

	steer_reset();
	ck_assert_int_eq(lockfile_pid_new(&lock, path), 0);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	return lock;
}

static const bool also_given_away[] = { false, true };

TEST_EACH(with_its_directory_closed_externally_a_lock_is_released_by_name, also_given_away)
{
	struct lockfile_pid *lock = begin(0);
	int number = lock->dir.fd, own = -1;

	ck_assert_int_eq(close(number), 0);
	if (also_given_away[_i]) {
		own = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		ck_assert_int_eq(own, number);
	}
	ck_assert_int_eq(lockfile_pid_verify(lock), 0);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	assert_nothing_left();
	ck_assert_int_eq(fcntl(number, F_GETFD), own >= 0 ? FD_CLOEXEC : -1);
	if (own >= 0)
		close(own);
	end(lock);
}

/* What the program opened there is never closed, even if it is the same directory. */
TEST(a_lost_lock_closes_no_directory_of_the_programs_own)
{
	struct lockfile_pid *lock = begin(0);
	int number = lock->dir.fd, own;

	ck_assert_int_eq(close(number), 0);
	own = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_eq(own, number);
	remove_it();
	ck_assert_int_eq(lockfile_pid_unlock(lock), ROGUE);
	ck_assert_int_eq(fcntl(number, F_GETFD), FD_CLOEXEC);
	close(own);
	end(lock);
}

/* All were closed, and another handle has got the numbers. */
TEST(a_lost_lock_closes_no_directory_of_another_handle)
{
	struct lockfile_pid *lock = begin(0), *other;
	int number = lock->dir.fd;

	ck_assert_int_eq(close(lock->file.descriptor.fd), 0);
	ck_assert_int_eq(close(number), 0);
	remove_it();
	other = hold_in("other.pid");
	ck_assert_int_eq(other->dir.fd, number);
	ck_assert_int_eq(lockfile_pid_unlock(lock), ROGUE);
	ck_assert_int_eq(fcntl(number, F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(lockfile_pid_unlock(other), 0);
	ck_assert_int_eq(fcntl(number, F_GETFD), -1);
	lockfile_pid_free(other);
	end(lock);
}

/* The directory was moved and made again, and our file was put there by hand. */
TEST(in_the_directory_that_was_kept_another_file_of_that_name_is_kept)
{
	struct lockfile_pid *lock;

	ck_assert_int_eq(mkdir("d", 0700), 0);
	lock = hold_in("d/" PATH);
	ck_assert_int_eq(rename("d", "moved"), 0);
	ck_assert_int_eq(mkdir("d", 0700), 0);
	ck_assert_int_eq(rename("moved/" PATH, "d/" PATH), 0);
	write_file("moved/" PATH, "1\n");
	ck_assert_int_eq(lockfile_pid_verify(lock), 0);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	ck_assert_str_eq(list_dir("d"), "");
	assert_content("moved/" PATH, "1\n");
	ck_assert_int_eq(unlink("moved/" PATH), 0);
	ck_assert_int_eq(rmdir("moved"), 0);
	ck_assert_int_eq(rmdir("d"), 0);
	end(lock);
}

/* With the number of ours, if it can be given: each tmpfs counts for itself. */
static void mount_file_of_that_number(const char *name, ino_t ino)
{
	struct stat st = { .st_ino = 0 };
	char other[32];

	mount_tmpfs("other", "size=1m");
	for (int i = 0; i < 64 && st.st_ino != ino; i++) {
		snprintf(other, sizeof(other), "other/%d", i);
		write_file(other, "1\n");
		ck_assert_int_eq(stat(other, &st), 0);
	}
	write_file(name, "");
	ck_assert_int_eq(mount(other, name, "none", MS_BIND, ""), 0);
}

TEST(in_the_directory_that_was_kept_a_file_of_another_device_is_kept)
{
	struct lockfile_pid *lock;

	steer_reset();
	private_mounts();
	mount_tmpfs("m", "size=1m");
	ck_assert_int_eq(mkdir("m/d", 0700), 0);
	lock = hold_in("m/d/" PATH);
	ck_assert_int_eq(rename("m/d", "m/moved"), 0);
	ck_assert_int_eq(mkdir("m/d", 0700), 0);
	ck_assert_int_eq(rename("m/moved/" PATH, "m/d/" PATH), 0);
	mount_file_of_that_number("m/moved/" PATH, lock->file.ino);
	ck_assert_int_eq(lockfile_pid_verify(lock), 0);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	ck_assert_str_eq(list_dir("m/d"), "");
	assert_content("m/moved/" PATH, "1\n");
	unmount("m/moved/" PATH);
	unmount("other");
	unmount("m");
	ck_assert_int_eq(rmdir("other"), 0);
	ck_assert_int_eq(rmdir("m"), 0);
	end(lock);
}

/* A new one of that name is opened while another moves our file away. */
static void move_it_from_d(void)
{
	ck_assert_int_eq(rename("d/" PATH, "elsewhere"), 0);
	write_file("d/" PATH, "1\n");
}

TEST(what_takes_the_name_while_the_directory_is_opened_is_kept)
{
	int before = count_descriptors();
	struct lockfile_pid *lock;

	ck_assert_int_eq(mkdir("d", 0700), 0);
	lock = hold_in("d/" PATH);
	ck_assert_int_eq(close(lock->dir.fd), 0);
	do_before("sys_openat", 1, move_it_from_d);
	ck_assert_int_eq(lockfile_pid_unlock(lock), ROGUE);
	ck_assert_int_eq(count_descriptors(), before);
	assert_content("d/" PATH, "1\n");
	ck_assert_int_eq(unlink("d/" PATH), 0);
	ck_assert_int_eq(unlink("elsewhere"), 0);
	ck_assert_int_eq(rmdir("d"), 0);
	end(lock);
}

TEST(a_directory_that_cannot_be_opened_is_not_kept)
{
	struct lockfile_pid *lock;

	steer_reset();
	lock = new_lock(PATH);
	steer_result("sys_openat", 1, -EACCES);
	ck_assert_int_eq(lockfile_pid_trylock(lock), -EACCES);
	ck_assert_int_eq(lock->dir.fd, -1);
	end(lock);
}

TEST(a_directory_that_cannot_be_opened_again_is_told)
{
	struct lockfile_pid *lock = begin(0);

	ck_assert_int_eq(close(lock->dir.fd), 0);
	steer_result("sys_openat", 1, -EACCES);
	ck_assert_int_eq(lockfile_pid_unlock(lock), -EACCES);
	steer_reset();
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	end(lock);
}

/* A child has the directory of an inheritable lock alone. */

static void look_for_copies(void *argument)
{
	const struct lockfile_pid *lock = argument;
	int expected_flags = lock->inheritable ? FD_CLOEXEC : -1;

	REQUIRE(fcntl(numbers[0], F_GETFD) == expected_flags);
	REQUIRE(fcntl(numbers[1], F_GETFD) == expected_flags);
}

static const int fork_ways[] = { 0, 4 };

TEST_EACH(a_child_has_copies_of_what_is_inheritable_only, fork_ways)
{
	struct lockfile_pid *lock = begin(fork_ways[_i]);

	numbers[0] = lock->file.descriptor.fd;
	numbers[1] = lock->dir.fd;
	ck_assert_int_eq(in_child(look_for_copies, lock), 0);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	end(lock);
}

/* It adopts by name, and has the lock file, its directory and the spare then. */
static void adopt_without_descriptors(void *argument)
{
	struct lockfile_pid *lock = argument;
	int before;

	REQUIRE(close(lock->file.descriptor.fd) == 0 && close(lock->dir.fd) == 0);
	REQUIRE(lockfile_pid_set_inheritable(lock, 1) == 0);
	before = count_descriptors();
	steer_result("sys_rename", 1, -EIO);
	REQUIRE(lockfile_pid_adopt(lock) == -EIO);
	/* the spare was made */
	REQUIRE(count_descriptors() == before + 1);
	steer_reset();
	REQUIRE(lockfile_pid_adopt(lock) == 0);
	REQUIRE(count_descriptors() == before + 3);
	REQUIRE(lockfile_pid_unlock(lock) == 0);
	REQUIRE(count_descriptors() == before);
}

TEST(a_child_that_adopts_without_descriptors_leaks_none)
{
	struct lockfile_pid *lock = begin(4);

	skip_without_attributes();
	ck_assert_int_eq(in_child(adopt_without_descriptors, lock), 0);
	assert_nothing_left();
	end(lock);
}

/* That it is lost is seen before the right to remove it is waited for. */
TEST(a_changed_file_is_lost_whoever_keeps_the_right_to_replace_it)
{
	struct lockfile_pid *lock = begin(4);
	int fd;

	write_file(TAKEOVER, "");
	fd = forge_lock(TAKEOVER);
	change_it();
	ck_assert_int_eq(lockfile_pid_unlock(lock), ROGUE);
	close(fd);
	ck_assert_int_eq(unlink(TAKEOVER), 0);
	end(lock);
}

/* After chroot(2) */

static void (*in_the_old_root)(void);
static bool loses_directory;
static int expected;

static void nothing(void)
{
}

static void replace_in_d(void)
{
	ck_assert_int_eq(chdir("d"), 0);
	replace_it();
	ck_assert_int_eq(chdir(".."), 0);
}

static void remove_in_d(void)
{
	ck_assert_int_eq(unlink("d/" PATH), 0);
}

static void release_in_another_root(void *argument)
{
	struct lockfile_pid *lock = hold_in("d/" PATH);
	int outside;

	(void)argument;
	in_the_old_root();
	if (loses_directory)
		REQUIRE(close(lock->dir.fd) == 0);
	outside = enter_root("root");
	REQUIRE(chdir("/") == 0);
	REQUIRE(lockfile_pid_verify(lock) == expected);
	REQUIRE(lockfile_pid_unlock(lock) == expected);
	REQUIRE(lockfile_pid_unlock(lock) == ROGUE);
	lockfile_pid_free(lock);
	leave_root(outside);
}

static const struct {
	void (*in_the_old_root)(void);
	bool loses_directory;
	int expected;
	const char *left;
} roots[] = {
	{ nothing, false, 0, "" },
	{ remove_in_d, false, ROGUE, "" },
	{ replace_in_d, false, ROGUE, PATH " " },
	/* nothing leads there any more; the next one takes it over */
	{ nothing, true, ROGUE, PATH " " },
};

TEST_EACH(after_chroot_our_file_in_our_directory_decides, roots)
{
	SKIP_UNLESS_ROOT();
	ck_assert_int_eq(mkdir("d", 0700), 0);
	ck_assert_int_eq(mkdir("root", 0700), 0);
	in_the_old_root = roots[_i].in_the_old_root;
	loses_directory = roots[_i].loses_directory;
	expected = roots[_i].expected;
	ck_assert_int_eq(in_child(release_in_another_root, NULL), 0);
	ck_assert_str_eq(list_dir("d"), roots[_i].left);
	if (roots[_i].loses_directory) {
		struct lockfile_pid *lock = hold_in("d/" PATH);

		ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
		lockfile_pid_free(lock);
	}
	unlink("d/" PATH);
	ck_assert_int_eq(rmdir("d"), 0);
	ck_assert_int_eq(rmdir("root"), 0);
}

/* The new root is the same directory by another mount, where nothing is mounted at d. */
static void release_under_another_mount(void *argument)
{
	struct lockfile_pid *lock = hold_in("d/" PATH);

	(void)argument;
	REQUIRE(unshare(CLONE_NEWNS) == 0 && make_mounts_private() == 0);
	REQUIRE(mount("/", "root", "none", MS_BIND, "") == 0);
	REQUIRE(chroot("root") == 0 && chdir("/") == 0);
	REQUIRE(lockfile_pid_verify(lock) == 0);
	REQUIRE(lockfile_pid_unlock(lock) == 0);
	lockfile_pid_free(lock);
}

TEST(a_root_is_another_by_its_mount)
{
	if (sys_mount_id("/") == 0)
		SKIP("the kernel does not tell of which mount a file is");
	private_mounts();
	ck_assert_int_eq(mkdir("root", 0700), 0);
	mount_tmpfs("d", "size=1m");
	ck_assert_int_eq(in_child(release_under_another_mount, NULL), 0);
	ck_assert_str_eq(list_dir("d"), "");
	unmount("d");
	ck_assert_int_eq(rmdir("d"), 0);
	ck_assert_int_eq(rmdir("root"), 0);
}

/* A child that left the root, or lost its privileges, and adopts then. */

static struct lockfile_pid *hold_inheritably_in_d(mode_t mode)
{
	struct lockfile_pid *lock;

	steer_reset();
	ck_assert_int_eq(mkdir("d", 0700), 0);
	ck_assert_int_eq(chmod("d", mode), 0);
	lock = new_lock("d/" PATH);
	ck_assert_int_eq(lockfile_pid_set_inheritable(lock, 1), 0);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	return lock;
}

static void adopt_in_another_root(void *argument)
{
	struct lockfile_pid *lock = argument;
	char content[16] = "";
	int there = open("d/", O_PATH | O_CLOEXEC), outside = enter_root("root"), fd;

	REQUIRE(chdir("/") == 0);
	REQUIRE(lockfile_pid_adopt(lock) == 0);
	fd = openat(there, PATH, O_RDONLY | O_CLOEXEC);
	REQUIRE(read(fd, content, sizeof(content) - 1) > 0 && atoi(content) == (int)getpid());
	REQUIRE(lockfile_pid_verify(lock) == 0);
	REQUIRE(lockfile_pid_adopt(lock) == 0);
	REQUIRE(lockfile_pid_unlock(lock) == 0);
	REQUIRE(faccessat(there, PATH, F_OK, 0) < 0 && errno == ENOENT);
	leave_root(outside);
}

TEST(a_lock_is_adopted_after_chroot)
{
	struct lockfile_pid *lock;

	SKIP_UNLESS_ROOT();
	lock = hold_inheritably_in_d(0755);
	ck_assert_int_eq(mkdir("root", 0700), 0);
	ck_assert_int_eq(in_child(adopt_in_another_root, lock), 0);
	ck_assert_int_eq(lockfile_pid_unlock(lock), ROGUE);
	ck_assert_str_eq(list_dir("d"), "");
	ck_assert_int_eq(rmdir("root"), 0);
	ck_assert_int_eq(rmdir("d"), 0);
	end(lock);
}

static const struct {
	mode_t directory;
	int adopted;
} places[] = { { 0777, 0 }, { 01777, -EPERM }, { 0755, -EACCES }, { 0700, -EACCES } };

static void adopt_as_nobody(void *argument)
{
	const struct given {
		struct lockfile_pid *lock;
		int expected;
	} *given = argument;

	REQUIRE(lockfile_pid_adopt(given->lock) == given->expected);
	/* what was inherited is kept */
	REQUIRE(lockfile_pid_adopt(given->lock) == given->expected);
	if (given->expected == 0)
		REQUIRE(lockfile_pid_unlock(given->lock) == 0);
}

TEST_EACH(after_setuid_the_directory_decides_who_adopts, places)
{
	struct {
		struct lockfile_pid *lock;
		int expected;
	} given = { .expected = places[_i].adopted };

	SKIP_UNLESS_ROOT();
	ck_assert_int_eq(chmod(".", 0755), 0);
	given.lock = hold_inheritably_in_d(places[_i].directory);
	/* in a sticky directory neither the file nor the directory is the child's */
	ck_assert_int_eq(as_nobody(adopt_as_nobody, &given), 0);
	ck_assert_int_eq(lockfile_pid_unlock(given.lock), given.expected == 0 ? ROGUE : 0);
	ck_assert_str_eq(list_dir("d"), "");
	lockfile_pid_free(given.lock);
	ck_assert_int_eq(rmdir("d"), 0);
	assert_nothing_left();
}

/* In the same root what PATH leads to counts, as always. */
TEST(a_directory_that_is_moved_is_lost_in_the_same_root)
{
	struct lockfile_pid *lock;

	ck_assert_int_eq(mkdir("d", 0700), 0);
	lock = hold_in("d/" PATH);
	ck_assert_int_eq(rename("d", "moved"), 0);
	ck_assert_int_eq(lockfile_pid_verify(lock), ROGUE);
	ck_assert_int_eq(lockfile_pid_unlock(lock), ROGUE);
	assert_content("moved/" PATH, "%d\n", (int)getpid());
	ck_assert_int_eq(unlink("moved/" PATH), 0);
	ck_assert_int_eq(rmdir("moved"), 0);
	end(lock);
}

/* It has another name, by which a backup keeps it, for example. */
TEST(a_file_that_has_another_name_is_abandoned_there)
{
	struct holder other = holder_start("other.pid");
	struct lockfile_pid *lock = begin(0);

	skip_without_attributes();
	ck_assert_int_eq(link(PATH, "other.pid"), 0);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	ck_assert_int_eq(holder_do(&other, "trylock"), 0);
	ck_assert_int_eq(holder_do(&other, "unlock"), 0);
	holder_end(&other);
	end(lock);
}

/* A failure of must_unlock: what it says, and that it aborts. */

#define ABORTED 77

static void leave(int signal)
{
	(void)signal;
	_exit(ABORTED);
}

static void must_unlock(void *lock)
{
	int fd = open("said", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	signal(SIGABRT, leave);
	dup2(fd, STDERR_FILENO);
	lockfile_pid_must_unlock(lock);
}

TEST_EACH(must_unlock_of_what_is_held_unlocks, ways)
{
	struct lockfile_pid *lock = begin(_i);

	lockfile_pid_must_unlock(lock);
	ck_assert_int_eq(lockfile_pid_verify(lock), ROGUE);
	end(lock);
}

TEST(must_unlock_says_why_and_aborts)
{
	struct lockfile_pid *lock = begin(0);

	ck_assert_int_eq(in_child(must_unlock, lock), ABORTED);
	/* the child does not hold it */
	ck_assert_str_eq(read_file("said"),
	                 "lockfile-pid: cannot unlock " PATH ": the lock file is not ours: "
	                 "removed, replaced or never held\n");
	ck_assert_int_eq(lockfile_pid_verify(lock), 0);
	ck_assert_int_eq(unlink("said"), 0);
	ck_assert_int_eq(in_child(must_unlock, NULL), ABORTED);
	ck_assert_str_eq(read_file("said"),
	                 "lockfile-pid: cannot unlock (null): Invalid argument\n");
	ck_assert_int_eq(unlink("said"), 0);
	end(lock);
}

static const struct {
	const char *call;
	int error;
} looks_for_another[] = {
	{ "sys_openat", -EMFILE }, /* the directory */
	{ "sys_link_fd", -EIO },   /* the takeover lock */
	{ "sys_open_path", -EIO }, /* the lock file */
};

/* By a handle that did not take the lock. */
TEST_EACH(release_for_another_process_that_cannot_look_is_an_error, looks_for_another)
{
	struct lockfile_pid *lock, *holder;

	steer_reset();
	ck_assert_int_eq(lockfile_pid_new(&holder, PATH), 0);
	ck_assert_int_eq(lockfile_pid_set_process(holder, getppid()), 0);
	ck_assert_int_eq(lockfile_pid_trylock(holder), 0);
	ck_assert_int_eq(lockfile_pid_new(&lock, PATH), 0);
	ck_assert_int_eq(lockfile_pid_set_process(lock, getppid()), 0);
	steer_result(looks_for_another[_i].call, EVERY, looks_for_another[_i].error);
	ck_assert_int_eq(lockfile_pid_unlock(lock), looks_for_another[_i].error);
	steer_reset();
	ck_assert_int_eq(lockfile_pid_verify(holder), 0);
	lockfile_pid_free(lock);
	ck_assert_int_eq(lockfile_pid_unlock(holder), 0);
	lockfile_pid_free(holder);
	assert_nothing_left();
}
