/* SPDX-License-Identifier: BSD-2-Clause */
/* trials - how long until one that waits has the lock: a figure, peer by peer */
#ifndef TRIALS_H
#define TRIALS_H

#include "contender.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

struct trials;

struct figure {
	const char *name, *parameter;
	const struct peer *extra; /* beside those that wait, or NULL */
	void (*run)(struct trials *trials);
};

/* Of one peer, in a process of their own. */
struct trials {
	const struct figure *figure;
	const struct peer *peer;
	char path[PATH_MAX];
	int64_t end_ns; /* by then the last is to be over */
	int count;
	double us[300];
	bool in_vain; /* a waiter did not get the lock, in so long as one has patience */
};

/*
 * Runs trials of each peer that waits, and prints a sample for each trial.  Peers take
 * turns; but those that sleep for seconds sleep side by side, some pairs of each.
 */
void figure_measure(const struct figure *figure, const char *dir);

/* For run(): is there to be another trial?  And what it gave. */
bool trials_go_on(const struct trials *trials);
void trials_note(struct trials *trials, double us);

/*
 * The waiter sleeps, and went in line at the time given.  After this pause the lock is
 * to become free: soon, if a waiter is woken; else at a random time before its next
 * look, any as likely as the other.
 */
void trials_pause(const struct trials *trials, int64_t since_ns);

/* So long after that a waiter was woken, or has looked again. */
int trials_patience_s(const struct trials *trials);

#endif
