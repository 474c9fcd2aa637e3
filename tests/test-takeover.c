/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Taking over what is stale, call by call.  How several do it at once is in
 * test-interleave.c, what stands at PATH.takeover in test-leftover.c.
 */
#include <config.h>

#include "common.h"
#include "forge.h"
#include "handle.h"
#include "lock.h"
#include "process.h"
#include "steer.h"
#include "sys.h"
#include "takeover.h"

#include <errno.h>
#include <fcntl.h>
#include <lockfile-pid.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define PATH     "x.pid"
#define TAKEOVER PATH ".takeover"
#define BUSY     LOCKFILE_PID_ERR_BUSY
#define INVALID  LOCKFILE_PID_ERR_INVALID_PID

/* The candidate has no name at first, or that of the takeover. */
static const int ways[] = { 0, EOPNOTSUPP, EISDIR, EINVAL, ENOSYS, EPERM, EACCES };

/* A handle, and the calls that a process makes once are made. */
static struct lockfile_pid *begin(int way)
{
	struct lockfile_pid *lock;
	struct owner self;

	steer_reset();
	ck_assert_int_eq(lockfile_pid_new(&lock, PATH), 0);
	process_self(&self);
	steer_reset();
	steer_no_tmpfile(way);
	return lock;
}

static void end(struct lockfile_pid *lock)
{
	steer_reset();
	lockfile_pid_free(lock);
	assert_nothing_left();
}

static void forge_stale(void)
{
	forge_foreign(PATH, dead_pid());
}

static void (*between)(void);
static int acted;

static void act(void *unused)
{
	(void)unused;
	acted++;
	between();
}

static void do_before(const char *call, int nth, void (*action)(void))
{
	acted = 0;
	between = action;
	steer_before(call, nth, act, NULL);
}

static void do_after(const char *call, int nth, void (*action)(void))
{
	acted = 0;
	between = action;
	steer_after(call, nth, act, NULL);
}

/* What goes well. */

TEST_EACH(stale_file_is_replaced, ways)
{
	struct lockfile_pid *lock = begin(ways[_i]);

	forge_stale();
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	assert_content(PATH, "%d\n", (int)getpid());
	ck_assert_str_eq(list_dir("."), PATH " ");
	ck_assert_int_eq(lockfile_pid_verify(lock), 0);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	end(lock);
}

TEST_EACH(free_path_is_taken, ways)
{
	struct lockfile_pid *lock = begin(ways[_i]);

	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	assert_content(PATH, "%d\n", (int)getpid());
	ck_assert_str_eq(list_dir("."), PATH " ");
	ck_assert_int_eq(lockfile_pid_verify(lock), 0);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	end(lock);
}

static void assert_path_is_there(void)
{
	ck_assert(exists(PATH));
}

TEST_EACH(stale_file_is_replaced_in_one_step, ways)
{
	struct lockfile_pid *lock = begin(ways[_i]);

	forge_stale();
	do_before(ANY_CALL, EVERY, assert_path_is_there);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_gt(acted, 0);
	end(lock);
}

static void assert_locked(const char *name)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	ck_assert_int_eq(sys_is_write_locked(fd), 1);
	close(fd);
}

static void assert_candidate_is_locked(void)
{
	assert_locked(TAKEOVER);
}

TEST(candidate_is_locked_as_long_as_it_has_the_takeover_name)
{
	struct lockfile_pid *lock = begin(0);

	forge_stale();
	do_before(ANY_CALL, EVERY, assert_candidate_is_locked);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	end(lock);
}

static void assert_path_is_locked(void)
{
	assert_locked(PATH);
}

TEST_EACH(lock_file_is_locked_whenever_it_can_be_seen, ways)
{
	struct lockfile_pid *lock = begin(ways[_i]);

	do_before(ANY_CALL, EVERY, assert_path_is_locked);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	end(lock);
}

/* Modes. */

static mode_t mode_of(const char *name)
{
	struct stat st;

	ck_assert_int_eq(lstat(name, &st), 0);
	return st.st_mode & 07777;
}

static const struct {
	mode_t umask;
	unsigned int mode;
	mode_t at_work, at_last;
} modes[] = {
	{ 022, 0644, 0600, 0644 }, { 022, 0666, 0600, 0644 }, { 022, 0600, 0600, 0600 },
	{ 002, 0664, 0660, 0664 }, { 002, 0666, 0660, 0664 }, { 007, 0660, 0660, 0660 },
	{ 0, 0777, 0660, 0777 },   { 077, 0666, 0600, 0600 }, { 027, 0646, 0600, 0640 },
	{ 0, 0602, 0600, 0602 },
};

static mode_t mode_at_work;

static void note_mode(void)
{
	mode_at_work = mode_of(TAKEOVER);
}

/* Before the second look at PATH. */
static void check_modes(int way, int row, bool stale)
{
	struct lockfile_pid *lock = begin(way);
	mode_t before = umask(modes[row].umask);

	ck_assert_int_eq(lockfile_pid_set_mode(lock, modes[row].mode), 0);
	mode_at_work = 0;
	if (stale) {
		forge_stale();
		do_before("sys_pread", way ? 3 : 2, note_mode);
	}
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	umask(before);
	if (stale)
		ck_assert_uint_eq(mode_at_work, modes[row].at_work);
	ck_assert_uint_eq(mode_of(PATH), modes[row].at_last);
	end(lock);
}

TEST_EACH(mode_is_strict_at_work_and_right_at_last, modes)
{
	for (int i = 0; i < 2; i++) {
		check_modes(ways[i], _i, false);
		check_modes(ways[i], _i, true);
	}
}

/* Whoever can read it can lock it for reading, and keep others from clearing it. */
static mode_t mode_at_rename;

static void note_mode_at_rename(void)
{
	mode_at_rename = mode_of(TAKEOVER);
}

TEST_EACH(mode_is_strict_until_it_is_at_the_path, ways)
{
	static const char *const renames[] = { "sys_rename", "sys_rename_noreplace" };

	for (int stale = 0; stale < 2; stale++) {
		struct lockfile_pid *lock = begin(ways[_i]);

		mode_at_rename = 0;
		if (stale)
			forge_stale();
		do_before(renames[!stale], 1, note_mode_at_rename);
		ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
		/* a free path needs no rename where files can be made without a name */
		if (stale || ways[_i])
			ck_assert_uint_eq(mode_at_rename, 0600);
		ck_assert_uint_eq(mode_of(PATH), 0644);
		end(lock);
	}
}

/* A file system that has one mode for all, a security module, a filter of system calls. */
static const int refusals[] = { EPERM, EACCES, ENODATA, ENOSYS, EOPNOTSUPP, EINVAL };

static void assert_closed_to_others(void)
{
	if (exists(TAKEOVER))
		ck_assert_uint_eq(mode_of(TAKEOVER) & 077, 0);
}

TEST_EACH(candidate_is_closed_to_others_where_its_mode_cannot_be_changed, refusals)
{
	for (int way = 0; way < 2; way++) {
		struct lockfile_pid *lock = begin(ways[way]);

		forge_stale();
		steer_result("sys_fchmod", EVERY, -refusals[_i]);
		do_before(ANY_CALL, EVERY, assert_closed_to_others);
		ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
		/* it is held all the same, by a file with the mode that it was made with */
		ck_assert_uint_eq(mode_of(PATH), 0600);
		ck_assert_int_eq(lockfile_pid_verify(lock), 0);
		ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
		/* and so is a new one, with its own mode if it was made without a name */
		ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
		ck_assert_uint_eq(mode_of(PATH), way ? 0600 : 0644);
		end(lock);
	}
}

/* The right is had by then. */
TEST_EACH(failing_change_of_mode_leaves_nothing, ways)
{
	struct lockfile_pid *lock = begin(ways[_i]);
	mode_t before = umask(002);
	int descriptors = count_descriptors();

	ck_assert_int_eq(lockfile_pid_set_mode(lock, 0664), 0);
	for (int nth = 1; nth <= 3; nth++) {
		steer_reset();
		steer_no_tmpfile(ways[_i]);
		forge_stale();
		steer_result("sys_fchmod", nth, -EIO);
		if (lockfile_pid_trylock(lock) == 0)
			ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
		else
			ck_assert_int_eq(unlink(PATH), 0);
		ck_assert_int_eq(count_descriptors(), descriptors);
		assert_nothing_left();
	}
	umask(before);
	end(lock);
}

static void remove_path(void)
{
	ck_assert_int_eq(unlink(PATH), 0);
}

TEST(mode_is_right_where_the_stale_file_vanishes_meanwhile)
{
	struct lockfile_pid *lock = begin(0);

	forge_stale();
	do_before("sys_link_fd", 2, remove_path);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(acted, 1);
	ck_assert_uint_eq(mode_of(PATH), 0644);
	end(lock);
}

TEST(mode_is_right_where_another_gives_up_a_claim_meanwhile)
{
	struct lockfile_pid *lock = begin(0);

	forge_stale();
	write_file(TAKEOVER, "");
	do_after("sys_unlinkat", 1, remove_path); /* of the leftover */
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(acted, 1);
	ck_assert_uint_eq(mode_of(PATH), 0644);
	end(lock);
}

/* PATH changes after the verdict that it is stale. */

static struct holder other;

static void be_locked_by_another(void)
{
	unlink(PATH); /* its holder does that, and dies */
	ck_assert_int_eq(holder_do(&other, "trylock"), 0);
}

/* The last look at PATH: after two verdicts, and after the name of the candidate. */
static const struct {
	int way, nth;
} last_looks[] = { { 0, 3 }, { EOPNOTSUPP, 2 } };

TEST_EACH(path_that_leads_elsewhere_after_the_verdict_is_kept, last_looks)
{
	struct lockfile_pid *lock = begin(last_looks[_i].way);

	other = holder_start(PATH);
	forge_stale();
	do_before("sys_fstatat", last_looks[_i].nth, be_locked_by_another);
	ck_assert_int_eq(lockfile_pid_trylock(lock), BUSY);
	ck_assert_int_eq(acted, 1);
	ck_assert_int_eq(holder_do(&other, "verify"), 0);
	ck_assert_str_eq(list_dir("."), PATH " ");
	holder_end(&other);
	end(lock);
}

static struct stat judged;

/* With the inode number of what was judged, if it is to be had. */
static void be_locked_by_another_in_the_same_inode(void)
{
	struct stat st = { .st_ino = 0 };
	char name[16];

	remove_path();
	for (int i = 0; i < 64 && st.st_ino != judged.st_ino; i++) {
		snprintf(name, sizeof(name), "%d", i);
		forge_foreign(name, 1);
		ck_assert_int_eq(stat(name, &st), 0);
	}
	ck_assert_int_eq(rename(name, PATH), 0);
	for (int i = 0; i < 64; i++) {
		snprintf(name, sizeof(name), "%d", i);
		unlink(name);
	}
}

TEST_EACH(inode_number_of_what_was_judged_is_not_used_again, last_looks)
{
	struct lockfile_pid *lock = begin(last_looks[_i].way);

	forge_stale();
	ck_assert_int_eq(stat(PATH, &judged), 0);
	do_before("sys_fstatat", last_looks[_i].nth, be_locked_by_another_in_the_same_inode);
	ck_assert_int_eq(lockfile_pid_trylock(lock), BUSY);
	ck_assert_int_eq(acted, 1);
	assert_content(PATH, "1\n");
	remove_path();
	end(lock);
}

/* Between the first verdict and the claim another takes it over and lets go again. */
static void become_alive(void)
{
	forge_foreign("new", 1);
	ck_assert_int_eq(rename("new", PATH), 0);
}

static const struct {
	const char *call;
	int nth, way;
} claims[] = {
	{ "sys_link_fd", 2, 0 },
	{ "sys_fstatat", 2, 0 },
	{ "sys_open_path", 2, 0 },
	{ "sys_fstatat", 1, EOPNOTSUPP },
	{ "sys_open_path", 2, EOPNOTSUPP },
};

TEST_EACH(path_is_judged_again_with_the_right_to_replace, claims)
{
	struct lockfile_pid *lock = begin(claims[_i].way);

	forge_stale();
	do_before(claims[_i].call, claims[_i].nth, become_alive);
	ck_assert_int_eq(lockfile_pid_trylock(lock), BUSY);
	ck_assert_int_eq(acted, 1);
	assert_content(PATH, "1\n");
	ck_assert_str_eq(list_dir("."), PATH " ");
	remove_path();
	end(lock);
}

/* Whoever waits is to know for whom. */
TEST_EACH(holder_that_came_before_the_right_is_told, claims)
{
	struct lockfile_pid *lock = begin(claims[_i].way);
	struct awaited holder;

	forge_stale();
	do_before(claims[_i].call, claims[_i].nth, become_alive);
	ck_assert_int_eq(lock_acquire(lock, &holder), BUSY);
	ck_assert_int_eq(acted, 1);
	ck_assert_int_eq(holder.pid, 1);
	remove_path();
	end(lock);
}

static void become_directory(void)
{
	remove_path();
	ck_assert_int_eq(mkdir(PATH, 0700), 0);
}

static void become_data(void)
{
	char data[101] = "";

	memset(data, 'x', sizeof(data) - 1);
	write_file(PATH, data);
}

static void (*const aliens[])(void) = { become_directory, become_data };

TEST_EACH(path_that_became_no_lock_file_is_left_alone, claims)
{
	for (size_t i = 0; i < sizeof(aliens) / sizeof(aliens[0]); i++) {
		struct lockfile_pid *lock = begin(claims[_i].way);

		forge_stale();
		do_before(claims[_i].call, claims[_i].nth, aliens[i]);
		ck_assert_int_eq(lockfile_pid_trylock(lock), INVALID);
		ck_assert_str_eq(list_dir("."), PATH " ");
		ck_assert_int_eq(remove(PATH), 0);
		end(lock);
	}
}

static void free_then_locked(void)
{
	if (acted == 1)
		remove_path();
	else
		be_locked_by_another();
}

/* Free when it was looked at, and not any more when the name is given. */
TEST(path_that_is_free_for_a_moment_is_kept)
{
	struct lockfile_pid *lock = begin(0);

	other = holder_start(PATH);
	forge_stale();
	do_before("sys_open_path", 1, free_then_locked);
	steer_before("sys_link_fd", 2, act, NULL);
	ck_assert_int_eq(lockfile_pid_trylock(lock), BUSY);
	ck_assert_int_eq(acted, 2);
	ck_assert_int_eq(holder_do(&other, "verify"), 0);
	holder_end(&other);
	end(lock);
}

TEST_EACH(failing_last_look_is_an_error, last_looks)
{
	struct lockfile_pid *lock = begin(last_looks[_i].way);
	pid_t dead = dead_pid();

	forge_foreign(PATH, dead);
	steer_result("sys_fstatat", last_looks[_i].nth, -EIO);
	ck_assert_int_eq(lockfile_pid_trylock(lock), -EIO);
	assert_content(PATH, "%d\n", (int)dead);
	ck_assert_str_eq(list_dir("."), PATH " ");
	remove_path();
	end(lock);
}

/* A rename with an unclear answer, and then nobody knows where the file is. */
TEST_EACH(failing_look_after_an_unclear_rename_is_an_error, last_looks)
{
	struct lockfile_pid *lock = begin(last_looks[_i].way);

	forge_stale();
	steer_result("sys_rename", 1, -ENOENT);
	steer_result("sys_fstatat", last_looks[_i].nth + 1, -EIO);
	ck_assert_int_eq(lockfile_pid_trylock(lock), -EIO);
	ck_assert_str_eq(list_dir("."), PATH " ");
	remove_path();
	end(lock);
}

/* The rename was done: a failing look afterwards must not give the lock away. */
TEST_EACH(failing_look_after_the_rename_does_not_matter, last_looks)
{
	struct lockfile_pid *lock = begin(last_looks[_i].way);

	forge_stale();
	steer_result("sys_fstatat", last_looks[_i].nth + 1, -EIO);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(lockfile_pid_verify(lock), 0);
	end(lock);
}

/* Without a way to give a nameless file a name. */
static const int link_errors[] = { ENOENT, EOPNOTSUPP, EXDEV };

TEST_EACH(candidate_that_cannot_be_linked_is_made_by_name, link_errors)
{
	struct lockfile_pid *lock = begin(0);
	int before = count_descriptors();

	for (int stale = 0; stale < 2; stale++) {
		if (stale)
			forge_stale();
		steer_result("sys_link_fd", EVERY, -link_errors[_i]);
		steer_result("sys_link_proc", EVERY, -link_errors[_i]);
		ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
		assert_content(PATH, "%d\n", (int)getpid());
		ck_assert_int_eq(count_descriptors(), before + 2);
		ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
		ck_assert_int_eq(count_descriptors(), before);
	}
	end(lock);
}

/* Giving up the right. */

static void lose_the_name(void)
{
	ck_assert_int_eq(unlink(TAKEOVER), 0);
	write_file(TAKEOVER, "theirs\n");
	become_alive();
}

TEST_EACH(withdrawal_removes_nobody_elses_name, last_looks)
{
	struct lockfile_pid *lock = begin(last_looks[_i].way);

	forge_stale();
	do_before("sys_fstatat", last_looks[_i].nth, lose_the_name);
	steer_result("sys_rename", EVERY, -EIO);
	ck_assert_int_lt(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(acted, 1);
	assert_content(TAKEOVER, "theirs\n");
	unlink(TAKEOVER);
	remove_path();
	end(lock);
}

TEST_EACH(withdrawal_leaves_nothing, ways)
{
	struct lockfile_pid *lock = begin(ways[_i]);
	int before = count_descriptors();

	forge_foreign(PATH, 1);
	ck_assert_int_eq(takeover_claim(lock, &lock->file, AT_FDCWD), 0);
	ck_assert_str_eq(list_dir("."), PATH " " TAKEOVER " ");
	takeover_withdraw(lock, &lock->file, AT_FDCWD);
	ck_assert_str_eq(list_dir("."), PATH " ");
	ck_assert_int_eq(count_descriptors(), before);
	remove_path();
	end(lock);
}

static void assert_takeover_is_locked(void)
{
	int fd = open(TAKEOVER, O_RDONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(sys_is_write_locked(fd), 1);
	close(fd);
}

TEST_EACH(withdrawal_removes_the_name_before_it_lets_go, ways)
{
	struct lockfile_pid *lock = begin(ways[_i]);

	ck_assert_int_eq(takeover_claim(lock, &lock->file, AT_FDCWD), 0);
	do_before("sys_unlinkat", 1, assert_takeover_is_locked);
	takeover_withdraw(lock, &lock->file, AT_FDCWD);
	ck_assert_int_eq(acted, 1);
	end(lock);
}

/* A rename that fails. */

static const int errors[] = { EIO, ENOSPC, EDQUOT, EACCES, EROFS, EPERM, ENOMEM };

TEST_EACH(failing_rename_leaves_things_as_they_were, errors)
{
	for (int i = 0; i < 2; i++) {
		struct lockfile_pid *lock = begin(ways[i]);
		pid_t dead = dead_pid();

		forge_foreign(PATH, dead);
		steer_result("sys_rename", 1, -errors[_i]);
		ck_assert_int_eq(lockfile_pid_trylock(lock), -errors[_i]);
		assert_content(PATH, "%d\n", (int)dead);
		ck_assert_str_eq(list_dir("."), PATH " ");
		remove_path();
		end(lock);
	}
}

static void try_as_nobody(void *way)
{
	struct lockfile_pid *lock = begin(*(int *)way);

	if (setresuid(65534, 65534, 65534) < 0)
		_exit(2);
	ck_assert_int_eq(lockfile_pid_trylock(lock), -EPERM);
	lockfile_pid_free(lock);
}

TEST(stale_file_of_another_user_in_a_sticky_directory_is_not_ours_to_replace)
{
	SKIP_UNLESS_ROOT();
	forge_stale();
	ck_assert_int_eq(chmod(".", 01777), 0);
	for (int i = 0; i < 2; i++) {
		int way = ways[i];

		ck_assert_int_eq(in_child(try_as_nobody, &way), 0);
		ck_assert_str_eq(list_dir("."), PATH " ");
	}
	remove_path();
}

static void give_to_a_stranger(void)
{
	ck_assert_int_eq(chown(PATH, 65533, 65533), 0);
}

/* Its owner may hang whoever touches it (lib/object.c). */
TEST_EACH(stale_file_of_a_stranger_in_a_sticky_directory_is_not_for_root_to_replace, ways)
{
	static const char *const calls[] = { "sys_rename", "sys_unlinkat", "sys_fchmod" };
	struct lockfile_pid *lock;
	ino_t ino;
	struct stat st;

	SKIP_UNLESS_ROOT();
	lock = begin(ways[_i]);
	forge_stale();
	ck_assert_int_eq(stat(PATH, &st), 0);
	ino = st.st_ino;
	give_to_a_stranger();
	ck_assert_int_eq(chmod(".", 01777), 0);
	ck_assert_int_eq(lockfile_pid_trylock(lock), -EPERM);
	ck_assert_int_eq(steer_count(calls[0]), 0);
	ck_assert_int_eq(stat(PATH, &st), 0);
	ck_assert_uint_eq(st.st_ino, ino);
	ck_assert_str_eq(list_dir("."), PATH " ");
	/* that of the directory's owner is, and without the sticky bit all are */
	ck_assert_int_eq(chown(".", 65533, 65533), 0);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	ck_assert_int_eq(chown(".", 0, 0), 0);
	ck_assert_int_eq(chmod(".", 0777), 0);
	forge_stale();
	give_to_a_stranger();
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(chmod(".", 0755), 0);
	end(lock);
}

/* Of the last look at the directory, with the right to replace. */
TEST(failure_to_tell_whose_file_it_is_is_an_error)
{
	struct lockfile_pid *lock;

	SKIP_UNLESS_ROOT();
	lock = begin(0);
	forge_stale();
	give_to_a_stranger();
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	forge_stale();
	give_to_a_stranger();
	/* two links are looked at, and twice whether the content may be read */
	steer_result("sys_fstatat", 5, -EIO);
	ck_assert_int_eq(lockfile_pid_trylock(lock), -EIO);
	ck_assert_str_eq(list_dir("."), PATH " ");
	remove_path();
	end(lock);
}

/* Over a network: it was done, but the answer is that to the second request. */
static void rename_it(void)
{
	ck_assert_int_eq(rename(TAKEOVER, PATH), 0);
}

TEST_EACH(rename_that_claims_to_have_failed_has_succeeded, ways)
{
	struct lockfile_pid *lock = begin(ways[_i]);

	forge_stale();
	do_before("sys_rename", 1, rename_it);
	steer_result("sys_rename", 1, -ENOENT);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(steer_count("sys_rename"), 1);
	ck_assert_int_eq(lockfile_pid_verify(lock), 0);
	end(lock);
}

/* ETXTBSY: another host has the file that is replaced in use for a moment. */
TEST_EACH(rename_that_is_held_up_is_tried_again, ways)
{
	struct lockfile_pid *lock = begin(ways[_i]);

	forge_stale();
	steer_result("sys_rename", 1, -ETXTBSY);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(steer_count("sys_rename"), 2);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	forge_stale();
	steer_result("sys_rename", EVERY, -ETXTBSY);
	ck_assert_int_eq(lockfile_pid_trylock(lock), BUSY);
	ck_assert_str_eq(list_dir("."), PATH " ");
	remove_path();
	end(lock);
}

static const struct {
	const char *call;
	int nth;
} last_judgements[] = { { "sys_is_write_locked", 2 }, { "sys_pread", 2 } };

/* The second one, with the right to replace. */
TEST_EACH(failing_judgement_with_the_right_is_an_error, last_judgements)
{
	struct lockfile_pid *lock = begin(0);
	int before = count_descriptors();

	forge_stale();
	steer_result(last_judgements[_i].call, last_judgements[_i].nth, -EIO);
	ck_assert_int_eq(lockfile_pid_trylock(lock), -EIO);
	ck_assert_str_eq(list_dir("."), PATH " ");
	ck_assert_int_eq(count_descriptors(), before);
	steer_reset();
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	end(lock);
}

TEST(stale_file_is_not_replaced_without_the_spare)
{
	struct lockfile_pid *lock = begin(0);

	forge_stale();
	ck_assert_int_eq(lockfile_pid_set_inheritable(lock, 1), 0);
	steer_result("sys_pwrite", EVERY, -ENOSPC);
	do_before("sys_link_fd", EVERY, assert_path_is_there);
	ck_assert_int_eq(lockfile_pid_trylock(lock), -ENOSPC);
	ck_assert_int_eq(acted, 0);
	ck_assert_str_eq(list_dir("."), PATH " ");
	steer_reset();
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	end(lock);
}

static const struct lockfile_pid *linking;

static void link_it(void)
{
	char self[32];

	snprintf(self, sizeof(self), "/proc/self/fd/%d", linking->file.descriptor.fd);
	ck_assert_int_eq(linkat(AT_FDCWD, self, AT_FDCWD, PATH, AT_SYMLINK_FOLLOW), 0);
}

TEST(link_that_claims_to_have_failed_has_succeeded)
{
	struct lockfile_pid *lock = begin(0);

	linking = lock;
	do_before("sys_link_fd", 1, link_it);
	steer_result("sys_link_fd", 1, -EEXIST);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(acted, 1);
	ck_assert_int_eq(steer_count("sys_link_fd"), 1);
	ck_assert_int_eq(lockfile_pid_verify(lock), 0);
	ck_assert_str_eq(list_dir("."), PATH " ");
	end(lock);
}

static void be_removed(void)
{
	remove_path();
}

static void be_replaced(void)
{
	remove_path();
	forge_foreign(PATH, 1);
}

static const struct {
	void (*action)(void);
	int result;
} after_link[] = { { be_removed, 0 }, { be_replaced, BUSY } };

/* A thread with descriptors of its own once linked a stranger's file by way of /proc/self. */
TEST_EACH(link_is_compared_with_what_is_at_the_path, after_link)
{
	struct lockfile_pid *lock = begin(0);
	int before = count_descriptors();

	do_after("sys_link_fd", 1, after_link[_i].action);
	ck_assert_int_eq(lockfile_pid_trylock(lock), after_link[_i].result);
	ck_assert_int_eq(acted, 1);
	if (after_link[_i].result == 0) {
		assert_content(PATH, "%d\n", (int)getpid());
		ck_assert_int_eq(lockfile_pid_verify(lock), 0);
	} else {
		assert_content(PATH, "1\n");
		ck_assert_int_eq(count_descriptors(), before);
		remove_path();
	}
	end(lock);
}

static void be_moved(void)
{
	ck_assert_int_eq(rename(PATH, "moved.pid"), 0);
}

/* Nobody holds it where it was moved to. */
static void check_moved_is_abandoned(void)
{
	struct lockfile_pid *lock;
	pid_t pid;

	ck_assert_int_eq(lockfile_pid_new(&lock, "moved.pid"), 0);
	ck_assert_int_eq(lockfile_pid_check(lock, &pid), LOCKFILE_PID_ERR_PROCESS_DEAD);
	lockfile_pid_free(lock);
	ck_assert_int_eq(unlink("moved.pid"), 0);
}

TEST(file_that_was_moved_after_the_link_is_abandoned)
{
	struct lockfile_pid *lock = begin(0);

	do_after("sys_link_fd", 1, be_moved);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(acted, 1);
	check_moved_is_abandoned();
	end(lock);
}

static void move_takeover_file(void)
{
	ck_assert_int_eq(rename(PATH ".takeover", "moved.pid"), 0);
}

/* One that another attempt left: at PATH.takeover, and at a path that has become free. */
TEST(older_file_that_was_moved_from_the_takeover_name_is_abandoned)
{
	struct lockfile_pid *lock = begin(0);
	int before = count_descriptors();

	forge_stale();
	do_after("sys_link_fd", 2, move_takeover_file);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(acted, 1);
	ck_assert_int_eq(lockfile_pid_verify(lock), 0);
	ck_assert_int_eq(count_descriptors(), before + 2);
	check_moved_is_abandoned();
	end(lock);
}

static int moved;

static void move_path(void *unused)
{
	(void)unused;
	moved++;
	be_moved();
}

/* The third link is that of an older file to a path that was stale before. */
static struct lockfile_pid *begin_with_an_older_file(void)
{
	struct lockfile_pid *lock = begin(0);

	forge_stale();
	write_file(TAKEOVER, "");
	do_after("sys_unlinkat", 1, remove_path); /* of the leftover */
	return lock;
}

TEST(older_file_that_was_moved_after_the_link_is_abandoned)
{
	struct lockfile_pid *lock = begin_with_an_older_file();
	int before = count_descriptors();

	steer_after("sys_link_fd", 3, move_path, NULL);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(acted, 1);
	ck_assert_int_eq(moved, 1);
	ck_assert_int_eq(lockfile_pid_verify(lock), 0);
	ck_assert_int_eq(count_descriptors(), before + 2);
	check_moved_is_abandoned();
	end(lock);
}

TEST(older_file_whose_mode_cannot_be_set_is_made_again)
{
	struct lockfile_pid *lock = begin_with_an_older_file();
	int before = count_descriptors();

	/* at first it was made strict */
	steer_result("sys_fchmod", 2, -EIO);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(acted, 1);
	ck_assert_int_eq(steer_count("sys_fchmod"), 2);
	ck_assert_uint_eq(mode_of(PATH), 0644);
	ck_assert_int_eq(count_descriptors(), before + 2);
	end(lock);
}

static const struct lockfile_pid *withdrawing;
static int own_fd;

/* The number of the descriptor is that of the program's own file by now. */
static void move_takeover_file_and_give_number_away(void)
{
	move_takeover_file();
	ck_assert_int_eq(close(withdrawing->file.descriptor.fd), 0);
	own_fd = open("own", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	ck_assert_int_eq(own_fd, withdrawing->file.descriptor.fd);
}

TEST(withdrawal_touches_no_file_of_the_programs_own)
{
	struct lockfile_pid *lock = begin(0);
	char packed[RECORD_SIZE];

	forge_stale();
	withdrawing = lock;
	do_before("sys_rename", 1, move_takeover_file_and_give_number_away);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(acted, 1);
	ck_assert_int_eq(fcntl(own_fd, F_GETFD), FD_CLOEXEC);
	ck_assert_int_lt(fgetxattr(own_fd, RECORD_ATTRIBUTE, packed, sizeof(packed)), 0);
	close(own_fd);
	ck_assert_int_eq(unlink("own"), 0);
	ck_assert_int_eq(unlink("moved.pid"), 0);
	end(lock);
}

TEST(file_that_was_moved_before_the_withdrawal_is_abandoned)
{
	struct lockfile_pid *lock = begin(0);

	forge_foreign(PATH, dead_pid());
	do_before("sys_rename", 1, move_takeover_file);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(acted, 1);
	check_moved_is_abandoned();
	end(lock);
}

TEST(failing_look_after_a_link_does_not_matter)
{
	struct lockfile_pid *lock = begin(0);

	steer_result("sys_fstatat", 1, -EIO);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(steer_count("sys_link_fd"), 1);
	ck_assert_int_eq(lockfile_pid_verify(lock), 0);
	end(lock);
}

TEST_EACH(what_is_removed_by_hand_at_once_is_not_had, ways)
{
	struct lockfile_pid *lock = begin(ways[_i]);

	forge_stale();
	do_after("sys_rename", 1, remove_path);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(acted, 1);
	ck_assert_int_eq(lockfile_pid_verify(lock), 0);
	end(lock);
}
