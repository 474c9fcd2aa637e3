/* SPDX-License-Identifier: BSD-2-Clause */
/* run: signals, while it waits and while the command runs */
#include <config.h>

#include "common.h"
#include "job.h"
#include "world.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static void start_listener(struct job *job)
{
	START(job, "run", LOCK, listener());
	stream_await(&job->out, "ready\n");
}

/* The wrapper's own: two that nobody can catch, and the news of its child. */
static bool can_be_passed_on(int sig)
{
	return sig != SIGKILL && sig != SIGSTOP && sig != SIGCHLD;
}

static void assert_is_passed_on(struct job *job, int sig)
{
	char line[32];

	ck_assert_int_eq(kill(job->pid, sig), 0);
	snprintf(line, sizeof(line), "%d\n", sig);
	stream_await(&job->out, line);
	assert_content(LOCK, "%d\n", (int)job->pid);
	ck_assert_int_eq(RUN("run", "-n", LOCK, "true"), 1);
}

/* Also those that the C library keeps for itself. */
TEST(every_signal_that_can_be_caught_is_passed_on_and_none_frees_the_lock)
{
	struct job job = { .before_exec = NULL };
	int sig;

	start_listener(&job);
	for (sig = 1; sig < NSIG; sig++)
		if (can_be_passed_on(sig) && sig != SIGTERM)
			assert_is_passed_on(&job, sig);
	ck_assert_int_eq(kill(job.pid, SIGTERM), 0);
	ck_assert_int_eq(job_end(&job), 7);
	ck_assert_str_eq(job.out.text + job.out.seen, "15\n");
	ck_assert_str_eq(job.err.text, "");
}

TEST(a_signal_of_a_child_that_somebody_sends_does_no_harm)
{
	struct job job = { .before_exec = NULL };

	start_listener(&job);
	ck_assert_int_eq(kill(job.pid, SIGCHLD), 0);
	ck_assert_int_eq(kill(job.pid, SIGTERM), 0);
	ck_assert_int_eq(job_end(&job), 7);
	ck_assert_str_eq(job.out.text + job.out.seen, "15\n");
}

TEST(a_signal_is_passed_on_with_its_value_and_in_its_order)
{
	struct job job = { .before_exec = NULL };

	start_listener(&job);
	ck_assert_int_eq(sigqueue(job.pid, SIGRTMIN, (union sigval){ .sival_int = 4711 }), 0);
	ck_assert_int_eq(sigqueue(job.pid, SIGRTMIN, (union sigval){ .sival_int = 4712 }), 0);
	stream_await(&job.out, " 4711\n");
	stream_await(&job.out, " 4712\n");
	ck_assert_int_eq(kill(job.pid, SIGTERM), 0);
	ck_assert_int_eq(job_end(&job), 7);
}

/* They end a process that does nothing about them. */
static const int ending[] = {
	SIGTERM, SIGINT,  SIGHUP,  SIGQUIT, SIGALRM, SIGUSR1,
	SIGUSR2, SIGPIPE, SIGABRT, SIGXFSZ, SIGPWR,  SIGPROF,
};

TEST(a_command_that_dies_by_a_signal_to_the_tool_ends_both)
{
	struct job job = { .before_exec = NULL };

	START(&job, "run", LOCK, SLEEP);
	stream_await(&job.out, "ready\n");
	ck_assert_int_eq(kill(job.pid, SIGTERM), 0);
	ck_assert_int_eq(job_end(&job), 128 + SIGTERM);
	ck_assert_int_eq(job.signal, SIGTERM);
}

TEST_EACH(a_signal_that_ends_processes_ends_the_wait_and_leaves_nothing, ending)
{
	struct job holder = { .before_exec = NULL };
	struct job waiter = { .before_exec = NULL };

	start_holder(&holder);
	START(&waiter, "run", "-v", LOCK, "echo", "no");
	stream_await(&waiter.err, "waiting for");
	ck_assert_int_eq(kill(waiter.pid, ending[_i]), 0);
	ck_assert_int_eq(job_end(&waiter), 128 + ending[_i]);
	ck_assert_str_eq(waiter.out.text, "");
	assert_content(LOCK, "%d\n", (int)holder.pid);
	ck_assert_int_eq(job_end(&holder), 0);
}

TEST(a_signal_that_comes_between_two_waits_ends_the_tool)
{
	struct job holder = { .before_exec = NULL };
	struct job waiter = { .before_exec = standard_error_is_full };

	start_holder(&holder);
	START(&waiter, "run", "-v", LOCK, "echo", "no");
	await_message(&waiter);
	ck_assert_int_eq(kill(waiter.pid, SIGTERM), 0);
	ck_assert_int_eq(job_end(&waiter), 128 + SIGTERM);
	ck_assert_str_eq(waiter.out.text, "");
	ck_assert_int_eq(job_end(&holder), 0);
}

TEST(a_signal_that_comes_as_the_lock_is_had_ends_the_tool_and_leaves_nothing)
{
	struct job holder = { .before_exec = NULL };
	struct job waiter = { .before_exec = standard_error_is_full };

	start_holder(&holder);
	START(&waiter, "run", "-v", LOCK, "echo", "no");
	await_message(&waiter);
	ck_assert_int_eq(job_end(&holder), 0);
	ck_assert_int_eq(kill(waiter.pid, SIGTERM), 0);
	ck_assert_int_eq(job_end(&waiter), 128 + SIGTERM);
	ck_assert_str_eq(waiter.out.text, "");
}

TEST(a_signal_that_comes_between_lock_and_fork_is_passed_on)
{
	struct job job = { .before_exec = standard_error_is_full };

	START(&job, "run", "-v", LOCK, "sleep", "60");
	await_message(&job);
	ck_assert(exists(LOCK));
	ck_assert_int_eq(kill(job.pid, SIGTERM), 0);
	stream_await(&job.err, "locked");
	ck_assert_int_eq(job_end(&job), 128 + SIGTERM);
}

TEST(a_message_that_nobody_reads_does_not_end_the_tool)
{
	struct job job = { .before_exec = standard_error_is_full };

	START(&job, "run", "-v", LOCK, "sh", "-c", "exit 3");
	await_message(&job);
	close(job.err.fd);
	job.err.fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(job_end(&job), 3);
}

TEST(a_message_that_nobody_reads_does_not_end_the_tool_without_fork)
{
	struct job job = { .before_exec = standard_error_is_full };

	START(&job, "run", "-F", "-v", LOCK, "sh", "-c", "exit 3");
	await_message(&job);
	close(job.err.fd);
	job.err.fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(job_end(&job), 3);
	ck_assert_int_eq(RUN("run", LOCK, "true"), 0);
}

TEST(a_message_that_nobody_reads_does_not_end_the_wait)
{
	struct job holder = { .before_exec = NULL };
	struct job waiter = { .before_exec = standard_error_is_full };

	start_holder(&holder);
	START(&waiter, "run", "-v", LOCK, "echo", "mine");
	await_message(&waiter);
	close(waiter.err.fd);
	waiter.err.fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(job_end(&holder), 0);
	ck_assert_int_eq(job_end(&waiter), 0);
	ck_assert_str_eq(waiter.out.text, "mine\n");
}

/* Nobody has sent the signal that comes of it. */
TEST(a_message_that_nobody_reads_is_nothing_to_the_command)
{
	struct job job = { .before_exec = standard_error_is_full };

	START(&job, "run", "-v", LOCK, listener());
	await_message(&job);
	close(job.err.fd);
	job.err.fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	stream_await(&job.out, "ready\n");
	/* of two signals the tool takes the one with the lower number first */
	ck_assert_int_eq(kill(job.pid, SIGTERM), 0);
	ck_assert_int_eq(job_end(&job), 7);
	ck_assert_str_eq(job.out.text, "ready\n15\n");
}

static void ignore_hang_ups(void)
{
	signal(SIGHUP, SIG_IGN);
}

TEST(a_signal_that_is_ignored_stays_ignored)
{
	struct job holder = { .before_exec = NULL };
	struct job waiter = { .before_exec = ignore_hang_ups };

	start_holder(&holder);
	START(&waiter, "run", "-v", LOCK, "sh", "-c", "kill -HUP $$; echo ready; cat");
	stream_await(&waiter.err, "waiting for");
	ck_assert_int_eq(kill(waiter.pid, SIGHUP), 0);
	ck_assert_int_eq(job_end(&holder), 0);
	stream_await(&waiter.out, "ready\n");
	ck_assert_int_eq(kill(waiter.pid, SIGHUP), 0);
	ck_assert_int_eq(job_end(&waiter), 0);
}

static void block_usr1(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_SETMASK, &set, NULL);
}

TEST(the_command_has_the_signal_mask_that_the_tool_was_given)
{
	struct job job = { .before_exec = block_usr1 };

	ck_assert_int_eq(RUN_IN(&job, "run", LOCK, "grep", "SigBlk", "/proc/self/status"), 0);
	ck_assert_str_eq(job.out.text, "SigBlk:\t0000000000000200\n");
	ck_assert_int_eq(RUN_IN(&job, "run", "-F", LOCK, "grep", "SigBlk", "/proc/self/status"), 0);
	ck_assert_str_eq(job.out.text, "SigBlk:\t0000000000000200\n");
	ck_assert_int_eq(RUN("run", LOCK, "true"), 0);
}
