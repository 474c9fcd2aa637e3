/* SPDX-License-Identifier: BSD-2-Clause */
/* ways - tests that run with O_TMPFILE (row 0) and without (row 1) */
#ifndef WAYS_H
#define WAYS_H

#include "world.h"

#include <errno.h>

static const int no_tmpfile[] = { 0, EOPNOTSUPP };

#define TEST_BOTH_WAYS(name) TEST_EACH(name, no_tmpfile)

void set_way(int row);

/* A PID file of a dead process. */
void write_stale(const char *name);
/* With a handle of its own, which does not keep the lock. */
int trylock(const char *path);

#endif
