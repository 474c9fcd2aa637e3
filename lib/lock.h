/* SPDX-License-Identifier: BSD-2-Clause */
/* lock - the protocol, and how a lock is acquired */
#ifndef LOCK_H
#define LOCK_H

#include "handle.h"

/* Does the handle hold, as far as it knows? */
bool lock_is_held(const struct lockfile_pid *lock);

/*
 * One attempt.  LOCKFILE_PID_ERR_BUSY: *ret_holder tells of the holder.
 * lock_acquire_in() looks first, in a directory that is open, and may leave a
 * candidate for the next attempt; the other is for when the lock is likely free.
 * After lock_acquire_in() the caller keeps the directory, and then shares.
 */
int lock_acquire(struct lockfile_pid *lock, struct awaited *ret_holder);
int lock_acquire_in(struct lockfile_pid *lock, int dirfd, struct awaited *ret_holder);

/* Makes the candidate now, so that the attempt is quicker. */
void lock_prepare(struct lockfile_pid *lock, int dirfd);

/*
 * To release an inheritable lock takes a candidate more.  It is made before the
 * lock is had, so that a full disk does not keep us from releasing.  Where there
 * can be none without a name, that is no error.
 */
int lock_make_spare(struct lockfile_pid *lock, int dirfd);

/* The lock is acquired: if it is inheritable, children keep it from now on. */
void lock_share(struct lockfile_pid *lock);

/* The lock is acquired in this directory: its descriptor moves to the handle. */
void lock_keep_dir(struct lockfile_pid *lock, struct descriptor *dir);

/* verdict_judge() on behalf of the handle. */
int lock_judge(struct lockfile_pid *lock, int dirfd, struct judged *ret);

/* The same for somebody who only asks: it leaves the handle as it is. */
int lock_look(const struct lockfile_pid *lock, int dirfd, struct judged *ret);

/* Closes all files of the handle; their names stay. */
void lock_drop(struct lockfile_pid *lock);

#endif
