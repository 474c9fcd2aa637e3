/* SPDX-License-Identifier: BSD-2-Clause */
/* takeover - the right to replace what stands at a path: its name is PATH.takeover */
#ifndef TAKEOVER_H
#define TAKEOVER_H

#include "handle.h"

/*
 * Gets the right: our candidate, made where there is none yet, stands at
 * PATH.takeover.  LOCKFILE_PID_ERR_BUSY: another has it; -EAGAIN: things have
 * moved, look again.
 */
int takeover_claim(struct lockfile_pid *lock, int dirfd);

/* Uses the right where nothing is at PATH.  -EAGAIN: something is; the right is kept. */
int takeover_publish(struct lockfile_pid *lock, int dirfd);

/* Uses it on what was judged.  -EAGAIN: that is not there any more; the right is kept. */
int takeover_replace(struct lockfile_pid *lock, int dirfd, const struct judged *judged);

/* Gives it up unused, and the candidate with it. */
void takeover_withdraw(struct lockfile_pid *lock, int dirfd);

#endif
