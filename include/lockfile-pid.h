/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lockfile-pid.h - process-based locks: a file that exists exactly while
 * somebody holds it, and that holds the holder's PID
 *
 * The model
 * ---------
 * A lock is a path.  Nobody holds it: there is no file.  Somebody holds it:
 * the file is there, and its content is exactly "%d\n", the holder's process
 * ID (FHS 3.0, section 3.15), so that `kill $(cat PATH)`, start-stop-daemon(8),
 * pgrep(1) -F and PIDFile= of systemd.service(5) work.  The file appears
 * complete in one step and goes away in one step.
 *
 * The holder also keeps a kernel lock on the file (an open file description
 * lock, fcntl(2)).  That lock is the truth and the PID is the label: whatever
 * ends the holder ends its lock too, and the next contender takes over what it
 * left behind.  Of any number that try to take over, exactly one succeeds.
 * Files that other programs write to the same path are respected as long as
 * the process that they name lives.
 *
 * The life of a handle
 * --------------------
 * A handle (struct lockfile_pid) is one contender for one path:
 *
 *	lockfile_pid_new()
 *	  lockfile_pid_set_mode(), _set_inheritable(), _set_process(),
 *	  _set_cluster_locks()			optional
 *	  lockfile_pid_lock() or _trylock() or _timedlock() or _wait_begin()
 *	or, in one call, lockfile_pid_open()
 *	    lockfile_pid_adopt()		in a daemon: see daemons below
 *	    ... the work ...
 *	    lockfile_pid_verify()		optional: is it still ours?
 *	  lockfile_pid_unlock()
 *	  ... lock and unlock again at will ...
 *	lockfile_pid_free()			releases what is still held
 *
 * A complete program:
 *
 *	#include <lockfile-pid.h>
 *	#include <stdio.h>
 *
 *	int main(void)
 *	{
 *		struct lockfile_pid *lock;
 *		int r = lockfile_pid_open(&lock, "/run/example.pid", 0, NULL);
 *
 *		if (r < 0) {
 *			fprintf(stderr, "/run/example.pid: %s\n",
 *				lockfile_pid_strerror(r));
 *			return 1;
 *		}
 *		... the work that only one process may do ...
 *		lockfile_pid_must_unlock(lock);
 *		lockfile_pid_free(lock);
 *		return 0;
 *	}
 *
 * Results
 * -------
 * Functions that can fail return 0 on success (two that give a descriptor return
 * that) and a negative number otherwise: one of enum lockfile_pid_error, or the
 * negative errno value of the system call that failed.  Out-parameters are written on
 * success only; for lockfile_pid_check() and lockfile_pid_open() see there.  Errors that
 * nearly every call can meet, "the general ones", are listed here once:
 *
 *	-ENOENT, -ENOTDIR, -ELOOP, -EACCES,	the directory part of the path
 *	-ENAMETOOLONG
 *	-EROFS, -ENOSPC, -EDQUOT, -EIO,		the file system; after -ESTALE the
 *	-ESTALE					directory was removed by another host
 *	-EFBIG					the limit for the size of files is 0
 *						(setrlimit(2)), and SIGXFSZ ignored
 *	-EBUSY					a mount point at the path, which is
 *						not opened, and cannot be replaced
 *	-ETXTBSY				the file system does not let a file in
 *						use be removed (a rename is tried again)
 *	-ENOMEM, -EMFILE, -ENFILE, -ENOLCK	the system's tables are full
 *	-EBADF					the directory that a relative path
 *						begins with can be found no more
 *						(see Paths), or a descriptor was
 *						closed externally during the call
 *	-EINTR					a signal handler interrupted a
 *						system call, which network and
 *						FUSE file systems let it do
 *	-ENOTSUP				there are no open file
 *						description locks here
 *	-EINVAL					a required argument is NULL
 *	-EPERM, -ENOSYS, -ENODEV		a system call filter or a security
 *						module refuses, or the kernel lacks,
 *						what cannot be done without
 *
 *	-EAGAIN, -EEXIST, -EISDIR, -EMLINK,	a file system, such as one of FUSE,
 *	-ENXIO, -ETXTBSY, -EXDEV, -E2BIG,	answers what others do not; or another
 *	-ERANGE					program changes names all the time
 *
 * After an error nothing is held that was not held before, and nothing is left
 * behind.  A path that is validly held is reported as such even where another
 * error stands in the way as well.  But functions that wait report -EACCES and -EROFS
 * immediately if no file may be made in the directory: the wait would end in that error.
 *
 * Paths
 * -----
 * The path is resolved again by each attempt, from the directory that was
 * current at lockfile_pid_new(); a later chdir(2) changes nothing.  Symbolic
 * links in the directory part are followed, one in the last component never
 * is.
 *
 * The directory that a relative path begins with is kept by its name, so that a
 * directory that is removed and made again counts.  If the name does not lead
 * there, the handle keeps a descriptor of it: if a directory above it may not
 * be searched, if the name is too long (PATH_MAX), or if it is outside of the
 * root directory.  If such a descriptor was closed externally, as by
 * closefrom(3), the path leads nowhere (-EBADF).
 *
 * While a lock is held, its directory is open.  So unlock, verify and free need
 * no other descriptor, and work after chroot(2): if the root directory is not
 * that of lockfile_pid_new() and the path does not lead to the lock file, the
 * lock file in its directory decides whether the lock is still held.  If its
 * descriptor was closed externally after chroot(2), the lock is lost to the handle
 * (LOCKFILE_PID_ERR_ROGUE_DELETION), and counts as held until the process ends.
 *
 * Beside the lock file there is PATH.queue while somebody waits for it,
 * and PATH.takeover for a moment while one is being replaced: a stale one, or
 * one that is adopted.  It is also there when a lock file is removed that is
 * inheritable, for another process, or on a network or FUSE file system; and, where
 * files cannot be made without a name, whenever one is made.  A crash can leave
 * these behind; the next user of each removes it.
 *
 * Waiting
 * -------
 * The waiters of one user form a wait queue.  A release by a process of that user
 * wakes the head of the queue immediately, and so does the death of the holder.  A
 * waiter that is stopped or dies does not delay the others.
 *
 * A waiter looks at the lock file every 1 to 50 ms instead if the lock file or
 * PATH.queue belongs to another user, or if PATH.queue cannot be used, and so does the
 * head of the queue for a file of another program.  The death of the holder wakes it
 * immediately there, too.  lockfile-pid(7) has a table of users and directories.  A
 * lock file that is removed by hand is noticed within a second.  So is the release by
 * a process that changed its user after it acquired the lock.
 *
 * A handle that released the lock while others waited yields to them if
 * lockfile_pid_lock(), _timedlock() or _wait_begin() asks for the lock again: they
 * have 10 ms from the release, and longer, up to a second, if they did not use that.
 * Of two contenders of one user that use these functions, and that react within a
 * second when they are woken, none is overtaken without bound.  For more than two no
 * bound is known.  lockfile_pid_trylock() never waits and never yields.
 *
 * Daemons
 * -------
 * A daemon takes the lock while it can still say on the terminal that another
 * runs, and only then goes to the background, as another process:
 *
 *	r = lockfile_pid_open(&lock, path, LOCKFILE_PID_INHERITABLE, &holder);
 *	... tell errors, exit(1) ...
 *	if (!in_foreground && daemon(0, 0) < 0)
 *		... the same ...
 *	r = lockfile_pid_adopt(lock);
 *
 * At no instant is the lock free, and then the file holds the daemon's PID.
 * With daemon(3) the shell goes on a moment earlier, while the file still
 * names the first process; examples/daemon.c waits.  If the holder of an
 * inheritable lock ends without unlocking it, the lock stays busy as long as
 * any child (or child's child) lives that was forked meanwhile and has not
 * executed another program, closed its descriptors, freed the handle or tried
 * to lock by it.  Therefore adopt before closing descriptors (closefrom(3))
 * and before giving up the right to write the directory (setuid(2)); chroot(2)
 * may come before, with weaker promises if /proc is missing then.  A daemon that stays in the
 * foreground adopts as well: the workers that it forks then do not keep the lock when it
 * dies.  That the last child which could have adopted it has
 * ended is noticed by waiters within a second.
 *
 * fork, exec, descriptors, threads, signals
 * -----------------------------------------
 * - The lock belongs to the process that took it.  A child never holds it: in
 *   the child unlock and verify say LOCKFILE_PID_ERR_ROGUE_DELETION, free only
 *   gives back memory, and its exit deletes nothing.  The child may contend for
 *   the lock anew with the same handle.  The lock ends with the parent, even
 *   while children live on; an inheritable one (see Daemons) does not.
 * - A process that executes a new image has let go, unless it clears
 *   FD_CLOEXEC of lockfile_pid_fileno() before: the new image may lock at once.
 *   Others see the file as held until that process ends or does so.
 * - All descriptors are close-on-exec.  A child that another thread forks
 *   meanwhile can have copies of those that a call uses, which keep no lock.
 * - fork(2) waits until calls of other threads have registered what they opened,
 *   so that the child can close it.  It waits 100 milliseconds for them, and only
 *   once for a call that hangs, such as one on a mount that does not answer.  Forks
 *   of several threads wait for one another.  A child that is forked while a call
 *   hangs can have a copy of what that call opened, until it executes a program.
 * - clone(2), _Fork(3) and vfork(2) call no fork handlers.  Their child does not hold
 *   the lock either, but has copies of the descriptors until it executes a program or
 *   ends (see File systems).  It may call the library if no other thread of its parent
 *   was in a call at that moment.
 * - A process that shares its parent's memory must not call the library, which would
 *   take it for the parent: one made by vfork(2), or by clone(2) with CLONE_VM and
 *   without CLONE_THREAD.
 * - If two processes share their descriptors (clone(2) with CLONE_FILES), what one
 *   closes was closed externally for the other, and what it has open when it ends
 *   stays open.  In a thread that has descriptors of its own (unshare(2)), those of
 *   other threads count as closed externally, and in those threads, its own.  Such
 *   a thread must not fork while a handle of another thread waits.
 * - On network and FUSE file systems a child keeps its copy of a lock file until it
 *   executes a program, because close(2) would wait for the server; except without
 *   user attributes, and with cluster locks.  The lock ends with the holder all the
 *   same, but contenders in other PID namespaces see it as held while the child has
 *   its copy.
 * - A fork handler (pthread_atfork(3)) may call the library, even one that was
 *   registered before the library was loaded by dlopen(3).  It must not wait for
 *   a lock that another thread holds while that thread calls the library or
 *   fork(2).  Before Linux 4.14 a lock that it takes in the child is lost.
 * - Where a program closes descriptors that it does not know, as closefrom(3)
 *   does, the lock stays ours while the process lives, and a number that has
 *   been given to another file since is neither closed nor written.  A handle in
 *   line needs its descriptors.  A call during which another thread closes them
 *   can fail (-EBADF), and leave PATH.takeover as a crash does.
 * - One thread at a time uses one handle; different handles are independent,
 *   and exclude each other as processes do.
 * - A stack of 16 KiB is enough for each function, where that is enough for a thread
 *   of the C library at all (glibc on most machines).
 * - The library starts no threads, installs no signal handlers, reads no
 *   environment, prints nothing (lockfile_pid_must_unlock() aside) and does
 *   not touch the umask.
 * - Where a lock is waited for is a cancellation point (pthreads(7)); nothing
 *   leaks.  No other function of the library is one.
 *
 * Signal handlers
 * ---------------
 * A signal handler must not call the library, except lockfile_pid_strerror() and
 * lockfile_pid_version(): it may have interrupted the library or malloc(3), which
 * cannot be entered again.  A handler that interrupted the library must not call
 * fork(2) either.
 *
 * A program that is to release the lock when SIGTERM comes does one of these:
 *
 * - It blocks the signal in all threads and receives it with sigtimedwait(2), as
 *   the daemon in lockfile_pid(3) does.
 * - It blocks the signal and reads it from a descriptor of signalfd(2), as one
 *   more descriptor of its event loop; examples/wait-poll.c does.
 * - Its handler only sets a flag of the type volatile sig_atomic_t.  The program
 *   looks at the flag and waits with sigsuspend(2) or ppoll(2), so that no signal
 *   comes between the look and the wait.  lockfile_pid(3) has an example.  If the
 *   handler is installed without SA_RESTART it ends lockfile_pid_lock(), too
 *   (-EINTR).
 *
 * A program that does none of these is killed by the signal.  Its lock ends, and
 * the next contender replaces the file that it leaves behind.
 *
 * File systems
 * ------------
 * Where a file system has no user attributes (ramfs, tmpfs before Linux 6.6,
 * some network file systems) four promises are weaker: another process that
 * re-uses the PID of a dead holder reads as the holder, a stray copy of a dead
 * holder's descriptor (in a process made by clone(2) or vfork(2), until it
 * executes a program) keeps the lock, as it does everywhere for contenders in
 * other PID namespaces, a holder whose descriptors were closed underneath
 * cannot prove any more that the file is its own, and an inheritable lock that
 * was let go of, and whose heir died, is busy until the process that let go of
 * it has ended.  Where /proc is missing the second is as weak, and a holder
 * whose descriptors were closed underneath can lose its lock to another process.
 *
 * Where a file system knows neither O_TMPFILE nor RENAME_NOREPLACE (many FUSE
 * and network ones) the lock file is empty for a moment before it is complete.
 * A crash can leave it empty then, which counts as held for a second.
 *
 * On a network or FUSE file system the PID of a process that does not exist
 * here counts as held, since it may be another host's, unless the file has our
 * attribute and this boot's.  The lock excludes between hosts if kernel locks
 * on it (fcntl(2)) are those of all hosts.  What another host left behind is
 * not taken over unless the caller says so (lockfile_pid_set_cluster_locks()),
 * and waiting across hosts takes up to a second longer.  Before a lock file is removed
 * or replaced there, the server is asked whose it is.  lockfile_pid_verify() also asks
 * whether the holder still has its kernel lock: servers lose locks.
 */
#ifndef LOCKFILE_PID_H
#define LOCKFILE_PID_H

#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of this header; lockfile_pid_version() has the library's. */
#define LOCKFILE_PID_VERSION_MAJOR 0
#define LOCKFILE_PID_VERSION_MINOR 1
#define LOCKFILE_PID_VERSION_MICRO 0
#define LOCKFILE_PID_VERSION       "0.1.0"

/* Of each function that can fail: a compiler warns where nobody looks at its result. */
#if defined(__GNUC__)
#define LOCKFILE_PID_MUST_CHECK __attribute__((__warn_unused_result__))
#else
#define LOCKFILE_PID_MUST_CHECK
#endif

/* One contender for one path. */
struct lockfile_pid;

/* Conditions of the lock; any other negative result is a negative errno. */
enum lockfile_pid_error {
	/* held by another living process, or by another handle of this one */
	LOCKFILE_PID_ERR_BUSY = -10001,
	/* what is at the path is not a PID file */
	LOCKFILE_PID_ERR_INVALID_PID = -10002,
	/* the recorded process does not exist any more */
	LOCKFILE_PID_ERR_PROCESS_DEAD = -10003,
	/* the lock file is not ours: removed, replaced, or never held */
	LOCKFILE_PID_ERR_ROGUE_DELETION = -10004,
	/* the name ends in ".queue" or ".takeover", which is reserved: choose another */
	LOCKFILE_PID_ERR_RESERVED_NAME = -10005
};

/* For lockfile_pid_open(); any of them, combined by |, or 0. */
enum lockfile_pid_flags {
	/* children may adopt the lock, see lockfile_pid_set_inheritable() */
	LOCKFILE_PID_INHERITABLE = 1,
	/* see lockfile_pid_set_cluster_locks() */
	LOCKFILE_PID_CLUSTER_LOCKS = 2,
	/* wait as lockfile_pid_lock() does, and do not fail with LOCKFILE_PID_ERR_BUSY */
	LOCKFILE_PID_WAIT = 4
};

/**
 * lockfile_pid_new - make a handle for a path
 * @ret_lock: where the handle goes; the caller frees it (lockfile_pid_free())
 * @path: the lock file; copied.  The directory that is current now is kept with
 *	a relative path
 *
 * Nothing is opened or created yet, and the directory need not exist.
 *
 * Errors: -EINVAL: an argument is NULL; @path is empty, or its last component is empty, "."
 * or ".."; LOCKFILE_PID_ERR_RESERVED_NAME: its last component ends in ".queue" or ".takeover",
 * which are the library's own names beside a lock file; -ENAMETOOLONG: there is no room
 * for these names (NAME_MAX); -ENOMEM; for a relative @path -ENOENT: the current directory
 * was removed; and if it may not be searched or a descriptor of it is needed (see Paths)
 * -EACCES, -EIO, -ELOOP, -EMFILE, -ENFILE, -ENOTDIR, -EPERM, -ESTALE and -ENOSYS, as
 * stat(2) and open(2) have them.
 *
 * Since: 0.1
 */
LOCKFILE_PID_MUST_CHECK
int lockfile_pid_new(struct lockfile_pid **ret_lock, const char *path);

/**
 * lockfile_pid_open - make a handle and take the lock
 * @ret_lock: where the handle goes; the caller frees it (lockfile_pid_free())
 * @path: as for lockfile_pid_new()
 * @flags: of enum lockfile_pid_flags
 * @ret_holder: NULL, or where the PID of the process goes that holds the lock.  It is always
 *	written: the PID if the result is LOCKFILE_PID_ERR_BUSY, or if a wait for that process
 *	ended in an error such as -EACCES, -EROFS or -EINTR; 0 if the result is another, or if
 *	the PID is not known or means nothing here
 *
 * This is lockfile_pid_new(), the settings that @flags names, and one attempt by
 * lockfile_pid_trylock(), or by lockfile_pid_lock() with LOCKFILE_PID_WAIT.  After an error
 * there is no handle, and *@ret_lock is what it was.  A program that needs another mode than
 * 0644 calls these functions itself.
 *
 * With LOCKFILE_PID_WAIT this is a cancellation point.
 *
 * Errors: -EINVAL: @ret_lock or @path is NULL, or a bit of @flags is unknown; those of
 * lockfile_pid_new(); and those of lockfile_pid_trylock() except -EINPROGRESS, or with
 * LOCKFILE_PID_WAIT those of lockfile_pid_lock() except -EINPROGRESS and -EDEADLK.
 *
 * Since: 0.1
 */
LOCKFILE_PID_MUST_CHECK
int lockfile_pid_open(struct lockfile_pid **ret_lock, const char *path, unsigned int flags,
                      pid_t *ret_holder);

/**
 * lockfile_pid_free - give a handle back, and the lock if it is held
 * @lock: the handle, or NULL
 *
 * A handle in line leaves it.
 *
 * A lock file that is held and cannot be removed, for example because privileges
 * were dropped, becomes a lone newline instead, through its descriptor.  The next
 * contender that may replace it does so immediately.  If the descriptor was closed
 * externally as well, the lock counts as held until this process ends.
 *
 * An inheritable lock is let go of: a child that has inherited it keeps it,
 * and may adopt it.  Where there is no such child the file is removed, or, if
 * that is not possible, marked for the next contender to replace; where
 * neither is (say, privileges were dropped), it counts as held until this
 * process ends.  That can take a second, as lockfile_pid_unlock() does then.
 *
 * In a child that has not adopted the lock this only closes the child's copy.
 *
 * Since: 0.1
 */
void lockfile_pid_free(struct lockfile_pid *lock);

/**
 * lockfile_pid_path - the path as it was given to lockfile_pid_new()
 * @lock: the handle
 *
 * Returns: the path, valid as long as the handle; NULL for a NULL handle.
 *
 * Since: 0.1
 */
const char *lockfile_pid_path(const struct lockfile_pid *lock);

/**
 * lockfile_pid_set_mode - permissions of lock files made from now on
 * @lock: the handle, not holding
 * @mode: permission bits of chmod(2), less the umask when the file is made;
 *	0644 unless set.  The owner always keeps read and write permission
 *
 * Who cannot read the lock file still sees that the lock is held.  Who can
 * write it can break it.
 *
 * Errors: -EINVAL: @lock is NULL; bits outside 0777, or without 0600; -EBUSY: the
 * handle holds the lock, or is in line.
 *
 * Since: 0.1
 */
LOCKFILE_PID_MUST_CHECK
int lockfile_pid_set_mode(struct lockfile_pid *lock, unsigned int mode);

/**
 * lockfile_pid_set_inheritable - may children keep and adopt the lock?
 * @lock: the handle, not holding
 * @inheritable: not 0: what is locked, or adopted, by this handle from now on can
 *	be adopted by children of fork(2).  0 unless set
 *
 * In a child that has inherited a lock this is about the lock file that
 * lockfile_pid_adopt() makes, not about the permission to call it.  What a process adopts is
 * not inheritable unless that process itself made such a call.  A call by its parent does not
 * count.  What a process adopts from itself is never inheritable.
 *
 * Errors: -EINVAL: @lock is NULL, or the lock is for another process
 * (lockfile_pid_set_process()); -EBUSY: the handle holds the lock, or waits for it.
 *
 * Since: 0.1
 */
LOCKFILE_PID_MUST_CHECK
int lockfile_pid_set_inheritable(struct lockfile_pid *lock, int inheritable);

/**
 * lockfile_pid_set_process - whose lock is it to be?
 * @lock: the handle, not holding
 * @pid: another process, for which this handle takes locks from now on; 0: this process, as
 *	before the first call
 *
 * For a program that takes a lock for the process that started it, as the command lock of
 * lockfile-pid(1) does for a script.  The file holds the PID of that process, and records
 * its identity.  The lock is held until it is unlocked or until that process ends, in
 * whatever way.  Then it is stale immediately, even while the process that took it lives.
 *
 * The process that took the lock should stay until then, and watch the other process by
 * pidfd_open(2): it has the kernel lock, which is all that contenders in other PID
 * namespaces see, and where the file system has no user attributes.  If it ends before,
 * the lock remains that of the other process for contenders of this PID namespace, and
 * for others it is stale.
 *
 * lockfile_pid_unlock() of a handle that holds nothing releases what any process holds for
 * @pid.  For the process that took the lock it is gone then (lockfile_pid_verify()).
 *
 * Errors: -EINVAL: @lock is NULL, @pid is negative, or the handle is inheritable; -EBUSY: the
 * handle holds the lock, or waits for it; -ESRCH: there is no such process, or it is a zombie,
 * or @pid is that of a thread; -EMFILE, -ENFILE, -ENOMEM, -EINTR: it could not be identified
 * now.
 *
 * Since: 0.1
 */
LOCKFILE_PID_MUST_CHECK
int lockfile_pid_set_process(struct lockfile_pid *lock, pid_t pid);

/**
 * lockfile_pid_set_cluster_locks - do all hosts share the kernel locks?
 * @lock: the handle, not holding
 * @cluster: not 0: on a network or FUSE file system a lock file without kernel
 *	lock has no holder on any host.  0 unless set
 *
 * A record of another boot, and a PID that no process has here, may be those of
 * a living process on another host.  What tells is the kernel lock, if it
 * reaches all hosts, as it does with GlusterFS, CephFS and NFSv4, for example,
 * but not where the mount makes such locks local (nolock, local_lock=posix).
 * Only the administrator knows.  Unset, such a file counts as held, and has to
 * be removed by hand after a host has crashed.  Files on local file systems are
 * not affected.
 *
 * Errors: -EINVAL: @lock is NULL; -EBUSY: the handle holds the lock, or is in
 * line.
 *
 * Since: 0.1
 */
LOCKFILE_PID_MUST_CHECK
int lockfile_pid_set_cluster_locks(struct lockfile_pid *lock, int cluster);

/**
 * lockfile_pid_trylock - take the lock if nobody holds it
 * @lock: the handle
 *
 * A lock file whose process is dead, or that holds no valid PID, is replaced by
 * ours in one step.  An empty file may have a writer that is about to fill it,
 * so it counts as held until its last change is a second old.
 *
 * This function never sleeps, and takes a lock that is free even if others wait for it.
 *
 * Errors: LOCKFILE_PID_ERR_BUSY: somebody holds the lock (this handle
 * included), or is taking it over at this moment; -EINPROGRESS: the handle is
 * in line (lockfile_pid_wait_begin()); LOCKFILE_PID_ERR_INVALID_PID: what is
 * at the path is no lock file and is left alone: not a regular file, or over
 * 64 bytes without a valid PID, or over 4 KiB, unless it carries our record;
 * -EPERM: a stale file that we may not replace or clear (in a sticky directory, that of a
 * user who is not root, the caller or the owner of the directory; for root too); -EEXIST:
 * what is at PATH.takeover was not made by this library, and is left alone; and the
 * general ones.
 *
 * Since: 0.1
 */
LOCKFILE_PID_MUST_CHECK
int lockfile_pid_trylock(struct lockfile_pid *lock);

/**
 * lockfile_pid_lock - take the lock, waiting for it as long as it takes
 * @lock: the handle
 *
 * As lockfile_pid_trylock(), but what that calls busy is waited for: until the
 * file goes away or its process dies.
 *
 * Another thread cannot end this call, except by cancellation.  A program that is to end the
 * wait of a thread waits by lockfile_pid_wait_begin() and by a poll(2) that an eventfd(2) ends
 * as well: examples/wait-cancel.c.
 *
 * Errors: those of lockfile_pid_trylock() except LOCKFILE_PID_ERR_BUSY; -EACCES, -EROFS:
 * somebody holds the lock, and when it is free we could not take it;
 * -EDEADLK: this handle holds the lock; -EINTR: a signal handler that was installed
 * without SA_RESTART ran while waiting.  After a handler with SA_RESTART the call goes
 * on to wait, in its place.  In a program that has handlers without SA_RESTART,
 * -EINTR can also mean that the process was stopped and continued (signal(7)); in one
 * that has both kinds, and no descriptor left for a signalfd(2), that one with SA_RESTART
 * ran.  After -EINTR the place in the wait queue is lost; a program that is to keep it
 * waits by lockfile_pid_wait_begin() and poll(2).  A cancellation point.
 *
 * Since: 0.1
 */
LOCKFILE_PID_MUST_CHECK
int lockfile_pid_lock(struct lockfile_pid *lock);

/**
 * lockfile_pid_timedlock - take the lock, waiting for a limited time
 * @lock: the handle
 * @timeout_ms: milliseconds as in poll(2), on the monotonic clock: negative
 *	waits for ever, 0 is lockfile_pid_trylock()
 *
 * There is no function with a deadline: struct timespec has another size in a program that
 * is built with 64-bit time_t on a machine of 32 bits, and the library would read the wrong
 * bytes.  A wait that signal handlers interrupt, and that is to keep its deadline and its
 * place in the wait queue, is a loop of poll(2) (see lockfile_pid_wait_begin()), as in
 * examples/wait-cancel.c.
 *
 * Errors: those of lockfile_pid_lock(); -ETIMEDOUT: the time is over;
 * LOCKFILE_PID_ERR_BUSY: @timeout_ms is 0, and somebody holds the lock.
 *
 * Since: 0.1
 */
LOCKFILE_PID_MUST_CHECK
int lockfile_pid_timedlock(struct lockfile_pid *lock, int timeout_ms);

/**
 * lockfile_pid_unlock - remove the lock file
 * @lock: the handle
 *
 * Errors: LOCKFILE_PID_ERR_ROGUE_DELETION: we are not the holder: somebody
 * removed or replaced the file or changed its content, another process took
 * the lock, or nobody did; nothing of anybody else's is deleted, and the
 * handle holds nothing now; -EINPROGRESS: the handle is in line.  After any
 * other error the handle still holds the lock: -EACCES, -EPERM, -EROFS: the file
 * may not be removed (say, privileges were dropped).  This takes no new
 * descriptor.  But if our descriptors were closed externally, if the lock is
 * inheritable or for another process, or on a network or FUSE file system, a file has to
 * be made beside it for a moment.  That takes a descriptor, but for an inheritable lock on a file system with
 * O_TMPFILE; and then there are -EAGAIN: another process has kept the right to do so for
 * a second; and -EEXIST: what is at PATH.takeover was not made by this library, and is
 * left alone.  And the general ones.
 *
 * Since: 0.1
 */
LOCKFILE_PID_MUST_CHECK
int lockfile_pid_unlock(struct lockfile_pid *lock);

/**
 * lockfile_pid_must_unlock - remove the lock file or abort
 * @lock: the handle
 *
 * As lockfile_pid_unlock(); where that fails, says why on standard error and
 * calls abort(3).
 *
 * Since: 0.1
 */
void lockfile_pid_must_unlock(struct lockfile_pid *lock);

/**
 * lockfile_pid_verify - is the lock still ours and intact?
 * @lock: the handle
 *
 * Returns: 0: the file at the path is ours, unchanged.
 *
 * Errors: LOCKFILE_PID_ERR_ROGUE_DELETION: it is not, or the handle does not
 * hold, or the server of a network file system has lost its kernel lock; and the general
 * ones, where the path could not be looked at.
 *
 * Since: 0.1
 */
LOCKFILE_PID_MUST_CHECK
int lockfile_pid_verify(const struct lockfile_pid *lock);

/**
 * lockfile_pid_check - who holds the lock?
 * @lock: the handle, holding or not
 * @ret_pid: where the recorded PID goes, or NULL: 0 if none is known or if it
 *	means nothing here (the holder lives in another PID namespace).  Written
 *	with the results 0, LOCKFILE_PID_ERR_BUSY and LOCKFILE_PID_ERR_PROCESS_DEAD
 *
 * Disturbs nobody: no lock is taken and nothing is removed.  While an
 * inheritable lock waits to be adopted it is busy, and the PID (0 in another
 * PID namespace) is that of the process which took it, dead or alive.
 *
 * Returns: 0: nobody, there is no file.
 *
 * Errors: LOCKFILE_PID_ERR_BUSY: a living process does (this one included);
 * LOCKFILE_PID_ERR_PROCESS_DEAD: the process that did is gone and its file is
 * left; LOCKFILE_PID_ERR_INVALID_PID: what is there is no lock file, or a damaged one;
 * and the general ones.
 *
 * Since: 0.1
 */
LOCKFILE_PID_MUST_CHECK
int lockfile_pid_check(const struct lockfile_pid *lock, pid_t *ret_pid);

/**
 * lockfile_pid_holder - who held the lock when the last attempt failed?
 * @lock: the handle
 *
 * This looks at nothing: it returns the PID that the last attempt to lock, by whatever
 * function, found at the path when it failed.  lockfile_pid_check() afterwards may find
 * somebody else, or nobody.  While the handle waits, this is the holder that it waits for, and
 * 0 while it yields (see Waiting).
 * After lockfile_pid_signal() it is the process that the signal was for.
 *
 * Returns: the PID; 0 if there was none, if it is not known or means nothing here (the holder
 * lives in another PID namespace), if the last attempt succeeded, or if @lock is NULL.
 *
 * Since: 0.1
 */
pid_t lockfile_pid_holder(const struct lockfile_pid *lock);

/**
 * lockfile_pid_signal - send a signal to the holder, and to nobody else
 * @lock: the handle, holding or not
 * @signo: the signal; 0 sends none, and only tells whether it could be sent
 *
 * The holder is identified by what the lock file records and by a pidfd, and the signal
 * goes through that pidfd.  So it never reaches another process that was given the PID of
 * the holder.  The PID in a file of another program is signalled if its process lives.
 *
 * Whoever can write a lock file, or link or rename another to the path, can choose who is
 * signalled.  Therefore all of these must be true, or the result is -EPERM:
 *
 * - The file has one name only, and neither its group nor others have permission to write it.
 * - Its directory has no permission to write for its group and others, unless it is sticky.
 * - The owner of the file is root, our user, or a user who may send signals to that process
 *   (its real or saved user; never the overflow user, 65534), and so is the owner of the
 *   directory.
 *
 * Only the directory of the file is looked at.  Whoever can write a directory above it, or one
 * through which a symbolic link in the path leads, can put another directory in its place,
 * and so chooses as well.
 *
 * Returns: 0: the signal was sent.
 *
 * Errors: LOCKFILE_PID_ERR_ROGUE_DELETION: nobody holds the lock, there is no file;
 * LOCKFILE_PID_ERR_PROCESS_DEAD: the process that held it is gone;
 * LOCKFILE_PID_ERR_INVALID_PID: what is there is no lock file, or an invalid one; -EPERM:
 * we may not signal that process, or the file or its directory is not to be trusted; -ESRCH:
 * the lock is held, but by a process that has no PID here, or that cannot be told from
 * another one, for example because the boot ID was hidden from it and its descriptor of the
 * file was closed externally; -ENOSYS: there are no pidfds here (before Linux 5.3, or a filter
 * of system calls refuses them); -EINVAL: @lock is NULL, or there is no such signal; -EAGAIN:
 * the lock goes from one process to another all the time; and the general ones.
 *
 * Since: 0.1
 */
LOCKFILE_PID_MUST_CHECK
int lockfile_pid_signal(struct lockfile_pid *lock, int signo);

/**
 * lockfile_pid_adopt - become the only holder of a lock that children could adopt
 * @lock: the handle by which a parent of this process, or this process, took the lock
 *
 * This is for the process that keeps the lock: the child that became the daemon, or the same
 * process if it never forked.  From now on the lock is ours alone, and our own children
 * inherit nothing of it.
 *
 * In a child, the parent must have taken the lock inheritably
 * (lockfile_pid_set_inheritable(), LOCKFILE_PID_INHERITABLE) before it forked.  Whether the
 * parent lives, has ended, or has freed its handle, does not matter.  The file holds our PID,
 * and has the mode that is set for this handle.  It is a new file: lockfile_pid_fileno() may
 * be another number, and what fchown(2) and fchmod(2) did to the old file is gone.  In the
 * process that holds an inheritable lock it is a new file, too.  In the holder of a lock that
 * is not inheritable, such as one that has adopted, adopt does what lockfile_pid_verify() does.
 *
 * The handle is not inheritable afterwards.  If the child itself calls
 * lockfile_pid_set_inheritable() before it adopts, its own children may adopt the lock in
 * their turn.  A second call of adopt in that child ends this: then the lock is not
 * inheritable any more.
 *
 * Of several children one can adopt
 * it.  A child whose descriptors were closed can as long as no other contender
 * has taken over, which the parent prevents while it holds the lock; without
 * user attributes it cannot.  For a parent that lives it is gone: its unlock
 * and verify say LOCKFILE_PID_ERR_ROGUE_DELETION.
 *
 * Returns: 0: we hold the lock.
 *
 * Errors: LOCKFILE_PID_ERR_ROGUE_DELETION: there is nothing to adopt: the file
 * was removed, by the parent's unlock or by hand, or is another's, or another
 * child has adopted it, or no parent held the lock when we were forked; the
 * handle holds nothing now.  After any other error what was inherited is kept,
 * and adopt can be called again: -EPERM: nothing was inherited, and the handle
 * is not inheritable; -EAGAIN: another process has kept the right to replace
 * the file for a second; -EINPROGRESS: the handle is in line; and those of
 * lockfile_pid_trylock() except LOCKFILE_PID_ERR_BUSY and
 * LOCKFILE_PID_ERR_INVALID_PID.
 *
 * Since: 0.1
 */
LOCKFILE_PID_MUST_CHECK
int lockfile_pid_adopt(struct lockfile_pid *lock);

/**
 * lockfile_pid_fileno - the descriptor of the held lock file
 * @lock: the handle
 *
 * For a program that executes another which is to be the holder: clear its
 * FD_CLOEXEC (fcntl(2)) and call exec.  The descriptor remains the library's:
 * do not close or write it, nor move its file offset, by which the library
 * knows it again (pread(2) does not).
 *
 * fchown(2) and fchmod(2) are allowed while the lock is held, after lockfile_pid_adopt() in
 * a daemon, for example to give the file to the user that the daemon becomes.  The owner of
 * the file decides who waits in which way: waiters of users other than the new owner look
 * every 1 to 50 ms, and waiters of the new owner are woken immediately by the death of the
 * holder, but find a release within a second.  Whoever can write the file can break the lock,
 * and whoever owns it can.  In a sticky directory nobody but the new owner may replace the
 * file of a dead holder, unless that is root or the owner of the directory.  Keep 0600: a
 * next contender without permission to read and write the file cannot take it over.
 *
 * Returns: the descriptor; it is never that of a standard stream.
 *
 * Errors: -EBADF: the lock is not held, or the descriptor was closed underneath;
 * -EINVAL: @lock is NULL.
 *
 * Since: 0.1
 */
LOCKFILE_PID_MUST_CHECK
int lockfile_pid_fileno(const struct lockfile_pid *lock);

/**
 * lockfile_pid_wait_begin - take the lock, or stand in line for it
 * @lock: the handle
 *
 * For event loops: as lockfile_pid_lock(), cut into steps that do not block.
 *
 *	r = lockfile_pid_wait_begin(lock);
 *	while (r == LOCKFILE_PID_ERR_BUSY) {
 *		... until lockfile_pid_wait_fd(lock) polls readable ...
 *		r = lockfile_pid_wait_continue(lock);
 *	}
 *
 * A signal that interrupts the program's own poll(2) does not cost the handle its place
 * in the wait queue: poll again.  Leave the queue by lockfile_pid_wait_cancel(), for
 * example when a timeout of your own is over.
 *
 * Errors: LOCKFILE_PID_ERR_BUSY: not ours yet, we stand in line now;
 * -EINPROGRESS: the handle is in line already, and stays there; and those of
 * lockfile_pid_lock(), which mean that we are not in line.
 *
 * Since: 0.1
 */
LOCKFILE_PID_MUST_CHECK
int lockfile_pid_wait_begin(struct lockfile_pid *lock);

/**
 * lockfile_pid_wait_fd - the descriptor that tells when to go on
 * @lock: the handle, in line
 *
 * It polls readable (POLLIN) whenever lockfile_pid_wait_continue() is due, at
 * least once a second.  It remains the library's, and the same until the line
 * is left.  It is an epoll descriptor: a program that waits for nothing else
 * may sleep on it by epoll_wait(2), and then a release wakes only the head of the
 * queue; of those that poll it, or nest it in another, all wake, in no order.  Call
 * lockfile_pid_wait_continue() after each epoll_wait(2), which takes the events.
 *
 * Returns: the descriptor.
 *
 * Errors: -EBADF: not in line; -EINVAL: @lock is NULL.
 *
 * Since: 0.1
 */
LOCKFILE_PID_MUST_CHECK
int lockfile_pid_wait_fd(const struct lockfile_pid *lock);

/**
 * lockfile_pid_wait_continue - try again to take the lock
 * @lock: the handle, in line
 *
 * Errors: LOCKFILE_PID_ERR_BUSY: go on polling; -EINVAL: the handle was not in
 * line; and those of lockfile_pid_wait_begin() except -EINPROGRESS and -EDEADLK,
 * which mean that the line was left.
 *
 * Since: 0.1
 */
LOCKFILE_PID_MUST_CHECK
int lockfile_pid_wait_continue(struct lockfile_pid *lock);

/**
 * lockfile_pid_wait_cancel - leave the line
 * @lock: the handle, in line or not
 *
 * Errors: -EINVAL: @lock is NULL.
 *
 * Since: 0.1
 */
LOCKFILE_PID_MUST_CHECK
int lockfile_pid_wait_cancel(struct lockfile_pid *lock);

/**
 * lockfile_pid_strerror - a result in words
 * @error: 0 or any negative result of this library
 *
 * Returns: a constant string, in English; never NULL.  Thread-safe.
 *
 * Since: 0.1
 */
const char *lockfile_pid_strerror(int error);

/**
 * lockfile_pid_version - the version of the library that runs
 *
 * Returns: a constant string such as "0.1.0"; compare LOCKFILE_PID_VERSION.
 *
 * Since: 0.1
 */
const char *lockfile_pid_version(void);

#ifdef __cplusplus
}
#endif

#endif /* LOCKFILE_PID_H */
