/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Does one that waits get the lock from one that takes it again and again?
 *
 *	starvation [-q] [DIRECTORY...]
 *
 * A process locks and unlocks in a tight loop, or does so by trylock.  Another
 * locks and unlocks too, with a pause of 1 ms in between, or with none.  Figures are
 * the longest and the median of its waits, and its share of all acquisitions.  Only
 * for peers that are woken: who sleeps between looks finds the lock free by chance.
 */
#include <config.h>

#include "bench.h"
#include "contender.h"
#include "worker.h"

#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define REPETITIONS  5
#define RUN_NS       INT64_C(500000000)
#define RUN_NS_QUICK INT64_C(20000000)
#define PAUSE_US     1000
#define WAITS        100000

struct contest {
	atomic_bool over, trylock;
	atomic_long taken; /* by the loop */
	atomic_int ready;
	const struct peer *peer;
	char path[PATH_MAX];
};

static const struct variant {
	const char *name; /* the parameter */
	bool trylock;
	int pause_us;
} variants[] = {
	{ "lock, pause 1 ms", false, PAUSE_US },
	{ "trylock, pause 1 ms", true, PAUSE_US },
	{ "lock, at once", false, 0 },
	{ "trylock, at once", true, 0 },
};

static double waits[WAITS];

static void loop(void *argument)
{
	struct contest *contest = argument;
	struct contender contender;

	contender_open(&contender, contest->peer, contest->path);
	contest->ready = 1;
	while (!contest->over) {
		if (contest->trylock) {
			if (!contender_trylock(&contender))
				continue;
		} else {
			contender_lock(&contender);
		}
		contest->taken++;
		contender_unlock(&contender);
	}
	contender_close(&contender);
}

/* Returns how often the lock was had. */
static size_t wait_again_and_again(struct contender *contender, int pause_us)
{
	int64_t end = now_ns() + (quick ? RUN_NS_QUICK : RUN_NS), begin = now_ns();
	size_t count = 0;

	while (begin < end) {
		contender_lock(contender);
		if (count < WAITS)
			waits[count] = (double)(now_ns() - begin) / 1000;
		count++;
		contender_unlock(contender);
		if (pause_us > 0)
			sleep_us(pause_us);
		begin = now_ns();
	}
	return count;
}

static void report(const char *dir, const struct peer *peer, const struct variant *variant,
                   size_t count, long taken)
{
	struct spread spread = spread_of(waits, count < WAITS ? count : WAITS);
	double share = 100.0 * (double)count / ((double)count + (double)taken);

	print_sample("starvation-longest", dir, peer->name, variant->name, "us", spread.most);
	print_sample("starvation-median", dir, peer->name, variant->name, "us", spread.median);
	print_sample("starvation-share", dir, peer->name, variant->name, "percent", share);
}

static void compete(struct contest *contest, const struct variant *variant, const char *dir)
{
	struct contender contender;
	pid_t other;
	size_t count;
	long taken;

	contest->over = false;
	contest->trylock = variant->trylock;
	contest->ready = 0;
	other = worker_start(loop, contest);
	contender_open(&contender, contest->peer, contest->path);
	while (contest->ready == 0)
		sleep_us(50);
	taken = contest->taken;
	count = wait_again_and_again(&contender, variant->pause_us);
	taken = contest->taken - taken;
	contest->over = true;
	contender_close(&contender);
	worker_join(other);
	unlink(contest->path);
	report(dir, contest->peer, variant, count, taken);
}

static void measure(const char *dir)
{
	struct contest *contest = worker_share(sizeof(*contest));

	bench_path(contest->path, sizeof(contest->path), dir, ".pid");
	for (int i = 0; i < (quick ? 1 : REPETITIONS); i++)
		for (size_t variant = 0; variant < COUNT(variants); variant++)
			for (size_t peer = 0; peer < peer_count; peer++) {
				contest->peer = peers[peer];
				if (contest->peer->waits && contest->peer->looks_s <= 0 &&
				    peer_is_here(contest->peer))
					compete(contest, &variants[variant], dir);
			}
}

int main(int argc, char **argv)
{
	bench_main(argc, argv, measure);
	return EXIT_SUCCESS;
}
