/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Waiting is a loop of attempts in line (queue.c).  One comes right after the
 * line was joined, since a release before that woke nobody.
 *
 * Yielding
 * --------
 * A process that releases the lock and wants it again immediately would acquire it
 * before the waiter that it woke runs, every time.  So a handle that released the lock
 * while others waited owes them a yield: it goes to the end of the wait queue, and
 * makes no attempt until 10 ms have passed since the release.
 *
 * A waiter may need longer: an event loop that does something else first, a process
 * that gets little of the processor, one that is stopped.  After a yield that nobody
 * took the next one is twice as long, up to a second, so that a slow waiter gets the
 * lock in the end; and it comes no earlier than ten times its length later, so that
 * waiters which are stopped cost a busy process at most a tenth of its time.  A
 * yield is looked at after 10 ms, 20 ms, 40 ms..., and the one after it is as long as
 * this one took: so a waiter of 30 ms gets its turn each time.
 *
 * Signals
 * -------
 * As POSIX has it for blocking locks, a wait ends (-EINTR) only by a signal whose
 * handler was installed without SA_RESTART.  epoll_wait(2) does not tell: it ends by
 * any handler, and by SIGSTOP and SIGCONT too.  All signals are blocked but while we
 * sleep, or a handler that ran just before would not end the sleep.
 *
 * - Only handlers with SA_RESTART, or none: we sleep again, in our place.
 * - Only handlers without: the wait ends.  That the process was stopped and goes on
 *   looks the same, and ends it, too.
 * - Both: the signals with SA_RESTART stay blocked, and a signalfd(2) ends our sleep
 *   when one of them is pending; then their handlers are let run.  The others are
 *   not blocked, so that the kernel delivers them to this thread as if we were not
 *   there (it prefers the first thread of a process).
 */

/*
 * With -fexceptions, glibc's pthread_cleanup_push() is a variable with a clean-up
 * attribute, and the library would need libgcc_s.  Without this macro it registers the
 * handler by a call, as it does without -fexceptions.  Cancellation runs both kinds.
 */
#undef __EXCEPTIONS

#include <config.h>

#include "wait.h"

#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <time.h>

#define NS_PER_MS INT64_C(1000000)

#define YIELD_MIN_NS   (10 * NS_PER_MS)
#define YIELD_MAX_NS   (1000 * NS_PER_MS)
#define YIELDS_MAX     7  /* missed ones, until the next is of the longest */
#define YIELD_INTERVAL 10 /* times the length of one that was missed */
#define DEFER_MS       10

/* The first look of a yield is after length_ns(0), and its last after length_ns(missed). */
static int64_t length_ns(int step)
{
	int64_t length = YIELD_MIN_NS << step;

	return length < YIELD_MAX_NS ? length : YIELD_MAX_NS;
}

static int64_t since_release_ns(const struct yield *yield)
{
	return sys_clock_ns(CLOCK_MONOTONIC) - yield->since_ns;
}

/* Is one owed, and not over? */
static bool must_yield(const struct yield *yield)
{
	return yield->since_ns != 0 && since_release_ns(yield) < length_ns(yield->missed) &&
	       sys_clock_ns(CLOCK_MONOTONIC) >= yield->not_before_ns;
}

/* Somebody else acquired the lock, after so long. */
static void end_taken_yield(struct yield *yield, int64_t after_ns)
{
	int step = 0;

	while (step < YIELDS_MAX && length_ns(step + 1) <= after_ns)
		step++;
	*yield = (struct yield){ .missed = step };
}

/* Nobody did.  rests: it cost us time. */
static void end_missed_yield(struct yield *yield, bool rests)
{
	if (rests)
		yield->not_before_ns =
			sys_clock_ns(CLOCK_MONOTONIC) + YIELD_INTERVAL * length_ns(yield->missed);
	if (yield->missed < YIELDS_MAX)
		yield->missed++;
}

/* An attempt, of this result, that may have been one after a yield. */
static void end_yield(struct yield *yield, int r)
{
	int64_t after_ns;

	if (yield->since_ns == 0)
		return;
	after_ns = since_release_ns(yield);
	if (r != 0)
		end_taken_yield(yield, after_ns);
	else if (yield->is_on && after_ns >= length_ns(yield->missed))
		end_missed_yield(yield, true);
	/* what passed anyway between release and attempt was not enough */
	else if (!yield->is_on && after_ns >= length_ns(yield->missed) && after_ns < YIELD_MAX_NS)
		end_missed_yield(yield, false);
	yield->since_ns = 0;
	yield->is_on = false;
}

static int to_ms(int64_t ns)
{
	return (int)((ns + NS_PER_MS - 1) / NS_PER_MS);
}

/* Until the next look; false: the yield is over. */
static bool pause_for_yield(struct lockfile_pid *lock)
{
	int64_t passed = since_release_ns(&lock->yield);
	int step = 0;

	while (step < lock->yield.missed && length_ns(step) <= passed)
		step++;
	if (passed >= length_ns(step))
		return false;
	queue_pause(&lock->queue, to_ms(length_ns(step) - passed));
	return true;
}

/* In the wait queue.  Does somebody wait to whom we can yield? */
static bool begin_yield(struct lockfile_pid *lock)
{
	if (!queue_has_others(&lock->queue))
		lock->yield = (struct yield){ 0 };
	lock->yield.is_on = lock->yield.since_ns != 0 && pause_for_yield(lock);
	return lock->yield.is_on;
}

/* The attempt before the wait queue; BUSY where a yield is owed instead. */
static int first_attempt(struct lockfile_pid *lock, bool *ret_yields)
{
	struct awaited holder;
	int r;

	*ret_yields = must_yield(&lock->yield);
	if (*ret_yields) {
		/* whom an earlier attempt found is not whom we yield to */
		lock->found = 0;
		return LOCKFILE_PID_ERR_BUSY;
	}
	r = lock_acquire(lock, &holder);
	end_yield(&lock->yield, r);
	return r;
}

/* With the lock, or without it for this reason. */
static void leave(struct lockfile_pid *lock, int r)
{
	if (r < 0) {
		queue_leave(&lock->queue, &lock->path, true);
		lock_drop(lock);
	} else {
		queue_leave_served(&lock->queue, &lock->path, &lock->dir);
		lock_share(lock);
	}
}

static int attempt(struct lockfile_pid *lock)
{
	struct awaited holder;
	int r = lock_acquire_in(lock, lock->queue.dir.fd, &holder);

	end_yield(&lock->yield, r);
	if (r != LOCKFILE_PID_ERR_BUSY) {
		leave(lock, r);
		return r;
	}
	queue_watch(&lock->queue, &holder);
	if (lock->queue.first)
		lock_prepare(lock, lock->queue.dir.fd);
	return LOCKFILE_PID_ERR_BUSY;
}

/* The yield is not over, and nobody has taken it yet. */
static bool goes_on_yielding(struct lockfile_pid *lock)
{
	struct stat st;

	return lock->yield.is_on &&
	       sys_fstatat(lock->queue.dir.fd, lock->path.name, &st) == -ENOENT &&
	       pause_for_yield(lock);
}

int wait_continue(struct lockfile_pid *lock, bool woken)
{
	int r = queue_follow(&lock->queue, &lock->path, !woken);

	if (r < 0) {
		leave(lock, r);
		return r;
	}
	/* a look once a second is to cost next to nothing */
	if (!woken && queue_sees_no_change(&lock->queue, &lock->path)) {
		queue_pause(&lock->queue, lock->queue.pause_ms);
		return LOCKFILE_PID_ERR_BUSY;
	}
	if (!woken && goes_on_yielding(lock))
		return LOCKFILE_PID_ERR_BUSY;
	if (!woken && !lock->yield.is_on && queue_defers(&lock->queue, &lock->path)) {
		queue_pause(&lock->queue, DEFER_MS);
		return LOCKFILE_PID_ERR_BUSY;
	}
	return attempt(lock);
}

/*
 * In a directory where we may make no file the wait would end, with the holder, in this
 * error: it is better known now.  EPERM does not count, since a filter of system calls may
 * refuse the question alone.
 */
static int find_obstacle(const struct lockfile_pid *lock)
{
	int r = sys_may_write(lock->queue.dir.fd);

	return r == -EACCES || r == -EROFS ? r : LOCKFILE_PID_ERR_BUSY;
}

static int join(struct lockfile_pid *lock, bool yields, bool with_timer)
{
	int r = queue_join(&lock->queue, &lock->path, lock->file.owner, with_timer);

	if (r < 0)
		return r;
	if (yields && begin_yield(lock))
		return LOCKFILE_PID_ERR_BUSY;
	r = attempt(lock);
	if (r != LOCKFILE_PID_ERR_BUSY)
		return r;
	r = find_obstacle(lock);
	if (r != LOCKFILE_PID_ERR_BUSY)
		leave(lock, r);
	return r;
}

int wait_begin(struct lockfile_pid *lock)
{
	bool yields;
	int r = first_attempt(lock, &yields);

	return r == LOCKFILE_PID_ERR_BUSY ? join(lock, yields, true) : r;
}

void wait_cancel(struct lockfile_pid *lock)
{
	lock->yield.is_on = false;
	leave(lock, LOCKFILE_PID_ERR_BUSY);
}

/* A sleeper, and how its caller shall be left. */
struct sleeper {
	struct lockfile_pid *lock;
	sigset_t mask;       /* the caller's, */
	sigset_t sleep_mask; /* and that we sleep with */
	bool is_interruptible;
	bool has_both; /* kinds of handlers; these are of the signals that restart: */
	sigset_t restarting;
	int cancel_state;
};

static void cancel(void *argument)
{
	struct sleeper *sleeper = argument;

	wait_cancel(sleeper->lock);
	sys_restore_signals(&sleeper->mask);
}

static int sleep_in_queue(struct sleeper *sleeper, int timeout_ms)
{
	int r, state;

	pthread_cleanup_push(cancel, sleeper);
	pthread_setcancelstate(sleeper->cancel_state, &state);
	r = queue_sleep(&sleeper->lock->queue, timeout_ms, &sleeper->sleep_mask,
	                &sleeper->restarting);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	pthread_cleanup_pop(0);
	/* a handler may have been installed meanwhile, or be gone when it has run */
	if (r == -EINTR && !sleeper->is_interruptible &&
	    !sys_has_interrupting_handlers(&sleeper->mask))
		r = 0;
	return r;
}

/* In milliseconds, rounded up: a wait must not end early. */
static int time_left(int64_t deadline_ns)
{
	int64_t left = deadline_ns - sys_clock_ns(CLOCK_MONOTONIC);

	return left <= 0 ? 0 : to_ms(left);
}

/*
 * Until the lock is ours, or the time is over; then comes an attempt, whoever is
 * first and however late it is.
 */
static int wait_in_queue(struct sleeper *sleeper, int r, int timeout_ms, int64_t deadline)
{
	struct lockfile_pid *lock = sleeper->lock;

	while (r == LOCKFILE_PID_ERR_BUSY) {
		int left = timeout_ms < 0 ? INT_MAX : time_left(deadline);
		int pause = lock->queue.pause_ms;

		r = left == 0 ? 1 : sleep_in_queue(sleeper, pause < left ? pause : left);
		if (r >= 0)
			r = wait_continue(lock, r > 0);
		else
			wait_cancel(lock);
		if (r == LOCKFILE_PID_ERR_BUSY && left == 0) {
			wait_cancel(lock);
			r = -ETIMEDOUT;
		}
	}
	return r;
}

/* Which signals end our sleep, and which the wait? */
static void look_at_handlers(struct sleeper *sleeper)
{
	sleeper->sleep_mask = sleeper->mask;
	sleeper->is_interruptible = sys_has_interrupting_handlers(&sleeper->mask);
	sleeper->has_both = sleeper->is_interruptible &&
	                    sys_has_restarting_handlers(&sleeper->mask, &sleeper->restarting);
	if (sleeper->has_both)
		sigorset(&sleeper->sleep_mask, &sleeper->mask, &sleeper->restarting);
}

static int join_for_sleep(struct sleeper *sleeper, bool yields)
{
	struct lockfile_pid *lock = sleeper->lock;
	int r = join(lock, yields, false);

	/* without a descriptor for them they end the wait */
	if (r == LOCKFILE_PID_ERR_BUSY && sleeper->has_both &&
	    queue_add_signals(&lock->queue, &sleeper->restarting) < 0)
		sleeper->sleep_mask = sleeper->mask;
	return r;
}

int wait_for(struct lockfile_pid *lock, int timeout_ms, int cancel_state)
{
	int64_t deadline = sys_clock_ns(CLOCK_MONOTONIC) + (int64_t)timeout_ms * NS_PER_MS;
	struct sleeper sleeper = { .lock = lock, .cancel_state = cancel_state };
	bool yields;
	int r = first_attempt(lock, &yields);

	if (r != LOCKFILE_PID_ERR_BUSY)
		return r;
	sys_block_signals(&sleeper.mask);
	look_at_handlers(&sleeper);
	r = join_for_sleep(&sleeper, yields);
	r = wait_in_queue(&sleeper, r, timeout_ms, deadline);
	sys_restore_signals(&sleeper.mask);
	return r;
}
