/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What does it cost to wait?
 *
 *	idle [-q] [DIRECTORY...]
 *
 * One process sleeps in line for each peer that waits, all at the same time, for 10
 * seconds.  What counts is its processor time and that of the program that it has
 * started to wait for it, each by its own clock (clock_getcpuclockid(3)), from when
 * both sleep.
 */
#include <config.h>

#include "bench.h"
#include "contender.h"
#include "family.h"
#include "scratch.h"
#include "worker.h"

#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#define REPETITIONS   5
#define WAIT_US       10000000
#define WAIT_US_QUICK 200000
#define PEERS_MAX     16

struct line {
	const struct peer *peer;
	char path[PATH_MAX];
	struct contender holder;
	pid_t waiter;
	atomic_bool *going;
	int64_t cpu_ns;
};

static void waiter(void *argument)
{
	struct line *line = argument;
	struct contender contender;

	family_begin();
	contender_open(&contender, line->peer, line->path);
	*line->going = true;
	contender_lock(&contender);
	fail(line->path, line->peer->name, "had a lock that is held");
}

static void form(struct line *line, const char *dir, int number)
{
	scratch_make(line->path, sizeof(line->path), dir, number);
	*line->going = false;
	contender_open(&line->holder, line->peer, line->path);
	contender_lock(&line->holder);
	line->waiter = worker_start(waiter, line);
	while (!*line->going)
		sleep_us(50);
	worker_await_sleep(line->waiter);
	line->cpu_ns = family_cpu_ns(line->waiter);
}

static void note(const struct line *line, const char *dir)
{
	double us = (double)(family_cpu_ns(line->waiter) - line->cpu_ns) / 1000;

	print_sample("idle", dir, line->peer->name, "-", "us", us);
}

static void dissolve(struct line *line)
{
	family_kill(line->waiter);
	family_bury(line->waiter);
	contender_unlock(&line->holder);
	contender_close(&line->holder);
	scratch_remove(line->path);
}

/* Returns how many there are. */
static int choose(struct line lines[PEERS_MAX], const char *dir)
{
	int count = 0;

	for (size_t i = 0; i < peer_count; i++) {
		if (!peer_is_here(peers[i]))
			continue;
		if (peers[i]->waits && count < PEERS_MAX) {
			lines[count].peer = peers[i];
			lines[count++].going = worker_share(sizeof(atomic_bool));
		} else {
			print_fact("idle", dir, peers[i]->name, "-", "does not wait");
		}
	}
	return count;
}

static void measure(const char *dir)
{
	struct line lines[PEERS_MAX];
	int count = choose(lines, dir);

	for (int repetition = 0; repetition < (quick ? 1 : REPETITIONS); repetition++) {
		for (int i = 0; i < count; i++)
			form(&lines[i], dir, i);
		sleep_us(quick ? WAIT_US_QUICK : WAIT_US);
		for (int i = 0; i < count; i++)
			note(&lines[i], dir);
		for (int i = 0; i < count; i++)
			dissolve(&lines[i]);
	}
}

int main(int argc, char **argv)
{
	bench_main(argc, argv, measure);
	return EXIT_SUCCESS;
}
