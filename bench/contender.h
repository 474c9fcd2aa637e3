/* SPDX-License-Identifier: BSD-2-Clause */
/* contender - one for a lock of ours, or for one of those that it is compared with */
#ifndef CONTENDER_H
#define CONTENDER_H

#include <lockfile-pid.h>
#include <limits.h>
#include <stdbool.h>

enum kind {
	OURS,
	FLOCK, /* flock(2) */
	OFD,   /* open file description locks, fcntl(2) */
	KINDS
};

struct contender {
	enum kind kind;
	char path[PATH_MAX];
	struct lockfile_pid *lock;
	int fd;
};

const char *kind_name(enum kind kind);

/* In the process that is to contend: no such lock survives a fork as one of its own. */
void contender_open(struct contender *contender, enum kind kind, const char *path);
void contender_close(struct contender *contender);

void contender_lock(struct contender *contender);
bool contender_trylock(struct contender *contender);
void contender_unlock(struct contender *contender);

#endif
