/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What does an acquisition cost with so many in line?
 *
 *	contention [-n WAITERS] [-k KIND] [DIRECTORY...]
 *
 * Waiters hold the lock 200 us each, busily, and want it again at once; or each
 * is a process that ends after its turn, and another takes its place at the end
 * of the line.  Time is taken from the release of a first lock, with all of them
 * asleep in line, to an acquisition whose number was chosen before.  That one
 * keeps the lock until the others' processor time has been read.
 *
 * -n and -k: for one number of waiters, for one kind of lock (0, 1, 2) only.
 */
#include <config.h>

#include "bench.h"
#include "contender.h"
#include "kind.h"
#include "worker.h"

#include <errno.h>
#include <limits.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define REPETITIONS 5
#define HOLD_NS     200000
#define TURNS       2000 /* measured, or two for each waiter */
#define SETTLE_US   20000

enum { STAY, EXIT, MODES };

static const int sizes[] = { 2, 4, 16, 64, 256, 1000 };
#define MOST_WAITERS 1000

struct slot {
	int index, turns;
	pid_t pid;
};

struct crowd {
	enum kind kind;
	int mode, size, last_turn;
	char path[PATH_MAX];
	atomic_int going, taken, holders, overlaps;
	atomic_bool over;
	sem_t last_holds, go_on;
	int64_t end_ns;
	struct slot slots[MOST_WAITERS];
};

struct result {
	double wall_us[REPETITIONS], cpu_us[REPETITIONS]; /* an acquisition */
	double fewest[REPETITIONS], most[REPETITIONS];    /* turns of a waiter */
};

static struct result results[MODES][COUNT(sizes)][KINDS];
static int only_size, only_kind = -1;
static struct crowd *crowd;

static void hold(void)
{
	int64_t end = now_ns() + HOLD_NS;

	while (now_ns() < end)
		;
}

static void take_turn(struct contender *contender, struct slot *slot)
{
	contender_lock(contender);
	if (!crowd->over) {
		if (crowd->holders++ != 0)
			crowd->overlaps++;
		slot->turns++;
		if (++crowd->taken == crowd->last_turn) {
			crowd->end_ns = now_ns();
			sem_post(&crowd->last_holds);
			sem_wait(&crowd->go_on);
		} else {
			hold();
		}
		crowd->holders--;
	}
	contender_unlock(contender);
}

static void waiter(void *argument)
{
	struct slot *slot = argument;
	struct contender contender;

	contender_open(&contender, kind_peer(crowd->kind), crowd->path);
	crowd->going++;
	do
		take_turn(&contender, slot);
	while (crowd->mode == STAY && !crowd->over);
	contender_close(&contender);
}

static void start(struct slot *slot)
{
	slot->pid = worker_start(waiter, slot);
}

static struct slot *slot_of(pid_t pid)
{
	for (int i = 0; i < crowd->size; i++)
		if (crowd->slots[i].pid == pid)
			return &crowd->slots[i];
	fail("worker", "wait", "not one of ours");
}

/* Each that has had its turn makes room for another. */
static void replace_those_who_leave(int count)
{
	while (count-- > 0) {
		int status;
		pid_t pid = wait(&status);

		if (pid < 0 || status != 0)
			fail("worker", "end", "not a good one");
		start(slot_of(pid));
	}
}

static double cpu_us(void)
{
	struct rusage gone;
	int64_t ns = 0;

	for (int i = 0; i < crowd->size; i++)
		ns += worker_cpu_ns(crowd->slots[i].pid);
	getrusage(RUSAGE_CHILDREN, &gone);
	return (double)ns / 1000 + 1e6 * (double)(gone.ru_utime.tv_sec + gone.ru_stime.tv_sec) +
	       (double)(gone.ru_utime.tv_usec + gone.ru_stime.tv_usec);
}

static void form_line(void)
{
	for (int i = 0; i < crowd->size; i++)
		start(&crowd->slots[i]);
	while (crowd->going < crowd->size)
		sleep_us(1000);
	for (int i = 0; i < crowd->size; i++)
		worker_await_sleep(crowd->slots[i].pid);
}

static void note(struct result *result, int repetition, double wall_us, double spent_us)
{
	int fewest = INT_MAX, most = 0;

	for (int i = 0; i < crowd->size; i++) {
		int turns = crowd->slots[i].turns;

		fewest = turns < fewest ? turns : fewest;
		most = turns > most ? turns : most;
	}
	result->wall_us[repetition] = wall_us / crowd->last_turn;
	result->cpu_us[repetition] = spent_us / crowd->last_turn;
	result->fewest[repetition] = fewest;
	result->most[repetition] = most;
	if (crowd->overlaps > 0)
		fail(crowd->path, kind_name(crowd->kind), "two held the lock");
}

static void contend(struct result *result, int repetition)
{
	struct contender contender;
	double spent;
	int64_t begin;

	contender_open(&contender, kind_peer(crowd->kind), crowd->path);
	contender_lock(&contender);
	form_line();
	spent = cpu_us();
	begin = now_ns();
	contender_unlock(&contender);
	if (crowd->mode == EXIT)
		replace_those_who_leave(crowd->last_turn - 1);
	sem_wait(&crowd->last_holds);
	sleep_us(SETTLE_US);
	note(result, repetition, (double)(crowd->end_ns - begin) / 1000, cpu_us() - spent);
	crowd->over = true;
	sem_post(&crowd->go_on);
	for (int i = 0; i < crowd->size; i++)
		worker_join(crowd->slots[i].pid);
	contender_close(&contender);
	unlink(crowd->path);
}

static void run(const char *dir, int mode, int size, enum kind kind, struct result *result,
                int repetition)
{
	memset(crowd, 0, sizeof(*crowd));
	crowd->kind = kind;
	crowd->mode = mode;
	crowd->size = size;
	crowd->last_turn = 2 * size > TURNS ? 2 * size : TURNS;
	bench_path(crowd->path, sizeof(crowd->path), dir, ".pid");
	sem_init(&crowd->last_holds, 1, 0);
	sem_init(&crowd->go_on, 1, 0);
	for (int i = 0; i < size; i++)
		crowd->slots[i].index = i;
	contend(result, repetition);
}

static bool is_wanted(size_t size, int kind)
{
	return (only_size == 0 || sizes[size] == only_size) && (only_kind < 0 || kind == only_kind);
}

static void report_size(int mode, size_t size)
{
	double flock_cpu = spread_of(results[mode][size][FLOCK].cpu_us, REPETITIONS).median;

	for (int kind = 0; kind < KINDS; kind++) {
		struct result *result = &results[mode][size][kind];
		struct spread wall = spread_of(result->wall_us, REPETITIONS);
		struct spread cpu = spread_of(result->cpu_us, REPETITIONS);

		if (!is_wanted(size, kind))
			continue;
		printf("  %5d %-12s %7.0f %8.1f (%7.1f ..%8.1f) %8.1f (%7.1f ..%8.1f) %6.2f",
		       sizes[size], kind_name((enum kind)kind), 1e6 / wall.median, wall.median,
		       wall.least, wall.most, cpu.median, cpu.least, cpu.most,
		       cpu.median / flock_cpu);
		if (mode == STAY)
			printf(" %5.0f ..%5.0f", spread_of(result->fewest, REPETITIONS).least,
			       spread_of(result->most, REPETITIONS).most);
		printf("\n");
	}
}

static void report(int mode)
{
	printf("\n  %s\n  %5s %-12s %7s %30s %30s %6s %s\n",
	       mode == STAY ? "waiters want it again at once" : "waiters exit after their turn", "",
	       "", "a s", "wall us", "CPU us", "/flock", mode == STAY ? "turns of one" : "");
	for (size_t size = 0; size < COUNT(sizes); size++)
		report_size(mode, size);
	for (int kind = 0; kind < KINDS; kind++) {
		struct result *few = &results[mode][0][kind];
		struct result *many = &results[mode][COUNT(sizes) - 1][kind];

		if (only_size == 0 && is_wanted(0, kind))
			printf("  %s: wall at %d / at %d: %.2f\n", kind_name((enum kind)kind),
			       sizes[COUNT(sizes) - 1], sizes[0],
			       spread_of(many->wall_us, REPETITIONS).median /
			               spread_of(few->wall_us, REPETITIONS).median);
	}
}

static void measure(const char *dir)
{
	for (int i = 0; i < REPETITIONS; i++)
		for (int mode = 0; mode < MODES; mode++)
			for (size_t size = 0; size < COUNT(sizes); size++)
				for (int kind = 0; kind < KINDS; kind++)
					if (is_wanted(size, kind))
						run(dir, mode, sizes[size], (enum kind)kind,
						    &results[mode][size][kind], i);
	printf("%s: an acquisition held %d us, %d repetitions: median (least .. most)\n", dir,
	       HOLD_NS / 1000, REPETITIONS);
	for (int mode = 0; mode < MODES; mode++)
		report(mode);
	printf("\n");
}

int main(int argc, char **argv)
{
	int option;

	while ((option = getopt(argc, argv, "n:k:")) != -1) {
		if (option == 'n')
			only_size = atoi(optarg);
		else if (option == 'k')
			only_kind = atoi(optarg);
		else
			return EXIT_FAILURE;
	}
	crowd = worker_share(sizeof(*crowd));
	measure_in(argv + optind, measure);
	return EXIT_SUCCESS;
}
