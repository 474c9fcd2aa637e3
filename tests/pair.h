/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pair - what any two processes that can reach a path owe each other, wherever
 * they live
 *
 * Both were started for the same lock and hold nothing; so it is afterwards,
 * where they live on.
 */
#ifndef PAIR_H
#define PAIR_H

#include "common.h"

/* While one holds, the other does not; seen is the PID that it is told, 0: none. */
void pair_excludes(struct holder *a, struct holder *b, pid_t seen);
/* A release wakes the one that waits: it does not just look by itself, once a second. */
void pair_wakes(struct holder *a, struct holder *b);
/* The other has the lock of a dead one at once, after a look that says so. */
void pair_inherits(struct holder *a, struct holder *b, pid_t seen);
/* One that waits has it, too. */
void pair_notices(struct holder *a, struct holder *b);

#endif
