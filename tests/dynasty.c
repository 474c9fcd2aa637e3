/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "dynasty.h"

#include <errno.h>
#include <fcntl.h>
#include <lockfile-pid.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

static struct {
	int to[2], from[2];   /* made before the first fork, so all have them */
	struct holder holder; /* as the test sees it; its PID is 0 while there is none */
} members[MEMBERS_MAX];

static struct lockfile_pid *lock; /* in a member */

static int found_pid(void)
{
	pid_t pid = 0;

	return lockfile_pid_check(lock, &pid) == LOCKFILE_PID_ERR_INVALID_PID ? 0 : pid;
}

static int checked(void)
{
	pid_t pid;

	return lockfile_pid_check(lock, &pid);
}

static int freed(void)
{
	lockfile_pid_free(lock);
	lock = NULL;
	return 0;
}

static int close_all(void)
{
	for (int fd = 3; fd < 1024; fd++)
		close(fd);
	return 0;
}

static int execute_cat(void)
{
	execlp("cat", "cat", (char *)NULL);
	return -errno;
}

static int obey_other(const char *word)
{
	if (strcmp(word, "pid") == 0)
		return found_pid();
	if (strcmp(word, "free") == 0)
		return freed();
	if (strcmp(word, "inheritable") == 0)
		return lockfile_pid_set_inheritable(lock, 1);
	if (strcmp(word, "private") == 0)
		return lockfile_pid_set_inheritable(lock, 0);
	if (strcmp(word, "closefrom") == 0)
		return close_all();
	if (strcmp(word, "exec") == 0)
		return execute_cat();
	return -ENOSYS;
}

static int obey(const char *word)
{
	if (strcmp(word, "trylock") == 0)
		return lockfile_pid_trylock(lock);
	if (strcmp(word, "adopt") == 0)
		return lockfile_pid_adopt(lock);
	if (strcmp(word, "verify") == 0)
		return lockfile_pid_verify(lock);
	if (strcmp(word, "unlock") == 0)
		return lockfile_pid_unlock(lock);
	if (strcmp(word, "check") == 0)
		return checked();
	return obey_other(word);
}

static void read_word(char *ret, size_t size)
{
	size_t length = 0;

	do {
		REQUIRE(length < size);
		REQUIRE(read(STDIN_FILENO, ret + length, 1) == 1);
	} while (ret[length++] != '\n');
	ret[length - 1] = '\0';
}

/* A test that fails leaves nobody who waits for it. */
static void become_member(int number)
{
	alarm(DEFAULT_TIMEOUT_S);
	dup2(members[number].to[0], STDIN_FILENO);
	dup2(members[number].from[1], STDOUT_FILENO);
}

static int fork_member(int number)
{
	pid_t pid = fork();

	if (pid == 0)
		become_member(number);
	return pid;
}

static _Noreturn void live(void)
{
	char word[32];
	int r;

	for (;;) {
		read_word(word, sizeof(word));
		if (strcmp(word, "exit") == 0)
			_exit(0);
		if (strncmp(word, "fork ", 5) == 0)
			r = fork_member(atoi(word + 5));
		else
			r = obey(word);
		/* the child says nothing: its parent tells its PID */
		if (r != 0 || strncmp(word, "fork ", 5) != 0)
			dprintf(STDOUT_FILENO, "%d\n", r);
	}
}

static void set_member(int number, pid_t pid)
{
	members[number].holder.pid = pid;
	members[number].holder.to = members[number].to[1];
	members[number].holder.from = members[number].from[0];
}

void dynasty_start(void)
{
	pid_t pid;

	adopt_orphans();
	for (int i = 0; i < MEMBERS_MAX; i++) {
		ck_assert_int_eq(pipe2(members[i].to, O_CLOEXEC), 0);
		ck_assert_int_eq(pipe2(members[i].from, O_CLOEXEC), 0);
	}
	pid = checked_fork();
	if (pid == 0) {
		become_member(0);
		REQUIRE(lockfile_pid_new(&lock, LOCK) == 0);
		live();
	}
	set_member(0, pid);
}

int tell(int member, const char *word)
{
	return holder_do(&members[member].holder, word);
}

void ask(int member, const char *word)
{
	holder_ask(&members[member].holder, word);
}

void dynasty_fork(int parent, int child)
{
	char word[32];

	snprintf(word, sizeof(word), "fork %d", child);
	set_member(child, tell(parent, word));
	ck_assert_int_gt(members[child].holder.pid, 0);
}

pid_t pid_of(int member)
{
	return members[member].holder.pid;
}

/* A zombie of another member is as dead as it gets. */
static int await_end(int member)
{
	pid_t pid = pid_of(member);
	int status = 0;

	while (waitpid(pid, &status, WNOHANG) != pid) {
		char state = process_state(pid);

		if (state == '\0' || (state == 'Z' && waitpid(pid, &status, WNOHANG) < 0))
			break;
		sched_yield();
	}
	members[member].holder.pid = 0;
	return status;
}

void dynasty_kill(int member)
{
	ck_assert_int_eq(kill(pid_of(member), SIGKILL), 0);
	await_end(member);
}

void dynasty_exit(int member)
{
	ask(member, "exit");
	ck_assert_int_eq(await_end(member), 0);
}

/* The eldest first, so that the test is everybody's parent by then. */
void dynasty_end(void)
{
	for (int i = 0; i < MEMBERS_MAX; i++)
		if (pid_of(i) != 0)
			dynasty_exit(i);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}
