/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pace - how much is done of what is done again and again, or in all orders
 *
 * All of it, where the environment does not say TEST_PACE=N: then every Nth.  That is
 * for machines on which a process takes N times as long to start, of which some
 * virtual ones take more than anything else (scripts/pace).  Time-outs are N times as long.
 *
 * TEST_EACH=N runs one of N tests of a program alone, where each row of a table is a
 * test: where all have run before, and run again in another build.  A test that is asked
 * for by its name (CK_RUN_CASE) is run with all its rows.
 */
#ifndef PACE_H
#define PACE_H

#include <stdbool.h>

/* That N, or 1. */
int pace(void);

/* Is this one of every Nth?  They are counted from 0. */
bool pace_takes(long number);

/* Is this one of the tests to be run?  They are counted from 0, too. */
bool pace_runs(int test);

/* Are all tests of the program run? */
bool pace_runs_all(void);

/* How many of so many rounds, times the factor that this variable has: one at least. */
unsigned int pace_volume(unsigned int rounds, const char *factor_variable);

#endif
