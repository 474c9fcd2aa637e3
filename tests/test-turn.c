/* SPDX-License-Identifier: BSD-2-Clause */
/* Who yields to whom, call by call; and a wait that ends by cancellation. */
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

/* The first yield, the longest, and the time after one that nobody took, in its lengths. */
#define FIRST_MS   10
#define LONGEST_MS 1000
#define INTERVAL   10

static struct lockfile_pid *greedy, *waiter;
static int64_t now;

/* The clock goes on when it is told to. */
static void set_clock(int64_t ms)
{
	now = ms;
	steer_result("sys_clock_ns", EVERY, (1000000 + ms) * NS_PER_MS);
}

static void pass(int64_t ms)
{
	set_clock(now + ms);
}

/* The greedy one has just released what another waits for; it is 0 ms. */
static void begin(void)
{
	steer_reset();
	set_clock(0);
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

static void take_turn(void)
{
	ck_assert_int_eq(lockfile_pid_wait_continue(waiter), 0);
}

/* The greedy one comes back: does it yield? */
static bool yields(void)
{
	int r = lockfile_pid_wait_begin(greedy);

	if (r == BUSY) {
		ck_assert(greedy->yield.is_on);
		ck_assert(!exists("x.pid")); /* no attempt was made */
	}
	return r == BUSY;
}

/* Until it has the lock; returns how long it yielded to nobody. */
static int64_t yield_in_vain(void)
{
	int64_t before = now;
	int r = BUSY;

	ck_assert(yields());
	while (r == BUSY) {
		pass(greedy->queue.pause_ms);
		r = lockfile_pid_wait_continue(greedy);
	}
	ck_assert_int_eq(r, 0);
	return now - before;
}

static void release(void)
{
	ck_assert_int_eq(lockfile_pid_unlock(greedy), 0);
}

TEST(trylock_never_yields)
{
	begin();
	steer_result("sys_sleep_ns", EVERY, -EINVAL);
	ck_assert_int_eq(lockfile_pid_trylock(greedy), 0);
	ck_assert_int_eq(steer_count("sys_sleep_ns"), 0);
	end();
}

static const struct {
	int after_ms;
	bool yields;
} comings[] = { { 0, true }, { FIRST_MS - 1, true }, { FIRST_MS, false }, { LONGEST_MS, false } };

TEST_EACH(who_comes_back_soon_yields, comings)
{
	int queues;

	begin();
	queues = steer_count("sys_epoll_create");
	set_clock(comings[_i].after_ms);
	ck_assert_int_eq(yields(), comings[_i].yields);
	ck_assert_int_eq(steer_count("sys_epoll_create") - queues, comings[_i].yields);
	end();
}

/* It ends so long after the release, whenever that one came back. */
/* The holder that an attempt found before is not whom it yields to. */
TEST(who_yields_waits_for_no_holder)
{
	struct lockfile_pid *other;

	begin();
	other = new_lock("x.pid");
	ck_assert_int_eq(lockfile_pid_trylock(other), 0);
	ck_assert_int_eq(lockfile_pid_trylock(greedy), BUSY);
	ck_assert_int_eq(lockfile_pid_holder(greedy), getpid());
	ck_assert_int_eq(lockfile_pid_unlock(other), 0);
	lockfile_pid_free(other);
	ck_assert_int_eq(lockfile_pid_wait_begin(greedy), BUSY);
	ck_assert(greedy->yield.is_on);
	ck_assert_int_eq(lockfile_pid_holder(greedy), 0);
	/* and then it is known who was served */
	take_turn();
	pass(FIRST_MS);
	ck_assert_int_eq(lockfile_pid_wait_continue(greedy), BUSY);
	ck_assert_int_eq(lockfile_pid_holder(greedy), getpid());
	ck_assert_int_eq(lockfile_pid_unlock(waiter), 0);
	end();
}

TEST(a_yield_is_counted_from_the_release)
{
	begin();
	pass(FIRST_MS - 3);
	ck_assert(yields());
	ck_assert_int_eq(greedy->queue.pause_ms, 3);
	end();
}

TEST(who_released_what_nobody_waited_for_owes_no_yield)
{
	begin();
	ck_assert_int_eq(lockfile_pid_wait_cancel(waiter), 0);
	set_clock(2 * LONGEST_MS);
	greedy->yield = (struct yield){ 0 };
	ck_assert_int_eq(lockfile_pid_trylock(greedy), 0);
	release();
	ck_assert_int_eq(greedy->yield.since_ns, 0);
	ck_assert(!yields());
	end();
}

TEST(a_yield_that_was_taken_is_seen_without_an_attempt_before)
{
	begin();
	ck_assert(yields());
	take_turn();
	pass(greedy->queue.pause_ms);
	ck_assert_int_eq(lockfile_pid_wait_continue(greedy), BUSY);
	ck_assert(!greedy->yield.is_on);
	ck_assert_int_eq(greedy->yield.missed, 0);
	ck_assert_int_eq(greedy->yield.not_before_ns, 0);
	end();
}

/* 10 ms, 20 ms, 40 ms... a second; and each so late that it is a tenth of the time. */
TEST(yields_that_nobody_takes_are_longer_and_cost_a_tenth_of_the_time_at_most)
{
	int64_t length = FIRST_MS, lost = 0;

	begin();
	for (int i = 0; i < 12; i++) {
		ck_assert_int_eq(yield_in_vain(), length);
		lost += length;
		pass(INTERVAL * length - 1);
		release();
		ck_assert(!yields());
		pass(1);
		release();
		ck_assert_int_le(10 * lost, now);
		length = 2 * length < LONGEST_MS ? 2 * length : LONGEST_MS;
	}
	ck_assert_int_eq(length, LONGEST_MS);
	end();
}

/* An event loop, say, that does something else first. */
TEST(a_slow_waiter_gets_its_turn_and_then_each_time)
{
	begin();
	for (int length = FIRST_MS; length <= 40; length *= 2) {
		ck_assert_int_eq(yield_in_vain(), length);
		pass(INTERVAL * length);
		release();
	}
	for (int i = 0; i < 3; i++) {
		int64_t released = now;

		ck_assert(yields());
		ck_assert_int_eq(greedy->queue.pause_ms, FIRST_MS);
		set_clock(released + FIRST_MS);
		ck_assert_int_eq(lockfile_pid_wait_continue(greedy), BUSY);
		ck_assert_int_eq(greedy->queue.pause_ms, 20 - FIRST_MS);
		set_clock(released + 20);
		ck_assert_int_eq(lockfile_pid_wait_continue(greedy), BUSY);
		ck_assert(greedy->yield.is_on);
		set_clock(released + 70);
		take_turn();
		set_clock(released + 80);
		ck_assert_int_eq(lockfile_pid_wait_continue(greedy), BUSY);
		ck_assert(!greedy->yield.is_on);
		ck_assert_int_eq(greedy->yield.not_before_ns, 0);
		/* and the other way round */
		ck_assert_int_eq(lockfile_pid_unlock(waiter), 0);
		ck_assert_int_eq(lockfile_pid_wait_continue(greedy), 0);
		ck_assert_int_eq(lockfile_pid_wait_begin(waiter), BUSY);
		release();
	}
	end();
}

TEST(a_yield_that_is_taken_is_over_at_the_next_look)
{
	begin();
	ck_assert_int_eq(yield_in_vain(), FIRST_MS);
	pass(INTERVAL * FIRST_MS);
	release();
	ck_assert(yields());
	take_turn();
	/* who leaves the queue as its head wakes the next one */
	ck_assert(queue_drain(&greedy->queue, false));
	pass(FIRST_MS);
	ck_assert_int_eq(lockfile_pid_wait_continue(greedy), BUSY);
	ck_assert(!greedy->yield.is_on);
	end();
}

/* Then the first that is short is 10 ms again. */
TEST(a_yield_that_was_taken_soon_makes_the_next_one_short)
{
	begin();
	ck_assert_int_eq(yield_in_vain(), FIRST_MS);
	pass(INTERVAL * FIRST_MS);
	release();
	ck_assert(yields());
	take_turn();
	pass(FIRST_MS);
	ck_assert_int_eq(lockfile_pid_wait_continue(greedy), BUSY);
	ck_assert_int_eq(greedy->yield.missed, 0);
	end();
}

/* It comes back later than a yield is long, but sooner than the waiter needs. */
TEST(who_comes_back_late_and_finds_the_lock_free_yields_longer_the_next_time)
{
	begin();
	pass(FIRST_MS + 5);
	ck_assert(!yields());
	ck_assert_int_eq(greedy->yield.missed, 1);
	ck_assert_int_eq(greedy->yield.not_before_ns, 0);
	release();
	pass(FIRST_MS + 5);
	ck_assert(yields());
	ck_assert_int_eq(greedy->queue.pause_ms, 5);
	end();
}

TEST(who_comes_back_after_the_longest_yield_owes_nothing)
{
	begin();
	pass(LONGEST_MS);
	ck_assert(!yields());
	ck_assert_int_eq(greedy->yield.missed, 0);
	end();
}

TEST(who_finds_the_lock_held_has_yielded)
{
	begin();
	take_turn();
	pass(FIRST_MS);
	ck_assert_int_eq(lockfile_pid_wait_begin(greedy), BUSY);
	ck_assert(!greedy->yield.is_on);
	ck_assert_int_eq(greedy->yield.missed, 0);
	ck_assert_int_eq(greedy->yield.since_ns, 0);
	end();
}

/* No yield is longer than the longest. */
TEST(a_yield_that_was_taken_late_makes_the_next_one_the_longest)
{
	begin();
	take_turn();
	pass(1000 * LONGEST_MS);
	ck_assert_int_eq(lockfile_pid_wait_begin(greedy), BUSY);
	ck_assert_int_eq(lockfile_pid_unlock(waiter), 0);
	ck_assert_int_eq(lockfile_pid_wait_continue(greedy), 0);
	ck_assert_int_eq(lockfile_pid_wait_begin(waiter), BUSY);
	release();
	ck_assert_int_eq(yield_in_vain(), LONGEST_MS);
	end();
}

TEST(a_yield_that_a_wake_up_ends_early_counts_neither_way)
{
	begin();
	ck_assert(yields());
	take_turn();
	ck_assert_int_eq(lockfile_pid_unlock(waiter), 0);
	pass(FIRST_MS - 1);
	ck_assert_int_eq(lockfile_pid_wait_continue(greedy), 0);
	ck_assert_int_eq(greedy->yield.missed, 0);
	ck_assert_int_eq(greedy->yield.not_before_ns, 0);
	end();
}

TEST(there_is_nobody_to_yield_to_where_the_others_have_gone)
{
	begin();
	ck_assert_int_eq(lockfile_pid_wait_cancel(waiter), 0);
	ck_assert_int_ne(greedy->yield.since_ns, 0);
	ck_assert_int_eq(lockfile_pid_wait_begin(greedy), 0);
	ck_assert_int_eq(greedy->yield.since_ns, 0);
	ck_assert_int_eq(greedy->yield.missed, 0);
	end();
}

TEST(who_leaves_the_queue_while_it_yields_still_owes_that)
{
	begin();
	ck_assert(yields());
	ck_assert_int_eq(lockfile_pid_wait_cancel(greedy), 0);
	ck_assert(!greedy->yield.is_on);
	ck_assert(yields());
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

TEST(who_never_saw_anybody_owes_no_yield_when_the_clock_has_just_started)
{
	struct lockfile_pid *lock;

	steer_reset();
	steer_result("sys_clock_ns", EVERY, 1);
	lock = new_lock("x.pid");
	ck_assert_int_eq(lockfile_pid_wait_begin(lock), 0);
	ck_assert_int_eq(steer_count("sys_epoll_create"), 0);
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
	set_clock(now + 1000);
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

/* On a machine so slow that the time is over when the queue is joined. */
TEST(who_owes_a_yield_makes_an_attempt_however_late_it_is)
{
	begin();
	/* the end, is a yield owed and not forbidden, its sleep, what is left */
	steer_before("sys_clock_ns", 5, leap, NULL);
	ck_assert_int_eq(lockfile_pid_timedlock(greedy, 2), 0);
	ck_assert_int_eq(lockfile_pid_unlock(greedy), 0);
	end();
}

/* It was owed when that was asked for. */
TEST(a_yield_that_is_over_when_the_queue_is_joined_is_none)
{
	begin();
	steer_before("sys_epoll_create", 1, leap, NULL);
	ck_assert_int_eq(lockfile_pid_wait_begin(greedy), 0);
	ck_assert_int_eq(steer_count("sys_sleep_ns"), 0);
	ck_assert(!greedy->yield.is_on);
	end();
}
