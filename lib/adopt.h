/* SPDX-License-Identifier: BSD-2-Clause */
/* adopt - a child of fork(2), or the holder itself, becomes the only holder of a lock */
#ifndef ADOPT_H
#define ADOPT_H

#include "handle.h"

int adopt(struct lockfile_pid *lock);

#endif
