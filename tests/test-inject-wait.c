/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Failing calls of what waits for the lock.  Whoever has it lets go when we are
 * about to sleep, so that nobody sleeps for long, and a failure that makes us
 * look again and again ends with that.
 */
#include <config.h>

#include "forge.h"
#include "handle.h"
#include "inject.h"
#include "memory.h"
#include "outcome.h"
#include "steer.h"
#include "sys.h"

#include <errno.h>
#include <lockfile-pid.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>

#define BUSY LOCKFILE_PID_ERR_BUSY
#define HOUR INT64_C(3600000000000)

/* An event loop that is not woken so long has been forgotten. */
#define FORGOTTEN_MS 20000
#define FORGOTTEN    1

/* The first look at what is ready is there to forget it; then we sleep. */
#define FIRST_SLEEP  "sys_epoll_wait", 2
#define SECOND_SLEEP "sys_epoll_wait", 3

/* What happens then. */

static void released(void)
{
	steer_before(FIRST_SLEEP, scene_let_go, NULL);
}

static void released_later(void)
{
	steer_before(SECOND_SLEEP, scene_let_go, NULL);
}

static void killed(void)
{
	steer_before(FIRST_SLEEP, scene_kill_mortal, NULL);
}

static void let_an_hour_pass(void *unused)
{
	(void)unused;
	steer_clock(CLOCK_MONOTONIC, HOUR);
}

static void late(void)
{
	steer_before(FIRST_SLEEP, let_an_hour_pass, NULL);
}

static void remove_line(void *unused)
{
	(void)unused;
	unlink("d/x.pid.queue");
}

static void line_removed(void)
{
	steer_before(FIRST_SLEEP, remove_line, NULL);
	steer_before(SECOND_SLEEP, scene_let_go, NULL);
}

static void no_line(void)
{
	steer_result("sys_mkfifoat", EVERY, -EPERM);
	released();
}

static void file_removed(void)
{
	steer_before(SECOND_SLEEP, scene_remove_file, NULL);
}

/* What is there. */

static void another_program_holds(void)
{
	forge_foreign(SCENE_PATH, 1);
}

static void remove_foreign(void)
{
	unlink(SCENE_PATH);
}

/* There a FIFO is opened by way of /proc. */
static void held_where_others_may_write(void)
{
	ck_assert_int_eq(chmod("d", 0775), 0);
	scene_other_holds();
}

static void ignore(int number)
{
	(void)number;
}

/* One that ends a wait, and one that does not. */
static void held_with_handlers(void)
{
	struct sigaction ends = { .sa_handler = ignore };
	struct sigaction restarts = { .sa_handler = ignore, .sa_flags = SA_RESTART };

	ck_assert_int_eq(sigaction(SIGUSR1, &ends, NULL), 0);
	ck_assert_int_eq(sigaction(SIGUSR2, &restarts, NULL), 0);
	scene_other_holds();
}

static void remove_handlers(void)
{
	signal(SIGUSR1, SIG_DFL);
	signal(SIGUSR2, SIG_DFL);
}

static void inheritable_held(void)
{
	ck_assert_int_eq(lockfile_pid_set_inheritable(lock, 1), 0);
	scene_other_holds();
}

/* A yield is owed to the one who waits, and lasts longer than the calls before it. */
static void third_waits_and_is_owed_a_yield(void)
{
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	scene_third_waits();
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	lock->yield.since_ns = sys_clock_ns(CLOCK_MONOTONIC) + 50 * 1000000;
}

static void in_line(void)
{
	scene_other_holds();
	ck_assert_int_eq(lockfile_pid_wait_begin(lock), BUSY);
}

static void second_in_line(void)
{
	scene_holds_and_third_waits();
	ck_assert_int_eq(lockfile_pid_wait_begin(lock), BUSY);
}

static void let_go_in_line(void)
{
	in_line();
	scene_let_go(NULL);
}

/* What is done. */

static int wait_for_it(void)
{
	return lockfile_pid_lock(lock);
}

static int wait_for_a_minute(void)
{
	return lockfile_pid_timedlock(lock, 60000);
}

static int begin(void)
{
	return lockfile_pid_wait_begin(lock);
}

static int go_on(void)
{
	return lockfile_pid_wait_continue(lock);
}

static int cancel(void)
{
	return lockfile_pid_wait_cancel(lock);
}

static int give_back(void)
{
	lockfile_pid_free(lock);
	lock = NULL;
	return 0;
}

static bool is_woken(void)
{
	struct pollfd turn = { .fd = lockfile_pid_wait_fd(lock), .events = POLLIN };

	return poll(&turn, 1, FORGOTTEN_MS) == 1;
}

/* An event loop; when it is in line there happens what it waits for. */
static int poll_for_it(void (*event)(void *))
{
	int r = lockfile_pid_wait_begin(lock);

	memory_steer(false); /* the test allocates as well */
	if (r == BUSY)
		event(NULL);
	memory_steer(true);
	while (r == BUSY)
		r = is_woken() ? lockfile_pid_wait_continue(lock) : FORGOTTEN;
	return r;
}

static int poll_until_released(void)
{
	return poll_for_it(scene_let_go);
}

static int poll_until_killed(void)
{
	return poll_for_it(scene_kill_mortal);
}

/* To be as it was. */

static void acquired(int r)
{
	outcome_acquired(r);
	lock->yield = (struct yield){ 0 };
	ck_assert_int_eq(lockfile_pid_set_inheritable(lock, 0), 0);
}

/* Still in line is as good: it leaves. */
static void in_line_or_not(int r)
{
	if (r == BUSY)
		ck_assert_int_eq(lockfile_pid_wait_cancel(lock), 0);
	acquired(r);
}

static void given_back(int r)
{
	inject_make_lock();
	outcome_left(r);
}

#define LOCK(title, there, meanwhile)                                                    \
	{                                                                                \
		.name = title, .function = "lock", .prepare = there, .rules = meanwhile, \
		.act = wait_for_it, .judge = acquired, .waits = true                     \
	}
#define EVENTS(title, there, what)                                                         \
	{                                                                                  \
		.name = title, .function = "wait_continue", .prepare = there, .act = what, \
		.judge = acquired, .waits = true                                           \
	}

/* clang-format off: a row a line */
static const struct operation blocking[] = {
	LOCK("released", scene_other_holds, released),
	LOCK("released after a second", scene_other_holds, released_later),
	LOCK("killed", scene_mortal_holds, killed),
	LOCK("third before us", scene_holds_and_third_waits, released),
	LOCK("owing a turn", third_waits_and_is_owed_a_yield, released),
	LOCK("line removed", scene_other_holds, line_removed),
	LOCK("no line", scene_other_holds, no_line),

	LOCK("where others may write", held_where_others_may_write, released),
	LOCK("inheritable", inheritable_held, released),
	{ .name = "handlers of both kinds",
	  .function = "lock",
	  .prepare = held_with_handlers,
	  .rules = released,
	  .act = wait_for_it,
	  .judge = acquired,
	  .clean = remove_handlers,
	  .waits = true },
	{ .name = "another program's",
	  .function = "lock",
	  .prepare = another_program_holds,
	  .rules = file_removed,
	  .act = wait_for_it,
	  .judge = acquired,
	  .clean = remove_foreign,
	  .waits = true },
	{ .name = "too late",
	  .function = "timedlock",
	  .prepare = scene_other_holds,
	  .rules = late,
	  .act = wait_for_a_minute,
	  .judge = outcome_busy,
	  .result = -ETIMEDOUT },
	{ .name = "just in time",
	  .function = "timedlock",
	  .prepare = scene_other_holds,
	  .rules = released,
	  .act = wait_for_a_minute,
	  .judge = acquired,
	  .waits = true },
};
/* clang-format on */

INJECT_EACH(failing_lock_keeps_the_promises, blocking)

/* clang-format off: a row a line */
static const struct operation polling[] = {
	EVENTS("released", scene_other_holds, poll_until_released),
	EVENTS("killed", scene_mortal_holds, poll_until_killed),
	EVENTS("third before us", scene_holds_and_third_waits, poll_until_released),
	{ .name = "begin",
	  .function = "wait_begin",
	  .prepare = scene_other_holds,
	  .act = begin,
	  .judge = in_line_or_not,
	  .result = BUSY },
	{ .name = "continue",
	  .function = "wait_continue",
	  .prepare = in_line,
	  .act = go_on,
	  .judge = in_line_or_not,
	  .result = BUSY },
	{ .name = "continue, released",
	  .function = "wait_continue",
	  .prepare = let_go_in_line,
	  .act = go_on,
	  .judge = in_line_or_not },
	{ .name = "cancel",
	  .function = "wait_cancel",
	  .prepare = in_line,
	  .act = cancel,
	  .judge = outcome_left },
	{ .name = "cancel, second in line",
	  .function = "wait_cancel",
	  .prepare = second_in_line,
	  .act = cancel,
	  .judge = outcome_left },
	{ .name = "cancel, released",
	  .function = "wait_cancel",
	  .prepare = let_go_in_line,
	  .act = cancel,
	  .judge = outcome_left },
	{ .name = "free",
	  .function = "free",
	  .prepare = in_line,
	  .act = give_back,
	  .judge = given_back },
};
/* clang-format on */

INJECT_EACH(failing_steps_of_an_event_loop_keep_the_promises, polling)
