/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sys - the seam: every system call that the protocol makes, one thin function
 * each
 *
 * Results are those of the call, with -errno for -1; errno itself means nothing
 * to the callers.  Tests put themselves between the library and the kernel here
 * (the linker's --wrap), to make a call fail or to act between any two.
 */
#ifndef SYS_H
#define SYS_H

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

/* The user of files and processes whose real user the kernel cannot tell (namespaces, NFS). */
#define OVERFLOW_UID 65534

/*
 * A call on a descriptor says so where the file was removed meanwhile: by another
 * host, or on a FUSE file system that does not keep what is open.
 */
static inline bool is_removed(int error)
{
	return error == -ESTALE || error == -ENOENT;
}

/*
 * No descriptor that is made here has the number of a standard stream, but that of a
 * file which sys_openat made, where no other is free: else nobody could remove it again.
 */
static inline bool is_stream(int fd)
{
	return fd >= 0 && fd <= STDERR_FILENO;
}

int sys_openat(int dirfd, const char *name, int flags, mode_t mode);
int sys_open_path(int dirfd, const char *name); /* O_PATH; a mount on the file itself: -EBUSY */
int sys_reopen(int fd, int flags);              /* what this descriptor has; no /proc: -ENOENT */
int sys_close(int fd);
int sys_close_two(int fd, int other); /* by one call if one number follows the other */
int sys_fstat(int fd, struct stat *ret);
int sys_fstatat(int dirfd, const char *name, struct stat *ret); /* follows no link */
uint64_t sys_mount_id(const char *name);                        /* 0: not known */
/*
 * Asks the server of a network file system for the attributes of this file, or of dirfd
 * itself (""), and so, for a directory, what names in it lead to.  -ESTALE: it was removed.
 */
int sys_refresh(int dirfd, const char *name);
int sys_flags(int fd); /* of open(2) */
int sys_fstatfs_type(int fd, unsigned long *ret);
int sys_pread(int fd, void *buf, size_t size, int64_t offset);
int sys_pwrite(int fd, const void *buf, size_t size);
int64_t sys_lseek(int fd, int64_t offset, int whence);
int sys_read(int fd, void *buf, size_t size);
int sys_write(int fd, const void *buf, size_t size);
int sys_ftruncate(int fd, int64_t size);
int sys_fchmod(int fd, mode_t mode);
int sys_fgetxattr(int fd, const char *name, void *buf, size_t size);
int sys_fsetxattr(int fd, const char *name, const void *buf, size_t size);
int sys_readlinkat(int dirfd, const char *name, char *buf, size_t size);

/* Open file description locks, of one byte each; no such locks here: -ENOTSUP. */
int sys_write_lock(int fd);                      /* byte 0; -EAGAIN: somebody has one */
int sys_is_write_locked(int fd);                 /* byte 0, by another description: 0 or 1 */
int sys_lock_byte(int fd, short type, int byte); /* F_RDLCK or F_WRLCK */
int sys_is_byte_locked(int fd, int byte);        /* in any way, by another: 0 or 1 */
int sys_unlock_bytes(int fd);                    /* all of them */

int sys_link_fd(int fd, int dirfd, const char *name);   /* an unnamed file */
int sys_link_proc(int fd, int dirfd, const char *name); /* the same by way of /proc */
int sys_rename(int dirfd, const char *from, const char *to);
int sys_rename_noreplace(int dirfd, const char *from, const char *to);
int sys_may_write(int dirfd); /* make and remove names there; 0 if that is not known, too */
int sys_unlinkat(int dirfd, const char *name, int flags);
int sys_mkfifoat(int dirfd, const char *name, mode_t mode);

pid_t sys_getpid(void);
uid_t sys_geteuid(void);
int sys_pidfd_open(pid_t pid);
int sys_pidfd_send_signal(int pidfd, int signal);
int sys_kill(pid_t pid, int signal);
int sys_poll(struct pollfd *fds, nfds_t count, int timeout_ms);
int sys_epoll_create(void);
int sys_epoll_add(int epoll, int fd, uint32_t events, bool counts);
/* So many are ready of those that count. */
int sys_epoll_wait(int epoll, int timeout_ms, const sigset_t *mask);
void sys_block_signals(sigset_t *ret_before);
void sys_restore_signals(const sigset_t *before);
/* The handlers of these, as far as they are pending, run now.  Was one pending? */
bool sys_let_in(const sigset_t *signals);
int sys_signalfd(const sigset_t *signals); /* readable while one of them is pending */
int sys_timer_create(void);                /* on the monotonic clock */
int sys_timer_set(int timer, int timeout_ms);
int sys_sleep_ns(long ns);
/*
 * Is there a handler without SA_RESTART for a signal that this mask lets in?  And those
 * with SA_RESTART: is there one?  Handlers of faults do not count.
 */
bool sys_has_interrupting_handlers(const sigset_t *mask);
bool sys_has_restarting_handlers(const sigset_t *mask, sigset_t *ret_signals);
int sys_getrandom(void *buf, size_t size);
void *sys_map_wiped(size_t size, bool *ret_wiped); /* memory zeroed in children, if it can be */
int64_t sys_clock_ns(int clock);

#endif
