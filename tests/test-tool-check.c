/* SPDX-License-Identifier: BSD-2-Clause */
/* check */
#include <config.h>

#include "common.h"
#include "job.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

TEST(check_says_who_holds_the_lock_since_when)
{
	const struct timespec times[2] = { { .tv_sec = 1769862896 }, { .tv_sec = 1769862896 } };
	struct job job = { .before_exec = NULL };
	char text[128], since[64];
	struct stat st;

	setenv("TZ", "XXX-1:30", 1);
	write_pid(LOCK, getpid());
	/* who was first in line has written it before it had the lock */
	ck_assert_int_eq(utimensat(AT_FDCWD, LOCK, times, 0), 0);
	ck_assert_int_eq(stat(LOCK, &st), 0);
	ck_assert_int_eq(RUN_IN(&job, "check", LOCK), 0);
	strftime(since, sizeof(since), "%Y-%m-%d %H:%M:%S +0130", localtime(&st.st_ctime));
	snprintf(text, sizeof(text), LOCK ": held by PID %d (%s) since %s\n", (int)getpid(),
	         name_of(getpid()), since);
	ck_assert_str_eq(job.out.text, text);
	ck_assert_str_eq(job.err.text, "");
	ck_assert_int_eq(unlink(LOCK), 0);
}

TEST(check_shows_no_control_characters_of_a_holders_name)
{
	struct job job = { .before_exec = NULL };

	ck_assert_int_eq(prctl(PR_SET_NAME, "a\033[2J\n)\xff"), 0);
	write_pid(LOCK, getpid());
	ck_assert_int_eq(RUN_IN(&job, "check", LOCK), 0);
	assert_says(&job.out, " (a?[2J?)?) since ");
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

/* Root can read each file, unless it has no capabilities. */
static void lose_capabilities(void)
{
	prctl(PR_CAPBSET_DROP, 1 /* CAP_DAC_OVERRIDE */);
	prctl(PR_CAPBSET_DROP, 2 /* CAP_DAC_READ_SEARCH */);
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
