/* SPDX-License-Identifier: BSD-2-Clause */
/* crowd - many processes that want one lock */
#ifndef CROWD_H
#define CROWD_H

#include "contender.h"

#include <limits.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define CROWD_MAX 1000

struct slot {
	struct crowd *crowd;
	atomic_int turns;
	_Atomic int64_t gone_ns; /* processor time of programs that have ended */
	pid_t pid;
};

/* In memory that its processes share. */
struct crowd {
	/* what is wanted */
	const struct peer *peer;
	bool leave; /* each ends after its turn, and another takes its place */
	int size, last_turn;
	double limit_s;
	char path[PATH_MAX];
	/* what is had: acquisitions, and what all of them took */
	int had;
	double wall_us, cpu_us;
	atomic_int overlaps;
	/* its own */
	atomic_int going, taken, holders;
	atomic_bool over;
	sem_t begin, left, last_holds;
	int64_t end_ns;
	struct slot slots[CROWD_MAX];
};

/* Work of a worker that starts all of them, measures, and kills them. */
void crowd_contend(void *crowd);

#endif
