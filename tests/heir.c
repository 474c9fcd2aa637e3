/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "heir.h"

#include "scene.h"

#include <fcntl.h>
#include <lockfile-pid.h>
#include <sys/wait.h>

static void hold(void)
{
	ck_assert_int_eq(lockfile_pid_set_inheritable(lock, 1), 0);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
}

static void end_as(pid_t child)
{
	int status;

	ck_assert_int_gt(waitpid(child, &status, 0), 0);
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

static pid_t fork_or_fail(void)
{
	pid_t pid = checked_fork();

	return pid;
}

static void become_two(void)
{
	pid_t heir = fork_or_fail();

	if (heir > 0)
		end_as(heir);
}

void heir_of_the_living(void)
{
	hold();
	become_two();
	ck_assert_int_eq(lockfile_pid_set_inheritable(lock, 1), 0);
}

void heir_while_third_waits(void)
{
	hold();
	scene_third_waits();
	become_two();
}

void heir_for_good(void)
{
	hold();
	become_two();
}

void heir_without_descriptor(void)
{
	int fd;

	hold();
	fd = lockfile_pid_fileno(lock);
	become_two();
	ck_assert_int_eq(close(fd), 0);
}

static void await_end_of_input(int from)
{
	char byte;

	ck_assert_int_eq(read(from, &byte, 1), 0);
	close(from);
}

void heir_of_who_let_go(void)
{
	int done[2];
	pid_t heir;

	hold();
	ck_assert_int_eq(pipe2(done, O_CLOEXEC), 0);
	heir = fork_or_fail();
	if (heir > 0) {
		lockfile_pid_free(lock);
		close(done[1]);
		end_as(heir);
	}
	close(done[1]);
	await_end_of_input(done[0]);
}

/* A third process remains, to wait for both. */
void heir_of_the_dead(void)
{
	int dead[2];
	pid_t holder, heir;

	adopt_orphans();
	ck_assert_int_eq(pipe2(dead, O_CLOEXEC), 0);
	holder = fork_or_fail();
	if (holder > 0) {
		ck_assert_int_eq(waitpid(holder, NULL, 0), holder);
		close(dead[1]);
		end_as(-1);
	}
	hold();
	heir = fork_or_fail();
	if (heir > 0)
		_exit(0);
	close(dead[1]);
	await_end_of_input(dead[0]);
}
