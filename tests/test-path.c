/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * No memory for a path, at each of the calls that ask for some; relative paths; and what a
 * name leads to.
 */
#include <config.h>

#include "handle.h"
#include "path.h"
#include "steer.h"
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <lockfile-pid.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static int failing_call; /* 0: none */
static bool in_call;     /* whose own calls are wrapped too where the C library is static */

static bool fails(void)
{
	if (in_call || failing_call == 0 || --failing_call > 0)
		return false;
	errno = ENOMEM;
	return true;
}

#define WRAP(type, name, parameters, arguments)  \
	type __real_##name parameters;           \
	type __wrap_##name parameters;           \
	type __wrap_##name parameters            \
	{                                        \
		bool is_inner = in_call;         \
		type value;                      \
                                                 \
		if (fails())                     \
			return NULL;             \
		in_call = true;                  \
		value = __real_##name arguments; \
		in_call = is_inner;              \
		return value;                    \
	}

WRAP(void *, malloc, (size_t size), (size))
WRAP(void *, calloc, (size_t count, size_t size), (count, size)) /* what gcc may make of it */
WRAP(char *, strdup, (const char *text), (text))
WRAP(char *, strndup, (const char *text, size_t size), (text, size))

/* The current directory, as it is told if not NULL. */
static const char *told_directory;

#define __real_getcwd tell_directory
WRAP(char *, getcwd, (char *buf, size_t size), (buf, size))
#undef __real_getcwd

char *__real_getcwd(char *buf, size_t size);
char *tell_directory(char *buf, size_t size)
{
	return told_directory ? strdup(told_directory) : __real_getcwd(buf, size);
}

static const struct {
	const char *path;
	int calls; /* of the handle, path as given, absolute path, directory; that of now */
	const char *directory; /* that of now, by a name that leads elsewhere */
} paths[] = {
	{ "x.pid", 5, NULL }, { "./x.pid", 5, NULL }, { "/x.pid", 4, NULL }, { "x.pid", 5, "/proc" }
};

TEST_EACH(new_without_memory_says_so_and_leaves_nothing, paths)
{
	int failed = 0, before = count_descriptors(), r;
	struct lockfile_pid *lock = NULL;

	told_directory = paths[_i].directory;
	do {
		ck_assert_int_eq(count_descriptors(), before);
		failing_call = failed + 1;
		r = lockfile_pid_new(&lock, paths[_i].path);
		failed += r < 0;
		ck_assert(r == 0 || r == -ENOMEM);
		ck_assert_int_eq(lock != NULL, r == 0);
	} while (r < 0);
	failing_call = 0;
	ck_assert_int_eq(failed, paths[_i].calls);
	ck_assert_str_eq(lockfile_pid_path(lock), paths[_i].path);
	lockfile_pid_free(lock);
	ck_assert_int_eq(count_descriptors(), before);
}

/* What a name leads to. */

#define NAME "x.pid"

static struct stat make(void)
{
	struct stat st;

	steer_reset();
	write_file(NAME, "");
	ck_assert_int_eq(stat(NAME, &st), 0);
	return st;
}

TEST(name_leads_to_one_inode_of_one_device)
{
	struct stat st = make();

	ck_assert_int_eq(path_leads_to(AT_FDCWD, NAME, st.st_dev, st.st_ino), 1);
	ck_assert_int_eq(path_leads_to(AT_FDCWD, NAME, st.st_dev, st.st_ino + 1), 0);
	ck_assert_int_eq(path_leads_to(AT_FDCWD, NAME, st.st_dev + 1, st.st_ino), 0);
	unlink(NAME);
	ck_assert_int_eq(path_leads_to(AT_FDCWD, NAME, st.st_dev, st.st_ino), 0);
}

static const struct {
	int error, result;
} looks[] = {
	{ ENOENT, 0 }, { ESTALE, 0 }, { EIO, -EIO }, { EACCES, -EACCES }, { ENOTDIR, -ENOTDIR }
};

TEST_EACH(what_was_removed_is_not_there_and_what_cannot_be_seen_may_be, looks)
{
	struct stat st = make();

	steer_result("sys_fstatat", 1, -looks[_i].error);
	ck_assert_int_eq(path_leads_to(AT_FDCWD, NAME, st.st_dev, st.st_ino), looks[_i].result);
	steer_reset();
	unlink(NAME);
}

TEST(link_is_not_followed)
{
	struct stat st = make();

	ck_assert_int_eq(symlink(NAME, "link"), 0);
	ck_assert_int_eq(path_leads_to(AT_FDCWD, "link", st.st_dev, st.st_ino), 0);
	unlink("link");
	unlink(NAME);
}

/* Relative paths, wherever the program is. */

static void hold_and_release(void)
{
	struct lockfile_pid *lock = new_lock(NAME), *other = new_lock("./" NAME);

	REQUIRE(lockfile_pid_check(lock, NULL) == 0);
	REQUIRE(lockfile_pid_trylock(lock) == 0);
	REQUIRE(lockfile_pid_trylock(other) == LOCKFILE_PID_ERR_BUSY);
	REQUIRE(lockfile_pid_timedlock(other, 1) == -ETIMEDOUT);
	/* by another way than its name */
	REQUIRE(access(NAME, F_OK) == 0);
	REQUIRE(lockfile_pid_verify(lock) == 0);
	REQUIRE(lockfile_pid_unlock(lock) == 0);
	REQUIRE(access(NAME, F_OK) < 0 && errno == ENOENT);
	lockfile_pid_free(other);
	lockfile_pid_free(lock);
}

static void lock_below_what_may_not_be_searched(void *unused)
{
	(void)unused;
	/* its name can be asked for, and leads nowhere for us */
	REQUIRE(chdir("private/d") == 0);
	REQUIRE(setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
	hold_and_release();
}

TEST(a_relative_path_works_below_a_directory_that_may_not_be_searched)
{
	int before = count_descriptors();

	SKIP_UNLESS_ROOT();
	steer_reset();
	ck_assert_int_eq(mkdir("private", 0700), 0);
	ck_assert_int_eq(mkdir("private/d", 0777), 0);
	ck_assert_int_eq(chmod("private/d", 0777), 0);
	ck_assert_int_eq(in_child(lock_below_what_may_not_be_searched, NULL), 0);
	ck_assert_int_eq(count_descriptors(), before);
	ck_assert_int_eq(rmdir("private/d"), 0);
	ck_assert_int_eq(rmdir("private"), 0);
}

/* Goes so deep that the name is too long, and back. */
#define STEP "ddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"
#define MANY (PATH_MAX / (int)sizeof(STEP) + 2)

static void go_down(int steps)
{
	for (int i = 0; i < steps; i++)
		REQUIRE(mkdir(STEP, 0777) == 0 && chdir(STEP) == 0);
}

static void go_up(int steps)
{
	for (int i = 0; i < steps; i++)
		REQUIRE(chdir("..") == 0 && rmdir(STEP) == 0);
}

static void lock_deep_down(void *unused)
{
	(void)unused;
	go_down(MANY);
	hold_and_release();
	go_up(MANY);
}

TEST(a_relative_path_works_where_the_absolute_one_is_too_long)
{
	steer_reset();
	ck_assert_int_eq(in_child(lock_deep_down, NULL), 0);
	assert_nothing_left();
}

/* The name of the directory is short enough, but not together with that of the file. */
static void lock_at_the_edge(void *unused)
{
	char *cwd, rest[NAME_MAX + 1] = "";
	int steps = 0;

	(void)unused;
	do {
		go_down(1);
		steps++;
		cwd = getcwd(NULL, 0);
		REQUIRE(cwd != NULL);
	} while (strlen(cwd) + 2 * sizeof(STEP) < PATH_MAX && (free(cwd), true));
	memset(rest, 'e', (size_t)PATH_MAX - 4 - strlen(cwd) - 1);
	free(cwd);
	REQUIRE(mkdir(rest, 0777) == 0 && chdir(rest) == 0);
	cwd = getcwd(NULL, 0);
	REQUIRE(cwd && strlen(cwd) == PATH_MAX - 4);
	free(cwd);
	hold_and_release();
	REQUIRE(chdir("..") == 0 && rmdir(rest) == 0);
	go_up(steps);
}

TEST(a_relative_path_works_where_the_absolute_one_is_just_too_long)
{
	steer_reset();
	ck_assert_int_eq(in_child(lock_at_the_edge, NULL), 0);
	assert_nothing_left();
}

static void lock_outside_of_the_root(void *unused)
{
	int outside;

	(void)unused;
	REQUIRE(mkdir("root", 0700) == 0);
	outside = enter_root("root");
	hold_and_release();
	leave_root(outside);
}

TEST(a_relative_path_works_outside_of_the_root)
{
	SKIP_UNLESS_ROOT();
	steer_reset();
	ck_assert_int_eq(in_child(lock_outside_of_the_root, NULL), 0);
	ck_assert_int_eq(rmdir("root"), 0);
}

/* A directory of that name that is another: it was moved, and made again. */
static void lock_where_the_name_leads_elsewhere(void *unused)
{
	char *cwd = getcwd(NULL, 0), *other;

	(void)unused;
	REQUIRE(mkdir("d", 0700) == 0 && mkdir("other", 0700) == 0);
	REQUIRE(asprintf(&other, "%s/other", cwd) > 0);
	free(cwd);
	told_directory = other;
	REQUIRE(chdir("d") == 0);
	hold_and_release();
	free(other);
	REQUIRE(chdir("..") == 0 && rmdir("d") == 0 && rmdir("other") == 0);
}

TEST(a_name_that_leads_elsewhere_is_not_that_of_the_current_directory)
{
	steer_reset();
	ck_assert_int_eq(in_child(lock_where_the_name_leads_elsewhere, NULL), 0);
	assert_nothing_left();
}

/* Another file system was mounted there: the root of each tmpfs has the same number. */
static void lock_under_a_mount(void *unused)
{
	(void)unused;
	REQUIRE(chdir("d") == 0);
	REQUIRE(mount("none", "../d", "tmpfs", 0, "size=1m") == 0);
	hold_and_release();
}

TEST(a_name_that_leads_to_another_device_is_not_that_of_the_current_directory)
{
	steer_reset();
	private_mounts();
	mount_tmpfs("d", "size=1m");
	ck_assert_int_eq(in_child(lock_under_a_mount, NULL), 0);
	ck_assert_str_eq(list_dir("d"), "");
	unmount("d");
	ck_assert_str_eq(list_dir("d"), "");
	unmount("d");
	ck_assert_int_eq(rmdir("d"), 0);
}

/* By its name, which is the usual case, it can be made again; without a descriptor. */
TEST(a_relative_path_keeps_no_descriptor_where_the_name_will_do)
{
	int before = count_descriptors();
	struct lockfile_pid *lock;

	steer_reset();
	ck_assert_int_eq(mkdir("d", 0700), 0);
	ck_assert_int_eq(chdir("d"), 0);
	lock = new_lock(NAME);
	ck_assert_int_eq(count_descriptors(), before);
	ck_assert_int_eq(chdir(".."), 0);
	ck_assert_int_eq(rmdir("d"), 0);
	ck_assert_int_eq(mkdir("d", 0700), 0);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	assert_content("d/" NAME, "%d\n", (int)getpid());
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	lockfile_pid_free(lock);
	ck_assert_int_eq(rmdir("d"), 0);
}

/* Without a name, the directory is known by its descriptor alone. */

static struct lockfile_pid *lock_deep(void)
{
	go_down(MANY);
	return new_lock(NAME);
}

/* To what the number of the descriptor is given; on the device of the directory, and not. */
static const char *const given_away[] = { NULL, "..", "/proc" };
static const char *given_to;

static int give_away(int number)
{
	int own = -1;

	REQUIRE(close(number) == 0);
	if (given_to) {
		own = open(given_to, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		REQUIRE(own == number);
	}
	return own;
}

static void require_kept(int number, int own)
{
	REQUIRE(fcntl(number, F_GETFD) == (own >= 0 ? FD_CLOEXEC : -1));
	if (own >= 0)
		close(own);
}

static void lose_the_directory(void *unused)
{
	struct lockfile_pid *lock = lock_deep();
	int number = lock->path.base.descriptor.fd, own = give_away(number);

	(void)unused;
	REQUIRE(lockfile_pid_check(lock, NULL) == -EBADF);
	REQUIRE(lockfile_pid_trylock(lock) == -EBADF);
	REQUIRE(lockfile_pid_timedlock(lock, 1) == -EBADF);
	lockfile_pid_free(lock);
	require_kept(number, own);
	go_up(MANY);
}

TEST_EACH(a_directory_without_a_name_and_without_its_descriptor_is_ebadf, given_away)
{
	steer_reset();
	given_to = given_away[_i];
	ck_assert_int_eq(in_child(lose_the_directory, NULL), 0);
	assert_nothing_left();
}

/* The holder has the directory of the lock file, too. */
static void lose_the_directory_and_release(void *unused)
{
	struct lockfile_pid *lock = lock_deep();
	int number = lock->path.base.descriptor.fd, own;

	(void)unused;
	REQUIRE(lockfile_pid_trylock(lock) == 0);
	own = give_away(number);
	REQUIRE(lockfile_pid_verify(lock) == 0);
	REQUIRE(lockfile_pid_unlock(lock) == 0);
	REQUIRE(!exists(NAME));
	lockfile_pid_free(lock);
	require_kept(number, own);
	go_up(MANY);
}

TEST_EACH(a_holder_needs_no_directory_without_a_name, given_away)
{
	steer_reset();
	given_to = given_away[_i];
	ck_assert_int_eq(in_child(lose_the_directory_and_release, NULL), 0);
	assert_nothing_left();
}

static void lose_all(void *unused)
{
	struct lockfile_pid *lock = lock_deep();

	(void)unused;
	REQUIRE(lockfile_pid_trylock(lock) == 0);
	REQUIRE(close(lock->path.base.descriptor.fd) == 0);
	REQUIRE(close(lock->dir.fd) == 0 && close(lock->file.descriptor.fd) == 0);
	REQUIRE(lockfile_pid_verify(lock) == -EBADF);
	REQUIRE(lockfile_pid_unlock(lock) == -EBADF);
	REQUIRE(lockfile_pid_trylock(lock) == LOCKFILE_PID_ERR_BUSY);
	lockfile_pid_free(lock);
	REQUIRE(unlink(NAME) == 0);
	go_up(MANY);
}

TEST(a_holder_without_any_descriptor_of_a_directory_without_a_name_is_told)
{
	steer_reset();
	ck_assert_int_eq(in_child(lose_all, NULL), 0);
	assert_nothing_left();
}

/* What the parent has open of the directory, beside what the path begins with. */
static int there;

static void lock_in_child(void *lock)
{
	REQUIRE(chdir("/") == 0);
	REQUIRE(lockfile_pid_verify(lock) == LOCKFILE_PID_ERR_ROGUE_DELETION);
	REQUIRE(lockfile_pid_trylock(lock) == 0);
	REQUIRE(faccessat(there, NAME, F_OK, 0) == 0);
	REQUIRE(lockfile_pid_unlock(lock) == 0);
}

static void fork_deep_down(void *unused)
{
	int before = count_descriptors();
	struct lockfile_pid *lock = lock_deep();

	(void)unused;
	/* opened in the child it could get the number of one that was closed */
	there = open(".", O_PATH | O_CLOEXEC);
	REQUIRE(in_child(lock_in_child, lock) == 0);
	close(there);
	REQUIRE(lockfile_pid_trylock(lock) == 0);
	REQUIRE(lockfile_pid_unlock(lock) == 0);
	lockfile_pid_free(lock);
	REQUIRE(count_descriptors() == before);
	go_up(MANY);
}

TEST(a_child_can_use_a_path_below_a_directory_without_a_name)
{
	steer_reset();
	ck_assert_int_eq(in_child(fork_deep_down, NULL), 0);
	assert_nothing_left();
}

/* There is no name that it could have, and none to make again. */
static void new_without_a_descriptor(void *unused)
{
	struct lockfile_pid *lock;
	struct rlimit limit;

	(void)unused;
	go_down(MANY);
	REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	limit.rlim_cur = 0;
	REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	REQUIRE(lockfile_pid_new(&lock, NAME) == -EMFILE);
	go_up(MANY);
}

TEST(new_without_a_descriptor_for_a_directory_without_a_name_is_emfile)
{
	steer_reset();
	ck_assert_int_eq(in_child(new_without_a_descriptor, NULL), 0);
	assert_nothing_left();
}

/* The root directory. */

TEST(a_root_is_another_by_each_of_its_numbers)
{
	struct path path;

	steer_reset();
	ck_assert_int_eq(path_init(&path, "/" NAME), 0);
	ck_assert(!path_has_other_root(&path));
	path.root.dev++;
	ck_assert(path_has_other_root(&path));
	path.root.dev--;
	path.root.ino++;
	ck_assert(path_has_other_root(&path));
	path.root.ino--;
	path.root.mount++;
	ck_assert(path_has_other_root(&path));
	path_release(&path);
}

TEST(a_root_that_cannot_be_looked_at_is_no_other)
{
	struct path path;

	steer_reset();
	steer_result("sys_fstatat", 1, -EACCES);
	ck_assert_int_eq(path_init(&path, "/" NAME), 0);
	ck_assert(!path_has_other_root(&path));
	path_release(&path);
	steer_reset();
	ck_assert_int_eq(path_init(&path, "/" NAME), 0);
	path.root.ino++;
	ck_assert(path_has_other_root(&path));
	steer_result("sys_fstatat", 1, -EACCES);
	ck_assert(!path_has_other_root(&path));
	path_release(&path);
	steer_reset();
}
