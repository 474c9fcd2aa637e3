/* SPDX-License-Identifier: BSD-2-Clause */
/* takeover - the right to replace what stands at a path: its name is PATH.takeover */
#ifndef TAKEOVER_H
#define TAKEOVER_H

#include "handle.h"

/*
 * Gets the right: the candidate, made where there is none yet, stands at
 * PATH.takeover.  LOCKFILE_PID_ERR_BUSY: another has it; -EAGAIN: things have
 * moved, look again.
 */
int takeover_claim(const struct lockfile_pid *lock, struct pidfile *candidate, int dirfd);

/* The same, but waits for another to give it up.  -EAGAIN: it has kept it for a second. */
int takeover_claim_patiently(const struct lockfile_pid *lock, struct pidfile *candidate, int dirfd);

/* Uses the right where nothing is at PATH.  -EAGAIN: something is; the right is kept. */
int takeover_publish(const struct lockfile_pid *lock, struct pidfile *candidate, int dirfd);

/* Uses it on what was judged.  -EAGAIN: that is not there any more; the right is kept. */
int takeover_replace(const struct lockfile_pid *lock, struct pidfile *candidate, int dirfd,
                     const struct judged *judged);

/* Uses it on what is ours (adopt.c).  -EAGAIN: the names were moved by others. */
int takeover_exchange(const struct lockfile_pid *lock, struct pidfile *candidate, int dirfd);

/* Gives it up unused, and the candidate with it. */
void takeover_withdraw(const struct lockfile_pid *lock, struct pidfile *candidate, int dirfd);

#endif
