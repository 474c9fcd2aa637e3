/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The holder of a lock that children inherit: what they keep of it, how it is
 * released, and how it is let go of.
 */
#include <config.h>

#include "family.h"
#include "forge.h"
#include "handle.h"
#include "steer.h"
#include "sys.h"
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#define PATH     "x.pid"
#define TAKEOVER PATH ".takeover"
#define BUSY     LOCKFILE_PID_ERR_BUSY
#define DEAD     LOCKFILE_PID_ERR_PROCESS_DEAD
#define ROGUE    LOCKFILE_PID_ERR_ROGUE_DELETION

static const struct way {
	int no_tmpfile;
	bool no_attributes;
} ways[] = { { 0, false }, { EOPNOTSUPP, false }, { 0, true }, { EOPNOTSUPP, true } };
#define WAYS 4

static void begin(int way)
{
	family_start(PATH, ways[way].no_tmpfile, ways[way].no_attributes);
	ck_assert_int_eq(family_do(PARENT, lockfile_pid_trylock), 0);
}

static void end(void)
{
	family_end();
	remove(PATH);
	assert_nothing_left();
}

static void assert_busy(void)
{
	ck_assert_int_eq(family_do(STRANGER, family_check), BUSY);
	ck_assert_int_eq(family_do(STRANGER, lockfile_pid_trylock), BUSY);
}

static void assert_free(void)
{
	assert_nothing_left();
	ck_assert_int_eq(family_do(STRANGER, lockfile_pid_trylock), 0);
	ck_assert_int_eq(family_do(STRANGER, lockfile_pid_unlock), 0);
}

static void assert_stale(void)
{
	ck_assert_int_eq(family_do(STRANGER, family_check), DEAD);
	ck_assert_int_eq(family_do(STRANGER, lockfile_pid_trylock), 0);
	ck_assert_int_eq(family_do(STRANGER, lockfile_pid_unlock), 0);
	assert_nothing_left();
}

static struct record read_record(void)
{
	unsigned char packed[RECORD_SIZE];
	struct record record;

	if (getxattr(PATH, RECORD_ATTRIBUTE, packed, sizeof(packed)) < 0)
		SKIP("no user attributes here");
	ck_assert(record_unpack(packed, sizeof(packed), &record));
	return record;
}

/* However the lock was had, children keep it. */

static void at_once(void)
{
	ck_assert_int_eq(family_do(PARENT, lockfile_pid_trylock), 0);
}

static void in_place_of_a_stale_file(void)
{
	forge_foreign(PATH, dead_pid());
	at_once();
}

static void in_place_of_a_damaged_file(void)
{
	write_file(PATH, "?\n");
	at_once();
}

static int begin_and_poll(struct lockfile_pid *lock)
{
	struct pollfd ready = { .events = POLLIN };
	int r = lockfile_pid_wait_begin(lock);

	ready.fd = lockfile_pid_wait_fd(lock);
	while (r == BUSY && poll(&ready, 1, -1) == 1)
		r = lockfile_pid_wait_continue(lock);
	return r;
}

static void wait_by(int (*f)(struct lockfile_pid *))
{
	ck_assert_int_eq(family_do(STRANGER, lockfile_pid_trylock), 0);
	family_ask(PARENT, f);
	while (!exists(PATH ".queue"))
		poll(NULL, 0, 1);
	ck_assert_int_eq(family_do(STRANGER, lockfile_pid_unlock), 0);
	ck_assert_int_eq(family_hear(PARENT), 0);
}

static void after_a_wait(void)
{
	wait_by(lockfile_pid_lock);
}

static void in_an_event_loop(void)
{
	wait_by(begin_and_poll);
}

static void after_the_death_of_another(void)
{
	struct holder victim = holder_start(PATH);

	ck_assert_int_eq(holder_do(&victim, "trylock"), 0);
	family_ask(PARENT, lockfile_pid_lock);
	while (!exists(PATH ".queue"))
		poll(NULL, 0, 1);
	holder_kill(&victim);
	ck_assert_int_eq(family_hear(PARENT), 0);
}

static void (*const acquisitions[])(void) = {
	at_once,      in_place_of_a_stale_file, in_place_of_a_damaged_file,
	after_a_wait, in_an_event_loop,         after_the_death_of_another,
};

TEST_EACH(children_keep_the_lock_however_it_was_had, acquisitions)
{
	for (int way = 0; way < WAYS; way++) {
		family_start(PATH, ways[way].no_tmpfile, ways[way].no_attributes);
		acquisitions[_i]();
		family_fork(PARENT, CHILD);
		ck_assert_int_eq(family_do(CHILD, family_verify), ROGUE);
		family_kill(PARENT);
		assert_busy();
		ck_assert_int_eq(family_do(CHILD, lockfile_pid_adopt), 0);
		ck_assert_int_eq(family_do(CHILD, lockfile_pid_unlock), 0);
		assert_free();
		end();
	}
}

/* A second lock by the same handle has all that the first had. */
TEST_EACH(children_keep_a_lock_that_was_had_again, ways)
{
	begin(_i);
	family_fork(PARENT, SIBLING);
	ck_assert_int_eq(family_do(PARENT, lockfile_pid_unlock), 0);
	ck_assert_int_eq(family_do(PARENT, lockfile_pid_trylock), 0);
	family_fork(PARENT, CHILD);
	ck_assert_int_eq(family_do(SIBLING, lockfile_pid_adopt), ROGUE);
	family_kill(PARENT);
	assert_busy();
	ck_assert_int_eq(family_do(CHILD, lockfile_pid_adopt), 0);
	end();
}

/* The lock of a dead parent ends with the last copy. */

static void free_of(enum relative who)
{
	ck_assert_int_eq(family_do(who, family_free), 0);
}

static void close_of(enum relative who)
{
	ck_assert_int_eq(family_do(who, family_close_underneath), 0);
}

static void (*const losses[])(enum relative) = {
	family_kill,
	family_leave,
	free_of,
	close_of,
};

TEST_EACH(the_lock_of_a_dead_parent_ends_with_the_last_copy, losses)
{
	for (int way = 0; way < WAYS; way++) {
		begin(way);
		family_fork(PARENT, CHILD);
		family_fork(CHILD, GRANDCHILD);
		losses[_i](CHILD);
		family_kill(PARENT);
		assert_busy();
		losses[_i](GRANDCHILD);
		assert_stale();
		end();
	}
}

/* Who contends itself does not keep what it has inherited. */
TEST_EACH(a_child_that_tries_to_lock_gives_up_its_copy, ways)
{
	char before[256], after[256];
	ssize_t size;

	begin(_i);
	family_fork(PARENT, CHILD);
	size = getxattr(PATH, RECORD_ATTRIBUTE, before, sizeof(before));
	ck_assert_int_eq(family_do(CHILD, lockfile_pid_trylock), BUSY);
	ck_assert_int_eq(family_do(CHILD, lockfile_pid_adopt), ROGUE);
	/* nothing says that the parent has let go */
	ck_assert_int_eq(getxattr(PATH, RECORD_ATTRIBUTE, after, sizeof(after)), size);
	ck_assert(size < 0 || memcmp(before, after, (size_t)size) == 0);
	family_kill(PARENT);
	assert_stale();
	end();
}

/* Release: with the right to replace, and by what was made for it before. */

static int unlock_and_look(struct lockfile_pid *lock)
{
	int r = lockfile_pid_unlock(lock);

	return r == 0 ? steer_count("sys_unlinkat") : r;
}

TEST_EACH(the_file_is_removed_with_the_right_to_replace, ways)
{
	begin(_i);
	ck_assert_int_eq(family_do_until(PARENT, unlock_and_look, "sys_unlinkat", 1),
	                 FAMILY_STOPPED);
	ck_assert_str_eq(list_dir("."), PATH " " TAKEOVER " ");
	assert_busy();
	ck_assert_int_eq(family_go_on(PARENT), 2);
	assert_free();
	end();
}

static int hold_right(void)
{
	write_file(TAKEOVER, "");
	return forge_lock(TAKEOVER);
}

TEST_EACH(the_lock_is_kept_while_another_keeps_the_right, ways)
{
	int right;

	begin(_i);
	right = hold_right();
	ck_assert_int_eq(family_do(PARENT, lockfile_pid_unlock), -EAGAIN);
	ck_assert_str_eq(list_dir("."), PATH " " TAKEOVER " ");
	ck_assert_int_eq(family_do(PARENT, family_verify), 0);
	close(right);
	ck_assert_int_eq(family_do(PARENT, lockfile_pid_unlock), 0);
	assert_free();
	end();
}

/* It looks at PATH before it has the right, too: another's is not worth the wait. */
static int unlock_without_claim(struct lockfile_pid *lock)
{
	int r = lockfile_pid_unlock(lock);

	return steer_count("sys_link_fd") == 0 ? r : 0;
}

TEST(a_lock_that_is_lost_is_told_without_the_right)
{
	int right;

	begin(0);
	ck_assert_int_eq(unlink(PATH), 0);
	right = hold_right();
	ck_assert_int_eq(family_do(PARENT, unlock_without_claim), ROGUE);
	close(right);
	unlink(TAKEOVER);
	assert_free();
	end();
}

static void adopt_by(enum relative who)
{
	ck_assert_int_eq(family_do(who, lockfile_pid_adopt), 0);
}

static const struct {
	const char *call;
	int (*act)(struct lockfile_pid *);
	int result;
} late[] = {
	{ "sys_link_fd", lockfile_pid_unlock, ROGUE },
	{ "sys_link_fd", family_free, 0 },
	{ "sys_openat", lockfile_pid_unlock, ROGUE },
	{ "sys_openat", family_free, 0 },
};

/* The right is had when the child has adopted: the file is the child's. */
TEST_EACH(what_a_child_has_just_adopted_is_kept, late)
{
	int way = _i < 2 ? 0 : 1;

	begin(way);
	family_fork(PARENT, CHILD);
	/* without O_TMPFILE: the directory, a vain attempt, and then by name */
	ck_assert_int_eq(family_do_until(PARENT, late[_i].act, late[_i].call, way == 0 ? 1 : 2),
	                 FAMILY_STOPPED);
	adopt_by(CHILD);
	ck_assert_int_eq(family_go_on(PARENT), late[_i].result);
	assert_content(PATH, "%d\n", (int)family_pid(CHILD));
	ck_assert_str_eq(list_dir("."), PATH " ");
	ck_assert_int_eq(family_do(CHILD, family_verify), 0);
	ck_assert(!read_record().let_go);
	end();
}

/* The spare. */

/* Whatever is made from now on meets a full disk. */
static void fill_disk(void)
{
	for (int nth = 2; nth < 10; nth++)
		steer_result("sys_openat", nth, -ENOSPC);
	steer_result("sys_pwrite", EVERY, -ENOSPC);
}

static int unlock_on_full_disk(struct lockfile_pid *lock)
{
	fill_disk();
	return lockfile_pid_unlock(lock);
}

TEST_EACH(a_full_disk_does_not_keep_the_holder_from_unlocking, acquisitions)
{
	family_start(PATH, 0, false);
	acquisitions[_i]();
	ck_assert_int_eq(family_do(PARENT, unlock_on_full_disk), 0);
	assert_free();
	end();
}

TEST(a_full_disk_does_not_keep_who_adopted_from_unlocking)
{
	begin(0);
	family_fork(PARENT, CHILD);
	ck_assert_int_eq(family_do(CHILD, family_set_inheritable), 0);
	adopt_by(CHILD);
	ck_assert_int_eq(family_do(CHILD, unlock_on_full_disk), 0);
	assert_free();
	end();
}

TEST(the_spare_is_kept_while_another_keeps_the_right)
{
	int right;

	begin(0);
	right = hold_right();
	ck_assert_int_eq(family_do(PARENT, lockfile_pid_unlock), -EAGAIN);
	close(right);
	unlink(TAKEOVER);
	ck_assert_int_eq(family_do(PARENT, unlock_on_full_disk), 0);
	assert_free();
	end();
}

/* There is no file without a name then, and none can be in store. */
TEST(without_o_tmpfile_the_holder_on_a_full_disk_stays_one)
{
	begin(1);
	ck_assert_int_eq(family_do(PARENT, unlock_on_full_disk), -ENOSPC);
	ck_assert_str_eq(list_dir("."), PATH " ");
	ck_assert_int_eq(family_do(PARENT, family_verify), 0);
	ck_assert_int_eq(family_do(PARENT, lockfile_pid_unlock), 0);
	assert_free();
	end();
}

/* The spare comes first, in the attempt that looks no further and in the other. */
static int lock_with_room_for_one(struct lockfile_pid *lock)
{
	steer_result("sys_pwrite", 1, -ENOSPC);
	steer_result("sys_pwrite", 2, -ENOSPC);
	return lockfile_pid_trylock(lock);
}

TEST(without_room_for_the_spare_there_is_no_lock)
{
	int before;

	family_start(PATH, 0, false);
	before = family_do(PARENT, family_count_descriptors);
	ck_assert_int_eq(family_do(PARENT, lock_with_room_for_one), -ENOSPC);
	ck_assert_int_eq(family_do(PARENT, family_count_descriptors), before);
	assert_free();
	end();
}

/* Inodes of a file system: its root's, the lock file's, the spare's, and one for attributes. */
static const struct {
	const char *options;
	int result;
} sizes[] = { { "nr_inodes=2", -ENOSPC }, { "nr_inodes=4", 0 } };

TEST_EACH(a_small_file_system_has_room_for_both_or_none, sizes)
{
	private_mounts();
	mount_tmpfs("d", sizes[_i].options);
	family_start("d/x.pid", 0, false);
	ck_assert_int_eq(family_do(PARENT, lockfile_pid_trylock), sizes[_i].result);
	if (sizes[_i].result == 0)
		ck_assert_int_eq(family_do(PARENT, lockfile_pid_unlock), 0);
	ck_assert_str_eq(list_dir("d"), "");
	family_end();
	unmount("d");
	ck_assert_int_eq(rmdir("d"), 0);
}

/* To let go. */

TEST_EACH(free_removes_the_file_where_no_child_has_a_copy, ways)
{
	int before;

	family_start(PATH, ways[_i].no_tmpfile, ways[_i].no_attributes);
	before = family_do(PARENT, family_count_descriptors);
	ck_assert_int_eq(family_do(PARENT, lockfile_pid_trylock), 0);
	family_fork(PARENT, CHILD);
	family_leave(CHILD);
	free_of(PARENT);
	ck_assert_int_eq(family_do(PARENT, family_count_descriptors), before);
	assert_free();
	end();
}

TEST_EACH(free_leaves_the_file_to_a_child_that_has_a_copy, ways)
{
	pid_t parent;

	begin(_i);
	parent = family_pid(PARENT);
	family_fork(PARENT, CHILD);
	free_of(PARENT);
	assert_content(PATH, "%d\n", (int)parent);
	ck_assert_str_eq(list_dir("."), PATH " ");
	assert_busy();
	adopt_by(CHILD);
	assert_content(PATH, "%d\n", (int)family_pid(CHILD));
	end();
}

static int free_unmarked(struct lockfile_pid *lock)
{
	steer_result("sys_fsetxattr", EVERY, -E2BIG);
	return family_free(lock);
}

/* No child has a copy, so that it can be removed all the same. */
TEST(free_of_a_lock_that_cannot_be_marked_removes_it)
{
	begin(0);
	ck_assert_int_eq(family_do(PARENT, free_unmarked), 0);
	assert_free();
	end();
}

/* Nobody sees a record without lock and mark of a process that lives. */
TEST(the_mark_comes_before_the_close)
{
	begin(0);
	ck_assert(!read_record().let_go);
	ck_assert_int_eq(family_do_until(PARENT, family_free, "sys_close", 1), FAMILY_STOPPED);
	ck_assert(read_record().let_go);
	ck_assert(read_record().inheritable);
	/* so it was the close of the lock file before which it stopped */
	assert_busy();
	ck_assert_int_eq(family_go_on(PARENT), 0);
	assert_free();
	end();
}

TEST_EACH(an_heir_that_dies_leaves_what_can_be_taken_over, ways)
{
	begin(_i);
	family_fork(PARENT, CHILD);
	free_of(PARENT);
	family_kill(CHILD);
	if (ways[_i].no_attributes) {
		assert_busy();
		family_leave(PARENT);
	}
	assert_stale();
	end();
}

TEST_EACH(free_without_the_right_leaves_what_can_be_taken_over, ways)
{
	int right;

	begin(_i);
	right = hold_right();
	free_of(PARENT);
	ck_assert_str_eq(list_dir("."), PATH " " TAKEOVER " ");
	close(right);
	unlink(TAKEOVER);
	if (ways[_i].no_attributes)
		family_leave(PARENT);
	assert_stale();
	end();
}

TEST(free_marks_a_file_whose_descriptor_was_closed_underneath)
{
	int right;

	begin(0);
	family_fork(PARENT, CHILD);
	close_of(PARENT);
	right = hold_right();
	free_of(PARENT);
	ck_assert(read_record().let_go);
	close(right);
	unlink(TAKEOVER);
	assert_busy();
	adopt_by(CHILD);
	end();
}

/* The same inode, but not of this acquisition. */
TEST(free_marks_no_file_of_another_acquisition)
{
	struct record record;

	begin(0);
	family_fork(PARENT, CHILD);
	record = read_record();
	record.nonce++;
	forge_attribute(PATH, &record);
	close_of(PARENT);
	free_of(PARENT);
	ck_assert(!read_record().let_go);
	end();
}

static const bool either[] = { false, true };

/* The spare and the directory are closed, and the lock file if it is open yet. */
TEST_EACH(free_leaks_no_descriptor, either)
{
	int before;

	begin(0);
	family_fork(PARENT, CHILD);
	if (either[_i])
		close_of(PARENT);
	before = family_do(PARENT, family_count_descriptors);
	free_of(PARENT);
	ck_assert_int_eq(family_do(PARENT, family_count_descriptors),
	                 before - (either[_i] ? 2 : 3));
	end();
}

TEST_EACH(free_removes_a_file_of_ours_only, either)
{
	for (int way = 0; way < WAYS; way++) {
		begin(way);
		if (either[_i])
			close_of(PARENT);
		forge_foreign("new", dead_pid());
		ck_assert_int_eq(rename("new", PATH), 0);
		free_of(PARENT);
		ck_assert_str_eq(list_dir("."), PATH " ");
		end();
	}
}

/* Closed, its inode number may be that of what is at PATH by now. */
static void use_inode_number_again(void *handle)
{
	struct lockfile_pid *lock = handle;
	struct stat st;

	if (pidfile_exists(&lock->file) || stat(PATH, &st) < 0)
		return;
	lock->file.dev = st.st_dev;
	lock->file.ino = st.st_ino;
}

static int free_with_inode_number_used_again(struct lockfile_pid *lock)
{
	steer_before("sys_fstatat", EVERY, use_inode_number_again, lock);
	return family_free(lock);
}

TEST_EACH(free_of_a_lock_that_was_adopted_away_removes_nobodys_file, ways)
{
	begin(_i);
	family_fork(PARENT, CHILD);
	adopt_by(CHILD);
	ck_assert_int_eq(family_do(CHILD, lockfile_pid_unlock), 0);
	forge_foreign(PATH, dead_pid());
	ck_assert_int_eq(family_do(PARENT, free_with_inode_number_used_again), 0);
	ck_assert_str_eq(list_dir("."), PATH " ");
	end();
}

/* By hand, after the look that found it let go of. */
static void put_theirs_there(void *handle)
{
	const struct lockfile_pid *lock = handle;

	if (!pidfile_exists(&lock->file))
		rename("theirs", PATH);
}

static int free_and_meet_theirs(struct lockfile_pid *lock)
{
	steer_after("sys_pread", EVERY, put_theirs_there, lock);
	return family_free(lock);
}

TEST_EACH(free_removes_nothing_that_takes_the_place_of_the_file_meanwhile, ways)
{
	begin(_i);
	forge_foreign("theirs", 1);
	ck_assert_int_eq(family_do(PARENT, free_and_meet_theirs), 0);
	ck_assert_str_eq(list_dir("."), PATH " ");
	assert_content(PATH, "1\n");
	end();
}

TEST_EACH(a_number_that_is_another_files_is_left_alone, ways)
{
	begin(_i);
	ck_assert_int_eq(family_do(PARENT, family_reuse_number), 0);
	free_of(PARENT);
	ck_assert_int_eq(family_do(PARENT, family_has_other), 1);
	assert_content("other", "content\n");
	ck_assert_int_lt(getxattr("other", RECORD_ATTRIBUTE, NULL, 0), 0);
	unlink("other");
	/* without descriptor and attribute nothing tells that PATH is still ours */
	if (ways[_i].no_attributes)
		unlink(PATH);
	assert_free();
	end();
}

static void reuse_number(void *handle)
{
	family_reuse_number(handle);
}

/* As soon as it was seen to be ours, if not before. */
static int free_and_reuse_number(struct lockfile_pid *lock)
{
	steer_after("sys_lseek", 1, reuse_number, lock);
	return family_free(lock);
}

static int unlock_and_reuse_number(struct lockfile_pid *lock)
{
	int r;

	steer_after("sys_lseek", 1, reuse_number, lock);
	r = lockfile_pid_unlock(lock);
	steer_reset();
	return r;
}

static int (*const goings[])(struct lockfile_pid *) = { free_and_reuse_number,
	                                                unlock_and_reuse_number };

TEST_EACH(a_number_that_becomes_another_files_is_left_alone, goings)
{
	begin(0);
	ck_assert_int_eq(family_do(PARENT, goings[_i]), 0);
	ck_assert_int_eq(family_do(PARENT, family_has_other), 1);
	assert_content("other", "content\n");
	ck_assert_int_lt(getxattr("other", RECORD_ATTRIBUTE, NULL, 0), 0);
	unlink("other");
	assert_free();
	end();
}

static int count_wake_ups(struct lockfile_pid *lock)
{
	family_free(lock);
	return steer_count("sys_write");
}

TEST_EACH(free_wakes_who_waits_if_the_file_is_gone, either)
{
	begin(0);
	if (either[_i])
		family_fork(PARENT, CHILD);
	ck_assert_int_eq(family_do(STRANGER, lockfile_pid_wait_begin), BUSY);
	ck_assert_int_eq(family_do(PARENT, count_wake_ups), either[_i] ? 0 : 1);
	ck_assert_int_eq(family_do(STRANGER, lockfile_pid_wait_continue), either[_i] ? BUSY : 0);
	end();
}

/* What a fork takes along: copies of the lock file and of its directory, and no spare. */

static const enum relative mothers[] = { PARENT, CHILD };

TEST_EACH(a_child_has_copies_of_the_lock_file_and_its_directory_alone, mothers)
{
	int before;

	family_start(PATH, 0, false);
	before = family_do(PARENT, family_count_descriptors);
	ck_assert_int_eq(family_do(PARENT, lockfile_pid_trylock), 0);
	ck_assert_int_eq(family_do(PARENT, family_count_descriptors), before + 3);
	family_fork(PARENT, CHILD);
	family_fork(mothers[_i], GRANDCHILD);
	ck_assert_int_eq(family_do(CHILD, family_count_descriptors), before + 2);
	ck_assert_int_eq(family_do(GRANDCHILD, family_count_descriptors), before + 2);
	free_of(GRANDCHILD);
	ck_assert_int_eq(family_do(GRANDCHILD, family_count_descriptors), before);
	ck_assert_int_eq(family_do(PARENT, lockfile_pid_unlock), 0);
	ck_assert_int_eq(family_do(PARENT, family_count_descriptors), before);
	assert_free();
	end();
}

/* A lock that was not had leaves nothing to inherit. */
TEST_EACH(an_attempt_in_vain_gives_children_nothing, ways)
{
	int before;

	family_start(PATH, ways[_i].no_tmpfile, ways[_i].no_attributes);
	before = family_do(PARENT, family_count_descriptors);
	ck_assert_int_eq(family_do(STRANGER, lockfile_pid_trylock), 0);
	ck_assert_int_eq(family_do(PARENT, lockfile_pid_trylock), BUSY);
	ck_assert_int_eq(family_do(PARENT, family_count_descriptors), before);
	ck_assert_int_eq(family_do(PARENT, lockfile_pid_wait_begin), BUSY);
	family_fork(PARENT, CHILD);
	ck_assert_int_eq(family_do(CHILD, family_count_descriptors), before);
	ck_assert_int_eq(family_do(CHILD, lockfile_pid_adopt), ROGUE);
	end();
}
