/* SPDX-License-Identifier: BSD-2-Clause */
/* A lock in one call, and the holder that an attempt lost to. */
#include <config.h>

#include "world.h"

#include <errno.h>
#include <lockfile-pid.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define PATH    "x.pid"
#define BUSY    LOCKFILE_PID_ERR_BUSY
#define PATTERN ((struct lockfile_pid *)&untouched)

static int untouched;

TEST(open_takes_a_free_lock)
{
	struct lockfile_pid *lock;
	pid_t pid = -7;

	ck_assert_int_eq(lockfile_pid_open(&lock, PATH, 0, &pid), 0);
	ck_assert_int_eq(pid, 0);
	ck_assert_int_eq(lockfile_pid_holder(lock), 0);
	assert_content(PATH, "%d\n", getpid());
	ck_assert_int_eq(lockfile_pid_verify(lock), 0);
	lockfile_pid_free(lock);
}

TEST(open_takes_over_a_stale_lock)
{
	struct lockfile_pid *lock;
	struct holder holder = holder_start(PATH);
	pid_t pid = -7;

	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	holder_kill(&holder);
	ck_assert_int_eq(lockfile_pid_open(&lock, PATH, 0, &pid), 0);
	ck_assert_int_eq(pid, 0);
	lockfile_pid_free(lock);
}

TEST(open_of_a_held_lock_makes_no_handle_and_says_whom_it_lost_to)
{
	struct holder holder = holder_start(PATH);
	struct lockfile_pid *lock = PATTERN;
	int descriptors = count_descriptors();
	pid_t pid = -7;

	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	ck_assert_int_eq(lockfile_pid_open(&lock, PATH, 0, &pid), BUSY);
	ck_assert_int_eq(pid, holder.pid);
	ck_assert_int_eq(lockfile_pid_open(&lock, PATH, 0, NULL), BUSY);
	ck_assert_ptr_eq(lock, PATTERN);
	ck_assert_int_eq(count_descriptors(), descriptors);
	holder_end(&holder);
}

static const struct {
	const char *path;
	unsigned int flags;
	int result;
} errors[] = {
	{ "", 0, -EINVAL },
	{ PATH, 8, -EINVAL },
	{ PATH, ~0U, -EINVAL },
	{ PATH ".queue", 0, LOCKFILE_PID_ERR_RESERVED_NAME },
	{ "no/such/dir/" PATH, 0, -ENOENT },
	{ "no/such/dir/" PATH, LOCKFILE_PID_WAIT, -ENOENT },
	{ "/proc/self", 0, LOCKFILE_PID_ERR_INVALID_PID },
};

TEST_EACH(open_that_fails_makes_no_handle, errors)
{
	struct lockfile_pid *lock = PATTERN;
	int descriptors = count_descriptors();
	pid_t pid = -7;

	ck_assert_int_eq(lockfile_pid_open(&lock, errors[_i].path, errors[_i].flags, &pid),
	                 errors[_i].result);
	ck_assert_int_eq(pid, 0);
	ck_assert_ptr_eq(lock, PATTERN);
	ck_assert_int_eq(count_descriptors(), descriptors);
	assert_nothing_left();
}

static void adopt(void *lock)
{
	_exit(-lockfile_pid_adopt(lock));
}

static const struct {
	unsigned int flags;
	int adopt;
} flags[] = {
	{ 0, EPERM },
	{ LOCKFILE_PID_CLUSTER_LOCKS | LOCKFILE_PID_WAIT, EPERM },
	{ LOCKFILE_PID_INHERITABLE, 0 },
	{ LOCKFILE_PID_INHERITABLE | LOCKFILE_PID_CLUSTER_LOCKS | LOCKFILE_PID_WAIT, 0 },
};

TEST_EACH(a_child_adopts_what_was_opened_inheritably, flags)
{
	struct lockfile_pid *lock;

	ck_assert_int_eq(lockfile_pid_open(&lock, PATH, flags[_i].flags, NULL), 0);
	ck_assert_int_eq(in_child(adopt, lock), flags[_i].adopt);
	lockfile_pid_free(lock);
	unlink(PATH);
}

/* A daemon that does not fork makes the same calls, and its workers keep nothing. */
TEST(a_process_that_never_forked_adopts_what_it_opened)
{
	struct lockfile_pid *lock, *other = new_lock(PATH);
	pid_t worker;

	ck_assert_int_eq(lockfile_pid_open(&lock, PATH, LOCKFILE_PID_INHERITABLE, NULL), 0);
	ck_assert_int_eq(lockfile_pid_adopt(lock), 0);
	assert_content(PATH, "%d\n", getpid());
	worker = idle_child();
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	ck_assert_int_eq(lockfile_pid_trylock(other), 0);
	kill_child(worker);
	lockfile_pid_free(lock);
	lockfile_pid_free(other);
}

TEST(open_that_waits_gets_the_lock_when_it_is_released)
{
	struct lockfile_pid *holder = new_lock(PATH), *lock;
	pid_t pid;
	int status;

	ck_assert_int_eq(lockfile_pid_trylock(holder), 0);
	pid = checked_fork();
	if (pid == 0) {
		pid_t found = -7;

		REQUIRE(lockfile_pid_open(&lock, PATH, LOCKFILE_PID_WAIT, &found) == 0);
		REQUIRE(found == 0);
		lockfile_pid_free(lock);
		lockfile_pid_free(holder);
		_exit(0);
	}
	while (!exists(PATH ".queue"))
		sched_yield();
	ck_assert_int_eq(lockfile_pid_unlock(holder), 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	lockfile_pid_free(holder);
}

/* A wait that ends in an error */

static void open_where_we_may_not_write(void *holder)
{
	struct lockfile_pid *lock = PATTERN;
	pid_t found = -7;

	REQUIRE(lockfile_pid_open(&lock, PATH, LOCKFILE_PID_WAIT, &found) == -EACCES);
	REQUIRE(found == *(const pid_t *)holder);
	REQUIRE(lock == PATTERN);
}

TEST(open_that_waits_where_it_may_not_write_says_whom_it_lost_to)
{
	struct holder holder = holder_start(PATH);

	SKIP_UNLESS_ROOT();
	ck_assert_int_eq(chmod(".", 0755), 0);
	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	ck_assert_int_eq(as_nobody(open_where_we_may_not_write, &holder.pid), 0);
	holder_end(&holder);
}

static void handle(int signal)
{
	(void)signal;
}

static void open_until_a_signal(pid_t holder)
{
	const struct sigaction action = { .sa_handler = handle };
	struct lockfile_pid *lock = PATTERN;
	pid_t found = -7;

	REQUIRE(sigaction(SIGUSR1, &action, NULL) == 0);
	REQUIRE(lockfile_pid_open(&lock, PATH, LOCKFILE_PID_WAIT, &found) == -EINTR);
	REQUIRE(found == holder);
	REQUIRE(lock == PATTERN);
	_exit(0);
}

TEST(open_that_is_interrupted_while_it_waits_says_whom_it_lost_to)
{
	struct holder holder = holder_start(PATH);
	pid_t pid;
	int status;

	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	pid = checked_fork();
	if (pid == 0)
		open_until_a_signal(holder.pid);
	/* signals are let in when it sleeps */
	while (!exists(PATH ".queue"))
		sched_yield();
	ck_assert_int_eq(kill(pid, SIGUSR1), 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	holder_end(&holder);
}

static void *open_and_wait(void *unused)
{
	struct lockfile_pid *lock;

	(void)unused;
	return (void *)(intptr_t)lockfile_pid_open(&lock, PATH, LOCKFILE_PID_WAIT, NULL);
}

/* The handle is freed, too: valgrind and the sanitizers look for that. */
TEST(open_that_is_cancelled_while_it_waits_leaves_nothing)
{
	struct holder holder = holder_start(PATH);
	int descriptors;
	pthread_t thread;
	void *result;

	SKIP_IF_CANCELLATION_IS_UNKNOWN();
	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	descriptors = count_descriptors();
	ck_assert_int_eq(pthread_create(&thread, NULL, open_and_wait, NULL), 0);
	while (!exists(PATH ".queue"))
		sched_yield();
	ck_assert_int_eq(pthread_cancel(thread), 0);
	ck_assert_int_eq(pthread_join(thread, &result), 0);
	ck_assert_ptr_eq(result, PTHREAD_CANCELED);
	ck_assert_int_eq(count_descriptors(), descriptors);
	ck_assert_str_eq(list_dir("."), PATH " ");
	holder_end(&holder);
}

/* The holder */

TEST(the_holder_is_whom_the_attempt_found_and_not_who_is_there_now)
{
	struct holder holder = holder_start(PATH);
	struct lockfile_pid *lock = new_lock(PATH);

	ck_assert_int_eq(lockfile_pid_holder(lock), 0);
	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	ck_assert_int_eq(lockfile_pid_holder(lock), 0);
	ck_assert_int_eq(lockfile_pid_trylock(lock), BUSY);
	ck_assert_int_eq(holder_do(&holder, "unlock"), 0);
	ck_assert_int_eq(lockfile_pid_holder(lock), holder.pid);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(lockfile_pid_holder(lock), 0);
	lockfile_pid_free(lock);
	holder_end(&holder);
}

TEST(the_holder_of_a_failed_wait_is_known)
{
	struct holder holder = holder_start(PATH);
	struct lockfile_pid *lock = new_lock(PATH);

	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	ck_assert_int_eq(lockfile_pid_timedlock(lock, 1), -ETIMEDOUT);
	ck_assert_int_eq(lockfile_pid_holder(lock), holder.pid);
	ck_assert_int_eq(lockfile_pid_wait_begin(lock), BUSY);
	ck_assert_int_eq(lockfile_pid_holder(lock), holder.pid);
	ck_assert_int_eq(lockfile_pid_wait_cancel(lock), 0);
	holder_end(&holder);
	ck_assert_int_eq(lockfile_pid_lock(lock), 0);
	ck_assert_int_eq(lockfile_pid_holder(lock), 0);
	lockfile_pid_free(lock);
}

TEST(the_holder_is_this_process_if_the_handle_or_another_holds)
{
	struct lockfile_pid *lock = new_lock(PATH), *other = new_lock(PATH);

	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(lockfile_pid_trylock(lock), BUSY);
	ck_assert_int_eq(lockfile_pid_holder(lock), getpid());
	ck_assert_int_eq(lockfile_pid_trylock(other), BUSY);
	ck_assert_int_eq(lockfile_pid_holder(other), getpid());
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	ck_assert_int_eq(lockfile_pid_trylock(other), 0);
	ck_assert_int_eq(lockfile_pid_lock(other), -EDEADLK);
	ck_assert_int_eq(lockfile_pid_holder(other), getpid());
	lockfile_pid_free(lock);
	lockfile_pid_free(other);
}

TEST(there_is_no_holder_of_what_is_no_lock_file)
{
	struct holder holder = holder_start(PATH);
	struct lockfile_pid *lock = new_lock(PATH);

	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	ck_assert_int_eq(lockfile_pid_trylock(lock), BUSY);
	holder_end(&holder);
	ck_assert_int_eq(symlink("nowhere", PATH), 0);
	ck_assert_int_eq(lockfile_pid_trylock(lock), LOCKFILE_PID_ERR_INVALID_PID);
	ck_assert_int_eq(lockfile_pid_holder(lock), 0);
	ck_assert_int_eq(unlink(PATH), 0);
	lockfile_pid_free(lock);
}

/* The PID of another program is known as well; an empty file has none. */
TEST(the_holder_of_a_third_party_file_is_known_if_there_is_a_pid)
{
	struct lockfile_pid *lock = new_lock(PATH);
	char content[16];
	pid_t pid = idle_child();

	snprintf(content, sizeof(content), "%d\n", (int)pid);
	write_file(PATH, content);
	ck_assert_int_eq(lockfile_pid_trylock(lock), BUSY);
	ck_assert_int_eq(lockfile_pid_holder(lock), pid);
	write_file(PATH, "");
	ck_assert_int_eq(lockfile_pid_trylock(lock), BUSY);
	ck_assert_int_eq(lockfile_pid_holder(lock), 0);
	kill_child(pid);
	unlink(PATH);
	lockfile_pid_free(lock);
}

TEST(a_waiter_on_a_read_only_file_system_is_told_at_once)
{
	struct lockfile_pid *lock, *held;

	SKIP_UNLESS_ROOT();
	private_mounts();
	mount_tmpfs("d", "size=1m");
	held = new_lock("d/" PATH);
	ck_assert_int_eq(lockfile_pid_trylock(held), 0);
	make_read_only("d");
	lock = new_lock("d/" PATH);
	ck_assert_int_eq(lockfile_pid_trylock(lock), BUSY);
	ck_assert_int_eq(lockfile_pid_lock(lock), -EROFS);
	ck_assert_int_eq(lockfile_pid_timedlock(lock, 60000), -EROFS);
	ck_assert_int_eq(lockfile_pid_wait_begin(lock), -EROFS);
	ck_assert_int_eq(lockfile_pid_holder(lock), getpid());
	lockfile_pid_free(lock);
	unmount("d");
	lockfile_pid_free(held);
	unmount("d");
	ck_assert_int_eq(rmdir("d"), 0);
}
