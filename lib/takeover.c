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
 * - So does one that holds it for another process: that is dead, but the holder, who
 *   still has the kernel lock, is not.
 * Who may remove names in the directory by hand is not stopped by any of this, nor
 * is, in a sticky directory, the owner of a stale file that root replaces.
 *
 * The maker of a candidate locks byte 0 of it before anybody can take it for a stale
 * one, and keeps that lock.  A candidate at PATH.takeover is stale, left behind by a
 * crash, if its maker is dead:
 * - either nobody has the lock on byte 0, which ends with the maker's last descriptor,
 * - or the process that its record names is dead.  Then a leaked descriptor keeps the
 *   lock, as a process has that was made by clone(2).  The record must be comparable
 *   here: the content is written before it, and the PID of a living maker in another PID
 *   namespace is nobody's here.  On network and FUSE file systems the lock alone counts,
 *   since a rename that a dead process has asked for may still arrive.  Nor does the
 *   record of a lock for another process (lockfile_pid_set_process()) tell of its maker.
 *
 * Two that clear a stale candidate must not remove the next one's instead.  With
 * the lock on byte 0 alone they would, since by the second rule it cannot be had.
 * Therefore everybody who clears one first locks byte 1 of it, which its maker never
 * does, then checks that the name still leads to this inode, and unlinks it while
 * holding that lock.  It is unlocked before the descriptor is closed, so that a leaked
 * descriptor of one that cleared blocks nobody.
 *
 * Until the candidate is at PATH only its owner may open it (0600): whoever can read a
 * file can lock any byte of it for reading, and would keep others from clearing it for
 * as long as it likes.  It gets its own mode after the rename.  A taker that dies
 * between these two leaves a stale PATH that only its owner and root can read, and for
 * others is busy.  (A group that may write the lock file can read and clear the
 * candidate, too: it could as well lock PATH.)  For the same reason the stale file at
 * PATH is of no use as the mutex.
 *
 * Removed is only what is ours: a regular file with a record of ours, an empty one, or
 * one with nothing but a PID, of an owner whose files we may touch (object.c).
 */
#include <config.h>

#include "takeover.h"

#include "filesystem.h"
#include "handle.h"
#include "object.h"
#include "process.h"
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define MODE_AT_WORK       0600
#define MODE_AT_WORK_GROUP 0660 /* where the group may write the lock file as well */

/* Another keeps the right for some system calls, rarely longer. */
#define CLAIM_TRIES    200
#define CLAIM_PAUSE_MS 5

/* The byte that is locked by whoever clears a stale candidate. */
#define CLEARING_BYTE 1

/* The longest content of a candidate without a record: a PID, a newline, and two spare. */
#define CONTENT_MAX 10

/* What is open at PATH.takeover. */
struct found {
	struct object object;
	struct owner self;
	struct record record; /* if it has one that is of this file, */
	bool has_record;      /* and so names its maker */
};

/* Is it a file that we leave there?  0 or 1. */
static int is_candidate(struct found *found)
{
	char content[CONTENT_MAX + 1];
	int fd = found->object.fd, r = pidfile_read_record(fd, &found->record);

	if (r < 0)
		return r;
	found->has_record =
		r == 1 && pidfile_is_of_record(fd, found->object.st.st_ino, &found->record);
	if (found->has_record)
		return 1;
	r = sys_pread(fd, content, sizeof(content), 0);
	if (r <= 0)
		return r == 0 ? 1 : r;
	return r <= CONTENT_MAX && !memchr(content, '\n', (size_t)r - 1) &&
	       record_parse_content(content, (size_t)r) != 0;
}

/* Another has byte 0: is that a leaked descriptor of a maker that is dead? */
static bool is_maker_dead(const struct found *found)
{
	/* a lock that is held here is of this boot */
	return found->has_record && !found->record.for_owner &&
	       !filesystem_is_network(found->object.fd) &&
	       owner_state(&found->record.owner, &found->self) == OWNER_DEAD;
}

/* With the clearing byte locked. */
static int unlink_stale(struct found *found, int dirfd, const char *name)
{
	const struct stat *st = &found->object.st;
	int r = is_candidate(found);

	if (r < 1)
		return r < 0 ? r : -EEXIST;
	r = sys_write_lock(found->object.fd);
	if (r == -EAGAIN)
		r = is_maker_dead(found) ? 0 : LOCKFILE_PID_ERR_BUSY;
	if (r == 0 && filesystem_is_network(found->object.fd))
		sys_refresh(dirfd, "");
	if (r == 0)
		r = path_leads_to(dirfd, name, st->st_dev, st->st_ino);
	return r == 1 ? sys_unlinkat(dirfd, name, 0) : r;
}

static int clear_open(struct found *found, int dirfd, const char *name)
{
	int fd = found->object.fd, r = sys_lock_byte(fd, F_WRLCK, CLEARING_BYTE);

	if (r < 0)
		return r == -EAGAIN ? LOCKFILE_PID_ERR_BUSY : r;
	r = unlink_stale(found, dirfd, name);
	sys_unlock_bytes(fd);
	return r;
}

/* A stranger's, in a sticky directory: not to be touched, but its maker may be at work. */
static int refuse(const struct found *found)
{
	int r = sys_is_write_locked(found->object.fd);

	return r < 0 ? r : r ? LOCKFILE_PID_ERR_BUSY : -EPERM;
}

static int clear_found(struct found *found, int dirfd, const char *name, uid_t self)
{
	int trusted, r;

	if (!S_ISREG(found->object.st.st_mode))
		return -EEXIST;
	r = trusted = object_is_trusted(found->object.st.st_uid, dirfd, self);
	if (r >= 0)
		r = object_open(&found->object, dirfd, name, O_RDWR);
	/* its maker may be at work, for all that we can see; unless we may not contend here */
	if (r == -ETXTBSY || (r == -EACCES && sys_may_write(dirfd) == 0))
		return LOCKFILE_PID_ERR_BUSY;
	if (r < 0)
		return r;
	return trusted ? clear_open(found, dirfd, name) : refuse(found);
}

/* PATH.takeover exists.  -EAGAIN: now it does not, or is another. */
static int clear_stale(int dirfd, const char *name, const struct pidfile *candidate)
{
	uid_t self = pidfile_exists(candidate) ? candidate->owner : sys_geteuid();
	struct found found = { .object = OBJECT_NONE };
	int r = process_self(&found.self);
	uintptr_t pass;

	if (r < 0)
		return r;
	/* no fork may take a lock along */
	pass = gate_enter();
	r = object_find(&found.object, dirfd, name);
	if (r == 0)
		r = clear_found(&found, dirfd, name, self);
	object_close(&found.object);
	gate_leave(pass);
	/* it is gone; or another host has removed it */
	return r == 0 || is_removed(r) ? -EAGAIN : r;
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
	/* that may be refused; one that has the name from the start is made with that mode */
	if (r == 0 && candidate->mode_now != MODE_AT_WORK)
		r = -EOPNOTSUPP;
	if (r == 0)
		r = pidfile_link(candidate, dirfd, lock->path.takeover);
	if (r == 0 || r == -EEXIST || r == -EOPNOTSUPP || !is_old || !pidfile_exists(candidate))
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
		return clear_stale(dirfd, lock->path.takeover, candidate);
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
	/* ETXTBSY: another host or a swap file uses it for a moment */
	if (r < 0 && r != -EEXIST && r != -ENOENT && r != -ETXTBSY)
		return r;
	return at < 0 ? at : -EAGAIN;
}

/*
 * Is PATH.takeover still ours?  A host that was out of reach for too long has lost it, and
 * would move the file of the next one.
 */
static bool keeps_claim(const struct lockfile_pid *lock, const struct pidfile *candidate, int dirfd)
{
	return pidfile_is_local(candidate) ||
	       (pidfile_is_at(candidate, dirfd, lock->path.takeover) == 1 &&
	        pidfile_keeps_lock(candidate) == 1);
}

static int rename_over(const struct lockfile_pid *lock, const struct pidfile *candidate, int dirfd)
{
	int r;

	if (!keeps_claim(lock, candidate, dirfd))
		return -EAGAIN;
	r = sys_rename(dirfd, lock->path.takeover, lock->path.name);
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

/*
 * It is the lock file from now on, and may be read.  If that fails the lock is held all
 * the same, by a file that only its owner can read.
 */
static void open_to_others(struct pidfile *file)
{
	(void)!pidfile_set_mode(file, file->mode);
}

int takeover_publish(const struct lockfile_pid *lock, struct pidfile *candidate, int dirfd)
{
	int r = sys_rename_noreplace(dirfd, lock->path.takeover, lock->path.name);

	if (r == -EINVAL || r == -ENOSYS || r == -EPERM || r == -EOPNOTSUPP)
		r = publish_by_placeholder(lock, candidate, dirfd);
	else
		r = arrived(lock, candidate, dirfd, r);
	if (r == 0)
		open_to_others(candidate);
	return r;
}

int takeover_replace(const struct lockfile_pid *lock, struct pidfile *candidate, int dirfd,
                     const struct judged *judged)
{
	int r = object_is_trusted(judged->owner, dirfd, candidate->owner);

	if (r < 1)
		return r < 0 ? r : -EPERM;
	r = verdict_holds(judged, dirfd, &lock->path);
	if (r < 1)
		return r < 0 ? r : -EAGAIN;
	return takeover_exchange(lock, candidate, dirfd);
}

int takeover_exchange(const struct lockfile_pid *lock, struct pidfile *candidate, int dirfd)
{
	int r = rename_over(lock, candidate, dirfd);

	if (r == 0)
		open_to_others(candidate);
	return r;
}

void takeover_withdraw(const struct lockfile_pid *lock, struct pidfile *candidate, int dirfd)
{
	/*
	 * By hand the name can have been moved: remove nobody else's.  Our file may be at
	 * PATH then, where it must not be taken for that of a living holder whose
	 * descriptor was closed externally.
	 */
	if (pidfile_is_at(candidate, dirfd, lock->path.takeover) == 1)
		sys_unlinkat(dirfd, lock->path.takeover, 0);
	else if (pidfile_has_fd(candidate))
		pidfile_mark_let_go(candidate, candidate->descriptor.fd);
	pidfile_drop(candidate);
}
