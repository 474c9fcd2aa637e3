/* SPDX-License-Identifier: BSD-2-Clause */
/* Nobody starves, and who leaves the line, however, holds up nobody and leaves nothing. */
#include <config.h>

#include "world.h"

#include <errno.h>
#include <limits.h>
#include <lockfile-pid.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

/*
 * A waiter that nothing wakes looks by itself after a second.  Half of it later
 * who could have had a release is asleep only if it went to nobody; how long
 * they take when they are awake is the machine's affair.
 */
#define LOST_AFTER_MS 500
#define LOST_LOOKS    50

/* A tight loop */

TEST(a_tight_loop_does_not_keep_a_waiter_out)
{
	struct holder spinner = holder_start("x.pid"), waiter = holder_start("x.pid");

	holder_ask(&spinner, "spin");
	ck_assert_int_eq(holder_answer(&spinner), 0);
	for (int i = 0; i < 30; i++) {
		ck_assert_int_eq(holder_do(&waiter, "lock"), 0);
		ck_assert_int_eq(holder_do(&waiter, "unlock"), 0);
	}
	holder_ask(&spinner, "check");
	ck_assert_int_gt(holder_answer(&spinner), 0);
	ck_assert_int_eq(holder_answer(&spinner), 0);
	holder_end(&waiter);
	holder_end(&spinner);
}

#define CREW 8

TEST(all_of_many_tight_loops_have_turns_and_so_has_one_who_comes_late)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	struct holder crew[CREW];

	for (int i = 0; i < CREW; i++) {
		crew[i] = holder_start("x.pid");
		holder_ask(&crew[i], "spin");
	}
	for (int i = 0; i < 40; i++) {
		ck_assert_int_eq(lockfile_pid_lock(lock), 0);
		ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	}
	for (int i = 0; i < CREW; i++)
		ck_assert_int_eq(holder_answer(&crew[i]), 0);
	for (int i = 0; i < CREW; i++)
		holder_ask(&crew[i], "verify");
	for (int i = 0; i < CREW; i++) {
		ck_assert_int_gt(holder_answer(&crew[i]), 0);
		ck_assert_int_eq(holder_answer(&crew[i]), LOCKFILE_PID_ERR_ROGUE_DELETION);
	}
	for (int i = 0; i < CREW; i++)
		holder_end(&crew[i]);
	assert_nothing_left();
	lockfile_pid_free(lock);
}

/* Leaving just as the lock is released */

#define TIMEOUT_MS 4

static void nap_us(long us)
{
	struct timespec time = { .tv_nsec = us * 1000 };

	if (us > 0)
		nanosleep(&time, NULL);
}

static void time_out(struct holder *leaver, int64_t start)
{
	(void)leaver;
	nap_us((long)(start + TIMEOUT_MS - now_ms()) * 1000 + rand() % 1000 - 500);
}

static void cancel(struct holder *leaver, int64_t start)
{
	(void)start;
	holder_ask(leaver, "cancel");
	nap_us(rand() % 80);
}

static void interrupt(struct holder *leaver, int64_t start)
{
	(void)start;
	ck_assert_int_eq(kill(leaver->pid, SIGUSR1), 0);
	nap_us(rand() % 80);
}

static const struct leaving {
	const char *begin;
	void (*leave)(struct holder *leaver, int64_t start);
	int rounds;
	int result;   /* besides 0 */
	bool in_line; /* known to be there by its answer */
} leavings[] = {
	{ "timedlock 4", time_out, 1000, -ETIMEDOUT, false },
	{ "begin", cancel, 500, 0, true },
	{ "lock", interrupt, 500, -EINTR, false },
};

static void unlock_if_had(const struct leaving *how, struct holder *leaver, int r)
{
	if (how->in_line)
		return;
	ck_assert(r == 0 || r == how->result);
	if (r == 0)
		ck_assert_int_eq(holder_do(leaver, "unlock"), 0);
}

/* Both, for longer than between two steps of what they do. */
static bool are_asleep(const struct holder *one, const struct holder *other)
{
	for (int i = 0; i < LOST_LOOKS; i++) {
		if (process_state(one->pid) != 'S' || process_state(other->pid) != 'S' ||
		    has_answer(one) || has_answer(other))
			return false;
		nap_us(1000);
	}
	return true;
}

/* Did it look by itself? */
static bool had_to_look(const struct leaving *how, struct holder *leaver, struct holder *stayer)
{
	struct pollfd answers[] = { { .fd = stayer->from, .events = POLLIN },
		                    { .fd = leaver->from, .events = POLLIN } };
	bool lost = false;

	for (;;) {
		if (poll(answers, 2, LOST_AFTER_MS) == 0)
			lost = lost || are_asleep(leaver, stayer);
		if (answers[1].revents) {
			unlock_if_had(how, leaver, holder_answer(leaver));
			answers[1].fd = -1;
			answers[1].revents = 0;
		}
		if (answers[0].revents)
			break;
	}
	ck_assert_int_eq(holder_answer(stayer), 0);
	ck_assert_int_eq(holder_do(stayer, "unlock"), 0);
	if (answers[1].fd >= 0)
		unlock_if_had(how, leaver, holder_answer(leaver));
	return lost;
}

/* Returns whether nobody was woken. */
static bool leave_at_release(const struct leaving *how, struct lockfile_pid *lock,
                             struct holder *leaver, struct holder *stayer)
{
	int64_t start;

	ck_assert_int_eq(lockfile_pid_lock(lock), 0);
	if (how->in_line)
		ck_assert_int_eq(holder_do(leaver, how->begin), LOCKFILE_PID_ERR_BUSY);
	start = now_ms();
	if (!how->in_line)
		holder_ask(leaver, how->begin);
	holder_ask(stayer, "lock");
	await_blocked(stayer);
	how->leave(leaver, start);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	return had_to_look(how, leaver, stayer);
}

TEST_EACH(who_leaves_just_at_the_release_passes_it_on, leavings)
{
	const struct leaving *how = &leavings[_i];
	struct lockfile_pid *lock = new_lock("x.pid");
	struct holder leaver = holder_start("x.pid"), stayer = holder_start("x.pid");
	unsigned int seed = (unsigned int)getpid();
	int lost = 0;

	srand(seed);
	ck_assert_int_eq(holder_do(&leaver, "handle"), 0);
	for (int round = 0; round < how->rounds; round++)
		lost += leave_at_release(how, lock, &leaver, &stayer);
	ck_assert_msg(lost == 0, "seed %u: %d times", seed, lost);
	assert_nothing_left();
	holder_end(&leaver);
	holder_end(&stayer);
	lockfile_pid_free(lock);
}

static void *lock_and_unlock(void *lock)
{
	if (lockfile_pid_lock(lock) == 0)
		lockfile_pid_must_unlock(lock);
	return NULL;
}

/* Returns whether nobody was woken. */
static bool cancel_thread_at_release(struct lockfile_pid *lock, struct lockfile_pid *of_thread,
                                     struct holder *stayer)
{
	struct pollfd answer = { .fd = stayer->from, .events = POLLIN };
	pthread_t thread;
	bool lost = false;

	ck_assert_int_eq(lockfile_pid_lock(lock), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, lock_and_unlock, of_thread), 0);
	holder_ask(stayer, "lock");
	await_blocked(stayer);
	ck_assert_int_eq(pthread_cancel(thread), 0);
	nap_us(rand() % 80);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	while (poll(&answer, 1, LOST_AFTER_MS) == 0)
		lost = lost || are_asleep(stayer, stayer);
	ck_assert_int_eq(holder_answer(stayer), 0);
	ck_assert_int_eq(holder_do(stayer, "unlock"), 0);
	return lost;
}

TEST(a_thread_cancelled_just_at_the_release_passes_it_on)
{
	struct lockfile_pid *lock = new_lock("x.pid"), *of_thread = new_lock("x.pid");
	struct holder stayer = holder_start("x.pid");
	int descriptors = count_descriptors(), lost = 0;

	SKIP_IF_CANCELLATION_IS_UNKNOWN();
	srand((unsigned int)getpid());
	for (int round = 0; round < 300; round++)
		lost += cancel_thread_at_release(lock, of_thread, &stayer);
	ck_assert_int_eq(lost, 0);
	ck_assert_int_eq(count_descriptors(), descriptors);
	assert_nothing_left();
	holder_end(&stayer);
	lockfile_pid_free(of_thread);
	lockfile_pid_free(lock);
}

/* Leaving in any order and way */

#define CROWD 16

enum way { BY_DEATH, BY_TIMEOUT, BY_CANCEL, BY_SIGNAL, BY_ACQUIRING, WAYS };

static const char *const joins[WAYS] = { "lock", "timedlock 300", "begin", "lock", "lock" };

struct member {
	struct holder holder;
	enum way way;
};

static void join_crowd(struct member *member)
{
	member->way = (enum way)(rand() % WAYS);
	member->holder = holder_start("x.pid");
	ck_assert_int_eq(holder_do(&member->holder, "handle"), 0);
	holder_ask(&member->holder, joins[member->way]);
	if (member->way == BY_CANCEL)
		ck_assert_int_eq(holder_answer(&member->holder), LOCKFILE_PID_ERR_BUSY);
	else if (member->way != BY_TIMEOUT)
		await_blocked(&member->holder);
}

static void leave_crowd(struct member *member)
{
	switch (member->way) {
	case BY_DEATH:
		holder_kill(&member->holder);
		return;
	case BY_TIMEOUT:
		ck_assert_int_eq(holder_answer(&member->holder), -ETIMEDOUT);
		break;
	case BY_CANCEL:
		ck_assert_int_eq(holder_do(&member->holder, "cancel"), 0);
		break;
	case BY_SIGNAL:
		ck_assert_int_eq(kill(member->holder.pid, SIGUSR1), 0);
		ck_assert_int_eq(holder_answer(&member->holder), -EINTR);
		break;
	default:
		return; /* later */
	}
	holder_end(&member->holder);
}

static void shuffle(struct member *crowd)
{
	for (int i = CROWD - 1; i > 0; i--) {
		int j = rand() % (i + 1);
		struct member other = crowd[j];

		crowd[j] = crowd[i];
		crowd[i] = other;
	}
}

/* Returns whether somebody was killed. */
static bool crowd_comes_and_goes(struct lockfile_pid *lock)
{
	struct member crowd[CROWD];
	bool killed = false;

	ck_assert_int_eq(lockfile_pid_lock(lock), 0);
	for (int i = 0; i < CROWD; i++)
		join_crowd(&crowd[i]);
	shuffle(crowd);
	for (int i = 0; i < CROWD; i++) {
		killed = killed || crowd[i].way == BY_DEATH;
		leave_crowd(&crowd[i]);
	}
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	for (int i = 0; i < CROWD; i++)
		if (crowd[i].way == BY_ACQUIRING)
			holder_ask(&crowd[i].holder, "unlock");
	for (int i = 0; i < CROWD; i++) {
		if (crowd[i].way != BY_ACQUIRING)
			continue;
		ck_assert_int_eq(holder_answer(&crowd[i].holder), 0);
		ck_assert_int_eq(holder_answer(&crowd[i].holder), 0);
		holder_end(&crowd[i].holder);
	}
	return killed;
}

TEST(nothing_is_left_in_whatever_way_and_order_a_crowd_leaves)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	unsigned int seed = (unsigned int)now_ms();

	printf("# seed %u\n", seed);
	srand(seed);
	for (int round = 0; round < 8; round++) {
		if (crowd_comes_and_goes(lock)) {
			ck_assert_int_eq(lockfile_pid_lock(lock), 0);
			ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
		}
		ck_assert_msg(*list_dir(".") == '\0', "seed %u: %s", seed, list_dir("."));
	}
	lockfile_pid_free(lock);
}

/* Signals and time-outs of the process itself */

static void handle_once(int number)
{
	signal(number, SIG_DFL);
}

/* Those of Check, too. */
static void remove_handlers(void)
{
	for (int i = 1; i <= SIGRTMAX; i++)
		signal(i, SIG_DFL);
}

static const struct sigaction once[] = {
	{ .sa_handler = handle_once },
	{ .sa_handler = handle_once, .sa_flags = (int)SA_RESETHAND },
};

static void interrupt_sleeper(pid_t pid)
{
	while (process_state(pid) != 'S')
		sched_yield();
	kill(pid, SIGALRM);
	_exit(0);
}

TEST_EACH(a_handler_that_is_gone_when_it_has_run_ends_a_wait_too, once)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	struct holder other = holder_start("x.pid");
	pid_t child;

	ck_assert_int_eq(holder_do(&other, "lock"), 0);
	remove_handlers();
	ck_assert_int_eq(sigaction(SIGALRM, &once[_i], NULL), 0);
	child = fork();
	if (child == 0)
		interrupt_sleeper(getppid());
	ck_assert_int_eq(lockfile_pid_lock(lock), -EINTR);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	holder_end(&other);
	lockfile_pid_free(lock);
}

static const int long_waits[] = { INT_MAX, INT_MAX - 1, INT_MIN, -2 };

static void *free_lock(void *lock)
{
	nap_us(20000);
	lockfile_pid_free(lock);
	return NULL;
}

TEST_EACH(the_longest_and_negative_time_outs_wait, long_waits)
{
	struct lockfile_pid *lock = new_lock("x.pid"), *other = new_lock("x.pid");
	pthread_t thread;

	ck_assert_int_eq(lockfile_pid_lock(other), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, free_lock, other), 0);
	ck_assert_int_eq(lockfile_pid_timedlock(lock, long_waits[_i]), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	lockfile_pid_free(lock);
}

struct masked {
	struct lockfile_pid *lock;
	sigset_t before, after;
	int result;
};

static void *wait_with_a_mask(void *argument)
{
	struct masked *m = argument;

	sigemptyset(&m->before);
	sigaddset(&m->before, SIGUSR2);
	pthread_sigmask(SIG_SETMASK, &m->before, NULL);
	m->result = lockfile_pid_timedlock(m->lock, 5);
	pthread_sigmask(SIG_SETMASK, NULL, &m->after);
	return NULL;
}

TEST(a_wait_gives_the_signal_mask_back)
{
	struct masked m = { .lock = new_lock("x.pid") };
	struct holder other = holder_start("x.pid");
	pthread_t thread;

	ck_assert_int_eq(holder_do(&other, "lock"), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, wait_with_a_mask, &m), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_int_eq(m.result, -ETIMEDOUT);
	for (int i = 1; i < SIGRTMAX; i++)
		ck_assert_int_eq(sigismember(&m.before, i), sigismember(&m.after, i));
	holder_end(&other);
	lockfile_pid_free(m.lock);
}

/* Shorter than the yield. */
TEST(who_owes_a_yield_makes_an_attempt_within_any_time_out)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	struct holder waiter = holder_start("x.pid");

	ck_assert_int_eq(lockfile_pid_lock(lock), 0);
	holder_ask(&waiter, "lock");
	await_blocked(&waiter);
	ck_assert_int_eq(kill(waiter.pid, SIGSTOP), 0);
	while (process_state(waiter.pid) != 'T')
		sched_yield();
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	ck_assert_int_eq(lockfile_pid_timedlock(lock, 2), 0);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	ck_assert_int_eq(kill(waiter.pid, SIGCONT), 0);
	ck_assert_int_eq(holder_answer(&waiter), 0);
	holder_end(&waiter);
	lockfile_pid_free(lock);
}
