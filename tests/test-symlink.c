/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Symbolic links at the path.  Another implementation makes the path NAME a
 * link to NAME-DIGITS, a PID file in the same directory.
 */
#include <config.h>

#include "common.h"
#include "forge.h"
#include "process.h"
#include "steer.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <lockfile-pid.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define PATH    "x.pid"
#define TARGET  "x.pid-123"
#define BUSY    LOCKFILE_PID_ERR_BUSY
#define DEAD    LOCKFILE_PID_ERR_PROCESS_DEAD
#define INVALID LOCKFILE_PID_ERR_INVALID_PID

static struct lockfile_pid *new_lock(const char *path)
{
	struct lockfile_pid *lock;

	ck_assert_int_eq(lockfile_pid_new(&lock, path), 0);
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

static int check_path(const char *path, pid_t expected_pid)
{
	struct lockfile_pid *lock = new_lock(path);
	pid_t pid = 0;
	int r = lockfile_pid_check(lock, &pid);

	ck_assert_int_eq(pid, expected_pid);
	lockfile_pid_free(lock);
	return r;
}

static int trylock_path(const char *path)
{
	struct lockfile_pid *lock = new_lock(path);
	int r = lockfile_pid_trylock(lock);
	struct stat st;

	if (r == 0) {
		ck_assert_int_eq(lstat(PATH, &st), 0);
		ck_assert(S_ISREG(st.st_mode));
		assert_content(PATH, "%d\n", (int)getpid());
		ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	}
	lockfile_pid_free(lock);
	return r;
}

/* The form of the link, and how the path is given. */

enum form { PLAIN, AS_GIVEN, ABSOLUTE };

static const struct {
	enum form path, target;
	bool known;
} forms[] = {
	{ PLAIN, PLAIN, true },       { PLAIN, ABSOLUTE, true },     { AS_GIVEN, PLAIN, true },
	{ AS_GIVEN, AS_GIVEN, true }, { AS_GIVEN, ABSOLUTE, false }, { ABSOLUTE, PLAIN, true },
	{ ABSOLUTE, ABSOLUTE, true }, { PLAIN, AS_GIVEN, false },
};

static const char *in_form(enum form form, const char *name, char text[256])
{
	snprintf(text, 256, "%s%s%s",
	         form == PLAIN    ? "" :
	         form == AS_GIVEN ? "./" :
	                            test_dir,
	         form == ABSOLUTE ? "/" : "", name);
	return text;
}

TEST_EACH(link_is_known_in_every_form, forms)
{
	char path[256], target[256];
	int check = forms[_i].known ? DEAD : INVALID, trylock = forms[_i].known ? 0 : INVALID;
	pid_t dead = dead_pid();

	in_form(forms[_i].path, PATH, path);
	in_form(forms[_i].target, TARGET, target);
	for (int i = 0; i < 2; i++) {
		begin(ways[i]);
		forge_foreign(TARGET, dead);
		ck_assert_int_eq(symlink(target, PATH), 0);
		ck_assert_int_eq(check_path(path, forms[_i].known ? dead : 0), check);
		ck_assert_int_eq(trylock_path(path), trylock);
		if (!forms[_i].known) {
			ck_assert_int_eq(unlink(PATH), 0);
			ck_assert_int_eq(unlink(TARGET), 0);
		}
		assert_nothing_left();
	}
	steer_reset();
}

TEST_EACH(link_to_nothing_is_replaced, ways)
{
	begin(ways[_i]);
	ck_assert_int_eq(symlink(TARGET, PATH), 0);
	ck_assert_int_eq(check_path(PATH, 0), DEAD);
	ck_assert_int_eq(trylock_path(PATH), 0);
	assert_nothing_left();
	steer_reset();
}

TEST_EACH(link_to_the_file_of_a_living_process_is_busy, ways)
{
	begin(ways[_i]);
	forge_foreign(TARGET, 1);
	ck_assert_int_eq(symlink(TARGET, PATH), 0);
	ck_assert_int_eq(check_path(PATH, 1), BUSY);
	ck_assert_int_eq(trylock_path(PATH), BUSY);
	assert_content(TARGET, "1\n");
	ck_assert_str_eq(list_dir("."), "x.pid x.pid-123 ");
	unlink(PATH);
	unlink(TARGET);
	steer_reset();
}

TEST_EACH(link_to_a_locked_file_is_busy, ways)
{
	pid_t dead = dead_pid();
	int fd;

	begin(ways[_i]);
	forge_foreign(TARGET, dead);
	ck_assert_int_eq(symlink(TARGET, PATH), 0);
	fd = forge_lock(TARGET);
	ck_assert_int_eq(check_path(PATH, dead), BUSY);
	ck_assert_int_eq(trylock_path(PATH), BUSY);
	close(fd);
	ck_assert_int_eq(trylock_path(PATH), 0);
	assert_nothing_left();
	steer_reset();
}

TEST_EACH(link_to_a_fresh_empty_file_is_busy, ways)
{
	begin(ways[_i]);
	write_file(TARGET, "");
	ck_assert_int_eq(symlink(TARGET, PATH), 0);
	ck_assert_int_eq(trylock_path(PATH), BUSY);
	forge_mtime(TARGET, -2);
	ck_assert_int_eq(trylock_path(PATH), 0);
	assert_nothing_left();
	steer_reset();
}

/* Whatever else it is, it is left alone; so is what it leads to. */

static void make_file(void)
{
	forge_foreign(TARGET, dead_pid());
}

static void make_directory(void)
{
	ck_assert_int_eq(mkdir(TARGET, 0755), 0);
}

static void make_fifo(void)
{
	ck_assert_int_eq(mkfifo(TARGET, 0644), 0);
}

static void make_link(void)
{
	ck_assert_int_eq(symlink("elsewhere", TARGET), 0);
}

static void make_long_file(void)
{
	char text[100];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	write_file(TARGET, text);
}

static void make_file_of_another(void)
{
	SKIP_UNLESS_ROOT();
	make_file();
	ck_assert_int_eq(chown(TARGET, 65534, (gid_t)-1), 0);
}

static const struct {
	const char *target;
	void (*make)(void);
	bool opens; /* a regular file is, to be read */
} aliens[] = {
	{ TARGET, make_directory, false },   { TARGET, make_fifo, false },
	{ TARGET, make_link, false },        { TARGET, make_file_of_another, false },
	{ TARGET, make_long_file, true },    { "x.pid-", make_file, false },
	{ "x.pid", make_file, false },       { "x.pid123", make_file, false },
	{ "x.pid-12a", make_file, false },   { "x.pid-a12", make_file, false },
	{ "x.pid--12", make_file, false },   { "x.pid-12/", make_file, false },
	{ "y.pid-123", make_file, false },   { "../x.pid-123", make_file, false },
	{ "a/x.pid-123", make_file, false }, { "/x.pid-123", make_file, false },
	{ "/dev/null", make_file, false },   { ".", make_file, false },
};

TEST_EACH(any_other_link_is_neither_followed_nor_removed, aliens)
{
	aliens[_i].make();
	ck_assert_int_eq(symlink(aliens[_i].target, PATH), 0);
	for (int i = 0; i < 2; i++) {
		begin(ways[i]);
		steer_watch_opens(TARGET);
		ck_assert_int_eq(check_path(PATH, 0), INVALID);
		ck_assert_int_eq(trylock_path(PATH), INVALID);
		ck_assert_int_eq(steer_opens() > 0, aliens[_i].opens);
		ck_assert_str_eq(list_dir("."), "x.pid x.pid-123 ");
	}
	ck_assert_int_eq(remove(PATH), 0);
	ck_assert_int_eq(remove(TARGET), 0);
	steer_reset();
}

TEST(link_with_a_name_too_long_is_none_of_theirs)
{
	char target[300] = TARGET;

	begin(0);
	memset(target + strlen(target), '1', sizeof(target) - strlen(target) - 1);
	ck_assert_int_eq(symlink(target, PATH), 0);
	ck_assert_int_eq(check_path(PATH, 0), INVALID);
	ck_assert_int_eq(trylock_path(PATH), INVALID);
	unlink(PATH);
}

/* Longer than this system has them; nothing of it is looked at. */
TEST(link_that_does_not_fit_is_none_of_theirs)
{
	begin(0);
	forge_foreign(TARGET, 1);
	ck_assert_int_eq(symlink(TARGET, PATH), 0);
	steer_watch_opens(TARGET);
	steer_result("sys_readlinkat", EVERY, PATH_MAX);
	ck_assert_int_eq(check_path(PATH, 0), INVALID);
	ck_assert_int_eq(trylock_path(PATH), INVALID);
	ck_assert_int_eq(steer_opens(), 0);
	steer_reset();
	unlink(PATH);
	unlink(TARGET);
}

/* It may be had under its own name, by who knows nothing of the link. */
TEST_EACH(link_to_a_lock_file_of_ours_is_left_alone, ways)
{
	struct record record = forge_dead_record();

	begin(ways[_i]);
	forge_file(TARGET, &record);
	ck_assert_int_eq(symlink(TARGET, PATH), 0);
	ck_assert_int_eq(check_path(PATH, 0), INVALID);
	ck_assert_int_eq(trylock_path(PATH), INVALID);
	assert_content(TARGET, "%d\n", (int)record.owner.pid);
	ck_assert_str_eq(list_dir("."), "x.pid x.pid-123 ");
	unlink(PATH);
	unlink(TARGET);
	steer_reset();
}

static const struct {
	const char *call;
	int nth, error;
} look_failures[] = {
	{ "sys_openat", 2, EMFILE }, { "sys_fstat", 1, EIO },     { "sys_readlinkat", 1, EIO },
	{ "sys_fstatat", 5, EIO },   { "sys_openat", 3, EMFILE }, { "sys_fstat", 2, EIO },
};

TEST_EACH(failure_to_look_at_link_or_target_is_told, look_failures)
{
	int before = count_descriptors();

	begin(0);
	forge_foreign(TARGET, 1);
	ck_assert_int_eq(symlink(TARGET, PATH), 0);
	steer_result(look_failures[_i].call, look_failures[_i].nth, -look_failures[_i].error);
	ck_assert_int_eq(check_path(PATH, 0), -look_failures[_i].error);
	ck_assert_int_eq(count_descriptors(), before);
	steer_reset();
	ck_assert_int_eq(check_path(PATH, 1), BUSY);
	unlink(PATH);
	unlink(TARGET);
}

/* Things move while it is judged and replaced. */

static void (*between)(void);
static bool acted;

static void act(void *unused)
{
	(void)unused;
	acted = true;
	between();
}

static int trylock_with(const char *call, int nth, void (*action)(void))
{
	struct lockfile_pid *lock = new_lock(PATH);
	int r;

	acted = false;
	between = action;
	steer_before(call, nth, act, NULL);
	r = lockfile_pid_trylock(lock);
	lockfile_pid_free(lock);
	steer_reset();
	ck_assert(acted);
	return r;
}

static void remove_target(void)
{
	ck_assert_int_eq(unlink(TARGET), 0);
}

static void remove_both(void)
{
	ck_assert_int_eq(unlink(PATH), 0);
	ck_assert_int_eq(unlink(TARGET), 0);
}

static void replace_target(void)
{
	write_file("new", "1\n");
	ck_assert_int_eq(rename("new", TARGET), 0);
}

static void replace_link(void)
{
	ck_assert_int_eq(symlink("x.pid-456", "new"), 0);
	forge_foreign("x.pid-456", 1);
	ck_assert_int_eq(rename("new", PATH), 0);
}

static void target_becomes_link(void)
{
	remove_target();
	make_link();
}

static void target_becomes_anothers(void)
{
	ck_assert_int_eq(chown(TARGET, 65534, (gid_t)-1), 0);
}

static void forge_link(void)
{
	forge_foreign(TARGET, dead_pid());
	ck_assert_int_eq(symlink(TARGET, PATH), 0);
	begin(0);
}

/* The calls that look at link and target: in the first judgement, and in the second. */
static const struct {
	const char *call;
	int nth;
} moments[] = {
	{ "sys_fstatat", 2 }, { "sys_openat", 3 }, { "sys_readlinkat", 1 },
	{ "sys_fstatat", 3 }, { "sys_openat", 4 }, { "sys_pread", 1 },
	{ "sys_fstatat", 4 }, { "sys_openat", 5 }, { "sys_readlinkat", 2 },
	{ "sys_fstatat", 5 }, { "sys_openat", 6 }, { "sys_pread", 2 },
};

TEST_EACH(target_that_vanishes_does_not_matter, moments)
{
	forge_link();
	ck_assert_int_eq(trylock_with(moments[_i].call, moments[_i].nth, remove_target), 0);
	assert_nothing_left();
}

TEST_EACH(link_that_vanishes_was_released, moments)
{
	forge_link();
	ck_assert_int_eq(trylock_with(moments[_i].call, moments[_i].nth, remove_both), 0);
	assert_nothing_left();
}

TEST_EACH(link_that_another_makes_anew_is_kept, moments)
{
	forge_link();
	ck_assert_int_eq(trylock_with(moments[_i].call, moments[_i].nth, replace_link), BUSY);
	ck_assert_str_eq(list_dir("."), "x.pid x.pid-123 x.pid-456 ");
	unlink(PATH);
	unlink(TARGET);
	unlink("x.pid-456");
}

TEST(link_made_anew_between_verdict_and_rename_is_kept)
{
	forge_link();
	/* look, look, is the target still there, is the link */
	ck_assert_int_eq(trylock_with("sys_fstatat", 7, replace_link), BUSY);
	assert_content("x.pid-456", "1\n");
	unlink(PATH);
	unlink(TARGET);
	unlink("x.pid-456");
}

TEST(target_is_not_removed_for_a_link_that_has_changed)
{
	forge_link();
	ck_assert_int_eq(trylock_with("sys_fstatat", 6, replace_link), BUSY);
	ck_assert(exists(TARGET));
	unlink(PATH);
	unlink(TARGET);
	unlink("x.pid-456");
}

TEST(target_that_was_replaced_after_the_verdict_is_not_removed)
{
	struct lockfile_pid *lock;

	forge_link();
	lock = new_lock(PATH);
	between = replace_target;
	steer_after("sys_pread", 2, act, NULL);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	lockfile_pid_free(lock);
	steer_reset();
	ck_assert(!exists(PATH));
	assert_content(TARGET, "1\n");
	unlink(TARGET);
}

TEST(target_that_vanishes_before_it_is_removed_does_not_matter)
{
	forge_link();
	ck_assert_int_eq(trylock_with("sys_unlinkat", 1, remove_target), 0);
	assert_nothing_left();
}

static void link_becomes_file(void)
{
	forge_foreign("new", 1);
	ck_assert_int_eq(rename("new", PATH), 0);
}

TEST_EACH(link_that_becomes_a_file_is_judged_anew, moments)
{
	forge_link();
	ck_assert_int_eq(trylock_with(moments[_i].call, moments[_i].nth, link_becomes_file), BUSY);
	assert_content(PATH, "1\n");
	unlink(PATH);
	unlink(TARGET);
}

static void find_busy(void *unused)
{
	(void)unused;
	if (setresuid(65534, 65534, 65534) < 0)
		_exit(2);
	ck_assert_int_eq(check_path(PATH, 0), BUSY);
	ck_assert_int_eq(trylock_path(PATH), BUSY);
}

TEST(target_that_we_may_not_read_is_busy)
{
	SKIP_UNLESS_ROOT();
	forge_link();
	ck_assert_int_eq(chmod(TARGET, 0600), 0);
	ck_assert_int_eq(chmod(".", 0777), 0);
	ck_assert_int_eq(in_child(find_busy, NULL), 0);
	unlink(PATH);
	unlink(TARGET);
}

TEST(target_that_becomes_a_link_is_not_followed)
{
	forge_link();
	write_file("elsewhere", "1\n");
	ck_assert_int_eq(trylock_with("sys_openat", 4, target_becomes_link), INVALID);
	ck_assert_str_eq(list_dir("."), "elsewhere x.pid x.pid-123 ");
	unlink("elsewhere");
	unlink(TARGET);
	unlink(PATH);
}

TEST(target_that_becomes_another_users_is_left_alone)
{
	SKIP_UNLESS_ROOT();
	forge_link();
	ck_assert_int_eq(trylock_with("sys_openat", 4, target_becomes_anothers), INVALID);
	unlink(TARGET);
	unlink(PATH);
}

static void assert_only_link_left(void)
{
	ck_assert(!exists(TARGET));
	ck_assert(exists(PATH));
}

/* A crash in between leaves a link to nothing, which the next one replaces. */
/* In one look, which no second one mends. */
TEST(target_that_becomes_another_users_while_it_is_opened_is_none_of_theirs)
{
	SKIP_UNLESS_ROOT();
	forge_link();
	acted = false;
	between = target_becomes_anothers;
	steer_before("sys_openat", 3, act, NULL);
	ck_assert_int_eq(check_path(PATH, 0), INVALID);
	ck_assert(acted);
	steer_reset();
	unlink(TARGET);
	unlink(PATH);
}

TEST(target_that_is_a_lock_file_of_ours_is_its_own_lock)
{
	struct record record = forge_dead_record();

	begin(0);
	forge_file(TARGET, &record);
	if (getxattr(TARGET, RECORD_ATTRIBUTE, NULL, 0) < 0)
		SKIP("no user attributes here");
	ck_assert_int_eq(symlink(TARGET, PATH), 0);
	ck_assert_int_eq(check_path(PATH, 0), INVALID);
	ck_assert_int_eq(trylock_path(PATH), INVALID);
	unlink(TARGET);
	unlink(PATH);
}

/* The calls that look at the link and what it leads to. */
static const struct {
	const char *call;
	int nth;
} link_calls[] = {
	{ "sys_fstatat", 1 }, { "sys_openat", 2 }, { "sys_fstat", 1 }, { "sys_readlinkat", 1 },
	{ "sys_fstatat", 2 }, { "sys_openat", 3 }, { "sys_fstat", 2 },
};

TEST_EACH(failure_to_look_at_a_link_is_told, link_calls)
{
	struct lockfile_pid *lock = new_lock(PATH);
	int before = count_descriptors();
	pid_t pid = -1;

	forge_link();
	steer_result(link_calls[_i].call, link_calls[_i].nth, -EIO);
	ck_assert_int_eq(lockfile_pid_check(lock, &pid), -EIO);
	ck_assert_int_eq(pid, -1);
	ck_assert_int_eq(count_descriptors(), before);
	steer_reset();
	lockfile_pid_free(lock);
	unlink(TARGET);
	unlink(PATH);
}

TEST(target_goes_before_the_link_to_it)
{
	forge_link();
	ck_assert_int_eq(trylock_with("sys_rename", 1, assert_only_link_left), 0);
	assert_nothing_left();
}

static const int unlink_errors[] = { EPERM, EACCES, EROFS, EIO };

TEST_EACH(target_that_cannot_be_removed_keeps_the_link, unlink_errors)
{
	struct lockfile_pid *lock;

	forge_link();
	lock = new_lock(PATH);
	steer_result("sys_unlinkat", 1, -unlink_errors[_i]);
	ck_assert_int_eq(lockfile_pid_trylock(lock), -unlink_errors[_i]);
	ck_assert_str_eq(list_dir("."), "x.pid x.pid-123 ");
	lockfile_pid_free(lock);
	unlink(TARGET);
	unlink(PATH);
	steer_reset();
}

TEST(descriptors_do_not_leak)
{
	int before;

	forge_link();
	before = count_descriptors();
	ck_assert_int_eq(trylock_path(PATH), 0);
	make_file();
	ck_assert_int_eq(symlink(TARGET, PATH), 0);
	steer_result("sys_pread", EVERY, -EIO);
	ck_assert_int_eq(trylock_path(PATH), -EIO);
	steer_reset();
	steer_result("sys_readlinkat", EVERY, -EIO);
	ck_assert_int_eq(trylock_path(PATH), -EIO);
	steer_reset();
	ck_assert_int_eq(count_descriptors(), before);
	unlink(PATH);
	unlink(TARGET);
}
