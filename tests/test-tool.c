/* SPDX-License-Identifier: BSD-2-Clause */
/* The tool as a user meets it: usage, errors, help.  More is in test-tool-*.c. */
#include <config.h>

#include "common.h"
#include "job.h"

#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

TEST(errors_in_locking_are_125_and_name_path_and_reason)
{
	struct job job = { .before_exec = NULL };

	ck_assert_int_eq(RUN_IN(&job, "run", "missing/lock", "true"), 125);
	ck_assert_str_eq(job.err.text, "lockfile-pid: missing/lock: No such file or directory\n");
	ck_assert_int_eq(RUN("run", test_dir, "true"), 125);
	ck_assert_int_eq(RUN("run", "", "true"), 125);
}

static const char *const misuses[][8] = {
	{ NULL },
	{ "hold", LOCK, "true" },
	{ "--no-such-option" },
	{ "run" },
	{ "run", LOCK },
	{ "run", LOCK, "--" },
	{ "run", "-x", LOCK, "true" },
	{ "run", "--no-such-option", LOCK, "true" },
	{ "run", "-n", "-w", "1", LOCK, "true" },
	{ "run", "-n", "-w", "0", LOCK, "true" },
	{ "run", "-k", "-F", LOCK, "true" },
	{ "run", "--descendants", "-F", LOCK, "true" },
	{ "run", "-w" },
	{ "run", "-w", "", LOCK, "true" },
	{ "run", "-w", ".", LOCK, "true" },
	{ "run", "-w", "-1", LOCK, "true" },
	{ "run", "-w", "+1", LOCK, "true" },
	{ "run", "-w", " 1", LOCK, "true" },
	{ "run", "-w", "1 ", LOCK, "true" },
	{ "run", "-w", "1s", LOCK, "true" },
	{ "run", "-w", "1,5", LOCK, "true" },
	{ "run", "-w", "1.2.3", LOCK, "true" },
	{ "run", "-w", "1e3", LOCK, "true" },
	{ "run", "-w", "0x1", LOCK, "true" },
	{ "run", "-w", "nan", LOCK, "true" },
	{ "run", "-w", "inf", LOCK, "true" },
	{ "run", "-E", "", LOCK, "true" },
	{ "run", "-E", "-1", LOCK, "true" },
	{ "run", "-E", "256", LOCK, "true" },
	{ "run", "-E", "99999999999", LOCK, "true" },
	{ "run", "-E", "1x", LOCK, "true" },
	{ "run", "-E", " 1", LOCK, "true" },
	{ "run", "-E", "0x1", LOCK, "true" },
	{ "run", "-m", "", LOCK, "true" },
	{ "run", "-m", "8", LOCK, "true" },
	{ "run", "-m", "-1", LOCK, "true" },
	{ "run", "-m", "01777", LOCK, "true" },
	{ "run", "-m", "0444", LOCK, "true" },
	{ "run", "-m", "777777777777", LOCK, "true" },
	{ "run", "-m", "u=rw", LOCK, "true" },
};

TEST_EACH(a_usage_error_is_125_says_so_and_touches_nothing, misuses)
{
	struct job job = { .before_exec = NULL };

	ck_assert_int_eq(job_run(&job, misuses[_i]), 125);
	assert_says(&job.err, "lockfile-pid: ");
	ck_assert_str_eq(job.out.text, "");
	ck_assert(!exists(LOCK));
}

/* There -s is a shared lock, which is no kind of lock of this tool. */
TEST(the_option_s_of_flock_is_refused_with_a_hint)
{
	struct job job = { .before_exec = NULL };

	ck_assert_int_eq(RUN_IN(&job, "run", "-s", LOCK, "true"), 125);
	assert_says(&job.err, "flock -s");
	ck_assert_int_eq(RUN_IN(&job, "check", "-s", LOCK), 4);
	assert_says(&job.err, "flock -s");
	ck_assert(!exists(LOCK));
}

TEST(help_and_version_go_to_standard_output)
{
	static const char *const commands[] = { "", "run", "check", "signal", "lock", "unlock" };
	struct job job = { .before_exec = NULL };
	size_t i;

	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		const char *const help[] = { commands[i], "--help", NULL };
		const char *const version[] = { commands[i], "--version", NULL };
		size_t skip = commands[i][0] ? 0 : 1;

		ck_assert_int_eq(job_run(&job, help + skip), 0);
		ck_assert_str_eq(job.err.text, "");
		ck_assert_int_eq(strncmp(job.out.text, "Usage: lockfile-pid ", 20), 0);
		assert_says(&job.out, commands[i]);
		ck_assert_int_eq(job_run(&job, version + skip), 0);
		ck_assert_str_eq(job.err.text, "");
		assert_says(&job.out, "lockfile-pid " PACKAGE_VERSION);
	}
}

static void standard_output_is_a_full_disk(void)
{
	dup2(open("/dev/full", O_WRONLY), STDOUT_FILENO);
}

static void files_may_not_grow(void)
{
	const struct rlimit limit = { .rlim_cur = 0, .rlim_max = 0 };

	setrlimit(RLIMIT_FSIZE, &limit);
}

static void standard_output_may_not_grow(void)
{
	dup2(open("output", O_WRONLY | O_CREAT | O_CLOEXEC, 0600), STDOUT_FILENO);
	files_may_not_grow();
}

/* ulimit -f 0: a program that does nothing about it dies by SIGXFSZ. */
TEST(where_files_may_not_grow_the_tool_says_so)
{
	struct job job = { .before_exec = files_may_not_grow };

	ck_assert_int_eq(RUN_IN(&job, "run", LOCK, "true"), 125);
	ck_assert_int_eq(job.signal, 0);
	ck_assert_str_eq(job.err.text, "lockfile-pid: " LOCK ": File too large\n");
	ck_assert_int_eq(RUN_IN(&job, "run", "-F", LOCK, "true"), 125);
	ck_assert_int_eq(RUN_IN(&job, "run", "-n", LOCK, "true"), 125);
	ck_assert_int_eq(RUN_IN(&job, "check", LOCK), 3);
	ck_assert(!exists(LOCK));
	job.before_exec = standard_output_may_not_grow;
	ck_assert_int_eq(RUN_IN(&job, "check", LOCK), 4);
	assert_says(&job.err, "File too large");
	ck_assert_int_eq(RUN_IN(&job, "run", "--help"), 125);
	ck_assert_int_eq(unlink("output"), 0);
}

static void standard_output_is_closed(void)
{
	close(STDOUT_FILENO);
}

TEST(what_cannot_be_written_is_an_error)
{
	struct job job = { .before_exec = standard_output_is_a_full_disk };

	ck_assert_int_eq(RUN_IN(&job, "--help"), 125);
	assert_says(&job.err, "No space left on device");
	ck_assert_int_eq(RUN_IN(&job, "--version"), 125);
	ck_assert_int_eq(RUN_IN(&job, "run", "--help"), 125);
	ck_assert_int_eq(RUN_IN(&job, "run", "--version"), 125);
	ck_assert_int_eq(RUN_IN(&job, "check", "--help"), 4);
	ck_assert_int_eq(RUN_IN(&job, "check", LOCK), 4);
	assert_says(&job.err, "No space left on device");
	ck_assert_int_eq(RUN_IN(&job, "check", "-q", LOCK), 3);
	job.before_exec = standard_output_is_closed;
	ck_assert_int_eq(RUN_IN(&job, "--version"), 125);
}
