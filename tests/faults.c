/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every errno that the manual page of the call lists and that can happen here,
 * with those that file systems and system call filters are known to add (EIO,
 * ENOMEM, EDQUOT, ENOSYS, EPERM).
 *
 * A failure says nothing about the world, so all promises hold.  An answer says
 * that something is so: there is no such file, somebody has the lock.  Given
 * where it is not so it is a lie, which nobody can see through; still it must do
 * no harm that outlives the process.
 *
 * Left out are
 * - what would be a mistake of the library's own: EBADF, EFAULT, ENOTTY, EINVAL
 *   of an argument that is always the same, EDESTADDRREQ;
 * - what needs another kind of file or another call than ours: EOVERFLOW (files
 *   have less than 2^63 bytes), ENODEV and EBUSY of devices, EPIPE (we read what
 *   we write), EISDIR of read(2), EDEADLK (these locks do not wait), ENODATA and
 *   EEXIST of setxattr(2) (without flags), ECANCELED of timerfd_settime(2) (the
 *   monotonic clock is never set);
 * - ESRCH, and EINVAL and ENOENT of pidfd_open(2): that there is no such process
 *   is what the verdict rests on.
 */
#include <config.h>

#include "faults.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#define LIST(...) ((const int[]){ __VA_ARGS__, FAULTS_END })

/* fcntl(2) says EINVAL where there are no such locks; lib/sys.c calls that ENOTSUP. */
#define LOCKING LIST(-EINTR, -EIO, -ENOLCK, -ENOMEM, -ENOSYS, -ENOTSUP, -EPERM)
#define ASKING  LIST(-EINTR, -EIO, -ENOLCK, -ENOMEM, -ENOSYS, -ENOTSUP, -EPERM)
#define LINKING                                                                                 \
	LIST(-EACCES, -EDQUOT, -EIO, -ELOOP, -EMLINK, -ENAMETOOLONG, -ENOENT, -ENOMEM, -ENOSPC, \
	     -EOPNOTSUPP, -EPERM, -EROFS, -EXDEV)
#define MOVING                                                                                    \
	-EACCES, -EBUSY, -EDQUOT, -EIO, -ELOOP, -EMLINK, -ENAMETOOLONG, -ENOMEM, -ENOSPC, -EPERM, \
		-EROFS, -EXDEV

/* clang-format off: a row a line */
const struct faults faults[] = {
	{ "openat", "open(2)",
	  .failures = LIST(-EACCES, -EDQUOT, -EINTR, -EINVAL, -EIO, -EISDIR, -EMFILE, -ENAMETOOLONG,
	                   -ENFILE, -ENOMEM, -ENOSPC, -EOPNOTSUPP, -EPERM, -EROFS, -ETXTBSY),
	  .answers = LIST(-EAGAIN, -EEXIST, -ELOOP, -ENOENT, -ENOTDIR, -ENXIO, -ESTALE) },
	{ "open_path", "open(2), openat2(2)",
	  .failures = LIST(-EACCES, -EBUSY, -EINTR, -EIO, -ELOOP, -EMFILE, -ENAMETOOLONG, -ENFILE,
	                   -ENOMEM, -EPERM),
	  .answers = LIST(-ENOENT, -ENOTDIR, -ESTALE) },
	{ "reopen", "open(2)", .failures = LIST(-EINTR, -EIO, -EMFILE, -ENFILE, -ENOMEM, -EROFS),
	  .answers = LIST(-EACCES, -EAGAIN, -ENOENT, -ENXIO, -EPERM, -ESTALE, -ETXTBSY) },
	{ "close", "close(2)", .failures = LIST(-EDQUOT, -EINTR, -EIO, -ENOSPC), .made = 1 },
	{ "close_two", "close(2)", .failures = LIST(-EDQUOT, -EINTR, -EIO, -ENOSPC), .made = 1 },
	{ "fstat", "stat(2)", .failures = LIST(-EACCES, -EIO, -ENOMEM),
	  .answers = LIST(-ENOENT, -ESTALE) },
	{ "fstatat", "stat(2)", .failures = LIST(-EACCES, -EIO, -ELOOP, -ENAMETOOLONG, -ENOMEM),
	  .answers = LIST(-ENOENT, -ENOTDIR, -ESTALE) },
	{ "mount_id", "statx(2)", .failures = LIST(0) },
	{ "refresh", "statx(2)", .failures = LIST(-EACCES, -EINTR, -EIO, -ENOMEM, -ENOSYS),
	  .answers = LIST(-ENOENT, -ENOTDIR, -ESTALE) },
	{ "flags", "fcntl(2)", .never = "an open descriptor has flags" },
	{ "fstatfs_type", "statfs(2)", .failures = LIST(-EINTR, -EIO, -ENOMEM, -ENOSYS, -EPERM) },
	{ "pread", "read(2)", .failures = LIST(-EINTR, -EIO, -ENOMEM),
	  .answers = LIST(-ENOENT, -ESTALE), .shorts = LIST(0, 1), .shorts_answer = 1 },
	{ "pwrite", "write(2)",
	  .failures = LIST(-EDQUOT, -EFBIG, -EINTR, -EIO, -ENOMEM, -ENOSPC, -EPERM),
	  .answers = LIST(-ENOENT, -ESTALE), .shorts = LIST(0, 1) },
	{ "lseek", "lseek(2)", .answers = LIST(-EINVAL, -ENXIO, -ESPIPE) },
	{ "read", "read(2)", .failures = LIST(-EAGAIN, -EINTR, -EIO), .shorts = LIST(0, 1) },
	{ "write", "write(2)", .failures = LIST(-EAGAIN, -EINTR, -EIO, -EPERM), .shorts = LIST(0) },
	{ "ftruncate", "truncate(2)",
	  .failures = LIST(-EACCES, -EINTR, -EIO, -ENOSPC, -EPERM, -EROFS, -ETXTBSY) },
	{ "fchmod", "chmod(2)",
	  .failures = LIST(-EACCES, -EDQUOT, -EIO, -ENOMEM, -ENOSPC, -EOPNOTSUPP, -EPERM, -EROFS),
	  .answers = LIST(-ENOENT, -ESTALE) },
	{ "fgetxattr", "getxattr(2)", .failures = LIST(-EINTR, -EIO, -ENOMEM),
	  .answers = LIST(-E2BIG, -EACCES, -ENODATA, -ENOENT, -ENOSYS, -EOPNOTSUPP, -EPERM, -ERANGE,
	                  -ESTALE),
	  .shorts = LIST(0, 1, 40), .shorts_answer = 1 },
	{ "fsetxattr", "setxattr(2)",
	  .failures = LIST(-E2BIG, -EACCES, -EDQUOT, -EIO, -ENOMEM, -ENOSPC, -EOPNOTSUPP, -EPERM,
	                   -ERANGE, -EROFS),
	  .answers = LIST(-ENOENT, -ESTALE) },
	{ "readlinkat", "readlink(2)",
	  .failures = LIST(-EACCES, -EIO, -ELOOP, -ENAMETOOLONG, -ENOENT, -ENOMEM, -ENOSYS),
	  .answers = LIST(-EINVAL), .shorts = LIST(0, 1) },
	{ "write_lock", "fcntl_locking(2)", .failures = LOCKING,
	  .answers = LIST(-EAGAIN, -ESTALE) },
	{ "is_write_locked", "fcntl_locking(2)", .failures = ASKING, .answers = LIST(1, -ESTALE) },
	{ "lock_byte", "fcntl_locking(2)", .failures = LOCKING, .answers = LIST(-EAGAIN, -ESTALE) },
	{ "is_byte_locked", "fcntl_locking(2)", .failures = ASKING, .answers = LIST(0, 1) },
	{ "unlock_bytes", "fcntl_locking(2)", .failures = LOCKING },
	{ "link_fd", "link(2)", .failures = LINKING, .answers = LIST(-EEXIST, -ENOTDIR, -ESTALE) },
	{ "link_proc", "link(2)", .failures = LINKING,
	  .answers = LIST(-EEXIST, -ENOTDIR, -ESTALE) },
	{ "rename", "rename(2)", .failures = LIST(MOVING),
	  .answers = LIST(-EEXIST, -EISDIR, -ENOENT, -ENOTDIR, -ESTALE) },
	{ "rename_noreplace", "rename(2)", .failures = LIST(MOVING, -EINVAL, -ENOSYS, -EOPNOTSUPP),
	  .answers = LIST(-EEXIST, -ENOENT, -ENOTDIR, -ESTALE) },
	{ "may_write", "access(2)", .failures = LIST(-EIO, -ENOMEM, -ENOSYS, -EPERM),
	  .answers = LIST(-EACCES, -EROFS) },
	{ "unlinkat", "unlink(2)",
	  .failures = LIST(-EACCES, -EBUSY, -EIO, -ELOOP, -ENAMETOOLONG, -ENOMEM, -EPERM, -EROFS),
	  .answers = LIST(-EISDIR, -ENOENT, -ENOTDIR, -ESTALE) },
	{ "mkfifoat", "mkfifo(3), mknod(2)",
	  .failures = LIST(-EACCES, -EDQUOT, -EINVAL, -EIO, -ELOOP, -ENAMETOOLONG, -ENOMEM, -ENOSPC,
	                   -ENOSYS, -EOPNOTSUPP, -EPERM, -EROFS),
	  .answers = LIST(-EEXIST, -ENOENT, -ENOTDIR, -ESTALE) },
	{ "getpid", "getpid(2)", .never = "a process has a number" },
	{ "geteuid", "getuid(2)", .never = "a process has a user" },
	{ "pidfd_open", "pidfd_open(2)",
	  .failures = LIST(-EACCES, -EMFILE, -ENFILE, -ENODEV, -ENOMEM, -ENOSYS, -EPERM) },
	{ "pidfd_send_signal", "pidfd_send_signal(2)", .failures = LIST(-EINVAL, -ENOSYS, -EPERM),
	  .answers = LIST(-ESRCH) },
	{ "kill", "kill(2)", .failures = LIST(-EACCES, -ENOSYS, -EPERM) },
	{ "poll", "poll(2)", .failures = LIST(-EAGAIN, -EINTR, -ENOMEM) },
	{ "epoll_create", "epoll_create(2)",
	  .failures = LIST(-EMFILE, -ENFILE, -ENOMEM, -ENOSYS, -EPERM) },
	{ "epoll_add", "epoll_ctl(2)", .failures = LIST(-EINVAL, -ENOMEM, -ENOSPC, -EPERM) },
	{ "epoll_wait", "epoll_wait(2)", .failures = LIST(-EINTR, -ENOSYS, -EPERM) },
	{ "block_signals", "pthread_sigmask(3)", .never = "the mask is one of a valid kind" },
	{ "restore_signals", "pthread_sigmask(3)", .never = "the mask is one of a valid kind" },
	{ "timer_create", "timerfd_create(2)",
	  .failures = LIST(-EMFILE, -ENFILE, -ENODEV, -ENOMEM, -ENOSYS, -EPERM) },
	{ "timer_set", "timerfd_create(2)", .failures = LIST(-ENOSYS, -EPERM) },
	{ "sleep_ns", "nanosleep(2)", .never = "only fork(2) sleeps so, and looks again" },
	{ "has_interrupting_handlers", "sigaction(2)",
	  .never = "numbers that do not exist are skipped" },
	{ "has_restarting_handlers", "sigaction(2)",
	  .never = "numbers that do not exist are skipped" },
	{ "let_in", "pthread_sigmask(3)", .never = "the mask is one of a valid kind" },
	{ "signalfd", "signalfd(2)",
	  .failures = LIST(-EMFILE, -ENFILE, -ENODEV, -ENOMEM, -ENOSYS, -EPERM) },
	{ "getrandom", "getrandom(2)", .failures = LIST(-EAGAIN, -EINTR, -ENOSYS, -EPERM),
	  .shorts = LIST(0, 1) },
	{ "map_wiped", "mmap(2), madvise(2)", .failures = LIST(0) },
	{ "clock_ns", "clock_gettime(2)", .never = "every kernel has these two clocks" },

	/* and what is not in lib/sys.h (tests/memory.h) */
	{ "malloc", "malloc(3)", .failures = LIST(-ENOMEM), .libc = 1 },
	{ "calloc", "malloc(3)", .never = "the library does not call it", .libc = 1 },
	{ "realloc", "malloc(3)", .never = "the library does not call it", .libc = 1 },
	{ "strdup", "strdup(3)", .failures = LIST(-ENOMEM), .libc = 1 },
	{ "strndup", "strdup(3)", .failures = LIST(-ENOMEM), .libc = 1 },
	{ "getcwd", "getcwd(3)", .failures = LIST(-EACCES, -ENAMETOOLONG, -ENOENT, -ENOMEM),
	  .libc = 1 },
};
/* clang-format on */
const int faults_count = sizeof(faults) / sizeof(faults[0]);

const struct faults *faults_of(const char *call)
{
	for (int i = 0; i < faults_count; i++)
		if (strcmp(faults[i].call, call) == 0)
			return &faults[i];
	return NULL;
}
