/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What does a lock do when its holder is not what it seems?
 *
 *	behaviour [-q] [DIRECTORY...]
 *
 * Facts, by real processes.  Each is tried some times, and where the answers differ
 * each is told, with its count.
 *
 *	reused-pid	the holder was killed, and another process has its PID
 *	zombie		the holder was killed, and nobody has waited for it
 *	orphan		the holder was killed, and a child that it had forked lives
 *	eperm		the holder is root's, who contends is another user
 *	fork-exit	a child that the holder has forked has called exit(3)
 *	container	the holder is outside of a container, who contends is in it
 *	pid1		the holder and who contends are both PID 1, of two containers
 *	pid1-dead	the same, and the holder was killed with its container
 *
 * A process tries once.  One that a dead holder keeps out tries again when the zombie
 * or the child is gone, and with an older file at last (scene.h).
 */
#include <config.h>

#include "actor.h"
#include "bench.h"
#include "contender.h"
#include "scene.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define REPETITIONS 3
#define PATIENCE_S  300
#define NOBODY      65534
#define MS_PER_TICK 10 /* of start times */

static const struct place here = { .user = 0 };
static const struct place first_of_container = { .container = true };
static const struct place inside_container = { .container = true, .below = true };
static const struct place of_another = { .user = NOBODY };

/* Experiments */

static int64_t boot_ticks(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return ((int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000) / MS_PER_TICK;
}

/* No number is in use again so soon that both processes started at the same time. */
static void pass_a_tick(void)
{
	int64_t then = boot_ticks();

	while (boot_ticks() == then)
		sleep_us(1000);
}

static void reuse_pid(struct scene *scene)
{
	pid_t pid;

	if (!scene_hold(scene, &here))
		return;
	pid = scene->holder.pid;
	pass_a_tick();
	actor_kill(&scene->holder);
	actor_reap(&scene->holder);
	scene->idler = idler_start(pid);
	if (scene->idler == pid)
		scene_succeed(scene, &here, NULL, NULL);
	else
		scene_answer(scene, "not tried: %s", strerror(errno));
}

static void reap(struct scene *scene)
{
	actor_reap(&scene->holder);
}

static void leave_zombie(struct scene *scene)
{
	if (!scene_hold(scene, &here))
		return;
	actor_kill(&scene->holder);
	scene_succeed(scene, &here, reap, "zombie");
}

/* It is ours, since its parent is gone. */
static void end_orphan(struct scene *scene)
{
	actor_forget(&scene->holder);
	if (wait(NULL) < 0)
		fail(scene->path, "end of an orphan", strerror(errno));
}

static void leave_orphan(struct scene *scene)
{
	char done;

	if (!scene_hold(scene, &here) || !scene_told(scene, &scene->holder, FORK, &done))
		return;
	actor_kill(&scene->holder);
	actor_reap(&scene->holder);
	scene_succeed(scene, &here, end_orphan, "child");
}

static void contend_as_another(struct scene *scene)
{
	if (geteuid() != 0)
		scene_answer(scene, "not tried: not root");
	else if (scene_hold(scene, &here))
		scene_judge(scene, &of_another, "stolen", "kept out");
}

static void fork_and_exit(struct scene *scene)
{
	char done;

	if (scene_hold(scene, &here) && scene_told(scene, &scene->holder, FORK_AND_EXIT, &done))
		scene_judge(scene, &here, "lost", "kept");
}

/* Where no process has the holder's number. */
static void contend_inside(struct scene *scene)
{
	if (scene_hold(scene, &here))
		scene_judge(scene, &inside_container, "stolen", "kept out");
}

static void be_both_the_first(struct scene *scene)
{
	if (scene_hold(scene, &first_of_container))
		scene_judge(scene, &first_of_container, "stolen", "kept out");
}

static void follow_the_first(struct scene *scene)
{
	if (!scene_hold(scene, &first_of_container))
		return;
	actor_kill(&scene->holder);
	actor_reap(&scene->holder);
	scene_succeed(scene, &first_of_container, NULL, NULL);
}

static const struct experiment {
	const char *figure;
	void (*run)(struct scene *scene);
} experiments[] = {
	{ "reused-pid", reuse_pid },    { "zombie", leave_zombie },
	{ "orphan", leave_orphan },     { "eperm", contend_as_another },
	{ "fork-exit", fork_and_exit }, { "container", contend_inside },
	{ "pid1", be_both_the_first },  { "pid1-dead", follow_the_first },
};

/* All of them */

static void report(const char *dir, const char *figure, const char *peer,
                   const struct scene *scenes, int count)
{
	char counted[sizeof(scenes->answer) + 32];

	for (int i = 0; i < count; i++) {
		int same = 0, first = count;

		for (int j = count - 1; j >= 0; j--)
			if (strcmp(scenes[i].answer, scenes[j].answer) == 0) {
				same++;
				first = j;
			}
		snprintf(counted, sizeof(counted), "%s (%d of %d)", scenes[i].answer, same, count);
		if (first == i)
			print_fact(figure, dir, peer, "-",
			           same == count ? scenes[i].answer : counted);
	}
}

static void try_peer(const char *dir, const struct experiment *experiment, const struct peer *peer)
{
	static struct scene scenes[REPETITIONS];
	int count = quick ? 1 : REPETITIONS;

	for (int i = 0; i < count; i++) {
		scene_set(&scenes[i], peer, dir);
		alarm(PATIENCE_S);
		experiment->run(&scenes[i]);
		scene_strike(&scenes[i]);
		alarm(0);
	}
	report(dir, experiment->figure, peer->name, scenes, count);
}

static void measure(const char *dir)
{
	for (size_t i = 0; i < COUNT(experiments); i++)
		for (size_t j = 0; j < peer_count; j++)
			if (peer_is_here(peers[j]))
				try_peer(dir, &experiments[i], peers[j]);
}

int main(int argc, char **argv)
{
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		fail("orphans", "adopt", strerror(errno));
	bench_main(argc, argv, measure);
	return EXIT_SUCCESS;
}
