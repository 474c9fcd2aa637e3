/* SPDX-License-Identifier: BSD-2-Clause */
/* adopt - a child of fork(2) becomes the holder of its parent's lock */
#ifndef ADOPT_H
#define ADOPT_H

#include "handle.h"

int adopt(struct lockfile_pid *lock);

#endif
