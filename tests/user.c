/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "user.h"

#include "world.h"

#include <grp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>

static int ready_fd;

struct task {
	uid_t user;
	void (*f)(const char *);
	const char *argument;
};

static void run(void *argument)
{
	struct task *task = argument;

	REQUIRE(setgroups(0, NULL) == 0);
	REQUIRE(setresgid(task->user, task->user, task->user) == 0);
	REQUIRE(setresuid(task->user, task->user, task->user) == 0);
	/* which a change of user forgets */
	REQUIRE(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
	task->f(task->argument);
}

void as_user(uid_t user, void (*f)(const char *), const char *argument)
{
	struct task task = { user, f, argument };

	ck_assert_int_eq(in_child(run, &task), 0);
}

pid_t start_as_user(uid_t user, void (*f)(const char *), const char *argument)
{
	struct task task = { user, f, argument };
	int ends[2];
	char byte;
	pid_t pid;

	ck_assert_int_eq(pipe(ends), 0);
	pid = checked_fork();
	if (pid == 0) {
		ready_fd = ends[1];
		run(&task);
		while (true)
			pause();
	}
	close(ends[1]);
	ck_assert_int_eq(read(ends[0], &byte, 1), 1);
	close(ends[0]);
	return pid;
}

void user_is_ready(void)
{
	REQUIRE(write(ready_fd, "", 1) == 1);
}

struct holder holder_of_user(uid_t user, const char *path)
{
	struct holder holder = holder_start(path);
	char word[32];

	snprintf(word, sizeof(word), "user %u", (unsigned int)user);
	ck_assert_int_eq(holder_do(&holder, word), 0);
	return holder;
}

int count_descriptors_of(pid_t pid)
{
	char name[64];
	int count = 0;

	snprintf(name, sizeof(name), "/proc/%d/fd", (int)pid);
	for (const char *p = list_dir(name); *p; p++)
		count += *p == ' ';
	return count;
}
