/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/magic.h>
#include <lockfile-pid.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>

/* linux/magic.h has it since Linux 5.17. */
#ifndef FUSE_SUPER_MAGIC
#define FUSE_SUPER_MAGIC 0x65735546
#endif

/* Between two looks at what is no event. */
#define LOOK_AGAIN_MS 1

struct lockfile_pid *new_lock(const char *path)
{
	struct lockfile_pid *lock;

	ck_assert_int_eq(lockfile_pid_new(&lock, path), 0);
	return lock;
}

static bool answers_within(const struct holder *holder, int timeout_ms)
{
	struct pollfd answer = { .fd = holder->from, .events = POLLIN };

	return poll(&answer, 1, timeout_ms) != 0;
}

bool has_answer(const struct holder *holder)
{
	return answers_within(holder, 0);
}

static bool has_read_all(const struct holder *holder)
{
	int unread = -1;

	ck_assert_int_eq(ioctl(holder->to, FIONREAD, &unread), 0);
	return unread == 0;
}

/* Who has asked a FUSE file system for something sleeps as well, until it answers. */
static bool sleeps_in_file_system(pid_t pid)
{
	char path[64], function[64] = "";
	int fd;

	if (!is_shared())
		return false;
	snprintf(path, sizeof(path), "/proc/%d/wchan", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_ge(read(fd, function, sizeof(function) - 1), 0);
	close(fd);
	return strstr(function, "poll") == NULL;
}

void await_blocked(const struct holder *holder)
{
	do
		ck_assert_msg(!answers_within(holder, LOOK_AGAIN_MS), "it does not wait");
	while (!has_read_all(holder) || process_state(holder->pid) != 'S' ||
	       sleeps_in_file_system(holder->pid));
	ck_assert(!has_answer(holder));
}

static char read_state(const char *path)
{
	char text[512] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	const char *end;

	if (fd < 0)
		return 0;
	if (read(fd, text, sizeof(text) - 1) < 0)
		text[0] = '\0';
	close(fd);
	end = strrchr(text, ')');
	return end ? end[2] : '\0';
}

char process_state(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	return read_state(path);
}

char thread_state(pid_t tid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)tid);
	return read_state(path);
}

void await_zombie(pid_t pid)
{
	siginfo_t info;

	ck_assert_int_eq(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
}

void kill_child(pid_t pid)
{
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}

pid_t settled_fork(void)
{
	int settled[2];
	char none;
	pid_t pid;

	REQUIRE(pipe2(settled, O_CLOEXEC) == 0);
	pid = fork();
	close(settled[1]);
	/* it ends when the child has closed its copy, too */
	if (pid > 0)
		REQUIRE(read(settled[0], &none, 1) == 0);
	close(settled[0]);
	return pid;
}

pid_t idle_child(void)
{
	pid_t pid = settled_fork();

	while (pid == 0)
		pause();
	ck_assert_int_gt(pid, 0);
	return pid;
}

int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void age_file(const char *name, int seconds)
{
	struct timespec times[2];

	clock_gettime(CLOCK_REALTIME, &times[0]);
	times[0].tv_sec -= seconds;
	times[1] = times[0];
	ck_assert_int_eq(utimensat(AT_FDCWD, name, times, AT_SYMLINK_NOFOLLOW), 0);
}

static void become_nobody(void)
{
	REQUIRE(setgroups(0, NULL) == 0);
	REQUIRE(setresgid(NOBODY, NOBODY, NOBODY) == 0);
	REQUIRE(setresuid(NOBODY, NOBODY, NOBODY) == 0);
}

struct task {
	void (*f)(void *);
	void *argument;
};

static void run_as_nobody(void *argument)
{
	struct task *task = argument;

	become_nobody();
	task->f(task->argument);
}

int as_nobody(void (*f)(void *), void *argument)
{
	struct task task = { f, argument };

	return in_child(run_as_nobody, &task);
}

void lose_permission(void)
{
	REQUIRE(chmod(".", 0555) == 0);
	if (geteuid() == 0)
		become_nobody();
}

void skip_without_attributes(void)
{
	write_file("probe", "");
	if (setxattr("probe", "user.probe", "", 0, 0) < 0) {
		unlink("probe");
		SKIP("no user attributes here");
	}
	ck_assert_int_eq(unlink("probe"), 0);
}

/* Of those of lib/verdict.c, these are what tests can be run on. */
bool is_shared(void)
{
	struct statfs fs;

	ck_assert_int_eq(statfs(".", &fs), 0);
	return fs.f_type == FUSE_SUPER_MAGIC || fs.f_type == NFS_SUPER_MAGIC ||
	       fs.f_type == V9FS_MAGIC;
}

void skip_if_shared(void)
{
	if (is_shared())
		SKIP("a foreign PID may be another machine's here");
}

long system_call_of(pid_t pid)
{
	char path[64], text[32] = "";
	long number = -1;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/syscall", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && read(fd, text, sizeof(text) - 1) > 0)
		sscanf(text, "%ld", &number);
	close(fd);
	return number;
}

bool is_emulated(void)
{
	long number = system_call_of(getpid());

	return number >= 0 && number != SYS_read;
}

bool is_under_valgrind(void)
{
	const char *preloaded = getenv("LD_PRELOAD");

	return preloaded && strstr(preloaded, "vgpreload") != NULL;
}

void skip_without_pidfds(void)
{
	int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);

	if (fd < 0)
		SKIP("needs pidfd_open(2)");
	close(fd);
}

/* In a plain chroot(2) the root is no mount point. */
int make_mounts_private(void)
{
	if (mount("none", "/", "none", MS_REC | MS_PRIVATE, "") == 0)
		return 0;
	return errno == EINVAL ? -ENOTSUP : -errno;
}

void private_mounts(void)
{
	int r;

	if (unshare(CLONE_NEWNS) < 0)
		SKIP("cannot have mounts of one's own");
	r = make_mounts_private();
	if (r == -ENOTSUP)
		SKIP("the root is no mount point");
	ck_assert_int_eq(r, 0);
	/* the same place, with what is mounted below it from now on */
	ck_assert_int_eq(chdir(test_dir), 0);
}

void mount_tmpfs(const char *name, const char *options)
{
	ck_assert_int_eq(mkdir(name, 0755), 0);
	ck_assert_int_eq(mount("none", name, "tmpfs", 0, options), 0);
}

void make_read_only(const char *name)
{
	ck_assert_int_eq(mount(name, name, "none", MS_BIND, ""), 0);
	ck_assert_int_eq(mount("none", name, "none", MS_REMOUNT | MS_BIND | MS_RDONLY, ""), 0);
}

void unmount(const char *name)
{
	ck_assert_int_eq(umount2(name, MNT_DETACH), 0);
}

void fill_up(const char *name)
{
	static const char zeros[4096];
	int fd = open(name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	while (write(fd, zeros, sizeof(zeros)) > 0)
		;
	ck_assert_int_eq(errno, ENOSPC);
	close(fd);
}

int enter_root(const char *dir)
{
	int outside = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	REQUIRE(outside >= 0 && chroot(dir) == 0);
	return outside;
}

void leave_root(int outside)
{
	REQUIRE(fchdir(outside) == 0 && chroot(".") == 0);
	close(outside);
}
