/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * File systems that are full or read-only, real ones: where a small tmpfs says
 * ENOSPC as soon as it is asked for a page, these reserve, delay and journal.
 * What is the same on all is in check-filesystems.sh.
 */
#include <config.h>

#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <lockfile-pid.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define PATH "m/x.pid"

/* Each fills up at another step: the content, the inode, the name, the inode. */
static const struct {
	const char *type;
	const char *size; /* nearly the least that its mkfs makes */
	const char *options;
} images[] = {
	{ "ext4", "4m", "-q" },
	{ "xfs", "300m", "-q" },
	{ "btrfs", "16m", "-q --mixed" },
	{ "ext4", "4m", "-q -N 32" }, /* inodes, of which its own are 11 */
};

/* Returns the exit status. */
__attribute__((__format__(__printf__, 1, 2))) static int run(const char *format, ...)
{
	char command[256];
	va_list arguments;
	int status;

	va_start(arguments, format);
	vsnprintf(command, sizeof(command), format, arguments);
	va_end(arguments);
	/* where a user has no sbin in the path */
	setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
	status = system(command);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void mount_image(const char *options)
{
	if (run("mount -o loop%s image m 2>/dev/null", options) != 0) {
		rmdir("m");
		unlink("image");
		SKIP("cannot mount an image");
	}
}

/* At m, from the file image; what is left of it ends with this process. */
static void make_image(int row)
{
	SKIP_UNLESS_ROOT();
	private_mounts();
	if (run("command -v mkfs.%s >/dev/null", images[row].type) != 0)
		SKIP("no mkfs.%s", images[row].type);
	ck_assert_int_eq(run("truncate -s %s image && mkfs.%s %s image >/dev/null 2>&1",
	                     images[row].size, images[row].type, images[row].options),
	                 0);
	ck_assert_int_eq(mkdir("m", 0755), 0);
	mount_image("");
}

static void remove_image(void)
{
	unmount("m");
	ck_assert_int_eq(rmdir("m"), 0);
	ck_assert_int_eq(unlink("image"), 0);
}

static void fill_blocks(void)
{
	int fd = open("m/full", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	struct stat st;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fstat(fd, &st), 0);
	for (off_t size = 1 << 30, end = st.st_size; size >= 512; size /= 2)
		while (posix_fallocate(fd, end, size) == 0)
			end += size;
	close(fd);
}

/* What is left when there are no free blocks: inodes, and room for small files in them. */
static void fill_inodes(void)
{
	static int number;
	bool has_room;
	char name[32];

	do {
		int fd;

		snprintf(name, sizeof(name), "m/full%d", number++);
		fd = open(name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
		has_room = fd >= 0;
		if (!has_room)
			ck_assert_int_eq(errno, ENOSPC);
		close(fd);
	} while (has_room);
}

static void fill(int row)
{
	if (strstr(images[row].options, "-N"))
		fill_inodes();
	else
		fill_blocks();
}

/* For a lock file and a line. */
static void make_room(int row)
{
	if (!strstr(images[row].options, "-N")) {
		ck_assert_int_eq(truncate("m/full", 0), 0);
		return;
	}
	ck_assert_int_eq(unlink("m/full1"), 0);
	ck_assert_int_eq(unlink("m/full2"), 0);
}

/* Fails with that error in every way, and nothing is changed by it. */
static void assert_refused(int error, int checked)
{
	struct lockfile_pid *lock = new_lock(PATH);
	char *before = strdup(list_dir("m"));
	pid_t pid = 0;

	ck_assert_int_eq(lockfile_pid_trylock(lock), error);
	ck_assert_int_eq(lockfile_pid_lock(lock), error);
	ck_assert_int_eq(lockfile_pid_timedlock(lock, 1000), error);
	ck_assert_int_eq(lockfile_pid_wait_begin(lock), error);
	ck_assert_int_eq(lockfile_pid_unlock(lock), LOCKFILE_PID_ERR_ROGUE_DELETION);
	ck_assert_int_eq(lockfile_pid_check(lock, &pid), checked);
	lockfile_pid_free(lock);
	ck_assert_str_eq(list_dir("m"), before);
	free(before);
}

static void assert_had(void)
{
	struct lockfile_pid *lock = new_lock(PATH);

	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	assert_content(PATH, "%d\n", getpid());
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	ck_assert(!exists(PATH));
	ck_assert(!exists(PATH ".takeover"));
	lockfile_pid_free(lock);
}

/* With this result of a wait. */
static void assert_held(int result)
{
	struct lockfile_pid *lock = new_lock(PATH);
	pid_t pid = 0;

	ck_assert_int_eq(lockfile_pid_trylock(lock), LOCKFILE_PID_ERR_BUSY);
	ck_assert_int_eq(lockfile_pid_timedlock(lock, 30), result);
	ck_assert_int_eq(lockfile_pid_check(lock, &pid), LOCKFILE_PID_ERR_BUSY);
	lockfile_pid_free(lock);
}

static struct holder start_locked(void)
{
	struct holder holder = holder_start(PATH);

	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	return holder;
}

static void leave_stale(void)
{
	struct holder holder = start_locked();

	holder_kill(&holder);
}

/* Full */

TEST_EACH(a_full_file_system_is_enospc_and_nothing_is_left, images)
{
	make_image(_i);
	fill(_i);
	assert_refused(-ENOSPC, 0);
	make_room(_i);
	assert_had();
	remove_image();
}

TEST_EACH(a_lock_held_on_a_full_file_system_is_busy_and_is_released, images)
{
	struct holder holder;

	make_image(_i);
	holder = start_locked();
	fill(_i);
	assert_held(-ETIMEDOUT);
	ck_assert_int_eq(holder_do(&holder, "verify"), 0);
	ck_assert_int_eq(holder_do(&holder, "unlock"), 0);
	ck_assert(!exists(PATH));
	holder_end(&holder);
	remove_image();
}

TEST_EACH(a_stale_file_on_a_full_file_system_stays_for_who_has_room, images)
{
	make_image(_i);
	leave_stale();
	fill(_i);
	assert_refused(-ENOSPC, LOCKFILE_PID_ERR_PROCESS_DEAD);
	make_room(_i);
	assert_had();
	remove_image();
}

TEST_EACH(who_waits_on_a_full_file_system_has_the_lock_when_there_is_room, images)
{
	struct holder holder, waiter;

	make_image(_i);
	holder = start_locked();
	waiter = holder_start(PATH);
	fill(_i);
	holder_ask(&waiter, "lock");
	await_blocked(&waiter);
	make_room(_i);
	ck_assert_int_eq(holder_do(&holder, "unlock"), 0);
	ck_assert_int_eq(holder_answer(&waiter), 0);
	assert_content(PATH, "%d\n", waiter.pid);
	holder_end(&waiter);
	holder_end(&holder);
	ck_assert(!exists(PATH));
	ck_assert(!exists(PATH ".queue"));
	remove_image();
}

/* Read-only */

static void mount_read_only(void)
{
	ck_assert_int_eq(umount2("m", 0), 0);
	mount_image(",ro");
}

/* Anew: a loop device of a read-only mount stays read-only. */
static void mount_writable(void)
{
	ck_assert_int_eq(umount2("m", 0), 0);
	mount_image("");
}

TEST_EACH(a_read_only_file_system_is_erofs_and_nothing_is_left, images)
{
	make_image(_i);
	mount_read_only();
	assert_refused(-EROFS, 0);
	mount_writable();
	assert_had();
	remove_image();
}

TEST_EACH(a_stale_file_on_a_read_only_file_system_stays_until_it_is_writable, images)
{
	make_image(_i);
	leave_stale();
	mount_read_only();
	assert_refused(-EROFS, LOCKFILE_PID_ERR_PROCESS_DEAD);
	mount_writable();
	assert_had();
	remove_image();
}

TEST_EACH(a_lock_held_on_a_read_only_file_system_is_busy, images)
{
	char content[16];

	make_image(_i);
	snprintf(content, sizeof(content), "%d\n", (int)getppid());
	write_file(PATH, content);
	mount_read_only();
	assert_held(-EROFS);
	ck_assert_str_eq(read_file(PATH), content);
	remove_image();
}

/* As after an error of the disk. */
TEST(a_holder_keeps_its_lock_where_the_file_system_turns_read_only)
{
	struct holder holder;

	make_image(0);
	holder = start_locked();
	if (run("mount -o remount,abort m 2>/dev/null") != 0)
		SKIP("this ext4 cannot be made to fail");
	assert_held(-ETIMEDOUT);
	ck_assert_int_eq(holder_do(&holder, "verify"), 0);
	ck_assert_int_eq(holder_do(&holder, "unlock"), -EROFS);
	ck_assert_int_eq(holder_do(&holder, "verify"), 0);
	holder_kill(&holder);
	assert_refused(-EROFS, LOCKFILE_PID_ERR_PROCESS_DEAD);
	remove_image();
}
