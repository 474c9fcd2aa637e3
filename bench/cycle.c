/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What does a lock cost that nobody else wants?
 *
 *	cycle [-q] [DIRECTORY...]
 *
 * Locking and unlocking, of each peer, and of the floor: anything that appears and
 * disappears as a file costs at least a create, write, close and unlink.  Short
 * batches of each take turns, so that what else happens on the machine happens
 * to all of them.  A batch takes about 10 ms, or a cycle if that takes longer; a
 * sample is its mean.  Then ours and the floor are done step by step, to see where
 * the time goes.
 *
 * In "cycle" there is one contender for all of it, whose file or process, if it has
 * one, is open already.  In "cycle-new" each cycle has a contender of its own.
 *
 * Where an interpreter is the contender it gets its orders by pipes, which are in the
 * figure: some microseconds.
 */
#include <config.h>

#include "bench.h"
#include "contender.h"
#include "steps.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define BATCHES  61
#define BATCH_NS INT64_C(10000000)

struct cycle {
	const char *figure;
	const struct peer *peer;
	char path[PATH_MAX];
	struct contender contender;
	void (*run)(struct cycle *cycle);
	int64_t count; /* of a batch */
};

static void run_cycle(struct cycle *cycle)
{
	if (!contender_trylock(&cycle->contender))
		fail(cycle->path, cycle->peer->name, "nobody else wants it");
	contender_unlock(&cycle->contender);
}

static void run_new_cycle(struct cycle *cycle)
{
	contender_open(&cycle->contender, cycle->peer, cycle->path);
	run_cycle(cycle);
	contender_close(&cycle->contender);
}

/* How many take as long as a batch is to take? */
static int64_t count_of_batch(struct cycle *cycle)
{
	int64_t count = 0, end = now_ns() + (quick ? BATCH_NS / 10 : BATCH_NS);

	do {
		cycle->run(cycle);
		count++;
	} while (now_ns() < end);
	return count;
}

static void prepare(struct cycle *cycle, const struct peer *peer, const char *dir, int number)
{
	char suffix[16];

	*cycle = (struct cycle){ .figure = "cycle", .peer = peer, .run = run_cycle };
	snprintf(suffix, sizeof(suffix), "-%d.lock", number);
	bench_path(cycle->path, sizeof(cycle->path), dir, suffix);
	contender_open(&cycle->contender, peer, cycle->path);
	cycle->count = count_of_batch(cycle);
}

static void prepare_new(struct cycle *cycle, const struct peer *peer, const char *dir, int number)
{
	prepare(cycle, peer, dir, number);
	contender_close(&cycle->contender);
	cycle->figure = "cycle-new";
	cycle->run = run_new_cycle;
	cycle->count = count_of_batch(cycle);
}

static void run_batch(struct cycle *cycle, const char *dir)
{
	int64_t begin = now_ns();

	for (int64_t i = 0; i < cycle->count; i++)
		cycle->run(cycle);
	print_sample(cycle->figure, dir, cycle->peer->name, "-", "ns",
	             (double)(now_ns() - begin) / (double)cycle->count);
}

static int prepare_all(struct cycle *cycles, const char *dir)
{
	/* those for which a contender is a matter of some system calls */
	static const struct peer *const light[] = { &ours_peer, &flock_peer, &ofd_peer };
	int count = 0;

	for (size_t i = 0; i < peer_count; i++)
		if (peer_is_here(peers[i])) {
			prepare(&cycles[count], peers[i], dir, count);
			count++;
		}
	prepare(&cycles[count], &floor_peer, dir, count);
	count++;
	for (size_t i = 0; i < COUNT(light); i++, count++)
		prepare_new(&cycles[count], light[i], dir, count);
	return count;
}

static void finish(struct cycle *cycle)
{
	if (cycle->run == run_cycle)
		contender_close(&cycle->contender);
	/* some locks are of a file that stays */
	unlink(cycle->path);
}

static void measure(const char *dir)
{
	static struct cycle cycles[32];
	int count = prepare_all(cycles, dir);

	for (int batch = 0; batch < (quick ? 3 : BATCHES); batch++) {
		for (int i = 0; i < count; i++)
			run_batch(&cycles[i], dir);
		steps_measure(dir);
	}
	for (int i = 0; i < count; i++)
		finish(&cycles[i]);
}

int main(int argc, char **argv)
{
	stay_on_one_processor();
	bench_main(argc, argv, measure);
	return EXIT_SUCCESS;
}
