/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "common.h"
#include "job.h"
#include "world.h"

#include <check.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGUMENTS_MAX 32

const char *listener(void)
{
	const char *program = getenv("LISTENER");

	ck_assert_msg(program != NULL, "the environment does not name LISTENER");
	return program;
}

static void make_pipe(int ends[2])
{
	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
}

/* A stream ends when nobody has it open any more. */
static void close_others(void)
{
	int fd;

	for (fd = STDERR_FILENO + 1; fd < 256; fd++)
		close(fd);
}

/*
 * The tests may run under nohup, or in the background of a shell that ignores SIGINT there.
 * By the bare calls, since make(1) ignores signals that the C library keeps for itself, and
 * that it does not let us change.  All zero is the default, on each machine.
 */
static void forget_signals(void)
{
	const unsigned long by_default[16] = { 0 };
	sigset_t none;
	int sig;

	for (sig = 1; sig < NSIG; sig++)
		syscall(SYS_rt_sigaction, sig, by_default, NULL, NSIG / 8);
	sigemptyset(&none);
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, NSIG / 8);
}

static void __attribute__((__noreturn__))
become_tool(const struct job *job, const char *const *arguments, int in, int out, int err)
{
	char *argv[ARGUMENTS_MAX + 2] = { getenv("TOOL") };
	size_t i;

	if (!argv[0])
		_exit(99);
	for (i = 0; arguments[i] && i < ARGUMENTS_MAX; i++)
		argv[i + 1] = strdup(arguments[i]);
	dup2(in, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	dup2(err, STDERR_FILENO);
	close_others();
	forget_signals();
	if (job->before_exec)
		job->before_exec();
	execv(argv[0], argv);
	_exit(99);
}

void job_start(struct job *job, const char *const *arguments)
{
	int in[2], out[2], err[2];

	make_pipe(in);
	make_pipe(out);
	make_pipe(err);
	job->pid = checked_fork();
	if (job->pid == 0)
		become_tool(job, arguments, in[0], out[1], err[1]);
	close(in[0]);
	close(out[1]);
	close(err[1]);
	job->in = in[1];
	job->out = (struct stream){ .fd = out[0] };
	job->err = (struct stream){ .fd = err[0] };
}

void job_say(const struct job *job, const char *text)
{
	ck_assert_int_eq(write(job->in, text, strlen(text)), (ssize_t)strlen(text));
}

/* A pseudo-terminal that nobody has open any more is an error, not an end of file. */
static int stream_read(struct stream *stream)
{
	size_t room = sizeof(stream->text) - 1 - stream->length;
	ssize_t n;

	ck_assert_uint_gt(room, 0);
	n = read(stream->fd, stream->text + stream->length, room);
	if (n > 0)
		stream->length += (size_t)n;
	stream->text[stream->length] = '\0';
	return n > 0;
}

void stream_await(struct stream *stream, const char *text)
{
	char *found;

	while (!(found = strstr(stream->text + stream->seen, text)))
		if (!stream_read(stream))
			ck_abort_msg("ended without '%s': %s", text, stream->text);
	stream->seen = (size_t)(found - stream->text) + strlen(text);
}

void stream_drain(struct stream *stream)
{
	while (stream_read(stream))
		;
	close(stream->fd);
}

int job_end(struct job *job)
{
	int status;

	close(job->in);
	stream_drain(&job->out);
	stream_drain(&job->err);
	ck_assert_int_eq(waitpid(job->pid, &status, 0), job->pid);
	job->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	job->dumped = job->signal && WCOREDUMP(status);
	return job->signal ? 128 + job->signal : WEXITSTATUS(status);
}

int job_run(struct job *job, const char *const *arguments)
{
	struct job anonymous = { .before_exec = NULL };

	if (!job)
		job = &anonymous;
	job_start(job, arguments);
	return job_end(job);
}

pid_t start_bystander(void)
{
	pid_t pid = checked_fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close_others();
		for (;;)
			pause();
	}
	return pid;
}

void write_pid(const char *name, pid_t pid)
{
	char text[32];

	snprintf(text, sizeof(text), "%d\n", (int)pid);
	write_file(name, text);
}

void assert_says(const struct stream *stream, const char *text)
{
	if (!strstr(stream->text, text))
		ck_abort_msg("no '%s' in: %s", text, stream->text);
}

void start_holder(struct job *job)
{
	START(job, "run", LOCK, HOLD);
	stream_await(&job->out, "ready\n");
}

const char *waiting_for(pid_t pid, const char *command)
{
	static char text[512];

	snprintf(text, sizeof(text), "waiting for " LOCK ": held by PID %d (%s)", (int)pid,
	         command);
	return text;
}

const char *command_of(pid_t pid)
{
	static char line[256];
	char path[64];
	size_t i, length;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
	file = fopen(path, "re");
	ck_assert_ptr_nonnull(file);
	length = fread(line, 1, sizeof(line) - 1, file);
	fclose(file);
	ck_assert_uint_gt(length, 0);
	for (i = 0; i + 1 < length; i++)
		if (line[i] == '\0')
			line[i] = ' ';
	return line;
}

/* So that the next message blocks, until the stream is read. */
void standard_error_is_full(void)
{
	int flags = fcntl(STDERR_FILENO, F_GETFL);

	fcntl(STDERR_FILENO, F_SETPIPE_SZ, 4096);
	fcntl(STDERR_FILENO, F_SETFL, flags | O_NONBLOCK);
	while (write(STDERR_FILENO, "....", 4) > 0)
		;
	fcntl(STDERR_FILENO, F_SETFL, flags);
}

/* C libraries write their streams by one call or the other. */
static bool writes(pid_t pid)
{
	long number = system_call_of(pid);

	return number == SYS_write || number == SYS_writev;
}

void await_message(const struct job *job)
{
	if (system_call_of(getpid()) != SYS_read)
		SKIP("cannot see which system call a process is in");
	while (!writes(job->pid))
		sched_yield();
}

struct stream master;

static char terminal[64];

void open_terminal(void)
{
	master = (struct stream){ .fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC) };
	ck_assert_int_ge(master.fd, 0);
	ck_assert_int_eq(grantpt(master.fd), 0);
	ck_assert_int_eq(unlockpt(master.fd), 0);
	ck_assert_int_eq(ptsname_r(master.fd, terminal, sizeof(terminal)), 0);
}

void standard_error_is_the_terminal(void)
{
	int fd = open(terminal, O_RDWR | O_NOCTTY);

	dup2(fd, STDERR_FILENO);
	close(fd);
}

void everything_is_the_terminal(void)
{
	int fd;

	setsid();
	fd = open(terminal, O_RDWR);
	dup2(fd, STDIN_FILENO);
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	close(fd);
}

void lose_capabilities(void)
{
	prctl(PR_CAPBSET_DROP, 1 /* CAP_DAC_OVERRIDE */);
	prctl(PR_CAPBSET_DROP, 2 /* CAP_DAC_READ_SEARCH */);
}

void be_process_1(void)
{
	int status;
	pid_t pid;

	if (unshare(CLONE_NEWPID) < 0)
		_exit(99);
	pid = fork();
	if (pid == 0)
		return;
	if (waitpid(pid, &status, 0) != pid)
		_exit(99);
	if (WIFSIGNALED(status))
		kill(getpid(), WTERMSIG(status));
	_exit(WEXITSTATUS(status));
}

static void __attribute__((__noreturn__)) be_shell(pid_t job)
{
	int status;

	while (waitpid(job, &status, WUNTRACED) == job && WIFSTOPPED(status)) {
		if (write(STDOUT_FILENO, "stopped\n", 8) < 0)
			_exit(99);
		tcsetpgrp(STDIN_FILENO, job);
		kill(-job, SIGCONT);
	}
	_exit(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
}

void job_of_a_shell(void)
{
	pid_t job;

	everything_is_the_terminal();
	signal(SIGTTOU, SIG_IGN);
	job = fork();
	if (job != 0)
		be_shell(job);
	setpgid(0, 0);
	tcsetpgrp(STDIN_FILENO, getpid());
	signal(SIGTTOU, SIG_DFL);
}
