/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How long from the release in one process to the lock in another?
 *
 *	handoff [-q] [DIRECTORY...]
 *
 * The other sleeps in line when the first begins to unlock, and it is over when
 * its call to lock returns.  Once each of the two has a processor of its own ("apart");
 * once the scheduler puts them where it likes ("free"), which is often one after the
 * other on the same.  A lock that is a file cannot be cheaper than the sum of a
 * hand-off of flock(2), for waking up, and of the floor, for the file: that is a
 * create, write, close and unlink after a pause as before a hand-off, since what
 * comes out of the blue is dearer than what is repeated.
 *
 * What sleeps between looks does so longer the longer it waits, in some peers; here
 * it is the first and shortest time.
 */
#include <config.h>

#include "bench.h"
#include "contender.h"
#include "trials.h"
#include "worker.h"

#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

struct meeting {
	const struct trials *trials;
	sem_t begin, end;
	atomic_bool over;
	_Atomic int64_t going_ns, locked_ns; /* when the waiter went in line, and had the lock */
};

static bool apart;
static int cpus[2];

static void wait_in_line(struct meeting *meeting, struct contender *contender)
{
	meeting->going_ns = now_ns();
	contender_lock(contender);
	meeting->locked_ns = now_ns();
	contender_unlock(contender);
	sem_post(&meeting->end);
}

static void waiter(void *argument)
{
	struct meeting *meeting = argument;
	struct contender contender;

	if (apart)
		stay_on_processor(cpus[1]);
	contender_open(&contender, meeting->trials->peer, meeting->trials->path);
	sem_wait(&meeting->begin);
	for (; !meeting->over; sem_wait(&meeting->begin))
		wait_in_line(meeting, &contender);
	contender_close(&contender);
}

/* In us. */
static double hand_off(struct meeting *meeting, struct contender *contender, pid_t other)
{
	int64_t begin;

	contender_lock(contender);
	meeting->going_ns = 0;
	sem_post(&meeting->begin);
	while (meeting->going_ns == 0)
		sleep_us(50);
	worker_await_sleep(other);
	trials_pause(meeting->trials, meeting->going_ns);
	begin = now_ns();
	contender_unlock(contender);
	sem_wait(&meeting->end);
	return (double)(meeting->locked_ns - begin) / 1000;
}

static void hand_off_again_and_again(struct trials *trials)
{
	struct meeting *meeting = worker_share(sizeof(*meeting));
	struct contender contender;
	pid_t other;

	meeting->trials = trials;
	sem_init(&meeting->begin, 1, 0);
	sem_init(&meeting->end, 1, 0);
	other = worker_start(waiter, meeting);
	contender_open(&contender, trials->peer, trials->path);
	while (trials_go_on(trials))
		trials_note(trials, hand_off(meeting, &contender, other));
	contender_close(&contender);
	meeting->over = true;
	sem_post(&meeting->begin);
	worker_join(other);
}

static void create_again_and_again(struct trials *trials)
{
	struct contender contender;

	contender_open(&contender, trials->peer, trials->path);
	while (trials_go_on(trials)) {
		int64_t begin;

		trials_pause(trials, now_ns());
		begin = now_ns();
		contender_trylock(&contender);
		contender_unlock(&contender);
		trials_note(trials, (double)(now_ns() - begin) / 1000);
	}
	contender_close(&contender);
}

static void run(struct trials *trials)
{
	if (apart)
		stay_on_processor(cpus[0]);
	if (trials->peer == &floor_peer)
		create_again_and_again(trials);
	else
		hand_off_again_and_again(trials);
}

static void measure(const char *dir)
{
	static const struct figure figures[] = {
		{ "handoff", "free", &floor_peer, run },
		{ "handoff", "apart", &floor_peer, run },
	};

	for (int i = 0; i < 2; i++) {
		apart = i == 1;
		if (!apart || processors(cpus, 2) == 2)
			figure_measure(&figures[i], dir);
		else
			print_fact("handoff", dir, ours_peer.name, figures[i].parameter,
			           "there is one processor");
	}
}

int main(int argc, char **argv)
{
	bench_main(argc, argv, measure);
	return EXIT_SUCCESS;
}
