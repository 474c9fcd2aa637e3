/* SPDX-License-Identifier: BSD-2-Clause */
/* Failing calls of what takes the lock at once, or does not. */
#include <config.h>

#include "forge.h"
#include "handle.h"
#include "inject.h"
#include "outcome.h"
#include "steer.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <lockfile-pid.h>
#include <sys/stat.h>

#define TAKEOVER SCENE_PATH ".takeover"
#define NO_PID   4194304 /* which no process can have */

/* What is there. */

static void foreign_stale(void)
{
	forge_foreign(SCENE_PATH, NO_PID);
}

static void of_this_process(void)
{
	forge_foreign(SCENE_PATH, getpid());
}

static void damaged(void)
{
	write_file(SCENE_PATH, "?\n");
}

static void empty(void)
{
	write_file(SCENE_PATH, "");
	age_file(SCENE_PATH, 2);
}

static void alien(void)
{
	ck_assert_int_eq(mkfifo(SCENE_PATH, 0600), 0);
}

/* The first process lives, but began at another time. */
static void reused_pid(void)
{
	struct record record = forge_own_record();

	record.owner.pid = 1;
	forge_file(SCENE_PATH, &record);
}

static void closed_underneath(void)
{
	scene_other_holds();
	scene_other_closes_all();
}

static void other_boot(void)
{
	struct record record = forge_own_record();

	record.owner.boot[0] ^= 1;
	forge_file(SCENE_PATH, &record);
}

static void stale_and_leftover(void)
{
	scene_stale();
	write_file(TAKEOVER, "");
}

static int leaked = -1;

/* Its maker is dead, and a leaked descriptor of it keeps the kernel lock. */
static void stale_and_leaked_leftover(void)
{
	struct record record = forge_dead_record();

	scene_stale();
	forge_file(TAKEOVER, &record);
	leaked = forge_lock(TAKEOVER);
}

static void inheritable(void)
{
	ck_assert_int_eq(lockfile_pid_set_inheritable(lock, 1), 0);
}

static void inheritable_stale(void)
{
	inheritable();
	scene_stale();
}

/* As far as the umask lets it. */
static void open_to_group(void)
{
	umask(002);
	ck_assert_int_eq(lockfile_pid_set_mode(lock, 0660), 0);
	scene_stale();
}

static void cluster_and_other_boot(void)
{
	ck_assert_int_eq(lockfile_pid_set_cluster_locks(lock, 1), 0);
	other_boot();
}

static void make_lock_there(void)
{
	lock = new_lock(SCENE_PATH);
}

static void we_hold(void)
{
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
}

/* What surrounds it. */

static void on_a_network(void)
{
	steer_file_system(NFS_SUPER_MAGIC);
}

static void leftover_is_not_ours_to_open(void)
{
	steer_unopenable("x.pid.takeover", EACCES);
}

static void lock_file_is_not_ours_to_read(void)
{
	steer_unopenable("x.pid", EACCES);
}

static int trylock(void)
{
	return lockfile_pid_trylock(lock);
}

static int lock_again(void)
{
	return lockfile_pid_timedlock(lock, 1);
}

/* To be as it was, for the next time. */

static void remove_it(void)
{
	unlink(SCENE_PATH);
}

static void close_leaked(void)
{
	close(leaked);
}

static void acquired(int r)
{
	umask(022);
	outcome_acquired(r);
	ck_assert_int_eq(lockfile_pid_set_mode(lock, 0644), 0);
	ck_assert_int_eq(lockfile_pid_set_inheritable(lock, 0), 0);
	ck_assert_int_eq(lockfile_pid_set_cluster_locks(lock, 0), 0);
}

#define BUSY  LOCKFILE_PID_ERR_BUSY
#define ALIEN LOCKFILE_PID_ERR_INVALID_PID
#define TRYLOCK(title, there, around, after, gives, rest)                                \
	{                                                                                \
		.name = title, .function = "trylock", .prepare = there, .rules = around, \
		.act = trylock, .judge = after, .result = gives, .clean = rest           \
	}

/* clang-format off: a row a line */
static const struct operation operations[] = {
	TRYLOCK("free", NULL, NULL, acquired, 0, NULL),
	TRYLOCK("held", scene_other_holds, NULL, outcome_busy, BUSY, NULL),
	TRYLOCK("held without descriptor", closed_underneath, NULL, outcome_busy, BUSY, NULL),
	TRYLOCK("held, and unreadable", scene_other_holds, lock_file_is_not_ours_to_read,
	        outcome_busy, BUSY, NULL),
	TRYLOCK("stale", scene_stale, NULL, acquired, 0, NULL),
	TRYLOCK("stale, another program's", foreign_stale, NULL, acquired, 0, NULL),
	TRYLOCK("stale, its PID is ours", of_this_process, NULL, acquired, 0, remove_it),
	TRYLOCK("stale, of another boot", other_boot, NULL, acquired, 0, NULL),
	TRYLOCK("of another host", other_boot, on_a_network, outcome_busy, BUSY, NULL),
	TRYLOCK("of another host, cluster locks", cluster_and_other_boot, on_a_network, acquired, 0,
	        NULL),
	TRYLOCK("stale, open to the group", open_to_group, NULL, acquired, 0, NULL),
	TRYLOCK("damaged", damaged, NULL, acquired, 0, NULL),
	TRYLOCK("empty", empty, NULL, acquired, 0, NULL),
	TRYLOCK("stale, and a leftover", stale_and_leftover, NULL, acquired, 0, NULL),
	{ .name = "stale, and a leaked leftover",
	  .function = "trylock",
	  .act = trylock,
	  .prepare = stale_and_leaked_leftover,
	  .judge = acquired,
	  .clean = close_leaked,
	  .leaked = 1 },
	TRYLOCK("stale, and another takes over", stale_and_leftover, leftover_is_not_ours_to_open,
	        outcome_busy, BUSY, NULL),
	TRYLOCK("alien", alien, NULL, outcome_busy, ALIEN, remove_it),
	TRYLOCK("inheritable", inheritable, NULL, acquired, 0, NULL),
	TRYLOCK("inheritable, stale", inheritable_stale, NULL, acquired, 0, NULL),
	{ .name = "stale, its PID is another's",
	  .function = "trylock",
	  .prepare = reused_pid,
	  .act = trylock,
	  .judge = acquired,
	  .on_old_kernel = true },
	{ .name = "free, the first of a process",
	  .function = "trylock",
	  .act = trylock,
	  .prepare = make_lock_there,
	  .judge = outcome_acquired,
	  .in_child = true,
	  .from_scratch = true },
};
/* clang-format on */

INJECT_EACH(failing_trylock_keeps_the_promises, operations)

/* It has the lock already, and keeps it. */

/* clang-format off: a row a line */
static const struct operation again[] = {
	{ .name = "trylock",
	  .function = "trylock",
	  .prepare = we_hold,
	  .act = trylock,
	  .judge = outcome_kept,
	  .result = BUSY },
	{ .name = "timedlock",
	  .function = "timedlock",
	  .prepare = we_hold,
	  .act = lock_again,
	  .judge = outcome_kept,
	  .result = -EDEADLK },
};
/* clang-format on */

INJECT_EACH(failing_lock_of_the_holder_keeps_the_promises, again)
