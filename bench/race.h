/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * race - contenders for the lock of a dead holder, round by round, and who looks on
 *
 * At the start of a round the lock is one whose holder was killed: a process that
 * took it through the peer and died, so whatever the peer leaves behind is there.
 * The contenders live from round to round.  They meet at a barrier and try once
 * each; who believes to have the lock enters the section that a detector watches
 * (tests/detector.h), leaves it, and only then unlocks.
 */
#ifndef RACE_H
#define RACE_H

#include "contender.h"

#include <stdbool.h>

#define RACE_CONTENDERS_MAX 32
#define RACE_ROUNDS_MAX     100 /* of one call of race_run() */

struct race {
	const struct peer *peer;
	const char *path;   /* of the lock */
	const char *marker; /* the detector's; in another directory */
	unsigned int contenders;
	/* Who has the lock stays until all have tried; else for 200 us. */
	bool keeps;
};

struct race_score {
	unsigned int rounds;
	unsigned int taken;  /* rounds in which anybody had the lock */
	unsigned int shared; /* rounds in which two were inside at once */
	unsigned int failed; /* contenders that met an error, and were replaced */
};

/* Adds to the score.  A failure beside the race itself ends the program. */
void race_run(const struct race *race, unsigned int rounds, struct race_score *score);

#endif
