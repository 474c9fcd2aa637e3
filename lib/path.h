/* SPDX-License-Identifier: BSD-2-Clause */
/* path - where a lock file is, and the names beside it */
#ifndef PATH_H
#define PATH_H

#include "process.h"

#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#define PATH_TAKEOVER_SUFFIX ".takeover"
#define PATH_QUEUE_SUFFIX    ".queue"

/* No waiting for a writer or a lease, no controlling terminal. */
#define PATH_OPEN_TO_READ (O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY)

/* The root directory of a process.  All 0: not known. */
struct root {
	dev_t dev;
	ino_t ino;
	uint64_t mount; /* its mount, 0 before Linux 5.8 */
};

/* The directory that a relative path begins with, if it has no usable name. */
struct base {
	struct descriptor descriptor; /* none: full is absolute */
	dev_t dev;
	ino_t ino;
};

struct path {
	char *given;
	char *full;                  /* unresolved; absolute, or relative to base */
	char *dir;                   /* its directory part */
	const char *name;            /* its last component; inside full */
	struct base base;            /* kept by children, since the path is theirs, too */
	struct root root;            /* when the path was given */
	char takeover[NAME_MAX + 1]; /* the name of the file about to replace it, */
	char queue[NAME_MAX + 1];    /* and of the line of waiters */
};

/*
 * -EINVAL, LOCKFILE_PID_ERR_RESERVED_NAME, -ENAMETOOLONG, -ENOMEM; for a relative path
 * -ENOENT if the current directory was removed, and what opening it gives if its name is of no use.
 */
int path_init(struct path *path, const char *given);
void path_release(struct path *path);

/*
 * What full and dir begin with, for the *at() calls.  -EBADF, which these refuse in
 * turn: the descriptor of the current directory was closed externally.
 */
int path_base(const struct path *path);

/* The directory as it is now; the caller closes the descriptor. */
int path_open_dir(const struct path *path);

/* The same, tracked; and opened again from a descriptor, whatever its name is by now. */
int path_keep_dir(const struct path *path, struct descriptor *ret);
int path_keep_dir_at(int dirfd, struct descriptor *ret);

/* Has the descriptor the marks of one that was opened here? */
bool path_is_kept_dir(const struct descriptor *dir);

/*
 * Closes a kept directory, if there is one and the number was not given to another
 * file.  may_share: so many were closed externally that another handle's directory may
 * have the number by now.
 */
void path_drop_dir(struct descriptor *dir, bool may_share);

/* Is the root directory another than when the path was given, as after chroot(2)? */
bool path_has_other_root(const struct path *path);

/* Is this inode, which somebody keeps from re-use, at the name?  0 or 1. */
int path_leads_to(int dirfd, const char *name, dev_t dev, ino_t ino);

#endif
