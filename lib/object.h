/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * object - what a name in a directory leads to: its type and its owner are known
 * before it is opened
 */
#ifndef OBJECT_H
#define OBJECT_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

struct object {
	int fd;         /* keeps the inode, and so its number, from reuse; -1: none */
	struct stat st; /* of when it was found */
};

#define OBJECT_NONE      \
	{                \
		.fd = -1 \
	}

/*
 * Finds what is at the name, without opening it or following a link.  On success
 * the caller closes *ret.  -EBUSY: something is mounted there.
 */
int object_find(struct object *ret, int dirfd, const char *name);

/*
 * Opens the file that was found at this name, and none that took its place.
 * -EACCES: it must not be opened: permission is missing, somebody has a lease on it, or
 * only its name could be opened, which a stranger can give to another file.  -EAGAIN:
 * another took its place.
 */
int object_open(struct object *object, int dirfd, const char *name, int flags);

void object_close(struct object *object);

/*
 * May files of this owner be changed, removed and read in the directory, by a process
 * whose own files belong to self?  1, 0 or -errno.
 */
int object_is_trusted(uid_t owner, int dirfd, uid_t self);

#endif
