/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A lock file that is inheritable stays open in children of fork(2), and its
 * kernel lock lasts until the last copy of the descriptor is closed.  So nobody
 * takes it over when the parent ends, although the PID in it is dead by then.
 *
 * To adopt it is to replace it by a lock file of one's own, with the right to do
 * so (takeover.c), and only if PATH still leads to the file that was inherited.
 * Why two never hold by it:
 * - Another child, or the parent by its unlock, changes PATH with the right only,
 *   and finds by the same check that it is too late.
 * - A contender finds the kernel lock of the copy, and after the rename that of
 *   the new file; the copy is closed after that.
 * - Where the copy was closed underneath and the parent is gone, a contender may
 *   take over; then the random number in the attribute is another.
 *
 * The child of a child has a copy as well, and may adopt.
 *
 * The holder of an inheritable lock adopts in the same way, from itself: then the copies
 * that its children have are of a file that is not at PATH any more.  To change the record
 * in place would not do, because a child that has a copy may be about to adopt.
 *
 * What is adopted is not inheritable.  A daemon adopts when its last fork(2) of that kind
 * is done, and a worker that outlives it must not keep the lock.
 */
#include <config.h>

#include "adopt.h"

#include "held.h"
#include "lock.h"
#include "process.h"
#include "sys.h"
#include "takeover.h"

#include <errno.h>

/* Is there a lock file that a parent held, and meant for this child? */
static bool has_inherited(const struct lockfile_pid *lock)
{
	return pidfile_exists(&lock->file) && lock->file.descriptor.is_kept;
}

/* Makes the candidate the lock file. */
static int replace_inherited(struct lockfile_pid *lock, struct pidfile *candidate, int dirfd)
{
	int r = held_check(lock, dirfd);

	if (r == 0)
		r = lock_make_spare(lock, dirfd);
	if (r == 0)
		r = takeover_claim_patiently(lock, candidate, dirfd);
	if (r < 0) {
		pidfile_drop(candidate);
		return r;
	}
	r = held_check(lock, dirfd);
	if (r == 0)
		r = takeover_exchange(lock, candidate, dirfd);
	if (r < 0)
		takeover_withdraw(lock, candidate, dirfd);
	return r;
}

static int adopt_in(struct lockfile_pid *lock, int dirfd)
{
	struct pidfile candidate = PIDFILE_NONE;
	int r = replace_inherited(lock, &candidate, dirfd);

	if (r < 0)
		return r;
	pidfile_drop(&lock->file);
	pidfile_move(&lock->file, &candidate);
	/* who is first in line watches the parent; now it is us */
	queue_wake(dirfd, &lock->path, lock->file.owner);
	return 0;
}

/* The inherited directory, or that to which PATH leads, by a descriptor of our own. */
static int open_dir(const struct lockfile_pid *lock, bool has_fd, struct descriptor *ret)
{
	struct found found;
	int r = held_find_dir(lock, has_fd, &found);

	if (r == 0)
		r = path_keep_dir_at(found.dirfd, ret);
	held_close_dir(&found);
	return r;
}

/*
 * Is what this process adopts to be inheritable?  Only if it asked for that itself: a setting
 * that it was forked with is that of an ancestor, about the lock which the ancestor took or
 * was to adopt.  A process that adopts from itself asks for a lock that no child has.
 */
static bool is_to_be_inheritable(const struct lockfile_pid *lock)
{
	return lock->inheritable && lock->inheritable_by == process_generation() &&
	       !lock_is_held(lock);
}

static int become_holder(struct lockfile_pid *lock)
{
	bool has_fd = pidfile_has_fd(&lock->file), before = lock->inheritable;
	struct descriptor dir;
	int r = open_dir(lock, has_fd, &dir);

	if (r < 0)
		return r;
	/* our parent's, if no handler for forks ran */
	if (!pidfile_is_of_process(&lock->spare))
		pidfile_drop(&lock->spare);
	lock->inheritable = is_to_be_inheritable(lock);
	r = adopt_in(lock, dir.fd);
	if (r < 0) {
		/* what was inherited is kept, and so is the setting */
		lock->inheritable = before;
		fd_close(&dir);
		return r;
	}
	if (!lock->inheritable)
		pidfile_drop(&lock->spare);
	path_drop_dir(&lock->dir, !has_fd);
	lock_keep_dir(lock, &dir);
	return 0;
}

int adopt(struct lockfile_pid *lock)
{
	int r;

	if (lock_is_held(lock) && !lock->file.inheritable)
		r = held_verify(lock);
	else if (lock_is_held(lock) || has_inherited(lock))
		r = become_holder(lock);
	else
		r = lock->inheritable ? LOCKFILE_PID_ERR_ROGUE_DELETION : -EPERM;
	if (r == LOCKFILE_PID_ERR_ROGUE_DELETION)
		held_lose(lock);
	return r;
}
