/* SPDX-License-Identifier: BSD-2-Clause */
/* adopt - a child of fork(2), or the holder itself, becomes the only holder of a lock */
#ifndef ADOPT_H
#define ADOPT_H

#include "handle.h"

/* Is there a lock file that a parent held, and meant for this child? */
bool adopt_has_inherited(const struct lockfile_pid *lock);

int adopt(struct lockfile_pid *lock);

#endif
