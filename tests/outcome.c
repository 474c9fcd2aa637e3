/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "outcome.h"

#include "inject.h"

#include <errno.h>
#include <lockfile-pid.h>
#include <string.h>
#include <sys/stat.h>

#define TAKEOVER SCENE_PATH ".takeover"
#define QUEUE    SCENE_PATH ".queue"
#define BUSY     LOCKFILE_PID_ERR_BUSY
#define ROGUE    LOCKFILE_PID_ERR_ROGUE_DELETION

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static bool fails_one_of(const char *const *calls, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (inject_fails(calls[i]))
			return true;
	return false;
}

/*
 * To remove a name that only its maker may remove may be the very thing that
 * fails: to look where it leads, to have its lock, to unlink it.
 */
static bool takeover_may_stay(void)
{
	static const char *const calls[] = { "fstat", "fstatat", "unlinkat", "write_lock" };

	return fails_one_of(calls, COUNT(calls));
}

static bool queue_may_stay(void)
{
	static const char *const calls[] = { "fstatat", "unlinkat", "lock_byte", "unlock_bytes" };

	return fails_one_of(calls, COUNT(calls));
}

/* A placeholder; it counts as held for a second. */
static bool empty_file_may_stay(void)
{
	return inject_without_noreplace() && inject_persists() &&
	       (inject_fails("fstatat") || inject_fails("unlinkat"));
}

static bool was_there(const char *name)
{
	const char *p = strstr(inject_names_before(), name);

	return p && p[strlen(name)] == ' ';
}

static void assert_only_what_may_stay(void)
{
	if (exists(TAKEOVER) && !was_there("x.pid.takeover"))
		assert_so(takeover_may_stay());
	if (exists(QUEUE) && !was_there("x.pid.queue"))
		assert_so(queue_may_stay());
	if (exists(SCENE_PATH) && !was_there("x.pid"))
		assert_so(empty_file_may_stay());
}

static void let_pass_a_second(void)
{
	struct stat st;

	if (lstat(SCENE_PATH, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 0)
		age_file(SCENE_PATH, 2);
}

static void assert_others_can_have_it(void)
{
	let_pass_a_second();
	assert_so(scene_rival_tries() == 0);
	assert_so(scene_rival_releases() == 0);
	assert_so(!exists(QUEUE));
}

/* The next one who takes over clears it. */
static void clear_takeover(void)
{
	if (!exists(TAKEOVER))
		return;
	scene_stale();
	assert_others_can_have_it();
}

void outcome_settled(void)
{
	let_pass_a_second();
	scene_settle();
	inject_clean();
	assert_others_can_have_it();
	clear_takeover();
	/* we can as well: the handle is as good as before */
	if (lock && inject_result() < 0) {
		assert_so(lockfile_pid_trylock(lock) == 0);
		assert_so(lockfile_pid_unlock(lock) == 0);
	}
	assert_so(strcmp(list_dir("d"), "") == 0);
}

static void assert_held_by_us(void)
{
	assert_so(lockfile_pid_verify(lock) == 0);
	assert_content(SCENE_PATH, "%d\n", (int)getpid());
	assert_so(scene_rival_tries() == BUSY);
}

static void assert_ours(void)
{
	assert_held_by_us();
	assert_so(lockfile_pid_unlock(lock) == 0);
	assert_so(!exists(SCENE_PATH));
}

static void assert_not_ours(void)
{
	assert_so(lockfile_pid_verify(lock) == ROGUE);
	assert_so(lockfile_pid_fileno(lock) == -EBADF);
	assert_so(lockfile_pid_wait_fd(lock) == -EBADF);
	assert_only_what_may_stay();
}

/* What we did not get is as it was. */
static void assert_left_alone(void)
{
	if (was_there("x.pid"))
		assert_so(exists(SCENE_PATH) || scene_was_left());
}

void outcome_acquired(int r)
{
	if (r == 0) {
		assert_so(!scene_is_held());
		assert_ours();
	} else {
		assert_not_ours();
		assert_left_alone();
	}
	outcome_settled();
}

void outcome_busy(int r)
{
	assert_so(r != 0);
	assert_not_ours();
	assert_left_alone();
	outcome_settled();
}

void outcome_released(int r)
{
	assert_so(r != ROGUE);
	assert_so(exists(SCENE_PATH) == (r < 0));
	if (r == 0)
		assert_not_ours();
	else
		assert_ours();
	outcome_settled();
}

void outcome_kept(int r)
{
	assert_so(r != ROGUE);
	assert_so(strcmp(list_dir("d"), inject_names_before()) == 0);
	assert_ours();
	outcome_settled();
}

void outcome_left(int r)
{
	(void)r;
	assert_not_ours();
	outcome_settled();
}

/* The holder, or still the heir. */
void outcome_adopted(int r)
{
	assert_so(r != ROGUE);
	if (r < 0) {
		assert_so(lockfile_pid_verify(lock) == ROGUE);
		assert_so(scene_rival_tries() == BUSY);
		assert_so(lockfile_pid_adopt(lock) == 0);
	}
	assert_ours();
}

/* Where more than one call fails, others may have to wait for the end of this process; */
void outcome_let_go(int r)
{
	(void)r;
	if (!inject_persists())
		outcome_settled();
}

/* and so they may where it is documented. */
void outcome_let_go_in_the_end(int r)
{
	(void)r;
}

void outcome_of_lie(int r)
{
	if (r != 0 || lockfile_pid_verify(lock) != 0)
		return;
	assert_so(!scene_is_held());
	assert_held_by_us();
}
