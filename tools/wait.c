/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The wait for the lock: in the wait queue, as an event loop would, so that we keep
 * our place while we look who holds the lock now, and tell.
 *
 * We sleep on the library's descriptor by epoll_wait(2), not poll(2).  For each
 * release that wakes one, the first in line; of those that poll it wakes all, and
 * any of them may be the quickest.
 */
#include <config.h>

#include "tool.h"

#include <errno.h>
#include <limits.h>
#include <lockfile-pid.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

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
	const char *path = lockfile_pid_path(wait->lock);
	size_t used = strlen("waiting for : held by , 1234567 s") + strlen(path);
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
	fprintf(stderr, "waiting for %s: held by %s%s, %lld s\n", path,
	        holder_text(path, pid, STDERR_FILENO, used, holder),
	        is_ancestor(pid) ? ", an ancestor" : "", ms / 1000);
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

/* Unasked, a message is for somebody who looks on. */
enum report report_kind(int verbose)
{
	if (verbose)
		return REPORT_AT_ONCE;
	return isatty(STDERR_FILENO) ? REPORT_LATER : REPORT_NOTHING;
}

/* The one that is to end us, after a message if one is due, which may block. */
static int next_signal(struct wait *wait, const struct signals *signals)
{
	signals_admit(signals);
	if (is_due(wait, wait->look))
		say(wait);
	signals_shut_out();
	return signals_caught();
}

/* Until the library gives another result than BUSY, or the time is over, or a signal came. */
static int wait_in_queue(struct wait *wait, const struct signals *signals, int *ret_signal)
{
	int r = LOCKFILE_PID_ERR_BUSY;

	while (r == LOCKFILE_PID_ERR_BUSY) {
		*ret_signal = next_signal(wait, signals);
		if (*ret_signal || is_due(wait, wait->end)) {
			r = lockfile_pid_wait_cancel(wait->lock);
			return r < 0 ? r : LOCKFILE_PID_ERR_BUSY;
		}
		signals_sleep(signals, lockfile_pid_wait_fd(wait->lock),
		              until(wait, sooner(wait->look, wait->end)));
		r = lockfile_pid_wait_continue(wait->lock);
	}
	wait->look = FOR_EVER;
	*ret_signal = next_signal(wait, signals);
	return r;
}

/*
 * Signals are held, before and after.  Returns what the library does; BUSY means that the
 * time is over.  A signal that is to end us (*ret_signal) counts more than the result.
 * -EDEADLK: without a limit, we would wait for a process that perhaps waits for us.
 */
int wait_for_lock(struct lockfile_pid *lock, const struct patience *patience,
                  const struct signals *signals, int *ret_signal)
{
	struct wait wait = { .lock = lock, .start = now_ms(), .end = patience->timeout_ms };
	enum report report;
	int r;

	if (patience->timeout_ms == 0)
		return lockfile_pid_trylock(lock);
	r = lockfile_pid_wait_begin(lock);
	if (r != LOCKFILE_PID_ERR_BUSY)
		return r;
	if (patience->timeout_ms == FOR_EVER && !patience->for_ancestors &&
	    is_ancestor(lockfile_pid_holder(lock))) {
		r = lockfile_pid_wait_cancel(lock);
		return r < 0 ? r : -EDEADLK;
	}
	report = report_kind(patience->verbose);
	wait.due = report == REPORT_LATER ? FIRST_MS : 0;
	wait.look = report == REPORT_NOTHING ? FOR_EVER : wait.due;
	signals_catch();
	r = wait_in_queue(&wait, signals, ret_signal);
	signals_uncatch();
	return r;
}
