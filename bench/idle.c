/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What does it cost to wait?
 *
 *	idle [-s SECONDS] [DIRECTORY...]
 *
 * One process sleeps in line for each kind of lock, all at the same time, for 10
 * seconds unless told otherwise.
 */
#include <config.h>

#include "bench.h"
#include "contender.h"
#include "kind.h"
#include "worker.h"

#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define REPETITIONS 5

struct line {
	enum kind kind;
	char path[PATH_MAX];
	struct contender holder;
	pid_t waiter;
	atomic_bool *going;
	int64_t cpu_ns;
};

static int seconds = 10;

static void waiter(void *argument)
{
	struct line *line = argument;
	struct contender contender;

	contender_open(&contender, kind_peer(line->kind), line->path);
	*line->going = true;
	contender_lock(&contender);
	contender_unlock(&contender);
	contender_close(&contender);
}

static void form(struct line *line, enum kind kind, const char *dir)
{
	line->kind = kind;
	line->going = worker_share(sizeof(*line->going));
	bench_path(line->path, sizeof(line->path), dir, kind_name(kind));
	contender_open(&line->holder, kind_peer(kind), line->path);
	contender_lock(&line->holder);
	line->waiter = worker_start(waiter, line);
	while (!*line->going)
		sleep_us(50);
	worker_await_sleep(line->waiter);
	line->cpu_ns = worker_cpu_ns(line->waiter);
}

static double dissolve(struct line *line)
{
	int64_t cpu_ns = worker_cpu_ns(line->waiter) - line->cpu_ns;

	contender_unlock(&line->holder);
	contender_close(&line->holder);
	worker_join(line->waiter);
	unlink(line->path);
	return (double)cpu_ns / 1000;
}

static void measure(const char *dir)
{
	static double us[KINDS][REPETITIONS];
	struct line lines[KINDS];

	for (int i = 0; i < REPETITIONS; i++) {
		for (int kind = 0; kind < KINDS; kind++)
			form(&lines[kind], (enum kind)kind, dir);
		sleep((unsigned int)seconds);
		for (int kind = 0; kind < KINDS; kind++)
			us[kind][i] = dissolve(&lines[kind]);
	}
	printf("%s: us of processor time in %d s of waiting, %d repetitions: "
	       "median, least .. most\n\n",
	       dir, seconds, REPETITIONS);
	for (int kind = 0; kind < KINDS; kind++)
		print_spread(kind_name((enum kind)kind), spread_of(us[kind], REPETITIONS));
	printf("\n");
}

int main(int argc, char **argv)
{
	if (getopt(argc, argv, "s:") == 's') {
		seconds = atoi(optarg);
		if (seconds <= 0)
			fail(optarg, "seconds", "not a positive number");
	}
	measure_in(argv + optind, measure);
	return EXIT_SUCCESS;
}
