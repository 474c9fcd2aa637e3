/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Another host removes a file that we have open, and whatever we ask of it says
 * ESTALE then.  A contender looks again, and a holder has lost its lock.
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
#include <sys/stat.h>
#include <unistd.h>

#define PATH         "x.pid"
#define TAKEOVER     PATH ".takeover"
#define BUSY         LOCKFILE_PID_ERR_BUSY
#define DEAD         LOCKFILE_PID_ERR_PROCESS_DEAD
#define ROGUE        LOCKFILE_PID_ERR_ROGUE_DELETION
#define COUNT(table) (int)(sizeof(table) / sizeof((table)[0]))

/* File systems of more than one host have no O_TMPFILE. */
static void forget_rules(void)
{
	steer_reset();
	steer_no_tmpfile(EOPNOTSUPP);
}

static struct lockfile_pid *begin(void)
{
	struct lockfile_pid *lock;
	struct owner self;

	steer_reset();
	ck_assert_int_eq(lockfile_pid_new(&lock, PATH), 0);
	process_self(&self); /* its calls are made now */
	forget_rules();
	return lock;
}

static void end(struct lockfile_pid *lock)
{
	steer_reset();
	lockfile_pid_free(lock);
	assert_nothing_left();
}

/* What a contender finds. */

static void leave_nothing(void)
{
}

static void leave_foreign(void)
{
	forge_foreign(PATH, dead_pid());
}

static void leave_ours(void)
{
	struct record record = forge_dead_record();

	forge_file(PATH, &record);
}

static void leave_damaged(void)
{
	write_file(PATH, "x");
}

static void leave_candidate(void)
{
	leave_foreign();
	write_file(TAKEOVER, "");
}

static void (*const scenes[])(void) = {
	leave_nothing, leave_foreign, leave_ours, leave_damaged, leave_candidate,
};

static void assert_takes(struct lockfile_pid *lock)
{
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	assert_content(PATH, "%d\n", (int)getpid());
	ck_assert_str_eq(list_dir("."), PATH " ");
}

/* Is there a call of that number? */
static bool take_with(const char *call, int nth, void (*leave)(void))
{
	struct lockfile_pid *lock = begin();
	int descriptors = count_descriptors(), made;

	/* a candidate that the group may write has three modes one after the other */
	umask(002);
	ck_assert_int_eq(lockfile_pid_set_mode(lock, 0664), 0);
	leave();
	steer_result(call, nth, -ESTALE);
	assert_takes(lock);
	made = steer_count(call);
	forget_rules();
	ck_assert_int_eq(count_descriptors(), descriptors + 2);
	ck_assert_int_eq(lockfile_pid_verify(lock), 0);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	end(lock);
	return made >= nth;
}

/* Of what is judged, of a leftover, or of a candidate that has its name and no lock yet. */
static const char *const calls[] = {
	"sys_fstat",  "sys_pread",     "sys_is_write_locked", "sys_fgetxattr",
	"sys_pwrite", "sys_fsetxattr", "sys_write_lock",      "sys_fchmod",
};

TEST_EACH(a_contender_looks_again, calls)
{
	int made = 0;

	for (int i = 0; i < COUNT(scenes); i++)
		for (int nth = 1; take_with(calls[_i], nth, scenes[i]); nth++)
			made++;
	ck_assert_int_gt(made, 0);
}

static const char *const looks[] = {
	"sys_fstat",
	"sys_pread",
	"sys_is_write_locked",
	"sys_fgetxattr",
};

TEST_EACH(who_asks_for_the_holder_looks_again, looks)
{
	struct lockfile_pid *lock = begin();
	int descriptors = count_descriptors();
	pid_t pid;

	leave_ours();
	steer_result(looks[_i], 1, -ESTALE);
	ck_assert_int_eq(lockfile_pid_check(lock, &pid), DEAD);
	ck_assert_int_ge(steer_count(looks[_i]), 2);
	ck_assert_int_eq(count_descriptors(), descriptors);
	unlink(PATH);
	end(lock);
}

TEST_EACH(what_is_stale_each_time_is_busy_in_the_end, looks)
{
	struct lockfile_pid *lock = begin();
	pid_t pid;

	leave_ours();
	steer_result(looks[_i], EVERY, -ESTALE);
	ck_assert_int_eq(lockfile_pid_check(lock, &pid), BUSY);
	ck_assert_int_lt(steer_count(ANY_CALL), 1000);
	unlink(PATH);
	end(lock);
}

TEST(directory_that_another_host_removed_is_an_error)
{
	struct lockfile_pid *lock = begin();

	leave_ours();
	steer_result("sys_openat", EVERY, -ESTALE);
	steer_result("sys_open_path", EVERY, -ESTALE);
	steer_result("sys_refresh", EVERY, -ESTALE);
	ck_assert_int_eq(lockfile_pid_check(lock, NULL), -ESTALE);
	ck_assert_int_eq(lockfile_pid_trylock(lock), -ESTALE);
	ck_assert_int_eq(lockfile_pid_timedlock(lock, -1), -ESTALE);
	forget_rules();
	steer_result("sys_open_path", EVERY, -ESTALE);
	steer_result("sys_refresh", EVERY, -ESTALE);
	ck_assert_int_eq(lockfile_pid_check(lock, NULL), -ESTALE);
	ck_assert_int_eq(lockfile_pid_trylock(lock), -ESTALE);
	unlink(PATH);
	end(lock);
}

/* A candidate that has its name from the start: whatever has the name by now is another's. */
static const struct {
	const char *call;
	int nth;
} makings[] = {
	{ "sys_fstat", 1 },  { "sys_write_lock", 1 }, { "sys_fstatat", 1 },
	{ "sys_pwrite", 1 }, { "sys_fsetxattr", 1 },
};

static void replace_by_theirs(void *unused)
{
	(void)unused;
	ck_assert_int_eq(unlink(TAKEOVER), 0);
	write_file(TAKEOVER, "theirs\n");
}

TEST_EACH(a_candidate_that_another_host_removed_is_given_up_and_its_name_left, makings)
{
	struct pidfile file = PIDFILE_NONE;
	int descriptors;

	ck_assert_int_eq(process_init(), 0);
	descriptors = count_descriptors();
	forget_rules();
	steer_before(makings[_i].call, makings[_i].nth, replace_by_theirs, NULL);
	steer_result(makings[_i].call, makings[_i].nth, -ESTALE);
	ck_assert_int_eq(pidfile_make_named(&file, AT_FDCWD, TAKEOVER, 0644, false), -EAGAIN);
	ck_assert_int_eq(steer_count("sys_unlinkat"), 0);
	ck_assert(!pidfile_exists(&file));
	ck_assert_int_eq(count_descriptors(), descriptors);
	assert_content(TAKEOVER, "theirs\n");
	steer_reset();
	unlink(TAKEOVER);
}

/* The holder, with its descriptor or without; inheritable or not. */
static const struct way {
	bool closed, inheritable;
} ways[] = { { false, false }, { true, false }, { false, true }, { true, true } };

static struct lockfile_pid *hold(const struct way *way)
{
	struct lockfile_pid *lock = begin();

	ck_assert_int_eq(lockfile_pid_set_inheritable(lock, way->inheritable), 0);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	if (way->closed && !lock->file.has_attribute) {
		lockfile_pid_free(lock);
		SKIP("no user attributes here");
	}
	if (way->closed)
		close(lock->file.descriptor.fd);
	forget_rules();
	return lock;
}

static void assert_holds_nothing(struct lockfile_pid *lock)
{
	ck_assert_int_eq(lockfile_pid_verify(lock), ROGUE);
	ck_assert_int_eq(lockfile_pid_unlock(lock), ROGUE);
	ck_assert_int_eq(lockfile_pid_fileno(lock), -EBADF);
	unlink(PATH);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
}

/* Returns whether there is a call of that number; that of what another had left is no loss. */
static bool unlock_with(const struct way *way, const char *call, int nth, int *losses)
{
	int descriptors = count_descriptors(), made, r;
	struct lockfile_pid *lock = hold(way);

	steer_result(call, nth, -ESTALE);
	r = lockfile_pid_unlock(lock);
	made = steer_count(call);
	forget_rules();
	ck_assert_msg(r == 0 || r == ROGUE, "%s %d: %d", call, nth, r);
	ck_assert_int_eq(count_descriptors(), descriptors);
	ck_assert(exists(PATH) == (r == ROGUE));
	*losses += r == ROGUE;
	assert_holds_nothing(lock);
	end(lock);
	return made >= nth;
}

static int count_losses(const struct way *way, const char *call)
{
	int losses = 0;

	for (int nth = 1; unlock_with(way, call, nth, &losses); nth++)
		;
	return losses;
}

TEST_EACH(a_holder_that_unlocks_is_told_that_it_lost_the_lock, ways)
{
	const struct way *way = &ways[_i];
	bool by_right = way->closed || way->inheritable;

	/* once more with the right to replace */
	ck_assert_int_eq(count_losses(way, "sys_pread"), by_right ? 2 : 1);
	ck_assert_int_eq(count_losses(way, "sys_fgetxattr"), way->closed ? 2 : 0);
	ck_assert_int_eq(count_losses(way, "sys_fsetxattr"), 0);
	ck_assert_int_eq(count_losses(way, "sys_write_lock"), 0);
}

TEST_EACH(a_holder_that_verifies_is_told_that_it_lost_the_lock, ways)
{
	struct lockfile_pid *lock = hold(&ways[_i]);

	steer_result("sys_pread", 1, -ESTALE);
	ck_assert_int_eq(lockfile_pid_verify(lock), ROGUE);
	forget_rules();
	if (ways[_i].closed) {
		steer_result("sys_fgetxattr", 1, -ESTALE);
		ck_assert_int_eq(lockfile_pid_verify(lock), ROGUE);
		forget_rules();
	}
	ck_assert_int_eq(lockfile_pid_verify(lock), 0);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	end(lock);
}
