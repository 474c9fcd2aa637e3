/* SPDX-License-Identifier: BSD-2-Clause */
/* run: job control, and what a terminal sends */
#include <config.h>

#include "common.h"
#include "job.h"
#include "world.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

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

TEST(a_stop_that_the_tool_is_sent_stops_both_and_so_it_goes_on)
{
	struct job job = { .before_exec = be_a_job };
	int command, status;

	START(&job, "run", LOCK, "sh", "-c", "echo pid=$$; read line; exit 7");
	stream_await(&job.out, "pid=");
	stream_await(&job.out, "\n");
	ck_assert_int_eq(sscanf(job.out.text, "pid=%d", &command), 1);
	ck_assert_int_eq(kill(job.pid, SIGTSTP), 0);
	ck_assert_int_eq(waitpid(job.pid, &status, WUNTRACED), job.pid);
	ck_assert(WIFSTOPPED(status));
	ck_assert_int_eq(process_state(command), 'T');
	ck_assert_int_eq(RUN("run", "-n", LOCK, "true"), 1);
	ck_assert_int_eq(kill(job.pid, SIGCONT), 0);
	ck_assert_int_eq(job_end(&job), 7);
}

/* As a program does that saves its work first. */
TEST(a_stop_that_the_command_catches_does_not_stop_the_tool)
{
	struct job job = { .before_exec = be_a_job };

	START(&job, "run", LOCK, listener());
	stream_await(&job.out, "ready\n");
	ck_assert_int_eq(kill(job.pid, SIGTSTP), 0);
	stream_await(&job.out, "20\n");
	ck_assert_int_eq(kill(job.pid, SIGTERM), 0);
	ck_assert_int_eq(job_end(&job), 7);
}

/* Who paused it may continue the command alone, and then the tool has to see its end. */
TEST(the_tool_goes_on_while_somebody_has_paused_the_command)
{
	struct job job = { .before_exec = be_a_job };
	int command;

	START(&job, "run", LOCK, "sh", "-c", "echo pid=$$; kill -STOP $$; exit 7");
	stream_await(&job.out, "pid=");
	stream_await(&job.out, "\n");
	ck_assert_int_eq(sscanf(job.out.text, "pid=%d", &command), 1);
	while (process_state(command) != 'T')
		sched_yield();
	ck_assert_int_eq(kill(command, SIGCONT), 0);
	ck_assert_int_eq(job_end(&job), 7);
}

TEST(a_command_that_pauses_itself_gives_the_terminal_back_to_the_shell)
{
	struct job job = { .before_exec = job_of_a_shell };

	open_terminal();
	START(&job, "run", LOCK, "sh", "-c", "kill -STOP $$; echo resumed; exit 7");
	stream_await(&master, "stopped");
	stream_await(&master, "resumed");
	ck_assert_int_eq(job_end(&job), 7);
	stream_drain(&master);
}

TEST(ctrl_z_stops_the_command_and_the_tool_and_the_shell_continues_both)
{
	struct job job = { .before_exec = job_of_a_shell };

	open_terminal();
	START(&job, "run", LOCK, "sh", "-c", "echo ready; read line; echo resumed; exit 7");
	stream_await(&master, "ready");
	ck_assert_int_eq(write(master.fd, "\032", 1), 1);
	stream_await(&master, "stopped");
	ck_assert_int_eq(write(master.fd, "\n", 1), 1);
	stream_await(&master, "resumed");
	ck_assert_int_eq(job_end(&job), 7);
	stream_drain(&master);
}

/* A key, or for none the size of the window. */
static const struct {
	const char *key;
	const char *line;
} from_terminal[] = {
	{ "\003", "2\r\n" },
	{ "\034", "3\r\n" },
	{ "\032", "20\r\n" },
	{ "", "28\r\n" },
};

/* Of two signals the tool takes the one with the lower number first, and so does the command. */
TEST_EACH(what_the_terminal_sends_to_both_reaches_the_command_once, from_terminal)
{
	const struct winsize size = { .ws_row = 24, .ws_col = 132 };
	struct job job = { .before_exec = everything_is_the_terminal };
	const char *key = from_terminal[_i].key;
	char last[16];
	size_t once;

	open_terminal();
	START(&job, "run", LOCK, listener());
	stream_await(&master, "ready\r\n");
	if (*key)
		ck_assert_int_eq(write(master.fd, key, 1), 1);
	else
		ck_assert_int_eq(ioctl(master.fd, TIOCSWINSZ, &size), 0);
	stream_await(&master, from_terminal[_i].line);
	once = master.seen;
	snprintf(last, sizeof(last), "%d\r\n", SIGRTMIN);
	ck_assert_int_eq(kill(job.pid, SIGRTMIN), 0);
	stream_await(&master, last);
	ck_assert_uint_eq(master.seen, once + strlen(last));
	ck_assert_int_eq(kill(job.pid, SIGTERM), 0);
	ck_assert_int_eq(job_end(&job), 7);
	stream_drain(&master);
}

/* By somebody, not by the terminal. */
TEST(a_signal_that_is_sent_to_the_tool_alone_is_passed_on_at_a_terminal)
{
	struct job job = { .before_exec = everything_is_the_terminal };

	open_terminal();
	START(&job, "run", LOCK, listener());
	stream_await(&master, "ready\r\n");
	ck_assert_int_eq(kill(job.pid, SIGINT), 0);
	stream_await(&master, "2\r\n");
	ck_assert_int_eq(kill(job.pid, SIGTERM), 0);
	ck_assert_int_eq(job_end(&job), 7);
	stream_drain(&master);
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

/* bash(1) goes on after a program that exits, with 130 as well as with 0. */
TEST(ctrl_c_ends_the_loop_of_a_shell_that_runs_the_tool)
{
	struct job job = { .before_exec = everything_is_the_terminal };

	if (system("command -v bash >/dev/null") != 0)
		SKIP("bash is missing");
	open_terminal();
	START(&job, "run", "outer.pid", "bash", "-c",
	      "for i in 1 2; do \"$TOOL\" run " LOCK " sh -c 'echo ready; exec sleep 60'; done;"
	      "echo after");
	stream_await(&master, "ready");
	ck_assert_int_eq(write(master.fd, "\003", 1), 1);
	ck_assert_int_eq(job_end(&job), 128 + SIGINT);
	ck_assert_int_eq(job.signal, SIGINT);
	stream_drain(&master);
	ck_assert_ptr_null(strstr(master.text, "after"));
	ck_assert(!exists(LOCK));
}
