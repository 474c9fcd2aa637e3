/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What does an acquisition cost with so many in line?
 *
 *	contention [-q] [DIRECTORY...]
 *
 * Waiters hold the lock 200 us each, busily, and want it again at once; or each is a
 * process that ends after its turn, and another takes its place at the end of the
 * line ("contention-exit", which has the start of that process in it).  Time is taken
 * from the release of a first lock, with all of them asleep in line, to an acquisition
 * whose number was chosen before, or to a limit, and then to what was had by then.
 * Where there is no line, those who come late may have the lock all the time while
 * the others sleep.
 *
 * Where waiters want it again at once, one of them may have it all the time: figures
 * "contention-fewest" and "contention-most" are the turns of one.
 *
 * Those that sleep for seconds between looks have the time for that, once, and side by
 * side; they hardly disturb one another.  Only where each waiter ends after its turn:
 * else the first to look has all turns, until the others look, which says how many turns
 * were asked for, and nothing of what a turn costs.
 *
 * All sizes are measured once, and again while there is time.
 */
#include <config.h>

#include "bench.h"
#include "crowd.h"
#include "scratch.h"
#include "worker.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPETITIONS         5
#define REPETITIONS_OF_MANY 3 /* whom it takes some time to start */
#define MANY                256
#define BUDGET_NS           INT64_C(240000000000) /* nothing is repeated after that */
#define TURNS               500                   /* measured, or two for each waiter */
#define TURNS_QUICK         10
#define LIMIT_S             1.0
#define LIMIT_QUICK         0.1

/* Of those that look every few seconds. */
#define SLOW_LOOKS_S 1.0
#define SLOW_LIMIT_S 10.0
#define SLOW_STEP    2 /* every other size */

/* Each waiter is an interpreter, of 50 ms to start: not so many, and once. */
#define FILELOCK_WAITERS_MAX 64

#define CROWDS_MAX 16

static const int sizes[] = { 2, 4, 16, 64, 256, 1000 };

static const char *figure_of(const struct crowd *crowd, const char *what)
{
	static char figure[32];

	snprintf(figure, sizeof(figure), "contention%s%s", crowd->leave ? "-exit" : "", what);
	return figure;
}

static void print_turns(const struct crowd *crowd, const char *dir, const char *waiters)
{
	int fewest = INT_MAX, most = 0;

	for (int i = 0; i < crowd->size; i++) {
		int turns = crowd->slots[i].turns;

		fewest = turns < fewest ? turns : fewest;
		most = turns > most ? turns : most;
	}
	print_sample("contention-fewest", dir, crowd->peer->name, waiters, "turns", fewest);
	print_sample("contention-most", dir, crowd->peer->name, waiters, "turns", most);
}

static void report(const struct crowd *crowd, const char *dir)
{
	const char *name = crowd->peer->name;
	char waiters[16], none[32];

	snprintf(waiters, sizeof(waiters), "%d", crowd->size);
	snprintf(none, sizeof(none), "none in %g s", crowd->limit_s);
	if (crowd->overlaps > 0 && crowd->peer == &ours_peer)
		fail(crowd->path, name, "two held the lock");
	if (crowd->overlaps > 0)
		print_fact(figure_of(crowd, "-overlaps"), dir, name, waiters, "two held the lock");
	if (crowd->had == 0) {
		print_fact(figure_of(crowd, ""), dir, name, waiters, none);
		return;
	}
	print_sample(figure_of(crowd, ""), dir, name, waiters, "us", crowd->wall_us / crowd->had);
	print_sample(figure_of(crowd, "-cpu"), dir, name, waiters, "us",
	             crowd->cpu_us / crowd->had);
	if (!crowd->leave)
		print_turns(crowd, dir, waiters);
}

static bool is_slow(const struct peer *peer)
{
	return peer->looks_s >= SLOW_LOOKS_S;
}

static double limit_of(const struct peer *peer)
{
	if (quick)
		return LIMIT_QUICK;
	return is_slow(peer) ? SLOW_LIMIT_S : LIMIT_S;
}

static void prepare(struct crowd *crowd, const struct peer *peer, int size, bool leave,
                    const char *dir, int number)
{
	int turns = quick ? TURNS_QUICK : TURNS;

	memset(crowd, 0, sizeof(*crowd));
	crowd->peer = peer;
	crowd->size = size;
	crowd->leave = leave;
	crowd->last_turn = 2 * size > turns ? 2 * size : turns;
	crowd->limit_s = limit_of(peer);
	scratch_make(crowd->path, sizeof(crowd->path), dir, number);
	sem_init(&crowd->begin, 1, 0);
	sem_init(&crowd->left, 1, 0);
	sem_init(&crowd->last_holds, 1, 0);
	for (int i = 0; i < size; i++)
		crowd->slots[i].crowd = crowd;
}

/* Side by side. */
static void run(struct crowd **crowds, int count, const char *dir)
{
	pid_t workers[CROWDS_MAX];

	for (int i = 0; i < count; i++)
		workers[i] = worker_start(crowd_contend, crowds[i]);
	for (int i = 0; i < count; i++) {
		worker_join(workers[i]);
		scratch_remove(crowds[i]->path);
		report(crowds[i], dir);
	}
	fflush(stdout);
}

static struct crowd *crowd_number(int number)
{
	static struct crowd *crowds[CROWDS_MAX];

	if (number >= CROWDS_MAX)
		fail("crowd", "number", "too many side by side");
	if (!crowds[number])
		crowds[number] = worker_share(sizeof(*crowds[number]));
	return crowds[number];
}

static bool takes_part(const struct peer *peer, int size, int repetition)
{
	if (!peer->waits || is_slow(peer) || !peer_is_here(peer))
		return false;
	return peer != &filelock_peer || (repetition == 0 && size <= FILELOCK_WAITERS_MAX);
}

static void measure_in_turns(const char *dir, int size, int repetition)
{
	struct crowd *crowd = crowd_number(0);

	for (int leave = 0; leave <= 1; leave++)
		for (size_t i = 0; i < peer_count; i++)
			if (takes_part(peers[i], size, repetition)) {
				prepare(crowd, peers[i], size, leave, dir, 0);
				run(&crowd, 1, dir);
			}
}

static void measure_slow(const char *dir, int size)
{
	struct crowd *crowds[CROWDS_MAX];
	int count = 0;

	for (size_t i = 0; i < peer_count; i++)
		if (peers[i]->waits && is_slow(peers[i]) && peer_is_here(peers[i])) {
			crowds[count] = crowd_number(count);
			prepare(crowds[count], peers[i], size, true, dir, count);
			count++;
		}
	run(crowds, count, dir);
}

static void name_others(const char *dir)
{
	for (size_t i = 0; i < peer_count; i++)
		if (peer_is_here(peers[i]) && !peers[i]->waits)
			print_fact("contention", dir, peers[i]->name, "-", "does not wait");
		else if (peer_is_here(peers[i]) && is_slow(peers[i]))
			print_fact("contention", dir, peers[i]->name, "-",
			           "who looks first has it again and again");
}

static int repetitions_of(int size)
{
	if (quick)
		return 1;
	return size < MANY ? REPETITIONS : REPETITIONS_OF_MANY;
}

static void measure(const char *dir)
{
	size_t count = quick ? 1 : COUNT(sizes);
	int64_t end = now_ns() + BUDGET_NS;

	name_others(dir);
	for (int repetition = 0; repetition < REPETITIONS; repetition++)
		for (size_t i = 0; i < count; i++)
			if (repetition < repetitions_of(sizes[i]) &&
			    (repetition == 0 || now_ns() < end))
				measure_in_turns(dir, sizes[i], repetition);
	for (size_t i = 0; i < count; i += SLOW_STEP)
		measure_slow(dir, sizes[i]);
}

int main(int argc, char **argv)
{
	bench_main(argc, argv, measure);
	return EXIT_SUCCESS;
}
