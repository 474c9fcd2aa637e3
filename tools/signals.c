/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Signals that ask to end
 *
 *	signals_catch()		while the lock is waited for they interrupt the sleep, so
 *				that we leave the line in good order, and end the tool
 *	signals_hold()		from here on they are blocked: signals_next() gets each of
 *				them, none is lost between the lock and the command
 *	signals_release()	in the process that becomes the command: as we found it
 */
#include <config.h>

#include "tool.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

/* SIGALRM is here because an alarm set before exec is one for the command. */
static const int ending[SIGNALS_ENDING] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGALRM };

static volatile sig_atomic_t caught;

static void on_ending(int sig)
{
	if (!caught)
		caught = sig;
}

/* Without SA_RESTART.  What we were told to ignore (nohup) stays ignored. */
void signals_catch(struct signals *signals)
{
	struct sigaction action = { .sa_handler = on_ending };
	int i;

	sigfillset(&action.sa_mask);
	for (i = 0; i < SIGNALS_ENDING; i++) {
		sigaction(ending[i], NULL, &signals->ending[i]);
		if (signals->ending[i].sa_handler != SIG_IGN)
			sigaction(ending[i], &action, NULL);
	}
}

int signals_caught(void)
{
	return caught;
}

static void held_set(sigset_t *set)
{
	int i;

	sigemptyset(set);
	sigaddset(set, SIGCHLD);
	sigaddset(set, SIGCONT);
	for (i = 0; i < SIGNALS_ENDING; i++)
		sigaddset(set, ending[i]);
}

/* SIGCHLD ignored by who started us would leave no exit status to wait for. */
void signals_hold(struct signals *signals)
{
	struct sigaction by_default = { .sa_handler = SIG_DFL };
	sigset_t set;
	int i;

	held_set(&set);
	sigaddset(&set, SIGPIPE); /* a message that nobody reads is no reason to leave the lock */
	sigprocmask(SIG_BLOCK, &set, &signals->mask);
	for (i = 0; i < SIGNALS_ENDING; i++)
		sigaction(ending[i], &signals->ending[i], NULL);
	sigaction(SIGCHLD, &by_default, &signals->child);
}

void signals_release(const struct signals *signals)
{
	sigaction(SIGCHLD, &signals->child, NULL);
	sigprocmask(SIG_SETMASK, &signals->mask, NULL);
}

/* The next of the held signals; 0 when there was none in time.  A negative time-out: for ever. */
int signals_next(siginfo_t *ret_info, long long timeout_ms)
{
	struct timespec timeout = { .tv_sec = (time_t)(timeout_ms / 1000),
		                    .tv_nsec = (long)(timeout_ms % 1000) * 1000000 };
	sigset_t set;
	int sig;

	held_set(&set);
	sig = sigtimedwait(&set, ret_info, timeout_ms < 0 ? NULL : &timeout);
	return sig < 0 ? 0 : sig;
}

/* Our parent is to see what ended us. */
void signals_die(int sig)
{
	struct sigaction by_default = { .sa_handler = SIG_DFL };
	sigset_t set;

	sigaction(sig, &by_default, NULL);
	raise(sig);
	sigemptyset(&set);
	sigaddset(&set, sig);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	_exit(RUN_SIGNALLED + sig);
}
