/* SPDX-License-Identifier: BSD-2-Clause */
/* check */
#include <config.h>

#include "common.h"
#include "job.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

TEST(check_says_who_holds_the_lock_since_when)
{
	const struct timespec times[2] = { { .tv_sec = 1769862896 }, { .tv_sec = 1769862896 } };
	struct job job = { .before_exec = NULL };
	char text[512], since[64];
	struct stat st;

	setenv("TZ", "XXX-1:30", 1);
	write_pid(LOCK, getpid());
	/* who was first in line has written it before it had the lock */
	ck_assert_int_eq(utimensat(AT_FDCWD, LOCK, times, 0), 0);
	ck_assert_int_eq(stat(LOCK, &st), 0);
	ck_assert_int_eq(RUN_IN(&job, "check", LOCK), 0);
	strftime(since, sizeof(since), "%Y-%m-%d %H:%M:%S +0130", localtime(&st.st_ctime));
	snprintf(text, sizeof(text), LOCK ": held by PID %d (%s) since %s\n", (int)getpid(),
	         command_of(getpid()), since);
	ck_assert_str_eq(job.out.text, text);
	ck_assert_str_eq(job.err.text, "");
	ck_assert_int_eq(unlink(LOCK), 0);
}

TEST(check_shows_no_control_characters_of_a_command_line)
{
	struct job holder = { .before_exec = NULL };
	struct job job = { .before_exec = NULL };
	char text[128];

	START(&holder, "run", LOCK, "sh", "-c", "echo ready; cat", "\033[2J\n)\xc2\x9b\x7f");
	stream_await(&holder.out, "ready\n");
	ck_assert_int_eq(RUN_IN(&job, "check", LOCK), 0);
	snprintf(text, sizeof(text), "PID %d (sh -c echo ready; cat ?[2J?)?\?\?) since ",
	         (int)holder.pid);
	assert_says(&job.out, text);
	ck_assert_int_eq(job_end(&holder), 0);
}

static const char *name_of(pid_t pid)
{
	static char name[64];
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	snprintf(name, sizeof(name), "%s", read_file(path));
	name[strcspn(name, "\n")] = '\0';
	return name;
}

/* Options with arguments, joined and not; long ones cut short; the end of options. */
static const char *const lines[][12] = {
	{ "run", LOCK, HOLD },
	{ "run", LOCK, "--", HOLD },
	{ "run", "-kw", "30", LOCK, HOLD },
	{ "run", "-E75", "--wait", "30", LOCK, HOLD },
	{ "run", "--wai=30", "--mode=0600", "--", LOCK, "--", HOLD },
	{ "run", "-F", LOCK, HOLD },
};

TEST_EACH(check_names_the_command_that_the_tool_runs, lines)
{
	struct job holder = { .before_exec = NULL };
	struct job job = { .before_exec = NULL };
	char text[128];

	job_start(&holder, lines[_i]);
	stream_await(&holder.out, "ready\n");
	ck_assert_int_eq(RUN_IN(&job, "check", LOCK), 0);
	snprintf(text, sizeof(text), ": held by PID %d (" HOLD_IN_WORDS ") since ",
	         (int)holder.pid);
	assert_says(&job.out, text);
	ck_assert_int_eq(job_end(&holder), 0);
	ck_assert_int_eq(RUN("run", LOCK, "true"), 0);
}

/* It has a name, as a thread of the kernel has. */
TEST(check_names_a_process_without_a_command_line)
{
	static char empty[] = "";
	char *const nothing[] = { empty, NULL };
	struct job job = { .before_exec = NULL };
	char text[128];
	int ends[2];
	pid_t pid;

	ck_assert_int_eq(pipe(ends), 0);
	pid = checked_fork();
	if (pid == 0) {
		dup2(ends[0], STDIN_FILENO);
		close(ends[0]);
		close(ends[1]);
		execv("/bin/cat", nothing);
		_exit(1);
	}
	close(ends[0]);
	write_pid(LOCK, pid);
	while (strcmp(name_of(pid), "cat") != 0)
		sched_yield();
	ck_assert_int_eq(RUN_IN(&job, "check", LOCK), 0);
	snprintf(text, sizeof(text), ": held by PID %d (cat) since ", (int)pid);
	assert_says(&job.out, text);
	close(ends[1]);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	ck_assert_int_eq(unlink(LOCK), 0);
}

TEST(check_cuts_a_long_command_line)
{
	struct job holder = { .before_exec = NULL };
	struct job job = { .before_exec = NULL };
	char word[1000], text[1100];

	memset(word, 'x', sizeof(word));
	word[sizeof(word) - 1] = '\0';
	START(&holder, "run", LOCK, HOLD, word);
	stream_await(&holder.out, "ready\n");
	ck_assert_int_eq(RUN_IN(&job, "check", LOCK), 0);
	word[200 - strlen(HOLD_IN_WORDS " ...")] = '\0';
	snprintf(text, sizeof(text), "PID %d (" HOLD_IN_WORDS " %s...) since ", (int)holder.pid,
	         word);
	assert_says(&job.out, text);
	ck_assert_int_eq(job_end(&holder), 0);
}

TEST(check_names_a_young_empty_file_as_what_it_is)
{
	struct job job = { .before_exec = NULL };
	int status;

	/* it counts as held for a second, which may have passed on a slow machine */
	do {
		unlink(LOCK);
		write_file(LOCK, "");
		status = RUN_IN(&job, "check", LOCK);
	} while (status == 2);
	ck_assert_int_eq(status, 0);
	assert_says(&job.out, ": held by a process that has not written its PID yet: "
	                      "the file is empty since ");
	ck_assert_int_eq(unlink(LOCK), 0);
}

TEST(check_says_that_the_holder_is_dead)
{
	struct job job = { .before_exec = NULL };
	char text[128];
	pid_t pid = dead_pid();

	write_pid(LOCK, pid);
	ck_assert_int_eq(RUN_IN(&job, "check", LOCK), 1);
	snprintf(text, sizeof(text), LOCK ": left behind by PID %d, which is dead\n", (int)pid);
	ck_assert_str_eq(job.out.text, text);
	assert_content(LOCK, "%d\n", (int)pid);
	ck_assert_int_eq(unlink(LOCK), 0);
}

TEST(check_says_that_it_is_not_a_pid_file)
{
	struct job job = { .before_exec = NULL };

	write_file(LOCK, "hello\n");
	ck_assert_int_eq(RUN_IN(&job, "check", LOCK), 2);
	ck_assert_str_eq(job.out.text, LOCK ": not a PID file\n");
	ck_assert_str_eq(read_file(LOCK), "hello\n");
	ck_assert_int_eq(unlink(LOCK), 0);
	ck_assert_int_eq(RUN("check", test_dir), 2);
}

TEST(check_says_that_nobody_holds_the_lock)
{
	struct job job = { .before_exec = NULL };

	ck_assert_int_eq(RUN_IN(&job, "check", LOCK), 3);
	ck_assert_str_eq(job.out.text, LOCK ": not held\n");
}

TEST(check_cannot_tell_where_it_cannot_look)
{
	struct job job = { .before_exec = NULL };

	write_file(LOCK, "1\n");
	ck_assert_int_eq(RUN_IN(&job, "check", LOCK "/lock"), 4);
	ck_assert_str_eq(job.err.text, "lockfile-pid: " LOCK "/lock: Not a directory\n");
	ck_assert_str_eq(job.out.text, "");
	ck_assert_int_eq(RUN("check", ""), 4);
	ck_assert_int_eq(unlink(LOCK), 0);
}

TEST(check_cannot_tell_who_holds_a_file_that_may_not_be_read)
{
	struct job job = { .before_exec = lose_capabilities };

	write_pid(LOCK, getpid());
	ck_assert_int_eq(chmod(LOCK, 0), 0);
	ck_assert_int_eq(RUN_IN(&job, "check", LOCK), 4);
	ck_assert_str_eq(job.err.text, "lockfile-pid: " LOCK ": Permission denied\n");
	ck_assert_str_eq(job.out.text, "");
	ck_assert_int_eq(RUN_IN(&job, "check", "-q", LOCK), 4);
	ck_assert_str_eq(job.err.text, "lockfile-pid: " LOCK ": Permission denied\n");
	ck_assert_int_eq(unlink(LOCK), 0);
}

TEST(quiet_check_prints_nothing)
{
	static const char *const rows[] = { "hello\n", "1\n" };
	static const int statuses[] = { 2, 0 };
	struct job job = { .before_exec = NULL };
	size_t i;

	ck_assert_int_eq(RUN_IN(&job, "check", "-q", LOCK), 3);
	ck_assert_str_eq(job.out.text, "");
	for (i = 0; i < 2; i++) {
		write_file(LOCK, rows[i]);
		ck_assert_int_eq(RUN_IN(&job, "check", "--quiet", LOCK), statuses[i]);
		ck_assert_str_eq(job.out.text, "");
		ck_assert_str_eq(job.err.text, "");
	}
	ck_assert_int_eq(unlink(LOCK), 0);
}

TEST(usage_errors_of_check_are_4)
{
	struct job job = { .before_exec = NULL };

	ck_assert_int_eq(RUN_IN(&job, "check"), 4);
	assert_says(&job.err, "lockfile-pid: ");
	ck_assert_int_eq(RUN("check", LOCK, LOCK), 4);
	ck_assert_int_eq(RUN_IN(&job, "check", "-x", LOCK), 4);
	assert_says(&job.err, "lockfile-pid: ");
}
