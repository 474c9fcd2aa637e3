/* SPDX-License-Identifier: BSD-2-Clause */
/* held - the lock file that a handle holds: verify it, release it, let go of it */
#ifndef HELD_H
#define HELD_H

#include "handle.h"

/* These give LOCKFILE_PID_ERR_ROGUE_DELETION where the file is not at PATH any more. */
int held_verify(const struct lockfile_pid *lock);
/* By a handle that holds nothing: what anybody holds for lock->process. */
int held_release(struct lockfile_pid *lock);

/* Of an inheritable lock: leaves it to the child that has a copy of it, if there is one. */
void held_let_go(struct lockfile_pid *lock);

/* Of what could not be released: leaves a file that the next contender replaces. */
void held_retract(struct lockfile_pid *lock);

/* Of what held_verify() told to be lost, or what is not held: closes all that there is. */
void held_lose(struct lockfile_pid *lock);

/* The directory of our file. */
struct found {
	int dirfd;     /* -1: it was not found */
	bool opened;   /* to be closed; else it is the one that was kept */
	nlink_t links; /* so many names our file has, as far as we have looked */
};

/*
 * If PATH leads to our file: the directory that was kept, or opened again.  0,
 * ROGUE_DELETION or -errno.
 */
int held_find_dir(const struct lockfile_pid *lock, bool has_fd, struct found *ret);
void held_close_dir(const struct found *found);

/* Is our file in it, with our content? */
int held_check(const struct lockfile_pid *lock, int dirfd);

#endif
