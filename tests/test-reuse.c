/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One number, two processes: PIDs that are used again, that come from before a
 * reboot, and that mean another process in another namespace.
 */
#include <config.h>

#include "container.h"
#include "filter.h"
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <lockfile-pid.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#define MS_PER_TICK 10 /* of start times */

/* What tells two processes of one number from each other: their pidfds, or when they started. */
static const struct container sights[] = {
	{ .user = 0 },
	{ .furnish = { { refuse_pidfd_open, ENOSYS } } },
	{ .furnish = { { refuse_pidfd_open, EPERM } } },
};

static struct container with_pid(struct container container, pid_t pid)
{
	container.pid = pid;
	return container;
}

static int64_t boot_ticks(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return ((int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000) / MS_PER_TICK;
}

/* Who is made after this has another start time than who was made before. */
static void pass_a_tick(void)
{
	struct timespec ms = { .tv_nsec = 1000000 };
	int64_t then = boot_ticks();

	while (boot_ticks() == then)
		nanosleep(&ms, NULL);
}

/* Leaves the lock file of a process that is gone; returns its PID. */
static pid_t leave_file(const struct container *container)
{
	struct holder holder = container_start(container, "x.pid");

	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	holder_kill(&holder);
	assert_content("x.pid", "%d\n", holder.pid);
	pass_a_tick();
	return holder.pid;
}

static pid_t idle_with_pid(pid_t pid)
{
	struct container container = with_pid((struct container){ .user = 0 }, pid);

	ck_assert_int_eq(container_idle(&container), pid);
	return pid;
}

static void write_pid(const char *name, pid_t pid)
{
	char content[16];

	snprintf(content, sizeof(content), "%d\n", (int)pid);
	write_file(name, content);
}

/* Numbers that are used again */

TEST_EACH(a_lock_whose_pid_is_anothers_by_now_is_taken_over_at_once, sights)
{
	struct holder contender;
	pid_t pid;

	SKIP_UNLESS_ROOT();
	contender = container_start(&sights[_i], "x.pid");
	pid = idle_with_pid(leave_file(&sights[_i]));
	ck_assert_int_eq(holder_do(&contender, "check"), LOCKFILE_PID_ERR_PROCESS_DEAD);
	ck_assert_int_eq(holder_do(&contender, "pid"), pid);
	ck_assert_int_eq(holder_do(&contender, "trylock"), 0);
	assert_content("x.pid", "%d\n", contender.pid);
	kill_child(pid);
	ck_assert_int_eq(holder_do(&contender, "verify"), 0);
	holder_end(&contender);
}

/* The number is the contender's. */
TEST_EACH(a_lock_of_ones_own_pid_is_taken_over_at_once, sights)
{
	struct container container;
	struct holder contender;
	pid_t pid;

	SKIP_UNLESS_ROOT();
	pid = leave_file(&sights[_i]);
	container = with_pid(sights[_i], pid);
	contender = container_start(&container, "x.pid");
	ck_assert_int_eq(contender.pid, pid);
	ck_assert_int_eq(holder_do(&contender, "verify"), LOCKFILE_PID_ERR_ROGUE_DELETION);
	ck_assert_int_eq(holder_do(&contender, "unlock"), LOCKFILE_PID_ERR_ROGUE_DELETION);
	ck_assert_int_eq(holder_do(&contender, "check"), LOCKFILE_PID_ERR_PROCESS_DEAD);
	ck_assert_int_eq(holder_do(&contender, "trylock"), 0);
	ck_assert_int_eq(holder_do(&contender, "check"), LOCKFILE_PID_ERR_BUSY);
	holder_end(&contender);
}

/* Neither is it held up by one who has the number of a holder known by its record alone. */
TEST_EACH(a_waiter_that_missed_the_reuse_of_a_pid_has_the_lock, sights)
{
	struct holder holder, waiter;
	siginfo_t info;
	pid_t pid;

	SKIP_UNLESS_ROOT();
	holder = container_start(&sights[_i], "x.pid");
	waiter = container_start(&sights[_i], "x.pid");
	ck_assert_int_eq(holder_do(&holder, "lock"), 0);
	ck_assert_int_eq(holder_do(&holder, "closefrom"), 0);
	holder_ask(&waiter, "lock");
	await_blocked(&waiter);
	ck_assert_int_eq(kill(waiter.pid, SIGSTOP), 0);
	ck_assert_int_eq(waitid(P_PID, (id_t)waiter.pid, &info, WSTOPPED), 0);
	pass_a_tick();
	holder_kill(&holder);
	pid = idle_with_pid(holder.pid);
	ck_assert_int_eq(kill(waiter.pid, SIGCONT), 0);
	ck_assert_int_eq(holder_answer(&waiter), 0);
	kill_child(pid);
	holder_end(&waiter);
}

/* Its first holder is gone, and who has the number now is watched. */
TEST(a_waiter_has_the_lock_that_was_inherited_when_the_last_heir_dies)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	struct holder holder;
	pid_t heir, pid;

	SKIP_UNLESS_ROOT();
	adopt_orphans();
	holder = holder_start("x.pid");
	ck_assert_int_eq(holder_do(&holder, "inheritable 1"), 0);
	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	heir = holder_do(&holder, "fork");
	holder_kill(&holder);
	pid = idle_with_pid(holder.pid);
	ck_assert_int_eq(lockfile_pid_wait_begin(lock), LOCKFILE_PID_ERR_BUSY);
	ck_assert_int_eq(lockfile_pid_wait_continue(lock), LOCKFILE_PID_ERR_BUSY);
	kill_child(heir);
	/* at each look: nothing has woken it */
	ck_assert_int_eq(lockfile_pid_wait_continue(lock), 0);
	kill_child(pid);
	lockfile_pid_free(lock);
}

/* A foreign file says a number and no more. */
TEST_EACH(a_foreign_file_is_respected_while_any_process_has_its_pid, sights)
{
	struct holder contender;
	pid_t pid = freed_pid();

	SKIP_UNLESS_ROOT();
	contender = container_start(&sights[_i], "x.pid");
	write_pid("x.pid", pid);
	ck_assert_int_eq(holder_do(&contender, "check"), LOCKFILE_PID_ERR_PROCESS_DEAD);
	idle_with_pid(pid);
	ck_assert_int_eq(holder_do(&contender, "check"), LOCKFILE_PID_ERR_BUSY);
	ck_assert_int_eq(holder_do(&contender, "pid"), pid);
	ck_assert_int_eq(holder_do(&contender, "trylock"), LOCKFILE_PID_ERR_BUSY);
	assert_content("x.pid", "%d\n", pid);
	holder_ask(&contender, "lock");
	await_blocked(&contender);
	kill_child(pid);
	ck_assert_int_eq(holder_answer(&contender), 0);
	holder_end(&contender);
}

/* Another boot */

static const struct container before_reboot = {
	.namespaces = CLONE_NEWNS,
	.furnish = { { another_boot, 0 } },
};

TEST(a_lock_from_before_a_reboot_is_taken_over_at_once)
{
	struct holder contender = holder_start("x.pid");
	pid_t pid;

	SKIP_UNLESS_ROOT();
	pid = idle_with_pid(leave_file(&before_reboot));
	ck_assert_int_eq(holder_do(&contender, "check"), LOCKFILE_PID_ERR_PROCESS_DEAD);
	ck_assert_int_eq(holder_do(&contender, "pid"), 0);
	ck_assert_int_eq(holder_do(&contender, "trylock"), 0);
	kill_child(pid);
	holder_end(&contender);
}

/* Its process lives, and has the very start time: so it may be after a reboot as well. */
TEST(a_record_of_another_boot_proves_no_process)
{
	struct holder contender = holder_start("x.pid"), holder;

	SKIP_UNLESS_ROOT();
	holder = container_start(&before_reboot, "x.pid");
	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	ck_assert_int_eq(holder_do(&contender, "trylock"), LOCKFILE_PID_ERR_BUSY);
	/* while it has the kernel lock it is of this boot, whatever it was told */
	ck_assert_int_eq(holder_do(&contender, "pid"), holder.pid);
	ck_assert_int_eq(holder_do(&holder, "closefrom"), 0);
	ck_assert_int_eq(holder_do(&contender, "check"), LOCKFILE_PID_ERR_PROCESS_DEAD);
	ck_assert_int_eq(holder_do(&contender, "trylock"), 0);
	ck_assert_int_eq(holder_do(&holder, "unlock"), LOCKFILE_PID_ERR_ROGUE_DELETION);
	ck_assert_int_eq(holder_do(&contender, "verify"), 0);
	holder_end(&holder);
	holder_end(&contender);
}

/* A child with its parent's number, in a namespace of its own */

static pid_t (*const forks[])(void) = { fork, raw_fork };

static void be_no_holder(struct lockfile_pid *lock, pid_t pid)
{
	REQUIRE(getpid() == pid);
	REQUIRE(lockfile_pid_verify(lock) == LOCKFILE_PID_ERR_ROGUE_DELETION);
	REQUIRE(lockfile_pid_unlock(lock) == LOCKFILE_PID_ERR_ROGUE_DELETION);
	REQUIRE(lockfile_pid_fileno(lock) == -EBADF);
	REQUIRE(lockfile_pid_check(lock, &pid) == LOCKFILE_PID_ERR_BUSY);
	REQUIRE(pid == 0);
	REQUIRE(lockfile_pid_trylock(lock) == LOCKFILE_PID_ERR_BUSY);
	REQUIRE(lockfile_pid_timedlock(lock, 20) == -ETIMEDOUT);
	lockfile_pid_free(lock);
	exit(0);
}

static void hold_and_fork(pid_t (*make_child)(void))
{
	struct lockfile_pid *lock;
	pid_t child, pid = getpid();
	int status = -1;

	REQUIRE(lockfile_pid_new(&lock, "x.pid") == 0);
	REQUIRE(lockfile_pid_trylock(lock) == 0);
	child = make_child();
	if (child == 0)
		be_no_holder(lock, pid);
	REQUIRE(waitpid(child, &status, 0) == child && status == 0);
	REQUIRE(lockfile_pid_verify(lock) == 0);
	REQUIRE(lockfile_pid_unlock(lock) == 0);
	lockfile_pid_free(lock);
}

static void be_first_twice(void *make_child)
{
	REQUIRE(getpid() == 1);
	REQUIRE(unshare(CLONE_NEWPID) == 0);
	hold_and_fork(*(pid_t(**)(void))make_child);
}

TEST_EACH(the_first_process_of_a_container_in_a_container_is_not_the_outer_one, forks)
{
	const struct container container = { .namespaces = CLONE_NEWPID };
	pid_t (*make_child)(void) = forks[_i];

	SKIP_UNLESS_ROOT();
	ck_assert_int_eq(in_container(&container, be_first_twice, &make_child), 0);
}

/* The next process of the namespace that the caller is in. */
static void choose_next(void *pid)
{
	FILE *file = fopen("/proc/sys/kernel/ns_last_pid", "w");

	REQUIRE(file != NULL);
	REQUIRE(fprintf(file, "%d", *(pid_t *)pid - 1) > 0);
	REQUIRE(fclose(file) == 0);
}

TEST_EACH(a_child_that_has_its_parents_pid_is_not_the_holder, forks)
{
	pid_t first, pid = getpid();
	int fd;

	SKIP_UNLESS_ROOT();
	if (!exists("/proc/sys/kernel/ns_last_pid"))
		SKIP("cannot choose the PID of a fork");
	first = make_pids(&fd);
	join_pids(fd);
	close(fd);
	ck_assert_int_eq(in_child(choose_next, &pid), 0);
	hold_and_fork(forks[_i]);
	kill_child(first);
}

struct parent {
	int namespace, ready;
};

/* The child has a copy of the descriptor, and the number that the file says. */
static void hold_with_child(const struct parent *parent)
{
	const struct container same_pid = { .pid = getpid() };
	struct lockfile_pid *lock;

	REQUIRE(lockfile_pid_new(&lock, "x.pid") == 0);
	REQUIRE(lockfile_pid_trylock(lock) == 0);
	REQUIRE(setns(parent->namespace, CLONE_NEWPID) == 0);
	container_idle(&same_pid);
	REQUIRE(write(parent->ready, "", 1) == 1);
	for (;;)
		pause();
}

TEST(the_lock_dies_with_the_parent_while_a_child_of_its_pid_lives)
{
	struct holder contender = holder_start("x.pid");
	struct parent parent;
	pid_t first, pid;
	int ready[2];
	char byte;

	SKIP_UNLESS_ROOT();
	first = make_pids(&parent.namespace);
	ck_assert_int_eq(pipe2(ready, O_CLOEXEC), 0);
	parent.ready = ready[1];
	pid = fork();
	if (pid == 0)
		hold_with_child(&parent);
	close(ready[1]);
	if (read(ready[0], &byte, 1) == 0)
		SKIP("cannot choose the PID of a process");
	ck_assert_int_eq(holder_do(&contender, "trylock"), LOCKFILE_PID_ERR_BUSY);
	ck_assert_int_eq(holder_do(&contender, "pid"), pid);
	kill_child(pid);
	ck_assert_int_eq(holder_do(&contender, "check"), LOCKFILE_PID_ERR_PROCESS_DEAD);
	ck_assert_int_eq(holder_do(&contender, "trylock"), 0);
	kill_child(first);
	holder_end(&contender);
}

/* Where /proc is that of the outer namespace, the number is a zombie's there. */
TEST_EACH(what_an_outer_proc_says_of_a_number_is_not_asked, sights)
{
	struct holder holder, contender;
	struct container container;
	pid_t first, pid;
	int fd;

	SKIP_UNLESS_ROOT();
	pid = idle_child();
	first = make_pids(&fd);
	join_pids(fd);
	close(fd);
	container = with_pid(sights[_i], pid);
	holder = container_start(&container, "x.pid");
	contender = container_start(&sights[_i], "x.pid");
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	await_zombie(pid);
	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	assert_content("x.pid", "%d\n", pid);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(holder_do(&contender, "trylock"), LOCKFILE_PID_ERR_BUSY);
		ck_assert_int_eq(holder_do(&contender, "pid"), pid);
		ck_assert_int_eq(holder_do(&holder, "verify"), 0);
		/* then pidfds alone tell who it is */
		if (i == 0 && _i == 0)
			ck_assert_int_eq(holder_do(&holder, "closefrom"), 0);
	}
	ck_assert_int_eq(holder_do(&holder, "unlock"), 0);
	holder_end(&holder);
	holder_end(&contender);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	kill_child(first);
}
