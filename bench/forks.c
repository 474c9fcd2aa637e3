/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How long does fork(2) take in a process that holds locks?
 *
 *	forks [-q] [DIRECTORY...]
 *
 * From the call until the child runs, that is, with all handlers for forks.  Each peer
 * holds its locks in a process of its own; the peers take turns.
 */
#include <config.h>

#include "bench.h"
#include "contender.h"
#include "scratch.h"
#include "worker.h"

#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOCKS_MOST     5000
#define FORKS          200
#define FORKS_QUICK    2
#define OTHER_FILES    100 /* beside the locks */
#define FILES_PER_LOCK 2   /* a lock file and its directory */
#define NUMBER_SIZE    12

static const int counts[] = { 0, 100, 1000, LOCKS_MOST };
static const struct peer *const holders[] = { &ours_peer, &flock_peer, &ofd_peer };

struct holding {
	const struct peer *peer;
	const char *path; /* the lock files' names begin with it */
	int count;
	double *us; /* of each fork */
	_Atomic int64_t child_ns;
};

static void allow_files(const struct holding *holding)
{
	rlim_t files = (rlim_t)holding->count * FILES_PER_LOCK + OTHER_FILES;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= files)
		return;
	limit.rlim_cur = files;
	if (limit.rlim_max < files)
		limit.rlim_max = files;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		decline(holding->path, "may not open so many files");
}

static void take_all(const struct holding *holding, struct contender *contenders)
{
	for (int i = 0; i < holding->count; i++) {
		char path[PATH_MAX + NUMBER_SIZE];

		snprintf(path, sizeof(path), "%s.%d", holding->path, i);
		contender_open(&contenders[i], holding->peer, path);
		if (!contender_trylock(&contenders[i]))
			fail(path, holding->peer->name, "the lock is held");
	}
}

static double fork_once(struct holding *holding)
{
	int64_t begin = now_ns();
	pid_t pid = fork();

	if (pid == 0) {
		holding->child_ns = now_ns();
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, NULL, 0) != pid)
		fail(holding->path, holding->peer->name, "cannot fork");
	return (double)(holding->child_ns - begin) / 1000;
}

static void hold_and_fork(void *argument)
{
	struct holding *holding = argument;
	struct contender *contenders = calloc(LOCKS_MOST, sizeof(*contenders));
	int forks = quick ? FORKS_QUICK : FORKS;

	allow_files(holding);
	if (!contenders)
		fail(holding->path, holding->peer->name, "out of memory");
	take_all(holding, contenders);
	for (int i = 0; i < forks; i++)
		holding->us[i] = fork_once(holding);
	free(contenders);
}

static void measure_one(const char *dir, const struct peer *peer, int count)
{
	struct holding *holding = worker_share(sizeof(*holding));
	char path[PATH_MAX], parameter[NUMBER_SIZE];

	scratch_make(path, sizeof(path), dir, 0);
	*holding = (struct holding){ peer, path, count, worker_share(FORKS * sizeof(*holding->us)),
		                     0 };
	worker_join(worker_start(hold_and_fork, holding));
	scratch_remove(path);
	snprintf(parameter, sizeof(parameter), "%d", count);
	for (int i = 0; i < (quick ? FORKS_QUICK : FORKS); i++)
		print_sample("fork", dir, peer->name, parameter, "us", holding->us[i]);
}

static void measure(const char *dir)
{
	for (size_t i = 0; i < COUNT(counts); i++)
		for (size_t j = 0; j < COUNT(holders); j++)
			measure_one(dir, holders[j], quick ? counts[i] / 100 : counts[i]);
}

int main(int argc, char **argv)
{
	bench_main(argc, argv, measure);
	return EXIT_SUCCESS;
}
