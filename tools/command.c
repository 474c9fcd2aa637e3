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
	pid_t watcher;   /* -1: none */
	int descendants; /* the lock is for them, too */
	int has_ended;   /* the command itself, whose PID may be another's by now */
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
 * What the terminal sends goes to every process of the foreground group, to the command
 * as well, and twice would be once too often: many programs take a second Ctrl-C as
 * "immediately".  The hang-up of the terminal, though, is sent to the leader of the
 * session alone.
 */
static int has_it_already(pid_t pid, const siginfo_t *info)
{
	if (info->si_code != SI_KERNEL || getpgid(pid) != getpgrp())
		return 0;
	switch (info->si_signo) {
	case SIGHUP:
	case SIGCONT: /* follows the hang-up */
		return getsid(0) != getpid();
	case SIGINT:
	case SIGQUIT:
	case SIGTSTP:
	case SIGTTIN:
	case SIGTTOU:
	case SIGWINCH:
		return 1;
	default:
		return 0;
	}
}

/* With the value that sigqueue(3) gave it; whether there was one, the receiver can tell. */
static void pass_on(pid_t pid, const void *argument)
{
	const siginfo_t *info = argument;

	if (has_it_already(pid, info))
		return;
	if (info->si_code == SI_QUEUE)
		sigqueue(pid, info->si_signo, info->si_value);
	else
		kill(pid, info->si_signo);
}

/* When the command has ended, to what it has left that is our child by now. */
static void pass_on_to_all(const struct command *command, const siginfo_t *info)
{
	if (command->has_ended)
		for_each_child(pass_on, info);
	else
		pass_on(command->pid, info);
}

static void send(const struct command *command, int sig)
{
	const siginfo_t info = { .si_signo = sig, .si_code = SI_USER };

	pass_on_to_all(command, &info);
}

/* Would a key of the terminal reach us? */
static int is_in_foreground(void)
{
	int fd = open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC);
	int is = fd >= 0 && tcgetpgrp(fd) == getpgrp();

	if (fd >= 0)
		close(fd);
	return is;
}

/*
 * The command was stopped.  If that came from the terminal, the shell that started us
 * waits for us to stop as well.  SIGSTOP is sent by somebody who can continue the command
 * alone, and then we must not sleep: we would not notice its end.  But in the foreground
 * the terminal would be of no use until we stop.
 */
static void stop_as_well(int sig)
{
	if (sig == SIGTSTP || sig == SIGTTIN || sig == SIGTTOU)
		signals_stop(sig);
	else if (is_in_foreground())
		signals_stop(SIGTSTP);
}

static void note_end(struct command *command, int status, struct end *ret_end)
{
	command->has_ended = 1;
	ret_end->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	ret_end->status = WEXITSTATUS(status);
	/* it is our child until it was waited for, so that its PID is no other's */
	if (command->watcher > 0)
		kill(command->watcher, SIGKILL);
}

/*
 * Waits for each child that has news: for the command, and for orphans, which are ours if
 * we are process 1 or a subreaper.  Returns whether there is nothing more to wait for.
 */
static int has_ended(struct command *command, struct end *ret_end)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0) {
		if (pid != command->pid || command->has_ended)
			continue;
		if (WIFSTOPPED(status))
			stop_as_well(WSTOPSIG(status));
		else
			note_end(command, status, ret_end);
		if (command->has_ended && !command->descendants)
			return 1;
	}
	if (pid < 0 && !command->has_ended)
		ret_end->status = RUN_FAILED;
	return pid < 0;
}

/* A lock of which we just cannot tell, for want of a descriptor say, is not lost. */
static void watch(struct command *command)
{
	long long now = now_ms();

	if (command->due < 0 || now < command->due)
		return;
	if (command->lost) {
		send(command, SIGKILL);
		/* descendants can leave orphans, which are our children then */
		command->due = command->has_ended ? now + COMMAND_LOOK_MS : FOR_EVER;
	} else if (lockfile_pid_verify(command->watched) == LOCKFILE_PID_ERR_ROGUE_DELETION) {
		fprintf(stderr, "lockfile-pid: %s: the lock is lost, ending the command\n",
		        lockfile_pid_path(command->watched));
		send(command, SIGTERM);
		send(command, SIGCONT); /* a stopped one would not notice */
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

static void supervise(struct command *command, struct end *ret_end)
{
	siginfo_t info;
	int sig;

	for (;;) {
		sig = signals_next(&info, until(command->due));
		if (sig == SIGCHLD && has_ended(command, ret_end))
			return;
		if (sig != 0 && sig != SIGCHLD)
			pass_on_to_all(command, &info);
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
                int descendants, struct end *ret_end)
{
	struct command command = { .watched = watched, .due = FOR_EVER, .watcher = -1 };
	pid_t parent = getpid();

	command.descendants = descendants;
	/* orphans of the command become our children, and not those of process 1 */
	if (descendants && prctl(PR_SET_CHILD_SUBREAPER, 1) < 0) {
		complain("subreaper", -errno);
		return -1;
	}
	command.pid = has_terminal() ? fork() : vfork();
	if (command.pid < 0) {
		complain("fork", -errno);
		return -1;
	}
	if (command.pid == 0)
		be_child(argv, signals, watched != NULL, parent);
	if (watched) {
		command.due = 0;
		command.watcher = start_watcher(command.pid);
	}
	supervise(&command, ret_end);
	ret_end->lost = command.lost;
	return 0;
}
