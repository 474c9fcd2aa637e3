/* SPDX-License-Identifier: BSD-2-Clause */
/* Waiting in an event loop: a place in line, a descriptor to poll, and attempts. */
#include <config.h>

#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <lockfile-pid.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define ROUNDS  9
#define SLOW_MS 900

static bool is_readable(int fd, int timeout_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int r = poll(&p, 1, timeout_ms);

	ck_assert_int_ge(r, 0);
	ck_assert_int_eq(p.revents & ~POLLIN, 0);
	return r == 1;
}

/* As a loop does it; returns the milliseconds. */
static int loop_until_acquired(struct lockfile_pid *lock)
{
	int fd = lockfile_pid_wait_fd(lock), r;
	int64_t start = now_ms();

	do {
		ck_assert_int_eq(lockfile_pid_wait_fd(lock), fd);
		ck_assert(is_readable(fd, -1));
		r = lockfile_pid_wait_continue(lock);
	} while (r == LOCKFILE_PID_ERR_BUSY);
	ck_assert_int_eq(r, 0);
	return (int)(now_ms() - start);
}

static struct lockfile_pid *in_line(const char *path)
{
	struct lockfile_pid *lock = new_lock(path);

	ck_assert_int_eq(lockfile_pid_wait_begin(lock), LOCKFILE_PID_ERR_BUSY);
	ck_assert_int_ge(lockfile_pid_wait_fd(lock), 0);
	return lock;
}

static struct holder start_holding(const char *path)
{
	struct holder holder = holder_start(path);

	ck_assert_int_eq(holder_do(&holder, "lock"), 0);
	return holder;
}

/* Silent after an attempt; once in a while it is due by the clock, so try again. */
static bool is_silent(struct lockfile_pid *lock)
{
	for (int i = 0; i < 5; i++) {
		ck_assert_int_eq(lockfile_pid_wait_continue(lock), LOCKFILE_PID_ERR_BUSY);
		if (!is_readable(lockfile_pid_wait_fd(lock), 20))
			return true;
	}
	return false;
}

TEST(a_free_lock_is_acquired_at_once_and_without_a_line)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	int descriptors = count_descriptors();

	ck_assert_int_eq(lockfile_pid_wait_begin(lock), 0);
	ck_assert_int_eq(count_descriptors(), descriptors + 2);
	assert_content("x.pid", "%d\n", (int)getpid());
	ck_assert_str_eq(list_dir("."), "x.pid ");
	ck_assert_int_eq(lockfile_pid_wait_fd(lock), -EBADF);
	ck_assert_int_eq(lockfile_pid_wait_continue(lock), -EINVAL);
	ck_assert_int_eq(lockfile_pid_wait_cancel(lock), 0);
	ck_assert_int_eq(lockfile_pid_wait_begin(lock), -EDEADLK);
	ck_assert_int_eq(lockfile_pid_verify(lock), 0);
	lockfile_pid_free(lock);
}

TEST(a_handle_is_required)
{
	ck_assert_int_eq(lockfile_pid_wait_begin(NULL), -EINVAL);
	ck_assert_int_eq(lockfile_pid_wait_fd(NULL), -EINVAL);
	ck_assert_int_eq(lockfile_pid_wait_continue(NULL), -EINVAL);
	ck_assert_int_eq(lockfile_pid_wait_cancel(NULL), -EINVAL);
}

TEST(what_cannot_be_waited_for_is_told_by_begin)
{
	struct lockfile_pid *lock = new_lock("none/x.pid"), *dir = new_lock("dir");
	int descriptors = count_descriptors();

	ck_assert_int_eq(mkdir("dir", 0755), 0);
	ck_assert_int_eq(lockfile_pid_wait_begin(lock), -ENOENT);
	ck_assert_int_eq(lockfile_pid_wait_begin(dir), LOCKFILE_PID_ERR_INVALID_PID);
	ck_assert_int_eq(lockfile_pid_wait_fd(lock), -EBADF);
	ck_assert_int_eq(lockfile_pid_wait_fd(dir), -EBADF);
	ck_assert_int_eq(count_descriptors(), descriptors);
	ck_assert_int_eq(rmdir("dir"), 0);
	lockfile_pid_free(lock);
	lockfile_pid_free(dir);
}

TEST(in_line_other_uses_of_the_handle_are_refused_and_change_nothing)
{
	struct holder holder = start_holding("x.pid");
	struct lockfile_pid *lock = in_line("x.pid");
	int fd = lockfile_pid_wait_fd(lock);
	pid_t pid;

	ck_assert_int_eq(lockfile_pid_trylock(lock), -EINPROGRESS);
	ck_assert_int_eq(lockfile_pid_lock(lock), -EINPROGRESS);
	ck_assert_int_eq(lockfile_pid_timedlock(lock, 0), -EINPROGRESS);
	ck_assert_int_eq(lockfile_pid_timedlock(lock, 5), -EINPROGRESS);
	ck_assert_int_eq(lockfile_pid_unlock(lock), -EINPROGRESS);
	ck_assert_int_eq(lockfile_pid_wait_begin(lock), -EINPROGRESS);
	ck_assert_int_eq(lockfile_pid_set_mode(lock, 0600), -EBUSY);
	ck_assert_int_eq(lockfile_pid_set_mode(lock, 01600), -EINVAL);
	ck_assert_int_eq(lockfile_pid_fileno(lock), -EBADF);
	ck_assert_int_eq(lockfile_pid_verify(lock), LOCKFILE_PID_ERR_ROGUE_DELETION);
	ck_assert_int_eq(lockfile_pid_check(lock, &pid), LOCKFILE_PID_ERR_BUSY);
	ck_assert_int_eq(pid, holder.pid);
	ck_assert_int_eq(lockfile_pid_wait_fd(lock), fd);
	ck_assert_int_ne(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
	ck_assert_str_eq(list_dir("."), "x.pid x.pid.queue ");
	holder_end(&holder);
	loop_until_acquired(lock);
	lockfile_pid_free(lock);
}

TEST(the_descriptor_is_silent_while_nothing_happens)
{
	struct holder holder = start_holding("x.pid");
	struct lockfile_pid *lock = in_line("x.pid");

	ck_assert(is_silent(lock));
	lockfile_pid_free(lock);
	holder_end(&holder);
}

TEST(the_descriptor_is_readable_now_and_then_even_so)
{
	struct holder holder = start_holding("x.pid");
	struct lockfile_pid *lock = in_line("x.pid");

	for (int i = 0; i < 2; i++) {
		ck_assert(is_readable(lockfile_pid_wait_fd(lock), -1));
		ck_assert_int_eq(lockfile_pid_wait_continue(lock), LOCKFILE_PID_ERR_BUSY);
	}
	lockfile_pid_free(lock);
	holder_end(&holder);
}

static void let_end(struct holder *holder)
{
	holder_end(holder);
}

static void (*const ends[])(struct holder *) = { let_end, holder_kill };

static int compare(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

TEST_EACH(the_descriptor_is_readable_at_once_on_release_and_on_death, ends)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	int took[ROUNDS];

	if (ends[_i] == holder_kill)
		skip_without_pidfds();
	for (int round = 0; round < ROUNDS; round++) {
		struct holder holder = start_holding("x.pid");

		ck_assert_int_eq(lockfile_pid_wait_begin(lock), LOCKFILE_PID_ERR_BUSY);
		ends[_i](&holder);
		took[round] = loop_until_acquired(lock);
		ck_assert_int_eq(lockfile_pid_wait_fd(lock), -EBADF);
		ck_assert_str_eq(list_dir("."), "x.pid ");
		ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	}
	qsort(took, ROUNDS, sizeof(*took), compare);
	ck_assert_int_lt(took[ROUNDS / 2], SLOW_MS / 2);
	lockfile_pid_free(lock);
}

TEST(cancel_leaves_the_line_and_what_was_refused_is_possible_again)
{
	struct holder holder = start_holding("x.pid");
	int descriptors = count_descriptors();
	struct lockfile_pid *lock = in_line("x.pid");

	ck_assert_int_eq(lockfile_pid_wait_cancel(lock), 0);
	ck_assert_int_eq(count_descriptors(), descriptors);
	ck_assert_str_eq(list_dir("."), "x.pid ");
	ck_assert_int_eq(lockfile_pid_wait_cancel(lock), 0);
	ck_assert_int_eq(lockfile_pid_wait_fd(lock), -EBADF);
	ck_assert_int_eq(lockfile_pid_set_mode(lock, 0600), 0);
	ck_assert_int_eq(lockfile_pid_trylock(lock), LOCKFILE_PID_ERR_BUSY);
	ck_assert_int_eq(lockfile_pid_wait_begin(lock), LOCKFILE_PID_ERR_BUSY);
	holder_end(&holder);
	loop_until_acquired(lock);
	lockfile_pid_free(lock);
}

TEST(free_leaves_the_line)
{
	struct holder holder = start_holding("x.pid");
	int descriptors = count_descriptors();

	lockfile_pid_free(in_line("x.pid"));
	ck_assert_int_eq(count_descriptors(), descriptors);
	ck_assert_str_eq(list_dir("."), "x.pid ");
	holder_end(&holder);
}

TEST(the_descriptor_can_be_nested_in_another_epoll)
{
	struct holder holder = start_holding("x.pid");
	struct lockfile_pid *lock = in_line("x.pid");
	struct epoll_event event = { .events = EPOLLIN };
	int epoll = epoll_create1(EPOLL_CLOEXEC), r;

	ck_assert_int_eq(epoll_ctl(epoll, EPOLL_CTL_ADD, lockfile_pid_wait_fd(lock), &event), 0);
	holder_end(&holder);
	do {
		ck_assert_int_eq(epoll_wait(epoll, &event, 1, -1), 1);
		r = lockfile_pid_wait_continue(lock);
	} while (r == LOCKFILE_PID_ERR_BUSY);
	ck_assert_int_eq(r, 0);
	ck_assert_int_eq(epoll_wait(epoll, &event, 1, 0), 0);
	close(epoll);
	lockfile_pid_free(lock);
}

/*
 * A loop that asks our descriptor itself takes the events from it.  In a child by
 * clone(2) the holder's descriptors, and its kernel lock, live on.
 */
static int hold_with_a_copy(void *argument)
{
	const int *pipe = argument;
	struct lockfile_pid *lock;
	pid_t copy;

	REQUIRE(lockfile_pid_new(&lock, "x.pid") == 0 && lockfile_pid_trylock(lock) == 0);
	copy = raw_fork();
	while (copy == 0)
		pause();
	REQUIRE(write(pipe[1], &copy, sizeof(copy)) == sizeof(copy));
	while (true)
		pause();
}

static pid_t start_holder_with_a_copy(pid_t *ret_copy)
{
	int fds[2];
	pid_t pid;

	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	pid = checked_fork();
	if (pid == 0)
		_exit(hold_with_a_copy(fds));
	ck_assert_int_eq(read(fds[0], ret_copy, sizeof(*ret_copy)), sizeof(*ret_copy));
	close(fds[0]);
	close(fds[1]);
	return pid;
}

static void take_events(int fd)
{
	struct epoll_event events[8];

	ck_assert_int_gt(epoll_wait(fd, events, 8, -1), 0);
}

/* Of the waiter: nobody, or a child with copies of its descriptors, its pidfd among them. */
static const bool with_copies[] = { false, true };

TEST_EACH(a_loop_that_takes_the_events_itself_is_told_of_the_death_of_the_holder, with_copies)
{
	pid_t copy, holder, child = 0;
	struct lockfile_pid *lock;
	struct epoll_event event;

	skip_without_pidfds();
	skip_without_attributes();
	holder = start_holder_with_a_copy(&copy);
	lock = in_line("x.pid");
	ck_assert(is_silent(lock));
	if (with_copies[_i]) {
		child = raw_fork();
		while (child == 0)
			pause();
	}
	kill_child(holder);
	/* the event is there, and is taken; nothing is left for wait_continue() to see */
	take_events(lockfile_pid_wait_fd(lock));
	ck_assert_int_eq(epoll_wait(lockfile_pid_wait_fd(lock), &event, 1, 0), 0);
	ck_assert_int_eq(lockfile_pid_wait_continue(lock), 0);
	lockfile_pid_free(lock);
	ck_assert_int_eq(kill(copy, SIGKILL), 0);
	if (child > 0)
		kill_child(child);
}

static int continue_one(struct lockfile_pid *const *locks, int count)
{
	struct pollfd fds[4];

	for (int i = 0; i < count; i++)
		fds[i] = (struct pollfd){ lockfile_pid_wait_fd(locks[i]), POLLIN, 0 };
	ck_assert_int_gt(poll(fds, (nfds_t)count, -1), 0);
	for (int i = 0; i < count; i++)
		if (fds[i].revents && lockfile_pid_wait_continue(locks[i]) == 0)
			return i;
	return -1;
}

TEST(several_handles_of_one_loop_have_their_turns)
{
	struct holder holder = start_holding("x.pid"), other = holder_start("x.pid");
	struct lockfile_pid *locks[] = { in_line("x.pid"), in_line("x.pid"), in_line("x.pid") };

	holder_ask(&other, "lock"); /* and one that sleeps */
	await_blocked(&other);
	holder_end(&holder);
	for (int left = 3; left > 0;) {
		int i = continue_one(locks, left);

		if (i < 0 && other.from >= 0 && has_answer(&other)) {
			ck_assert_int_eq(holder_answer(&other), 0);
			holder_end(&other);
			other.from = -1;
		}
		if (i < 0)
			continue;
		ck_assert_int_eq(lockfile_pid_unlock(locks[i]), 0);
		lockfile_pid_free(locks[i]);
		locks[i] = locks[--left];
	}
	if (other.from >= 0) {
		ck_assert_int_eq(holder_answer(&other), 0);
		holder_end(&other);
	}
}

/* fork */

static void be_a_child(void *argument)
{
	struct lockfile_pid *lock = argument;

	REQUIRE(lockfile_pid_wait_fd(lock) == -EBADF);
	REQUIRE(lockfile_pid_wait_continue(lock) == -EINVAL);
	REQUIRE(lockfile_pid_wait_cancel(lock) == 0);
	REQUIRE(lockfile_pid_wait_begin(lock) == LOCKFILE_PID_ERR_BUSY);
	REQUIRE(lockfile_pid_wait_cancel(lock) == 0);
	REQUIRE(lockfile_pid_timedlock(lock, 1) == -ETIMEDOUT);
	lockfile_pid_free(lock);
}

static void count_in_child(void *expected)
{
	REQUIRE(count_descriptors() == *(int *)expected);
}

TEST(a_child_is_not_in_line_and_the_parent_keeps_its_place)
{
	struct holder holder = start_holding("x.pid");
	int descriptors = count_descriptors();
	struct lockfile_pid *lock = in_line("x.pid");

	ck_assert_int_eq(in_child(count_in_child, &descriptors), 0);
	ck_assert_int_eq(in_child(be_a_child, lock), 0);
	ck_assert_str_eq(list_dir("."), "x.pid x.pid.queue ");
	ck_assert_int_eq(lockfile_pid_wait_continue(lock), LOCKFILE_PID_ERR_BUSY);
	holder_end(&holder);
	loop_until_acquired(lock);
	lockfile_pid_free(lock);
}

/* Without Check and without the handlers of pthread_atfork(3). */
static int in_raw_child(void (*f)(void *), void *argument)
{
	pid_t pid = raw_fork();
	int status;

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		alarm(DEFAULT_TIMEOUT_S); /* it hangs */
		f(argument);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void do_nothing(void *argument)
{
	(void)argument;
}

/* A fork looks at all descriptors that the library knows of. */
static void be_a_child_and_fork(void *argument)
{
	be_a_child(argument);
	REQUIRE(in_child(do_nothing, NULL) == 0);
}

/* What was freed belongs to others. */
static void reuse_memory(void)
{
	for (size_t size = 16; size < 8192; size += 16)
		memset(malloc(size), 0x55, size);
}

static void free_and_use_another(void *argument)
{
	struct lockfile_pid *other;

	lockfile_pid_free(argument);
	reuse_memory();
	REQUIRE(in_child(do_nothing, NULL) == 0);
	REQUIRE(lockfile_pid_new(&other, "x.pid") == 0);
	REQUIRE(lockfile_pid_wait_begin(other) == LOCKFILE_PID_ERR_BUSY);
	REQUIRE(lockfile_pid_wait_cancel(other) == 0);
	lockfile_pid_free(other);
}

static void (*const in_children[])(void *) = { be_a_child_and_fork, free_and_use_another };

TEST_EACH(a_child_that_was_made_behind_our_back_is_not_in_line_either, in_children)
{
	struct holder holder = start_holding("x.pid");
	struct lockfile_pid *lock = in_line("x.pid");

	ck_assert_int_eq(in_raw_child(in_children[_i], lock), 0);
	ck_assert_int_eq(lockfile_pid_wait_continue(lock), LOCKFILE_PID_ERR_BUSY);
	holder_end(&holder);
	loop_until_acquired(lock);
	lockfile_pid_free(lock);
}

/* Names that change */

TEST(a_waiter_comes_along_to_a_directory_made_anew)
{
	struct holder first, second;
	struct lockfile_pid *lock;
	int fd;

	ck_assert_int_eq(mkdir("d", 0755), 0);
	first = start_holding("d/x.pid");
	lock = in_line("d/x.pid");
	fd = lockfile_pid_wait_fd(lock);
	ck_assert_int_eq(rename("d", "e"), 0);
	ck_assert_int_eq(mkdir("d", 0755), 0);
	second = start_holding("d/x.pid");
	ck_assert_int_eq(lockfile_pid_wait_continue(lock), LOCKFILE_PID_ERR_BUSY);
	ck_assert_int_eq(lockfile_pid_wait_fd(lock), fd);
	ck_assert_str_eq(list_dir("d"), "x.pid x.pid.queue ");
	ck_assert_str_eq(list_dir("e"), "x.pid ");
	holder_end(&second);
	loop_until_acquired(lock);
	ck_assert_int_eq(holder_do(&first, "unlock"), LOCKFILE_PID_ERR_ROGUE_DELETION);
	lockfile_pid_free(lock);
	holder_end(&first);
	ck_assert_int_eq(unlink("e/x.pid"), 0);
	ck_assert_int_eq(rmdir("d"), 0);
	ck_assert_int_eq(rmdir("e"), 0);
}

TEST(a_directory_that_goes_away_ends_the_wait)
{
	struct holder holder;
	struct lockfile_pid *lock;
	int descriptors;

	ck_assert_int_eq(mkdir("d", 0755), 0);
	holder = start_holding("d/x.pid");
	descriptors = count_descriptors();
	lock = in_line("d/x.pid");
	ck_assert_int_eq(rename("d", "e"), 0);
	ck_assert_int_eq(lockfile_pid_wait_continue(lock), -ENOENT);
	ck_assert_int_eq(lockfile_pid_wait_fd(lock), -EBADF);
	ck_assert_int_eq(count_descriptors(), descriptors);
	ck_assert_str_eq(list_dir("e"), "x.pid ");
	ck_assert_int_eq(rename("e", "d"), 0);
	holder_end(&holder);
	ck_assert_int_eq(rmdir("d"), 0);
	lockfile_pid_free(lock);
}

/* The first in line watches the holder; one that is not first any more must not. */
TEST(who_loses_the_first_place_is_not_woken_by_a_former_holder_for_ever)
{
	struct holder former = start_holding("x.pid"), holder = holder_start("x.pid");
	struct lockfile_pid *first = in_line("x.pid"), *second = in_line("x.pid");

	ck_assert_int_eq(unlink("x.pid.queue"), 0);
	ck_assert_int_eq(lockfile_pid_wait_continue(second), LOCKFILE_PID_ERR_BUSY);
	ck_assert_int_eq(lockfile_pid_wait_continue(first), LOCKFILE_PID_ERR_BUSY);
	ck_assert_int_eq(holder_do(&former, "unlock"), 0);
	ck_assert_int_eq(holder_do(&holder, "lock"), 0);
	holder_end(&former);
	ck_assert(is_silent(second));
	ck_assert(is_silent(first));
	lockfile_pid_free(first);
	lockfile_pid_free(second);
	holder_end(&holder);
}

/* It may have been woken, and not have looked yet. */
TEST(who_leaves_wakes_the_next)
{
	struct holder holder = start_holding("x.pid");
	struct lockfile_pid *first = in_line("x.pid"), *second = in_line("x.pid");

	ck_assert_int_eq(lockfile_pid_wait_continue(first), LOCKFILE_PID_ERR_BUSY);
	ck_assert(!is_readable(lockfile_pid_wait_fd(first), 0));
	ck_assert_int_eq(lockfile_pid_wait_cancel(second), 0);
	ck_assert(is_readable(lockfile_pid_wait_fd(first), 0));
	lockfile_pid_free(second);
	lockfile_pid_free(first);
	holder_end(&holder);
}

/* An epoll descriptor, a FIFO, a directory, and a timer. */
#define OF_A_PLACE 4

static void try_as_child(void *lock)
{
	int descriptors = count_descriptors();

	REQUIRE(lockfile_pid_trylock(lock) == LOCKFILE_PID_ERR_BUSY);
	REQUIRE(count_descriptors() <= descriptors - OF_A_PLACE);
}

TEST(a_child_that_was_made_behind_our_back_keeps_nothing_of_our_place)
{
	struct holder holder = start_holding("x.pid");
	struct lockfile_pid *lock = in_line("x.pid");

	ck_assert_int_eq(in_raw_child(try_as_child, lock), 0);
	ck_assert_int_eq(lockfile_pid_wait_continue(lock), LOCKFILE_PID_ERR_BUSY);
	lockfile_pid_free(lock);
	holder_end(&holder);
}
