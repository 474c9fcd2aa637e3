/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Is PATH our file?  Only then it is removed.  What was found must still be so
 * when unlink(2) is called: either nobody else may change it, or we have the
 * right to replace it (lock.c, "Release").
 */
#include <config.h>

#include "held.h"

#include "lock.h"
#include "sys.h"
#include "takeover.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>

/* Of a check that gives 1, 0 or -errno. */
static int result_of(int r)
{
	return r == 1 ? 0 : r == 0 || is_removed(r) ? LOCKFILE_PID_ERR_ROGUE_DELETION : r;
}

/* By way of our descriptor.  0, ROGUE_DELETION or -errno, as all of these. */
static int check_by_descriptor(const struct lockfile_pid *lock, int dirfd)
{
	int r = pidfile_is_at(&lock->file, dirfd, lock->path.name);

	if (r == 1)
		r = pidfile_has_content(&lock->file, lock->file.descriptor.fd);
	return result_of(r);
}

/* By way of what the name leads to.  Returns a descriptor of our file. */
static int open_by_name(const struct lockfile_pid *lock, int dirfd)
{
	struct stat st;
	int r = sys_fstatat(dirfd, lock->path.name, &st), fd;

	if (r < 0)
		return result_of(r);
	if (!S_ISREG(st.st_mode) || st.st_dev != lock->file.dev || st.st_ino != lock->file.ino)
		return LOCKFILE_PID_ERR_ROGUE_DELETION;
	fd = sys_openat(dirfd, lock->path.name, PATH_OPEN_TO_READ, 0);
	if (fd < 0)
		return fd == -ELOOP || fd == -ENXIO ? LOCKFILE_PID_ERR_ROGUE_DELETION :
		                                      result_of(fd);
	r = pidfile_has_nonce(&lock->file, fd);
	if (r == 1)
		return fd;
	sys_close(fd);
	return result_of(r);
}

static int check_by_name(const struct lockfile_pid *lock, int dirfd)
{
	int fd = open_by_name(lock, dirfd), r;

	if (fd < 0)
		return fd;
	r = pidfile_has_content(&lock->file, fd);
	sys_close(fd);
	return result_of(r);
}

int held_check(const struct lockfile_pid *lock, int dirfd)
{
	if (pidfile_has_fd(&lock->file))
		return check_by_descriptor(lock, dirfd);
	return check_by_name(lock, dirfd);
}

/* Without the directory there is no lock file in it. */
int held_open_dir(const struct lockfile_pid *lock)
{
	int dirfd = path_open_dir(&lock->path);

	return dirfd == -ENOENT || dirfd == -ENOTDIR ? LOCKFILE_PID_ERR_ROGUE_DELETION : dirfd;
}

int held_verify(const struct lockfile_pid *lock)
{
	int dirfd, r;

	if (!lock_is_held(lock))
		return LOCKFILE_PID_ERR_ROGUE_DELETION;
	dirfd = held_open_dir(lock);
	if (dirfd < 0)
		return dirfd;
	r = held_check(lock, dirfd);
	sys_close(dirfd);
	return r;
}

static int unlink_path(const struct lockfile_pid *lock, int dirfd)
{
	int r = sys_unlinkat(dirfd, lock->path.name, 0);

	return r == -ENOENT ? LOCKFILE_PID_ERR_ROGUE_DELETION : r;
}

static void wake(struct lockfile_pid *lock, int dirfd)
{
	if (queue_wake(dirfd, &lock->path, lock->file.owner) > 0)
		lock->yield.since_ns = sys_clock_ns(CLOCK_MONOTONIC);
}

static int release_alone(struct lockfile_pid *lock, int dirfd)
{
	int r = check_by_descriptor(lock, dirfd);

	return r == 0 ? unlink_path(lock, dirfd) : r;
}

static int release_by_right(struct lockfile_pid *lock, int dirfd)
{
	int r = held_check(lock, dirfd);

	if (r == 0)
		r = takeover_claim_patiently(lock, &lock->spare, dirfd);
	if (r < 0) {
		if (!lock->file.inheritable)
			pidfile_drop(&lock->spare);
		return r;
	}
	r = held_check(lock, dirfd);
	if (r == 0)
		r = unlink_path(lock, dirfd);
	takeover_withdraw(lock, &lock->spare, dirfd);
	return r;
}

/*
 * What was lost may be elsewhere, in a directory that was renamed, or that chroot(2)
 * put out of reach.  Who finds it there shall not take us for its holder, whose
 * descriptor was closed underneath.
 */
void held_lose(struct lockfile_pid *lock)
{
	if (lock_is_held(lock) && pidfile_has_fd(&lock->file))
		pidfile_mark_let_go(&lock->file, lock->file.descriptor.fd);
	lock_drop(lock);
}

int held_release(struct lockfile_pid *lock)
{
	int dirfd, r;
	bool has_fd;

	if (!lock_is_held(lock))
		return LOCKFILE_PID_ERR_ROGUE_DELETION;
	dirfd = r = held_open_dir(lock);
	has_fd = pidfile_has_fd(&lock->file);
	if (dirfd >= 0) {
		if (has_fd && !lock->file.inheritable)
			r = release_alone(lock, dirfd);
		else {
			r = release_by_right(lock, dirfd);
			/* which may have waited for a second */
			has_fd = pidfile_has_fd(&lock->file);
		}
		if (r == 0)
			wake(lock, dirfd);
		sys_close(dirfd);
	}
	if (r == 0 || r == LOCKFILE_PID_ERR_ROGUE_DELETION) {
		if (r < 0 && has_fd)
			pidfile_mark_let_go(&lock->file, lock->file.descriptor.fd);
		pidfile_close(&lock->file, has_fd);
		pidfile_drop(&lock->spare);
	}
	return r;
}

static void mark_by_name(const struct lockfile_pid *lock, int dirfd)
{
	int fd = open_by_name(lock, dirfd);

	if (fd >= 0) {
		pidfile_mark_let_go(&lock->file, fd);
		sys_close(fd);
	}
}

/* With the right: what we let go of is stale, unless a child has a copy. */
static void remove_if_stale(struct lockfile_pid *lock, int dirfd)
{
	struct judged judged;
	int verdict = lock_judge(lock, dirfd, &judged);

	if (verdict < 0)
		return;
	if (verdict == VERDICT_STALE && verdict_holds(&judged, dirfd, &lock->path) == 1 &&
	    unlink_path(lock, dirfd) == 0)
		wake(lock, dirfd);
	verdict_release(&judged);
}

/*
 * The mark comes before the close, or a record without lock of a living process
 * would read as one whose descriptor was closed underneath.
 */
void held_let_go(struct lockfile_pid *lock)
{
	int dirfd = held_open_dir(lock), r = dirfd;
	bool has_fd, is_ours;

	if (dirfd >= 0)
		r = takeover_claim_patiently(lock, &lock->spare, dirfd);
	has_fd = pidfile_has_fd(&lock->file); /* a second later, perhaps */
	/* before the close: then its inode number may be another's */
	is_ours = r >= 0 && held_check(lock, dirfd) == 0;
	if (has_fd)
		pidfile_mark_let_go(&lock->file, lock->file.descriptor.fd);
	else if (dirfd >= 0)
		mark_by_name(lock, dirfd);
	pidfile_close(&lock->file, has_fd);
	if (is_ours)
		remove_if_stale(lock, dirfd);
	if (r >= 0)
		takeover_withdraw(lock, &lock->spare, dirfd);
	if (dirfd >= 0)
		sys_close(dirfd);
}
