/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

/* Headers may be older than the kernel. */
#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#endif
#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif
#define NO_ADVICE (-1)
#ifndef F_OFD_GETLK
#define F_OFD_GETLK 36
#define F_OFD_SETLK 37
#endif

static int result(long r)
{
	return r < 0 ? -errno : (int)r;
}

/*
 * Of a program that was started without a standard stream, the next descriptor has
 * the number of that stream, and what it prints would go into the lock file.  -EMFILE:
 * there is no other number, and it is closed, unless it is to be kept.
 */
static int above_streams(int fd, bool keep)
{
	int r;

	if (!is_stream(fd))
		return result(fd);
	r = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (r < 0 && keep)
		return fd;
	sys_close(fd);
	return r < 0 ? -EMFILE : r;
}

int sys_openat(int dirfd, const char *name, int flags, mode_t mode)
{
	return above_streams(openat(dirfd, name, flags | O_CLOEXEC, mode), flags & O_CREAT);
}

/* linux/openat2.h is younger than the headers that we build with. */
#ifndef SYS_openat2
#define SYS_openat2 437 /* on every machine but alpha */
#endif
#define NO_MOUNT_CROSSING 0x01 /* RESOLVE_NO_XDEV */

int sys_open_path(int dirfd, const char *name)
{
	struct {
		uint64_t flags, mode, resolve;
	} how = { O_PATH | O_NOFOLLOW | O_CLOEXEC, 0, NO_MOUNT_CROSSING };
	int fd = (int)syscall(SYS_openat2, dirfd, name, &how, sizeof(how));

	/* before Linux 5.6, and what filters of system calls say that do not know it */
	if (fd < 0 && (errno == ENOSYS || errno == EPERM))
		fd = openat(dirfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == EXDEV)
		return -EBUSY;
	return above_streams(fd, false);
}

#define LINK_SIZE (sizeof("/proc/thread-self/fd/") + 3 * sizeof(int))

/* Not by /proc/self, which is the first thread: this one may have descriptors of its own. */
static void format_link(int fd, char ret[LINK_SIZE])
{
	snprintf(ret, LINK_SIZE, "/proc/thread-self/fd/%d", fd);
}

int sys_reopen(int fd, int flags)
{
	char link[LINK_SIZE];

	format_link(fd, link);
	return above_streams(open(link, flags | O_CLOEXEC), false);
}

int sys_close(int fd)
{
	/* which is no cancellation point, unlike close(3) */
	return result(syscall(SYS_close, fd));
}

/* Linux 5.9, and as new in the headers. */
#ifndef SYS_close_range
#define SYS_close_range 436 /* on every machine but alpha */
#endif

int sys_close_two(int fd, int other)
{
	int first = fd < other ? fd : other, last = fd < other ? other : fd, r;

	/* never more than these two, and by two calls if the kernel or a filter refuses */
	if (last - first == 1 && syscall(SYS_close_range, first, last, 0) == 0)
		return 0;
	r = sys_close(other);
	sys_close(fd);
	return r;
}

int sys_fstat(int fd, struct stat *ret)
{
	return result(fstat(fd, ret));
}

int sys_fstatat(int dirfd, const char *name, struct stat *ret)
{
	return result(fstatat(dirfd, name, ret, AT_SYMLINK_NOFOLLOW));
}

/* What statx(2) gives: the C library may have no name for this part, or none for any. */
union statx_result {
	unsigned char all[256];
	struct {
		uint32_t mask;
		unsigned char others[140];
		uint64_t mount; /* Linux 5.8 */
	} part;
};
#define STATX_WITH_MOUNT 0x1000U

uint64_t sys_mount_id(const char *name)
{
	/* a call that fails writes nothing */
	union statx_result result = { { 0 } };

#ifdef SYS_statx
	syscall(SYS_statx, AT_FDCWD, name, 0, STATX_WITH_MOUNT, &result);
#else
	(void)name;
#endif
	return result.part.mask & STATX_WITH_MOUNT ? result.part.mount : 0;
}

#ifndef AT_STATX_FORCE_SYNC
#define AT_STATX_FORCE_SYNC 0x2000
#endif
#define STATX_BASIC 0x7ffU /* with no times asked for, NFS asks nothing */

int sys_refresh(int dirfd, const char *name)
{
#ifdef SYS_statx
	union statx_result attributes;

	return result(syscall(SYS_statx, dirfd, name, AT_EMPTY_PATH | AT_STATX_FORCE_SYNC,
	                      STATX_BASIC, &attributes));
#else
	(void)dirfd;
	(void)name;
	return -ENOSYS;
#endif
}

int sys_flags(int fd)
{
	return result(fcntl(fd, F_GETFL));
}

int sys_fstatfs_type(int fd, unsigned long *ret)
{
	struct statfs fs;
	int r = result(fstatfs(fd, &fs));

	if (r == 0)
		*ret = (unsigned long)fs.f_type & 0xffffffffUL;
	return r;
}

int sys_pread(int fd, void *buf, size_t size, int64_t offset)
{
	return result(pread(fd, buf, size, (off_t)offset));
}

int sys_pwrite(int fd, const void *buf, size_t size)
{
	return result(pwrite(fd, buf, size, 0));
}

int64_t sys_lseek(int fd, int64_t offset, int whence)
{
	off_t r = lseek(fd, (off_t)offset, whence);

	return r < 0 ? -errno : r;
}

int sys_read(int fd, void *buf, size_t size)
{
	return result(read(fd, buf, size));
}

int sys_write(int fd, const void *buf, size_t size)
{
	return result(write(fd, buf, size));
}

int sys_ftruncate(int fd, int64_t size)
{
	return result(ftruncate(fd, (off_t)size));
}

int sys_fchmod(int fd, mode_t mode)
{
	return result(fchmod(fd, mode));
}

int sys_fgetxattr(int fd, const char *name, void *buf, size_t size)
{
	return result(fgetxattr(fd, name, buf, size));
}

int sys_fsetxattr(int fd, const char *name, const void *buf, size_t size)
{
	return result(fsetxattr(fd, name, buf, size, 0));
}

int sys_readlinkat(int dirfd, const char *name, char *buf, size_t size)
{
	return result(readlinkat(dirfd, name, buf, size));
}

/* Some sandboxes do not know these locks and say EINVAL. */
static int ofd_lock(int fd, int command, struct flock *lock)
{
	int r = result(fcntl(fd, command, lock));

	return r == -EINVAL ? -ENOTSUP : r == -EACCES ? -EAGAIN : r;
}

static int test_lock(int fd, short type, int byte)
{
	struct flock lock = { .l_type = type, .l_start = byte, .l_len = 1 };
	int r = ofd_lock(fd, F_OFD_GETLK, &lock);

	return r < 0 ? r : lock.l_type != F_UNLCK;
}

int sys_lock_byte(int fd, short type, int byte)
{
	struct flock lock = { .l_type = type, .l_start = byte, .l_len = 1 };

	return ofd_lock(fd, F_OFD_SETLK, &lock);
}

int sys_write_lock(int fd)
{
	return sys_lock_byte(fd, F_WRLCK, 0);
}

int sys_is_write_locked(int fd)
{
	/* what would keep a reader out: write locks alone */
	return test_lock(fd, F_RDLCK, 0);
}

int sys_is_byte_locked(int fd, int byte)
{
	return test_lock(fd, F_WRLCK, byte);
}

int sys_unlock_bytes(int fd)
{
	struct flock lock = { .l_type = F_UNLCK };

	return ofd_lock(fd, F_OFD_SETLK, &lock);
}

int sys_link_fd(int fd, int dirfd, const char *name)
{
	return result(linkat(fd, "", dirfd, name, AT_EMPTY_PATH));
}

int sys_link_proc(int fd, int dirfd, const char *name)
{
	char link[LINK_SIZE];

	format_link(fd, link);
	return result(linkat(AT_FDCWD, link, dirfd, name, AT_SYMLINK_FOLLOW));
}

int sys_rename(int dirfd, const char *from, const char *to)
{
	return result(renameat(dirfd, from, dirfd, to));
}

int sys_rename_noreplace(int dirfd, const char *from, const char *to)
{
	return result(syscall(SYS_renameat2, dirfd, from, dirfd, to, RENAME_NOREPLACE));
}

/* linux/capability.h belongs to the headers of the kernel, which the library is built without. */
#define CAPABILITY_VERSION 0x20080522U
#define DAC_OVERRIDE       (1U << 1)
#define DAC_READ_SEARCH    (1U << 2)

/*
 * May we have a capability by which a process makes names in a directory whose mode does
 * not let it?  We may if a filter of system calls refuses this question.
 */
static bool may_override_mode(void)
{
	struct {
		uint32_t version;
		int pid;
	} header = { CAPABILITY_VERSION, 0 };
	/* the first 32 capabilities, and the others */
	struct {
		uint32_t effective, permitted, inheritable;
	} sets[2];

	return syscall(SYS_capget, &header, sets) < 0 ||
	       (sets[0].effective & (DAC_OVERRIDE | DAC_READ_SEARCH)) != 0;
}

/*
 * Not by faccessat(3): without the system call of five arguments, C libraries answer for
 * other than the real IDs by a look at the mode, which knows no access control lists.
 * To find "." there takes the permission to search, which making a name takes, too.
 *
 * The older call answers for the real IDs, and for a real user other than root as if the
 * process had no capabilities.  What it refuses then is not known.
 */
int sys_may_write(int dirfd)
{
	int r;

#ifdef SYS_faccessat2
	if (syscall(SYS_faccessat2, dirfd, ".", W_OK, AT_EACCESS) == 0)
		return 0;
	/* before Linux 5.8, or by a filter that is older than the call */
	if (errno != ENOSYS && errno != EPERM)
		return -errno;
#endif
	if (getuid() != geteuid() || getgid() != getegid())
		return 0;
	r = result(syscall(SYS_faccessat, dirfd, ".", W_OK));
	return r == -EACCES && may_override_mode() ? 0 : r;
}

int sys_unlinkat(int dirfd, const char *name, int flags)
{
	return result(unlinkat(dirfd, name, flags));
}

int sys_mkfifoat(int dirfd, const char *name, mode_t mode)
{
	return result(mkfifoat(dirfd, name, mode));
}

pid_t sys_getpid(void)
{
	return getpid();
}

uid_t sys_geteuid(void)
{
	return geteuid();
}

int sys_pidfd_open(pid_t pid)
{
#ifdef SYS_pidfd_open
	return above_streams((int)syscall(SYS_pidfd_open, pid, 0), false);
#else
	(void)pid;
	return -ENOSYS;
#endif
}

int sys_pidfd_send_signal(int pidfd, int signal)
{
#ifdef SYS_pidfd_send_signal
	return result(syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0));
#else
	(void)pidfd;
	(void)signal;
	return -ENOSYS;
#endif
}

int sys_kill(pid_t pid, int signal)
{
	return result(kill(pid, signal));
}

int sys_poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
	return result(poll(fds, count, timeout_ms));
}

int sys_epoll_create(void)
{
	return above_streams(epoll_create1(EPOLL_CLOEXEC), false);
}

int sys_epoll_add(int epoll, int fd, uint32_t events, bool counts)
{
	struct epoll_event event = { .events = events, .data.u32 = counts };

	return result(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
}

int sys_epoll_wait(int epoll, int timeout_ms, const sigset_t *mask)
{
	struct epoll_event events[4];
	int r = result(epoll_pwait(epoll, events, 4, timeout_ms, mask)), count = 0;

	for (int i = 0; i < r; i++)
		count += (int)events[i].data.u32;
	return r < 0 ? r : count;
}

/* Of a fault of the process itself; run-time systems have handlers for these. */
static bool is_fault(int signal)
{
	return signal == SIGSEGV || signal == SIGBUS || signal == SIGFPE || signal == SIGILL ||
	       signal == SIGTRAP || signal == SIGABRT || signal == SIGSYS;
}

void sys_block_signals(sigset_t *ret_before)
{
	sigset_t all;

	sigfillset(&all);
	/* a fault while its signal is blocked ends the process */
	for (int i = 1; i <= SIGRTMAX; i++)
		if (is_fault(i))
			sigdelset(&all, i);
	pthread_sigmask(SIG_BLOCK, &all, ret_before);
}

void sys_restore_signals(const sigset_t *before)
{
	pthread_sigmask(SIG_SETMASK, before, NULL);
}

int sys_timer_create(void)
{
	return above_streams(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK), false);
}

int sys_timer_set(int timer, int timeout_ms)
{
	struct itimerspec time = {
		.it_value = { .tv_sec = timeout_ms / 1000,
		              .tv_nsec = timeout_ms % 1000 * 1000000L },
	};

	return result(timerfd_settime(timer, 0, &time, NULL));
}

int sys_sleep_ns(long ns)
{
	struct timespec time = { .tv_nsec = ns };

	return result(nanosleep(&time, NULL));
}

/*
 * The signals that the mask lets in and that have a handler with these flags of
 * SA_RESTART; the first one is enough where ret_signals is NULL.
 */
static bool find_handlers(const sigset_t *mask, int restarts, sigset_t *ret_signals)
{
	struct sigaction action;
	bool found = false;

	if (ret_signals)
		sigemptyset(ret_signals);
	for (int i = 1; i <= SIGRTMAX && (ret_signals || !found); i++) {
		if (is_fault(i) || sigismember(mask, i) == 1 || sigaction(i, NULL, &action) < 0 ||
		    action.sa_handler == SIG_DFL || action.sa_handler == SIG_IGN ||
		    (action.sa_flags & SA_RESTART) != restarts)
			continue;
		if (ret_signals)
			sigaddset(ret_signals, i);
		found = true;
	}
	return found;
}

bool sys_has_interrupting_handlers(const sigset_t *mask)
{
	return find_handlers(mask, 0, NULL);
}

bool sys_has_restarting_handlers(const sigset_t *mask, sigset_t *ret_signals)
{
	return find_handlers(mask, SA_RESTART, ret_signals);
}

bool sys_let_in(const sigset_t *signals)
{
	sigset_t pending, before;
	bool found = false;

	sigpending(&pending);
	for (int i = 1; i <= SIGRTMAX; i++)
		found = found || (sigismember(&pending, i) == 1 && sigismember(signals, i) == 1);
	if (found) {
		pthread_sigmask(SIG_UNBLOCK, signals, &before);
		pthread_sigmask(SIG_SETMASK, &before, NULL);
	}
	return found;
}

int sys_signalfd(const sigset_t *signals)
{
	return above_streams(signalfd(-1, signals, SFD_CLOEXEC | SFD_NONBLOCK), false);
}

int sys_getrandom(void *buf, size_t size)
{
	/* which is no cancellation point, unlike getrandom(3) */
	return result(syscall(SYS_getrandom, buf, size, GRND_NONBLOCK));
}

void *sys_map_wiped(size_t size, bool *ret_wiped)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	/* qemu-user takes any advice, even what is none, and may follow none */
	*ret_wiped = madvise(p, size, NO_ADVICE) < 0 && madvise(p, size, MADV_WIPEONFORK) == 0;
	return p;
}

int64_t sys_clock_ns(int clock)
{
	struct timespec ts;

	clock_gettime((clockid_t)clock, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}
