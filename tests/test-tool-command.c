/* SPDX-License-Identifier: BSD-2-Clause */
/* run: what happens while the command runs */
#include <config.h>

#include "common.h"
#include "job.h"
#include "world.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Signals */

static const struct {
	int number;
	const char *said;
} ending[] = {
	{ SIGTERM, "TERM\n" }, { SIGINT, "INT\n" },   { SIGHUP, "HUP\n" },
	{ SIGQUIT, "QUIT\n" }, { SIGALRM, "ALRM\n" },
};

TEST_EACH(a_signal_that_asks_to_end_is_passed_on, ending)
{
	struct job job = { .before_exec = NULL };

	START(&job, "run", LOCK, "sh", "-c",
	      "for s in TERM INT HUP QUIT ALRM; do trap \"kill -KILL \\$!; echo $s\" $s; done;"
	      "sleep 60 >&- 2>&- & echo ready; wait; exit 7");
	stream_await(&job.out, "ready\n");
	ck_assert_int_eq(kill(job.pid, ending[_i].number), 0);
	ck_assert_int_eq(job_end(&job), 7);
	ck_assert_str_eq(job.out.text + job.out.seen, ending[_i].said);
}

TEST(a_command_that_a_signal_ends_gives_its_status)
{
	struct job job = { .before_exec = NULL };

	START(&job, "run", LOCK, SLEEP);
	stream_await(&job.out, "ready\n");
	ck_assert_int_eq(kill(job.pid, SIGTERM), 0);
	ck_assert_int_eq(job_end(&job), 128 + SIGTERM);
}

TEST_EACH(a_signal_that_asks_to_end_ends_the_wait_and_leaves_nothing, ending)
{
	struct job holder = { .before_exec = NULL };
	struct job waiter = { .before_exec = NULL };

	start_holder(&holder);
	START(&waiter, "run", "-v", LOCK, "echo", "no");
	stream_await(&waiter.err, "waiting for");
	ck_assert_int_eq(kill(waiter.pid, ending[_i].number), 0);
	ck_assert_int_eq(job_end(&waiter), 128 + ending[_i].number);
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

/* In the session of the test, whose process group is another: job control. */
static void be_a_job(void)
{
	setpgid(0, 0);
}

TEST(the_tool_stops_with_its_command_and_goes_on_with_it)
{
	struct job job = { .before_exec = be_a_job };
	int status;

	START(&job, "run", LOCK, "sh", "-c", "kill -TSTP $$; exit 7");
	ck_assert_int_eq(waitpid(job.pid, &status, WUNTRACED), job.pid);
	ck_assert(WIFSTOPPED(status));
	ck_assert_int_eq(kill(job.pid, SIGCONT), 0);
	ck_assert_int_eq(job_end(&job), 7);
}

TEST(ctrl_c_reaches_the_command_once)
{
	struct job job = { .before_exec = everything_is_the_terminal };
	char *caught;
	int status;

	open_terminal();
	START(&job, "run", LOCK, "sh", "-c",
	      "trap 'echo caught' INT; trap 'kill -KILL $!; exit 7' TERM; sleep 60 & echo ready;"
	      "while :; do wait; done");
	stream_await(&master, "ready");
	/* The tool gets to see it when the command has dealt with it: a second would be a second. */
	ck_assert_int_eq(kill(job.pid, SIGSTOP), 0);
	ck_assert_int_eq(waitpid(job.pid, &status, WUNTRACED), job.pid);
	ck_assert_int_eq(write(master.fd, "\003", 1), 1);
	stream_await(&master, "caught");
	ck_assert_int_eq(kill(job.pid, SIGCONT), 0);
	/* of two signals the tool, and the shell, take the one with the lower number first */
	ck_assert_int_eq(kill(job.pid, SIGTERM), 0);
	ck_assert_int_eq(job_end(&job), 7);
	stream_drain(&master);
	caught = strstr(master.text, "caught");
	ck_assert_ptr_null(strstr(caught + 1, "caught"));
}

TEST(a_hang_up_reaches_the_command_of_a_session_leader)
{
	struct job job = { .before_exec = everything_is_the_terminal };

	open_terminal();
	START(&job, "run", LOCK, "sh", "-c",
	      "trap 'kill -KILL $!; exit 7' HUP; sleep 60 & echo ready; wait");
	stream_await(&master, "ready");
	close(master.fd);
	ck_assert_int_eq(job_end(&job), 7);
}

/* The lock file */

TEST(a_lock_file_that_was_removed_is_reported)
{
	struct job job = { .before_exec = NULL };

	ck_assert_int_eq(RUN_IN(&job, "run", LOCK, "sh", "-c", "rm " LOCK "; exit 3"), 3);
	assert_says(&job.err, "lockfile-pid: " LOCK ": ");
}

TEST(a_lock_file_that_was_replaced_is_reported_and_kept)
{
	pid_t other = start_bystander();
	struct job job = { .before_exec = NULL };

	start_holder(&job);
	ck_assert_int_eq(unlink(LOCK), 0);
	write_pid(LOCK, other);
	ck_assert_int_eq(job_end(&job), 0);
	ck_assert_str_ne(job.err.text, "");
	assert_content(LOCK, "%d\n", (int)other);
	ck_assert_int_eq(unlink(LOCK), 0);
	kill_child(other);
}

TEST(kill_ends_the_command_when_the_lock_file_is_removed)
{
	struct job job = { .before_exec = NULL };

	START(&job, "run", "-k", LOCK, SLEEP);
	stream_await(&job.out, "ready\n");
	ck_assert_int_eq(unlink(LOCK), 0);
	ck_assert_int_eq(job_end(&job), 128 + SIGTERM);
	ck_assert_str_eq(job.err.text,
	                 "lockfile-pid: " LOCK ": the lock is lost, ending the command\n");
}

TEST(kill_ends_the_command_when_the_directory_is_removed)
{
	struct job job = { .before_exec = NULL };

	ck_assert_int_eq(mkdir("directory", 0755), 0);
	START(&job, "run", "-k", "directory/" LOCK, SLEEP);
	stream_await(&job.out, "ready\n");
	ck_assert_int_eq(unlink("directory/" LOCK), 0);
	ck_assert_int_eq(rmdir("directory"), 0);
	ck_assert_int_eq(job_end(&job), 128 + SIGTERM);
}

TEST(kill_ends_the_command_when_the_lock_file_is_replaced)
{
	pid_t other = start_bystander();
	struct job job = { .before_exec = NULL };

	START(&job, "run", "--kill", LOCK, SLEEP);
	stream_await(&job.out, "ready\n");
	ck_assert_int_eq(unlink(LOCK), 0);
	write_pid(LOCK, other);
	ck_assert_int_eq(job_end(&job), 128 + SIGTERM);
	assert_content(LOCK, "%d\n", (int)other);
	ck_assert_int_eq(unlink(LOCK), 0);
	kill_child(other);
}

TEST(kill_does_not_take_no_for_an_answer)
{
	struct job job = { .before_exec = NULL };

	START(&job, "run", "-k", LOCK, "sh", "-c", "trap '' TERM; echo ready; exec sleep 60");
	stream_await(&job.out, "ready\n");
	ck_assert_int_eq(unlink(LOCK), 0);
	ck_assert_int_eq(job_end(&job), 128 + SIGKILL);
}

TEST(kill_ends_the_command_when_the_tool_is_killed)
{
	struct job job = { .before_exec = NULL };

	START(&job, "run", "-k", LOCK, SLEEP);
	stream_await(&job.out, "ready\n");
	ck_assert_int_eq(kill(job.pid, SIGKILL), 0);
	/* which waits until nobody has the command's standard output any more */
	ck_assert_int_eq(job_end(&job), 128 + SIGKILL);
	ck_assert_int_eq(RUN("run", "-n", LOCK, "true"), 0);
}

TEST(kill_leaves_a_command_alone_that_ends_by_itself)
{
	struct job job = { .before_exec = NULL };

	ck_assert_int_eq(RUN_IN(&job, "run", "-k", LOCK, "sh", "-c", "exit 3"), 3);
	ck_assert_str_eq(job.err.text, "");
}

TEST(without_kill_the_lock_of_a_killed_tool_is_free_while_its_command_runs)
{
	struct job job = { .before_exec = NULL };
	int status;

	start_holder(&job);
	ck_assert_int_eq(kill(job.pid, SIGKILL), 0);
	ck_assert_int_eq(waitid(P_PID, (id_t)job.pid, &(siginfo_t){ 0 }, WEXITED | WNOWAIT), 0);
	ck_assert_int_eq(RUN("check", LOCK), 1);
	ck_assert_int_eq(RUN("run", "-n", LOCK, "true"), 0);
	status = job_end(&job);
	ck_assert_int_eq(status, 128 + SIGKILL);
}
