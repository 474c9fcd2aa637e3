/* SPDX-License-Identifier: BSD-2-Clause */
/* lock - the protocol: acquire, verify, release */
#ifndef LOCK_H
#define LOCK_H

#include "handle.h"

/* Does the handle hold, as far as it knows? */
bool lock_is_held(const struct lockfile_pid *lock);

/*
 * One attempt.  LOCKFILE_PID_ERR_BUSY: *ret_holder tells of the holder.
 * lock_acquire_in() looks first, in a directory that is open, and may leave a
 * candidate for the next attempt; the other is for when the lock is likely free.
 */
int lock_acquire(struct lockfile_pid *lock, struct awaited *ret_holder);
int lock_acquire_in(struct lockfile_pid *lock, int dirfd, struct awaited *ret_holder);

/* Makes the candidate now, so that the attempt is quicker. */
void lock_prepare(struct lockfile_pid *lock, int dirfd);

int lock_verify(const struct lockfile_pid *lock);
int lock_release(struct lockfile_pid *lock);

#endif
