/* SPDX-License-Identifier: BSD-2-Clause */
/* wait - until the lock is ours */
#ifndef WAIT_H
#define WAIT_H

#include "lock.h"

/* An attempt; LOCKFILE_PID_ERR_BUSY: in line now, for an event loop to wait by queue.epoll. */
int wait_begin(struct lockfile_pid *lock);

/*
 * Another, in line.  woken: for a reason, and not because it was time to look.
 * Out of line after anything but LOCKFILE_PID_ERR_BUSY.
 */
int wait_continue(struct lockfile_pid *lock, bool woken);

void wait_cancel(struct lockfile_pid *lock);

/*
 * All of it.  timeout_ms as in poll(2); cancel_state is that of the library's
 * caller (pthread_setcancelstate(3)), which holds while we sleep.
 */
int wait_for(struct lockfile_pid *lock, int timeout_ms, int cancel_state);

#endif
