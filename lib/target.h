/* SPDX-License-Identifier: BSD-2-Clause */
/* target - the process that a signal to the holder of a lock goes to */
#ifndef TARGET_H
#define TARGET_H

#include "handle.h"

/* Sends the signal to the holder, whose PID the handle knows from now on as the one found. */
int target_signal(struct lockfile_pid *lock, int signal);

#endif
