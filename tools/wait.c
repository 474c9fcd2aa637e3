/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The wait for the lock: in line, as an event loop would, so that we keep our
 * place while we look who holds the lock now, and tell.
 *
 * We sleep on the library's descriptor by epoll_wait(2), not poll(2).  For each
 * release that wakes one, the first in line; of those that poll it wakes all, and
 * any of them may be the quickest.
 */
#include <config.h>

#include "tool.h"

#include <limits.h>
#include <lockfile-pid.h>
#include <stdio.h>
#include <sys/epoll.h>

#define LOOK_MS  1000
#define FIRST_MS 1000
#define AGAIN_MS 5000 /* and then at twice the time, each time */

/* Times are from the start; FOR_EVER: never. */
struct wait {
	struct lockfile_pid *lock;
	long long start;
	long long end;
	long long look; /* at the holder, who may be another */
	long long due;  /* of the next message */
	int said;
	pid_t holder; /* as last said */
};

static long long elapsed(const struct wait *wait)
{
	return now_ms() - wait->start;
}

static long long sooner(long long a, long long b)
{
	if (a == FOR_EVER || b == FOR_EVER)
		return a == FOR_EVER ? b : a;
	return a < b ? a : b;
}

static int is_due(const struct wait *wait, long long time)
{
	return time != FOR_EVER && elapsed(wait) >= time;
}

static void say(struct wait *wait)
{
	char holder[HOLDER_TEXT_SIZE];
	long long ms = elapsed(wait);
	pid_t pid;
	int due = ms >= wait->due;

	while (ms >= wait->due)
		wait->due = wait->due < AGAIN_MS ? AGAIN_MS : wait->due * 2;
	wait->look = sooner(ms + LOOK_MS, wait->due);
	if (lockfile_pid_check(wait->lock, &pid) != LOCKFILE_PID_ERR_BUSY)
		return; /* nobody to name: we shall have it in a moment */
	if (!due && !(wait->said && pid != wait->holder))
		return;
	fprintf(stderr, "waiting for %s: held by %s, %lld s\n", lockfile_pid_path(wait->lock),
	        holder_text(pid, holder), ms / 1000);
	wait->said = 1;
	wait->holder = pid;
}

/* In milliseconds as epoll_wait(2) has them. */
static int until(const struct wait *wait, long long time)
{
	long long left = time - elapsed(wait);

	if (time == FOR_EVER)
		return -1;
	return left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

/* Signals are let in only while we sleep: one that came just before would not wake us. */
static void sleep_in_line(const struct wait *wait)
{
	struct epoll_event event;
	sigset_t all, before;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	if (!signals_caught())
		epoll_pwait(lockfile_pid_wait_fd(wait->lock), &event, 1,
		            until(wait, sooner(wait->look, wait->end)), &before);
	sigprocmask(SIG_SETMASK, &before, NULL);
}

/* Returns what the library does; BUSY means that the time is over, or a signal was caught. */
int wait_for_lock(struct lockfile_pid *lock, long long timeout_ms, enum report report)
{
	struct wait wait = { .lock = lock, .start = now_ms(), .end = timeout_ms };
	int r;

	if (timeout_ms == 0)
		return lockfile_pid_trylock(lock);
	wait.due = report == REPORT_LATER ? FIRST_MS : 0;
	wait.look = report == REPORT_NOTHING ? FOR_EVER : wait.due;
	r = lockfile_pid_wait_begin(lock);
	while (r == LOCKFILE_PID_ERR_BUSY) {
		if (is_due(&wait, wait.look))
			say(&wait);
		if (signals_caught() || is_due(&wait, wait.end)) {
			r = lockfile_pid_wait_cancel(lock);
			return r < 0 ? r : LOCKFILE_PID_ERR_BUSY;
		}
		sleep_in_line(&wait);
		r = lockfile_pid_wait_continue(lock);
	}
	return r;
}
