/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A signal to the holder of a lock reaches the holder and nobody else.  A PID alone cannot
 * give that: between the look at the lock file and kill(2) the process may end, and its PID
 * may be given to another.  Therefore:
 *
 * 1. PATH is classified, and the recorded PID is opened as a pidfd.
 * 2. The process is compared with the record.  It was recorded before the pidfd was opened,
 *    and is alive now.  Two processes never have one PID at the same time, so the pidfd is
 *    that of the recorded process.  The record must be of this boot: in an earlier one a
 *    process may have had the same numbers.  A third-party PID file has no record: its
 *    process is taken for the holder if it is alive.
 * 3. PATH is classified again.  If the lock was released meanwhile, all of it begins again.
 *    Because the pidfd was opened before, this look finds the process of the pidfd, or one
 *    that was given its PID later.  In the latter case the signal finds no process.
 * 4. The signal goes through the pidfd.
 *
 * The lock file says who gets the signal.  So whoever can write the file, or its attribute,
 * could choose a process for a caller with more rights than its own, above all for root.
 * A file is trusted only if neither its group nor others may write it (the permissions of
 * the group cover access control lists), and if its owner is root, the user of the caller,
 * or a user who may signal that process without our help.  It has one name: a stranger
 * could link the PID file of another daemon to PATH, unless the kernel keeps him from that
 * (proc_sys_fs(5), protected_hardlinks).
 *
 * Whoever can write the directory could rename the PID file of another daemon to PATH.  So
 * the same is asked of the directory.  Its group and others may write it if it is sticky:
 * then they can rename nobody's files but their own.  The directories above it are not
 * looked at: whoever can write one of them decides what PATH means, for every program.
 */
#include <config.h>

#include "target.h"

#include "filesystem.h"
#include "lock.h"
#include "process.h"
#include "sys.h"

#include <errno.h>

/* A lock that changes hands this often while we look at it is busy for somebody else. */
#define LOOKS 16

/*
 * Was this record made since the machine started?  No kernel lock outlives its kernel.  A
 * boot ID that is hidden tells nothing, although the lock may be held; and on a network file
 * system a record of another boot has no PID here (verdict.c).
 */
static bool is_of_this_boot(const struct judged *judged, const struct owner *maker,
                            const struct owner *self)
{
	return owner_same_boot(maker, self) || judged->locked;
}

/* By the record in the file.  0; PROCESS_DEAD, -ESRCH: it cannot be told; -EAGAIN. */
static int compare(const struct judged *judged, int pidfd)
{
	struct record record;
	struct owner self;
	int r = pidfile_read_record(judged->fd, &record);

	if (r == 0 || (r == 1 && record.owner.pid != judged->pid))
		return -EAGAIN;
	if (r == 1)
		r = process_self(&self);
	if (r < 0)
		return r;
	if (!is_of_this_boot(judged, &record.owner, &self))
		return -ESRCH;
	switch (owner_identify(&record.owner, &self, pidfd)) {
	case OWNER_ALIVE:
		return 0;
	case OWNER_DEAD:
		return LOCKFILE_PID_ERR_PROCESS_DEAD;
	default:
		return -ESRCH;
	}
}

/* The PID of a third-party file on a network file system may be that of another machine. */
static int compare_third_party(const struct judged *judged)
{
	if (filesystem_is_network(judged->fd))
		return -ESRCH;
	return owner_pid_alive(judged->pid) ? 0 : LOCKFILE_PID_ERR_PROCESS_DEAD;
}

static bool others_may_write(const struct stat *st)
{
	return st->st_mode & (S_IWGRP | S_IWOTH);
}

/* May this user choose this process for a signal? */
static bool is_trusted(uid_t user, pid_t pid)
{
	return user == 0 || user == sys_geteuid() || owner_is_of_user(pid, user);
}

/* May this file in this directory say which process gets a signal?  0, -EPERM or -errno. */
static int check_trust(const struct judged *judged, int dirfd)
{
	struct stat file, dir;
	int r = sys_fstat(judged->fd, &file);

	if (r == 0)
		r = sys_fstat(dirfd, &dir);
	if (r < 0)
		return r;
	if (file.st_nlink > 1 || others_may_write(&file))
		return -EPERM;
	if (others_may_write(&dir) && !(dir.st_mode & S_ISVTX))
		return -EPERM;
	if (!is_trusted(file.st_uid, judged->pid) || !is_trusted(dir.st_uid, judged->pid))
		return -EPERM;
	return 0;
}

/* Is PATH what it was, held by the same process?  0, -EAGAIN or -errno. */
static int check_unchanged(const struct lockfile_pid *lock, int dirfd, const struct judged *judged)
{
	struct judged now;
	int verdict = lock_look(lock, dirfd, &now);

	if (verdict < 0)
		return verdict;
	verdict_release(&now);
	/* the first file is still open, so its inode number is nobody else's */
	return verdict == VERDICT_BUSY && now.dev == judged->dev && now.ino == judged->ino &&
	                       now.pid == judged->pid ?
	               0 :
	               -EAGAIN;
}

static int open_process(pid_t pid)
{
	int pidfd = sys_pidfd_open(pid);

	switch (pidfd) {
	case -ESRCH:
	case -EINVAL: /* the number of a thread; */
	case -ENOENT: /* so since Linux 6.14 or so */
		return LOCKFILE_PID_ERR_PROCESS_DEAD;
	case -EPERM: /* this call asks for no permission: a filter of system calls refuses it */
	case -EACCES:
		return -ENOSYS;
	}
	return pidfd;
}

/* A filter of system calls knows no processes, and so refuses us a signal to ourselves, too. */
static bool is_filtered(void)
{
	int self = open_process(sys_getpid()), r;

	if (self < 0)
		return false;
	r = sys_pidfd_send_signal(self, 0);
	sys_close(self);
	return r < 0;
}

static int send_signal(int pidfd, int signal)
{
	int r = sys_pidfd_send_signal(pidfd, signal);

	switch (r) {
	case -ESRCH:
		return LOCKFILE_PID_ERR_PROCESS_DEAD;
	case -EPERM:
	case -EACCES: /* of a security module */
		return is_filtered() ? -ENOSYS : -EPERM;
	}
	return r;
}

/* It is held.  -EAGAIN: by then it is not, or by somebody else. */
static int signal_held(const struct lockfile_pid *lock, int dirfd, const struct judged *judged,
                       int signal)
{
	int pidfd, r;

	if (judged->pid == 0)
		return -ESRCH;
	pidfd = open_process(judged->pid);
	if (pidfd < 0)
		return pidfd;
	r = judged->ours ? compare(judged, pidfd) : compare_third_party(judged);
	if (r == 0)
		r = check_trust(judged, dirfd);
	if (r == 0)
		r = check_unchanged(lock, dirfd, judged);
	if (r == 0)
		r = send_signal(pidfd, signal);
	sys_close(pidfd);
	return r;
}

static int signal_once(struct lockfile_pid *lock, int dirfd, int signal)
{
	struct judged judged;
	int verdict = lock_look(lock, dirfd, &judged), r;

	if (verdict < 0)
		return verdict;
	lock->found = judged.pid;
	switch (verdict) {
	case VERDICT_FREE:
		r = LOCKFILE_PID_ERR_ROGUE_DELETION;
		break;
	case VERDICT_BUSY:
		r = signal_held(lock, dirfd, &judged, signal);
		break;
	case VERDICT_STALE:
		r = LOCKFILE_PID_ERR_PROCESS_DEAD;
		break;
	default:
		r = LOCKFILE_PID_ERR_INVALID_PID;
	}
	verdict_release(&judged);
	return r;
}

int target_signal(struct lockfile_pid *lock, int signal)
{
	int dirfd = path_open_dir(&lock->path), r = -EAGAIN;

	lock->found = 0;
	if (dirfd < 0)
		return dirfd;
	for (int round = 0; r == -EAGAIN && round < LOOKS; round++)
		r = signal_once(lock, dirfd, signal);
	sys_close(dirfd);
	return r;
}
