/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Do two hold a lock at once, after its holder has been killed?
 *
 *	races [-q] [DIRECTORY...]
 *
 * Samples, where PARAMETER is "ROUNDSxCONTENDERS", and " kept" with it where who
 * has the lock keeps it until all have tried, so that no time is too short to be
 * seen:
 *
 *	double		rounds in which two were inside at once
 *	double-taken	rounds in which anybody had the lock: who never takes over never
 *			has two holders either
 *
 * Environment: RACES_S, the seconds for a directory (600 if not set); a machine that is
 * slow has fewer rounds in them.
 */
#include <config.h>

#include "bench.h"
#include "race.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROUNDS            10000 /* in each of two modes */
#define ROUNDS_OF_PROGRAM 250   /* in which each try starts one */
#define TURN_OF_PROGRAM   3
#define BUDGET_S          600 /* no turns are begun after that */
#define CONTENDERS        32

#define QUICK_ROUNDS     5
#define QUICK_CONTENDERS 4

static bool is_program(const struct peer *peer)
{
	return peer == &dotlockfile_peer || peer == &lockfile_create_peer ||
	       peer == &procmail_peer || peer == &flock_command_peer || peer == &filelock_peer;
}

/* A peer, and whether who has the lock keeps it. */
struct entrant {
	struct race race;
	struct race_score score;
	unsigned int rounds, turn; /* at most, in all and in one turn */
};

static void enter(struct entrant *entrant, const struct peer *peer, bool keeps, const char *path,
                  const char *marker)
{
	*entrant = (struct entrant){
		.race = {
			.peer = peer,
			.path = path,
			.marker = marker,
			.contenders = quick ? QUICK_CONTENDERS : CONTENDERS,
			.keeps = keeps,
		},
		.rounds = quick ? QUICK_ROUNDS : is_program(peer) ? ROUNDS_OF_PROGRAM : ROUNDS,
		.turn = is_program(peer) ? TURN_OF_PROGRAM : RACE_ROUNDS_MAX,
	};
}

/* A turn of each that has rounds left; is there any? */
static bool take_turns(struct entrant *entrants, size_t count)
{
	bool any = false;

	for (size_t i = 0; i < count; i++) {
		struct entrant *entrant = &entrants[i];
		unsigned int rest = entrant->rounds - entrant->score.rounds;

		if (rest == 0)
			continue;
		any = true;
		race_run(&entrant->race, rest < entrant->turn ? rest : entrant->turn,
		         &entrant->score);
		unlink(entrant->race.path);
	}
	return any;
}

static void report(const char *dir, const struct entrant *entrant)
{
	const struct race_score *score = &entrant->score;
	const char *peer = entrant->race.peer->name;
	char parameter[64];

	snprintf(parameter, sizeof(parameter), "%ux%u%s", score->rounds, entrant->race.contenders,
	         entrant->race.keeps ? " kept" : "");
	print_sample("double", dir, peer, parameter, "rounds", score->shared);
	print_sample("double-taken", dir, peer, parameter, "rounds", score->taken);
	fprintf(stderr, "%s, %s: %u of %u rounds with two holders, %u with any; %u errors\n", peer,
	        parameter, score->shared, score->rounds, score->taken, score->failed);
}

static int budget_s(void)
{
	const char *given = getenv("RACES_S");

	return given ? atoi(given) : BUDGET_S;
}

static void compete(const char *dir, const char *path, const char *marker)
{
	struct entrant *entrants = calloc(2 * peer_count, sizeof(*entrants));
	int64_t end = now_ns() + INT64_C(1000000000) * budget_s();
	size_t count = 0;

	if (!entrants)
		fail(dir, "calloc", strerror(errno));
	for (size_t i = 0; i < peer_count; i++)
		for (int keeps = 0; keeps < 2 && peer_is_here(peers[i]); keeps++)
			enter(&entrants[count++], peers[i], keeps, path, marker);
	while (take_turns(entrants, count) && now_ns() < end)
		;
	for (size_t i = 0; i < count; i++)
		report(dir, &entrants[i]);
	free(entrants);
}

/* The lock has a directory of its own, beside which the marker is made. */
static void measure(const char *dir)
{
	char own[PATH_MAX], path[PATH_MAX + 16], marker[PATH_MAX];

	bench_path(own, sizeof(own), dir, ".race");
	bench_path(marker, sizeof(marker), dir, ".inside");
	snprintf(path, sizeof(path), "%s/lock.lock", own);
	if (mkdir(own, 0755) < 0)
		fail(own, "mkdir", strerror(errno));
	compete(dir, path, marker);
	if (rmdir(own) < 0)
		fprintf(stderr, "%s: %s\n", own, strerror(errno));
}

int main(int argc, char **argv)
{
	bench_main(argc, argv, measure);
	return EXIT_SUCCESS;
}
