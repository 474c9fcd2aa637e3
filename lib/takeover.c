/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two that judge one stale file must not both replace it, and a verdict is old
 * as soon as it is passed.  So there is a right to replace, which only one can
 * have: to have one's own candidate at the name PATH.takeover, where link(2)
 * and O_EXCL let only one in.  With the right in hand PATH is judged once more,
 * and then one rename(2) puts the candidate in place of the stale file and
 * gives up the right in the same step.
 *
 * Why nobody else can change PATH between that verdict and the rename:
 * - The holder of what we judged is dead, and does not remove it any more.  It
 *   may have removed it just before it died, while we judged.  Therefore PATH is
 *   compared with the judged inode after the verdict, and the judged file stays
 *   open until after the rename: the number of an inode that nobody has open may
 *   belong to another file at the next moment.
 * - A contender that found PATH free links its candidate there only if there is
 *   still no file, and does not disturb one that is.
 * - Another that wants to replace it needs the right.
 * - A holder whose children may adopt the lock removes it with the right only.
 * Who may remove names in the directory by hand is not stopped by any of this, nor
 * is, in a sticky directory, the owner of a stale file that root replaces.
 *
 * The candidate is kernel-locked all the time, which is what says that its maker
 * is at work.  One at PATH.takeover without that lock is a leftover of a crash.
 * It is removed by whoever gets its lock, and while having it: so two that
 * clear a leftover do not remove the next one's candidate instead.  Only who
 * holds the lock on an inode may remove that name, root included.
 *
 * Until the last moment nobody else may open the candidate (0600): who can read
 * a file can lock it for reading, and would keep us from clearing a leftover.
 * For the same reason the stale file itself is of no use as the mutex.
 */
#include <config.h>

#include "takeover.h"

#include "handle.h"
#include "process.h"
#include "sys.h"

#include <errno.h>
#include <fcntl.h>

#define MODE_AT_WORK       0600
#define MODE_AT_WORK_GROUP 0660 /* where the group may write the lock file as well */

/* Another keeps the right for some system calls, rarely longer. */
#define CLAIM_TRIES    200
#define CLAIM_PAUSE_MS 5

static int lock_and_unlink(int fd, int dirfd, const char *name)
{
	struct stat st;
	int r = sys_fstat(fd, &st);

	if (r < 0)
		return r;
	if (!S_ISREG(st.st_mode))
		return -EAGAIN;
	r = sys_write_lock(fd);
	if (r < 0)
		return r == -EAGAIN ? LOCKFILE_PID_ERR_BUSY : r;
	r = path_leads_to(dirfd, name, st.st_dev, st.st_ino);
	if (r == 1)
		r = sys_unlinkat(dirfd, name, 0);
	return r;
}

static int clear_regular(int dirfd, const char *name)
{
	int fd = sys_openat(dirfd, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0), r;

	/* not for us to open, its maker may be at work; unless we have no business here */
	if (fd == -EACCES && sys_may_write(dirfd))
		return LOCKFILE_PID_ERR_BUSY;
	if (fd < 0)
		return fd;
	r = lock_and_unlink(fd, dirfd, name);
	sys_close(fd);
	return r;
}

/*
 * What cannot be locked, a symbolic link say, has no maker at work.  Still two
 * that remove it must not run into each other: the second would remove what
 * took its place.  They take turns by a lock on the directory.
 */
static int clear_other(int dirfd, const char *name)
{
	struct stat st;
	int fd = sys_openat(dirfd, ".", O_RDONLY | O_DIRECTORY, 0), r;

	if (fd < 0)
		return fd;
	r = sys_flock(fd);
	if (r == 0)
		r = sys_fstatat(dirfd, name, &st);
	else if (r == -EWOULDBLOCK)
		r = LOCKFILE_PID_ERR_BUSY;
	if (r == 0 && !S_ISREG(st.st_mode))
		r = sys_unlinkat(dirfd, name, S_ISDIR(st.st_mode) ? AT_REMOVEDIR : 0);
	sys_close(fd);
	return r;
}

/* PATH.takeover exists.  -EAGAIN: now it does not, or is another. */
static int clear_leftover(int dirfd, const char *name)
{
	/* no fork may take a lock along */
	uint64_t pass = gate_enter();
	struct stat st;
	int r;

	r = sys_fstatat(dirfd, name, &st);
	if (r == 0)
		r = S_ISREG(st.st_mode) ? clear_regular(dirfd, name) : clear_other(dirfd, name);
	gate_leave(pass);
	switch (r) {
	case 0:
	case -ENOENT:
	case -ESTALE: /* another host has removed it, */
	case -ELOOP:  /* or it became a link, */
	case -ENXIO:  /* a socket, */
	case -EISDIR: /* a directory */
		return -EAGAIN;
	}
	return r;
}

/* Without O_TMPFILE, or without a way to name such a file here, it has the name at once. */
static int claim_by_name(const struct lockfile_pid *lock, struct pidfile *candidate, int dirfd)
{
	pidfile_drop(candidate);
	return pidfile_make_named(candidate, dirfd, lock->path.takeover, lock->mode,
	                          lock->inheritable);
}

static int claim_by_link(const struct lockfile_pid *lock, struct pidfile *candidate, int dirfd)
{
	bool is_old = pidfile_recover(candidate);
	int r = 0;

	if (!is_old)
		r = pidfile_make_unnamed(candidate, dirfd, ".", lock->mode, lock->inheritable);
	if (r == 0)
		r = pidfile_set_mode(candidate, MODE_AT_WORK);
	if (r == 0)
		r = pidfile_link(candidate, dirfd, lock->path.takeover);
	if (r == 0 || r == -EEXIST || !is_old)
		return r;
	pidfile_drop(candidate); /* see create() */
	return claim_by_link(lock, candidate, dirfd);
}

int takeover_claim(const struct lockfile_pid *lock, struct pidfile *candidate, int dirfd)
{
	int r = claim_by_link(lock, candidate, dirfd);

	if (r == -EOPNOTSUPP)
		r = claim_by_name(lock, candidate, dirfd);
	if (r == -EEXIST)
		return clear_leftover(dirfd, lock->path.takeover);
	if (r == 0 && candidate->mode & 020) {
		r = pidfile_set_mode(candidate, MODE_AT_WORK_GROUP);
		if (r < 0)
			takeover_withdraw(lock, candidate, dirfd);
	}
	return r;
}

int takeover_claim_patiently(const struct lockfile_pid *lock, struct pidfile *candidate, int dirfd)
{
	int r;

	for (int try = 0; try < CLAIM_TRIES; try++) {
		r = takeover_claim(lock, candidate, dirfd);
		if (r != LOCKFILE_PID_ERR_BUSY && r != -EAGAIN)
			return r;
		sys_poll(NULL, 0, CLAIM_PAUSE_MS);
	}
	return -EAGAIN;
}

/*
 * The candidate was to go to PATH, with this result: is it there?  Over a
 * network a result may be that of our request sent twice, and by hand all names
 * can be moved.
 */
static int arrived(const struct lockfile_pid *lock, const struct pidfile *candidate, int dirfd,
                   int r)
{
	int at = pidfile_is_at(candidate, dirfd, lock->path.name);

	/* after a success no error of looking counts: it would leave the file behind */
	if (at == 1 || (at < 0 && r == 0))
		return 0;
	if (r < 0 && r != -EEXIST && r != -ENOENT)
		return r;
	return at < 0 ? at : -EAGAIN;
}

static int rename_over(const struct lockfile_pid *lock, const struct pidfile *candidate, int dirfd)
{
	int r = sys_rename(dirfd, lock->path.takeover, lock->path.name);

	return arrived(lock, candidate, dirfd, r);
}

/* Makes PATH an empty file, if nothing is there. */
static int make_placeholder(const struct lockfile_pid *lock, int dirfd, mode_t mode,
                            struct stat *ret)
{
	int fd = sys_openat(dirfd, lock->path.name, O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW, mode);
	int r;

	if (fd < 0)
		return fd == -EEXIST ? -EAGAIN : fd;
	r = sys_fstat(fd, ret);
	sys_close(fd);
	if (r < 0)
		sys_unlinkat(dirfd, lock->path.name, 0);
	return r;
}

/*
 * Is it there still?  0 or 1.  Nobody keeps its inode number from re-use: to keep
 * it open would make NFS and FUSE move it away, not replace it.  But whoever has
 * taken its place by a lock file has one that is not empty.
 */
static int is_placeholder(int dirfd, const char *name, const struct stat *placeholder)
{
	struct stat st;
	int r = sys_fstatat(dirfd, name, &st);

	if (r < 0)
		return is_removed(r) ? 0 : r;
	return st.st_ino == placeholder->st_ino && st.st_size == 0;
}

/*
 * Where rename(2) cannot be told not to replace: only who makes the placeholder
 * replaces it, and meanwhile it reads as a file whose writer is about to fill it.
 * To link the candidate to PATH as well would not do: on file systems of
 * libfuse's usual kind each name has a kernel lock of its own.  It has the mode
 * of the lock file: after a crash others must be able to tell what it is.
 */
static int publish_by_placeholder(const struct lockfile_pid *lock, const struct pidfile *candidate,
                                  int dirfd)
{
	const char *name = lock->path.name;
	struct stat st;
	int r = make_placeholder(lock, dirfd, candidate->mode, &st);

	if (r < 0)
		return r;
	r = is_placeholder(dirfd, name, &st);
	if (r == 0)
		return -EAGAIN;
	if (r == 1)
		r = rename_over(lock, candidate, dirfd);
	if (r < 0 && is_placeholder(dirfd, name, &st) == 1)
		sys_unlinkat(dirfd, name, 0);
	return r;
}

int takeover_publish(const struct lockfile_pid *lock, struct pidfile *candidate, int dirfd)
{
	int r = pidfile_set_mode(candidate, candidate->mode);

	if (r < 0)
		return r;
	r = sys_rename_noreplace(dirfd, lock->path.takeover, lock->path.name);
	if (r == -EINVAL || r == -ENOSYS || r == -EPERM || r == -EOPNOTSUPP)
		return publish_by_placeholder(lock, candidate, dirfd);
	return arrived(lock, candidate, dirfd, r);
}

int takeover_replace(const struct lockfile_pid *lock, struct pidfile *candidate, int dirfd,
                     const struct judged *judged)
{
	int r = verdict_remove_target(judged, dirfd, &lock->path);

	if (r == 0)
		r = pidfile_set_mode(candidate, candidate->mode);
	if (r < 0)
		return r;
	r = verdict_holds(judged, dirfd, &lock->path);
	if (r < 1)
		return r < 0 ? r : -EAGAIN;
	return rename_over(lock, candidate, dirfd);
}

int takeover_exchange(const struct lockfile_pid *lock, struct pidfile *candidate, int dirfd)
{
	int r = pidfile_set_mode(candidate, candidate->mode);

	return r < 0 ? r : rename_over(lock, candidate, dirfd);
}

void takeover_withdraw(const struct lockfile_pid *lock, struct pidfile *candidate, int dirfd)
{
	/* by hand the name can have been moved: remove nobody else's */
	if (pidfile_is_at(candidate, dirfd, lock->path.takeover) == 1)
		sys_unlinkat(dirfd, lock->path.takeover, 0);
	pidfile_drop(candidate);
}
