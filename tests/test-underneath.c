/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All descriptors were closed underneath, and their numbers are those of a file
 * of the program's own by now: of the lock file, of the spare that is kept for
 * its release, and of a candidate in line.
 */
#include <config.h>

#include "handle.h"
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <lockfile-pid.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#define PATH "x.pid"
#define OWN  "own"

static struct stat own_before;
static int numbers[2];

/* The file that gets the numbers. */

static void make_file(void)
{
	write_file(OWN, "contents");
	ck_assert_int_eq(chmod(OWN, 0644), 0);
}

/* As daemons open it for their input and output. */
static void make_null(void)
{
	mode_t before = umask(0);

	SKIP_UNLESS_ROOT();
	ck_assert_int_eq(mknod(OWN, S_IFCHR | 0666, makedev(1, 3)), 0);
	umask(before);
}

static void (*const makers[])(void) = { make_file, make_null };

static void close_numbers(void)
{
	for (int i = 0; i < 2; i++)
		if (numbers[i] >= 0)
			close(numbers[i]);
}

static void give_numbers_away(const struct lockfile_pid *lock)
{
	int fd = open(OWN, O_RDWR | O_CLOEXEC);

	REQUIRE(fd >= 0);
	numbers[0] = lock->file.descriptor.fd;
	numbers[1] = lock->spare.descriptor.fd;
	for (int i = 0; i < 2; i++)
		REQUIRE(numbers[i] < 0 || dup3(fd, numbers[i], O_CLOEXEC) == numbers[i]);
	REQUIRE(close(fd) == 0 && stat(OWN, &own_before) == 0);
}

/* Mode, content and number of names are part of its last change. */
static void require_untouched(void)
{
	struct stat now;

	for (int i = 0; i < 2; i++) {
		if (numbers[i] < 0)
			continue;
		REQUIRE(fstat(numbers[i], &now) == 0);
		REQUIRE(now.st_dev == own_before.st_dev && now.st_ino == own_before.st_ino);
		REQUIRE(now.st_mode == own_before.st_mode && now.st_nlink == 1);
		REQUIRE(now.st_ctim.tv_sec == own_before.st_ctim.tv_sec);
		REQUIRE(now.st_ctim.tv_nsec == own_before.st_ctim.tv_nsec);
		REQUIRE(lseek(numbers[i], 0, SEEK_CUR) == 0);
	}
}

/* What becomes of the lock */

static void unlock_it(struct lockfile_pid *lock)
{
	REQUIRE(lockfile_pid_verify(lock) == 0);
	REQUIRE(lockfile_pid_unlock(lock) == 0);
	require_untouched();
	lockfile_pid_free(lock);
}

/* The spare is made anew, with all that belongs to it. */
static void unlock_and_lock_it(struct lockfile_pid *lock)
{
	REQUIRE(lockfile_pid_unlock(lock) == 0);
	REQUIRE(lockfile_pid_trylock(lock) == 0);
	REQUIRE(pidfile_has_fd(&lock->file) && pidfile_has_fd(&lock->spare));
	REQUIRE(lockfile_pid_unlock(lock) == 0);
	lockfile_pid_free(lock);
}

static void adopt_and_unlock_it(struct lockfile_pid *lock)
{
	REQUIRE(lockfile_pid_adopt(lock) == 0);
	require_untouched();
	/* what was adopted is not inheritable, and takes no spare */
	REQUIRE(pidfile_has_fd(&lock->file) && !pidfile_exists(&lock->spare));
	unlock_it(lock);
}

static void adopt_it_after(pid_t (*make_child)(void), struct lockfile_pid *lock)
{
	pid_t pid = make_child();
	int status = -1;

	if (pid == 0) {
		adopt_and_unlock_it(lock);
		require_untouched();
		_exit(0);
	}
	REQUIRE(waitpid(pid, &status, 0) == pid && status == 0);
	REQUIRE(lockfile_pid_unlock(lock) == LOCKFILE_PID_ERR_ROGUE_DELETION);
	lockfile_pid_free(lock);
}

static void adopt_it(struct lockfile_pid *lock)
{
	adopt_it_after(fork, lock);
}

static void adopt_it_raw(struct lockfile_pid *lock)
{
	adopt_it_after(raw_fork, lock);
}

/* A child that adopted loses its descriptors as well. */
static void adopt_it_and_lose_descriptors(struct lockfile_pid *lock)
{
	pid_t pid = fork();
	int status = -1;

	if (pid == 0) {
		REQUIRE(lockfile_pid_adopt(lock) == 0);
		close_numbers();
		give_numbers_away(lock);
		unlock_it(lock);
		require_untouched();
		_exit(0);
	}
	REQUIRE(waitpid(pid, &status, 0) == pid && status == 0);
	lockfile_pid_free(lock);
}

static void (*const ends[])(struct lockfile_pid *) = {
	unlock_it, unlock_and_lock_it, lockfile_pid_free,
	adopt_it,  adopt_it_raw,       adopt_it_and_lose_descriptors,
};

struct row {
	void (*end)(struct lockfile_pid *);
	bool low; /* in a program that was started without the numbers 0 and 1 */
};

static void lose_descriptors_and_end(void *argument)
{
	const struct row *row = argument;
	struct lockfile_pid *lock = new_lock(PATH);

	REQUIRE(lockfile_pid_set_inheritable(lock, 1) == 0);
	if (row->low)
		REQUIRE(close(0) == 0 && close(1) == 0);
	REQUIRE(lockfile_pid_trylock(lock) == 0);
	give_numbers_away(lock);
	REQUIRE(numbers[0] > STDERR_FILENO && numbers[1] > STDERR_FILENO);
	row->end(lock);
	require_untouched();
	REQUIRE(!exists(PATH));
}

TEST_EACH(an_inheritable_lock_is_let_go_of_without_a_word_to_the_programs_own_file, ends)
{
	skip_without_attributes();
	for (size_t i = 0; i < sizeof(makers) / sizeof(makers[0]); i++) {
		for (int low = 0; low < 2; low++) {
			struct row row = { ends[_i], low };

			makers[i]();
			ck_assert_int_eq(in_child(lose_descriptors_and_end, &row), 0);
			ck_assert_str_eq(list_dir("."), OWN " ");
			ck_assert_int_eq(unlink(OWN), 0);
		}
	}
}

/* Nobody has it meanwhile, and then the next one. */
TEST(a_contender_gets_it_when_it_was_let_go_of_and_no_sooner)
{
	struct lockfile_pid *lock = new_lock(PATH);
	struct holder contender = holder_start(PATH);

	skip_without_attributes();
	make_file();
	ck_assert_int_eq(lockfile_pid_set_inheritable(lock, 1), 0);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	give_numbers_away(lock);
	ck_assert_int_eq(holder_do(&contender, "trylock"), LOCKFILE_PID_ERR_BUSY);
	holder_ask(&contender, "lock");
	await_blocked(&contender);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	ck_assert_int_eq(holder_answer(&contender), 0);
	assert_content(PATH, "%d\n", contender.pid);
	require_untouched();
	holder_end(&contender);
	lockfile_pid_free(lock);
	close_numbers();
	ck_assert_int_eq(unlink(OWN), 0);
}

/* One in line has a candidate ready, if it is the first, and a spare. */

static const bool inheritable[] = { false, true };

TEST_EACH(a_candidate_in_line_that_is_the_programs_own_file_takes_nothing_over, inheritable)
{
	struct lockfile_pid *lock = new_lock(PATH);
	struct holder holder = holder_start(PATH);

	make_file();
	ck_assert_int_eq(lockfile_pid_set_inheritable(lock, inheritable[_i]), 0);
	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	ck_assert_int_eq(lockfile_pid_wait_begin(lock), LOCKFILE_PID_ERR_BUSY);
	ck_assert(pidfile_exists(&lock->file));
	give_numbers_away(lock);
	holder_kill(&holder);
	ck_assert_int_eq(lockfile_pid_wait_continue(lock), 0);
	ck_assert_int_eq(lockfile_pid_verify(lock), 0);
	assert_content(PATH, "%d\n", (int)getpid());
	require_untouched();
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	lockfile_pid_free(lock);
	require_untouched();
	close_numbers();
	ck_assert_int_eq(unlink(OWN), 0);
}

TEST_EACH(a_candidate_in_line_that_is_the_programs_own_file_is_not_created, inheritable)
{
	struct lockfile_pid *lock = new_lock(PATH);
	struct holder holder = holder_start(PATH);

	make_file();
	ck_assert_int_eq(lockfile_pid_set_inheritable(lock, inheritable[_i]), 0);
	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	ck_assert_int_eq(lockfile_pid_wait_begin(lock), LOCKFILE_PID_ERR_BUSY);
	ck_assert(pidfile_exists(&lock->file));
	give_numbers_away(lock);
	ck_assert_int_eq(holder_do(&holder, "unlock"), 0);
	ck_assert_int_eq(lockfile_pid_wait_continue(lock), 0);
	ck_assert_int_eq(lockfile_pid_verify(lock), 0);
	assert_content(PATH, "%d\n", (int)getpid());
	require_untouched();
	holder_end(&holder);
	lockfile_pid_free(lock);
	close_numbers();
	ck_assert_int_eq(unlink(OWN), 0);
}
