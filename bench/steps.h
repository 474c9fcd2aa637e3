/* SPDX-License-Identifier: BSD-2-Clause */
/* steps - the system calls of a lock and unlock, with a clock around each */
#ifndef STEPS_H
#define STEPS_H

/* A sample for each call, of the library and of the floor, which is the mean of many. */
void steps_measure(const char *dir);

#endif
