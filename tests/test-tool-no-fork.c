/* SPDX-License-Identifier: BSD-2-Clause */
/* run -F: the command is the holder, and has the descriptor of the lock */
#include <config.h>

#include "common.h"
#include "job.h"
#include "world.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

TEST(no_fork_makes_the_command_the_holder)
{
	struct job job = { .before_exec = NULL };
	char pid[32];

	START(&job, "run", "-F", LOCK, "sh", "-c", "echo $$; cat");
	snprintf(pid, sizeof(pid), "%d\n", (int)job.pid);
	stream_await(&job.out, pid);
	ck_assert_str_eq(read_file(LOCK), pid);
	ck_assert_int_eq(RUN("run", "-n", LOCK, "true"), 1);
	ck_assert_int_eq(job_end(&job), 0);
	assert_content(LOCK, "%d\n", (int)job.pid);
	ck_assert_int_eq(RUN("check", LOCK), 1);
	ck_assert_int_eq(RUN("run", "-n", LOCK, "true"), 0);
}

TEST(no_fork_names_the_command_to_who_waits)
{
	struct job holder = { .before_exec = NULL };
	struct job waiter = { .before_exec = NULL };

	START(&holder, "run", "--no-fork", LOCK, "cat");
	job_say(&holder, "ready\n");
	stream_await(&holder.out, "ready\n");
	START(&waiter, "run", "-v", LOCK, "true");
	stream_await(&waiter.err, waiting_for(holder.pid, "cat"));
	ck_assert_int_eq(job_end(&holder), 0);
	ck_assert_int_eq(job_end(&waiter), 0);
}

TEST(no_fork_of_a_command_that_cannot_be_executed_leaves_nothing)
{
	ck_assert_int_eq(RUN("run", "-F", LOCK, "no-such-command"), 127);
	ck_assert_int_eq(RUN("run", "-F", LOCK, "/dev/null"), 126);
}

TEST(no_fork_lets_go_at_the_commands_end_although_its_children_live)
{
	struct job job = { .before_exec = NULL };
	pid_t child;

	ck_assert_int_eq(
		RUN_IN(&job, "run", "-F", LOCK, "sh", "-c", "sleep 60 <&- >&- 2>&- & echo $!"), 0);
	child = (pid_t)strtol(job.out.text, NULL, 10);
	ck_assert_int_eq(kill(child, 0), 0);
	ck_assert_int_eq(RUN("run", "-n", LOCK, "true"), 0);
	ck_assert_int_eq(kill(child, SIGKILL), 0);
}

/* In a shell: $fd is the number of the descriptor. */
#define FIND_DESCRIPTOR                                                        \
	"for f in /proc/$$/fd/*; do [ $f -ef " LOCK " ] && fd=${f##*/}; done;" \
	"[ \"$fd\" ] || exit 99;"

TEST(no_fork_gives_the_lock_a_descriptor_that_scripts_do_not_use)
{
	struct job job = { .before_exec = NULL };

	ck_assert_int_eq(RUN_IN(&job, "run", "-F", LOCK, "sh", "-c", FIND_DESCRIPTOR "echo $fd"),
	                 0);
	ck_assert_int_ge(atoi(job.out.text), 10);
	ck_assert_int_eq(RUN("run", LOCK, "true"), 0);
}

TEST(no_fork_keeps_the_lock_when_a_script_uses_all_single_digits)
{
	struct job job = { .before_exec = NULL };

	START(&job, "run", "-F", LOCK, "sh", "-c",
	      "exec 3<. 4<. 5<. 6<. 7<. 8<. 9<.; exec 3<&- 4<&- 5<&- 6<&- 7<&- 8<&- 9<&-;"
	      "echo ready; cat");
	stream_await(&job.out, "ready\n");
	ck_assert_int_eq(RUN("check", "-q", LOCK), 0);
	ck_assert_int_eq(RUN("run", "-n", LOCK, "true"), 1);
	ck_assert_int_eq(job_end(&job), 0);
	ck_assert_int_eq(RUN("run", "-n", LOCK, "true"), 0);
}

static void have_few_descriptors(void)
{
	const struct rlimit limit = { .rlim_cur = 8, .rlim_max = 8 };

	setrlimit(RLIMIT_NOFILE, &limit);
}

TEST(no_fork_works_where_descriptors_have_one_digit)
{
	struct job job = { .before_exec = have_few_descriptors };

	START(&job, "run", "-F", LOCK, HOLD);
	stream_await(&job.out, "ready\n");
	ck_assert_int_eq(RUN("run", "-n", LOCK, "true"), 1);
	ck_assert_int_eq(job_end(&job), 0);
	ck_assert_int_eq(RUN("run", LOCK, "true"), 0);
}

/* By the descriptor, as "echo >&12" does in bash(1). */
TEST(what_the_command_writes_to_the_lock_file_does_not_make_it_unusable)
{
	struct job job = { .before_exec = NULL };

	skip_without_attributes();
	START(&job, "run", "-F", LOCK, "sh", "-c",
	      FIND_DESCRIPTOR "head -c 8192 /dev/zero >/proc/$$/fd/$fd;"
	                      "echo ready; cat");
	stream_await(&job.out, "ready\n");
	ck_assert_int_eq(RUN("check", "-q", LOCK), 0);
	ck_assert_int_eq(RUN("run", "-n", LOCK, "true"), 1);
	ck_assert_int_eq(job_end(&job), 0);
	ck_assert_int_eq(RUN("check", "-q", LOCK), 1);
	ck_assert_int_eq(RUN("run", "-n", LOCK, "true"), 0);
	ck_assert(!exists(LOCK));
}
