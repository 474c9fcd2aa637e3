/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Daemons: who adopts a lock, when, and what becomes of it, with members of a
 * dynasty (dynasty.h).  Member 0 takes the lock and is the parent; another process,
 * a contender, must never get what the dynasty holds.
 *
 * The same under the greatest possible contention is in test-daemon-rounds.c.
 */
#include <config.h>

#include "dynasty.h"

#include <errno.h>
#include <lockfile-pid.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define BUSY  LOCKFILE_PID_ERR_BUSY
#define DEAD  LOCKFILE_PID_ERR_PROCESS_DEAD
#define ROGUE LOCKFILE_PID_ERR_ROGUE_DELETION

static void parent_locks(void)
{
	dynasty_start();
	ck_assert_int_eq(tell(0, "inheritable"), 0);
	ck_assert_int_eq(tell(0, "trylock"), 0);
}

static void parent_and_child(void)
{
	parent_locks();
	dynasty_fork(0, 1);
}

static void assert_holds(int member)
{
	assert_content(LOCK, "%d\n", pid_of(member));
	ck_assert_int_eq(tell(member, "verify"), 0);
	ck_assert_int_eq(tell(member, "check"), BUSY);
	ck_assert_int_eq(tell(member, "pid"), pid_of(member));
}

/* And whatever the member does to the lock is no longer the holder's matter. */
static void assert_has_nothing(int member)
{
	ck_assert_int_eq(tell(member, "verify"), ROGUE);
	ck_assert_int_eq(tell(member, "unlock"), ROGUE);
	ck_assert_int_eq(tell(member, "adopt"), ROGUE);
}

/* A newcomer gets the lock, and leaves nothing. */
static void assert_is_free(void)
{
	struct lockfile_pid *lock = new_lock(LOCK);

	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	lockfile_pid_free(lock);
	assert_nothing_left();
}

/* What others see, the tool included: it is held, by this PID. */
static void assert_is_held(pid_t pid)
{
	struct lockfile_pid *lock = new_lock(LOCK);
	pid_t found = 0;
	char said[64];
	FILE *tool;

	ck_assert_int_eq(lockfile_pid_trylock(lock), BUSY);
	ck_assert_int_eq(lockfile_pid_check(lock, &found), BUSY);
	ck_assert_int_eq(found, pid);
	lockfile_pid_free(lock);

	tool = popen("\"$TOOL\" check " LOCK, "r");
	ck_assert_ptr_nonnull(tool);
	ck_assert_ptr_nonnull(fgets(said, sizeof(said), tool));
	ck_assert_int_eq(pclose(tool), 0);
	ck_assert_ptr_nonnull(strstr(said, "held by PID "));
	ck_assert_int_eq(atoi(strstr(said, "PID ") + 4), pid);
}

/* Who may adopt. */

TEST(while_the_parent_lives_the_child_adopts_and_the_parent_is_told_that_it_lost_the_lock)
{
	parent_and_child();
	assert_is_held(pid_of(0));
	ck_assert_int_eq(tell(0, "verify"), 0);
	ck_assert_int_eq(tell(1, "verify"), ROGUE);
	ck_assert_int_eq(tell(1, "unlock"), ROGUE);
	ck_assert_int_eq(tell(1, "adopt"), 0);
	assert_is_held(pid_of(1));
	assert_holds(1);
	assert_has_nothing(0);
	assert_holds(1);
	ck_assert_int_eq(tell(1, "unlock"), 0);
	dynasty_end();
	assert_is_free();
}

TEST(after_the_parent_died_the_lock_is_held_and_the_child_adopts_it)
{
	pid_t parent;

	parent_and_child();
	parent = pid_of(0);
	dynasty_kill(0);
	assert_is_held(parent);
	ck_assert_int_eq(tell(1, "adopt"), 0);
	assert_is_held(pid_of(1));
	assert_holds(1);
	ck_assert_int_eq(tell(1, "unlock"), 0);
	dynasty_end();
	assert_is_free();
}

TEST(after_the_parent_freed_its_handle_the_lock_is_held_and_the_child_adopts_it)
{
	parent_and_child();
	ck_assert_int_eq(tell(0, "free"), 0);
	assert_is_held(pid_of(0));
	ck_assert_int_eq(tell(1, "adopt"), 0);
	assert_is_held(pid_of(1));
	assert_holds(1);
	ck_assert_int_eq(tell(1, "unlock"), 0);
	dynasty_end();
	assert_is_free();
}

TEST(who_adopts_twice_holds_as_before)
{
	parent_and_child();
	ck_assert_int_eq(tell(1, "adopt"), 0);
	ck_assert_int_eq(tell(1, "adopt"), 0);
	assert_holds(1);
	ck_assert_int_eq(tell(1, "unlock"), 0);
	ck_assert_int_eq(tell(1, "adopt"), -EPERM);
	dynasty_end();
	assert_is_free();
}

/* A daemon that stays in the foreground makes the same calls. */
TEST(a_parent_that_adopts_keeps_the_lock_from_its_child)
{
	parent_and_child();
	ck_assert_int_eq(tell(0, "adopt"), 0);
	assert_is_held(pid_of(0));
	assert_has_nothing(1);
	dynasty_fork(0, 2);
	ck_assert_int_eq(tell(2, "adopt"), -EPERM);
	assert_holds(0);
	dynasty_kill(0);
	assert_is_free();
	dynasty_end();
}

TEST(of_two_children_the_first_adopts_and_the_second_is_told_that_it_came_too_late)
{
	parent_and_child();
	dynasty_fork(0, 2);
	ck_assert_int_eq(tell(2, "adopt"), 0);
	assert_has_nothing(1);
	assert_holds(2);
	ck_assert_int_eq(tell(2, "unlock"), 0);
	dynasty_end();
	assert_is_free();
}

/* The double fork: the grandchild's parent is gone before or after the lock's. */
static const struct {
	const char *how;
	int first, second;
} double_forks[] = {
	{ "exit", 0, 1 },
	{ "exit", 1, 0 },
	{ "kill", 0, 1 },
	{ "kill", 1, 0 },
};

TEST_EACH(a_grandchild_adopts_with_all_between_gone, double_forks)
{
	void (*const leave)(int) = *double_forks[_i].how == 'e' ? dynasty_exit : dynasty_kill;
	pid_t parent;

	parent_and_child();
	parent = pid_of(0);
	dynasty_fork(1, 2);
	leave(double_forks[_i].first);
	assert_is_held(parent);
	leave(double_forks[_i].second);
	assert_is_held(parent);
	ck_assert_int_eq(tell(2, "adopt"), 0);
	assert_is_held(pid_of(2));
	assert_holds(2);
	ck_assert_int_eq(tell(2, "unlock"), 0);
	dynasty_end();
	assert_is_free();
}

TEST(what_was_adopted_inheritably_can_be_adopted_again)
{
	parent_and_child();
	ck_assert_int_eq(tell(1, "inheritable"), 0);
	ck_assert_int_eq(tell(1, "adopt"), 0);
	dynasty_fork(1, 2);
	dynasty_fork(2, 3);
	dynasty_kill(1);
	ck_assert_int_eq(tell(3, "adopt"), 0);
	assert_is_held(pid_of(3));
	assert_has_nothing(0);
	assert_has_nothing(2);
	ck_assert_int_eq(tell(3, "unlock"), 0);
	dynasty_end();
	assert_is_free();
}

/* Who may not. */

TEST(without_the_mark_a_child_may_not_adopt_and_the_lock_dies_with_the_parent)
{
	dynasty_start();
	ck_assert_int_eq(tell(0, "trylock"), 0);
	dynasty_fork(0, 1);
	ck_assert_int_eq(tell(1, "adopt"), -EPERM);
	assert_holds(0);
	dynasty_kill(0);
	ck_assert_int_eq(tell(1, "adopt"), -EPERM);
	ck_assert_int_eq(tell(1, "check"), DEAD);
	/* a mark of one's own is about one's own lock */
	ck_assert_int_eq(tell(1, "inheritable"), 0);
	ck_assert_int_eq(tell(1, "adopt"), ROGUE);
	ck_assert_int_eq(tell(1, "check"), DEAD);
	assert_is_free();
	dynasty_end();
}

static void remove_by_hand(void)
{
	ck_assert_int_eq(unlink(LOCK), 0);
}

static void unlock_in_the_parent(void)
{
	ck_assert_int_eq(tell(0, "unlock"), 0);
}

static void kill_and_remove_by_hand(void)
{
	dynasty_kill(0);
	remove_by_hand();
}

static void (*const removals[])(void) = {
	remove_by_hand,
	unlock_in_the_parent,
	kill_and_remove_by_hand,
};

TEST_EACH(after_the_file_was_removed_nothing_can_be_adopted, removals)
{
	parent_and_child();
	removals[_i]();
	assert_has_nothing(1);
	assert_nothing_left();
	/* as a contender like any other it may have the lock, */
	ck_assert_int_eq(tell(1, "trylock"), 0);
	assert_holds(1);
	ck_assert_int_eq(tell(1, "unlock"), 0);
	dynasty_end();
	assert_is_free();
}

TEST_EACH(after_the_file_was_removed_and_another_locked_nothing_can_be_adopted, removals)
{
	struct holder other;

	parent_and_child();
	other = holder_start(LOCK);
	removals[_i]();
	ck_assert_int_eq(holder_do(&other, "trylock"), 0);
	assert_has_nothing(1);
	ck_assert_int_eq(tell(1, "trylock"), BUSY);
	ck_assert_int_eq(holder_do(&other, "verify"), 0);
	assert_is_held(other.pid);
	holder_end(&other);
	dynasty_end();
	assert_is_free();
}

/* When nobody is left who could adopt. */

TEST(a_child_that_executes_another_program_has_dropped_the_lock)
{
	parent_and_child();
	dynasty_kill(0);
	ask(1, "exec");
	ck_assert_int_eq(tell(1, "42"), 42);
	assert_is_free();
	dynasty_kill(1);
}

/* The parent lives, but is no longer interested. */
TEST(a_child_that_dies_before_it_adopts_leaves_the_lock_to_the_next)
{
	parent_and_child();
	ck_assert_int_eq(tell(0, "free"), 0);
	assert_is_held(pid_of(0));
	dynasty_kill(1);
	assert_is_free();
	dynasty_end();
}

TEST(a_child_that_frees_its_handle_has_dropped_the_lock)
{
	parent_and_child();
	dynasty_kill(0);
	ck_assert_int_eq(tell(1, "free"), 0);
	assert_is_free();
	dynasty_end();
}

/* Descriptors closed by the child before it adopts: not to be done, but defined. */

TEST(while_the_parent_lives_a_child_that_closed_its_descriptors_adopts)
{
	parent_and_child();
	ck_assert_int_eq(tell(1, "closefrom"), 0);
	assert_is_held(pid_of(0));
	ck_assert_int_eq(tell(1, "adopt"), 0);
	assert_has_nothing(0);
	dynasty_kill(0);
	assert_is_held(pid_of(1));
	assert_holds(1);
	ck_assert_int_eq(tell(1, "unlock"), 0);
	dynasty_end();
	assert_is_free();
}

TEST(with_the_parent_dead_a_child_that_closed_its_descriptors_adopts_if_nobody_was_faster)
{
	parent_and_child();
	ck_assert_int_eq(tell(1, "closefrom"), 0);
	dynasty_kill(0);
	ck_assert_int_eq(tell(1, "check"), DEAD);
	ck_assert_int_eq(tell(1, "adopt"), 0);
	assert_is_held(pid_of(1));
	assert_holds(1);
	ck_assert_int_eq(tell(1, "unlock"), 0);
	dynasty_end();
	assert_is_free();
}

TEST(with_the_parent_dead_a_child_that_closed_its_descriptors_loses_to_who_was_faster)
{
	struct holder other;

	parent_and_child();
	other = holder_start(LOCK);
	ck_assert_int_eq(tell(1, "closefrom"), 0);
	dynasty_kill(0);
	ck_assert_int_eq(holder_do(&other, "trylock"), 0);
	assert_has_nothing(1);
	ck_assert_int_eq(holder_do(&other, "verify"), 0);
	holder_end(&other);
	dynasty_end();
	assert_is_free();
}

TEST(descriptors_closed_after_the_adoption_do_not_drop_the_lock)
{
	parent_and_child();
	ck_assert_int_eq(tell(1, "adopt"), 0);
	ck_assert_int_eq(tell(1, "closefrom"), 0);
	dynasty_kill(0);
	assert_is_held(pid_of(1));
	assert_holds(1);
	ck_assert_int_eq(tell(1, "unlock"), 0);
	dynasty_end();
	assert_is_free();
}

/* Workers: children of the daemon. */

TEST(workers_of_a_daemon_keep_an_inheritable_lock_after_its_death)
{
	pid_t daemon;

	parent_and_child();
	dynasty_kill(0);
	ck_assert_int_eq(tell(1, "inheritable"), 0);
	ck_assert_int_eq(tell(1, "adopt"), 0);
	daemon = pid_of(1);
	dynasty_fork(1, 2);
	dynasty_fork(1, 3);
	dynasty_kill(1);
	assert_is_held(daemon);
	dynasty_kill(2);
	assert_is_held(daemon);
	dynasty_kill(3);
	assert_is_free();
}

TEST(workers_of_a_daemon_do_not_keep_the_lock)
{
	parent_and_child();
	dynasty_kill(0);
	ck_assert_int_eq(tell(1, "adopt"), 0);
	dynasty_fork(1, 2);
	ck_assert_int_eq(tell(2, "adopt"), -EPERM);
	assert_is_held(pid_of(1));
	dynasty_kill(1);
	assert_is_free();
	dynasty_end();
}

/* Supervisors: the parent stays, and watches. */

TEST(a_parent_that_stays_has_the_lock_again_when_its_child_dies)
{
	parent_and_child();
	ck_assert_int_eq(tell(1, "adopt"), 0);
	ck_assert_int_eq(tell(0, "trylock"), BUSY);
	ck_assert_int_eq(tell(0, "pid"), pid_of(1));
	dynasty_kill(1);
	ck_assert_int_eq(tell(0, "check"), DEAD);
	ck_assert_int_eq(tell(0, "trylock"), 0);
	assert_is_held(pid_of(0));
	/* and the next child has it from there */
	dynasty_fork(0, 2);
	ck_assert_int_eq(tell(2, "adopt"), 0);
	assert_is_held(pid_of(2));
	ck_assert_int_eq(tell(2, "unlock"), 0);
	dynasty_end();
	assert_is_free();
}

/* In line: who waits gets it from the daemon, and not on the way to it. */

static long sleeps_of(pid_t pid)
{
	char path[64];
	const char *count;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	count = strstr(read_file(path), "\nvoluntary_ctxt_switches:");
	ck_assert_ptr_nonnull(count);
	return atol(strchr(count, ':') + 1);
}

/* The waiter wakes, looks, and goes to sleep again. */
static void await_another_look(const struct holder *waiter, long sleeps)
{
	while (!has_answer(waiter) && sleeps_of(waiter->pid) == sleeps)
		sched_yield();
	await_blocked(waiter);
}

static void unlock_in_the_daemon(void)
{
	ck_assert_int_eq(tell(1, "unlock"), 0);
}

static void kill_the_daemon(void)
{
	dynasty_kill(1);
}

static void (*const ends[])(void) = { unlock_in_the_daemon, kill_the_daemon };

TEST_EACH(a_waiter_does_not_get_the_lock_from_the_dead_parent_but_from_the_daemon, ends)
{
	struct holder waiter;
	long sleeps;

	parent_and_child();
	waiter = holder_start(LOCK);
	holder_ask(&waiter, "lock");
	await_blocked(&waiter);
	sleeps = sleeps_of(waiter.pid);
	dynasty_kill(0);
	await_another_look(&waiter, sleeps);
	ck_assert_int_eq(tell(1, "check"), BUSY);
	sleeps = sleeps_of(waiter.pid);
	ck_assert_int_eq(tell(1, "adopt"), 0);
	await_another_look(&waiter, sleeps);
	assert_holds(1);
	ends[_i]();
	ck_assert_int_eq(holder_answer(&waiter), 0);
	assert_content(LOCK, "%d\n", waiter.pid);
	holder_end(&waiter);
	dynasty_end();
	assert_is_free();
}

/* It watches the parent, and has to notice that the last heir ended. */
TEST(a_waiter_gets_the_lock_when_the_child_dies_before_it_adopts)
{
	struct holder waiter;
	long sleeps;

	parent_and_child();
	waiter = holder_start(LOCK);
	holder_ask(&waiter, "lock");
	await_blocked(&waiter);
	sleeps = sleeps_of(waiter.pid);
	dynasty_kill(0);
	await_another_look(&waiter, sleeps);
	dynasty_kill(1);
	ck_assert_int_eq(holder_answer(&waiter), 0);
	holder_end(&waiter);
	assert_is_free();
}

/* The parent, which is watched, goes on. */
TEST(a_waiter_gets_the_lock_when_the_child_of_a_parent_that_let_go_and_lives_dies)
{
	struct holder waiter;

	skip_without_attributes();
	parent_and_child();
	ck_assert_int_eq(tell(0, "free"), 0);
	waiter = holder_start(LOCK);
	holder_ask(&waiter, "lock");
	await_blocked(&waiter);
	dynasty_kill(1);
	ck_assert_int_eq(holder_answer(&waiter), 0);
	ck_assert_int_eq(kill(pid_of(0), 0), 0);
	holder_end(&waiter);
	dynasty_end();
	assert_is_free();
}
