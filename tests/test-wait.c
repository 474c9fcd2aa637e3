/* SPDX-License-Identifier: BSD-2-Clause */
/* Waiting for a lock, and what ends it. */
#include <config.h>

#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <lockfile-pid.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

static void stop(const struct holder *holder)
{
	siginfo_t info;

	ck_assert_int_eq(kill(holder->pid, SIGSTOP), 0);
	ck_assert_int_eq(waitid(P_PID, (id_t)holder->pid, &info, WSTOPPED), 0);
}

static void go_on(const struct holder *holder)
{
	siginfo_t info;

	ck_assert_int_eq(kill(holder->pid, SIGCONT), 0);
	ck_assert_int_eq(waitid(P_PID, (id_t)holder->pid, &info, WCONTINUED), 0);
}

static const char *const waits[] = { "lock", "timedlock -1", "timedlock -7", "timedlock 600000" };

TEST_EACH(a_waiter_has_the_lock_when_it_is_released, waits)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	struct holder other = holder_start("x.pid");

	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	holder_ask(&other, waits[_i]);
	await_blocked(&other);
	ck_assert_int_eq(lockfile_pid_verify(lock), 0);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	ck_assert_int_eq(holder_answer(&other), 0);
	assert_content("x.pid", "%d\n", other.pid);
	ck_assert_int_eq(holder_do(&other, "verify"), 0);
	holder_end(&other);
	lockfile_pid_free(lock);
}

TEST_EACH(a_waiter_has_the_lock_when_the_holder_is_killed, waits)
{
	struct holder first = holder_start("x.pid"), second = holder_start("x.pid");

	ck_assert_int_eq(holder_do(&first, "trylock"), 0);
	holder_ask(&second, waits[_i]);
	await_blocked(&second);
	holder_kill(&first);
	ck_assert_int_eq(holder_answer(&second), 0);
	assert_content("x.pid", "%d\n", second.pid);
	ck_assert_str_eq(list_dir("."), "x.pid ");
	holder_end(&second);
}

TEST_EACH(a_waiter_has_the_lock_when_the_file_is_removed_by_hand, waits)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	struct holder other = holder_start("x.pid");

	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	holder_ask(&other, waits[_i]);
	await_blocked(&other);
	ck_assert_int_eq(unlink("x.pid"), 0);
	ck_assert_int_eq(holder_answer(&other), 0);
	ck_assert_int_eq(lockfile_pid_unlock(lock), LOCKFILE_PID_ERR_ROGUE_DELETION);
	ck_assert_int_eq(holder_do(&other, "verify"), 0);
	holder_end(&other);
	lockfile_pid_free(lock);
}

TEST(a_waiter_has_the_lock_when_the_process_of_a_foreign_file_ends)
{
	struct holder other = holder_start("x.pid");
	pid_t child;
	char content[16];

	skip_if_shared();
	child = idle_child();
	snprintf(content, sizeof(content), "%d\n", (int)child);
	write_file("x.pid", content);
	holder_ask(&other, "lock");
	await_blocked(&other);
	ck_assert_int_eq(kill(child, SIGKILL), 0);
	ck_assert_int_eq(holder_answer(&other), 0); /* a zombie is dead */
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	holder_end(&other);
}

TEST(a_waiter_is_told_when_the_path_is_no_lock_file_any_more)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	struct holder other = holder_start("x.pid");

	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(mkdir("dir", 0755), 0);
	holder_ask(&other, "lock");
	await_blocked(&other);
	ck_assert_int_eq(syscall(SYS_renameat2, AT_FDCWD, "dir", AT_FDCWD, "x.pid", 2), 0);
	ck_assert_int_eq(holder_answer(&other), LOCKFILE_PID_ERR_INVALID_PID);
	ck_assert_int_eq(rmdir("x.pid"), 0);
	ck_assert_int_eq(unlink("dir"), 0);
	holder_end(&other);
	lockfile_pid_free(lock);
}

#define WAITERS 8

static int await_any_answer(struct holder waiters[WAITERS])
{
	struct pollfd answers[WAITERS];

	for (int i = 0; i < WAITERS; i++)
		answers[i] = (struct pollfd){ .fd = waiters[i].from, .events = POLLIN };
	ck_assert_int_eq(poll(answers, WAITERS, -1), 1);
	for (int i = 0; i < WAITERS; i++)
		if (answers[i].revents)
			return i;
	return -1;
}

TEST(all_who_wait_have_their_turn_one_by_one)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	struct holder waiters[WAITERS];

	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	for (int i = 0; i < WAITERS; i++) {
		waiters[i] = holder_start("x.pid");
		holder_ask(&waiters[i], "lock");
	}
	for (int i = 0; i < WAITERS; i++)
		await_blocked(&waiters[i]);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	for (int turn = 0; turn < WAITERS; turn++) {
		int i = await_any_answer(waiters);

		ck_assert_int_eq(holder_answer(&waiters[i]), 0);
		assert_content("x.pid", "%d\n", waiters[i].pid);
		holder_end(&waiters[i]);
		waiters[i].from = -1;
	}
	lockfile_pid_free(lock);
}

#define SOME_DESCRIPTORS 64

/* The flags of open(2) of another process's descriptor, 0 if it has no such. */
static unsigned long descriptor_flags(pid_t pid, int fd)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", (int)pid, fd);
	return exists(path) ? strtoul(strstr(read_file(path), "flags:") + 6, NULL, 8) | 1 << 30 : 0;
}

TEST(descriptors_that_a_waiter_opens_are_closed_by_exec)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	struct holder other = holder_start("x.pid");
	bool had[SOME_DESCRIPTORS];
	int opened = 0;

	for (int fd = 0; fd < SOME_DESCRIPTORS; fd++)
		had[fd] = descriptor_flags(other.pid, fd) != 0;
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	holder_ask(&other, "lock");
	await_blocked(&other);
	stop(&other);
	for (int fd = 0; fd < SOME_DESCRIPTORS; fd++) {
		unsigned long flags = had[fd] ? 0 : descriptor_flags(other.pid, fd);

		ck_assert(flags == 0 || (flags & O_CLOEXEC) != 0);
		opened += flags != 0;
	}
	ck_assert_int_gt(opened, 0);
	go_on(&other);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	ck_assert_int_eq(holder_answer(&other), 0);
	holder_end(&other);
	lockfile_pid_free(lock);
}

static const int timeouts[] = { 1, 2, 19, 60, 150 };

TEST_EACH(timedlock_gives_up_but_never_early, timeouts)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	struct holder other = holder_start("x.pid");
	int descriptors = count_descriptors();
	int64_t start;

	ck_assert_int_eq(holder_do(&other, "trylock"), 0);
	start = now_ms();
	ck_assert_int_eq(lockfile_pid_timedlock(lock, timeouts[_i]), -ETIMEDOUT);
	ck_assert_int_ge(now_ms() + 1 - start, timeouts[_i]); /* both are rounded down */
	ck_assert_int_eq(count_descriptors(), descriptors);
	ck_assert_str_eq(list_dir("."), "x.pid ");
	ck_assert_int_eq(lockfile_pid_verify(lock), LOCKFILE_PID_ERR_ROGUE_DELETION);
	ck_assert_int_eq(holder_do(&other, "unlock"), 0);
	ck_assert_int_eq(lockfile_pid_timedlock(lock, timeouts[_i]), 0);
	holder_end(&other);
	lockfile_pid_free(lock);
}

TEST(timedlock_with_no_time_is_trylock)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	struct holder other = holder_start("x.pid");

	ck_assert_int_eq(holder_do(&other, "trylock"), 0);
	ck_assert_int_eq(lockfile_pid_timedlock(lock, 0), LOCKFILE_PID_ERR_BUSY);
	holder_end(&other);
	ck_assert_int_eq(lockfile_pid_timedlock(lock, 0), 0);
	lockfile_pid_free(lock);
}

static volatile sig_atomic_t signals_handled;

static void count_signal(int number)
{
	(void)number;
	signals_handled++;
}

static void start_alarms(int flags)
{
	struct sigaction action = { .sa_handler = count_signal, .sa_flags = flags };
	struct itimerval often = { { 0, 10000 }, { 0, 10000 } };

	ck_assert_int_eq(sigaction(SIGALRM, &action, NULL), 0);
	ck_assert_int_eq(setitimer(ITIMER_REAL, &often, NULL), 0);
}

static void stop_alarms(void)
{
	struct itimerval never = { { 0, 0 }, { 0, 0 } };

	ck_assert_int_eq(setitimer(ITIMER_REAL, &never, NULL), 0);
}

TEST(a_signal_handler_without_sa_restart_ends_a_wait_and_nothing_is_left)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	struct holder other = holder_start("x.pid");
	int descriptors = count_descriptors();

	ck_assert_int_eq(holder_do(&other, "trylock"), 0);
	start_alarms(0);
	for (int i = 0; i < 20; i++) {
		ck_assert_int_eq(lockfile_pid_lock(lock), -EINTR);
		ck_assert_int_eq(lockfile_pid_timedlock(lock, 60000), -EINTR);
	}
	stop_alarms();
	ck_assert_int_gt(signals_handled, 0);
	ck_assert_int_eq(count_descriptors(), descriptors);
	ck_assert_str_eq(list_dir("."), "x.pid ");
	ck_assert_int_eq(lockfile_pid_unlock(lock), LOCKFILE_PID_ERR_ROGUE_DELETION);
	ck_assert_int_eq(holder_do(&other, "unlock"), 0);
	ck_assert_int_eq(lockfile_pid_lock(lock), 0);
	holder_end(&other);
	lockfile_pid_free(lock);
}

/* Handlers, by whether they were installed with SA_RESTART; a row has signals to send. */

static void handle(int signal, int flags)
{
	struct sigaction action = { .sa_handler = count_signal, .sa_flags = flags };

	REQUIRE(sigaction(signal, &action, NULL) == 0);
}

/* Those of Check, too. */
static void remove_handlers(void)
{
	for (int i = 1; i <= SIGRTMAX; i++)
		signal(i, SIG_DFL);
}

#define SIGNALS 50

struct interruption {
	bool has_interrupting, has_restarting;
	int signal; /* that is sent SIGNALS times */
	int result; /* if the lock is not released meanwhile */
};

/* clang-format off: a row a line */
static const struct interruption interruptions[] = {
	{ false, true, SIGUSR2, 0 },     { true, true, SIGUSR2, 0 },
	{ true, true, SIGUSR1, -EINTR }, { true, false, SIGUSR1, -EINTR },
	{ true, true, SIGCHLD, 0 }, /* not handled, and ignored */
};
/* clang-format on */

/* SIGUSR1 interrupts, and SIGUSR2 restarts. */
static void wait_with_handlers(const struct interruption *row, int answer, int (*wait)(void *),
                               void *lock)
{
	int r;

	remove_handlers();
	if (row->has_interrupting)
		handle(SIGUSR1, 0);
	if (row->has_restarting)
		handle(SIGUSR2, SA_RESTART);
	r = wait(lock);
	REQUIRE(write(answer, &r, sizeof(r)) == sizeof(r));
	_exit(row->result == 0 && row->signal == SIGUSR2 && signals_handled == 0);
}

static int wait_for_ever(void *lock)
{
	return lockfile_pid_lock(lock);
}

static int wait_for_a_minute(void *lock)
{
	return lockfile_pid_timedlock(lock, 60000);
}

static int (*const forms[])(void *) = { wait_for_ever, wait_for_a_minute };

/* Between signals it sleeps in the queue again, or it has answered. */
static bool send_signal(pid_t pid, int signal, const struct pollfd *answer)
{
	struct pollfd p = *answer;

	while (process_state(pid) != 'S' && poll(&p, 1, 0) == 0)
		sched_yield();
	if (poll(&p, 1, 0) != 0)
		return false;
	ck_assert_int_eq(kill(pid, signal), 0);
	return true;
}

static int number_of_interruption(int i)
{
	return i / 2;
}

TEST_FULL(only_a_handler_without_sa_restart_ends_a_wait,
          2 * (int)(sizeof(interruptions) / sizeof(interruptions[0])), DEFAULT_TIMEOUT_S)
{
	const struct interruption *row = &interruptions[number_of_interruption(_i)];
	struct lockfile_pid *lock = new_lock("x.pid"), *of_child = new_lock("x.pid");
	struct pollfd answer = { .events = POLLIN };
	int ends[2], r = 1, status;
	pid_t pid;

	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	pid = checked_fork();
	if (pid == 0)
		wait_with_handlers(row, ends[1], forms[_i % 2], of_child);
	close(ends[1]);
	answer.fd = ends[0];
	while (!exists("x.pid.queue"))
		sched_yield();
	for (int i = 0; i < SIGNALS && send_signal(pid, row->signal, &answer); i++)
		;
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	ck_assert_int_eq(read(ends[0], &r, sizeof(r)), sizeof(r));
	ck_assert_int_eq(r, row->result);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	close(ends[0]);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0); /* of a dead one, perhaps */
	lockfile_pid_free(of_child);
	lockfile_pid_free(lock);
}

/* In another thread it would be told of nothing. */
static const bool both[] = { false, true };

TEST_EACH(a_time_out_is_right_whatever_restarts_the_wait, both)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	struct holder other = holder_start("x.pid");
	int64_t start;

	ck_assert_int_eq(holder_do(&other, "trylock"), 0);
	remove_handlers();
	if (both[_i])
		handle(SIGUSR1, 0);
	start_alarms(SA_RESTART);
	start = now_ms();
	ck_assert_int_eq(lockfile_pid_timedlock(lock, 150), -ETIMEDOUT);
	ck_assert_int_ge(now_ms() + 1 - start, 150);
	stop_alarms();
	ck_assert_int_gt(signals_handled, 0);
	holder_end(&other);
	lockfile_pid_free(lock);
}

TEST(a_waiter_without_handlers_does_not_notice_that_it_was_stopped)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	struct holder other = holder_start("x.pid");

	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	holder_ask(&other, "lock");
	for (int i = 0; i < 20; i++) {
		await_blocked(&other);
		stop(&other);
		go_on(&other);
	}
	await_blocked(&other);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	ck_assert_int_eq(holder_answer(&other), 0);
	holder_end(&other);
	lockfile_pid_free(lock);
}

TEST(a_stopped_waiter_does_not_hold_up_the_others)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	struct holder first = holder_start("x.pid"), second = holder_start("x.pid");

	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	holder_ask(&first, "lock");
	await_blocked(&first);
	holder_ask(&second, "lock");
	await_blocked(&second);
	stop(&first);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	ck_assert_int_eq(holder_answer(&second), 0);
	go_on(&first);
	await_blocked(&first);
	ck_assert_int_eq(holder_do(&second, "unlock"), 0);
	ck_assert_int_eq(holder_answer(&first), 0);
	holder_end(&first);
	holder_end(&second);
	lockfile_pid_free(lock);
}

TEST(a_killed_waiter_leaves_nothing_and_holds_up_nobody)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	struct holder first = holder_start("x.pid"), second = holder_start("x.pid");

	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	holder_ask(&first, "lock");
	await_blocked(&first);
	holder_ask(&second, "lock");
	await_blocked(&second);
	holder_kill(&first);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	ck_assert_int_eq(holder_answer(&second), 0);
	ck_assert_str_eq(list_dir("."), "x.pid ");
	holder_end(&second);
	lockfile_pid_free(lock);
}

struct waiting {
	struct lockfile_pid *lock;
	pid_t tid; /* atomic; 0 before it waits */
	int result;
	bool passed;
};

static void *wait_in_thread(void *argument)
{
	struct waiting *w = argument;

	__atomic_store_n(&w->tid, (pid_t)syscall(SYS_gettid), __ATOMIC_SEQ_CST);
	w->result = lockfile_pid_lock(w->lock);
	w->passed = true;
	return NULL;
}

static void await_sleep(const struct waiting *w)
{
	pid_t tid;

	while ((tid = __atomic_load_n(&w->tid, __ATOMIC_SEQ_CST)) == 0)
		sched_yield();
	while (thread_state(tid) != 'S')
		sched_yield();
}

TEST(cancellation_of_a_waiting_thread_leaks_nothing)
{
	struct waiting w = { .lock = new_lock("x.pid") };
	struct holder other = holder_start("x.pid");
	int descriptors = count_descriptors();
	pthread_t thread;
	void *result;

	SKIP_IF_CANCELLATION_IS_UNKNOWN();
	ck_assert_int_eq(holder_do(&other, "trylock"), 0);
	for (int i = 0; i < 60; i++) {
		w.tid = 0;
		ck_assert_int_eq(pthread_create(&thread, NULL, wait_in_thread, &w), 0);
		if (i % 2)
			await_sleep(&w);
		ck_assert_int_eq(pthread_cancel(thread), 0);
		ck_assert_int_eq(pthread_join(thread, &result), 0);
		ck_assert_ptr_eq(result, PTHREAD_CANCELED);
		ck_assert(!w.passed);
	}
	ck_assert_int_eq(count_descriptors(), descriptors);
	ck_assert_str_eq(list_dir("."), "x.pid ");
	ck_assert_int_eq(lockfile_pid_verify(w.lock), LOCKFILE_PID_ERR_ROGUE_DELETION);
	ck_assert_int_eq(lockfile_pid_trylock(w.lock), LOCKFILE_PID_ERR_BUSY);
	ck_assert_int_eq(holder_do(&other, "unlock"), 0);
	ck_assert_int_eq(lockfile_pid_lock(w.lock), 0);
	holder_end(&other);
	lockfile_pid_free(w.lock);
}

struct calls {
	int results[8];
	bool passed;
};

/* Without Check's assertions, which are cancellation points. */
static void *call_all_with_cancellation_pending(void *argument)
{
	struct calls *c = argument;
	struct lockfile_pid *lock, *other;
	pid_t pid;

	pthread_cancel(pthread_self());
	c->results[0] = lockfile_pid_new(&lock, "x.pid");
	c->results[1] = lockfile_pid_new(&other, "x.pid");
	c->results[2] = lockfile_pid_lock(lock); /* it need not wait */
	c->results[3] = lockfile_pid_trylock(other);
	c->results[4] = lockfile_pid_verify(lock);
	c->results[5] = lockfile_pid_check(lock, &pid);
	c->results[6] = lockfile_pid_unlock(lock);
	c->results[7] = lockfile_pid_trylock(lock);
	lockfile_pid_free(other);
	lockfile_pid_free(lock);
	c->passed = true;
	pthread_testcancel();
	return NULL;
}

TEST(no_other_function_is_a_cancellation_point)
{
	static const int expected[] = {
		0, 0, 0, LOCKFILE_PID_ERR_BUSY, 0, LOCKFILE_PID_ERR_BUSY, 0, 0,
	};
	int descriptors = count_descriptors();
	struct calls calls = { .passed = false };
	pthread_t thread;
	void *result;

	SKIP_IF_CANCELLATION_IS_UNKNOWN();
	ck_assert_int_eq(pthread_create(&thread, NULL, call_all_with_cancellation_pending, &calls),
	                 0);
	ck_assert_int_eq(pthread_join(thread, &result), 0);
	ck_assert(calls.passed);
	ck_assert_ptr_eq(result, PTHREAD_CANCELED);
	ck_assert_mem_eq(calls.results, expected, sizeof(expected));
	ck_assert_int_eq(count_descriptors(), descriptors);
}
