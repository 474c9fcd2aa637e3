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

#include <errno.h>
#include <fcntl.h>
#include <lockfile-pid.h>
#include <signal.h>
#include <stdio.h>
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

/* Errors: the lock is still ours. */

static const struct {
	int way;
	const char *call;
	int nth, error;
} failures[] = {
	{ 0, "sys_openat", 1, EACCES },   { 0, "sys_openat", 1, EMFILE },
	{ 0, "sys_fstatat", 1, EIO },     { 0, "sys_pread", 1, EIO },
	{ 0, "sys_unlinkat", 1, EACCES }, { 0, "sys_unlinkat", 1, EPERM },
	{ 0, "sys_unlinkat", 1, EROFS },  { 0, "sys_unlinkat", 1, EIO },
	{ 1, "sys_openat", 1, EACCES },   { 1, "sys_openat", 2, EACCES },
	{ 1, "sys_fstatat", 1, EIO },     { 1, "sys_fgetxattr", 2, EIO },
	{ 1, "sys_pread", 1, EIO },       { 1, "sys_openat", 3, ENOSPC },
	{ 1, "sys_link_fd", 1, EROFS },   { 1, "sys_openat", 4, EMFILE },
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

TEST(file_that_cannot_be_removed_is_emptied_by_free)
{
	struct lockfile_pid *lock = begin(0);

	steer_result("sys_unlinkat", EVERY, -EPERM);
	lockfile_pid_free(lock);
	steer_reset();
	assert_content(PATH, "%s", "");
	unlink(PATH);
}

static const int gone[] = { ENOENT, ENOTDIR };

TEST_EACH(directory_that_is_gone_took_the_lock_with_it, gone)
{
	for (int way = 0; way < 2; way++) {
		struct lockfile_pid *lock = begin(way);

		steer_result("sys_openat", 1, -gone[_i]);
		ck_assert_int_eq(lockfile_pid_verify(lock), ROGUE);
		steer_result("sys_openat", 1, -gone[_i]);
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

TEST_EACH(file_that_vanishes_meanwhile_was_not_removed_by_us, ways)
{
	struct lockfile_pid *lock = begin(_i);

	steer_reset();
	steer_no_tmpfile(ways[_i].no_tmpfile);
	do_before("sys_unlinkat", 1, remove_it);
	ck_assert_int_eq(lockfile_pid_unlock(lock), ROGUE);
	end(lock);
}

static const struct {
	const char *call;
	int nth;
} looks[] = { { "sys_fstatat", 1 }, { "sys_openat", 2 } };

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
		do_before(looks[i].call, looks[i].nth, vanishings[_i]);
		ck_assert_int_eq(lockfile_pid_unlock(lock), ROGUE);
		ck_assert_int_eq(exists(PATH), vanishings[_i] != remove_it);
		remove(PATH);
		remove("moved");
		end(lock);
	}
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
	ck_assert_str_eq(steer_trace(), "openat lseek fstatat pread unlinkat fstatat close close ");
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
