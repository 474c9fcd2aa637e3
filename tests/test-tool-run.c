/* SPDX-License-Identifier: BSD-2-Clause */
/* run: the command, its status, streams and descriptors; the lock file */
#include <config.h>

#include "common.h"
#include "job.h"
#include "world.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct {
	const char *script;
	int status;
} endings[] = {
	{ "exit 0", 0 },
	{ "exit 3", 3 },
	{ "exit 125", 125 },
	{ "exit 255", 255 },
	{ "kill -TERM $$", 128 + SIGTERM },
	{ "kill -KILL $$", 128 + SIGKILL },
};

TEST_EACH(exit_status_is_the_commands, endings)
{
	ck_assert_int_eq(RUN("run", LOCK, "sh", "-c", endings[_i].script), endings[_i].status);
}

TEST_EACH(exit_status_is_the_commands_without_fork, endings)
{
	ck_assert_int_eq(RUN("run", "-F", LOCK, "sh", "-c", endings[_i].script),
	                 endings[_i].status);
	ck_assert_int_eq(RUN("run", LOCK, "true"), 0);
}

/* Does it end a process that does nothing about it? */
static bool kills(int sig)
{
	static const int others[] = {
		SIGCHLD, SIGCONT, SIGURG, SIGWINCH, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU,
	};
	size_t i;

	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (others[i] == sig)
			return false;
	return true;
}

TEST(the_tool_dies_by_each_signal_that_killed_its_command_and_releases_the_lock)
{
	struct job job = { .before_exec = NULL };
	char script[32];
	int sig;

	for (sig = 1; sig < NSIG; sig++) {
		if (!kills(sig))
			continue;
		snprintf(script, sizeof(script), "kill -%d $$", sig);
		ck_assert_int_eq(RUN_IN(&job, "run", LOCK, "sh", "-c", script), 128 + sig);
		ck_assert_int_eq(job.signal, sig);
		ck_assert_str_eq(job.err.text, "");
		ck_assert(!exists(LOCK));
	}
}

TEST(a_status_above_128_stays_a_status)
{
	struct job job = { .before_exec = NULL };

	ck_assert_int_eq(RUN_IN(&job, "run", LOCK, "sh", "-c", "exit 143"), 143);
	ck_assert_int_eq(job.signal, 0);
}

static void allow_cores(void)
{
	struct rlimit limit;

	getrlimit(RLIMIT_CORE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_CORE, &limit);
}

/* A core file, or a program that the system gives cores to. */
static bool dumps_core(void)
{
	pid_t pid = checked_fork();
	int status;

	if (pid == 0) {
		allow_cores();
		signal(SIGABRT, SIG_DFL);
		kill(getpid(), SIGABRT);
		_exit(1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) && WCOREDUMP(status);
}

static void remove_cores(void)
{
	ck_assert_int_eq(system("rm -f core core.*"), 0);
}

TEST(the_command_dumps_core_and_the_tool_does_not_once_more)
{
	struct job job = { .before_exec = allow_cores };

	if (!dumps_core())
		SKIP("no core is dumped here");
	remove_cores();
	ck_assert_int_eq(RUN_IN(&job, "run", LOCK, "sh", "-c", "kill -ABRT $$"), 128 + SIGABRT);
	ck_assert_int_eq(job.signal, SIGABRT);
	ck_assert(!job.dumped);
	remove_cores();
}

static void ignore_hang_ups(void)
{
	signal(SIGHUP, SIG_IGN);
}

TEST(the_tool_dies_by_a_signal_that_it_was_told_to_ignore_if_the_command_did)
{
	struct job job = { .before_exec = ignore_hang_ups };

	/* a shell cannot undo it */
	if (system("command -v perl >/dev/null") != 0)
		SKIP("perl is missing");
	ck_assert_int_eq(RUN_IN(&job, "run", LOCK, "perl", "-e",
	                        "$SIG{HUP} = 'DEFAULT'; kill 'HUP', $$; sleep 60"),
	                 128 + SIGHUP);
	ck_assert_int_eq(job.signal, SIGHUP);
}

TEST(process_1_of_a_namespace_exits_as_a_shell_would)
{
	struct job job = { .before_exec = be_process_1 };

	SKIP_UNLESS_ROOT();
	ck_assert_int_eq(RUN_IN(&job, "run", LOCK, "sh", "-c", "kill -TERM $$"), 128 + SIGTERM);
	ck_assert_int_eq(job.signal, 0);
	ck_assert(!exists(LOCK));
	ck_assert_int_eq(RUN_IN(&job, "run", LOCK, "sh", "-c", "exit 3"), 3);
}

static void ignore_children(void)
{
	signal(SIGCHLD, SIG_IGN);
}

TEST(exit_status_is_had_where_sigchld_is_ignored_and_it_stays_so_for_the_command)
{
	struct job job = { .before_exec = ignore_children };

	ck_assert_int_eq(RUN_IN(&job, "run", LOCK, "sh", "-c", "exit 3"), 3);
	ck_assert_int_eq(RUN_IN(&job, "run", LOCK, "grep", "SigIgn", "/proc/self/status"), 0);
	assert_says(&job.out, "10000\n"); /* bit 16: signal 17 */
}

TEST(a_missing_command_is_127)
{
	struct job job = { .before_exec = NULL };

	ck_assert_int_eq(RUN_IN(&job, "run", LOCK, "/no/such/command"), 127);
	assert_says(&job.err, "lockfile-pid: /no/such/command: ");
	ck_assert_int_eq(RUN("run", LOCK, "no-such-command"), 127);
}

static void listen_to_no_errors(void)
{
	int ends[2];

	if (pipe(ends) == 0 && dup2(ends[1], STDERR_FILENO) >= 0)
		close(ends[0]);
}

TEST(a_missing_command_is_127_even_if_nobody_hears_of_it)
{
	struct job job = { .before_exec = listen_to_no_errors };

	ck_assert_int_eq(RUN_IN(&job, "run", LOCK, "no-such-command"), 127);
	ck_assert_int_eq(RUN_IN(&job, "run", "-F", LOCK, "no-such-command"), 127);
}

TEST(a_command_that_is_not_executable_is_126)
{
	ck_assert_int_eq(RUN("run", LOCK, "/dev/null"), 126);
	ck_assert_int_eq(RUN("run", LOCK, test_dir), 126);
}

TEST(the_lock_is_held_by_the_tool_while_the_command_runs)
{
	struct job job = { .before_exec = NULL };

	start_holder(&job);
	assert_content(LOCK, "%d\n", (int)job.pid);
	ck_assert_int_eq(RUN("check", LOCK), 0);
	ck_assert_int_eq(job_end(&job), 0);
	ck_assert_int_eq(RUN("check", LOCK), 3);
}

TEST(standard_input_and_output_pass_through)
{
	struct job job = { .before_exec = NULL };

	START(&job, "run", LOCK, "sh", "-c", "cat; echo problem >&2");
	job_say(&job, "one\ntwo\n");
	ck_assert_int_eq(job_end(&job), 0);
	ck_assert_str_eq(job.out.text, "one\ntwo\n");
	ck_assert_str_eq(job.err.text, "problem\n");
}

TEST(options_after_the_command_are_the_commands)
{
	struct job job = { .before_exec = NULL };

	ck_assert_int_eq(
		RUN_IN(&job, "run", "-n", LOCK, "printf", "%s.", "-n", "-w", "x", "--help", "--"),
		0);
	ck_assert_str_eq(job.out.text, "-n.-w.x.--help.--.");
}

TEST(a_double_dash_may_stand_before_and_after_the_path)
{
	struct job job = { .before_exec = NULL };

	ck_assert_int_eq(RUN_IN(&job, "run", "--", LOCK, "--", "printf", "%s.", "--"), 0);
	ck_assert_str_eq(job.out.text, "--.");
	ck_assert_int_eq(RUN("run", LOCK, "--", "no-such-command"), 127);
}

TEST(a_path_may_have_blanks)
{
	ck_assert_int_eq(RUN("run", "a lock file", "test", "-f", "a lock file"), 0);
}

TEST(a_path_may_be_absolute)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/" LOCK, test_dir);
	ck_assert_int_eq(RUN("run", path, "test", "-f", LOCK), 0);
	ck_assert_int_eq(RUN("run", "-F", path, "test", "-f", LOCK), 0);
	ck_assert_int_eq(RUN("run", path, "true"), 0);
}

static const struct {
	const char *mode;
	const char *printed;
} modes[] = { { "0644", "644\n" }, { "600", "600\n" }, { "666", "644\n" }, { "0751", "751\n" } };

TEST_EACH(the_mode_is_what_was_asked_for_less_the_umask, modes)
{
	struct job job = { .before_exec = NULL };

	ck_assert_int_eq(RUN_IN(&job, "run", "-m", modes[_i].mode, LOCK, "stat", "-c", "%a", LOCK),
	                 0);
	ck_assert_str_eq(job.out.text, modes[_i].printed);
}

TEST(the_mode_is_0644_unless_asked_for)
{
	struct job job = { .before_exec = NULL };

	ck_assert_int_eq(RUN_IN(&job, "run", LOCK, "stat", "-c", "%a", LOCK), 0);
	ck_assert_str_eq(job.out.text, "644\n");
}

/* Descriptors */

#define LIST_DESCRIPTORS \
	"for f in /proc/$$/fd/*; do [ $f -ef " LOCK " ] && echo lock; readlink $f; done; :"

TEST(the_command_gets_no_descriptor_of_ours)
{
	struct job job = { .before_exec = NULL };

	ck_assert_int_eq(RUN_IN(&job, "run", "-k", LOCK, "sh", "-c", LIST_DESCRIPTORS), 0);
	ck_assert_ptr_null(strstr(job.out.text, test_dir));
	ck_assert_ptr_null(strstr(job.out.text, "anon_inode"));
}

TEST(no_fork_gives_the_command_the_lock_file_alone)
{
	struct job job = { .before_exec = NULL };
	char *found;

	ck_assert_int_eq(RUN_IN(&job, "run", "-F", LOCK, "sh", "-c", LIST_DESCRIPTORS), 0);
	found = strstr(job.out.text, test_dir);
	ck_assert_ptr_nonnull(found);
	/* the file's name in /proc is one that it had before it had ours */
	assert_says(&job.out, "lock\n/");
	ck_assert_ptr_null(strstr(found + 1, test_dir));
	ck_assert_ptr_null(strstr(job.out.text, "anon_inode"));
	ck_assert_int_eq(RUN("run", LOCK, "true"), 0);
}

static const int standard_descriptors[] = { STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO };
static int closed;

static void a_standard_descriptor_is_closed(void)
{
	close(closed);
}

TEST_EACH(the_lock_file_is_never_a_standard_descriptor_of_the_command, standard_descriptors)
{
	struct job job = { .before_exec = a_standard_descriptor_is_closed };
	char script[64];

	if (is_emulated())
		SKIP("an emulator has descriptors of its own");
	closed = standard_descriptors[_i];
	snprintf(script, sizeof(script), "echo no >&%d", closed);
	ck_assert_int_ne(RUN_IN(&job, "run", "-F", LOCK, "sh", "-c", script), 0);
	assert_content(LOCK, "%d\n", (int)job.pid);
	snprintf(script, sizeof(script), "/proc/self/fd/%d", closed);
	ck_assert_int_eq(RUN_IN(&job, "run", LOCK, "test", "-e", script), 1);
}
