/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Waiting is a loop of attempts in line (queue.c).  One comes right after the
 * line was joined, since a release before that woke nobody.
 *
 * A process that releases the lock and wants it again at once would have it
 * before the waiter that it woke has opened its eyes, every time.  So who has
 * just seen others in line goes to its end, and lets a turn pass before its
 * first attempt.  If nobody takes that turn, they are stopped, or slow, and are
 * not waited for again for a while.
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

#define NS_PER_MS 1000000

/* How long others are let go first, in line and before an attempt that must not wait. */
#define TURN_MS      10
#define TURN_TRY_MS  5
#define TURN_LOOK_NS (100 * 1000L)

/* Who comes back later than this is not the one that takes everybody's turn, */
#define TURN_RECENT_NS (50 * (int64_t)NS_PER_MS)
/* and so long nobody is let go first after nobody went. */
#define TURN_PAUSE_NS (1000 * (int64_t)NS_PER_MS)

static bool owes_turn(const struct lockfile_pid *lock)
{
	int64_t now;

	if (lock->turn_owed_ns == 0)
		return false;
	now = sys_clock_ns(CLOCK_MONOTONIC);
	return now - lock->turn_owed_ns < TURN_RECENT_NS && now >= lock->no_turn_before_ns;
}

/* After a turn was offered: was it taken? */
static void settle_turn(struct lockfile_pid *lock, bool taken)
{
	lock->turn_owed_ns = 0;
	lock->turn_given_ns = 0;
	if (!taken)
		lock->no_turn_before_ns = sys_clock_ns(CLOCK_MONOTONIC) + TURN_PAUSE_NS;
}

int wait_try(struct lockfile_pid *lock)
{
	struct awaited holder;
	struct stat st;
	bool taken = false;

	if (owes_turn(lock)) {
		int64_t end = sys_clock_ns(CLOCK_MONOTONIC) + TURN_TRY_MS * NS_PER_MS;

		while (!taken && sys_clock_ns(CLOCK_MONOTONIC) < end) {
			sys_sleep_ns(TURN_LOOK_NS);
			taken = sys_fstatat(AT_FDCWD, lock->path.full, &st) == 0;
		}
		settle_turn(lock, taken);
	}
	return lock_acquire(lock, &holder);
}

/* In line: the first sleep is for those before us. */
static bool give_turn(struct lockfile_pid *lock)
{
	if (!queue_has_others(&lock->queue)) {
		settle_turn(lock, true);
		return false;
	}
	lock->turn_given_ns = sys_clock_ns(CLOCK_MONOTONIC);
	queue_pause(&lock->queue, TURN_MS);
	return true;
}

/* The attempt before the line; BUSY where a turn is owed instead. */
static int first_attempt(struct lockfile_pid *lock, bool *ret_owes)
{
	struct awaited holder;

	*ret_owes = owes_turn(lock);
	return *ret_owes ? LOCKFILE_PID_ERR_BUSY : lock_acquire(lock, &holder);
}

/* With the lock, or without it for this reason. */
static void leave(struct lockfile_pid *lock, int r)
{
	queue_leave(&lock->queue, &lock->path, r < 0);
	if (r < 0)
		lock_drop(lock);
}

static int attempt(struct lockfile_pid *lock)
{
	struct awaited holder;
	int r = lock_acquire_in(lock, lock->queue.dir.fd, &holder);

	if (lock->turn_given_ns != 0) {
		int64_t given = sys_clock_ns(CLOCK_MONOTONIC) - lock->turn_given_ns;

		settle_turn(lock, r != 0 || given < TURN_MS * NS_PER_MS);
	}
	if (r != LOCKFILE_PID_ERR_BUSY) {
		leave(lock, r);
		return r;
	}
	queue_watch(&lock->queue, &holder);
	if (lock->queue.first)
		lock_prepare(lock, lock->queue.dir.fd);
	return LOCKFILE_PID_ERR_BUSY;
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
	if (!woken && lock->turn_given_ns == 0 && queue_defers(&lock->queue, &lock->path)) {
		queue_pause(&lock->queue, TURN_MS);
		return LOCKFILE_PID_ERR_BUSY;
	}
	return attempt(lock);
}

static int join(struct lockfile_pid *lock, bool owes, bool with_timer)
{
	int r = queue_join(&lock->queue, &lock->path, with_timer);

	if (r < 0)
		return r;
	return owes && give_turn(lock) ? LOCKFILE_PID_ERR_BUSY : attempt(lock);
}

int wait_begin(struct lockfile_pid *lock)
{
	bool owes;
	int r = first_attempt(lock, &owes);

	return r == LOCKFILE_PID_ERR_BUSY ? join(lock, owes, true) : r;
}

void wait_cancel(struct lockfile_pid *lock)
{
	lock->turn_given_ns = 0;
	leave(lock, LOCKFILE_PID_ERR_BUSY);
}

/* A sleeper, and how its caller shall be left. */
struct sleeper {
	struct lockfile_pid *lock;
	sigset_t mask;
	bool has_handlers;
	int cancel_state;
};

static void cancel(void *argument)
{
	struct sleeper *sleeper = argument;

	wait_cancel(sleeper->lock);
	sys_restore_signals(&sleeper->mask);
}

static int sleep_in_line(struct sleeper *sleeper, int timeout_ms)
{
	int r, state;

	pthread_cleanup_push(cancel, sleeper);
	pthread_setcancelstate(sleeper->cancel_state, &state);
	r = queue_sleep(&sleeper->lock->queue, timeout_ms, &sleeper->mask, sleeper->has_handlers);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	pthread_cleanup_pop(0);
	return r;
}

/* In milliseconds, rounded up: a wait must not end early. */
static int time_left(int64_t deadline_ns)
{
	int64_t left = deadline_ns - sys_clock_ns(CLOCK_MONOTONIC);

	return left <= 0 ? 0 : (int)((left + NS_PER_MS - 1) / NS_PER_MS);
}

/*
 * Until the lock is ours, or the time is over; then comes an attempt, whoever is
 * first and however late it is.
 */
static int wait_in_line(struct sleeper *sleeper, bool owes, int timeout_ms, int64_t deadline)
{
	struct lockfile_pid *lock = sleeper->lock;
	int r = join(lock, owes, false);

	while (r == LOCKFILE_PID_ERR_BUSY) {
		int left = timeout_ms < 0 ? INT_MAX : time_left(deadline);
		int pause = lock->queue.pause_ms;

		r = left == 0 ? 1 : sleep_in_line(sleeper, pause < left ? pause : left);
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

/*
 * Signals are let in only while we sleep.  A handler that ran just before would
 * not interrupt the sleep.
 */
int wait_for(struct lockfile_pid *lock, int timeout_ms, int cancel_state)
{
	int64_t deadline = sys_clock_ns(CLOCK_MONOTONIC) + (int64_t)timeout_ms * NS_PER_MS;
	struct sleeper sleeper = { .lock = lock, .cancel_state = cancel_state };
	bool owes;
	int r = first_attempt(lock, &owes);

	if (r != LOCKFILE_PID_ERR_BUSY)
		return r;
	sleeper.has_handlers = sys_has_signal_handlers();
	sys_block_signals(&sleeper.mask);
	r = wait_in_line(&sleeper, owes, timeout_ms, deadline);
	sys_restore_signals(&sleeper.mask);
	return r;
}
