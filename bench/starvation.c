/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Does one that waits get the lock from one that takes it again and again?
 *
 *	starvation [DIRECTORY...]
 *
 * A process locks and unlocks in a tight loop, or does so by trylock.  Another
 * locks and unlocks too, with a pause of 1 ms in between, or with none.
 */
#include <config.h>

#include "bench.h"
#include "contender.h"
#include "kind.h"
#include "worker.h"

#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define REPETITIONS 5
#define RUN_NS      INT64_C(500000000)
#define PAUSE_US    1000
#define WAITS       100000

struct contest {
	atomic_bool over, trylock;
	atomic_long taken; /* by the loop */
	atomic_int ready;
	enum kind kind;
	char path[PATH_MAX];
};

struct result {
	double longest[REPETITIONS], median[REPETITIONS]; /* of the waits, in us */
	double share[REPETITIONS];                        /* of acquisitions, in % */
};

static const struct variant {
	const char *name;
	bool trylock;
	int pause_us;
} variants[] = {
	{ "lock; waiter pauses 1 ms", false, PAUSE_US },
	{ "trylock; waiter pauses 1 ms", true, PAUSE_US },
	{ "lock; waiter at once", false, 0 },
	{ "trylock; waiter at once", true, 0 },
};

static struct result results[COUNT(variants)][KINDS];
static double waits[WAITS];

static void loop(void *argument)
{
	struct contest *contest = argument;
	struct contender contender;

	contender_open(&contender, kind_peer(contest->kind), contest->path);
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
	int64_t end = now_ns() + RUN_NS, begin = now_ns();
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

static void compete(struct contest *contest, const struct variant *variant, struct result *result,
                    int repetition)
{
	struct contender contender;
	struct spread spread;
	pid_t other;
	size_t count;
	long taken;

	contest->over = false;
	contest->trylock = variant->trylock;
	contest->ready = 0;
	other = worker_start(loop, contest);
	contender_open(&contender, kind_peer(contest->kind), contest->path);
	while (contest->ready == 0)
		sleep_us(50);
	taken = contest->taken;
	count = wait_again_and_again(&contender, variant->pause_us);
	taken = contest->taken - taken;
	contest->over = true;
	contender_close(&contender);
	worker_join(other);
	unlink(contest->path);
	spread = spread_of(waits, count < WAITS ? count : WAITS);
	result->longest[repetition] = spread.most;
	result->median[repetition] = spread.median;
	result->share[repetition] = 100.0 * (double)count / (double)(count + (size_t)taken);
}

static void report(size_t variant)
{
	printf("  %s\n", variants[variant].name);
	for (int kind = 0; kind < KINDS; kind++) {
		struct result *result = &results[variant][kind];

		printf("    %s\n", kind_name((enum kind)kind));
		print_spread("    longest wait, us", spread_of(result->longest, REPETITIONS));
		print_spread("    median wait, us", spread_of(result->median, REPETITIONS));
		print_spread("    share of acquisitions, %", spread_of(result->share, REPETITIONS));
	}
}

static void measure(const char *dir)
{
	struct contest *contest = worker_share(sizeof(*contest));

	bench_path(contest->path, sizeof(contest->path), dir, ".pid");
	for (int i = 0; i < REPETITIONS; i++)
		for (size_t variant = 0; variant < COUNT(variants); variant++)
			for (int kind = 0; kind < KINDS; kind++) {
				contest->kind = (enum kind)kind;
				compete(contest, &variants[variant], &results[variant][kind], i);
			}
	printf("%s: a waiter against a tight loop, %d repetitions: median, least .. most\n\n", dir,
	       REPETITIONS);
	for (size_t variant = 0; variant < COUNT(variants); variant++)
		report(variant);
	printf("\n");
}

int main(int argc, char **argv)
{
	(void)argc;
	measure_in(argv + 1, measure);
	return EXIT_SUCCESS;
}
