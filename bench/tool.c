/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How long from start to finish of a command that runs under a lock?
 *
 *	tool [-q] [DIRECTORY...]
 *
 * The command is true(1), which is measured alone as well.  What has no form with a
 * command is what a script would do: lock, command, unlock, a process for each.  In
 * each round all have their turn, in an order of its own, since it matters what has
 * run before.  Where processes start slowly there are fewer rounds.
 *
 * The tool is that which LOCKFILE_PID names in the environment, as one is installed;
 * else that of the build, whose loader has one directory more to look at.
 */
#include <config.h>

#include "bench.h"
#include "command.h"
#include "contender.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROUNDS       300
#define ROUNDS_QUICK 3
#define BUDGET_NS    INT64_C(60000000000) /* no round is begun after that */

#define STEPS 3
#define WORDS 8

/* In a command line: the lock file, and the tool. */
#define LOCK "PATH"
#define TOOL "lockfile-pid"

static const struct row {
	const char *peer;
	const char *steps[STEPS][WORDS];
} rows[] = {
	{ "true", { { "true" } } },
	{ "lockfile-pid run", { { TOOL, "run", LOCK, "true" } } },
	{ "lockfile-pid run -F", { { TOOL, "run", "-F", LOCK, "true" } } },
	{ "dotlockfile", { { "dotlockfile", "-l", "-p", "-r", "-1", LOCK, "true" } } },
	{ "lockfile-create",
	  { { "lockfile-create", "-p", "-l", LOCK },
	    { "true" },
	    { "lockfile-remove", "-l", LOCK } } },
	{ "procmail lockfile", { { "lockfile", LOCK }, { "true" }, { "rm", "-f", LOCK } } },
	{ "flock(1)", { { "flock", LOCK, "true" } } },
	{ "flock(1) -F", { { "flock", "-F", LOCK, "true" } } },
	{ "python3-filelock",
	  { { "python3", "-I", "-c",
	      "import subprocess, sys\n"
	      "from filelock import FileLock\n"
	      "with FileLock(sys.argv[1]):\n"
	      "    subprocess.run([sys.argv[2]], check=True)\n",
	      LOCK, "true" } } },
};

/* A row whose words are paths. */
struct job {
	const struct row *row;
	char path[PATH_MAX]; /* of its own: some leave their file, which locks for others */
	const char *steps[STEPS][WORDS];
};

/* NULL if it is a program that is not installed. */
static const char *resolve(const char *word, bool is_program, const char *path)
{
	if (strcmp(word, LOCK) == 0)
		return path;
	if (is_program && strcmp(word, TOOL) == 0)
		return command_find_ours();
	return is_program || strcmp(word, "true") == 0 ? command_find(word) : word;
}

static bool is_here(const struct row *row)
{
	const struct peer *peer = peer_by_name(row->peer);

	return !peer || peer_is_here(peer);
}

static bool prepare(struct job *job, const struct row *row, const char *dir)
{
	*job = (struct job){ .row = row };
	bench_path(job->path, sizeof(job->path), dir, row->peer);
	for (int step = 0; step < STEPS; step++)
		for (int i = 0; i < WORDS && row->steps[step][i]; i++) {
			job->steps[step][i] = resolve(row->steps[step][i], i == 0, job->path);
			if (!job->steps[step][i])
				return false;
		}
	return true;
}

static void run(const struct job *job)
{
	for (int step = 0; step < STEPS && job->steps[step][0]; step++)
		command_run(job->steps[step]);
}

static void measure_job(const struct job *job, const char *dir)
{
	int64_t begin = now_ns();

	run(job);
	print_sample("tool", dir, job->row->peer, "-", "us", (double)(now_ns() - begin) / 1000);
}

/* Their steps lead to their paths: what moves are pointers. */
static void shuffle(struct job **jobs, size_t count)
{
	for (size_t i = count; i > 1; i--) {
		size_t other = (size_t)rand() % i;
		struct job *job = jobs[other];

		jobs[other] = jobs[i - 1];
		jobs[i - 1] = job;
	}
}

/* Returns how many there are. */
static size_t prepare_all(struct job *jobs, const char *dir)
{
	size_t count = 0;

	for (size_t i = 0; i < COUNT(rows); i++)
		if (is_here(&rows[i]) && prepare(&jobs[count], &rows[i], dir))
			count++;
	return count;
}

static void measure(const char *dir)
{
	static struct job jobs[COUNT(rows)];
	struct job *order[COUNT(rows)];
	size_t count = prepare_all(jobs, dir);
	int64_t end = now_ns() + BUDGET_NS;

	for (size_t i = 0; i < count; i++)
		order[i] = &jobs[i];
	for (int round = 0; round < (quick ? ROUNDS_QUICK : ROUNDS) && now_ns() < end; round++) {
		shuffle(order, count);
		for (size_t i = 0; i < count; i++)
			measure_job(order[i], dir);
	}
	for (size_t i = 0; i < count; i++)
		unlink(jobs[i].path);
}

int main(int argc, char **argv)
{
	bench_main(argc, argv, measure);
	return EXIT_SUCCESS;
}
