/* SPDX-License-Identifier: BSD-2-Clause */
/* handle - one contender for one path */
#ifndef HANDLE_H
#define HANDLE_H

#include "path.h"
#include "pidfile.h"
#include "public.h"
#include "queue.h"
#include "verdict.h"

struct lockfile_pid {
	struct path path;
	mode_t mode;        /* to ask for; the umask takes from it */
	bool inheritable;   /* the next lock file is to be */
	bool cluster_locks; /* kernel locks are those of all hosts (verdict.h) */

	/*
	 * While the lock is held: the lock file.  It is held while there is one,
	 * if this process entered it (process.h) and not a parent: that of a
	 * parent may be inherited (adopt.c).  In line, and within an attempt, it is
	 * a candidate.
	 */
	struct pidfile file;

	/* A candidate more, with which an inheritable lock is released (held.c). */
	struct pidfile spare;

	struct patience patience;
	struct queue queue; /* while it is in line */

	/* Others stood in line at our last release (wait.c), on the monotonic clock. */
	int64_t turn_owed_ns, turn_given_ns, no_turn_before_ns;
};

#endif
