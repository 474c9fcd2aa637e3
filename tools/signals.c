/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The signals that `run` is sent
 *
 * The PID in the lock file is ours, so whoever signals the holder signals us.  No
 * signal may end us while the command runs: the lock would be free.  Therefore all
 * of them are blocked from the start, and each is received and passed on.
 *
 *	signals_hold()		blocks them
 *	signals_catch()		before a wait for the lock: signals that would end us get a
 *				handler
 *	signals_sleep()		sleeps, with the signals admitted
 *	signals_admit()		admits them, to what may block, such as a message
 *	signals_shut_out()	blocks them again
 *	signals_caught()	the one that is to end us
 *	signals_uncatch()	after the wait
 *	signals_next()		while the command runs: the next one
 *	signals_release()	in the process that becomes the command: as we found them
 *
 * A fault of our own (SIGSEGV) ends us all the same: the kernel forces it.
 */
#include <config.h>

#include "tool.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* As the kernel has it, in bytes. */
#define MASK_SIZE (NSIG / 8)

static volatile sig_atomic_t caught;

/* Of those that have our handler; a restored one is not handled any more. */
static struct sigaction actions[NSIG];
static int is_handled[NSIG];

/*
 * sigprocmask(3) leaves out the signals that the C library keeps for its threads, and
 * one of these would end us.  We have no threads.
 */
static void set_mask(const sigset_t *mask, sigset_t *ret_before)
{
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, mask, ret_before, MASK_SIZE);
}

static void fill(sigset_t *set)
{
	memset(set, 0xff, sizeof(*set));
}

/* sigdelset(3) refuses the signals of the C library. */
static void remove_from(sigset_t *set, int sig)
{
	unsigned long words[sizeof(*set) / sizeof(unsigned long)];
	unsigned int bit = (unsigned int)sig - 1;

	memcpy(words, set, sizeof(words));
	words[bit / (8 * sizeof(words[0]))] &= ~(1UL << bit % (8 * sizeof(words[0])));
	memcpy(set, words, sizeof(words));
}

/* SIGCHLD ignored by who started us would leave no exit status to wait for. */
void signals_hold(struct signals *signals)
{
	struct sigaction by_default = { .sa_handler = SIG_DFL };
	sigset_t all;

	fill(&all);
	sigemptyset(&signals->mask);
	set_mask(&all, &signals->mask);
	sigaction(SIGCHLD, &by_default, &signals->child);
}

void signals_release(const struct signals *signals)
{
	if (signals->child.sa_handler == SIG_IGN)
		sigaction(SIGCHLD, &signals->child, NULL);
	set_mask(&signals->mask, NULL);
}

/*
 * Sent by our own write(2): there is no reader, or the file is too large.  That shows in
 * the result of write(2), and is nothing to the command.
 */
static int is_of_our_own(const siginfo_t *info)
{
	return (info->si_signo == SIGPIPE || info->si_signo == SIGXFSZ) &&
	       info->si_code == SI_USER && info->si_pid == getpid();
}

static void on_ending(int sig, siginfo_t *info, void *context)
{
	(void)context;
	if (!caught && !is_of_our_own(info))
		caught = sig;
}

/* Does it end a process that does nothing about it?  SIGKILL does, but cannot be handled. */
static int ends_by_default(int sig)
{
	switch (sig) {
	case SIGCHLD:
	case SIGCONT:
	case SIGURG:
	case SIGWINCH:
	case SIGSTOP:
	case SIGTSTP:
	case SIGTTIN:
	case SIGTTOU:
	case SIGKILL:
		return 0;
	default:
		return 1;
	}
}

/*
 * What we were told to ignore (nohup) stays ignored.  Those that the C library keeps cannot
 * be handled and end us as they are, which is not in good order, but nothing is held yet.
 */
void signals_catch(void)
{
	struct sigaction action = { .sa_sigaction = on_ending, .sa_flags = SA_SIGINFO };
	int sig;

	fill(&action.sa_mask);
	for (sig = 1; sig < NSIG; sig++) {
		if (!ends_by_default(sig) || sigaction(sig, NULL, &actions[sig]) < 0)
			continue;
		if (actions[sig].sa_handler != SIG_IGN)
			is_handled[sig] = sigaction(sig, &action, NULL) == 0;
	}
}

void signals_uncatch(void)
{
	int sig;

	for (sig = 1; sig < NSIG; sig++)
		if (is_handled[sig])
			sigaction(sig, &actions[sig], NULL);
}

/* Until the descriptor of epoll(7) is ready, or the time is over, or a signal came. */
void signals_sleep(const struct signals *signals, int fd, int timeout_ms)
{
	struct epoll_event event;

	epoll_pwait(fd, &event, 1, timeout_ms, &signals->mask);
}

/* Those that came meanwhile, and those that come until they are shut out. */
void signals_admit(const struct signals *signals)
{
	set_mask(&signals->mask, NULL);
}

void signals_shut_out(void)
{
	sigset_t all;

	fill(&all);
	set_mask(&all, NULL);
}

int signals_caught(void)
{
	return caught;
}

/* 0: there was none in time.  A negative timeout: forever. */
int signals_next(siginfo_t *ret_info, long long timeout_ms)
{
	struct timespec timeout = { .tv_sec = (time_t)(timeout_ms / 1000),
		                    .tv_nsec = (long)(timeout_ms % 1000) * 1000000 };
	sigset_t all;
	int sig;

	fill(&all);
	sig = sigtimedwait(&all, ret_info, timeout_ms < 0 ? NULL : &timeout);
	return sig < 0 || is_of_our_own(ret_info) ? 0 : sig;
}

/* For a process that becomes the command: what its own writes have left would end it. */
void signals_drop_own(void)
{
	const struct timespec no_time = { .tv_sec = 0 };
	siginfo_t info;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	sigaddset(&set, SIGXFSZ);
	while (sigtimedwait(&set, &info, &no_time) > 0)
		if (!is_of_our_own(&info)) {
			kill(getpid(), info.si_signo); /* it stays pending */
			return;
		}
}

/* Let in one signal alone, which we send ourselves. */
static void undergo(int sig)
{
	sigset_t others, before;

	kill(getpid(), sig);
	fill(&others);
	remove_from(&others, sig);
	sigemptyset(&before);
	set_mask(&others, &before);
	set_mask(&before, NULL);
}

/*
 * Returns when we were continued.  A SIGCONT that is pending came later than the stop that
 * we follow.  The kernel does not stop a process without job control by these signals.
 */
void signals_stop(int sig)
{
	sigset_t pending;

	if (sigpending(&pending) == 0 && !sigismember(&pending, SIGCONT))
		undergo(sig);
}

/*
 * Our parent is to see what ended us, but no core file of ours beside that of the command:
 * a process that is not "dumpable" writes none, not even for a program that receives cores,
 * which a limit of 0 does not prevent.  Process 1 of a PID namespace survives its own
 * signals, and exits as a shell would.
 */
void signals_die(int sig)
{
	prctl(PR_SET_DUMPABLE, 0);
	signal(sig, SIG_DFL);
	undergo(sig);
	_exit(RUN_SIGNALLED + sig);
}
