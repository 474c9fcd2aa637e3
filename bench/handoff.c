/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How long from the release in one process to the lock in another?
 *
 *	handoff [DIRECTORY...]
 *
 * The other sleeps in line when the first begins to unlock, and it is over when
 * its call to lock returns.  Once each of the two has a processor of its own; once
 * the scheduler puts them where it likes, which is often one after the other on the
 * same.  A lock that is a file cannot be cheaper than the
 * sum of a hand-off of flock(2), for waking up, and of a create, write, close
 * and unlink, for the file.
 */
#include <config.h>

#include "bench.h"
#include "contender.h"
#include "kind.h"
#include "worker.h"

#include <limits.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define REPETITIONS 9
#define HANDOFFS    300
#define PAUSE_US    200

struct meeting {
	sem_t begin, end;
	atomic_int going; /* the hand-off for which the waiter goes in line */
	_Atomic int64_t locked_ns;
	bool apart;
	enum kind kind;
	char path[PATH_MAX];
};

/* In us: medians of repetitions, and all there is. */
static double medians[KINDS + 1][REPETITIONS];
static double all[KINDS + 1][REPETITIONS * HANDOFFS];

static void waiter(void *argument)
{
	struct meeting *meeting = argument;
	struct contender contender;

	if (meeting->apart)
		stay_on_processor(1);
	contender_open(&contender, kind_peer(meeting->kind), meeting->path);
	for (int i = 1; i <= HANDOFFS; i++) {
		sem_wait(&meeting->begin);
		meeting->going = i;
		contender_lock(&contender);
		meeting->locked_ns = now_ns();
		contender_unlock(&contender);
		sem_post(&meeting->end);
	}
	contender_close(&contender);
}

static double hand_off(struct meeting *meeting, struct contender *contender, pid_t other, int i)
{
	int64_t begin;

	contender_lock(contender);
	sem_post(&meeting->begin);
	while (meeting->going != i)
		sleep_us(50);
	worker_await_sleep(other);
	sleep_us(PAUSE_US);
	begin = now_ns();
	contender_unlock(contender);
	sem_wait(&meeting->end);
	return (double)(meeting->locked_ns - begin) / 1000;
}

static void hand_off_all(struct meeting *meeting, enum kind kind, double us[HANDOFFS])
{
	struct contender contender;
	pid_t other;

	meeting->kind = kind;
	meeting->going = 0;
	other = worker_start(waiter, meeting);
	contender_open(&contender, kind_peer(kind), meeting->path);
	for (int i = 0; i < HANDOFFS; i++)
		us[i] = hand_off(meeting, &contender, other, i + 1);
	contender_close(&contender);
	worker_join(other);
	unlink(meeting->path);
}

/* After a pause, as before a hand-off: what comes out of the blue is dearer than what is repeated. */
static void create_all(const char *path, double us[HANDOFFS])
{
	for (int i = 0; i < HANDOFFS; i++) {
		int64_t begin;

		sleep_us(PAUSE_US);
		begin = now_ns();
		create_and_unlink(path);
		us[i] = (double)(now_ns() - begin) / 1000;
	}
}

static void repeat(struct meeting *meeting, int repetition)
{
	for (int row = 0; row <= KINDS; row++) {
		double *us = all[row] + repetition * HANDOFFS;

		if (row < KINDS)
			hand_off_all(meeting, (enum kind)row, us);
		else
			create_all(meeting->path, us);
		medians[row][repetition] = spread_of(us, HANDOFFS).median;
	}
}

static void report(void)
{
	double ratios[REPETITIONS];

	for (int i = 0; i < REPETITIONS; i++)
		ratios[i] = medians[OURS][i] / (medians[FLOCK][i] + medians[KINDS][i]);
	for (int row = 0; row <= KINDS; row++) {
		struct spread each = spread_of(all[row], REPETITIONS * HANDOFFS);

		print_spread(row < KINDS ? kind_name((enum kind)row) :
		                           "create, write, close, unlink",
		             spread_of(medians[row], REPETITIONS));
		printf("  %30s %8s  %8.2f ..%8.2f\n", "quartiles of all", "", each.low, each.high);
	}
	print_spread("lockfile-pid / (flock + file)", spread_of(ratios, REPETITIONS));
	printf("\n");
}

/* In a process of its own, since it may be pinned. */
static void measure_one_way(void *argument)
{
	struct meeting *meeting = argument;

	if (meeting->apart)
		stay_on_processor(0);
	for (int i = 0; i < REPETITIONS; i++)
		repeat(meeting, i);
	report();
	fflush(stdout);
}

static void measure(const char *dir)
{
	struct meeting *meeting = worker_share(sizeof(*meeting));

	sem_init(&meeting->begin, 1, 0);
	sem_init(&meeting->end, 1, 0);
	bench_path(meeting->path, sizeof(meeting->path), dir, ".pid");
	for (int apart = 1; apart >= 0; apart--) {
		printf("%s: us a hand-off, %s; medians of %d, %d repetitions: "
		       "median, least .. most\n\n",
		       dir, apart ? "each on its processor" : "not pinned", HANDOFFS, REPETITIONS);
		meeting->apart = apart;
		worker_join(worker_start(measure_one_way, meeting));
	}
}

int main(int argc, char **argv)
{
	(void)argc;
	measure_in(argv + 1, measure);
	return EXIT_SUCCESS;
}
