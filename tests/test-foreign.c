/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What other programs, or accidents, put at the path: content that is no PID,
 * files that are being written, files that are no lock files.
 */
#include <config.h>

#include "common.h"
#include "forge.h"
#include "handle.h"
#include "process.h"
#include "steer.h"

#include <errno.h>
#include <fcntl.h>
#include <lockfile-pid.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define PATH    "x.pid"
#define BUSY    LOCKFILE_PID_ERR_BUSY
#define DEAD    LOCKFILE_PID_ERR_PROCESS_DEAD
#define INVALID LOCKFILE_PID_ERR_INVALID_PID

#define NS_PER_S 1000000000LL

static struct lockfile_pid *new_lock(void)
{
	struct lockfile_pid *lock;

	ck_assert_int_eq(lockfile_pid_new(&lock, PATH), 0);
	return lock;
}

static int check_path(void)
{
	struct lockfile_pid *lock = new_lock();
	pid_t pid = -1;
	int r = lockfile_pid_check(lock, &pid);

	if (r == INVALID)
		ck_assert_int_eq(pid, -1);
	lockfile_pid_free(lock);
	return r;
}

/* What is had is given back. */
static int trylock_path(void)
{
	struct lockfile_pid *lock = new_lock();
	int r = lockfile_pid_trylock(lock);

	if (r == 0) {
		assert_content(PATH, "%d\n", (int)getpid());
		ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	}
	lockfile_pid_free(lock);
	return r;
}

/* Content. */

static void write_bytes(const char *start, size_t length, char fill, size_t size)
{
	FILE *file = fopen(PATH, "we");

	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(start, 1, length, file), length);
	for (; length < size; length++)
		fputc(fill, file);
	ck_assert_int_eq(fclose(file), 0);
}

#define BYTES(text) text, sizeof(text) - 1

static const struct {
	const char *start;
	size_t length;
	char fill;
	size_t size;
	int check, trylock;
} contents[] = {
	{ BYTES("\n"), 0, 0, INVALID, 0 },
	{ BYTES(" "), 0, 0, INVALID, 0 },
	{ BYTES("\0"), 0, 0, INVALID, 0 },
	{ BYTES("a"), 0, 0, INVALID, 0 },
	{ BYTES("0\n"), 0, 0, INVALID, 0 },
	{ BYTES("-1\n"), 0, 0, INVALID, 0 },
	{ BYTES("+1\n"), 0, 0, INVALID, 0 },
	{ BYTES("0x1\n"), 0, 0, INVALID, 0 },
	{ BYTES("1a\n"), 0, 0, INVALID, 0 },
	{ BYTES("1\0\n"), 0, 0, INVALID, 0 },
	{ BYTES("4194305\n"), 0, 0, INVALID, 0 },
	{ BYTES("111111111111111111111111111111\n"), 0, 0, INVALID, 0 },
	{ BYTES("1\n"), 0, 0, BUSY, BUSY },
	{ BYTES("1"), 0, 0, BUSY, BUSY },
	{ BYTES(" 01 \nmore\n"), 0, 0, BUSY, BUSY },
	/* at the limits; data of somebody is not touched */
	{ BYTES("x"), 'x', 64, INVALID, 0 },
	{ BYTES("x"), 'x', 65, INVALID, INVALID },
	{ BYTES("x"), 'x', 4096, INVALID, INVALID },
	{ BYTES("x"), 'x', 100000, INVALID, INVALID },
	{ BYTES("\0"), '\0', 64, INVALID, 0 },
	{ BYTES("\0"), '\0', 65, INVALID, INVALID },
	{ BYTES("1\n"), 'x', 65, BUSY, BUSY },
	{ BYTES("1\n"), 'x', 4096, BUSY, BUSY },
	{ BYTES("1\n"), 'x', 4097, INVALID, INVALID },
	/* of as many pieces as are read */
	{ BYTES("1"), ' ', 511, BUSY, BUSY },
	{ BYTES("1"), ' ', 512, BUSY, BUSY },
	{ BYTES("1"), ' ', 513, BUSY, BUSY },
	{ BYTES("1"), '0', 512, INVALID, INVALID },
	{ BYTES("00"), '1', 513, INVALID, INVALID },
	{ BYTES("1"), ' ', 4096, BUSY, BUSY },
	{ BYTES("1"), ' ', 4097, INVALID, INVALID },
	{ BYTES("1\n"), 'x', 100000, INVALID, INVALID },
};

TEST_EACH(content_decides, contents)
{
	struct stat before, after;

	steer_reset();
	write_bytes(contents[_i].start, contents[_i].length, contents[_i].fill, contents[_i].size);
	ck_assert_int_eq(stat(PATH, &before), 0);
	ck_assert_int_eq(check_path(), contents[_i].check);
	ck_assert_int_eq(trylock_path(), contents[_i].trylock);
	if (contents[_i].trylock == 0)
		return;
	ck_assert_int_eq(stat(PATH, &after), 0);
	ck_assert_uint_eq(after.st_ino, before.st_ino);
	ck_assert_int_eq(after.st_size, before.st_size);
	ck_assert_int_eq(after.st_mtim.tv_nsec, before.st_mtim.tv_nsec);
	unlink(PATH);
}

/* The PID begins, or ends, where a piece does. */
static const int pid_starts[] = { 505, 510, 511, 512, 513, 3000 };

TEST_EACH(pid_after_many_blanks_counts, pid_starts)
{
	char content[4000];

	steer_reset();
	snprintf(content, sizeof(content), "%*s%d\n", pid_starts[_i], "", (int)getppid());
	write_file(PATH, content);
	ck_assert_int_eq(check_path(), BUSY);
	snprintf(content, sizeof(content), "%*s%dx\n", pid_starts[_i], "", (int)getppid());
	write_file(PATH, content);
	ck_assert_int_eq(check_path(), INVALID);
	unlink(PATH);
}

static const size_t dead_sizes[] = { 0, 64, 65, 4096 };

TEST_EACH(long_file_of_a_dead_process_is_stale, dead_sizes)
{
	char start[16];
	int length = snprintf(start, sizeof(start), "%d\n", (int)dead_pid());

	steer_reset();
	write_bytes(start, (size_t)length, 'x', dead_sizes[_i]);
	ck_assert_int_eq(check_path(), DEAD);
	ck_assert_int_eq(trylock_path(), 0);
}

/* Empty files. */

TEST(empty_file_that_was_made_just_now_is_busy)
{
	steer_reset();
	write_file(PATH, "");
	ck_assert_int_eq(check_path(), BUSY);
	ck_assert_int_eq(trylock_path(), BUSY);
	assert_content(PATH, "%s", "");
	unlink(PATH);
}

static const struct {
	int64_t clock_ahead_ns; /* of the file's last change */
	int check, trylock;
} ages[] = {
	{ 0, BUSY, BUSY },
	{ NS_PER_S - 1, BUSY, BUSY },
	{ NS_PER_S, INVALID, 0 },
	{ 3600 * NS_PER_S, INVALID, 0 },
	{ -1, INVALID, 0 }, /* in the future */
	{ -3600 * NS_PER_S, INVALID, 0 },
};

static void set_clock(int64_t ns)
{
	steer_result("sys_clock_ns", EVERY, ns);
}

TEST_EACH(empty_file_is_damaged_when_its_last_change_is_a_second_old, ages)
{
	const struct timespec times[2] = { { 1000, 5 }, { 1000, 5 } };

	steer_reset();
	write_file(PATH, "");
	ck_assert_int_eq(utimensat(AT_FDCWD, PATH, times, 0), 0);
	set_clock(1000 * NS_PER_S + 5 + ages[_i].clock_ahead_ns);
	ck_assert_int_eq(check_path(), ages[_i].check);
	ck_assert_int_eq(trylock_path(), ages[_i].trylock);
	unlink(PATH);
	steer_reset();
}

/* As far away as can be asked for; a file system keeps what it can. */
static const int64_t far_away[] = { INT64_MIN, INT64_MAX };

TEST_EACH(empty_file_of_a_time_far_away_is_damaged, far_away)
{
	const struct timespec time = { .tv_sec = (time_t)far_away[_i] };

	steer_reset();
	write_file(PATH, "");
	if (utimensat(AT_FDCWD, PATH, (const struct timespec[]){ time, time }, 0) < 0)
		SKIP("no such times here: %s", strerror(errno));
	ck_assert_int_eq(check_path(), INVALID);
	ck_assert_int_eq(trylock_path(), 0);
	unlink(PATH);
}

/* The file's clock stands still; ours goes on. */
TEST(who_comes_back_measures_the_second_itself)
{
	struct lockfile_pid *lock = new_lock();

	steer_reset();
	write_file(PATH, "");
	ck_assert_int_eq(lockfile_pid_trylock(lock), BUSY);
	steer_clock(CLOCK_MONOTONIC, NS_PER_S / 2);
	ck_assert_int_eq(lockfile_pid_trylock(lock), BUSY);
	steer_clock(CLOCK_MONOTONIC, NS_PER_S);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	lockfile_pid_free(lock);
	steer_reset();
}

TEST(measured_second_is_that_of_the_same_file_unchanged)
{
	struct lockfile_pid *lock = new_lock();

	steer_reset();
	write_file(PATH, "");
	ck_assert_int_eq(lockfile_pid_trylock(lock), BUSY);
	write_file("y.pid", "");
	ck_assert_int_eq(rename("y.pid", PATH), 0);
	steer_clock(CLOCK_MONOTONIC, NS_PER_S);
	ck_assert_int_eq(lockfile_pid_trylock(lock), BUSY);
	forge_mtime(PATH, 0); /* written to, in a way */
	steer_clock(CLOCK_MONOTONIC, 2 * NS_PER_S);
	ck_assert_int_eq(lockfile_pid_trylock(lock), BUSY);
	steer_clock(CLOCK_MONOTONIC, 3 * NS_PER_S);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	lockfile_pid_free(lock);
	steer_reset();
}

static void another_device(struct patience *patience)
{
	patience->dev++;
}

static void another_inode(struct patience *patience)
{
	patience->ino++;
}

static void another_second(struct patience *patience)
{
	patience->changed.tv_sec--;
}

static void another_nanosecond(struct patience *patience)
{
	patience->changed.tv_nsec ^= 1;
}

static void never_seen(struct patience *patience)
{
	patience->since_ns = 0;
}

static void (*const differences[])(struct patience *) = {
	another_device, another_inode, another_second, another_nanosecond, never_seen,
};

TEST_EACH(measured_second_is_that_of_the_same_file_in_every_way, differences)
{
	struct lockfile_pid *lock = new_lock();

	steer_reset();
	write_file(PATH, "");
	ck_assert_int_eq(lockfile_pid_trylock(lock), BUSY);
	differences[_i](&lock->patience);
	steer_clock(CLOCK_MONOTONIC, NS_PER_S);
	ck_assert_int_eq(lockfile_pid_trylock(lock), BUSY);
	steer_clock(CLOCK_MONOTONIC, 2 * NS_PER_S);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	lockfile_pid_free(lock);
	steer_reset();
}

TEST(check_has_no_memory)
{
	struct lockfile_pid *lock = new_lock();
	pid_t pid;

	steer_reset();
	write_file(PATH, "");
	ck_assert_int_eq(lockfile_pid_check(lock, &pid), BUSY);
	steer_clock(CLOCK_MONOTONIC, 2 * NS_PER_S);
	ck_assert_int_eq(lockfile_pid_check(lock, &pid), BUSY);
	ck_assert_int_eq(lockfile_pid_trylock(lock), BUSY);
	lockfile_pid_free(lock);
	unlink(PATH);
	steer_reset();
}

TEST(empty_file_with_a_kernel_lock_is_busy_at_any_age)
{
	int fd;

	steer_reset();
	write_file(PATH, "");
	forge_mtime(PATH, -100);
	fd = forge_lock(PATH);
	ck_assert_int_eq(check_path(), BUSY);
	ck_assert_int_eq(trylock_path(), BUSY);
	close(fd);
	ck_assert_int_eq(trylock_path(), 0);
}

static void (*between)(void);
static bool acted;

static void act(void *unused)
{
	(void)unused;
	acted = true;
	between();
}

static void fill_it(void)
{
	write_file(PATH, "1\n");
}

/* The writer wakes up between the first look and the one with the right to replace. */
TEST(empty_file_that_is_filled_before_it_is_replaced_is_kept)
{
	steer_reset();
	write_file(PATH, "");
	forge_mtime(PATH, -100);
	between = fill_it;
	steer_before("sys_link_fd", 2, act, NULL);
	ck_assert_int_eq(trylock_path(), BUSY);
	assert_content(PATH, "1\n");
	unlink(PATH);
	steer_reset();
}

/* Files that are not for us to read. */

static void find_busy(void *unused)
{
	(void)unused;
	if (setresuid(65534, 65534, 65534) < 0)
		_exit(2);
	ck_assert_int_eq(check_path(), BUSY);
	ck_assert_int_eq(trylock_path(), BUSY);
}

TEST(unreadable_file_is_busy)
{
	SKIP_UNLESS_ROOT();
	steer_reset();
	forge_foreign(PATH, dead_pid());
	ck_assert_int_eq(chmod(PATH, 0600), 0);
	ck_assert_int_eq(chmod(".", 0755), 0);
	ck_assert_int_eq(in_child(find_busy, NULL), 0);
	ck_assert_int_eq(chmod(".", 0777), 0);
	ck_assert_int_eq(in_child(find_busy, NULL), 0);
	unlink(PATH);
}

/* What is no regular file is looked at from afar. */

static void make_directory(void)
{
	ck_assert_int_eq(mkdir(PATH, 0755), 0);
}

static void make_fifo(void)
{
	ck_assert_int_eq(mkfifo(PATH, 0644), 0);
}

static void make_socket(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = PATH };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
}

static void make_device(void)
{
	SKIP_UNLESS_ROOT();
	if (mknod(PATH, S_IFCHR | 0666, makedev(1, 3)) < 0)
		SKIP("no devices here");
}

static const struct {
	void (*make)(void);
	mode_t kind;
} kinds[] = {
	{ make_directory, S_IFDIR },
	{ make_fifo, S_IFIFO },
	{ make_socket, S_IFSOCK },
	{ make_device, S_IFCHR },
};

static const int tmpfile_errors[] = { 0, EOPNOTSUPP };

TEST_EACH(what_is_no_regular_file_is_neither_opened_nor_removed, kinds)
{
	struct stat st;

	kinds[_i].make();
	for (int i = 0; i < 2; i++) {
		steer_reset();
		steer_no_tmpfile(tmpfile_errors[i]);
		steer_watch_opens(PATH);
		ck_assert_int_eq(check_path(), INVALID);
		ck_assert_int_eq(trylock_path(), INVALID);
		ck_assert_int_eq(steer_opens(), 0);
		ck_assert_int_eq(lstat(PATH, &st), 0);
		ck_assert_uint_eq(st.st_mode & S_IFMT, kinds[_i].kind);
	}
	ck_assert_str_eq(list_dir("."), PATH " ");
	ck_assert_int_eq(remove(PATH), 0);
	steer_reset();
}

static void become_other(void *make)
{
	ck_assert_int_eq(unlink(PATH), 0);
	(*(void (**)(void))make)();
}

/* What was found is opened, and nothing that took its place. */
TEST_EACH(what_becomes_another_kind_before_it_is_opened_is_not_opened, kinds)
{
	struct lockfile_pid *lock = new_lock();
	void (*make)(void) = kinds[_i].make;
	pid_t pid;

	forge_foreign(PATH, dead_pid());
	steer_reset();
	steer_watch_opens(PATH);
	steer_before("sys_reopen", 1, become_other, &make);
	ck_assert_int_eq(lockfile_pid_check(lock, &pid), DEAD);
	ck_assert_int_eq(lockfile_pid_check(lock, &pid), INVALID);
	ck_assert_int_eq(steer_opens(), 0);
	steer_reset();
	lockfile_pid_free(lock);
	ck_assert_int_eq(remove(PATH), 0);
}

static void become_regular(void *unused)
{
	(void)unused;
	remove(PATH);
	write_file(PATH, "x");
}

/* Without /proc, where only the name can be opened. */
TEST(what_never_holds_still_is_busy)
{
	steer_reset();
	write_file(PATH, "x");
	steer_result("sys_reopen", EVERY, -ENOENT);
	steer_before("sys_openat", EVERY, become_regular, NULL);
	ck_assert_int_eq(check_path(), BUSY);
	ck_assert_int_lt(steer_count(ANY_CALL), 1000);
	steer_reset();
	unlink(PATH);
}

/* What vanishes while it is judged was released, not damaged. */

static struct holder other;

static void vanish(void)
{
	ck_assert_int_eq(unlink(PATH), 0);
}

static void vanish_and_be_locked(void)
{
	vanish();
	ck_assert_int_eq(holder_do(&other, "trylock"), 0);
}

static void forge_damaged(void)
{
	write_file(PATH, "x");
}

static void forge_stale(void)
{
	forge_foreign(PATH, dead_pid());
}

/* The calls of trylock that concern PATH: in its first look, and in the second. */
static const struct {
	const char *call;
	int nth;
} moments[] = {
	{ "sys_link_fd", 1 },         { "sys_fstatat", 1 },         { "sys_open_path", 1 },
	{ "sys_fstat", 2 },           { "sys_reopen", 1 },          { "sys_pread", 1 },
	{ "sys_is_write_locked", 1 }, { "sys_link_fd", 2 },         { "sys_fstatat", 2 },
	{ "sys_open_path", 2 },       { "sys_fstat", 3 },           { "sys_reopen", 2 },
	{ "sys_pread", 2 },           { "sys_is_write_locked", 2 }, { "sys_fstatat", 3 },
};

static void (*const forgers[])(void) = { forge_damaged, forge_stale };

static int trylock_with(int moment, int forger, void (*action)(void))
{
	struct lockfile_pid *lock = new_lock();
	struct owner self;
	int r;

	forgers[forger]();
	process_self(&self); /* its calls are made now */
	steer_reset();
	acted = false;
	between = action;
	steer_before(moments[moment].call, moments[moment].nth, act, NULL);
	r = lockfile_pid_trylock(lock);
	steer_reset();
	lockfile_pid_free(lock);
	ck_assert(acted);
	return r;
}

TEST_EACH(what_vanishes_while_it_is_judged_was_released, moments)
{
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(trylock_with(_i, i, vanish), 0);
		unlink(PATH);
		assert_nothing_left();
	}
}

TEST(check_finds_what_vanishes_before_it_is_found_free)
{
	struct lockfile_pid *lock = new_lock();
	pid_t pid = -1;

	forge_stale();
	steer_reset();
	between = vanish;
	steer_before("sys_open_path", 1, act, NULL);
	ck_assert_int_eq(lockfile_pid_check(lock, &pid), 0);
	ck_assert_int_eq(pid, 0);
	lockfile_pid_free(lock);
	steer_reset();
}

TEST_EACH(what_takes_its_place_meanwhile_is_kept, moments)
{
	other = holder_start(PATH);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(trylock_with(_i, i, vanish_and_be_locked), BUSY);
		ck_assert_int_eq(holder_do(&other, "verify"), 0);
		ck_assert_int_eq(holder_do(&other, "unlock"), 0);
		assert_nothing_left();
	}
	holder_end(&other);
}

TEST(what_is_no_lock_file_is_not_worth_the_right_to_replace_it)
{
	struct lockfile_pid *lock = new_lock();

	ck_assert_int_eq(mkdir("x.pid", 0755), 0);
	steer_reset();
	ck_assert_int_eq(lockfile_pid_trylock(lock), LOCKFILE_PID_ERR_INVALID_PID);
	/* the attempt without a look was the only one */
	ck_assert_int_eq(steer_count("sys_link_fd"), 1);
	ck_assert_int_eq(rmdir("x.pid"), 0);
	lockfile_pid_free(lock);
}

TEST(check_takes_the_callers_word_on_cluster_locks)
{
	struct lockfile_pid *lock = new_lock();
	pid_t pid;

	forge_foreign("x.pid", RECORD_PID_MAX);
	steer_reset();
	steer_file_system(0x6969); /* NFS */
	ck_assert_int_eq(lockfile_pid_check(lock, &pid), LOCKFILE_PID_ERR_BUSY);
	ck_assert_int_eq(lockfile_pid_set_cluster_locks(lock, 1), 0);
	ck_assert_int_eq(lockfile_pid_check(lock, &pid), LOCKFILE_PID_ERR_PROCESS_DEAD);
	steer_reset();
	lockfile_pid_free(lock);
	ck_assert_int_eq(unlink("x.pid"), 0);
}
