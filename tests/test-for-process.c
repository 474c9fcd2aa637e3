/* SPDX-License-Identifier: BSD-2-Clause */
/* A lock that is taken on behalf of another process: lockfile_pid_set_process() */
#include <config.h>

#include "common.h"
#include "world.h"

#include <errno.h>
#include <lockfile-pid.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define LOCK  "x.pid"
#define BUSY  LOCKFILE_PID_ERR_BUSY
#define ROGUE LOCKFILE_PID_ERR_ROGUE_DELETION

static struct lockfile_pid *lock_for(pid_t pid)
{
	struct lockfile_pid *lock = new_lock(LOCK);

	ck_assert_int_eq(lockfile_pid_set_process(lock, pid), 0);
	return lock;
}

TEST(the_lock_is_that_of_the_process_until_it_is_unlocked)
{
	pid_t process = idle_child(), pid = 0;
	struct lockfile_pid *lock = lock_for(process);
	struct holder other = holder_start(LOCK);

	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	assert_content(LOCK, "%d\n", (int)process);
	ck_assert_int_eq(lockfile_pid_verify(lock), 0);
	ck_assert_int_eq(lockfile_pid_check(lock, &pid), BUSY);
	ck_assert_int_eq(pid, process);
	ck_assert_int_eq(holder_do(&other, "trylock"), BUSY);
	ck_assert_int_eq(lockfile_pid_trylock(lock), BUSY);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	ck_assert_int_eq(holder_do(&other, "trylock"), 0);
	ck_assert_int_eq(lockfile_pid_trylock(lock), BUSY);
	ck_assert_int_eq(lockfile_pid_holder(lock), other.pid);
	holder_end(&other);
	lockfile_pid_free(lock);
	kill_child(process);
}

/* While who took it lives and has the kernel lock. */
TEST(the_lock_is_stale_as_soon_as_the_process_ends)
{
	pid_t process = idle_child();
	struct lockfile_pid *lock = lock_for(process);
	struct holder other = holder_start(LOCK);

	skip_without_attributes();
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(kill(process, SIGKILL), 0);
	await_zombie(process);
	ck_assert_int_eq(lockfile_pid_check(lock, NULL), LOCKFILE_PID_ERR_PROCESS_DEAD);
	ck_assert_int_eq(holder_do(&other, "trylock"), 0);
	ck_assert_int_eq(lockfile_pid_verify(lock), ROGUE);
	ck_assert_int_eq(lockfile_pid_unlock(lock), ROGUE);
	assert_content(LOCK, "%d\n", (int)other.pid);
	ck_assert_int_eq(holder_do(&other, "verify"), 0);
	lockfile_pid_free(lock);
	holder_end(&other);
	kill_child(process);
}

TEST(the_end_of_the_process_wakes_who_waits)
{
	pid_t process = idle_child();
	struct lockfile_pid *lock = lock_for(process);
	struct holder other = holder_start(LOCK);

	skip_without_attributes();
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	holder_ask(&other, "lock");
	await_blocked(&other);
	kill_child(process);
	ck_assert_int_eq(holder_answer(&other), 0);
	holder_end(&other);
	lockfile_pid_free(lock);
}

/* Its kernel lock ends with it; the record stays. */
TEST(the_lock_stays_when_who_took_it_is_killed)
{
	pid_t process = idle_child(), keeper;
	struct holder other = holder_start(LOCK);

	skip_without_attributes();
	keeper = checked_fork();
	if (keeper == 0) {
		struct lockfile_pid *lock;

		if (lockfile_pid_new(&lock, LOCK) < 0 ||
		    lockfile_pid_set_process(lock, process) < 0 || lockfile_pid_trylock(lock) < 0)
			_exit(1);
		raise(SIGKILL);
	}
	await_zombie(keeper);
	kill_child(keeper);
	assert_content(LOCK, "%d\n", (int)process);
	ck_assert_int_eq(holder_do(&other, "trylock"), BUSY);
	kill_child(process);
	ck_assert_int_eq(holder_do(&other, "trylock"), 0);
	holder_end(&other);
}

static void take_and_die(void *process)
{
	struct lockfile_pid *lock;

	REQUIRE(lockfile_pid_new(&lock, LOCK) == 0);
	REQUIRE(lockfile_pid_set_process(lock, *(pid_t *)process) == 0);
	REQUIRE(lockfile_pid_trylock(lock) == 0);
	_exit(0);
}

TEST(another_handle_for_the_process_unlocks_after_who_took_it)
{
	pid_t process = idle_child();
	struct lockfile_pid *lock = lock_for(process);

	skip_without_attributes();
	ck_assert_int_eq(in_child(take_and_die, &process), 0);
	ck_assert(exists(LOCK));
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	assert_nothing_left();
	ck_assert_int_eq(lockfile_pid_unlock(lock), ROGUE);
	lockfile_pid_free(lock);
	kill_child(process);
}

TEST(another_handle_for_the_process_unlocks_and_wakes_who_waits)
{
	pid_t process = idle_child();
	struct lockfile_pid *taker = lock_for(process), *lock = lock_for(process);
	struct holder other = holder_start(LOCK);
	int descriptors;

	skip_without_attributes();
	ck_assert_int_eq(lockfile_pid_trylock(taker), 0);
	holder_ask(&other, "lock");
	await_blocked(&other);
	descriptors = count_descriptors();
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	ck_assert_int_eq(count_descriptors(), descriptors);
	ck_assert_int_eq(holder_answer(&other), 0);
	ck_assert_int_eq(lockfile_pid_verify(taker), ROGUE);
	ck_assert_int_eq(lockfile_pid_unlock(taker), ROGUE);
	assert_content(LOCK, "%d\n", (int)other.pid);
	holder_end(&other);
	lockfile_pid_free(taker);
	lockfile_pid_free(lock);
	kill_child(process);
}

TEST(what_is_held_for_another_process_is_not_unlocked)
{
	pid_t process = idle_child(), stranger = idle_child();
	struct lockfile_pid *taker = lock_for(process), *lock = lock_for(stranger);

	ck_assert_int_eq(lockfile_pid_trylock(taker), 0);
	ck_assert_int_eq(lockfile_pid_unlock(lock), ROGUE);
	ck_assert_int_eq(lockfile_pid_verify(taker), 0);
	ck_assert_str_eq(list_dir("."), LOCK " ");
	ck_assert_int_eq(lockfile_pid_unlock(taker), 0);
	lockfile_pid_free(taker);
	lockfile_pid_free(lock);
	kill_child(process);
	kill_child(stranger);
}

TEST(what_the_process_has_taken_itself_is_not_unlocked)
{
	struct holder holder = holder_start(LOCK);
	struct lockfile_pid *lock = lock_for(holder.pid);

	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	ck_assert_int_eq(lockfile_pid_unlock(lock), ROGUE);
	ck_assert_int_eq(holder_do(&holder, "verify"), 0);
	ck_assert_int_eq(holder_do(&holder, "unlock"), 0);
	/* nor is a file that only names it */
	write_file(LOCK, "");
	ck_assert_int_eq(lockfile_pid_unlock(lock), ROGUE);
	ck_assert(exists(LOCK));
	ck_assert_int_eq(unlink(LOCK), 0);
	lockfile_pid_free(lock);
	holder_end(&holder);
}

/* There a kernel lock and the PID tell less than a record. */
TEST(without_attributes_what_is_locked_is_unlocked)
{
	pid_t process = idle_child(), stranger = idle_child();
	struct lockfile_pid *taker, *lock, *other;
	char content[16];

	SKIP_UNLESS_ROOT();
	private_mounts();
	ck_assert_int_eq(mkdir("ramfs", 0700), 0);
	ck_assert_int_eq(mount("none", "ramfs", "ramfs", 0, NULL), 0);
	taker = new_lock("ramfs/" LOCK);
	lock = new_lock("ramfs/" LOCK);
	other = new_lock("ramfs/" LOCK);
	ck_assert_int_eq(lockfile_pid_set_process(taker, process), 0);
	ck_assert_int_eq(lockfile_pid_set_process(lock, process), 0);
	ck_assert_int_eq(lockfile_pid_set_process(other, stranger), 0);
	ck_assert_int_eq(lockfile_pid_trylock(taker), 0);
	ck_assert_int_eq(lockfile_pid_unlock(other), ROGUE);
	ck_assert_int_eq(lockfile_pid_verify(taker), 0);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	ck_assert_int_eq(lockfile_pid_verify(taker), ROGUE);
	snprintf(content, sizeof(content), "%d\n", (int)process);
	write_file("ramfs/" LOCK, content);
	ck_assert_int_eq(lockfile_pid_unlock(lock), ROGUE);
	ck_assert(exists("ramfs/" LOCK));
	lockfile_pid_free(taker);
	lockfile_pid_free(lock);
	lockfile_pid_free(other);
	unmount("ramfs");
	ck_assert_int_eq(rmdir("ramfs"), 0);
	kill_child(process);
	kill_child(stranger);
}

/* Somebody may take over between the look and the removal: the process has ended. */
TEST(who_took_it_releases_with_the_takeover_lock)
{
	pid_t process = idle_child();
	struct lockfile_pid *lock = lock_for(process);

	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(mkdir(LOCK ".takeover", 0700), 0);
	ck_assert_int_eq(lockfile_pid_unlock(lock), -EEXIST);
	ck_assert_int_eq(lockfile_pid_verify(lock), 0);
	ck_assert_int_eq(rmdir(LOCK ".takeover"), 0);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	assert_nothing_left();
	lockfile_pid_free(lock);
	kill_child(process);
}

TEST(a_handle_that_is_freed_releases_the_lock)
{
	pid_t process = idle_child();
	struct lockfile_pid *lock = lock_for(process);

	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	lockfile_pid_free(lock);
	assert_nothing_left();
	kill_child(process);
}

TEST(process_0_is_this_one_again)
{
	pid_t process = idle_child();
	struct lockfile_pid *lock = lock_for(process);

	ck_assert_int_eq(lockfile_pid_set_process(lock, 0), 0);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	assert_content(LOCK, "%d\n", (int)getpid());
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	ck_assert_int_eq(lockfile_pid_set_inheritable(lock, 1), 0);
	lockfile_pid_free(lock);
	kill_child(process);
}

TEST(a_process_that_cannot_be_named_is_an_error)
{
	struct lockfile_pid *lock = new_lock(LOCK);
	pid_t zombie = idle_child();

	ck_assert_int_eq(lockfile_pid_set_process(NULL, getpid()), -EINVAL);
	ck_assert_int_eq(lockfile_pid_set_process(lock, -1), -EINVAL);
	ck_assert_int_eq(lockfile_pid_set_process(lock, dead_pid()), -ESRCH);
	ck_assert_int_eq(lockfile_pid_set_process(lock, freed_pid()), -ESRCH);
	ck_assert_int_eq(kill(zombie, SIGKILL), 0);
	await_zombie(zombie);
	ck_assert_int_eq(lockfile_pid_set_process(lock, zombie), -ESRCH);
	kill_child(zombie);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	/* the handle is as it was */
	assert_content(LOCK, "%d\n", (int)getpid());
	ck_assert_int_eq(lockfile_pid_set_process(lock, getpid()), -EBUSY);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	lockfile_pid_free(lock);
}

TEST(a_lock_for_another_process_is_not_inheritable)
{
	pid_t process = idle_child();
	struct lockfile_pid *lock = lock_for(process);

	ck_assert_int_eq(lockfile_pid_set_inheritable(lock, 1), -EINVAL);
	ck_assert_int_eq(lockfile_pid_set_inheritable(lock, 0), 0);
	ck_assert_int_eq(lockfile_pid_set_process(lock, 0), 0);
	ck_assert_int_eq(lockfile_pid_set_inheritable(lock, 1), 0);
	ck_assert_int_eq(lockfile_pid_set_process(lock, process), -EINVAL);
	lockfile_pid_free(lock);
	kill_child(process);
}

TEST(a_lock_for_a_process_that_has_ended_meanwhile_is_nobodys)
{
	pid_t process = idle_child();
	struct lockfile_pid *lock = lock_for(process);
	struct holder other = holder_start(LOCK);

	skip_without_attributes();
	kill_child(process);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(holder_do(&other, "trylock"), 0);
	ck_assert_int_eq(lockfile_pid_unlock(lock), ROGUE);
	ck_assert_int_eq(holder_do(&other, "verify"), 0);
	holder_end(&other);
	lockfile_pid_free(lock);
}
