/* SPDX-License-Identifier: BSD-2-Clause */
/* run: processes that the command starts, that the tool starts, and that started the tool */
#include <config.h>

#include "common.h"
#include "job.h"
#include "world.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* The number after "word=" in what the job has said. */
static pid_t await_pid(struct job *job, const char *word)
{
	stream_await(&job->out, word);
	stream_await(&job->out, "\n");
	return (pid_t)strtol(strstr(job->out.text, word) + strlen(word), NULL, 10);
}

/* It has ended, and its parent has waited for it. */
static void await_reaped(pid_t pid)
{
	while (kill(pid, 0) == 0)
		sched_yield();
	ck_assert_int_eq(errno, ESRCH);
}

/* Of the children of a process, the first that is not @but; 0: there is none. */
static pid_t child_of(pid_t pid, pid_t but)
{
	char path[64];
	int child = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
	file = fopen(path, "re");
	if (!file)
		SKIP("the kernel does not list children");
	while (fscanf(file, "%d", &child) == 1 && child == but)
		child = 0;
	fclose(file);
	return child;
}

/* The command has ended, and a process that it left has not: until the job's input ends. */
#define LEAVE_A_READER "exec 3<&0; (cat <&3 >/dev/null 2>&1 &); echo pid=$$; exit 7"

TEST(descendants_keep_the_lock)
{
	struct job job = { .before_exec = NULL };

	START(&job, "run", "--descendants", LOCK, "sh", "-c", LEAVE_A_READER);
	await_reaped(await_pid(&job, "pid="));
	ck_assert_int_eq(RUN("run", "-n", LOCK, "true"), 1);
	assert_content(LOCK, "%d\n", (int)job.pid);
	ck_assert_int_eq(job_end(&job), 7);
	ck_assert(!exists(LOCK));
}

TEST(a_lock_ends_with_the_command_unless_it_is_for_descendants)
{
	struct job job = { .before_exec = NULL };

	START(&job, "run", LOCK, "sh", "-c", LEAVE_A_READER);
	ck_assert_int_eq(waitid(P_PID, (id_t)job.pid, &(siginfo_t){ 0 }, WEXITED | WNOWAIT), 0);
	ck_assert(!exists(LOCK));
	ck_assert_int_eq(job_end(&job), 7);
}

TEST(descendants_that_end_by_themselves_are_waited_for_in_any_number)
{
	struct job job = { .before_exec = NULL };

	START(&job, "run", "--descendants", LOCK, "sh", "-c",
	      "exec 3<&0; for i in 1 2 3 4 5; do (setsid cat <&3 >/dev/null 2>&1 &);"
	      "(true &); done; echo pid=$$; kill -KILL $$");
	await_reaped(await_pid(&job, "pid="));
	ck_assert_int_eq(RUN("run", "-n", LOCK, "true"), 1);
	ck_assert_int_eq(job_end(&job), 128 + SIGKILL);
	ck_assert_int_eq(job.signal, SIGKILL);
	ck_assert(!exists(LOCK));
}

TEST(an_orphan_is_waited_for_while_the_command_runs)
{
	struct job job = { .before_exec = NULL };

	START(&job, "run", "--descendants", LOCK, "sh", "-c",
	      "(true & echo orphan=$!); echo ready; cat");
	await_reaped(await_pid(&job, "orphan="));
	ck_assert_int_eq(RUN("run", "-n", LOCK, "true"), 1);
	ck_assert_int_eq(job_end(&job), 0);
}

TEST(signals_are_passed_on_to_descendants_when_the_command_has_ended)
{
	struct job job = { .before_exec = NULL };
	pid_t command;

	START(&job, "run", "--descendants", LOCK, "sh", "-c",
	      "echo pid=$$; (\"$LISTENER\" &); exit 0");
	command = await_pid(&job, "pid=");
	stream_await(&job.out, "ready\n");
	await_reaped(command);
	child_of(job.pid, 0);
	ck_assert_int_eq(kill(job.pid, SIGUSR1), 0);
	stream_await(&job.out, "10\n");
	ck_assert_int_eq(RUN("run", "-n", LOCK, "true"), 1);
	ck_assert_int_eq(kill(job.pid, SIGTERM), 0);
	ck_assert_int_eq(job_end(&job), 0);
	ck_assert(!exists(LOCK));
}

TEST(kill_ends_the_descendants_when_the_lock_is_lost_after_the_command)
{
	struct job job = { .before_exec = NULL };

	child_of(getpid(), 0);
	START(&job, "run", "-k", "--descendants", LOCK, "sh", "-c",
	      "(sleep 1000 >/dev/null 2>&1 &); echo pid=$$; exit 0");
	await_reaped(await_pid(&job, "pid="));
	ck_assert_int_eq(unlink(LOCK), 0);
	ck_assert_int_eq(job_end(&job), 0);
	assert_says(&job.err, "the lock is lost");
}

TEST(process_1_of_a_namespace_passes_on_signals)
{
	struct job job = { .before_exec = be_process_1 };
	pid_t tool;

	SKIP_UNLESS_ROOT();
	START(&job, "run", LOCK, listener());
	stream_await(&job.out, "ready\n");
	tool = child_of(job.pid, 0);
	ck_assert_int_eq(kill(tool, SIGUSR1), 0);
	stream_await(&job.out, "10\n");
	ck_assert_int_eq(kill(tool, SIGTERM), 0);
	ck_assert_int_eq(job_end(&job), 7);
	ck_assert(!exists(LOCK));
}

/* The watcher of -k */

/* It takes the time between SIGTERM and SIGKILL. */
TEST(kill_ends_a_command_that_ignores_sigterm_when_the_tool_is_killed)
{
	struct job job = { .before_exec = NULL };

	skip_without_pidfds();
	START(&job, "run", "-k", LOCK, "sh", "-c", "trap '' TERM; echo ready; exec sleep 1000");
	stream_await(&job.out, "ready\n");
	/* before there is a watcher, nobody can do what it does */
	while (child_of(job.pid, child_of(job.pid, 0)) == 0)
		sched_yield();
	ck_assert_int_eq(kill(job.pid, SIGKILL), 0);
	/* which waits until nobody has the command's standard output any more */
	ck_assert_int_eq(job_end(&job), 128 + SIGKILL);
	ck_assert_int_eq(RUN("run", "-n", LOCK, "true"), 0);
}

TEST(the_watcher_has_nothing_open_and_is_in_nobodys_way)
{
	struct job job = { .before_exec = NULL };
	char path[64], cwd[64] = "";
	pid_t command, watcher;

	skip_without_pidfds();
	START(&job, "run", "-k", LOCK, "sh", "-c", "echo pid=$$; cat");
	command = await_pid(&job, "pid=");
	while ((watcher = child_of(job.pid, command)) == 0)
		sched_yield();
	snprintf(path, sizeof(path), "/proc/%d/cwd", (int)watcher);
	while (readlink(path, cwd, sizeof(cwd) - 1) != 1)
		sched_yield();
	ck_assert_int_eq(getsid(watcher), watcher);
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)watcher);
	/* pidfds of the command and of the tool */
	while (strlen(list_dir(path)) > strlen("10 11 "))
		sched_yield();
	ck_assert_int_eq(job_end(&job), 0);
}

TEST(the_watcher_ends_with_the_command)
{
	skip_without_pidfds();
	adopt_orphans();
	ck_assert_int_eq(RUN("run", "-k", LOCK, "true"), 0);
	while (waitpid(-1, NULL, 0) > 0)
		;
	ck_assert_int_eq(errno, ECHILD);
	ck_assert_int_eq(RUN("run", "-k", "--descendants", LOCK, "true"), 0);
}

/* Ancestors */

TEST(a_wait_for_an_ancestor_fails_immediately)
{
	struct job job = { .before_exec = NULL };
	char text[128];

	ck_assert_int_eq(RUN_IN(&job, "run", LOCK, "sh", "-c",
	                        "sh -c '\"$TOOL\" run " LOCK " echo no; exit $?'; exit $?"),
	                 125);
	ck_assert_str_eq(job.out.text, "");
	snprintf(text, sizeof(text), "lockfile-pid: " LOCK ": held by PID %d (sh -c ",
	         (int)job.pid);
	assert_says(&job.err, text);
	assert_says(&job.err, "), an ancestor: would wait for itself\n");
	ck_assert(!exists(LOCK));
}

TEST(a_limited_wait_for_an_ancestor_is_a_wait)
{
	ck_assert_int_eq(RUN("run", LOCK, "sh", "-c", "\"$TOOL\" run -w 0.05 -E 75 " LOCK " true"),
	                 75);
	ck_assert_int_eq(RUN("run", LOCK, "sh", "-c", "\"$TOOL\" run -n -E 76 " LOCK " true"), 76);
}

/* One that does not wait for its child ends, and then the child has the lock. */
TEST(a_wait_for_an_ancestor_can_be_asked_for)
{
	struct job job = { .before_exec = NULL };

	START(&job, "run", LOCK, "sh", "-c",
	      "\"$TOOL\" run -v --for-ancestor " LOCK " echo mine & cat");
	stream_await(&job.err, "waiting for " LOCK ": held by PID ");
	stream_await(&job.err, "), an ancestor, 0 s\n");
	ck_assert_int_eq(job_end(&job), 0);
	assert_says(&job.out, "mine\n");
	ck_assert(!exists(LOCK));
}

/* Not below it, but beside it. */
TEST(a_wait_for_a_process_that_is_no_ancestor_is_a_wait)
{
	struct job holder = { .before_exec = NULL };
	struct job waiter = { .before_exec = NULL };

	start_holder(&holder);
	START(&waiter, "run", "-v", LOCK, "echo", "mine");
	stream_await(&waiter.err, "; cat), 0 s\n");
	ck_assert_int_eq(job_end(&holder), 0);
	ck_assert_int_eq(job_end(&waiter), 0);
	ck_assert_str_eq(waiter.out.text, "mine\n");
}
