/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Daemons, many times over, at the greatest possible contention.
 *
 * Environment: DAEMON_ROUNDS_FACTOR multiplies the rounds (1 if not set), of which
 * TEST_PACE leaves some (pace.h).
 */
#include <config.h>

#include "dynasty.h"
#include "no-tmpfile.h"
#include "pace.h"

#include <errno.h>
#include <lockfile-pid.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#define UNLOCKS      10000U
#define RELEASES     10000U
#define COMPETITIONS 1000U
#define TIMEOUT_S    300

#define ROGUE     LOCKFILE_PID_ERR_ROGUE_DELETION
#define NO_RESULT 1 /* none of the library's */

/* Two that are let loose at one instant: from one distance in time to the next. */
#define STEP_NS   3000
#define DISTANCES 64

enum phase { REST, TRY, END };

/* What the processes of a test share. */
static struct shared {
	/* the contender: what it is to do, and whether it rests */
	atomic_int phase;
	atomic_bool rests;
	atomic_uint attempts;
	atomic_int unexpected; /* its first result that was not BUSY */
	atomic_int daemon;     /* PID */
	/* a round of two that are let loose at one instant */
	atomic_int ready;
	atomic_int finished;
	atomic_int heir[2]; /* PIDs */
	atomic_int result[2];
	atomic_bool seen;
} * shared;

static unsigned int releases, adoptions;

static unsigned int volume(unsigned int count)
{
	return pace_volume(count, "DAEMON_ROUNDS_FACTOR");
}

static void share(void)
{
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
	              0);
	ck_assert_ptr_ne(shared, MAP_FAILED);
}

static bool names(pid_t pid)
{
	char expected[32];

	snprintf(expected, sizeof(expected), "%d\n", (int)pid);
	return strcmp(read_file(LOCK), expected) == 0;
}

/* For every process that can outlive a test that fails. */
static void limit_life(void)
{
	alarm((unsigned int)(TIMEOUT_S * pace()));
}

/* Leaves the processor to the other, who is at work. */
static void pause_between_looks(void)
{
	const struct timespec time = { .tv_nsec = 20000 };

	nanosleep(&time, NULL);
}

static struct lockfile_pid *lock_inheritably(void)
{
	struct lockfile_pid *lock;

	REQUIRE(lockfile_pid_new(&lock, LOCK) == 0);
	REQUIRE(lockfile_pid_set_inheritable(lock, 1) == 0);
	REQUIRE(lockfile_pid_trylock(lock) == 0);
	return lock;
}

static void reap(pid_t pid, int expected)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, expected);
}

/*
 * The way to the background, with a contender that never stops trying from
 * before the fork until after the adoption.
 */

static void try_once(struct lockfile_pid *lock)
{
	int r = lockfile_pid_trylock(lock), none = 0;

	if (r != LOCKFILE_PID_ERR_BUSY)
		atomic_compare_exchange_strong(&shared->unexpected, &none, r == 0 ? NO_RESULT : r);
	atomic_fetch_add(&shared->attempts, 1);
}

static void contend(void)
{
	struct lockfile_pid *lock;
	int phase;

	limit_life();
	REQUIRE(lockfile_pid_new(&lock, LOCK) == 0);
	while ((phase = atomic_load(&shared->phase)) != END) {
		atomic_store(&shared->rests, phase == REST);
		if (phase == TRY)
			try_once(lock);
		else
			pause_between_looks();
	}
	lockfile_pid_free(lock);
	_exit(0);
}

/* Two end, of which at most one had begun before. */
static void await_a_whole_attempt(void)
{
	unsigned int before = atomic_load(&shared->attempts);

	while (atomic_load(&shared->attempts) - before < 2)
		pause_between_looks();
}

static void let_rest(void)
{
	atomic_store(&shared->phase, REST);
	while (!atomic_load(&shared->rests))
		pause_between_looks();
}

static void be_daemon(struct lockfile_pid *lock, bool orphaned, pid_t parent)
{
	limit_life();
	atomic_store(&shared->daemon, getpid());
	while (orphaned && kill(parent, 0) == 0)
		pause_between_looks();
	await_a_whole_attempt();
	REQUIRE(lockfile_pid_set_inheritable(lock, 0) == 0);
	REQUIRE(lockfile_pid_adopt(lock) == 0);
	REQUIRE(names(getpid()));
	await_a_whole_attempt();
	REQUIRE(names(getpid()));
	REQUIRE(lockfile_pid_verify(lock) == 0);
	let_rest();
	REQUIRE(lockfile_pid_unlock(lock) == 0);
	REQUIRE(!exists(LOCK));
	lockfile_pid_free(lock);
	_exit(0);
}

static void by_daemon(void)
{
	REQUIRE(daemon(1, 1) == 0);
}

static void by_kill(void)
{
	pid_t pid = fork();

	REQUIRE(pid >= 0);
	if (pid > 0)
		raise(SIGKILL);
	setsid();
}

static const struct transition {
	void (*fork)(void);
	int status; /* of the parent */
	bool has_tmpfile;
	unsigned int rounds;
} transitions[] = {
	{ by_daemon, 0, true, 1000 },
	{ by_kill, SIGKILL, true, 500 },
	{ by_daemon, 0, false, 200 },
};

#define WAYS (int)(sizeof(transitions) / sizeof(transitions[0]))

static void go_to_background(const struct transition *transition, bool orphaned)
{
	struct lockfile_pid *lock;
	pid_t self = getpid();

	limit_life();
	REQUIRE(transition->has_tmpfile || refuse_o_tmpfile(".") == 0);
	lock = lock_inheritably();
	atomic_store(&shared->phase, TRY);
	await_a_whole_attempt();
	transition->fork();
	be_daemon(lock, orphaned, self);
}

/*
 * The daemon comes to the test when its parent has ended, and so does who was
 * between them: some daemon(3) fork twice.
 */
static void reap_daemon(pid_t contender)
{
	int status;
	pid_t pid;

	do {
		pid = waitpid(-1, &status, 0);
		ck_assert_int_gt(pid, 0);
		ck_assert_int_ne(pid, contender);
		ck_assert_int_eq(status, 0);
	} while (pid != atomic_load(&shared->daemon));
}

static void transition_round(const struct transition *transition, bool orphaned, pid_t contender)
{
	pid_t starter;

	atomic_store(&shared->daemon, 0);
	starter = checked_fork();
	if (starter == 0)
		go_to_background(transition, orphaned);
	reap(starter, transition->status);
	reap_daemon(contender);
	ck_assert_int_eq(atomic_load(&shared->unexpected), 0);
	assert_nothing_left();
}

TEST_FULL(at_no_instant_on_the_way_to_the_background_can_another_take_the_lock, WAYS, TIMEOUT_S)
{
	const struct transition *transition = &transitions[_i];
	pid_t contender;

	if (!transition->has_tmpfile && !can_refuse_o_tmpfile("."))
		SKIP("cannot filter system calls");
	share();
	adopt_orphans();
	contender = fork();
	if (contender == 0)
		contend();
	for (unsigned int i = volume(transition->rounds); i > 0; i--)
		transition_round(transition, i % 2 == 0, contender);
	atomic_store(&shared->phase, END);
	reap(contender, 0);
}

/*
 * The parent lets go and the child adopts, let loose at the same instant but for
 * a lead, which shifts until either wins about as often, so that the two meet.
 */

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void spin(int64_t ns)
{
	int64_t end = now_ns() + ns;

	while (ns > 0 && now_ns() < end)
		;
}

/* The two start from here. */
static void meet(void)
{
	atomic_fetch_add(&shared->ready, 1);
	while (atomic_load(&shared->ready) < 2)
		sched_yield();
}

static void start_round(void)
{
	atomic_store(&shared->ready, 0);
	atomic_store(&shared->finished, 0);
	atomic_store(&shared->seen, false);
	for (int i = 0; i < 2; i++)
		atomic_store(&shared->result[i], NO_RESULT);
}

static int await_result(int heir)
{
	int r;

	while ((r = atomic_load(&shared->result[heir])) == NO_RESULT)
		pause_between_looks();
	return r;
}

static void await_seen(void)
{
	while (!atomic_load(&shared->seen))
		pause_between_looks();
}

/* Between its result and its end the test sees what is there. */
static void be_heir(struct lockfile_pid *lock, int number, int64_t delay)
{
	int r;

	limit_life();
	atomic_store(&shared->heir[number], getpid());
	REQUIRE(lockfile_pid_set_inheritable(lock, 0) == 0);
	meet();
	spin(delay);
	r = lockfile_pid_adopt(lock);
	atomic_fetch_add(&shared->finished, 1);
	atomic_store(&shared->result[number], r);
	await_seen();
	REQUIRE(lockfile_pid_verify(lock) == r);
	REQUIRE(lockfile_pid_unlock(lock) == r);
	lockfile_pid_free(lock);
	_exit(0);
}

/* Returns whether the child was the first to finish. */
static bool release_round(int (*let_go)(struct lockfile_pid *), int64_t lead)
{
	struct lockfile_pid *lock = lock_inheritably();
	int released, adopted;
	bool child_first;
	pid_t child;

	start_round();
	child = checked_fork();
	if (child == 0)
		be_heir(lock, 0, -lead);
	meet();
	spin(lead);
	released = let_go(lock);
	child_first = atomic_fetch_add(&shared->finished, 1) == 1;
	adopted = await_result(0);
	ck_assert_msg((released == 0 && adopted == ROGUE) || (released == ROGUE && adopted == 0),
	              "released: %d, adopted: %d", released, adopted);
	if (adopted == 0)
		ck_assert(names(child));
	else
		assert_nothing_left();
	atomic_store(&shared->seen, true);
	reap(child, 0);
	assert_nothing_left();
	*(adopted == 0 ? &adoptions : &releases) += 1;
	return child_first;
}

/* The lead follows who was first; around it each distance comes in turn. */
static void release_rounds(int (*let_go)(struct lockfile_pid *), unsigned int rounds)
{
	int64_t lead = 0;

	share();
	for (unsigned int i = 0; i < rounds; i++) {
		int64_t distance = (int)(i * 37 % DISTANCES) - DISTANCES / 2;

		if (release_round(let_go, lead + distance * STEP_NS))
			lead -= STEP_NS;
		else
			lead += STEP_NS;
	}
}

static int unlock(struct lockfile_pid *lock)
{
	int r = lockfile_pid_unlock(lock);

	lockfile_pid_free(lock);
	return r;
}

TEST_WITHIN(of_the_parents_unlock_and_the_childs_adopt_exactly_one_succeeds, TIMEOUT_S)
{
	unsigned int rounds = volume(UNLOCKS);

	release_rounds(unlock, rounds);
	printf("# unlocked %u times, adopted %u times\n", releases, adoptions);
	fflush(stdout);
	if (rounds >= UNLOCKS)
		ck_assert(releases > 0 && adoptions > 0);
}

/* It has no result: the child is to have the lock. */
static int let_go(struct lockfile_pid *lock)
{
	lockfile_pid_free(lock);
	return ROGUE;
}

TEST_WITHIN(while_the_parent_frees_its_handle_the_child_always_adopts, TIMEOUT_S)
{
	unsigned int rounds = volume(RELEASES);

	release_rounds(let_go, rounds);
	ck_assert_uint_eq(adoptions, rounds);
}

/* Two children; their parent lives, or has died. */

static void be_parent_of_two(bool dies)
{
	struct lockfile_pid *lock = lock_inheritably();
	pid_t self = getpid();

	for (int i = 0; i < 2; i++) {
		pid_t pid = fork();

		REQUIRE(pid >= 0);
		while (pid == 0 && dies && getppid() == self)
			sched_yield();
		if (pid == 0)
			be_heir(lock, i, 0);
	}
	if (dies)
		_exit(0);
	await_seen();
	REQUIRE(lockfile_pid_verify(lock) == ROGUE);
	lockfile_pid_free(lock);
	_exit(0);
}

static void competition_round(bool parent_dies)
{
	int first, second, status;

	start_round();
	if (fork() == 0)
		be_parent_of_two(parent_dies);
	first = await_result(0);
	second = await_result(1);
	ck_assert_msg((first == 0 && second == ROGUE) || (first == ROGUE && second == 0),
	              "first: %d, second: %d", first, second);
	ck_assert(names(atomic_load(&shared->heir[first == 0 ? 0 : 1])));
	atomic_store(&shared->seen, true);
	while (waitpid(-1, &status, 0) > 0)
		ck_assert_int_eq(status, 0);
	assert_nothing_left();
}

TEST_WITHIN(of_two_children_that_adopt_at_once_exactly_one_succeeds, TIMEOUT_S)
{
	share();
	adopt_orphans();
	for (unsigned int i = volume(COMPETITIONS); i > 0; i--)
		competition_round(i % 2 == 0);
}
