/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "scenes.h"

#include "forge.h"
#include "handle.h"
#include "process.h"
#include "puppet.h"
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <lockfile-pid.h>
#include <grp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#define PATH     EXPLORE_PATH
#define TAKEOVER PATH ".takeover"
#define BUSY     LOCKFILE_PID_ERR_BUSY
#define ROGUE    LOCKFILE_PID_ERR_ROGUE_DELETION
/* No process can have it: pid_max is not a PID itself (proc(5)). */
#define NEVER_A_PID RECORD_PID_MAX

#define LEAVES_AFTER_MS 5

/* What is there at first. */

static void stale(void)
{
	struct record record = forge_own_record();

	record.owner.pid = NEVER_A_PID;
	forge_file(PATH, &record);
}

static void foreign_stale(void)
{
	forge_foreign(PATH, NEVER_A_PID);
}

static void invalid(void)
{
	write_file(PATH, "?\n");
}

static void empty(void)
{
	write_file(PATH, "");
}

static void empty_of_old(void)
{
	empty();
	forge_mtime(PATH, -10);
}

static void stale_with_leftover(void)
{
	stale();
	write_file(TAKEOVER, "");
}

/*
 * Its maker, a process that was killed, had been copied by clone(2): the copy of its
 * descriptor keeps the kernel lock as long as it is not closed.
 */
static void leave_with_leaked_descriptor(const char *name)
{
	static int leaked = -1;
	struct record record = forge_own_record();

	if (leaked >= 0)
		close(leaked);
	record.owner.pid = NEVER_A_PID;
	forge_file(name, &record);
	leaked = forge_lock(name);
}

static void stale_with_leaked_takeover(void)
{
	stale();
	leave_with_leaked_descriptor(TAKEOVER);
}

static void leaked_lock(void)
{
	leave_with_leaked_descriptor(PATH);
}

/* Whether PATH says so, without a call of the seam. */
static bool path_has_pid(pid_t pid)
{
	char expected[RECORD_CONTENT_SIZE], content[RECORD_CONTENT_SIZE] = "";
	int fd = open(PATH, O_RDONLY | O_CLOEXEC);

	record_format_content(pid, expected);
	if (fd < 0)
		return false;
	(void)!read(fd, content, sizeof(content) - 1);
	close(fd);
	return strcmp(content, expected) == 0;
}

/* What an actor does. */

static void expect(const char *call, int r, int expected, int or)
{
	if (r != expected && r != or)
		puppet_complain("%s gives %d to %d", call, r, puppet_self());
}

static void have(int as)
{
	stage_hold(as);
	if (!path_has_pid(getpid()))
		puppet_complain("%d holds, and PATH does not say so", puppet_self());
	puppet_step("(holds)");
	if (!path_has_pid(getpid()))
		puppet_complain("%d still holds, and PATH does not say so", puppet_self());
}

static void use_and_unlock(struct lockfile_pid *lock)
{
	have(puppet_self());
	stage_let_go(puppet_self());
	expect("unlock", lockfile_pid_unlock(lock), 0, 0);
}

static void attempt(struct lockfile_pid *lock)
{
	int r = lockfile_pid_trylock(lock);

	expect("trylock", r, 0, BUSY);
	if (r == 0)
		use_and_unlock(lock);
}

static void try(struct lockfile_pid *lock)
{
	attempt(lock);
	lockfile_pid_free(lock);
}

static void try_twice(struct lockfile_pid *lock)
{
	attempt(lock);
	try(lock);
}

/* While one handle of a process holds, another one of it does not. */
static void try_two_handles(struct lockfile_pid *lock)
{
	struct lockfile_pid *other;
	int r = lockfile_pid_trylock(lock);

	REQUIRE(lockfile_pid_new(&other, PATH) == 0);
	expect("trylock", r, 0, BUSY);
	if (r == 0) {
		have(puppet_self());
		expect("the other handle's trylock", lockfile_pid_trylock(other), BUSY, BUSY);
		stage_let_go(puppet_self());
		expect("unlock", lockfile_pid_unlock(lock), 0, 0);
	}
	attempt(other);
	lockfile_pid_free(other);
	lockfile_pid_free(lock);
}

static void wait(struct lockfile_pid *lock)
{
	int r = lockfile_pid_lock(lock);

	expect("lock", r, 0, 0);
	if (r == 0)
		use_and_unlock(lock);
	lockfile_pid_free(lock);
}

/* An event loop, with a timer of its own. */
static void loop(struct lockfile_pid *lock, bool takes)
{
	int r = lockfile_pid_wait_begin(lock);

	while (r == BUSY) {
		puppet_loop(lockfile_pid_wait_fd(lock), lock->queue.pause_ms, takes);
		r = lockfile_pid_wait_continue(lock);
	}
	expect("the wait of a loop", r, 0, 0);
	if (r == 0)
		use_and_unlock(lock);
	lockfile_pid_free(lock);
}

static void poll_it(struct lockfile_pid *lock)
{
	loop(lock, false);
}

static void take_events(struct lockfile_pid *lock)
{
	loop(lock, true);
}

static void wait_and_leave(struct lockfile_pid *lock)
{
	int r = lockfile_pid_timedlock(lock, LEAVES_AFTER_MS);

	expect("timedlock", r, 0, -ETIMEDOUT);
	if (r == 0)
		use_and_unlock(lock);
	lockfile_pid_free(lock);
}

/* Holders: they have the lock when it begins. */

static void hold(struct lockfile_pid *lock)
{
	REQUIRE(lockfile_pid_trylock(lock) == 0);
	stage_hold(puppet_self());
}

static void unlock(struct lockfile_pid *lock)
{
	stage_let_go(puppet_self());
	expect("unlock", lockfile_pid_unlock(lock), 0, 0);
}

static void unlock_and_try(struct lockfile_pid *lock)
{
	unlock(lock);
	try(lock);
}

/* When those who do not wait for long are about to leave. */
static void unlock_late(struct lockfile_pid *lock)
{
	puppet_sleep_ms(LEAVES_AFTER_MS);
	unlock(lock);
}

static void give_up_by_free(struct lockfile_pid *lock)
{
	stage_let_go(puppet_self());
	lockfile_pid_free(lock);
}

static void only_die(struct lockfile_pid *lock)
{
	(void)lock;
	puppet_step("(dies)");
	stage_let_go(puppet_self());
}

static void close_underneath(struct lockfile_pid *lock)
{
	hold(lock);
	close(lockfile_pid_fileno(lock));
}

/* All that the library has open, in the middle of what others do. */
static void lose_descriptors(struct lockfile_pid *lock)
{
	puppet_step("(closes)");
	close(lock->file.descriptor.fd);
	close(lock->dir.fd);
	puppet_step("(holds)");
	if (lockfile_pid_verify(lock) != 0)
		puppet_complain("who closed its descriptors has lost the lock");
	unlock_and_try(lock);
}

/* Users.  Each runs with the group that the directory of both may have. */

static void become(uid_t user)
{
	REQUIRE(setgroups(0, NULL) == 0);
	REQUIRE(setresgid(EXPLORE_GROUP, EXPLORE_GROUP, EXPLORE_GROUP) == 0);
	REQUIRE(setresuid(user, user, user) == 0);
	/* else /proc/self is root's */
	REQUIRE(prctl(PR_SET_DUMPABLE, 1) == 0);
}

static void as_first(struct lockfile_pid *lock)
{
	(void)lock;
	become(EXPLORE_USER_1);
}

static void as_second(struct lockfile_pid *lock)
{
	(void)lock;
	become(EXPLORE_USER_2);
}

static void hold_as_first(struct lockfile_pid *lock)
{
	become(EXPLORE_USER_1);
	hold(lock);
}

static void share_directory(mode_t mode)
{
	SKIP_UNLESS_ROOT();
	ck_assert_int_eq(chmod("..", 0755), 0);
	ck_assert_int_eq(chown(".", 0, EXPLORE_GROUP), 0);
	ck_assert_int_eq(chmod(".", mode), 0);
}

/* The directory is safe without /proc, and another root takes rights. */
static void directory_of_root(void)
{
	SKIP_UNLESS_ROOT();
}

static void group_directory(void)
{
	share_directory(0770);
}

static void sticky_directory(void)
{
	share_directory(01777);
}

static void stale_of_first(void)
{
	stale();
	ck_assert_int_eq(chown(PATH, EXPLORE_USER_1, EXPLORE_GROUP), 0);
}

static void stale_in_group_directory(void)
{
	group_directory();
	stale_of_first();
}

static void stale_in_sticky_directory(void)
{
	sticky_directory();
	stale_of_first();
}

/* What the other user left may not be replaced, which is an error. */
static void try_as_user(struct lockfile_pid *lock)
{
	int r = lockfile_pid_trylock(lock);

	if (r == 0)
		use_and_unlock(lock);
	else if (r != BUSY)
		expect("trylock", r, -EPERM, -EPERM);
	lockfile_pid_free(lock);
}

static void wait_as_user(struct lockfile_pid *lock)
{
	int r = lockfile_pid_lock(lock);

	if (r == 0)
		use_and_unlock(lock);
	else
		expect("lock", r, -EPERM, -EPERM);
	lockfile_pid_free(lock);
}

/* An heir and its parent: they share the lock as FAMILY until it is adopted. */

#define FAMILY 0
#define HEIR   1
/* bits of the stage's note */
#define PARENT_UNLOCKED 1
#define PARENT_LEFT     2
#define HEIR_ADOPTED    4 /* or was told that it is too late */

static void adopt(struct lockfile_pid *lock)
{
	int r = lockfile_pid_adopt(lock);

	*stage_note() |= HEIR_ADOPTED;
	if (r == 0) {
		stage_let_go(FAMILY);
		have(HEIR);
		stage_let_go(HEIR);
		expect("unlock", lockfile_pid_unlock(lock), 0, 0);
	} else {
		expect("adopt", r, ROGUE, ROGUE);
		if (!(*stage_note() & PARENT_UNLOCKED))
			puppet_complain("the heir lost the lock");
	}
	lockfile_pid_free(lock);
}

static void hold_for_heir(struct lockfile_pid *lock)
{
	REQUIRE(lockfile_pid_set_inheritable(lock, 1) == 0);
	hold(lock);
	explore_start(HEIR, adopt, lock);
}

/* The heir gives something up before it adopts. */

static void adopt_after_chroot(struct lockfile_pid *lock)
{
	int outside = enter_root("..");

	puppet_step("(chroot)");
	adopt(lock);
	leave_root(outside);
}

static void adopt_after_setuid(struct lockfile_pid *lock)
{
	become(EXPLORE_USER_1);
	puppet_step("(setuid)");
	adopt(lock);
}

static void hold_for_heir_in_chroot(struct lockfile_pid *lock)
{
	REQUIRE(lockfile_pid_set_inheritable(lock, 1) == 0);
	hold(lock);
	explore_start(HEIR, adopt_after_chroot, lock);
}

static void hold_for_heir_of_another_user(struct lockfile_pid *lock)
{
	REQUIRE(lockfile_pid_set_inheritable(lock, 1) == 0);
	hold(lock);
	explore_start(HEIR, adopt_after_setuid, lock);
}

static void unlock_as_parent(struct lockfile_pid *lock)
{
	int r;

	*stage_note() |= PARENT_UNLOCKED;
	stage_let_go(FAMILY);
	r = lockfile_pid_unlock(lock);
	expect("the parent's unlock", r, 0, ROGUE);
	lockfile_pid_free(lock);
}

/* With an heir that is dead the lock goes as well. */
static void leave(void)
{
	*stage_note() |= PARENT_LEFT;
	if (puppet_state(HEIR) == PUPPET_NONE)
		stage_let_go(FAMILY);
}

static void free_as_parent(struct lockfile_pid *lock)
{
	leave();
	lockfile_pid_free(lock);
}

static void die_as_parent(struct lockfile_pid *lock)
{
	(void)lock;
	puppet_step("(dies)");
	leave();
}

/* An heir that has not adopted yet keeps the lock of a parent that was killed. */
static void parent_killed(void)
{
	bool had_it = !(*stage_note() & (PARENT_UNLOCKED | HEIR_ADOPTED));

	*stage_note() |= PARENT_LEFT;
	if (had_it && puppet_state(HEIR) != PUPPET_NONE)
		stage_inherit(FAMILY);
}

/* Unless it has put its own file in place already, its parent has the lock if that still lives. */
static void heir_killed(void)
{
	if ((*stage_note() & PARENT_LEFT) || !path_has_pid(puppet_pid(FAMILY)))
		stage_let_go(FAMILY);
}

static void family_killed(int who)
{
	if (who == FAMILY)
		parent_killed();
	else if (who == HEIR)
		heir_killed();
}

/*
 * Somebody removes the first one's lock file by hand, before it begins to unlock.
 * Between the look and the unlink of that nobody could tell.
 */

static void lose(struct lockfile_pid *lock)
{
	int r;

	puppet_step("(holds)");
	stage_let_go(0);
	r = lockfile_pid_unlock(lock);
	expect("unlock", r, *stage_note() ? ROGUE : 0, *stage_note() ? ROGUE : 0);
	lockfile_pid_free(lock);
}

static bool may_remove(void)
{
	bool may = stage_holds(0) && path_has_pid(puppet_pid(0));

	stage_let_go(0);
	*stage_note() = may;
	return may;
}

static void remove_and_try(struct lockfile_pid *lock)
{
	puppet_step("(removes)");
	if (may_remove())
		unlink(PATH);
	try(lock);
}

static void replace_and_try(struct lockfile_pid *lock)
{
	puppet_step("(replaces)");
	if (may_remove())
		foreign_stale();
	puppet_step("(waits)");
	try(lock);
}

/* clang-format off: a row a line */
const struct scene scenes_of_two[] = {
	{ "fresh", NULL, { { NULL, try_twice }, { NULL, try } }, 2, .wins = 1 },
	{ "fresh-wait", NULL, { { NULL, wait }, { NULL, wait } }, 2, .wins = 2 },
	{ "release", NULL, { { hold, unlock_and_try }, { NULL, try_twice } }, 2, .wins = 1 },
	{ "free", NULL, { { hold, give_up_by_free }, { NULL, try_twice } }, 2, .wins = 1 },
	{ "release-wait", NULL, { { hold, unlock_and_try }, { NULL, wait } }, 2, .wins = 2 },
	{ "release-loop", NULL, { { hold, unlock_and_try }, { NULL, poll_it } }, 2, .wins = 2 },
	{ "fresh-loop", NULL, { { NULL, take_events }, { NULL, wait } }, 2, .wins = 2 },
	{ "died-loop", NULL, { { hold, only_die }, { NULL, take_events } }, 2, .wins = 2 },
	{ "closed",
	  NULL,
	  { { close_underneath, unlock_and_try }, { NULL, try_twice } },
	  2,
	  .wins = 1 },
	{ "closefrom", NULL, { { hold, lose_descriptors }, { NULL, try_twice } }, 2, .wins = 1 },
	{ "closefrom-wait", NULL, { { hold, lose_descriptors }, { NULL, wait } }, 2, .wins = 2 },
	{ "stale", stale, { { NULL, try }, { NULL, try_twice } }, 2, .wins = 1 },
	{ "stale-wait", stale, { { NULL, wait }, { NULL, wait } }, 2, .wins = 2 },
	{ "foreign", foreign_stale, { { NULL, try }, { NULL, try_twice } }, 2, .wins = 1 },
	{ "invalid", invalid, { { NULL, try }, { NULL, try_twice } }, 2, .wins = 1 },
	{ "empty", empty, { { NULL, wait }, { NULL, try } }, 2, .wins = 1 },
	{ "empty-old", empty_of_old, { { NULL, try }, { NULL, try } }, 2, .wins = 1 },
	{ "leftover", stale_with_leftover, { { NULL, try }, { NULL, try_twice } }, 2, .wins = 1 },
	{ "leaked-takeover",
	  stale_with_leaked_takeover,
	  { { NULL, try }, { NULL, try } },
	  2,
	  .wins = 1 },
	{ "leaked-lock", leaked_lock, { { NULL, try }, { NULL, try } }, 2, .wins = 1 },
	{ "two-handles", stale, { { NULL, try_two_handles }, { NULL, try } }, 2, .wins = 1 },
	{ "died",
	  NULL,
	  { { hold, only_die }, { NULL, try_twice } },
	  2,
	  .wins = 1,
	  .may_leave = true },
	{ "rogue", NULL, { { hold, lose }, { NULL, remove_and_try } }, 2, .wins = 1 },
	{ "replaced",
	  NULL,
	  { { hold, lose }, { NULL, replace_and_try } },
	  2,
	  .wins = 1,
	  .may_leave = true },
	{ "group",
	  group_directory,
	  { { as_first, try_as_user }, { as_second, try_as_user } },
	  2,
	  .wins = 1,
	  .is_of_users = true },
	{ "group-stale",
	  stale_in_group_directory,
	  { { as_first, try_as_user }, { as_second, try_as_user } },
	  2,
	  .wins = 1,
	  .is_of_users = true },
	{ "group-wait",
	  group_directory,
	  { { hold_as_first, unlock }, { as_second, wait_as_user } },
	  2,
	  .wins = 2,
	  .is_of_users = true },
	{ "sticky",
	  sticky_directory,
	  { { as_first, try_as_user }, { as_second, try_as_user } },
	  2,
	  .wins = 1,
	  .is_of_users = true },
	{ "sticky-stale",
	  stale_in_sticky_directory,
	  { { as_first, try_as_user }, { as_second, try_as_user } },
	  2,
	  .wins = 0, /* while the one who may not replace it finds out, the other gets BUSY */
	  .may_leave = true,
	  .is_of_users = true },
	{ "sticky-wait",
	  sticky_directory,
	  { { hold_as_first, unlock }, { as_second, wait_as_user } },
	  2,
	  .wins = 2,
	  .is_of_users = true },
};
/* clang-format on */

/* clang-format off: a row a line */
const struct scene scenes_of_three[] = {
	{ "fresh-3", NULL, { { NULL, try }, { NULL, try }, { NULL, try } }, 3, .wins = 1 },
	{ "fresh-wait-3", NULL, { { NULL, wait }, { NULL, wait }, { NULL, wait } }, 3, .wins = 3 },
	{ "release-3", NULL, { { hold, unlock }, { NULL, try }, { NULL, try } }, 3, .wins = 1 },
	{ "release-wait-3",
	  NULL,
	  { { hold, unlock }, { NULL, wait }, { NULL, wait } },
	  3,
	  .wins = 3 },
	{ "stale-3", stale, { { NULL, try }, { NULL, try }, { NULL, try } }, 3, .wins = 1 },
	{ "invalid-3", invalid, { { NULL, try }, { NULL, try }, { NULL, try } }, 3, .wins = 1 },
	{ "leftover-3",
	  stale_with_leftover,
	  { { NULL, try }, { NULL, try }, { NULL, try } },
	  3,
	  .wins = 1 },
	{ "leaked-takeover-3",
	  stale_with_leaked_takeover,
	  { { NULL, try }, { NULL, try }, { NULL, try } },
	  3,
	  .wins = 1 },
	{ "died-3",
	  NULL,
	  { { hold, only_die }, { NULL, try }, { NULL, try } },
	  3,
	  .wins = 1,
	  .may_leave = true },
	{ "died-wait-3",
	  NULL,
	  { { hold, only_die }, { NULL, wait }, { NULL, wait } },
	  3,
	  .wins = 3 },
	{ "adopt",
	  NULL,
	  { { hold_for_heir, unlock_as_parent }, { 0 }, { NULL, try } },
	  3,
	  .wins = 1,
	  .killed = family_killed },
	{ "adopt-free",
	  NULL,
	  { { hold_for_heir, free_as_parent }, { 0 }, { NULL, try } },
	  3,
	  .wins = 2,
	  .killed = family_killed },
	{ "adopt-died",
	  NULL,
	  { { hold_for_heir, die_as_parent }, { 0 }, { NULL, try } },
	  3,
	  .wins = 2,
	  .killed = family_killed },
	{ "adopt-chroot",
	  directory_of_root,
	  { { hold_for_heir_in_chroot, unlock_as_parent }, { 0 }, { NULL, try } },
	  3,
	  .wins = 1,
	  .killed = family_killed },
	{ "adopt-setuid",
	  group_directory,
	  { { hold_for_heir_of_another_user, die_as_parent }, { 0 }, { NULL, try } },
	  3,
	  .wins = 2,
	  .killed = family_killed },
	{ "leave",
	  NULL,
	  { { hold, unlock_late }, { NULL, wait_and_leave }, { NULL, wait } },
	  3,
	  .wins = 2 },
	{ "rogue-3",
	  NULL,
	  { { hold, lose }, { NULL, remove_and_try }, { NULL, try } },
	  3,
	  .wins = 1 },
};
/* clang-format on */
