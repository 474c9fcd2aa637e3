/* SPDX-License-Identifier: BSD-2-Clause */
/* run: what becomes of the lock file and of the command */
#include <config.h>

#include "common.h"
#include "job.h"
#include "world.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

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
