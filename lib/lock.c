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
 * This first attempt needs no look at PATH.  All calls are relative to one
 * descriptor, so that they are about one directory.  It stays open while the lock
 * is held, and the release needs it (held.c).
 *
 * Judge.  The name is taken: verdict.c.  What vanishes while it is judged is no
 * damaged file but a lock that was released: look again.
 *
 * Take over.  takeover.c.  The same way is used to create where an unnamed file
 * cannot be made or linked (NFS, many FUSE, overlayfs before Linux 6.1): the
 * candidate is made at PATH.takeover and moved to PATH if nothing is there, where
 * rename(2) cannot tell that by way of an empty file that holds the place.
 *
 * Release.  held.c.  First is checked whether PATH is our file with our content;
 * then it is unlinked, and then closed.  The other way round it would be a lock
 * file without kernel lock for a moment, and whoever finds it stale would compete
 * with our unlink(2).  While we live and keep the lock nobody takes over, so
 * that what we checked is what we unlink.  This is not so if our descriptor was
 * closed underneath: in another PID namespace we are a record without a lock,
 * that is, stale.  Nor if a child may adopt the lock, nor if it is held for another
 * process, whose end makes it stale while we have the kernel lock.  Then check and unlink are
 * done with the right to replace.
 *
 * Adopt.  adopt.c.  A child of fork(2) that is to have its parent's lock keeps a
 * copy of the descriptor, and so the kernel lock, whatever becomes of the parent.
 * To adopt is to take over from the parent: what is at PATH is replaced by the
 * child's own lock file, with the right to do so.
 *
 * Network file systems.  A host knows from a cache what a name leads to, and on NFS
 * that can be a minute old.  So before a name decides (is the file at PATH ours, is it
 * the one that was judged, is what is at PATH.takeover stale) the attributes of the
 * directory are asked of the server, which makes the kernel look up the names again.  To
 * ask for those of the name itself would only refresh the inode that the cache has.  A
 * server also loses kernel locks, if it was out of reach for too long, and then others may
 * take over.  There a holder releases with the takeover lock (PATH.takeover).
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

/*
 * Each round that fails to decide means that somebody else got ahead, or plays
 * with the names.  So many in a row are a busy lock.
 */
#define ROUNDS 1000

bool lock_is_held(const struct lockfile_pid *lock)
{
	/* in line it is a candidate */
	return pidfile_is_of_process(&lock->file) && !queue_is_joined(&lock->queue);
}

void lock_drop(struct lockfile_pid *lock)
{
	bool has_fd = pidfile_exists(&lock->file) && pidfile_has_fd(&lock->file);

	if (pidfile_exists(&lock->file))
		pidfile_close(&lock->file, has_fd);
	pidfile_drop(&lock->spare);
	path_drop_dir(&lock->dir, !has_fd);
}

int lock_make_spare(struct lockfile_pid *lock, int dirfd)
{
	int r = 0;

	if (lock->inheritable && !pidfile_exists(&lock->spare))
		r = pidfile_make_unnamed(&lock->spare, dirfd, ".", lock->mode, true);
	return r == -EOPNOTSUPP ? 0 : r;
}

/*
 * Makes a candidate where there is none yet, and gives it the name.  -EEXIST:
 * the name is taken; -EOPNOTSUPP: that is not possible here.
 */
static int create(struct lockfile_pid *lock, int dirfd)
{
	struct pidfile *file = &lock->file;
	bool is_old = pidfile_recover(file);
	int r = lock_make_spare(lock, dirfd);

	if (r == 0 && !is_old)
		r = pidfile_make_unnamed(file, dirfd, ".", lock->mode, lock->inheritable);
	if (r < 0)
		return r;
	r = pidfile_set_mode(file, file->mode);
	/* a new one has the mode that it can have */
	if (r == 0 && is_old && file->mode_now != file->mode)
		r = -EPERM;
	if (r == 0)
		r = pidfile_link(file, dirfd, lock->path.name);
	if (!is_old || r == 0 || r == -EEXIST || !pidfile_exists(file))
		return r;
	/*
	 * Made before setuid(2), say, its mode cannot be changed, and it cannot be linked
	 * (proc_sys_fs(5), protected_hardlinks).
	 */
	pidfile_drop(file);
	return create(lock, dirfd);
}

int lock_judge(struct lockfile_pid *lock, int dirfd, struct judged *ret)
{
	struct judge judge = { &lock->path, &lock->patience, lock->file.nonce,
		               lock->cluster_locks };

	return verdict_judge(ret, dirfd, &judge);
}

int lock_look(const struct lockfile_pid *lock, int dirfd, struct judged *ret)
{
	struct judge judge = { .path = &lock->path, .cluster_locks = lock->cluster_locks };

	return verdict_judge(ret, dirfd, &judge);
}

static void tell_holder(struct awaited *ret, const struct judged *judged)
{
	*ret = (struct awaited){
		.pid = judged->pid,
		.user = judged->owner,
		.wakes = judged->ours,
		.locked = judged->locked && !judged->inheritable,
		.ino = judged->ino,
		.changed = judged->changed,
	};
}

/* With the right to replace: what does PATH look like now? */
static int conclude(struct lockfile_pid *lock, int dirfd, struct awaited *ret_holder)
{
	struct judged judged;
	int verdict = lock_judge(lock, dirfd, &judged), r;

	if (verdict < 0)
		return verdict;
	switch (verdict) {
	case VERDICT_FREE:
		r = takeover_publish(lock, &lock->file, dirfd);
		break;
	case VERDICT_STALE:
	case VERDICT_DAMAGED:
		r = takeover_replace(lock, &lock->file, dirfd, &judged);
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
	int r = lock_make_spare(lock, dirfd);

	if (r == 0)
		r = takeover_claim(lock, &lock->file, dirfd);
	if (r < 0)
		return r;
	r = conclude(lock, dirfd, ret_holder);
	if (r < 0)
		takeover_withdraw(lock, &lock->file, dirfd);
	return r;
}

/* One round.  -EAGAIN: somebody got ahead of us, look again. */
static int contend(struct lockfile_pid *lock, int dirfd, struct awaited *ret_holder)
{
	struct judged judged;
	int verdict = lock_judge(lock, dirfd, &judged), r;

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
		r = create(lock, dirfd);
		if (r != -EOPNOTSUPP)
			return r == -EEXIST ? -EAGAIN : r;
	}
	return replace(lock, dirfd, ret_holder);
}

void lock_share(struct lockfile_pid *lock)
{
	/* not before: of a candidate a child must keep no copy */
	if (lock->file.inheritable) {
		fd_keep_in_child(&lock->file.descriptor);
		fd_keep_in_child(&lock->dir);
	}
	/* other hosts see the kernel lock alone, which a child's copy would keep */
	if (lock->cluster_locks)
		lock->file.descriptor.may_hang = false;
}

void lock_keep_dir(struct lockfile_pid *lock, struct descriptor *dir)
{
	uintptr_t pass = gate_enter();

	fd_move(&lock->dir, dir);
	gate_leave(pass);
	lock_share(lock);
}

int lock_acquire_in(struct lockfile_pid *lock, int dirfd, struct awaited *ret_holder)
{
	int r = -EAGAIN;

	*ret_holder = (struct awaited){ 0 };
	for (int round = 0; r == -EAGAIN && round < ROUNDS; round++)
		r = contend(lock, dirfd, ret_holder);
	lock->found = ret_holder->pid;
	return r == -EAGAIN ? LOCKFILE_PID_ERR_BUSY : r;
}

int lock_acquire(struct lockfile_pid *lock, struct awaited *ret_holder)
{
	int r = path_keep_dir(&lock->path, &lock->dir);

	lock->found = 0;
	if (r < 0)
		return r;
	r = create(lock, lock->dir.fd);
	/* its error may be that of a directory where the lock is held all the same */
	if (r < 0)
		r = lock_acquire_in(lock, lock->dir.fd, ret_holder);
	if (r < 0)
		lock_drop(lock);
	else
		lock_share(lock);
	return r;
}

void lock_prepare(struct lockfile_pid *lock, int dirfd)
{
	/* what goes wrong now, is told when it counts */
	if (!pidfile_exists(&lock->file))
		pidfile_make_unnamed(&lock->file, dirfd, ".", lock->mode, lock->inheritable);
}
