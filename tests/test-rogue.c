/* SPDX-License-Identifier: BSD-2-Clause */
/* What others do to a held lock file, and a file that its holder cannot remove. */
#include <config.h>

#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <lockfile-pid.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#define ATTRIBUTE "user.lockfile_pid"

static void remove_it(void)
{
	ck_assert_int_eq(unlink("x.pid"), 0);
}

static void replace_it(void)
{
	write_file("new", "1\n");
	ck_assert_int_eq(rename("new", "x.pid"), 0);
}

static void copy_attribute(const char *from, const char *to)
{
	char value[256];
	ssize_t size = getxattr(from, ATTRIBUTE, value, sizeof(value));

	if (size >= 0)
		ck_assert_int_eq(setxattr(to, ATTRIBUTE, value, (size_t)size, 0), 0);
	else
		ck_assert(errno == EOPNOTSUPP || errno == ENODATA);
}

/* As cp --archive does. */
static void replace_by_a_copy(void)
{
	struct timespec times[2];
	struct stat st;

	ck_assert_int_eq(stat("x.pid", &st), 0);
	write_file("copy", read_file("x.pid"));
	copy_attribute("x.pid", "copy");
	times[0] = st.st_atim;
	times[1] = st.st_mtim;
	ck_assert_int_eq(utimensat(AT_FDCWD, "copy", times, 0), 0);
	ck_assert_int_eq(rename("copy", "x.pid"), 0);
}

/* Another digit, and the old time. */
static void change_content(void)
{
	struct timespec times[2];
	struct stat st;
	int fd = open("x.pid", O_RDWR | O_CLOEXEC);
	char digit;

	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(pread(fd, &digit, 1, 0), 1);
	ck_assert_int_eq(pwrite(fd, digit == '1' ? "2" : "1", 1, 0), 1);
	times[0] = st.st_atim;
	times[1] = st.st_mtim;
	ck_assert_int_eq(futimens(fd, times), 0);
	close(fd);
}

static void append_to_it(void)
{
	int fd = open("x.pid", O_WRONLY | O_APPEND | O_CLOEXEC);

	ck_assert_int_eq(write(fd, "\n", 1), 1);
	close(fd);
}

static void cut_it(void)
{
	struct stat st;

	ck_assert_int_eq(stat("x.pid", &st), 0);
	ck_assert_int_eq(truncate("x.pid", st.st_size - 1), 0);
}

static void empty_it(void)
{
	ck_assert_int_eq(truncate("x.pid", 0), 0);
}

static void replace_by_a_link_to_it(void)
{
	ck_assert_int_eq(rename("x.pid", "y.pid"), 0);
	ck_assert_int_eq(symlink("y.pid", "x.pid"), 0);
}

static void replace_by_a_directory(void)
{
	remove_it();
	ck_assert_int_eq(mkdir("x.pid", 0755), 0);
}

static void replace_by_a_fifo(void)
{
	remove_it();
	ck_assert_int_eq(mkfifo("x.pid", 0644), 0);
}

static void (*const tampers[])(void) = {
	remove_it, replace_it, replace_by_a_copy,       change_content,         append_to_it,
	cut_it,    empty_it,   replace_by_a_link_to_it, replace_by_a_directory, replace_by_a_fifo,
};

struct sight {
	bool exists;
	struct stat st;
	char content[64];
};

static struct sight look(void)
{
	struct sight sight = { .exists = lstat("x.pid", &sight.st) == 0 };

	if (sight.exists && S_ISREG(sight.st.st_mode))
		snprintf(sight.content, sizeof(sight.content), "%s", read_file("x.pid"));
	return sight;
}

static void assert_unchanged(const struct sight *before)
{
	struct sight now = look();

	ck_assert_int_eq(now.exists, before->exists);
	ck_assert_str_eq(now.content, before->content);
	if (!now.exists)
		return;
	ck_assert_uint_eq(now.st.st_ino, before->st.st_ino);
	ck_assert_uint_eq(now.st.st_mode, before->st.st_mode);
}

static void clean_up(void)
{
	ck_assert(remove("x.pid") == 0 || errno == ENOENT);
	ck_assert(remove("y.pid") == 0 || errno == ENOENT);
}

TEST_EACH(verify_notices_what_unlock_leaves_alone, tampers)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	int descriptors = count_descriptors();
	struct sight sight;

	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	tampers[_i]();
	sight = look();
	ck_assert_int_eq(lockfile_pid_verify(lock), LOCKFILE_PID_ERR_ROGUE_DELETION);
	assert_unchanged(&sight);
	ck_assert_int_eq(lockfile_pid_unlock(lock), LOCKFILE_PID_ERR_ROGUE_DELETION);
	assert_unchanged(&sight);
	ck_assert_int_eq(lockfile_pid_fileno(lock), -EBADF);
	ck_assert_int_eq(count_descriptors(), descriptors);
	ck_assert_int_eq(lockfile_pid_unlock(lock), LOCKFILE_PID_ERR_ROGUE_DELETION);
	assert_unchanged(&sight);
	clean_up();
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	lockfile_pid_free(lock);
}

TEST_EACH(free_leaves_alone_what_is_not_ours, tampers)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	int descriptors = count_descriptors();
	struct sight sight;

	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	tampers[_i]();
	sight = look();
	lockfile_pid_free(lock);
	assert_unchanged(&sight);
	ck_assert_int_eq(count_descriptors(), descriptors);
	clean_up();
}

TEST(a_lock_is_had_again_after_a_rogue_deletion_without_an_unlock)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	int descriptors = count_descriptors();

	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
		remove_it();
		ck_assert_int_eq(lockfile_pid_lock(lock), 0);
		remove_it();
		ck_assert_int_eq(lockfile_pid_timedlock(lock, 0), 0);
		ck_assert_int_eq(lockfile_pid_verify(lock), 0);
		ck_assert_int_eq(count_descriptors(), descriptors + 2);
		ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	}
	lockfile_pid_free(lock);
}

TEST(after_a_rogue_deletion_another_may_hold_and_is_left_alone)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	struct holder other = holder_start("x.pid");

	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	remove_it();
	ck_assert_int_eq(holder_do(&other, "trylock"), 0);
	ck_assert_int_eq(lockfile_pid_verify(lock), LOCKFILE_PID_ERR_ROGUE_DELETION);
	ck_assert_int_eq(lockfile_pid_trylock(lock), LOCKFILE_PID_ERR_BUSY);
	ck_assert_int_eq(lockfile_pid_unlock(lock), LOCKFILE_PID_ERR_ROGUE_DELETION);
	lockfile_pid_free(lock);
	ck_assert_int_eq(holder_do(&other, "verify"), 0);
	holder_end(&other);
}

/* Another link to the file takes nothing away. */
TEST(a_second_name_of_the_file_does_no_harm)
{
	struct lockfile_pid *lock = new_lock("x.pid");

	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(link("x.pid", "y.pid"), 0);
	ck_assert_int_eq(lockfile_pid_verify(lock), 0);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	ck_assert_str_eq(list_dir("."), "y.pid ");
	clean_up();
	lockfile_pid_free(lock);
}

struct unlocking {
	struct lockfile_pid *lock;
	int output;
};

static void must_unlock_in_child(void *argument)
{
	struct unlocking *u = argument;
	struct rlimit no_core = { 0, 0 };

	setrlimit(RLIMIT_CORE, &no_core);
	dup2(u->output, STDERR_FILENO);
	if (u->lock)
		REQUIRE(lockfile_pid_trylock(u->lock) == 0);
	if (u->lock && exists("tamper"))
		remove_it();
	lockfile_pid_must_unlock(u->lock);
}

static int must_unlock_says(struct lockfile_pid *lock, char text[256])
{
	struct unlocking u = { .lock = lock };
	int ends[2], status;
	ssize_t n;

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	u.output = ends[1];
	status = in_child(must_unlock_in_child, &u);
	close(ends[1]);
	n = read(ends[0], text, 255);
	ck_assert_int_ge(n, 0);
	text[n] = '\0';
	close(ends[0]);
	return status;
}

TEST(must_unlock_is_silent_when_all_is_well)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	char text[256];

	ck_assert_int_eq(must_unlock_says(lock, text), 0);
	ck_assert_str_eq(text, "");
	assert_nothing_left();
	lockfile_pid_free(lock);
}

TEST(must_unlock_says_what_and_why_and_aborts)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	char text[256];

	write_file("tamper", "");
	ck_assert_int_eq(must_unlock_says(lock, text), 128 + SIGABRT);
	ck_assert_ptr_nonnull(strstr(text, "x.pid"));
	ck_assert_ptr_nonnull(strstr(text, lockfile_pid_strerror(LOCKFILE_PID_ERR_ROGUE_DELETION)));
	ck_assert_int_eq(unlink("tamper"), 0);
	lockfile_pid_free(lock);
}

TEST(must_unlock_of_nothing_aborts)
{
	char text[256];

	ck_assert_int_eq(must_unlock_says(NULL, text), 128 + SIGABRT);
	ck_assert_ptr_nonnull(strstr(text, lockfile_pid_strerror(-EINVAL)));
}

static void fail_to_unlock(void *argument)
{
	struct lockfile_pid *lock;
	int fd;

	(void)argument;
	REQUIRE(lockfile_pid_new(&lock, "x.pid") == 0);
	REQUIRE(lockfile_pid_trylock(lock) == 0);
	fd = lockfile_pid_fileno(lock);
	lose_permission();
	for (int i = 0; i < 2; i++) {
		REQUIRE(lockfile_pid_unlock(lock) == -EACCES);
		REQUIRE(lockfile_pid_verify(lock) == 0);
		REQUIRE(lockfile_pid_fileno(lock) == fd);
		REQUIRE(lockfile_pid_trylock(lock) == LOCKFILE_PID_ERR_BUSY);
		REQUIRE(lockfile_pid_lock(lock) == -EDEADLK);
		REQUIRE(lockfile_pid_set_mode(lock, 0600) == -EBUSY);
	}
	lockfile_pid_free(lock);
	REQUIRE(fcntl(fd, F_GETFD) == -1);
}

TEST(who_fails_to_unlock_remains_the_holder_and_free_leaves_a_lone_newline)
{
	struct lockfile_pid *lock = new_lock("x.pid");

	ck_assert_int_eq(in_child(fail_to_unlock, NULL), 0);
	ck_assert_int_eq(chmod(".", 0700), 0);
	assert_content("x.pid", "\n");
	ck_assert_int_eq(lockfile_pid_check(lock, NULL), LOCKFILE_PID_ERR_INVALID_PID);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	assert_content("x.pid", "%d\n", getpid());
	lockfile_pid_free(lock);
}

static void fail_to_unlock_in_sticky(void *argument)
{
	struct lockfile_pid *lock;

	(void)argument;
	REQUIRE(lockfile_pid_new(&lock, "x.pid") == 0);
	REQUIRE(lockfile_pid_trylock(lock) == 0);
	REQUIRE(setresuid(NOBODY, NOBODY, NOBODY) == 0);
	REQUIRE(lockfile_pid_unlock(lock) == -EPERM);
	REQUIRE(lockfile_pid_verify(lock) == 0);
	lockfile_pid_free(lock);
}

TEST(in_a_sticky_directory_unlock_after_a_change_of_user_is_eperm)
{
	struct lockfile_pid *lock = new_lock("x.pid");

	SKIP_UNLESS_ROOT();
	ck_assert_int_eq(chmod(".", 01777), 0);
	/* so that the directory's owner is neither */
	ck_assert_int_eq(chown(".", 12345, 12345), 0);
	ck_assert_int_eq(in_child(fail_to_unlock_in_sticky, NULL), 0);
	assert_content("x.pid", "\n");
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	lockfile_pid_free(lock);
}

static const struct {
	int (*notice)(struct lockfile_pid *lock);
	int expected;
} losses[] = {
	{ lockfile_pid_unlock, LOCKFILE_PID_ERR_ROGUE_DELETION },
	{ lockfile_pid_trylock, -ENOENT },
	{ lockfile_pid_wait_begin, -ENOENT },
	{ lockfile_pid_adopt, LOCKFILE_PID_ERR_ROGUE_DELETION },
};

/* Its holder says that it has nothing, and the file is not that of a holder either. */
TEST_EACH(what_is_lost_as_its_directory_was_renamed_is_free_there, losses)
{
	struct lockfile_pid *lock;
	struct holder other;

	skip_without_attributes();
	ck_assert_int_eq(mkdir("d", 0755), 0);
	lock = new_lock("d/x.pid");
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(rename("d", "e"), 0);
	ck_assert_int_eq(losses[_i].notice(lock), losses[_i].expected);
	other = holder_start("e/x.pid");
	ck_assert_int_eq(holder_do(&other, "trylock"), 0);
	ck_assert_int_eq(holder_do(&other, "unlock"), 0);
	holder_end(&other);
	lockfile_pid_free(lock);
	ck_assert_int_eq(rmdir("e"), 0);
}

TEST(what_is_lost_with_its_descriptor_marks_nobodys_file)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	int fd, other;

	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	fd = lockfile_pid_fileno(lock);
	other = open("other", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_eq(dup3(other, fd, O_CLOEXEC), fd);
	ck_assert_int_eq(unlink("x.pid"), 0);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_ne(lockfile_pid_fileno(lock), fd);
	ck_assert_int_lt(fgetxattr(fd, ATTRIBUTE, NULL, 0), 0);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	ck_assert_int_eq(close(fd) + close(other), 0);
	ck_assert_int_eq(unlink("other"), 0);
	lockfile_pid_free(lock);
}
