/* SPDX-License-Identifier: BSD-2-Clause */
/* Children, and new images: neither keeps, drops nor deletes a lock. */
#include <config.h>

#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <lockfile-pid.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static void use_as_child(struct lockfile_pid *lock)
{
	pid_t pid = 0;

	REQUIRE(lockfile_pid_verify(lock) == LOCKFILE_PID_ERR_ROGUE_DELETION);
	REQUIRE(lockfile_pid_unlock(lock) == LOCKFILE_PID_ERR_ROGUE_DELETION);
	REQUIRE(lockfile_pid_fileno(lock) == -EBADF);
	REQUIRE(lockfile_pid_check(lock, &pid) == LOCKFILE_PID_ERR_BUSY);
	REQUIRE(pid == getppid());
	REQUIRE(lockfile_pid_trylock(lock) == LOCKFILE_PID_ERR_BUSY);
	REQUIRE(lockfile_pid_timedlock(lock, 3) == -ETIMEDOUT);
	REQUIRE(lockfile_pid_set_mode(lock, 0600) == 0);
	lockfile_pid_free(lock);
}

static void only_free(struct lockfile_pid *lock)
{
	lockfile_pid_free(lock);
}

static void only_exit(struct lockfile_pid *lock)
{
	(void)lock;
	exit(0);
}

static void only_unlock(struct lockfile_pid *lock)
{
	REQUIRE(lockfile_pid_unlock(lock) == LOCKFILE_PID_ERR_ROGUE_DELETION);
}

static void try_and_die(struct lockfile_pid *lock)
{
	REQUIRE(lockfile_pid_trylock(lock) == LOCKFILE_PID_ERR_BUSY);
	/* raise(3) may take a raw clone for its parent */
	kill(getpid(), SIGKILL);
}

static const struct {
	pid_t (*make)(void);
	void (*live)(struct lockfile_pid *lock);
} children[] = {
	{ fork, use_as_child },    { fork, only_free },     { fork, only_exit },
	{ fork, only_unlock },     { fork, try_and_die },   { raw_fork, use_as_child },
	{ raw_fork, only_free },   { raw_fork, only_exit }, { raw_fork, only_unlock },
	{ raw_fork, try_and_die },
};

TEST_EACH(a_child_never_holds_its_parents_lock, children)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	struct holder other = holder_start("x.pid");
	int status;
	pid_t child;

	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	child = children[_i].make();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		children[_i].live(lock);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
	ck_assert_int_eq(lockfile_pid_verify(lock), 0);
	ck_assert_int_eq(holder_do(&other, "trylock"), LOCKFILE_PID_ERR_BUSY);
	assert_content("x.pid", "%d\n", getpid());
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	ck_assert_int_eq(holder_do(&other, "trylock"), 0);
	holder_end(&other);
	lockfile_pid_free(lock);
}

static pid_t (*const forks[])(void) = { fork, raw_fork };

static void lock_anew(struct lockfile_pid *lock, int ready, int go)
{
	char byte = 0;
	pid_t pid = 0;

	REQUIRE(lockfile_pid_trylock(lock) == LOCKFILE_PID_ERR_BUSY);
	REQUIRE(write(ready, &byte, 1) == 1);
	REQUIRE(read(go, &byte, 1) == 1);
	REQUIRE(lockfile_pid_lock(lock) == 0);
	REQUIRE(lockfile_pid_check(lock, &pid) == LOCKFILE_PID_ERR_BUSY);
	REQUIRE(pid == getpid());
	REQUIRE(lockfile_pid_verify(lock) == 0);
	REQUIRE(lockfile_pid_unlock(lock) == 0);
	REQUIRE(lockfile_pid_trylock(lock) == 0);
	lockfile_pid_free(lock);
	_exit(0);
}

TEST_EACH(a_child_may_lock_anew_with_the_same_handle, forks)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	int ready[2], go[2], status;
	char byte = 0;
	pid_t child;

	ck_assert_int_eq(pipe2(ready, O_CLOEXEC), 0);
	ck_assert_int_eq(pipe2(go, O_CLOEXEC), 0);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	child = forks[_i]();
	if (child == 0)
		lock_anew(lock, ready[1], go[0]);
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	ck_assert_int_eq(write(go[1], &byte, 1), 1);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	lockfile_pid_free(lock);
}

static pid_t fork_twice(void)
{
	int ends[2];
	pid_t pid;

	REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
	pid = fork();
	if (pid == 0) {
		pid = settled_fork();
		if (pid == 0)
			return 0;
		REQUIRE(write(ends[1], &pid, sizeof(pid)) == sizeof(pid));
		_exit(0);
	}
	REQUIRE(read(ends[0], &pid, sizeof(pid)) == sizeof(pid));
	return pid;
}

static pid_t vfork_and_exec(void)
{
	pid_t pid = vfork();

	if (pid == 0) {
		execlp("sleep", "sleep", "1000", (char *)NULL);
		_exit(127);
	}
	return pid;
}

static pid_t spawn(void)
{
	char *arguments[] = { (char[]){ "sleep" }, (char[]){ "1000" }, NULL };
	pid_t pid;

	REQUIRE(posix_spawnp(&pid, "sleep", NULL, NULL, arguments, environ) == 0);
	return pid;
}

static pid_t by_system(void)
{
	pid_t pid;

	REQUIRE(system("sleep 1000 >/dev/null 2>&1 & echo $! >child") == 0);
	pid = atoi(read_file("child"));
	unlink("child");
	return pid;
}

static pid_t (*const offspring[])(void) = {
	settled_fork, raw_fork, fork_twice, vfork_and_exec, spawn, by_system,
};

/* Holds, has a child, tells its PID and lives until it is killed. */
static void be_parent(pid_t (*make)(void), int tell)
{
	struct lockfile_pid *lock;
	pid_t child;

	REQUIRE(lockfile_pid_new(&lock, "x.pid") == 0);
	REQUIRE(lockfile_pid_trylock(lock) == 0);
	child = make();
	while (child == 0)
		pause();
	REQUIRE(write(tell, &child, sizeof(child)) == sizeof(child));
	for (;;)
		pause();
}

TEST_EACH(the_lock_dies_with_the_parent_while_a_child_lives, offspring)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	pid_t parent, child = 0, holder = 0;
	int told[2];

	/* these have a copy of the descriptor, that of exec for some moments more */
	if (offspring[_i] == raw_fork || offspring[_i] == vfork_and_exec || offspring[_i] == spawn)
		skip_without_attributes();
	ck_assert_int_eq(pipe2(told, O_CLOEXEC), 0);
	parent = fork();
	if (parent == 0)
		be_parent(offspring[_i], told[1]);
	ck_assert_int_eq(read(told[0], &child, sizeof(child)), sizeof(child));
	ck_assert_int_eq(lockfile_pid_trylock(lock), LOCKFILE_PID_ERR_BUSY);
	kill_child(parent);
	ck_assert_int_eq(kill(child, 0), 0);
	ck_assert_int_eq(lockfile_pid_check(lock, &holder), LOCKFILE_PID_ERR_PROCESS_DEAD);
	ck_assert_int_eq(holder, parent);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(lockfile_pid_verify(lock), 0);
	ck_assert_int_eq(kill(child, SIGKILL), 0);
	lockfile_pid_free(lock);
}

/* It is gone, and reaped by whoever its parent is. */
static void end_offspring(pid_t pid)
{
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	while (kill(pid, 0) == 0)
		if (waitpid(pid, NULL, 0) < 0)
			sched_yield();
}

TEST_EACH(while_the_parent_holds_no_child_keeps_drops_or_deletes_the_lock, offspring)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	struct holder other = holder_start("x.pid");
	pid_t child;

	for (int round = 0; round < 2; round++) {
		ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
		child = offspring[_i]();
		while (child == 0)
			pause();
		ck_assert_int_eq(holder_do(&other, "trylock"), LOCKFILE_PID_ERR_BUSY);
		if (round == 0)
			end_offspring(child);
		ck_assert_int_eq(holder_do(&other, "trylock"), LOCKFILE_PID_ERR_BUSY);
		ck_assert_int_eq(lockfile_pid_verify(lock), 0);
		assert_content("x.pid", "%d\n", getpid());
		ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
		ck_assert_int_eq(holder_do(&other, "trylock"), 0);
		ck_assert_int_eq(holder_do(&other, "unlock"), 0);
	}
	end_offspring(child);
	holder_end(&other);
	lockfile_pid_free(lock);
}

static void vfork_and_stay(int tell)
{
	struct lockfile_pid *lock;
	pid_t self;

	REQUIRE(lockfile_pid_new(&lock, "x.pid") == 0);
	REQUIRE(lockfile_pid_trylock(lock) == 0);
	/* it stays in vfork() until the child, which goes no further, is killed */
	if (vfork() == 0) {
		self = (pid_t)syscall(SYS_getpid);
		REQUIRE(write(tell, &self, sizeof(self)) == sizeof(self));
		for (;;)
			pause();
	}
	_exit(1);
}

TEST(the_lock_dies_with_the_parent_of_a_child_that_has_not_reached_exec)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	pid_t parent, child = 0;
	int told[2];

	skip_without_attributes();
	if (is_emulated())
		SKIP("to an emulator vfork(2) is fork(2)");
	ck_assert_int_eq(pipe2(told, O_CLOEXEC), 0);
	parent = fork();
	if (parent == 0)
		vfork_and_stay(told[1]);
	ck_assert_int_eq(read(told[0], &child, sizeof(child)), sizeof(child));
	ck_assert_int_ne(child, parent);
	ck_assert_int_eq(lockfile_pid_trylock(lock), LOCKFILE_PID_ERR_BUSY);
	kill_child(parent);
	ck_assert_int_eq(kill(child, 0), 0);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(kill(child, SIGKILL), 0);
	lockfile_pid_free(lock);
}

/* Also while the parent is alive: what it gives up is free for all. */
TEST_EACH(an_unlocked_lock_is_free_while_a_child_lives, forks)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	struct holder other = holder_start("x.pid");
	pid_t child;

	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	child = forks[_i]();
	while (child == 0)
		pause();
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	ck_assert_int_eq(holder_do(&other, "trylock"), 0);
	ck_assert_int_eq(holder_do(&other, "unlock"), 0);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	kill_child(child);
	ck_assert_int_eq(lockfile_pid_verify(lock), 0);
	holder_end(&other);
	lockfile_pid_free(lock);
}

TEST(a_waiter_takes_over_from_a_killed_parent_whose_child_lives)
{
	struct holder parent = holder_start("x.pid"), waiter = holder_start("x.pid");
	pid_t child;

	ck_assert_int_eq(holder_do(&parent, "trylock"), 0);
	child = holder_do(&parent, "fork");
	ck_assert_int_gt(child, 0);
	holder_ask(&waiter, "lock");
	await_blocked(&waiter);
	holder_kill(&parent);
	ck_assert_int_eq(holder_answer(&waiter), 0);
	ck_assert_int_eq(kill(child, SIGKILL), 0);
	holder_end(&waiter);
}

TEST(a_new_image_of_the_holder_may_lock_at_once)
{
	struct holder holder = holder_start("x.pid");

	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(holder_do(&holder, "exec"), 0);
		ck_assert_int_eq(holder_do(&holder, "verify"), LOCKFILE_PID_ERR_ROGUE_DELETION);
		ck_assert_int_eq(holder_do(&holder, "check"), LOCKFILE_PID_ERR_PROCESS_DEAD);
		ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
		assert_content("x.pid", "%d\n", holder.pid);
		ck_assert_str_eq(list_dir("."), "x.pid ");
	}
	holder_end(&holder);
}

TEST(what_a_new_image_left_behind_is_taken_over_when_it_ends)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	struct holder holder = holder_start("x.pid");

	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	ck_assert_int_eq(holder_do(&holder, "exec"), 0);
	holder_end(&holder);
	ck_assert_str_eq(list_dir("."), "x.pid ");
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	lockfile_pid_free(lock);
}

/* Holds, and becomes a program that ends with its input. */
static void become_cat(int input)
{
	struct lockfile_pid *lock;

	REQUIRE(lockfile_pid_new(&lock, "x.pid") == 0);
	REQUIRE(lockfile_pid_trylock(lock) == 0);
	REQUIRE(fcntl(lockfile_pid_fileno(lock), F_SETFD, 0) == 0);
	dup2(input, STDIN_FILENO);
	dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDOUT_FILENO);
	execlp("cat", "cat", (char *)NULL);
	_exit(127);
}

/* It has executed the program when the other end of its close-on-exec pipe is closed. */
static void await_exec(const int signal[2])
{
	char byte;

	close(signal[1]);
	ck_assert_int_eq(read(signal[0], &byte, 1), 0);
}

TEST(a_program_that_inherits_the_descriptor_holds_until_it_ends)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	int input[2], executed[2], status;
	pid_t child, holder = 0;

	ck_assert_int_eq(pipe2(input, O_CLOEXEC), 0);
	ck_assert_int_eq(pipe2(executed, O_CLOEXEC), 0);
	child = fork();
	if (child == 0)
		become_cat(input[0]);
	await_exec(executed);
	ck_assert_int_eq(lockfile_pid_trylock(lock), LOCKFILE_PID_ERR_BUSY);
	ck_assert_int_eq(lockfile_pid_check(lock, &holder), LOCKFILE_PID_ERR_BUSY);
	ck_assert_int_eq(holder, child);
	close(input[1]);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	ck_assert_str_eq(list_dir("."), "x.pid ");
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	lockfile_pid_free(lock);
}
