/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The protocol
 * ============
 *
 * What can stand at PATH, and who may change it:
 *
 *	     create: link(2), only if nothing is there
 *	+------+ -----------------------------------------> +------+
 *	| free |                                            | held |
 *	+------+ <----------------------------------------- +------+
 *	     release: unlink(2), by the holder alone         |    ^
 *	                                      holder dies    |    | take over: rename(2), by who
 *	                                                     v    | has the right PATH.takeover
 *	                                                   +-------+
 *	                          written by others -----> | stale |
 *	                                                   +-------+
 *
 * Each arrow that a contender takes is one system call that only one of many
 * can win.  Everything else is preparation that nobody sees, or a verdict that
 * may be old by the time it is used and is therefore checked by that call, or
 * under the right to replace.
 *
 * Create.  A candidate without a name is made (pidfile.c): PID, attribute,
 * kernel lock, mode.  Then link(2) gives it the name.  So nobody ever sees a
 * half-made lock file, or one that is not locked yet, which would look stale.
 * This first attempt needs no look at PATH, and no descriptor of the directory:
 * it is a single step, wherever the path leads at that instant.  All that
 * follows is relative to one descriptor, so that it is about one directory.
 *
 * Judge.  The name is taken: verdict.c.  What vanishes while it is judged is no
 * damaged file but a lock that was released: look again.
 *
 * Take over.  takeover.c.  The same way is used to create where an unnamed file
 * cannot be made or linked (NFS, many FUSE, overlayfs before Linux 6.1): the
 * candidate is made at PATH.takeover and moved to PATH if nothing is there.
 *
 * Release.  First is checked whether PATH is our file with our content; then it
 * is unlinked, and then closed.  The other way round it would be a lock file
 * without kernel lock for a moment, and whoever finds it stale would compete
 * with our unlink(2).  While we live and keep the lock nobody takes over, so
 * that what we checked is what we unlink.  This is not so if our descriptor was
 * closed underneath: in another PID namespace we are a record without a lock,
 * that is, stale.  Then check and unlink are done with the right to replace.
 *
 * Wake.  Between unlink and close one waiter is woken, see queue.c.  That is for
 * speed alone: each waiter looks again by itself.
 *
 * An error before the deciding call leaves nothing behind but what the kernel
 * clears by itself, or what a withdrawal removes.  An error after it does not
 * matter: the lock is had, or gone.
 */
#include <config.h>

#include "lock.h"

#include "process.h"
#include "sys.h"
#include "takeover.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>

/*
 * Each round that fails to decide means that somebody else got ahead, or plays
 * with the names.  So many in a row are a busy lock.
 */
#define ROUNDS 1000

/* Another keeps the right to replace for some system calls, rarely longer. */
#define RELEASE_TRIES    200
#define RELEASE_PAUSE_MS 5

bool lock_is_held(const struct lockfile_pid *lock)
{
	/* in line it is a candidate */
	return pidfile_is_of_process(&lock->file) && !queue_is_joined(&lock->queue);
}

/*
 * Makes a candidate where there is none yet, and gives it the name.  -EEXIST:
 * the name is taken; -EOPNOTSUPP: that is not possible here.
 */
static int create(struct lockfile_pid *lock, int dirfd, const char *dir, const char *name)
{
	struct pidfile *file = &lock->file;
	bool is_old = pidfile_exists(file);
	int r = 0;

	if (!is_old)
		r = pidfile_make_unnamed(file, dirfd, dir, lock->mode);
	if (r == 0)
		r = pidfile_set_mode(file, file->mode);
	if (r < 0)
		return r;
	r = pidfile_link(file, dirfd, name);
	/* over a network the answer may be to our second request */
	if (r == 0 || pidfile_is_at(file, dirfd, name) == 1)
		return 0;
	if (!is_old || r == -EEXIST)
		return r;
	/* made before setuid(2), say, it cannot be linked (proc_sys_fs(5), protected_hardlinks) */
	pidfile_drop(file);
	return create(lock, dirfd, dir, name);
}

static void tell_holder(struct awaited *ret, const struct judged *judged)
{
	*ret = (struct awaited){
		.pid = judged->pid,
		.wakes = judged->ours,
		.dev = judged->dev,
		.ino = judged->ino,
		.changed = judged->changed,
	};
}

/* With the right to replace: what does PATH look like now? */
static int conclude(struct lockfile_pid *lock, int dirfd, struct awaited *ret_holder)
{
	struct judged judged;
	int verdict = verdict_judge(&judged, dirfd, &lock->path, &lock->patience);
	int r;

	if (verdict < 0)
		return verdict;
	switch (verdict) {
	case VERDICT_FREE:
		r = takeover_publish(lock, dirfd);
		break;
	case VERDICT_STALE:
	case VERDICT_DAMAGED:
		r = takeover_replace(lock, dirfd, &judged);
		break;
	case VERDICT_BUSY:
		tell_holder(ret_holder, &judged);
		r = LOCKFILE_PID_ERR_BUSY;
		break;
	default:
		r = LOCKFILE_PID_ERR_INVALID_PID;
	}
	verdict_release(&judged);
	return r;
}

static int replace(struct lockfile_pid *lock, int dirfd, struct awaited *ret_holder)
{
	int r = takeover_claim(lock, dirfd);

	if (r < 0)
		return r;
	r = conclude(lock, dirfd, ret_holder);
	if (r < 0)
		takeover_withdraw(lock, dirfd);
	return r;
}

/* One round.  -EAGAIN: somebody got ahead of us, look again. */
static int contend(struct lockfile_pid *lock, int dirfd, struct awaited *ret_holder)
{
	struct judged judged;
	int verdict = verdict_judge(&judged, dirfd, &lock->path, &lock->patience);
	int r;

	if (verdict < 0)
		return verdict;
	verdict_release(&judged);
	switch (verdict) {
	case VERDICT_BUSY:
		tell_holder(ret_holder, &judged);
		return LOCKFILE_PID_ERR_BUSY;
	case VERDICT_ALIEN:
		return LOCKFILE_PID_ERR_INVALID_PID;
	case VERDICT_FREE:
		r = create(lock, dirfd, ".", lock->path.name);
		if (r != -EOPNOTSUPP)
			return r == -EEXIST ? -EAGAIN : r;
	}
	return replace(lock, dirfd, ret_holder);
}

int lock_acquire_in(struct lockfile_pid *lock, int dirfd, struct awaited *ret_holder)
{
	int r = -EAGAIN;

	*ret_holder = (struct awaited){ 0 };
	for (int round = 0; r == -EAGAIN && round < ROUNDS; round++)
		r = contend(lock, dirfd, ret_holder);
	return r == -EAGAIN ? LOCKFILE_PID_ERR_BUSY : r;
}

int lock_acquire(struct lockfile_pid *lock, struct awaited *ret_holder)
{
	int dirfd, r;

	/* an error here may be that of a directory where the lock is held all the same */
	if (create(lock, AT_FDCWD, lock->path.dir, lock->path.full) == 0)
		return 0;
	dirfd = r = path_open_dir(&lock->path);
	if (dirfd >= 0) {
		r = lock_acquire_in(lock, dirfd, ret_holder);
		sys_close(dirfd);
	}
	if (r < 0)
		pidfile_drop(&lock->file);
	return r;
}

void lock_prepare(struct lockfile_pid *lock, int dirfd)
{
	int r = 0;

	/* what goes wrong now, is told when it counts */
	if (!pidfile_exists(&lock->file))
		r = pidfile_make_unnamed(&lock->file, dirfd, ".", lock->mode);
	(void)r;
}

/* Is PATH our file, by way of our descriptor?  0, ROGUE_DELETION or -errno. */
static int check_by_descriptor(const struct lockfile_pid *lock, int dirfd)
{
	int r = pidfile_is_at(&lock->file, dirfd, lock->path.name);

	if (r == 1)
		r = pidfile_has_content(&lock->file, lock->file.descriptor.fd);
	return r == 0 ? LOCKFILE_PID_ERR_ROGUE_DELETION : r < 0 ? r : 0;
}

/* The same by way of what PATH says. */
static int check_by_name(const struct lockfile_pid *lock, int dirfd)
{
	struct stat st;
	int r = sys_fstatat(dirfd, lock->path.name, &st), fd;

	if (r < 0)
		return r == -ENOENT ? LOCKFILE_PID_ERR_ROGUE_DELETION : r;
	if (!S_ISREG(st.st_mode) || st.st_dev != lock->file.dev || st.st_ino != lock->file.ino)
		return LOCKFILE_PID_ERR_ROGUE_DELETION;
	fd = sys_openat(dirfd, lock->path.name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0);
	if (fd < 0)
		return fd == -ENOENT || fd == -ELOOP || fd == -ENXIO ?
			       LOCKFILE_PID_ERR_ROGUE_DELETION :
			       fd;
	r = pidfile_has_nonce(&lock->file, fd);
	if (r == 1)
		r = pidfile_has_content(&lock->file, fd);
	sys_close(fd);
	return r == 0 ? LOCKFILE_PID_ERR_ROGUE_DELETION : r < 0 ? r : 0;
}

/* Without the directory there is no lock file in it. */
static int open_dir(const struct lockfile_pid *lock)
{
	int dirfd = path_open_dir(&lock->path);

	return dirfd == -ENOENT || dirfd == -ENOTDIR ? LOCKFILE_PID_ERR_ROGUE_DELETION : dirfd;
}

int lock_verify(const struct lockfile_pid *lock)
{
	int dirfd, r;

	if (!lock_is_held(lock))
		return LOCKFILE_PID_ERR_ROGUE_DELETION;
	dirfd = open_dir(lock);
	if (dirfd < 0)
		return dirfd;
	if (pidfile_has_fd(&lock->file))
		r = check_by_descriptor(lock, dirfd);
	else
		r = check_by_name(lock, dirfd);
	sys_close(dirfd);
	return r;
}

static int unlink_ours(struct lockfile_pid *lock, int dirfd)
{
	int r = sys_unlinkat(dirfd, lock->path.name, 0);

	if (r == 0 && queue_wake(dirfd, &lock->path))
		lock->turn_owed_ns = sys_clock_ns(CLOCK_MONOTONIC);
	return r == -ENOENT ? LOCKFILE_PID_ERR_ROGUE_DELETION : r;
}

static int release_by_descriptor(struct lockfile_pid *lock, int dirfd)
{
	int r = check_by_descriptor(lock, dirfd);

	return r == 0 ? unlink_ours(lock, dirfd) : r;
}

/* -EAGAIN: another keeps it. */
static int claim_with_patience(struct lockfile_pid *claimant, int dirfd)
{
	int r = -EAGAIN;

	for (int try = 0; try < RELEASE_TRIES; try++) {
		r = takeover_claim(claimant, dirfd);
		if (r != LOCKFILE_PID_ERR_BUSY && r != -EAGAIN)
			return r;
		sys_poll(NULL, 0, RELEASE_PAUSE_MS);
	}
	return -EAGAIN;
}

static int release_by_name(struct lockfile_pid *lock, int dirfd)
{
	struct lockfile_pid claimant = {
		.path = lock->path,
		.mode = lock->mode,
		.file = PIDFILE_NONE,
	};
	int r = check_by_name(lock, dirfd);

	if (r == 0)
		r = claim_with_patience(&claimant, dirfd);
	if (r == 0) {
		r = check_by_name(lock, dirfd);
		if (r == 0)
			r = unlink_ours(lock, dirfd);
		takeover_withdraw(&claimant, dirfd);
	}
	pidfile_drop(&claimant.file);
	return r;
}

int lock_release(struct lockfile_pid *lock)
{
	int dirfd, r;
	bool has_fd;

	if (!lock_is_held(lock))
		return LOCKFILE_PID_ERR_ROGUE_DELETION;
	dirfd = r = open_dir(lock);
	has_fd = pidfile_has_fd(&lock->file);
	if (dirfd >= 0) {
		r = has_fd ? release_by_descriptor(lock, dirfd) : release_by_name(lock, dirfd);
		sys_close(dirfd);
	}
	if (r == 0 || r == LOCKFILE_PID_ERR_ROGUE_DELETION)
		pidfile_close(&lock->file, has_fd);
	return r;
}
