/* SPDX-License-Identifier: BSD-2-Clause */
/* steps - the calls of an operation, one by one, of its trace (steer.h) */
#ifndef STEPS_H
#define STEPS_H

#include <stdbool.h>

void steps_read(const char *trace);
int steps_count(void);
const char *steps_call(int step);

/* Of those of its name it is the first (1), the second, ... */
int steps_occurrence(int step);
bool steps_is_alone(int step);

/* Is it made in the fourth turn of a loop, or a later one? */
bool steps_is_repeated(int step);

#endif
