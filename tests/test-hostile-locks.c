/* SPDX-License-Identifier: BSD-2-Clause */
/* Kernel locks of an attacker: on the lock file, on PATH.takeover, on the directory. */
#include <config.h>

#include "hostile.h"
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <lockfile-pid.h>
#include <sys/file.h>
#include <sys/stat.h>

#define BUSY LOCKFILE_PID_ERR_BUSY

static int set_lock(int fd, int command, short type, off_t start)
{
	struct flock lock = { .l_type = type, .l_start = start };

	return fcntl(fd, command, &lock);
}

/* Of both kinds; from where it is possible. */
static void lock_for_reading(const char *name)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	off_t start = 0;

	REQUIRE(fd >= 0);
	while (set_lock(fd, F_OFD_SETLK, F_RDLCK, start) < 0)
		REQUIRE(errno == EAGAIN && start++ == 0);
	REQUIRE(set_lock(fd, F_SETLK, F_RDLCK, start) == 0);
	user_is_ready();
	/* as soon as the holder is gone */
	if (start > 0)
		set_lock(fd, F_OFD_SETLKW, F_RDLCK, 0);
}

static void lock_for_writing(const char *name)
{
	int fd = open(name, O_RDWR | O_CLOEXEC);

	REQUIRE(fd >= 0 && set_lock(fd, F_OFD_SETLK, F_WRLCK, 0) == 0);
	user_is_ready();
}

/* The lock file of a holder */

TEST_SCENES(read_locks_on_the_lock_file_neither_hold_it_nor_keep_it)
{
	const struct scene *scene = begin_scene(_i);
	struct holder holder = start_victim(scene), victim = start_victim(scene);
	int descriptors = count_descriptors_of(victim.pid);
	pid_t attackers[3];

	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	attackers[0] = start_as_user(ATTACKER, lock_for_reading, PATH);
	expect_refusal(&victim, BUSY);
	ck_assert_int_eq(holder_do(&holder, "verify"), 0);
	ck_assert_int_eq(holder_do(&holder, "unlock"), 0);
	ck_assert_str_eq(list_dir(DIR), "");
	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	attackers[1] = start_as_user(ATTACKER, lock_for_reading, PATH);
	holder_kill(&holder);
	attackers[2] = start_as_user(ATTACKER, lock_for_reading, PATH);
	expect_lock(&victim);
	for (int i = 0; i < 3; i++)
		kill_child(attackers[i]);
	end_victim(&victim, descriptors);
	end_scene();
}

TEST_SCENES(read_locks_on_the_lock_file_do_not_keep_a_waiter_waiting)
{
	const struct scene *scene = begin_scene(_i);
	struct holder holder = start_victim(scene), victim = start_victim(scene);
	pid_t attacker;

	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	attacker = start_as_user(ATTACKER, lock_for_reading, PATH);
	holder_ask(&victim, "lock");
	await_blocked(&victim);
	holder_kill(&holder);
	ck_assert_int_eq(holder_answer(&victim), 0);
	kill_child(attacker);
	holder_end(&victim);
	end_scene();
}

/* Of a program that knows nothing of kernel locks. */
TEST_SCENES(read_locks_on_the_file_of_another_program_do_not_hold_it)
{
	const struct scene *scene = begin_scene(_i);
	struct holder victim = start_victim(scene);
	char content[16];
	pid_t attacker;

	snprintf(content, sizeof(content), "%d\n", (int)dead_pid());
	write_file(PATH, content);
	ck_assert_int_eq(chown(PATH, scene->victim, scene->victim), 0);
	attacker = start_as_user(ATTACKER, lock_for_reading, PATH);
	ck_assert_int_eq(holder_do(&victim, "check"), LOCKFILE_PID_ERR_PROCESS_DEAD);
	expect_lock(&victim);
	kill_child(attacker);
	holder_end(&victim);
	end_scene();
}

/* One that all may write; without its holder's kernel lock another's does not count. */
TEST_SCENES(write_lock_on_the_lock_file_of_a_dead_holder_does_not_keep_it)
{
	const struct scene *scene = begin_scene(_i);
	struct holder holder, victim = start_victim(scene);
	pid_t attacker;

	umask(0);
	holder = start_victim(scene);
	ck_assert_int_eq(holder_do(&holder, "mode 666"), 0);
	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	holder_kill(&holder);
	attacker = start_as_user(ATTACKER, lock_for_writing, PATH);
	expect_lock(&victim);
	kill_child(attacker);
	holder_end(&victim);
	end_scene();
}

/* Whose file it is as well: a locked one is held, whatever it says. */
TEST_SCENES(write_lock_on_a_file_of_the_attackers_is_busy_as_long_as_it_lasts)
{
	const struct scene *scene = begin_scene(_i);
	struct holder victim = start_victim(scene);
	int descriptors = count_descriptors_of(victim.pid);
	pid_t attacker;

	plant(make_file, PATH);
	attacker = start_as_user(ATTACKER, lock_for_writing, PATH);
	ck_assert_int_eq(holder_do(&victim, "check"), BUSY);
	expect_refusal(&victim, BUSY);
	kill_child(attacker);
	if (trust_in(scene) <= SHUT_OUT)
		ck_assert_int_eq(holder_do(&victim, "trylock"), said_of_file(scene, -EPERM));
	else
		expect_lock(&victim);
	end_victim(&victim, descriptors);
	clear(PATH);
	end_scene();
}

/* What stands where a stale file is to be replaced */

static void (*const locks[])(const char *) = { lock_for_writing, lock_for_reading };

TEST_EACH_SCENE(who_locks_what_is_in_the_way_of_a_takeover_is_waited_for, locks)
{
	const struct scene *scene = begin_scene(_i);
	int result = trust_in(scene) <= SHUT_OUT ? -EPERM : 0;
	struct holder victim;
	int descriptors;
	pid_t attacker;

	leave_stale(scene);
	plant(make_empty_file, TAKEOVER);
	attacker = start_as_user(ATTACKER, locks[ROW(_i)], TAKEOVER);
	victim = start_victim(scene);
	descriptors = count_descriptors_of(victim.pid);
	/* a read lock says of no maker that it is at work, but keeps others from clearing */
	if (locks[ROW(_i)] == lock_for_reading && trust_in(scene) <= STRANGERS_TO_ROOT) {
		expect_refusal(&victim, -EPERM);
		kill_child(attacker);
	} else {
		expect_refusal(&victim, BUSY);
		holder_ask(&victim, "lock");
		await_blocked(&victim);
		kill_child(attacker);
		ck_assert_int_eq(holder_answer(&victim), result);
		if (result == 0)
			ck_assert_int_eq(holder_do(&victim, "unlock"), 0);
	}
	end_victim(&victim, descriptors);
	clear(TAKEOVER);
	clear(PATH);
	end_scene();
}
