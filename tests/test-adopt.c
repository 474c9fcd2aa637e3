/* SPDX-License-Identifier: BSD-2-Clause */
/* A child becomes the holder of its parent's lock. */
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
#define ROGUE    LOCKFILE_PID_ERR_ROGUE_DELETION

static const struct way {
	int no_tmpfile;
	bool no_attributes;
} ways[] = { { 0, false }, { EOPNOTSUPP, false }, { 0, true }, { EOPNOTSUPP, true } };

/* The parent holds and has a child. */
static void begin(int way)
{
	family_start(PATH, ways[way].no_tmpfile, ways[way].no_attributes);
	ck_assert_int_eq(family_do(PARENT, lockfile_pid_trylock), 0);
	family_fork(PARENT, CHILD);
}

static void end(void)
{
	family_end();
	remove(PATH);
	assert_nothing_left();
}

static void assert_nobody_else_can_have_it(void)
{
	ck_assert_int_eq(family_do(STRANGER, family_check), BUSY);
	ck_assert_int_eq(family_do(STRANGER, lockfile_pid_trylock), BUSY);
}

static void assert_holds(enum relative who)
{
	assert_content(PATH, "%d\n", (int)family_pid(who));
	ck_assert_str_eq(list_dir("."), PATH " ");
	ck_assert_int_eq(family_do(who, family_verify), 0);
	assert_nobody_else_can_have_it();
}

static void assert_adopts(enum relative who)
{
	assert_nobody_else_can_have_it();
	ck_assert_int_eq(family_do(who, lockfile_pid_adopt), 0);
	assert_holds(who);
}

static void assert_unlocks(enum relative who)
{
	ck_assert_int_eq(family_do(who, lockfile_pid_unlock), 0);
	assert_nothing_left();
	ck_assert_int_eq(family_do(STRANGER, lockfile_pid_trylock), 0);
	ck_assert_int_eq(family_do(STRANGER, lockfile_pid_unlock), 0);
}

TEST_EACH(a_child_takes_the_lock_from_a_parent_that_lives, ways)
{
	begin(_i);
	assert_adopts(CHILD);
	ck_assert_int_eq(family_do(PARENT, family_verify), ROGUE);
	ck_assert_int_eq(family_do(PARENT, lockfile_pid_unlock), ROGUE);
	ck_assert_int_eq(family_do(PARENT, lockfile_pid_trylock), BUSY);
	assert_holds(CHILD);
	ck_assert_int_eq(family_do(CHILD, lockfile_pid_adopt), 0);
	assert_unlocks(CHILD);
	end();
}

static void free_of_parent(enum relative who)
{
	ck_assert_int_eq(family_do(who, family_free), 0);
}

static void free_and_kill(enum relative who)
{
	free_of_parent(who);
	family_kill(who);
}

static void (*const ends[])(enum relative) = { family_kill, family_leave, free_of_parent,
	                                       free_and_kill };

TEST_EACH(a_child_takes_the_lock_from_a_parent_that_has_ended_or_let_go, ends)
{
	for (int way = 0; way < 4; way++) {
		pid_t parent;

		begin(way);
		parent = family_pid(PARENT);
		ends[_i](PARENT);
		assert_content(PATH, "%d\n", (int)parent);
		assert_adopts(CHILD);
		assert_unlocks(CHILD);
		end();
	}
}

TEST_EACH(a_childs_child_takes_the_lock, ways)
{
	begin(_i);
	family_fork(CHILD, GRANDCHILD);
	family_leave(PARENT);
	family_leave(CHILD);
	assert_adopts(GRANDCHILD);
	assert_unlocks(GRANDCHILD);
	end();
}

/* The file of the first adoption was not there when the second was forked. */
TEST_EACH(one_of_several_takes_the_lock, ways)
{
	int descriptors;

	begin(_i);
	family_fork(PARENT, SIBLING);
	family_fork(CHILD, GRANDCHILD);
	descriptors = family_do(SIBLING, family_count_descriptors);
	assert_adopts(GRANDCHILD);
	ck_assert_int_eq(family_do(CHILD, lockfile_pid_adopt), ROGUE);
	ck_assert_int_eq(family_do(SIBLING, lockfile_pid_adopt), ROGUE);
	ck_assert_int_eq(family_do(SIBLING, family_count_descriptors), descriptors - 2);
	ck_assert_int_eq(family_do(SIBLING, lockfile_pid_adopt), ROGUE);
	assert_holds(GRANDCHILD);
	assert_unlocks(GRANDCHILD);
	end();
}

TEST(who_adopted_can_be_adopted_from)
{
	begin(0);
	ck_assert_int_eq(family_do(CHILD, family_set_inheritable), 0);
	assert_adopts(CHILD);
	family_fork(CHILD, GRANDCHILD);
	family_leave(CHILD);
	assert_adopts(GRANDCHILD);
	assert_unlocks(GRANDCHILD);
	end();
}

/* What others do to the file.  Theirs is at PATH then. */

static void parent_unlocks(void)
{
	ck_assert_int_eq(family_do(PARENT, lockfile_pid_unlock), 0);
}

static void stranger_holds(void)
{
	parent_unlocks();
	ck_assert_int_eq(family_do(STRANGER, lockfile_pid_trylock), 0);
}

static void remove_it(void)
{
	ck_assert_int_eq(unlink(PATH), 0);
}

static void replace_it(void)
{
	forge_foreign("new", 1);
	ck_assert_int_eq(rename("new", PATH), 0);
}

static void change_it(void)
{
	write_file(PATH, "1\n");
}

static void replace_it_by_a_directory(void)
{
	remove_it();
	ck_assert_int_eq(mkdir(PATH, 0700), 0);
}

static void (*const losses[])(void) = {
	parent_unlocks, stranger_holds, remove_it, replace_it, change_it, replace_it_by_a_directory,
};

static void check_loss(int way, void (*lose)(void), bool closed)
{
	struct stat before = { .st_ino = 0 }, after = { .st_ino = 0 };

	begin(way);
	if (closed)
		ck_assert_int_eq(family_do(CHILD, family_close_underneath), 0);
	lose();
	lstat(PATH, &before);
	ck_assert_int_eq(family_do(CHILD, lockfile_pid_adopt), ROGUE);
	lstat(PATH, &after);
	ck_assert_uint_eq(before.st_ino, after.st_ino);
	ck_assert_int_eq(before.st_size, after.st_size);
	ck_assert(!exists(TAKEOVER));
	ck_assert_int_eq(family_do(CHILD, lockfile_pid_adopt), ROGUE);
	if (lose == stranger_holds)
		ck_assert_int_eq(family_do(STRANGER, lockfile_pid_unlock), 0);
	end();
}

TEST_EACH(there_is_nothing_to_adopt_after_a_loss, losses)
{
	for (int way = 0; way < 4; way++) {
		check_loss(way, losses[_i], false);
		check_loss(way, losses[_i], true);
	}
}

/* The loss comes when the child has looked, and makes its candidate. */
static void check_late_loss(int way, void (*lose)(void))
{
	struct stat before = { .st_ino = 0 }, after = { .st_ino = 0 };

	begin(way);
	ck_assert_int_eq(family_do(CHILD, family_set_not_inheritable), 0);
	ck_assert_int_eq(family_do_until(CHILD, lockfile_pid_adopt, "sys_openat", 2),
	                 FAMILY_STOPPED);
	lose();
	lstat(PATH, &before);
	ck_assert_int_eq(family_go_on(CHILD), ROGUE);
	lstat(PATH, &after);
	ck_assert_uint_eq(before.st_ino, after.st_ino);
	ck_assert(!exists(TAKEOVER));
	if (lose == stranger_holds)
		ck_assert_int_eq(family_do(STRANGER, lockfile_pid_unlock), 0);
	end();
}

TEST_EACH(a_loss_is_seen_with_the_right_to_replace, losses)
{
	for (int way = 0; way < 4; way++)
		check_late_loss(way, losses[_i]);
}

/* The new lock file. */

static struct record read_record(void)
{
	unsigned char packed[RECORD_SIZE];
	struct record record;

	if (getxattr(PATH, RECORD_ATTRIBUTE, packed, sizeof(packed)) < 0)
		SKIP("no user attributes here");
	ck_assert(record_unpack(packed, sizeof(packed), &record));
	return record;
}

/* The setting of the parent does not count: these two are the same. */
static int set_nothing(struct lockfile_pid *lock)
{
	(void)lock;
	return 0;
}

static int (*const settings[])(struct lockfile_pid *) = { set_nothing, family_set_not_inheritable,
	                                                  family_set_inheritable };

TEST_EACH(the_attribute_is_that_of_the_child, settings)
{
	struct record old, new;

	begin(0);
	old = read_record();
	free_of_parent(PARENT);
	ck_assert_int_eq(family_do(CHILD, settings[_i]), 0);
	assert_adopts(CHILD);
	new = read_record();
	ck_assert_int_eq(new.owner.pid, family_pid(CHILD));
	ck_assert_int_eq(new.inheritable, settings[_i] == family_set_inheritable);
	ck_assert(!new.let_go);
	ck_assert_uint_ne(new.nonce, old.nonce);
	end();
}

static int set_mode_0640(struct lockfile_pid *lock)
{
	return lockfile_pid_set_mode(lock, 0640);
}

TEST_EACH(the_mode_is_that_of_the_childs_handle, ways)
{
	struct stat st;

	begin(_i);
	ck_assert_int_eq(family_do(CHILD, set_mode_0640), 0);
	ck_assert_int_eq(family_do(CHILD, lockfile_pid_adopt), 0);
	ck_assert_int_eq(stat(PATH, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0640);
	end();
}

/* Only if the child says so do children of its own keep the lock. */
TEST_EACH(the_childs_setting_is_about_its_own_children, settings)
{
	begin(0);
	ck_assert_int_eq(family_do(CHILD, settings[_i]), 0);
	assert_adopts(CHILD);
	family_fork(CHILD, GRANDCHILD);
	family_kill(CHILD);
	if (settings[_i] == family_set_inheritable) {
		assert_adopts(GRANDCHILD);
	} else {
		ck_assert_int_eq(family_do(GRANDCHILD, lockfile_pid_adopt), -EPERM);
		ck_assert_int_eq(family_do(STRANGER, lockfile_pid_trylock), 0);
	}
	end();
}

/* The right to replace. */

static int hold_right(void)
{
	write_file(TAKEOVER, "");
	return forge_lock(TAKEOVER);
}

TEST_EACH(what_was_inherited_is_kept_while_another_keeps_the_right, ways)
{
	int right;

	begin(_i);
	family_kill(PARENT);
	right = hold_right();
	ck_assert_int_eq(family_do(CHILD, lockfile_pid_adopt), -EAGAIN);
	assert_nobody_else_can_have_it();
	ck_assert_str_eq(list_dir("."), PATH " " TAKEOVER " ");
	close(right);
	assert_adopts(CHILD);
	assert_unlocks(CHILD);
	end();
}

static void give_up_right(void *unused)
{
	(void)unused;
	unlink(TAKEOVER);
}

static int adopt_in_the_third_try(struct lockfile_pid *lock)
{
	steer_before("sys_poll", 3, give_up_right, NULL);
	return lockfile_pid_adopt(lock);
}

TEST_EACH(a_right_that_is_given_up_is_waited_for, ways)
{
	int right;

	begin(_i);
	right = hold_right();
	ck_assert_int_eq(family_do(CHILD, adopt_in_the_third_try), 0);
	close(right);
	assert_holds(CHILD);
	end();
}

TEST_EACH(the_right_of_a_dead_one_is_no_obstacle, ways)
{
	begin(_i);
	write_file(TAKEOVER, "");
	assert_adopts(CHILD);
	end();
}

/* Nobody finds the inherited lock let go of before the new one stands there. */
TEST_EACH(the_copy_is_kept_until_the_child_holds, ways)
{
	begin(_i);
	family_kill(PARENT);
	ck_assert_int_eq(family_do_until(CHILD, lockfile_pid_adopt, "sys_rename", 1),
	                 FAMILY_STOPPED);
	assert_nobody_else_can_have_it();
	ck_assert_int_eq(family_go_on(CHILD), 0);
	assert_holds(CHILD);
	end();
}

/* Errors: what was inherited is kept, and the right given up. */

static const char *failing_call;

static int adopt_with_a_failure(struct lockfile_pid *lock)
{
	steer_result(failing_call, 1, -EIO);
	return lockfile_pid_adopt(lock);
}

static const char *const failures[] = {
	"sys_openat", "sys_fstatat", "sys_pread", "sys_pwrite", "sys_rename",
};

TEST_EACH(after_an_error_the_lock_can_be_adopted_again, failures)
{
	for (int way = 0; way < 4; way++) {
		failing_call = failures[_i];
		begin(way);
		family_kill(PARENT);
		ck_assert_int_eq(family_do(CHILD, adopt_with_a_failure), -EIO);
		ck_assert_str_eq(list_dir("."), PATH " ");
		assert_adopts(CHILD);
		assert_unlocks(CHILD);
		end();
	}
}

/*
 * A candidate that was taken for a leftover is closed, and its inode number may
 * be that of another's candidate a moment later.  Here it is the very same file.
 */

static void take_for_leftover(void *unused)
{
	(void)unused;
	REQUIRE(rename(TAKEOVER, "moved") == 0);
}

static void become_anothers(void *unused)
{
	(void)unused;
	REQUIRE(rename("moved", TAKEOVER) == 0);
	forge_lock(TAKEOVER);
}

static void lose_candidate(void)
{
	steer_before("sys_write_lock", 1, take_for_leftover, NULL);
	steer_before("sys_poll", 1, become_anothers, NULL);
}

static int adopt_and_lose_candidate(struct lockfile_pid *lock)
{
	lose_candidate();
	return lockfile_pid_adopt(lock);
}

static int unlock_and_lose_candidate(struct lockfile_pid *lock)
{
	lose_candidate();
	return lockfile_pid_unlock(lock);
}

static int free_and_lose_candidate(struct lockfile_pid *lock)
{
	lose_candidate();
	family_free(lock);
	return -EAGAIN;
}

static const struct {
	enum relative who;
	int (*act)(struct lockfile_pid *);
} claimants[] = {
	{ CHILD, adopt_and_lose_candidate },
	{ PARENT, unlock_and_lose_candidate },
	{ PARENT, free_and_lose_candidate },
};

TEST_EACH(a_candidate_that_was_lost_is_not_compared, claimants)
{
	begin(1);
	ck_assert_int_eq(family_do(claimants[_i].who, claimants[_i].act), -EAGAIN);
	ck_assert_str_eq(list_dir("."), PATH " " TAKEOVER " ");
	unlink(TAKEOVER);
	end();
}

/* The descriptor was closed underneath. */

static void (*const fates[])(enum relative) = { NULL, family_kill, free_of_parent };

TEST_EACH(the_attribute_proves_the_right_of_a_child_without_descriptor, fates)
{
	begin(0);
	read_record();
	ck_assert_int_eq(family_do(CHILD, family_close_underneath), 0);
	if (fates[_i] == free_of_parent)
		family_fork(PARENT, SIBLING); /* so that the file stays */
	if (fates[_i])
		fates[_i](PARENT);
	ck_assert_int_eq(family_do(CHILD, lockfile_pid_adopt), 0);
	assert_holds(CHILD);
	end();
}

TEST_EACH(without_descriptor_and_attribute_nothing_can_be_adopted, ways)
{
	begin(_i);
	ck_assert_int_eq(family_do(CHILD, family_close_underneath), 0);
	if (!ways[_i].no_attributes)
		ck_assert_int_eq(removexattr(PATH, RECORD_ATTRIBUTE), 0);
	ck_assert_int_eq(family_do(CHILD, lockfile_pid_adopt), ROGUE);
	assert_holds(PARENT);
	end();
}

TEST_EACH(a_number_that_is_another_files_is_left_alone, ways)
{
	int expected = ways[_i].no_attributes ? ROGUE : 0;

	begin(_i);
	ck_assert_int_eq(family_do(CHILD, family_reuse_number), 0);
	ck_assert_int_eq(family_do(CHILD, lockfile_pid_adopt), expected);
	ck_assert_int_eq(family_do(CHILD, family_has_other), 1);
	assert_content("other", "content\n");
	unlink("other");
	assert_holds(expected == 0 ? CHILD : PARENT);
	end();
}

/* Children of the bare system call, in which no handlers for forks ran. */

/* A file without a name can be given one once: that of the parent is of no use to two. */
static int has_own_spare(struct lockfile_pid *lock)
{
	return pidfile_is_of_process(&lock->spare);
}

TEST_EACH(a_raw_child_takes_the_lock, ways)
{
	family_start(PATH, ways[_i].no_tmpfile, ways[_i].no_attributes);
	ck_assert_int_eq(family_do(PARENT, lockfile_pid_trylock), 0);
	family_fork_raw(PARENT, CHILD);
	family_fork_raw(CHILD, GRANDCHILD);
	family_leave(CHILD);
	family_leave(PARENT);
	ck_assert_int_eq(family_do(GRANDCHILD, family_set_inheritable), 0);
	assert_adopts(GRANDCHILD);
	ck_assert_int_eq(family_do(GRANDCHILD, has_own_spare), ways[_i].no_tmpfile == 0);
	assert_unlocks(GRANDCHILD);
	end();
}

static void (*const forks[])(enum relative, enum relative) = { family_fork, family_fork_raw };

TEST_EACH(a_child_adopts_nothing_without_the_mark, forks)
{
	family_start(PATH, 0, false);
	ck_assert_int_eq(family_do(PARENT, family_set_not_inheritable), 0);
	ck_assert_int_eq(family_do(PARENT, lockfile_pid_trylock), 0);
	forks[_i](PARENT, CHILD);
	ck_assert_int_eq(family_do(CHILD, lockfile_pid_adopt), -EPERM);
	ck_assert_int_eq(family_do(CHILD, family_set_inheritable), 0);
	ck_assert_int_eq(family_do(CHILD, lockfile_pid_adopt), ROGUE);
	assert_holds(PARENT);
	family_kill(PARENT);
	ck_assert_int_eq(family_do(STRANGER, lockfile_pid_trylock), 0);
	end();
}

/* In line the parent has a candidate, which it does not hold when it forks. */
static int continue_until_held(struct lockfile_pid *lock)
{
	struct pollfd ready = { .fd = lockfile_pid_wait_fd(lock), .events = POLLIN };
	int r = BUSY;

	while (r == BUSY && poll(&ready, 1, -1) == 1)
		r = lockfile_pid_wait_continue(lock);
	return r;
}

static void check_later_lock(int way, int (*set)(struct lockfile_pid *), int result)
{
	family_start(PATH, ways[way].no_tmpfile, ways[way].no_attributes);
	ck_assert_int_eq(family_do(STRANGER, lockfile_pid_trylock), 0);
	ck_assert_int_eq(family_do(PARENT, lockfile_pid_wait_begin), BUSY);
	family_fork_raw(PARENT, CHILD);
	family_fork_raw(PARENT, SIBLING);
	ck_assert_int_eq(family_do(CHILD, set), 0);
	ck_assert_int_eq(family_do(CHILD, lockfile_pid_adopt), result);
	ck_assert_int_eq(family_do(STRANGER, lockfile_pid_unlock), 0);
	ck_assert_int_eq(family_do(PARENT, continue_until_held), 0);
	ck_assert_int_eq(family_do(CHILD, lockfile_pid_adopt), result);
	ck_assert_int_eq(family_do(SIBLING, lockfile_pid_adopt), ROGUE);
	assert_holds(PARENT);
	ck_assert_int_eq(family_do(PARENT, lockfile_pid_unlock), 0);
	end();
}

TEST_EACH(what_the_parent_took_after_the_fork_is_not_adopted, ways)
{
	check_later_lock(_i, family_set_inheritable, ROGUE);
	check_later_lock(_i, family_set_not_inheritable, -EPERM);
}

/* The holder of an inheritable lock adopts from itself. */

static int has_spare(struct lockfile_pid *lock)
{
	return pidfile_exists(&lock->spare);
}

TEST_EACH(what_the_holder_adopts_is_for_no_child, ways)
{
	int descriptors;

	begin(_i);
	assert_adopts(PARENT);
	ck_assert_int_eq(family_do(PARENT, has_spare), 0);
	descriptors = family_do(PARENT, family_count_descriptors);
	/* neither for one that has a copy of the old file, */
	ck_assert_int_eq(family_do(CHILD, lockfile_pid_adopt), ROGUE);
	assert_holds(PARENT);
	/* nor for one that comes later */
	family_fork(PARENT, SIBLING);
	ck_assert_int_eq(family_do(SIBLING, lockfile_pid_adopt), -EPERM);
	ck_assert_int_eq(family_do(PARENT, lockfile_pid_adopt), 0);
	ck_assert_int_eq(family_do(PARENT, family_count_descriptors), descriptors);
	family_kill(PARENT);
	ck_assert_int_eq(family_do(STRANGER, lockfile_pid_trylock), 0);
	end();
}

TEST_EACH(a_holder_that_adopted_unlocks_without_the_right, ways)
{
	int right;

	begin(_i);
	assert_adopts(PARENT);
	right = hold_right();
	ck_assert_int_eq(family_do(PARENT, lockfile_pid_unlock), 0);
	close(right);
	unlink(TAKEOVER);
	assert_nothing_left();
	end();
}

/* It is still inheritable then. */
TEST_EACH(a_holder_that_cannot_adopt_yet_holds_what_it_held, ways)
{
	int right;

	begin(_i);
	right = hold_right();
	ck_assert_int_eq(family_do(PARENT, lockfile_pid_adopt), -EAGAIN);
	close(right);
	unlink(TAKEOVER);
	assert_holds(PARENT);
	family_kill(PARENT);
	assert_adopts(CHILD);
	end();
}

/* The setting of the handle is that of the next lock, and adopt clears it. */
TEST(what_is_locked_after_an_adoption_is_not_inheritable)
{
	begin(0);
	assert_adopts(CHILD);
	ck_assert_int_eq(family_do(CHILD, lockfile_pid_unlock), 0);
	ck_assert_int_eq(family_do(CHILD, lockfile_pid_adopt), -EPERM);
	ck_assert_int_eq(family_do(CHILD, lockfile_pid_trylock), 0);
	family_fork(CHILD, GRANDCHILD);
	ck_assert_int_eq(family_do(GRANDCHILD, lockfile_pid_adopt), -EPERM);
	assert_holds(CHILD);
	end();
}

/* What a child asks for is about one adoption. */
TEST(a_grandchild_asks_for_itself)
{
	begin(0);
	ck_assert_int_eq(family_do(CHILD, family_set_inheritable), 0);
	assert_adopts(CHILD);
	family_fork(CHILD, GRANDCHILD);
	assert_adopts(GRANDCHILD);
	ck_assert(!read_record().inheritable);
	end();
}

/* And it is about no adoption by another process. */
TEST_EACH(what_a_child_asks_for_is_not_for_its_own_child, forks)
{
	begin(0);
	ck_assert_int_eq(family_do(CHILD, family_set_inheritable), 0);
	forks[_i](CHILD, GRANDCHILD);
	assert_adopts(GRANDCHILD);
	ck_assert(!read_record().inheritable);
	family_fork(GRANDCHILD, SIBLING);
	family_kill(GRANDCHILD);
	ck_assert_int_eq(family_do(STRANGER, lockfile_pid_trylock), 0);
	end();
}

/* What it takes then by itself is inheritable, and can be adopted from itself. */
static int (*const attempts[])(struct lockfile_pid *) = { set_nothing, lockfile_pid_adopt };

TEST_EACH(what_a_child_asked_for_in_vain_is_not_about_a_later_lock, attempts)
{
	begin(0);
	parent_unlocks();
	ck_assert_int_eq(family_do(CHILD, family_set_inheritable), 0);
	ck_assert_int_eq(family_do(CHILD, attempts[_i]),
	                 attempts[_i] == lockfile_pid_adopt ? ROGUE : 0);
	ck_assert_int_eq(family_do(CHILD, lockfile_pid_trylock), 0);
	ck_assert(read_record().inheritable);
	assert_adopts(CHILD);
	ck_assert(!read_record().inheritable);
	family_fork(CHILD, GRANDCHILD);
	family_kill(CHILD);
	ck_assert_int_eq(family_do(STRANGER, lockfile_pid_trylock), 0);
	end();
}

/* The first one leaves an inheritable lock to the child, which is then its holder. */
TEST(the_second_adoption_of_a_process_is_for_no_child)
{
	struct record first, second;

	begin(0);
	ck_assert_int_eq(family_do(CHILD, family_set_inheritable), 0);
	assert_adopts(CHILD);
	first = read_record();
	ck_assert(first.inheritable);
	assert_adopts(CHILD);
	second = read_record();
	ck_assert(!second.inheritable);
	ck_assert_uint_ne(second.nonce, first.nonce);
	/* and by the third nothing changes */
	assert_adopts(CHILD);
	ck_assert_uint_eq(read_record().nonce, second.nonce);
	end();
}

/* A holder that adopts is asked whether it still is one. */

static int descriptor_of(struct lockfile_pid *lock)
{
	return lockfile_pid_fileno(lock);
}

static void (*const ends_of_holding[])(void) = { remove_it, replace_it, change_it };

static void check_holder_without_file(int way, void (*lose)(void), bool closed)
{
	int before;

	family_start(PATH, ways[way].no_tmpfile, ways[way].no_attributes);
	before = family_do(PARENT, family_count_descriptors);
	ck_assert_int_eq(family_do(PARENT, lockfile_pid_trylock), 0);
	if (closed)
		ck_assert_int_eq(family_do(PARENT, family_close_underneath), 0);
	lose();
	ck_assert_int_eq(family_do(PARENT, lockfile_pid_adopt), ROGUE);
	ck_assert_int_eq(family_do(PARENT, family_set_not_inheritable), 0);
	ck_assert_int_eq(family_do(PARENT, descriptor_of), -EBADF);
	ck_assert_int_eq(family_do(PARENT, family_count_descriptors), before);
	ck_assert_int_eq(family_do(PARENT, lockfile_pid_unlock), ROGUE);
	unlink(PATH);
	ck_assert_int_eq(family_do(PARENT, lockfile_pid_trylock), 0);
	assert_holds(PARENT);
	end();
}

TEST_EACH(a_holder_whose_file_is_gone_holds_nothing_after_adopt, ends_of_holding)
{
	for (int way = 0; way < 4; way++) {
		check_holder_without_file(way, ends_of_holding[_i], false);
		check_holder_without_file(way, ends_of_holding[_i], true);
	}
}

/* Nothing leaks. */

/* The lock file and its directory; and the spare of an inheritable one, if there can be one. */
static void check_descriptors(int way, void (*fork_child)(enum relative, enum relative),
                              bool inheritable)
{
	int parents;

	family_start(PATH, ways[way].no_tmpfile, ways[way].no_attributes);
	parents = family_do(PARENT, family_count_descriptors);
	ck_assert_int_eq(family_do(PARENT, lockfile_pid_trylock), 0);
	fork_child(PARENT, CHILD);
	if (inheritable)
		ck_assert_int_eq(family_do(CHILD, family_set_inheritable), 0);
	ck_assert_int_eq(family_do(CHILD, lockfile_pid_adopt), 0);
	family_fork(CHILD, GRANDCHILD);
	ck_assert_int_eq(family_do(CHILD, family_count_descriptors),
	                 parents + (inheritable && !ways[way].no_tmpfile ? 3 : 2));
	ck_assert_int_eq(family_do(GRANDCHILD, family_count_descriptors),
	                 parents + (inheritable ? 2 : 0));
	free_of_parent(PARENT);
	free_of_parent(GRANDCHILD);
	free_of_parent(CHILD);
	ck_assert_int_eq(family_do(PARENT, family_count_descriptors), parents);
	ck_assert_int_eq(family_do(CHILD, family_count_descriptors), parents);
	ck_assert_int_eq(family_do(GRANDCHILD, family_count_descriptors), parents);
	end();
}

TEST_EACH(adoption_leaks_no_descriptor, forks)
{
	for (int way = 0; way < 4; way++) {
		check_descriptors(way, forks[_i], false);
		check_descriptors(way, forks[_i], true);
	}
}

TEST_EACH(failed_adoptions_leak_no_descriptor, ways)
{
	int right, before;

	begin(_i);
	ck_assert_int_eq(family_do(CHILD, family_set_not_inheritable), 0);
	before = family_do(CHILD, family_count_descriptors);
	right = hold_right();
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(family_do(CHILD, lockfile_pid_adopt), -EAGAIN);
		ck_assert_int_eq(family_do(CHILD, family_count_descriptors), before);
	}
	close(right);
	unlink(TAKEOVER);
	end();
}

/* Who is first in line watches the holder. */

static int count_wake_ups(struct lockfile_pid *lock)
{
	ck_assert_int_eq(lockfile_pid_adopt(lock), 0);
	return steer_count("sys_write");
}

TEST(the_first_in_line_is_told_of_the_new_holder)
{
	begin(0);
	ck_assert_int_eq(family_do(STRANGER, lockfile_pid_wait_begin), BUSY);
	ck_assert_int_eq(family_do(CHILD, count_wake_ups), 1);
	/* woken, it looks, and watches the child from now on */
	ck_assert_int_eq(family_do(STRANGER, lockfile_pid_wait_continue), BUSY);
	family_ask(STRANGER, continue_until_held);
	family_kill(CHILD);
	ck_assert_int_eq(family_hear(STRANGER), 0);
	ck_assert_int_eq(family_do(STRANGER, family_verify), 0);
	end();
}
