/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How long from the death of a holder to the lock in another process?
 *
 *	takeover [-q] [DIRECTORY...]
 *
 * From just before SIGKILL is sent until the call to lock returns, in a process
 * that sleeps in line.  "never": it had looked again, or two seconds had passed, and
 * it slept on; it gets the lock in the end because the file is removed by hand.
 */
#include <config.h>

#include "bench.h"
#include "contender.h"
#include "trials.h"
#include "worker.h"

#include <errno.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

struct scene {
	const struct trials *trials;
	sem_t held, had;                     /* by the first, and by the second */
	_Atomic int64_t going_ns, locked_ns; /* when the second went in line, and had the lock */
};

static void holder(void *argument)
{
	struct scene *scene = argument;
	struct contender contender;

	contender_open(&contender, scene->trials->peer, scene->trials->path);
	contender_lock(&contender);
	sem_post(&scene->held);
	for (;;)
		pause();
}

static void successor(void *argument)
{
	struct scene *scene = argument;
	struct contender contender;

	contender_open(&contender, scene->trials->peer, scene->trials->path);
	scene->going_ns = now_ns();
	contender_lock(&contender);
	scene->locked_ns = now_ns();
	sem_post(&scene->had);
	contender_unlock(&contender);
	contender_close(&contender);
}

static bool is_had(struct scene *scene)
{
	struct timespec end;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += trials_patience_s(scene->trials);
	while (sem_timedwait(&scene->had, &end) < 0)
		if (errno != EINTR)
			return false;
	return true;
}

static void take_over(struct scene *scene, struct trials *trials)
{
	pid_t first = worker_start(holder, scene), second;
	int64_t begin;

	sem_wait(&scene->held);
	scene->going_ns = 0;
	second = worker_start(successor, scene);
	while (scene->going_ns == 0)
		sleep_us(50);
	worker_await_sleep(second);
	trials_pause(trials, scene->going_ns);
	begin = worker_kill(first);
	trials->in_vain = !is_had(scene);
	if (trials->in_vain)
		unlink(trials->path);
	else
		trials_note(trials, (double)(scene->locked_ns - begin) / 1000);
	worker_join(second);
}

static void run(struct trials *trials)
{
	struct scene *scene = worker_share(sizeof(*scene));

	scene->trials = trials;
	sem_init(&scene->held, 1, 0);
	sem_init(&scene->had, 1, 0);
	while (trials_go_on(trials))
		take_over(scene, trials);
}

static void measure(const char *dir)
{
	static const struct figure figure = { "takeover", "-", NULL, run };

	figure_measure(&figure, dir);
}

int main(int argc, char **argv)
{
	bench_main(argc, argv, measure);
	return EXIT_SUCCESS;
}
