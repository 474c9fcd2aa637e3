/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The watcher of -k: a process that ends the command if somebody kills us
 *
 * The kernel sends SIGTERM to the command when we die (PR_SET_PDEATHSIG), but a command may
 * ignore that.  The watcher then sends SIGTERM, SIGCONT, and SIGKILL after a time.  It knows
 * both of us by pidfds, so that no PID can be reused under it.  It is in a session of its
 * own and has all signals blocked, so that only SIGKILL ends it: who kills the watcher as
 * well, first, leaves the command with SIGTERM alone.
 */
#include <config.h>

#include "tool.h"

#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef SYS_pidfd_send_signal

static void send_signal(int process, int sig)
{
	syscall(SYS_pidfd_send_signal, process, sig, NULL, 0);
}

static void __attribute__((__noreturn__)) watch(int command, int tool)
{
	struct pollfd fds[2] = { { .fd = command, .events = POLLIN },
		                 { .fd = tool, .events = POLLIN } };

	setsid();
	if (chdir("/") < 0)
		_exit(1);
	close_all_but(command, tool, -1);
	do {
		poll(fds, 2, -1);
		if (process_has_really_ended(command))
			_exit(0);
	} while (!process_has_really_ended(tool));
	send_signal(command, SIGTERM);
	send_signal(command, SIGCONT);
	if (!process_has_ended(command, COMMAND_GRACE_MS))
		send_signal(command, SIGKILL);
	_exit(0);
}

/* Returns its PID; -1: there is none, for want of pidfds for example. */
pid_t start_watcher(pid_t command_pid)
{
	int command = process_open(command_pid);
	int tool = process_open(getpid());
	pid_t pid = command < 0 || tool < 0 ? -1 : fork();

	if (pid == 0)
		watch(command, tool);
	if (command >= 0)
		close(command);
	if (tool >= 0)
		close(tool);
	return pid;
}

#else

pid_t start_watcher(pid_t command_pid)
{
	(void)command_pid;
	return -1;
}

#endif
