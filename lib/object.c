/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Opening a FIFO can hang for as long as a stranger likes, even with O_NONBLOCK:
 * splice(2) from an empty socket holds the lock of the pipe, and open(2), read(2)
 * and close(2) wait for that lock in a sleep that no signal ends.  A device can do
 * anything.  Therefore a name is first opened with O_PATH, which does not open the
 * object itself.  fstat(2) then says what it is, and only a regular file is opened,
 * by way of /proc/thread-self/fd, so that it is the very object that was looked at.
 * Between fstatat(2) and open(2) by name a stranger could put a FIFO in its place.
 *
 * It is /proc/thread-self, not /proc/self: a thread that called
 * unshare(CLONE_FILES) has a descriptor table of its own, and /proc/self shows that
 * of the first thread, where the same number is another file.
 *
 * Without /proc, or before Linux 3.17, the file is opened by its name, but only
 * where no stranger can have changed what the name leads to.
 *
 * A file can hang those who handle it, too.  Its owner can call write(2) with a
 * buffer on a FUSE file system that never answers; that call holds the lock of the
 * inode, for which unlink(2), rename(2) over it, fchmod(2) and fsetxattr(2) wait, and
 * on some file systems read(2).  open(2), fstat(2), byte-range locks and fgetxattr(2)
 * do not.  Whoever can write to the directory can do worse, except in a sticky
 * one: there all may have files, and so the owner of the file decides.
 */
#include <config.h>

#include "object.h"

#include "sys.h"

#include <errno.h>
#include <fcntl.h>

int object_find(struct object *ret, int dirfd, const char *name)
{
	int r;

	ret->fd = sys_open_path(dirfd, name);
	if (ret->fd < 0)
		return ret->fd;
	r = sys_fstat(ret->fd, &ret->st);
	if (r < 0)
		object_close(ret);
	return r;
}

/* Can nobody but root and us have changed what this name in the directory leads to? */
static bool is_name_safe(const struct object *object, int dirfd)
{
	uid_t user = sys_geteuid();
	struct stat dir;

	if (sys_fstatat(dirfd, ".", &dir) < 0 || (dir.st_uid != 0 && dir.st_uid != user))
		return false;
	/* the bits of the group also cover access control lists */
	if (!(dir.st_mode & 022))
		return true;
	return dir.st_mode & S_ISVTX && (object->st.st_uid == 0 || object->st.st_uid == user);
}

static int open_by_name(const struct object *object, int dirfd, const char *name, int flags)
{
	struct stat st;
	int fd, r;

	if (!is_name_safe(object, dirfd))
		return -EACCES;
	fd = sys_openat(dirfd, name, flags | O_NOFOLLOW, 0);
	switch (fd) {
	case -EWOULDBLOCK:
		return -EACCES;
	case -ELOOP:
	case -ENXIO:
		return -EAGAIN;
	}
	if (fd < 0)
		return fd;
	r = sys_fstat(fd, &st);
	if (r == 0 && (st.st_dev != object->st.st_dev || st.st_ino != object->st.st_ino))
		r = -EAGAIN;
	if (r < 0)
		sys_close(fd);
	return r < 0 ? r : fd;
}

int object_open(struct object *object, int dirfd, const char *name, int flags)
{
	/* no waiting for a lease, no controlling terminal */
	int all = flags | O_NONBLOCK | O_NOCTTY;
	int fd = sys_reopen(object->fd, all);

	if (fd == -EWOULDBLOCK)
		return -EACCES; /* somebody has a lease on it */
	if (fd == -ENOENT)
		fd = open_by_name(object, dirfd, name, all);
	if (fd < 0)
		return fd;
	sys_close(object->fd);
	object->fd = fd;
	return 0;
}

void object_close(struct object *object)
{
	if (object->fd >= 0)
		sys_close(object->fd);
	object->fd = -1;
}

int object_is_trusted(uid_t owner, int dirfd, uid_t self)
{
	struct stat dir;
	int r;

	if (owner == 0 || (owner == self && (owner != OVERFLOW_UID || owner == sys_geteuid())))
		return 1;
	r = sys_fstatat(dirfd, ".", &dir);
	if (r < 0)
		return r;
	return !(dir.st_mode & S_ISVTX) || owner == dir.st_uid;
}
