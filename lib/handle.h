/* SPDX-License-Identifier: BSD-2-Clause */
/* handle - one contender for one path */
#ifndef HANDLE_H
#define HANDLE_H

#include "path.h"
#include "pidfile.h"
#include "public.h"
#include "queue.h"
#include "verdict.h"

/* How a handle that released the lock yields to those who waited then (wait.c). */
struct yield {
	int64_t since_ns;      /* the release, on the monotonic clock; 0: no yield is owed */
	int64_t not_before_ns; /* after one that nobody took */
	int missed;            /* so many times in a row; each time the yield is twice as long */
	bool is_on;            /* in the wait queue */
};

struct lockfile_pid {
	struct path path;
	mode_t mode;             /* to ask for; the umask takes from it */
	bool inheritable;        /* the next lock file is to be */
	uint64_t inheritable_by; /* the process that set it (process_generation()); 0: none did */
	bool cluster_locks;      /* kernel locks are those of all hosts (verdict.h) */

	/*
	 * While the lock is held: the lock file.  It is held while there is one,
	 * if this process entered it (process.h) and not a parent: that of a
	 * parent may be inherited (adopt.c).  In line, and within an attempt, it is
	 * a candidate.
	 */
	struct pidfile file;

	/*
	 * The directory of the lock file, open while the lock is held: to release it
	 * takes no other descriptor, nor a way to the directory (held.c).
	 */
	struct descriptor dir;

	/* A candidate more, with which an inheritable lock is released (held.c). */
	struct pidfile spare;

	struct owner process; /* whose lock it is to be (file.holder); PID 0: ours */

	pid_t found; /* whom the last attempt lost to; 0: nobody, or the PID is not known here */

	struct patience patience;
	struct queue queue; /* while it is in line */

	struct yield yield;
};

#endif
