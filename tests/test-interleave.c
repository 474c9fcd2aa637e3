/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two processes and one lock, in every order of their system calls with up to
 * three changes from one to the other; and with one of them dying before any
 * of its calls.
 *
 * We are one of the two, and steered: before our call number n the rival does
 * something.  The rival is steered as well: it stops before its call number m,
 * where it is let go on when we have finished, or dies.
 *
 * Of all n only some are tried where TEST_PACE says so (pace.h).
 */
#include <config.h>

#include "common.h"
#include "forge.h"
#include "pace.h"
#include "process.h"
#include "rival.h"
#include "steer.h"

#include <errno.h>
#include <lockfile-pid.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

/* Of so many runs: it does not end. */
#define TIMEOUT_S 600

#define PATH     "x.pid"
#define TAKEOVER PATH ".takeover"
#define BUSY     LOCKFILE_PID_ERR_BUSY
#define NEVER    (-1)

/* Attempts of more calls than that do not end. */
#define MAX_CALLS 500

/* What is there before. */

static pid_t dead;

static void nothing(void)
{
}

static void stale(void)
{
	forge_foreign(PATH, dead);
}

static void damaged(void)
{
	write_file(PATH, "?\n");
}

static void stale_with_leftover(void)
{
	stale();
	write_file(TAKEOVER, "");
}

/* The maker is dead, and a leaked descriptor of it keeps the kernel lock. */
static void stale_with_leaked_leftover(void)
{
	static int leaked = -1;
	struct record record = forge_own_record();

	if (leaked >= 0)
		close(leaked);
	stale();
	record.owner.pid = dead;
	forge_file(TAKEOVER, &record);
	leaked = forge_lock(TAKEOVER);
}

static const struct scene {
	void (*set)(void);
	int ours, rivals; /* without O_TMPFILE: with this error */
} scenes[] = {
	{ nothing, 0, 0 },
	{ nothing, EOPNOTSUPP, EOPNOTSUPP },
	{ nothing, 0, EOPNOTSUPP },
	{ nothing, EOPNOTSUPP, 0 },
	{ stale, 0, 0 },
	{ stale, EOPNOTSUPP, EOPNOTSUPP },
	{ stale, 0, EOPNOTSUPP },
	{ stale, EOPNOTSUPP, 0 },
	{ damaged, 0, 0 },
	{ damaged, EOPNOTSUPP, EOPNOTSUPP },
	{ stale_with_leftover, 0, 0 },
	{ stale_with_leftover, EOPNOTSUPP, EOPNOTSUPP },
	{ stale_with_leaked_leftover, 0, 0 },
	{ stale_with_leaked_leftover, EOPNOTSUPP, EOPNOTSUPP },
};

/* For what goes through all n and all m. */
static const struct scene deep_scenes[] = {
	{ nothing, EOPNOTSUPP, EOPNOTSUPP },  { stale, 0, 0 },
	{ stale, EOPNOTSUPP, EOPNOTSUPP },    { stale, 0, EOPNOTSUPP },
	{ stale_with_leftover, 0, 0 },        { stale_with_leftover, EOPNOTSUPP, EOPNOTSUPP },
	{ stale_with_leaked_leftover, 0, 0 },
};

static struct lockfile_pid *lock;
static struct rival rival;
static int rival_result, rival_stop;

static void begin(const struct scene *scene)
{
	struct owner self;

	steer_reset();
	ck_assert_int_eq(lockfile_pid_new(&lock, PATH), 0);
	process_self(&self); /* its calls are made now */
	rival_result = BUSY;
	rival = rival_start(PATH, scene->rivals);
}

static void finish(void)
{
	steer_reset();
	rival_end(&rival);
	lockfile_pid_free(lock);
	remove(TAKEOVER);
}

/* A number that was just given out is not given out again for long. */
static void set_scene(const struct scene *scene)
{
	dead = dead_pid();
	scene->set();
}

/* Until the rival had no turn any more. */
static int next(int n)
{
	ck_assert_int_lt(n, MAX_CALLS);
	return n + pace();
}

static int attempt(const struct scene *scene, int n, void (*hook)(void *))
{
	int r;

	rival_result = NEVER;
	set_scene(scene);
	steer_reset();
	steer_no_tmpfile(scene->ours);
	steer_before(ANY_CALL, n, hook, NULL);
	r = lockfile_pid_trylock(lock);
	steer_reset();
	return r;
}

/* Exactly one has it, and knows; the other was told that. */
static void assert_one_winner(int ours, int rivals, int n, int m)
{
	ck_assert_msg((ours == 0 && rivals == BUSY) || (ours == BUSY && rivals == 0),
	              "ours: %d, the rival's: %d, at our call %d and its %d", ours, rivals, n, m);
	assert_content(PATH, "%d\n", (int)(ours == 0 ? getpid() : rival.pid));
	ck_assert_int_eq(ours == 0 ? lockfile_pid_verify(lock) : rival_verify(&rival), 0);
	ck_assert_int_eq(ours == 0 ? lockfile_pid_unlock(lock) : rival_unlock(&rival), 0);
	ck_assert_msg(!exists(PATH) && !exists(TAKEOVER), "%s is left, at our call %d and its %d",
	              list_dir("."), n, m);
}

static void let_rival_try(void *unused)
{
	(void)unused;
	rival_result = rival_trylock(&rival, rival_stop);
}

static void try_at(const struct scene *scene, int n, int m)
{
	int r;

	rival_stop = m;
	r = attempt(scene, n, let_rival_try);
	if (rival_result == RIVAL_STOPPED)
		rival_result = rival_go_on(&rival);
	assert_one_winner(r, rival_result == NEVER ? BUSY : rival_result, n, m);
}

TEST_EACH_WITHIN(rival_tries_between_any_two_of_our_calls, scenes, TIMEOUT_S)
{
	begin(&scenes[_i]);
	for (int n = 1; rival_result != NEVER; n = next(n))
		try_at(&scenes[_i], n, 0);
	finish();
}

static void let_rival_hold(void *unused)
{
	let_rival_try(unused);
	if (rival_result == 0)
		ck_assert_int_eq(rival_unlock(&rival), 0);
}

/* We have it in the end, and nothing else is there. */
static void assert_ours(int r, int n, int m)
{
	ck_assert_msg(r == 0, "%d, at our call %d and its %d", r, n, m);
	assert_content(PATH, "%d\n", (int)getpid());
	ck_assert_int_eq(lockfile_pid_verify(lock), 0);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	ck_assert(!exists(PATH));
}

TEST_EACH_WITHIN(rival_locks_and_unlocks_between_any_two_of_our_calls, scenes, TIMEOUT_S)
{
	begin(&scenes[_i]);
	rival_stop = 0;
	for (int n = 1; rival_result != NEVER; n = next(n)) {
		assert_ours(attempt(&scenes[_i], n, let_rival_hold), n, 0);
		assert_nothing_left();
	}
	finish();
}

/* How many calls the rival makes in an attempt of its own. */
static int count_rivals_calls(const struct scene *scene)
{
	int m = 0, r;

	do {
		set_scene(scene);
		r = rival_trylock(&rival, ++m);
		if (r == RIVAL_STOPPED)
			r = (rival_go_on(&rival) == 0) ? RIVAL_STOPPED : r;
		ck_assert_int_eq(rival_unlock(&rival), 0);
	} while (r == RIVAL_STOPPED && m < MAX_CALLS);
	return m - 1;
}

TEST_EACH_WITHIN(rival_is_stopped_between_any_two_of_its_calls, deep_scenes, TIMEOUT_S)
{
	int rivals_calls;

	begin(&deep_scenes[_i]);
	rivals_calls = count_rivals_calls(&deep_scenes[_i]);
	for (int m = 1; m <= rivals_calls; m++) {
		rival_result = BUSY;
		for (int n = 1; rival_result != NEVER; n = next(n))
			try_at(&deep_scenes[_i], n, m);
	}
	finish();
}

static void let_rival_die(void *unused)
{
	let_rival_try(unused);
	rival_kill(&rival);
}

static void die_at(const struct scene *scene, int n, int m)
{
	rival_stop = m;
	assert_ours(attempt(scene, n, let_rival_die), n, m);
	/* what it had made when the lock was ours already */
	remove(TAKEOVER);
	if (rival_result != NEVER)
		rival = rival_start(PATH, scene->rivals);
}

TEST_EACH_WITHIN(rival_dies_between_any_two_of_its_calls, deep_scenes, TIMEOUT_S)
{
	int rivals_calls;

	begin(&deep_scenes[_i]);
	rivals_calls = count_rivals_calls(&deep_scenes[_i]);
	/* 0: after the last one */
	for (int m = 0; m <= rivals_calls; m++) {
		rival_result = BUSY;
		for (int n = 1; rival_result != NEVER; n = next(n))
			die_at(&deep_scenes[_i], n, m);
	}
	finish();
}

/* We unlock while the rival tries. */

static const struct {
	bool closed; /* our descriptor, underneath */
	int rivals;
} releases[] = {
	{ false, 0 },
	{ false, EOPNOTSUPP },
	{ true, 0 },
	{ true, EOPNOTSUPP },
};

static int lock_and_unlock(bool closed, int n)
{
	int r;

	rival_result = NEVER;
	steer_reset();
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	if (closed)
		close(lockfile_pid_fileno(lock));
	steer_reset();
	steer_before(ANY_CALL, n, let_rival_try, NULL);
	r = lockfile_pid_unlock(lock);
	steer_reset();
	return r;
}

static void unlock_at(bool closed, int n, int m)
{
	int r;

	rival_stop = m;
	r = lock_and_unlock(closed, n);
	ck_assert_msg(r == 0, "%d, at our call %d and its %d", r, n, m);
	if (rival_result == RIVAL_STOPPED)
		rival_result = rival_go_on(&rival);
	if (rival_result == 0) {
		assert_content(PATH, "%d\n", (int)rival.pid);
		ck_assert_int_eq(rival_verify(&rival), 0);
		ck_assert_int_eq(rival_unlock(&rival), 0);
	} else if (rival_result != NEVER) {
		ck_assert_int_eq(rival_result, BUSY);
	}
	assert_nothing_left();
}

TEST_EACH_WITHIN(rival_tries_while_we_unlock, releases, TIMEOUT_S)
{
	struct scene scene = { nothing, 0, releases[_i].rivals };
	int rivals_calls;

	begin(&scene);
	rivals_calls = count_rivals_calls(&scene);
	for (int m = 0; m <= rivals_calls; m++) {
		rival_result = BUSY;
		for (int n = 1; rival_result != NEVER; n = next(n))
			unlock_at(releases[_i].closed, n, m);
	}
	finish();
}
