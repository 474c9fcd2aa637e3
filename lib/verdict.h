/* SPDX-License-Identifier: BSD-2-Clause */
/* verdict - what stands at a path, and may it be taken over? */
#ifndef VERDICT_H
#define VERDICT_H

#include "path.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

enum verdict {
	VERDICT_FREE,    /* nothing is there */
	VERDICT_BUSY,    /* held, or we cannot tell */
	VERDICT_STALE,   /* the holder is gone: to be replaced */
	VERDICT_DAMAGED, /* no valid PID: to be replaced */
	VERDICT_ALIEN    /* not a lock file: hands off */
};

/* What was judged. */
struct judged {
	int fd; /* keeps the inode, and so its number, from re-use; or -1 */
	dev_t dev;
	ino_t ino;
	uid_t owner;
	struct timespec changed; /* st_ctim */
	pid_t pid;               /* recorded and meaningful here; or 0 */
	bool ours;               /* made by this library */
	bool locked;             /* by the kernel */
	bool inheritable;        /* a child may adopt it, and has it if the process ends */
};

/* How long an empty file has been there, as far as we know. */
struct patience {
	dev_t dev;
	ino_t ino;
	struct timespec changed;
	int64_t since_ns; /* on the monotonic clock; 0: never seen one */
};

/* Who asks. */
struct judge {
	const struct path *path;
	struct patience *patience; /* may be NULL */
	uint64_t nonce;            /* of the last file of the handle that asks; 0: none */
	bool cluster_locks; /* the kernel locks on network file systems are those of all hosts */
};

/*
 * Returns an enum verdict or -errno; the caller releases *ret where it is
 * an enum verdict.
 */
int verdict_judge(struct judged *ret, int dirfd, const struct judge *judge);
void verdict_release(struct judged *judged);

/* Does the path still lead to what was judged?  0 or 1. */
int verdict_holds(const struct judged *judged, int dirfd, const struct path *path);

#endif
