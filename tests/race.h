/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * race - processes that compete for one lock: started, killed, watched, counted
 *
 * A race takes place in the current directory.  Failures that a racer meets are
 * noted in shared memory and asserted by the test at the end of the race.
 */
#ifndef RACE_H
#define RACE_H

#include "detector.h"
#include "locker.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define CREW_MAX   32
#define FOR_EVER_S 30U   /* who waits for so long waits for ever */
#define US         1000U /* in ns */

/* How candidates are made; mixed: every other racer makes them without. */
enum way { WITH_TMPFILE, WITHOUT_TMPFILE, MIXED, WAYS };

/*
 * What is there when a race begins: nothing, or a dead process's lock file, with
 * what another left that had been killed when it was about to replace the file.
 */
enum start { FRESH, STALE_FOREIGN, STALE_OWN, STALE_AND_LEFTOVER, STARTS };

/* What the processes of a race share. */
struct shared {
	pthread_barrier_t barrier;
	atomic_bool stop;
	atomic_int failed; /* of a bool not every machine has an exchange */
	char failure[160]; /* the first one */
	atomic_int dead;   /* the PID of a process that is no more */
	atomic_uint winners;
};

struct racer {
	uint32_t number; /* never used again; 0: there is none */
	pid_t pid;
};

struct race {
	const struct locker *locker;
	enum way way;
	struct shared *shared;
	struct detector *detector;
	uint64_t random;
	uint32_t numbers;
	unsigned int kills;
	unsigned int leftovers; /* auxiliary files of killed contenders */
	unsigned int size;
	struct racer crew[CREW_MAX];
};

typedef void racer_body(struct race *race, uint32_t number);

/* For a crew of that size; skips the test where the way is not to be had. */
void race_begin(struct race *race, const struct locker *locker, enum way way, unsigned int size);
/*
 * Asks the crew to stop and waits for it; asserts that nothing failed and that
 * nothing is left in the lock's directory.
 */
void race_end(struct race *race, struct findings *ret);
void race_plant(struct race *race, enum start start);
/*
 * Asserts that nothing is left in the lock's directory.  Contenders that were
 * killed may have left the auxiliary file, if nobody has needed its name since;
 * then it has to go with the next takeover.
 */
void race_expect_nothing_left(struct race *race);

void race_start(struct race *race, struct racer *racer, racer_body *body);
/*
 * Kills.  The racer ends some time later, and not before the system call that it
 * is in; then it is a zombie until it is reaped.
 */
void race_slay(struct race *race, const struct racer *racer);
void race_await_zombie(const struct racer *racer);
/* Waits for the end of the racer, if there is one. */
void race_reap(struct race *race, struct racer *racer);
/* From start to end. */
void race_run(struct race *race, racer_body *body);

/* For racers */

/* Notes a failure if the result of a trusted locker is not as expected. */
void race_expect(struct race *race, const char *what, int result, int expected);
void *race_open(struct race *race);
int race_lock(struct race *race, void *handle);
void race_hold(struct race *race, uint32_t number, uint32_t ns);
/* Unlocks; leave_stale: as if the holder had been a foreign program, and died. */
void race_unlock(struct race *race, void *handle, bool leave_stale);
/* A racer that waits for the lock, holds it for 300 us, unlocks and ends. */
racer_body race_lock_once;

/* Chance, and volumes by the environment; see test-race.c. */
unsigned int below(struct race *race, unsigned int limit);
unsigned int volume(unsigned int count);
void nap(unsigned int ns);

#endif
