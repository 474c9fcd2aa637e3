/* SPDX-License-Identifier: BSD-2-Clause */
/* run: conflicts, waiting, and what is said meanwhile */
#include <config.h>

#include "common.h"
#include "job.h"
#include "world.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static long long now_in_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

TEST(nonblock_of_a_held_lock_is_1_and_silent)
{
	struct job holder = { .before_exec = NULL };
	struct job job = { .before_exec = NULL };

	start_holder(&holder);
	ck_assert_int_eq(RUN_IN(&job, "run", "-n", LOCK, "echo", "no"), 1);
	ck_assert_str_eq(job.out.text, "");
	ck_assert_str_eq(job.err.text, "");
	ck_assert_int_eq(RUN("run", "--nonblock", LOCK, "true"), 1);
	ck_assert_int_eq(RUN("run", "-w", "0", LOCK, "true"), 1);
	ck_assert_int_eq(job_end(&holder), 0);
	ck_assert_int_eq(RUN("run", "-n", LOCK, "true"), 0);
}

TEST(conflict_exit_code_is_what_was_asked_for)
{
	struct job holder = { .before_exec = NULL };

	start_holder(&holder);
	ck_assert_int_eq(RUN("run", "-n", "-E", "42", LOCK, "true"), 42);
	ck_assert_int_eq(RUN("run", "-n", "-E", "0", LOCK, "false"), 0);
	ck_assert_int_eq(RUN("run", "-w", "0.01", "--conflict-exit-code=255", LOCK, "true"), 255);
	ck_assert_int_eq(job_end(&holder), 0);
	ck_assert_int_eq(RUN("run", "-n", "-E", "42", LOCK, "sh", "-c", "exit 7"), 7);
}

TEST(a_wait_for_a_holder_that_stays_ends_in_time_and_leaves_it_alone)
{
	struct job holder = { .before_exec = NULL };
	struct job job = { .before_exec = NULL };
	long long start;

	start_holder(&holder);
	start = now_in_ms();
	ck_assert_int_eq(RUN_IN(&job, "run", "-w", "0.2", "-E", "9", LOCK, "echo"), 9);
	ck_assert_int_ge(now_in_ms() - start, 200);
	ck_assert_str_eq(job.out.text, "");
	ck_assert_str_eq(job.err.text, "");
	assert_content(LOCK, "%d\n", (int)holder.pid);
	ck_assert_int_eq(job_end(&holder), 0);
}

static const char *const patience[] = { "--wait=30", "--wait=99999999999999999999999", "-v" };

TEST_EACH(a_wait_for_a_holder_that_goes_gets_the_lock, patience)
{
	struct job holder = { .before_exec = NULL };
	struct job waiter = { .before_exec = NULL };

	start_holder(&holder);
	START(&waiter, "run", "-v", patience[_i], LOCK, "echo", "mine");
	stream_await(&waiter.err, "waiting for");
	ck_assert_int_eq(job_end(&holder), 0);
	ck_assert_int_eq(job_end(&waiter), 0);
	ck_assert_str_eq(waiter.out.text, "mine\n");
}

TEST(a_wait_for_a_holder_that_is_killed_gets_the_lock)
{
	struct job holder = { .before_exec = NULL };
	struct job waiter = { .before_exec = NULL };

	start_holder(&holder);
	START(&waiter, "run", "-v", LOCK, "true");
	stream_await(&waiter.err, "waiting for");
	ck_assert_int_eq(kill(holder.pid, SIGKILL), 0);
	ck_assert_int_eq(job_end(&holder), 128 + SIGKILL);
	ck_assert_int_eq(job_end(&waiter), 0);
}

TEST(a_silent_wait_gets_the_lock)
{
	struct job holder = { .before_exec = NULL };
	struct job waiter = { .before_exec = NULL };

	start_holder(&holder);
	START(&waiter, "run", "-w", "30", LOCK, "true");
	ck_assert_int_eq(job_end(&holder), 0);
	ck_assert_int_eq(job_end(&waiter), 0);
	ck_assert_str_eq(waiter.err.text, "");
}

TEST(verbose_says_who_is_waited_for_and_when_the_lock_is_had)
{
	struct job holder = { .before_exec = NULL };
	struct job waiter = { .before_exec = NULL };
	char text[512];

	start_holder(&holder);
	START(&waiter, "run", "-v", LOCK, "true");
	snprintf(text, sizeof(text), "%s, 0 s\n", waiting_for(holder.pid, HOLD_IN_WORDS));
	stream_await(&waiter.err, text);
	ck_assert_int_eq(job_end(&holder), 0);
	ck_assert_int_eq(job_end(&waiter), 0);
	assert_says(&waiter.err, "locked " LOCK " after ");
}

TEST(verbose_names_the_holder_that_nonblock_met)
{
	struct job holder = { .before_exec = NULL };
	struct job job = { .before_exec = NULL };
	char text[512];

	start_holder(&holder);
	ck_assert_int_eq(RUN_IN(&job, "run", "-n", "-v", LOCK, "true"), 1);
	snprintf(text, sizeof(text), "lockfile-pid: " LOCK ": held by PID %d (%s)\n",
	         (int)holder.pid, HOLD_IN_WORDS);
	ck_assert_str_eq(job.err.text, text);
	ck_assert_int_eq(job_end(&holder), 0);
}

TEST(a_new_holder_is_named_too)
{
	pid_t first = start_bystander();
	pid_t second = start_bystander();
	struct job waiter = { .before_exec = NULL };

	write_pid(LOCK, first);
	START(&waiter, "run", "-v", LOCK, "true");
	stream_await(&waiter.err, waiting_for(first, command_of(first)));
	write_pid("other", second);
	ck_assert_int_eq(rename("other", LOCK), 0);
	stream_await(&waiter.err, waiting_for(second, command_of(second)));
	stream_await(&waiter.err, ", ");
	stream_await(&waiter.err, " s\n");
	/* and not only when the time for a message has come again */
	ck_assert_ptr_null(strstr(waiter.err.text, ", 5 s\n"));
	kill_child(first);
	kill_child(second);
	ck_assert_int_eq(job_end(&waiter), 0);
}

TEST(a_waiter_keeps_its_place_in_line_while_it_tells)
{
	pid_t first = start_bystander();
	pid_t second = start_bystander();
	struct job waiter = { .before_exec = NULL };
	struct stat before, after;
	int line;

	write_pid(LOCK, first);
	START(&waiter, "run", "-v", LOCK, "true");
	stream_await(&waiter.err, waiting_for(first, command_of(first)));
	/* the line is removed when the last one leaves it; one that is open is never made again */
	line = open(LOCK ".queue", O_PATH | O_CLOEXEC);
	ck_assert_int_eq(fstat(line, &before), 0);
	write_pid("other", second);
	ck_assert_int_eq(rename("other", LOCK), 0);
	stream_await(&waiter.err, waiting_for(second, command_of(second)));
	ck_assert_int_eq(stat(LOCK ".queue", &after), 0);
	ck_assert_uint_eq(before.st_ino, after.st_ino);
	close(line);
	kill_child(first);
	kill_child(second);
	ck_assert_int_eq(job_end(&waiter), 0);
	ck_assert(!exists(LOCK ".queue"));
}

/* Whether the lock went to those who tell in the order in which they came. */
static bool is_first_come_first_served(void)
{
	struct job holder = { .before_exec = NULL };
	struct job waiters[6] = { 0 };
	char script[32];
	bool served;
	int i;

	start_holder(&holder);
	for (i = 0; i < 6; i++) {
		snprintf(script, sizeof(script), "printf %d >>order", i);
		START(&waiters[i], "run", "-v", LOCK, "sh", "-c", script);
		stream_await(&waiters[i].err, "waiting for");
	}
	ck_assert_int_eq(job_end(&holder), 0);
	for (i = 0; i < 6; i++)
		ck_assert_int_eq(job_end(&waiters[i]), 0);
	served = strcmp(read_file("order"), "012345") == 0;
	ck_assert_int_eq(unlink("order"), 0);
	return served;
}

/* Each looks once a second by itself, and can come first by that; not time and again. */
TEST(waiters_that_tell_are_served_in_the_order_in_which_they_came)
{
	int tries = 10;

	while (!is_first_come_first_served())
		ck_assert_int_gt(--tries, 0);
}

TEST(a_terminal_is_told_who_is_waited_for)
{
	struct job holder = { .before_exec = NULL };
	struct job waiter = { .before_exec = standard_error_is_the_terminal };

	open_terminal();
	start_holder(&holder);
	START(&waiter, "run", LOCK, "true");
	stream_await(&master, waiting_for(holder.pid, HOLD_IN_WORDS));
	stream_await(&master, " s");
	ck_assert_ptr_null(strstr(master.text, ", 0 s")); /* that is not worth a line */
	ck_assert_int_eq(job_end(&holder), 0);
	ck_assert_int_eq(job_end(&waiter), 0);
	stream_drain(&master);
}

/* A line that wraps is hard to read, and its rest overwrites nothing. */
TEST(a_narrow_terminal_is_told_as_much_as_fits_in_a_line)
{
	const struct winsize size = { .ws_row = 24, .ws_col = 80 };
	struct job holder = { .before_exec = NULL };
	struct job waiter = { .before_exec = standard_error_is_the_terminal };
	const char *line, *end;

	open_terminal();
	ck_assert_int_eq(ioctl(master.fd, TIOCSWINSZ, &size), 0);
	START(&holder, "run", LOCK, HOLD, "a command line that is longer than the terminal");
	stream_await(&holder.out, "ready\n");
	START(&waiter, "run", "-v", LOCK, "true");
	stream_await(&master, "waiting for " LOCK ": held by PID ");
	stream_await(&master, "(" HOLD_IN_WORDS);
	stream_await(&master, "...), 0 s\r\n");
	line = strstr(master.text, "waiting for");
	end = strstr(line, "\r\n");
	ck_assert_int_le(end - line, 80);
	ck_assert_int_eq(job_end(&holder), 0);
	ck_assert_int_eq(job_end(&waiter), 0);
	stream_drain(&master);
}

TEST(who_waits_for_a_file_that_may_not_be_read_says_so)
{
	struct job waiter = { .before_exec = lose_capabilities };

	write_pid(LOCK, getpid());
	ck_assert_int_eq(chmod(LOCK, 0), 0);
	START(&waiter, "run", "-v", LOCK, "true");
	stream_await(&waiter.err, "held by an unknown process: the file may not be read, 0 s\n");
	ck_assert_int_eq(unlink(LOCK), 0);
	ck_assert_int_eq(job_end(&waiter), 0);
}

static const char *const seconds[] = {
	"0", "0.0", "2", "2.", ".5", "0.5", "00.25", "0.0001", "0.12345678901234567890123456789",
};

TEST_EACH(seconds_may_have_a_fraction, seconds)
{
	ck_assert_int_eq(RUN("run", "-w", seconds[_i], LOCK, "true"), 0);
}

TEST(the_shortest_time_is_not_none)
{
	struct job holder = { .before_exec = NULL };
	struct job waiter = { .before_exec = NULL };

	start_holder(&holder);
	ck_assert_int_eq(RUN_IN(&waiter, "run", "-v", "-w", "0.0001", LOCK, "true"), 1);
	assert_says(&waiter.err, "waiting for " LOCK);
	ck_assert_int_eq(RUN_IN(&waiter, "run", "-v", "-w", "0.000", LOCK, "true"), 1);
	ck_assert_ptr_null(strstr(waiter.err.text, "waiting for"));
	ck_assert_int_eq(job_end(&holder), 0);
}
