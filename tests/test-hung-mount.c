/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A file system that does not answer: a FUSE mount without a server, and one that is
 * frozen.  A thread that uses a lock there waits; the rest of the process, and whoever
 * uses locks elsewhere, does not.
 */
#include <config.h>

#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <lockfile-pid.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define OTHER "other.pid"

/* A thread that wants a lock on the file system that does not answer. */
static struct {
	struct lockfile_pid *lock;
	int (*act)(struct lockfile_pid *);
	atomic_int tid;
	atomic_bool has_returned;
	int result;
} stuck;

static void *act(void *unused)
{
	(void)unused;
	stuck.tid = (int)syscall(SYS_gettid);
	stuck.result = stuck.act(stuck.lock);
	stuck.has_returned = true;
	return NULL;
}

static int wait_for_lock(struct lockfile_pid *lock)
{
	return lockfile_pid_timedlock(lock, 10);
}

/* Sleeps in an interruptible (FUSE) or uninterruptible way, in no call that is a wait. */
static bool is_stuck(void)
{
	long call = system_call_of(stuck.tid);
	char state = thread_state(stuck.tid);

	return (state == 'S' || state == 'D') && call > 0 && call != SYS_futex;
}

static pthread_t start_stuck(const char *path, int (*f)(struct lockfile_pid *))
{
	pthread_t thread;

	REQUIRE(lockfile_pid_new(&stuck.lock, path) == 0);
	stuck.act = f;
	REQUIRE(pthread_create(&thread, NULL, act, NULL) == 0);
	while (stuck.tid == 0 || !is_stuck())
		sched_yield();
	return thread;
}

/* All that another thread may do meanwhile. */
static void go_on_elsewhere(struct lockfile_pid *held)
{
	struct lockfile_pid *other;
	int status;
	pid_t pid;

	for (int i = 0; i < 3; i++) {
		pid = fork();
		if (pid == 0)
			_exit(lockfile_pid_verify(held) == LOCKFILE_PID_ERR_ROGUE_DELETION ? 0 : 1);
		REQUIRE(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);
	}
	REQUIRE(lockfile_pid_verify(held) == 0);
	REQUIRE(lockfile_pid_unlock(held) == 0);
	REQUIRE(lockfile_pid_new(&other, OTHER) == 0);
	REQUIRE(lockfile_pid_lock(other) == 0);
	REQUIRE(lockfile_pid_unlock(other) == 0);
	lockfile_pid_free(other);
	REQUIRE(!stuck.has_returned);
}

static int (*const actions[])(struct lockfile_pid *) = {
	lockfile_pid_trylock,
	wait_for_lock,
	lockfile_pid_wait_begin,
};

/* The kernel asks over this descriptor, and nobody reads.  -errno: cannot be had. */
static int mount_silent(const char *name)
{
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	char options[128];

	if (fd < 0)
		return -errno;
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", fd);
	if (mkdir(name, 0755) < 0 || mount("silent", name, "fuse", MS_NOSUID, options) < 0)
		return -errno;
	return fd;
}

/* For a child; it ends with 77 if it may not have mounts of its own. */
static void enter_mounts(void)
{
	if (unshare(CLONE_NEWNS) < 0 || make_mounts_private() < 0)
		_exit(77);
}

static void use_silent_mount(void *argument)
{
	struct lockfile_pid *held;
	pthread_t thread;
	int fd;

	enter_mounts();
	fd = mount_silent("silent");
	if (fd < 0)
		_exit(77);
	REQUIRE(lockfile_pid_new(&held, "held.pid") == 0);
	REQUIRE(lockfile_pid_trylock(held) == 0);
	thread = start_stuck("silent/x.pid", *(int (**)(struct lockfile_pid *))argument);
	go_on_elsewhere(held);
	/* then the kernel gives up */
	close(fd);
	REQUIRE(pthread_join(thread, NULL) == 0);
	REQUIRE(stuck.result < 0);
	lockfile_pid_free(stuck.lock);
	lockfile_pid_free(held);
	REQUIRE(umount2("silent", MNT_DETACH) == 0);
	_exit(0);
}

static void run_apart(void (*f)(void *), void *argument, const char *what)
{
	int status;

	SKIP_UNLESS_ROOT();
	status = in_child(f, argument);
	if (status == 77)
		SKIP("%s cannot be had here", what);
	ck_assert_int_eq(status, 0);
}

TEST_EACH(mount_without_an_answer_stops_no_fork_and_no_other_handle, actions)
{
	int (*action)(struct lockfile_pid *) = actions[_i];

	run_apart(use_silent_mount, &action, "a FUSE mount");
	ck_assert_int_eq(rmdir("silent"), 0);
}

/* A small ext4 in a file; 77 where it cannot be mounted. */
static int mount_ext4(void)
{
	REQUIRE(mkdir("frozen", 0755) == 0);
	if (system("truncate -s 8M image && mke2fs -q -t ext4 image >/dev/null 2>&1 && "
	           "mount -o loop image frozen 2>/dev/null") != 0)
		_exit(77);
	return open("frozen", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/*
 * A thread that waits for a frozen file system cannot be killed, so that a test that
 * fails would never end: thaws it after a minute, unless it was thawed.
 */
static pid_t start_thawer(int fd)
{
	pid_t pid = fork();

	if (pid == 0) {
		sleep(60);
		ioctl(fd, FITHAW, 0);
		_exit(0);
	}
	REQUIRE(pid > 0);
	return pid;
}

static void use_frozen(void *argument)
{
	struct lockfile_pid *held;
	pthread_t thread;
	pid_t thawer;
	int fd;

	enter_mounts();
	fd = mount_ext4();
	REQUIRE(fd >= 0);
	REQUIRE(lockfile_pid_new(&held, "held.pid") == 0);
	REQUIRE(lockfile_pid_trylock(held) == 0);
	thawer = start_thawer(fd);
	REQUIRE(ioctl(fd, FIFREEZE, 0) == 0);
	thread = start_stuck("frozen/x.pid", *(int (**)(struct lockfile_pid *))argument);
	go_on_elsewhere(held);
	REQUIRE(ioctl(fd, FITHAW, 0) == 0);
	REQUIRE(pthread_join(thread, NULL) == 0);
	REQUIRE(stuck.result == 0);
	lockfile_pid_free(stuck.lock);
	lockfile_pid_free(held);
	close(fd);
	kill_child(thawer);
	REQUIRE(umount("frozen") == 0);
	_exit(0);
}

TEST_EACH(frozen_file_system_stops_no_fork_and_no_other_handle, actions)
{
	int (*action)(struct lockfile_pid *) = actions[_i];

	run_apart(use_frozen, &action, "a loop mount");
	ck_assert_int_eq(rmdir("frozen"), 0);
	ck_assert_int_eq(unlink("image"), 0);
}
