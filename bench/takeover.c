/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How long from the death of a holder to the lock in another process?
 *
 *	takeover [DIRECTORY...]
 *
 * From just before SIGKILL is sent until the call to lock returns, in a process
 * that sleeps in line.
 */
#include <config.h>

#include "bench.h"
#include "contender.h"
#include "kind.h"
#include "worker.h"

#include <limits.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define REPETITIONS 7
#define TAKEOVERS   50

struct scene {
	sem_t held;
	atomic_bool going;
	_Atomic int64_t locked_ns;
	enum kind kind;
	char path[PATH_MAX];
};

/* In us: medians of repetitions, and all there is. */
static double medians[KINDS][REPETITIONS];
static double all[KINDS][REPETITIONS * TAKEOVERS];

static void holder(void *argument)
{
	struct scene *scene = argument;
	struct contender contender;

	contender_open(&contender, kind_peer(scene->kind), scene->path);
	contender_lock(&contender);
	sem_post(&scene->held);
	for (;;)
		pause();
}

static void successor(void *argument)
{
	struct scene *scene = argument;
	struct contender contender;

	contender_open(&contender, kind_peer(scene->kind), scene->path);
	scene->going = true;
	contender_lock(&contender);
	scene->locked_ns = now_ns();
	contender_unlock(&contender);
	contender_close(&contender);
}

static double take_over(struct scene *scene)
{
	pid_t first = worker_start(holder, scene), second;
	int64_t begin;

	sem_wait(&scene->held);
	scene->going = false;
	second = worker_start(successor, scene);
	while (!scene->going)
		sleep_us(50);
	worker_await_sleep(second);
	begin = now_ns();
	worker_kill(first);
	worker_join(second);
	return (double)(scene->locked_ns - begin) / 1000;
}

static void repeat(struct scene *scene, int repetition)
{
	for (int kind = 0; kind < KINDS; kind++) {
		double *us = all[kind] + repetition * TAKEOVERS;

		scene->kind = (enum kind)kind;
		for (int i = 0; i < TAKEOVERS; i++)
			us[i] = take_over(scene);
		medians[kind][repetition] = spread_of(us, TAKEOVERS).median;
		unlink(scene->path);
	}
}

static void measure(const char *dir)
{
	struct scene *scene = worker_share(sizeof(*scene));

	sem_init(&scene->held, 1, 0);
	bench_path(scene->path, sizeof(scene->path), dir, ".pid");
	for (int i = 0; i < REPETITIONS; i++)
		repeat(scene, i);
	printf("%s: us from SIGKILL to the lock; medians of %d, %d repetitions: "
	       "median, least .. most\n\n",
	       dir, TAKEOVERS, REPETITIONS);
	for (int kind = 0; kind < KINDS; kind++) {
		struct spread each = spread_of(all[kind], REPETITIONS * TAKEOVERS);

		print_spread(kind_name((enum kind)kind), spread_of(medians[kind], REPETITIONS));
		printf("  %30s %8s  %8.2f ..%8.2f\n", "quartiles of all", "", each.low, each.high);
	}
	printf("\n");
}

int main(int argc, char **argv)
{
	(void)argc;
	measure_in(argv + 1, measure);
	return EXIT_SUCCESS;
}
