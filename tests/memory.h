/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * memory - between the library and malloc(3): allocations can be made to fail
 * by their names ("malloc", "strdup", ... in steer.h), and are counted
 *
 * For programs that are linked with --wrap of these.
 */
#ifndef MEMORY_H
#define MEMORY_H

#include <stdbool.h>

/* Only in between are they steered, and in the trace: the tests allocate as well. */
void memory_steer(bool on);

/* How many live that were made in between? */
int memory_count(void);

#endif
