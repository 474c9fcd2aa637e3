/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Processes that call no fork handlers and share some things with their parent, and
 * threads that do not share their descriptors.
 */
#include <config.h>

#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <lockfile-pid.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define PATH       "x.pid"
#define STACK_SIZE 65536

#define BUSY  LOCKFILE_PID_ERR_BUSY
#define ROGUE LOCKFILE_PID_ERR_ROGUE_DELETION

static void skip_where_clone_is_another(void)
{
	if (is_emulated() || is_under_valgrind())
		SKIP("an emulator has no such clone(2)");
	if (THREAD_SANITIZER)
		SKIP("a sanitizer takes such a child for its parent");
}

static int do_pause(void *unused)
{
	(void)unused;
	while (true)
		pause();
	return 0;
}

/* On a stack of its own that nobody gives back. */
static pid_t clone_with(int flags, int (*f)(void *), void *argument)
{
	char *stack =
		mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pid_t pid;

	if (stack == MAP_FAILED)
		return -1;
	pid = clone(f, stack + STACK_SIZE, flags | SIGCHLD, argument);
	if (!(flags & CLONE_VM))
		munmap(stack, STACK_SIZE);
	return pid;
}

/* Children that sleep. */

static pid_t copy(void)
{
	return clone_with(0, do_pause, NULL);
}

static pid_t share_descriptors(void)
{
	return clone_with(CLONE_FILES, do_pause, NULL);
}

static pid_t share_memory(void)
{
	return clone_with(CLONE_VM, do_pause, NULL);
}

static pid_t share_both(void)
{
	return clone_with(CLONE_VM | CLONE_FILES, do_pause, NULL);
}

static pid_t fork_without_handlers(void)
{
#ifdef HAVE__FORK
	pid_t pid = _Fork();
#else
	pid_t pid = raw_fork();
#endif

	if (pid == 0)
		do_pause(NULL);
	return pid;
}

static pid_t (*const children[])(void) = {
	copy, share_descriptors, share_memory, share_both, fork_without_handlers,
};

TEST_EACH(a_child_that_sleeps_and_ends_changes_nothing_for_the_holder, children)
{
	struct lockfile_pid *lock = new_lock(PATH);
	struct holder other = holder_start(PATH);
	pid_t child;

	skip_where_clone_is_another();
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	child = children[_i]();
	ck_assert_int_gt(child, 0);
	ck_assert_int_eq(lockfile_pid_verify(lock), 0);
	ck_assert_int_eq(holder_do(&other, "trylock"), BUSY);
	kill_child(child);
	ck_assert_int_eq(lockfile_pid_verify(lock), 0);
	ck_assert_int_eq(holder_do(&other, "trylock"), BUSY);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	assert_nothing_left();
	holder_end(&other);
	lockfile_pid_free(lock);
}

TEST_EACH(an_unlocked_lock_is_free_while_a_child_lives, children)
{
	struct lockfile_pid *lock = new_lock(PATH);
	struct holder other = holder_start(PATH);
	pid_t child;

	skip_where_clone_is_another();
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	child = children[_i]();
	ck_assert_int_gt(child, 0);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	ck_assert_int_eq(holder_do(&other, "trylock"), 0);
	ck_assert_int_eq(lockfile_pid_trylock(lock), BUSY);
	kill_child(child);
	holder_end(&other);
	lockfile_pid_free(lock);
}

static void hold_and_have_child(pid_t (*make)(void), int tell)
{
	struct lockfile_pid *lock;
	pid_t child;

	REQUIRE(lockfile_pid_new(&lock, PATH) == 0);
	REQUIRE(lockfile_pid_trylock(lock) == 0);
	child = make();
	REQUIRE(child > 0);
	REQUIRE(write(tell, &child, sizeof(child)) == sizeof(child));
	do_pause(NULL);
}

TEST_EACH(the_lock_ends_with_the_holder_while_a_child_lives, children)
{
	struct lockfile_pid *lock = new_lock(PATH);
	pid_t parent, child = 0;
	int told[2];

	skip_where_clone_is_another();
	skip_without_attributes();
	ck_assert_int_eq(pipe2(told, O_CLOEXEC), 0);
	parent = checked_fork();
	if (parent == 0)
		hold_and_have_child(children[_i], told[1]);
	ck_assert_int_eq(read(told[0], &child, sizeof(child)), sizeof(child));
	ck_assert_int_eq(lockfile_pid_trylock(lock), BUSY);
	kill_child(parent);
	ck_assert_int_eq(kill(child, 0), 0);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(kill(child, SIGKILL), 0);
	lockfile_pid_free(lock);
	close(told[0]);
	close(told[1]);
}

/* A child with memory of its own, whether it shares the descriptors or not */

static const int own_memory[] = { 0, CLONE_FILES };

static int use_as_child(void *argument)
{
	struct lockfile_pid *lock = argument;

	if (lockfile_pid_verify(lock) != ROGUE)
		return 1;
	if (lockfile_pid_trylock(lock) != BUSY)
		return 2;
	if (lockfile_pid_check(lock, NULL) != BUSY)
		return 3;
	if (lockfile_pid_adopt(lock) != -EPERM)
		return 4;
	if (lockfile_pid_unlock(lock) != ROGUE)
		return 5;
	lockfile_pid_free(lock);
	return 0;
}

static int status_of(pid_t child)
{
	int status = -1;

	ck_assert_int_gt(child, 0);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	return status;
}

/* What it closes of shared descriptors was closed externally to its parent. */
TEST_EACH(a_child_neither_holds_nor_ends_its_parents_lock, own_memory)
{
	struct lockfile_pid *lock = new_lock(PATH);
	struct holder other = holder_start(PATH);

	skip_where_clone_is_another();
	skip_without_attributes();
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(status_of(clone_with(own_memory[_i], use_as_child, lock)), 0);
	ck_assert_int_eq(lockfile_pid_verify(lock), 0);
	ck_assert_int_eq(holder_do(&other, "trylock"), BUSY);
	assert_content(PATH, "%d\n", (int)getpid());
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	assert_nothing_left();
	ck_assert_int_eq(holder_do(&other, "trylock"), 0);
	holder_end(&other);
	lockfile_pid_free(lock);
}

static int lock_and_release(void *argument)
{
	struct lockfile_pid *lock = argument;
	pid_t pid = 0;

	if (lockfile_pid_trylock(lock) != 0)
		return 1;
	if (lockfile_pid_verify(lock) != 0)
		return 2;
	if (lockfile_pid_check(lock, &pid) != BUSY || pid != (pid_t)syscall(SYS_getpid))
		return 3;
	return lockfile_pid_unlock(lock) == 0 ? 0 : 4;
}

TEST_EACH(a_child_may_contend_for_the_lock_with_the_same_handle, own_memory)
{
	struct lockfile_pid *lock = new_lock(PATH);
	int before = count_descriptors();

	skip_where_clone_is_another();
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	ck_assert_int_eq(status_of(clone_with(own_memory[_i], lock_and_release, lock)), 0);
	assert_nothing_left();
	ck_assert_int_eq(count_descriptors(), before);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	lockfile_pid_free(lock);
}

static int lock_and_end(void *argument)
{
	return lockfile_pid_trylock(argument);
}

/* Where the descriptors are shared they stay open in the parent. */
TEST_EACH(the_lock_of_a_child_ends_with_it, own_memory)
{
	struct lockfile_pid *lock = new_lock(PATH);
	struct holder other = holder_start(PATH);

	skip_where_clone_is_another();
	skip_without_attributes();
	ck_assert_int_eq(status_of(clone_with(own_memory[_i], lock_and_end, lock)), 0);
	ck_assert(exists(PATH));
	ck_assert_int_eq(lockfile_pid_verify(lock), ROGUE);
	ck_assert_int_eq(holder_do(&other, "trylock"), 0);
	holder_end(&other);
	lockfile_pid_free(lock);
	assert_nothing_left();
}

/* Threads with descriptors of their own */

static struct lockfile_pid *of_first; /* the first thread's handle */
static int barrier[2][2];

static void pass(int side)
{
	ck_assert_int_eq(write(barrier[side][1], "", 1), 1);
}

static void await(int side)
{
	char byte;

	while (read(barrier[side][0], &byte, 1) != 1)
		;
}

static intptr_t with_own_table(void)
{
	return syscall(SYS_unshare, CLONE_FILES) == 0;
}

static void *lock_by_itself(void *unused)
{
	struct lockfile_pid *lock;
	intptr_t right = with_own_table();

	(void)unused;
	right &= lockfile_pid_new(&lock, PATH) == 0;
	right &= lockfile_pid_trylock(lock) == BUSY;
	right &= lockfile_pid_timedlock(lock, 1) == -ETIMEDOUT;
	pass(0);
	right &= lockfile_pid_lock(lock) == 0;
	right &= lockfile_pid_verify(lock) == 0;
	pass(0);
	await(1);
	right &= lockfile_pid_unlock(lock) == 0;
	lockfile_pid_free(lock);
	return (void *)right;
}

static void run_thread(pthread_t *thread, void *(*f)(void *))
{
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(pipe2(barrier[i], O_CLOEXEC), 0);
	ck_assert_int_eq(pthread_create(thread, NULL, f, NULL), 0);
}

static void end_thread(pthread_t thread)
{
	void *right;

	ck_assert_int_eq(pthread_join(thread, &right), 0);
	ck_assert_ptr_nonnull(right);
	for (int i = 0; i < 2; i++)
		for (int j = 0; j < 2; j++)
			close(barrier[i][j]);
}

TEST(threads_with_own_descriptors_exclude_each_other)
{
	pthread_t thread;

	of_first = new_lock(PATH);
	ck_assert_int_eq(lockfile_pid_trylock(of_first), 0);
	run_thread(&thread, lock_by_itself);
	await(0);
	ck_assert_int_eq(lockfile_pid_verify(of_first), 0);
	ck_assert_int_eq(lockfile_pid_unlock(of_first), 0);
	await(0);
	ck_assert_int_eq(lockfile_pid_trylock(of_first), BUSY);
	pass(1);
	end_thread(thread);
	assert_nothing_left();
	lockfile_pid_free(of_first);
}

/* As long as the thread has its table; then it is a lock whose descriptor was closed. */
static void *lock_and_leave(void *unused)
{
	intptr_t right = with_own_table();

	(void)unused;
	return (void *)(right & (lockfile_pid_trylock(of_first) == 0));
}

TEST(the_lock_of_a_thread_whose_descriptors_went_with_it_stays_with_the_process)
{
	int before = count_descriptors();
	struct holder other = holder_start(PATH);
	pthread_t thread;

	skip_without_attributes();
	of_first = new_lock(PATH);
	run_thread(&thread, lock_and_leave);
	end_thread(thread);
	ck_assert_int_eq(holder_do(&other, "trylock"), BUSY);
	ck_assert_int_eq(lockfile_pid_verify(of_first), 0);
	ck_assert_int_eq(lockfile_pid_unlock(of_first), 0);
	assert_nothing_left();
	ck_assert_int_eq(holder_do(&other, "trylock"), 0);
	holder_end(&other);
	lockfile_pid_free(of_first);
	ck_assert_int_eq(count_descriptors(), before);
}

/* The numbers are those of other files there. */
static void *release_for_first(void *unused)
{
	intptr_t right = with_own_table();
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC), fd;

	(void)unused;
	pass(0);
	await(1);
	fd = lockfile_pid_fileno(of_first);
	/* that of the lock file is not in this table, */
	right &= fd == -EBADF;
	/* and what it may have been is another file's */
	for (fd = null + 1; fd < null + 16; fd++)
		right &= fcntl(fd, F_GETFD) >= 0 || dup2(null, fd) == fd;
	right &= lockfile_pid_verify(of_first) == 0;
	right &= lockfile_pid_unlock(of_first) == 0;
	for (fd = null + 1; fd < null + 16; fd++)
		right &= fcntl(fd, F_GETFD) >= 0;
	return (void *)right;
}

TEST(in_a_thread_with_own_descriptors_those_of_others_count_as_closed)
{
	struct holder other = holder_start(PATH);
	pthread_t thread;

	skip_without_attributes();
	of_first = new_lock(PATH);
	run_thread(&thread, release_for_first);
	await(0);
	ck_assert_int_eq(lockfile_pid_trylock(of_first), 0);
	pass(1);
	end_thread(thread);
	assert_nothing_left();
	ck_assert_int_eq(lockfile_pid_verify(of_first), ROGUE);
	ck_assert_int_eq(holder_do(&other, "trylock"), 0);
	holder_end(&other);
	lockfile_pid_free(of_first);
}

static void *fork_for_first(void *unused)
{
	intptr_t right = with_own_table();
	int status = -1;
	pid_t child;

	(void)unused;
	pass(0);
	await(1);
	child = fork();
	if (child == 0)
		_exit(use_as_child(of_first));
	right &= waitpid(child, &status, 0) == child;
	right &= status == 0;
	return (void *)right;
}

TEST(a_thread_with_own_descriptors_may_fork_while_another_holds)
{
	struct holder other = holder_start(PATH);
	pthread_t thread;

	SKIP_IF_THREADS_CANNOT_FORK();
	if (is_emulated())
		SKIP("an emulator can lock itself up in a fork among threads");
	of_first = new_lock(PATH);
	run_thread(&thread, fork_for_first);
	await(0);
	ck_assert_int_eq(lockfile_pid_trylock(of_first), 0);
	pass(1);
	end_thread(thread);
	ck_assert_int_eq(lockfile_pid_verify(of_first), 0);
	ck_assert_int_eq(holder_do(&other, "trylock"), BUSY);
	ck_assert_int_eq(lockfile_pid_unlock(of_first), 0);
	assert_nothing_left();
	holder_end(&other);
	lockfile_pid_free(of_first);
}
