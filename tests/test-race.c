/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Races of real processes for one lock, watched by a detector that is not the
 * lock (detector.h), and proof that it catches a locker that is wrong.
 *
 * Each race is run in three ways: [0] all candidates are made with O_TMPFILE,
 * [1] all without, [2] every other one with.
 *
 * Environment: RACE_FACTOR multiplies the volumes (1 if not set), of which TEST_PACE
 * leaves some (pace.h); RACE_SEED makes the same random choices again.  The scheduler
 * makes its own.
 */
#include <config.h>

#include "common.h"
#include "race.h"

#include <lockfile-pid.h>

/* In each way; the first three from each start by a crew of each size. */
#define ACQUISITIONS 500U
#define KILLS        40U /* among these, at least */
#define ROUNDS       100U
#define SHORT_LIVED  5000U
#define POINTS       400U /* of time to kill at */
#define TIMEOUT_S    300U
/* The first one should do. */
#define NAIVE_RACES 100

#define RACE(name)          TEST_WITHIN(name, TIMEOUT_S + volume(TIMEOUT_S))
#define RACE_EACH_WAY(name) TEST_FULL(name, WAYS, TIMEOUT_S + volume(TIMEOUT_S))

static const unsigned int crew_sizes[] = { 8, 32 };

static void expect_no_overlap(const struct findings *found)
{
	ck_assert_uint_eq(found->slot, 0);
	ck_assert_uint_eq(found->marker, 0);
	ck_assert_uint_eq(found->intervals, 0);
}

/* Kills at any time: half of the crew waits in line, half tries in a loop. */

static void compete(struct race *race, uint32_t number)
{
	void *handle = race_open(race);
	bool waits = below(race, 2) == 0;

	while (!atomic_load(&race->shared->stop)) {
		int r = waits ? race_lock(race, handle) : race->locker->trylock(handle);

		if (r == 0) {
			race_hold(race, number, below(race, 100 * US));
			race_unlock(race, handle, below(race, 16) == 0);
		} else {
			race_expect(race, waits ? "lock" : "trylock", r,
			            waits ? 0 : LOCKFILE_PID_ERR_BUSY);
		}
		if (below(race, 2) == 0)
			nap(below(race, 100 * US));
	}
	race->locker->close(handle);
}

static struct racer *find_inside(struct race *race)
{
	uint32_t number = detector_inside(race->detector);

	for (unsigned int i = 0; i < race->size; i++)
		if (number != 0 && race->crew[i].number == number)
			return &race->crew[i];
	return NULL;
}

/* Half of the time the holder; then the others try to take over. */
static void slay_somebody(struct race *race)
{
	struct racer *victim = below(race, 2) == 0 ? find_inside(race) : NULL;

	if (victim == NULL)
		victim = &race->crew[below(race, race->size)];
	race_slay(race, victim);
}

/* One that is killed here stays a zombie for as long as the naps last. */
static void slay_and_replace(struct race *race)
{
	nap(below(race, 1000 * US));
	slay_somebody(race);
	if (below(race, 3) == 0) {
		nap(below(race, 200 * US));
		slay_somebody(race);
	}
	nap(below(race, 1000 * US));
	for (unsigned int i = 0; i < race->size; i++)
		if (detector_is_doomed(race->detector, race->crew[i].number)) {
			race_reap(race, &race->crew[i]);
			race_start(race, &race->crew[i], compete);
		}
}

static int64_t end_of_patience(void)
{
	return now_ns() + FOR_EVER_S * INT64_C(1000000000);
}

static void race_with_kills(const struct locker *locker, enum way way, unsigned int size,
                            enum start start, struct findings *ret)
{
	unsigned int goal = volume(ACQUISITIONS), before = 0, stays = 0;
	int64_t deadline = end_of_patience();
	struct race race;

	race_begin(&race, locker, way, size);
	race_plant(&race, start);
	for (unsigned int i = 0; i < size; i++)
		race_start(&race, &race.crew[i], compete);
	while ((stays < goal || race.kills < KILLS) && !atomic_load(&race.shared->failed)) {
		slay_and_replace(&race);
		stays = detector_stays(race.detector);
		if (stays > before)
			deadline = end_of_patience();
		before = stays;
		ck_assert_msg(now_ns() < deadline, "nobody gets the lock");
	}
	race_end(&race, ret);
}

RACE_EACH_WAY(contenders_killed_at_any_time_never_hold_together)
{
	struct findings found;

	for (int i = 0; i < 2; i++)
		for (int start = FRESH; start < STARTS; start++) {
			race_with_kills(&library_locker, (enum way)_i, crew_sizes[i],
			                (enum start)start, &found);
			expect_no_overlap(&found);
		}
}

/*
 * Takeover: in each round all are let loose on a stale file at once.  Each tries
 * until it has the lock, or finds it busy while somebody has it.  Who has it
 * keeps it until all have tried.
 */

static int try_until_won(struct race *race, void *handle)
{
	int r;

	do
		r = race->locker->trylock(handle);
	while (r == LOCKFILE_PID_ERR_BUSY && atomic_load(&race->shared->winners) == 0);
	return r;
}

static void take_over(struct race *race, uint32_t number)
{
	pthread_barrier_t *barrier = &race->shared->barrier;
	void *handle = race_open(race);
	struct stay stay;
	int r;

	while (pthread_barrier_wait(barrier), !atomic_load(&race->shared->stop)) {
		r = try_until_won(race, handle);
		if (r == 0) {
			atomic_fetch_add(&race->shared->winners, 1);
			detector_enter(race->detector, &stay, number);
		} else {
			race_expect(race, "trylock", r, LOCKFILE_PID_ERR_BUSY);
		}
		pthread_barrier_wait(barrier);
		if (r == 0) {
			detector_leave(race->detector, &stay);
			race_unlock(race, handle, false);
		}
		pthread_barrier_wait(barrier);
	}
	race->locker->close(handle);
}

static void takeover_round(struct race *race, enum start start)
{
	pthread_barrier_t *barrier = &race->shared->barrier;
	unsigned int winners;

	race_plant(race, start);
	atomic_store(&race->shared->winners, 0);
	pthread_barrier_wait(barrier);
	pthread_barrier_wait(barrier);
	winners = atomic_load(&race->shared->winners);
	pthread_barrier_wait(barrier);
	if (!race->locker->trusted)
		return;
	ck_assert_uint_eq(winners, 1);
	race_expect_nothing_left(race);
}

static void takeovers(const struct locker *locker, enum way way, unsigned int size,
                      enum start start, struct findings *ret)
{
	struct race race;

	race_begin(&race, locker, way, size);
	for (unsigned int i = 0; i < size; i++)
		race_start(&race, &race.crew[i], take_over);
	for (unsigned int i = volume(ROUNDS); i > 0; i--)
		takeover_round(&race, start);
	atomic_store(&race.shared->stop, true);
	pthread_barrier_wait(&race.shared->barrier);
	race_end(&race, ret);
}

RACE_EACH_WAY(of_those_who_take_over_a_stale_file_exactly_one_wins)
{
	struct findings found;

	for (int i = 0; i < 2; i++)
		for (int start = FRESH; start < STARTS; start++) {
			takeovers(&library_locker, (enum way)_i, crew_sizes[i], (enum start)start,
			          &found);
			expect_no_overlap(&found);
		}
}

/* Short-lived processes: nobody dies, but each ends as soon as it has unlocked. */

static void short_lived_race(const struct locker *locker, enum way way, unsigned int count,
                             struct findings *ret)
{
	struct race race;

	race_begin(&race, locker, way, CREW_MAX);
	for (unsigned int i = 0; i < count; i++) {
		struct racer *racer = &race.crew[i % CREW_MAX];

		race_reap(&race, racer);
		race_start(&race, racer, race_lock_once);
	}
	race_end(&race, ret);
	ck_assert_uint_eq(ret->stays, count);
}

RACE_EACH_WAY(short_lived_processes_never_hold_together)
{
	unsigned int count = _i == WITH_TMPFILE ? SHORT_LIVED : SHORT_LIVED / 2;
	struct findings found;

	short_lived_race(&library_locker, (enum way)_i, volume(count), &found);
	expect_no_overlap(&found);
}

/* After a kill, whenever it comes, the next one gets the lock and cleans up. */

static void kill_at_a_random_point(struct race *race)
{
	bool reap_first = below(race, 2) == 0;

	race_plant(race, (enum start)below(race, STARTS));
	for (unsigned int i = 0; i < race->size; i++)
		race_start(race, &race->crew[i], compete);
	nap(below(race, 1000 * US));
	for (unsigned int i = 0; i < race->size; i++)
		race_slay(race, &race->crew[i]);
	for (unsigned int i = 0; i < race->size; i++)
		race_await_zombie(&race->crew[i]);
	for (unsigned int i = 0; i < race->size && reap_first; i++)
		race_reap(race, &race->crew[i]);
	race_run(race, race_lock_once);
	race_expect_nothing_left(race);
	for (unsigned int i = 0; i < race->size; i++)
		race_reap(race, &race->crew[i]);
}

RACE_EACH_WAY(after_a_kill_at_any_point_the_next_locker_gets_the_lock_and_nothing_is_left)
{
	struct findings found;
	struct race race;

	race_begin(&race, &library_locker, (enum way)_i, 2);
	for (unsigned int i = volume(POINTS); i > 0 && !atomic_load(&race.shared->failed); i--)
		kill_at_a_random_point(&race);
	race_end(&race, &found);
	expect_no_overlap(&found);
}

/* The naive locker in the same races: each witness has to see it for itself. */

static bool is_caught(const struct findings *found)
{
	return found->slot > 0 && found->marker > 0 && found->intervals > 0;
}

RACE(a_naive_locker_is_caught_at_kills)
{
	struct findings found = { 0 };

	for (int i = 0; i < NAIVE_RACES && !is_caught(&found); i++)
		race_with_kills(&naive_locker, WITH_TMPFILE, CREW_MAX, FRESH, &found);
	ck_assert(is_caught(&found));
}

RACE(a_naive_locker_is_caught_at_takeover)
{
	struct findings found = { 0 };

	for (int i = 0; i < NAIVE_RACES && !is_caught(&found); i++)
		takeovers(&naive_locker, WITH_TMPFILE, CREW_MAX, STALE_FOREIGN, &found);
	ck_assert(is_caught(&found));
}

RACE(a_naive_locker_is_caught_with_short_lived_processes)
{
	struct findings found = { 0 };

	if (ADDRESS_SANITIZER)
		SKIP("processes start too slowly to meet");
	for (int i = 0; i < NAIVE_RACES && !is_caught(&found); i++)
		short_lived_race(&naive_locker, WITH_TMPFILE, 500, &found);
	ck_assert(is_caught(&found));
}
