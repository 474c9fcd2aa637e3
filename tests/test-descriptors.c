/* SPDX-License-Identifier: BSD-2-Clause */
/* Descriptors that are closed underneath, given to others, or leaked. */
#include <config.h>

#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <lockfile-pid.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

static const char *const closings[] = { "closefrom", "close_range" };

TEST_EACH(a_holder_whose_descriptors_were_closed_still_holds, closings)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	struct holder holder = holder_start("x.pid");
	pid_t pid = 0;

	skip_without_attributes();
	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	ck_assert_int_eq(holder_do(&holder, closings[_i]), 0);
	ck_assert_int_eq(lockfile_pid_trylock(lock), LOCKFILE_PID_ERR_BUSY);
	ck_assert_int_eq(lockfile_pid_check(lock, &pid), LOCKFILE_PID_ERR_BUSY);
	ck_assert_int_eq(pid, holder.pid);
	ck_assert_int_eq(lockfile_pid_timedlock(lock, 30), -ETIMEDOUT);
	ck_assert_int_eq(holder_do(&holder, "verify"), 0);
	ck_assert_int_eq(holder_do(&holder, "trylock"), LOCKFILE_PID_ERR_BUSY);
	ck_assert_int_eq(holder_do(&holder, "lock"), -EDEADLK);
	ck_assert_int_eq(holder_do(&holder, "unlock"), 0);
	assert_nothing_left();
	ck_assert_int_eq(holder_do(&holder, "unlock"), LOCKFILE_PID_ERR_ROGUE_DELETION);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	holder_end(&holder);
	lockfile_pid_free(lock);
}

TEST(free_releases_a_lock_whose_descriptor_was_closed)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	struct holder holder = holder_start("x.pid");

	skip_without_attributes();
	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	ck_assert_int_eq(holder_do(&holder, "closefrom"), 0);
	ck_assert_int_eq(holder_do(&holder, "free"), 0);
	assert_nothing_left();
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	holder_end(&holder);
	lockfile_pid_free(lock);
}

TEST(a_dead_holder_whose_descriptors_were_closed_is_taken_over)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	struct holder holder = holder_start("x.pid");

	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	ck_assert_int_eq(holder_do(&holder, "closefrom"), 0);
	holder_kill(&holder);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	lockfile_pid_free(lock);
}

TEST(a_waiter_has_the_lock_that_was_released_without_a_descriptor)
{
	struct holder holder = holder_start("x.pid"), waiter = holder_start("x.pid");

	skip_without_attributes();
	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	ck_assert_int_eq(holder_do(&holder, "closefrom"), 0);
	holder_ask(&waiter, "lock");
	await_blocked(&waiter);
	ck_assert_int_eq(holder_do(&holder, "unlock"), 0);
	ck_assert_int_eq(holder_answer(&waiter), 0);
	holder_end(&holder);
	holder_end(&waiter);
}

/* The number of the lock file's descriptor goes to a file of the program's own. */
static int give_number_away(struct lockfile_pid *lock)
{
	int number = lockfile_pid_fileno(lock);
	int fd = open("mine", O_CREAT | O_RDWR | O_CLOEXEC, 0600);

	ck_assert_int_eq(write(fd, "contents", 8), 8);
	ck_assert_int_eq(dup3(fd, number, O_CLOEXEC), number);
	close(fd);
	return number;
}

static void assert_own_file_untouched(int number)
{
	struct stat by_number, by_name;

	ck_assert_int_eq(fstat(number, &by_number), 0);
	ck_assert_int_eq(stat("mine", &by_name), 0);
	ck_assert_uint_eq(by_number.st_ino, by_name.st_ino);
	ck_assert_int_eq(lseek(number, 0, SEEK_CUR), 8);
	ck_assert_str_eq(read_file("mine"), "contents");
}

static void unlock_it(struct lockfile_pid *lock)
{
	ck_assert_int_eq(lockfile_pid_verify(lock), 0);
	ck_assert_int_eq(lockfile_pid_fileno(lock), -EBADF);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	ck_assert_int_eq(lockfile_pid_unlock(lock), LOCKFILE_PID_ERR_ROGUE_DELETION);
	lockfile_pid_free(lock);
}

static void lock_it_again(struct lockfile_pid *lock)
{
	ck_assert_int_eq(lockfile_pid_trylock(lock), LOCKFILE_PID_ERR_BUSY);
	ck_assert_int_eq(unlink("x.pid"), 0);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	lockfile_pid_free(lock);
}

static void lose_it_and_unlock(struct lockfile_pid *lock)
{
	ck_assert_int_eq(unlink("x.pid"), 0);
	ck_assert_int_eq(lockfile_pid_verify(lock), LOCKFILE_PID_ERR_ROGUE_DELETION);
	ck_assert_int_eq(lockfile_pid_unlock(lock), LOCKFILE_PID_ERR_ROGUE_DELETION);
	lockfile_pid_free(lock);
}

static void (*const ends[])(struct lockfile_pid *lock) = {
	unlock_it,
	lockfile_pid_free,
	lock_it_again,
	lose_it_and_unlock,
};

TEST_EACH(a_reused_descriptor_number_is_neither_closed_nor_written, ends)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	int number;

	skip_without_attributes();
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	number = give_number_away(lock);
	ends[_i](lock);
	assert_own_file_untouched(number);
	close(number);
	ck_assert_int_eq(unlink("mine"), 0);
	assert_nothing_left();
}

struct given_away {
	struct lockfile_pid *lock;
	int number;
};

static void free_in_child(void *argument)
{
	struct given_away *g = argument;

	REQUIRE(lseek(g->number, 0, SEEK_CUR) == 8);
	lockfile_pid_free(g->lock);
	REQUIRE(lseek(g->number, 0, SEEK_CUR) == 8);
}

TEST(a_child_does_not_close_a_reused_descriptor_number)
{
	struct given_away g = { .lock = new_lock("x.pid") };

	skip_without_attributes();
	ck_assert_int_eq(lockfile_pid_trylock(g.lock), 0);
	g.number = give_number_away(g.lock);
	ck_assert_int_eq(in_child(free_in_child, &g), 0);
	ck_assert_int_eq(lockfile_pid_verify(g.lock), 0);
	lockfile_pid_free(g.lock);
	assert_own_file_untouched(g.number);
	close(g.number);
	ck_assert_int_eq(unlink("mine"), 0);
}

/* Moved by a program that inherited the descriptor, say. */
TEST(a_moved_file_offset_takes_nothing_away)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	struct holder other = holder_start("x.pid");

	skip_without_attributes();
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(lseek(lockfile_pid_fileno(lock), 0, SEEK_SET) < 0, 0);
	ck_assert_int_eq(lockfile_pid_verify(lock), 0);
	ck_assert_int_eq(holder_do(&other, "trylock"), LOCKFILE_PID_ERR_BUSY);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	ck_assert_int_eq(holder_do(&other, "trylock"), 0);
	holder_end(&other);
	lockfile_pid_free(lock);
}

TEST(handles_whose_descriptor_numbers_were_exchanged_keep_apart)
{
	struct lockfile_pid *a = new_lock("a.pid"), *b = new_lock("b.pid");
	struct holder other = holder_start("a.pid");
	int fd_a, fd_b, spare;

	skip_without_attributes();
	ck_assert_int_eq(lockfile_pid_trylock(a), 0);
	ck_assert_int_eq(lockfile_pid_trylock(b), 0);
	fd_a = lockfile_pid_fileno(a);
	fd_b = lockfile_pid_fileno(b);
	spare = fcntl(fd_a, F_DUPFD_CLOEXEC, 0);
	ck_assert_int_eq(dup3(fd_b, fd_a, O_CLOEXEC), fd_a);
	ck_assert_int_eq(dup3(spare, fd_b, O_CLOEXEC), fd_b);
	close(spare);
	ck_assert_int_eq(lockfile_pid_verify(a), 0);
	ck_assert_int_eq(lockfile_pid_verify(b), 0);
	ck_assert_int_eq(holder_do(&other, "trylock"), LOCKFILE_PID_ERR_BUSY);
	ck_assert_int_eq(lockfile_pid_unlock(a), 0);
	ck_assert_str_eq(list_dir("."), "b.pid ");
	ck_assert_int_eq(lockfile_pid_verify(b), 0);
	ck_assert_int_eq(holder_do(&other, "trylock"), 0);
	ck_assert_int_eq(lockfile_pid_unlock(b), 0);
	ck_assert_int_eq(holder_do(&other, "verify"), 0);
	ck_assert_int_eq(fcntl(fd_a, F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(fcntl(fd_b, F_GETFD), FD_CLOEXEC);
	close(fd_a);
	close(fd_b);
	holder_end(&other);
	lockfile_pid_free(a);
	lockfile_pid_free(b);
}

TEST(a_handle_that_got_the_number_of_another_keeps_its_lock)
{
	struct lockfile_pid *a = new_lock("a.pid"), *b = new_lock("b.pid");
	struct holder other = holder_start("b.pid");
	int number, place = open(".", O_PATH | O_CLOEXEC);

	skip_without_attributes();
	ck_assert_int_eq(lockfile_pid_trylock(a), 0);
	number = lockfile_pid_fileno(a);
	/* one for the directory, one for the lock file */
	close(place);
	close(number);
	ck_assert_int_eq(lockfile_pid_trylock(b), 0);
	ck_assert_int_eq(lockfile_pid_fileno(b), number);
	ck_assert_int_eq(lockfile_pid_fileno(a), -EBADF);
	ck_assert_int_eq(lockfile_pid_verify(a), 0);
	ck_assert_int_eq(lockfile_pid_unlock(a), 0);
	ck_assert_int_eq(lockfile_pid_fileno(b), number);
	ck_assert_int_eq(lockfile_pid_verify(b), 0);
	ck_assert_int_eq(holder_do(&other, "trylock"), LOCKFILE_PID_ERR_BUSY);
	lockfile_pid_free(a);
	ck_assert_int_eq(lockfile_pid_verify(b), 0);
	ck_assert_int_eq(lockfile_pid_unlock(b), 0);
	holder_end(&other);
	lockfile_pid_free(b);
}

static int succeed(struct lockfile_pid *lock)
{
	int r = lockfile_pid_trylock(lock);

	return r < 0 ? r : lockfile_pid_unlock(lock);
}

static int lose(struct lockfile_pid *lock)
{
	int r = lockfile_pid_trylock(lock);

	unlink("x.pid");
	return r < 0 ? r : lockfile_pid_unlock(lock);
}

static int take_over(struct lockfile_pid *lock)
{
	write_file("x.pid", "\n");
	return succeed(lock);
}

static int meet_a_directory(struct lockfile_pid *lock)
{
	int r;

	ck_assert_int_eq(mkdir("x.pid", 0755), 0);
	r = lockfile_pid_trylock(lock);
	ck_assert_int_eq(rmdir("x.pid"), 0);
	return r;
}

static int meet_a_link(struct lockfile_pid *lock)
{
	int r;

	ck_assert_int_eq(symlink("y", "x.pid"), 0);
	r = lockfile_pid_trylock(lock);
	ck_assert_int_eq(unlink("x.pid"), 0);
	return r;
}

static int be_busy(struct lockfile_pid *lock)
{
	struct lockfile_pid *second = new_lock("x.pid");
	int r = lockfile_pid_trylock(lock);

	ck_assert_int_eq(r, 0);
	r = lockfile_pid_trylock(second);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	lockfile_pid_free(second);
	return r;
}

static int check_it(struct lockfile_pid *lock)
{
	pid_t pid;
	int r;

	write_file("x.pid", "1\n");
	r = lockfile_pid_check(lock, &pid);
	ck_assert_int_eq(unlink("x.pid"), 0);
	return r;
}

static int forget(struct lockfile_pid *lock)
{
	struct lockfile_pid *second = new_lock("x.pid");
	int r = lockfile_pid_trylock(second);

	(void)lock;
	lockfile_pid_free(second);
	return r;
}

static const struct {
	int (*cycle)(struct lockfile_pid *lock);
	int expected;
} cycles[] = {
	{ succeed, 0 },
	{ lose, LOCKFILE_PID_ERR_ROGUE_DELETION },
	{ take_over, 0 },
	{ meet_a_directory, LOCKFILE_PID_ERR_INVALID_PID },
	{ meet_a_link, LOCKFILE_PID_ERR_INVALID_PID },
	{ be_busy, LOCKFILE_PID_ERR_BUSY },
	{ check_it, LOCKFILE_PID_ERR_BUSY },
	{ forget, 0 },
};

TEST_EACH(no_descriptor_leaks_over_1000_cycles, cycles)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	int descriptors = count_descriptors();

	for (int i = 0; i < 1000; i++) {
		ck_assert_int_eq(cycles[_i].cycle(lock), cycles[_i].expected);
		assert_nothing_left();
	}
	ck_assert_int_eq(count_descriptors(), descriptors);
	lockfile_pid_free(lock);
	ck_assert_int_eq(count_descriptors(), descriptors);
}

TEST(no_descriptor_leaks_over_1000_failures_for_lack_of_a_directory)
{
	struct lockfile_pid *lock = new_lock("no/x.pid");
	int descriptors = count_descriptors();
	pid_t pid;

	for (int i = 0; i < 1000; i++) {
		ck_assert_int_eq(lockfile_pid_trylock(lock), -ENOENT);
		ck_assert_int_eq(lockfile_pid_check(lock, &pid), -ENOENT);
	}
	ck_assert_int_eq(count_descriptors(), descriptors);
	lockfile_pid_free(lock);
}

static void fail_without_standard_input(void *argument)
{
	struct lockfile_pid *lock = argument;
	int descriptors;

	close(STDIN_FILENO);
	descriptors = count_descriptors();
	REQUIRE(lockfile_pid_trylock(lock) == LOCKFILE_PID_ERR_BUSY);
	REQUIRE(count_descriptors() == descriptors);
}

TEST(the_number_of_a_standard_stream_is_free_again)
{
	struct lockfile_pid *lock = new_lock("x.pid"), *other = new_lock("x.pid");

	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(in_child(fail_without_standard_input, other), 0);
	lockfile_pid_free(other);
	lockfile_pid_free(lock);
}
