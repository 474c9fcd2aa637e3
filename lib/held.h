/* SPDX-License-Identifier: BSD-2-Clause */
/* held - the lock file that a handle holds: verify it, release it, let go of it */
#ifndef HELD_H
#define HELD_H

#include "handle.h"

/* These give LOCKFILE_PID_ERR_ROGUE_DELETION where the file is not at PATH any more. */
int held_verify(const struct lockfile_pid *lock);
int held_release(struct lockfile_pid *lock);

/* Of an inheritable lock: leaves it to the child that has a copy of it, if there is one. */
void held_let_go(struct lockfile_pid *lock);

/* Of what held_verify() told to be lost, or what is not held: closes all that there is. */
void held_lose(struct lockfile_pid *lock);

/* What these are made of. */
int held_open_dir(const struct lockfile_pid *lock);
int held_check(const struct lockfile_pid *lock, int dirfd);

#endif
