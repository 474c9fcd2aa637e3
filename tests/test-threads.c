/* SPDX-License-Identifier: BSD-2-Clause */
/* Threads, the forks that they make, and what a process is once some have ended. */
#include <config.h>

#include "world.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <lockfile-pid.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define THREADS 4

static char same_path[THREADS][8] = { "x.pid", "x.pid", "x.pid", "x.pid" };
static char own_paths[THREADS][8] = { "a.pid", "b.pid", "c.pid", "d.pid" };

/* What each of the threads returns is its mistakes. */
static void run_threads(void *(*run)(void *), char paths[THREADS][8])
{
	int descriptors = count_descriptors();
	pthread_t threads[THREADS];
	void *mistakes;

	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, run, paths[i]), 0);
	for (int i = 0; i < THREADS; i++) {
		ck_assert_int_eq(pthread_join(threads[i], &mistakes), 0);
		ck_assert_ptr_null(mistakes);
	}
	ck_assert_int_eq(count_descriptors(), descriptors);
	assert_nothing_left();
}

static int lock_by_trying(struct lockfile_pid *lock)
{
	int r;

	while ((r = lockfile_pid_trylock(lock)) == LOCKFILE_PID_ERR_BUSY)
		sched_yield();
	return r;
}

/* As an event loop does. */
static int lock_by_events(struct lockfile_pid *lock)
{
	struct pollfd event = { .events = POLLIN };
	int r = lockfile_pid_wait_begin(lock);

	while (r == LOCKFILE_PID_ERR_BUSY) {
		event.fd = lockfile_pid_wait_fd(lock);
		if (poll(&event, 1, -1) != 1)
			return -errno;
		r = lockfile_pid_wait_continue(lock);
	}
	return r;
}

static const struct way {
	int (*lock)(struct lockfile_pid *lock);
	int turns;
} ways[] = { { lockfile_pid_lock, 20 }, { lock_by_trying, 100 }, { lock_by_events, 20 } };

static const struct way *way;
static int inside;  /* atomic */
static int counter; /* protected by the lock alone */

static void *take_turns(void *path)
{
	intptr_t mistakes = 0;
	struct lockfile_pid *lock;

	if (lockfile_pid_new(&lock, path) < 0)
		return (void *)1;
	for (int i = 0; i < way->turns; i++) {
		mistakes += way->lock(lock) != 0;
		mistakes += __atomic_add_fetch(&inside, 1, __ATOMIC_SEQ_CST) != 1;
		counter++;
		mistakes += lockfile_pid_verify(lock) != 0;
		__atomic_sub_fetch(&inside, 1, __ATOMIC_SEQ_CST);
		mistakes += lockfile_pid_unlock(lock) != 0;
	}
	lockfile_pid_free(lock);
	return (void *)mistakes;
}

TEST_EACH(handles_in_threads_exclude_each_other, ways)
{
	way = &ways[_i];
	run_threads(take_turns, same_path);
	ck_assert_int_eq(counter, THREADS * way->turns);
}

static void *lock_at_once(void *path)
{
	intptr_t mistakes = 0;
	struct lockfile_pid *lock;
	pid_t holder = 0;

	if (lockfile_pid_new(&lock, path) < 0)
		return (void *)1;
	for (int i = 0; i < 100; i++) {
		mistakes += lockfile_pid_trylock(lock) != 0;
		mistakes += lockfile_pid_check(lock, &holder) != LOCKFILE_PID_ERR_BUSY;
		mistakes += holder != getpid();
		mistakes += lockfile_pid_verify(lock) != 0;
		mistakes += lockfile_pid_unlock(lock) != 0;
	}
	lockfile_pid_free(lock);
	return (void *)mistakes;
}

TEST(threads_that_lock_paths_of_their_own_never_find_them_busy)
{
	run_threads(lock_at_once, own_paths);
}

static int do_nothing(struct lockfile_pid *lock)
{
	(void)lock;
	return 0;
}

/* A handle is freed that is free, that holds, and that is in line. */
static int (*const uses[])(struct lockfile_pid *lock) = {
	do_nothing,
	lockfile_pid_trylock,
	lockfile_pid_wait_begin,
};

static void *make_and_free(void *path)
{
	intptr_t mistakes = 0;
	struct lockfile_pid *lock;

	for (size_t i = 0; i < 150; i++) {
		int r;

		if (lockfile_pid_new(&lock, path) < 0)
			return (void *)1;
		r = uses[i % (sizeof(uses) / sizeof(uses[0]))](lock);
		mistakes += r != 0 && r != LOCKFILE_PID_ERR_BUSY;
		lockfile_pid_free(lock);
	}
	return (void *)mistakes;
}

TEST(threads_may_make_and_free_handles_at_the_same_time)
{
	run_threads(make_and_free, same_path);
}

static bool stop_cycling; /* atomic */

static void *cycle(void *argument)
{
	intptr_t mistakes = 0;
	struct lockfile_pid *lock;

	if (lockfile_pid_new(&lock, argument) < 0)
		return (void *)1;
	while (!__atomic_load_n(&stop_cycling, __ATOMIC_SEQ_CST)) {
		mistakes += lockfile_pid_trylock(lock) != 0;
		mistakes += lockfile_pid_unlock(lock) != 0;
	}
	lockfile_pid_free(lock);
	return (void *)mistakes;
}

/*
 * In a child: is a file of the test's directory open that can be written?  One that
 * only keeps the place of a lock file is empty, and has no lock.
 */
static bool has_lock_file(void)
{
	char target[256], path[32];
	struct stat st;

	for (int fd = 0; fd < 256; fd++) {
		ssize_t n;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		n = readlink(path, target, sizeof(target) - 1);
		if (n < 0 || (fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDWR)
			continue;
		target[n] = '\0';
		if (strncmp(target, test_dir, strlen(test_dir)) == 0 && fstat(fd, &st) == 0 &&
		    st.st_size > 0)
			return true;
	}
	return false;
}

/* Since a thread that was not run for so long is not waited for: 100 ms. */
#define FORK_WAITS_MS 100

static void look_for_lock_file(void *before_ms)
{
	int64_t took_ms = now_ms() - *(int64_t *)before_ms;

	REQUIRE(took_ms >= FORK_WAITS_MS || !has_lock_file());
}

/* Candidates on their way, too, are the parent's alone. */
TEST(a_fork_while_another_thread_locks_takes_no_descriptor_along)
{
	pthread_t threads[2];
	char paths[2][8] = { "x.pid", "y.pid" };
	void *mistakes;

	if (is_emulated())
		SKIP("an emulator can lock itself up in a fork among threads");
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, cycle, paths[i]), 0);
	for (int i = 0; i < 100; i++) {
		int64_t before_ms = now_ms();

		ck_assert_int_eq(in_child(look_for_lock_file, &before_ms), 0);
	}
	__atomic_store_n(&stop_cycling, true, __ATOMIC_SEQ_CST);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(pthread_join(threads[i], &mistakes), 0);
		ck_assert_ptr_null(mistakes);
	}
}

static void use_library(void *argument)
{
	struct lockfile_pid *lock;

	(void)argument;
	REQUIRE(lockfile_pid_new(&lock, "z.pid") == 0);
	REQUIRE(lockfile_pid_lock(lock) == 0);
	lockfile_pid_free(lock);
}

TEST(a_child_forked_while_another_thread_locks_can_use_the_library)
{
	struct lockfile_pid *first;
	pthread_t thread;
	char path[] = "x.pid";
	void *mistakes;

	SKIP_IF_THREADS_CANNOT_FORK();
	if (is_emulated())
		SKIP("an emulator can lock itself up in a fork among threads");
	first = new_lock("x.pid");
	ck_assert_int_eq(pthread_create(&thread, NULL, cycle, path), 0);
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(in_child(use_library, NULL), 0);
	__atomic_store_n(&stop_cycling, true, __ATOMIC_SEQ_CST);
	ck_assert_int_eq(pthread_join(thread, &mistakes), 0);
	ck_assert_ptr_null(mistakes);
	lockfile_pid_free(first);
}

static void *make_handle(void *started)
{
	struct lockfile_pid *lock;

	__atomic_store_n((bool *)started, true, __ATOMIC_SEQ_CST);
	if (lockfile_pid_new(&lock, "x.pid") == 0)
		lockfile_pid_free(lock);
	return NULL;
}

static void fork_during_first_use(void *argument)
{
	bool started = false;
	pthread_t thread;

	(void)argument;
	REQUIRE(pthread_create(&thread, NULL, make_handle, &started) == 0);
	while (!__atomic_load_n(&started, __ATOMIC_SEQ_CST))
		;
	_exit(in_child(use_library, NULL));
}

TEST(a_child_forked_while_another_thread_makes_the_first_handle_can_use_the_library)
{
	SKIP_IF_THREADS_CANNOT_FORK();
	for (int i = 0; i < 200; i++)
		ck_assert_int_eq(in_child(fork_during_first_use, NULL), 0);
}

struct heir {
	int tell;
	bool close_descriptor;
};

static void *lock_and_stay(void *argument)
{
	struct heir *heir = argument;
	struct lockfile_pid *lock;
	char byte = 0;

	REQUIRE(lockfile_pid_new(&lock, "x.pid") == 0);
	REQUIRE(lockfile_pid_trylock(lock) == 0);
	if (heir->close_descriptor)
		close(lockfile_pid_fileno(lock));
	REQUIRE(write(heir->tell, &byte, 1) == 1);
	for (;;)
		pause();
	return NULL;
}

/* A process whose first thread ends while another holds the lock. */
static pid_t process_without_first_thread(bool close_descriptor)
{
	static struct heir heir;
	int told[2];
	pthread_t thread;
	char byte;
	pid_t pid;

	ck_assert_int_eq(pipe2(told, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		heir = (struct heir){ told[1], close_descriptor };
		REQUIRE(pthread_create(&thread, NULL, lock_and_stay, &heir) == 0);
		pthread_exit(NULL);
	}
	ck_assert_int_eq(read(told[0], &byte, 1), 1);
	while (process_state(pid) != 'Z')
		sched_yield();
	return pid;
}

static const bool closed[] = { false, true };

TEST_EACH(a_process_whose_first_thread_has_exited_still_holds, closed)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	pid_t holder = 0, pid = process_without_first_thread(closed[_i]);

	ck_assert_int_eq(lockfile_pid_trylock(lock), LOCKFILE_PID_ERR_BUSY);
	ck_assert_int_eq(lockfile_pid_check(lock, &holder), LOCKFILE_PID_ERR_BUSY);
	ck_assert_int_eq(holder, pid);
	ck_assert_int_eq(lockfile_pid_timedlock(lock, 20), -ETIMEDOUT);
	kill_child(pid);
	ck_assert_int_eq(lockfile_pid_check(lock, &holder), LOCKFILE_PID_ERR_PROCESS_DEAD);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	lockfile_pid_free(lock);
}

TEST(a_foreign_file_of_a_process_whose_first_thread_has_exited_is_respected)
{
	struct lockfile_pid *lock = new_lock("foreign.pid");
	pid_t pid;
	char content[16];

	skip_if_shared();
	pid = process_without_first_thread(false);
	snprintf(content, sizeof(content), "%d\n", (int)pid);
	write_file("foreign.pid", content);
	ck_assert_int_eq(lockfile_pid_trylock(lock), LOCKFILE_PID_ERR_BUSY);
	kill_child(pid);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	lockfile_pid_free(lock);
	ck_assert_int_eq(unlink("x.pid"), 0);
}

static void *tell_tid_and_stay(void *argument)
{
	__atomic_store_n((pid_t *)argument, (pid_t)syscall(SYS_gettid), __ATOMIC_SEQ_CST);
	for (;;)
		pause();
	return NULL;
}

/* kill(2) says that it exists, but no process has that number. */
TEST(the_number_of_a_mere_thread_is_dead)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	pid_t tid = 0, pid = 0;
	pthread_t thread;
	char content[16];

	skip_if_shared();
	ck_assert_int_eq(pthread_create(&thread, NULL, tell_tid_and_stay, &tid), 0);
	while (__atomic_load_n(&tid, __ATOMIC_SEQ_CST) == 0)
		sched_yield();
	ck_assert_int_eq(kill(tid, 0), 0);
	snprintf(content, sizeof(content), "%d\n", (int)tid);
	write_file("x.pid", content);
	ck_assert_int_eq(lockfile_pid_check(lock, &pid), LOCKFILE_PID_ERR_PROCESS_DEAD);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	lockfile_pid_free(lock);
	ck_assert_int_eq(pthread_cancel(thread), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
}

/* Handles are of the process, not of the thread that made them. */
static void *unlock_in_thread(void *argument)
{
	return (void *)(intptr_t)lockfile_pid_unlock(argument);
}

TEST(one_thread_may_release_what_another_locked)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	pthread_t thread;
	void *result;

	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, unlock_in_thread, lock), 0);
	ck_assert_int_eq(pthread_join(thread, &result), 0);
	ck_assert_ptr_null(result);
	assert_nothing_left();
	lockfile_pid_free(lock);
}

/* No call but a wait is a cancellation point, not even the first one of a new process. */

static struct lockfile_pid *inherited;

static void *set_while_cancelled(void *unused)
{
	int state, r;

	(void)unused;
	pthread_cancel(pthread_self());
	r = lockfile_pid_set_inheritable(inherited, 0);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	return r == 0 ? inherited : NULL;
}

static void set_in_a_thread(void *unused)
{
	pthread_t thread;
	void *result;

	(void)unused;
	REQUIRE(pthread_create(&thread, NULL, set_while_cancelled, NULL) == 0);
	REQUIRE(pthread_join(thread, &result) == 0);
	REQUIRE(result == inherited);
}

TEST(a_setter_in_a_new_process_is_no_cancellation_point)
{
	SKIP_IF_CANCELLATION_IS_UNKNOWN();
	inherited = new_lock("x.pid");
	ck_assert_int_eq(lockfile_pid_set_inheritable(inherited, 1), 0);
	ck_assert_int_eq(lockfile_pid_trylock(inherited), 0);
	ck_assert_int_eq(in_child(set_in_a_thread, NULL), 0);
	lockfile_pid_free(inherited);
}
