/* SPDX-License-Identifier: BSD-2-Clause */
/* path - where a lock file is, and the names beside it */
#ifndef PATH_H
#define PATH_H

#include <fcntl.h>
#include <limits.h>
#include <sys/types.h>

#define PATH_TAKEOVER_SUFFIX ".takeover"
#define PATH_QUEUE_SUFFIX    ".queue"

/* No waiting for a writer or a lease, no controlling terminal. */
#define PATH_OPEN_TO_READ (O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY)

struct path {
	char *given;
	char *full;                  /* absolute, unresolved */
	char *dir;                   /* its directory part */
	const char *name;            /* its last component; inside full */
	char takeover[NAME_MAX + 1]; /* the name of the file about to replace it, */
	char queue[NAME_MAX + 1];    /* and of the line of waiters */
};

/* -EINVAL, -ENAMETOOLONG, -ENOMEM, and those of getcwd(3). */
int path_init(struct path *path, const char *given);
void path_release(struct path *path);

/* The directory as it is now; the caller closes the descriptor. */
int path_open_dir(const struct path *path);

/* Is this inode, which somebody keeps from re-use, at the name?  0 or 1. */
int path_leads_to(int dirfd, const char *name, dev_t dev, ino_t ino);

#endif
