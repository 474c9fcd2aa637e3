/* SPDX-License-Identifier: BSD-2-Clause */
/* Whose turn it is, call by call; and a wait that ends by cancellation. */
#include <config.h>

#include "handle.h"
#include "steer.h"
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <lockfile-pid.h>
#include <pthread.h>

#define BUSY      LOCKFILE_PID_ERR_BUSY
#define NS_PER_MS 1000000LL

/* How long a turn is, when it is owed no more, and how long none is offered after one in vain. */
#define TURN_MS   10
#define RECENT_MS 50
#define PAUSE_MS  1000

static struct lockfile_pid *greedy, *waiter;
static int64_t now;

/* The clock goes on when it is told to, and with each sleep. */
static void set_clock(int64_t ms)
{
	now = ms;
	steer_result("sys_clock_ns", EVERY, (1000000 + ms) * NS_PER_MS);
}

static void tick(void *unused)
{
	(void)unused;
	set_clock(now + 1);
}

/* The greedy one has just released what another waits for; it is 0 ms. */
static void begin(void)
{
	steer_reset();
	set_clock(0);
	steer_before("sys_sleep_ns", EVERY, tick, NULL);
	greedy = new_lock("x.pid");
	waiter = new_lock("x.pid");
	ck_assert_int_eq(lockfile_pid_trylock(greedy), 0);
	ck_assert_int_eq(lockfile_pid_wait_begin(waiter), BUSY);
	ck_assert_int_eq(lockfile_pid_unlock(greedy), 0);
}

static void end(void)
{
	steer_reset();
	lockfile_pid_free(waiter);
	lockfile_pid_free(greedy);
	assert_nothing_left();
}

static void take_turn(void *unused)
{
	(void)unused;
	ck_assert_int_eq(lockfile_pid_wait_continue(waiter), 0);
}

/* Does who comes back at that time offer a turn? */
static bool offers_at(int64_t ms)
{
	int before = steer_count("sys_sleep_ns");

	set_clock(ms);
	ck_assert_int_eq(lockfile_pid_trylock(greedy), 0);
	return steer_count("sys_sleep_ns") > before;
}

TEST(who_comes_back_at_once_offers_a_turn)
{
	begin();
	ck_assert(offers_at(0));
	end();
}

TEST(who_comes_back_in_time_offers_a_turn)
{
	begin();
	ck_assert(offers_at(RECENT_MS - 1));
	end();
}

TEST(who_comes_back_later_owes_no_turn)
{
	begin();
	ck_assert(!offers_at(RECENT_MS));
	end();
}

TEST(who_released_what_nobody_waited_for_owes_no_turn)
{
	begin();
	ck_assert_int_eq(lockfile_pid_wait_cancel(waiter), 0);
	ck_assert_int_eq(lockfile_pid_trylock(greedy), 0);
	set_clock(2 * PAUSE_MS);
	ck_assert_int_eq(lockfile_pid_unlock(greedy), 0);
	ck_assert(!offers_at(now));
	end();
}

TEST(a_turn_that_is_taken_is_seen)
{
	begin();
	steer_before("sys_sleep_ns", 2, take_turn, NULL);
	ck_assert_int_eq(lockfile_pid_trylock(greedy), BUSY);
	ck_assert_int_eq(steer_count("sys_sleep_ns"), 2);
	ck_assert_int_eq(greedy->no_turn_before_ns, 0);
	end();
}

/* It is offered no other one for a while. */
TEST(nobody_is_waited_for_after_a_turn_in_vain)
{
	begin();
	ck_assert(offers_at(0));
	ck_assert_int_eq(lockfile_pid_unlock(greedy), 0);
	ck_assert(!offers_at(now));
	set_clock(now + PAUSE_MS - 1);
	ck_assert_int_eq(lockfile_pid_unlock(greedy), 0);
	ck_assert(!offers_at(now));
	ck_assert_int_eq(lockfile_pid_unlock(greedy), 0);
	ck_assert(offers_at(now + 1));
	end();
}

/* In line */

static void stand_in_line(void)
{
	ck_assert_int_eq(lockfile_pid_wait_begin(greedy), BUSY);
	ck_assert_int_eq(greedy->queue.pause_ms, TURN_MS);
	ck_assert_int_ne(greedy->turn_given_ns, 0);
	ck_assert(!exists("x.pid")); /* no attempt was made */
}

TEST(who_stands_in_line_again_gives_the_others_a_turn)
{
	begin();
	stand_in_line();
	take_turn(NULL);
	ck_assert_int_eq(lockfile_pid_wait_continue(greedy), BUSY);
	ck_assert_int_eq(greedy->turn_given_ns, 0);
	ck_assert_int_eq(greedy->no_turn_before_ns, 0);
	end();
}

TEST(a_turn_that_was_short_was_one)
{
	begin();
	stand_in_line();
	take_turn(NULL);
	ck_assert_int_eq(lockfile_pid_unlock(waiter), 0);
	set_clock(TURN_MS - 1);
	ck_assert_int_eq(lockfile_pid_wait_continue(greedy), 0);
	ck_assert_int_eq(greedy->no_turn_before_ns, 0);
	end();
}

/* By one that was stopped right after it had been woken. */
static void read_wake_up(void)
{
	int fd = open("x.pid.queue", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	char byte;

	ck_assert_int_eq(read(fd, &byte, 1), 1);
	close(fd);
}

TEST(a_turn_in_line_that_nobody_took_was_in_vain)
{
	begin();
	stand_in_line();
	read_wake_up();
	set_clock(TURN_MS);
	ck_assert_int_eq(lockfile_pid_wait_continue(greedy), 0);
	ck_assert_int_ne(greedy->no_turn_before_ns, 0);
	ck_assert_int_eq(greedy->turn_given_ns, 0);
	end();
}

TEST(there_is_no_turn_to_give_where_the_others_have_gone)
{
	begin();
	ck_assert_int_eq(lockfile_pid_wait_cancel(waiter), 0);
	ck_assert_int_ne(greedy->turn_owed_ns, 0);
	ck_assert_int_eq(lockfile_pid_wait_begin(greedy), 0);
	ck_assert_int_eq(greedy->turn_owed_ns, 0);
	ck_assert_int_eq(greedy->no_turn_before_ns, 0);
	end();
}

TEST(what_is_free_is_had_without_a_line)
{
	struct lockfile_pid *lock = new_lock("x.pid");

	steer_reset();
	ck_assert_int_eq(lockfile_pid_wait_begin(lock), 0);
	ck_assert_int_eq(steer_count("sys_mkfifoat"), 0);
	ck_assert_int_eq(steer_count("sys_epoll_create"), 0);
	ck_assert_int_eq(lockfile_pid_wait_fd(lock), -EBADF);
	lockfile_pid_free(lock);
}

/* Cancellation, which is let in only while a waiter sleeps. */

static void *lock_it(void *lock)
{
	int r = lockfile_pid_lock(lock);

	(void)r;
	return NULL;
}

TEST(a_wait_that_is_cancelled_leaves_nothing)
{
	struct lockfile_pid *holder, *lock;
	pthread_t thread;
	int descriptors;
	void *result;

	SKIP_IF_CANCELLATION_IS_UNKNOWN();
	holder = new_lock("x.pid");
	lock = new_lock("x.pid");
	ck_assert_int_eq(lockfile_pid_trylock(holder), 0);
	descriptors = count_descriptors();
	ck_assert_int_eq(pthread_create(&thread, NULL, lock_it, lock), 0);
	ck_assert_int_eq(pthread_cancel(thread), 0);
	ck_assert_int_eq(pthread_join(thread, &result), 0);
	ck_assert_ptr_eq(result, PTHREAD_CANCELED);
	ck_assert_int_eq(count_descriptors(), descriptors);
	ck_assert_str_eq(list_dir("."), "x.pid ");
	ck_assert_int_eq(lockfile_pid_wait_fd(lock), -EBADF);
	ck_assert_int_eq(lockfile_pid_unlock(holder), 0);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	lockfile_pid_free(lock);
	lockfile_pid_free(holder);
}

TEST(who_never_saw_anybody_owes_no_turn_when_the_clock_has_just_started)
{
	struct lockfile_pid *lock;

	steer_reset();
	steer_result("sys_clock_ns", EVERY, 1);
	lock = new_lock("x.pid");
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(steer_count("sys_sleep_ns"), 0);
	steer_reset();
	lockfile_pid_free(lock);
}

static void remove_by_hand(void *unused)
{
	(void)unused;
	ck_assert_int_eq(unlink("x.pid"), 0);
}

/* One waits for the greedy one, and the lock that is returned is to come after it. */
static struct lockfile_pid *begin_behind(void)
{
	steer_reset();
	greedy = new_lock("x.pid");
	waiter = new_lock("x.pid");
	ck_assert_int_eq(lockfile_pid_trylock(greedy), 0);
	ck_assert_int_eq(lockfile_pid_wait_begin(waiter), BUSY);
	steer_reset();
	return new_lock("x.pid");
}

static void end_behind(struct lockfile_pid *lock)
{
	steer_reset();
	lockfile_pid_free(lock);
	end();
}

static void leap(void *unused)
{
	(void)unused;
	set_clock(now + PAUSE_MS);
}

static void leap_and_remove(void *unused)
{
	leap(unused);
	remove_by_hand(unused);
}

/* Who is not the first in line leaves it to that one, but not at the end of its time. */
TEST(the_last_attempt_is_one_whoever_is_first)
{
	struct lockfile_pid *lock = begin_behind();

	set_clock(0);
	/* the first is no sleep */
	steer_before("sys_epoll_wait", 2, leap_and_remove, NULL);
	ck_assert_int_eq(lockfile_pid_timedlock(lock, 20), 0);
	end_behind(lock);
}

/* Nor if that is over when the line is joined: the clock is asked for the end, and what is left. */
TEST(the_last_attempt_is_one_however_late_it_is)
{
	struct lockfile_pid *lock = begin_behind();

	set_clock(0);
	steer_before("sys_clock_ns", 2, leap_and_remove, NULL);
	ck_assert_int_eq(lockfile_pid_timedlock(lock, 20), 0);
	end_behind(lock);
}

TEST(a_wait_that_is_long_over_ends)
{
	struct lockfile_pid *lock = new_lock("x.pid");

	steer_reset();
	greedy = new_lock("x.pid");
	ck_assert_int_eq(lockfile_pid_trylock(greedy), 0);
	steer_reset();
	set_clock(0);
	/* the first is no sleep */
	steer_before("sys_epoll_wait", 2, leap, NULL);
	ck_assert_int_eq(lockfile_pid_timedlock(lock, 20), -ETIMEDOUT);
	steer_reset();
	lockfile_pid_free(lock);
	lockfile_pid_free(greedy);
	assert_nothing_left();
}

/* On a machine so slow that the time is over when the line is joined. */
TEST(who_owes_a_turn_makes_an_attempt_however_late_it_is)
{
	begin();
	steer_before("sys_has_signal_handlers", 1, leap, NULL);
	ck_assert_int_eq(lockfile_pid_timedlock(greedy, 2), 0);
	ck_assert_int_eq(lockfile_pid_unlock(greedy), 0);
	end();
}
