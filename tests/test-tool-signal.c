/* SPDX-License-Identifier: BSD-2-Clause */
/* signal */
#include <config.h>

#include "common.h"
#include "job.h"
#include "world.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* The holder itself is the process that says which signals it is sent. */
static void start_listener(struct job *job)
{
	skip_without_pidfds();
	START(job, "run", "-F", LOCK, listener());
	stream_await(&job->out, "ready\n");
}

static void end_listener(struct job *job)
{
	ck_assert_int_eq(kill(job->pid, SIGTERM), 0);
	ck_assert_int_eq(job_end(job), 7);
	ck_assert_int_eq(RUN("run", "-n", LOCK, "true"), 0);
}

static const struct {
	const char *name;
	int distance; /* from SIGRTMIN if positive, from SIGRTMAX if negative; else: */
	int number;
} names[] = {
	{ "USR1", 0, SIGUSR1 },  { "SIGUSR2", 0, SIGUSR2 }, { "hup", 0, SIGHUP },
	{ "sigint", 0, SIGINT }, { "10", 0, 10 },           { "WINCH", 0, SIGWINCH },
	{ "RTMIN+2", 2, 0 },     { "SIGRTMAX-1", -1, 0 },   { "SYS", 0, SIGSYS },
};

TEST_EACH(signal_reaches_the_holder, names)
{
	struct job holder = { .before_exec = NULL };
	struct job job = { .before_exec = NULL };
	int number = names[_i].number;
	char line[16];

	if (names[_i].distance > 0)
		number = SIGRTMIN + names[_i].distance;
	else if (names[_i].distance < 0)
		number = SIGRTMAX + names[_i].distance;
	start_listener(&holder);
	ck_assert_int_eq(RUN_IN(&job, "signal", "-s", names[_i].name, LOCK), 0);
	ck_assert_str_eq(job.out.text, "");
	ck_assert_str_eq(job.err.text, "");
	snprintf(line, sizeof(line), "%d\n", number);
	stream_await(&holder.out, line);
	end_listener(&holder);
}

TEST(signal_is_sigterm_unless_asked_for)
{
	struct job holder = { .before_exec = NULL };

	start_listener(&holder);
	ck_assert_int_eq(RUN("signal", LOCK), 0);
	stream_await(&holder.out, "15\n");
	ck_assert_int_eq(job_end(&holder), 7);
	ck_assert_int_eq(RUN("run", "-n", LOCK, "true"), 0);
}

TEST(signal_0_only_tells_whether_one_could_be_sent)
{
	struct job holder = { .before_exec = NULL };

	start_listener(&holder);
	ck_assert_int_eq(RUN("signal", "-s", "0", LOCK), 0);
	ck_assert_int_eq(RUN("signal", "-s", "0", "-w", "0", LOCK), 3);
	end_listener(&holder);
	ck_assert_str_eq(holder.out.text, "ready\n15\n");
}

TEST(signal_where_nobody_holds_the_lock_is_1_and_changes_nothing)
{
	struct job job = { .before_exec = NULL };
	pid_t pid = dead_pid();

	skip_without_pidfds();
	ck_assert_int_eq(RUN_IN(&job, "signal", "-w", "30", LOCK), 1);
	ck_assert_str_eq(job.err.text, "lockfile-pid: " LOCK ": not held\n");
	ck_assert(!exists(LOCK));
	write_pid(LOCK, pid);
	ck_assert_int_eq(RUN_IN(&job, "signal", LOCK), 1);
	ck_assert_str_eq(job.err.text, "lockfile-pid: " LOCK ": not held\n");
	assert_content(LOCK, "%d\n", (int)pid);
	ck_assert_int_eq(unlink(LOCK), 0);
}

TEST(signal_waits_until_the_holder_has_released_the_lock)
{
	struct job holder = { .before_exec = NULL };

	skip_without_pidfds();
	START(&holder, "run", LOCK, SLEEP);
	stream_await(&holder.out, "ready\n");
	ck_assert_int_eq(RUN("signal", "--wait=30", LOCK), 0);
	ck_assert(!exists(LOCK));
	ck_assert_int_eq(job_end(&holder), 128 + SIGTERM);
}

/* Its parent has not waited for it: dead it is. */
TEST(signal_waits_until_the_holder_has_ended)
{
	pid_t holder = start_bystander();

	skip_without_pidfds();
	write_pid(LOCK, holder);
	ck_assert_int_eq(RUN("signal", "-s", "KILL", "-w", "30", LOCK), 0);
	ck_assert_int_eq(RUN("check", LOCK), 1);
	ck_assert_int_eq(waitpid(holder, NULL, 0), holder);
	ck_assert_int_eq(unlink(LOCK), 0);
}

TEST(signal_says_that_the_lock_is_still_held)
{
	struct job holder = { .before_exec = NULL };
	struct job job = { .before_exec = NULL };
	char text[1024];

	start_listener(&holder);
	ck_assert_int_eq(RUN_IN(&job, "signal", "-s", "USR1", "-w", "0.05", LOCK), 3);
	stream_await(&holder.out, "10\n");
	snprintf(text, sizeof(text), "lockfile-pid: " LOCK ": still held by PID %d (%.199s",
	         (int)holder.pid, listener());
	ck_assert_int_eq(strncmp(job.err.text, text, strlen(text) - 20), 0);
	end_listener(&holder);
}

static bool polls(pid_t pid)
{
	long number = system_call_of(pid);

#ifdef SYS_poll
	if (number == SYS_poll)
		return true;
#endif
	return number == SYS_ppoll;
}

TEST(signal_notices_that_a_holder_releases_the_lock_and_lives_on)
{
	struct holder holder = holder_start(LOCK);
	struct job job = { .before_exec = NULL };

	skip_without_pidfds();
	if (system_call_of(getpid()) != SYS_read)
		SKIP("cannot see which system call a process is in");
	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	START(&job, "signal", "-s", "0", "-w", "60", LOCK);
	while (!polls(job.pid))
		sched_yield();
	ck_assert_int_eq(holder_do(&holder, "unlock"), 0);
	ck_assert_int_eq(job_end(&job), 0);
	holder_end(&holder);
}

TEST(signal_does_not_wait_for_the_next_holder)
{
	struct job first = { .before_exec = NULL };
	struct job second = { .before_exec = NULL };

	skip_without_pidfds();
	START(&first, "run", LOCK, SLEEP);
	stream_await(&first.out, "ready\n");
	START(&second, "run", "-v", LOCK, HOLD);
	stream_await(&second.err, "waiting for");
	ck_assert_int_eq(RUN("signal", "-w", "60", LOCK), 0);
	stream_await(&second.out, "ready\n");
	assert_content(LOCK, "%d\n", (int)second.pid);
	ck_assert_int_eq(job_end(&first), 128 + SIGTERM);
	ck_assert_int_eq(job_end(&second), 0);
}

/* Who can write the file could choose who is signalled. */
TEST(signal_does_not_trust_a_file_that_others_may_write)
{
	pid_t bystander = start_bystander();
	struct job job = { .before_exec = NULL };

	skip_without_pidfds();
	write_pid(LOCK, bystander);
	ck_assert_int_eq(chmod(LOCK, 0666), 0);
	ck_assert_int_eq(RUN_IN(&job, "signal", "-s", "KILL", LOCK), 4);
	assert_says(&job.err, "lockfile-pid: " LOCK ": ");
	ck_assert_int_eq(waitpid(bystander, NULL, WNOHANG), 0);
	kill_child(bystander);
	ck_assert_int_eq(unlink(LOCK), 0);
}

TEST(signal_of_what_is_not_a_pid_file_is_4)
{
	struct job job = { .before_exec = NULL };

	write_file(LOCK, "hello\n");
	ck_assert_int_eq(RUN_IN(&job, "signal", LOCK), 4);
	assert_says(&job.err, "lockfile-pid: " LOCK ": ");
	ck_assert_int_eq(unlink(LOCK), 0);
	ck_assert_int_eq(RUN("signal", "missing/lock"), 4);
	ck_assert_int_eq(RUN("signal", ""), 4);
}

static const char *const misuses[][8] = {
	{ "signal" },
	{ "signal", LOCK, LOCK },
	{ "signal", "-x", LOCK },
	{ "signal", "-s" },
	{ "signal", "-s", "", LOCK },
	{ "signal", "-s", "SIG", LOCK },
	{ "signal", "-s", "NOSUCH", LOCK },
	{ "signal", "-s", "-1", LOCK },
	{ "signal", "-s", "1x", LOCK },
	{ "signal", "-s", "65536", LOCK },
	{ "signal", "-s", "RTMIN-1", LOCK },
	{ "signal", "-s", "RTMIN+", LOCK },
	{ "signal", "-s", "RTMIN+99", LOCK },
	{ "signal", "-s", "RTMAX+1", LOCK },
	{ "signal", "-s", "RTMINX", LOCK },
	{ "signal", "-w", "x", LOCK },
	{ "signal", "-w", "-1", LOCK },
};

TEST_EACH(usage_errors_of_signal_are_4_and_send_nothing, misuses)
{
	pid_t bystander = start_bystander();
	struct job job = { .before_exec = NULL };

	write_pid(LOCK, bystander);
	ck_assert_int_eq(job_run(&job, misuses[_i]), 4);
	assert_says(&job.err, "lockfile-pid: ");
	ck_assert_str_eq(job.out.text, "");
	ck_assert_int_eq(waitpid(bystander, NULL, WNOHANG), 0);
	kill_child(bystander);
	ck_assert_int_eq(unlink(LOCK), 0);
}
