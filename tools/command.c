/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <lockfile-pid.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct command {
	pid_t pid;
	const struct lockfile_pid *watched; /* NULL: nobody cares */
	int lost;
	long long due; /* when to look at it, or to use SIGKILL; FOR_EVER: never */
};

/* Returns only when that failed. */
int command_become(char **argv)
{
	int error;

	execvp(argv[0], argv);
	error = errno;
	/* which the command would have had as it was, and we do not need any more */
	signal(SIGPIPE, SIG_IGN);
	complain(argv[0], -error);
	return error == ENOENT ? RUN_NOT_FOUND : RUN_NOT_EXECUTABLE;
}

static void __attribute__((__noreturn__))
be_child(char **argv, const struct signals *signals, int die_with_parent, pid_t parent)
{
	if (die_with_parent) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		/* it may have died before that, and then no signal comes */
		if (getppid() != parent)
			_exit(RUN_FAILED);
	}
	signals_release(signals);
	_exit(command_become(argv));
}

/*
 * A key of the terminal and its hang-up reach every process of the foreground
 * group, the command too, and twice would be once too often: many programs
 * take a second Ctrl-C as "at once".  A leader of a session, though, is sent
 * the hang-up alone.
 */
static int has_it_already(const struct command *command, const siginfo_t *info)
{
	if (info->si_code != SI_KERNEL || getpgid(command->pid) != getpgrp())
		return 0;
	if (info->si_signo == SIGHUP)
		return getsid(0) != getpid();
	return info->si_signo == SIGINT || info->si_signo == SIGQUIT;
}

static void pass_on(const struct command *command, const siginfo_t *info)
{
	if (!has_it_already(command, info))
		kill(command->pid, info->si_signo);
}

/*
 * The command was stopped from the terminal: the shell that started us waits
 * for us to stop.  Without job control the kernel drops these signals, and we
 * go on.  A SIGCONT that is pending came later than the stop.
 */
static void stop_as_well(int sig)
{
	sigset_t pending;

	if (sig != SIGTSTP && sig != SIGTTIN && sig != SIGTTOU)
		return;
	if (sigpending(&pending) == 0 && !sigismember(&pending, SIGCONT))
		raise(sig);
}

static int has_ended(const struct command *command, int *ret_status)
{
	int status;
	pid_t pid = waitpid(command->pid, &status, WNOHANG | WUNTRACED);

	if (pid == 0)
		return 0;
	if (pid > 0 && WIFSTOPPED(status)) {
		stop_as_well(WSTOPSIG(status));
		return 0;
	}
	if (pid < 0)
		*ret_status = RUN_FAILED;
	else if (WIFSIGNALED(status))
		*ret_status = RUN_SIGNALLED + WTERMSIG(status);
	else
		*ret_status = WEXITSTATUS(status);
	return 1;
}

/* A lock of which we just cannot tell, for want of a descriptor say, is not lost. */
static void watch(struct command *command)
{
	long long now = now_ms();

	if (command->due < 0 || now < command->due)
		return;
	if (command->lost) {
		kill(command->pid, SIGKILL);
		command->due = FOR_EVER;
	} else if (lockfile_pid_verify(command->watched) == LOCKFILE_PID_ERR_ROGUE_DELETION) {
		fprintf(stderr, "lockfile-pid: %s: the lock is lost, ending the command\n",
		        lockfile_pid_path(command->watched));
		kill(command->pid, SIGTERM);
		kill(command->pid, SIGCONT); /* a stopped one would not notice */
		command->lost = 1;
		command->due = now + COMMAND_GRACE_MS;
	} else {
		command->due = now + COMMAND_LOOK_MS;
	}
}

static long long until(long long due)
{
	long long now = now_ms();

	if (due < 0)
		return FOR_EVER;
	return due > now ? due - now : 0;
}

static int supervise(struct command *command)
{
	siginfo_t info;
	int status;
	int sig;

	for (;;) {
		sig = signals_next(&info, until(command->due));
		if (sig == SIGCHLD && has_ended(command, &status))
			return status;
		if (sig != 0 && sig != SIGCHLD)
			pass_on(command, &info);
		watch(command);
	}
}

static int has_terminal(void)
{
	int fd = open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/*
 * Signals are held; a @watched lock that is lost ends the command, and so does our own death.
 *
 * vfork(2), since a copy of our memory costs more than a tenth of the whole start.  We sleep
 * until the child has executed or gone: on the same memory, it only makes calls, and signals
 * that could run a handler are blocked, or at their defaults.  What it must not keep, the
 * lock file, closes at exec.
 *
 * Not where somebody at a terminal could stop the child before it has executed, which takes
 * long on some file systems: we would sleep on, and the shell never see us stop.
 */
int command_run(char **argv, const struct signals *signals, const struct lockfile_pid *watched,
                int *ret_lost)
{
	struct command command = { .watched = watched, .due = watched ? 0 : FOR_EVER };
	pid_t parent = getpid();
	int status;

	command.pid = has_terminal() ? fork() : vfork();
	if (command.pid < 0) {
		complain("fork", -errno);
		return RUN_FAILED;
	}
	if (command.pid == 0)
		be_child(argv, signals, watched != NULL, parent);
	status = supervise(&command);
	*ret_lost = command.lost;
	return status;
}
