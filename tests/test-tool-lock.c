/* SPDX-License-Identifier: BSD-2-Clause */
/* lock and unlock, by scripts */
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

static const char *const shells[] = { "/bin/sh", "/bin/dash", "/bin/bash" };

/* A job is a script from here on, which calls the tool as $T. */
static void jobs_are_scripts(const char *shell)
{
	if (access(shell, X_OK) < 0)
		SKIP("%s is missing", shell);
	setenv("T", getenv("TOOL"), 1);
	setenv("TOOL", shell, 1);
}

#define SCRIPT(job, text)       job_run((job), (const char *const[]){ "-c", (text), NULL })
#define START_SCRIPT(job, text) job_start((job), (const char *const[]){ "-c", (text), NULL })

static int contend(void)
{
	return SCRIPT(NULL, "$T run -n " LOCK " true");
}

TEST_EACH(a_script_locks_in_the_middle, shells)
{
	struct job job = { .before_exec = NULL };
	char pid[32];

	jobs_are_scripts(shells[_i]);
	ck_assert_int_eq(SCRIPT(&job, "set -e; $T lock " LOCK "; cat " LOCK ";"
	                              "$T check -q " LOCK "; $T run -n " LOCK " true || echo busy;"
	                              "$T unlock " LOCK "; [ ! -e " LOCK " ]; echo $$"),
	                 0);
	snprintf(pid, sizeof(pid), "%d\nbusy\n%d\n", (int)job.pid, (int)job.pid);
	ck_assert_str_eq(job.out.text, pid);
	ck_assert_str_eq(job.err.text, "");
}

/* Its streams end with it, although the keeper may live a moment longer. */
TEST_EACH(the_lock_ends_with_the_script, shells)
{
	jobs_are_scripts(shells[_i]);
	skip_without_attributes();
	adopt_orphans();
	ck_assert_int_eq(SCRIPT(NULL, "$T lock " LOCK " && exit 3"), 3);
	ck_assert_int_eq(contend(), 0);
	while (waitpid(-1, NULL, 0) > 0)
		;
	ck_assert_int_eq(errno, ECHILD);
}

TEST_EACH(the_lock_ends_when_the_script_is_killed_and_waiters_have_it, shells)
{
	struct job script = { .before_exec = NULL };
	struct job waiter = { .before_exec = NULL };

	jobs_are_scripts(shells[_i]);
	skip_without_attributes();
	START_SCRIPT(&script, "$T lock " LOCK " && echo ready && cat; :");
	stream_await(&script.out, "ready\n");
	START_SCRIPT(&waiter, "$T run -v " LOCK " echo mine");
	stream_await(&waiter.err, "waiting for " LOCK ": held by PID ");
	ck_assert_int_eq(kill(script.pid, SIGKILL), 0);
	stream_await(&waiter.out, "mine\n");
	ck_assert_int_eq(job_end(&waiter), 0);
	ck_assert_int_eq(job_end(&script), 128 + SIGKILL);
}

TEST(background_jobs_do_not_keep_the_lock)
{
	struct job job = { .before_exec = NULL };

	jobs_are_scripts("/bin/sh");
	skip_without_attributes();
	ck_assert_int_eq(SCRIPT(&job, "$T lock " LOCK "; sleep 1000 <&- >&- 2>&- & echo $!"), 0);
	ck_assert_int_eq(contend(), 0);
	ck_assert_int_eq(kill((pid_t)atoi(job.out.text), SIGKILL), 0);
}

TEST(a_script_gets_no_descriptor)
{
	jobs_are_scripts("/bin/sh");
	ck_assert_int_eq(SCRIPT(NULL, "ls /proc/$$/fd >a; $T lock " LOCK "; ls /proc/$$/fd >b;"
	                              "$T unlock " LOCK "; cmp a b && rm a b"),
	                 0);
}

TEST(who_does_not_hold_the_lock_does_not_unlock_it)
{
	struct job script = { .before_exec = NULL };
	struct job other = { .before_exec = NULL };
	char text[128];

	jobs_are_scripts("/bin/sh");
	ck_assert_int_eq(SCRIPT(NULL, "$T unlock " LOCK "; exit $?"), 1);
	START_SCRIPT(&script, "$T lock " LOCK " && echo ready && cat; $T unlock " LOCK);
	stream_await(&script.out, "ready\n");
	ck_assert_int_eq(SCRIPT(&other, "$T unlock " LOCK "; exit $?"), 1);
	snprintf(text, sizeof(text), "lockfile-pid: " LOCK ": not held by PID %d\n",
	         (int)other.pid);
	ck_assert_str_eq(other.err.text, text);
	assert_content(LOCK, "%d\n", (int)script.pid);
	ck_assert_int_eq(contend(), 1);
	ck_assert_int_eq(job_end(&script), 0);
	assert_nothing_left();
}

TEST(a_second_lock_of_the_same_script_says_so)
{
	struct job job = { .before_exec = NULL };

	jobs_are_scripts("/bin/sh");
	ck_assert_int_eq(SCRIPT(&job, "$T lock " LOCK "; $T lock " LOCK "; s=$?;"
	                              "$T unlock " LOCK "; exit $s"),
	                 2);
	assert_says(&job.err, "lockfile-pid: " LOCK ": already held by you, PID ");
	assert_nothing_left();
}

TEST(a_lock_that_is_held_is_1_by_n_or_w)
{
	struct job holder = { .before_exec = NULL };

	start_holder(&holder);
	jobs_are_scripts("/bin/sh");
	ck_assert_int_eq(SCRIPT(NULL, "$T lock -n " LOCK "; exit $?"), 1);
	ck_assert_int_eq(SCRIPT(NULL, "$T lock -w 0.05 " LOCK "; exit $?"), 1);
	assert_content(LOCK, "%d\n", (int)holder.pid);
	ck_assert_int_eq(job_end(&holder), 0);
}

TEST(lock_waits_until_the_lock_is_free)
{
	struct job holder = { .before_exec = NULL };
	struct job script = { .before_exec = NULL };

	start_holder(&holder);
	jobs_are_scripts("/bin/sh");
	START_SCRIPT(&script, "$T lock " LOCK "; cat " LOCK "; $T unlock " LOCK);
	ck_assert_int_eq(job_end(&holder), 0);
	ck_assert_int_eq(job_end(&script), 0);
	ck_assert_int_eq(atoi(script.out.text), script.pid);
	assert_nothing_left();
}

/* Whoever signals the tool, as Ctrl-C does, ends the wait of both. */
TEST(a_wait_that_is_ended_takes_no_lock)
{
	struct job holder = { .before_exec = NULL };
	struct job script = { .before_exec = NULL };

	adopt_orphans();
	start_holder(&holder);
	jobs_are_scripts("/bin/sh");
	START_SCRIPT(&script, "exec $T lock " LOCK);
	while (!exists(LOCK ".queue"))
		sched_yield();
	ck_assert_int_eq(kill(script.pid, SIGTERM), 0);
	ck_assert_int_eq(job_end(&script), 128 + SIGTERM);
	ck_assert_int_gt(wait(NULL), 0);
	ck_assert(!exists(LOCK ".queue"));
	ck_assert_int_eq(job_end(&holder), 0);
	assert_nothing_left();
}

/* The child that was given to us; the script is another. */
static pid_t keeper_beside(pid_t script)
{
	char path[64];
	int child = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	file = fopen(path, "re");
	if (!file)
		SKIP("the kernel does not list children");
	while (fscanf(file, "%d", &child) == 1 && child == script)
		;
	fclose(file);
	return child;
}

TEST(the_script_holds_the_lock_when_its_keeper_is_killed)
{
	struct job script = { .before_exec = NULL };
	pid_t keeper;

	jobs_are_scripts("/bin/sh");
	skip_without_attributes();
	adopt_orphans();
	START_SCRIPT(&script, "$T lock " LOCK " && echo ready && cat; $T unlock " LOCK);
	stream_await(&script.out, "ready\n");
	keeper = keeper_beside(script.pid);
	ck_assert_int_eq(kill(keeper, SIGKILL), 0);
	ck_assert_int_eq(waitpid(keeper, NULL, 0), keeper);
	assert_content(LOCK, "%d\n", (int)script.pid);
	ck_assert_int_eq(contend(), 1);
	ck_assert_int_eq(job_end(&script), 0);
	assert_nothing_left();
}

/* Nor does anything that a terminal or an administrator sends, but SIGKILL. */
TEST(the_keeper_ends_when_the_lock_is_unlocked_and_by_no_signal_before)
{
	struct job script = { .before_exec = NULL };
	pid_t keeper;
	int sig, status;

	jobs_are_scripts("/bin/sh");
	adopt_orphans();
	START_SCRIPT(&script, "$T lock " LOCK " && echo ready && cat; $T unlock " LOCK);
	stream_await(&script.out, "ready\n");
	keeper = keeper_beside(script.pid);
	for (sig = 1; sig < NSIG; sig++)
		if (sig != SIGKILL && sig != SIGSTOP)
			kill(keeper, sig);
	ck_assert_int_eq(getsid(keeper), keeper);
	ck_assert_int_eq(contend(), 1);
	close(script.in);
	ck_assert_int_eq(waitpid(keeper, &status, 0), keeper);
	ck_assert(WIFEXITED(status));
	script.in = -1;
	job_end(&script);
	assert_nothing_left();
}

TEST(the_keeper_ends_when_the_file_is_removed_by_hand)
{
	struct job script = { .before_exec = NULL };
	pid_t keeper;

	jobs_are_scripts("/bin/sh");
	adopt_orphans();
	START_SCRIPT(&script, "$T lock " LOCK " && echo ready && cat; $T unlock " LOCK "; exit $?");
	stream_await(&script.out, "ready\n");
	keeper = keeper_beside(script.pid);
	ck_assert_int_eq(unlink(LOCK), 0);
	ck_assert_int_eq(waitpid(keeper, NULL, 0), keeper);
	ck_assert_int_eq(job_end(&script), 1);
}

TEST_EACH(the_lock_of_a_subshell_is_the_subshells, shells)
{
	jobs_are_scripts(shells[_i]);
	skip_without_attributes();
	ck_assert_int_eq(SCRIPT(NULL, "($T lock " LOCK " && $T unlock " LOCK " || exit 9; :)"), 0);
	ck_assert_int_eq(SCRIPT(NULL, "($T lock " LOCK "; :); $T unlock " LOCK "; exit $?"), 1);
	ck_assert_int_eq(SCRIPT(NULL, "($T lock --pid $$ " LOCK "; :);"
	                              "$T check -q " LOCK " && $T unlock " LOCK),
	                 0);
	ck_assert_int_eq(contend(), 0);
}

/* What scripts do with flock(1), and what they print.  "busy" is said by a contender. */
#define CONTEND "$T run -n -E 9 " LOCK " echo free || echo busy;"
static const struct {
	const char *script, *printed;
} idioms[] = {
	/* the whole script */
	{ "$T lock -n " LOCK " || exit; " CONTEND, "busy\n" },
	/* one command */
	{ "$T run " LOCK " sh -c '" CONTEND "'; " CONTEND, "busy\nfree\n" },
	/* the middle of the script */
	{ CONTEND "$T lock " LOCK "; " CONTEND "$T unlock " LOCK ";" CONTEND,
	  "free\nbusy\nfree\n" },
	/* several commands */
	{ "$T lock " LOCK " && { " CONTEND CONTEND " $T unlock " LOCK "; }; " CONTEND,
	  "busy\nbusy\nfree\n" },
	/* early release */
	{ "$T lock " LOCK "; if true; then " CONTEND "$T unlock " LOCK "; fi; " CONTEND,
	  "busy\nfree\n" },
	/* children in the background, which go on without the lock */
	{ "$T lock " LOCK "; sleep 1000 <&- >&- 2>&- & p=$!; $T unlock " LOCK ";" CONTEND "kill $p",
	  "free\n" },
};

static void assert_idioms(void)
{
	struct job job = { .before_exec = NULL };
	size_t i;

	for (i = 0; i < sizeof(idioms) / sizeof(idioms[0]); i++) {
		SCRIPT(&job, idioms[i].script);
		ck_assert_str_eq(job.out.text, idioms[i].printed);
		ck_assert_int_eq(contend(), 0);
	}
}

TEST_EACH(idioms_of_scripts_exclude_others_as_long_as_they_say, shells)
{
	jobs_are_scripts(shells[_i]);
	skip_without_attributes();
	assert_idioms();
}

TEST(a_parent_that_is_process_1_gets_no_lock)
{
	struct job job = { .before_exec = be_process_1 };

	SKIP_UNLESS_ROOT();
	ck_assert_int_eq(RUN_IN(&job, "lock", LOCK), 125);
	assert_says(&job.err, "--pid");
	assert_nothing_left();
}

TEST(lock_says_why_it_fails)
{
	struct job job = { .before_exec = NULL };
	char pid[16];

	ck_assert_int_eq(RUN_IN(&job, "lock", "missing/lock"), 125);
	ck_assert_str_eq(job.err.text, "lockfile-pid: missing/lock: No such file or directory\n");
	snprintf(pid, sizeof(pid), "%d", (int)freed_pid());
	ck_assert_int_eq(RUN_IN(&job, "lock", "--pid", pid, LOCK), 125);
	ck_assert_str_eq(job.err.text, "lockfile-pid: " LOCK ": No such process\n");
	assert_nothing_left();
}

static const char *const misuses[][8] = {
	{ "lock" },
	{ "lock", LOCK, LOCK },
	{ "lock", "-x", LOCK },
	{ "lock", "-n", "-w", "1", LOCK },
	{ "lock", "-w", "x", LOCK },
	{ "lock", "-m", "8", LOCK },
	{ "lock", "-m", "0444", LOCK },
	{ "lock", "--pid", "0", LOCK },
	{ "lock", "--pid", "-1", LOCK },
	{ "lock", "--pid", "x", LOCK },
	{ "unlock" },
	{ "unlock", LOCK, LOCK },
	{ "unlock", "-n", LOCK },
};

TEST_EACH(usage_errors_of_lock_are_125, misuses)
{
	struct job job = { .before_exec = NULL };

	ck_assert_int_eq(job_run(&job, misuses[_i]), 125);
	assert_says(&job.err, "lockfile-pid: ");
	assert_nothing_left();
}
