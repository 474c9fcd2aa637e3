/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Symbolic links at the path, of whatever form, are no lock files.  They are neither
 * followed nor removed, and nothing happens to what they lead to.
 */
#include <config.h>

#include "common.h"
#include "forge.h"
#include "process.h"
#include "steer.h"

#include <errno.h>
#include <fcntl.h>
#include <lockfile-pid.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH    "x.pid"
#define TARGET  "x.pid-123"
#define BUSY    LOCKFILE_PID_ERR_BUSY
#define INVALID LOCKFILE_PID_ERR_INVALID_PID
#define ROGUE   LOCKFILE_PID_ERR_ROGUE_DELETION

static struct lockfile_pid *new_lock(void)
{
	struct lockfile_pid *lock;

	ck_assert_int_eq(lockfile_pid_new(&lock, PATH), 0);
	return lock;
}

/* Once with O_TMPFILE and once without. */
static const int ways[] = { 0, EOPNOTSUPP };

static void begin(int way)
{
	struct owner self;

	ck_assert_int_eq(process_init(), 0);
	process_self(&self); /* its calls are made now */
	steer_reset();
	steer_no_tmpfile(way);
}

/* What is opened, read, written or renamed is known to this. */
static int watch(const char *name)
{
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

	if (exists(name))
		ck_assert_int_ge(inotify_add_watch(fd, name, IN_ALL_EVENTS | IN_DONT_FOLLOW), 0);
	return fd;
}

static void assert_untouched(int fd)
{
	char event[256];

	ck_assert_int_lt(read(fd, event, sizeof(event)), 0);
	close(fd);
}

static void assert_leads_to(const char *target)
{
	char text[256];
	ssize_t n = readlink(PATH, text, sizeof(text) - 1);

	ck_assert_int_ge(n, 0);
	text[n] = '\0';
	ck_assert_str_eq(text, target);
}

/* What the links lead to. */

static void make_nothing(void)
{
}

static void make_file_of_the_living(void)
{
	forge_foreign(TARGET, 1);
}

static void make_file_of_the_dead(void)
{
	forge_foreign(TARGET, dead_pid());
}

static void make_file_of_ours(void)
{
	struct record record = forge_dead_record();

	forge_file(TARGET, &record);
}

static void make_damaged_file(void)
{
	write_file(TARGET, "x");
}

static void make_data(void)
{
	char data[101] = "";

	memset(data, 'x', sizeof(data) - 1);
	write_file(TARGET, data);
}

static void make_directory(void)
{
	ck_assert_int_eq(mkdir(TARGET, 0700), 0);
}

static void make_fifo(void)
{
	ck_assert_int_eq(mkfifo(TARGET, 0600), 0);
}

static void make_link_to_itself(void)
{
	ck_assert_int_eq(symlink(TARGET, TARGET), 0);
}

static void (*const targets[])(void) = {
	make_nothing,          make_file_of_the_living,
	make_file_of_the_dead, make_file_of_ours,
	make_damaged_file,     make_data,
	make_directory,        make_fifo,
	make_link_to_itself,
};

/* TARGET in the directory of the test, as a link may name it. */
static const char *name_of_target(int form)
{
	static char text[512];

	switch (form) {
	case 0:
		return TARGET;
	case 1:
		return "./" TARGET;
	default:
		snprintf(text, sizeof(text), "%s/%s", test_dir, TARGET);
		return text;
	}
}

static void assert_left_alone(const char *target)
{
	struct lockfile_pid *lock = new_lock();
	int victim = watch(TARGET);
	char before[512];
	pid_t pid = -1;

	snprintf(before, sizeof(before), "%s", list_dir("."));
	ck_assert_int_eq(symlink(target, PATH), 0);
	ck_assert_int_eq(lockfile_pid_check(lock, &pid), INVALID);
	ck_assert_int_eq(pid, -1);
	ck_assert_int_eq(lockfile_pid_trylock(lock), INVALID);
	ck_assert_int_eq(lockfile_pid_timedlock(lock, 10), INVALID);
	ck_assert_int_eq(lockfile_pid_verify(lock), ROGUE);
	ck_assert_int_eq(lockfile_pid_unlock(lock), ROGUE);
	assert_leads_to(target);
	assert_untouched(victim);
	lockfile_pid_free(lock);
	ck_assert_int_eq(unlink(PATH), 0);
	ck_assert_str_eq(list_dir("."), before);
}

TEST_EACH(link_is_no_lock_file_whatever_it_leads_to, targets)
{
	for (int i = 0; i < 6; i++) {
		begin(ways[i % 2]);
		targets[_i]();
		assert_left_alone(name_of_target(i / 2));
		remove(TARGET);
		forge_end();
		assert_nothing_left();
	}
	steer_reset();
}

static const char *const others[] = { "elsewhere", "..", "/dev/null", PATH, "/", "x.pid-" };

TEST_EACH(link_of_another_form_is_no_lock_file, others)
{
	begin(0);
	assert_left_alone(others[_i]);
	steer_reset();
}

/* What was found at the path is opened, and no link that took its place is followed. */

static void become_link(void *unused)
{
	(void)unused;
	ck_assert_int_eq(unlink(PATH), 0);
	ck_assert_int_eq(symlink(TARGET, PATH), 0);
}

static const struct {
	const char *call;
	int nth, result;
} moments[] = {
	{ "sys_open_path", 1, INVALID },
	{ "sys_fstat", 2, INVALID },
	{ "sys_reopen", 1, INVALID },
	{ "sys_pread", 1, INVALID },
	{ "sys_open_path", 2, INVALID },
	/* after the last look, by hand: the link alone is replaced */
	{ "sys_rename", 1, 0 },
};

TEST_EACH(link_that_comes_to_the_path_is_not_followed, moments)
{
	struct lockfile_pid *lock;
	int victim;

	begin(0);
	lock = new_lock();
	write_file(TARGET, "data\n");
	victim = watch(TARGET);
	forge_foreign(PATH, dead_pid());
	steer_before(moments[_i].call, moments[_i].nth, become_link, NULL);
	ck_assert_int_eq(lockfile_pid_trylock(lock), moments[_i].result);
	assert_untouched(victim);
	steer_reset();
	lockfile_pid_free(lock);
	unlink(PATH);
	assert_content(TARGET, "data\n");
	unlink(TARGET);
	assert_nothing_left();
}

/* A holder whose file was replaced by a link to it. */
TEST(link_to_the_lock_file_is_not_the_lock_file)
{
	struct lockfile_pid *lock;

	begin(0);
	lock = new_lock();
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(rename(PATH, TARGET), 0);
	ck_assert_int_eq(symlink(TARGET, PATH), 0);
	ck_assert_int_eq(lockfile_pid_verify(lock), ROGUE);
	ck_assert_int_eq(lockfile_pid_unlock(lock), ROGUE);
	assert_leads_to(TARGET);
	lockfile_pid_free(lock);
	ck_assert_int_eq(unlink(PATH), 0);
	ck_assert_int_eq(unlink(TARGET), 0);
	steer_reset();
}

/* The same without a descriptor, by what is at the name. */
TEST(link_to_the_lock_file_is_not_the_lock_file_without_its_descriptor)
{
	struct lockfile_pid *lock;

	begin(0);
	lock = new_lock();
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	close(lockfile_pid_fileno(lock));
	ck_assert_int_eq(rename(PATH, TARGET), 0);
	ck_assert_int_eq(symlink(TARGET, PATH), 0);
	ck_assert_int_eq(lockfile_pid_verify(lock), ROGUE);
	ck_assert_int_eq(lockfile_pid_unlock(lock), ROGUE);
	assert_leads_to(TARGET);
	lockfile_pid_free(lock);
	ck_assert_int_eq(unlink(PATH), 0);
	ck_assert_int_eq(unlink(TARGET), 0);
	steer_reset();
}
