/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * detector - do two processes ever hold a lock at the same time?
 *
 * It knows nothing of the lock under test and uses none.  Whoever believes to
 * hold the lock enters the section, stays, leaves it and only then unlocks.
 * Three independent witnesses look on:
 *
 * slot	The holder puts itself into one word of shared memory by an atomic
 *	exchange and takes itself out by another.  Not empty on entry, or not
 *	oneself on leaving: somebody else is inside.
 *
 * marker	The holder creates a file with O_EXCL, in another directory than the
 *	lock's, and unlinks it on leaving.  There on entry, or gone on leaving:
 *	somebody else is inside.
 *
 * interval	The holder notes in shared memory when it came and, again and
 *	again while it stays, how long it has been there.  When all is over, the
 *	intervals are sorted; two that overlap are two holders.
 *
 * Holders are killed inside the section.  That must be no alarm, and no excuse:
 *
 * - The slot keeps a killed holder, and the marker stays.  Who kills says so
 *	(detector_doom()) *before* the kill, so that whoever comes in after a
 *	killed holder can tell it from a living one; nobody but the killer knows.
 * - The marker belongs to whom the slot names: the slot is taken before the
 *	marker is made and given back after it is unlinked.  So a marker on entry
 *	may be cleared if the slot names a doomed holder, and only then.
 * - Doomed is not yet dead: slot and marker are blind from the doom to the
 *	death.  The intervals are not.  Time goes by one clock for all processors
 *	(CLOCK_MONOTONIC), a killed holder's interval ends with its last sign of
 *	life, and no mercy is given to it: who enters before that overlaps.
 *	Unseen remains what a doomed holder does between its last sign of life
 *	and its death, at most a few system calls.
 * - An interval lies inside the time for which the lock is held, since both of
 *	its ends are taken between lock and unlock.  So a correct lock gives no
 *	false alarm however the scheduler behaves.
 */
#ifndef DETECTOR_H
#define DETECTOR_H

#include <stdbool.h>
#include <stdint.h>

struct detector; /* in memory that is shared with children of fork(2) */

/* A stay in the section. */
struct stay {
	uint32_t interval;
	bool marked;
};

struct findings {
	unsigned int stays;
	unsigned int slot;
	unsigned int marker;
	unsigned int intervals;
};

/* The greatest number that a racer can have; the least is 1. */
#define DETECTOR_RACERS ((1U << 22) - 1)

/* @marker is copied; the directory must not be the lock's. */
struct detector *detector_new(const char *marker);
void detector_free(struct detector *detector);

void detector_enter(struct detector *detector, struct stay *stay, uint32_t racer);
void detector_stay(struct detector *detector, const struct stay *stay, uint32_t ns);
void detector_leave(struct detector *detector, const struct stay *stay);

/* The racer is about to be killed. */
void detector_doom(struct detector *detector, uint32_t racer);
bool detector_is_doomed(struct detector *detector, uint32_t racer);
/* How often was the section entered so far? */
uint32_t detector_stays(struct detector *detector);
/* Who is inside just now?  0: nobody. */
uint32_t detector_inside(struct detector *detector);
/* What was found.  Once, at the end, when all racers are gone. */
void detector_findings(struct detector *detector, struct findings *ret);

int64_t now_ns(void);

#endif
