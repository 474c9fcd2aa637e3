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
#include <time.h>
#include <unistd.h>

#define CONFIRM_MS 50
#define FDS_MAX    65536 /* without close_range(2) */

#if defined(SYS_pidfd_open) && defined(SYS_pidfd_send_signal)

static int open_process(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

static void send_signal(int process, int sig)
{
	syscall(SYS_pidfd_send_signal, process, sig, NULL, 0);
}

static int has_ended(int process, int timeout_ms)
{
	struct pollfd fd = { .fd = process, .events = POLLIN };

	return poll(&fd, 1, timeout_ms) > 0;
}

/*
 * The kernel can tell the end of a process that executes a program from another thread than
 * its first; a moment later it does not any more.
 */
static int has_really_ended(int process)
{
	const struct timespec pause = { .tv_nsec = CONFIRM_MS * 1000000L };

	if (!has_ended(process, 0))
		return 0;
	nanosleep(&pause, NULL);
	return has_ended(process, 0);
}

static void close_range_of(unsigned int first, unsigned int last)
{
	unsigned int fd;

#ifdef SYS_close_range
	if (first <= last && syscall(SYS_close_range, first, last, 0) == 0)
		return;
#endif
	for (fd = first; fd <= last && fd < FDS_MAX; fd++)
		close((int)fd);
}

/* Pipes end when nobody has them open any more, and so does the lock. */
static void close_all_but(int a, int b)
{
	unsigned int low = (unsigned int)(a < b ? a : b), high = (unsigned int)(a < b ? b : a);

	close_range_of(0, low - 1);
	close_range_of(low + 1, high - 1);
	close_range_of(high + 1, ~0U);
}

static void __attribute__((__noreturn__)) watch(int command, int tool)
{
	struct pollfd fds[2] = { { .fd = command, .events = POLLIN },
		                 { .fd = tool, .events = POLLIN } };

	setsid();
	if (chdir("/") < 0)
		_exit(1);
	close_all_but(command, tool);
	do {
		poll(fds, 2, -1);
		if (has_really_ended(command))
			_exit(0);
	} while (!has_really_ended(tool));
	send_signal(command, SIGTERM);
	send_signal(command, SIGCONT);
	if (!has_ended(command, COMMAND_GRACE_MS))
		send_signal(command, SIGKILL);
	_exit(0);
}

/* Returns its PID; -1: there is none, for want of pidfds for example. */
pid_t start_watcher(pid_t command_pid)
{
	int command = open_process(command_pid);
	int tool = open_process(getpid());
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
